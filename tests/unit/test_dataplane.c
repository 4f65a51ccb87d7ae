/* SPDX-License-Identifier: BSD-3-Clause */
/* Several workers: what they share, what they hand to each other, and how they take a policy. */
#include "tests/unit/egress_box.h"

#include <pthread.h>
#include <rte_cycles.h>

/* Wire bytes of a frame with 100 bytes of payload, and of the largest one. */
#define WIRE_BYTES     166U
#define WIRE_BYTES_MAX (66U + 1472U)

/*
 * Between a worker's look at a class's bucket and its taking of bytes from there lies its charge to
 * the budgets. The linker puts a function in between, which can take from the bucket just then, as
 * another worker would.
 */
static struct {
	bool armed;
	uint64_t allowance, burst_bytes, leave_bytes; /* all but so much is taken */
	uint64_t taken_bytes;
} thief;

bool __real_weir_credit_charge(struct weir_credit *of, uint32_t worker, const uint16_t *path,
                               uint32_t n_path, uint64_t bytes, uint32_t *short_of,
                               uint64_t *available_bytes);
bool __wrap_weir_credit_charge(struct weir_credit *of, uint32_t worker, const uint16_t *path,
                               uint32_t n_path, uint64_t bytes, uint32_t *short_of,
                               uint64_t *available_bytes);

bool
__wrap_weir_credit_charge(struct weir_credit *of, uint32_t worker, const uint16_t *path,
                          uint32_t n_path, uint64_t bytes, uint32_t *short_of,
                          uint64_t *available_bytes)
{
	if (thief.armed) {
		struct weir_bucket *bucket = &dataplane->buckets[0];

		thief.armed = false;
		thief.taken_bytes =
		    weir_bucket_available(bucket, thief.allowance, thief.burst_bytes) -
		    thief.leave_bytes;
		CU_ASSERT_TRUE(weir_bucket_take(bucket, thief.allowance, thief.burst_bytes,
		                                thief.taken_bytes, true));
	}
	return __real_weir_credit_charge(of, worker, path, n_path, bytes, short_of,
	                                 available_bytes);
}

/* Another worker empties the bucket, or nearly: what was charged meanwhile is not lost. */
static void
test_lost_race(void)
{
	const struct class_plan plans[CLASSES] = {
	    {8000000, 64000, 100000}, {8000000, 64000, 100000}, {8000000, 64000, 100000}};

	for (uint32_t left = 0; left < 3; left++) {
		uint64_t now = 1000, sent[CLASSES] = {0};
		const struct weir_class *class;

		set_up(plans, 2, UINT64_MAX / 2, now);
		class = &atomic_load(&dataplane->current)->classes[0];
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 50));
		for (uint32_t i = 0; i < 8; i++)
			CU_ASSERT_TRUE(put_in(0, 0, 100));
		thief.allowance = weir_rate_allowance(&class->rate, now);
		thief.burst_bytes = class->burst_bytes;
		thief.leave_bytes = (uint64_t)left * WIRE_BYTES;
		thief.armed = true;
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		CU_ASSERT_FALSE(thief.armed);
		CU_ASSERT_EQUAL(take_out(0, sent), left);
		CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 8 - left);
		for (uint32_t budget = 0; budget < 2; budget++) {
			uint64_t spent = weir_credit_spent(&credit, budget);

			CU_ASSERT_EQUAL(spent, (uint64_t)left * WIRE_BYTES);
			CU_ASSERT_EQUAL(atomic_load(&credit.budgets[budget].taken_bytes),
			                spent + credit.workers[0]->purses[budget].purse_bytes);
		}
		weir_bucket_give_back(&dataplane->buckets[0], thief.taken_bytes, true);
		for (uint32_t round = 0; round < 3; round++)
			CU_ASSERT_FALSE(
			    weir_worker_round(dataplane->workers[0], now += HZ / 10000));
		CU_ASSERT_EQUAL(take_out(0, sent), 8 - left);
		tear_down(now);
	}
}

/* What an idle worker holds goes back, and is another's to send, all of it. */
static void
test_idle_purse_returns(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 100000}, {1000000000, 64000, 0}, {1000000, 3000, 3000}};
	/* Each millisecond it looks at some budgets; at each twice, to see that nothing moved. */
	const uint32_t rounds = 2 * WEIR_BUDGETS_MAX / 64 + 2;
	const uint64_t cap = 400000;
	uint64_t now = 1000, sent[CLASSES] = {0};
	uint32_t frames = 0;

	set_up(plans, 2, cap, now);
	CU_ASSERT_TRUE(put_in(0, 0, 100));
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	CU_ASSERT(atomic_load(&credit.budgets[0].taken_bytes) > WIRE_BYTES + 10000);
	for (uint32_t round = 0; round < rounds; round++) {
		now += HZ / 1000 + 1;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	}
	for (uint32_t budget = 0; budget < 2; budget++)
		CU_ASSERT_EQUAL(atomic_load(&credit.budgets[budget].taken_bytes), WIRE_BYTES);
	for (uint32_t round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 8; i++)
			put_in(1, 0, 100);
		now += HZ / 1000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[1], now));
		frames += take_out(1, sent);
	}
	CU_ASSERT_EQUAL(frames, cap / WIRE_BYTES - 1);
	tear_down(now);
}

