/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ledger that somebody has been at: forged, foreign, put back in part, or overwritten by what
 * should have been written long ago.
 */
#include "tests/unit/ledger_slots.h"

#include <sodium.h>

/* Puts the right checksum on a record of one block; the MAC takes the key. */
static void
sum_again(uint8_t *record)
{
	crypto_generichash_blake2b_state hash;
	uint32_t length = (uint32_t)record[24] | (uint32_t)record[25] << 8;

	if (length < 256 || length > 4096 || record[26] != 0 || record[27] != 0)
		return;
	(void)!crypto_generichash_blake2b_init_salt_personal(&hash, NULL, 0, 32, NULL,
	                                                     (const uint8_t *)"weir-ledger-sum2");
	(void)!crypto_generichash_blake2b_update(&hash, record, 224);
	(void)!crypto_generichash_blake2b_update(&hash, record + 256, length - 256);
	(void)!crypto_generichash_blake2b_final(&hash, record + 224, 32);
}

/* Each slot, newest or not, with the other one whole. */
static uint64_t
slot_of(uint32_t i)
{
	return weir_ledger_slot_offset(i < 2 ? WEIR_LEDGER_GRANTS : WEIR_LEDGER_STATE, i % 2);
}

static void
test_forged(void)
{
	struct weir_box *box = lived();
	uint8_t slot[4096], forged[4096];

	for (uint32_t i = 0; i < 4; i++) {
		weir_disk_sim_peek(box->disk, slot, sizeof(slot), slot_of(i));
		memcpy(forged, slot, sizeof(slot));
		/* Nothing spent any more, nothing granted; the name stays. */
		memset(forged + (i < 2 ? 256 : 256 + 48), 0, 8);
		sum_again(forged);
		weir_disk_sim_poke(box->disk, forged, sizeof(forged), slot_of(i));
		refuse(box, WEIR_REFUSAL_MAC, "MAC");
		/* Without setting the checksum right, it is a slot that was lost. */
		memcpy(forged + 224, slot + 224, 32);
		weir_disk_sim_poke(box->disk, forged, sizeof(forged), slot_of(i));
		if (weir_box_open(box) == 0) {
			MUST(weir_box_apply(box));
			CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
			weir_box_kill(box);
			weir_box_free(box);
			box = lived();
		} else {
			CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_LOST);
			weir_disk_sim_poke(box->disk, slot, sizeof(slot), slot_of(i));
		}
	}
	MUST(weir_box_open(box));
	weir_box_free(box);
}

/* Any change without the key: refused, or it costs; it never gives anything back. */
static void
test_any_forgery(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct weir_box *box = lived();
	uint32_t refused = 0, runs = 4000;

	for (uint32_t run = 0; run < runs; run++) {
		struct weir_disk_sim *whole = box->disk;
		uint64_t offset = slot_of((uint32_t)weir_random_below(&random, 4));
		uint8_t slot[4096];

		box->disk = weir_disk_sim_copy(whole, run);
		weir_disk_sim_peek(box->disk, slot, sizeof(slot), offset);
		for (uint64_t n = weir_random_between(&random, 1, 3); n > 0; n--)
			slot[weir_random_below(&random, 400)] ^=
			    (uint8_t)weir_random_between(&random, 1, 255);
		if (!weir_random_one_in(&random, 5))
			sum_again(slot);
		weir_disk_sim_poke(box->disk, slot, sizeof(slot), offset);
		if (weir_box_open(box) == 0) {
			MUST(weir_box_apply(box));
			CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
			weir_box_kill(box);
		} else {
			refused++;
		}
		weir_disk_sim_free(box->disk);
		box->disk = whole;
	}
	CU_ASSERT(refused > runs / 2);
	CU_ASSERT(refused < runs);
	weir_box_free(box);
}

