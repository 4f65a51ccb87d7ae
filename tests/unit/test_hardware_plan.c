/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which class goes by which send queue: small plans written out, the promises of the plan checked
 * on random ones by a judge of its own, and how little a small change moves. What the hardware can
 * hold is a fake's word where no driver is named; allocations go through wrappers, so that each can
 * fail once (meson.build).
 */
#include "control/hardware.h"
#include "tests/unit/harness.h"
#include "tests/unit/plan_box.h"

#include <string.h>

#define ERROR_SIZE 256U
#define TEXT_SIZE  1024U
#define CLASSES    300U /* most of a random policy */

/* The allocation after `allowed` others fails; negative: none. */
static long allowed = -1;

uint64_t __real_weir_limiter_round(const struct weir_limiter *limiter, uint64_t rate_bit_s);
uint64_t __wrap_weir_limiter_round(const struct weir_limiter *limiter, uint64_t rate_bit_s);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

uint64_t
__wrap_weir_limiter_round(const struct weir_limiter *limiter, uint64_t rate_bit_s)
{
	CU_ASSERT_PTR_NOT_NULL(limiter);
	nic.calls++;
	if (limiter->driver != NULL)
		return __real_weir_limiter_round(limiter, rate_bit_s);
	return held(rate_bit_s);
}

static bool
fails(void)
{
	return allowed >= 0 && allowed-- == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

/* "a1 b2 c0; 1:60/1000 2:..." with rates in Mbit/s and bursts, "+" behind a class that shares. */
static void
plan_write(const struct weir_hardware_plan *plan, char text[TEXT_SIZE])
{
	static const char *const ways[] = {"", "", "+"};
	size_t used = 0;

	for (uint32_t i = 0; i < plan->n_classes; i++) {
		bool limited = plan->classes[i].queue != 0;

		CU_ASSERT_EQUAL(plan->classes[i].way != WEIR_WAY_SOFTWARE, limited);
		used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s%u%s",
		                         i == 0 ? "" : " ", plan->classes[i].name,
		                         plan->classes[i].queue, ways[plan->classes[i].way]);
	}
	used += (size_t)snprintf(text + used, TEXT_SIZE - used, ";");
	for (uint32_t i = 1; i < plan->n_queues; i++)
		used +=
		    (size_t)snprintf(text + used, TEXT_SIZE - used, " %u:%" PRIu64 "/%" PRIu64, i,
		                     plan->queue_bit_s[i] / MBIT, plan->queue_burst_bytes[i]);
	if (plan->port_bit_s != 0)
		snprintf(text + used, TEXT_SIZE - used, " port:%" PRIu64, plan->port_bit_s / MBIT);
}

/* A 10G NIC that steps by 10 Mbit/s, with so many queues. */
static const struct {
	const char *classes;
	uint16_t n_queues;
	bool completions, port_limit;
	const char *plan;
} cases[] = {
    {"100 200 300", 4, true, false, "a3 b2 c1; 1:300/1000 2:200/1000 3:100/1000"},
    {"100 200 300", 16, true, true, "a3 b2 c1; 1:300/1000 2:200/1000 3:100/1000 port:600"},
    {"100 200 300", 1, true, true, "a0 b0 c0;"},
    {"100 200 300", 0, true, true, "a0 b0 c0;"},
    /* One queue for all; two, of which one is shared. */
    {"100 200 300", 2, true, false, "a1+ b1+ c1+; 1:600/3000"},
    {"100 200 300", 3, true, false, "a2+ b2+ c1; 1:300/1000 2:300/2000"},
    /* Without completions nothing is shared. */
    {"100 200 300", 2, false, false, "a0 b0 c1; 1:300/1000"},
    {"100 200 300", 3, false, true, "a0 b2 c1; 1:300/1000 2:200/1000 port:600"},
    /* Dedicated ones first, even of the slowest; the shared queue goes when they need it. */
    {"100! 200 300", 3, true, false, "a1 b2+ c2+; 1:100/1000 2:500/2000"},
    {"100! 200! 300", 3, true, false, "a2 b1 c0; 1:200/1000 2:100/1000"},
    {"100! 200 300!", 3, false, false, "a2 b0 c1; 1:300/1000 2:100/1000"},
    /* What the NIC can't hold: too slow, no multiple of the step, above the link. */
    {"5 200 34 20000 10000", 16, true, true, "a0 b2 c0 d0 e1; 1:10000/1000 2:200/1000"},
    {"5! 200! 20000!", 2, true, false, "a0 b1 c0; 1:200/1000"},
    {"1 2 3", 16, true, true, "a0 b0 c0;"},
    /* Equal rates: in the order of the policy. */
    {"70 70 70 70", 4, true, false, "a1 b2 c3+ d3+; 1:70/1000 2:70/1000 3:140/2000"},
    /* By the other link; by any. The port's sum is of what goes this way. */
    {"100~ 200* 300 400~", 4, true, true, "a0 b2 c1 d0; 1:300/1000 2:200/1000 port:500"},
    /* Nine limited queues, two of them shared: 60 50 40 30 20 10 as 60 30 20 and 50 40 10. */
    {"990 980 970 960 950 940 930 60 50 40 30 20 10", 10, true, false,
     "a1 b2 c3 d4 e5 f6 g7 h8+ i9+ j9+ k8+ l8+ m9+; 1:990/1000 2:980/1000 3:970/1000 "
     "4:960/1000 5:950/1000 6:940/1000 7:930/1000 8:110/3000 9:100/3000"},
    /* Shared sums end where the link does. What does not fit stays in software, the rest not. */
    {"9000 6000 5000 4000 3000", 3, true, false, "a1 b2+ c0 d2+ e0; 1:9000/1000 2:10000/2000"},
    {"9000 6000 5000 3000 100", 3, true, true, "a1 b2+ c0 d2+ e2+; 1:9000/1000 2:9100/3000"},
};

