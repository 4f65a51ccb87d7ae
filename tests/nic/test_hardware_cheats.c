/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NICs that do not do as they were told, each on the whole path: how long until it is noticed, and
 * what becomes of the port. The bounds are those of control/hardware.h. And one that is honest and
 * slow: what waits for it is charged once, holds nobody else up, and is dropped under a reason.
 */
#include "control/watch.h"
#include "tests/nic/hardware_sim.h"

#include <rte_ethdev.h>
#include <string.h>

#define MBIT          UINT64_C(1000000)
#define MS            ((uint64_t)WEIR_NS_PER_MS)
#define ROUND_NS      (5 * WEIR_NS_PER_US)
#define SLOW_ROUND_NS (50 * WEIR_NS_PER_US) /* where many looks have to pass */
#define LONG_ROUND_NS (500 * WEIR_NS_PER_US)
#define LOOK_NS       WEIR_HARDWARE_LOOK_NS
#define STEP_NS       WEIR_NS_PER_MS
#define BURST         300000U /* bytes: with so much at once a queue has a backlog */
#define FULL          (WEIR_HWSIM_MTU + 14U)
#define TRIES         3U
#define WARM_UP_NS    (150 * MS)
#define EVERY_NS      (250 * MS) /* a burst comes */
#define BURSTS        10U
#define CHEATED       1U /* class */
#define OTHERS        4U /* classes with traffic besides, it counted */
#define BREACH_NS     (2 * LOOK_NS + ROUND_NS)
#define STOPPED_NS    (200 * MS)

static const char ixgbe[] = "model1,family=ixgbe,queues=17,speed=10G,events=1";
static const char ice[] = "model1,family=ice,queues=17,speed=10G,events=1";
static const char *const devices[] = {ixgbe, ice};
static const char *const names[] = {"ixgbe", "ice"};

static const uint64_t rates_mbit[] = {1000, 40, 80, 100, 125, 160, 200, 250};
#define RATES_MBIT UINT64_C(1955) /* together */

static struct weir_hwsim sim;

/* Eight classes, each with a queue of its own: rates that an 82599 can hold at 10 Gbit/s. */
static void
open_box(const char *device, bool required, uint64_t number)
{
	struct weir_hwsim_policy policy = {.outside = device,
	                                   .limiter = "auto",
	                                   .required = required,
	                                   .n_workers = 1,
	                                   .n_classes = 8};

	for (uint32_t i = 0; i < policy.n_classes; i++)
		policy.classes[i] = (struct weir_hwsim_class){
		    .rate_bit_s = rates_mbit[i] * MBIT,
		    .burst_bytes = BURST,
		    .backlog_bytes = BURST,
		};
	weir_hwsim_open(&sim, &policy, weir_test_seed() + number);
	CU_ASSERT_TRUE_FATAL(sim.hardware->open);
	sim.shortest_round_ns = sim.longest_round_ns = ROUND_NS;
	sim.judging = false;
	/* The first look: soon, in the middle, late. */
	sim.next_tick_ns = sim.now_ns + LOOK_NS * (49 * number + 1) / 100;
}

static void
offer(uint32_t class, uint64_t rate_bit_s)
{
	sim.sources[class] = (struct weir_hwsim_source){
	    .rate_bit_s = rate_bit_s, .least = FULL, .most = FULL, .most_due_bytes = 2 * FULL};
}

/* A burst of a class, all at once. */
static void
put_burst(uint32_t class)
{
	for (uint32_t bytes = 0; bytes + 2 * WEIR_HWSIM_WIRE_MAX < BURST;
	     bytes += WEIR_HWSIM_WIRE_MAX) {
		CU_ASSERT(weir_hwsim_put(&sim, class, FULL));
		if (bytes / WEIR_HWSIM_WIRE_MAX % 16 == 15)
			weir_hwsim_run(&sim, ROUND_NS);
	}
}

/* Runs in small steps until it is noticed; returns after how long, or UINT64_MAX. */
static uint64_t
run_until(bool (*noticed)(void), uint64_t most_ns)
{
	uint64_t begin_ns = sim.now_ns;

	while (sim.now_ns - begin_ns < most_ns) {
		if (noticed())
			return sim.now_ns - begin_ns;
		weir_hwsim_run(&sim, STEP_NS);
		if (sim.error[0] != '\0')
			break;
	}
	return noticed() ? sim.now_ns - begin_ns : UINT64_MAX;
}

