/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_value.h"

#include "control/quantity.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

const struct weir_config_word weir_config_huge_pages[] = {
    {"auto", WEIR_HUGE_AUTO},
    {"required", WEIR_HUGE_REQUIRED},
    {"off", WEIR_HUGE_OFF},
    {NULL, 0},
};

const struct weir_config_word weir_config_witnesses[] = {
    {"tpm", WEIR_WITNESS_TPM},
    {"file", WEIR_WITNESS_FILE},
    {"none", WEIR_WITNESS_NONE},
    {NULL, 0},
};

const struct weir_config_word weir_config_limiters[] = {
    {"auto", WEIR_LIMITER_AUTO},
    {"tm", WEIR_LIMITER_TM},
    {"queue", WEIR_LIMITER_QUEUE},
    {"soft", WEIR_LIMITER_SOFT},
    {NULL, 0},
};

const struct weir_config_word weir_config_queues[] = {{"auto", 0}, {"dedicated", 1}, {NULL, 0}};

const struct weir_config_word weir_config_booleans[] = {{"true", 1}, {"false", 0}, {NULL, 0}};

/* IANA's ethertypes; llc stands for the length field of an 802.3 frame. */
const struct weir_config_word weir_config_ethertypes[] = {
    {"arp", 0x0806}, {"ipv4", 0x0800}, {"ipv6", 0x86dd}, {"lldp", 0x88cc}, {"llc", 0}, {NULL, 0},
};

/* IANA's protocol numbers. */
const struct weir_config_word weir_config_protocols[] = {
    {"icmp", IPPROTO_ICMP},
    {"igmp", IPPROTO_IGMP},
    {"ipip", IPPROTO_IPIP},
    {"tcp", IPPROTO_TCP},
    {"udp", IPPROTO_UDP},
    {"gre", IPPROTO_GRE},
    {"esp", IPPROTO_ESP},
    {"icmpv6", IPPROTO_ICMPV6},
    {"ospf", 89},
    {"pim", IPPROTO_PIM},
    {"vrrp", 112},
    {"sctp", IPPROTO_SCTP},
    {NULL, 0},
};

