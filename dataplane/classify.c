/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/classify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_byteorder.h>

#define BURST_MAX  32U
#define ASK_ACL    (UINT32_MAX - 1) /* in fixed: no verdict without the table */
#define NAME_BYTES 48U
/* Bounds what a table of 4,096 rules may take; rte_acl trades memory for depth below it. */
#define ACL_BYTES_MAX (256UL << 20)

/*
 * Fields of a rule, in the order of the groups of struct weir_key. The pair is the ethertype and a
 * reserved half in the table for neither IPv4 nor IPv6, and the two ports in the other two.
 */
enum {
	FIELD_PROTOCOL,
	FIELD_FLAGS,
	FIELD_LINK,
	FIELD_VLAN,
	FIELD_PAIR,
	FIELD_ADDRESSES = FIELD_PAIR + 2, /* source and destination: 1 word each, or 4 each */
};
#define FIELDS_L2  FIELD_ADDRESSES
#define FIELDS_MAX (FIELD_ADDRESSES + 8)

RTE_ACL_RULE_DEF(weir_acl_rule, FIELDS_MAX);

struct weir_classifier {
	struct rte_acl_ctx *acl[WEIR_FAMILIES];
	/* Per family and link: the verdict where it does not depend on the frame, or ASK_ACL. */
	uint32_t fixed[WEIR_FAMILIES][WEIR_LINKS_MAX];
};

static const char *const family_names[WEIR_FAMILIES] = {"l2", "ip4", "ip6"};

static bool
ports_any(const struct weir_rule *rule)
{
	return rule->source_port_low == 0 && rule->source_port_high == UINT16_MAX &&
	       rule->destination_port_low == 0 && rule->destination_port_high == UINT16_MAX;
}

/* Whether a frame of this family can match the rule at all. */
static bool
rule_in_family(const struct weir_rule *rule, enum weir_family family)
{
	const uint32_t types[WEIR_FAMILIES] = {WEIR_ANY, 0x0800, 0x86dd};
	const struct weir_prefix *prefixes[2] = {&rule->source, &rule->destination};

	if (family == WEIR_FAMILY_L2)
		return rule->ethertype != types[WEIR_FAMILY_IP4] &&
		       rule->ethertype != types[WEIR_FAMILY_IP6] && rule->protocol == WEIR_ANY &&
		       prefixes[0]->family == WEIR_FAMILY_L2 &&
		       prefixes[1]->family == WEIR_FAMILY_L2 && ports_any(rule);
	if (rule->ethertype != WEIR_ANY && rule->ethertype != types[family])
		return false;
	for (uint32_t i = 0; i < 2; i++)
		if (prefixes[i]->family != WEIR_FAMILY_L2 && prefixes[i]->family != family)
			return false;
	return true;
}

/* Whether every frame of the family and of a link that the rule names matches it. */
static bool
rule_takes_all(const struct weir_rule *rule, enum weir_family family)
{
	return rule->vlan == WEIR_ANY && rule->protocol == WEIR_ANY && ports_any(rule) &&
	       rule->source.family == WEIR_FAMILY_L2 &&
	       rule->destination.family == WEIR_FAMILY_L2 &&
	       (family != WEIR_FAMILY_L2 || rule->ethertype == WEIR_ANY);
}

/* The verdict for a family on a link where the first rule that applies takes all. */
static uint32_t
fixed_verdict(const struct weir_rule *rules, uint32_t n_rules, enum weir_family family,
              uint32_t link)
{
	for (uint32_t i = 0; i < n_rules; i++) {
		if (!rule_in_family(&rules[i], family) ||
		    (rules[i].link != WEIR_ANY && rules[i].link != link))
			continue;
		return rule_takes_all(&rules[i], family) ? rules[i].class_slot : ASK_ACL;
	}
	return WEIR_CLASS_NONE;
}

static struct rte_acl_field_def
field_def(uint32_t field, uint32_t type, uint32_t bytes, size_t offset, uint32_t input)
{
	return (struct rte_acl_field_def){
	    .type = (uint8_t)type,
	    .size = (uint8_t)bytes,
	    .field_index = (uint8_t)field,
	    .input_index = (uint8_t)input,
	    .offset = (uint32_t)offset,
	};
}

