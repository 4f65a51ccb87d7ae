/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/quantity.h"

#include "drivers/units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * A number is a mantissa of so many significant digits at most, and a unit at most 2^60: their
 * product fits in 128 bits.
 */
#define MANTISSA_DIGITS_MAX 20U
#define FACTOR_DIGITS_MAX   15U

struct unit {
	const char *name;
	uint64_t factor;
};

enum reason {
	NOT_A_NUMBER,
	NO_UNIT,
	AMBIGUOUS_UNIT,
	UNKNOWN_UNIT,
	NOT_WHOLE,
	TOO_LARGE,
	REASONS,
};

struct kind {
	const struct unit *units;     /* ends with a NULL name */
	const char *const *ambiguous; /* units that are likely meant, but read in two ways */
	const char *expected[REASONS];
};

static const struct unit byte_units[] = {
    {"B", 1},
    {"kB", UINT64_C(1000)},
    {"KB", UINT64_C(1000)},
    {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
    {"PB", UINT64_C(1000000000000000)},
    {"EB", UINT64_C(1000000000000000000)},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"PiB", UINT64_C(1) << 50},
    {"EiB", UINT64_C(1) << 60},
    {NULL, 0},
};

static const char *const byte_ambiguous[] = {
    "b",  "k",  "K",  "m",  "M",  "g",  "G",  "t",  "T",  "kb", "Kb", "mb", "Mb", "gb",
    "Gb", "tb", "Tb", "pb", "Pb", "mB", "gB", "tB", "Ki", "Mi", "Gi", "Ti", NULL,
};

static const struct unit rate_units[] = {
    {"bit/s", 1},
    {"kbit/s", UINT64_C(1000)},
    {"Mbit/s", UINT64_C(1000000)},
    {"Gbit/s", UINT64_C(1000000000)},
    {"Tbit/s", UINT64_C(1000000000000)},
    {NULL, 0},
};

static const char *const rate_ambiguous[] = {
    "b",    "k",    "K",    "M",    "G",    "T",     "kb",    "Kb",    "mb",     "Mb",   "gb",
    "Gb",   "Tb",   "kB",   "KB",   "MB",   "GB",    "TB",    "b/s",   "kb/s",   "Kb/s", "mb/s",
    "Mb/s", "gb/s", "Gb/s", "Tb/s", "bps",  "kbps",  "Kbps",  "mbps",  "Mbps",   "gbps", "Gbps",
    "Tbps", "B/s",  "kB/s", "KB/s", "MB/s", "GB/s",  "TB/s",  "kBps",  "MBps",   "GBps", "bit",
    "kbit", "Mbit", "Gbit", "Tbit", "mbit", "Kibit", "Mibit", "Gibit", "mbit/s", NULL,
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", WEIR_NS_PER_US},
    {"ms", WEIR_NS_PER_MS},
    {"s", WEIR_NS_PER_S},
    {"min", 60 * WEIR_NS_PER_S},
    {"h", 3600 * WEIR_NS_PER_S},
    {"d", 86400 * WEIR_NS_PER_S},
    {NULL, 0},
};

static const char *const duration_ambiguous[] = {
    "m", "M", "mo", "mon", "month", "months", "y", "yr", "year", "years", "D", "H", "S", NULL,
};

#define BYTES_WANTED    "a size such as 2.36 GB or 512 KiB"
#define RATE_WANTED     "a rate in bits a second such as 200 Mbit/s"
#define DURATION_WANTED "a duration such as 100 ms, 30 min or 1 d"

static const struct kind bytes_kind = {
    byte_units,
    byte_ambiguous,
    {
        [NOT_A_NUMBER] = BYTES_WANTED,
        [NO_UNIT] = BYTES_WANTED ", with a unit",
        [AMBIGUOUS_UNIT] = BYTES_WANTED "; this unit is ambiguous: B, kB, MB, GB, TB, PB, EB or "
                                        "KiB, MiB, GiB, TiB, PiB, EiB",
        [UNKNOWN_UNIT] = BYTES_WANTED "; the units are B, kB, MB, GB, TB, PB, EB and "
                                      "KiB, MiB, GiB, TiB, PiB, EiB",
        [NOT_WHOLE] = "a whole number of bytes",
        [TOO_LARGE] = "less than 16 EiB",
    },
};

static const struct kind rate_kind = {
    rate_units,
    rate_ambiguous,
    {
        [NOT_A_NUMBER] = RATE_WANTED,
        [NO_UNIT] = RATE_WANTED ", with a unit",
        [AMBIGUOUS_UNIT] = RATE_WANTED "; this unit is ambiguous or not in bits: "
                                       "bit/s, kbit/s, Mbit/s, Gbit/s or Tbit/s",
        [UNKNOWN_UNIT] = RATE_WANTED "; the units are bit/s, kbit/s, Mbit/s, Gbit/s and Tbit/s",
        [NOT_WHOLE] = "a whole number of bits a second",
        [TOO_LARGE] = "less than 2^64 bit/s",
    },
};