static bool
is_fast(void)
{
	return sim.hardware->fast;
}

static bool
is_breached(void)
{
	return sim.hardware->breached;
}

static bool
is_hiding(void)
{
	return sim.hardware->hides;
}

static bool
is_stuck(void)
{
	return sim.hardware->queues[sim.hardware->plan.classes[CHEATED].queue].stuck;
}

static void
print_bound(const char *what, const char *name, uint64_t most_ns, uint64_t bound_ns)
{
	printf("    %-44s %-6s %6" PRIu64 " ms, bound %6" PRIu64 " ms\n", what, name,
	       most_ns == UINT64_MAX ? most_ns : (most_ns + MS - 1) / MS, bound_ns / MS);
	CU_ASSERT(most_ns <= bound_ns);
}

static uint16_t
queue_of(uint32_t class)
{
	return sim.hardware->plan.classes[class].queue;
}

static uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- too fast ---- */

/*
 * A burst of BURST waits in a queue of so many bit/s. It goes over its line once what has left is
 * more than the limit's own burst and what its rate allows: a factor f needs burst / (f - 1).
 */
static uint64_t
time_fast(const char *device, uint32_t factor_ppm)
{
	uint64_t most = 0;

	for (uint32_t n = 0; n < TRIES; n++) {
		open_box(device, false, n);
		weir_hwsim_run(&sim, WARM_UP_NS);
		sim.outside->cheat.rate_ppm = factor_ppm;
		sim.outside->cheat.rate_queue = queue_of(CHEATED);
		put_burst(CHEATED);
		most = max64(most, run_until(is_fast, 2 * WEIR_NS_PER_S));
		CU_ASSERT_FALSE(sim.hardware->breached);
		CU_ASSERT_EQUAL(sim.hardware->queues[queue_of(CHEATED)].verdict, WEIR_VERDICT_FAST);
		CU_ASSERT(sim.alarms > 0);
		/* It goes on, in software alone, and exactly so. */
		offer(CHEATED, 100 * MBIT);
		weir_hwsim_run(&sim, 100 * MS);
		CU_ASSERT_EQUAL(weir_model_waiting(sim.outside, queue_of(CHEATED)), 0);
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
	return most;
}

static void
test_fast(void)
{
	static const uint32_t factors_ppm[] = {1500000, 2000000, 10000000};
	/* The limits' own bursts. */
	static const uint64_t bursts[] = {4096, UINT64_C(15) * 1024};

	for (uint32_t d = 0; d < 2; d++) {
		for (uint32_t f = 0; f < WEIR_TEST_COUNT(factors_ppm); f++) {
			uint64_t rate = rates_mbit[CHEATED] * MBIT, over_ns;
			char what[80];

			/* With the frames that it is judged by besides, and 0.5 % for clocks. */
			over_ns = (bursts[d] + 3 * WEIR_HWSIM_WIRE_MAX) * 8 * WEIR_NS_PER_S / rate *
			          1000 / (factors_ppm[f] / 1000 - 1005);
			snprintf(what, sizeof(what), "a queue %.1f times as fast as its limit",
			         factors_ppm[f] / 1e6);
			print_bound(what, names[d], time_fast(devices[d], factors_ppm[f]),
			            over_ns + LOOK_NS + ROUND_NS + STEP_NS);
		}
	}
}

/* With limiter_required the port is not used any more. */
static void
test_fast_required(void)
{
	uint64_t last;

	open_box(ixgbe, true, 0);
	weir_hwsim_run(&sim, WARM_UP_NS);
	sim.outside->cheat.rate_ppm = 2000000;
	sim.outside->cheat.rate_queue = WEIR_MODEL_ALL_QUEUES;
	put_burst(CHEATED);
	CU_ASSERT(run_until(is_fast, WEIR_NS_PER_S) != UINT64_MAX);
	offer(CHEATED, 100 * MBIT);
	weir_hwsim_run(&sim, STOPPED_NS);
	last = sim.tape.left_bytes;
	weir_hwsim_run(&sim, WEIR_NS_PER_S);
	CU_ASSERT_EQUAL(sim.tape.left_bytes, last);
	CU_ASSERT(sim.appliance->port_watch[1].state != WEIR_PORT_UP);
	weir_hwsim_finish(&sim);
}

/* Limits are gone in the middle of a burst. */
static void
test_forgets(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t most = 0;

		for (uint32_t n = 0; n < TRIES; n++) {
			open_box(devices[d], false, n);
			weir_hwsim_run(&sim, WARM_UP_NS);
			put_burst(CHEATED);
			sim.outside->cheat.forget_at_ns = sim.now_ns + MS;
			weir_hwsim_run(&sim, MS);
			most = max64(most, run_until(is_fast, 2 * WEIR_NS_PER_S));
			weir_hwsim_drain(&sim);
			weir_hwsim_finish(&sim);
		}
		print_bound("a NIC that forgets its limits", names[d], most, 2 * MS + LOOK_NS);
	}
}