/* A new ledger made with a key, in place of the box's. */
static void
replace(struct weir_box *box, const struct weir_ledger_key *key)
{
	weir_disk_sim_free(box->disk);
	box->disk = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, 1);
	MUST(weir_ledger_commission(weir_disk_sim_attach(box->disk), key, WEIR_WITNESS_NONE, 0,
	                            NULL, 0));
}

static void
test_foreign(void)
{
	struct weir_box *box = lived(), *other = lived();
	struct weir_ledger_key own = box->key, strange, same;
	uint8_t slot[4096], mine[4096];

	weir_ledger_key_make("elsewhere", &strange);
	/* The key of another appliance; that of another ledger of this one. */
	box->key = strange;
	refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "another appliance's: of elsewhere");
	box->key = other->key;
	refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "another ledger of box");
	/* Another key for this ledger, and a key file whose name was changed. */
	weir_ledger_key_make("box", &same);
	memcpy(same.identity, own.identity, sizeof(same.identity));
	box->key = same;
	refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "made with key");
	box->key = own;
	snprintf(box->key.appliance, sizeof(box->key.appliance), "elsewhere");
	refuse(box, WEIR_REFUSAL_KEY_BAD, "names appliance elsewhere");
	box->key = own;
	/* One slot of another ledger is enough, whichever it is. */
	for (uint32_t i = 0; i < 4; i++) {
		weir_disk_sim_peek(box->disk, mine, sizeof(mine), slot_of(i));
		weir_disk_sim_peek(other->disk, slot, sizeof(slot), slot_of(i));
		weir_disk_sim_poke(box->disk, slot, sizeof(slot), slot_of(i));
		refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "another ledger of box");
		weir_disk_sim_poke(box->disk, mine, sizeof(mine), slot_of(i));
	}
	MUST(weir_box_open(box));
	weir_box_kill(box);
	/* The ledger of another appliance; and its key with it. */
	replace(box, &strange);
	refuse(box, WEIR_REFUSAL_FOREIGN, "the ledger of another appliance: of elsewhere");
	box->key = strange;
	refuse(box, WEIR_REFUSAL_FOREIGN, "ledger and key are of appliance elsewhere");
	/* Made with another key, for the same identity and name: nobody but the key's holder. */
	replace(box, &same);
	box->key = own;
	refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "made with key");
	weir_box_free(box);
	weir_box_free(other);
}

/* A record of the first version in any slot: not this program's. */
static void
test_first_version(void)
{
	static const uint8_t first[32] = {'W', 'E', 'I', 'R', 'L', 'D', 'G', 'R', 1, 0, 0,
	                                  0,   2,   0,   0,   0,   2,   0,   0,   0, 0, 0,
	                                  0,   0,   128, 0,   0,   0,   1,   0,   0, 0};
	struct weir_box *box = lived();
	uint8_t slot[4096], old[4096] = {0};

	memcpy(old, first, sizeof(first));
	for (uint32_t i = 0; i < 4; i++) {
		weir_disk_sim_peek(box->disk, slot, sizeof(slot), slot_of(i));
		weir_disk_sim_poke(box->disk, old, sizeof(old), slot_of(i));
		refuse(box, WEIR_REFUSAL_VERSION, "version");
		weir_disk_sim_poke(box->disk, slot, sizeof(slot), slot_of(i));
	}
	weir_box_free(box);
}

/* Both GRANTS of an earlier time beside STATE of now: as much was granted as they don't tell. */
static void
test_grants_put_back(void)
{
	struct weir_box *box = one_cap(UINT64_C(1) << 40, 2 * S, 5000);
	uint8_t old[2][4096];

	flood(box, 0, 100);
	for (uint32_t i = 0; i < 2; i++)
		weir_disk_sim_peek(box->disk, old[i], sizeof(old[i]), slot_of(i));
	for (uint32_t i = 0; i < 3000; i++) {
		weir_box_tick(box, MS);
		weir_box_send(box, 0, 100000);
	}
	weir_box_kill(box);
	for (uint32_t i = 0; i < 2; i++)
		weir_disk_sim_poke(box->disk, old[i], sizeof(old[i]), slot_of(i));
	refuse(box, WEIR_REFUSAL_LOST, "grants record");
	weir_box_free(box);
}

