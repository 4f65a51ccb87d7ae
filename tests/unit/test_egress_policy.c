/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies that change while workers are in their rounds: the law of bucket.h over every interval,
 * at the true departures, with workers that adopt at different moments.
 */
#include "tests/unit/egress_box.h"

#define EVENTS_MAX 40000U

__extension__ typedef __int128 wide;

/* What happens at a time, in the order in which it counts where times are the same. */
enum kind {
	KIND_CHANGES, /* a policy begins: the upper one of both rates and bursts from here on */
	KIND_LEAVES,  /* a frame */
	KIND_IS_NEW,  /* every worker has adopted: the new ones alone */
};

struct happening {
	uint64_t tsc;
	enum kind kind;
	uint64_t bytes;      /* of a frame */
	uint64_t rate_bit_s; /* otherwise */
	uint64_t burst_bytes;
};

/* One worker's present round. */
struct round {
	uint64_t now, next;
	bool late; /* has not adopted the last policy */
};

struct history {
	struct weir_random random;
	uint32_t n_workers;
	struct round rounds[2];
	struct class_plan plans[CLASSES];
	struct weir_rate rate; /* of class 0, now */
	uint64_t start;        /* of that, and earliest moment that it can be seen */
	uint64_t round_max;
	struct weir_snapshot *old;
	struct weir_snapshot *next; /* not published yet: workers are suspended */
	struct happening *happenings;
	uint32_t n;
};

static void
happens(struct history *history, uint64_t tsc, enum kind kind, uint64_t bytes, uint64_t rate_bit_s,
        uint64_t burst_bytes)
{
	CU_ASSERT_FATAL(history->n < EVENTS_MAX);
	history->happenings[history->n++] = (struct happening){.tsc = tsc,
	                                                       .kind = kind,
	                                                       .bytes = bytes,
	                                                       .rate_bit_s = rate_bit_s,
	                                                       .burst_bytes = burst_bytes};
}

