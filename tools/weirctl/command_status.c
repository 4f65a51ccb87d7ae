/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/command.h"
#include "tools/weirctl/format.h"
#include "tools/weirctl/status.h"

#include <inttypes.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
put(const char *text)
{
	weir_text_put(stdout, text, strlen(text), false);
}

static void
print_ledger(const struct weir_ledger_status *ledger)
{
	printf("ledger: start %" PRIu64 ", record %" PRIu64 ", %s forfeited by this start",
	       ledger->epoch, ledger->sequence, weir_format_bytes(ledger->forfeited_bytes).text);
	if (ledger->error != NULL) {
		printf("; FAILED: ");
		put(ledger->error);
	}
	printf("\nwitness: ");
	put(ledger->witness);
	if (strcmp(ledger->witness, "none") != 0) {
		printf(", stands at %" PRIu64, ledger->witness_value);
		if (ledger->witness_left_bytes != UINT64_MAX)
			printf(", %s may be granted before it must advance",
			       weir_format_bytes(ledger->witness_left_bytes).text);
	}
	if (ledger->witness_error != NULL) {
		printf("; FAILING (%" PRIu64 " since the start): ", ledger->witness_failures);
		put(ledger->witness_error);
	}
	putchar('\n');
}

/* How much of what the policy protects may be gone. */
static void
print_asset(const struct weir_asset_status *asset)
{
	if (asset->name == NULL)
		return;
	printf("asset: at most %.4f %% of ", asset->left_share * 100);
	put(asset->name);
	printf(" may have left: of %s, compressed %.15g times, to survive %s\n",
	       weir_format_bytes(asset->weights_bytes).text, asset->compression,
	       weir_format_duration(asset->survive_ns).text);
	if (asset->accept_risk != NULL) {
		printf("asset: RISK ACCEPTED, says the policy: ");
		put(asset->accept_risk);
		putchar('\n');
	}
}

/* A port that was stopped is not to be overlooked. */
static void
print_breaches(const struct weir_status *status)
{
	const json_t *port;
	size_t i;

	json_array_foreach (json_object_get(status->json, "ports"), i, port) {
		const char *name = json_string_value(json_object_get(port, "name"));

		if (name == NULL || !json_is_true(json_object_get(port, "breached")))
			continue;
		printf("port ");
		put(name);
		printf(": BREACHED: it sent what nobody charged, and is stopped until weir is "
		       "restarted\n");
	}
}

static void
print_links(const struct weir_status *status)
{
	static const struct weir_column columns[] = {
	    {"LINK", false},     {"DIRECTION", false}, {"RX FRAMES", true}, {"RX BYTES", true},
	    {"TX FRAMES", true}, {"TX BYTES", true},   {"DROPPED", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < status->n_links; i++) {
		for (int f = 0; f < WEIR_FLOWS; f++) {
			const struct weir_flow_status *flow = &status->links[i].flows[f];

			weir_table_cell(table, "%s", status->links[i].name);
			weir_table_cell(table, "%s", weir_flow_names[f]);
			weir_table_cell(table, "%" PRIu64, flow->rx_frames);
			weir_table_cell(table, "%s", weir_format_bytes(flow->rx_wire_bytes).text);
			weir_table_cell(table, "%" PRIu64, flow->tx_frames);
			weir_table_cell(table, "%s", weir_format_bytes(flow->tx_wire_bytes).text);
			weir_table_cell(table, "%" PRIu64, weir_status_dropped(flow));
		}
	}
	weir_table_print(table, stdout);
}

static void
print_drops(const struct weir_status *status)
{
	static const struct weir_column columns[] = {
	    {"LINK", false}, {"DIRECTION", false}, {"DROP REASON", false}, {"FRAMES", true}};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));
	const char *reason;
	json_t *frames;

	for (size_t i = 0; i < status->n_links; i++) {
		for (int f = 0; f < WEIR_FLOWS; f++) {
			json_object_foreach (status->links[i].flows[f].dropped, reason, frames) {
				if (json_integer_value(frames) == 0)
					continue;
				weir_table_cell(table, "%s", status->links[i].name);
				weir_table_cell(table, "%s", weir_flow_names[f]);
				weir_table_cell(table, "%s", reason);
				weir_table_cell(table, "%" JSON_INTEGER_FORMAT,
				                json_integer_value(frames));
			}
		}
	}
	weir_table_print(table, stdout);
}

static void
print_classes(const struct weir_status *status)
{
	static const struct weir_column columns[] = {
	    {"CLASS", false},   {"RATE", true},   {"BURST", true},   {"TX FRAMES", true},
	    {"TX BYTES", true}, {"QUEUED", true}, {"DROPPED", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < status->n_classes; i++) {
		const struct weir_class_status *class = &status->classes[i];

		weir_table_cell(table, "%s", class->name);
		weir_table_cell(table, "%s", weir_format_rate(class->rate_bit_s).text);
		weir_table_cell(table, "%s", weir_format_bytes(class->burst_bytes).text);
		weir_table_cell(table, "%" PRIu64, class->tx_frames);
		weir_table_cell(table, "%s", weir_format_bytes(class->tx_wire_bytes).text);
		weir_table_cell(table, "%s", weir_format_bytes(class->queued_bytes).text);
		weir_table_cell(table, "%" PRIu64, class->dropped_frames);
	}
	weir_table_print(table, stdout);
}

static void
print_budgets(const struct weir_status *status)
{
	static const struct weir_column columns[] = {
	    {"BUDGET", false},   {"PARENT", false}, {"CHARGED", true},
	    {"FORFEITED", true}, {"CAP", true},     {"PER", false},
	    {"USED", true},      {"LEFT", true},    {"USED %", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < status->n_budgets; i++) {
		const struct weir_budget_status *budget = &status->budgets[i];
		const char *parent = budget->parent != NULL ? budget->parent : "-";

		/* A budget without caps of its own has one row all the same. */
		for (size_t c = 0; c == 0 || c < budget->n_caps; c++) {
			const struct weir_cap_status *cap = &budget->caps[c];
			bool none = budget->n_caps == 0;

			weir_table_cell(table, "%s", budget->name);
			weir_table_cell(table, "%s", parent);
			weir_table_cell(table, "%s",
			                weir_format_bytes(budget->charged_wire_bytes).text);
			weir_table_cell(table, "%s",
			                weir_format_bytes(budget->forfeited_wire_bytes).text);
			weir_table_cell(table, "%s",
			                none ? "-" : weir_format_bytes(cap->limit_bytes).text);
			weir_table_cell(table, "%s", none ? "-" : weir_status_window(cap).text);
			weir_table_cell(table, "%s",
			                none ? "-" : weir_format_bytes(cap->used_bytes).text);
			weir_table_cell(table, "%s",
			                none ? "-" : weir_format_bytes(cap->remaining_bytes).text);
			weir_table_cell(table, "%s",
			                none ? "-" : weir_status_used_percent(cap).text);
		}
	}
	weir_table_print(table, stdout);
}

enum weir_exit
weir_command_status(const struct weir_options *options)
{
	struct weir_error error;
	struct weir_status *status = weir_status_get(options->socket, &error);

	if (status == NULL)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	if (options->json) {
		weir_command_print_json(json_incref(status->json), false);
	} else {
		weir_status_print_head(status, stdout);
		print_asset(&status->asset);
		print_ledger(&status->ledger);
		print_breaches(status);
		putchar('\n');
		print_links(status);
		putchar('\n');
		print_drops(status);
		putchar('\n');
		print_classes(status);
		putchar('\n');
		print_budgets(status);
	}
	weir_status_free(status);
	return WEIR_EXIT_OK;
}
