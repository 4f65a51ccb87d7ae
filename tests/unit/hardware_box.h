/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance of one link whose outside port has a limiter, and everything around control/hardware
 * played by the test: the limiter's interface, the port's counters and link, workers. Rounding, the
 * plan and the watch over links are the real ones. Linked with --wrap (see meson.build).
 */
#ifndef WEIR_TESTS_UNIT_HARDWARE_BOX_H
#define WEIR_TESTS_UNIT_HARDWARE_BOX_H

#include "tests/unit/hardware_box_limiter.h"

int __wrap_rte_eth_stats_get(uint16_t port_id, struct rte_eth_stats *stats);
int __wrap_rte_eth_xstats_get_id_by_name(uint16_t port_id, const char *name, uint64_t *id);
int __wrap_rte_eth_xstats_get_by_id(uint16_t port_id, const uint64_t *ids, uint64_t *values,
                                    unsigned int n);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
bool __wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s);
uint32_t __wrap_weir_port_downs(const struct weir_port *port);
int __wrap_weir_port_restart(struct weir_port *port);
void __wrap_weir_port_stop(struct weir_port *port);
void __wrap_weir_port_cut(const struct weir_port *port);
void __wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up);
void __wrap_weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id);
void __wrap_weir_dataplane_hold(struct weir_dataplane *dataplane, uint16_t port_id, bool held);
uint64_t __wrap_weir_dataplane_fence(struct weir_dataplane *dataplane);
bool __wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait);
void __wrap_weir_dataplane_set_queue(struct weir_dataplane *dataplane, uint32_t link, uint32_t slot,
                                     uint8_t queue);
bool __wrap_weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id,
                                uint64_t token);
void __wrap_weir_dataplane_noted_at_most(const struct weir_dataplane *dataplane, uint64_t number,
                                         uint32_t frame_bytes, struct weir_note *note);
uint64_t __wrap_weir_dataplane_note(struct weir_dataplane *dataplane);
bool __wrap_weir_dataplane_noted(const struct weir_dataplane *dataplane, uint64_t number,
                                 struct weir_note *note);
struct weir_departures *__wrap_weir_dataplane_departures(const struct weir_dataplane *dataplane,
                                                         uint32_t worker, uint32_t link,
                                                         uint32_t queue);
void __wrap_weir_dataplane_flow_totals(const struct weir_dataplane *dataplane, uint32_t link,
                                       enum weir_direction direction,
                                       struct weir_flow_totals *totals);
const struct weir_counters *__wrap_weir_dataplane_counters(const struct weir_dataplane *dataplane,
                                                           uint32_t worker);
void __wrap_weir_departures_set_limit(struct weir_departures *departures, uint64_t rate_bit_s,
                                      uint64_t burst_bytes, uint32_t uncounted_bytes,
                                      uint64_t tsc_hz);

/* ---- the port ---- */

int
__wrap_rte_eth_stats_get(uint16_t port_id, struct rte_eth_stats *stats)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	*stats = box.stats;
	return box.stats_result;
}

/* Two, as long as the test names them. */
int
__wrap_rte_eth_xstats_get_id_by_name(uint16_t port_id, const char *name, uint64_t *id)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	for (uint64_t i = 0; i < 2; i++) {
		if (box.xstat_names[i] == NULL || strcmp(box.xstat_names[i], name) != 0)
			continue;
		*id = i;
		return 0;
	}
	return -EINVAL;
}

int
__wrap_rte_eth_xstats_get_by_id(uint16_t port_id, const uint64_t *ids, uint64_t *values,
                                unsigned int n)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	CU_ASSERT_FATAL(n == 1 && ids[0] < 2);
	values[0] = box.xstats[ids[0]];
	return 1;
}

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	(void)port_id;
	memset(info, 0, sizeof(*info));
	info->max_tx_queues = (uint16_t)box.max_tx_queues;
	return 0;
}

