/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's real round, driven by a simulated clock, between DPDK ring ports: frames are put in
 * at the inside and judged at the outside, as the outside sees them. Shared by the programs that
 * test it; each has one of everything here.
 */
#ifndef WEIR_TESTS_UNIT_EGRESS_BOX_H
#define WEIR_TESTS_UNIT_EGRESS_BOX_H

#include "dataplane/worker_state.h"
#include "drivers/eal.h"
#include "drivers/memory.h"
#include "drivers/port.h"
#include "tests/unit/frames.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>

#define HZ UINT64_C(2596098010)
#ifndef CLASSES
#define CLASSES 3U
#endif
#define MTU         1500U
#define POOL_FRAMES 8191U
#define QUEUES      6U /* of the outside; the others have two */

/* Stands in for the policy's numbers of one class. */
struct class_plan {
	uint64_t rate_bit_s;
	uint32_t burst_bytes, backlog_bytes;
};

static struct weir_port inside, outside, elsewhere;
static uint32_t n_links = 1; /* 2: the inside's queue 1 is a link to elsewhere */
/* By link: send queues of the first worker; those of the next one come behind them. */
static struct weir_tx tx_of_link[2];
static struct rte_mempool *pool;
static struct weir_credit credit;
static struct weir_dataplane *dataplane;
static uint64_t generation;

/* Class i: UDP to port 1000 + i. Budget path: its own (1 + i), then the root 0. */
static inline struct weir_snapshot *
make_snapshot(const struct class_plan *plans, uint32_t n, uint64_t start_tsc)
{
	struct weir_snapshot *snapshot = weir_snapshot_new(CLASSES, WEIR_NODE_ANY);
	struct weir_rule rules[CLASSES + 1];
	char name[32], error[128] = "";
	uint32_t n_rules = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(snapshot);
	snapshot->generation = ++generation;
	snapshot->heartbeat_limit_tsc = 2 * HZ;
	for (uint32_t i = 0; i < n; i++) {
		struct weir_class *class = &snapshot->classes[i];

		if (plans[i].rate_bit_s == 0)
			continue;
		class->rate = weir_rate_make(plans[i].rate_bit_s, HZ, start_tsc, 0);
		class->burst_bytes = plans[i].burst_bytes;
		class->backlog_bytes = plans[i].backlog_bytes;
		class->path[0] = (uint16_t)(1 + i);
		class->path[1] = 0;
		class->n_path = 2;
		rules[n_rules++] = (struct weir_rule){.link = WEIR_ANY,
		                                      .ethertype = WEIR_ANY,
		                                      .vlan = WEIR_ANY,
		                                      .protocol = 17,
		                                      .source_port_high = UINT16_MAX,
		                                      .destination_port_low = (uint16_t)(1000 + i),
		                                      .destination_port_high = (uint16_t)(1000 + i),
		                                      .class_slot = i};
	}
	snprintf(name, sizeof(name), "egress%" PRIu64, generation);
	CU_ASSERT_EQUAL_FATAL(weir_classifier_new(name, rules, n_rules, WEIR_NODE_ANY,
	                                          &snapshot->classifier, error, sizeof(error)),
	                      0);
	return snapshot;
}

