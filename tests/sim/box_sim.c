/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/box_sim.h"

#include "control/ledger_format.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_RATE_BIT_S UINT64_C(10000000000000) /* so that grants are never held down by it */

static void *
need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

struct weir_box *
weir_box_new_witnessed(uint64_t seed, struct weir_witness_sim *witness)
{
	struct weir_box *box = need(calloc(1, sizeof(*box)));

	box->disk = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, seed);
	box->config.budgets = box->budgets;
	box->config.classes = box->classes;
	box->frame_bytes = 1;
	box->true_ns = 1000 * WEIR_NS_PER_S;
	box->witness = witness;
	weir_ledger_key_make("box", &box->key);
	if (weir_ledger_commission(weir_disk_sim_attach(box->disk), &box->key,
	                           witness == NULL ? WEIR_WITNESS_NONE : WEIR_WITNESS_FILE,
	                           witness == NULL ? 0 : witness->value, NULL, 0) != 0)
		abort();
	return box;
}

struct weir_box *
weir_box_new(uint64_t seed)
{
	return weir_box_new_witnessed(seed, NULL);
}

void
weir_box_free(struct weir_box *box)
{
	if (box->ledger != NULL)
		weir_box_kill(box);
	for (uint32_t i = 0; i < WEIR_BOX_BUDGETS; i++)
		free(box->sent[i]);
	weir_disk_sim_free(box->disk);
	free(box);
}

uint32_t
weir_box_add_budget(struct weir_box *box, const char *name, uint32_t parent)
{
	struct weir_config_budget *budget = &box->budgets[box->config.n_budgets];

	assert(box->config.n_budgets < WEIR_BOX_BUDGETS);
	memset(budget, 0, sizeof(*budget));
	snprintf(budget->name, sizeof(budget->name), "%s", name);
	budget->parent = parent;
	box->classes[box->config.n_budgets].budget = box->config.n_budgets;
	box->classes[box->config.n_budgets].rate_bit_s = CLASS_RATE_BIT_S;
	return box->config.n_budgets++;
}

void
weir_box_add_cap(struct weir_box *box, uint32_t position, uint64_t limit_bytes, uint64_t window_ns)
{
	struct weir_config_budget *budget = &box->budgets[position];

	assert(budget->n_caps < WEIR_CAPS_MAX);
	budget->caps[budget->n_caps].limit_bytes = limit_bytes;
	budget->caps[budget->n_caps].window_ns = window_ns;
	budget->n_caps++;
}

static void
switch_off(struct weir_box *box)
{
	box->ledger = NULL;
	free(box->credit);
	free(box->worker);
	box->credit = NULL;
	box->worker = NULL;
}

int
weir_box_open(struct weir_box *box)
{
	struct weir_ledger_options options = {
	    .tuning = box->tuning,
	    .key = &box->key,
	    .appliance = "box",
	    .witness_every_bytes = box->witness_every_bytes,
	    .witness_interval_ns = box->witness_interval_ns,
	};

	assert(box->ledger == NULL);
	if (box->witness != NULL) {
		options.witness_kind = WEIR_WITNESS_FILE;
		options.witness_value = box->witness->value;
		options.witness = weir_witness_sim_attach(box->witness, false);
	}
	box->credit = need(calloc(1, sizeof(*box->credit)));
	box->worker = need(calloc(1, sizeof(*box->worker)));
	weir_credit_init(box->credit, &box->worker, 1);
	box->boot_ns = box->true_ns;
	box->refusal =
	    weir_ledger_open(box->instead != NULL ? box->instead : weir_disk_sim_attach(box->disk),
	                     box->credit, &options, &box->ledger, box->error, sizeof(box->error));
	if (box->refusal == WEIR_REFUSAL_NONE)
		return 0;
	switch_off(box);
	return -EBADMSG;
}

int
weir_box_apply(struct weir_box *box)
{
	box->config.n_classes = box->config.n_budgets;
	return weir_ledger_set_policy(box->ledger, &box->config, box->true_ns - box->boot_ns,
	                              box->ids);
}

void
weir_box_kill(struct weir_box *box)
{
	weir_ledger_close(box->ledger);
	switch_off(box);
}

void
weir_box_power_cut(struct weir_box *box)
{
	weir_disk_sim_power_cut(box->disk);
	weir_box_kill(box);
}

