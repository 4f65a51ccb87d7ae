/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_window.h"

#include <string.h>

void
weir_window_init(struct weir_window *window, uint64_t window_ns, uint64_t clock_ns)
{
	assert(window_ns > 0);
	memset(window, 0, sizeof(*window));
	window->window_ns = window_ns;
	window->slot_ns = (window_ns - 1) / WEIR_WINDOW_SLOTS + 1;
	window->newest = clock_ns / window->slot_ns;
}

bool
weir_window_roll(struct weir_window *window, uint64_t clock_ns)
{
	uint64_t now = clock_ns / window->slot_ns;
	uint64_t steps;
	bool held = window->used_bytes > 0;

	if (now <= window->newest)
		return false;
	steps = now - window->newest;
	if (steps > WEIR_WINDOW_RING)
		steps = WEIR_WINDOW_RING; /* every slot has left: each place is cleared once */
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t *slot = &window->slot_bytes[(now - i) % WEIR_WINDOW_RING];

		assert(window->used_bytes >= *slot);
		window->used_bytes -= *slot;
		*slot = 0;
	}
	window->newest = now;
	return held;
}

void
weir_window_add(struct weir_window *window, uint64_t bytes)
{
	uint64_t *slot = &window->slot_bytes[window->newest % WEIR_WINDOW_RING];

	assert(window->used_bytes <= UINT64_MAX - bytes);
	*slot += bytes;
	window->used_bytes += bytes;
}

uint64_t
weir_window_next_ns(const struct weir_window *window)
{
	uint64_t next;

	if (__builtin_mul_overflow(window->newest + 1, window->slot_ns, &next))
		return UINT64_MAX;
	return next;
}

/* Most bytes that can have been spent at time_ns or later, by what one window remembers. */
static uint64_t
spent_since(const struct weir_window *window, uint64_t time_ns, uint64_t spent_bytes)
{
	uint64_t first = time_ns / window->slot_ns;
	uint64_t sum = 0;

	if (window->newest >= WEIR_WINDOW_SLOTS && first < window->newest - WEIR_WINDOW_SLOTS)
		return spent_bytes;
	for (uint64_t n = first; n <= window->newest; n++)
		sum += window->slot_bytes[n % WEIR_WINDOW_RING];
	return sum < spent_bytes ? sum : spent_bytes;
}

void
weir_window_seed(struct weir_window *window, struct weir_window *const *others, uint32_t n_others,
                 uint64_t spent_bytes)
{
	uint64_t counted = 0;

	assert(window->used_bytes == 0);
	for (uint32_t i = 0; i < WEIR_WINDOW_RING && i <= window->newest; i++) {
		uint64_t slot = window->newest - i;
		uint64_t since = spent_bytes;

		for (uint32_t k = 0; k < n_others; k++) {
			uint64_t known =
			    spent_since(others[k], slot * window->slot_ns, spent_bytes);

			if (known < since)
				since = known;
		}
		/* Times only get earlier, so what was spent since then only grows. */
		if (since > counted) {
			window->slot_bytes[slot % WEIR_WINDOW_RING] = since - counted;
			counted = since;
		}
	}
	window->used_bytes = counted;
}
