/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing the policy of a running appliance: all of it or nothing.
 *
 *   compile (may fail) -> ledger (may fail) -> bind -> publish -> retire what was replaced
 *
 * Nothing can fail behind the ledger, and nothing is changed before it. The ledger lowers tightened
 * caps before it returns, and the new rates are published right behind. Control thread only.
 */
#ifndef WEIR_CONTROL_APPLY_H
#define WEIR_CONTROL_APPLY_H

#include "control/appliance.h"

/*
 * Makes the dataplane with the appliance's first policy, appliance->config, its budgets registered
 * in the ledger (which has no thread yet). Nothing runs. Returns 0 or -errno with one line in
 * error.
 */
int weir_apply_first(struct weir_appliance *appliance,
                     const struct weir_dataplane_config *dataplane, char *error)
    __attribute__((warn_unused_result));

/*
 * Puts config in force, taking it, and posts an event either way, with who asked (origin); on
 * failure it stays the caller's and nothing has changed. Returns 0; -EBUSY (the policy before is
 * still in a worker's hands: try again); -EPERM (a difference that needs a restart); -ESHUTDOWN
 * (stopping); -EIO (the ledger has failed); -ENOSPC (no room for more names); -ENOTSUP (limits are
 * required that a NIC can't hold); -ENOMEM; or another
 * -errno. error gets one line.
 */
int weir_apply_policy(struct weir_appliance *appliance, struct weir_config *config,
                      const char *origin, char *error) __attribute__((warn_unused_result));

/*
 * Does all of weir_apply_policy that can fail without the ledger, and changes nothing. A difference
 * that needs a restart is no failure here. Returns 0, -ENOSPC, -ENOTSUP, -ENOMEM, with one line in
 * error.
 */
int weir_apply_check(struct weir_appliance *appliance, const struct weir_config *config,
                     char *error) __attribute__((warn_unused_result));

/*
 * Frees the policy before once no worker holds it. Call every few milliseconds; wait_ns: spins for
 * at most so long. Returns true when none is left.
 */
bool weir_apply_retire(struct weir_appliance *appliance, uint64_t wait_ns);

#endif
