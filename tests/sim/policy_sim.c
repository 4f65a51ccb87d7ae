/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/policy_sim.h"

#include <string.h>

#define KB 1000ULL
#define MS WEIR_NS_PER_MS
#define S  WEIR_NS_PER_S

static const char *const change_names[WEIR_SIM_CHANGES] = {
    [WEIR_SIM_TIGHTEN_CAP] = "cap tightened",    [WEIR_SIM_LOOSEN_CAP] = "cap loosened",
    [WEIR_SIM_NEW_WINDOW] = "window new",        [WEIR_SIM_DROP_CAP] = "cap dropped",
    [WEIR_SIM_ADD_BUDGET] = "budget added",      [WEIR_SIM_REMOVE_BUDGET] = "budget removed",
    [WEIR_SIM_RENAME_BUDGET] = "budget renamed", [WEIR_SIM_MOVE_BUDGET] = "budget moved",
    [WEIR_SIM_ADD_CLASS] = "class added",        [WEIR_SIM_REMOVE_CLASS] = "class removed",
    [WEIR_SIM_MOVE_CLASS] = "class moved",       [WEIR_SIM_CHANGE_RATE] = "rate changed",
    [WEIR_SIM_CHANGE_BURST] = "burst changed",
};

const char *
weir_sim_change_name(enum weir_sim_change change)
{
	return change_names[change];
}

void
weir_sim_budget_name(uint32_t number, char name[WEIR_NAME_SIZE])
{
	memset(name, 0, WEIR_NAME_SIZE);
	snprintf(name, WEIR_NAME_SIZE, "%s%u", number == 0 ? "total" : "budget", number);
}

uint32_t
weir_sim_number(const char *name)
{
	return (uint32_t)(name[strlen(name) - 1] - '0');
}

/* Few lengths, so that a budget meets a window of its own again. */
static uint64_t
random_window(struct weir_random *random)
{
	static const uint64_t lengths[] = {5 * MS,    20 * MS, 100 * MS, 333 * MS + 7, S,
	                                   3 * S + 1, 20 * S,  60 * S,   5 * MS + 1,   64};

	return lengths[weir_random_below(random, WEIR_TEST_COUNT(lengths))];
}

/* Mostly such as are reached, some that are not, now and then one of nothing. */
static uint64_t
random_limit(struct weir_random *random, bool is_window)
{
	uint64_t sort = weir_random_below(random, 12);

	if (sort == 0)
		return weir_random_below(random, 2 * WEIR_SIM_FRAME_MAX);
	if (sort <= 2)
		return weir_random_between(random, 10000 * KB, 100000 * KB);
	return weir_random_between(random, 5 * KB, is_window ? 150 * KB : 1500 * KB);
}

static bool
has_cap(const struct weir_sim_budget *budget, uint64_t window_ns)
{
	for (uint32_t k = 0; k < budget->n_caps; k++)
		if (budget->caps[k].window_ns == window_ns)
			return true;
	return false;
}

static bool
add_cap(struct weir_sim_budget *budget, uint64_t window_ns, struct weir_random *random)
{
	struct weir_config_cap *cap = &budget->caps[budget->n_caps];

	if (budget->n_caps == WEIR_SIM_CAPS || has_cap(budget, window_ns))
		return false;
	cap->window_ns = window_ns;
	cap->limit_bytes = random_limit(random, window_ns != 0);
	budget->n_caps++;
	return true;
}

static void
fill_caps(struct weir_sim_budget *budget, uint32_t least, struct weir_random *random)
{
	uint64_t n = weir_random_between(random, least, WEIR_SIM_CAPS);

	budget->n_caps = 0;
	while (budget->n_caps < n)
		(void)add_cap(budget, weir_random_one_in(random, 2) ? 0 : random_window(random),
		              random);
}

static void
fill_class(struct weir_sim_class *class, uint32_t budget, struct weir_random *random)
{
	class->used = true;
	class->budget = budget;
	class->rate_bit_s = weir_random_between(random, 100 * KB, 50000 * KB);
	if (weir_random_one_in(random, 4))
		class->rate_bit_s = weir_random_between(random, 1000, 100000) * 1000 * KB;
	class->burst_bytes = (uint32_t)weir_random_between(random, WEIR_SIM_FRAME_MAX + 1, 40 * KB);
	class->backlog_bytes = 0;
	if (!weir_random_one_in(random, 4))
		class->backlog_bytes = (uint32_t)weir_random_between(random, 2 * KB, 60 * KB);
}

/* Number of a budget that is used or is not; WEIR_ANY where there is none. */
static uint32_t
pick_budget(const struct weir_sim_policy *policy, bool used, uint32_t first,
            struct weir_random *random)
{
	uint32_t start = (uint32_t)weir_random_below(random, WEIR_SIM_BUDGETS);

	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++) {
		uint32_t number = (start + i) % WEIR_SIM_BUDGETS;

		if (number >= first && policy->budgets[number].used == used)
			return number;
	}
	return WEIR_ANY;
}

