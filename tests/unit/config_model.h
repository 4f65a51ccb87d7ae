/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random policies for tests of the parser: a valid struct weir_config from a seed, its spelling in
 * units that the printer never chooses, and the comparison of two configs field by field.
 */
#ifndef WEIR_TESTS_UNIT_CONFIG_MODEL_H
#define WEIR_TESTS_UNIT_CONFIG_MODEL_H

#include "control/config.h"
#include "control/config_cover.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <string.h>

#define ERROR_SIZE 512U

/* A small policy, for tests that edit it. */
static const char model_base[] =
    "ports:\n"
    "- {name: in0, device: net_null0}\n"
    "- {name: out0, device: net_null1}\n"
    "links:\n"
    "- {name: up, inside: in0, outside: out0}\n"
    "budgets:\n"
    "- {name: total, caps: [{limit: 1 GB}, {limit: 1 MB, per: 1 d}]}\n"
    "- {name: part, parent: total}\n"
    "classes:\n"
    "- {name: web, budget: part, rate: 10 Mbit/s, burst: 16 KB}\n"
    "- {name: log, budget: total, rate: 1 Mbit/s, burst: 2 KB, excess: drop}\n"
    "rules:\n"
    "- {protocol: tcp, source_ports: 80, class: web}\n"
    "- {protocol: udp, class: log}\n"
    "- {ethertype: arp, class: log}\n"
    "- {link: up, protocol: tcp, class: web}\n";

static inline uint64_t
model_log(struct weir_random *random, uint64_t least, uint64_t most)
{
	uint64_t high = most >> weir_random_below(random, 60);

	return weir_random_between(random, least, high < least ? least : high);
}

static inline void
model_appliance(struct weir_random *random, struct weir_config_appliance *appliance)
{
	*appliance = (struct weir_config_appliance){
	    .n_workers = (uint32_t)weir_random_between(random, 1, WEIR_WORKERS_MAX),
	    .control_lcore = (uint32_t)weir_random_below(random, 8),
	    .memory_bytes = model_log(random, UINT64_C(64) << 20, UINT64_C(1) << 40),
	    .huge_pages = (enum weir_huge_pages)weir_random_below(random, 3),
	    .allow_remote_numa = weir_random_one_in(random, 2),
	    .n_control_users = (uint32_t)weir_random_below(random, WEIR_USERS_MAX + 1),
	    .n_read_users = (uint32_t)weir_random_below(random, WEIR_USERS_MAX + 1),
	    .metrics_port = (uint16_t)weir_random_below(random, 65536),
	    .heartbeat_limit_ns = model_log(random, 100 * WEIR_NS_PER_MS, 60 * WEIR_NS_PER_S),
	    .drain_limit_ns = model_log(random, WEIR_NS_PER_MS, 60 * WEIR_NS_PER_S),
	};
	snprintf(appliance->name, sizeof(appliance->name), "%s",
	         weir_random_one_in(random, 2) ? "null" : "0.weir_-X");
	snprintf(appliance->ledger, sizeof(appliance->ledger), "/l/%" PRIu64,
	         weir_random_below(random, 9));
	snprintf(appliance->ledger_key, sizeof(appliance->ledger_key), "%.8s%s", appliance->ledger,
	         weir_random_one_in(random, 2) ? ".key" : "/k");
	snprintf(appliance->control_socket, sizeof(appliance->control_socket), "/c # {x}, '/s");
	if (weir_random_one_in(random, 2))
		snprintf(appliance->read_socket, sizeof(appliance->read_socket), "/r: &a *b");
	for (uint32_t i = 0; i < WEIR_WORKERS_MAX; i++) {
		if (i < appliance->n_workers)
			appliance->workers[i] = 8 + i * 7 % WEIR_WORKERS_MAX;
		if (i < appliance->n_control_users)
			appliance->control_users[i] = UINT32_MAX - 1 - i;
		if (i < appliance->n_read_users)
			appliance->read_users[i] = i;
	}
}

