/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger: what has been charged, durably, and how much more may be.
 *
 * A plain state machine: no thread, no clock of its own. The ledger thread (ledger_thread.h) calls
 * weir_ledger_tick with the time every millisecond or so; a test calls it with any time it likes.
 *
 *   commission -> (file exists)     open -> set_policy -> tick, tick, ... -> close
 *
 * Order, always: decide the grant, write, sync, publish to credit. When a write or a sync fails the
 * ledger is failed for good: nothing more is granted until a restart, and no sync is tried again.
 *
 * Windows. A window of length W is cut into 64 slots; a slot's bytes come back when the whole slot
 * has left the window. A byte counts in the slot in which the ledger saw it spent, never an earlier
 * one; granted and unspent bytes count as used all the time, and after a crash as spent at the
 * restart. Time is the sum of CLOCK_BOOTTIME steps while Weir runs, each clamped to
 * WEIR_LEDGER_STEP_MAX_NS: time switched off or suspended gives nothing.
 * Where a budget gets a window that it did not have, all its bytes of which no time is known count
 * as spent as late as they can have been.
 */
#ifndef WEIR_CONTROL_LEDGER_H
#define WEIR_CONTROL_LEDGER_H

#include "control/config.h"
#include "control/ledger_key.h"
#include "control/ledger_window.h"
#include "control/ledger_witness.h"
#include "dataplane/credit.h"
#include "drivers/disk.h"

#define WEIR_LEDGER_STEP_MAX_NS (2 * WEIR_NS_PER_S)

/* Stable index of the root budget: that of the first policy, for as long as the ledger lives. */
#define WEIR_LEDGER_ROOT 0U

struct weir_ledger;

/* What the ledger tells about itself: for status, events and tests. */
struct weir_ledger_status {
	bool failed;
	int error;                /* -errno of the first failure */
	bool slot_lost;           /* at the last start, one slot held no valid record */
	uint64_t sequence;        /* of the last durable record */
	uint64_t epoch;           /* how many times the ledger was opened for use */
	uint64_t clock_ns;        /* the ledger's own time */
	uint64_t forfeited_bytes; /* of the root, by the last start: granted, not known as spent */
	uint64_t syncs;
	uint64_t written_bytes;
	uint64_t sync_max_ns; /* longest write and sync seen; 0 where no clock was given */
	uint64_t horizon_ns;  /* for how long grants are made ahead now */
	enum weir_witness_kind witness_kind;
	uint64_t witness_value;      /* confirmed by the witness */
	uint64_t witness_failures;   /* to advance it, since the start */
	int witness_error;           /* of the last attempt; 0: it went well */
	uint64_t witness_left_bytes; /* that the root can still be granted before the witness must
	                                have advanced; UINT64_MAX: there is none */
};

struct weir_ledger_cap_status {
	uint64_t limit_bytes;
	uint64_t window_ns;       /* 0: lifetime */
	uint64_t used_bytes;      /* charged in the window, or ever; forfeits included */
	uint64_t remaining_bytes; /* limit - used, at least 0 */
};

struct weir_ledger_budget_status {
	uint64_t charged_bytes; /* ever; forfeits included */
	uint64_t granted_bytes; /* durable, cumulative */
	/* Of charged: what crashes have cost, having been granted and not known as spent. */
	uint64_t forfeited_bytes;      /* ever */
	uint64_t forfeited_last_bytes; /* by the last start */
	uint32_t n_caps;
	struct weir_ledger_cap_status caps[WEIR_CAPS_MAX];
};

/* How grants are sized. All zero: the defaults named here. */
struct weir_ledger_tuning {
	uint64_t horizon_ns;      /* grant ahead for this long at the present rate; 100 ms */
	uint64_t grant_min_bytes; /* at least so much ahead; 1 MB */
	uint64_t grant_max_bytes; /* at most so much ahead; 4 GB */
};

/* A charge that a ledger begins with: what is known to have left before it was made. */
struct weir_ledger_charge {
	char name[WEIR_NAME_SIZE];
	uint64_t bytes;
};

