/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl ledger show: what a ledger's file says, in the units of the other commands. */
#include "tools/weirctl/command.h"
#include "tools/weirctl/format.h"
#include "tools/weirctl/ledger_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One budget, as it stands at the ledger's clock. */
struct budget {
	char name[WEIR_NAME_SIZE];
	uint64_t charged_bytes; /* known as spent */
	uint64_t granted_bytes;
	uint64_t forfeited_bytes;
	uint32_t n_windows;
	struct {
		uint64_t window_ns, used_bytes;
	} windows[WEIR_CAPS_MAX];
};

/*
 * Windows are rolled to the ledger's clock. What is granted and not known as spent counts as used
 * in all of them: a start would count it so.
 */
static struct budget
read_budget(const struct weir_ledger_file *file, uint32_t i)
{
	const struct weir_ledger_budget *state = &file->recovered.budgets[i];
	const struct weir_ledger_grant *grant = &file->recovered.grants[i];
	uint64_t unspent = weir_sat_sub(grant->grant_bytes, state->spent_bytes);
	struct budget budget = {
	    .charged_bytes =
	        grant->spent_bytes > state->spent_bytes ? grant->spent_bytes : state->spent_bytes,
	    .granted_bytes = grant->grant_bytes,
	    .forfeited_bytes = state->forfeited_bytes,
	    .n_windows = state->n_windows,
	};

	if (state->name[0] != '\0')
		memcpy(budget.name, state->name, sizeof(budget.name));
	else
		snprintf(budget.name, sizeof(budget.name), "#%" PRIu32, i);
	for (uint32_t w = 0; w < state->n_windows; w++) {
		struct weir_window window = *state->windows[w];

		weir_window_roll(&window, file->recovered.clock_ns);
		budget.windows[w].window_ns = window.window_ns;
		budget.windows[w].used_bytes = weir_sat_add(window.used_bytes, unspent);
	}
	return budget;
}

