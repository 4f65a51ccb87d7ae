/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the appliance that are about its ledger: grants, and the witness. */
#include "control/config_build.h"
#include "control/quantity.h"

#include <string.h>

#define APPLIANCE            "appliance"
#define KB                   UINT64_C(1000)
#define MB                   (1000 * KB)
#define GB                   (1000 * MB)
#define HORIZON_DEFAULT_NS   (100 * WEIR_NS_PER_MS)
#define HORIZON_MIN_NS       WEIR_NS_PER_MS
#define HORIZON_MAX_NS       (10 * WEIR_NS_PER_S)
#define GRANT_MIN_DEFAULT    MB
#define GRANT_MIN_BYTES      (10 * KB)
#define GRANT_MAX_DEFAULT    (4 * GB)
#define GRANT_MAX_BYTES      (1000 * GB)
#define TCTI_DEFAULT         "device:/dev/tpmrm0"
#define INDEX_DEFAULT        0x01805745U
#define EVERY_DEFAULT_BYTES  (100 * MB)
#define EVERY_MIN_BYTES      (10 * KB)
#define EVERY_MAX_BYTES      UINT64_C(1000000000000000000)
#define HOUR_NS              (3600 * WEIR_NS_PER_S)
#define INTERVAL_DEFAULT_NS  (2 * HOUR_NS)
#define INTERVAL_MIN_NS      (60 * WEIR_NS_PER_S)
#define INTERVAL_MAX_NS      (30 * 24 * HOUR_NS)
#define TEN_YEARS_NS         (3650 * 24 * HOUR_NS)
#define ENDURANCE_INCREMENTS 100000U /* of an NV counter: what TPMs are made for, at least */

static int
build_grants(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	struct weir_config_report *report = build->report;
	struct weir_config_at min_at = weir_config_at(APPLIANCE, -1, "grant_min");
	char most[WEIR_QUANTITY_SIZE];
	int rc = 0;

	appliance->grant_horizon_ns = HORIZON_DEFAULT_NS;
	appliance->grant_min_bytes = GRANT_MIN_DEFAULT;
	appliance->grant_max_bytes = GRANT_MAX_DEFAULT;
	if (raw->grant_horizon != NULL)
		rc = weir_config_get_duration(
		    report, weir_config_at(APPLIANCE, -1, "grant_horizon"), raw->grant_horizon,
		    HORIZON_MIN_NS, HORIZON_MAX_NS, &appliance->grant_horizon_ns);
	if (rc == 0 && raw->grant_max != NULL)
		rc = weir_config_get_bytes(report, weir_config_at(APPLIANCE, -1, "grant_max"),
		                           raw->grant_max, GRANT_MIN_BYTES, GRANT_MAX_BYTES,
		                           &appliance->grant_max_bytes);
	if (rc == 0 && raw->grant_min != NULL)
		rc = weir_config_get_bytes(report, min_at, raw->grant_min, GRANT_MIN_BYTES,
		                           GRANT_MAX_BYTES, &appliance->grant_min_bytes);
	if (rc == 0 && appliance->grant_min_bytes > appliance->grant_max_bytes)
		rc = weir_config_refuse(
		    report, &min_at, raw->grant_min != NULL ? raw->grant_min : "1 MB (default)",
		    "at most grant_max, %s",
		    weir_quantity_print_bytes(appliance->grant_max_bytes, most));
	return rc;
}

/* Refuses keys that mean nothing with this kind of witness. */
static int
check_keys(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	const enum weir_witness_kind kind = build->config->appliance.witness;
	const bool none = kind == WEIR_WITNESS_NONE;
	const struct {
		const char *key, *text;
		bool wrong;
		const char *expected;
	} keys[] = {
	    {"witness_path", raw->witness_path, kind != WEIR_WITNESS_FILE,
	     "this key only where witness is file"},
	    {"witness_tcti", raw->witness_tcti, kind != WEIR_WITNESS_TPM,
	     "this key only where witness is tpm"},
	    {"witness_index", raw->witness_index, kind != WEIR_WITNESS_TPM,
	     "this key only where witness is tpm"},
	    {"witness_every", raw->witness_every, none, "this key only where there is a witness"},
	    {"witness_interval", raw->witness_interval, none,
	     "this key only where there is a witness"},
	};
	struct weir_config_at at = weir_config_at(APPLIANCE, -1, "witness_path");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].text == NULL || !keys[i].wrong)
			continue;
		at.key = keys[i].key;
		return weir_config_refuse(build->report, &at, keys[i].text, "%s", keys[i].expected);
	}
	if (kind == WEIR_WITNESS_FILE && raw->witness_path == NULL)
		return weir_config_refuse(build->report, &at, NULL,
		                          "this key where witness is file");
	return 0;
}

