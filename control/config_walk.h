/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads YAML by a schema of libcyaml: the tree is walked beside the schema first, so that what is
 * wrong is told with line and key. Schemas are made of maps of at most 32 keys, lists and strings.
 * For the policy, and for what other programs read in the same manner.
 */
#ifndef WEIR_CONTROL_CONFIG_WALK_H
#define WEIR_CONTROL_CONFIG_WALK_H

#include "control/config_tree.h"

#include <cyaml/cyaml.h>

/*
 * Checks the tree of text against the schema and loads text. Returns 0 and *data; -EINVAL
 * (reported); or -ENOMEM. Free *data with weir_config_walk_free and the same schema.
 */
int weir_config_walk_load(const struct weir_config_tree *tree, const char *text, size_t text_bytes,
                          const struct cyaml_schema_value *schema, void **data,
                          struct weir_config_report *report) __attribute__((warn_unused_result));

void weir_config_walk_free(const struct cyaml_schema_value *schema, void *data);

#endif
