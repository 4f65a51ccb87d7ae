/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules that tie a ledger's records together, one by one: each slot is made as wanted. */
#include "control/ledger_recover.h"
#include "tests/unit/ledger_box.h"

#include <string.h>

#define GRANTED 1000U /* by GRANTS record s: 1000 x s; its bound is twice that */

/* One record as it is to be. sequence 0: the slot is lost. */
struct record {
	uint64_t sequence;
	uint64_t epoch;
	uint64_t peer;
	uint64_t clock_ns;
	uint32_t n_budgets;
	uint64_t witness_value; /* 0: no witness */
};

/* A file: GRANTS, the older one first, and STATE. */
struct file {
	struct record grants[2];
	struct record state[2];
};

/* What is good; each test changes something. */
static const struct file whole = {
    .grants = {{4, 3, 6, 50, 1, 0}, {5, 3, 6, 60, 1, 0}},
    .state = {{6, 3, 4, 40, 1, 0}, {7, 3, 4, 70, 1, 0}},
};

static const struct file witnessed = {
    .grants = {{4, 3, 6, 50, 1, 9}, {5, 3, 6, 60, 1, 9}},
    .state = {{6, 3, 4, 40, 1, 8}, {7, 3, 4, 70, 1, 9}},
};

static struct weir_ledger_key key;
static struct weir_disk_sim *sim;
static struct weir_ledger_budget budgets[WEIR_BUDGETS_MAX];
static struct weir_ledger_grant grants[WEIR_BUDGETS_MAX];
static struct weir_ledger_recovered found;
static _Alignas(4096) uint8_t block[4096];
static char error[512];

static struct weir_ledger_header
header_of(enum weir_ledger_kind kind, const struct record *record)
{
	struct weir_ledger_header header = {
	    .kind = kind,
	    .sequence = record->sequence,
	    .stamp.epoch = record->epoch,
	    .stamp.witness_kind =
	        record->witness_value != 0 ? WEIR_WITNESS_FILE : WEIR_WITNESS_NONE,
	    .stamp.witness_value = record->witness_value,
	    .stamp.witness_limit_bytes = record->witness_value != 0 ? 77 : 0,
	    .clock_ns = record->clock_ns,
	    .peer_sequence = record->peer,
	    .n_budgets = record->n_budgets,
	};

	memcpy(header.stamp.identity, key.identity, sizeof(key.identity));
	memcpy(header.stamp.key_id, key.id, sizeof(key.id));
	memcpy(header.stamp.appliance, key.appliance, sizeof(key.appliance));
	return header;
}

static void
put(const struct weir_ledger_header *header, uint64_t spent_bytes)
{
	struct weir_ledger_budget state[2] = {{.name = "total"}, {.name = "second"}};
	struct weir_ledger_grant record[2] = {{0}};

	state[0].spent_bytes = spent_bytes;
	record[0].grant_bytes = GRANTED * header->sequence;
	record[0].bound_bytes = 2 * GRANTED * header->sequence;
	if (header->kind == WEIR_LEDGER_STATE)
		(void)weir_ledger_encode_state(&key, header, state, block);
	else
		(void)weir_ledger_encode_grants(&key, header, record, block);
	weir_disk_sim_poke(sim, block, sizeof(block),
	                   weir_ledger_slot_offset(header->kind, header->sequence));
}

static void
make(const struct file *file)
{
	if (sim != NULL)
		weir_disk_sim_free(sim);
	sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, 1);
	for (uint32_t i = 0; i < 2; i++) {
		struct weir_ledger_header granted = header_of(WEIR_LEDGER_GRANTS, &file->grants[i]);
		struct weir_ledger_header state = header_of(WEIR_LEDGER_STATE, &file->state[i]);

		if (granted.sequence != 0)
			put(&granted, 0);
		if (state.sequence != 0)
			put(&state, 0);
	}
}

static enum weir_ledger_refusal
recover(const struct weir_ledger_key *with, const char *appliance)
{
	struct weir_ledger_store store;
	enum weir_ledger_refusal refusal;

	memset(budgets, 0, sizeof(budgets));
	memset(grants, 0, sizeof(grants));
	found = (struct weir_ledger_recovered){.budgets = budgets, .grants = grants};
	MUST(weir_ledger_store_init(&store, weir_disk_sim_attach(sim), with));
	refusal = weir_ledger_recover(&store, appliance, &found, error, sizeof(error));
	if (refusal == WEIR_REFUSAL_NONE) {
		CU_ASSERT_EQUAL(memcmp(&store.stamp, &found.stamp, sizeof(found.stamp)), 0);
	} else {
		CU_ASSERT_PTR_NULL(strchr(error, '\n'));
		CU_ASSERT_PTR_EQUAL(strstr(error, "ledger: "), error);
	}
	weir_ledger_store_free(&store);
	return refusal;
}

