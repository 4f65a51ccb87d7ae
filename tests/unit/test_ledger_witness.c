/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger and its witness: an older copy of the disk is refused, or hides no more than the
 * limit; what an honest box does is never refused.
 */
#include "tests/unit/ledger_box.h"

#include <string.h>

#define EVERY  UINT64_C(100000)
#define SEEDS  300U
#define COPIES 12U

static struct weir_witness_sim witness;
static uint32_t accepted, refused; /* copies that were put back */

/* A box with a witness and one budget without a cap that matters, switched off. */
static struct weir_box *
make_box(uint64_t seed)
{
	struct weir_box *box;

	weir_witness_sim_init(&witness, 41);
	box = weir_box_new_witnessed(seed, &witness);
	box->witness_every_bytes = EVERY;
	box->witness_interval_ns = 3600 * S;
	box->tuning.grant_min_bytes = 10000;
	box->tuning.grant_max_bytes = 20000;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_cap(box, 0, UINT64_C(1) << 50, 0);
	return box;
}

static struct weir_ledger_status
status_of(const struct weir_box *box)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(box->ledger, &status);
	return status;
}

static void
start(struct weir_box *box)
{
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
}

static void
test_advances(void)
{
	struct weir_box *box = make_box(1);
	uint64_t sent;

	start(box);
	CU_ASSERT_EQUAL(witness.value, 43); /* at the start */
	sent = flood(box, 0, 1000);
	/* Every EVERY bytes of grants, of which at most grant_max are not yet spent. */
	CU_ASSERT(witness.value - 43 >= sent / (EVERY + 2 * box->tuning.grant_max_bytes));
	CU_ASSERT(witness.value - 43 <= (sent + box->tuning.grant_max_bytes) / EVERY);
	CU_ASSERT(sent > 10 * EVERY);
	check(box);
	sent = witness.value;
	MUST(weir_box_finish(box));
	CU_ASSERT_EQUAL(witness.value, sent + 1);
	weir_box_free(box);
}

static void
test_interval(void)
{
	struct weir_box *box = make_box(2);

	start(box);
	for (uint32_t i = 0; i < 3600 * 3 / 2; i++)
		weir_box_tick(box, S);
	CU_ASSERT_EQUAL(witness.value, 44); /* 1.5 h: once */
	for (uint32_t i = 0; i < 3600; i++)
		weir_box_tick(box, S);
	CU_ASSERT_EQUAL(witness.value, 45);
	weir_box_free(box);
}

static void
test_stuck(void)
{
	struct weir_box *box = make_box(3);
	uint64_t sent, base;

	start(box);
	base = box->sent_bytes[0];
	witness.hangs = true;
	sent = flood(box, 0, 1000);
	/* Stops at the limit, counted from the first record with the confirmed value. */
	CU_ASSERT(sent <= 2 * EVERY + box->tuning.grant_min_bytes);
	CU_ASSERT(sent > EVERY);
	CU_ASSERT_EQUAL(flood(box, 0, 100), 0);
	CU_ASSERT_EQUAL(status_of(box).witness_left_bytes, 0);
	CU_ASSERT_FALSE(status_of(box).failed);
	CU_ASSERT_EQUAL(status_of(box).witness_error, 0);
	for (uint32_t i = 0; i < 10; i++)
		weir_box_tick(box, S);
	CU_ASSERT_EQUAL(status_of(box).witness_error, -ETIMEDOUT); /* and is told */
	witness.hangs = false;
	CU_ASSERT(flood(box, 0, 1000) > 2 * EVERY);
	CU_ASSERT_EQUAL(status_of(box).witness_error, 0);
	CU_ASSERT(base == 0);
	weir_box_free(box);
}

