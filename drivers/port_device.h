/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the text that names a device in the policy to a DPDK port, and back to nothing.
 * Used by port.c and eal.c. Control thread only.
 */
#ifndef WEIR_DRIVERS_PORT_DEVICE_H
#define WEIR_DRIVERS_PORT_DEVICE_H

#include "drivers/units.h"

#include <stddef.h>

/* True when device starts with a PCI address ("0000:17:00.0" or "17:00.0", arguments behind it). */
bool weir_port_device_is_pci(const char *device);

/*
 * Makes a vdev, or finds the port of a PCI device and probes it if that was not done.
 * A vdev on a kernel interface is made from a CPU of that interface's NUMA node, because DPDK
 * places a vdev's memory on its maker's node.
 * made tells whether there is something to remove later.
 * Returns 0; -ENODEV; -EEXIST (two ports of one device); or another -errno. One line in error.
 */
int weir_port_device_probe(const char *device, uint16_t *port_id, bool *made, char *error,
                           size_t error_size) __attribute__((warn_unused_result));

/* Removes a vdev that weir_port_device_probe made, after its port was closed. */
void weir_port_device_remove(const char *device);

/* Number given by key in a vdev's arguments ("framesz=4096"), or fallback where it is not there. */
uint32_t weir_port_device_number(const char *device, const char *key, uint32_t fallback);

/*
 * Whether a vdev's kernel interface lets it start. It must not switch one on: net_tap would, and
 * net_af_packet can't bind to one that is off, on older kernels. Neither sends anything before a
 * worker does: what is in their rings can wait.
 * interface: the index that it had; gets the present one, for an interface that was deleted and
 * made again keeps only its name. Returns 0; -EAGAIN while it is off; -ENODEV; or -errno.
 */
int weir_port_device_ready(const char *device, unsigned int *interface)
    __attribute__((warn_unused_result));

#endif
