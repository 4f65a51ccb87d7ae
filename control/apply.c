/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/apply.h"

#include "control/hardware.h"
#include "control/policy.h"
#include "control/watch.h"
#include "drivers/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * How long a change waits for the one before it. Workers let go of a policy within microseconds,
 * unless their CPU is taken from them for a while.
 */
#define RETIRE_WAIT_NS (100 * WEIR_NS_PER_MS)

/* How long a change waits for the first grants of new budgets: a write and a sync. */
#define GRANT_WAIT_NS (5 * WEIR_NS_PER_MS)

/* A change under way: everything that the new policy needs, beside the old one. */
struct change {
	struct weir_slots_plan *plan;
	struct weir_snapshot *snapshot;
	uint32_t *budget_ids;
	char digest[WEIR_DIGEST_SIZE];
};

static void
change_free(struct change *change)
{
	weir_slots_plan_free(change->plan);
	weir_snapshot_free(change->snapshot);
	free(change->budget_ids);
}

static int
fail(int code, char *error, const char *message)
{
	snprintf(error, WEIR_ERROR_SIZE, "%s", message);
	return code;
}

/* A compilation on a thread of its own. */
struct compilation {
	const struct weir_config *config;
	const struct weir_policy_binding *binding;
	struct weir_snapshot *snapshot;
	char *error;
	int code;
	_Atomic bool done;
};

static void *
run_compilation(void *arg)
{
	struct compilation *work = arg;

	work->code = weir_policy_compile(work->config, work->binding, &work->snapshot, work->error,
	                                 WEIR_ERROR_SIZE);
	atomic_store(&work->done, true);
	return NULL;
}

/*
 * Compiles, which can take seconds where rules have many wide port ranges. The workers must not
 * miss the pulse meanwhile: egress would stop. Nor may ports go unwatched. The policy in force
 * stays.
 */
static int
compile(struct weir_appliance *appliance, const struct weir_config *config,
        const struct weir_policy_binding *binding, struct weir_snapshot **snapshot, char *error)
{
	const struct timespec pause = {.tv_nsec = (long)WEIR_NS_PER_MS};
	struct compilation work = {.config = config, .binding = binding, .error = error};
	uint64_t look_ns = weir_clock_boot_ns();
	pthread_t thread;

	if (appliance->dataplane == NULL)
		return weir_policy_compile(config, binding, snapshot, error, WEIR_ERROR_SIZE);
	if (pthread_create(&thread, NULL, run_compilation, &work) != 0)
		return fail(-ENOMEM, error, "out of memory");
	while (!atomic_load(&work.done)) {
		weir_appliance_pulse(appliance);
		if (weir_clock_boot_ns() - look_ns >= WEIR_HARDWARE_LOOK_NS) {
			look_ns = weir_clock_boot_ns();
			weir_watch_ports(appliance, look_ns);
		}
		nanosleep(&pause, NULL);
	}
	pthread_join(thread, NULL);
	*snapshot = work.snapshot;
	return work.code;
}

/*
 * Compiles config beside the running policy. The paths of its classes hold the config's own budget
 * indices until bind_names(): the ledger's are known only after it has registered the names, and
 * that comes last of all that can fail.
 */
static int
prepare(struct weir_appliance *appliance, const struct weir_config *config, struct change *change,
        char *error)
{
	struct weir_policy_binding binding;
	char *text;
	int code;

	*change = (struct change){0};
	code = weir_hardware_admit(appliance, config, error);
	if (code < 0)
		return code;
	if (weir_config_print(config, &text) < 0)
		return fail(-ENOMEM, error, "out of memory");
	weir_appliance_digest(text, change->digest);
	free(text);
	code = weir_slots_plan(appliance->slots, config, &change->plan);
	if (code == -ENOSPC)
		return fail(code, error, "classes: no free slot: too many classes");
	if (code < 0)
		return fail(code, error, "out of memory");
	change->budget_ids = calloc((size_t)config->n_budgets + 1, sizeof(*change->budget_ids));
	if (change->budget_ids == NULL) {
		change_free(change);
		return fail(-ENOMEM, error, "out of memory");
	}
	for (uint32_t i = 0; i < config->n_budgets; i++)
		change->budget_ids[i] = i;
	weir_slots_bind(appliance->slots, config, rte_rdtsc(), change->plan);
	binding = (struct weir_policy_binding){
	    .budget_ids = change->budget_ids,
	    .class_slots = change->plan->slots,
	    .rates = change->plan->rates,
	    .generation = appliance->generation + 1,
	    .tsc_hz = appliance->clock.tsc_hz,
	    .node = weir_memory_node_of_cpu(config->appliance.workers[0]),
	};
	code = compile(appliance, config, &binding, &change->snapshot, error);
	if (code < 0) {
		change->snapshot = NULL;
		change_free(change);
	}
	return code;
}

