/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger's insides, for ledger.c and ledger_policy.c alone. Ledger thread.
 */
#ifndef WEIR_CONTROL_LEDGER_STATE_H
#define WEIR_CONTROL_LEDGER_STATE_H

#include "control/ledger.h"
#include "control/ledger_account.h"
#include "control/ledger_store.h"

#include <search.h>

struct weir_ledger {
	struct weir_ledger_store store;
	struct weir_ledger_key key;
	struct weir_ledger_witness witness;
	struct weir_witness_line *line; /* NULL: without a witness */
	struct weir_credit *credit;
	struct weir_ledger_tuning tuning;
	uint64_t clock_ns;
	uint64_t boot_ns;        /* the latest time given; meaningless until started */
	uint64_t step_ns;        /* how far the clock went at the last advance */
	uint64_t state_clock_ns; /* of the last STATE */
	bool state_due;          /* a window has moved on since */
	bool started;            /* a policy was set by this process */
	bool finished;
	bool slot_lost;
	uint64_t lag_ns;    /* longest write of late: grows at once, and is forgotten slowly */
	uint32_t n_budgets; /* ever named; those in the last durable STATE, outside of set_policy */
	uint32_t n_policy;
	uint32_t policy[WEIR_BUDGETS_MAX]; /* stable indices */
	struct hsearch_data names;         /* name to account; the keys are the budgets' names */
	struct weir_account accounts[WEIR_BUDGETS_MAX];
	struct weir_ledger_budget budgets[WEIR_BUDGETS_MAX];
	struct weir_ledger_grant grants[WEIR_BUDGETS_MAX]; /* as durable */
	struct weir_ledger_grant next[WEIR_BUDGETS_MAX];   /* of the record being made */
};

/* Makes an account of a budget with what the ledger's file says of it. 0 or -ENOMEM. */
int weir_ledger_enter(struct weir_ledger *ledger, uint32_t id);

/* How grants are sized now. */
struct weir_account_sizing weir_ledger_sizing(const struct weir_ledger *ledger);

/* Moves the ledger's clock on to a time; the first call fixes where it begins. */
void weir_ledger_advance(struct weir_ledger *ledger, uint64_t now_boot_ns);

/* Rolls an account's windows to now and reads what workers have spent of it. */
void weir_ledger_observe(struct weir_ledger *ledger, uint32_t id);

/* Says to the workers what may be spent. */
void weir_ledger_publish(struct weir_ledger *ledger, struct weir_account *account,
                         uint64_t spendable_bytes, enum weir_credit_state state);

/* Publishes what is durable and below the ceiling, for all budgets of the policy. */
void weir_ledger_publish_policy(struct weir_ledger *ledger);

/* weir_ledger_store_settle. A failure closes all budgets. */
int weir_ledger_settle(struct weir_ledger *ledger) __attribute__((warn_unused_result));

/* Writes STATE. Returns 0 when it is durable. A failure closes all budgets. */
int weir_ledger_write_state(struct weir_ledger *ledger) __attribute__((warn_unused_result));

/* Extends the grants of the policy's budgets, all that need it in one record. Likewise. */
int weir_ledger_write_grants(struct weir_ledger *ledger) __attribute__((warn_unused_result));

/* Begins to advance the witness: both GRANTS slots with its next value, then asks it. Likewise. */
int weir_ledger_ask_witness(struct weir_ledger *ledger) __attribute__((warn_unused_result));

/*
 * Takes the witness's answer, waiting for at most wait_ns. Returns true when none is outstanding
 * any more.
 */
bool weir_ledger_hear_witness(struct weir_ledger *ledger, uint64_t wait_ns);

#endif
