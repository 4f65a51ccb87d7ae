/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections that say how much may leave: budgets and classes. */
#include "control/config_build.h"
#include "control/quantity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MAX_BYTES      UINT64_C(1000000000000000000) /* sums stay far from 2^64 */
#define WINDOW_MIN_NS      WEIR_NS_PER_S
#define WINDOW_MAX_NS      (36500ULL * 86400 * WEIR_NS_PER_S)
#define RATE_MAX_BIT_S     UINT64_C(1000000000000)
#define BURST_MAX_BYTES    UINT64_C(1000000000)
#define BACKLOG_MAX_BYTES  UINT64_C(1000000000)
#define BACKLOG_DEFAULT_NS (100 * WEIR_NS_PER_MS)
#define BACKLOG_FRAMES     4U /* of the largest size, where the rate is low */

enum excess { EXCESS_SHAPE, EXCESS_DROP };

static const struct weir_config_word excess_words[] = {
    {"shape", EXCESS_SHAPE},
    {"drop", EXCESS_DROP},
    {NULL, 0},
};

static int
build_cap(struct weir_config_build *build, uint32_t index, uint32_t item)
{
	const struct weir_raw_cap *raw = &build->raw->budgets[index].caps[item];
	struct weir_config_cap *caps = build->config->budgets[index].caps;
	struct weir_config_at at = {"budgets", index, "caps", item, "limit"}, first = at;
	int rc = weir_config_get_bytes(build->report, at, raw->limit, 1, CAP_MAX_BYTES,
	                               &caps[item].limit_bytes);

	at.item_key = "per";
	if (rc == 0 && raw->per != NULL)
		rc = weir_config_get_duration(build->report, at, raw->per, WINDOW_MIN_NS,
		                              WINDOW_MAX_NS, &caps[item].window_ns);
	for (uint32_t i = 0; rc == 0 && i < item; i++) {
		if (caps[i].window_ns != caps[item].window_ns)
			continue;
		first.item = i;
		rc = weir_config_refuse(build->report, &at, raw->per,
		                        "one cap for each window (line %u has this one%s)",
		                        weir_config_tree_line(build->report->tree, &first),
		                        raw->per == NULL ? ", for the lifetime" : "");
	}
	return rc;
}

/* Names, and caps. Parents come when all names are known. */
static int
build_budget(struct weir_config_build *build, uint32_t index)
{
	const struct weir_raw_budget *raw = &build->raw->budgets[index];
	struct weir_config_budget *budget = &build->config->budgets[index];
	int rc = weir_config_get_name(build->report, weir_config_at("budgets", index, "name"),
	                              raw->name, budget->name);

	budget->n_caps = raw->n_caps;
	for (uint32_t i = 0; rc == 0 && i < raw->n_caps; i++)
		rc = build_cap(build, index, i);
	return rc;
}

static int
refuse_parent(struct weir_config_build *build, uint32_t index, const char *expected)
{
	struct weir_config_at at = weir_config_at("budgets", index, "parent");

	return weir_config_refuse(build->report, &at, build->raw->budgets[index].parent, "%s",
	                          expected);
}

/* Refuses the first budget on the circle that the parents of index lead into. */
static int
refuse_cycle(struct weir_config_build *build, uint32_t index)
{
	const struct weir_config_budget *budgets = build->config->budgets;
	uint32_t lowest, at = index;

	for (uint32_t i = 0; i < build->config->n_budgets; i++)
		at = budgets[at].parent;
	lowest = at;
	for (uint32_t i = budgets[at].parent; i != at; i = budgets[i].parent)
		lowest = i < lowest ? i : lowest;
	return refuse_parent(build, lowest, "a budget that is not below this one");
}

