/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that earlier ones leave nothing, compared with trying frames. All rules here are cut along
 * the lines of one small grid, and there is a frame for each of its cells: so trying is exact.
 */
#include "control/config_cover.h"
#include "control/config_shape.h"
#include "tests/unit/config_probe.h"
#include "tests/unit/harness.h"

#include <string.h>

#define LINKS      2U
#define QUARTERS   4U
#define PROBES_MAX 12000U
#define RULES_MAX  24U

/* The quarter of all addresses that an address is in is told by its first byte. */
static uint8_t addresses[QUARTERS][16];

static uint32_t
make_ip_probes(struct probe *probes, struct probe probe)
{
	static const uint32_t protocols[] = {6, 17, 132, 1, 50};
	uint32_t n = 0;

	for (uint32_t p = 0; p < 5; p++) {
		probe.protocol = protocols[p];
		probe.has_ports = false;
		probes[n++] = probe;
		for (uint32_t i = 0; p < 3 && i < QUARTERS * QUARTERS; i++) {
			probe.has_ports = true;
			probe.ports[0] = (uint16_t)(i / QUARTERS * 16384 + 77);
			probe.ports[1] = (uint16_t)(i % QUARTERS * 16384 + 77);
			probes[n++] = probe;
		}
	}
	return n;
}

static uint32_t
make_probes(struct probe *probes)
{
	static const uint32_t vlans[] = {WEIR_VLAN_NONE, 1, 2}, l2[] = {0x0806, 0};
	uint32_t n = 0;

	for (uint32_t i = 0; i < QUARTERS; i++)
		addresses[i][0] = (uint8_t)(i * 64 + 9);
	for (uint32_t i = 0; i < LINKS * 3; i++) {
		struct probe probe = {.link = i / 3, .vlan = vlans[i % 3]};

		probe.addresses[0] = probe.addresses[1] = addresses[0];
		for (uint32_t j = 0; j < 2; j++) {
			probe.ethertype = l2[j];
			probes[n++] = probe;
		}
		for (uint32_t j = 0; j < 2 * QUARTERS * QUARTERS; j++) {
			probe.family = j % 2 == 0 ? WEIR_FAMILY_IP4 : WEIR_FAMILY_IP6;
			probe.ethertype = j % 2 == 0 ? 0x0800 : 0x86dd;
			probe.addresses[0] = addresses[j / 2 % QUARTERS];
			probe.addresses[1] = addresses[j / 2 / QUARTERS];
			n += make_ip_probes(probes + n, probe);
		}
	}
	CU_ASSERT_FATAL(n <= PROBES_MAX);
	return n;
}

static void
random_prefix(struct weir_random *random, struct weir_prefix *prefix)
{
	if (prefix->family == WEIR_FAMILY_L2 || weir_random_one_in(random, 3))
		return;
	prefix->length = (uint8_t)weir_random_below(random, 3);
	prefix->address[0] =
	    (uint8_t)(weir_random_below(random, QUARTERS) * 64 & ~(0xffU >> prefix->length));
}

static void
random_range(struct weir_random *random, uint16_t *low, uint16_t *high)
{
	uint64_t a = weir_random_below(random, QUARTERS), b = weir_random_below(random, QUARTERS);

	*low = (uint16_t)((a < b ? a : b) * 16384);
	*high = (uint16_t)((a < b ? b : a) * 16384 + 16383);
}

static void
random_rule(struct weir_random *random, struct weir_rule *rule)
{
	static const uint32_t protocols[] = {6, 17, 132, 1};
	static const uint32_t ethertypes[] = {0x0800, 0x86dd, 0x0806};
	uint8_t family = (uint8_t)weir_random_below(random, WEIR_FAMILIES);

	do {
		*rule = (struct weir_rule){
		    .link = weir_random_one_in(random, 4) ? 1 : WEIR_ANY,
		    .ethertype = weir_random_one_in(random, 4)
		                     ? ethertypes[weir_random_below(random, 3)]
		                     : WEIR_ANY,
		    .vlan = weir_random_one_in(random, 8) ? 1 : WEIR_ANY,
		    .protocol = weir_random_one_in(random, 2)
		                    ? protocols[weir_random_below(random, 4)]
		                    : WEIR_ANY,
		    .source = {.family = family},
		    .destination = {.family = family},
		    .source_port_high = 65535,
		    .destination_port_high = 65535,
		};
		random_prefix(random, &rule->source);
		random_prefix(random, &rule->destination);
		if (rule->protocol != 1 && weir_random_one_in(random, 2))
			random_range(random, &rule->source_port_low, &rule->source_port_high);
		if (rule->protocol != 1 && weir_random_one_in(random, 3))
			random_range(random, &rule->destination_port_low,
			             &rule->destination_port_high);
	} while (weir_shape_families(rule) == 0);
}

