/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/command.h"

#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *
weir_command_json(json_t *json)
{
	if (json == NULL)
		weir_text_no_memory();
	return json;
}

/* As many as Weir sends: of the time up, still 0.1 ms after a year. */
#define REAL_DIGITS 12

/* jansson escapes every control character but this one, which can only be part of a string. */
#define DELETE '\x7f'

/* A stream that can't be written is found by the check at the end of main. */
static int
write_json(const char *text, size_t bytes, void *arg)
{
	(void)arg;
	while (bytes > 0) {
		const char *found = memchr(text, DELETE, bytes);
		size_t part = found != NULL ? (size_t)(found - text) : bytes;

		fwrite(text, 1, part, stdout);
		if (found != NULL) {
			fputs("\\u007F", stdout);
			part++;
		}
		text += part;
		bytes -= part;
	}
	return 0;
}

void
weir_command_print_json(json_t *json, bool one_line)
{
	size_t flags = JSON_ENSURE_ASCII | JSON_REAL_PRECISION(REAL_DIGITS);

	if (json_dump_callback(json, write_json, NULL,
	                       flags | (one_line ? JSON_COMPACT : JSON_INDENT(2))) != 0)
		weir_text_no_memory();
	putchar('\n');
	json_decref(json);
}

enum weir_exit
weir_command_fail(const struct weir_options *options, enum weir_exit status,
                  const struct weir_error *error)
{
	char *clean = weir_text_clean(error->line, strlen(error->line), false);

	fflush(stdout);
	fprintf(stderr, "weirctl: %s\n", clean);
	if (options->json)
		weir_command_print_json(
		    weir_command_json(json_pack("{s:b, s:s}", "ok", 0, "error", clean)), true);
	free(clean);
	return status;
}

enum weir_exit
weir_command_load_policy(const struct weir_options *options, struct weir_config **config)
{
	struct weir_error error;
	int rc = weir_config_load(options->file, config, error.line, sizeof(error.line));

	if (rc == -ENOMEM)
		weir_text_no_memory();
	return rc == 0 ? WEIR_EXIT_OK : weir_command_fail(options, WEIR_EXIT_USAGE, &error);
}

void
weir_command_wait(uint64_t ns)
{
	struct timespec rest = {(time_t)(ns / 1000000000U), (long)(ns % 1000000000U)};

	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		;
}
