/* SPDX-License-Identifier: BSD-3-Clause */
/* What changes of a policy are called: a table of edits, and random pairs. */
#include "control/config.h"
#include "tests/unit/config_model.h"

#include <string.h>

#define LINES_SIZE 4096U

/* The small policy with one piece of text replaced. */
static struct weir_config *
edited(const char *from, const char *to)
{
	struct weir_config *config = NULL;
	char text[sizeof(model_base) + 512], error[ERROR_SIZE];
	const char *at = strstr(model_base, from);

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - model_base), model_base, to,
	         at + strlen(from));
	if (weir_config_parse("edited", text, strlen(text), &config, error, sizeof(error)) != 0)
		printf("    %s\n", error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

static void
collect(void *arg, enum weir_change change, const char *what)
{
	static const char letters[] = "=-+R";
	char *lines = arg;
	size_t used = strlen(lines);

	CU_ASSERT_PTR_NULL(strchr(what, '\n'));
	snprintf(lines + used, LINES_SIZE - used, "%c %s\n", letters[change], what);
}

/* '-' tightens, '+' loosens, '=' neutral, 'R' needs a restart. */
static const struct {
	const char *from, *to, *lines;
} edits[] = {
    {"ports", "ports", ""},
    {"rate: 10 Mbit/s", "rate: 5 Mbit/s",
     "- class web: rate 10 Mbit/s -> 5 Mbit/s\n"
     "- class web: backlog 125 kB -> 62.5 kB\n"},
    {"10 Mbit/s, burst: 16 KB", "10 Mbit/s, burst: 17 KB", "+ class web: burst 16 kB -> 17 kB\n"},
    {"1 Mbit/s, burst: 2 KB", "2 Mbit/s, burst: 2 KB", "+ class log: rate 1 Mbit/s -> 2 Mbit/s\n"},
    {", excess: drop", "", "+ class log: excess drop -> shape\n"},
    {"burst: 16 KB", "burst: 16 KB, excess: drop", "- class web: excess shape -> drop\n"},
    {"budget: part", "budget: total", "+ class web: budget part -> total\n"},
    {"log, budget: total", "log, budget: part", "- class log: budget total -> part\n"},
    {"limit: 1 GB", "limit: 2 GB", "+ budget total: lifetime cap 1 GB -> 2 GB\n"},
    {"limit: 1 GB", "limit: 1 MB", "- budget total: lifetime cap 1 GB -> 1 MB\n"},
    {"per: 1 d", "per: 2 d",
     "+ budget total: cap per 1 d of 1 MB removed\n"
     "- budget total: cap per 2 d of 1 MB added\n"},
    {"{limit: 1 GB}, ", "", "+ budget total: lifetime cap of 1 GB removed\n"},
    {"part, parent: total", "part, parent: total, caps: [{limit: 5 B}]",
     "- budget part: lifetime cap of 5 B added\n"},
    {"- {name: part, parent: total}\n",
     "- {name: part, parent: new}\n- {name: new, parent: total}\n",
     "- budget part: parent total -> new\n= budget new: added\n"},
    {"- {name: part, parent: total}\n",
     "- {name: old, parent: total}\n- {name: part, parent: total}\n", "= budget old: added\n"},
    {"- {protocol: udp, class: log}\n", "", "- rules[1] removed: {protocol: udp, class: log}\n"},
    {"- {protocol: tcp, source_ports: 80, class: web}\n", "",
     "+ rules[0] removed: {protocol: tcp, source_ports: 80, class: web}\n"},
    {"- {protocol: udp, class: log}\n", "- {protocol: udp, class: web}\n",
     "+ rules[1] removed: {protocol: udp, class: log}\n"
     "+ rules[1] added: {protocol: udp, class: web}\n"},
    {"- {protocol: udp, class: log}\n- {ethertype: arp, class: log}\n",
     "- {ethertype: arp, class: log}\n- {protocol: udp, class: log}\n",
     "+ rules[1] removed: {protocol: udp, class: log}\n"
     "+ rules[2] added: {protocol: udp, class: log}\n"},
    {"- {link: up,", "- {vlan: none, class: log}\n- {link: up,",
     "+ rules[3] added: {vlan: none, class: log}\n"},
    {"- {name: log, ", "- {name: new, budget: total, rate: 1 bit/s, burst: 2 kB}\n- {name: log, ",
     "+ class new: added with 1 bit/s\n"},
    {"net_null0", "net_null7", "R port in0: device net_null0 -> net_null7\n"},
    {"net_null1}", "net_null1, mtu: 576, rx_queues: 2, rx_descriptors: 64, tx_descriptors: 128}",
     "R port out0: mtu 1500 -> 576\nR port out0: rx_queues 1 -> 2\n"
     "R port out0: rx_descriptors default -> 64\nR port out0: tx_descriptors default -> 128\n"},
    {"net_null1}", "net_null1, limiter: queue, limiter_required: true}",
     "R port out0: limiter auto -> queue\nR port out0: limiter_required false -> true\n"},
    {"net_null1}", "net_null1, limiter_test: {destination: \"02:00:00:00:00:0A\"}}",
     "R port out0: limiter_test none -> 2 s to 02:00:00:00:00:0a\n"},
    {"burst: 16 KB", "burst: 16 KB, queue: dedicated", "= class web: queue auto -> dedicated\n"},
    {"- {name: in0, device: net_null0}\n- {name: out0, device: net_null1}\n",
     "- {name: out0, device: net_null1}\n- {name: in0, device: net_null0}\n",
     "R port in0: name in0 -> out0\nR port in0: device net_null0 -> net_null1\n"
     "R port out0: name out0 -> in0\nR port out0: device net_null1 -> net_null0\n"},
    {"name: up, inside: in0, outside: out0", "name: up, inside: out0, outside: in0",
     "R link up: inside in0 -> out0\nR link up: outside out0 -> in0\n"},
    {"ports:\n",
     "appliance: {workers: [1, 2], memory: 1 GiB, read_socket: /r, metrics_port: 9}\nports:\n",
     "R appliance: workers [1] -> [1, 2]\nR appliance: memory 512 MiB -> 1 GiB\n"
     "R appliance: read_socket none -> /r\nR appliance: metrics_port none -> 9\n"},
    {"ports:\n",
     "appliance: {ledger: /l, grant_horizon: 1 s, grant_min: 2 MB, grant_max: 1 TB,\n"
     " witness: file, witness_path: /w, witness_every: 1 MB, witness_interval: 1 min}\nports:\n",
     "R appliance: ledger /var/lib/weir/ledger -> /l\n"
     "R appliance: ledger_key /var/lib/weir/ledger.key -> /l.key\n"
     "R appliance: grant_horizon 100 ms -> 1 s\nR appliance: grant_min 1 MB -> 2 MB\n"
     "R appliance: grant_max 4 GB -> 1 TB\nR appliance: witness none -> file\n"
     "R appliance: witness_path none -> /w\nR appliance: witness_every 100 MB -> 1 MB\n"
     "R appliance: witness_interval 2 h -> 1 min\n"},
    {"ports:\n", "appliance: {witness: tpm, witness_tcti: swtpm}\nports:\n",
     "R appliance: witness none -> tpm\nR appliance: witness_tcti none -> swtpm\n"
     "R appliance: witness_index none -> 0x01805745\n"},
    {"ports:\n", "asset: {name: a, weights: 1 TB, compression: 2, survive: 1 d}\nports:\n",
     "= asset: added\n"},
};

static void
test_diff(void)
{
	struct weir_config *from = edited("ports", "ports");

	for (size_t i = 0; i < WEIR_TEST_COUNT(edits); i++) {
		struct weir_config *to = edited(edits[i].from, edits[i].to);
		char lines[LINES_SIZE] = "";

		weir_config_diff(from, to, NULL, collect, lines);
		CU_ASSERT_STRING_EQUAL(lines, edits[i].lines);
		if (strcmp(lines, edits[i].lines) != 0)
			printf("    got:\n%s    expected:\n%s", lines, edits[i].lines);
		weir_config_free(to);
	}
	weir_config_free(from);
}

static const char everything_else[] = "links: [{name: down, inside: in0, outside: out0}]\n"
                                      "budgets:\n"
                                      "- {name: total, caps: [{limit: 1 GB}]}\n"
                                      "- {name: mid, parent: total}\n"
                                      "classes:\n"
                                      "- {name: web, budget: mid, rate: 10 Mbit/s, burst: 16 KB}\n"
                                      "rules:\n"
                                      "- {protocol: tcp, source_ports: 80, class: web}\n"
                                      "- {protocol: udp, class: web}\n"
                                      "- {link: down, protocol: tcp, class: web}\n";

/* What the asset promises: each change that makes a plan or the gauge milder counts as looser. */
static void
test_diff_asset(void)
{
	static const struct {
		const char *from, *to, *lines;
	} cases[] = {
	    {"a, weights: 1 TB, compression: 2, survive: 1 d", "", "+ asset: removed\n"},
	    {"a, weights: 1 TB, compression: 2, survive: 1 d",
	     "b, weights: 2 TB, compression: 1.5, survive: 1 h, accept_risk: so be it",
	     "= asset: name a -> b\n+ asset: weights 1 TB -> 2 TB\n"
	     "+ asset: compression 2 -> 1.5\n+ asset: survive 1 d -> 1 h\n"
	     "+ asset: accept_risk none -> so be it\n"},
	    {"a, weights: 2 TB, compression: 1.5, survive: 1 h, accept_risk: so be it",
	     "a, weights: 1 TB, compression: 2, survive: 1 d",
	     "- asset: weights 2 TB -> 1 TB\n- asset: compression 1.5 -> 2\n"
	     "- asset: survive 1 h -> 1 d\n- asset: accept_risk so be it -> none\n"},
	    {"a, weights: 1 TB, compression: 2, survive: 1 d, accept_risk: we watch",
	     "a, weights: 1 TB, compression: 2, survive: 1 d, accept_risk: we know",
	     "+ asset: accept_risk we watch -> we know\n"},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		char texts[2][256] = {"ports:\n", "ports:\n"}, lines[LINES_SIZE] = "";
		struct weir_config *configs[2];

		for (int k = 0; k < 2; k++) {
			const char *keys = k == 0 ? cases[i].from : cases[i].to;

			if (keys[0] != '\0')
				snprintf(texts[k], sizeof(texts[k]), "asset: {name: %s}\nports:\n",
				         keys);
			configs[k] = edited("ports:\n", texts[k]);
		}
		weir_config_diff(configs[0], configs[1], NULL, collect, lines);
		CU_ASSERT_STRING_EQUAL(lines, cases[i].lines);
		if (strcmp(lines, cases[i].lines) != 0)
			printf("    got:\n%s    expected:\n%s", lines, cases[i].lines);
		weir_config_free(configs[0]);
		weir_config_free(configs[1]);
	}
}

/* Names that go: budgets give nothing back, rules are of a class or link that is no longer there.
 */
static void
test_diff_removed(void)
{
	struct weir_config *from = edited("ports", "ports"), *to = NULL;
	char text[2048], error[ERROR_SIZE], lines[LINES_SIZE] = "";
	const char *links = strstr(model_base, "links:");

	snprintf(text, sizeof(text), "%.*s%s", (int)(links - model_base), model_base,
	         everything_else);
	CU_ASSERT_EQUAL_FATAL(
	    weir_config_parse("to", text, strlen(text), &to, error, sizeof(error)), 0);
	weir_config_diff(from, to, NULL, collect, lines);
	CU_ASSERT_STRING_EQUAL(lines,
	                       "R link up: name up -> down\n"
	                       "+ budget total: cap per 1 d of 1 MB removed\n"
	                       "= budget part: removed\n"
	                       "= budget mid: added\n"
	                       "+ class web: budget part -> mid\n"
	                       "- class log: removed\n"
	                       "+ rules[1] removed: {protocol: udp, class: log}\n"
	                       "- rules[2] removed: {ethertype: arp, class: log}\n"
	                       "- rules[3] removed: {link: up, protocol: tcp, class: web}\n"
	                       "+ rules[1] added: {protocol: udp, class: web}\n"
	                       "+ rules[2] added: {link: down, protocol: tcp, class: web}\n");
	weir_config_free(from);
	weir_config_free(to);
}

/* A budget with caps that goes is as loose as what they count, where that is known. */
static void
test_diff_used(void)
{
	static const struct {
		bool known;
		uint64_t used_bytes;
		const char *line;
	} cases[] = {
	    {false, 0,
	     "+ budget spare: removed (what it was charged stays charged above it; under another "
	     "name its caps would be whole again)\n"},
	    {true, 0, "= budget spare: removed (its caps count nothing as used)\n"},
	    {true, 1500,
	     "+ budget spare: removed (its caps count up to 1.5 kB as used: this stays charged "
	     "above it, but under another name its caps would be whole again)\n"},
	};
	struct weir_config *to = edited("ports", "ports");
	struct weir_config *from = edited(
	    "- {name: part, parent: total}\n",
	    "- {name: part, parent: total}\n"
	    "- {name: spare, parent: part, caps: [{limit: 9 MB}, {limit: 1 MB, per: 1 d}]}\n");

	CU_ASSERT_STRING_EQUAL_FATAL(from->budgets[2].name, "spare");
	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		uint64_t used_bytes[] = {UINT64_MAX, UINT64_MAX, cases[i].used_bytes};
		char lines[LINES_SIZE] = "";

		weir_config_diff(from, to, cases[i].known ? used_bytes : NULL, collect, lines);
		CU_ASSERT_STRING_EQUAL(lines, cases[i].line);
		if (strcmp(lines, cases[i].line) != 0)
			printf("    got:\n%s    expected:\n%s", lines, cases[i].line);
	}
	weir_config_free(from);
	weir_config_free(to);
}

static void
note_change(void *arg, enum weir_change change, const char *what)
{
	(void)what;
	*(uint32_t *)arg |= 1U << change;
}

/* No two random policies are called equal, and no policy differs from itself. */
static void
test_diff_random(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 3);
	uint32_t changes;

	for (int i = 0; i < 100; i++) {
		struct weir_config *a = model_make(&random), *b = model_make(&random);

		changes = 0;
		weir_config_diff(a, a, NULL, note_change, &changes);
		CU_ASSERT_EQUAL(changes, 0);
		weir_config_diff(a, b, NULL, note_change, &changes);
		CU_ASSERT_NOT_EQUAL(changes, 0);
		weir_config_free(a);
		weir_config_free(b);
	}
}

static const struct weir_test tests[] = {
    {"differences", test_diff},
    {"what the asset promises", test_diff_asset},
    {"names removed", test_diff_removed},
    {"budgets that go, by what they count", test_diff_used},
    {"random policies", test_diff_random},
};

int
main(void)
{
	return weir_test_run("config_diff", tests, WEIR_TEST_COUNT(tests));
}
