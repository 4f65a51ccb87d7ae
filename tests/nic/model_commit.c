/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a commit makes of the nodes: the plain NIC's, those of Intel's older drivers and hns3's.
 * Functions named are DPDK v22.11.11's.
 */
#include "tests/nic/model_tm_rules.h"

#include <errno.h>

#define BITS_PER_BYTE    8U
#define I40E_STEP_MBIT_S 50U
#define HNS3_UNIT_BYTES  125000U
/* Of buckets whose size the driver leaves to the NIC. */
#define BURST_BYTES    16384U
#define IAVF_NOT_READY (-63)
#define IAVF_PARAMETER (-5)

#define LEVEL_ROOT     0U
#define LEVEL_CLASS    1U
#define LEVEL_QUEUE    2U

static int
fail(struct weir_model *nic, int clear, struct rte_tm_error *error, int result,
     enum rte_tm_error_type type, const char *message)
{
	if (clear != 0)
		weir_model_tm_clear(nic->tm);
	return weir_model_tm_fail(error, result, type, message);
}

static uint16_t
shaper_of(const struct weir_model *nic, const struct weir_model_node *node)
{
	return weir_model_tm_is_leaf(nic, node) ? (uint16_t)node->id
	                                        : (uint16_t)(WEIR_MODEL_QUEUES_MAX + node->slot);
}

/* A queue's way to the wire goes by its own limit and those of the nodes above it. */
static void
set_path(struct weir_model *nic, const struct weir_model_node *leaf)
{
	struct weir_model_queue *queue = &nic->queues[leaf->id];
	const struct weir_model_node *node = leaf;

	weir_model_own_path(nic, (uint16_t)leaf->id);
	while ((node = weir_model_tm_find(nic->tm, node->parent_id)) != NULL) {
		assert(queue->n_path < WEIR_MODEL_PATH_MAX);
		queue->path[queue->n_path++] = shaper_of(nic, node);
	}
}

static uint64_t
peak_of(const struct weir_model_node *node)
{
	return node->profile != NULL ? node->profile->params.peak.rate : 0;
}

/* A limit that is there is lifted; where there is none nothing is written. */
static void
lift(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	if (shaper->limited)
		weir_model_lift(nic, shaper);
	shaper->asked = false;
}

int
weir_model_update_plain(struct weir_model *nic, struct weir_model_node *node,
                        struct weir_model_profile *profile, struct rte_tm_error *error)
{
	struct weir_model_shaper *shaper = &nic->shapers[shaper_of(nic, node)];
	const struct rte_tm_shaper_params *params = profile != NULL ? &profile->params : NULL;

	(void)error;
	if (params == NULL || params->peak.rate == 0)
		lift(nic, shaper);
	else
		weir_model_set_bucket(nic, shaper, params->peak.rate * BITS_PER_BYTE, 1,
		                      params->peak.size);
	if (params != NULL)
		shaper->adjust = params->pkt_length_adjust;
	if (weir_model_tm_is_leaf(nic, node))
		weir_model_set_committed(nic, (uint16_t)node->id,
		                         params != NULL ? params->committed.rate * BITS_PER_BYTE
		                                        : 0);
	return 0;
}

/* All at once and without a stop; what is not in the tree is not limited. */
int
weir_model_commit_plain(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	bool kept[WEIR_MODEL_SHAPERS_MAX] = {false};

	(void)clear_on_fail;
	for (uint32_t i = 0; i < tm->n_nodes; i++)
		kept[shaper_of(nic, &tm->nodes[i])] = true;
	for (uint16_t q = 0; q < nic->n_queues; q++)
		weir_model_own_path(nic, q);
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++) {
		if (!kept[i])
			lift(nic, &nic->shapers[i]);
	}
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		struct weir_model_node *node = &tm->nodes[i];

		if (weir_model_tm_is_leaf(nic, node))
			set_path(nic, node);
		(void)weir_model_update_plain(nic, node, node->profile, error);
	}
	return 0;
}

/*
 * ixgbe_hierarchy_commit, and txgbe's. Queues are told apart by the order in which they were added
 * to their parent; those without a rate keep the one that they had.
 */
int
weir_model_commit_ixgbe(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;

	if (error == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].level != LEVEL_QUEUE && peak_of(&tm->nodes[i]) != 0)
			return fail(nic, clear_on_fail, error, -EINVAL,
			            RTE_TM_ERROR_TYPE_SHAPER_PROFILE,
			            "the port and its classes have no limit");
	}
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		const struct weir_model_node *node = &tm->nodes[i];
		uint64_t mbit_s = peak_of(node) * BITS_PER_BYTE / 1000 / 1000;

		if (node->level != LEVEL_QUEUE || peak_of(node) == 0)
			continue;
		if (nic->config.family->set_queue(nic, node->number, (uint32_t)mbit_s) != 0)
			return fail(nic, clear_on_fail, error, -EINVAL,
			            RTE_TM_ERROR_TYPE_SHAPER_PROFILE, "a limit is refused");
	}
	tm->committed = true;
	return 0;
}

void
weir_model_unlock_nodes(struct weir_model *nic)
{
	nic->tm->committed = false;
}

/* A limit for all queues, in steps of 50 Mbit/s; less than one is none. */
static void
set_steps(struct weir_model *nic, const struct weir_model_node *node)
{
	struct weir_model_shaper *shaper = &nic->shapers[shaper_of(nic, node)];
	uint64_t steps = peak_of(node) * BITS_PER_BYTE / 1000 / 1000 / I40E_STEP_MBIT_S;
	uint16_t credits = (uint16_t)steps;

	if (credits == 0)
		weir_model_lift(nic, shaper);
	else
		weir_model_set_bucket(nic, shaper, credits * I40E_STEP_MBIT_S * WEIR_MODEL_MBIT, 1,
		                      BURST_BYTES);
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		weir_model_own_path(nic, q);
		nic->queues[q].path[nic->queues[q].n_path++] = shaper_of(nic, node);
	}
}

