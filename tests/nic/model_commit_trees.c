/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commits of the drivers that have a scheduler of many levels: cnxk and ice. Functions named are
 * DPDK v22.11.11's.
 */
#include "tests/nic/model_tm_rules.h"

#include <errno.h>

#define BITS_PER_BYTE    8U

#define ICE_LEVEL_GROUP  3U
#define ICE_LEVEL_QUEUE  4U
#define ICE_GROUPS       8U /* of a VSI, as the driver finds them ... */
#define ICE_GROUP_QUEUES 8U /* ... and queues that the firmware takes in one */
#define ICE_MIN_KBIT_S   500U
#define ICE_MAX_KBIT_S   100000000U
#define ICE_BURST_BYTES  15360U
#define ICE_PARAMETER    (-1)

/* ice_sched_bw_to_rl_profile. */
#define TICKS_MULTIPLIER UINT64_C(10000)
#define TICKS_PERIOD     UINT64_C(32)
#define TICKS_ACCURACY   128U
#define TICKS_EXPONENTS  32U

/* The nodes' shapers are behind the queues'; a leaf has none. */
static struct weir_model_shaper *
shaper_at(struct weir_model *nic, uint32_t slot)
{
	return &nic->shapers[WEIR_MODEL_QUEUES_MAX + slot];
}

/* nix_tm_shaper_reg_prep. The bursts are handed on as bits and taken for bytes. */
static void
set_cnxk(struct weir_model *nic, const struct weir_model_node *node,
         const struct weir_model_profile *profile)
{
	struct weir_model_shaper *shaper = shaper_at(nic, node->slot);
	struct rte_tm_token_bucket limit = {0};
	uint64_t dividend, divisor, burst;

	if (profile != NULL) {
		limit = profile->params.peak.rate != 0 ? profile->params.peak
		                                       : profile->params.committed;
		/* The root has a committed rate only, and what has one rate has it as a peak. */
		if (node->level == 0)
			limit = profile->params.peak.rate != 0 ? profile->params.committed
			                                       : (struct rte_tm_token_bucket){0};
	}
	burst = weir_model_float_burst(limit.size * BITS_PER_BYTE);
	if (burst != 0 && weir_model_float(limit.rate * BITS_PER_BYTE, &dividend, &divisor))
		weir_model_set_bucket(nic, shaper, dividend, divisor, burst);
	else if (shaper->limited)
		weir_model_lift(nic, shaper);
	shaper->asked = shaper->limited;
	shaper->adjust = profile != NULL ? profile->params.pkt_length_adjust : 0;
}

static uint64_t
committed_of(const struct weir_model_node *node)
{
	const struct weir_model_profile *profile = node != NULL ? node->profile : NULL;

	return profile != NULL && profile->params.peak.rate != 0
	           ? profile->params.committed.rate * BITS_PER_BYTE
	           : 0;
}

static void
connect_cnxk(struct weir_model *nic, const struct weir_model_node *leaf)
{
	struct weir_model_queue *queue = &nic->queues[leaf->id];
	const struct weir_model_node *node = weir_model_tm_find(nic->tm, leaf->parent_id);

	weir_model_set_committed(nic, queue->id, committed_of(node));
	queue->n_path = 0;
	for (; node != NULL; node = weir_model_tm_find(nic->tm, node->parent_id))
		queue->path[queue->n_path++] = (uint16_t)(WEIR_MODEL_QUEUES_MAX + node->slot);
}

/* cnxk_nix_tm_hierarchy_commit: once, and the queues are emptied for it. */
int
weir_model_commit_cnxk(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	uint32_t leaves = 0;

	(void)clear_on_fail;
	if (tm->committed)
		return weir_model_tm_fail(error, -EIO, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "the hierarchy is there");
	for (uint32_t i = 0; i < tm->n_nodes; i++)
		leaves += weir_model_tm_is_leaf(nic, &tm->nodes[i]);
	if (leaves < nic->n_queues)
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "queues are missing");
	if (weir_model_change_tree(nic, WEIR_MODEL_TREE_USER) != 0)
		return weir_model_tm_fail(error, -EIO, RTE_TM_ERROR_TYPE_UNSPECIFIED,
		                          "the queues can't be emptied");
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++)
		nic->shapers[i].asked = false;
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (weir_model_tm_is_leaf(nic, &tm->nodes[i]))
			connect_cnxk(nic, &tm->nodes[i]);
		else
			set_cnxk(nic, &tm->nodes[i], tm->nodes[i].profile);
	}
	tm->committed = true;
	return 0;
}

int
weir_model_update_cnxk(struct weir_model *nic, struct weir_model_node *node,
                       struct weir_model_profile *profile, struct rte_tm_error *error)
{
	if (weir_model_tm_is_leaf(nic, node))
		return weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_ID,
		                          "queues have no shaper");
	if (nic->tm->committed)
		set_cnxk(nic, node, profile);
	return 0;
}

