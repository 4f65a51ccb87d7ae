/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits tested with padding before anything that came in leaves (limiter_test), on the whole path,
 * judged at the model's wire: what leaves, when, and that each class stays below its line.
 */
#include "dataplane/padding.h"
#include "dataplane/worker_state.h"
#include "tests/nic/hardware_sim.h"

#include <rte_ether.h>
#include <string.h>

#define MBIT    UINT64_C(1000000)
#define MS      ((uint64_t)WEIR_NS_PER_MS)
#define CLASSES 4U
#define BURST   60000U /* bytes */
#define FULL    (WEIR_HWSIM_MTU + 14U)
#define TEST_MS 1000U
#define TEST_NS (TEST_MS * MS)
#define STEP_NS (10 * MS)
/* It begins with the first look and ends with one. */
#define TEST_MOST_NS (TEST_NS + 2 * WEIR_HARDWARE_LOOK_NS + STEP_NS)
#define CHEATED      1U /* class */
#define BUFFERS      65536U
/* What the simulation itself writes into frames, by which it knows them again. */
#define MARKS_BEGIN 36U
#define MARKS_END   58U

static const char ixgbe[] = "model1,family=ixgbe,queues=17,speed=10G,events=1";
static const char ice[] = "model1,family=ice,queues=17,speed=10G,events=1";
/* Tells too late, or of the wrong frame, what has left. */
static const char txgbe[] = "model1,family=txgbe,queues=17,speed=10G";
static const char *const devices[] = {ixgbe, ice};

static const uint64_t rates_mbit[CLASSES] = {1000, 40, 100, 250};

static struct weir_hwsim sim;
static uint64_t own_left;     /* frames at the wire that are no padding */
static uint64_t padding_left; /* and those that are, whole and as they should be */

/* Whether it says nothing of what its buffer held before. */
static bool
is_blank(const uint8_t *data)
{
	static const uint8_t zeroes[FULL];

	return memcmp(data + RTE_ETHER_HDR_LEN, zeroes, MARKS_BEGIN - RTE_ETHER_HDR_LEN) == 0 &&
	       memcmp(data + MARKS_END, zeroes, FULL - MARKS_END) == 0;
}

/* All buffers that padding is made of look as if servers' frames had been in them. */
static void
use_buffers(void)
{
	struct rte_mempool *buffers = sim.appliance->dataplane->padding[0].pool;
	static struct rte_mbuf *used[BUFFERS];
	uint32_t n = 0;

	if (buffers == NULL)
		return; /* no test */
	CU_ASSERT_FATAL(buffers->size <= BUFFERS);
	while (n < BUFFERS && (used[n] = rte_pktmbuf_alloc(buffers)) != NULL)
		memset(rte_pktmbuf_append(used[n++], FULL), 0xa5, FULL);
	CU_ASSERT(n > 0);
	rte_pktmbuf_free_bulk(used, n);
}

static void
note_left(void *arg, uint32_t class, const struct weir_model_frame *frame)
{
	static const uint8_t sink[] = {2, 0, 0, 0, 0, 1};
	const struct rte_ether_hdr *header =
	    rte_pktmbuf_mtod(frame->mbuf, const struct rte_ether_hdr *);

	(void)arg;
	(void)class;
	if (header->ether_type != rte_cpu_to_be_16(WEIR_PADDING_ETHERTYPE)) {
		own_left++;
		return;
	}
	padding_left++;
	CU_ASSERT_EQUAL(frame->wire_bytes, WEIR_HWSIM_WIRE_MAX);
	CU_ASSERT_EQUAL(memcmp(&header->dst_addr, sink, sizeof(sink)), 0);
	if (frame->mbuf->data_len != FULL || !is_blank((const uint8_t *)header))
		weir_hwsim_fail(&sim, "padding that shows what was in its buffer");
}

