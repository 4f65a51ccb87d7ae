/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stamp that a generated frame bears at the start of its payload, by which a receiver judges
 * loss, duplicates, order and latency. 18 bytes, big-endian, so that it fits in the shortest frame
 * of UDP over IPv4:
 *
 *   0  2  magic, 0x5747
 *   2  2  bit 15: live; bits 14 to 12: version, 1; bits 11 to 0: flow
 *   4  4  number of the frame within its flow, from 0, modulo 2^32
 *   8  6  time modulo 2^48. live: the TSC when the frame was made; otherwise nanoseconds from the
 *         start of the run by the schedule, the same in every run
 *  14  2  live: which boot of which machine the TSC is of; otherwise 0
 *  16  2  lower half of the CRC-32C of the 16 bytes before
 *
 * Pure functions, any thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_STAMP_H
#define WEIR_TOOLS_WEIRGEN_STAMP_H

#include <rte_byteorder.h>
#include <rte_hash_crc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WEIR_STAMP_BYTES     18U
#define WEIR_STAMP_FLOWS     4096U
#define WEIR_STAMP_TIME_BITS 48

struct weir_stamp {
	bool live;
	uint16_t flow;     /* below WEIR_STAMP_FLOWS */
	uint32_t sequence; /* modulo 2^32 */
	uint64_t time;     /* modulo 2^48 */
	uint16_t clock;
};

#define WEIR_STAMP_MAGIC   0x5747U
#define WEIR_STAMP_VERSION 1U

/* The first 16 bytes as two words in the order of memory, and what the last two hold. */
static inline uint16_t
weir_stamp_check(const uint64_t words[2])
{
	uint32_t crc = rte_hash_crc_8byte(words[0], UINT32_MAX);

	return (uint16_t)~rte_hash_crc_8byte(words[1], crc);
}

/* Writes a stamp. Returns the sum of its 16-bit words as they lie in memory, not folded. */
static inline uint64_t
weir_stamp_write(uint8_t at[WEIR_STAMP_BYTES], const struct weir_stamp *stamp)
{
	uint64_t head = WEIR_STAMP_MAGIC << 16 | (uint32_t)stamp->live << 15 |
	                WEIR_STAMP_VERSION << 12 | stamp->flow;
	uint64_t words[2] = {rte_cpu_to_be_64(head << 32 | stamp->sequence),
	                     rte_cpu_to_be_64(stamp->time << 16 | stamp->clock)};
	uint16_t check = rte_cpu_to_be_16(weir_stamp_check(words));

	memcpy(at, words, sizeof(words));
	memcpy(at + sizeof(words), &check, sizeof(check));
	return (words[0] & UINT32_MAX) + (words[0] >> 32) + (words[1] & UINT32_MAX) +
	       (words[1] >> 32) + check;
}

/* Reads one. False where there is none, or one that was damaged. */
bool weir_stamp_read(const uint8_t at[WEIR_STAMP_BYTES], struct weir_stamp *stamp)
    __attribute__((warn_unused_result));

/*
 * Where the payload of a whole frame starts: behind up to two VLAN tags, IPv4 or IPv6 without
 * extension headers, and UDP, TCP, ICMP or ICMPv6; right behind IP with another protocol; right
 * behind the ethertype with another one. 0 where the frame ends earlier, or where it is a fragment.
 */
uint32_t weir_stamp_payload(const uint8_t *frame, uint32_t frame_bytes)
    __attribute__((warn_unused_result));

/* The id of this boot of this machine, for stamp.clock: never 0. */
uint16_t weir_stamp_clock(void);

#endif
