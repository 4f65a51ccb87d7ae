/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_walk.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEY_SIZE       192U /* spelling of a place, for errors; longer ones are cut */
#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))

/* Walks the tree beside the schema. key is the spelling of the place, extended and cut back. */
struct walk {
	const struct weir_config_tree *tree;
	struct weir_config_report *report;
	char whole[32]; /* what the file is, in brackets */
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
	return walk->key_used == 0 ? walk->whole : walk->key;
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
weir_config_walk_load(const struct weir_config_tree *tree, const char *text, size_t text_bytes,
                      const struct cyaml_schema_value *schema, void **data,
                      struct weir_config_report *report)
{
	struct walk walk = {.tree = tree, .report = report};
	cyaml_data_t *loaded = NULL;
	cyaml_err_t err;
	int rc;

	snprintf(walk.whole, sizeof(walk.whole), "(%s)", weir_config_what(report));
	rc = walk_value(&walk, 0, schema);
	if (rc != 0)
		return rc;
	err = cyaml_load_data((const uint8_t *)text, text_bytes, &cyaml_config, schema, &loaded,
	                      NULL);
	if (err == CYAML_ERR_OOM)
		return report->rc = -ENOMEM;
	if (err != CYAML_OK)
		return weir_config_refuse_line(report, 1, "(text)", cyaml_strerror(err),
		                               "what libcyaml accepts");
	*data = loaded;
	return 0;
}

void
weir_config_walk_free(const struct cyaml_schema_value *schema, void *data)
{
	cyaml_err_t err = cyaml_free(&cyaml_config, schema, data, 0);

	assert(err == CYAML_OK);
}