static void
test_fails_and_recovers(void)
{
	struct weir_box *box = make_box(4);
	struct weir_ledger_status status;
	uint64_t sent;

	start(box);
	witness.error = -EIO;
	witness.error_after = true; /* it has moved, but the answer was lost */
	sent = flood(box, 0, 1000);
	CU_ASSERT(sent <= 2 * EVERY + box->tuning.grant_min_bytes);
	status = status_of(box);
	CU_ASSERT_EQUAL(status.witness_error, -EIO);
	CU_ASSERT_EQUAL(status.witness_failures, 1);
	CU_ASSERT_EQUAL(status.witness_value, 43);
	CU_ASSERT_EQUAL(witness.value, 44);
	witness.error = 0;
	weir_box_tick(box, WEIR_WITNESS_RETRY_NS / 2 < 2 * S ? WEIR_WITNESS_RETRY_NS / 2 : 2 * S);
	CU_ASSERT_EQUAL(status_of(box).witness_value, 43); /* not yet */
	for (uint32_t i = 0; i < 12; i++)
		weir_box_tick(box, S);
	status = status_of(box);
	CU_ASSERT_EQUAL(status.witness_error, 0);
	CU_ASSERT(status.witness_value >= 43);
	CU_ASSERT(flood(box, 0, 1000) > 2 * EVERY);
	weir_box_free(box);
}

static void
test_start_needs_it(void)
{
	struct weir_box *box = make_box(5);

	witness.error = -EIO;
	MUST(weir_box_open(box));
	CU_ASSERT_EQUAL(weir_box_apply(box), -EREMOTEIO);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 1000000), 0);
	weir_box_kill(box);
	/* The records bear the next value already: no reason to refuse. */
	witness.error = 0;
	start(box);
	CU_ASSERT_EQUAL(witness.value, 43); /* the next value had been used already */
	weir_box_free(box);
}

/* STATE, too, may bear the next value when the power goes before the witness has moved. */
static void
test_cut_before_it_moved(void)
{
	struct weir_box *box = make_box(8);

	weir_box_add_cap(box, 0, UINT64_C(1) << 40, 64 * S);
	start(box);
	witness.hangs = true;
	flood(box, 0, 1000); /* asked for the next value, in vain */
	weir_box_tick(box, 2 * S);
	flood(box, 0, 1000); /* and STATE was written since */
	weir_box_power_cut(box);
	for (uint32_t i = 0; i < 4; i++) {
		witness.hangs = i % 2 == 0;
		MUST(weir_box_open(box));
		CU_ASSERT_EQUAL(weir_box_apply(box), witness.hangs ? -EREMOTEIO : 0);
		weir_box_power_cut(box);
	}
	weir_box_free(box);
}

static void
test_replaced(void)
{
	struct weir_box *box = make_box(6);

	start(box);
	flood(box, 0, 100);
	MUST(weir_box_finish(box));
	witness.value -= 2;
	CU_ASSERT_EQUAL(weir_box_open(box), -EBADMSG);
	CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_WITNESS_BEHIND);
	witness.value += 2;
	box->witness = NULL;
	CU_ASSERT_EQUAL(weir_box_open(box), -EBADMSG);
	CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_WITNESS_CHANGED);
	weir_box_free(box);
}

static void
test_old_copy(void)
{
	struct weir_box *box = make_box(7);
	struct weir_disk_sim *old, *newest;
	char expected[64];
	uint64_t value;

	start(box);
	flood(box, 0, 10);
	MUST(weir_box_finish(box));
	value = witness.value;
	old = weir_disk_sim_copy(box->disk, 1);
	start(box);
	flood(box, 0, 10);
	MUST(weir_box_finish(box));
	newest = box->disk;
	box->disk = old;
	CU_ASSERT_EQUAL(weir_box_open(box), -EBADMSG);
	CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_ROLLED_BACK);
	/* Two values behind, or more: at most three times the limit, or more. */
	CU_ASSERT(witness.value >= value + 2);
	snprintf(expected, sizeof(expected), "at most %" PRIu64 " bytes",
	         (witness.value - value + 1) * 2 * EVERY);
	CU_ASSERT_PTR_NOT_NULL(strstr(box->error, expected));
	box->disk = newest;
	start(box); /* as if nothing had been */
	weir_disk_sim_free(old);
	weir_box_free(box);
}

/* Puts an older disk back: refused, or it charges all that the budget at a position has sent. */
static void
must_give_nothing(struct weir_box *box, struct weir_disk_sim *old, uint32_t position)
{
	struct weir_disk_sim *newest = box->disk;
	struct weir_ledger_budget_status status;

	box->disk = old;
	if (weir_box_open(box) == 0) {
		weir_ledger_get_budget(box->ledger, box->ids[position], &status);
		CU_ASSERT(status.charged_bytes >= box->sent_bytes[position]);
		weir_box_kill(box);
	} else {
		CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_ROLLED_BACK);
	}
	box->disk = newest;
	weir_disk_sim_free(old);
}

