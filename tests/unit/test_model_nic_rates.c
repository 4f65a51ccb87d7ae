/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two readings of the same drivers: the model NIC's limits, and production's table of what drivers
 * make of a rate. And production's limiters on each of the models.
 */
#include "drivers/limiter.h"
#include "tests/nic/nic_box.h"

#define MBIT_BYTES   UINT64_C(125000) /* bytes a second of 1 Mbit/s */
#define RANDOM_RATES 2000U

static uint32_t n_differ;

static void
compare(const struct weir_limiter_driver *row, uint64_t bytes_s, uint32_t link_mbit_s, uint64_t is)
{
	uint64_t says = weir_limiter_driver_result(row, bytes_s * 8, link_mbit_s * BOX_MBIT);

	if (is == says)
		return;
	if (n_differ++ < 5)
		printf("    %s, %" PRIu64 " byte/s: model %" PRIu64 ", table %" PRIu64 "\n",
		       row->driver, bytes_s, is, says);
}

/* All rates that can be set by queue, at several speeds of the link. */
static void
queues_agree(void)
{
	static const char *const families[] = {"ixgbe", "txgbe", "cnxk"};
	static const uint32_t speeds[] = {100, 1000, 10000, 25000, 100000};

	for (size_t f = 0; f < WEIR_TEST_COUNT(families) * WEIR_TEST_COUNT(speeds); f++) {
		const char *family = families[f % WEIR_TEST_COUNT(families)];
		uint32_t speed = speeds[f / WEIR_TEST_COUNT(families)];
		uint32_t step = speed > 10000 ? 7 : 1;
		const struct weir_limiter_driver *row;
		char device[WEIR_DEVICE_SIZE];

		/* No 82599 is that fast: the driver's 16 bits lose the speed. */
		if (strcmp(family, "ixgbe") == 0 && speed > UINT16_MAX)
			continue;
		snprintf(device, sizeof(device), "model0,family=%s,speed=%uM", family, speed);
		box_open(device, 2);
		row = weir_limiter_driver_find(box.nic->config.family->driver, false);
		n_differ = 0;
		for (uint32_t mbit_s = 1; mbit_s <= speed; mbit_s += step) {
			CU_ASSERT_EQUAL(box_set(1, mbit_s), 0);
			compare(row, mbit_s * MBIT_BYTES, speed, weir_model_queue_rate(box.nic, 1));
		}
		CU_ASSERT_EQUAL(n_differ, 0);
		box_close();
	}
}

/* A rate in bytes a second: the ends, and anything in between, small ones as often as large. */
static uint64_t
some_rate(struct weir_random *random, uint32_t i)
{
	static const uint64_t ends[] = {62,        1000,       61000,     62499,    62500,
	                                62999,     63000,      124999,    125000,   125001,
	                                6249999,   6250000,    12500000,  12499999, 125000000,
	                                124999999, 1249999999, 1250000000};

	if (i < WEIR_TEST_COUNT(ends))
		return ends[i];
	return weir_random_between(random, 61, UINT64_C(1) << weir_random_between(random, 6, 30));
}

/* Builds a tree with a limit of so many bytes a second, and takes it down again. */
struct tree {
	const char *device;
	void (*add)(uint64_t bytes_s);
	void (*take)(void);
	uint16_t queue;
};

static void
add_leaf(uint64_t bytes_s)
{
	CU_ASSERT_EQUAL(box_profile(1, bytes_s, 0, 0), 0);
	CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, 1, true), 0);
	(void)box_commit_now();
}

static void
take_leaf(void)
{
	box.nic->tm->committed = false; /* as a stop has it */
	CU_ASSERT_EQUAL(box_delete_node(0), 0);
	box.nic->tm->profiles[0].users = 0; /* iavf never lets go of one */
	CU_ASSERT_EQUAL(box_delete_profile(1), 0);
}

static void
add_class(uint64_t bytes_s)
{
	CU_ASSERT_EQUAL(box_profile(1, bytes_s, 0, 0), 0);
	CU_ASSERT_EQUAL(box_node(BOX_CLASS, BOX_ROOT, 1, 1, false), 0);
	CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, BOX_NONE, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
}

