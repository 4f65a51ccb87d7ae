/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
fail(int result, const char *path, const char *what, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: %s", path, what);
	return result;
}

/* The folder of a path, which ends with "/". */
static int
folder_of(const char *path, char folder[PATH_MAX])
{
	const char *name = strrchr(path, '/');
	size_t bytes = name == NULL ? 0 : (size_t)(name + 1 - path);

	if (bytes >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(folder, path, bytes);
	memcpy(folder + bytes, bytes == 0 ? "./" : "", bytes == 0 ? sizeof("./") : 1);
	return 0;
}

/* Whether a file may be made there. */
static int
check_folder(const char *path, char *error, size_t error_size)
{
	char folder[PATH_MAX];
	int result = folder_of(path, folder);

	if (result == 0 && access(folder, W_OK | X_OK) != 0)
		result = -errno;
	return result == 0 ? 0 : fail(result, path, strerror(-result), error, error_size);
}

/* Whether a file may be made in its place. 1: it is no regular file, and is to be opened. */
static int
check(const char *path, const char *input, mode_t *mode, char *error, size_t error_size)
{
	struct stat itself, target, other;
	mode_t mask = umask(0);

	(void)umask(mask);
	*mode = 0666 & ~mask;
	if (lstat(path, &itself) != 0) {
		if (errno == ENOENT)
			return check_folder(path, error, error_size);
		return fail(-errno, path, strerror(errno), error, error_size);
	}
	if (stat(path, &target) == 0 && (S_ISCHR(target.st_mode) || S_ISFIFO(target.st_mode)))
		return 1;
	if (S_ISLNK(itself.st_mode))
		return fail(-EINVAL, path, "a symbolic link: expected the file's own name", error,
		            error_size);
	if (!S_ISREG(itself.st_mode))
		return fail(-EINVAL, path, "no regular file", error, error_size);
	if (input != NULL && stat(input, &other) == 0 && other.st_dev == itself.st_dev &&
	    other.st_ino == itself.st_ino)
		return fail(-EINVAL, path, "the file that is read: expected another", error,
		            error_size);
	*mode = itself.st_mode & 0777;
	return 0;
}

int
weir_output_check(const char *path, const char *input, char *error, size_t error_size)
{
	mode_t mode;
	int result = check(path, input, &mode, error, error_size);

	return result < 0 ? result : 0;
}

bool
weir_output_same(const char *one, const char *other)
{
	const char *names[] = {strrchr(one, '/'), strrchr(other, '/')};
	char folders[2][PATH_MAX];
	struct stat at[2];

	if (strcmp(names[0] == NULL ? one : names[0] + 1,
	           names[1] == NULL ? other : names[1] + 1) != 0)
		return false;
	return folder_of(one, folders[0]) == 0 && folder_of(other, folders[1]) == 0 &&
	       stat(folders[0], &at[0]) == 0 && stat(folders[1], &at[1]) == 0 &&
	       at[0].st_dev == at[1].st_dev && at[0].st_ino == at[1].st_ino;
}

int
weir_output_open(const char *path, const char *input, struct weir_output *output, char *error,
                 size_t error_size)
{
	const char *name = strrchr(path, '/');
	int folder = name == NULL ? 0 : (int)(name + 1 - path), length, result;
	mode_t mode;

	*output = (struct weir_output){.fd = -1};
	name = path + folder;
	length = snprintf(output->path, sizeof(output->path), "%s", path);
	if (length < 0 || (size_t)length >= sizeof(output->path))
		return fail(-ENAMETOOLONG, path, strerror(ENAMETOOLONG), error, error_size);
	result = check(path, input, &mode, error, error_size);
	if (result < 0)
		return result;
	if (result == 1) {
		output->fd = open(path, O_WRONLY | O_CLOEXEC);
		return output->fd >= 0 ? 0 : fail(-errno, path, strerror(errno), error, error_size);
	}
	length = snprintf(output->temporary, sizeof(output->temporary), "%.*s.%.200s.XXXXXX",
	                  folder, path, name);
	if (length < 0 || (size_t)length >= sizeof(output->temporary))
		return fail(-ENAMETOOLONG, path, strerror(ENAMETOOLONG), error, error_size);
	output->fd = mkostemp(output->temporary, O_CLOEXEC);
	if (output->fd < 0)
		return fail(-errno, path, strerror(errno), error, error_size);
	if (fchmod(output->fd, mode) != 0) {
		result = fail(-errno, path, strerror(errno), error, error_size);
		(void)close(output->fd);
		weir_output_drop(output);
	}
	return result;
}

int
weir_output_keep(struct weir_output *output)
{
	int result = 0;

	if (output->temporary[0] != '\0' && rename(output->temporary, output->path) != 0) {
		result = -errno;
		(void)unlink(output->temporary);
	}
	output->temporary[0] = '\0';
	return result;
}

void
weir_output_drop(struct weir_output *output)
{
	if (output->temporary[0] != '\0')
		(void)unlink(output->temporary);
	output->temporary[0] = '\0';
}

int
weir_output_lost(int cause)
{
	static int first;

	if (first == 0)
		first = cause;
	return first;
}