static void
test_written_out(void)
{
	char error[ERROR_SIZE], text[TEXT_SIZE];

	nic.step_bit_s = 10 * MBIT;
	nic.max_bit_s = 10000 * MBIT;
	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		struct weir_config *config = policy_read(cases[i].classes);
		struct weir_limiter limiter =
		    limiter_make(WEIR_LIMITER_QUEUE, cases[i].n_queues, cases[i].completions);
		struct weir_hardware_plan plan;

		limiter.capabilities.port_limit = cases[i].port_limit;
		CU_ASSERT_EQUAL_FATAL(
		    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)),
		    0);
		CU_ASSERT_STRING_EQUAL(error, "");
		plan_write(&plan, text);
		CU_ASSERT_STRING_EQUAL(text, cases[i].plan);
		if (strcmp(text, cases[i].plan) != 0)
			printf("    %s\n    got      %s\n    expected %s\n", cases[i].classes, text,
			       cases[i].plan);
		weir_hardware_plan_free(&plan);
		CU_ASSERT_PTR_NULL(plan.classes);
		weir_config_free(config);
	}
}

/* What real drivers make of rates, on a link of 10 Gbit/s. */
static const struct {
	const char *driver;
	uint16_t n_queues;
	const char *plan;
} driver_cases[] = {
    /* Down to 10 Mbit/s; 15 would be rounded up, and 14 is too far down. */
    {"net_ixgbe", 16,
     "a0 b0 c5 d0 e4 f3 g2 h1; 1:10000/1000 2:3000/1000 3:100/1000 4:16/1000 5:10/1000"},
    {"net_ixgbe", 3, "a0 b0 c2+ d0 e2+ f2+ g2+ h1; 1:10000/1000 2:3126/4000"},
    {"net_txgbe", 3, "a2+ b2+ c2+ d2+ e2+ f2+ g2+ h1; 1:10000/1000 2:3151/7000"},
};

static void
test_drivers(void)
{
	struct weir_config *config = policy_read("1 9 10 15 16 100 3000 10000");
	char error[ERROR_SIZE], text[TEXT_SIZE];
	struct weir_hardware_plan plan;

	for (size_t i = 0; i < WEIR_TEST_COUNT(driver_cases); i++) {
		struct weir_limiter limiter =
		    limiter_make(WEIR_LIMITER_QUEUE, driver_cases[i].n_queues, true);

		limiter.driver = weir_limiter_driver_find(driver_cases[i].driver, false);
		limiter.link_bit_s = 10000 * MBIT;
		limiter.capabilities.min_bit_s = limiter.driver->min_bit_s;
		limiter.capabilities.max_bit_s = limiter.link_bit_s;
		CU_ASSERT_EQUAL_FATAL(
		    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)),
		    0);
		plan_write(&plan, text);
		CU_ASSERT_STRING_EQUAL(text, driver_cases[i].plan);
		if (strcmp(text, driver_cases[i].plan) != 0)
			printf("    got      %s\n", text);
		weir_hardware_plan_free(&plan);
	}
	weir_config_free(config);
}