static void
take_class(void)
{
	box.nic->tm->committed = false;
	CU_ASSERT_EQUAL(box_delete_node(0), 0);
	CU_ASSERT_EQUAL(box_delete_node(BOX_CLASS), 0);
	CU_ASSERT_EQUAL(box_delete_profile(1), 0);
}

static void
try_rates(const struct tree *tree, bool stopped)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	const struct weir_limiter_driver *row;

	box_open(tree->device, 1);
	row = weir_limiter_driver_find(box.nic->config.family->driver, true);
	if (stopped)
		weir_port_stop(&box.port);
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, BOX_NONE, false), 0);
	if (tree->add == add_leaf)
		CU_ASSERT_EQUAL(box_node(BOX_CLASS, BOX_ROOT, 1, BOX_NONE, false), 0);
	n_differ = 0;
	for (uint32_t i = 0; i < RANDOM_RATES; i++) {
		uint64_t bytes_s = some_rate(&random, i);

		tree->add(bytes_s);
		compare(row, bytes_s, 10000, weir_model_path_rate(box.nic, 0));
		tree->take();
	}
	CU_ASSERT_EQUAL(n_differ, 0);
	box_close();
}

/* ixgbe, txgbe, i40e, iavf, hns3. */
static void
agrees_with_the_table(void)
{
	static const struct tree trees[] = {
	    {.device = "model0,family=ixgbe", .add = add_leaf, .take = take_leaf},
	    {.device = "model0,family=txgbe", .add = add_leaf, .take = take_leaf},
	    {.device = "model0,family=i40e", .add = add_class, .take = take_class},
	};
	static const struct tree iavf = {
	    .device = "model0,family=iavf", .add = add_leaf, .take = take_leaf};

	for (size_t i = 0; i < WEIR_TEST_COUNT(trees); i++)
		try_rates(&trees[i], false);
	try_rates(&iavf, true);
}

/* ice: whichever clock it has, the table tells of the worst. */
static void
ice_agrees_with_the_table(void)
{
	static const uint32_t clocks_hz[] = {367647059, 416666667, 446428571, 390625000};
	const struct weir_limiter_driver *row = weir_limiter_driver_find("net_ice", true);
	struct weir_random random = weir_random_make(weir_test_seed());

	n_differ = 0;
	box_open("model0,family=ice,speed=100G", 1);
	box_add_ice_tree(1, BOX_NONE, BOX_NONE);
	for (uint32_t i = 0; i < RANDOM_RATES; i++) {
		uint64_t bytes_s = some_rate(&random, i), worst = 0;

		CU_ASSERT_EQUAL(box_delete_node(0), 0);
		CU_ASSERT_EQUAL(box_profile(1, bytes_s, 0, 0), 0);
		CU_ASSERT_EQUAL(box_node(0, BOX_GROUP, 4, 1, true), 0);
		for (size_t c = 0; c < WEIR_TEST_COUNT(clocks_hz); c++) {
			uint64_t rate = 0;

			box.nic->config.clock_hz = clocks_hz[c];
			if (box_commit_now() == 0)
				rate = weir_model_queue_rate(box.nic, 0);
			worst = rate > worst ? rate : worst;
		}
		compare(row, bytes_s, 10000, worst);
		CU_ASSERT_EQUAL(box_delete_profile(1), 0);
	}
	CU_ASSERT_EQUAL(n_differ, 0);
	box_close();
}

static void
cnxk_agrees_with_the_table(void)
{
	const struct weir_limiter_driver *row = weir_limiter_driver_find("net_cn10k", true);
	struct weir_random random = weir_random_make(weir_test_seed());

	n_differ = 0;
	box_open("model0,family=cnxk", 1);
	CU_ASSERT_EQUAL(box_profile(1, MBIT_BYTES, 2048, 0), 0);
	box_add_cnxk_tree(1, BOX_NONE, 1);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	for (uint32_t i = 0; i < RANDOM_RATES; i++) {
		uint64_t bytes_s = some_rate(&random, i);
		uint32_t id = 1 + (i + 1) % 2;

		CU_ASSERT_EQUAL(box_profile(id, bytes_s, 2048, 0), 0);
		CU_ASSERT_EQUAL(box_update(BOX_GROUP, id), 0);
		compare(row, bytes_s, 10000, weir_model_path_rate(box.nic, 0));
		CU_ASSERT_EQUAL(box_delete_profile(3 - id), 0);
	}
	CU_ASSERT_EQUAL(n_differ, 0);
	box_close();
}

