/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of the ports' limits. */
#include "control/hardware_state.h"
#include "control/status.h"

#include <stdlib.h>
#include <string.h>

static const char *const verdicts[] = {
    [WEIR_VERDICT_SOFTWARE] = "software", [WEIR_VERDICT_UNMEASURED] = "unmeasured",
    [WEIR_VERDICT_HELD] = "held",         [WEIR_VERDICT_SLOW] = "slow",
    [WEIR_VERDICT_ABOVE] = "above",       [WEIR_VERDICT_FAST] = "fast",
    [WEIR_VERDICT_STUCK] = "stuck",
};

static const char *const states[] = {
    [WEIR_PORT_UP] = "up",
    [WEIR_PORT_DOWN] = "down",
    [WEIR_PORT_CLEAN] = "down",
    [WEIR_PORT_BREACHED] = "breached",
};

const char *
weir_hardware_verdict_name(enum weir_hardware_verdict verdict)
{
	assert((size_t)verdict < sizeof(verdicts) / sizeof(verdicts[0]));
	return verdicts[verdict];
}

static enum weir_hardware_verdict
verdict_of(const struct weir_hardware_queue *queue)
{
	return queue->stuck ? WEIR_VERDICT_STUCK : queue->verdict;
}

static bool
is_alarm(const struct weir_hardware_queue *queue)
{
	return verdict_of(queue) == WEIR_VERDICT_FAST || verdict_of(queue) == WEIR_VERDICT_STUCK;
}

/* Sets member key, taking the value, which may be NULL after a failed allocation. */
static bool
set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static bool
set_u64(json_t *object, const char *key, uint64_t number)
{
	return set(object, key, weir_json_u64(number));
}

/* 0 stands for nothing that could be told. */
static bool
set_or_null(json_t *object, const char *key, uint64_t number)
{
	return set(object, key, number == 0 ? json_null() : weir_json_u64(number));
}

/* A policy that can't be planned is in force once what was limited before it has left. */
static bool
has_limits(const struct weir_hardware_port *hardware)
{
	return hardware->open &&
	       !(hardware->unplanned && hardware->change == WEIR_HARDWARE_SETTLED);
}

/* The worst that is known of the port. */
static const char *
port_verdict(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
             bool *alarm)
{
	const struct weir_port_watch *watch = &appliance->port_watch[hardware->index];

	*alarm = true;
	if (hardware->breached)
		return "breach";
	if (hardware->fast)
		return "fast";
	if (watch->refused || hardware->distrusted)
		return "refused";
	if (hardware->hides || hardware->still || hardware->set_back || hardware->unread_looks > 0)
		return "counters";
	for (uint32_t q = 0; q < hardware->n_queues; q++)
		if (hardware->queues[q].stuck)
			return "stuck";
	*alarm = false;
	return has_limits(hardware) ? "ok" : "software";
}

static json_t *
capabilities_json(const struct weir_limiter *limiter)
{
	const struct weir_limiter_capabilities *can = &limiter->capabilities;

	return json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:b}", "queues", weir_json_u64(can->n_queues),
	    "min_bit_s", weir_json_u64(can->min_bit_s), "max_bit_s", weir_json_u64(can->max_bit_s),
	    "step_bit_s", can->step_bit_s == 0 ? json_null() : weir_json_u64(can->step_bit_s),
	    "burst_bytes", can->burst_bytes == 0 ? json_null() : weir_json_u64(can->burst_bytes),
	    "uncounted_bytes", weir_json_u64(can->uncounted_bytes), "change",
	    can->change == WEIR_LIMITER_LIVE ? "live" : "stops", "port_limit",
	    can->port_limit ? 1 : 0, "completions", can->completions ? 1 : 0);
}

