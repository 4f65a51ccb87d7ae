/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clocks that Weir uses, and the calibration of the one that has no known frequency.
 *
 * Workers pace by the CPU's time-stamp counter (TSC). Its frequency is measured against
 * CLOCK_MONOTONIC_RAW, because DPDK's own figure is rounded to 10 MHz: 0.15 % of every rate on
 * some machines. The ledger's windows run on CLOCK_BOOTTIME. Wall-clock time is only printed.
 */
#ifndef WEIR_DRIVERS_CLOCK_H
#define WEIR_DRIVERS_CLOCK_H

#include <stdint.h>

/*
 * A measured TSC frequency. tsc_hz is an upper bound: a rate computed from it errs downward.
 */
struct weir_clock {
	uint64_t tsc_hz;    /* ticks a second, rounded up by the whole measuring error */
	uint64_t error_ppb; /* most that tsc_hz may lie above the true frequency, in 1e-9 */
};

/* The raw clock was read somewhere between two readings of the TSC. */
struct weir_clock_reading {
	uint64_t before_tsc;
	uint64_t raw_ns; /* CLOCK_MONOTONIC_RAW */
	uint64_t after_tsc;
};

/*
 * Measures the TSC frequency over measure_ns (10 ms to 10 s; 200 ms gives a few ppm).
 * Blocks the caller for that long. Any thread.
 * Returns 0; -EINVAL for a span out of range; -ENOTSUP when the CPU's TSC is not invariant or
 * did not advance monotonically: rates can't be kept on such a machine.
 */
int weir_clock_calibrate(uint64_t measure_ns, struct weir_clock *clock)
    __attribute__((warn_unused_result));

/*
 * The frequency by two readings. Returns 0, or -ENOTSUP when they don't bound it: less than 2 ns
 * apart, or overlapping.
 */
int weir_clock_compute(const struct weir_clock_reading *first,
                       const struct weir_clock_reading *last, struct weir_clock *clock)
    __attribute__((warn_unused_result));

/* Nanoseconds of CLOCK_BOOTTIME. Any thread. */
uint64_t weir_clock_boot_ns(void);

/* Nanoseconds of CLOCK_MONOTONIC_RAW. Any thread. */
uint64_t weir_clock_raw_ns(void);

/* Ticks that last at least ns nanoseconds (rounded up, saturating). Any thread. */
uint64_t weir_clock_tsc_from_ns(const struct weir_clock *clock, uint64_t ns);

/* Nanoseconds in ticks (rounded down, saturating). Any thread. */
uint64_t weir_clock_ns_from_tsc(const struct weir_clock *clock, uint64_t ticks);

#endif
