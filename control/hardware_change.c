/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Putting a plan in force, and changing it while frames flow.
 *
 * Nothing here can let more leave than the buckets do: a limit that is too low for a moment makes
 * frames wait, one that is too high is a weaker second wall.
 */
#include "control/config.h"
#include "control/hardware_state.h"
#include "control/watch.h"
#include "dataplane/departures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Clocks of a NIC and of this machine differ, by less than this part of a rate. */
#define CLOCK_PART 200U

/* What a hardware that keeps to its rate may send at once. */
static uint64_t
burst_of(const struct weir_appliance *appliance, const struct weir_limiter *limiter,
         uint64_t asked_bytes)
{
	uint64_t frame_bytes = weir_config_largest_frame(appliance->config);

	if (limiter->capabilities.burst_bytes > 0)
		return limiter->capabilities.burst_bytes + frame_bytes;
	if (limiter->ops->kind == WEIR_LIMITER_QUEUE)
		return WEIR_LIMITER_SAVED_BYTES + 2 * frame_bytes;
	return asked_bytes + frame_bytes;
}

/* The limit to judge a queue by; 0: none. */
static void
judge(const struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint32_t queue,
      uint64_t programmed_bit_s, uint64_t burst_bytes)
{
	uint32_t uncounted_bytes = hardware->limiter.capabilities.uncounted_bytes;
	uint64_t rate_bit_s = 0;

	if (programmed_bit_s > 0) {
		rate_bit_s = programmed_bit_s + (programmed_bit_s + CLOCK_PART - 1) / CLOCK_PART;
		burst_bytes = burst_of(appliance, &hardware->limiter, burst_bytes);
	}
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);

		if (departures != NULL)
			weir_departures_set_limit(departures, rate_bit_s, burst_bytes,
			                          uncounted_bytes, appliance->clock.tsc_hz);
	}
	/* Each may have begun a frame. */
	burst_bytes +=
	    (uint64_t)(hardware->n_senders - 1) * weir_config_largest_frame(appliance->config);
	if (hardware->queues[queue].joint.rate_bit_s != rate_bit_s ||
	    hardware->queues[queue].joint.burst_bytes != burst_bytes)
		hardware->queues[queue].joint = (struct weir_hardware_joint){
		    .rate_bit_s = rate_bit_s, .burst_bytes = burst_bytes};
}

/* A new limit makes a new measurement. */
static void
measure_anew(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
             uint32_t queue)
{
	struct weir_hardware_queue *state = &hardware->queues[queue];

	state->measured_bit_s = 0;
	state->told_slow = state->told_above = false;
	state->windows = 0;
	state->verdict =
	    state->programmed_bit_s > 0 ? WEIR_VERDICT_UNMEASURED : WEIR_VERDICT_SOFTWARE;
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);
		struct weir_hardware_part *part = &state->parts[s];

		part->measured_bit_s = part->counted_bit_s = 0;
		if (departures == NULL)
			continue;
		part->base_busy_frames = atomic_load(&departures->busy_frames);
		part->base_busy_bytes = atomic_load(&departures->busy_bytes);
		part->base_busy_tsc = atomic_load(&departures->busy_tsc);
	}
	weir_hardware_measure_joint_anew(appliance, hardware, queue);
}

