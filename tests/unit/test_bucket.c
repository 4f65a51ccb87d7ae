/* SPDX-License-Identifier: BSD-3-Clause */
/* The rate law: for every interval, sent <= rate x interval + burst, to the byte. */
#include "dataplane/bucket.h"
#include "tests/unit/harness.h"

#include <pthread.h>
#include <string.h>

#include <rte_cycles.h>

__extension__ typedef __int128 wide;

/* Judges departures in the order of time, exactly: no interval may carry more than the law says. */
struct judge {
	uint64_t rate_bit_s, tsc_hz, burst_bytes;
	uint64_t total_bytes;
	wide lowest; /* over all departures: bytes before x 8 x hz - rate x time */
	bool any;
	bool broken;
};

static void
judge_departure(struct judge *judge, uint64_t tsc, uint64_t bytes)
{
	const wide scale = (wide)8 * judge->tsc_hz;
	wide line = (wide)judge->rate_bit_s * tsc;
	wide before = scale * judge->total_bytes - line;

	if (!judge->any || before < judge->lowest)
		judge->lowest = before;
	judge->any = true;
	judge->total_bytes += bytes;
	if (scale * judge->total_bytes - line - judge->lowest > scale * judge->burst_bytes)
		judge->broken = true;
}

static void
test_starts_empty(void)
{
	struct weir_rate rate = weir_rate_make(1000000, 2600000000, 5000, 0);
	struct weir_bucket bucket;
	uint64_t later = 5000 + 2600000000ULL * 3600;

	weir_bucket_init(&bucket, &rate, 5000);
	CU_ASSERT_EQUAL(weir_bucket_available(&bucket, weir_rate_allowance(&rate, 5000), 10000), 0);
	/* Also when the first look comes late: a class that is made anew has nothing saved up. */
	weir_bucket_init(&bucket, &rate, later);
	CU_ASSERT_EQUAL(weir_bucket_available(&bucket, weir_rate_allowance(&rate, later), 10000),
	                0);
}

static void
test_fills_to_burst_only(void)
{
	struct weir_rate rate = weir_rate_make(1000000, 2600000000, 0, 0);
	struct weir_bucket bucket;
	uint64_t allowance = weir_rate_allowance(&rate, 2600000000ULL * 1000);

	weir_bucket_init(&bucket, &rate, 0);
	CU_ASSERT_EQUAL(weir_bucket_available(&bucket, allowance, 10000), 9999);
	CU_ASSERT_FALSE(weir_bucket_take(&bucket, allowance, 10000, 10000, false));
	CU_ASSERT_TRUE(weir_bucket_take(&bucket, allowance, 10000, 9999, false));
	CU_ASSERT_FALSE(weir_bucket_take(&bucket, allowance, 10000, 1, false));
}

static void
test_time_backwards_gives_nothing(void)
{
	struct weir_rate rate = weir_rate_make(8000000, 1000000000, 0, 0);
	struct weir_bucket bucket;
	uint64_t second = 1000000000;

	weir_bucket_init(&bucket, &rate, 0);
	CU_ASSERT_TRUE(
	    weir_bucket_take(&bucket, weir_rate_allowance(&rate, second), 2000000, 900000, false));
	weir_bucket_departed(&bucket, weir_rate_allowance(&rate, second), 2000000, 900000, false);
	for (uint64_t t = 0; t < second; t += second / 100) {
		uint64_t left =
		    weir_bucket_available(&bucket, weir_rate_allowance(&rate, t), 2000000);

		CU_ASSERT(left < 100000);
		CU_ASSERT_FALSE(weir_bucket_take(&bucket, weir_rate_allowance(&rate, t), 2000000,
		                                 left + 1, false));
	}
	/* 1 MB allowed, but for the byte that rounding down costs. */
	CU_ASSERT_EQUAL(weir_bucket_available(&bucket, weir_rate_allowance(&rate, second), 2000000),
	                99999);
}