static int
build_witness(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	struct weir_config_report *report = build->report;
	uint32_t kind = WEIR_WITNESS_NONE;
	int rc = 0;

	if (raw->witness != NULL)
		rc = weir_config_get_word(report, weir_config_at(APPLIANCE, -1, "witness"),
		                          raw->witness, weir_config_witnesses, &kind);
	appliance->witness = (enum weir_witness_kind)kind;
	appliance->witness_every_bytes = EVERY_DEFAULT_BYTES;
	appliance->witness_interval_ns = INTERVAL_DEFAULT_NS;
	if (kind == WEIR_WITNESS_TPM) {
		snprintf(appliance->witness_tcti, sizeof(appliance->witness_tcti), TCTI_DEFAULT);
		appliance->witness_index = INDEX_DEFAULT;
	}
	if (rc == 0)
		rc = check_keys(build, raw);
	if (rc == 0 && raw->witness_tcti != NULL)
		rc = weir_config_get_tcti(report, weir_config_at(APPLIANCE, -1, "witness_tcti"),
		                          raw->witness_tcti, appliance->witness_tcti);
	if (rc == 0 && raw->witness_index != NULL)
		rc =
		    weir_config_get_nv_index(report, weir_config_at(APPLIANCE, -1, "witness_index"),
		                             raw->witness_index, &appliance->witness_index);
	if (rc == 0 && raw->witness_every != NULL)
		rc = weir_config_get_bytes(report, weir_config_at(APPLIANCE, -1, "witness_every"),
		                           raw->witness_every, EVERY_MIN_BYTES, EVERY_MAX_BYTES,
		                           &appliance->witness_every_bytes);
	if (rc == 0 && raw->witness_interval != NULL)
		rc = weir_config_get_duration(report,
		                              weir_config_at(APPLIANCE, -1, "witness_interval"),
		                              raw->witness_interval, INTERVAL_MIN_NS,
		                              INTERVAL_MAX_NS, &appliance->witness_interval_ns);
	return rc;
}

int
weir_config_build_ledger(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	int rc = build_grants(build, raw);

	return rc == 0 ? build_witness(build, raw) : rc;
}

static weir_u128
divide_up(weir_u128 dividend, uint64_t divisor)
{
	return (dividend + divisor - 1) / divisor;
}

/* The most that the caps of the root let out in ten years. */
static weir_u128
ten_years_bytes(const struct weir_config *config)
{
	const struct weir_config_budget *root = config->budgets;
	weir_u128 least = ~(weir_u128)0;

	while (root->parent != WEIR_ANY)
		root++;
	for (uint32_t i = 0; i < root->n_caps; i++) {
		const struct weir_config_cap *cap = &root->caps[i];
		weir_u128 bytes = cap->limit_bytes;

		if (cap->window_ns != 0)
			bytes *= divide_up(TEN_YEARS_NS, cap->window_ns);
		least = bytes < least ? bytes : least;
	}
	return least;
}

/* Rounded up to two digits, for people: 209,343,123,456 is 210,000,000,000. At most EVERY_MAX. */
static uint64_t
round_up(weir_u128 bytes)
{
	uint64_t unit = 1;

	if (bytes >= EVERY_MAX_BYTES)
		return EVERY_MAX_BYTES;
	while (bytes / unit >= 100)
		unit *= 10;
	return (uint64_t)(divide_up(bytes, unit) * unit);
}

int
weir_config_check_endurance(struct weir_config_build *build)
{
	const struct weir_config_appliance *appliance = &build->config->appliance;
	const struct weir_raw_appliance *raw = build->raw->appliance;
	struct weir_config_at at = weir_config_at(APPLIANCE, -1, "witness_interval");
	char least[WEIR_QUANTITY_SIZE];
	weir_u128 bytes, by_bytes, by_time;

	if (appliance->witness != WEIR_WITNESS_TPM)
		return 0;
	bytes = ten_years_bytes(build->config);
	by_time = divide_up(TEN_YEARS_NS, appliance->witness_interval_ns);
	by_bytes = divide_up(bytes, appliance->witness_every_bytes);
	if (by_bytes + by_time <= ENDURANCE_INCREMENTS)
		return 0;
	/* Where time alone wears it out, or bytes do at their largest step, that is what to say. */
	if (by_time >= ENDURANCE_INCREMENTS)
		return weir_config_refuse(
		    build->report, &at, raw->witness_interval,
		    "at least 1 h: a TPM is made for about %u increments, which have to last "
		    "ten years",
		    ENDURANCE_INCREMENTS);
	at.key = "witness_every";
	bytes = divide_up(bytes, ENDURANCE_INCREMENTS - (uint64_t)by_time);
	if (bytes > EVERY_MAX_BYTES)
		return weir_config_refuse(build->report, &at, NULL,
		                          "smaller caps at the root: a TPM is made for about %u "
		                          "increments, and these allow more in ten years",
		                          ENDURANCE_INCREMENTS);
	return weir_config_refuse(
	    build->report, &at,
	    raw->witness_every != NULL ? raw->witness_every : "100 MB (default)",
	    "at least %s with this interval and the root's caps: a TPM is made for about %u "
	    "increments, which have to last ten years",
	    weir_quantity_print_bytes(round_up(bytes), least), ENDURANCE_INCREMENTS);
}
