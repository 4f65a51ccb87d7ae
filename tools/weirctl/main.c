/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weirctl: asks a running Weir, and tells it; looks at ledgers, and makes them. One process, one
 * command, one answer.
 */
#include "tools/weirctl/command.h"
#include "tools/weirctl/format.h"
#include "tools/weirctl/help.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET   "/run/weir/control.sock"
#define DEFAULT_INTERVAL 1000000000ULL
#define INTERVAL_MIN     100000000ULL
#define INTERVAL_MAX     (86400 * 1000000000ULL)

/* Options that only some commands take. */
enum {
	TAKES_COUNT = 1,
	TAKES_INTERVAL = 2,
	TAKES_AFTER = 4,
	TAKES_KEY = 8,
	TAKES_CHARGE = 16,
	TAKES_TRAFFIC = 32,
	TAKES_LIVE = 64,
};

static const struct command {
	const char *name;  /* one word, or two: "ledger show" */
	const char *usage; /* behind the name; commands that take a file end in FILE */
	unsigned int takes;
	bool file;
	const char *summary;
	const char *help;
	enum weir_exit (*run)(const struct weir_options *options);
} commands[] = {
    {"status", "", 0, false, "what Weir does now, and what has passed", weir_help_status,
     weir_command_status},
    {"hardware", "", 0, false, "the NICs' own limits, and whether they hold", weir_help_hardware,
     weir_command_hardware},
    {"top", "[-n COUNT] [-i INTERVAL]", TAKES_COUNT | TAKES_INTERVAL, false,
     "live rates, queues, drops and budgets", weir_help_top, weir_command_top},
    {"watch", "[--after N]", TAKES_AFTER, false, "events as they happen", weir_help_watch,
     weir_command_watch},
    {"check", "FILE", 0, true, "validate a policy file", weir_help_check, weir_command_check},
    {"diff", "FILE", 0, true, "what a policy file would change", weir_help_diff, weir_command_diff},
    {"apply", "FILE", 0, true, "put a policy file in force", weir_help_apply, weir_command_apply},
    {"plan", "[OPTION]... FILE", TAKES_TRAFFIC | TAKES_LIVE | TAKES_INTERVAL, true,
     "what a policy is worth", weir_help_plan, weir_command_plan},
    {"show", "", 0, false, "the policy in force", weir_help_show, weir_command_show},
    {"stop", "", 0, false, "stop Weir cleanly, and wait for it", weir_help_stop, weir_command_stop},
    {"ledger verify", "[--key KEYFILE] FILE", TAKES_KEY, true, "check a ledger's file",
     weir_help_ledger_verify, weir_command_ledger_verify},
    {"ledger show", "[--key KEYFILE] FILE", TAKES_KEY, true, "what a ledger's file says",
     weir_help_ledger_show, weir_command_ledger_show},
    {"ledger explain", "FILE", 0, true, "would weir start with this policy?",
     weir_help_ledger_explain, weir_command_ledger_explain},
    {"ledger init", "[--charge NAME=BYTES]... FILE", TAKES_CHARGE, true, "make a policy's ledger",
     weir_help_ledger_init, weir_command_ledger_init},
};

/* The first word of those of two. */
static const char ledger[] = "ledger";

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_help(void)
{
	printf(
	    "usage: weirctl [--socket PATH] [--json] COMMAND\n\n"
	    "Asks a running Weir, and tells it: over its control socket, on this machine. Looks\n"
	    "at ledgers, and makes them.\n\n"
	    "commands (weirctl help COMMAND tells more):\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-14s %-29s %s\n", commands[i].name, commands[i].usage,
		       commands[i].summary);
	printf("  %-14s %-29s %s\n\n%s", "help", "[COMMAND]", "this text, or about a command",
	       weir_help_options);
}

static enum weir_exit
print_ledger_help(void)
{
	printf("usage: weirctl [--json] %s COMMAND\n\ncommands:\n", ledger);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *space = strchr(commands[i].name, ' ');

		if (space != NULL)
			printf("  %-8s %-29s %s\n", space + 1, commands[i].usage,
			       commands[i].summary);
	}
	printf("\n%s", weir_help_ledger);
	return WEIR_EXIT_OK;
}