static const struct kind duration_kind = {
    duration_units,
    duration_ambiguous,
    {
        [NOT_A_NUMBER] = DURATION_WANTED,
        [NO_UNIT] = DURATION_WANTED ", with a unit",
        [AMBIGUOUS_UNIT] = DURATION_WANTED "; this unit is ambiguous: ns, us, ms, s, min, h or d",
        [UNKNOWN_UNIT] = DURATION_WANTED "; the units are ns, us, ms, s, min, h and d",
        [NOT_WHOLE] = "a whole number of nanoseconds",
        [TOO_LARGE] = "less than 2^64 ns",
    },
};

struct number {
	weir_u128 mantissa;
	uint32_t fraction_digits; /* value = mantissa / 10^fraction_digits */
	uint32_t digits;          /* of the mantissa, without leading zeros */
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static weir_u128
power_of_ten(uint32_t exponent)
{
	weir_u128 power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* Adds one digit. Returns false where there are too many. */
static bool
add_digit(struct number *number, char c)
{
	if (number->mantissa == 0 && c == '0')
		return true;
	if (++number->digits > MANTISSA_DIGITS_MAX)
		return false;
	number->mantissa = number->mantissa * 10 + (unsigned int)(c - '0');
	return true;
}

/*
 * Reads digits, perhaps a point and more digits. Returns 0 and where the number ended; -EINVAL;
 * or -ERANGE when it has more digits than any quantity needs.
 */
static int
parse_number(const char *text, struct number *number, const char **end)
{
	const char *p = text, *last;

	*number = (struct number){0};
	if (!is_digit(*p) || (p[0] == '0' && is_digit(p[1])))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (!add_digit(number, *p))
			return -ERANGE;
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return -EINVAL;
		for (last = p; is_digit(*last); last++)
			;
		*end = last;
		while (last > p && last[-1] == '0')
			last--;
		for (; p < last; p++) {
			if (++number->fraction_digits > MANTISSA_DIGITS_MAX ||
			    !add_digit(number, *p))
				return -ERANGE;
		}
		return 0;
	}
	*end = p;
	return 0;
}

static bool
is_listed(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static int
refuse(const struct kind *kind, enum reason reason, const char **expected)
{
	*expected = kind->expected[reason];
	return reason == TOO_LARGE ? -ERANGE : -EINVAL;
}

static int
parse(const struct kind *kind, const char *text, uint64_t *value, const char **expected)
{
	const struct unit *unit;
	struct number number;
	const char *name = NULL;
	weir_u128 product, divisor;
	int rc = parse_number(text, &number, &name);

	if (rc == -EINVAL)
		return refuse(kind, NOT_A_NUMBER, expected);
	if (rc == -ERANGE)
		return refuse(kind, number.fraction_digits > 0 ? NOT_WHOLE : TOO_LARGE, expected);
	if (*name == '\0')
		return refuse(kind, NO_UNIT, expected);
	if (*name == ' ')
		name++;
	if (*name == '.' || is_digit(*name))
		return refuse(kind, NOT_A_NUMBER, expected);
	if (is_listed(kind->ambiguous, name))
		return refuse(kind, AMBIGUOUS_UNIT, expected);
	for (unit = kind->units; unit->name != NULL; unit++)
		if (strcmp(unit->name, name) == 0)
			break;
	if (unit->name == NULL)
		return refuse(kind, UNKNOWN_UNIT, expected);
	product = number.mantissa * unit->factor;
	divisor = power_of_ten(number.fraction_digits);
	if (product / divisor > UINT64_MAX)
		return refuse(kind, TOO_LARGE, expected);
	if (product % divisor != 0)
		return refuse(kind, NOT_WHOLE, expected);
	*value = (uint64_t)(product / divisor);
	return 0;
}

int
weir_quantity_parse_bytes(const char *text, uint64_t *bytes, const char **expected)
{
	return parse(&bytes_kind, text, bytes, expected);
}

int
weir_quantity_parse_rate(const char *text, uint64_t *bit_s, const char **expected)
{
	return parse(&rate_kind, text, bit_s, expected);
}

int
weir_quantity_parse_duration(const char *text, uint64_t *ns, const char **expected)
{
	return parse(&duration_kind, text, ns, expected);
}

int
weir_quantity_parse_integer(const char *text, uint64_t *value, const char **expected)
{
	struct number number;
	const char *end = NULL;
	int rc = parse_number(text, &number, &end);

	if (rc == 0 && (*end != '\0' || strchr(text, '.') != NULL))
		rc = -EINVAL;
	if (rc == 0 && number.mantissa > UINT64_MAX)
		rc = -ERANGE;
	if (rc != 0) {
		*expected = rc == -ERANGE ? "less than 2^64" : "a whole number in decimal digits";
		return rc;
	}
	*value = (uint64_t)number.mantissa;
	return 0;
}

int
weir_quantity_parse_factor(const char *text, double *value, const char **expected)
{
	struct number number;
	const char *end = NULL;
	int rc = parse_number(text, &number, &end);

	if (rc == 0 && *end != '\0')
		rc = -EINVAL;
	if (rc == 0 &&
	    (number.digits > FACTOR_DIGITS_MAX || number.fraction_digits > FACTOR_DIGITS_MAX))
		rc = -ERANGE;
	if (rc != 0) {
		*expected = rc == -ERANGE ? "a number of at most 15 digits"
		                          : "a number such as 16 or 2.5, without a unit";
		return rc;
	}
	/* Both are exact in a double, so that the quotient is the nearest one there is. */
	*value = (double)(uint64_t)number.mantissa /
	         (double)(uint64_t)power_of_ten(number.fraction_digits);
	return 0;
}

/* Digits behind the point that value / factor needs, factor being a power of ten. */
static uint32_t
fraction_digits(uint64_t value, uint64_t factor)
{
	uint32_t digits = 0;

	for (value %= factor; value != 0; value %= factor) {
		factor /= 10;
		digits++;
	}
	return digits;
}

static const char *
print_decimal(uint64_t value, uint64_t factor, const char *unit, char *text)
{
	uint32_t digits = fraction_digits(value, factor);
	uint64_t fraction = value % factor;
	int length;

	for (uint64_t scale = (uint64_t)power_of_ten(digits); scale < factor; scale *= 10)
		fraction /= 10;
	if (digits == 0)
		length = snprintf(text, WEIR_QUANTITY_SIZE, "%" PRIu64 " %s", value / factor, unit);
	else
		length = snprintf(text, WEIR_QUANTITY_SIZE, "%" PRIu64 ".%0*" PRIu64 " %s",
		                  value / factor, (int)digits, fraction, unit);
	assert(length > 0 && length < (int)WEIR_QUANTITY_SIZE);
	return text;
}

/*
 * The largest decimal unit that is not above value and leaves at most `most` digits behind the
 * point. units[0] is the smallest and needs none.
 */
static const struct unit *
decimal_unit(const struct unit *units, size_t n, uint64_t value, uint32_t most)
{
	for (size_t i = n; i-- > 1;)
		if (units[i].factor <= value && fraction_digits(value, units[i].factor) <= most)
			return &units[i];
	return &units[0];
}

const char *
weir_quantity_print_bytes(uint64_t bytes, char text[WEIR_QUANTITY_SIZE])
{
	static const struct unit decimal[] = {
	    {"B", 1},
	    {"kB", UINT64_C(1000)},
	    {"MB", UINT64_C(1000000)},
	    {"GB", UINT64_C(1000000000)},
	    {"TB", UINT64_C(1000000000000)},
	    {"PB", UINT64_C(1000000000000000)},
	    {"EB", UINT64_C(1000000000000000000)},
	};
	const size_t n = sizeof(decimal) / sizeof(decimal[0]);
	const struct unit *unit = decimal_unit(decimal, n, bytes, 3);
	const struct unit *binary = NULL;

	/* 512 MiB reads better than 536870.912 kB. */
	for (const struct unit *u = byte_units; u->name != NULL; u++)
		if (strchr(u->name, 'i') != NULL && bytes >= u->factor && bytes % u->factor == 0)
			binary = u;
	if (binary != NULL && bytes / unit->factor >= 1000)
		return print_decimal(bytes / binary->factor, 1, binary->name, text);
	return print_decimal(bytes, unit->factor, unit->name, text);
}

const char *
weir_quantity_print_rate(uint64_t bit_s, char text[WEIR_QUANTITY_SIZE])
{
	const size_t n = sizeof(rate_units) / sizeof(rate_units[0]) - 1;
	const struct unit *unit = decimal_unit(rate_units, n, bit_s, 3);

	return print_decimal(bit_s, unit->factor, unit->name, text);
}

const char *
weir_quantity_print_duration(uint64_t ns, char text[WEIR_QUANTITY_SIZE])
{
	const struct unit *unit = &duration_units[0];

	for (const struct unit *u = duration_units; u->name != NULL; u++)
		if (ns >= u->factor && ns % u->factor == 0)
			unit = u;
	if (ns == 0)
		unit = &duration_units[3];
	return print_decimal(ns / unit->factor, 1, unit->name, text);
}

const char *
weir_quantity_print_factor(double value, char text[WEIR_QUANTITY_SIZE])
{
	int length = snprintf(text, WEIR_QUANTITY_SIZE, "%.15g", value);

	assert(length > 0 && length < (int)WEIR_QUANTITY_SIZE);
	return text;
}