/* No limiter, one that limits nothing, and queues of several senders that no group holds together.
 */
static void
test_software(void)
{
	struct weir_limiter soft = limiter_make(WEIR_LIMITER_SOFT, 16, true);
	struct weir_limiter queue = limiter_make(WEIR_LIMITER_QUEUE, 16, true);
	struct weir_limiter tm = limiter_make(WEIR_LIMITER_TM, 16, true);
	const struct {
		const struct weir_limiter *limiter;
		uint32_t n_senders, n_queues;
	} ways[] = {
	    {NULL, 1, 1}, {&soft, 1, 1}, {&soft, 3, 1}, {&queue, 1, 4}, {&queue, 3, 1}, {&tm, 3, 4},
	};
	struct weir_config *config = policy_read("100! 200! 300!");
	const struct weir_hardware_plan freed = {0};
	struct weir_hardware_plan plan;
	char error[ERROR_SIZE];

	nic.step_bit_s = 10 * MBIT;
	nic.max_bit_s = 10000 * MBIT;
	tm.n_senders = 3;
	for (size_t i = 0; i < WEIR_TEST_COUNT(ways); i++) {
		CU_ASSERT_EQUAL_FATAL(weir_hardware_plan(config, 0, ways[i].limiter,
		                                         ways[i].n_senders, &freed, &plan, error,
		                                         sizeof(error)),
		                      0);
		CU_ASSERT_EQUAL(plan.n_queues, ways[i].n_queues);
		CU_ASSERT_EQUAL(plan.queue_classes[0], ways[i].n_queues == 1 ? 3 : 0);
		weir_hardware_plan_free(&plan);
	}
	weir_config_free(config);
}

/* No more queues than the port has, can limit, and Weir has places for. */
static void
test_queues(void)
{
	static const struct {
		uint16_t n_queues, can_limit;
		uint32_t used;
	} cases_of_queues[] = {
	    {16, 16, 16}, {16, 8, 8}, {8, 16, 8}, {200, 200, 64}, {200, 64, 64}, {16, 0, 1},
	};
	struct weir_config *config = policy_make(100);
	struct weir_hardware_plan plan;
	char error[ERROR_SIZE];

	nic.step_bit_s = 1;
	nic.max_bit_s = 10000 * MBIT;
	while (config->n_classes < 100)
		policy_add(config, 0, 10 * MBIT);
	for (size_t i = 0; i < WEIR_TEST_COUNT(cases_of_queues); i++) {
		struct weir_limiter limiter =
		    limiter_make(WEIR_LIMITER_QUEUE, cases_of_queues[i].n_queues, true);

		limiter.capabilities.n_queues = cases_of_queues[i].can_limit;
		CU_ASSERT_EQUAL_FATAL(
		    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)),
		    0);
		CU_ASSERT_EQUAL(plan.n_queues, cases_of_queues[i].used);
		weir_hardware_plan_free(&plan);
	}
	weir_config_free(config);
}

