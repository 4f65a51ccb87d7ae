/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of drivers, how rates are rounded for them, and which interface is chosen. */
#include "tests/unit/limiter_box.h"

#define ROUNDS 4000U

static const uint64_t links_bit_s[] = {
    1 * GBIT,  2500 * MBIT, 5 * GBIT,   10 * GBIT,  25 * GBIT,
    40 * GBIT, 50 * GBIT,   100 * GBIT, 200 * GBIT, 400 * GBIT,
};

static void
test_table(void)
{
	static const struct {
		const char *driver;
		bool tm, usable;
	} known[] = {
	    {"net_cn10k", false, true},      {"net_cn9k", false, true},
	    {"net_ixgbe", false, true},      {"net_txgbe", false, true},
	    {"net_cn10k", true, true},       {"net_cn9k", true, true},
	    {"net_dpaa2", true, false},      {"net_hns3", true, false},
	    {"net_i40e", true, false},       {"net_iavf", true, false},
	    {"net_ice", true, true},         {"net_ice_dcf", true, false},
	    {"net_ipn3ke_afu", true, false}, {"net_ixgbe", true, false},
	    {"net_mvpp2", true, false},      {"net_txgbe", true, false},
	};
	uint32_t n;
	const struct weir_limiter_driver *rows = weir_limiter_drivers(&n);

	CU_ASSERT_EQUAL(n, WEIR_TEST_COUNT(known));
	for (uint32_t i = 0; i < n && i < WEIR_TEST_COUNT(known); i++) {
		const struct weir_limiter_driver *row =
		    weir_limiter_driver_find(known[i].driver, known[i].tm);

		CU_ASSERT_STRING_EQUAL(row->driver, known[i].driver);
		CU_ASSERT_EQUAL(row->tm, known[i].tm);
		CU_ASSERT_EQUAL(row->usable, known[i].usable);
		CU_ASSERT(row >= rows && row < rows + n);
		CU_ASSERT(strlen(row->driver) < sizeof(((struct weir_port *)NULL)->driver));
		CU_ASSERT_PTR_NOT_NULL(strstr(row->source, ".c, "));
		CU_ASSERT(row->help[0] != '\0' && strchr(row->help, '\n') == NULL);
		CU_ASSERT_EQUAL(row->quirks >> WEIR_QUIRKS, 0);
		/* Without an arithmetic nothing could be rounded. */
		CU_ASSERT(!row->usable || row->arithmetic != WEIR_LIMITER_ARITHMETIC_NONE);
		CU_ASSERT((row->arithmetic == WEIR_LIMITER_STEPS) == (row->step_bit_s != 0));
		/* A second row would never be found. */
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT(rows[i].tm != rows[j].tm ||
			          strcmp(rows[i].driver, rows[j].driver) != 0);
	}
	CU_ASSERT_STRING_EQUAL(weir_limiter_driver_find("net_virtio", true)->driver, "");
	CU_ASSERT(weir_limiter_driver_find("net_virtio", true)->tm);
	CU_ASSERT(!weir_limiter_driver_find("", false)->tm);
	CU_ASSERT(!weir_limiter_driver_find("net_virtio", true)->completions);
	CU_ASSERT_EQUAL(weir_limiter_driver_rs_thresh("net_ice"), 1);
	CU_ASSERT_EQUAL(weir_limiter_driver_rs_thresh("net_ixgbe"), 1);
	CU_ASSERT_EQUAL(weir_limiter_driver_rs_thresh("net_virtio"), 0);
}

