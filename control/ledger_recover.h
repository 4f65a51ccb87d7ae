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
	/* grant_bytes becomes what is charged: the grant, or the bound where a record was lost. */
	struct weir_ledger_grant *grants;
	uint32_t n_budgets;
	uint64_t clock_ns;
	bool slot_lost; /* some slot held no valid record */
};

/*
 * Reads the file. Changes no byte of it. error gets one line. Returns 0; -EBADMSG; -EPROTO
 * (unknown version); -ENOMEM; or the disk's -errno.
 */
int weir_ledger_recover(struct weir_ledger_store *store, struct weir_ledger_recovered *to,
                        char *error, size_t error_size) __attribute__((warn_unused_result));

#endif
