/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/profile_value.h"

#include "control/quantity.h"
#include "tools/weirgen/rewrite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PART_SIZE 64U /* an end of a range; longer ones are no address and no number */

/*
 * Splits "low-high" with or without spaces around the "-"; both parts are the text where there is
 * none. False where a part does not fit.
 */
static bool
split(const char *text, char low[PART_SIZE], char high[PART_SIZE])
{
	const char *dash = strchr(text, '-'), *second = dash == NULL ? text : dash + 1;
	size_t first = dash == NULL ? strlen(text) : (size_t)(dash - text);

	if (dash != NULL && first > 0 && text[first - 1] == ' ' && *second == ' ') {
		first--;
		second++;
	}
	if (first >= PART_SIZE || strlen(second) >= PART_SIZE)
		return false;
	memcpy(low, text, first);
	low[first] = '\0';
	memcpy(high, second, strlen(second) + 1);
	return true;
}

int
weir_profile_get_number(struct weir_config_report *report, struct weir_config_at at,
                        const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	const char *expected = NULL;
	int rc = weir_quantity_parse_integer(text, value, &expected);

	if (rc == -EINVAL)
		return weir_config_refuse(report, &at, text, "%s", expected);
	if (rc != 0 || *value < least || *value > most)
		return weir_config_refuse(report, &at, text, "%" PRIu64 " to %" PRIu64, least,
		                          most);
	return 0;
}

int
weir_profile_get_range(struct weir_config_report *report, struct weir_config_at at,
                       const char *text, uint64_t least, uint64_t most,
                       struct weir_profile_range *range)
{
	char low[PART_SIZE], high[PART_SIZE];
	const char *expected = NULL;
	uint64_t from = 0, to = 0;

	if (!split(text, low, high) || weir_quantity_parse_integer(low, &from, &expected) != 0 ||
	    weir_quantity_parse_integer(high, &to, &expected) != 0 || from < least || to > most ||
	    from > to)
		return weir_config_refuse(
		    report, &at, text, "a number or a range, %" PRIu64 "-%" PRIu64 " at the widest",
		    least, most);
	*range = (struct weir_profile_range){from, to - from + 1};
	return 0;
}

int
weir_profile_get_times(struct weir_config_report *report, struct weir_config_at at,
                       const char *text, uint64_t most_ns, struct weir_profile_range *range)
{
	char low[PART_SIZE], high[PART_SIZE], most[WEIR_QUANTITY_SIZE];
	const char *expected = NULL;
	uint64_t from = 0, to = 0;

	if (!split(text, low, high) || weir_quantity_parse_duration(low, &from, &expected) != 0 ||
	    weir_quantity_parse_duration(high, &to, &expected) != 0 || to > most_ns || from > to)
		return weir_config_refuse(report, &at, text,
		                          "a duration or a range such as 20 ms - 40 ms, at most %s",
		                          weir_quantity_print_duration(most_ns, most));
	*range = (struct weir_profile_range){from, to - from + 1};
	return 0;
}

static bool
parse_mac(const char *text, uint64_t *mac)
{
	uint8_t bytes[6];

	if (weir_rewrite_parse_mac(text, bytes) != 0)
		return false;
	*mac = 0;
	for (int i = 0; i < 6; i++)
		*mac = *mac << 8 | bytes[i];
	return true;
}

int
weir_profile_get_mac(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     struct weir_profile_range *range)
{
	char low[PART_SIZE], high[PART_SIZE];
	uint64_t from, to;

	if (!split(text, low, high) || !parse_mac(low, &from) || !parse_mac(high, &to) || from > to)
		return weir_config_refuse(report, &at, text,
		                          "a MAC address or a range such as "
		                          "02:00:00:00:00:01-02:00:00:00:00:ff");
	*range = (struct weir_profile_range){from, to - from + 1};
	return 0;
}

/* An address as two halves; IPv4 in the second. */
static bool
parse_address(const char *text, uint64_t half[2], bool *ip6)
{
	uint8_t bytes[16] = {0};

	*ip6 = strchr(text, ':') != NULL;
	if (inet_pton(*ip6 ? AF_INET6 : AF_INET, text, *ip6 ? bytes : bytes + 12) != 1)
		return false;
	for (int h = 0; h < 2; h++) {
		half[h] = 0;
		for (int i = 0; i < 8; i++)
			half[h] = half[h] << 8 | bytes[8 * h + i];
	}
	return true;
}

static int
get_prefix(struct weir_config_report *report, struct weir_config_at at, const char *text,
           struct weir_profile_address *address, bool *ip6)
{
	char first[INET6_ADDRSTRLEN];
	struct weir_prefix prefix;
	uint64_t half[2] = {0};
	uint32_t free_bits;
	int rc = weir_config_get_prefix(report, at, text, &prefix);

	if (rc != 0)
		return rc;
	inet_ntop(prefix.family == WEIR_FAMILY_IP6 ? AF_INET6 : AF_INET, prefix.address, first,
	          sizeof(first));
	if (!parse_address(first, half, ip6))
		return weir_config_refuse(report, &at, text, "a prefix such as 10.0.0.0/8");
	free_bits = (*ip6 ? 128U : 32U) - prefix.length;
	address->low.low = half[1];
	address->low.span = free_bits >= 64 ? 0 : UINT64_C(1) << free_bits;
	address->high.low = half[0];
	address->high.span =
	    free_bits == 128 ? 0 : UINT64_C(1) << (free_bits > 64 ? free_bits - 64 : 0);
	return 0;
}

int
weir_profile_get_address(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, struct weir_profile_address *address, bool *ip6)
{
	uint64_t from[2] = {0}, to[2] = {0};
	char low[PART_SIZE], high[PART_SIZE];
	bool other = false;

	if (strchr(text, '/') != NULL)
		return get_prefix(report, at, text, address, ip6);
	if (!split(text, low, high) || !parse_address(low, from, ip6) ||
	    !parse_address(high, to, &other) || other != *ip6 || from[0] != to[0] ||
	    from[1] > to[1])
		return weir_config_refuse(report, &at, text,
		                          "an address, a prefix such as 10.0.0.0/8, or a range "
		                          "such as 10.0.0.1-10.0.0.9 (of IPv6: within one /64)");
	address->high = (struct weir_profile_range){from[0], 1};
	address->low = (struct weir_profile_range){from[1], to[1] - from[1] + 1};
	return 0;
}

int
weir_profile_get_protocol(struct weir_config_report *report, struct weir_config_at at,
                          const char *text, uint8_t *protocol)
{
	const char *expected = NULL;
	uint64_t number = 0;

	for (const struct weir_config_word *w = weir_config_protocols; w->word != NULL; w++) {
		if (strcmp(w->word, text) == 0) {
			*protocol = (uint8_t)w->value;
			return 0;
		}
	}
	if (weir_quantity_parse_integer(text, &number, &expected) != 0 || number > UINT8_MAX)
		return weir_config_refuse(report, &at, text,
		                          "a protocol such as udp, tcp, icmp, icmpv6 or esp, or "
		                          "its number, 0 to 255");
	*protocol = (uint8_t)number;
	return 0;
}
