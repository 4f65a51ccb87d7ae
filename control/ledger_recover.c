/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rules that tie a GRANTS record to the one before it. */
static bool
follows(const struct weir_ledger_header *header, const struct weir_ledger_grant *grants,
        const struct weir_ledger_header *before, const struct weir_ledger_grant *old)
{
	if (header->n_budgets < before->n_budgets || header->clock_ns < before->clock_ns ||
	    header->state_sequence < before->state_sequence ||
	    memcmp(header->identity, before->identity, sizeof(header->identity)) != 0)
		return false;
	for (uint32_t i = 0; i < header->n_budgets; i++) {
		uint64_t bound = i < before->n_budgets ? old[i].bound_bytes : 0;
		uint64_t spent = i < before->n_budgets ? old[i].spent_bytes : 0;

		if (grants[i].grant_bytes > bound || grants[i].spent_bytes < spent)
			return false;
	}
	return true;
}

/* Checks the older GRANTS record against the newer one. */
static int
check_previous(const struct weir_ledger_found *found, const struct weir_ledger_grant *grants,
               char *error, size_t error_size)
{
	struct weir_ledger_grant *old =
	    calloc(found->previous_header.n_budgets + 1UL, sizeof(*old));
	bool sound;

	if (old == NULL) {
		snprintf(error, error_size, "ledger: out of memory");
		return -ENOMEM;
	}
	weir_ledger_decode_grants(found->previous, &found->previous_header, old);
	sound = follows(&found->header, grants, &found->previous_header, old);
	free(old);
	if (sound)
		return 0;
	snprintf(error, error_size,
	         "ledger: grants record %" PRIu64 " contradicts the one before it",
	         found->header.sequence);
	return -EBADMSG;
}

static int
read_grants(struct weir_ledger_store *store, struct weir_ledger_recovered *to,
            struct weir_ledger_header *header, char *error, size_t error_size)
{
	struct weir_ledger_found found;
	int rc;

	rc = weir_ledger_store_read(store, WEIR_LEDGER_GRANTS, &found, error, error_size);
	if (rc != 0)
		return rc;
	*header = found.header;
	weir_ledger_decode_grants(found.data, header, to->grants);
	if (found.alone) {
		to->slot_lost = true;
		for (uint32_t i = 0; i < header->n_budgets; i++)
			to->grants[i].grant_bytes = to->grants[i].bound_bytes;
	} else {
		rc = check_previous(&found, to->grants, error, error_size);
	}
	free(found.data);
	free(found.previous);
	return rc;
}

static int
read_state(struct weir_ledger_store *store, struct weir_ledger_recovered *to,
           struct weir_ledger_header *header, char *error, size_t error_size)
{
	struct weir_ledger_found found;
	int rc;

	rc = weir_ledger_store_read(store, WEIR_LEDGER_STATE, &found, error, error_size);
	if (rc != 0)
		return rc;
	*header = found.header;
	if (found.alone)
		to->slot_lost = true;
	to->n_budgets = header->n_budgets;
	rc = weir_ledger_decode_state(found.data, header, to->budgets);
	if (rc != 0)
		snprintf(error, error_size, "ledger: out of memory");
	free(found.data);
	free(found.previous);
	return rc;
}

/* The rules that tie both kinds together. */
static int
match(const struct weir_ledger_recovered *to, const struct weir_ledger_header *grants,
      const struct weir_ledger_header *state, char *error, size_t error_size)
{
	if (memcmp(grants->identity, state->identity, sizeof(grants->identity)) != 0) {
		snprintf(error, error_size, "ledger: grants and state are of different ledgers");
		return -EBADMSG;
	}
	if (state->sequence < grants->state_sequence) {
		snprintf(error, error_size,
		         "ledger: the newest valid state record is %" PRIu64 ", expected %" PRIu64
		         " or later: a newer one has been lost",
		         state->sequence, grants->state_sequence);
		return -EBADMSG;
	}
	if (grants->n_budgets > state->n_budgets) {
		snprintf(error, error_size,
		         "ledger: grants for %" PRIu32 " budgets, but state for %" PRIu32,
		         grants->n_budgets, state->n_budgets);
		return -EBADMSG;
	}
	for (uint32_t i = 0; i < state->n_budgets; i++) {
		if (to->budgets[i].spent_bytes <= to->grants[i].grant_bytes)
			continue;
		snprintf(error, error_size,
		         "ledger: budget %s: %" PRIu64 " bytes spent, but only %" PRIu64 " granted",
		         to->budgets[i].name, to->budgets[i].spent_bytes,
		         to->grants[i].grant_bytes);
		return -EBADMSG;
	}
	return 0;
}

int
weir_ledger_recover(struct weir_ledger_store *store, struct weir_ledger_recovered *to, char *error,
                    size_t error_size)
{
	struct weir_ledger_header grants, state;
	uint64_t bytes;
	int rc;

	rc = store->disk->ops->size(store->disk, &bytes);
	if (rc != 0) {
		snprintf(error, error_size, "ledger: size: %s", strerror(-rc));
		return rc;
	}
	if (bytes != WEIR_LEDGER_FILE_BYTES) {
		snprintf(error, error_size, "ledger: %" PRIu64 " bytes, expected %llu", bytes,
		         WEIR_LEDGER_FILE_BYTES);
		return -EBADMSG;
	}
	rc = read_grants(store, to, &grants, error, error_size);
	if (rc == 0)
		rc = read_state(store, to, &state, error, error_size);
	if (rc == 0)
		rc = match(to, &grants, &state, error, error_size);
	if (rc == 0)
		to->clock_ns = grants.clock_ns > state.clock_ns ? grants.clock_ns : state.clock_ns;
	return rc;
}
