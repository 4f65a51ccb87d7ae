/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rates of what arrives, over every interval at once.
 *
 * A limit is a rate r. Its excess is the most bytes by which any interval [s, t] had more than
 * r x (t - s): the burst that a token bucket of this rate would need to let all of it pass. It is
 * had from a running line: a level that sinks by r and rises by what arrives, never below zero; its
 * highest point is the excess. Exact, in whole bit-ticks, whatever the intervals' lengths.
 *
 * What arrives is seen when the port is polled, somewhere between the look before and this one. So
 * there are three figures: by the times seen; at least, with every interval as long as it can have
 * been; and at most, with every interval as short.
 *
 * A window is a length W, of which the busiest is looked for, in slots of W / 64 and by the times
 * seen: 64 adjacent slots lie within a window, so the busiest had at least the most bytes of such;
 * and 66 cover any window, so it had at most the most bytes of those.
 *
 * Fixed size. One thread. Times are ticks of the TSC and never go back.
 */
#ifndef WEIR_TOOLS_WEIRGEN_METER_H
#define WEIR_TOOLS_WEIRGEN_METER_H

#include "drivers/units.h"

#define WEIR_METER_SLOTS  66U
#define WEIR_METER_MIN_NS (10 * WEIR_NS_PER_US) /* shortest window */

__extension__ typedef __int128 weir_i128;

/* Levels are bits times the TSC's ticks a second. */
struct weir_limit_meter {
	uint64_t rate_bit_s;
	uint64_t hz;
	uint64_t at; /* ticks, of the latest bytes */
	weir_i128 seen, least;
	weir_i128 seen_max, least_max, most_max;
};

/* Bytes of wire, rounded up; least down. */
struct weir_excess {
	uint64_t seen, least, most;
};

struct weir_window_meter {
	uint64_t window_ns;
	uint64_t slot_ticks;              /* rounded down */
	uint64_t slot_end;                /* ticks: of the slot under way */
	uint32_t now;                     /* the slot under way */
	uint64_t slots[WEIR_METER_SLOTS]; /* wire bytes */
	uint64_t sum;                     /* of all of them */
	uint64_t at_least, at_most;       /* wire bytes of the busiest window */
};

/* hz: of the TSC. rate_bit_s: 1 to 1 Tbit/s. */
void weir_limit_meter_make(struct weir_limit_meter *meter, uint64_t rate_bit_s, uint64_t hz);

/* Bytes that were found at a look, and the look before it, which was not before the last call. */
void weir_limit_meter_add(struct weir_limit_meter *meter, uint64_t before, uint64_t now,
                          uint64_t wire_bytes);

struct weir_excess weir_limit_meter_excess(const struct weir_limit_meter *meter);

/* start: ticks. */
void weir_window_meter_make(struct weir_window_meter *meter, uint64_t window_ns, uint64_t hz,
                            uint64_t start);

/* Bytes that were found at a look. */
void weir_window_meter_add(struct weir_window_meter *meter, uint64_t now, uint64_t wire_bytes);

#endif
