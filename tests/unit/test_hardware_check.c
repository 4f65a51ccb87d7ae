/* SPDX-License-Identifier: BSD-3-Clause */
/* What is noticed of a NIC that does not do as it was told, how soon, and what never is. */
#include "control/hardware_state.h"
#include "tests/unit/hardware_box_looks.h"

static void
test_breach(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	sends(1000, FRAME_BYTES); /* of an earlier life */
	box_start_well();
	charge(50);
	sends(50, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_UP);
	/* One frame that nobody charged. */
	sends(1, 60);
	CU_ASSERT(looks_until_down(2) <= 2);
	CU_ASSERT_EQUAL(box.appliance->port_watch[BOX_OUTSIDE].state, WEIR_PORT_BREACHED);
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(box.cuts, 1); /* at once */
	CU_ASSERT_EQUAL(box_events("port_breach", last), 1);
	CU_ASSERT_STRING_EQUAL(last, "port out0: has sent 51 frames, 51080 B on the wire, and 50 "
	                             "frames, 51200 B were charged: stopped until weir is "
	                             "restarted");
	/* No worker may be at it when it is stopped. */
	box.quiescent = false;
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_BREACHED);
	CU_ASSERT_EQUAL(box.stops, 0);
	box.quiescent = true;
	CU_ASSERT_EQUAL(looks(40), WEIR_PORT_BREACHED);
	CU_ASSERT_EQUAL(box.stops, 1);
	CU_ASSERT_EQUAL(box.restarts, 0);
	CU_ASSERT(!box.used);
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_BREACHED);
	box_free();

	/* As many frames as were charged, but longer ones. */
	box_make();
	box_start_well();
	charge(10);
	sends(10, FRAME_BYTES + 5);
	CU_ASSERT(looks_until_down(2) <= 2);
	CU_ASSERT_EQUAL(box_events("port_breach", NULL), 1);
	box_free();

	/* A port without any limits is watched just the same. */
	box_make();
	box.appliance->ports[BOX_OUTSIDE].tx_each = 0;
	box_start_well();
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	sends(1, 60);
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();
}

/* Workers count a burst at the end of its round, counters of NICs come late, or with the FCS. */
static void
test_honest(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (unsigned int round = 0; round < 50; round++) {
		uint32_t counted = FRAME_BYTES + (weir_random_one_in(&random, 2) ? 4 : 0);
		uint64_t handed = 0, charged = 0, sent = 0;

		box_make();
		box.completions = false;
		box_start_well();
		for (unsigned int i = 0; i < 200; i++) {
			uint64_t left;

			handed += weir_random_below(&random, 1000);
			left = weir_random_between(&random, sent, handed);
			sends(left - sent, counted);
			sent = left;
			/* Only who is quiescent has counted all that it handed over. */
			box.quiescent = !weir_random_one_in(&random, 3);
			left =
			    box.quiescent ? handed : weir_random_between(&random, charged, handed);
			charge(left - charged);
			charged = left;
			CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
		}
		CU_ASSERT_EQUAL(box_events("port_breach", NULL), 0);
		box_free();
	}
}

/* The round in which a frame was handed over has to be over before it counts against anyone. */
static void
test_round_under_way(void)
{
	box_make();
	box_start_well();
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	box.quiescent = false;
	sends(32, FRAME_BYTES); /* handed over, not counted yet */
	CU_ASSERT_EQUAL(looks(30), WEIR_PORT_UP);
	charge(32);
	box.quiescent = true;
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_UP);
	box_free();
}

/*
 * Workers whose rounds take longer than looks are apart, and which charge on and on: what counts is
 * what was charged by the end of the round in which the counters were read.
 */
static void
test_long_rounds(void)
{
	for (uint32_t extra = 0; extra < 2; extra++) {
		uint32_t n = 0;

		box_make();
		box_start_well();
		CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
		box.quiescent = false;
		for (; n < 20 && box.appliance->port_watch[BOX_OUTSIDE].state == WEIR_PORT_UP;
		     n++) {
			/* All of the round before has left. */
			sends(box.flow.tx_frames - box.stats.opackets, FRAME_BYTES + 4);
			sends(extra, FRAME_BYTES + 4);
			(void)looks(3);
			charge(n == 0 ? 100 : 0); /* the round that it was in */
			box_end_round();
			charge(1000); /* and those after it */
		}
		/* 100 hide one; but that one stays, and one more comes each time. */
		CU_ASSERT_EQUAL(n, extra == 0 ? 20 : 3);
		CU_ASSERT_EQUAL(box_events("port_breach", NULL), extra);
		box_free();
	}
}

