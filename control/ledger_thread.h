/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that owns the ledger: it ticks it every millisecond and serves the control thread
 * between ticks. All functions here: control thread. weir_ledger_thread_set_policy and _stop wait
 * for at most one tick, that is two writes and syncs, before their own work starts; status calls
 * never wait for the disk (they return a copy; with many budgets it is some ticks old).
 */
#ifndef WEIR_CONTROL_LEDGER_THREAD_H
#define WEIR_CONTROL_LEDGER_THREAD_H

#include "control/events.h"
#include "control/ledger.h"

struct weir_ledger_thread;

/*
 * Starts the thread on a cpu. Takes the ledger, on success. events may be NULL; posted are
 *
 *   ledger_failed    ALARM    a write or sync failed; once
 *   cap_reached      WARNING  a cap leaves less than one largest frame
 *   cap_cleared      INFO     it leaves an eighth again, or was lifted
 *   ledger_forfeit   INFO     what the last run had been granted and is not known to have spent
 *   witness_failed   ALARM    the witness did not advance; once, until it does
 *   witness_advanced INFO     it does again
 *   ledger_slot_lost WARNING  a slot held no valid record at start; it cost more forfeit at most
 *
 * Returns 0 or -errno.
 */
int weir_ledger_thread_start(struct weir_ledger *ledger, unsigned int cpu,
                             struct weir_events *events, struct weir_ledger_thread **thread)
    __attribute__((warn_unused_result));

/* weir_ledger_set_policy between two ticks. Not after weir_ledger_thread_finish. */
int weir_ledger_thread_set_policy(struct weir_ledger_thread *thread,
                                  const struct weir_config *config, uint32_t *ids)
    __attribute__((warn_unused_result));

void weir_ledger_thread_get_status(struct weir_ledger_thread *thread,
                                   struct weir_ledger_status *status);

/* Of a budget that was never in a policy of this process: all zero. */
void weir_ledger_thread_get_budget(struct weir_ledger_thread *thread, uint32_t id,
                                   struct weir_ledger_budget_status *status);

/*
 * For how long the disk has kept the thread in its present tick, in ns; 0 between ticks. Grants
 * stand still meanwhile. Never waits.
 */
uint64_t weir_ledger_thread_busy_ns(const struct weir_ledger_thread *thread, uint64_t now_boot_ns);

/*
 * weir_ledger_finish, once: no tick comes after it, and the status calls show the last state.
 * Returns what that returned.
 */
int weir_ledger_thread_finish(struct weir_ledger_thread *thread)
    __attribute__((warn_unused_result));

/*
 * Ends the thread, after weir_ledger_thread_finish if that was not called before, and frees the
 * ledger. Returns what finish returned.
 */
int weir_ledger_thread_stop(struct weir_ledger_thread *thread) __attribute__((warn_unused_result));

#endif
