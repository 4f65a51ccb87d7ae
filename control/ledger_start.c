/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_start.h"

#include "control/ledger_recover.h"
#include "control/ledger_store.h"
#include "control/ledger_witness_open.h"
#include "drivers/witness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REASON_SIZE   512U
#define LEDGER_PREFIX "ledger: " /* of messages that know no path */

/* What a start needs, as far as it has been opened. */
struct opened {
	const struct weir_config_appliance *config;
	struct weir_ledger_key key;
	struct weir_disk *disk;
	struct weir_witness *witness;
	uint64_t witness_value;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 3, 4))) static enum weir_ledger_refusal
refuse_ledger(const struct opened *opened, enum weir_ledger_refusal refusal, const char *format,
              ...)
{
	char reason[REASON_SIZE];
	const char *what = reason;
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (strncmp(what, LEDGER_PREFIX, strlen(LEDGER_PREFIX)) == 0)
		what += strlen(LEDGER_PREFIX);
	if (refusal == WEIR_REFUSAL_KEY_FOREIGN || refusal == WEIR_REFUSAL_KEY_BAD)
		snprintf(opened->error, opened->error_size, "ledger key %s: %s",
		         opened->config->ledger_key, what);
	else
		snprintf(opened->error, opened->error_size, "ledger %s: %s", opened->config->ledger,
		         what);
	return refusal;
}

