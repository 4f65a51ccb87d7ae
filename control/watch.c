/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/watch.h"

#include "control/config.h"
#include "control/hardware.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Looks between two tries to set the limits of a port: a second. */
#define RETRY_LOOKS 20U
/* Looks after which no driver still tells that a link came up: ten seconds. */
#define SETTLE_LOOKS 200U
/* Looks at which a breached port could not be stopped, before it is told: a second. */
#define STOP_LOOKS 20U

static void
measure_share(struct weir_worker_watch *watch, uint64_t rounds, uint64_t busy_rounds)
{
	uint64_t passed = rounds - watch->share_rounds;

	watch->busy_share =
	    passed == 0 ? 0 : (double)(busy_rounds - watch->share_busy_rounds) / (double)passed;
	watch->share_rounds = rounds;
	watch->share_busy_rounds = busy_rounds;
}

static void
watch_worker(struct weir_appliance *appliance, uint32_t index, uint64_t now_ns)
{
	const struct weir_counters *counters = weir_dataplane_counters(appliance->dataplane, index);
	struct weir_worker_watch *watch = &appliance->workers[index];
	uint32_t lcore = appliance->config->appliance.workers[index];
	uint64_t rounds = weir_count_read(&counters->rounds);

	if (rounds != watch->rounds || watch->changed_ns == 0) {
		if (watch->stalled)
			weir_events_post(appliance->events, WEIR_INFO, "worker_resumed",
			                 "worker on lcore %u goes on", lcore);
		watch->stalled = false;
		watch->rounds = rounds;
		watch->changed_ns = now_ns;
	} else if (!watch->stalled && now_ns - watch->changed_ns >= WEIR_WATCH_STALL_NS) {
		watch->stalled = true;
		weir_events_post(appliance->events, WEIR_ALARM, "worker_stalled",
		                 "worker on lcore %u has made no round for a second: its queues "
		                 "stand still, the others go on",
		                 lcore);
	}
	if (now_ns - watch->share_ns >= WEIR_NS_PER_S) {
		watch->share_ns = now_ns;
		measure_share(watch, rounds, weir_count_read(&counters->busy_rounds));
	}
}

void
weir_watch_workers(struct weir_appliance *appliance, uint64_t now_ns)
{
	for (uint32_t w = 0; w < appliance->config->appliance.n_workers; w++)
		watch_worker(appliance, w, now_ns);
}

void
weir_watch_ledger(struct weir_appliance *appliance, uint64_t now_ns)
{
	uint64_t busy_ns;

	if (appliance->ledger_thread == NULL)
		return;
	busy_ns = weir_ledger_thread_busy_ns(appliance->ledger_thread, now_ns);
	if (busy_ns >= WEIR_WATCH_STALL_NS && !appliance->ledger_slow) {
		appliance->ledger_slow = true;
		weir_events_post(appliance->events, WEIR_ALARM, "ledger_slow",
		                 "ledger: the disk has not answered for a second: nothing more is "
		                 "granted until it does");
	} else if (busy_ns < WEIR_WATCH_STALL_NS && appliance->ledger_slow) {
		appliance->ledger_slow = false;
		weir_events_post(appliance->events, WEIR_INFO, "ledger_resumed",
		                 "ledger: the disk answers again");
	}
}

/* One class. tell: whether to post what has become of it. */
static enum weir_starvation_change
look_at_class(struct weir_appliance *appliance, uint32_t index, bool tell)
{
	const struct weir_config_class *class = &appliance->config->classes[index];
	uint32_t slot = appliance->class_slots[index];
	struct weir_starvation *starvation = &appliance->starvation[slot];
	struct weir_class_totals totals;
	enum weir_starvation_change change;

	weir_dataplane_class_totals(appliance->dataplane, slot, &totals);
	change = weir_starvation_look(starvation, &totals, class->rate_bit_s,
	                              weir_config_largest_frame(appliance->config));
	if (change == WEIR_STARVATION_BEGINS && tell)
		weir_events_post(appliance->events, WEIR_ALARM, "class_starved",
		                 "class %s: in %" PRIu32 " s %" PRIu64 " bytes left and %" PRIu64
		                 " were dropped, %" PRIu64 " wait; its rate is %" PRIu64 " bit/s",
		                 class->name, starvation->seconds, starvation->left_bytes,
		                 starvation->dropped_bytes, totals.queued_bytes, class->rate_bit_s);
	else if (change == WEIR_STARVATION_ENDS && tell)
		weir_events_post(appliance->events, WEIR_INFO, "class_recovered",
		                 "class %s: starves no more", class->name);
	return change;
}

