/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a running Weir tells about itself: plain copies of all numbers at one moment, and one table
 * of facts that names each of them. JSON (here) and OpenMetrics (metrics.h) both walk that table.
 *
 * Names point into the config that was in force at that moment: a status must not outlive it.
 */
#ifndef WEIR_CONTROL_STATUS_H
#define WEIR_CONTROL_STATUS_H

#include "control/ledger.h"
#include "dataplane/worker.h"

#include <jansson.h>

#define WEIR_DIGEST_SIZE 65U /* BLAKE2b-256 in hexadecimal, and its terminating zero */

struct weir_status_policy {
	uint64_t generation;
	char digest[WEIR_DIGEST_SIZE]; /* of the policy as GET /v1/policy prints it */
	uint64_t rules;
};

/* What the policy says that it protects, and how much of it may have left. */
struct weir_status_asset {
	const char *name; /* NULL: the policy says nothing */
	uint64_t weights_bytes;
	double compression;
	uint64_t survive_ns;
	const char *accept_risk; /* NULL: none is accepted */
	double left_share;       /* weir_status_left_share; above 1: more than a whole copy */
};

struct weir_status_worker {
	char lcore[12];
	uint64_t rounds;
	uint64_t busy_rounds;
	double busy_share; /* of the rounds of the last second, 0 to 1 */
	bool stalled;
};

struct weir_status_port {
	const char *name;
	const char *driver;
	bool up;
	bool breached;        /* it sent what nobody charged, and was stopped */
	uint64_t speed_bit_s; /* 0: the driver does not know */
	uint64_t rx_frames, tx_frames, rx_missed_frames, rx_error_frames, rx_no_buffer_frames;
	uint64_t tx_error_frames;
	uint64_t pool_frames, pool_free_frames;
};

/* A send queue that is limited in hardware. */
struct weir_status_queue {
	const char *port;
	char queue[12];
	uint64_t limit_bit_s;    /* as programmed */
	uint64_t measured_bit_s; /* 0: it never had a backlog to measure by */
	uint64_t waiting_frames;
	const char *verdict;
};

struct weir_status_link {
	const char *name;
	struct weir_flow_totals flows[WEIR_DIRECTIONS];
};

struct weir_status_class {
	const char *name;
	const char *budget;
	uint64_t rate_bit_s;
	uint64_t burst_bytes;
	uint64_t backlog_bytes;
	bool starved; /* starvation.h */
	struct weir_class_totals totals;
};

struct weir_status_budget {
	const char *name;
	const char *parent; /* NULL: the root */
	struct weir_ledger_budget_status ledger;
};

struct weir_status {
	const char *version;
	const char *appliance;
	const char *state; /* "running", "stopping", "ledger_failed" */
	uint64_t uptime_ns;
	uint64_t tsc_hz;
	bool huge_pages;
	uint64_t largest_frame_bytes; /* charged; what a cap must leave for every frame to fit */
	struct weir_status_policy policy;
	struct weir_status_asset asset;
	struct weir_ledger_status ledger;
	uint32_t n_workers, n_ports, n_queues, n_links, n_classes, n_budgets;
	struct weir_status_worker *workers;
	struct weir_status_port *ports;
	struct weir_status_queue *queues;
	struct weir_status_link *links;
	struct weir_status_class *classes;
	struct weir_status_budget *budgets;
};

/*
 * The share of an asset of weights_bytes (at least 1) that may have left, at worst: all bytes ever
 * charged, 8 bits each, of a copy compressed so many times. In millionths, rounded up.
 */
double weir_status_left_share(uint64_t charged_bytes, double compression, uint64_t weights_bytes);

/* A status with room for so many of each, all zero. NULL when memory runs out. */
struct weir_status *weir_status_new(uint32_t n_workers, uint32_t n_ports, uint32_t n_queues,
                                    uint32_t n_links, uint32_t n_classes, uint32_t n_budgets);
void weir_status_free(struct weir_status *status);

/* What a fact's field holds, in C. */
enum weir_fact_type {
	WEIR_FACT_TEXT,   /* const char *; NULL gives null. Not a metric. */
	WEIR_FACT_STRING, /* char[]. Not a metric. */
	WEIR_FACT_BOOL,
	WEIR_FACT_U64,
	WEIR_FACT_NS,        /* uint64_t nanoseconds, shown in seconds */
	WEIR_FACT_NS_OR_NUL, /* the same; 0 gives null. Not a metric. */
	WEIR_FACT_DOUBLE,
	WEIR_FACT_U64_OR_NUL, /* uint64_t; its maximum means no limit, and gives null */
	WEIR_FACT_ERROR,      /* int, 0 or -errno: null or its words; as a metric 0 or 1 */
	WEIR_FACT_WITNESS,    /* enum weir_witness_kind, by name. Not a metric. */
};

enum weir_fact_kind {
	WEIR_FACT_PLAIN, /* in JSON only */
	WEIR_FACT_GAUGE,
	WEIR_FACT_COUNTER,
};

struct weir_fact {
	const char *key;  /* in JSON */
	const char *unit; /* of the metric, NULL: none. The metric's name ends in it. */
	const char *help;
	/* Of the metric, where it is not the key: behind the table's prefix, without _total. */
	const char *metric;
	enum weir_fact_type type;
	enum weir_fact_kind kind;
	size_t offset;
};

/* The facts about one kind of thing. */
struct weir_facts {
	const char *prefix; /* of its metrics' names */
	const char *label;  /* of its metrics: the thing's name; NULL: there is only one */
	const struct weir_fact *facts;
	size_t n_facts;
};

extern const struct weir_facts weir_facts_appliance; /* struct weir_status */
extern const struct weir_facts weir_facts_policy;
extern const struct weir_facts weir_facts_asset;
extern const struct weir_facts weir_facts_ledger;
extern const struct weir_facts weir_facts_worker;
extern const struct weir_facts weir_facts_port;
extern const struct weir_facts weir_facts_queue; /* struct weir_status_queue */
extern const struct weir_facts weir_facts_flow;  /* struct weir_flow_totals */
extern const struct weir_facts weir_facts_class; /* struct weir_status_class */
extern const struct weir_facts weir_facts_budget;
extern const struct weir_facts weir_facts_cap; /* struct weir_ledger_cap_status */

/* "egress" or "return". */
const char *weir_direction_name(enum weir_direction direction);

/* An unsigned number as JSON, whose integers end at 2^63 - 1: saturating. */
json_t *weir_json_u64(uint64_t number);

/* The whole as JSON. NULL when memory runs out. */
json_t *weir_status_json(const struct weir_status *status);

#endif
