/* SPDX-License-Identifier: BSD-3-Clause */
/* One rule in YAML, for printing and for what differs. Part of config.h; nothing else uses it. */
#ifndef WEIR_CONTROL_CONFIG_PRINT_H
#define WEIR_CONTROL_CONFIG_PRINT_H

#include "control/config.h"

/* Writes "{link: internet, ..., class: api}". rule is one of config's. */
void weir_config_print_rule(FILE *out, const struct weir_config *config,
                            const struct weir_rule *rule);

#endif
