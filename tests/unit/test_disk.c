/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk behind the ledger, on a real file. */
#include "drivers/disk.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdalign.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNCS_MAX 8U

/*
 * Linked with --wrap: what was synced, and which of the calls is to fail; and reads that say that
 * the file system can't go past the page cache.
 */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* By either name, whichever the C library uses. */
ssize_t __real_pread(int fd, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t offset);
ssize_t __real_pread64(int fd, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t bytes, off_t offset);

static bool refuse_direct;

static bool
is_refused(int fd)
{
	errno = EINVAL;
	return refuse_direct && (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
}

ssize_t
__wrap_pread(int fd, void *data, size_t bytes, off_t offset)
{
	return is_refused(fd) ? -1 : __real_pread(fd, data, bytes, offset);
}

ssize_t
__wrap_pread64(int fd, void *data, size_t bytes, off_t offset)
{
	return is_refused(fd) ? -1 : __real_pread64(fd, data, bytes, offset);
}

static struct {
	struct stat of[SYNCS_MAX];
	bool data_only[SYNCS_MAX];
	uint32_t count;
	uint32_t fail_at; /* 0: none; 1: the first */
	int error;
} syncs;

static bool
note_sync(int fd, bool data_only)
{
	if (syncs.count == SYNCS_MAX)
		syncs.count = 0; /* of tests that don't look */
	if (fstat(fd, &syncs.of[syncs.count]) != 0)
		abort();
	syncs.data_only[syncs.count++] = data_only;
	errno = syncs.error;
	return syncs.count != syncs.fail_at;
}

int
__wrap_fsync(int fd)
{
	return note_sync(fd, false) ? __real_fsync(fd) : -1;
}

int
__wrap_fdatasync(int fd)
{
	return note_sync(fd, true) ? __real_fdatasync(fd) : -1;
}

static char folder[64];

static const char *
make_path(const char *name)
{
	static char path[128];

	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "/tmp/weir-test-disk-XXXXXX");
		if (mkdtemp(folder) == NULL)
			abort();
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* Aligned as disks want it. */
static alignas(4096) uint8_t data[3 * 4096], again[3 * 4096];

static void
fill(void)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251 + 1);
}

static void
test_create(void)
{
	const char *path = make_path("ledger");
	struct weir_disk *disk, *other;
	struct stat st;
	uint64_t bytes;

	CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, 65536, &disk), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(st.st_size, 65536);
	CU_ASSERT(st.st_blocks * 512 >= 65536);
	CU_ASSERT_EQUAL(disk->ops->size(disk, &bytes), 0);
	CU_ASSERT_EQUAL(bytes, 65536);

	CU_ASSERT_EQUAL(weir_disk_create_file(path, 65536, &other), -EEXIST);
	CU_ASSERT_EQUAL(weir_disk_open_file(path, &other), -EBUSY);

	fill();
	CU_ASSERT_EQUAL(disk->ops->write(disk, data, sizeof(data), 8192), 0);
	CU_ASSERT_EQUAL(disk->ops->sync(disk), 0);
	disk->ops->close(disk);

	CU_ASSERT_EQUAL_FATAL(weir_disk_open_file(path, &disk), 0);
	CU_ASSERT_EQUAL(disk->ops->read(disk, again, sizeof(again), 8192), 0);
	CU_ASSERT_EQUAL(memcmp(data, again, sizeof(data)), 0);
	CU_ASSERT_EQUAL(disk->ops->read(disk, again, 4096, 4096), 0);
	CU_ASSERT(again[0] == 0 && memcmp(again, again + 1, 4095) == 0);
	/* Fewer bytes than asked is an error. */
	CU_ASSERT_EQUAL(disk->ops->read(disk, again, 8192, 65536 - 4096), -EIO);
	disk->ops->close(disk);
	unlink(path);
}

