/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the plan of a port's queues: a NIC that is made up, policies of any classes, and a
 * judge who knows what a plan promises and not how it is made.
 */
#ifndef WEIR_TESTS_UNIT_PLAN_BOX_H
#define WEIR_TESTS_UNIT_PLAN_BOX_H

#include "control/hardware.h"
#include "tests/unit/harness.h"

#include <string.h>

#define MBIT UINT64_C(1000000)

/* A made up NIC: multiples of a step, up to a largest rate. */
static struct {
	uint64_t step_bit_s, max_bit_s;
	uint64_t calls;
} nic;

/* As the contract says: down, by at most WEIR_LIMITER_LOSS_PPM, or not at all. */
static inline uint64_t
held(uint64_t rate_bit_s)
{
	uint64_t rate = rate_bit_s < nic.max_bit_s ? rate_bit_s : nic.max_bit_s;

	rate -= rate % nic.step_bit_s;
	if ((weir_u128)(rate_bit_s - rate) * 1000000 >
	    (weir_u128)rate_bit_s * WEIR_LIMITER_LOSS_PPM)
		return 0;
	return rate;
}

static inline struct weir_limiter
limiter_make(enum weir_limiter_kind kind, uint16_t n_queues, bool completions)
{
	static const struct weir_limiter_ops ops[] = {
	    [WEIR_LIMITER_TM] = {.kind = WEIR_LIMITER_TM},
	    [WEIR_LIMITER_QUEUE] = {.kind = WEIR_LIMITER_QUEUE},
	    [WEIR_LIMITER_SOFT] = {.kind = WEIR_LIMITER_SOFT},
	};

	return (struct weir_limiter){
	    .ops = &ops[kind],
	    .capabilities = {.n_queues = n_queues, .completions = completions},
	    .n_queues = n_queues,
	    .n_senders = 1,
	};
}

/* Two links; classes and rules are added. Free with weir_config_free. */
static inline struct weir_config *
policy_make(uint32_t n_classes)
{
	struct weir_config *config = calloc(1, sizeof(*config));

	config->n_ports = 4;
	config->n_links = 2;
	config->ports = calloc(config->n_ports, sizeof(*config->ports));
	config->links = calloc(config->n_links, sizeof(*config->links));
	config->classes = calloc(n_classes, sizeof(*config->classes));
	config->rules = calloc(n_classes, sizeof(*config->rules));
	snprintf(config->ports[1].name, WEIR_NAME_SIZE, "out0");
	snprintf(config->ports[3].name, WEIR_NAME_SIZE, "out1");
	config->links[0] = (struct weir_config_link){.name = "up", .inside = 0, .outside = 1};
	config->links[1] = (struct weir_config_link){.name = "side", .inside = 2, .outside = 3};
	return config;
}

/* Adds a class and a rule that sends it by a link. */
static inline struct weir_config_class *
policy_add(struct weir_config *config, uint32_t link, uint64_t rate_bit_s)
{
	struct weir_config_class *class = &config->classes[config->n_classes];

	snprintf(class->name, sizeof(class->name), "c%u", config->n_classes);
	class->rate_bit_s = rate_bit_s;
	class->burst_bytes = 2000 + config->n_classes;
	config->rules[config->n_rules++] =
	    (struct weir_rule){.link = link, .class_slot = config->n_classes++};
	return class;
}

/*
 * Classes a, b, c ... from their rates in Mbit/s; with "!" they want a queue of their own, with "~"
 * they go by the other link, with "*" by any.
 */
static inline struct weir_config *
policy_read(const char *text)
{
	struct weir_config *config = policy_make((uint32_t)strlen(text));

	for (char *end; *text != '\0'; text = end + strspn(end, "!~* ")) {
		uint64_t rate = strtoull(text, &end, 10) * MBIT;
		struct weir_config_class *class;

		CU_ASSERT_FATAL(end != text);
		class = policy_add(config, *end == '*' ? WEIR_ANY : *end == '~', rate);
		class->dedicated = *end == '!';
		class->burst_bytes = 1000;
		snprintf(class->name, sizeof(class->name), "%c",
		         (char)('a' + config->n_classes - 1));
	}
	return config;
}

