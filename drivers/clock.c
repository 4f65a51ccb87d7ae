/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/clock.h"

#include "drivers/units.h"

#include <errno.h>
#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <stdbool.h>
#include <time.h>

#define MEASURE_MIN_NS (10 * WEIR_NS_PER_MS)
#define MEASURE_MAX_NS (10 * WEIR_NS_PER_S)
#define STEP_NS        (5 * WEIR_NS_PER_MS) /* between two looks at the counter */
#define READINGS       64U /* of which the tightest is used: the others were interrupted */

static uint64_t
read_clock(clockid_t id)
{
	struct timespec now;
	int error = clock_gettime(id, &now);

	assert(error == 0);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
weir_clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t
weir_clock_raw_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_RAW);
}

/* False when the counter went backwards. */
static bool
take_reading(struct weir_clock_reading *best)
{
	struct weir_clock_reading reading;
	uint64_t last_tsc = 0;

	for (uint32_t i = 0; i < READINGS; i++) {
		reading.before_tsc = rte_rdtsc_precise();
		reading.raw_ns = weir_clock_raw_ns();
		reading.after_tsc = rte_rdtsc_precise();
		if (reading.before_tsc < last_tsc || reading.after_tsc <= reading.before_tsc)
			return false;
		last_tsc = reading.after_tsc;
		if (i == 0 ||
		    reading.after_tsc - reading.before_tsc < best->after_tsc - best->before_tsc)
			*best = reading;
	}
	return true;
}

/* Sleeps until the raw clock says end_ns. False when the counter went backwards meanwhile. */
static bool
wait_until(uint64_t end_ns)
{
	uint64_t last_tsc = rte_rdtsc_precise();

	for (uint64_t now_ns = weir_clock_raw_ns(); now_ns < end_ns; now_ns = weir_clock_raw_ns()) {
		uint64_t left_ns = end_ns - now_ns;
		struct timespec pause = {
		    .tv_nsec = (long)(left_ns < STEP_NS ? left_ns : STEP_NS),
		};

		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		if (rte_rdtsc_precise() <= last_tsc)
			return false;
		last_tsc = rte_rdtsc_precise();
	}
	return true;
}

static bool
tsc_is_invariant(void)
{
#ifdef RTE_ARCH_X86
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_INVTSC) == 1;
#else
	/* The architectures' own counters (ARM's generic timer, ...) run at a constant rate. */
	return true;
#endif
}

int
weir_clock_calibrate(uint64_t measure_ns, struct weir_clock *clock)
{
	struct weir_clock_reading first, last;

	if (measure_ns < MEASURE_MIN_NS || measure_ns > MEASURE_MAX_NS)
		return -EINVAL;
	if (!tsc_is_invariant() || !take_reading(&first) ||
	    !wait_until(first.raw_ns + measure_ns) || !take_reading(&last))
		return -ENOTSUP;
	return weir_clock_compute(&first, &last, clock);
}

int
weir_clock_compute(const struct weir_clock_reading *first, const struct weir_clock_reading *last,
                   struct weir_clock *clock)
{
	uint64_t most_ticks, least_ticks, span_ns;
	weir_u128 most_hz, least_hz;

	if (last->raw_ns <= first->raw_ns || last->raw_ns - first->raw_ns == 1 ||
	    last->before_tsc <= first->after_tsc)
		return -ENOTSUP;

	/* The clock shows whole nanoseconds: the true span differs from the one read by under 1. */
	span_ns = last->raw_ns - first->raw_ns;
	most_ticks = last->after_tsc - first->before_tsc;
	least_ticks = last->before_tsc - first->after_tsc;
	most_hz = ((weir_u128)most_ticks * WEIR_NS_PER_S + span_ns - 2) / (span_ns - 1);
	least_hz = (weir_u128)least_ticks * WEIR_NS_PER_S / (span_ns + 1);
	if (least_hz == 0 || most_hz > UINT64_MAX)
		return -ENOTSUP;

	clock->tsc_hz = (uint64_t)most_hz;
	clock->error_ppb =
	    (uint64_t)(((most_hz - least_hz) * WEIR_NS_PER_S + least_hz - 1) / least_hz);
	return 0;
}

uint64_t
weir_clock_tsc_from_ns(const struct weir_clock *clock, uint64_t ns)
{
	weir_u128 ticks;

	assert(clock->tsc_hz > 0);
	ticks = ((weir_u128)ns * clock->tsc_hz + WEIR_NS_PER_S - 1) / WEIR_NS_PER_S;
	return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

uint64_t
weir_clock_ns_from_tsc(const struct weir_clock *clock, uint64_t ticks)
{
	weir_u128 ns;

	assert(clock->tsc_hz > 0);
	ns = (weir_u128)ticks * WEIR_NS_PER_S / clock->tsc_hz;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}
