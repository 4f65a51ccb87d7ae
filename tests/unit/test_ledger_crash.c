/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger under crashes, power cuts and time as it comes, from seeds.
 *
 * Oracles, all from what the box recorded itself with true times: no budget has ever sent more than
 * a cap, in all lives together and in every window; what a new life charges is at least what was
 * sent; and the ledger opens again after any power cut.
 */
#include "control/ledger_format.h"
#include "tests/sim/box_sim.h"

#define MS           WEIR_NS_PER_MS
#define S            WEIR_NS_PER_S

#define SEEDS        WEIR_TEST_HISTORIES(200U)
#define WINDOW_SEEDS WEIR_TEST_HISTORIES(400U)

#define MUST(call)   CU_ASSERT_EQUAL_FATAL((call), 0)

static void
check(struct weir_box *box, uint64_t seed)
{
	const char *what = weir_box_check(box);

	if (what != NULL)
		printf("    run %" PRIu64 ": %s\n", seed - weir_test_seed(), what);
	CU_ASSERT_PTR_NULL(what);
}

static bool
failed(const struct weir_box *box)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(box->ledger, &status);
	return status.failed;
}

/* Opens again after whatever has happened. Everything sent must be charged. */
static void
reopen(struct weir_box *box, uint64_t seed)
{
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	for (uint32_t i = 0; i < box->config.n_budgets; i++)
		CU_ASSERT_FATAL(weir_box_budget(box, i).charged_bytes >= box->sent_bytes[i]);
	check(box, seed);
}

static struct weir_box *
make_box(uint64_t seed, struct weir_random *random)
{
	struct weir_box *box = weir_box_new(seed);
	uint32_t a, b;

	box->tuning.grant_min_bytes = weir_random_between(random, 500, 20000);
	box->frame_bytes = weir_random_one_in(random, 2) ? 1 : 84;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_cap(box, 0, weir_random_between(random, 10000, 500000), 0);
	weir_box_add_cap(box, 0, weir_random_between(random, 10000, 200000),
	                 weir_random_between(random, MS, 4 * S));
	a = weir_box_add_budget(box, "a", 0);
	weir_box_add_cap(box, a, weir_random_between(random, 10000, 100000),
	                 weir_random_between(random, MS, S));
	b = weir_box_add_budget(box, "b", a);
	weir_box_add_cap(box, b, weir_random_between(random, 1000, 100000), 0);
	return box;
}

/* One step of a life. Always draws alike, so that lives from one seed are alike until a fault. */
static void
step(struct weir_box *box, struct weir_random *random)
{
	uint64_t what = weir_random_below(random, 100);
	uint64_t amount = weir_random_next(random);
	uint64_t sampled_ns;

	if (what < 45) {
		weir_box_tick(box, amount % (20 * MS));
	} else if (what < 50) {
		weir_box_tick(box, amount % (3 * S));
	} else if (what < 90) {
		uint32_t position = (uint32_t)(amount >> 32) % box->config.n_budgets;

		weir_box_send(box, position, amount % 20000);
	} else if (what < 94) {
		weir_box_send(box, 0, UINT64_C(1) << 40);
	} else if (what < 97) {
		/* The clock is read, then the thread is held up while workers go on. */
		sampled_ns = box->true_ns - box->boot_ns;
		box->true_ns += amount % (200 * MS);
		weir_box_send(box, 0, amount % 30000);
		weir_ledger_tick(box->ledger, sampled_ns);
	} else if (!failed(box)) {
		box->config.n_budgets = 2 + (uint32_t)(amount % 2);
		(void)!weir_box_apply(box);
	}
}

static void
live(struct weir_box *box, struct weir_random *random, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++)
		step(box, random);
}