/*
 * Makes a new ledger on an empty disk. Commissioning, by hand. The disk has WEIR_LEDGER_FILE_BYTES
 * (ledger_format.h) and was never written. charges: of budgets by name, the root first; none: no
 * budgets. kind and value: of the witness, as it stands now.
 * Returns 0; -EEXIST when something is on it already; -EINVAL for a wrong size; or -errno.
 */
int weir_ledger_commission(struct weir_disk *disk, const struct weir_ledger_key *key,
                           enum weir_witness_kind kind, uint64_t witness_value,
                           const struct weir_ledger_charge *charges, uint32_t n_charges)
    __attribute__((warn_unused_result));

/* What a ledger is opened with. */
struct weir_ledger_options {
	struct weir_ledger_tuning tuning;
	const struct weir_ledger_key *key; /* copied */
	const char *appliance;             /* as the policy calls it; NULL: any will do */
	/* The witness, where there is one: its line, taken on success, and where it stands. */
	enum weir_witness_kind witness_kind;
	struct weir_witness_line *witness;
	uint64_t witness_value;
	uint64_t witness_every_bytes; /* 0: 100 MB */
	uint64_t witness_interval_ns; /* 0: 2 h */
};

/*
 * Opens a ledger and reads its newest valid state. Takes the disk and the line on success (closed
 * with the ledger). error gets one line that says what was found and what was expected.
 * Changes no byte.
 */
enum weir_ledger_refusal weir_ledger_open(struct weir_disk *disk, struct weir_credit *credit,
                                          const struct weir_ledger_options *options,
                                          struct weir_ledger **ledger, char *error,
                                          size_t error_size) __attribute__((warn_unused_result));

/*
 * Puts a policy's budgets in force: registers names that are new, durably, and applies the caps.
 * ids[i] gets the stable index of config's budget i, for the paths of classes and weir_credit.
 * Tightened caps lower what is spendable before this returns. The first call after open also
 * makes the forfeit of the last run durable and fixes now_boot_ns as the start of time.
 * Returns 0; -EPERM (the root has another name than WEIR_LEDGER_ROOT: what the box has sent would
 * be charged to nobody) or -ENOSPC (more names than the ledger holds), and then nothing has
 * changed; or -errno of the disk (and then: failed).
 */
int weir_ledger_set_policy(struct weir_ledger *ledger, const struct weir_config *config,
                           uint64_t now_boot_ns, uint32_t *ids) __attribute__((warn_unused_result));

/* Advances time, reads what was spent, extends grants where needed. Ledger thread. */
void weir_ledger_tick(struct weir_ledger *ledger, uint64_t now_boot_ns);

/*
 * Clean stop: workers have ended, all purses are back. Makes charged equal to spent to the byte,
 * durably. Returns 0 or -errno (the grants then stay charged).
 */
int weir_ledger_finish(struct weir_ledger *ledger, uint64_t now_boot_ns)
    __attribute__((warn_unused_result));

/* Frees the ledger and closes its disk. Without weir_ledger_finish: as a crash. */
void weir_ledger_close(struct weir_ledger *ledger);

/* A clock in ns for sync_max_ns; without one it stays 0. */
void weir_ledger_set_clock(struct weir_ledger *ledger, uint64_t (*clock)(void));

void weir_ledger_get_status(const struct weir_ledger *ledger, struct weir_ledger_status *status);

/* Status of a budget by its stable index, with the caps of the policy in force in its order. */
void weir_ledger_get_budget(const struct weir_ledger *ledger, uint32_t id,
                            struct weir_ledger_budget_status *status);

/* Stable indices of the budgets of the policy in force, in its order. Returns how many. */
uint32_t weir_ledger_get_policy(const struct weir_ledger *ledger, const uint32_t **ids);

/* Name of a budget by its stable index. */
const char *weir_ledger_get_name(const struct weir_ledger *ledger, uint32_t id);

#endif
