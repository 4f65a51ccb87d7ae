/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A profile of traffic: what weirgen send makes, from a YAML file. Each error is one line
 * "FILE:LINE: KEY: VALUE: expected ...". Control thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_PROFILE_H
#define WEIR_TOOLS_WEIRGEN_PROFILE_H

#include "drivers/units.h"

#include <stddef.h>

#define WEIR_PROFILE_STREAMS_MAX   64U
#define WEIR_PROFILE_STEPS_MAX     32U
#define WEIR_PROFILE_SIZES_MAX     16U
#define WEIR_PROFILE_PROTOCOLS_MAX 8U
#define WEIR_PROFILE_SESSIONS_MAX  65536U    /* of all streams together */
#define WEIR_PROFILE_FRAME_MAX     9000U     /* bytes without FCS */
#define WEIR_PROFILE_SEED_MAX      INT64_MAX /* what JSON can tell */
#define WEIR_PROFILE_TIME_MAX_NS   (UINT64_C(365) * 86400 * WEIR_NS_PER_S)

/* Numbers low .. low + span - 1; a span of 0 stands for 2^64. */
struct weir_profile_range {
	uint64_t low, span;
};

/* IPv4 in low; of IPv6 the two halves, each within its range. */
struct weir_profile_address {
	struct weir_profile_range high, low;
};

enum weir_profile_stamp {
	WEIR_PROFILE_STAMP_SCHEDULE = 0, /* with the schedule's time: the same bytes in every run */
	WEIR_PROFILE_STAMP_LIVE,         /* with the TSC */
	WEIR_PROFILE_STAMP_NONE,
};

/* The rate goes in a straight line from one to the other. */
struct weir_profile_step {
	uint64_t ns; /* 0: for ever */
	uint64_t from_bit_s, to_bit_s;
};

struct weir_profile_size {
	uint32_t low, high; /* bytes of frames, without FCS */
	uint32_t weight;
};

/* So many clients, each with the same habits: some frames, then a pause, and again. */
struct weir_profile_sessions {
	uint32_t count;                   /* 0: the stream goes by its rate */
	struct weir_profile_range frames; /* between two pauses */
	struct weir_profile_range gap_ns; /* between frames, where rate_bit_s is 0 */
	uint64_t rate_bit_s;              /* of one client while it sends */
	struct weir_profile_range pause_ns;
};

struct weir_profile_stream {
	char name[WEIR_NAME_SIZE];
	struct weir_profile_step steps[WEIR_PROFILE_STEPS_MAX];
	uint32_t n_steps;
	bool repeat;  /* the steps; otherwise the stream ends with the last */
	bool poisson; /* gaps between frames are random, the rate is a mean */
	struct weir_profile_sessions sessions;
	uint64_t start_ns;
	uint64_t count; /* frames; 0: no limit */
	struct weir_profile_size sizes[WEIR_PROFILE_SIZES_MAX];
	uint32_t n_sizes;
	struct weir_profile_range source_mac, destination_mac;
	struct weir_profile_range vlan; /* span 0: no tag */
	uint32_t ethertype;             /* 0x0800, 0x86dd; others: no IP */
	struct weir_profile_address source, destination;
	struct weir_profile_range source_ports, destination_ports;
	uint8_t protocols[WEIR_PROFILE_PROTOCOLS_MAX];
	uint32_t n_protocols;
	uint32_t flows; /* sets of addresses and ports; 0: each frame's own */
	enum weir_profile_stamp stamp;
};

struct weir_profile {
	char name[WEIR_NAME_SIZE];
	uint64_t seed;
	uint64_t duration_ns; /* 0: no limit */
	uint64_t count;       /* frames; 0: no limit */
	uint32_t n_streams;
	struct weir_profile_stream streams[WEIR_PROFILE_STREAMS_MAX];
};

/*
 * Parses text; name is for errors. Returns 0 and a profile for weir_profile_free; -EINVAL with one
 * line in error; or -ENOMEM, likewise.
 */
int weir_profile_parse(const char *name, const char *text, size_t text_bytes,
                       struct weir_profile **profile, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* The same from a file; also another -errno where it can't be read. */
int weir_profile_load(const char *path, struct weir_profile **profile, char *error,
                      size_t error_size) __attribute__((warn_unused_result));

void weir_profile_free(struct weir_profile *profile);

/* Bytes of a frame's headers: what is in front of its payload. */
uint32_t weir_profile_header_bytes(const struct weir_profile_stream *stream, uint8_t protocol);

/* The longest frame that the profile makes, in bytes. */
uint32_t weir_profile_frame_max(const struct weir_profile *profile);

/* The MTU that a port needs for it, in bytes of layer 3, at least 1,500. */
uint32_t weir_profile_mtu(const struct weir_profile *profile);

#endif
