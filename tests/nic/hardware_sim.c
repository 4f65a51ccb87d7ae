/* SPDX-License-Identifier: BSD-3-Clause */
/* Time, rounds, traffic, the control thread's turns. Lives begin and end in hardware_sim_life.c. */
#include "tests/nic/hardware_sim.h"

#include "control/watch.h"
#include "dataplane/worker_state.h"
#include "tests/unit/frames.h"

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <stdarg.h>
#include <string.h>

#define HEADERS_BYTES   42U /* Ethernet, IPv4, UDP */
#define FIRST_PORT      1000U
#define PAUSE_MOST_NS   UINT64_C(20000) /* that passes at once within a round */
#define ONE_IN_PAUSES   8U
#define ONE_IN_STATUSES 64U
#define PUT_MOST        32U /* frames of a class in one round */
#define DRAIN_STEPS     400U
#define DRAIN_STEP_NS   (20 * WEIR_NS_PER_MS)
#define DRAIN_MARGIN    3U /* looks after which all is at rest */

static struct weir_hwsim *current; /* the send and status functions have no argument for it */

static void work(struct weir_hwsim *sim, uint32_t worker);

void
weir_hwsim_fail(struct weir_hwsim *sim, const char *format, ...)
{
	int n;
	va_list arguments;

	if (sim->error[0] != '\0')
		return;
	n = snprintf(sim->error, sizeof(sim->error), "at %" PRIu64 " us: ", sim->now_ns / 1000);
	va_start(arguments, format);
	vsnprintf(sim->error + n, sizeof(sim->error) - (size_t)n, format, arguments);
	va_end(arguments);
}

uint64_t
weir_hwsim_charged(const struct weir_hwsim *sim)
{
	return weir_credit_spent(sim->appliance->credit, 0);
}

uint32_t
weir_hwsim_index(const struct weir_hwsim *sim, uint32_t class)
{
	uint32_t index = 0;

	assert(class < sim->policy.n_classes && !sim->policy.classes[class].gone);
	for (uint32_t i = 0; i < class; i++)
		index += sim->policy.classes[i].gone ? 0 : 1;
	return index;
}

uint64_t
weir_hwsim_queued(const struct weir_hwsim *sim, uint32_t class)
{
	struct weir_class_totals totals;

	weir_dataplane_class_totals(sim->appliance->dataplane,
	                            sim->appliance->class_slots[weir_hwsim_index(sim, class)],
	                            &totals);
	return totals.queued_bytes;
}

/* Of all classes, in all slots: nothing may be on its way any more. */
static void
check_inflight(struct weir_hwsim *sim)
{
	for (uint32_t slot = 0; slot < WEIR_CLASSES_MAX; slot++) {
		uint64_t inflight =
		    atomic_load(&sim->appliance->dataplane->buckets[slot].inflight_bytes);

		if (inflight > 0)
			weir_hwsim_fail(sim, "slot %" PRIu32 ": %" PRIu64 " B in flight for ever",
			                slot, inflight);
	}
}

/* ---- control ---- */

/* No alarm, ever, of a NIC that is honest. */
static void
read_events(struct weir_hwsim *sim)
{
	struct weir_event event;

	while (weir_events_get(sim->events, sim->seen_events + 1, &event)) {
		sim->seen_events = event.number;
		if (sim->counts != NULL && strcmp(event.kind, "limits_set") == 0)
			sim->counts->programmings++;
		if (event.severity != WEIR_ALARM)
			continue;
		if (sim->alarms++ == 0)
			memcpy(sim->alarm, event.message, sizeof(sim->alarm));
		if (sim->judging)
			weir_hwsim_fail(sim, "alarm: %s", event.message);
	}
}

