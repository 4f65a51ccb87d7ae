/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/departures.h"

#include "dataplane/counters.h"
#include "drivers/memory.h"

#include <errno.h>
#include <rte_ethdev.h>

#define BITS_PER_BYTE 8U

int
weir_departures_init(struct weir_departures *departures, uint16_t port_id, uint16_t queue_id,
                     uint32_t n_descriptors, int node)
{
	assert(n_descriptors >= 2 && n_descriptors <= UINT16_MAX);
	departures->frames = weir_memory_alloc(n_descriptors * sizeof(*departures->frames), node);
	if (departures->frames == NULL)
		return -ENOMEM;
	departures->n_descriptors = n_descriptors;
	departures->port_id = port_id;
	departures->queue_id = queue_id;
	atomic_store(&departures->most_bytes, UINT64_MAX);
	return 0;
}

void
weir_departures_fini(struct weir_departures *departures)
{
	weir_memory_free(departures->frames,
	                 departures->n_descriptors * sizeof(*departures->frames));
	departures->frames = NULL;
}

void
weir_departures_set_limit(struct weir_departures *departures, uint64_t rate_bit_s,
                          uint64_t burst_bytes, uint32_t uncounted_bytes, uint64_t tsc_hz)
{
	weir_u128 divisor = (weir_u128)BITS_PER_BYTE * tsc_hz;
	weir_u128 limit_q32 = (((weir_u128)rate_bit_s << WEIR_SHARE_SHIFT) + divisor - 1) / divisor;

	assert(tsc_hz > 0 && limit_q32 <= UINT64_MAX);
	/* None in between: a pair of one's rate and the other's burst would judge unfairly. */
	atomic_store_explicit(&departures->limit_q32, 0, memory_order_release);
	atomic_store_explicit(&departures->limit_burst_bytes, burst_bytes, memory_order_release);
	atomic_store_explicit(&departures->limit_uncounted_bytes, uncounted_bytes,
	                      memory_order_release);
	atomic_store_explicit(&departures->limit_q32, (uint64_t)limit_q32, memory_order_release);
}

void
weir_departures_start_limit(struct weir_departures *departures)
{
	atomic_fetch_add_explicit(&departures->limit_starts, 1, memory_order_release);
}

static void
start_over(struct weir_departures *departures)
{
	departures->marked = false;
	departures->period_bytes = 0;
	departures->pending_tsc = 0;
}

/* Bytes that the limit allows in a time, but for its burst; rounded down. */
static uint64_t
allowed_bytes(const struct weir_departures *departures, uint64_t elapsed_tsc)
{
	weir_u128 bytes = (weir_u128)departures->judged_q32 * elapsed_tsc >> WEIR_SHARE_SHIFT;

	return bytes > UINT64_MAX ? UINT64_MAX : (uint64_t)bytes;
}

/*
 * Sees to it that one limit and one run of the clock are judged by. Returns false where all starts
 * over, because either has changed.
 */
static bool
go_on(struct weir_departures *departures, uint64_t now_tsc)
{
	uint64_t limit = atomic_load_explicit(&departures->limit_q32, memory_order_acquire);
	uint64_t burst = atomic_load_explicit(&departures->limit_burst_bytes, memory_order_acquire);
	uint64_t uncounted =
	    atomic_load_explicit(&departures->limit_uncounted_bytes, memory_order_acquire);
	uint64_t starts = atomic_load_explicit(&departures->limit_starts, memory_order_acquire);

	if (limit == departures->judged_q32 && burst == departures->judged_burst_bytes &&
	    uncounted == departures->judged_uncounted_bytes &&
	    starts == departures->judged_starts && now_tsc >= departures->asked_tsc)
		return true;
	departures->judged_starts = starts;
	departures->judged_uncounted_bytes = uncounted;
	departures->judged_q32 = limit;
	departures->judged_burst_bytes = burst;
	start_over(departures);
	return false;
}

