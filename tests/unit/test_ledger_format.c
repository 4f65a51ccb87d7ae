/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger's file format: what is written, and what is taken for a record. */
#include "control/ledger_format.h"
#include "tests/unit/harness.h"

#include <sodium.h>
#include <string.h>

#define N_BUDGETS 5U

static struct weir_window windows[N_BUDGETS][2];
static struct weir_ledger_budget budgets[N_BUDGETS];
static struct weir_ledger_grant grants[N_BUDGETS];
static uint8_t data[65536], other[sizeof(data)];
static struct weir_ledger_key key;

static void
set_stamp(struct weir_ledger_stamp *stamp)
{
	weir_ledger_key_make("box-1", &key);
	*stamp = (struct weir_ledger_stamp){
	    .epoch = 11,
	    .witness_kind = WEIR_WITNESS_TPM,
	    .witness_value = 0x99aabbcc,
	    .witness_limit_bytes = 2000000000,
	};
	memcpy(stamp->identity, key.identity, sizeof(stamp->identity));
	memcpy(stamp->key_id, key.id, sizeof(stamp->key_id));
	memcpy(stamp->appliance, key.appliance, sizeof(stamp->appliance));
}

static void
make(struct weir_ledger_header *state, struct weir_ledger_header *granted)
{
	memset(budgets, 0, sizeof(budgets));
	*state = (struct weir_ledger_header){
	    .kind = WEIR_LEDGER_STATE, .sequence = 7, .clock_ns = 123456789012345};
	set_stamp(&state->stamp);
	state->peer_sequence = 0x1122334455667787;
	state->n_budgets = N_BUDGETS;
	for (uint32_t i = 0; i < N_BUDGETS; i++) {
		snprintf(budgets[i].name, WEIR_NAME_SIZE, "budget-%" PRIu32, i);
		budgets[i].n_windows = i % 3;
		budgets[i].spent_bytes = UINT64_C(0x0102030405060708) * (i + 1);
		budgets[i].forfeited_bytes = budgets[i].spent_bytes - i;
		for (uint32_t k = 0; k < budgets[i].n_windows; k++) {
			struct weir_window *window = &windows[i][k];

			weir_window_init(window, 1000 * WEIR_NS_PER_S + i + k * 7, 0);
			(void)weir_window_roll(window, state->clock_ns - 2000 * WEIR_NS_PER_S);
			weir_window_add(window, 1000 + i);
			(void)weir_window_roll(window, state->clock_ns - 1900 * WEIR_NS_PER_S);
			weir_window_add(window, 77);
			budgets[i].windows[k] = window;
		}
		grants[i] = (struct weir_ledger_grant){i, 1000 * i + 1, UINT64_MAX - i};
	}
	*granted = *state;
	granted->kind = WEIR_LEDGER_GRANTS;
	granted->sequence = 0x1122334455667788;
	granted->peer_sequence = 7;
}

