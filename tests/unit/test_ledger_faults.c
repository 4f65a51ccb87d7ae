/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger on a disk that fails, tears and garbles: what stops, what is refused, what is kept. */
#include "control/ledger_format.h"
#include "tests/unit/ledger_slots.h"

#include <string.h>

static void
test_disk_failures(void)
{
	static const int errors[] = {-EIO, -ENOSPC, -EROFS};

	for (uint64_t call = 0; call < 60; call++) {
		int error = errors[call % 3];
		struct weir_box *box = weir_box_new(weir_test_seed() + call);
		struct weir_ledger_status status;
		uint64_t sent, left;
		int rc;

		box->tuning.grant_min_bytes = 5000;
		weir_box_add_budget(box, "total", WEIR_ANY);
		weir_box_add_cap(box, 0, 300000, 0);
		weir_box_add_cap(box, 0, 200000, 2 * S);
		MUST(weir_box_open(box));
		weir_disk_sim_plan(box->disk, call, WEIR_FAULT_ERROR, error);
		rc = weir_box_apply(box);
		CU_ASSERT(rc == 0 || rc == error);
		for (uint32_t i = 0; i < 4000 && rc == 0; i++) {
			weir_box_tick(box, MS);
			weir_box_send(box, 0, 400);
		}
		weir_ledger_get_status(box->ledger, &status);
		CU_ASSERT_EQUAL(status.failed, weir_disk_sim_faulted(box->disk));
		CU_ASSERT_EQUAL(status.error, status.failed ? error : 0);
		if (status.failed) {
			/* Spends what is granted, then stops for good: no call reaches the disk. */
			uint64_t calls = weir_disk_sim_calls(box->disk);

			left = weir_box_budget(box, 0).granted_bytes - box->sent_bytes[0];
			sent = flood(box, 0, 5000);
			CU_ASSERT(sent <= left);
			CU_ASSERT_EQUAL(calls, weir_disk_sim_calls(box->disk));
			CU_ASSERT_EQUAL(atomic_load(&box->credit->budgets[0].state),
			                WEIR_CREDIT_CLOSED);
			CU_ASSERT_EQUAL(weir_box_apply(box), error);
		}
		check(box);
		if (call % 2 == 0)
			weir_box_power_cut(box);
		else
			CU_ASSERT_EQUAL(weir_box_finish(box), status.failed ? error : 0);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
		flood(box, 0, 10);
		check(box);
		weir_box_free(box);
	}
}

/* ---- refusals and recoveries at opening ---- */

static void
test_both_slots_corrupt(void)
{
	for (uint32_t run = 0; run < 20; run++) {
		enum weir_ledger_kind kind = run % 2 ? WEIR_LEDGER_STATE : WEIR_LEDGER_GRANTS;
		struct weir_box *box = lived();

		weir_disk_sim_garble(box->disk, weir_ledger_slot_offset(kind, 0) + 32, 96);
		weir_disk_sim_garble(box->disk, weir_ledger_slot_offset(kind, 1) + 32, 96);
		refuse(box, WEIR_REFUSAL_TORN, kind == WEIR_LEDGER_STATE ? "state" : "grants");
		weir_box_free(box);
	}
}

/*
 * The newest GRANTS was published, and the disk has garbled it: what it allowed may have been sent.
 * The older one alone must not give it back.
 */
static void
test_newest_grants_garbled(void)
{
	for (uint32_t run = 0; run < 200; run++) {
		struct weir_box *box = one_cap(10000000, 0, 5000);
		struct weir_random random = weir_random_make(weir_test_seed() + run);
		struct weir_ledger_status status;
		uint64_t sent;

		for (uint64_t i = weir_random_below(&random, 200); i > 0; i--) {
			weir_box_tick(box, MS);
			weir_box_send(box, 0, weir_random_below(&random, 20000));
		}
		flood(box, 0, 1); /* all that is published, spent */
		sent = box->sent_bytes[0];
		weir_box_kill(box);
		weir_disk_sim_garble(box->disk, newest_slot(box, WEIR_LEDGER_GRANTS) + 32, 96);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= sent);
		weir_ledger_get_status(box->ledger, &status);
		CU_ASSERT(status.slot_lost);
		flood(box, 0, 2000);
		CU_ASSERT(box->sent_bytes[0] > sent);
		check(box);
		/* Both slots are good again. */
		weir_box_kill(box);
		MUST(weir_box_open(box));
		weir_ledger_get_status(box->ledger, &status);
		CU_ASSERT(!status.slot_lost);
		weir_box_free(box);
	}
}

