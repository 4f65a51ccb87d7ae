/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that only profiles have, each from its text. All return 0 or -EINVAL (reported). Part of
 * profile.h; nothing else uses it.
 */
#ifndef WEIR_TOOLS_WEIRGEN_PROFILE_VALUE_H
#define WEIR_TOOLS_WEIRGEN_PROFILE_VALUE_H

#include "control/config_value.h"
#include "tools/weirgen/profile.h"

/* A whole number of least to most. */
int weir_profile_get_number(struct weir_config_report *report, struct weir_config_at at,
                            const char *text, uint64_t least, uint64_t most, uint64_t *value);

/* One number, or two with "-" between them, each of least to most. */
int weir_profile_get_range(struct weir_config_report *report, struct weir_config_at at,
                           const char *text, uint64_t least, uint64_t most,
                           struct weir_profile_range *range);

/* One duration or two, to most_ns. */
int weir_profile_get_times(struct weir_config_report *report, struct weir_config_at at,
                           const char *text, uint64_t most_ns, struct weir_profile_range *range);

/* One MAC address or two. */
int weir_profile_get_mac(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, struct weir_profile_range *range);

/* An address, a prefix, or two addresses of one /64. *ip6 says which family it is. */
int weir_profile_get_address(struct weir_config_report *report, struct weir_config_at at,
                             const char *text, struct weir_profile_address *address, bool *ip6);

/* A protocol's name or number. */
int weir_profile_get_protocol(struct weir_config_report *report, struct weir_config_at at,
                              const char *text, uint8_t *protocol);

#endif
