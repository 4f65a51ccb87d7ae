/* SPDX-License-Identifier: BSD-3-Clause */
/* limiter_required: nothing is sent without limits. Linked with --wrap. */
#include "control/hardware_state.h"
#include "tests/unit/hardware_box.h"

/* What a start that needs limits says where there are none. */
static void
test_required(void)
{
	char error[WEIR_ERROR_SIZE] = "", last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box_require();
	box.appliance->ports[BOX_OUTSIDE].tx_each = 1;
	snprintf(box.appliance->ports[BOX_OUTSIDE].driver, 32, "net_null");
	box.up = false; /* it does not take a link to see that */
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error, "port out0: limiter_required: driver net_null is not known "
	                              "to limit queues");
	CU_ASSERT_PTR_NULL(box.appliance->hardware);
	box_free();

	box_make();
	box_require();
	box.open_result = -ENOTSUP;
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error, "port out0: limiter_required: the model says no");
	CU_ASSERT(!box.used);
	box_free();

	/* Later, it is told once, tried once a second, and nothing is sent meanwhile. */
	box_make();
	box_require();
	box_start_well();
	box.up = false;
	(void)box_look();
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	box.up = true;
	box.refused_queue = queue_of('b');
	box.n_steps = 0;
	for (int i = 0; i < 43; i++)
		CU_ASSERT_EQUAL(box_look(), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, NULL), 3 * 4);
	CU_ASSERT_EQUAL(steps_of(STEP_UP, NULL), 0);
	CU_ASSERT_EQUAL(box_events("limits_failed", last), 1);
	CU_ASSERT_STRING_EQUAL(last, "port out0: limiter_required: 1 queues could not be limited");
	box.refused_queue = 0;
	for (int i = 0; i < 21 && !box.used; i++)
		(void)box_look();
	CU_ASSERT(box.used);
	box_free();
}

/* Limits that must be tested before the port is used, and can't be. */
static void
test_required_untestable(void)
{
	char error[WEIR_ERROR_SIZE] = "";

	box_make();
	box_require();
	box.completions = false;
	box.appliance->ports[BOX_OUTSIDE].config.limiter_test_ns = WEIR_NS_PER_S;
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error, "port out0: limiter_required: its limits can't be tested: it "
	                              "does not tell what has left");
	CU_ASSERT(!box.used);
	/* Nor does anything show limits that were set by then. */
	for (uint32_t q = 1; q < box.appliance->hardware->ports[BOX_OUTSIDE]->n_queues; q++) {
		CU_ASSERT_EQUAL(
		    box.appliance->hardware->ports[BOX_OUTSIDE]->queues[q].programmed_bit_s, 0);
		CU_ASSERT_EQUAL(box.appliance->hardware->ports[BOX_OUTSIDE]->queues[q].verdict,
		                WEIR_VERDICT_SOFTWARE);
	}
	box_free();
}

/* Where limits are required, a policy that can't have them takes the port out of use. */
static void
test_required_later(void)
{
	for (uint32_t way = 0; way < 2; way++) {
		box_make();
		box_require();
		box.n_limited = 3;
		box_start_well();
		CU_ASSERT_EQUAL(box.appliance->port_watch[BOX_OUTSIDE].state, WEIR_PORT_UP);
		for (uint32_t i = 0; i < 3 && way == 0; i++)
			box.classes[i].dedicated = true;
		box.refused_queue = way == 1 ? queue_of('a') : box.refused_queue;
		box.classes[0].rate_bit_s += BOX_MBIT;
		weir_hardware_policy(box.appliance);
		CU_ASSERT_EQUAL(box_events("port_restart", NULL), 1);
		CU_ASSERT_EQUAL(box.appliance->port_watch[BOX_OUTSIDE].state, WEIR_PORT_DOWN);
		box_free();
	}
}

/*
 * A class that rules send this way and that the NIC can't hold: not at a start, not by a policy,
 * and not at another speed of the link, is anything sent without its limit.
 */
