/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_format.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC               "WEIRLDGR"
#define MAGIC_BYTES         8U
#define MAC_PERSONAL        "weir-ledger-mac2"
#define SUM_PERSONAL        "weir-ledger-sum2"
#define SUM_BYTES           32U

#define AT_VERSION          8U
#define AT_KIND             12U
#define AT_SEQUENCE         16U
#define AT_LENGTH           24U
#define AT_ALGORITHM        28U
#define AT_IDENTITY         32U
#define AT_KEY_ID           48U
#define AT_APPLIANCE        64U
#define AT_EPOCH            112U
#define AT_CLOCK            120U
#define AT_PEER             128U
#define AT_WITNESS_VALUE    136U
#define AT_WITNESS_LIMIT    144U
#define AT_WITNESS_KIND     152U
#define AT_N_BUDGETS        156U
#define AT_ZERO             160U
#define AT_MAC              192U
#define AT_CHECKSUM         224U

#define AT_BUDGET_SPENT     48U
#define AT_BUDGET_N_WINDOWS 56U
#define AT_BUDGET_ZERO      60U
#define AT_BUDGET_FORFEITED 64U

#define AT_WINDOW_SLOT      8U
#define AT_WINDOW_NEWEST    16U
#define AT_WINDOW_BYTES     24U

static_assert(WEIR_LEDGER_GRANTS_ROOM == 102400, "the table in the header says so");
static_assert(WEIR_LEDGER_STATE_ROOM == 18124800, "the table in the header says so");
static_assert(AT_MAC + SUM_BYTES == AT_CHECKSUM, "the checksum covers the MAC");
static_assert(AT_CHECKSUM + SUM_BYTES == WEIR_LEDGER_HEADER_BYTES, "the checksum ends it");
static_assert(sizeof(MAC_PERSONAL) - 1 == crypto_generichash_blake2b_PERSONALBYTES, "BLAKE2b's");
static_assert(sizeof(SUM_PERSONAL) - 1 == crypto_generichash_blake2b_PERSONALBYTES, "BLAKE2b's");
static_assert(WEIR_NAME_SIZE == AT_BUDGET_SPENT, "names are stored whole");
static_assert(AT_APPLIANCE + WEIR_NAME_SIZE == AT_EPOCH, "names are stored whole");

static uint32_t
get32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

static uint64_t
get64(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return le64toh(value);
}

static void
put32(uint8_t *data, uint32_t value)
{
	value = htole32(value);
	memcpy(data, &value, sizeof(value));
}

static void
put64(uint8_t *data, uint64_t value)
{
	value = htole64(value);
	memcpy(data, &value, sizeof(value));
}

static bool
all_zero(const uint8_t *data, size_t bytes)
{
	return sodium_is_zero(data, bytes) == 1;
}

/*
 * Hash of the header's first bytes and of all behind the header. length_bytes is at least a header.
 * key: NULL for the checksum.
 */
static void
hash(const uint8_t *data, size_t length_bytes, size_t header_bytes, const char *personal,
     const struct weir_ledger_key *key, uint8_t sum[SUM_BYTES])
{
	crypto_generichash_blake2b_state state;
	int rc;

	rc = crypto_generichash_blake2b_init_salt_personal(
	    &state, key != NULL ? key->key : NULL, key != NULL ? sizeof(key->key) : 0, SUM_BYTES,
	    NULL, (const uint8_t *)personal);
	rc |= crypto_generichash_blake2b_update(&state, data, header_bytes);
	rc |= crypto_generichash_blake2b_update(&state, data + WEIR_LEDGER_HEADER_BYTES,
	                                        length_bytes - WEIR_LEDGER_HEADER_BYTES);
	rc |= crypto_generichash_blake2b_final(&state, sum, SUM_BYTES);
	assert(rc == 0);
	sodium_memzero(&state, sizeof(state)); /* of the MAC: as good as the key */
}

