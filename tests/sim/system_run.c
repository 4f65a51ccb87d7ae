/* SPDX-License-Identifier: BSD-3-Clause */
/* Histories: what happens to a system, drawn from its seed, and the judgement at the end. */
#include "control/ledger_witness.h"
#include "tests/sim/system_sim.h"

#include <errno.h>

#define FLOW_STEPS   200U /* of 5 ms: in this time whatever may flow does */
#define FLOW_STEP_NS (5 * WEIR_NS_PER_MS)
#define FLOW_ROOM    4000U /* bytes that a cap must leave for flowing to be expected */
#define LIFT_BYTES   (UINT64_C(1) << 30)
#define LONG_STEPS   400U
#define ALLOWED(x_)  (1U << (x_))
#define OF_DAMAGE                                                                                  \
	(ALLOWED(WEIR_REFUSAL_TORN) | ALLOWED(WEIR_REFUSAL_LOST) |                                 \
	 ALLOWED(WEIR_REFUSAL_CONTRADICTION))
static_assert(WEIR_REFUSALS <= 32, "a mask of refusals");

enum kind {
	KIND_HONEST,
	KIND_NOTICED,
	KIND_LIE,        /* syncs that are none, then a power cut */
	KIND_DELAYED,    /* a write that comes in a later life */
	KIND_STALE_READ, /* a start reads what was there before */
};

struct run {
	struct weir_system *system;
	struct weir_random *random;
	enum kind kind;
	struct weir_disk_sim *saved; /* an old copy of the disk, or NULL */
	uint64_t noticed;            /* faults, so far, that reading back must have noticed */
	bool spoiled;                /* the disk has done something that no start need survive */
	bool over;                   /* judged */
	bool calm;                   /* the disk does as it is told */
};

static bool
has_failed(const struct weir_system *system)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(system->ledger, &status);
	return status.failed;
}

/* ---- steps ---- */

static void
step_disk(struct run *run)
{
	static const enum weir_disk_fault noticed[] = {
	    WEIR_FAULT_LOST,        WEIR_FAULT_TORN,       WEIR_FAULT_GARBLED,
	    WEIR_FAULT_MISDIRECTED, WEIR_FAULT_WRONG_READ, WEIR_FAULT_STALE_READ,
	};
	struct weir_disk_sim *disk = run->system->disk;
	int error = weir_random_one_in(run->random, 2) ? -EIO : -ENOSPC;
	uint64_t what = weir_random_below(run->random, 8);

	if (run->kind == KIND_NOTICED && what < 5)
		weir_disk_sim_arm(
		    disk, noticed[weir_random_below(run->random, WEIR_TEST_COUNT(noticed))], 0, 0);
	else if (run->kind == KIND_DELAYED && what < 4)
		weir_disk_sim_arm(disk, WEIR_FAULT_DELAYED, 0,
		                  weir_random_between(run->random, 2, 60));
	else if (run->kind == KIND_LIE && what < 4)
		weir_disk_sim_lie(disk);
	else if (what == 5)
		weir_disk_sim_arm(disk, WEIR_FAULT_ERROR, error, 0);
	else if (what == 6)
		weir_disk_sim_arm(disk, WEIR_FAULT_KILL, 0, 0);
	else if (what == 7 && weir_random_one_in(run->random, 3))
		weir_disk_sim_break(disk, error);
}

static void
step_witness(struct run *run)
{
	struct weir_witness_sim *witness = &run->system->witness;
	uint64_t what = weir_random_below(run->random, 6);

	witness->error = what == 0 ? -ETIMEDOUT : 0;
	witness->error_after = weir_random_one_in(run->random, 2);
	witness->hangs = what == 1;
	witness->looks_needed = (uint32_t)weir_random_below(run->random, 30);
}

/* What goes wrong with time. */
static void
step_time(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t ns = weir_random_below(run->random, 4 * WEIR_NS_PER_S);
	uint64_t until = system->tick + ns / WEIR_NS_PER_MS * (system->tick_hz / 1000);
	uint64_t before = system->tick;

	switch (weir_random_below(run->random, 5)) {
	case 0:
		weir_system_pass(system, ns);
		break;
	case 1:
		/* Asleep: the TSC may stand meanwhile. */
		weir_system_pass(system, 10 * ns);
		if (weir_random_one_in(run->random, 2))
			system->tsc_base += system->tick - before;
		weir_system_count(system, WEIR_SIM_SUSPENDS, 1);
		break;
	case 2:
		system->pulse_until = until;
		weir_system_count(system, WEIR_SIM_STALE_PULSES, 1);
		break;
	case 3:
		system->workers[weir_random_below(run->random, WEIR_SIM_WORKERS)].stalled_until =
		    until;
		weir_system_count(system, WEIR_SIM_STALLED_WORKERS, 1);
		break;
	default:
		system->slow_until = until;
		weir_system_count(system, WEIR_SIM_SLOW_DISKS, 1);
		break;
	}
}

