/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger's rules: caps, grants, windows, policies. */
#include "tests/unit/ledger_box.h"

#include <string.h>

static void
test_lifetime_exact(void)
{
	struct weir_box *box = one_cap(10000000, 0, 100000);
	struct weir_ledger_budget_status status;

	CU_ASSERT_EQUAL(weir_box_send(box, 0, 100), 100); /* a start grants something */
	CU_ASSERT_EQUAL(flood(box, 0, 1000), 10000000 - 100);
	CU_ASSERT_EQUAL(flood(box, 0, 100000), 0);
	status = weir_box_budget(box, 0);
	CU_ASSERT_EQUAL(status.charged_bytes, 10000000);
	CU_ASSERT_EQUAL(status.granted_bytes, 10000000);
	CU_ASSERT_EQUAL(status.caps[0].used_bytes, 10000000);
	CU_ASSERT_EQUAL(status.caps[0].remaining_bytes, 0);
	CU_ASSERT_EQUAL(atomic_load(&box->credit->budgets[box->ids[0]].state), WEIR_CREDIT_AT_CAP);
	check(box);
	/* Neither a crash nor a clean stop gives a byte back. */
	weir_box_kill(box);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, 0, 1000), 0);
	MUST(weir_box_finish(box));
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, 0, 1000), 0);
	check(box);
	weir_box_free(box);
}

static void
test_whole_frames(void)
{
	struct weir_box *box = one_cap(10000000, 0, 50000);

	box->frame_bytes = 1542;
	CU_ASSERT_EQUAL(flood(box, 0, 2000), 10000000 - 10000000 % 1542);
	check(box);
	weir_box_free(box);
}

/* A clean stop gives the unspent part back, to the byte, however often. */
static void
test_finish_exact(void)
{
	struct weir_box *box = one_cap(1000000, 0, 200000);
	struct weir_ledger_status status;
	uint64_t sent = 0;

	for (uint32_t life = 0; life < 50; life++) {
		weir_box_tick(box, MS);
		weir_box_tick(box, MS);
		sent += weir_box_send(box, 0, 777 + life);
		MUST(weir_box_finish(box));
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT_EQUAL(weir_box_budget(box, 0).charged_bytes, sent);
		weir_ledger_get_status(box->ledger, &status);
		CU_ASSERT_EQUAL(status.forfeited_bytes, 0);
		CU_ASSERT(!status.slot_lost);
	}
	CU_ASSERT_EQUAL(sent, 50 * 777 + 49 * 25);
	CU_ASSERT_EQUAL(flood(box, 0, 1000), 1000000 - sent);
	check(box);
	weir_box_free(box);
}

/* A crash forfeits what was granted and not spent: counted, and at most the target ahead. */
static void
test_crash_forfeits(void)
{
	struct weir_box *box = one_cap(1000000, 0, 20000);
	struct weir_ledger_status status;
	uint64_t charged;

	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 5000), 5000);
	weir_box_kill(box);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	charged = weir_box_budget(box, 0).charged_bytes;
	CU_ASSERT(charged >= 5000 && charged <= 25000);
	weir_ledger_get_status(box->ledger, &status);
	CU_ASSERT(status.forfeited_bytes >= charged - 5000);
	CU_ASSERT(status.forfeited_bytes <= charged);
	CU_ASSERT_EQUAL(flood(box, 0, 1000), 1000000 - charged);
	check(box);
	weir_box_free(box);
}

static void
test_window_comes_back(void)
{
	struct weir_box *box = one_cap(640000, 64 * S, 10000);
	uint64_t begin;

	/* Status counts what was read, stamped or not. */
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 100), 100);
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[0].used_bytes, 100);
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[0].remaining_bytes, 639900);
	CU_ASSERT_EQUAL(flood(box, 0, 500), 639900);
	CU_ASSERT_EQUAL(flood(box, 0, 500), 0);
	begin = box->true_ns;
	while (weir_box_send(box, 0, 1) == 0 && box->true_ns - begin < 70 * S)
		weir_box_tick(box, 2 * MS);
	/* Back after W, and at most a slot and a little later. */
	CU_ASSERT(box->true_ns - box->sent[0][0].time_ns >= 64 * S);
	CU_ASSERT(box->true_ns - begin <= 66 * S);
	flood(box, 0, 200000);
	check(box);
	/* Over 200 s of flood, three windows full at least. */
	CU_ASSERT(box->sent_bytes[0] >= 4 * 640000);
	weir_box_free(box);
}

