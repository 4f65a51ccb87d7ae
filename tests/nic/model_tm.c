/* SPDX-License-Identifier: BSD-3-Clause */
/* Profiles and nodes: what the drivers have in common, and how strict they are. */
#include "tests/nic/model_tm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct weir_model_tm *
weir_model_tm_new(void)
{
	return calloc(1, sizeof(struct weir_model_tm));
}

void
weir_model_tm_free(struct weir_model_tm *tm)
{
	free(tm);
}

void
weir_model_tm_clear(struct weir_model_tm *tm)
{
	memset(tm, 0, sizeof(*tm));
}

void
weir_model_tm_configured(struct weir_model *nic)
{
	/* cnxk_nix_configure starts from the default tree. */
	if (nic->config.family->tm != &weir_model_tm_cnxk)
		return;
	weir_model_tm_clear(nic->tm);
	weir_model_wipe(nic);
	nic->tree = WEIR_MODEL_TREE_DEFAULT;
	for (uint16_t q = 0; q < nic->config.queues; q++)
		weir_model_own_path(nic, q);
}

void
weir_model_tm_stopped(struct weir_model *nic)
{
	if (nic->config.family->tm->stopped != NULL)
		nic->config.family->tm->stopped(nic);
}

int
weir_model_tm_fail(struct rte_tm_error *error, int result, enum rte_tm_error_type type,
                   const char *message)
{
	if (error != NULL)
		*error = (struct rte_tm_error){.type = type, .message = message};
	return result;
}

struct weir_model_node *
weir_model_tm_find(const struct weir_model_tm *tm, uint32_t id)
{
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].id == id)
			return (struct weir_model_node *)(uintptr_t)&tm->nodes[i];
	}
	return NULL;
}

struct weir_model_profile *
weir_model_tm_profile(struct weir_model_tm *tm, uint32_t id)
{
	for (uint32_t i = 0; i < WEIR_MODEL_PROFILES_MAX; i++) {
		if (tm->profiles[i].used && tm->profiles[i].id == id)
			return &tm->profiles[i];
	}
	return NULL;
}

int
weir_model_tm_profile_add(struct weir_model *nic, uint32_t id,
                          const struct rte_tm_shaper_params *params, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	int result;

	if (params == NULL || error == NULL)
		return -EINVAL;
	result = nic->config.family->tm->check_profile(nic, params, error);
	if (result != 0)
		return result;
	if (weir_model_tm_profile(tm, id) != NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID,
		                          "a profile of that number is there");
	for (uint32_t i = 0; i < WEIR_MODEL_PROFILES_MAX; i++) {
		if (tm->profiles[i].used)
			continue;
		tm->profiles[i] =
		    (struct weir_model_profile){.used = true, .id = id, .params = *params};
		return 0;
	}
	return -ENOMEM;
}

int
weir_model_tm_profile_delete(struct weir_model *nic, uint32_t id, struct rte_tm_error *error)
{
	struct weir_model_profile *profile = weir_model_tm_profile(nic->tm, id);

	if (error == NULL)
		return -EINVAL;
	if (profile == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID,
		                          "no profile of that number");
	if (profile->users > 0)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE,
		                          "the profile is in use");
	memset(profile, 0, sizeof(*profile));
	return 0;
}

/* Numbers below this are of leaves. */
static uint32_t
n_leaves(const struct weir_model *nic)
{
	if (nic->config.family->tm->all_pairs)
		return nic->config.queues;
	return nic->n_queues;
}

static int
check_shape(const struct weir_model *nic, const struct weir_model_node_request *request,
            struct rte_tm_error *error)
{
	const struct rte_tm_node_params *params = request->params;

