/* SPDX-License-Identifier: BSD-3-Clause */
/* Several send queues whose NIC holds frames back: the law on the wire, and nothing lost to it. */
#define CLASSES 6U
#include "tests/unit/wire_box.h"

/* What may happen to the NIC while a flood lasts. */
struct trouble {
	bool moves, holds, restarts;
};

/* A new mood for one queue: mostly still or fast, at times an odd rate. */
static void
change_wire(struct weir_random *random)
{
	uint16_t q = (uint16_t)weir_random_below(random, QUEUES);
	uint64_t mood = weir_random_below(random, 4);

	wire_set(q, mood == 0   ? 0
	            : mood == 1 ? LINE_BIT_S
	                        : weir_random_between(random, 100000, 1000000000));
}

/* Down, its rings emptied, and up again, before any worker has looked. */
static void
restart_outside(void)
{
	weir_dataplane_set_link_up(dataplane, outside.port_id, false);
	for (uint16_t q = 0; q < QUEUES; q++)
		wire_restart(q);
	weir_dataplane_set_link_up(dataplane, outside.port_id, true);
}

static void
make_trouble(struct weir_random *random, const struct trouble *trouble)
{
	if (trouble->moves && weir_random_one_in(random, 50))
		weir_dataplane_set_queue(dataplane, 0, (uint32_t)weir_random_below(random, CLASSES),
		                         (uint8_t)weir_random_below(random, nic.n_queues));
	if (trouble->holds && weir_random_one_in(random, 100))
		weir_dataplane_hold(dataplane, outside.port_id, weir_random_one_in(random, 3));
	if (trouble->restarts && weir_random_one_in(random, 200))
		restart_outside();
}

/* Everything leaves in the end, and what is charged is what left or was lost on the way. */
static void
settle(uint32_t n_workers, uint64_t *now)
{
	uint64_t spent = 0, left = 0, lost = 0;

	weir_dataplane_hold(dataplane, outside.port_id, false);
	for (uint16_t q = 0; q < QUEUES; q++)
		wire_set(q, LINE_BIT_S);
	for (uint32_t round = 0; round < 5000; round++)
		for (uint32_t w = 0; w < n_workers; w++) {
			round_with_wire(w, now[w], now[w] + HZ / 2000);
			now[w] += HZ / 2000;
		}
	for (uint32_t w = 0; w < n_workers; w++)
		CU_ASSERT_EQUAL(dataplane->workers[w]->queued_frames, 0);
	for (uint32_t class = 0; class < CLASSES; class ++) {
		CU_ASSERT_EQUAL(inflight_of(class), 0);
		spent += weir_credit_spent(&credit, 1 + class);
	}
	for (uint16_t q = 0; q < QUEUES; q++) {
		CU_ASSERT_EQUAL(nic.queues[q].handed, nic.queues[q].left + nic.queues[q].lost);
		left += nic.queues[q].left_bytes;
		lost += nic.queues[q].lost;
	}
	CU_ASSERT(lost == 0 ? spent == left : spent > left);
	check_conservation();
}

/*
 * A flood of every class by one or two workers with queues of their own, each shared by several
 * classes, while the wires do as they please. Returns whether a class broke its law.
 */
static bool
flood(struct weir_random *random, uint32_t n_workers, const struct class_plan *plans,
      uint64_t round_max, const struct trouble *trouble)
{
	uint64_t now[2] = {1000, 1700}, next[2] = {1000, 1700};
	bool broken = false;

	set_up(plans, n_workers, UINT64_MAX / 2, 1000);
	for (uint32_t class = 0; class < CLASSES; class ++)
		weir_dataplane_set_queue(dataplane, 0, class, (uint8_t)(class % nic.n_queues));
	for (uint32_t round = 0; round < 12000; round++) {
		uint16_t w = n_workers == 2 && next[1] < next[0];

		now[w] = next[w];
		next[w] +=
		    1 + weir_random_below(random, weir_random_one_in(random, 100) ? round_max * 50
		                                                                  : round_max);
		for (uint32_t i = 0; i < 8; i++)
			put_in(w, (uint32_t)weir_random_below(random, CLASSES),
			       (uint32_t)weir_random_below(random, 1473));
		nic.clock = now[w];
		if (weir_random_one_in(random, 30))
			change_wire(random);
		make_trouble(random, trouble);
		round_with_wire(w, now[w], next[w]);
		if (round % 1000 == 0)
			check_conservation();
	}
	settle(n_workers, next);
	for (uint32_t class = 0; class < CLASSES; class ++) {
		CU_ASSERT(nic.n[class] > 100);
		broken |= is_broken(class, &plans[class]);
	}
	tear_down(next[0] > next[1] ? next[0] : next[1]);
	return broken;
}