/* Grants and witness. A TPM's has to last ten years with the root's caps. */
static inline void
model_ledger(struct weir_random *random, struct weir_config *config)
{
	struct weir_config_appliance *appliance = &config->appliance;
	const double ten_years_ns = 3650 * 86400e9;
	double most_bytes = 1e300, increments;

	appliance->grant_horizon_ns = model_log(random, WEIR_NS_PER_MS, 10 * WEIR_NS_PER_S);
	appliance->grant_max_bytes = model_log(random, 10000, UINT64_C(1000000000000));
	appliance->grant_min_bytes = weir_random_between(random, 10000, appliance->grant_max_bytes);
	appliance->witness = (enum weir_witness_kind)weir_random_below(random, 3);
	appliance->witness_every_bytes = 100000000;
	appliance->witness_interval_ns = 7200 * WEIR_NS_PER_S;
	if (appliance->witness == WEIR_WITNESS_NONE)
		return;
	appliance->witness_every_bytes = model_log(random, 10000, UINT64_C(1000000000000000000));
	appliance->witness_interval_ns =
	    model_log(random, 60 * WEIR_NS_PER_S, 30 * 86400 * WEIR_NS_PER_S);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];

		for (uint32_t j = 0; budget->parent == WEIR_ANY && j < budget->n_caps; j++) {
			double bytes = (double)budget->caps[j].limit_bytes;

			if (budget->caps[j].window_ns != 0)
				bytes *= ten_years_ns / (double)budget->caps[j].window_ns + 1;
			most_bytes = bytes < most_bytes ? bytes : most_bytes;
		}
	}
	increments = most_bytes / (double)appliance->witness_every_bytes +
	             ten_years_ns / (double)appliance->witness_interval_ns;
	if (appliance->witness == WEIR_WITNESS_FILE || increments > 99990) {
		appliance->witness = WEIR_WITNESS_FILE;
		snprintf(appliance->witness_path, sizeof(appliance->witness_path), "/w: #1");
		return;
	}
	appliance->witness_index = (uint32_t)weir_random_between(random, 0x01800000, 0x01bfffff);
	snprintf(appliance->witness_tcti, sizeof(appliance->witness_tcti), "swtpm:path=/t{a},b#c");
}

static inline void
model_ports(struct weir_random *random, struct weir_config *config)
{
	config->n_links = (uint32_t)weir_random_between(random, 1, WEIR_LINKS_MAX);
	config->n_ports = 2 * config->n_links;
	config->ports = calloc(config->n_ports, sizeof(*config->ports));
	config->links = calloc(config->n_links, sizeof(*config->links));
	for (uint32_t i = 0; i < config->n_ports; i++) {
		struct weir_port_config *port = &config->ports[i];

		*port = (struct weir_port_config){
		    .mtu_bytes = (uint32_t)weir_random_between(random, 576, 9216),
		    .rx_queues = (uint32_t)weir_random_between(random, 1, 16),
		    .tx_queues = config->appliance.n_workers,
		};
		if (weir_random_one_in(random, 2))
			port->rx_descriptors = (uint32_t)weir_random_between(random, 64, 32768);
		if (weir_random_one_in(random, 2))
			port->tx_descriptors = (uint32_t)weir_random_between(random, 64, 32768);
		if (i % 2 == 0)
			port->limiter = (enum weir_limiter_kind)weir_random_below(random, 4);
		port->limiter_required = i % 2 == 0 && port->limiter != WEIR_LIMITER_SOFT &&
		                         weir_random_one_in(random, 2);
		/* What is required as well is refused for bursts that can't be told: elsewhere. */
		if (i % 2 == 0 && port->limiter != WEIR_LIMITER_SOFT && !port->limiter_required &&
		    weir_random_one_in(random, 2)) {
			port->limiter_test_ns =
			    weir_random_between(random, 1000, 60000) * WEIR_NS_PER_MS;
			port->limiter_test_destination[0] = 2;
			for (uint32_t k = 1; k < WEIR_MAC_BYTES; k++)
				port->limiter_test_destination[k] =
				    (uint8_t)weir_random_below(random, 256);
		}
		snprintf(port->name, sizeof(port->name), "p%u", i);
		snprintf(port->device, sizeof(port->device),
		         i % 2 == 0 ? "0000:%02x:00.0" : "net_tap%u,iface=a:b%u,#c=[%%]", i, i);
	}
	for (uint32_t i = 0; i < config->n_links; i++) {
		snprintf(config->links[i].name, sizeof(config->links[i].name), "l%u", i);
		config->links[i].inside = config->n_ports - 1 - 2 * i;
		config->links[i].outside = config->n_ports - 2 - 2 * i;
	}
}

