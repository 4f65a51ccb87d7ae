/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pacer.h"
#include "tests/unit/harness.h"

#include <string.h>

#define HZ UINT64_C(2600000000)

static struct weir_pacer pacer;

/* Against a plain list of due times: nothing early, nothing lost, nothing twice, late by a tick. */
static void
test_against_list(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static uint64_t due[WEIR_CLASSES_MAX];
	static bool waiting[WEIR_CLASSES_MAX];
	uint64_t now = weir_random_below(&random, HZ * 1000);
	uint64_t tick, turn;
	uint32_t count = 0;

	weir_pacer_init(&pacer, HZ, now);
	tick = UINT64_C(1) << pacer.shift;
	turn = tick * (WEIR_PACER_TURN - 1);
	CU_ASSERT(tick * 1000000 / HZ <= 4);
	memset(waiting, 0, sizeof(waiting));
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t slot = (uint32_t)weir_random_below(&random, WEIR_CLASSES_MAX);
		uint64_t delay = weir_random_below(&random, turn * 2);
		uint16_t slots[64];
		uint32_t n, asked = 1 + (uint32_t)weir_random_below(&random, 64);

		if (weir_random_one_in(&random, 3)) {
			weir_pacer_cancel(&pacer, slot);
			count -= waiting[slot];
			waiting[slot] = false;
		} else {
			weir_pacer_schedule(&pacer, slot, now, delay);
			count += !waiting[slot];
			waiting[slot] = true;
			due[slot] = (pacer.tick + WEIR_PACER_TURN - 1) << pacer.shift;
			due[slot] = now + delay < due[slot] ? now + delay : due[slot];
		}
		CU_ASSERT_EQUAL(pacer.waiting, count);
		now += weir_random_below(&random,
		                         weir_random_one_in(&random, 1000) ? 3 * turn : tick / 2);
		n = weir_pacer_due(&pacer, now, slots, asked);
		for (uint32_t j = 0; j < n; j++) {
			CU_ASSERT_TRUE(waiting[slots[j]]);
			CU_ASSERT(now >= due[slots[j]]);
			waiting[slots[j]] = false;
			count--;
		}
		if (n < asked)
			for (uint32_t j = 0; j < WEIR_CLASSES_MAX && i % 1000 == 0; j++)
				CU_ASSERT(!waiting[j] || due[j] + 2 * tick > now);
	}
}

static void
test_no_delay_comes_at_the_next_look(void)
{
	uint16_t slots[4];

	weir_pacer_init(&pacer, HZ, 1000000);
	weir_pacer_schedule(&pacer, 7, 1000000, 0);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 1000001, slots, 4), 1);
	CU_ASSERT_EQUAL(slots[0], 7);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 2000000, slots, 4), 0);
}

static void
test_backwards(void)
{
	uint16_t slots[4];

	weir_pacer_init(&pacer, HZ, 1000000000);
	weir_pacer_schedule(&pacer, 1, 5000, 0);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 5000, slots, 4), 0);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 1000000000, slots, 4), 1);
}

static const struct weir_test tests[] = {
    {"against a plain list", test_against_list},
    {"no delay means the next look", test_no_delay_comes_at_the_next_look},
    {"time that goes backwards", test_backwards},
};

int
main(void)
{
	return weir_test_run("pacer", tests, WEIR_TEST_COUNT(tests));
}
