/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the frames of a stream are due. Work is wire bytes in 1/256; the rate, which steps change in
 * straight lines, says how much work is allowed by when; a frame is due as soon as all of it is
 * allowed, itself included, rounded up: so what was sent by any time is never more than the rate's
 * integral. With random gaps (Poisson) the work between two frames is exponential with the frames'
 * mean, so that the rate is the long-run mean.
 *
 * Times are 1/256 ns from the start of the run and good for two years. No function reads a clock.
 * Set up by the control thread; one worker then asks. Constant rates take one multiplication a
 * frame, rates that rise or fall a square root and a division of doubles.
 */
#ifndef WEIR_TOOLS_WEIRGEN_SCHEDULE_H
#define WEIR_TOOLS_WEIRGEN_SCHEDULE_H

#include "tools/weirgen/profile.h"
#include "tools/weirgen/random.h"

#define WEIR_TICKS_PER_NS   256U /* units of time */
#define WEIR_WORK_PER_BYTE  256U /* units of work */
#define WEIR_SCHEDULE_NEVER UINT64_MAX

struct weir_schedule_segment {
	uint64_t ticks;     /* its length */
	uint64_t work;      /* what it lets through; with those before it, rounded down */
	uint64_t step_q40;  /* ticks a unit of work, times 2^40, rounded up; 0: the rate changes */
	double from, slope; /* units of work a tick, and their change a tick */
};

struct weir_schedule {
	struct weir_schedule_segment segments[WEIR_PROFILE_STEPS_MAX];
	uint32_t n_segments;
	bool repeat;
	/* Where the latest frame stands. */
	uint32_t segment;
	uint64_t start; /* of the segment, in ticks */
	uint64_t done;  /* units of work of the segment */
};

/* From 1 to WEIR_PROFILE_STEPS_MAX steps, of which at least one lets something through. */
void weir_schedule_make(const struct weir_profile_step *steps, uint32_t n_steps, bool repeat,
                        uint64_t start_ns, struct weir_schedule *schedule);

/* weir_schedule_next where the rate changes on the way. */
uint64_t weir_schedule_next_step(struct weir_schedule *schedule, uint64_t work);

/* Goes on by an amount of work. Returns when that is allowed, or WEIR_SCHEDULE_NEVER at the end. */
static inline uint64_t
weir_schedule_next(struct weir_schedule *schedule, uint64_t work)
{
	const struct weir_schedule_segment *segment = &schedule->segments[schedule->segment];
	uint64_t done = schedule->done + work;

	if (done > segment->work || segment->step_q40 == 0)
		return weir_schedule_next_step(schedule, work);
	schedule->done = done;
	return schedule->start +
	       (uint64_t)(((weir_u128)done * segment->step_q40 + (UINT64_C(1) << 40) - 1) >> 40);
}

/* Exponentially distributed work with a mean of so many units, from 64 random bits. */
uint64_t weir_schedule_exponential(uint64_t random, double mean_work);

/* Ticks that so many wire bytes take at a rate, for multiplication: times 2^32, rounded up. */
uint64_t weir_schedule_byte_ticks_q32(uint64_t rate_bit_s);

#endif
