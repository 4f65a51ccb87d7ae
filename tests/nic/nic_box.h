/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the models: DPDK, a pool, a model behind a real port, and a log of what leaves. */
#ifndef WEIR_TESTS_NIC_NIC_BOX_H
#define WEIR_TESTS_NIC_NIC_BOX_H

#include "drivers/eal.h"
#include "drivers/port.h"
#include "tests/nic/model_tm.h"
#include "tests/unit/harness.h"

#include <rte_mempool.h>
#include <sched.h>
#include <string.h>

#define BOX_MEMORY_BYTES (UINT64_C(96) << 20)
#define BOX_FRAMES       8191U
#define BOX_LOG          16384U
#define BOX_MBIT         UINT64_C(1000000)
#define BOX_ERROR        256U
/* Nodes of rte_tm. */
#define BOX_ROOT  0x10000U
#define BOX_CLASS 0x10001U
#define BOX_VSI   0x10002U
#define BOX_GROUP 0x20000U
#define BOX_NONE  RTE_TM_SHAPER_PROFILE_ID_NONE

/* A frame that has left. */
struct box_sent {
	uint16_t queue;
	bool own;
	uint32_t wire_bytes;
	uint64_t left_ps;
};

static struct {
	struct rte_mempool *pool;
	struct weir_port port;
	struct weir_model *nic;
	uint64_t base_ns; /* when the port was opened */
	struct box_sent sent[BOX_LOG];
	uint32_t n_sent;
} box;

static inline void
box_on_sent(void *arg, const struct weir_model_frame *frame)
{
	(void)arg;
	if (box.n_sent == BOX_LOG)
		return;
	box.sent[box.n_sent++] =
	    (struct box_sent){.queue = frame->queue,
	                      .own = frame->mbuf == NULL,
	                      .wire_bytes = frame->wire_bytes,
	                      .left_ps = frame->left_ns * 1000 + frame->left_ps};
}

static inline bool
box_start(void)
{
	static uint32_t worker = 1;
	const struct weir_eal_config config = {
	    .workers = &worker,
	    .n_workers = 1,
	    .control_lcore = 0,
	    .memory_bytes = BOX_MEMORY_BYTES,
	    .pages = WEIR_EAL_PAGES_NORMAL,
	};
	char error[BOX_ERROR] = "";
	bool huge;

	if (weir_eal_start(&config, &huge, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		return false;
	}
	box.pool = rte_pktmbuf_pool_create("box", BOX_FRAMES, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	return box.pool != NULL;
}

static inline void
box_finish(void)
{
	rte_mempool_free(box.pool);
	weir_eal_finish();
}

/* Opens and starts a port on a device text, its first n_queues send queues, as weir does. */
static inline void
box_open(const char *device, uint16_t n_queues)
{
	struct weir_port_config config = {
	    .mtu_bytes = 1500, .rx_queues = 1, .tx_queues = n_queues, .rx_descriptors = 64};
	char error[BOX_ERROR] = "";
	int result;

	snprintf(config.name, sizeof(config.name), "box");
	snprintf(config.device, sizeof(config.device), "%s", device);
	result = weir_port_open(&config, 511, &box.port, error, sizeof(error));
	if (result == 0)
		result = weir_port_start(&box.port, error, sizeof(error));
	if (result != 0)
		printf("    %s\n", error);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	box.nic = weir_model_of(box.port.port_id);
	CU_ASSERT_FATAL(box.nic != NULL);
	weir_model_on_sent(box.nic, box_on_sent, NULL);
	box.n_sent = 0;
}

/* And no frame is lost on the way: all are back in the pool. */
static inline void
box_close(void)
{
	weir_port_stop(&box.port);
	weir_port_close(&box.port);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(box.pool), 0);
}

static inline struct rte_mbuf *
box_frame(uint32_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(box.pool);

	CU_ASSERT_FATAL(mbuf != NULL);
	memset(rte_pktmbuf_append(mbuf, (uint16_t)bytes), 0, bytes);
	return mbuf;
}

/* Hands over up to n frames of so many bytes, as a worker does. Returns how many were taken. */
static inline uint32_t
box_put(uint16_t queue, uint32_t n, uint32_t bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = box_frame(bytes);

		if (rte_eth_tx_burst(box.port.port_id, queue, &mbuf, 1) != 1) {
			rte_pktmbuf_free(mbuf);
			return i;
		}
	}
	return n;
}

static inline void
box_run(uint64_t ns)
{
	weir_model_advance(box.nic, box.nic->now_ns + ns);
}

/* a / b, rounded up. */
static inline uint64_t
box_up(weir_u128 a, weir_u128 b)
{
	return (uint64_t)((a + b - 1) / b);
}