static enum weir_exit
print_command_help(const struct command *command)
{
	printf("usage: weirctl%s [--json] %s%s%s\n\n%s",
	       strchr(command->name, ' ') == NULL ? " [--socket PATH]" : "", command->name,
	       *command->usage == '\0' ? "" : " ", command->usage, command->help);
	return WEIR_EXIT_OK;
}

/* Bad usage: what was given, NULL where nothing was, and what was expected. */
static enum weir_exit
bad_usage(const char *given, const char *expected)
{
	char *clean;

	if (given == NULL) {
		fprintf(stderr, "weirctl: %s (see weirctl --help)\n", expected);
		return WEIR_EXIT_USAGE;
	}
	clean = weir_text_clean(given, strlen(given), false);

	fprintf(stderr, "weirctl: %s: %s (see weirctl --help)\n", clean, expected);
	free(clean);
	return WEIR_EXIT_USAGE;
}

/* A whole number of least to most, digits only. */
static bool
parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *value >= least && *value <= most;
}

static bool
parse_interval(const char *text, uint64_t *ns)
{
	return weir_format_parse_duration(text, ns) == 0 && *ns >= INTERVAL_MIN &&
	       *ns <= INTERVAL_MAX;
}

/* Reads all options, wherever they stand; seen gets those that only some commands take. */
static enum weir_exit
parse_options(int argc, char **argv, struct weir_options *options, unsigned int *seen)
{
	static const struct option longs[] = {
	    {"socket", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'v'},
	    {"after", required_argument, NULL, 'a'},  {"key", required_argument, NULL, 'k'},
	    {"charge", required_argument, NULL, 'c'}, {"traffic", required_argument, NULL, 't'},
	    {"live", no_argument, NULL, 'l'},         {NULL, 0, NULL, 0},
	};
	int option, at = 1;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hn:i:", longs, NULL)) != -1) {
		switch (option) {
		case 's':
			if (*optarg == '\0')
				return bad_usage("--socket", "expected the path of a socket");
			options->socket = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'h':
			options->help = true;
			break;
		case 'v':
			options->version = true;
			break;
		case 'a':
			*seen |= TAKES_AFTER;
			if (!parse_number(optarg, 0, INT64_MAX, &options->after))
				return bad_usage(optarg, "--after: expected an event's number");
			break;
		case 'k':
			*seen |= TAKES_KEY;
			if (*optarg == '\0')
				return bad_usage("--key", "expected the path of a key file");
			options->key = optarg;
			break;
		case 'c':
			*seen |= TAKES_CHARGE;
			options->charges[options->n_charges++] = optarg;
			break;
		case 't':
			*seen |= TAKES_TRAFFIC;
			options->traffic[options->n_traffic++] = optarg;
			break;
		case 'l':
			*seen |= TAKES_LIVE;
			options->live = true;
			break;
		case 'n':
			*seen |= TAKES_COUNT;
			if (!parse_number(optarg, 1, 1000000000, &options->count))
				return bad_usage(optarg, "-n: expected a count, 1 to 1000000000");
			break;
		case 'i':
			*seen |= TAKES_INTERVAL;
			if (!parse_interval(optarg, &options->interval_ns))
				return bad_usage(
				    optarg, "-i: expected a duration of 100 ms to 1 d, such as "
				            "500 ms or 2 s");
			break;
		case ':':
			return bad_usage(argv[optind - 1], "expected a value behind it");
		default:
			/* optind has passed the word only where the word ends with the option. */
			at = optind > 1 && argv[optind - 1][0] == '-' ? optind - 1 : optind;
			return bad_usage(at < argc ? argv[at] : "-", "unknown option");
		}
	}
	return WEIR_EXIT_OK;
}