void
weir_watch_classes(struct weir_appliance *appliance, uint64_t now_ns)
{
	uint32_t changes[WEIR_STARVATION_ENDS + 1] = {0};
	const uint32_t *begun = &changes[WEIR_STARVATION_BEGINS];
	const uint32_t *ended = &changes[WEIR_STARVATION_ENDS];

	if (now_ns - appliance->starvation_ns < WEIR_NS_PER_S)
		return;
	appliance->starvation_ns = now_ns;
	for (uint32_t i = 0; i < appliance->config->n_classes; i++)
		changes[look_at_class(appliance, i, *begun + *ended < WEIR_WATCH_STARVED_MAX)]++;
	if (*begun + *ended <= WEIR_WATCH_STARVED_MAX)
		return;
	weir_events_post(appliance->events, *begun > 0 ? WEIR_ALARM : WEIR_INFO,
	                 *begun > 0 ? "class_starved" : "class_recovered",
	                 "in all, %" PRIu32 " classes have begun to starve and %" PRIu32
	                 " have ceased to: the status tells which",
	                 *begun, *ended);
}

/* Empties the rings of a port that is down, once no worker uses it. */
static void
clean_port(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	struct weir_port *port = &appliance->ports[index];
	int code;

	if (!weir_dataplane_left(appliance->dataplane, port->port_id, watch->token) ||
	    !weir_hardware_leave(appliance, index))
		return;
	weir_hardware_forget(appliance, index);
	code = weir_port_restart(port);
	if (code == -EAGAIN)
		return;
	if (code == 0) {
		watch->state = WEIR_PORT_CLEAN;
		/* The link may stay down for long: classes that use others too go on without. */
		weir_dataplane_rings_emptied(appliance->dataplane, port->port_id);
	} else if (!watch->failed)
		weir_events_post(appliance->events, WEIR_ALARM, "port_failed",
		                 "port %s: does not start again: %s", port->config.name,
		                 strerror(-code));
	watch->failed = code != 0;
}

/* No worker uses the port from the next fence on. */
static void
take_out(struct weir_appliance *appliance, uint32_t index, enum weir_port_state state)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];

	/* What has sent too much stays so, whatever else is wrong with it. */
	if (watch->state != WEIR_PORT_BREACHED)
		watch->state = state;
	weir_port_settle(&appliance->ports[index], false);
	weir_dataplane_set_link_up(appliance->dataplane, appliance->ports[index].port_id, false);
	watch->token = weir_dataplane_fence(appliance->dataplane);
}

void
weir_watch_restart(struct weir_appliance *appliance, uint32_t index, const char *why)
{
	take_out(appliance, index, WEIR_PORT_DOWN);
	weir_events_post(appliance->events, WEIR_WARNING, "port_restart", "port %s: %s",
	                 appliance->ports[index].config.name, why);
}

void
weir_watch_breach(struct weir_appliance *appliance, uint32_t index)
{
	/* At once, as far as the driver can: a worker that hangs must not keep it sending. */
	weir_port_cut(&appliance->ports[index]);
	appliance->port_watch[index].wait = 0;
	take_out(appliance, index, WEIR_PORT_BREACHED);
}

/* Stops a port that has sent too much. It is never started again. */
static void
stop_port(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	struct weir_port *port = &appliance->ports[index];

	if (!port->started)
		return;
	if (weir_dataplane_left(appliance->dataplane, port->port_id, watch->token)) {
		weir_hardware_forget(appliance, index);
		weir_port_stop(port);
		weir_dataplane_rings_emptied(appliance->dataplane, port->port_id);
		return;
	}
	if (watch->wait < STOP_LOOKS && ++watch->wait == STOP_LOOKS)
		weir_events_post(appliance->events, WEIR_ALARM, "port_breach",
		                 "port %s: can't be stopped, a worker that uses it makes no round: "
		                 "pull its cable, or end weir",
		                 port->config.name);
}

/* Workers stop with the event: what it has done to the limits is not known until the next look. */
static void
on_link_change(void *arg, uint16_t port_id)
{
	weir_dataplane_set_link_up(arg, port_id, false);
}

/* Lets workers use a port, unless its link has changed since it was looked at. */
static void
let_use(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	const struct weir_port *port = &appliance->ports[index];

	watch->state = WEIR_PORT_UP;
	watch->speed_mbit_s = appliance->port_speed_mbit_s[index];
	watch->up_looks = 0;
	weir_dataplane_set_link_up(appliance->dataplane, port->port_id, true);
	/* An event before this was counted, and could clear nothing; the next look takes it out. */
	if (weir_port_downs(port) != watch->downs)
		weir_dataplane_set_link_up(appliance->dataplane, port->port_id, false);
}

