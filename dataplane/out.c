/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send queues of a worker: frames that are charged are gathered for each and handed over
 * together; what a queue refuses goes back uncharged; what it has taken is in flight until the next
 * reading of the clock or, where its port tells, until that has told that it left.
 *
 * A queue costs nothing in rounds in which nothing is sent by it, nothing of it waits in the NIC
 * and no lane waits for it.
 */
#include "dataplane/queue.h"

#include <rte_ethdev.h>

#define SERVED_MAX 64U /* lanes that get their turn in one round, of all outs */

static void
on_departed(void *arg, uint32_t lane, uint64_t wire_bytes)
{
	struct weir_worker *worker = arg;

	weir_queue_note_departing(worker, lane, wire_bytes);
	worker->queues[lane].told = true;
}

/* Looks at the state of the port. */
static uint32_t
look_at_port(struct weir_worker *worker, struct weir_out *out)
{
	uint32_t port = weir_worker_port(worker, out->port_id);

	/* The port was started again: what its ring held is gone. */
	if (out->departures != NULL && out->emptied != port / WEIR_PORT_WORD_EMPTIED) {
		out->emptied = port / WEIR_PORT_WORD_EMPTIED;
		(void)weir_departures_drop(out->departures, on_departed, worker);
	}
	out->closed = (port & (WEIR_PORT_WORD_UP | WEIR_PORT_WORD_HELD)) != WEIR_PORT_WORD_UP ||
	              worker->now_tsc < out->retry_tsc;
	return port;
}

/* Places for more frames. None for those that come late: others have waited for longer. */
static uint32_t
places_of(const struct weir_out *out)
{
	uint32_t places = WEIR_OUT_MAX - out->n;

	if (out->closed || (out->first_waiting != WEIR_NO_LANE && !out->serving))
		return 0;
	if (out->departures != NULL) {
		uint32_t room = weir_departures_room(out->departures);

		/* What is gathered will be handed over. */
		room = room > out->n ? room - out->n : 0;
		places = room < places ? room : places;
	}
	return places;
}

static void
activate(struct weir_worker *worker, struct weir_out *out)
{
	if (!out->active)
		worker->active[worker->n_active++] = out;
	out->active = true;
}

static void
join(struct weir_worker *worker, struct weir_out *out, uint32_t lane, bool first)
{
	struct weir_queue *queue = &worker->queues[lane];

	weir_out_leave(worker, lane);
	weir_pacer_cancel(&worker->pacer, lane);
	queue->waits = true;
	queue->out = (uint32_t)(out - worker->outs);
	queue->held_by = WEIR_HOLD_PORT;
	queue->previous = first ? WEIR_NO_LANE : out->last_waiting;
	queue->next = first ? out->first_waiting : WEIR_NO_LANE;
	if (queue->previous != WEIR_NO_LANE)
		worker->queues[queue->previous].next = lane;
	else
		out->first_waiting = lane;
	if (queue->next != WEIR_NO_LANE)
		worker->queues[queue->next].previous = lane;
	else
		out->last_waiting = lane;
	out->limit = out->n;
	activate(worker, out);
}

void
weir_out_wait(struct weir_worker *worker, struct weir_out *out, uint32_t lane)
{
	const struct weir_queue *queue = &worker->queues[lane];

	/* What went back just now has its place, also where the lane is looked at once more. */
	if (!queue->waits || &worker->outs[queue->out] != out)
		join(worker, out, lane, false);
}

void
weir_out_leave(struct weir_worker *worker, uint32_t lane)
{
	struct weir_queue *queue = &worker->queues[lane];
	struct weir_out *out = &worker->outs[queue->out];

	if (!queue->waits)
		return;
	queue->waits = false;
	if (queue->previous != WEIR_NO_LANE)
		worker->queues[queue->previous].next = queue->next;
	else
		out->first_waiting = queue->next;
	if (queue->next != WEIR_NO_LANE)
		worker->queues[queue->next].previous = queue->previous;
	else
		out->last_waiting = queue->previous;
}

/*
 * Puts frames that the port did not take back to the head of their queues, uncharged. Lanes that it
 * took nothing of keep their place before all others that wait for it; one that had its turn goes
 * behind them. So the first in the list gets the next place in the queue.
 */
