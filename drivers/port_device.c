/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/port_device.h"

#include "drivers/interface.h"

#include "drivers/memory.h"
#include "drivers/port.h"

#include <errno.h>
#include <net/if.h>
#include <numa.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_kvargs.h>
#include <rte_lcore.h>
#include <rte_pci.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part before the first comma, in DPDK's own spelling where it is a PCI address. */
static void
device_name(const char *device, char *name, size_t size)
{
	struct rte_pci_addr address;
	size_t length = strcspn(device, ",");

	snprintf(name, size, "%.*s", (int)length, device);
	if (rte_pci_addr_parse(name, &address) == 0)
		rte_pci_device_name(&address, name, size);
}

static const char *
device_arguments(const char *device)
{
	const char *comma = strchr(device, ',');

	return comma == NULL ? "" : comma + 1;
}

/* Copies the value of key in the device's arguments. False when it is not there or too long. */
static bool
argument_value(const char *device, const char *key, char *value, size_t size)
{
	struct rte_kvargs *arguments = rte_kvargs_parse(device_arguments(device), NULL);
	const char *found;
	bool fits = false;

	if (arguments == NULL)
		return false;
	found = rte_kvargs_get(arguments, key);
	if (found != NULL) {
		int length = snprintf(value, size, "%s", found);

		fits = length > 0 && (size_t)length < size;
	}
	rte_kvargs_free(arguments);
	return fits;
}

uint32_t
weir_port_device_number(const char *device, const char *key, uint32_t fallback)
{
	char value[16], *end;
	unsigned long number;

	if (!argument_value(device, key, value, sizeof(value)))
		return fallback;
	errno = 0;
	number = strtoul(value, &end, 0);
	return errno != 0 || *end != '\0' || number > UINT32_MAX ? fallback : (uint32_t)number;
}

bool
weir_port_device_is_pci(const char *device)
{
	char name[WEIR_DEVICE_SIZE];
	struct rte_pci_addr address;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	return rte_pci_addr_parse(name, &address) == 0;
}

/* Node of the hardware behind a vdev's kernel interface, or WEIR_NODE_ANY. */
static int
interface_node(const char *device)
{
	char interface[IF_NAMESIZE], path[128], line[16];
	int node = WEIR_NODE_ANY;
	FILE *file;

	if (!argument_value(device, "iface", interface, sizeof(interface)) ||
	    strchr(interface, '/') != NULL)
		return WEIR_NODE_ANY;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/numa_node", interface);
	file = fopen(path, "re");
	if (file == NULL)
		return WEIR_NODE_ANY;
	if (fgets(line, sizeof(line), file) != NULL)
		node = (int)strtol(line, NULL, 10);
	fclose(file);
	return node < 0 ? WEIR_NODE_ANY : node;
}

/* Lets the calling thread run on the CPUs of a node. False when that is not possible. */
static bool
move_to_node(int node)
{
	struct bitmask *mask;
	rte_cpuset_t cpus;
	bool moved;

	if (node == WEIR_NODE_ANY || numa_available() < 0 || node > numa_max_node())
		return false;
	mask = numa_allocate_cpumask();
	CPU_ZERO(&cpus);
	if (numa_node_to_cpus(node, mask) == 0) {
		for (unsigned int cpu = 0; cpu < mask->size && cpu < CPU_SETSIZE; cpu++) {
			if (numa_bitmask_isbitset(mask, cpu))
				CPU_SET(cpu, &cpus);
		}
	}
	moved = CPU_COUNT(&cpus) > 0 && rte_thread_set_affinity(&cpus) == 0;
	numa_free_cpumask(mask);
	return moved;
}

static bool
find_port(const char *name, uint16_t *port_id)
{
	struct rte_dev_iterator iterator;
	uint16_t id;

	if (rte_eth_dev_get_port_by_name(name, port_id) == 0)
		return true;
	/* Some PCI drivers call their ports by another name than the device's. */
	RTE_ETH_FOREACH_MATCHING_DEV(id, name, &iterator)
	{
		rte_eth_iterator_cleanup(&iterator);
		*port_id = id;
		return true;
	}
	return false;
}

static int
make_vdev(const char *device, const char *name, uint16_t *port_id, char *error, size_t error_size)
{
	rte_cpuset_t before;
	bool moved;
	int result;

	if (rte_eth_dev_get_port_by_name(name, port_id) == 0) {
		snprintf(error, error_size, "device %s: two ports of one name", name);
		return -EEXIST;
	}
	rte_thread_get_affinity(&before);
	moved = move_to_node(interface_node(device));
	result = rte_eal_hotplug_add("vdev", name, device_arguments(device));
	if (moved && rte_thread_set_affinity(&before) != 0)
		result = result != 0 ? result : -EINVAL;
	if (result == 0 && find_port(name, port_id))
		return 0;
	if (result == 0)
		(void)rte_eal_hotplug_remove("vdev", name);
	/* Drivers return -1 for anything, and DPDK -EFAULT for a name that no driver knows. */
	if (result == 0 || result == -1 || result == -EFAULT)
		result = -ENODEV;
	snprintf(error, error_size,
	         "device %s: neither a PCI address nor a virtual device that can be made: %s",
	         device, strerror(-result));
	return result;
}

int
weir_port_device_probe(const char *device, uint16_t *port_id, bool *made, char *error,
                       size_t error_size)
{
	char name[WEIR_DEVICE_SIZE];
	int result;

	device_name(device, name, sizeof(name));
	*made = false;
	if (!weir_port_device_is_pci(device)) {
		result = make_vdev(device, name, port_id, error, error_size);
		*made = result == 0;
		return result;
	}
	if (find_port(name, port_id))
		return 0;
	result = rte_dev_probe(device);
	if (result == 0 && find_port(name, port_id))
		return 0;
	snprintf(error, error_size,
	         "device %s: no such PCI device, or not bound to a driver that DPDK can use "
	         "(vfio-pci)",
	         device);
	return -ENODEV;
}

void
weir_port_device_remove(const char *device)
{
	char name[WEIR_DEVICE_SIZE];

	device_name(device, name, sizeof(name));
	(void)rte_eal_hotplug_remove("vdev", name);
}

int
weir_port_device_ready(const char *device, unsigned int *interface)
{
	char name[IF_NAMESIZE];
	unsigned int flags;
	int result;

	if (weir_port_device_is_pci(device))
		return 0;
	/* Taps have their name in iface= too, but theirs goes with them: the index is as good. */
	if (argument_value(device, "iface", name, sizeof(name)) && if_nametoindex(name) != 0)
		*interface = if_nametoindex(name);
	result = weir_interface_flags(*interface, &flags);
	if (result != 0)
		return result;
	return (flags & IFF_UP) != 0 ? 0 : -EAGAIN;
}
