/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A witness in memory, seen as the ledger sees one, that answers when the test lets it: at once,
 * after a while, with an error, or never. It outlives the processes that ask it.
 */
#ifndef WEIR_TESTS_SIM_WITNESS_SIM_H
#define WEIR_TESTS_SIM_WITNESS_SIM_H

#include "drivers/witness.h"

#include <stdbool.h>

struct weir_witness_sim {
	struct weir_witness_line line;
	uint64_t value;
	uint64_t advances;
	bool under_way;
	uint64_t asked_value;
	/* The test's: */
	uint32_t looks_needed; /* that many calls of result say -EAGAIN first */
	int error;             /* of each request from now on; 0: they go well */
	bool error_after;      /* it fails after the counter has moved: the answer is lost */
	bool hangs;            /* no answer, and result does not wait */
	uint32_t looks;
};

void weir_witness_sim_init(struct weir_witness_sim *sim, uint64_t value);

/* The line for a new process. What was under way is lost, or happens: as applied says. */
struct weir_witness_line *weir_witness_sim_attach(struct weir_witness_sim *sim, bool applied);

#endif
