/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk that says that it has written, and has not, or not that, or not there. */
#include "control/ledger_store.h"
#include "tests/unit/ledger_slots.h"

#define N_BUDGETS 600U /* for a STATE of more than one piece of reading back */

enum lie {
	LIE_NONE,
	LIE_LOST,    /* says so, and does nothing */
	LIE_CUT,     /* writes a part */
	LIE_GARBLED, /* writes something else */
	LIE_NEAR,    /* writes elsewhere in the slot */
	LIE_FAR,     /* writes to the other slot of the kind */
	LIE_STALE,   /* writes, but reads what was there before */
	LIE_DEAF,    /* writes, and then can't read */
	LIES,
};

/* Passes on what it is asked, but for one write. */
struct liar {
	struct weir_disk disk;
	struct weir_disk *inner;
	struct weir_random random;
	enum lie lie;
	uint64_t at_write; /* from 0 */
	uint64_t writes, reads;
	bool lied;
	uint64_t lie_offset, garbled_byte;
	size_t lie_bytes;
	uint8_t *old; /* what was there; aligned, of the largest slot */
	uint8_t *spoilt;
};

static int
liar_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	struct liar *liar = (struct liar *)disk;

	liar->reads++;
	if (liar->lied && liar->lie == LIE_DEAF)
		return -EIO;
	if (liar->lied && liar->lie == LIE_STALE && offset >= liar->lie_offset &&
	    offset + bytes <= liar->lie_offset + liar->lie_bytes) {
		memcpy(data, liar->old + (offset - liar->lie_offset), bytes);
		return 0;
	}
	return liar->inner->ops->read(liar->inner, data, bytes, offset);
}

/* Offset of the slot beside the one at offset, of the same kind. */
static uint64_t
beside(uint64_t offset)
{
	enum weir_ledger_kind kind = offset < weir_ledger_slot_offset(WEIR_LEDGER_STATE, 0)
	                                 ? WEIR_LEDGER_GRANTS
	                                 : WEIR_LEDGER_STATE;
	uint64_t even = weir_ledger_slot_offset(kind, 0), odd = weir_ledger_slot_offset(kind, 1);

	return offset == even ? odd : even;
}

static int
liar_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	struct liar *liar = (struct liar *)disk;
	uint64_t byte = weir_random_below(&liar->random, bytes);

	if (liar->writes++ != liar->at_write || liar->lie == LIE_NONE)
		return liar->inner->ops->write(liar->inner, data, bytes, offset);
	liar->lied = true;
	liar->lie_offset = offset;
	liar->lie_bytes = bytes;
	MUST(liar->inner->ops->read(liar->inner, liar->old, bytes, offset));
	memcpy(liar->spoilt, data, bytes);
	switch (liar->lie) {
	case LIE_LOST:
		return 0;
	case LIE_CUT: /* in the header, for a record may be no longer than a sector */
		memcpy(liar->spoilt + 128, liar->old + 128, bytes - 128);
		break;
	case LIE_GARBLED:
		liar->garbled_byte = byte;
		liar->spoilt[byte] ^= (uint8_t)(1U << weir_random_below(&liar->random, 8));
		break;
	case LIE_NEAR:
		offset += 4096;
		break;
	case LIE_FAR:
		offset = beside(offset);
		break;
	case LIE_NONE:
	case LIE_STALE:
	case LIE_DEAF:
	case LIES:
	default:
		break;
	}
	return liar->inner->ops->write(liar->inner, liar->spoilt, bytes, offset);
}

static int
liar_sync(struct weir_disk *disk)
{
	struct liar *liar = (struct liar *)disk;

	return liar->inner->ops->sync(liar->inner);
}

static int
liar_size(struct weir_disk *disk, uint64_t *bytes)
{
	struct liar *liar = (struct liar *)disk;

	return liar->inner->ops->size(liar->inner, bytes);
}

static void
liar_close(struct weir_disk *disk)
{
	(void)disk;
}

static const struct weir_disk_ops liar_ops = {
    .read = liar_read,
    .write = liar_write,
    .sync = liar_sync,
    .size = liar_size,
    .close = liar_close,
};

static void
make_liar(struct liar *liar, struct weir_disk *inner, enum lie lie, uint64_t at_write)
{
	*liar = (struct liar){
	    .disk.ops = &liar_ops,
	    .inner = inner,
	    .random = weir_random_make(weir_test_seed() + (uint64_t)lie * 1000 + at_write),
	    .lie = lie,
	    .at_write = at_write,
	    .old = aligned_alloc(4096, WEIR_LEDGER_STATE_ROOM),
	    .spoilt = aligned_alloc(4096, WEIR_LEDGER_STATE_ROOM),
	};
	CU_ASSERT_FATAL(liar->old != NULL && liar->spoilt != NULL);
}

static void
free_liar(struct liar *liar)
{
	free(liar->old);
	free(liar->spoilt);
}

