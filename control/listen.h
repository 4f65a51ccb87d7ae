/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets, made so that nobody is shut out or let in by accident. Control thread. */
#ifndef WEIR_CONTROL_LISTEN_H
#define WEIR_CONTROL_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A listening Unix socket of this mode. A file of that name is replaced only if it is a socket at
 * which nobody listens. Returns the descriptor, or -errno with one line in error.
 */
int weir_listen_unix(const char *path, mode_t mode, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* A listening TCP socket on 127.0.0.1. Returns the descriptor, or -errno with one line in error. */
int weir_listen_loopback(uint16_t port, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* The user at the other end of a connected Unix socket. Returns 0 or -errno. */
int weir_listen_peer(int fd, uid_t *uid) __attribute__((warn_unused_result));

#endif