static const struct class_plan mixed[CLASSES] = {{50000000, 64000, 100000}, {1000000, 3077, 50000},
                                                 {200000000, 32000, 0},     {10000000, 1600, 20000},
                                                 {400000000, 20000, 50000}, {2000000, 8000, 8000}};

static void
test_law_on_the_wire(void)
{
	static const struct trouble troubles[] = {
	    {0}, {.moves = true}, {.holds = true}, {.restarts = true}, {true, true, true}};
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 2 * WEIR_TEST_COUNT(troubles); i++) {
		uint32_t n_workers = 1 + i % 2;
		uint32_t descriptors = i % 3 == 0 ? 24 : i % 3 == 1 ? 100 : 256;

		nic_set_up((uint16_t)(i % 3 == 2 ? 1 : 3), descriptors, true,
		           weir_random_next(&random));
		nic.wild = i % 4 != 0;
		nic.late = i % 5 == 1;
		nic.forgetful = i % 3 == 1;
		nic.moody = i % 2 == 1;
		CU_ASSERT_FALSE(flood(&random, n_workers, mixed, HZ / 20000, &troubles[i / 2]));
	}
}

/* The same NIC, not asked: frames leave in larger bursts than allowed, and this test can see it. */
static void
test_law_needs_completions(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	const struct trouble none = {0};

	nic_set_up(3, 256, false, weir_random_next(&random));
	CU_ASSERT_TRUE(flood(&random, 1, mixed, HZ / 20000, &none));
}

/* Feeds classes, a bit of each as long as little of it waits. */
static void
feed(const uint32_t *payloads)
{
	for (uint32_t class = 0; class < CLASSES; class ++) {
		const struct weir_queue *queue =
		    &dataplane->workers[0]->queues[weir_lane(0, class)];

		for (uint32_t i = 0; payloads[class] != 0 && queue->frames + i < 16 && i < 4; i++)
			CU_ASSERT_TRUE(put_in(0, class, payloads[class]));
	}
}

/* Runs for some seconds, in steps as a worker makes them, and returns when the second half began.
 */
static uint64_t
run_for(uint64_t *now, uint64_t ticks, const uint32_t *payloads)
{
	uint64_t begin = *now, end = *now + ticks;
	struct weir_random random = weir_random_make(weir_test_seed());

	while (*now < end) {
		uint64_t step = weir_random_between(&random, 800, 4000); /* 0.3 to 1.5 us */

		feed(payloads);
		round_with_wire(0, *now, *now + step);
		*now += step;
	}
	return begin + ticks / 2;
}

/* A class alone on a queue that is limited to its own rate gets that rate, however small its burst.
 */