static uint64_t
number(const uint8_t *at, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = bytes; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

/* A sum computed in one go over what it covers. */
static void
sum_of(const uint8_t *record, size_t header_bytes, const char *personal, const uint8_t *with,
       uint8_t sum[32])
{
	static uint8_t joined[sizeof(data)];
	size_t length = number(record + 24, 4);

	memcpy(joined, record, header_bytes);
	memcpy(joined + header_bytes, record + 256, length - 256);
	CU_ASSERT_EQUAL(crypto_generichash_blake2b_salt_personal(
	                    sum, 32, joined, header_bytes + length - 256, with,
	                    with != NULL ? 32 : 0, NULL, (const uint8_t *)personal),
	                0);
}

static void
check_sums(const uint8_t *record)
{
	uint8_t sum[32];

	sum_of(record, 192, "weir-ledger-mac2", key.key, sum);
	CU_ASSERT_EQUAL(memcmp(sum, record + 192, 32), 0);
	sum_of(record, 224, "weir-ledger-sum2", NULL, sum);
	CU_ASSERT_EQUAL(memcmp(sum, record + 224, 32), 0);
}

/* The bytes are the ones that the header's table promises. */
static void
test_bytes(void)
{
	struct weir_ledger_header state, granted;
	size_t bytes;

	make(&state, &granted);
	bytes = weir_ledger_encode_grants(&key, &granted, grants, data);
	CU_ASSERT_EQUAL(bytes, 4096);
	CU_ASSERT_EQUAL(memcmp(data, "WEIRLDGR", 8), 0);
	CU_ASSERT_EQUAL(number(data + 8, 4), 2);
	CU_ASSERT_EQUAL(number(data + 12, 4), 2);
	CU_ASSERT_EQUAL(number(data + 16, 8), 0x1122334455667788);
	CU_ASSERT_EQUAL(number(data + 24, 4), 256 + 5 * 24);
	CU_ASSERT_EQUAL(number(data + 28, 4), 1);
	CU_ASSERT_EQUAL(memcmp(data + 32, key.identity, 16), 0);
	CU_ASSERT_EQUAL(memcmp(data + 48, key.id, 16), 0);
	CU_ASSERT_EQUAL(memcmp(data + 64, key.appliance, 48), 0);
	CU_ASSERT_EQUAL(number(data + 112, 8), 11);
	CU_ASSERT_EQUAL(number(data + 120, 8), 123456789012345);
	CU_ASSERT_EQUAL(number(data + 128, 8), 7);
	CU_ASSERT_EQUAL(number(data + 136, 8), 0x99aabbcc);
	CU_ASSERT_EQUAL(number(data + 144, 8), 2000000000);
	CU_ASSERT_EQUAL(number(data + 152, 4), 2);
	CU_ASSERT_EQUAL(number(data + 156, 4), 5);
	for (size_t i = 160; i < 192; i++)
		CU_ASSERT_EQUAL(data[i], 0);
	CU_ASSERT_EQUAL(number(data + 256 + 3 * 24, 8), 3);
	CU_ASSERT_EQUAL(number(data + 256 + 3 * 24 + 8, 8), 3001);
	CU_ASSERT_EQUAL(number(data + 256 + 3 * 24 + 16, 8), UINT64_MAX - 3);
	for (size_t i = 256 + 5 * 24; i < bytes; i++)
		CU_ASSERT_EQUAL(data[i], 0);
	check_sums(data);

	bytes = weir_ledger_encode_state(&key, &state, budgets, data);
	CU_ASSERT_EQUAL(number(data + 24, 4), 256 + 5 * 72 + 4 * 544);
	CU_ASSERT_EQUAL(bytes, 4096);
	CU_ASSERT_EQUAL(number(data + 128, 8), 0x1122334455667787);
	CU_ASSERT_STRING_EQUAL(data + 256 + 72, "budget-1");
	CU_ASSERT_EQUAL(number(data + 256 + 72 + 48, 8), UINT64_C(0x020406080a0c0e10));
	CU_ASSERT_EQUAL(number(data + 256 + 72 + 56, 4), 1);
	CU_ASSERT_EQUAL(number(data + 256 + 72 + 60, 4), 0);
	CU_ASSERT_EQUAL(number(data + 256 + 72 + 64, 8), UINT64_C(0x020406080a0c0e0f));
	CU_ASSERT_EQUAL(number(data + 256 + 144, 8), 1000 * WEIR_NS_PER_S + 1);
	CU_ASSERT_EQUAL(number(data + 256 + 144 + 8, 8), 15625000001);
	check_sums(data);
	CU_ASSERT_EQUAL(WEIR_LEDGER_FILE_BYTES, 18329600 + 18124800);
	CU_ASSERT_EQUAL(weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 5), 102400);
	CU_ASSERT_EQUAL(weir_ledger_slot_offset(WEIR_LEDGER_STATE, 4), 204800);
	CU_ASSERT_EQUAL(weir_ledger_slot_offset(WEIR_LEDGER_STATE, 5), 18329600);
}