/* Time switched off or suspended gives nothing; time that passes while Weir runs is kept. */
static void
test_off_time(void)
{
	struct weir_box *box = one_cap(100000, DAY, 5000);

	flood(box, 0, 1000);
	CU_ASSERT_EQUAL(box->sent_bytes[0], 100000);
	for (uint32_t i = 0; i < 20; i++) {
		weir_box_kill(box);
		box->true_ns += DAY; /* off */
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT_EQUAL(flood(box, 0, 10), 0);
		weir_box_tick(box, 5 * DAY); /* suspended */
		CU_ASSERT_EQUAL(flood(box, 0, 10), 0);
	}
	/* Running: 1.1 days in steps of a second, with a crash now and then. */
	for (uint32_t i = 0; i < 95040; i++) {
		weir_box_tick(box, S);
		if (i % 9504 == 0) {
			weir_box_kill(box);
			MUST(weir_box_open(box));
			MUST(weir_box_apply(box));
		}
	}
	CU_ASSERT(weir_box_send(box, 0, 50000) == 50000 || flood(box, 0, 10) > 0);
	check(box);
	weir_box_free(box);
}

static void
test_time_backwards(void)
{
	struct weir_box *box = one_cap(1000, 10 * S, 1000);
	struct weir_ledger_status before, after;

	flood(box, 0, 100);
	weir_ledger_get_status(box->ledger, &before);
	for (uint32_t i = 0; i < 1000; i++) {
		weir_ledger_tick(box->ledger, 0);
		weir_ledger_tick(box->ledger, box->true_ns - box->boot_ns);
	}
	weir_ledger_get_status(box->ledger, &after);
	CU_ASSERT_EQUAL(before.clock_ns, after.clock_ns);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 1), 0);
	weir_box_free(box);
}

/* The parent's cap holds for all children together; a child's for itself. */
static void
test_tree(void)
{
	struct weir_box *box = one_cap(100000, 0, 3000);
	uint32_t a = weir_box_add_budget(box, "a", 0), b = weir_box_add_budget(box, "b", 0);

	weir_box_add_cap(box, a, 30000, 0);
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, a, 500), 30000);
	CU_ASSERT_EQUAL(flood(box, b, 500), 70000); /* no cap of its own */
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).charged_bytes, 100000);
	CU_ASSERT_EQUAL(weir_box_budget(box, b).charged_bytes, 70000);
	CU_ASSERT_EQUAL(weir_box_budget(box, b).n_caps, 0);
	check(box);
	weir_box_free(box);
}

static uint64_t
spendable(const struct weir_box *box, uint32_t id)
{
	return atomic_load(&box->credit->budgets[id].spendable_bytes);
}

static void
test_tighten_and_loosen(void)
{
	struct weir_box *box = one_cap(1000000, 0, 400000);

	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 100000), 100000);
	weir_credit_return(box->credit, 0, box->ids[0]);
	CU_ASSERT(spendable(box, box->ids[0]) >= 400000);
	/* In force when the call returns, although more is granted and durable. */
	box->budgets[0].caps[0].limit_bytes = 150000;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(spendable(box, box->ids[0]), 150000);
	CU_ASSERT_EQUAL(flood(box, 0, 100), 50000);
	/* Below what is gone already. */
	box->budgets[0].caps[0].limit_bytes = 1000;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, 0, 100), 0);
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[0].used_bytes, 150000);
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[0].remaining_bytes, 0);
	box->budgets[0].caps[0].limit_bytes = 200000;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, 0, 100), 50000);
	check(box);
	/* Before the disk is asked: it may take long, or fail. */
	box->budgets[0].caps[0].limit_bytes = 200500;
	MUST(weir_box_apply(box));
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(spendable(box, box->ids[0]), 200500);
	box->budgets[0].caps[0].limit_bytes = 200100;
	weir_disk_sim_plan(box->disk, weir_disk_sim_calls(box->disk), WEIR_FAULT_ERROR, -EIO);
	CU_ASSERT_EQUAL(weir_box_apply(box), -EIO);
	CU_ASSERT_EQUAL(spendable(box, box->ids[0]), 200100);
	weir_box_free(box);
}

