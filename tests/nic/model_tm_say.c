/* SPDX-License-Identifier: BSD-3-Clause */
/* What the drivers say that they can do, whether it is so or not. */
#include "tests/nic/model_tm.h"

#include <errno.h>
#include <string.h>

#define BITS_PER_BYTE   8U
#define TRAFFIC_CLASSES 8U
#define STATS           ((uint64_t)RTE_TM_STATS_N_PKTS | (uint64_t)RTE_TM_STATS_N_BYTES)

static uint64_t
rate_max_bytes(const struct weir_model *nic)
{
	uint64_t mbit_s = nic->config.family->tm->rate_max_mbit_s;

	return (mbit_s != 0 ? mbit_s : nic->speed_mbit_s) * WEIR_MODEL_MBIT / BITS_PER_BYTE;
}

static bool
is_cnxk(const struct weir_model *nic)
{
	return nic->config.family->tm == &weir_model_tm_cnxk;
}

static bool
has_two_rates(const struct weir_model *nic)
{
	return is_cnxk(nic) || nic->config.family->tm == &weir_model_tm_plain;
}

static int
cant_say(struct rte_tm_error *error)
{
	return weir_model_tm_fail(error, -ENOSYS, RTE_TM_ERROR_TYPE_UNSPECIFIED, "no such call");
}

int
weir_model_tm_capabilities(const struct weir_model *nic, struct rte_tm_capabilities *can,
                           struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;

	if (!rules->says_capabilities)
		return cant_say(error);
	if (can == NULL || error == NULL)
		return -EINVAL;
	memset(can, 0, sizeof(*can));
	error->type = RTE_TM_ERROR_TYPE_NONE;
	can->n_nodes_max = 1U + TRAFFIC_CLASSES + nic->config.queues;
	can->n_levels_max = rules->levels;
	can->non_leaf_nodes_identical = 1;
	can->leaf_nodes_identical = 1;
	can->shaper_n_max = can->n_nodes_max;
	can->shaper_private_n_max = can->n_nodes_max;
	can->shaper_private_dual_rate_n_max = has_two_rates(nic) ? (int)can->n_nodes_max : 0;
	can->shaper_private_rate_min = rules->rate_min_bytes;
	can->shaper_private_rate_max = rate_max_bytes(nic);
	can->shaper_private_byte_mode_supported = 1;
	can->shaper_private_packet_mode_supported = is_cnxk(nic);
	can->shaper_pkt_length_adjust_min = is_cnxk(nic) ? -59 : (int)RTE_TM_ETH_FRAMING_OVERHEAD;
	can->shaper_pkt_length_adjust_max =
	    is_cnxk(nic) ? 255 : (int)RTE_TM_ETH_FRAMING_OVERHEAD_FCS;
	can->sched_n_children_max = nic->config.queues;
	can->sched_sp_n_priorities_max = is_cnxk(nic) ? 10 : 1;
	can->sched_wfq_weight_max = rules->weight_max;
	can->stats_mask = rules->has_stats ? STATS : 0;
	return 0;
}

static uint32_t
nodes_of_level(const struct weir_model *nic, uint32_t level)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;

	if (level == 0)
		return 1;
	if (level == rules->levels - 1U)
		return is_cnxk(nic) ? nic->n_queues : nic->config.queues;
	/* Intel's drivers, and hns3, say how many classes the NIC could have. */
	return rules->nodes_max[level] != 0 ? TRAFFIC_CLASSES : nic->config.queues;
}

int
weir_model_tm_level(const struct weir_model *nic, uint32_t level,
                    struct rte_tm_level_capabilities *can, struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;

	if (!rules->says_capabilities)
		return cant_say(error);
	if (can == NULL || error == NULL)
		return -EINVAL;
	if (level >= rules->levels)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_LEVEL_ID,
		                          "no such level");
	memset(can, 0, sizeof(*can));
	can->n_nodes_max = nodes_of_level(nic, level);
	can->non_leaf_nodes_identical = 1;
	can->leaf_nodes_identical = 1;
	if (level == rules->levels - 1U) {
		can->n_nodes_leaf_max = can->n_nodes_max;
		can->leaf.shaper_private_supported = rules->shaper[level];
		can->leaf.shaper_private_dual_rate_supported =
		    rules->shaper[level] && has_two_rates(nic);
		can->leaf.shaper_private_rate_min =
		    rules->shaper[level] ? rules->rate_min_bytes : 0;
		can->leaf.shaper_private_rate_max = rules->shaper[level] ? rate_max_bytes(nic) : 0;
		can->leaf.shaper_private_byte_mode_supported = rules->shaper[level];
		can->leaf.stats_mask = rules->has_stats ? STATS : 0;
		return 0;
	}
	can->n_nodes_nonleaf_max = can->n_nodes_max;
	can->nonleaf.shaper_private_supported = rules->shaper[level];
	can->nonleaf.shaper_private_dual_rate_supported =
	    has_two_rates(nic) && !(is_cnxk(nic) && level == 0);
	can->nonleaf.shaper_private_rate_min = rules->rate_min_bytes;
	can->nonleaf.shaper_private_rate_max = rate_max_bytes(nic);
	can->nonleaf.shaper_private_byte_mode_supported = 1;
	can->nonleaf.sched_n_children_max = nodes_of_level(nic, level + 1);
	can->nonleaf.sched_sp_n_priorities_max = is_cnxk(nic) ? 10 : 1;
	can->nonleaf.sched_wfq_weight_max = rules->weight_max;
	return 0;
}

int
weir_model_tm_node(const struct weir_model *nic, uint32_t id, struct rte_tm_node_capabilities *can,
                   struct rte_tm_error *error)
{
	const struct weir_model_tm_rules *rules = nic->config.family->tm;
	const struct weir_model_node *node = weir_model_tm_find(nic->tm, id);

	if (!rules->says_capabilities)
		return cant_say(error);
	if (can == NULL || error == NULL)
		return -EINVAL;
	if (node == NULL)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "no such node");
	memset(can, 0, sizeof(*can));
	can->shaper_private_supported = rules->shaper[node->level];
	can->shaper_private_dual_rate_supported = has_two_rates(nic);
	can->shaper_private_rate_min = rules->rate_min_bytes;
	can->shaper_private_rate_max = rate_max_bytes(nic);
	can->shaper_private_byte_mode_supported = 1;
	if (weir_model_tm_is_leaf(nic, node))
		can->stats_mask = rules->has_stats ? STATS : 0;
	else
		can->nonleaf.sched_n_children_max = nodes_of_level(nic, node->level + 1);
	return 0;
}
