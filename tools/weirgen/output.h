/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that a command writes. It comes into being under its name when it is whole: until then it
 * is a temporary file in the same folder, and what had the name stays. Links are not followed, and
 * what is read from is not written to. Devices and pipes are written to as they are. Control
 * thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_OUTPUT_H
#define WEIR_TOOLS_WEIRGEN_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct weir_output {
	char path[PATH_MAX];
	char temporary[PATH_MAX]; /* "": written to as it is */
	int fd;                   /* the caller's, who closes it before the end */
};

/*
 * Whether a path can be written to: -EINVAL where it is the input (a file that is read, or NULL) or
 * a link, or another -errno, as where there is no such folder, with one line in error. Returns 0
 * otherwise.
 */
int weir_output_check(const char *path, const char *input, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Whether two paths, however written, are the same name in the same folder. */
bool weir_output_same(const char *one, const char *other);

/* Opens a file for writing. Returns 0, or -errno as weir_output_check does. */
int weir_output_open(const char *path, const char *input, struct weir_output *output, char *error,
                     size_t error_size) __attribute__((warn_unused_result));

/* Gives it its name. Returns 0 or -errno, and nothing is left then. */
int weir_output_keep(struct weir_output *output) __attribute__((warn_unused_result));

/* Leaves nothing. */
void weir_output_drop(struct weir_output *output);

/*
 * Standard output could not be written, for a cause (an errno): remembers the first, for the one
 * line at the end of the process. Returns it; 0: none yet.
 */
int weir_output_lost(int cause);

#endif