/* Checks the way from a budget up: it must end, within WEIR_PATH_MAX budgets. */
static int
check_path(struct weir_config_build *build, uint32_t index)
{
	const struct weir_config_budget *budgets = build->config->budgets;
	uint32_t length = 1;

	for (uint32_t at = index; budgets[at].parent != WEIR_ANY; at = budgets[at].parent)
		if (++length > build->config->n_budgets)
			return refuse_cycle(build, index);
	if (length > WEIR_PATH_MAX) {
		struct weir_config_at at = weir_config_at("budgets", index, "parent");

		return weir_config_refuse(build->report, &at, build->raw->budgets[index].parent,
		                          "at most %u budgets up to the root (there are %u)",
		                          WEIR_PATH_MAX, length);
	}
	return 0;
}

static int
check_root(struct weir_config_build *build)
{
	const struct weir_config_budget *budgets = build->config->budgets;
	struct weir_config_at at;
	uint32_t root = WEIR_ANY;

	for (uint32_t i = 0; i < build->config->n_budgets; i++) {
		if (budgets[i].parent != WEIR_ANY)
			continue;
		at = weir_config_at("budgets", root, "name");
		if (root != WEIR_ANY) {
			uint32_t line = weir_config_tree_line(build->report->tree, &at);

			at = weir_config_at("budgets", i, "parent");
			return weir_config_refuse(build->report, &at, NULL,
			                          "a parent: line %u has the one root, %s", line,
			                          budgets[root].name);
		}
		root = i;
	}
	assert(root != WEIR_ANY);
	at = weir_config_at("budgets", root, "caps");
	if (budgets[root].n_caps == 0)
		return weir_config_refuse(build->report, &at, NULL,
		                          "at least one cap at the root budget");
	return 0;
}

int
weir_config_build_budgets(struct weir_config_build *build)
{
	const struct weir_raw_budget *raw = build->raw->budgets;
	struct weir_config *config = build->config;
	int rc = 0;

	config->n_budgets = build->raw->n_budgets;
	config->budgets = calloc(config->n_budgets, sizeof(*config->budgets));
	if (config->budgets == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_budgets; i++)
		rc = build_budget(build, i);
	if (rc == 0)
		rc = weir_config_build_names(build, "budgets", &build->budgets, config->budgets,
		                             sizeof(*config->budgets), config->n_budgets);
	for (uint32_t i = 0; rc == 0 && i < config->n_budgets; i++) {
		config->budgets[i].parent = WEIR_ANY;
		if (raw[i].parent != NULL)
			rc = weir_config_build_find(build, weir_config_at("budgets", i, "parent"),
			                            &build->budgets, "a budget", raw[i].parent,
			                            &config->budgets[i].parent);
	}
	for (uint32_t i = 0; rc == 0 && i < config->n_budgets; i++)
		rc = check_path(build, i);
	return rc == 0 ? check_root(build) : rc;
}

/* The charge of the largest frame that any port takes: a bucket or queue must hold one. */
static uint32_t
largest_frame(const struct weir_config *config)
{
	uint32_t mtu = 0;

	for (uint32_t i = 0; i < config->n_ports; i++)
		mtu = config->ports[i].mtu_bytes > mtu ? config->ports[i].mtu_bytes : mtu;
	return weir_wire_bytes(weir_frame_max_bytes(mtu));
}

/* Bytes that a rate makes in a time, rounded down, at most one more than the largest backlog. */
static uint64_t
bytes_in(uint64_t rate_bit_s, uint64_t ns)
{
	weir_u128 bytes = (weir_u128)rate_bit_s * ns / (8 * WEIR_NS_PER_S);

	return bytes > BACKLOG_MAX_BYTES ? BACKLOG_MAX_BYTES + 1 : (uint64_t)bytes;
}

static uint64_t
default_backlog(uint64_t rate_bit_s, uint32_t frame_bytes)
{
	uint64_t bytes = bytes_in(rate_bit_s, BACKLOG_DEFAULT_NS);

	if (bytes < (uint64_t)BACKLOG_FRAMES * frame_bytes)
		bytes = (uint64_t)BACKLOG_FRAMES * frame_bytes;
	return bytes > BACKLOG_MAX_BYTES ? BACKLOG_MAX_BYTES : bytes;
}

