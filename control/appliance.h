/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The running box: everything that main() puts together stage by stage, and takes apart in reverse.
 *
 *   open_ledger -> start_eal -> open_ports -> make_dataplane -> run ... halt
 *
 * Each stage has its own undoing. All functions: control thread only.
 */
#ifndef WEIR_CONTROL_APPLIANCE_H
#define WEIR_CONTROL_APPLIANCE_H

#include "control/config.h"
#include "control/ledger_thread.h"
#include "control/slots.h"
#include "control/starvation.h"
#include "control/status.h"
#include "dataplane/worker.h"
#include "drivers/clock.h"
#include "drivers/port.h"

#define WEIR_ERROR_SIZE 512U /* of a one-line error */

/* What the control thread watches of one worker (watch.c). */
struct weir_worker_watch {
	uint64_t rounds;     /* at the last look */
	uint64_t changed_ns; /* when rounds last moved */
	/* Where the present second of busy_share began. */
	uint64_t share_ns, share_rounds, share_busy_rounds;
	double busy_share;
	bool stalled;
};

/*
 * What becomes of a port whose link goes down (watch.c):
 *
 *   UP -- link down --> DOWN -- workers off it, restarted --> CLEAN -- link up, limits set --> UP
 *   UP -- sent what nobody charged --> BREACHED
 */
enum weir_port_state {
	WEIR_PORT_UP = 0,
	WEIR_PORT_DOWN,  /* its rings may hold frames that must not leave at once when it returns */
	WEIR_PORT_CLEAN, /* its rings are empty; its limits may be gone */
	WEIR_PORT_BREACHED, /* stopped, until Weir is restarted */
};

struct weir_port_watch {
	enum weir_port_state state;
	uint64_t token;        /* DOWN, BREACHED: by when no worker uses it any more */
	uint32_t downs;        /* UP: weir_port_downs by then */
	uint32_t speed_mbit_s; /* UP: the link's, by then */
	uint32_t up_looks;     /* UP: for so many looks, until it is settled */
	uint32_t wait;         /* CLEAN: looks until its limits are tried again */
	bool failed;           /* to restart, and told */
	bool refused;          /* its limits, and told */
};

struct weir_appliance {
	struct weir_config *config; /* in force */
	struct weir_events *events; /* not ours */
	char digest[WEIR_DIGEST_SIZE];
	uint64_t started_ns; /* CLOCK_BOOTTIME */
	bool stopping;

	struct weir_credit *credit;
	struct weir_ledger *ledger;               /* until its thread takes it */
	struct weir_ledger_thread *ledger_thread; /* NULL before and after */

	bool huge_pages;
	struct weir_clock clock;
	uint32_t n_ports;     /* all of config's, once they are open */
	uint64_t room_frames; /* see weir_placement_pools */
	struct weir_port ports[WEIR_PORTS_MAX];
	struct weir_port_watch port_watch[WEIR_PORTS_MAX];
	uint32_t port_speed_mbit_s[WEIR_PORTS_MAX];
	struct weir_hardware *hardware; /* their limits (hardware.h); NULL: none yet */

	struct weir_dataplane *dataplane;
	struct weir_worker_watch workers[WEIR_WORKERS_MAX];
	bool ledger_slow;                   /* and told (watch.c) */
	struct weir_starvation *starvation; /* of classes, by slot (watch.c) */
	uint64_t starvation_ns;             /* of the last look */

	/* The policy in force: how config's classes and budgets are called elsewhere. */
	uint64_t generation;
	struct weir_slots *slots;
	uint32_t *class_slots; /* by config's class index */
	uint32_t *budget_ids;  /* by config's budget index */

	/* The policy before, until no worker holds it. NULL: none. */
	struct weir_snapshot *retired;
	uint64_t retired_token;
	bool departing; /* budgets that have left wait for that to be closed */
};

/* An appliance with nothing started. Takes config. NULL when memory runs out. */
struct weir_appliance *weir_appliance_new(struct weir_config *config, struct weir_events *events);

/* Frees it. Every stage has been undone. */
void weir_appliance_free(struct weir_appliance *appliance);

/*
 * The stages. Each returns 0 or -errno and then has undone what it did; error (of WEIR_ERROR_SIZE
 * bytes) gets one line.
 */

/* Locks and reads the ledger, with its key and its witness. Changes nothing in them. */
int weir_appliance_open_ledger(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));
void weir_appliance_close_ledger(struct weir_appliance *appliance);

/* DPDK, and the clock that rates run on: takes a fifth of a second. */
int weir_appliance_start_eal(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));
void weir_appliance_finish_eal(struct weir_appliance *appliance);

/* Opens and starts every port, and prints a line for each on standard error. */
int weir_appliance_open_ports(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));
void weir_appliance_close_ports(struct weir_appliance *appliance);

/* Puts the policy's budgets into the ledger, compiles it, and makes the workers ready. */
int weir_appliance_make_dataplane(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));
void weir_appliance_free_dataplane(struct weir_appliance *appliance);

/* Starts the ledger's thread and the workers: from here on frames are forwarded. */
int weir_appliance_run(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));

/*
 * Clean stop: no frame is received any more, queues drain, purses go back, and the ledger is exact
 * to the byte. meanwhile is called every few milliseconds while queues drain. Prints what each
 * budget has been charged. Returns 0, or -errno where the ledger could not be made exact.
 */
int weir_appliance_halt(struct weir_appliance *appliance, void (*meanwhile)(void *), void *arg)
    __attribute__((warn_unused_result));

/* The workers' pulse: without it they stop egress. */
void weir_appliance_pulse(const struct weir_appliance *appliance);

/* Posts an event where queues may hold more frames than there are buffers. */
void weir_appliance_warn_memory(struct weir_appliance *appliance);

/* BLAKE2b-256 of text in hexadecimal. */
void weir_appliance_digest(const char *text, char digest[WEIR_DIGEST_SIZE]);

#endif
