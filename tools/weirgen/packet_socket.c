/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/packet_socket.h"

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A value of an interface's driver, 0 where it has none. */
static uint32_t
ask_driver(int fd, const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	request.ifr_data = (void *)&value;
	return ioctl(fd, SIOCETHTOOL, &request) == 0 ? value.data : 0;
}

bool
weir_packet_socket_joins(unsigned int interface)
{
	char name[IF_NAMESIZE];
	bool joins = false;
	int fd;

	if (interface == 0 || if_indextoname(interface, name) == NULL)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	joins = ask_driver(fd, name, ETHTOOL_GGRO) != 0 ||
	        (ask_driver(fd, name, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0;
	(void)close(fd);
	return joins;
}

static bool
is_bound(int fd, unsigned int interface)
{
	struct sockaddr_ll address;
	socklen_t size = sizeof(address);

	memset(&address, 0, sizeof(address));
	return getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
	       address.sll_family == AF_PACKET && (unsigned int)address.sll_ifindex == interface;
}

int
weir_packet_socket_find(unsigned int interface)
{
	DIR *folder = interface == 0 ? NULL : opendir("/proc/self/fd");
	const struct dirent *entry;
	int found = -1;

	while (folder != NULL && found < 0 && (entry = readdir(folder)) != NULL) {
		char *end = NULL;
		long fd = strtol(entry->d_name, &end, 10);

		if (end != entry->d_name && *end == '\0' && is_bound((int)fd, interface))
			found = (int)fd;
	}
	if (folder != NULL)
		(void)closedir(folder);
	return found;
}

int
weir_packet_socket_dropped(int socket, uint64_t *frames)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	*frames = 0;
	memset(&stats, 0, sizeof(stats));
	/* Which sets the kernel's counts to 0. */
	if (getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
		return -errno;
	*frames = stats.tp_drops;
	return 0;
}

struct weir_packet_interface
weir_packet_socket_interface(unsigned int interface)
{
	struct ifaddrs *list = NULL;
	struct weir_packet_interface told = {0};

	if (getifaddrs(&list) != 0)
		return told;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
		const struct sockaddr_ll *address = (const void *)entry->ifa_addr;
		const struct rtnl_link_stats *stats = entry->ifa_data;

		if (address != NULL && stats != NULL && address->sll_family == AF_PACKET &&
		    (unsigned int)address->sll_ifindex == interface)
			told = (struct weir_packet_interface){stats->tx_packets,
			                                      stats->tx_dropped + stats->tx_errors};
	}
	freeifaddrs(list);
	return told;
}

int
weir_packet_socket_flush(int socket, uint32_t timeout_ms)
{
	const struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};

	if (setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0)
		return -errno;
	/* Without MSG_DONTWAIT, which the driver uses, this ends when nothing waits any more. */
	if (sendto(socket, NULL, 0, 0, NULL, 0) < 0)
		return -errno;
	return 0;
}
