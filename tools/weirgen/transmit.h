/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends what a feed has to give, when it is due, by the TSC. The worker's loop reads the TSC once a
 * burst and makes no system call of its own. The control thread starts it and looks on.
 */
#ifndef WEIR_TOOLS_WEIRGEN_TRANSMIT_H
#define WEIR_TOOLS_WEIRGEN_TRANSMIT_H

#include "tools/weirgen/generate.h"
#include "tools/weirgen/station.h"

#define WEIR_TRANSMIT_BURST 32U

/* Where frames come from: a generator, or a capture. See generate.h for what take and due do. */
struct weir_feed {
	void *context;
	uint32_t (*take)(void *context, uint64_t until, uint64_t live, uint8_t *const frames[],
	                 struct weir_taken taken[], uint32_t n);
	uint64_t (*due)(const void *context);
	uint32_t frame_max;    /* bytes */
	const uint8_t *filler; /* frame_max bytes that memory for frames starts with, or NULL */
};

struct weir_transmit_config {
	bool fast;    /* as fast as possible, whatever is due */
	bool endless; /* only a signal ends it: that is no failure then */
	/*
	 * 0: never. Otherwise it ends then at the latest; but goes on for catch_up_ns and for what
	 * was given up, of which at most a second, so that frames are not left out for it.
	 */
	uint64_t duration_ns;
	uint64_t
	    catch_up_ns; /* time lost beyond this is given up: all that follows is late by it */
	bool loop;       /* what is sent comes back to the same port: it is taken and counted */
};

/* Written by the worker, each once a burst. */
struct weir_transmit_counts {
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t frames, wire_bytes, frame_bytes;
	_Atomic uint64_t last_tsc;             /* when the latest frame was given to the port */
	_Atomic uint64_t behind_max, given_up; /* ticks of 1/256 ns */
	_Atomic uint64_t refused;              /* calls in which the port did not take all */
	_Atomic bool cut_short;                /* it ended before the feed did */
	_Atomic uint64_t returned;             /* frames that came back, of a loop */
};

struct weir_transmit {
	struct weir_transmit_config config;
	struct weir_feed feed;
	struct weir_station *station;
	struct rte_mempool *pool;
	_Atomic uint64_t start_tsc; /* 0: not yet */
	uint64_t ticks_q56; /* ticks of 1/256 ns in one of the TSC, times 2^56, rounded down */
	struct weir_transmit_counts counts;
	uint64_t stuck; /* of the frames that the port took, those that it still had in the end */
	/* Taken from the feed and not sent: what its own counts have too many. */
	uint32_t n_unsent;
	struct weir_taken unsent[WEIR_TRANSMIT_BURST];
};

/* Bytes of memory that weir_transmit_open takes for frames of so many bytes. */
uint64_t weir_transmit_memory(uint32_t frame_max);

/* Makes the frames' memory. The station is open. Returns 0 or -ENOMEM. */
int weir_transmit_open(struct weir_station *station, const struct weir_transmit_config *config,
                       const struct weir_feed *feed, struct weir_transmit *transmit)
    __attribute__((warn_unused_result));

/* Starts the worker. It ends when the feed does, at the duration's end, or when stopped. */
int weir_transmit_start(struct weir_transmit *transmit) __attribute__((warn_unused_result));

/* The port is closed by then: it may hold frames until it is. */
void weir_transmit_close(struct weir_transmit *transmit);

/* Nanoseconds from the start to the latest frame. */
uint64_t weir_transmit_elapsed_ns(const struct weir_transmit *transmit);

#endif
