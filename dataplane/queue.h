/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of a lane that wait for their turn, and what keeps them back. For egress.c and out.c. */
#ifndef WEIR_DATAPLANE_QUEUE_H
#define WEIR_DATAPLANE_QUEUE_H

#include "dataplane/worker_state.h"

/* What keeps the next frame of a lane from leaving. */
enum weir_hold {
	WEIR_HOLD_NONE,
	WEIR_HOLD_RATE,   /* the bucket: until it has filled up */
	WEIR_HOLD_FLIGHT, /* the bucket: until some of its burst, now on its way, has left */
	WEIR_HOLD_GRANT,  /* a budget, of which more is to come */
	WEIR_HOLD_PORT,   /* the send queue, which takes no more, or is held */
	WEIR_HOLD_CAP,    /* a budget at its cap */
	WEIR_HOLD_CLOSED, /* a budget of which nothing more is to come: the ledger has failed */
};

static inline void
weir_queue_counts(struct weir_worker *worker, uint32_t lane, bool more, uint32_t bytes)
{
	struct weir_queue *queue = &worker->queues[lane];
	_Atomic uint64_t *gauge = &worker->counters->classes[weir_lane_slot(lane)].queued_bytes;
	uint64_t *of_link = &worker->waiting_of_link[weir_lane_link(lane)];
	uint64_t waiting = weir_count_read(gauge);

	if (more) {
		(*of_link)++;
		queue->bytes += bytes;
		queue->frames++;
		worker->queued_frames++;
	} else {
		(*of_link)--;
		queue->bytes -= bytes;
		queue->frames--;
		worker->queued_frames--;
	}
	atomic_store_explicit(gauge, more ? waiting + bytes : waiting - bytes,
	                      memory_order_relaxed);
}

static inline void
weir_queue_append(struct weir_worker *worker, uint32_t lane, struct rte_mbuf *frame)
{
	struct weir_queue *queue = &worker->queues[lane];

	frame->next = NULL;
	if (queue->head == NULL)
		queue->head = frame;
	else
		queue->tail->next = frame;
	queue->tail = frame;
	weir_queue_counts(worker, lane, true, weir_wire_bytes(frame->pkt_len));
}

static inline void
weir_queue_put_back(struct weir_worker *worker, uint32_t lane, struct rte_mbuf *frame)
{
	struct weir_queue *queue = &worker->queues[lane];

	frame->next = queue->head;
	if (queue->head == NULL)
		queue->tail = frame;
	queue->head = frame;
	weir_queue_counts(worker, lane, true, weir_wire_bytes(frame->pkt_len));
}

static inline struct rte_mbuf *
weir_queue_take(struct weir_worker *worker, uint32_t lane)
{
	struct weir_queue *queue = &worker->queues[lane];
	struct rte_mbuf *frame = queue->head;

	queue->head = frame->next;
	if (queue->head == NULL)
		queue->tail = NULL;
	frame->next = NULL;
	weir_queue_counts(worker, lane, false, weir_wire_bytes(frame->pkt_len));
	return frame;
}

/* Notes bytes of a lane that will have left by the next reading of the clock. */
static inline void
weir_queue_note_departing(struct weir_worker *worker, uint32_t lane, uint64_t bytes)
{
	struct weir_queue *queue = &worker->queues[lane];

	if (!queue->listed)
		worker->departing[worker->n_departing++] = lane;
	queue->listed = true;
	queue->departing_bytes += bytes;
}

#endif
