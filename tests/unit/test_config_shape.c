/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules cover, compared with what they mean: by trying frames. */
#include "control/config_shape.h"
#include "tests/unit/config_probe.h"
#include "tests/unit/harness.h"

#include <string.h>

#define PROBES_MAX 40000U

static const uint16_t probe_ports[] = {0, 1, 2, 3, 65535};

static uint32_t
make_ip_probes(struct probe *probes, struct probe probe)
{
	static const uint32_t protocols[] = {6, 17, 132, 1, 50};
	uint32_t n = 0;

	for (uint32_t p = 0; p < 5; p++) {
		probe.protocol = protocols[p];
		probe.has_ports = false;
		probes[n++] = probe;
		for (uint32_t i = 0; p < 3 && i < 25; i++) {
			probe.has_ports = true;
			probe.ports[0] = probe_ports[i / 5];
			probe.ports[1] = probe_ports[i % 5];
			probes[n++] = probe;
		}
	}
	return n;
}

static const uint8_t addresses4[][16] = {
    {10, 1, 2, 3}, {10, 1, 9, 9}, {11, 0, 2, 3}, {11, 0, 9, 9}};
static const uint8_t addresses6[][16] = {
    {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1},
    {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2},
    {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1},
    {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2},
};

/* Enough different frames that two rules from random_rule differ in one of them, if at all. */
static uint32_t
make_probes(struct probe *probes)
{
	static const uint32_t vlans[] = {WEIR_VLAN_NONE, 1, 2}, l2[] = {0x0806, 0x88cc, 0};
	uint32_t n = 0;

	for (uint32_t i = 0; i < 6; i++) {
		struct probe probe = {.link = i / 3, .vlan = vlans[i % 3]};

		for (uint32_t j = 0; j < 3; j++) {
			probe.ethertype = l2[j];
			probe.addresses[0] = probe.addresses[1] = addresses4[0];
			probes[n++] = probe;
		}
		for (uint32_t j = 0; j < 32; j++) {
			probe.family = j < 16 ? WEIR_FAMILY_IP4 : WEIR_FAMILY_IP6;
			probe.ethertype = j < 16 ? 0x0800 : 0x86dd;
			probe.addresses[0] = j < 16 ? addresses4[j % 4] : addresses6[j % 4];
			probe.addresses[1] = j < 16 ? addresses4[j / 4] : addresses6[j / 4 - 4];
			n += make_ip_probes(probes + n, probe);
		}
	}
	return n;
}

static void
random_prefix(struct weir_random *random, bool four, struct weir_prefix *prefix)
{
	static const uint8_t lengths4[] = {0, 16, 32}, lengths6[] = {0, 80, 128};
	uint32_t which = (uint32_t)weir_random_below(random, 3);
	uint8_t length = four ? lengths4[which] : lengths6[which];

	*prefix = (struct weir_prefix){
	    .family = four ? WEIR_FAMILY_IP4 : WEIR_FAMILY_IP6,
	    .length = length,
	};
	memcpy(prefix->address,
	       four ? addresses4[weir_random_below(random, 4)]
	            : addresses6[weir_random_below(random, 4)],
	       length / 8);
}

static void
random_range(struct weir_random *random, uint16_t *low, uint16_t *high)
{
	uint64_t a = weir_random_below(random, 5), b = weir_random_below(random, 5);

	*low = probe_ports[a < b ? a : b];
	*high = probe_ports[a < b ? b : a];
}

static void
random_rule(struct weir_random *random, struct weir_rule *rule)
{
	static const uint32_t ethertypes[] = {0x0806, 0, 0x0800, 0x86dd};
	static const uint32_t protocols[] = {6, 17, 1};
	bool four = weir_random_one_in(random, 2);

	do {
		*rule = (struct weir_rule){
		    .link = weir_random_one_in(random, 2) ? WEIR_ANY : 0,
		    .ethertype = weir_random_one_in(random, 2)
		                     ? WEIR_ANY
		                     : ethertypes[weir_random_below(random, 4)],
		    .vlan = weir_random_one_in(random, 2)   ? WEIR_ANY
		            : weir_random_one_in(random, 2) ? WEIR_VLAN_NONE
		                                            : 1,
		    .protocol = weir_random_one_in(random, 2)
		                    ? WEIR_ANY
		                    : protocols[weir_random_below(random, 3)],
		    .source_port_high = 65535,
		    .destination_port_high = 65535,
		};
		if (weir_random_one_in(random, 3))
			random_prefix(random, four, &rule->source);
		if (weir_random_one_in(random, 3))
			random_prefix(random, four, &rule->destination);
		if (rule->protocol != 1 && weir_random_one_in(random, 3))
			random_range(random, &rule->source_port_low, &rule->source_port_high);
		if (rule->protocol != 1 && weir_random_one_in(random, 3))
			random_range(random, &rule->destination_port_low,
			             &rule->destination_port_high);
	} while (weir_shape_families(rule) == 0);
}

/*
 * Shapes against the meaning of rules: contains exactly where every frame of the one is one of the
 * other, and overlaps wherever some frame is both's.
 */
static void
test_shapes(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 2);
	struct probe *probes = malloc(PROBES_MAX * sizeof(*probes));
	uint32_t n = make_probes(probes), wrong = 0, contained = 0, apart = 0;

	CU_ASSERT(n <= PROBES_MAX);
	for (int i = 0; i < 3000; i++) {
		bool inside = true, meet = false;
		struct weir_rule rules[2];
		struct weir_shape shapes[2];

		for (int j = 0; j < 2; j++) {
			random_rule(&random, &rules[j]);
			weir_shape_make(&rules[j], &shapes[j]);
		}
		for (uint32_t j = 0; j < n && (inside || !meet); j++) {
			bool inner = probe_matches(&rules[1], &probes[j]);
			bool outer = inner && probe_matches(&rules[0], &probes[j]);

			inside = inside && (!inner || outer);
			meet = meet || outer;
		}
		contained += inside;
		apart += !weir_shape_overlaps(&shapes[0], &shapes[1]);
		wrong += weir_shape_contains(&shapes[0], &shapes[1]) != inside;
		wrong += meet && !weir_shape_overlaps(&shapes[0], &shapes[1]);
		wrong += weir_shape_overlaps(&shapes[0], &shapes[1]) !=
		         weir_shape_overlaps(&shapes[1], &shapes[0]);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(contained > 10);
	CU_ASSERT(apart > 10);
	free(probes);
}

static const struct weir_test tests[] = {
    {"shapes of rules mean what rules mean", test_shapes},
};

int
main(void)
{
	return weir_test_run("config_shape", tests, WEIR_TEST_COUNT(tests));
}