/*
 * What can be done before the rates' lines: the ledger's numbers of the budgets, and what counters
 * of a slot's former class show. Nothing from here on can fail.
 */
static void
bind_names(struct weir_appliance *appliance, const struct weir_config *config,
           const struct change *change)
{
	const struct weir_slots_plan *plan = change->plan;

	for (uint32_t i = 0; i < plan->n_classes; i++) {
		struct weir_class *class = &change->snapshot->classes[plan->slots[i]];
		struct weir_class_totals base;

		for (uint32_t k = 0; k < class->n_path; k++) {
			assert(class->path[k] < config->n_budgets);
			class->path[k] = (uint16_t)change->budget_ids[class->path[k]];
		}
		if (!plan->fresh[i])
			continue;
		weir_dataplane_class_totals(appliance->dataplane, plan->slots[i], &base);
		weir_slots_set_base(appliance->slots, plan->slots[i], &base);
		weir_starvation_forget(&appliance->starvation[plan->slots[i]]);
	}
}

/* After publication. Takes what change holds but the snapshot, and config. */
static void
finish_change(struct weir_appliance *appliance, struct weir_config *config, struct change *change)
{
	struct weir_slots_plan *plan = change->plan;

	weir_slots_commit(appliance->slots, config, plan);
	free(appliance->class_slots);
	free(appliance->budget_ids);
	appliance->class_slots = plan->slots;
	appliance->budget_ids = change->budget_ids;
	appliance->config = config;
	appliance->generation++;
	memcpy(appliance->digest, change->digest, sizeof(appliance->digest));
	plan->slots = NULL;
	change->budget_ids = NULL;
	weir_slots_plan_free(plan);
	change->plan = NULL;
}

static const char *
root_name(const struct weir_config *config)
{
	uint32_t root = 0;

	while (config->budgets[root].parent != WEIR_ANY)
		root++;
	return config->budgets[root].name;
}

/* there: how the root is called in the ledger. */
static int
ledger_error(int code, const char *there, const struct weir_config *config, char *error)
{
	if (code == -EPERM && strcmp(there, root_name(config)) != 0) {
		snprintf(error, WEIR_ERROR_SIZE,
		         "ledger: the root budget is called %s there and can't be called %s: its "
		         "charge would be lost",
		         there, root_name(config));
		return code;
	}
	if (code == -ENOSPC)
		return fail(code, error,
		            "ledger: no room: it has seen too many names of budgets already");
	snprintf(error, WEIR_ERROR_SIZE, "ledger: %s", strerror(-code));
	return code;
}

static void
witness_error(const struct weir_ledger *ledger, char *error)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(ledger, &status);
	snprintf(error, WEIR_ERROR_SIZE,
	         "witness: stands at %" PRIu64
	         " and did not advance, as each start needs: %s; nothing was sent",
	         status.witness_value,
	         strerror(status.witness_error != 0 ? -status.witness_error : ETIMEDOUT));
}

int
weir_apply_first(struct weir_appliance *appliance, const struct weir_dataplane_config *dataplane,
                 char *error)
{
	struct change change;
	int code;

	appliance->slots = weir_slots_new(appliance->clock.tsc_hz);
	if (appliance->slots == NULL)
		return fail(-ENOMEM, error, "out of memory");
	code = prepare(appliance, appliance->config, &change, error);
	if (code < 0)
		goto slots;
	code = weir_dataplane_new(dataplane, appliance->credit, change.snapshot,
	                          &appliance->dataplane, error, WEIR_ERROR_SIZE);
	if (code < 0) {
		change_free(&change);
		goto slots;
	}
	code = weir_ledger_set_policy(appliance->ledger, appliance->config, weir_clock_boot_ns(),
	                              change.budget_ids);
	if (code < 0) {
		const char *there = "";

		if (code == -EPERM)
			there = weir_ledger_get_name(appliance->ledger, WEIR_LEDGER_ROOT);
		if (code == -EREMOTEIO)
			witness_error(appliance->ledger, error);
		else
			code = ledger_error(code, there, appliance->config, error);
		change.snapshot = NULL; /* the dataplane's by now */
		change_free(&change);
		goto dataplane;
	}
	/* The first grants, so that workers find credit when they start. */
	weir_ledger_tick(appliance->ledger, weir_clock_boot_ns());
	bind_names(appliance, appliance->config, &change);
	weir_slots_put(appliance->slots, appliance->config, rte_rdtsc(), change.plan,
	               change.snapshot, appliance->dataplane);
	finish_change(appliance, appliance->config, &change);
	return 0;

dataplane:
	weir_dataplane_free(appliance->dataplane);
	appliance->dataplane = NULL;
	slots:
	weir_slots_free(appliance->slots);
	appliance->slots = NULL;
	return code;
}

