/* SPDX-License-Identifier: BSD-3-Clause */
/* When frames are due: against the rate's integral, in exact arithmetic of its own. */
#include "tests/unit/harness.h"
#include "tools/weirgen/generate.h"
#include "tools/weirgen/schedule.h"

#include <math.h>
#include <string.h>

/*
 * Bytes that steps allow until a time, as a fraction of 8e9 x 2 x T: long double has 64 bits, which
 * is more than what is asked for here.
 */
static long double
allowed_bytes(const struct weir_profile_step *steps, uint32_t n, bool repeat, uint64_t ticks)
{
	long double ns = (long double)ticks / WEIR_TICKS_PER_NS, bytes = 0, period = 0, whole = 0;

	for (uint32_t i = 0; i < n; i++) {
		period += (long double)steps[i].ns;
		whole += ((long double)steps[i].from_bit_s + (long double)steps[i].to_bit_s) / 2 *
		         (long double)steps[i].ns / 8e9L;
	}
	if (repeat && ns >= period) {
		long double turns = floorl(ns / period);

		bytes += turns * whole;
		ns -= turns * period;
	}
	for (uint32_t i = 0; i < n && ns > 0; i++) {
		long double length = (long double)steps[i].ns, t = ns < length ? ns : length;
		long double from = (long double)steps[i].from_bit_s / 8e9L;
		long double to = (long double)steps[i].to_bit_s / 8e9L;

		bytes += from * t + (to - from) * t * t / (2 * length);
		ns -= t;
	}
	return bytes;
}

static void
test_constant(void)
{
	static const uint64_t rates[] = {
	    1000, 10000000, 333333333, 1000000000, UINT64_C(400000000000), UINT64_C(1000000000000)};
	static struct weir_schedule schedule;

	for (uint32_t r = 0; r < WEIR_TEST_COUNT(rates); r++) {
		struct weir_profile_step step = {0, rates[r], rates[r]};
		weir_u128 bits = 0, due = 0;
		uint32_t early = 0, late = 0;

		weir_schedule_make(&step, 1, true, 0, &schedule);
		for (uint32_t i = 0; i < 100000; i++) {
			uint32_t wire = 84 + i % 1455;

			bits += (weir_u128)wire * 8;
			due = weir_schedule_next(&schedule, (uint64_t)wire * WEIR_WORK_PER_BYTE);
			/* Never early; and late by at most a tick and the step's rounding. */
			early += due * rates[r] < bits * WEIR_NS_PER_S * WEIR_TICKS_PER_NS;
			late += (due - 2) * rates[r] * 999999999 / 1000000000 >
			        bits * WEIR_NS_PER_S * WEIR_TICKS_PER_NS;
		}
		CU_ASSERT_EQUAL(early, 0);
		CU_ASSERT_EQUAL(late, 0);
	}
}

static void
test_steps(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static struct weir_schedule schedule;

	for (uint32_t round = 0; round < 200; round++) {
		struct weir_profile_step steps[6];
		uint32_t n = (uint32_t)weir_random_between(&random, 1, 6);
		bool repeat = weir_random_one_in(&random, 2), silent = true;
		uint32_t above = 0, back = 0;
		long double sent = 0;
		uint64_t due = 0;

		for (uint32_t i = 0; i < n; i++) {
			steps[i].ns = weir_random_between(&random, 1000, 50000000);
			steps[i].from_bit_s = weir_random_one_in(&random, 4)
			                          ? 0
			                          : weir_random_between(&random, 1000, 2000000000);
			steps[i].to_bit_s = weir_random_one_in(&random, 2)
			                        ? steps[i].from_bit_s
			                        : weir_random_between(&random, 1000, 2000000000);
			silent = silent && steps[i].from_bit_s + steps[i].to_bit_s == 0;
		}
		if (silent)
			continue;
		weir_schedule_make(steps, n, repeat, 0, &schedule);
		for (uint32_t i = 0; i < 2000; i++) {
			uint64_t wire = weir_random_between(&random, 84, 1538), before = due;
			long double allowed;

			due = weir_schedule_next(&schedule, wire * WEIR_WORK_PER_BYTE);
			if (due == WEIR_SCHEDULE_NEVER) {
				long double whole = allowed_bytes(steps, n, false, UINT64_MAX / 2);

				CU_ASSERT(!repeat && sent + (long double)wire > whole - 1);
				break;
			}
			sent += (long double)wire;
			allowed = allowed_bytes(steps, n, repeat, due);
			/* Steps let through whole units of work: 1/256 byte each is lost. */
			above += sent > allowed + 1e-6L * (1 + sent / 1e6L);
			back += due < before;
			if (i == 1999)
				CU_ASSERT(
				    allowed_bytes(steps, n, repeat, due - due / 100000 - 1024) <=
				    sent + 40 + sent / 10000);
		}
		CU_ASSERT_EQUAL(above, 0);
		CU_ASSERT_EQUAL(back, 0);
	}
}