static struct weir_hwsim_policy
policy_of(const char *device, bool required)
{
	struct weir_hwsim_policy policy = {.outside = device,
	                                   .limiter = "auto",
	                                   .required = required,
	                                   .test_ms = TEST_MS,
	                                   .n_workers = 1,
	                                   .n_classes = CLASSES};

	for (uint32_t i = 0; i < CLASSES; i++)
		policy.classes[i] = (struct weir_hwsim_class){.rate_bit_s = rates_mbit[i] * MBIT,
		                                              .burst_bytes = BURST,
		                                              .backlog_bytes = BURST};
	return policy;
}

/* All classes have frames that want out, from the first moment. */
static void
open_box(const struct weir_hwsim_policy *policy)
{
	weir_hwsim_open(&sim, policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = 5 * WEIR_NS_PER_US;
	sim.on_left = note_left;
	own_left = padding_left = 0;
	use_buffers();
	for (uint32_t i = 0; i < CLASSES; i++)
		sim.sources[i] = (struct weir_hwsim_source){.rate_bit_s = rates_mbit[i] * MBIT / 4,
		                                            .least = FULL,
		                                            .most = FULL,
		                                            .most_due_bytes = 4 * FULL};
}

static uint32_t
queue_of(uint32_t class)
{
	return sim.hardware->plan.classes[class].queue;
}

/* Runs until the test is over; nothing but padding has left by then. Returns how long it took. */
static uint64_t
run_test(uint64_t most_ns)
{
	uint64_t begin_ns = sim.now_ns;

	while (sim.hardware->test == WEIR_TEST_RUNNING && sim.now_ns - begin_ns < most_ns) {
		CU_ASSERT_EQUAL(own_left + sim.traffic_frames, 0);
		weir_hwsim_run(&sim, STEP_NS);
		if (sim.error[0] != '\0')
			break;
	}
	return sim.now_ns - begin_ns;
}

/* What came in leaves, and each class gets what it asks for. */
static void
check_traffic(void)
{
	uint64_t before[CLASSES];

	weir_hwsim_run(&sim, 100 * MS);
	for (uint32_t i = 0; i < CLASSES; i++)
		before[i] = sim.tape.classes[i].left_bytes;
	weir_hwsim_run(&sim, 200 * MS);
	for (uint32_t i = 0; i < CLASSES; i++)
		CU_ASSERT(sim.tape.classes[i].left_bytes - before[i] >=
		          rates_mbit[i] * MBIT / 8 / 4 / 5 * 9 / 10);
}

/* How many events of a kind there are. */
static uint32_t
events_of(const char *kind)
{
	struct weir_event event;
	uint32_t n = 0;

	for (uint64_t i = 1; weir_events_get(sim.events, i, &event); i = event.number + 1)
		n += strcmp(event.kind, kind) == 0 ? 1 : 0;
	return n;
}

/* Honest ones: all that they send is below each class's line, and their limits are said to hold. */
static void
test_held(void)
{
	/* The last one with two workers, which have each class's burst between them. */
	for (uint32_t n = 0; n < 3; n++) {
		struct weir_hwsim_policy policy = policy_of(devices[n > 0], true);

		policy.n_workers = n == 2 ? 2 : 1;
		open_box(&policy);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_RUNNING);
		CU_ASSERT(run_test(2 * TEST_NS) <= TEST_MOST_NS);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_HELD);
		CU_ASSERT(padding_left > 0 && events_of("limits_tested") > 0);
		for (uint32_t i = 0; i < CLASSES; i++) {
			const struct weir_hardware_queue *queue =
			    &sim.hardware->queues[queue_of(i)];

			CU_ASSERT_EQUAL(queue->tested, WEIR_VERDICT_HELD);
			/* But for what is told late. */
			CU_ASSERT(queue->measured_bit_s <= queue->programmed_bit_s / 1000 * 1005);
			CU_ASSERT(queue->measured_bit_s >= queue->programmed_bit_s / 100 * 97);
			/* It waited for a burst, and had all that its rate allows from then on. */
			CU_ASSERT(sim.tape.classes[i].left_bytes >=
			          rates_mbit[i] * MBIT / 8 * TEST_MS / 1000 * 95 / 100 - BURST);
		}
		check_traffic();
		CU_ASSERT_EQUAL(sim.alarms, 0);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* A queue that is too fast is found before anything else leaves; the port goes on in software. */
static void
test_fast(void)
{
	static const uint32_t factors_ppm[] = {1050000, 2000000, 10000000};

	for (uint32_t n = 0; n < 2 * WEIR_TEST_COUNT(factors_ppm); n++) {
		struct weir_hwsim_policy policy = policy_of(devices[n % 2], false);
		uint32_t cheated;
		uint64_t took_ns;

		open_box(&policy);
		sim.judging = false;
		cheated = queue_of(CHEATED);
		sim.outside->cheat.rate_ppm = factors_ppm[n / 2];
		sim.outside->cheat.rate_queue = (uint16_t)cheated;
		took_ns = run_test(2 * TEST_NS);
		printf("    %s: a queue %.2f times too fast is found after %" PRIu64
		       " ms of its test\n",
		       n % 2 == 0 ? "ixgbe" : "ice", factors_ppm[n / 2] / 1e6, took_ns / MS);
		CU_ASSERT(took_ns < TEST_NS);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_FAST);
		CU_ASSERT_EQUAL(sim.hardware->queues[cheated].tested, WEIR_VERDICT_FAST);
		CU_ASSERT(events_of("limiter_fast") > 0);
		check_traffic();
		CU_ASSERT_EQUAL(weir_model_waiting(sim.outside, (uint16_t)cheated), 0);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* The port is not used, and stays so. */
static void
expect_shut(void)
{
	weir_hwsim_run(&sim, 300 * MS);
	CU_ASSERT(sim.appliance->port_watch[1].state != WEIR_PORT_UP);
	padding_left = 0;
	weir_hwsim_run(&sim, 1500 * MS);
	CU_ASSERT_EQUAL(own_left + sim.traffic_frames + padding_left, 0);
	CU_ASSERT(sim.alarms > 0);
}

static void
test_fast_required(void)
{
	struct weir_hwsim_policy policy = policy_of(ixgbe, true);

	open_box(&policy);
	sim.judging = false;
	sim.outside->cheat.rate_ppm = 1500000;
	sim.outside->cheat.rate_queue = WEIR_MODEL_ALL_QUEUES;
	CU_ASSERT(run_test(2 * TEST_NS) < TEST_NS + STEP_NS);
	CU_ASSERT_TRUE(sim.hardware->fast);
	expect_shut();
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_FAST);
	weir_hwsim_finish(&sim);
}

/*
 * Of a burst that a NIC may send at once a test can tell nothing, be it honest or not; and a NIC
 * that does not tell what has left can't be measured at all. It is said so, and the port is used
 * only where limits are not required.
 */
static void
test_unmeasured(void)
{
	struct weir_hwsim_policy policy = policy_of(ice, false);

	for (uint32_t n = 0; n < 4; n++) {
		/* The policy's own check knows only the least that it takes. */
		policy.classes[CHEATED].burst_bytes = 16500;
		policy.required = n >= 2;
		open_box(&policy);
		sim.judging = false;
		sim.outside->cheat.rate_ppm = n % 2 == 0 ? 0 : 1500000;
		sim.outside->cheat.rate_queue = (uint16_t)queue_of(CHEATED);
		(void)run_test(2 * TEST_NS);
		CU_ASSERT_EQUAL(sim.hardware->queues[queue_of(CHEATED)].tested,
		                policy.required ? WEIR_VERDICT_SOFTWARE : WEIR_VERDICT_UNMEASURED);
		CU_ASSERT(events_of("limits_untested") > 0);
		if (policy.required) {
			expect_shut();
		} else {
			CU_ASSERT_EQUAL(sim.alarms, 0);
			CU_ASSERT(queue_of(CHEATED) > 0);
			check_traffic();
			weir_hwsim_drain(&sim);
		}
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_UNMEASURED);
		weir_hwsim_finish(&sim);
	}
	policy = policy_of(txgbe, false);
	open_box(&policy);
	CU_ASSERT_TRUE(sim.hardware->open);
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_UNMEASURED);
	CU_ASSERT(events_of("limits_untested") > 0);
	check_traffic();
	CU_ASSERT_EQUAL(padding_left, 0);
	weir_hwsim_drain(&sim);
	weir_hwsim_finish(&sim);
}