static void
find_restart(void *arg, enum weir_change change, const char *what)
{
	char *error = arg;

	if (change == WEIR_CHANGE_RESTART && error[0] == '\0')
		snprintf(error, WEIR_ERROR_SIZE, "%s: needs a restart of Weir", what);
}

/* Nobody charges to budgets that have left any more: nothing may be taken of them from now on. */
static void
close_departed(struct weir_appliance *appliance)
{
	if (!appliance->departing || appliance->ledger_thread == NULL)
		return;
	appliance->departing = false;
	/* Fails only as the ledger does for good, which it tells itself. */
	if (weir_ledger_thread_set_policy(appliance->ledger_thread, appliance->config,
	                                  appliance->budget_ids) < 0)
		weir_events_post(appliance->events, WEIR_WARNING, "budgets_open",
		                 "ledger: budgets that left the policy could not be closed");
}

bool
weir_apply_retire(struct weir_appliance *appliance, uint64_t wait_ns)
{
	const struct timespec pause = {.tv_nsec = 20 * (long)WEIR_NS_PER_US};
	uint64_t end_ns = weir_clock_boot_ns() + wait_ns;

	if (appliance->retired == NULL)
		return true;
	while (!weir_dataplane_quiescent(appliance->dataplane, appliance->retired_token, false)) {
		if (weir_clock_boot_ns() >= end_ns)
			return false;
		weir_appliance_pulse(appliance);
		nanosleep(&pause, NULL);
	}
	weir_snapshot_free(appliance->retired);
	appliance->retired = NULL;
	weir_slots_release(appliance->slots);
	close_departed(appliance);
	return true;
}

/* Whether a change may begin at all. */
static int
admit(struct weir_appliance *appliance, const struct weir_config *config, char *error)
{
	struct weir_ledger_status ledger;

	if (appliance->stopping || appliance->ledger_thread == NULL)
		return fail(-ESHUTDOWN, error, "Weir is stopping");
	error[0] = '\0';
	weir_config_diff(appliance->config, config, NULL, find_restart, error);
	if (error[0] != '\0')
		return -EPERM;
	weir_ledger_thread_get_status(appliance->ledger_thread, &ledger);
	if (ledger.failed) {
		snprintf(error, WEIR_ERROR_SIZE,
		         "the ledger has failed (%s): no policy can be changed",
		         strerror(-ledger.error));
		return -EIO;
	}
	if (!weir_apply_retire(appliance, RETIRE_WAIT_NS))
		return fail(-EBUSY, error,
		            "busy: a worker still uses the policy before: try again");
	return 0;
}

