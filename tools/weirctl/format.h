/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers for people: decimal units, always written out. Four significant digits; what is exact in
 * fewer is printed shorter ("50 Mbit/s", "2.36 GB"). No locale, no floating point on the way.
 */
#ifndef WEIR_TOOLS_WEIRCTL_FORMAT_H
#define WEIR_TOOLS_WEIRCTL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_FORMAT_SIZE 32U /* enough for any of these, with the terminating zero */

struct weir_format {
	char text[WEIR_FORMAT_SIZE];
};

/* "84 B", "1.514 kB", "106 GB"; rounded half up. */
struct weir_format weir_format_bytes(uint64_t bytes);

/* "300 bit/s", "49.99 Mbit/s"; rounded half up. */
struct weir_format weir_format_rate(uint64_t bit_s);

/*
 * "250 us", "12.5 ms", "5.204 s" (rounded half up); from a minute on the two largest units, rounded
 * down: "2 min 5 s", "1 h 2 min", "90 d". UINT64_MAX stands for "longer than that".
 */
struct weir_format weir_format_duration(uint64_t ns);

/* "12.3 %": part of whole, rounded down, so that 100 % means reached. A whole of 0 is reached. */
struct weir_format weir_format_percent(uint64_t part, uint64_t whole);

/* Seconds to nanoseconds; negative and NaN give 0, too large gives UINT64_MAX. */
uint64_t weir_format_ns_from_s(double seconds);

/*
 * Reads a duration: digits, perhaps a fraction of at most nine digits, perhaps one space, and a
 * unit (ms, s, min, h, d). Nothing before, nothing after.
 * Returns 0; -EINVAL (not a duration); -ERANGE (more than 64 bits of nanoseconds).
 */
int weir_format_parse_duration(const char *text, uint64_t *ns) __attribute__((warn_unused_result));

#endif