/* As much as was charged, by the workers' counters; but no budget knows of a part of it. */
static void
test_no_budget(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box_start_well();
	charge(100);
	sends(100, FRAME_BYTES + 4);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	/* Not forgotten when the port starts anew. */
	box.up = false;
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_CLEAN);
	box.up = true;
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	charge(10);
	box.unpaid_bytes = weir_wire_bytes(FRAME_BYTES);
	sends(9, FRAME_BYTES + 4);
	CU_ASSERT_EQUAL(looks(4), WEIR_PORT_UP);
	sends(1, FRAME_BYTES + 4);
	CU_ASSERT(looks_until_down(2) <= 2);
	CU_ASSERT_EQUAL(box.appliance->port_watch[BOX_OUTSIDE].state, WEIR_PORT_BREACHED);
	CU_ASSERT_EQUAL(box.cuts, 1);
	CU_ASSERT_EQUAL(box_events("port_breach", last), 1);
	CU_ASSERT_STRING_EQUAL(last, "port out0: all outside ports have sent 112640 B on the wire, "
	                             "and 111616 B were charged to budgets: stopped until weir is "
	                             "restarted");
	box_free();
}

static void
test_fast(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];
	json_t *json;
	uint8_t a;

	box_make();
	box.change = WEIR_LIMITER_STOPS;
	atomic_store(&box.departures[0][1].excess_bytes, 5000); /* of an earlier limit */
	box_start_well();
	a = box.queue_of_slot[box.class_slots[0]];
	CU_ASSERT_EQUAL(looks(50), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("limiter_fast", NULL), 0);
	/* Also while a change is under way. */
	box.classes[0].rate_bit_s = 30 * BOX_MBIT;
	atomic_store(&box.departures[0][2].waiting_frames, 1);
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	CU_ASSERT(box.held);
	atomic_fetch_add(&box.departures[0][a].excess_bytes, 1);
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("limiter_fast", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "limit of 100000000 bit/s"));
	CU_ASSERT(!box.held);
	for (uint32_t i = 0; i < BOX_CLASSES; i++)
		CU_ASSERT_EQUAL(box.queue_of_slot[box.class_slots[i]], 0);
	CU_ASSERT_EQUAL(box.judged_bit_s[a], 0);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(is(port_json(json), "verdict", "fast"));
	CU_ASSERT(is(port_json(json), "limiter", "soft"));
	CU_ASSERT(json_is_true(json_object_get(port_json(json), "alarm")));
	CU_ASSERT(is(shown(json, "a"), "verdict", "software"));
	json_decref(json);
	/* It is not believed again: not by a policy, not after a link that went down. */
	box.n_steps = 0;
	weir_hardware_policy(box.appliance);
	box.up = false;
	(void)looks(2);
	box.up = true;
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.opens, 1);
	/* Nor at another speed, which a NIC can have as often as it wants. */
	box.speed_mbit_s = 1000;
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.opens, 1);
	CU_ASSERT_EQUAL(box_events("limiter_fast", NULL), 1);
	box_free();

	box_make();
	box_require();
	box_start_well();
	atomic_fetch_add(&box.departures[0][1].excess_bytes, 1);
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(looks(100), WEIR_PORT_CLEAN);
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(box_events("limiter_fast", NULL), 1);
	CU_ASSERT_EQUAL(box_events("limits_failed", NULL), 1);
	box_free();
}