/* Fills the field table of a family; returns the number of fields. */
static uint32_t
define_fields(enum weir_family family, struct rte_acl_field_def *defs)
{
	const uint32_t bits = RTE_ACL_FIELD_TYPE_BITMASK, range = RTE_ACL_FIELD_TYPE_RANGE;
	const uint32_t mask = RTE_ACL_FIELD_TYPE_MASK;
	uint32_t words = family == WEIR_FAMILY_IP4 ? 1 : 4;
	uint32_t field = FIELD_ADDRESSES, input = 3;

	defs[FIELD_PROTOCOL] =
	    field_def(FIELD_PROTOCOL, bits, 1, offsetof(struct weir_key, protocol), 0);
	defs[FIELD_FLAGS] = field_def(FIELD_FLAGS, bits, 1, offsetof(struct weir_key, flags), 1);
	defs[FIELD_LINK] = field_def(FIELD_LINK, bits, 1, offsetof(struct weir_key, link), 1);
	defs[FIELD_VLAN] = field_def(FIELD_VLAN, mask, 2, offsetof(struct weir_key, vlan), 1);
	if (family == WEIR_FAMILY_L2) {
		defs[FIELD_PAIR] =
		    field_def(FIELD_PAIR, mask, 2, offsetof(struct weir_key, ethertype), 2);
		defs[FIELD_PAIR + 1] =
		    field_def(FIELD_PAIR + 1, mask, 2, offsetof(struct weir_key, reserved2), 2);
		return FIELDS_L2;
	}
	defs[FIELD_PAIR] =
	    field_def(FIELD_PAIR, range, 2, offsetof(struct weir_key, source_port), 2);
	defs[FIELD_PAIR + 1] =
	    field_def(FIELD_PAIR + 1, range, 2, offsetof(struct weir_key, destination_port), 2);
	for (uint32_t i = 0; i < words; i++, field++)
		defs[field] =
		    field_def(field, mask, 4, offsetof(struct weir_key, source) + i * 4, input++);
	for (uint32_t i = 0; i < words; i++, field++)
		defs[field] = field_def(field, mask, 4,
		                        offsetof(struct weir_key, destination) + i * 4, input++);
	return field;
}

/* Sets the address words of a rule: value and prefix length of each. */
static void
set_prefix(const struct weir_prefix *prefix, struct rte_acl_field *fields, uint32_t words)
{
	uint32_t left = prefix->family == WEIR_FAMILY_L2 ? 0 : prefix->length;

	for (uint32_t i = 0; i < words; i++) {
		uint32_t bits = left > 32 ? 32 : left;
		uint32_t word;

		memcpy(&word, prefix->address + i * 4, sizeof(word));
		fields[i].value.u32 = rte_be_to_cpu_32(word);
		fields[i].mask_range.u32 = bits;
		left -= bits;
	}
}

static void
set_rule(const struct weir_rule *rule, enum weir_family family, uint32_t order,
         struct weir_acl_rule *out)
{
	struct rte_acl_field *pair = &out->field[FIELD_PAIR];
	struct rte_acl_field *addresses = &out->field[FIELD_ADDRESSES];
	uint32_t words = family == WEIR_FAMILY_IP4 ? 1 : 4;

	memset(out, 0, sizeof(*out));
	out->data.category_mask = 1;
	out->data.priority = (int32_t)(RTE_ACL_MAX_PRIORITY - order);
	out->data.userdata = rule->class_slot + 1;
	if (rule->protocol != WEIR_ANY) {
		out->field[FIELD_PROTOCOL].value.u8 = (uint8_t)rule->protocol;
		out->field[FIELD_PROTOCOL].mask_range.u8 = UINT8_MAX;
	}
	if (!ports_any(rule)) {
		out->field[FIELD_FLAGS].value.u8 = WEIR_KEY_PORTS;
		out->field[FIELD_FLAGS].mask_range.u8 = WEIR_KEY_PORTS;
	}
	if (rule->link != WEIR_ANY) {
		out->field[FIELD_LINK].value.u8 = (uint8_t)rule->link;
		out->field[FIELD_LINK].mask_range.u8 = UINT8_MAX;
	}
	if (rule->vlan != WEIR_ANY) {
		out->field[FIELD_VLAN].value.u16 = (uint16_t)rule->vlan;
		out->field[FIELD_VLAN].mask_range.u16 = 16;
	}
	if (family == WEIR_FAMILY_L2) {
		if (rule->ethertype != WEIR_ANY) {
			pair[0].value.u16 = (uint16_t)rule->ethertype;
			pair[0].mask_range.u16 = 16;
		}
		return;
	}
	pair[0].value.u16 = rule->source_port_low;
	pair[0].mask_range.u16 = rule->source_port_high;
	pair[1].value.u16 = rule->destination_port_low;
	pair[1].mask_range.u16 = rule->destination_port_high;
	set_prefix(&rule->source, addresses, words);
	set_prefix(&rule->destination, addresses + words, words);
}