static uint32_t
pick_class(const struct weir_sim_policy *policy, bool used, struct weir_random *random)
{
	uint32_t start = (uint32_t)weir_random_below(random, WEIR_SIM_CLASSES);

	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		uint32_t number = (start + i) % WEIR_SIM_CLASSES;

		if (policy->classes[number].used == used)
			return number;
	}
	return WEIR_ANY;
}

static bool
is_below(const struct weir_sim_policy *policy, uint32_t number, uint32_t above)
{
	for (; number != WEIR_ANY; number = policy->budgets[number].parent)
		if (number == above)
			return true;
	return false;
}

static void
add_budget(struct weir_sim_policy *policy, uint32_t number, struct weir_random *random)
{
	struct weir_sim_budget *budget = &policy->budgets[number];
	uint32_t parent = pick_budget(policy, true, 0, random);

	budget->used = true;
	budget->parent = parent;
	fill_caps(budget, 0, random);
}

void
weir_sim_policy_make(struct weir_sim_policy *policy, struct weir_random *random)
{
	uint64_t n = weir_random_below(random, WEIR_SIM_BUDGETS - 2);

	memset(policy, 0, sizeof(*policy));
	policy->heartbeat_limit_ns = weir_random_between(random, 50 * MS, 2 * S);
	policy->budgets[0].used = true;
	policy->budgets[0].parent = WEIR_ANY;
	fill_caps(&policy->budgets[0], 1, random);
	for (uint64_t i = 0; i < n; i++)
		add_budget(policy, pick_budget(policy, false, 1, random), random);
	n = weir_random_between(random, 1, WEIR_SIM_CLASSES - 1);
	for (uint64_t i = 0; i < n; i++) {
		uint32_t class = pick_class(policy, false, random);

		fill_class(&policy->classes[class], pick_budget(policy, true, 0, random), random);
	}
}

/* What belongs to a budget goes to another one. */
static void
hand_over(struct weir_sim_policy *policy, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++)
		if (policy->budgets[i].used && policy->budgets[i].parent == from)
			policy->budgets[i].parent = to;
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++)
		if (policy->classes[i].used && policy->classes[i].budget == from)
			policy->classes[i].budget = to;
}

static bool
change_cap(struct weir_sim_policy *policy, enum weir_sim_change change, struct weir_random *random)
{
	struct weir_sim_budget *budget = &policy->budgets[pick_budget(policy, true, 0, random)];
	struct weir_config_cap *cap;
	uint64_t k = weir_random_below(random, budget->n_caps);

	if (change == WEIR_SIM_NEW_WINDOW)
		return add_cap(budget, random_window(random), random);
	if (budget->n_caps == 0)
		return false;
	cap = &budget->caps[k];
	if (change == WEIR_SIM_DROP_CAP) {
		if (budget == &policy->budgets[0] && budget->n_caps == 1)
			return false;
		budget->caps[k] = budget->caps[--budget->n_caps];
		return true;
	}
	if (change == WEIR_SIM_TIGHTEN_CAP)
		cap->limit_bytes = weir_random_below(random, cap->limit_bytes + 1);
	else
		cap->limit_bytes += weir_random_below(random, cap->limit_bytes + 100 * KB);
	return true;
}

static bool
change_budget(struct weir_sim_policy *policy, enum weir_sim_change change,
              struct weir_random *random)
{
	uint32_t old = pick_budget(policy, true, 1, random);
	uint32_t fresh = pick_budget(policy, false, 1, random);
	uint32_t parent = pick_budget(policy, true, 0, random);

	if (change == WEIR_SIM_ADD_BUDGET) {
		if (fresh != WEIR_ANY)
			add_budget(policy, fresh, random);
		return fresh != WEIR_ANY;
	}
	if (old == WEIR_ANY)
		return false;
	if (change == WEIR_SIM_MOVE_BUDGET) {
		if (is_below(policy, parent, old))
			return false;
		policy->budgets[old].parent = parent;
		return true;
	}
	if (change == WEIR_SIM_RENAME_BUDGET) {
		if (fresh == WEIR_ANY)
			return false;
		policy->budgets[fresh] = policy->budgets[old];
		hand_over(policy, old, fresh);
	} else {
		hand_over(policy, old, policy->budgets[old].parent);
	}
	memset(&policy->budgets[old], 0, sizeof(policy->budgets[old]));
	return true;
}

static bool
change_class(struct weir_sim_policy *policy, enum weir_sim_change change,
             struct weir_random *random)
{
	uint32_t number = pick_class(policy, change != WEIR_SIM_ADD_CLASS, random);
	struct weir_sim_class made = {.used = false}, *class;

