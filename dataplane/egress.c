/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a class to the port: bucket and budgets say how many of a class's frames may leave; those
 * are charged and gathered for their port, the others wait in the class's queue or are dropped
 * under a reason. Nothing reaches an outside port's rte_eth_tx_burst that was not charged whole.
 */
#include "dataplane/worker_state.h"

#include <rte_ethdev.h>

#define PERMIT_TRIES 4U /* lost races for a shared bucket before a class waits */

/* What keeps the next frame of a class from leaving. */
enum hold {
	HOLD_NONE,
	HOLD_RATE,   /* the bucket: until it has filled up */
	HOLD_GRANT,  /* a budget, of which more is to come */
	HOLD_PORT,   /* frames before it that the port did not take */
	HOLD_CAP,    /* a budget at its cap */
	HOLD_CLOSED, /* a budget of which nothing more is to come: the ledger has failed */
};

void
weir_egress_drop(struct weir_worker *worker, uint32_t link, struct rte_mbuf **frames, uint32_t n,
                 enum weir_drop reason)
{
	if (n == 0)
		return;
	weir_count(&weir_worker_flow(worker, link, WEIR_EGRESS)->dropped[reason], n);
	rte_pktmbuf_free_bulk(frames, n);
}

/* Drops frames that a rule had given to a class. */
static void
drop_of_lane(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames, uint32_t n,
             enum weir_drop reason)
{
	struct weir_class_counters *counters = &worker->counters->classes[weir_lane_slot(lane)];
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += weir_wire_bytes(frames[i]->pkt_len);
	weir_count(&counters->dropped_frames, n);
	weir_count(&counters->dropped_wire_bytes, bytes);
	weir_egress_drop(worker, weir_lane_link(lane), frames, n, reason);
}

static void
queue_counts(struct weir_worker *worker, uint32_t lane, bool more, uint32_t bytes)
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

static void
queue_append(struct weir_worker *worker, uint32_t lane, struct rte_mbuf *frame)
{
	struct weir_queue *queue = &worker->queues[lane];

	frame->next = NULL;
	if (queue->head == NULL)
		queue->head = frame;
	else
		queue->tail->next = frame;
	queue->tail = frame;
	queue_counts(worker, lane, true, weir_wire_bytes(frame->pkt_len));
}

static void
queue_put_back(struct weir_worker *worker, uint32_t lane, struct rte_mbuf *frame)
{
	struct weir_queue *queue = &worker->queues[lane];

	frame->next = queue->head;
	if (queue->head == NULL)
		queue->tail = frame;
	queue->head = frame;
	queue_counts(worker, lane, true, weir_wire_bytes(frame->pkt_len));
}

static struct rte_mbuf *
queue_take(struct weir_worker *worker, uint32_t lane)
{
	struct weir_queue *queue = &worker->queues[lane];
	struct rte_mbuf *frame = queue->head;

	queue->head = frame->next;
	if (queue->head == NULL)
		queue->tail = NULL;
	frame->next = NULL;
	queue_counts(worker, lane, false, weir_wire_bytes(frame->pkt_len));
	return frame;
}

/* A frame that a budget will not pay for, now or ever, does not wait. */
static bool
is_final(enum hold hold)
{
	return hold == HOLD_CAP || hold == HOLD_CLOSED;
}

/* The reason under which a frame is dropped that may not wait. */
static enum weir_drop
drop_reason(enum hold hold)
{
	switch (hold) {
	case HOLD_CAP:
		return WEIR_DROP_CAP;
	case HOLD_GRANT:
	case HOLD_CLOSED:
		return WEIR_DROP_LEDGER;
	case HOLD_PORT:
		return WEIR_DROP_TX_FULL;
	case HOLD_NONE:
	case HOLD_RATE:
		break;
	}
	return WEIR_DROP_RATE;
}

