/* SPDX-License-Identifier: BSD-3-Clause */
/* What a commit makes of the nodes, driver by driver. */
#ifndef WEIR_TESTS_NIC_MODEL_TM_RULES_H
#define WEIR_TESTS_NIC_MODEL_TM_RULES_H

#include "tests/nic/model_tm.h"

int weir_model_commit_plain(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_ixgbe(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_cnxk(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_i40e(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_ice(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_iavf(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);
int weir_model_commit_hns3(struct weir_model *nic, int clear_on_fail, struct rte_tm_error *error);

int weir_model_update_plain(struct weir_model *nic, struct weir_model_node *node,
                            struct weir_model_profile *profile, struct rte_tm_error *error);
int weir_model_update_cnxk(struct weir_model *nic, struct weir_model_node *node,
                           struct weir_model_profile *profile, struct rte_tm_error *error);
int weir_model_update_hns3(struct weir_model *nic, struct weir_model_node *node,
                           struct weir_model_profile *profile, struct rte_tm_error *error);

/* At the stop of the port: nodes can be changed again; hns3's limits are lifted, too. */
void weir_model_unlock_nodes(struct weir_model *nic);
void weir_model_stopped_hns3(struct weir_model *nic);

/* What the ice family's scheduler makes of kbit/s: bytes each so many ticks. False: refused. */
bool weir_model_ticks(uint32_t clock_hz, uint32_t kbit_s, uint64_t *bit_s, uint64_t *divisor);

#endif