static void
test_round_trip(void)
{
	struct weir_ledger_header state, granted, found;
	struct weir_ledger_budget decoded[N_BUDGETS];
	struct weir_ledger_grant grants_again[N_BUDGETS];
	size_t bytes;

	make(&state, &granted);
	bytes = weir_ledger_encode_grants(&key, &granted, grants, data);
	CU_ASSERT_EQUAL_FATAL(weir_ledger_check(data, bytes, WEIR_LEDGER_GRANTS, 0, &key, &found),
	                      0);
	CU_ASSERT_EQUAL(found.sequence, granted.sequence);
	CU_ASSERT_EQUAL(found.peer_sequence, granted.peer_sequence);
	CU_ASSERT_EQUAL(memcmp(&found.stamp, &granted.stamp, sizeof(found.stamp)), 0);
	CU_ASSERT_EQUAL(found.n_budgets, N_BUDGETS);
	weir_ledger_decode_grants(data, &found, grants_again);
	CU_ASSERT_EQUAL(memcmp(grants, grants_again, sizeof(grants)), 0);

	bytes = weir_ledger_encode_state(&key, &state, budgets, data);
	CU_ASSERT_EQUAL_FATAL(weir_ledger_check(data, bytes, WEIR_LEDGER_STATE, 1, &key, &found),
	                      0);
	CU_ASSERT_EQUAL(found.clock_ns, state.clock_ns);
	CU_ASSERT_EQUAL_FATAL(weir_ledger_decode_state(data, &found, decoded), 0);
	for (uint32_t i = 0; i < N_BUDGETS; i++) {
		CU_ASSERT_STRING_EQUAL(decoded[i].name, budgets[i].name);
		CU_ASSERT_EQUAL(decoded[i].spent_bytes, budgets[i].spent_bytes);
		CU_ASSERT_EQUAL(decoded[i].forfeited_bytes, budgets[i].forfeited_bytes);
		CU_ASSERT_EQUAL_FATAL(decoded[i].n_windows, budgets[i].n_windows);
		for (uint32_t k = 0; k < decoded[i].n_windows; k++) {
			CU_ASSERT_EQUAL(memcmp(decoded[i].windows[k], budgets[i].windows[k],
			                       sizeof(struct weir_window)),
			                0);
			free(decoded[i].windows[k]);
		}
	}
	/* Empty ones, and the wrong slot. */
	state.n_budgets = 0;
	bytes = weir_ledger_encode_state(&key, &state, NULL, data);
	CU_ASSERT_EQUAL(weir_ledger_check(data, bytes, WEIR_LEDGER_STATE, 1, &key, &found), 0);
	CU_ASSERT_EQUAL(weir_ledger_check(data, bytes, WEIR_LEDGER_STATE, 0, &key, &found),
	                WEIR_LEDGER_BAD_SEQUENCE);
	CU_ASSERT_EQUAL(weir_ledger_check(data, bytes, WEIR_LEDGER_GRANTS, 1, &key, &found),
	                WEIR_LEDGER_BAD_KIND);
}

/* Puts the right checksum on whatever the record says. */
static void
sum_again(uint8_t *record)
{
	size_t length = number(record + 24, 4);

	if (length >= 256 && length <= sizeof(data))
		sum_of(record, 224, "weir-ledger-sum2", NULL, record + 224);
}

/* The same, and the right MAC: what only somebody with the key can do. */
static void
seal_again(uint8_t *record, const struct weir_ledger_key *with)
{
	size_t length = number(record + 24, 4);

	if (length >= 256 && length <= sizeof(data))
		sum_of(record, 192, "weir-ledger-mac2", with->key, record + 192);
	sum_again(record);
}

/* What a changed bit, whose record has the right checksum again, is taken for without the key. */
static enum weir_ledger_verdict
expected_verdict(size_t byte)
{
	if (byte < 8)
		return WEIR_LEDGER_NO_MAGIC;
	if (byte < 12 || (byte >= 28 && byte < 32))
		return WEIR_LEDGER_UNKNOWN;
	if (byte >= 32 && byte < 48)
		return WEIR_LEDGER_FOREIGN_IDENTITY;
	if (byte >= 48 && byte < 64)
		return WEIR_LEDGER_FOREIGN_KEY;
	return WEIR_LEDGER_BAD_MAC;
}

/*
 * Any changed bit of a record is seen, with its checksum set right as well; bits behind it mean
 * nothing.
 */