static uint32_t
at_most_32_bits(uint64_t bytes)
{
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static void
put_queue(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
          const struct weir_hardware_plan *plan, uint32_t queue)
{
	struct weir_limiter *limiter = &hardware->limiter;
	uint64_t rate = weir_limiter_round(limiter, plan->queue_bit_s[queue]);
	uint32_t burst = at_most_32_bits(plan->queue_burst_bytes[queue]);
	uint64_t old_rate = limiter->programmed_bit_s[queue];
	uint32_t old_burst = limiter->programmed_burst_bytes[queue];

	/* Judged by the higher one of both for as long as it is not sure which is in force. */
	judge(appliance, hardware, queue, rate > old_rate ? rate : old_rate,
	      burst > old_burst ? burst : old_burst);
	hardware->queues[queue].broken =
	    weir_limiter_set_queue(limiter, (uint16_t)queue, plan->queue_bit_s[queue], burst) < 0;
}

static bool
sets_burst(const struct weir_limiter *limiter)
{
	return limiter->ops->kind == WEIR_LIMITER_TM && limiter->capabilities.burst_bytes == 0;
}

static bool
changes(const struct weir_limiter *limiter, const struct weir_hardware_plan *plan, uint32_t queue)
{
	uint64_t rate = plan->queue_bit_s[queue];

	if (rate == 0)
		return false;
	return weir_limiter_round(limiter, rate) != limiter->programmed_bit_s[queue] ||
	       (sets_burst(limiter) && at_most_32_bits(plan->queue_burst_bytes[queue]) !=
	                                   limiter->programmed_burst_bytes[queue]);
}

static uint32_t
port_burst_bytes(const struct weir_hardware_plan *plan)
{
	uint64_t burst = 0;

	for (uint32_t q = 0; q < plan->n_queues; q++)
		burst += plan->queue_burst_bytes[q];
	return at_most_32_bits(burst);
}

/* Also where a plan has no limit of the port: the one before it may be too low by now. */
static bool
port_changes(const struct weir_limiter *limiter, const struct weir_hardware_plan *plan)
{
	if (!limiter->capabilities.port_limit)
		return false;
	if (plan->port_bit_s == 0)
		return limiter->port_bit_s != 0;
	return weir_limiter_round(limiter, plan->port_bit_s) != limiter->port_bit_s ||
	       (sets_burst(limiter) && port_burst_bytes(plan) != limiter->port_burst_bytes);
}

/* What is not programmed has no limit, so that a first one falls. */
static bool
falls(const struct weir_limiter *limiter, const struct weir_hardware_plan *plan, uint32_t queue)
{
	uint64_t before = limiter->programmed_bit_s[queue];

	return before == 0 || weir_limiter_round(limiter, plan->queue_bit_s[queue]) < before;
}

/*
 * The whole port's. Only a second wall: where the driver refuses it, the queues' limits stand all
 * the same, and there is none, as where the sum of the rates is more than it can hold. 0 or -errno:
 * an old one may be left, which would throttle the port.
 */
static int
put_port(struct weir_limiter *limiter, const struct weir_hardware_plan *plan)
{
	if (!port_changes(limiter, plan))
		return 0;
	if (plan->port_bit_s > 0 &&
	    weir_limiter_set_port(limiter, plan->port_bit_s, port_burst_bytes(plan)) == 0)
		return 0;
	return weir_limiter_clear_port(limiter);
}

/*
 * A commit that stops the queues begins each limit anew, also one that stays as it is: its burst
 * may leave once more. Nothing waits in the port, which no worker uses.
 */
static void
judge_anew(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
           uint32_t queue)
{
	struct weir_hardware_joint *joint = &hardware->queues[queue].joint;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);

		if (departures != NULL)
			weir_departures_start_limit(departures);
	}
	*joint = (struct weir_hardware_joint){.rate_bit_s = joint->rate_bit_s,
	                                      .burst_bytes = joint->burst_bytes};
}

/* Reads back what can be, and learns what is in force now. anew: no test has seen it. */
static void
settle_queue(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
             const struct weir_hardware_plan *plan, uint32_t queue, bool anew)
{
	struct weir_hardware_queue *state = &hardware->queues[queue];
	struct weir_limiter *limiter = &hardware->limiter;
	uint64_t before = state->programmed_bit_s, read = 0;
	int code;

	state->asked_bit_s = plan->queue_bit_s[queue];
	state->programmed_bit_s = 0;
	if (state->asked_bit_s > 0 && !state->broken) {
		code = limiter->ops->verify == NULL
		           ? -ENOTSUP
		           : limiter->ops->verify(limiter, (uint16_t)queue, &read);
		state->broken = code == -EILSEQ;
		if (!state->broken)
			state->programmed_bit_s = limiter->programmed_bit_s[queue];
	}
	if (anew || state->programmed_bit_s == 0)
		state->tested = WEIR_VERDICT_SOFTWARE;
	if (anew && state->programmed_bit_s > 0)
		hardware->n_anew++;
	judge(appliance, hardware, queue, state->programmed_bit_s, plan->queue_burst_bytes[queue]);
	if (state->programmed_bit_s != before || before == 0)
		measure_anew(appliance, hardware, queue);
}

