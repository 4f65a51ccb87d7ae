/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is written down outside, of the frames alone: each carries when it was handed over and under
 * which policy. For each class, what left in any time must not be more than its rate allowed in
 * that time, plus its burst. Where policies change, the upper one of both lines counts until every
 * worker has begun a round since, and the larger burst for as long as a frame of before is on its
 * way.
 *
 * A port that does not tell what has left can let go at once what it has held back: then the law
 * holds where frames are handed over, and the wire may be ahead by what the rate allows in the
 * longest time that a frame was in the NIC.
 */
#include "tests/nic/hardware_sim.h"

#include "tests/nic/model_family.h"

#include <string.h>

#define STAMP_AT   42U /* behind the headers, in a payload that the shortest frame has */
#define CLASS_AT   36U
#define FIRST_PORT 1000U
#define PS_PER_NS  UINT64_C(1000)

struct stamp {
	uint64_t handed_ns;
	uint64_t epoch;
};
static_assert(STAMP_AT + sizeof(struct stamp) <= WEIR_FRAME_MIN_BYTES, "the shortest has room");

uint32_t
weir_hwsim_class_of(const struct rte_mbuf *frame)
{
	const uint8_t *data = rte_pktmbuf_mtod(frame, const uint8_t *);

	return (uint32_t)(data[CLASS_AT] << 8 | data[CLASS_AT + 1]) - FIRST_PORT;
}

void
weir_hwsim_set_class(struct rte_mbuf *frame, uint32_t class)
{
	uint8_t *data = rte_pktmbuf_mtod(frame, uint8_t *);

	data[CLASS_AT] = (uint8_t)((FIRST_PORT + class) >> 8);
	data[CLASS_AT + 1] = (uint8_t)(FIRST_PORT + class);
}

static weir_model_credit
depth_of(uint64_t bytes)
{
	return (weir_model_credit)bytes * WEIR_MODEL_BYTE_COST;
}

static void
fill(const struct weir_hwsim_tape_class *class, struct weir_hwsim_line *line, weir_model_ps at)
{
	weir_model_credit most = depth_of(class->burst_bytes);

	if (at > line->at) {
		line->credit += (weir_model_credit)(class->rate_bit_s * (at - line->at));
		line->at = at;
	}
	if (line->credit > most)
		line->credit = most;
}

/* Takes bytes at a time; returns by how many it was too much. */
static uint64_t
take(const struct weir_hwsim_tape_class *class, struct weir_hwsim_line *line, uint64_t bytes,
     weir_model_ps at)
{
	uint64_t over;

	fill(class, line, at);
	line->credit -= depth_of(bytes);
	if (line->credit >= 0)
		return 0;
	over = (uint64_t)((-line->credit + depth_of(1) - 1) / depth_of(1));
	if (over > line->over_bytes)
		line->over_bytes = over;
	return over;
}

static void
fill_both(struct weir_hwsim_tape_class *class, weir_model_ps at)
{
	fill(class, &class->handed, at);
	fill(class, &class->left, at);
}

/* What the last change has left behind is over, as far as it is. */
static void
settle(struct weir_hwsim *sim, struct weir_hwsim_tape_class *class, weir_model_ps at)
{
	if (sim->tape.adopting != 0)
		return;
	fill_both(class, at);
	class->rate_bit_s = class->next_rate_bit_s;
	if (class->old_frames == 0)
		class->burst_bytes = class->next_burst_bytes;
	fill_both(class, at);
}

static uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void
weir_hwsim_tape_start(struct weir_hwsim *sim)
{
	memset(&sim->tape, 0, sizeof(sim->tape));
	for (uint32_t i = 0; i < sim->policy.n_classes; i++) {
		struct weir_hwsim_tape_class *class = &sim->tape.classes[i];

		class->rate_bit_s = class->next_rate_bit_s = sim->policy.classes[i].rate_bit_s;
		class->burst_bytes = class->next_burst_bytes = sim->policy.classes[i].burst_bytes;
		class->top_bit_s = class->rate_bit_s;
		class->handed.at = class->left.at = weir_model_time(sim->now_ns);
	}
}

