/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl: asks a running Weir, and tells it. One process, one command, one answer. */
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
enum { TAKES_COUNT = 1, TAKES_INTERVAL = 2, TAKES_AFTER = 4 };

static const struct command {
	const char *name;
	const char *usage; /* behind the name; commands that take a file end in FILE */
	unsigned int takes;
	bool file;
	const char *summary;
	const char *help;
	enum weir_exit (*run)(const struct weir_options *options);
} commands[] = {
    {"status", "", 0, false, "what Weir does now, and what has passed", weir_help_status,
     weir_command_status},
    {"top", "[-n COUNT] [-i INTERVAL]", TAKES_COUNT | TAKES_INTERVAL, false,
     "live rates, queues, drops and budgets", weir_help_top, weir_command_top},
    {"watch", "[--after N]", TAKES_AFTER, false, "events as they happen", weir_help_watch,
     weir_command_watch},
    {"check", "FILE", 0, true, "validate a policy file", weir_help_check, weir_command_check},
    {"diff", "FILE", 0, true, "what a policy file would change", weir_help_diff, weir_command_diff},
    {"apply", "FILE", 0, true, "put a policy file in force", weir_help_apply, weir_command_apply},
    {"show", "", 0, false, "the policy in force", weir_help_show, weir_command_show},
    {"stop", "", 0, false, "stop Weir cleanly, and wait for it", weir_help_stop, weir_command_stop},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_help(void)
{
	printf("usage: weirctl [--socket PATH] [--json] COMMAND\n\n"
	       "Asks a running Weir, and tells it: over its control socket, on this machine.\n\n"
	       "commands (weirctl help COMMAND tells more):\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-6s %-25s %s\n", commands[i].name, commands[i].usage,
		       commands[i].summary);
	printf("  %-6s %-25s %s\n\n%s", "help", "[COMMAND]", "this text, or about a command",
	       weir_help_options);
}

static enum weir_exit
print_command_help(const struct command *command)
{
	printf("usage: weirctl [--socket PATH] [--json] %s%s%s\n\n%s", command->name,
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
	    {"after", required_argument, NULL, 'a'},  {NULL, 0, NULL, 0},
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
		return bad_usage("-i", "only top takes it");
	if ((seen & ~command->takes & TAKES_AFTER) != 0)
		return bad_usage("--after", "only watch takes it");
	if (command->file && n_operands == 0)
		return bad_usage(command->name, "expected FILE behind it");
	if (n_operands > (command->file ? 1 : 0))
		return bad_usage(operands[command->file ? 1 : 0], "expected nothing more");
	if (command->file)
		options->file = operands[0];
	return command->run(options);
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* "help [COMMAND]" */
static enum weir_exit
run_help(int n_operands, char **operands)
{
	const struct command *command;

	if (n_operands == 0) {
		print_help();
		return WEIR_EXIT_OK;
	}
	if (n_operands > 1)
		return bad_usage(operands[1], "expected nothing more");
	command = find_command(operands[0]);
	return command != NULL ? print_command_help(command)
	                       : bad_usage(operands[0], "unknown command");
}

static enum weir_exit
run(int argc, char **argv)
{
	const char *socket = getenv("WEIR_SOCKET");
	struct weir_options options = {
	    .socket = socket != NULL && *socket != '\0' ? socket : DEFAULT_SOCKET,
	    .interval_ns = DEFAULT_INTERVAL,
	};
	unsigned int seen = 0;
	enum weir_exit status = parse_options(argc, argv, &options, &seen);
	const struct command *command;

	if (status != WEIR_EXIT_OK)
		return status;
	if (options.version) {
		printf("weirctl %s\n", WEIR_VERSION);
		return WEIR_EXIT_OK;
	}
	if (optind == argc)
		return options.help ? run_help(0, NULL) : bad_usage(NULL, "expected a command");
	if (strcmp(argv[optind], "help") == 0)
		return run_help(argc - optind - 1, argv + optind + 1);
	command = find_command(argv[optind]);
	if (command == NULL)
		return bad_usage(argv[optind], "unknown command");
	return run_command(command, argc - optind - 1, argv + optind + 1, seen, &options);
}

int
main(int argc, char **argv)
{
	enum weir_exit status;

	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
		weir_text_no_memory();
	status = run(argc, argv);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "weirctl: standard output: %s\n", strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	return (int)status;
}