static void
test_refusals(void)
{
	struct weir_disk *disk;
	const char *path;

	CU_ASSERT_EQUAL(weir_disk_open_file(make_path("missing"), &disk), -ENOENT);
	CU_ASSERT_EQUAL(weir_disk_create_file(make_path("no/such/folder"), 4096, &disk), -ENOENT);
	path = make_path("fifo");
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(weir_disk_open_file(path, &disk), -EINVAL);
	unlink(path);
	CU_ASSERT_EQUAL(weir_disk_open_file(make_path("."), &disk), -EISDIR);
	/* No room: nothing is left behind. */
	path = make_path("huge");
	CU_ASSERT(weir_disk_create_file(path, UINT64_C(1) << 60, &disk) < 0);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static bool
was_synced(uint32_t call, const char *path)
{
	struct stat st;

	return call < syncs.count && stat(path, &st) == 0 && st.st_ino == syncs.of[call].st_ino &&
	       st.st_dev == syncs.of[call].st_dev;
}

/* A new file and its name are durable when it is there, a write when the sync says so. */
static void
test_syncs(void)
{
	const char *path = make_path("synced");
	struct weir_disk *disk;

	memset(&syncs, 0, sizeof(syncs));
	CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, 65536, &disk), 0);
	CU_ASSERT_EQUAL(syncs.count, 2);
	CU_ASSERT(was_synced(0, path) && !syncs.data_only[0]);
	CU_ASSERT(was_synced(1, folder));
	syncs.count = 0;
	CU_ASSERT_EQUAL(disk->ops->write(disk, data, 4096, 0), 0);
	CU_ASSERT_EQUAL(syncs.count, 0);
	CU_ASSERT_EQUAL(disk->ops->sync(disk), 0);
	CU_ASSERT_EQUAL(syncs.count, 1);
	CU_ASSERT(was_synced(0, path));
	/* Told, whatever it is, and never tried again. */
	syncs.fail_at = 2;
	syncs.error = EIO;
	CU_ASSERT_EQUAL(disk->ops->sync(disk), -EIO);
	syncs.fail_at = 3;
	syncs.error = EINTR;
	CU_ASSERT_EQUAL(disk->ops->sync(disk), -EINTR);
	CU_ASSERT_EQUAL(syncs.count, 3);
	disk->ops->close(disk);
	unlink(path);
	memset(&syncs, 0, sizeof(syncs));
}

/* A file that is not durable, or its name, is removed again. */
static void
test_create_without_sync(void)
{
	const char *path = make_path("unsynced");
	struct weir_disk *disk;

	for (uint32_t call = 1; call <= 2; call++) {
		memset(&syncs, 0, sizeof(syncs));
		syncs.fail_at = call;
		syncs.error = EIO;
		CU_ASSERT_EQUAL(weir_disk_create_file(path, 65536, &disk), -EIO);
		CU_ASSERT_EQUAL(syncs.count, call);
		CU_ASSERT_EQUAL(access(path, F_OK), -1);
	}
	memset(&syncs, 0, sizeof(syncs));
}

/* Every block of a new file was written: none is only reserved. */
static void
test_no_reserved_blocks(void)
{
	const char *path = make_path("written");
	static union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) + 64 * sizeof(struct fiemap_extent)];
	} found;
	uint64_t bytes = (3U << 20) + 4096, covered = 0;
	struct weir_disk *disk;
	int fd;

	CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, bytes, &disk), 0);
	fd = open(path, O_RDONLY);
	CU_ASSERT_FATAL(fd >= 0);
	found.map.fm_length = FIEMAP_MAX_OFFSET;
	found.map.fm_extent_count = 64;
	if (ioctl(fd, FS_IOC_FIEMAP, &found.map) == 0) {
		for (uint32_t i = 0; i < found.map.fm_mapped_extents; i++) {
			CU_ASSERT_EQUAL(found.map.fm_extents[i].fe_flags &
			                    (FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_DELALLOC),
			                0);
			covered += found.map.fm_extents[i].fe_length;
		}
		CU_ASSERT(covered >= bytes);
	} else {
		printf("    the file system tells of no extents: %s\n", strerror(errno));
	}
	(void)close(fd);
	for (uint64_t at = 0; at < bytes; at += 4096) {
		memset(again, 1, 4096);
		CU_ASSERT_EQUAL(disk->ops->read(disk, again, 4096, at), 0);
		CU_ASSERT(again[0] == 0 && memcmp(again, again + 1, 4095) == 0);
	}
	disk->ops->close(disk);
	unlink(path);
}