/* The power goes in the call with this number of the first life; then two lives more. */
static bool
run_crash(uint64_t seed, uint64_t call)
{
	struct weir_random random = weir_random_make(seed);
	struct weir_box *box = make_box(seed * 1000 + call, &random);
	bool hit;

	MUST(weir_box_open(box));
	weir_disk_sim_plan(box->disk, call, WEIR_FAULT_POWER_CUT, 0);
	if (weir_box_apply(box) == 0)
		live(box, &random, 60);
	hit = weir_disk_sim_faulted(box->disk);
	if (hit || weir_random_one_in(&random, 2))
		weir_box_power_cut(box);
	else
		weir_box_kill(box);
	box->true_ns += weir_random_below(&random, 10 * S);

	/* Cut in the start, or in the middle of the second life, or in its end. */
	MUST(weir_box_open(box));
	random = weir_random_make(seed + call * 7919);
	weir_disk_sim_plan(box->disk, weir_random_below(&random, 12), WEIR_FAULT_POWER_CUT, 0);
	if (weir_box_apply(box) == 0)
		live(box, &random, 20);
	check(box, seed);
	if (weir_random_one_in(&random, 3) && weir_box_finish(box) == 0)
		CU_ASSERT(weir_box_open(box) == 0 && weir_box_apply(box) == 0);
	if (box->ledger != NULL)
		weir_box_power_cut(box);

	reopen(box, seed);
	live(box, &random, 20);
	check(box, seed);
	MUST(weir_box_finish(box));
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	check(box, seed);
	weir_box_free(box);
	return hit;
}

static void
test_crash_at_every_call(void)
{
	uint64_t crashes = 0;

	for (uint64_t run = 0; run < SEEDS; run++) {
		uint64_t seed = weir_test_seed() + run, call = 0;

		while (run_crash(seed, call))
			call++;
		crashes += call;
	}
	printf("    %" PRIu64 " power cuts\n", crashes);
	CU_ASSERT(crashes > 10 * SEEDS);
}

/* Commissioning may be cut as well: then there is a ledger without charges, or a refusal. */
static void
test_crash_in_commissioning(void)
{
	bool hit = true;

	for (uint64_t call = 0; hit; call++) {
		for (uint64_t run = 0; run < WEIR_TEST_HISTORIES(50U); run++) {
			struct weir_box *box = weir_box_new(weir_test_seed() + run);
			struct weir_disk *disk;
			int rc;

			weir_disk_sim_free(box->disk);
			box->disk = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, run);
			disk = weir_disk_sim_attach(box->disk);
			weir_disk_sim_plan(box->disk, call, WEIR_FAULT_POWER_CUT, 0);
			rc = weir_ledger_commission(disk, &box->key, WEIR_WITNESS_NONE, 0, NULL, 0);
			hit = weir_disk_sim_faulted(box->disk);
			CU_ASSERT_EQUAL(rc, hit ? -EIO : 0);
			if (hit)
				weir_disk_sim_power_cut(box->disk);
			rc = weir_box_open(box);
			CU_ASSERT(rc == -EBADMSG || rc == 0);
			CU_ASSERT(hit || rc == 0);
			weir_box_free(box);
		}
	}
}

/* Random caps, from windows of microseconds to hours. */
static void
random_caps(struct weir_box *box, struct weir_random *random)
{
	uint64_t unit = UINT64_C(1) << weir_random_between(random, 10, 40);

	box->tuning.grant_min_bytes = weir_random_between(random, 1, 10000);
	box->tuning.horizon_ns = weir_random_between(random, MS, 200 * MS);
	box->tuning.grant_max_bytes = weir_random_between(random, 10000, 1000000);
	weir_box_add_budget(box, "total", WEIR_ANY);
	for (uint32_t i = 0; i < 1 + weir_random_below(random, 3); i++)
		weir_box_add_cap(box, 0, weir_random_between(random, 100, 100000),
		                 weir_random_between(random, unit / 4 + 1, 4 * unit));
}

