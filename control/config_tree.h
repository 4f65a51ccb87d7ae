/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shape of a policy's YAML, with the line of every key and value: what errors point at.
 *
 * The text is checked first (UTF-8, no control characters), then read by libyaml into nodes.
 * Aliases, anchors, tags, directives and further documents are refused: what is not there can't
 * surprise. Part of config.h; nothing else uses it.
 */
#ifndef WEIR_CONTROL_CONFIG_TREE_H
#define WEIR_CONTROL_CONFIG_TREE_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_CONFIG_DEPTH_MAX  8U         /* a policy needs 6: caps of a budget */
#define WEIR_CONFIG_NODES_MAX  (1U << 19) /* the largest policy there is needs 400,000 */
#define WEIR_CONFIG_NONE       UINT32_MAX
#define WEIR_CONFIG_ERROR_SIZE 512U /* enough for every error's line, with the values cut */

enum weir_config_node_type {
	WEIR_CONFIG_SCALAR,
	WEIR_CONFIG_LIST,
	WEIR_CONFIG_MAP,
};

/* One node. Children of a map come in pairs: key, value, key, value. */
struct weir_config_node {
	enum weir_config_node_type type;
	uint32_t line;   /* from 1 */
	uint32_t first;  /* child, or WEIR_CONFIG_NONE */
	uint32_t next;   /* sibling, or WEIR_CONFIG_NONE */
	uint32_t n;      /* children */
	uint32_t offset; /* of a scalar's text in weir_config_tree.texts */
};

/* Node 0 is the root. */
struct weir_config_tree {
	struct weir_config_node *nodes;
	uint32_t n_nodes, nodes_size;
	char *texts; /* scalars, each with its terminating zero */
	uint32_t texts_used, texts_size;
};

/*
 * Where a value stands: section, or section.key, section[index].key, section[index].key[item],
 * section[index].key[item].item_key. Negative numbers and NULL: not used.
 */
struct weir_config_at {
	const char *section;
	int64_t index;
	const char *key;
	int64_t item;
	const char *item_key;
};

/*
 * Where errors go: the name of the file, and one line. After the first error, the rest is ignored:
 * the first one is the cause.
 */
struct weir_config_report {
	const char *name;
	const char *what;                    /* it is; NULL: a policy */
	const struct weir_config_tree *tree; /* for lines; NULL before there is one */
	char *error;
	size_t error_size;
	int rc; /* 0, -EINVAL or -ENOMEM */
};

/*
 * Reads text into an empty tree. Returns 0, -EINVAL (reported) or -ENOMEM. Free the tree with
 * weir_config_tree_free in any case.
 */
int weir_config_tree_read(struct weir_config_tree *tree, const char *text, size_t text_bytes,
                          struct weir_config_report *report) __attribute__((warn_unused_result));

void weir_config_tree_free(struct weir_config_tree *tree);

/* The value of a key in a map, or WEIR_CONFIG_NONE. */
uint32_t weir_config_tree_find(const struct weir_config_tree *tree, uint32_t map, const char *key);

const char *weir_config_tree_text(const struct weir_config_tree *tree, uint32_t node);

/* The line of a place, or of the closest thing around it that is in the file. */
uint32_t weir_config_tree_line(const struct weir_config_tree *tree,
                               const struct weir_config_at *at);

/*
 * Reports "FILE:LINE: KEY: VALUE: expected ...", of which format and what follows it make the last
 * part. value: cut and escaped where need be; NULL: missing. Returns -EINVAL.
 */
int weir_config_refuse(struct weir_config_report *report, const struct weir_config_at *at,
                       const char *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same where the line and the key's spelling are known. */
int weir_config_refuse_line(struct weir_config_report *report, uint32_t line, const char *key,
                            const char *value, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* What the file is, for errors: "policy". */
static inline const char *
weir_config_what(const struct weir_config_report *report)
{
	return report->what != NULL ? report->what : "policy";
}

/* Writes "section[index].key" and so on. */
void weir_config_at_print(const struct weir_config_at *at, char *text, size_t size);

#endif
