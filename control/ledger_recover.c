/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was read of both kinds. */
struct records {
	struct weir_ledger_found grants;
	struct weir_ledger_found state;
};

static uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static enum weir_ledger_refusal
refuse_memory(char *error, size_t error_size)
{
	snprintf(error, error_size, "ledger: out of memory");
	return WEIR_REFUSAL_MEMORY;
}

/*
 * Checks the newer GRANTS record against the bounds of the older one. The first record of an epoch
 * may also grant what the STATE that was written before it knows as spent.
 */
static enum weir_ledger_refusal
check_bounds(const struct weir_ledger_found *found, const struct weir_ledger_recovered *to,
             char *error, size_t error_size)
{
	const struct weir_ledger_grant *grants = to->grants;
	bool first = found->header.stamp.epoch != found->previous_header.stamp.epoch;
	uint32_t n_old = found->previous_header.n_budgets;
	struct weir_ledger_grant *old = calloc(n_old + 1UL, sizeof(*old));
	bool sound = true;

	if (old == NULL)
		return refuse_memory(error, error_size);
	weir_ledger_decode_grants(found->previous, &found->previous_header, old);
	for (uint32_t i = 0; i < found->header.n_budgets; i++) {
		uint64_t bound = i < n_old ? old[i].bound_bytes : 0;
		uint64_t spent = i < n_old ? old[i].spent_bytes : 0;

		if (first)
			bound = max64(bound, to->budgets[i].spent_bytes);
		sound &= grants[i].grant_bytes <= bound && grants[i].spent_bytes >= spent;
	}
	free(old);
	if (sound)
		return WEIR_REFUSAL_NONE;
	snprintf(error, error_size,
	         "ledger: grants: record %" PRIu64 " contradicts record %" PRIu64
	         ": it grants more than that allowed, or has less spent",
	         found->header.sequence, found->previous_header.sequence);
	return WEIR_REFUSAL_CONTRADICTION;
}

/* Whose the ledger is, once all of its records are known to be made with the key. */
static enum weir_ledger_refusal
check_owner(const struct weir_ledger_store *store, const struct records *records,
            const char *appliance, char *error, size_t error_size)
{
	const struct weir_ledger_stamp *stamp = &records->grants.header.stamp;

	if (!weir_ledger_stamps_match(stamp, &records->state.header.stamp)) {
		snprintf(error, error_size, "ledger: grants and state are of different ledgers");
		return WEIR_REFUSAL_CONTRADICTION;
	}
	if (store->key != NULL && strcmp(store->key->appliance, stamp->appliance) != 0) {
		snprintf(error, error_size,
		         "ledger: the key file names appliance %s, expected %s, as the ledger does",
		         store->key->appliance, stamp->appliance);
		return WEIR_REFUSAL_KEY_BAD;
	}
	if (appliance != NULL && strcmp(appliance, stamp->appliance) != 0) {
		snprintf(error, error_size,
		         "ledger: %s of appliance %s, expected %s, as the policy says",
		         store->key != NULL ? "ledger and key are" : "it is", stamp->appliance,
		         appliance);
		return WEIR_REFUSAL_FOREIGN;
	}
	return WEIR_REFUSAL_NONE;
}

/* Each kind tells of records of the other that must still be there. */
static enum weir_ledger_refusal
check_peers(const struct records *records, char *error, size_t error_size)
{
	const struct weir_ledger_header *grants = &records->grants.header;
	const struct weir_ledger_header *state = &records->state.header;
	uint64_t lost = records->grants.alone ? 1 : 0; /* its bounds cover this one */

	if (state->sequence < grants->peer_sequence)
		snprintf(error, error_size,
		         "ledger: the newest valid state record is %" PRIu64 ", expected %" PRIu64
		         " or later: a newer one has been lost",
		         state->sequence, grants->peer_sequence);
	else if (state->stamp.epoch < grants->stamp.epoch)
		snprintf(error, error_size,
		         "ledger: the newest valid state record is of epoch %" PRIu64
		         ", expected %" PRIu64 " or later: a newer one has been lost",
		         state->stamp.epoch, grants->stamp.epoch);
	else if (grants->sequence < weir_sat_sub(state->peer_sequence, lost))
		snprintf(error, error_size,
		         "ledger: the newest valid grants record is %" PRIu64 ", expected %" PRIu64
		         " or later: a newer one has been lost",
		         grants->sequence, state->peer_sequence);
	else
		return WEIR_REFUSAL_NONE;
	/* It may be in the slot that can't be read. */
	if (records->grants.other == WEIR_LEDGER_UNREADABLE ||
	    records->state.other == WEIR_LEDGER_UNREADABLE)
		return WEIR_REFUSAL_UNREADABLE;
	return WEIR_REFUSAL_LOST;
}

/*
 * Whether GRANTS newer than the newest valid ones may have been in force: then its bounds are what
 * may have been granted.
 */
static bool
may_be_newer(const struct records *records)
{
	uint64_t epoch = records->grants.header.stamp.epoch;

	return records->grants.alone || records->state.header.stamp.epoch != epoch ||
	       records->grants.previous_header.stamp.epoch != epoch ||
	       records->grants.header.stamp.witness_kind != WEIR_WITNESS_NONE;
}

