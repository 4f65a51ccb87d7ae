/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which class goes by which send queue of an outside port.
 *
 * A limit below what may honestly leave throttles traffic, and one above it is a weaker wall. So a
 * queue is limited to the sum of its classes' rates, no less, and a class whose rate would lift
 * that sum above what the hardware can hold stays in software.
 */
#include "control/hardware.h"

#include "control/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_PART 4U /* one in so many limited queues is shared, where queues are too few */

#define NAMED_MOST  3U /* classes by their names in one line */

/* A class that the hardware can hold. */
struct wish {
	uint64_t rate_bit_s;
	uint32_t class_index;
	uint8_t before; /* its queue of the plan before; 0: none */
	bool alone;     /* and it was the only one there */
	bool dedicated;
	uint8_t queue;
};

struct planner {
	const struct weir_config *config;
	const struct weir_limiter *limiter;
	const struct weir_hardware_plan *before; /* NULL: none */
	struct weir_config_names before_names;
	struct wish *wishes; /* those that come first get the better place */
	uint32_t n_wishes;
	uint32_t n_dedicated; /* of the wishes */
	uint32_t n_limited;   /* queues 1 to n_limited can be limited */
	uint32_t n_own;       /* so many wishes get a queue of their own */
	uint32_t n_shared;    /* queues for the others */
	bool own[WEIR_TX_QUEUES_MAX];
	bool shared[WEIR_TX_QUEUES_MAX];
};

static bool
can_limit(const struct weir_limiter *limiter, uint32_t n_senders)
{
	if (limiter == NULL || limiter->ops->kind == WEIR_LIMITER_SOFT)
		return false;
	return n_senders <= 1 || limiter->n_senders == n_senders;
}

static uint32_t
limited_queues(const struct weir_limiter *limiter)
{
	uint32_t n = limiter->n_queues;

	n = n < limiter->capabilities.n_queues ? n : limiter->capabilities.n_queues;
	n = n < WEIR_TX_QUEUES_MAX ? n : WEIR_TX_QUEUES_MAX;
	return n == 0 ? 0 : n - 1;
}

static bool
can_hold(const struct planner *planner, uint64_t rate_bit_s)
{
	return weir_limiter_round(planner->limiter, rate_bit_s) != 0;
}

/* Where the class was in the plan before. */
static void
remember(const struct planner *planner, struct wish *wish)
{
	const struct weir_hardware_plan *before = planner->before;
	const char *name = planner->config->classes[wish->class_index].name;
	uint32_t index =
	    before == NULL ? WEIR_ANY : weir_config_names_find(&planner->before_names, name);

	if (index == WEIR_ANY || before->classes[index].queue > planner->n_limited)
		return;
	wish->before = before->classes[index].queue;
	wish->alone = wish->before != 0 && before->queue_classes[wish->before] == 1;
}

/*
 * Equal rates: who had a queue of its own keeps it, so that a class that is added with the rate of
 * others moves none of them.
 */
static int
compare_wishes(const void *left, const void *right)
{
	const struct wish *a = left, *b = right;

	if (a->dedicated != b->dedicated)
		return a->dedicated ? -1 : 1;
	if (a->rate_bit_s != b->rate_bit_s)
		return a->rate_bit_s > b->rate_bit_s ? -1 : 1;
	if (a->alone != b->alone)
		return a->alone ? -1 : 1;
	return a->class_index < b->class_index ? -1 : 1;
}

/* used: which classes rules send by this link. */
static void
gather(struct planner *planner, const bool *used)
{
	const struct weir_config *config = planner->config;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];
		struct wish *wish = &planner->wishes[planner->n_wishes];

		if (!used[i] || !can_hold(planner, class->rate_bit_s))
			continue;
		*wish = (struct wish){.rate_bit_s = class->rate_bit_s,
		                      .class_index = i,
		                      .dedicated = class->dedicated};
		remember(planner, wish);
		planner->n_wishes++;
		planner->n_dedicated += class->dedicated;
	}
	qsort(planner->wishes, planner->n_wishes, sizeof(*planner->wishes), compare_wishes);
}

/* How many classes get a queue of their own, and how many queues the others share. */
static void
divide(struct planner *planner)
{
	uint32_t left = planner->n_limited - planner->n_dedicated;

	planner->n_own = planner->n_wishes;
	if (planner->n_wishes <= planner->n_limited)
		return;
	if (planner->limiter->capabilities.completions) {
		planner->n_shared = planner->n_limited / SHARED_PART;
		if (planner->n_shared == 0)
			planner->n_shared = 1;
		if (planner->n_shared > left)
			planner->n_shared = left;
	}
	planner->n_own = planner->n_limited - planner->n_shared;
}