/* A worker that holds no old policy any more may still have to purge what waits by it. */
static void
test_quiescent_means_adopted(void)
{
	struct class_plan plans[CLASSES] = {
	    {1000, 1600, 10000}, {1000, 1600, 10000}, {1000, 1600, 10000}};
	uint64_t now = 1000, token;
	struct weir_snapshot *old;

	set_up(plans, 2, UINT64_MAX / 2, now);
	for (uint32_t w = 0; w < 2; w++) {
		rte_rcu_qsbr_thread_online(dataplane->rcu, w);
		CU_ASSERT_TRUE(put_in((uint16_t)w, 1, 100));
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now += 1000));
	}
	dataplane->n_launched = 2;
	plans[1].rate_bit_s = 0;
	old = weir_dataplane_publish(dataplane, make_snapshot(plans, CLASSES, 1000), &token);
	CU_ASSERT_FALSE(weir_dataplane_quiescent(dataplane, token, false));
	/* Both are where a round begins; neither has gone on from there. */
	for (uint32_t w = 0; w < 2; w++)
		rte_rcu_qsbr_quiescent(dataplane->rcu, w);
	CU_ASSERT_FALSE(weir_dataplane_quiescent(dataplane, token, false));
	CU_ASSERT_EQUAL(dataplane->workers[1]->queued_frames, 1);
	for (uint32_t w = 0; w < 2; w++) {
		CU_ASSERT_FALSE(weir_dataplane_quiescent(dataplane, token, false));
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now += 1000));
		CU_ASSERT_EQUAL(dataplane->workers[w]->queued_frames, 0);
	}
	CU_ASSERT_TRUE(weir_dataplane_quiescent(dataplane, token, false));
	CU_ASSERT_TRUE(weir_dataplane_quiescent(dataplane, token, true));
	weir_snapshot_free(old);
	/* A fence waits for the next round of each, without a new policy. */
	token = weir_dataplane_fence(dataplane);
	for (uint32_t w = 0; w < 2; w++) {
		CU_ASSERT_FALSE(weir_dataplane_quiescent(dataplane, token, false));
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now += 1000));
	}
	CU_ASSERT_TRUE(weir_dataplane_quiescent(dataplane, token, false));
	for (uint32_t w = 0; w < 2; w++)
		rte_rcu_qsbr_thread_offline(dataplane->rcu, w);
	dataplane->n_launched = 0;
	tear_down(now);
}

/* ---- two workers on threads of their own, by the real clock ---- */

#define POINTS_MAX (UINT32_C(1) << 18)
#define STALL_S    30 /* nothing leaves for so long: it never will */

/* A reading of the clock around a round in which something was sent. */
struct point {
	uint64_t tsc;
	bool end; /* of the round, or its beginning */
	uint64_t bytes[CLASSES];
};

struct runner {
	pthread_t thread;
	struct weir_worker *worker;
	_Atomic bool *stop;
	bool ended_early;
	uint32_t n_points;
	struct point points[POINTS_MAX / 4];
};

static struct runner runners[2];
static struct point points[POINTS_MAX];

static void *
run_worker(void *arg)
{
	struct runner *runner = arg;
	struct weir_worker *worker = runner->worker;
	uint64_t before[CLASSES] = {0};

	rte_rcu_qsbr_thread_online(worker->dataplane->rcu, worker->index);
	while (!atomic_load(runner->stop)) {
		uint64_t begin = rte_rdtsc(), any = 0;
		struct point point = {0};

		if (weir_worker_round(worker, begin))
			runner->ended_early = true;
		for (uint32_t i = 0; i < CLASSES; i++) {
			uint64_t sent =
			    weir_count_read(&worker->counters->classes[i].tx_wire_bytes);

			any += point.bytes[i] = sent - before[i];
			before[i] = sent;
		}
		if (any == 0 || runner->n_points + 2 > POINTS_MAX / 4)
			continue;
		point.tsc = begin;
		runner->points[runner->n_points++] = point;
		point.tsc = rte_rdtsc_precise();
		point.end = true;
		runner->points[runner->n_points++] = point;
	}
	rte_rcu_qsbr_thread_offline(worker->dataplane->rcu, worker->index);
	return NULL;
}

static int
compare_points(const void *left, const void *right)
{
	const struct point *a = left, *b = right;

	return a->tsc != b->tsc ? (a->tsc < b->tsc ? -1 : 1) : (int)a->end - (int)b->end;
}

/*
 * What surely left within an interval, because its round lay in it, is no more than the rate and
 * the burst allow: what rounds that ended by its end sent, less what rounds sent that had begun
 * before it.
 */
