/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/track.h"

#include "drivers/units.h"

#include <assert.h>

#define SUB_BITS  4U /* 16 buckets for each power of two */
#define SUB       (1U << SUB_BITS)
#define TIME_HALF (INT64_C(1) << (WEIR_STAMP_TIME_BITS - 1))
#define TIME_MASK ((UINT64_C(1) << WEIR_STAMP_TIME_BITS) - 1)

uint32_t
weir_histogram_bucket(uint64_t ns)
{
	uint32_t power;

	if (ns < SUB)
		return (uint32_t)ns;
	power = 63U - (uint32_t)__builtin_clzll(ns);
	return (power - SUB_BITS + 1) * SUB + (uint32_t)(ns >> (power - SUB_BITS) & (SUB - 1));
}

uint64_t
weir_histogram_bucket_end(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < SUB)
		return bucket;
	shift = bucket / SUB - 1;
	/* The last one's end is 2^64 - 1: the sum wraps to it. */
	return (((uint64_t)SUB + bucket % SUB + 1) << shift) - 1;
}

void
weir_histogram_add(struct weir_histogram *histogram, uint64_t ns)
{
	static_assert(WEIR_TRACK_BUCKETS == (64 - SUB_BITS + 1) * SUB, "a bucket for every time");
	if (histogram->count == 0 || ns < histogram->min_ns)
		histogram->min_ns = ns;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
	histogram->sum_ns += ns;
	histogram->buckets[weir_histogram_bucket(ns)]++;
	histogram->count++;
}

uint64_t
weir_histogram_quantile(const struct weir_histogram *histogram, double share)
{
	double wanted = share * (double)histogram->count;
	uint64_t below = 0, end;

	for (uint32_t i = 0; i < WEIR_TRACK_BUCKETS && histogram->count > 0; i++) {
		below += histogram->buckets[i];
		if (histogram->buckets[i] == 0 || (double)below < wanted)
			continue;
		end = weir_histogram_bucket_end(i);
		return end < histogram->max_ns ? end : histogram->max_ns;
	}
	return histogram->max_ns;
}

static uint64_t *
word_of(struct weir_track *track, uint64_t number)
{
	return &track->bits[number % WEIR_TRACK_WINDOW / 64];
}

/* Forgets what is known of the numbers behind the highest up to this one, which becomes it. */
static void
advance(struct weir_track *track, uint64_t number)
{
	if (number - track->highest >= WEIR_TRACK_WINDOW) {
		memset(track->bits, 0, sizeof(track->bits));
	} else {
		for (uint64_t n = track->highest + 1; n <= number; n++)
			*word_of(track, n) &= ~(UINT64_C(1) << n % 64);
	}
	track->highest = number;
}

static void
start_at(struct weir_track *track, uint32_t sequence)
{
	/* 2^32 more, so that one that was overtaken by the very first has a number too. */
	track->first = track->highest = (UINT64_C(1) << 32) + sequence;
	track->unique = 1;
	memset(track->bits, 0, sizeof(track->bits));
	*word_of(track, track->first) |= UINT64_C(1) << track->first % 64;
}

static void
count_number(struct weir_track *track, uint64_t number)
{
	uint64_t behind = number < track->highest ? track->highest - number : 0;

	if (number > track->highest) {
		advance(track, number);
	} else {
		if (behind >= WEIR_TRACK_WINDOW) {
			track->stale++;
			return;
		}
		if ((*word_of(track, number) >> number % 64 & 1) != 0) {
			track->duplicates++;
			return;
		}
		track->reordered++;
		if (behind > track->reorder_max)
			track->reorder_max = behind;
		if (number < track->first)
			track->first = number;
	}
	*word_of(track, number) |= UINT64_C(1) << number % 64;
	track->unique++;
}

/* The number nearest to the highest. */
static uint64_t
number_of(const struct weir_track *track, uint32_t sequence)
{
	int32_t ahead = (int32_t)(sequence - (uint32_t)track->highest);

	return track->highest + (uint64_t)(int64_t)ahead;
}

/* Enough frames bear each other out: they are where the numbers go on. */
static void
believe(struct weir_track *track)
{
	uint32_t from = 0;

	/* The very first frame was the stray, and there is nothing behind it to lose. */
	if (track->unique == 1 && number_of(track, track->jumped[0]) < track->highest) {
		start_at(track, track->jumped[0]);
		track->stray++;
		from = 1;
	}
	for (uint32_t i = from; i < track->n_jumped; i++)
		count_number(track, number_of(track, track->jumped[i]));
	track->stray -= track->n_jumped;
	track->n_jumped = 0;
}

/* A frame with a number far away: a jump once the next ones are near it, and not where they were.
 */
static bool
take_jump(struct weir_track *track, uint32_t sequence)
{
	uint32_t n = track->n_jumped;
	int64_t from_last = n > 0 ? (int32_t)(sequence - track->jumped[n - 1]) : 0;

	if (n > 0 && (from_last == 0 || from_last >= (int64_t)WEIR_TRACK_WINDOW ||
	              from_last <= -(int64_t)WEIR_TRACK_WINDOW))
		track->n_jumped = 0;
	track->jumped[track->n_jumped++] = sequence;
	track->stray++;
	if (track->n_jumped < WEIR_TRACK_CONFIRM)
		return false;
	believe(track);
	return true;
}

bool
weir_track_sequence(struct weir_track *track, uint32_t sequence)
{
	uint64_t number;

	track->frames++;
	if (!track->seen) {
		track->seen = true;
		start_at(track, sequence);
		return true;
	}
	number = number_of(track, sequence);
	if (number > track->highest + WEIR_TRACK_WINDOW ||
	    (track->unique == 1 && number + WEIR_TRACK_WINDOW < track->highest))
		return take_jump(track, sequence);
	/* The numbers go on from where they were. */
	if (number > track->highest)
		track->n_jumped = 0;
	count_number(track, number);
	return true;
}

uint64_t
weir_track_lost(const struct weir_track *track)
{
	return track->seen ? track->highest - track->first + 1 - track->unique : 0;
}

void
weir_track_one_way(struct weir_track *track, uint64_t sent_ticks, uint64_t now_ticks,
                   uint64_t tick_ns_q32)
{
	uint64_t ticks = (now_ticks - sent_ticks) & TIME_MASK;

	track->kind = WEIR_LATENCY_ONE_WAY;
	/* Not 30 hours: CPUs' counters can differ by some ticks. */
	if (ticks >= (uint64_t)TIME_HALF)
		track->early++;
	else
		weir_histogram_add(&track->latency,
		                   (uint64_t)(((weir_u128)ticks * tick_ns_q32) >> 32));
}

void
weir_track_variation(struct weir_track *track, uint64_t sent_ns, uint64_t now_ns)
{
	/* Modulo 2^48 ns, 78 hours: of the difference to the base, which is short. */
	uint64_t difference = (now_ns - sent_ns) & TIME_MASK;
	int64_t beyond;

	if (track->kind == WEIR_LATENCY_NONE) {
		track->kind = WEIR_LATENCY_VARIATION;
		track->base_ns = (int64_t)difference;
	}
	beyond = (int64_t)((difference - (uint64_t)track->base_ns) & TIME_MASK);
	if (beyond >= TIME_HALF) {
		/* Faster than any before: what was counted until now was too short by so much. */
		track->base_ns = (int64_t)difference;
		beyond = 0;
	}
	weir_histogram_add(&track->latency, (uint64_t)beyond);
}
