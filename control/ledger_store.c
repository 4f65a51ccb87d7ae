/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
kind_name(enum weir_ledger_kind kind)
{
	return kind == WEIR_LEDGER_STATE ? "state" : "grants";
}

int
weir_ledger_store_init(struct weir_ledger_store *store, struct weir_disk *disk)
{
	memset(store, 0, sizeof(*store));
	store->disk = disk;
	store->grants_data = malloc(WEIR_LEDGER_GRANTS_ROOM);
	if (store->grants_data == NULL)
		return -ENOMEM;
	return weir_ledger_store_reserve(store, WEIR_LEDGER_HEADER_BYTES);
}

void
weir_ledger_store_free(struct weir_ledger_store *store)
{
	free(store->grants_data);
	free(store->state_data);
	store->grants_data = NULL;
	store->state_data = NULL;
}

/* Reads one slot, as much of it as its record claims. data: NULL where it is not valid. */
static int
read_slot(struct weir_ledger_store *store, enum weir_ledger_kind kind, uint32_t parity,
          enum weir_ledger_verdict *verdict, struct weir_ledger_header *header, uint8_t **data)
{
	uint64_t offset = weir_ledger_slot_offset(kind, parity);
	uint8_t block[WEIR_LEDGER_BLOCK_BYTES];
	size_t bytes;
	int rc;

	*data = NULL;
	rc = store->disk->ops->read(store->disk, block, sizeof(block), offset);
	if (rc != 0)
		return rc;
	bytes = WEIR_LEDGER_BLOCKS(weir_ledger_claimed_bytes(block, kind));
	if (bytes == 0)
		bytes = sizeof(block);
	*data = malloc(bytes);
	if (*data == NULL)
		return -ENOMEM;
	memcpy(*data, block, sizeof(block));
	if (bytes > sizeof(block))
		rc = store->disk->ops->read(store->disk, *data + sizeof(block),
		                            bytes - sizeof(block), offset + sizeof(block));
	if (rc == 0)
		*verdict = weir_ledger_check(*data, bytes, kind, parity, header);
	if (rc != 0 || *verdict != WEIR_LEDGER_VALID) {
		free(*data);
		*data = NULL;
	}
	return rc;
}

/* Picks the newest record of two slots that were read. */
static int
pick(enum weir_ledger_kind kind, const enum weir_ledger_verdict verdict[2],
     const struct weir_ledger_header header[2], uint8_t *data[2], struct weir_ledger_found *found,
     char *error, size_t error_size)
{
	uint32_t newest, other;

	for (uint32_t i = 0; i < 2; i++) {
		if (verdict[i] != WEIR_LEDGER_UNKNOWN)
			continue;
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": a record %s, expected version %u",
		         kind_name(kind), i, weir_ledger_verdict_name(verdict[i]),
		         WEIR_LEDGER_VERSION);
		return -EPROTO;
	}
	if (data[0] == NULL && data[1] == NULL) {
		snprintf(error, error_size,
		         "ledger: %s: slot 0: %s; slot 1: %s; expected a valid record in one",
		         kind_name(kind), weir_ledger_verdict_name(verdict[0]),
		         weir_ledger_verdict_name(verdict[1]));
		return -EBADMSG;
	}
	newest = data[0] == NULL || (data[1] != NULL && header[1].sequence > header[0].sequence);
	other = 1 - newest;
	if (data[other] != NULL && header[newest].sequence - header[other].sequence != 1) {
		snprintf(error, error_size,
		         "ledger: %s: records %" PRIu64 " and %" PRIu64
		         ", expected consecutive ones",
		         kind_name(kind), header[other].sequence, header[newest].sequence);
		return -EBADMSG;
	}
	*found = (struct weir_ledger_found){
	    .header = header[newest],
	    .data = data[newest],
	    .alone = data[other] == NULL,
	    .previous_header = header[other],
	    .previous = data[other],
	    .other = verdict[other],
	};
	return 0;
}

