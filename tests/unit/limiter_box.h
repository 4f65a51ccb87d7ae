/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver for the limiter's tests, without a NIC: it keeps what rte_tm and
 * rte_eth_set_queue_rate_limit tell it, as strictly as the strictest drivers do, and fails where a
 * test wants it to. Programs that include it are linked with --wrap of the calls below.
 */
#ifndef WEIR_TESTS_UNIT_LIMITER_BOX_H
#define WEIR_TESTS_UNIT_LIMITER_BOX_H

#define ALLOW_EXPERIMENTAL_API
#include "drivers/limiter.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>
#include <rte_tm.h>
#include <string.h>

#define BOX_PORT     0U
#define BOX_NODES    256U
#define BOX_PROFILES 256U
#define BOX_LEVELS   9U
#define GBIT         UINT64_C(1000000000)
#define MBIT         UINT64_C(1000000)

struct box_profile {
	bool used;
	uint32_t id;
	struct rte_tm_shaper_params params;
};

struct box_node {
	bool used;
	uint32_t id, parent, level, profile;
	struct rte_tm_node_params params;
};

static struct box {
	/* ethdev. */
	int set_result;
	uint32_t sets, set_mbit_s[WEIR_TX_QUEUES_MAX];
	uint16_t set_last;
	int link_result;
	uint32_t link_mbit_s;
	uint32_t link_changes_at; /* at this set, the link's speed becomes a tenth */
	bool link_up;
	bool completions;
	/* What it says of itself. */
	bool has_tm;
	bool says_nothing; /* no capabilities_get */
	bool mute;         /* no node_type_get */
	struct rte_tm_capabilities can;
	struct rte_tm_level_capabilities levels[BOX_LEVELS];
	/* What it is like. */
	bool refuses_burst, refuses_adjust;
	bool locked;             /* after a commit, nodes can be neither added nor deleted */
	bool updates;            /* node_shaper_update */
	bool silent;             /* the next commit does nothing, returns 0, and leaves a cause */
	bool forgets_profiles;   /* it lets a profile in use be deleted */
	bool keeps_nodes;        /* it lets no node be deleted */
	uint32_t keeps_profiles; /* so many times, it lets no profile be deleted */
	uint32_t nb_queues;
	/* Failures: the call of this number (from 1) fails. */
	uint32_t calls, fails_at;
	bool nameless; /* without a message */
	/* What it was told. */
	struct box_profile profiles[BOX_PROFILES];
	struct box_node nodes[BOX_NODES];
	uint32_t n_nodes;
	bool committed;
	uint32_t commits, updates_done;
	bool out_of_order; /* a node was deleted that was not the last one added */
	/* What its hardware does: copies made by the commit. Peak rates in bytes a second. */
	uint64_t leaf_bytes_s[BOX_NODES];
	uint64_t leaf_burst[BOX_NODES];
	int32_t leaf_adjust[BOX_NODES];
	uint64_t port_bytes_s;
} box;

int __wrap_rte_eth_set_queue_rate_limit(uint16_t port_id, uint16_t queue, uint32_t mbit_s);
int __wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link);
int __wrap_rte_tm_capabilities_get(uint16_t port_id, struct rte_tm_capabilities *can,
                                   struct rte_tm_error *error);
int __wrap_rte_tm_level_capabilities_get(uint16_t port_id, uint32_t level,
                                         struct rte_tm_level_capabilities *can,
                                         struct rte_tm_error *error);
int __wrap_rte_tm_node_type_get(uint16_t port_id, uint32_t id, int *is_leaf,
                                struct rte_tm_error *error);
int __wrap_rte_tm_shaper_profile_add(uint16_t port_id, uint32_t id,
                                     struct rte_tm_shaper_params *params,
                                     struct rte_tm_error *error);
int __wrap_rte_tm_shaper_profile_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error);
int __wrap_rte_tm_node_add(uint16_t port_id, uint32_t id, uint32_t parent, uint32_t priority,
                           uint32_t weight, uint32_t level, struct rte_tm_node_params *params,
                           struct rte_tm_error *error);
int __wrap_rte_tm_node_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error);
int __wrap_rte_tm_node_shaper_update(uint16_t port_id, uint32_t id, uint32_t profile,
                                     struct rte_tm_error *error);
int __wrap_rte_tm_hierarchy_commit(uint16_t port_id, int clear_on_fail, struct rte_tm_error *error);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool box_no_memory;

