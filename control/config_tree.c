/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_tree.h"

#include "control/config.h"

#include <yaml.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SHOWN 64U /* bytes of a bad value that an error shows */

/* State of one reading: the path of open lists and maps, and where the next child goes. */
struct reader {
	struct weir_config_tree *tree;
	struct weir_config_report *report;
	yaml_parser_t parser;
	uint32_t depth; /* open lists and maps */
	uint32_t open[WEIR_CONFIG_DEPTH_MAX];
	uint32_t last[WEIR_CONFIG_DEPTH_MAX]; /* latest child of each */
	bool done;                            /* the first document has ended */
};

static void
print_value(const char *value, char *text, size_t size)
{
	size_t used = 0;

	assert(size >= VALUE_SHOWN + sizeof("...") + 4);
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if (used >= VALUE_SHOWN) {
			memcpy(text + used, "...", 3);
			used += 3;
			break;
		}
		if (c >= 0x20 && c < 0x7f)
			text[used++] = (char)c;
		else
			used += (size_t)snprintf(text + used, 5, "\\x%02x", c);
	}
	text[used] = '\0';
}

__attribute__((format(printf, 5, 0))) static int
refuse(struct weir_config_report *report, uint32_t line, const char *key, const char *value,
       const char *format, va_list args)
{
	char wanted[WEIR_CONFIG_ERROR_SIZE], shown[VALUE_SHOWN + 16], name[VALUE_SHOWN * 4];

	if (report->rc != 0)
		return report->rc;
	report->rc = -EINVAL;
	vsnprintf(wanted, sizeof(wanted), format, args);
	print_value(value != NULL ? value : "missing", shown, sizeof(shown));
	snprintf(name, sizeof(name), "%s", key);
	snprintf(report->error, report->error_size, "%s:%u: %s: %s: expected %s", report->name,
	         line, name, shown, wanted);
	return -EINVAL;
}

int
weir_config_refuse(struct weir_config_report *report, const struct weir_config_at *at,
                   const char *value, const char *format, ...)
{
	char key[VALUE_SHOWN * 4];
	va_list args;
	int rc;

	weir_config_at_print(at, key, sizeof(key));
	va_start(args, format);
	rc = refuse(report, weir_config_tree_line(report->tree, at), key, value, format, args);
	va_end(args);
	return rc;
}

int
weir_config_refuse_line(struct weir_config_report *report, uint32_t line, const char *key,
                        const char *value, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = refuse(report, line, key, value, format, args);
	va_end(args);
	return rc;
}

void
weir_config_at_print(const struct weir_config_at *at, char *text, size_t size)
{
	char index[24] = "", item[24] = "";

	if (at->index >= 0)
		snprintf(index, sizeof(index), "[%lld]", (long long)at->index);
	if (at->item >= 0)
		snprintf(item, sizeof(item), "[%lld]", (long long)at->item);
	snprintf(text, size, "%s%s%s%s%s%s%s", at->section, index, at->key != NULL ? "." : "",
	         at->key != NULL ? at->key : "", item, at->item_key != NULL ? "." : "",
	         at->item_key != NULL ? at->item_key : "");
}

const char *
weir_config_tree_text(const struct weir_config_tree *tree, uint32_t node)
{
	return tree->texts + tree->nodes[node].offset;
}

uint32_t
weir_config_tree_find(const struct weir_config_tree *tree, uint32_t map, const char *key)
{
	const struct weir_config_node *nodes = tree->nodes;
	uint32_t child;

	if (nodes[map].type != WEIR_CONFIG_MAP)
		return WEIR_CONFIG_NONE;
	for (child = nodes[map].first; child != WEIR_CONFIG_NONE;
	     child = nodes[nodes[child].next].next)
		if (strcmp(weir_config_tree_text(tree, child), key) == 0)
			return nodes[child].next;
	return WEIR_CONFIG_NONE;
}

/* The child of a list with the given number. */
static uint32_t
find_item(const struct weir_config_tree *tree, uint32_t list, int64_t index)
{
	uint32_t child;

	if (tree->nodes[list].type != WEIR_CONFIG_LIST)
		return WEIR_CONFIG_NONE;
	for (child = tree->nodes[list].first; child != WEIR_CONFIG_NONE && index > 0; index--)
		child = tree->nodes[child].next;
	return child;
}

uint32_t
weir_config_tree_line(const struct weir_config_tree *tree, const struct weir_config_at *at)
{
	uint32_t node = 0, found;

	if (tree == NULL || tree->n_nodes == 0)
		return 1;
	for (int step = 0; step < 5; step++) {
		found = node;
		if (step == 0 && at->section != NULL)
			found = weir_config_tree_find(tree, node, at->section);
		else if (step == 1 && at->index >= 0)
			found = find_item(tree, node, at->index);
		else if (step == 2 && at->key != NULL)
			found = weir_config_tree_find(tree, node, at->key);
		else if (step == 3 && at->item >= 0)
			found = find_item(tree, node, at->item);
		else if (step == 4 && at->item_key != NULL)
			found = weir_config_tree_find(tree, node, at->item_key);
		if (found == WEIR_CONFIG_NONE)
			break;
		node = found;
	}
	return tree->nodes[node].line;
}

