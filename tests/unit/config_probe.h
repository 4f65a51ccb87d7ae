/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames to try rules on, and what a rule means for one. */
#ifndef WEIR_TESTS_UNIT_CONFIG_PROBE_H
#define WEIR_TESTS_UNIT_CONFIG_PROBE_H

#include "control/config.h"

/* A frame's key, as far as rules look at it. */
struct probe {
	uint32_t link, ethertype, vlan, protocol;
	uint8_t family;
	bool has_ports;
	uint16_t ports[2];
	const uint8_t *addresses[2];
};

static inline bool
probe_in_prefix(const struct weir_prefix *prefix, const struct probe *probe, const uint8_t *address)
{
	if (prefix->family == WEIR_FAMILY_L2)
		return true;
	if (prefix->family != probe->family)
		return false;
	for (uint32_t bit = 0; bit < prefix->length; bit++)
		if (((prefix->address[bit / 8] ^ address[bit / 8]) & (0x80U >> bit % 8)) != 0)
			return false;
	return true;
}

static inline bool
probe_in_range(const struct probe *probe, int side, uint16_t low, uint16_t high)
{
	if (low == 0 && high == 65535)
		return true;
	return probe->has_ports && probe->ports[side] >= low && probe->ports[side] <= high;
}

/* What a rule means, spelled out: the reference that shapes and covers are compared with. */
static inline bool
probe_matches(const struct weir_rule *rule, const struct probe *probe)
{
	return (rule->link == WEIR_ANY || rule->link == probe->link) &&
	       (rule->vlan == WEIR_ANY || rule->vlan == probe->vlan) &&
	       (rule->ethertype == WEIR_ANY || rule->ethertype == probe->ethertype) &&
	       (rule->protocol == WEIR_ANY ||
	        (probe->family != WEIR_FAMILY_L2 && rule->protocol == probe->protocol)) &&
	       probe_in_prefix(&rule->source, probe, probe->addresses[0]) &&
	       probe_in_prefix(&rule->destination, probe, probe->addresses[1]) &&
	       probe_in_range(probe, 0, rule->source_port_low, rule->source_port_high) &&
	       probe_in_range(probe, 1, rule->destination_port_low, rule->destination_port_high);
}

#endif
