/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port sends is compared with what was charged over its whole life: around starts, while it
 * is not used, while a worker hangs, and when its counters can't be read or were set back. And an
 * honest one, whose counters come late, is not accused.
 */
#include "control/watch.h"
#include "tests/nic/hardware_sim.h"

#include <string.h>

#define MBIT     UINT64_C(1000000)
#define MS       ((uint64_t)WEIR_NS_PER_MS)
#define ROUND_NS (20 * WEIR_NS_PER_US)
#define BURST    300000U
#define FULL     (WEIR_HWSIM_MTU + 14U)
#define CLASSES  4U
#define HAND     64U /* frames that a worker may hold, not counted yet */

static const char ixgbe[] = "model1,family=ixgbe,queues=17,speed=10G,events=1";
static const char plain[] = "model1,family=plain,queues=17,speed=10G";
static const char cnxk[] = "model1,family=cnxk,queues=17,speed=10G";
static const char txgbe[] = "model1,family=txgbe,queues=17,speed=10G";

static struct weir_hwsim sim;

static void
open_limiter(const char *device, const char *limiter, bool required)
{
	struct weir_hwsim_policy policy = {.outside = device,
	                                   .limiter = limiter,
	                                   .required = required,
	                                   .n_workers = 1,
	                                   .n_classes = CLASSES};

	for (uint32_t i = 0; i < CLASSES; i++)
		policy.classes[i] = (struct weir_hwsim_class){
		    .rate_bit_s = 100 * MBIT, .burst_bytes = BURST, .backlog_bytes = BURST};
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = ROUND_NS;
	sim.judging = false;
}

static void
open_box(const char *device, bool required)
{
	open_limiter(device, "auto", required);
}

static void
offer(uint32_t class, uint64_t rate_bit_s)
{
	sim.sources[class] = (struct weir_hwsim_source){
	    .rate_bit_s = rate_bit_s, .least = FULL, .most = FULL, .most_due_bytes = 20 * FULL};
}

static void
send_own(uint64_t frames)
{
	sim.outside->cheat.own_frames = frames;
	sim.outside->cheat.own_bytes = FULL;
}

/* The link is down for a moment; returns once the port was started again. */
static void
flap(void)
{
	uint64_t starts = sim.outside->starts;

	sim.noticed_ns = 0;
	sim.noticing = 0;
	weir_model_blink(sim.outside, 10000, MS);
	while (sim.outside->starts == starts && !sim.hardware->breached && sim.error[0] == '\0')
		weir_hwsim_run(&sim, MS);
}

static bool
stopped(void)
{
	return sim.hardware->breached && !sim.appliance->ports[1].started;
}