static void
test_required_of_all(void)
{
	char error[WEIR_ERROR_SIZE] = "";

	box_make();
	box_require();
	box.classes[3].rate_bit_s = BOX_MBIT / 2;
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error,
	                       "port out0: limiter_required: limited in software alone would be d");
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(steps_of(STEP_LIMIT, NULL), 0);
	box_free();

	/* Which of them, and not those that go another way. */
	box_make();
	box_require();
	for (uint32_t i = 0; i < BOX_CLASSES; i++)
		box.classes[i].rate_bit_s = BOX_MBIT / 2;
	CU_ASSERT_EQUAL(box_start(error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(
	    error,
	    "port out0: limiter_required: limited in software alone would be a, b, c and 1 more");
	box_free();
}

/* The same of a policy. */
static void
test_required_by_policy(void)
{
	char error[WEIR_ERROR_SIZE] = "", last[WEIR_EVENT_MESSAGE_SIZE];

	/* It is refused as a whole, and changes nothing. */
	box_make();
	box_require();
	box.n_limited = 4;
	box_start_well();
	CU_ASSERT_EQUAL(weir_hardware_admit(box.appliance, &box.config, error), 0);
	box.classes[0].rate_bit_s = BOX_MBIT / 2;
	CU_ASSERT_EQUAL(weir_hardware_admit(box.appliance, &box.config, error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error,
	                       "port out0: limiter_required: limited in software alone would be a");
	box.classes[0].rate_bit_s = BOX_MBIT;
	for (uint32_t i = 0; i < 4; i++)
		box.classes[i].dedicated = true;
	CU_ASSERT_EQUAL(weir_hardware_admit(box.appliance, &box.config, error), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "4 classes want a queue of their own"));
	CU_ASSERT_EQUAL(box.n_steps, 0);
	/* Where none are required, or they can't be known yet, it is not. */
	box.ports[BOX_OUTSIDE].limiter_required = false;
	CU_ASSERT_EQUAL(weir_hardware_admit(box.appliance, &box.config, error), 0);
	box.ports[BOX_OUTSIDE].limiter_required = true;
	box.up = false;
	CU_ASSERT_EQUAL(box_look(), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(weir_hardware_admit(box.appliance, &box.config, error), 0);
	box_free();

	/* It was admitted, and then it can't be had. */
	box_make();
	box_require();
	box_start_well();
	box.classes[0].rate_bit_s = BOX_MBIT / 2;
	weir_hardware_policy(box.appliance);
	CU_ASSERT_EQUAL(box_events("limits_refused", last), 1);
	CU_ASSERT_STRING_EQUAL(last,
	                       "port out0: limited in software alone would be a: it is not used");
	CU_ASSERT(!box.used);
	box_free();
}

/* And of another speed of the link. */
static void
test_required_at_speed(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box_require();
	box_start_well();
	box.speed_mbit_s = 90; /* of which a has 100 */
	for (int i = 0; i < 30; i++)
		(void)box_look();
	CU_ASSERT_EQUAL(box.appliance->port_watch[BOX_OUTSIDE].state, WEIR_PORT_CLEAN);
	CU_ASSERT(!box.used);
	CU_ASSERT_EQUAL(box_events("limits_failed", last), 1);
	CU_ASSERT_STRING_EQUAL(last,
	                       "port out0: limiter_required: limited in software alone would be a");
	box.speed_mbit_s = 10000;
	for (int i = 0; i < 30 && !box.used; i++)
		(void)box_look();
	CU_ASSERT(box.used);
	box_free();
}

static const struct weir_test tests[] = {
    {"limits that are required", test_required},
    {"limits that a policy's change takes away", test_required_later},
    {"required limits that must be tested and can't be", test_required_untestable},
    {"limits that are required of all classes", test_required_of_all},
    {"required limits that a policy can't have", test_required_by_policy},
    {"required limits that another speed can't have", test_required_at_speed},
};

int
main(void)
{
	return weir_test_run("hardware_required", tests, WEIR_TEST_COUNT(tests));
}
