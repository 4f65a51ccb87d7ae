/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A life: as main() and apply.c bring it about, with their calls and in their order, but for what
 * only threads need.
 */
#include "control/ledger_state.h"
#include "control/policy.h"
#include "drivers/memory.h"
#include "tests/sim/system_sim.h"

#include <errno.h>
#include <string.h>

#define DRAIN_ROUNDS_MAX 4000U

static struct weir_system *clocked; /* the ledger's clock has no argument */

static uint64_t
disk_clock(void)
{
	return weir_system_boot_ns(clocked);
}

/* ---- what a policy needs ---- */

struct change {
	struct weir_sim_policy policy;
	struct weir_config *config;
	struct weir_slots_plan *plan;
	struct weir_snapshot *snapshot;
	uint32_t ids[2 * WEIR_SIM_BUDGETS];
};

static void
change_free(struct change *change)
{
	weir_sim_config_free(change->config);
	weir_slots_plan_free(change->plan);
	weir_snapshot_free(change->snapshot);
}

/* As prepare() of apply.c. */
static void
prepare(struct weir_system *system, const struct weir_sim_policy *policy, struct change *change)
{
	struct weir_policy_binding binding;
	char error[256] = "";

	*change = (struct change){.policy = *policy};
	change->config = weir_sim_config_make(policy, &system->random);
	if (weir_slots_plan(system->slots, change->config, &change->plan) != 0)
		abort();
	for (uint32_t i = 0; i < change->config->n_budgets; i++)
		change->ids[i] = i;
	weir_slots_bind(system->slots, change->config, weir_system_tsc(system), change->plan);
	binding = (struct weir_policy_binding){.budget_ids = change->ids,
	                                       .class_slots = change->plan->slots,
	                                       .rates = change->plan->rates,
	                                       .generation = system->generation + 1,
	                                       .tsc_hz = system->tick_hz,
	                                       .node = WEIR_NODE_ANY};
	if (weir_policy_compile(change->config, &binding, &change->snapshot, error,
	                        sizeof(error)) != 0) {
		printf("%s\n", error);
		abort();
	}
}

/* As bind_names() and finish_change() of apply.c, and what comes in between. */
static void
bind_change(struct weir_system *system, struct change *change)
{
	struct weir_slots_plan *plan = change->plan;

	for (uint32_t i = 0; i < plan->n_classes; i++) {
		struct weir_class *class = &change->snapshot->classes[plan->slots[i]];

		for (uint32_t k = 0; k < class->n_path; k++)
			class->path[k] = (uint16_t)change->ids[class->path[k]];
	}
	weir_slots_put(system->slots, change->config, weir_system_tsc(system), plan,
	               change->snapshot, system->dataplane);
	weir_slots_commit(system->slots, change->config, plan);
	weir_sim_config_free(system->config);
	system->config = change->config;
	memcpy(system->config_ids, change->ids, sizeof(change->ids));
	system->generation++;
	system->published = change->policy;
	system->publications++;
	system->settled = false;
	weir_tape_set_classes(&system->tape, &change->policy, system->tick);
	weir_slots_plan_free(plan);
	change->config = NULL;
	change->plan = NULL;
}

/* Learns the stable indices; one that is known may not change. */
static void
learn_ids(struct weir_system *system, const struct weir_config *config, const uint32_t *ids)
{
	struct weir_ledger_budget_status status;

	for (uint32_t i = 0; i < config->n_budgets; i++) {
		uint32_t number = weir_sim_number(config->budgets[i].name);

		if (system->known[number] && system->ids[number] != ids[i])
			weir_system_fail(system, "%s: index was %" PRIu32 ", now %" PRIu32,
			                 config->budgets[i].name, system->ids[number], ids[i]);
		if (system->known[number])
			continue;
		/* A start that was cut off may have granted to it already. */
		weir_ledger_get_budget(system->ledger, ids[i], &status);
		if (status.charged_bytes > system->top_bytes[ids[i]])
			weir_system_fail(system, "%s: new, but charged %" PRIu64,
			                 config->budgets[i].name, status.charged_bytes);
		system->base_bytes[number] = status.charged_bytes;
		system->base_sent[number] = system->tape.budgets[number].sent_bytes;
		system->found_forfeited[number] = status.forfeited_bytes;
		system->known[number] = true;
		system->ids[number] = ids[i];
	}
}

