/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds DPDK's interrupt thread while a net_memif port is used. That driver unmaps its rings in
 * the interrupt thread as soon as the peer has gone, without regard for a thread that is just
 * reading or writing them or closing the port, and leaves the thread a listener that is freed
 * (DPDK 22.11: memif_disconnect, memif_socket_remove_device). So the interrupt thread stands still
 * in a callback of ours, but for its turn every few milliseconds, for which the worker waits
 * outside the driver; and once the worker has ended it stands still until the process ends.
 * Nothing of this happens with other drivers.
 */
#ifndef WEIR_TOOLS_WEIRGEN_HOLD_H
#define WEIR_TOOLS_WEIRGEN_HOLD_H

#include "drivers/clock.h"

struct weir_hold {
	uint64_t turn_tsc; /* when the interrupt thread has its next turn; UINT64_MAX: not held */
	uint64_t turn_ticks;
};

/*
 * Control thread. Begins to hold it, unless it is held, and returns once it stands still. driver:
 * of the port; any but net_memif: does nothing. Returns 0 or -errno.
 */
int weir_hold_begin(struct weir_hold *hold, const char *driver, const struct weir_clock *clock);

/* The interrupt thread's turn. Worker, without a system call; it takes some 0.1 ms. */
void weir_hold_let(struct weir_hold *hold, uint64_t now_tsc);

/* Worker, outside the driver, once a round. */
static inline void
weir_hold_round(struct weir_hold *hold, uint64_t now_tsc)
{
	if (now_tsc >= hold->turn_tsc)
		weir_hold_let(hold, now_tsc);
}

#endif