/* How far time goes in one step, in the measure of the window. */
static uint64_t
random_pass(const struct weir_box *box, struct weir_random *random)
{
	uint64_t window_ns = box->budgets[0].caps[0].window_ns;

	switch (weir_random_below(random, 8)) {
	case 0:
		return 0;
	case 1:
		return weir_random_below(random, 3 * window_ns);
	case 2:
		return weir_random_below(random, 10 * S);
	default:
		return weir_random_below(random, window_ns / 40 + 2);
	}
}

static void
test_windows_hold(void)
{
	uint64_t sent = 0, cap = 0;

	for (uint64_t run = 0; run < WINDOW_SEEDS; run++) {
		uint64_t seed = weir_test_seed() + 100000 + run;
		struct weir_random random = weir_random_make(seed);
		struct weir_box *box = weir_box_new(seed);

		random_caps(box, &random);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		for (uint32_t i = 0; i < 1500; i++) {
			uint64_t sampled_ns = box->true_ns - box->boot_ns;
			uint64_t what = weir_random_below(&random, 1000);

			box->true_ns += random_pass(box, &random);
			if (weir_random_one_in(&random, 2))
				weir_box_send(box, 0,
				              UINT64_C(1) << weir_random_below(&random, 20));
			if (weir_random_one_in(&random, 2))
				sampled_ns = box->true_ns - box->boot_ns;
			if (what < 800) {
				weir_ledger_tick(box->ledger, sampled_ns);
			} else if (what < 810) {
				weir_box_kill(box);
				box->true_ns += random_pass(box, &random);
				reopen(box, seed);
			} else if (what < 815) {
				weir_box_power_cut(box);
				reopen(box, seed);
			} else if (what < 820) {
				MUST(weir_box_finish(box));
				reopen(box, seed);
			} else if (what < 900) {
				MUST(weir_ledger_set_policy(box->ledger, &box->config, sampled_ns,
				                            box->ids));
			}
		}
		check(box, seed);
		sent += box->sent_bytes[0];
		cap += box->budgets[0].caps[0].limit_bytes;
		weir_box_free(box);
	}
	/* It was no idle test: windows were filled and came back. */
	CU_ASSERT(sent > 2 * cap);
}

/* A policy that gets further windows on the way: from then on they hold, the past included. */
static void
test_new_windows_hold(void)
{
	for (uint64_t run = 0; run < WINDOW_SEEDS; run++) {
		uint64_t seed = weir_test_seed() + 200000 + run;
		struct weir_random random = weir_random_make(seed);
		struct weir_box *box = weir_box_new(seed);
		struct weir_config_budget *budget = &box->budgets[0];
		uint32_t n_caps;

		random_caps(box, &random);
		/* The last cap comes late. It allows what was sent before, so that it can hold. */
		n_caps = budget->n_caps;
		budget->n_caps = n_caps - 1;
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		for (uint32_t i = 0; i < 600; i++) {
			if (i == 300) {
				struct weir_config_cap *late = &budget->caps[n_caps - 1];
				uint64_t most;

				weir_credit_return(box->credit, 0, box->ids[0]);
				most = weir_box_window_max(box, 0, late->window_ns);
				budget->n_caps = n_caps;
				if (late->limit_bytes < most)
					late->limit_bytes = most;
				MUST(weir_box_apply(box));
			}
			if (i % 150 == 149) {
				weir_box_power_cut(box);
				reopen(box, seed);
			}
			box->true_ns += random_pass(box, &random);
			weir_box_send(box, 0, UINT64_C(1) << weir_random_below(&random, 20));
			weir_ledger_tick(box->ledger, box->true_ns - box->boot_ns);
		}
		check(box, seed);
		weir_box_free(box);
	}
}

static const struct weir_test tests[] = {
    {"the power goes in every call", test_crash_at_every_call},
    {"the power goes in commissioning", test_crash_in_commissioning},
    {"every window holds, whatever happens", test_windows_hold},
    {"a new window holds, past included", test_new_windows_hold},
};

int
main(void)
{
	return weir_test_run("ledger_crash", tests, WEIR_TEST_COUNT(tests));
}
