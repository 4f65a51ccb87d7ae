/* SPDX-License-Identifier: BSD-3-Clause */
/* What each driver checks of profiles and nodes, as in its *_tm.c, and the table of all of it. */
#include "tests/nic/model_tm_rules.h"

#include <errno.h>

#define BITS_PER_BYTE        8U
#define ADJUST_MIN           (-59)
#define ADJUST_MAX           255
#define BURST_MIN_BITS       2U
#define BURST_MAX_BITS       8453888U
#define HNS3_UNIT_BYTES      125000U
#define HNS3_MAX_MBIT_S      100000U
#define HNS3_TRAFFIC_CLASSES 8U
#define FLOAT_MAX_MBIT_S     130816U
#define FLOAT_MIN_BYTES      61U

static int
check_no_burst(const struct rte_tm_shaper_params *params, struct rte_tm_error *error)
{
	if (params->committed.size != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_COMMITTED_SIZE,
		                          "no committed burst");
	if (params->peak.size != 0)
		return weir_model_tm_fail(
		    error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_SIZE, "no peak burst");
	if (params->pkt_length_adjust != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PKT_ADJUST_LEN,
		                          "no adjustment of lengths");
	return 0;
}

/* ice, iavf: committed rates are taken. */
static int
check_rates(const struct weir_model *nic, const struct rte_tm_shaper_params *params,
            struct rte_tm_error *error)
{
	(void)nic;
	return check_no_burst(params, error);
}

/* ixgbe, txgbe, i40e. */
static int
check_peak(const struct weir_model *nic, const struct rte_tm_shaper_params *params,
           struct rte_tm_error *error)
{
	(void)nic;
	if (params->committed.rate != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_COMMITTED_RATE,
		                          "no committed rate");
	return check_no_burst(params, error);
}

static int
check_hns3(const struct weir_model *nic, const struct rte_tm_shaper_params *params,
           struct rte_tm_error *error)
{
	int result = check_peak(nic, params, error);

	if (result != 0)
		return result;
	if (params->peak.rate > (uint64_t)HNS3_MAX_MBIT_S * HNS3_UNIT_BYTES ||
	    params->peak.rate < HNS3_UNIT_BYTES)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_RATE,
		                          "rate out of range");
	if (params->packet_mode != 0)
		return weir_model_tm_fail(
		    error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PACKET_MODE, "no packet mode");
	return 0;
}

/* nix_tm_shaper_profile_add; the sizes are taken for bits, like the rates. */
static int
check_cnxk_rate(uint64_t rate_bytes, uint64_t size_bytes)
{
	uint64_t size = size_bytes * BITS_PER_BYTE, dividend, divisor;

	if (rate_bytes == 0 && size == 0)
		return 0;
	if (size < BURST_MIN_BITS || size > BURST_MAX_BITS)
		return -EINVAL;
	return weir_model_float(rate_bytes * BITS_PER_BYTE, &dividend, &divisor) ? 0 : -EINVAL;
}

static int
check_cnxk(const struct weir_model *nic, const struct rte_tm_shaper_params *params,
           struct rte_tm_error *error)
{
	(void)nic;
	if (params->packet_mode != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PACKET_MODE,
		                          "packet mode is not modelled");
	if (params->pkt_length_adjust < ADJUST_MIN || params->pkt_length_adjust > ADJUST_MAX)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PKT_ADJUST_LEN,
		                          "adjustment out of range");
	if (check_cnxk_rate(params->committed.rate, params->committed.size) != 0)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_COMMITTED_RATE,
		                          "committed rate or burst out of range");
	if (check_cnxk_rate(params->peak.rate, params->peak.size) != 0 ||
	    (params->peak.rate != 0 && params->committed.rate > params->peak.rate))
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_RATE,
		                          "peak rate or burst out of range");
	return 0;
}

/* Leaves have the queues' numbers, and nothing else has one of those. */
static int
check_cnxk_node(const struct weir_model *nic, const struct weir_model_node_request *request,
                struct rte_tm_error *error)
{
	const struct weir_model_node *parent = weir_model_tm_find(nic->tm, request->parent_id);
	bool leaf = parent != NULL && parent->level == nic->config.family->tm->levels - 2U;

	if (leaf != (request->id < nic->n_queues))
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARENT_NODE_ID,
		                          "wrong number for its level");
	if (leaf && request->priority != 0)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PRIORITY,
		                          "leaves have one priority");
	return 0;
}

static int
check_plain(const struct weir_model *nic, const struct rte_tm_shaper_params *params,
            struct rte_tm_error *error)
{
	uint64_t most = (uint64_t)nic->config.speed_mbit_s * WEIR_MODEL_MBIT / BITS_PER_BYTE;

