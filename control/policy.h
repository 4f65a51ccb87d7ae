/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiles a checked policy into the snapshot that workers run by. Control thread. */
#ifndef WEIR_CONTROL_POLICY_H
#define WEIR_CONTROL_POLICY_H

#include "control/config.h"
#include "dataplane/snapshot.h"

/* What a snapshot needs besides the policy. Arrays are by config's index of budget or class. */
struct weir_policy_binding {
	const uint32_t *budget_ids;    /* the ledger's stable indices */
	const uint32_t *class_slots;   /* where each class lives, below WEIR_CLASSES_MAX */
	const struct weir_rate *rates; /* each class's line, rebased where its rate changed */
	uint64_t generation;
	uint64_t tsc_hz;
	int node; /* NUMA node for the tables, or WEIR_NODE_ANY */
};

/*
 * Builds a snapshot; nothing else changes. A class's backlog limit is split evenly over the
 * workers, but holds at least one largest frame each.
 * error gets one line on failure. Returns 0, -ENOMEM or -EINVAL.
 */
int weir_policy_compile(const struct weir_config *config, const struct weir_policy_binding *binding,
                        struct weir_snapshot **snapshot, char *error, size_t error_size)
    __attribute__((warn_unused_result));

#endif