/* Deleting, renaming and re-adding a budget gives nothing back. */
static void
test_names_are_kept(void)
{
	struct weir_box *box = one_cap(1000000, 0, 10000);
	uint32_t a = weir_box_add_budget(box, "a", 0), id;
	uint64_t gone;

	weir_box_add_cap(box, a, 50000, 0);
	MUST(weir_box_apply(box));
	id = box->ids[a];
	CU_ASSERT_EQUAL(flood(box, a, 100), 50000);
	/* Renamed: another budget, with an index of its own. */
	snprintf(box->budgets[a].name, WEIR_NAME_SIZE, "other");
	MUST(weir_box_apply(box));
	CU_ASSERT_NOT_EQUAL(box->ids[a], id);
	CU_ASSERT_EQUAL(atomic_load(&box->credit->budgets[id].state), WEIR_CREDIT_CLOSED);
	CU_ASSERT_EQUAL(spendable(box, id), 50000);
	flood(box, a, 10);
	/* Gone altogether, over a crash and a clean stop. */
	box->config.n_budgets = 1;
	MUST(weir_box_apply(box));
	weir_box_kill(box);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	MUST(weir_box_finish(box));
	MUST(weir_box_open(box));
	/* And back, under the old name, first in the file. */
	box->config.n_budgets = 2;
	snprintf(box->budgets[a].name, WEIR_NAME_SIZE, "a");
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(box->ids[a], id);
	CU_ASSERT_EQUAL_FATAL(flood(box, a, 100), 0);
	CU_ASSERT_EQUAL(weir_box_budget(box, a).charged_bytes, 50000);
	/* In one process as well: out, in; with a larger cap only the difference. */
	gone = weir_box_budget(box, a).charged_bytes;
	box->budgets[a].caps[0].limit_bytes = gone + 500;
	box->config.n_budgets = 1;
	MUST(weir_box_apply(box));
	weir_box_tick(box, MS);
	box->config.n_budgets = 2;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, a, 100), 500);
	weir_box_free(box);
}

/* A purse that was taken before its budget left the policy may still be spent: and is counted. */
static void
test_departed_purse(void)
{
	struct weir_box *box = one_cap(1000000, 0, 10000);
	uint32_t a = weir_box_add_budget(box, "a", 0);

	MUST(weir_box_apply(box));
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, a, 100), 100);
	box->config.n_budgets = 1;
	MUST(weir_box_apply(box));
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, a, 200), 200); /* from the purse */
	weir_box_tick(box, MS);
	MUST(weir_box_finish(box));
	box->config.n_budgets = 2;
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(weir_box_budget(box, a).charged_bytes, 300);
	weir_box_free(box);
}

static void
test_new_window(void)
{
	struct weir_box *box = one_cap(10000000, 0, 10000);

	flood(box, 0, 3);
	weir_box_tick(box, MS);
	weir_box_tick(box, MS);
	CU_ASSERT(box->sent_bytes[0] > 20000);
	/* No window knew when it was: all counts as spent now. */
	weir_box_add_cap(box, 0, box->sent_bytes[0] + 1000, 10 * S);
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(flood(box, 0, 100), 1000);
	/* A shorter one beside it learns from it. */
	for (uint32_t i = 0; i < 50; i++)
		weir_box_tick(box, 100 * MS);
	weir_box_add_cap(box, 0, 500, 2 * S);
	box->budgets[0].caps[1].limit_bytes += 10000;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[2].used_bytes, 0);
	CU_ASSERT_EQUAL(flood(box, 0, 100), 500);
	/* Taken out and put back in: what was known is still known. */
	box->budgets[0].n_caps = 1;
	MUST(weir_box_apply(box));
	box->budgets[0].n_caps = 3;
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[2].used_bytes, 500);
	CU_ASSERT_EQUAL(flood(box, 0, 10), 0);
	weir_box_free(box);
}

/* More windows over time than the ledger keeps for one budget: old ones make room. */
static void
test_many_windows(void)
{
	struct weir_box *box = one_cap(UINT64_C(1) << 40, 0, 10000);

	for (uint32_t i = 0; i < 40; i++) {
		box->budgets[0].n_caps = 1;
		for (uint32_t k = 0; k < WEIR_CAPS_MAX - 1; k++)
			weir_box_add_cap(box, 0, UINT64_C(1) << 30, (1 + (i * 3 + k) % 29) * S);
		MUST(weir_box_apply(box));
		flood(box, 0, 1);
		weir_box_tick(box, S);
		if (i % 7 == 3) {
			weir_box_kill(box);
			MUST(weir_box_open(box));
			MUST(weir_box_apply(box));
		}
		for (uint32_t k = 1; k < WEIR_CAPS_MAX; k++)
			CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[k].window_ns,
			                box->budgets[0].caps[k].window_ns);
	}
	weir_box_free(box);
}

