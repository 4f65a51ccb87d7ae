/* SPDX-License-Identifier: BSD-3-Clause */
/* Which classes are told to starve, and which are not. */
#include "control/starvation.h"
#include "tests/unit/harness.h"

#include <string.h>

#define RATE_BIT_S    8000000U /* 1 MB a second */
#define LARGEST_BYTES 1547U

struct box {
	struct weir_starvation starvation;
	struct weir_class_totals totals;
	uint64_t rate_bit_s;
};

static struct box
make_box(void)
{
	return (struct box){.rate_bit_s = RATE_BIT_S, .totals.dropped_wire_bytes = 123456};
}

/* A second in which so much left and was dropped, and after which so much waits. */
static enum weir_starvation_change
second(struct box *box, uint64_t left, uint64_t dropped, uint64_t queued)
{
	box->totals.tx_wire_bytes += left;
	box->totals.dropped_wire_bytes += dropped;
	box->totals.queued_bytes = queued;
	return weir_starvation_look(&box->starvation, &box->totals, box->rate_bit_s, LARGEST_BYTES);
}

/* Seconds that are all alike; the change that any of them brought, and in which (from 1). */
static enum weir_starvation_change
seconds(struct box *box, uint32_t n, uint64_t left, uint64_t dropped, uint64_t queued,
        uint32_t *when)
{
	for (*when = 1; *when <= n; (*when)++) {
		enum weir_starvation_change change = second(box, left, dropped, queued);

		if (change != WEIR_STARVATION_SAME)
			return change;
	}
	return WEIR_STARVATION_SAME;
}