/* What STATE says must be charged by GRANTS. */
static enum weir_ledger_refusal
check_charges(const struct weir_ledger_recovered *to, const struct records *records, char *error,
              size_t error_size)
{
	const struct weir_ledger_header *grants = &records->grants.header;
	const struct weir_ledger_header *state = &records->state.header;

	if (grants->n_budgets > state->n_budgets) {
		snprintf(error, error_size,
		         "ledger: grants for %" PRIu32 " budgets, but state for %" PRIu32,
		         grants->n_budgets, state->n_budgets);
		return WEIR_REFUSAL_CONTRADICTION;
	}
	for (uint32_t i = 0; i < state->n_budgets; i++) {
		if (to->budgets[i].spent_bytes <= to->grants[i].grant_bytes)
			continue;
		snprintf(error, error_size,
		         "ledger: budget %s: %" PRIu64 " bytes spent, but only %" PRIu64 " granted",
		         to->budgets[i].name, to->budgets[i].spent_bytes,
		         to->grants[i].grant_bytes);
		return WEIR_REFUSAL_CONTRADICTION;
	}
	return WEIR_REFUSAL_NONE;
}

/* A start that was cut off after its STATE: what that says was charged is charged. */
static void
charge_state(struct weir_ledger_recovered *to)
{
	for (uint32_t i = 0; i < to->n_budgets; i++) {
		struct weir_ledger_grant *grant = &to->grants[i];

		grant->grant_bytes = max64(grant->grant_bytes, to->budgets[i].spent_bytes);
		grant->bound_bytes = max64(grant->bound_bytes, grant->grant_bytes);
	}
}

static enum weir_ledger_refusal
apply_rules(const struct weir_ledger_store *store, const struct records *records,
            const char *appliance, struct weir_ledger_recovered *to, char *error, size_t error_size)
{
	const struct weir_ledger_found *grants = &records->grants;
	enum weir_ledger_refusal refusal;

	refusal = check_owner(store, records, appliance, error, error_size);
	if (refusal == WEIR_REFUSAL_NONE)
		refusal = check_peers(records, error, error_size);
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	to->n_budgets = records->state.header.n_budgets;
	if (weir_ledger_decode_state(records->state.data, &records->state.header, to->budgets) != 0)
		return refuse_memory(error, error_size);
	weir_ledger_decode_grants(grants->data, &grants->header, to->grants);
	if (!grants->alone && grants->header.n_budgets <= to->n_budgets)
		refusal = check_bounds(grants, to, error, error_size);
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	for (uint32_t i = 0; may_be_newer(records) && i < grants->header.n_budgets; i++)
		to->grants[i].grant_bytes = to->grants[i].bound_bytes;
	if (records->state.header.stamp.epoch > grants->header.stamp.epoch)
		charge_state(to);
	return check_charges(to, records, error, error_size);
}

static enum weir_ledger_refusal
check_size(struct weir_ledger_store *store, char *error, size_t error_size)
{
	uint64_t bytes;
	int rc = store->disk->ops->size(store->disk, &bytes);

	if (rc != 0) {
		snprintf(error, error_size, "ledger: size: %s", strerror(-rc));
		return WEIR_REFUSAL_UNREADABLE;
	}
	if (bytes == WEIR_LEDGER_FILE_BYTES)
		return WEIR_REFUSAL_NONE;
	snprintf(error, error_size, "ledger: %" PRIu64 " bytes, expected %llu", bytes,
	         WEIR_LEDGER_FILE_BYTES);
	return WEIR_REFUSAL_SIZE;
}

enum weir_ledger_refusal
weir_ledger_recover(struct weir_ledger_store *store, const char *appliance,
                    struct weir_ledger_recovered *to, char *error, size_t error_size)
{
	enum weir_ledger_refusal refusal = check_size(store, error, error_size);
	struct records records = {.grants.data = NULL, .state.data = NULL};
	const struct weir_ledger_header *grants = &records.grants.header;
	const struct weir_ledger_header *state = &records.state.header;

	if (refusal == WEIR_REFUSAL_NONE)
		refusal = weir_ledger_store_read(store, WEIR_LEDGER_GRANTS, appliance,
		                                 &records.grants, error, error_size);
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	refusal = weir_ledger_store_read(store, WEIR_LEDGER_STATE, appliance, &records.state, error,
	                                 error_size);
	if (refusal == WEIR_REFUSAL_NONE) {
		refusal = apply_rules(store, &records, appliance, to, error, error_size);
		free(records.state.data);
		free(records.state.previous);
	}
	free(records.grants.data);
	free(records.grants.previous);
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	to->clock_ns = max64(grants->clock_ns, state->clock_ns);
	to->stamp = grants->stamp;
	to->stamp.epoch = max64(grants->stamp.epoch, state->stamp.epoch);
	to->slot_lost = records.grants.alone || records.state.alone;
	store->stamp = to->stamp;
	return WEIR_REFUSAL_NONE;
}
