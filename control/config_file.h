/* SPDX-License-Identifier: BSD-3-Clause */
/* A text file that people write, as a whole. Any thread. */
#ifndef WEIR_CONTROL_CONFIG_FILE_H
#define WEIR_CONTROL_CONFIG_FILE_H

#include <stddef.h>

/*
 * Reads a regular file of at most WEIR_POLICY_MAX_BYTES; of a larger one a byte more, so that the
 * parser refuses it. Free *text with free(). Returns 0, or -errno with "PATH: reason" in error.
 */
int weir_config_file_read(const char *path, char **text, size_t *bytes, char *error,
                          size_t error_size) __attribute__((warn_unused_result));

#endif
