/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's real round, driven by a simulated clock, between DPDK ring ports: frames are put in
 * at the inside and judged at the outside, as the outside sees them.
 */
#include "dataplane/worker_state.h"
#include "drivers/eal.h"
#include "drivers/memory.h"
#include "drivers/port.h"
#include "tests/unit/frames.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>

__extension__ typedef __int128 wide;

#define HZ          UINT64_C(2596098010)
#define CLASSES     3U
#define MTU         1500U
#define POOL_FRAMES 8191U

/* Stands in for the policy's numbers of one class. */
struct class_plan {
	uint64_t rate_bit_s;
	uint32_t burst_bytes, backlog_bytes;
};

static struct weir_port inside, outside;
static struct rte_mempool *pool;
static struct weir_credit credit;
static struct weir_dataplane *dataplane;
static uint64_t generation;

/* Class i: UDP to port 1000 + i. Budget path: its own (1 + i), then the root 0. */
static struct weir_snapshot *
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

static void
set_up(const struct class_plan *plans, uint32_t n_workers, uint64_t root_bytes, uint64_t now)
{
	struct weir_worker_config workers[2] = {0};
	struct weir_dataplane_config config = {.tsc_hz = HZ,
	                                       .drain_tsc = HZ,
	                                       .n_links = 1,
	                                       .n_workers = n_workers,
	                                       .workers = workers};
	struct weir_snapshot *first = make_snapshot(plans, CLASSES, now);
	char error[128] = "";

	for (uint32_t w = 0; w < n_workers; w++) {
		workers[w].tx_queue = (uint16_t)w;
		workers[w].node = WEIR_NODE_ANY;
		workers[w].n_rx = 2;
		workers[w].rx[0] = (struct weir_rx){.port_id = inside.port_id,
		                                    .queue_id = (uint16_t)w,
		                                    .out_port_id = outside.port_id,
		                                    .direction = WEIR_EGRESS,
		                                    .mtu_bytes = MTU};
		/* The return path's frames are the test's to read: polled on no queue of outside.
		 */
		workers[w].rx[1] = workers[w].rx[0];
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
		weir_pacer_init(&dataplane->workers[w]->pacer, HZ, now);
	weir_dataplane_pulse(dataplane, now);
}

/* Puts a UDP frame of a class in at the inside. False when the ring is full. */
static bool
put_in(uint16_t queue, uint32_t class, uint32_t payload_bytes)
{
	struct frame frame;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL)
		return false;
	frame_ethernet(&frame, 0x0800);
	frame_ip4(&frame, 17, 0, 0, 8 + payload_bytes);
	frame_udp(&frame, 7, 1000 + class, payload_bytes);
	/* What the buffer held before must never leave. */
	memset(rte_pktmbuf_mtod(mbuf, void *), 0xee, 100);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)frame.bytes), frame.data, frame.bytes);
	if (rte_eth_tx_burst(inside.port_id, queue, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

/* Takes all that has left by a queue: wire bytes by class, and frames. */
static uint32_t
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
static void
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
static void
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
	for (uint16_t q = 0; q < 2; q++) {
		struct rte_mbuf *frame;

		take_out(q, sink);
		while (rte_eth_rx_burst(inside.port_id, q, &frame, 1) == 1)
			rte_pktmbuf_free(frame);
	}
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	weir_dataplane_free(dataplane);
}

struct judge {
	uint64_t total_bytes;
	wide lowest;
	bool any, broken;
};

static void
judge_departure(struct judge *judge, const struct class_plan *plan, uint64_t tsc, uint64_t bytes)
{
	const wide scale = (wide)8 * HZ;
	wide line = (wide)plan->rate_bit_s * tsc;
	wide before = scale * judge->total_bytes - line;

	if (!judge->any || before < judge->lowest)
		judge->lowest = before;
	judge->any = true;
	judge->total_bytes += bytes;
	if (scale * judge->total_bytes - line - judge->lowest > scale * plan->burst_bytes)
		judge->broken = true;
}

/*
 * A flood of every class by up to two workers. What a worker sent in a round is judged at a random
 * moment before its next round: at the earliest and at the latest one, too.
 */
static void
flood(struct weir_random *random, uint32_t n_workers, const struct class_plan *plans,
      uint64_t round_max, bool stalls)
{
	uint64_t now[2] = {1000, 1700}, next[2], start = 1000;
	struct judge judges[CLASSES] = {0};

	set_up(plans, n_workers, UINT64_MAX / 2, 1000);
	memcpy(next, now, sizeof(next));
	for (uint32_t round = 0; round < 20000; round++) {
		uint16_t w = n_workers == 2 && next[1] < next[0];
		uint64_t sent[CLASSES] = {0}, when;

		now[w] = next[w];
		for (uint32_t i = 0; i < 16; i++)
			if (!put_in(w, (uint32_t)weir_random_below(random, CLASSES),
			            (uint32_t)weir_random_below(random, 1472)))
				break;
		weir_dataplane_pulse(dataplane, now[w]);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now[w]));
		next[w] += 1 + weir_random_below(random, stalls && weir_random_one_in(random, 100)
		                                             ? round_max * 200
		                                             : round_max);
		take_out(w, sent);
		/*
		 * Departures of two workers overlap: they are judged at the reading, which the
		 * bucket's own test proves to be the hardest that two workers allow here.
		 */
		when = n_workers == 1 ? weir_random_between(random, now[w], next[w]) : now[w];
		for (uint32_t i = 0; i < CLASSES; i++)
			if (sent[i] > 0)
				judge_departure(&judges[i], &plans[i], when, sent[i]);
		if (round % 1000 == 0)
			check_conservation();
	}
	for (uint32_t i = 0; i < CLASSES; i++) {
		uint64_t allowed =
		    (uint64_t)((wide)plans[i].rate_bit_s * (now[0] - start) / 8 / HZ);

		CU_ASSERT_FALSE(judges[i].broken);
		CU_ASSERT_TRUE(judges[i].any);
		if (!stalls) /* offered far more than the rate: all but a burst of it is used */
			CU_ASSERT(judges[i].total_bytes + plans[i].burst_bytes >= allowed);
	}
	tear_down(now[0] > now[1] ? now[0] : now[1]);
}

