/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/client.h"
#include "tools/weirctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Prints one event of the stream. Anything that is not one ends the watch. */
static int
print_event(void *arg, const char *line, size_t bytes, struct weir_error *error)
{
	const struct weir_options *options = arg;
	json_error_t why;
	json_t *event = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &why);
	json_int_t number;
	const char *time, *severity, *kind, *message;
	int ret = 0;

	if (event == NULL)
		return weir_error_set(error, -EPROTO, "/v1/events: a line is not JSON: %s",
		                      why.text);
	if (json_unpack(event, "{s:I, s:s, s:s, s:s, s:s}", "number", &number, "time", &time,
	                "severity", &severity, "kind", &kind, "message", &message) != 0) {
		json_decref(event);
		return weir_error_set(error, -EPROTO,
		                      "/v1/events: a line lacks one of number, time, severity, "
		                      "kind, message");
	}
	if (options->json) {
		weir_command_print_json(json_incref(event), true);
	} else {
		const json_t *missed = json_object_get(event, "missed");
		char *text;

		if (json_is_integer(missed))
			printf("(%" JSON_INTEGER_FORMAT " earlier events are forgotten)\n",
			       json_integer_value(missed));
		if (asprintf(&text, "%" JSON_INTEGER_FORMAT "  %s  %-7s  %s: %s", number, time,
		             severity, kind, message) < 0)
			weir_text_no_memory();
		weir_text_put(stdout, text, strlen(text), false);
		putchar('\n');
		free(text);
	}
	json_decref(event);
	if (fflush(stdout) != 0)
		ret = weir_error_set(error, -EPIPE, "standard output: %s", strerror(errno));
	return ret;
}

enum weir_exit
weir_command_watch(const struct weir_options *options)
{
	struct weir_error error;
	struct weir_options copy = *options;
	char path[64];

	snprintf(path, sizeof(path), "/v1/events?after=%" PRIu64, options->after);
	if (weir_client_stream(options->socket, path, print_event, &copy, &error) != 0)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	return WEIR_EXIT_OK;
}
