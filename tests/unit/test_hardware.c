/* SPDX-License-Identifier: BSD-3-Clause */
/* Planning, programming and changing limits of a port. Linked with --wrap. */
#include "tests/unit/hardware_box.h"

static uint32_t
queues(const char *driver, enum weir_limiter_kind kind, uint32_t max_tx_queues, uint32_t n_senders)
{
	struct weir_port port = {.config = {.limiter = kind}, .port_id = BOX_PORT_ID};

	snprintf(port.driver, sizeof(port.driver), "%s", driver);
	box.max_tx_queues = max_tx_queues;
	return weir_hardware_queues(&port, n_senders);
}

static void
test_queues(void)
{
	CU_ASSERT_EQUAL(queues("net_ixgbe", WEIR_LIMITER_AUTO, 128, 1), 64);
	CU_ASSERT_EQUAL(queues("net_ixgbe", WEIR_LIMITER_AUTO, 12, 1), 12);
	CU_ASSERT_EQUAL(queues("net_ixgbe", WEIR_LIMITER_AUTO, 1, 1), 1);
	CU_ASSERT_EQUAL(queues("net_ixgbe", WEIR_LIMITER_SOFT, 128, 1), 1);
	/* A queue's own limit can't hold two workers. */
	CU_ASSERT_EQUAL(queues("net_ixgbe", WEIR_LIMITER_AUTO, 128, 2), 1);
	CU_ASSERT_EQUAL(queues("net_cn10k", WEIR_LIMITER_TM, 48, 4), 12);
	CU_ASSERT_EQUAL(queues("net_i40e", WEIR_LIMITER_AUTO, 128, 1), 1);
	/* Nothing is known: only where the policy asks for it. */
	CU_ASSERT_EQUAL(queues("net_null", WEIR_LIMITER_AUTO, 128, 1), 1);
	CU_ASSERT_EQUAL(queues("net_null", WEIR_LIMITER_QUEUE, 128, 1), 64);
}

static void
test_start(void)
{
	char error[WEIR_ERROR_SIZE];
	uint32_t first_limit = 0, first_up = 0;

	box_make();
	CU_ASSERT_EQUAL_FATAL(box_start(error), 0);
	/* a, b and c are held, d is too slow for the hardware, e does not go this way. */
	CU_ASSERT_EQUAL(box.limits[queue_of('a')], 100 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.limits[queue_of('b')], 50 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.limits[queue_of('c')], 7 * BOX_MBIT);
	CU_ASSERT(queue_of('a') != queue_of('b') && queue_of('b') != queue_of('c'));
	CU_ASSERT_EQUAL(queue_of('d'), 0);
	CU_ASSERT_EQUAL(queue_of('e'), 0);
	CU_ASSERT_EQUAL(box.link_bit_s, 10000 * BOX_MBIT);
	/* Judged by no less than what was programmed, and by a part of a percent more. */
	CU_ASSERT(box.judged_bit_s[queue_of('a')] >= 100 * BOX_MBIT);
	CU_ASSERT(box.judged_bit_s[queue_of('a')] <= 101 * BOX_MBIT);
	CU_ASSERT(box.judged_burst[queue_of('a')] >= 1546);
	CU_ASSERT_EQUAL(box.judged_bit_s[0], 0);
	/* All that before a worker may use the port. */
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, &first_limit), 3);
	for (uint32_t i = first_limit; i < box.n_steps && box.steps[i].step != STEP_UP; i++)
		first_up = i + 1;
	CU_ASSERT_EQUAL(first_up, box.n_steps - 1);
	CU_ASSERT(box.steps[first_up].value == 1 && box.used);
	CU_ASSERT_EQUAL(box_events("limits_set", NULL), 1);
	box_free();
}