static void
test_stuck(void)
{
	/* Two seconds, two of the largest frames at 100 Mbit/s, two looks. */
	uint32_t most = (uint32_t)(WEIR_HARDWARE_STUCK_NS / BOX_LOOK_NS) + 1 + 2, n = 0;

	box_make();
	box_start_well();
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	/* Slow, but on its way: one frame in a while. */
	atomic_store(&box.departures[0][1].waiting_frames, 20);
	for (uint32_t i = 0; i < 100; i++) {
		if (i % 30 == 0)
			atomic_fetch_add(&box.departures[0][1].done_frames, 1);
		sends(i % 30 == 0, FRAME_BYTES);
		charge(i % 30 == 0);
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	}
	/* A worker that makes no rounds does not look what has left. */
	for (int i = 0; i < 100; i++) {
		box.now_ns += BOX_LOOK_NS;
		weir_hardware_tick(box.appliance, box.now_ns);
	}
	CU_ASSERT_EQUAL(box_events("queue_stuck", NULL), 0);
	n = looks_until_down(1000);
	CU_ASSERT(n <= most && n >= WEIR_HARDWARE_STUCK_NS / BOX_LOOK_NS);
	CU_ASSERT_EQUAL(box_events("queue_stuck", NULL), 1);
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.restarts, 1);
	box_free();

	/* A limit at which a frame takes long. */
	box_make();
	box.classes[0].rate_bit_s = BOX_MBIT;
	box.classes[0].burst_bytes = 20000;
	box.ports[0].mtu_bytes = box.ports[1].mtu_bytes = 9000;
	box_start_well();
	for (uint32_t q = 0; q < BOX_QUEUES; q++)
		atomic_store(&box.departures[0][q].waiting_frames, 1);
	n = looks_until_down(1000);
	CU_ASSERT_EQUAL(n, WEIR_HARDWARE_STUCK_NS / BOX_LOOK_NS +
	                       1); /* queue 0 is not limited: it gets no more time */
	box_free();
}

/* At 1 Mbit/s two frames of 9,014 bytes take 145 ms: three looks more. */
static void
test_stuck_slow(void)
{
	const struct weir_hardware_port *hardware;
	uint32_t slow = 1;

	box_make();
	box.classes[0].rate_bit_s = BOX_MBIT;
	box.classes[0].burst_bytes = 20000;
	box.ports[0].mtu_bytes = box.ports[1].mtu_bytes = 9000;
	box_start_well();
	hardware = box.appliance->hardware->ports[BOX_OUTSIDE];
	while (slow + 1 < hardware->n_queues && hardware->queues[slow].programmed_bit_s != BOX_MBIT)
		slow++;
	CU_ASSERT_EQUAL(hardware->queues[slow].programmed_bit_s, BOX_MBIT);
	atomic_store(&box.departures[0][slow].waiting_frames, 1);
	CU_ASSERT_EQUAL(looks_until_down(1000), WEIR_HARDWARE_STUCK_NS / BOX_LOOK_NS + 1 + 3);
	box_free();
}

/* A backlog that lasted for ms and moved at a rate, of both workers where there are two. */
static void
measure(uint32_t worker, uint8_t queue, uint64_t ms, uint64_t bit_s)
{
	atomic_fetch_add(&box.departures[worker][queue].busy_tsc, ms * WEIR_NS_PER_MS);
	atomic_fetch_add(&box.departures[worker][queue].busy_bytes, bit_s / 8 * ms / 1000);
}