/* Compiles the rules of one family. No context is made where every link has a fixed verdict. */
static int
build_family(struct weir_classifier *classifier, enum weir_family family, const char *name,
             const struct weir_rule *rules, uint32_t n_rules, int node)
{
	struct rte_acl_config config = {.num_categories = 1, .max_size = ACL_BYTES_MAX};
	char acl_name[NAME_BYTES];
	struct rte_acl_param param = {.name = acl_name, .socket_id = node};
	struct weir_acl_rule *acl_rules;
	uint32_t used = 0;
	bool ask = false;
	int rc;

	for (uint32_t link = 0; link < WEIR_LINKS_MAX; link++) {
		classifier->fixed[family][link] = fixed_verdict(rules, n_rules, family, link);
		ask |= classifier->fixed[family][link] == ASK_ACL;
	}
	if (!ask)
		return 0;
	config.num_fields = define_fields(family, config.defs);
	param.rule_size = (uint32_t)RTE_ACL_RULE_SZ(config.num_fields);
	param.max_rule_num = n_rules;
	rc = snprintf(acl_name, sizeof(acl_name), "weir_%s_%s", name, family_names[family]);
	if (rc < 0 || (size_t)rc >= sizeof(acl_name))
		return -EINVAL;
	/* rte_acl gives back an existing context of the same name, full of older rules. */
	if (rte_acl_find_existing(acl_name) != NULL)
		return -EEXIST;
	acl_rules = calloc(n_rules, param.rule_size);
	classifier->acl[family] = rte_acl_create(&param);
	if (acl_rules == NULL || classifier->acl[family] == NULL) {
		free(acl_rules);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n_rules; i++) {
		struct weir_acl_rule rule;

		if (!rule_in_family(&rules[i], family))
			continue;
		set_rule(&rules[i], family, i, &rule);
		memcpy((char *)acl_rules + (size_t)used++ * param.rule_size, &rule,
		       param.rule_size);
	}
	rc = rte_acl_add_rules(classifier->acl[family], (struct rte_acl_rule *)acl_rules, used);
	free(acl_rules);
	return rc != 0 ? rc : rte_acl_build(classifier->acl[family], &config);
}

int
weir_classifier_new(const char *name, const struct weir_rule *rules, uint32_t n_rules, int node,
                    struct weir_classifier **classifier, char *error, size_t error_size)
{
	struct weir_classifier *made = calloc(1, sizeof(*made));

	*classifier = NULL;
	if (made == NULL) {
		snprintf(error, error_size, "rules: out of memory");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n_rules; i++)
		assert(rules[i].class_slot < WEIR_CLASSES_MAX);
	for (uint32_t family = 0; family < WEIR_FAMILIES; family++) {
		int rc = build_family(made, (enum weir_family)family, name, rules, n_rules, node);

		if (rc != 0) {
			snprintf(error, error_size, "rules: no %s table for %u rules: %s",
			         family_names[family], n_rules, strerror(-rc));
			weir_classifier_free(made);
			return rc;
		}
	}
	*classifier = made;
	return 0;
}

void
weir_classifier_free(struct weir_classifier *classifier)
{
	if (classifier == NULL)
		return;
	for (uint32_t family = 0; family < WEIR_FAMILIES; family++)
		rte_acl_free(classifier->acl[family]);
	free(classifier);
}

void
weir_classify(const struct weir_classifier *classifier, uint32_t link, const struct weir_key *keys,
              uint32_t n, uint32_t *slots)
{
	const uint8_t *data[WEIR_FAMILIES][BURST_MAX];
	uint8_t index[WEIR_FAMILIES][BURST_MAX];
	uint32_t count[WEIR_FAMILIES] = {0};

	assert(n <= BURST_MAX && link < WEIR_LINKS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t family = keys[i].family;

		slots[i] = classifier->fixed[family][link];
		if (slots[i] != ASK_ACL)
			continue;
		data[family][count[family]] = (const uint8_t *)&keys[i];
		index[family][count[family]++] = (uint8_t)i;
	}
	for (uint32_t family = 0; family < WEIR_FAMILIES; family++) {
		uint32_t results[BURST_MAX];

		if (count[family] == 0)
			continue;
		/* Fails only for a wrong number of categories, which is ours. */
		if (rte_acl_classify(classifier->acl[family], data[family], results, count[family],
		                     1) != 0)
			memset(results, 0, sizeof(results));
		/* No match is 0, and then 0 - 1 is WEIR_CLASS_NONE. */
		for (uint32_t j = 0; j < count[family]; j++)
			slots[index[family][j]] = results[j] - 1;
	}
}
