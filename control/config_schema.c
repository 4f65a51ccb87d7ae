/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_schema.h"

#include "control/config.h"

#include <cyaml/cyaml.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define KEY_SIZE       192U /* spelling of a place, for errors; longer ones are cut */
#define TEXT_MAX       64U  /* longest value that is no name, path or device */
#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))
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

static const cyaml_schema_field_t port_fields[] = {
    SIZED(struct weir_raw_port, name, WEIR_NAME_SIZE - 1),
    SIZED(struct weir_raw_port, device, WEIR_DEVICE_SIZE - 1),
    TEXT_OPTIONAL(struct weir_raw_port, mtu),
    TEXT_OPTIONAL(struct weir_raw_port, rx_queues),
    TEXT_OPTIONAL(struct weir_raw_port, rx_descriptors),
    TEXT_OPTIONAL(struct weir_raw_port, tx_descriptors),
    TEXT_OPTIONAL(struct weir_raw_port, limiter),
    TEXT_OPTIONAL(struct weir_raw_port, limiter_required),
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

/* Walks the tree beside the schema. key is the spelling of the place, extended and cut back. */
struct walk {
	const struct weir_config_tree *tree;
	struct weir_config_report *report;
	char key[KEY_SIZE];
	size_t key_used;
};

static int walk_value(struct walk *walk, uint32_t node, const cyaml_schema_value_t *schema);

/* Extends the key. Returns what to give to cut to undo it. */
__attribute__((format(printf, 2, 3))) static size_t
extend(struct walk *walk, const char *format, ...)
{
	size_t before = walk->key_used, left = sizeof(walk->key) - before;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(walk->key + before, left, format, args);
	va_end(args);
	assert(length >= 0);
	walk->key_used += (size_t)length < left ? (size_t)length : left - 1;
	return before;
}

static void
cut(struct walk *walk, size_t before)
{
	walk->key_used = before;
	walk->key[before] = '\0';
}

static const char *
key_of(const struct walk *walk)
{
	return walk->key_used == 0 ? "(policy)" : walk->key;
}

/* What stands there, for an error that expected something else. */
static const char *
describe(const struct walk *walk, uint32_t node)
{
	switch (walk->tree->nodes[node].type) {
	case WEIR_CONFIG_LIST:
		return "a list";
	case WEIR_CONFIG_MAP:
		return "a map";
	case WEIR_CONFIG_SCALAR:
	default:
		return weir_config_tree_text(walk->tree, node);
	}
}

static int
walk_text(struct walk *walk, uint32_t node, const cyaml_schema_value_t *schema)
{
	const struct weir_config_node *at = &walk->tree->nodes[node];
	size_t length;

	if (at->type != WEIR_CONFIG_SCALAR)
		return weir_config_refuse_line(walk->report, at->line, key_of(walk),
		                               describe(walk, node), "one value");
	length = strlen(weir_config_tree_text(walk->tree, node));
	if (length < schema->string.min)
		return weir_config_refuse_line(walk->report, at->line, key_of(walk), "empty",
		                               "a value");
	if (length > schema->string.max)
		return weir_config_refuse_line(walk->report, at->line, key_of(walk),
		                               describe(walk, node), "at most %u characters",
		                               schema->string.max);
	return 0;
}

static int
walk_list(struct walk *walk, uint32_t node, const cyaml_schema_value_t *schema)
{
	const struct weir_config_node *nodes = walk->tree->nodes;
	uint32_t child = nodes[node].first;
	char count[32];
	size_t before;
	int rc = 0;

	if (nodes[node].type != WEIR_CONFIG_LIST)
		return weir_config_refuse_line(walk->report, nodes[node].line, key_of(walk),
		                               describe(walk, node), "a list");
	snprintf(count, sizeof(count), "%u in the list", nodes[node].n);
	if (nodes[node].n < schema->sequence.min)
		return weir_config_refuse_line(walk->report, nodes[node].line, key_of(walk), count,
		                               "at least %u", schema->sequence.min);
	if (nodes[node].n > schema->sequence.max)
		return weir_config_refuse_line(walk->report, nodes[node].line, key_of(walk), count,
		                               "at most %u", schema->sequence.max);
	for (uint32_t i = 0; rc == 0 && i < nodes[node].n; i++, child = nodes[child].next) {
		before = extend(walk, "[%u]", i);
		rc = walk_value(walk, child, schema->sequence.entry);
		cut(walk, before);
	}
	return rc;
}

/* Finds a key in a map's schema, or refuses it. */
static int
find_field(struct walk *walk, uint32_t node, const cyaml_schema_field_t *fields, uint32_t *found)
{
	const char *key = weir_config_tree_text(walk->tree, node);
	char known[WEIR_CONFIG_ERROR_SIZE] = "";
	size_t used = 0;

	for (uint32_t i = 0; fields[i].key != NULL; i++) {
		if (strcmp(fields[i].key, key) == 0) {
			*found = i;
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                         i == 0 ? "" : ", ", fields[i].key);
		assert(used < sizeof(known));
	}
	extend(walk, "%s%.32s%s", walk->key_used == 0 ? "" : ".", key,
	       strlen(key) > 32 ? "..." : "");
	return weir_config_refuse_line(walk->report, walk->tree->nodes[node].line, walk->key,
	                               "unknown key", "%s", known);
}

static int
walk_map(struct walk *walk, uint32_t node, const cyaml_schema_value_t *schema)
{
	const cyaml_schema_field_t *fields = schema->mapping.fields;
	const struct weir_config_node *nodes = walk->tree->nodes;
	uint32_t lines[32] = {0}, child, found = 0; /* lines: of each key, 0 for none */
	size_t before;
	int rc;

	if (nodes[node].type != WEIR_CONFIG_MAP)
		return weir_config_refuse_line(walk->report, nodes[node].line, key_of(walk),
		                               describe(walk, node), "a map of keys");
	for (child = nodes[node].first; child != WEIR_CONFIG_NONE;
	     child = nodes[nodes[child].next].next) {
		rc = find_field(walk, child, fields, &found);
		if (rc != 0)
			return rc;
		assert(found < ENTRIES(lines));
		before = extend(walk, "%s%s", walk->key_used == 0 ? "" : ".", fields[found].key);
		if (lines[found] != 0)
			return weir_config_refuse_line(walk->report, nodes[child].line, walk->key,
			                               "given twice", "one (line %u has the first)",
			                               lines[found]);
		lines[found] = nodes[child].line;
		rc = walk_value(walk, nodes[child].next, &fields[found].value);
		if (rc != 0)
			return rc;
		cut(walk, before);
	}
	for (uint32_t i = 0; fields[i].key != NULL; i++) {
		if (lines[i] != 0 || (fields[i].value.flags & CYAML_FLAG_OPTIONAL) != 0)
			continue;
		extend(walk, "%s%s", walk->key_used == 0 ? "" : ".", fields[i].key);
		return weir_config_refuse_line(walk->report, nodes[node].line, walk->key, NULL,
		                               "this key");
	}
	return 0;
}

/* Recursion ends where the schema does: six levels. */
static int
walk_value(struct walk *walk, uint32_t node, const cyaml_schema_value_t *schema)
{
	if (schema->type == CYAML_MAPPING)
		return walk_map(walk, node, schema);
	if (schema->type == CYAML_SEQUENCE)
		return walk_list(walk, node, schema);
	assert(schema->type == CYAML_STRING);
	return walk_text(walk, node, schema);
}

static const cyaml_config_t cyaml_config = {
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_NO_ALIAS,
};

int
weir_raw_load(const struct weir_config_tree *tree, const char *text, size_t text_bytes,
              struct weir_raw **raw, struct weir_config_report *report)
{
	struct walk walk = {.tree = tree, .report = report};
	cyaml_data_t *data = NULL;
	cyaml_err_t err;
	int rc = walk_value(&walk, 0, &policy_schema);

	if (rc != 0)
		return rc;
	err = cyaml_load_data((const uint8_t *)text, text_bytes, &cyaml_config, &policy_schema,
	                      &data, NULL);
	if (err == CYAML_ERR_OOM)
		return report->rc = -ENOMEM;
	if (err != CYAML_OK)
		return weir_config_refuse_line(report, 1, "(text)", cyaml_strerror(err),
		                               "what libcyaml accepts");
	*raw = data;
	return 0;
}

void
weir_raw_free(struct weir_raw *raw)
{
	cyaml_err_t err = cyaml_free(&cyaml_config, &policy_schema, raw, 0);

	assert(err == CYAML_OK);
}
