/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture, whole in memory, and when each of its frames is due. Loaded by the control thread;
 * one worker then takes frames, without a system call or allocation.
 */
#ifndef WEIR_TOOLS_WEIRGEN_CAPTURE_H
#define WEIR_TOOLS_WEIRGEN_CAPTURE_H

#include "tools/weirgen/generate.h"
#include "tools/weirgen/rewrite.h"

/* Why a frame of the file is not sent, and how many there were. */
struct weir_capture_skipped {
	uint64_t oversize; /* longer than the MTU allows */
	uint64_t runts;    /* under 14 bytes: no Ethernet frame */
	uint64_t cut;      /* sent, as far as the file has them */
};

struct weir_capture;

/* How to send it. */
struct weir_capture_plan {
	uint32_t mtu_bytes;
	uint64_t rate_bit_s;           /* 0: by the capture's times, */
	uint64_t speed_num, speed_den; /* so many times as fast */
	uint64_t loops;                /* 0: for ever */
	uint64_t count;                /* frames at most; 0: no limit */
	uint64_t duration_ns;          /* what is due later is not sent; 0: no limit */
	const struct weir_rewrite *rewrite;
};

/*
 * Loads a pcap or pcapng file of Ethernet frames. error gets one line on failure. Returns 0,
 * -EINVAL (not such a file, or nothing in it that can be sent) or another -errno.
 */
int weir_capture_load(const char *path, const struct weir_capture_plan *plan,
                      struct weir_capture **capture, char *error, size_t error_size)
    __attribute__((warn_unused_result));

void weir_capture_free(struct weir_capture *capture);

struct weir_capture_skipped weir_capture_skipped(const struct weir_capture *capture);

/* Bytes of the longest frame that is sent. */
uint32_t weir_capture_frame_max(const struct weir_capture *capture);

/* Whether one turn of a loop takes any time: otherwise nothing but the port paces it. */
bool weir_capture_lasts(const struct weir_capture *capture);

/* As weir_generator_take, but frames are written whole. live is not used. */
uint32_t weir_capture_take(struct weir_capture *capture, uint64_t until, uint8_t *const frames[],
                           struct weir_taken taken[], uint32_t n);

/* As weir_generator_due. */
uint64_t weir_capture_due(const struct weir_capture *capture);

/*
 * The longest frame that a port of an MTU takes: one VLAN tag of type 0x8100 may come on top, and
 * no other, which is what Linux allows.
 */
bool weir_capture_fits(const uint8_t *frame, uint32_t frame_bytes, uint32_t mtu_bytes);

#endif
