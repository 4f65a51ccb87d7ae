/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be asked of a running Weir:
 *
 *   GET  /v1/status            JSON: all numbers (status.h)
 *
 *   GET  /v1/hardware          JSON: the NICs' own limits, asked and measured (hardware.h)
 *
 *   GET  /v1/policy            YAML: the policy in force, defaults filled in
 *
 *   GET  /v1/events[?after=N]  JSON lines: events above number N, and then those to come
 *
 *   GET  /metrics              OpenMetrics text
 *
 *   POST /v1/policy[?check=1]  YAML: puts a policy in force; with check=1 only says what it would
 *
 *   POST /v1/stop              stops cleanly
 *
 * Answers of POST are JSON: {"ok": true, "generation": N, "restart": bool, "changes": [{"change":
 * "tightens" | "loosens" | "neutral" | "restart", "what": "..."}]} or {"ok": false, "error": "..."}
 * with 400 (bad request or policy), 403 (not on this socket), 404, 405, 409 (busy, or a change that
 * needs a restart), 413 (too large), 503 (out of memory, stopping, the ledger has failed).
 * What is no HTTP at all, or too large, evhttp answers by itself, in HTML. Control thread only.
 */
#ifndef WEIR_CONTROL_ROUTES_H
#define WEIR_CONTROL_ROUTES_H

#include "control/appliance.h"
#include "control/server.h"
#include "control/streams.h"

struct weir_routes {
	struct weir_appliance *appliance;
	struct weir_server *server;
	struct weir_streams *streams;
	void (*stop)(void *arg); /* asked to stop: called once or more */
	void *arg;
};

/* A weir_server_handle; arg is a struct weir_routes. */
void weir_routes_handle(void *arg, struct evhttp_request *request, enum weir_access access,
                        uid_t uid);

#endif
