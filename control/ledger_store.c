/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_store.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BACK_BYTES (128U << 10) /* at one time */

static const char *
kind_name(enum weir_ledger_kind kind)
{
	return kind == WEIR_LEDGER_STATE ? "state" : "grants";
}

/* Memory for whole blocks, as the disk takes it. */
static uint8_t *
make_room(size_t bytes)
{
	return aligned_alloc(WEIR_LEDGER_BLOCK_BYTES, WEIR_LEDGER_BLOCKS(bytes));
}

int
weir_ledger_store_init(struct weir_ledger_store *store, struct weir_disk *disk,
                       const struct weir_ledger_key *key)
{
	memset(store, 0, sizeof(*store));
	store->disk = disk;
	store->key = key;
	store->grants_data = make_room(WEIR_LEDGER_GRANTS_ROOM);
	store->read_data = make_room(READ_BACK_BYTES);
	if (store->grants_data == NULL || store->read_data == NULL)
		return -ENOMEM;
	return weir_ledger_store_reserve(store, WEIR_LEDGER_HEADER_BYTES);
}

void
weir_ledger_store_free(struct weir_ledger_store *store)
{
	free(store->grants_data);
	free(store->state_data);
	free(store->read_data);
	store->grants_data = NULL;
	store->state_data = NULL;
	store->read_data = NULL;
}

/* ---- reading ---- */

/* One slot, as it was read. */
struct slot {
	enum weir_ledger_verdict verdict;
	struct weir_ledger_header header;
	uint8_t *data; /* NULL unless valid */
};

/* Reads one slot, as much of it as its record claims. */
static int
read_slot(struct weir_ledger_store *store, enum weir_ledger_kind kind, uint32_t parity,
          struct slot *slot)
{
	uint64_t offset = weir_ledger_slot_offset(kind, parity);
	uint8_t *first = store->read_data, *data;
	size_t bytes;
	int rc;

	slot->verdict = WEIR_LEDGER_UNREADABLE;
	rc = store->disk->ops->read(store->disk, first, WEIR_LEDGER_BLOCK_BYTES, offset);
	if (rc == -EIO)
		return 0; /* lost, as a garbled one */
	if (rc != 0)
		return rc;
	bytes = WEIR_LEDGER_BLOCKS(weir_ledger_claimed_bytes(first, kind));
	if (bytes == 0)
		bytes = WEIR_LEDGER_BLOCK_BYTES;
	data = make_room(bytes);
	if (data == NULL)
		return -ENOMEM;
	memcpy(data, first, WEIR_LEDGER_BLOCK_BYTES);
	if (bytes > WEIR_LEDGER_BLOCK_BYTES)
		rc = store->disk->ops->read(store->disk, data + WEIR_LEDGER_BLOCK_BYTES,
		                            bytes - WEIR_LEDGER_BLOCK_BYTES,
		                            offset + WEIR_LEDGER_BLOCK_BYTES);
	if (rc == 0)
		slot->verdict =
		    weir_ledger_check(data, bytes, kind, parity, store->key, &slot->header);
	if (rc == 0 && slot->verdict == WEIR_LEDGER_VALID)
		slot->data = data;
	else
		free(data);
	return rc == -EIO ? 0 : rc;
}

/* Whether ledger or key is another appliance's, for a record with another identity. */
static enum weir_ledger_refusal
judge_identity(const struct weir_ledger_store *store, enum weir_ledger_kind kind, uint32_t parity,
               const struct weir_ledger_header *header, const char *appliance, char *error,
               size_t error_size)
{
	const char *of_key = store->key->appliance, *of_record = header->stamp.appliance;
	char identity[2 * WEIR_LEDGER_IDENTITY_BYTES + 1];

	if (appliance != NULL && strcmp(appliance, of_key) == 0 &&
	    strcmp(appliance, of_record) != 0) {
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": the ledger of another appliance: of %s, "
		         "expected %s, as policy and key say",
		         kind_name(kind), parity, of_record, of_key);
		return WEIR_REFUSAL_FOREIGN;
	}
	sodium_bin2hex(identity, sizeof(identity), header->stamp.identity,
	               sizeof(header->stamp.identity));
	if (strcmp(of_key, of_record) != 0)
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": the key is another appliance's: of %s, "
		         "expected that of %s, identity %s",
		         kind_name(kind), parity, of_key, of_record, identity);
	else
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": the key is of another ledger of %s, "
		         "expected that of identity %s",
		         kind_name(kind), parity, of_key, identity);
	return WEIR_REFUSAL_KEY_FOREIGN;
}

