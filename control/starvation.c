/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/starvation.h"

#include <string.h>

#define LATELY_S 32U

void
weir_starvation_forget(struct weir_starvation *starvation)
{
	memset(starvation, 0, sizeof(*starvation));
}

/* Whether the class got too little in this second. */
static bool
is_bad(struct weir_starvation *starvation, uint64_t left, uint64_t dropped, bool waited,
       uint64_t rate_bit_s, uint64_t largest_bytes)
{
	/* Since nothing left, what waited then still waits. */
	bool stuck = left == 0 && waited;

	starvation->stuck = stuck ? starvation->stuck + (starvation->stuck < UINT32_MAX) : 0;
	if (left > 0 || dropped > 0) {
		starvation->lately_left_bytes += left - starvation->lately_left_bytes / LATELY_S;
		starvation->lately_dropped_bytes +=
		    dropped - starvation->lately_dropped_bytes / LATELY_S;
	}
	return dropped > left ||
	       starvation->lately_dropped_bytes / 2 > starvation->lately_left_bytes ||
	       (stuck && (weir_u128)starvation->stuck * rate_bit_s / 8 >= 2 * largest_bytes);
}

static enum weir_starvation_change
count(struct weir_starvation *starvation, bool bad)
{
	if (bad &&
	    starvation->level < (starvation->starved ? starvation->wanted : WEIR_STARVATION_BAD))
		starvation->level++;
	else if (!bad && starvation->level > 0)
		starvation->level--;
	if (!starvation->starved && starvation->level >= WEIR_STARVATION_BAD) {
		starvation->starved = true;
		starvation->wanted = starvation->wanted == 0 ? WEIR_STARVATION_GOOD
		                     : starvation->wanted < WEIR_STARVATION_MOST
		                         ? (uint16_t)(2 * starvation->wanted)
		                         : starvation->wanted;
		starvation->level = starvation->wanted;
		return WEIR_STARVATION_BEGINS;
	}
	if (starvation->starved && starvation->level == 0) {
		starvation->starved = false;
		return WEIR_STARVATION_ENDS;
	}
	return WEIR_STARVATION_SAME;
}

enum weir_starvation_change
weir_starvation_look(struct weir_starvation *starvation, const struct weir_class_totals *now,
                     uint64_t rate_bit_s, uint64_t largest_bytes)
{
	const struct weir_class_totals before = starvation->last;
	uint64_t left = now->tx_wire_bytes - before.tx_wire_bytes;
	uint64_t dropped = now->dropped_wire_bytes - before.dropped_wire_bytes;
	bool waits = now->queued_bytes > 0, looked = starvation->looked, bad;
	enum weir_starvation_change change;

	starvation->last = *now;
	starvation->looked = true;
	if (!looked)
		return WEIR_STARVATION_SAME;
	if (starvation->level == 0)
		starvation->seconds = 0;
	if (starvation->starved)
		starvation->calm = 0;
	else if (starvation->calm < WEIR_STARVATION_CALM)
		starvation->calm++;
	if (starvation->calm >= WEIR_STARVATION_CALM)
		starvation->wanted = 0;
	if (starvation->seconds == 0)
		starvation->left_bytes = starvation->dropped_bytes = 0;
	starvation->seconds++;
	starvation->left_bytes += left;
	starvation->dropped_bytes += dropped;
	bad = is_bad(starvation, left, dropped, before.queued_bytes > 0 && waits, rate_bit_s,
	             largest_bytes);
	if (left > 0 || dropped > 0 || (waits && bad)) {
		starvation->idle = 0;
		return count(starvation, bad);
	}
	/* What waits for a slow rate does not say yet how the class fares. */
	starvation->idle = waits ? 0 : starvation->idle + 1;
	if (starvation->idle < WEIR_STARVATION_IDLE)
		return WEIR_STARVATION_SAME;
	starvation->idle = 0;
	starvation->level = 0;
	change = starvation->starved ? WEIR_STARVATION_ENDS : WEIR_STARVATION_SAME;
	starvation->starved = false;
	return change;
}
