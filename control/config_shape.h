/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What frames a rule takes, in a form in which two rules compare in a few instructions: words of
 * bits that are looked at, and their values. Part of config.h; nothing else uses it.
 */
#ifndef WEIR_CONTROL_CONFIG_SHAPE_H
#define WEIR_CONTROL_CONFIG_SHAPE_H

#include "control/config.h"

#define WEIR_SHAPE_WORDS 5U

struct weir_shape {
	uint64_t mask[WEIR_SHAPE_WORDS]; /* bits that the rule looks at */
	uint64_t value[WEIR_SHAPE_WORDS];
	uint16_t ports[4]; /* source low, high, destination low, high */
	uint8_t families;  /* bits 1 << enum weir_family that the rule can match */
};

/*
 * Families that a rule can match, as bits. 0: its keys contradict each other. A rule that looks at
 * the protocol or at ports matches IP only.
 */
uint8_t weir_shape_families(const struct weir_rule *rule);

void weir_shape_make(const struct weir_rule *rule, struct weir_shape *shape);

/* True when every frame that inner takes is one that outer takes. */
bool weir_shape_contains(const struct weir_shape *outer, const struct weir_shape *inner);

/* True when there are frames that both take. */
bool weir_shape_overlaps(const struct weir_shape *one, const struct weir_shape *other);

#endif