static void
test_measured(void)
{
	uint8_t a, b;
	json_t *json;

	box_make();
	box_start_well();
	a = box.queue_of_slot[box.class_slots[0]];
	b = box.queue_of_slot[box.class_slots[1]];
	CU_ASSERT_EQUAL(looks(100), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(is(shown(json, "a"), "verdict", "unmeasured"));
	CU_ASSERT(json_is_null(json_object_get(shown(json, "a"), "measured_bit_s")));
	json_decref(json);
	measure(0, a, 500, 99 * BOX_MBIT);
	measure(0, b, 500, 44 * BOX_MBIT);
	CU_ASSERT_EQUAL(looks(45), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("limiter_slow", NULL), 0); /* it may have been a bad moment */
	measure(0, b, 500, 44 * BOX_MBIT);
	/* What comes and is too short to say anything leaves it as it is. */
	measure(0, a, 1, BOX_MBIT);
	CU_ASSERT_EQUAL(looks(45), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(is(shown(json, "a"), "verdict", "held"));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown(json, "a"), "measured_bit_s")),
	                99000000);
	CU_ASSERT(is(shown(json, "b"), "verdict", "slow"));
	CU_ASSERT(json_is_false(json_object_get(shown(json, "b"), "alarm")));
	json_decref(json);
	CU_ASSERT_EQUAL(box_events("limiter_slow", NULL), 1);
	/* Another limit, another measurement. */
	box.classes[1].rate_bit_s = 20 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(is(shown(json, "b"), "verdict", "unmeasured"));
	CU_ASSERT(is(shown(json, "a"), "verdict", "held"));
	json_decref(json);
	box_free();

	/* Two workers share a limit, each alone or both at once. */
	box_make();
	box.config.appliance.n_workers = 2;
	box.workers[1] = box.workers[0];
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	measure(0, a, 500, 100 * BOX_MBIT);
	measure(1, a, 500, 100 * BOX_MBIT);
	measure(0, b, 500, 30 * BOX_MBIT);
	measure(1, b, 500, 18 * BOX_MBIT);
	CU_ASSERT_EQUAL(looks(45), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown(json, "a"), "measured_bit_s")),
	                100000000);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown(json, "b"), "measured_bit_s")),
	                48000000);
	CU_ASSERT(is(shown(json, "b"), "verdict", "held"));
	/* Or twice as fast as it may be: it is not said to hold. */
	CU_ASSERT(is(shown(json, "a"), "verdict", "unmeasured"));
	json_decref(json);
	measure(0, a, 500, 95 * BOX_MBIT);
	measure(1, a, 500, 90 * BOX_MBIT);
	CU_ASSERT_EQUAL(looks(45), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown(json, "a"), "measured_bit_s")),
	                95000000);
	CU_ASSERT(is(shown(json, "a"), "verdict", "unmeasured"));
	json_decref(json);
	box_free();
}

static void
test_json(void)
{
	struct weir_hardware_shown queues[WEIR_TX_QUEUES_MAX];
	const json_t *port;
	json_t *json;

	box_make();
	box_start_well();
	charge(10);
	sends(8, FRAME_BYTES);
	atomic_store(&box.departures[0][1].waiting_frames, 2);
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "ports")), 1);
	port = port_json(json);
	CU_ASSERT(is(port, "name", "out0") && is(port, "driver", "net_ixgbe"));
	CU_ASSERT(is(port, "limiter", "queue") && is(port, "asked", "auto"));
	CU_ASSERT(is(port, "state", "up") && is(port, "verdict", "ok"));
	CU_ASSERT(json_is_null(json_object_get(port, "reason")));
	CU_ASSERT(is(port, "interface", "a model"));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "link_bit_s")), 10000000000);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "sent_frames")), 8);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "charged_frames")), 10);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(port, "charged_wire_bytes")), 10240);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(port, "quirks")), 2);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(port, "queues")), 4);
	CU_ASSERT(is(shown(json, "d"), "verdict", "software"));
	CU_ASSERT_PTR_NULL(shown(json, "e"));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown(json, "c"), "programmed_bit_s")),
	                7000000);
	json_decref(json);
	CU_ASSERT_EQUAL(weir_hardware_shown(box.appliance, BOX_OUTSIDE, queues), 3);
	CU_ASSERT_EQUAL(queues[0].queue, 1);
	CU_ASSERT_EQUAL(queues[0].waiting_frames, 2);
	CU_ASSERT_EQUAL(weir_hardware_shown(box.appliance, BOX_INSIDE, queues), 0);

	sends(100, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_BREACHED);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(is(port_json(json), "state", "breached"));
	CU_ASSERT(is(port_json(json), "verdict", "breach"));
	CU_ASSERT(json_is_true(json_object_get(port_json(json), "alarm")));
	json_decref(json);
	box_free();
}

static const struct weir_test tests[] = {
    {"a port that sends what nobody charged", test_breach},
    {"an honest port is never accused", test_honest},
    {"a round under way is no breach", test_round_under_way},
    {"a breach while workers are in long rounds", test_long_rounds},
    {"what no budget was charged for", test_no_budget},
    {"a limit that does not hold", test_fast},
    {"a queue that stands still", test_stuck},
    {"a slow queue that stands still", test_stuck_slow},
    {"measured rates", test_measured},
    {"what is told", test_json},
};

int
main(void)
{
	return weir_test_run("hardware_check", tests, WEIR_TEST_COUNT(tests));
}