static void
test_flooded(void)
{
	struct box box = make_box();
	uint32_t when;

	/* The first look has nothing to compare with. */
	CU_ASSERT_EQUAL(second(&box, 0, 9000000, 0), WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(seconds(&box, 9, 1000000, 1000001, 0, &when), WEIR_STARVATION_BEGINS);
	CU_ASSERT_EQUAL(when, WEIR_STARVATION_BAD);
	CU_ASSERT_TRUE(box.starvation.starved);
	CU_ASSERT_EQUAL(box.starvation.left_bytes, 3000000);
	CU_ASSERT_EQUAL(box.starvation.dropped_bytes, 3000003);
	/* Once. */
	CU_ASSERT_EQUAL(seconds(&box, 9, 1000000, 1000001, 0, &when), WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(seconds(&box, 99, 1000000, 1000000, 0, &when), WEIR_STARVATION_ENDS);
	CU_ASSERT_EQUAL(when, WEIR_STARVATION_GOOD);
	CU_ASSERT_FALSE(box.starvation.starved);
}

static void
test_half_is_not_most(void)
{
	struct box box = make_box();
	uint32_t when;

	CU_ASSERT_EQUAL(seconds(&box, 20, 1000000, 1000000, 50000, &when), WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(seconds(&box, 20, 0, 0, 0, &when), WEIR_STARVATION_SAME);
}

/* Bursts: bad seconds, but as many good ones as often. */
static void
test_bursts(void)
{
	struct box box = make_box();

	(void)second(&box, 0, 0, 0);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(second(&box, 1000, i % 4 < WEIR_STARVATION_BAD - 1 ? 1500 : 0, 0),
		                WEIR_STARVATION_SAME);
	CU_ASSERT_FALSE(box.starvation.starved);
}

/* Flooded two seconds of three, for an hour. */
static void
test_by_turns(void)
{
	struct box box = make_box();
	uint32_t begun = 0, ended = 0;

	for (uint32_t i = 0; i < 3600; i++) {
		enum weir_starvation_change change =
		    second(&box, i % 3 == 0 ? 100000 : 0, i % 3 == 0 ? 0 : 100000, 0);

		begun += change == WEIR_STARVATION_BEGINS;
		ended += change == WEIR_STARVATION_ENDS;
	}
	CU_ASSERT_EQUAL(begun, 1);
	CU_ASSERT_EQUAL(ended, 0);
}

/* However an attacker takes turns, events are far between. */
static void
test_no_flood_of_events(void)
{
	for (uint32_t turns = 0; turns < 400; turns++) {
		uint32_t bad = 1 + turns % 10, good = 1 + turns / 10;
		uint32_t begun = 0;
		struct box box = make_box();

		for (uint32_t i = 0; i < 3600; i++)
			begun +=
			    second(&box, i % (bad + good) < bad ? 0 : 100,
			           i % (bad + good) < bad ? 100 : 0, 0) == WEIR_STARVATION_BEGINS;
		/* 30 s, 60 s ... 960 s go by between them. */
		CU_ASSERT(begun <= 7);
	}
}

/* Every second second nearly all that comes is dropped, and little comes in between. */
static void
test_by_bytes(void)
{
	struct box box = make_box();
	uint32_t begun = 0;

	for (uint32_t i = 0; i < 3600; i++)
		begun += second(&box, 1000, i % 2 == 0 ? 200000 : 0, 0) == WEIR_STARVATION_BEGINS;
	CU_ASSERT_EQUAL(begun, 1);
	CU_ASSERT_TRUE(box.starvation.starved);
}

/* An hour without, and it is told to be over as soon as at first. */
static void
test_calm(void)
{
	struct box box = make_box();
	uint32_t when;

	(void)second(&box, 0, 0, 0);
	for (uint32_t good = WEIR_STARVATION_GOOD; good <= 8 * WEIR_STARVATION_GOOD; good *= 2) {
		CU_ASSERT_EQUAL(seconds(&box, 9, 1000, 1500, 0, &when), WEIR_STARVATION_BEGINS);
		CU_ASSERT_EQUAL(seconds(&box, 9999, 1000, 0, 0, &when), WEIR_STARVATION_ENDS);
		CU_ASSERT_EQUAL(when, good);
	}
	CU_ASSERT_EQUAL(seconds(&box, WEIR_STARVATION_CALM, 1000, 0, 0, &when),
	                WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(seconds(&box, 9, 1000, 1500, 0, &when), WEIR_STARVATION_BEGINS);
	CU_ASSERT_EQUAL(seconds(&box, 9999, 1000, 0, 0, &when), WEIR_STARVATION_ENDS);
	CU_ASSERT_EQUAL(when, WEIR_STARVATION_GOOD);
}

/* It gets nothing, and tries now and then: nothing comes in between, which speaks for neither. */
static void
test_tries(void)
{
	for (uint32_t pause = 1; pause < WEIR_STARVATION_IDLE; pause += pause) {
		struct box box = make_box();
		uint32_t begun = 0;

		(void)second(&box, 0, 0, 0);
		for (uint32_t i = 0; i < 10; i++) {
			begun += second(&box, 0, 100000, 0) == WEIR_STARVATION_BEGINS;
			for (uint32_t k = 0; k < pause; k++)
				CU_ASSERT_EQUAL(second(&box, 0, 0, 0), WEIR_STARVATION_SAME);
		}
		CU_ASSERT_EQUAL(begun, 1);
		CU_ASSERT_TRUE(box.starvation.starved);
	}
}

/* One that is not used any more is no longer told to starve. */
static void
test_idle(void)
{
	struct box box = make_box();
	uint32_t when;

	(void)second(&box, 0, 0, 0);
	CU_ASSERT_EQUAL(seconds(&box, 9, 0, 9000, 0, &when), WEIR_STARVATION_BEGINS);
	CU_ASSERT_EQUAL(seconds(&box, 9999, 0, 0, 0, &when), WEIR_STARVATION_ENDS);
	CU_ASSERT_EQUAL(when, WEIR_STARVATION_IDLE);
	CU_ASSERT_EQUAL(second(&box, 0, 9000, 0), WEIR_STARVATION_SAME);
}

static void
test_stuck(void)
{
	struct box box = make_box();
	uint32_t when;

	(void)second(&box, 0, 0, 200);
	CU_ASSERT_EQUAL(seconds(&box, 9, 0, 0, 200, &when), WEIR_STARVATION_BEGINS);
	CU_ASSERT_EQUAL(when, WEIR_STARVATION_BAD);
	/* It empties; and one that trickles is not stuck. */
	CU_ASSERT_EQUAL(seconds(&box, 99, 200, 0, 0, &when), WEIR_STARVATION_ENDS);
	CU_ASSERT_EQUAL(seconds(&box, 20, 84, 0, 100000, &when), WEIR_STARVATION_SAME);
}

/* What came at the end of a second has not waited for one. */
static void
test_new_arrivals(void)
{
	struct box box = make_box();

	for (uint32_t i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(second(&box, 0, 0, i % 2 == 0 ? 0 : 5000), WEIR_STARVATION_SAME);
}

/* Less than two frames a second: a second without one is its rate's doing, but not an hour. */
static void
test_slow_class(void)
{
	struct box box = make_box();
	uint32_t when;

	/* Two largest frames take 20 s. */
	box.rate_bit_s = 2 * 8 * LARGEST_BYTES / 20;
	for (uint32_t i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(seconds(&box, 19, 0, 0, 5000, &when), WEIR_STARVATION_SAME);
		CU_ASSERT_EQUAL(second(&box, LARGEST_BYTES, 0, 5000), WEIR_STARVATION_SAME);
	}
	CU_ASSERT_EQUAL(seconds(&box, 99, 0, 0, 5000, &when), WEIR_STARVATION_BEGINS);
	/* Rounded down above: a second more. */
	CU_ASSERT_EQUAL(when, 21 + WEIR_STARVATION_BAD - 1);
}

static void
test_forgets(void)
{
	struct box box = make_box();
	uint32_t when;

	(void)second(&box, 0, 0, 0);
	CU_ASSERT_EQUAL(seconds(&box, WEIR_STARVATION_BAD - 1, 0, 9000, 0, &when),
	                WEIR_STARVATION_SAME);
	weir_starvation_forget(&box.starvation);
	/* Counters go on from where they are: all that was dropped before is no second's. */
	CU_ASSERT_EQUAL(second(&box, 0, 0, 0), WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(seconds(&box, WEIR_STARVATION_BAD - 1, 0, 9000, 0, &when),
	                WEIR_STARVATION_SAME);
	CU_ASSERT_EQUAL(second(&box, 0, 9000, 0), WEIR_STARVATION_BEGINS);
}

int
main(void)
{
	static const struct weir_test tests[] = {
	    {"a class that is flooded", test_flooded},
	    {"half is not most", test_half_is_not_most},
	    {"bursts are not told", test_bursts},
	    {"flooded by turns", test_by_turns},
	    {"no flood of events", test_no_flood_of_events},
	    {"bytes of half a minute", test_by_bytes},
	    {"an hour of calm", test_calm},
	    {"gets nothing, and tries now and then", test_tries},
	    {"one that is not used any more", test_idle},
	    {"frames that wait and none leaves", test_stuck},
	    {"frames that have just come", test_new_arrivals},
	    {"a class of less than two frames a second", test_slow_class},
	    {"forgets", test_forgets},
	};

	return weir_test_run("starvation", tests, WEIR_TEST_COUNT(tests));
}
