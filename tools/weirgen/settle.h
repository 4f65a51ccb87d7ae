/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether what a port has taken has left it: a stop discards what still waits in its ring. How it
 * can be known depends on the driver. Control thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_SETTLE_H
#define WEIR_TOOLS_WEIRGEN_SETTLE_H

#include "drivers/port.h"

#include <stdint.h>

/* Frames that the port counts as sent so far: before the first, and for weir_settle. */
uint64_t weir_settle_count(const struct weir_port *port);

/*
 * Waits for the port's ring to be empty, when the worker has ended that gave it frames, of which
 * count_before tells. Frames that have not left after a second are returned, at most so many; 0:
 * none is known to be left. For a net_memif all that can be done is to give its peer half a second.
 */
uint64_t weir_settle(const struct weir_port *port, uint64_t count_before, uint64_t frames)
    __attribute__((warn_unused_result));

/* Waits for the port's link, at most 10 s. False: there is none. */
bool weir_settle_link(const struct weir_port *port) __attribute__((warn_unused_result));

#endif
