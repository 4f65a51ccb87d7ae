/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame that arrives, or that is replayed with other addresses. Nothing is read or
 * written outside of it; a stamp that is read is written as it was.
 */
#include "tools/weirgen/rewrite.h"
#include "tools/weirgen/stamp.h"
#include "tools/weirgen/track.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_track track;
	struct weir_rewrite rewrite = {.has_source = true, .has_destination = true};
	uint32_t payload = weir_stamp_payload(data, (uint32_t)size);
	uint8_t again[WEIR_STAMP_BYTES], *copy = malloc(size > 0 ? size : 1);
	struct weir_stamp stamp;

	if (copy == NULL || weir_rewrite_add(&rewrite, "0.0.0.0/1=128.0.0.0/1") != 0 ||
	    weir_rewrite_add(&rewrite, "::/0=2001:db8::/0") != 0)
		abort();
	assert(payload <= size);
	if (payload + WEIR_STAMP_BYTES <= size && weir_stamp_read(data + payload, &stamp)) {
		(void)weir_stamp_write(again, &stamp);
		assert(memcmp(again, data + payload, sizeof(again)) == 0);
		weir_track_sequence(&track, stamp.sequence);
		weir_track_variation(&track, stamp.time, size);
		assert(weir_track_lost(&track) < UINT64_C(1) << 63);
	}
	if (size > 0)
		memcpy(copy, data, size);
	weir_rewrite_frame(&rewrite, copy, (uint32_t)size);
	free(copy);
	return 0;
}
