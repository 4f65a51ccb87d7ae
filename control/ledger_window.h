/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rolling window of one budget: how many bytes were spent in the last W nanoseconds.
 *
 * W is cut into WEIR_WINDOW_SLOTS slots of slot_ns = W / 64, rounded up, on the ledger's clock.
 * Slot n covers [n x slot_ns, (n + 1) x slot_ns). While the clock is in slot n, slots n - 64 to n
 * count: a slot's bytes come back when all of it lies at least W in the past. Rounding up makes
 * the window kept at most 64 ns longer than asked, never shorter.
 *
 * Pure arithmetic: no I/O, no clock, no allocation. Whoever owns the window calls.
 */
#ifndef WEIR_CONTROL_LEDGER_WINDOW_H
#define WEIR_CONTROL_LEDGER_WINDOW_H

#include "drivers/units.h"

#define WEIR_WINDOW_SLOTS 64U
#define WEIR_WINDOW_RING  (WEIR_WINDOW_SLOTS + 1U) /* slots that count at one time */

struct weir_window {
	uint64_t window_ns;
	uint64_t slot_ns;
	uint64_t newest;                       /* number of the newest slot */
	uint64_t used_bytes;                   /* sum of all slots */
	uint64_t slot_bytes[WEIR_WINDOW_RING]; /* slot n is at n % WEIR_WINDOW_RING */
};

/* An empty window of window_ns (at least 1) at clock_ns. */
void weir_window_init(struct weir_window *window, uint64_t window_ns, uint64_t clock_ns);

/*
 * Moves on to clock_ns; slots that have left the window give their bytes back. A clock that stands
 * or goes back changes nothing. Returns true when a slot was left while the window held bytes.
 */
bool weir_window_roll(struct weir_window *window, uint64_t clock_ns);

/* Counts bytes as spent in the newest slot. */
void weir_window_add(struct weir_window *window, uint64_t bytes);

/* The clock at which the newest slot ends: until then weir_window_roll has nothing to do. */
uint64_t weir_window_next_ns(const struct weir_window *window);

/*
 * Fills a window that is empty and new at clock_ns from what other windows of the same budget know.
 * All spent_bytes were spent by clock_ns. For any time t, at most so many bytes were spent at t or
 * later as the least of the others' sums from t's slot on, and of spent_bytes where t lies before
 * what they remember. The new window is given just that: bytes whose time is not known count as
 * spent as late as they can have been. The others must have been rolled to clock_ns.
 */
void weir_window_seed(struct weir_window *window, struct weir_window *const *others,
                      uint32_t n_others, uint64_t spent_bytes);

#endif