bool
__wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s)
{
	bool outside = port->port_id == BOX_PORT_ID;

	*speed_mbit_s = outside ? box.speed_mbit_s : 0;
	return outside ? box.up : true;
}

uint32_t
__wrap_weir_port_downs(const struct weir_port *port)
{
	(void)port;
	return 0;
}

int
__wrap_weir_port_restart(struct weir_port *port)
{
	CU_ASSERT_EQUAL(port->port_id, BOX_PORT_ID);
	if (box.restart_resets)
		memset(&box.stats, 0, sizeof(box.stats));
	CU_ASSERT(!box.used && box.quiescent);
	box.restarts++;
	for (uint32_t s = 0; s < 2; s++)
		for (uint32_t q = 0; q < BOX_QUEUES; q++)
			atomic_store(&box.departures[s][q].waiting_frames, 0);
	return 0;
}

void
__wrap_weir_port_stop(struct weir_port *port)
{
	CU_ASSERT(!box.used && box.quiescent);
	box.stops++;
	port->started = false;
}

void
__wrap_weir_port_cut(const struct weir_port *port)
{
	CU_ASSERT_EQUAL(port->port_id, BOX_PORT_ID);
	box.cuts++;
}

/* ---- the workers ---- */

void
__wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up)
{
	(void)dataplane;
	if (port_id != BOX_PORT_ID)
		return;
	box.used = up;
	box_note(STEP_UP, 0, up);
}

void
__wrap_weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	CU_ASSERT(!box.used && box.quiescent);
	box.emptied++;
	CU_ASSERT_EQUAL(box.emptied, box.restarts + box.stops);
}

void
__wrap_weir_dataplane_hold(struct weir_dataplane *dataplane, uint16_t port_id, bool held)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	box.held = held;
	box_note(STEP_HOLD, 0, held);
}

uint64_t
__wrap_weir_dataplane_fence(struct weir_dataplane *dataplane)
{
	(void)dataplane;
	return ++box.fences;
}

bool
__wrap_weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id, uint64_t token)
{
	(void)dataplane;
	(void)token;
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	return box.quiescent;
}

/* One worker, with a full hand. */
void
__wrap_weir_dataplane_noted_at_most(const struct weir_dataplane *dataplane, uint64_t number,
                                    uint32_t frame_bytes, struct weir_note *note)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(number, box.notes);
	memset(note, 0, sizeof(*note));
	note->frames[0] = box.flow.tx_frames + BOX_HAND;
	note->wire_bytes[0] = box.flow.tx_wire_bytes + BOX_HAND * weir_wire_bytes(frame_bytes);
	note->root_wire_bytes = UINT64_MAX;
	box.note_due = false; /* it may be asked again */
}

bool
__wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait)
{
	(void)dataplane;
	CU_ASSERT(token > 0 && token <= box.fences && !wait);
	return box.quiescent;
}

void
__wrap_weir_dataplane_set_queue(struct weir_dataplane *dataplane, uint32_t link, uint32_t slot,
                                uint8_t queue)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(link, 0);
	CU_ASSERT_FATAL(slot < WEIR_CLASSES_MAX && queue < BOX_QUEUES);
	box.queue_of_slot[slot] = queue;
	box_note(STEP_QUEUE, slot, queue);
}

struct weir_departures *
__wrap_weir_dataplane_departures(const struct weir_dataplane *dataplane, uint32_t worker,
                                 uint32_t link, uint32_t queue)
{
	(void)dataplane;
	CU_ASSERT_FATAL(worker < 2 && link == 0 && queue < BOX_QUEUES);
	return box.completions ? &box.departures[worker][queue] : NULL;
}

void
__wrap_weir_dataplane_flow_totals(const struct weir_dataplane *dataplane, uint32_t link,
                                  enum weir_direction direction, struct weir_flow_totals *totals)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(link, 0);
	CU_ASSERT_EQUAL(direction, WEIR_EGRESS);
	*totals = box.flow;
}

