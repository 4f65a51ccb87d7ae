/* SPDX-License-Identifier: BSD-3-Clause */
/* No limits in hardware: the token buckets alone. */
#include "drivers/limiter.h"

#include <errno.h>
#include <stdio.h>

static int
probe(struct weir_limiter *limiter, char *error, size_t error_size)
{
	/* All rates round to 0: nothing is programmed. error keeps the reason. */
	(void)limiter;
	(void)error;
	(void)error_size;
	return 0;
}

static int
program_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t value, uint32_t burst_bytes)
{
	(void)limiter;
	(void)queue;
	(void)value;
	(void)burst_bytes;
	return -ENOTSUP;
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
	(void)limiter;
	snprintf(line, size, "soft: limits are kept by Weir's own token buckets, not by the NIC");
}

static void
release(struct weir_limiter *limiter)
{
	(void)limiter;
}

const struct weir_limiter_ops weir_limiter_soft = {
    .kind = WEIR_LIMITER_SOFT,
    .probe = probe,
    .program_queue = program_queue,
    .verify = verify,
    .describe = describe,
    .release = release,
};