/* Past the page cache where the file system can, and the same without. */
static void
test_direct(void)
{
	const char *path = make_path("direct");
	struct weir_disk *disk;
	int fd;

	fill();
	for (uint32_t refused = 0; refused < 2; refused++) {
		refuse_direct = refused;
		CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, 65536, &disk), 0);
		fd = open(path, O_RDONLY | O_DIRECT);
		CU_ASSERT_EQUAL(disk->direct, fd >= 0 && !refused);
		printf("    past the page cache: %s\n", disk->direct ? "yes" : "no");
		if (fd >= 0)
			(void)close(fd);
		CU_ASSERT_EQUAL(disk->ops->write(disk, data, sizeof(data), 4096), 0);
		CU_ASSERT_EQUAL(disk->ops->sync(disk), 0);
		memset(again, 0, sizeof(again));
		CU_ASSERT_EQUAL(disk->ops->read(disk, again, sizeof(again), 4096), 0);
		CU_ASSERT_EQUAL(memcmp(data, again, sizeof(data)), 0);
		disk->ops->close(disk);
		CU_ASSERT_EQUAL_FATAL(weir_disk_open_file(path, &disk), 0);
		memset(again, 0, sizeof(again));
		CU_ASSERT_EQUAL(disk->ops->read(disk, again, sizeof(again), 4096), 0);
		CU_ASSERT_EQUAL(memcmp(data, again, sizeof(data)), 0);
		disk->ops->close(disk);
		unlink(path);
	}
	refuse_direct = false;
	memset(&syncs, 0, sizeof(syncs));
}

/* Whether a second process is kept out. */
static int
open_elsewhere(const char *path)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct weir_disk *disk;

		_exit(-weir_disk_open_file(path, &disk));
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		abort();
	return -WEXITSTATUS(status);
}

/* Readers disturb nobody, change nothing and see who is there. */
static void
test_reader(void)
{
	const char *path = make_path("read");
	struct weir_disk *disk, *reader, *second;
	bool in_use = false;
	uint64_t bytes;

	fill();
	CU_ASSERT_EQUAL(weir_disk_open_reader(path, &reader, &in_use), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, 65536, &disk), 0);
	CU_ASSERT_EQUAL(disk->ops->write(disk, data, sizeof(data), 0), 0);
	CU_ASSERT_EQUAL(disk->ops->sync(disk), 0);
	CU_ASSERT_EQUAL_FATAL(weir_disk_open_reader(path, &reader, &in_use), 0);
	CU_ASSERT(in_use);
	CU_ASSERT_EQUAL(reader->ops->size(reader, &bytes), 0);
	CU_ASSERT_EQUAL(bytes, 65536);
	memset(again, 0, sizeof(again));
	CU_ASSERT_EQUAL(reader->ops->read(reader, again, sizeof(again), 0), 0);
	CU_ASSERT_EQUAL(memcmp(data, again, sizeof(data)), 0);
	memset(again, 0xee, sizeof(again));
	CU_ASSERT_EQUAL(reader->ops->write(reader, again, sizeof(again), 0), -EROFS);
	CU_ASSERT_EQUAL(reader->ops->sync(reader), -EROFS);
	CU_ASSERT_EQUAL(disk->ops->read(disk, again, sizeof(again), 0), 0);
	CU_ASSERT_EQUAL(memcmp(data, again, sizeof(data)), 0);
	CU_ASSERT_EQUAL(open_elsewhere(path), -EBUSY);
	disk->ops->close(disk);
	/* A reader is nobody's business, and not in its own way. */
	CU_ASSERT_EQUAL(open_elsewhere(path), 0);
	CU_ASSERT_EQUAL_FATAL(weir_disk_open_reader(path, &second, &in_use), 0);
	CU_ASSERT(!in_use);
	second->ops->close(second);
	CU_ASSERT_EQUAL_FATAL(weir_disk_open_reader(path, &second, NULL), 0);
	second->ops->close(second);
	reader->ops->close(reader);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(weir_disk_open_reader(path, &reader, &in_use), -EINVAL);
	unlink(path);
}

static const struct weir_test tests[] = {
    {"create, lock, write, read again", test_create},
    {"what is refused", test_refusals},
    {"what is synced", test_syncs},
    {"a file that can't be synced is not made", test_create_without_sync},
    {"no block is only reserved", test_no_reserved_blocks},
    {"past the page cache", test_direct},
    {"readers", test_reader},
};

int
main(void)
{
	int rc = weir_test_run("disk", tests, WEIR_TEST_COUNT(tests));

	if (folder[0] != '\0')
		rmdir(folder);
	return rc;
}