static void
print_budgets(const struct weir_ledger_file *file)
{
	static const struct weir_column columns[] = {
	    {"BUDGET", false},   {"CHARGED", true}, {"GRANTED", true},
	    {"FORFEITED", true}, {"PER", false},    {"USED", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (uint32_t i = 0; i < file->recovered.n_budgets; i++) {
		struct budget budget = read_budget(file, i);

		/* A budget without windows has one row all the same. */
		for (uint32_t w = 0; w == 0 || w < budget.n_windows; w++) {
			bool none = w == budget.n_windows;

			weir_table_cell(table, "%s", budget.name);
			weir_table_cell(table, "%s", weir_format_bytes(budget.charged_bytes).text);
			weir_table_cell(
			    table, "%s",
			    file->has_grants ? weir_format_bytes(budget.granted_bytes).text : "-");
			weir_table_cell(
			    table, "%s",
			    file->has_state ? weir_format_bytes(budget.forfeited_bytes).text : "-");
			weir_table_cell(
			    table, "%s",
			    none ? "-" : weir_format_duration(budget.windows[w].window_ns).text);
			weir_table_cell(
			    table, "%s",
			    none ? "-" : weir_format_bytes(budget.windows[w].used_bytes).text);
		}
	}
	weir_table_print(table, stdout);
}

static json_t *
budgets_json(const struct weir_ledger_file *file)
{
	json_t *budgets = weir_command_json(json_array());

	for (uint32_t i = 0; i < file->recovered.n_budgets; i++) {
		struct budget budget = read_budget(file, i);
		char *name = weir_text_clean(budget.name, strlen(budget.name), false);
		json_t *windows = weir_command_json(json_array()), *json;

		for (uint32_t w = 0; w < budget.n_windows; w++) {
			json = weir_command_json(json_pack(
			    "{s:o, s:o}", "window_ns",
			    weir_ledger_file_number(budget.windows[w].window_ns), "used_bytes",
			    weir_ledger_file_number(budget.windows[w].used_bytes)));
			if (json_array_append_new(windows, json) != 0)
				weir_text_no_memory();
		}
		json = weir_command_json(json_pack(
		    "{s:s, s:o, s:o, s:o, s:o}", "name", name, "charged_bytes",
		    weir_ledger_file_number(budget.charged_bytes), "granted_bytes",
		    file->has_grants ? weir_ledger_file_number(budget.granted_bytes) : json_null(),
		    "forfeited_bytes",
		    file->has_state ? weir_ledger_file_number(budget.forfeited_bytes) : json_null(),
		    "windows", windows));
		if (json_array_append_new(budgets, json) != 0)
			weir_text_no_memory();
		free(name);
	}
	return budgets;
}

static void
identity_text(const struct weir_ledger_stamp *stamp, char text[2 * WEIR_LEDGER_IDENTITY_BYTES + 1])
{
	for (uint32_t i = 0; i < WEIR_LEDGER_IDENTITY_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", stamp->identity[i]);
}

static void
print_text(const struct weir_ledger_file *file)
{
	const struct weir_ledger_stamp *stamp = &file->recovered.stamp;
	char identity[2 * WEIR_LEDGER_IDENTITY_BYTES + 1];

	if (file->refusal != WEIR_REFUSAL_NONE) {
		printf("NOT TRUSTED: %s: ", weir_ledger_refusal_name(file->refusal));
		weir_text_put(stdout, file->error, strlen(file->error), false);
		putchar('\n');
	}
	weir_ledger_file_print_key(file);
	if (!file->has_grants && !file->has_state) {
		printf("no whole record\n");
		return;
	}
	identity_text(stamp, identity);
	printf("appliance  ");
	weir_text_put(stdout, stamp->appliance, strlen(stamp->appliance), false);
	printf("\nidentity   %s\nepoch      %" PRIu64 "\nclock      %s\n", identity, stamp->epoch,
	       weir_format_duration(file->recovered.clock_ns).text);
	printf("witness    %s", weir_witness_kind_name(stamp->witness_kind));
	if (stamp->witness_kind != WEIR_WITNESS_NONE)
		printf(", value %" PRIu64 ", at most %s granted between two values",
		       stamp->witness_value, weir_format_bytes(stamp->witness_limit_bytes).text);
	printf("\n\n");
	print_budgets(file);
	if (file->refusal != WEIR_REFUSAL_NONE)
		printf("\nNOT TRUSTED: this is what the newest whole records say\n");
}

static void
print_json(const struct weir_ledger_file *file)
{
	const struct weir_ledger_stamp *stamp = &file->recovered.stamp;
	json_t *json = weir_ledger_file_json(file), *told;
	char identity[2 * WEIR_LEDGER_IDENTITY_BYTES + 1];
	char *appliance = weir_text_clean(stamp->appliance, strlen(stamp->appliance), false);

	identity_text(stamp, identity);
	if (file->has_grants || file->has_state) {
		told = weir_command_json(json_pack(
		    "{s:s, s:s, s:o, s:o, s:{s:s, s:o, s:o}, s:o}", "appliance", appliance,
		    "identity", identity, "epoch", weir_ledger_file_number(stamp->epoch),
		    "clock_ns", weir_ledger_file_number(file->recovered.clock_ns), "witness",
		    "kind", weir_witness_kind_name(stamp->witness_kind), "value",
		    weir_ledger_file_number(stamp->witness_value), "limit_bytes",
		    weir_ledger_file_number(stamp->witness_limit_bytes), "budgets",
		    budgets_json(file)));
		if (json_object_update_new(json, told) != 0)
			weir_text_no_memory();
	}
	free(appliance);
	weir_command_print_json(json, false);
}

enum weir_exit
weir_command_ledger_show(const struct weir_options *options)
{
	struct weir_ledger_file file;
	struct weir_error error;
	enum weir_exit status = weir_ledger_file_load(&file, options->file, options->key, &error);

	if (status != WEIR_EXIT_OK)
		return weir_command_fail(options, status, &error);
	if (options->json)
		print_json(&file);
	else
		print_text(&file);
	status = file.refusal == WEIR_REFUSAL_NONE ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
	weir_ledger_file_free(&file);
	return status;
}