static void
test_rate_in_every_interval(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	const struct class_plan slow[CLASSES] = {
	    {50000000, 64000, 100000}, {1000000, 3000, 50000}, {200000000, 32000, 0}};
	const struct class_plan fast[CLASSES] = {
	    {2000000000, 64000, 300000}, {400000000, 20000, 50000}, {10000000, 1600, 20000}};

	flood(&random, 1, slow, HZ / 20000, false);
	flood(&random, 1, slow, HZ / 20000, true);
	flood(&random, 1, fast, HZ / 100000, true);
	flood(&random, 2, slow, HZ / 20000, false);
	flood(&random, 2, fast, HZ / 50000, true);
}

/* Sends until nothing more leaves, and returns the wire bytes that did. */
static uint64_t
exhaust(struct weir_random *random, uint32_t n_workers, uint64_t now)
{
	uint64_t sent[CLASSES] = {0};

	for (uint32_t round = 0, quiet = 0; quiet < 5000 && round < 200000; round++) {
		uint16_t w = (uint16_t)weir_random_below(random, n_workers);

		for (uint32_t i = 0; i < 8; i++)
			put_in(w, (uint32_t)weir_random_below(random, CLASSES), 1472);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now));
		quiet = take_out(w, sent) > 0 ? 0 : quiet + 1;
	}
	check_conservation();
	tear_down(now);
	return sent[0] + sent[1] + sent[2];
}

static void
test_cap_is_exact(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 100000}, {500000000, 64000, 0}, {100000000, 3000, 100000}};
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 10; i++) {
		uint64_t cap = weir_random_between(&random, 1, 20000000);
		uint64_t sent;

		set_up(plans, 1 + i % 2, cap, 5000);
		sent = exhaust(&random, 1 + i % 2, 5000);
		CU_ASSERT(sent <= cap);
		CU_ASSERT(sent + 1472 + 8 + 20 + 14 + 24 > cap);
	}
}

/* The outside port takes nothing for a while: nothing is charged, and nothing is lost but what
 * exceeds the backlog. */
static void
test_backpressure(void)
{
	const struct class_plan plans[CLASSES] = {
	    {100000000000, 1000000, 200000}, {100000000000, 1000000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0};
	struct weir_flow_totals flow;
	uint32_t in = 0, out = 0;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t round = 0; round < 300; round++) {
		for (uint32_t i = 0; i < 16; i++)
			in += put_in(0, i % 2, 100);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		check_conservation();
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT(flow.tx_frames < in);
	CU_ASSERT(flow.dropped[WEIR_DROP_BACKLOG] > 0);
	CU_ASSERT(flow.dropped[WEIR_DROP_TX_FULL] > 0);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_RATE], 0);
	for (uint32_t round = 0; round < 2000; round++) {
		out += take_out(0, sent);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(out, flow.tx_frames);
	CU_ASSERT_EQUAL(sent[0] + sent[1], flow.tx_wire_bytes);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
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

static const struct weir_test tests[] = {
    {"the rate holds in every interval", test_rate_in_every_interval},
    {"the cap is exact", test_cap_is_exact},
    {"a port that takes nothing", test_backpressure},
    {"a change of policy", test_policy_swap},
    {"stale control, link down", test_stale_control_and_link_down},
};

static void
open_port(const char *name, struct weir_port *port)
{
	struct weir_port_config config = {.mtu_bytes = MTU, .rx_queues = 2, .tx_queues = 2};
	char error[256] = "";

	snprintf(config.name, sizeof(config.name), "%s", name);
	snprintf(config.device, sizeof(config.device), "net_ring_%s", name);
	if (weir_port_open(&config, 4095, port, error, sizeof(error)) != 0 ||
	    weir_port_start(port, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		exit(1);
	}
}

int
main(void)
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
	open_port("inside", &inside);
	open_port("outside", &outside);
	pool = rte_pktmbuf_pool_create("test", POOL_FRAMES, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	if (pool == NULL)
		return 1;
	rc = weir_test_run("egress", tests, WEIR_TEST_COUNT(tests));
	weir_port_stop(&inside);
	weir_port_stop(&outside);
	weir_port_close(&inside);
	weir_port_close(&outside);
	weir_eal_finish();
	return rc;
}