/* The same when a STATE tells of the lost GRANTS, and the next life is cut short. */
static void
test_lost_grants_then_cut(void)
{
	for (uint32_t lives = 1; lives < 5; lives++) {
		struct weir_box *box = one_cap(10000000, 32 * S, 5000);
		struct weir_ledger_status before, after;

		flood(box, 0, 10);
		weir_ledger_get_status(box->ledger, &before);
		for (uint32_t i = 0; i < 4; i++)
			weir_box_tick(box, S); /* a slot of the window passes: STATE */
		weir_ledger_get_status(box->ledger, &after);
		CU_ASSERT(after.syncs > before.syncs);
		weir_box_kill(box);
		weir_disk_sim_garble(box->disk, newest_slot(box, WEIR_LEDGER_GRANTS) + 32, 96);
		for (uint32_t i = 0; i < lives; i++) {
			MUST(weir_box_open(box));
			MUST(weir_box_apply(box));
			CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
			weir_box_power_cut(box);
		}
		MUST(weir_box_open(box));
		weir_box_free(box);
	}
}

/* A disk in front of the box's, one sector of which can't be read; others can be written to it. */
static struct {
	struct weir_disk disk, *behind;
	uint64_t bad[2]; /* offsets */
} unreadable;

static int
fail_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	(void)disk;
	for (uint32_t i = 0; i < 2; i++)
		if (offset <= unreadable.bad[i] && unreadable.bad[i] - offset < bytes)
			return -EIO;
	return unreadable.behind->ops->read(unreadable.behind, data, bytes, offset);
}

static int
pass_size(struct weir_disk *disk, uint64_t *bytes)
{
	(void)disk;
	return unreadable.behind->ops->size(unreadable.behind, bytes);
}

static void
pass_close(struct weir_disk *disk)
{
	(void)disk;
}

/* One slot that can't be read counts as a garbled one; both of a kind are refused. */
static void
test_unreadable(void)
{
	static const struct weir_disk_ops ops = {
	    .read = fail_read, .size = pass_size, .close = pass_close};
	struct weir_box *box = one_cap(1000000000, 3600 * S, 10000);
	uint64_t even = weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 0);
	uint64_t odd = weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 1);

	flood(box, 0, 50);
	weir_box_kill(box);
	unreadable.disk.ops = &ops;
	unreadable.behind = weir_disk_sim_attach(box->disk);
	box->instead = &unreadable.disk;
	for (uint32_t i = 0; i < 2; i++) {
		unreadable.bad[0] = unreadable.bad[1] = i == 0 ? even : odd;
		MUST(weir_box_open(box));
		CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
		weir_box_kill(box);
	}
	unreadable.bad[0] = even;
	CU_ASSERT_EQUAL(weir_box_open(box), -EBADMSG);
	CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_UNREADABLE);
	weir_box_free(box);
}

/*
 * The newest GRANTS can't be read at one start, which is cut after its STATE, and can be read again
 * at the next: what that STATE charged, by the bounds of the GRANTS before, holds.
 */
