/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of limits that stop the port's queues. Linked with --wrap. */
#include "control/hardware_state.h"
#include "tests/unit/hardware_box.h"

/* A change that stops all queues waits for them to be empty. */
static void
test_policy_held(void)
{
	box_make();
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	box.commits = 0;

	/* Nothing to program: nothing is held. */
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 0);

	box.classes[0].rate_bit_s = 30 * BOX_MBIT;
	box.quiescent = false;
	atomic_store(&box.departures[0][queue_of('b')].waiting_frames, 3);
	weir_hardware_policy(box.appliance);
	CU_ASSERT(!box.held && box.commits == 0);
	for (int i = 0; i < 3; i++)
		(void)box_look();
	CU_ASSERT(box.held && box.commits == 0);
	/* Another policy meanwhile is the one that counts. */
	box.classes[0].rate_bit_s = 40 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	box.quiescent = true;
	for (uint32_t i = 0; i < 30; i++) { /* slower than a drain may take, were it stuck */
		atomic_store(&box.departures[0][queue_of('b')].done_frames, i);
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	}
	CU_ASSERT(box.held && box.commits == 0);
	atomic_store(&box.departures[0][queue_of('b')].waiting_frames, 0);
	(void)box_look();
	CU_ASSERT(!box.held && box.commits == 1);
	CU_ASSERT_EQUAL(box.committed[queue_of('a')], 40 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.restarts, 0);
	/* All limits have begun anew: at the start, and now. */
	CU_ASSERT_EQUAL(atomic_load(&box.departures[0][queue_of('a')].limit_starts), 2);
	CU_ASSERT_EQUAL(atomic_load(&box.departures[0][queue_of('b')].limit_starts), 2);
	box.n_steps = 0;
	(void)box_look();
	CU_ASSERT_EQUAL(box.n_steps, 0);
	box_free();
}

/* What is allowed to wait in a queue. */
static uint64_t
most_of(uint32_t queue)
{
	return atomic_load(&box.departures[0][queue].most_bytes);
}

/* A port is not held before little waits in it; what waits more than that comes first. */
static void
test_policy_eased(void)
{
	for (int required = 0; required < 2; required++) {
		_Atomic uint64_t *waiting;

		box_make();
		box.change = WEIR_LIMITER_STOPS;
		if (required == 1)
			box_require();
		box_start_well();
		box.commits = 0;
		waiting = &box.departures[0][queue_of('c')].waiting_bytes;
		box.classes[0].rate_bit_s = 30 * BOX_MBIT;
		/* 7 Mbit/s: 87.5 kB leave in 100 ms. */
		atomic_store(waiting, 10 * 87500);
		weir_hardware_policy(box.appliance);
		CU_ASSERT_EQUAL(most_of(queue_of('a')), 1250000);
		CU_ASSERT_EQUAL(most_of(queue_of('c')), 87500);
		CU_ASSERT_EQUAL(most_of(0), required == 1 ? 0 : UINT64_MAX);
		for (int i = 0; i < 60; i++) {
			(void)box_look();
			CU_ASSERT_FALSE(box.held);
		}
		atomic_store(waiting, 87500);
		(void)box_look(); /* held, and empty */
		CU_ASSERT_EQUAL(box.commits, 1);
		CU_ASSERT_EQUAL(box.committed[queue_of('a')], 30 * BOX_MBIT);
		for (uint32_t q = 0; q < BOX_QUEUES; q++)
			CU_ASSERT_EQUAL(most_of(q), UINT64_MAX);
		CU_ASSERT(!box.held && box.restarts == 0);
		box_free();
	}
}