int
weir_box_finish(struct weir_box *box)
{
	int rc;

	for (uint32_t i = 0; i < WEIR_BUDGETS_MAX; i++)
		weir_credit_return(box->credit, 0, i);
	rc = weir_ledger_finish(box->ledger, box->true_ns - box->boot_ns);
	weir_box_kill(box);
	return rc;
}

void
weir_box_tick(struct weir_box *box, uint64_t pass_ns)
{
	box->true_ns += pass_ns;
	weir_ledger_tick(box->ledger, box->true_ns - box->boot_ns);
}

static void
record(struct weir_box *box, uint32_t position, uint64_t bytes)
{
	box->sent_bytes[position] += bytes;
	if (box->n_sent[position] == box->sent_room[position]) {
		box->sent_room[position] = box->sent_room[position] * 2 + 64;
		box->sent[position] = need(realloc(
		    box->sent[position], box->sent_room[position] * sizeof(*box->sent[position])));
	}
	box->sent[position][box->n_sent[position]++] =
	    (struct weir_box_sent){.time_ns = box->true_ns, .bytes = bytes};
}

uint64_t
weir_box_send(struct weir_box *box, uint32_t position, uint64_t bytes)
{
	uint16_t path[WEIR_PATH_MAX];
	uint32_t n_path = 0, short_of;
	uint64_t sent = 0, held = 0;

	for (uint32_t at = position; at != WEIR_ANY; at = box->budgets[at].parent)
		path[n_path++] = (uint16_t)box->ids[at];
	bytes -= bytes % box->frame_bytes;
	while (sent < bytes) {
		uint64_t part = bytes - sent;

		/* Each budget of the path may be shorter than the one before. */
		while (part > 0 &&
		       !weir_credit_charge(box->credit, 0, path, n_path, part, &short_of, &held))
			part = held - held % box->frame_bytes;
		if (part == 0)
			break;
		weir_credit_settle(box->credit, 0, path, n_path, part, 0);
		sent += part;
	}
	for (uint32_t at = position; sent > 0 && at != WEIR_ANY; at = box->budgets[at].parent)
		record(box, at, sent);
	return sent;
}

struct weir_ledger_budget_status
weir_box_budget(const struct weir_box *box, uint32_t position)
{
	struct weir_ledger_budget_status status;

	weir_ledger_get_budget(box->ledger, box->ids[position], &status);
	return status;
}

uint64_t
weir_box_window_max(const struct weir_box *box, uint32_t position, uint64_t window_ns)
{
	const struct weir_box_sent *sent = box->sent[position];
	uint64_t sum = 0, most = 0;
	size_t first = 0;

	/* A window is fullest when it ends with a sending. */
	for (size_t i = 0; i < box->n_sent[position]; i++) {
		sum += sent[i].bytes;
		while (sent[first].time_ns + window_ns <= sent[i].time_ns)
			sum -= sent[first++].bytes;
		if (sum > most)
			most = sum;
	}
	return most;
}

static const char *
broken(struct weir_box *box, uint32_t position, const char *what, uint64_t sent, uint64_t bound)
{
	snprintf(box->error, sizeof(box->error), "budget %s: sent %" PRIu64 ", but %s %" PRIu64,
	         box->budgets[position].name, sent, what, bound);
	return box->error;
}

const char *
weir_box_check(struct weir_box *box)
{
	for (uint32_t i = 0; i < box->config.n_budgets; i++) {
		const struct weir_config_budget *budget = &box->budgets[i];
		struct weir_ledger_budget_status status;

		for (uint32_t k = 0; k < budget->n_caps; k++) {
			const struct weir_config_cap *cap = &budget->caps[k];
			uint64_t sent = cap->window_ns == 0
			                    ? box->sent_bytes[i]
			                    : weir_box_window_max(box, i, cap->window_ns);

			if (sent > cap->limit_bytes)
				return broken(box, i, "the cap is", sent, cap->limit_bytes);
		}
		if (box->ledger == NULL)
			continue;
		status = weir_box_budget(box, i);
		if (box->sent_bytes[i] > status.granted_bytes)
			return broken(box, i, "granted are", box->sent_bytes[i],
			              status.granted_bytes);
	}
	return NULL;
}
