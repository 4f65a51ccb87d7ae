/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger as the policy describes it: its file, its key, its witness. What a start opens, what
 * commissioning makes, and what weirctl ledger explain looks at. Control thread; weirctl.
 */
#ifndef WEIR_CONTROL_LEDGER_START_H
#define WEIR_CONTROL_LEDGER_START_H

#include "control/config.h"
#include "control/ledger.h"

#define WEIR_WITNESS_LIMIT_NS (10 * WEIR_NS_PER_S) /* for an answer of the witness at start */

/*
 * Opens the ledger for use: key, file, lock, records, witness, in this order. Changes no byte on
 * the disk and no value of the witness. error gets one line, "ledger PATH: ..." or "ledger key
 * PATH: ..." or "witness ...: ...".
 */
enum weir_ledger_refusal weir_ledger_start(const struct weir_config_appliance *config,
                                           struct weir_credit *credit, struct weir_ledger **ledger,
                                           char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * The same checks without opening anything for writing and without the lock (BUSY where another
 * process has it): what a start would say now. NONE: it would start.
 */
enum weir_ledger_refusal weir_ledger_explain(const struct weir_config_appliance *config,
                                             char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * Commissions: makes key, witness and ledger, in this order, and removes again what it made where a
 * later step fails (a TPM's counter can't be removed: the line says so). Nothing that is there
 * already is touched: -EEXIST. charges: what the ledger begins with; the charge of a budget is
 * added to each budget above it, as traffic's would be. Budgets are those of config's policy:
 * -EINVAL for a name that is not. Returns 0 or -errno; error gets one line.
 */
int weir_ledger_init(const struct weir_config *config, const struct weir_ledger_charge *charges,
                     uint32_t n_charges, char *error, size_t error_size)
    __attribute__((warn_unused_result));

#endif
