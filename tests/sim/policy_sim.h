/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random policies for the simulation: a small universe of names, of which each policy uses some.
 * Whatever is changed, what a policy says is kept apart from what Weir makes of it.
 */
#ifndef WEIR_TESTS_SIM_POLICY_SIM_H
#define WEIR_TESTS_SIM_POLICY_SIM_H

#include "control/config.h"
#include "tests/unit/harness.h"

#define WEIR_SIM_BUDGETS   7U /* names; number 0 is the root and always there */
#define WEIR_SIM_CLASSES   5U /* names; frames to UDP port WEIR_SIM_PORT + number are the class's */
#define WEIR_SIM_CAPS      3U /* of one budget */
#define WEIR_SIM_PORT      1000U
#define WEIR_SIM_MTU       1500U
#define WEIR_SIM_FRAME_MAX 1546U /* largest charge that fits the MTU: two tags, overhead */

struct weir_sim_budget {
	bool used;
	uint32_t parent; /* number of a budget that is used, or WEIR_ANY */
	uint32_t n_caps;
	struct weir_config_cap caps[WEIR_SIM_CAPS];
};

struct weir_sim_class {
	bool used;
	uint32_t budget; /* number of one that is used */
	uint64_t rate_bit_s;
	uint32_t burst_bytes;
	uint32_t backlog_bytes;
};

struct weir_sim_policy {
	struct weir_sim_budget budgets[WEIR_SIM_BUDGETS];
	struct weir_sim_class classes[WEIR_SIM_CLASSES];
	uint64_t heartbeat_limit_ns;
};

/* What may be done to a policy. */
enum weir_sim_change {
	WEIR_SIM_TIGHTEN_CAP,
	WEIR_SIM_LOOSEN_CAP,
	WEIR_SIM_NEW_WINDOW,
	WEIR_SIM_DROP_CAP,
	WEIR_SIM_ADD_BUDGET,
	WEIR_SIM_REMOVE_BUDGET, /* what was below it, and its classes, go to its parent */
	WEIR_SIM_RENAME_BUDGET, /* it leaves, and another name comes in its place */
	WEIR_SIM_MOVE_BUDGET,
	WEIR_SIM_ADD_CLASS,
	WEIR_SIM_REMOVE_CLASS,
	WEIR_SIM_MOVE_CLASS,
	WEIR_SIM_CHANGE_RATE,
	WEIR_SIM_CHANGE_BURST,
	WEIR_SIM_CHANGES,
};

const char *weir_sim_change_name(enum weir_sim_change change);

/* A policy to begin with. */
void weir_sim_policy_make(struct weir_sim_policy *policy, struct weir_random *random);

/* Changes it in one way. False where that is not possible, and then nothing has changed. */
bool weir_sim_policy_change(struct weir_sim_policy *policy, enum weir_sim_change change,
                            struct weir_random *random);

/* The config that says so, in any order. Freed by weir_sim_config_free. */
struct weir_config *weir_sim_config_make(const struct weir_sim_policy *policy,
                                         struct weir_random *random);
void weir_sim_config_free(struct weir_config *config);

/* Name of a budget or class, and back. */
void weir_sim_budget_name(uint32_t number, char name[WEIR_NAME_SIZE]);
uint32_t weir_sim_number(const char *name);

#endif