static enum weir_exit
run_command(const struct command *command, int n_operands, char **operands, unsigned int seen,
            struct weir_options *options)
{
	if (options->help)
		return print_command_help(command);
	if ((seen & ~command->takes & TAKES_COUNT) != 0)
		return bad_usage("-n", "only top takes it");
	if ((seen & ~command->takes & TAKES_INTERVAL) != 0)
		return bad_usage("-i", "only top and plan take it");
	if ((seen & ~command->takes & TAKES_AFTER) != 0)
		return bad_usage("--after", "only watch takes it");
	if ((seen & ~command->takes & TAKES_KEY) != 0)
		return bad_usage("--key", "only ledger verify and ledger show take it");
	if ((seen & ~command->takes & TAKES_CHARGE) != 0)
		return bad_usage("--charge", "only ledger init takes it");
	if ((seen & ~command->takes & TAKES_TRAFFIC) != 0)
		return bad_usage("--traffic", "only plan takes it");
	if ((command->takes & TAKES_LIVE & ~seen) != 0 && (seen & TAKES_INTERVAL) != 0)
		return bad_usage("-i", "expected --live beside it");
	if ((seen & ~command->takes & TAKES_LIVE) != 0)
		return bad_usage("--live", "only plan takes it");
	if (command->file && n_operands == 0)
		return bad_usage(command->name, "expected FILE behind it");
	if (n_operands > (command->file ? 1 : 0))
		return bad_usage(operands[command->file ? 1 : 0], "expected nothing more");
	if (command->file)
		options->file = operands[0];
	return command->run(options);
}

/* The command that the first words name, and how many they are; NULL where they name none. */
static const struct command *
find_command(int n_words, char **words, int *used)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *name = commands[i].name, *space = strchr(name, ' ');

		*used = space != NULL ? 2 : 1;
		if (space == NULL && strcmp(words[0], name) == 0)
			return &commands[i];
		if (space != NULL && n_words > 1 && strcmp(words[0], ledger) == 0 &&
		    strcmp(words[1], space + 1) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Words that name no command. */
static enum weir_exit
unknown_command(int n_words, char **words)
{
	if (strcmp(words[0], ledger) != 0)
		return bad_usage(words[0], "unknown command");
	return bad_usage(n_words > 1 ? words[1] : ledger,
	                 n_words > 1 ? "expected verify, show, explain or init"
	                             : "expected verify, show, explain or init behind it");
}

/* "help [COMMAND]" */
static enum weir_exit
run_help(int n_operands, char **operands)
{
	const struct command *command;
	int used;

	if (n_operands == 0) {
		print_help();
		return WEIR_EXIT_OK;
	}
	if (n_operands == 1 && strcmp(operands[0], ledger) == 0)
		return print_ledger_help();
	command = find_command(n_operands, operands, &used);
	if (command == NULL)
		return unknown_command(n_operands, operands);
	if (n_operands > used)
		return bad_usage(operands[used], "expected nothing more");
	return print_command_help(command);
}

static enum weir_exit
run(int argc, char **argv, const char **charges, const char **traffic)
{
	const char *socket = getenv("WEIR_SOCKET");
	struct weir_options options = {
	    .socket = socket != NULL && *socket != '\0' ? socket : DEFAULT_SOCKET,
	    .interval_ns = DEFAULT_INTERVAL,
	    .charges = charges,
	    .traffic = traffic,
	};
	unsigned int seen = 0;
	enum weir_exit status = parse_options(argc, argv, &options, &seen);
	const struct command *command;
	int n_words, used;
	char **words;

	if (status != WEIR_EXIT_OK)
		return status;
	if (options.version) {
		printf("weirctl %s\n", WEIR_VERSION);
		return WEIR_EXIT_OK;
	}
	n_words = argc - optind;
	words = argv + optind;
	if (n_words == 0)
		return options.help ? run_help(0, NULL) : bad_usage(NULL, "expected a command");
	if (strcmp(words[0], "help") == 0)
		return run_help(n_words - 1, words + 1);
	if (n_words == 1 && options.help && strcmp(words[0], ledger) == 0)
		return print_ledger_help();
	command = find_command(n_words, words, &used);
	if (command == NULL)
		return unknown_command(n_words, words);
	return run_command(command, n_words - used, words + used, seen, &options);
}

int
main(int argc, char **argv)
{
	/* Room for all there can be. */
	const char **charges = calloc((size_t)argc + 1, sizeof(*charges));
	const char **traffic = calloc((size_t)argc + 1, sizeof(*traffic));
	enum weir_exit status;

	if (charges == NULL || traffic == NULL || curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
		weir_text_no_memory();
	status = run(argc, argv, charges, traffic);
	free(charges);
	free(traffic);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "weirctl: standard output: %s\n", strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	return (int)status;
}
