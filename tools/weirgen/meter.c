/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/meter.h"

#include <string.h>

void
weir_limit_meter_make(struct weir_limit_meter *meter, uint64_t rate_bit_s, uint64_t hz)
{
	assert(rate_bit_s > 0 && hz > 0);
	*meter = (struct weir_limit_meter){
	    .rate_bit_s = rate_bit_s, .hz = hz, .empty = WEIR_METER_NEVER};
}

static weir_i128
larger(weir_i128 one, weir_i128 other)
{
	return one > other ? one : other;
}

void
weir_limit_meter_add(struct weir_limit_meter *meter, uint64_t empty, uint64_t now,
                     uint64_t wire_bytes)
{
	weir_i128 rate = meter->rate_bit_s;
	weir_i128 bits = (weir_i128)wire_bytes * 8 * meter->hz;
	weir_i128 gap = (weir_i128)(now - empty) * rate;
	weir_i128 sunk = (weir_i128)(now - meter->at) * rate;

	assert(empty <= now && (empty == meter->empty || empty >= meter->at));
	/*
	 * At most: all bytes since the empty look came right behind it, and those that an interval
	 * begins with right at their own look.
	 */
	if (empty != meter->empty) {
		meter->empty = empty;
		meter->most = larger(meter->seen - (sunk - gap), 0);
	}
	meter->most += bits;
	meter->most_max = larger(meter->most_max, meter->most);
	meter->seen = larger(meter->seen - sunk, 0) + bits;
	meter->seen_max = larger(meter->seen_max, meter->seen);
	/* At least: an interval begins with the empty look before its first bytes. */
	meter->least = larger(meter->least - sunk, -gap) + bits;
	meter->least_max = larger(meter->least_max, meter->least);
	meter->at = now;
}

struct weir_excess
weir_limit_meter_excess(const struct weir_limit_meter *meter)
{
	weir_i128 unit = (weir_i128)8 * meter->hz;

	return (struct weir_excess){
	    .seen = (uint64_t)((meter->seen_max + unit - 1) / unit),
	    .least = (uint64_t)(meter->least_max / unit),
	    .most = (uint64_t)((meter->most_max + unit - 1) / unit),
	};
}

void
weir_window_meter_make(struct weir_window_meter *meter, uint64_t window_ns, uint64_t hz,
                       uint64_t start)
{
	memset(meter, 0, sizeof(*meter));
	assert(window_ns >= WEIR_METER_MIN_NS);
	meter->window_ns = window_ns;
	meter->empty = WEIR_METER_NEVER;
	meter->slot_ticks = (uint64_t)((weir_u128)window_ns * hz /
	                               (WEIR_NS_PER_S * (weir_u128)(WEIR_METER_SLOTS - 2)));
	meter->slot_end = start + meter->slot_ticks;
}

/* The next slot is under way: the oldest is forgotten. */
static void
next_slot(struct weir_window_meter *meter)
{
	meter->now = meter->now + 1 == WEIR_METER_SLOTS ? 0 : meter->now + 1;
	meter->sum -= meter->slots[meter->now];
	meter->slots[meter->now] = 0;
	meter->since_sum -= meter->since[meter->now];
	meter->since[meter->now] = 0;
	meter->slot_end += meter->slot_ticks;
}

static void
move_to(struct weir_window_meter *meter, uint64_t now)
{
	for (uint32_t i = 0; now >= meter->slot_end && i < WEIR_METER_SLOTS; i++)
		next_slot(meter);
	/* All are forgotten by now; how far behind does not matter. */
	if (now >= meter->slot_end)
		meter->slot_end =
		    now + meter->slot_ticks - (now - meter->slot_end) % meter->slot_ticks;
}

static uint32_t
slot_before(uint32_t slot, uint64_t slots)
{
	return (uint32_t)((slot + WEIR_METER_SLOTS - slots) % WEIR_METER_SLOTS);
}

void
weir_window_meter_add(struct weir_window_meter *meter, uint64_t empty, uint64_t now,
                      uint64_t wire_bytes)
{
	uint64_t ago, within;

	if (empty != meter->empty) {
		move_to(meter, empty);
		meter->empty = empty;
		meter->open = meter->sum;
	}
	meter->open += wire_bytes;
	if (meter->open > meter->at_most)
		meter->at_most = meter->open;
	move_to(meter, now);
	meter->slots[meter->now] += wire_bytes;
	meter->sum += wire_bytes;
	/* What came since an empty look too long ago came within no window for certain. */
	ago = (meter->slot_end - 1 - empty) / meter->slot_ticks;
	if (ago < WEIR_METER_SLOTS) {
		meter->since[slot_before(meter->now, ago)] += wire_bytes;
		meter->since_sum += wire_bytes;
	}
	within = meter->since_sum - meter->since[slot_before(meter->now, WEIR_METER_SLOTS - 1)] -
	         meter->since[slot_before(meter->now, WEIR_METER_SLOTS - 2)];
	if (within > meter->at_least)
		meter->at_least = within;
}
