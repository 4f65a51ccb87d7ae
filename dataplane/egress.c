/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a class to the send queue: bucket and budgets say how many of a class's frames may leave;
 * those are charged and gathered (out.c), the others wait in the class's queue or are dropped under
 * a reason. Nothing reaches an outside port's rte_eth_tx_burst that was not charged whole.
 */
#include "dataplane/queue.h"

#define PERMIT_TRIES 4U /* lost races for a shared bucket before a class waits */

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

/* A frame that a budget will not pay for, now or ever, does not wait. */
static bool
is_final(enum weir_hold hold)
{
	return hold == WEIR_HOLD_CAP || hold == WEIR_HOLD_CLOSED;
}

/* The reason under which a frame is dropped that may not wait. */
static enum weir_drop
drop_reason(enum weir_hold hold)
{
	switch (hold) {
	case WEIR_HOLD_CAP:
		return WEIR_DROP_CAP;
	case WEIR_HOLD_GRANT:
	case WEIR_HOLD_CLOSED:
		return WEIR_DROP_LEDGER;
	case WEIR_HOLD_PORT:
		return WEIR_DROP_TX_FULL;
	case WEIR_HOLD_NONE:
	case WEIR_HOLD_RATE:
	case WEIR_HOLD_FLIGHT:
		break;
	}
	return WEIR_DROP_RATE;
}

/*
 * How many of the first n frames may leave now. They are charged to the budgets and taken from the
 * bucket; *why says what kept the next one back.
 */
static uint32_t
permit(struct weir_worker *worker, const struct weir_out *out, uint32_t lane,
       const uint32_t *wire_bytes, uint32_t n, enum weir_hold *why)
{
	uint32_t slot = weir_lane_slot(lane);
	const struct weir_class *class = &worker->snapshot->classes[slot];
	struct weir_bucket *bucket = &worker->dataplane->buckets[slot];
	uint64_t allowance = weir_rate_allowance(&class->rate, worker->now_tsc);

	for (uint32_t try = 0; try < PERMIT_TRIES; try++) {
		uint64_t available = weir_bucket_available(bucket, allowance, class->burst_bytes);
		uint64_t bytes = 0, held;
		uint32_t k = 0, budget;

		*why = WEIR_HOLD_NONE;
		for (; k < n && bytes + wire_bytes[k] <= available; k++)
			bytes += wire_bytes[k];
		if (k < n)
			*why = WEIR_HOLD_RATE;
		while (k > 0 && !weir_credit_charge(worker->credit, worker->index, class->path,
		                                    class->n_path, bytes, &budget, &held)) {
			uint32_t state = atomic_load_explicit(
			    &worker->credit->budgets[budget].state, memory_order_acquire);

			*why = state == WEIR_CREDIT_AT_CAP ? WEIR_HOLD_CAP
			       : state == WEIR_CREDIT_OPEN ? WEIR_HOLD_GRANT
			                                   : WEIR_HOLD_CLOSED;
			while (k > 0 && bytes > held)
				bytes -= wire_bytes[--k];
		}
		if (k == 0)
			return 0;
		if (weir_bucket_take(bucket, allowance, class->burst_bytes, bytes,
		                     worker->shared)) {
			/* Otherwise noted when the port tells that they have left. */
			if (out->departures == NULL)
				weir_queue_note_departing(worker, lane, bytes);
			return k;
		}
		weir_credit_settle(worker->credit, worker->index, class->path, class->n_path, 0,
		                   bytes);
	}
	*why = WEIR_HOLD_RATE;
	return 0;
}

/* Ticks until the lane can go on, for the reason that kept it back. */
static uint64_t
delay_of(struct weir_worker *worker, uint32_t lane, enum weir_hold why)
{
	uint32_t slot = weir_lane_slot(lane);
	const struct weir_class *class = &worker->snapshot->classes[slot];
	uint64_t allowance, available, need;

	if (why == WEIR_HOLD_NONE)
		return 0;
	if (why != WEIR_HOLD_RATE && why != WEIR_HOLD_FLIGHT)
		return worker->wait_tsc;
	need = weir_wire_bytes(worker->queues[lane].head->pkt_len);
	/* A port will tell. Of what another worker sent, it does not tell us. */
	if (why == WEIR_HOLD_FLIGHT)
		return weir_rate_ticks(&class->rate, need);
	allowance = weir_rate_allowance(&class->rate, worker->now_tsc);
	available =
	    weir_bucket_available(&worker->dataplane->buckets[slot], allowance, class->burst_bytes);
	return need > available ? weir_rate_ticks(&class->rate, need - available) : 0;
}

/*
 * Whether the head of a lane, which its bucket does not let go, waits for tokens or for room: that
 * comes when a port tells that some of the burst has left, which no clock foretells. What will have
 * left by the next reading is none of it.
 */
