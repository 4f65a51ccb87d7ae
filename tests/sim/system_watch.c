/* SPDX-License-Identifier: BSD-3-Clause */
/* What the simulation reads of the ledger's records by itself, and holds against what it says. */
#include "control/ledger_format.h"
#include "tests/sim/system_sim.h"

#include <string.h>

/* Offsets in a record, as ledger_format.h describes it. */
#define AT_KIND     12U
#define AT_SEQUENCE 16U
#define AT_BUDGETS  156U

static uint64_t
read_number(const uint8_t *data, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = bytes; i-- > 0;)
		value = value << 8 | data[i];
	return value;
}

static uint32_t
count_budgets(const uint8_t *data)
{
	uint64_t n = read_number(data + AT_BUDGETS, 4);

	return n < WEIR_SIM_BUDGETS ? (uint32_t)n : WEIR_SIM_BUDGETS;
}

static const uint8_t *
grant_of(const uint8_t *data, uint32_t id)
{
	return data + WEIR_LEDGER_HEADER_BYTES + (size_t)id * WEIR_LEDGER_GRANT_BYTES;
}

/* The most that may be charged for a budget is a bound that was once asked to be written. */
static void
on_written(void *arg, const void *data, size_t bytes, uint64_t offset)
{
	struct weir_system *system = arg;
	const uint8_t *record = data;

	(void)bytes;
	(void)offset;
	if (read_number(record + AT_KIND, 4) != WEIR_LEDGER_GRANTS)
		return;
	for (uint32_t id = 0; id < count_budgets(record); id++) {
		uint64_t bound = read_number(grant_of(record, id) + 16, 8);

		uint64_t grant = read_number(grant_of(record, id) + 8, 8);

		if (bound > system->top_bytes[id])
			system->top_bytes[id] = bound;
		/* At a clean stop grants shrink to what was spent; it may be durable at once. */
		if (grant < system->durable_bytes[id])
			system->durable_bytes[id] = grant;
	}
}

static void
on_synced(void *arg)
{
	struct weir_system *system = arg;
	uint8_t records[2][WEIR_LEDGER_BLOCK_BYTES];
	const uint8_t *newest = records[0];

	if (!system->traits.honest)
		return;
	for (uint32_t i = 0; i < 2; i++)
		weir_disk_sim_peek_durable(system->disk, records[i], sizeof(records[i]),
		                           weir_ledger_slot_offset(WEIR_LEDGER_GRANTS, i));
	if (read_number(records[1] + AT_SEQUENCE, 8) > read_number(newest + AT_SEQUENCE, 8))
		newest = records[1];
	for (uint32_t id = 0; id < count_budgets(newest); id++)
		system->durable_bytes[id] = read_number(grant_of(newest, id) + 8, 8);
}

void
weir_system_watch_disk(struct weir_system *system)
{
	weir_disk_sim_watch(system->disk,
	                    &(struct weir_disk_watch){.arg = system,
	                                              .during = weir_system_during_disk,
	                                              .written = on_written,
	                                              .synced = on_synced});
}

static void
check_charge(struct weir_system *system, uint32_t number)
{
	struct weir_ledger_budget_status status;
	uint64_t sent = system->tape.budgets[number].sent_bytes;
	uint32_t id = system->ids[number];
	char name[WEIR_NAME_SIZE];

	weir_sim_budget_name(number, name);
	if (strcmp(weir_ledger_get_name(system->ledger, id), name) != 0) {
		weir_system_fail(system, "%s has become %s", name,
		                 weir_ledger_get_name(system->ledger, id));
		return;
	}
	weir_ledger_get_budget(system->ledger, id, &status);
	weir_tape_mix(&system->tape, status.charged_bytes);
	if (status.charged_bytes < sent)
		weir_system_fail(system, "%s: sent %" PRIu64 ", but a start charges %" PRIu64, name,
		                 sent, status.charged_bytes);
	if (system->traits.honest && status.charged_bytes < system->durable_bytes[id])
		weir_system_fail(system,
		                 "%s: granted durably were %" PRIu64 ", a start charges %" PRIu64,
		                 name, system->durable_bytes[id], status.charged_bytes);
	if (status.charged_bytes > system->top_bytes[id])
		weir_system_fail(system,
		                 "%s: a start charges %" PRIu64 ", but at most %" PRIu64
		                 " were ever outstanding",
		                 name, status.charged_bytes, system->top_bytes[id]);
	/* What was not seen to leave is forfeited; what was seen has left. */
	if (status.charged_bytes - status.forfeited_bytes > sent)
		weir_system_fail(system,
		                 "%s: charged %" PRIu64 ", of them %" PRIu64
		                 " forfeited, but sent only %" PRIu64,
		                 name, status.charged_bytes, status.forfeited_bytes, sent);
	if (status.forfeited_bytes < system->forfeited[number])
		weir_system_fail(system, "%s: forfeited were %" PRIu64 ", now %" PRIu64, name,
		                 system->forfeited[number], status.forfeited_bytes);
	system->found_forfeited[number] = status.forfeited_bytes;
	system->base_bytes[number] = status.charged_bytes;
	system->base_sent[number] = sent;
}

void
weir_system_check_charges(struct weir_system *system)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++)
		if (system->known[i])
			check_charge(system, i);
}
