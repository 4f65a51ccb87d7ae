/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/collect.h"

#include "control/config.h"
#include "control/hardware.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <string.h>

static void
collect_ledger(const struct weir_appliance *appliance, struct weir_status *status)
{
	const struct weir_config *config = appliance->config;

	/* The thread has gone at the very end of a stop. */
	if (appliance->ledger_thread != NULL)
		weir_ledger_thread_get_status(appliance->ledger_thread, &status->ledger);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];
		struct weir_status_budget *shown = &status->budgets[i];

		shown->name = budget->name;
		if (budget->parent != WEIR_ANY)
			shown->parent = config->budgets[budget->parent].name;
		if (appliance->ledger_thread != NULL)
			weir_ledger_thread_get_budget(appliance->ledger_thread,
			                              appliance->budget_ids[i], &shown->ledger);
	}
}

/* After the budgets: the root's charge is all that can have left. */
static void
collect_asset(const struct weir_config *config, struct weir_status *status)
{
	const struct weir_config_asset *asset = &config->asset;
	struct weir_status_asset *shown = &status->asset;
	uint32_t root = 0;

	if (!config->has_asset)
		return;
	while (config->budgets[root].parent != WEIR_ANY)
		root++;
	shown->name = asset->name;
	shown->weights_bytes = asset->weights_bytes;
	shown->compression = asset->compression;
	shown->survive_ns = asset->survive_ns;
	shown->accept_risk = asset->accept_risk[0] != '\0' ? asset->accept_risk : NULL;
	shown->left_share = weir_status_left_share(status->budgets[root].ledger.charged_bytes,
	                                           asset->compression, asset->weights_bytes);
}

static void
collect_classes(const struct weir_appliance *appliance, struct weir_status *status)
{
	const struct weir_config *config = appliance->config;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];
		uint32_t slot = appliance->class_slots[i];
		const struct weir_class_totals *base = weir_slots_base(appliance->slots, slot);
		struct weir_status_class *shown = &status->classes[i];

		shown->name = class->name;
		shown->budget = config->budgets[class->budget].name;
		shown->rate_bit_s = class->rate_bit_s;
		shown->burst_bytes = class->burst_bytes;
		shown->backlog_bytes = class->backlog_bytes;
		shown->starved = appliance->starvation[slot].starved;
		weir_dataplane_class_totals(appliance->dataplane, slot, &shown->totals);
		shown->totals.tx_frames -= base->tx_frames;
		shown->totals.tx_wire_bytes -= base->tx_wire_bytes;
		shown->totals.dropped_frames -= base->dropped_frames;
		shown->totals.dropped_wire_bytes -= base->dropped_wire_bytes;
	}
}

static void
collect_port(const struct weir_appliance *appliance, uint32_t index, struct weir_status_port *shown)
{
	const struct weir_port *port = &appliance->ports[index];
	struct rte_eth_stats stats;

	shown->name = port->config.name;
	shown->driver = port->driver;
	shown->up = appliance->port_watch[index].state == WEIR_PORT_UP;
	shown->breached = appliance->port_watch[index].state == WEIR_PORT_BREACHED;
	shown->speed_bit_s = (uint64_t)appliance->port_speed_mbit_s[index] * 1000000U;
	shown->pool_frames = port->pool->size;
	shown->pool_free_frames = rte_mempool_avail_count(port->pool);
	if (rte_eth_stats_get(port->port_id, &stats) != 0)
		return; /* a driver without statistics shows zeros */
	shown->rx_frames = stats.ipackets;
	shown->tx_frames = stats.opackets;
	shown->rx_missed_frames = stats.imissed;
	shown->rx_error_frames = stats.ierrors;
	shown->rx_no_buffer_frames = stats.rx_nombuf;
	shown->tx_error_frames = stats.oerrors;
}

static uint32_t
count_queues(const struct weir_appliance *appliance)
{
	struct weir_hardware_shown shown[WEIR_TX_QUEUES_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < appliance->n_ports; i++)
		n += weir_hardware_shown(appliance, i, shown);
	return n;
}

static void
collect_queues(const struct weir_appliance *appliance, struct weir_status *status)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_hardware_shown shown[WEIR_TX_QUEUES_MAX];
		uint32_t n_shown = weir_hardware_shown(appliance, i, shown);

		for (uint32_t k = 0; k < n_shown; k++) {
			struct weir_status_queue *queue = &status->queues[n++];

			queue->port = appliance->ports[i].config.name;
			snprintf(queue->queue, sizeof(queue->queue), "%u", shown[k].queue);
			queue->limit_bit_s = shown[k].programmed_bit_s;
			queue->measured_bit_s = shown[k].measured_bit_s;
			queue->waiting_frames = shown[k].waiting_frames;
			queue->verdict = shown[k].verdict;
		}
	}
}

static void
collect_worker(const struct weir_appliance *appliance, uint32_t index,
               struct weir_status_worker *shown)
{
	const struct weir_counters *counters = weir_dataplane_counters(appliance->dataplane, index);

	snprintf(shown->lcore, sizeof(shown->lcore), "%u",
	         appliance->config->appliance.workers[index]);
	shown->rounds = weir_count_read(&counters->rounds);
	shown->busy_rounds = weir_count_read(&counters->busy_rounds);
	shown->busy_share = appliance->workers[index].busy_share;
	shown->stalled = appliance->workers[index].stalled;
}

static const char *
state_of(const struct weir_appliance *appliance, const struct weir_status *status)
{
	if (appliance->stopping)
		return "stopping";
	return status->ledger.failed ? "ledger_failed" : "running";
}

struct weir_status *
weir_collect_status(const struct weir_appliance *appliance)
{
	const struct weir_config *config = appliance->config;
	struct weir_status *status = weir_status_new(
	    config->appliance.n_workers, appliance->n_ports, count_queues(appliance),
	    config->n_links, config->n_classes, config->n_budgets);

	if (status == NULL)
		return NULL;
	status->version = WEIR_VERSION;
	status->appliance = config->appliance.name;
	status->uptime_ns = weir_clock_boot_ns() - appliance->started_ns;
	status->tsc_hz = appliance->clock.tsc_hz;
	status->huge_pages = appliance->huge_pages;
	status->largest_frame_bytes = weir_config_largest_frame(config);
	status->policy.generation = appliance->generation;
	status->policy.rules = config->n_rules;
	memcpy(status->policy.digest, appliance->digest, sizeof(status->policy.digest));
	collect_ledger(appliance, status);
	collect_asset(config, status);
	status->state = state_of(appliance, status);
	for (uint32_t i = 0; i < status->n_workers; i++)
		collect_worker(appliance, i, &status->workers[i]);
	for (uint32_t i = 0; i < status->n_ports; i++)
		collect_port(appliance, i, &status->ports[i]);
	collect_queues(appliance, status);
	for (uint32_t i = 0; i < status->n_links; i++) {
		status->links[i].name = config->links[i].name;
		for (unsigned int d = 0; d < WEIR_DIRECTIONS; d++)
			weir_dataplane_flow_totals(appliance->dataplane, i, (enum weir_direction)d,
			                           &status->links[i].flows[d]);
	}
	collect_classes(appliance, status);
	return status;
}
