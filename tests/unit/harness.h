/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every unit test program shares: a table of tests run by CUnit, and seeded randomness.
 *
 *	static const struct weir_test tests[] = {
 *		{"empty bucket gives nothing", test_empty},
 *	};
 *
 *	int
 *	main(void)
 *	{
 *		return weir_test_run("bucket", tests, WEIR_TEST_COUNT(tests));
 *	}
 *
 * The program exits with 0 only if at least one assertion was made and none failed, and a test
 * without an assertion fails too: a test that can't fail is none. A property test takes its seed
 * from the environment (WEIR_SEED=number) or makes one; the seed is printed either way.
 */
#ifndef WEIR_TESTS_UNIT_HARNESS_H
#define WEIR_TESTS_UNIT_HARNESS_H

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WEIR_TEST_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Failures of one test that are printed; the rest are only counted. */
#define WEIR_TEST_FAILURES_SHOWN 20U

/*
 * How many seeded histories a test runs: sanitizers make them several times slower, and look for
 * other things in them than what few more would show.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WEIR_TEST_SANITIZED)
#define WEIR_TEST_HISTORIES(n) (((n) + 4U) / 5U)
#else
#define WEIR_TEST_HISTORIES(n) (n)
#endif

struct weir_test {
	const char *name;
	void (*function)(void);
};

/*
 * The seed of this process: WEIR_SEED (decimal, or hexadecimal with 0x), or one from the clock.
 * Printed at the first call, so that a failure can be run again. Same value at every call.
 */
static inline uint64_t
weir_test_seed(void)
{
	static bool known;
	static uint64_t seed;
	const char *text = getenv("WEIR_SEED");

	if (known)
		return seed;
	if (text != NULL && *text != '\0') {
		char *end;

		errno = 0;
		seed = strtoull(text, &end, 0);
		if (errno != 0 || *end != '\0') {
			fprintf(stderr, "WEIR_SEED=%s: expected a number\n", text);
			exit(2);
		}
	} else {
		struct timespec now;

		timespec_get(&now, TIME_UTC);
		seed = (uint64_t)now.tv_sec * UINT64_C(1000000007) ^ (uint64_t)now.tv_nsec;
	}
	known = true;
	printf("seed: WEIR_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

/* How many seeded histories to run: what an environment variable says (decimal), or the usual. */
static inline uint64_t
weir_test_runs(const char *variable, uint64_t usual)
{
	const char *text = getenv(variable);
	uint64_t runs;
	char *end;

	if (text == NULL || *text == '\0')
		return usual;
	errno = 0;
	runs = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || runs == 0) {
		fprintf(stderr, "%s=%s: expected a number of histories\n", variable, text);
		exit(2);
	}
	return runs;
}

/* xoshiro256** (Blackman and Vigna), its state filled by splitmix64. */
struct weir_random {
	uint64_t state[4];
};

static inline uint64_t
weir_random_splitmix(uint64_t *state)
{
	uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));

	mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ (mixed >> 31);
}

/* A generator from a seed: weir_test_seed(), or that plus a number of one's own. */
static inline struct weir_random
weir_random_make(uint64_t seed)
{
	struct weir_random random;

	for (unsigned int i = 0; i < 4; i++)
		random.state[i] = weir_random_splitmix(&seed);
	return random;
}

static inline uint64_t
weir_random_rotate(uint64_t value, unsigned int bits)
{
	return (value << bits) | (value >> (64 - bits));
}

/* 64 random bits. */
static inline uint64_t
weir_random_next(struct weir_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = weir_random_rotate(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = weir_random_rotate(s[3], 45);
	return result;
}

/* A number in 0 .. bound - 1, without bias; bound 0 gives 0. */
static inline uint64_t
weir_random_below(struct weir_random *random, uint64_t bound)
{
	uint64_t threshold, value;

	if (bound == 0)
		return 0;
	threshold = (0 - bound) % bound;
	do
		value = weir_random_next(random);
	while (value < threshold);
	return value % bound;
}

/* A number in low .. high, both included. A range without numbers ends the test, always. */
static inline uint64_t
weir_random_between(struct weir_random *random, uint64_t low, uint64_t high)
{
	if (low > high)
		abort();
	return high - low == UINT64_MAX ? weir_random_next(random)
	                                : low + weir_random_below(random, high - low + 1);
}

/* True in one of n cases, on average. */
static inline bool
weir_random_one_in(struct weir_random *random, uint64_t n)
{
	return weir_random_below(random, n) == 0;
}

/* Fills size bytes. */
static inline void
weir_random_fill(struct weir_random *random, void *data, size_t size)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(weir_random_next(random) >> 56);
}

static inline void
weir_test_print_failures(CU_pFailureRecord failure)
{
	unsigned int shown = 0;

	for (; failure != NULL; failure = failure->pNext) {
		if (shown++ == WEIR_TEST_FAILURES_SHOWN) {
			printf("    (more failures not shown)\n");
			break;
		}
		printf("    %s:%u: %s\n", failure->strFileName != NULL ? failure->strFileName : "?",
		       failure->uiLineNumber,
		       failure->strCondition != NULL ? failure->strCondition : "?");
	}
}

/* Runs one registered test and prints its line. Returns true when it passed. */
static inline bool
weir_test_run_one(CU_pSuite suite, CU_pTest test)
{
	unsigned int asserts;
	bool passed;

	/* CUnit clears its counts and failures at each run. */
	if (CU_run_test(suite, test) != CUE_SUCCESS) {
		printf("FAIL %s: CUnit: %s\n", test->pName, CU_get_error_msg());
		return false;
	}
	asserts = CU_get_number_of_asserts();
	passed = CU_get_number_of_failures() == 0 && asserts > 0;
	printf("%s %s\n", passed ? "ok  " : "FAIL", test->pName);
	if (asserts == 0)
		printf("    made no assertion\n");
	weir_test_print_failures(CU_get_failure_list());
	fflush(stdout);
	return passed;
}

/*
 * Runs count tests and prints a line each, and last "CUnit: N passed, N failed".
 * Returns the exit status for main: 0 only when something ran and nothing failed.
 */
static inline int
weir_test_run(const char *suite_name, const struct weir_test *tests, size_t count)
{
	unsigned int passed = 0, failed = 0;
	CU_pSuite suite;

	if (CU_initialize_registry() != CUE_SUCCESS ||
	    (suite = CU_add_suite(suite_name, NULL, NULL)) == NULL) {
		fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		CU_pTest test = CU_add_test(suite, tests[i].name, tests[i].function);

		if (test == NULL) {
			printf("FAIL %s: CUnit: %s\n", tests[i].name, CU_get_error_msg());
			failed++;
			continue;
		}
		if (weir_test_run_one(suite, test))
			passed++;
		else
			failed++;
	}
	CU_cleanup_registry();
	printf("CUnit: %u passed, %u failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}

#endif
