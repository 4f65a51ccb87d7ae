/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: one dedicated lcore each, run to completion: receive, parse, classify, charge, send.
 * This header is what the control thread sees of them.
 */
#ifndef WEIR_DATAPLANE_WORKER_H
#define WEIR_DATAPLANE_WORKER_H

#include "dataplane/counters.h"
#include "dataplane/credit.h"
#include "dataplane/snapshot.h"

/* One receive queue that a worker polls, and where its frames go. */
struct weir_rx {
	uint16_t port_id;
	uint16_t queue_id;
	uint16_t out_port_id;
	uint16_t link;      /* index of the link */
	uint8_t direction;  /* enum weir_direction */
	uint32_t mtu_bytes; /* the smaller one of both ports */
};

struct weir_worker_config {
	unsigned int lcore;
	uint16_t tx_queue;    /* the queue that this worker alone sends on, on every port */
	int node;             /* NUMA node of its state */
	uint64_t waiting_max; /* frames that may wait in its queues, for each link */
	uint32_t n_rx;
	struct weir_rx rx[WEIR_LINKS_MAX * 2 * WEIR_QUEUES_MAX];
};

struct weir_dataplane_config {
	uint64_t tsc_hz;
	uint64_t drain_tsc; /* longest time that queues drain for at a clean stop */
	uint32_t n_links;
	uint32_t n_workers;
	const struct weir_worker_config *workers;
};

struct weir_dataplane;

/*
 * Allocates all state, attaches the workers' purses to credit, and publishes the first snapshot.
 * Nothing runs yet. error gets one line on failure. Control thread.
 */
int weir_dataplane_new(const struct weir_dataplane_config *config, struct weir_credit *credit,
                       struct weir_snapshot *first, struct weir_dataplane **dataplane, char *error,
                       size_t error_size) __attribute__((warn_unused_result));

/* Launches the workers on their lcores (rte_eal_remote_launch). 0 or -errno. Control thread. */
int weir_dataplane_start(struct weir_dataplane *dataplane) __attribute__((warn_unused_result));

/*
 * Clean stop: workers stop receiving, drain their queues for at most drain_tsc, count what remains
 * as dropped, put their purses back and end. Returns when all have ended. Control thread; the
 * pulse must go on meanwhile: pass the function that gives it, called every few milliseconds.
 */
void weir_dataplane_stop(struct weir_dataplane *dataplane, void (*meanwhile)(void *), void *arg);

/* Frees everything, the current snapshot too. After stop. */
void weir_dataplane_free(struct weir_dataplane *dataplane);

/*
 * Empties the bucket and zeroes nothing else of a class slot that no running snapshot uses, before
 * a snapshot that uses it for a new name is published. Control thread.
 */
void weir_dataplane_init_class(struct weir_dataplane *dataplane, uint32_t slot,
                               const struct weir_rate *rate, uint64_t now_tsc);

/*
 * Publishes next. Returns the snapshot that it replaces: free it once weir_dataplane_quiescent says
 * so for the token. Control thread.
 */
struct weir_snapshot *weir_dataplane_publish(struct weir_dataplane *dataplane,
                                             struct weir_snapshot *next, uint64_t *token);

/*
 * True when every worker has passed a quiescent state since the publication that gave the token:
 * the old snapshot is in nobody's hands, and slots that the new one lacks are drained. With wait,
 * spins until then; without, returns at once. A worker that has stalled never becomes quiescent.
 */
bool weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait);

/* A token for weir_dataplane_quiescent: what was stored before it is seen by every worker. */
uint64_t weir_dataplane_fence(struct weir_dataplane *dataplane);

/* The control thread's pulse. Workers stop egress when it is older than heartbeat_limit_tsc. */
void weir_dataplane_pulse(struct weir_dataplane *dataplane, uint64_t now_tsc);

/* Counters of one worker, to be read with weir_count_read. */
const struct weir_counters *weir_dataplane_counters(const struct weir_dataplane *dataplane,
                                                    uint32_t worker);

/* Sums over all workers, into plain copies. Any thread. */
struct weir_flow_totals {
	uint64_t rx_frames, rx_wire_bytes, tx_frames, tx_wire_bytes, dropped[WEIR_DROPS];
};
struct weir_class_totals {
	uint64_t tx_frames, tx_wire_bytes, dropped_frames, dropped_wire_bytes, queued_bytes;
};
void weir_dataplane_flow_totals(const struct weir_dataplane *dataplane, uint32_t link,
                                enum weir_direction direction, struct weir_flow_totals *totals);
void weir_dataplane_class_totals(const struct weir_dataplane *dataplane, uint32_t slot,
                                 struct weir_class_totals *totals);

/*
 * Says to the workers whether a port may be used. One that may not is neither polled nor sent to;
 * frames that come in for it are dropped. In force once weir_dataplane_quiescent says so for a
 * token of weir_dataplane_fence taken afterwards.
 */
void weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up);

#endif