static void
test_alone_on_its_queue(void)
{
	static const struct {
		uint64_t rate_bit_s;
		uint32_t payload_bytes, burst_frames;
	} cases[] = {{2000000, 1472, 2},    {10000000, 100, 2},     {100000000, 1472, 2},
	             {500000000, 1472, 2},  {10000000, 1472, 10},   {1000000000, 1472, 10},
	             {100000000, 100, 10},  {1000000000, 1472, 42}, {1000000000, 100, 400},
	             {5000000000, 1472, 42}};

	for (uint32_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		uint32_t frame = cases[i].payload_bytes + 66, payloads[CLASSES] = {0};
		struct class_plan plans[CLASSES] = {
		    {cases[i].rate_bit_s, cases[i].burst_frames * frame, 100000}};
		uint64_t now = 1000, half, ticks, want;

		/* So long that 800 frames leave, and it is 50 ms. */
		ticks = (uint64_t)((wide)800 * frame * 8 * HZ / cases[i].rate_bit_s);
		ticks = ticks > HZ / 20 ? ticks : HZ / 20;
		for (uint32_t class = 1; class < CLASSES; class ++)
			plans[class] = (struct class_plan){1000000, 3000, 0};
		nic_set_up(3, 512, true, i);
		nic.wild = true;
		nic.forgetful = i % 2 == 0;
		set_up(plans, 1, UINT64_MAX / 2, now);
		weir_dataplane_set_queue(dataplane, 0, 0, 1);
		wire_set(1, cases[i].rate_bit_s);
		payloads[0] = cases[i].payload_bytes;
		half = run_for(&now, ticks, payloads);
		want = (uint64_t)((wide)cases[i].rate_bit_s * (now - half) / 8 / HZ);
		if (bytes_since(0, half) + frame < want / 100 * 99)
			printf("    case %u: %" PRIu64 " of %" PRIu64 " bytes\n", i,
			       bytes_since(0, half), want);
		CU_ASSERT(bytes_since(0, half) + frame >= want / 100 * 99);
		CU_ASSERT_FALSE(is_broken(0, &plans[0]));
		tear_down(now);
	}
}

/*
 * Classes that share a queue limited to their sum get their rates, each. A class's frame may wait
 * while all others' bursts leave: bursts must be worth that time (here 4 ms), and two frames.
 */
static void
test_sum_of_rates(void)
{
	const struct class_plan plans[CLASSES] = {
	    {50000000, 28000, 100000}, {10000000, 7200, 100000}, {5000000, 5600, 100000},
	    {35000000, 18000, 100000}, {1000000, 3300, 0},       {1000000, 3300, 0}};
	const uint32_t payloads[CLASSES] = {1472, 1000, 1472, 100};
	uint64_t now = 1000, half;

	nic_set_up(3, 128, true, 1);
	nic.wild = true;
	set_up(plans, 1, UINT64_MAX / 2, now);
	for (uint32_t class = 0; class < 4; class ++)
		weir_dataplane_set_queue(dataplane, 0, class, 2);
	wire_set(2, 100000000);
	half = run_for(&now, HZ / 2, payloads);
	for (uint32_t class = 0; class < 4; class ++) {
		uint64_t want = (uint64_t)((wide)plans[class].rate_bit_s * (now - half) / 8 / HZ);

		CU_ASSERT(bytes_since(class, half) + MAX_FRAME >= want / 100 * 99);
		CU_ASSERT_FALSE(is_broken(class, &plans[class]));
	}
	tear_down(now);
}

/* A queue slower than its classes, with a ring shorter than their bursts: all get a part of it. */
static void
test_short_ring_is_shared(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 200000, 100000}, {1000000000, 200000, 100000},
	    {1000000000, 200000, 100000}, {1000000000, 200000, 100000},
	    {1000000000, 200000, 100000}, {1000000000, 200000, 100000}};
	const uint32_t payloads[CLASSES] = {600, 600, 600, 600, 600, 600};

	for (uint32_t i = 0; i < 3; i++) {
		uint64_t now = 1000, half;

		/* One that tells, one that refuses some now and then, one that does not tell. */
		nic_set_up(2, 9, i < 2, 1);
		nic.wild = true;
		nic.moody = i == 1;
		set_up(plans, 1, UINT64_MAX / 2, now);
		for (uint32_t class = 0; class < CLASSES; class ++)
			weir_dataplane_set_queue(dataplane, 0, class, 1);
		wire_set(1, 60000000);
		half = run_for(&now, HZ / 2, payloads);
		for (uint32_t class = 0; class < CLASSES; class ++) {
			uint64_t share = (uint64_t)((wide)10000000 * (now - half) / 8 / HZ);
			uint64_t bytes = bytes_since(class, half);

			CU_ASSERT(bytes > share / 2 && bytes < share * 2);
		}
		tear_down(now);
	}
}