/* The power goes, and the request that was under way is lost. */
static void
cut(struct weir_box *box)
{
	weir_box_power_cut(box);
	witness.hangs = false;
	(void)weir_witness_sim_attach(&witness, false);
}

/* What a life leaves when the witness fails at its end is not believed after the next one. */
static void
test_value_serves_one_life(void)
{
	for (uint32_t way = 0; way < 2; way++) {
		struct weir_box *box = make_box(9 + way);
		struct weir_disk_sim *old;

		start(box);
		if (way == 0) {
			flood(box, 0, 3);
			witness.error = -EIO;
			MUST(weir_box_finish(box));
			witness.error = 0;
		} else {
			witness.hangs = true;
			flood(box, 0, 1000);
			cut(box);
		}
		old = weir_disk_sim_copy(box->disk, 1);
		start(box);
		witness.hangs = true;
		CU_ASSERT(flood(box, 0, 1000) > EVERY);
		cut(box);
		must_give_nothing(box, old, 0);
		weir_box_free(box);
	}
}

/* A clean stop that the witness did not hear of, an older copy put back in between, and undone. */
static void
test_unheard_stop(void)
{
	struct weir_box *box = make_box(15);
	struct weir_disk_sim *running, *stopped;

	start(box);
	flood(box, 0, 3);
	running = weir_disk_sim_copy(box->disk, 1);
	witness.error = -EIO;
	MUST(weir_box_finish(box));
	witness.error = 0;
	stopped = box->disk; /* exact, and says the next value */
	box->disk = running;
	start(box);
	witness.hangs = true;
	CU_ASSERT(flood(box, 0, 1000) > EVERY);
	cut(box);
	must_give_nothing(box, stopped, 0);
	weir_box_free(box);
}

/* A budget below the root can spend what the root was granted for its siblings. */
static void
test_siblings(void)
{
	struct weir_box *box = make_box(11);
	uint32_t a = weir_box_add_budget(box, "a", 0), b = weir_box_add_budget(box, "b", 0);
	struct weir_disk_sim *old;
	uint64_t value, sent;

	box->tuning.grant_max_bytes = 1000000;
	box->witness_every_bytes = 5000000;
	start(box);
	for (uint32_t i = 0; i < 400; i++) {
		weir_box_send(box, b, 300000);
		weir_box_tick(box, MS);
	}
	for (value = witness.value; witness.value == value;) {
		weir_box_send(box, b, 300000);
		weir_box_tick(box, MS);
	}
	old = weir_disk_sim_copy(box->disk, 1);
	witness.hangs = true;
	sent = flood(box, a, 2000);
	CU_ASSERT(sent > 2 * box->witness_every_bytes); /* the limit, and what was ahead */
	cut(box);
	must_give_nothing(box, old, a);
	weir_box_free(box);
}

/* A budget that an older copy does not know gets nothing before that copy is worthless. */
static void
test_new_budget_waits(void)
{
	for (uint32_t way = 0; way < 2; way++) {
		struct weir_box *box = make_box(12 + way);
		struct weir_disk_sim *old;
		uint32_t a;

		start(box);
		if (way == 1) { /* asked already, with records that do not know the name */
			witness.hangs = true;
			flood(box, 0, 100);
		}
		old = weir_disk_sim_copy(box->disk, 1);
		witness.hangs = true;
		a = weir_box_add_budget(box, "fresh", 0);
		weir_box_add_cap(box, a, 150000, 0);
		MUST(weir_box_apply(box));
		CU_ASSERT_EQUAL(flood(box, a, 1000), 0);
		witness.hangs = false;
		CU_ASSERT_EQUAL(flood(box, a, 1000), 150000);
		cut(box);
		must_give_nothing(box, old, a);
		weir_box_free(box);
	}
}

/* Starts that come to nothing cost nothing, if they end as they should. */
static void
test_failed_starts(void)
{
	struct weir_box *box = make_box(14);

	for (uint32_t i = 0; i < 10; i++) {
		witness.error = i % 2 == 0 ? -EIO : 0;
		MUST(weir_box_open(box));
		CU_ASSERT_EQUAL(weir_box_apply(box), witness.error == 0 ? 0 : -EREMOTEIO);
		CU_ASSERT_EQUAL(weir_box_budget(box, 0).charged_bytes, 0);
		MUST(weir_box_finish(box));
	}
	weir_box_free(box);
}

