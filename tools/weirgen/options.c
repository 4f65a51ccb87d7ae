/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/options.h"

#include "control/quantity.h"
#include "tools/weirgen/profile.h"
#include "tools/weirgen/stamp.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATCH_UP_NS     (1 * WEIR_NS_PER_MS)
#define TIME_MAX_NS     (UINT64_C(365) * 86400 * WEIR_NS_PER_S)
#define RATE_MIN_BIT_S  UINT64_C(1000)
#define SPEED_DIGITS    9U /* behind the point */
#define QUANTITY_LENGTH 64U

enum {
	OPTION_PORT = 256,
	OPTION_WRITE,
	OPTION_CAPTURE,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_WORKER,
	OPTION_CONTROL,
	OPTION_PAGES,
	OPTION_MTU,
	OPTION_FAST,
	OPTION_SEED,
	OPTION_DURATION,
	OPTION_COUNT,
	OPTION_CATCH_UP,
	OPTION_FIRST_FLOW,
	OPTION_SPEED,
	OPTION_RATE,
	OPTION_LOOP,
	OPTION_SOURCE_MAC,
	OPTION_DESTINATION_MAC,
	OPTION_MAP,
	OPTION_LIMIT,
	OPTION_WINDOW,
	OPTION_IDLE,
};

#define NEEDS_VALUE required_argument

/* Each with the commands that take it: s(end), r(eplay), (re)c(eive). */
static const struct {
	struct option option;
	const char *commands;
} known[] = {
    {{"port", NEEDS_VALUE, NULL, OPTION_PORT}, "src"},
    {{"json", NEEDS_VALUE, NULL, OPTION_JSON}, "src"},
    {{"quiet", no_argument, NULL, OPTION_QUIET}, "src"},
    {{"worker", NEEDS_VALUE, NULL, OPTION_WORKER}, "src"},
    {{"control", NEEDS_VALUE, NULL, OPTION_CONTROL}, "src"},
    {{"pages", NEEDS_VALUE, NULL, OPTION_PAGES}, "src"},
    {{"mtu", NEEDS_VALUE, NULL, OPTION_MTU}, "src"},
    {{"duration", NEEDS_VALUE, NULL, OPTION_DURATION}, "src"},
    {{"count", NEEDS_VALUE, NULL, OPTION_COUNT}, "src"},
    {{"fast", no_argument, NULL, OPTION_FAST}, "sr"},
    {{"catch-up", NEEDS_VALUE, NULL, OPTION_CATCH_UP}, "sr"},
    {{"write", NEEDS_VALUE, NULL, OPTION_WRITE}, "s"},
    {{"seed", NEEDS_VALUE, NULL, OPTION_SEED}, "s"},
    {{"first-flow", NEEDS_VALUE, NULL, OPTION_FIRST_FLOW}, "s"},
    {{"speed", NEEDS_VALUE, NULL, OPTION_SPEED}, "r"},
    {{"rate", NEEDS_VALUE, NULL, OPTION_RATE}, "r"},
    {{"loop", NEEDS_VALUE, NULL, OPTION_LOOP}, "r"},
    {{"source-mac", NEEDS_VALUE, NULL, OPTION_SOURCE_MAC}, "r"},
    {{"destination-mac", NEEDS_VALUE, NULL, OPTION_DESTINATION_MAC}, "r"},
    {{"map", NEEDS_VALUE, NULL, OPTION_MAP}, "r"},
    {{"limit", NEEDS_VALUE, NULL, OPTION_LIMIT}, "c"},
    {{"window", NEEDS_VALUE, NULL, OPTION_WINDOW}, "c"},
    {{"idle", NEEDS_VALUE, NULL, OPTION_IDLE}, "c"},
    {{"capture", NEEDS_VALUE, NULL, OPTION_CAPTURE}, "c"},
    {{"help", no_argument, NULL, 'h'}, "src"},
    {{"version", no_argument, NULL, 'v'}, "src"},
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

/* Of which one would be ignored beside the other. */
static const int apart[][2] = {
    {OPTION_FAST, OPTION_WRITE},   {OPTION_CATCH_UP, OPTION_WRITE}, {OPTION_MTU, OPTION_WRITE},
    {OPTION_WORKER, OPTION_WRITE}, {OPTION_CONTROL, OPTION_WRITE},  {OPTION_PAGES, OPTION_WRITE},
    {OPTION_SPEED, OPTION_RATE},   {OPTION_SPEED, OPTION_FAST},     {OPTION_RATE, OPTION_FAST},
};

/* "--NAME VALUE: expected ..." Returns the status of bad usage. */
static enum weir_exit
bad_value(const char *name, const char *value, const char *expected)
{
	return weir_command_fail(WEIR_EXIT_USAGE, "--%s: %s: expected %s (see weirgen --help)",
	                         name, value, expected);
}

/* Names by the option's code. */
static const char *
name_of(int code)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (known[i].option.val == code)
			return known[i].option.name;
	return "?";
}

