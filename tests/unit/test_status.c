/* SPDX-License-Identifier: BSD-3-Clause */
/* The same made-up status as JSON and as OpenMetrics text. */
#include "control/metrics.h"
#include "control/status.h"
#include "tests/unit/harness.h"

#include <errno.h>
#include <string.h>

static struct weir_status *
make_status(void)
{
	struct weir_status *status = weir_status_new(1, 1, 1, 1, 2, 2);

	CU_ASSERT_PTR_NOT_NULL_FATAL(status);
	status->version = "1.2.3";
	status->appliance = "box";
	status->state = "running";
	status->uptime_ns = 90500000000;
	status->tsc_hz = 2596098010;
	status->largest_frame_bytes = 1546;
	status->policy.generation = 4;
	snprintf(status->policy.digest, sizeof(status->policy.digest), "%064d", 7);
	status->asset = (struct weir_status_asset){
	    .name = "frontier",
	    .weights_bytes = 3400000000000,
	    .compression = 16.5,
	    .survive_ns = 7776000000000000,
	    .left_share = weir_status_left_share(588, 16.5, 3400000000000),
	};
	status->ledger.sync_max_ns = 1500000;
	status->ledger.syncs = 12;
	status->ledger.epoch = 9;
	status->ledger.horizon_ns = 250000000;
	status->ledger.witness_kind = WEIR_WITNESS_TPM;
	status->ledger.witness_value = 77;
	status->ledger.witness_failures = 3;
	status->ledger.witness_error = -ETIMEDOUT;
	status->ledger.witness_left_bytes = 5000;
	snprintf(status->workers[0].lcore, sizeof(status->workers[0].lcore), "3");
	status->workers[0].busy_share = 0.25;
	status->ports[0] =
	    (struct weir_status_port){.name = "in0", .driver = "net_null", .up = true};
	status->queues[0] = (struct weir_status_queue){
	    .port = "out0",
	    .queue = "3",
	    .limit_bit_s = 7000000,
	    .measured_bit_s = 6990000,
	    .waiting_frames = 4,
	    .verdict = "held",
	};
	status->links[0].name = "internet";
	status->links[0].flows[WEIR_EGRESS] = (struct weir_flow_totals){
	    .rx_frames = 10,
	    .rx_wire_bytes = 840,
	    .tx_frames = 7,
	    .tx_wire_bytes = 588,
	    .dropped = {[WEIR_DROP_NO_RULE] = 2, [WEIR_DROP_CAP] = 1},
	};
	status->classes[0] = (struct weir_status_class){
	    .name = "api",
	    .budget = "total",
	    .rate_bit_s = 1000000000000,
	    .burst_bytes = 64000,
	    .starved = true,
	    .totals = {.tx_frames = 7, .queued_bytes = UINT64_MAX},
	};
	status->classes[1] = (struct weir_status_class){.name = "b", .budget = "api"};
	status->budgets[0] = (struct weir_status_budget){
	    .name = "total",
	    .ledger = {.charged_bytes = 588,
	               .forfeited_bytes = 61,
	               .forfeited_last_bytes = 60,
	               .n_caps = 2,
	               .caps = {{.limit_bytes = 1000, .used_bytes = 588, .remaining_bytes = 412},
	                        {.limit_bytes = 900, .window_ns = 1500000000}}},
	};
	status->budgets[1] = (struct weir_status_budget){.name = "api", .parent = "total"};
	return status;
}

/* The value at a path of keys and, where a key is a number, of array positions. */
static const json_t *
at(const json_t *value, const char *path)
{
	char copy[128], *key = copy;

	snprintf(copy, sizeof(copy), "%s", path);
	while (key != NULL && value != NULL) {
		char *end = strchr(key, '/');

		if (end != NULL)
			*end++ = '\0';
		value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
		                             : json_object_get(value, key);
		key = end;
	}
	return value;
}

static void
check_integer(const json_t *root, const char *path, json_int_t expected)
{
	const json_t *value = at(root, path);

	if (!json_is_integer(value) || json_integer_value(value) != expected)
		printf("    %s\n", path);
	CU_ASSERT(json_is_integer(value));
	CU_ASSERT_EQUAL(json_integer_value(value), expected);
}

