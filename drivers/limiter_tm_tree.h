/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hierarchy that limiter_tm.c keeps in a port: how its nodes and shaper profiles are numbered,
 * built, changed and taken down. Used by limiter_tm*.c alone.
 *
 *   level 0            root
 *   level 1 ..         one node each, where the driver wants so many levels
 *   last but one       parents: one a group, or as many as the leaves need
 *   last               leaves: all send queues of the port, numbered as they are
 *
 * A group's limit is at its leaf, or at its parent where leaves can't limit or several workers
 * send.
 *
 * Each node has the peak rate only, which is what rte_tm.h calls a single-rate shaper; the
 * committed one is 0. It would only make frames yellow between the two (cnxk, and some of its
 * models drop instead of holding back as soon as both are set: roc_nix_tm_shaper_default_red_algo),
 * is refused (ixgbe, txgbe), or taken and ignored (ice). So nothing relies on one. All functions:
 * control thread.
 */
#ifndef WEIR_DRIVERS_LIMITER_TM_TREE_H
#define WEIR_DRIVERS_LIMITER_TM_TREE_H

#include "drivers/limiter.h"

#define WEIR_TM_LEVELS_MAX 8U
#define WEIR_TM_PORT       WEIR_TX_QUEUES_MAX /* place of the whole port among the limits */

struct weir_tm_limit {
	uint64_t bytes_s; /* 0: none */
	uint32_t burst_bytes;
};

struct weir_tm {
	uint16_t port_id;
	uint16_t n_queues, n_senders; /* as in struct weir_limiter */
	uint8_t levels;               /* 2 to WEIR_TM_LEVELS_MAX */
	int8_t port_level;            /* whose node limits the whole port; -1: none */
	bool leaf_shaper;             /* otherwise parents limit, one a group */
	uint16_t n_parents;
	uint16_t children;        /* leaves of a parent, where leaves limit */
	uint32_t burst_max_bytes; /* 0: not known */
	bool takes_burst;         /* the driver lets it be set */
	bool takes_adjust; /* it adds what a frame's overhead is, so that it counts wire bytes */
	bool built;        /* the hierarchy is committed, as far as is known */
	struct weir_tm_limit limits[WEIR_TX_QUEUES_MAX + 1];
};

/*
 * Whether the driver takes a shaper of this rate, and what of it: sets takes_burst and
 * takes_adjust, which should be true before. 0 or -errno with one line in error.
 */
int weir_tm_try_shaper(struct weir_tm *tm, uint64_t bytes_s, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * Whether the driver has the hierarchy. -ENOENT: it has none; -EILSEQ: only a part of it; -ENOSYS:
 * it doesn't say; 0: it has it.
 */
int weir_tm_stands(const struct weir_tm *tm) __attribute__((warn_unused_result));

/*
 * Builds all of it with the limits, and commits. 0, or -errno with one line in error; what was
 * built is taken down again then, as far as the driver lets it be.
 */
int weir_tm_build(struct weir_tm *tm, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Takes it down. 0, or -EBUSY: the driver does not let it be, and what is left can be tried again.
 */
int weir_tm_demolish(struct weir_tm *tm);

/* Puts one place's limit, or that there is none, in force at once. 0 or -errno, as above. */
int weir_tm_update(struct weir_tm *tm, uint16_t place, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* The node that holds a place's limit. */
uint32_t weir_tm_limited_node(const struct weir_tm *tm, uint16_t place);

#endif
