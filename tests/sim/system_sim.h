/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole of Weir in one thread, in simulated time, from one seed: two real workers between ring
 * ports, the real ledger on a simulated disk with a simulated witness, and policies that change as
 * the control thread changes them. It lives many lives; a tape outside writes down what left.
 *
 * Where threads would run side by side, one interrupts the other here: while a worker has read the
 * clock and not begun, while its frames are charged and have not left, and while the disk is at
 * work, time passes, the others go on, policies change, and the process may end.
 */
#ifndef WEIR_TESTS_SIM_SYSTEM_SIM_H
#define WEIR_TESTS_SIM_SYSTEM_SIM_H

#include "control/ledger.h"
#include "control/slots.h"
#include "dataplane/worker_state.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/ports_sim.h"
#include "tests/sim/tape_sim.h"
#include "tests/sim/witness_sim.h"

/* What is counted, so that a simulation that has gone blind is seen. */
enum weir_sim_event {
	WEIR_SIM_STARTS, /* lives that have forwarded */
	WEIR_SIM_CUTS,
	WEIR_SIM_KILLS,
	WEIR_SIM_CRASHES_IN_DISK, /* of both, while the disk was at work */
	WEIR_SIM_CRASHES_IN_ROUND,
	WEIR_SIM_CRASHES_AT_START,
	WEIR_SIM_STOPS, /* clean and exact */
	WEIR_SIM_ROUNDS,
	WEIR_SIM_ROUNDS_IN_DISK,
	WEIR_SIM_FRAMES,
	WEIR_SIM_BYTES,
	WEIR_SIM_TICKS,
	WEIR_SIM_LATE_TICKS,
	WEIR_SIM_POLICIES,
	WEIR_SIM_POLICIES_IN_ROUND,
	WEIR_SIM_POLICIES_BUSY,   /* refused: the one before was still in use */
	WEIR_SIM_POLICIES_FAILED, /* by the disk */
	WEIR_SIM_ROOTS_RENAMED,   /* refused */
	WEIR_SIM_STALE_PULSES,
	WEIR_SIM_STALLED_WORKERS,
	WEIR_SIM_SUSPENDS,
	WEIR_SIM_REBOOTS,
	WEIR_SIM_SLOW_DISKS,
	WEIR_SIM_LEDGERS_FAILED,
	WEIR_SIM_SLOTS_LOST,
	WEIR_SIM_CAPS_REACHED,
	WEIR_SIM_WITNESS_ADVANCES,
	WEIR_SIM_WITNESS_FAILURES,
	WEIR_SIM_WITNESS_RESETS,     /* refused */
	WEIR_SIM_STARTS_UNWITNESSED, /* the witness did not answer: no start */
	WEIR_SIM_ROLLBACKS,
	WEIR_SIM_ROLLBACKS_REFUSED,
	WEIR_SIM_ROLLBACKS_BELIEVED, /* with a witness: within the limit */
	WEIR_SIM_LIES,
	WEIR_SIM_LIES_REFUSED,
	WEIR_SIM_NOTICED_REFUSED,
	WEIR_SIM_FLOWED, /* classes that had to flow, and did */
	WEIR_SIM_EVENTS,
};

const char *weir_sim_event_name(enum weir_sim_event event);

struct weir_sim_counts {
	uint64_t events[WEIR_SIM_EVENTS];
	uint64_t changes[WEIR_SIM_CHANGES];
	uint64_t faults[WEIR_FAULTS];
	uint64_t refusals[WEIR_REFUSALS];
};

/* How a system is made. */
struct weir_sim_traits {
	enum weir_witness_kind witness;
	bool honest; /* nothing that was synced is ever lost */
	/* The power goes when the disk has done the work of this call, from 1; 0: not for that. */
	uint64_t cut_at_call;
};

/* One worker, as the simulation sees it. */
struct weir_sim_worker {
	bool busy; /* in a round */
	bool ended;
	uint64_t stalled_until; /* tick */
	/* Of the present round. */
	uint64_t reading_tsc;
	uint64_t pulse_tsc;
	uint64_t changes;              /* of caps, before it began */
	uint64_t publication;          /* likewise, of classes */
	struct weir_sim_policy policy; /* that it works by */
};

struct weir_system {
	struct weir_sim_traits traits;
	struct weir_sim_counts *counts;
	struct weir_sim_ports *ports;
	struct weir_random random;
	struct weir_tape tape;
	struct weir_disk_sim *disk;
	struct weir_witness_sim witness;
	struct weir_ledger_key key;
	struct weir_ledger_tuning tuning;
	uint64_t witness_every_bytes, witness_interval_ns;
	char error[512];   /* what is broken, or empty */
	char refused[256]; /* why the ledger was refused, at last */

	/* Time: the true one in ticks, and what a life sees of it. */
	uint64_t tick_hz, tick;
	uint64_t tsc_base;  /* the TSC says tick - tsc_base */
	uint64_t boot_base; /* CLOCK_BOOTTIME says the true time - boot_base, in ns */