static void
check_text(const json_t *root, const char *path, const char *expected)
{
	const char *text = json_string_value(at(root, path));

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void
test_json(void)
{
	struct weir_status *status = make_status();
	json_t *root = weir_status_json(status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	check_text(root, "state", "running");
	CU_ASSERT_EQUAL(json_real_value(at(root, "uptime_s")), 90.5);
	check_integer(root, "largest_frame_bytes", 1546);
	check_text(root, "policy/digest", status->policy.digest);
	CU_ASSERT(json_is_false(at(root, "ports/0/breached")));
	check_text(root, "queues/0/port", "out0");
	check_integer(root, "queues/0/limit_bit_s", 7000000);
	check_integer(root, "queues/0/measured_bit_s", 6990000);
	check_text(root, "queues/0/verdict", "held");
	check_text(root, "links/0/name", "internet");
	check_integer(root, "links/0/egress/rx_frames", 10);
	check_integer(root, "links/0/egress/rx_wire_bytes", 840);
	check_integer(root, "links/0/egress/tx_frames", 7);
	check_integer(root, "links/0/egress/tx_wire_bytes", 588);
	check_integer(root, "links/0/egress/dropped/no_rule", 2);
	check_integer(root, "links/0/egress/dropped/cap", 1);
	CU_ASSERT_EQUAL(json_object_size(at(root, "links/0/egress/dropped")), 2);
	CU_ASSERT_EQUAL(json_object_size(at(root, "links/0/return/dropped")), 0);
	CU_ASSERT_TRUE(json_is_object(at(root, "links/0/return/dropped")));
	check_text(root, "classes/0/name", "api");
	check_text(root, "classes/0/budget", "total");
	check_integer(root, "classes/0/rate_bit_s", 1000000000000);
	check_integer(root, "classes/0/burst_bytes", 64000);
	check_integer(root, "classes/0/tx_frames", 7);
	check_integer(root, "classes/0/dropped_frames", 0);
	/* What JSON's integers can't hold is shown as the most that they can. */
	check_integer(root, "classes/0/queued_bytes", INT64_MAX);
	check_text(root, "budgets/0/name", "total");
	CU_ASSERT_TRUE(json_is_null(at(root, "budgets/0/parent")));
	check_text(root, "budgets/1/parent", "total");
	check_integer(root, "budgets/0/charged_wire_bytes", 588);
	check_integer(root, "budgets/0/forfeited_wire_bytes", 61);
	check_integer(root, "budgets/0/forfeited_last_wire_bytes", 60);
	check_text(root, "asset/name", "frontier");
	check_integer(root, "asset/weights_bytes", 3400000000000);
	CU_ASSERT_EQUAL(json_real_value(at(root, "asset/compression")), 16.5);
	check_integer(root, "asset/survive_s", 7776000);
	CU_ASSERT_TRUE(json_is_null(at(root, "asset/accept_risk")));
	CU_ASSERT_EQUAL(json_real_value(at(root, "asset/left_share")), 0.000001);
	check_integer(root, "ledger/epoch", 9);
	CU_ASSERT_EQUAL(json_real_value(at(root, "ledger/horizon_s")), 0.25);
	CU_ASSERT_TRUE(json_is_null(at(root, "ledger/error")));
	check_text(root, "ledger/witness", "tpm");
	check_integer(root, "ledger/witness_value", 77);
	check_integer(root, "ledger/witness_failures", 3);
	check_text(root, "ledger/witness_error", "Connection timed out");
	check_integer(root, "ledger/witness_left_bytes", 5000);
	check_integer(root, "budgets/0/caps/0/limit_bytes", 1000);
	check_integer(root, "budgets/0/caps/0/used_bytes", 588);
	check_integer(root, "budgets/0/caps/0/remaining_bytes", 412);
	CU_ASSERT_TRUE(json_is_null(at(root, "budgets/0/caps/0/window_s")));
	CU_ASSERT_EQUAL(json_real_value(at(root, "budgets/0/caps/1/window_s")), 1.5);
	CU_ASSERT_EQUAL(json_array_size(at(root, "budgets/1/caps")), 0);
	CU_ASSERT_TRUE(json_is_array(at(root, "budgets/1/caps")));
	json_decref(root);
	weir_status_free(status);
}

/* Without a witness there is nothing that it could hold up. */
static void
test_no_witness(void)
{
	struct weir_status *status = make_status();
	json_t *root;

	status->ledger.error = -ENOSPC;
	status->ledger.witness_kind = WEIR_WITNESS_NONE;
	status->ledger.witness_error = 0;
	status->ledger.witness_left_bytes = UINT64_MAX;
	root = weir_status_json(status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	check_text(root, "ledger/error", "No space left on device");
	check_text(root, "ledger/witness", "none");
	CU_ASSERT_TRUE(json_is_null(at(root, "ledger/witness_error")));
	CU_ASSERT_TRUE(json_is_null(at(root, "ledger/witness_left_bytes")));
	json_decref(root);
	weir_status_free(status);
}

/* The gauge of what may have left: never rounded down, and without a policy's word none. */
static void
test_asset(void)
{
	struct weir_status *status = make_status();
	json_t *root;

	CU_ASSERT_EQUAL(weir_status_left_share(0, 16, 1), 0);
	CU_ASSERT_EQUAL(weir_status_left_share(1, 1, 1000000000000000000), 0.000001);
	CU_ASSERT_EQUAL(weir_status_left_share(106000000000, 16, 3400000000000), 0.498824);
	CU_ASSERT_EQUAL(weir_status_left_share(212500000000, 16, 3400000000000), 1);
	CU_ASSERT_EQUAL(weir_status_left_share(425000000000, 16, 3400000000000), 2);
	CU_ASSERT(weir_status_left_share(UINT64_MAX, 1000000, 1) > 1e25);
	status->asset = (struct weir_status_asset){.accept_risk = "too late"};
	root = weir_status_json(status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	CU_ASSERT_TRUE(json_is_null(at(root, "asset")));
	json_decref(root);
	weir_status_free(status);
}

static char *
metrics_text(const struct weir_status *status)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	weir_metrics_write(status, out);
	CU_ASSERT_EQUAL_FATAL(fclose(out), 0);
	CU_ASSERT_EQUAL(strlen(text), size);
	return text;
}

static void
test_metrics(void)
{
	static const char *const lines[] = {
	    "weir_uptime_seconds 90.5\n",
	    "weir_tsc_hertz 2596098010\n",
	    "weir_largest_frame_bytes 1546\n",
	    "weir_state{weir_state=\"running\"} 1\n",
	    "weir_state{weir_state=\"stopping\"} 0\n",
	    "weir_asset_weights_bytes 3400000000000\n",
	    "weir_asset_compression 16.500000\n",
	    "weir_asset_survive_seconds 7776000\n",
	    "weir_asset_left_ratio 0.000001\n",
	    "weir_ledger_syncs_total 12\n",
	    "weir_ledger_epoch 9\n",
	    "weir_ledger_horizon_seconds 0.25\n",
	    "weir_ledger_witness_value 77\n",
	    "weir_ledger_witness_failures_total 3\n",
	    "weir_ledger_witness_failing 1\n",
	    "weir_ledger_witness_left_bytes 5000\n",
	    "weir_budget_forfeited_wire_bytes_total{budget=\"total\"} 61\n",
	    "weir_budget_forfeited_last_wire_bytes{budget=\"total\"} 60\n",
	    "weir_ledger_sync_max_seconds 0.0015\n",
	    "weir_worker_busy_ratio{lcore=\"3\"} 0.250000\n",
	    "weir_port_up{port=\"in0\"} 1\n",
	    "weir_port_breached{port=\"in0\"} 0\n",
	    "weir_queue_limit_bits_per_second{port=\"out0\",queue=\"3\"} 7000000\n",
	    "weir_queue_measured_bits_per_second{port=\"out0\",queue=\"3\"} 6990000\n",
	    "weir_queue_waiting_frames{port=\"out0\",queue=\"3\"} 4\n",
	    "weir_link_tx_wire_bytes_total{link=\"internet\",direction=\"egress\"} 588\n",
	    "weir_link_tx_wire_bytes_total{link=\"internet\",direction=\"return\"} 0\n",
	    "weir_link_dropped_frames_total{link=\"internet\",direction=\"egress\","
	    "reason=\"no_rule\"} 2\n",
	    "weir_link_dropped_frames_total{link=\"internet\",direction=\"egress\","
	    "reason=\"runt\"} 0\n",
	    "weir_class_rate_bits_per_second{class=\"api\"} 1000000000000\n",
	    "weir_class_queued_bytes{class=\"api\"} 18446744073709551615\n",
	    "weir_class_starved{class=\"api\"} 1\n",
	    "weir_budget_charged_wire_bytes_total{budget=\"total\"} 588\n",
	    "weir_cap_used_bytes{budget=\"total\",window_seconds=\"lifetime\"} 588\n",
	    "weir_cap_limit_bytes{budget=\"total\",window_seconds=\"1.5\"} 900\n",
	    "# TYPE weir_class_tx_wire_bytes counter\n# UNIT weir_class_tx_wire_bytes bytes\n"
	    "# HELP weir_class_tx_wire_bytes Wire bytes sent.\n"
	    "weir_class_tx_wire_bytes_total{class=\"api\"} 0\n",
	};
	struct weir_status *status = make_status();
	char *text = metrics_text(status);
	size_t length = strlen(text);

	for (size_t i = 0; i < WEIR_TEST_COUNT(lines); i++) {
		const char *found = strstr(text, lines[i]);

		if (found == NULL)
			printf("    missing: %s", lines[i]);
		CU_ASSERT_PTR_NOT_NULL(found);
	}
	CU_ASSERT_FATAL(length > 6);
	CU_ASSERT_STRING_EQUAL(text + length - 6, "# EOF\n");
	free(text);
	status->asset.name = NULL;
	text = metrics_text(status);
	CU_ASSERT_PTR_NULL(strstr(text, "weir_asset"));
	free(text);
	weir_status_free(status);
}

/* A label may hold anything; a line never breaks by it. */
static void
test_labels(void)
{
	struct weir_status *status = make_status();
	char *text;

	status->classes[0].name = "a\"b\\c\nd";
	text = metrics_text(status);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "weir_class_tx_frames_total{class=\"a\\\"b\\\\c\\nd\"} 7\n"));
	free(text);
	weir_status_free(status);
}

/* Every fact has a name, and every metric help and a name that ends in its unit. */
static void
test_table(void)
{
	const struct weir_facts *const tables[] = {
	    &weir_facts_appliance, &weir_facts_policy, &weir_facts_ledger, &weir_facts_worker,
	    &weir_facts_port,      &weir_facts_queue,  &weir_facts_flow,   &weir_facts_class,
	    &weir_facts_budget,    &weir_facts_cap,    &weir_facts_asset};

	for (size_t t = 0; t < WEIR_TEST_COUNT(tables); t++) {
		for (size_t i = 0; i < tables[t]->n_facts; i++) {
			const struct weir_fact *fact = &tables[t]->facts[i];
			const char *name = fact->metric != NULL ? fact->metric : fact->key;

			CU_ASSERT_PTR_NOT_NULL_FATAL(fact->key);
			for (size_t k = 0; k < i; k++)
				CU_ASSERT_STRING_NOT_EQUAL(tables[t]->facts[k].key, fact->key);
			if (fact->kind == WEIR_FACT_PLAIN)
				continue;
			CU_ASSERT_PTR_NOT_NULL_FATAL(fact->help);
			CU_ASSERT_NOT_EQUAL(fact->help[strlen(fact->help) - 1], '.');
			if (fact->unit == NULL)
				continue;
			CU_ASSERT_FATAL(strlen(name) >= strlen(fact->unit));
			CU_ASSERT_STRING_EQUAL(name + strlen(name) - strlen(fact->unit),
			                       fact->unit);
		}
	}
}

static const struct weir_test tests[] = {
    {"status as JSON", test_json},
    {"status without a witness", test_no_witness},
    {"what may have left of the asset", test_asset},
    {"status as OpenMetrics", test_metrics},
    {"labels are escaped", test_labels},
    {"the table of facts is whole", test_table},
};

int
main(void)
{
	return weir_test_run("status", tests, WEIR_TEST_COUNT(tests));
}
