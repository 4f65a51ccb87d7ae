/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_tm counts as experimental, as it has since 2017. */
#define ALLOW_EXPERIMENTAL_API
#include "drivers/limiter_tm_tree.h"

#include <errno.h>
#include <rte_tm.h>
#include <stdio.h>
#include <string.h>

/*
 * Leaves have to have the numbers of their queues, and all others larger ones. One of the drivers
 * takes the number that follows the last queue's for a leaf's, too.
 */
#define CHAIN_ID      0x10000U /* plus the level */
#define PARENT_ID     0x20000U /* plus its place among the parents */
#define TRIAL_PROFILE 0x30000U
#define WEIGHT        1U
#define TRIAL_BURST   10000U /* bytes */

static uint16_t
n_leaves(const struct weir_tm *tm)
{
	return (uint16_t)(tm->n_queues * tm->n_senders);
}

/*
 * A place's profile while it has one of the two: the other one is free for the next rate. They are
 * told apart by asking the driver, because a profile in use can't be deleted.
 */
static uint32_t
profile_id(uint16_t place, unsigned int which)
{
	return 1 + 2U * place + which;
}

/* Puts "what: why" into error. A driver's own number, or -1, is no errno. */
static int
fail(int result, const char *what, uint32_t number, const struct rte_tm_error *cause, char *error,
     size_t error_size)
{
	if (result > 0 || result == -1)
		result = -EIO;
	snprintf(error, error_size, "%s %u: %s", what, number,
	         cause->message != NULL ? cause->message : strerror(-result));
	return result;
}

static void
fill_params(const struct weir_tm *tm, uint64_t bytes_s, uint32_t burst_bytes,
            struct rte_tm_shaper_params *params)
{
	uint32_t burst = burst_bytes;

	if (tm->burst_max_bytes != 0 && burst > tm->burst_max_bytes)
		burst = tm->burst_max_bytes;
	memset(params, 0, sizeof(*params));
	params->peak.rate = bytes_s;
	params->peak.size = tm->takes_burst ? burst : 0;
	params->pkt_length_adjust = tm->takes_adjust ? RTE_TM_ETH_FRAMING_OVERHEAD_FCS : 0;
	assert(params->peak.rate > 0); /* 0 would be no limit */
}

static int
add_profile(struct weir_tm *tm, uint32_t id, const struct weir_tm_limit *limit, char *error,
            size_t error_size)
{
	struct rte_tm_shaper_params params;
	struct rte_tm_error cause = {0};
	int result;

	fill_params(tm, limit->bytes_s, limit->burst_bytes, &params);
	result = rte_tm_shaper_profile_add(tm->port_id, id, &params, &cause);
	return result == 0 ? 0 : fail(result, "shaper profile", id, &cause, error, error_size);
}

static int
delete_profile(const struct weir_tm *tm, uint32_t id)
{
	struct rte_tm_error cause = {0};

	return rte_tm_shaper_profile_delete(tm->port_id, id, &cause);
}

int
weir_tm_try_shaper(struct weir_tm *tm, uint64_t bytes_s, char *error, size_t error_size)
{
	struct rte_tm_shaper_params params;
	int result = -EINVAL;

	(void)delete_profile(tm, TRIAL_PROFILE); /* of an earlier time that could not */
	/* Once as it should be, and once less for each thing that it may refuse. */
	for (unsigned int tries = 0; tries < 3 && result != 0; tries++) {
		struct rte_tm_error cause = {0};

		fill_params(tm, bytes_s, TRIAL_BURST, &params);
		result = rte_tm_shaper_profile_add(tm->port_id, TRIAL_PROFILE, &params, &cause);
		if (result != 0)
			result = fail(result, "shaper profile", TRIAL_PROFILE, &cause, error,
			              error_size);
		if (result != 0 && cause.type == RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_SIZE &&
		    tm->takes_burst)
			tm->takes_burst = false;
		else if (result != 0 &&
		         cause.type == RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PKT_ADJUST_LEN &&
		         tm->takes_adjust)
			tm->takes_adjust = false;
		else
			break;
	}
	if (result == 0)
		(void)delete_profile(tm, TRIAL_PROFILE);
	return result;
}