/* What the last call of the ledger has done to it. */
static bool
has_failed(const struct weir_system *system)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(system->ledger, &status);
	return status.failed;
}

/* A fault of the disk's own may have ended the process. */
static bool
is_over(struct weir_system *system)
{
	if (!system->dead && weir_disk_sim_is_dead(system->disk))
		weir_system_crash(system, false);
	return system->dead;
}

/* ---- start ---- */

static enum weir_ledger_refusal
open_ledger(struct weir_system *system)
{
	struct weir_ledger_options options = {.tuning = system->tuning,
	                                      .key = &system->key,
	                                      .appliance = "sim",
	                                      .witness_kind = system->traits.witness,
	                                      .witness_every_bytes = system->witness_every_bytes,
	                                      .witness_interval_ns = system->witness_interval_ns};
	bool applied = weir_random_one_in(&system->random, 2);
	char *error = system->refused;
	enum weir_ledger_refusal refusal;
	struct weir_disk *disk;

	if (options.witness_kind != WEIR_WITNESS_NONE) {
		options.witness = weir_witness_sim_attach(&system->witness, applied);
		options.witness_value = system->witness.value;
	}
	memset(system->credit, 0, sizeof(*system->credit));
	system->dead = false;
	disk = weir_disk_sim_attach(system->disk);
	weir_disk_sim_arm(system->disk, system->start_fault, -EIO, 0);
	system->start_fault = WEIR_FAULT_NONE;
	refusal = weir_ledger_open(disk, system->credit, &options, &system->ledger, error,
	                           sizeof(system->refused));
	weir_tape_mix(&system->tape, refusal);
	if (refusal == WEIR_REFUSAL_NONE)
		return refusal;
	system->counts->refusals[refusal]++;
	system->ledger = NULL;
	if (error[0] == '\0' || strchr(error, '\n') != NULL)
		weir_system_fail(system, "refused without one line of why");
	return refusal;
}

static void
begin_workers(struct weir_system *system)
{
	uint64_t now_tsc = weir_system_tsc(system);

	for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++) {
		weir_pacer_start(&system->dataplane->workers[w]->pacer, now_tsc);
		rte_rcu_qsbr_thread_online(system->dataplane->rcu, w);
		system->workers[w] = (struct weir_sim_worker){.busy = false};
	}
	/* There are no threads, but they are to be waited for. */
	system->dataplane->n_launched = WEIR_SIM_WORKERS;
	weir_dataplane_pulse(system->dataplane, now_tsc);
	system->pulse_until = 0;
	system->running = true;
}

static void
make_dataplane(struct weir_system *system, struct weir_snapshot *first)
{
	struct weir_worker_config workers[WEIR_SIM_WORKERS] = {0};
	struct weir_dataplane_config config = {.tsc_hz = system->tick_hz,
	                                       .drain_tsc = system->tick_hz / 20,
	                                       .n_links = 1,
	                                       .n_workers = WEIR_SIM_WORKERS,
	                                       .workers = workers};
	char error[256] = "";

	for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
		workers[w] = (struct weir_worker_config){
		    .tx_queue = (uint16_t)w,
		    .node = WEIR_NODE_ANY,
		    .waiting_max = UINT64_MAX,
		    .n_rx = 1,
		    .rx[0] = {.port_id = system->ports->inside.port_id,
		              .queue_id = (uint16_t)w,
		              .out_port_id = system->ports->outside.port_id,
		              .direction = WEIR_EGRESS,
		              .mtu_bytes = WEIR_SIM_MTU}};
	if (weir_dataplane_new(&config, system->credit, first, &system->dataplane, error,
	                       sizeof(error)) != 0) {
		printf("%s\n", error);
		abort();
	}
}