/* The round under way ends. */
static inline void
box_end_round(void)
{
	if (!box.note_due)
		return;
	box.note_due = false;
	box.note.frames[0] = box.flow.tx_frames;
	box.note.wire_bytes[0] = box.flow.tx_wire_bytes;
	box.note.root_wire_bytes = box.flow.tx_wire_bytes - box.unpaid_bytes;
}

uint64_t
__wrap_weir_dataplane_note(struct weir_dataplane *dataplane)
{
	(void)dataplane;
	CU_ASSERT(!box.note_due);
	box.note_due = true;
	if (box.quiescent)
		box_end_round();
	return ++box.notes;
}

bool
__wrap_weir_dataplane_noted(const struct weir_dataplane *dataplane, uint64_t number,
                            struct weir_note *note)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(number, box.notes);
	if (box.quiescent)
		box_end_round();
	*note = box.note;
	return !box.note_due;
}

const struct weir_counters *
__wrap_weir_dataplane_counters(const struct weir_dataplane *dataplane, uint32_t worker)
{
	(void)dataplane;
	return box.counters[worker];
}

void
__wrap_weir_departures_set_limit(struct weir_departures *departures, uint64_t rate_bit_s,
                                 uint64_t burst_bytes, uint32_t uncounted_bytes, uint64_t tsc_hz)
{
	size_t queue = (size_t)(departures - &box.departures[0][0]) % BOX_QUEUES;

	(void)uncounted_bytes;
	CU_ASSERT_EQUAL(tsc_hz, BOX_TSC_HZ);
	box.judged_bit_s[queue] = rate_bit_s;
	box.judged_burst[queue] = burst_bytes;
}

/* ---- the appliance ---- */

/* a 100 and b 50 Mbit/s, c 7 Mbit/s dedicated, d 0.5 Mbit/s, which the model can't hold; e, which
 * no rule sends this way. */
static inline void
box_config(void)
{
	static const uint64_t rates[BOX_CLASSES] = {100 * BOX_MBIT, 50 * BOX_MBIT, 7 * BOX_MBIT,
	                                            BOX_MBIT / 2, 9 * BOX_MBIT};

	for (uint32_t i = 0; i < BOX_CLASSES; i++) {
		box.classes[i] = (struct weir_config_class){
		    .rate_bit_s = rates[i], .burst_bytes = 20000, .dedicated = i == 2};
		snprintf(box.classes[i].name, WEIR_NAME_SIZE, "%c", 'a' + (int)i);
		box.rules[i] = (struct weir_rule){.link = i == 4 ? 1 : WEIR_ANY, .class_slot = i};
		box.class_slots[i] = 10 + i;
	}
	for (uint32_t i = 0; i < 2; i++) {
		box.ports[i] = (struct weir_port_config){.mtu_bytes = 1500, .rx_queues = 1};
		snprintf(box.ports[i].name, WEIR_NAME_SIZE, "%s",
		         i == BOX_OUTSIDE ? "out0" : "in0");
	}
	box.link = (struct weir_config_link){"internet", BOX_INSIDE, BOX_OUTSIDE};
	box.config = (struct weir_config){
	    .n_ports = 2,
	    .n_links = 1,
	    .n_classes = BOX_CLASSES,
	    .n_rules = BOX_CLASSES,
	    .ports = box.ports,
	    .links = &box.link,
	    .classes = box.classes,
	    .rules = box.rules,
	};
	box.config.appliance.n_workers = 1;
	box.workers[0].n_rx = 1;
	box.workers[0].rx[0].direction = WEIR_EGRESS;
}

