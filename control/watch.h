/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks after workers and links while Weir runs, and posts an event when one changes. */
#ifndef WEIR_CONTROL_WATCH_H
#define WEIR_CONTROL_WATCH_H

#include "control/appliance.h"

#define WEIR_WATCH_STALL_NS WEIR_NS_PER_S /* a worker or disk that stands still so long is told */

/* Control thread, every 50 ms. now_ns: CLOCK_BOOTTIME. */
void weir_watch_workers(struct weir_appliance *appliance, uint64_t now_ns);

/* Looks whether the disk holds the ledger up. Control thread, every 50 ms. */
void weir_watch_ledger(struct weir_appliance *appliance, uint64_t now_ns);

/*
 * Asks each port for its link's state and tells the workers. Nothing of it goes to the other port:
 * a link's state would be a way to signal. What waits in the rings of a port that went down is
 * discarded before it is used again, or it would all leave at line rate; so it is, too, where the
 * driver told by an interrupt that the link was down and it is up again. Before the workers start,
 * and every 50 ms. quietly: without events, for the first look.
 */
void weir_watch_links(struct weir_appliance *appliance, bool quietly);

#endif
