/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/station.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CALIBRATE_NS (250 * WEIR_NS_PER_MS)
#define WAIT_STEP_NS (5 * WEIR_NS_PER_MS)
#define SPARE_BYTES  (UINT64_C(64) << 20) /* of DPDK's own, rings and tables */

static _Atomic bool stopped;

static void
on_signal(int number)
{
	(void)number;
	atomic_store(&stopped, true);
}

bool
weir_station_stopped(void)
{
	return atomic_load_explicit(&stopped, memory_order_relaxed);
}

void
weir_station_stop(void)
{
	atomic_store(&stopped, true);
}

void
weir_station_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	/* What is written to a pipe that nobody reads fails, and files are finished all the same.
	 */
	(void)signal(SIGPIPE, SIG_IGN);
}

static int
open_port(const struct weir_options *options, uint32_t mtu_bytes, uint32_t rx_frames,
          struct weir_station *station, char *error, size_t error_size)
{
	struct weir_port_config config = {
	    .name = "weirgen",
	    .mtu_bytes = mtu_bytes,
	    .rx_queues = 1,
	    .tx_queues = 1,
	};
	int length = snprintf(config.device, sizeof(config.device), "%s", options->device);
	int result;

	if (length < 0 || (size_t)length >= sizeof(config.device)) {
		snprintf(error, error_size, "--port: expected at most %zu characters",
		         sizeof(config.device) - 1);
		return -EINVAL;
	}
	result = weir_port_open(&config, rx_frames, &station->port, error, error_size);
	if (result != 0)
		return result;
	station->started_tsc = rte_rdtsc();
	result = weir_port_start(&station->port, error, error_size);
	if (result != 0)
		weir_port_close(&station->port);
	return result;
}

enum weir_exit
weir_station_open(const struct weir_options *options, uint32_t mtu_bytes, uint32_t rx_frames,
                  uint64_t more_bytes, struct weir_station *station, char *error, size_t error_size)
{
	uint64_t buffer = weir_frame_max_bytes(mtu_bytes) + 2048;
	struct weir_port_config port = {0};
	struct weir_eal_config eal = {
	    .workers = &options->worker,
	    .n_workers = 1,
	    .control_lcore = options->control,
	    .memory_bytes = rx_frames * buffer + more_bytes + SPARE_BYTES,
	    .pages = options->pages,
	    .ports = &port,
	    .n_ports = 1,
	};
	int result;

	memset(station, 0, sizeof(*station));
	station->worker = options->worker;
	snprintf(port.device, sizeof(port.device), "%s", options->device);
	result = weir_eal_start(&eal, &station->huge_pages, error, error_size);
	if (result != 0)
		return result == -EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
	if (weir_clock_calibrate(CALIBRATE_NS, &station->clock) != 0) {
		snprintf(error, error_size,
		         "this machine's TSC can't be used: rates can't be kept");
		weir_eal_finish();
		return WEIR_EXIT_FAILED;
	}
	weir_station_catch_signals();
	result = open_port(options, mtu_bytes, rx_frames, station, error, error_size);
	if (result != 0) {
		weir_eal_finish();
		return result == -ENODEV || result == -EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
	}
	return WEIR_EXIT_OK;
}

int
weir_station_launch(struct weir_station *station, int (*work)(void *), void *arg)
{
	int result = weir_hold_begin(&station->hold, station->port.driver, &station->clock);

	return result != 0 ? result : rte_eal_remote_launch(work, arg, station->worker);
}

void
weir_station_close_port(struct weir_station *station)
{
	(void)weir_hold_begin(&station->hold, station->port.driver, &station->clock);
	weir_port_stop(&station->port);
	weir_port_close(&station->port);
}

void
weir_station_finish(void)
{
	weir_eal_finish();
}

bool
weir_station_wait(const struct weir_station *station, uint64_t ns)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
	uint64_t end_ns = weir_clock_raw_ns() + ns;

	for (;;) {
		if (rte_eal_get_lcore_state(station->worker) != RUNNING)
			return true;
		if (weir_clock_raw_ns() >= end_ns)
			return false;
		(void)nanosleep(&step, NULL);
	}
}
