/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/clock.h"

#include "drivers/units.h"
#include "tests/unit/harness.h"

#include <rte_cycles.h>

#define ROUNDS    20000U
#define SLACK_PPM 20U /* the kernel may correct its raw clock a little between two measurements */

static uint64_t
least_hz(const struct weir_clock *clock)
{
	weir_u128 scaled = (weir_u128)clock->tsc_hz * WEIR_NS_PER_S;

	return (uint64_t)(scaled / (WEIR_NS_PER_S + clock->error_ppb));
}

/* Two measurements bracket one frequency, and neither is off by more than it says. */
static void
test_brackets_agree(void)
{
	static const uint64_t spans_ms[] = {10, 25, 200};
	uint64_t lowest_upper = UINT64_MAX, highest_lower = 0;

	for (size_t i = 0; i < WEIR_TEST_COUNT(spans_ms); i++) {
		struct weir_clock clock;

		CU_ASSERT_EQUAL_FATAL(weir_clock_calibrate(spans_ms[i] * WEIR_NS_PER_MS, &clock),
		                      0);
		CU_ASSERT(clock.tsc_hz > 1000000 && clock.tsc_hz < UINT64_C(100000000000));
		CU_ASSERT(clock.error_ppb > 0);
		if (clock.tsc_hz < lowest_upper)
			lowest_upper = clock.tsc_hz;
		if (least_hz(&clock) > highest_lower)
			highest_lower = least_hz(&clock);
	}
	CU_ASSERT(highest_lower <= lowest_upper + lowest_upper / 1000000 * SLACK_PPM);
}

/* A span timed by the TSC and converted down is never longer than the clock says it was. */
static void
test_converted_span(void)
{
	struct weir_clock clock;
	struct timespec pause = {.tv_nsec = 50 * (long)WEIR_NS_PER_MS};
	uint64_t before_ns, after_ns, first_tsc, last_tsc, span_ns;

	CU_ASSERT_EQUAL_FATAL(weir_clock_calibrate(200 * WEIR_NS_PER_MS, &clock), 0);
	before_ns = weir_clock_raw_ns();
	first_tsc = rte_rdtsc_precise();
	nanosleep(&pause, NULL);
	last_tsc = rte_rdtsc_precise();
	after_ns = weir_clock_raw_ns();
	span_ns = weir_clock_ns_from_tsc(&clock, last_tsc - first_tsc);
	CU_ASSERT(span_ns <=
	          after_ns - before_ns + 1 + (after_ns - before_ns) / 1000000 * SLACK_PPM);
	CU_ASSERT(span_ns >= 49 * WEIR_NS_PER_MS);
}

static uint64_t
best_error(uint64_t span_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		struct weir_clock clock;

		CU_ASSERT_EQUAL_FATAL(weir_clock_calibrate(span_ns, &clock), 0);
		if (clock.error_ppb < best)
			best = clock.error_ppb;
	}
	return best;
}

static void
test_longer_is_better(void)
{
	CU_ASSERT(best_error(400 * WEIR_NS_PER_MS) < best_error(10 * WEIR_NS_PER_MS));
}

static void
test_span_out_of_range(void)
{
	struct weir_clock clock = {.tsc_hz = 1, .error_ppb = 2};

	CU_ASSERT_EQUAL(weir_clock_calibrate(0, &clock), -EINVAL);
	CU_ASSERT_EQUAL(weir_clock_calibrate(10 * WEIR_NS_PER_MS - 1, &clock), -EINVAL);
	CU_ASSERT_EQUAL(weir_clock_calibrate(10 * WEIR_NS_PER_S + 1, &clock), -EINVAL);
	CU_ASSERT_EQUAL(weir_clock_calibrate(UINT64_MAX, &clock), -EINVAL);
	CU_ASSERT_EQUAL(clock.tsc_hz, 1);
	CU_ASSERT_EQUAL(clock.error_ppb, 2);
}

/* Numbers of every magnitude, not only huge ones. */
static uint64_t
any_magnitude(struct weir_random *random)
{
	return weir_random_next(random) >> weir_random_below(random, 64);
}

static void
check_rounding(const struct weir_clock *clock, uint64_t value)
{
	weir_u128 product = (weir_u128)value * clock->tsc_hz;
	uint64_t ticks = weir_clock_tsc_from_ns(clock, value);
	uint64_t ns = weir_clock_ns_from_tsc(clock, value);

	/* Enough ticks, and not one more than needed. */
	if (ticks != UINT64_MAX)
		CU_ASSERT((weir_u128)ticks * WEIR_NS_PER_S >= product);
	if (ticks > 0)
		CU_ASSERT((weir_u128)(ticks - 1) * WEIR_NS_PER_S < product);
	/* At most the time that has passed, and not a nanosecond less than that. */
	product = (weir_u128)value * WEIR_NS_PER_S;
	CU_ASSERT((weir_u128)ns * clock->tsc_hz <= product);
	if (ns != UINT64_MAX)
		CU_ASSERT((weir_u128)(ns + 1) * clock->tsc_hz > product);
	/* There and back never gains time. */
	if (ticks != UINT64_MAX)
		CU_ASSERT(weir_clock_ns_from_tsc(clock, ticks) >= value);
	if (ns != UINT64_MAX)
		CU_ASSERT(weir_clock_tsc_from_ns(clock, ns) <= value);
}

