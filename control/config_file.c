/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_file.h"

#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a regular file: without O_NONBLOCK, to open a pipe that nobody writes to would block. */
static int
open_file(const char *path, FILE **file)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = 0;
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		rc = -errno;
	else if (S_ISDIR(status.st_mode))
		rc = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		rc = -EINVAL;
	else if ((*file = fdopen(fd, "rb")) == NULL)
		rc = -errno;
	if (rc != 0)
		close(fd);
	return rc;
}

/* Reads a whole file of at most WEIR_POLICY_MAX_BYTES, plus one to see that there is more. */
static int
read_file(FILE *file, char **text, size_t *bytes)
{
	const size_t size = WEIR_POLICY_MAX_BYTES + 1;
	char *buffer = malloc(size);

	if (buffer == NULL)
		return -ENOMEM;
	errno = 0;
	*bytes = fread(buffer, 1, size, file);
	if (ferror(file)) {
		free(buffer);
		return errno != 0 ? -errno : -EIO;
	}
	*text = buffer;
	return 0;
}

int
weir_config_file_read(const char *path, char **text, size_t *bytes, char *error, size_t error_size)
{
	FILE *file = NULL;
	int rc;

	assert(error_size > 0);
	rc = open_file(path, &file);
	if (rc == 0) {
		rc = read_file(file, text, bytes);
		fclose(file);
	}
	if (rc != 0)
		snprintf(error, error_size, "%s: %s", path,
		         rc == -EINVAL ? "expected a regular file" : strerror(-rc));
	return rc;
}
