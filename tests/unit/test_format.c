/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers as weirctl prints them: edges of units, rounding, the largest values, and no drift. */
#include "tests/unit/harness.h"
#include "tools/weirctl/format.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define S    UINT64_C(1000000000)
#define RUNS 200000

/* Compares, and says what came where that differs. */
static void
expect(const char *got, const char *wanted)
{
	bool same = strcmp(got, wanted) == 0;

	if (!same)
		printf("    got \"%s\", wanted \"%s\"\n", got, wanted);
	CU_ASSERT(same);
}

static void
test_bytes(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	    {0, "0 B"},
	    {1, "1 B"},
	    {84, "84 B"},
	    {999, "999 B"},
	    {1000, "1 kB"},
	    {1001, "1.001 kB"},
	    {1010, "1.01 kB"},
	    {1514, "1.514 kB"},
	    {9999, "9.999 kB"},
	    {10004, "10 kB"},
	    {10005, "10.01 kB"},
	    {12345, "12.35 kB"},
	    {12344, "12.34 kB"},
	    {999949, "999.9 kB"},
	    {999950, "1 MB"},
	    {999999, "1 MB"},
	    {1000000, "1 MB"},
	    {1000499, "1 MB"},
	    {1000500, "1.001 MB"},
	    {2360000000, "2.36 GB"},
	    {106000000000, "106 GB"},
	    {105998615800, "106 GB"},
	    {3400000000000, "3.4 TB"},
	    {1000000000000000, "1 PB"},
	    {999950000000000000, "1 EB"},
	    {INT64_MAX, "9.223 EB"},
	    {UINT64_MAX, "18.45 EB"},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++)
		expect(weir_format_bytes(cases[i].bytes).text, cases[i].text);
}

static void
test_rate(void)
{
	expect(weir_format_rate(0).text, "0 bit/s");
	expect(weir_format_rate(999).text, "999 bit/s");
	expect(weir_format_rate(8500).text, "8.5 kbit/s");
	expect(weir_format_rate(50000000).text, "50 Mbit/s");
	expect(weir_format_rate(49994999).text, "49.99 Mbit/s");
	expect(weir_format_rate(49995000).text, "50 Mbit/s");
	expect(weir_format_rate(100000000000).text, "100 Gbit/s");
	expect(weir_format_rate(UINT64_MAX).text, "18.45 Ebit/s");
}

static void
test_duration(void)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
	    {0, "0 ns"},
	    {999, "999 ns"},
	    {1000, "1 us"},
	    {250000, "250 us"},
	    {500000000, "500 ms"},
	    {999949999, "999.9 ms"},
	    {999950000, "1 s"},
	    {5204000000, "5.204 s"},
	    {59994999999, "59.99 s"},
	    {59995000000, "1 min"},
	    {60 * S, "1 min"},
	    {61 * S - 1, "1 min"},
	    {61 * S, "1 min 1 s"},
	    {3600 * S - 1, "59 min 59 s"},
	    {3600 * S, "1 h"},
	    {3725 * S, "1 h 2 min"},
	    {86400 * S - 1, "23 h 59 min"},
	    {86400 * S, "1 d"},
	    {90 * 86400 * S, "90 d"},
	    {UINT64_MAX - 1, "213503 d 23 h"},
	    {UINT64_MAX, "over 213503 d"},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++)
		expect(weir_format_duration(cases[i].ns).text, cases[i].text);
}

static void
test_percent(void)
{
	expect(weir_format_percent(0, 1000).text, "0.0 %");
	expect(weir_format_percent(1, 3).text, "33.3 %");
	expect(weir_format_percent(2, 3).text, "66.6 %");
	expect(weir_format_percent(1, 1).text, "100.0 %");
	expect(weir_format_percent(999999, 1000000).text, "99.9 %");
	expect(weir_format_percent(UINT64_MAX - 1, UINT64_MAX).text, "99.9 %");
	expect(weir_format_percent(UINT64_MAX, UINT64_MAX).text, "100.0 %");
	expect(weir_format_percent(3, 2).text, "150.0 %");
	expect(weir_format_percent(0, 0).text, "100.0 %");
	expect(weir_format_percent(UINT64_MAX, 1).text, "over 999999 %");
	expect(weir_format_percent(UINT64_MAX, 999).text, "over 999999 %");
}

static void
test_ns_from_s(void)
{
	CU_ASSERT_EQUAL(weir_format_ns_from_s(1.5), 1500000000);
	CU_ASSERT_EQUAL(weir_format_ns_from_s(0), 0);
	CU_ASSERT_EQUAL(weir_format_ns_from_s(-1), 0);
	CU_ASSERT_EQUAL(weir_format_ns_from_s((double)NAN), 0);
	CU_ASSERT_EQUAL(weir_format_ns_from_s((double)INFINITY), UINT64_MAX);
	CU_ASSERT_EQUAL(weir_format_ns_from_s(-(double)INFINITY), 0);
	CU_ASSERT_EQUAL(weir_format_ns_from_s(1e11), UINT64_MAX);
}

