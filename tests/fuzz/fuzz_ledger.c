/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a record of the ledger. The first one chooses: 1 the kind, 2 the slot, 4 a reader
 * without a key, 8 a record with the right checksum, 16 also with the right MAC, so that the rules
 * behind them are reached. No input may crash; what is valid is decoded and encoded again to the
 * same bytes.
 */
#include "control/ledger_format.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define AT_LENGTH   24U
#define AT_IDENTITY 32U
#define AT_KEY_ID   48U
#define AT_MAC      192U
#define AT_SUM      224U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
hash(const uint8_t *record, size_t length, size_t header_bytes, const char *personal,
     const uint8_t *with, uint8_t *sum)
{
	crypto_generichash_blake2b_state state;
	int rc;

	rc = crypto_generichash_blake2b_init_salt_personal(&state, with,
	                                                   with != NULL ? WEIR_LEDGER_KEY_BYTES : 0,
	                                                   32, NULL, (const uint8_t *)personal);
	rc |= crypto_generichash_blake2b_update(&state, record, header_bytes);
	rc |= crypto_generichash_blake2b_update(&state, record + WEIR_LEDGER_HEADER_BYTES,
	                                        length - WEIR_LEDGER_HEADER_BYTES);
	rc |= crypto_generichash_blake2b_final(&state, sum, 32);
	assert(rc == 0);
}

/* Makes the sums right, where the record says a length that is there. */
static void
seal(uint8_t *record, size_t size, const struct weir_ledger_key *key, bool with_mac)
{
	size_t length;

	if (size < WEIR_LEDGER_HEADER_BYTES)
		return;
	length = (size_t)record[AT_LENGTH] | (size_t)record[AT_LENGTH + 1] << 8 |
	         (size_t)record[AT_LENGTH + 2] << 16 | (size_t)record[AT_LENGTH + 3] << 24;
	if (length < WEIR_LEDGER_HEADER_BYTES || length > size)
		return;
	if (with_mac) {
		memcpy(record + AT_IDENTITY, key->identity, sizeof(key->identity));
		memcpy(record + AT_KEY_ID, key->id, sizeof(key->id));
		hash(record, length, AT_MAC, "weir-ledger-mac2", key->key, record + AT_MAC);
	}
	hash(record, length, AT_SUM, "weir-ledger-sum2", NULL, record + AT_SUM);
}

/* What a valid record says, said again. again: room for whole blocks. */
static size_t
encode_again(const uint8_t *record, const struct weir_ledger_header *header,
             const struct weir_ledger_key *key, uint8_t *again)
{
	static struct weir_ledger_budget budgets[WEIR_BUDGETS_MAX];
	static struct weir_ledger_grant grants[WEIR_BUDGETS_MAX];
	size_t bytes;

	if (header->kind == WEIR_LEDGER_GRANTS) {
		weir_ledger_decode_grants(record, header, grants);
		return weir_ledger_encode_grants(key, header, grants, again);
	}
	if (weir_ledger_decode_state(record, header, budgets) != 0)
		abort();
	for (uint32_t i = 0; i < header->n_budgets; i++) {
		assert(strnlen(budgets[i].name, WEIR_NAME_SIZE) < WEIR_NAME_SIZE);
		assert(budgets[i].forfeited_bytes <= budgets[i].spent_bytes);
		for (uint32_t k = 0; k < budgets[i].n_windows; k++)
			assert(budgets[i].windows[k]->used_bytes <= budgets[i].spent_bytes);
	}
	bytes = weir_ledger_encode_state(key, header, budgets, again);
	for (uint32_t i = 0; i < header->n_budgets; i++)
		for (uint32_t k = 0; k < budgets[i].n_windows; k++)
			free(budgets[i].windows[k]);
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_ledger_key key;
	struct weir_ledger_header header;
	enum weir_ledger_kind kind;
	uint8_t *record, *again;
	uint8_t choice;

	if (size < 1 || size - 1 > 2 * WEIR_LEDGER_GRANTS_ROOM)
		return 0;
	if (key.appliance[0] == '\0') /* any will do, but the same one for all inputs */
		key = (struct weir_ledger_key){"box", {1, 2}, {3, 4}, {5, 6}};
	choice = *data++;
	size--;
	/* Exactly so large, so that a sanitizer sees the first byte too many. */
	record = malloc(size > 0 ? size : 1);
	again = malloc(WEIR_LEDGER_BLOCKS(size) + WEIR_LEDGER_BLOCK_BYTES);
	if (record == NULL || again == NULL)
		abort();
	memcpy(record, data, size);
	kind = choice & 1 ? WEIR_LEDGER_GRANTS : WEIR_LEDGER_STATE;
	if (choice & 8)
		seal(record, size, &key, choice & 16);
	memset(&header, 0xa5, sizeof(header));
	if (weir_ledger_check(record, size, kind, choice >> 1 & 1, choice & 4 ? NULL : &key,
	                      &header) == WEIR_LEDGER_VALID) {
		assert(header.kind == kind && header.length_bytes <= size);
		assert((header.sequence & 1) == (choice >> 1 & 1));
		/* Sealed with this key now, whoever made it. */
		memcpy(header.stamp.identity, key.identity, sizeof(key.identity));
		memcpy(header.stamp.key_id, key.id, sizeof(key.id));
		(void)encode_again(record, &header, &key, again);
		seal(record, size, &key, true);
		assert(memcmp(record, again, header.length_bytes) == 0);
	}
	free(record);
	free(again);
	return 0;
}
