/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records on a disk: which one holds when reading, and where the next one goes when writing. The
 * rules stand in ledger_format.h. One thread.
 */
#ifndef WEIR_CONTROL_LEDGER_STORE_H
#define WEIR_CONTROL_LEDGER_STORE_H

#include "control/ledger_format.h"
#include "drivers/disk.h"

struct weir_ledger_store {
	struct weir_disk *disk;
	const struct weir_ledger_key *key; /* NULL: for reading only, and MACs are not checked */
	struct weir_ledger_stamp stamp;    /* of records to be written */
	uint64_t state_sequence;           /* of the last durable record of the kind */
	uint64_t grants_sequence;
	int error; /* of the first write or sync that failed: nothing is written any more */
	uint64_t syncs;
	uint64_t written_bytes;
	uint64_t read_backs;     /* that were not what had been written: 0 or 1 */
	uint64_t sync_ns;        /* the last write, sync and reading back */
	uint64_t sync_max_ns;    /* longest so far */
	uint64_t (*clock)(void); /* ns, for these only; may be NULL */
	uint8_t *grants_data;    /* aligned to blocks, as all that disks are given */
	uint8_t *state_data;
	uint8_t *read_data;
	size_t state_room; /* of state_data */
};

/* What was found of one kind. */
struct weir_ledger_found {
	struct weir_ledger_header header;          /* of the newest valid record */
	uint8_t *data;                             /* that record; the caller's to free() */
	bool alone;                                /* the other slot holds no valid record */
	struct weir_ledger_header previous_header; /* of the other one, unless alone */
	uint8_t *previous;                         /* the other one, or NULL; to free() */
	enum weir_ledger_verdict other;            /* of the other slot */
};

/* Prepares a store. key outlives it. 0 or -ENOMEM. */
int weir_ledger_store_init(struct weir_ledger_store *store, struct weir_disk *disk,
                           const struct weir_ledger_key *key) __attribute__((warn_unused_result));

/* Frees its memory; the disk stays open. */
void weir_ledger_store_free(struct weir_ledger_store *store);

/* Whether two records are of one ledger: identity, key, appliance and kind of witness. */
bool weir_ledger_stamps_match(const struct weir_ledger_stamp *a, const struct weir_ledger_stamp *b);

/*
 * Reads both slots of a kind and picks the newest valid record. Changes nothing on the disk.
 * appliance: as the policy calls it, to tell whether key or ledger are foreign; may be NULL.
 * error gets one line where it is refused; found needs no freeing then.
 */
enum weir_ledger_refusal weir_ledger_store_read(struct weir_ledger_store *store,
                                                enum weir_ledger_kind kind, const char *appliance,
                                                struct weir_ledger_found *found, char *error,
                                                size_t error_size)
    __attribute__((warn_unused_result));

/* Makes room for a STATE of these budgets, so that writing it needs no memory. 0 or -ENOMEM. */
int weir_ledger_store_reserve(struct weir_ledger_store *store, size_t state_bytes)
    __attribute__((warn_unused_result));

/*
 * Writes the newest record of each kind once more where it is, as any record is written. At a
 * start, before anything else: what was read may come from a cache whose sync had failed, and must
 * be durable before the only record that is older is overwritten. There is room for STATE. Returns
 * as below.
 */
int weir_ledger_store_settle(struct weir_ledger_store *store) __attribute__((warn_unused_result));

/*
 * Writes the next record of a kind, syncs, and reads it back. Returns 0 when it is durable;
 * -EBADMSG when something else was read back. After any error the store refuses to write with that
 * error: a sync that failed is never tried again.
 */
int weir_ledger_store_write_state(struct weir_ledger_store *store, uint64_t clock_ns,
                                  const struct weir_ledger_budget *budgets, uint32_t n_budgets)
    __attribute__((warn_unused_result));
int weir_ledger_store_write_grants(struct weir_ledger_store *store, uint64_t clock_ns,
                                   const struct weir_ledger_grant *grants, uint32_t n_budgets)
    __attribute__((warn_unused_result));

#endif