/* Of the queues that are still free, takes those to share that keep the most classes in place. */
static void
choose_shared(struct planner *planner)
{
	uint32_t stay[WEIR_TX_QUEUES_MAX] = {0};

	for (uint32_t i = planner->n_own; i < planner->n_wishes; i++)
		stay[planner->wishes[i].before]++;
	for (uint32_t n = 0; n < planner->n_shared; n++) {
		uint32_t best = 0;

		for (uint32_t queue = planner->n_limited; queue > 0; queue--)
			if (!planner->own[queue] && !planner->shared[queue] &&
			    (best == 0 || stay[queue] > stay[best]))
				best = queue;
		assert(best != 0);
		planner->shared[best] = true;
	}
}

static void
place_own(struct planner *planner)
{
	uint8_t next = 1;

	for (uint32_t i = 0; i < planner->n_own; i++) {
		struct wish *wish = &planner->wishes[i];

		if (!wish->alone || planner->own[wish->before])
			continue;
		wish->queue = wish->before;
		planner->own[wish->queue] = true;
	}
	choose_shared(planner);
	for (uint32_t i = 0; i < planner->n_own; i++) {
		struct wish *wish = &planner->wishes[i];

		if (wish->queue != 0)
			continue;
		while (planner->own[next] || planner->shared[next])
			next++;
		assert(next <= planner->n_limited);
		wish->queue = next;
		planner->own[next] = true;
	}
}

/* Adds a class to a shared queue, if the hardware can hold the sum. */
static bool
join(const struct planner *planner, uint64_t *sums, struct wish *wish, uint8_t queue)
{
	uint64_t sum = sums[queue] + wish->rate_bit_s;

	if (!can_hold(planner, sum))
		return false;
	sums[queue] = sum;
	wish->queue = queue;
	return true;
}

/*
 * Places the classes that share: first, with stay, those that can stay where they were, then each
 * where the sum is lowest. Returns how many found no room.
 */
static uint32_t
place_shared(struct planner *planner, bool stay)
{
	uint64_t sums[WEIR_TX_QUEUES_MAX] = {0};
	uint32_t homeless = 0;

	for (uint32_t i = planner->n_own; i < planner->n_wishes; i++) {
		struct wish *wish = &planner->wishes[i];

		wish->queue = 0;
		if (stay && planner->shared[wish->before])
			(void)join(planner, sums, wish, wish->before);
	}
	for (uint32_t i = planner->n_own; i < planner->n_wishes; i++) {
		struct wish *wish = &planner->wishes[i];
		uint8_t lowest = 0;

		if (wish->queue != 0)
			continue;
		for (uint8_t queue = 1; queue <= planner->n_limited; queue++)
			if (planner->shared[queue] && (lowest == 0 || sums[queue] < sums[lowest]))
				lowest = queue;
		if (lowest == 0 || !join(planner, sums, wish, lowest))
			homeless++;
	}
	return homeless;
}

/* Classes only move from where they were if that gives more of them a limit. */
static void
place(struct planner *planner)
{
	uint32_t homeless;

	place_own(planner);
	homeless = place_shared(planner, true);
	if (homeless > 0 && place_shared(planner, false) >= homeless)
		(void)place_shared(planner, true);
}

static void
write_down(const struct planner *planner, struct weir_hardware_plan *plan)
{
	for (uint32_t i = 0; i < planner->n_wishes; i++) {
		const struct wish *wish = &planner->wishes[i];
		uint8_t queue = wish->queue;
		uint32_t burst = planner->config->classes[wish->class_index].burst_bytes;

		if (queue == 0)
			continue;
		plan->classes[wish->class_index].queue = queue;
		plan->queue_classes[0]--;
		plan->queue_classes[queue]++;
		plan->queue_bit_s[queue] += wish->rate_bit_s;
		plan->queue_burst_bytes[queue] += burst;
		if (plan->queue_burst_bytes[queue] > UINT32_MAX)
			plan->queue_burst_bytes[queue] = UINT32_MAX;
		if (plan->n_queues <= queue)
			plan->n_queues = queue + 1U;
	}
	for (uint32_t i = 0; i < planner->n_wishes; i++) {
		const struct wish *wish = &planner->wishes[i];

		if (wish->queue != 0)
			plan->classes[wish->class_index].way = plan->queue_classes[wish->queue] == 1
			                                           ? WEIR_WAY_DEDICATED
			                                           : WEIR_WAY_SHARED;
	}
}