static void
step_ordinary(struct weir_system *system)
{
	uint64_t rounds = weir_random_below(&system->random, 5);

	weir_system_offer(system, false);
	weir_system_pulse(system);
	for (uint64_t i = 0; i < rounds; i++) {
		weir_system_work(system, (uint32_t)(i % WEIR_SIM_WORKERS));
		weir_system_pass(system, weir_random_below(&system->random, 500 * WEIR_NS_PER_US));
	}
	if (!system->dead)
		weir_system_tick(system, false);
	weir_system_pass(system, weir_random_below(&system->random, 10 * WEIR_NS_PER_MS));
}

static uint64_t
count_noticed(const struct weir_disk_sim *disk)
{
	return weir_disk_sim_hits(disk, WEIR_FAULT_LOST) +
	       weir_disk_sim_hits(disk, WEIR_FAULT_GARBLED) +
	       weir_disk_sim_hits(disk, WEIR_FAULT_MISDIRECTED);
}

/* Reading back has told, and nothing more is granted. */
static void
check_noticed(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t noticed = count_noticed(system->disk);

	if (noticed == run->noticed)
		return;
	run->noticed = noticed;
	run->spoiled = true;
	if (!system->dead && !has_failed(system))
		weir_system_fail(system, "a write that went wrong was not noticed");
}

static void
step(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t what = weir_random_below(run->random, 100);

	if (what < 75)
		step_ordinary(system);
	else if (what < 79)
		weir_system_tick(system, true);
	else if (what < 86)
		weir_system_change(system, 1 + (uint32_t)weir_random_below(run->random, 4));
	else if (what < 91)
		step_time(run);
	else if (what < 93 && !run->calm)
		step_disk(run);
	else if (what < 96)
		step_witness(run);
	else if (what < 97 && weir_random_one_in(run->random, 2)) {
		if (run->saved != NULL)
			weir_disk_sim_free(run->saved);
		run->saved = weir_disk_sim_copy(system->disk, what);
	} else {
		weir_system_offer(system, true);
		weir_system_interrupt(system);
	}
	if (!system->dead)
		weir_system_retire(system);
	check_noticed(run);
}

/* ---- between lives ---- */

/*
 * Holds a disk that may have lost what was synced against the witness: it is refused for a reason
 * that fits, or believed, and then hides no more than it may.
 */
static void
judge(struct run *run, uint32_t allowed, enum weir_sim_event refused)
{
	struct weir_system *system = run->system;
	uint64_t hidden, limit = weir_ledger_witness_limit(system->witness_every_bytes);
	enum weir_ledger_refusal refusal = weir_system_look(system, &hidden);

	if (refusal != WEIR_REFUSAL_NONE) {
		weir_system_count(system, refused, 1);
		if ((allowed & ALLOWED(refusal)) == 0)
			weir_system_fail(system, "refused as %s, which does not fit: %s",
			                 weir_ledger_refusal_name(refusal), system->refused);
		return;
	}
	if (system->traits.witness == WEIR_WITNESS_NONE)
		return;
	weir_system_count(system, WEIR_SIM_ROLLBACKS_BELIEVED, 1);
	if (hidden > limit)
		weir_system_fail(system,
		                 "believed, but %" PRIu64 " bytes are hidden, at most %" PRIu64
		                 " may be",
		                 hidden, limit);
}

/* Puts an old copy in place, sees what becomes of it, and undoes that. */
static void
roll_back(struct run *run)
{
	struct weir_system *system = run->system;
	struct weir_disk_sim *now;

	if (run->saved == NULL || run->kind != KIND_HONEST || !weir_random_one_in(run->random, 2))
		return;
	now = weir_disk_sim_copy(system->disk, 0);
	weir_disk_sim_assign(system->disk, run->saved);
	weir_system_count(system, WEIR_SIM_ROLLBACKS, 1);
	judge(run,
	      system->traits.witness == WEIR_WITNESS_NONE ? 0 : ALLOWED(WEIR_REFUSAL_ROLLED_BACK),
	      WEIR_SIM_ROLLBACKS_REFUSED);
	weir_disk_sim_assign(system->disk, now);
	weir_disk_sim_free(now);
}

