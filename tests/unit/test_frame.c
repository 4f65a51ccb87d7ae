/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/frame.h"
#include "tests/unit/frames.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define MTU 1500U

/* Good frames of every kind, each with what the parser must find. */
struct good {
	const char *name;
	struct frame frame;
	uint8_t family, protocol, flags;
	uint16_t ethertype, vlan, source_port, destination_port;
	uint32_t payload_end; /* 0: the whole frame */
};

#define GOOD_MAX 40U
static struct good goods[GOOD_MAX];
static uint32_t n_goods;

static struct good *
add(const char *name, uint8_t family, uint8_t protocol, uint16_t ethertype)
{
	struct good *good = &goods[n_goods++];

	assert(n_goods <= GOOD_MAX);
	*good = (struct good){.name = name,
	                      .family = family,
	                      .protocol = protocol,
	                      .ethertype = ethertype,
	                      .vlan = WEIR_VLAN_NONE};
	frame_ethernet(&good->frame, ethertype);
	return good;
}

static void
expect_ports(struct good *good)
{
	good->flags |= WEIR_KEY_PORTS;
	good->source_port = 443;
	good->destination_port = 5000;
}

static void
add_ip4(void)
{
	struct good *good = add("udp", WEIR_FAMILY_IP4, 17, 0x0800);

	frame_ip4(&good->frame, 17, 0, 0, 8 + 30);
	frame_udp(&good->frame, 443, 5000, 30);
	expect_ports(good);

	good = add("tcp with options, IP options, both VLAN tags", WEIR_FAMILY_IP4, 6, 0x0800);
	frame_vlan(&good->frame, 0x88a8, 0xe064);
	frame_vlan(&good->frame, 0x8100, 0x0007);
	frame_ip4(&good->frame, 6, 10, 0x4000, 40 + 10);
	frame_tcp(&good->frame, 443, 5000, 5, 10);
	good->vlan = 100;
	expect_ports(good);

	good = add("udp, padded", WEIR_FAMILY_IP4, 17, 0x0800);
	frame_ip4(&good->frame, 17, 0, 0, 9);
	frame_udp(&good->frame, 443, 5000, 1);
	good->payload_end = good->frame.bytes;
	frame_fill(&good->frame, 0xee, 17);
	expect_ports(good);

	good = add("first fragment", WEIR_FAMILY_IP4, 17, 0x0800);
	frame_ip4(&good->frame, 17, 0, 0x2000, 8 + 16);
	frame_udp(&good->frame, 443, 5000, 16);
	frame_set16(&good->frame, 14 + 20 + 4, 3000);
	good->flags = WEIR_KEY_FRAGMENT;
	expect_ports(good);

	good = add("later fragment", WEIR_FAMILY_IP4, 6, 0x0800);
	frame_ip4(&good->frame, 6, 0, 0x0003, 16);
	frame_fill(&good->frame, 0xff, 16);
	good->flags = WEIR_KEY_FRAGMENT;

	good = add("icmp", WEIR_FAMILY_IP4, 1, 0x0800);
	frame_ip4(&good->frame, 1, 0, 0, 8);
	frame_fill(&good->frame, 8, 8);

	good = add("sctp", WEIR_FAMILY_IP4, 132, 0x0800);
	frame_ip4(&good->frame, 132, 0, 0, 12);
	frame_put16(&good->frame, 443);
	frame_put16(&good->frame, 5000);
	frame_fill(&good->frame, 0, 8);
	expect_ports(good);

	good = add("gre", WEIR_FAMILY_IP4, 47, 0x0800);
	frame_ip4(&good->frame, 47, 0, 0, 4);
	frame_fill(&good->frame, 0, 4);

	good = add("largest", WEIR_FAMILY_IP4, 17, 0x0800);
	frame_vlan(&good->frame, 0x8100, 4095);
	frame_ip4(&good->frame, 17, 0, 0, 1480);
	frame_udp(&good->frame, 443, 5000, 1472);
	good->vlan = 4095;
	expect_ports(good);
}