/* What does not drain is not lost: workers go on by the old limits, and it is tried again. */
static void
test_policy_never_drains(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];
	uint32_t held_looks = 0;

	box_make();
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	box.commits = 0;
	box.classes[0].rate_bit_s = 30 * BOX_MBIT;
	atomic_store(&box.departures[0][0].waiting_frames, 7);
	weir_hardware_policy(box.appliance);
	for (uint32_t i = 0; i < 600; i++) { /* 30 s */
		atomic_fetch_add(&box.departures[0][0].done_frames, 1);
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
		held_looks += box.held ? 1 : 0;
	}
	/* Two seconds of twelve. */
	CU_ASSERT(held_looks >= 95 && held_looks <= 125);
	CU_ASSERT_EQUAL(box.commits, 0);
	CU_ASSERT_EQUAL(box_events("limits_drain", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "out0: 7 frames still wait"));
	atomic_store(&box.departures[0][0].waiting_frames, 0);
	for (uint32_t i = 0; i < 250; i++)
		(void)box_look();
	CU_ASSERT_EQUAL(box.committed[queue_of('a')], 30 * BOX_MBIT);
	CU_ASSERT(box.used && !box.held);
	CU_ASSERT(box.commits == 1 && box.restarts == 0);
	box_free();
}

/* A worker that makes no round does not hold up the others for longer than what does not drain. */
static void
test_policy_hung_worker(void)
{
	for (int completions = 0; completions < 2; completions++) {
		char last[WEIR_EVENT_MESSAGE_SIZE];
		uint32_t held_looks = 0;

		box_make();
		box.change = WEIR_LIMITER_STOPS;
		box.completions = completions == 1;
		box_start_well();
		box.commits = 0;
		box.classes[0].rate_bit_s = 30 * BOX_MBIT;
		box.quiescent = false;
		weir_hardware_policy(box.appliance);
		for (uint32_t i = 0; i < 200; i++) { /* 10 s */
			(void)box_look();
			held_looks += box.held ? 1 : 0;
		}
		CU_ASSERT(held_looks >= 38 && held_looks <= 45);
		CU_ASSERT_EQUAL(box_events("limits_drain", last), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(last, "a worker makes no round"));
		box.quiescent = true;
		for (uint32_t i = 0; i < 100; i++)
			(void)box_look();
		CU_ASSERT(!box.held && box.commits == 1 && box.restarts == 0);
		box_free();
	}
}

/* Where nobody tells what has left, what seems not to is lost with a restart. */
static void
test_policy_unknown(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];
	uint32_t looks = 0;

	/* Where nobody knows what has left, the port's counters say when all has. */
	box_make();
	box.change = WEIR_LIMITER_STOPS;
	box.completions = false;
	box_start_well();
	box.flow.tx_frames = 10;
	box.flow.tx_wire_bytes = 840;
	box.stats.opackets = 9;
	box.classes[0].rate_bit_s = 30 * BOX_MBIT;
	box.commits = 0;
	weir_hardware_policy(box.appliance);
	for (int i = 0; i < 3; i++)
		(void)box_look();
	CU_ASSERT(box.held && box.commits == 0);
	box.stats.opackets = 10;
	(void)box_look();
	CU_ASSERT(!box.held && box.commits == 1);

	box.flow.tx_frames = 11;
	box.flow.tx_wire_bytes = 924;
	box.classes[0].rate_bit_s = 40 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	while (box_look() == WEIR_PORT_UP && looks < 100)
		looks++;
	CU_ASSERT(looks >= 40 && looks <= 43);
	CU_ASSERT_EQUAL(box_events("limits_drain", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "are lost"));
	box_free();
}

/*
 * There a class that goes to another queue, to the one that is not limited or from it, waits until
 * nothing is left where it was; one that only gets another rate does not.
 */
