/* SPDX-License-Identifier: BSD-3-Clause */
/* Credit: sent <= taken <= spendable, whoever races whom; at the cap at most a frame is left. */
#include "dataplane/credit.h"
#include "tests/unit/harness.h"

#include <pthread.h>
#include <string.h>

#define PATH 3U

static const uint16_t path[PATH] = {5, 3, 0};
static struct weir_credit credit;
static struct weir_credit_worker purses[4];

static void
make(uint32_t n_workers, uint64_t charged, uint64_t spendable, enum weir_credit_state state)
{
	struct weir_credit_worker *list[4] = {&purses[0], &purses[1], &purses[2], &purses[3]};

	memset(&credit, 0, sizeof(credit));
	memset(purses, 0, sizeof(purses));
	weir_credit_init(&credit, list, n_workers);
	for (uint32_t i = 0; i < PATH; i++) {
		weir_credit_open(&credit, path[i], charged);
		weir_credit_publish(&credit, path[i], spendable, state);
	}
}

static bool
charge(uint32_t worker, uint64_t bytes)
{
	uint32_t budget;
	uint64_t had;

	return weir_credit_charge(&credit, worker, path, PATH, bytes, &budget, &had);
}

static void
test_unknown_budget_is_closed(void)
{
	const uint16_t other = 77;
	uint32_t budget = 0;
	uint64_t had = 1;

	make(1, 0, 1000, WEIR_CREDIT_OPEN);
	CU_ASSERT_FALSE(weir_credit_charge(&credit, 0, &other, 1, 84, &budget, &had));
	CU_ASSERT_EQUAL(budget, 77);
	CU_ASSERT_EQUAL(had, 0);
	CU_ASSERT_EQUAL(atomic_load(&credit.budgets[77].state), WEIR_CREDIT_CLOSED);
}

static void
test_all_or_none(void)
{
	uint32_t budget = 0;
	uint64_t had = 0;

	make(1, 0, 10000, WEIR_CREDIT_OPEN);
	weir_credit_publish(&credit, 3, 500, WEIR_CREDIT_AT_CAP);
	CU_ASSERT_FALSE(weir_credit_charge(&credit, 0, path, PATH, 501, &budget, &had));
	CU_ASSERT_EQUAL(budget, 3);
	CU_ASSERT_EQUAL(had, 500);
	CU_ASSERT_TRUE(charge(0, 500));
	weir_credit_settle(&credit, 0, path, PATH, 300, 200);
	CU_ASSERT_TRUE(charge(0, 200));
	weir_credit_settle(&credit, 0, path, PATH, 200, 0);
	CU_ASSERT_FALSE(charge(0, 1));
	for (uint32_t i = 0; i < PATH; i++) {
		weir_credit_return(&credit, 0, path[i]);
		CU_ASSERT_EQUAL(weir_credit_spent(&credit, path[i]), 500);
		CU_ASSERT_EQUAL(atomic_load(&credit.budgets[path[i]].taken_bytes), 500);
	}
}

/* Remainders held by different workers add up to one that one of them can use. */
static void
test_remainders_come_together(void)
{
	bool sent = false;

	make(4, 0, 3000, WEIR_CREDIT_AT_CAP);
	for (uint32_t w = 0; w < 4; w++) {
		CU_ASSERT_TRUE(charge(w, 100));
		weir_credit_settle(&credit, w, path, PATH, 100, 0);
	}
	for (uint32_t try = 0; try < 8 && !sent; try++)
		for (uint32_t w = 0; w < 4 && !sent; w++)
			sent = charge(w, 2600);
	CU_ASSERT_TRUE(sent);
	CU_ASSERT_FALSE(charge(0, 1) || charge(1, 1) || charge(2, 1) || charge(3, 1));
}

static void
test_tightening_stops_at_once(void)
{
	make(1, 1000, 100000, WEIR_CREDIT_OPEN);
	CU_ASSERT_TRUE(charge(0, 500));
	weir_credit_settle(&credit, 0, path, PATH, 500, 0);
	/* The worker holds all of the rest. A policy that allows no more makes it give that back.
	 */
	weir_credit_publish(&credit, 0, 1500, WEIR_CREDIT_AT_CAP);
	for (uint32_t i = 0; i < PATH; i++)
		weir_credit_return(&credit, 0, path[i]);
	CU_ASSERT_FALSE(charge(0, 1));
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), 500);
}

