/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a policy is worth: never too little, shown by senders that go to the limit of the ledger's
 * own windows and the classes' own buckets, and exactly what is claimed where that can be reached.
 */
#include "tools/weirctl/plan.h"

#include "control/ledger_window.h"
#include "dataplane/bucket.h"
#include "tests/unit/config_model.h"

#include <string.h>

#define DAY_NS (86400 * WEIR_NS_PER_S)
#define TOTAL  ((struct weir_plan_path){WEIR_PLAN_TOTAL, 0})

static struct weir_config *
parsed(const char *text)
{
	struct weir_config *config = NULL;
	char error[512];

	if (weir_config_parse("test", text, strlen(text), &config, error, sizeof(error)) != 0) {
		printf("    %s\n%s\n", error, text);
		CU_FAIL_FATAL("a policy of this test is bad");
	}
	return config;
}

static struct weir_plan *
planned(const struct weir_config *config)
{
	struct weir_plan *plan = weir_plan_new(config);

	CU_ASSERT_PTR_NOT_NULL_FATAL(plan);
	return plan;
}

/* Two links; all of it is replaced by what a test adds. */
static const char head[] = "ports:\n"
                           "- {name: a, device: net_null0}\n- {name: b, device: net_null1}\n"
                           "- {name: c, device: net_null2}\n- {name: d, device: net_null3}\n"
                           "links:\n"
                           "- {name: up, inside: a, outside: b}\n"
                           "- {name: side, inside: c, outside: d}\n";

static struct weir_config *
made(const char *rest)
{
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", head, rest);
	return parsed(text);
}

static void
test_needs(void)
{
	CU_ASSERT_EQUAL(weir_plan_need_bytes(3400000000000, 1), 3400000000000);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(3400000000000, 16), 212500000000);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(3400000000000, 100), 34000000000);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(1, 1000000), 1);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(10, 3), 4);
	/* As the decimal number says, not its nearest double: 3.3 / 1.1 is 3. */
	CU_ASSERT_EQUAL(weir_plan_need_bytes(33, 1.1), 30);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(1000000000000000000, 1), 1000000000000000000);
	CU_ASSERT_EQUAL(weir_plan_need_bytes(1000000000000000000, 1.00000000000001),
	                999999999999990001);
}

/* The table of sizes: which cap a day, or which rate, holds 3.4 TB for a year. */
static void
test_sizing(void)
{
	static const struct {
		double compression, gb_a_day, kbit_s;
		double gb_digit; /* the last digit that is given */
	} rows[] = {{1, 9.3, 863, 0.1},
	            {4, 2.33, 216, 0.01},
	            {16, 0.58, 54, 0.01},
	            {100, 0.093, 8.6, 0.001}};

	for (size_t i = 0; i < WEIR_TEST_COUNT(rows); i++) {
		uint64_t need = weir_plan_need_bytes(3400000000000, rows[i].compression);
		double cap = (double)weir_plan_largest_window(need, 365 * DAY_NS, DAY_NS) / 1e9;
		double rate = (double)weir_plan_largest_rate(need, 365 * DAY_NS, 0) / 1e3;
		double digit = rows[i].kbit_s < 10 ? 0.1 : 1;

		CU_ASSERT_DOUBLE_EQUAL(cap, rows[i].gb_a_day, rows[i].gb_digit / 2);
		CU_ASSERT_DOUBLE_EQUAL(rate, rows[i].kbit_s, digit / 2);
	}
	/* And the defaults: 2.36 GB a day is the last whole 10 MB that hold 90 days. */
	CU_ASSERT_EQUAL(weir_plan_largest_window(212500000000, 90 * DAY_NS, DAY_NS) / 10000000,
	                236);
}

