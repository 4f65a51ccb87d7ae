/* SPDX-License-Identifier: BSD-3-Clause */
/* A port that is full: each class gets its turn, also one that may not wait for its rate. */
#include "dataplane/queue.h"
#include "tests/unit/wire_box.h"

#define WIRE_BIT_S UINT64_C(100000000)
#define STEP       (HZ / 100000) /* a round: 125 bytes of the wire */
#define ROUNDS     40000U

/* Class 0 fills the port by itself; 1 may not wait; 2 has nothing to say. */
static const struct class_plan plans[CLASSES] = {
    {200000000, 20000, 50000}, {10000000, 20000, 0}, {1000000, 3000, 0}};
static const struct class_plan equals[CLASSES] = {
    {200000000, 20000, 50000}, {200000000, 20000, 0}, {1000000, 3000, 0}};

/* Frames of classes 0 and 1, one each so many rounds (0: none), through a port that is full. */
static void
crowd(const struct class_plan *policy, bool completions, uint32_t every, uint64_t *bytes)
{
	const struct weir_queue *queue;
	uint64_t now = 1000, from = 0;

	nic_set_up(1, 64, completions, weir_test_seed());
	set_up(policy, 1, UINT64_MAX / 2, now);
	queue = &dataplane->workers[0]->queues[weir_lane(0, 1)];
	wire_set(0, WIRE_BIT_S);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		if (round == ROUNDS / 4)
			from = now;
		put_in(0, 0, 100);
		if (every > 0 && round % every == 0)
			CU_ASSERT_TRUE(put_in(0, 1, 100));
		round_with_wire(0, now, now + STEP);
		now += STEP;
		CU_ASSERT(queue->frames <= WEIR_BURST);
		CU_ASSERT(queue->head == NULL || queue->held_by == WEIR_HOLD_PORT);
	}
	for (uint32_t class = 0; class < CLASSES; class ++) {
		bytes[class] = bytes_since(class, from);
		CU_ASSERT_FALSE(is_broken(class, &policy[class]));
	}
	check_conservation();
	/* What is charged is what left or is on its way, each frame once. */
	for (uint32_t round = 0; round < 4000; round++) {
		round_with_wire(0, now, now + STEP);
		now += STEP;
	}
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), nic.queues[0].left_bytes);
	CU_ASSERT_EQUAL(inflight_of(0) + inflight_of(1), 0);
	tear_down(now);
}

static void
test_little_beside_a_flood(void)
{
	const uint64_t line = WIRE_BIT_S / 8 * (ROUNDS - ROUNDS / 4) * STEP / HZ;

	for (uint32_t tells = 0; tells < 2; tells++) {
		uint64_t bytes[CLASSES];

		/* 8.85 Mbit/s of 10, and of a port of 100. */
		crowd(plans, tells == 1, 15, bytes);
		CU_ASSERT(bytes[1] >= (ROUNDS - ROUNDS / 4) / 15 * FIXED_FRAME * 98 / 100);
		CU_ASSERT(bytes[0] + bytes[1] >= line * 97 / 100);
	}
}

/* It gets its turn and no more: two that flood alike share the port. */
static void
test_two_floods(void)
{
	for (uint32_t tells = 0; tells < 2; tells++) {
		uint64_t bytes[CLASSES];

		crowd(equals, tells == 1, 1, bytes);
		CU_ASSERT(bytes[1] >= bytes[0] / 2);
		CU_ASSERT(bytes[0] >= bytes[1] / 2);
	}
}

/* What had its turn and finds its rate used up is dropped as beyond its rate, and waits no more. */
static void
test_no_wait_for_the_rate(void)
{
	uint64_t bytes[CLASSES];

	crowd(plans, false, 2, bytes);
	CU_ASSERT(bytes[1] * 8 * HZ / ((ROUNDS - ROUNDS / 4) * STEP) <=
	          plans[1].rate_bit_s * 102 / 100);
	CU_ASSERT(bytes[1] * 8 * HZ / ((ROUNDS - ROUNDS / 4) * STEP) >=
	          plans[1].rate_bit_s * 90 / 100);
}

static const struct weir_test tests[] = {
    {"a little beside a flood", test_little_beside_a_flood},
    {"two floods share a port", test_two_floods},
    {"no wait for the rate", test_no_wait_for_the_rate},
};

int
main(void)
{
	return run_in_box("egress_turns", tests, WEIR_TEST_COUNT(tests));
}
