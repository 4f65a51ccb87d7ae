/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/stamp.h"

#include "drivers/units.h"

#include <netinet/in.h>
#include <stdio.h>

#define ETHERTYPE_IP4  0x0800U
#define ETHERTYPE_IP6  0x86ddU
#define ETHERTYPE_VLAN 0x8100U
#define ETHERTYPE_QINQ 0x88a8U
#define TIME_MASK      ((UINT64_C(1) << WEIR_STAMP_TIME_BITS) - 1)

bool
weir_stamp_read(const uint8_t at[WEIR_STAMP_BYTES], struct weir_stamp *stamp)
{
	uint64_t words[2], head, tail;
	uint16_t check;

	memcpy(words, at, sizeof(words));
	memcpy(&check, at + sizeof(words), sizeof(check));
	head = rte_be_to_cpu_64(words[0]);
	tail = rte_be_to_cpu_64(words[1]);
	if (head >> 48 != WEIR_STAMP_MAGIC || (head >> 44 & 7) != WEIR_STAMP_VERSION ||
	    rte_be_to_cpu_16(check) != weir_stamp_check(words))
		return false;
	stamp->live = (head >> 47 & 1) != 0;
	stamp->flow = (uint16_t)(head >> 32 & (WEIR_STAMP_FLOWS - 1));
	stamp->sequence = (uint32_t)head;
	stamp->time = tail >> 16 & TIME_MASK;
	stamp->clock = (uint16_t)tail;
	return true;
}

static uint32_t
number_at(const uint8_t *frame, uint32_t at)
{
	return (uint32_t)frame[at] << 8 | frame[at + 1];
}

/* Bytes of a transport's header, or UINT32_MAX where the frame ends before its length is known. */
static uint32_t
transport_bytes(const uint8_t *frame, uint32_t frame_bytes, uint32_t at, uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	case IPPROTO_TCP:
		return at + 20 <= frame_bytes ? (frame[at + 12] >> 4) * 4U : UINT32_MAX;
	default:
		return 0;
	}
}

uint32_t
weir_stamp_payload(const uint8_t *frame, uint32_t frame_bytes)
{
	uint32_t at = WEIR_FRAME_HEADER_BYTES, ethertype, header, transport;
	uint8_t protocol;

	if (frame_bytes < WEIR_FRAME_HEADER_BYTES)
		return 0;
	ethertype = number_at(frame, 12);
	for (uint32_t tags = 0; tags < WEIR_VLAN_TAGS_MAX; tags++) {
		if (ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ)
			break;
		if (frame_bytes < at + WEIR_VLAN_TAG_BYTES)
			return 0;
		ethertype = number_at(frame, at + 2);
		at += WEIR_VLAN_TAG_BYTES;
	}
	if (ethertype == ETHERTYPE_IP4) {
		if (frame_bytes < at + 20 || (number_at(frame, at + 6) & 0x3fff) != 0)
			return 0;
		header = (frame[at] & 15) * 4U;
		protocol = frame[at + 9];
	} else if (ethertype == ETHERTYPE_IP6) {
		if (frame_bytes < at + 40)
			return 0;
		header = 40;
		protocol = frame[at + 6];
	} else {
		return at;
	}
	at += header;
	transport = at < frame_bytes ? transport_bytes(frame, frame_bytes, at, protocol) : 0;
	if (transport == UINT32_MAX || at + transport > frame_bytes)
		return 0;
	return at + transport;
}

uint16_t
weir_stamp_clock(void)
{
	char text[64] = "";
	uint16_t clock;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (file != NULL) {
		if (fgets(text, sizeof(text), file) == NULL)
			text[0] = '\0';
		(void)fclose(file);
	}
	clock = (uint16_t)rte_hash_crc(text, (uint32_t)strlen(text), 0);
	return clock == 0 ? 1 : clock;
}