static void
test_every_bit(void)
{
	struct weir_ledger_header state, granted, found;

	make(&state, &granted);
	for (uint32_t kind = 1; kind <= 2; kind++) {
		size_t bytes = kind == WEIR_LEDGER_STATE
		                   ? weir_ledger_encode_state(&key, &state, budgets, data)
		                   : weir_ledger_encode_grants(&key, &granted, grants, data);
		size_t length = number(data + 24, 4);
		uint32_t parity = kind == WEIR_LEDGER_STATE;

		for (size_t bit = 0; bit < 8 * bytes; bit++) {
			enum weir_ledger_verdict verdict;

			memcpy(other, data, bytes);
			other[bit / 8] ^= (uint8_t)(1U << bit % 8);
			verdict = weir_ledger_check(other, bytes, kind, parity, &key, &found);
			CU_ASSERT_EQUAL(verdict == WEIR_LEDGER_VALID, bit >= 8 * length);
			if (bit / 8 >= 32 && bit < 8 * length)
				CU_ASSERT_EQUAL(verdict, WEIR_LEDGER_BAD_CHECKSUM);
			/* The length says what is summed; the checksum's own bits are set right. */
			if (bit >= 8 * length || bit / 8 / 4 == 6 ||
			    (bit / 8 >= 224 && bit / 8 < 256))
				continue;
			sum_again(other);
			verdict = weir_ledger_check(other, bytes, kind, parity, &key, &found);
			CU_ASSERT_EQUAL(verdict, expected_verdict(bit / 8));
		}
		for (size_t room = 0; room < length; room++)
			CU_ASSERT_NOT_EQUAL(
			    weir_ledger_check(data, room, kind, parity, &key, &found), 0);
	}
}

/* Whose a whole record is; without a key, nobody asks. */
static void
test_origin(void)
{
	struct weir_ledger_header state, granted, found;
	struct weir_ledger_key wrong;

	make(&state, &granted);
	(void)weir_ledger_encode_grants(&key, &granted, grants, data);
	weir_ledger_key_make("box-2", &wrong);
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0, &wrong, &found),
	                WEIR_LEDGER_FOREIGN_IDENTITY);
	CU_ASSERT_STRING_EQUAL(found.stamp.appliance, "box-1");
	memcpy(wrong.identity, key.identity, sizeof(key.identity));
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0, &wrong, &found),
	                WEIR_LEDGER_FOREIGN_KEY);
	memcpy(wrong.id, key.id, sizeof(key.id));
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0, &wrong, &found),
	                WEIR_LEDGER_BAD_MAC);
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0, NULL, &found), 0);
	/* Forged in the other slot, as the other kind: forged all the same. */
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_STATE, 1, &wrong, &found),
	                WEIR_LEDGER_BAD_MAC);
	/* What a stranger wrote is fit to print. */
	memset(data + 64, '\n', 48);
	data[64] = 'x';
	data[66] = 0xe4;
	sum_again(data);
	CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0, &key, &found),
	                WEIR_LEDGER_BAD_MAC);
	CU_ASSERT_STRING_EQUAL(found.stamp.appliance,
	                       "x??????????????????????????????????????????????");
	/* The first version's record: its header of 128 bytes, whatever its sum. */
	memset(data, 0, sizeof(data));
	memcpy(data, "WEIRLDGR\1\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\200\0\0\0\1", 29);
	for (uint32_t with = 0; with < 2; with++)
		CU_ASSERT_EQUAL(weir_ledger_check(data, 4096, WEIR_LEDGER_GRANTS, 0,
		                                  with ? &key : NULL, &found),
		                WEIR_LEDGER_UNKNOWN);
}

static void
put(size_t offset, uint64_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		other[offset + i] = (uint8_t)(value >> (8 * i));
}

