/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of frames when something changes or fails around the worker. */
#include "tests/unit/egress_box.h"

/* A ledger that grants late: frames wait, those too many count as the ledger's, and then they go.
 */
static void
test_slow_ledger(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 100000}, {1000000000, 64000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0};
	struct weir_flow_totals flow;

	set_up(plans, 1, 0, now);
	weir_credit_publish(&credit, 0, 5000, WEIR_CREDIT_OPEN);
	for (uint32_t round = 0; round < 200; round++) {
		put_in(0, round % 2, 1000);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		take_out(0, sent);
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT(sent[0] + sent[1] <= 5000 && sent[0] > 0);
	CU_ASSERT(flow.dropped[WEIR_DROP_LEDGER] > 90);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_BACKLOG] + flow.dropped[WEIR_DROP_RATE], 0);
	CU_ASSERT(dataplane->workers[0]->queued_frames > 80);
	weir_credit_publish(&credit, 0, UINT64_MAX / 2, WEIR_CREDIT_OPEN);
	for (uint32_t round = 0; round < 200; round++) {
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		take_out(0, sent);
	}
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	/* And one that has failed: what it granted is still good, then nothing waits in vain. */
	weir_credit_publish(&credit, 0, weir_credit_spent(&credit, 0), WEIR_CREDIT_CLOSED);
	weir_credit_return(&credit, 0, 0);
	put_in(0, 0, 1000);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	CU_ASSERT_EQUAL(take_out(0, sent), 0);
	tear_down(now);
}

static void
test_policy_swap(void)
{
	struct class_plan plans[CLASSES] = {
	    {8000000, 3000, 100000}, {8000000, 3000, 100000}, {8000000, 3000, 100000}};
	uint64_t now = 1000, sent[CLASSES] = {0}, token;
	struct weir_snapshot *old;
	struct weir_flow_totals flow;
	uint32_t out = 0;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t i = 0; i < 90; i++)
		CU_ASSERT_TRUE(put_in(0, i % CLASSES, 500));
	for (uint32_t round = 0; round < 10; round++)
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 90);
	/* Class 1 goes; the others' waiting frames stay, and their buckets are no fuller for it. */
	plans[1].rate_bit_s = 0;
	old = weir_dataplane_publish(dataplane, make_snapshot(plans, CLASSES, 1000), &token);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_CLASS_REMOVED], 30);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 60);
	CU_ASSERT_EQUAL(flow.tx_frames, 0);
	weir_snapshot_free(old);
	for (uint32_t round = 0; round < 2000; round++) {
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 10000));
		out += take_out(0, sent);
	}
	CU_ASSERT_EQUAL(out, 60);
	CU_ASSERT_EQUAL(sent[1], 0);
	tear_down(now);
}

/* A larger burst has to be earned: what an idle bucket held under the old policy is all there is.
 */
static void
test_burst_raised(void)
{
	struct class_plan plans[CLASSES] = {
	    {8000000, 3000, 2000000}, {8000000, 3000, 0}, {8000000, 3000, 0}};
	uint64_t now = 1000, sent[CLASSES] = {0}, token;
	struct weir_snapshot *old;

	set_up(plans, 1, UINT64_MAX / 2, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	now += 10 * HZ;
	weir_dataplane_pulse(dataplane, now);
	plans[0].burst_bytes = 1000000;
	old = weir_dataplane_publish(dataplane, make_snapshot(plans, CLASSES, 1000), &token);
	for (uint32_t round = 0; round < 40; round++) {
		for (uint32_t i = 0; i < 16; i++)
			put_in(0, 0, 1400);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 100));
		take_out(0, sent);
	}
	CU_ASSERT(sent[0] > 0 && sent[0] < 3000);
	weir_snapshot_free(old);
	tear_down(now);
}

/* A rate that is lowered while a worker is late: what an idle bucket held stays, and no debt comes.
 */