static inline void
set_up(const struct class_plan *plans, uint32_t n_workers, uint64_t root_bytes, uint64_t now)
{
	struct weir_worker_config workers[2] = {0};
	struct weir_dataplane_config config = {.tsc_hz = HZ,
	                                       .drain_tsc = HZ,
	                                       .n_links = n_links,
	                                       .n_workers = n_workers,
	                                       .workers = workers};
	struct weir_snapshot *first = make_snapshot(plans, CLASSES, now);
	char error[128] = "";

	for (uint32_t w = 0; w < n_workers; w++) {
		workers[w].tx_queue = (uint16_t)w;
		workers[w].node = WEIR_NODE_ANY;
		workers[w].waiting_max = UINT64_MAX;
		for (uint32_t link = 0; link < 2; link++) {
			workers[w].tx[link] = tx_of_link[link];
			workers[w].tx[link].first_queue = (uint16_t)(w * tx_of_link[link].n_queues);
		}
		workers[w].n_rx = 2;
		workers[w].rx[0] = (struct weir_rx){.port_id = inside.port_id,
		                                    .queue_id = (uint16_t)w,
		                                    .out_port_id = outside.port_id,
		                                    .direction = WEIR_EGRESS,
		                                    .mtu_bytes = MTU};
		/* The return path's frames are the test's to read: polled on no queue of outside.
		 */
		workers[w].rx[1] = workers[w].rx[0];
		if (n_links == 2) {
			workers[w].rx[1].queue_id = 1;
			workers[w].rx[1].out_port_id = elsewhere.port_id;
			workers[w].rx[1].link = 1;
		}
	}
	memset(&credit, 0, sizeof(credit));
	CU_ASSERT_EQUAL_FATAL(
	    weir_dataplane_new(&config, &credit, first, &dataplane, error, sizeof(error)), 0);
	for (uint32_t i = 0; i <= CLASSES; i++) {
		weir_credit_open(&credit, i, 0);
		weir_credit_publish(&credit, i, i == 0 ? root_bytes : UINT64_MAX / 2,
		                    WEIR_CREDIT_AT_CAP);
	}
	for (uint32_t i = 0; i < CLASSES; i++)
		weir_dataplane_init_class(dataplane, i, &first->classes[i].rate, now);
	for (uint32_t w = 0; w < n_workers; w++)
		weir_pacer_start(&dataplane->workers[w]->pacer, now);
	weir_dataplane_pulse(dataplane, now);
}

/* A UDP frame of a class, or NULL where the pool is empty. */
static inline struct rte_mbuf *
make_frame(uint32_t class, uint32_t payload_bytes)
{
	struct frame frame;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL)
		return NULL;
	frame_ethernet(&frame, 0x0800);
	frame_ip4(&frame, 17, 0, 0, 8 + payload_bytes);
	frame_udp(&frame, 7, 1000 + class, payload_bytes);
	/* What the buffer held before must never leave. */
	memset(rte_pktmbuf_mtod(mbuf, void *), 0xee, 100);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)frame.bytes), frame.data, frame.bytes);
	return mbuf;
}