/* A box on it: the lie is noticed before anything relies on that write, and stops all grants. */
static void
live_with(enum lie lie, uint64_t at_write)
{
	struct weir_box *box = weir_box_new(weir_test_seed() + at_write);
	struct weir_ledger_status status;
	struct liar liar;
	int rc;

	box->tuning.grant_min_bytes = 5000;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_cap(box, 0, UINT64_C(1) << 40, 2 * S);
	make_liar(&liar, weir_disk_sim_attach(box->disk), lie, at_write);
	box->instead = &liar.disk;
	MUST(weir_box_open(box));
	rc = weir_box_apply(box);
	for (uint32_t i = 0; i < 100 && rc == 0; i++) {
		weir_box_tick(box, 50 * MS);
		weir_box_send(box, 0, UINT64_C(1) << 40);
	}
	weir_ledger_get_status(box->ledger, &status);
	CU_ASSERT_EQUAL(status.failed, lie != LIE_NONE);
	CU_ASSERT_EQUAL(status.failed, liar.lied);
	CU_ASSERT_EQUAL(status.error, lie == LIE_NONE ? 0 : (lie == LIE_DEAF ? -EIO : -EBADMSG));
	if (status.failed) {
		CU_ASSERT_EQUAL(liar.writes, at_write + 1); /* the last one */
		CU_ASSERT_EQUAL(flood(box, 0, 100), 0);
		CU_ASSERT_EQUAL(liar.writes, at_write + 1);
	}
	check(box);
	weir_box_kill(box);
	box->instead = NULL;
	/* With the disk mended: nothing is given back. */
	if (weir_box_open(box) == 0) {
		MUST(weir_box_apply(box));
		CU_ASSERT(weir_box_budget(box, 0).charged_bytes >= box->sent_bytes[0]);
		check(box);
	} else if (lie == LIE_GARBLED) {
		/* A slot that says it is of another version or algorithm is not passed over. */
		CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_VERSION);
		CU_ASSERT(liar.garbled_byte / 4 == 2 || liar.garbled_byte / 4 == 7);
	} else {
		CU_ASSERT_EQUAL(lie, LIE_FAR); /* it may have spoilt what is needed */
	}
	weir_box_free(box);
	free_liar(&liar);
}

static void
test_lies(void)
{
	live_with(LIE_NONE, 0);
	for (enum lie lie = LIE_NONE + 1; lie < LIES; lie++)
		/* A start first writes two records again as they are: there a lie may change
		 * nothing. */
		for (uint64_t at_write = 2; at_write < 14; at_write++)
			live_with(lie, at_write);
}

/* One bit in any block of a large record. */
static void
test_large_record(void)
{
	static struct weir_ledger_budget budgets[N_BUDGETS];
	struct weir_disk_sim *sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, 1);
	struct weir_window window;
	struct weir_ledger_key key;
	uint64_t sequence = 0;
	uint32_t lies = 0;

	weir_ledger_key_make("box", &key);
	MUST(
	    weir_ledger_commission(weir_disk_sim_attach(sim), &key, WEIR_WITNESS_NONE, 0, NULL, 0));
	weir_window_init(&window, S, 0);
	for (uint32_t i = 0; i < N_BUDGETS; i++) {
		snprintf(budgets[i].name, WEIR_NAME_SIZE, "budget-%" PRIu32, i);
		budgets[i].n_windows = 1;
		budgets[i].windows[0] = &window;
	}
	for (uint32_t run = 0; run < 100; run++) {
		struct weir_ledger_store store;
		struct liar liar;
		uint64_t reads;
		int rc;

		make_liar(&liar, weir_disk_sim_attach(sim), run % 3 ? LIE_GARBLED : LIE_NONE, 0);
		liar.random = weir_random_make(weir_test_seed() + run);
		MUST(weir_ledger_store_init(&store, &liar.disk, &key));
		memcpy(store.stamp.identity, key.identity, sizeof(key.identity));
		memcpy(store.stamp.key_id, key.id, sizeof(key.id));
		memcpy(store.stamp.appliance, key.appliance, sizeof(key.appliance));
		store.state_sequence = sequence;
		MUST(
		    weir_ledger_store_reserve(&store, weir_ledger_state_bytes(budgets, N_BUDGETS)));
		rc = weir_ledger_store_write_state(&store, 1, budgets, N_BUDGETS);
		CU_ASSERT_EQUAL(rc, liar.lied ? -EBADMSG : 0);
		CU_ASSERT_EQUAL(store.read_backs, liar.lied);
		CU_ASSERT_EQUAL(store.state_sequence, sequence + !liar.lied);
		CU_ASSERT_EQUAL(store.syncs, !liar.lied);
		if (!liar.lied) {
			/* All of it, in pieces of at most 128 KiB. */
			CU_ASSERT_EQUAL(liar.reads, 3);
			sequence++;
		}
		lies += liar.lied;
		/* Once and for all. */
		reads = liar.reads;
		rc = weir_ledger_store_write_grants(&store, 1, NULL, 0);
		CU_ASSERT_EQUAL(rc, liar.lied ? -EBADMSG : 0);
		CU_ASSERT_EQUAL(liar.writes, liar.lied ? 1 : 2);
		CU_ASSERT_EQUAL(liar.reads, liar.lied ? reads : reads + 1);
		weir_ledger_store_free(&store);
		free_liar(&liar);
	}
	CU_ASSERT(lies > 50);
	weir_disk_sim_free(sim);
}

static const struct weir_test tests[] = {
    {"every lie is noticed", test_lies},
    {"in any block of a large record", test_large_record},
};

int
main(void)
{
	return weir_test_run("ledger_lies", tests, WEIR_TEST_COUNT(tests));
}
