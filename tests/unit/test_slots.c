/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/slots.h"
#include "tests/unit/harness.h"

#include <string.h>

#define TSC_HZ  UINT64_C(2000000000)
#define NAMES   40U
#define ROUNDS  400U
#define NO_SLOT UINT32_MAX

/* A policy of so many classes, named by number. */
static struct weir_config *
make_config(const uint32_t *names, const uint64_t *rates, uint32_t n)
{
	struct weir_config *config = calloc(1, sizeof(*config));

	config->classes = calloc(n + 1, sizeof(*config->classes));
	config->n_classes = n;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(config->classes[i].name, sizeof(config->classes[i].name), "class%u",
		         names[i]);
		config->classes[i].rate_bit_s = rates[i];
	}
	return config;
}

static void
free_config(struct weir_config *config)
{
	free(config->classes);
	free(config);
}

/*
 * Random policies against a plain model: a name keeps its slot while it stays, two names never
 * share one, and a slot whose name has left is not given away before the release.
 */
static void
test_model(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct weir_slots *slots = weir_slots_new(TSC_HZ);
	uint32_t slot_of[NAMES];
	uint64_t rate_of[NAMES] = {0};
	struct weir_rate line_of[NAMES];
	uint64_t now = 1000;

	CU_ASSERT_PTR_NOT_NULL_FATAL(slots);
	memset(slot_of, 0xff, sizeof(slot_of));
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t names[NAMES], n = 0, held[NAMES], n_held = 0;
		uint32_t before[NAMES];
		uint64_t rates[NAMES];
		struct weir_slots_plan *plan;
		struct weir_config *config;

		memcpy(before, slot_of, sizeof(before));
		memset(slot_of, 0xff, sizeof(slot_of));
		for (uint32_t name = 0; name < NAMES; name++) {
			if (weir_random_one_in(&random, 2)) {
				names[n] = name;
				rates[n++] = 1000000 * weir_random_between(&random, 1, 3);
			} else if (before[name] != NO_SLOT) {
				held[n_held++] = before[name];
			}
		}
		now += weir_random_below(&random, TSC_HZ);
		config = make_config(names, rates, n);
		CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, config, &plan), 0);
		weir_slots_bind(slots, config, now, plan);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t name = names[i], slot = plan->slots[i];
			uint64_t old_allowance = 0;

			CU_ASSERT_FATAL(slot < WEIR_CLASSES_MAX);
			CU_ASSERT_EQUAL(plan->fresh[i], before[name] == NO_SLOT);
			if (before[name] != NO_SLOT) {
				CU_ASSERT_EQUAL(slot, before[name]);
				old_allowance = weir_rate_allowance(&line_of[name], now);
			}
			for (uint32_t k = 0; k < n_held; k++)
				CU_ASSERT_NOT_EQUAL(slot, held[k]);
			for (uint32_t k = 0; k < i; k++)
				CU_ASSERT_NOT_EQUAL(slot, plan->slots[k]);
			/* No change of policy moves what the class may have sent by now. */
			CU_ASSERT_EQUAL(weir_rate_allowance(&plan->rates[i], now), old_allowance);
			if (!plan->fresh[i] && rate_of[name] == rates[i])
				CU_ASSERT_EQUAL(
				    memcmp(&plan->rates[i], &line_of[name], sizeof(line_of[name])),
				    0);
			/* A second later exactly the rate more, or one byte less by rounding. */
			if (plan->fresh[i] || rate_of[name] != rates[i]) {
				uint64_t more = weir_rate_allowance(&plan->rates[i], now + TSC_HZ) -
				                old_allowance;

				CU_ASSERT(more <= rates[i] / 8 && more + 1 >= rates[i] / 8);
			}
			slot_of[name] = slot;
			rate_of[name] = rates[i];
			line_of[name] = plan->rates[i];
		}
		weir_slots_commit(slots, config, plan);
		weir_slots_release(slots);
		weir_slots_plan_free(plan);
		free_config(config);
	}
	weir_slots_free(slots);
}

