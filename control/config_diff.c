/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a change of policy does. Everything that is not surely neutral or tighter counts as looser:
 * a wrong "loosens" costs a question, a wrong "tightens" costs the asset.
 */
#include "control/config_diff_rules.h"
#include "control/config_value.h"
#include "control/quantity.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 768U /* two devices and a name take 600 */

struct diff {
	const struct weir_config *from, *to;
	const uint64_t *used_bytes; /* of from's budgets; NULL: not known */
	void (*each)(void *arg, enum weir_change change, const char *what);
	void *arg;
};

__attribute__((format(printf, 3, 4))) static void
say(const struct diff *diff, enum weir_change change, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	diff->each(diff->arg, change, line);
}

/* Says that a number went from one value to another: more of it is looser. */
static void
say_limit(const struct diff *diff, const char *what, const char *name, const char *key,
          const char *(*print)(uint64_t, char *), uint64_t from, uint64_t to)
{
	char before[WEIR_QUANTITY_SIZE], after[WEIR_QUANTITY_SIZE];

	if (from == to)
		return;
	say(diff, to > from ? WEIR_CHANGE_LOOSENS : WEIR_CHANGE_TIGHTENS, "%s %s: %s %s -> %s",
	    what, name, key, print(from, before), print(to, after));
}

/* Says that two texts differ, of something that can't change while Weir runs. */
static void
say_text(const struct diff *diff, const char *what, const char *key, const char *from,
         const char *to)
{
	if (strcmp(from, to) != 0)
		say(diff, WEIR_CHANGE_RESTART, "%s: %s %s -> %s", what, key,
		    from[0] != '\0' ? from : "none", to[0] != '\0' ? to : "none");
}

static void
print_numbers(const uint32_t *numbers, uint32_t n, char *text, size_t size)
{
	size_t used = 0;

	assert(size >= n * 12 + 3);
	text[used++] = '[';
	for (uint32_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%u", i == 0 ? "" : ", ",
		                         numbers[i]);
	snprintf(text + used, size - used, "]");
}

static void
diff_list(const struct diff *diff, const char *key, const uint32_t *from, uint32_t n_from,
          const uint32_t *to, uint32_t n_to)
{
	char before[WEIR_WORKERS_MAX * 12 + 4], after[WEIR_WORKERS_MAX * 12 + 4];

	static_assert(WEIR_USERS_MAX <= WEIR_WORKERS_MAX, "both lists fit");
	print_numbers(from, n_from, before, sizeof(before));
	print_numbers(to, n_to, after, sizeof(after));
	say_text(diff, "appliance", key, before, after);
}

/* missing: what 0 stands for. */
static void
diff_number(const struct diff *diff, const char *what, const char *key, const char *missing,
            uint64_t from, uint64_t to)
{
	char before[24], after[24];

	snprintf(before, sizeof(before), "%llu", (unsigned long long)from);
	snprintf(after, sizeof(after), "%llu", (unsigned long long)to);
	say_text(diff, what, key, from == 0 ? missing : before, to == 0 ? missing : after);
}

static void
diff_quantity(const struct diff *diff, const char *key, const char *(*print)(uint64_t, char *),
              uint64_t from, uint64_t to)
{
	char before[WEIR_QUANTITY_SIZE], after[WEIR_QUANTITY_SIZE];

	say_text(diff, "appliance", key, print(from, before), print(to, after));
}

/* What the ledger was opened with: a change of it would need another ledger, or another start. */
static void
diff_ledger(const struct diff *diff, const struct weir_config_appliance *from,
            const struct weir_config_appliance *to)
{
	char before[16], after[16];

	say_text(diff, "appliance", "ledger_key", from->ledger_key, to->ledger_key);
	diff_quantity(diff, "grant_horizon", weir_quantity_print_duration, from->grant_horizon_ns,
	              to->grant_horizon_ns);
	diff_quantity(diff, "grant_min", weir_quantity_print_bytes, from->grant_min_bytes,
	              to->grant_min_bytes);
	diff_quantity(diff, "grant_max", weir_quantity_print_bytes, from->grant_max_bytes,
	              to->grant_max_bytes);
	say_text(diff, "appliance", "witness",
	         weir_config_word_of(weir_config_witnesses, from->witness),
	         weir_config_word_of(weir_config_witnesses, to->witness));
	say_text(diff, "appliance", "witness_path", from->witness_path, to->witness_path);
	say_text(diff, "appliance", "witness_tcti", from->witness_tcti, to->witness_tcti);
	snprintf(before, sizeof(before), "0x%08x", from->witness_index);
	snprintf(after, sizeof(after), "0x%08x", to->witness_index);
	say_text(diff, "appliance", "witness_index", from->witness_index == 0 ? "" : before,
	         to->witness_index == 0 ? "" : after);
	diff_quantity(diff, "witness_every", weir_quantity_print_bytes, from->witness_every_bytes,
	              to->witness_every_bytes);
	diff_quantity(diff, "witness_interval", weir_quantity_print_duration,
	              from->witness_interval_ns, to->witness_interval_ns);
}