static void
test_conversions_round(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct weir_clock clock = {
		    .tsc_hz = weir_random_between(&random, 1, UINT64_C(100000000000)),
		};

		check_rounding(&clock, any_magnitude(&random));
	}
}

static void
test_conversions_saturate(void)
{
	struct weir_clock fast = {.tsc_hz = 2 * WEIR_NS_PER_S};
	struct weir_clock slow = {.tsc_hz = WEIR_NS_PER_S / 2};
	struct weir_clock equal = {.tsc_hz = WEIR_NS_PER_S};

	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&fast, UINT64_MAX), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&fast, UINT64_MAX / 2), UINT64_MAX - 1);
	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&fast, UINT64_MAX / 2 + 1), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_clock_ns_from_tsc(&slow, UINT64_MAX), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_clock_ns_from_tsc(&slow, UINT64_MAX / 2), UINT64_MAX - 1);
	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&equal, UINT64_MAX), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_clock_ns_from_tsc(&equal, UINT64_MAX), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&fast, 0), 0);
	CU_ASSERT_EQUAL(weir_clock_ns_from_tsc(&fast, 0), 0);
	CU_ASSERT_EQUAL(weir_clock_tsc_from_ns(&slow, 1), 1);
	CU_ASSERT_EQUAL(weir_clock_ns_from_tsc(&fast, 1), 0);
}

static void
test_clocks_advance(void)
{
	struct timespec pause = {.tv_nsec = 5 * (long)WEIR_NS_PER_MS};
	uint64_t boot_ns = weir_clock_boot_ns(), raw_ns = weir_clock_raw_ns();

	nanosleep(&pause, NULL);
	CU_ASSERT(weir_clock_boot_ns() - boot_ns >= 4 * WEIR_NS_PER_MS);
	CU_ASSERT(weir_clock_raw_ns() - raw_ns >= 4 * WEIR_NS_PER_MS);
	CU_ASSERT(weir_clock_boot_ns() - boot_ns < 600 * WEIR_NS_PER_S);
}

/*
 * Whatever two readings say, the frequency is not below the highest that they allow, nor a whole
 * hertz above it, and the true one is no further below than the error says.
 */
static void
check_bound(const struct weir_clock_reading *first, const struct weir_clock_reading *last)
{
	weir_u128 most = (weir_u128)(last->after_tsc - first->before_tsc) * WEIR_NS_PER_S;
	weir_u128 least = (weir_u128)(last->before_tsc - first->after_tsc) * WEIR_NS_PER_S;
	uint64_t span_ns = last->raw_ns - first->raw_ns;
	struct weir_clock clock;

	CU_ASSERT_EQUAL_FATAL(weir_clock_compute(first, last, &clock), 0);
	CU_ASSERT((weir_u128)clock.tsc_hz * (span_ns - 1) >= most);
	CU_ASSERT((weir_u128)(clock.tsc_hz - 1) * (span_ns - 1) < most);
	CU_ASSERT((weir_u128)clock.tsc_hz * WEIR_NS_PER_S <=
	          least / (span_ns + 1) * (WEIR_NS_PER_S + clock.error_ppb));
}

static void
test_bound_is_upper(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct weir_clock_reading first, last;

		first.before_tsc = weir_random_below(&random, UINT64_C(1) << 60);
		first.after_tsc = first.before_tsc + weir_random_between(&random, 1, 5000);
		first.raw_ns = weir_random_below(&random, UINT64_C(1) << 60);
		last.before_tsc =
		    first.after_tsc + weir_random_between(&random, 10000000, UINT64_C(40000000000));
		last.after_tsc = last.before_tsc + weir_random_between(&random, 1, 5000);
		last.raw_ns =
		    first.raw_ns + weir_random_between(&random, 10000000, UINT64_C(10000000000));
		check_bound(&first, &last);
	}
}

static void
test_readings_that_bound_nothing(void)
{
	struct weir_clock_reading first = {.before_tsc = 100, .raw_ns = 50, .after_tsc = 200};
	struct weir_clock_reading last = {.before_tsc = 300, .raw_ns = 52, .after_tsc = 400};
	struct weir_clock clock;

	CU_ASSERT_EQUAL(weir_clock_compute(&first, &last, &clock), 0);
	last.raw_ns = 51;
	CU_ASSERT_EQUAL(weir_clock_compute(&first, &last, &clock), -ENOTSUP);
	last.raw_ns = 49;
	CU_ASSERT_EQUAL(weir_clock_compute(&first, &last, &clock), -ENOTSUP);
	last.raw_ns = 60;
	last.before_tsc = 200;
	CU_ASSERT_EQUAL(weir_clock_compute(&first, &last, &clock), -ENOTSUP);
}

static const struct weir_test tests[] = {
    {"the frequency is an upper bound, to the hertz", test_bound_is_upper},
    {"readings that bound nothing are refused", test_readings_that_bound_nothing},
    {"measurements of one TSC agree within their errors", test_brackets_agree},
    {"a span converted from ticks is not too long", test_converted_span},
    {"a longer calibration is more exact", test_longer_is_better},
    {"a span out of range is refused", test_span_out_of_range},
    {"conversions round to the safe side, by less than one", test_conversions_round},
    {"conversions saturate", test_conversions_saturate},
    {"clocks advance", test_clocks_advance},
};

int
main(void)
{
	return weir_test_run("clock", tests, WEIR_TEST_COUNT(tests));
}
