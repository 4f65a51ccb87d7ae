/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK with one port and one worker: what every subcommand that uses a port starts with. And what
 * ends it: signals. Control thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_STATION_H
#define WEIR_TOOLS_WEIRGEN_STATION_H

#include "drivers/clock.h"
#include "drivers/port.h"
#include "tools/weirgen/hold.h"
#include "tools/weirgen/options.h"

struct weir_station {
	struct weir_port port;
	struct weir_clock clock;
	struct weir_hold hold; /* from the worker's start on */
	uint64_t started_tsc;  /* before the port was started */
	uint32_t worker;
	bool huge_pages;
};

/*
 * Starts DPDK, measures the clock and opens and starts the port, with rx_frames buffers to receive.
 * more_bytes: memory that the caller needs besides. error gets one line on failure. Returns 0, or
 * the exit status: usage where the device or the lcores can't be.
 */
enum weir_exit weir_station_open(const struct weir_options *options, uint32_t mtu_bytes,
                                 uint32_t rx_frames, uint64_t more_bytes,
                                 struct weir_station *station, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Starts the worker. Returns 0 or -errno. */
int weir_station_launch(struct weir_station *station, int (*work)(void *), void *arg)
    __attribute__((warn_unused_result));

void weir_station_close_port(struct weir_station *station);

/* Ends DPDK. The port is closed. */
void weir_station_finish(void);

/* Has SIGINT, SIGTERM and SIGHUP end a command that opens no station. */
void weir_station_catch_signals(void);

/* Whether SIGINT, SIGTERM or SIGHUP has come, or weir_station_stop was called. Any thread. */
bool weir_station_stopped(void);
void weir_station_stop(void);

/* Waits for the worker to end, at most ns. True when it has. */
bool weir_station_wait(const struct weir_station *station, uint64_t ns);

#endif