/* A witness that was put back is seen. */
static void
reset_witness(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t value = system->witness.value, hidden;

	if (system->traits.witness == WEIR_WITNESS_NONE || value < 2 ||
	    !weir_random_one_in(run->random, 8) || run->spoiled)
		return;
	system->witness.value = weir_random_below(run->random, value - 1);
	if (weir_system_look(system, &hidden) != WEIR_REFUSAL_WITNESS_BEHIND)
		weir_system_fail(system, "the witness was put back from %" PRIu64, value);
	weir_system_count(system, WEIR_SIM_WITNESS_RESETS, 1);
	system->witness.value = value;
}

/* While it is off. */
static void
pass_between(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t true_ns = weir_system_boot_ns(system) + system->boot_base;
	enum weir_sim_change what;

	(void)weir_witness_sim_attach(&system->witness, weir_random_one_in(run->random, 2));
	if (weir_random_one_in(run->random, 2))
		weir_system_pass(system, weir_random_below(run->random, 30 * WEIR_NS_PER_S));
	if (weir_random_one_in(run->random, 2)) {
		system->boot_base = true_ns;
		system->tsc_base = system->tick;
		weir_system_count(system, WEIR_SIM_REBOOTS, 1);
	}
	what = (enum weir_sim_change)weir_random_below(run->random, WEIR_SIM_CHANGES);
	if (weir_random_one_in(run->random, 4))
		(void)weir_sim_policy_change(&system->policy, what, run->random);
	system->crash_in = 0;
	if (weir_disk_sim_broken(system->disk) == 0) {
		roll_back(run);
		reset_witness(run);
	} else if (weir_random_one_in(run->random, 2)) {
		weir_disk_sim_break(system->disk, 0);
	}
}

/* The end of a history on a disk that has lied. */
static void
judge_lie(struct run *run)
{
	uint32_t allowed = OF_DAMAGE;

	weir_disk_sim_break(run->system->disk, 0);
	run->system->crash_in = 0;
	if (run->system->traits.witness != WEIR_WITNESS_NONE)
		allowed |= ALLOWED(WEIR_REFUSAL_ROLLED_BACK);
	if (run->kind == KIND_STALE_READ)
		run->system->start_fault = WEIR_FAULT_STALE_READ;
	weir_system_count(run->system, WEIR_SIM_LIES, 1);
	judge(run, allowed, WEIR_SIM_LIES_REFUSED);
	run->over = true;
}

/* A start was refused. Is there a reason for it? */
static void
judge_refusal(struct run *run, enum weir_ledger_refusal refusal, enum weir_disk_fault fault,
              bool broken)
{
	struct weir_system *system = run->system;

	/* One that ended while it read has seen anything. */
	if (system->dead || (refusal == WEIR_REFUSAL_UNREADABLE && broken))
		return;
	if ((run->spoiled || broken || fault == WEIR_FAULT_WRONG_READ) &&
	    ((OF_DAMAGE | ALLOWED(WEIR_REFUSAL_VERSION)) & ALLOWED(refusal)) != 0) {
		weir_system_count(system, WEIR_SIM_NOTICED_REFUSED, 1);
		run->over = run->spoiled; /* a read that went wrong once is no lasting harm */
		return;
	}
	weir_system_fail(system, "refused as %s for nothing: %s", weir_ledger_refusal_name(refusal),
	                 system->refused);
}

/* ---- lives ---- */

/* Starts, where something may be in the way. Returns true when it forwards. */
static bool
start(struct run *run)
{
	struct weir_system *system = run->system;
	enum weir_disk_fault fault = WEIR_FAULT_NONE;
	enum weir_ledger_refusal refusal;
	uint64_t unreadable = weir_disk_sim_hits(system->disk, WEIR_FAULT_ERROR);

	if (!run->calm && weir_random_one_in(run->random, 12))
		fault = WEIR_FAULT_ERROR;
	if (run->kind == KIND_NOTICED && weir_random_one_in(run->random, 6))
		fault = WEIR_FAULT_WRONG_READ;
	system->start_fault = fault;
	refusal = weir_system_start(system);
	if (system->running)
		return true;
	if (refusal != WEIR_REFUSAL_NONE)
		judge_refusal(run, refusal, fault,
		              weir_disk_sim_hits(system->disk, WEIR_FAULT_ERROR) > unreadable);
	if (system->ledger != NULL)
		weir_system_bury(system);
	check_noticed(run);
	return false;
}