static void
diff_appliance(const struct diff *diff)
{
	const struct weir_config_appliance *from = &diff->from->appliance;
	const struct weir_config_appliance *to = &diff->to->appliance;

	say_text(diff, "appliance", "name", from->name, to->name);
	diff_list(diff, "workers", from->workers, from->n_workers, to->workers, to->n_workers);
	diff_number(diff, "appliance", "control_lcore", "0", from->control_lcore,
	            to->control_lcore);
	diff_quantity(diff, "memory", weir_quantity_print_bytes, from->memory_bytes,
	              to->memory_bytes);
	say_text(diff, "appliance", "huge_pages",
	         weir_config_word_of(weir_config_huge_pages, from->huge_pages),
	         weir_config_word_of(weir_config_huge_pages, to->huge_pages));
	say_text(diff, "appliance", "allow_remote_numa", from->allow_remote_numa ? "true" : "false",
	         to->allow_remote_numa ? "true" : "false");
	say_text(diff, "appliance", "ledger", from->ledger, to->ledger);
	diff_ledger(diff, from, to);
	say_text(diff, "appliance", "control_socket", from->control_socket, to->control_socket);
	say_text(diff, "appliance", "read_socket", from->read_socket, to->read_socket);
	diff_list(diff, "control_users", from->control_users, from->n_control_users,
	          to->control_users, to->n_control_users);
	diff_list(diff, "read_users", from->read_users, from->n_read_users, to->read_users,
	          to->n_read_users);
	diff_number(diff, "appliance", "metrics_port", "none", from->metrics_port,
	            to->metrics_port);
	diff_quantity(diff, "heartbeat_limit", weir_quantity_print_duration,
	              from->heartbeat_limit_ns, to->heartbeat_limit_ns);
	diff_quantity(diff, "drain_limit", weir_quantity_print_duration, from->drain_limit_ns,
	              to->drain_limit_ns);
}

/* Says that a promise went from one value to another; less: it promises less. */
static void
say_promise(const struct diff *diff, const char *key, bool less, const char *from, const char *to)
{
	say(diff, less ? WEIR_CHANGE_LOOSENS : WEIR_CHANGE_TIGHTENS, "asset: %s %s -> %s", key,
	    from[0] != '\0' ? from : "none", to[0] != '\0' ? to : "none");
}

/*
 * The asset sets no cap: it says what caps must be worth, and it is what the gauge of the model's
 * share is computed by. Whatever makes a gauge show less, or a plan ask for less, counts as looser.
 */
static void
diff_asset(const struct diff *diff)
{
	const struct weir_config_asset *from = &diff->from->asset, *to = &diff->to->asset;
	char before[WEIR_QUANTITY_SIZE], after[WEIR_QUANTITY_SIZE];

	if (diff->from->has_asset != diff->to->has_asset)
		say(diff, diff->to->has_asset ? WEIR_CHANGE_NEUTRAL : WEIR_CHANGE_LOOSENS,
		    "asset: %s", diff->to->has_asset ? "added" : "removed");
	if (!diff->from->has_asset || !diff->to->has_asset)
		return;
	if (strcmp(from->name, to->name) != 0)
		say(diff, WEIR_CHANGE_NEUTRAL, "asset: name %s -> %s", from->name, to->name);
	if (from->weights_bytes != to->weights_bytes)
		say_promise(diff, "weights", to->weights_bytes > from->weights_bytes,
		            weir_quantity_print_bytes(from->weights_bytes, before),
		            weir_quantity_print_bytes(to->weights_bytes, after));
	if (from->compression < to->compression || from->compression > to->compression)
		say_promise(diff, "compression", to->compression < from->compression,
		            weir_quantity_print_factor(from->compression, before),
		            weir_quantity_print_factor(to->compression, after));
	if (from->survive_ns != to->survive_ns)
		say_promise(diff, "survive", to->survive_ns < from->survive_ns,
		            weir_quantity_print_duration(from->survive_ns, before),
		            weir_quantity_print_duration(to->survive_ns, after));
	if (strcmp(from->accept_risk, to->accept_risk) != 0)
		say_promise(diff, "accept_risk", to->accept_risk[0] != '\0', from->accept_risk,
		            to->accept_risk);
}

