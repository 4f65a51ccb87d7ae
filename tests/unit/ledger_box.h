/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ledger's tests share: a box with one budget, and how to flood it. */
#ifndef WEIR_TESTS_UNIT_LEDGER_BOX_H
#define WEIR_TESTS_UNIT_LEDGER_BOX_H

#include "tests/sim/box_sim.h"

#define MS         WEIR_NS_PER_MS
#define S          WEIR_NS_PER_S
#define DAY        (86400 * S)

#define MUST(call) CU_ASSERT_EQUAL_FATAL((call), 0)

/* Asserts that nothing is broken, and prints what is. */
static inline void
check(struct weir_box *box)
{
	const char *what = weir_box_check(box);

	if (what != NULL)
		printf("    %s\n", what);
	CU_ASSERT_PTR_NULL(what);
}

/* A box with one budget and one cap, switched on. */
static inline struct weir_box *
one_cap(uint64_t limit_bytes, uint64_t window_ns, uint64_t grant_min_bytes)
{
	struct weir_box *box = weir_box_new(weir_test_seed());

	box->tuning.grant_min_bytes = grant_min_bytes;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_cap(box, 0, limit_bytes, window_ns);
	MUST(weir_box_open(box));
	MUST(weir_box_apply(box));
	return box;
}

/* Sends all that goes, ticking every millisecond, for so many ticks. */
static inline uint64_t
flood(struct weir_box *box, uint32_t position, uint32_t ticks)
{
	uint64_t sent = 0;

	for (uint32_t i = 0; i < ticks; i++) {
		weir_box_tick(box, MS);
		sent += weir_box_send(box, position, UINT64_C(1) << 40);
	}
	return sent;
}

#endif
