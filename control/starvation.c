/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/starvation.h"

#include <string.h>

void
weir_starvation_forget(struct weir_starvation *starvation)
{
	memset(starvation, 0, sizeof(*starvation));
}

enum weir_starvation_change
weir_starvation_look(struct weir_starvation *starvation, const struct weir_class_totals *now,
                     uint64_t rate_bit_s, uint64_t largest_bytes)
{
	const struct weir_class_totals before = starvation->last;
	uint64_t left = now->tx_wire_bytes - before.tx_wire_bytes;
	uint64_t dropped = now->dropped_wire_bytes - before.dropped_wire_bytes;
	/* Since nothing left, what waited then still waits. */
	bool stuck = left == 0 && before.queued_bytes > 0 && now->queued_bytes > 0 &&
	             rate_bit_s / 8 >= 2 * largest_bytes;
	bool looked = starvation->looked, lacks = dropped > left || stuck;

	starvation->last = *now;
	starvation->looked = true;
	if (!looked)
		return WEIR_STARVATION_SAME;
	if (lacks == starvation->starved) {
		starvation->streak = 0;
		return WEIR_STARVATION_SAME;
	}
	if (starvation->streak == 0)
		starvation->left_bytes = starvation->dropped_bytes = 0;
	starvation->left_bytes += left;
	starvation->dropped_bytes += dropped;
	if (++starvation->streak < WEIR_STARVATION_SECONDS)
		return WEIR_STARVATION_SAME;
	starvation->streak = 0;
	starvation->starved = lacks;
	return lacks ? WEIR_STARVATION_BEGINS : WEIR_STARVATION_ENDS;
}
