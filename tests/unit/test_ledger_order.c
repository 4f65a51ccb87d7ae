/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of things: what is durable at the moment when the ledger relies on it. Looked at from
 * the other side, at each request to the witness and in the middle of each call of the disk.
 */
#include "control/ledger_format.h"
#include "tests/unit/ledger_box.h"

#define EVERY  UINT64_C(100000)
#define LIVES  40U
#define ROUNDS 60U

static struct weir_box *box;
static struct weir_witness_sim witness;
static const struct weir_witness_line_ops *witness_ops;
static uint64_t requests, looks;

/* A GRANTS record as a power cut would leave it now; 0 budgets where it is none. */
static struct weir_ledger_header
durable_grants(uint32_t parity, struct weir_ledger_grant *grants)
{
	static uint8_t data[WEIR_LEDGER_BLOCK_BYTES];
	struct weir_ledger_header header = {.n_budgets = 0};

	weir_disk_sim_peek_durable(box->disk, data, sizeof(data),
	                           weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, parity));
	if (weir_ledger_check(data, sizeof(data), WEIR_LEDGER_GRANTS, parity, &box->key, &header) !=
	    WEIR_LEDGER_VALID)
		return (struct weir_ledger_header){.n_budgets = 0};
	assert(header.n_budgets <= WEIR_BOX_BUDGETS);
	weir_ledger_decode_grants(data, &header, grants);
	return header;
}

/* Before the witness moves on, it does not matter which of the two slots is lost. */
static void
request(struct weir_witness_line *line, uint64_t value)
{
	requests++;
	for (uint32_t parity = 0; parity < 2; parity++) {
		struct weir_ledger_grant grants[WEIR_BOX_BUDGETS];
		struct weir_ledger_header header = durable_grants(parity, grants);

		CU_ASSERT(header.n_budgets > 0);
		CU_ASSERT_EQUAL(header.stamp.witness_value, value);
	}
	witness_ops->request(line, value);
}

/* What workers may spend is granted by a record that no power cut takes. */
static void
look(void *arg, bool done)
{
	uint64_t durable[WEIR_BOX_BUDGETS] = {0};

	(void)arg;
	(void)done;
	looks++;
	for (uint32_t parity = 0; parity < 2; parity++) {
		struct weir_ledger_grant grants[WEIR_BOX_BUDGETS];
		struct weir_ledger_header header = durable_grants(parity, grants);

		for (uint32_t i = 0; i < header.n_budgets; i++)
			if (grants[i].grant_bytes > durable[i])
				durable[i] = grants[i].grant_bytes;
	}
	for (uint32_t i = 0; i < box->config.n_budgets; i++) {
		uint32_t id = box->ids[i];
		uint64_t spendable = atomic_load(&box->credit->budgets[id].spendable_bytes);
		uint64_t taken = atomic_load(&box->credit->budgets[id].taken_bytes);

		/* What a start charges can't be spent: it is taken already. */
		CU_ASSERT(spendable <= durable[id] || spendable <= taken);
	}
}

static void
make_box(uint64_t seed, bool witnessed)
{
	weir_witness_sim_init(&witness, 41);
	box = witnessed ? weir_box_new_witnessed(seed, &witness) : weir_box_new(seed);
	box->witness_every_bytes = EVERY;
	box->witness_interval_ns = 10 * S;
	box->tuning.grant_min_bytes = 10000;
	box->tuning.grant_max_bytes = 20000;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_budget(box, "part", 0);
	weir_box_add_cap(box, 0, UINT64_C(1) << 40, 0);
}

/* Some lives, each with some traffic, that end in all ways. */
static void
live(uint64_t seed)
{
	struct weir_random random = weir_random_make(seed);
	static const struct weir_disk_watch watch = {.during = look};
	static const struct weir_disk_watch nobody;
	static struct weir_witness_line_ops ops;

	for (uint32_t life = 0; life < LIVES; life++) {
		uint64_t rounds = weir_random_below(&random, ROUNDS);

		MUST(weir_box_open(box));
		if (box->witness != NULL) {
			if (witness.line.ops != &ops) {
				witness_ops = witness.line.ops;
				ops = *witness_ops;
				ops.request = request;
			}
			witness.line.ops = &ops;
		}
		weir_disk_sim_watch(box->disk, &watch);
		MUST(weir_box_apply(box));
		for (uint64_t i = 0; i < rounds; i++) {
			weir_box_tick(box, weir_random_below(&random, 100 * MS));
			weir_box_send(box, (uint32_t)weir_random_below(&random, 2),
			              weir_random_below(&random, 30000));
			look(NULL, false);
		}
		switch (weir_random_below(&random, 3)) {
		case 0:
			MUST(weir_box_finish(box));
			break;
		case 1:
			weir_box_power_cut(box);
			break;
		default:
			weir_box_kill(box);
		}
		weir_disk_sim_watch(box->disk, &nobody);
	}
}

static void
test_witness_comes_after(void)
{
	uint64_t seed = weir_test_seed();

	requests = 0;
	make_box(seed, true);
	live(seed);
	CU_ASSERT(requests > LIVES);
	weir_box_free(box);
}

static void
test_durable_comes_first(void)
{
	uint64_t seed = weir_test_seed();

	looks = 0;
	make_box(seed, false);
	live(seed);
	CU_ASSERT(looks > LIVES);
	weir_box_free(box);
}

static const struct weir_test tests[] = {
    {"the witness moves when both records are durable", test_witness_comes_after},
    {"nothing is spendable that is not durable", test_durable_comes_first},
};

int
main(void)
{
	return weir_test_run("ledger_order", tests, WEIR_TEST_COUNT(tests));
}
