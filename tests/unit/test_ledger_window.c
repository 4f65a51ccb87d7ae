/* SPDX-License-Identifier: BSD-3-Clause */
/* A rolling window, against a list of all that was ever added. */
#include "control/ledger_window.h"
#include "tests/unit/harness.h"

#define STAMPS_MAX 400U

struct stamp {
	uint64_t at_ns;
	uint64_t bytes;
};

/* What must count at now: all that was stamped in a slot that overlaps the last 64 slots and now.
 */
static uint64_t
model_used(const struct weir_window *window, const struct stamp *stamps, uint32_t n, uint64_t now)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < n; i++)
		if (stamps[i].at_ns / window->slot_ns + WEIR_WINDOW_SLOTS >= now / window->slot_ns)
			used += stamps[i].bytes;
	return used;
}

/* What really lies in (now - W, now]. */
static uint64_t
true_used(uint64_t window_ns, const struct stamp *stamps, uint32_t n, uint64_t now)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < n; i++)
		if (stamps[i].at_ns <= now && stamps[i].at_ns + window_ns > now)
			used += stamps[i].bytes;
	return used;
}

static uint64_t
random_window(struct weir_random *random)
{
	switch (weir_random_below(random, 4)) {
	case 0:
		return weir_random_between(random, 1, 200);
	case 1:
		return weir_random_between(random, 1000, 100000);
	case 2:
		return 64 * weir_random_between(random, 1, 1000);
	default:
		return weir_random_between(random, WEIR_NS_PER_S, 100000 * WEIR_NS_PER_S);
	}
}

static void
test_against_model(void)
{
	for (uint32_t run = 0; run < 300; run++) {
		struct weir_random random = weir_random_make(weir_test_seed() + run);
		uint64_t window_ns = random_window(&random), now = weir_random_below(&random, 1000);
		struct stamp stamps[STAMPS_MAX];
		struct weir_window window;

		weir_window_init(&window, window_ns, now);
		for (uint32_t i = 0; i < STAMPS_MAX; i++) {
			uint64_t model;

			now += weir_random_below(&random, weir_random_one_in(&random, 20)
			                                      ? 2 * window_ns + 2
			                                      : window_ns / 30 + 2);
			weir_window_roll(&window, now);
			stamps[i].at_ns = now;
			stamps[i].bytes = weir_random_below(&random, 1000);
			weir_window_add(&window, stamps[i].bytes);
			model = model_used(&window, stamps, i + 1, now);
			CU_ASSERT_EQUAL(window.used_bytes, model);
			CU_ASSERT(window.used_bytes >= true_used(window_ns, stamps, i + 1, now));
			CU_ASSERT(weir_window_next_ns(&window) > now);
			CU_ASSERT(!weir_window_roll(&window, weir_window_next_ns(&window) - 1));
		}
	}
}

static void
test_edges(void)
{
	struct weir_window window;

	/* W = 6400: slots of 100. */
	weir_window_init(&window, 6400, 50);
	weir_window_add(&window, 7);
	CU_ASSERT(weir_window_roll(&window, 6499));
	CU_ASSERT_EQUAL(window.used_bytes, 7);
	CU_ASSERT(weir_window_roll(&window, 6500)); /* the slot ended at 100: 6,400 ago */
	CU_ASSERT_EQUAL(window.used_bytes, 0);
	CU_ASSERT(!weir_window_roll(&window, 6600)); /* empty: nothing moved that matters */
	weir_window_add(&window, 9);
	CU_ASSERT(!weir_window_roll(&window, 100)); /* back in time */
	CU_ASSERT_EQUAL(window.used_bytes, 9);
	CU_ASSERT(weir_window_roll(&window, UINT64_MAX));
	CU_ASSERT_EQUAL(window.used_bytes, 0);
	CU_ASSERT_EQUAL(weir_window_next_ns(&window), UINT64_MAX);
	weir_window_init(&window, UINT64_MAX, UINT64_MAX);
	weir_window_add(&window, 1);
	CU_ASSERT(!weir_window_roll(&window, UINT64_MAX));
	CU_ASSERT_EQUAL(window.used_bytes, 1);
	weir_window_init(&window, 1, 5);
	CU_ASSERT_EQUAL(window.slot_ns, 1);
}

/*
 * A window that is seeded never counts less than what really was spent in its length, now and at
 * any later time; and no more than everything.
 */
static void
test_seed(void)
{
	for (uint32_t run = 0; run < 300; run++) {
		struct weir_random random = weir_random_make(weir_test_seed() + 1000 + run);
		uint32_t n_others = (uint32_t)weir_random_below(&random, 4);
		struct weir_window others[4], *pointers[4], seeded;
		struct stamp stamps[STAMPS_MAX];
		uint64_t base = weir_random_between(&random, 1000, 1000000);
		uint64_t now = 0, spent = 0, window_ns;

		for (uint32_t i = 0; i < n_others; i++) {
			weir_window_init(&others[i],
			                 weir_random_between(&random, 1 + base / 9, base * 9), 0);
			pointers[i] = &others[i];
		}
		for (uint32_t i = 0; i < STAMPS_MAX; i++) {
			now += weir_random_below(&random, base / 20 + 2);
			stamps[i].at_ns = now;
			stamps[i].bytes = weir_random_below(&random, 100);
			spent += stamps[i].bytes;
			for (uint32_t k = 0; k < n_others; k++) {
				weir_window_roll(&others[k], now);
				weir_window_add(&others[k], stamps[i].bytes);
			}
		}
		window_ns = weir_random_between(&random, 1 + base / 9, base * 9);
		now += weir_random_below(&random, base);
		for (uint32_t k = 0; k < n_others; k++)
			weir_window_roll(&others[k], now);
		weir_window_init(&seeded, window_ns, now);
		weir_window_seed(&seeded, pointers, n_others, spent);
		CU_ASSERT(seeded.used_bytes <= spent);
		if (n_others == 0)
			CU_ASSERT_EQUAL(seeded.used_bytes, spent);
		for (uint32_t i = 0; i < 100; i++) {
			CU_ASSERT(seeded.used_bytes >=
			          true_used(window_ns, stamps, STAMPS_MAX, now));
			now += weir_random_below(&random, window_ns / 20 + 2);
			weir_window_roll(&seeded, now);
		}
	}
}

/* A shorter window beside a longer one knows the times from it: it is not simply full. */
static void
test_seed_is_tight(void)
{
	struct weir_window day, hour, *others[1] = {&day};

	weir_window_init(&day, 24 * 3600 * WEIR_NS_PER_S, 0);
	weir_window_add(&day, 1000);
	weir_window_roll(&day, 12 * 3600 * WEIR_NS_PER_S);
	weir_window_add(&day, 10);
	weir_window_init(&hour, 3600 * WEIR_NS_PER_S, 12 * 3600 * WEIR_NS_PER_S);
	weir_window_seed(&hour, others, 1, 1010);
	CU_ASSERT_EQUAL(hour.used_bytes, 10);
}

static const struct weir_test tests[] = {
    {"random stamps against a list", test_against_model},
    {"edges of slots and of time", test_edges},
    {"a seeded window never counts too little", test_seed},
    {"a seeded window uses what is known", test_seed_is_tight},
};

int
main(void)
{
	return weir_test_run("ledger_window", tests, WEIR_TEST_COUNT(tests));
}