static void
test_limits(void)
{
	struct weir_plan_limit window = {WEIR_PLAN_WINDOW, "w", 100, 0, 10};
	struct weir_plan_limit rate = {WEIR_PLAN_RATE, "r", 7, 8, 0}; /* a byte a second */
	struct weir_plan_limit lifetime = {WEIR_PLAN_LIFETIME, "l", 50, 0, 0};
	uint64_t t_ns;

	CU_ASSERT(weir_plan_limit_bytes(&window, 0) == 100);
	CU_ASSERT(weir_plan_limit_bytes(&window, 9) == 100);
	CU_ASSERT(weir_plan_limit_bytes(&window, 10) == 200);
	CU_ASSERT(weir_plan_limit_bytes(&window, UINT64_MAX - 1) ==
	          ((weir_u128)(UINT64_MAX - 1) / 10 + 1) * 100);
	CU_ASSERT(weir_plan_limit_bytes(&window, WEIR_PLAN_FOREVER) > UINT64_MAX);
	CU_ASSERT(weir_plan_limit_bytes(&rate, 0) == 8); /* a part of a byte is a byte */
	CU_ASSERT(weir_plan_limit_bytes(&rate, 999999999) == 8);
	CU_ASSERT(weir_plan_limit_bytes(&rate, 1000000000) == 9);
	CU_ASSERT(weir_plan_limit_bytes(&lifetime, WEIR_PLAN_FOREVER) == 50);

	CU_ASSERT_EQUAL(weir_plan_limit_reach(&window, 100, &t_ns), WEIR_PLAN_AT);
	CU_ASSERT_EQUAL(t_ns, 0);
	CU_ASSERT_EQUAL(weir_plan_limit_reach(&window, 101, &t_ns), WEIR_PLAN_AT);
	CU_ASSERT_EQUAL(t_ns, 10);
	CU_ASSERT_EQUAL(weir_plan_limit_reach(&rate, 9, &t_ns), WEIR_PLAN_AT);
	CU_ASSERT_EQUAL(t_ns, 1000000000);
	CU_ASSERT_EQUAL(weir_plan_limit_reach(&lifetime, 50, &t_ns), WEIR_PLAN_AT);
	CU_ASSERT_EQUAL(t_ns, 0);
	CU_ASSERT_EQUAL(weir_plan_limit_reach(&lifetime, 51, &t_ns), WEIR_PLAN_NEVER);
	window.window_ns = 36500 * DAY_NS;
	CU_ASSERT_EQUAL(weir_plan_limit_reach(&window, 1000, &t_ns), WEIR_PLAN_BEYOND);
}

/* The largest limits hold, and one more of anything does not. */
static void
test_largest(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (int i = 0; i < 2000; i++) {
		uint64_t need = model_log(&random, 1, UINT64_C(1000000000000000000));
		uint64_t survive = model_log(&random, WEIR_NS_PER_S, 36500 * DAY_NS), t_ns;
		struct weir_plan_limit limit = {.kind = WEIR_PLAN_WINDOW, .owner = ""};

		limit.window_ns = model_log(&random, WEIR_NS_PER_S, 36500 * DAY_NS);
		limit.bytes = weir_plan_largest_window(need, survive, limit.window_ns);
		CU_ASSERT(weir_plan_limit_bytes(&limit, survive - 1) < need);
		limit.bytes++;
		CU_ASSERT_EQUAL(weir_plan_limit_reach(&limit, need, &t_ns), WEIR_PLAN_AT);
		CU_ASSERT(t_ns < survive);
		limit = (struct weir_plan_limit){.kind = WEIR_PLAN_RATE, .owner = ""};
		limit.bytes = weir_random_below(&random, 1000000);
		limit.rate_bit_s = weir_plan_largest_rate(need, survive, limit.bytes);
		if (limit.bytes < need)
			CU_ASSERT(weir_plan_limit_bytes(&limit, survive - 1) < need);
		limit.rate_bit_s++;
		CU_ASSERT(weir_plan_limit_bytes(&limit, survive - 1) >= need);
	}
}

static const char tree[] =
    "budgets:\n"
    "- {name: total, caps: [{limit: 1 GB, per: 1 d}]}\n"
    "- {name: left, parent: total, caps: [{limit: 500 MB}, {limit: 400 MB, per: 1 d}]}\n"
    "- {name: right, parent: total}\n"
    "classes:\n"
    "- {name: web, budget: left, rate: 1 Gbit/s, burst: 16 kB}\n"
    "- {name: log, budget: right, rate: 8 kbit/s, burst: 2 kB}\n"
    "- {name: tap, budget: right, rate: 16 kbit/s, burst: 3 kB}\n"
    "- {name: old, budget: total, rate: 1 Gbit/s, burst: 16 kB}\n"
    "rules:\n"
    "- {protocol: tcp, class: web}\n"
    "- {link: up, protocol: udp, class: log}\n"
    "- {link: side, class: tap}\n";