/* Two workers with queues of their own share a class of two frames' burst: neither goes hungry. */
static void
test_two_workers_share_a_class(void)
{
	struct class_plan plans[CLASSES] = {{20000000, 2 * MAX_FRAME + 1, 100000}};
	uint64_t now = 1000, at[2] = {1000, 1900};

	for (uint32_t class = 1; class < CLASSES; class ++)
		plans[class] = (struct class_plan){1000000, 3000, 0};
	nic_set_up(2, 64, true, 1);
	nic.wild = true;
	set_up(plans, 2, UINT64_MAX / 2, now);
	for (uint32_t i = 0; i < 2; i++)
		wire_set((uint16_t)(2 * i + 1), 20000000);
	weir_dataplane_set_queue(dataplane, 0, 0, 1);
	while (at[0] < HZ) {
		uint16_t w = at[1] < at[0];
		uint64_t end = at[w] + 1500 + weir_random_below(&nic.random, 2000);

		if (dataplane->workers[w]->queued_frames < 16)
			put_in(w, 0, 1472);
		round_with_wire(w, at[w], end);
		at[w] = end;
	}
	for (uint32_t w = 0; w < 2; w++)
		CU_ASSERT(nic.queues[2 * w + 1].left_bytes > 20000000 / 8 / 4);
	CU_ASSERT(nic.queues[1].left_bytes + nic.queues[3].left_bytes > 20000000 / 8 / 100 * 95);
	CU_ASSERT_FALSE(is_broken(0, &plans[0]));
	tear_down(at[0] > at[1] ? at[0] : at[1]);
}

static void
charge_one(uint16_t w, uint64_t *now)
{
	CU_ASSERT_TRUE(put_in(w, 0, 100));
	round_with_wire(w, *now, *now + HZ / 100000);
	*now += HZ / 100000; /* in which there are tokens for seven of them */
}

/*
 * A note holds what was charged by the end of the round in which it was asked for, of each worker,
 * whenever that ends and whatever comes after it.
 */
static void
test_notes(void)
{
	static const struct class_plan plans[CLASSES] = {
	    {1000000000, 20000, 5000}, {1000000, 3000, 0}, {1000000, 3000, 0},
	    {1000000, 3000, 0},        {1000000, 3000, 0}, {1000000, 3000, 0}};
	uint64_t now = 1000, number;
	struct weir_note note;

	nic_set_up(2, 64, true, 1);
	set_up(plans, 2, UINT64_MAX / 2, now);
	dataplane->n_launched = 2;
	for (uint16_t i = 0; i < 10; i++)
		charge_one(i % 2, &now);
	number = weir_dataplane_note(dataplane);
	CU_ASSERT_FALSE(weir_dataplane_noted(dataplane, number, &note));
	charge_one(0, &now); /* in the round in which it sees the question */
	for (uint16_t i = 0; i < 7; i++)
		charge_one(0, &now);
	CU_ASSERT_FALSE(weir_dataplane_noted(dataplane, number, &note));
	charge_one(1, &now);
	for (uint16_t i = 0; i < 7; i++)
		charge_one(i % 2, &now);
	CU_ASSERT_TRUE(weir_dataplane_noted(dataplane, number, &note));
	CU_ASSERT_EQUAL(note.frames[0], 12);
	CU_ASSERT_EQUAL(note.wire_bytes[0], 12 * FIXED_FRAME);
	CU_ASSERT_EQUAL(note.root_wire_bytes, 12 * FIXED_FRAME);
	CU_ASSERT_EQUAL(note.frames[1], 0);
	/* One that has ended is not waited for, and what it charged counts. */
	number = weir_dataplane_note(dataplane);
	charge_one(0, &now);
	atomic_store(&dataplane->workers[1]->ended, 1);
	CU_ASSERT_TRUE(weir_dataplane_noted(dataplane, number, &note));
	CU_ASSERT_EQUAL(note.frames[0], 27);
	CU_ASSERT_EQUAL(note.root_wire_bytes, weir_credit_spent(&credit, 0));
	dataplane->n_launched = 0;
	tear_down(now);
}

static const struct weir_test tests[] = {
    {"the law holds on the wire", test_law_on_the_wire},
    {"it would not without completions", test_law_needs_completions},
    {"alone on its queue", test_alone_on_its_queue},
    {"a queue limited to the sum", test_sum_of_rates},
    {"a short ring is shared", test_short_ring_is_shared},
    {"two workers share a class", test_two_workers_share_a_class},
    {"what workers have charged, as they note it", test_notes},
};

int
main(void)
{
	return run_in_box("egress_queues", tests, WEIR_TEST_COUNT(tests));
}
