/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain types and limits that every part of Weir shares.
 *
 * A byte is a wire byte unless a name says otherwise: the space that a frame takes on the wire,
 * that is preamble and start delimiter (8), the frame padded to 60, its FCS (4) and the shortest
 * gap (12). Rates, bursts, caps and counters all use it, and no option changes it.
 */
#ifndef WEIR_DRIVERS_UNITS_H
#define WEIR_DRIVERS_UNITS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define WEIR_CACHE_LINE          64

#define WEIR_WIRE_OVERHEAD_BYTES 24U /* FCS 4, preamble and SFD 8, gap 12 */
#define WEIR_FRAME_MIN_BYTES     60U /* shortest Ethernet frame, without FCS */
#define WEIR_FRAME_HEADER_BYTES  14U /* two addresses and the ethertype */
#define WEIR_VLAN_TAG_BYTES      4U
#define WEIR_VLAN_TAGS_MAX       2U
#define WEIR_MTU_MIN             576U /* in bytes of layer 3 */
#define WEIR_MTU_MAX             9216U

/* Sizes of the fixed tables. Nothing that an attacker sends makes any of them grow. */
#define WEIR_WORKERS_MAX 16U
#define WEIR_PORTS_MAX   32U
#define WEIR_LINKS_MAX   16U
#define WEIR_CLASSES_MAX 8192U /* class slots, in use or draining */
#define WEIR_BUDGETS_MAX 4096U /* budgets ever named in one ledger */
#define WEIR_CAPS_MAX    8U    /* caps of one budget */
#define WEIR_RULES_MAX   4096U
#define WEIR_PATH_MAX    8U  /* budgets from a class up to the root, both included */
#define WEIR_QUEUES_MAX  16U /* rx queues of one port */
#define WEIR_NAME_SIZE   48U /* longest name and its terminating zero */

#define WEIR_NS_PER_S    1000000000ULL
#define WEIR_NS_PER_MS   1000000ULL
#define WEIR_NS_PER_US   1000ULL

__extension__ typedef unsigned __int128 weir_u128;

/*
 * Wire bytes that a frame is charged.
 *
 * frame_bytes: length without FCS, as in an mbuf, padded or not.
 * Returns at least 84.
 */
static inline uint32_t
weir_wire_bytes(uint32_t frame_bytes)
{
	uint32_t padded = frame_bytes < WEIR_FRAME_MIN_BYTES ? WEIR_FRAME_MIN_BYTES : frame_bytes;

	return padded + WEIR_WIRE_OVERHEAD_BYTES;
}

/* Longest frame without FCS that a port of this MTU takes: two VLAN tags allowed for. */
static inline uint32_t
weir_frame_max_bytes(uint32_t mtu_bytes)
{
	return mtu_bytes + WEIR_FRAME_HEADER_BYTES + WEIR_VLAN_TAGS_MAX * WEIR_VLAN_TAG_BYTES;
}

/* a + b, or the largest value where that overflows: a record never wraps. */
static inline uint64_t
weir_sat_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* a - b, or 0 where that would be negative. */
static inline uint64_t
weir_sat_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

#endif