/* The limits that bind, as "KIND OWNER BYTES, ...", largest first. */
static void
check_binds(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns,
            const char *expected)
{
	static const char *const kinds[] = {"rate", "window", "lifetime"};
	struct weir_plan_bind *binds;
	uint32_t n = weir_plan_binds(plan, path, t_ns, &binds);
	char text[512] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s %" PRIu64,
		                         i == 0 ? "" : ", ", kinds[binds[i].limit.kind],
		                         binds[i].limit.owner, (uint64_t)binds[i].bytes);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected) != 0)
		printf("    got      %s\n    expected %s\n", text, expected);
	free(binds);
}

static void
test_tree(void)
{
	struct weir_config *config = made(tree);
	struct weir_plan *plan = planned(config);
	const uint64_t hour = 3600 * WEIR_NS_PER_S - 1;
	uint64_t t_ns;

	/* An hour: 400 MB of the left, 3.602 MB of log, 7.203 MB of tap; the root has room. */
	check_binds(plan, TOTAL, hour, "window left 400000000, rate tap 7203000, rate log 3602000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_LINK, 0}, hour,
	            "window left 400000000, rate log 3602000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_LINK, 1}, hour,
	            "window left 400000000, rate tap 7203000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_BUDGET, 2}, hour,
	            "rate tap 7203000, rate log 3602000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, 0}, hour,
	            "window left 400000000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, 0}, WEIR_PLAN_FOREVER,
	            "lifetime left 500000000");
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, 0}, 0, "rate web 16001");
	/* No rule sends old. */
	check_binds(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, 3}, hour, "");
	CU_ASSERT_EQUAL(
	    weir_plan_reach(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, 3}, 1, &t_ns),
	    WEIR_PLAN_NEVER);
	CU_ASSERT_FALSE(weir_plan_class_used(plan, 3));
	CU_ASSERT_TRUE(weir_plan_class_used(plan, 2));
	CU_ASSERT_EQUAL(
	    weir_plan_reach(plan, (struct weir_plan_path){WEIR_PLAN_BUDGET, 1}, 500000001, &t_ns),
	    WEIR_PLAN_NEVER);
	CU_ASSERT_EQUAL(weir_plan_n_limits(plan), 7);
	CU_ASSERT_EQUAL(weir_plan_limit(plan, 4).kind, WEIR_PLAN_WINDOW);
	CU_ASSERT_STRING_EQUAL(weir_plan_limit(plan, 5).owner, "left");
	CU_ASSERT_EQUAL(weir_plan_limit(plan, 6).bytes, 400000000);
	weir_plan_free(plan);
	weir_config_free(config);
}

static struct weir_plan_path
random_path(struct weir_random *random, const struct weir_config *config)
{
	switch (weir_random_below(random, 4)) {
	case 0:
		return TOTAL;
	case 1:
		return (struct weir_plan_path){
		    WEIR_PLAN_LINK, (uint32_t)weir_random_below(random, config->n_links)};
	case 2:
		return (struct weir_plan_path){
		    WEIR_PLAN_BUDGET, (uint32_t)weir_random_below(random, config->n_budgets)};
	default:
		return (struct weir_plan_path){
		    WEIR_PLAN_CLASS, (uint32_t)weir_random_below(random, config->n_classes)};
	}
}

/* By definition and by brute force: the least over all cuts through the tree, written otherwise. */
static weir_u128
naive_bytes(const struct weir_plan *plan, const struct weir_config *config, uint32_t budget,
            uint32_t link, uint64_t t_ns)
{
	weir_u128 sum = 0;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		bool used = false;

		for (uint32_t r = 0; r < config->n_rules; r++)
			used = used || (config->rules[r].class_slot == i &&
			                (config->rules[r].link == WEIR_ANY || link == WEIR_ANY ||
			                 config->rules[r].link == link));
		if (used && config->classes[i].budget == budget) {
			struct weir_plan_limit rate = weir_plan_limit(plan, i);

			sum += weir_plan_limit_bytes(&rate, t_ns);
		}
	}
	for (uint32_t i = 0; i < config->n_budgets; i++)
		if (config->budgets[i].parent == budget)
			sum += naive_bytes(plan, config, i, link, t_ns);
	for (uint32_t i = 0; i < config->budgets[budget].n_caps; i++) {
		const struct weir_config_cap *cap = &config->budgets[budget].caps[i];
		weir_u128 bytes = cap->limit_bytes;

		if (cap->window_ns != 0 && t_ns == WEIR_PLAN_FOREVER)
			continue;
		if (cap->window_ns != 0)
			bytes *= t_ns / cap->window_ns + 1;
		sum = bytes < sum ? bytes : sum;
	}
	return sum;
}

