/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a ledger is refused at start: one word for each reason, and what may be done. weir prints the
 * line that comes with it; weirctl ledger explain says the rest.
 */
#ifndef WEIR_CONTROL_LEDGER_REFUSAL_H
#define WEIR_CONTROL_LEDGER_REFUSAL_H

enum weir_ledger_refusal {
	WEIR_REFUSAL_NONE = 0,
	WEIR_REFUSAL_MISSING,     /* no file */
	WEIR_REFUSAL_BUSY,        /* another process has it */
	WEIR_REFUSAL_UNREADABLE,  /* the disk fails */
	WEIR_REFUSAL_SIZE,        /* not a ledger's size */
	WEIR_REFUSAL_KEY_MISSING, /* no key file */
	WEIR_REFUSAL_KEY_BAD,     /* its mode, owner or contents */
	WEIR_REFUSAL_KEY_FOREIGN, /* the key of another appliance */
	WEIR_REFUSAL_FOREIGN,     /* the ledger of another appliance */
	WEIR_REFUSAL_VERSION,     /* a version or algorithm that this program does not know */
	WEIR_REFUSAL_MAC,         /* whole, but not written with the key: forged */
	WEIR_REFUSAL_TORN,        /* neither slot of a kind holds a whole record */
	WEIR_REFUSAL_LOST,        /* a record that others tell of is gone */
	WEIR_REFUSAL_CONTRADICTION,
	WEIR_REFUSAL_ROLLED_BACK,         /* older than its witness */
	WEIR_REFUSAL_WITNESS_CHANGED,     /* the policy names another kind than at commissioning */
	WEIR_REFUSAL_WITNESS_MISSING,     /* no such counter or file */
	WEIR_REFUSAL_WITNESS_FOREIGN,     /* the witness of another ledger */
	WEIR_REFUSAL_WITNESS_BAD,         /* damaged */
	WEIR_REFUSAL_WITNESS_BEHIND,      /* it stands lower than it ever did: replaced or reset */
	WEIR_REFUSAL_WITNESS_UNREACHABLE, /* no answer */
	WEIR_REFUSAL_MEMORY,
	WEIR_REFUSALS,
};

/* In a word: "rolled_back". */
const char *weir_ledger_refusal_name(enum weir_ledger_refusal refusal);

/* What it means and what may be done about it: plain text of some lines, each with a newline. */
const char *weir_ledger_refusal_advice(enum weir_ledger_refusal refusal);

#endif
