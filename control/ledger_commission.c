/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger.h"
#include "control/ledger_store.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* 0 where the disk has the right size and nothing is on it. */
static int
check_empty(struct weir_ledger_store *store)
{
	uint64_t bytes;
	int rc = store->disk->ops->size(store->disk, &bytes);

	if (rc != 0)
		return rc;
	if (bytes != WEIR_LEDGER_FILE_BYTES)
		return -EINVAL;
	for (uint64_t sequence = 0; sequence < 4; sequence++) {
		enum weir_ledger_kind kind = sequence < 2 ? WEIR_LEDGER_STATE : WEIR_LEDGER_GRANTS;

		rc = store->disk->ops->read(store->disk, store->read_data, WEIR_LEDGER_BLOCK_BYTES,
		                            weir_ledger_slot_offset(kind, sequence));
		if (rc != 0)
			return rc;
		if (sodium_is_zero(store->read_data, WEIR_LEDGER_BLOCK_BYTES) != 1)
			return -EEXIST;
	}
	return 0;
}

/* As budgets without windows: when it was spent is not known, so any window takes it as spent now.
 */
static int
set_charges(const struct weir_ledger_charge *charges, uint32_t n_charges,
            struct weir_ledger_budget *budgets, struct weir_ledger_grant *grants)
{
	for (uint32_t i = 0; i < n_charges; i++) {
		size_t bytes = strnlen(charges[i].name, WEIR_NAME_SIZE);

		if (bytes == 0 || bytes == WEIR_NAME_SIZE)
			return -EINVAL;
		for (uint32_t k = 0; k < i; k++)
			if (strcmp(charges[i].name, charges[k].name) == 0)
				return -EINVAL;
		memcpy(budgets[i].name, charges[i].name, bytes);
		budgets[i].spent_bytes = charges[i].bytes;
		grants[i] = (struct weir_ledger_grant){
		    .spent_bytes = charges[i].bytes,
		    .grant_bytes = charges[i].bytes,
		    .bound_bytes = charges[i].bytes,
		};
	}
	return 0;
}

static int
commission(struct weir_ledger_store *store, const struct weir_ledger_charge *charges, uint32_t n)
{
	struct weir_ledger_budget *budgets = calloc(n + 1UL, sizeof(*budgets));
	struct weir_ledger_grant *grants = calloc(n + 1UL, sizeof(*grants));
	int rc = budgets != NULL && grants != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = set_charges(charges, n, budgets, grants);
	if (rc == 0)
		rc = weir_ledger_store_reserve(store, weir_ledger_state_bytes(budgets, n));
	/* Both slots of both kinds, so that from now on a slot without a record is a lost one. */
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = weir_ledger_store_write_state(store, 0, budgets, n);
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = weir_ledger_store_write_grants(store, 0, grants, n);
	free(budgets);
	free(grants);
	return rc;
}

int
weir_ledger_commission(struct weir_disk *disk, const struct weir_ledger_key *key,
                       enum weir_witness_kind kind, uint64_t witness_value,
                       const struct weir_ledger_charge *charges, uint32_t n_charges)
{
	struct weir_ledger_store store;
	int rc;

	if (sodium_init() < 0)
		return -EIO;
	if (n_charges > WEIR_BUDGETS_MAX || (kind == WEIR_WITNESS_NONE && witness_value != 0))
		return -EINVAL;
	rc = weir_ledger_store_init(&store, disk, key);
	store.stamp.witness_kind = kind;
	store.stamp.witness_value = witness_value;
	memcpy(store.stamp.identity, key->identity, sizeof(store.stamp.identity));
	memcpy(store.stamp.key_id, key->id, sizeof(store.stamp.key_id));
	memcpy(store.stamp.appliance, key->appliance, sizeof(store.stamp.appliance));
	if (rc == 0)
		rc = check_empty(&store);
	if (rc == 0)
		rc = commission(&store, charges, n_charges);
	weir_ledger_store_free(&store);
	return rc;
}