	if (params->packet_mode != 0 || params->peak.rate > most ||
	    params->committed.rate > params->peak.rate)
		return weir_model_tm_fail(error, -EINVAL,
		                          RTE_TM_ERROR_TYPE_SHAPER_PROFILE_PEAK_RATE,
		                          "rate out of range");
	return 0;
}

/* hns3_tm_node_add: each number has its level, and leaves are not shaped. */
static int
check_hns3_node(const struct weir_model *nic, const struct weir_model_node_request *request,
                struct rte_tm_error *error)
{
	uint32_t root = nic->config.queues + HNS3_TRAFFIC_CLASSES;

	if (request->id < nic->config.queues)
		return request->params->shaper_profile_id == RTE_TM_SHAPER_PROFILE_ID_NONE
		           ? 0
		           : weir_model_tm_fail(error, -EINVAL,
		                                RTE_TM_ERROR_TYPE_NODE_PARAMS_SHAPER_PROFILE_ID,
		                                "queues have no shaper");
	if (request->parent_id == RTE_TM_NODE_ID_NULL ? request->id == root
	                                              : request->id == nic->config.queues)
		return 0;
	return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
	                          "wrong number for its level");
}

const struct weir_model_tm_rules weir_model_tm_plain = {
    .levels = 3,
    .says_capabilities = true,
    .shaper = {true, true, true},
    .root_by_any = true,
    .unlocked = true,
    .counts_users = true,
    .has_stats = true,
    .weight_max = 1,
    .rate_min_bytes = 1,
    .check_profile = check_plain,
    .commit = weir_model_commit_plain,
    .update = weir_model_update_plain,
};

/* Shapers of the port and of its traffic class are taken, too, and the commit then fails. */
const struct weir_model_tm_rules weir_model_tm_ixgbe = {
    .levels = 3,
    .says_capabilities = true,
    .shaper = {true, true, true},
    .nodes_max = {1, 1, 64},
    .root_by_any = true,
    .counts_users = true,
    .weight_max = 1,
    .rate_max_mbit_s = 10000,
    .locked_error = -EINVAL,
    .check_profile = check_peak,
    .commit = weir_model_commit_ixgbe,
    .stopped = weir_model_unlock_nodes,
};

const struct weir_model_tm_rules weir_model_tm_cnxk = {
    .levels = 6,
    .says_capabilities = true,
    .shaper = {true, true, true, true, true, false},
    .nodes_max = {1},
    .root_by_any = true,
    .counts_users = true,
    .has_stats = true,
    .priority_max = 9,
    .weight_max = 255,
    .rate_max_mbit_s = FLOAT_MAX_MBIT_S,
    .rate_min_bytes = FLOAT_MIN_BYTES,
    .locked_error = -EIO,
    .check_profile = check_cnxk,
    .check_node = check_cnxk_node,
    .commit = weir_model_commit_cnxk,
    .update = weir_model_update_cnxk,
};

const struct weir_model_tm_rules weir_model_tm_i40e = {
    .levels = 3,
    .says_capabilities = true,
    .shaper = {true, true, true},
    .nodes_max = {1, 1},
    .root_by_any = true,
    .all_pairs = true,
    .counts_users = true,
    .weight_max = 1,
    .rate_max_mbit_s = 40000,
    .locked_error = -EINVAL,
    .check_profile = check_peak,
    .commit = weir_model_commit_i40e,
    .stopped = weir_model_unlock_nodes,
};

/* It never counts who uses a profile, and lets nodes be changed after a commit. */
const struct weir_model_tm_rules weir_model_tm_ice = {
    .levels = 5,
    .nodes_max = {1, 1, 1},
    .unlocked = true,
    .priority_max = 7,
    .weight_max = 200,
    .check_profile = check_rates,
    .commit = weir_model_commit_ice,
};

/* It counts who uses a profile, and never less than before. */
const struct weir_model_tm_rules weir_model_tm_iavf = {
    .levels = 3,
    .says_capabilities = true,
    .shaper = {true, true, false},
    .nodes_max = {1, 1},
    .counts_users = true,
    .forgets_users = true,
    .weight_max = 1,
    .locked_error = -EINVAL,
    .check_profile = check_rates,
    .commit = weir_model_commit_iavf,
};

const struct weir_model_tm_rules weir_model_tm_hns3 = {
    .levels = 3,
    .says_capabilities = true,
    .shaper = {true, true, false},
    .nodes_max = {1, 1},
    .root_by_any = true,
    .all_pairs = true,
    .counts_users = true,
    .weight_max = 1,
    .rate_max_mbit_s = HNS3_MAX_MBIT_S,
    .locked_error = -EINVAL,
    .check_profile = check_hns3,
    .check_node = check_hns3_node,
    .commit = weir_model_commit_hns3,
    .update = weir_model_update_hns3,
    .stopped = weir_model_stopped_hns3,
};