/* Random policies: what binds adds up; reach is the first moment; the total as by brute force. */
static void
test_random(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);

	for (int i = 0; i < 150; i++) {
		struct weir_config *config = model_make(&random);
		struct weir_plan *plan = planned(config);

		for (int k = 0; k < 20; k++) {
			struct weir_plan_path path = random_path(&random, config);
			uint64_t t_ns = model_log(&random, 1, WEIR_PLAN_FOREVER - 1) - 1;
			uint64_t need = model_log(&random, 1, UINT64_C(1000000000000000000)), at;
			weir_u128 bytes = weir_plan_bytes(plan, path, t_ns), sum = 0;
			struct weir_plan_bind *binds;
			uint32_t n = weir_plan_binds(plan, path, t_ns, &binds);

			for (uint32_t b = 0; b < n; b++)
				sum += binds[b].bytes;
			CU_ASSERT(sum == bytes);
			CU_ASSERT(bytes <= weir_plan_bytes(plan, TOTAL, t_ns));
			CU_ASSERT(bytes <= weir_plan_bytes(plan, path, t_ns + 1));
			free(binds);
			switch (weir_plan_reach(plan, path, need, &at)) {
			case WEIR_PLAN_AT:
				CU_ASSERT(weir_plan_bytes(plan, path, at) >= need);
				CU_ASSERT(at == 0 || weir_plan_bytes(plan, path, at - 1) < need);
				break;
			case WEIR_PLAN_BEYOND:
				CU_ASSERT(weir_plan_bytes(plan, path, UINT64_MAX - 1) < need);
				break;
			case WEIR_PLAN_NEVER:
				CU_ASSERT(weir_plan_bytes(plan, path, WEIR_PLAN_FOREVER) < need);
				break;
			}
			CU_ASSERT(weir_plan_bytes(plan, TOTAL, t_ns) ==
			          naive_bytes(plan, config, weir_plan_root(plan), WEIR_ANY, t_ns));
		}
		weir_plan_free(plan);
		weir_config_free(config);
	}
}

/* A box that lets through whatever the ledger's windows and the buckets allow. */
#define SIM_CLASSES 5U
#define SIM_BUDGETS 4U

struct box {
	const struct weir_config *config;
	struct weir_rate rates[SIM_CLASSES];
	struct weir_bucket buckets[SIM_CLASSES];
	uint64_t inflight_bytes[SIM_CLASSES];
	struct weir_window windows[SIM_BUDGETS][WEIR_CAPS_MAX];
	uint64_t by_class[SIM_CLASSES], by_budget[SIM_BUDGETS], by_link[2];
};

static void
box_init(struct box *box, const struct weir_config *config)
{
	memset(box, 0, sizeof(*box));
	box->config = config;
	for (uint32_t i = 0; i < config->n_classes; i++) {
		box->rates[i] = weir_rate_make(config->classes[i].rate_bit_s, WEIR_NS_PER_S, 0, 0);
		weir_bucket_init(&box->buckets[i], &box->rates[i], 0);
	}
	for (uint32_t i = 0; i < config->n_budgets; i++)
		for (uint32_t k = 0; k < config->budgets[i].n_caps; k++)
			if (config->budgets[i].caps[k].window_ns != 0)
				weir_window_init(&box->windows[i][k],
				                 config->budgets[i].caps[k].window_ns, 0);
}

