/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits in a NIC's queue: known to have left, never before it has; measured, never unjustly.
 */
#include "dataplane/departures.h"
#include "drivers/memory.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>
#include <string.h>

__extension__ typedef __int128 wide;

#define HZ      UINT64_C(2596098010)
#define PORT    7U
#define QUEUE   3U
#define N_MAX   5000U
#define HISTORY (UINT32_C(1) << 16) /* frames remembered; more than any ring holds */

/* The NIC: frames are numbered from 0. */
static struct {
	uint32_t n_descriptors;
	uint64_t handed, left; /* truly */
	uint64_t told;         /* the NIC admits so many as done ... */
	uint64_t forgotten;    /* ... and has forgotten so many of them */
	uint64_t asked;
	uint32_t bytes[HISTORY], lanes[HISTORY];
} nic;

static struct weir_departures departures;

/* What departures.c has told. */
static struct {
	uint64_t bytes;
	uint64_t next; /* the first frame that is not told */
	bool wrong;
} heard;

static int
status(void *queue, uint16_t offset)
{
	uint64_t ago = nic.n_descriptors - offset, number;

	CU_ASSERT_PTR_EQUAL(queue, &nic);
	CU_ASSERT_FATAL(offset > 0 && offset < nic.n_descriptors && ago <= nic.handed);
	nic.asked++;
	number = nic.handed - ago;
	return number < nic.told && number >= nic.forgotten ? RTE_ETH_TX_DESC_DONE
	                                                    : RTE_ETH_TX_DESC_FULL;
}

static void
on_departed(void *arg, uint32_t lane, uint64_t wire_bytes)
{
	uint64_t bytes = 0;

	CU_ASSERT_PTR_EQUAL(arg, &heard);
	/* Whole frames, in order, of this lane. */
	while (bytes < wire_bytes && heard.next < nic.handed &&
	       nic.lanes[heard.next % HISTORY] == lane)
		bytes += nic.bytes[heard.next++ % HISTORY];
	if (bytes != wire_bytes)
		heard.wrong = true;
	heard.bytes += wire_bytes;
}

static void
begin(uint32_t n_descriptors)
{
	static void *queues[QUEUE + 1] = {NULL, NULL, NULL, &nic};

	memset(&nic, 0, sizeof(nic));
	memset(&heard, 0, sizeof(heard));
	memset(&departures, 0, sizeof(departures));
	nic.n_descriptors = n_descriptors;
	rte_eth_fp_ops[PORT].txq.data = queues;
	rte_eth_fp_ops[PORT].tx_descriptor_status = status;
	CU_ASSERT_EQUAL_FATAL(
	    weir_departures_init(&departures, PORT, QUEUE, n_descriptors, WEIR_NODE_ANY), 0);
}

static void
end(void)
{
	CU_ASSERT_FALSE(heard.wrong);
	weir_departures_fini(&departures);
	memset(&rte_eth_fp_ops[PORT], 0, sizeof(rte_eth_fp_ops[PORT]));
}

static void
hand_over(uint32_t lane, uint32_t wire_bytes, uint64_t now)
{
	nic.bytes[nic.handed % HISTORY] = wire_bytes;
	nic.lanes[nic.handed % HISTORY] = lane;
	nic.handed++;
	weir_departures_add(&departures, lane, wire_bytes, now);
}

static uint32_t
poll(uint64_t now)
{
	return weir_departures_poll(&departures, now, on_departed, &heard);
}

static void
check_numbers(void)
{
	uint64_t waiting = 0, done = 0;

	for (uint64_t i = heard.next; i < nic.handed; i++)
		waiting += nic.bytes[i % HISTORY];
	done = atomic_load(&departures.done_frames) + atomic_load(&departures.lost_frames);
	CU_ASSERT_EQUAL(atomic_load(&departures.waiting_frames), nic.handed - heard.next);
	CU_ASSERT_EQUAL(atomic_load(&departures.waiting_bytes), waiting);
	CU_ASSERT_EQUAL(done, heard.next);
	CU_ASSERT_EQUAL(weir_departures_room(&departures),
	                nic.n_descriptors - 1 - (nic.handed - heard.next));
}