static void
test_readable_again(void)
{
	for (uint32_t run = 1; run < 20; run++) {
		struct weir_box *box = weir_box_new(weir_test_seed() + run);
		uint8_t kept[WEIR_LEDGER_BLOCK_BYTES];
		struct weir_ledger_status before, after;
		uint64_t newest, charged;

		box->tuning.grant_min_bytes = 5000;
		box->tuning.grant_max_bytes = 1000000;
		weir_box_add_budget(box, "total", WEIR_ANY);
		weir_box_add_cap(box, 0, UINT64_C(1) << 40, 0);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		/* Much is granted ahead, then little: the bounds fall. */
		flood(box, 0, 10);
		weir_ledger_get_status(box->ledger, &before);
		do {
			weir_box_tick(box, MS);
			weir_box_send(box, 0, 1000 * run);
			weir_ledger_get_status(box->ledger, &after);
		} while (after.sequence < before.sequence + 2);
		weir_box_kill(box);
		newest = newest_slot(box, WEIR_LEDGER_GRANTS);
		weir_disk_sim_peek(box->disk, kept, sizeof(kept), newest);
		weir_disk_sim_garble(box->disk, newest + 32, 96);
		MUST(weir_box_open(box));
		charged = weir_box_budget(box, 0).charged_bytes;
		weir_disk_sim_plan(box->disk, 6, WEIR_FAULT_POWER_CUT, 0); /* STATE is durable */
		CU_ASSERT_EQUAL(weir_box_apply(box), -EIO);
		weir_box_power_cut(box);
		weir_disk_sim_poke(box->disk, kept, sizeof(kept), newest);
		for (uint64_t call = 2; call < 13; call++) {
			MUST(weir_box_open(box));
			CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= charged);
			weir_disk_sim_plan(box->disk, call, WEIR_FAULT_POWER_CUT, 0);
			(void)!weir_box_apply(box);
			weir_box_power_cut(box);
		}
		weir_box_free(box);
	}
}

/*
 * A sync fails, and the next process reads from the cache what never reached the disk: then the
 * power goes at any of its calls.
 */
static void
test_believed_cache(void)
{
	for (uint64_t failed = 4; failed < 14; failed++) {
		for (uint64_t call = 0; call < 14; call++) {
			struct weir_box *box = one_cap(10000000, 8 * S, 5000);

			weir_box_kill(box);
			MUST(weir_box_open(box));
			weir_disk_sim_plan(box->disk, failed, WEIR_FAULT_ERROR, -EIO);
			(void)!weir_box_apply(box);
			for (uint32_t i = 0; i < 20; i++) {
				weir_box_tick(box, 200 * MS);
				weir_box_send(box, 0, 50000);
			}
			weir_box_kill(box);
			MUST(weir_box_open(box));
			weir_disk_sim_plan(box->disk, call, WEIR_FAULT_POWER_CUT, 0);
			(void)!weir_box_apply(box);
			weir_box_power_cut(box);
			MUST(weir_box_open(box));
			CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
			weir_box_free(box);
		}
	}
}

/* After a clean stop either GRANTS record says the same: exact even if one is garbled. */
static void
test_finished_garbled(void)
{
	for (uint32_t parity = 0; parity < 2; parity++) {
		struct weir_box *box = one_cap(10000000, 0, 5000);

		flood(box, 0, 3); /* far from the cap: bounds are above grants */
		MUST(weir_box_finish(box));
		weir_disk_sim_garble(box->disk,
		                     weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, parity) + 32, 96);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT_EQUAL(weir_box_budget(box, 0).charged_bytes, box->sent_bytes[0]);
		weir_box_free(box);
	}
}

static void
test_state_garbled(void)
{
	struct weir_box *box = lived();
	uint64_t newest = newest_slot(box, WEIR_LEDGER_STATE);
	uint64_t older = newest ^ weir_ledger_slot_offset(WEIR_LEDGER_STATE, 0) ^
	                 weir_ledger_slot_offset(WEIR_LEDGER_STATE, 1);

	/* The older one is a write that was cut off, as far as one can know. */
	weir_disk_sim_garble(box->disk, older + 32, 96);
	MUST(weir_box_open(box));
	CU_ASSERT_EQUAL(weir_box_apply(box), 0);
	for (uint32_t i = 0; i < 5; i++)
		weir_box_tick(box, MS);
	flood(box, 0, 1);
	weir_box_kill(box);
	/* The newest one was relied on. */
	weir_disk_sim_garble(box->disk, newest_slot(box, WEIR_LEDGER_STATE) + 32, 96);
	refuse(box, WEIR_REFUSAL_LOST, "state");
	weir_box_free(box);
}