static void
test_too_many_dedicated(void)
{
	struct weir_config *config = policy_read("100! 200! 5! 400 500!");
	struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, 3, true);
	struct weir_hardware_plan plan;
	char error[ERROR_SIZE];

	nic.step_bit_s = 10 * MBIT;
	nic.max_bit_s = 10000 * MBIT;
	CU_ASSERT_EQUAL(
	    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)), -ENOSPC);
	CU_ASSERT_STRING_EQUAL(error, "link up: 3 classes want a queue of their own, and port out0 "
	                              "can limit 2");
	CU_ASSERT_PTR_NULL(plan.classes);
	/* None of them goes by the other link; and one fewer fits. */
	CU_ASSERT_EQUAL(
	    weir_hardware_plan(config, 1, &limiter, 1, NULL, &plan, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(plan.n_queues, 1);
	CU_ASSERT_EQUAL(plan.queue_classes[0], 0);
	weir_hardware_plan_free(&plan);
	config->classes[4].dedicated = false;
	CU_ASSERT_EQUAL(
	    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(plan.n_queues, 3);
	weir_hardware_plan_free(&plan);
	weir_config_free(config);
}

/* Plans, and has it judged. Returns 0 or the refusal of too many dedicated classes. */
static int
plan_judged(const struct weir_config *config, const struct weir_limiter *limiter,
            const struct weir_hardware_plan *before, struct weir_hardware_plan *plan)
{
	struct weir_hardware_plan again;
	uint32_t dedicated = 0;
	char error[ERROR_SIZE];
	int rc = weir_hardware_plan(config, 0, limiter, 1, before, plan, error, sizeof(error));

	for (uint32_t i = 0; i < config->n_classes; i++)
		dedicated += config->classes[i].dedicated && sent_by(config, i, 0) &&
		             held(config->classes[i].rate_bit_s) != 0;
	CU_ASSERT_EQUAL_FATAL(rc, dedicated >= limiter->n_queues ? -ENOSPC : 0);
	if (rc != 0)
		return rc;
	judge_sums(config, limiter, 0, plan);
	judge_places(config, limiter, 0, plan);
	/* The same again, and nothing moves when nothing has changed. */
	CU_ASSERT_EQUAL_FATAL(
	    weir_hardware_plan(config, 0, limiter, 1, before, &again, error, sizeof(error)), 0);
	CU_ASSERT(same_plan(plan, &again));
	weir_hardware_plan_free(&again);
	CU_ASSERT_EQUAL_FATAL(
	    weir_hardware_plan(config, 0, limiter, 1, plan, &again, error, sizeof(error)), 0);
	CU_ASSERT(same_plan(plan, &again));
	weir_hardware_plan_free(&again);
	return 0;
}

static struct weir_config *
policy_random(struct weir_random *random, uint32_t n, uint64_t most_bit_s)
{
	struct weir_config *config = policy_make(CLASSES);

	while (config->n_classes < n) {
		uint64_t rate =
		    1 + weir_random_below(random, most_bit_s >> weir_random_below(random, 12));
		struct weir_config_class *class;

		class = policy_add(config,
		                   weir_random_one_in(random, 4)
		                       ? WEIR_ANY
		                       : (uint32_t)weir_random_one_in(random, 8),
		                   rate);
		class->burst_bytes = (uint32_t)weir_random_between(random, 1547, 1000000000);
		/* Some rates are there often. */
		if (weir_random_one_in(random, 3))
			class->rate_bit_s = most_bit_s / 16;
		/* And some classes have no rule. */
		if (weir_random_one_in(random, 10))
			config->n_rules--;
	}
	return config;
}

static void
nic_random(struct weir_random *random)
{
	static const uint64_t steps[] = {1, 1000, 1000000, 50000000};

	nic.step_bit_s = steps[weir_random_below(random, 4)];
	nic.max_bit_s = weir_random_between(random, 1, 100) * 1000 * MBIT;
}

static struct weir_limiter
limiter_random(struct weir_random *random)
{
	struct weir_limiter limiter =
	    limiter_make(weir_random_one_in(random, 2) ? WEIR_LIMITER_TM : WEIR_LIMITER_QUEUE,
	                 (uint16_t)weir_random_between(random, 1, WEIR_TX_QUEUES_MAX),
	                 weir_random_one_in(random, 2));

	limiter.capabilities.port_limit = weir_random_one_in(random, 2);
	return limiter;
}

static void
test_random(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (int i = 0; i < 400; i++) {
		uint32_t n = (uint32_t)weir_random_between(&random, 1, i % 4 == 0 ? CLASSES : 40);
		struct weir_hardware_plan plan, next;
		struct weir_limiter limiter = limiter_random(&random);
		struct weir_config *config, *other;

		nic_random(&random);
		config = policy_random(&random, n, nic.max_bit_s * 2);
		other = policy_random(&random, n, nic.max_bit_s);
		for (uint32_t j = 0; j < n; j++)
			config->classes[j].dedicated = weir_random_one_in(&random, 12);
		if (plan_judged(config, &limiter, NULL, &plan) == 0) {
			judge_balance(config, &plan);
			/* From any plan to any other one: from more queues to fewer, too. */
			limiter = limiter_random(&random);
			CU_ASSERT_EQUAL(plan_judged(other, &limiter, &plan, &next), 0);
			weir_hardware_plan_free(&next);
			weir_hardware_plan_free(&plan);
		}
		weir_config_free(config);
		weir_config_free(other);
	}
}

/*
 * One class is added, taken out, or gets another rate: it may move, one may take its queue or the
 * queue that it leaves, and that is all. Where classes stand in the policy moves none.
 */
static void
test_stable(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);

	nic.step_bit_s = 1;
	nic.max_bit_s = 1000000 * MBIT;
	for (int i = 0; i < 40; i++) {
		struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, 17, i % 2 == 0);
		struct weir_config *config = policy_random(&random, 60, 1000 * MBIT);
		struct weir_hardware_plan plan, next;
		uint32_t serial = 100;

		CU_ASSERT_EQUAL_FATAL(plan_judged(config, &limiter, NULL, &plan), 0);
		for (int edit = 0; edit < 30; edit++) {
			uint32_t any = (uint32_t)weir_random_below(&random, config->n_classes);
			uint64_t rate = 1 + weir_random_below(&random, 1000 * MBIT);
			uint64_t kind = weir_random_below(&random, 4);

			if (kind == 0)
				snprintf(policy_add(config, 0, rate)->name, WEIR_NAME_SIZE, "n%u",
				         serial++);
			else if (kind == 1 && config->n_classes > 40)
				policy_remove(config, any);
			else if (kind == 2)
				config->classes[any].rate_bit_s = rate;
			else
				policy_reverse(config);
			CU_ASSERT_EQUAL_FATAL(plan_judged(config, &limiter, &plan, &next), 0);
			CU_ASSERT(moved(&plan, &next) <= (kind == 3 ? 0U : 2U));
			weir_hardware_plan_free(&plan);
			plan = next;
		}
		weir_hardware_plan_free(&plan);
		weir_config_free(config);
	}
}