/* Notes bytes taken from a class's bucket in this round. */
static void
note_departing(struct weir_worker *worker, uint32_t lane, uint64_t bytes)
{
	struct weir_queue *queue = &worker->queues[lane];

	if (!queue->listed)
		worker->departing[worker->n_departing++] = lane;
	queue->listed = true;
	queue->departing_bytes += bytes;
}

/*
 * How many of the first n frames may leave now. They are charged to the budgets and taken from the
 * bucket; *why says what kept the next one back.
 */
static uint32_t
permit(struct weir_worker *worker, uint32_t lane, const uint32_t *wire_bytes, uint32_t n,
       enum hold *why)
{
	uint32_t slot = weir_lane_slot(lane);
	const struct weir_class *class = &worker->snapshot->classes[slot];
	struct weir_bucket *bucket = &worker->dataplane->buckets[slot];
	uint64_t allowance = weir_rate_allowance(&class->rate, worker->now_tsc);

	for (uint32_t try = 0; try < PERMIT_TRIES; try++) {
		uint64_t available = weir_bucket_available(bucket, allowance, class->burst_bytes);
		uint64_t bytes = 0, held;
		uint32_t k = 0, budget;

		*why = HOLD_NONE;
		for (; k < n && bytes + wire_bytes[k] <= available; k++)
			bytes += wire_bytes[k];
		if (k < n)
			*why = HOLD_RATE;
		while (k > 0 && !weir_credit_charge(worker->credit, worker->index, class->path,
		                                    class->n_path, bytes, &budget, &held)) {
			uint32_t state = atomic_load_explicit(
			    &worker->credit->budgets[budget].state, memory_order_acquire);

			*why = state == WEIR_CREDIT_AT_CAP ? HOLD_CAP
			       : state == WEIR_CREDIT_OPEN ? HOLD_GRANT
			                                   : HOLD_CLOSED;
			while (k > 0 && bytes > held)
				bytes -= wire_bytes[--k];
		}
		if (k == 0)
			return 0;
		if (weir_bucket_take(bucket, allowance, class->burst_bytes, bytes,
		                     worker->shared)) {
			note_departing(worker, lane, bytes);
			return k;
		}
		weir_credit_settle(worker->credit, worker->index, class->path, class->n_path, 0,
		                   bytes);
	}
	*why = HOLD_RATE;
	return 0;
}

/* Puts frames that the port did not take back to the head of their queues, uncharged. */
static void
out_take_back(struct weir_worker *worker, struct weir_out *out, uint32_t sent)
{
	for (uint32_t i = out->n; i-- > sent;) {
		uint32_t lane = out->lanes[i];

		weir_bucket_give_back(&worker->dataplane->buckets[weir_lane_slot(lane)],
		                      out->wire_bytes[i], worker->shared);
		worker->queues[lane].departing_bytes -= out->wire_bytes[i];
		worker->queues[lane].held_by = HOLD_PORT;
		queue_put_back(worker, lane, out->frames[i]);
		weir_pacer_schedule(&worker->pacer, lane, worker->now_tsc, worker->wait_tsc);
	}
}

static void
out_flush(struct weir_worker *worker, struct weir_out *out)
{
	struct weir_flow_counters *flow = weir_worker_flow(worker, out->link, WEIR_EGRESS);
	uint64_t total = 0;
	uint32_t sent = 0;

	if (weir_worker_link_up(worker, out->port_id))
		sent = rte_eth_tx_burst(out->port_id, worker->config.tx_queue, out->frames,
		                        (uint16_t)out->n);
	for (uint32_t i = 0; i < out->n;) {
		uint32_t lane = out->lanes[i], slot = weir_lane_slot(lane);
		const struct weir_class *class = &worker->snapshot->classes[slot];
		struct weir_class_counters *counters = &worker->counters->classes[slot];
		uint64_t sent_bytes = 0, unsent_bytes = 0, frames = 0;

		for (; i < out->n && out->lanes[i] == lane; i++) {
			if (i < sent) {
				sent_bytes += out->wire_bytes[i];
				frames++;
			} else {
				unsent_bytes += out->wire_bytes[i];
			}
		}
		weir_credit_settle(worker->credit, worker->index, class->path, class->n_path,
		                   sent_bytes, unsent_bytes);
		weir_count(&counters->tx_frames, frames);
		weir_count(&counters->tx_wire_bytes, sent_bytes);
		total += sent_bytes;
	}
	weir_count(&flow->tx_frames, sent);
	weir_count(&flow->tx_wire_bytes, total);
	if (sent < out->n)
		out_take_back(worker, out, sent);
	out->n = 0;
}