/* A NIC that tells late and forgets: never told before it left, and in the end all is. */
static void
try_ring(struct weir_random *random, uint32_t n_descriptors)
{
	uint64_t now = 1000;

	begin(n_descriptors);
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t room = weir_departures_room(&departures);
		uint64_t waiting = nic.handed - nic.left;
		uint64_t n = weir_random_one_in(random, 3) ? room : weir_random_below(random, 6);
		uint64_t before = heard.next;
		uint32_t told;

		now += weir_random_below(random, 1000);
		/* A driver cleans, and forgets, when it is given frames. */
		if (n > 0 && room > 0 && weir_random_one_in(random, 2))
			nic.forgotten = weir_random_between(random, nic.forgotten, nic.told);
		for (; n > 0 && room > 0; n--, room--)
			hand_over((uint32_t)weir_random_below(random, 3),
			          84 + (uint32_t)weir_random_below(random, 1455), now);
		if (weir_random_one_in(random, 2))
			nic.left += weir_random_below(random, waiting + 1);
		if (weir_random_one_in(random, 2))
			nic.told = weir_random_one_in(random, 2)
			               ? nic.left
			               : weir_random_between(random, nic.told, nic.left);
		told = poll(now);
		CU_ASSERT(heard.next <= nic.left);
		/* Where nothing is forgotten, all that is known. */
		if (nic.forgotten <= before)
			CU_ASSERT_EQUAL(heard.next, nic.told > before ? nic.told : before);
		CU_ASSERT(told <= n_descriptors - 1);
		if (round % 100 == 0)
			check_numbers();
	}
	nic.left = nic.told = nic.handed;
	poll(now);
	CU_ASSERT_EQUAL(heard.next, nic.handed);
	check_numbers();
	CU_ASSERT_EQUAL(atomic_load(&departures.done_bytes), heard.bytes);
	end();
}

static void
test_told_once_and_never_early(void)
{
	static const uint32_t sizes[] = {2, 3, 7, 8, 24, 100, 512, 1000, 4096, 4999};
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < WEIR_TEST_COUNT(sizes); i++)
		try_ring(&random, sizes[i]);
}

/* A full ring is asked a few times, whatever has left of it; an empty one not at all. */
static void
test_few_questions(void)
{
	for (uint32_t left = 0; left <= 1023; left++) {
		begin(1024);
		poll(1000);
		CU_ASSERT_EQUAL(nic.asked, 0);
		for (uint32_t i = 0; i < 1023; i++)
			hand_over(1, 100, 1000);
		CU_ASSERT_EQUAL(weir_departures_room(&departures), 0);
		nic.left = nic.told = left;
		CU_ASSERT_EQUAL(poll(2000), left);
		CU_ASSERT(nic.asked <= 20);
		end();
	}
}

/* The port was started again: all that waited is told and counted as lost. */
static void
test_drop(void)
{
	begin(100);
	for (uint32_t i = 0; i < 70; i++)
		hand_over(i / 10, 100 + i, 1000);
	nic.left = nic.told = 25;
	CU_ASSERT_EQUAL(poll(2000), 25);
	CU_ASSERT_EQUAL(weir_departures_drop(&departures, on_departed, &heard), 45);
	CU_ASSERT_EQUAL(heard.next, 70);
	CU_ASSERT_EQUAL(atomic_load(&departures.lost_frames), 45);
	CU_ASSERT_EQUAL(atomic_load(&departures.done_frames), 25);
	check_numbers();
	CU_ASSERT_EQUAL(weir_departures_drop(&departures, on_departed, &heard), 0);
	/* The ring begins anew; so do its descriptors. */
	nic.left = nic.told = nic.forgotten = nic.handed;
	for (uint32_t i = 0; i < 99; i++)
		hand_over(5, 100, 3000);
	CU_ASSERT_EQUAL(poll(4000), 0);
	nic.left = nic.told = nic.handed;
	CU_ASSERT_EQUAL(poll(5000), 99);
	check_numbers();
	end();
}

/* ---- measuring ---- */

