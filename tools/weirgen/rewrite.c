/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/rewrite.h"

#include "drivers/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ETHERTYPE_IP4    0x0800U
#define ETHERTYPE_IP6    0x86ddU
#define ETHERTYPE_VLAN   0x8100U
#define ETHERTYPE_QINQ   0x88a8U
#define PREFIX_SIZE      64U

#define IP6_HEADER_BYTES 40U
#define PROTOCOL_UDPLITE 136U
/* Types of routing headers that bear whole addresses: RFC 5095, 6275, 8754. */
#define ROUTING_SOURCE   0U
#define ROUTING_HOME     2U
#define ROUTING_SEGMENTS 4U
#define OPTION_PAD1      0U
#define OPTION_HOME      0xc9U

int
weir_rewrite_parse_mac(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		char *end;

		if (strspn(text, "0123456789abcdefABCDEF") != 2)
			return -EINVAL;
		mac[i] = (uint8_t)strtoul(text, &end, 16);
		if (*end != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		text = end + 1;
	}
	return 0;
}

/* "ADDRESS/LENGTH" or an address alone, whose length is all of it. */
static int
parse_prefix(const char *text, size_t bytes, bool *ip6, uint8_t *length, uint8_t address[16])
{
	char copy[PREFIX_SIZE], *slash, *end;
	unsigned long bits;

	if (bytes >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	*ip6 = strchr(copy, ':') != NULL;
	if (inet_pton(*ip6 ? AF_INET6 : AF_INET, copy, address) != 1)
		return -EINVAL;
	*length = *ip6 ? 128 : 32;
	if (slash == NULL)
		return 0;
	if (slash[1] < '0' || slash[1] > '9')
		return -EINVAL;
	bits = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || bits > *length)
		return -EINVAL;
	*length = (uint8_t)bits;
	return 0;
}

int
weir_rewrite_add(struct weir_rewrite *rewrite, const char *text)
{
	struct weir_rewrite_map map = {0};
	const char *equals = strchr(text, '=');
	uint8_t length;
	bool ip6;

	if (rewrite->n_maps == WEIR_REWRITE_MAPS_MAX)
		return -E2BIG;
	if (equals == NULL ||
	    parse_prefix(text, (size_t)(equals - text), &map.ip6, &map.length, map.from) != 0 ||
	    parse_prefix(equals + 1, strlen(equals + 1), &ip6, &length, map.to) != 0 ||
	    ip6 != map.ip6 || length != map.length)
		return -EINVAL;
	rewrite->maps[rewrite->n_maps++] = map;
	return 0;
}

/* The bits of one byte of a prefix. */
static uint8_t
mask_of(uint8_t length, uint32_t byte)
{
	uint32_t bits = length > byte * 8 ? length - byte * 8U : 0;

	return (uint8_t)(0xff00U >> (bits < 8 ? bits : 8));
}

/* Writes the new address of old, of so many bytes. False where no rule matches. */
static bool
map_address(const struct weir_rewrite *rewrite, bool ip6, const uint8_t *old, uint8_t *new)
{
	uint32_t bytes = ip6 ? 16 : 4;

	for (uint32_t m = 0; m < rewrite->n_maps; m++) {
		const struct weir_rewrite_map *map = &rewrite->maps[m];
		bool same = map->ip6 == ip6;

		for (uint32_t i = 0; same && i < bytes; i++)
			same = ((old[i] ^ map->from[i]) & mask_of(map->length, i)) == 0;
		if (!same)
			continue;
		for (uint32_t i = 0; i < bytes; i++) {
			uint8_t mask = mask_of(map->length, i);

			new[i] = (uint8_t)((map->to[i] & mask) | (old[i] & ~mask));
		}
		return true;
	}
	return false;
}

static uint32_t
number_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* RFC 1624, equation 3: a checksum whose input changed from old to new. */
static void
update_checksum(uint8_t *checksum, const uint8_t *old, const uint8_t *new, uint32_t bytes)
{
	uint32_t sum = ~number_at(checksum) & UINT16_MAX;

	for (uint32_t i = 0; i < bytes; i += 2)
		sum += (~number_at(old + i) & UINT16_MAX) + number_at(new + i);
	while (sum >> 16 != 0)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	checksum[0] = (uint8_t)(~sum >> 8);
	checksum[1] = (uint8_t)~sum;
}

/* What follows the addresses of a packet, as far as they matter to it. */
struct transport {
	uint8_t *checksum; /* NULL: none here, or none that covers addresses */
	bool udp;
	/* The destination that the checksum covers; NULL: none that is known. */
	const uint8_t *covered;
	uint8_t *segments; /* IPv6 addresses of a routing header */
	uint32_t n_segments;
	uint8_t *home; /* of a mobile host (RFC 6275): it covers this in place of the source */
};

static void
find_checksum(struct transport *transport, uint8_t *l4, uint32_t bytes, uint8_t protocol, bool ip6)
{
	uint8_t *checksum = NULL;

	if (protocol == IPPROTO_TCP && bytes >= 20)
		checksum = l4 + 16;
	else if ((protocol == IPPROTO_UDP || protocol == PROTOCOL_UDPLITE) && bytes >= 8)
		checksum = l4 + 6;
	else if (protocol == IPPROTO_ICMPV6 && ip6 && bytes >= 4)
		checksum = l4 + 2;
	/* UDP without one. */
	if (checksum != NULL && protocol == IPPROTO_UDP && number_at(checksum) == 0)
		checksum = NULL;
	transport->checksum = checksum;
	transport->udp = protocol == IPPROTO_UDP;
}

/*
 * The addresses of a routing header. Where segments are left, the last of them is the destination
 * that the transport's sender had in mind (RFC 8200, 8.1).
 */