static enum weir_exit
parse_number(int code, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	const char *expected = NULL;
	char range[64];

	if (weir_quantity_parse_integer(text, value, &expected) == 0 && *value >= least &&
	    *value <= most)
		return WEIR_EXIT_OK;
	snprintf(range, sizeof(range), "a whole number, %llu to %llu", (unsigned long long)least,
	         (unsigned long long)most);
	return bad_value(name_of(code), text, range);
}

static enum weir_exit
parse_small(int code, const char *text, uint64_t least, uint64_t most, uint32_t *value)
{
	uint64_t number = 0;
	enum weir_exit status = parse_number(code, text, least, most, &number);

	*value = (uint32_t)number;
	return status;
}

static enum weir_exit
parse_time(int code, const char *text, uint64_t least_ns, uint64_t *ns)
{
	const char *expected = "1 us to 365 d";

	if (weir_quantity_parse_duration(text, ns, &expected) == 0) {
		if (*ns >= least_ns && *ns <= TIME_MAX_NS)
			return WEIR_EXIT_OK;
		expected = "1 us to 365 d";
	}
	return bad_value(name_of(code), text, expected);
}

static enum weir_exit
parse_rate(int code, const char *text, uint64_t *bit_s)
{
	const char *expected = NULL;

	if (weir_quantity_parse_rate(text, bit_s, &expected) == 0) {
		if (*bit_s >= RATE_MIN_BIT_S && *bit_s <= UINT64_C(1000000000000))
			return WEIR_EXIT_OK;
		expected = "1 kbit/s to 1 Tbit/s";
	}
	return bad_value(name_of(code), text, expected);
}

static enum weir_exit
parse_pages(const char *text, enum weir_eal_pages *pages)
{
	if (strcmp(text, "auto") == 0)
		*pages = WEIR_EAL_PAGES_AUTO;
	else if (strcmp(text, "huge") == 0)
		*pages = WEIR_EAL_PAGES_HUGE;
	else if (strcmp(text, "normal") == 0)
		*pages = WEIR_EAL_PAGES_NORMAL;
	else
		return bad_value("pages", text, "auto, huge or normal");
	return WEIR_EXIT_OK;
}

/* "2x", "0.5x": a fraction of whole numbers, so that times are scaled exactly. */
static enum weir_exit
parse_speed(const char *text, struct weir_options *options)
{
	char number[QUANTITY_LENGTH];
	const char *expected = NULL;
	size_t length = strlen(text);
	double value = 0;

	if (length < 2 || length > sizeof(number) || text[length - 1] != 'x')
		return bad_value("speed", text, "a factor such as 2x or 0.5x");
	memcpy(number, text, length - 1);
	number[length - 1] = '\0';
	if (weir_quantity_parse_factor(number, &value, &expected) != 0 || value < 1e-6 ||
	    value > 1e6)
		return bad_value("speed", text,
		                 "a factor such as 2x or 0.5x, 0.000001x to 1000000x");
	/* Nine digits behind the point are more than anyone asks. */
	options->speed_den = 1000000000;
	options->speed_num = (uint64_t)(value * 1e9 + 0.5);
	return WEIR_EXIT_OK;
}

