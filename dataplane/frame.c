/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/frame.h"

#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

/* Smallest headers, in bytes. */
#define IP4_HEADER_BYTES   20U
#define IP6_HEADER_BYTES   40U
#define TCP_HEADER_BYTES   20U
#define UDP_HEADER_BYTES   8U
#define ICMP_HEADER_BYTES  8U
#define SCTP_HEADER_BYTES  12U
#define ARP_BYTES          28U /* for IPv4 on Ethernet, the only kind there is */

#define IP4_MORE_FRAGMENTS 0x2000U
#define IP4_OFFSET_MASK    0x1fffU
#define IP6_FRAGMENT_BYTES 8U
#define IP6_OFFSET_MASK    0xfff8U
#define IP6_MORE_FRAGMENTS 0x0001U

#define ETHERTYPE_QINQ_OLD 0x9100U /* tags of equipment from before 802.1ad */
/* Pause frames: a bridge must not forward them, and here they would be a way to signal. */
#define ETHERTYPE_MAC_CONTROL 0x8808U
#define ETHERTYPE_FIRST       0x0600U /* smaller values are 802.3 lengths */
#define LLC_LENGTH_MAX        1500U

/* Protocol numbers of IANA's registry. */
enum {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_DESTINATION = 60,
	PROTO_SCTP = 132,
	PROTO_MOBILITY = 135,
	PROTO_UDPLITE = 136,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

static inline uint16_t
read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Takes the ports, which stand alike in TCP, UDP, UDP-Lite and SCTP. */
static void
take_ports(const uint8_t *l4, struct weir_key *key)
{
	memcpy(&key->source_port, l4, sizeof(key->source_port));
	memcpy(&key->destination_port, l4 + 2, sizeof(key->destination_port));
	key->flags |= WEIR_KEY_PORTS;
}

/*
 * The transport header: bytes bytes of datagram at l4. A first fragment must hold the whole header
 * (a shorter one is an old way past filters) but not the whole datagram.
 */
static enum weir_drop
parse_l4(const uint8_t *l4, uint32_t bytes, struct weir_key *key)
{
	uint32_t header;
	bool whole = !(key->flags & WEIR_KEY_FRAGMENT);

	switch (key->protocol) {
	case PROTO_TCP:
		if (bytes < TCP_HEADER_BYTES)
			return WEIR_DROP_L4_TRUNCATED;
		header = (uint32_t)(l4[12] >> 4) * 4;
		if (header < TCP_HEADER_BYTES)
			return WEIR_DROP_L4_MALFORMED;
		if (header > bytes)
			return WEIR_DROP_L4_TRUNCATED;
		take_ports(l4, key);
		return WEIR_DROP_NONE;
	case PROTO_UDP:
		if (bytes < UDP_HEADER_BYTES)
			return WEIR_DROP_L4_TRUNCATED;
		/* Less than the datagram would leave room behind it for what nobody looks at. */
		header = read_be16(l4 + 4);
		if (header < UDP_HEADER_BYTES || (whole && header != bytes))
			return WEIR_DROP_L4_MALFORMED;
		take_ports(l4, key);
		return WEIR_DROP_NONE;
	case PROTO_UDPLITE:
		/* Its third field is a checksum coverage: 0, or at least the header. */
		if (bytes < UDP_HEADER_BYTES)
			return WEIR_DROP_L4_TRUNCATED;
		header = read_be16(l4 + 4);
		if (header != 0 && (header < UDP_HEADER_BYTES || (whole && header > bytes)))
			return WEIR_DROP_L4_MALFORMED;
		take_ports(l4, key);
		return WEIR_DROP_NONE;
	case PROTO_SCTP:
		if (bytes < SCTP_HEADER_BYTES)
			return WEIR_DROP_L4_TRUNCATED;
		take_ports(l4, key);
		return WEIR_DROP_NONE;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		return bytes < ICMP_HEADER_BYTES ? WEIR_DROP_L4_TRUNCATED : WEIR_DROP_NONE;
	default:
		return WEIR_DROP_NONE;
	}
}

static enum weir_drop
parse_ip4(const uint8_t *ip, uint32_t bytes, uint32_t l3_offset, uint32_t mtu_bytes,
          struct weir_key *key)
{
	uint32_t header, total, fragment;