/* Puts a frame in at the inside. False when there is none or the ring is full. */
static inline bool
put_frame(uint16_t queue, struct rte_mbuf *mbuf)
{
	if (mbuf == NULL)
		return false;
	if (rte_eth_tx_burst(inside.port_id, queue, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

static inline bool
put_in(uint16_t queue, uint32_t class, uint32_t payload_bytes)
{
	return put_frame(queue, make_frame(class, payload_bytes));
}

/* Takes all that has left by a queue: wire bytes by class, and frames. */
static inline uint32_t
take_out(uint16_t queue, uint64_t *bytes_by_class)
{
	struct rte_mbuf *frames[64];
	uint32_t total = 0;
	uint16_t n;

	while ((n = rte_eth_rx_burst(outside.port_id, queue, frames, 64)) > 0) {
		for (uint16_t i = 0; i < n; i++) {
			const uint8_t *data = rte_pktmbuf_mtod(frames[i], const uint8_t *);
			uint32_t class = (uint32_t)(data[36] << 8 | data[37]) - 1000;
			uint32_t end = 14U + (uint32_t)(data[16] << 8 | data[17]);

			CU_ASSERT_FATAL(class < CLASSES);
			CU_ASSERT_FATAL(frames[i]->pkt_len >= 60 && frames[i]->nb_segs == 1);
			for (; end < frames[i]->pkt_len; end++)
				CU_ASSERT_EQUAL(data[end], 0);
			bytes_by_class[class] += frames[i]->pkt_len + 24;
			CU_ASSERT_PTR_NULL(frames[i]->next);
			rte_pktmbuf_free(frames[i]);
		}
		total += n;
	}
	return total;
}

/* At rest everything received was sent, dropped under a reason, or waits. */
static inline void
check_conservation(void)
{
	struct weir_flow_totals flow;
	struct weir_class_totals class;
	uint64_t dropped = 0, queued = 0, waiting = 0, class_bytes = 0;

	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	for (uint32_t i = 0; i < WEIR_DROPS; i++)
		dropped += flow.dropped[i];
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		queued += dataplane->workers[w]->queued_frames;
	CU_ASSERT_EQUAL(flow.rx_frames, flow.tx_frames + dropped + queued);
	for (uint32_t i = 0; i < CLASSES; i++) {
		weir_dataplane_class_totals(dataplane, i, &class);
		class_bytes += class.tx_wire_bytes;
		waiting += class.queued_bytes;
		CU_ASSERT_EQUAL(weir_credit_spent(&credit, 1 + i), class.tx_wire_bytes);
	}
	CU_ASSERT_EQUAL(class_bytes, flow.tx_wire_bytes);
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), flow.tx_wire_bytes);
	CU_ASSERT((queued == 0) == (waiting == 0));
}

/* Ends the workers as a clean stop does, at once, and checks that no buffer is lost. */
static inline void
tear_down(uint64_t now)
{
	uint64_t sink[CLASSES] = {0};

	dataplane->drain_tsc = 0;
	atomic_store(&dataplane->stop, 1);
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		CU_ASSERT_TRUE(weir_worker_round(dataplane->workers[w], now));
	check_conservation();
	for (uint32_t i = 0; i <= CLASSES; i++)
		CU_ASSERT_EQUAL(atomic_load(&credit.budgets[i].taken_bytes),
		                weir_credit_spent(&credit, i));
	for (uint16_t q = 0; q < QUEUES; q++)
		take_out(q, sink);
	for (uint16_t q = 0; q < 2; q++) {
		struct rte_mbuf *frame;

		while (rte_eth_rx_burst(inside.port_id, q, &frame, 1) == 1)
			rte_pktmbuf_free(frame);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	weir_dataplane_free(dataplane);
}

static inline void
open_port(const char *name, uint32_t queues, struct weir_port *port)
{
	struct weir_port_config config = {
	    .mtu_bytes = MTU, .rx_queues = queues, .tx_queues = queues};
	char error[256] = "";

	snprintf(config.name, sizeof(config.name), "%s", name);
	snprintf(config.device, sizeof(config.device), "net_ring_%s", name);
	if (weir_port_open(&config, 4095, port, error, sizeof(error)) != 0 ||
	    weir_port_start(port, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		exit(1);
	}
}

/* Starts DPDK and the ports, runs the tests, and ends all. Returns the exit status. */
static inline int
run_in_box(const char *name, const struct weir_test *tests, size_t count)
{
	const struct weir_eal_config eal = {.workers = (const uint32_t[]){1},
	                                    .n_workers = 1,
	                                    .memory_bytes = 512 << 20,
	                                    .pages = WEIR_EAL_PAGES_NORMAL};
	char error[256] = "";
	bool huge;
	int rc;

	if (weir_eal_start(&eal, &huge, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		return 1;
	}
	open_port("inside", 2, &inside);
	open_port("outside", QUEUES, &outside);
	open_port("other", 2, &elsewhere);
	pool = rte_pktmbuf_pool_create("test", POOL_FRAMES, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	if (pool == NULL)
		return 1;
	rc = weir_test_run(name, tests, count);
	weir_port_stop(&inside);
	weir_port_stop(&outside);
	weir_port_stop(&elsewhere);
	weir_port_close(&inside);
	weir_port_close(&outside);
	weir_port_close(&elsewhere);
	weir_eal_finish();
	return rc;
}

#endif