static uint32_t
parent_id(const struct weir_tm *tm, uint16_t parent)
{
	return tm->levels == 2 ? CHAIN_ID : PARENT_ID + parent;
}

uint32_t
weir_tm_limited_node(const struct weir_tm *tm, uint16_t place)
{
	if (place == WEIR_TM_PORT) {
		assert(tm->port_level >= 0 && tm->port_level < tm->levels - 1);
		return tm->port_level < tm->levels - 2 ? CHAIN_ID + (uint32_t)tm->port_level
		                                       : parent_id(tm, 0);
	}
	return tm->leaf_shaper ? place : parent_id(tm, place);
}

static int
node_exists(const struct weir_tm *tm, uint32_t id)
{
	struct rte_tm_error cause = {0};
	int is_leaf = 0;
	int result = rte_tm_node_type_get(tm->port_id, id, &is_leaf, &cause);

	if (result == -ENOSYS)
		return -ENOSYS;
	return result == 0 && (is_leaf != 0) == (id < n_leaves(tm)) ? 0 : -ENOENT;
}

int
weir_tm_stands(const struct weir_tm *tm)
{
	/* The root is the first, and the last leaf the last one to be made. */
	int result = node_exists(tm, CHAIN_ID);

	if (result != 0)
		return result;
	return node_exists(tm, n_leaves(tm) - 1U) == 0 ? 0 : -EILSEQ;
}

/* The profile that a node is made with: a place's first one, if it is to be limited. */
static uint32_t
first_profile(const struct weir_tm *tm, uint32_t node)
{
	for (uint16_t place = 0; place <= WEIR_TM_PORT; place++) {
		if (tm->limits[place].bytes_s != 0 && weir_tm_limited_node(tm, place) == node)
			return profile_id(place, 0);
	}
	return RTE_TM_SHAPER_PROFILE_ID_NONE;
}

static int
add_node(struct weir_tm *tm, uint32_t id, uint32_t parent, uint32_t level, char *error,
         size_t error_size)
{
	struct rte_tm_node_params params;
	struct rte_tm_error cause = {0};
	int result;

	memset(&params, 0, sizeof(params));
	params.shaper_profile_id = first_profile(tm, id);
	if (level == tm->levels - 1U)
		params.leaf.wred.wred_profile_id = RTE_TM_WRED_PROFILE_ID_NONE;
	else
		params.nonleaf.n_sp_priorities = 1;
	/* Some drivers don't take "any level". */
	result = rte_tm_node_add(tm->port_id, id, parent, 0, WEIGHT, level, &params, &cause);
	return result == 0 ? 0 : fail(result, "node", id, &cause, error, error_size);
}

static int
add_nodes(struct weir_tm *tm, char *error, size_t error_size)
{
	uint32_t above = RTE_TM_NODE_ID_NULL, parents_level = tm->levels - 2U;
	int result = 0;

	for (uint32_t level = 0; level < parents_level && result == 0; level++) {
		result = add_node(tm, CHAIN_ID + level, above, level, error, error_size);
		above = CHAIN_ID + level;
	}
	for (uint16_t i = 0; i < tm->n_parents && result == 0; i++)
		result = add_node(tm, parent_id(tm, i), above, parents_level, error, error_size);
	/* In the order of the queues: some drivers go by it. */
	for (uint16_t i = 0; i < n_leaves(tm) && result == 0; i++) {
		uint16_t parent = (uint16_t)(tm->leaf_shaper ? i / tm->children : i % tm->n_queues);

		result =
		    add_node(tm, i, parent_id(tm, parent), parents_level + 1, error, error_size);
	}
	return result;
}

