/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library to preload: makes one file's disk slow or lets it fail, while the program runs. Only
 * descriptors of that file are touched, by whatever name it was opened.
 *
 * Environment:
 *
 *	WEIR_SLOW_PATH     the file; it must exist when the program opens it
 *	WEIR_SLOW_SYNC_MS  how much longer each sync takes; default 0
 *	WEIR_SLOW_CONTROL  a file with orders, read before each write and sync; to be replaced by
 *	                   rename. May be missing.
 *	WEIR_SLOW_UNSYNCED a file that gets what a power cut would undo: for each write since the
 *	                   last sync that went well its offset and how many bytes were there before,
 *	                   as two 64-bit numbers, and those bytes. One thread writes and syncs.
 *
 * Orders, each in a line, each optional:
 *
 *	sync_ms MS                     in place of WEIR_SLOW_SYNC_MS
 *	fail CALL ERROR AFTER TIMES    of the calls (write or sync) that come from now on, AFTER go
 *	                               well, then TIMES fail, 0: all. ERROR: ENOSPC, EROFS or EIO
 *
 * When a call is made to fail for the first time, the time (CLOCK_MONOTONIC, in ns) goes to a file
 * called like the control file with .failed behind it.
 */
#undef _FILE_OFFSET_BITS /* open and open64 are two names here */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 1024
#define ORDERS_MAX      256U

struct fault {
	char call[8];
	char error[8];
	unsigned int after, times;
};

struct orders {
	unsigned int sync_ms;
	struct fault fault; /* call "": none */
};

