/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands about the ledger that judge or make one: verify, explain, init. */
#include "control/ledger_start.h"
#include "control/quantity.h"
#include "tools/weirctl/command.h"
#include "tools/weirctl/ledger_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
print_slots(const struct weir_ledger_file *file)
{
	static const struct weir_column columns[] = {{"KIND", false},
	                                             {"PLACE", true},
	                                             {"SEQUENCE", true},
	                                             {"EPOCH", true},
	                                             {"VERDICT", false}};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (uint32_t i = 0; i < WEIR_LEDGER_SLOTS; i++) {
		const struct weir_ledger_slot *slot = &file->slots[i];

		weir_table_cell(table, "%s", weir_ledger_file_kind(slot->kind));
		weir_table_cell(table, "%" PRIu64, slot->offset_bytes);
		if (slot->whole) {
			weir_table_cell(table, "%" PRIu64, slot->header.sequence);
			weir_table_cell(table, "%" PRIu64, slot->header.stamp.epoch);
		} else {
			weir_table_cell(table, "-");
			weir_table_cell(table, "-");
		}
		weir_table_cell(table, "%s", weir_ledger_verdict_name(slot->verdict));
	}
	weir_table_print(table, stdout);
}

static json_t *
slots_json(const struct weir_ledger_file *file)
{
	json_t *slots = weir_command_json(json_array());

	for (uint32_t i = 0; i < WEIR_LEDGER_SLOTS; i++) {
		const struct weir_ledger_slot *slot = &file->slots[i];
		const struct weir_ledger_header *header = &slot->header;
		json_t *json = weir_command_json(json_pack(
		    "{s:s, s:o, s:o, s:o, s:s}", "kind", weir_ledger_file_kind(slot->kind), "place",
		    weir_ledger_file_number(slot->offset_bytes), "sequence",
		    slot->whole ? weir_ledger_file_number(header->sequence) : json_null(), "epoch",
		    slot->whole ? weir_ledger_file_number(header->stamp.epoch) : json_null(),
		    "verdict", weir_ledger_verdict_name(slot->verdict)));

		if (json_array_append_new(slots, json) != 0)
			weir_text_no_memory();
	}
	return slots;
}

static void
print_verdict(const struct weir_ledger_file *file)
{
	weir_text_put(stdout, file->path, strlen(file->path), false);
	if (file->refusal == WEIR_REFUSAL_NONE) {
		printf(": valid\n");
		return;
	}
	printf(": not valid: %s: ", weir_ledger_refusal_name(file->refusal));
	weir_text_put(stdout, file->error, strlen(file->error), false);
	putchar('\n');
}

enum weir_exit
weir_command_ledger_verify(const struct weir_options *options)
{
	struct weir_ledger_file file;
	struct weir_error error;
	enum weir_exit status = weir_ledger_file_load(&file, options->file, options->key, &error);

	if (status != WEIR_EXIT_OK)
		return weir_command_fail(options, status, &error);
	if (options->json) {
		json_t *json = weir_ledger_file_json(&file);

		if (json_object_set_new(json, "slots",
		                        file.data != NULL ? slots_json(&file) : json_array()) != 0)
			weir_text_no_memory();
		weir_command_print_json(json, false);
	} else {
		if (file.data != NULL)
			print_slots(&file);
		weir_ledger_file_print_key(&file);
		print_verdict(&file);
	}
	status = file.refusal == WEIR_REFUSAL_NONE ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
	weir_ledger_file_free(&file);
	return status;
}

enum weir_exit
weir_command_ledger_explain(const struct weir_options *options)
{
	struct weir_config *config;
	enum weir_exit status = weir_command_load_policy(options, &config);
	enum weir_ledger_refusal refusal;
	char error[1024] = "";
	char *clean;

	if (status != WEIR_EXIT_OK)
		return status;
	refusal = weir_ledger_explain(&config->appliance, error, sizeof(error));
	weir_config_free(config);
	if (refusal == WEIR_REFUSAL_NONE) {
		if (options->json)
			weir_command_print_json(
			    weir_command_json(json_pack("{s:b, s:n, s:n, s:n}", "ok", 1, "refusal",
			                                "error", "advice")),
			    false);
		else
			printf("would start\n");
		return WEIR_EXIT_OK;
	}
	clean = weir_text_clean(error, strlen(error), false);
	if (options->json)
		weir_command_print_json(
		    weir_command_json(json_pack("{s:b, s:s, s:s, s:s}", "ok", 0, "refusal",
		                                weir_ledger_refusal_name(refusal), "error", clean,
		                                "advice", weir_ledger_refusal_advice(refusal))),
		    false);
	else
		printf("weir: %s\n\n%s", clean, weir_ledger_refusal_advice(refusal));
	free(clean);
	return WEIR_EXIT_FAILED;
}

/*
 * Reads "NAME=12 GB". The name must be a budget of the policy, and none before. Returns 0 or -1
 * with a line in error.
 */
