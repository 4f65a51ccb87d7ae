/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole of Weir in simulated time, one history for each seed:
 *
 *   WEIR_SEED       first seed; the others follow it
 *   WEIR_SIM_RUNS   how many; with 1 the digest of the history is printed
 *
 * A history that breaks something prints how to run it again.
 */
#include "tests/sim/system_sim.h"

#include <malloc.h>
#include <string.h>

#define RUNS          2000U
#define RUNS_FOR_ALL  1500U /* in so many histories nearly everything happens, */
#define TIMES_FOR_ALL 10U   /* and all in so many times as many, at the latest */
#define RUNS_TWICE    40U
#define BROKEN_SHOWN  10U
#define LONG_SEED     20240229U
#define LONG_CALLS    1000U
#define LONG_TRIES    200U

static struct weir_sim_ports ports;
static struct weir_sim_counts counts;

static uint64_t
runs_wanted(void)
{
	return weir_test_runs("WEIR_SIM_RUNS", RUNS);
}

static void
print_counts(void)
{
	for (uint32_t i = 0; i < WEIR_SIM_EVENTS; i++)
		printf("    %12" PRIu64 " %s\n", counts.events[i], weir_sim_event_name(i));
	for (uint32_t i = 0; i < WEIR_SIM_CHANGES; i++)
		printf("    %12" PRIu64 " %s\n", counts.changes[i], weir_sim_change_name(i));
	for (uint32_t i = WEIR_FAULT_NONE + 1; i < WEIR_FAULTS; i++)
		printf("    %12" PRIu64 " disk: %s\n", counts.faults[i], weir_disk_fault_name(i));
	for (uint32_t i = 0; i < WEIR_REFUSALS; i++)
		if (counts.refusals[i] > 0)
			printf("    %12" PRIu64 " refused as %s\n", counts.refusals[i],
			       weir_ledger_refusal_name(i));
}

/* How much has not happened yet of all that can. tell: what it is. */
static uint32_t
count_missing(bool tell)
{
	static const enum weir_ledger_refusal refusals[] = {
	    WEIR_REFUSAL_UNREADABLE,    WEIR_REFUSAL_TORN,        WEIR_REFUSAL_LOST,
	    WEIR_REFUSAL_CONTRADICTION, WEIR_REFUSAL_ROLLED_BACK, WEIR_REFUSAL_WITNESS_BEHIND,
	};
	uint32_t missing = 0;

#define MISSING(count, name)                                                                       \
	do {                                                                                       \
		missing += (count) == 0;                                                           \
		if (tell && (count) == 0)                                                          \
			printf("    never: %s\n", (name));                                         \
	} while (0)
	for (uint32_t i = 0; i < WEIR_SIM_EVENTS; i++)
		MISSING(counts.events[i], weir_sim_event_name(i));
	for (uint32_t i = 0; i < WEIR_SIM_CHANGES; i++)
		MISSING(counts.changes[i], weir_sim_change_name(i));
	for (uint32_t i = WEIR_FAULT_ERROR; i < WEIR_FAULTS; i++)
		MISSING(counts.faults[i], weir_disk_fault_name(i));
	for (uint32_t i = 0; i < WEIR_TEST_COUNT(refusals); i++)
		MISSING(counts.refusals[refusals[i]], weir_ledger_refusal_name(refusals[i]));
#undef MISSING
	return missing;
}

static void
test_histories(void)
{
	uint64_t first = weir_test_seed(), runs = runs_wanted(), broken = 0, digest = 0;
	char error[512];

	memset(&counts, 0, sizeof(counts));
	/* A long run goes on until the simulation has shown that it is not blind to anything. */
	for (uint64_t i = 0; i < runs || (runs >= RUNS_FOR_ALL && i < TIMES_FOR_ALL * runs &&
	                                  count_missing(false) > 0);
	     i++) {
		digest = weir_system_run(&ports, &counts, first + i, error, sizeof(error));
		CU_ASSERT(error[0] == '\0');
		if (error[0] == '\0')
			continue;
		if (broken++ < BROKEN_SHOWN)
			printf("    WEIR_SEED=%" PRIu64 " WEIR_SIM_RUNS=1: %s\n", first + i, error);
		fflush(stdout);
	}
	print_counts();
	if (runs == 1)
		printf("    digest %016" PRIx64 "\n", digest);
	if (runs >= RUNS_FOR_ALL)
		CU_ASSERT_EQUAL(count_missing(true), 0);
}

static void
test_same_seed_same_history(void)
{
	uint64_t first = weir_test_seed(), runs = runs_wanted(), last = 0;
	char error[512];

	for (uint64_t i = 0; i < RUNS_TWICE && i < runs; i++) {
		uint64_t once = weir_system_run(&ports, &counts, first + i, error, sizeof(error));

		CU_ASSERT_EQUAL(weir_system_run(&ports, &counts, first + i, error, sizeof(error)),
		                once);
		CU_ASSERT_NOT_EQUAL(once, last); /* another seed is another history */
		last = once;
	}
}

/* The first seed whose workload is long enough. */
static uint64_t
find_long(uint64_t *calls)
{
	char error[512];

	for (uint64_t seed = LONG_SEED; seed < LONG_SEED + LONG_TRIES; seed++) {
		*calls = weir_system_run_cut(&ports, &counts, seed, 0, error, sizeof(error));
		CU_ASSERT(error[0] == '\0');
		if (error[0] != '\0')
			printf("    long seed %" PRIu64 ": %s\n", seed, error);
		if (*calls > LONG_CALLS)
			return seed;
	}
	CU_FAIL_FATAL("no workload is long enough");
	return 0;
}

static void
test_power_cut_at_every_call(void)
{
	uint64_t calls, seed, broken = 0;
	/* A short run takes every so many calls only, and another seed others. */
	uint64_t stride = runs_wanted() < RUNS ? RUNS / runs_wanted() : 1;
	char error[512];

	seed = find_long(&calls);
	for (uint64_t call = 1 + weir_test_seed() % stride; call <= calls; call += stride) {
		(void)weir_system_run_cut(&ports, &counts, seed, call, error, sizeof(error));
		CU_ASSERT(error[0] == '\0');
		if (error[0] != '\0' && broken++ < BROKEN_SHOWN)
			printf("    call %" PRIu64 ": %s\n", call, error);
	}
	printf("    %" PRIu64 " calls\n", calls);
}

static const struct weir_test tests[] = {
    {"histories", test_histories},
    {"the same seed gives the same history", test_same_seed_same_history},
    {"a power cut at every call of the disk", test_power_cut_at_every_call},
};

int
main(void)
{
	int rc;

	/* Lives come and go: their memory is taken from the kernel once, but for rte_acl's 4 MB. */
	(void)mallopt(M_MMAP_THRESHOLD, 3 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	if (weir_sim_ports_start(&ports) != 0)
		return 1;
	rc = weir_test_run("sim", tests, WEIR_TEST_COUNT(tests));
	weir_sim_ports_finish(&ports);
	return rc;
}
