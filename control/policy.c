/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/policy.h"

#include "drivers/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The budgets that a class's frames are charged to, its own first. */
static void
set_path(const struct weir_config *config, const uint32_t *budget_ids, uint32_t budget,
         struct weir_class *class)
{
	for (; budget != WEIR_ANY; budget = config->budgets[budget].parent) {
		assert(class->n_path < WEIR_PATH_MAX && budget < config->n_budgets);
		assert(budget_ids[budget] < WEIR_BUDGETS_MAX);
		class->path[class->n_path++] = (uint16_t)budget_ids[budget];
	}
}

static void
set_class(const struct weir_config *config, const struct weir_policy_binding *binding,
          uint32_t index, struct weir_class *class)
{
	const struct weir_config_class *from = &config->classes[index];
	uint32_t least = weir_config_largest_frame(config);

	class->rate = binding->rates[index];
	class->burst_bytes = from->burst_bytes;
	if (from->backlog_bytes > 0) {
		class->backlog_bytes = from->backlog_bytes / config->appliance.n_workers;
		if (class->backlog_bytes < least)
			class->backlog_bytes = least;
	}
	set_path(config, binding->budget_ids, from->budget, class);
}

/* The policy's rules with classes' indices turned into slots, compiled. */
static int
compile_rules(const struct weir_config *config, const struct weir_policy_binding *binding,
              struct weir_snapshot *snapshot, char *error, size_t error_size)
{
	struct weir_rule *rules = calloc(config->n_rules + 1, sizeof(*rules));
	char name[24];
	int rc;

	if (rules == NULL) {
		snprintf(error, error_size, "policy: out of memory for %" PRIu32 " rules",
		         config->n_rules);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->n_rules; i++) {
		rules[i] = config->rules[i];
		assert(rules[i].class_slot < config->n_classes);
		rules[i].class_slot = binding->class_slots[rules[i].class_slot];
	}
	snprintf(name, sizeof(name), "%" PRIx64, binding->generation);
	rc = weir_classifier_new(name, rules, config->n_rules, binding->node, &snapshot->classifier,
	                         error, error_size);
	free(rules);
	return rc;
}

int
weir_policy_compile(const struct weir_config *config, const struct weir_policy_binding *binding,
                    struct weir_snapshot **snapshot, char *error, size_t error_size)
{
	struct weir_clock clock = {.tsc_hz = binding->tsc_hz};
	struct weir_snapshot *made;
	uint32_t n_slots = 1;
	int rc;

	for (uint32_t i = 0; i < config->n_classes; i++)
		if (binding->class_slots[i] >= n_slots)
			n_slots = binding->class_slots[i] + 1;
	made = weir_snapshot_new(n_slots, binding->node);
	if (made == NULL) {
		snprintf(error, error_size, "policy: out of memory for %" PRIu32 " classes",
		         n_slots);
		return -ENOMEM;
	}
	made->generation = binding->generation;
	made->heartbeat_limit_tsc =
	    weir_clock_tsc_from_ns(&clock, config->appliance.heartbeat_limit_ns);
	for (uint32_t i = 0; i < config->n_classes; i++)
		set_class(config, binding, i, &made->classes[binding->class_slots[i]]);
	rc = compile_rules(config, binding, made, error, error_size);
	if (rc != 0) {
		weir_snapshot_free(made);
		return rc;
	}
	*snapshot = made;
	return 0;
}
