/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/quantity.h"
#include "tests/unit/harness.h"

#include <string.h>

typedef int parse_fn(const char *text, uint64_t *value, const char **expected);
typedef const char *print_fn(uint64_t value, char text[WEIR_QUANTITY_SIZE]);

struct good {
	const char *text;
	uint64_t value;
	const char *printed; /* NULL: as text */
};

struct bad {
	const char *text;
	int rc;
	const char *part; /* of what was expected */
};

static void
check_good(parse_fn *parse, print_fn *print, const struct good *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *wanted = cases[i].printed != NULL ? cases[i].printed : cases[i].text;
		const char *expected = NULL;
		char text[WEIR_QUANTITY_SIZE];
		uint64_t value = 12345;

		CU_ASSERT_EQUAL(parse(cases[i].text, &value, &expected), 0);
		CU_ASSERT_EQUAL(value, cases[i].value);
		CU_ASSERT_STRING_EQUAL(print(cases[i].value, text), wanted);
		if (value != cases[i].value || strcmp(text, wanted) != 0)
			printf("    %s: %" PRIu64 ", printed %s\n", cases[i].text, value, text);
	}
}

static void
check_bad(parse_fn *parse, const struct bad *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *expected = NULL;
		uint64_t value = 12345;
		int rc = parse(cases[i].text, &value, &expected);

		CU_ASSERT_EQUAL(rc, cases[i].rc);
		CU_ASSERT_EQUAL(value, 12345);
		CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
		CU_ASSERT_PTR_NOT_NULL(strstr(expected, cases[i].part));
		if (rc != cases[i].rc || strstr(expected, cases[i].part) == NULL)
			printf("    %s: %d, expected %s\n", cases[i].text, rc, expected);
	}
}

static void
test_bytes(void)
{
	static const struct good cases[] = {
	    {"0 B", 0, NULL},
	    {"1 B", 1, NULL},
	    {"999 B", 999, NULL},
	    {"1 kB", 1000, NULL},
	    {"64 KB", 64000, "64 kB"},
	    {"64KB", 64000, "64 kB"},
	    {"2.36 GB", UINT64_C(2360000000), NULL},
	    {"2.360000000000000000000000000000 GB", UINT64_C(2360000000), "2.36 GB"},
	    {"106 GB", UINT64_C(106000000000), NULL},
	    {"3.4 TB", UINT64_C(3400000000000), NULL},
	    {"0.5 kB", 500, "500 B"},
	    {"0.000000001 GB", 1, "1 B"},
	    {"1.5 KiB", 1536, "1.536 kB"},
	    {"512 MiB", UINT64_C(536870912), NULL},
	    {"1 GiB", UINT64_C(1073741824), NULL},
	    {"1048577 B", 1048577, "1048.577 kB"},
	    {"8 EB", UINT64_C(8000000000000000000), NULL},
	    {"15 EiB", UINT64_C(15) << 60, NULL},
	    {"18446744073709551615 B", UINT64_MAX, "18446744073709551.615 kB"},
	    {"18.446744073709551615 EB", UINT64_MAX, "18446744073709551.615 kB"},
	};

	check_good(weir_quantity_parse_bytes, weir_quantity_print_bytes, cases,
	           WEIR_TEST_COUNT(cases));
}

static void
test_bad_bytes(void)
{
	static const struct bad cases[] = {
	    {"", -EINVAL, "a size"},
	    {" 1 B", -EINVAL, "a size"},
	    {"1 B ", -EINVAL, "units are"},
	    {"1  B", -EINVAL, "units are"},
	    {"B", -EINVAL, "a size"},
	    {"-1 B", -EINVAL, "a size"},
	    {"+1 B", -EINVAL, "a size"},
	    {"01 B", -EINVAL, "a size"},
	    {".5 kB", -EINVAL, "a size"},
	    {"5. kB", -EINVAL, "a size"},
	    {"1.2.3 kB", -EINVAL, "a size"},
	    {"1 2 kB", -EINVAL, "a size"},
	    {"0x10 B", -EINVAL, "units are"},
	    {"1e3 B", -EINVAL, "units are"},
	    {"1,5 GB", -EINVAL, "units are"},
	    {"10", -EINVAL, "with a unit"},
	    {"10 ", -EINVAL, "units are"},
	    {"0", -EINVAL, "with a unit"},
	    {"16K", -EINVAL, "ambiguous"},
	    {"16 M", -EINVAL, "ambiguous"},
	    {"200 Mb", -EINVAL, "ambiguous"},
	    {"200 mB", -EINVAL, "ambiguous"},
	    {"10 Gi", -EINVAL, "ambiguous"},
	    {"5 GB/s", -EINVAL, "units are"},
	    {"5 Mbit", -EINVAL, "units are"},
	    {"5 byte", -EINVAL, "units are"},
	    {"5 gib", -EINVAL, "units are"},
	    {"0.5 B", -EINVAL, "whole number of bytes"},
	    {"1.0005 kB", -EINVAL, "whole number of bytes"},
	    {"0.3 KiB", -EINVAL, "whole number of bytes"},
	    {"0.123456789012345678901 EB", -EINVAL, "whole number of bytes"},
	    /* 2^128 + 5: must not wrap. */
	    {"340282366920938463463374607431768211461 B", -ERANGE, "less than"},
	    {"16 EiB", -ERANGE, "less than"},
	    {"18446744073709551616 B", -ERANGE, "less than"},
	    {"18.446744073709551616 EB", -ERANGE, "less than"},
	    {"99999999999999999999 EiB", -ERANGE, "less than"},
	    {"999999999999999999999999999999999999999999999 B", -ERANGE, "less than"},
	};

	check_bad(weir_quantity_parse_bytes, cases, WEIR_TEST_COUNT(cases));
}

