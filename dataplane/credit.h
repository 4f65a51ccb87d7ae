/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Credit: the bytes of a budget that workers may send, between the ledger that makes them durable
 * and the workers that spend them.
 *
 * All numbers are cumulative since the ledger was commissioned and only compared, so a lost update
 * can't be mistaken for credit. For each budget, always:
 *
 *     sent on the wire <= taken <= durable grant <= cap
 *
 *   durable    in the ledger's file, synced; grows, and shrinks only at a clean stop when all is
 * idle spendable  published by the ledger, at most the durable grant; lowered at once when a policy
 *              tightens a cap (what workers have taken by then stays taken)
 *   taken      what workers took, in chunks; grows, and shrinks when a purse goes back
 *   purse      the part of taken that one worker holds and has not spent
 *   spent      what one worker has sent, grows only, stored after the frames went to the port
 *
 *   ledger: sync(durable) -> store spendable        worker: take -> charge -> tx -> settle
 *
 * A frame is charged to every budget from its class's up to the root: all or none.
 */
#ifndef WEIR_DATAPLANE_CREDIT_H
#define WEIR_DATAPLANE_CREDIT_H

#include "drivers/units.h"

#include <stdatomic.h>

/* Why a budget has no more to take. Order matters not; zero is the closed one. */
enum weir_credit_state {
	WEIR_CREDIT_CLOSED =
	    0,              /* unknown budget, or the ledger has failed: nothing more will come */
	WEIR_CREDIT_OPEN,   /* more may be granted */
	WEIR_CREDIT_AT_CAP, /* a cap is reached: spendable is all there is for now */
};

/* One budget, shared. One cache line. */
struct weir_credit_shared {
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t spendable_bytes; /* ledger thread writes */
	_Atomic uint32_t state;                                     /* ledger thread writes */
	_Atomic uint64_t taken_bytes;                               /* workers write */
};

/* One budget of one worker. */
struct weir_credit_purse {
	_Atomic uint64_t
	    spent_bytes;      /* since this process started; the worker writes, others read */
	uint64_t purse_bytes; /* worker only */
};

/* All budgets of one worker, on its node. */
struct weir_credit_worker {
	struct weir_credit_purse purses[WEIR_BUDGETS_MAX];
	uint64_t root_spent_bytes; /* spent of budgets that paths end with, in all; worker only */
};

/* All budgets: the meeting place of workers and ledger. */
struct weir_credit {
	struct weir_credit_shared budgets[WEIR_BUDGETS_MAX];
	struct weir_credit_worker *workers[WEIR_WORKERS_MAX]; /* set before workers start */
	/* How often spendable was lowered. Workers that see it move put their purses back. */
	_Atomic uint64_t recalls; /* ledger thread writes */
	uint32_t n_workers;
	uint32_t share_shift; /* one of several takes at most what is left >> share_shift */
};

/* Attaches the workers' purses, all empty. Control thread, before the ledger opens budgets. */
void weir_credit_init(struct weir_credit *credit, struct weir_credit_worker *const *workers,
                      uint32_t n_workers);

/* Opens a budget for use, all of charged_bytes being gone. Ledger thread, before publication. */
void weir_credit_open(struct weir_credit *credit, uint32_t budget, uint64_t charged_bytes);

/*
 * Publishes what may be spent. Less than before is in force when each worker has begun its next
 * round, but for what was on its way. Ledger thread, after the sync that made it durable.
 */
void weir_credit_publish(struct weir_credit *credit, uint32_t budget, uint64_t spendable_bytes,
                         enum weir_credit_state state);

/* Bytes spent by all workers since the process started. Ledger and control threads. */
uint64_t weir_credit_spent(const struct weir_credit *credit, uint32_t budget);

/*
 * Makes sure that the worker's purse of a budget holds bytes, taking from the shared credit what
 * is missing and, where there is plenty, a chunk more. Where there is not enough, the whole purse
 * goes back, so that remainders held by several workers add up to one that can be used.
 * Returns what the purse holds, at least bytes; or, less than bytes, the most that could be had,
 * with an empty purse. Worker.
 */
uint64_t weir_credit_fill(struct weir_credit *credit, uint32_t worker, uint32_t budget,
                          uint64_t bytes);

/* Puts a purse back. Worker; when idle, when a policy changes, at a clean stop. */
void weir_credit_return(struct weir_credit *credit, uint32_t worker, uint32_t budget);

/*
 * Charges bytes to every budget of a path, all or none. Worker, before rte_eth_tx_burst.
 * On failure short_of gets the first budget that had not enough, and available_bytes what could be
 * had.
 */
bool weir_credit_charge(struct weir_credit *credit, uint32_t worker, const uint16_t *path,
                        uint32_t n_path, uint64_t bytes, uint32_t *short_of,
                        uint64_t *available_bytes);

/*
 * Ends a charge: sent_bytes left, unsent_bytes did not and return to the purses. Together they are
 * the charge. Worker, after rte_eth_tx_burst.
 */
void weir_credit_settle(struct weir_credit *credit, uint32_t worker, const uint16_t *path,
                        uint32_t n_path, uint64_t sent_bytes, uint64_t unsent_bytes);

#endif
