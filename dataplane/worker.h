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

/* Send queues of a link's outside port that a worker alone uses. */
struct weir_tx {
	uint16_t first_queue;
	uint16_t n_queues;      /* 0: tx_queue alone, not limited in hardware; at most 256 */
	uint32_t n_descriptors; /* of each; where there are completions, 2 to UINT16_MAX */
	bool completions;       /* the port tells what has left (departures.h) */
};

struct weir_worker_config {
	unsigned int lcore;
	uint16_t tx_queue;    /* that this worker alone sends on, on every port without tx */
	int node;             /* NUMA node of its state */
	uint64_t waiting_max; /* frames that may wait in its queues, for each link */
	struct weir_tx tx[WEIR_LINKS_MAX]; /* by link */
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
 * a snapshot that uses it for a new name is published. What of the slot's former class still waits
 * in a NIC's queue takes room in the new one's burst until it has left. Control thread.
 */
void weir_dataplane_init_class(struct weir_dataplane *dataplane, uint32_t slot,
                               const struct weir_rate *rate, uint64_t now_tsc);

/*
 * Lets no worker that reads its clock from now on take, give back or settle anything, or look at a
 * port, before the next publication: lines that begin at the TSC that this returns, or later, begin
 * for all workers at once (bucket.h). Make it short: frames wait in the NICs' receive rings.
 * Control thread; only while the TSC is the workers' clock.
 */
uint64_t weir_dataplane_suspend(struct weir_dataplane *dataplane);

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

/*
 * The same for one port, by DPDK's id: only workers that receive from it or send to it count, and
 * not what snapshot they work by. Returns at once.
 */
bool weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id, uint64_t token);

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

/* What all workers have charged, since the start. */
struct weir_note {
	uint64_t frames[WEIR_LINKS_MAX]; /* handed to the outside port of a link, ... */
	uint64_t wire_bytes[WEIR_LINKS_MAX];
	uint64_t root_wire_bytes; /* ... and charged to budgets that have no parent, by all links */
};

/*
 * Asks each worker to note what it has charged by the end of the round that it is in. So all that a
 * port had taken when this was called is in the note and, however late it is read, not more than
 * what each worker charged in one round besides. Returns the note's number; the one before is lost.
 * Control thread.
 */
uint64_t weir_dataplane_note(struct weir_dataplane *dataplane);

/*
 * True, with the note, once every worker has made it. Workers that have ended, or not begun, need
 * not. One that has stalled never makes it. Control thread.
 */
bool weir_dataplane_noted(const struct weir_dataplane *dataplane, uint64_t number,
                          struct weir_note *note);

/*
 * The same without waiting: of a worker that has not made the note by now, what it has counted so
 * far, and the most that it may have in hand besides: frames that it has handed to a port and not
 * counted yet, the longest of frame_bytes without FCS. What budgets were charged can't be told
 * then: root_wire_bytes is UINT64_MAX. Control thread.
 */
void weir_dataplane_noted_at_most(const struct weir_dataplane *dataplane, uint64_t number,
                                  uint32_t frame_bytes, struct weir_note *note);

/*
 * Says to the workers whether a port may be used. One that may not is neither polled nor sent to;
 * frames that come in for it are dropped. In force once weir_dataplane_quiescent says so for a
 * token of weir_dataplane_fence taken afterwards. A port that may be used again was restarted:
 * workers take what waited in its send queues for lost. Control thread, as all below; but any
 * thread may take the port away.
 */
void weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up);

/*
 * Begins or ends a test of what lies behind an inside port: while it lasts the port is not polled,
 * and padding (padding.h) is offered to the classes of link instead. What waits by the end of it
 * leaves all the same. padding: NULL ends it. In force as above.
 */
struct weir_padding;
void weir_dataplane_set_test(struct weir_dataplane *dataplane, uint16_t inside_port_id,
                             uint32_t link, const struct weir_padding *padding);

/*
 * Says that a port which is down or held, and out of the workers' hands, was restarted or stopped:
 * what waited in its send queues is lost. Otherwise bytes of classes that send on other links as
 * well stay in flight, and take room in their bursts, for as long as the port is down.
 */
void weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id);

/*
 * Holds a port that is up: workers hand it nothing more, let frames wait as far as backlogs allow,
 * and go on asking it what has left. In force as above.
 */
void weir_dataplane_hold(struct weir_dataplane *dataplane, uint16_t port_id, bool held);

/*
 * Sends a class's frames on a link by another of the worker's queues, below n_queues, from each
 * worker's next round on; they may overtake those that the queue before still has. At first all go
 * by queue 0. Any slot, in use or not.
 */
void weir_dataplane_set_queue(struct weir_dataplane *dataplane, uint32_t link, uint32_t slot,
                              uint8_t queue);

struct weir_departures;

/* What waits in one of a worker's send queues of a link. NULL where completions are not known. */
struct weir_departures *weir_dataplane_departures(const struct weir_dataplane *dataplane,
                                                  uint32_t worker, uint32_t link, uint32_t queue);

#endif