static void
test_words(void)
{
	for (unsigned int i = 0; i < WEIR_QUIRKS; i++) {
		enum weir_limiter_quirk quirk = (enum weir_limiter_quirk)(1U << i);

		CU_ASSERT(weir_limiter_quirk_name(quirk)[0] != '\0');
		CU_ASSERT(weir_limiter_quirk_help(quirk)[0] != '\0');
		for (unsigned int j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(
			    weir_limiter_quirk_name(quirk),
			    weir_limiter_quirk_name((enum weir_limiter_quirk)(1U << j)));
	}
	CU_ASSERT_STRING_EQUAL(weir_limiter_quirk_name(WEIR_QUIRK_QUEUE_ORDER), "queue-order");
	CU_ASSERT_STRING_EQUAL(weir_limiter_kind_name(WEIR_LIMITER_AUTO), "auto");
	CU_ASSERT_STRING_EQUAL(weir_limiter_kind_name(WEIR_LIMITER_TM), "tm");
	CU_ASSERT_STRING_EQUAL(weir_limiter_kind_name(WEIR_LIMITER_QUEUE), "queue");
	CU_ASSERT_STRING_EQUAL(weir_limiter_kind_name(WEIR_LIMITER_SOFT), "soft");
}

static uint64_t
result(const char *driver, bool tm, uint64_t rate_bit_s)
{
	return weir_limiter_driver_result(weir_limiter_driver_find(driver, tm), rate_bit_s,
	                                  10 * GBIT);
}

/* What each driver makes of rates that it can't hold: worked out by hand from its source. */
static void
test_arithmetic(void)
{
	/* 10000 / 9 has eleven bits: 87 and a ninth are left. 10000 / 1: 784. */
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 9 * MBIT), 114795955);
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 1 * MBIT), 12755103);
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 10 * MBIT), 10 * MBIT);
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 30 * MBIT), 30000002); /* rounds up */
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 10 * GBIT), 10 * GBIT);
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 999999), UINT64_MAX); /* 0: unlimited */
	CU_ASSERT_EQUAL(result("net_ixgbe", false, 10 * GBIT + MBIT), 0);
	CU_ASSERT_EQUAL(result("net_ixgbe", true, 999992), UINT64_MAX);
	CU_ASSERT_EQUAL(result("net_txgbe", false, 7 * MBIT + 999999), 7 * MBIT);
	CU_ASSERT_EQUAL(result("net_txgbe", false, 16383 * MBIT), 16383 * MBIT);
	CU_ASSERT_EQUAL(result("net_txgbe", false, 16384 * MBIT), UINT64_MAX);
	CU_ASSERT_EQUAL(result("net_txgbe", false, 16385 * MBIT), 1 * MBIT);
	CU_ASSERT_EQUAL(result("net_i40e", true, 49 * MBIT), UINT64_MAX);
	CU_ASSERT_EQUAL(result("net_i40e", true, 149 * MBIT), 100 * MBIT);
	CU_ASSERT_EQUAL(result("net_hns3", true, 999992), 0);
	CU_ASSERT_EQUAL(result("net_dpaa2", true, 8388607), UINT64_MAX);
	CU_ASSERT_EQUAL(result("net_cn10k", false, 999999), 0); /* 0: blocked */
	CU_ASSERT_EQUAL(result("net_cn10k", false, 3 * MBIT), 3 * MBIT);
	/* 2 Mbit/s x 2^8 x 500/256, and nothing nearer below. */
	CU_ASSERT_EQUAL(result("net_cn9k", true, 1001 * MBIT), 1000 * MBIT);
	CU_ASSERT_EQUAL(result("net_cn9k", true, 480), 0);
	CU_ASSERT_EQUAL(result("net_cn9k", true, 488), 489); /* 488.28 */
	CU_ASSERT_EQUAL(result("net_cn10k", true, 131 * GBIT), 0);
	/* The worst clock: 218 x 367647059 / (32 x 2) bytes/s. */
	CU_ASSERT_EQUAL(result("net_ice", true, 10 * GBIT), 10018382358);
	CU_ASSERT_EQUAL(result("net_ice", true, 13283 * MBIT), 13327205889);
	CU_ASSERT_EQUAL(result("net_ice", true, 503999), 0);
	CU_ASSERT(result("net_ice", true, 504000) > 500000);
	CU_ASSERT_EQUAL(result("net_ice_dcf", true, GBIT), 0);
	CU_ASSERT_EQUAL(result("net_unknown", true, GBIT + 7), GBIT);
	CU_ASSERT_EQUAL(result("net_unknown", false, GBIT + 7), GBIT);
}