/* Runs with bursts that are little more than the limit's own, until it is told or time is over. */
static uint64_t
run_small_bursts(uint64_t ns)
{
	uint64_t begin_ns = sim.now_ns;

	while (sim.now_ns - begin_ns < ns && !sim.hardware->queues[queue_of(CHEATED)].told_above) {
		for (uint32_t i = 0; i < 16; i++)
			CU_ASSERT(weir_hwsim_put(&sim, CHEATED, FULL));
		weir_hwsim_run(&sim, 10 * MS);
	}
	return sim.now_ns - begin_ns;
}

/*
 * A queue that is too fast, but never busy for so long that its burst doesn't explain it: no proof,
 * and not said to hold. An honest one is.
 */
static void
test_above(void)
{
	const uint64_t bound_ns = 6 * WEIR_NS_PER_S + LOOK_NS;

	for (uint32_t cheats = 0; cheats < 2; cheats++) {
		uint64_t passed_ns;

		open_box(ice, true, 0);
		sim.shortest_round_ns = WEIR_NS_PER_US;
		sim.longest_round_ns = SLOW_ROUND_NS;
		sim.outside->cheat.rate_ppm = cheats == 1 ? 1200000 : 0;
		sim.outside->cheat.rate_queue = queue_of(CHEATED);
		passed_ns = run_small_bursts(bound_ns + 10 * MS);
		CU_ASSERT_EQUAL(sim.hardware->queues[queue_of(CHEATED)].verdict,
		                cheats == 1 ? WEIR_VERDICT_ABOVE : WEIR_VERDICT_HELD);
		CU_ASSERT_EQUAL(sim.hardware->queues[queue_of(CHEATED)].told_above, cheats == 1);
		CU_ASSERT_EQUAL(sim.alarms, 0);
		if (cheats == 1)
			print_bound("a queue 1.2 times as fast, in small bursts", "ice", passed_ns,
			            bound_ns);
		weir_hwsim_finish(&sim);
	}
}

/* ---- what nobody charged ---- */

/* It is stopped, for good: nothing leaves any more, be it charged or not. */
static void
check_stopped(uint64_t passed_ns)
{
	uint64_t last_ns, own_bytes = sim.tape.own_bytes;

	sim.outside->cheat.own_frames = 1000;
	weir_hwsim_run(&sim, max64(weir_sat_sub(STOPPED_NS, passed_ns), 2 * LOOK_NS));
	CU_ASSERT_FALSE(sim.appliance->ports[1].started);
	CU_ASSERT_EQUAL(sim.appliance->port_watch[1].state, WEIR_PORT_BREACHED);
	last_ns = sim.tape.last_left_ns;
	weir_hwsim_run(&sim, 300 * MS);
	CU_ASSERT_EQUAL(sim.tape.last_left_ns, last_ns);
	CU_ASSERT_EQUAL(sim.tape.own_bytes, own_bytes);
	CU_ASSERT(sim.alarms > 0);
}