/* What the NIC sends by itself once it runs again, before it is used. */
static void
test_own_after_start(void)
{
	open_box(ixgbe, false);
	weir_hwsim_run(&sim, 200 * MS);
	flap();
	CU_ASSERT_FALSE(sim.hardware->breached);
	send_own(30000); /* 36 ms of line rate */
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

/* And what it sends between a look and the link that goes down. */
static void
test_own_before_start(void)
{
	open_box(ixgbe, false);
	weir_hwsim_run(&sim, 200 * MS);
	while (sim.next_tick_ns - sim.now_ns < 48 * MS && sim.error[0] == '\0')
		weir_hwsim_run(&sim, MS / 2);
	send_own(20000);
	weir_hwsim_run(&sim, 30 * MS);
	CU_ASSERT_FALSE(sim.hardware->breached);
	flap();
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

/* What waited in the NIC was charged and never left: it hides nothing later on. */
static void
lose(const char *device, const char *limiter)
{
	uint64_t lost;

	open_limiter(device, limiter, false);
	sim.outside->cheat.stalls = true;
	sim.outside->cheat.stalled_queue = WEIR_MODEL_ALL_QUEUES;
	for (uint32_t n = 0; n < BURST / FULL - 2; n++) {
		(void)weir_hwsim_put(&sim, 0, FULL);
		if (n % 16 == 15)
			weir_hwsim_run(&sim, ROUND_NS);
	}
	weir_hwsim_run(&sim, 2 * MS);
	flap();
	sim.outside->cheat.stalls = false;
	weir_hwsim_run(&sim, 4 * WEIR_NS_PER_S + 200 * MS);
	lost = sim.tape.handed_bytes - sim.tape.left_bytes;
	CU_ASSERT(lost > 10 * FULL);
	CU_ASSERT(sim.hardware->lost.frames > 10);
	CU_ASSERT_FALSE(sim.hardware->breached);
	send_own(1);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

static void
test_lost_hides_nothing(void)
{
	lose(ixgbe, "auto");
	lose(cnxk, "auto");
	lose(plain, "soft");
}

/*
 * After a start an honest NIC holds back for so long what was charged behind it, and then goes on:
 * it has not sent too much. wait_ns: after the start, before anything is charged.
 */
static void
hold_back(const char *device, const char *limiter, uint64_t wait_ns, uint64_t hold_ns)
{
	open_limiter(device, limiter, false);
	weir_hwsim_run(&sim, 200 * MS);
	flap();
	sim.shortest_round_ns = sim.longest_round_ns = 10 * ROUND_NS;
	weir_hwsim_run(&sim, wait_ns);
	sim.outside->cheat.stalls = true;
	sim.outside->cheat.stalled_queue = WEIR_MODEL_ALL_QUEUES;
	offer(0, 10 * MBIT);
	weir_hwsim_run(&sim, 50 * MS);
	offer(0, 0);
	CU_ASSERT(sim.tape.handed_bytes > 0);
	weir_hwsim_run(&sim, hold_ns);
	CU_ASSERT_EQUAL(sim.tape.left_bytes, 0);
	sim.outside->cheat.stalls = false;
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT_FALSE(sim.hardware->breached);
	/* Where nobody tells that frames wait, that none is counted is an alarm, and no breach. */
	CU_ASSERT_EQUAL(sim.alarms, hold_ns > WEIR_HARDWARE_STUCK_NS);
	CU_ASSERT_EQUAL(sim.tape.left_bytes, sim.tape.handed_bytes);
	weir_hwsim_finish(&sim);
}

static void
test_held_back(void)
{
	hold_back(plain, "soft", WEIR_NS_PER_S, 4500 * MS);
	hold_back(ixgbe, "soft", WEIR_NS_PER_S, 4500 * MS);
	hold_back(cnxk, "auto", WEIR_NS_PER_S, 4500 * MS);
	/* Not for so long that it is taken for stuck, but two seconds after the start. */
	hold_back(ixgbe, "auto", WEIR_NS_PER_S, 1500 * MS);
}

/* A port that must not be used, because its limits don't hold, and whose device runs on. */
static void
test_not_used(void)
{
	open_box(ixgbe, true);
	weir_hwsim_run(&sim, 200 * MS);
	sim.outside->cheat.rate_ppm = 10000000;
	sim.outside->cheat.rate_queue = WEIR_MODEL_ALL_QUEUES;
	offer(0, 1000 * MBIT);
	weir_hwsim_run(&sim, WEIR_NS_PER_S);
	CU_ASSERT_TRUE(sim.hardware->fast);
	CU_ASSERT(sim.appliance->port_watch[1].state == WEIR_PORT_CLEAN);
	send_own(1);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

/* An honest NIC whose counters are behind, and whose link flaps just then. */
static void
test_late_counters(void)
{
	struct weir_model_counts counts;

	open_box(ixgbe, false);
	offer(0, 90 * MBIT);
	weir_hwsim_run(&sim, 500 * MS);
	counts = weir_model_read(sim.outside, WEIR_MODEL_ALL_QUEUES);
	sim.outside->cheat.late_frames = counts.frames;
	sim.outside->cheat.late_bytes = counts.bytes;
	sim.outside->cheat.late = true;
	weir_hwsim_run(&sim, 250 * MS);
	flap();
	weir_hwsim_run(&sim, 60 * MS);
	sim.outside->cheat.late = false;
	weir_hwsim_run(&sim, 3000 * MS);
	CU_ASSERT_FALSE(sim.hardware->breached);
	CU_ASSERT_EQUAL(sim.alarms, 0);
	weir_hwsim_finish(&sim);
}

/* Counters that are set back are told at once; what comes after counts; again is too often. */
static void
test_counters_back(void)
{
	open_box(cnxk, false);
	offer(0, 90 * MBIT);
	weir_hwsim_run(&sim, 500 * MS);
	weir_model_reset_counters(sim.outside);
	weir_hwsim_run(&sim, 100 * MS);
	CU_ASSERT_TRUE(sim.hardware->set_back);
	CU_ASSERT_EQUAL(sim.alarms, 1);
	CU_ASSERT_FALSE(sim.hardware->breached);
	send_own(10000);
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);

	open_box(cnxk, false);
	offer(0, 90 * MBIT);
	for (uint32_t n = 0; n < 2; n++) {
		weir_hwsim_run(&sim, 200 * MS);
		weir_model_reset_counters(sim.outside);
	}
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

/* Counters that can't be read: told at once, and not for long. */
static void
test_unreadable(void)
{
	open_box(cnxk, false);
	offer(0, 90 * MBIT);
	weir_hwsim_run(&sim, 200 * MS);
	sim.outside->cheat.unreadable = true;
	weir_hwsim_run(&sim, 100 * MS);
	CU_ASSERT_EQUAL(sim.alarms, 1);
	CU_ASSERT_FALSE(sim.hardware->breached);
	sim.outside->cheat.unreadable = false;
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT_EQUAL(sim.hardware->unread_looks, 0);
	sim.outside->cheat.unreadable = true;
	weir_hwsim_run(&sim, (WEIR_HARDWARE_UNREAD_LOOKS + 2) * WEIR_HARDWARE_LOOK_NS);
	CU_ASSERT(stopped());
	sim.outside->cheat.unreadable = false;
	weir_hwsim_finish(&sim);
}

/* Counters that stand still, on a NIC that does not tell what has left. */
static void
test_hide(void)
{
	open_box(cnxk, false);
	for (uint32_t i = 0; i < CLASSES; i++)
		offer(i, 90 * MBIT);
	weir_hwsim_run(&sim, 200 * MS);
	sim.outside->cheat.hidden_ppm = 1000000;
	weir_hwsim_run(&sim, 3000 * MS);
	CU_ASSERT_TRUE(sim.hardware->hides);
	CU_ASSERT(sim.alarms > 0);
	weir_hwsim_finish(&sim);
}

/*
 * All frames are counted, and of each a third of its bytes. Nobody tells what has left, but the NIC
 * has no room for what is missing soon.
 */
static void
test_hide_bytes(void)
{
	const uint64_t frames_ms = 4 * 90 * MBIT / 8 / 1000 / FULL;
	uint64_t begin_ns;

	open_box(cnxk, false);
	for (uint32_t i = 0; i < CLASSES; i++)
		offer(i, 90 * MBIT);
	weir_hwsim_run(&sim, 500 * MS);
	begin_ns = sim.now_ns;
	while (!sim.hardware->hides && sim.now_ns - begin_ns < 5 * WEIR_NS_PER_S &&
	       sim.error[0] == '\0') {
		sim.outside->cheat.count_bytes -= (int64_t)(frames_ms * FULL * 2 / 3);
		weir_hwsim_run(&sim, MS);
	}
	printf("    after %" PRIu64 " ms\n", (sim.now_ns - begin_ns) / MS);
	CU_ASSERT_TRUE(sim.hardware->hides);
	CU_ASSERT_EQUAL(sim.alarms, 1);
	CU_ASSERT_FALSE(sim.hardware->set_back || sim.hardware->breached);
	weir_hwsim_finish(&sim);
}

/* Worker 1 is in a round and stays there, while time passes. */
static void
hang(uint64_t ns)
{
	uint64_t end_ns = sim.now_ns + ns, tick_ns = sim.now_ns;

	sim.in_round |= 2U;
	while (sim.now_ns < end_ns && sim.error[0] == '\0') {
		sim.now_ns += ROUND_NS;
		weir_model_advance_all(sim.now_ns);
		weir_dataplane_pulse(sim.appliance->dataplane, sim.now_ns);
		(void)weir_hwsim_round(&sim, 0);
		if (sim.now_ns - tick_ns >= WEIR_HARDWARE_LOOK_NS) {
			tick_ns = sim.now_ns;
			weir_hwsim_tick(&sim);
		}
	}
}

/* A worker that hangs blinds nobody, and keeps nothing on the wire; but the device can't be stopped
 * under its hands, which is told. */
static void
test_hung_worker(void)
{
	struct weir_hwsim_policy policy = {.outside =
	                                       "model1,family=ice,queues=34,speed=10G,events=1",
	                                   .limiter = "auto",
	                                   .n_workers = 2,
	                                   .n_classes = 2};
	uint64_t own_bytes;

	for (uint32_t i = 0; i < policy.n_classes; i++)
		policy.classes[i] = (struct weir_hwsim_class){
		    .rate_bit_s = 100 * MBIT, .burst_bytes = BURST, .backlog_bytes = BURST};
	weir_hwsim_open(&sim, &policy, weir_test_seed());
	sim.shortest_round_ns = sim.longest_round_ns = ROUND_NS;
	sim.judging = false;
	weir_hwsim_run(&sim, 200 * MS);
	hang(200 * MS);
	send_own(HAND + 1);
	hang(WEIR_WATCH_STALL_NS);
	CU_ASSERT_TRUE(sim.hardware->breached);
	CU_ASSERT_EQUAL(sim.alarms, 1);
	send_own(1000);
	own_bytes = sim.tape.own_bytes;
	hang(WEIR_NS_PER_S + 2 * WEIR_HARDWARE_LOOK_NS);
	CU_ASSERT_EQUAL(sim.tape.own_bytes, own_bytes);
	CU_ASSERT_TRUE(sim.appliance->ports[1].started);
	CU_ASSERT_EQUAL(sim.alarms, 2);
	/* It comes back. */
	sim.in_round = 0;
	weir_hwsim_run(&sim, 200 * MS);
	CU_ASSERT(stopped());
	weir_hwsim_finish(&sim);
}

/*
 * All frames are told to have left as soon as they are handed over, and wait in the NIC for its
 * limit: more has left than that allows, if it says so.
 */
static void
test_tells_early(void)
{
	uint16_t queue;

	open_box(ixgbe, false);
	weir_hwsim_run(&sim, 200 * MS);
	queue = sim.hardware->plan.classes[0].queue;
	sim.outside->cheat.completes_at_once = true;
	for (uint32_t n = 0; n < BURST / FULL - 2; n++) {
		(void)weir_hwsim_put(&sim, 0, FULL);
		if (n % 16 == 15)
			weir_hwsim_run(&sim, ROUND_NS);
	}
	weir_hwsim_run(&sim, WEIR_HARDWARE_LOOK_NS + ROUND_NS);
	CU_ASSERT_TRUE(sim.hardware->fast);
	CU_ASSERT_EQUAL(sim.hardware->queues[queue].verdict, WEIR_VERDICT_FAST);
	CU_ASSERT_EQUAL(sim.alarms, 1);
	CU_ASSERT_FALSE(sim.hardware->breached);
	/* At 100 Mbit/s it takes 20 ms. */
	CU_ASSERT(sim.tape.longest_ps > 15 * MS * 1000);
	weir_hwsim_finish(&sim);
}

static uint64_t
run_until_still(void)
{
	uint64_t begin_ns = sim.now_ns;

	while (!sim.hardware->still && sim.now_ns - begin_ns < 5 * WEIR_NS_PER_S &&
	       sim.error[0] == '\0')
		weir_hwsim_run(&sim, MS);
	return sim.now_ns - begin_ns;
}

/* No frame shows any more: a few that leave are hidden, or none leaves. */
static void
test_still(void)
{
	for (uint32_t stalls = 0; stalls < 2; stalls++) {
		open_box(cnxk, false);
		offer(0, 10 * MBIT);
		weir_hwsim_run(&sim, 200 * MS);
		/* None that comes is no alarm. */
		sim.sources[0].rate_bit_s = 0;
		weir_hwsim_run(&sim, WEIR_HARDWARE_STUCK_NS + 500 * MS);
		CU_ASSERT_EQUAL(sim.alarms, 0);
		sim.outside->cheat.hidden_ppm = stalls == 0 ? 1000000 : 0;
		sim.outside->cheat.stalls = stalls == 1;
		sim.outside->cheat.stalled_queue = WEIR_MODEL_ALL_QUEUES;
		offer(0, 10 * MBIT);
		/* Eight frames take 10 ms. */
		CU_ASSERT(run_until_still() <=
		          WEIR_HARDWARE_STUCK_NS + 2 * WEIR_HARDWARE_LOOK_NS + 20 * MS);
		CU_ASSERT_EQUAL(sim.alarms, 1);
		/* What has left by now was charged; the port goes on. */
		sim.outside->cheat.hidden_ppm = 0;
		sim.outside->cheat.stalls = false;
		weir_hwsim_run(&sim, 200 * MS);
		CU_ASSERT_FALSE(sim.hardware->still);
		CU_ASSERT_FALSE(sim.hardware->breached);
		weir_hwsim_finish(&sim);
	}
}

/* Nobody measures limits where the driver doesn't tell what has left: that is said, and once. */
static void
test_unmeasured(void)
{
	static const char *const devices[] = {cnxk, txgbe, plain, ixgbe};
	static const char *const limiters[] = {"auto", "auto", "queue", "auto"};

	for (uint32_t d = 0; d < WEIR_TEST_COUNT(devices); d++) {
		struct weir_event event;
		uint32_t n = 0;

		open_limiter(devices[d], limiters[d], true);
		CU_ASSERT_TRUE(sim.hardware->open);
		flap();
		weir_hwsim_run(&sim, 200 * MS);
		for (uint64_t i = 1; weir_events_get(sim.events, i, &event); i = event.number + 1)
			n += strcmp(event.kind, "limits_unmeasured") == 0 ? 1 : 0;
		CU_ASSERT_EQUAL(n, devices[d] == ixgbe ? 0 : 1);
		weir_hwsim_finish(&sim);
	}
}

static const struct weir_test tests[] = {
    {"a worker that hangs", test_hung_worker},
    {"own frames after a start", test_own_after_start},
    {"own frames before a start", test_own_before_start},
    {"what a start has lost hides nothing", test_lost_hides_nothing},
    {"a port that is not used is watched", test_not_used},
    {"what a NIC holds back after a start", test_held_back},
    {"counters that are late", test_late_counters},
    {"counters that are set back", test_counters_back},
    {"counters that can't be read", test_unreadable},
    {"counters that stand still", test_hide},
    {"counters that hide bytes, and nobody tells", test_hide_bytes},
    {"limits that can't be measured", test_unmeasured},
    {"all stands still, and nobody tells", test_still},
    {"frames told before they leave", test_tells_early},
};

int
main(void)
{
	return weir_hwsim_main("hardware_life", tests, WEIR_TEST_COUNT(tests));
}
