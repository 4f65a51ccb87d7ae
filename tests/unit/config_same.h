/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether two policies are the same, written out: what the printer and the parser are judged by. */
#ifndef WEIR_TESTS_UNIT_CONFIG_SAME_H
#define WEIR_TESTS_UNIT_CONFIG_SAME_H

#include "control/config.h"

#include <string.h>

static inline bool
model_same_numbers(const uint32_t *a, const uint32_t *b, uint32_t n)
{
	return memcmp(a, b, n * sizeof(*a)) == 0;
}

static inline bool
model_same_ledger(const struct weir_config_appliance *a, const struct weir_config_appliance *b)
{
	return strcmp(a->ledger, b->ledger) == 0 && strcmp(a->ledger_key, b->ledger_key) == 0 &&
	       a->grant_horizon_ns == b->grant_horizon_ns &&
	       a->grant_min_bytes == b->grant_min_bytes &&
	       a->grant_max_bytes == b->grant_max_bytes && a->witness == b->witness &&
	       strcmp(a->witness_path, b->witness_path) == 0 &&
	       strcmp(a->witness_tcti, b->witness_tcti) == 0 &&
	       a->witness_index == b->witness_index &&
	       a->witness_every_bytes == b->witness_every_bytes &&
	       a->witness_interval_ns == b->witness_interval_ns;
}

static inline bool
model_same_appliance(const struct weir_config_appliance *a, const struct weir_config_appliance *b)
{
	return strcmp(a->name, b->name) == 0 && a->n_workers == b->n_workers &&
	       model_same_numbers(a->workers, b->workers, a->n_workers) &&
	       a->control_lcore == b->control_lcore && a->memory_bytes == b->memory_bytes &&
	       a->huge_pages == b->huge_pages && a->allow_remote_numa == b->allow_remote_numa &&
	       model_same_ledger(a, b) && strcmp(a->control_socket, b->control_socket) == 0 &&
	       strcmp(a->read_socket, b->read_socket) == 0 &&
	       a->n_control_users == b->n_control_users &&
	       model_same_numbers(a->control_users, b->control_users, a->n_control_users) &&
	       a->n_read_users == b->n_read_users &&
	       model_same_numbers(a->read_users, b->read_users, a->n_read_users) &&
	       a->metrics_port == b->metrics_port &&
	       a->heartbeat_limit_ns == b->heartbeat_limit_ns &&
	       a->drain_limit_ns == b->drain_limit_ns;
}

static inline bool
model_same_asset(const struct weir_config *a, const struct weir_config *b)
{
	if (a->has_asset != b->has_asset)
		return false;
	return !a->has_asset ||
	       (strcmp(a->asset.name, b->asset.name) == 0 &&
	        a->asset.weights_bytes == b->asset.weights_bytes &&
	        memcmp(&a->asset.compression, &b->asset.compression, sizeof(double)) == 0 &&
	        a->asset.survive_ns == b->asset.survive_ns &&
	        strcmp(a->asset.accept_risk, b->asset.accept_risk) == 0);
}

static inline bool
model_same_port(const struct weir_port_config *a, const struct weir_port_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->device, b->device) == 0 &&
	       a->mtu_bytes == b->mtu_bytes && a->rx_queues == b->rx_queues &&
	       a->tx_queues == b->tx_queues && a->rx_descriptors == b->rx_descriptors &&
	       a->tx_descriptors == b->tx_descriptors && a->limiter == b->limiter &&
	       a->limiter_required == b->limiter_required &&
	       a->limiter_test_ns == b->limiter_test_ns &&
	       memcmp(a->limiter_test_destination, b->limiter_test_destination, WEIR_MAC_BYTES) ==
	           0;
}

static inline bool
model_same_budget(const struct weir_config_budget *a, const struct weir_config_budget *b)
{
	bool same =
	    strcmp(a->name, b->name) == 0 && a->parent == b->parent && a->n_caps == b->n_caps;

	for (uint32_t i = 0; same && i < a->n_caps; i++)
		same = a->caps[i].limit_bytes == b->caps[i].limit_bytes &&
		       a->caps[i].window_ns == b->caps[i].window_ns;
	return same;
}

static inline bool
model_same_class(const struct weir_config_class *a, const struct weir_config_class *b)
{
	return strcmp(a->name, b->name) == 0 && a->budget == b->budget &&
	       a->rate_bit_s == b->rate_bit_s && a->burst_bytes == b->burst_bytes &&
	       a->backlog_bytes == b->backlog_bytes && a->dedicated == b->dedicated;
}

static inline bool
model_same_prefix(const struct weir_prefix *a, const struct weir_prefix *b)
{
	return a->family == b->family && a->length == b->length &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static inline bool
model_same_rule(const struct weir_rule *a, const struct weir_rule *b)
{
	return a->link == b->link && a->ethertype == b->ethertype && a->vlan == b->vlan &&
	       a->protocol == b->protocol && model_same_prefix(&a->source, &b->source) &&
	       model_same_prefix(&a->destination, &b->destination) &&
	       a->source_port_low == b->source_port_low &&
	       a->source_port_high == b->source_port_high &&
	       a->destination_port_low == b->destination_port_low &&
	       a->destination_port_high == b->destination_port_high &&
	       a->class_slot == b->class_slot;
}

/* Field by field, every field. */
static inline bool
model_same(const struct weir_config *a, const struct weir_config *b)
{
	bool same = model_same_appliance(&a->appliance, &b->appliance) && model_same_asset(a, b) &&
	            a->n_ports == b->n_ports && a->n_links == b->n_links &&
	            a->n_budgets == b->n_budgets && a->n_classes == b->n_classes &&
	            a->n_rules == b->n_rules;

	for (uint32_t i = 0; same && i < a->n_ports; i++)
		same = model_same_port(&a->ports[i], &b->ports[i]);
	for (uint32_t i = 0; same && i < a->n_links; i++)
		same = strcmp(a->links[i].name, b->links[i].name) == 0 &&
		       a->links[i].inside == b->links[i].inside &&
		       a->links[i].outside == b->links[i].outside;
	for (uint32_t i = 0; same && i < a->n_budgets; i++)
		same = model_same_budget(&a->budgets[i], &b->budgets[i]);
	for (uint32_t i = 0; same && i < a->n_classes; i++)
		same = model_same_class(&a->classes[i], &b->classes[i]);
	for (uint32_t i = 0; same && i < a->n_rules; i++)
		same = model_same_rule(&a->rules[i], &b->rules[i]);
	return same;
}

#endif
