/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits by rte_eth_set_queue_rate_limit: what is asked of it, and what its answers lead to. */
#include "tests/unit/limiter_box.h"

#define QUEUES 8U

static struct weir_limiter limiter;
static char why[512];

static int
open_queue(const char *driver, uint16_t n_senders, uint64_t link_bit_s)
{
	struct weir_port port = box_port(driver);

	return weir_limiter_open(&port, WEIR_LIMITER_QUEUE, (uint16_t)(box.nb_queues / n_senders),
	                         n_senders, link_bit_s, &limiter, why, sizeof(why));
}

/* Opened for a driver that limits, on 10 Gbit/s. */
static void
open_good(const char *driver)
{
	box_reset(QUEUES);
	box.set_result = 0;
	CU_ASSERT_EQUAL_FATAL(open_queue(driver, 1, 10 * GBIT), 0);
}

/* The only way to ask is to set a limit: of the last queue, to the most that there is. */
static void
test_probe(void)
{
	open_good("net_ixgbe");
	CU_ASSERT_EQUAL(box.sets, 1);
	CU_ASSERT_EQUAL(box.set_last, QUEUES - 1);
	CU_ASSERT_EQUAL(box.set_mbit_s[QUEUES - 1], 10000);
	CU_ASSERT_EQUAL(limiter.capabilities.n_queues, QUEUES);
	CU_ASSERT_EQUAL(limiter.capabilities.min_bit_s, 10 * MBIT); /* 10000 / 1023 */
	CU_ASSERT_EQUAL(limiter.capabilities.max_bit_s, 10 * GBIT);
	CU_ASSERT_EQUAL(limiter.capabilities.step_bit_s, 0);
	CU_ASSERT_EQUAL(limiter.capabilities.uncounted_bytes, WEIR_WIRE_OVERHEAD_BYTES);
	CU_ASSERT_EQUAL(limiter.capabilities.change, WEIR_LIMITER_LIVE);
	CU_ASSERT(!limiter.capabilities.port_limit);
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[QUEUES - 1], 0);
	weir_limiter_close(&limiter);
	/* A register that holds less than the link's speed: its wrapping round would mean 0. */
	box_reset(QUEUES);
	box.set_result = 0;
	box.link_mbit_s = 40000;
	CU_ASSERT_EQUAL(open_queue("net_txgbe", 1, 40 * GBIT), 0);
	CU_ASSERT_EQUAL(box.set_mbit_s[QUEUES - 1], 16383);
	CU_ASSERT_EQUAL(limiter.capabilities.max_bit_s, 16383 * MBIT);
	CU_ASSERT_EQUAL(limiter.capabilities.step_bit_s, MBIT);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 1, 16384 * MBIT, 20000), 0);
	CU_ASSERT_EQUAL(box.set_mbit_s[1], 16383);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, 20 * GBIT, 20000), -ERANGE);
	CU_ASSERT_EQUAL(box.set_mbit_s[2], 0);
	weir_limiter_close(&limiter);
}

static void
refused(int result, const char *text)
{
	CU_ASSERT_EQUAL(result, -ENOTSUP);
	CU_ASSERT_PTR_NULL(limiter.ops);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, text));
}

static void
test_refusals(void)
{
	box_reset(QUEUES);
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "has no rate limits");
	box.set_result = -ENOSYS;
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "has no rate limits");
	box.set_result = -EINVAL;
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "a limit of 10000 Mbit/s: Invalid");
	box.set_result = -1; /* a driver's own number */
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "a limit of 10000 Mbit/s: Input/output");
	box.set_result = 5;
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "a limit of 10000 Mbit/s: Input/output");
	box.set_result = 0;
	refused(open_queue("net_ixgbe", 2, 10 * GBIT), "several workers");
	refused(open_queue("net_ixgbe", 1, 0), "speed is not known");
	/* It is not the speed any more that rates would be rounded for. */
	refused(open_queue("net_ixgbe", 1, GBIT), "speed is changing");
	box.link_up = false;
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "speed is changing");
	box.link_up = true;
	box.link_result = -EIO;
	refused(open_queue("net_ixgbe", 1, 10 * GBIT), "speed is changing");
	box.link_result = 0;
	box.link_mbit_s = RTE_ETH_SPEED_NUM_UNKNOWN;
	refused(open_queue("net_ixgbe", 1, UINT64_C(4294967295) * MBIT), "speed is changing");
}

