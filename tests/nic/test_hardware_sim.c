/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole path with an honest NIC: policies, links and resets come and go, and what leaves is
 * judged on the wire. One history for each seed:
 *
 *   WEIR_SEED       first seed; the others follow it
 *   WEIR_NIC_RUNS   how many
 *
 * A history that breaks something prints how to run it again.
 */
#include "tests/nic/hardware_sim.h"

#include <string.h>

#define RUNS         14U
#define RUNS_FOR_ALL 14U /* in so many histories everything happens */
#define PHASES       3U
#define WILD_NS      (250 * WEIR_NS_PER_MS)
#define SETTLE_NS    (7 * WEIR_HARDWARE_LOOK_NS)
#define START_NS     (20 * WEIR_NS_PER_MS)
#define QUIET_NS     (60 * WEIR_NS_PER_MS)
#define BLINK_NS     (120 * WEIR_NS_PER_MS) /* so long no look misses it */
#define SHORT_NS     (10 * WEIR_NS_PER_MS)
#define WILD_BIT_S   UINT64_C(3000000000)
#define QUIET_BIT_S  UINT64_C(2000000000)
#define LIVE_PERCENT 90U
/* Between two looks of a worker at a class, and until what it sent is known to have left. */
#define TURN_NS UINT64_C(60000)

/* A kind of NIC. */
struct kind {
	const char *name, *device, *limiter;
	uint32_t n_workers;
	uint32_t speeds[3];
	bool limits; /* by hardware */
	bool tells;  /* what has left */
};

static const struct kind kinds[] = {
    {"ixgbe",
     "model1,family=ixgbe,queues=17,speed=10G",
     "auto",
     1,
     {10000, 1000, 10000},
     true,
     true},
    {"ixgbe, link events",
     "model1,family=ixgbe,queues=17,speed=10G,events=1",
     "auto",
     1,
     {10000, 1000, 10000},
     true,
     true},
    {"ice", "model1,family=ice,queues=17,speed=25G", "auto", 1, {25000, 10000, 25000}, true, true},
    {"ice, two workers",
     "model1,family=ice,queues=34,speed=10G,events=1",
     "auto",
     2,
     {10000, 25000, 100000},
     true,
     true},
    {"cnxk",
     "model1,family=cnxk,queues=17,speed=25G",
     "auto",
     1,
     {25000, 10000, 25000},
     true,
     false},
    {"txgbe",
     "model1,family=txgbe,queues=17,speed=10G",
     "auto",
     1,
     {10000, 1000, 10000},
     true,
     false},
    {"plain",
     "model1,family=plain,queues=17,speed=10G",
     "auto",
     1,
     {10000, 1000, 10000},
     false,
     false},
    {"ixgbe, soft",
     "model1,family=ixgbe,queues=17,speed=10G",
     "soft",
     1,
     {10000, 1000, 10000},
     false,
     false},
};

static struct weir_hwsim_counts counts;

static uint64_t
runs_wanted(void)
{
	return weir_test_runs("WEIR_NIC_RUNS", RUNS);
}

/* ---- wild stretches ---- */

static void
draw_sources(struct weir_hwsim *sim)
{
	uint64_t sum = 0;

	memset(sim->sources, 0, sizeof(sim->sources));
	for (uint32_t n = 0; n < WEIR_HWSIM_CLASSES && sum < WILD_BIT_S; n++) {
		uint32_t i = (uint32_t)weir_random_below(&sim->random, sim->policy.n_classes);
		struct weir_hwsim_source *source = &sim->sources[i];
		uint64_t rate = sim->policy.classes[i].rate_bit_s;

		if (source->rate_bit_s > 0 || sim->policy.classes[i].gone)
			continue;
		source->rate_bit_s = weir_hwsim_draw_log(&sim->random, rate / 4 + 1, rate * 4);
		if (source->rate_bit_s > WILD_BIT_S / 2)
			source->rate_bit_s = WILD_BIT_S / 2;
		source->least = WEIR_FRAME_MIN_BYTES;
		source->most = WEIR_HWSIM_MTU + 14;
		if (!weir_random_one_in(&sim->random, 4))
			source->least = source->most =
			    (uint32_t)weir_random_between(&sim->random, 600, source->most);
		source->most_due_bytes = 2ULL * sim->policy.classes[i].burst_bytes;
		/* Some come with a burst. */
		if (weir_random_one_in(&sim->random, 2))
			source->due = source->most_due_bytes * 8 * WEIR_NS_PER_S;
		sum += source->rate_bit_s;
	}
}

