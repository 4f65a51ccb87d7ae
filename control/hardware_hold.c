/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of limits that have to wait until nothing is left in the port's queues. */
#include "control/config.h"
#include "control/hardware_state.h"
#include "control/watch.h"
#include "dataplane/departures.h"

#include <inttypes.h>
#include <stdio.h>

/* What may wait in a queue before the port is held, of each sender. */
static uint64_t
eased_bytes(const struct weir_hardware_port *hardware, uint32_t queue)
{
	uint64_t rate_bit_s = hardware->queues[queue].programmed_bit_s;
	weir_u128 bytes = (weir_u128)rate_bit_s * WEIR_HARDWARE_EASE_NS / WEIR_NS_PER_S / 8;
	uint64_t sum = 0;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		sum = weir_sat_add(sum, hardware->queues[q].programmed_bit_s);
	/* More than the link can send takes longer. */
	if (hardware->link_bit_s > 0 && sum > hardware->link_bit_s)
		bytes = bytes * hardware->link_bit_s / sum;
	return (uint64_t)(bytes / hardware->n_senders);
}

/* Has the workers hand over no more than leaves soon, or again as much as there is room for. */
static void
ease(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware, bool on)
{
	bool required = appliance->ports[hardware->index].config.limiter_required;

	for (uint32_t q = 0; q < hardware->n_queues; q++) {
		uint64_t most = UINT64_MAX;

		if (on && hardware->queues[q].programmed_bit_s > 0)
			most = eased_bytes(hardware, q);
		else if (on && required)
			most = 0;
		for (uint32_t s = 0; s < hardware->n_senders; s++) {
			struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);

			if (departures != NULL)
				atomic_store_explicit(&departures->most_bytes, most,
				                      memory_order_relaxed);
		}
	}
}

/* Whether what waits in the limited queues leaves soon. */
static bool
is_eased(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	uint64_t frame_bytes = weir_config_largest_frame(appliance->config);

	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		uint64_t most = eased_bytes(hardware, q) + frame_bytes;

		for (uint32_t s = 0; s < hardware->n_senders; s++) {
			const struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);

			if (departures != NULL && hardware->queues[q].programmed_bit_s > 0 &&
			    atomic_load(&departures->waiting_bytes) > most)
				return false;
		}
	}
	return true;
}

static void
hold(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	hardware->change = WEIR_HARDWARE_HOLDING;
	hardware->change_ns = 0; /* begins to count at the next step */
	weir_dataplane_hold(appliance->dataplane, appliance->ports[hardware->index].port_id, true);
	hardware->change_token = weir_dataplane_fence(appliance->dataplane);
}

void
weir_hardware_change_held(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                          struct weir_hardware_plan *plan)
{
	weir_hardware_plan_free(&hardware->next);
	hardware->next = *plan;
	*plan = (struct weir_hardware_plan){0};
	if (hardware->change != WEIR_HARDWARE_SETTLED)
		return;
	hardware->change_due_ns = 0;
	hardware->told_put_off = false;
	if (!hardware->limiter.capabilities.completions) {
		hold(appliance, hardware);
		return;
	}
	/* Until the next look: workers have seen it by then. */
	hardware->change = WEIR_HARDWARE_EASING;
	ease(appliance, hardware, true);
}

void
weir_hardware_cancel(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	weir_hardware_plan_free(&hardware->next);
	if (hardware->change == WEIR_HARDWARE_SETTLED)
		return;
	hardware->change = WEIR_HARDWARE_SETTLED;
	ease(appliance, hardware, false);
	weir_dataplane_hold(appliance->dataplane, appliance->ports[hardware->index].port_id, false);
}

/* Whether nothing is left in the port's queues, as far as that can be known. */
static bool
is_empty(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t *waiting)
{
	*waiting = 0;
	if (!hardware->limiter.capabilities.completions)
		return weir_hardware_all_left(appliance, hardware, waiting);
	for (uint32_t q = 0; q < hardware->n_queues; q++)
		*waiting += weir_hardware_waiting(appliance, hardware, q);
	return *waiting == 0;
}

/* The port does not send what it could: it goes on as before, and this is tried again later. */
static void
put_off(struct weir_appliance *appliance, struct weir_hardware_port *hardware, const char *why,
        uint64_t now_ns)
{
	hardware->change = WEIR_HARDWARE_EASING;
	hardware->change_due_ns = now_ns + WEIR_HARDWARE_PUT_OFF_NS;
	weir_dataplane_hold(appliance->dataplane, appliance->ports[hardware->index].port_id, false);
	if (hardware->told_put_off)
		return;
	hardware->told_put_off = true;
	weir_events_post(appliance->events, WEIR_WARNING, "limits_drain",
	                 "port %s: %s, so its limits can't be changed yet: the old ones stand",
	                 appliance->ports[hardware->index].config.name, why);
}

/* What waits will be lost: the way of a port whose link went down has all that this needs. */
static void
give_up(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t waiting)
{
	hardware->lost_frames += waiting;
	weir_events_post(appliance->events, WEIR_WARNING, "limits_drain",
	                 "port %s: %" PRIu64
	                 " frames still waited in its queues when its limits had to change, and "
	                 "are lost",
	                 appliance->ports[hardware->index].config.name, waiting);
	weir_watch_restart(appliance, hardware->index, "is started anew for its new limits");
}

void
weir_hardware_step(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                   uint64_t now_ns)
{
	struct weir_hardware_plan plan;
	char why[64];
	uint64_t waiting;

	if (hardware->change == WEIR_HARDWARE_EASING && now_ns >= hardware->change_due_ns &&
	    is_eased(appliance, hardware))
		hold(appliance, hardware);
	if (hardware->change == WEIR_HARDWARE_HOLDING) {
		hardware->change_ns = hardware->change_ns == 0 ? now_ns : hardware->change_ns;
		if (weir_dataplane_quiescent(appliance->dataplane, hardware->change_token, false)) {
			hardware->change = WEIR_HARDWARE_DRAINING;
			hardware->change_ns = now_ns;
		} else if (now_ns - hardware->change_ns >= WEIR_HARDWARE_DRAIN_NS) {
			/* The others are not to wait for it. */
			put_off(appliance, hardware, "a worker makes no round", now_ns);
		}
	}
	if (hardware->change != WEIR_HARDWARE_DRAINING)
		return;
	if (!is_empty(appliance, hardware, &waiting)) {
		if (now_ns - hardware->change_ns < WEIR_HARDWARE_DRAIN_NS)
			return;
		if (!hardware->limiter.capabilities.completions) {
			give_up(appliance, hardware, waiting);
			return;
		}
		snprintf(why, sizeof(why), "%" PRIu64 " frames still wait in its queues", waiting);
		put_off(appliance, hardware, why, now_ns);
		return;
	}
	plan = hardware->next;
	hardware->next = (struct weir_hardware_plan){0};
	weir_hardware_change_now(appliance, hardware, &plan);
	weir_hardware_cancel(appliance, hardware);
	weir_hardware_set_meter(appliance, hardware);
}