/* No register holds more than was asked, and no more was asked than the classes may send. */
static void
check_registers(struct weir_hwsim *sim)
{
	const struct weir_hardware_port *hardware = sim->hardware;
	const struct weir_config *config = sim->appliance->config;

	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		const struct weir_hardware_queue *queue = &hardware->queues[q];
		uint64_t sum = 0, rate;

		if (sim->judging &&
		    (queue->verdict == WEIR_VERDICT_FAST || queue->verdict == WEIR_VERDICT_STUCK))
			weir_hwsim_fail(sim, "queue %" PRIu32 ": verdict %s", q,
			                weir_hardware_verdict_name(queue->verdict));
		if (queue->programmed_bit_s == 0 || hardware->change != WEIR_HARDWARE_SETTLED)
			continue;
		for (uint32_t i = 0; i < hardware->plan.n_classes; i++)
			if (hardware->plan.classes[i].queue == q)
				sum += config->classes[i].rate_bit_s;
		if (queue->asked_bit_s > sum)
			weir_hwsim_fail(sim, "queue %" PRIu32 ": asked %" PRIu64 ", of %" PRIu64, q,
			                queue->asked_bit_s, sum);
		for (uint32_t s = 0; s < hardware->n_senders; s++) {
			rate = weir_model_path_rate(sim->outside,
			                            (uint16_t)(s * hardware->n_queues + q));
			if (rate > queue->asked_bit_s && sim->judging)
				weir_hwsim_fail(sim,
				                "queue %" PRIu32 ": asked %" PRIu64
				                " bit/s, its register says %" PRIu64,
				                q, queue->asked_bit_s, rate);
		}
	}
}

static void
check_tick(struct weir_hwsim *sim)
{
	const struct weir_port_watch *watch = &sim->appliance->port_watch[1];

	if (weir_hwsim_charged(sim) < sim->tape.left_bytes)
		weir_hwsim_fail(sim, "%" PRIu64 " B have left, %" PRIu64 " were charged",
		                sim->tape.left_bytes, weir_hwsim_charged(sim));
	/* What the link did since the last look may not be known yet. */
	if (watch->state == WEIR_PORT_UP && sim->noticed_ns != 0)
		check_registers(sim);
	if (sim->judging &&
	    (sim->hardware->breached || sim->hardware->hides || sim->hardware->still))
		weir_hwsim_fail(sim, "the port is said to %s",
		                sim->hardware->breached ? "breach" : "hide frames");
	read_events(sim);
}

static void
retire(struct weir_hwsim *sim)
{
	struct weir_appliance *appliance = sim->appliance;

	if (appliance->retired == NULL ||
	    !weir_dataplane_quiescent(appliance->dataplane, appliance->retired_token, false))
		return;
	weir_snapshot_free(appliance->retired);
	appliance->retired = NULL;
	weir_slots_release(appliance->slots);
}

void
weir_hwsim_tick(struct weir_hwsim *sim)
{
	struct weir_appliance *appliance = sim->appliance;
	uint64_t restarts = sim->outside->starts;
	bool held = sim->hardware->change != WEIR_HARDWARE_SETTLED;

	retire(sim);
	weir_watch_links(appliance);
	weir_hwsim_tape_discarded(sim);
	weir_hardware_tick(appliance, sim->now_ns);
	weir_hwsim_tape_discarded(sim);
	sim->tick_due = false;
	if (appliance->port_watch[1].state != WEIR_PORT_UP && sim->noticed_ns == 0)
		sim->noticing = (1U << sim->policy.n_workers) - 1U;
	if (appliance->port_watch[1].state != WEIR_PORT_DOWN && sim->noticed_ns != 0)
		sim->emptied_ns = sim->noticed_ns;
	check_tick(sim);
	if (sim->counts == NULL)
		return;
	sim->counts->ticks++;
	sim->counts->restarts += sim->outside->starts - restarts;
	sim->counts->held_changes += held && sim->hardware->change == WEIR_HARDWARE_SETTLED ? 1 : 0;
}

/* The control thread's turn, within a round or between two. */
static void
take_turn(struct weir_hwsim *sim)
{
	if (sim->in_turn)
		return;
	sim->in_turn = true;
	if (sim->policy_due && sim->appliance->retired == NULL) {
		sim->policy_due = false;
		(void)weir_hwsim_apply(sim, &sim->next_policy);
	}
	if (sim->tick_due)
		weir_hwsim_tick(sim);
	sim->in_turn = false;
}

/* ---- what happens within a round ---- */

static void
pass(struct weir_hwsim *sim, uint64_t ns)
{
	sim->now_ns += ns;
	weir_model_advance_all(sim->now_ns);
}

static void
interrupt(struct weir_hwsim *sim, uint32_t one_in)
{
	if (!sim->wild || !weir_random_one_in(&sim->random, one_in))
		return;
	pass(sim, weir_random_below(&sim->random, PAUSE_MOST_NS));
	take_turn(sim);
}

