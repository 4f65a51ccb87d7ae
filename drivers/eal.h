/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment, started once a process: lcores, memory, and no device that nobody named.
 * Nothing of it is left on the machine afterwards. Control thread only.
 */
#ifndef WEIR_DRIVERS_EAL_H
#define WEIR_DRIVERS_EAL_H

#include "drivers/port.h"

enum weir_eal_pages {
	WEIR_EAL_PAGES_AUTO = 0, /* huge ones when enough of them are free, else normal ones */
	WEIR_EAL_PAGES_HUGE,     /* huge ones or an error */
	WEIR_EAL_PAGES_NORMAL,
};

struct weir_eal_config {
	const uint32_t *workers; /* lcores, by the CPU's number */
	uint32_t n_workers;      /* 1 to WEIR_WORKERS_MAX */
	uint32_t control_lcore;  /* of the calling thread; not one of workers */
	uint64_t memory_bytes;   /* pools and tables; rounded up to whole MiB */
	enum weir_eal_pages pages;
	/* Only these ports' PCI devices are probed. */
	const struct weir_port_config *ports;
	uint32_t n_ports;
};

/*
 * Starts DPDK and moves the caller to the control lcore. Once a process: a failure can't be
 * repaired by another try, so the kind of memory is chosen before.
 * huge_pages says whether huge pages are used. error gets one line on failure.
 * Returns 0; -EINVAL (an lcore that the machine lacks or that is named twice); -ENOMEM (huge pages
 * asked for and not there); -EALREADY; or another -errno of DPDK.
 */
int weir_eal_start(const struct weir_eal_config *config, bool *huge_pages, char *error,
                   size_t error_size) __attribute__((warn_unused_result));

/* Ends DPDK. All ports are closed and all lcores idle. */
void weir_eal_finish(void);

#endif