/* hns3 refuses less than 1 Mbit/s. */
static void
hns3_agrees_with_the_table(void)
{
	const uint32_t class = 1, root = 9; /* of a device with one queue */
	const struct weir_limiter_driver *row = weir_limiter_driver_find("net_hns3", true);
	struct weir_random random = weir_random_make(weir_test_seed());

	n_differ = 0;
	box_open("model0,family=hns3,queues=1", 1);
	CU_ASSERT_EQUAL(box_node(root, RTE_TM_NODE_ID_NULL, 0, BOX_NONE, false), 0);
	CU_ASSERT_EQUAL(box_node(class, root, 1, BOX_NONE, false), 0);
	CU_ASSERT_EQUAL(box_node(0, class, 2, BOX_NONE, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	for (uint32_t i = 0; i < RANDOM_RATES; i++) {
		uint64_t bytes_s = some_rate(&random, i);

		if (box_profile(1, bytes_s, 0, 0) != 0) {
			compare(row, bytes_s, 10000, 0);
			continue;
		}
		CU_ASSERT_EQUAL(box_update(class, 1), 0);
		compare(row, bytes_s, 10000, weir_model_path_rate(box.nic, 0));
		CU_ASSERT_EQUAL(box_update(class, BOX_NONE), 0);
		CU_ASSERT_EQUAL(box_delete_profile(1), 0);
	}
	CU_ASSERT_EQUAL(n_differ, 0);
	box_close();
}

/* What production's limiters ask for never makes a limit above what they were asked. */
static void
production_never_exceeds(void)
{
	static const char *const families[] = {"ixgbe", "txgbe", "cnxk", "ice", "plain"};
	struct weir_random random = weir_random_make(weir_test_seed());
	char reason[BOX_ERROR] = "", error[BOX_ERROR] = "";

	for (size_t f = 0; f < WEIR_TEST_COUNT(families); f++) {
		char device[WEIR_DEVICE_SIZE];
		struct weir_limiter limiter;
		uint32_t set = 0;

		snprintf(device, sizeof(device), "model0,family=%s", families[f]);
		box_open(device, 4);
		CU_ASSERT_EQUAL_FATAL(weir_limiter_open(&box.port, WEIR_LIMITER_AUTO, 4, 1,
		                                        10000 * BOX_MBIT, &limiter, reason,
		                                        sizeof(reason)),
		                      0);
		CU_ASSERT_NOT_EQUAL(limiter.ops->kind, WEIR_LIMITER_SOFT);
		for (uint32_t i = 0; i < 300; i++) {
			uint64_t asked = some_rate(&random, i) * 8, is;
			int result = weir_limiter_set_queue(&limiter, 1, asked, 4096);

			CU_ASSERT(result == 0 || result == -ERANGE);
			CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
			if (result != 0)
				continue;
			set++;
			is = weir_model_path_rate(box.nic, 1);
			CU_ASSERT(is > 0 && is <= asked && is >= asked / 100 * 98);
		}
		CU_ASSERT(set > 10);
		weir_limiter_close(&limiter);
		box_close();
	}
}

static const struct weir_test tests[] = {
    {"all rates by queue agree with the table of drivers", queues_agree},
    {"all rates by rte_tm agree with it", agrees_with_the_table},
    {"ice's rates agree with it", ice_agrees_with_the_table},
    {"cnxk's rates agree with it", cnxk_agrees_with_the_table},
    {"hns3's rates agree with it", hns3_agrees_with_the_table},
    {"production's limiters never exceed what was asked", production_never_exceeds},
};

int
main(void)
{
	int result;

	if (!box_start())
		return 1;
	result = weir_test_run("model_nic_rates", tests, WEIR_TEST_COUNT(tests));
	box_finish();
	return result;
}