/* A NIC's limiter: a bucket that lets frames go, exactly. */
struct limiter {
	uint64_t rate_bit_s, burst_bytes;
	wide level; /* tokens x 8 x HZ, at at_tsc */
	uint64_t at_tsc;
};

static void
limiter_run(struct limiter *limiter, uint64_t until)
{
	const wide full = (wide)limiter->burst_bytes * 8 * HZ;

	limiter->level += (wide)limiter->rate_bit_s * (until - limiter->at_tsc);
	limiter->at_tsc = until;
	/* Frames waited all the time, or the bucket was filling: only an idle one overflows. */
	while (nic.left < nic.handed) {
		wide cost = (wide)nic.bytes[nic.left % HISTORY] * 8 * HZ;

		if (limiter->level < cost)
			return;
		limiter->level -= cost;
		nic.left++;
	}
	if (limiter->level > full)
		limiter->level = full;
}

/*
 * Runs a queue that is fed with a share of rate_bit_s in percent. The worker's rounds come as they
 * come, and the NIC tells now and then.
 */
static void
run_queue(struct weir_random *random, struct limiter *limiter, uint64_t rate_bit_s,
          uint32_t percent, uint64_t *now, uint64_t ticks)
{
	uint64_t stop = *now + ticks;
	wide credit = 0;

	while (*now < stop) {
		uint64_t step = weir_random_between(random, 1000, 20000);

		if (weir_random_one_in(random, 1000))
			step *= 50;
		limiter_run(limiter, *now); /* it may have been idle until now */
		credit += (wide)rate_bit_s * percent / 100 * step;
		while (credit > 0) {
			uint32_t bytes = 84 + (uint32_t)weir_random_below(random, 1455);

			credit -= (wide)bytes * 8 * HZ;
			if (weir_departures_room(&departures) == 0)
				continue;
			hand_over(0, bytes, *now);
		}
		/* Asked some time after the reading, before the next one. */
		limiter_run(limiter, *now + weir_random_below(random, step));
		if (!weir_random_one_in(random, 8))
			nic.told = nic.left;
		poll(*now);
		*now += step;
	}
}

static void
test_honest_limiter_is_not_accused(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static const uint32_t percents[] = {20, 95, 100, 105, 300};

	for (uint32_t i = 0; i < WEIR_TEST_COUNT(percents) * 4; i++) {
		struct limiter limiter = {.rate_bit_s = i % 2 == 0 ? 10000000 : 3000000000,
		                          .burst_bytes = i % 4 < 2 ? 1600 : 20000,
		                          .at_tsc = 1000};
		uint64_t now = 1000, bytes, ticks, measured;

		begin(i % 3 == 0 ? 64 : 500);
		weir_departures_set_limit(&departures, limiter.rate_bit_s, limiter.burst_bytes, 0,
		                          HZ);
		run_queue(&random, &limiter, limiter.rate_bit_s, percents[i / 4], &now, HZ / 5);
		poll(now);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
		bytes = atomic_load(&departures.busy_bytes);
		ticks = atomic_load(&departures.busy_tsc);
		if (percents[i / 4] == 300 && i % 3 != 0) {
			/* A backlog all the time: the measured rate is the limit's. */
			CU_ASSERT_FATAL(ticks > HZ / 10);
			measured = (uint64_t)((wide)bytes * 8 * HZ / ticks);
			CU_ASSERT(measured > limiter.rate_bit_s / 100 * 98);
			CU_ASSERT(measured < limiter.rate_bit_s / 100 * 102);
		}
		check_numbers();
		end();
	}
}

/*
 * A limiter that lets out more by two percent is found out, and one that begins to cheat after it
 * has been slow for long just as soon.
 */