/*
 * Decodes one UTF-8 character. Returns its bytes, or 0 where it is none: truncated, overlong, a
 * surrogate, or above U+10FFFF.
 */
static size_t
decode(const unsigned char *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;

	if (bytes == 0 || bytes > left || p[0] > 0xf4)
		return 0;
	*code = bytes == 1 ? p[0] : p[0] & (0x7fU >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (bytes > 1 &&
	    (*code < least[bytes] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)))
		return 0;
	return bytes;
}

/* Characters that make a text look different from what it says, or that end a line in secret. */
static bool
is_forbidden(uint32_t code)
{
	return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code < 0xa0) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
	       (code & 0xfffe) == 0xfffe;
}

static int
check_text(const char *text, size_t text_bytes, struct weir_config_report *report)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t line = 1, code = 0;
	char shown[16];
	size_t bytes;

	if (text_bytes > WEIR_POLICY_MAX_BYTES)
		return weir_config_refuse_line(report, 1, "(text)", "too long",
		                               "at most %u bytes in a %s", WEIR_POLICY_MAX_BYTES,
		                               weir_config_what(report));
	for (size_t i = 0; i < text_bytes; i += bytes) {
		bytes = decode(p + i, text_bytes - i, &code);
		if (bytes == 0) {
			snprintf(shown, sizeof(shown), "byte 0x%02x", p[i]);
			return weir_config_refuse_line(report, line, "(text)", shown, "UTF-8 text");
		}
		if (code == '\r' && i + 1 < text_bytes && p[i + 1] == '\n')
			continue;
		if (is_forbidden(code)) {
			snprintf(shown, sizeof(shown), "U+%04X", code);
			return weir_config_refuse_line(report, line, "(text)", shown,
			                               "text without control characters");
		}
		if (code == '\n')
			line++;
	}
	return 0;
}

/* Appends a node as the next child of what is open. Returns it, or WEIR_CONFIG_NONE on error. */
static uint32_t
add_node(struct reader *reader, enum weir_config_node_type type, uint32_t line)
{
	struct weir_config_tree *tree = reader->tree;
	struct weir_config_node *nodes;
	uint32_t size, node = tree->n_nodes;

	if (node == WEIR_CONFIG_NODES_MAX) {
		weir_config_refuse_line(reader->report, line, "(text)", "too many values",
		                        "at most %u keys and values", WEIR_CONFIG_NODES_MAX);
		return WEIR_CONFIG_NONE;
	}
	if (node == tree->nodes_size) {
		size = tree->nodes_size == 0 ? 1024 : tree->nodes_size * 2;
		nodes = realloc(tree->nodes, size * sizeof(*nodes));
		if (nodes == NULL) {
			reader->report->rc = -ENOMEM;
			return WEIR_CONFIG_NONE;
		}
		tree->nodes = nodes;
		tree->nodes_size = size;
	}
	tree->nodes[node] = (struct weir_config_node){
	    .type = type,
	    .line = line,
	    .first = WEIR_CONFIG_NONE,
	    .next = WEIR_CONFIG_NONE,
	};
	tree->n_nodes++;
	if (reader->depth > 0) {
		uint32_t top = reader->depth - 1, parent = reader->open[top];

		if (tree->nodes[parent].n++ == 0)
			tree->nodes[parent].first = node;
		else
			tree->nodes[reader->last[top]].next = node;
		reader->last[top] = node;
	}
	return node;
}

/* True when the next node is the key of a map. */
static bool
wants_key(const struct reader *reader)
{
	const struct weir_config_node *top;

	if (reader->depth == 0)
		return false;
	top = &reader->tree->nodes[reader->open[reader->depth - 1]];
	return top->type == WEIR_CONFIG_MAP && top->n % 2 == 0;
}

static int
check_node(struct reader *reader, uint32_t line, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return weir_config_refuse_line(reader->report, line, "(text)", (const char *)anchor,
		                               "no anchors");
	if (tag != NULL)
		return weir_config_refuse_line(reader->report, line, "(text)", (const char *)tag,
		                               "no tags");
	return 0;
}

static int
open_node(struct reader *reader, enum weir_config_node_type type, uint32_t line)
{
	uint32_t node;

	if (wants_key(reader))
		return weir_config_refuse_line(reader->report, line, "(text)",
		                               type == WEIR_CONFIG_MAP ? "a map" : "a list",
		                               "a key of plain text");
	if (reader->depth == WEIR_CONFIG_DEPTH_MAX)
		return weir_config_refuse_line(reader->report, line, "(text)", "nested too deep",
		                               "at most %u levels", WEIR_CONFIG_DEPTH_MAX);
	node = add_node(reader, type, line);
	if (node == WEIR_CONFIG_NONE)
		return reader->report->rc;
	reader->open[reader->depth++] = node;
	return 0;
}