static void
take_back(struct weir_worker *worker, struct weir_out *out, uint32_t sent)
{
	for (uint32_t i = out->n; i-- > sent;) {
		uint32_t lane = out->lanes[i];

		weir_bucket_give_back(&worker->dataplane->buckets[weir_lane_slot(lane)],
		                      out->wire_bytes[i], worker->shared);
		if (out->departures == NULL)
			worker->queues[lane].departing_bytes -= out->wire_bytes[i];
		weir_queue_put_back(worker, lane, out->frames[i]);
		if (i == sent || out->lanes[i - 1] != lane)
			join(worker, out, lane, sent == 0 || out->lanes[sent - 1] != lane);
	}
	out->retry_tsc = weir_sat_add(worker->now_tsc, worker->retry_tsc);
	out->closed = true;
}

/* Hands over what was gathered. */
static void
flush(struct weir_worker *worker, struct weir_out *out)
{
	struct weir_flow_counters *flow = weir_worker_flow(worker, out->link, WEIR_EGRESS);
	uint32_t sent =
	    rte_eth_tx_burst(out->port_id, out->queue_id, out->frames, (uint16_t)out->n);
	uint64_t total = 0;

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
	if (out->departures != NULL && sent > 0) {
		for (uint32_t i = 0; i < sent; i++)
			weir_departures_add(out->departures, out->lanes[i], out->wire_bytes[i],
			                    worker->now_tsc);
		activate(worker, out);
	}
	if (sent < out->n)
		take_back(worker, out, sent);
	out->n = out->limit = 0;
}

void
weir_out_look(struct weir_worker *worker, struct weir_out *out, uint32_t frames)
{
	if (!out->touched) {
		out->touched = true;
		worker->touched[worker->n_touched++] = out;
		(void)look_at_port(worker, out);
	} else if (out->n + frames > WEIR_OUT_MAX) {
		flush(worker, out);
	}
	out->limit = out->n + places_of(out);
}

void
weir_out_flush(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->n_touched; i++) {
		struct weir_out *out = worker->touched[i];

		if (out->n > 0)
			flush(worker, out);
		/* The first look in the next round is at the port. */
		out->touched = false;
		out->limit = 0;
	}
	worker->n_touched = 0;
}

/* Gives turns to lanes that wait for one out. Returns to how many. */
static uint32_t
serve(struct weir_worker *worker, struct weir_out *out, uint32_t turns)
{
	bool up = weir_worker_link_up(worker, out->port_id);
	uint32_t served = 0;

	out->serving = true;
	for (; served < turns && out->first_waiting != WEIR_NO_LANE; served++) {
		uint32_t lane = out->first_waiting;

		if (!up) {
			weir_egress_purge(worker, lane, WEIR_DROP_LINK_DOWN);
			continue;
		}
		weir_out_look(worker, out, WEIR_BURST);
		if (out->limit == out->n)
			break;
		weir_out_leave(worker, lane);
		weir_egress_drain(worker, lane);
	}
	out->serving = false;
	out->limit = out->touched ? out->n + places_of(out) : 0;
	return served;
}

uint32_t
weir_out_serve(struct weir_worker *worker)
{
	uint32_t served = 0, n = worker->n_active;

	/* None leaves the list here. One that joins it was refused frames just now. */
	for (uint32_t i = 0; i < n && served < SERVED_MAX; i++) {
		struct weir_out *out = worker->active[(worker->turn + i) % n];

		if (out->first_waiting != WEIR_NO_LANE)
			served += serve(worker, out, SERVED_MAX - served);
	}
	worker->turn++;
	return served;
}

void
weir_out_poll(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->n_active;) {
		struct weir_out *out = worker->active[i];
		uint32_t port = look_at_port(worker, out), waited = 0;

		if (out->departures != NULL) {
			waited = out->departures->n;
			if ((port & WEIR_PORT_WORD_UP) != 0)
				(void)weir_departures_poll(out->departures, worker->now_tsc,
				                           on_departed, worker);
		}
		/* Asked once more when it is empty: only then is it judged. */
		if (waited > 0 || out->first_waiting != WEIR_NO_LANE) {
			i++;
			continue;
		}
		out->active = false;
		worker->active[i] = worker->active[--worker->n_active];
	}
}

void
weir_out_heed_moves(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < worker->n_active; i++) {
		struct weir_out *out = worker->active[i];
		uint32_t lane = out->first_waiting;

		while (lane != WEIR_NO_LANE) {
			uint32_t next = worker->queues[lane].next;

			if (weir_out_of(worker, lane) != out) {
				weir_out_leave(worker, lane);
				weir_pacer_schedule(&worker->pacer, lane, worker->now_tsc, 0);
			}
			lane = next;
		}
	}
}