/* Down and up, and a change of the link's speed: everything once more, before it is used. */
static void
test_link(void)
{
	struct weir_event event;
	char last[WEIR_EVENT_MESSAGE_SIZE];
	uint32_t first = UINT32_MAX;

	box_make();
	box_start_well();
	box.up = false;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	memset(box.limits, 0, sizeof(box.limits)); /* as a start does */
	box.up = true;
	box.n_steps = 0;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, &first), 3);
	CU_ASSERT_EQUAL(first, 0);
	CU_ASSERT_EQUAL(box.steps[box.n_steps - 1].step, STEP_UP);
	CU_ASSERT_EQUAL(box.limits[queue_of('a')], 100 * BOX_MBIT);

	box.speed_mbit_s = 1000;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(box_events("link_down", last), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "from 10000 to 1000 Mbit/s"));
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(box.restarts, 2);
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.link_bit_s, 1000 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	CU_ASSERT(!weir_events_get(box.appliance->events, 100, &event));
	box_free();
}

/* Why the port is said to have no limits. */
static void
expect_reason(const char *expected)
{
	json_t *json = weir_hardware_json(box.appliance);
	const json_t *port = json_array_get(json_object_get(json, "ports"), 0);
	const char *reason = json_string_value(json_object_get(port, "reason"));

	CU_ASSERT_EQUAL(reason == NULL, expected == NULL);
	if (reason != NULL && expected != NULL)
		CU_ASSERT_STRING_EQUAL(reason, expected);
	json_decref(json);
}

/* Where limits are wished for only, software does without. */
static void
test_soft(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box.open_result = -ENOTSUP;
	box_start_well();
	CU_ASSERT_EQUAL(box_events("limiter_soft", last), 1);
	CU_ASSERT_STRING_EQUAL(last, "port out0: no limits in hardware: the model says no");
	for (char class = 'a'; class <= 'e'; class ++)
		CU_ASSERT_EQUAL(queue_of(class), 0);
	box_free();

	/* One queue that the driver refuses, or reads back otherwise, costs that queue alone. */
	box_make();
	box.refused_queue = 2;
	box_start_well();
	CU_ASSERT_EQUAL(box_events("limits_refused", NULL), 1);
	CU_ASSERT((queue_of('a') == 0) + (queue_of('b') == 0) + (queue_of('c') == 0) == 1);
	CU_ASSERT_EQUAL(box.judged_bit_s[2], 0);
	box_free();

	box_make();
	box.read_back = 50 * BOX_MBIT;
	box_start_well();
	CU_ASSERT_EQUAL(queue_of('a'), 0);
	CU_ASSERT(queue_of('b') != 0);
	box_free();

	/* More classes that want one to themselves than there are queues. */
	box_make();
	for (uint32_t i = 0; i < 3; i++)
		box.classes[i].dedicated = true;
	box.n_limited = 3;
	box_start_well();
	CU_ASSERT_EQUAL(box_events("limiter_soft", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "3 classes want a queue of their own"));
	CU_ASSERT(queue_of('a') == 0 && queue_of('b') == 0 && queue_of('c') == 0);
	/* The next policy wants less. */
	box.classes[1].dedicated = false;
	weir_hardware_policy(box.appliance);
	CU_ASSERT(queue_of('a') != 0 && queue_of('c') != 0);
	CU_ASSERT_EQUAL(box.limits[queue_of('c')], 7 * BOX_MBIT);
	/* And the one after that too much again. */
	box.classes[1].dedicated = true;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box_events("limits_refused", NULL), 1);
	CU_ASSERT(queue_of('a') == 0 && queue_of('b') == 0 && queue_of('c') == 0);
	box_free();
}