/*
 * The largest number that cnxk's register can hold for a rate, by trying all. The driver cuts
 * fractions off before it compares.
 */
static uint64_t
best_float(uint64_t rate_bit_s)
{
	long double best = 0;

	for (unsigned int exponent = 0; exponent < 16; exponent++) {
		for (unsigned int divider = 0; divider < (exponent == 0 ? 13U : 1U); divider++) {
			for (unsigned int mantissa = 0; mantissa < 256; mantissa++) {
				long double held = 2e6L * (256 + mantissa) / 256 *
				                   (long double)(UINT64_C(1) << exponent) /
				                   (long double)(UINT64_C(1) << divider);

				if (held < (long double)rate_bit_s + 1 && held > best)
					best = held;
			}
		}
	}
	return (uint64_t)best;
}

static void
test_float_by_trying(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t i = 0; i < 200; i++) {
		uint64_t rate = weir_random_between(&random, MBIT, 130 * GBIT);
		uint64_t got;

		rate >>= weir_random_below(&random, 17);
		rate = rate / 8 * 8;
		if (rate < 10000)
			continue;
		got = result("net_cn10k", true, rate);
		CU_ASSERT(got == best_float(rate) || got == best_float(rate) + 1);
	}
}

/* A limiter as a probe would make it of a row that gives no numbers of its own. */
static struct weir_limiter
limiter_of(const struct weir_limiter_driver *row, uint64_t link_bit_s)
{
	struct weir_limiter limiter;

	memset(&limiter, 0, sizeof(limiter));
	limiter.ops = row->tm ? &weir_limiter_tm : &weir_limiter_queue;
	limiter.driver = row;
	limiter.link_bit_s = link_bit_s;
	limiter.capabilities.min_bit_s = row->min_bit_s;
	limiter.capabilities.max_bit_s = link_bit_s;
	if (row->max_bit_s != 0 && row->max_bit_s < link_bit_s)
		limiter.capabilities.max_bit_s = row->max_bit_s;
	return limiter;
}

/* Everything that is promised of one rate. Returns what it is rounded to. */
static uint64_t
check_rate(const struct weir_limiter *limiter, uint64_t rate_bit_s)
{
	const struct weir_limiter_driver *row = limiter->driver;
	uint64_t unit = row->tm ? 8 : MBIT;
	uint64_t rounded = weir_limiter_round(limiter, rate_bit_s);
	uint64_t wanted = RTE_MIN(rate_bit_s, limiter->capabilities.max_bit_s);
	uint64_t value = weir_limiter_driver_value(row, wanted, limiter->link_bit_s);

	if (value != 0) {
		uint64_t gives = weir_limiter_driver_result(row, value * unit, limiter->link_bit_s);
		uint64_t next =
		    weir_limiter_driver_result(row, (value + 1) * unit, limiter->link_bit_s);

		CU_ASSERT(gives > 0 && gives <= rate_bit_s);
		/* It is not more than was asked, and there was no better one. */
		CU_ASSERT(value * unit <= rate_bit_s);
		CU_ASSERT(next == 0 || next > wanted || (value + 1) * unit > wanted);
		CU_ASSERT(rounded == 0 || rounded == gives);
	}
	if (rounded == 0)
		return 0;
	CU_ASSERT(rounded <= rate_bit_s);
	CU_ASSERT((weir_u128)(rate_bit_s - rounded) * 1000000 <=
	          (weir_u128)rate_bit_s * WEIR_LIMITER_LOSS_PPM);
	CU_ASSERT(value != 0);
	return rounded;
}

