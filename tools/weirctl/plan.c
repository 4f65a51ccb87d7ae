/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/plan.h"

#include "control/quantity.h"
#include "tools/weirctl/text.h"

#include <stdlib.h>
#include <string.h>

#define ENDLESS   ((weir_u128)1 << 100) /* more than any sum of limits comes to in 584 years */
#define ALL_LINKS UINT32_MAX

/* Children of a budget, as lists through the tables: the first, and then each one's next. */
struct node {
	uint32_t first_budget, next_budget, first_class;
};

struct weir_plan {
	const struct weir_config *config;
	uint32_t root, n_limits;
	struct node *nodes;   /* of budgets */
	uint32_t *next_class; /* of classes */
	uint32_t *links;      /* of classes: a bit for each link that some rule sends them by */
};

weir_u128
weir_plan_limit_bytes(const struct weir_plan_limit *limit, uint64_t t_ns)
{
	const weir_u128 byte_ns = 8 * (weir_u128)WEIR_NS_PER_S; /* a byte at 1 bit/s */

	if (limit->kind == WEIR_PLAN_LIFETIME)
		return limit->bytes;
	if (t_ns == WEIR_PLAN_FOREVER)
		return ENDLESS;
	if (limit->kind == WEIR_PLAN_WINDOW)
		return ((weir_u128)(t_ns / limit->window_ns) + 1) * limit->bytes;
	return ((weir_u128)limit->rate_bit_s * ((weir_u128)t_ns + 1) + byte_ns - 1) / byte_ns +
	       limit->bytes;
}

static struct weir_plan_limit
rate_of(const struct weir_config_class *class)
{
	return (struct weir_plan_limit){.kind = WEIR_PLAN_RATE,
	                                .owner = class->name,
	                                .bytes = class->burst_bytes,
	                                .rate_bit_s = class->rate_bit_s};
}

static struct weir_plan_limit
cap_of(const struct weir_config_budget *budget, uint32_t i)
{
	const struct weir_config_cap *cap = &budget->caps[i];

	return (struct weir_plan_limit){.kind = cap->window_ns == 0 ? WEIR_PLAN_LIFETIME
	                                                            : WEIR_PLAN_WINDOW,
	                                .owner = budget->name,
	                                .bytes = cap->limit_bytes,
	                                .window_ns = cap->window_ns};
}

struct weir_plan *
weir_plan_new(const struct weir_config *config)
{
	struct weir_plan *plan = calloc(1, sizeof(*plan));

	if (plan == NULL)
		return NULL;
	plan->config = config;
	plan->nodes = calloc(config->n_budgets, sizeof(*plan->nodes));
	plan->next_class = calloc(config->n_classes, sizeof(*plan->next_class));
	plan->links = calloc(config->n_classes, sizeof(*plan->links));
	if (plan->nodes == NULL || plan->next_class == NULL || plan->links == NULL) {
		weir_plan_free(plan);
		return NULL;
	}
	plan->n_limits = config->n_classes;
	for (uint32_t i = 0; i < config->n_budgets; i++)
		plan->nodes[i] = (struct node){WEIR_ANY, WEIR_ANY, WEIR_ANY};
	/* From the end, so that lists keep the order of the file. */
	for (uint32_t i = config->n_budgets; i-- > 0;) {
		uint32_t parent = config->budgets[i].parent;

		plan->n_limits += config->budgets[i].n_caps;
		if (parent == WEIR_ANY) {
			plan->root = i;
			continue;
		}
		plan->nodes[i].next_budget = plan->nodes[parent].first_budget;
		plan->nodes[parent].first_budget = i;
	}
	for (uint32_t i = config->n_classes; i-- > 0;) {
		uint32_t budget = config->classes[i].budget;

		plan->next_class[i] = plan->nodes[budget].first_class;
		plan->nodes[budget].first_class = i;
	}
	for (uint32_t i = 0; i < config->n_rules; i++) {
		const struct weir_rule *rule = &config->rules[i];

		plan->links[rule->class_slot] |=
		    rule->link == WEIR_ANY ? ALL_LINKS : UINT32_C(1) << rule->link;
	}
	return plan;
}

void
weir_plan_free(struct weir_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->nodes);
	free(plan->next_class);
	free(plan->links);
	free(plan);
}

uint32_t
weir_plan_root(const struct weir_plan *plan)
{
	return plan->root;
}

bool
weir_plan_class_used(const struct weir_plan *plan, uint32_t class)
{
	return plan->links[class] != 0;
}

uint32_t
weir_plan_n_limits(const struct weir_plan *plan)
{
	return plan->n_limits;
}