/* Why there are none. */
static void
test_soft_reasons(void)
{
	/* A port whose link is down has none yet: that they are not to be had is not said. */
	box_make();
	box_start_well();
	expect_reason(NULL);
	box.up = false;
	(void)box_look();
	(void)box_look();
	expect_reason("they are set once its link is up");
	box_free();

	/* Two workers send, and only a worker's queue can be limited. */
	box_make();
	box.appliance->ports[BOX_OUTSIDE].tx_each = 1;
	box.config.appliance.n_workers = 2;
	box.workers[1] = box.workers[0];
	box_start_well();
	expect_reason("driver net_ixgbe limits queues of 1 worker, and 2 send on the port: "
	              "rx_queues: 1 at its link's inside port");
	CU_ASSERT_EQUAL(box_events("limiter_soft", NULL), 0); /* nobody asked */
	box_free();

	/* An E810's groups hold a queue of eight. */
	box_make();
	snprintf(box.appliance->ports[BOX_OUTSIDE].driver, 32, "net_ice");
	box.appliance->ports[BOX_OUTSIDE].tx_each = 1;
	box.config.appliance.n_workers = 9;
	for (uint32_t w = 1; w < 9; w++)
		box.workers[w] = box.workers[0];
	box_start_well();
	expect_reason("driver net_ice limits queues of 8 workers, and 9 send on the port: "
	              "rx_queues: 8 at its link's inside port");
	box_free();
}

/* A commit that fails leaves limits that nobody knows: the port goes off and on first. */
static void
test_commit_fails(void)
{
	const json_t *port;
	json_t *json;
	char error[WEIR_ERROR_SIZE] = "", last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box.change = WEIR_LIMITER_STOPS;
	box.commit_result = -EIO;
	CU_ASSERT_EQUAL(box_start(error), 0);
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(box_events("limits_failed", last), 1);
	CU_ASSERT_STRING_EQUAL(last, "port out0: its limits could not be put in force: no such "
	                             "thing");
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(box.restarts, 1);
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.commits, 1);
	CU_ASSERT_EQUAL(queue_of('a'), 0);
	json = weir_hardware_json(box.appliance);
	port = json_array_get(json_object_get(json, "ports"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(port, "verdict")), "refused");
	CU_ASSERT(json_is_true(json_object_get(port, "alarm")));
	json_decref(json);
	box_free();

	box_make();
	box_require();
	box.change = WEIR_LIMITER_STOPS;
	box.commit_result = -EIO;
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT(!box.used);
	box_free();
}

/* A change that only its queue notices: at once, what falls first, and then the workers. */
static void
test_policy_live(void)
{
	uint8_t a = 0, b = 0;

	box_make();
	box_start_well();
	a = queue_of('a');
	b = queue_of('b');
	box.classes[0].rate_bit_s = 400 * BOX_MBIT;
	box.classes[1].rate_bit_s = 20 * BOX_MBIT;
	box.classes[3].rate_bit_s = 3 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 4);
	CU_ASSERT_EQUAL(box.steps[2].step, STEP_LIMIT);
	CU_ASSERT_EQUAL(box.steps[2].what, a);
	CU_ASSERT_EQUAL(box.steps[2].value, 400 * BOX_MBIT);
	CU_ASSERT(box.steps[0].step == STEP_LIMIT && box.steps[1].step == STEP_LIMIT);
	CU_ASSERT_EQUAL(box.limits[b], 20 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.steps[3].step, STEP_QUEUE);
	CU_ASSERT_EQUAL(box.steps[3].what, SLOT('d'));
	CU_ASSERT_EQUAL(box.limits[queue_of('d')], 3 * BOX_MBIT);
	CU_ASSERT(queue_of('a') == a && queue_of('b') == b);
	CU_ASSERT(box.judged_bit_s[b] >= 20 * BOX_MBIT && box.judged_bit_s[b] < 21 * BOX_MBIT);
	CU_ASSERT(!box.held && box.used);
	/* What goes on is judged on. */
	for (uint32_t q = 1; q < BOX_QUEUES; q++)
		CU_ASSERT_EQUAL(atomic_load(&box.departures[0][q].limit_starts), 0);

	/* A class that the hardware can hold no more goes by software. Nothing else changes. */
	box.classes[0].rate_bit_s = BOX_MBIT / 2;
	box.n_steps = 0;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 1);
	CU_ASSERT_EQUAL(queue_of('a'), 0);
	CU_ASSERT_EQUAL(box.judged_bit_s[a], 0);

	/* The slot of a class that has left may be another's next. */
	box.config.n_classes = 2;
	box.config.n_rules = 2;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(queue_of('c'), 0);
	CU_ASSERT_EQUAL(queue_of('d'), 0);
	CU_ASSERT_EQUAL(queue_of('b'), b);
	box_free();
}

