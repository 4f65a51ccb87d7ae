/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's network interface behind a port that has one, by its index. */
#ifndef WEIR_DRIVERS_INTERFACE_H
#define WEIR_DRIVERS_INTERFACE_H

#include <stdint.h>

/* Flags of an interface (IFF_UP, IFF_RUNNING, ...). 0; -ENODEV when it is gone; or -errno. */
int weir_interface_flags(unsigned int index, unsigned int *flags)
    __attribute__((warn_unused_result));

/* Sets its MTU. 0 or -errno. */
int weir_interface_set_mtu(unsigned int index, uint32_t mtu_bytes)
    __attribute__((warn_unused_result));

#endif
