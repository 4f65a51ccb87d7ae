/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame. The first two choose the MTU, the rest is the frame. No input may crash
 * the parser, and what it says about an accepted frame must be consistent with the bytes.
 */
#include "dataplane/frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_key(const struct weir_key *key, uint32_t bytes, uint32_t mtu_bytes)
{
	assert(key->payload_end >= WEIR_FRAME_HEADER_BYTES);
	assert(key->payload_end <= bytes);
	assert(bytes <= weir_frame_max_bytes(mtu_bytes));
	assert(key->family < WEIR_FAMILIES);
	assert(ntohs(key->vlan) <= WEIR_VLAN_NONE);
	assert(key->ethertype == 0 || ntohs(key->ethertype) >= 0x0600);
	assert((key->flags & ~(WEIR_KEY_PORTS | WEIR_KEY_FRAGMENT)) == 0);
	if (key->family == WEIR_FAMILY_L2)
		assert(key->protocol == 0 && (key->flags & WEIR_KEY_PORTS) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_key key, again;
	enum weir_drop verdict;
	uint32_t mtu_bytes, bytes;

	if (size < 2 || size - 2 > 2 * WEIR_MTU_MAX)
		return 0;
	mtu_bytes =
	    WEIR_MTU_MIN + ((uint32_t)data[0] << 8 | data[1]) % (WEIR_MTU_MAX - WEIR_MTU_MIN + 1);
	data += 2;
	bytes = (uint32_t)(size - 2);
	memset(&key, 0xa5, sizeof(key));
	verdict = weir_frame_parse(data, bytes, mtu_bytes, &key);
	assert(verdict < WEIR_DROPS);
	if (verdict != WEIR_DROP_NONE)
		return 0;
	check_key(&key, bytes, mtu_bytes);
	/* Bytes behind the payload's end are padding: cut off, the verdict stays the same. */
	memset(&again, 0x5a, sizeof(again));
	assert(weir_frame_parse(data, key.payload_end, mtu_bytes, &again) == WEIR_DROP_NONE);
	assert(again.payload_end == key.payload_end && again.protocol == key.protocol &&
	       again.family == key.family && again.vlan == key.vlan &&
	       again.ethertype == key.ethertype && again.flags == key.flags);
	return 0;
}
