/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy as workers see it: immutable, built beside the running one, published by one pointer,
 * freed after an RCU grace period.
 *
 * A class has a slot: its index here, in the buckets, and in every worker's queues and counters.
 * The control thread keeps a class in its slot from policy to policy for as long as its name
 * stays, so that its bucket and queue survive a change of policy, and gives a slot to another name
 * only after every worker has let go of it.
 */
#ifndef WEIR_DATAPLANE_SNAPSHOT_H
#define WEIR_DATAPLANE_SNAPSHOT_H

#include "dataplane/bucket.h"
#include "dataplane/classify.h"

/* One class. One cache line. All zero: no such class in this policy, nothing may leave by it. */
struct weir_class {
	_Alignas(WEIR_CACHE_LINE) struct weir_rate rate;
	uint32_t burst_bytes;
	/* Per worker and link. 0: what exceeds the rate is dropped at once; only behind others that
	 * wait for their send queue may up to WEIR_BURST frames wait for their turn. */
	uint32_t backlog_bytes;
	uint16_t path[WEIR_PATH_MAX]; /* budgets, the class's own first, the root last */
	uint8_t n_path;               /* 0: no such class */
};
static_assert(sizeof(struct weir_class) == WEIR_CACHE_LINE, "a class is one cache line");

struct weir_snapshot {
	uint64_t generation;          /* 1, 2, ... */
	uint64_t heartbeat_limit_tsc; /* egress stops when control's pulse is older than this */
	uint32_t n_classes;           /* slots in classes, used or not; at most WEIR_CLASSES_MAX */
	struct weir_classifier *classifier;
	struct weir_class *classes;
};

/*
 * Allocates a snapshot with room for n_classes zeroed classes and no classifier, on a NUMA node.
 * Returns NULL when memory runs out. Control thread.
 */
struct weir_snapshot *weir_snapshot_new(uint32_t n_classes, int node);

/* Frees a snapshot and its classifier. NULL is allowed. Control thread, after the grace period. */
void weir_snapshot_free(struct weir_snapshot *snapshot);

#endif
