/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_schema.h"

#include "control/config.h"
#include "control/config_walk.h"

#define TEXT_MAX 64U /* longest value that is no name, path or device */
#define TEXT(kind, field)                                                                          \
	CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER, kind, field, 1, TEXT_MAX)
#define TEXT_OPTIONAL(kind, field)                                                                 \
	CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, kind, field, 1,   \
	                       TEXT_MAX)
#define SIZED(kind, field, most)                                                                   \
	CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER, kind, field, 1, most)
#define SIZED_OPTIONAL(kind, field, most)                                                          \
	CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, kind, field, 1,   \
	                       most)
#define LIST(kind, field, entry, least, most)                                                      \
	CYAML_FIELD_SEQUENCE_COUNT(#field, CYAML_FLAG_POINTER, kind, field, n_##field, entry,      \
	                           least, most)
#define LIST_OPTIONAL(kind, field, entry, most)                                                    \
	CYAML_FIELD_SEQUENCE_COUNT(#field, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, kind, field,  \
	                           n_##field, entry, 1, most)

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MAX),
};

static const cyaml_schema_field_t appliance_fields[] = {
    SIZED_OPTIONAL(struct weir_raw_appliance, name, WEIR_NAME_SIZE - 1),
    LIST_OPTIONAL(struct weir_raw_appliance, workers, &text_schema, WEIR_WORKERS_MAX),
    TEXT_OPTIONAL(struct weir_raw_appliance, control_lcore),
    TEXT_OPTIONAL(struct weir_raw_appliance, memory),
    TEXT_OPTIONAL(struct weir_raw_appliance, huge_pages),
    TEXT_OPTIONAL(struct weir_raw_appliance, allow_remote_numa),
    SIZED_OPTIONAL(struct weir_raw_appliance, ledger, WEIR_PATH_SIZE - 1),
    SIZED_OPTIONAL(struct weir_raw_appliance, ledger_key, WEIR_PATH_SIZE - 1),
    TEXT_OPTIONAL(struct weir_raw_appliance, grant_horizon),
    TEXT_OPTIONAL(struct weir_raw_appliance, grant_min),
    TEXT_OPTIONAL(struct weir_raw_appliance, grant_max),
    TEXT_OPTIONAL(struct weir_raw_appliance, witness),
    SIZED_OPTIONAL(struct weir_raw_appliance, witness_path, WEIR_PATH_SIZE - 1),
    SIZED_OPTIONAL(struct weir_raw_appliance, witness_tcti, WEIR_PATH_SIZE - 1),
    TEXT_OPTIONAL(struct weir_raw_appliance, witness_index),
    TEXT_OPTIONAL(struct weir_raw_appliance, witness_every),
    TEXT_OPTIONAL(struct weir_raw_appliance, witness_interval),
    SIZED_OPTIONAL(struct weir_raw_appliance, control_socket, WEIR_PATH_SIZE - 1),
    SIZED_OPTIONAL(struct weir_raw_appliance, read_socket, WEIR_PATH_SIZE - 1),
    LIST_OPTIONAL(struct weir_raw_appliance, control_users, &text_schema, WEIR_USERS_MAX),
    LIST_OPTIONAL(struct weir_raw_appliance, read_users, &text_schema, WEIR_USERS_MAX),
    TEXT_OPTIONAL(struct weir_raw_appliance, metrics_port),
    TEXT_OPTIONAL(struct weir_raw_appliance, heartbeat_limit),
    TEXT_OPTIONAL(struct weir_raw_appliance, drain_limit),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t asset_fields[] = {
    SIZED(struct weir_raw_asset, name, WEIR_NAME_SIZE - 1),
    TEXT(struct weir_raw_asset, weights),
    TEXT(struct weir_raw_asset, compression),
    TEXT(struct weir_raw_asset, survive),
    SIZED_OPTIONAL(struct weir_raw_asset, accept_risk, WEIR_RISK_SIZE - 1),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t limiter_test_fields[] = {
    TEXT(struct weir_raw_limiter_test, destination),
    TEXT_OPTIONAL(struct weir_raw_limiter_test, time),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_fields[] = {
    SIZED(struct weir_raw_port, name, WEIR_NAME_SIZE - 1),
    SIZED(struct weir_raw_port, device, WEIR_DEVICE_SIZE - 1),
    TEXT_OPTIONAL(struct weir_raw_port, mtu),
    TEXT_OPTIONAL(struct weir_raw_port, rx_queues),
    TEXT_OPTIONAL(struct weir_raw_port, rx_descriptors),
    TEXT_OPTIONAL(struct weir_raw_port, tx_descriptors),
    TEXT_OPTIONAL(struct weir_raw_port, limiter),
    TEXT_OPTIONAL(struct weir_raw_port, limiter_required),
    CYAML_FIELD_MAPPING_PTR("limiter_test", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct weir_raw_port, limiter_test, limiter_test_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t link_fields[] = {
    SIZED(struct weir_raw_link, name, WEIR_NAME_SIZE - 1),
    SIZED(struct weir_raw_link, inside, WEIR_NAME_SIZE - 1),
    SIZED(struct weir_raw_link, outside, WEIR_NAME_SIZE - 1),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t cap_fields[] = {
    TEXT(struct weir_raw_cap, limit),
    TEXT_OPTIONAL(struct weir_raw_cap, per),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t cap_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_cap, cap_fields),
};

static const cyaml_schema_field_t budget_fields[] = {
    SIZED(struct weir_raw_budget, name, WEIR_NAME_SIZE - 1),
    SIZED_OPTIONAL(struct weir_raw_budget, parent, WEIR_NAME_SIZE - 1),
    LIST_OPTIONAL(struct weir_raw_budget, caps, &cap_schema, WEIR_CAPS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t class_fields[] = {
    SIZED(struct weir_raw_class, name, WEIR_NAME_SIZE - 1),
    SIZED(struct weir_raw_class, budget, WEIR_NAME_SIZE - 1),
    TEXT(struct weir_raw_class, rate),
    TEXT(struct weir_raw_class, burst),
    TEXT_OPTIONAL(struct weir_raw_class, excess),
    TEXT_OPTIONAL(struct weir_raw_class, backlog),
    TEXT_OPTIONAL(struct weir_raw_class, queue),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t rule_fields[] = {
    SIZED_OPTIONAL(struct weir_raw_rule, link, WEIR_NAME_SIZE - 1),
    TEXT_OPTIONAL(struct weir_raw_rule, ethertype),
    TEXT_OPTIONAL(struct weir_raw_rule, vlan),
    TEXT_OPTIONAL(struct weir_raw_rule, protocol),
    TEXT_OPTIONAL(struct weir_raw_rule, source),
    TEXT_OPTIONAL(struct weir_raw_rule, destination),
    TEXT_OPTIONAL(struct weir_raw_rule, source_ports),
    TEXT_OPTIONAL(struct weir_raw_rule, destination_ports),
    CYAML_FIELD_STRING_PTR("class", CYAML_FLAG_POINTER, struct weir_raw_rule, class_name, 1,
                           WEIR_NAME_SIZE - 1),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t port_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_port, port_fields),
};
static const cyaml_schema_value_t link_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_link, link_fields),
};
static const cyaml_schema_value_t budget_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_budget, budget_fields),
};
static const cyaml_schema_value_t class_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_class, class_fields),
};
static const cyaml_schema_value_t rule_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct weir_raw_rule, rule_fields),
};

