/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells of classes that don't get through. A second is a bad one for a class when
 *
 *   - more than half of the bytes that came for it in it, or more than two thirds of those of the
 *     last half minute, were dropped, for whatever reason: somebody floods it, or what it shares (a
 *     budget, the port, buffers) is taken by others; or
 *   - frames waited all the time and none left, for so long that its rate allows two of the
 * largest.
 *
 * Others in which something came, left or waited are good ones, and those in which nothing did say
 * nothing. A class starves when bad ones have outnumbered good ones by WEIR_STARVATION_BAD, and
 * does no more when good ones since then have outnumbered bad ones by WEIR_STARVATION_GOOD, or
 * nothing happened for WEIR_STARVATION_IDLE in a row. So one that gets nothing and tries now and
 * then is told, being short for a second or two, as bursts are, is not, and whoever floods it by
 * turns is told once, not with each turn. Nor is it told which of the class's users floods: Weir
 * keeps no state by flow.
 *
 * A plain state machine, one for a class slot. Control thread only.
 */
#ifndef WEIR_CONTROL_STARVATION_H
#define WEIR_CONTROL_STARVATION_H

#include "dataplane/worker.h"

/* Seconds. */
#define WEIR_STARVATION_BAD  3U
#define WEIR_STARVATION_GOOD 30U
#define WEIR_STARVATION_MOST 1920U /* good ones that are ever wanted */
#define WEIR_STARVATION_CALM 3600U /* without starving: as at first */
#define WEIR_STARVATION_IDLE 600U

enum weir_starvation_change {
	WEIR_STARVATION_SAME = 0,
	WEIR_STARVATION_BEGINS,
	WEIR_STARVATION_ENDS,
};

/* All zero: no look so far. */
struct weir_starvation {
	struct weir_class_totals last; /* at the last look */
	bool looked;
	bool starved;
	uint16_t level;   /* bad seconds less good ones: from 0 to wanted */
	uint16_t wanted;  /* good seconds that end it; 0: it has not starved lately */
	uint16_t calm;    /* seconds since it did */
	uint16_t idle;    /* seconds in a row in which nothing happened */
	uint32_t stuck;   /* seconds in a row in which frames waited and none left */
	uint32_t seconds; /* since the level was 0 last; sums of these: */
	uint64_t left_bytes, dropped_bytes;
	/* Sums of which each second in which something came takes 1/32. */
	uint64_t lately_left_bytes, lately_dropped_bytes;
};

/*
 * One look, a second after the last one. now: the class's counters, never less than before, but for
 * queued_bytes. rate_bit_s: of the class; largest_bytes: the largest frame's charge.
 */
enum weir_starvation_change weir_starvation_look(struct weir_starvation *starvation,
                                                 const struct weir_class_totals *now,
                                                 uint64_t rate_bit_s, uint64_t largest_bytes);

/* Forgets all: the slot has another class now. */
void weir_starvation_forget(struct weir_starvation *starvation);

#endif
