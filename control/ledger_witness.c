/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_witness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

const char *
weir_witness_kind_name(enum weir_witness_kind kind)
{
	switch (kind) {
	case WEIR_WITNESS_NONE:
		return "none";
	case WEIR_WITNESS_FILE:
		return "file";
	case WEIR_WITNESS_TPM:
		return "tpm";
	}
	return "unknown";
}

enum weir_ledger_refusal
weir_ledger_witness_judge(uint64_t ledger_value, uint64_t value, uint64_t limit_bytes, char *error,
                          size_t error_size)
{
	if (ledger_value < value) {
		weir_u128 hidden = (weir_u128)(value - ledger_value) * limit_bytes + limit_bytes;
		uint64_t most = hidden > UINT64_MAX ? UINT64_MAX : (uint64_t)hidden;

		snprintf(error, error_size,
		         "rolled back: the witness stands at %" PRIu64
		         ", expected a ledger that says %" PRIu64 " or %" PRIu64
		         ", found one that says %" PRIu64
		         ": an older copy, which hides at most %" PRIu64 " bytes",
		         value, value, value + 1, ledger_value, most);
		return WEIR_REFUSAL_ROLLED_BACK;
	}
	if (ledger_value - value > 1) {
		snprintf(error, error_size,
		         "the ledger says %" PRIu64 ", expected its witness to stand at %" PRIu64
		         " or %" PRIu64 ", found it at %" PRIu64 ": it was put back or replaced",
		         ledger_value, ledger_value - 1, ledger_value, value);
		return WEIR_REFUSAL_WITNESS_BEHIND;
	}
	return WEIR_REFUSAL_NONE;
}

uint64_t
weir_ledger_witness_limit(uint64_t every_bytes)
{
	return weir_sat_add(every_bytes, every_bytes);
}

uint64_t
weir_ledger_witness_stamp(const struct weir_ledger_witness *witness)
{
	if (witness->kind == WEIR_WITNESS_NONE)
		return 0;
	return witness->state == WEIR_WITNESS_IDLE ? witness->value : witness->value + 1;
}

uint64_t
weir_ledger_witness_top(const struct weir_ledger_witness *witness)
{
	if (witness->kind == WEIR_WITNESS_NONE)
		return UINT64_MAX;
	return weir_sat_add(witness->base_bytes, weir_ledger_witness_limit(witness->every_bytes));
}

uint64_t
weir_ledger_witness_spare(struct weir_ledger_witness *witness, uint64_t root_grant_bytes)
{
	uint64_t base = witness->base_bytes;

	if (witness->kind == WEIR_WITNESS_NONE)
		return 0;
	if (witness->state == WEIR_WITNESS_WRITING && !witness->next_known) {
		witness->next_base_bytes = root_grant_bytes;
		witness->next_known = true;
	}
	if (witness->state != WEIR_WITNESS_IDLE)
		base = witness->next_base_bytes;
	return weir_sat_sub(weir_sat_add(base, weir_ledger_witness_limit(witness->every_bytes)),
	                    root_grant_bytes);
}

bool
weir_ledger_witness_due(const struct weir_ledger_witness *witness, uint64_t root_grant_bytes,
                        uint64_t clock_ns)
{
	if (witness->kind == WEIR_WITNESS_NONE || witness->state != WEIR_WITNESS_IDLE)
		return false;
	return witness->wanted_value > witness->value ||
	       weir_sat_sub(root_grant_bytes, witness->base_bytes) >= witness->every_bytes ||
	       clock_ns - witness->since_ns >= witness->interval_ns;
}

bool
weir_ledger_witness_is_late(const struct weir_ledger_witness *witness, uint64_t clock_ns)
{
	return witness->kind != WEIR_WITNESS_NONE && witness->state == WEIR_WITNESS_ASKED &&
	       clock_ns - witness->asked_ns >= WEIR_WITNESS_START_NS;
}

bool
weir_ledger_witness_again(const struct weir_ledger_witness *witness, uint64_t clock_ns)
{
	return witness->kind != WEIR_WITNESS_NONE && witness->state == WEIR_WITNESS_FAILED &&
	       clock_ns - witness->asked_ns >= WEIR_WITNESS_RETRY_NS;
}

void
weir_ledger_witness_begin(struct weir_ledger_witness *witness)
{
	assert(witness->kind != WEIR_WITNESS_NONE && witness->state == WEIR_WITNESS_IDLE);
	witness->state = WEIR_WITNESS_WRITING;
	witness->next_known = false;
}

void
weir_ledger_witness_asked(struct weir_ledger_witness *witness, uint64_t clock_ns)
{
	assert(witness->state == WEIR_WITNESS_WRITING || witness->state == WEIR_WITNESS_FAILED);
	witness->state = WEIR_WITNESS_ASKED;
	witness->asked_ns = clock_ns;
}

void
weir_ledger_witness_answered(struct weir_ledger_witness *witness, int answer, uint64_t clock_ns)
{
	assert(witness->state == WEIR_WITNESS_ASKED && answer != -EAGAIN);
	witness->error = answer;
	if (answer != 0) {
		witness->state = WEIR_WITNESS_FAILED;
		witness->asked_ns = clock_ns;
		witness->failures++;
		return;
	}
	witness->state = WEIR_WITNESS_IDLE;
	witness->value++;
	witness->base_bytes = witness->next_base_bytes;
	witness->since_ns = clock_ns;
}