/* The shortest window makes room, for the longer ones know more. */
static void
test_shortest_makes_room(void)
{
	struct weir_box *box = one_cap(100000, S, 1000);

	for (uint32_t i = 2; i <= WEIR_CAPS_MAX; i++)
		weir_box_add_cap(box, 0, 100000, i * S);
	MUST(weir_box_apply(box));
	weir_box_tick(box, MS);
	CU_ASSERT_EQUAL(weir_box_send(box, 0, 1000), 1000);
	for (uint32_t i = 0; i < 90; i++)
		weir_box_tick(box, 100 * MS);
	box->budgets[0].n_caps = 0;
	weir_box_add_cap(box, 0, 100000, S + 500 * MS);
	MUST(weir_box_apply(box));
	weir_box_add_cap(box, 0, 100000, WEIR_CAPS_MAX * S);
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[0].used_bytes, 0);
	CU_ASSERT_EQUAL(weir_box_budget(box, 0).caps[1].used_bytes, 0);
	weir_box_free(box);
}

static void
test_too_many_names(void)
{
	struct weir_box *box = one_cap(1000, 0, 100);
	uint64_t left;
	uint32_t id = 0;

	/* Seven new names at a time, until the ledger is full. */
	for (uint32_t i = 0; i < 7; i++)
		weir_box_add_budget(box, "x", 0);
	for (uint32_t round = 0; round < 585; round++) {
		for (uint32_t i = 1; i < 8; i++)
			snprintf(box->budgets[i].name, WEIR_NAME_SIZE, "b%" PRIu32, id++);
		MUST(weir_box_apply(box));
	}
	CU_ASSERT_EQUAL(box->ids[7], WEIR_BUDGETS_MAX - 1);
	snprintf(box->budgets[7].name, WEIR_NAME_SIZE, "one too many");
	CU_ASSERT_EQUAL(weir_box_apply(box), -ENOSPC);
	/* Nothing has changed, and the ledger goes on. */
	snprintf(box->budgets[7].name, WEIR_NAME_SIZE, "b%" PRIu32, id - 1);
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(box->ids[7], WEIR_BUDGETS_MAX - 1);
	weir_box_kill(box);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(box->ids[7], WEIR_BUDGETS_MAX - 1);
	left = 1000 - weir_box_budget(box, 0).charged_bytes;
	CU_ASSERT_EQUAL(flood(box, 7, 20), left);
	weir_box_free(box);
}

/* No write when nothing changes. */
static void
test_idle_is_quiet(void)
{
	struct weir_box *box = one_cap(1000000, 60 * S, 10000);
	struct weir_ledger_status before, after;

	weir_box_tick(box, MS);
	weir_ledger_get_status(box->ledger, &before);
	for (uint32_t i = 0; i < 100000; i++)
		weir_box_tick(box, MS);
	weir_ledger_get_status(box->ledger, &after);
	CU_ASSERT_EQUAL(before.syncs, after.syncs);
	CU_ASSERT_EQUAL(after.clock_ns - before.clock_ns, 100 * S);
	/* A byte in the window: the clock is kept as it rolls, 64 times, then it is quiet again. */
	weir_box_send(box, 0, 1);
	for (uint32_t i = 0; i < 100000; i++)
		weir_box_tick(box, MS);
	weir_ledger_get_status(box->ledger, &after);
	CU_ASSERT(after.syncs - before.syncs >= 50);
	CU_ASSERT(after.syncs - before.syncs <= 66);
	weir_box_free(box);
}

/* At a steady pace there is a horizon's worth ahead, and a sync every half horizon or so. */
static void
test_pace(void)
{
	struct weir_box *box = one_cap(UINT64_C(1) << 50, 0, 10000);
	struct weir_ledger_status before, after;
	struct weir_ledger_budget_status status;

	box->classes[0].rate_bit_s = UINT64_C(10000000000);
	MUST(weir_box_apply(box));
	for (uint32_t i = 0; i < 500; i++) {
		weir_box_tick(box, MS);
		weir_box_send(box, 0, 1250000); /* 10 Gbit/s */
	}
	weir_ledger_get_status(box->ledger, &before);
	for (uint32_t i = 0; i < 1000; i++) {
		weir_box_tick(box, MS);
		CU_ASSERT_EQUAL(weir_box_send(box, 0, 1250000), 1250000);
	}
	weir_ledger_get_status(box->ledger, &after);
	CU_ASSERT(after.syncs - before.syncs >= 5);
	CU_ASSERT(after.syncs - before.syncs <= 50);
	status = weir_box_budget(box, 0);
	CU_ASSERT(status.granted_bytes - box->sent_bytes[0] <= 125000000);
	/* After a rest, little is ahead: a crash forfeits little. */
	for (uint32_t i = 0; i < 1000; i++) {
		weir_box_tick(box, MS);
		weir_box_send(box, 0, 1000);
	}
	weir_box_free(box);
}

