/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of weir_config_diff that compares two ordered lists of rules. */
#ifndef WEIR_CONTROL_CONFIG_DIFF_RULES_H
#define WEIR_CONTROL_CONFIG_DIFF_RULES_H

#include "control/config.h"

/* As weir_config_diff, for rules. Where memory runs out, it says that they may have changed. */
void weir_config_diff_rules(const struct weir_config *from, const struct weir_config *to,
                            void (*each)(void *arg, enum weir_change change, const char *what),
                            void *arg);

#endif
