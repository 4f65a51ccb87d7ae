/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the stamps of one flow tell: which frames are missing, came twice or late, and how long they
 * took. Of fixed size. One thread writes; others may read while it does, and see counts that differ
 * by what came meanwhile.
 */
#ifndef WEIR_TOOLS_WEIRGEN_TRACK_H
#define WEIR_TOOLS_WEIRGEN_TRACK_H

#include "tools/weirgen/stamp.h"

#include <stdatomic.h>

#define WEIR_TRACK_FLOWS   256U  /* followed; frames of higher ones are counted together */
#define WEIR_TRACK_WINDOW  4096U /* numbers behind the highest in which one is known again */
#define WEIR_TRACK_CONFIRM 4U    /* frames that make a jump of the numbers believed */
#define WEIR_TRACK_BUCKETS 976U  /* of a histogram: 16 for each power of two of nanoseconds */

struct weir_histogram {
	uint64_t count, sum_ns, min_ns, max_ns;
	uint64_t buckets[WEIR_TRACK_BUCKETS];
};

void weir_histogram_add(struct weir_histogram *histogram, uint64_t ns);

/*
 * The least time that a share (0 to 1) of all counted do not exceed, rounded up to its bucket's
 * end: at most 6.25 % too long. 0 where none was counted.
 */
uint64_t weir_histogram_quantile(const struct weir_histogram *histogram, double share);

/* The bucket of a time, and the longest time in a bucket. */
uint32_t weir_histogram_bucket(uint64_t ns);
uint64_t weir_histogram_bucket_end(uint32_t bucket);

/* What latency was measured by. */
enum weir_latency {
	WEIR_LATENCY_NONE = 0,  /* no stamp yet, or one of a clock that can't be read here */
	WEIR_LATENCY_ONE_WAY,   /* live stamps of this machine */
	WEIR_LATENCY_VARIATION, /* by the schedule: beyond that of the fastest frame so far */
};

struct weir_track {
	bool seen;
	uint64_t frames, wire_bytes;
	uint64_t first, highest; /* numbers, counted on beyond 2^32 */
	uint64_t unique;         /* of the numbers from first to highest that came */
	uint64_t duplicates;
	uint64_t reordered;   /* came behind a higher number */
	uint64_t stale;       /* so far behind that it is not known whether they are duplicates */
	uint64_t reorder_max; /* numbers behind the highest, at most */
	/*
	 * Frames whose number is further ahead than the window, and which the next ones did not
	 * bear out: damaged, or of another sender. Told apart, so that one of them is not a loss of
	 * all numbers before it. Those that wait to be borne out are counted here until then.
	 */
	uint64_t stray;
	uint32_t n_jumped;
	uint32_t jumped[WEIR_TRACK_CONFIRM]; /* their numbers modulo 2^32 */
	uint64_t early; /* with a live stamp later than now: of a clock that is ahead of ours */
	enum weir_latency kind;
	int64_t base_ns; /* variation: least difference of clocks so far */
	uint64_t bits[WEIR_TRACK_WINDOW / 64];
	struct weir_histogram latency;
};

/* A frame with this number modulo 2^32. False where it is a stray, as far as is known. */
bool weir_track_sequence(struct weir_track *track, uint32_t sequence);

/* One-way latency, from live stamps: ticks modulo 2^48. tick_ns_q32: ns a tick, times 2^32. */
void weir_track_one_way(struct weir_track *track, uint64_t sent_ticks, uint64_t now_ticks,
                        uint64_t tick_ns_q32);

/* Numbers from the first to the highest that never came, as far as is known. */
uint64_t weir_track_lost(const struct weir_track *track);

/* Latency between two machines' clocks: sent_ns by the schedule modulo 2^48, now_ns by ours. */
void weir_track_variation(struct weir_track *track, uint64_t sent_ns, uint64_t now_ns);

#endif