const char *
weir_config_word_of(const struct weir_config_word *words, uint32_t value)
{
	for (; words->word != NULL; words++)
		if (words->value == value)
			return words->word;
	return NULL;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int
weir_config_get_name(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     char name[WEIR_NAME_SIZE])
{
	size_t length = strlen(text);
	bool good = length > 0 && length < WEIR_NAME_SIZE && is_alnum(text[0]);

	for (size_t i = 1; good && i < length; i++)
		good = is_alnum(text[i]) || strchr("_.-", text[i]) != NULL;
	if (!good)
		return weir_config_refuse(report, &at, text,
		                          "a name of at most %u letters, digits, '_', '.' and '-' "
		                          "that starts with a letter or digit",
		                          WEIR_NAME_SIZE - 1);
	memcpy(name, text, length + 1);
	return 0;
}

int
weir_config_get_word(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     const struct weir_config_word *words, uint32_t *value)
{
	char known[128] = "";
	size_t used = 0;

	for (; words->word != NULL; words++) {
		if (strcmp(words->word, text) == 0) {
			*value = words->value;
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                         used == 0               ? ""
		                         : words[1].word == NULL ? " or "
		                                                 : ", ",
		                         words->word);
		assert(used < sizeof(known));
	}
	return weir_config_refuse(report, &at, text, "%s", known);
}

int
weir_config_get_integer(struct weir_config_report *report, struct weir_config_at at,
                        const char *text, uint64_t least, uint64_t most, uint32_t *value)
{
	const char *expected = NULL;
	uint64_t number = 0;
	int rc = weir_quantity_parse_integer(text, &number, &expected);

	assert(most <= UINT32_MAX);
	if (rc == -EINVAL)
		return weir_config_refuse(report, &at, text, "%s", expected);
	if (rc != 0 || number < least || number > most)
		return weir_config_refuse(report, &at, text, "%llu to %llu",
		                          (unsigned long long)least, (unsigned long long)most);
	*value = (uint32_t)number;
	return 0;
}

/* The three kinds of quantity differ only in how they are parsed and printed. */
typedef int parse_fn(const char *text, uint64_t *value, const char **expected);
typedef const char *print_fn(uint64_t value, char text[WEIR_QUANTITY_SIZE]);

static int
get_quantity(struct weir_config_report *report, const struct weir_config_at *at, const char *text,
             parse_fn *parse, print_fn *print, const uint64_t range[2], uint64_t *value)
{
	char least[WEIR_QUANTITY_SIZE], most[WEIR_QUANTITY_SIZE];
	const char *expected = NULL;
	uint64_t number = 0;
	int rc = parse(text, &number, &expected);

	if (rc == -EINVAL)
		return weir_config_refuse(report, at, text, "%s", expected);
	if (rc != 0 || number < range[0] || number > range[1])
		return weir_config_refuse(report, at, text, "%s to %s", print(range[0], least),
		                          print(range[1], most));
	*value = number;
	return 0;
}

int
weir_config_get_bytes(struct weir_config_report *report, struct weir_config_at at, const char *text,
                      uint64_t least, uint64_t most, uint64_t *bytes)
{
	return get_quantity(report, &at, text, weir_quantity_parse_bytes, weir_quantity_print_bytes,
	                    (const uint64_t[]){least, most}, bytes);
}

int
weir_config_get_rate(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     uint64_t least, uint64_t most, uint64_t *bit_s)
{
	return get_quantity(report, &at, text, weir_quantity_parse_rate, weir_quantity_print_rate,
	                    (const uint64_t[]){least, most}, bit_s);
}

int
weir_config_get_duration(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, uint64_t least, uint64_t most, uint64_t *ns)
{
	return get_quantity(report, &at, text, weir_quantity_parse_duration,
	                    weir_quantity_print_duration, (const uint64_t[]){least, most}, ns);
}

int
weir_config_get_factor(struct weir_config_report *report, struct weir_config_at at,
                       const char *text, uint32_t least, uint32_t most, double *value)
{
	const char *expected = NULL;
	double number = 0;

	if (weir_quantity_parse_factor(text, &number, &expected) != 0)
		return weir_config_refuse(report, &at, text, "%s", expected);
	if (number < least || number > most)
		return weir_config_refuse(report, &at, text, "%u to %u", least, most);
	*value = number;
	return 0;
}

static bool
is_path(const char *text)
{
	const char *part = text, *end;

	if (*part != '/')
		return false;
	while (*part == '/') {
		part++;
		end = strchrnul(part, '/');
		if (end == part || (end - part == 1 && part[0] == '.') ||
		    (end - part == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part = end;
	}
	return true;
}

int
weir_config_get_path(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     char path[WEIR_PATH_SIZE])
{
	/* Quotes and backslashes would need escapes wherever a path is printed. */
	if (strlen(text) >= WEIR_PATH_SIZE || !is_path(text) || strpbrk(text, "\"\\") != NULL)
		return weir_config_refuse(report, &at, text,
		                          "an absolute path of at most %u characters without "
		                          "empty, '.' or '..' parts, quotes and backslashes",
		                          WEIR_PATH_SIZE - 1);
	memcpy(path, text, strlen(text) + 1);
	return 0;
}

int
weir_config_get_tcti(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     char tcti[WEIR_PATH_SIZE])
{
	size_t length = strlen(text);

	if (length >= WEIR_PATH_SIZE || !is_alnum(text[0]) || strpbrk(text, " \"\\") != NULL)
		return weir_config_refuse(report, &at, text,
		                          "where a TPM answers, such as device:/dev/tpmrm0, in at "
		                          "most %u characters without spaces, quotes and "
		                          "backslashes",
		                          WEIR_PATH_SIZE - 1);
	memcpy(tcti, text, length + 1);
	return 0;
}

/* The TPM's owner may use these; those below are the platform's. */
#define NV_INDEX_FIRST 0x01800000U
#define NV_INDEX_LAST  0x01bfffffU

int
weir_config_get_nv_index(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, uint32_t *index)
{
	const char *expected = NULL;
	uint64_t number = 0;

	if (strncmp(text, "0x", 2) == 0) {
		if (strlen(text) <= 10 &&
		    text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0')
			number = strtoul(text, NULL, 16);
	} else if (weir_quantity_parse_integer(text, &number, &expected) != 0) {
		number = 0;
	}
	if (number < NV_INDEX_FIRST || number > NV_INDEX_LAST)
		return weir_config_refuse(report, &at, text, "0x%08x to 0x%08x", NV_INDEX_FIRST,
		                          NV_INDEX_LAST);
	*index = (uint32_t)number;
	return 0;
}

int
weir_config_get_reason(struct weir_config_report *report, struct weir_config_at at,
                       const char *text, char reason[WEIR_RISK_SIZE])
{
	size_t length = strlen(text);
	bool good = length < WEIR_RISK_SIZE, in_word = false;
	uint32_t words = 0;

	for (size_t i = 0; good && i < length; i++) {
		bool letter = isalpha((unsigned char)text[i]) != 0;

		words += letter && !in_word;
		in_word = text[i] != ' ' && (in_word || letter);
		good = text[i] >= ' ' && text[i] <= '~';
	}
	/*
	 * Two words: "false", "no" and "0" mean the opposite of a reason. Quotes and backslashes
	 * would need escapes when it is printed, as in a path.
	 */
	if (!good || words < 2 || strpbrk(text, "\"\\") != NULL)
		return weir_config_refuse(report, &at, text,
		                          "a reason: one line of two words or more and at most "
		                          "%u characters of plain ASCII without double quotes and "
		                          "backslashes",
		                          WEIR_RISK_SIZE - 1);
	memcpy(reason, text, length + 1);
	return 0;
}

int
weir_config_get_user(struct weir_config_report *report, struct weir_config_at at, const char *text,
                     uint32_t *uid)
{
	struct passwd entry, *found = NULL;
	char buffer[16384];

	if (isdigit((unsigned char)text[0]))
		/* The largest number means "no user" to the kernel. */
		return weir_config_get_integer(report, at, text, 0, UINT32_MAX - 1, uid);
	if (getpwnam_r(text, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
		return weir_config_refuse(report, &at, text,
		                          "the name or number of a user of this machine");
	*uid = entry.pw_uid;
	return 0;
}

/* True where a bit behind the prefix is set; these bits are cleared. */
static bool
clear_host_bits(struct weir_prefix *prefix, uint32_t address_bytes)
{
	bool any = false;

	for (uint32_t i = 0; i < address_bytes; i++) {
		uint32_t bits = prefix->length > i * 8 ? prefix->length - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00U >> (bits < 8 ? bits : 8));

		any = any || (prefix->address[i] & ~mask) != 0;
		prefix->address[i] &= mask;
	}
	return any;
}

int
weir_config_get_prefix(struct weir_config_report *report, struct weir_config_at at,
                       const char *text, struct weir_prefix *prefix)
{
	static const char wanted[] = "a prefix such as 10.0.0.0/8 or 2001:db8::/32";
	char address[INET6_ADDRSTRLEN] = "", good[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/'), *expected = NULL;
	uint64_t length = 0;
	int family, most;

	*prefix = (struct weir_prefix){0};
	if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
		return weir_config_refuse(report, &at, text, "%s%s", wanted,
		                          slash == NULL ? ", with its length" : "");
	memcpy(address, text, (size_t)(slash - text));
	if (inet_pton(AF_INET, address, prefix->address) == 1)
		family = AF_INET;
	else if (inet_pton(AF_INET6, address, prefix->address) == 1)
		family = AF_INET6;
	else
		return weir_config_refuse(report, &at, text, "%s", wanted);
	most = family == AF_INET ? 32 : 128;
	if (weir_quantity_parse_integer(slash + 1, &length, &expected) != 0 ||
	    length > (uint64_t)most)
		return weir_config_refuse(report, &at, text, "a length of 0 to %d bits", most);
	prefix->family = family == AF_INET ? WEIR_FAMILY_IP4 : WEIR_FAMILY_IP6;
	prefix->length = (uint8_t)length;
	if (clear_host_bits(prefix, family == AF_INET ? 4 : 16))
		return weir_config_refuse(
		    report, &at, text, "%s/%u (no bits set behind the prefix)",
		    inet_ntop(family, prefix->address, good, sizeof(good)), prefix->length);
	return 0;
}

int
weir_config_get_ports(struct weir_config_report *report, struct weir_config_at at, const char *text,
                      uint16_t *low, uint16_t *high)
{
	const char *dash = strchr(text, '-'), *expected = NULL;
	uint64_t from = 0, to = 0;
	char first[8] = "";
	bool good = true;

	if (dash == NULL) {
		good = weir_quantity_parse_integer(text, &from, &expected) == 0;
		to = from;
	} else {
		good = (size_t)(dash - text) < sizeof(first);
		if (good)
			memcpy(first, text, (size_t)(dash - text));
		good = good && weir_quantity_parse_integer(first, &from, &expected) == 0 &&
		       weir_quantity_parse_integer(dash + 1, &to, &expected) == 0;
	}
	if (!good || to > UINT16_MAX || from > to)
		return weir_config_refuse(report, &at, text,
		                          "a port or a range such as 443 or 1000-2000, "
		                          "0 to 65535");
	/* Such a range would look as if it asked for ports, and match frames without any. */
	if (from == 0 && to == UINT16_MAX)
		return weir_config_refuse(report, &at, text,
		                          "less than all ports; without this key any port, "
		                          "or none, will do");
	*low = (uint16_t)from;
	*high = (uint16_t)to;
	return 0;
}

int
weir_config_get_ethertype(struct weir_config_report *report, struct weir_config_at at,
                          const char *text, uint32_t *ethertype)
{
	unsigned long number;

	for (const struct weir_config_word *w = weir_config_ethertypes; w->word != NULL; w++) {
		if (strcmp(w->word, text) == 0) {
			*ethertype = w->value;
			return 0;
		}
	}
	if (strncmp(text, "0x", 2) != 0 || strlen(text) > 6 || text[2] == '\0' ||
	    text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] != '\0')
		return weir_config_refuse(report, &at, text,
		                          "arp, ipv4, ipv6, lldp, llc or a number such as 0x88cc");
	number = strtoul(text, NULL, 16);
	if (number < 0x600)
		return weir_config_refuse(report, &at, text,
		                          "0x0600 to 0xffff, or llc for frames with a length");
	if (number == 0x8100 || number == 0x88a8)
		return weir_config_refuse(report, &at, text,
		                          "the ethertype behind VLAN tags; the tag itself is "
		                          "matched by the key vlan");
	*ethertype = (uint32_t)number;
	return 0;
}

static const char *
name_at(const struct weir_config_names *names, uint32_t index)
{
	return names->base + index * names->stride;
}

static int
compare_names(const void *left, const void *right, void *arg)
{
	const uint32_t *a = left, *b = right;
	int order = strcmp(name_at(arg, *a), name_at(arg, *b));

	return order != 0 ? order : (*a > *b) - (*a < *b);
}

int
weir_config_names_make(struct weir_config_names *names, const void *base, size_t stride, uint32_t n)
{
	*names = (struct weir_config_names){base, stride, n, NULL};
	names->order = malloc((n + 1) * sizeof(*names->order));
	if (names->order == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		names->order[i] = i;
	qsort_r(names->order, n, sizeof(*names->order), compare_names, names);
	return 0;
}

void
weir_config_names_free(struct weir_config_names *names)
{
	free(names->order);
	names->order = NULL;
}

uint32_t
weir_config_names_find(const struct weir_config_names *names, const char *name)
{
	uint32_t low = 0, high = names->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(name_at(names, names->order[middle]), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < names->n && strcmp(name_at(names, names->order[low]), name) == 0)
		return names->order[low];
	return WEIR_ANY;
}

uint32_t
weir_config_names_duplicate(const struct weir_config_names *names)
{
	uint32_t lowest = WEIR_ANY;

	for (uint32_t i = 1; i < names->n; i++)
		if (strcmp(name_at(names, names->order[i - 1]), name_at(names, names->order[i])) ==
		        0 &&
		    names->order[i] < lowest)
			lowest = names->order[i];
	return lowest;
}