void *
__wrap_calloc(size_t count, size_t size)
{
	return box_no_memory ? NULL : __real_calloc(count, size);
}

int
__wrap_rte_eth_set_queue_rate_limit(uint16_t port_id, uint16_t queue, uint32_t mbit_s)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT);
	CU_ASSERT(mbit_s > 0); /* unlimited to some, blocked to others */
	CU_ASSERT(queue < box.nb_queues);
	if (++box.sets == box.link_changes_at)
		box.link_mbit_s /= 10;
	if (mbit_s > box.link_mbit_s)
		return -EINVAL;
	if (box.set_result == 0 && queue < WEIR_TX_QUEUES_MAX) {
		box.set_mbit_s[queue] = mbit_s;
		box.set_last = queue;
	}
	return box.set_result;
}

int
__wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT);
	memset(link, 0, sizeof(*link));
	link->link_speed = box.link_mbit_s;
	link->link_status = box.link_up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	return box.link_result;
}

static inline int
box_answer(int result, enum rte_tm_error_type type, const char *message, struct rte_tm_error *error)
{
	if (result != 0) {
		error->type = type;
		error->message = box.nameless ? NULL : message;
	}
	return result;
}

/* The start of each rte_tm call: 0, or what it fails with. */
static inline int
box_call(uint16_t port_id, struct rte_tm_error *error)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(error);
	if (!box.has_tm)
		return box_answer(-ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED, "no rte_tm", error);
	if (++box.calls == box.fails_at)
		return box_answer(-EIO, RTE_TM_ERROR_TYPE_UNSPECIFIED, "made to fail", error);
	return 0;
}

static inline struct box_node *
box_node(uint32_t id)
{
	for (uint32_t i = 0; i < box.n_nodes; i++) {
		if (box.nodes[i].used && box.nodes[i].id == id)
			return &box.nodes[i];
	}
	return NULL;
}

static inline struct box_profile *
box_profile(uint32_t id)
{
	for (uint32_t i = 0; i < BOX_PROFILES; i++) {
		if (box.profiles[i].used && box.profiles[i].id == id)
			return &box.profiles[i];
	}
	return NULL;
}

int
__wrap_rte_tm_capabilities_get(uint16_t port_id, struct rte_tm_capabilities *can,
                               struct rte_tm_error *error)
{
	int result = box_call(port_id, error);

	if (result == 0 && box.says_nothing)
		result = box_answer(-ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED, "none", error);
	*can = box.can;
	return result;
}

int
__wrap_rte_tm_level_capabilities_get(uint16_t port_id, uint32_t level,
                                     struct rte_tm_level_capabilities *can,
                                     struct rte_tm_error *error)
{
	int result = box_call(port_id, error);

	CU_ASSERT_FATAL(level < BOX_LEVELS);
	CU_ASSERT(level < box.can.n_levels_max);
	*can = box.levels[level];
	return result;
}

int
__wrap_rte_tm_node_type_get(uint16_t port_id, uint32_t id, int *is_leaf, struct rte_tm_error *error)
{
	int result = box_call(port_id, error);

	if (result != 0)
		return result;
	if (box.mute)
		return box_answer(-ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED, "none", error);
	if (box_node(id) == NULL)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_NODE_ID, "no such node", error);
	*is_leaf = id < box.nb_queues;
	return 0;
}

int
__wrap_rte_tm_shaper_profile_add(uint16_t port_id, uint32_t id, struct rte_tm_shaper_params *params,
                                 struct rte_tm_error *error)
{
	int result = box_call(port_id, error);

	CU_ASSERT(params->peak.rate > 0);
	CU_ASSERT_EQUAL(params->committed.rate, 0);
	CU_ASSERT_EQUAL(params->committed.size, 0);
	CU_ASSERT_EQUAL(params->packet_mode, 0);
	if (result != 0)
		return result;
	if (box.refuses_burst && params->peak.size != 0)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_SIZE, "burst",
		                  error);
	if (box.refuses_adjust && params->pkt_length_adjust != 0)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PKT_ADJUST_LEN,
		                  "adjust", error);
	if (box_profile(id) != NULL)
		return box_answer(-EEXIST, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID, "exists", error);
	for (uint32_t i = 0; i < BOX_PROFILES; i++) {
		if (!box.profiles[i].used) {
			box.profiles[i] = (struct box_profile){true, id, *params};
			return 0;
		}
	}
	return box_answer(-ENOSPC, RTE_TM_ERROR_TYPE_SHAPER_PROFILE, "full", error);
}

