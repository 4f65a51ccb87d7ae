/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receives and measures: the worker's loop. It reads the TSC once a look, makes no system call and
 * allocates nothing; whatever arrives, its memory stays what it is. The control thread reads the
 * counts meanwhile, each by itself.
 */
#ifndef WEIR_TOOLS_WEIRGEN_LISTEN_H
#define WEIR_TOOLS_WEIRGEN_LISTEN_H

#include "tools/weirgen/meter.h"
#include "tools/weirgen/station.h"
#include "tools/weirgen/track.h"

#define WEIR_LISTEN_BURST 32U

struct rte_mempool;
struct rte_ring;

/* Copies of frames for a capture file: the worker puts them in, the control thread writes. */
struct weir_listen_capture {
	struct rte_mempool *pool; /* NULL: no capture */
	struct rte_ring *ring;
};

struct weir_listen_counts {
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t frames, frame_bytes, wire_bytes;
	_Atomic uint64_t stamped;             /* with a sound stamp */
	_Atomic uint64_t other_flows;         /* stamped, of flows that are not followed */
	_Atomic uint64_t first_tsc, last_tsc; /* of the looks that found the first and last */
	_Atomic uint64_t look_max; /* ticks between a look that found frames and the one before */
	_Atomic uint64_t capture_missed; /* not captured: no room */
	_Atomic uint64_t oversize;       /* longer than the MTU allows: joined by someone */
	_Atomic uint32_t flows;          /* one more than the highest flow that was seen */
};

struct weir_listen {
	struct weir_station *station;
	uint64_t count, duration_tsc, idle_tsc; /* 0: no limit */
	uint32_t frame_max;                     /* bytes of the longest that the MTU allows */
	uint16_t clock;                         /* weir_stamp_clock */
	uint64_t tick_ns_q32;                   /* nanoseconds a tick, times 2^32, rounded down */
	_Atomic uint64_t start_tsc;             /* 0: not yet */
	uint64_t end_tsc;
	uint32_t n_limits, n_windows;
	struct weir_limit_meter limits[WEIR_LIMITS_MAX];
	struct weir_window_meter windows[WEIR_WINDOWS_MAX];
	struct weir_listen_capture capture;
	int packet_socket;       /* of net_af_packet, or -1 */
	uint64_t kernel_dropped; /* what it has dropped so far; control thread */
	struct weir_listen_counts counts;
	struct weir_track tracks[WEIR_TRACK_FLOWS];
};

/* Prepares to listen on an open station, as the options say. */
void weir_listen_make(struct weir_station *station, const struct weir_options *options,
                      struct weir_listen *listen);

/* Starts the worker. It ends by count, duration or idleness, or when stopped. */
int weir_listen_start(struct weir_listen *listen) __attribute__((warn_unused_result));

#endif
