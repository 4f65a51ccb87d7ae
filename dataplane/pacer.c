/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pacer.h"

#include "drivers/memory.h"

#include <errno.h>
#include <string.h>

#define TICKS_PER_S_MIN 250000U /* a tick lasts at most 4 us */

int
weir_pacer_init(struct weir_pacer *pacer, uint32_t n_lanes, uint64_t tsc_hz, int node)
{
	memset(pacer, 0, sizeof(*pacer));
	pacer->n_lanes = n_lanes;
	pacer->entries = weir_memory_alloc(n_lanes * sizeof(*pacer->entries), node);
	if (pacer->entries == NULL)
		return -ENOMEM;
	while ((tsc_hz >> (pacer->shift + 1)) >= TICKS_PER_S_MIN)
		pacer->shift++;
	memset(pacer->first, 0xff, sizeof(pacer->first));
	for (uint32_t lane = 0; lane < n_lanes; lane++)
		pacer->entries[lane].where = WEIR_PACER_NONE;
	return 0;
}

void
weir_pacer_fini(struct weir_pacer *pacer)
{
	weir_memory_free(pacer->entries, pacer->n_lanes * sizeof(*pacer->entries));
	pacer->entries = NULL;
}

void
weir_pacer_start(struct weir_pacer *pacer, uint64_t now_tsc)
{
	assert(pacer->waiting == 0);
	pacer->tick = now_tsc >> pacer->shift;
}

void
weir_pacer_schedule(struct weir_pacer *pacer, uint32_t lane, uint64_t now_tsc, uint64_t delay_tsc)
{
	uint64_t due = weir_sat_add(now_tsc, delay_tsc) >> pacer->shift;
	struct weir_pacer_entry *entry = &pacer->entries[lane];
	uint32_t head;

	assert(lane < pacer->n_lanes);
	weir_pacer_cancel(pacer, lane);
	/* A look in the middle of a tick would come early: take the next one, but for no delay. */
	if (delay_tsc > 0)
		due++;
	if (due < pacer->tick)
		due = pacer->tick;
	if (due - pacer->tick >= WEIR_PACER_TURN)
		due = pacer->tick + WEIR_PACER_TURN - 1;
	entry->where = (uint32_t)(due % WEIR_PACER_TURN);
	head = pacer->first[entry->where];
	entry->next = head;
	entry->previous = WEIR_PACER_NONE;
	if (head != WEIR_PACER_NONE)
		pacer->entries[head].previous = lane;
	pacer->first[entry->where] = lane;
	pacer->waiting++;
}

void
weir_pacer_cancel(struct weir_pacer *pacer, uint32_t lane)
{
	struct weir_pacer_entry *entry = &pacer->entries[lane];

	if (entry->where == WEIR_PACER_NONE)
		return;
	if (entry->previous == WEIR_PACER_NONE)
		pacer->first[entry->where] = entry->next;
	else
		pacer->entries[entry->previous].next = entry->next;
	if (entry->next != WEIR_PACER_NONE)
		pacer->entries[entry->next].previous = entry->previous;
	entry->where = WEIR_PACER_NONE;
	assert(pacer->waiting > 0);
	pacer->waiting--;
}

uint32_t
weir_pacer_due(struct weir_pacer *pacer, uint64_t now_tsc, uint32_t *lanes, uint32_t n)
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
		uint32_t lane = pacer->first[pacer->tick % WEIR_PACER_TURN];

		if (lane != WEIR_PACER_NONE) {
			if (taken == n)
				return taken;
			weir_pacer_cancel(pacer, lane);
			lanes[taken++] = lane;
		} else if (pacer->tick == now) {
			return taken;
		} else {
			pacer->tick++;
		}
	}
	pacer->tick = now;
	return taken;
}
