/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New addresses in captured frames: MAC addresses of all, IP addresses of those that a rule names,
 * in IP headers, IPv6 routing headers and home address options, with the checksums that depend on
 * them. A checksum that was wrong stays wrong. Pure functions.
 */
#ifndef WEIR_TOOLS_WEIRGEN_REWRITE_H
#define WEIR_TOOLS_WEIRGEN_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_REWRITE_MAPS_MAX 8U

/* A prefix and what takes its place, both of one family and length. */
struct weir_rewrite_map {
	bool ip6;
	uint8_t length; /* bits */
	uint8_t from[16], to[16];
};

struct weir_rewrite {
	bool has_source, has_destination;
	uint8_t source_mac[6], destination_mac[6];
	uint32_t n_maps;
	struct weir_rewrite_map maps[WEIR_REWRITE_MAPS_MAX]; /* the first that matches counts */
};

/* "10.0.0.0/8=198.18.0.0/8". Returns 0; -EINVAL; or -E2BIG where there are as many already. */
int weir_rewrite_add(struct weir_rewrite *rewrite, const char *text)
    __attribute__((warn_unused_result));

/* "02:00:00:00:00:01". Returns 0 or -EINVAL. */
int weir_rewrite_parse_mac(const char *text, uint8_t mac[6]) __attribute__((warn_unused_result));

/* Rewrites a frame of so many bytes where it lies. */
void weir_rewrite_frame(const struct weir_rewrite *rewrite, uint8_t *frame, uint32_t frame_bytes);

#endif