void
weir_hwsim_tape_policy(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy)
{
	struct weir_hwsim_tape *tape = &sim->tape;

	tape->epoch++;
	tape->adopting = (1U << policy->n_workers) - 1U;
	for (uint32_t i = 0; i < policy->n_classes; i++) {
		struct weir_hwsim_tape_class *class = &tape->classes[i];

		/* What of one that is gone still leaves, has to keep to what it had. */
		if (policy->classes[i].gone)
			continue;
		/* One that joins begins here, with nothing: it has had no rate so far. */
		fill_both(class, weir_model_time(sim->now_ns));
		class->next_rate_bit_s = policy->classes[i].rate_bit_s;
		class->next_burst_bytes = policy->classes[i].burst_bytes;
		class->rate_bit_s = max64(class->rate_bit_s, class->next_rate_bit_s);
		class->top_bit_s = max64(class->top_bit_s, class->rate_bit_s);
		class->burst_bytes = max64(class->burst_bytes, class->next_burst_bytes);
		class->old_frames = class->handed_frames - class->left_frames;
	}
}

void
weir_hwsim_tape_round(struct weir_hwsim *sim, uint32_t worker)
{
	struct weir_hwsim_tape *tape = &sim->tape;

	if ((tape->adopting & 1U << worker) == 0)
		return;
	tape->adopting &= ~(1U << worker);
	for (uint32_t i = 0; tape->adopting == 0 && i < sim->policy.n_classes; i++) {
		struct weir_hwsim_tape_class *class = &tape->classes[i];

		/* What the last rounds handed over went by the policy before, too. */
		class->old_frames = class->handed_frames - class->left_frames;
		settle(sim, class, weir_model_time(sim->now_ns));
	}
	if (tape->adopting == 0)
		tape->epoch++;
}

void
weir_hwsim_tape_handed(struct weir_hwsim *sim, struct rte_mbuf *frame)
{
	struct stamp stamp = {sim->outside->now_ns, sim->tape.epoch};
	uint32_t index = weir_hwsim_class_of(frame);
	struct weir_hwsim_tape_class *class = &sim->tape.classes[index];
	uint64_t bytes = weir_wire_bytes(frame->pkt_len), over;

	memcpy(rte_pktmbuf_mtod_offset(frame, void *, STAMP_AT), &stamp, sizeof(stamp));
	class->handed_frames++;
	class->handed_bytes += bytes;
	sim->tape.handed_bytes += bytes;
	if (sim->hardware->change == WEIR_HARDWARE_DRAINING)
		weir_hwsim_fail(sim, "c%" PRIu32 ": handed over to a port that is held", index);
	over = take(class, &class->handed, bytes, weir_model_time(stamp.handed_ns));
	if (over > 0)
		weir_hwsim_fail(sim, "c%" PRIu32 ": handed over %" PRIu64 " B too many", index,
		                over);
}

/* Only those may leave without limits that were handed over before anyone could know of it. */
static void
check_programmed(struct weir_hwsim *sim, const struct stamp *stamp, uint32_t class)
{
	struct weir_hwsim_tape *tape = &sim->tape;

	if (sim->outside->unprogrammed_frames == tape->unprogrammed)
		return;
	tape->unprogrammed = sim->outside->unprogrammed_frames;
	if (sim->counts != NULL)
		sim->counts->unprogrammed++;
	if (sim->noticed_ns == 0 || stamp->handed_ns <= sim->noticed_ns)
		return;
	tape->late_unprogrammed++;
	weir_hwsim_fail(sim,
	                "c%" PRIu32 ": a frame handed over at %" PRIu64
	                " ns left before the port was programmed; link seen at %" PRIu64,
	                class, stamp->handed_ns, sim->noticed_ns);
}