static inline void
model_budgets(struct weir_random *random, struct weir_config *config)
{
	uint32_t depth[64], root;

	config->n_budgets = (uint32_t)weir_random_between(random, 1, 40);
	config->budgets = calloc(config->n_budgets, sizeof(*config->budgets));
	root = (uint32_t)weir_random_below(random, config->n_budgets);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		/* The root first, then the others in order: each below one that is there. */
		uint32_t at = i == 0 ? root : i <= root ? i - 1 : i;
		struct weir_config_budget *budget = &config->budgets[at];

		snprintf(budget->name, sizeof(budget->name), "b%u", at);
		budget->parent = WEIR_ANY;
		depth[at] = 1;
		while (i > 0 && (depth[at] == 1 || depth[at] > WEIR_PATH_MAX)) {
			uint32_t other = (uint32_t)weir_random_below(random, i);

			budget->parent = other == 0 ? root : other <= root ? other - 1 : other;
			depth[at] = depth[budget->parent] + 1;
		}
		budget->n_caps = (uint32_t)weir_random_between(random, i == 0, WEIR_CAPS_MAX);
		for (uint32_t j = 0; j < budget->n_caps; j++) {
			budget->caps[j].limit_bytes =
			    model_log(random, 1, UINT64_C(1000000000000000000));
			/* Different in their lowest digit. */
			if (j != 3)
				budget->caps[j].window_ns =
				    model_log(random, 1, UINT64_C(315359999900000000)) * 10 +
				    WEIR_NS_PER_S + j;
		}
	}
}

static inline void
model_classes(struct weir_random *random, struct weir_config *config)
{
	config->n_classes = (uint32_t)weir_random_between(random, 1, 40);
	config->classes = calloc(config->n_classes, sizeof(*config->classes));
	for (uint32_t i = 0; i < config->n_classes; i++) {
		struct weir_config_class *class = &config->classes[i];

		snprintf(class->name, sizeof(class->name), "c%u", i);
		class->budget = (uint32_t)weir_random_below(random, config->n_budgets);
		class->rate_bit_s = model_log(random, 1, UINT64_C(1000000000000));
		class->burst_bytes = (uint32_t)model_log(random, 9263, 1000000000);
		if (weir_random_one_in(random, 2))
			class->backlog_bytes = (uint32_t)model_log(random, 9263, 1000000000);
		class->dedicated = weir_random_one_in(random, 4);
	}
}

static inline void
model_prefix(struct weir_random *random, uint8_t family, struct weir_prefix *prefix)
{
	uint32_t bits = family == WEIR_FAMILY_IP4 ? 32 : 128;

	*prefix = (struct weir_prefix){.family = family};
	prefix->length = (uint8_t)weir_random_between(random, 0, bits);
	for (uint32_t i = 0; i < prefix->length; i++)
		if (weir_random_one_in(random, 2))
			prefix->address[i / 8] |= (uint8_t)(0x80U >> i % 8);
}

static inline void
model_range(struct weir_random *random, uint16_t *low, uint16_t *high)
{
	*low = (uint16_t)weir_random_below(random, 65536);
	*high = (uint16_t)weir_random_between(random, *low, 65535);
	if (weir_random_one_in(random, 3))
		*high = *low;
}

