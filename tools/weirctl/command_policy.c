/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands about the policy: check, diff, apply, show. */
#include "tools/weirctl/client.h"
#include "tools/weirctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define POLICY_MAX_BYTES (4U << 20) /* Weir takes no longer one */

#define PATH_POLICY      "/v1/policy"
#define PATH_CHECK       "/v1/policy?check=1"

/* Reads a file whole. The caller frees *text. 0 or -errno with a line in error. */
static int
read_policy(const char *name, char **text, size_t *bytes, struct weir_error *error)
{
	FILE *file = fopen(name, "re");
	char *data;
	size_t n;
	int ret;

	if (file == NULL)
		return weir_error_set(error, -errno, "%s: %s", name, strerror(errno));
	data = malloc(POLICY_MAX_BYTES + 1);
	if (data == NULL)
		weir_text_no_memory();
	errno = 0;
	n = fread(data, 1, POLICY_MAX_BYTES + 1, file);
	ret = ferror(file) ? (errno != 0 ? -errno : -EIO) : 0;
	fclose(file);
	if (ret != 0)
		weir_error_set(error, ret, "%s: %s", name, strerror(-ret));
	else if (n > POLICY_MAX_BYTES)
		ret = weir_error_set(error, -EFBIG, "%s: longer than the %u bytes of a policy",
		                     name, POLICY_MAX_BYTES);
	if (ret != 0) {
		free(data);
		return ret;
	}
	*text = data;
	*bytes = n;
	return 0;
}

/* The mark of a change in a diff, or 0 for a word that is none of the API's. */
static char
change_mark(const char *change)
{
	static const struct {
		const char *name;
		char mark;
	} marks[] = {{"loosens", '+'}, {"tightens", '-'}, {"neutral", '='}, {"restart", '!'}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strcmp(change, marks[i].name) == 0)
			return marks[i].mark;
	}
	return 0;
}

/* Checks the shape of a verdict of 200. */
static int
check_verdict(const json_t *verdict, struct weir_error *error)
{
	const json_t *changes = json_object_get(verdict, "changes"), *change;
	size_t i;

	if (!json_is_true(json_object_get(verdict, "ok")) || !json_is_array(changes) ||
	    !json_is_integer(json_object_get(verdict, "generation")) ||
	    !json_is_boolean(json_object_get(verdict, "restart")))
		return weir_error_set(error, -EPROTO,
		                      PATH_POLICY
		                      ": the answer lacks ok, generation, restart or changes");
	json_array_foreach (changes, i, change) {
		const char *word = json_string_value(json_object_get(change, "change"));

		if (word == NULL || change_mark(word) == 0 ||
		    !json_is_string(json_object_get(change, "what")))
			return weir_error_set(error, -EPROTO,
			                      PATH_POLICY ": changes[%zu] is not a change", i);
	}
	return 0;
}

/* Weir calls what it was sent "policy": gives the error the name of the file instead. */
static void
name_file(const char *file, struct weir_error *error)
{
	struct weir_error sent = *error;

	if (strncmp(sent.line, "policy:", 7) == 0)
		weir_error_set(error, 0, "%s%s", file, sent.line + 6);
}

/*
 * Posts options->file. On success *verdict is the server's, checked. Otherwise prints the error and
 * returns the exit status.
 */
static enum weir_exit
post_policy(const struct weir_options *options, const char *path, json_t **verdict)
{
	struct weir_answer answer = {0};
	struct weir_error error;
	enum weir_exit status = WEIR_EXIT_FAILED;
	char *text = NULL;
	size_t bytes = 0;
	int ret;

	if (read_policy(options->file, &text, &bytes, &error) != 0)
		return weir_command_fail(options, WEIR_EXIT_USAGE, &error);
	ret = weir_client_post(options->socket, path, text, bytes, &answer, &error);
	free(text);
	if (ret != 0)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	if (answer.code != 200) {
		(void)weir_answer_refused(&answer, path, &error);
		/* 400: the policy is bad. Everything else is not the file's fault. */
		if (answer.code == 400) {
			name_file(options->file, &error);
			status = WEIR_EXIT_USAGE;
		}
		weir_answer_free(&answer);
		return weir_command_fail(options, status, &error);
	}
	*verdict = weir_answer_json(&answer, path, &error);
	weir_answer_free(&answer);
	if (*verdict == NULL || check_verdict(*verdict, &error) != 0) {
		json_decref(*verdict);
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	}
	return WEIR_EXIT_OK;
}