static uint32_t
check_row(const struct weir_limiter_driver *row, uint64_t link_bit_s, struct weir_random *random)
{
	struct weir_limiter limiter = limiter_of(row, link_bit_s);
	uint64_t max = limiter.capabilities.max_bit_s, min = row->min_bit_s;
	const uint64_t edges[] = {
	    0,
	    1,
	    7,
	    8,
	    MBIT - 1,
	    MBIT,
	    MBIT + 1,
	    9 * MBIT,
	    min - 1,
	    min,
	    min + 1,
	    max - 1,
	    max,
	    max + 1,
	    max + MBIT,
	    max * 2,
	    link_bit_s / 1023,
	    link_bit_s / 2,
	    link_bit_s - 1,
	    link_bit_s,
	    1000 * GBIT,
	    UINT64_MAX,
	};
	uint32_t held = 0;

	for (size_t i = 0; i < WEIR_TEST_COUNT(edges); i++)
		(void)check_rate(&limiter, edges[i]);
	for (uint32_t i = 0; i < ROUNDS / 16; i++) {
		uint64_t rate =
		    weir_random_between(random, MBIT, 1000 * GBIT) >> weir_random_below(random, 20);
		uint64_t more = weir_random_below(random, rate / 50 + 1), first, second;

		rate = rate < MBIT ? MBIT : rate;
		first = check_rate(&limiter, rate);
		second = check_rate(&limiter, rate + more);
		CU_ASSERT(first == 0 || second == 0 || second >= first);
		held += first != 0;
	}
	return held;
}

static void
test_rounding(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint32_t n;
	const struct weir_limiter_driver *rows = weir_limiter_drivers(&n);

	for (uint32_t i = 0; i < n + 2; i++) {
		const struct weir_limiter_driver *row =
		    i < n ? &rows[i] : weir_limiter_driver_find("", i == n);
		uint32_t held = 0;

		if (row->arithmetic == WEIR_LIMITER_ARITHMETIC_NONE)
			continue;
		for (size_t j = 0; j < WEIR_TEST_COUNT(links_bit_s); j++)
			held += check_row(row, links_bit_s[j], &random);
		/* It does hold many of them: some a tenth, most a half. */
		CU_ASSERT(held > ROUNDS / 16);
	}
}

/* What an operator will write, on 10 Gbit/s. */
static void
test_rounding_examples(void)
{
	/* All whole rates below 100 Mbit/s that it holds well enough, as README has them. */
	static const uint64_t held[] = {10, 16, 20, 25, 32, 40, 50, 64, 80};
	struct weir_limiter limiter =
	    limiter_of(weir_limiter_driver_find("net_ixgbe", false), 10 * GBIT);
	size_t next = 0;

	for (uint64_t mbit = 1; mbit < 100; mbit++) {
		bool is_held = next < WEIR_TEST_COUNT(held) && held[next] == mbit;

		CU_ASSERT_EQUAL(weir_limiter_round(&limiter, mbit * MBIT) > 0, is_held);
		next += is_held ? 1 : 0;
	}
	for (uint64_t mbit = 100; mbit <= 10000; mbit++)
		CU_ASSERT(weir_limiter_round(&limiter, mbit * MBIT) > 0);
	CU_ASSERT_EQUAL(weir_limiter_driver_result(limiter.driver, 60 * MBIT, 10 * GBIT), 60000015);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 9 * MBIT), 0);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 10 * MBIT), 10 * MBIT);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 10 * MBIT + 500000), 0); /* loses 5 % */
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 30 * MBIT), 0);          /* 30.000002 or 29 */
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 300 * MBIT), 299000473);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 5 * GBIT), 5 * GBIT);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 11 * GBIT), 0); /* more than the link */
	limiter = limiter_of(weir_limiter_driver_find("net_ice", true), 10 * GBIT);
	CU_ASSERT(weir_limiter_round(&limiter, 10 * GBIT) > 9900 * MBIT);
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, 503999), 0);
	limiter.ops = &weir_limiter_soft;
	limiter.capabilities.max_bit_s = 0;
	CU_ASSERT_EQUAL(weir_limiter_round(&limiter, GBIT), 0);
}

