/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doors: who may connect, how many, for how long, and how much they may send. What is behind
 * them is the caller's (routes.h).
 *
 * Two Unix sockets, one that controls and one that reads, and where asked a TCP port of the
 * loopback for metrics. A peer on a Unix socket is known by its credentials (SO_PEERCRED), looked
 * at when it connects and again at its request: user 0, Weir's own user and the policy's users may
 * pass. One request a connection. Everything is bounded: connections of each kind, header, body,
 * idle time, total time; a connection beyond its kind's limit is told so and closed.
 *
 * Control thread only.
 */
#ifndef WEIR_CONTROL_SERVER_H
#define WEIR_CONTROL_SERVER_H

#include "control/config.h"
#include "control/events.h"

#include <event2/event.h>
#include <event2/http.h>

#define WEIR_STREAMS_MAX 16U

enum weir_access {
	WEIR_ACCESS_CONTROL, /* may do everything */
	WEIR_ACCESS_READ,    /* may only read */
	WEIR_ACCESS_METRICS, /* anyone on this machine: /metrics and nothing else */
	WEIR_ACCESSES,
};

struct weir_server;

/* A request of a peer that may pass. uid is (uid_t)-1 where it is not known (metrics). */
typedef void (*weir_server_handle)(void *arg, struct evhttp_request *request,
                                   enum weir_access access, uid_t uid);

/*
 * Opens the doors that config names. A socket's file that nobody answers at is replaced.
 * Returns 0 or -errno with one line in error (of error_size bytes).
 */
int weir_server_new(struct event_base *base, const struct weir_config_appliance *config,
                    struct weir_events *events, weir_server_handle handle, void *arg,
                    struct weir_server **server, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Cuts all connections, closes the doors and removes the sockets' files. NULL is allowed. */
void weir_server_free(struct weir_server *server);

/*
 * Lets a request's connection live on as a stream, without a limit of its time.
 * Returns false when there are WEIR_STREAMS_MAX already.
 */
bool weir_server_admit_stream(struct weir_server *server, struct evhttp_request *request)
    __attribute__((warn_unused_result));

/*
 * Starts a request's time limits anew. Before an answer that took long to make: the loop stood
 * still meanwhile, and the client is not to blame.
 */
void weir_server_restart_limits(struct evhttp_request *request);

#endif
