/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_tm in front of a model. */
#include "tests/nic/wraps.h"

WEIR_WRAPPED(rte_tm_get_number_of_leaf_nodes);
WEIR_WRAPPED(rte_tm_capabilities_get);
WEIR_WRAPPED(rte_tm_level_capabilities_get);
WEIR_WRAPPED(rte_tm_node_capabilities_get);
WEIR_WRAPPED(rte_tm_node_type_get);
WEIR_WRAPPED(rte_tm_shaper_profile_add);
WEIR_WRAPPED(rte_tm_shaper_profile_delete);
WEIR_WRAPPED(rte_tm_node_add);
WEIR_WRAPPED(rte_tm_node_delete);
WEIR_WRAPPED(rte_tm_node_shaper_update);
WEIR_WRAPPED(rte_tm_hierarchy_commit);
WEIR_WRAPPED(rte_tm_node_stats_read);

static int
unlock_with(struct weir_model *nic, int result)
{
	weir_model_unlock(nic);
	return result;
}

/* The result of one call under the lock. */
#define LOCKED(nic, call) (weir_model_lock(nic), unlock_with(nic, call))

int
__wrap_rte_tm_get_number_of_leaf_nodes(uint16_t port_id, uint32_t *n, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_get_number_of_leaf_nodes(port_id, n, error);
	*n = nic->n_queues;
	return 0;
}

int
__wrap_rte_tm_capabilities_get(uint16_t port_id, struct rte_tm_capabilities *can,
                               struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_capabilities_get(port_id, can, error);
	return LOCKED(nic, weir_model_tm_capabilities(nic, can, error));
}

int
__wrap_rte_tm_level_capabilities_get(uint16_t port_id, uint32_t level,
                                     struct rte_tm_level_capabilities *can,
                                     struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_level_capabilities_get(port_id, level, can, error);
	return LOCKED(nic, weir_model_tm_level(nic, level, can, error));
}

int
__wrap_rte_tm_node_capabilities_get(uint16_t port_id, uint32_t id,
                                    struct rte_tm_node_capabilities *can,
                                    struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_node_capabilities_get(port_id, id, can, error);
	return LOCKED(nic, weir_model_tm_node(nic, id, can, error));
}

int
__wrap_rte_tm_node_type_get(uint16_t port_id, uint32_t id, int *is_leaf, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_node_type_get(port_id, id, is_leaf, error);
	return LOCKED(nic, weir_model_tm_node_type(nic, id, is_leaf, error));
}

int
__wrap_rte_tm_shaper_profile_add(uint16_t port_id, uint32_t id, struct rte_tm_shaper_params *params,
                                 struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_shaper_profile_add(port_id, id, params, error);
	return LOCKED(nic, weir_model_tm_profile_add(nic, id, params, error));
}

int
__wrap_rte_tm_shaper_profile_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_shaper_profile_delete(port_id, id, error);
	return LOCKED(nic, weir_model_tm_profile_delete(nic, id, error));
}

int
__wrap_rte_tm_node_add(uint16_t port_id, uint32_t id, uint32_t parent_id, uint32_t priority,
                       uint32_t weight, uint32_t level, struct rte_tm_node_params *params,
                       struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);
	const struct weir_model_node_request request = {.id = id,
	                                                .parent_id = parent_id,
	                                                .priority = priority,
	                                                .weight = weight,
	                                                .level = level,
	                                                .params = params};

	if (nic == NULL)
		return __real_rte_tm_node_add(port_id, id, parent_id, priority, weight, level,
		                              params, error);
	return LOCKED(nic, weir_model_tm_node_add(nic, &request, error));
}

int
__wrap_rte_tm_node_delete(uint16_t port_id, uint32_t id, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_node_delete(port_id, id, error);
	return LOCKED(nic, weir_model_tm_node_delete(nic, id, error));
}

int
__wrap_rte_tm_node_shaper_update(uint16_t port_id, uint32_t id, uint32_t profile_id,
                                 struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_node_shaper_update(port_id, id, profile_id, error);
	return LOCKED(nic, weir_model_tm_node_update(nic, id, profile_id, error));
}

int
__wrap_rte_tm_hierarchy_commit(uint16_t port_id, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_hierarchy_commit(port_id, clear_on_fail, error);
	return LOCKED(nic, nic->config.family->tm->commit(nic, clear_on_fail, error));
}

int
__wrap_rte_tm_node_stats_read(uint16_t port_id, uint32_t id, struct rte_tm_node_stats *stats,
                              uint64_t *mask, int clear, struct rte_tm_error *error)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_tm_node_stats_read(port_id, id, stats, mask, clear, error);
	return LOCKED(nic, weir_model_tm_stats(nic, id, stats, mask, error));
}
