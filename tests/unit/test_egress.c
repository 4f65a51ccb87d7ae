/* SPDX-License-Identifier: BSD-3-Clause */
/* Rate and cap, judged at the outside in simulated time, exactly. */
#include "tests/unit/egress_box.h"

__extension__ typedef __int128 wide;

struct judge {
	uint64_t total_bytes;
	wide lowest;
	bool any, broken;
};

static void
judge_departure(struct judge *judge, const struct class_plan *plan, uint64_t tsc, uint64_t bytes)
{
	const wide scale = (wide)8 * HZ;
	wide line = (wide)plan->rate_bit_s * tsc;
	wide before = scale * judge->total_bytes - line;

	if (!judge->any || before < judge->lowest)
		judge->lowest = before;
	judge->any = true;
	judge->total_bytes += bytes;
	if (scale * judge->total_bytes - line - judge->lowest > scale * plan->burst_bytes)
		judge->broken = true;
}

/*
 * A flood of every class by up to two workers. What a worker sent in a round is judged at a random
 * moment before its next round: at the earliest and at the latest one, too.
 */
static void
flood(struct weir_random *random, uint32_t n_workers, const struct class_plan *plans,
      uint64_t round_max, bool stalls)
{
	uint64_t now[2] = {1000, 1700}, next[2], start = 1000;
	struct judge judges[CLASSES] = {0};

	set_up(plans, n_workers, UINT64_MAX / 2, 1000);
	memcpy(next, now, sizeof(next));
	for (uint32_t round = 0; round < WEIR_TEST_HISTORIES(20000U); round++) {
		uint16_t w = n_workers == 2 && next[1] < next[0];
		uint64_t sent[CLASSES] = {0}, when;

		now[w] = next[w];
		for (uint32_t i = 0; i < 16; i++)
			if (!put_in(w, (uint32_t)weir_random_below(random, CLASSES),
			            (uint32_t)weir_random_below(random, 1472)))
				break;
		weir_dataplane_pulse(dataplane, now[w]);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now[w]));
		next[w] += 1 + weir_random_below(random, stalls && weir_random_one_in(random, 100)
		                                             ? round_max * 200
		                                             : round_max);
		take_out(w, sent);
		/*
		 * Departures of two workers overlap: they are judged at the reading, which the
		 * bucket's own test proves to be the hardest that two workers allow here.
		 */
		when = n_workers == 1 ? weir_random_between(random, now[w], next[w]) : now[w];
		for (uint32_t i = 0; i < CLASSES; i++)
			if (sent[i] > 0)
				judge_departure(&judges[i], &plans[i], when, sent[i]);
		if (round % 1000 == 0)
			check_conservation();
	}
	for (uint32_t i = 0; i < CLASSES; i++) {
		uint64_t allowed =
		    (uint64_t)((wide)plans[i].rate_bit_s * (now[0] - start) / 8 / HZ);

		CU_ASSERT_FALSE(judges[i].broken);
		CU_ASSERT_TRUE(judges[i].any);
		if (!stalls) /* offered far more than the rate: all but a burst of it is used */
			CU_ASSERT(judges[i].total_bytes + plans[i].burst_bytes >= allowed);
	}
	tear_down(now[0] > now[1] ? now[0] : now[1]);
}

static void
test_rate_in_every_interval(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	const struct class_plan slow[CLASSES] = {
	    {50000000, 64000, 100000}, {1000000, 3000, 50000}, {200000000, 32000, 0}};
	const struct class_plan fast[CLASSES] = {
	    {2000000000, 64000, 300000}, {400000000, 20000, 50000}, {10000000, 1600, 20000}};

	flood(&random, 1, slow, HZ / 20000, false);
	flood(&random, 1, slow, HZ / 20000, true);
	flood(&random, 1, fast, HZ / 100000, true);
	flood(&random, 2, slow, HZ / 20000, false);
	flood(&random, 2, fast, HZ / 50000, true);
}

/* Sends until nothing more leaves, and returns the wire bytes that did. */
static uint64_t
exhaust(struct weir_random *random, uint32_t n_workers, uint64_t now)
{
	uint64_t sent[CLASSES] = {0};

	for (uint32_t round = 0, quiet = 0; quiet < 5000 && round < 200000; round++) {
		uint16_t w = (uint16_t)weir_random_below(random, n_workers);

		for (uint32_t i = 0; i < 8; i++)
			put_in(w, (uint32_t)weir_random_below(random, CLASSES), 1472);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now));
		quiet = take_out(w, sent) > 0 ? 0 : quiet + 1;
	}
	check_conservation();
	tear_down(now);
	return sent[0] + sent[1] + sent[2];
}

static void
test_cap_is_exact(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 64000, 100000}, {500000000, 64000, 0}, {100000000, 3000, 100000}};
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 10; i++) {
		uint64_t cap = weir_random_between(&random, 1, 20000000);
		uint64_t sent;

		set_up(plans, 1 + i % 2, cap, 5000);
		sent = exhaust(&random, 1 + i % 2, 5000);
		CU_ASSERT(sent <= cap);
		CU_ASSERT(sent + 1472 + 8 + 20 + 14 + 24 > cap);
	}
}

/* The outside port takes nothing for a while: nothing is charged, and nothing is lost but what
 * exceeds the backlog. */
static void
test_backpressure(void)
{
	const struct class_plan plans[CLASSES] = {
	    {100000000000, 1000000, 200000}, {100000000000, 1000000, 0}, {1000000, 3000, 3000}};
	uint64_t now = 1000, sent[CLASSES] = {0}, dropped = 0;
	struct weir_class_totals class;
	struct weir_flow_totals flow;
	uint32_t in = 0, out = 0;

	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t round = 0; round < 300; round++) {
		for (uint32_t i = 0; i < 16; i++)
			in += put_in(0, i % 2, 100);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
		check_conservation();
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT(flow.tx_frames < in);
	for (uint32_t i = 0; i < 2; i++) {
		weir_dataplane_class_totals(dataplane, i, &class);
		CU_ASSERT(class.dropped_frames > 0);
		dropped += class.dropped_frames;
	}
	/* A backlog that is full because the port takes nothing says so. */
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_TX_FULL], dropped);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_BACKLOG], 0);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_RATE], 0);
	for (uint32_t round = 0; round < 2000; round++) {
		out += take_out(0, sent);
		now += HZ / 10000;
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[0], now));
	}
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(out, flow.tx_frames);
	CU_ASSERT_EQUAL(sent[0] + sent[1], flow.tx_wire_bytes);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	tear_down(now);
}

static const struct weir_test tests[] = {
    {"the rate holds in every interval", test_rate_in_every_interval},
    {"the cap is exact", test_cap_is_exact},
    {"a port that takes nothing", test_backpressure},
};

int
main(void)
{
	return run_in_box("egress", tests, WEIR_TEST_COUNT(tests));
}