/* The line never lies above the asked rate, and at most 1e-5 below it after a second or more. */
static void
test_rate_rounds_down(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t bit_s = (uint64_t)1 << weir_random_below(&random, 40);
		uint64_t hz = weir_random_between(&random, 1000000000, 5000000000);
		uint64_t ticks = weir_random_between(&random, hz, hz * 100000);
		struct weir_rate rate;
		wide exact, got;

		bit_s = weir_random_between(&random, bit_s, bit_s * 2);
		bit_s = bit_s > 1000000000000 ? 1000000000000 : bit_s;
		rate = weir_rate_make(bit_s, hz, 77, 0);
		got = (wide)weir_rate_allowance(&rate, 77 + ticks) * 8 * hz;
		exact = (wide)bit_s * ticks;
		CU_ASSERT(got <= exact);
		/* One byte for rounding, and the last bit of the fixed point. */
		CU_ASSERT(exact - got <= exact / 100000 + (wide)8 * hz +
		                             ((wide)ticks * 8 * hz >> WEIR_RATE_SHIFT));
	}
	CU_ASSERT_EQUAL(
	    weir_rate_allowance(&(struct weir_rate){.start_tsc = 9, .base_bytes = 5}, 3), 5);
}

static void
test_no_overflow(void)
{
	struct weir_rate rate = weir_rate_make(1000000000000, 1000000000, 0, UINT64_MAX - 10);

	CU_ASSERT_EQUAL(weir_rate_allowance(&rate, UINT64_MAX), UINT64_MAX);
	rate = weir_rate_make(1, 5000000000, 0, 0);
	CU_ASSERT(weir_rate_ticks(&rate, UINT64_MAX) <= UINT64_C(1) << 48);
	CU_ASSERT(weir_rate_ticks(&rate, 1) > 0);
}

/* One simulated worker: rounds, and what it took in the present one. */
struct sim_worker {
	uint64_t now, next;
	uint64_t taken_bytes;
	uint64_t departures[64]; /* bytes */
	uint32_t n;
};

struct sim_event {
	uint64_t tsc, bytes;
};

/* A moment of the worker's round; often its very start or end. */
static uint64_t
departure(struct weir_random *random, const struct sim_worker *worker)
{
	switch (weir_random_below(random, 4)) {
	case 0:
		return worker->next;
	case 1:
		return weir_random_between(random, worker->now, worker->next);
	default:
		return worker->now;
	}
}

static int
compare_events(const void *a, const void *b)
{
	uint64_t x = ((const struct sim_event *)a)->tsc, y = ((const struct sim_event *)b)->tsc;

	return (x > y) - (x < y);
}

/*
 * Workers take and give back in rounds of random length, stalls included; each frame departs at a
 * random moment of its round, known only afterwards. The judge sees the true departures.
 */