/* Refuses the file for a slot that no accident explains, whatever the other one says. */
static enum weir_ledger_refusal
judge_slot(const struct weir_ledger_store *store, enum weir_ledger_kind kind, uint32_t parity,
           const struct slot *slot, const char *appliance, char *error, size_t error_size)
{
	char has[2 * WEIR_LEDGER_KEY_ID_BYTES + 1], expected[sizeof(has)];

	if (slot->verdict == WEIR_LEDGER_UNKNOWN) {
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": a record %s, expected version %u",
		         kind_name(kind), parity, weir_ledger_verdict_name(slot->verdict),
		         WEIR_LEDGER_VERSION);
		return WEIR_REFUSAL_VERSION;
	}
	if (slot->verdict == WEIR_LEDGER_FOREIGN_IDENTITY)
		return judge_identity(store, kind, parity, &slot->header, appliance, error,
		                      error_size);
	if (slot->verdict == WEIR_LEDGER_FOREIGN_KEY) {
		sodium_bin2hex(has, sizeof(has), slot->header.stamp.key_id,
		               sizeof(slot->header.stamp.key_id));
		sodium_bin2hex(expected, sizeof(expected), store->key->id, sizeof(store->key->id));
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": this ledger's, but made with key %s, "
		         "expected that of the key file, %s",
		         kind_name(kind), parity, has, expected);
		return WEIR_REFUSAL_KEY_FOREIGN;
	}
	if (slot->verdict == WEIR_LEDGER_BAD_MAC) {
		snprintf(error, error_size,
		         "ledger: %s slot %" PRIu32 ": record %" PRIu64
		         " is whole but its MAC is wrong: not written with the key, forged",
		         kind_name(kind), parity, slot->header.sequence);
		return WEIR_REFUSAL_MAC;
	}
	return WEIR_REFUSAL_NONE;
}

bool
weir_ledger_stamps_match(const struct weir_ledger_stamp *a, const struct weir_ledger_stamp *b)
{
	return memcmp(a->identity, b->identity, sizeof(a->identity)) == 0 &&
	       memcmp(a->key_id, b->key_id, sizeof(a->key_id)) == 0 &&
	       strcmp(a->appliance, b->appliance) == 0 && a->witness_kind == b->witness_kind;
}

/* What of a record is lower in the one after it, and must not be; or NULL. */
static const char *
find_lower(const struct weir_ledger_header *newer, const struct weir_ledger_header *older)
{
	if (newer->stamp.epoch < older->stamp.epoch)
		return "epoch";
	if (newer->clock_ns < older->clock_ns)
		return "clock";
	if (newer->stamp.witness_value < older->stamp.witness_value)
		return "witness value";
	/* A start that found a slot lost goes on from the record before. */
	if (newer->peer_sequence < older->peer_sequence && newer->stamp.epoch == older->stamp.epoch)
		return "peer";
	if (newer->n_budgets < older->n_budgets)
		return "number of budgets";
	return NULL;
}

/* The rules that tie two valid records of a kind together. */
static enum weir_ledger_refusal
check_pair(enum weir_ledger_kind kind, const struct weir_ledger_header *newer,
           const struct weir_ledger_header *older, char *error, size_t error_size)
{
	const char *lower = find_lower(newer, older);

	if (newer->sequence - older->sequence != 1)
		snprintf(error, error_size,
		         "ledger: %s: records %" PRIu64 " and %" PRIu64
		         ", expected consecutive ones",
		         kind_name(kind), older->sequence, newer->sequence);
	else if (!weir_ledger_stamps_match(&newer->stamp, &older->stamp))
		snprintf(error, error_size,
		         "ledger: %s: records %" PRIu64 " and %" PRIu64 " are of different ledgers",
		         kind_name(kind), older->sequence, newer->sequence);
	else if (lower != NULL)
		snprintf(error, error_size,
		         "ledger: %s: record %" PRIu64 " contradicts record %" PRIu64
		         ": its %s is lower, expected the same or more",
		         kind_name(kind), newer->sequence, older->sequence, lower);
	else
		return WEIR_REFUSAL_NONE;
	return WEIR_REFUSAL_CONTRADICTION;
}

