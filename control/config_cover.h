/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which rules are never reached because earlier ones, alone or together, take all their frames.
 * A rule is a few boxes in a space of link, VLAN, ethertype or protocol, ports and addresses; what
 * earlier rules leave of a box is searched piece by piece until one is found that no rule takes.
 * The search is bounded. Part of config.h; nothing else uses it.
 */
#ifndef WEIR_CONTROL_CONFIG_COVER_H
#define WEIR_CONTROL_CONFIG_COVER_H

#include "control/config.h"

struct weir_cover;

/*
 * Prepares the rules of a policy with n_links links.
 * Returns 0 or -ENOMEM. Free *cover with weir_cover_free.
 */
int weir_cover_new(const struct weir_rule *rules, uint32_t n_rules, uint32_t n_links,
                   struct weir_cover **cover) __attribute__((warn_unused_result));

void weir_cover_free(struct weir_cover *cover);

/*
 * True when earlier rules surely take every frame that rules[index] takes. *first and *last are
 * then the lowest and the highest of those that the search met: the rules up to *last cover it, and
 * those before *last do not. Never true for a rule that some frame reaches; false as well where the
 * search takes more than its share of the work, which all calls have together.
 */
bool weir_cover_hides(struct weir_cover *cover, uint32_t index, uint32_t *first, uint32_t *last);

#endif
