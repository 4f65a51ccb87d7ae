/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control API's client: HTTP over Weir's Unix socket, by libcurl. Nothing that the server sends
 * is trusted: sizes and times are bounded, and what should be JSON must be.
 */
#ifndef WEIR_TOOLS_WEIRCTL_CLIENT_H
#define WEIR_TOOLS_WEIRCTL_CLIENT_H

#include "tools/weirctl/text.h"

#include <jansson.h>

#define WEIR_ANSWER_MAX_BYTES (16U << 20)
#define WEIR_LINE_MAX_BYTES   (64U << 10) /* of an event stream */

struct weir_answer {
	long code;  /* HTTP's: 200, 409, ... */
	char *body; /* terminated; not by its first zero byte, though: see bytes */
	size_t bytes;
};

/*
 * GET path, within 5 s.
 * Returns 0 with any complete answer, whatever its code; -ECONNREFUSED (nobody listens there);
 * -ETIMEDOUT; -EFBIG; -EIO (anything else). Free the answer's body with weir_answer_free.
 */
int weir_client_get(const char *socket, const char *path, struct weir_answer *answer,
                    struct weir_error *error) __attribute__((warn_unused_result));

/* POST body (YAML) to path, within 60 s. Otherwise as weir_client_get. */
int weir_client_post(const char *socket, const char *path, const char *body, size_t bytes,
                     struct weir_answer *answer, struct weir_error *error)
    __attribute__((warn_unused_result));

void weir_answer_free(struct weir_answer *answer);

/*
 * The JSON object that an answer carries: compact or not, one, with nothing behind it, no key
 * twice. Returns NULL with a line in error that names path.
 */
json_t *weir_answer_json(const struct weir_answer *answer, const char *path,
                         struct weir_error *error);

/*
 * For an answer that is not 200: the server's own error line where it sent one, else the code.
 * Always returns -EPROTO.
 */
int weir_answer_refused(const struct weir_answer *answer, const char *path,
                        struct weir_error *error);

/*
 * GET path without a limit in time, calling each for every line. Ends when each returns other than
 * 0 (and returns that, negative), or when the server ends the answer (0).
 */
int weir_client_stream(const char *socket, const char *path,
                       int (*each)(void *arg, const char *line, size_t bytes,
                                   struct weir_error *error),
                       void *arg, struct weir_error *error) __attribute__((warn_unused_result));

/*
 * A pidfd of the process that listens on the socket, which becomes readable when that process has
 * ended; -1 when it can't be told. The caller closes it.
 */
int weir_client_process(const char *socket);

/* True when something accepts connections on the socket. */
bool weir_client_alive(const char *socket);

#endif