static void
touch_link(struct weir_hwsim *sim, const struct kind *kind)
{
	uint32_t speed = kind->speeds[weir_random_below(&sim->random, 3)];
	bool seen = sim->outside->config.link_events || speed != sim->outside->speed_mbit_s;

	if (!sim->outside->up)
		return;
	if (sim->appliance->port_watch[1].state == WEIR_PORT_UP) {
		sim->noticed_ns = 0;
		sim->noticing = 0;
	}
	if (weir_random_one_in(&sim->random, 3)) {
		counts.resets++;
		weir_model_reset(sim->outside, BLINK_NS);
		weir_hwsim_tape_discarded(sim);
		return;
	}
	counts.link_changes++;
	weir_model_blink(sim->outside, speed,
	                 seen && weir_random_one_in(&sim->random, 2) ? SHORT_NS : BLINK_NS);
}

static void
run_wild(struct weir_hwsim *sim, const struct kind *kind)
{
	uint64_t end_ns = sim->now_ns + WILD_NS;

	sim->wild = true;
	while (sim->now_ns < end_ns && sim->error[0] == '\0') {
		sim->shortest_round_ns = 1000;
		sim->longest_round_ns =
		    weir_hwsim_draw_log(&sim->random, 10000, 500 * WEIR_NS_PER_US);
		draw_sources(sim);
		if (weir_random_one_in(&sim->random, 2) && !sim->policy_due) {
			sim->next_policy = sim->policy;
			weir_hwsim_policy_change(&sim->next_policy, &sim->random);
			sim->policy_due = true;
		}
		if (weir_random_one_in(&sim->random, 8))
			touch_link(sim, kind);
		weir_hwsim_run(
		    sim, weir_hwsim_draw_log(&sim->random, WEIR_NS_PER_MS, 40 * WEIR_NS_PER_MS));
	}
	memset(sim->sources, 0, sizeof(sim->sources));
	sim->wild = sim->policy_due = false;
}

/* ---- quiet ones: what has traffic gets its rate ---- */

static bool
is_settled(const struct weir_hwsim *sim)
{
	return sim->appliance->port_watch[1].state == WEIR_PORT_UP &&
	       sim->hardware->change == WEIR_HARDWARE_SETTLED && !sim->policy_due;
}

static uint8_t
queue_of(const struct weir_hwsim *sim, uint32_t class)
{
	return sim->hardware->plan.classes == NULL
	           ? 0
	           : sim->hardware->plan.classes[weir_hwsim_index(sim, class)].queue;
}