static void
simulate(struct weir_random *random, uint32_t n_workers, uint64_t bit_s, uint64_t burst,
         uint64_t round_max)
{
	enum { ROUNDS = 3000, EVENTS = ROUNDS * 8 };
	const uint64_t hz = 2596098010;
	struct judge judge = {.rate_bit_s = bit_s, .tsc_hz = hz, .burst_bytes = burst};
	struct sim_event *events = calloc(EVENTS, sizeof(*events));
	struct sim_worker workers[4] = {0};
	struct weir_rate rate = weir_rate_make(bit_s, hz, 1000, 0);
	struct weir_bucket bucket;
	uint32_t n_events = 0;
	uint64_t last = 1000;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	weir_bucket_init(&bucket, &rate, 1000);
	for (uint32_t w = 0; w < n_workers; w++)
		workers[w].next = 1000 + weir_random_below(random, round_max);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		struct sim_worker *worker = &workers[0];
		uint64_t allowance;

		for (uint32_t w = 1; w < n_workers; w++)
			if (workers[w].next < worker->next)
				worker = &workers[w];
		for (uint32_t i = 0; i < worker->n && n_events < EVENTS; i++)
			events[n_events++] = (struct sim_event){.tsc = departure(random, worker),
			                                        .bytes = worker->departures[i]};
		worker->now = last = worker->next;
		worker->next += weir_random_one_in(random, 50)
		                    ? weir_random_below(random, round_max * 100)
		                    : 1 + weir_random_below(random, round_max);
		allowance = weir_rate_allowance(&rate, worker->now);
		weir_bucket_departed(&bucket, allowance, burst, worker->taken_bytes, n_workers > 1);
		worker->taken_bytes = worker->n = 0;
		for (uint32_t i = 0; i < 8; i++) {
			uint64_t bytes = weir_random_between(random, 84, 1538);

			/* To the last byte, now and then: there a fraction too much would show. */
			if (weir_random_one_in(random, 4))
				bytes = weir_bucket_available(&bucket, allowance, burst);
			if (!weir_bucket_take(&bucket, allowance, burst, bytes, n_workers > 1))
				continue;
			if (weir_random_one_in(random, 10)) {
				weir_bucket_give_back(&bucket, bytes, n_workers > 1);
				continue;
			}
			worker->taken_bytes += bytes;
			worker->departures[worker->n++] = bytes;
		}
	}
	qsort(events, n_events, sizeof(*events), compare_events);
	for (uint32_t i = 0; i < n_events; i++)
		judge_departure(&judge, events[i].tsc, events[i].bytes);
	CU_ASSERT_FALSE(judge.broken);
	CU_ASSERT(n_events > 0);
	/* The law is not kept by sending nothing: offered more than the rate, most of it is used,
	 * where it is many frames.
	 */
	if (round_max < 100000 && bit_s <= 50000000 && burst >= 64000 &&
	    (last - 1000) / hz * bit_s + (last - 1000) % hz * bit_s / hz > 8 * 20 * 1538)
		CU_ASSERT(judge.total_bytes * 8 * hz / bit_s >= (last - 1000) / 2);
	free(events);
}

static void
test_every_interval_at_true_departures(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 200; i++) {
		uint64_t bit_s = weir_random_between(&random, 1000, i % 2 ? 100000 : 10000000000);
		uint64_t burst = weir_random_between(&random, 100, 200000);

		simulate(&random, 1 + i % 4, bit_s, burst,
		         weir_random_between(&random, 100, 3000000));
	}
	simulate(&random, 1, 50000000, 64000, 20000);
}

static void
test_rate_change_gives_nothing(void)
{
	const uint64_t hz = 1000000000;
	struct weir_rate slow = weir_rate_make(8000, hz, 0, 0), fast, again;
	struct weir_bucket bucket;

	weir_bucket_init(&bucket, &slow, 0);
	fast = weir_rate_make(8000000, hz, hz, weir_rate_allowance(&slow, hz));
	CU_ASSERT_EQUAL(weir_rate_allowance(&fast, hz), weir_rate_allowance(&slow, hz));
	again = weir_rate_make(8000, hz, 2 * hz, weir_rate_allowance(&fast, 2 * hz));
	/* 1 s at 1 kB/s and 1 s at 1 MB/s, each rounded down; the burst bounds what is left. */
	CU_ASSERT(weir_rate_allowance(&again, 2 * hz) <= 1001000);
	CU_ASSERT(weir_rate_allowance(&again, 2 * hz) >= 1000998);
	CU_ASSERT_EQUAL(weir_bucket_available(&bucket, weir_rate_allowance(&again, 2 * hz), 5000),
	                4999);
}

struct hammer {
	pthread_t thread;
	struct weir_bucket *bucket;
	const struct weir_rate *rate;
	uint64_t burst_bytes, until_tsc, seed;
	struct sim_event *events;
	uint32_t n, capacity;
};