int
weir_hardware_put(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                  const struct weir_hardware_plan *plan)
{
	struct weir_limiter *limiter = &hardware->limiter;
	char error[WEIR_HARDWARE_REASON_SIZE / 2] = "";
	bool rising[WEIR_TX_QUEUES_MAX] = {false}, anew[WEIR_TX_QUEUES_MAX] = {false}, all_anew;
	int code;

	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		hardware->queues[q].broken = false;
		anew[q] = changes(limiter, plan, q);
		if (!anew[q])
			continue;
		rising[q] = !falls(limiter, plan, q);
		if (!rising[q])
			put_queue(appliance, hardware, plan, q);
	}
	code = put_port(limiter, plan); /* the sum: falls behind theirs, rises before them */
	if (code < 0)
		snprintf(error, sizeof(error), "that of the port: %s", strerror(-code));
	for (uint32_t q = 1; q < hardware->n_queues; q++)
		if (rising[q])
			put_queue(appliance, hardware, plan, q);
	/* Such a commit takes down all that is in force and builds it anew. */
	all_anew = limiter->changed && limiter->capabilities.change == WEIR_LIMITER_STOPS;
	if (code == 0)
		code = weir_limiter_commit(limiter, error, sizeof(error));
	if (code < 0) {
		snprintf(hardware->reason, sizeof(hardware->reason),
		         "its limits could not be put in force: %s", error);
		return -EAGAIN;
	}
	hardware->n_anew = 0;
	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		settle_queue(appliance, hardware, plan, q, anew[q] || all_anew);
		if (all_anew)
			judge_anew(appliance, hardware, q);
	}
	return 0;
}

/* Tells the workers of all slots that go another way than before, in use or not. */
static void
send_by(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
        const uint8_t *queue_of_slot)
{
	if (hardware->n_queues < 2)
		return;
	for (uint32_t slot = 0; slot < WEIR_CLASSES_MAX; slot++) {
		if (hardware->queue_of_slot[slot] == queue_of_slot[slot])
			continue;
		hardware->queue_of_slot[slot] = queue_of_slot[slot];
		weir_dataplane_set_queue(appliance->dataplane, hardware->link, slot,
		                         queue_of_slot[slot]);
	}
}

void
weir_hardware_adopt(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                    struct weir_hardware_plan *plan)
{
	uint8_t queue_of_slot[WEIR_CLASSES_MAX] = {0};

	assert(plan->n_classes == appliance->config->n_classes);
	for (uint32_t i = 0; i < plan->n_classes; i++) {
		uint8_t queue = plan->classes[i].queue;

		assert(queue < hardware->n_queues);
		if (hardware->queues[queue].programmed_bit_s > 0)
			queue_of_slot[appliance->class_slots[i]] = queue;
	}
	send_by(appliance, hardware, queue_of_slot);
	weir_hardware_plan_free(&hardware->plan);
	hardware->plan = *plan;
	*plan = (struct weir_hardware_plan){0};
}

void
weir_hardware_go_soft(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	static const uint8_t queue_of_slot[WEIR_CLASSES_MAX];

	send_by(appliance, hardware, queue_of_slot);
	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		judge(appliance, hardware, q, 0, 0);
		hardware->queues[q].programmed_bit_s = 0;
		if (hardware->queues[q].verdict != WEIR_VERDICT_FAST)
			hardware->queues[q].verdict = WEIR_VERDICT_SOFTWARE;
	}
}

/* Whether anything has to be programmed for a plan. */
static bool
needs_programming(const struct weir_hardware_port *hardware, const struct weir_hardware_plan *plan)
{
	const struct weir_limiter *limiter = &hardware->limiter;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		if (changes(limiter, plan, q))
			return true;
	return port_changes(limiter, plan);
}

void
weir_hardware_clear_port(struct weir_hardware_port *hardware)
{
	size_t used = strlen(hardware->reason);

	if (weir_limiter_clear_port(&hardware->limiter) < 0)
		snprintf(hardware->reason + used, sizeof(hardware->reason) - used,
		         "; that of the whole port may be left");
}