static json_t *
quirks_json(const struct weir_limiter_driver *driver)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < WEIR_QUIRKS && list != NULL; i++) {
		enum weir_limiter_quirk quirk = (enum weir_limiter_quirk)(1U << i);

		if ((driver->quirks & quirk) == 0)
			continue;
		if (json_array_append_new(list, json_pack("{s:s, s:s}", "name",
		                                          weir_limiter_quirk_name(quirk), "help",
		                                          weir_limiter_quirk_help(quirk))) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Names of the classes that go by a queue. used: which rules send this way. */
static json_t *
classes_json(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
             const bool *used, uint32_t queue)
{
	const struct weir_config *config = appliance->config;
	json_t *list = json_array();

	for (uint32_t i = 0; i < config->n_classes && list != NULL; i++) {
		if (!used[i] || hardware->queue_of_slot[appliance->class_slots[i]] != queue)
			continue;
		if (json_array_append_new(list, json_string(config->classes[i].name)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* What a test said of the present limit. */
static json_t *
tested_json(const struct weir_hardware_queue *queue)
{
	if (queue->tested != WEIR_VERDICT_SOFTWARE)
		return json_string(weir_hardware_verdict_name(queue->tested));
	return queue->programmed_bit_s > 0 ? json_string("no") : json_null();
}

static json_t *
queue_json(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
           const bool *used, uint32_t index)
{
	const struct weir_hardware_queue *queue = &hardware->queues[index];
	json_t *object = json_object();

	if (object == NULL || !set_u64(object, "queue", index) ||
	    !set(object, "classes", classes_json(appliance, hardware, used, index)) ||
	    !set_or_null(object, "asked_bit_s", queue->asked_bit_s) ||
	    !set_or_null(object, "programmed_bit_s", queue->programmed_bit_s) ||
	    !set_or_null(object, "measured_bit_s", queue->measured_bit_s) ||
	    !set_u64(object, "waiting_frames", weir_hardware_waiting(appliance, hardware, index)) ||
	    !set(object, "verdict", json_string(weir_hardware_verdict_name(verdict_of(queue)))) ||
	    !set(object, "tested", tested_json(queue)) ||
	    !set(object, "alarm", json_boolean(is_alarm(queue)))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* Queue 0, and those that are or should be limited, or of which there is something to tell. */
static json_t *
queues_json(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	const struct weir_config *config = appliance->config;
	bool used[WEIR_CLASSES_MAX] = {false};
	json_t *list = json_array();

	for (uint32_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].link == WEIR_ANY || config->rules[i].link == hardware->link)
			used[config->rules[i].class_slot] = true;
	for (uint32_t q = 0; q < hardware->n_queues && list != NULL; q++) {
		const struct weir_hardware_queue *queue = &hardware->queues[q];

		if (q > 0 && queue->asked_bit_s == 0 && !is_alarm(queue) &&
		    weir_hardware_waiting(appliance, hardware, q) == 0)
			continue;
		if (json_array_append_new(list, queue_json(appliance, hardware, used, q)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *
meter_json(const struct weir_limiter_meter *meter)
{
	uint64_t passed = 0, dropped = 0;

	if (meter->rate_bit_s == 0)
		return json_null();
	if (weir_limiter_meter_read(meter, &passed, &dropped) < 0)
		return json_pack("{s:o, s:n, s:n}", "rate_bit_s", weir_json_u64(meter->rate_bit_s),
		                 "passed_frames", "dropped_frames");
	return json_pack("{s:o, s:o, s:o}", "rate_bit_s", weir_json_u64(meter->rate_bit_s),
	                 "passed_frames", weir_json_u64(passed), "dropped_frames",
	                 weir_json_u64(dropped));
}

/* What the port itself counts against what was charged, since Weir began. */
static bool
set_counts(json_t *object, const struct weir_hardware_port *hardware)
{
	bool counted = hardware->raw_known;
	const char *help = weir_port_sent_help(&hardware->from);

	return set(object, "counters_help", help == NULL ? json_null() : json_string(help)) &&
	       set(object, "sent_frames",
	           counted ? weir_json_u64(hardware->sent.frames) : json_null()) &&
	       set(object, "sent_wire_bytes",
	           counted ? weir_json_u64(hardware->sent.wire_bytes) : json_null()) &&
	       set_u64(object, "charged_frames", hardware->charged.frames) &&
	       set_u64(object, "charged_wire_bytes", hardware->charged.wire_bytes) &&
	       set_u64(object, "lost_frames", hardware->lost_frames);
}

/* Why a port has no limits now, or NULL. */
static const char *
reason_of(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	enum weir_port_state state = appliance->port_watch[hardware->index].state;
	bool waits = state == WEIR_PORT_DOWN || state == WEIR_PORT_CLEAN;

	if (hardware->reason[0] != '\0')
		return hardware->reason;
	return waits && !hardware->open && hardware->n_queues > 1
	           ? "they are set once its link is up"
	           : NULL;
}

static bool
set_limiter(json_t *object, const struct weir_appliance *appliance,
            const struct weir_hardware_port *hardware)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	const char *reason = reason_of(appliance, hardware);
	const struct weir_limiter *limiter = &hardware->limiter;
	const struct weir_limiter_driver *driver =
	    hardware->open ? limiter->driver : weir_hardware_row(port);
	bool in_force = has_limits(hardware) && !hardware->distrusted;
	char line[512] = "";
	/* What is said of unknown drivers is about those that have limits. */
	bool known = hardware->open || driver->driver[0] != '\0';

	if (in_force)
		limiter->ops->describe(limiter, line, sizeof(line));
	return set(object, "limiter",
	           json_string(weir_limiter_kind_name(in_force ? limiter->ops->kind
	                                                       : WEIR_LIMITER_SOFT))) &&
	       set(object, "reason", reason == NULL ? json_null() : json_string(reason)) &&
	       set(object, "driver_help", known ? json_string(driver->help) : json_null()) &&
	       set(object, "interface", in_force ? json_string(line) : json_null()) &&
	       set(object, "capabilities", in_force ? capabilities_json(limiter) : json_null()) &&
	       set(object, "quirks", known ? quirks_json(driver) : json_array()) &&
	       set_or_null(object, "port_asked_bit_s", hardware->plan.port_bit_s) &&
	       set_or_null(object, "port_programmed_bit_s", in_force ? limiter->port_bit_s : 0) &&
	       set(object, "meter", meter_json(&hardware->meter));
}

static json_t *
port_json(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	enum weir_port_state state = appliance->port_watch[hardware->index].state;
	const char *test = weir_hardware_test_name(hardware->test), *verdict;
	json_t *object = json_object();
	bool alarm;

	verdict = port_verdict(appliance, hardware, &alarm);
	if (object == NULL || !set(object, "name", json_string(port->config.name)) ||
	    !set(object, "driver", json_string(port->driver)) ||
	    !set(object, "asked", json_string(weir_limiter_kind_name(port->config.limiter))) ||
	    !set(object, "required", json_boolean(port->config.limiter_required)) ||
	    !set(object, "state", json_string(states[state])) ||
	    !set(object, "changing", json_boolean(hardware->change != WEIR_HARDWARE_SETTLED)) ||
	    !set(object, "test", test == NULL ? json_null() : json_string(test)) ||
	    !set_or_null(object, "link_bit_s",
	                 (uint64_t)appliance->port_speed_mbit_s[hardware->index] * 1000000U) ||
	    !set_limiter(object, appliance, hardware) || !set_counts(object, hardware) ||
	    !set(object, "verdict", json_string(verdict)) ||
	    !set(object, "alarm", json_boolean(alarm)) ||
	    !set(object, "queues", queues_json(appliance, hardware))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *
weir_hardware_json(const struct weir_appliance *appliance)
{
	json_t *object = json_object(), *ports = json_array();
	bool ok = object != NULL && ports != NULL;

	for (uint32_t i = 0; i < appliance->n_ports && ok; i++) {
		const struct weir_hardware_port *hardware =
		    appliance->hardware == NULL ? NULL : appliance->hardware->ports[i];

		if (hardware != NULL)
			ok = json_array_append_new(ports, port_json(appliance, hardware)) == 0;
	}
	if (!ok) {
		json_decref(ports);
		json_decref(object);
		return NULL;
	}
	if (!set(object, "ports", ports)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

uint32_t
weir_hardware_shown(const struct weir_appliance *appliance, uint32_t port,
                    struct weir_hardware_shown shown[WEIR_TX_QUEUES_MAX])
{
	const struct weir_hardware_port *hardware =
	    appliance->hardware == NULL ? NULL : appliance->hardware->ports[port];
	uint32_t n = 0;

	for (uint32_t q = 1; hardware != NULL && q < hardware->n_queues; q++) {
		const struct weir_hardware_queue *queue = &hardware->queues[q];

		if (queue->programmed_bit_s == 0)
			continue;
		shown[n++] = (struct weir_hardware_shown){
		    .queue = q,
		    .programmed_bit_s = queue->programmed_bit_s,
		    .measured_bit_s = queue->measured_bit_s,
		    .waiting_frames = weir_hardware_waiting(appliance, hardware, q),
		    .verdict = weir_hardware_verdict_name(verdict_of(queue)),
		};
	}
	return n;
}