static void
judge_rates(const struct class_plan *plans)
{
	__extension__ typedef __int128 wide;
	uint32_t n = 0;

	for (uint32_t w = 0; w < 2; w++) {
		CU_ASSERT(runners[w].n_points + 2 <= POINTS_MAX / 4);
		memcpy(&points[n], runners[w].points, runners[w].n_points * sizeof(points[0]));
		n += runners[w].n_points;
	}
	CU_ASSERT(n > 0);
	qsort(points, n, sizeof(points[0]), compare_points);
	for (uint32_t class = 0; class < CLASSES; class ++) {
		const wide scale = (wide)8 * HZ;
		wide lowest = 0, begun = 0, ended = 0;
		bool any = false, broken = false;

		for (uint32_t i = 0; i < n; i++) {
			wide line = (wide)plans[class].rate_bit_s * points[i].tsc;
			wide bytes = points[i].bytes[class];

			if (!points[i].end) {
				if (!any || scale * begun - line < lowest)
					lowest = scale * begun - line;
				any = true;
				begun += bytes;
				continue;
			}
			ended += bytes;
			if (scale * ended - line - lowest > scale * plans[class].burst_bytes)
				broken = true;
		}
		CU_ASSERT_FALSE(broken);
		CU_ASSERT(ended > 0);
	}
}

/* Publishes the same policy again, and frees the one before as soon as it may. */
static void
renew_policy(const struct class_plan *plans, uint64_t start)
{
	uint64_t token;
	struct weir_snapshot *old =
	    weir_dataplane_publish(dataplane, make_snapshot(plans, CLASSES, start), &token);

	CU_ASSERT_TRUE(weir_dataplane_quiescent(dataplane, token, true));
	for (uint32_t w = 0; w < 2; w++)
		CU_ASSERT_EQUAL(atomic_load(&dataplane->workers[w]->generation), generation);
	weir_snapshot_free(old);
}

/* Floods both workers until the cap is reached, granting towards it step by step. */
static uint64_t
flood_to_cap(const struct class_plan *plans, uint64_t start, uint64_t cap)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint64_t sent[CLASSES] = {0}, spendable = 0, spent = 0, last = 0;
	time_t end = time(NULL) + STALL_S;

	for (uint32_t turn = 0; spent + WIRE_BYTES_MAX <= cap && time(NULL) < end; turn++) {
		for (uint32_t i = 0; i < 64; i++)
			put_in((uint16_t)(i % 2), (uint32_t)weir_random_below(&random, CLASSES),
			       (uint32_t)weir_random_below(&random, 1473));
		for (uint16_t w = 0; w < 2; w++)
			take_out(w, sent);
		weir_dataplane_pulse(dataplane, rte_rdtsc());
		spent = weir_credit_spent(&credit, 0);
		CU_ASSERT(spent <= atomic_load(&credit.budgets[0].taken_bytes));
		CU_ASSERT(atomic_load(&credit.budgets[0].taken_bytes) <= spendable);
		if (spent != last)
			end = time(NULL) + STALL_S;
		last = spent;
		if (spendable - spent < 500000) {
			spendable += weir_random_below(&random, 1000000);
			spendable = spendable < cap ? spendable : cap;
			weir_credit_publish(&credit, 0, spendable,
			                    spendable == cap ? WEIR_CREDIT_AT_CAP
			                                     : WEIR_CREDIT_OPEN);
		}
		if (turn % 200 == 199)
			renew_policy(plans, start);
	}
	CU_ASSERT(spent + WIRE_BYTES_MAX > cap);
	dataplane->n_launched = 0;
	atomic_store(runners[0].stop, true);
	for (uint32_t w = 0; w < 2; w++) {
		pthread_join(runners[w].thread, NULL);
		CU_ASSERT_FALSE(runners[w].ended_early);
		take_out((uint16_t)w, sent);
	}
	return sent[0] + sent[1] + sent[2];
}

static void
test_two_threads(void)
{
	const struct class_plan plans[CLASSES] = {
	    {400000000, 64000, 100000}, {200000000, 20000, 0}, {20000000, 3000, 50000}};
	const uint64_t cap = 20000000;
	uint64_t start = rte_rdtsc(), sent;
	_Atomic bool stop = false;

	set_up(plans, 2, 0, start);
	weir_credit_publish(&credit, 0, 0, WEIR_CREDIT_OPEN);
	dataplane->n_launched = 2;
	for (uint32_t w = 0; w < 2; w++) {
		runners[w].worker = dataplane->workers[w];
		runners[w].stop = &stop;
		runners[w].n_points = 0;
		runners[w].ended_early = false;
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&runners[w].thread, NULL, run_worker, &runners[w]), 0);
	}
	sent = flood_to_cap(plans, start, cap);
	CU_ASSERT(sent <= cap);
	CU_ASSERT_EQUAL(sent, weir_credit_spent(&credit, 0));
	judge_rates(plans);
	tear_down(rte_rdtsc());
}

static const struct weir_test tests[] = {
    {"a race for a bucket that is lost", test_lost_race},
    {"an idle worker's purse returns", test_idle_purse_returns},
    {"quiescent means adopted", test_quiescent_means_adopted},
    {"two workers on threads", test_two_threads},
};

int
main(void)
{
	return run_in_box("dataplane", tests, WEIR_TEST_COUNT(tests));
}