static void
test_cheat_is_found_out(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 10; i++) {
		uint64_t rate = i % 2 == 0 ? 10000000 : 1000000000, burst = 6000, now = 1000,
		         before;
		struct limiter limiter = {rate / 2, burst, 0, 1000};
		uint64_t backlog_bytes = 63 * 1538;
		/* In this time two percent are a backlog and a burst. */
		uint64_t ticks = (uint64_t)((wide)(backlog_bytes + 2 * burst) * 50 * 8 * HZ / rate);

		begin(64);
		weir_departures_set_limit(&departures, rate, burst, 0, HZ);
		run_queue(&random, &limiter, rate, 110, &now, HZ / 2);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
		limiter.rate_bit_s = rate / 100 * 102;
		run_queue(&random, &limiter, rate, 110, &now, ticks);
		before = atomic_load(&departures.excess_bytes);
		CU_ASSERT(before > 0);
		/* It goes on being counted, once: two percent of what leaves. */
		run_queue(&random, &limiter, rate, 110, &now, ticks);
		CU_ASSERT(atomic_load(&departures.excess_bytes) - before >
		          (backlog_bytes + 2 * burst) / 2);
		CU_ASSERT(atomic_load(&departures.excess_bytes) - before <
		          (backlog_bytes + 2 * burst) * 2);
		end();
	}
}

/* To the byte: what a burst allows is no excess, one byte more is; judged when its time is over. */
static void
test_excess_is_exact(void)
{
	const uint64_t rate = 8 * HZ / 1000; /* a byte each 1000 ticks */

	for (uint32_t more = 0; more < 3; more++) {
		begin(64);
		weir_departures_set_limit(&departures, rate, 1000, 0, HZ);
		poll(0); /* takes note of the limit */
		hand_over(0, 600, 1000);
		hand_over(0, 501 + more, 1000);
		nic.left = nic.told = 2;
		CU_ASSERT_EQUAL(poll(1000), 2);
		/* It may have left as late as at the next reading, which is not this one again. */
		CU_ASSERT_EQUAL(poll(1000), 0);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
		CU_ASSERT_EQUAL(poll(101000), 0);
		/* 1000 + 100 and one for rounding are allowed by then. */
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), more);
		CU_ASSERT_EQUAL(poll(101001), 0);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), more);
		/* Judged by the next frame as well, where nobody asks. */
		hand_over(0, 1500, 90000000);
		nic.left = nic.told = 3;
		CU_ASSERT_EQUAL(poll(90000000), 1);
		hand_over(0, 100, 90001000);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), more + 498);
		end();
	}
}

/* Another limit is judged by only with frames that were handed over since; so after a jump back. */
static void
test_limit_and_clock_change(void)
{
	uint64_t now = 1000, busy, ticks;

	begin(512);
	weir_departures_set_limit(&departures, 1000000000, 10000, 0, HZ);
	poll(now);
	for (uint32_t i = 0; i < 400; i++)
		hand_over(0, 1000, now);
	for (uint32_t i = 0; i < 100; i++) {
		nic.left = nic.told = i;
		poll(now += 1000 * 8 * HZ / 1000000000 + 1);
	}
	CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
	busy = atomic_load(&departures.busy_tsc);
	CU_ASSERT(busy > 0);
	/* A thousandth of it: what waits may have left under the old one. */
	weir_departures_set_limit(&departures, 1000000, 2000, 0, HZ);
	nic.left = nic.told = 200;
	poll(now += 1000);
	nic.left = nic.told = 203;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
	/* The period's count starts over: less than a burst has left since. */
	CU_ASSERT_EQUAL(atomic_load(&departures.busy_tsc), busy);
	hand_over(0, 1000, now);
	nic.left = nic.told = nic.handed - 1;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), 0);
	for (uint32_t i = 0; i < 3; i++)
		hand_over(0, 1000, now);
	nic.left = nic.told = nic.handed;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT(atomic_load(&departures.excess_bytes) > 1900); /* 4,000 by a burst of 2,000 */
	/* The clock goes back: nothing is known of how much time has passed. */
	busy = atomic_load(&departures.excess_bytes);
	for (uint32_t i = 0; i < 300; i++)
		hand_over(0, 1000, now);
	nic.left = nic.told = nic.handed - 200;
	poll(now); /* in the same round: long enough a period to be measured */
	ticks = atomic_load(&departures.busy_tsc);
	nic.left = nic.told = nic.handed - 100;
	poll(now -= 900000);
	poll(now += 1000);
	nic.left = nic.told = nic.handed - 50;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), busy);
	CU_ASSERT(atomic_load(&departures.busy_tsc) >= ticks);
	CU_ASSERT(atomic_load(&departures.busy_tsc) < ticks + HZ);
	/* From there on it is judged again. */
	for (uint32_t i = 0; i < 100; i++)
		hand_over(0, 1000, now);
	nic.left = nic.told = nic.handed;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT(atomic_load(&departures.excess_bytes) > busy + 97000);
	/* No limit, no judgement. */
	weir_departures_set_limit(&departures, 0, 0, 0, HZ);
	busy = atomic_load(&departures.excess_bytes);
	for (uint32_t i = 0; i < 100; i++)
		hand_over(0, 1000, now);
	nic.left = nic.told = nic.handed;
	poll(now += 1000);
	poll(now += 1000);
	CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes), busy);
	end();
}