/* The limits in the NIC are not those that Weir knows of: off with it, and on anew. */
static void
distrust(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	const char *name = appliance->ports[hardware->index].config.name;

	hardware->distrusted = true;
	weir_hardware_clear_port(hardware);
	weir_events_post(appliance->events, WEIR_ALARM, "limits_failed", "port %s: %s", name,
	                 hardware->reason);
	weir_watch_restart(appliance, hardware->index, "has to be started anew");
}

/* Without limits that it must have, a port is not used until they can be set. */
static void
leave_if_required(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	if (appliance->ports[hardware->index].config.limiter_required)
		weir_watch_restart(appliance, hardware->index,
		                   "limiter_required, and not all limits are in force: not used");
}

void
weir_hardware_change_now(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                         struct weir_hardware_plan *plan)
{
	const char *name = appliance->ports[hardware->index].config.name;
	uint32_t broken = 0;

	if (weir_hardware_put(appliance, hardware, plan) < 0) {
		weir_hardware_plan_free(plan);
		distrust(appliance, hardware);
		return;
	}
	weir_hardware_adopt(appliance, hardware, plan);
	weir_hardware_test_missed(appliance, hardware);
	for (uint32_t q = 1; q < hardware->n_queues; q++)
		broken += hardware->queues[q].broken ? 1 : 0;
	if (broken == 0)
		return;
	/* With the link down all are refused. Then they are set once it is up again. */
	weir_watch_link(appliance, hardware->index);
	if (appliance->port_watch[hardware->index].state != WEIR_PORT_UP)
		return;
	weir_events_post(appliance->events, WEIR_WARNING, "limits_refused",
	                 "port %s: its driver refused the limits of %" PRIu32
	                 " queues: their classes are limited in software alone",
	                 name, broken);
	leave_if_required(appliance, hardware);
}

/* A class that a plan has and uses, by its name, as its index there; or WEIR_ANY. */
static uint32_t
class_in(const struct weir_hardware_plan *plan, const char *name)
{
	for (uint32_t i = 0; i < plan->n_classes; i++)
		if (plan->classes[i].used && strcmp(plan->classes[i].name, name) == 0)
			return i;
	return WEIR_ANY;
}

/*
 * Whether frames that wait could leave faster by a plan than their class may: at the same time as
 * those that it sends by another queue from now on, or by the higher limit of a class that gets
 * their queue. Where departures are told a class has no more on its way than its burst, which may
 * leave at once; otherwise as much as a ring holds. There no queue is shared.
 */
static bool
speeds_up(const struct weir_hardware_port *hardware, const struct weir_hardware_plan *plan)
{
	const struct weir_limiter *limiter = &hardware->limiter;

	const struct weir_hardware_plan *before = &hardware->plan;
	uint32_t other;

	if (limiter->capabilities.completions)
		return false;
	for (uint32_t i = 0; i < before->n_classes; i++) {
		if (before->classes[i].queue == 0)
			continue;
		other = class_in(plan, before->classes[i].name);
		if (other != WEIR_ANY && plan->classes[other].queue != before->classes[i].queue)
			return true;
	}
	for (uint32_t i = 0; i < plan->n_classes; i++) {
		uint32_t queue = plan->classes[i].queue;

		if (queue == 0)
			continue;
		other = class_in(before, plan->classes[i].name);
		if (other != WEIR_ANY && before->classes[other].queue != queue)
			return true;
		/* Of one that is gone, and had it at some time, frames may wait there still. */
		if (other == WEIR_ANY && limiter->programmed_bit_s[queue] != 0 &&
		    !falls(limiter, plan, queue))
			return true;
	}
	return false;
}

/* The largest limit that holds back to a rate, whatever the rounding takes; 0: there is none. */
static uint64_t
holds_back(const struct weir_limiter *limiter, uint64_t rate_bit_s)
{
	uint64_t step = limiter->capabilities.step_bit_s;

	if (rate_bit_s < limiter->capabilities.min_bit_s)
		rate_bit_s = limiter->capabilities.min_bit_s;
	return weir_limiter_round(limiter, step == 0 ? rate_bit_s : rate_bit_s - rate_bit_s % step);
}

/*
 * Before a change that has to wait: limits of classes whose rates fall do so at once, for what
 * waits in their queues. Returns false where nobody can say any more what is in force.
 */