static void
test_rate_lowered_late(void)
{
	struct class_plan plans[CLASSES] = {
	    {10000000000, 16000, 100000}, {8000000, 3000, 0}, {8000000, 3000, 0}};
	uint64_t now = 1000, sent[CLASSES] = {0}, token, start;
	struct weir_snapshot *old, *next;

	set_up(plans, 1, UINT64_MAX / 2, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	start = now + HZ;
	plans[0].rate_bit_s = 1000000;
	next = make_snapshot(plans, CLASSES, start);
	next->classes[0].rate.base_bytes = 10000000000 / 8; /* what the old line reached by then */
	old = weir_dataplane_publish(dataplane, next, &token);
	now = start + HZ / 10;
	weir_dataplane_pulse(dataplane, now);
	put_in(0, 0, 1000);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	weir_snapshot_free(old);
	tear_down(now);
}

/* Empties the queue of the port elsewhere. Returns the number of frames. */
static uint32_t
take_elsewhere(void)
{
	struct rte_mbuf *frame;
	uint32_t n = 0;

	for (uint16_t q = 0; q < 2; q++)
		while (rte_eth_rx_burst(elsewhere.port_id, q, &frame, 1) == 1) {
			rte_pktmbuf_free(frame);
			n++;
		}
	return n;
}

/* One class on two links: what the one's port does not take holds nothing up on the other. */
static void
test_two_links(void)
{
	const struct class_plan plans[CLASSES] = {
	    {100000000, 64000, 100000}, {100000000, 64000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0};
	struct weir_flow_totals flow;
	uint32_t other = 0;

	n_links = 2;
	set_up(plans, 1, UINT64_MAX / 2, now);
	/* The outside is full, with nobody to empty it; frames for it wait. */
	for (uint32_t round = 0; round < 2000; round++) {
		put_in(0, 0, 100);
		if (round >= 1500)
			put_in(1, 0, 100);
		now += HZ / 1000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		other += take_elsewhere();
	}
	CU_ASSERT(dataplane->workers[0]->queued_frames > 0);
	CU_ASSERT(other >= 490);
	/* It goes down: what waits for it is dropped, not kept for its return. */
	weir_dataplane_set_link_up(dataplane, outside.port_id, false);
	for (uint32_t round = 0; round < 10; round++) {
		put_in(1, 0, 100);
		now += HZ / 1000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		other += take_elsewhere();
	}
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	CU_ASSERT(other >= 500);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT(flow.dropped[WEIR_DROP_LINK_DOWN] > 0);
	take_out(0, sent);
	n_links = 1;
	dataplane->drain_tsc = 0;
	atomic_store(&dataplane->stop, 1);
	CU_ASSERT_TRUE(weir_worker_round(dataplane->workers[0], now));
	take_out(0, sent);
	(void)take_elsewhere();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	weir_dataplane_free(dataplane);
}

/* Few buffers: a class that floods gets no more of them than it leaves for others. */
static void
test_short_of_buffers(void)
{
	const struct class_plan plans[CLASSES] = {
	    {100000, 3000, 1000000}, {100000, 3000, 1000000}, {100000, 3000, 1000000}};
	uint64_t now = 1000, sent[CLASSES] = {0};

	set_up(plans, 1, UINT64_MAX / 2, now);
	dataplane->workers[0]->config.waiting_max = 1000;
	for (uint32_t class = 0; class < 2; class ++)
		for (uint32_t round = 0; round < 2000; round++) {
			put_in(0, class, 50);
			CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 100));
		}
	CU_ASSERT(dataplane->workers[0]->queues[weir_lane(0, 0)].frames <= 500);
	CU_ASSERT(dataplane->workers[0]->queues[weir_lane(0, 0)].frames >= 499);
	CU_ASSERT(dataplane->workers[0]->queues[weir_lane(0, 1)].frames >= 249);
	take_out(0, sent);
	tear_down(now);
}