static struct weir_out *
out_of(struct weir_worker *worker, uint32_t lane)
{
	return &worker->outs[worker->out_of_link[weir_lane_link(lane)]];
}

/* Gathers one charged frame for its port. */
static void
out_add(struct weir_worker *worker, uint32_t lane, struct rte_mbuf *frame, uint32_t wire_bytes)
{
	struct weir_out *out = out_of(worker, lane);

	assert(out->link != WEIR_NO_LINK && out->n < WEIR_OUT_MAX);
	out->frames[out->n] = frame;
	out->wire_bytes[out->n] = wire_bytes;
	out->lanes[out->n++] = lane;
}

/*
 * Makes room for a burst on a lane's port. Before the lane's frames are looked at, because what the
 * port does not take goes back to the head of its queue.
 */
static void
out_make_room(struct weir_worker *worker, uint32_t lane)
{
	struct weir_out *out = out_of(worker, lane);

	if (out->n > WEIR_OUT_MAX - WEIR_BURST)
		out_flush(worker, out);
}

/* Ticks until the lane can go on, for the reason that kept it back. */
static uint64_t
delay_of(struct weir_worker *worker, uint32_t lane, enum hold why)
{
	uint32_t slot = weir_lane_slot(lane);
	const struct weir_class *class = &worker->snapshot->classes[slot];
	uint64_t allowance, available, need;

	if (why == HOLD_NONE)
		return 0;
	if (why != HOLD_RATE)
		return worker->wait_tsc;
	allowance = weir_rate_allowance(&class->rate, worker->now_tsc);
	available =
	    weir_bucket_available(&worker->dataplane->buckets[slot], allowance, class->burst_bytes);
	need = weir_wire_bytes(worker->queues[lane].head->pkt_len);
	return weir_rate_ticks(&class->rate, weir_sat_sub(need, available));
}

static void
queue_ask_pacer(struct weir_worker *worker, uint32_t lane, enum hold why)
{
	if (worker->queues[lane].head == NULL)
		return;
	worker->queues[lane].held_by = why;
	weir_pacer_schedule(&worker->pacer, lane, worker->now_tsc, delay_of(worker, lane, why));
}

/*
 * Whether one more frame may wait. A lane may hold no more of the link's buffers than are left for
 * all others, so that no class can take what the others and reception need. This binds only where
 * memory has fewer buffers than the backlogs could fill (placement.h).
 */
static bool
has_room(const struct weir_worker *worker, uint32_t lane, uint32_t wire_bytes)
{
	const struct weir_class *class = &worker->snapshot->classes[weir_lane_slot(lane)];
	const struct weir_queue *queue = &worker->queues[lane];

	return queue->bytes + wire_bytes <= class->backlog_bytes &&
	       queue->frames < weir_sat_sub(worker->config.waiting_max,
	                                    worker->waiting_of_link[weir_lane_link(lane)]);
}

/* Lets frames that may not leave now wait, as far as the class's backlog limit allows. */
static void
let_wait(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames, uint32_t n,
         enum hold why)
{
	const struct weir_class *class = &worker->snapshot->classes[weir_lane_slot(lane)];
	struct weir_queue *queue = &worker->queues[lane];
	bool waited = queue->head != NULL;
	enum hold held_by = waited ? (enum hold)queue->held_by : why;
	enum weir_drop reason = held_by == HOLD_GRANT ? WEIR_DROP_LEDGER : WEIR_DROP_BACKLOG;
	uint32_t i = 0;