/*
 * A policy that comes when the link is down and nobody has looked yet: the driver refuses all
 * limits then, which is no fault of theirs.
 */
static void
test_policy_link_down_unseen(void)
{
	for (uint32_t required = 0; required < 2; required++) {
		box_make();
		if (required == 1)
			box_require();
		box_start_well();
		box.classes[0].rate_bit_s = 30 * BOX_MBIT;
		box.up = false;
		box.refused_queue = queue_of('a');
		weir_hardware_policy(box.appliance);
		CU_ASSERT(!box.used);
		CU_ASSERT_EQUAL(box_events("limits_refused", NULL), 0);
		CU_ASSERT_EQUAL(box_events("port_restart", NULL), 0);
		CU_ASSERT_EQUAL(box_events("link_down", NULL), 1);
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
		box.refused_queue = 0;
		box.up = true;
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
		CU_ASSERT_EQUAL(box.limits[queue_of('a')], 30 * BOX_MBIT);
		/* With the link up it is the driver's word. */
		box.classes[0].rate_bit_s = 40 * BOX_MBIT;
		box.refused_queue = queue_of('a');
		weir_hardware_policy(box.appliance);
		CU_ASSERT_EQUAL(box_events("limits_refused", NULL), 1);
		CU_ASSERT_EQUAL(box.used, required == 0);
		CU_ASSERT_EQUAL(queue_of('a'), 0);
		box_free();
	}
}

/* A link that goes down ends a change; the next start has the new limits anyway. */
static void
test_policy_and_link(void)
{
	box_make();
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	box.classes[0].rate_bit_s = 30 * BOX_MBIT;
	box.quiescent = false;
	weir_hardware_policy(box.appliance);
	(void)box_look();
	box.up = false;
	(void)box_look();
	box.quiescent = true;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	CU_ASSERT(!box.held);
	box.classes[1].rate_bit_s = 60 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	box.up = true;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box.committed[queue_of('a')], 30 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.committed[queue_of('b')], 60 * BOX_MBIT);
	box_free();
}

static void
test_second_walls(void)
{
	uint64_t sum = 157 * BOX_MBIT + BOX_MBIT / 2;

	box_make();
	box.port_limit = true;
	box.meter_result = 0;
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	CU_ASSERT_EQUAL(box.meter_bit_s, sum);
	box.classes[3].rate_bit_s = 43 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.meter_bit_s, 200 * BOX_MBIT);
	(void)box_look();
	(void)box_look();
	CU_ASSERT(steps_of(STEP_PORT_LIMIT, NULL) > 0);
	CU_ASSERT_EQUAL(box.appliance->n_ports, 2);
	/* Above the link's speed there is nothing to police. */
	box.classes[0].rate_bit_s = 10000 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.meter_bit_s, 0);
	box_free();
}