/* A cap that is tightened: what a worker holds in its purse goes back before anything else. */
static void
test_recall(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 100000}, {1000000000, 64000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0};

	set_up(plans, 1, 10000000, now);
	put_in(0, 0, 1000);
	now += HZ / 1000;
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	weir_credit_publish(&credit, 0, 2000, WEIR_CREDIT_AT_CAP);
	for (uint32_t round = 0; round < 100; round++) {
		put_in(0, round % 2, 1000);
		now += HZ / 1000;
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		take_out(0, sent);
	}
	CU_ASSERT(sent[0] + sent[1] <= 2000);
	tear_down(now);
}

static void
test_stale_control_and_link_down(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 1000000}, {1000000000, 64000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0};
	struct weir_flow_totals flow;

	set_up(plans, 1, UINT64_MAX / 2, now);
	now += 2 * HZ + 1;
	for (uint32_t i = 0; i < 10; i++) {
		put_in(0, 0, 100);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	}
	CU_ASSERT_EQUAL(take_out(0, sent), 0);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_CONTROL_STALE], 10);
	weir_dataplane_pulse(dataplane, now);
	weir_dataplane_set_link_up(dataplane, outside.port_id, false);
	for (uint32_t i = 0; i < 10; i++) {
		put_in(0, 0, 100);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	}
	CU_ASSERT_EQUAL(take_out(0, sent), 0);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_LINK_DOWN], 10);
	weir_dataplane_set_link_up(dataplane, outside.port_id, true);
	put_in(0, 0, 100);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	CU_ASSERT_EQUAL(sent[0], 14 + 20 + 8 + 100 + 24);
	tear_down(now);
}

/* A rate so low that nothing leaves within a test's time: frames wait or are dropped. */
#define SLOW_BIT_S 1000U

/* The control thread is silent: what waits stays, and leaves when it is back. */
static void
test_stale_control_holds_queues(void)
{
	const struct class_plan plans[CLASSES] = {
	    {8000000, 64000, 100000}, {8000000, 64000, 100000}, {8000000, 64000, 100000}};
	uint64_t now = 1000, sent[CLASSES] = {0};

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t i = 0; i < 12; i++)
		CU_ASSERT_TRUE(put_in(0, i % CLASSES, 100));
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now + 1000));
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 12);
	now += 2 * HZ + 1;
	for (uint32_t round = 0; round < 100; round++)
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 100));
	CU_ASSERT_EQUAL(take_out(0, sent), 0);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 12);
	weir_dataplane_pulse(dataplane, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 12);
	tear_down(now);
}