static void
add_ip6(void)
{
	struct good *good = add("udp over ip6", WEIR_FAMILY_IP6, 17, 0x86dd);

	frame_ip6(&good->frame, 17, 8 + 3);
	frame_udp(&good->frame, 443, 5000, 3);
	expect_ports(good);

	good = add("a chain of extension headers", WEIR_FAMILY_IP6, 6, 0x86dd);
	frame_ip6(&good->frame, 0, 8 + 16 + 8 + 8 + 12 + 20);
	frame_ip6_extension(&good->frame, 60, 0);
	frame_ip6_extension(&good->frame, 43, 1);
	frame_ip6_extension(&good->frame, 44, 0);
	frame_ip6_fragment(&good->frame, 51, 0); /* an atomic one */
	frame_put8(&good->frame, 6);
	frame_put8(&good->frame, 1);
	frame_fill(&good->frame, 0, 10);
	frame_tcp(&good->frame, 443, 5000, 0, 0);
	expect_ports(good);

	good = add("eight extension headers", WEIR_FAMILY_IP6, 59, 0x86dd);
	frame_ip6(&good->frame, 60, 64);
	for (uint32_t i = 0; i < 8; i++)
		frame_ip6_extension(&good->frame, i < 7 ? 60 : 59, 0);

	good = add("later fragment over ip6", WEIR_FAMILY_IP6, 17, 0x86dd);
	frame_ip6(&good->frame, 44, 8 + 20);
	frame_ip6_fragment(&good->frame, 17, 0x0010);
	frame_fill(&good->frame, 0xff, 20);
	good->flags = WEIR_KEY_FRAGMENT;

	good = add("icmp6", WEIR_FAMILY_IP6, 58, 0x86dd);
	frame_ip6(&good->frame, 58, 8);
	frame_fill(&good->frame, 0, 8);

	good = add("esp", WEIR_FAMILY_IP6, 50, 0x86dd);
	frame_ip6(&good->frame, 50, 4);
	frame_fill(&good->frame, 0, 4);
}

static void
add_others(void)
{
	struct good *good = add("arp, padded", WEIR_FAMILY_L2, 0, 0x0806);

	frame_arp(&good->frame);
	good->payload_end = good->frame.bytes;
	frame_fill(&good->frame, 0xee, 18);

	good = add("lldp", WEIR_FAMILY_L2, 0, 0x88cc);
	frame_fill(&good->frame, 1, 40);

	good = add("802.3 with LLC, padded", WEIR_FAMILY_L2, 0, 38);
	frame_fill(&good->frame, 0x42, 38);
	good->ethertype = 0;
	good->payload_end = good->frame.bytes;
	frame_fill(&good->frame, 0xee, 8);

	good = add("nothing behind the header", WEIR_FAMILY_L2, 0, 0x9000);
}

static void
make_goods(void)
{
	n_goods = 0;
	add_ip4();
	add_ip6();
	add_others();
}

/* Parses a copy of exactly these bytes on the heap, so that a sanitizer sees any read beyond. */
static enum weir_drop
parse_copy(const struct frame *frame, uint32_t bytes, struct weir_key *key)
{
	uint8_t *copy = malloc(bytes + 1);
	enum weir_drop drop;

	assert(copy != NULL && bytes <= frame->bytes);
	memcpy(copy + 1, frame->data, bytes); /* and misaligned */
	drop = weir_frame_parse(copy + 1, bytes, MTU, key);
	free(copy);
	return drop;
}

static void
test_good_frames(void)
{
	make_goods();
	for (uint32_t i = 0; i < n_goods; i++) {
		const struct good *good = &goods[i];
		struct weir_key key;
		enum weir_drop drop = parse_copy(&good->frame, good->frame.bytes, &key);

		if (drop != WEIR_DROP_NONE)
			printf("    %s: %s\n", good->name, weir_drop_name(drop));
		CU_ASSERT_EQUAL_FATAL(drop, WEIR_DROP_NONE);
		CU_ASSERT_EQUAL(key.family, good->family);
		CU_ASSERT_EQUAL(key.protocol, good->protocol);
		CU_ASSERT_EQUAL(key.flags, good->flags);
		CU_ASSERT_EQUAL(ntohs(key.ethertype), good->ethertype);
		CU_ASSERT_EQUAL(ntohs(key.vlan), good->vlan);
		CU_ASSERT_EQUAL(ntohs(key.source_port), good->source_port);
		CU_ASSERT_EQUAL(ntohs(key.destination_port), good->destination_port);
		CU_ASSERT_EQUAL(key.payload_end,
		                good->payload_end != 0 ? good->payload_end : good->frame.bytes);
	}
}

