/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the text of a policy to its meaning, section by section, in the order below: each may use
 * what those before it have made. All return 0, -EINVAL (reported) or -ENOMEM. Part of config.h;
 * nothing else uses it.
 */
#ifndef WEIR_CONTROL_CONFIG_BUILD_H
#define WEIR_CONTROL_CONFIG_BUILD_H

#include "control/config_schema.h"
#include "control/config_value.h"

struct weir_config_build {
	struct weir_config_report *report;
	const struct weir_raw *raw;
	struct weir_config *config; /* arrays are allocated by those who fill them */
	struct weir_config_names ports, links, budgets, classes;
};

int weir_config_build_appliance(struct weir_config_build *build);
/* The part of the appliance that is about the ledger, its key and its witness; no paths. */
int weir_config_build_ledger(struct weir_config_build *build, const struct weir_raw_appliance *raw);
int weir_config_build_asset(struct weir_config_build *build);
int weir_config_build_ports(struct weir_config_build *build);
int weir_config_build_links(struct weir_config_build *build);
/* The ports' keys that only make sense outside: behind the links, which say what that is. */
int weir_config_build_limiters(struct weir_config_build *build);
int weir_config_build_budgets(struct weir_config_build *build);
/* Refuses a TPM's witness that would wear out: behind the budgets, whose caps say how soon. */
int weir_config_check_endurance(struct weir_config_build *build);
int weir_config_build_classes(struct weir_config_build *build);
int weir_config_build_rules(struct weir_config_build *build);
/*
 * Refuses more classes with a queue of their own on a link than any port has queues; and, where a
 * test of limits is required, classes of which it could not tell.
 */
int weir_config_check_queues(struct weir_config_build *build);

/*
 * Sorts a section's names, which the structs already have, and refuses one that is there twice.
 */
int weir_config_build_names(struct weir_config_build *build, const char *section,
                            struct weir_config_names *names, const void *base, size_t stride,
                            uint32_t n);

/* Looks up a name of the kind (as "a budget") that names holds. */
int weir_config_build_find(struct weir_config_build *build, struct weir_config_at at,
                           const struct weir_config_names *names, const char *kind,
                           const char *text, uint32_t *index);

#endif
