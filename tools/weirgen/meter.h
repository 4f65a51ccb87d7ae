/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rates of what arrives, over every interval at once.
 *
 * A limit is a rate r. Its excess is the most bytes by which any interval [s, t] had more than
 * r x (t - s): the burst that a token bucket of this rate would need to let all of it pass. It is
 * had from a running line: a level that sinks by r and rises by what arrives, never below zero; its
 * highest point is the excess. Exact, in whole bit-ticks, whatever the intervals' lengths.
 *
 * What arrives is seen when the port is looked at, which may be late. For certain is only that it
 * came after the last look that found the port empty began, and before the one that found it ended:
 * a look that takes frames tells nothing about those behind them. So there are three figures: by
 * the times seen; at least, with every interval as long as it can have been; and at most, with
 * every interval as short.
 *
 * A window is a length W, of which the busiest is looked for, in slots of W / 64. 64 adjacent slots
 * lie within a window, so the busiest had at least the most bytes that came within such for
 * certain; and 66 cover any window, so it had at most the most bytes that can have come within
 * those.
 *
 * Fixed size. One thread. Times are ticks of the TSC and never go back.
 */
#ifndef WEIR_TOOLS_WEIRGEN_METER_H
#define WEIR_TOOLS_WEIRGEN_METER_H

#include "drivers/units.h"

#define WEIR_METER_SLOTS  66U
#define WEIR_METER_MIN_NS (10 * WEIR_NS_PER_US) /* shortest window */
#define WEIR_METER_NEVER  UINT64_MAX

__extension__ typedef __int128 weir_i128;

/* When a port was looked at. At the start all three are a time before which nothing came. */
struct weir_look {
	uint64_t before; /* the end of the look before the latest */
	uint64_t now;    /* the end of the latest */
	uint64_t empty;  /* the end of the look before the latest that found nothing */
};

/* A look has ended that found so many frames. */
static inline void
weir_look_done(struct weir_look *look, uint64_t now, uint32_t found)
{
	look->before = look->now;
	look->now = now;
	/* It may have looked right after it began, and been kept from its CPU then. */
	if (found == 0)
		look->empty = look->before;
}

/* Levels are bits times the TSC's ticks a second. */
struct weir_limit_meter {
	uint64_t rate_bit_s;
	uint64_t hz;
	uint64_t at; /* ticks, of the latest bytes */
	weir_i128 seen, least;
	uint64_t empty; /* ticks: the latest empty look, or WEIR_METER_NEVER */
	weir_i128 most; /* the level then, and all bytes since */
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
	uint64_t slots[WEIR_METER_SLOTS]; /* wire bytes by when they were found */
	uint64_t sum;                     /* of all of them */
	uint64_t since[WEIR_METER_SLOTS]; /* wire bytes by the empty look before them */
	uint64_t since_sum;
	uint64_t empty;             /* ticks: the latest empty look, or WEIR_METER_NEVER */
	uint64_t open;              /* wire bytes in the slots then, and all since */
	uint64_t at_least, at_most; /* wire bytes of the busiest window */
};

/* hz: of the TSC. rate_bit_s: 1 to 1 Tbit/s. */
void weir_limit_meter_make(struct weir_limit_meter *meter, uint64_t rate_bit_s, uint64_t hz);

/*
 * Bytes that a look found. empty: when the latest look that found none began; either that of the
 * last call, or not before the last call's now. now: when this look has ended.
 */
void weir_limit_meter_add(struct weir_limit_meter *meter, uint64_t empty, uint64_t now,
                          uint64_t wire_bytes);

struct weir_excess weir_limit_meter_excess(const struct weir_limit_meter *meter);

/* start: ticks. */
void weir_window_meter_make(struct weir_window_meter *meter, uint64_t window_ns, uint64_t hz,
                            uint64_t start);

/* As weir_limit_meter_add. */
void weir_window_meter_add(struct weir_window_meter *meter, uint64_t empty, uint64_t now,
                           uint64_t wire_bytes);

#endif