static void
checksum(const uint8_t *data, size_t length_bytes, uint8_t sum[SUM_BYTES])
{
	hash(data, length_bytes, AT_CHECKSUM, SUM_PERSONAL, NULL, sum);
}

static void
make_mac(const uint8_t *data, size_t length_bytes, const struct weir_ledger_key *key,
         uint8_t mac[SUM_BYTES])
{
	hash(data, length_bytes, AT_MAC, MAC_PERSONAL, key, mac);
}

const char *
weir_ledger_verdict_name(enum weir_ledger_verdict verdict)
{
	static const char *const names[] = {
	    [WEIR_LEDGER_VALID] = "valid",
	    [WEIR_LEDGER_BLANK] = "blank",
	    [WEIR_LEDGER_NO_MAGIC] = "not a record",
	    [WEIR_LEDGER_UNKNOWN] = "of an unknown version or algorithm",
	    [WEIR_LEDGER_BAD_KIND] = "of the wrong kind",
	    [WEIR_LEDGER_BAD_SEQUENCE] = "with a wrong sequence number",
	    [WEIR_LEDGER_BAD_LENGTH] = "of a wrong length",
	    [WEIR_LEDGER_BAD_CHECKSUM] = "with a wrong checksum",
	    [WEIR_LEDGER_FOREIGN_IDENTITY] = "of another ledger",
	    [WEIR_LEDGER_FOREIGN_KEY] = "made with another key",
	    [WEIR_LEDGER_BAD_MAC] = "with a wrong MAC",
	    [WEIR_LEDGER_BAD_CONTENTS] = "with impossible contents",
	    [WEIR_LEDGER_UNREADABLE] = "that can't be read",
	};

	assert((size_t)verdict < sizeof(names) / sizeof(names[0]));
	return names[verdict];
}

size_t
weir_ledger_slot_room(enum weir_ledger_kind kind)
{
	return kind == WEIR_LEDGER_GRANTS ? WEIR_LEDGER_GRANTS_ROOM : WEIR_LEDGER_STATE_ROOM;
}

uint64_t
weir_ledger_slot_offset(enum weir_ledger_kind kind, uint64_t sequence)
{
	uint64_t first = kind == WEIR_LEDGER_GRANTS ? 0 : 2ULL * WEIR_LEDGER_GRANTS_ROOM;

	return first + (sequence & 1) * weir_ledger_slot_room(kind);
}

size_t
weir_ledger_claimed_bytes(const uint8_t *data, enum weir_ledger_kind kind)
{
	size_t length = get32(data + AT_LENGTH);

	if (length < WEIR_LEDGER_HEADER_BYTES || length > weir_ledger_slot_room(kind))
		return 0;
	return length;
}

/* A name as records hold it: printable, so that no record can garble a message, then zeros. */
static bool
check_name(const uint8_t *data)
{
	size_t bytes = strnlen((const char *)data, WEIR_NAME_SIZE);

	if (bytes == 0 || bytes == WEIR_NAME_SIZE)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (data[i] < ' ' || data[i] > '~')
			return false;
	return all_zero(data + bytes, WEIR_NAME_SIZE - bytes);
}

/* The rules for one window. Adds nothing up that could overflow. */
static bool
check_window(const uint8_t *data, uint64_t clock_ns, uint64_t spent_bytes)
{
	uint64_t window_ns = get64(data), slot_ns = get64(data + AT_WINDOW_SLOT);
	uint64_t left = spent_bytes;

	if (window_ns == 0 || slot_ns != (window_ns - 1) / WEIR_WINDOW_SLOTS + 1)
		return false;
	if (get64(data + AT_WINDOW_NEWEST) > clock_ns / slot_ns)
		return false;
	for (uint32_t i = 0; i < WEIR_WINDOW_RING; i++) {
		uint64_t bytes = get64(data + AT_WINDOW_BYTES + 8 * i);

		if (bytes > left)
			return false;
		left -= bytes;
	}
	return true;
}