static void
test_parse(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
	    {"0 s", 0},           {"1 ms", 1000000},
	    {"500ms", 500000000}, {"1.5 s", 1500000000},
	    {"0.000000001s", 1},  {"0.123456789 ms", 123456},
	    {"2 min", 120 * S},   {"1 h", 3600 * S},
	    {"0.5 d", 43200 * S}, {"213503 d", S * 86400 * 213503},
	    {"007 s", 7 * S},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		uint64_t ns = 0;

		CU_ASSERT_EQUAL(weir_format_parse_duration(cases[i].text, &ns), 0);
		CU_ASSERT_EQUAL(ns, cases[i].ns);
	}
}

static void
test_parse_refused(void)
{
	static const struct {
		const char *text;
		int ret;
	} cases[] = {
	    {"", -EINVAL},
	    {"1", -EINVAL},
	    {"s", -EINVAL},
	    {" 1 s", -EINVAL},
	    {"1 s ", -EINVAL},
	    {"1  s", -EINVAL},
	    {"1\ts", -EINVAL},
	    {"-1 s", -EINVAL},
	    {"+1 s", -EINVAL},
	    {"1. s", -EINVAL},
	    {".5 s", -EINVAL},
	    {"1.0000000001 s", -EINVAL},
	    {"1.5.5 s", -EINVAL},
	    {"1e3 s", -EINVAL},
	    {"0x1 s", -EINVAL},
	    {"1 S", -EINVAL},
	    {"1 m", -EINVAL},
	    {"1 sec", -EINVAL},
	    {"1 s2", -EINVAL},
	    {"1,5 s", -EINVAL},
	    {"213504 d", -ERANGE},
	    {"18446744073709551615 s", -ERANGE},
	    {"18446744073709551616 ms", -ERANGE},
	    {"99999999999999999999999999 ms", -ERANGE},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		uint64_t ns = 42;

		CU_ASSERT_EQUAL(weir_format_parse_duration(cases[i].text, &ns), cases[i].ret);
		CU_ASSERT_EQUAL(ns, 42);
	}
}

/* What was printed, read again by other means, is within half of the last digit of four. */
static void
test_property_bytes(void)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	struct weir_random random = weir_random_make(weir_test_seed());
	bool good = true;

	for (int i = 0; i < RUNS; i++) {
		uint64_t bytes = weir_random_next(&random) >> weir_random_below(&random, 64);
		struct weir_format shown = weir_format_bytes(bytes);
		char *unit;
		double value = strtod(shown.text, &unit), scale = 1;
		size_t n = 0;

		CU_ASSERT_FATAL(*unit == ' ');
		while (n < WEIR_TEST_COUNT(units) && strcmp(unit + 1, units[n]) != 0) {
			scale *= 1000;
			n++;
		}
		good &= n < WEIR_TEST_COUNT(units);
		good &= value < 1000 && (n == 0 || value >= 1);
		good &= strlen(shown.text) <= strlen("9.999 kB");
		/* The double's own error is the 1e-12. */
		good &= fabs(value * scale - (double)bytes) <= (double)bytes * (0.0005 + 1e-12);
		if (!good) {
			printf("    %" PRIu64 " gives \"%s\"\n", bytes, shown.text);
			break;
		}
	}
	CU_ASSERT(good);
}

/* A whole number of any unit that parse reads, format prints back as the same length of time. */
static void
test_property_round_trip(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);
	bool good = true;

	for (int i = 0; i < RUNS && good; i++) {
		uint64_t ns = 0, number = weir_random_below(&random, 1000);
		const char *unit = weir_random_one_in(&random, 2) ? "d" : "ms";
		char text[32];

		snprintf(text, sizeof(text), "%" PRIu64 " %s", number, unit);
		good = weir_format_parse_duration(text, &ns) == 0;
		if (number > 0)
			good &= strcmp(weir_format_duration(ns).text, text) == 0;
		if (!good)
			printf("    %s gives \"%s\"\n", text, weir_format_duration(ns).text);
	}
	CU_ASSERT(good);
}

static const struct weir_test tests[] = {
    {"bytes", test_bytes},
    {"rate", test_rate},
    {"duration", test_duration},
    {"percent", test_percent},
    {"seconds to nanoseconds", test_ns_from_s},
    {"durations read", test_parse},
    {"durations refused", test_parse_refused},
    {"property: bytes are within half of the last digit", test_property_bytes},
    {"property: durations read and printed", test_property_round_trip},
};

int
main(void)
{
	return weir_test_run("format", tests, WEIR_TEST_COUNT(tests));
}