/*
 * A write of an earlier life that hung in a queue and comes when nobody expects it any more, over
 * whatever is in its slot by then. kind: of the record. The next life applies its policy so many
 * times more, which writes STATE, and floods for so many ticks, which writes GRANTS.
 * True when the file is still taken.
 */
static bool
come_late(enum weir_ledger_kind kind, uint32_t applies, uint32_t ticks, bool other_names)
{
	struct weir_box *box = one_cap(UINT64_C(1) << 40, 0, 5000);
	struct weir_disk_sim *before;
	uint8_t late[4096], slot[4096];
	uint64_t offset, sent;
	bool taken;

	weir_box_add_budget(box, "first", 0);
	if (kind == WEIR_LEDGER_GRANTS) {
		MUST(weir_box_apply(box));
	}
	flood(box, 0, 5);
	before = weir_disk_sim_copy(box->disk, ticks);
	offset = older_slot(box, kind);
	weir_disk_sim_peek(box->disk, slot, sizeof(slot), offset);
	if (kind == WEIR_LEDGER_STATE) {
		MUST(weir_box_apply(box)); /* tells STATE the new name */
	} else {
		weir_box_tick(box, 0); /* at once, so that no clock tells */
	}
	weir_disk_sim_peek(box->disk, late, sizeof(late), offset);
	CU_ASSERT_NOT_EQUAL_FATAL(memcmp(late, slot, sizeof(late)), 0);
	/* It hangs, and the process is gone before it wrote any more. */
	weir_box_kill(box);
	weir_disk_sim_free(box->disk);
	box->disk = before;
	MUST(weir_box_open(box));
	if (other_names)
		snprintf(box->budgets[1].name, WEIR_NAME_SIZE, "second");
	MUST(weir_box_apply(box));
	for (uint32_t i = 0; i < applies; i++)
		MUST(weir_box_apply(box));
	for (uint32_t i = 0; i < ticks; i++) {
		weir_box_tick(box, 0);
		weir_box_send(box, 1, UINT64_C(1) << 40);
	}
	sent = box->sent_bytes[1];
	weir_box_kill(box);
	weir_disk_sim_poke(box->disk, late, sizeof(late), offset);
	taken = weir_box_open(box) == 0;
	if (taken) {
		MUST(weir_box_apply(box));
		CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
		CU_ASSERT(weir_box_budget(box, 1).charged_bytes >= sent);
		check(box);
	} else {
		CU_ASSERT(box->refusal == WEIR_REFUSAL_CONTRADICTION ||
		          box->refusal == WEIR_REFUSAL_LOST);
	}
	weir_box_free(box);
	return taken;
}

static void
test_late_write(void)
{
	uint32_t taken = 0, runs = 0;

	for (uint32_t applies = 0; applies < 4; applies++) {
		for (uint32_t ticks = 0; ticks < 7; ticks++) {
			for (uint32_t i = 0; i < 4; i++, runs++)
				taken += come_late(i < 2 ? WEIR_LEDGER_GRANTS : WEIR_LEDGER_STATE,
				                   applies, ticks, i % 2);
		}
	}
	CU_ASSERT(taken > 0 && taken < runs);
}

static const struct weir_test tests[] = {
    {"forged", test_forged},
    {"any change without the key", test_any_forgery},
    {"of others", test_foreign},
    {"of the first version", test_first_version},
    {"old grants put back", test_grants_put_back},
    {"a write that comes late", test_late_write},
};

int
main(void)
{
	if (sodium_init() < 0)
		return 1;
	return weir_test_run("ledger_forge", tests, WEIR_TEST_COUNT(tests));
}
