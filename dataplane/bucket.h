/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The token bucket of a class: exact, integer, and one word of state that any number of workers
 * may share.
 *
 * A rate is a straight line: allowance(t) = base + rate x (t - start), whole bytes, rounded down.
 * The bucket's state is one number, consumed: the bytes taken so far, lifted where the bucket would
 * overflow. What may be taken at t is allowance(t) - consumed, and consumed never lies more than
 * burst below allowance(t). So for every interval, sent <= rate x interval + burst, with no error
 * that accumulates; a clock that goes backwards gives nothing; a new bucket starts empty. The
 * largest frame that can ever leave is burst - 1.
 *
 * Departure times. A worker reads the clock once a round, but a frame leaves somewhere between that
 * reading and the next (the thread may be preempted in between). While bytes are in flight in this
 * sense, the bucket's depth is burst - inflight. Then the bound above holds for the real departure
 * times, wherever they lie between the two readings: were a frame of c bytes to leave at x, a
 * bucket run by x would hold at least min(burst - c, tokens - c + rate x elapsed) afterwards.
 *
 * Why, for several workers too: let S be what leaves from a to b, and e the first time after a part
 * S1 of it was taken that a taker or settler with a reading t >= a lifts consumed. None of S1 has
 * been settled, or that would be e. So e leaves consumed at least allowance(t) - (burst - 1 - S1).
 * The rest of S is taken after e, by a reading that is no later than b, which leaves consumed at
 * most allowance(b): S <= burst - 1 + allowance(b) - allowance(t). Without an e all of S was in
 * flight at once, and the last taking of it left S <= burst - 1.
 *
 * Change of line. A new line begins at its start with what the old one allowed by then, and is
 * published after that; in between workers neither take nor settle (weir_dataplane_suspend). A
 * worker adopts it at a reading, before it settles with that reading what has left; so whoever
 * adopts late still takes by the old line, but at a reading from before the start, and none lifts
 * or settles by it at a later one. Then the law holds across the
 * change, with the upper one of both rates from the start until every worker has adopted, and the
 * larger burst for as long as something taken before is on its way. In the proof above, e may be by
 * the one line and the last taking by the other: at readings up to the start both lines are one
 * there, and later ones are all by the new line.
 * Settled by the old line and lifted by the new one, what left before the adoption would take no
 * room of what the new line has added since its start: up to a burst too much, again. And by a
 * faster old line at a late reading it would be a debt to a slower new one.
 */
#ifndef WEIR_DATAPLANE_BUCKET_H
#define WEIR_DATAPLANE_BUCKET_H

#include "drivers/units.h"

#include <stdatomic.h>

#define WEIR_RATE_SHIFT 48U /* fixed point of bytes_per_tick_q48 */

/* The line of one rate. Immutable once published. */
struct weir_rate {
	uint64_t start_tsc;
	uint64_t base_bytes;         /* allowance at start_tsc */
	uint64_t bytes_per_tick_q48; /* rounded down */
	uint64_t ticks_per_byte_q16; /* rounded up; only for scheduling, never for the verdict */
};

/* State of one class, shared by all workers. Written by workers only. */
struct weir_bucket {
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t consumed_bytes;
	_Atomic uint64_t inflight_bytes; /* taken since the taker's last reading of the clock */
};

/*
 * The line for rate_bit_s (1 to 1e12), from start_tsc on, at a TSC of at most tsc_hz.
 * base_bytes is the allowance that an earlier line of the same bucket reached at start_tsc, or 0.
 */
struct weir_rate weir_rate_make(uint64_t rate_bit_s, uint64_t tsc_hz, uint64_t start_tsc,
                                uint64_t base_bytes);

/* Bytes that the line has allowed by now_tsc. Before start_tsc: base_bytes. */
static inline uint64_t
weir_rate_allowance(const struct weir_rate *rate, uint64_t now_tsc)
{
	uint64_t elapsed = now_tsc > rate->start_tsc ? now_tsc - rate->start_tsc : 0;
	weir_u128 bytes = ((weir_u128)elapsed * rate->bytes_per_tick_q48) >> WEIR_RATE_SHIFT;

	bytes += rate->base_bytes;
	return bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes;
}