	/* A life. */
	struct weir_credit *credit;
	struct weir_ledger *ledger; /* NULL: off */
	struct weir_dataplane *dataplane;
	struct weir_slots *slots;
	struct weir_config *config; /* in force */
	uint32_t config_ids[2 * WEIR_SIM_BUDGETS];
	struct weir_snapshot *retired;
	uint64_t retired_token;
	uint64_t generation;
	bool departing;
	bool running; /* workers turn */
	bool dead;    /* crashed: nothing that happens counts any more */
	bool ledger_busy, control_busy, in_disk;
	uint32_t depth; /* of interruptions */
	struct weir_sim_worker workers[WEIR_SIM_WORKERS];
	struct weir_sim_policy policy;    /* as the operator has it */
	struct weir_sim_policy published; /* as the current snapshot has it */
	uint64_t publications;
	bool settled;
	uint64_t pulse_until;             /* tick until which no pulse is given */
	uint64_t slow_until;              /* tick until which the disk is slow */
	enum weir_disk_fault start_fault; /* what the next start meets */
	uint64_t crash_in;   /* points of interruption until the end; 0: none planned */
	uint64_t disk_calls; /* that have done their work, in all lives */

	/* What is known of the ledger's budgets, by number of the name. */
	bool known[WEIR_SIM_BUDGETS];
	uint32_t ids[WEIR_SIM_BUDGETS];
	uint64_t base_bytes[WEIR_SIM_BUDGETS];      /* charged when this life began ... */
	uint64_t base_sent[WEIR_SIM_BUDGETS];       /* ... and what had been sent */
	uint64_t found_forfeited[WEIR_SIM_BUDGETS]; /* by the last start */
	uint64_t forfeited[WEIR_SIM_BUDGETS];       /* durably, by one that forwarded */
	/* By id: what is granted durably, and the most that was ever asked to be written. */
	uint64_t durable_bytes[WEIR_SIM_BUDGETS];
	uint64_t top_bytes[WEIR_SIM_BUDGETS];
};

/* A system that is off, with a new ledger. */
struct weir_system *weir_system_new(struct weir_sim_ports *ports, struct weir_sim_counts *counts,
                                    const struct weir_sim_traits *traits, uint64_t seed);
void weir_system_free(struct weir_system *system);

/* ---- system_sim.c: time, workers, interruptions ---- */

void weir_system_count(struct weir_system *system, enum weir_sim_event event, uint64_t n);

/* Says what is broken; the first one stays. */
void weir_system_fail(struct weir_system *system, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool weir_system_failed(const struct weir_system *system);

void weir_system_pass(struct weir_system *system, uint64_t ns);
uint64_t weir_system_tsc(const struct weir_system *system);
uint64_t weir_system_boot_ns(const struct weir_system *system);

/* The process ends, now; the power with it. */
void weir_system_crash(struct weir_system *system, bool power);

/* Puts frames in: some, or for all classes where flood. */
void weir_system_offer(struct weir_system *system, bool flood);

/* One round of a worker, unless it is in one or can't. */
void weir_system_work(struct weir_system *system, uint32_t worker);

/* The control thread's sign of life, unless it is to be stale. */
void weir_system_pulse(struct weir_system *system);

/* The ledger ticks; late: time passes after it has read the clock. */
void weir_system_tick(struct weir_system *system, bool late);

/* A moment in which others may go on. */
void weir_system_interrupt(struct weir_system *system);

/* The ports tell this system from now on. */
void weir_system_attach(struct weir_system *system);

/* What the disk's watch calls. */
void weir_system_during_disk(void *arg, bool done);

/* ---- system_life.c: starts, policies, ends ---- */

/*
 * Opens the ledger, and where that goes well starts to forward. A refusal is returned; otherwise
 * NONE, and system->running says whether it got so far.
 */
enum weir_ledger_refusal weir_system_start(struct weir_system *system);

/* Only opens the ledger and looks: most that a budget has sent and is not charged with. */
enum weir_ledger_refusal weir_system_look(struct weir_system *system, uint64_t *hidden_bytes);

/* Changes the policy in force by up to n changes. */
void weir_system_change(struct weir_system *system, uint32_t n);

/* Frees the policy before, where nobody holds it any more. */
void weir_system_retire(struct weir_system *system);

/* A clean stop. */
void weir_system_stop(struct weir_system *system);

/* What is left of a process that has ended. */
void weir_system_bury(struct weir_system *system);

/* ---- system_watch.c: what the disk says ---- */

void weir_system_watch_disk(struct weir_system *system);

/* After a start: that what the ledger charges is right. */
void weir_system_check_charges(struct weir_system *system);

/* ---- system_run.c: what happens to it ---- */

/*
 * Runs a whole history from a seed: some lives, and a judgement at the end. Returns the digest of
 * all that could be seen. error gets a line where something is broken, otherwise it is empty.
 */
uint64_t weir_system_run(struct weir_sim_ports *ports, struct weir_sim_counts *counts,
                         uint64_t seed, char *error, size_t error_size);

/*
 * A long first life from a seed, with a power cut when the disk has done the work of one call
 * (from 1; 0: none), then another one and the judgement. Returns how many calls the first life
 * made.
 */
uint64_t weir_system_run_cut(struct weir_sim_ports *ports, struct weir_sim_counts *counts,
                             uint64_t seed, uint64_t call, char *error, size_t error_size);

#endif