/* Expects that a file is taken, and what is charged. */
static void
take(const struct file *file, uint64_t charged_bytes)
{
	make(file);
	CU_ASSERT_EQUAL(recover(&key, "box"), WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(found.grants[0].grant_bytes, charged_bytes);
}

static void
refuse(const struct file *file, enum weir_ledger_refusal expected, const char *word)
{
	enum weir_ledger_refusal refusal;

	make(file);
	refusal = recover(&key, "box");
	CU_ASSERT_EQUAL(refusal, expected);
	if (refusal != expected || strstr(error, word) == NULL) {
		printf("    %s: %s\n", weir_ledger_refusal_name(refusal), error);
		CU_FAIL("refused for another reason");
	}
}

static void
test_whole(void)
{
	struct file file = whole;

	take(&file, 5000);
	CU_ASSERT_EQUAL(found.clock_ns, 70);
	CU_ASSERT_EQUAL(found.stamp.epoch, 3);
	CU_ASSERT_EQUAL(found.stamp.witness_value, 0);
	CU_ASSERT(!found.slot_lost);
	/* With a witness, all that could be granted until it would have to advance. */
	take(&witnessed, 10000);
	CU_ASSERT_EQUAL(found.stamp.witness_kind, WEIR_WITNESS_FILE);
	CU_ASSERT_EQUAL(found.stamp.witness_value, 9);
	CU_ASSERT_EQUAL(found.stamp.witness_limit_bytes, 77);
	CU_ASSERT(!found.slot_lost);
	/* One slot of each lost: the bounds, of whichever is there. */
	file.grants[0].sequence = 0;
	take(&file, 10000);
	CU_ASSERT(found.slot_lost);
	file = whole;
	file.grants[1].sequence = 0;
	take(&file, 8000);
	/* Lost as well: a record that is whole, but of the other slot. */
	make(&whole);
	weir_disk_sim_peek(sim, block, sizeof(block),
	                   weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 5));
	weir_disk_sim_poke(sim, block, sizeof(block),
	                   weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, 4));
	CU_ASSERT_EQUAL(recover(&key, "box"), WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(found.grants[0].grant_bytes, 10000);
	CU_ASSERT(found.slot_lost);
	file = whole;
	file.state[0].sequence = 0;
	take(&file, 5000);
	CU_ASSERT(found.slot_lost);
	file.state[1].sequence = 0;
	refuse(&file, WEIR_REFUSAL_TORN, "state");
	file = whole;
	file.grants[0].sequence = 0;
	file.grants[1].sequence = 0;
	refuse(&file, WEIR_REFUSAL_TORN, "grants");
}

static void
test_epochs(void)
{
	struct file file = whole;

	/* A start that was cut off between STATE and GRANTS, or whose GRANTS are gone. */
	file.state[1].epoch = 4;
	take(&file, 10000);
	CU_ASSERT_EQUAL(found.stamp.epoch, 4);
	CU_ASSERT(!found.slot_lost);
	/* Between its two GRANTS; or the second one was written over by one of an earlier life. */
	file.grants[1].epoch = 4;
	take(&file, 10000);
	/* Done: nothing is charged that was not granted. */
	file.grants[0].epoch = 4;
	take(&file, 5000);
	/* GRANTS of an epoch whose STATE is gone. */
	file.state[1].epoch = 3;
	refuse(&file, WEIR_REFUSAL_LOST, "epoch 3, expected 4");
	file.state[0].epoch = 4;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION,
	       "state: record 7 contradicts record 6: its epoch");
	file = whole;
	file.grants[0].epoch = 4;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION,
	       "grants: record 5 contradicts record 4: its epoch");
}

static void
test_peers(void)
{
	struct file file = whole;

	/* GRANTS must be as new as STATE says. */
	file.state[1].peer = 5;
	take(&file, 5000);
	file.state[1].peer = 6;
	refuse(&file, WEIR_REFUSAL_LOST, "grants record is 5, expected 6");
	file.grants[0].sequence = 0;
	take(&file, 10000); /* 6 was in the slot that is lost */
	file.state[1].peer = 7;
	refuse(&file, WEIR_REFUSAL_LOST, "grants record is 5, expected 7");
	/* STATE must be as new as GRANTS say. */
	file = whole;
	file.grants[1].peer = 7;
	take(&file, 5000);
	file.state[1].sequence = 0;
	refuse(&file, WEIR_REFUSAL_LOST, "state record is 6, expected 7");
	file = whole;
	file.grants[1].peer = 8;
	refuse(&file, WEIR_REFUSAL_LOST, "state record is 7, expected 8");
}

