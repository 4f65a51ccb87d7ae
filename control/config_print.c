/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_print.h"

#include "control/config_value.h"
#include "control/quantity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void
print_list(FILE *out, const char *key, const uint32_t *numbers, uint32_t n)
{
	if (n == 0)
		return;
	fprintf(out, "  %s: [", key);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%u", i == 0 ? "" : ", ", numbers[i]);
	fprintf(out, "]\n");
}

static void
print_ledger(FILE *out, const struct weir_config_appliance *appliance)
{
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "  ledger_key: \"%s\"\n", appliance->ledger_key);
	fprintf(out, "  grant_horizon: %s\n",
	        weir_quantity_print_duration(appliance->grant_horizon_ns, text));
	fprintf(out, "  grant_min: %s\n",
	        weir_quantity_print_bytes(appliance->grant_min_bytes, text));
	fprintf(out, "  grant_max: %s\n",
	        weir_quantity_print_bytes(appliance->grant_max_bytes, text));
	fprintf(out, "  witness: %s\n",
	        weir_config_word_of(weir_config_witnesses, appliance->witness));
	if (appliance->witness == WEIR_WITNESS_NONE)
		return;
	if (appliance->witness == WEIR_WITNESS_FILE)
		fprintf(out, "  witness_path: \"%s\"\n", appliance->witness_path);
	else
		fprintf(out, "  witness_tcti: \"%s\"\n  witness_index: 0x%08x\n",
		        appliance->witness_tcti, appliance->witness_index);
	fprintf(out, "  witness_every: %s\n",
	        weir_quantity_print_bytes(appliance->witness_every_bytes, text));
	fprintf(out, "  witness_interval: %s\n",
	        weir_quantity_print_duration(appliance->witness_interval_ns, text));
}

static void
print_appliance(FILE *out, const struct weir_config_appliance *appliance)
{
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "appliance:\n  name: %s\n", appliance->name);
	print_list(out, "workers", appliance->workers, appliance->n_workers);
	fprintf(out, "  control_lcore: %u\n", appliance->control_lcore);
	fprintf(out, "  memory: %s\n", weir_quantity_print_bytes(appliance->memory_bytes, text));
	fprintf(out, "  huge_pages: %s\n",
	        weir_config_word_of(weir_config_huge_pages, appliance->huge_pages));
	fprintf(out, "  allow_remote_numa: %s\n",
	        weir_config_word_of(weir_config_booleans, appliance->allow_remote_numa));
	fprintf(out, "  ledger: \"%s\"\n", appliance->ledger);
	print_ledger(out, appliance);
	fprintf(out, "  control_socket: \"%s\"\n", appliance->control_socket);
	if (appliance->read_socket[0] != '\0')
		fprintf(out, "  read_socket: \"%s\"\n", appliance->read_socket);
	print_list(out, "control_users", appliance->control_users, appliance->n_control_users);
	print_list(out, "read_users", appliance->read_users, appliance->n_read_users);
	if (appliance->metrics_port != 0)
		fprintf(out, "  metrics_port: %u\n", appliance->metrics_port);
	fprintf(out, "  heartbeat_limit: %s\n",
	        weir_quantity_print_duration(appliance->heartbeat_limit_ns, text));
	fprintf(out, "  drain_limit: %s\n",
	        weir_quantity_print_duration(appliance->drain_limit_ns, text));
}

static void
print_asset(FILE *out, const struct weir_config_asset *asset)
{
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "asset:\n  name: %s\n", asset->name);
	fprintf(out, "  weights: %s\n", weir_quantity_print_bytes(asset->weights_bytes, text));
	fprintf(out, "  compression: %s\n", weir_quantity_print_factor(asset->compression, text));
	fprintf(out, "  survive: %s\n", weir_quantity_print_duration(asset->survive_ns, text));
	if (asset->accept_risk[0] != '\0')
		fprintf(out, "  accept_risk: \"%s\"\n", asset->accept_risk);
}

static bool
is_outside(const struct weir_config *config, uint32_t port)
{
	for (uint32_t i = 0; i < config->n_links; i++)
		if (config->links[i].outside == port)
			return true;
	return false;
}

static void
print_limits(FILE *out, const struct weir_port_config *port)
{
	const uint8_t *mac = port->limiter_test_destination;
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "    limiter: %s\n    limiter_required: %s\n",
	        weir_config_word_of(weir_config_limiters, port->limiter),
	        weir_config_word_of(weir_config_booleans, port->limiter_required));
	if (port->limiter_test_ns == 0)
		return;
	fprintf(out, "    limiter_test:\n      destination: \"%02x:%02x:%02x:%02x:%02x:%02x\"\n",
	        mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	fprintf(out, "      time: %s\n", weir_quantity_print_duration(port->limiter_test_ns, text));
}

static void
print_ports(FILE *out, const struct weir_config *config)
{
	fprintf(out, "ports:\n");
	for (uint32_t i = 0; i < config->n_ports; i++) {
		const struct weir_port_config *port = &config->ports[i];

		fprintf(out, "  - name: %s\n    device: \"%s\"\n", port->name, port->device);
		fprintf(out, "    mtu: %u\n    rx_queues: %u\n", port->mtu_bytes, port->rx_queues);
		if (port->rx_descriptors != 0)
			fprintf(out, "    rx_descriptors: %u\n", port->rx_descriptors);
		if (port->tx_descriptors != 0)
			fprintf(out, "    tx_descriptors: %u\n", port->tx_descriptors);
		if (is_outside(config, i))
			print_limits(out, port);
	}
	fprintf(out, "links:\n");
	for (uint32_t i = 0; i < config->n_links; i++)
		fprintf(out, "  - name: %s\n    inside: %s\n    outside: %s\n",
		        config->links[i].name, config->ports[config->links[i].inside].name,
		        config->ports[config->links[i].outside].name);
}

