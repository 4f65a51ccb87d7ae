/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/schedule.h"

#include <assert.h>
#include <math.h>

/* Units of work a tick at 1 bit/s: 1/8 byte a second, both in 1/256. */
#define BITS_NS (8 * WEIR_NS_PER_S)

static uint64_t
ceil_div(weir_u128 value, weir_u128 by)
{
	return (uint64_t)((value + by - 1) / by);
}

/* before: what the steps before this one let through, in units of work times 2 * BITS_NS. Returns
 * the same of all until its end. */
static weir_u128
make_segment(const struct weir_profile_step *step, weir_u128 before,
             struct weir_schedule_segment *segment)
{
	const weir_u128 unit = 2 * (weir_u128)BITS_NS;
	weir_u128 ticks = (weir_u128)step->ns * WEIR_TICKS_PER_NS;
	weir_u128 until = before + ticks * ((weir_u128)step->from_bit_s + step->to_bit_s);

	*segment = (struct weir_schedule_segment){
	    .ticks = (uint64_t)ticks,
	    .work = (uint64_t)(until / unit - before / unit),
	    .from = (double)step->from_bit_s / (double)BITS_NS,
	};
	if (step->from_bit_s != step->to_bit_s)
		segment->slope = ((double)step->to_bit_s - (double)step->from_bit_s) /
		                 (double)BITS_NS / (double)ticks;
	else if (segment->work > 0) /* a straight line to what is allowed at the step's end */
		segment->step_q40 = ceil_div(ticks << 40, segment->work);
	if (step->ns == 0) {
		segment->step_q40 = ceil_div((weir_u128)BITS_NS << 40, step->from_bit_s);
		assert(segment->step_q40 > 0);
		segment->ticks = segment->work = UINT64_MAX;
	}
	return until;
}

void
weir_schedule_make(const struct weir_profile_step *steps, uint32_t n_steps, bool repeat,
                   uint64_t start_ns, struct weir_schedule *schedule)
{
	weir_u128 before = 0;

	assert(n_steps > 0 && n_steps <= WEIR_PROFILE_STEPS_MAX);
	*schedule = (struct weir_schedule){
	    .n_segments = n_steps,
	    .repeat = repeat,
	    .start = start_ns * WEIR_TICKS_PER_NS,
	};
	for (uint32_t i = 0; i < n_steps; i++)
		before = make_segment(&steps[i], before, &schedule->segments[i]);
}

/*
 * The time t at which from t + slope t^2 / 2 reaches done, in the form that does not cancel.
 * Doubles err by parts in 1e15, so a tick more is enough.
 */
static uint64_t
ramp_ticks(const struct weir_schedule_segment *segment, uint64_t done)
{
	double work = (double)done;
	double square = segment->from * segment->from + 2 * segment->slope * work;
	double ticks = 2 * work / (segment->from + sqrt(square > 0 ? square : 0));

	ticks = ticks * (1 + 1e-14) + 1;
	return ticks < (double)segment->ticks ? (uint64_t)ticks : segment->ticks;
}

uint64_t
weir_schedule_next_step(struct weir_schedule *schedule, uint64_t work)
{
	const struct weir_schedule_segment *segment = &schedule->segments[schedule->segment];
	uint64_t done = schedule->done + work;

	/* Ends: the segments together let something through (profile.c), and done shrinks by it. */
	while (done > segment->work) {
		done -= segment->work;
		schedule->start += segment->ticks;
		if (++schedule->segment == schedule->n_segments) {
			schedule->segment = 0;
			if (!schedule->repeat) {
				schedule->segment = schedule->n_segments - 1;
				schedule->done = segment->work;
				schedule->start -= segment->ticks;
				return WEIR_SCHEDULE_NEVER;
			}
		}
		segment = &schedule->segments[schedule->segment];
	}
	schedule->done = done;
	return segment->step_q40 == 0 ? schedule->start + ramp_ticks(segment, done)
	                              : weir_schedule_next(schedule, 0);
}

uint64_t
weir_schedule_exponential(uint64_t random, double mean_work)
{
	/* Above 0 and at most 1, in steps of 2^-53: the longest gap is 37 times the mean. */
	double uniform = (double)((random >> 11) + 1) * 0x1p-53;
	uint64_t work = (uint64_t)(-log(uniform) * mean_work + 0.5);

	return work > 0 ? work : 1;
}

uint64_t
weir_schedule_byte_ticks_q32(uint64_t rate_bit_s)
{
	assert(rate_bit_s > 0);
	return ceil_div((weir_u128)BITS_NS * WEIR_TICKS_PER_NS << 32, rate_bit_s);
}