static void
test_policy_unknown_moves(void)
{
	static const struct {
		uint32_t class;
		uint64_t rate_bit_s;
		bool held;
	} cases[] = {
	    {0, 90 * BOX_MBIT, false},
	    {0, 110 * BOX_MBIT, false},
	    {0, BOX_MBIT / 2, true},
	    {3, 3 * BOX_MBIT, true},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		uint8_t before;

		box_make();
		box.completions = false;
		box_start_well();
		before = queue_of('a');
		box.classes[cases[i].class].rate_bit_s = cases[i].rate_bit_s;
		weir_hardware_policy(box.appliance);
		CU_ASSERT_EQUAL(box.held, cases[i].held);
		/* Meanwhile what waits there leaves by the least that there is. */
		if (cases[i].rate_bit_s < BOX_MBIT)
			CU_ASSERT_EQUAL(box.limits[before], BOX_MBIT);
		(void)box_look();
		(void)box_look();
		CU_ASSERT_FALSE(box.held);
		CU_ASSERT_EQUAL(queue_of('a') == 0, cases[i].rate_bit_s < BOX_MBIT);
		CU_ASSERT_EQUAL(queue_of('d') == 0, cases[i].class != 3);
		box_free();
	}
}

/* There what a class that is gone has left in its queue waits for no limit that is higher. */
static void
test_policy_unknown_gone(void)
{
	for (uint32_t n = 0; n < 4; n++) {
		bool at_once = n < 2, faster = n % 2 == 1;
		uint8_t queue;

		box_make();
		box.completions = false;
		box_start_well();
		queue = queue_of('b');
		box.rules[1].link = 1;
		if (!at_once)
			weir_hardware_policy(box.appliance);
		CU_ASSERT_FALSE(box.held);
		box.rules[4].link = WEIR_ANY;
		box.classes[4].rate_bit_s = (faster ? 51 : 49) * BOX_MBIT;
		weir_hardware_policy(box.appliance);
		CU_ASSERT_EQUAL(box.held, faster);
		(void)box_look();
		(void)box_look();
		CU_ASSERT_FALSE(box.held);
		CU_ASSERT_EQUAL(queue_of('e'), queue);
		box_free();
	}
}

/* Bursts of a hierarchy are set, and judged by, also where no rate changes. A queue's are not. */
static void
test_bursts(void)
{
	for (uint32_t senders = 1; senders <= 2; senders++) {
		uint64_t frame_bytes;
		uint8_t queue;

		box_make();
		box.change = WEIR_LIMITER_STOPS;
		box.config.appliance.n_workers = senders;
		box.workers[1] = box.workers[0];
		box_start_well();
		box.commits = 0;
		frame_bytes = weir_config_largest_frame(&box.config);
		queue = queue_of('a');
		CU_ASSERT_EQUAL(box.judged_burst[queue], 20000 + frame_bytes);
		box.classes[0].burst_bytes = 30000;
		weir_hardware_policy(box.appliance);
		(void)box_look();
		(void)box_look();
		CU_ASSERT_EQUAL(box.commits, 1);
		CU_ASSERT_EQUAL(box.judged_burst[queue], 30000 + frame_bytes);
		/* Each may have begun a frame. */
		CU_ASSERT_EQUAL(
		    box.appliance->hardware->ports[BOX_OUTSIDE]->queues[queue].joint.burst_bytes,
		    30000 + senders * frame_bytes);
		box_free();
	}
	box_make();
	box_start_well();
	box.classes[0].burst_bytes = 30000;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 0);
	box_free();
}

static const struct weir_test tests[] = {
    {"a policy's change that stops the queues", test_policy_held},
    {"a worker that hangs meanwhile", test_policy_hung_worker},
    {"a policy's change that waits for a slow queue", test_policy_eased},
    {"queues that do not drain", test_policy_never_drains},
    {"bursts that change alone", test_bursts},
    {"queues of which nobody knows", test_policy_unknown},
    {"classes that change their queue, and nobody knows", test_policy_unknown_moves},
    {"queues of classes that are gone, and nobody knows", test_policy_unknown_gone},
};

int
main(void)
{
	return weir_test_run("hardware_change", tests, WEIR_TEST_COUNT(tests));
}
