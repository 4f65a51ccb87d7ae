/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_witness_open.h"

#include "control/ledger_start.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *
weir_ledger_witness_label(const struct weir_config_appliance *config,
                          char label[WEIR_WITNESS_LABEL_SIZE])
{
	if (config->witness == WEIR_WITNESS_FILE)
		snprintf(label, WEIR_WITNESS_LABEL_SIZE, "witness file %s", config->witness_path);
	else
		snprintf(label, WEIR_WITNESS_LABEL_SIZE, "witness TPM %s index 0x%08x",
		         config->witness_tcti, config->witness_index);
	return label;
}

/* The kinds have -EACCES in common for a secret that does not fit; a path may be closed as well. */
static bool
is_closed(const struct weir_config_appliance *config)
{
	return config->witness == WEIR_WITNESS_FILE &&
	       faccessat(AT_FDCWD, config->witness_path, R_OK | W_OK, AT_EACCESS) != 0;
}

/* What an error means, where it has a meaning of its own for a witness. NULL: what errno says. */
static const char *
words_of(const struct weir_config_appliance *config, int rc, enum weir_ledger_refusal *refusal)
{
	const bool file = config->witness == WEIR_WITNESS_FILE;

	switch (rc) {
	case -ENOENT:
		*refusal = WEIR_REFUSAL_WITNESS_MISSING;
		return file ? "there is no such file: expected the one made with the ledger"
		            : "there is no such counter: expected the one made with the ledger";
	case -EACCES:
		if (is_closed(config))
			return NULL;
		*refusal = WEIR_REFUSAL_WITNESS_FOREIGN;
		return "that of another ledger: expected the one made with the ledger's key";
	case -EBADMSG:
		*refusal = WEIR_REFUSAL_WITNESS_BAD;
		return "damaged: expected 8192 bytes with at least one whole copy";
	case -ENODATA:
		*refusal = WEIR_REFUSAL_WITNESS_BAD;
		return "never incremented: expected a counter whose making was not cut off";
	case -EINVAL:
		*refusal = WEIR_REFUSAL_WITNESS_BAD;
		return file ? "expected a regular file" : "expected a TCTI that can be used";
	case -EPROTONOSUPPORT:
		*refusal = WEIR_REFUSAL_WITNESS_BAD;
		return "of another version: expected version 1";
	case -ENOMEM:
		*refusal = WEIR_REFUSAL_MEMORY;
		return "out of memory";
	default:
		return NULL;
	}
}

static enum weir_ledger_refusal
explain(const struct weir_config_appliance *config, int rc, char *reason, size_t reason_size)
{
	enum weir_ledger_refusal refusal = WEIR_REFUSAL_WITNESS_UNREACHABLE;
	const char *words = words_of(config, rc, &refusal);

	if (words != NULL)
		snprintf(reason, reason_size, "%s", words);
	else if (rc == -EBUSY && config->witness == WEIR_WITNESS_FILE)
		snprintf(reason, reason_size, "can't be reached: another process has it");
	else if (rc == -ETIMEDOUT)
		snprintf(reason, reason_size, "can't be reached: no answer in time");
	else
		snprintf(reason, reason_size, "can't be reached: %s", strerror(-rc));
	return refusal;
}

enum weir_ledger_refusal
weir_ledger_witness_open(const struct weir_config_appliance *config,
                         const struct weir_ledger_key *key, struct weir_witness **witness,
                         uint64_t *value, char *reason, size_t reason_size)
{
	uint8_t secret[WEIR_WITNESS_SECRET_BYTES];
	int rc;

	*witness = NULL;
	weir_ledger_key_secret(key, secret);
	if (config->witness == WEIR_WITNESS_FILE)
		rc = weir_witness_open_file(config->witness_path, secret, witness);
	else
		rc = weir_witness_open_tpm(config->witness_tcti, config->witness_index, secret,
		                           witness);
	sodium_memzero(secret, sizeof(secret));
	if (rc < 0)
		return explain(config, rc, reason, reason_size);
	rc = weir_witness_read(*witness, WEIR_WITNESS_LIMIT_NS, value);
	if (rc == 0)
		return WEIR_REFUSAL_NONE;
	/* After a time-out it is not ours any more. */
	if (rc != -ETIMEDOUT)
		(*witness)->ops->close(*witness);
	*witness = NULL;
	return explain(config, rc, reason, reason_size);
}

static void
explain_making(const struct weir_config_appliance *config, int rc, char *reason, size_t reason_size)
{
	const char *hint = "";

	if (rc == -EEXIST)
		hint = config->witness == WEIR_WITNESS_FILE
		           ? ": a witness is made with its ledger and then kept"
		           : ": another counter has this index";
	else if (rc == -ENOENT && config->witness == WEIR_WITNESS_FILE)
		hint = ": its folder is missing: make it first";
	else if (rc == -EPERM && config->witness == WEIR_WITNESS_TPM)
		hint = ": expected a TPM whose owner has no password";
	snprintf(reason, reason_size, "%s%s", strerror(-rc), hint);
}

int
weir_ledger_witness_make(const struct weir_config_appliance *config,
                         const struct weir_ledger_key *key, uint64_t *value, bool *left,
                         char *reason, size_t reason_size)
{
	uint8_t secret[WEIR_WITNESS_SECRET_BYTES];
	struct weir_witness *witness = NULL;
	int rc;

	*left = false;
	weir_ledger_key_secret(key, secret);
	if (config->witness == WEIR_WITNESS_FILE)
		rc = weir_witness_create_file(config->witness_path, secret, &witness);
	else
		rc = weir_witness_create_tpm(config->witness_tcti, config->witness_index, secret,
		                             &witness);
	sodium_memzero(secret, sizeof(secret));
	if (rc < 0) {
		explain_making(config, rc, reason, reason_size);
		return rc;
	}
	rc = weir_witness_read(witness, WEIR_WITNESS_LIMIT_NS, value);
	if (rc != -ETIMEDOUT)
		witness->ops->close(witness);
	if (rc < 0) {
		(void)explain(config, rc, reason, reason_size);
		if (config->witness == WEIR_WITNESS_FILE)
			(void)unlink(config->witness_path); /* ours, and of no use */
		else
			*left = true;
	}
	return rc;
}