/* What a queue sent of late: wire bits a second from its first to its last frame in the log. */
static inline uint64_t
box_rate(uint16_t queue)
{
	uint64_t first = 0, last = 0, bytes = 0;

	for (uint32_t i = 0; i < box.n_sent; i++) {
		if (box.sent[i].queue != queue)
			continue;
		if (first == 0)
			first = box.sent[i].left_ps;
		else
			bytes += box.sent[i].wire_bytes;
		last = box.sent[i].left_ps;
	}
	return last == first
	           ? 0
	           : (uint64_t)((weir_u128)bytes * 8 * WEIR_MODEL_PS_PER_S / (last - first));
}

static inline int
box_set(uint16_t queue, uint32_t mbit_s)
{
	return rte_eth_set_queue_rate_limit(box.port.port_id, queue, mbit_s);
}

/* rte_tm, with the least that drivers take. */
static inline int
box_profile(uint32_t id, uint64_t rate_bytes, uint64_t burst_bytes, uint64_t committed_bytes)
{
	struct rte_tm_shaper_params params = {
	    .peak = {rate_bytes, burst_bytes},
	    .committed = {committed_bytes, committed_bytes != 0 ? burst_bytes : 0}};
	struct rte_tm_error error = {0};

	return rte_tm_shaper_profile_add(box.port.port_id, id, &params, &error);
}

static inline int
box_node(uint32_t id, uint32_t parent, uint32_t level, uint32_t profile, bool leaf)
{
	struct rte_tm_node_params params = {.shaper_profile_id = profile};
	struct rte_tm_error error = {0};

	if (leaf)
		params.leaf.wred.wred_profile_id = RTE_TM_WRED_PROFILE_ID_NONE;
	else
		params.nonleaf.n_sp_priorities = 1;
	return rte_tm_node_add(box.port.port_id, id, parent, 0, 1, level, &params, &error);
}

static inline int
box_commit(struct rte_tm_error *error)
{
	memset(error, 0, sizeof(*error));
	return rte_tm_hierarchy_commit(box.port.port_id, 0, error);
}

/* Root and class of the drivers that have one of each. */
static inline void
box_add_trunk(void)
{
	CU_ASSERT_EQUAL_FATAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, BOX_NONE, false), 0);
	CU_ASSERT_EQUAL_FATAL(box_node(BOX_CLASS, BOX_ROOT, 1, BOX_NONE, false), 0);
}

static inline int
box_delete_node(uint32_t id)
{
	struct rte_tm_error error;

	return rte_tm_node_delete(box.port.port_id, id, &error);
}

static inline int
box_delete_profile(uint32_t id)
{
	struct rte_tm_error error;

	return rte_tm_shaper_profile_delete(box.port.port_id, id, &error);
}

static inline int
box_update(uint32_t node, uint32_t profile)
{
	struct rte_tm_error error;

	return rte_tm_node_shaper_update(box.port.port_id, node, profile, &error);
}

static inline int
box_commit_now(void)
{
	struct rte_tm_error error;

	return box_commit(&error);
}

/* ice's five levels with as many groups of one queue, all with a profile. */
static inline void
box_add_ice_tree(uint16_t n, uint32_t trunk_profile, uint32_t leaf_profile)
{
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, trunk_profile, false), 0);
	CU_ASSERT_EQUAL(box_node(BOX_CLASS, BOX_ROOT, 1, trunk_profile, false), 0);
	CU_ASSERT_EQUAL(box_node(BOX_VSI, BOX_CLASS, 2, trunk_profile, false), 0);
	for (uint16_t q = 0; q < n; q++) {
		CU_ASSERT_EQUAL(box_node(BOX_GROUP + q, BOX_VSI, 3, BOX_NONE, false), 0);
		CU_ASSERT_EQUAL(box_node(q, BOX_GROUP + q, 4, leaf_profile, true), 0);
	}
}

/* cnxk's six levels, a node above each queue. */
static inline void
box_add_cnxk_tree(uint16_t n, uint32_t root_profile, uint32_t profile)
{
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, root_profile, false), 0);
	for (uint32_t level = 1; level < 4; level++)
		CU_ASSERT_EQUAL(
		    box_node(BOX_ROOT + level, BOX_ROOT + level - 1, level, BOX_NONE, false), 0);
	for (uint16_t q = 0; q < n; q++) {
		CU_ASSERT_EQUAL(box_node(BOX_GROUP + q, BOX_ROOT + 3, 4, profile, false), 0);
		CU_ASSERT_EQUAL(box_node(q, BOX_GROUP + q, 5, BOX_NONE, true), 0);
	}
}

#endif
