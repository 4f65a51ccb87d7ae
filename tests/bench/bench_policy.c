/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long frames wait in the NICs' receive rings for a policy: from the moment at which the new
 * rates' lines begin until it is published, and then while a worker takes it into use. Caches are
 * cold, as they are after a policy was compiled.
 */
#include "control/slots.h"
#include "dataplane/worker_state.h"
#include "drivers/memory.h"

#include <inttypes.h>
#include <rte_cycles.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CLASSES   4096U
#define CHANGES   101U /* measured, of each kind */
#define TSC_HZ    UINT64_C(2000000000)
#define MBIT      UINT64_C(1000000)
#define WORKERS   2U                   /* so that they share buckets */
#define COLD_SIZE (UINT32_C(64) << 20) /* more than caches hold */

enum kind {
	KIND_SAME,   /* no rate changes */
	KIND_RAISED, /* all do */
	KIND_NEW,    /* all names are new */
	KINDS,
};

static const char *const kind_names[KINDS] = {"no rate changes", "all rates change",
                                              "all names are new"};

static struct weir_credit credit;
static struct weir_dataplane *dataplane;
static struct weir_slots *slots;
static struct weir_config config = {.n_classes = CLASSES};
static uint64_t generation;
static _Atomic char cold[COLD_SIZE];

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static struct weir_slots_plan *
make_plan(void)
{
	struct weir_slots_plan *plan;

	must(weir_slots_plan(slots, &config, &plan) == 0, "no slots");
	weir_slots_bind(slots, &config, rte_rdtsc(), plan);
	return plan;
}

/* As a compiled policy, but for rules. */
static struct weir_snapshot *
make_snapshot(const struct weir_slots_plan *plan)
{
	struct weir_snapshot *snapshot = weir_snapshot_new(WEIR_CLASSES_MAX, WEIR_NODE_ANY);

	must(snapshot != NULL, "out of memory");
	snapshot->generation = ++generation;
	snapshot->heartbeat_limit_tsc = UINT64_MAX;
	for (uint32_t i = 0; i < CLASSES; i++)
		snapshot->classes[plan->slots[i]] =
		    (struct weir_class){.rate = plan->rates[i], .burst_bytes = 20000, .n_path = 1};
	return snapshot;
}

static void
change_config(enum kind kind, uint32_t number)
{
	for (uint32_t i = 0; i < CLASSES; i++) {
		struct weir_config_class *class = &config.classes[i];

		if (kind == KIND_RAISED || number == 0)
			class->rate_bit_s = (1 + i + number) * MBIT;
		if (kind == KIND_NEW || number == 0)
			snprintf(class->name, sizeof(class->name), "c%" PRIu32 "-%d-%" PRIu32, i,
			         (int)kind, number);
	}
}

/* One change of policy: nanoseconds until it is published, and for one worker's adoption. */
static void
change(uint64_t *publish_ns, uint64_t *adopt_ns)
{
	struct weir_slots_plan *plan = make_plan();
	struct weir_snapshot *next = make_snapshot(plan), *old;
	uint64_t token, begin_ns;

	for (uint32_t i = 0; i < COLD_SIZE; i += 64)
		atomic_store_explicit(&cold[i], (char)generation, memory_order_relaxed);
	begin_ns = now_ns();
	weir_slots_put(slots, &config, weir_dataplane_suspend(dataplane), plan, next, dataplane);
	old = weir_dataplane_publish(dataplane, next, &token);
	*publish_ns = now_ns() - begin_ns;
	for (uint32_t w = 0; w < WORKERS; w++) {
		begin_ns = now_ns();
		(void)weir_worker_round(dataplane->workers[w], rte_rdtsc());
		*adopt_ns = now_ns() - begin_ns;
	}
	weir_snapshot_free(old);
	weir_slots_commit(slots, &config, plan);
	weir_slots_release(slots);
	weir_slots_plan_free(plan);
}

static int
compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void
measure(enum kind kind)
{
	uint64_t publish_ns[CHANGES], adopt_ns[CHANGES];

	for (uint32_t i = 0; i < CHANGES; i++) {
		change_config(kind, i + 1);
		change(&publish_ns[i], &adopt_ns[i]);
	}
	qsort(publish_ns, CHANGES, sizeof(publish_ns[0]), compare);
	qsort(adopt_ns, CHANGES, sizeof(adopt_ns[0]), compare);
	printf("%-18s  %9.1f %9.1f  %9.1f %9.1f\n", kind_names[kind],
	       (double)publish_ns[CHANGES / 2] / 1e3, (double)publish_ns[CHANGES - 1] / 1e3,
	       (double)adopt_ns[CHANGES / 2] / 1e3, (double)adopt_ns[CHANGES - 1] / 1e3);
}

int
main(void)
{
	struct weir_worker_config workers[WORKERS] = {0};
	const struct weir_dataplane_config dataplane_config = {.tsc_hz = TSC_HZ,
	                                                       .drain_tsc = TSC_HZ,
	                                                       .n_links = 1,
	                                                       .n_workers = WORKERS,
	                                                       .workers = workers};
	struct weir_slots_plan *plan;
	char error[256] = "";

	for (uint32_t w = 0; w < WORKERS; w++)
		workers[w].node = WEIR_NODE_ANY;
	slots = weir_slots_new(TSC_HZ);
	config.classes = calloc(CLASSES, sizeof(*config.classes));
	must(slots != NULL && config.classes != NULL, "out of memory");
	change_config(KIND_SAME, 0);
	plan = make_plan();
	must(weir_dataplane_new(&dataplane_config, &credit, make_snapshot(plan), &dataplane, error,
	                        sizeof(error)) == 0,
	     error);
	weir_slots_commit(slots, &config, plan);
	weir_slots_plan_free(plan);
	printf("A policy of %u classes, in us: median and most of %u.\n"
	       "%-18s  %19s  %19s\n",
	       CLASSES, CHANGES, "", "until published", "a worker's adoption");
	for (uint32_t kind = 0; kind < KINDS; kind++)
		measure((enum kind)kind);
	weir_dataplane_free(dataplane);
	weir_slots_free(slots);
	free(config.classes);
	return 0;
}
