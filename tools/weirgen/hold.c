/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/hold.h"

#include "drivers/units.h"

#include <errno.h>
#include <rte_interrupts.h>
#include <rte_pause.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS (10 * WEIR_NS_PER_MS)
#define STEP_NS ((long)(50 * WEIR_NS_PER_US))

/* Of the interrupt thread, of which a process has one. It outlives everything else. */
static _Atomic enum {
	FREE,   /* not held */
	COMING, /* it will stand still once it has done what is there to do */
	HELD,
} state;

static void
sleep_for(long ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/*
 * In the interrupt thread, which does nothing else until this returns, and calls it again in every
 * round: nobody reads the event that it is called for.
 */
static void
stand_still(void *arg)
{
	(void)arg;
	atomic_store(&state, HELD);
	while (atomic_load(&state) == HELD)
		sleep_for(STEP_NS);
}

/* The interrupt thread calls stand_still from now on. */
static int
register_event(void)
{
	struct rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int event = eventfd(1, EFD_CLOEXEC), result = -ENOMEM;

	if (event < 0)
		result = -errno;
	else if (handle != NULL && rte_intr_fd_set(handle, event) == 0 &&
	         rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) == 0)
		result = rte_intr_callback_register(handle, stand_still, NULL);
	/* The interrupt thread has its own copy. */
	rte_intr_instance_free(handle);
	if (result != 0 && event >= 0)
		close(event);
	return result;
}

int
weir_hold_begin(struct weir_hold *hold, const char *driver, const struct weir_clock *clock)
{
	int result;

	if (atomic_load(&state) != FREE)
		return 0;
	hold->turn_tsc = UINT64_MAX;
	if (strcmp(driver, "net_memif") != 0)
		return 0;
	atomic_store(&state, COMING);
	result = register_event();
	if (result != 0) {
		atomic_store(&state, FREE);
		return result;
	}
	while (atomic_load(&state) != HELD)
		sleep_for(STEP_NS);
	hold->turn_ticks = weir_clock_tsc_from_ns(clock, TURN_NS);
	hold->turn_tsc = 0;
	return 0;
}

void
weir_hold_let(struct weir_hold *hold, uint64_t now_tsc)
{
	hold->turn_tsc = now_tsc + hold->turn_ticks;
	atomic_store(&state, COMING);
	while (atomic_load(&state) != HELD)
		rte_pause();
}
