/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a profile of traffic. No input may crash the parser or make it lose memory; a
 * refusal is one line; and of what is accepted the first frames can be made, in the order of their
 * times and with lengths that were asked for.
 */
#include "tools/weirgen/generate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 64U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take_frames(const struct weir_profile *profile)
{
	static uint8_t memory[FRAMES][WEIR_PROFILE_FRAME_MAX + WEIR_GENERATE_HEAD];
	struct weir_generator *generator = weir_generator_new(profile, 0, 1);
	struct weir_taken taken[FRAMES];
	uint8_t *frames[FRAMES];
	uint64_t due = 0;
	uint32_t n;

	if (generator == NULL)
		abort();
	for (uint32_t i = 0; i < FRAMES; i++)
		frames[i] = memory[i];
	n = weir_generator_take(generator, WEIR_SCHEDULE_NEVER - 1, 0, frames, taken, FRAMES);
	for (uint32_t i = 0; i < n; i++) {
		assert(taken[i].bytes >= WEIR_FRAME_MIN_BYTES);
		assert(taken[i].bytes <= weir_profile_frame_max(profile));
		assert(taken[i].stream < profile->n_streams && taken[i].due >= due);
		due = taken[i].due;
	}
	weir_generator_free(generator);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_profile *profile = NULL;
	char error[512];
	int rc =
	    weir_profile_parse("fuzz", (const char *)data, size, &profile, error, sizeof(error));

	if (rc != 0) {
		assert(rc == -EINVAL && profile == NULL);
		assert(strncmp(error, "fuzz:", 5) == 0 && strstr(error, ": expected ") != NULL);
		return 0;
	}
	take_frames(profile);
	weir_profile_free(profile);
	return 0;
}
