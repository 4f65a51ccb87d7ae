/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

static const char *const byte_units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
static const char *const rate_units[] = {"bit/s",  "kbit/s", "Mbit/s", "Gbit/s",
                                         "Tbit/s", "Pbit/s", "Ebit/s"};
static const char *const time_units[] = {"ns", "us", "ms", "s"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct weir_format
format_scaled(uint64_t value, const char *const *units, size_t n_units)
{
	struct weir_format out;
	uint64_t unit = 1, pow = 1, step, digits, fraction;
	size_t i = 0;
	int decimals = 0;

	while (value / unit >= 1000 && i + 1 < n_units) {
		unit *= 1000;
		i++;
	}
	/* Four significant digits, as far as the unit has that many decimals. */
	while (i > 0 && decimals < 3 && value / unit * pow < 1000 && pow * 10 <= unit) {
		pow *= 10;
		decimals++;
	}
	step = unit / pow;
	digits = value / step;
	if (value % step >= step - step / 2)
		digits++;
	if (digits >= 1000 * pow && i + 1 < n_units) { /* rounding up reached the next unit */
		snprintf(out.text, sizeof(out.text), "1 %s", units[i + 1]);
		return out;
	}
	fraction = digits % pow;
	digits /= pow;
	while (decimals > 0 && fraction % 10 == 0) {
		fraction /= 10;
		decimals--;
	}
	if (decimals > 0)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 ".%0*" PRIu64 " %s", digits,
		         decimals, fraction, units[i]);
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " %s", digits, units[i]);
	return out;
}

struct weir_format
weir_format_bytes(uint64_t bytes)
{
	return format_scaled(bytes, byte_units, COUNT(byte_units));
}

struct weir_format
weir_format_rate(uint64_t bit_s)
{
	return format_scaled(bit_s, rate_units, COUNT(rate_units));
}

struct weir_format
weir_format_duration(uint64_t ns)
{
	struct weir_format out;
	uint64_t s = ns / NS_PER_S, large, small;
	const char *large_unit, *small_unit;

	if (ns < 60 * NS_PER_S - NS_PER_MS * 5) /* below what would round to 60 s */
		return format_scaled(ns, time_units, COUNT(time_units));
	if (s < 60)
		s = 60;
	if (s < 3600) {
		large = s / 60;
		small = s % 60;
		large_unit = "min";
		small_unit = "s";
	} else if (s < 86400) {
		large = s / 3600;
		small = s % 3600 / 60;
		large_unit = "h";
		small_unit = "min";
	} else {
		large = s / 86400;
		small = s % 86400 / 3600;
		large_unit = "d";
		small_unit = "h";
	}
	if (ns == UINT64_MAX)
		snprintf(out.text, sizeof(out.text), "over %" PRIu64 " d", large);
	else if (small != 0)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " %s %" PRIu64 " %s", large,
		         large_unit, small, small_unit);
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " %s", large, large_unit);
	return out;
}

struct weir_format
weir_format_percent(uint64_t part, uint64_t whole)
{
	struct weir_format out;
	uint64_t per_mille;

	if (whole == 0)
		per_mille = 1000;
	else if (part <= UINT64_MAX / 1000)
		per_mille = part * 1000 / whole;
	else if (whole < 1000)
		per_mille = UINT64_MAX;
	else
		per_mille = part / (whole / 1000);
	if (part < whole && per_mille > 999)
		per_mille = 999;
	if (per_mille > 9999999)
		snprintf(out.text, sizeof(out.text), "over 999999 %%");
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 ".%" PRIu64 " %%", per_mille / 10,
		         per_mille % 10);
	return out;
}

uint64_t
weir_format_ns_from_s(double seconds)
{
	double ns = seconds * 1e9;

	if (!(ns > 0))
		return 0;
	if (ns >= 18446744073709551616.0) /* 2^64 */
		return UINT64_MAX;
	return (uint64_t)ns;
}

/* Reads digits into *value. Returns how many, or -ERANGE. */
static int
parse_digits(const char *text, uint64_t *value)
{
	int n = 0;

	*value = 0;
	for (; text[n] >= '0' && text[n] <= '9'; n++) {
		if (n >= 20 || __builtin_mul_overflow(*value, UINT64_C(10), value) ||
		    __builtin_add_overflow(*value, (uint64_t)(text[n] - '0'), value))
			return -ERANGE;
	}
	return n;
}

static uint64_t
duration_unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
	    {"ms", NS_PER_MS},      {"s", NS_PER_S},         {"min", 60 * NS_PER_S},
	    {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
	};

	for (size_t i = 0; i < COUNT(units); i++) {
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ns;
	}
	return 0;
}

int
weir_format_parse_duration(const char *text, uint64_t *ns)
{
	uint64_t whole, fraction = 0, pow = 1, unit, part, total;
	int n = parse_digits(text, &whole);

	if (n <= 0)
		return n < 0 ? n : -EINVAL;
	text += n;
	if (*text == '.') {
		n = parse_digits(++text, &fraction);
		if (n <= 0 || n > 9)
			return -EINVAL;
		text += n;
		for (; n > 0; n--)
			pow *= 10;
	}
	if (*text == ' ')
		text++;
	unit = duration_unit_ns(text);
	if (unit == 0)
		return -EINVAL;
	/* Only ms has a unit that 10^9 does not divide, and then the product is below 10^15. */
	part = unit % pow == 0 ? fraction * (unit / pow) : fraction * unit / pow;
	if (__builtin_mul_overflow(whole, unit, &total) ||
	    __builtin_add_overflow(total, part, &total))
		return -ERANGE;
	*ns = total;
	return 0;
}