/* "RATE" or "RATE + BURST". */
static enum weir_exit
parse_limit(const char *text, struct weir_options *options)
{
	struct weir_limit_option *limit = &options->limits[options->n_limits];
	const char *plus = strchr(text, '+'), *expected = NULL, *burst;
	size_t length = plus == NULL ? strlen(text) : (size_t)(plus - text);
	char rate[QUANTITY_LENGTH];

	if (options->n_limits == WEIR_LIMITS_MAX)
		return bad_value("limit", text, "at most 8 of them");
	while (length > 0 && text[length - 1] == ' ')
		length--;
	if (length >= sizeof(rate))
		return bad_value("limit", text, "a limit such as '50 Mbit/s + 64 KB'");
	memcpy(rate, text, length);
	rate[length] = '\0';
	if (weir_quantity_parse_rate(rate, &limit->rate_bit_s, &expected) != 0 ||
	    limit->rate_bit_s == 0)
		return bad_value("limit", text, "a limit such as '50 Mbit/s + 64 KB'");
	if (plus != NULL) {
		burst = plus + 1 + strspn(plus + 1, " ");
		limit->has_burst = true;
		if (weir_quantity_parse_bytes(burst, &limit->burst_bytes, &expected) != 0)
			return bad_value("limit", text, "a limit such as '50 Mbit/s + 64 KB'");
	}
	options->n_limits++;
	return WEIR_EXIT_OK;
}

static enum weir_exit
parse_window(const char *text, struct weir_options *options)
{
	enum weir_exit status;

	if (options->n_windows == WEIR_WINDOWS_MAX)
		return bad_value("window", text, "at most 8 of them");
	status = parse_time(OPTION_WINDOW, text, WEIR_NS_PER_US,
	                    &options->windows_ns[options->n_windows]);
	options->n_windows += status == WEIR_EXIT_OK;
	return status;
}

static enum weir_exit
parse_map(const char *text, struct weir_rewrite *rewrite)
{
	int rc = weir_rewrite_add(rewrite, text);

	if (rc == -E2BIG)
		return bad_value("map", text, "at most 8 of them");
	if (rc != 0)
		return bad_value("map", text,
		                 "two prefixes of one length such as 10.0.0.0/8=198.18.0.0/8");
	return WEIR_EXIT_OK;
}

/* Options of sending and replaying. */
static enum weir_exit
take_traffic(int code, struct weir_options *options)
{
	struct weir_rewrite *rewrite = &options->rewrite;

	switch (code) {
	case OPTION_WRITE:
		options->output = optarg;
		break;
	case OPTION_FAST:
		options->fast = true;
		break;
	case OPTION_SEED:
		options->has_seed = true;
		return parse_number(code, optarg, 0, WEIR_PROFILE_SEED_MAX, &options->seed);
	case OPTION_CATCH_UP:
		return parse_time(code, optarg, 0, &options->catch_up_ns);
	case OPTION_FIRST_FLOW:
		return parse_small(code, optarg, 0, WEIR_STAMP_FLOWS - WEIR_PORTS_MAX * 2,
		                   &options->first_flow);
	case OPTION_SPEED:
		return parse_speed(optarg, options);
	case OPTION_RATE:
		return parse_rate(code, optarg, &options->rate_bit_s);
	case OPTION_LOOP:
		return parse_number(code, optarg, 0, UINT32_MAX, &options->loops);
	case OPTION_MAP:
		return parse_map(optarg, rewrite);
	case OPTION_SOURCE_MAC:
		rewrite->has_source = true;
		return weir_rewrite_parse_mac(optarg, rewrite->source_mac) == 0
		           ? WEIR_EXIT_OK
		           : bad_value("source-mac", optarg, "a MAC address");
	case OPTION_DESTINATION_MAC:
	default:
		rewrite->has_destination = true;
		return weir_rewrite_parse_mac(optarg, rewrite->destination_mac) == 0
		           ? WEIR_EXIT_OK
		           : bad_value("destination-mac", optarg, "a MAC address");
	}
	return WEIR_EXIT_OK;
}