/* Handed over, as the limit counts it at least. */
static uint64_t
handed_counted(const struct weir_departures *departures)
{
	return weir_count_read(&departures->handed_bytes) -
	       departures->judged_uncounted_bytes * weir_count_read(&departures->handed_frames);
}

/* Likewise of what waits. */
static uint64_t
waiting_counted(const struct weir_departures *departures)
{
	return weir_count_read(&departures->waiting_bytes) -
	       departures->judged_uncounted_bytes * departures->n;
}

/* Judges what the last asking told: all that had left by now. */
static void
judge(struct weir_departures *departures, uint64_t now_tsc)
{
	uint64_t left = handed_counted(departures) - waiting_counted(departures);
	uint64_t allowed, over;

	/* In the same round this reading is no later than what it would judge. */
	if (!departures->marked || now_tsc <= departures->asked_tsc)
		return;
	allowed = weir_sat_add(allowed_bytes(departures, now_tsc - departures->mark_tsc), 1);
	allowed = weir_sat_add(allowed, departures->judged_burst_bytes);
	over = weir_sat_sub(weir_sat_sub(left, departures->mark_bytes), allowed);
	weir_count(&departures->excess_bytes, over);
	departures->mark_bytes += over; /* counted once */
}

/* Frames are handed over from this reading on: judged from here, unless more shows from before. */
static void
mark(struct weir_departures *departures, uint64_t now_tsc)
{
	uint64_t handed = handed_counted(departures);

	if (departures->judged_q32 == 0)
		return;
	if (departures->marked && weir_sat_sub(handed, departures->mark_bytes) >
	                              allowed_bytes(departures, now_tsc - departures->mark_tsc))
		return;
	departures->marked = true;
	departures->mark_bytes = handed;
	departures->mark_tsc = now_tsc;
}

static void
show_waiting(struct weir_departures *departures, uint64_t bytes)
{
	weir_count_set_last(&departures->waiting_frames, departures->n);
	atomic_store_explicit(&departures->waiting_bytes, bytes, memory_order_relaxed);
}

void
weir_departures_add(struct weir_departures *departures, uint32_t lane, uint32_t wire_bytes,
                    uint64_t now_tsc)
{
	uint32_t place = departures->oldest + departures->n;

	assert(departures->n < departures->n_descriptors - 1);
	if (place >= departures->n_descriptors)
		place -= departures->n_descriptors;
	if (departures->n == 0) {
		if (go_on(departures, now_tsc))
			judge(departures, now_tsc);
		departures->asked_tsc = now_tsc;
		departures->period_bytes = 0;
		departures->pending_tsc = 0;
		weir_count_set_last(&departures->done_tsc, now_tsc);
		weir_count_set_last(&departures->told_tsc, now_tsc);
	}
	mark(departures, now_tsc);
	/* In this order: see weir_departures_read. */
	weir_count(&departures->handed_bytes, wire_bytes);
	weir_count_last(&departures->handed_frames, 1);
	departures->frames[place] = (struct weir_departure){.lane = lane, .wire_bytes = wire_bytes};
	departures->n++;
	show_waiting(departures, weir_count_read(&departures->waiting_bytes) + wire_bytes);
}

/* Whether the NIC says that the first k of those that wait have left. */
static bool
have_left(const struct weir_departures *departures, uint32_t k)
{
	uint32_t ago = departures->n - k + 1;
	uint32_t offset = departures->n_descriptors - ago;

	return rte_eth_tx_descriptor_status(departures->port_id, departures->queue_id,
	                                    (uint16_t)offset) == RTE_ETH_TX_DESC_DONE;
}

/*
 * How many of those that wait have left. A driver that forgets does so for the oldest: seen from a
 * done one on, it is done up to some frame and not behind it.
 */