/* All queues, and rates from the least to the most: never 0, never up. */
static void
test_program(void)
{
	static const char *const drivers[] = {"net_ixgbe", "net_txgbe", "net_cn9k", "net_virtio"};
	struct weir_random random = weir_random_make(weir_test_seed());

	for (size_t d = 0; d < WEIR_TEST_COUNT(drivers); d++) {
		uint32_t programmed = 0;

		open_good(drivers[d]);
		for (uint32_t i = 0; i < 500; i++) {
			uint16_t queue = (uint16_t)weir_random_below(&random, QUEUES);
			uint64_t rate = weir_random_between(&random, MBIT, 10 * GBIT) >>
			                weir_random_below(&random, 12);
			uint32_t before = box.sets;
			int result = weir_limiter_set_queue(&limiter, queue, rate, 20000);

			CU_ASSERT(result == 0 || result == -ERANGE);
			CU_ASSERT_EQUAL(box.sets, before + (result == 0));
			if (result != 0)
				continue;
			programmed++;
			CU_ASSERT_EQUAL(box.set_last, queue);
			CU_ASSERT_EQUAL(weir_limiter_driver_result(limiter.driver,
			                                           box.set_mbit_s[queue] * MBIT,
			                                           10 * GBIT),
			                limiter.programmed_bit_s[queue]);
			CU_ASSERT(limiter.programmed_bit_s[queue] <= rate);
		}
		CU_ASSERT(programmed > 100);
		weir_limiter_close(&limiter);
	}
}

/* A limit that was computed with the wrong speed is none. */
static void
test_speed_changes(void)
{
	open_good("net_ixgbe");
	box.link_changes_at = box.sets + 1;
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 1, 500 * MBIT, 20000), -EAGAIN);
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[1], 0);
	/* And not even tried from then on. */
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, 500 * MBIT, 20000), -EAGAIN);
	CU_ASSERT_EQUAL(box.set_mbit_s[2], 0);
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[2], 0);
	weir_limiter_close(&limiter);
	/* Made again for the new speed. */
	CU_ASSERT_EQUAL(open_queue("net_ixgbe", 1, GBIT), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, 500 * MBIT, 20000), 0);
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[2], 500 * MBIT);
	CU_ASSERT_EQUAL(box.set_mbit_s[2], 500);
	weir_limiter_close(&limiter);
}

static void
test_rest(void)
{
	uint64_t rate = 0;

	open_good("net_ixgbe");
	CU_ASSERT_PTR_NULL(limiter.ops->commit);
	CU_ASSERT_PTR_NULL(limiter.ops->program_port);
	CU_ASSERT_EQUAL(limiter.ops->verify(&limiter, 1, &rate), -ENOTSUP);
	/* Not a rate that the driver would turn into none. */
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 1, 999999, 20000), -ERANGE);
	CU_ASSERT_EQUAL(box.sets, 1);
	weir_limiter_close(&limiter);
}

static const struct weir_test tests[] = {
    {"the probe sets the last queue to the most there is", test_probe},
    {"what can't be had is refused with its reason", test_refusals},
    {"queues get what is told to be programmed", test_program},
    {"a limit that the link's speed ran away from is not programmed", test_speed_changes},
    {"there is no getter and no commit", test_rest},
};

int
main(void)
{
	return weir_test_run("limiter_queue", tests, WEIR_TEST_COUNT(tests));
}