/* As weir_apply_first(). */
static int
apply_first(struct weir_system *system)
{
	struct change change;
	int rc;

	system->generation = 0;
	system->slots = weir_slots_new(system->tick_hz);
	if (system->slots == NULL)
		abort();
	prepare(system, &system->policy, &change);
	make_dataplane(system, change.snapshot);
	weir_tape_set_caps(&system->tape, &system->policy);
	system->control_busy = system->ledger_busy = true;
	rc = weir_ledger_set_policy(system->ledger, change.config, weir_system_boot_ns(system),
	                            change.ids);
	if (!is_over(system) && rc == 0) {
		learn_ids(system, change.config, change.ids);
		weir_ledger_tick(system->ledger, weir_system_boot_ns(system));
	}
	system->control_busy = system->ledger_busy = false;
	if (!is_over(system) && rc == 0)
		bind_change(system, &change);
	change.snapshot = NULL;
	change_free(&change);
	return rc;
}

enum weir_ledger_refusal
weir_system_start(struct weir_system *system)
{
	enum weir_ledger_refusal refusal;
	struct weir_ledger_status status;
	int rc;

	assert(system->ledger == NULL && !system->running);
	clocked = system;
	weir_system_attach(system);
	system->dead = false;
	refusal = open_ledger(system);
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	weir_ledger_set_clock(system->ledger, disk_clock);
	weir_ledger_get_status(system->ledger, &status);
	if (status.slot_lost)
		weir_system_count(system, WEIR_SIM_SLOTS_LOST, 1);
	/* One that ended while it read has seen anything, and charges nobody. */
	if (!is_over(system))
		weir_system_check_charges(system);
	weir_tape_begin(&system->tape);
	rc = apply_first(system);
	if (rc == 0 && !system->dead) {
		memcpy(system->forfeited, system->found_forfeited, sizeof(system->forfeited));
		weir_system_count(system, WEIR_SIM_STARTS, 1);
		begin_workers(system);
		return WEIR_REFUSAL_NONE;
	}
	if (rc == -EREMOTEIO && !system->dead)
		weir_system_count(system, WEIR_SIM_STARTS_UNWITNESSED, 1);
	if (rc == -EPERM || rc == -ENOSPC || rc == -ENOMEM)
		weir_system_fail(system, "the first policy is refused: %s", strerror(-rc));
	return WEIR_REFUSAL_NONE;
}

enum weir_ledger_refusal
weir_system_look(struct weir_system *system, uint64_t *hidden_bytes)
{
	enum weir_ledger_refusal refusal = open_ledger(system);

	*hidden_bytes = 0;
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS && refusal == WEIR_REFUSAL_NONE; i++) {
		struct weir_ledger_budget_status status = {.charged_bytes = 0};
		uint64_t sent = system->tape.budgets[i].sent_bytes;

		/* An old copy may not have it yet. */
		if (system->known[i] && system->ids[i] < system->ledger->n_budgets)
			weir_ledger_get_budget(system->ledger, system->ids[i], &status);
		if (weir_sat_sub(sent, status.charged_bytes) > *hidden_bytes)
			*hidden_bytes = sent - status.charged_bytes;
	}
	if (refusal == WEIR_REFUSAL_NONE) {
		weir_ledger_close(system->ledger);
		system->ledger = NULL;
	}
	return refusal;
}

/* ---- policies ---- */

/* As add_departing() of apply.c: with the budgets that leave, whose caps stay in force. */
static void
add_departing(const struct weir_system *system, const struct weir_config *config,
              struct weir_config *both, struct weir_config_budget *budgets)
{
	*both = *config;
	both->budgets = budgets;
	memcpy(budgets, config->budgets, config->n_budgets * sizeof(*budgets));
	for (uint32_t i = 0; i < system->config->n_budgets; i++) {
		bool stays = false;

		for (uint32_t k = 0; k < config->n_budgets; k++)
			stays |=
			    strcmp(config->budgets[k].name, system->config->budgets[i].name) == 0;
		if (!stays)
			budgets[both->n_budgets++] = system->config->budgets[i];
	}
}

static void
close_departed(struct weir_system *system)
{
	int rc;

	if (!system->departing || system->ledger_busy)
		return;
	system->departing = false;
	system->ledger_busy = true;
	rc = weir_ledger_set_policy(system->ledger, system->config, weir_system_boot_ns(system),
	                            system->config_ids);
	system->ledger_busy = false;
	if (!is_over(system) && rc != 0 && !has_failed(system))
		weir_system_fail(system, "departed budgets can't be closed: %s", strerror(-rc));
}