/* Cut anywhere before its payload's end, an IP or ARP frame is dropped, and for being cut. */
static void
test_truncated_at_every_offset(void)
{
	make_goods();
	for (uint32_t i = 0; i < n_goods; i++) {
		const struct good *good = &goods[i];
		uint32_t end = good->payload_end != 0 ? good->payload_end : good->frame.bytes;

		for (uint32_t bytes = 0; bytes < good->frame.bytes; bytes++) {
			struct weir_key key;
			enum weir_drop drop = parse_copy(&good->frame, bytes, &key);

			if (bytes >= end || (good->family == WEIR_FAMILY_L2 && bytes >= 14 &&
			                     good->ethertype != 0x0806 && good->ethertype != 0)) {
				CU_ASSERT_EQUAL(drop, WEIR_DROP_NONE);
			} else {
				CU_ASSERT(drop == WEIR_DROP_RUNT ||
				          drop == WEIR_DROP_VLAN_TRUNCATED ||
				          drop == WEIR_DROP_IP_TRUNCATED ||
				          drop == WEIR_DROP_ARP_MALFORMED ||
				          drop == WEIR_DROP_LLC_LENGTH);
			}
			if (drop == WEIR_DROP_NONE)
				CU_ASSERT(key.payload_end <= bytes);
		}
	}
}

/* The IP length cut as well: then the transport header, or an extension header, is short. */
static void
test_short_datagrams(void)
{
	make_goods();
	for (uint32_t i = 0; i < n_goods; i++) {
		struct good good = goods[i];
		uint32_t at, header;

		if (good.family == WEIR_FAMILY_L2 || good.vlan != WEIR_VLAN_NONE)
			continue;
		at = good.family == WEIR_FAMILY_IP4 ? 16 : 18;
		header = good.family == WEIR_FAMILY_IP4 ? 20 : 0;
		for (uint32_t payload = 0; payload < 8; payload++) {
			struct weir_key key;
			enum weir_drop drop;

			frame_set16(&good.frame, at, header + payload);
			drop = parse_copy(&good.frame, good.frame.bytes, &key);
			if (drop == WEIR_DROP_NONE) {
				CU_ASSERT(good.protocol == 47 || good.protocol == 50 ||
				          (good.flags & WEIR_KEY_FRAGMENT &&
				           good.family == WEIR_FAMILY_IP4));
			} else {
				CU_ASSERT(drop == WEIR_DROP_L4_TRUNCATED ||
				          drop == WEIR_DROP_IP_TRUNCATED ||
				          drop == WEIR_DROP_IP_MALFORMED);
			}
		}
	}
}

struct bad {
	uint32_t good; /* index of the frame that is spoilt */
	uint32_t at;
	uint8_t value;
	enum weir_drop drop;
};

static void
test_contradictions(void)
{
	const struct bad bads[] = {
	    {0, 14, 0x55, WEIR_DROP_IP_MALFORMED},           /* version 5 */
	    {0, 14, 0x44, WEIR_DROP_IP_MALFORMED},           /* a header of 16 bytes */
	    {0, 14, 0x4f, WEIR_DROP_IP_MALFORMED},           /* options beyond the datagram */
	    {0, 17, 19, WEIR_DROP_IP_MALFORMED},             /* total length below the header's */
	    {0, 17, 255, WEIR_DROP_IP_TRUNCATED},            /* and beyond the frame */
	    {0, 16, 0xff, WEIR_DROP_OVERSIZE},               /* and beyond the MTU */
	    {0, 14 + 25, 7, WEIR_DROP_L4_MALFORMED},         /* UDP length below its header's */
	    {0, 14 + 25, 37, WEIR_DROP_L4_MALFORMED},        /* and not that of the datagram */
	    {1, 22 + 60 + 12, 0x40, WEIR_DROP_L4_MALFORMED}, /* TCP header of 16 bytes */
	    {1, 22 + 60 + 12, 0xf0, WEIR_DROP_L4_TRUNCATED}, /* and beyond the datagram */
	    {9, 14, 0x40, WEIR_DROP_IP_MALFORMED},           /* IPv4 under IPv6's ethertype */
	    {10, 14 + 6, 60, WEIR_DROP_NONE},                /* no hop-by-hop: fine as well */
	    {10, 14 + 40, 0, WEIR_DROP_IP6_HEADERS},         /* hop-by-hop twice */
	    {11, 14 + 40 + 56, 60, WEIR_DROP_IP6_HEADERS},   /* a ninth header */
	    {10, 14 + 41, 255, WEIR_DROP_IP_TRUNCATED},      /* an extension beyond the datagram */
	    {15, 14 + 1, 6, WEIR_DROP_ARP_MALFORMED},        /* not Ethernet */
	    {15, 14 + 5, 16, WEIR_DROP_ARP_MALFORMED},       /* not IPv4's address length */
	    {17, 13, 200, WEIR_DROP_LLC_LENGTH},             /* longer than the frame */
	    {17, 12, 0x05, WEIR_DROP_LLC_LENGTH},            /* neither length nor type */
	};

	make_goods();
	for (uint32_t i = 0; i < WEIR_TEST_COUNT(bads); i++) {
		struct frame frame = goods[bads[i].good].frame;
		struct weir_key key;
		enum weir_drop drop;

		frame.data[bads[i].at] = bads[i].value;
		drop = parse_copy(&frame, frame.bytes, &key);
		if (drop != bads[i].drop)
			printf("    case %u: %s, expected %s\n", i, weir_drop_name(drop),
			       weir_drop_name(bads[i].drop));
		CU_ASSERT_EQUAL(drop, bads[i].drop);
	}
}