static int
compare(const void *a, const void *b)
{
	const struct happening *x = a, *y = b;

	if (x->tsc != y->tsc)
		return x->tsc < y->tsc ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

/* By how many bytes, rounded up, more left in some interval than the law allows. */
static uint64_t
judge(struct history *history, uint64_t rate_bit_s, uint64_t burst_bytes)
{
	const wide byte = (wide)8 * HZ;
	wide tokens = byte * burst_bytes, worst = 0;
	uint64_t at = 0;

	qsort(history->happenings, history->n, sizeof(*history->happenings), compare);
	for (uint32_t i = 0; i < history->n; i++) {
		const struct happening *happening = &history->happenings[i];

		tokens += (wide)rate_bit_s * (happening->tsc - at);
		at = happening->tsc;
		if (tokens > byte * burst_bytes)
			tokens = byte * burst_bytes;
		if (happening->kind == KIND_LEAVES) {
			tokens -= byte * happening->bytes;
			worst = tokens < worst ? tokens : worst;
			continue;
		}
		rate_bit_s = happening->rate_bit_s;
		burst_bytes = happening->burst_bytes;
		if (tokens > byte * burst_bytes)
			tokens = byte * burst_bytes;
	}
	return (uint64_t)((-worst + byte - 1) / byte);
}

/* A rate, often much lower or higher than the one before. */
static uint64_t
some_rate(struct weir_random *random)
{
	uint64_t low = UINT64_C(1) << weir_random_between(random, 14, 33);

	return weir_random_between(random, low, low * 2);
}

/*
 * Makes another rate or burst, or both, between two readings, or between the next reading and
 * what is loaded after it: then the new line begins later than the reading. A burst alone begins
 * no later, for there the line goes on, and room is earned by it from the reading on. Workers are
 * suspended at the start at the latest, and until the publication, some rounds later at times.
 */
static void
change_policy(struct history *history, uint64_t before_tsc, uint64_t now_tsc)
{
	struct class_plan *plan = &history->plans[0];
	struct class_plan before = *plan;
	struct weir_snapshot *next;
	uint64_t start = weir_random_between(&history->random, before_tsc + 1, now_tsc);

	weir_snapshot_free(history->old);
	if (!weir_random_one_in(&history->random, 4))
		plan->rate_bit_s = some_rate(&history->random);
	if (plan->rate_bit_s != before.rate_bit_s && weir_random_one_in(&history->random, 4))
		start = now_tsc + weir_random_below(&history->random, 3000);
	if (!weir_random_one_in(&history->random, 3))
		plan->burst_bytes = (uint32_t)weir_random_between(&history->random, 2000, 30000);
	next = make_snapshot(history->plans, CLASSES, 1000);
	if (plan->rate_bit_s != before.rate_bit_s)
		history->rate = weir_rate_make(plan->rate_bit_s, HZ, start,
		                               weir_rate_allowance(&history->rate, start));
	next->classes[0].rate = history->rate;
	history->next = next;
	history->start = start;
	(void)weir_dataplane_suspend(dataplane);
	happens(history, start, KIND_CHANGES, 0,
	        plan->rate_bit_s > before.rate_bit_s ? plan->rate_bit_s : before.rate_bit_s,
	        plan->burst_bytes > before.burst_bytes ? plan->burst_bytes : before.burst_bytes);
}

static void
publish(struct history *history)
{
	uint64_t token;

	history->old = weir_dataplane_publish(dataplane, history->next, &token);
	history->next = NULL;
	for (uint32_t w = 0; w < history->n_workers; w++)
		history->rounds[w].late = true;
}

/* Frames leave at any moment of the round, often at its very start or end. */
static void
leave(struct history *history, uint32_t w)
{
	const struct round *round = &history->rounds[w];
	uint64_t first = round->now > history->start ? round->now : history->start;
	struct rte_mbuf *frame;

	while (rte_eth_rx_burst(outside.port_id, (uint16_t)w, &frame, 1) == 1) {
		uint64_t mood = weir_random_below(&history->random, 4);

		happens(history,
		        mood == 0   ? first
		        : mood == 1 ? weir_random_between(&history->random, first, round->next)
		                    : round->next,
		        KIND_LEAVES, frame->pkt_len + 24, 0, 0);
		rte_pktmbuf_free(frame);
	}
}

static void
do_round(struct history *history, uint32_t w)
{
	struct round *round = &history->rounds[w];
	bool adopts = round->late, any = false;

	round->now = round->next;
	round->next = round->now + 1 + weir_random_below(&history->random, history->round_max);
	if (weir_random_one_in(&history->random, 20))
		round->next += weir_random_below(&history->random, history->round_max * 100);
	if (round->next <= history->start)
		round->next = history->start + 1;
	for (uint64_t i = weir_random_below(&history->random, 25); i > 0; i--)
		put_in((uint16_t)w, 0, (uint32_t)weir_random_below(&history->random, 1400));
	weir_dataplane_pulse(dataplane, round->now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], round->now));
	leave(history, w);
	round->late = false;
	for (uint32_t i = 0; i < history->n_workers; i++)
		any = any || history->rounds[i].late;
	if (adopts && !any)
		happens(history, round->now > history->start ? round->now : history->start,
		        KIND_IS_NEW, 0, history->plans[0].rate_bit_s,
		        history->plans[0].burst_bytes);
}

/* Returns by how many bytes too many left. */
static uint64_t
live(uint64_t seed, uint32_t n_workers)
{
	struct history history = {.random = weir_random_make(seed), .n_workers = n_workers};
	struct class_plan *plan = &history.plans[0];
	uint64_t rate_bit_s, over, now = 1000;
	uint32_t burst_bytes, w = 0;

	history.happenings = calloc(EVENTS_MAX, sizeof(*history.happenings));
	CU_ASSERT_PTR_NOT_NULL_FATAL(history.happenings);
	rate_bit_s = some_rate(&history.random);
	burst_bytes = (uint32_t)weir_random_between(&history.random, 2000, 30000);
	*plan = (struct class_plan){rate_bit_s, burst_bytes,
	                            weir_random_one_in(&history.random, 2) ? 50000 : 0};
	history.plans[1] = history.plans[2] = (struct class_plan){1000000, 3000, 0};
	history.round_max = UINT64_C(1) << weir_random_between(&history.random, 10, 22);
	set_up(history.plans, n_workers, UINT64_MAX / 2, now);
	history.rate = weir_rate_make(rate_bit_s, HZ, now, 0);
	history.start = now;
	/* Late at first: a burst is to be earned from the first policy that a worker saw. */
	for (uint32_t i = 0; i < n_workers; i++)
		history.rounds[i] = (struct round){
		    .next = now + weir_random_below(&history.random, history.round_max * 100),
		    .late = true};
	for (uint32_t round = 0; round < 600; round++) {
		bool late = false;
		uint64_t before = now > history.start ? now : history.start;

		w = n_workers == 2 && history.rounds[1].next < history.rounds[0].next;
		now = history.rounds[w].next;
		for (uint32_t i = 0; i < n_workers; i++)
			late = late || history.rounds[i].late;
		/* Between two readings that are the same there is no time. */
		if (!late && history.next == NULL && before < now &&
		    weir_random_one_in(&history.random, 8))
			change_policy(&history, before, now);
		if (history.next != NULL && weir_random_one_in(&history.random, 2))
			publish(&history);
		do_round(&history, w);
	}
	if (history.next != NULL)
		publish(&history);
	over = judge(&history, rate_bit_s, burst_bytes);
	if (over > 0)
		printf("    seed %" PRIu64 ", %" PRIu32 " workers: %" PRIu64 " B too many\n", seed,
		       n_workers, over);
	free(history.happenings);
	now = history.rounds[0].next > history.rounds[n_workers - 1].next
	          ? history.rounds[0].next
	          : history.rounds[n_workers - 1].next;
	tear_down(now);
	weir_snapshot_free(history.old);
	return over;
}

