/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk behind the ledger, on a real file. */
#include "drivers/disk.h"
#include "tests/unit/harness.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNCS_MAX 8U

/* Linked with --wrap: what was synced, and which of the calls is to fail. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

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

static void
test_create(void)
{
	const char *path = make_path("ledger");
	uint8_t data[3 * 4096], again[sizeof(data)];
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

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
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
	uint8_t data[4096] = {1};
	struct weir_disk *disk;

	memset(&syncs, 0, sizeof(syncs));
	CU_ASSERT_EQUAL_FATAL(weir_disk_create_file(path, 65536, &disk), 0);
	CU_ASSERT_EQUAL(syncs.count, 2);
	CU_ASSERT(was_synced(0, path) && !syncs.data_only[0]);
	CU_ASSERT(was_synced(1, folder));
	syncs.count = 0;
	CU_ASSERT_EQUAL(disk->ops->write(disk, data, sizeof(data), 0), 0);
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

static const struct weir_test tests[] = {
    {"create, lock, write, read again", test_create},
    {"what is refused", test_refusals},
    {"what is synced", test_syncs},
    {"a file that can't be synced is not made", test_create_without_sync},
};

int
main(void)
{
	int rc = weir_test_run("disk", tests, WEIR_TEST_COUNT(tests));

	if (folder[0] != '\0')
		rmdir(folder);
	return rc;
}