/* What the budgets above a class leave. */
static uint64_t
box_left(struct box *box, uint32_t class, uint64_t now_ns)
{
	const struct weir_config *config = box->config;
	uint64_t left = UINT64_MAX;

	for (uint32_t b = config->classes[class].budget; b != WEIR_ANY;
	     b = config->budgets[b].parent) {
		for (uint32_t k = 0; k < config->budgets[b].n_caps; k++) {
			const struct weir_config_cap *cap = &config->budgets[b].caps[k];
			uint64_t used = box->by_budget[b];

			if (cap->window_ns != 0) {
				(void)weir_window_roll(&box->windows[b][k], now_ns);
				used = box->windows[b][k].used_bytes;
			}
			if (cap->limit_bytes - used < left)
				left = cap->limit_bytes - used;
		}
	}
	return left;
}

static void
box_send(struct box *box, uint32_t class, uint32_t link, uint64_t bytes, uint64_t now_ns)
{
	const struct weir_config *config = box->config;
	uint64_t allowance = weir_rate_allowance(&box->rates[class], now_ns);

	CU_ASSERT_FATAL(weir_bucket_take(&box->buckets[class], allowance,
	                                 config->classes[class].burst_bytes, bytes, false));
	box->inflight_bytes[class] += bytes;
	box->by_class[class] += bytes;
	box->by_link[link] += bytes;
	for (uint32_t b = config->classes[class].budget; b != WEIR_ANY;
	     b = config->budgets[b].parent) {
		box->by_budget[b] += bytes;
		for (uint32_t k = 0; k < config->budgets[b].n_caps; k++)
			if (config->budgets[b].caps[k].window_ns != 0)
				weir_window_add(&box->windows[b][k], bytes);
	}
}

/* Everything that has left, against what the plan says of each path. */
static void
box_check(const struct box *box, const struct weir_plan *plan, uint64_t now_ns)
{
	for (uint32_t i = 0; i < box->config->n_classes; i++)
		CU_ASSERT(
		    box->by_class[i] <=
		    weir_plan_bytes(plan, (struct weir_plan_path){WEIR_PLAN_CLASS, i}, now_ns));
	for (uint32_t i = 0; i < box->config->n_budgets; i++)
		CU_ASSERT(
		    box->by_budget[i] <=
		    weir_plan_bytes(plan, (struct weir_plan_path){WEIR_PLAN_BUDGET, i}, now_ns));
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT(
		    box->by_link[i] <=
		    weir_plan_bytes(plan, (struct weir_plan_path){WEIR_PLAN_LINK, i}, now_ns));
	CU_ASSERT(box->by_link[0] + box->by_link[1] <= weir_plan_bytes(plan, TOTAL, now_ns));
}

static size_t
write_caps(struct weir_random *random, char *text, size_t size, bool at_least_one)
{
	size_t used = 0;
	uint32_t n = (uint32_t)weir_random_between(random, at_least_one ? 1 : 0, 3);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t limit = model_log(random, 3000, 30000000);

		used += (size_t)snprintf(text + used, size - used, "%s{limit: %" PRIu64 " B",
		                         i == 0 ? ", caps: [" : ", ", limit);
		/* Two of the same window are none: of a lifetime, of seconds, of tens. */
		if (i > 0)
			used += (size_t)snprintf(
			    text + used, size - used, ", per: %" PRIu64 " ns",
			    i == 1 ? weir_random_between(random, 1000000000, 5000000000)
			           : weir_random_between(random, 5000000001, 60000000000));
		used += (size_t)snprintf(text + used, size - used, "}");
	}
	if (n > 0)
		used += (size_t)snprintf(text + used, size - used, "]");
	return used;
}

static struct weir_config *
random_small(struct weir_random *random)
{
	char text[4096], *end = text;
	size_t left = sizeof(text);
#define ADD(...)                                                                                   \
	do {                                                                                       \
		size_t added = (size_t)snprintf(end, left, __VA_ARGS__);                           \
		end += added;                                                                      \
		left -= added;                                                                     \
	} while (0)
	ADD("budgets:\n");
	for (uint32_t i = 0; i < SIM_BUDGETS; i++) {
		size_t caps;

		ADD("- {name: b%u", i);
		if (i > 0)
			ADD(", parent: b%u", (uint32_t)weir_random_below(random, i));
		caps = write_caps(random, end, left, i == 0);
		end += caps;
		left -= caps;
		ADD("}\n");
	}
	ADD("classes:\n");
	for (uint32_t i = 0; i < SIM_CLASSES; i++)
		ADD("- {name: c%u, budget: b%u, rate: %" PRIu64 " bit/s, burst: %" PRIu64 " B}\n",
		    i, (uint32_t)weir_random_below(random, SIM_BUDGETS),
		    model_log(random, 1000, 1000000000), model_log(random, 1547, 1000000));
	ADD("rules:\n");
	for (uint32_t i = 0; i < SIM_CLASSES; i++) {
		static const char *const links[] = {"", "link: up, ", "link: side, "};

		ADD("- {%sprotocol: %u, class: c%u}\n", links[weir_random_below(random, 3)],
		    100 + i, i);
	}
#undef ADD
	return made(text);
}