/* Picks the newest record of two slots that were read. */
static enum weir_ledger_refusal
pick(enum weir_ledger_kind kind, const struct slot slots[2], struct weir_ledger_found *found,
     char *error, size_t error_size)
{
	const struct slot *newest = &slots[0], *other = &slots[1];

	if (slots[0].data == NULL && slots[1].data == NULL) {
		snprintf(error, error_size,
		         "ledger: %s: slot 0: %s; slot 1: %s; expected a valid record in one",
		         kind_name(kind), weir_ledger_verdict_name(slots[0].verdict),
		         weir_ledger_verdict_name(slots[1].verdict));
		return slots[0].verdict == WEIR_LEDGER_UNREADABLE ||
		               slots[1].verdict == WEIR_LEDGER_UNREADABLE
		           ? WEIR_REFUSAL_UNREADABLE
		           : WEIR_REFUSAL_TORN;
	}
	if (slots[0].data == NULL ||
	    (slots[1].data != NULL && slots[1].header.sequence > slots[0].header.sequence)) {
		newest = &slots[1];
		other = &slots[0];
	}
	*found = (struct weir_ledger_found){
	    .header = newest->header,
	    .data = newest->data,
	    .alone = other->data == NULL,
	    .previous_header = other->header,
	    .previous = other->data,
	    .other = other->verdict,
	};
	return found->alone ? WEIR_REFUSAL_NONE
	                    : check_pair(kind, &newest->header, &other->header, error, error_size);
}

enum weir_ledger_refusal
weir_ledger_store_read(struct weir_ledger_store *store, enum weir_ledger_kind kind,
                       const char *appliance, struct weir_ledger_found *found, char *error,
                       size_t error_size)
{
	enum weir_ledger_refusal refusal = WEIR_REFUSAL_NONE;
	struct slot slots[2] = {{.verdict = WEIR_LEDGER_BLANK}, {.verdict = WEIR_LEDGER_BLANK}};

	for (uint32_t i = 0; i < 2 && refusal == WEIR_REFUSAL_NONE; i++) {
		int rc = read_slot(store, kind, i, &slots[i]);

		if (rc == 0)
			continue;
		snprintf(error, error_size, "ledger: %s slot %" PRIu32 ": read: %s",
		         kind_name(kind), i, strerror(-rc));
		refusal = rc == -ENOMEM ? WEIR_REFUSAL_MEMORY : WEIR_REFUSAL_UNREADABLE;
	}
	for (uint32_t i = 0; i < 2 && refusal == WEIR_REFUSAL_NONE; i++)
		refusal = judge_slot(store, kind, i, &slots[i], appliance, error, error_size);
	if (refusal == WEIR_REFUSAL_NONE)
		refusal = pick(kind, slots, found, error, error_size);
	if (refusal != WEIR_REFUSAL_NONE) {
		free(slots[0].data);
		free(slots[1].data);
		return refusal;
	}
	if (kind == WEIR_LEDGER_STATE)
		store->state_sequence = found->header.sequence;
	else
		store->grants_sequence = found->header.sequence;
	return WEIR_REFUSAL_NONE;
}

/* ---- writing ---- */

int
weir_ledger_store_reserve(struct weir_ledger_store *store, size_t state_bytes)
{
	size_t room = WEIR_LEDGER_BLOCKS(state_bytes);
	uint8_t *data;

	assert(room <= WEIR_LEDGER_STATE_ROOM);
	if (room <= store->state_room)
		return 0;
	data = make_room(room); /* what is in the old one is made anew for each record */
	if (data == NULL)
		return -ENOMEM;
	free(store->state_data);
	store->state_data = data;
	store->state_room = room;
	return 0;
}

/*
 * Whether the disk holds what was written: a write that was lost, cut, garbled or put elsewhere
 * shows here, before anything relies on it.
 */