static inline void
model_rule(struct weir_random *random, const struct weir_config *config, struct weir_rule *rule)
{
	static const uint32_t ethertypes[] = {0x0806, 0x88cc, 0, 0x0600, 0xffff, 0x1234};
	static const uint32_t with_ports[] = {6, 17, 132, WEIR_ANY};
	uint64_t kind = weir_random_below(random, 4);
	uint8_t family = weir_random_one_in(random, 2) ? WEIR_FAMILY_IP4 : WEIR_FAMILY_IP6;

	*rule = (struct weir_rule){
	    .link = WEIR_ANY,
	    .ethertype = WEIR_ANY,
	    .vlan = WEIR_ANY,
	    .protocol = WEIR_ANY,
	    .source_port_high = 65535,
	    .destination_port_high = 65535,
	    .class_slot = (uint32_t)weir_random_below(random, config->n_classes),
	};
	if (weir_random_one_in(random, 2))
		rule->link = (uint32_t)weir_random_below(random, config->n_links);
	if (weir_random_one_in(random, 2))
		rule->vlan = (uint32_t)weir_random_below(random, 4097);
	if (kind == 0) {
		rule->ethertype = ethertypes[weir_random_below(random, 6)];
		return;
	}
	if (weir_random_one_in(random, 2))
		rule->ethertype = family == WEIR_FAMILY_IP4 ? 0x0800 : 0x86dd;
	if (weir_random_one_in(random, 2))
		model_prefix(random, family, &rule->source);
	if (weir_random_one_in(random, 2))
		model_prefix(random, family, &rule->destination);
	if (kind == 1) {
		rule->protocol = (uint32_t)weir_random_between(random, 1, 255);
		if (rule->protocol == 1 || rule->protocol == 58)
			rule->protocol = 47;
	} else if (kind == 2) {
		rule->protocol = with_ports[weir_random_below(random, 4)];
		model_range(random, &rule->source_port_low, &rule->source_port_high);
		if (weir_random_one_in(random, 2))
			model_range(random, &rule->destination_port_low,
			            &rule->destination_port_high);
	}
}

static inline void
model_rules(struct weir_random *random, struct weir_config *config)
{
	uint32_t n = (uint32_t)weir_random_below(random, 61), first, last;
	struct weir_cover *cover = NULL;
	struct weir_rule rules[60] = {0};

	for (uint32_t i = 0; i < n; i++)
		model_rule(random, config, &rules[i]);
	config->rules = calloc(n + 1, sizeof(*config->rules));
	CU_ASSERT_EQUAL_FATAL(weir_cover_new(rules, n, config->n_links, &cover), 0);
	for (uint32_t i = 0; i < n; i++)
		if (!weir_cover_hides(cover, i, &first, &last))
			config->rules[config->n_rules++] = rules[i];
	weir_cover_free(cover);
}

/* Any that is allowed: spaces at both ends, and what means something to YAML, included. */
static inline void
model_reason(struct weir_random *random, char reason[WEIR_RISK_SIZE])
{
	static const char letters[] = " !#$%&'()*+,-./0189:;<=>?@AZ[]^_`az{|}~";
	size_t n = (size_t)weir_random_between(random, 3, WEIR_RISK_SIZE - 1);

	for (size_t i = 0; i < n; i++)
		reason[i] = letters[weir_random_below(random, sizeof(letters) - 1)];
	memcpy(reason, "x y", 3);
}

/* A valid policy. Free with weir_config_free. */
static inline struct weir_config *
model_make(struct weir_random *random)
{
	struct weir_config *config = calloc(1, sizeof(*config));

	model_appliance(random, &config->appliance);
	config->has_asset = weir_random_one_in(random, 2);
	if (config->has_asset)
		config->asset = (struct weir_config_asset){
		    .name = "asset",
		    .weights_bytes = model_log(random, 1, UINT64_C(1000000000000000000)),
		    .compression = (double)weir_random_between(random, 10000, 10000000) / 10000.0,
		    .survive_ns = model_log(random, WEIR_NS_PER_S, UINT64_C(3153600000000000000)),
		};
	if (config->has_asset && weir_random_one_in(random, 2))
		model_reason(random, config->asset.accept_risk);
	model_ports(random, config);
	model_budgets(random, config);
	model_ledger(random, config);
	model_classes(random, config);
	model_rules(random, config);
	return config;
}

static inline void
model_write_list(FILE *out, const char *key, const uint32_t *numbers, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%u%s", i == 0 ? key : ", ", numbers[i], i + 1 == n ? "]\n" : "");
}

