/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells of classes that don't get through. A class lacks when, for WEIR_STARVATION_SECONDS looks
 * one behind the other, a second apart,
 *
 *   - more than half of the bytes that came for it were dropped, for whatever reason: somebody
 *     floods it, or what it shares (a budget, the port, buffers) is taken by others; or
 *   - frames waited all the time and none left, although its rate allows two of the largest ones.
 *
 * It lacks no more when it did not in as many looks. Being short for a second or two is what bursts
 * do, and is not told. Nor is it told which of the class's users floods: Weir keeps no state by
 * flow.
 *
 * A plain state machine, one for a class slot. Control thread only.
 */
#ifndef WEIR_CONTROL_STARVATION_H
#define WEIR_CONTROL_STARVATION_H

#include "dataplane/worker.h"

#define WEIR_STARVATION_SECONDS 3U

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
	uint8_t streak; /* looks one behind the other that spoke for the other state */
	/* Over the streak, and kept until the next one begins. */
	uint64_t left_bytes, dropped_bytes;
};

/*
 * One look, a second after the last one. now: the class's counters, never less than before, but for
 * queued_bytes. rate_bit_s: of the class; largest_bytes: the largest frame's charge.
 */
enum weir_starvation_change weir_starvation_look(struct weir_starvation *starvation,
                                                 const struct weir_class_totals *now,
                                                 uint64_t rate_bit_s, uint64_t largest_bytes);

/* Forgets all: the class has another rate now, or the slot another class. */
void weir_starvation_forget(struct weir_starvation *starvation);

#endif