struct weir_plan_limit
weir_plan_limit(const struct weir_plan *plan, uint32_t i)
{
	const struct weir_config *config = plan->config;
	uint32_t budget = 0;

	assert(i < plan->n_limits);
	if (i < config->n_classes)
		return rate_of(&config->classes[i]);
	for (i -= config->n_classes; i >= config->budgets[budget].n_caps; budget++)
		i -= config->budgets[budget].n_caps;
	return cap_of(&config->budgets[budget], i);
}

/* The tightest cap of a budget at that time: returns ENDLESS where it has none. */
static weir_u128
least_cap(const struct weir_plan *plan, uint32_t budget, uint64_t t_ns,
          struct weir_plan_limit *tightest)
{
	const struct weir_config_budget *at = &plan->config->budgets[budget];
	weir_u128 least = ENDLESS;

	for (uint32_t i = 0; i < at->n_caps; i++) {
		struct weir_plan_limit limit = cap_of(at, i);
		weir_u128 bytes = weir_plan_limit_bytes(&limit, t_ns);

		if (bytes < least) {
			least = bytes;
			*tightest = limit;
		}
	}
	return least;
}

/* The same over a budget and all above it. */
static weir_u128
least_above(const struct weir_plan *plan, uint32_t budget, uint64_t t_ns,
            struct weir_plan_limit *tightest)
{
	weir_u128 least = ENDLESS;

	for (; budget != WEIR_ANY; budget = plan->config->budgets[budget].parent) {
		struct weir_plan_limit limit = {0};
		weir_u128 bytes = least_cap(plan, budget, t_ns, &limit);

		if (bytes < least) {
			least = bytes;
			*tightest = limit;
		}
	}
	return least;
}

/* Where the limits that bind are put; NULL: nowhere. */
struct binds {
	struct weir_plan_bind *list;
	uint32_t n;
};

static void
put_bind(struct binds *binds, const struct weir_plan_limit *limit, weir_u128 bytes)
{
	if (binds != NULL)
		binds->list[binds->n++] = (struct weir_plan_bind){*limit, bytes};
}

static weir_u128
class_bytes(const struct weir_plan *plan, uint32_t class, uint64_t t_ns, struct binds *binds)
{
	struct weir_plan_limit rate = rate_of(&plan->config->classes[class]);
	weir_u128 bytes = weir_plan_limit_bytes(&rate, t_ns);

	put_bind(binds, &rate, bytes);
	return bytes;
}

/*
 * What a budget's subtree can send, by classes of the links alone, with the budget's own caps.
 * Depth is bounded: WEIR_PATH_MAX.
 */
static weir_u128
subtree_bytes(const struct weir_plan *plan, uint32_t budget, uint32_t links, uint64_t t_ns,
              struct binds *binds)
{
	const struct node *node = &plan->nodes[budget];
	uint32_t mark = binds != NULL ? binds->n : 0;
	struct weir_plan_limit tightest = {0};
	weir_u128 cap = least_cap(plan, budget, t_ns, &tightest), sum = 0;

	for (uint32_t i = node->first_class; i != WEIR_ANY; i = plan->next_class[i])
		if ((plan->links[i] & links) != 0)
			sum += class_bytes(plan, i, t_ns, binds);
	for (uint32_t i = node->first_budget; i != WEIR_ANY; i = plan->nodes[i].next_budget)
		sum += subtree_bytes(plan, i, links, t_ns, binds);
	if (sum <= cap || cap >= ENDLESS)
		return sum < ENDLESS ? sum : ENDLESS;
	if (binds != NULL)
		binds->n = mark;
	put_bind(binds, &tightest, cap);
	return cap;
}

static weir_u128
path_bytes(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns,
           struct binds *binds)
{
	const struct weir_config *config = plan->config;
	uint32_t links = ALL_LINKS, budget = plan->root;
	weir_u128 bytes, above = ENDLESS;
	struct weir_plan_limit tightest = {0};

	if (path.kind == WEIR_PLAN_LINK)
		links = UINT32_C(1) << path.index;
	if (path.kind == WEIR_PLAN_CLASS) {
		above = least_above(plan, config->classes[path.index].budget, t_ns, &tightest);
		bytes =
		    plan->links[path.index] == 0 ? 0 : class_bytes(plan, path.index, t_ns, binds);
	} else {
		if (path.kind == WEIR_PLAN_BUDGET)
			budget = path.index;
		if (config->budgets[budget].parent != WEIR_ANY)
			above = least_above(plan, config->budgets[budget].parent, t_ns, &tightest);
		bytes = subtree_bytes(plan, budget, links, t_ns, binds);
	}
	if (bytes <= above)
		return bytes;
	if (binds != NULL)
		binds->n = 0;
	put_bind(binds, &tightest, above);
	return above;
}

