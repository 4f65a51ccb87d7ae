/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of a profile, one after the other in the order of their schedule. The same profile and
 * seed give the same frames in the same order, whatever the machine does; only live stamps differ.
 * Made by the control thread; then one worker takes frames, without a system call or allocation.
 */
#ifndef WEIR_TOOLS_WEIRGEN_GENERATE_H
#define WEIR_TOOLS_WEIRGEN_GENERATE_H

#include "tools/weirgen/profile.h"
#include "tools/weirgen/schedule.h"

#define WEIR_GENERATE_HEAD 128U /* bytes that can be written in each frame's memory at least */

/* A frame that was taken. */
struct weir_taken {
	uint64_t due; /* ticks of 1/256 ns from the start of the run */
	uint32_t bytes;
	uint16_t stream;
	bool stamped;
};

struct weir_generated_totals {
	uint64_t frames, frame_bytes, wire_bytes, stamped;
};

struct weir_generator;

/*
 * first_flow: the flow that the first stream's stamps bear, the others counting on from it.
 * clock: of live stamps. Returns NULL where memory runs out.
 */
struct weir_generator *weir_generator_new(const struct weir_profile *profile, uint32_t first_flow,
                                          uint16_t clock);

void weir_generator_free(struct weir_generator *generator);

/* Bytes that lie in a frame behind the first 128: memory for frames is filled with them before. */
const uint8_t *weir_generator_filler(const struct weir_generator *generator);

/*
 * Takes the frames that are due by a time (ticks), at most n. frames[] are where to write them: of
 * each, 128 bytes are written, and further ones must hold the filler. live: the TSC now, for live
 * stamps. Returns how many; 0: none is due by then.
 */
uint32_t weir_generator_take(struct weir_generator *generator, uint64_t until, uint64_t live,
                             uint8_t *const frames[], struct weir_taken taken[], uint32_t n);

/* When the next frame is due, in ticks; WEIR_SCHEDULE_NEVER after the last. */
uint64_t weir_generator_due(const struct weir_generator *generator);

/* What a stream has given so far. Worker, or anyone once it has stopped. */
struct weir_generated_totals weir_generator_totals(const struct weir_generator *generator,
                                                   uint32_t stream);

#endif
