/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's interrupt thread, and an interrupt of the test's own in a peer's stead. */
#include "tools/weirgen/hold.h"

#include "drivers/eal.h"
#include "drivers/units.h"
#include "tests/unit/harness.h"

#include <rte_cycles.h>
#include <rte_interrupts.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(64) << 20)
#define ROUNDS       300U
#define WAIT_MS      20000U
#define QUIET_NS     (100 * WEIR_NS_PER_MS)
#define CALIBRATE_NS (50 * WEIR_NS_PER_MS)

static struct weir_hold hold;
static struct weir_clock wall;
static int event;
static _Atomic uint32_t calls;
static _Atomic bool inside;

static void
sleep_ns(uint64_t ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* As long as a driver takes to unmap something. */
static void
on_event(void *arg)
{
	uint64_t value;

	(void)arg;
	atomic_store(&inside, true);
	CU_ASSERT_EQUAL(read(event, &value, sizeof(value)), sizeof(value));
	sleep_ns(WEIR_NS_PER_MS);
	atomic_fetch_add(&calls, 1);
	atomic_store(&inside, false);
}

static void
give_event(void)
{
	uint64_t value = 1;

	CU_ASSERT_EQUAL(write(event, &value, sizeof(value)), sizeof(value));
}

static void
test_other_drivers(void)
{
	uint32_t waits = 0;

	CU_ASSERT_EQUAL(weir_hold_begin(&hold, "net_af_packet", &wall), 0);
	weir_hold_round(&hold, rte_rdtsc());
	give_event();
	while (atomic_load(&calls) == 0 && waits++ < WAIT_MS)
		sleep_ns(WEIR_NS_PER_MS);
	CU_ASSERT_EQUAL(atomic_load(&calls), 1);
}

static void
test_held(void)
{
	CU_ASSERT_EQUAL(weir_hold_begin(&hold, "net_memif", &wall), 0);
	CU_ASSERT_EQUAL(weir_hold_begin(&hold, "net_memif", &wall), 0);
	give_event();
	sleep_ns(QUIET_NS);
	CU_ASSERT_EQUAL(atomic_load(&calls), 1);
	/* Its turn may begin with the event or end with it. */
	weir_hold_let(&hold, rte_rdtsc());
	weir_hold_let(&hold, rte_rdtsc());
	CU_ASSERT_EQUAL(atomic_load(&calls), 2);
	CU_ASSERT(!atomic_load(&inside));
}

/* All events are served, and never while the worker is in the driver. */
static void
test_turns(void)
{
	uint32_t before = atomic_load(&calls), least = ROUNDS / 2;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t then = atomic_load(&calls);
		uint64_t now;

		give_event();
		for (uint32_t look = 0; look < 1000; look++)
			CU_ASSERT_FATAL(!atomic_load(&inside) && atomic_load(&calls) == then);
		hold.turn_tsc = 0;
		now = rte_rdtsc();
		weir_hold_round(&hold, now);
		CU_ASSERT_EQUAL(hold.turn_tsc, now + hold.turn_ticks);
	}
	weir_hold_let(&hold, rte_rdtsc());
	CU_ASSERT(atomic_load(&calls) - before >= least);
}

static bool
start(void)
{
	cpu_set_t allowed;
	struct weir_eal_config config = {
	    .n_workers = 1,
	    .memory_bytes = MEMORY_BYTES,
	    .pages = WEIR_EAL_PAGES_NORMAL,
	};
	uint32_t lcores[2] = {0, 0}, n = 0;
	char error[256] = "";
	struct rte_intr_handle *handle;
	bool huge;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return false;
	for (uint32_t i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &allowed))
			lcores[n++] = i;
	config.control_lcore = lcores[0];
	config.workers = &lcores[1];
	if (n < 2 || weir_eal_start(&config, &huge, error, sizeof(error)) != 0) {
		fprintf(stderr, "DPDK: %s\n", n < 2 ? "two CPUs are needed" : error);
		return false;
	}
	event = eventfd(0, EFD_CLOEXEC);
	handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (event < 0 || handle == NULL || rte_intr_fd_set(handle, event) != 0 ||
	    rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) != 0 ||
	    rte_intr_callback_register(handle, on_event, NULL) != 0)
		return false;
	rte_intr_instance_free(handle);
	return weir_clock_calibrate(CALIBRATE_NS, &wall) == 0;
}

static const struct weir_test tests[] = {
    {"other drivers: the interrupt thread runs", test_other_drivers},
    {"held, it serves nothing until its turn", test_held},
    {"in turns with the worker, never at once", test_turns},
};

int
main(void)
{
	int status;

	if (!start())
		return 1;
	status = weir_test_run("weirgen_hold", tests, WEIR_TEST_COUNT(tests));
	/* It is held still: DPDK must end all the same. */
	weir_eal_finish();
	return status;
}