static void
test_rate(void)
{
	static const struct good cases[] = {
	    {"1 bit/s", 1, NULL},
	    {"54 kbit/s", 54000, NULL},
	    {"200 Mbit/s", 200000000, NULL},
	    {"2.5 Gbit/s", UINT64_C(2500000000), NULL},
	    {"1 Tbit/s", UINT64_C(1000000000000), NULL},
	    {"1234567891 bit/s", UINT64_C(1234567891), "1234567.891 kbit/s"},
	    {"0.001 kbit/s", 1, "1 bit/s"},
	};
	static const struct bad wrong[] = {
	    {"200", -EINVAL, "with a unit"},
	    {"200 Mb", -EINVAL, "ambiguous"},
	    {"200 Mbps", -EINVAL, "ambiguous"},
	    {"200 Mb/s", -EINVAL, "ambiguous"},
	    {"5 GB/s", -EINVAL, "not in bits"},
	    {"5 MB", -EINVAL, "not in bits"},
	    {"5 Mbit", -EINVAL, "ambiguous"},
	    {"5 Mbit/min", -EINVAL, "units are"},
	    {"5 Mibit/s", -EINVAL, "units are"},
	    {"fast", -EINVAL, "a rate"},
	    {"0.1 bit/s", -EINVAL, "whole number of bits"},
	    {"18446745 Tbit/s", -ERANGE, "less than"},
	};

	check_good(weir_quantity_parse_rate, weir_quantity_print_rate, cases,
	           WEIR_TEST_COUNT(cases));
	check_bad(weir_quantity_parse_rate, wrong, WEIR_TEST_COUNT(wrong));
}

static void
test_duration(void)
{
	static const struct good cases[] = {
	    {"0 s", 0, NULL},
	    {"1 ns", 1, NULL},
	    {"100 ms", UINT64_C(100000000), NULL},
	    {"2 s", UINT64_C(2000000000), NULL},
	    {"1.5 s", UINT64_C(1500000000), "1500 ms"},
	    {"90 s", UINT64_C(90000000000), NULL},
	    {"120 s", UINT64_C(120000000000), "2 min"},
	    {"24 h", UINT64_C(86400000000000), "1 d"},
	    {"90 d", UINT64_C(7776000000000000), NULL},
	    {"36500 d", UINT64_C(3153600000000000000), NULL},
	    {"1 us", 1000, NULL},
	};
	static const struct bad wrong[] = {
	    {"1 m", -EINVAL, "ambiguous"},
	    {"1 M", -EINVAL, "ambiguous"},
	    {"1 month", -EINVAL, "ambiguous"},
	    {"1 y", -EINVAL, "ambiguous"},
	    {"1 D", -EINVAL, "ambiguous"},
	    {"86400", -EINVAL, "with a unit"},
	    {"1 fortnight", -EINVAL, "units are"},
	    {"1 day", -EINVAL, "units are"},
	    {"1h30min", -EINVAL, "units are"},
	    {"0.1 ns", -EINVAL, "whole number of nanoseconds"},
	    {"213504 d", -ERANGE, "less than"},
	};

	check_good(weir_quantity_parse_duration, weir_quantity_print_duration, cases,
	           WEIR_TEST_COUNT(cases));
	check_bad(weir_quantity_parse_duration, wrong, WEIR_TEST_COUNT(wrong));
}

static void
test_integer(void)
{
	static const struct bad wrong[] = {
	    {"", -EINVAL, "decimal digits"},
	    {"-1", -EINVAL, "decimal digits"},
	    {"+1", -EINVAL, "decimal digits"},
	    {"01", -EINVAL, "decimal digits"},
	    {"1.0", -EINVAL, "decimal digits"},
	    {"1 ", -EINVAL, "decimal digits"},
	    {"0x1", -EINVAL, "decimal digits"},
	    {"1e2", -EINVAL, "decimal digits"},
	    {"many", -EINVAL, "decimal digits"},
	    {"18446744073709551616", -ERANGE, "less"},
	    {"99999999999999999999999", -ERANGE, "less"},
	};
	const char *expected = NULL;
	uint64_t value = 1;

	CU_ASSERT_EQUAL(weir_quantity_parse_integer("0", &value, &expected), 0);
	CU_ASSERT_EQUAL(value, 0);
	CU_ASSERT_EQUAL(weir_quantity_parse_integer("18446744073709551615", &value, &expected), 0);
	CU_ASSERT_EQUAL(value, UINT64_MAX);
	check_bad(weir_quantity_parse_integer, wrong, WEIR_TEST_COUNT(wrong));
}