/* Ticks until bytes more will have been allowed, rounded up, at most ~2^48. For scheduling. */
static inline uint64_t
weir_rate_ticks(const struct weir_rate *rate, uint64_t bytes)
{
	weir_u128 ticks = ((weir_u128)bytes * rate->ticks_per_byte_q16 >> 16) + 1;

	return ticks > (UINT64_C(1) << 48) ? UINT64_C(1) << 48 : (uint64_t)ticks;
}

/* Empties the bucket: nothing may be taken until the line allows more. Control, before use. */
void weir_bucket_init(struct weir_bucket *bucket, const struct weir_rate *rate, uint64_t now_tsc);

/* Consumed, lifted to where the bucket is full. A value that a taker starts from. */
static inline uint64_t
weir_bucket_floor(uint64_t consumed, uint64_t inflight, uint64_t allowance, uint64_t burst_bytes)
{
	/* One less, because the difference of two rounded allowances may round up by that. */
	uint64_t depth = weir_sat_sub(burst_bytes, weir_sat_add(inflight, 1));
	uint64_t floor = weir_sat_sub(allowance, depth);

	return consumed > floor ? consumed : floor;
}

/* Bytes that may be taken, given the allowance of now. Worker. */
static inline uint64_t
weir_bucket_available(const struct weir_bucket *bucket, uint64_t allowance, uint64_t burst_bytes)
{
	uint64_t consumed = atomic_load_explicit(&bucket->consumed_bytes, memory_order_acquire);
	uint64_t inflight = atomic_load_explicit(&bucket->inflight_bytes, memory_order_acquire);

	return weir_sat_sub(allowance,
	                    weir_bucket_floor(consumed, inflight, allowance, burst_bytes));
}

/*
 * Takes bytes, whole or not at all. Worker.
 * shared: other workers take from this bucket too; without it, plain loads and stores suffice.
 * Returns false when there are not so many, or, if shared, when another worker was faster: ask
 * again. What was taken counts as in flight until weir_bucket_departed.
 */
static inline bool
weir_bucket_take(struct weir_bucket *bucket, uint64_t allowance, uint64_t burst_bytes,
                 uint64_t bytes, bool shared)
{
	uint64_t consumed, inflight, next;

	if (!shared) {
		consumed = atomic_load_explicit(&bucket->consumed_bytes, memory_order_relaxed);
		inflight = atomic_load_explicit(&bucket->inflight_bytes, memory_order_relaxed);
		next = weir_bucket_floor(consumed, inflight, allowance, burst_bytes) + bytes;
		if (next > allowance)
			return false;
		atomic_store_explicit(&bucket->inflight_bytes, inflight + bytes,
		                      memory_order_relaxed);
		atomic_store_explicit(&bucket->consumed_bytes, next, memory_order_relaxed);
		return true;
	}
	/*
	 * In flight is raised before consumed: whoever sees the new consumed sees these bytes in
	 * flight as well, and whoever saw the old one loses the exchange below or wins it before
	 * us.
	 */
	consumed = atomic_load_explicit(&bucket->consumed_bytes, memory_order_acquire);
	inflight = atomic_fetch_add_explicit(&bucket->inflight_bytes, bytes, memory_order_acq_rel);
	next = weir_bucket_floor(consumed, inflight, allowance, burst_bytes) + bytes;
	if (next <= allowance &&
	    atomic_compare_exchange_strong_explicit(&bucket->consumed_bytes, &consumed, next,
	                                            memory_order_acq_rel, memory_order_acquire))
		return true;
	atomic_fetch_sub_explicit(&bucket->inflight_bytes, bytes, memory_order_acq_rel);
	return false;
}

/* Puts back bytes that were taken since the last reading of the clock and did not leave. Worker. */
void weir_bucket_give_back(struct weir_bucket *bucket, uint64_t bytes, bool shared);

/*
 * Says that bytes taken earlier had left by the reading of the clock whose allowance this is.
 * Worker, once for each taking, at its next round.
 */
void weir_bucket_departed(struct weir_bucket *bucket, uint64_t allowance, uint64_t burst_bytes,
                          uint64_t bytes, bool shared);

#endif
