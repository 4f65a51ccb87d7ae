/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quantities with units, as policies and output spell them: "2.36 GB", "200 Mbit/s", "100 ms".
 *
 * Exact both ways: a value that is no whole number of bytes, bits a second or nanoseconds is
 * refused, never rounded, and what is printed parses again to the same number. Prefixes are decimal
 * (kB and KB are 1,000 bytes); KiB, MiB and so on are binary. A number without a unit, and units
 * that people read in two ways (Mb, K, m, month), are refused. Pure functions, any thread.
 *
 * A parser returns 0, or -EINVAL (no such quantity) or -ERANGE (does not fit in 64 bits) with
 * *expected set to a static text that fits behind the word "expected".
 */
#ifndef WEIR_CONTROL_QUANTITY_H
#define WEIR_CONTROL_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_QUANTITY_SIZE 48U /* longest printed quantity and its terminating zero */

/* Units: B; kB KB MB GB TB PB EB; KiB MiB GiB TiB PiB EiB. */
int weir_quantity_parse_bytes(const char *text, uint64_t *bytes, const char **expected)
    __attribute__((warn_unused_result));

/* Units: bit/s kbit/s Mbit/s Gbit/s Tbit/s. */
int weir_quantity_parse_rate(const char *text, uint64_t *bit_s, const char **expected)
    __attribute__((warn_unused_result));

/* Units: ns us ms s min h d. */
int weir_quantity_parse_duration(const char *text, uint64_t *ns, const char **expected)
    __attribute__((warn_unused_result));

/* Decimal digits alone, without a sign or leading zeros. */
int weir_quantity_parse_integer(const char *text, uint64_t *value, const char **expected)
    __attribute__((warn_unused_result));

/* A decimal number without a unit, of at most 15 digits: so few survive a double unharmed. */
int weir_quantity_parse_factor(const char *text, double *value, const char **expected)
    __attribute__((warn_unused_result));

/* Each writes the shortest exact spelling into text and returns text. */
const char *weir_quantity_print_bytes(uint64_t bytes, char text[WEIR_QUANTITY_SIZE]);
const char *weir_quantity_print_rate(uint64_t bit_s, char text[WEIR_QUANTITY_SIZE]);
const char *weir_quantity_print_duration(uint64_t ns, char text[WEIR_QUANTITY_SIZE]);
/* value: one that weir_quantity_parse_factor gave. */
const char *weir_quantity_print_factor(double value, char text[WEIR_QUANTITY_SIZE]);

#endif