int
__wrap_rte_tm_shaper_profile_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error)
{
	struct box_profile *profile = box_profile(id);
	int result = box_call(port_id, error);

	if (result != 0)
		return result;
	if (profile == NULL)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID, "none", error);
	if (box.keeps_profiles > 0) {
		box.keeps_profiles--;
		return box_answer(-EIO, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID, "kept", error);
	}
	for (uint32_t i = 0; i < box.n_nodes && !box.forgets_profiles; i++) {
		if (box.nodes[i].used && box.nodes[i].profile == id)
			return box_answer(-EBUSY, RTE_TM_ERROR_TYPE_SHAPER_PROFILE, "in use",
			                  error);
	}
	profile->used = false;
	return 0;
}

int
__wrap_rte_tm_node_add(uint16_t port_id, uint32_t id, uint32_t parent, uint32_t priority,
                       uint32_t weight, uint32_t level, struct rte_tm_node_params *params,
                       struct rte_tm_error *error)
{
	const struct box_node *above = box_node(parent);
	int result = box_call(port_id, error);
	bool leaf = id < box.nb_queues;

	CU_ASSERT_EQUAL(priority, 0);
	CU_ASSERT_EQUAL(weight, 1);
	CU_ASSERT_EQUAL(params->n_shared_shapers, 0);
	/* One of the drivers takes the first number after the queues for a leaf's. */
	CU_ASSERT(leaf || id > box.nb_queues);
	if (leaf) {
		CU_ASSERT_EQUAL(params->leaf.wred.wred_profile_id, RTE_TM_WRED_PROFILE_ID_NONE);
	} else {
		CU_ASSERT_EQUAL(params->nonleaf.n_sp_priorities, 1);
	}
	if (result != 0)
		return result;
	if (box.locked && box.committed)
		return box_answer(-EIO, RTE_TM_ERROR_TYPE_CAPABILITIES, "hierarchy exists", error);
	if (box_node(id) != NULL || (above == NULL) != (parent == RTE_TM_NODE_ID_NULL) ||
	    level != (above == NULL ? 0 : above->level + 1) || (above == NULL && box.n_nodes > 0) ||
	    leaf != (level == box.can.n_levels_max - 1) ||
	    (params->shaper_profile_id != RTE_TM_SHAPER_PROFILE_ID_NONE &&
	     box_profile(params->shaper_profile_id) == NULL) ||
	    (leaf && params->shaper_profile_id != RTE_TM_SHAPER_PROFILE_ID_NONE &&
	     box.levels[level].leaf.shaper_private_supported == 0) ||
	    box.n_nodes == BOX_NODES)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_NODE_ID, "wrong node", error);
	box.nodes[box.n_nodes++] =
	    (struct box_node){true, id, parent, level, params->shaper_profile_id, *params};
	return 0;
}

int
__wrap_rte_tm_node_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error)
{
	struct box_node *node = box_node(id);
	int result = box_call(port_id, error);

	if (result != 0)
		return result;
	if (box.keeps_nodes || (box.locked && box.committed))
		return box_answer(-EIO, RTE_TM_ERROR_TYPE_CAPABILITIES, "hierarchy exists", error);
	if (node == NULL)
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_NODE_ID, "no such node", error);
	for (uint32_t i = 0; i < box.n_nodes; i++) {
		if (box.nodes[i].used && box.nodes[i].parent == id)
			return box_answer(-EBUSY, RTE_TM_ERROR_TYPE_NODE_ID, "children", error);
	}
	if (node != &box.nodes[box.n_nodes - 1])
		box.out_of_order = true;
	node->used = false;
	while (box.n_nodes > 0 && !box.nodes[box.n_nodes - 1].used)
		box.n_nodes--;
	return 0;
}