/* A plan that comes to nothing leaves no trace. */
static void
test_plan_changes_nothing(void)
{
	struct weir_slots *slots = weir_slots_new(TSC_HZ);
	uint32_t first_names[] = {1, 2}, other_names[] = {3, 2, 1};
	uint64_t rates[] = {1000, 2000, 3000};
	struct weir_config *first = make_config(first_names, rates, 2);
	struct weir_config *other = make_config(other_names, rates, 3);
	struct weir_slots_plan *plan, *again;

	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, first, &plan), 0);
	weir_slots_bind(slots, first, 5, plan);
	weir_slots_commit(slots, first, plan);
	weir_slots_release(slots);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, other, &again), 0);
	weir_slots_bind(slots, other, 6, again);
	weir_slots_plan_free(again);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, first, &again), 0);
	weir_slots_bind(slots, first, 7, again);
	CU_ASSERT_EQUAL(again->slots[0], plan->slots[0]);
	CU_ASSERT_EQUAL(again->slots[1], plan->slots[1]);
	CU_ASSERT_FALSE(again->fresh[0] || again->fresh[1]);
	CU_ASSERT_EQUAL(memcmp(again->rates, plan->rates, 2 * sizeof(plan->rates[0])), 0);
	weir_slots_plan_free(plan);
	weir_slots_plan_free(again);
	free_config(first);
	free_config(other);
	weir_slots_free(slots);
}

/* All slots in use: a wholly new policy has to wait for the release, and then fits. */
static void
test_full(void)
{
	uint32_t *names = calloc(WEIR_CLASSES_MAX, sizeof(*names));
	uint64_t *rates = calloc(WEIR_CLASSES_MAX, sizeof(*rates));
	struct weir_slots *slots = weir_slots_new(TSC_HZ);
	struct weir_config *config;
	struct weir_slots_plan *plan;

	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++) {
		names[i] = i;
		rates[i] = 1000;
	}
	config = make_config(names, rates, WEIR_CLASSES_MAX);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, config, &plan), 0);
	weir_slots_bind(slots, config, 1, plan);
	weir_slots_commit(slots, config, plan);
	weir_slots_release(slots);
	weir_slots_plan_free(plan);
	free_config(config);

	names[0] = WEIR_CLASSES_MAX;
	config = make_config(names, rates, 1);
	CU_ASSERT_EQUAL(weir_slots_plan(slots, config, &plan), -ENOSPC);
	free_config(config);

	config = make_config(names + 1, rates, 1);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, config, &plan), 0);
	weir_slots_bind(slots, config, 2, plan);
	weir_slots_commit(slots, config, plan);
	weir_slots_plan_free(plan);
	free_config(config);
	config = make_config(names, rates, 1);
	CU_ASSERT_EQUAL(weir_slots_plan(slots, config, &plan), -ENOSPC);
	weir_slots_release(slots);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, config, &plan), 0);
	weir_slots_plan_free(plan);
	free_config(config);
	weir_slots_free(slots);
	free(names);
	free(rates);
}

/* A class shows its own numbers only: the base follows the name, not the slot. */
static void
test_base(void)
{
	struct weir_slots *slots = weir_slots_new(TSC_HZ);
	const struct weir_class_totals base = {.tx_frames = 5, .tx_wire_bytes = 420};
	uint32_t one[] = {1}, two[] = {2};
	uint64_t rates[] = {1000};
	struct weir_config *first = make_config(one, rates, 1),
	                   *second = make_config(two, rates, 1);
	struct weir_slots_plan *plan;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, first, &plan), 0);
	slot = plan->slots[0];
	weir_slots_bind(slots, first, 1, plan);
	weir_slots_commit(slots, first, plan);
	weir_slots_release(slots);
	weir_slots_plan_free(plan);
	weir_slots_set_base(slots, slot, &base);
	CU_ASSERT_EQUAL(weir_slots_base(slots, slot)->tx_frames, 5);
	CU_ASSERT_EQUAL_FATAL(weir_slots_plan(slots, second, &plan), 0);
	weir_slots_bind(slots, second, 1, plan);
	weir_slots_commit(slots, second, plan);
	CU_ASSERT_NOT_EQUAL(plan->slots[0], slot);
	CU_ASSERT_EQUAL(weir_slots_base(slots, plan->slots[0])->tx_frames, 0);
	weir_slots_plan_free(plan);
	free_config(first);
	free_config(second);
	weir_slots_free(slots);
}

static const struct weir_test tests[] = {
    {"random policies agree with a model", test_model},
    {"a plan changes nothing", test_plan_changes_nothing},
    {"a full table", test_full},
    {"counters' base follows the name", test_base},
};

int
main(void)
{
	return weir_test_run("slots", tests, WEIR_TEST_COUNT(tests));
}