/* What a class may count on: its rate, as far as its burst lets it have so much on its way. */
static uint64_t
expected_bit_s(const struct weir_hwsim *sim, uint32_t i)
{
	const struct weir_hwsim_class *class = &sim->policy.classes[i];
	uint8_t queue = queue_of(sim, i);
	uint64_t rate = class->rate_bit_s, turn_ns = TURN_NS, flight, limit;

	limit = queue == 0 ? 0 : sim->hardware->queues[queue].programmed_bit_s;
	if (limit > 0) {
		/* It waits for what others of its queue may have there. */
		for (uint32_t k = 0; k < sim->policy.n_classes; k++)
			if (k != i && sim->sources[k].rate_bit_s > 0 &&
			    !sim->policy.classes[k].gone && queue_of(sim, k) == queue)
				turn_ns +=
				    (uint64_t)((weir_u128)sim->policy.classes[k].burst_bytes * 8 *
				               WEIR_NS_PER_S / limit);
		/* And for the gap behind its own. */
		turn_ns += (uint64_t)((weir_u128)WEIR_HWSIM_WIRE_MAX * 8 * WEIR_NS_PER_S / limit);
		if (sim->hardware->plan.queue_classes[queue] == 1 && limit < rate)
			rate = limit;
	}
	flight = (uint64_t)((weir_u128)(class->burst_bytes - WEIR_HWSIM_WIRE_MAX) * 8 *
	                    WEIR_NS_PER_S / turn_ns);
	return rate < flight ? rate : flight;
}

static void
run_quiet(struct weir_hwsim *sim)
{
	uint64_t sum = 0, left[WEIR_HWSIM_CLASSES], expected[WEIR_HWSIM_CLASSES];

	sim->shortest_round_ns = sim->longest_round_ns = 20000;
	weir_hwsim_run(sim, SETTLE_NS);
	sim->shortest_round_ns = 2000;
	sim->longest_round_ns = 5000;
	if (!is_settled(sim) || sim->error[0] != '\0')
		return;
	for (uint32_t i = 0; i < sim->policy.n_classes; i++) {
		uint64_t rate = sim->policy.classes[i].rate_bit_s;

		if (sim->policy.classes[i].gone || !weir_random_one_in(&sim->random, 2) ||
		    sum + rate > QUIET_BIT_S ||
		    (sum + rate) > (uint64_t)sim->outside->speed_mbit_s * 600000)
			continue;
		sum += rate;
		sim->sources[i] = (struct weir_hwsim_source){
		    .rate_bit_s = rate + rate / 4,
		    .least = WEIR_HWSIM_MTU + 14,
		    .most = WEIR_HWSIM_MTU + 14,
		    .most_due_bytes = 8 * WEIR_HWSIM_WIRE_MAX,
		    .due = (uint64_t)sim->policy.classes[i].burst_bytes * 8 * WEIR_NS_PER_S,
		};
	}
	weir_hwsim_run(sim, START_NS);
	for (uint32_t i = 0; i < sim->policy.n_classes; i++) {
		if (sim->sources[i].rate_bit_s == 0)
			continue;
		left[i] = sim->tape.classes[i].left_bytes;
		expected[i] = expected_bit_s(sim, i);
	}
	weir_hwsim_run(sim, QUIET_NS);
	if (!is_settled(sim))
		return;
	counts.quiet_phases++;
	for (uint32_t i = 0; i < sim->policy.n_classes; i++) {
		uint64_t sent, due;

		if (sim->sources[i].rate_bit_s == 0)
			continue;
		sent = sim->tape.classes[i].left_bytes - left[i];
		due = (uint64_t)((weir_u128)expected[i] * QUIET_NS / WEIR_NS_PER_S / 8);
		counts.quiet_classes++;
		if (expected[i] < sim->policy.classes[i].rate_bit_s / 2)
			counts.excused++;
		if (sent + 2ULL * WEIR_HWSIM_WIRE_MAX < due * LIVE_PERCENT / 100)
			weir_hwsim_fail(sim,
			                "c%" PRIu32 " in queue %u got %" PRIu64 " B of %" PRIu64
			                " B due: rate %" PRIu64 ", burst %" PRIu32,
			                i, queue_of(sim, i), sent, due,
			                sim->policy.classes[i].rate_bit_s,
			                sim->policy.classes[i].burst_bytes);
	}
	memset(sim->sources, 0, sizeof(sim->sources));
}

/* ---- histories ---- */

static struct weir_hwsim sim;

