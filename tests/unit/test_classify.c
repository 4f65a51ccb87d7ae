/* SPDX-License-Identifier: BSD-3-Clause */
/* The compiled rules against a plain reading of them, one by one, on random rules and frames. */
#include "dataplane/classify.h"
#include "drivers/eal.h"
#include "drivers/memory.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <string.h>

#define RULES_MAX 300U
#define BURST     32U

static bool
prefix_matches(const struct weir_prefix *prefix, const struct weir_key *key, const uint8_t *address)
{
	if (prefix->family == WEIR_FAMILY_L2)
		return true;
	if (prefix->family != key->family)
		return false;
	for (uint32_t bit = 0; bit < prefix->length; bit++)
		if ((prefix->address[bit / 8] ^ address[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool
rule_matches(const struct weir_rule *rule, const struct weir_key *key, uint32_t link)
{
	uint32_t source = ntohs(key->source_port), destination = ntohs(key->destination_port);
	bool any = rule->source_port_low == 0 && rule->source_port_high == 65535 &&
	           rule->destination_port_low == 0 && rule->destination_port_high == 65535;

	if (rule->link != WEIR_ANY && rule->link != link)
		return false;
	if (rule->ethertype != WEIR_ANY && rule->ethertype != ntohs(key->ethertype))
		return false;
	if (rule->vlan != WEIR_ANY && rule->vlan != ntohs(key->vlan))
		return false;
	if (rule->protocol != WEIR_ANY &&
	    (key->family == WEIR_FAMILY_L2 || rule->protocol != key->protocol))
		return false;
	if (!prefix_matches(&rule->source, key, key->source) ||
	    !prefix_matches(&rule->destination, key, key->destination))
		return false;
	if (any)
		return true;
	return (key->flags & WEIR_KEY_PORTS) && source >= rule->source_port_low &&
	       source <= rule->source_port_high && destination >= rule->destination_port_low &&
	       destination <= rule->destination_port_high;
}

/* Few values for everything, so that rules and frames meet often. */
static void
random_address(struct weir_random *random, uint8_t family, uint8_t *address)
{
	uint32_t bytes = family == WEIR_FAMILY_IP4 ? 4 : 16;

	memset(address, 0, 16);
	for (uint32_t i = 0; i < bytes; i++)
		address[i] = weir_random_one_in(random, 3) ? 0x80 : 0;
}

static struct weir_prefix
random_prefix(struct weir_random *random, uint8_t family)
{
	struct weir_prefix prefix = {.family = family};

	if (family == WEIR_FAMILY_L2 || weir_random_one_in(random, 2))
		return (struct weir_prefix){.family = WEIR_FAMILY_L2};
	prefix.length =
	    (uint8_t)weir_random_between(random, 0, family == WEIR_FAMILY_IP4 ? 32 : 128);
	random_address(random, family, prefix.address);
	for (uint32_t bit = prefix.length; bit < 128; bit++)
		prefix.address[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return prefix;
}

static void
random_ports(struct weir_random *random, uint16_t *low, uint16_t *high)
{
	*low = (uint16_t)weir_random_below(random, 8);
	*high = (uint16_t)weir_random_between(random, *low, 9);
	if (weir_random_one_in(random, 2)) {
		*low = 0;
		*high = UINT16_MAX;
	}
}

static struct weir_rule
random_rule(struct weir_random *random)
{
	const uint32_t types[] = {WEIR_ANY, WEIR_ANY, 0x0800, 0x86dd, 0x0806, 0x88cc, 0};
	uint8_t family = (uint8_t)weir_random_below(random, WEIR_FAMILIES);
	struct weir_rule rule = {
	    .link =
	        weir_random_one_in(random, 3) ? WEIR_ANY : (uint32_t)weir_random_below(random, 3),
	    .ethertype = types[weir_random_below(random, WEIR_TEST_COUNT(types))],
	    .vlan = weir_random_one_in(random, 2)   ? WEIR_ANY
	            : weir_random_one_in(random, 2) ? WEIR_VLAN_NONE
	                                            : (uint32_t)weir_random_below(random, 2),
	    .protocol =
	        weir_random_one_in(random, 2) ? WEIR_ANY : (uint32_t)weir_random_below(random, 3),
	    .source = random_prefix(random, family),
	    .destination = random_prefix(random, family),
	    .class_slot = (uint32_t)weir_random_below(random, WEIR_CLASSES_MAX),
	};

	random_ports(random, &rule.source_port_low, &rule.source_port_high);
	random_ports(random, &rule.destination_port_low, &rule.destination_port_high);
	return rule;
}

static struct weir_key
random_key(struct weir_random *random, uint8_t link)
{
	const uint16_t types[] = {0x0806, 0x88cc, 0, 0x9999};
	struct weir_key key = {.family = (uint8_t)weir_random_below(random, WEIR_FAMILIES),
	                       .link = link};

	key.vlan = htons(weir_random_one_in(random, 2) ? WEIR_VLAN_NONE
	                                               : (uint16_t)weir_random_below(random, 3));
	key.ethertype =
	    htons(key.family == WEIR_FAMILY_IP4   ? 0x0800
	          : key.family == WEIR_FAMILY_IP6 ? 0x86dd
	                                          : types[weir_random_below(random, 4)]);
	if (key.family == WEIR_FAMILY_L2)
		return key;
	key.protocol = (uint8_t)weir_random_below(random, 3);
	random_address(random, key.family, key.source);
	random_address(random, key.family, key.destination);
	if (weir_random_one_in(random, 2))
		return key;
	key.flags = WEIR_KEY_PORTS;
	key.source_port = htons((uint16_t)weir_random_below(random, 11));
	key.destination_port = htons((uint16_t)weir_random_below(random, 11));
	return key;
}

static uint32_t
expected_slot(const struct weir_rule *rules, uint32_t n, const struct weir_key *key, uint32_t link)
{
	for (uint32_t i = 0; i < n; i++)
		if (rule_matches(&rules[i], key, link))
			return rules[i].class_slot;
	return WEIR_CLASS_NONE;
}

static void
check_rules(struct weir_random *random, const struct weir_rule *rules, uint32_t n)
{
	struct weir_classifier *classifier = NULL;
	struct weir_key keys[BURST];
	uint32_t slots[BURST];
	char error[128] = "";

	CU_ASSERT_EQUAL_FATAL(
	    weir_classifier_new("test", rules, n, WEIR_NODE_ANY, &classifier, error, sizeof(error)),
	    0);
	for (uint32_t round = 0; round < 200; round++) {
		uint8_t link = (uint8_t)weir_random_below(random, 4);
		uint32_t frames = (uint32_t)weir_random_between(random, 0, BURST);

		for (uint32_t i = 0; i < frames; i++)
			keys[i] = random_key(random, link);
		weir_classify(classifier, link, keys, frames, slots);
		for (uint32_t i = 0; i < frames; i++)
			CU_ASSERT_EQUAL(slots[i], expected_slot(rules, n, &keys[i], link));
	}
	weir_classifier_free(classifier);
}

static void
test_random_rules(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static struct weir_rule rules[RULES_MAX];

	for (uint32_t i = 0; i < 60; i++) {
		uint32_t n = (uint32_t)weir_random_below(&random, i < 40 ? 12 : RULES_MAX);

		for (uint32_t j = 0; j < n; j++)
			rules[j] = random_rule(&random);
		check_rules(&random, rules, n);
	}
}

static void
test_no_rules(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct weir_rule rule = random_rule(&random);

	check_rules(&random, &rule, 0);
}

/* The largest policy that is allowed compiles, and its last rule is still found. */
static void
test_most_rules(void)
{
	static struct weir_rule rules[WEIR_RULES_MAX];
	struct weir_key key = {.family = WEIR_FAMILY_IP4, .ethertype = htons(0x0800)};
	struct weir_classifier *classifier = NULL;
	char error[128] = "";
	uint32_t slot;

	for (uint32_t i = 0; i < WEIR_RULES_MAX; i++)
		rules[i] = (struct weir_rule){
		    .link = WEIR_ANY,
		    .ethertype = WEIR_ANY,
		    .vlan = WEIR_ANY,
		    .protocol = WEIR_ANY,
		    .source = {.family = WEIR_FAMILY_IP4,
		               .length = 32,
		               .address = {10, 1, (uint8_t)(i >> 8), (uint8_t)i}},
		    .source_port_high = UINT16_MAX,
		    .destination_port_high = UINT16_MAX,
		    .class_slot = i};
	CU_ASSERT_EQUAL_FATAL(weir_classifier_new("most", rules, WEIR_RULES_MAX, WEIR_NODE_ANY,
	                                          &classifier, error, sizeof(error)),
	                      0);
	memcpy(key.source, rules[WEIR_RULES_MAX - 1].source.address, 4);
	weir_classify(classifier, 0, &key, 1, &slot);
	CU_ASSERT_EQUAL(slot, WEIR_RULES_MAX - 1);
	key.source[0] = 11;
	weir_classify(classifier, 0, &key, 1, &slot);
	CU_ASSERT_EQUAL(slot, WEIR_CLASS_NONE);
	weir_classifier_free(classifier);
}

static const struct weir_test tests[] = {
    {"no rules, no way out", test_no_rules},
    {"random rules and frames", test_random_rules},
    {"the most rules", test_most_rules},
};

int
main(void)
{
	const struct weir_eal_config eal = {.workers = (const uint32_t[]){1},
	                                    .n_workers = 1,
	                                    .memory_bytes = 512 << 20,
	                                    .pages = WEIR_EAL_PAGES_NORMAL};
	char error[256] = "";
	bool huge;
	int rc;

	if (weir_eal_start(&eal, &huge, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		return 1;
	}
	rc = weir_test_run("classify", tests, WEIR_TEST_COUNT(tests));
	weir_eal_finish();
	return rc;
}