static void
print_budgets(FILE *out, const struct weir_config *config)
{
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "budgets:\n");
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];

		fprintf(out, "  - name: %s\n", budget->name);
		if (budget->parent != WEIR_ANY)
			fprintf(out, "    parent: %s\n", config->budgets[budget->parent].name);
		if (budget->n_caps > 0)
			fprintf(out, "    caps:\n");
		for (uint32_t j = 0; j < budget->n_caps; j++) {
			const struct weir_config_cap *cap = &budget->caps[j];

			fprintf(out, "      - limit: %s\n",
			        weir_quantity_print_bytes(cap->limit_bytes, text));
			if (cap->window_ns != 0)
				fprintf(out, "        per: %s\n",
				        weir_quantity_print_duration(cap->window_ns, text));
		}
	}
}

static void
print_classes(FILE *out, const struct weir_config *config)
{
	char text[WEIR_QUANTITY_SIZE];

	fprintf(out, "classes:\n");
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];

		fprintf(out, "  - name: %s\n    budget: %s\n", class->name,
		        config->budgets[class->budget].name);
		fprintf(out, "    rate: %s\n", weir_quantity_print_rate(class->rate_bit_s, text));
		fprintf(out, "    burst: %s\n",
		        weir_quantity_print_bytes(class->burst_bytes, text));
		if (class->backlog_bytes == 0)
			fprintf(out, "    excess: drop\n");
		else
			fprintf(out, "    excess: shape\n    backlog: %s\n",
			        weir_quantity_print_bytes(class->backlog_bytes, text));
		fprintf(out, "    queue: %s\n",
		        weir_config_word_of(weir_config_queues, class->dedicated));
	}
}

static void
print_prefix(FILE *out, const char *key, const struct weir_prefix *prefix)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (prefix->family == WEIR_FAMILY_L2)
		return;
	inet_ntop(prefix->family == WEIR_FAMILY_IP4 ? AF_INET : AF_INET6, prefix->address, text,
	          sizeof(text));
	/* Colons would make a plain IPv6 address look like a key. */
	fprintf(out, "%s: \"%s/%u\", ", key, text, prefix->length);
}

static void
print_port_range(FILE *out, const char *key, uint16_t low, uint16_t high)
{
	if (low == 0 && high == UINT16_MAX)
		return;
	if (low == high)
		fprintf(out, "%s: %u, ", key, low);
	else
		fprintf(out, "%s: %u-%u, ", key, low, high);
}

/* A field with words for some of its numbers. */
static void
print_number(FILE *out, const char *key, const struct weir_config_word *words, uint32_t value,
             bool hexadecimal)
{
	const char *word = weir_config_word_of(words, value);

	if (value == WEIR_ANY)
		return;
	if (word != NULL)
		fprintf(out, "%s: %s, ", key, word);
	else if (hexadecimal)
		fprintf(out, "%s: 0x%04x, ", key, value);
	else
		fprintf(out, "%s: %u, ", key, value);
}

void
weir_config_print_rule(FILE *out, const struct weir_config *config, const struct weir_rule *rule)
{
	fputc('{', out);
	if (rule->link != WEIR_ANY)
		fprintf(out, "link: %s, ", config->links[rule->link].name);
	print_number(out, "ethertype", weir_config_ethertypes, rule->ethertype, true);
	if (rule->vlan == WEIR_VLAN_NONE)
		fprintf(out, "vlan: none, ");
	else if (rule->vlan != WEIR_ANY)
		fprintf(out, "vlan: %u, ", rule->vlan);
	print_number(out, "protocol", weir_config_protocols, rule->protocol, false);
	print_prefix(out, "source", &rule->source);
	print_prefix(out, "destination", &rule->destination);
	print_port_range(out, "source_ports", rule->source_port_low, rule->source_port_high);
	print_port_range(out, "destination_ports", rule->destination_port_low,
	                 rule->destination_port_high);
	fprintf(out, "class: %s}", config->classes[rule->class_slot].name);
}

static void
print_rules(FILE *out, const struct weir_config *config)
{
	fprintf(out, "rules:%s\n", config->n_rules == 0 ? " []" : "");
	for (uint32_t i = 0; i < config->n_rules; i++) {
		fprintf(out, "  - ");
		weir_config_print_rule(out, config, &config->rules[i]);
		fputc('\n', out);
	}
}

int
weir_config_print(const struct weir_config *config, char **text)
{
	char *buffer = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&buffer, &bytes);
	bool failed;

	if (out == NULL)
		return -ENOMEM;
	print_appliance(out, &config->appliance);
	if (config->has_asset)
		print_asset(out, &config->asset);
	print_ports(out, config);
	print_budgets(out, config);
	print_classes(out, config);
	print_rules(out, config);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(buffer);
		return -ENOMEM;
	}
	*text = buffer;
	return 0;
}
