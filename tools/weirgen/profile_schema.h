/* SPDX-License-Identifier: BSD-3-Clause */
/* A profile's file as text, by libcyaml. Part of profile.h; nothing else uses it. */
#ifndef WEIR_TOOLS_WEIRGEN_PROFILE_SCHEMA_H
#define WEIR_TOOLS_WEIRGEN_PROFILE_SCHEMA_H

#include "control/config_walk.h"

/* Optional keys that are not there: NULL, and 0 entries. */
struct weir_raw_step {
	char *for_time, *rate, *to;
};

struct weir_raw_size {
	char *bytes, *weight;
};

struct weir_raw_sessions {
	char *count, *frames, *gap, *rate, *pause;
};

struct weir_raw_stream {
	char *name, *rate, *arrival, *repeat, *start, *count, *size;
	char *source_mac, *destination_mac, *vlan, *ethertype, *source, *destination;
	char *source_ports, *destination_ports, *flows, *stamp;
	char **protocols;
	struct weir_raw_step *steps;
	struct weir_raw_size *sizes;
	struct weir_raw_sessions *sessions;
	uint32_t n_protocols, n_steps, n_sizes;
};

struct weir_raw_profile {
	char *name, *seed, *duration, *count;
	struct weir_raw_stream *streams;
	uint32_t n_streams;
};

extern const struct cyaml_schema_value weir_profile_schema;

#endif