static void
test_pairs(void)
{
	struct file file = whole;

	file.grants[1].sequence = 7;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "records 4 and 7, expected consecutive");
	file = whole;
	file.state[0].sequence = 4;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "records 4 and 7, expected consecutive");
	file = whole;
	file.grants[0].clock_ns = 61;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "its clock is lower");
	file = whole;
	file.state[0].clock_ns = 71;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "its clock is lower");
	file = witnessed;
	file.grants[0].witness_value = 10;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "its witness value is lower");
	file = whole;
	file.grants[0].peer = 7;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "its peer is lower");
	file = whole;
	file.state[0].peer = 5;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "its peer is lower");
	file = whole;
	file.state[0].n_budgets = 2;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "number of budgets is lower");
	file = whole;
	file.grants[1].n_budgets = 2;
	refuse(&file, WEIR_REFUSAL_CONTRADICTION, "grants for 2 budgets, but state for 1");
}

/* What STATE has spent must be charged; what GRANTS grant must have been allowed. */
static void
test_amounts(void)
{
	struct weir_ledger_header state = header_of(WEIR_LEDGER_STATE, &whole.state[1]);
	struct weir_ledger_header granted = header_of(WEIR_LEDGER_GRANTS, &whole.grants[1]);
	struct weir_ledger_grant record = {.grant_bytes = 8001, .bound_bytes = 9000};

	make(&whole);
	put(&state, 5000);
	CU_ASSERT_EQUAL(recover(&key, "box"), WEIR_REFUSAL_NONE);
	put(&state, 5001);
	CU_ASSERT_EQUAL(recover(&key, "box"), WEIR_REFUSAL_CONTRADICTION);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "budget total: 5001 bytes spent, but only 5000"));
	make(&whole);
	(void)weir_ledger_encode_grants(&key, &granted, &record, block);
	weir_disk_sim_poke(sim, block, sizeof(block), weir_ledger_slot_offset(granted.kind, 5));
	CU_ASSERT_EQUAL(recover(&key, "box"), WEIR_REFUSAL_CONTRADICTION);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "grants more than that allowed"));
}

/* Whose the records are, with and without a key. */
static void
test_owners(void)
{
	struct weir_ledger_header header;
	struct weir_ledger_key own = key;

	make(&whole);
	CU_ASSERT_EQUAL(recover(&key, NULL), WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(recover(NULL, NULL), WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(recover(NULL, "box"), WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(found.grants[0].grant_bytes, 5000);
	CU_ASSERT_EQUAL(recover(&key, "policy"), WEIR_REFUSAL_FOREIGN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "ledger and key are of appliance box"));
	CU_ASSERT_EQUAL(recover(NULL, "policy"), WEIR_REFUSAL_FOREIGN);
	/* A record with something else in its stamp, by somebody who had the key. */
	for (uint32_t i = 0; i < 8; i++) {
		bool state = i % 2;

		make(&whole);
		header = state ? header_of(WEIR_LEDGER_STATE, &whole.state[1])
		               : header_of(WEIR_LEDGER_GRANTS, &whole.grants[1]);
		if (i / 2 == 0)
			header.stamp.witness_kind = WEIR_WITNESS_TPM; /* instead of none */
		else if (i / 2 == 1)
			header.stamp.appliance[0] = 'f';
		else if (i / 2 == 2)
			header.stamp.identity[3] ^= 1;
		else
			header.stamp.key_id[3] ^= 1;
		memcpy(key.identity, header.stamp.identity, sizeof(key.identity));
		memcpy(key.id, header.stamp.key_id, sizeof(key.id));
		put(&header, 0);
		key = own;
		CU_ASSERT_EQUAL(recover(NULL, NULL), WEIR_REFUSAL_CONTRADICTION);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "are of different ledgers"));
		CU_ASSERT_EQUAL(recover(&key, NULL),
		                i / 2 < 2 ? WEIR_REFUSAL_CONTRADICTION : WEIR_REFUSAL_KEY_FOREIGN);
	}
	/* All of GRANTS one way, all of STATE another. */
	make(&whole);
	for (uint32_t i = 0; i < 2; i++) {
		header = header_of(WEIR_LEDGER_STATE, &whole.state[i]);
		header.stamp.appliance[0] = 'f';
		put(&header, 0);
	}
	CU_ASSERT_EQUAL(recover(&key, NULL), WEIR_REFUSAL_CONTRADICTION);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "grants and state are of different ledgers"));
}