static uint64_t
time_frames(const char *device, bool busy, uint64_t frames, uint64_t gap_ns)
{
	uint64_t most = 0;

	for (uint32_t n = 0; n < TRIES; n++) {
		uint64_t begin_ns, next_ns, sent = 0;

		open_box(device, false, n);
		for (uint32_t i = 0; busy && i < sim.policy.n_classes; i++)
			offer(i, sim.policy.classes[i].rate_bit_s * 9 / 10);
		weir_hwsim_run(&sim, WARM_UP_NS);
		begin_ns = next_ns = sim.now_ns;
		while (!sim.hardware->breached && sim.now_ns - begin_ns < 5 * WEIR_NS_PER_S) {
			if (sent < frames && sim.now_ns >= next_ns) {
				sim.outside->cheat.own_frames = 1;
				sim.outside->cheat.own_bytes = FULL;
				next_ns += gap_ns;
				sent++;
			}
			weir_hwsim_run(&sim, STEP_NS);
		}
		CU_ASSERT_TRUE(sim.hardware->breached);
		most = max64(most, sim.now_ns - begin_ns);
		check_stopped(sim.now_ns - begin_ns);
		weir_hwsim_finish(&sim);
	}
	return most;
}

/*
 * Many at once, while all classes are busy and workers' rounds are long: hidden by what waits in
 * the NIC and by what is charged in one round, and by no more.
 */
static uint64_t
time_long_rounds(const char *device)
{
	uint64_t most = 0;

	for (uint32_t n = 0; n < TRIES; n++) {
		uint64_t waiting = 0;

		open_box(device, false, n);
		for (uint32_t i = 0; i < sim.policy.n_classes; i++)
			offer(i, sim.policy.classes[i].rate_bit_s * 9 / 10);
		sim.shortest_round_ns = sim.longest_round_ns = LONG_ROUND_NS;
		weir_hwsim_run(&sim, WARM_UP_NS);
		for (uint32_t i = 0; i < sim.policy.n_classes; i++)
			waiting += weir_hwsim_inflight(&sim, i);
		sim.outside->cheat.own_bytes = FULL;
		sim.outside->cheat.own_frames =
		    2 * (waiting + LONG_ROUND_NS * RATES_MBIT * MBIT / 8 / WEIR_NS_PER_S) / FULL;
		most = max64(most, run_until(is_breached, WEIR_NS_PER_S));
		weir_hwsim_finish(&sim);
	}
	return most;
}

static void
test_extra_frames(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		print_bound("one frame that nobody charged, port idle", names[d],
		            time_frames(devices[d], false, 1, 0), BREACH_NS + STEP_NS);
		print_bound("ten such frames a second, all classes busy", names[d],
		            time_frames(devices[d], true, 100, 100 * MS), WEIR_NS_PER_S);
		print_bound("many of them, busy, rounds of half a ms", names[d],
		            time_long_rounds(devices[d]), 2 * LOOK_NS + LONG_ROUND_NS + STEP_NS);
	}
}

/* ---- counters ---- */

static void
test_counters(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t under = 0, over = 0;

		for (uint32_t n = 0; n < TRIES; n++) {
			open_box(devices[d], false, n);
			sim.shortest_round_ns = sim.longest_round_ns = SLOW_ROUND_NS;
			for (uint32_t i = 0; i < sim.policy.n_classes; i++)
				offer(i, sim.policy.classes[i].rate_bit_s / 2);
			weir_hwsim_run(&sim, 700 * MS);
			/* All of it from now on, which is more than leaves in half a second. */
			sim.outside->cheat.hidden_ppm = 1000000;
			under = max64(under, run_until(is_hiding, 5 * WEIR_NS_PER_S));
			CU_ASSERT_FALSE(sim.hardware->breached);
			CU_ASSERT(sim.alarms > 0);
			weir_hwsim_drain(&sim);
			weir_hwsim_finish(&sim);

			open_box(devices[d], false, n);
			weir_hwsim_run(&sim, WARM_UP_NS);
			sim.outside->cheat.count_bytes = 1;
			over = max64(over, run_until(is_breached, 5 * WEIR_NS_PER_S));
			CU_ASSERT(sim.alarms > 0);
			weir_hwsim_finish(&sim);
		}
		print_bound("counters that hide what leaves", names[d], under,
		            2 * WEIR_HARDWARE_COUNTERS_NS + 2 * LOOK_NS);
		print_bound("counters with a byte too many, port idle", names[d], over,
		            BREACH_NS + STEP_NS);
	}
}

