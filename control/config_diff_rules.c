/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_diff_rules.h"

#include "control/config_print.h"
#include "control/config_shape.h"
#include "control/config_value.h"

#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 768U /* a rule with three names and two IPv6 prefixes takes 450 */

/*
 * A longest common subsequence of what lies between the rules that both lists begin and end with:
 * at most 4,096 x 4,096 cells of 16 bits.
 */
struct rule_diff {
	const struct weir_config *from, *to;
	struct weir_rule *before;   /* from's, with the indices that links and classes have in to */
	uint32_t head;              /* rules that both begin with */
	uint32_t n_before, n_after; /* rules in between */
	uint16_t *longest; /* [i][j]: of before[i..] and after[j..], (n_before+1) x (n_after+1) */
	void (*each)(void *arg, enum weir_change change, const char *what);
	void *arg;
};

static uint32_t
find_link(const struct weir_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->n_links; i++)
		if (strcmp(config->links[i].name, name) == 0)
			return i;
	return WEIR_ANY;
}

/* What class i of from is called in to, or a number that no class of to has. */
static uint32_t *
map_classes(const struct weir_config *from, const struct weir_config *to)
{
	uint32_t *map = calloc(from->n_classes + 1, sizeof(*map));
	struct weir_config_names names;

	if (map == NULL ||
	    weir_config_names_make(&names, to->classes, sizeof(*to->classes), to->n_classes) != 0) {
		free(map);
		return NULL;
	}
	for (uint32_t i = 0; i < from->n_classes; i++) {
		map[i] = weir_config_names_find(&names, from->classes[i].name);
		if (map[i] == WEIR_ANY)
			map[i] = to->n_classes + i;
	}
	weir_config_names_free(&names);
	return map;
}

static bool
make_before(struct rule_diff *diff)
{
	const struct weir_config *from = diff->from;
	uint32_t *classes = map_classes(from, diff->to);
	uint32_t link;

	diff->before = calloc(from->n_rules + 1, sizeof(*diff->before));
	if (classes == NULL || diff->before == NULL) {
		free(classes);
		return false;
	}
	for (uint32_t i = 0; i < from->n_rules; i++) {
		diff->before[i] = from->rules[i];
		diff->before[i].class_slot = classes[from->rules[i].class_slot];
		if (from->rules[i].link == WEIR_ANY)
			continue;
		link = find_link(diff->to, from->links[from->rules[i].link].name);
		diff->before[i].link =
		    link != WEIR_ANY ? link : diff->to->n_links + from->rules[i].link;
	}
	free(classes);
	return true;
}

static bool
same_prefix(const struct weir_prefix *a, const struct weir_prefix *b)
{
	return a->family == b->family && a->length == b->length &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static bool
same_rule(const struct weir_rule *a, const struct weir_rule *b)
{
	return a->class_slot == b->class_slot && a->link == b->link &&
	       a->ethertype == b->ethertype && a->vlan == b->vlan && a->protocol == b->protocol &&
	       a->source_port_low == b->source_port_low &&
	       a->source_port_high == b->source_port_high &&
	       a->destination_port_low == b->destination_port_low &&
	       a->destination_port_high == b->destination_port_high &&
	       same_prefix(&a->source, &b->source) && same_prefix(&a->destination, &b->destination);
}

static void
trim(struct rule_diff *diff)
{
	const struct weir_rule *before = diff->before, *after = diff->to->rules;
	uint32_t n = diff->from->n_rules, m = diff->to->n_rules;

	while (diff->head < n && diff->head < m &&
	       same_rule(&before[diff->head], &after[diff->head]))
		diff->head++;
	while (n > diff->head && m > diff->head && same_rule(&before[n - 1], &after[m - 1])) {
		n--;
		m--;
	}
	diff->n_before = n - diff->head;
	diff->n_after = m - diff->head;
}

static uint16_t *
cell(const struct rule_diff *diff, uint32_t i, uint32_t j)
{
	return &diff->longest[(size_t)i * (diff->n_after + 1) + j];
}

static bool
fill(struct rule_diff *diff)
{
	const struct weir_rule *before = diff->before + diff->head;
	const struct weir_rule *after = diff->to->rules + diff->head;

	diff->longest =
	    calloc((size_t)(diff->n_before + 1) * (diff->n_after + 1), sizeof(*diff->longest));
	if (diff->longest == NULL)
		return false;
	for (uint32_t i = diff->n_before; i-- > 0;) {
		for (uint32_t j = diff->n_after; j-- > 0;) {
			uint16_t down = *cell(diff, i + 1, j), right = *cell(diff, i, j + 1);

			if (same_rule(&before[i], &after[j]))
				*cell(diff, i, j) = (uint16_t)(*cell(diff, i + 1, j + 1) + 1);
			else
				*cell(diff, i, j) = down > right ? down : right;
		}
	}
	return true;
}

/* number: from 0, as in errors. */
static void
say_rule(const struct rule_diff *diff, enum weir_change change, const char *what, uint32_t number,
         const struct weir_config *config)
{
	char line[LINE_SIZE] = "";
	FILE *out = fmemopen(line, sizeof(line), "w");

	if (out != NULL) {
		fprintf(out, "rules[%u] %s: ", number, what);
		weir_config_print_rule(out, config, &config->rules[number]);
		fclose(out);
	}
	diff->each(diff->arg, change, line[0] != '\0' ? line : "rules: changed");
}

/*
 * A rule that goes is tighter if its frames are then dropped: if no rule from `next` on takes any
 * of them. Those before it took what they took already.
 */
static enum weir_change
judge_removal(const struct rule_diff *diff, uint32_t removed, uint32_t next)
{
	struct weir_shape shape, other;

	weir_shape_make(&diff->before[removed], &shape);
	for (uint32_t i = next; i < diff->to->n_rules; i++) {
		weir_shape_make(&diff->to->rules[i], &other);
		if (weir_shape_overlaps(&shape, &other))
			return WEIR_CHANGE_LOOSENS;
	}
	return WEIR_CHANGE_TIGHTENS;
}

static void
walk(const struct rule_diff *diff)
{
	uint32_t i = 0, j = 0;

	while (i < diff->n_before || j < diff->n_after) {
		uint32_t old = diff->head + i, new = diff->head + j;

		if (i < diff->n_before && j < diff->n_after &&
		    same_rule(&diff->before[old], &diff->to->rules[new])) {
			i++;
			j++;
		} else if (j == diff->n_after ||
		           (i < diff->n_before && *cell(diff, i + 1, j) >= *cell(diff, i, j + 1))) {
			say_rule(diff, judge_removal(diff, old, new), "removed", old, diff->from);
			i++;
		} else {
			say_rule(diff, WEIR_CHANGE_LOOSENS, "added", new, diff->to);
			j++;
		}
	}
}

void
weir_config_diff_rules(const struct weir_config *from, const struct weir_config *to,
                       void (*each)(void *arg, enum weir_change change, const char *what),
                       void *arg)
{
	struct rule_diff diff = {.from = from, .to = to, .each = each, .arg = arg};
	bool made = make_before(&diff);

	if (made) {
		trim(&diff);
		made = fill(&diff);
	}
	if (made)
		walk(&diff);
	else
		each(arg, WEIR_CHANGE_LOOSENS, "rules: may have changed (out of memory)");
	free(diff.longest);
	free(diff.before);
}