static void
print_test(const struct weir_port_config *port, char *text, size_t size)
{
	const uint8_t *mac = port->limiter_test_destination;
	char time[WEIR_QUANTITY_SIZE];

	if (port->limiter_test_ns == 0)
		snprintf(text, size, "none");
	else
		snprintf(text, size, "%s to %02x:%02x:%02x:%02x:%02x:%02x",
		         weir_quantity_print_duration(port->limiter_test_ns, time), mac[0], mac[1],
		         mac[2], mac[3], mac[4], mac[5]);
}

static void
diff_port(const struct diff *diff, const struct weir_port_config *from,
          const struct weir_port_config *to)
{
	char what[WEIR_NAME_SIZE + 8], before[64], after[64];

	snprintf(what, sizeof(what), "port %s", from->name);
	say_text(diff, what, "name", from->name, to->name);
	say_text(diff, what, "device", from->device, to->device);
	diff_number(diff, what, "mtu", "0", from->mtu_bytes, to->mtu_bytes);
	diff_number(diff, what, "rx_queues", "0", from->rx_queues, to->rx_queues);
	diff_number(diff, what, "rx_descriptors", "default", from->rx_descriptors,
	            to->rx_descriptors);
	diff_number(diff, what, "tx_descriptors", "default", from->tx_descriptors,
	            to->tx_descriptors);
	say_text(diff, what, "limiter", weir_config_word_of(weir_config_limiters, from->limiter),
	         weir_config_word_of(weir_config_limiters, to->limiter));
	say_text(diff, what, "limiter_required", from->limiter_required ? "true" : "false",
	         to->limiter_required ? "true" : "false");
	print_test(from, before, sizeof(before));
	print_test(to, after, sizeof(after));
	say_text(diff, what, "limiter_test", before, after);
}

/* A port that has another number and the same name has been told about as a port. */
static void
diff_link(const struct diff *diff, const struct weir_config_link *from,
          const struct weir_config_link *to)
{
	char what[WEIR_NAME_SIZE + 8];

	snprintf(what, sizeof(what), "link %s", from->name);
	say_text(diff, what, "name", from->name, to->name);
	say_text(diff, what, "inside", diff->from->ports[from->inside].name,
	         diff->to->ports[to->inside].name);
	say_text(diff, what, "outside", diff->from->ports[from->outside].name,
	         diff->to->ports[to->outside].name);
}

/* Ports and links are known by their place in the list to what runs, so order matters. */
static void
diff_places(const struct diff *diff)
{
	const struct weir_config *from = diff->from, *to = diff->to;
	uint32_t i;

	for (i = 0; i < from->n_ports || i < to->n_ports; i++) {
		if (i >= to->n_ports)
			say(diff, WEIR_CHANGE_RESTART, "port %s: removed", from->ports[i].name);
		else if (i >= from->n_ports)
			say(diff, WEIR_CHANGE_RESTART, "port %s: added", to->ports[i].name);
		else
			diff_port(diff, &from->ports[i], &to->ports[i]);
	}
	for (i = 0; i < from->n_links || i < to->n_links; i++) {
		if (i >= to->n_links)
			say(diff, WEIR_CHANGE_RESTART, "link %s: removed", from->links[i].name);
		else if (i >= from->n_links)
			say(diff, WEIR_CHANGE_RESTART, "link %s: added", to->links[i].name);
		else
			diff_link(diff, &from->links[i], &to->links[i]);
	}
}

static const char *
budget_name(const struct weir_config *config, uint32_t budget)
{
	return budget == WEIR_ANY ? "none" : config->budgets[budget].name;
}

/* True when each budget from `from` up to the old root lies on the way from `to` up, too. */
static bool
path_kept(const struct diff *diff, uint32_t from, uint32_t to)
{
	for (; from != WEIR_ANY; from = diff->from->budgets[from].parent) {
		const char *name = diff->from->budgets[from].name;
		uint32_t at = to;

		while (at != WEIR_ANY && strcmp(diff->to->budgets[at].name, name) != 0)
			at = diff->to->budgets[at].parent;
		if (at == WEIR_ANY)
			return false;
	}
	return true;
}