static void
read_routing(struct transport *transport, uint8_t *header)
{
	uint32_t room = header[1] / 2U, n, last;

	switch (header[2]) {
	case ROUTING_SOURCE:
	case ROUTING_HOME:
		n = room;
		last = n - 1;
		break;
	case ROUTING_SEGMENTS: /* RFC 8754: in reverse order */
		n = header[4] < room ? header[4] + 1U : room;
		last = 0;
		break;
	default:
		n = 0;
		last = 0;
	}
	transport->segments = header + 8;
	transport->n_segments = n;
	if (header[3] > 0)
		transport->covered = n > 0 ? header + 8 + 16 * (size_t)last : NULL;
}

/* A home address among the destination options. */
static void
read_options(struct transport *transport, uint8_t *header, uint32_t length)
{
	uint32_t at = 2;

	while (at + 2 <= length) {
		uint32_t option = header[at] == OPTION_PAD1 ? 1 : 2U + header[at + 1];

		if (header[at] == OPTION_HOME && option == 18 && at + option <= length)
			transport->home = header + at + 2;
		at += option;
	}
}

/* Behind extension headers, if there are any. */
static void
find_ip6(struct transport *transport, uint8_t *ip, uint32_t bytes)
{
	uint32_t at = IP6_HEADER_BYTES;
	uint8_t next = ip[6];

	transport->covered = ip + 24;
	while (bytes >= at + 8) {
		uint8_t *header = ip + at;
		uint32_t length = 8 + header[1] * 8U;

		if (next == IPPROTO_FRAGMENT)
			length = 8;
		else if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		         next != IPPROTO_DSTOPTS)
			break;
		if (length > bytes - at)
			return;
		if (next == IPPROTO_ROUTING)
			read_routing(transport, header);
		if (next == IPPROTO_DSTOPTS)
			read_options(transport, header, length);
		/* Only a first fragment has the checksum, which is that of the whole datagram. */
		if (next == IPPROTO_FRAGMENT && number_at(header + 2) >> 3 != 0)
			return;
		next = header[0];
		at += length;
	}
	find_checksum(transport, ip + at, bytes - at, next, true);
}

/* With the checksums that cover it: the IP header's, NULL in IPv6, and the transport's. */
static void
rewrite_address(const struct weir_rewrite *rewrite, bool ip6, uint8_t *address,
                uint8_t *ip_checksum, const struct transport *transport)
{
	uint8_t *l4_checksum = transport->checksum;
	uint32_t bytes = ip6 ? 16 : 4;
	uint8_t new[16];

	if (!map_address(rewrite, ip6, address, new))
		return;
	if (ip_checksum != NULL)
		update_checksum(ip_checksum, address, new, bytes);
	if (l4_checksum != NULL) {
		update_checksum(l4_checksum, address, new, bytes);
		if (transport->udp && number_at(l4_checksum) == 0)
			l4_checksum[0] = l4_checksum[1] = UINT8_MAX;
	}
	memcpy(address, new, bytes);
}

static void
rewrite_ip4(const struct weir_rewrite *rewrite, uint8_t *ip, uint32_t bytes)
{
	uint32_t header = (ip[0] & 15) * 4U;
	struct transport transport = {0};

	/* Only a first fragment has the checksum. */
	if (bytes >= header && header >= 20 && (number_at(ip + 6) & 0x1fff) == 0)
		find_checksum(&transport, ip + header, bytes - header, ip[9], false);
	rewrite_address(rewrite, false, ip + 12, ip + 10, &transport);
	rewrite_address(rewrite, false, ip + 16, ip + 10, &transport);
}

static void
rewrite_ip6(const struct weir_rewrite *rewrite, uint8_t *ip, uint32_t bytes)
{
	static const struct transport not_covered;
	struct transport transport = {0};

	find_ip6(&transport, ip, bytes);
	rewrite_address(rewrite, true, ip + 8, NULL,
	                transport.home == NULL ? &transport : &not_covered);
	if (transport.home != NULL)
		rewrite_address(rewrite, true, transport.home, NULL, &transport);
	rewrite_address(rewrite, true, ip + 24, NULL,
	                transport.covered == ip + 24 ? &transport : &not_covered);
	for (uint32_t i = 0; i < transport.n_segments; i++) {
		uint8_t *segment = transport.segments + 16 * (size_t)i;

		rewrite_address(rewrite, true, segment, NULL,
		                transport.covered == segment ? &transport : &not_covered);
	}
}

void
weir_rewrite_frame(const struct weir_rewrite *rewrite, uint8_t *frame, uint32_t frame_bytes)
{
	uint32_t at = WEIR_FRAME_HEADER_BYTES, ethertype;
	uint8_t *ip;

	if (frame_bytes < WEIR_FRAME_HEADER_BYTES)
		return;
	if (rewrite->has_destination)
		memcpy(frame, rewrite->destination_mac, 6);
	if (rewrite->has_source)
		memcpy(frame + 6, rewrite->source_mac, 6);
	ethertype = number_at(frame + 12);
	for (uint32_t tags = 0; tags < WEIR_VLAN_TAGS_MAX && frame_bytes >= at + 4; tags++) {
		if (ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ)
			break;
		ethertype = number_at(frame + at + 2);
		at += WEIR_VLAN_TAG_BYTES;
	}
	ip = frame + at;
	if (ethertype == ETHERTYPE_IP4 && frame_bytes >= at + 20) {
		rewrite_ip4(rewrite, ip, frame_bytes - at);
	} else if (ethertype == ETHERTYPE_IP6 && frame_bytes >= at + IP6_HEADER_BYTES) {
		rewrite_ip6(rewrite, ip, frame_bytes - at);
	}
}