/*
 * Copies of the disk are taken at any time and one of them is put back: refused, or it charges all
 * that was sent since; and the refusal's figure is never too small.
 */
static void
put_back(struct weir_box *box, struct weir_disk_sim *const *copies, const uint64_t *charged,
         uint32_t n_copies, struct weir_random *random)
{
	struct weir_disk_sim *newest = box->disk;
	uint32_t i = weir_random_one_in(random, 2) ? n_copies - 1
	                                           : (uint32_t)weir_random_below(random, n_copies);
	uint64_t hidden = weir_sat_sub(box->sent_bytes[0], charged[i]), most;
	const char *figure;

	box->disk = copies[i];
	if (weir_box_open(box) == 0) {
		struct weir_ledger_budget_status status = weir_box_budget(box, 0);

		CU_ASSERT(status.charged_bytes >= box->sent_bytes[0]);
		CU_ASSERT(hidden <= 2 * EVERY);
		accepted++;
		weir_box_kill(box);
	} else {
		CU_ASSERT_EQUAL(box->refusal, WEIR_REFUSAL_ROLLED_BACK);
		figure = strstr(box->error, "at most ");
		CU_ASSERT_PTR_NOT_NULL_FATAL(figure);
		most = strtoull(figure + strlen("at most "), NULL, 10);
		CU_ASSERT(hidden <= most);
		refused++;
	}
	box->disk = newest;
}

static void
live(struct weir_box *box, struct weir_random *random, uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		weir_box_tick(box, weir_random_below(random, 5 * MS));
		weir_box_send(box, 0, weir_random_below(random, 30000));
		witness.looks_needed = (uint32_t)weir_random_below(random, 20);
		witness.hangs = weir_random_one_in(random, 10);
	}
	witness.hangs = false;
}

static void
test_rollback_seeds(void)
{
	for (uint32_t run = 0; run < SEEDS; run++) {
		uint64_t seed = weir_test_seed() + run;
		struct weir_random random = weir_random_make(seed);
		struct weir_box *box = make_box(seed);
		struct weir_disk_sim *copies[COPIES];
		uint64_t charged[COPIES];

		for (uint32_t i = 0; i < COPIES; i++) {
			start(box); /* never refused */
			live(box, &random, weir_random_below(&random, 40));
			copies[i] = weir_disk_sim_copy(box->disk, seed);
			charged[i] = weir_box_budget(box, 0).granted_bytes;
			live(box, &random, weir_random_below(&random, 15));
			if (weir_random_one_in(&random, 3)) {
				MUST(weir_box_finish(box));
			} else {
				weir_box_power_cut(box);
				(void)weir_witness_sim_attach(&witness,
				                              weir_random_one_in(&random, 2));
			}
			put_back(box, copies, charged, i + 1, &random);
			/* What a crash costs is bounded, too. */
			MUST(weir_box_open(box));
			CU_ASSERT(weir_box_budget(box, 0).forfeited_last_bytes <=
			          2 * EVERY + 3 * box->tuning.grant_max_bytes);
			weir_box_kill(box);
		}
		for (uint32_t i = 0; i < COPIES; i++)
			weir_disk_sim_free(copies[i]);
		weir_box_free(box);
	}
	CU_ASSERT(accepted > 0 && refused > 0);
}

static const struct weir_test tests[] = {
    {"advances at start, by bytes and at a clean stop", test_advances},
    {"advances by time", test_interval},
    {"one that hangs holds grants at the limit", test_stuck},
    {"one that fails is asked again, and a lost answer does no harm", test_fails_and_recovers},
    {"nothing leaves before it has confirmed a start", test_start_needs_it},
    {"the power goes before it has moved", test_cut_before_it_moved},
    {"one that was reset or left out is refused", test_replaced},
    {"an older copy is refused, with a figure", test_old_copy},
    {"one value serves one life", test_value_serves_one_life},
    {"a clean stop it did not hear of", test_unheard_stop},
    {"what the root was granted for siblings", test_siblings},
    {"a new budget waits for it", test_new_budget_waits},
    {"starts that fail cost nothing", test_failed_starts},
    {"an older copy gives nothing back", test_rollback_seeds},
};

int
main(void)
{
	return weir_test_run("ledger_witness", tests, WEIR_TEST_COUNT(tests));
}