static const struct weir_config_cap *
find_cap(const struct weir_config_budget *budget, uint64_t window_ns)
{
	for (uint32_t i = 0; i < budget->n_caps; i++)
		if (budget->caps[i].window_ns == window_ns)
			return &budget->caps[i];
	return NULL;
}

static const char *
cap_key(const struct weir_config_cap *cap, char text[WEIR_QUANTITY_SIZE + 8])
{
	char window[WEIR_QUANTITY_SIZE];

	if (cap->window_ns == 0)
		snprintf(text, WEIR_QUANTITY_SIZE + 8, "lifetime cap");
	else
		snprintf(text, WEIR_QUANTITY_SIZE + 8, "cap per %s",
		         weir_quantity_print_duration(cap->window_ns, window));
	return text;
}

static void
diff_caps(const struct diff *diff, const struct weir_config_budget *from,
          const struct weir_config_budget *to)
{
	char key[WEIR_QUANTITY_SIZE + 8], limit[WEIR_QUANTITY_SIZE];
	const struct weir_config_cap *other;

	for (uint32_t i = 0; i < from->n_caps; i++) {
		other = find_cap(to, from->caps[i].window_ns);
		cap_key(&from->caps[i], key);
		if (other == NULL)
			say(diff, WEIR_CHANGE_LOOSENS, "budget %s: %s of %s removed", to->name, key,
			    weir_quantity_print_bytes(from->caps[i].limit_bytes, limit));
		else
			say_limit(diff, "budget", to->name, key, weir_quantity_print_bytes,
			          from->caps[i].limit_bytes, other->limit_bytes);
	}
	for (uint32_t i = 0; i < to->n_caps; i++)
		if (find_cap(from, to->caps[i].window_ns) == NULL)
			say(diff, WEIR_CHANGE_TIGHTENS, "budget %s: %s of %s added", to->name,
			    cap_key(&to->caps[i], key),
			    weir_quantity_print_bytes(to->caps[i].limit_bytes, limit));
}

/*
 * A budget under another name is another budget, whose caps are whole: as loose as what they count
 * now. Where classes and budgets below it go, these tell.
 */
static void
diff_gone(const struct diff *diff, uint32_t index)
{
	const struct weir_config_budget *budget = &diff->from->budgets[index];
	char used[WEIR_QUANTITY_SIZE];

	if (budget->n_caps == 0)
		say(diff, WEIR_CHANGE_NEUTRAL, "budget %s: removed", budget->name);
	else if (diff->used_bytes == NULL)
		say(diff, WEIR_CHANGE_LOOSENS,
		    "budget %s: removed (what it was charged stays charged above it; under "
		    "another name its caps would be whole again)",
		    budget->name);
	else if (diff->used_bytes[index] == 0)
		say(diff, WEIR_CHANGE_NEUTRAL,
		    "budget %s: removed (its caps count nothing as used)", budget->name);
	else
		say(diff, WEIR_CHANGE_LOOSENS,
		    "budget %s: removed (its caps count up to %s as used: this stays charged above "
		    "it, but under another name its caps would be whole again)",
		    budget->name, weir_quantity_print_bytes(diff->used_bytes[index], used));
}

static void
diff_budgets(const struct diff *diff, const struct weir_config_names *from_names,
             const struct weir_config_names *to_names)
{
	for (uint32_t i = 0; i < diff->from->n_budgets; i++) {
		const struct weir_config_budget *from = &diff->from->budgets[i], *to;
		uint32_t j = weir_config_names_find(to_names, from->name);

		if (j == WEIR_ANY) {
			diff_gone(diff, i);
			continue;
		}
		to = &diff->to->budgets[j];
		if (strcmp(budget_name(diff->from, from->parent),
		           budget_name(diff->to, to->parent)) != 0)
			say(diff,
			    path_kept(diff, i, j) ? WEIR_CHANGE_TIGHTENS : WEIR_CHANGE_LOOSENS,
			    "budget %s: parent %s -> %s", from->name,
			    budget_name(diff->from, from->parent),
			    budget_name(diff->to, to->parent));
		diff_caps(diff, from, to);
	}
	/* A budget frees nothing: what gets charged to it, and no longer elsewhere, does. */
	for (uint32_t i = 0; i < diff->to->n_budgets; i++)
		if (weir_config_names_find(from_names, diff->to->budgets[i].name) == WEIR_ANY)
			say(diff, WEIR_CHANGE_NEUTRAL, "budget %s: added",
			    diff->to->budgets[i].name);
}

