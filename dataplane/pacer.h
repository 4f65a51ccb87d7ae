/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When to look at which waiting lane next (a class on a link): a timing wheel, one for each worker.
 * All operations take constant time, whatever the number of lanes (the idea of Carousel, SIGCOMM
 * 2017). The wheel only says when to look: what may leave is the bucket's verdict. Worker only,
 * but for making and freeing.
 */
#ifndef WEIR_DATAPLANE_PACER_H
#define WEIR_DATAPLANE_PACER_H

#include "drivers/units.h"

#define WEIR_PACER_TURN 4096U /* ticks of the wheel in one turn; one lasts 2 to 4 us */
#define WEIR_PACER_NONE UINT32_MAX

/* Where a lane stands in the wheel. */
struct weir_pacer_entry {
	uint32_t next, previous; /* lanes of the same tick */
	uint32_t where;          /* place in first, or WEIR_PACER_NONE: not waiting */
};

struct weir_pacer {
	uint64_t tick;    /* every earlier tick has been emptied */
	uint32_t shift;   /* a tick lasts 2^shift of the TSC */
	uint32_t waiting; /* lanes in the wheel */
	uint32_t n_lanes;
	struct weir_pacer_entry *entries;
	uint32_t first[WEIR_PACER_TURN]; /* head of each tick's list, or WEIR_PACER_NONE */
};

/* Makes an empty wheel for n_lanes, on a NUMA node. 0 or -ENOMEM. Control thread. */
int weir_pacer_init(struct weir_pacer *pacer, uint32_t n_lanes, uint64_t tsc_hz, int node)
    __attribute__((warn_unused_result));

/* Frees what weir_pacer_init took, also where it failed. Control thread. */
void weir_pacer_fini(struct weir_pacer *pacer);

/* Sets the wheel's time, before anything waits. */
void weir_pacer_start(struct weir_pacer *pacer, uint64_t now_tsc);

/*
 * Asks for a look at a lane delay_tsc from now or a little later; never before the next call of
 * weir_pacer_due. Delays beyond one turn are cut to it: look and ask again. A lane already in the
 * wheel is moved.
 */
void weir_pacer_schedule(struct weir_pacer *pacer, uint32_t lane, uint64_t now_tsc,
                         uint64_t delay_tsc);

/* Takes a lane out of the wheel; one that does not wait is left alone. */
void weir_pacer_cancel(struct weir_pacer *pacer, uint32_t lane);

/*
 * Takes out up to n lanes that are due, in order of time; returns how many. Those that did not fit
 * come with the next call.
 */
uint32_t weir_pacer_due(struct weir_pacer *pacer, uint64_t now_tsc, uint32_t *lanes, uint32_t n);

#endif
