/* SPDX-License-Identifier: BSD-3-Clause */
/* What a new policy does to limits that are in force in a NIC, on the whole path. */
#include "tests/nic/hardware_sim.h"

#include <string.h>

#define MBIT     UINT64_C(1000000)
#define MS       ((uint64_t)WEIR_NS_PER_MS)
#define ROUND_NS (5 * WEIR_NS_PER_US)
#define BURST    300000U /* bytes */
#define FULL     (WEIR_HWSIM_MTU + 14U)
#define CLASSES  4U

static const char ixgbe[] = "model1,family=ixgbe,queues=17,speed=1G,events=1";
static const char ice[] = "model1,family=ice,queues=17,speed=10G";
static const char cnxk[] = "model1,family=cnxk,queues=17,speed=10G";

static struct weir_hwsim sim;

static struct weir_hwsim_policy
policy_of(const char *device, uint64_t rate_bit_s)
{
	struct weir_hwsim_policy policy = {
	    .outside = device, .limiter = "auto", .n_workers = 1, .n_classes = CLASSES};

	for (uint32_t i = 0; i < CLASSES; i++)
		policy.classes[i] = (struct weir_hwsim_class){
		    .rate_bit_s = rate_bit_s, .burst_bytes = BURST, .backlog_bytes = BURST};
	return policy;
}

static void
steady(void)
{
	sim.shortest_round_ns = sim.longest_round_ns = ROUND_NS;
	sim.judging = false;
}

static void
apply(const struct weir_hwsim_policy *policy)
{
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, policy));
	weir_hwsim_run(&sim, 200 * MS);
}

/* What leaves of a class at that offer, in bit/s. */
static uint64_t
leaves(uint32_t class, uint64_t offered_bit_s)
{
	uint64_t before;

	sim.sources[class] = (struct weir_hwsim_source){
	    .rate_bit_s = offered_bit_s, .least = FULL, .most = FULL, .most_due_bytes = 20 * FULL};
	weir_hwsim_run(&sim, 10 * MS);
	before = sim.tape.classes[class].left_bytes;
	weir_hwsim_run(&sim, 100 * MS);
	sim.sources[class].rate_bit_s = 0;
	return (sim.tape.classes[class].left_bytes - before) * 8 * 10;
}

/* Rates whose sum is more than the port can have as a limit: it has none then, not the old one. */
static void
test_port_limit(void)
{
	struct weir_hwsim_policy policy = policy_of(cnxk, 100 * MBIT);

	weir_hwsim_open(&sim, &policy, weir_test_seed());
	steady();
	CU_ASSERT(sim.hardware->limiter.port_bit_s >= 396 * MBIT);
	policy = policy_of(cnxk, 4000 * MBIT);
	apply(&policy);
	CU_ASSERT_EQUAL(sim.hardware->limiter.port_bit_s, 0);
	CU_ASSERT(leaves(0, 2000 * MBIT) >= 1900 * MBIT);
	/* And one again. */
	policy = policy_of(cnxk, 200 * MBIT);
	apply(&policy);
	CU_ASSERT(sim.hardware->limiter.port_bit_s >= 792 * MBIT &&
	          sim.hardware->limiter.port_bit_s <= 800 * MBIT);
	CU_ASSERT(leaves(0, 2000 * MBIT) <= 210 * MBIT);
	/*
	 * The hierarchy outlives a link that goes down, and with it what was in force: a policy of
	 * which the NIC can hold nothing, which came meanwhile, clears it.
	 */
	weir_model_set_link(sim.outside, false, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	policy = policy_of(cnxk, 20000 * MBIT);
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	weir_model_set_link(sim.outside, true, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(leaves(0, 2000 * MBIT) >= 1900 * MBIT);
	weir_hwsim_finish(&sim);
}

/* Limits that can't be set any more: software alone, and the port's old limit is in nobody's way.
 */
static void
test_port_limit_left(void)
{
	struct weir_hwsim_policy policy = policy_of(cnxk, 100 * MBIT);

	weir_hwsim_open(&sim, &policy, weir_test_seed());
	steady();
	CU_ASSERT(sim.hardware->limiter.port_bit_s >= 396 * MBIT);
	/* The link is down for a moment, and the driver does not take what is set anew. */
	sim.outside->cheat.refused_updates = 1;
	weir_model_set_link(sim.outside, false, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	weir_model_set_link(sim.outside, true, 10000);
	weir_hwsim_run(&sim, 300 * MS);
	CU_ASSERT_TRUE(sim.hardware->distrusted);
	sim.noticed_ns = 0; /* nothing is programmed any more, and that is right */
	policy = policy_of(cnxk, 1000 * MBIT);
	apply(&policy);
	/* Its burst is large. */
	for (uint32_t n = 0; n < 4; n++)
		CU_ASSERT(leaves(0, 2000 * MBIT) >= 950 * MBIT);
	weir_hwsim_finish(&sim);
}

/* What weirctl hardware tells of the port. */
static void
expect_told(const char *limiter, const char *verdict, bool reason)
{
	json_t *object = weir_hardware_json(sim.appliance);
	json_t *port = json_array_get(json_object_get(object, "ports"), 0);

	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "limiter")), limiter);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "verdict")), verdict);
	CU_ASSERT_EQUAL(json_is_string(json_object_get(port, "reason")), reason);
	json_decref(object);
}