static inline bool
sent_by(const struct weir_config *config, uint32_t class_index, uint32_t link)
{
	for (uint32_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].class_slot == class_index &&
		    (config->rules[i].link == link || config->rules[i].link == WEIR_ANY))
			return true;
	return false;
}

/* Counts, sums and ways, added up again. */
static inline void
judge_sums(const struct weir_config *config, const struct weir_limiter *limiter, uint32_t link,
           const struct weir_hardware_plan *plan)
{
	uint64_t rate[WEIR_TX_QUEUES_MAX] = {0}, burst[WEIR_TX_QUEUES_MAX] = {0}, sum = 0;
	uint32_t n[WEIR_TX_QUEUES_MAX] = {0}, wrong = 0, last = 0;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		uint8_t queue = plan->classes[i].queue;

		wrong += strcmp(plan->classes[i].name, config->classes[i].name) != 0;
		CU_ASSERT_FATAL(queue < plan->n_queues);
		if (!sent_by(config, i, link)) {
			wrong += queue != 0 || plan->classes[i].way != WEIR_WAY_SOFTWARE;
			continue;
		}
		n[queue]++;
		rate[queue] += queue == 0 ? 0 : config->classes[i].rate_bit_s;
		burst[queue] += queue == 0 ? 0 : config->classes[i].burst_bytes;
		sum += config->classes[i].rate_bit_s;
		last = queue > last ? queue : last;
	}
	for (uint32_t i = 0; i < WEIR_TX_QUEUES_MAX; i++) {
		burst[i] = burst[i] > UINT32_MAX ? UINT32_MAX : burst[i];
		wrong += plan->queue_classes[i] != n[i] || plan->queue_bit_s[i] != rate[i] ||
		         plan->queue_burst_bytes[i] != burst[i];
		wrong += rate[i] != 0 && held(rate[i]) == 0;
	}
	for (uint32_t i = 0; i < config->n_classes; i++) {
		uint8_t queue = plan->classes[i].queue;

		wrong += plan->classes[i].way != (queue == 0      ? WEIR_WAY_SOFTWARE
		                                  : n[queue] == 1 ? WEIR_WAY_DEDICATED
		                                                  : WEIR_WAY_SHARED);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(plan->n_classes, config->n_classes);
	CU_ASSERT_EQUAL(plan->n_queues, last + 1);
	CU_ASSERT(plan->n_queues <= 1U || plan->n_queues <= limiter->n_queues);
	CU_ASSERT_EQUAL(plan->port_bit_s,
	                last > 0 && limiter->capabilities.port_limit && held(sum) ? sum : 0);
}

/* Who comes first when queues of one's own are given out has the larger claim. */
static inline uint64_t
claim_of(const struct weir_config_class *class)
{
	return (uint64_t) class->dedicated << 63 | class->rate_bit_s;
}

static inline int
compare_claims(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a > *b ? -1 : *a < *b;
}

/* Returns how many queues are to be shared. */
static inline uint32_t
judge_shared(const struct weir_limiter *limiter, uint32_t n_wishes, uint32_t n_dedicated)
{
	uint32_t n_limited = limiter->n_queues - 1U, shared = n_limited < 8 ? 1 : n_limited / 4;

	if (n_wishes <= n_limited || !limiter->capabilities.completions)
		return 0;
	return shared < n_limited - n_dedicated ? shared : n_limited - n_dedicated;
}

/* What stays in software although the hardware could hold it has no room anywhere. */
static inline uint32_t
judge_homeless(const struct weir_hardware_plan *plan, uint32_t n_limited, uint64_t rate_bit_s,
               bool sharing)
{
	uint32_t wrong = 0;

	for (uint32_t queue = 1; queue <= n_limited; queue++)
		wrong += plan->queue_classes[queue] == 0 ||
		         (sharing && plan->queue_classes[queue] > 1 &&
		          held(plan->queue_bit_s[queue] + rate_bit_s) != 0);
	return wrong;
}

