/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of each driver's rate limits: one row a driver and interface, with where it was
 * read. Facts about DPDK 22.11's drivers, not wishes. Used for rounding, for refusing, and for what
 * `weirctl hardware` says; what a row claims is measured all the same where its driver tells what
 * has left (completions). Constant data; any thread.
 */
#ifndef WEIR_DRIVERS_LIMITER_DRIVER_H
#define WEIR_DRIVERS_LIMITER_DRIVER_H

#include "drivers/units.h"

#include <stddef.h>

/* How a driver turns a rate into its register. */
enum weir_limiter_arithmetic {
	WEIR_LIMITER_ARITHMETIC_NONE = 0, /* it limits no queue by this interface */
	/*
	 * Multiples of step_bit_s, the driver truncates. With integer_bits the register keeps only
	 * that many bits of the multiple: larger ones wrap round.
	 */
	WEIR_LIMITER_STEPS,
	/*
	 * The register holds link / rate as a fixed-point number of integer_bits and fraction_bits,
	 * cut off on both sides: the rate comes out rounded up, and far too high where the integer
	 * part has lost its top.
	 */
	WEIR_LIMITER_DIVIDER,
	/* 2 Mbit/s x 256..511 / 256 x 2^-12..15, the largest that is not more. */
	WEIR_LIMITER_FLOAT,
	/*
	 * A whole number above 128 of bytes each 32 x 2^k ticks of a clock, the nearest one: the
	 * rate comes out up to 0.39 % too low or too high. There are four clocks, and the driver
	 * does not tell which it has: the result is that of the worst.
	 */
	WEIR_LIMITER_TICKS,
};

enum weir_limiter_zero { WEIR_ZERO_REFUSED = 0, WEIR_ZERO_UNLIMITED, WEIR_ZERO_BLOCKED };

/* Quirks, as bits. Each has a word and a sentence: weir_limiter_quirk_name, _help. */
enum weir_limiter_quirk {
	WEIR_QUIRK_WIPED_AT_START = 1U << 0, /* starting clears every limit */
	WEIR_QUIRK_STALE_SPEED = 1U << 1,    /* limits scale when the link's speed changes */
	WEIR_QUIRK_COMMIT_STOPS = 1U << 2,   /* a commit stops all queues */
	WEIR_QUIRK_FIRST_STOPS = 1U << 3,    /* the first call rebuilds with sending off */
	WEIR_QUIRK_LEVELS_IGNORED = 1U << 4, /* accepts shapers above the queue, and ignores them */
	WEIR_QUIRK_COMMITTED_IGNORED = 1U << 5, /* accepts committed rates, and ignores them */
	WEIR_QUIRK_NO_CAPABILITIES = 1U << 6,   /* rte_tm without capabilities_get */
	WEIR_QUIRK_PORT_STOPPED = 1U << 7,      /* a commit wants the port stopped */
	WEIR_QUIRK_ALL_QUEUES = 1U << 8,        /* every queue must be in the hierarchy */
	WEIR_QUIRK_MINIMUM_HALF = 1U << 9,      /* also guarantees half of the rate */
	WEIR_QUIRK_QUEUE_ORDER = 1U << 10,      /* leaves get queues by order, not by their id */
	WEIR_QUIRKS = 11,
};

/*
 * A row. The API's unit, which a rate is cut off to before the driver's own arithmetic, is 1 Mbit/s
 * for rte_eth_set_queue_rate_limit and 8 bit/s for rte_tm.
 */
struct weir_limiter_driver {
	const char *driver; /* as rte_eth_dev_info says; "" is the row of unknown drivers */
	bool tm;            /* a row of rte_tm; otherwise of rte_eth_set_queue_rate_limit */
	bool usable;        /* false: known, and not for a queue's limit: why in help */
	enum weir_limiter_arithmetic arithmetic;
	enum weir_limiter_zero zero;
	uint64_t min_bit_s, max_bit_s;       /* max 0: the link's speed */
	uint64_t step_bit_s;                 /* STEPS */
	uint8_t integer_bits, fraction_bits; /* DIVIDER; integer_bits also STEPS */
	bool live;                /* one queue's rate changes without touching the others */
	uint32_t burst_bytes;     /* fixed by the driver; 0: settable or unknown */
	uint32_t burst_max_bytes; /* the most that can be set; 0: not known */
	uint32_t quirks;
	/*
	 * rte_eth_tx_descriptor_status tells what has left, as dataplane/departures.h reads it: by
	 * the frame's own descriptor, at an offset from the tail. Many drivers count the offset
	 * from elsewhere, or tell of a frame what is true of another, so it is only believed of
	 * drivers that were read.
	 */
	bool completions;
	/*
	 * To ask for in rte_eth_txconf, or the above is wrong: with more than 1 these drivers look
	 * at a descriptor behind the frame's, which may still say "done" from the last time round.
	 * 0: the driver's default will do.
	 */
	uint16_t tx_rs_thresh;
	/* rte_tm: what its hierarchy must look like. */
	uint8_t levels;       /* root and leaves included; 0: the driver says it itself */
	int8_t port_level;    /* whose one node limits the whole port; -1: none that works */
	bool leaf_shaper;     /* a queue's own node can limit; otherwise only the one above it */
	uint8_t groups_max;   /* nodes above the leaves; 0: the driver says it itself */
	uint8_t children_max; /* leaves of one of these; 0: as many as there are */
	const char *source;   /* file and function in DPDK v22.11.11 */
	const char *help;     /* one plain line for an operator */
};

/* Row of a driver by its name and interface; the unknown driver's row if there is none. */
const struct weir_limiter_driver *weir_limiter_driver_find(const char *driver, bool tm);

/* All rows but those of the unknown one, for the docs and the tests. */
const struct weir_limiter_driver *weir_limiter_drivers(uint32_t *n);

/* What to ask for as tx_rs_thresh on a port of this driver: see the row's field. 0: the default. */
uint16_t weir_limiter_driver_rs_thresh(const char *driver);

/*
 * What the driver's register makes of a rate at a link's speed, by its own rounding: the model of
 * its arithmetic. In bit/s, a fraction counts as a whole. UINT64_MAX: unlimited. 0: blocked, or
 * refused.
 */
uint64_t weir_limiter_driver_result(const struct weir_limiter_driver *driver, uint64_t rate_bit_s,
                                    uint64_t link_bit_s);

/*
 * The largest value in the API's unit (Mbit/s, or bytes/s with rte_tm) whose result is at most
 * rate_bit_s. 0 where there is none within 2 % of it.
 */
uint64_t weir_limiter_driver_value(const struct weir_limiter_driver *driver, uint64_t rate_bit_s,
                                   uint64_t link_bit_s);

const char *weir_limiter_quirk_name(enum weir_limiter_quirk quirk);
const char *weir_limiter_quirk_help(enum weir_limiter_quirk quirk);

#endif
