/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pacer.h"

#include <string.h>

#define TICKS_PER_S_MIN 250000U /* a tick lasts at most 4 us */

void
weir_pacer_init(struct weir_pacer *pacer, uint64_t tsc_hz, uint64_t now_tsc)
{
	memset(pacer, 0, sizeof(*pacer));
	while ((tsc_hz >> (pacer->shift + 1)) >= TICKS_PER_S_MIN)
		pacer->shift++;
	pacer->tick = now_tsc >> pacer->shift;
	memset(pacer->first, 0xff, sizeof(pacer->first));
	memset(pacer->where, 0xff, sizeof(pacer->where));
}

void
weir_pacer_schedule(struct weir_pacer *pacer, uint32_t slot, uint64_t now_tsc, uint64_t delay_tsc)
{
	uint64_t due = weir_sat_add(now_tsc, delay_tsc) >> pacer->shift;
	uint16_t place, head;

	assert(slot < WEIR_CLASSES_MAX);
	weir_pacer_cancel(pacer, slot);
	/* A look in the middle of a tick would come early: take the next one, but for no delay. */
	if (delay_tsc > 0)
		due++;
	if (due < pacer->tick)
		due = pacer->tick;
	if (due - pacer->tick >= WEIR_PACER_TURN)
		due = pacer->tick + WEIR_PACER_TURN - 1;
	place = (uint16_t)(due % WEIR_PACER_TURN);
	head = pacer->first[place];
	pacer->next[slot] = head;
	pacer->previous[slot] = WEIR_PACER_NONE;
	if (head != WEIR_PACER_NONE)
		pacer->previous[head] = (uint16_t)slot;
	pacer->first[place] = (uint16_t)slot;
	pacer->where[slot] = place;
	pacer->waiting++;
}

void
weir_pacer_cancel(struct weir_pacer *pacer, uint32_t slot)
{
	uint16_t place = pacer->where[slot];
	uint16_t next = pacer->next[slot], previous = pacer->previous[slot];

	if (place == WEIR_PACER_NONE)
		return;
	if (previous == WEIR_PACER_NONE)
		pacer->first[place] = next;
	else
		pacer->next[previous] = next;
	if (next != WEIR_PACER_NONE)
		pacer->previous[next] = previous;
	pacer->where[slot] = WEIR_PACER_NONE;
	assert(pacer->waiting > 0);
	pacer->waiting--;
}

uint32_t
weir_pacer_due(struct weir_pacer *pacer, uint64_t now_tsc, uint16_t *slots, uint32_t n)
{
	uint64_t now = now_tsc >> pacer->shift;
	uint32_t taken = 0;

	if (now < pacer->tick)
		return 0;
	/* One turn looks at every place: more can't be waiting, however long ago the last look was.
	 */
	if (now - pacer->tick >= WEIR_PACER_TURN)
		pacer->tick = now - WEIR_PACER_TURN + 1;
	while (pacer->waiting > 0) {
		uint16_t slot = pacer->first[pacer->tick % WEIR_PACER_TURN];

		if (slot != WEIR_PACER_NONE) {
			if (taken == n)
				return taken;
			weir_pacer_cancel(pacer, slot);
			slots[taken++] = slot;
		} else if (pacer->tick == now) {
			return taken;
		} else {
			pacer->tick++;
		}
	}
	pacer->tick = now;
	return taken;
}
