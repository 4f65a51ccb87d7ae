/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When to look at which waiting class next: a timing wheel of class slots, one for each worker.
 * All operations take constant time, whatever the number of classes (the idea of Carousel,
 * SIGCOMM 2017). The wheel only says when to look: what may leave is the bucket's verdict.
 * Worker only.
 */
#ifndef WEIR_DATAPLANE_PACER_H
#define WEIR_DATAPLANE_PACER_H

#include "drivers/units.h"

#define WEIR_PACER_TURN 4096U /* ticks of the wheel in one turn; one lasts 2 to 4 us */

struct weir_pacer {
	uint64_t tick;                   /* every earlier tick has been emptied */
	uint32_t shift;                  /* a tick lasts 2^shift of the TSC */
	uint32_t waiting;                /* classes in the wheel */
	uint16_t first[WEIR_PACER_TURN]; /* head of each tick's list, or WEIR_PACER_NONE */
	uint16_t next[WEIR_CLASSES_MAX];
	uint16_t previous[WEIR_CLASSES_MAX];
	uint16_t where[WEIR_CLASSES_MAX]; /* place in first, or WEIR_PACER_NONE: not waiting */
};

#define WEIR_PACER_NONE UINT16_MAX
static_assert(WEIR_CLASSES_MAX < WEIR_PACER_NONE, "class slots fit");

void weir_pacer_init(struct weir_pacer *pacer, uint64_t tsc_hz, uint64_t now_tsc);

/*
 * Asks for a look at a class delay_tsc from now or a little later; never before the next call of
 * weir_pacer_due. Delays beyond one turn are cut to it: look and ask again. A class already in the
 * wheel is moved.
 */
void weir_pacer_schedule(struct weir_pacer *pacer, uint32_t slot, uint64_t now_tsc,
                         uint64_t delay_tsc);

/* Takes a class out of the wheel; one that does not wait is left alone. */
void weir_pacer_cancel(struct weir_pacer *pacer, uint32_t slot);

/*
 * Takes out up to n classes that are due, in order of time; returns how many. Those that did not
 * fit come with the next call.
 */
uint32_t weir_pacer_due(struct weir_pacer *pacer, uint64_t now_tsc, uint16_t *slots, uint32_t n);

#endif
