/* SPDX-License-Identifier: BSD-3-Clause */
/* The wire: which frame begins when, and when it has left. */
#include "tests/nic/model_family.h"

#define PPM          1000000U
#define FOREVER      (~(weir_model_ps)0)
#define LINE_PS_MBIT 8000000U /* picoseconds that a byte takes at 1 Mbit/s */
#define NO_QUEUE     UINT32_MAX
#define OWN_FRAME    (NO_QUEUE - 1)

void
weir_model_lock(struct weir_model *nic)
{
	int result = pthread_mutex_lock(&nic->lock);

	assert(result == 0);
}

void
weir_model_unlock(struct weir_model *nic)
{
	int result = pthread_mutex_unlock(&nic->lock);

	assert(result == 0);
}

static uint32_t
padded(uint32_t bytes)
{
	return bytes < WEIR_FRAME_MIN_BYTES ? WEIR_FRAME_MIN_BYTES : bytes;
}

static uint32_t
wire_bytes_of(const struct rte_mbuf *mbuf)
{
	return weir_wire_bytes(rte_pktmbuf_pkt_len(mbuf));
}

static bool
is_stalled(const struct weir_model *nic, uint16_t queue)
{
	return nic->cheat.stalls && (nic->cheat.stalled_queue == WEIR_MODEL_ALL_QUEUES ||
	                             nic->cheat.stalled_queue == queue);
}

/* Finds out when the queue's next frame could begin, as far as it alone is concerned. */
static void
look_at_queue(struct weir_model *nic, struct weir_model_queue *queue)
{
	uint32_t bytes;

	queue->ready =
	    queue->enabled && !is_stalled(nic, queue->id) && weir_model_queue_fetch(queue);
	if (!queue->ready)
		return;
	bytes = wire_bytes_of(queue->head);
	queue->ready_ps = queue->head_ps > queue->since_ps ? queue->head_ps : queue->since_ps;
	for (uint8_t i = 0; i < queue->n_path; i++) {
		weir_model_ps at;

		if (!weir_model_shaper_ready(nic, &nic->shapers[queue->path[i]], queue->id, bytes,
		                             &at)) {
			queue->ready = false;
			return;
		}
		queue->ready_ps = at > queue->ready_ps ? at : queue->ready_ps;
	}
}

static weir_model_credit
committed_credit(const struct weir_model_queue *queue, weir_model_ps at)
{
	weir_model_credit room = (weir_model_credit)WEIR_MODEL_BYTE_COST * WEIR_MODEL_PACE_BYTES;
	weir_u128 missing = (weir_u128)(room - queue->committed_credit);

	if (at <= queue->committed_at)
		return queue->committed_credit;
	if (at - queue->committed_at > missing / queue->committed_bit_s)
		return room;
	return queue->committed_credit +
	       (weir_model_credit)(queue->committed_bit_s * (at - queue->committed_at));
}

/* The next one in turn that may begin at a time. Those within their committed rates go first. */
static uint32_t
choose(struct weir_model *nic, weir_model_ps start)
{
	for (unsigned int pass = nic->some_committed ? 0 : 1; pass < 2; pass++) {
		for (uint32_t i = 1; i <= nic->n_queues; i++) {
			uint32_t q = (nic->last_queue + i) % nic->n_queues;
			struct weir_model_queue *queue = &nic->queues[q];

			if (!queue->ready || queue->ready_ps > start)
				continue;
			if (pass == 0 &&
			    (queue->committed_bit_s == 0 || committed_credit(queue, start) < 0))
				continue;
			return q;
		}
	}
	return NO_QUEUE;
}

/* Which frame is the next to begin, and when. NO_QUEUE: none up to limit. */
static uint32_t
next_frame(struct weir_model *nic, weir_model_ps limit, weir_model_ps *start)
{
	weir_model_ps first = nic->own_waits ? nic->own_ps : FOREVER;

	for (uint16_t q = 0; q < nic->n_queues; q++) {
		struct weir_model_queue *queue = &nic->queues[q];

		look_at_queue(nic, queue);
		if (queue->ready && queue->ready_ps < first)
			first = queue->ready_ps;
	}
	*start = first > nic->free_ps ? first : nic->free_ps;
	if (*start == FOREVER || *start > limit)
		return NO_QUEUE;
	return nic->own_waits && nic->own_ps <= *start ? OWN_FRAME : choose(nic, *start);
}

/* Whether nothing was set anew of a port that had limits. */
static bool
has_lost_all(const struct weir_model *nic)
{
	if (nic->limits_written > 0)
		return false;
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++) {
		if (nic->shapers[i].asked)
			return true;
	}
	return nic->must_be_programmed;
}

/* Whether a limit in a queue's way, that it had before, was not set anew. */
static bool
lacks_limits(const struct weir_model *nic, const struct weir_model_queue *queue)
{
	for (uint8_t i = 0; i < queue->n_path; i++) {
		const struct weir_model_shaper *shaper = &nic->shapers[queue->path[i]];

		if (shaper->asked && !shaper->written)
			return true;
	}
	return false;
}

static void
begin(struct weir_model *nic, uint16_t q, struct rte_mbuf *mbuf, uint32_t wire_bytes,
      weir_model_ps start)
{
	assert(nic->speed_mbit_s > 0 && LINE_PS_MBIT % nic->speed_mbit_s == 0);
	if (nic->lost_all || (q < nic->n_queues && lacks_limits(nic, &nic->queues[q])))
		nic->unprogrammed_frames++;
	nic->on_wire = true;
	nic->frame = (struct weir_model_frame){
	    .nic = nic, .mbuf = mbuf, .queue = q, .wire_bytes = wire_bytes};
	nic->frame_ps = start + (weir_model_ps)wire_bytes * (LINE_PS_MBIT / nic->speed_mbit_s);
}

