/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds frames for tests, field by field: nothing here shares code with the parser. */
#ifndef WEIR_TESTS_UNIT_FRAMES_H
#define WEIR_TESTS_UNIT_FRAMES_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct frame {
	uint8_t data[2048];
	uint32_t bytes;
};

static inline void
frame_put(struct frame *frame, const void *data, uint32_t bytes)
{
	assert(frame->bytes + bytes <= sizeof(frame->data));
	memcpy(frame->data + frame->bytes, data, bytes);
	frame->bytes += bytes;
}

static inline void
frame_put8(struct frame *frame, uint32_t value)
{
	frame_put(frame, &(uint8_t){(uint8_t)value}, 1);
}

static inline void
frame_put16(struct frame *frame, uint32_t value)
{
	frame_put8(frame, value >> 8);
	frame_put8(frame, value);
}

static inline void
frame_put32(struct frame *frame, uint32_t value)
{
	frame_put16(frame, value >> 16);
	frame_put16(frame, value);
}

static inline void
frame_fill(struct frame *frame, uint32_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		frame_put8(frame, value);
}

static inline void
frame_set16(struct frame *frame, uint32_t at, uint32_t value)
{
	frame->data[at] = (uint8_t)(value >> 8);
	frame->data[at + 1] = (uint8_t)value;
}

static inline void
frame_ethernet(struct frame *frame, uint32_t ethertype)
{
	frame->bytes = 0;
	frame_fill(frame, 0x02, 12);
	frame_put16(frame, ethertype);
}

/* A tag behind what is there: the ethertype before it becomes the tag's. */
static inline void
frame_vlan(struct frame *frame, uint32_t tag_type, uint32_t tci)
{
	uint32_t type =
	    (uint32_t)frame->data[frame->bytes - 2] << 8 | frame->data[frame->bytes - 1];

	frame_set16(frame, frame->bytes - 2, tag_type);
	frame_put16(frame, tci);
	frame_put16(frame, type);
}

static inline void
frame_ip4(struct frame *frame, uint32_t protocol, uint32_t options_words, uint32_t fragment,
          uint32_t payload_bytes)
{
	frame_put8(frame, 0x45 + options_words);
	frame_put8(frame, 0);
	frame_put16(frame, 20 + options_words * 4 + payload_bytes);
	frame_put16(frame, 0x1234);
	frame_put16(frame, fragment);
	frame_put8(frame, 64);
	frame_put8(frame, protocol);
	frame_put16(frame, 0);
	frame_put32(frame, 0x0a000001);
	frame_put32(frame, 0xc0000201);
	frame_fill(frame, 1, options_words * 4);
}

static inline void
frame_ip6(struct frame *frame, uint32_t next, uint32_t payload_bytes)
{
	frame_put32(frame, 0x60000000);
	frame_put16(frame, payload_bytes);
	frame_put8(frame, next);
	frame_put8(frame, 64);
	frame_put32(frame, 0x20010db8);
	frame_fill(frame, 0, 11);
	frame_put8(frame, 1);
	frame_put32(frame, 0x20010db8);
	frame_fill(frame, 0, 11);
	frame_put8(frame, 2);
}

/* An extension header of 8 x (1 + words8) bytes. */
static inline void
frame_ip6_extension(struct frame *frame, uint32_t next, uint32_t words8)
{
	frame_put8(frame, next);
	frame_put8(frame, words8);
	frame_fill(frame, 0, 6 + words8 * 8);
}

static inline void
frame_ip6_fragment(struct frame *frame, uint32_t next, uint32_t offset_and_more)
{
	frame_put8(frame, next);
	frame_put8(frame, 0);
	frame_put16(frame, offset_and_more);
	frame_put32(frame, 77);
}

static inline void
frame_udp(struct frame *frame, uint32_t source, uint32_t destination, uint32_t payload_bytes)
{
	frame_put16(frame, source);
	frame_put16(frame, destination);
	frame_put16(frame, 8 + payload_bytes);
	frame_put16(frame, 0);
	frame_fill(frame, 0xaa, payload_bytes);
}

static inline void
frame_tcp(struct frame *frame, uint32_t source, uint32_t destination, uint32_t options_words,
          uint32_t payload_bytes)
{
	frame_put16(frame, source);
	frame_put16(frame, destination);
	frame_put32(frame, 1);
	frame_put32(frame, 2);
	frame_put8(frame, (5 + options_words) << 4);
	frame_put8(frame, 0x10);
	frame_put16(frame, 1000);
	frame_put32(frame, 0);
	frame_fill(frame, 1, options_words * 4);
	frame_fill(frame, 0xaa, payload_bytes);
}

static inline void
frame_arp(struct frame *frame)
{
	frame_put16(frame, 1);
	frame_put16(frame, 0x0800);
	frame_put8(frame, 6);
	frame_put8(frame, 4);
	frame_put16(frame, 1);
	frame_fill(frame, 0x03, 20);
}

#endif
