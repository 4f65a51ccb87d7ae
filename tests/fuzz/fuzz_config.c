/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a policy file. No input may crash the parser or make it lose memory; a refusal is
 * one line; and what is accepted is printed as a policy that is accepted again, differs in nothing
 * and prints the same.
 */
#include "control/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
refuse_difference(void *arg, enum weir_change change, const char *what)
{
	(void)arg;
	(void)change;
	fprintf(stderr, "a policy and its print differ: %s\n", what);
	abort();
}

static void
check_refusal(const char *error)
{
	assert(strncmp(error, "fuzz:", 5) == 0);
	assert(strstr(error, ": expected ") != NULL);
	for (; *error != '\0'; error++)
		assert(*error >= 0x20 && *error <= 0x7e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_config *config = NULL, *again = NULL;
	char error[512], *text = NULL, *text_again = NULL;
	int rc = weir_config_parse("fuzz", (const char *)data, size, &config, error, sizeof(error));

	if (rc != 0) {
		assert(rc == -EINVAL && config == NULL);
		check_refusal(error);
		return 0;
	}
	if (weir_config_print(config, &text) != 0)
		abort();
	rc = weir_config_parse("print", text, strlen(text), &again, error, sizeof(error));
	if (rc != 0) {
		fprintf(stderr, "%s\n%s", error, text);
		abort();
	}
	weir_config_diff(config, again, NULL, refuse_difference, NULL);
	if (weir_config_print(again, &text_again) != 0 || strcmp(text, text_again) != 0)
		abort();
	free(text);
	free(text_again);
	weir_config_free(config);
	weir_config_free(again);
	return 0;
}