static void
test_exponential(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);
	const double mean = 300 * WEIR_WORK_PER_BYTE;
	double sum = 0, squares = 0;
	const uint32_t n = 1000000;

	for (uint32_t i = 0; i < n; i++) {
		double work = (double)weir_schedule_exponential(weir_random_next(&random), mean);

		sum += work;
		squares += work * work;
	}
	/* Mean and variance of the law; 6 standard errors of each. */
	CU_ASSERT(fabs(sum / n / mean - 1) < 6 / sqrt(n));
	CU_ASSERT(fabs(squares / n / (2 * mean * mean) - 1) < 6 * sqrt(5) / sqrt(n));
	CU_ASSERT(weir_schedule_exponential(UINT64_MAX, mean) >= 1);
	CU_ASSERT(weir_schedule_exponential(0, mean) < 38 * (uint64_t)mean);
}

/* Takes all frames that a profile has until a time. */
static struct weir_generated_totals
run_profile(const char *text, uint64_t until_ns, uint64_t *last, uint64_t *hash)
{
	struct weir_profile *profile = NULL;
	struct weir_generator *generator;
	struct weir_generated_totals totals = {0};
	static uint8_t memory[32][WEIR_PROFILE_FRAME_MAX + WEIR_GENERATE_HEAD];
	uint8_t *frames[32];
	struct weir_taken taken[32];
	char error[512] = "";
	uint64_t due = 0;
	uint32_t n;

	if (weir_profile_parse("test", text, strlen(text), &profile, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		CU_FAIL_FATAL("profile");
	}
	generator = weir_generator_new(profile, 0, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(generator);
	for (uint32_t i = 0; i < 32; i++) {
		frames[i] = memory[i];
		memcpy(memory[i], weir_generator_filler(generator), WEIR_PROFILE_FRAME_MAX);
	}
	*hash = 0;
	while ((n = weir_generator_take(generator, until_ns * WEIR_TICKS_PER_NS, 0, frames, taken,
	                                32)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT(taken[i].due >= due);
			due = taken[i].due;
			*hash = weir_mix(*hash ^ taken[i].due ^ taken[i].bytes);
			for (uint32_t b = 0; b < taken[i].bytes && b < 128; b++)
				*hash = *hash * 31 + memory[i][b];
		}
	}
	for (uint32_t i = 0; i < profile->n_streams; i++) {
		struct weir_generated_totals one = weir_generator_totals(generator, i);

		totals.frames += one.frames;
		totals.wire_bytes += one.wire_bytes;
		totals.frame_bytes += one.frame_bytes;
	}
	*last = weir_generator_due(generator);
	weir_generator_free(generator);
	weir_profile_free(profile);
	return totals;
}

static void
test_poisson_rate(void)
{
	char text[256];
	uint64_t last, one, two, other;
	struct weir_generated_totals totals;

	snprintf(text, sizeof(text),
	         "seed: %" PRIu64 "\nstreams: [{name: p, rate: 100 Mbit/s, arrival: poisson, "
	         "size: imix}]\n",
	         weir_test_seed());
	totals = run_profile(text, 20 * WEIR_NS_PER_S, &last, &one);
	/* 750 MB; about 2e6 frames, whose sizes and gaps vary: 1 % is more than 6 standard errors.
	 */
	CU_ASSERT(totals.wire_bytes > 246250000 && totals.wire_bytes < 253750000);
	(void)run_profile(text, 20 * WEIR_NS_PER_S, &last, &two);
	CU_ASSERT_EQUAL(one, two);
	text[6] = text[6] == '1' ? '2' : '1';
	(void)run_profile(text, 20 * WEIR_NS_PER_S, &last, &other);
	CU_ASSERT_NOT_EQUAL(one, other);
}

static void
test_ends(void)
{
	uint64_t last, hash;
	struct weir_generated_totals totals;

	totals = run_profile("streams: [{name: a, rate: 8 Mbit/s, size: 976, count: 7}]\n",
	                     UINT64_C(1) << 50, &last, &hash);
	CU_ASSERT_EQUAL(totals.frames, 7);
	CU_ASSERT_EQUAL(last, WEIR_SCHEDULE_NEVER);
	/* 1,000 wire bytes a millisecond: the frame due at the very end still goes. */
	totals = run_profile("duration: 5 ms\nstreams: [{name: a, rate: 8 Mbit/s, size: 976}]\n",
	                     UINT64_C(1) << 50, &last, &hash);
	CU_ASSERT_EQUAL(totals.frames, 5);
	totals = run_profile("count: 100\nstreams:\n"
	                     "  - {name: a, rate: 8 Mbit/s, size: 976}\n"
	                     "  - {name: b, rate: 16 Mbit/s, size: 976}\n",
	                     UINT64_C(1) << 50, &last, &hash);
	CU_ASSERT_EQUAL(totals.frames, 100);
	CU_ASSERT_EQUAL(totals.wire_bytes, 100000);
	totals = run_profile("streams:\n  - name: s\n    size: 976\n    count: 40\n    sessions: "
	                     "{count: 30, frames: 2-3, gap: 1 ms, pause: 1 ms - 9 ms}\n",
	                     UINT64_C(1) << 50, &last, &hash);
	CU_ASSERT_EQUAL(totals.frames, 40);
	CU_ASSERT_EQUAL(last, WEIR_SCHEDULE_NEVER);
	/* On for 10 ms, off for 90: 10 frames in each 100 ms. */
	totals = run_profile("duration: 1 s\nstreams:\n  - name: b\n    size: 976\n    steps:\n"
	                     "      - {for: 10 ms, rate: 8 Mbit/s}\n"
	                     "      - {for: 90 ms, rate: 0 bit/s}\n",
	                     UINT64_C(1) << 50, &last, &hash);
	CU_ASSERT_EQUAL(totals.frames, 100);
}

/* Many short steps lose no more by rounding than one long step of the same rate. */
static void
test_short_steps(void)
{
	static struct weir_profile_step steps[WEIR_PROFILE_STEPS_MAX];
	static struct weir_schedule schedule;
	const uint64_t bytes = 10000000;

	/* 675.999968 units of work each; three in four of them as ramps. */
	for (uint32_t ramps = 0; ramps < 2; ramps++) {
		uint32_t early = 0;
		uint64_t due = 0;

		for (uint32_t i = 0; i < WEIR_PROFILE_STEPS_MAX; i++) {
			uint64_t slant = ramps * (i % 4) * 1000;

			steps[i] =
			    (struct weir_profile_step){7000, 3017857 - slant, 3017857 + slant};
		}
		weir_schedule_make(steps, WEIR_PROFILE_STEPS_MAX, true, 0, &schedule);
		for (uint64_t sent = 100; sent <= bytes; sent += 100) {
			due = weir_schedule_next(&schedule, 100 * WEIR_WORK_PER_BYTE);
			early += (long double)sent >
			         allowed_bytes(steps, WEIR_PROFILE_STEPS_MAX, true, due) + 1e-6L;
		}
		CU_ASSERT_EQUAL(early, 0);
		/* A unit in each turn of 84.5 bytes. */
		CU_ASSERT(allowed_bytes(steps, WEIR_PROFILE_STEPS_MAX, true, due) <
		          (long double)bytes * (1 + 1 / 21500.0L) + 1);
	}
}

static const struct weir_test tests[] = {
    {"a constant rate is never exceeded, and reached", test_constant},
    {"steps and ramps keep to their integral", test_steps},
    {"short steps lose nothing by rounding", test_short_steps},
    {"exponential gaps have their mean and variance", test_exponential},
    {"Poisson streams keep their rate and repeat by seed", test_poisson_rate},
    {"counts and durations end streams exactly", test_ends},
};

int
main(void)
{
	return weir_test_run("weirgen_schedule", tests, WEIR_TEST_COUNT(tests));
}