int
weir_ledger_store_read(struct weir_ledger_store *store, enum weir_ledger_kind kind,
                       struct weir_ledger_found *found, char *error, size_t error_size)
{
	enum weir_ledger_verdict verdict[2] = {WEIR_LEDGER_BLANK, WEIR_LEDGER_BLANK};
	struct weir_ledger_header header[2] = {{.kind = kind}, {.kind = kind}};
	uint8_t *data[2] = {NULL, NULL};
	int rc = 0;

	for (uint32_t i = 0; i < 2 && rc == 0; i++) {
		rc = read_slot(store, kind, i, &verdict[i], &header[i], &data[i]);
		if (rc != 0)
			snprintf(error, error_size, "ledger: %s slot %" PRIu32 ": read: %s",
			         kind_name(kind), i, strerror(-rc));
	}
	if (rc == 0)
		rc = pick(kind, verdict, header, data, found, error, error_size);
	if (rc != 0) {
		free(data[0]);
		free(data[1]);
		return rc;
	}
	memcpy(store->identity, found->header.identity, sizeof(store->identity));
	if (kind == WEIR_LEDGER_STATE)
		store->state_sequence = found->header.sequence;
	else
		store->grants_sequence = found->header.sequence;
	return 0;
}

int
weir_ledger_store_reserve(struct weir_ledger_store *store, size_t state_bytes)
{
	size_t room = WEIR_LEDGER_BLOCKS(state_bytes);
	uint8_t *data;

	assert(room <= WEIR_LEDGER_STATE_ROOM);
	if (room <= store->state_room)
		return 0;
	data = realloc(store->state_data, room);
	if (data == NULL)
		return -ENOMEM;
	store->state_data = data;
	store->state_room = room;
	return 0;
}

static int
write_and_sync(struct weir_ledger_store *store, const uint8_t *data, size_t bytes, uint64_t offset)
{
	uint64_t start = store->clock != NULL ? store->clock() : 0;
	uint64_t took;

	if (store->error != 0)
		return store->error;
	store->error = store->disk->ops->write(store->disk, data, bytes, offset);
	if (store->error == 0)
		store->error = store->disk->ops->sync(store->disk);
	assert(store->error <= 0);
	if (store->error != 0)
		return store->error;
	store->syncs++;
	store->written_bytes += bytes;
	took = store->clock != NULL ? weir_sat_sub(store->clock(), start) : 0;
	if (took > store->sync_max_ns)
		store->sync_max_ns = took;
	return 0;
}

int
weir_ledger_store_write_state(struct weir_ledger_store *store, uint64_t clock_ns,
                              const struct weir_ledger_budget *budgets, uint32_t n_budgets)
{
	struct weir_ledger_header header = {
	    .kind = WEIR_LEDGER_STATE,
	    .sequence = store->state_sequence + 1,
	    .clock_ns = clock_ns,
	    .n_budgets = n_budgets,
	};
	size_t bytes = weir_ledger_state_bytes(budgets, n_budgets);
	int rc;

	assert(WEIR_LEDGER_BLOCKS(bytes) <= store->state_room);
	memcpy(header.identity, store->identity, sizeof(header.identity));
	bytes = weir_ledger_encode_state(&header, budgets, store->state_data);
	rc = write_and_sync(store, store->state_data, bytes,
	                    weir_ledger_slot_offset(header.kind, header.sequence));
	if (rc == 0)
		store->state_sequence = header.sequence;
	return rc;
}

int
weir_ledger_store_write_grants(struct weir_ledger_store *store, uint64_t clock_ns,
                               const struct weir_ledger_grant *grants, uint32_t n_budgets)
{
	struct weir_ledger_header header = {
	    .kind = WEIR_LEDGER_GRANTS,
	    .sequence = store->grants_sequence + 1,
	    .clock_ns = clock_ns,
	    .state_sequence = store->state_sequence,
	    .n_budgets = n_budgets,
	};
	size_t bytes;
	int rc;

	memcpy(header.identity, store->identity, sizeof(header.identity));
	bytes = weir_ledger_encode_grants(&header, grants, store->grants_data);
	rc = write_and_sync(store, store->grants_data, bytes,
	                    weir_ledger_slot_offset(header.kind, header.sequence));
	if (rc == 0)
		store->grants_sequence = header.sequence;
	return rc;
}
