/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker owns. Shared by worker.c (the loop), receive.c (what comes in), egress.c (what
 * leaves) and dataplane.c (the control thread's side); nothing else includes it.
 */
#ifndef WEIR_DATAPLANE_WORKER_STATE_H
#define WEIR_DATAPLANE_WORKER_STATE_H

#include "dataplane/pacer.h"
#include "dataplane/worker.h"

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#define WEIR_BURST   32U /* frames received or drained at once */
#define WEIR_OUT_MAX 64U /* frames gathered for one port before they are sent */
#define WEIR_NO_LINK UINT16_MAX

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
	uint64_t departing_bytes; /* taken from the bucket this round */
	uint64_t burst;           /* number of the burst that gave the lane its group */
	uint32_t frames;
	uint32_t group;
	bool listed;      /* in the worker's list of departing lanes */
	uint32_t held_by; /* what kept its head back at the last look: enum hold of egress.c */
};

/* Frames that are charged and go to one port at the end of this step. */
struct weir_out {
	uint16_t port_id;
	uint16_t link;
	uint32_t n;
	struct rte_mbuf *frames[WEIR_OUT_MAX];
	uint32_t wire_bytes[WEIR_OUT_MAX];
	uint32_t lanes[WEIR_OUT_MAX];
};

struct weir_worker {
	/* Read by everyone, written by this worker. */
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t generation; /* of the snapshot it works by */
	_Atomic uint32_t ended;

	/* This worker's alone. */
	_Alignas(WEIR_CACHE_LINE) struct weir_dataplane *dataplane;
	const struct weir_snapshot *snapshot;
	struct weir_counters *counters;
	struct weir_credit *credit;
	uint32_t index;
	uint64_t burst;         /* number of the present burst, for grouping; from 1 */
	bool shared;            /* other workers use the same buckets */
	bool egress_open;       /* the control thread gives signs of life */
	uint64_t now_tsc;       /* the one reading of this round */
	uint64_t wait_tsc;      /* delay before another look at a class that can't go on */
	uint64_t queued_frames; /* in all its queues */
	uint64_t waiting_of_link[WEIR_LINKS_MAX]; /* the same, by link */
	uint64_t stop_tsc;                        /* when the stop was seen; 0: not stopping */
	uint64_t idle_due_tsc;                    /* next look for idle purses */
	uint32_t idle_next;
	uint32_t n_departing;
	uint32_t n_lanes;
	uint32_t *departing; /* n_lanes: lanes with departing_bytes */
	uint64_t idle_spent[WEIR_BUDGETS_MAX];
	struct weir_worker_config config;
	struct weir_out outs[WEIR_PORTS_MAX]; /* by DPDK's port id */
	struct weir_pacer pacer;
	struct weir_queue *queues;            /* n_lanes */
	uint64_t recalls;                     /* of credit, at the last return of all purses */
	uint16_t out_of_link[WEIR_LINKS_MAX]; /* DPDK's id of the port that egress leaves by */
};

struct weir_dataplane {
	/* Control writes, workers read. */
	_Alignas(WEIR_CACHE_LINE) _Atomic(struct weir_snapshot *) current;
	_Atomic uint64_t pulse_tsc;
	_Atomic uint32_t stop;
	_Atomic uint32_t link_up[WEIR_PORTS_MAX]; /* by DPDK's port id */

	/* Set before workers start. */
	uint64_t tsc_hz;
	uint64_t drain_tsc;
	uint32_t n_links;
	uint32_t n_workers;
	uint32_t n_launched;
	struct rte_rcu_qsbr *rcu;
	struct weir_credit *credit;
	struct weir_worker *workers[WEIR_WORKERS_MAX];
	struct weir_bucket *buckets; /* WEIR_CLASSES_MAX; workers write */
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

/* Sends all that was gathered. At the end of each round. */
void weir_egress_flush(struct weir_worker *worker);

/* Tells the buckets that what was taken in the last round has left. With the new reading. */
void weir_egress_departed(struct weir_worker *worker);

/* Drops all that waits in a lane's queue. */
void weir_egress_purge(struct weir_worker *worker, uint32_t lane, enum weir_drop reason);

/*
 * One round. The clock is read once, by the caller, at its start: what was taken from buckets in
 * the round before has left by now_tsc; what is taken in this one leaves before the next reading.
 * Returns true when a clean stop is over.
 */
bool weir_worker_round(struct weir_worker *worker, uint64_t now_tsc);

/* The loop of an lcore; arg is a struct weir_worker. Returns 0 after a clean stop. */
int weir_worker_run(void *arg);

static inline struct weir_flow_counters *
weir_worker_flow(struct weir_worker *worker, uint32_t link, enum weir_direction direction)
{
	return &worker->counters->links[link][direction];
}

static inline bool
weir_worker_link_up(const struct weir_worker *worker, uint16_t port_id)
{
	return atomic_load_explicit(&worker->dataplane->link_up[port_id], memory_order_relaxed) !=
	       0;
}

#endif
