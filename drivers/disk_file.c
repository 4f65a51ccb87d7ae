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

#define ZEROS_BYTES (1U << 20) /* written at one time by creation */

struct disk_file {
	struct weir_disk disk;
	int fd;
};

static struct disk_file *
file_of(struct weir_disk *disk)
{
	return (struct disk_file *)disk;
}

static bool
is_aligned(const void *data, size_t bytes, uint64_t offset)
{
	return ((uintptr_t)data | bytes | offset) % WEIR_DISK_BLOCK_BYTES == 0;
}

static int
file_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *at = data;

	assert(is_aligned(data, bytes, offset));
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

	assert(is_aligned(data, bytes, offset));
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
	int fd = file_of(disk)->fd;

	if (fdatasync(fd) != 0)
		return -errno;
	/* Only a hint: where it is not taken, what is read back proves less. */
	if (!disk->direct)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int
refuse_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	(void)disk;
	(void)data;
	(void)bytes;
	(void)offset;
	return -EROFS;
}

static int
refuse_sync(struct weir_disk *disk)
{
	(void)disk;
	return -EROFS;
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

static const struct weir_disk_ops reader_ops = {
    .read = file_read,
    .write = refuse_write,
    .sync = refuse_sync,
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

/* Whether another descriptor holds the lock. */
static int
look_at_lock(int fd, bool *in_use)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_GETLK, &whole) != 0)
		return -errno;
	*in_use = whole.l_type != F_UNLCK;
	return 0;
}

/*
 * Goes past the page cache where the file system can: some refuse that at once, some only when a
 * block is read. direct: whether it does.
 */
static int
set_direct(int fd, bool *direct)
{
	uint8_t *block = aligned_alloc(WEIR_DISK_BLOCK_BYTES, WEIR_DISK_BLOCK_BYTES);
	int flags = fcntl(fd, F_GETFL), rc = 0;

	if (block == NULL || flags < 0) {
		rc = block == NULL ? -ENOMEM : -errno;
	} else {
		*direct = fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
		if (*direct && pread(fd, block, WEIR_DISK_BLOCK_BYTES, 0) < 0 && errno == EINVAL) {
			*direct = false;
			rc = fcntl(fd, F_SETFL, flags) == 0 ? 0 : -errno;
		}
	}
	free(block);
	return rc;
}

/* Takes fd in either case. */
static int
wrap(int fd, const struct weir_disk_ops *ops, struct weir_disk **disk)
{
	struct disk_file *file = calloc(1, sizeof(*file));
	int rc = file != NULL ? set_direct(fd, &file->disk.direct) : -ENOMEM;

	if (rc != 0) {
		free(file);
		(void)close(fd);
		return rc;
	}
	file->disk.ops = ops;
	file->fd = fd;
	*disk = &file->disk;
	return 0;
}

/* Opens a regular file; the descriptor, or -errno. */
static int
open_regular(const char *path, int flags)
{
	struct stat st;
	int fd, rc;

	/* O_NONBLOCK: a FIFO by that name must not hang the start. It means nothing for files. */
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) == 0 ? 0 : -errno;
	if (rc == 0 && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}

int
weir_disk_open_file(const char *path, struct weir_disk **disk)
{
	int fd = open_regular(path, O_RDWR), rc;

	if (fd < 0)
		return fd;
	rc = lock(fd);
	if (rc == 0)
		return wrap(fd, &file_ops, disk);
	(void)close(fd);
	return rc;
}

int
weir_disk_open_reader(const char *path, struct weir_disk **disk, bool *in_use)
{
	int fd = open_regular(path, O_RDONLY), rc = 0;

	if (fd < 0)
		return fd;
	if (in_use != NULL)
		rc = look_at_lock(fd, in_use);
	if (rc == 0)
		return wrap(fd, &reader_ops, disk);
	(void)close(fd);
	return rc;
}

int
weir_disk_sync_folder(const char *path)
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

static int
write_zeros(struct weir_disk *disk, uint64_t bytes)
{
	uint8_t *zeros = aligned_alloc(WEIR_DISK_BLOCK_BYTES, ZEROS_BYTES);
	int rc = 0;

	if (zeros == NULL)
		return -ENOMEM;
	memset(zeros, 0, ZEROS_BYTES);
	for (uint64_t at = 0; at < bytes && rc == 0; at += ZEROS_BYTES) {
		uint64_t part = bytes - at < ZEROS_BYTES ? bytes - at : ZEROS_BYTES;

		rc = disk->ops->write(disk, zeros, part, at);
	}
	free(zeros);
	return rc;
}

int
weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk)
{
	struct weir_disk *made = NULL;
	int fd, rc;

	assert(bytes > 0 && bytes <= INT64_MAX && bytes % WEIR_DISK_BLOCK_BYTES == 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	rc = lock(fd);
	if (rc == 0) /* before a byte is written: a full disk says so here */
		rc = -posix_fallocate(fd, 0, (off_t)bytes);
	if (rc == 0)
		rc = wrap(fd, &file_ops, &made);
	else
		(void)close(fd);
	if (rc == 0)
		rc = write_zeros(made, bytes);
	if (rc == 0 && fsync(file_of(made)->fd) != 0)
		rc = -errno;
	if (rc == 0)
		rc = weir_disk_sync_folder(path);
	if (rc == 0) {
		*disk = made;
		return 0;
	}
	(void)unlink(path); /* this call made it, so this call removes it */
	if (made != NULL)
		made->ops->close(made);
	return rc;
}