static enum weir_exit
take_option(int code, struct weir_options *options)
{
	switch (code) {
	case 'h':
		options->help = true;
		break;
	case 'v':
		options->version = true;
		break;
	case OPTION_PORT:
		options->device = optarg;
		break;
	case OPTION_JSON:
		options->json = optarg;
		break;
	case OPTION_QUIET:
		options->quiet = true;
		break;
	case OPTION_CAPTURE:
		options->output = optarg;
		break;
	case OPTION_WORKER:
		return parse_small(code, optarg, 0, UINT16_MAX, &options->worker);
	case OPTION_CONTROL:
		return parse_small(code, optarg, 0, UINT16_MAX, &options->control);
	case OPTION_PAGES:
		return parse_pages(optarg, &options->pages);
	case OPTION_MTU:
		return parse_small(code, optarg, WEIR_MTU_MIN, WEIR_MTU_MAX, &options->mtu_bytes);
	case OPTION_DURATION:
		return parse_time(code, optarg, WEIR_NS_PER_US, &options->duration_ns);
	case OPTION_COUNT:
		return parse_number(code, optarg, 1, UINT64_C(1) << 62, &options->count);
	case OPTION_IDLE:
		return parse_time(code, optarg, WEIR_NS_PER_US, &options->idle_ns);
	case OPTION_LIMIT:
		return parse_limit(optarg, options);
	case OPTION_WINDOW:
		return parse_window(optarg, options);
	default:
		return take_traffic(code, options);
	}
	return WEIR_EXIT_OK;
}

static bool
was_seen(int code, uint64_t seen)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (known[i].option.val == code)
			return (seen >> i & 1) != 0;
	return false;
}

/* A command takes some options only: an option that it ignores would be a lie. */
static enum weir_exit
check_options(const char *command, uint64_t seen)
{
	char letter = strcmp(command, "receive") == 0 ? 'c' : command[0];

	for (size_t i = 0; i < N_KNOWN; i++)
		if ((seen >> i & 1) != 0 && strchr(known[i].commands, letter) == NULL)
			return weir_command_fail(WEIR_EXIT_USAGE,
			                         "--%s: %s does not take it (see weirgen help %s)",
			                         known[i].option.name, command, command);
	for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
		if (was_seen(apart[i][0], seen) && was_seen(apart[i][1], seen))
			return weir_command_fail(WEIR_EXIT_USAGE,
			                         "--%s: expected no --%s beside it",
			                         name_of(apart[i][0]), name_of(apart[i][1]));
	return WEIR_EXIT_OK;
}

enum weir_exit
weir_options_parse(int argc, char **argv, struct weir_options *options)
{
	struct option longs[N_KNOWN + 1] = {0};
	enum weir_exit status = WEIR_EXIT_OK;
	uint64_t seen = 0;
	int code;

	*options = (struct weir_options){
	    .worker = 1, .catch_up_ns = CATCH_UP_NS, .speed_num = 1, .speed_den = 1, .loops = 1};
	for (size_t i = 0; i < N_KNOWN; i++)
		longs[i] = known[i].option;
	opterr = 0;
	while (status == WEIR_EXIT_OK &&
	       (code = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (code == ':')
			return weir_command_fail(WEIR_EXIT_USAGE,
			                         "%s: expected a value behind it (see weirgen "
			                         "--help)",
			                         argv[optind - 1]);
		if (code == '?')
			return weir_command_fail(WEIR_EXIT_USAGE,
			                         "%s: unknown option (see weirgen --help)",
			                         argv[optind - 1]);
		for (size_t i = 0; i < N_KNOWN; i++)
			seen |= (uint64_t)(known[i].option.val == code) << i;
		status = take_option(code, options);
	}
	if (status == WEIR_EXIT_OK && optind < argc && !options->help)
		status = strcmp(argv[optind], "help") == 0 ? WEIR_EXIT_OK
		                                           : check_options(argv[optind], seen);
	return status;
}