weir_u128
weir_plan_bytes(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns)
{
	return path_bytes(plan, path, t_ns, NULL);
}

/* What weir_plan_reach searches in: one of the two. */
struct curve {
	const struct weir_plan *plan;
	struct weir_plan_path path;
	const struct weir_plan_limit *limit;
};

static weir_u128
curve_bytes(const struct curve *curve, uint64_t t_ns)
{
	return curve->limit != NULL ? weir_plan_limit_bytes(curve->limit, t_ns)
	                            : weir_plan_bytes(curve->plan, curve->path, t_ns);
}

/* Bytes only grow with time: halving finds the first moment at which there are enough. */
static enum weir_plan_when
reach(const struct curve *curve, uint64_t need_bytes, uint64_t *t_ns)
{
	uint64_t low = 0, high = WEIR_PLAN_FOREVER - 1;

	*t_ns = WEIR_PLAN_FOREVER;
	if (curve_bytes(curve, WEIR_PLAN_FOREVER) < need_bytes)
		return WEIR_PLAN_NEVER;
	if (curve_bytes(curve, high) < need_bytes)
		return WEIR_PLAN_BEYOND;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (curve_bytes(curve, middle) < need_bytes)
			low = middle + 1;
		else
			high = middle;
	}
	*t_ns = low;
	return WEIR_PLAN_AT;
}

enum weir_plan_when
weir_plan_reach(const struct weir_plan *plan, struct weir_plan_path path, uint64_t need_bytes,
                uint64_t *t_ns)
{
	const struct curve curve = {plan, path, NULL};

	return reach(&curve, need_bytes, t_ns);
}

enum weir_plan_when
weir_plan_limit_reach(const struct weir_plan_limit *limit, uint64_t need_bytes, uint64_t *t_ns)
{
	const struct curve curve = {.limit = limit};

	return reach(&curve, need_bytes, t_ns);
}

uint64_t
weir_plan_held_ns(enum weir_plan_when when, uint64_t t_ns)
{
	if (when == WEIR_PLAN_NEVER)
		return WEIR_PLAN_FOREVER;
	if (when == WEIR_PLAN_BEYOND)
		return WEIR_PLAN_FOREVER - 1;
	return t_ns > 0 ? t_ns - 1 : 0;
}

static int
compare_binds(const void *left, const void *right)
{
	const struct weir_plan_bind *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return strcmp(a->limit.owner, b->limit.owner);
}

uint32_t
weir_plan_binds(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns,
                struct weir_plan_bind **list)
{
	struct binds binds = {0};

	/* Each class and each budget puts at most one, and its own takes the place of others. */
	binds.list = calloc((size_t)plan->config->n_classes + plan->config->n_budgets + 1,
	                    sizeof(*binds.list));
	if (binds.list == NULL)
		weir_text_no_memory();
	(void)path_bytes(plan, path, t_ns, &binds);
	if (binds.n == 0) {
		free(binds.list);
		binds.list = NULL;
	} else {
		qsort(binds.list, binds.n, sizeof(*binds.list), compare_binds);
	}
	*list = binds.list;
	return binds.n;
}

uint64_t
weir_plan_need_bytes(uint64_t weights_bytes, double compression)
{
	char text[WEIR_QUANTITY_SIZE];
	weir_u128 factor = 0, scale = 1;
	bool fraction = false;

	/* The decimal number that the policy has: of at most 15 digits, so that all fits. */
	for (const char *c = weir_quantity_print_factor(compression, text); *c != '\0'; c++) {
		if (*c == '.') {
			fraction = true;
			continue;
		}
		assert(*c >= '0' && *c <= '9');
		factor *= 10;
		factor += (uint64_t)*c - '0';
		if (fraction)
			scale *= 10;
	}
	assert(factor >= scale);
	return (uint64_t)(((weir_u128)weights_bytes * scale + factor - 1) / factor);
}

uint64_t
weir_plan_largest_window(uint64_t need_bytes, uint64_t survive_ns, uint64_t window_ns)
{
	/* As many windows begin before survive_ns. */
	uint64_t n = (survive_ns - 1) / window_ns + 1;

	return (need_bytes - 1) / n;
}

uint64_t
weir_plan_largest_rate(uint64_t need_bytes, uint64_t survive_ns, uint64_t burst_bytes)
{
	weir_u128 most = weir_sat_sub(need_bytes - 1, burst_bytes);

	most = most * 8 * WEIR_NS_PER_S / survive_ns;
	return most > UINT64_MAX ? UINT64_MAX : (uint64_t)most;
}