/*
 * Attackers who know the policy: greedy ones that take all there is at every step, and others that
 * wait, or come just when a window opens. None gets more than the plan says; and together they get
 * near it, or the plan would be worth nothing.
 */
static void
test_senders(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 2);
	uint32_t close = 0, runs = 60;

	for (uint32_t run = 0; run < runs; run++) {
		struct weir_config *config = random_small(&random);
		struct weir_plan *plan = planned(config);
		bool greedy = weir_random_one_in(&random, 2);
		uint64_t now = 0, got;
		struct box box;

		box_init(&box, config);
		for (int step = 0; step < 400; step++) {
			uint32_t first = (uint32_t)weir_random_below(&random, SIM_CLASSES);

			for (uint32_t n = 0; n < SIM_CLASSES; n++) {
				uint32_t c = (first + n) % SIM_CLASSES;
				const struct weir_rule *rule = &config->rules[c];
				uint32_t link = rule->link != WEIR_ANY
				                    ? rule->link
				                    : (uint32_t)weir_random_below(&random, 2);
				uint64_t allowance = weir_rate_allowance(&box.rates[c], now);
				uint64_t bytes, left = box_left(&box, c, now);

				weir_bucket_departed(&box.buckets[c], allowance,
				                     config->classes[c].burst_bytes,
				                     box.inflight_bytes[c], false);
				box.inflight_bytes[c] = 0;
				bytes = weir_bucket_available(&box.buckets[c], allowance,
				                              config->classes[c].burst_bytes);
				bytes = bytes < left ? bytes : left;
				if (!greedy)
					bytes = weir_random_one_in(&random, 3)
					            ? 0
					            : weir_random_between(&random, 0, bytes);
				box_send(&box, c, link, bytes, now);
			}
			box_check(&box, plan, now);
			now += greedy ? weir_random_between(&random, 1, 300000000)
			              : model_log(&random, 1, 60000000000);
		}
		got = box.by_link[0] + box.by_link[1];
		close += (weir_u128)got * 2 >= weir_plan_bytes(plan, TOTAL, now);
		weir_plan_free(plan);
		weir_config_free(config);
	}
	CU_ASSERT(close > runs / 4);
}

/* Where one limit alone holds, a sender gets exactly the bound: it can't be any lower. */
static void
test_exact(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 3);

	for (int i = 0; i < 200; i++) {
		uint64_t window_ns = weir_random_between(&random, 2, 100);
		uint64_t cap = weir_random_between(&random, 1, 50), until = 500, total = 0;
		struct weir_plan_limit limit = {WEIR_PLAN_WINDOW, "w", cap, 0, window_ns};
		uint64_t sent[501] = {0};

		/* Each nanosecond as much as every window of that length, half open, allows. */
		for (uint64_t t = 0; t <= until; t++) {
			uint64_t in_window = 0;

			for (uint64_t s = t >= window_ns ? t - window_ns + 1 : 0; s < t; s++)
				in_window += sent[s];
			sent[t] = cap - in_window;
			total += sent[t];
			CU_ASSERT(weir_plan_limit_bytes(&limit, t) == total);
		}
	}
}

static const struct weir_test tests[] = {
    {"what an attacker needs", test_needs},
    {"the table of sizes", test_sizing},
    {"one limit", test_limits},
    {"the largest limits that hold", test_largest},
    {"a tree", test_tree},
    {"random policies", test_random},
    {"no sender gets more than the plan says", test_senders},
    {"where one limit holds, a sender gets all of it", test_exact},
};

int
main(void)
{
	return weir_test_run("plan", tests, WEIR_TEST_COUNT(tests));
}
