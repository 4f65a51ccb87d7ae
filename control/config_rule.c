/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules: what each key means, which keys contradict each other, and which rule is idle. */
#include "control/config_build.h"
#include "control/config_cover.h"
#include "control/config_shape.h"
#include "control/quantity.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ETHERTYPE_IP4 0x0800U
#define ETHERTYPE_IP6 0x86ddU

static const struct weir_rule any_rule = {
    .link = WEIR_ANY,
    .ethertype = WEIR_ANY,
    .vlan = WEIR_ANY,
    .protocol = WEIR_ANY,
    .source_port_high = UINT16_MAX,
    .destination_port_high = UINT16_MAX,
};

static int
get_vlan(struct weir_config_report *report, struct weir_config_at at, const char *text,
         uint32_t *vlan)
{
	const char *expected = NULL;
	uint64_t number = 0;

	if (strcmp(text, "none") == 0) {
		*vlan = WEIR_VLAN_NONE;
		return 0;
	}
	if (weir_quantity_parse_integer(text, &number, &expected) != 0 || number > 4095)
		return weir_config_refuse(report, &at, text, "0 to 4095, or none");
	*vlan = (uint32_t)number;
	return 0;
}

static int
get_protocol(struct weir_config_report *report, struct weir_config_at at, const char *text,
             uint32_t *protocol)
{
	const char *expected = NULL;
	uint64_t number = 0;

	for (const struct weir_config_word *w = weir_config_protocols; w->word != NULL; w++) {
		if (strcmp(w->word, text) == 0) {
			*protocol = w->value;
			return 0;
		}
	}
	/* 0 is what frames without a protocol have. */
	if (weir_quantity_parse_integer(text, &number, &expected) != 0 || number < 1 ||
	    number > 255)
		return weir_config_refuse(report, &at, text,
		                          "a protocol such as tcp, udp or icmpv6, or 1 to 255");
	*protocol = (uint32_t)number;
	return 0;
}

/* The keys one by one. */
static int
get_keys(struct weir_config_build *build, uint32_t index, struct weir_rule *rule)
{
	const struct weir_raw_rule *raw = &build->raw->rules[index];
	struct weir_config_report *report = build->report;
	int rc = 0;

	if (raw->link != NULL)
		rc = weir_config_build_find(build, weir_config_at("rules", index, "link"),
		                            &build->links, "a link", raw->link, &rule->link);
	if (rc == 0 && raw->ethertype != NULL)
		rc = weir_config_get_ethertype(report, weir_config_at("rules", index, "ethertype"),
		                               raw->ethertype, &rule->ethertype);
	if (rc == 0 && raw->vlan != NULL)
		rc = get_vlan(report, weir_config_at("rules", index, "vlan"), raw->vlan,
		              &rule->vlan);
	if (rc == 0 && raw->protocol != NULL)
		rc = get_protocol(report, weir_config_at("rules", index, "protocol"), raw->protocol,
		                  &rule->protocol);
	if (rc == 0 && raw->source != NULL)
		rc = weir_config_get_prefix(report, weir_config_at("rules", index, "source"),
		                            raw->source, &rule->source);
	if (rc == 0 && raw->destination != NULL)
		rc = weir_config_get_prefix(report, weir_config_at("rules", index, "destination"),
		                            raw->destination, &rule->destination);
	if (rc == 0 && raw->source_ports != NULL)
		rc = weir_config_get_ports(report, weir_config_at("rules", index, "source_ports"),
		                           raw->source_ports, &rule->source_port_low,
		                           &rule->source_port_high);
	if (rc == 0 && raw->destination_ports != NULL)
		rc = weir_config_get_ports(report,
		                           weir_config_at("rules", index, "destination_ports"),
		                           raw->destination_ports, &rule->destination_port_low,
		                           &rule->destination_port_high);
	if (rc == 0)
		rc = weir_config_build_find(build, weir_config_at("rules", index, "class"),
		                            &build->classes, "a class", raw->class_name,
		                            &rule->class_slot);
	return rc;
}

/* A prefix must be of the family that the ethertype, if there is one, asks for. */
static int
check_prefix(struct weir_config_build *build, uint32_t index, const char *key, const char *text,
             const struct weir_prefix *prefix, uint32_t ethertype)
{
	struct weir_config_at at = weir_config_at("rules", index, key);
	const char *expected = NULL;

	if (text == NULL || ethertype == WEIR_ANY)
		return 0;
	if (ethertype != ETHERTYPE_IP4 && ethertype != ETHERTYPE_IP6)
		expected = "no addresses with this ethertype";
	else if (ethertype == ETHERTYPE_IP4 && prefix->family != WEIR_FAMILY_IP4)
		expected = "an IPv4 prefix, as the ethertype is ipv4";
	else if (ethertype == ETHERTYPE_IP6 && prefix->family != WEIR_FAMILY_IP6)
		expected = "an IPv6 prefix, as the ethertype is ipv6";
	if (expected == NULL)
		return 0;
	return weir_config_refuse(build->report, &at, text, "%s", expected);
}

