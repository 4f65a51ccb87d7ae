/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A box in simulated time: a disk, a ledger, credit, and a worker that spends. It lives many lives;
 * what all of them sent is recorded with its true time, outside of anything that the ledger knows.
 */
#ifndef WEIR_TESTS_SIM_BOX_SIM_H
#define WEIR_TESTS_SIM_BOX_SIM_H

#include "control/ledger.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/witness_sim.h"

#define WEIR_BOX_BUDGETS 8U

/* One sending: so many bytes at a true time. */
struct weir_box_sent {
	uint64_t time_ns;
	uint64_t bytes;
};

struct weir_box {
	struct weir_disk_sim *disk;
	struct weir_disk *instead; /* what the ledger is opened on; NULL: disk */
	struct weir_credit *credit;
	struct weir_credit_worker *worker;
	struct weir_ledger *ledger; /* NULL: switched off */
	struct weir_ledger_tuning tuning;
	struct weir_ledger_key key;
	struct weir_witness_sim *witness; /* NULL: none */
	uint64_t witness_every_bytes, witness_interval_ns;
	struct weir_config config;
	struct weir_config_budget budgets[WEIR_BOX_BUDGETS];
	struct weir_config_class classes[WEIR_BOX_BUDGETS]; /* one for each budget, very fast */
	uint32_t ids[WEIR_BOX_BUDGETS];
	uint64_t true_ns;     /* never goes back */
	uint64_t boot_ns;     /* CLOCK_BOOTTIME of this life is true_ns - boot_ns */
	uint64_t frame_bytes; /* charge of one frame: what is sent is whole frames */
	/* By position in the policy, over all lives. */
	uint64_t sent_bytes[WEIR_BOX_BUDGETS];
	struct weir_box_sent *sent[WEIR_BOX_BUDGETS];
	size_t n_sent[WEIR_BOX_BUDGETS], sent_room[WEIR_BOX_BUDGETS];
	enum weir_ledger_refusal refusal; /* of the last open */
	char error[512];
};

/* A commissioned, switched off box without a policy. */
struct weir_box *weir_box_new(uint64_t seed);

/* The same with a witness, which outlives it. */
struct weir_box *weir_box_new_witnessed(uint64_t seed, struct weir_witness_sim *witness);
void weir_box_free(struct weir_box *box);

/* Adds a budget to the policy (in force at the next weir_box_apply). parent: position or WEIR_ANY.
 */
uint32_t weir_box_add_budget(struct weir_box *box, const char *name, uint32_t parent);
void weir_box_add_cap(struct weir_box *box, uint32_t position, uint64_t limit_bytes,
                      uint64_t window_ns);

/*
 * Switches on: attaches the disk and opens the ledger. 0, or -EBADMSG where it is refused;
 * box->refusal and box->error say why.
 */
int weir_box_open(struct weir_box *box);

/* Sets the policy. */
int weir_box_apply(struct weir_box *box);

/* The process is gone, as by kill -9. */
void weir_box_kill(struct weir_box *box);

/* The power is gone: as killed, and the disk loses what it may. */
void weir_box_power_cut(struct weir_box *box);

/* Clean stop. The ledger is closed in any case. */
int weir_box_finish(struct weir_box *box);

/* Time passes, and the ledger ticks. */
void weir_box_tick(struct weir_box *box, uint64_t pass_ns);

/*
 * Sends at most bytes, as whole frames, charged to the budget and its parents. Returns the bytes
 * sent: less where credit is short.
 */
uint64_t weir_box_send(struct weir_box *box, uint32_t position, uint64_t bytes);

/* What the ledger says of a budget, by its position. */
struct weir_ledger_budget_status weir_box_budget(const struct weir_box *box, uint32_t position);

/*
 * Most bytes that a window (t - window_ns, t] of a budget holds, over all t: by true times.
 */
uint64_t weir_box_window_max(const struct weir_box *box, uint32_t position, uint64_t window_ns);

/*
 * The invariants that hold at any time, for caps that have not changed: what was sent is at most
 * each cap, and, when the box is on, at most what the ledger has charged and granted.
 * Returns NULL, or a line that says what is broken.
 */
const char *weir_box_check(struct weir_box *box);

#endif