static void
test_made_to_be_refused(void)
{
	struct frame frame;
	struct weir_key key;

	/* Three tags. */
	frame_ethernet(&frame, 0x0806);
	for (uint32_t i = 0; i < 3; i++)
		frame_vlan(&frame, 0x8100, i);
	frame_arp(&frame);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_VLAN_DEPTH);
	/* Nine extension headers, all there. */
	frame_ethernet(&frame, 0x86dd);
	frame_ip6(&frame, 60, 72);
	for (uint32_t i = 0; i < 9; i++)
		frame_ip6_extension(&frame, i < 8 ? 60 : 59, 0);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_IP6_HEADERS);
	/* Two fragment headers: a later one behind a first one. */
	frame_ethernet(&frame, 0x86dd);
	frame_ip6(&frame, 44, 8 + 8 + 16);
	frame_ip6_fragment(&frame, 44, 0x0001);
	frame_ip6_fragment(&frame, 17, 0x0011);
	frame_fill(&frame, 0, 16);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_IP6_HEADERS);
	/* A jumbogram. */
	frame_ethernet(&frame, 0x86dd);
	frame_ip6(&frame, 0, 0);
	frame_ip6_extension(&frame, 17, 0);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_IP_MALFORMED);
	/* A pause frame, tagged or not. */
	frame_ethernet(&frame, 0x8808);
	frame_put16(&frame, 1);
	frame_fill(&frame, 0, 44);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_MAC_CONTROL);
	frame_ethernet(&frame, 0x8808);
	frame_vlan(&frame, 0x8100, 1);
	frame_fill(&frame, 0, 46);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_MAC_CONTROL);
	/* One byte over the MTU, trailer included; two tags do not count. */
	frame_ethernet(&frame, 0x9000);
	frame_vlan(&frame, 0x88a8, 1);
	frame_vlan(&frame, 0x8100, 1);
	frame_fill(&frame, 0, MTU + 1);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes, &key), WEIR_DROP_OVERSIZE);
	CU_ASSERT_EQUAL(parse_copy(&frame, frame.bytes - 1, &key), WEIR_DROP_NONE);
}

/* Random bytes flipped in good frames: never a crash, and a payload never ends behind the frame. */
static void
test_spoilt_at_random(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint32_t kept = 0;

	make_goods();
	for (uint32_t i = 0; i < 300000; i++) {
		struct frame frame = goods[weir_random_below(&random, n_goods)].frame;
		uint32_t bytes = (uint32_t)weir_random_between(&random, 0, frame.bytes);
		uint32_t flips = (uint32_t)weir_random_below(&random, 6);
		struct weir_key key;

		bytes = weir_random_one_in(&random, 2) ? frame.bytes : bytes;
		for (uint32_t j = 0; j < flips; j++)
			frame.data[weir_random_below(&random, frame.bytes)] =
			    (uint8_t)weir_random_next(&random);
		if (parse_copy(&frame, bytes, &key) != WEIR_DROP_NONE)
			continue;
		kept++;
		CU_ASSERT(key.payload_end >= 14 && key.payload_end <= bytes);
		CU_ASSERT(key.family < WEIR_FAMILIES);
		CU_ASSERT(ntohs(key.vlan) <= WEIR_VLAN_NONE);
		CU_ASSERT((key.flags & WEIR_KEY_PORTS) ||
		          (key.source_port == 0 && key.destination_port == 0));
	}
	CU_ASSERT(kept > 10000);
}

static const struct weir_test tests[] = {
    {"good frames of every kind", test_good_frames},
    {"cut at every offset", test_truncated_at_every_offset},
    {"short datagrams", test_short_datagrams},
    {"contradictions", test_contradictions},
    {"made to be refused", test_made_to_be_refused},
    {"spoilt at random", test_spoilt_at_random},
};

int
main(void)
{
	return weir_test_run("frame", tests, WEIR_TEST_COUNT(tests));
}