/* Requests to the NIC that came in with a frame do not go out with it, in neither direction. */
static void
test_requests_to_the_nic(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 0}, {1000000000, 64000, 0}, {1000000, 3000, 0}};
	const uint64_t requests = RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IP_CKSUM |
	                          RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_TCP_SEG |
	                          RTE_MBUF_F_TX_IPV4;
	struct rte_mbuf *in = NULL, *out = NULL;
	uint64_t now = 1000;

	set_up(plans, 1, UINT64_MAX / 2, now);
	in = make_frame(0, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	in->ol_flags |= requests;
	CU_ASSERT_TRUE(put_frame(0, in));
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL_FATAL(rte_eth_rx_burst(outside.port_id, 0, &out, 1), 1);
	CU_ASSERT_EQUAL(out->ol_flags, 0);
	rte_pktmbuf_free(out);

	dataplane->workers[0]->config.rx[1] = (struct weir_rx){.port_id = outside.port_id,
	                                                       .queue_id = 1,
	                                                       .out_port_id = inside.port_id,
	                                                       .direction = WEIR_RETURN,
	                                                       .mtu_bytes = MTU};
	in = make_frame(0, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	in->ol_flags |= requests;
	CU_ASSERT_EQUAL_FATAL(rte_eth_tx_burst(outside.port_id, 1, &in, 1), 1);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL_FATAL(rte_eth_rx_burst(inside.port_id, 0, &out, 1), 1);
	CU_ASSERT_EQUAL(out->ol_flags, 0);
	rte_pktmbuf_free(out);
	tear_down(now);
}

/* A backlog may be filled to its last byte, and not by one more. */
static void
test_backlog_is_exact(void)
{
	const struct class_plan plans[CLASSES] = {
	    {SLOW_BIT_S, 1600, 5 * 166}, {SLOW_BIT_S, 1600, 5 * 166 - 1}, {SLOW_BIT_S, 1600, 848}};
	const uint32_t payloads[] = {100, 100, 100, 200, 1400, 0, 0}; /* the last class's */
	const uint64_t bytes[CLASSES] = {5 * 166, 4 * 166, 3 * 166 + 266 + 84};
	const uint32_t frames[CLASSES] = {5, 4, 5};
	uint64_t now = 1000, sent[CLASSES] = {0};
	struct weir_flow_totals flow;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t i = 0; i < WEIR_TEST_COUNT(payloads); i++) {
		CU_ASSERT_TRUE(put_in(0, 0, 100) && put_in(0, 1, 100) && put_in(0, 2, payloads[i]));
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 100));
		for (uint32_t class = 0; class < CLASSES; class ++)
			CU_ASSERT(dataplane->workers[0]->queues[weir_lane(0, class)].bytes <=
			          plans[class].backlog_bytes);
	}
	for (uint32_t class = 0; class < CLASSES; class ++) {
		const struct weir_queue *queue =
		    &dataplane->workers[0]->queues[weir_lane(0, class)];

		CU_ASSERT_EQUAL(queue->bytes, bytes[class]);
		CU_ASSERT_EQUAL(queue->frames, frames[class]);
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_BACKLOG], 2 + 3 + 2);
	CU_ASSERT_EQUAL(take_out(0, sent), 0);
	tear_down(now);
}

/* A lane whose frames are gone, with its class, is looked at no more. */
static void
test_removed_class_leaves_the_pacer(void)
{
	struct class_plan plans[CLASSES] = {
	    {SLOW_BIT_S, 1600, 10000}, {SLOW_BIT_S, 1600, 10000}, {SLOW_BIT_S, 1600, 10000}};
	struct weir_snapshot *old;
	uint64_t now = 1000, token;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t i = 0; i < 9; i++)
		CU_ASSERT_TRUE(put_in(0, i % CLASSES, 100));
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	CU_ASSERT_EQUAL(dataplane->workers[0]->pacer.waiting, 3);
	plans[0].rate_bit_s = plans[2].rate_bit_s = 0;
	old = weir_dataplane_publish(dataplane, make_snapshot(plans, CLASSES, 1000), &token);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += 1000));
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 3);
	CU_ASSERT_EQUAL(dataplane->workers[0]->pacer.waiting, 1);
	weir_snapshot_free(old);
	for (uint32_t lane = 0; lane < CLASSES; lane++)
		weir_egress_purge(dataplane->workers[0], lane, WEIR_DROP_CLASS_REMOVED);
	CU_ASSERT_EQUAL(dataplane->workers[0]->pacer.waiting, 0);
	tear_down(now);
}

/* Puts a frame of a class in that carries a number. */
static void
put_numbered(uint32_t class, uint32_t *number)
{
	struct rte_mbuf *mbuf = make_frame(class, 100);

	CU_ASSERT_PTR_NOT_NULL_FATAL(mbuf);
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, 14 + 20 + 8), number, sizeof(*number));
	(*number)++;
	CU_ASSERT_TRUE(put_frame(0, mbuf));
}

/* Takes out up to n frames; each must carry a larger number than the one of its class before. */
static uint32_t
take_numbered(uint32_t n, uint64_t *next)
{
	struct rte_mbuf *frame;
	uint32_t taken = 0;

	while (taken < n && rte_eth_rx_burst(outside.port_id, 0, &frame, 1) == 1) {
		const uint8_t *data = rte_pktmbuf_mtod(frame, const uint8_t *);
		uint32_t class = (uint32_t)(data[36] << 8 | data[37]) - 1000, number;

		CU_ASSERT_FATAL(class < CLASSES);
		memcpy(&number, data + 14 + 20 + 8, sizeof(number));
		CU_ASSERT(number >= next[class]);
		next[class] = (uint64_t)number + 1;
		rte_pktmbuf_free(frame);
		taken++;
	}
	return taken;
}