static bool
split_prefix(struct weir_prefix *one, struct weir_prefix *other)
{
	if (one->family == WEIR_FAMILY_L2 || one->length == 2)
		return false;
	other->address[0] |= (uint8_t)(0x80U >> one->length);
	one->length++;
	other->length++;
	return true;
}

static bool
split_range(struct weir_random *random, uint16_t *high, uint16_t *low)
{
	uint32_t quarters = (*high - *low + 1U) / 16384;

	if (quarters < 2)
		return false;
	*high = (uint16_t)(*low + 16384 * weir_random_between(random, 1, quarters - 1) - 1);
	*low = (uint16_t)(*high + 1);
	return true;
}

/* Cuts one rule in two or three that take the same frames, or nearly. Returns how many more. */
static uint32_t
split(struct weir_random *random, struct weir_rule *rule, struct weir_rule *rest)
{
	rest[0] = rest[1] = *rule;
	switch (weir_random_below(random, 7)) {
	case 0:
		if (rule->link != WEIR_ANY)
			return 0;
		rule->link = 0;
		rest[0].link = 1;
		return 1;
	case 1:
		if (rule->ethertype != WEIR_ANY || rule->source.family != WEIR_FAMILY_L2 ||
		    rule->destination.family != WEIR_FAMILY_L2)
			return 0;
		rule->ethertype = 0x0800;
		rest[0].ethertype = 0x86dd;
		return 1;
	case 2:
		if (rule->protocol != WEIR_ANY || (weir_shape_families(rule) & 1U) != 0)
			return 0;
		rule->protocol = 6;
		rest[0].protocol = 17;
		rest[1].protocol = 132;
		return 2;
	case 3:
		return split_prefix(&rule->source, &rest[0].source);
	case 4:
		return split_prefix(&rule->destination, &rest[0].destination);
	case 5:
		return split_range(random, &rule->source_port_high, &rest[0].source_port_low);
	default:
		return split_range(random, &rule->destination_port_high,
		                   &rest[0].destination_port_low);
	}
}

/* A rule behind others that are parts of it, perhaps not all, some of them widened. */
static uint32_t
random_rules(struct weir_random *random, struct weir_rule *rules)
{
	struct weir_rule whole, rest[2], moved;
	uint32_t n = 1;

	random_rule(random, &whole);
	rules[0] = whole;
	for (uint64_t cuts = weir_random_below(random, 12); cuts > 0 && n + 3 < RULES_MAX; cuts--) {
		uint32_t more = split(random, &rules[weir_random_below(random, n)], rest);

		memcpy(&rules[n], rest, more * sizeof(*rest));
		n += more;
	}
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)weir_random_below(random, i);

		moved = rules[i - 1];
		rules[i - 1] = rules[other];
		rules[other] = moved;
	}
	if (weir_random_one_in(random, 3))
		random_rule(random, &rules[weir_random_below(random, n)]);
	if (weir_random_one_in(random, 2))
		rules[weir_random_below(random, n)].link = WEIR_ANY;
	if (n > 1 && weir_random_one_in(random, 4))
		n--;
	rules[n++] = whole;
	return n;
}

/* By trying: how many of the earlier rules it takes to cover the last one; 0: they don't. */
static uint32_t
needed(const struct weir_rule *rules, uint32_t index, const struct probe *probes, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t taker = 0;

		if (!probe_matches(&rules[index], &probes[i]))
			continue;
		while (taker < index && !probe_matches(&rules[taker], &probes[i]))
			taker++;
		if (taker == index)
			return 0;
		most = taker + 1 > most ? taker + 1 : most;
	}
	return most;
}