static uint32_t
count_left(const struct weir_departures *departures)
{
	uint32_t low = departures->n, high = departures->n + 1;

	for (; low > 0 && !have_left(departures, low); low /= 2)
		high = low;
	while (low > 0 && high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (have_left(departures, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Takes out the k oldest and tells them. Returns their bytes. */
static uint64_t
tell(struct weir_departures *departures, uint32_t k, weir_departed_fn *departed, void *arg)
{
	uint64_t total = 0, bytes = 0;

	for (uint32_t i = 0; i < k; i++) {
		const struct weir_departure *frame = &departures->frames[departures->oldest];
		uint32_t next = departures->oldest + 1;

		if (next == departures->n_descriptors)
			next = 0;
		bytes += frame->wire_bytes;
		if (i + 1 == k || departures->frames[next].lane != frame->lane) {
			departed(arg, frame->lane, bytes);
			total += bytes;
			bytes = 0;
		}
		departures->oldest = next;
	}
	departures->n -= k;
	show_waiting(departures, weir_count_read(&departures->waiting_bytes) - total);
	return total;
}

/* Counts what an asking told, elapsed_tsc after the one before, for the rate. */
static void
measure(struct weir_departures *departures, uint32_t frames, uint64_t bytes, uint64_t elapsed_tsc)
{
	if (departures->n == 0) {
		departures->period_bytes = 0;
		departures->pending_tsc = 0;
		return;
	}
	if (departures->period_bytes >= departures->judged_burst_bytes &&
	    departures->period_bytes >= WEIR_DEPARTURES_BUSY_MIN_BYTES) {
		/* From frame to frame: what the last one took does not count without it. */
		departures->pending_tsc += elapsed_tsc;
		if (bytes > 0) {
			weir_count_last(&departures->busy_tsc, departures->pending_tsc);
			weir_count(&departures->busy_frames, frames);
			weir_count(&departures->busy_bytes, bytes);
			departures->pending_tsc = 0;
		}
	}
	departures->period_bytes += bytes - departures->judged_uncounted_bytes * frames;
}

uint32_t
weir_departures_poll(struct weir_departures *departures, uint64_t now_tsc,
                     weir_departed_fn *departed, void *arg)
{
	bool same = go_on(departures, now_tsc);
	uint64_t bytes = 0;
	uint32_t k;

	if (same)
		judge(departures, now_tsc);
	k = departures->n > 0 ? count_left(departures) : 0;
	if (k > 0) {
		bytes = tell(departures, k, departed, arg);
		/* In this order: see weir_departures_read. */
		weir_count(&departures->done_frames, k);
		weir_count_last(&departures->done_bytes, bytes);
		weir_count_set_last(&departures->done_tsc, now_tsc);
	}
	/* What is told at a change may have left under the limit before. */
	if (same)
		measure(departures, k, bytes, now_tsc - departures->asked_tsc);
	if (k > 0)
		weir_count_set_last(&departures->told_tsc, now_tsc);
	departures->asked_tsc = now_tsc;
	return k;
}

void
weir_departures_read(const struct weir_departures *departures, uint32_t uncounted_bytes,
                     uint64_t *left_bytes, uint64_t *handed_bytes)
{
	uint64_t bytes, frames;

	/* More frames than go with the bytes make what left less; fewer, what was handed more. */
	bytes = weir_count_read_first(&departures->done_bytes);
	frames = weir_count_read(&departures->done_frames);
	*left_bytes = weir_sat_sub(bytes, uncounted_bytes * frames);
	frames = weir_count_read_first(&departures->handed_frames);
	bytes = weir_count_read(&departures->handed_bytes);
	*handed_bytes = weir_sat_sub(bytes, uncounted_bytes * frames);
}

void
weir_departures_read_busy(const struct weir_departures *departures,
                          struct weir_departures_busy *busy)
{
	busy->rest_tsc = weir_count_read_first(&departures->told_tsc);
	busy->busy_tsc = weir_count_read_first(&departures->busy_tsc);
	busy->end_tsc = weir_count_read(&departures->done_tsc);
}

uint32_t
weir_departures_drop(struct weir_departures *departures, weir_departed_fn *departed, void *arg)
{
	uint32_t k = departures->n;

	if (k > 0)
		(void)tell(departures, k, departed, arg);
	weir_count(&departures->lost_frames, k);
	departures->oldest = 0;
	start_over(departures);
	return k;
}
