/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the headers of one frame: enough to classify it, and to say where its payload ends so that
 * what lies behind (Ethernet padding, a trailer) can be zeroed. Whatever is truncated or
 * contradicts itself gets a drop reason. Pure functions of bytes and length: no mbuf, no state.
 */
#ifndef WEIR_DATAPLANE_FRAME_H
#define WEIR_DATAPLANE_FRAME_H

#include "dataplane/counters.h"

#include <stddef.h>

#define WEIR_IP6_HEADERS_MAX 8U /* extension headers walked before a frame is refused */

enum weir_family {
	WEIR_FAMILY_L2 = 0, /* neither IPv4 nor IPv6 */
	WEIR_FAMILY_IP4,
	WEIR_FAMILY_IP6,
	WEIR_FAMILIES,
};

#define WEIR_VLAN_NONE 0x1000U /* the frame has no tag */

/* Bits of weir_key.flags */
#define WEIR_KEY_PORTS    0x01U /* source and destination ports are known */
#define WEIR_KEY_FRAGMENT 0x02U /* part of a fragmented datagram */

/*
 * What rules match on, laid out for rte_acl: a first byte, then groups of four. Multi-byte fields
 * in network byte order. All bytes are set, so that keys may be compared.
 */
struct weir_key {
	uint8_t protocol; /* of the transport, behind all extension headers; 0 outside of IP */
	uint8_t family;   /* enum weir_family */
	uint16_t reserved;
	uint8_t flags;      /* WEIR_KEY_* */
	uint8_t link;       /* set by the caller */
	uint16_t vlan;      /* outer tag's id, or WEIR_VLAN_NONE */
	uint16_t ethertype; /* behind the VLAN tags; 0 for 802.3 frames with an LLC length */
	uint16_t reserved2;
	uint16_t source_port; /* ports are 0 without WEIR_KEY_PORTS */
	uint16_t destination_port;
	uint8_t source[16]; /* IPv4: the first four bytes */
	uint8_t destination[16];
	uint32_t payload_end; /* in the CPU's order: bytes of the frame that mean something */
};

/*
 * Parses a frame of bytes bytes (without FCS), contiguous at data.
 * mtu_bytes: largest layer 3 size allowed.
 * Returns WEIR_DROP_NONE and the key, or the reason to drop (key is then unspecified). Worker.
 */
enum weir_drop weir_frame_parse(const uint8_t *data, uint32_t bytes, uint32_t mtu_bytes,
                                struct weir_key *key) __attribute__((warn_unused_result));

#endif
