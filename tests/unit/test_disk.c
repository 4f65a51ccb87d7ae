/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk behind the ledger, on a real file. */
#include "drivers/disk.h"
#include "tests/unit/harness.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static const struct weir_test tests[] = {
    {"create, lock, write, read again", test_create},
    {"what is refused", test_refusals},
};

int
main(void)
{
	int rc = weir_test_run("disk", tests, WEIR_TEST_COUNT(tests));

	if (folder[0] != '\0')
		rmdir(folder);
	return rc;
}