	if (request->id >= n_leaves(nic)) {
		if (params->nonleaf.wfq_weight_mode != NULL)
			return weir_model_tm_fail(error, -EINVAL,
			                          RTE_TM_ERROR_TYPE_NODE_PARAMS_WFQ_WEIGHT_MODE,
			                          "no weighted queueing");
		if (params->nonleaf.n_sp_priorities != 1)
			return weir_model_tm_fail(error, -EINVAL,
			                          RTE_TM_ERROR_TYPE_NODE_PARAMS_N_SP_PRIORITIES,
			                          "one priority only");
		return 0;
	}
	if (params->leaf.cman != RTE_TM_CMAN_TAIL_DROP)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARAMS_CMAN,
		                          "no congestion management");
	if (params->leaf.wred.wred_profile_id != RTE_TM_WRED_PROFILE_ID_NONE ||
	    params->leaf.wred.shared_wred_context_id != NULL ||
	    params->leaf.wred.n_shared_wred_contexts != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_NODE_PARAMS_WRED_PROFILE_ID, "no WRED");
	return 0;
}

static int
check_request(const struct weir_model *nic, const struct weir_model_node_request *request,
              struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	const struct rte_tm_node_params *params = request->params;

	if (request->id == RTE_TM_NODE_ID_NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no number of a node");
	if (request->priority > rules->priority_max)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PRIORITY,
		                          "no such priority");
	if (request->weight < 1 || request->weight > rules->weight_max)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_WEIGHT,
		                          "no such weight");
	if (params->shared_shaper_id != NULL || params->n_shared_shapers != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_NODE_PARAMS_SHARED_SHAPER_ID,
		                          "no shared shapers");
	return check_shape(nic, request, error);
}

/* The level that a request is for, in *level. */
static int
check_place(const struct weir_model *nic, const struct weir_model_node_request *request,
            uint32_t *level, struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	const struct weir_model_node *parent = weir_model_tm_find(nic->tm, request->parent_id);
	uint32_t same = 0;
	bool root = request->parent_id == RTE_TM_NODE_ID_NULL;

	if (!root && parent == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARENT_NODE_ID,
		                          "no such parent");
	*level = root ? 0 : parent->level + 1;
	if (*level >= rules->levels)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARENT_NODE_ID,
		                          "the parent is a leaf");
	if (request->level != *level &&
	    (request->level != RTE_TM_NODE_LEVEL_ID_ANY || (root && !rules->root_by_any)))
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARAMS,
		                          "wrong level");
	for (uint32_t i = 0; i < nic->tm->n_nodes; i++)
		same += nic->tm->nodes[i].level == *level;
	if ((root && same > 0) ||
	    (rules->nodes_max[*level] != 0 && same >= rules->nodes_max[*level]))
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "too many nodes of that level");
	/* A leaf's number is its queue's. */
	if (*level == rules->levels - 1U && request->id >= n_leaves(nic))
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no queue of that number");
	return 0;
}

static uint16_t
take_slot(struct weir_model_tm *tm)
{
	for (uint16_t slot = 0; slot < WEIR_MODEL_NODES_MAX; slot++) {
		if (!tm->slots[slot]) {
			tm->slots[slot] = true;
			return slot;
		}
	}
	return UINT16_MAX;
}

static int
append(struct weir_model *nic, const struct weir_model_node_request *request, uint32_t level,
       struct weir_model_profile *profile)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	struct weir_model_tm *tm = nic->tm;
	struct weir_model_node *node = &tm->nodes[tm->n_nodes], *parent;

	if (tm->n_nodes == WEIR_MODEL_NODES_MAX)
		return -ENOMEM;
	parent = weir_model_tm_find(tm, request->parent_id);
	*node = (struct weir_model_node){
	    .id = request->id,
	    .parent_id = request->parent_id,
	    .level = level,
	    .slot = take_slot(tm),
	    .number = parent != NULL ? (uint16_t)parent->children : 0,
	    .profile_id = request->params->shaper_profile_id,
	    .profile = profile,
	};
	tm->n_nodes++;
	if (parent != NULL)
		parent->children++;
	if (profile != NULL && rules->counts_users)
		profile->users++;
	return 0;
}