static enum weir_ledger_refusal
refuse_witness(const struct opened *opened, enum weir_ledger_refusal refusal, const char *reason)
{
	char label[WEIR_WITNESS_LABEL_SIZE];

	snprintf(opened->error, opened->error_size, "%s: %s",
	         weir_ledger_witness_label(opened->config, label), reason);
	return refusal;
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static enum weir_ledger_refusal
refuse_open(const struct opened *opened, int rc)
{
	switch (rc) {
	case -ENOENT:
		return refuse_ledger(opened, WEIR_REFUSAL_MISSING,
		                     "%s: a new box needs a new ledger, made once by weir "
		                     "--commission",
		                     strerror(ENOENT));
	case -EBUSY:
		return refuse_ledger(opened, WEIR_REFUSAL_BUSY, "another process holds it");
	case -EINVAL:
		return refuse_ledger(opened, WEIR_REFUSAL_SIZE, "expected a regular file");
	case -ENOMEM:
		return refuse_ledger(opened, WEIR_REFUSAL_MEMORY, "out of memory");
	default:
		return refuse_ledger(opened, WEIR_REFUSAL_UNREADABLE, "%s", strerror(-rc));
	}
}

static enum weir_ledger_refusal
load_key(struct opened *opened)
{
	const char *path = opened->config->ledger_key;
	int rc = weir_ledger_key_load(path, &opened->key, opened->error, opened->error_size);

	if (rc == 0)
		return WEIR_REFUSAL_NONE;
	if (rc != -ENOENT)
		return WEIR_REFUSAL_KEY_BAD;
	/* A new box has neither, and is to hear about the ledger. */
	if (!exists(opened->config->ledger))
		return refuse_open(opened, -ENOENT);
	snprintf(opened->error, opened->error_size,
	         "ledger key %s: %s: expected the key that was made with the ledger", path,
	         strerror(ENOENT));
	return WEIR_REFUSAL_KEY_MISSING;
}

/* Reads the records as the ledger will, but keeps nothing of them except the stamp. */
static enum weir_ledger_refusal
read_records(struct opened *opened, struct weir_ledger_stamp *stamp)
{
	struct weir_ledger_recovered found = {
	    .budgets = calloc(WEIR_BUDGETS_MAX, sizeof(*found.budgets)),
	    .grants = calloc(WEIR_BUDGETS_MAX, sizeof(*found.grants)),
	};
	enum weir_ledger_refusal refusal = WEIR_REFUSAL_MEMORY;
	struct weir_ledger_store store;
	char reason[REASON_SIZE] = "out of memory";

	if (found.budgets != NULL && found.grants != NULL &&
	    weir_ledger_store_init(&store, opened->disk, &opened->key) == 0) {
		refusal = weir_ledger_recover(&store, opened->config->name, &found, reason,
		                              sizeof(reason));
		weir_ledger_store_free(&store);
	}
	for (uint32_t i = 0; i < found.n_budgets; i++)
		for (uint32_t j = 0; j < found.budgets[i].n_windows; j++)
			free(found.budgets[i].windows[j]);
	free(found.budgets);
	free(found.grants);
	*stamp = found.stamp;
	return refusal == WEIR_REFUSAL_NONE ? refusal
	                                    : refuse_ledger(opened, refusal, "%s", reason);
}

static enum weir_ledger_refusal
ask_witness(struct opened *opened, const struct weir_ledger_stamp *stamp)
{
	const struct weir_config_appliance *config = opened->config;
	uint64_t limit_bytes = weir_ledger_witness_limit(config->witness_every_bytes);
	char reason[REASON_SIZE], label[WEIR_WITNESS_LABEL_SIZE];
	enum weir_ledger_refusal refusal;

	if (stamp->witness_kind != config->witness)
		return refuse_ledger(opened, WEIR_REFUSAL_WITNESS_CHANGED,
		                     "commissioned with witness: %s, but the policy says witness: "
		                     "%s",
		                     weir_witness_kind_name(stamp->witness_kind),
		                     weir_witness_kind_name(config->witness));
	if (config->witness == WEIR_WITNESS_NONE)
		return WEIR_REFUSAL_NONE;
	refusal = weir_ledger_witness_open(config, &opened->key, &opened->witness,
	                                   &opened->witness_value, reason, sizeof(reason));
	if (refusal != WEIR_REFUSAL_NONE)
		return refuse_witness(opened, refusal, reason);
	/* What was so when its records were written counts, too. */
	if (limit_bytes < stamp->witness_limit_bytes)
		limit_bytes = stamp->witness_limit_bytes;
	refusal = weir_ledger_witness_judge(stamp->witness_value, opened->witness_value,
	                                    limit_bytes, reason, sizeof(reason));
	if (refusal == WEIR_REFUSAL_ROLLED_BACK)
		return refuse_ledger(opened, refusal, "by %s: %s",
		                     weir_ledger_witness_label(config, label), reason);
	if (refusal != WEIR_REFUSAL_NONE)
		return refuse_witness(opened, refusal, reason);
	return WEIR_REFUSAL_NONE;
}

/* All that a start checks, in its order; reader: of a ledger that is not to be opened for use. */
static enum weir_ledger_refusal
open_all(struct opened *opened, bool reader)
{
	enum weir_ledger_refusal refusal = load_key(opened);
	struct weir_ledger_stamp stamp;
	bool in_use = false;
	int rc;

	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	if (reader)
		rc = weir_disk_open_reader(opened->config->ledger, &opened->disk, &in_use);
	else
		rc = weir_disk_open_file(opened->config->ledger, &opened->disk);
	if (rc < 0)
		opened->disk = NULL;
	if (rc == 0 && in_use)
		rc = -EBUSY;
	if (rc < 0)
		return refuse_open(opened, rc);
	refusal = read_records(opened, &stamp);
	if (refusal == WEIR_REFUSAL_NONE)
		refusal = ask_witness(opened, &stamp);
	return refusal;
}

static void
close_all(struct opened *opened)
{
	if (opened->witness != NULL)
		opened->witness->ops->close(opened->witness);
	if (opened->disk != NULL)
		opened->disk->ops->close(opened->disk);
	weir_ledger_key_wipe(&opened->key);
}

/* Gives what was opened to a ledger. */
static enum weir_ledger_refusal
take_all(struct opened *opened, struct weir_credit *credit, struct weir_ledger **ledger)
{
	const struct weir_config_appliance *config = opened->config;
	struct weir_ledger_options options = {
	    .tuning = {config->grant_horizon_ns, config->grant_min_bytes, config->grant_max_bytes},
	    .key = &opened->key,
	    .appliance = config->name,
	    .witness_kind = config->witness,
	    .witness_value = opened->witness_value,
	    .witness_every_bytes = config->witness_every_bytes,
	    .witness_interval_ns = config->witness_interval_ns,
	};
	enum weir_ledger_refusal refusal;
	char reason[REASON_SIZE] = "";

	if (opened->witness != NULL) {
		int rc = weir_witness_line_start(opened->witness, &options.witness);

		if (rc < 0)
			return refuse_witness(opened, WEIR_REFUSAL_MEMORY, strerror(-rc));
		opened->witness = NULL; /* the line's by now */
	}
	refusal = weir_ledger_open(opened->disk, credit, &options, ledger, reason, sizeof(reason));
	if (refusal == WEIR_REFUSAL_NONE) {
		opened->disk = NULL;
		return refusal;
	}
	if (options.witness != NULL)
		options.witness->ops->close(options.witness);
	return refuse_ledger(opened, refusal, "%s", reason);
}

enum weir_ledger_refusal
weir_ledger_start(const struct weir_config_appliance *config, struct weir_credit *credit,
                  struct weir_ledger **ledger, char *error, size_t error_size)
{
	struct opened opened = {.config = config, .error = error, .error_size = error_size};
	enum weir_ledger_refusal refusal = open_all(&opened, false);

	if (refusal == WEIR_REFUSAL_NONE)
		refusal = take_all(&opened, credit, ledger);
	close_all(&opened);
	return refusal;
}

enum weir_ledger_refusal
weir_ledger_explain(const struct weir_config_appliance *config, char *error, size_t error_size)
{
	struct opened opened = {.config = config, .error = error, .error_size = error_size};
	enum weir_ledger_refusal refusal = open_all(&opened, true);

	close_all(&opened);
	return refusal;
}