/* Who is to have a queue of its own has one; the others share, or stay in software. */
static inline void
judge_places(const struct weir_config *config, const struct weir_limiter *limiter, uint32_t link,
             const struct weir_hardware_plan *plan)
{
	const uint32_t n_limited = limiter->n_queues - 1U;
	uint64_t *claims = calloc(config->n_classes, sizeof(*claims)), least;
	uint32_t n = 0, dedicated = 0, shared, n_own, own = 0, wrong = 0;
	bool *wish = calloc(config->n_classes, sizeof(*wish));

	for (uint32_t i = 0; i < config->n_classes; i++) {
		wish[i] = sent_by(config, i, link) && held(config->classes[i].rate_bit_s) != 0;
		if (wish[i])
			claims[n++] = claim_of(&config->classes[i]);
		dedicated += wish[i] && config->classes[i].dedicated;
	}
	qsort(claims, n, sizeof(*claims), compare_claims);
	shared = judge_shared(limiter, n, dedicated);
	n_own = n <= n_limited ? n : n_limited - shared;
	least = n_own == 0 ? UINT64_MAX : claims[n_own - 1];
	for (uint32_t i = 0; i < config->n_classes; i++) {
		uint64_t claim = claim_of(&config->classes[i]);
		bool alone = plan->classes[i].way == WEIR_WAY_DEDICATED;

		wrong += !wish[i] && plan->classes[i].queue != 0;
		wrong += wish[i] && !alone &&
		         (claim > least || n == n_own || config->classes[i].dedicated);
		wrong += shared == 0 && plan->classes[i].way == WEIR_WAY_SHARED;
		own += wish[i] && alone && claim >= least;
		if (wish[i] && plan->classes[i].queue == 0)
			wrong += judge_homeless(plan, n_limited, config->classes[i].rate_bit_s,
			                        shared > 0);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(own >= n_own);
	free(claims);
	free(wish);
}

static inline bool
same_plan(const struct weir_hardware_plan *a, const struct weir_hardware_plan *b)
{
	bool same = a->n_classes == b->n_classes && a->n_queues == b->n_queues &&
	            a->port_bit_s == b->port_bit_s &&
	            memcmp(a->queue_bit_s, b->queue_bit_s, sizeof(a->queue_bit_s)) == 0 &&
	            memcmp(a->queue_classes, b->queue_classes, sizeof(a->queue_classes)) == 0;

	for (uint32_t i = 0; same && i < a->n_classes; i++)
		same = strcmp(a->classes[i].name, b->classes[i].name) == 0 &&
		       a->classes[i].queue == b->classes[i].queue &&
		       a->classes[i].way == b->classes[i].way;
	return same;
}

/* A plan that starts from nothing balances the queues that are shared. */
static inline void
judge_balance(const struct weir_config *config, const struct weir_hardware_plan *plan)
{
	uint64_t low = UINT64_MAX, high = 0, rate = 0;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		uint64_t sum = plan->queue_bit_s[plan->classes[i].queue];

		if (plan->classes[i].way != WEIR_WAY_SHARED)
			continue;
		low = sum < low ? sum : low;
		high = sum > high ? sum : high;
		rate = config->classes[i].rate_bit_s > rate ? config->classes[i].rate_bit_s : rate;
	}
	CU_ASSERT(high == 0 || high - low <= rate);
}

/* Takes a class out, with its rule; those behind it move up. */
static inline void
policy_remove(struct weir_config *config, uint32_t class_index)
{
	uint32_t n = 0;

	for (uint32_t i = class_index; i + 1 < config->n_classes; i++)
		config->classes[i] = config->classes[i + 1];
	config->n_classes--;
	for (uint32_t i = 0; i < config->n_rules; i++) {
		struct weir_rule rule = config->rules[i];

		if (rule.class_slot == class_index)
			continue;
		rule.class_slot -= rule.class_slot > class_index;
		config->rules[n++] = rule;
	}
	config->n_rules = n;
}

static inline void
policy_reverse(struct weir_config *config)
{
	for (uint32_t i = 0, j = config->n_classes - 1; i < j; i++, j--) {
		struct weir_config_class class = config->classes[i];

		config->classes[i] = config->classes[j];
		config->classes[j] = class;
	}
	for (uint32_t i = 0; i < config->n_rules; i++)
		config->rules[i].class_slot = config->n_classes - 1 - config->rules[i].class_slot;
}

static inline uint32_t
moved(const struct weir_hardware_plan *from, const struct weir_hardware_plan *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < from->n_classes; i++)
		for (uint32_t j = 0; j < to->n_classes; j++)
			n += strcmp(from->classes[i].name, to->classes[j].name) == 0 &&
			     from->classes[i].queue != to->classes[j].queue;
	return n;
}

#endif