void
weir_system_retire(struct weir_system *system)
{
	/* One thread does both: nothing is retired while a policy is being changed. */
	if (!system->running || system->dead || system->control_busy)
		return;
	if (system->retired != NULL &&
	    weir_dataplane_quiescent(system->dataplane, system->retired_token, false)) {
		weir_snapshot_free(system->retired);
		system->retired = NULL;
		weir_slots_release(system->slots);
	}
	/* Where the ledger is at work, the control thread waits for it; here it comes again. */
	if (system->retired == NULL)
		close_departed(system);
}

/* The root must keep its name: nothing else changes. */
static void
try_root(struct weir_system *system)
{
	struct weir_config *config = weir_sim_config_make(&system->published, &system->random);
	uint32_t ids[WEIR_SIM_BUDGETS];

	for (uint32_t i = 0; i < config->n_budgets; i++)
		if (config->budgets[i].parent == WEIR_ANY)
			snprintf(config->budgets[i].name, WEIR_NAME_SIZE, "other");
	if (weir_ledger_set_policy(system->ledger, config, weir_system_boot_ns(system), ids) !=
	    -EPERM)
		weir_system_fail(system, "the root has got another name");
	weir_system_count(system, WEIR_SIM_ROOTS_RENAMED, 1);
	weir_sim_config_free(config);
}

static void
no_restart(void *arg, enum weir_change change, const char *what)
{
	if (change == WEIR_CHANGE_RESTART)
		weir_system_fail(arg, "%s: said to need a restart", what);
}

/* As change_ledger() of apply.c. Returns true when the policy may be published. */
static bool
change_ledger(struct weir_system *system, struct change *change)
{
	struct weir_config_budget budgets[2 * WEIR_SIM_BUDGETS];
	struct weir_config both;
	int rc;

	add_departing(system, change->config, &both, budgets);
	system->ledger_busy = true;
	/* Tightened caps are in force before the disk is asked. */
	weir_tape_set_caps(&system->tape, &change->policy);
	rc =
	    weir_ledger_set_policy(system->ledger, &both, weir_system_boot_ns(system), change->ids);
	system->ledger_busy = false;
	if (is_over(system))
		return false;
	if (rc != 0) {
		weir_system_count(system, WEIR_SIM_POLICIES_FAILED, 1);
		if (!has_failed(system))
			weir_system_fail(system, "a policy is refused: %s", strerror(-rc));
		return false;
	}
	learn_ids(system, &both, change->ids);
	system->departing = both.n_budgets > change->config->n_budgets;
	return true;
}

/* As change_policy() of apply.c. */
static void
apply(struct weir_system *system, const struct weir_sim_policy *policy)
{
	struct change change;

	prepare(system, policy, &change);
	weir_config_diff(system->config, change.config, NULL, no_restart, system);
	if (weir_random_one_in(&system->random, 2))
		weir_system_interrupt(system);
	/* What came in between may have kept the ledger busy; nothing else can change here. */
	if (system->dead || has_failed(system) || !change_ledger(system, &change)) {
		change_free(&change);
		return;
	}
	if (weir_random_one_in(&system->random, 2))
		weir_system_interrupt(system);
	if (system->dead) {
		change_free(&change);
		return;
	}
	bind_change(system, &change);
	system->retired =
	    weir_dataplane_publish(system->dataplane, change.snapshot, &system->retired_token);
	change.snapshot = NULL;
	change_free(&change);
	weir_system_count(system, WEIR_SIM_POLICIES, 1);
}

void
weir_system_change(struct weir_system *system, uint32_t n)
{
	struct weir_sim_policy policy = system->published;
	bool in_round = false;

	if (!system->running || system->dead || system->ledger_busy || system->control_busy ||
	    has_failed(system))
		return;
	weir_system_retire(system);
	if (system->dead || has_failed(system))
		return;
	if (system->retired != NULL) {
		weir_system_count(system, WEIR_SIM_POLICIES_BUSY, 1);
		return;
	}
	if (weir_random_one_in(&system->random, 30)) {
		try_root(system);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		enum weir_sim_change what =
		    (enum weir_sim_change)weir_random_below(&system->random, WEIR_SIM_CHANGES);

		if (weir_sim_policy_change(&policy, what, &system->random))
			system->counts->changes[what]++;
	}
	for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
		in_round |= system->workers[w].busy;
	if (in_round)
		weir_system_count(system, WEIR_SIM_POLICIES_IN_ROUND, 1);
	system->control_busy = true;
	apply(system, &policy);
	system->control_busy = false;
	/* One that was cut off may be what the operator starts with, or may not. */
	if (weir_random_one_in(&system->random, 2) || !system->dead)
		system->policy = policy;
}