bool
weir_model_ticks(uint32_t clock_hz, uint32_t kbit_s, uint64_t *bit_s, uint64_t *divisor)
{
	uint64_t bytes_s = (uint64_t)kbit_s * 1000 / BITS_PER_BYTE;

	if (kbit_s < ICE_MIN_KBIT_S || kbit_s > ICE_MAX_KBIT_S)
		return false;
	for (unsigned int i = 0; i < TICKS_EXPONENTS; i++) {
		uint64_t period = TICKS_PERIOD << i, periods_s = clock_hz / period, bytes;

		if (periods_s == 0)
			break;
		bytes = bytes_s * TICKS_MULTIPLIER / periods_s;
		bytes = (bytes + TICKS_MULTIPLIER / 2) / TICKS_MULTIPLIER;
		if (bytes > TICKS_ACCURACY) {
			*bit_s = bytes * clock_hz * BITS_PER_BYTE;
			*divisor = period;
			return true;
		}
	}
	return false;
}

static int
set_ice(struct weir_model *nic, struct weir_model_shaper *shaper,
        const struct weir_model_profile *profile)
{
	uint32_t kbit_s = (uint32_t)(profile->params.peak.rate / 1000 * BITS_PER_BYTE);
	uint64_t bit_s, divisor;

	if (!weir_model_ticks(nic->config.clock_hz, kbit_s, &bit_s, &divisor))
		return ICE_PARAMETER;
	weir_model_set_bucket(nic, shaper, bit_s, divisor, ICE_BURST_BYTES);
	return 0;
}

/* ice_tx_queue_stop for each: what is in its ring is lost. One that is stopped can't be stopped. */
static int
stop_ice(struct weir_model *nic)
{
	weir_model_finish_frame(nic);
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		if (!nic->started || !nic->queues[q].enabled)
			return -EINVAL;
		weir_model_queue_empty(&nic->queues[q]);
		nic->queues[q].enabled = false;
	}
	return 0;
}

/* A child by its place in the parent's array, as the driver finds it. */
static const struct weir_model_node *
child_at(const struct weir_model_tm *tm, const struct weir_model_node *parent, uint32_t place)
{
	const struct weir_model_node *found = NULL;

	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].parent_id == parent->id && tm->nodes[i].number == place)
			found = &tm->nodes[i];
	}
	return found;
}

/* Starts the queues of a group and moves them below it. */
static int
fill_group(struct weir_model *nic, const struct weir_model_node *group, uint32_t place)
{
	for (uint32_t i = 0; i < group->children; i++) {
		const struct weir_model_node *child = child_at(nic->tm, group, i);
		struct weir_model_queue *queue;

		/* The driver would look at freed memory, or ask the firmware for too much. */
		if (child == NULL || i >= ICE_GROUP_QUEUES)
			return ICE_PARAMETER;
		queue = &nic->queues[child->id];
		queue->enabled = true;
		queue->since_ps = weir_model_now(nic);
		weir_model_refill(nic, &nic->shapers[queue->id]);
		weir_model_own_path(nic, queue->id);
		queue->path[queue->n_path++] = (uint16_t)(WEIR_MODEL_QUEUES_MAX + place);
	}
	if (group->children == 0 || group->profile == NULL)
		return 0;
	return set_ice(nic, shaper_at(nic, place), group->profile);
}

static int
give_up(struct weir_model *nic, int clear, int result, struct rte_tm_error *error)
{
	error->type = RTE_TM_ERROR_TYPE_UNSPECIFIED;
	if (clear != 0)
		weir_model_tm_clear(nic->tm);
	return result;
}

/*
 * ice_hierarchy_commit: stops all queues, starts those in the tree; shapers of the port, its class
 * and its VSI, and committed rates, are not looked at. A queue that it gives no rate keeps its own.
 */
int
weir_model_commit_ice(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	uint32_t groups = 0;
	int result = stop_ice(nic);

	for (uint32_t i = 0; result == 0 && i < tm->n_nodes; i++) {
		if (tm->nodes[i].level != ICE_LEVEL_GROUP)
			continue;
		result = fill_group(nic, &tm->nodes[i], groups);
		groups++;
		/* It gives up and says so only in the cause. */
		if (result == 0 && groups >= ICE_GROUPS)
			return give_up(nic, clear_on_fail, 0, error);
	}
	for (uint32_t i = 0; result == 0 && i < tm->n_nodes; i++) {
		const struct weir_model_node *node = &tm->nodes[i];

		if (node->level == ICE_LEVEL_QUEUE && node->profile != NULL)
			result = set_ice(nic, &nic->shapers[node->id], node->profile);
	}
	return result == 0 ? 0 : give_up(nic, clear_on_fail, result, error);
}