static struct weir_limiter opened;
static char why[512];

/* Opens for one sender unless said otherwise. Returns the result; opened and why tell the rest. */
static int
open_as(const char *driver, enum weir_limiter_kind wanted, uint16_t n_queues, uint16_t n_senders)
{
	struct weir_port port = box_port(driver);

	return weir_limiter_open(&port, wanted, n_queues, n_senders, 10 * GBIT, &opened, why,
	                         sizeof(why));
}

static enum weir_limiter_kind
kind_of(const char *driver, enum weir_limiter_kind wanted)
{
	enum weir_limiter_kind kind;

	if (open_as(driver, wanted, 8, 1) != 0)
		return WEIR_LIMITER_AUTO;
	kind = opened.ops->kind;
	weir_limiter_close(&opened);
	CU_ASSERT_PTR_NULL(opened.ops);
	return kind;
}

static void
test_choice(void)
{
	box_reset(8);
	/* Neither interface. */
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_AUTO), WEIR_LIMITER_SOFT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "tm: the driver has no rte_tm; queue: the driver has"));
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_TM), WEIR_LIMITER_AUTO);
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_QUEUE), WEIR_LIMITER_AUTO);
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_SOFT), WEIR_LIMITER_SOFT);
	CU_ASSERT_STRING_EQUAL(why, "the policy says so");
	/* The other one only. */
	box.set_result = 0;
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_AUTO), WEIR_LIMITER_QUEUE);
	CU_ASSERT_STRING_EQUAL(why, "");
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_TM), WEIR_LIMITER_AUTO);
	/* Both: rte_tm, unless its row says that it is of no use. */
	box_add_tm(3);
	box.refuses_adjust = box.refuses_burst = true;
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_AUTO), WEIR_LIMITER_TM);
	CU_ASSERT_STRING_EQUAL(why, "");
	CU_ASSERT_EQUAL(kind_of("net_virtio", WEIR_LIMITER_QUEUE), WEIR_LIMITER_QUEUE);
	CU_ASSERT_EQUAL(kind_of("net_ixgbe", WEIR_LIMITER_AUTO), WEIR_LIMITER_QUEUE);
	CU_ASSERT_EQUAL(kind_of("net_ixgbe", WEIR_LIMITER_TM), WEIR_LIMITER_AUTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "tm: net_ixgbe: the same limits as by queue"));
	CU_ASSERT_EQUAL(kind_of("net_iavf", WEIR_LIMITER_TM), WEIR_LIMITER_AUTO);
	CU_ASSERT_EQUAL(kind_of("net_ice", WEIR_LIMITER_AUTO), WEIR_LIMITER_TM);
	box.levels[2].leaf.shaper_private_supported = 0;
	CU_ASSERT_EQUAL(kind_of("net_cn10k", WEIR_LIMITER_AUTO), WEIR_LIMITER_TM);
	box.levels[1].nonleaf.shaper_private_supported = 0;
	CU_ASSERT_EQUAL(kind_of("net_cn10k", WEIR_LIMITER_AUTO), WEIR_LIMITER_QUEUE);
}

/* All of them, whatever else the port offers. */
static void
test_useless_rows(void)
{
	uint32_t n, useless = 0;
	const struct weir_limiter_driver *rows = weir_limiter_drivers(&n);

	box_reset(8);
	box_add_tm(3);
	box.set_result = 0;
	for (uint32_t i = 0; i < n; i++) {
		enum weir_limiter_kind kind = rows[i].tm ? WEIR_LIMITER_TM : WEIR_LIMITER_QUEUE;

		if (rows[i].usable)
			continue;
		useless++;
		CU_ASSERT_EQUAL(kind_of(rows[i].driver, kind), WEIR_LIMITER_AUTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, rows[i].help));
		CU_ASSERT_NOT_EQUAL(kind_of(rows[i].driver, WEIR_LIMITER_AUTO), kind);
	}
	CU_ASSERT(useless >= 8);
}