static void
print_changes(const json_t *verdict)
{
	const json_t *changes = json_object_get(verdict, "changes"), *change;
	size_t i;

	json_array_foreach (changes, i, change) {
		const char *what = json_string_value(json_object_get(change, "what"));

		printf("%c ", change_mark(json_string_value(json_object_get(change, "change"))));
		weir_text_put(stdout, what, strlen(what), false);
		putchar('\n');
	}
	if (i == 0)
		printf("no change\n");
}

/* Every change that a running Weir can't make, in one line. */
static void
print_restart(const json_t *verdict)
{
	const json_t *changes = json_object_get(verdict, "changes"), *change;
	const char *before = ": ";
	size_t i;

	printf("OK, but needs a restart");
	json_array_foreach (changes, i, change) {
		const char *what = json_string_value(json_object_get(change, "what"));

		if (strcmp(json_string_value(json_object_get(change, "change")), "restart") != 0)
			continue;
		fputs(before, stdout);
		weir_text_put(stdout, what, strlen(what), false);
		before = "; ";
	}
	putchar('\n');
}

enum weir_exit
weir_command_check(const struct weir_options *options)
{
	json_t *verdict;
	enum weir_exit status = post_policy(options, PATH_CHECK, &verdict);

	if (status != WEIR_EXIT_OK)
		return status;
	if (options->json) {
		weir_command_print_json(verdict, false);
	} else {
		if (json_is_true(json_object_get(verdict, "restart")))
			print_restart(verdict);
		else
			printf("OK\n");
		json_decref(verdict);
	}
	return WEIR_EXIT_OK;
}

enum weir_exit
weir_command_diff(const struct weir_options *options)
{
	json_t *verdict;
	enum weir_exit status = post_policy(options, PATH_CHECK, &verdict);

	if (status != WEIR_EXIT_OK)
		return status;
	if (options->json) {
		weir_command_print_json(verdict, false);
	} else {
		print_changes(verdict);
		json_decref(verdict);
	}
	return WEIR_EXIT_OK;
}

enum weir_exit
weir_command_apply(const struct weir_options *options)
{
	json_t *verdict;
	enum weir_exit status = post_policy(options, PATH_POLICY, &verdict);

	if (status != WEIR_EXIT_OK)
		return status;
	if (options->json) {
		weir_command_print_json(verdict, false);
	} else {
		print_changes(verdict);
		printf("in force, generation %" JSON_INTEGER_FORMAT "\n",
		       json_integer_value(json_object_get(verdict, "generation")));
		json_decref(verdict);
	}
	return WEIR_EXIT_OK;
}

enum weir_exit
weir_command_show(const struct weir_options *options)
{
	struct weir_answer answer = {0};
	struct weir_error error;
	char *clean;

	if (weir_client_get(options->socket, PATH_POLICY, &answer, &error) != 0)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	if (answer.code != 200) {
		(void)weir_answer_refused(&answer, PATH_POLICY, &error);
		weir_answer_free(&answer);
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	}
	clean = weir_text_clean(answer.body, answer.bytes, true);
	weir_answer_free(&answer);
	if (options->json)
		weir_command_print_json(weir_command_json(json_pack("{s:s}", "policy", clean)),
		                        false);
	else
		fputs(clean, stdout);
	free(clean);
	return WEIR_EXIT_OK;
}
