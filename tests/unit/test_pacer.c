/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pacer.h"
#include "drivers/memory.h"
#include "tests/unit/harness.h"

#include <string.h>

#define HZ    UINT64_C(2600000000)

#define LANES 20000U

static struct weir_pacer pacer;

static void
start(uint64_t now)
{
	weir_pacer_fini(&pacer);
	CU_ASSERT_EQUAL_FATAL(weir_pacer_init(&pacer, LANES, HZ, WEIR_NODE_ANY), 0);
	weir_pacer_start(&pacer, now);
}

/* Against a plain list of due times: nothing early, nothing lost, nothing twice, late by a tick. */
static void
test_against_list(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static uint64_t due[LANES];
	static bool waiting[LANES];
	uint64_t now = weir_random_below(&random, HZ * 1000);
	uint64_t tick, turn;
	uint32_t count = 0;

	start(now);
	tick = UINT64_C(1) << pacer.shift;
	turn = tick * (WEIR_PACER_TURN - 1);
	CU_ASSERT(tick * 1000000 / HZ <= 4);
	memset(waiting, 0, sizeof(waiting));
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t slot = (uint32_t)weir_random_below(&random, LANES);
		uint64_t delay = weir_random_below(&random, turn * 2);
		uint32_t slots[64];
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
			for (uint32_t j = 0; j < LANES && i % 1000 == 0; j++)
				CU_ASSERT(!waiting[j] || due[j] + 2 * tick > now);
	}
}

static void
test_no_delay_comes_at_the_next_look(void)
{
	uint32_t slots[4];

	start(1000000);
	weir_pacer_schedule(&pacer, 7, 1000000, 0);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 1000001, slots, 4), 1);
	CU_ASSERT_EQUAL(slots[0], 7);
	CU_ASSERT_EQUAL(weir_pacer_due(&pacer, 2000000, slots, 4), 0);
}

static void
test_backwards(void)
{
	uint32_t slots[4];

	start(1000000000);
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
	int rc = weir_test_run("pacer", tests, WEIR_TEST_COUNT(tests));

	weir_pacer_fini(&pacer);
	return rc;
}
