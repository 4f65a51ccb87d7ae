/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weirgen: traffic to try a Weir with, or any other box: sent, replayed, received and measured.
 */
#include "tools/weirgen/help.h"
#include "tools/weirgen/options.h"
#include "tools/weirgen/output.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	const char *usage;
	const char *operand; /* that it needs; NULL: none */
	const char *summary;
	const char *help;
	enum weir_exit (*run)(const struct weir_options *options);
} commands[] = {
    {"send", "PROFILE.yaml --port DEVICE", "PROFILE.yaml", "traffic as a profile describes it",
     weir_help_send, weir_command_send},
    {"replay", "FILE.pcap --port DEVICE", "FILE.pcap", "frames of a capture", weir_help_replay,
     weir_command_replay},
    {"receive", "--port DEVICE", NULL, "measure what arrives", weir_help_receive,
     weir_command_receive},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum weir_exit
weir_command_fail(enum weir_exit status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("weirgen: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

static void
print_help(void)
{
	printf("usage: weirgen COMMAND [OPTION]...\n\n"
	       "Sends traffic to try a box with, and measures what arrives behind it.\n\n"
	       "commands (weirgen help COMMAND tells more):\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-8s %-27s %s\n", commands[i].name, commands[i].usage,
		       commands[i].summary);
	printf("  %-8s %-27s %s\n\n%s", "help", "[COMMAND]", "this text, or about a command",
	       weir_help_port);
}

static enum weir_exit
print_command_help(const struct command *command)
{
	printf("usage: weirgen %s %s [OPTION]...\n\n%s\n%s", command->name, command->usage,
	       command->help, weir_help_port);
	return WEIR_EXIT_OK;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	(void)weir_command_fail(WEIR_EXIT_USAGE,
	                        "%s: expected send, replay, receive or help (see weirgen --help)",
	                        name);
	return NULL;
}

/* Before anything is done: what is written must not be what is read, nor each other. */
static bool
check_outputs(const struct weir_options *options)
{
	const char *paths[] = {options->output, options->json};
	char error[512];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i] == NULL || strcmp(paths[i], "-") == 0)
			continue;
		if (weir_output_check(paths[i], options->file, error, sizeof(error)) == 0)
			continue;
		(void)weir_command_fail(WEIR_EXIT_USAGE, "%s", error);
		return false;
	}
	if (options->output == NULL || options->json == NULL ||
	    !weir_output_same(options->output, options->json))
		return true;
	(void)weir_command_fail(WEIR_EXIT_USAGE,
	                        "--json: %s: expected another file than that of "
	                        "--write or --capture",
	                        options->json);
	return false;
}

static enum weir_exit
run_command(const struct command *command, int n_operands, char **operands,
            struct weir_options *options)
{
	int expected = command->operand != NULL;

	if (n_operands < expected)
		return weir_command_fail(WEIR_EXIT_USAGE, "%s: expected %s behind it",
		                         command->name, command->operand);
	if (n_operands > expected)
		return weir_command_fail(WEIR_EXIT_USAGE, "%s: expected nothing more",
		                         operands[expected]);
	if (command->operand != NULL)
		options->file = operands[0];
	if (options->device == NULL && (options->output == NULL || command->operand == NULL))
		return weir_command_fail(WEIR_EXIT_USAGE,
		                         "%s: expected --port DEVICE (see weirgen "
		                         "help %s)",
		                         command->name, command->name);
	if (options->device != NULL && options->output != NULL && command->operand != NULL)
		return weir_command_fail(WEIR_EXIT_USAGE, "--write: expected no --port beside it");
	return check_outputs(options) ? command->run(options) : WEIR_EXIT_USAGE;
}

static enum weir_exit
run(int argc, char **argv)
{
	static struct weir_options options;
	enum weir_exit status = weir_options_parse(argc, argv, &options);
	const struct command *command;
	int n_words = argc - optind;
	char **words = argv + optind;
	bool help = options.help;

	if (status != WEIR_EXIT_OK)
		return status;
	if (options.version) {
		printf("weirgen %s\n", WEIR_VERSION);
		return WEIR_EXIT_OK;
	}
	if (n_words > 0 && strcmp(words[0], "help") == 0) {
		help = true;
		n_words--;
		words++;
	}
	if (n_words == 0 && help) {
		print_help();
		return WEIR_EXIT_OK;
	}
	if (n_words == 0)
		return weir_command_fail(WEIR_EXIT_USAGE,
		                         "expected a command (see weirgen --help)");
	command = find_command(words[0]);
	if (command == NULL)
		return WEIR_EXIT_USAGE;
	return help ? print_command_help(command)
	            : run_command(command, n_words - 1, words + 1, &options);
}

int
main(int argc, char **argv)
{
	enum weir_exit status = run(argc, argv);

	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout) || weir_output_lost(0) != 0) {
		int cause = weir_output_lost(errno);

		/* Where an earlier line was lost, nobody knows any more why. */
		fprintf(stderr, "weirgen: standard output: %s\n",
		        cause != 0 ? strerror(cause) : "not all could be written");
		return WEIR_EXIT_FAILED;
	}
	return (int)status;
}
