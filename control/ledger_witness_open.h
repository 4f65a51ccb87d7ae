/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness that a policy names: opened and read within a time limit, or made. Part of
 * ledger_start.h; nothing else uses it.
 */
#ifndef WEIR_CONTROL_LEDGER_WITNESS_OPEN_H
#define WEIR_CONTROL_LEDGER_WITNESS_OPEN_H

#include "control/config.h"
#include "control/ledger_key.h"

#define WEIR_WITNESS_LABEL_SIZE (WEIR_PATH_SIZE + 40U)

/* How messages call it: "witness file PATH" or "witness TPM TCTI index 0x...". */
const char *weir_ledger_witness_label(const struct weir_config_appliance *config,
                                      char label[WEIR_WITNESS_LABEL_SIZE]);

/*
 * Opens the witness, whose kind is not none, and reads it, within the time limits of both, so that
 * a dead mount or TPM can't hold up a start for ever. reason: one line, without the label. On
 * failure *witness is NULL.
 */
enum weir_ledger_refusal weir_ledger_witness_open(const struct weir_config_appliance *config,
                                                  const struct weir_ledger_key *key,
                                                  struct weir_witness **witness, uint64_t *value,
                                                  char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

/*
 * Makes the witness and reads it. 0; -EEXIST where there is one already; or -errno, and then
 * nothing is left of it, but for a TPM's counter (left: true). reason as above.
 */
int weir_ledger_witness_make(const struct weir_config_appliance *config,
                             const struct weir_ledger_key *key, uint64_t *value, bool *left,
                             char *reason, size_t reason_size) __attribute__((warn_unused_result));

#endif
