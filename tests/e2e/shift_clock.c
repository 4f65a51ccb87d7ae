/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library to preload: sets a program's clocks ahead or back while it runs. The kernel's own, and
 * all other programs', stay as they are. The time-stamp counter can't be shifted like that.
 *
 * Environment: WEIR_SHIFT_PATH, a file of at least 24 bytes, which it maps: what is to be added, in
 * ns, as three signed 64-bit numbers in the machine's order, each to be changed by one store:
 *
 *	0   CLOCK_REALTIME (also gettimeofday and time): somebody set the clock
 *	8   CLOCK_BOOTTIME: the machine was suspended, or has booted anew
 *	16  CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW, for what reads them; sleeps don't change
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S    1000000000LL
#define SHIFT_BYTES 24U

enum { SHIFT_REAL, SHIFT_BOOT, SHIFT_MONOTONIC };

static _Atomic(const _Atomic int64_t *) shifts;

/* A test that believes in a shift must not run without it. */
static const _Atomic int64_t *
map_shifts(void)
{
	const char *path = getenv("WEIR_SHIFT_PATH");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped;

	if (fd < 0)
		abort();
	mapped = mmap(NULL, SHIFT_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (mapped == MAP_FAILED)
		abort();
	atomic_store(&shifts, (const _Atomic int64_t *)mapped);
	return mapped;
}

static int64_t
shift_of(clockid_t clock)
{
	const _Atomic int64_t *all = atomic_load(&shifts);

	if (all == NULL)
		all = map_shifts();
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return atomic_load(&all[SHIFT_REAL]);
	case CLOCK_BOOTTIME:
		return atomic_load(&all[SHIFT_BOOT]);
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return atomic_load(&all[SHIFT_MONOTONIC]);
	default:
		return 0;
	}
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ns, shift;
	long result = syscall(SYS_clock_gettime, clock, now);

	if (result != 0)
		return (int)result;
	shift = shift_of(clock);
	ns = now->tv_nsec + shift % NS_PER_S;
	now->tv_sec += shift / NS_PER_S;
	if (ns < 0) {
		ns += NS_PER_S;
		now->tv_sec--;
	} else if (ns >= NS_PER_S) {
		ns -= NS_PER_S;
		now->tv_sec++;
	}
	now->tv_nsec = (long)ns;
	return 0;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec at;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &at) != 0)
		return -1;
	now->tv_sec = at.tv_sec;
	now->tv_usec = at.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec at = {0};

	(void)clock_gettime(CLOCK_REALTIME, &at);
	if (now != NULL)
		*now = at.tv_sec;
	return at.tv_sec;
}
