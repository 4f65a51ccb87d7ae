/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/watch.h"

#include <errno.h>
#include <string.h>

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

/* Empties the rings of a port that is down, once no worker uses it. */
static void
clean_port(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	struct weir_port *port = &appliance->ports[index];
	int code;

	if (!weir_dataplane_quiescent(appliance->dataplane, watch->token, false))
		return;
	code = weir_port_restart(port);
	if (code == -EAGAIN)
		return;
	if (code == 0)
		watch->state = WEIR_PORT_CLEAN;
	else if (!watch->failed)
		weir_events_post(appliance->events, WEIR_ALARM, "port_failed",
		                 "port %s: does not start again: %s", port->config.name,
		                 strerror(-code));
	watch->failed = code != 0;
}

static void
watch_link(struct weir_appliance *appliance, uint32_t index, bool quietly)
{
	struct weir_port_watch *watch = &appliance->port_watch[index];
	const struct weir_port *port = &appliance->ports[index];
	uint32_t downs = weir_port_downs(port); /* first: what comes later is seen next time */
	bool up = weir_port_link(port, &appliance->port_speed_mbit_s[index]);

	if (watch->state != WEIR_PORT_UP || quietly)
		watch->downs = downs;
	if (quietly) {
		watch->state = up ? WEIR_PORT_UP : WEIR_PORT_CLEAN;
		weir_dataplane_set_link_up(appliance->dataplane, port->port_id, up);
	} else if (watch->state == WEIR_PORT_UP && (!up || downs != watch->downs)) {
		watch->state = WEIR_PORT_DOWN;
		weir_dataplane_set_link_up(appliance->dataplane, port->port_id, false);
		watch->token = weir_dataplane_fence(appliance->dataplane);
		weir_events_post(appliance->events, WEIR_WARNING, "link_down", "port %s: link %s",
		                 port->config.name, up ? "was down for a moment" : "is down");
	} else if (watch->state == WEIR_PORT_DOWN) {
		clean_port(appliance, index);
	} else if (watch->state == WEIR_PORT_CLEAN && up) {
		watch->state = WEIR_PORT_UP;
		weir_dataplane_set_link_up(appliance->dataplane, port->port_id, true);
		weir_events_post(appliance->events, WEIR_INFO, "link_up", "port %s: link is up",
		                 port->config.name);
	}
}

void
weir_watch_links(struct weir_appliance *appliance, bool quietly)
{
	for (uint32_t i = 0; i < appliance->n_ports; i++)
		watch_link(appliance, i, quietly);
}