static void
run_history(uint64_t seed, char *error)
{
	const struct kind *kind = &kinds[seed % WEIR_TEST_COUNT(kinds)];
	struct weir_hwsim_policy policy = {
	    .outside = kind->device, .limiter = kind->limiter, .n_workers = kind->n_workers};
	struct weir_random random = weir_random_make(seed);

	weir_hwsim_policy_draw(&policy, &random);
	weir_hwsim_open(&sim, &policy, seed);
	sim.counts = &counts;
	if (sim.hardware->open != kind->limits)
		weir_hwsim_fail(&sim, "limits by hardware: %d", sim.hardware->open);
	for (uint32_t n = 0; n < PHASES && sim.error[0] == '\0'; n++) {
		run_wild(&sim, kind);
		run_quiet(&sim);
	}
	weir_hwsim_drain(&sim);
	for (uint32_t q = 1; q < sim.hardware->n_queues; q++)
		counts.verdicts[sim.hardware->queues[q].verdict]++;
	if (sim.exact != kind->tells)
		weir_hwsim_fail(&sim, "tells what has left: %d", sim.exact);
	weir_hwsim_close(&sim);
	counts.histories++;
	snprintf(error, WEIR_HWSIM_ERROR_SIZE, "%s", sim.error);
}

static void
print_counts(void)
{
	printf("    %" PRIu64 " histories: %" PRIu64 " frames, %" PRIu64 " MB, %" PRIu64
	       " rounds, %" PRIu64 " looks\n",
	       counts.histories, counts.frames, counts.bytes / 1000000, counts.rounds,
	       counts.ticks);
	printf("    %" PRIu64 " policies, %" PRIu64 " changes that held the port, %" PRIu64
	       " changes of the link, %" PRIu64 " resets, %" PRIu64 " restarts, %" PRIu64
	       " programmings\n",
	       counts.policies, counts.held_changes, counts.link_changes, counts.resets,
	       counts.restarts, counts.programmings);
	printf("    %" PRIu64 " classes joined, %" PRIu64 " left\n", counts.joined, counts.left);
	printf("    %" PRIu64 " frames left without limits before anyone could know\n",
	       counts.unprogrammed);
	printf("    %" PRIu64 " quiet stretches, %" PRIu64 " classes judged, %" PRIu64
	       " of them bound by their burst\n",
	       counts.quiet_phases, counts.quiet_classes, counts.excused);
	for (uint32_t i = 0; i <= WEIR_VERDICT_STUCK; i++)
		printf("    %8" PRIu64 " queues at the end: %s\n", counts.verdicts[i],
		       weir_hardware_verdict_name(i));
}

static void
test_histories(void)
{
	uint64_t first = weir_test_seed(), runs = runs_wanted();
	char error[WEIR_HWSIM_ERROR_SIZE];

	memset(&counts, 0, sizeof(counts));
	for (uint64_t i = 0; i < runs; i++) {
		run_history(first + i, error);
		CU_ASSERT(error[0] == '\0');
		if (error[0] != '\0')
			printf("    WEIR_SEED=%" PRIu64 " WEIR_NIC_RUNS=1 (%s): %s\n", first + i,
			       kinds[(first + i) % WEIR_TEST_COUNT(kinds)].name, error);
		fflush(stdout);
	}
	print_counts();
	if (runs < RUNS_FOR_ALL)
		return;
	/* The simulation has not gone blind: all that can happen has happened. */
	CU_ASSERT(counts.policies > 0 && counts.held_changes > 0);
	CU_ASSERT(counts.joined > 0 && counts.left > 0);
	CU_ASSERT(counts.link_changes > 0 && counts.resets > 0 && counts.restarts > 0);
	CU_ASSERT(counts.quiet_classes > 0 && counts.excused < counts.quiet_classes / 4);
}

static const struct weir_test tests[] = {
    {"what leaves is within every class's rate and burst", test_histories},
};

int
main(void)
{
	return weir_hwsim_main("hardware_sim", tests, WEIR_TEST_COUNT(tests));
}