static void *
hammer_run(void *arg)
{
	struct hammer *hammer = arg;
	struct weir_random random = weir_random_make(hammer->seed);
	uint64_t now, taken = 0;

	/* Once at least, however late it gets a CPU. */
	do {
		uint64_t allowance;

		now = rte_rdtsc();
		allowance = weir_rate_allowance(hammer->rate, now);
		weir_bucket_departed(hammer->bucket, allowance, hammer->burst_bytes, taken, true);
		taken = 0;
		for (uint32_t i = 0; i < 8; i++) {
			uint64_t bytes = weir_random_between(&random, 84, 1538);

			if (!weir_bucket_take(hammer->bucket, allowance, hammer->burst_bytes, bytes,
			                      true))
				continue;
			if (weir_random_one_in(&random, 20)) {
				weir_bucket_give_back(hammer->bucket, bytes, true);
				continue;
			}
			taken += bytes;
			hammer->events[hammer->n++] = (struct sim_event){now, bytes};
		}
	} while (now < hammer->until_tsc && hammer->n + 8 < hammer->capacity);
	return NULL;
}

/* Two threads on one bucket, for real: the law holds at the times that they read. */
static void
test_two_threads(void)
{
	const uint64_t bit_s = 2000000000, burst = 20000, hz = 2600000000;
	enum { CAPACITY = 400000 };
	struct judge judge = {.rate_bit_s = bit_s, .tsc_hz = hz, .burst_bytes = burst};
	struct hammer hammers[2];
	struct sim_event *events = calloc(2 * CAPACITY, sizeof(*events));
	uint64_t start = rte_rdtsc();
	struct weir_rate rate = weir_rate_make(bit_s, hz, start, 0);
	struct weir_bucket bucket;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	weir_bucket_init(&bucket, &rate, start);
	for (uint32_t i = 0; i < 2; i++) {
		hammers[i] = (struct hammer){.bucket = &bucket,
		                             .rate = &rate,
		                             .burst_bytes = burst,
		                             .until_tsc = start + hz / 2,
		                             .seed = weir_test_seed() + i,
		                             .events = events + i * CAPACITY,
		                             .capacity = CAPACITY};
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&hammers[i].thread, NULL, hammer_run, &hammers[i]), 0);
	}
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(hammers[i].thread, NULL);
	CU_ASSERT(hammers[0].n > 0 || hammers[1].n > 0);
	memmove(events + hammers[0].n, events + CAPACITY, hammers[1].n * sizeof(*events));
	qsort(events, hammers[0].n + hammers[1].n, sizeof(*events), compare_events);
	for (uint32_t i = 0; i < hammers[0].n + hammers[1].n; i++)
		judge_departure(&judge, events[i].tsc, events[i].bytes);
	CU_ASSERT_FALSE(judge.broken);
	CU_ASSERT_EQUAL(judge.any, true);
	free(events);
}

/* The judge itself: it must tell one byte too many. */
static void
test_judge_can_tell(void)
{
	struct judge judge = {.rate_bit_s = 8, .tsc_hz = 1, .burst_bytes = 100};

	judge_departure(&judge, 10, 100);
	judge_departure(&judge, 20, 10);
	CU_ASSERT_FALSE(judge.broken);
	judge_departure(&judge, 20, 1);
	CU_ASSERT_TRUE(judge.broken);
}

static const struct weir_test tests[] = {
    {"a bucket starts empty", test_starts_empty},
    {"a bucket fills to its burst only", test_fills_to_burst_only},
    {"time that goes backwards gives nothing", test_time_backwards_gives_nothing},
    {"rates round down", test_rate_rounds_down},
    {"nothing overflows", test_no_overflow},
    {"the judge can tell one byte", test_judge_can_tell},
    {"the law holds at the true departures", test_every_interval_at_true_departures},
    {"a change of rate gives nothing", test_rate_change_gives_nothing},
    {"two threads on one bucket", test_two_threads},
};

int
main(void)
{
	return weir_test_run("bucket", tests, WEIR_TEST_COUNT(tests));
}