static bool
is_padding(const struct rte_mbuf *frame)
{
	const struct rte_ether_hdr *header = rte_pktmbuf_mtod(frame, const struct rte_ether_hdr *);

	return header->ether_type == rte_cpu_to_be_16(WEIR_PADDING_ETHERTYPE);
}

/* Padding has no class to be seen: it is that of its queue, which no other class goes by. */
static void
name_padding(struct weir_hwsim *sim, const struct weir_model_queue *queue, struct rte_mbuf *frame)
{
	const struct weir_hardware_plan *plan = &sim->hardware->plan;
	uint32_t class = 0;

	while (class < plan->n_classes &&
	       plan->classes[class].queue != queue->id % sim->hardware->n_queues)
		class ++;
	assert(class < plan->n_classes && plan->queue_classes[plan->classes[class].queue] == 1);
	weir_hwsim_set_class(frame, class);
	sim->padding_frames++;
}

/* A worker whose round begins after the driver told of the link, and before control knows of it. */
static void
note_told(struct weir_hwsim *sim, uint32_t worker)
{
	const struct weir_port_watch *watch = &sim->appliance->port_watch[1];

	sim->told &= ~(1U << worker);
	if (watch->state == WEIR_PORT_UP &&
	    weir_port_downs(&sim->appliance->ports[1]) != watch->downs)
		sim->told |= 1U << worker;
}

static uint16_t
send_frames(void *queue, struct rte_mbuf **frames, uint16_t n)
{
	const struct weir_model_queue *to = queue;
	struct weir_hwsim *sim = current;
	uint16_t sent;

	if ((sim->told & 1U << to->id / sim->hardware->n_queues) != 0)
		weir_hwsim_fail(sim, "queue %u: sent to after the driver told of its link", to->id);
	interrupt(sim, ONE_IN_PAUSES);
	for (uint16_t i = 0; i < n; i++) {
		if (is_padding(frames[i]))
			name_padding(sim, queue, frames[i]);
		else
			sim->traffic_frames++;
	}
	sent = weir_model_send(queue, frames, n);
	for (uint16_t i = 0; i < sent; i++)
		weir_hwsim_tape_handed(sim, frames[i]);
	return sent;
}

static int
tell_status(void *queue, uint16_t offset)
{
	interrupt(current, ONE_IN_STATUSES);
	return weir_model_status(queue, offset);
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

/* The control thread waits for the workers: those that are not in the midst of a round go on. */
int
__wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	struct weir_hwsim *sim = current;

	(void)left;
	assert(time->tv_sec == 0);
	pass(sim, (uint64_t)time->tv_nsec);
	for (uint32_t w = 0; w < sim->policy.n_workers; w++)
		if ((sim->in_round & 1U << w) == 0)
			work(sim, w);
	return 0;
}

/* A start of the port sets the model's own. */
static void
stand_between(struct weir_hwsim *sim)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[sim->outside_id];

	current = sim;
	if (ops->tx_pkt_burst == weir_model_send)
		ops->tx_pkt_burst = send_frames;
	if (ops->tx_descriptor_status == weir_model_status)
		ops->tx_descriptor_status = tell_status;
}

/* ---- traffic ---- */

bool
weir_hwsim_put(struct weir_hwsim *sim, uint32_t class, uint32_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(sim->pool);
	uint32_t payload_bytes = bytes - HEADERS_BYTES;
	struct frame frame;

	if (mbuf == NULL)
		return false;
	assert(bytes >= WEIR_FRAME_MIN_BYTES && bytes <= WEIR_HWSIM_MTU + 14);
	frame_ethernet(&frame, 0x0800);
	frame_ip4(&frame, 17, 0, 0, 8 + payload_bytes);
	frame_put16(&frame, 7);
	frame_put16(&frame, FIRST_PORT + class);
	frame_put16(&frame, 8 + payload_bytes);
	frame_put16(&frame, 0);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)bytes), frame.data, frame.bytes);
	weir_model_receive(sim->inside, (uint16_t)(class % sim->policy.n_workers), mbuf);
	return true;
}

static void
put_of(struct weir_hwsim *sim, uint32_t class, uint64_t elapsed_ns)
{
	struct weir_hwsim_source *source = &sim->sources[class];
	uint64_t most = source->most_due_bytes * 8 * WEIR_NS_PER_S;

	source->due += source->rate_bit_s * elapsed_ns;
	if (source->due > most)
		source->due = most;
	for (uint32_t n = 0; n < PUT_MOST; n++) {
		uint32_t bytes =
		    (uint32_t)weir_random_between(&sim->random, source->least, source->most);
		uint64_t need = (uint64_t)weir_wire_bytes(bytes) * 8 * WEIR_NS_PER_S;

		if (source->due < need || !weir_hwsim_put(sim, class, bytes))
			return;
		source->due -= need;
	}
}