static int
read_back(struct weir_ledger_store *store, const uint8_t *data, size_t bytes, uint64_t offset)
{
	for (size_t at = 0; at < bytes; at += READ_BACK_BYTES) {
		size_t part = bytes - at < READ_BACK_BYTES ? bytes - at : READ_BACK_BYTES;
		int rc;

		/* So that a read that does nothing can't find what the last one left. */
		memset(store->read_data, 0xff, part);
		rc = store->disk->ops->read(store->disk, store->read_data, part, offset + at);
		if (rc != 0)
			return rc;
		if (memcmp(store->read_data, data + at, part) != 0) {
			store->read_backs++;
			return -EBADMSG;
		}
	}
	return 0;
}

static int
write_and_sync(struct weir_ledger_store *store, const uint8_t *data, size_t bytes, uint64_t offset)
{
	uint64_t start = store->clock != NULL ? store->clock() : 0;

	if (store->error != 0)
		return store->error;
	store->error = store->disk->ops->write(store->disk, data, bytes, offset);
	if (store->error == 0)
		store->error = store->disk->ops->sync(store->disk);
	if (store->error == 0)
		store->error = read_back(store, data, bytes, offset);
	assert(store->error <= 0);
	if (store->error != 0)
		return store->error;
	store->syncs++;
	store->written_bytes += bytes;
	store->sync_ns = store->clock != NULL ? weir_sat_sub(store->clock(), start) : 0;
	if (store->sync_ns > store->sync_max_ns)
		store->sync_max_ns = store->sync_ns;
	return 0;
}

/* One kind of these. data has room for its record. */
static int
settle(struct weir_ledger_store *store, enum weir_ledger_kind kind, uint64_t sequence,
       uint8_t *data, size_t room)
{
	uint64_t offset = weir_ledger_slot_offset(kind, sequence);
	struct weir_ledger_header header;
	size_t bytes;
	int rc = store->disk->ops->read(store->disk, data, WEIR_LEDGER_BLOCK_BYTES, offset);

	if (rc != 0)
		return rc;
	bytes = WEIR_LEDGER_BLOCKS(weir_ledger_claimed_bytes(data, kind));
	if (bytes == 0 || bytes > room)
		return -EBADMSG;
	rc = store->disk->ops->read(store->disk, data, bytes, offset);
	if (rc != 0)
		return rc;
	if (weir_ledger_check(data, bytes, kind, sequence & 1, store->key, &header) !=
	        WEIR_LEDGER_VALID ||
	    header.sequence != sequence)
		return -EBADMSG; /* it was valid a moment ago */
	return write_and_sync(store, data, bytes, offset);
}

int
weir_ledger_store_settle(struct weir_ledger_store *store)
{
	int rc;

	if (store->error != 0)
		return store->error;
	rc = settle(store, WEIR_LEDGER_STATE, store->state_sequence, store->state_data,
	            store->state_room);
	if (rc == 0)
		rc = settle(store, WEIR_LEDGER_GRANTS, store->grants_sequence, store->grants_data,
		            WEIR_LEDGER_GRANTS_ROOM);
	store->error = rc;
	return rc;
}

int
weir_ledger_store_write_state(struct weir_ledger_store *store, uint64_t clock_ns,
                              const struct weir_ledger_budget *budgets, uint32_t n_budgets)
{
	struct weir_ledger_header header = {
	    .kind = WEIR_LEDGER_STATE,
	    .sequence = store->state_sequence + 1,
	    .stamp = store->stamp,
	    .clock_ns = clock_ns,
	    .peer_sequence = store->grants_sequence,
	    .n_budgets = n_budgets,
	};
	size_t bytes = weir_ledger_state_bytes(budgets, n_budgets);
	int rc;

	assert(store->key != NULL);
	assert(WEIR_LEDGER_BLOCKS(bytes) <= store->state_room);
	bytes = weir_ledger_encode_state(store->key, &header, budgets, store->state_data);
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
	    .stamp = store->stamp,
	    .clock_ns = clock_ns,
	    .peer_sequence = store->state_sequence,
	    .n_budgets = n_budgets,
	};
	size_t bytes;
	int rc;

	assert(store->key != NULL);
	bytes = weir_ledger_encode_grants(store->key, &header, grants, store->grants_data);
	rc = write_and_sync(store, store->grants_data, bytes,
	                    weir_ledger_slot_offset(header.kind, header.sequence));
	if (rc == 0)
		store->grants_sequence = header.sequence;
	return rc;
}