	if (bytes < IP4_HEADER_BYTES)
		return WEIR_DROP_IP_TRUNCATED;
	header = (uint32_t)(ip[0] & 0x0f) * 4;
	total = read_be16(ip + 2);
	if (ip[0] >> 4 != 4 || header < IP4_HEADER_BYTES || total < header)
		return WEIR_DROP_IP_MALFORMED;
	if (total > mtu_bytes)
		return WEIR_DROP_OVERSIZE;
	if (total > bytes)
		return WEIR_DROP_IP_TRUNCATED;
	key->family = WEIR_FAMILY_IP4;
	key->protocol = ip[9];
	memcpy(key->source, ip + 12, 4);
	memcpy(key->destination, ip + 16, 4);
	key->payload_end = l3_offset + total;
	fragment = read_be16(ip + 6);
	if (fragment & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK)) {
		key->flags |= WEIR_KEY_FRAGMENT;
		if (fragment & IP4_OFFSET_MASK)
			return WEIR_DROP_NONE;
	}
	return parse_l4(ip + header, total - header, key);
}

/* What the walk along IPv6 extension headers has come to. */
struct ip6_walk {
	uint32_t offset; /* from the IPv6 header */
	uint8_t next;
	bool later_fragment; /* what follows is no header */
};

/* Steps over one extension header. */
static enum weir_drop
step_ip6(const uint8_t *ip, uint32_t end, uint32_t step, struct ip6_walk *walk,
         struct weir_key *key)
{
	const uint8_t *header = ip + walk->offset;
	uint32_t left = end - walk->offset;
	uint32_t bytes;

	if (left < 8)
		return WEIR_DROP_IP_TRUNCATED;
	switch (walk->next) {
	case PROTO_FRAGMENT:
		/* One is allowed: a second one would hide the first one's offset. */
		if (key->flags & WEIR_KEY_FRAGMENT)
			return WEIR_DROP_IP6_HEADERS;
		bytes = IP6_FRAGMENT_BYTES;
		/* An "atomic" fragment is a whole datagram with a needless header (RFC 6946). */
		if (read_be16(header + 2) & (IP6_OFFSET_MASK | IP6_MORE_FRAGMENTS))
			key->flags |= WEIR_KEY_FRAGMENT;
		walk->later_fragment = (read_be16(header + 2) & IP6_OFFSET_MASK) != 0;
		break;
	case PROTO_HOP_BY_HOP:
		if (step != 0)
			return WEIR_DROP_IP6_HEADERS;
		bytes = ((uint32_t)header[1] + 1) * 8;
		break;
	case PROTO_AH:
		bytes = ((uint32_t)header[1] + 2) * 4;
		break;
	default:
		bytes = ((uint32_t)header[1] + 1) * 8;
		break;
	}
	if (bytes > left)
		return WEIR_DROP_IP_TRUNCATED;
	walk->next = header[0];
	walk->offset += bytes;
	return WEIR_DROP_NONE;
}