static int
add_profiles(struct weir_tm *tm, char *error, size_t error_size)
{
	int result = 0;

	for (uint16_t place = 0; place <= WEIR_TM_PORT && result == 0; place++) {
		if (tm->limits[place].bytes_s == 0)
			continue;
		/* No node is left that could use an old one. */
		(void)delete_profile(tm, profile_id(place, 0));
		result =
		    add_profile(tm, profile_id(place, 0), &tm->limits[place], error, error_size);
	}
	return result;
}

static int
commit(struct weir_tm *tm, char *error, size_t error_size)
{
	struct rte_tm_error cause = {.type = RTE_TM_ERROR_TYPE_NONE};
	int result = rte_tm_hierarchy_commit(tm->port_id, 0, &cause);

	/* A driver gives up half-way with a cause, and still returns 0. */
	if (result == 0 && cause.type != RTE_TM_ERROR_TYPE_NONE)
		result = -EIO;
	if (result == 0)
		return 0;
	return fail(result, "limits are not known: commit on port", tm->port_id, &cause, error,
	            error_size);
}

int
weir_tm_build(struct weir_tm *tm, char *error, size_t error_size)
{
	int result;

	tm->built = false;
	/* What an earlier one left. */
	if (weir_tm_stands(tm) != -ENOENT && weir_tm_demolish(tm) != 0) {
		snprintf(error, error_size,
		         "the hierarchy that stands can't be taken down: its limits stay");
		return -EBUSY;
	}
	result = add_profiles(tm, error, error_size);
	if (result == 0)
		result = add_nodes(tm, error, error_size);
	if (result == 0)
		result = commit(tm, error, error_size);
	if (result != 0)
		(void)weir_tm_demolish(tm);
	tm->built = result == 0;
	return result;
}

/* Deletes a node if it exists. False where it still does afterwards. */
static bool
delete_node(const struct weir_tm *tm, uint32_t id)
{
	struct rte_tm_error cause = {0};

	return rte_tm_node_delete(tm->port_id, id, &cause) == 0 || node_exists(tm, id) != 0;
}

/*
 * In the reverse order of building, without exception: a driver keeps children in an array of which
 * it only ever forgets the last one, and it doesn't see that a profile is still in use.
 */
int
weir_tm_demolish(struct weir_tm *tm)
{
	bool gone = true;

	tm->built = false;
	for (uint16_t i = n_leaves(tm); i > 0 && gone; i--)
		gone = delete_node(tm, i - 1U);
	for (uint16_t i = tm->n_parents; i > 0 && gone; i--)
		gone = delete_node(tm, parent_id(tm, (uint16_t)(i - 1)));
	for (uint32_t level = tm->levels - 2U; level > 0 && gone; level--)
		gone = delete_node(tm, CHAIN_ID + level - 1);
	for (uint16_t place = 0; place <= WEIR_TM_PORT && gone; place++) {
		(void)delete_profile(tm, profile_id(place, 0));
		(void)delete_profile(tm, profile_id(place, 1));
	}
	return gone ? 0 : -EBUSY;
}

static int
update_node(const struct weir_tm *tm, uint32_t node, uint32_t profile, char *error,
            size_t error_size)
{
	struct rte_tm_error cause = {0};
	int result = rte_tm_node_shaper_update(tm->port_id, node, profile, &cause);

	return result == 0 ? 0 : fail(result, "shaper of node", node, &cause, error, error_size);
}

int
weir_tm_update(struct weir_tm *tm, uint16_t place, char *error, size_t error_size)
{
	uint32_t node = weir_tm_limited_node(tm, place);
	int result = -EBUSY;

	if (tm->limits[place].bytes_s == 0)
		return update_node(tm, node, RTE_TM_SHAPER_PROFILE_ID_NONE, error, error_size);
	for (unsigned int which = 0; which < 2; which++) {
		(void)delete_profile(tm, profile_id(place, which));
		result = add_profile(tm, profile_id(place, which), &tm->limits[place], error,
		                     error_size);
		if (result != 0) /* the one in use, or there is no room at all */
			continue;
		result = update_node(tm, node, profile_id(place, which), error, error_size);
		(void)delete_profile(tm, profile_id(place, result == 0 ? 1 - which : which));
		return result;
	}
	return result;
}