/* Contents that no ledger writes are refused even with a right checksum and MAC. */
static void
test_impossible_contents(void)
{
	static const struct {
		uint32_t kind;
		size_t offset;
		uint64_t value;
		uint32_t bytes;
		enum weir_ledger_verdict verdict;
	} cases[] = {
	    {2, 8, 1, 4, WEIR_LEDGER_UNKNOWN},
	    {2, 8, 3, 4, WEIR_LEDGER_UNKNOWN},
	    {2, 28, 0, 4, WEIR_LEDGER_UNKNOWN},
	    {2, 12, 1, 4, WEIR_LEDGER_BAD_KIND},
	    {2, 12, 3, 4, WEIR_LEDGER_BAD_KIND},
	    {2, 16, 0, 8, WEIR_LEDGER_BAD_SEQUENCE},
	    {2, 16, 1, 8, WEIR_LEDGER_BAD_SEQUENCE},
	    {2, 24, 255, 4, WEIR_LEDGER_BAD_LENGTH},
	    {2, 24, 377, 4, WEIR_LEDGER_BAD_LENGTH},
	    {2, 24, UINT32_MAX, 4, WEIR_LEDGER_BAD_LENGTH},
	    {2, 64, 0, 8, WEIR_LEDGER_BAD_CONTENTS}, /* no name of the appliance */
	    {2, 65, 0, 1, WEIR_LEDGER_BAD_CONTENTS}, /* not zero behind it */
	    {2, 66, 0x7f, 1, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 66, '\n', 1, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 111, 'x', 1, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 112, UINT64_C(1) << 63, 8, WEIR_LEDGER_BAD_CONTENTS}, /* would wrap */
	    {2, 120, UINT64_MAX, 8, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 128, 0, 8, WEIR_LEDGER_BAD_CONTENTS}, /* no STATE before it */
	    {2, 152, 3, 4, WEIR_LEDGER_BAD_CONTENTS}, /* kind of witness */
	    {2, 152, 0, 4, WEIR_LEDGER_BAD_CONTENTS}, /* none, but a value */
	    {2, 156, 4, 4, WEIR_LEDGER_BAD_LENGTH},
	    {2, 156, 4097, 4, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 156, UINT32_MAX, 4, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 160, 1, 1, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 191, 1, 1, WEIR_LEDGER_BAD_CONTENTS},
	    {2, 256 + 24, 1002, 8, WEIR_LEDGER_BAD_CONTENTS},      /* spent above grant */
	    {2, 256 + 24 + 16, 1000, 8, WEIR_LEDGER_BAD_CONTENTS}, /* bound below grant */
	    {1, 128, 0, 8, WEIR_LEDGER_VALID},                     /* no GRANTS before it */
	    {1, 156, 6, 4, WEIR_LEDGER_BAD_CONTENTS},
	    {1, 156, 4, 4, WEIR_LEDGER_BAD_LENGTH},
	    {1, 256, 0, 8, WEIR_LEDGER_BAD_CONTENTS},            /* no name */
	    {1, 256 + 3, 0x1b, 1, WEIR_LEDGER_BAD_CONTENTS},     /* not fit to print */
	    {1, 256 + 47, 'x', 1, WEIR_LEDGER_BAD_CONTENTS},     /* not zero behind it */
	    {1, 256 + 72 + 7, '0', 1, WEIR_LEDGER_BAD_CONTENTS}, /* two alike */
	    {1, 256 + 56, 9, 4, WEIR_LEDGER_BAD_CONTENTS},
	    {1, 256 + 56, UINT32_MAX, 4, WEIR_LEDGER_BAD_CONTENTS},
	    {1, 256 + 60, 1, 1, WEIR_LEDGER_BAD_CONTENTS},
	    {1, 256 + 64, UINT64_MAX, 8, WEIR_LEDGER_BAD_CONTENTS}, /* forfeited above spent */
	    {1, 256 + 144, 0, 8, WEIR_LEDGER_BAD_CONTENTS},         /* window_ns */
	    {1, 256 + 144 + 8, 5, 8, WEIR_LEDGER_BAD_CONTENTS},     /* slot_ns */
	    {1, 256 + 144 + 16, 8000, 8, WEIR_LEDGER_BAD_CONTENTS}, /* in the future */
	    {1, 256 + 144 + 24, UINT64_MAX, 8, WEIR_LEDGER_BAD_CONTENTS},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		struct weir_ledger_header state, granted, found;
		enum weir_ledger_verdict verdict;

		make(&state, &granted);
		memset(other, 0, sizeof(other));
		if (cases[i].kind == 1)
			(void)weir_ledger_encode_state(&key, &state, budgets, other);
		else
			(void)weir_ledger_encode_grants(&key, &granted, grants, other);
		put(cases[i].offset, cases[i].value, cases[i].bytes);
		seal_again(other, &key);
		verdict = weir_ledger_check(other, sizeof(other), cases[i].kind, cases[i].kind == 1,
		                            &key, &found);
		if (verdict != cases[i].verdict)
			printf("    case %zu: %s\n", i, weir_ledger_verdict_name(verdict));
		CU_ASSERT_EQUAL(verdict, cases[i].verdict);
	}
}

/* Random changes under a right checksum and MAC: no input crashes, and what is valid can be
 * decoded. */
