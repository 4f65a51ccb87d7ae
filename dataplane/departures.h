/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits in a NIC's send queue: frames handed over and not known to have left. One for each
 * send queue of a worker on a port that tells. Worker only, but for what says otherwise.
 *
 * Why: a queue that the NIC limits, or that several classes share, can hold frames back and let
 * them go later, faster than a class may send. So a class's bytes stay in flight (bucket.h) until
 * the NIC says that they have left. Then the bucket's law holds where it says so, for every class
 * and interval, whatever the NIC does with its limit in between; and a class never has more than
 * its burst in a NIC's queue.
 *
 * Assumed: what the NIC says has left is on the wire. A NIC may say so once it has fetched a frame
 * into its transmit packet buffer. On the wire the law then holds but for what waits there: in any
 * time, all classes of a port together may be ahead by no more than the buffer's size (160 KiB in
 * an 82599; data sheets tell), and only where the port can't send as fast as it fetches. Nothing
 * leaves uncharged, so caps are not touched.
 *
 * How: frames leave a send queue in order, one descriptor each. rte_eth_tx_descriptor_status tells
 * of the frame handed over k frames ago at offset n_descriptors - k. Drivers may forget that a
 * frame is done when they clean its descriptor, but every frame before a done one has left. A
 * driver that tells of frames in groups (by a tx_rs_thresh above 1), or that counts the offset from
 * another place, may call a frame done that still waits: it must not be asked at all.
 *
 * Excess: a limit of rate h with a burst b lets at most b + h x t leave in any time t, as it
 * counts; so frames are judged without what it may not count of each. Frames handed over from one
 * reading of the clock on leave after it, and those that an asking tells had left by the next
 * reading, however late it tells. More than b + h x t between two such readings is proof that the
 * limit does not hold; every pair of them is tried. A NIC that lets go too soon what has long
 * waited is found out once that is more than h allows in the time that it had waited.
 *
 * Rate: a busy period begins with a frame handed to an empty queue and ends when the queue is empty
 * again. In it the NIC sends as fast as its limit allows, but for the first burst. So bytes and
 * time count from one asking to the next while frames still wait at both, once the period has let
 * out a burst and WEIR_DEPARTURES_BUSY_MIN_BYTES; from an asking that told of something to another
 * that did, so that what is told late, or several at once, makes no difference in the long run. A
 * queue that is refilled late looks slower than it is.
 */
#ifndef WEIR_DATAPLANE_DEPARTURES_H
#define WEIR_DATAPLANE_DEPARTURES_H

#include "drivers/units.h"

#include <stdatomic.h>

#define WEIR_SHARE_SHIFT               32U   /* fixed point of a limit's bytes a tick */
#define WEIR_DEPARTURES_BUSY_MIN_BYTES 4096U /* of a busy period that are not measured */
#define WEIR_DEPARTURES_LARGEST_BYTES                                                              \
	9300U /* of a frame on the wire: MTU, header, tags, overhead */

/* A frame that was handed over. */
struct weir_departure {
	uint32_t lane;
	uint32_t wire_bytes;
};

struct weir_departures {
	/* Control writes: the limit to judge by. 0: none. */
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t limit_q32; /* bytes a tick, rounded up */
	_Atomic uint64_t limit_burst_bytes;
	_Atomic uint64_t limit_uncounted_bytes; /* of each frame */
	_Atomic uint64_t limit_starts;          /* how often it began anew in the NIC */
	_Atomic uint64_t most_bytes; /* that may wait; UINT64_MAX: as much as there is room for */

	/* The worker writes, anyone reads. Bytes are wire bytes. None but the gauges shrinks. */
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t waiting_frames; /* a gauge: in the NIC's queue */
	_Atomic uint64_t waiting_bytes;                            /* a gauge */
	_Atomic uint64_t done_frames; /* known to have left, since the start */
	_Atomic uint64_t done_bytes;
	_Atomic uint64_t handed_frames; /* handed over, since the start */
	_Atomic uint64_t handed_bytes;
	_Atomic uint64_t lost_frames; /* thrown away with the ring, when its port was restarted */
	_Atomic uint64_t
	    busy_frames; /* left in busy periods that were long enough to measure ... */
	_Atomic uint64_t busy_bytes;
	_Atomic uint64_t busy_tsc;     /* ... and how long those were */
	_Atomic uint64_t excess_bytes; /* left beyond what the limit allows, in all */
	/* When something was last seen to have left, or began to wait. */
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t done_tsc;
	_Atomic uint64_t told_tsc; /* the same, once all that was measured by then is counted */