/* The world as it should be; box_start() may be called after changes to it. */
static inline void
box_make(void)
{
	memset(&box, 0, sizeof(box));
	box_config();
	box.completions = box.up = box.quiescent = true;
	box.speed_mbit_s = 10000;
	box.n_limited = BOX_QUEUES;
	box.now_ns = 1000 * WEIR_NS_PER_S;
	box.meter_result = -ENOTSUP;
	for (uint32_t w = 0; w < 2; w++) {
		box.counters[w] = calloc(1, sizeof(*box.counters[w]));
		CU_ASSERT_PTR_NOT_NULL_FATAL(box.counters[w]);
	}
	box.appliance = calloc(1, sizeof(*box.appliance));
	CU_ASSERT_PTR_NOT_NULL_FATAL(box.appliance);
	box.appliance->events = weir_events_new(64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(box.appliance->events);
	box.appliance->config = &box.config;
	box.appliance->class_slots = box.class_slots;
	box.appliance->clock.tsc_hz = BOX_TSC_HZ;
	box.appliance->n_ports = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct weir_port *port = &box.appliance->ports[i];

		port->config = box.ports[i];
		port->port_id = i == BOX_OUTSIDE ? BOX_PORT_ID : 2;
		port->started = true;
	}
	snprintf(box.appliance->ports[BOX_OUTSIDE].driver, 32, "net_ixgbe");
	box.appliance->ports[BOX_OUTSIDE].tx_each = BOX_QUEUES;
}

/* Limits are required, and the model can hold all that go this way. */
static inline void
box_require(void)
{
	box.appliance->ports[BOX_OUTSIDE].config.limiter_required = true;
	box.ports[BOX_OUTSIDE].limiter_required = true;
	box.classes[3].rate_bit_s = 3 * BOX_MBIT;
}

/* 0 or the code with which the start is refused. */
static inline int
box_start(char *error)
{
	int code = weir_hardware_new(box.appliance, box.workers, error);

	return code < 0 ? code : weir_watch_first_links(box.appliance, error);
}

static inline void
box_start_well(void)
{
	char error[WEIR_ERROR_SIZE] = "";

	CU_ASSERT_EQUAL_FATAL(box_start(error), 0);
	CU_ASSERT_FATAL(box.used);
	box.n_steps = 0;
}

static inline void
box_free(void)
{
	weir_hardware_free(box.appliance);
	CU_ASSERT_EQUAL(box.opens, box.closes);
	CU_ASSERT_EQUAL(box.meter_bit_s, 0);
	weir_events_free(box.appliance->events);
	free(box.appliance);
	free(box.counters[0]);
	free(box.counters[1]);
}

/* One look, 50 ms on; workers have made rounds. */
static inline enum weir_port_state
box_look(void)
{
	box.now_ns += BOX_LOOK_NS;
	for (uint32_t w = 0; w < 2; w++)
		weir_count(&box.counters[w]->rounds, 1000);
	weir_watch_links(box.appliance);
	weir_hardware_tick(box.appliance, box.now_ns);
	return box.appliance->port_watch[BOX_OUTSIDE].state;
}

/* How many events of a kind there are; last gets the latest's message. */
static inline uint32_t
box_events(const char *kind, char *last)
{
	struct weir_event event;
	uint32_t n = 0;

	for (uint64_t i = 1; weir_events_get(box.appliance->events, i, &event); i++) {
		if (strcmp(event.kind, kind) != 0)
			continue;
		n++;
		if (last != NULL)
			snprintf(last, WEIR_EVENT_MESSAGE_SIZE, "%s", event.message);
	}
	return n;
}

/* ---- what was done ---- */

#define SLOT(letter) box.class_slots[(letter) - 'a']

static inline uint8_t
queue_of(char class)
{
	return box.queue_of_slot[SLOT(class)];
}

/* How often a step was made; first gets the place of the first of them. */
static inline uint32_t
steps_of(enum box_step step, uint32_t *first)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < box.n_steps; i++) {
		if (box.steps[i].step != step)
			continue;
		if (first != NULL && n == 0)
			*first = i;
		n++;
	}
	return n;
}

#endif