/* i40e_hierarchy_commit: the port's limit, or that of its one traffic class. */
int
weir_model_commit_i40e(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	const struct weir_model_node *root = NULL, *class = NULL;

	if (error == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		root = tm->nodes[i].level == LEVEL_ROOT ? &tm->nodes[i] : root;
		class = tm->nodes[i].level == LEVEL_CLASS ? &tm->nodes[i] : class;
	}
	if (root != NULL && peak_of(root) != 0) {
		if (class != NULL && peak_of(class) != 0)
			return fail(nic, clear_on_fail, error, -EINVAL,
			            RTE_TM_ERROR_TYPE_SHAPER_PROFILE,
			            "not the port and its class at once");
		set_steps(nic, root);
		tm->committed = true;
		return 0;
	}
	if (class != NULL && class->children == 0)
		return fail(nic, clear_on_fail, error, -EINVAL, RTE_TM_ERROR_TYPE_NODE_PARAMS,
		            "a class without a queue");
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].level == LEVEL_QUEUE && peak_of(&tm->nodes[i]) != 0)
			return fail(nic, clear_on_fail, error, -EINVAL,
			            RTE_TM_ERROR_TYPE_NODE_PARAMS, "queues have no limit");
	}
	if (class != NULL)
		set_steps(nic, class);
	tm->committed = true;
	return 0;
}

/*
 * iavf_hierarchy_commit. The first leaf that was added is queue 0, and so on; the port's shaper is
 * never looked at. Once committed it stays so.
 */
int
weir_model_commit_iavf(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;
	uint32_t pairs = nic->n_rx_queues > nic->n_queues ? nic->n_rx_queues : nic->n_queues;
	uint32_t classes = 0, leaves = 0;
	uint16_t queue = 0;

	(void)error;
	if (nic->started)
		return IAVF_NOT_READY;
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		classes += tm->nodes[i].level == LEVEL_CLASS;
		leaves += tm->nodes[i].level == LEVEL_QUEUE;
	}
	if (classes != 1 || leaves < pairs) {
		if (clear_on_fail != 0)
			weir_model_tm_clear(tm);
		return IAVF_PARAMETER;
	}
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		const struct weir_model_node *node = &tm->nodes[i];
		uint64_t kbit_s = peak_of(node) / 1000 * BITS_PER_BYTE;
		struct weir_model_shaper *shaper = &nic->shapers[queue];

		if (node->level != LEVEL_QUEUE || queue >= nic->n_queues)
			continue;
		if (kbit_s == 0)
			weir_model_lift(nic, shaper);
		else
			weir_model_set_bucket(nic, shaper, kbit_s * 1000, 1, BURST_BYTES);
		if (node->profile != NULL)
			weir_model_set_committed(nic, queue,
			                         node->profile->params.committed.rate / 1000 *
			                             1000 * BITS_PER_BYTE);
		queue++;
	}
	tm->committed = true;
	return 0;
}

static void
set_hns3(struct weir_model *nic, const struct weir_model_node *node,
         const struct weir_model_profile *profile)
{
	struct weir_model_shaper *shaper = &nic->shapers[shaper_of(nic, node)];

	if (profile == NULL)
		lift(nic, shaper);
	else
		weir_model_set_bucket(nic, shaper,
		                      profile->params.peak.rate / HNS3_UNIT_BYTES * WEIR_MODEL_MBIT,
		                      1, BURST_BYTES);
}

/* hns3_tm_hierarchy_commit. */
int
weir_model_commit_hns3(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error)
{
	struct weir_model_tm *tm = nic->tm;

	if (error == NULL)
		return -EINVAL;
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].level == LEVEL_CLASS && tm->nodes[i].children == 0)
			return fail(nic, clear_on_fail, error, -EINVAL,
			            RTE_TM_ERROR_TYPE_NODE_PARAMS, "a class without a queue");
	}
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		const struct weir_model_node *node = &tm->nodes[i];

		if (node->level != LEVEL_QUEUE && node->profile != NULL)
			set_hns3(nic, node, node->profile);
	}
	for (uint32_t i = 0; i < tm->n_nodes; i++) {
		if (tm->nodes[i].level == LEVEL_QUEUE && tm->nodes[i].id < nic->n_queues)
			set_path(nic, &tm->nodes[i]);
	}
	tm->committed = true;
	return 0;
}

int
weir_model_update_hns3(struct weir_model *nic, struct weir_model_node *node,
                       struct weir_model_profile *profile, struct rte_tm_error *error)
{
	if (weir_model_tm_is_leaf(nic, node))
		return profile == NULL
		           ? 0
		           : weir_model_tm_fail(error, -EINVAL, RTE_TM_ERROR_TYPE_SHAPER_PROFILE_ID,
		                                "queues have no shaper");
	if (nic->tm->committed)
		set_hns3(nic, node, profile);
	return 0;
}

/* hns3_tm_dev_stop_proc. */
void
weir_model_stopped_hns3(struct weir_model *nic)
{
	for (uint32_t i = 0; nic->tm->committed && i < nic->tm->n_nodes; i++) {
		if (!weir_model_tm_is_leaf(nic, &nic->tm->nodes[i]))
			set_hns3(nic, &nic->tm->nodes[i], NULL);
	}
	weir_model_unlock_nodes(nic);
}