static void
check_left(struct weir_hwsim *sim, uint32_t index, uint64_t bytes, weir_model_ps at)
{
	struct weir_hwsim_tape_class *class = &sim->tape.classes[index];
	uint64_t over = take(class, &class->left, bytes, at), may = 0;

	if (over == 0)
		return;
	if (!sim->exact)
		may =
		    (uint64_t)(class->top_bit_s * sim->tape.longest_ps / WEIR_MODEL_BYTE_COST) + 1;
	if (over > may)
		weir_hwsim_fail(sim,
		                "c%" PRIu32 ": %" PRIu64 " B more have left than %" PRIu64
		                " bit/s and %" PRIu64 " B allow",
		                index, over, class->rate_bit_s, class->burst_bytes);
}

void
weir_hwsim_tape_left(void *arg, const struct weir_model_frame *frame)
{
	struct weir_hwsim *sim = arg;
	struct weir_hwsim_tape *tape = &sim->tape;
	weir_model_ps at = weir_model_time(frame->left_ns) + frame->left_ps;
	struct weir_hwsim_tape_class *class;
	struct stamp stamp;
	uint32_t index;

	tape->last_left_ns = frame->left_ns;
	if (frame->mbuf == NULL) {
		tape->own_frames++;
		tape->own_bytes += frame->wire_bytes;
		return;
	}
	index = weir_hwsim_class_of(frame->mbuf);
	assert(index < sim->policy.n_classes);
	class = &tape->classes[index];
	memcpy(&stamp, rte_pktmbuf_mtod_offset(frame->mbuf, const void *, STAMP_AT), sizeof(stamp));
	if (stamp.handed_ns <= sim->emptied_ns)
		weir_hwsim_fail(sim, "c%" PRIu32 ": a frame outlived its port's restart", index);
	check_programmed(sim, &stamp, index);
	if (at - weir_model_time(stamp.handed_ns) > tape->longest_ps)
		tape->longest_ps = at - weir_model_time(stamp.handed_ns);
	class->left_frames++;
	class->left_bytes += frame->wire_bytes;
	tape->left_bytes += frame->wire_bytes;
	check_left(sim, index, frame->wire_bytes, at);
	if (stamp.epoch<tape->epoch &&class->old_frames> 0) {
		class->old_frames--;
		settle(sim, class, at);
	}
	if (sim->on_left != NULL)
		sim->on_left(sim->on_left_arg, index, frame);
	if (sim->counts != NULL) {
		sim->counts->frames++;
		sim->counts->bytes += frame->wire_bytes;
	}
}

void
weir_hwsim_tape_discarded(struct weir_hwsim *sim)
{
	uint64_t missing = 0, discarded = sim->outside->discarded_frames;

	if (discarded == sim->seen_discarded)
		return;
	/* All queues are emptied together, or it could not be said whose frames those were. */
	for (uint16_t q = 0; q < sim->outside->n_queues; q++)
		if (weir_model_waiting(sim->outside, q) > 0)
			weir_hwsim_fail(sim, "some queues were emptied, and queue %u was not", q);
	for (uint32_t i = 0; i < sim->policy.n_classes; i++) {
		struct weir_hwsim_tape_class *class = &sim->tape.classes[i];

		missing += class->handed_frames - class->left_frames;
		sim->tape.lost_bytes += class->handed_bytes - class->left_bytes;
		class->handed_frames = class->left_frames;
		class->handed_bytes = class->left_bytes;
		class->old_frames = 0;
		settle(sim, class, weir_model_time(sim->now_ns));
	}
	if (missing != discarded - sim->seen_discarded)
		weir_hwsim_fail(sim, "%" PRIu64 " frames thrown away, %" PRIu64 " missing",
		                discarded - sim->seen_discarded, missing);
	sim->seen_discarded = discarded;
}