/* What limits a leaf: the least of the profiles on its way to the root, but for the port's. */
static inline void
box_apply(void)
{
	memset(box.leaf_bytes_s, 0, sizeof(box.leaf_bytes_s));
	box.port_bytes_s = 0;
	for (uint32_t i = 0; i < box.n_nodes; i++) {
		const struct box_node *leaf = &box.nodes[i], *above;
		const struct box_profile *profile = box_profile(leaf->profile);

		if (profile != NULL && leaf->id >= box.nb_queues &&
		    (leaf->level == 0 || leaf->level + 2 < box.can.n_levels_max))
			box.port_bytes_s = profile->params.peak.rate;
		if (leaf->id >= box.nb_queues)
			continue;
		above = box_node(leaf->parent);
		if (profile == NULL && above != NULL && box.can.n_levels_max > 2)
			profile = box_profile(above->profile);
		if (profile == NULL)
			continue;
		box.leaf_bytes_s[leaf->id] = profile->params.peak.rate;
		box.leaf_burst[leaf->id] = profile->params.peak.size;
		box.leaf_adjust[leaf->id] = profile->params.pkt_length_adjust;
	}
}

int
__wrap_rte_tm_node_shaper_update(uint16_t port_id, uint32_t id, uint32_t profile,
                                 struct rte_tm_error *error)
{
	struct box_node *node = box_node(id);
	int result = box_call(port_id, error);

	CU_ASSERT(box.updates);
	if (result != 0)
		return result;
	if (node == NULL ||
	    (profile != RTE_TM_SHAPER_PROFILE_ID_NONE && box_profile(profile) == NULL))
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_NODE_ID, "no such node", error);
	node->profile = profile;
	box.updates_done++;
	box_apply();
	return 0;
}

int
__wrap_rte_tm_hierarchy_commit(uint16_t port_id, int clear_on_fail, struct rte_tm_error *error)
{
	int result = box_call(port_id, error);
	uint32_t leaves = 0;

	CU_ASSERT_EQUAL(clear_on_fail, 0);
	if (result != 0)
		return result;
	for (uint32_t i = 0; i < box.n_nodes; i++) {
		leaves += box.nodes[i].used && box.nodes[i].id < box.nb_queues;
		CU_ASSERT(box.nodes[i].profile == RTE_TM_SHAPER_PROFILE_ID_NONE ||
		          box_profile(box.nodes[i].profile) != NULL);
	}
	if (box.silent) {
		box.silent = false;
		error->type = RTE_TM_ERROR_TYPE_UNSPECIFIED;
		error->message = "too many queues";
		return 0;
	}
	/* A queue that is left out would not send any more. */
	if (leaves != box.nb_queues || (box.locked && box.committed))
		return box_answer(-EINVAL, RTE_TM_ERROR_TYPE_UNSPECIFIED, "incomplete", error);
	box.committed = true;
	box.commits++;
	box_apply();
	return 0;
}

/* No driver yet, a link of 10 Gbit/s, and completions that can be read. */
static inline void
box_reset(uint32_t n_queues)
{
	memset(&box, 0, sizeof(box));
	box.nb_queues = n_queues;
	box.set_result = -ENOTSUP;
	box.link_mbit_s = 10000;
	box.link_up = true;
	box.completions = true;
}

/* rte_tm with levels that can all limit, from 8 kbit/s to 100 Gbit/s. */
static inline void
box_add_tm(uint32_t levels)
{
	box.has_tm = true;
	box.can.n_levels_max = levels;
	box.can.shaper_pkt_length_adjust_min = RTE_TM_ETH_FRAMING_OVERHEAD;
	box.can.shaper_pkt_length_adjust_max = RTE_TM_ETH_FRAMING_OVERHEAD_FCS;
	for (uint32_t i = 0; i < levels && i < BOX_LEVELS; i++) {
		struct rte_tm_level_capabilities *level = &box.levels[i];

		level->n_nodes_max = i == 0 ? 1 : BOX_NODES / 4;
		if (i + 1 == levels) {
			level->leaf.shaper_private_supported = 1;
			level->leaf.shaper_private_rate_min = 1000;
			level->leaf.shaper_private_rate_max = 12500 * MBIT;
			continue;
		}
		level->nonleaf.shaper_private_supported = 1;
		level->nonleaf.shaper_private_rate_min = 1000;
		level->nonleaf.shaper_private_rate_max = 12500 * MBIT;
		level->nonleaf.sched_n_children_max = BOX_NODES / 4;
	}
}

static inline struct weir_port
box_port(const char *driver)
{
	struct weir_port port;

	memset(&port, 0, sizeof(port));
	port.port_id = BOX_PORT;
	port.tx_queues = (uint16_t)box.nb_queues;
	port.completions = box.completions;
	snprintf(port.driver, sizeof(port.driver), "%s", driver);
	return port;
}

#endif