/* Half of the bytes that classes send in a step, and more, are not counted. */
static bool
is_hiding_bytes(void)
{
	sim.outside->cheat.count_bytes -=
	    (int64_t)(RATES_MBIT * MBIT / 8 / 4 * STEP_NS / WEIR_NS_PER_S);
	return sim.hardware->hides;
}

static void
test_counters_bytes(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t most = 0;

		for (uint32_t n = 0; n < TRIES; n++) {
			open_box(devices[d], true, n);
			sim.shortest_round_ns = sim.longest_round_ns = SLOW_ROUND_NS;
			for (uint32_t i = 0; i < sim.policy.n_classes; i++)
				offer(i, sim.policy.classes[i].rate_bit_s / 2);
			weir_hwsim_run(&sim, 700 * MS);
			most = max64(most, run_until(is_hiding_bytes, 5 * WEIR_NS_PER_S));
			CU_ASSERT_FALSE(sim.hardware->breached);
			CU_ASSERT_FALSE(sim.hardware->set_back);
			CU_ASSERT(sim.alarms > 0);
			weir_hwsim_finish(&sim);
		}
		print_bound("counters that hide bytes, and no frame", names[d], most,
		            2 * WEIR_HARDWARE_COUNTERS_NS + 2 * LOOK_NS);
	}
}

/* ---- stuck ---- */

static void
test_stuck(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t most = 0, starts;

		for (uint32_t n = 0; n < TRIES; n++) {
			open_box(devices[d], false, n);
			sim.shortest_round_ns = sim.longest_round_ns = SLOW_ROUND_NS;
			weir_hwsim_run(&sim, WARM_UP_NS);
			starts = sim.outside->starts;
			sim.outside->cheat.never_completes = true;
			offer(CHEATED, 10 * MBIT);
			most = max64(most, run_until(is_stuck, 5 * WEIR_NS_PER_S));
			sim.outside->cheat.never_completes = false;
			weir_hwsim_run(&sim, 4 * LOOK_NS);
			CU_ASSERT_EQUAL(sim.outside->starts, starts + 1);
			CU_ASSERT_EQUAL(sim.appliance->port_watch[1].state, WEIR_PORT_UP);
			weir_hwsim_drain(&sim);
			weir_hwsim_finish(&sim);
		}
		print_bound("a queue that never tells that a frame has left", names[d], most,
		            WEIR_HARDWARE_STUCK_NS + 2 * LOOK_NS + 2 * MS);
	}
}

/* ---- an honest one ---- */

/* What the counters say was dropped on the link, under a reason. */
static uint64_t
dropped(enum weir_drop reason)
{
	struct weir_flow_totals totals;

	weir_dataplane_flow_totals(sim.appliance->dataplane, 0, WEIR_EGRESS, &totals);
	return totals.dropped[reason];
}