static void
begin_handed(struct weir_model *nic, uint16_t q, weir_model_ps start)
{
	struct weir_model_queue *queue = &nic->queues[q];
	uint32_t wire_bytes = wire_bytes_of(queue->head);

	for (uint8_t i = 0; i < queue->n_path; i++)
		weir_model_shaper_take(nic, &nic->shapers[queue->path[i]], q, wire_bytes, start);
	if (queue->committed_bit_s != 0) {
		weir_model_credit credit = committed_credit(queue, start);

		queue->committed_at = start;
		queue->committed_credit = credit < 0
		                              ? credit
		                              : credit - (weir_model_credit)WEIR_MODEL_BYTE_COST *
		                                             weir_model_counted(nic, wire_bytes);
	}
	begin(nic, q, queue->head, wire_bytes, start);
	queue->head = NULL;
	nic->last_queue = q;
}

static void
begin_own(struct weir_model *nic, weir_model_ps start)
{
	uint16_t q = nic->cheat.own_queue < nic->n_queues ? nic->cheat.own_queue : 0;

	begin(nic, q, NULL, weir_wire_bytes(nic->cheat.own_bytes), start);
	nic->cheat.own_frames--;
	nic->own_waits = nic->cheat.own_frames > 0;
}

static void
add(struct weir_model_counts *counts, uint32_t wire_bytes)
{
	counts->frames++;
	counts->bytes += padded(wire_bytes - WEIR_WIRE_OVERHEAD_BYTES);
	counts->wire_bytes += wire_bytes;
}

static void
count(struct weir_model *nic, const struct weir_model_frame *frame)
{
	struct weir_model_queue *queue = &nic->queues[frame->queue];

	add(&queue->sent, frame->wire_bytes);
	add(&nic->sent_all, frame->wire_bytes);
	nic->hidden += nic->cheat.hidden_ppm;
	if (nic->hidden >= PPM) {
		nic->hidden -= PPM;
		return;
	}
	add(&queue->shown, frame->wire_bytes);
	add(&nic->shown_all, frame->wire_bytes);
}

/* The frame on the wire has left. */
static void
leave(struct weir_model *nic)
{
	struct weir_model_frame *frame = &nic->frame;

	frame->left_ns = (uint64_t)(nic->frame_ps / WEIR_MODEL_PS_PER_NS);
	frame->left_ps = (uint32_t)(nic->frame_ps % WEIR_MODEL_PS_PER_NS);
	nic->on_wire = false;
	nic->free_ps = nic->frame_ps;
	count(nic, frame);
	if (nic->sent != NULL)
		nic->sent(nic->sent_arg, frame);
	if (frame->mbuf == NULL)
		return;
	weir_model_queue_done(&nic->queues[frame->queue]);
	rte_pktmbuf_free(frame->mbuf);
}

/* All limits are gone from a time on, and the NIC doesn't say so. */
static bool
forgets(struct weir_model *nic, weir_model_ps start)
{
	weir_model_ps at = weir_model_time(nic->cheat.forget_at_ns);

	if (nic->cheat.forget_at_ns == 0 || start < at)
		return false;
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++) {
		nic->shapers[i].limited = nic->shapers[i].blocked = false;
		nic->shapers[i].at = at;
	}
	nic->cheat.forget_at_ns = 0;
	return true;
}

static void
run(struct weir_model *nic, weir_model_ps limit)
{
	nic->lost_all = has_lost_all(nic);
	for (;;) {
		weir_model_ps start;
		uint32_t next;

		if (nic->on_wire) {
			if (nic->frame_ps > limit)
				return;
			leave(nic);
		}
		if (!weir_model_is_up(nic))
			return;
		next = next_frame(nic, limit, &start);
		if (nic->cheat.forget_at_ns != 0 && forgets(nic, next == NO_QUEUE ? limit : start))
			continue;
		if (next == NO_QUEUE)
			return;
		if (next == OWN_FRAME)
			begin_own(nic, start);
		else
			begin_handed(nic, (uint16_t)next, start);
	}
}

void
weir_model_advance(struct weir_model *nic, uint64_t now_ns)
{
	weir_model_lock(nic);
	if (nic->cheat.own_frames > 0 && !nic->own_waits) {
		nic->own_waits = true;
		nic->own_ps = weir_model_now(nic);
	}
	if (now_ns < nic->now_ns)
		now_ns = nic->now_ns;
	while (nic->up_at_ns != 0 && nic->up_at_ns <= now_ns) {
		run(nic, weir_model_time(nic->up_at_ns));
		nic->now_ns = nic->up_at_ns;
		weir_model_end_blink(nic);
	}
	run(nic, weir_model_time(now_ns));
	nic->now_ns = now_ns;
	weir_model_unlock(nic);
}

void
weir_model_finish_frame(struct weir_model *nic)
{
	if (nic->on_wire)
		leave(nic);
}

/* Whether any queue still has a frame. */
static bool
some_wait(const struct weir_model *nic)
{
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		if (weir_model_waiting(nic, q) > 0)
			return true;
	}
	return nic->on_wire;
}

bool
weir_model_drain(struct weir_model *nic)
{
	if (!weir_model_is_up(nic))
		return !some_wait(nic);
	run(nic, FOREVER - 1);
	return !some_wait(nic);
}

uint64_t
weir_model_waiting(const struct weir_model *nic, uint16_t queue)
{
	return atomic_load(&nic->queues[queue].handed) - nic->queues[queue].done;
}