/* A ledger that begins with charges. */
static void
test_commissioned(void)
{
	struct weir_ledger_charge charges[3] = {{"total", 12000000000}, {"a", 7}, {"b", 0}};
	uint64_t bytes = UINT64_MAX;

	for (uint32_t n = 0; n <= 3; n++) {
		if (sim != NULL)
			weir_disk_sim_free(sim);
		sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, n);
		MUST(weir_ledger_commission(weir_disk_sim_attach(sim), &key, WEIR_WITNESS_TPM, 41,
		                            charges, n));
		CU_ASSERT_EQUAL_FATAL(recover(&key, "box"), WEIR_REFUSAL_NONE);
		CU_ASSERT_EQUAL(found.n_budgets, n);
		CU_ASSERT_EQUAL(found.stamp.epoch, 0);
		CU_ASSERT_EQUAL(found.stamp.witness_kind, WEIR_WITNESS_TPM);
		CU_ASSERT_EQUAL(found.stamp.witness_value, 41);
		CU_ASSERT(!found.slot_lost);
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT_STRING_EQUAL(budgets[i].name, charges[i].name);
			CU_ASSERT_EQUAL(budgets[i].spent_bytes, charges[i].bytes);
			CU_ASSERT_EQUAL(budgets[i].forfeited_bytes, 0);
			CU_ASSERT_EQUAL(grants[i].spent_bytes, charges[i].bytes);
			CU_ASSERT_EQUAL(grants[i].grant_bytes, charges[i].bytes);
			CU_ASSERT_EQUAL(grants[i].bound_bytes, charges[i].bytes);
		}
		CU_ASSERT_EQUAL(weir_ledger_commission(weir_disk_sim_attach(sim), &key,
		                                       WEIR_WITNESS_NONE, 0, NULL, 0),
		                -EEXIST);
	}
	weir_disk_sim_free(sim);
	sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, 1);
	/* Refused before a byte is written. */
	charges[2] = charges[1];
	CU_ASSERT_EQUAL(weir_ledger_commission(weir_disk_sim_attach(sim), &key, WEIR_WITNESS_NONE,
	                                       0, charges, 3),
	                -EINVAL);
	charges[0].name[0] = '\0';
	CU_ASSERT_EQUAL(weir_ledger_commission(weir_disk_sim_attach(sim), &key, WEIR_WITNESS_NONE,
	                                       0, charges, 1),
	                -EINVAL);
	CU_ASSERT_EQUAL(
	    weir_ledger_commission(weir_disk_sim_attach(sim), &key, WEIR_WITNESS_NONE, 1, NULL, 0),
	    -EINVAL);
	CU_ASSERT_EQUAL(weir_disk_sim_calls(sim), 0);
	MUST(weir_disk_sim_attach(sim)->ops->size(weir_disk_sim_attach(sim), &bytes));
	CU_ASSERT_EQUAL(bytes, WEIR_LEDGER_FILE_BYTES);
}

/* Every reason has a name of its own and something to say. */
static void
test_refusals(void)
{
	for (uint32_t i = 0; i < WEIR_REFUSALS; i++) {
		const char *name = weir_ledger_refusal_name(i);
		const char *advice = weir_ledger_refusal_advice(i);

		CU_ASSERT_PTR_NOT_NULL_FATAL(name);
		CU_ASSERT_PTR_NOT_NULL_FATAL(advice);
		CU_ASSERT_EQUAL(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (uint32_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(name, weir_ledger_refusal_name(k));
		CU_ASSERT(strlen(advice) > 0 && advice[strlen(advice) - 1] == '\n');
		for (const char *line = advice; *line != '\0'; line = strchr(line, '\n') + 1)
			CU_ASSERT(strcspn(line, "\n") > 0 && strcspn(line, "\n") <= 100);
	}
}

static const struct weir_test tests[] = {
    {"whole, and a slot lost", test_whole},
    {"epochs", test_epochs},
    {"peers", test_peers},
    {"two of a kind", test_pairs},
    {"amounts", test_amounts},
    {"owners", test_owners},
    {"commissioned with charges", test_commissioned},
    {"refusals have words", test_refusals},
};

int
main(void)
{
	int rc;

	weir_ledger_key_make("box", &key);
	rc = weir_test_run("ledger_recover", tests, WEIR_TEST_COUNT(tests));
	if (sim != NULL)
		weir_disk_sim_free(sim);
	return rc;
}