/* Plans what the hardware is to limit. sum_bit_s: of all classes that go this way. */
static int
plan_limits(struct planner *planner, const bool *used, uint64_t sum_bit_s,
            struct weir_hardware_plan *plan)
{
	gather(planner, used);
	if (planner->n_dedicated > planner->n_limited)
		return -ENOSPC;
	divide(planner);
	place(planner);
	write_down(planner, plan);
	if (plan->n_queues > 1 && planner->limiter->capabilities.port_limit &&
	    can_hold(planner, sum_bit_s))
		plan->port_bit_s = sum_bit_s;
	return 0;
}

/* All in queue 0. used: which classes rules send by link. Returns the sum of their rates. */
static uint64_t
plan_none(const struct weir_config *config, uint32_t link, bool *used,
          struct weir_hardware_plan *plan)
{
	uint64_t sum_bit_s = 0;

	plan->n_queues = 1;
	plan->n_classes = config->n_classes;
	for (uint32_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].link == WEIR_ANY || config->rules[i].link == link)
			used[config->rules[i].class_slot] = true;
	for (uint32_t i = 0; i < config->n_classes; i++) {
		memcpy(plan->classes[i].name, config->classes[i].name, WEIR_NAME_SIZE);
		if (!used[i])
			continue;
		plan->classes[i].used = true;
		plan->queue_classes[0]++;
		sum_bit_s += config->classes[i].rate_bit_s;
	}
	return sum_bit_s;
}

int
weir_hardware_plan(const struct weir_config *config, uint32_t link,
                   const struct weir_limiter *limiter, uint32_t n_senders,
                   const struct weir_hardware_plan *before, struct weir_hardware_plan *plan,
                   char *error, size_t error_size)
{
	struct planner planner = {.config = config, .limiter = limiter, .before = before};
	bool *used = calloc(config->n_classes, sizeof(*used));
	uint64_t sum_bit_s;
	int rc = 0;

	assert(before != plan && error_size > 0);
	error[0] = '\0';
	*plan = (struct weir_hardware_plan){0};
	plan->classes = calloc(config->n_classes, sizeof(*plan->classes));
	planner.wishes = calloc(config->n_classes, sizeof(*planner.wishes));
	if (used == NULL || plan->classes == NULL || planner.wishes == NULL)
		rc = -ENOMEM;
	if (rc == 0 && before != NULL)
		rc = weir_config_names_make(&planner.before_names, before->classes,
		                            sizeof(*before->classes), before->n_classes);
	if (rc == 0) {
		sum_bit_s = plan_none(config, link, used, plan);
		if (can_limit(limiter, n_senders)) {
			planner.n_limited = limited_queues(limiter);
			rc = plan_limits(&planner, used, sum_bit_s, plan);
		}
	}
	if (rc == -ENOMEM)
		snprintf(error, error_size, "out of memory");
	if (rc == -ENOSPC)
		snprintf(error, error_size,
		         "link %s: %u classes want a queue of their own, and port %s can limit %u",
		         config->links[link].name, planner.n_dedicated,
		         config->ports[config->links[link].outside].name, planner.n_limited);
	if (rc != 0)
		weir_hardware_plan_free(plan);
	weir_config_names_free(&planner.before_names);
	free(planner.wishes);
	free(used);
	return rc;
}

void
weir_hardware_plan_free(struct weir_hardware_plan *plan)
{
	free(plan->classes);
	*plan = (struct weir_hardware_plan){0};
}

bool
weir_hardware_plan_limits_all(const struct weir_hardware_plan *plan, char *error, size_t error_size)
{
	size_t used = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < plan->n_classes; i++) {
		if (!plan->classes[i].used || plan->classes[i].way != WEIR_WAY_SOFTWARE)
			continue;
		if (n < NAMED_MOST && used < error_size)
			used +=
			    (size_t)snprintf(error + used, error_size - used, "%s%s",
			                     n == 0 ? "limited in software alone would be " : ", ",
			                     plan->classes[i].name);
		n++;
	}
	if (n > NAMED_MOST && used < error_size)
		snprintf(error + used, error_size - used, " and %" PRIu32 " more", n - NAMED_MOST);
	return n == 0;
}
