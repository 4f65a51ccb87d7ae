/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_shape.h"

#define L2       (1U << WEIR_FAMILY_L2)
#define IP4      (1U << WEIR_FAMILY_IP4)
#define IP6      (1U << WEIR_FAMILY_IP6)
#define PORT_MAX UINT16_MAX

static bool
has_ports(const struct weir_rule *rule)
{
	return rule->source_port_low != 0 || rule->source_port_high != PORT_MAX ||
	       rule->destination_port_low != 0 || rule->destination_port_high != PORT_MAX;
}

static uint8_t
families_of_prefix(const struct weir_prefix *prefix)
{
	return (uint8_t)(prefix->family == WEIR_FAMILY_L2 ? L2 | IP4 | IP6 : 1U << prefix->family);
}

uint8_t
weir_shape_families(const struct weir_rule *rule)
{
	uint8_t families = families_of_prefix(&rule->source);

	families &= families_of_prefix(&rule->destination);
	if (rule->ethertype == 0x0800)
		families &= IP4;
	else if (rule->ethertype == 0x86dd)
		families &= IP6;
	else if (rule->ethertype != WEIR_ANY)
		families &= L2;
	if (rule->protocol != WEIR_ANY || has_ports(rule))
		families &= IP4 | IP6;
	return families;
}

static uint64_t
word_of(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word = word << 8 | bytes[i];
	return word;
}

static uint64_t
mask_of(uint32_t bits)
{
	return bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits);
}

static void
set_prefix(struct weir_shape *shape, uint32_t word, const struct weir_prefix *prefix)
{
	shape->mask[word] = mask_of(prefix->length);
	shape->mask[word + 1] = mask_of(prefix->length > 64 ? prefix->length - 64U : 0);
	shape->value[word] = word_of(prefix->address);
	shape->value[word + 1] = word_of(prefix->address + 8);
}

void
weir_shape_make(const struct weir_rule *rule, struct weir_shape *shape)
{
	*shape = (struct weir_shape){.families = weir_shape_families(rule)};
	if (rule->link != WEIR_ANY) {
		shape->mask[0] |= UINT64_C(0xffff) << 48;
		shape->value[0] |= (uint64_t)rule->link << 48;
	}
	if (rule->vlan != WEIR_ANY) {
		shape->mask[0] |= UINT64_C(0xffff) << 32;
		shape->value[0] |= (uint64_t)rule->vlan << 32;
	}
	/* For IP the family has said it already. */
	if (shape->families == L2 && rule->ethertype != WEIR_ANY) {
		shape->mask[0] |= UINT64_C(0xffff) << 16;
		shape->value[0] |= (uint64_t)rule->ethertype << 16;
	}
	if (rule->protocol != WEIR_ANY) {
		shape->mask[0] |= 0xffff;
		shape->value[0] |= rule->protocol;
	}
	set_prefix(shape, 1, &rule->source);
	set_prefix(shape, 3, &rule->destination);
	shape->ports[0] = rule->source_port_low;
	shape->ports[1] = rule->source_port_high;
	shape->ports[2] = rule->destination_port_low;
	shape->ports[3] = rule->destination_port_high;
}

bool
weir_shape_contains(const struct weir_shape *outer, const struct weir_shape *inner)
{
	for (uint32_t i = 0; i < WEIR_SHAPE_WORDS; i++)
		if ((outer->mask[i] & ~inner->mask[i]) != 0 ||
		    ((outer->value[i] ^ inner->value[i]) & outer->mask[i]) != 0)
			return false;
	return (inner->families & ~outer->families) == 0 && outer->ports[0] <= inner->ports[0] &&
	       outer->ports[1] >= inner->ports[1] && outer->ports[2] <= inner->ports[2] &&
	       outer->ports[3] >= inner->ports[3];
}

bool
weir_shape_overlaps(const struct weir_shape *one, const struct weir_shape *other)
{
	for (uint32_t i = 0; i < WEIR_SHAPE_WORDS; i++)
		if (((one->value[i] ^ other->value[i]) & one->mask[i] & other->mask[i]) != 0)
			return false;
	return (one->families & other->families) != 0 && one->ports[0] <= other->ports[1] &&
	       other->ports[0] <= one->ports[1] && one->ports[2] <= other->ports[3] &&
	       other->ports[2] <= one->ports[3];
}