/* More dedicated classes than queues: in software alone, and the limits of before are gone. */
static void
test_too_many(void)
{
	struct weir_hwsim_policy policy =
	    policy_of("model1,family=cnxk,queues=3,speed=10G", 100 * MBIT);
	struct weir_hwsim_policy few;

	for (uint32_t i = 0; i < CLASSES; i++)
		policy.classes[i].dedicated = true;
	policy.n_classes = 2;
	few = policy;
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	steady();
	sim.judging = true;
	CU_ASSERT(sim.hardware->limiter.port_bit_s >= 198 * MBIT);
	expect_told("tm", "ok", false);
	/* Something waits there, and is not lost. */
	sim.sources[0] = (struct weir_hwsim_source){
	    .rate_bit_s = 100 * MBIT, .least = FULL, .most = FULL, .most_due_bytes = 2 * FULL};
	weir_hwsim_run(&sim, 50 * MS);
	policy.n_classes = 3;
	for (uint32_t i = 0; i < 3; i++)
		policy.classes[i].rate_bit_s = 1000 * MBIT;
	apply(&policy);
	CU_ASSERT_EQUAL(sim.hardware->limiter.port_bit_s, 0);
	CU_ASSERT(leaves(2, 2000 * MBIT) >= 950 * MBIT);
	expect_told("soft", "software", true);
	/* The same after a start of the port, also where it was asked for while the link was down.
	 */
	weir_model_set_link(sim.outside, false, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	weir_model_set_link(sim.outside, true, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(leaves(2, 2000 * MBIT) >= 950 * MBIT);
	expect_told("soft", "software", true);
	few.n_classes = 3;
	few.classes[2].gone = true;
	apply(&few);
	CU_ASSERT(sim.hardware->limiter.port_bit_s >= 198 * MBIT);
	expect_told("tm", "ok", false);
	weir_model_set_link(sim.outside, false, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	policy.n_classes = 5;
	policy.classes[2].gone = true;
	policy.classes[3] = policy.classes[4] = policy.classes[0];
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	weir_model_set_link(sim.outside, true, 10000);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(leaves(3, 2000 * MBIT) >= 950 * MBIT);
	expect_told("soft", "software", true);
	CU_ASSERT_EQUAL(sim.hardware->lost_frames, 0);
	weir_hwsim_finish(&sim);
}

/* Which is not used, with an alarm that names the class. */
static void
expect_refused(const char *class)
{
	uint64_t left = sim.tape.left_bytes;

	CU_ASSERT_EQUAL(leaves(0, MBIT), 0);
	CU_ASSERT_EQUAL(sim.tape.left_bytes, left);
	CU_ASSERT_PTR_NOT_NULL(strstr(sim.alarm, "limiter_required"));
	CU_ASSERT_PTR_NOT_NULL(strstr(sim.alarm, class));
}

/* Nothing leaves but by limits in force, whatever policy or speed of the link there is. */
static void
test_required(void)
{
	struct weir_hwsim_policy policy = policy_of(ixgbe, MBIT);

	policy.required = true;
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	steady();
	CU_ASSERT(leaves(0, MBIT) > 0);
	/* A 1023rd of the link's speed is the least. */
	policy.classes[2].rate_bit_s = MBIT / 2;
	CU_ASSERT_FALSE(weir_hwsim_apply(&sim, &policy));
	CU_ASSERT_PTR_NOT_NULL(strstr(sim.refusal, "in software alone would be c2"));
	CU_ASSERT(leaves(0, MBIT) > 0);
	CU_ASSERT_EQUAL(sim.alarms, 0);
	weir_model_set_link(sim.outside, true, 10000);
	weir_hwsim_run(&sim, 300 * MS);
	expect_refused("c0, c1, c2 and 1 more");
	/* A policy that can be had brings it back. */
	policy = policy_of(ixgbe, 100 * MBIT);
	policy.required = true;
	CU_ASSERT_TRUE(weir_hwsim_apply(&sim, &policy));
	weir_hwsim_run(&sim, 1500 * MS);
	CU_ASSERT(leaves(0, 50 * MBIT) > 0);
	weir_hwsim_finish(&sim);
}

/* A burst of a class, all at once. */
static void
put_burst(uint32_t class)
{
	for (uint32_t bytes = 0; bytes + 2 * WEIR_HWSIM_WIRE_MAX < BURST;
	     bytes += WEIR_HWSIM_WIRE_MAX) {
		CU_ASSERT(weir_hwsim_put(&sim, class, FULL));
		weir_hwsim_run(&sim, ROUND_NS);
	}
}

/* When a class's last frame left, and its longest wait for one. */
struct watched {
	uint32_t class;
	uint64_t last_ns, gap_ns;
};

static void
watch_gaps(void *arg, uint32_t class, const struct weir_model_frame *frame)
{
	struct watched *watched = arg;

	(void)frame;
	if (class != watched->class)
		return;
	if (watched->last_ns != 0 && sim.now_ns - watched->last_ns > watched->gap_ns)
		watched->gap_ns = sim.now_ns - watched->last_ns;
	watched->last_ns = sim.now_ns;
}

/* The slowest queue may have all of its class's burst, and that is the time that a change takes. */
static void
change_with_burst(bool required)
{
	struct weir_hwsim_policy policy = policy_of(ice, 100 * MBIT);
	struct watched watched = {.class = 1};
	uint64_t begin_ns, drain_ns = UINT64_C(8) * BURST * WEIR_NS_PER_S / MBIT;

	policy.classes[0].rate_bit_s = MBIT;
	policy.required = required;
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	steady();
	sim.judging = true;
	for (uint32_t i = 1; i < CLASSES; i++)
		sim.sources[i] = (struct weir_hwsim_source){.rate_bit_s = 90 * MBIT,
		                                            .least = FULL,
		                                            .most = FULL,
		                                            .most_due_bytes = 2 * FULL};
	weir_hwsim_run(&sim, drain_ns + 100 * MS); /* its bucket is full */
	put_burst(0);
	sim.on_left = watch_gaps;
	sim.on_left_arg = &watched;
	begin_ns = sim.now_ns;
	policy.classes[2].rate_bit_s = 50 * MBIT;
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	while (sim.hardware->change != WEIR_HARDWARE_SETTLED && sim.error[0] == '\0' &&
	       sim.now_ns - begin_ns < 2 * drain_ns)
		weir_hwsim_run(&sim, MS);
	CU_ASSERT_EQUAL(sim.hardware->limiter.programmed_bit_s[sim.hardware->plan.classes[2].queue],
	                weir_limiter_round(&sim.hardware->limiter, 50 * MBIT));
	printf("    in force after %" PRIu64 " ms, of which the others waited %" PRIu64 " ms\n",
	       (sim.now_ns - begin_ns) / MS, watched.gap_ns / MS);
	CU_ASSERT(sim.now_ns - begin_ns <= drain_ns + 5 * WEIR_HARDWARE_LOOK_NS);
	CU_ASSERT(watched.gap_ns <= WEIR_HARDWARE_EASE_NS + 3 * WEIR_HARDWARE_LOOK_NS +
	                                2 * UINT64_C(8) * WEIR_HWSIM_WIRE_MAX * 1000);
	weir_hwsim_run(&sim, 100 * MS);
	weir_hwsim_drain(&sim);
	CU_ASSERT_EQUAL(sim.tape.lost_bytes, 0);
	CU_ASSERT_EQUAL(sim.hardware->lost_frames, 0);
	weir_hwsim_finish(&sim);
}

static void
test_held_change(void)
{
	change_with_burst(false);
	change_with_burst(true);
}

/*
 * A change that stops the queues begins all limits anew, also those that stay as they were: each
 * may let its burst out once more, which makes it no faster than its limit.
 */
static void
test_held_begins_anew(void)
{
	struct weir_hwsim_policy policy = policy_of(ice, 10 * MBIT);
	uint64_t full_ns = UINT64_C(8) * BURST * WEIR_NS_PER_S / MBIT;

	policy.classes[0].rate_bit_s = MBIT;
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = 10 * ROUND_NS;
	weir_hwsim_run(&sim, full_ns + 100 * MS);
	put_burst(0);
	/* More comes than may go: its limit is all that lets anything leave. */
	sim.sources[0] = (struct weir_hwsim_source){
	    .rate_bit_s = 2 * MBIT, .least = FULL, .most = FULL, .most_due_bytes = 2 * FULL};
	weir_hwsim_run(&sim, 100 * MS);
	policy.classes[2].rate_bit_s = 20 * MBIT;
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	weir_hwsim_run(&sim, full_ns + 500 * MS);
	CU_ASSERT_EQUAL(sim.hardware->change, WEIR_HARDWARE_SETTLED);
	CU_ASSERT_FALSE(sim.hardware->fast);
	weir_hwsim_drain(&sim);
	weir_hwsim_finish(&sim);
}

/* Two workers send by one limit, each within it, and both together faster. */
static void
test_joint(void)
{
	struct weir_hwsim_policy policy = {.outside = "model1,family=ice,queues=4,speed=10G",
	                                   .limiter = "auto",
	                                   .n_workers = 2,
	                                   .n_classes = 2};

	for (uint32_t cheats = 0; cheats < 2; cheats++) {
		uint64_t begin_ns;

		for (uint32_t i = 0; i < 2; i++)
			policy.classes[i] = (struct weir_hwsim_class){
			    .rate_bit_s = 5 * MBIT, .burst_bytes = BURST, .backlog_bytes = BURST};
		weir_hwsim_open(&sim, &policy, weir_test_seed());
		CU_ASSERT_TRUE_FATAL(sim.hardware->open);
		sim.shortest_round_ns = sim.longest_round_ns = 10 * ROUND_NS;
		sim.judging = cheats == 0;
		weir_hwsim_run(&sim, 500 * MS);
		CU_ASSERT(sim.hardware->plan.classes[0].queue == 1 &&
		          sim.hardware->plan.classes[1].queue == 1);
		sim.outside->cheat.rate_ppm = cheats == 1 ? 1900000 : 0;
		sim.outside->cheat.rate_queue = WEIR_MODEL_ALL_QUEUES;
		for (uint32_t n = 0; n + 2 < BURST / WEIR_HWSIM_WIRE_MAX; n++) {
			CU_ASSERT(weir_hwsim_put(&sim, 0, FULL));
			CU_ASSERT(weir_hwsim_put(&sim, 1, FULL));
		}
		begin_ns = sim.now_ns;
		while (!sim.hardware->fast && sim.now_ns - begin_ns < 500 * MS)
			weir_hwsim_run(&sim, MS);
		printf("    %s after %" PRIu64 " ms\n", sim.hardware->fast ? "fast" : "held",
		       (sim.now_ns - begin_ns) / MS);
		CU_ASSERT_EQUAL(sim.hardware->fast, cheats == 1);
		CU_ASSERT(cheats == 0 || sim.now_ns - begin_ns <= 400 * MS);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/*
 * Where nobody tells what has left, a ring full of frames waits for a limit. A policy gives their
 * queue to a faster class: they leave no faster than theirs may, by its new rate, if that is lower.
 */
static void
reuse_queue(const char *device, uint64_t rate_bit_s, uint64_t new_bit_s)
{
	struct weir_hwsim_policy policy = {
	    .outside = device, .limiter = "auto", .n_workers = 1, .n_classes = 2};
	uint64_t left;
	uint16_t queue;

	for (uint32_t i = 0; i < 2; i++)
		policy.classes[i] =
		    (struct weir_hwsim_class){.rate_bit_s = (i + 1) * rate_bit_s,
		                              .burst_bytes = 2 * WEIR_HWSIM_WIRE_MAX,
		                              .backlog_bytes = BURST};
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = 4 * ROUND_NS;
	queue = sim.hardware->plan.classes[0].queue;
	CU_ASSERT_TRUE_FATAL(queue != 0 && !sim.hardware->limiter.capabilities.completions);
	/* It takes less than was asked, and so its ring fills. */
	sim.outside->cheat.rate_ppm = 500000;
	sim.outside->cheat.rate_queue = queue;
	sim.sources[0] = (struct weir_hwsim_source){
	    .rate_bit_s = 2 * rate_bit_s, .least = FULL, .most = FULL, .most_due_bytes = 2 * FULL};
	weir_hwsim_run(&sim, 100 * MS);
	CU_ASSERT(weir_model_waiting(sim.outside, queue) > 200);
	sim.outside->cheat.rate_ppm = 1000000;
	policy.classes[0].rate_bit_s = new_bit_s;
	policy.classes[2] = (struct weir_hwsim_class){
	    .rate_bit_s = 5000 * MBIT, .burst_bytes = BURST, .backlog_bytes = BURST};
	policy.n_classes = 3;
	left = sim.tape.classes[0].left_bytes;
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	weir_hwsim_run(&sim, 20 * MS);
	left = sim.tape.classes[0].left_bytes - left;
	printf("    %s: %" PRIu64 " B in 20 ms\n", device, left);
	CU_ASSERT(left <= new_bit_s / 8 / 50 + 20480 + 4 * WEIR_HWSIM_WIRE_MAX);
	weir_hwsim_run(&sim, 500 * MS);
	CU_ASSERT_EQUAL(sim.hardware->change, WEIR_HARDWARE_SETTLED);
	CU_ASSERT_EQUAL(sim.hardware->plan.classes[0].queue, 0);
	CU_ASSERT_EQUAL(sim.tape.lost_bytes, 0);
	sim.sources[0].rate_bit_s = 0;
	weir_hwsim_drain(&sim);
	weir_hwsim_finish(&sim);
}

static void
test_reuse(void)
{
	reuse_queue("model1,family=txgbe,queues=3,speed=10G", 100 * MBIT, 100 * MBIT);
	reuse_queue("model1,family=txgbe,queues=3,speed=10G", 100 * MBIT, 30 * MBIT + MBIT / 2);
	reuse_queue("model1,family=cnxk,queues=3,speed=10G", 100 * MBIT, 100 * MBIT);
}

/* What waits longer than others can be held up for is lost, and told; none of it leaves. */
static void
test_reuse_slow(void)
{
	struct weir_hwsim_policy policy =
	    policy_of("model1,family=cnxk,queues=3,speed=10G", 5 * MBIT);
	uint64_t starts, lost;

	policy.n_classes = 2;
	policy.classes[0].burst_bytes = 2 * WEIR_HWSIM_WIRE_MAX;
	policy.classes[1].rate_bit_s = 10 * MBIT;
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = 10 * ROUND_NS;
	/* Its ring fills, and takes 6 s to leave. */
	sim.outside->cheat.rate_ppm = 100000;
	sim.outside->cheat.rate_queue = sim.hardware->plan.classes[0].queue;
	sim.sources[0] = (struct weir_hwsim_source){
	    .rate_bit_s = 10 * MBIT, .least = FULL, .most = FULL, .most_due_bytes = 2 * FULL};
	weir_hwsim_run(&sim, 700 * MS);
	sim.sources[0].rate_bit_s = 0;
	policy.classes[2].rate_bit_s = 5000 * MBIT;
	policy.n_classes = 3;
	starts = sim.outside->starts;
	CU_ASSERT_TRUE_FATAL(weir_hwsim_apply(&sim, &policy));
	weir_hwsim_run(&sim, WEIR_HARDWARE_DRAIN_NS);
	CU_ASSERT_EQUAL(sim.outside->starts, starts);
	weir_hwsim_run(&sim, 300 * MS);
	CU_ASSERT_EQUAL(sim.outside->starts, starts + 1);
	CU_ASSERT_EQUAL(sim.hardware->plan.classes[0].queue, 0);
	CU_ASSERT(sim.hardware->lost_frames > 100);
	lost = sim.tape.lost_bytes / (FULL + WEIR_WIRE_OVERHEAD_BYTES);
	printf("    told %" PRIu64 ", lost %" PRIu64 "\n", sim.hardware->lost_frames, lost);
	/* A few leave between the look and the start. */
	CU_ASSERT(sim.hardware->lost_frames >= lost && sim.hardware->lost_frames <= lost + 4);
	weir_hwsim_finish(&sim);
}

static const struct weir_test tests[] = {
    {"a queue that another class gets, and what waits in it", test_reuse},
    {"a queue that another class gets, and that takes long", test_reuse_slow},
    {"a change that stops the queues loses nothing, and holds up nobody for long",
     test_held_change},
    {"a change that stops the queues begins all limits anew", test_held_begins_anew},
    {"a limit that two workers share", test_joint},
    {"required limits, or nothing leaves", test_required},
    {"more dedicated classes than queues", test_too_many},
    {"a sum that the port can't be limited to", test_port_limit},
    {"a limit of the port that is left", test_port_limit_left},
};

int
main(void)
{
	return weir_hwsim_main("hardware_policies", tests, WEIR_TEST_COUNT(tests));
}