/* ---- ends ---- */

/* What a clean stop has charged is what has left, to the byte. */
static void
check_exact(struct weir_system *system)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++) {
		struct weir_ledger_budget_status status;
		uint64_t sent = system->tape.budgets[i].sent_bytes - system->base_sent[i];

		if (!system->known[i])
			continue;
		weir_ledger_get_budget(system->ledger, system->ids[i], &status);
		if (status.charged_bytes != system->base_bytes[i] + sent ||
		    status.granted_bytes != status.charged_bytes)
			weir_system_fail(system,
			                 "budget %" PRIu32 ": a clean stop charges %" PRIu64
			                 " and grants %" PRIu64 ", expected %" PRIu64,
			                 i, status.charged_bytes, status.granted_bytes,
			                 system->base_bytes[i] + sent);
		system->top_bytes[system->ids[i]] = status.charged_bytes;
	}
}

static void
drain(struct weir_system *system)
{
	atomic_store(&system->dataplane->stop, 1);
	for (uint32_t i = 0; i < DRAIN_ROUNDS_MAX && !system->dead; i++) {
		if (system->workers[0].ended && system->workers[1].ended)
			return;
		for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++) {
			system->workers[w].stalled_until = 0;
			weir_system_work(system, w);
		}
		weir_system_pass(system, weir_random_below(&system->random, WEIR_NS_PER_MS));
		weir_system_pulse(system);
		if (i % 4 == 0)
			weir_system_tick(system, false);
	}
	if (!system->dead)
		weir_system_fail(system, "workers do not end");
}

void
weir_system_stop(struct weir_system *system)
{
	int rc;

	assert(system->running && system->depth == 0);
	drain(system);
	if (!system->dead) {
		system->running = false;
		rc = weir_ledger_finish(system->ledger, weir_system_boot_ns(system));
		if (!is_over(system) && rc == 0) {
			check_exact(system);
			weir_system_count(system, WEIR_SIM_STOPS, 1);
		}
		if (!system->dead && rc != 0 && !has_failed(system))
			weir_system_fail(system, "a clean stop fails: %s", strerror(-rc));
	}
	weir_system_bury(system);
}

void
weir_system_bury(struct weir_system *system)
{
	struct weir_ledger_status status;

	assert(system->depth == 0);
	weir_ledger_get_status(system->ledger, &status);
	weir_system_count(system, WEIR_SIM_WITNESS_FAILURES, status.witness_failures);
	if (status.failed && !system->dead)
		weir_system_count(system, WEIR_SIM_LEDGERS_FAILED, 1);
	system->dead = true;
	system->running = false;
	system->ports->sending = NULL;
	if (system->dataplane != NULL) {
		/* A last round frees what waits; what it sends is thrown away. */
		system->dataplane->drain_tsc = 0;
		atomic_store(&system->dataplane->stop, 1);
		for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
			if (!system->workers[w].ended && system->dataplane->n_launched > 0)
				(void)weir_worker_round(system->dataplane->workers[w],
				                        weir_system_tsc(system));
		system->dataplane->n_launched = 0;
		weir_dataplane_free(system->dataplane);
	}
	weir_snapshot_free(system->retired);
	weir_slots_free(system->slots);
	weir_sim_config_free(system->config);
	weir_ledger_close(system->ledger);
	system->dataplane = NULL;
	system->retired = NULL;
	system->slots = NULL;
	system->config = NULL;
	system->ledger = NULL;
	system->departing = false;
	system->settled = true;
	if (!weir_sim_ports_clear(system->ports))
		weir_system_fail(system, "buffers are lost");
}