static void
end_life(struct run *run)
{
	struct weir_system *system = run->system;
	uint64_t what = weir_random_below(run->random, 4);

	if (!system->dead && run->kind == KIND_LIE)
		weir_system_crash(system, true);
	if (!system->dead && what == 0)
		weir_system_crash(system, false);
	if (!system->dead && what == 1)
		weir_system_crash(system, true);
	if (system->dead)
		weir_system_bury(system);
	else
		weir_system_stop(system);
	check_noticed(run);
}

static void
live(struct run *run, uint64_t steps)
{
	struct weir_system *system = run->system;

	for (uint64_t i = 0; i < steps && !system->dead && !weir_system_failed(system); i++)
		step(run);
	end_life(run);
}

static void
plan_crash(struct run *run)
{
	run->system->crash_in = 0;
	if (!weir_random_one_in(run->random, 3))
		run->system->crash_in = weir_random_between(run->random, 1, 500);
}

/* ---- the judgement of an honest disk ---- */

/* Whether every budget above a class has room to spare. */
static bool
has_room(const struct weir_system *system, uint32_t class)
{
	uint32_t at = system->published.classes[class].budget;

	for (; at != WEIR_ANY; at = system->published.budgets[at].parent) {
		struct weir_ledger_budget_status status;

		weir_ledger_get_budget(system->ledger, system->ids[at], &status);
		for (uint32_t k = 0; k < status.n_caps; k++)
			if (status.caps[k].remaining_bytes < FLOW_ROOM)
				return false;
	}
	return true;
}

/* What no cap keeps back flows within a second. */
static void
check_flow(struct run *run)
{
	struct weir_system *system = run->system;
	bool may_flow[WEIR_SIM_CLASSES];
	uint64_t before[WEIR_SIM_CLASSES];

	system->control_busy = true; /* no policy comes in between */
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		may_flow[i] = system->published.classes[i].used;
		before[i] = system->tape.classes[i].sent_bytes;
	}
	for (uint32_t n = 0; n < FLOW_STEPS; n++) {
		for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++)
			may_flow[i] = may_flow[i] && has_room(system, i);
		weir_system_offer(system, true);
		weir_system_pulse(system);
		for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
			weir_system_work(system, w);
		weir_system_tick(system, false);
		weir_system_pass(system, FLOW_STEP_NS);
	}
	system->control_busy = false;
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		if (system->published.classes[i].used && !may_flow[i])
			weir_system_count(system, WEIR_SIM_CAPS_REACHED, 1);
		if (!may_flow[i])
			continue;
		weir_system_count(system, WEIR_SIM_FLOWED, 1);
		if (system->tape.classes[i].sent_bytes == before[i])
			weir_system_fail(system,
			                 "class%" PRIu32 ": nothing flows, and no cap is near", i);
	}
}

/* So much more for every cap that a class is sure to find room. */
static void
lift_caps(struct weir_sim_policy *policy)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++)
		for (uint32_t k = 0; k < policy->budgets[i].n_caps; k++)
			policy->budgets[i].caps[k].limit_bytes += LIFT_BYTES;
}

/* With everything in order again it starts, flows, stops exactly, and starts once more. */
static void
judge_honest(struct run *run)
{
	struct weir_system *system = run->system;

	weir_disk_sim_break(system->disk, 0);
	system->crash_in = 0;
	system->slow_until = 0;
	weir_witness_sim_attach(&system->witness, true);
	system->witness.error = 0;
	system->witness.hangs = false;
	system->witness.looks_needed = 2;
	system->tuning = (struct weir_ledger_tuning){.horizon_ns = 0}; /* the defaults */
	if (weir_random_one_in(run->random, 2))
		lift_caps(&system->policy);
	for (uint32_t i = 0; i < 2 && !weir_system_failed(system); i++) {
		enum weir_ledger_refusal refusal = weir_system_start(system);

		if (!system->running) {
			weir_system_fail(system, "does not start: %s: %s",
			                 weir_ledger_refusal_name(refusal), system->refused);
			return;
		}
		if (i == 0)
			check_flow(run);
		weir_system_stop(system);
	}
}

/* ---- histories ---- */

