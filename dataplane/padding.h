/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Padding: frames of Weir's own by which limits in a NIC are measured before anything is forwarded.
 *
 * They are charged like all others, to the class whose queue they go by and to all its budgets. A
 * class's rate is its queue's limit, so what its bucket lets through bit by bit never makes a
 * backlog in the NIC, and shows nothing of the limit, be it ten times too high. So a class's bucket
 * is left alone until it is full, and then emptied at once: its burst waits in the NIC and leaves
 * at the limit, and what is offered from then on keeps it waiting. Once it has all left, that
 * begins anew.
 */
#ifndef WEIR_DATAPLANE_PADDING_H
#define WEIR_DATAPLANE_PADDING_H

#include "drivers/port.h"

#define WEIR_PADDING_ETHERTYPE 0x88B5U /* for local experiments: IEEE 802 */

/* What padding on a link is made of. */
struct weir_padding {
	struct rte_mempool *pool; /* the inside port's: a frame of the link's MTU fits */
	uint8_t destination[WEIR_MAC_BYTES];
	uint8_t source[WEIR_MAC_BYTES]; /* the outside port's own */
};

struct weir_worker;
struct weir_rx;

/*
 * Offers padding to some of a link's classes that go by limited queues: at most WEIR_BURST frames
 * of a class and as much as its bucket lets go, at most PADDING_SLOTS classes a call. rx: the
 * inside's, whose port is being tested. Worker. Returns how many frames.
 */
uint32_t weir_padding_offer(struct weir_worker *worker, const struct weir_rx *rx);

#endif
