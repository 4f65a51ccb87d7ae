/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk as the ledger sees it: one open file and a table of functions, so that a test can put a
 * disk behind it that loses, tears and fails. Nothing else in Weir writes durable state.
 */
#ifndef WEIR_DRIVERS_DISK_H
#define WEIR_DRIVERS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_disk;

/*
 * All calls return 0 (or a count) or -errno, may block, and belong to the thread that owns the
 * disk. A read or write that moves fewer bytes than asked is an error (-EIO): the table's
 * implementations loop over short transfers themselves.
 */
struct weir_disk_ops {
	int (*read)(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset);
	int (*write)(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset);
	/* Returns 0 only when every earlier write is durable. Never retried by the caller. */
	int (*sync)(struct weir_disk *disk);
	/* Size of the file in bytes. */
	int (*size)(struct weir_disk *disk, uint64_t *bytes);
	void (*close)(struct weir_disk *disk);
};

struct weir_disk {
	const struct weir_disk_ops *ops;
};

/*
 * Opens an existing file for reading and writing and locks it against a second process.
 * Returns 0; -ENOENT; -EBUSY when another process holds the lock; or another -errno.
 */
int weir_disk_open_file(const char *path, struct weir_disk **disk)
    __attribute__((warn_unused_result));

/*
 * Creates a new file of bytes zero bytes with its blocks allocated, mode 0600, locked, and makes
 * its name durable (syncs the folder). Refuses an existing name with -EEXIST.
 */
int weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk)
    __attribute__((warn_unused_result));

#endif