/* The disk's bytes of the records, to see that nothing was written. */
static uint64_t
written(const struct weir_box *box)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(box->ledger, &status);
	return status.written_bytes;
}

/* The root is the one of the first policy for good, wherever it stands and whatever is tried. */
static void
test_root_is_kept(void)
{
	struct weir_box *box = weir_box_new(weir_test_seed());
	uint32_t a, total, b;
	uint64_t before;

	box->tuning.grant_min_bytes = 10000;
	a = weir_box_add_budget(box, "a", 1);
	total = weir_box_add_budget(box, "total", WEIR_ANY);
	b = weir_box_add_budget(box, "b", total);
	weir_box_add_cap(box, total, 50000, 0);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	CU_ASSERT_EQUAL(box->ids[total], WEIR_LEDGER_ROOT);
	CU_ASSERT_EQUAL(box->ids[a], 1);
	CU_ASSERT_EQUAL(box->ids[b], 2);
	CU_ASSERT_EQUAL(flood(box, a, 100), 50000);
	for (uint32_t life = 0; life < 3; life++) {
		before = written(box);
		/* Renamed. */
		snprintf(box->budgets[total].name, WEIR_NAME_SIZE, "other");
		CU_ASSERT_EQUAL(weir_box_apply(box), -EPERM);
		/* Another one put above it. */
		snprintf(box->budgets[total].name, WEIR_NAME_SIZE, "total");
		box->budgets[total].parent = b;
		box->budgets[b].parent = WEIR_ANY;
		CU_ASSERT_EQUAL(weir_box_apply(box), -EPERM);
		/* Swapped with a child, by name: its cap would begin anew. */
		box->budgets[total].parent = WEIR_ANY;
		box->budgets[b].parent = total;
		snprintf(box->budgets[total].name, WEIR_NAME_SIZE, "a");
		snprintf(box->budgets[a].name, WEIR_NAME_SIZE, "total");
		CU_ASSERT_EQUAL(weir_box_apply(box), -EPERM);
		CU_ASSERT_EQUAL(written(box), before);
		/* Nothing has changed, and the ledger goes on. */
		snprintf(box->budgets[total].name, WEIR_NAME_SIZE, "total");
		snprintf(box->budgets[a].name, WEIR_NAME_SIZE, "a");
		MUST(weir_box_apply(box));
		CU_ASSERT_EQUAL(box->ids[total], WEIR_LEDGER_ROOT);
		CU_ASSERT_EQUAL(weir_box_budget(box, total).charged_bytes, 50000);
		CU_ASSERT_EQUAL(flood(box, b, 10), 0);
		/* Refused at the start of another life, too. */
		weir_box_kill(box);
		MUST(weir_box_open(box));
	}
	MUST(weir_box_apply(box));
	check(box);
	weir_box_free(box);
}

static const struct weir_test tests[] = {
    {"a lifetime cap is exact and lasts", test_lifetime_exact},
    {"whole frames: less than one is left", test_whole_frames},
    {"a clean stop is exact", test_finish_exact},
    {"a crash forfeits a bounded part", test_crash_forfeits},
    {"a window's bytes come back", test_window_comes_back},
    {"time off gives nothing", test_off_time},
    {"time backwards gives nothing", test_time_backwards},
    {"a tree of budgets", test_tree},
    {"tighten and loosen", test_tighten_and_loosen},
    {"names and charges are kept", test_names_are_kept},
    {"the root stays the root", test_root_is_kept},
    {"purses of a departed budget", test_departed_purse},
    {"a window that is new to a budget", test_new_window},
    {"more windows than places", test_many_windows},
    {"the shortest window makes room", test_shortest_makes_room},
    {"more names than places", test_too_many_names},
    {"idle is quiet", test_idle_is_quiet},
    {"grants follow the pace", test_pace},
};

int
main(void)
{
	return weir_test_run("ledger", tests, WEIR_TEST_COUNT(tests));
}