static void
test_random_contents(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static struct weir_ledger_budget many[WEIR_BUDGETS_MAX];
	uint32_t valid = 0;

	for (uint32_t run = 0; run < 50000; run++) {
		struct weir_ledger_header state, granted, found;
		uint32_t kind = 1 + run % 2;

		make(&state, &granted);
		memset(other, 0, sizeof(other));
		if (kind == 1)
			(void)weir_ledger_encode_state(&key, &state, budgets, other);
		else
			(void)weir_ledger_encode_grants(&key, &granted, grants, other);
		for (uint64_t n = weir_random_between(&random, 1, 3); n > 0; n--)
			other[weir_random_below(&random,
			                        weir_random_one_in(&random, 2) ? 700 : 4096)] =
			    (uint8_t)weir_random_next(&random);
		memcpy(other + 32, key.identity, 16);
		memcpy(other + 48, key.id, 16);
		if (weir_random_one_in(&random, 20))
			weir_random_fill(&random, other + 12, 4000);
		seal_again(other, &key);
		if (weir_ledger_check(other, 4096 * weir_random_between(&random, 1, 16), kind,
		                      kind == 1, &key, &found) != WEIR_LEDGER_VALID)
			continue;
		valid++;
		if (kind == 2)
			continue;
		CU_ASSERT_EQUAL(weir_ledger_decode_state(other, &found, many), 0);
		for (uint32_t i = 0; i < found.n_budgets; i++)
			for (uint32_t k = 0; k < many[i].n_windows; k++) {
				CU_ASSERT(many[i].windows[k]->used_bytes <= many[i].spent_bytes);
				free(many[i].windows[k]);
			}
	}
	CU_ASSERT(valid > 1000);
}

/* The largest ledger there can be fits its slots. */
static void
test_largest(void)
{
	static struct weir_ledger_budget many[WEIR_BUDGETS_MAX];
	static struct weir_ledger_grant most[WEIR_BUDGETS_MAX];
	static struct weir_window shared[WEIR_CAPS_MAX];
	struct weir_ledger_header header = {.kind = WEIR_LEDGER_STATE,
	                                    .sequence = INT64_MAX,
	                                    .clock_ns = INT64_MAX,
	                                    .n_budgets = WEIR_BUDGETS_MAX},
	                          found;
	uint8_t *large = malloc(WEIR_LEDGER_STATE_ROOM);
	size_t bytes;

	set_stamp(&header.stamp);
	CU_ASSERT_PTR_NOT_NULL_FATAL(large);
	for (uint32_t k = 0; k < WEIR_CAPS_MAX; k++)
		weir_window_init(&shared[k], UINT64_MAX - k, INT64_MAX);
	for (uint32_t i = 0; i < WEIR_BUDGETS_MAX; i++) {
		memset(many[i].name, 'n', WEIR_NAME_SIZE - 1);
		snprintf(many[i].name + 40, 8, "%" PRIu32, i);
		many[i].spent_bytes = UINT64_MAX;
		many[i].n_windows = WEIR_CAPS_MAX;
		for (uint32_t k = 0; k < WEIR_CAPS_MAX; k++)
			many[i].windows[k] = &shared[k];
		most[i] = (struct weir_ledger_grant){UINT64_MAX, UINT64_MAX, UINT64_MAX};
	}
	bytes = weir_ledger_encode_state(&key, &header, many, large);
	CU_ASSERT(bytes <= WEIR_LEDGER_STATE_ROOM);
	CU_ASSERT_EQUAL(weir_ledger_check(large, bytes, WEIR_LEDGER_STATE, 1, &key, &found), 0);
	header.kind = WEIR_LEDGER_GRANTS;
	header.peer_sequence = INT64_MAX;
	bytes = weir_ledger_encode_grants(&key, &header, most, large);
	CU_ASSERT(bytes <= WEIR_LEDGER_GRANTS_ROOM);
	CU_ASSERT_EQUAL(weir_ledger_check(large, bytes, WEIR_LEDGER_GRANTS, 1, &key, &found), 0);
	free(large);
}

static const struct weir_test tests[] = {
    {"bytes as documented", test_bytes},
    {"what is written is read", test_round_trip},
    {"every bit counts", test_every_bit},
    {"whose it is", test_origin},
    {"impossible contents", test_impossible_contents},
    {"random contents", test_random_contents},
    {"the largest ledger", test_largest},
};

int
main(void)
{
	if (sodium_init() < 0)
		return 1;
	return weir_test_run("ledger_format", tests, WEIR_TEST_COUNT(tests));
}