/* One of several leaves most of what is left to the others, whatever it asks for first. */
static void
test_one_does_not_take_all(void)
{
	const uint64_t left[] = {100, 1000000, 100000000000};

	for (uint32_t n_workers = 1; n_workers <= 4; n_workers++)
		for (uint32_t i = 0; i < 3; i++) {
			uint64_t extra;

			make(n_workers, 0, 100 + left[i], WEIR_CREDIT_OPEN);
			CU_ASSERT_TRUE(charge(0, 100));
			extra = atomic_load(&credit.budgets[0].taken_bytes) - 100;
			CU_ASSERT_EQUAL(extra, purses[0].purses[0].purse_bytes);
			if (n_workers == 1) {
				CU_ASSERT_EQUAL(extra, left[i]);
				continue;
			}
			CU_ASSERT(extra <= left[i] / (2 * (uint64_t)n_workers));
			CU_ASSERT(extra <= 1 << 20);
			/* Another can have all the rest, and no more. */
			CU_ASSERT_FALSE(charge(1, left[i] - extra + 1));
			CU_ASSERT_TRUE(charge(1, left[i] - extra));
		}
}

struct hammer {
	pthread_t thread;
	uint32_t worker;
	uint64_t seed, sent_bytes;
	bool over;
	_Atomic bool *stop;
};

static void *
hammer_run(void *arg)
{
	struct hammer *hammer = arg;
	struct weir_random random = weir_random_make(hammer->seed);

	while (!atomic_load_explicit(hammer->stop, memory_order_relaxed)) {
		uint64_t bytes = weir_random_between(&random, 84, 48000), unsent;

		if (weir_random_one_in(&random, 100))
			for (uint32_t i = 0; i < PATH; i++)
				weir_credit_return(&credit, hammer->worker, path[i]);
		if (!charge(hammer->worker, bytes)) {
			bytes = weir_random_between(&random, 84, 1538);
			if (!charge(hammer->worker, bytes))
				continue;
		}
		unsent = weir_random_one_in(&random, 4) ? weir_random_below(&random, bytes + 1) : 0;
		hammer->sent_bytes += bytes - unsent;
		weir_credit_settle(&credit, hammer->worker, path, PATH, bytes - unsent, unsent);
	}
	return NULL;
}

/* Two workers and a ledger that grants in steps up to a cap; every bound holds at every step. */
static void
test_two_workers_hammer_one_budget(void)
{
	const uint64_t cap = 400000000;
	struct weir_random random = weir_random_make(weir_test_seed());
	_Atomic bool stop = false;
	struct hammer hammers[2];
	uint64_t spendable = 0, seen = 0, sent;
	time_t end = time(NULL) + 60;

	make(2, 0, 0, WEIR_CREDIT_OPEN);
	for (uint32_t w = 0; w < 2; w++) {
		hammers[w] =
		    (struct hammer){.worker = w, .seed = weir_test_seed() + w, .stop = &stop};
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&hammers[w].thread, NULL, hammer_run, &hammers[w]), 0);
	}
	/* Until the cap is reached, and for a while after it. */
	for (uint32_t idle = 0; idle < 200 && time(NULL) < end;) {
		const struct timespec pause = {.tv_nsec = 100000};
		uint64_t spent = weir_credit_spent(&credit, 0);

		CU_ASSERT(spent >= seen && spent <= spendable);
		CU_ASSERT(atomic_load(&credit.budgets[0].taken_bytes) <= spendable);
		idle = spent == seen && spent > cap - 1538 ? idle + 1 : 0;
		seen = spent;
		spendable += weir_random_below(&random, 3000000);
		spendable = spendable > cap ? cap : spendable;
		for (uint32_t i = 0; i < PATH; i++)
			weir_credit_publish(&credit, path[i], spendable,
			                    spendable == cap ? WEIR_CREDIT_AT_CAP
			                                     : WEIR_CREDIT_OPEN);
		nanosleep(&pause, NULL);
	}
	atomic_store(&stop, true);
	for (uint32_t w = 0; w < 2; w++)
		pthread_join(hammers[w].thread, NULL);
	sent = hammers[0].sent_bytes + hammers[1].sent_bytes;
	CU_ASSERT(sent <= cap);
	CU_ASSERT(sent > cap - 1538);
	for (uint32_t i = 0; i < PATH; i++) {
		for (uint32_t w = 0; w < 2; w++)
			weir_credit_return(&credit, w, path[i]);
		CU_ASSERT_EQUAL(weir_credit_spent(&credit, path[i]), sent);
		CU_ASSERT_EQUAL(atomic_load(&credit.budgets[path[i]].taken_bytes), sent);
	}
}

static const struct weir_test tests[] = {
    {"an unknown budget is closed", test_unknown_budget_is_closed},
    {"a charge is all or none", test_all_or_none},
    {"remainders come together", test_remainders_come_together},
    {"tightening stops at once", test_tightening_stops_at_once},
    {"one does not take all", test_one_does_not_take_all},
    {"two workers hammer one budget", test_two_workers_hammer_one_budget},
};

int
main(void)
{
	return weir_test_run("credit", tests, WEIR_TEST_COUNT(tests));
}