static int
compare_names(const void *left, const void *right)
{
	const struct weir_config_budget *const *a = left;
	const struct weir_config_budget *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

/*
 * Copies config with the budgets of before that it lacks behind its own. Only the list of budgets
 * is the caller's to free; parents of the added ones mean nothing. Returns 0 or -ENOMEM.
 */
static int
add_departing(const struct weir_config *before, const struct weir_config *config,
              struct weir_config *both)
{
	size_t room = (size_t)config->n_budgets + before->n_budgets;
	const struct weir_config_budget **sorted = calloc(room, sizeof(*sorted));
	struct weir_config_budget *budgets = calloc(room, sizeof(*budgets));
	uint32_t n = config->n_budgets;

	if (sorted == NULL || budgets == NULL) {
		free(sorted);
		free(budgets);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		budgets[i] = config->budgets[i];
		sorted[i] = &config->budgets[i];
	}
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (uint32_t i = 0; i < before->n_budgets; i++) {
		const struct weir_config_budget *budget = &before->budgets[i];

		if (bsearch(&budget, sorted, config->n_budgets, sizeof(*sorted), compare_names) ==
		    NULL)
			budgets[n++] = *budget;
	}
	free(sorted);
	*both = *config;
	both->budgets = budgets;
	both->n_budgets = n;
	return 0;
}

/* Whether a budget that has just been opened has its first grant, or can't have one. */
static bool
has_credit(const struct weir_credit_shared *budget)
{
	return atomic_load(&budget->state) != WEIR_CREDIT_OPEN ||
	       atomic_load(&budget->spendable_bytes) > atomic_load(&budget->taken_bytes);
}

/* Waits, not for long, for the first grants of those of the budgets that were not in use before. */
static void
await_grants(const struct weir_appliance *appliance, const uint32_t *ids, uint32_t n)
{
	const struct timespec pause = {.tv_nsec = 50 * (long)WEIR_NS_PER_US};
	uint64_t end_ns = weir_clock_boot_ns() + GRANT_WAIT_NS;
	bool *known = calloc(WEIR_BUDGETS_MAX, sizeof(*known));

	if (known == NULL)
		return; /* a few frames may be dropped, nothing else */
	for (uint32_t i = 0; i < appliance->config->n_budgets; i++)
		known[appliance->budget_ids[i]] = true;
	for (uint32_t i = 0; i < n; i++) {
		while (!known[ids[i]] && !has_credit(&appliance->credit->budgets[ids[i]]) &&
		       weir_clock_boot_ns() < end_ns)
			nanosleep(&pause, NULL);
	}
	free(known);
}

/*
 * Puts config's budgets in force in the ledger. Those that leave stay open until no worker charges
 * to them any more (weir_apply_retire), so that no frame is lost between the two policies.
 */
static int
change_ledger(struct weir_appliance *appliance, const struct weir_config *config,
              struct change *change)
{
	struct weir_config both;
	uint32_t *ids;
	int code = add_departing(appliance->config, config, &both);

	if (code < 0)
		return code;
	ids = calloc((size_t)both.n_budgets + 1, sizeof(*ids));
	code = ids == NULL ? -ENOMEM
	                   : weir_ledger_thread_set_policy(appliance->ledger_thread, &both, ids);
	if (code == 0) {
		memcpy(change->budget_ids, ids, config->n_budgets * sizeof(*ids));
		appliance->departing = both.n_budgets > config->n_budgets;
	}
	free(both.budgets);
	free(ids);
	if (code == 0)
		await_grants(appliance, change->budget_ids, config->n_budgets);
	return code;
}

static int
change_policy(struct weir_appliance *appliance, struct weir_config *config, char *error)
{
	struct weir_config *before = appliance->config;
	struct change change;
	int code = admit(appliance, config, error);

	if (code < 0)
		return code;
	weir_appliance_pulse(appliance);
	code = prepare(appliance, config, &change, error);
	weir_appliance_pulse(appliance);
	if (code < 0)
		return code;
	code = change_ledger(appliance, config, &change);
	if (code < 0) {
		change_free(&change);
		return ledger_error(code, root_name(before), config, error);
	}
	bind_names(appliance, config, &change);
	weir_slots_put(appliance->slots, config, weir_dataplane_suspend(appliance->dataplane),
	               change.plan, change.snapshot, appliance->dataplane);
	appliance->retired = weir_dataplane_publish(appliance->dataplane, change.snapshot,
	                                            &appliance->retired_token);
	finish_change(appliance, config, &change);
	weir_config_free(before);
	weir_hardware_policy(appliance);
	weir_apply_retire(appliance, 0);
	weir_appliance_warn_memory(appliance);
	return 0;
}

int
weir_apply_policy(struct weir_appliance *appliance, struct weir_config *config, const char *origin,
                  char *error)
{
	int code = change_policy(appliance, config, error);

	if (code < 0)
		weir_events_post(appliance->events, WEIR_WARNING, "policy_refused", "from %s: %s",
		                 origin, error);
	else
		weir_events_post(appliance->events, WEIR_INFO, "policy_applied",
		                 "from %s: generation %" PRIu64 ", digest %s", origin,
		                 appliance->generation, appliance->digest);
	return code;
}

int
weir_apply_check(struct weir_appliance *appliance, const struct weir_config *config, char *error)
{
	const char *root = root_name(appliance->config);
	struct change change;
	int code;

	if (strcmp(root, root_name(config)) != 0)
		return ledger_error(-EPERM, root, config, error);
	weir_appliance_pulse(appliance);
	code = prepare(appliance, config, &change, error);
	weir_appliance_pulse(appliance);
	if (code == 0)
		change_free(&change);
	return code;
}