static bool
lower(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
      const struct weir_hardware_plan *plan)
{
	const struct weir_limiter *limiter = &hardware->limiter;
	struct weir_hardware_plan *present = &hardware->plan;

	for (uint32_t i = 0; i < present->n_classes; i++) {
		uint32_t queue = present->classes[i].queue;
		uint32_t other = queue == 0 ? WEIR_ANY : class_in(plan, present->classes[i].name);
		uint64_t rate;

		if (other == WEIR_ANY)
			continue;
		rate = holds_back(limiter, appliance->config->classes[other].rate_bit_s);
		if (rate != 0 && rate < limiter->programmed_bit_s[queue])
			present->queue_bit_s[queue] = rate;
	}
	return weir_hardware_put(appliance, hardware, present) == 0;
}

static void
wait_to_change(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
               struct weir_hardware_plan *plan)
{
	if (hardware->limiter.capabilities.change == WEIR_LIMITER_LIVE &&
	    !lower(appliance, hardware, plan)) {
		weir_hardware_plan_free(plan);
		distrust(appliance, hardware);
		return;
	}
	weir_hardware_change_held(appliance, hardware, plan);
}

/* Plans for a port that is in use. Returns 0 or -errno with one line in error. */
static int
plan_port(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
          struct weir_hardware_plan *plan, char *error, size_t error_size)
{
	int code =
	    weir_hardware_plan(appliance->config, hardware->link, &hardware->limiter,
	                       hardware->n_senders, &hardware->plan, plan, error, error_size);

	if (code < 0 || !appliance->ports[hardware->index].config.limiter_required ||
	    weir_hardware_plan_limits_all(plan, error, error_size))
		return code;
	weir_hardware_plan_free(plan);
	return -ENOTSUP;
}

int
weir_hardware_plan_software(const struct weir_appliance *appliance,
                            struct weir_hardware_port *hardware, struct weir_hardware_plan *plan)
{
	char error[WEIR_HARDWARE_REASON_SIZE];
	int code = weir_hardware_plan(appliance->config, hardware->link, NULL, hardware->n_senders,
	                              NULL, plan, error, sizeof(error));

	hardware->unplanned = code == 0;
	return code;
}

static void
change_port(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	const struct weir_port_config *port = &appliance->ports[hardware->index].config;
	struct weir_hardware_plan plan;
	char error[WEIR_HARDWARE_REASON_SIZE];
	int code = plan_port(appliance, hardware, &plan, error, sizeof(error));

	hardware->unplanned = false;
	hardware->reason[0] = '\0';
	if (code < 0) {
		snprintf(hardware->reason, sizeof(hardware->reason), "%s", error);
		weir_events_post(appliance->events, WEIR_WARNING, "limits_refused",
		                 "port %s: %s: %s", port->name, error,
		                 port->limiter_required
		                     ? "it is not used"
		                     : "all its classes are limited in software alone");
		/* The port's limit would stand. */
		if (!port->limiter_required)
			code = weir_hardware_plan_software(appliance, hardware, &plan);
	}
	if (code < 0) {
		weir_hardware_cancel(appliance, hardware);
		weir_hardware_go_soft(appliance, hardware);
		leave_if_required(appliance, hardware);
		return;
	}
	if (hardware->change != WEIR_HARDWARE_SETTLED || speeds_up(hardware, &plan) ||
	    (hardware->limiter.capabilities.change == WEIR_LIMITER_STOPS &&
	     needs_programming(hardware, &plan)))
		wait_to_change(appliance, hardware, &plan);
	else
		weir_hardware_change_now(appliance, hardware, &plan);
}

void
weir_hardware_policy(struct weir_appliance *appliance)
{
	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_hardware_port *hardware =
		    appliance->hardware == NULL ? NULL : appliance->hardware->ports[i];

		/* What is not in use is planned when it is programmed. */
		if (hardware == NULL || appliance->port_watch[i].state != WEIR_PORT_UP)
			continue;
		if (hardware->test == WEIR_TEST_RUNNING) {
			weir_watch_restart(appliance, i,
			                   "has its limits set and tested anew by the new policy");
			continue;
		}
		weir_hardware_raise_meter(appliance, hardware);
		if (hardware->open && !hardware->distrusted)
			change_port(appliance, hardware);
		weir_hardware_set_meter(appliance, hardware);
	}
}