static void
test_choice_queues(void)
{
	box_reset(8);
	box.set_result = 0;
	/* One queue: it is the one that is never limited. */
	box.nb_queues = 1;
	CU_ASSERT_EQUAL(open_as("net_ixgbe", WEIR_LIMITER_AUTO, 1, 1), 0);
	CU_ASSERT_EQUAL(opened.ops->kind, WEIR_LIMITER_SOFT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "no queue to limit"));
	CU_ASSERT_EQUAL(box.sets, 0);
	weir_limiter_close(&opened);
	/* Two workers send: a limit of one queue would hold for each of them. */
	box.nb_queues = 8;
	CU_ASSERT_EQUAL(open_as("net_ixgbe", WEIR_LIMITER_AUTO, 4, 2), 0);
	CU_ASSERT_EQUAL(opened.ops->kind, WEIR_LIMITER_SOFT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "several workers"));
	weir_limiter_close(&opened);
	CU_ASSERT_EQUAL(open_as("net_ixgbe", WEIR_LIMITER_QUEUE, 4, 2), -ENOTSUP);
	CU_ASSERT_PTR_NULL(opened.ops);
	/* A port with queues that nobody speaks of. */
	box_add_tm(3);
	CU_ASSERT_EQUAL(open_as("net_virtio", WEIR_LIMITER_TM, 7, 1), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "8 send queues"));
	/* No memory is no reason to go on without limits. */
	box_no_memory = true;
	CU_ASSERT_EQUAL(open_as("net_virtio", WEIR_LIMITER_AUTO, 8, 1), -ENOMEM);
	box_no_memory = false;
	weir_limiter_close(&opened);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ixgbe", WEIR_LIMITER_AUTO, 1), 64);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ixgbe", WEIR_LIMITER_AUTO, 2), 1);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ixgbe", WEIR_LIMITER_TM, 1), 1);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ixgbe", WEIR_LIMITER_SOFT, 1), 1);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ice", WEIR_LIMITER_AUTO, 1), 56);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ice", WEIR_LIMITER_AUTO, 2), 7);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ice", WEIR_LIMITER_AUTO, 9), 1);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_ice", WEIR_LIMITER_QUEUE, 1), 64);
	CU_ASSERT_EQUAL(weir_limiter_queues("net_cn10k", WEIR_LIMITER_AUTO, 4), 64);
}

static bool
completions_of(const char *driver)
{
	bool known;

	CU_ASSERT_EQUAL(open_as(driver, WEIR_LIMITER_QUEUE, 8, 1), 0);
	known = opened.capabilities.completions;
	weir_limiter_close(&opened);
	return known;
}

/* Only where the driver was read, and the port is set up for it. */
static void
test_completions(void)
{
	box_reset(8);
	box.set_result = 0;
	CU_ASSERT(completions_of("net_ixgbe"));
	CU_ASSERT(!completions_of("net_txgbe"));
	CU_ASSERT(!completions_of("net_virtio"));
	box.completions = false;
	CU_ASSERT(!completions_of("net_ixgbe"));
}