static int
get_backlog(struct weir_config_build *build, struct weir_config_at at, const char *text,
            struct weir_config_class *class)
{
	uint32_t frame_bytes = largest_frame(build->config);
	char most[WEIR_QUANTITY_SIZE];
	const char *expected = NULL;
	uint64_t bytes = 0, ns = 0;

	if (text == NULL) {
		class->backlog_bytes = (uint32_t)default_backlog(class->rate_bit_s, frame_bytes);
		return 0;
	}
	if (weir_quantity_parse_duration(text, &ns, &expected) == 0)
		bytes = bytes_in(class->rate_bit_s, ns);
	else if (weir_quantity_parse_bytes(text, &bytes, &expected) != 0)
		return weir_config_refuse(build->report, &at, text,
		                          "a time such as 100 ms or a size such as 256 kB");
	if (bytes < frame_bytes || bytes > BACKLOG_MAX_BYTES)
		return weir_config_refuse(
		    build->report, &at, text,
		    "%u B (the largest frame) to %s, or that much at this rate", frame_bytes,
		    weir_quantity_print_bytes(BACKLOG_MAX_BYTES, most));
	class->backlog_bytes = (uint32_t)bytes;
	return 0;
}

static int
get_burst(struct weir_config_build *build, struct weir_config_at at, const char *text,
          struct weir_config_class *class)
{
	uint32_t frame_bytes = largest_frame(build->config);
	uint64_t bytes = 0;
	int rc = weir_config_get_bytes(build->report, at, text, 1, BURST_MAX_BYTES, &bytes);

	/* A bucket never gives its last byte, which pays for rounding (bucket.h). */
	if (rc == 0 && bytes <= frame_bytes)
		rc = weir_config_refuse(
		    build->report, &at, text,
		    "at least %u B, one more than the largest frame of any port", frame_bytes + 1);
	class->burst_bytes = (uint32_t)bytes;
	return rc;
}

static int
build_class(struct weir_config_build *build, uint32_t index)
{
	const struct weir_raw_class *raw = &build->raw->classes[index];
	struct weir_config_class *class = &build->config->classes[index];
	struct weir_config_at at = weir_config_at("classes", index, "backlog");
	uint32_t excess = EXCESS_SHAPE, queue = 0;
	int rc = weir_config_get_name(build->report, weir_config_at("classes", index, "name"),
	                              raw->name, class->name);

	if (rc == 0)
		rc = weir_config_build_find(build, weir_config_at("classes", index, "budget"),
		                            &build->budgets, "a budget", raw->budget,
		                            &class->budget);
	if (rc == 0)
		rc = weir_config_get_rate(build->report, weir_config_at("classes", index, "rate"),
		                          raw->rate, 1, RATE_MAX_BIT_S, &class->rate_bit_s);
	if (rc == 0)
		rc = get_burst(build, weir_config_at("classes", index, "burst"), raw->burst, class);
	if (rc == 0 && raw->excess != NULL)
		rc = weir_config_get_word(build->report, weir_config_at("classes", index, "excess"),
		                          raw->excess, excess_words, &excess);
	if (rc == 0 && raw->queue != NULL)
		rc = weir_config_get_word(build->report, weir_config_at("classes", index, "queue"),
		                          raw->queue, weir_config_queues, &queue);
	if (rc != 0)
		return rc;
	class->dedicated = queue == 1;
	if (excess == EXCESS_SHAPE)
		return get_backlog(build, at, raw->backlog, class);
	if (raw->backlog != NULL)
		return weir_config_refuse(build->report, &at, raw->backlog,
		                          "no backlog where excess is drop");
	return 0;
}

int
weir_config_build_classes(struct weir_config_build *build)
{
	struct weir_config *config = build->config;
	int rc = 0;

	config->n_classes = build->raw->n_classes;
	config->classes = calloc(config->n_classes, sizeof(*config->classes));
	if (config->classes == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_classes; i++)
		rc = build_class(build, i);
	if (rc == 0)
		rc = weir_config_build_names(build, "classes", &build->classes, config->classes,
		                             sizeof(*config->classes), config->n_classes);
	return rc;
}