static inline void
model_write_prefix(FILE *out, const char *key, const struct weir_prefix *prefix)
{
	char text[INET6_ADDRSTRLEN];

	if (prefix->family == WEIR_FAMILY_L2)
		return;
	inet_ntop(prefix->family == WEIR_FAMILY_IP4 ? AF_INET : AF_INET6, prefix->address, text,
	          sizeof(text));
	fprintf(out, "  %s: '%s/%u'\n", key, text, prefix->length);
}

static inline void
model_write_rule(FILE *out, const struct weir_config *config, const struct weir_rule *rule)
{
	fprintf(out, "- class: '%s'\n", config->classes[rule->class_slot].name);
	if (rule->link != WEIR_ANY)
		fprintf(out, "  link: %s\n", config->links[rule->link].name);
	if (rule->ethertype == 0)
		fprintf(out, "  ethertype: llc\n");
	else if (rule->ethertype != WEIR_ANY)
		fprintf(out, "  ethertype: 0x%X\n", rule->ethertype);
	if (rule->vlan == WEIR_VLAN_NONE)
		fprintf(out, "  vlan: none\n");
	else if (rule->vlan != WEIR_ANY)
		fprintf(out, "  vlan: %u\n", rule->vlan);
	if (rule->protocol != WEIR_ANY)
		fprintf(out, "  protocol: %u\n", rule->protocol);
	model_write_prefix(out, "source", &rule->source);
	model_write_prefix(out, "destination", &rule->destination);
	if (rule->source_port_low != 0 || rule->source_port_high != 65535)
		fprintf(out, "  source_ports: %u-%u\n", rule->source_port_low,
		        rule->source_port_high);
	if (rule->destination_port_low != 0 || rule->destination_port_high != 65535)
		fprintf(out, "  destination_ports: %u-%u\n", rule->destination_port_low,
		        rule->destination_port_high);
}

static inline void
model_write_ledger(FILE *out, const struct weir_config_appliance *a)
{
	static const char *const kinds[] = {"none", "file", "tpm"};

	fprintf(out, "  ledger: \"%s\"\n", a->ledger);
	if (strstr(a->ledger_key, ".key") == NULL)
		fprintf(out, "  ledger_key: %s\n", a->ledger_key);
	fprintf(out, "  grant_horizon: %" PRIu64 " ns\n  grant_min: %" PRIu64 " B\n",
	        a->grant_horizon_ns, a->grant_min_bytes);
	fprintf(out, "  grant_max: %" PRIu64 " B\n  witness: %s\n", a->grant_max_bytes,
	        kinds[a->witness]);
	if (a->witness == WEIR_WITNESS_NONE)
		return;
	if (a->witness == WEIR_WITNESS_FILE)
		fprintf(out, "  witness_path: '%s'\n", a->witness_path);
	else
		fprintf(out, "  witness_tcti: '%s'\n  witness_index: %u\n", a->witness_tcti,
		        a->witness_index);
	fprintf(out, "  witness_every: %" PRIu64 " B\n  witness_interval: %" PRIu64 " ns\n",
	        a->witness_every_bytes, a->witness_interval_ns);
}

