/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rte_tm as the drivers have it: profiles and nodes are kept, checked as each driver checks them,
 * and become limits at the commit, or not. The caller holds the lock.
 */
#ifndef WEIR_TESTS_NIC_MODEL_TM_H
#define WEIR_TESTS_NIC_MODEL_TM_H

/* rte_tm counts as experimental, as it has since 2017. */
#ifndef ALLOW_EXPERIMENTAL_API
#define ALLOW_EXPERIMENTAL_API
#endif
#include "tests/nic/model_family.h"

#include <rte_tm.h>

#define WEIR_MODEL_PROFILES_MAX 640U
#define WEIR_MODEL_LEVELS_MAX   6U

/* The trees of the cnxk family. */
enum weir_model_tree {
	WEIR_MODEL_TREE_DEFAULT = 0,
	WEIR_MODEL_TREE_QUEUES, /* for rte_eth_set_queue_rate_limit */
	WEIR_MODEL_TREE_USER,   /* by rte_tm */
};

struct weir_model_profile {
	bool used;
	uint32_t id;
	uint32_t users;
	struct rte_tm_shaper_params params;
};

struct weir_model_node {
	uint32_t id, parent_id;
	uint32_t level;
	uint16_t slot;       /* its shaper, behind the queues' */
	uint16_t number;     /* of the queue that the driver takes it for */
	uint32_t children;   /* that the driver counts */
	uint32_t profile_id; /* RTE_TM_SHAPER_PROFILE_ID_NONE: none */
	struct weir_model_profile *profile;
};

struct weir_model_tm {
	bool committed; /* the driver lets nobody change nodes */
	uint32_t n_nodes;
	struct weir_model_node nodes[WEIR_MODEL_NODES_MAX]; /* in the order of adding */
	bool slots[WEIR_MODEL_NODES_MAX];
	struct weir_model_profile profiles[WEIR_MODEL_PROFILES_MAX];
};

/* What a call of rte_tm_node_add says. */
struct weir_model_node_request {
	uint32_t id, parent_id, priority, weight, level;
	const struct rte_tm_node_params *params;
};

struct weir_model_tm_rules {
	uint8_t levels;
	bool says_capabilities;
	bool shaper[WEIR_MODEL_LEVELS_MAX];        /* of a node of the level, as it says */
	uint16_t nodes_max[WEIR_MODEL_LEVELS_MAX]; /* of the level; 0: no own limit */
	bool root_by_any;                          /* the root may be added with "any level" */
	bool all_pairs;     /* a leaf's number is compared with all queues of the device */
	bool unlocked;      /* nodes can be changed after a commit */
	bool counts_users;  /* of profiles, when a node is added ... */
	bool forgets_users; /* ... but not when it is deleted */
	bool has_stats;
	uint32_t priority_max, weight_max;
	uint64_t rate_max_mbit_s; /* 0: the link's speed */
	uint64_t rate_min_bytes;
	int locked_error;
	int (*check_profile)(const struct weir_model *nic,
	                     const struct rte_tm_shaper_params *params, struct rte_tm_error *error);
	/* Besides what is checked for all. NULL: nothing. */
	int (*check_node)(const struct weir_model *nic,
	                  const struct weir_model_node_request *request,
	                  struct rte_tm_error *error);
	int (*commit)(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
	/* NULL: -ENOSYS. profile NULL: none. */
	int (*update)(struct weir_model *nic, struct weir_model_node *node,
	              struct weir_model_profile *profile, struct rte_tm_error *error);
	void (*stopped)(struct weir_model *nic);
};

extern const struct weir_model_tm_rules weir_model_tm_plain, weir_model_tm_ixgbe,
    weir_model_tm_cnxk, weir_model_tm_i40e, weir_model_tm_ice, weir_model_tm_iavf,
    weir_model_tm_hns3;

struct weir_model_tm *weir_model_tm_new(void);
void weir_model_tm_free(struct weir_model_tm *tm);
/* Forgets nodes and profiles. */
void weir_model_tm_clear(struct weir_model_tm *tm);
void weir_model_tm_configured(struct weir_model *nic);
void weir_model_tm_stopped(struct weir_model *nic);

/* Fills error. Returns result. */
int weir_model_tm_fail(struct rte_tm_error *error, int result, enum rte_tm_error_type type,
                       const char *message);

/* The calls of rte_tm. */
int weir_model_tm_profile_add(struct weir_model *nic, uint32_t id,
                              const struct rte_tm_shaper_params *params,
                              struct rte_tm_error *error);
int weir_model_tm_profile_delete(struct weir_model *nic, uint32_t id, struct rte_tm_error *error);
int weir_model_tm_node_add(struct weir_model *nic, const struct weir_model_node_request *request,
                           struct rte_tm_error *error);
int weir_model_tm_node_delete(struct weir_model *nic, uint32_t id, struct rte_tm_error *error);
int weir_model_tm_node_update(struct weir_model *nic, uint32_t id, uint32_t profile_id,
                              struct rte_tm_error *error);
int weir_model_tm_capabilities(const struct weir_model *nic, struct rte_tm_capabilities *can,
                               struct rte_tm_error *error);
int weir_model_tm_level(const struct weir_model *nic, uint32_t level,
                        struct rte_tm_level_capabilities *can, struct rte_tm_error *error);
int weir_model_tm_node(const struct weir_model *nic, uint32_t id,
                       struct rte_tm_node_capabilities *can, struct rte_tm_error *error);
int weir_model_tm_node_type(const struct weir_model *nic, uint32_t id, int *is_leaf,
                            struct rte_tm_error *error);
int weir_model_tm_stats(struct weir_model *nic, uint32_t id, struct rte_tm_node_stats *stats,
                        uint64_t *mask, struct rte_tm_error *error);

/* Of the table. NULL: not there. */
struct weir_model_node *weir_model_tm_find(const struct weir_model_tm *tm, uint32_t id);
struct weir_model_profile *weir_model_tm_profile(struct weir_model_tm *tm, uint32_t id);
static inline bool
weir_model_tm_is_leaf(const struct weir_model *nic, const struct weir_model_node *node)
{
	return node->level == nic->config.family->tm->levels - 1U;
}

/* 2 Mbit/s x 256..511 / 256 x 2^-12..15, the largest that is not more. False: out of range. */
bool weir_model_float(uint64_t bit_s, uint64_t *dividend, uint64_t *divisor);
uint64_t weir_model_float_burst(uint64_t bytes);
int weir_model_change_tree(struct weir_model *nic, enum weir_model_tree tree);

#endif