/* ---- rounds ---- */

static void
work(struct weir_hwsim *sim, uint32_t worker)
{
	stand_between(sim);
	/* In control's turn it is not known yet who has to notice. */
	if (!sim->in_turn)
		sim->noticing &= ~(1U << worker);
	if (!sim->in_turn && sim->noticing == 0 && sim->noticed_ns == 0 &&
	    sim->appliance->port_watch[1].state != WEIR_PORT_UP)
		sim->noticed_ns = sim->now_ns;
	note_told(sim, worker);
	weir_dataplane_pulse(sim->appliance->dataplane, sim->now_ns);
	weir_hwsim_tape_round(sim, worker);
	sim->in_round |= 1U << worker;
	if (weir_hwsim_round(sim, worker))
		weir_hwsim_fail(sim, "worker %" PRIu32 " ended", worker);
	sim->in_round &= ~(1U << worker);
	if (sim->counts != NULL)
		sim->counts->rounds++;
}

void
weir_hwsim_run(struct weir_hwsim *sim, uint64_t ns)
{
	uint64_t end_ns = sim->now_ns + ns, last_ns = sim->now_ns;

	while (sim->now_ns < end_ns && sim->error[0] == '\0') {
		pass(sim, sim->wild ? weir_hwsim_draw_log(&sim->random, sim->shortest_round_ns,
		                                          sim->longest_round_ns)
		                    : weir_random_between(&sim->random, sim->shortest_round_ns,
		                                          sim->longest_round_ns));
		if (sim->now_ns >= sim->next_tick_ns) {
			sim->next_tick_ns += WEIR_HARDWARE_LOOK_NS;
			/* One that found no place within a round comes before the next one. */
			if (sim->tick_due || !sim->wild) {
				sim->tick_due = true;
				take_turn(sim);
			}
			sim->tick_due = sim->wild;
		}
		if (sim->tick_due && weir_random_one_in(&sim->random, 4 * ONE_IN_PAUSES))
			take_turn(sim);
		for (uint32_t i = 0; i < sim->policy.n_classes; i++)
			if (sim->sources[i].rate_bit_s > 0)
				put_of(sim, i, sim->now_ns - last_ns);
		last_ns = sim->now_ns;
		for (uint32_t w = 0; w < sim->policy.n_workers; w++)
			work(sim, w);
	}
}

void
weir_hwsim_drain(struct weir_hwsim *sim)
{
	uint64_t queued = 1, charged;

	for (uint32_t i = 0; i < WEIR_HWSIM_CLASSES; i++)
		sim->sources[i].rate_bit_s = 0;
	sim->wild = false;
	sim->shortest_round_ns = sim->longest_round_ns = 20000;
	for (uint32_t n = 0; n < DRAIN_STEPS && queued > 0 && sim->error[0] == '\0'; n++) {
		weir_hwsim_run(sim, DRAIN_STEP_NS);
		queued = sim->outside->on_wire;
		for (uint32_t i = 0; i < sim->policy.n_classes; i++)
			queued += sim->policy.classes[i].gone ? 0 : weir_hwsim_queued(sim, i);
		for (uint16_t q = 0; q < sim->outside->n_queues; q++)
			queued += weir_model_waiting(sim->outside, q);
	}
	weir_hwsim_run(sim, DRAIN_MARGIN * WEIR_HARDWARE_LOOK_NS);
	charged = weir_hwsim_charged(sim);
	if (queued > 0)
		weir_hwsim_fail(sim, "what waits does not leave");
	if (charged != sim->tape.handed_bytes)
		weir_hwsim_fail(sim, "%" PRIu64 " B were charged, %" PRIu64 " handed over", charged,
		                sim->tape.handed_bytes);
	if (charged - sim->tape.lost_bytes != sim->tape.left_bytes)
		weir_hwsim_fail(sim,
		                "%" PRIu64 " B were charged, %" PRIu64 " left, %" PRIu64
		                " were thrown away",
		                charged, sim->tape.left_bytes, sim->tape.lost_bytes);
	check_inflight(sim);
}