static _Atomic bool slow[DESCRIPTORS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault present; /* and how many calls it has met; under the lock */
static unsigned int met;

/* System calls by number: what this library does itself must not come back to it. */
static int
open_file(int folder, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

static bool
is_slow(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS_MAX && atomic_load(&slow[fd]);
}

/* Opens, and remembers the descriptor if it is one of the file. */
static int
open_any(int folder, const char *path, int flags, mode_t mode)
{
	const char *name = getenv("WEIR_SLOW_PATH");
	int fd = open_file(folder, path, flags, mode);
	struct stat file, opened;

	if (fd >= 0 && fd < DESCRIPTORS_MAX)
		atomic_store(&slow[fd],
		             name != NULL && stat(name, &file) == 0 && fstat(fd, &opened) == 0 &&
		                 file.st_dev == opened.st_dev && file.st_ino == opened.st_ino);
	return fd;
}

static mode_t
mode_of(int flags, va_list more)
{
	bool given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;

	return given ? va_arg(more, mode_t) : 0;
}

static void
read_orders(struct orders *orders)
{
	const char *name = getenv("WEIR_SLOW_CONTROL"), *ms = getenv("WEIR_SLOW_SYNC_MS");
	char text[ORDERS_MAX], *rest = text, *line;
	ssize_t bytes = 0;
	int fd;

	memset(orders, 0, sizeof(*orders));
	orders->sync_ms = ms != NULL ? (unsigned int)strtoul(ms, NULL, 10) : 0;
	fd = name != NULL ? open_file(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0) : -1;
	if (fd >= 0) {
		bytes = read(fd, text, sizeof(text) - 1);
		(void)syscall(SYS_close, fd);
	}
	text[bytes > 0 ? bytes : 0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct fault fault = {.call = ""};

		(void)sscanf(line, "sync_ms %u", &orders->sync_ms);
		if (sscanf(line, "fail %7s %7s %u %u", fault.call, fault.error, &fault.after,
		           &fault.times) == 4)
			orders->fault = fault;
	}
}

static int
error_of(const char *name)
{
	if (strcmp(name, "ENOSPC") == 0)
		return ENOSPC;
	return strcmp(name, "EROFS") == 0 ? EROFS : EIO;
}

static void
tell_time(void)
{
	char path[PATH_MAX], text[32];
	struct timespec now;
	int fd, length;

	clock_gettime(CLOCK_MONOTONIC, &now);
	length = snprintf(text, sizeof(text), "%" PRIu64 "\n",
	                  (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec);
	snprintf(path, sizeof(path), "%s.failed", getenv("WEIR_SLOW_CONTROL"));
	fd = open_file(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		abort(); /* a test would wait for it, and judge by it */
	(void)syscall(SYS_close, fd);
}

/* The error that this call is to end with, or 0. */
static int
fault_of(const struct orders *orders, const char *call)
{
	const struct fault *fault = &orders->fault;
	int error = 0;

	pthread_mutex_lock(&lock);
	if (memcmp(fault, &present, sizeof(present)) != 0) {
		present = *fault;
		met = 0;
	}
	if (strcmp(fault->call, call) == 0) {
		if (met >= fault->after && (fault->times == 0 || met - fault->after < fault->times))
			error = error_of(fault->error);
		if (error != 0 && met == fault->after)
			tell_time();
		met++;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static void
note(int to, const void *data, size_t bytes)
{
	if (syscall(SYS_write, to, data, bytes) != (ssize_t)bytes)
		abort();
}

/* Before a write: keeps what was there. Read by a descriptor of its own, as theirs may be direct.
 */
static void
keep_older(size_t bytes, off64_t offset)
{
	const char *name = getenv("WEIR_SLOW_UNSYNCED");
	static char older[65536];
	int64_t head[2] = {offset, 0};
	struct stat file;
	int to, from;

	if (name == NULL)
		return;
	to = open_file(AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	from = open_file(AT_FDCWD, getenv("WEIR_SLOW_PATH"), O_RDONLY | O_CLOEXEC, 0);
	if (to < 0 || from < 0 || fstat(from, &file) != 0)
		abort();
	if (file.st_size > offset)
		head[1] =
		    file.st_size - offset < (int64_t)bytes ? file.st_size - offset : (int64_t)bytes;
	note(to, head, sizeof(head));
	for (int64_t left = head[1]; left > 0;) {
		size_t part = (size_t)left < sizeof(older) ? (size_t)left : sizeof(older);

		if (syscall(SYS_pread64, from, older, part, offset + head[1] - left) !=
		    (ssize_t)part)
			abort();
		note(to, older, part);
		left -= (int64_t)part;
	}
	(void)syscall(SYS_close, to);
	(void)syscall(SYS_close, from);
}

/* After a sync that went well: nothing can be undone any more. */
static void
forget_older(void)
{
	const char *name = getenv("WEIR_SLOW_UNSYNCED");

	if (name != NULL)
		(void)truncate(name, 0);
}

static ssize_t
write_at(int fd, const void *data, size_t bytes, off64_t offset)
{
	struct orders orders;
	int error = 0;

	if (is_slow(fd)) {
		read_orders(&orders);
		error = fault_of(&orders, "write");
	}
	if (error != 0) {
		errno = error;
		return -1;
	}
	if (is_slow(fd))
		keep_older(bytes, offset);
	return syscall(SYS_pwrite64, fd, data, bytes, offset);
}

static int
sync_slowly(int fd, long number)
{
	struct orders orders;
	struct timespec pause;
	int error;

	if (!is_slow(fd))
		return (int)syscall(number, fd);
	read_orders(&orders);
	pause.tv_sec = orders.sync_ms / 1000;
	pause.tv_nsec = (long)(orders.sync_ms % 1000) * 1000000;
	while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
		;
	error = fault_of(&orders, "sync");
	if (error != 0) {
		errno = error;
		return -1;
	}
	if (syscall(number, fd) != 0)
		return -1;
	forget_older();
	return 0;
}

/* ---- what is put in place of the C library's ---- */

int
open(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return open_any(AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return open_any(AT_FDCWD, path, flags, mode);
}

int
openat(int folder, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return open_any(folder, path, flags, mode);
}

int
openat64(int folder, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return open_any(folder, path, flags, mode);
}

int
close(int fd)
{
	if (fd >= 0 && fd < DESCRIPTORS_MAX)
		atomic_store(&slow[fd], false);
	return (int)syscall(SYS_close, fd);
}

ssize_t
pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	return write_at(fd, data, bytes, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	return write_at(fd, data, bytes, offset);
}

int
fsync(int fd)
{
	return sync_slowly(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return sync_slowly(fd, SYS_fdatasync);
}