/* The meter is there without a limiter, and is changed for a reason only, at the right moment. */
static void
test_meter(void)
{
	uint64_t sum = 157 * BOX_MBIT + BOX_MBIT / 2;
	uint32_t meter = 0, limit = 0;

	box_make();
	box.meter_result = 0;
	box.appliance->ports[BOX_OUTSIDE].tx_each = 1;
	box_start_well();
	CU_ASSERT_EQUAL(box.opens, 0);
	CU_ASSERT_EQUAL(box.meter_bit_s, sum);
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 0);
	box.classes[1].burst_bytes++;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(steps_of(STEP_METER, NULL), 1);
	CU_ASSERT_EQUAL(box.steps[0].what, 4 * 20000 + 1);
	/* One that can't be changed is made anew. */
	box.meter_change_result = -ENOTSUP;
	box.classes[1].rate_bit_s += BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.meter_bit_s, sum + BOX_MBIT);
	box_free();

	/* The policy wants none. */
	box_make();
	box.meter_result = 0;
	box.appliance->ports[BOX_OUTSIDE].config.limiter = WEIR_LIMITER_SOFT;
	box.appliance->ports[BOX_OUTSIDE].tx_each = 1;
	box_start_well();
	CU_ASSERT_EQUAL(box.meter_bit_s, 0);
	box_free();

	/* Up before the limits, down behind them. */
	box_make();
	box.meter_result = 0;
	box_start_well();
	box.classes[0].rate_bit_s += BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(steps_of(STEP_METER, &meter), 1);
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, &limit), 1);
	CU_ASSERT(meter < limit);
	box.n_steps = 0;
	box.classes[0].rate_bit_s -= 2 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(steps_of(STEP_METER, &meter), 1);
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, &limit), 1);
	CU_ASSERT(meter > limit);
	CU_ASSERT_EQUAL(box.meter_bit_s, sum - BOX_MBIT);
	box_free();

	/* And not before what was charged under higher limits has left. */
	box_make();
	box.meter_result = 0;
	box.change = WEIR_LIMITER_STOPS;
	box_start_well();
	atomic_store(&box.departures[0][queue_of('b')].waiting_frames, 3);
	box.classes[0].rate_bit_s -= BOX_MBIT;
	weir_hardware_policy(box.appliance);
	(void)box_look();
	CU_ASSERT(box.held && box.meter_bit_s == sum);
	atomic_store(&box.departures[0][queue_of('b')].waiting_frames, 0);
	(void)box_look();
	CU_ASSERT(!box.held && box.meter_bit_s == sum - BOX_MBIT);
	box_free();
}

/* The last limit of the port that was set, or 0 where it was cleared; how often in all. */
static uint32_t
port_limits(uint64_t *last)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < box.n_steps; i++) {
		if (box.steps[i].step != STEP_PORT_LIMIT)
			continue;
		*last = box.steps[i].value;
		n++;
	}
	return n;
}

/* A limit of the port that a policy takes away, or that its driver refuses, does not stay. */
static void
test_port_limit(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];
	uint64_t limit = UINT64_MAX;

	box_make();
	box.port_limit = true;
	box.classes[3].rate_bit_s = 43 * BOX_MBIT;
	box_start_well();
	box.classes[0].rate_bit_s = 9900 * BOX_MBIT;
	box.classes[1].rate_bit_s = 300 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(port_limits(&limit), 1);
	CU_ASSERT_EQUAL(limit, 0);
	box.n_steps = 0;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box.n_steps, 0);
	box.classes[0].rate_bit_s = 100 * BOX_MBIT;
	box.classes[1].rate_bit_s = 50 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(port_limits(&limit), 1);
	CU_ASSERT_EQUAL(limit, 200 * BOX_MBIT);
	/* Refused: none, rather than one that is not known. */
	box.port_result = -EINVAL;
	box.classes[0].rate_bit_s = 101 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(port_limits(&limit), 3);
	CU_ASSERT_EQUAL(limit, 0);
	CU_ASSERT_EQUAL(box_events("limits_failed", NULL), 0);
	/* And if that is refused as well, it is told. */
	box.port_result = 0;
	box.classes[0].rate_bit_s = 102 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	box.port_result = box.clear_result = -EINVAL;
	box.classes[0].rate_bit_s = 103 * BOX_MBIT;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box_events("limits_failed", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "that of the port: Invalid argument; that of the whole "
	                                    "port may be left"));
	CU_ASSERT(!box.used);
	box_free();
}

static const struct weir_test tests[] = {
    {"how many queues a worker gets", test_queues},
    {"limits are in force before the port is used", test_start},
    {"a link that changes", test_link},
    {"limits that are not to be had", test_soft},
    {"why there are no limits", test_soft_reasons},
    {"a commit that fails", test_commit_fails},
    {"a policy's change at once", test_policy_live},
    {"a policy while the link is down, unseen", test_policy_link_down_unseen},
    {"a link that goes down during a change", test_policy_and_link},
    {"the port's limit and the meter", test_second_walls},
    {"a limit of the port that has to go", test_port_limit},
    {"the meter, with limits and without", test_meter},
};

int
main(void)
{
	return weir_test_run("hardware", tests, WEIR_TEST_COUNT(tests));
}