static void
test_factor(void)
{
	static const char *const good[] = {
	    "1", "16", "2.5", "1.1", "0.1", "123456.789012345", "999999.999999999"};
	static const char *const bad[] = {"",
	                                  "x",
	                                  "16x",
	                                  "-1",
	                                  "1e3",
	                                  "inf",
	                                  "nan",
	                                  "0x10",
	                                  "1.",
	                                  "1.23456789012345678",
	                                  "1234567890123456"};
	char text[WEIR_QUANTITY_SIZE];
	const char *expected = NULL;
	double value = 0;

	for (size_t i = 0; i < WEIR_TEST_COUNT(good); i++) {
		CU_ASSERT_EQUAL(weir_quantity_parse_factor(good[i], &value, &expected), 0);
		CU_ASSERT_DOUBLE_EQUAL(value, strtod(good[i], NULL), 0.0);
		CU_ASSERT_STRING_EQUAL(weir_quantity_print_factor(value, text), good[i]);
	}
	for (size_t i = 0; i < WEIR_TEST_COUNT(bad); i++) {
		expected = NULL;
		CU_ASSERT_NOT_EQUAL(weir_quantity_parse_factor(bad[i], &value, &expected), 0);
		CU_ASSERT_PTR_NOT_NULL(expected);
	}
}

/* A number of random length, often with zeros at its end, as people's numbers have. */
static uint64_t
random_value(struct weir_random *random)
{
	uint64_t value = weir_random_next(random) >> weir_random_below(random, 64);
	uint64_t zeros = weir_random_below(random, 12);

	while (zeros-- > 0 && value < UINT64_MAX / 10)
		value *= 10;
	return weir_random_one_in(random, 4) ? value << weir_random_below(random, 20) : value;
}

/* What is printed parses to the same number, whatever the number is. */
static void
test_round_trip(void)
{
	static const struct {
		parse_fn *parse;
		print_fn *print;
	} kinds[] = {
	    {weir_quantity_parse_bytes, weir_quantity_print_bytes},
	    {weir_quantity_parse_rate, weir_quantity_print_rate},
	    {weir_quantity_parse_duration, weir_quantity_print_duration},
	};
	struct weir_random random = weir_random_make(weir_test_seed());
	uint32_t wrong = 0;

	for (int i = 0; i < 100000; i++) {
		size_t kind = weir_random_below(&random, 3);
		uint64_t value = random_value(&random), parsed = ~value;
		const char *expected = NULL;
		char text[WEIR_QUANTITY_SIZE];

		kinds[kind].print(value, text);
		if (kinds[kind].parse(text, &parsed, &expected) != 0 || parsed != value) {
			printf("    %" PRIu64 " -> %s -> %" PRIu64 "\n", value, text, parsed);
			wrong++;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Random text never does more than be refused; what is accepted is digits and a known unit. */
static void
test_random_text(void)
{
	static const char alphabet[] = "0123456789.. -+eE,kKmMgGtTpPbBiIts/dhnu_x";
	struct weir_random random = weir_random_make(weir_test_seed() + 1);
	uint32_t accepted = 0, strange = 0;

	for (int i = 0; i < 200000; i++) {
		const char *expected = NULL;
		uint64_t value = 0;
		char text[12];
		size_t n = weir_random_below(&random, sizeof(text));

		for (size_t j = 0; j < n; j++)
			text[j] = alphabet[weir_random_below(&random, sizeof(alphabet) - 1)];
		text[n] = '\0';
		if (weir_quantity_parse_bytes(text, &value, &expected) == 0) {
			accepted++;
			strange += text[0] < '0' || text[0] > '9' || text[n - 1] != 'B';
		} else {
			strange += expected == NULL;
		}
	}
	CU_ASSERT_EQUAL(strange, 0);
	CU_ASSERT(accepted > 0);
}

static const struct weir_test tests[] = {
    {"sizes parse and print exactly", test_bytes},
    {"bad sizes are refused by name", test_bad_bytes},
    {"rates, good and bad", test_rate},
    {"durations, good and bad", test_duration},
    {"integers", test_integer},
    {"factors", test_factor},
    {"print and parse are inverse", test_round_trip},
    {"random text", test_random_text},
};

int
main(void)
{
	return weir_test_run("quantity", tests, WEIR_TEST_COUNT(tests));
}