static void
test_cover(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 4);
	struct probe *probes = malloc(PROBES_MAX * sizeof(*probes));
	uint32_t n_probes = make_probes(probes), wrong = 0, together = 0, reached = 0;

	for (int i = 0; i < 3000; i++) {
		struct weir_rule rules[RULES_MAX];
		uint32_t n = random_rules(&random, rules), first = 0, last = 0;
		uint32_t count = needed(rules, n - 1, probes, n_probes);
		struct weir_cover *cover = NULL;
		bool hidden;

		CU_ASSERT_EQUAL_FATAL(weir_cover_new(rules, n, LINKS, &cover), 0);
		hidden = weir_cover_hides(cover, n - 1, &first, &last);
		wrong += hidden != (count > 0);
		wrong += hidden && last + 1 != count;
		together += hidden && first != last;
		reached += !hidden;
		weir_cover_free(cover);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(together > 200);
	CU_ASSERT(reached > 200);
	free(probes);
}

#define GRID 63U

/* 63 x 63 or so rules that together cover one; with gap, all but one pair of ports. */
static uint32_t
make_grid(struct weir_rule *rules, bool gap)
{
	const struct weir_rule any = {
	    .link = WEIR_ANY,
	    .ethertype = WEIR_ANY,
	    .vlan = WEIR_ANY,
	    .protocol = 6,
	};
	const uint32_t step = 65536 / GRID;
	uint32_t n = 0;

	for (uint32_t i = 0; i < GRID * GRID; i++) {
		struct weir_rule *rule = &rules[n++];
		uint32_t x = i / GRID, y = i % GRID;

		*rule = any;
		rule->source_port_low = (uint16_t)(x * step);
		rule->source_port_high = (uint16_t)(x + 1 == GRID ? 65535 : (x + 1) * step - 1);
		rule->destination_port_low = (uint16_t)(y * step + (gap && i == GRID * GRID - 1));
		rule->destination_port_high =
		    (uint16_t)(y + 1 == GRID ? 65535 : (y + 1) * step - 1);
	}
	rules[n] = any;
	rules[n].source_port_low = 1;
	rules[n].source_port_high = 65535;
	rules[n++].destination_port_high = 65535;
	return n;
}

/* Thousands of rules that together cover one are found to; what one of them misses, too. */
static void
test_grid(void)
{
	struct weir_rule *rules = malloc(WEIR_RULES_MAX * sizeof(*rules));
	struct weir_cover *cover = NULL;
	uint32_t n, first, last;

	n = make_grid(rules, false);
	CU_ASSERT_EQUAL_FATAL(weir_cover_new(rules, n, LINKS, &cover), 0);
	for (uint32_t i = 0; i + 1 < n; i++)
		CU_ASSERT_FALSE(weir_cover_hides(cover, i, &first, &last));
	CU_ASSERT(weir_cover_hides(cover, n - 1, &first, &last));
	CU_ASSERT_EQUAL(first, 0);
	CU_ASSERT_EQUAL(last, n - 2);
	weir_cover_free(cover);
	n = make_grid(rules, true);
	CU_ASSERT_EQUAL_FATAL(weir_cover_new(rules, n, LINKS, &cover), 0);
	CU_ASSERT_FALSE(weir_cover_hides(cover, n - 1, &first, &last));
	weir_cover_free(cover);
	free(rules);
}

/* Work is bounded, and once it is used up every rule counts as reached. */
static void
test_bound(void)
{
	struct weir_rule *rules = malloc(WEIR_RULES_MAX * sizeof(*rules));
	struct weir_cover *cover = NULL;
	uint32_t n = make_grid(rules, false), calls = 0, first, last;

	CU_ASSERT_EQUAL_FATAL(weir_cover_new(rules, n, LINKS, &cover), 0);
	while (calls < 100000 && weir_cover_hides(cover, n - 1, &first, &last))
		calls++;
	CU_ASSERT(calls > 10 && calls < 100000);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_FALSE(weir_cover_hides(cover, i, &first, &last));
	weir_cover_free(cover);
	free(rules);
}

static const struct weir_test tests[] = {
    {"what is covered is what no frame reaches", test_cover},
    {"thousands of rules", test_grid},
    {"the work is bounded", test_bound},
};

int
main(void)
{
	return weir_test_run("config_cover", tests, WEIR_TEST_COUNT(tests));
}
