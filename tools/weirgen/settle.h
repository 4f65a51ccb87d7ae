/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether what a port has taken has left it: a stop discards what still waits in its ring. How it
 * can be known depends on the driver. Control thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_SETTLE_H
#define WEIR_TOOLS_WEIRGEN_SETTLE_H

#include "drivers/port.h"
#include "tools/weirgen/packet_socket.h"

#include <stdint.h>

/* A port's counts before it is given frames, for weir_settle. */
struct weir_settle {
	uint64_t sent, errors;
	struct weir_packet_interface kernel; /* of its interface behind the port */
};

void weir_settle_begin(const struct weir_port *port, struct weir_settle *settle);

/*
 * Waits for the port's ring to be empty, when the worker has ended that gave it so many frames.
 * Those that have not left after a second, or that the kernel's interface has dropped, are
 * returned, at most so many; 0: none is known. For a net_memif all that can be done is to give its
 * peer half a second.
 */
uint64_t weir_settle(const struct weir_port *port, const struct weir_settle *begun, uint64_t frames)
    __attribute__((warn_unused_result));

/* Waits for the port's link, at most 10 s. False: there is none. */
bool weir_settle_link(const struct weir_port *port) __attribute__((warn_unused_result));

#endif