static enum weir_hold
held_by_bucket(const struct weir_worker *worker, uint32_t lane)
{
	uint32_t slot = weir_lane_slot(lane);
	const struct weir_class *class = &worker->snapshot->classes[slot];
	uint64_t need = weir_wire_bytes(worker->queues[lane].head->pkt_len);
	uint64_t inflight = atomic_load_explicit(&worker->dataplane->buckets[slot].inflight_bytes,
	                                         memory_order_relaxed);

	if (!worker->tells)
		return WEIR_HOLD_RATE;
	for (uint32_t link = 0; link < worker->dataplane->n_links; link++)
		inflight =
		    weir_sat_sub(inflight, worker->queues[weir_lane(link, slot)].departing_bytes);
	return inflight > 0 && need + inflight >= class->burst_bytes ? WEIR_HOLD_FLIGHT
	                                                             : WEIR_HOLD_RATE;
}

/* Asks for the next look at a lane where frames wait: of the pacer, or of its send queue. */
static void
ask_for_look(struct weir_worker *worker, uint32_t lane, enum weir_hold why)
{
	if (worker->queues[lane].head == NULL)
		return;
	if (why == WEIR_HOLD_PORT) {
		weir_out_wait(worker, weir_out_of(worker, lane), lane);
		return;
	}
	worker->queues[lane].held_by = (uint8_t)why;
	weir_pacer_schedule(&worker->pacer, lane, worker->now_tsc, delay_of(worker, lane, why));
}

/*
 * Whether a lane without a backlog may take its place in the line of its send queue. Others that
 * may wait are in that line all the time where a port is full: it would never get a turn. A held
 * port gives none.
 */
static bool
may_line_up(const struct weir_worker *worker, uint32_t lane, enum weir_hold why)
{
	const struct weir_out *out = weir_out_of(worker, lane);

	return why == WEIR_HOLD_PORT && worker->queues[lane].frames < WEIR_BURST &&
	       out->first_waiting != WEIR_NO_LANE &&
	       (weir_worker_port(worker, out->port_id) & WEIR_PORT_WORD_HELD) == 0;
}

/*
 * Whether one more frame may wait, given why the first one does. A lane may hold no more of the
 * link's buffers than are left for all others, so that no class can take what the others and
 * reception need. This binds only where memory has fewer buffers than the backlogs could fill
 * (placement.h).
 */
static bool
has_room(const struct weir_worker *worker, uint32_t lane, uint32_t wire_bytes, enum weir_hold why)
{
	const struct weir_class *class = &worker->snapshot->classes[weir_lane_slot(lane)];
	const struct weir_queue *queue = &worker->queues[lane];

	if (queue->frames >=
	    weir_sat_sub(worker->config.waiting_max, worker->waiting_of_link[weir_lane_link(lane)]))
		return false;
	return class->backlog_bytes > 0 ? queue->bytes + wire_bytes <= class->backlog_bytes
	                                : may_line_up(worker, lane, why);
}

/* Lets frames that may not leave now wait, as far as the class's backlog limit allows. */
static void
let_wait(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames, uint32_t n,
         enum weir_hold why)
{
	const struct weir_class *class = &worker->snapshot->classes[weir_lane_slot(lane)];
	struct weir_queue *queue = &worker->queues[lane];
	bool waited = queue->head != NULL;
	enum weir_hold held_by = waited ? (enum weir_hold)queue->held_by : why;
	enum weir_drop reason = WEIR_DROP_BACKLOG;
	uint32_t i = 0;

	/* A backlog is for what exceeds the rate. What else fills it is to be told by its name. */
	if (class->backlog_bytes == 0 || held_by == WEIR_HOLD_GRANT || held_by == WEIR_HOLD_PORT)
		reason = drop_reason(held_by);
	while (i < n && has_room(worker, lane, weir_wire_bytes(frames[i]->pkt_len), held_by))
		weir_queue_append(worker, lane, frames[i++]);
	/* The first that does not fit ends it: a smaller one behind it must not overtake. */
	drop_of_lane(worker, lane, &frames[i], n - i, reason);
	if (i > 0 && !waited)
		ask_for_look(worker, lane, why);
}

void
weir_egress_submit(struct weir_worker *worker, uint32_t lane, struct rte_mbuf **frames, uint32_t n)
{
	struct weir_out *out = weir_out_of(worker, lane);
	uint32_t room = weir_out_room(worker, out, n), may = n < room ? n : room;
	uint32_t wire_bytes[WEIR_BURST];
	enum weir_hold why = WEIR_HOLD_NONE;
	uint32_t done = 0;

	if (worker->queues[lane].head != NULL) {
		let_wait(worker, lane, frames, n, why);
		return;
	}
	for (uint32_t i = 0; i < may; i++)
		wire_bytes[i] = weir_wire_bytes(frames[i]->pkt_len);
	while (done < may) {
		uint32_t k = permit(worker, out, lane, wire_bytes + done, may - done, &why);

		for (uint32_t i = done; i < done + k; i++)
			weir_out_add(out, lane, frames[i], wire_bytes[i]);
		done += k;
		if (done == may || !is_final(why))
			break;
		/* This frame can't be paid for, but a smaller one behind it may be. */
		drop_of_lane(worker, lane, &frames[done++], 1, drop_reason(why));
	}
	if (done == n)
		return;
	let_wait(worker, lane, frames + done, n - done, done == may ? WEIR_HOLD_PORT : why);
}