/* Frames of a class leave in the order they came, whatever the port takes and when. */
static void
test_order(void)
{
	const struct class_plan plans[CLASSES] = {{100000000000, 1000000, 20000},
	                                          {100000000000, 1000000, 50000},
	                                          {300000000, 3000, 30000}};
	struct weir_random random = weir_random_make(weir_test_seed());
	uint64_t now = 1000, next[CLASSES] = {0};
	struct weir_flow_totals flow;
	uint32_t number = 0, out = 0;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t round = 0; round < 4000; round++) {
		if (round < 3000)
			for (uint32_t i = 0; i < 32; i++)
				put_numbered((uint32_t)weir_random_below(&random, CLASSES),
				             &number);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		if (round >= 100) /* full by then */
			out += take_numbered((uint32_t)weir_random_below(&random, 50), next);
		if (round % 100 == 0)
			check_conservation();
	}
	out += take_numbered(UINT32_MAX, next);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT(flow.dropped[WEIR_DROP_BACKLOG] > 0);
	CU_ASSERT_EQUAL(out, flow.tx_frames);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	tear_down(now);
}

/* More for one port in one round than is gathered at once, both when it comes in and later. */
static void
test_more_than_is_gathered(void)
{
	const struct class_plan plans[CLASSES] = {{100000000000, 1000000, 100000},
	                                          {100000000000, 1000000, 100000},
	                                          {100000000000, 1000000, 100000}};
	const uint32_t n = 5 * WEIR_BURST;
	uint64_t now = 1000, next[CLASSES] = {0};
	struct weir_worker_config *config;
	uint32_t number = 0;

	static_assert(4 * WEIR_BURST > WEIR_OUT_MAX, "this must overflow it");
	set_up(plans, 1, UINT64_MAX / 2, now);
	config = &dataplane->workers[0]->config;
	for (config->n_rx = 0; config->n_rx < 5; config->n_rx++)
		config->rx[config->n_rx] = config->rx[0];
	/* In one round, with an empty bucket: all wait. In the next all are due. */
	for (uint32_t i = 0; i < n; i++)
		put_numbered(i % CLASSES, &number);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_numbered(UINT32_MAX, next), 0);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, n);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL(take_numbered(UINT32_MAX, next), CLASSES * WEIR_BURST);
	for (uint32_t round = 0; round < 2; round++)
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL(take_numbered(UINT32_MAX, next), n - CLASSES * WEIR_BURST);
	/* And with a full one: all leave at once. */
	for (uint32_t i = 0; i < n; i++)
		put_numbered(i % CLASSES, &number);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL(take_numbered(UINT32_MAX, next), n);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	tear_down(now);
}

static const struct weir_test tests[] = {
    {"a slow ledger, a failed ledger", test_slow_ledger},
    {"a change of policy", test_policy_swap},
    {"a burst that is raised", test_burst_raised},
    {"a rate that is lowered late", test_rate_lowered_late},
    {"a class on two links", test_two_links},
    {"few buffers", test_short_of_buffers},
    {"a cap that is tightened", test_recall},
    {"stale control, link down", test_stale_control_and_link_down},
    {"stale control holds what waits", test_stale_control_holds_queues},
    {"requests to the NIC", test_requests_to_the_nic},
    {"a backlog is exact", test_backlog_is_exact},
    {"a removed class leaves the pacer", test_removed_class_leaves_the_pacer},
    {"frames keep their order", test_order},
    {"more than is gathered at once", test_more_than_is_gathered},
};

int
main(void)
{
	return run_in_box("egress_change", tests, WEIR_TEST_COUNT(tests));
}
