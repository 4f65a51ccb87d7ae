/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/interface.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int
ask_kernel(unsigned int index, unsigned long request, struct ifreq *interface)
{
	int fd, result = 0;

	if (if_indextoname(index, interface->ifr_name) == NULL)
		return errno == ENXIO ? -ENODEV : -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, request, interface) != 0)
		result = -errno;
	(void)close(fd);
	return result;
}

int
weir_interface_flags(unsigned int index, unsigned int *flags)
{
	struct ifreq interface = {0};
	int result = ask_kernel(index, SIOCGIFFLAGS, &interface);

	if (result == 0)
		*flags = (unsigned short)interface.ifr_flags;
	return result;
}

int
weir_interface_set_mtu(unsigned int index, uint32_t mtu_bytes)
{
	struct ifreq interface = {.ifr_mtu = (int)mtu_bytes};

	return ask_kernel(index, SIOCSIFMTU, &interface);
}
