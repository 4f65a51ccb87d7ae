/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker owns. Shared by worker.c (the loop), receive.c (what comes in), egress.c (what may
 * leave), out.c (by which queue it leaves) and dataplane.c (the control thread's side); nothing
 * else includes it.
 */
#ifndef WEIR_DATAPLANE_WORKER_STATE_H
#define WEIR_DATAPLANE_WORKER_STATE_H

#include "dataplane/departures.h"
#include "dataplane/pacer.h"
#include "dataplane/padding.h"
#include "dataplane/worker.h"

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#define WEIR_BURST   32U /* frames received or drained at once */
#define WEIR_OUT_MAX 64U /* frames gathered for one send queue before they are sent */
#define WEIR_NO_LANE UINT32_MAX

/*
 * A lane is a class on a link, with a queue of its own: what one link's port does not take must not
 * hold up the class on another link. Lanes of one class share its bucket.
 */
#define WEIR_LANES_OF(n_links_) ((n_links_)*WEIR_CLASSES_MAX)
static_assert((WEIR_CLASSES_MAX & (WEIR_CLASSES_MAX - 1)) == 0, "a lane splits by a mask");

static inline uint32_t
weir_lane(uint32_t link, uint32_t slot)
{
	return link * WEIR_CLASSES_MAX + slot;
}

static inline uint32_t
weir_lane_slot(uint32_t lane)
{
	return lane % WEIR_CLASSES_MAX;
}

static inline uint32_t
weir_lane_link(uint32_t lane)
{
	return lane / WEIR_CLASSES_MAX;
}

/* Frames of one lane that wait, oldest first, linked by mbuf->next (each is one segment). */
struct weir_queue {
	_Alignas(WEIR_CACHE_LINE) struct rte_mbuf *head;
	struct rte_mbuf *tail;
	uint64_t bytes;           /* wire bytes that wait */
	uint64_t departing_bytes; /* taken from the bucket, and gone by the next reading */
	uint64_t burst;           /* number of the burst that gave the lane its group */
	uint32_t frames;
	uint32_t group;
	bool listed;             /* in the worker's list of departing lanes */
	bool told;               /* of which some were told by a port: wake what waits for that */
	uint8_t held_by;         /* what kept its head back at the last look: enum weir_hold */
	uint8_t waits;           /* in the list of an out */
	uint32_t out;            /* of which: index */
	uint32_t next, previous; /* in that list: lanes, or WEIR_NO_LANE */
};
static_assert(sizeof(struct weir_queue) == WEIR_CACHE_LINE, "one line a lane");

/*
 * A send queue, and the frames that are charged and will be handed to it at the end of this step.
 * Lanes that it could not take more of wait in a list; it is served in order, so that each gets its
 * turn whatever the others have.
 */
struct weir_out {
	_Alignas(WEIR_CACHE_LINE) uint16_t port_id;
	uint16_t queue_id;
	uint16_t link;
	bool touched; /* in the worker's list of outs looked at in this round */
	bool active;  /* in its list of outs where something waits */
	bool closed;  /* by the look at its port in this round */
	bool serving; /* the lanes of its list have their turn */
	uint32_t n;
	uint32_t limit; /* so many may be gathered, before another look: n at least */
	uint32_t first_waiting, last_waiting; /* lanes, or WEIR_NO_LANE */
	uint32_t emptied;                     /* how often the port's rings were, by departures */
	uint64_t retry_tsc;                   /* it refused frames: not before */
	struct weir_departures *departures;   /* NULL: what it takes has left by the next reading */
	struct rte_mbuf *frames[WEIR_OUT_MAX];
	uint32_t wire_bytes[WEIR_OUT_MAX];
	uint32_t lanes[WEIR_OUT_MAX];
};

/* The outs of one link, one a send queue. */
struct weir_link_outs {
	struct weir_out *first;
	uint32_t n; /* 0: the worker sends nothing on it */
};

struct weir_worker {
	/* Read by everyone, written by this worker. */
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t generation; /* of the snapshot it works by */
	_Atomic uint32_t ended;
	_Atomic uint64_t noted; /* the last of dataplane's notes that it has made, as follows */
	_Atomic uint64_t note_frames[WEIR_LINKS_MAX]; /* as struct weir_note */
	_Atomic uint64_t note_wire_bytes[WEIR_LINKS_MAX];
	_Atomic uint64_t note_root_bytes;

	/* This worker's alone. */
	_Alignas(WEIR_CACHE_LINE) struct weir_dataplane *dataplane;
	const struct weir_snapshot *snapshot;
	struct weir_counters *counters;
	struct weir_credit *credit;
	uint32_t index;
	uint64_t burst;         /* number of the present burst, for grouping; from 1 */
	bool shared;            /* other workers use the same buckets */
	bool egress_open;       /* the control thread gives signs of life */
	bool tells;             /* a port of its outs tells what has left */
	uint64_t now_tsc;       /* the one reading of this round */
	uint64_t wait_tsc;      /* delay before another look at a class that can't go on */
	uint64_t retry_tsc;     /* delay before another try of a queue that refused frames */
	uint64_t queued_frames; /* in all its queues */
	uint64_t waiting_of_link[WEIR_LINKS_MAX]; /* the same, by link */
	uint64_t stop_tsc;                        /* when the stop was seen; 0: not stopping */
	uint64_t idle_due_tsc;                    /* next look for idle purses */
	uint32_t idle_next;
	uint32_t padding_next; /* slot that is looked at next */
	uint32_t n_departing;
	uint32_t n_lanes;
	uint32_t n_outs;
	uint32_t n_touched;
	uint32_t n_active;
	uint32_t turn;             /* which active out comes first in this round */
	uint32_t moves;            /* of the dataplane, at the last look */
	uint32_t *departing;       /* n_lanes: lanes with departing_bytes */
	struct weir_out **touched; /* n_outs: may hold frames */
	struct weir_out **active;  /* n_outs: frames wait in the NIC, or lanes for it */
	uint64_t idle_spent[WEIR_BUDGETS_MAX];
	struct weir_worker_config config;
	struct weir_pacer pacer;
	struct weir_queue *queues; /* n_lanes */
	struct weir_link_outs outs_of_link[WEIR_LINKS_MAX];
	struct weir_out *outs;              /* n_outs */
	struct weir_departures *departures; /* n_outs, of which those are used that are known of */
	uint64_t recalls;                   /* of credit, at the last return of all purses */
};

/* What workers must know of a port, in one word. */
#define WEIR_PORT_WORD_UP      1U /* may be polled and sent to */
#define WEIR_PORT_WORD_HELD    2U /* and is handed nothing all the same */
#define WEIR_PORT_WORD_TESTING 4U /* an inside port: not polled; padding is offered instead */
#define WEIR_PORT_WORD_EMPTIED 8U /* the rest counts how often its rings were emptied */

struct weir_dataplane {
	/* Control writes, workers read. */
	_Alignas(WEIR_CACHE_LINE) _Atomic(struct weir_snapshot *) current; /* NULL: being changed */
	_Atomic uint64_t pulse_tsc;
	_Atomic uint64_t note; /* counts requests for notes */
	_Atomic uint32_t stop;
	_Atomic uint32_t moves;                 /* counts changes of queue_of_lane */
	_Atomic uint32_t ports[WEIR_PORTS_MAX]; /* WEIR_PORT_WORD_UP and so on, by DPDK's port id */

	/* Control's alone. */
	_Alignas(WEIR_CACHE_LINE) struct weir_snapshot *latest; /* published last */

	/* Set before workers start. */
	uint64_t tsc_hz;
	uint64_t drain_tsc;
	uint32_t n_links;
	uint32_t n_workers;
	uint32_t n_launched;
	struct rte_rcu_qsbr *rcu;
	struct weir_credit *credit;
	struct weir_worker *workers[WEIR_WORKERS_MAX];
	struct weir_bucket *buckets;                 /* WEIR_CLASSES_MAX; workers write */
	_Atomic uint8_t *queue_of_lane;              /* by lane; control writes */
	struct weir_padding padding[WEIR_LINKS_MAX]; /* control writes, before a test */
};

/* Forwards a burst of n frames that came in on rx from the inside. */
void weir_receive_egress(struct weir_worker *worker, const struct weir_rx *rx,
                         struct rte_mbuf **frames, uint32_t n);

/* Forwards a burst that came in from the outside. */
void weir_receive_return(struct weir_worker *worker, const struct weir_rx *rx,
                         struct rte_mbuf **frames, uint32_t n);

/* Sends, holds or drops each of up to WEIR_BURST frames of one lane. */
void weir_egress_submit(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames,
                        uint32_t n);

/* Drops frames that came in from the inside, under a reason. */
void weir_egress_drop(struct weir_worker *worker, uint32_t link, struct rte_mbuf **frames,
                      uint32_t n, enum weir_drop reason);

/* Sends what of a lane's queue may leave now, and asks the pacer for the next look. */
void weir_egress_drain(struct weir_worker *worker, uint32_t lane);

/*
 * Tells the buckets what has left since it was taken: in the last round, or by what ports told
 * then. With the new reading, and by the latest policy: after it was adopted (bucket.h).
 */
void weir_egress_departed(struct weir_worker *worker);

/* Drops all that waits in a lane's queue. */
void weir_egress_purge(struct weir_worker *worker, uint32_t lane, enum weir_drop reason);

/*
 * Looks at an out for the first time in a round, or makes room in it for more frames, up to
 * WEIR_BURST: before a lane's frames are looked at, because what the port refuses goes back to the
 * head of its queue. See weir_out_room.
 */
void weir_out_look(struct weir_worker *worker, struct weir_out *out, uint32_t frames);

/* Has a lane wait until the out takes more; one that does already keeps its place. The lane leaves
 * the pacer. */
void weir_out_wait(struct weir_worker *worker, struct weir_out *out, uint32_t lane);

/* Ends such waiting; a lane that does not wait is left alone. */
void weir_out_leave(struct weir_worker *worker, uint32_t lane);

/* Lanes go on whose out takes more by now, in the order of their waiting. Returns how many. */
uint32_t weir_out_serve(struct weir_worker *worker);

/* Hands over all that was gathered. At the end of each round. */
void weir_out_flush(struct weir_worker *worker);

/* Asks ports what has left. After weir_out_flush; buckets hear of it with the next reading. */
void weir_out_poll(struct weir_worker *worker);

/* Lanes that wait for a queue which is no longer theirs go on. */
void weir_out_heed_moves(struct weir_worker *worker);

/*
 * One round. The clock is read once, by the caller, at its start. What was taken from buckets in
 * the round before has left by now_tsc, unless its port tells what has left: then what it told by
 * the end of that round. What is taken in this one leaves after now_tsc.
 * Returns true when a clean stop is over.
 */
bool weir_worker_round(struct weir_worker *worker, uint64_t now_tsc);

/* Writes down what was charged and handed over by now (weir_dataplane_note). */
void weir_worker_note(struct weir_worker *worker, uint64_t number);

/* The loop of an lcore; arg is a struct weir_worker. Returns 0 after a clean stop. */
int weir_worker_run(void *arg);

static inline struct weir_flow_counters *
weir_worker_flow(struct weir_worker *worker, uint32_t link, enum weir_direction direction)
{
	return &worker->counters->links[link][direction];
}

static inline uint32_t
weir_worker_port(const struct weir_worker *worker, uint16_t port_id)
{
	return atomic_load_explicit(&worker->dataplane->ports[port_id], memory_order_acquire);
}

static inline bool
weir_worker_link_up(const struct weir_worker *worker, uint16_t port_id)
{
	return (weir_worker_port(worker, port_id) & WEIR_PORT_WORD_UP) != 0;
}

/* The send queue that a lane's frames go by, now. Asked once for each look at a lane. */
static inline struct weir_out *
weir_out_of(const struct weir_worker *worker, uint32_t lane)
{
	const struct weir_link_outs *outs = &worker->outs_of_link[weir_lane_link(lane)];
	uint32_t queue = 0;

	if (outs->n > 1)
		queue = atomic_load_explicit(&worker->dataplane->queue_of_lane[lane],
		                             memory_order_relaxed);
	assert(queue < outs->n);
	return &outs->first[queue];
}

/* How many frames may be gathered for an out: as many as asked for, if it takes them. */
static inline uint32_t
weir_out_room(struct weir_worker *worker, struct weir_out *out, uint32_t frames)
{
	if (out->limit - out->n < frames)
		weir_out_look(worker, out, frames);
	return out->limit - out->n;
}

/* Gathers one charged frame, for which there is room. */
static inline void
weir_out_add(struct weir_out *out, uint32_t lane, struct rte_mbuf *frame, uint32_t wire_bytes)
{
	assert(out->n < out->limit && out->limit <= WEIR_OUT_MAX);
	out->frames[out->n] = frame;
	out->wire_bytes[out->n] = wire_bytes;
	out->lanes[out->n++] = lane;
}

#endif
