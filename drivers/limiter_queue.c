/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits by rte_eth_set_queue_rate_limit: a queue each, in whole Mbit/s, in force at once. ethdev
 * itself refuses what is above the link's speed as it last heard of it, and some drivers compute
 * with that speed: a limit that was set while it changed is not to be relied on.
 */
#include "drivers/limiter.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>

#define MBIT_BIT_S UINT64_C(1000000)

/* Whether the link still has the speed that rates are rounded for. */
static bool
link_is_same(const struct weir_limiter *limiter)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(limiter->port_id, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP &&
	       link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN &&
	       link.link_speed * MBIT_BIT_S == limiter->link_bit_s;
}

static int
set(const struct weir_limiter *limiter, uint16_t queue, uint64_t mbit_s)
{
	int result;

	/* ethdev lets the number of queues itself through as a queue. 0 would lift the limit. */
	assert(queue < limiter->n_queues && mbit_s > 0 && mbit_s <= UINT32_MAX);
	if (!link_is_same(limiter))
		return -EAGAIN;
	result = rte_eth_set_queue_rate_limit(limiter->port_id, queue, (uint32_t)mbit_s);
	if (result > 0 || result == -1) /* a driver's own number: it is no EPERM */
		return -EIO;
	/* Only now, because it may have changed in between. */
	return result == 0 && !link_is_same(limiter) ? -EAGAIN : result;
}

static int
fail(char *error, size_t error_size, const char *text, int result)
{
	snprintf(error, error_size, "%s", text);
	return result;
}

static int
probe(struct weir_limiter *limiter, char *error, size_t error_size)
{
	const struct weir_limiter_driver *row = limiter->driver;
	struct weir_limiter_capabilities *capabilities = &limiter->capabilities;
	uint64_t link_mbit_s = limiter->link_bit_s / MBIT_BIT_S, max_bit_s = row->max_bit_s;
	uint64_t value;
	int result;

	if (limiter->n_senders > 1)
		return fail(error, error_size,
		            "it limits one queue, and several workers send on the port", -ENOTSUP);
	if (link_mbit_s == 0)
		return fail(error, error_size, "the link's speed is not known", -ENOTSUP);
	if (max_bit_s == 0 || max_bit_s > limiter->link_bit_s)
		max_bit_s = limiter->link_bit_s;
	/* There is no way to ask but to set one. The link's speed is no limit, and can't be 0. */
	value = weir_limiter_driver_value(row, max_bit_s, limiter->link_bit_s);
	result = value == 0 ? -ENOTSUP : set(limiter, (uint16_t)(limiter->n_queues - 1), value);
	if (result == -ENOTSUP || result == -ENOSYS)
		return fail(error, error_size, "the driver has no rate limits", -ENOTSUP);
	if (result == -EAGAIN)
		return fail(error, error_size, "the link's speed is changing", -ENOTSUP);
	if (result != 0) {
		snprintf(error, error_size, "the driver refuses a limit of %llu Mbit/s: %s",
		         (unsigned long long)value, strerror(-result));
		return -ENOTSUP;
	}
	capabilities->n_queues = limiter->n_queues;
	capabilities->min_bit_s = row->min_bit_s;
	/* More than the integer part of a divider would lose its top. */
	if (row->arithmetic == WEIR_LIMITER_DIVIDER) {
		uint64_t most = (UINT64_C(1) << row->integer_bits) - 1;

		capabilities->min_bit_s = (link_mbit_s + most - 1) / most * MBIT_BIT_S;
	}
	capabilities->max_bit_s = max_bit_s;
	capabilities->step_bit_s = row->arithmetic == WEIR_LIMITER_STEPS ? row->step_bit_s : 0;
	capabilities->burst_bytes = row->burst_bytes;
	capabilities->uncounted_bytes = WEIR_WIRE_OVERHEAD_BYTES;
	capabilities->change = row->live ? WEIR_LIMITER_LIVE : WEIR_LIMITER_STOPS;
	return 0;
}

static int
program_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t mbit_s, uint32_t burst_bytes)
{
	(void)burst_bytes;
	return set(limiter, queue, mbit_s);
}

static int
verify(struct weir_limiter *limiter, uint16_t queue, uint64_t *rate_bit_s)
{
	(void)limiter;
	(void)queue;
	(void)rate_bit_s;
	return -ENOTSUP;
}

static void
describe(const struct weir_limiter *limiter, char *line, size_t size)
{
	weir_limiter_describe(limiter, "queue (rte_eth_set_queue_rate_limit)", line, size);
}

static void
release(struct weir_limiter *limiter)
{
	(void)limiter;
}

const struct weir_limiter_ops weir_limiter_queue = {
    .kind = WEIR_LIMITER_QUEUE,
    .probe = probe,
    .program_queue = program_queue,
    .verify = verify,
    .describe = describe,
    .release = release,
};