static bool
is_ip6_extension(uint8_t protocol)
{
	switch (protocol) {
	case PROTO_HOP_BY_HOP:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DESTINATION:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

static enum weir_drop
parse_ip6(const uint8_t *ip, uint32_t bytes, uint32_t l3_offset, uint32_t mtu_bytes,
          struct weir_key *key)
{
	struct ip6_walk walk = {.offset = IP6_HEADER_BYTES};
	uint32_t end;

	if (bytes < IP6_HEADER_BYTES)
		return WEIR_DROP_IP_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return WEIR_DROP_IP_MALFORMED;
	/* A jumbogram says 0 here, and then the end of the datagram is anyone's guess. */
	end = IP6_HEADER_BYTES + read_be16(ip + 4);
	walk.next = ip[6];
	if (end == IP6_HEADER_BYTES && walk.next == PROTO_HOP_BY_HOP)
		return WEIR_DROP_IP_MALFORMED;
	if (end > mtu_bytes)
		return WEIR_DROP_OVERSIZE;
	if (end > bytes)
		return WEIR_DROP_IP_TRUNCATED;
	key->family = WEIR_FAMILY_IP6;
	memcpy(key->source, ip + 8, 16);
	memcpy(key->destination, ip + 24, 16);
	key->payload_end = l3_offset + end;
	for (uint32_t step = 0; is_ip6_extension(walk.next) && !walk.later_fragment; step++) {
		enum weir_drop drop;

		if (step == WEIR_IP6_HEADERS_MAX)
			return WEIR_DROP_IP6_HEADERS;
		drop = step_ip6(ip, end, step, &walk, key);
		if (drop != WEIR_DROP_NONE)
			return drop;
	}
	key->protocol = walk.next;
	if (walk.later_fragment)
		return WEIR_DROP_NONE;
	return parse_l4(ip + walk.offset, end - walk.offset, key);
}

/* ARP for IPv4 on Ethernet: fixed fields, fixed length. */
static enum weir_drop
parse_arp(const uint8_t *arp, uint32_t bytes, uint32_t l3_offset, struct weir_key *key)
{
	if (bytes < ARP_BYTES || read_be16(arp) != RTE_ARP_HRD_ETHER ||
	    read_be16(arp + 2) != RTE_ETHER_TYPE_IPV4 || arp[4] != RTE_ETHER_ADDR_LEN ||
	    arp[5] != sizeof(rte_be32_t))
		return WEIR_DROP_ARP_MALFORMED;
	key->payload_end = l3_offset + ARP_BYTES;
	return WEIR_DROP_NONE;
}

enum weir_drop
weir_frame_parse(const uint8_t *data, uint32_t bytes, uint32_t mtu_bytes, struct weir_key *key)
{
	uint32_t at = WEIR_FRAME_HEADER_BYTES;
	uint32_t tags = 0;
	uint16_t type, vlan = WEIR_VLAN_NONE;

	if (bytes < WEIR_FRAME_HEADER_BYTES)
		return WEIR_DROP_RUNT;
	type = read_be16(data + 12);
	while (type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ ||
	       type == ETHERTYPE_QINQ_OLD) {
		if (tags == WEIR_VLAN_TAGS_MAX)
			return WEIR_DROP_VLAN_DEPTH;
		if (bytes - at < WEIR_VLAN_TAG_BYTES)
			return WEIR_DROP_VLAN_TRUNCATED;
		if (tags == 0)
			vlan = read_be16(data + at) & 0x0fff;
		type = read_be16(data + at + 2);
		at += WEIR_VLAN_TAG_BYTES;
		tags++;
	}
	if (bytes - at > mtu_bytes)
		return WEIR_DROP_OVERSIZE;

	memset(key, 0, sizeof(*key));
	key->vlan = rte_cpu_to_be_16(vlan);
	key->ethertype = rte_cpu_to_be_16(type);
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		return parse_ip4(data + at, bytes - at, at, mtu_bytes, key);
	case RTE_ETHER_TYPE_IPV6:
		return parse_ip6(data + at, bytes - at, at, mtu_bytes, key);
	case RTE_ETHER_TYPE_ARP:
		return parse_arp(data + at, bytes - at, at, key);
	case ETHERTYPE_MAC_CONTROL:
		return WEIR_DROP_MAC_CONTROL;
	default:
		break;
	}
	key->payload_end = bytes;
	if (type >= ETHERTYPE_FIRST)
		return WEIR_DROP_NONE;
	if (type > LLC_LENGTH_MAX || type > bytes - at)
		return WEIR_DROP_LLC_LENGTH;
	key->ethertype = 0;
	key->payload_end = at + type;
	return WEIR_DROP_NONE;
}