	fill_class(&made, pick_budget(policy, true, 0, random), random);
	if (number == WEIR_ANY)
		return false;
	class = &policy->classes[number];
	switch (change) {
	case WEIR_SIM_ADD_CLASS:
		*class = made;
		break;
	case WEIR_SIM_REMOVE_CLASS:
		memset(class, 0, sizeof(*class));
		break;
	case WEIR_SIM_MOVE_CLASS:
		class->budget = made.budget;
		break;
	case WEIR_SIM_CHANGE_RATE:
		class->rate_bit_s = made.rate_bit_s;
		break;
	case WEIR_SIM_CHANGE_BURST:
		class->burst_bytes = made.burst_bytes;
		class->backlog_bytes = made.backlog_bytes;
		break;
	case WEIR_SIM_TIGHTEN_CAP:
	case WEIR_SIM_LOOSEN_CAP:
	case WEIR_SIM_NEW_WINDOW:
	case WEIR_SIM_DROP_CAP:
	case WEIR_SIM_ADD_BUDGET:
	case WEIR_SIM_REMOVE_BUDGET:
	case WEIR_SIM_RENAME_BUDGET:
	case WEIR_SIM_MOVE_BUDGET:
	case WEIR_SIM_CHANGES:
		return false;
	}
	return true;
}

bool
weir_sim_policy_change(struct weir_sim_policy *policy, enum weir_sim_change change,
                       struct weir_random *random)
{
	if (change <= WEIR_SIM_DROP_CAP)
		return change_cap(policy, change, random);
	if (change <= WEIR_SIM_MOVE_BUDGET)
		return change_budget(policy, change, random);
	return change_class(policy, change, random);
}

/* ---- as Weir takes it ---- */

static void
shuffle(uint32_t *numbers, uint32_t n, struct weir_random *random)
{
	for (uint32_t i = 0; i < n; i++)
		numbers[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)weir_random_below(random, i), kept = numbers[i - 1];

		numbers[i - 1] = numbers[k];
		numbers[k] = kept;
	}
}

struct whole {
	struct weir_config config;
	struct weir_port_config port;
	struct weir_config_budget budgets[WEIR_SIM_BUDGETS];
	struct weir_config_class classes[WEIR_SIM_CLASSES];
	struct weir_rule rules[WEIR_SIM_CLASSES];
};

static void
put_classes(const struct weir_sim_policy *policy, struct whole *whole, const uint32_t *at,
            struct weir_random *random)
{
	uint32_t order[WEIR_SIM_CLASSES];

	shuffle(order, WEIR_SIM_CLASSES, random);
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		const struct weir_sim_class *from = &policy->classes[order[i]];
		uint32_t n = whole->config.n_classes;
		struct weir_config_class *to = &whole->classes[n];
		uint16_t port = (uint16_t)(WEIR_SIM_PORT + order[i]);

		if (!from->used)
			continue;
		snprintf(to->name, sizeof(to->name), "class%u", order[i]);
		to->budget = at[from->budget];
		to->rate_bit_s = from->rate_bit_s;
		to->burst_bytes = from->burst_bytes;
		to->backlog_bytes = from->backlog_bytes;
		whole->rules[n] = (struct weir_rule){.link = WEIR_ANY,
		                                     .ethertype = 0x0800,
		                                     .vlan = WEIR_ANY,
		                                     .protocol = 17,
		                                     .source_port_high = UINT16_MAX,
		                                     .destination_port_low = port,
		                                     .destination_port_high = port,
		                                     .class_slot = n};
		whole->config.n_classes++;
		whole->config.n_rules++;
	}
}

struct weir_config *
weir_sim_config_make(const struct weir_sim_policy *policy, struct weir_random *random)
{
	struct whole *whole = calloc(1, sizeof(*whole));
	uint32_t order[WEIR_SIM_BUDGETS], at[WEIR_SIM_BUDGETS];
	struct weir_config *config = &whole->config;

	if (whole == NULL)
		abort();
	whole->port.mtu_bytes = WEIR_SIM_MTU;
	config->appliance.n_workers = 2;
	config->appliance.heartbeat_limit_ns = policy->heartbeat_limit_ns;
	config->n_ports = 1;
	config->ports = &whole->port;
	config->budgets = whole->budgets;
	config->classes = whole->classes;
	config->rules = whole->rules;
	shuffle(order, WEIR_SIM_BUDGETS, random);
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++)
		if (policy->budgets[order[i]].used)
			at[order[i]] = config->n_budgets++;
	for (uint32_t number = 0; number < WEIR_SIM_BUDGETS; number++) {
		const struct weir_sim_budget *from = &policy->budgets[number];
		struct weir_config_budget *to;

		if (!from->used)
			continue;
		to = &whole->budgets[at[number]];
		weir_sim_budget_name(number, to->name);
		to->parent = from->parent == WEIR_ANY ? WEIR_ANY : at[from->parent];
		to->n_caps = from->n_caps;
		memcpy(to->caps, from->caps, from->n_caps * sizeof(from->caps[0]));
	}
	put_classes(policy, whole, at, random);
	return config;
}

void
weir_sim_config_free(struct weir_config *config)
{
	free(config); /* the first member of a whole */
}
