/* SPDX-License-Identifier: BSD-3-Clause */
/* What workers charge and the box's port sends, and looks at it. */
#ifndef WEIR_TESTS_UNIT_HARDWARE_BOX_LOOKS_H
#define WEIR_TESTS_UNIT_HARDWARE_BOX_LOOKS_H

#include "tests/unit/hardware_box.h"

#define FRAME_BYTES 1000U /* without FCS */

/* Workers charge and hand over n frames; the port has sent m of what it was given. */
static inline void
charge(uint64_t n)
{
	box.flow.tx_frames += n;
	box.flow.tx_wire_bytes += n * weir_wire_bytes(FRAME_BYTES);
}

static inline void
sends(uint64_t n, uint32_t counted_bytes)
{
	box.stats.opackets += n;
	box.stats.obytes += n * counted_bytes;
}

static inline enum weir_port_state
looks(uint32_t n)
{
	enum weir_port_state state = WEIR_PORT_UP;

	while (n-- > 0)
		state = box_look();
	return state;
}

/* Looks until the port is not up any more, at most n. Returns how many it took. */
static inline uint32_t
looks_until_down(uint32_t n)
{
	for (uint32_t i = 1; i <= n; i++)
		if (box_look() != WEIR_PORT_UP)
			return i;
	return UINT32_MAX;
}

static inline const json_t *
port_json(const json_t *json)
{
	return json_array_get(json_object_get(json, "ports"), 0);
}

/* The queue that a class goes by, as it is shown. */
static inline const json_t *
shown(const json_t *json, const char *class)
{
	const json_t *queue, *name;
	size_t i, k;

	json_array_foreach (json_object_get(port_json(json), "queues"), i, queue)
		json_array_foreach (json_object_get(queue, "classes"), k, name)
			if (strcmp(json_string_value(name), class) == 0)
				return queue;
	return NULL;
}

static inline bool
is(const json_t *object, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL && strcmp(text, expected) == 0;
}

#endif