/* The rules for one budget of a STATE with bytes left. Returns its size, or 0 if one is broken. */
static size_t
check_budget(const uint8_t *data, size_t bytes, uint64_t clock_ns)
{
	uint32_t n_windows;

	if (bytes < WEIR_LEDGER_BUDGET_BYTES || !check_name(data))
		return 0;
	n_windows = get32(data + AT_BUDGET_N_WINDOWS);
	if (n_windows > WEIR_CAPS_MAX || get32(data + AT_BUDGET_ZERO) != 0 ||
	    get64(data + AT_BUDGET_FORFEITED) > get64(data + AT_BUDGET_SPENT) ||
	    bytes - WEIR_LEDGER_BUDGET_BYTES < (size_t)n_windows * WEIR_LEDGER_WINDOW_BYTES)
		return 0;
	for (uint32_t i = 0; i < n_windows; i++) {
		const uint8_t *window =
		    data + WEIR_LEDGER_BUDGET_BYTES + i * WEIR_LEDGER_WINDOW_BYTES;

		if (!check_window(window, clock_ns, get64(data + AT_BUDGET_SPENT)))
			return 0;
		for (uint32_t k = 1; k <= i; k++)
			if (get64(window) == get64(window - k * WEIR_LEDGER_WINDOW_BYTES))
				return 0;
	}
	return WEIR_LEDGER_BUDGET_BYTES + n_windows * WEIR_LEDGER_WINDOW_BYTES;
}

static int
compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strncmp(*left, *right, WEIR_NAME_SIZE);
}

static enum weir_ledger_verdict
check_state(const uint8_t *data, const struct weir_ledger_header *header)
{
	const char *names[WEIR_BUDGETS_MAX];
	size_t at = WEIR_LEDGER_HEADER_BYTES;

	for (uint32_t i = 0; i < header->n_budgets; i++) {
		size_t bytes = check_budget(data + at, header->length_bytes - at, header->clock_ns);

		if (bytes == 0)
			return WEIR_LEDGER_BAD_CONTENTS;
		names[i] = (const char *)data + at;
		at += bytes;
	}
	if (at != header->length_bytes)
		return WEIR_LEDGER_BAD_LENGTH;
	qsort(names, header->n_budgets, sizeof(names[0]), compare_names);
	for (uint32_t i = 1; i < header->n_budgets; i++)
		if (compare_names(&names[i - 1], &names[i]) == 0)
			return WEIR_LEDGER_BAD_CONTENTS;
	return WEIR_LEDGER_VALID;
}

static enum weir_ledger_verdict
check_grants(const uint8_t *data, const struct weir_ledger_header *header)
{
	const uint8_t *at = data + WEIR_LEDGER_HEADER_BYTES;

	if (header->length_bytes != weir_ledger_grants_bytes(header->n_budgets))
		return WEIR_LEDGER_BAD_LENGTH;
	if (header->peer_sequence == 0)
		return WEIR_LEDGER_BAD_CONTENTS;
	for (uint32_t i = 0; i < header->n_budgets; i++, at += WEIR_LEDGER_GRANT_BYTES)
		if (get64(at) > get64(at + 8) || get64(at + 8) > get64(at + 16))
			return WEIR_LEDGER_BAD_CONTENTS;
	return WEIR_LEDGER_VALID;
}