static void
test_set(void)
{
	char error[128] = "";

	box_reset(8);
	box.set_result = 0;
	CU_ASSERT_EQUAL_FATAL(open_as("net_ixgbe", WEIR_LIMITER_AUTO, 8, 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&opened, 1, 9 * MBIT, 20000), -ERANGE);
	CU_ASSERT_EQUAL(opened.programmed_bit_s[1], 0);
	CU_ASSERT(!opened.changed);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&opened, 1, 300 * MBIT, 20000), 0);
	CU_ASSERT_EQUAL(opened.programmed_bit_s[1], 299000473);
	CU_ASSERT_EQUAL(box.set_mbit_s[1], 299);
	/* A rate that can't be held leaves the old one alone. */
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&opened, 1, 9 * MBIT, 20000), -ERANGE);
	CU_ASSERT_EQUAL(opened.programmed_bit_s[1], 299000473);
	CU_ASSERT_EQUAL(weir_limiter_commit(&opened, error, sizeof(error)), 0);
	CU_ASSERT(!opened.changed);
	/* After a failure nothing is known. */
	box.set_result = -EIO;
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&opened, 1, GBIT, 20000), -EIO);
	CU_ASSERT_EQUAL(opened.programmed_bit_s[1], 0);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&opened, GBIT, 20000), -ENOTSUP);
	weir_limiter_close(&opened);
	CU_ASSERT_EQUAL(open_as("net_virtio", WEIR_LIMITER_SOFT, 8, 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&opened, 1, GBIT, 20000), -ERANGE);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&opened, GBIT, 20000), -ENOTSUP);
	CU_ASSERT_EQUAL(opened.ops->program_queue(&opened, 1, GBIT, 20000), -ENOTSUP);
	CU_ASSERT_EQUAL(opened.ops->verify(&opened, 1, &opened.port_bit_s), -ENOTSUP);
	CU_ASSERT_EQUAL(weir_limiter_commit(&opened, error, sizeof(error)), 0);
	weir_limiter_close(&opened);
}

static void
test_describe(void)
{
	char line[400], small[24];

	box_reset(8);
	box.set_result = 0;
	CU_ASSERT_EQUAL_FATAL(open_as("net_ixgbe", WEIR_LIMITER_AUTO, 8, 1), 0);
	opened.ops->describe(&opened, line, sizeof(line));
	CU_ASSERT_STRING_EQUAL(line,
	                       "queue (rte_eth_set_queue_rate_limit): 8 queues, 10 Mbit/s to 10 "
	                       "Gbit/s each, a change disturbs nothing, departures known; known of "
	                       "it: wiped-at-start, stale-speed");
	for (size_t size = 1; size <= sizeof(small); size++) {
		memset(small, 'x', sizeof(small));
		opened.ops->describe(&opened, small, size);
		CU_ASSERT_EQUAL(strncmp(small, line, size - 1), 0);
		CU_ASSERT_EQUAL(small[size - 1], '\0');
	}
	weir_limiter_close(&opened);
	box_add_tm(5);
	CU_ASSERT_EQUAL_FATAL(open_as("net_ice", WEIR_LIMITER_AUTO, 8, 1), 0);
	opened.ops->describe(&opened, line, sizeof(line));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "tm (rte_tm): 8 queues, 504 kbit/s to 10 Gbit/s each, "
	                                    "burst 15360 bytes, a change stops all queues"));
	weir_limiter_close(&opened);
	CU_ASSERT_EQUAL_FATAL(open_as("net_ice", WEIR_LIMITER_SOFT, 8, 1), 0);
	opened.ops->describe(&opened, line, sizeof(line));
	CU_ASSERT_EQUAL(strncmp(line, "soft: ", 6), 0);
	weir_limiter_close(&opened);
}

static const struct weir_test tests[] = {
    {"each driver and interface has one row that makes sense", test_table},
    {"quirks and kinds have names", test_words},
    {"arithmetic: the registers' own, by hand", test_arithmetic},
    {"arithmetic: cnxk's register, by trying all of its values", test_float_by_trying},
    {"rounding: never more than asked, never 0, little lost, in order", test_rounding},
    {"rounding: examples", test_rounding_examples},
    {"the interface is chosen by what is there and what is known", test_choice},
    {"rows that are of no use are refused", test_useless_rows},
    {"the interface is chosen by the queues", test_choice_queues},
    {"departures are believed only where they can be", test_completions},
    {"what is set is what is told to be programmed", test_set},
    {"a line for the operator", test_describe},
};

int
main(void)
{
	return weir_test_run("limiter", tests, WEIR_TEST_COUNT(tests));
}