static void
test_old_slot_put_back(void)
{
	struct weir_box *box = lived();
	uint64_t newest = newest_slot(box, WEIR_LEDGER_GRANTS);
	uint8_t old[4096];

	weir_disk_sim_peek(box->disk, old, sizeof(old), newest);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	flood(box, 0, 50);
	weir_box_kill(box);
	/* One slot of another time: records that are not consecutive. */
	weir_disk_sim_poke(box->disk, old, sizeof(old), newest);
	refuse(box, WEIR_REFUSAL_CONTRADICTION, "consecutive");
	weir_box_free(box);
}

static int
commission(struct weir_box *box)
{
	return weir_ledger_commission(weir_disk_sim_attach(box->disk), &box->key, WEIR_WITNESS_NONE,
	                              0, NULL, 0);
}

static void
test_other_refusals(void)
{
	struct weir_box *box = lived(), *other = lived();
	uint8_t slot[4096], three[4] = {3, 0, 0, 0};

	weir_disk_sim_resize(box->disk, WEIR_LEDGER_FILE_BYTES - 4096);
	refuse(box, WEIR_REFUSAL_SIZE, "bytes, expected");
	weir_disk_sim_resize(box->disk, 0);
	refuse(box, WEIR_REFUSAL_SIZE, "bytes, expected");
	weir_disk_sim_resize(box->disk, WEIR_LEDGER_FILE_BYTES);
	/* A later version, in the newest or the older slot. */
	weir_disk_sim_peek(box->disk, slot, sizeof(slot), 0);
	weir_disk_sim_poke(box->disk, three, 4, 8);
	refuse(box, WEIR_REFUSAL_VERSION, "version");
	weir_disk_sim_poke(box->disk, slot, sizeof(slot), 0);
	weir_disk_sim_poke(box->disk, three, 4,
	                   weir_ledger_slot_offset(WEIR_LEDGER_STATE, 1) + 28); /* algorithm */
	refuse(box, WEIR_REFUSAL_VERSION, "version");
	weir_box_free(box);
	/* Another ledger's grants. */
	box = lived();
	for (uint32_t parity = 0; parity < 2; parity++) {
		uint64_t offset = weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, parity);

		weir_disk_sim_peek(other->disk, slot, sizeof(slot), offset);
		weir_disk_sim_poke(box->disk, slot, sizeof(slot), offset);
	}
	refuse(box, WEIR_REFUSAL_KEY_FOREIGN, "another ledger of box");
	/* A ledger that was never commissioned, and one that was already. */
	CU_ASSERT_EQUAL(commission(box), -EEXIST);
	weir_disk_sim_free(box->disk);
	box->disk = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, 1);
	refuse(box, WEIR_REFUSAL_TORN, "blank");
	weir_disk_sim_resize(box->disk, 4096);
	CU_ASSERT_EQUAL(commission(box), -EINVAL);
	weir_box_free(box);
	weir_box_free(other);
}

/* Every way in which a GRANTS or STATE write can be cut at a sector: opens, and gives nothing back.
 */