/* Sets the limits of a port whose link is up, and lets workers use it. 0 or -errno: not yet. */
static int
bring_up(struct weir_appliance *appliance, uint32_t index, char *error)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	int code = weir_hardware_program(appliance, index, error);

	/* Its counters are read there. */
	if (watch->state == WEIR_PORT_BREACHED) {
		snprintf(error, WEIR_ERROR_SIZE, "port %s: has sent more than was charged",
		         appliance->ports[index].config.name);
		return -EIO;
	}
	if (code == -EAGAIN) {
		take_out(appliance, index, WEIR_PORT_DOWN);
	} else if (code < 0) {
		watch->wait = RETRY_LOOKS;
	} else {
		let_use(appliance, index);
	}
	return code;
}

/* A port that is clean and whose link is up. */
static void
use_again(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	char error[WEIR_ERROR_SIZE] = "";
	int code;

	if (watch->wait > 0) {
		watch->wait--;
		return;
	}
	code = bring_up(appliance, index, error);
	if (code == 0)
		weir_events_post(appliance->events, WEIR_INFO, "link_up", "port %s: link is up",
		                 appliance->ports[index].config.name);
	else if (!watch->refused && watch->state != WEIR_PORT_BREACHED) /* which has its own */
		weir_events_post(appliance->events, WEIR_ALARM, "limits_failed", "%s", error);
	watch->refused = code != 0;
}

/* A port in use: whether its link is still what it was. */
static void
watch_up(struct weir_appliance *appliance, uint32_t index, bool up, uint32_t downs)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	const char *name = appliance->ports[index].config.name;
	uint32_t before = watch->speed_mbit_s, now = appliance->port_speed_mbit_s[index];

	if (up && downs == watch->downs && before == now) {
		if (watch->up_looks < SETTLE_LOOKS && ++watch->up_looks == SETTLE_LOOKS)
			weir_port_settle(&appliance->ports[index], true);
		return;
	}
	take_out(appliance, index, WEIR_PORT_DOWN);
	if (up && downs == watch->downs)
		weir_events_post(appliance->events, WEIR_WARNING, "link_down",
		                 "port %s: link was down for a moment: its speed has changed from "
		                 "%" PRIu32 " to %" PRIu32 " Mbit/s",
		                 name, before, now);
	else
		weir_events_post(appliance->events, WEIR_WARNING, "link_down", "port %s: link %s",
		                 name, up ? "was down for a moment" : "is down");
}

void
weir_watch_link(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	const struct weir_port *port = &appliance->ports[index];
	uint32_t downs = weir_port_downs(port); /* first: what comes later is seen next time */
	bool up = weir_port_link(port, &appliance->port_speed_mbit_s[index]);

	if (watch->state != WEIR_PORT_UP)
		watch->downs = downs;
	switch (watch->state) {
	case WEIR_PORT_UP:
		watch_up(appliance, index, up, downs);
		break;
	case WEIR_PORT_DOWN:
		clean_port(appliance, index);
		break;
	case WEIR_PORT_CLEAN:
		if (up)
			use_again(appliance, index);
		break;
	case WEIR_PORT_BREACHED:
		stop_port(appliance, index);
		break;
	}
}

void
weir_watch_links(struct weir_appliance *appliance)
{
	for (uint32_t i = 0; i < appliance->n_ports; i++)
		weir_watch_link(appliance, i);
}

void
weir_watch_ports(struct weir_appliance *appliance, uint64_t now_ns)
{
	weir_watch_links(appliance);
	weir_hardware_tick(appliance, now_ns);
}

int
weir_watch_first_links(struct weir_appliance *appliance, char *error)
{
	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_port_watch *watch = &appliance->port_watch[i];
		struct weir_port *port = &appliance->ports[i];
		int code;

		weir_port_on_change(port, on_link_change, appliance->dataplane);
		watch->downs = weir_port_downs(port);
		watch->state = WEIR_PORT_CLEAN;
		weir_dataplane_set_link_up(appliance->dataplane, port->port_id, false);
		if (!weir_port_link(port, &appliance->port_speed_mbit_s[i]))
			continue;
		code = bring_up(appliance, i, error);
		if (code < 0 && code != -EAGAIN)
			return code;
		if (code == -EAGAIN)
			weir_events_post(appliance->events, WEIR_ALARM, "limits_failed", "%s",
			                 error);
	}
	return 0;
}

void
weir_watch_end(struct weir_appliance *appliance)
{
	for (uint32_t i = 0; i < appliance->n_ports; i++)
		weir_port_on_change(&appliance->ports[i], NULL, NULL);
}