static void
test_law_across_changes(void)
{
	uint64_t seed = weir_test_seed();

	for (uint32_t i = 0; i < WEIR_TEST_HISTORIES(80U); i++)
		CU_ASSERT_EQUAL(live(seed + i, 1 + i % 2), 0);
}

/* The worst case by hand: a burst leaves at the end of a round in which its rate is raised. */
static void
test_rate_raised_in_round(void)
{
	struct class_plan plans[CLASSES] = {
	    {1000000, 10000, 0}, {8000000, 3000, 0}, {8000000, 3000, 0}};
	uint64_t now = 1000, sent[CLASSES] = {0}, token;
	struct weir_snapshot *old, *next;
	struct weir_rate before;

	set_up(plans, 1, UINT64_MAX / 2, now);
	before = weir_rate_make(plans[0].rate_bit_s, HZ, now, 0);
	now += HZ;
	for (uint32_t i = 0; i < 9; i++)
		put_in(0, 0, 1000);
	weir_dataplane_pulse(dataplane, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 9);
	plans[0].rate_bit_s = 1000000000;
	next = make_snapshot(plans, CLASSES, now + 1);
	next->classes[0].rate.base_bytes = weir_rate_allowance(&before, now + 1);
	old = weir_dataplane_publish(dataplane, next, &token);
	for (uint32_t i = 0; i < 9; i++)
		put_in(0, 0, 1000);
	/* Those nine may have left just now, and the line has risen by more than the burst. */
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 1000));
	take_out(0, sent);
	CU_ASSERT(sent[0] <= plans[0].burst_bytes);
	/* Room comes with time, and the raised rate is used. */
	put_in(0, 0, 1000);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now += HZ / 50000));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	weir_snapshot_free(old);
	tear_down(now);
}

/* A rate is lowered in a round that lasts: what has left in it is no debt to the slow line. */
static void
test_rate_lowered_in_round(void)
{
	struct class_plan plans[CLASSES] = {
	    {10000000000, 16000, 0}, {8000000, 3000, 0}, {8000000, 3000, 0}};
	uint64_t now = 1000, sent[CLASSES] = {0}, token;
	struct weir_snapshot *old, *next;
	struct weir_rate before;

	set_up(plans, 1, UINT64_MAX / 2, now);
	before = weir_rate_make(plans[0].rate_bit_s, HZ, now, 0);
	now += HZ;
	put_in(0, 0, 1000);
	weir_dataplane_pulse(dataplane, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	plans[0].rate_bit_s = 1000000;
	next = make_snapshot(plans, CLASSES, now + 1);
	next->classes[0].rate.base_bytes = weir_rate_allowance(&before, now + 1);
	old = weir_dataplane_publish(dataplane, next, &token);
	put_in(0, 0, 1000);
	now += HZ / 10;
	weir_dataplane_pulse(dataplane, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	CU_ASSERT_EQUAL(take_out(0, sent), 1);
	weir_snapshot_free(old);
	tear_down(now);
}

static const struct weir_test tests[] = {
    {"a rate raised in a round gives no second burst", test_rate_raised_in_round},
    {"a rate lowered in a long round makes no debt", test_rate_lowered_in_round},
    {"the law holds across changes of policy", test_law_across_changes},
};

int
main(void)
{
	return run_in_box("egress_policy", tests, WEIR_TEST_COUNT(tests));
}
