/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The answer of GET /v1/status as plain numbers, and what two of them tell about the time between.
 * Everything that status and top print as text or JSON comes from here.
 */
#ifndef WEIR_TOOLS_WEIRCTL_STATUS_H
#define WEIR_TOOLS_WEIRCTL_STATUS_H

#include "tools/weirctl/format.h"
#include "tools/weirctl/text.h"

#include <jansson.h>

/* Strings and objects belong to the status. Bytes are wire bytes. */
struct weir_flow_status {
	uint64_t rx_frames, rx_wire_bytes, tx_frames, tx_wire_bytes;
	json_t *dropped; /* reason: frames; every value is a whole number, at least 0 */
};

enum { WEIR_FLOW_EGRESS, WEIR_FLOW_RETURN, WEIR_FLOWS };

struct weir_link_status {
	const char *name;
	struct weir_flow_status flows[WEIR_FLOWS];
};

struct weir_class_status {
	const char *name;
	uint64_t rate_bit_s, burst_bytes, tx_frames, tx_wire_bytes, dropped_frames;
	uint64_t dropped_wire_bytes, queued_bytes;
};

struct weir_cap_status {
	uint64_t limit_bytes, used_bytes, remaining_bytes;
	uint64_t window_ns; /* 0: lifetime */
};

struct weir_budget_status {
	const char *name;
	const char *parent; /* NULL: a root */
	uint64_t charged_wire_bytes;
	uint64_t forfeited_wire_bytes; /* of these: what crashes have cost */
	size_t n_caps;
	struct weir_cap_status *caps;
};

struct weir_ledger_status {
	const char *error; /* NULL: it has not failed */
	uint64_t epoch, sequence, forfeited_bytes;
	const char *witness; /* "none", "file", "tpm" */
	uint64_t witness_value, witness_failures;
	const char *witness_error;   /* NULL: it advanced when it was last asked to */
	uint64_t witness_left_bytes; /* UINT64_MAX: no limit */
};

struct weir_asset_status {
	const char *name;        /* NULL: the policy says nothing of what it protects */
	const char *accept_risk; /* NULL: none */
	uint64_t weights_bytes, survive_ns;
	double compression, left_share;
};

struct weir_status {
	json_t *json;
	uint64_t local_ns; /* CLOCK_MONOTONIC, when the answer had arrived */
	const char *state;
	double uptime_s;
	uint64_t largest_frame_bytes;
	struct weir_asset_status asset;
	struct weir_ledger_status ledger;
	size_t n_links, n_classes, n_budgets;
	struct weir_link_status *links;
	struct weir_class_status *classes;
	struct weir_budget_status *budgets;
};

/*
 * Reads and checks an answer. Takes json, on failure too.
 * Returns NULL with a line in error that names the member that is missing or wrong.
 */
struct weir_status *weir_status_parse(json_t *json, struct weir_error *error);

void weir_status_free(struct weir_status *status);

/* Asks the server and parses. NULL with a line in error. */
struct weir_status *weir_status_get(const char *socket, struct weir_error *error);

/* Names of a flow's two directions, as in JSON: "egress", "return". */
extern const char *const weir_flow_names[WEIR_FLOWS];

/*
 * Seconds from one status to a later one by the server's own clock. 0 when there are none: Weir has
 * restarted in between.
 */
double weir_status_seconds(const struct weir_status *from, const struct weir_status *to);

/* The item of the same name in another status, or NULL. i: where it is looked for first. */
const struct weir_class_status *weir_status_class(const struct weir_status *status, size_t i,
                                                  const char *name);
const struct weir_link_status *weir_status_link(const struct weir_status *status, size_t i,
                                                const char *name);
const struct weir_budget_status *weir_status_budget(const struct weir_status *status, size_t i,
                                                    const char *name);

/* Frames dropped for any reason, saturating. */
uint64_t weir_status_dropped(const struct weir_flow_status *flow);

/* "lifetime", or the window's length. */
struct weir_format weir_status_window(const struct weir_cap_status *cap);

/* Share of a cap that is used; 100 % when nothing is left. */
struct weir_format weir_status_used_percent(const struct weir_cap_status *cap);

/* One line: state, time up, and where the server tells them, its name and policy's generation. */
void weir_status_print_head(const struct weir_status *status, FILE *out);

#define WEIR_RATE_UNKNOWN UINT64_MAX

/* What a counter grew by in a second, rounded down; unknown when it shrank or no time passed. */
uint64_t weir_status_rate(uint64_t from, uint64_t to, double seconds);

enum weir_exhaustion {
	WEIR_EXHAUSTION_UNKNOWN,  /* the rate is not known */
	WEIR_EXHAUSTION_NEVER,    /* nothing flows, or so little that the window frees as much */
	WEIR_EXHAUSTION_NOW,      /* less is left than one largest frame */
	WEIR_EXHAUSTION_IN,       /* a lifetime cap, after *ns at this rate */
	WEIR_EXHAUSTION_EARLIEST, /* a window: after *ns if nothing comes back until then */
};

/* When one of the status's caps will be reached at byte_s wire bytes a second. */
enum weir_exhaustion weir_status_exhaustion(const struct weir_status *status,
                                            const struct weir_cap_status *cap, uint64_t byte_s,
                                            uint64_t *ns);

#endif