void
weir_egress_drain(struct weir_worker *worker, uint32_t lane)
{
	struct weir_queue *queue = &worker->queues[lane];
	struct weir_out *out = weir_out_of(worker, lane);
	uint32_t wire_bytes[WEIR_BURST];
	enum weir_hold why = WEIR_HOLD_NONE;
	uint32_t n = 0, done = 0, room, k;
	struct rte_mbuf *frame;

	if (!weir_worker_link_up(worker, out->port_id)) {
		weir_egress_purge(worker, lane, WEIR_DROP_LINK_DOWN);
		return;
	}
	room = weir_out_room(worker, out, queue->frames < WEIR_BURST ? queue->frames : WEIR_BURST);
	for (frame = queue->head; n < WEIR_BURST && n < room && frame != NULL; frame = frame->next)
		wire_bytes[n++] = weir_wire_bytes(frame->pkt_len);
	while (done < n) {
		k = permit(worker, out, lane, wire_bytes + done, n - done, &why);
		for (uint32_t i = done; i < done + k; i++)
			weir_out_add(out, lane, weir_queue_take(worker, lane), wire_bytes[i]);
		done += k;
		if (done == n || !is_final(why))
			break;
		frame = weir_queue_take(worker, lane);
		drop_of_lane(worker, lane, &frame, 1, drop_reason(why));
		done++;
	}
	if (done == n && n < WEIR_BURST && why == WEIR_HOLD_NONE)
		why = WEIR_HOLD_PORT;
	/* A lane without a backlog has waited for its turn, and waits for nothing else. */
	if (queue->head != NULL && queue->held_by == WEIR_HOLD_PORT && why != WEIR_HOLD_NONE &&
	    why != WEIR_HOLD_PORT &&
	    worker->snapshot->classes[weir_lane_slot(lane)].backlog_bytes == 0)
		weir_egress_purge(worker, lane, drop_reason(why));
	if (why == WEIR_HOLD_RATE && queue->head != NULL)
		why = held_by_bucket(worker, lane);
	ask_for_look(worker, lane, why);
}

void
weir_egress_purge(struct weir_worker *worker, uint32_t lane, enum weir_drop reason)
{
	while (worker->queues[lane].head != NULL) {
		struct rte_mbuf *frame = weir_queue_take(worker, lane);

		drop_of_lane(worker, lane, &frame, 1, reason);
	}
	weir_pacer_cancel(&worker->pacer, lane);
	weir_out_leave(worker, lane);
}

/*
 * Lanes of a class look at its bucket again, because what has left made room in it. Of those that
 * may go on at once the pacer takes the last one first: that must not be the one that just sent.
 */
static void
wake_class(struct weir_worker *worker, uint32_t lane)
{
	uint32_t link = weir_lane_link(lane), n_links = worker->dataplane->n_links;

	for (uint32_t i = 0; i < n_links; i++) {
		uint32_t other = weir_lane((link + i) % n_links, weir_lane_slot(lane));
		const struct weir_queue *queue = &worker->queues[other];

		if (queue->head != NULL &&
		    (queue->held_by == WEIR_HOLD_RATE || queue->held_by == WEIR_HOLD_FLIGHT))
			ask_for_look(worker, other, WEIR_HOLD_RATE);
	}
}

/*
 * What a lane handed over has left. Its class may be gone by now: then what was consumed is the
 * control thread's to set, and is not stored, as if the bucket were shared.
 */
static void
settle_departed(struct weir_worker *worker, uint32_t lane)
{
	const struct weir_snapshot *snapshot = worker->snapshot;
	uint32_t slot = weir_lane_slot(lane);
	struct weir_bucket *bucket = &worker->dataplane->buckets[slot];
	const struct weir_queue *queue = &worker->queues[lane];
	const struct weir_class *class;

	if (slot >= snapshot->n_classes || snapshot->classes[slot].n_path == 0) {
		weir_bucket_departed(bucket, 0, 0, queue->departing_bytes, true);
		return;
	}
	class = &snapshot->classes[slot];
	weir_bucket_departed(bucket, weir_rate_allowance(&class->rate, worker->now_tsc),
	                     class->burst_bytes, queue->departing_bytes, worker->shared);
	if (queue->told)
		wake_class(worker, lane);
}

void
weir_egress_departed(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->n_departing; i++) {
		uint32_t lane = worker->departing[i];
		struct weir_queue *queue = &worker->queues[lane];

		settle_departed(worker, lane);
		queue->departing_bytes = 0;
		queue->told = false;
		queue->listed = false;
	}
	worker->n_departing = 0;
}