	/* The worker's alone. */
	struct weir_departure *frames; /* ring of n_descriptors */
	uint32_t n_descriptors;        /* of the NIC's queue; need not be a power of two */
	uint32_t oldest;               /* place of the oldest in frames */
	uint32_t n;                    /* frames that wait */
	uint16_t port_id, queue_id;
	uint64_t asked_tsc; /* reading of the last asking, or of the first frame after idleness */
	uint64_t period_bytes; /* left since the busy period began, as the limit counts them */
	uint64_t pending_tsc;  /* measured, since something was last told */
	/* The limit that is judged by, and the hand-over from which most went beyond it. */
	uint64_t judged_q32, judged_burst_bytes, judged_uncounted_bytes, judged_starts;
	uint64_t mark_bytes; /* handed over before it, as the limit counts them */
	uint64_t mark_tsc;
	bool marked;
};

/* Tells of frames that have left, oldest first, several of a lane at once. */
typedef void weir_departed_fn(void *arg, uint32_t lane, uint64_t wire_bytes);

/*
 * Room for a queue of n_descriptors (2 to UINT16_MAX), on a NUMA node. departures is zeroed. 0 or
 * -ENOMEM. Control, before use.
 */
int weir_departures_init(struct weir_departures *departures, uint16_t port_id, uint16_t queue_id,
                         uint32_t n_descriptors, int node) __attribute__((warn_unused_result));
void weir_departures_fini(struct weir_departures *departures);

/*
 * So many more frames may be handed over: those that can be told apart, and of the largest that
 * there are no more than make the queue reach most_bytes.
 */
static inline uint32_t
weir_departures_room(const struct weir_departures *departures)
{
	uint32_t room = departures->n_descriptors - 1 - departures->n;
	uint64_t most = atomic_load_explicit(&departures->most_bytes, memory_order_relaxed), left;

	if (most == UINT64_MAX)
		return room;
	left = weir_sat_sub(most,
	                    atomic_load_explicit(&departures->waiting_bytes, memory_order_relaxed));
	left = (left + WEIR_DEPARTURES_LARGEST_BYTES - 1) / WEIR_DEPARTURES_LARGEST_BYTES;
	return left < room ? (uint32_t)left : room;
}

/* A frame was handed over, after all those before it. now_tsc: the round's reading. */
void weir_departures_add(struct weir_departures *departures, uint32_t lane, uint32_t wire_bytes,
                         uint64_t now_tsc);

/*
 * Asks the NIC what has left, tells each, and measures. now_tsc: the round's reading, which is
 * before the asking: what is told now had left by the next reading. Returns how many frames. What
 * the last asking told is judged only by the next one, so an idle queue is to be asked once more.
 */
uint32_t weir_departures_poll(struct weir_departures *departures, uint64_t now_tsc,
                              weir_departed_fn *departed, void *arg);

/*
 * What left and what was handed over, as a limit counts it that may leave out uncounted_bytes of
 * each frame. The worker goes on meanwhile: left_bytes is no more than has left by the end of this,
 * handed_bytes no less than was handed over at its beginning. Any thread.
 */
void weir_departures_read(const struct weir_departures *departures, uint32_t uncounted_bytes,
                          uint64_t *left_bytes, uint64_t *handed_bytes);

/* How long busy periods were, and when. */
struct weir_departures_busy {
	uint64_t busy_tsc; /* as departures' */
	uint64_t end_tsc;  /* all of it was by then */
	uint64_t rest_tsc; /* what is counted later is from then on */
};

/* While the worker goes on. Any thread. */
void weir_departures_read_busy(const struct weir_departures *departures,
                               struct weir_departures_busy *busy);

/*
 * The ring was emptied by a restart of its port: all that waited is gone. Tells it in the same way.
 * Returns how many frames.
 */
uint32_t weir_departures_drop(struct weir_departures *departures, weir_departed_fn *departed,
                              void *arg);

/*
 * The limit to judge by from now on; 0 bit/s: none. burst_bytes: all that the NIC may let out
 * beyond the line, a frame that it has begun included. uncounted_bytes: of each frame's wire bytes,
 * the most that the NIC does not count, less than the shortest frame has. To be called after a
 * limit was programmed that is lower, before one that is higher: measuring starts over when the
 * worker sees it, with frames that are handed over from then on. Control thread.
 */
void weir_departures_set_limit(struct weir_departures *departures, uint64_t rate_bit_s,
                               uint64_t burst_bytes, uint32_t uncounted_bytes, uint64_t tsc_hz);

/*
 * The NIC has begun the limit anew, be it the same, and may let its burst out once more. To be
 * called while nothing waits and nothing is handed over: measuring starts over. Control thread.
 */
void weir_departures_start_limit(struct weir_departures *departures);

#endif