/* A policy without rules is one that lets nothing out, so rules may be an empty list. */
static const cyaml_schema_field_t policy_fields[] = {
    CYAML_FIELD_MAPPING_PTR("appliance", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct weir_raw,
                            appliance, appliance_fields),
    CYAML_FIELD_MAPPING_PTR("asset", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct weir_raw,
                            asset, asset_fields),
    LIST(struct weir_raw, ports, &port_schema, 2, WEIR_PORTS_MAX),
    LIST(struct weir_raw, links, &link_schema, 1, WEIR_LINKS_MAX),
    LIST(struct weir_raw, budgets, &budget_schema, 1, WEIR_BUDGETS_MAX),
    LIST(struct weir_raw, classes, &class_schema, 1, WEIR_CLASSES_MAX),
    LIST(struct weir_raw, rules, &rule_schema, 0, WEIR_RULES_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t policy_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct weir_raw, policy_fields),
};

int
weir_raw_load(const struct weir_config_tree *tree, const char *text, size_t text_bytes,
              struct weir_raw **raw, struct weir_config_report *report)
{
	void *data = NULL;
	int rc = weir_config_walk_load(tree, text, text_bytes, &policy_schema, &data, report);

	if (rc == 0)
		*raw = data;
	return rc;
}

void
weir_raw_free(struct weir_raw *raw)
{
	weir_config_walk_free(&policy_schema, raw);
}
