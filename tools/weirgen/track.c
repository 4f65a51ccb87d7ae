/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/track.h"

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

void
weir_track_sequence(struct weir_track *track, uint32_t sequence)
{
	int32_t ahead;
	uint64_t number, behind;

	track->frames++;
	if (!track->seen) {
		track->seen = true;
		/* 2^32 more, so that one that was overtaken by the very first has a number too. */
		track->first = track->highest = (UINT64_C(1) << 32) + sequence;
		track->unique = 1;
		*word_of(track, track->first) |= UINT64_C(1) << track->first % 64;
		return;
	}
	ahead = (int32_t)(sequence - (uint32_t)track->highest);
	number = track->highest + (uint64_t)(int64_t)ahead;
	if (ahead > 0) {
		advance(track, number);
	} else {
		behind = track->highest - number;
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

uint64_t
weir_track_lost(const struct weir_track *track)
{
	return track->seen ? track->highest - track->first + 1 - track->unique : 0;
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