static void
test_torn_everywhere(void)
{
	struct weir_box *box = one_cap(1000000000000, 0, 5000);
	static uint8_t before[16384], after[sizeof(before)];
	uint32_t torn = 0;

	/* Names enough for records of several blocks. */
	for (uint32_t i = 1; i < 8; i++)
		weir_box_add_budget(box, "x", 0);
	for (uint32_t round = 0; round < 45; round++) {
		for (uint32_t i = 1; i < 8; i++)
			snprintf(box->budgets[i].name, WEIR_NAME_SIZE, "%" PRIu32 " %" PRIu32,
			         round, i);
		MUST(weir_box_apply(box));
	}
	for (uint32_t i = 0; i < 12; i++) {
		uint64_t offset;
		uint64_t sent;

		flood(box, 5, 1);
		sent = box->sent_bytes[0];
		/* The next record goes where the older one is. */
		offset = newest_slot(box, WEIR_LEDGER_GRANTS) == 0
		             ? weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 1)
		             : 0;
		weir_disk_sim_peek(box->disk, before, sizeof(before), offset);
		weir_box_tick(box, MS);
		weir_disk_sim_peek(box->disk, after, sizeof(after), offset);
		CU_ASSERT_NOT_EQUAL_FATAL(memcmp(before, after, sizeof(after)), 0);
		for (size_t cut = 0; cut <= sizeof(after); cut += WEIR_SIM_SECTOR_BYTES) {
			for (uint32_t last = 0; last < 2; last++) {
				struct weir_disk_sim *whole = box->disk;
				struct weir_ledger_budget_status status;
				struct weir_box copy = *box;
				uint64_t part = last ? cut : 0;
				size_t bytes = last ? sizeof(after) - cut : cut;

				copy.disk = weir_disk_sim_copy(whole, i);
				copy.ledger = NULL;
				weir_disk_sim_poke(copy.disk, before, sizeof(before), offset);
				weir_disk_sim_poke(copy.disk, after + part, bytes, offset + part);
				MUST(weir_box_open(&copy));
				weir_ledger_get_budget(copy.ledger, box->ids[0], &status);
				CU_ASSERT(status.charged_bytes >= sent);
				CU_ASSERT(status.charged_bytes <= 1000000000000);
				weir_box_kill(&copy);
				weir_disk_sim_free(copy.disk);
				torn++;
			}
		}
	}
	CU_ASSERT(torn > 700);
	weir_box_free(box);
}

/* A name is not forgotten with its charge, even where the newest record of each kind is lost. */
static void
test_new_name_lost_twice(void)
{
	static const uint8_t garbage[WEIR_LEDGER_BLOCK_BYTES] = {1};
	struct weir_ledger_budget_status status;

	for (uint32_t ticks = 0; ticks < 6; ticks++) {
		struct weir_box *box = one_cap(UINT64_C(1) << 40, 2 * S, 5000);
		uint32_t fresh;

		flood(box, 0, 20);
		fresh = weir_box_add_budget(box, "fresh", 0);
		weir_box_add_cap(box, fresh, 1000000, 0);
		MUST(weir_box_apply(box));
		weir_box_send(box, fresh, 4000);
		for (uint32_t i = 0; i < ticks; i++) {
			weir_box_tick(box, MS);
			weir_box_send(box, fresh, 4000);
		}
		CU_ASSERT(box->sent_bytes[fresh] > 0);
		weir_box_kill(box);
		weir_disk_sim_poke(box->disk, garbage, sizeof(garbage),
		                   newest_slot(box, WEIR_LEDGER_GRANTS));
		weir_disk_sim_poke(box->disk, garbage, sizeof(garbage),
		                   newest_slot(box, WEIR_LEDGER_STATE));
		if (weir_box_open(box) == 0) {
			weir_ledger_get_budget(box->ledger, box->ids[fresh], &status);
			CU_ASSERT(status.charged_bytes >= box->sent_bytes[fresh]);
			weir_box_kill(box);
		} else {
			CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_LOST);
		}
		weir_box_free(box);
	}
}

static const struct weir_test tests[] = {
    {"errors of the disk", test_disk_failures},
    {"both slots corrupt", test_both_slots_corrupt},
    {"newest grants garbled", test_newest_grants_garbled},
    {"slots that can't be read", test_unreadable},
    {"a record that only a cache held", test_believed_cache},
    {"a slot that can be read again", test_readable_again},
    {"a lost GRANTS that STATE tells of, then a cut", test_lost_grants_then_cut},
    {"garbled after a clean stop", test_finished_garbled},
    {"state garbled", test_state_garbled},
    {"an old slot put back", test_old_slot_put_back},
    {"other refusals", test_other_refusals},
    {"a new name, and the newest of each kind lost", test_new_name_lost_twice},
    {"a record torn at every sector", test_torn_everywhere},
};

int
main(void)
{
	return weir_test_run("ledger_faults", tests, WEIR_TEST_COUNT(tests));
}
