/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl plan: what a policy is worth, from the file alone. */
#include "tools/weirctl/plan_report.h"

#include <stdlib.h>
#include <string.h>

/* What is assumed of the asset where a policy states none. */
#define WEIGHTS_DEFAULT_BYTES 3400000000000U
#define COMPRESSION_DEFAULT   16
#define SURVIVE_DEFAULT_NS    (90 * 86400 * WEIR_NS_PER_S)

#define DAY_NS                (86400 * WEIR_NS_PER_S)

static int
compare_attackers(const void *left, const void *right)
{
	const struct weir_plan_attacker *a = left, *b = right;

	return (a->compression > b->compression) - (a->compression < b->compression);
}

static void
find_attackers(struct weir_plan_report *report)
{
	static const double usual[] = {1, 4, 16, 100};
	double own = report->asset.compression;
	bool found = false;

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		report->attackers[report->n_attackers++].compression = usual[i];
		found = found || (usual[i] <= own && usual[i] >= own);
	}
	if (!found)
		report->attackers[report->n_attackers++].compression = own;
	qsort(report->attackers, report->n_attackers, sizeof(report->attackers[0]),
	      compare_attackers);
	for (uint32_t i = 0; i < report->n_attackers; i++) {
		struct weir_plan_attacker *attacker = &report->attackers[i];

		attacker->need_bytes =
		    weir_plan_need_bytes(report->asset.weights_bytes, attacker->compression);
		if (attacker->compression <= own && attacker->compression >= own)
			report->own = i;
	}
}

static void
judge(struct weir_plan_report *report)
{
	const struct weir_config_asset assumed = {.name = "model",
	                                          .weights_bytes = WEIGHTS_DEFAULT_BYTES,
	                                          .compression = COMPRESSION_DEFAULT,
	                                          .survive_ns = SURVIVE_DEFAULT_NS};
	const struct weir_plan_path total = {WEIR_PLAN_TOTAL, 0};

	report->assumed = !report->config->has_asset;
	report->asset = report->assumed ? assumed : report->config->asset;
	report->plan = weir_plan_new(report->config);
	if (report->plan == NULL)
		weir_text_no_memory();
	find_attackers(report);
	report->leaves_bytes = weir_plan_bytes(report->plan, total, report->asset.survive_ns - 1);
	report->survives = report->leaves_bytes < report->attackers[report->own].need_bytes;
}

static int
compare_ns(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

uint32_t
weir_plan_windows(const struct weir_plan_report *report, uint64_t windows_ns[WEIR_CAPS_MAX + 1])
{
	const struct weir_config_budget *root =
	    &report->config->budgets[weir_plan_root(report->plan)];
	uint32_t n = 0;

	windows_ns[n++] = DAY_NS;
	for (uint32_t i = 0; i < root->n_caps; i++)
		if (root->caps[i].window_ns != 0 && root->caps[i].window_ns != DAY_NS)
			windows_ns[n++] = root->caps[i].window_ns;
	qsort(windows_ns, n, sizeof(*windows_ns), compare_ns);
	return n;
}

uint64_t
weir_plan_bursts(const struct weir_plan_report *report)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < report->config->n_classes; i++)
		if (weir_plan_class_used(report->plan, i))
			sum += report->config->classes[i].burst_bytes;
	return sum;
}

bool
weir_plan_witness_beside(const struct weir_config_appliance *appliance)
{
	const char *ledger = strrchr(appliance->ledger, '/');
	const char *witness = strrchr(appliance->witness_path, '/');
	size_t length = ledger == NULL ? 0 : (size_t)(ledger - appliance->ledger);

	return appliance->witness == WEIR_WITNESS_FILE && ledger != NULL && witness != NULL &&
	       (size_t)(witness - appliance->witness_path) == length &&
	       strncmp(appliance->ledger, appliance->witness_path, length) == 0;
}

enum weir_exit
weir_command_plan(const struct weir_options *options)
{
	struct weir_plan_report report = {.file = options->file};
	struct weir_error error;
	struct weir_config *config;
	enum weir_exit status;

	if (options->live && options->n_traffic > 0) {
		weir_error_set(&error, 0, "--live: expected no --traffic beside it");
		return weir_command_fail(options, WEIR_EXIT_USAGE, &error);
	}
	status = weir_command_load_policy(options, &config);
	if (status != WEIR_EXIT_OK)
		return status;
	status = weir_plan_traffic_get(options, config, &report.traffic);
	if (status == WEIR_EXIT_OK) {
		report.config = config;
		judge(&report);
		if (options->json)
			weir_command_print_json(weir_plan_json(&report), false);
		else
			weir_plan_print(&report);
		if (!report.survives && report.asset.accept_risk[0] == '\0')
			status = WEIR_EXIT_FAILED;
		weir_plan_free(report.plan);
	}
	weir_plan_traffic_free(report.traffic);
	weir_config_free(config);
	return status;
}