static void
diff_class(const struct diff *diff, const struct weir_config_class *from,
           const struct weir_config_class *to)
{
	const char *before = budget_name(diff->from, from->budget);
	const char *after = budget_name(diff->to, to->budget);

	if (strcmp(before, after) != 0)
		say(diff,
		    path_kept(diff, from->budget, to->budget) ? WEIR_CHANGE_TIGHTENS
		                                              : WEIR_CHANGE_LOOSENS,
		    "class %s: budget %s -> %s", from->name, before, after);
	say_limit(diff, "class", from->name, "rate", weir_quantity_print_rate, from->rate_bit_s,
	          to->rate_bit_s);
	say_limit(diff, "class", from->name, "burst", weir_quantity_print_bytes, from->burst_bytes,
	          to->burst_bytes);
	if (from->backlog_bytes != 0 && to->backlog_bytes != 0)
		say_limit(diff, "class", from->name, "backlog", weir_quantity_print_bytes,
		          from->backlog_bytes, to->backlog_bytes);
	else if (from->backlog_bytes != to->backlog_bytes)
		say(diff, to->backlog_bytes != 0 ? WEIR_CHANGE_LOOSENS : WEIR_CHANGE_TIGHTENS,
		    "class %s: excess %s", from->name,
		    to->backlog_bytes != 0 ? "drop -> shape" : "shape -> drop");
	/* The bucket rules in either queue. */
	if (from->dedicated != to->dedicated)
		say(diff, WEIR_CHANGE_NEUTRAL, "class %s: queue %s -> %s", from->name,
		    weir_config_word_of(weir_config_queues, from->dedicated),
		    weir_config_word_of(weir_config_queues, to->dedicated));
}

static void
diff_classes(const struct diff *diff, const struct weir_config_names *from_names,
             const struct weir_config_names *to_names)
{
	char rate[WEIR_QUANTITY_SIZE];

	/* A class that goes takes its rate with it; where its frames go, the rules tell. */
	for (uint32_t i = 0; i < diff->from->n_classes; i++) {
		const struct weir_config_class *from = &diff->from->classes[i];
		uint32_t j = weir_config_names_find(to_names, from->name);

		if (j == WEIR_ANY)
			say(diff, WEIR_CHANGE_TIGHTENS, "class %s: removed", from->name);
		else
			diff_class(diff, from, &diff->to->classes[j]);
	}
	for (uint32_t i = 0; i < diff->to->n_classes; i++) {
		const struct weir_config_class *to = &diff->to->classes[i];

		if (weir_config_names_find(from_names, to->name) == WEIR_ANY)
			say(diff, WEIR_CHANGE_LOOSENS, "class %s: added with %s", to->name,
			    weir_quantity_print_rate(to->rate_bit_s, rate));
	}
}

void
weir_config_diff(const struct weir_config *from, const struct weir_config *to,
                 const uint64_t *used_bytes,
                 void (*each)(void *arg, enum weir_change change, const char *what), void *arg)
{
	const struct diff diff = {from, to, used_bytes, each, arg};
	struct weir_config_names budgets[2] = {0}, classes[2] = {0};
	bool made;

	diff_appliance(&diff);
	diff_asset(&diff);
	diff_places(&diff);
	made = weir_config_names_make(&budgets[0], from->budgets, sizeof(*from->budgets),
	                              from->n_budgets) == 0 &&
	       weir_config_names_make(&budgets[1], to->budgets, sizeof(*to->budgets),
	                              to->n_budgets) == 0 &&
	       weir_config_names_make(&classes[0], from->classes, sizeof(*from->classes),
	                              from->n_classes) == 0 &&
	       weir_config_names_make(&classes[1], to->classes, sizeof(*to->classes),
	                              to->n_classes) == 0;
	if (made) {
		diff_budgets(&diff, &budgets[0], &budgets[1]);
		diff_classes(&diff, &classes[0], &classes[1]);
	} else {
		say(&diff, WEIR_CHANGE_LOOSENS,
		    "budgets and classes: may have changed (out of memory)");
	}
	weir_config_diff_rules(from, to, each, arg);
	for (int i = 0; i < 2; i++) {
		weir_config_names_free(&budgets[i]);
		weir_config_names_free(&classes[i]);
	}
}