/* One that looks too fast, and never sent more than may go at once, is not said to hold. */
static void
test_looks_fast(void)
{
	struct weir_hwsim_policy policy = policy_of(ice, false);

	policy.classes[CHEATED].burst_bytes = 20000;
	open_box(&policy);
	sim.judging = false;
	sim.outside->cheat.rate_ppm = 1030000;
	sim.outside->cheat.rate_queue = (uint16_t)queue_of(CHEATED);
	(void)run_test(2 * TEST_NS);
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_UNMEASURED);
	weir_hwsim_drain(&sim);
	weir_hwsim_finish(&sim);
}

/* The link is down for a moment; returns once the port is up again. */
static void
flap(void)
{
	uint64_t starts = sim.outside->starts;

	weir_model_blink(sim.outside, 10000, MS);
	sim.noticed_ns = 0;
	while (sim.outside->starts == starts && sim.error[0] == '\0')
		weir_hwsim_run(&sim, STEP_NS);
	/* What was on its way by then has left or is lost. */
	own_left = sim.traffic_frames = 0;
	weir_hwsim_run(&sim, 3 * WEIR_HARDWARE_LOOK_NS);
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_RUNNING);
}

/* A link that was down while all classes had frames that waited: the test goes first again. */
static void
test_flap(void)
{
	for (uint32_t n = 0; n < 2; n++) {
		struct weir_hwsim_policy policy = policy_of(devices[n], true);

		open_box(&policy);
		(void)run_test(2 * TEST_NS);
		for (uint32_t i = 0; i < CLASSES; i++)
			sim.sources[i].rate_bit_s = rates_mbit[i] * MBIT * 2;
		weir_hwsim_run(&sim, 200 * MS);
		for (uint32_t i = 0; i < CLASSES; i++)
			CU_ASSERT(weir_hwsim_queued(&sim, i) > 0);
		flap();
		(void)run_test(2 * TEST_NS);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_HELD);
		CU_ASSERT_EQUAL(sim.alarms, 0);
		check_traffic();
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* What comes between: a policy, a link that blinks. The test begins anew, and ends as it should. */
static void
test_again(void)
{
	for (uint32_t n = 0; n < 4; n++) {
		struct weir_hwsim_policy policy = policy_of(devices[n % 2], true);

		open_box(&policy);
		weir_hwsim_run(&sim, TEST_NS / 2);
		if (n >= 2) {
			flap();
		} else {
			uint64_t starts = sim.outside->starts;

			policy.classes[0].rate_bit_s = 500 * MBIT;
			CU_ASSERT_TRUE(weir_hwsim_apply(&sim, &policy));
			weir_hwsim_run(&sim, 5 * WEIR_HARDWARE_LOOK_NS);
			CU_ASSERT_EQUAL(sim.outside->starts, starts + 1);
			CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_RUNNING);
		}
		CU_ASSERT(run_test(2 * TEST_NS) <= TEST_MOST_NS);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_HELD);
		CU_ASSERT_EQUAL(sim.alarms, 0);
		weir_hwsim_run(&sim, 100 * MS);
		CU_ASSERT(own_left > 0);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* What is told of a class's queue. */
static void
expect_tested(uint32_t class, const char *expected)
{
	json_t *json = weir_hardware_json(sim.appliance);
	const json_t *port = json_array_get(json_object_get(json, "ports"), 0), *queue;
	const char *tested = NULL;
	size_t i;

	json_array_foreach (json_object_get(port, "queues"), i, queue)
		if (json_integer_value(json_object_get(queue, "queue")) == queue_of(class))
			tested = json_string_value(json_object_get(queue, "tested"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(tested);
	CU_ASSERT_STRING_EQUAL(tested, expected);
	json_decref(json);
}

/*
 * A policy after the test: what it sets was not tested, and that is told, until the port's next
 * start. Where a change takes down all limits and sets them anew, none of them was.
 */
static void
test_later(void)
{
	for (uint32_t n = 0; n < 2; n++) {
		struct weir_hwsim_policy policy = policy_of(devices[n], true);

		open_box(&policy);
		expect_tested(0, "no"); /* yet */
		(void)run_test(2 * TEST_NS);
		CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_HELD);
		/* Another backlog is none of the NIC's business. */
		policy.classes[0].backlog_bytes *= 2;
		CU_ASSERT_TRUE(weir_hwsim_apply(&sim, &policy));
		weir_hwsim_run(&sim, 500 * MS);
		for (uint32_t i = 0; i < CLASSES; i++)
			expect_tested(i, "held");
		CU_ASSERT_EQUAL(events_of("limits_untested"), 0);
		policy.classes[0].rate_bit_s = 500 * MBIT;
		CU_ASSERT_TRUE(weir_hwsim_apply(&sim, &policy));
		weir_hwsim_run(&sim, 500 * MS);
		CU_ASSERT_EQUAL(sim.hardware->change, WEIR_HARDWARE_SETTLED);
		expect_tested(0, "no");
		for (uint32_t i = 1; i < CLASSES; i++)
			expect_tested(i, n == 0 ? "held" : "no");
		CU_ASSERT_EQUAL(events_of("limits_untested"), 1);
		flap();
		(void)run_test(2 * TEST_NS);
		for (uint32_t i = 0; i < CLASSES; i++)
			expect_tested(i, "held");
		CU_ASSERT_EQUAL(events_of("limits_untested"), 1);
		CU_ASSERT_EQUAL(sim.alarms, 0);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* A stop in the middle: workers end, and every frame is accounted for. */
static void
test_stop(void)
{
	struct weir_hwsim_policy policy = policy_of(ixgbe, true);

	open_box(&policy);
	weir_hwsim_run(&sim, TEST_NS / 2);
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_RUNNING);
	CU_ASSERT_EQUAL(weir_hwsim_charged(&sim), sim.tape.handed_bytes);
	CU_ASSERT_EQUAL(own_left + sim.traffic_frames, 0);
	weir_hwsim_finish(&sim);
}

/* Padding is paid for as all else: without a budget for it there is none, and nothing is dropped.
 */
static void
test_cap(void)
{
	struct weir_hwsim_policy policy = policy_of(ixgbe, false);
	const uint64_t cap = 200000;
	struct weir_flow_totals totals;

	open_box(&policy);
	weir_credit_publish(sim.appliance->credit, 0, cap, WEIR_CREDIT_AT_CAP);
	weir_hwsim_run(&sim, TEST_NS / 2);
	CU_ASSERT(padding_left > 0 && padding_left * WEIR_HWSIM_WIRE_MAX <= cap);
	weir_dataplane_flow_totals(sim.appliance->dataplane, 0, WEIR_EGRESS, &totals);
	for (uint32_t reason = 0; reason < WEIR_DROPS; reason++)
		CU_ASSERT_EQUAL(totals.dropped[reason], 0);
	(void)run_test(2 * TEST_NS);
	CU_ASSERT_EQUAL(sim.hardware->test, WEIR_TEST_UNMEASURED);
	weir_hwsim_run(&sim, 100 * MS);
	CU_ASSERT(weir_hwsim_charged(&sim) <= cap);
	weir_hwsim_finish(&sim);
}

static const struct weir_test tests[] = {
    {"honest NICs hold", test_held},
    {"a queue too fast is found first", test_fast},
    {"limits that are required, and too fast", test_fast_required},
    {"what can't be measured", test_unmeasured},
    {"what looks too fast", test_looks_fast},
    {"a policy or a link in between", test_again},
    {"a link that was down under traffic", test_flap},
    {"a policy after the test", test_later},
    {"a stop in between", test_stop},
    {"padding and caps", test_cap},
};

int
main(void)
{
	return weir_hwsim_main("hardware_padding", tests, WEIR_TEST_COUNT(tests));
}