/* A class that has nowhere to go moves the others only if that leaves fewer without a limit. */
static void
test_make_room(void)
{
	struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, 10, true);
	struct weir_config *config =
	    policy_read("9900 9900 9900 9900 9900 9900 9900 6000 5000 2000 1000");
	/* 6000 1000 and 5000 2000; 6000 2000 1000 and 5000 4000; the second 4000 fits nowhere. */
	static const char *const ends[] = {"g7 h8+ i9+ j9+ k8+;", "g7 h8+ i9+ j8+ k8+ c119+;",
	                                   "g7 h8+ i9+ j8+ k8+ c119+ c120;"};
	struct weir_hardware_plan plans[WEIR_TEST_COUNT(ends)];
	char text[TEXT_SIZE];

	nic.step_bit_s = 10 * MBIT;
	nic.max_bit_s = 10000 * MBIT;
	for (size_t i = 0; i < WEIR_TEST_COUNT(ends); i++) {
		if (i > 0)
			policy_add(config, 0, 4000 * MBIT);
		CU_ASSERT_EQUAL_FATAL(
		    plan_judged(config, &limiter, i == 0 ? NULL : &plans[i - 1], &plans[i]), 0);
		plan_write(&plans[i], text);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, ends[i]));
		if (strstr(text, ends[i]) == NULL)
			printf("    got %s\n", text);
	}
	for (size_t i = 0; i < WEIR_TEST_COUNT(ends); i++)
		weir_hardware_plan_free(&plans[i]);
	weir_config_free(config);
}

/* Of several queues that are free, those are shared that the most classes need not leave. */
static void
test_shared_stay(void)
{
	struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, 4, true);
	static const char *const starts[] = {"a3 b2 c1;", "a3 b2+ c1 d2+;", "a2+ b2+ c1 d2+ e3;"};
	struct weir_config *config = policy_read("100 200 300          ");
	struct weir_hardware_plan plans[WEIR_TEST_COUNT(starts)];
	char text[TEXT_SIZE];

	nic.step_bit_s = 10 * MBIT;
	nic.max_bit_s = 10000 * MBIT;
	for (size_t i = 0; i < WEIR_TEST_COUNT(starts); i++) {
		if (i > 0) {
			config->classes[0].rate_bit_s = (i == 1 ? 400 : 60) * MBIT;
			snprintf(policy_add(config, 0, (i == 1 ? 50 : 500) * MBIT)->name,
			         WEIR_NAME_SIZE, i == 1 ? "d" : "e");
		}
		CU_ASSERT_EQUAL_FATAL(
		    plan_judged(config, &limiter, i == 0 ? NULL : &plans[i - 1], &plans[i]), 0);
		plan_write(&plans[i], text);
		CU_ASSERT_EQUAL(strncmp(text, starts[i], strlen(starts[i])), 0);
		if (strncmp(text, starts[i], strlen(starts[i])) != 0)
			printf("    got %s\n", text);
	}
	for (size_t i = 0; i < WEIR_TEST_COUNT(starts); i++)
		weir_hardware_plan_free(&plans[i]);
	weir_config_free(config);
}

