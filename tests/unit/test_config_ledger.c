/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the appliance that are about its ledger: what they promise beyond their ranges. */
#include "control/config.h"
#include "tests/unit/config_model.h"

#include <string.h>

#define POLICY(KEYS, CAPS)                                                                         \
	"appliance: {witness: tpm" KEYS "}\n"                                                      \
	"ports: [{name: a, device: net_null0}, {name: b, device: net_null1}]\n"                    \
	"links: [{name: up, inside: a, outside: b}]\n"                                             \
	"budgets:\n- {name: part, parent: total, caps: [{limit: 1 B}]}\n"                          \
	"- {name: total, caps: [" CAPS "]}\n"                                                      \
	"classes: [{name: c, budget: part, rate: 1 bit/s, burst: 2 kB}]\n"                         \
	"rules: []\n"

/*
 * How long a TPM lasts, at the edge: ten years are 43,800 intervals of 2 h, which leave 56,200
 * increments to the root's caps.
 */
static void
test_endurance(void)
{
	static const struct {
		const char *caps, *keys, *error; /* error: NULL where it is good */
	} cases[] = {
	    {"{limit: 5620 GB}", "", NULL},
	    {"{limit: 5620000000001 B}", "",
	     "x:1: appliance.witness_every: 100 MB (default): expected at least 110 MB with this "
	     "interval and the root's caps: a TPM is made for about 100000 increments, which have "
	     "to last ten years"},
	    {"{limit: 56200000000001 B}", ", witness_every: 1.1 GB", NULL},
	    {"{limit: 56200 MB}", ", witness_every: 1 MB", NULL},
	    {"{limit: 56200000001 B}", ", witness_every: 1 MB", "expected at least 1.1 MB with"},
	    {"{limit: 365 MB, per: 1 d}", "", NULL},
	    {"{limit: 1 EB}, {limit: 28.1 GB, per: 18.25 d}", "", NULL},
	    {"{limit: 1 EB}, {limit: 28.2 GB, per: 18.25 d}", "", "expected at least 110 MB with"},
	    {"{limit: 5620 GB}, {limit: 28.2 GB, per: 18.25 d}", "", NULL},
	    {"{limit: 1 EB, per: 1 s}", ", witness_every: 1 EB",
	     "witness_every: missing: expected smaller caps at the root"},
	    {"{limit: 1 EB}", ", witness_every: 1 GB",
	     "witness_every: 1 GB: expected at least 18 TB"},
	    {"{limit: 1240 GB}", ", witness_interval: 1 h", NULL},
	    {"{limit: 1241 GB}", ", witness_interval: 1 h", "expected at least 110 MB with"},
	    {"{limit: 1 B}", ", witness_interval: 1 min",
	     "x:1: appliance.witness_interval: 1 min: expected at least 1 h: a TPM"},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		struct weir_config *config = NULL;
		char text[2048], error[ERROR_SIZE] = "";
		int rc;

		snprintf(text, sizeof(text), POLICY("%s", "%s"), cases[i].keys, cases[i].caps);
		rc = weir_config_parse("x", text, strlen(text), &config, error, sizeof(error));
		CU_ASSERT_EQUAL(rc, cases[i].error == NULL ? 0 : -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].error == NULL ? "" : cases[i].error));
		if (strstr(error, cases[i].error == NULL ? "" : cases[i].error) == NULL)
			printf("    %s\n", error);
		weir_config_free(config);
	}
}

/* What an error names as the least step will do, and far less would not. */
static void
test_endurance_advice(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint32_t advised = 0;

	for (int i = 0; i < 300; i++) {
		uint64_t limit = model_log(&random, 1000000, UINT64_C(1000000000000000000));
		struct weir_config *config = NULL;
		char text[2048], error[ERROR_SIZE] = "", least[32] = "1 MB";
		const char *at;
		uint64_t every;

		for (int turn = 0; turn < 2 && config == NULL; turn++) {
			snprintf(text, sizeof(text),
			         POLICY(", witness_every: %s", "{limit: %" PRIu64 " B}"), least,
			         limit);
			if (weir_config_parse("x", text, strlen(text), &config, error,
			                      sizeof(error)) == 0)
				break;
			at = strstr(error, "at least ");
			CU_ASSERT_PTR_NOT_NULL_FATAL(at);
			snprintf(least, sizeof(least), "%.*s", (int)(strstr(at, " with") - at - 9),
			         at + 9);
			advised++;
		}
		if (config == NULL)
			printf("    limit %" PRIu64 ": %s\n", limit, error);
		CU_ASSERT_PTR_NOT_NULL_FATAL(config);
		/* 56,200 increments are what two hours between them leave; two digits are said. */
		every = config->appliance.witness_every_bytes;
		CU_ASSERT(every == 1000000 || every <= limit / 56200 * 11 / 10 + 11);
		weir_config_free(config);
	}
	CU_ASSERT(advised > 50);
}

static const struct weir_test tests[] = {
    {"a TPM lasts ten years", test_endurance},
    {"what is advised will do", test_endurance_advice},
};

int
main(void)
{
	return weir_test_run("config_ledger", tests, WEIR_TEST_COUNT(tests));
}