/* A limit that began anew in the NIC, the same as before, lets its burst out once more. */
static void
test_limit_starts_again(void)
{
	for (uint32_t starts = 0; starts < 2; starts++) {
		uint64_t now = 1000;

		begin(512);
		weir_departures_set_limit(&departures, 1000000, 4000, 0, HZ);
		poll(now);
		for (uint32_t burst = 0; burst < 2; burst++) {
			for (uint32_t i = 0; i < 4; i++)
				hand_over(0, 1000, now);
			nic.left = nic.told = nic.handed;
			poll(now += 1000);
			poll(now += 1000);
			if (starts == 1)
				weir_departures_start_limit(&departures);
		}
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes) > 3900, starts == 0);
		CU_ASSERT_EQUAL(atomic_load(&departures.excess_bytes) == 0, starts == 1);
		/* From there on it is judged again. */
		for (uint32_t i = 0; i < 8; i++)
			hand_over(0, 1000, now);
		nic.left = nic.told = nic.handed;
		poll(now += 1000);
		poll(now += 1000);
		CU_ASSERT(atomic_load(&departures.excess_bytes) > 3900);
		end();
	}
}

/* Periods in which no more than a burst leaves tell nothing of the rate, and are not counted. */
static void
test_short_periods_are_not_measured(void)
{
	uint64_t now = 1000;

	begin(64);
	weir_departures_set_limit(&departures, 10000000, 20000, 0, HZ);
	for (uint32_t period = 0; period < 100; period++) {
		for (uint32_t i = 0; i < 14; i++)
			hand_over(0, 1500, now);
		for (uint32_t i = 0; i < 14; i++) {
			nic.left++;
			nic.told = nic.left;
			poll(now += 1000);
		}
		now += HZ / 10;
	}
	CU_ASSERT_EQUAL(atomic_load(&departures.busy_bytes), 0);
	CU_ASSERT_EQUAL(atomic_load(&departures.busy_tsc), 0);
	/* Of a longer one, what comes behind the burst, while frames still wait. */
	for (uint32_t i = 0; i < 20; i++)
		hand_over(0, 1500, now);
	for (uint32_t i = 0; i < 20; i++) {
		nic.left++;
		nic.told = nic.left;
		poll(now += 1000);
	}
	CU_ASSERT_EQUAL(atomic_load(&departures.busy_bytes), 5 * 1500);
	CU_ASSERT_EQUAL(atomic_load(&departures.busy_tsc), 5 * 1000);
	CU_ASSERT_EQUAL(atomic_load(&departures.done_tsc), now);
	end();
}

static const struct weir_test tests[] = {
    {"told once, and never early", test_told_once_and_never_early},
    {"few questions", test_few_questions},
    {"a restart drops what waits", test_drop},
    {"an honest limiter is not accused", test_honest_limiter_is_not_accused},
    {"a cheat is found out", test_cheat_is_found_out},
    {"excess is exact", test_excess_is_exact},
    {"the limit or the clock changes", test_limit_and_clock_change},
    {"a limit that began anew in the NIC", test_limit_starts_again},
    {"short periods are not measured", test_short_periods_are_not_measured},
};

int
main(void)
{
	return weir_test_run("departures", tests, WEIR_TEST_COUNT(tests));
}