/* As many classes as there may be, on as many queues; then one more rate. */
static void
test_large(void)
{
	struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, WEIR_TX_QUEUES_MAX, true);
	struct weir_config *config = policy_make(WEIR_CLASSES_MAX);
	struct weir_hardware_plan plan, next;
	char error[ERROR_SIZE];
	clock_t start;

	nic.step_bit_s = 1;
	nic.max_bit_s = 100000 * MBIT;
	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++)
		policy_add(config, 0, 10 * MBIT + i * UINT64_C(7919) % 8191 * 1000)->burst_bytes =
		    1000000000;
	nic.calls = 0;
	start = clock();
	CU_ASSERT_EQUAL_FATAL(
	    weir_hardware_plan(config, 0, &limiter, 1, NULL, &plan, error, sizeof(error)), 0);
	config->classes[WEIR_CLASSES_MAX / 2].rate_bit_s = 1000 * MBIT;
	CU_ASSERT_EQUAL_FATAL(
	    weir_hardware_plan(config, 0, &limiter, 1, &plan, &next, error, sizeof(error)), 0);
	CU_ASSERT(clock() - start < CLOCKS_PER_SEC);
	CU_ASSERT(nic.calls <= UINT64_C(2) * 2 * WEIR_CLASSES_MAX);
	CU_ASSERT_EQUAL(plan.n_queues, WEIR_TX_QUEUES_MAX);
	CU_ASSERT_EQUAL(plan.queue_classes[0], 0);
	/* A sum of bursts that no limiter takes is cut, without a wrap. */
	CU_ASSERT_EQUAL(plan.queue_burst_bytes[WEIR_TX_QUEUES_MAX - 1], UINT32_MAX);
	for (uint32_t i = 0, moves = 0; i < WEIR_CLASSES_MAX; i++) {
		moves += plan.classes[i].queue != next.classes[i].queue;
		CU_ASSERT(moves <= 2);
	}
	weir_hardware_plan_free(&plan);
	weir_hardware_plan_free(&next);
	weir_config_free(config);
}

/* Each allocation fails once: refused, nothing lost (the sanitizer sees), no half plan. */
static void
test_no_memory(void)
{
	struct weir_config *config = policy_read("100 200 300 400");
	struct weir_limiter limiter = limiter_make(WEIR_LIMITER_QUEUE, 3, true);
	struct weir_hardware_plan before, plan;
	char error[ERROR_SIZE];
	int rc = -ENOMEM;
	long n;

	nic.step_bit_s = 1;
	nic.max_bit_s = 10000 * MBIT;
	CU_ASSERT_EQUAL_FATAL(plan_judged(config, &limiter, NULL, &before), 0);
	for (n = 0; n < 20 && rc == -ENOMEM; n++) {
		allowed = n;
		rc = weir_hardware_plan(config, 0, &limiter, 1, &before, &plan, error,
		                        sizeof(error));
		if (allowed >= 0)
			break;
		CU_ASSERT_EQUAL(rc, -ENOMEM);
		CU_ASSERT_PTR_NULL(plan.classes);
		CU_ASSERT_STRING_EQUAL(error, "out of memory");
	}
	allowed = -1;
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT(same_plan(&before, &plan));
	weir_hardware_plan_free(&before);
	weir_hardware_plan_free(&plan);
	weir_config_free(config);
}

static const struct weir_test tests[] = {
    {"small plans, written out", test_written_out},
    {"real drivers", test_drivers},
    {"software alone", test_software},
    {"no more queues than there are", test_queues},
    {"more dedicated classes than queues", test_too_many_dedicated},
    {"random policies", test_random},
    {"small changes move little", test_stable},
    {"room is made", test_make_room},
    {"shared queues stay where most are", test_shared_stay},
    {"the largest policy", test_large},
    {"no memory", test_no_memory},
};

int
main(void)
{
	return weir_test_run("hardware_plan", tests, WEIR_TEST_COUNT(tests));
}
