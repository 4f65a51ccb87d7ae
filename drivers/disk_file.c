/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk_file {
	struct weir_disk disk;
	int fd;
};

static struct disk_file *
file_of(struct weir_disk *disk)
{
	return (struct disk_file *)disk;
}

static int
file_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *at = data;

	while (bytes > 0) {
		ssize_t got = pread(file_of(disk)->fd, at, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO; /* the end of the file */
		at += got;
		bytes -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int
file_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *at = data;

	while (bytes > 0) {
		ssize_t put = pwrite(file_of(disk)->fd, at, bytes, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		at += put;
		bytes -= (size_t)put;
		offset += (uint64_t)put;
	}
	return 0;
}

/* An interrupted sync is an error as well: what it left behind is unknown. */
static int
file_sync(struct weir_disk *disk)
{
	return fdatasync(file_of(disk)->fd) == 0 ? 0 : -errno;
}

static int
file_size(struct weir_disk *disk, uint64_t *bytes)
{
	struct stat st;

	if (fstat(file_of(disk)->fd, &st) != 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static void
file_close(struct weir_disk *disk)
{
	(void)close(file_of(disk)->fd); /* all that matters was synced; there is no one to tell */
	free(disk);
}

static const struct weir_disk_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .size = file_size,
    .close = file_close,
};

/* An open file description's lock: it ends with the descriptor, and not with any other close. */
static int
lock(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* Takes fd in either case. */
static int
wrap(int fd, struct weir_disk **disk)
{
	struct disk_file *file = calloc(1, sizeof(*file));

	if (file == NULL) {
		(void)close(fd);
		return -ENOMEM;
	}
	file->disk.ops = &file_ops;
	file->fd = fd;
	*disk = &file->disk;
	return 0;
}

int
weir_disk_open_file(const char *path, struct weir_disk **disk)
{
	struct stat st;
	int fd, rc;

	/* O_NONBLOCK: a FIFO by that name must not hang the start. It means nothing for files. */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) == 0 ? 0 : -errno;
	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (rc == 0)
		rc = lock(fd);
	if (rc != 0) {
		(void)close(fd);
		return rc;
	}
	return wrap(fd, disk);
}

/* Syncs the folder that path's name is in. */
static int
sync_folder(const char *path)
{
	char copy[PATH_MAX];
	size_t bytes = strlen(path) + 1;
	int fd, rc;

	if (bytes > sizeof(copy))
		return -ENAMETOOLONG;
	memcpy(copy, path, bytes);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) == 0 ? 0 : -errno;
	(void)close(fd);
	return rc;
}

int
weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk)
{
	int fd, rc;

	assert(bytes > 0 && bytes <= INT64_MAX);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	rc = lock(fd);
	if (rc == 0)
		rc = -posix_fallocate(fd, 0, (off_t)bytes);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_folder(path);
	if (rc == 0)
		rc = wrap(fd, disk);
	else
		(void)close(fd);
	if (rc != 0)
		(void)unlink(path); /* this call made it, so this call removes it */
	return rc;
}