static struct run
make_run(struct weir_sim_ports *ports, struct weir_sim_counts *counts, uint64_t seed,
         enum kind kind, uint64_t cut_at_call)
{
	struct weir_random random = weir_random_make(seed ^ UINT64_C(0x5eed));
	struct weir_sim_traits traits = {.honest = kind == KIND_HONEST, .cut_at_call = cut_at_call};
	struct run run = {.kind = kind};

	if (weir_random_one_in(&random, 2))
		traits.witness =
		    weir_random_one_in(&random, 2) ? WEIR_WITNESS_FILE : WEIR_WITNESS_TPM;
	run.system = weir_system_new(ports, counts, &traits, seed);
	run.random = &run.system->random;
	return run;
}

static uint64_t
finish_run(struct run *run, char *error, size_t error_size)
{
	struct weir_system *system = run->system;
	uint64_t digest;

	if (system->ledger != NULL)
		weir_system_bury(system);
	weir_tape_mix(&system->tape, system->tick);
	weir_tape_mix(&system->tape, weir_random_next(run->random));
	digest = system->tape.digest;
	snprintf(error, error_size, "%s", system->error);
	if (run->saved != NULL)
		weir_disk_sim_free(run->saved);
	weir_system_free(system);
	return digest;
}

/* Whether the disk has lied by now, so that the next start is the last to be looked at. */
static bool
has_lied(const struct run *run, uint64_t cuts)
{
	if (run->kind == KIND_DELAYED)
		return weir_disk_sim_hits(run->system->disk, WEIR_FAULT_DELAYED) > 0;
	if (run->kind == KIND_LIE)
		return run->system->counts->events[WEIR_SIM_CUTS] > cuts &&
		       weir_disk_sim_lies(run->system->disk);
	return false;
}

uint64_t
weir_system_run(struct weir_sim_ports *ports, struct weir_sim_counts *counts, uint64_t seed,
                char *error, size_t error_size)
{
	static const enum kind kinds[] = {
	    KIND_HONEST,  KIND_HONEST,  KIND_HONEST, KIND_HONEST,  KIND_HONEST,     KIND_HONEST,
	    KIND_NOTICED, KIND_NOTICED, KIND_LIE,    KIND_DELAYED, KIND_STALE_READ,
	};
	struct weir_random random = weir_random_make(seed);
	enum kind kind = kinds[weir_random_below(&random, WEIR_TEST_COUNT(kinds))];
	struct run run = make_run(ports, counts, seed, kind, 0);
	uint64_t lives = weir_random_between(run.random, 2, 4);

	for (uint64_t i = 0; i < lives && !run.over && !weir_system_failed(run.system); i++) {
		uint64_t cuts = counts->events[WEIR_SIM_CUTS];

		plan_crash(&run);
		if (start(&run))
			live(&run, weir_random_between(run.random, 5, 60));
		if (run.over || weir_system_failed(run.system))
			break;
		if (has_lied(&run, cuts) || (kind == KIND_STALE_READ && i + 1 == lives))
			judge_lie(&run);
		else
			pass_between(&run);
	}
	if (kind == KIND_HONEST && !weir_system_failed(run.system))
		judge_honest(&run);
	return finish_run(&run, error, error_size);
}

/* A policy by which much can flow for long. */
static void
set_generous(struct weir_sim_policy *policy)
{
	lift_caps(policy);
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++)
		policy->classes[i] = (struct weir_sim_class){.used = true,
		                                             .rate_bit_s = 50000000,
		                                             .burst_bytes = 20000,
		                                             .backlog_bytes = 20000};
}

uint64_t
weir_system_run_cut(struct weir_sim_ports *ports, struct weir_sim_counts *counts, uint64_t seed,
                    uint64_t call, char *error, size_t error_size)
{
	struct run run = make_run(ports, counts, seed, KIND_HONEST, call);
	uint64_t calls;

	/* Small grants, so that the disk is busy. */
	run.calm = true;
	run.system->tuning.grant_min_bytes = 1000;
	run.system->tuning.grant_max_bytes = 3000;
	set_generous(&run.system->policy);
	if (start(&run))
		live(&run, LONG_STEPS);
	calls = run.system->disk_calls;
	if (!weir_system_failed(run.system)) {
		pass_between(&run);
		if (start(&run))
			live(&run, 8);
	}
	if (!weir_system_failed(run.system))
		judge_honest(&run);
	(void)finish_run(&run, error, error_size);
	return calls;
}