/* What the header says, whoever wrote it. The name is fit to print, whatever stands there. */
static void
read_header(const uint8_t *data, enum weir_ledger_kind kind, struct weir_ledger_header *header)
{
	struct weir_ledger_stamp *stamp = &header->stamp;
	uint32_t witness_kind = get32(data + AT_WITNESS_KIND);

	*header = (struct weir_ledger_header){
	    .kind = kind,
	    .sequence = get64(data + AT_SEQUENCE),
	    .stamp.epoch = get64(data + AT_EPOCH),
	    .stamp.witness_value = get64(data + AT_WITNESS_VALUE),
	    .stamp.witness_limit_bytes = get64(data + AT_WITNESS_LIMIT),
	    .clock_ns = get64(data + AT_CLOCK),
	    .peer_sequence = get64(data + AT_PEER),
	    .n_budgets = get32(data + AT_N_BUDGETS),
	    .length_bytes = get32(data + AT_LENGTH),
	};
	memcpy(stamp->identity, data + AT_IDENTITY, sizeof(stamp->identity));
	memcpy(stamp->key_id, data + AT_KEY_ID, sizeof(stamp->key_id));
	memcpy(stamp->appliance, data + AT_APPLIANCE, sizeof(stamp->appliance) - 1);
	for (char *at = stamp->appliance; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	if (witness_kind <= WEIR_WITNESS_TPM)
		stamp->witness_kind = (enum weir_witness_kind)witness_kind;
}

/* Whether a whole record is of the key's ledger and was made with the key. */
static enum weir_ledger_verdict
check_origin(const uint8_t *data, const struct weir_ledger_key *key,
             const struct weir_ledger_header *header)
{
	uint8_t mac[SUM_BYTES];

	if (memcmp(header->stamp.identity, key->identity, sizeof(key->identity)) != 0)
		return WEIR_LEDGER_FOREIGN_IDENTITY;
	if (memcmp(header->stamp.key_id, key->id, sizeof(key->id)) != 0)
		return WEIR_LEDGER_FOREIGN_KEY;
	make_mac(data, header->length_bytes, key, mac);
	if (sodium_memcmp(mac, data + AT_MAC, sizeof(mac)) != 0)
		return WEIR_LEDGER_BAD_MAC;
	return WEIR_LEDGER_VALID;
}

/* The rules for the header's own contents. */
static bool
check_header(const uint8_t *data, const struct weir_ledger_header *header)
{
	const struct weir_ledger_stamp *stamp = &header->stamp;

	if (!check_name(data + AT_APPLIANCE) || get32(data + AT_WITNESS_KIND) > WEIR_WITNESS_TPM ||
	    header->n_budgets > WEIR_BUDGETS_MAX || !all_zero(data + AT_ZERO, AT_MAC - AT_ZERO))
		return false;
	/* So that counting on from them never wraps. */
	if ((header->sequence | stamp->epoch | header->clock_ns | header->peer_sequence |
	     stamp->witness_value) >>
	        63 !=
	    0)
		return false;
	return stamp->witness_kind != WEIR_WITNESS_NONE ||
	       (stamp->witness_value == 0 && stamp->witness_limit_bytes == 0);
}

enum weir_ledger_verdict
weir_ledger_check(const uint8_t *data, size_t room, enum weir_ledger_kind kind, uint32_t parity,
                  const struct weir_ledger_key *key, struct weir_ledger_header *header)
{
	enum weir_ledger_verdict origin;
	uint8_t sum[SUM_BYTES];
	size_t length;

	if (room < WEIR_LEDGER_HEADER_BYTES)
		return WEIR_LEDGER_BAD_LENGTH;
	if (all_zero(data, WEIR_LEDGER_HEADER_BYTES))
		return WEIR_LEDGER_BLANK;
	if (memcmp(data, MAGIC, MAGIC_BYTES) != 0)
		return WEIR_LEDGER_NO_MAGIC;
	if (get32(data + AT_VERSION) != WEIR_LEDGER_VERSION ||
	    get32(data + AT_ALGORITHM) != WEIR_LEDGER_ALGORITHM)
		return WEIR_LEDGER_UNKNOWN;
	length = weir_ledger_claimed_bytes(data, kind);
	if (length == 0 || length > room)
		return WEIR_LEDGER_BAD_LENGTH;
	checksum(data, length, sum);
	if (memcmp(sum, data + AT_CHECKSUM, sizeof(sum)) != 0)
		return WEIR_LEDGER_BAD_CHECKSUM;
	read_header(data, kind, header);
	/* Before anything else that it says: what is foreign or forged refuses the whole file. */
	origin = key != NULL ? check_origin(data, key, header) : WEIR_LEDGER_VALID;
	if (origin != WEIR_LEDGER_VALID)
		return origin;
	if (get32(data + AT_KIND) != (uint32_t)kind)
		return WEIR_LEDGER_BAD_KIND;
	if (header->sequence == 0 || (header->sequence & 1) != parity)
		return WEIR_LEDGER_BAD_SEQUENCE;
	if (!check_header(data, header))
		return WEIR_LEDGER_BAD_CONTENTS;
	return kind == WEIR_LEDGER_STATE ? check_state(data, header) : check_grants(data, header);
}

size_t
weir_ledger_state_bytes(const struct weir_ledger_budget *budgets, uint32_t n_budgets)
{
	size_t bytes = WEIR_LEDGER_HEADER_BYTES;

	assert(n_budgets <= WEIR_BUDGETS_MAX);
	for (uint32_t i = 0; i < n_budgets; i++)
		bytes += WEIR_LEDGER_BUDGET_BYTES +
		         (size_t)budgets[i].n_windows * WEIR_LEDGER_WINDOW_BYTES;
	return bytes;
}

size_t
weir_ledger_grants_bytes(uint32_t n_budgets)
{
	return WEIR_LEDGER_HEADER_BYTES + (size_t)n_budgets * WEIR_LEDGER_GRANT_BYTES;
}

/* Writes the header of a record whose contents stand, and zeros behind it; then checks it all. */
static size_t
seal(const struct weir_ledger_key *key, const struct weir_ledger_header *header, size_t length,
     uint8_t *data)
{
	const struct weir_ledger_stamp *stamp = &header->stamp;
	size_t bytes = WEIR_LEDGER_BLOCKS(length);
	enum weir_ledger_verdict verdict;
	struct weir_ledger_header again;

	assert(length <= weir_ledger_slot_room(header->kind));
	memset(data, 0, WEIR_LEDGER_HEADER_BYTES);
	memset(data + length, 0, bytes - length);
	memcpy(data, MAGIC, MAGIC_BYTES);
	put32(data + AT_VERSION, WEIR_LEDGER_VERSION);
	put32(data + AT_KIND, (uint32_t)header->kind);
	put64(data + AT_SEQUENCE, header->sequence);
	put32(data + AT_LENGTH, (uint32_t)length);
	put32(data + AT_ALGORITHM, WEIR_LEDGER_ALGORITHM);
	memcpy(data + AT_IDENTITY, stamp->identity, sizeof(stamp->identity));
	memcpy(data + AT_KEY_ID, stamp->key_id, sizeof(stamp->key_id));
	memcpy(data + AT_APPLIANCE, stamp->appliance, strnlen(stamp->appliance, WEIR_NAME_SIZE));
	put64(data + AT_EPOCH, stamp->epoch);
	put64(data + AT_CLOCK, header->clock_ns);
	put64(data + AT_PEER, header->peer_sequence);
	put64(data + AT_WITNESS_VALUE, stamp->witness_value);
	put64(data + AT_WITNESS_LIMIT, stamp->witness_limit_bytes);
	put32(data + AT_WITNESS_KIND, (uint32_t)stamp->witness_kind);
	put32(data + AT_N_BUDGETS, header->n_budgets);
	make_mac(data, length, key, data + AT_MAC);
	checksum(data, length, data + AT_CHECKSUM);

	verdict = weir_ledger_check(data, bytes, header->kind, header->sequence & 1, key, &again);
	assert(verdict == WEIR_LEDGER_VALID);
	return bytes;
}

size_t
weir_ledger_encode_state(const struct weir_ledger_key *key, const struct weir_ledger_header *header,
                         const struct weir_ledger_budget *budgets, uint8_t *data)
{
	uint8_t *at = data + WEIR_LEDGER_HEADER_BYTES;

	assert(header->kind == WEIR_LEDGER_STATE);
	for (uint32_t i = 0; i < header->n_budgets; i++) {
		const struct weir_ledger_budget *budget = &budgets[i];

		memset(at, 0, WEIR_LEDGER_BUDGET_BYTES);
		memcpy(at, budget->name, strnlen(budget->name, WEIR_NAME_SIZE));
		put64(at + AT_BUDGET_SPENT, budget->spent_bytes);
		put32(at + AT_BUDGET_N_WINDOWS, budget->n_windows);
		put64(at + AT_BUDGET_FORFEITED, budget->forfeited_bytes);
		at += WEIR_LEDGER_BUDGET_BYTES;
		for (uint32_t k = 0; k < budget->n_windows; k++) {
			const struct weir_window *window = budget->windows[k];

			put64(at, window->window_ns);
			put64(at + AT_WINDOW_SLOT, window->slot_ns);
			put64(at + AT_WINDOW_NEWEST, window->newest);
			for (uint32_t s = 0; s < WEIR_WINDOW_RING; s++)
				put64(at + AT_WINDOW_BYTES + 8 * s, window->slot_bytes[s]);
			at += WEIR_LEDGER_WINDOW_BYTES;
		}
	}
	return seal(key, header, (size_t)(at - data), data);
}

size_t
weir_ledger_encode_grants(const struct weir_ledger_key *key,
                          const struct weir_ledger_header *header,
                          const struct weir_ledger_grant *grants, uint8_t *data)
{
	uint8_t *at = data + WEIR_LEDGER_HEADER_BYTES;

	assert(header->kind == WEIR_LEDGER_GRANTS);
	for (uint32_t i = 0; i < header->n_budgets; i++, at += WEIR_LEDGER_GRANT_BYTES) {
		put64(at, grants[i].spent_bytes);
		put64(at + 8, grants[i].grant_bytes);
		put64(at + 16, grants[i].bound_bytes);
	}
	return seal(key, header, (size_t)(at - data), data);
}

int
weir_ledger_decode_state(const uint8_t *data, const struct weir_ledger_header *header,
                         struct weir_ledger_budget *budgets)
{
	const uint8_t *at = data + WEIR_LEDGER_HEADER_BYTES;

	for (uint32_t i = 0; i < header->n_budgets; i++) {
		struct weir_ledger_budget *budget = &budgets[i];
		uint32_t n_windows = get32(at + AT_BUDGET_N_WINDOWS);

		memset(budget, 0, sizeof(*budget));
		memcpy(budget->name, at, sizeof(budget->name));
		budget->spent_bytes = get64(at + AT_BUDGET_SPENT);
		budget->forfeited_bytes = get64(at + AT_BUDGET_FORFEITED);
		at += WEIR_LEDGER_BUDGET_BYTES;
		for (uint32_t k = 0; k < n_windows; k++, at += WEIR_LEDGER_WINDOW_BYTES) {
			struct weir_window *window = malloc(sizeof(*window));

			if (window == NULL)
				return -ENOMEM;
			weir_window_init(window, get64(at), 0);
			window->newest = get64(at + AT_WINDOW_NEWEST);
			for (uint32_t s = 0; s < WEIR_WINDOW_RING; s++) {
				window->slot_bytes[s] = get64(at + AT_WINDOW_BYTES + 8 * s);
				window->used_bytes += window->slot_bytes[s];
			}
			budget->windows[budget->n_windows++] = window;
		}
	}
	return 0;
}

void
weir_ledger_decode_grants(const uint8_t *data, const struct weir_ledger_header *header,
                          struct weir_ledger_grant *grants)
{
	const uint8_t *at = data + WEIR_LEDGER_HEADER_BYTES;

	for (uint32_t i = 0; i < header->n_budgets; i++, at += WEIR_LEDGER_GRANT_BYTES) {
		grants[i].spent_bytes = get64(at);
		grants[i].grant_bytes = get64(at + 8);
		grants[i].bound_bytes = get64(at + 16);
	}
}
