/* SPDX-License-Identifier: BSD-3-Clause */
/* weir_ledger_init: key, witness and ledger of a new box. */
#include "control/ledger_format.h"
#include "control/ledger_start.h"
#include "control/ledger_witness_open.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REASON_SIZE 384U

/* What was made so far, to be removed again where the rest fails. */
struct made {
	const struct weir_config_appliance *config;
	struct weir_ledger_key key;
	uint64_t witness_value;
	bool key_file, witness_file, counter;
	char *error;
	size_t error_size;
};

/* Which of the policy's budgets has the name; n_budgets: none. */
static uint32_t
find_budget(const struct weir_config *config, const char *name)
{
	uint32_t i = 0;

	while (i < config->n_budgets && strcmp(config->budgets[i].name, name) != 0)
		i++;
	return i;
}

/* Charges a budget and all above it, as a frame would. */
static int
charge_path(const struct weir_config *config, uint32_t budget, uint64_t bytes, uint64_t *sums)
{
	for (; budget != WEIR_ANY; budget = config->budgets[budget].parent) {
		if (sums[budget] > UINT64_MAX - bytes)
			return -EINVAL;
		sums[budget] += bytes;
	}
	return 0;
}

static uint32_t
root_of(const struct weir_config *config)
{
	uint32_t i = 0;

	while (config->budgets[i].parent != WEIR_ANY)
		i++;
	return i;
}

static void
put_charge(const struct weir_config *config, uint32_t budget, const uint64_t *sums,
           struct weir_ledger_charge *to)
{
	memcpy(to->name, config->budgets[budget].name, sizeof(to->name));
	to->bytes = sums[budget];
}

/* The charges of the ledger: the root first, then all budgets that have any. */
static int
sum_charges(const struct weir_config *config, const struct weir_ledger_charge *charges,
            uint32_t n_charges, struct weir_ledger_charge *to, uint32_t *n, char *error,
            size_t error_size)
{
	uint64_t *sums = calloc(config->n_budgets, sizeof(*sums));
	uint32_t root = root_of(config);
	int rc = sums == NULL ? -ENOMEM : 0;

	snprintf(error, error_size, "out of memory");
	for (uint32_t i = 0; i < n_charges && rc == 0; i++) {
		uint32_t budget = find_budget(config, charges[i].name);

		if (budget == config->n_budgets) {
			snprintf(error, error_size,
			         "charge %s: expected the name of a budget in the policy",
			         charges[i].name);
			rc = -EINVAL;
			break;
		}
		rc = charge_path(config, budget, charges[i].bytes, sums);
		snprintf(error, error_size,
		         "charge %s: %" PRIu64 " bytes: expected less than 2^64 bytes in all",
		         charges[i].name, charges[i].bytes);
	}
	*n = 0;
	if (rc == 0 && n_charges > 0)
		put_charge(config, root, sums, &to[(*n)++]);
	for (uint32_t i = 0; i < config->n_budgets && rc == 0; i++)
		if (i != root && sums[i] > 0)
			put_charge(config, i, sums, &to[(*n)++]);
	free(sums);
	return rc;
}

static int
complain(const struct made *made, const char *what, const char *path, int rc)
{
	const char *hint = "";

	if (rc == -EEXIST)
		hint = ": a ledger is commissioned once and then kept";
	else if (rc == -ENOENT)
		hint = ": its folder is missing: make it first";
	snprintf(made->error, made->error_size, "%s %s: %s%s", what, path, strerror(-rc), hint);
	return rc;
}

/* So that nothing is made in vain. What appears after this is still not touched. */
static int
check_absent(const struct made *made)
{
	const struct {
		const char *what, *path;
	} files[] = {
	    {"ledger", made->config->ledger},
	    {"ledger key", made->config->ledger_key},
	    {"witness file", made->config->witness_path},
	};
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].path[0] != '\0' && lstat(files[i].path, &st) == 0)
			return complain(made, files[i].what, files[i].path, -EEXIST);
	return 0;
}

static int
make_key(struct made *made)
{
	int rc;

	weir_ledger_key_make(made->config->name, &made->key);
	rc = weir_ledger_key_save(made->config->ledger_key, &made->key);
	if (rc < 0)
		return complain(made, "ledger key", made->config->ledger_key, rc);
	made->key_file = true;
	return 0;
}

static int
make_witness(struct made *made)
{
	char label[WEIR_WITNESS_LABEL_SIZE], reason[REASON_SIZE];
	int rc;

	if (made->config->witness == WEIR_WITNESS_NONE)
		return 0;
	rc = weir_ledger_witness_make(made->config, &made->key, &made->witness_value,
	                              &made->counter, reason, sizeof(reason));
	if (rc < 0) {
		snprintf(made->error, made->error_size, "%s: %s",
		         weir_ledger_witness_label(made->config, label), reason);
		return rc;
	}
	made->witness_file = made->config->witness == WEIR_WITNESS_FILE;
	made->counter = made->config->witness == WEIR_WITNESS_TPM;
	return 0;
}

static int
make_ledger(struct made *made, const struct weir_ledger_charge *charges, uint32_t n_charges)
{
	const char *path = made->config->ledger;
	struct weir_disk *disk;
	int rc = weir_disk_create_file(path, WEIR_LEDGER_FILE_BYTES, &disk);

	if (rc == 0) {
		rc = weir_ledger_commission(disk, &made->key, made->config->witness,
		                            made->witness_value, charges, n_charges);
		if (rc < 0)
			(void)unlink(path); /* ours, and of no use */
		disk->ops->close(disk);
	}
	return rc < 0 ? complain(made, "ledger", path, rc) : 0;
}

static void
undo(const struct made *made)
{
	size_t used = strlen(made->error);

	if (made->witness_file)
		(void)unlink(made->config->witness_path);
	if (made->key_file)
		(void)unlink(made->config->ledger_key);
	if (made->counter)
		snprintf(made->error + used, made->error_size - used,
		         "; the counter 0x%08x is left in the TPM", made->config->witness_index);
}

int
weir_ledger_init(const struct weir_config *config, const struct weir_ledger_charge *charges,
                 uint32_t n_charges, char *error, size_t error_size)
{
	struct made made = {.config = &config->appliance, .error = error, .error_size = error_size};
	struct weir_ledger_charge *sums = calloc(config->n_budgets, sizeof(*sums));
	uint32_t n_sums = 0;
	int rc = -ENOMEM;

	snprintf(error, error_size, "out of memory");
	if (sums != NULL)
		rc = sum_charges(config, charges, n_charges, sums, &n_sums, error, error_size);
	if (rc == 0)
		rc = check_absent(&made);
	if (rc == 0)
		rc = make_key(&made);
	if (rc == 0)
		rc = make_witness(&made);
	if (rc == 0)
		rc = make_ledger(&made, sums, n_sums);
	if (rc < 0)
		undo(&made);
	weir_ledger_key_wipe(&made.key);
	free(sums);
	return rc;
}