static void
test_held(void)
{
	for (uint32_t d = 0; d < 2; d++) {
		open_box(devices[d], true, 0);
		sim.judging = true;
		for (uint32_t n = 0; n < BURSTS; n++) {
			for (uint32_t i = 1; i < sim.policy.n_classes; i++)
				put_burst(i);
			weir_hwsim_run(&sim, EVERY_NS);
		}
		for (uint32_t i = 1; i < sim.policy.n_classes; i++) {
			const struct weir_hardware_queue *queue =
			    &sim.hardware->queues[queue_of(i)];

			CU_ASSERT_EQUAL(queue->verdict, WEIR_VERDICT_HELD);
			/* As exact as a worker's rounds make it. */
			CU_ASSERT(queue->measured_bit_s <=
			          queue->asked_bit_s + queue->asked_bit_s / 1000);
			CU_ASSERT(queue->measured_bit_s >= queue->programmed_bit_s / 100 * 97);
		}
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

/* The classes with traffic but for the one that stands still have all that they ask for. */
static void
check_others(void)
{
	uint64_t before[OTHERS];

	for (uint32_t i = 0; i < OTHERS; i++)
		before[i] = sim.tape.classes[i].left_bytes;
	weir_hwsim_run(&sim, 500 * MS);
	for (uint32_t i = 0; i < OTHERS; i++) {
		uint64_t got = sim.tape.classes[i].left_bytes - before[i];
		uint64_t due = sim.policy.classes[i].rate_bit_s / 8 / 2 * 9 / 10;

		CU_ASSERT(i == CHEATED ? got == 0 : got >= due / 100 * 98);
	}
}

/*
 * One queue stands still: its class has its burst in it, or a ring full of frames, and no more; its
 * backlog fills up and the rest is dropped, as too much for the backlog, or because the ring is
 * full.
 */
static void
stand_still(uint32_t device, uint32_t bytes)
{
	uint32_t wire_bytes = weir_wire_bytes(bytes);
	uint64_t ring = (uint64_t)(sim.appliance->ports[1].tx_descriptors - 1U) * wire_bytes;
	uint64_t most = ring < BURST ? ring : BURST, charged, left, drops;
	enum weir_drop reason = ring < BURST ? WEIR_DROP_TX_FULL : WEIR_DROP_BACKLOG;

	offer(CHEATED, 200 * MBIT);
	sim.sources[CHEATED].least = sim.sources[CHEATED].most = bytes;
	weir_hwsim_run(&sim, 700 * MS);
	/* All is full by now. */
	left = sim.tape.classes[CHEATED].left_bytes;
	charged = sim.tape.classes[CHEATED].handed_bytes - left;
	drops = dropped(reason);
	CU_ASSERT_EQUAL(weir_hwsim_inflight(&sim, CHEATED), charged);
	CU_ASSERT(charged <= most && charged > most - 3 * wire_bytes);
	CU_ASSERT(weir_hwsim_queued(&sim, CHEATED) <= BURST);
	CU_ASSERT(weir_hwsim_queued(&sim, CHEATED) > BURST - 2 * wire_bytes);
	check_others();
	/* Nothing of it was charged again, and all that came was dropped. */
	CU_ASSERT_EQUAL(sim.tape.classes[CHEATED].handed_bytes - left, charged);
	CU_ASSERT_EQUAL(weir_hwsim_charged(&sim), sim.tape.handed_bytes);
	CU_ASSERT(dropped(reason) - drops >= 200 * MBIT / 8 / 2 / wire_bytes * 98 / 100);
	CU_ASSERT_EQUAL(dropped(WEIR_DROP_RATE), 0);
	printf("    %-6s %4" PRIu32 " B frames: %" PRIu64 " B in the NIC of a burst of %u B; "
	       "dropped: %" PRIu64 " backlog, %" PRIu64 " tx_full\n",
	       names[device], bytes, charged, BURST, dropped(WEIR_DROP_BACKLOG),
	       dropped(WEIR_DROP_TX_FULL));
}

static void
test_backpressure(void)
{
	static const uint32_t sizes[] = {FULL, WEIR_FRAME_MIN_BYTES};

	for (uint32_t n = 0; n < 2 * WEIR_TEST_COUNT(sizes); n++) {
		open_box(devices[n % 2], true, 0);
		for (uint32_t i = 0; i < OTHERS; i++)
			offer(i, sim.policy.classes[i].rate_bit_s * 9 / 10);
		weir_hwsim_run(&sim, WARM_UP_NS);
		sim.outside->cheat.stalls = true;
		sim.outside->cheat.stalled_queue = queue_of(CHEATED);
		stand_still(n % 2, sizes[n / 2]);
		sim.outside->cheat.stalls = false;
		weir_hwsim_drain(&sim);
		weir_hwsim_finish(&sim);
	}
}

static const struct weir_test tests[] = {
    {"an honest NIC is said to hold its limits", test_held},
    {"a queue that stands still holds nobody else up", test_backpressure},
    {"a queue faster than its limit", test_fast},
    {"a queue faster than its limit, which is required", test_fast_required},
    {"a queue too fast for short", test_above},
    {"limits forgotten", test_forgets},
    {"frames that nobody charged", test_extra_frames},
    {"counters that lie", test_counters},
    {"counters that hide bytes", test_counters_bytes},
    {"a queue that never completes", test_stuck},
};

int
main(void)
{
	return weir_hwsim_main("hardware_cheats", tests, WEIR_TEST_COUNT(tests));
}