	if (class->backlog_bytes == 0)
		reason = drop_reason(held_by);
	while (i < n && has_room(worker, lane, weir_wire_bytes(frames[i]->pkt_len)))
		queue_append(worker, lane, frames[i++]);
	/* The first that does not fit ends it: a smaller one behind it must not overtake. */
	drop_of_lane(worker, lane, &frames[i], n - i, reason);
	if (i > 0 && !waited)
		queue_ask_pacer(worker, lane, why);
}

void
weir_egress_submit(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames, uint32_t n)
{
	uint32_t wire_bytes[WEIR_BURST];
	enum hold why = HOLD_NONE;
	uint32_t done = 0;

	out_make_room(worker, lane);
	if (worker->queues[lane].head != NULL) {
		let_wait(worker, lane, frames, n, why);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		wire_bytes[i] = weir_wire_bytes(frames[i]->pkt_len);
	while (done < n) {
		uint32_t k = permit(worker, lane, wire_bytes + done, n - done, &why);

		for (uint32_t i = done; i < done + k; i++)
			out_add(worker, lane, frames[i], wire_bytes[i]);
		done += k;
		if (done == n)
			return;
		if (!is_final(why))
			break;
		/* This frame can't be paid for, but a smaller one behind it may be. */
		drop_of_lane(worker, lane, &frames[done++], 1, drop_reason(why));
	}
	let_wait(worker, lane, frames + done, n - done, why);
}

void
weir_egress_drain(struct weir_worker *worker, uint32_t lane)
{
	uint32_t wire_bytes[WEIR_BURST];
	enum hold why = HOLD_NONE;
	struct rte_mbuf *frame;
	uint32_t n = 0, k;

	if (!weir_worker_link_up(worker, out_of(worker, lane)->port_id)) {
		weir_egress_purge(worker, lane, WEIR_DROP_LINK_DOWN);
		return;
	}
	out_make_room(worker, lane);
	for (frame = worker->queues[lane].head; n < WEIR_BURST && frame != NULL;
	     frame = frame->next)
		wire_bytes[n++] = weir_wire_bytes(frame->pkt_len);
	for (uint32_t done = 0; done < n;) {
		k = permit(worker, lane, wire_bytes + done, n - done, &why);
		for (uint32_t i = done; i < done + k; i++)
			out_add(worker, lane, queue_take(worker, lane), wire_bytes[i]);
		done += k;
		if (done == n || !is_final(why))
			break;
		frame = queue_take(worker, lane);
		drop_of_lane(worker, lane, &frame, 1, drop_reason(why));
		done++;
	}
	queue_ask_pacer(worker, lane, why);
}

void
weir_egress_purge(struct weir_worker *worker, uint32_t lane, enum weir_drop reason)
{
	while (worker->queues[lane].head != NULL) {
		struct rte_mbuf *frame = queue_take(worker, lane);

		drop_of_lane(worker, lane, &frame, 1, reason);
	}
	weir_pacer_cancel(&worker->pacer, lane);
}

void
weir_egress_flush(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->config.n_rx; i++) {
		struct weir_out *out = &worker->outs[worker->config.rx[i].out_port_id];

		if (out->n > 0)
			out_flush(worker, out);
	}
}

void
weir_egress_departed(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->n_departing; i++) {
		uint32_t lane = worker->departing[i], slot = weir_lane_slot(lane);
		const struct weir_class *class = &worker->snapshot->classes[slot];
		struct weir_queue *queue = &worker->queues[lane];

		weir_bucket_departed(&worker->dataplane->buckets[slot],
		                     weir_rate_allowance(&class->rate, worker->now_tsc),
		                     class->burst_bytes, queue->departing_bytes, worker->shared);
		queue->departing_bytes = 0;
		queue->listed = false;
	}
	worker->n_departing = 0;
}
