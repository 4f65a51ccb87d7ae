/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzzer's function on every file of a corpus folder, without libFuzzer: so the corpora are
 * ordinary tests, with any compiler and under the sanitizers.
 *
 * usage: replay_NAME FOLDER
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX_BYTES (4U << 20)
#define FILES_MAX       10000U

/* The fuzzer's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path)
{
	static uint8_t buffer[INPUT_MAX_BYTES];
	FILE *file = fopen(path, "rb");
	size_t bytes;
	uint8_t *exact;

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	bytes = fread(buffer, 1, sizeof(buffer), file);
	if (ferror(file) != 0 || fgetc(file) != EOF) {
		fprintf(stderr, "%s: can't be read, or over %u bytes\n", path, INPUT_MAX_BYTES);
		(void)fclose(file);
		return -1;
	}
	(void)fclose(file);
	/* Memory of exactly that size, so that a sanitizer sees the first byte too many. */
	exact = malloc(bytes > 0 ? bytes : 1);
	if (exact == NULL)
		return -1;
	if (bytes > 0)
		memcpy(exact, buffer, bytes);
	(void)LLVMFuzzerTestOneInput(exact, bytes);
	free(exact);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned int replayed = 0;
	struct dirent *entry;
	DIR *folder;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = opendir(argv[1]);
	if (folder == NULL) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	while ((entry = readdir(folder)) != NULL && replayed < FILES_MAX) {
		char path[4096];
		int length;

		if (entry->d_name[0] == '.')
			continue;
		length = snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		if (length < 0 || (size_t)length >= sizeof(path) || replay_file(path) != 0) {
			(void)closedir(folder);
			return 1;
		}
		replayed++;
	}
	(void)closedir(folder);
	printf("%u inputs replayed\n", replayed);
	return replayed > 0 ? 0 : 1;
}