static int
check_protocol(struct weir_config_build *build, uint32_t index, const struct weir_rule *rule)
{
	struct weir_config_at at = weir_config_at("rules", index, "protocol");
	const char *text = build->raw->rules[index].protocol;
	uint8_t families;

	if (text == NULL)
		return 0;
	families = weir_shape_families(rule);
	if (families == 0)
		return weir_config_refuse(build->report, &at, text,
		                          "no protocol with this ethertype: only ipv4 and ipv6 "
		                          "have one");
	if (rule->protocol == IPPROTO_ICMP && families == 1U << WEIR_FAMILY_IP6)
		return weir_config_refuse(build->report, &at, text, "icmpv6 with IPv6");
	if (rule->protocol == IPPROTO_ICMPV6 && families == 1U << WEIR_FAMILY_IP4)
		return weir_config_refuse(build->report, &at, text, "icmp with IPv4");
	return 0;
}

static int
check_ports(struct weir_config_build *build, uint32_t index, const char *key, const char *text,
            const struct weir_rule *rule)
{
	struct weir_config_at at = weir_config_at("rules", index, key);

	if (text == NULL)
		return 0;
	if (rule->protocol != WEIR_ANY && rule->protocol != IPPROTO_TCP &&
	    rule->protocol != IPPROTO_UDP && rule->protocol != IPPROTO_SCTP)
		return weir_config_refuse(build->report, &at, text,
		                          "no ports with protocol %s: only tcp, udp and sctp "
		                          "have them",
		                          build->raw->rules[index].protocol);
	if (weir_shape_families(rule) == 0)
		return weir_config_refuse(build->report, &at, text,
		                          "no ports with this ethertype: only ipv4 and ipv6 "
		                          "have them");
	return 0;
}

static int
build_rule(struct weir_config_build *build, uint32_t index)
{
	const struct weir_raw_rule *raw = &build->raw->rules[index];
	struct weir_rule *rule = &build->config->rules[index];
	struct weir_config_at at = weir_config_at("rules", index, "destination");
	int rc;

	*rule = any_rule;
	rc = get_keys(build, index, rule);
	if (rc == 0)
		rc = check_prefix(build, index, "source", raw->source, &rule->source,
		                  rule->ethertype);
	if (rc == 0)
		rc = check_prefix(build, index, "destination", raw->destination, &rule->destination,
		                  rule->ethertype);
	if (rc == 0 && raw->source != NULL && raw->destination != NULL &&
	    rule->source.family != rule->destination.family)
		rc = weir_config_refuse(build->report, &at, raw->destination,
		                        "a prefix of the source's family, IPv%c",
		                        rule->source.family == WEIR_FAMILY_IP4 ? '4' : '6');
	if (rc == 0)
		rc = check_protocol(build, index, rule);
	if (rc == 0)
		rc = check_ports(build, index, "source_ports", raw->source_ports, rule);
	if (rc == 0)
		rc = check_ports(build, index, "destination_ports", raw->destination_ports, rule);
	return rc;
}

/* Refuses rules[index], all of whose frames rules[last] takes, or the rules up to it. */
static int
refuse_hidden(struct weir_config_build *build, uint32_t index, uint32_t last, bool alone)
{
	struct weir_config_at at = weir_config_at("rules", index, NULL);
	struct weir_config_at taker = weir_config_at("rules", last, NULL);

	return weir_config_refuse(build->report, &at, "never reached",
	                          alone ? "frames that rules[%u] on line %u does not take first"
	                                : "frames that the rules up to rules[%u] on line %u do "
	                                  "not take first",
	                          last, weir_config_tree_line(build->report->tree, &taker));
}

/*
 * Refuses a rule that earlier ones leave nothing: one that does it alone, if there is one, is the
 * better explanation. For that each pair is compared, 8 million for the most rules that a policy
 * may have: tens of milliseconds whatever the rules are, where an index would be fast for some
 * policies only.
 */
static int
check_reach(struct weir_config_build *build)
{
	const struct weir_config *config = build->config;
	struct weir_shape *shapes = calloc(config->n_rules + 1, sizeof(*shapes));
	struct weir_cover *cover = NULL;
	uint32_t first, last;
	int rc;

	if (shapes == NULL)
		return -ENOMEM;
	rc = weir_cover_new(config->rules, config->n_rules, config->n_links, &cover);
	for (uint32_t i = 0; rc == 0 && i < config->n_rules; i++) {
		weir_shape_make(&config->rules[i], &shapes[i]);
		for (uint32_t j = 0; rc == 0 && j < i; j++)
			if (weir_shape_contains(&shapes[j], &shapes[i]))
				rc = refuse_hidden(build, i, j, true);
		if (rc == 0 && weir_cover_hides(cover, i, &first, &last))
			rc = refuse_hidden(build, i, last, first == last);
	}
	weir_cover_free(cover);
	free(shapes);
	return rc;
}

int
weir_config_build_rules(struct weir_config_build *build)
{
	struct weir_config *config = build->config;
	int rc = 0;

	config->n_rules = build->raw->n_rules;
	config->rules = calloc(config->n_rules + 1, sizeof(*config->rules));
	if (config->rules == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_rules; i++)
		rc = build_rule(build, i);
	return rc == 0 ? check_reach(build) : rc;
}