static int
add_scalar(struct reader *reader, const yaml_event_t *event, uint32_t line)
{
	struct weir_config_tree *tree = reader->tree;
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	uint32_t node;

	/* Escapes in quotes can make what check_text refuses. */
	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return weir_config_refuse_line(reader->report, line, "(text)",
			                               text[i] == '\0' ? "\\x00" : text,
			                               "printable ASCII outside of comments");
	node = add_node(reader, WEIR_CONFIG_SCALAR, line);
	if (node == WEIR_CONFIG_NONE)
		return reader->report->rc;
	if (tree->texts_size - tree->texts_used < length + 1) {
		uint32_t size = tree->texts_size * 2 + (uint32_t)length + 1024;
		char *texts = realloc(tree->texts, size);

		if (texts == NULL)
			return reader->report->rc = -ENOMEM;
		tree->texts = texts;
		tree->texts_size = size;
	}
	tree->nodes[node].offset = tree->texts_used;
	memcpy(tree->texts + tree->texts_used, text, length);
	tree->texts[tree->texts_used + length] = '\0';
	tree->texts_used += (uint32_t)length + 1;
	return 0;
}

static int
start_document(struct reader *reader, const yaml_event_t *event, uint32_t line)
{
	if (reader->done)
		return weir_config_refuse_line(reader->report, line, "(text)", "second document",
		                               "one document");
	if (event->data.document_start.version_directive != NULL ||
	    event->data.document_start.tag_directives.start !=
	        event->data.document_start.tag_directives.end)
		return weir_config_refuse_line(reader->report, line, "(text)", "%",
		                               "no directives");
	return 0;
}

/* Takes one event. Returns 0 or -errno. */
static int
take(struct reader *reader, const yaml_event_t *event)
{
	uint32_t line = (uint32_t)event->start_mark.line + 1;
	int rc = 0;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return start_document(reader, event, line);
	case YAML_DOCUMENT_END_EVENT:
		reader->done = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return weir_config_refuse_line(reader->report, line, "(text)",
		                               (const char *)event->data.alias.anchor,
		                               "no aliases");
	case YAML_SCALAR_EVENT:
		rc = check_node(reader, line, event->data.scalar.anchor, event->data.scalar.tag);
		return rc == 0 ? add_scalar(reader, event, line) : rc;
	case YAML_SEQUENCE_START_EVENT:
		rc = check_node(reader, line, event->data.sequence_start.anchor,
		                event->data.sequence_start.tag);
		return rc == 0 ? open_node(reader, WEIR_CONFIG_LIST, line) : rc;
	case YAML_MAPPING_START_EVENT:
		rc = check_node(reader, line, event->data.mapping_start.anchor,
		                event->data.mapping_start.tag);
		return rc == 0 ? open_node(reader, WEIR_CONFIG_MAP, line) : rc;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(reader->depth > 0);
		reader->depth--;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	default:
		return 0;
	}
}

static int
report_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	uint32_t line = (uint32_t)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return reader->report->rc = -ENOMEM;
	return weir_config_refuse_line(reader->report, line, "(text)",
	                               parser->problem != NULL ? parser->problem : "bad text",
	                               "YAML");
}

static int
read_events(struct reader *reader)
{
	yaml_event_t event;
	bool end = false;
	int rc = 0;

	/* Ends: each event consumes text, or closes what an earlier one opened. */
	while (rc == 0 && !end) {
		if (!yaml_parser_parse(&reader->parser, &event))
			return report_syntax(reader);
		end = event.type == YAML_STREAM_END_EVENT;
		rc = take(reader, &event);
		yaml_event_delete(&event);
	}
	if (rc == 0 && reader->tree->n_nodes == 0)
		rc = weir_config_refuse_line(reader->report, 1, "(text)", "empty", "a %s",
		                             weir_config_what(reader->report));
	return rc;
}

int
weir_config_tree_read(struct weir_config_tree *tree, const char *text, size_t text_bytes,
                      struct weir_config_report *report)
{
	struct reader reader = {.tree = tree, .report = report};
	int rc = check_text(text, text_bytes, report);

	if (rc != 0)
		return rc;
	if (!yaml_parser_initialize(&reader.parser))
		return report->rc = -ENOMEM;
	/* Otherwise a byte order mark could choose another encoding than the one just checked. */
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, text_bytes);
	rc = read_events(&reader);
	yaml_parser_delete(&reader.parser);
	return rc;
}

void
weir_config_tree_free(struct weir_config_tree *tree)
{
	free(tree->nodes);
	free(tree->texts);
	*tree = (struct weir_config_tree){0};
}