static inline void
model_write_head(FILE *out, const struct weir_config *config)
{
	const struct weir_config_appliance *a = &config->appliance;
	static const char *const huge[] = {"auto", "required", "off"};
	static const char *const limiters[] = {"auto", "tm", "queue", "soft"};

	fprintf(out, "appliance:\n  name: %s\n", a->name);
	model_write_list(out, "  workers: [", a->workers, a->n_workers);
	model_write_list(out, "  control_users: [", a->control_users, a->n_control_users);
	model_write_list(out, "  read_users: [", a->read_users, a->n_read_users);
	fprintf(out, "  control_lcore: %u\n  memory: %" PRIu64 " B\n  huge_pages: %s\n",
	        a->control_lcore, a->memory_bytes, huge[a->huge_pages]);
	fprintf(out, "  allow_remote_numa: %s\n", a->allow_remote_numa ? "true" : "false");
	model_write_ledger(out, a);
	fprintf(out, "  control_socket: \"%s\"\n", a->control_socket);
	if (a->read_socket[0] != '\0')
		fprintf(out, "  read_socket: \"%s\"\n", a->read_socket);
	if (a->metrics_port != 0)
		fprintf(out, "  metrics_port: %u\n", a->metrics_port);
	fprintf(out, "  heartbeat_limit: %" PRIu64 " ns\n  drain_limit: %" PRIu64 "ns\n",
	        a->heartbeat_limit_ns, a->drain_limit_ns);
	if (config->has_asset)
		fprintf(out,
		        "asset: {name: %s, weights: %" PRIu64 " B, compression: %.4f, "
		        "survive: %" PRIu64 " ns",
		        config->asset.name, config->asset.weights_bytes, config->asset.compression,
		        config->asset.survive_ns);
	if (config->has_asset && config->asset.accept_risk[0] != '\0') {
		fprintf(out, ", accept_risk: '");
		for (const char *c = config->asset.accept_risk; *c != '\0'; c++)
			fprintf(out, *c == '\'' ? "''" : "%c", *c);
		fputc('\'', out);
	}
	if (config->has_asset)
		fprintf(out, "}\n");
	fprintf(out, "ports:\n");
	for (uint32_t i = 0; i < config->n_ports; i++) {
		const struct weir_port_config *port = &config->ports[i];

		fprintf(out, "- {name: %s, device: \"%s\", mtu: %u, rx_queues: %u", port->name,
		        port->device, port->mtu_bytes, port->rx_queues);
		if (port->rx_descriptors != 0)
			fprintf(out, ", rx_descriptors: %u", port->rx_descriptors);
		if (port->tx_descriptors != 0)
			fprintf(out, ", tx_descriptors: %u", port->tx_descriptors);
		if (port->limiter != WEIR_LIMITER_AUTO)
			fprintf(out, ", limiter: %s", limiters[port->limiter]);
		if (port->limiter_required)
			fprintf(out, ", limiter_required: true");
		if (port->limiter_test_ns != 0) {
			const uint8_t *mac = port->limiter_test_destination;

			fprintf(out,
			        ", limiter_test: {destination: "
			        "%02X:%02x:%02x:%02X:%02x:%02x, time: %" PRIu64 " ms}",
			        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
			        port->limiter_test_ns / (uint64_t)WEIR_NS_PER_MS);
		}
		fprintf(out, "}\n");
	}
	fprintf(out, "links:\n");
	for (uint32_t i = 0; i < config->n_links; i++)
		fprintf(out, "- {name: %s, inside: p%u, outside: p%u}\n", config->links[i].name,
		        config->links[i].inside, config->links[i].outside);
}

/* The policy as YAML in the smallest units. Free with free(). */
static inline char *
model_write(const struct weir_config *config)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	model_write_head(out, config);
	fprintf(out, "budgets:\n");
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];

		fprintf(out, "- name: %s\n", budget->name);
		for (uint32_t j = 0; j < budget->n_caps; j++) {
			fprintf(out, "%s{limit: %" PRIu64 " B", j == 0 ? "  caps: [" : ", ",
			        budget->caps[j].limit_bytes);
			if (budget->caps[j].window_ns != 0)
				fprintf(out, ", per: %" PRIu64 " ns", budget->caps[j].window_ns);
			fprintf(out, "}%s", j + 1 == budget->n_caps ? "]\n" : "");
		}
		if (budget->parent != WEIR_ANY)
			fprintf(out, "  parent: %s\n", config->budgets[budget->parent].name);
	}
	fprintf(out, "classes:\n");
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];

		fprintf(out,
		        "- {name: %s, budget: b%u, rate: %" PRIu64
		        " bit/s, burst: %u B, %sexcess: ",
		        class->name, class->budget, class->rate_bit_s, class->burst_bytes,
		        class->dedicated ? "queue: dedicated, " : "");
		if (class->backlog_bytes == 0)
			fprintf(out, "drop}\n");
		else
			fprintf(out, "shape, backlog: %u B}\n", class->backlog_bytes);
	}
	fprintf(out, config->n_rules == 0 ? "rules: []\n" : "rules:\n");
	for (uint32_t i = 0; i < config->n_rules; i++)
		model_write_rule(out, config, &config->rules[i]);
	fclose(out);
	return text;
}

#endif