static int
parse_charge(const char *text, const struct weir_config *config, struct weir_ledger_charge *charges,
             uint32_t n, struct weir_error *error)
{
	const char *equals = strchr(text, '='), *expected;
	size_t bytes = equals != NULL ? (size_t)(equals - text) : 0;
	struct weir_ledger_charge *charge = &charges[n];

	if (bytes == 0)
		return weir_error_set(
		    error, -1, "--charge: %s: expected NAME=BYTES, such as 'total=12 GB'", text);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const char *name = config->budgets[i].name;

		if (strlen(name) == bytes && memcmp(name, text, bytes) == 0)
			memcpy(charge->name, name, bytes + 1);
	}
	if (charge->name[0] == '\0')
		return weir_error_set(
		    error, -1, "--charge: %s: expected the name of a budget of the policy", text);
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(charges[i].name, charge->name) == 0)
			return weir_error_set(error, -1, "--charge: %s: expected each budget once",
			                      text);
	}
	if (weir_quantity_parse_bytes(equals + 1, &charge->bytes, &expected) != 0)
		return weir_error_set(error, -1, "--charge: %s: expected %s", text, expected);
	return 0;
}

/* The witness as the policy names it. */
static void
describe_witness(const struct weir_config_appliance *appliance, char *text, size_t size)
{
	if (appliance->witness == WEIR_WITNESS_FILE)
		snprintf(text, size, "file %s", appliance->witness_path);
	else if (appliance->witness == WEIR_WITNESS_TPM)
		snprintf(text, size, "TPM counter 0x%08" PRIx32 " by %s", appliance->witness_index,
		         appliance->witness_tcti);
	else
		snprintf(text, size, "none");
}

static const char keep_ledger[] =
    "\n"
    "What to keep where:\n"
    "  ledger   on a disk of this box, and nowhere else. Never put an older copy back: it does\n"
    "           not know what has been sent since.\n"
    "  key      where only Weir's user can read it, off the ledger's disk if you can, and one\n"
    "           copy off this box. Whoever has it can write a ledger that Weir believes;\n"
    "           whoever loses it needs a new ledger.\n";
static const char keep_file[] =
    "  witness  on another disk or machine than the ledger, and in no backup that holds the\n"
    "           ledger: it tells an older copy of the ledger from the newest one.\n";
static const char keep_tpm[] =
    "  witness  in the TPM of this box: don't clear it. It tells an older copy of the ledger\n"
    "           from the newest one.\n";
static const char keep_none[] =
    "  witness  there is none: an older copy of the ledger can't be told from the newest one.\n";

static void
print_made(const struct weir_options *options, const struct weir_config *config,
           const struct weir_ledger_charge *charges, uint32_t n_charges)
{
	const struct weir_config_appliance *appliance = &config->appliance;
	char witness[2 * WEIR_PATH_SIZE];

	describe_witness(appliance, witness, sizeof(witness));
	if (options->json) {
		weir_command_print_json(
		    weir_command_json(
		        json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 1, "ledger", appliance->ledger,
		                  "key", appliance->ledger_key, "witness_kind",
		                  weir_witness_kind_name(appliance->witness), "witness", witness)),
		    false);
		return;
	}
	printf("ledger   %s\nkey      %s\nwitness  %s\n", appliance->ledger, appliance->ledger_key,
	       witness);
	for (uint32_t i = 0; i < n_charges; i++) {
		char text[WEIR_QUANTITY_SIZE];

		printf("charge   %s: %s\n", charges[i].name,
		       weir_quantity_print_bytes(charges[i].bytes, text));
	}
	fputs(keep_ledger, stdout);
	fputs(appliance->witness == WEIR_WITNESS_FILE  ? keep_file
	      : appliance->witness == WEIR_WITNESS_TPM ? keep_tpm
	                                               : keep_none,
	      stdout);
}

/* Not cut short by a signal: half of it would be left behind. */
static int
init(const struct weir_config *config, const struct weir_ledger_charge *charges, uint32_t n_charges,
     struct weir_error *error)
{
	sigset_t stops, before;
	int rc;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGHUP);
	sigprocmask(SIG_BLOCK, &stops, &before);
	rc = weir_ledger_init(config, charges, n_charges, error->line, sizeof(error->line));
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}

enum weir_exit
weir_command_ledger_init(const struct weir_options *options)
{
	struct weir_ledger_charge *charges;
	struct weir_config *config;
	struct weir_error error;
	enum weir_exit status = weir_command_load_policy(options, &config);
	int rc = 0;

	if (status != WEIR_EXIT_OK)
		return status;
	charges = calloc(options->n_charges + 1, sizeof(*charges));
	if (charges == NULL)
		weir_text_no_memory();
	for (uint32_t i = 0; i < options->n_charges && rc == 0; i++)
		rc = parse_charge(options->charges[i], config, charges, i, &error);
	if (rc != 0) {
		status = weir_command_fail(options, WEIR_EXIT_USAGE, &error);
	} else {
		rc = init(config, charges, options->n_charges, &error);
		if (rc != 0)
			status = weir_command_fail(
			    options, rc == -EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED, &error);
		else
			print_made(options, config, charges, options->n_charges);
	}
	free(charges);
	weir_config_free(config);
	return status;
}
