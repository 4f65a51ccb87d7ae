/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a ledger's file says at start-up, by the rules in ledger_format.h, or why it says nothing.
 */
#ifndef WEIR_CONTROL_LEDGER_RECOVER_H
#define WEIR_CONTROL_LEDGER_RECOVER_H

#include "control/ledger_store.h"

struct weir_ledger_recovered {
	/* Given, zeroed, of WEIR_BUDGETS_MAX each. Windows are allocated, on failure as well. */
	struct weir_ledger_budget *budgets;
	/* grant_bytes becomes what is charged: the grant, or the bound where more may have been. */
	struct weir_ledger_grant *grants;
	uint32_t n_budgets;
	uint64_t clock_ns;
	/* Of the newest GRANTS; but the epoch is the highest in the file. */
	struct weir_ledger_stamp stamp;
	bool slot_lost; /* some slot held no valid record */
};

/*
 * Reads the file. Changes no byte of it. appliance: as the policy calls it; NULL: any will do.
 * error gets one line where it is refused. The witness is not asked: that is
 * weir_ledger_witness_judge. On success the store's sequences are those found, and its stamp is
 * to's: whoever writes sets a new epoch first.
 */
enum weir_ledger_refusal weir_ledger_recover(struct weir_ledger_store *store, const char *appliance,
                                             struct weir_ledger_recovered *to, char *error,
                                             size_t error_size) __attribute__((warn_unused_result));

#endif
