/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk as the ledger sees it: one open file and a table of functions, so that a test can put a
 * disk behind it that loses, tears and fails. Nothing else in Weir writes the ledger's file.
 */
#ifndef WEIR_DRIVERS_DISK_H
#define WEIR_DRIVERS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read and written is in whole blocks of this size: address, length and offset. */
#define WEIR_DISK_BLOCK_BYTES 4096U

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
	bool direct; /* reads come from the device itself, not from this machine's page cache */
};

/*
 * Opens an existing file for reading and writing and locks it against a second process. Past the
 * page cache (O_DIRECT) where the file system can do that; elsewhere the cache is asked to forget
 * after each sync, so that what is read back is read again.
 * Returns 0; -ENOENT; -EBUSY when another process holds the lock; or another -errno.
 */
int weir_disk_open_file(const char *path, struct weir_disk **disk)
    __attribute__((warn_unused_result));

/*
 * Opens an existing file for reading only, without a lock: write and sync return -EROFS. in_use
 * tells whether a process holds the lock now, and what is read may change meanwhile; may be NULL.
 */
int weir_disk_open_reader(const char *path, struct weir_disk **disk, bool *in_use)
    __attribute__((warn_unused_result));

/*
 * Creates a new file of bytes (whole blocks), mode 0600, locked, with zeros written to all of it:
 * blocks that are only reserved would have to be marked as written later, by the file system's own
 * records. Makes file and name durable. Refuses an existing name with -EEXIST; what it made is
 * removed again where it fails.
 */
int weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk)
    __attribute__((warn_unused_result));

/* Makes durable which names are in the folder that path's name is in. 0 or -errno. */
int weir_disk_sync_folder(const char *path) __attribute__((warn_unused_result));

#endif