int
weir_model_tm_node_add(struct weir_model *nic, const struct weir_model_node_request *request,
                       struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	struct weir_model_tm *tm = nic->tm;
	struct weir_model_profile *profile = NULL;
	uint32_t level = 0;
	int result;

	if (request->params == NULL || error == NULL)
		return -EINVAL;
	if (tm->committed && !rules->unlocked)
		return weir_model_tm_fail(error, rules->locked_error, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "committed already");
	result = check_request(nic, request, error);
	if (result != 0)
		return result;
	if (weir_model_tm_find(tm, request->id) != NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "a node of that number is there");
	if (request->params->shaper_profile_id != RTE_TM_SHAPER_PROFILE_ID_NONE) {
		profile = weir_model_tm_profile(tm, request->params->shaper_profile_id);
		if (profile == NULL)
			return weir_model_tm_fail(error, -EINVAL,
			                          RTE_TM_ERROR_TYPE_NODE_PARAMS_SHAPER_PROFILE_ID,
			                          "no such profile");
	}
	result = check_place(nic, request, &level, error);
	if (result == 0 && rules->check_node != NULL)
		result = rules->check_node(nic, request, error);
	return result == 0 ? append(nic, request, level, profile) : result;
}

int
weir_model_tm_node_delete(struct weir_model *nic, uint32_t id, struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	struct weir_model_tm *tm = nic->tm;
	struct weir_model_node *node = weir_model_tm_find(tm, id), *parent;
	size_t after;

	if (error == NULL)
		return -EINVAL;
	if (tm->committed && !rules->unlocked)
		return weir_model_tm_fail(error, rules->locked_error, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "committed already");
	if (node == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no such node");
	if (node->children > 0)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "the node has children");
	parent = weir_model_tm_find(tm, node->parent_id);
	if (parent != NULL)
		parent->children--;
	if (node->profile != NULL && rules->counts_users && !rules->forgets_users)
		node->profile->users--;
	tm->slots[node->slot] = false;
	after = (size_t)(&tm->nodes[tm->n_nodes] - (node + 1));
	memmove(node, node + 1, after * sizeof(*node));
	tm->n_nodes--;
	return 0;
}

int
weir_model_tm_node_update(struct weir_model *nic, uint32_t id, uint32_t profile_id,
                          struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	struct weir_model_node *node = weir_model_tm_find(nic->tm, id);
	struct weir_model_profile *profile = NULL;
	int result;

	if (rules->update == NULL)
		return weir_model_tm_fail(error, -ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "no such call");
	if (error == NULL)
		return -EINVAL;
	if (node == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no such node");
	if (profile_id == node->profile_id)
		return 0;
	if (nic->cheat.refused_updates > 0) {
		nic->cheat.refused_updates--;
		return weir_model_tm_fail(error, -EIO, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "the firmware does not answer");
	}
	if (profile_id != RTE_TM_SHAPER_PROFILE_ID_NONE) {
		profile = weir_model_tm_profile(nic->tm, profile_id);
		if (profile == NULL)
			return weir_model_tm_fail(
			    error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID, "no such profile");
	}
	result = rules->update(nic, node, profile, error);
	if (result != 0)
		return result;
	if (node->profile != NULL)
		node->profile->users--;
	if (profile != NULL)
		profile->users++;
	node->profile = profile;
	node->profile_id = profile_id;
	return 0;
}

int
weir_model_tm_node_type(const struct weir_model *nic, uint32_t id, int *is_leaf,
                        struct rte_tm_error *error)
{
	const struct weir_model_node *node = weir_model_tm_find(nic->tm, id);

	if (is_leaf == NULL || error == NULL)
		return -EINVAL;
	if (node == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no such node");
	*is_leaf = weir_model_tm_is_leaf(nic, node);
	return 0;
}

int
weir_model_tm_stats(struct weir_model *nic, uint32_t id, struct rte_tm_node_stats *stats,
                    uint64_t *mask, struct rte_tm_error *error)
{
	const struct weir_model_node *node = weir_model_tm_find(nic->tm, id);
	struct weir_model_counts counts;

	if (!nic->config.family->tm->has_stats)
		return weir_model_tm_fail(error, -ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "no such call");
	if (node == NULL || node->id >= nic->config.queues)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no such leaf");
	counts = weir_model_read(nic, (uint16_t)id);
	memset(stats, 0, sizeof(*stats));
	stats->n_pkts = counts.frames;
	stats->n_bytes = counts.bytes;
	*mask = RTE_TM_STATS_N_PKTS | RTE_TM_STATS_N_BYTES;
	return 0;
}
