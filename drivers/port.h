/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One DPDK port: a PCI NIC or a vdev. Opened, configured and started in one step, so that nothing
 * runs on a port that is half set up.
 *
 * Life: weir_port_open -> weir_port_start -> (workers use port_id and the queues) ->
 * weir_port_stop -> weir_port_close. Control thread only.
 */
#ifndef WEIR_DRIVERS_PORT_H
#define WEIR_DRIVERS_PORT_H

#include "drivers/units.h"

#include <stdatomic.h>
#include <stddef.h>

struct rte_mempool;

#define WEIR_DEVICE_SIZE 256U
#define WEIR_MAC_BYTES   6U

/* How a port's send queues are to be limited in hardware (limiter.h). */
enum weir_limiter_kind {
	WEIR_LIMITER_AUTO = 0, /* in a policy only: tm, else queue, else soft */
	WEIR_LIMITER_TM,       /* rte_tm: a hierarchy of port, groups, queues */
	WEIR_LIMITER_QUEUE,    /* rte_eth_set_queue_rate_limit */
	WEIR_LIMITER_SOFT,     /* not at all: the token buckets alone */
};

struct weir_port_config {
	char name[WEIR_NAME_SIZE];
	char device[WEIR_DEVICE_SIZE]; /* PCI address, or vdev name and arguments */
	uint32_t mtu_bytes;            /* layer 3, WEIR_MTU_MIN to WEIR_MTU_MAX */
	uint32_t rx_queues;            /* asked: 1 to WEIR_QUEUES_MAX */
	uint32_t tx_queues;            /* asked: one a worker; see tx_each */
	uint32_t rx_descriptors;       /* a queue; 0: the driver's own default */
	uint32_t tx_descriptors;
	enum weir_limiter_kind limiter; /* of an outside port; default auto */
	bool limiter_required;          /* without hardware limits that hold, nothing is sent */
	/* Of an outside port: how long its limits are tested before it is used; 0: not at all. */
	uint64_t limiter_test_ns;
	uint8_t limiter_test_destination[WEIR_MAC_BYTES]; /* of the padding that is sent then */
};

/*
 * Told at once that the link of a port has changed, on DPDK's interrupt thread: must not wait for
 * anything.
 */
typedef void weir_port_changed_fn(void *arg, uint16_t port_id);

struct weir_port {
	struct weir_port_config config;
	uint16_t port_id;        /* DPDK's */
	uint16_t rx_queues;      /* granted */
	uint16_t tx_queues;      /* granted */
	uint16_t rx_descriptors; /* a queue, granted */
	uint16_t tx_descriptors;
	/*
	 * Send queues of each worker that sends on an outside port whose queues are to be limited,
	 * set between open and start, with config.tx_queues. 0 or 1: one a worker.
	 */
	uint16_t tx_each;
	bool completions;       /* weir_port_completions, once started */
	int node;               /* NUMA node of the device, or WEIR_NODE_ANY */
	unsigned int interface; /* index of the kernel's own behind it; 0: none */
	bool attached;          /* port_id is ours */
	bool started;
	bool hotplugged;          /* we made the device, so we remove it */
	bool link_events;         /* the driver tells when the link changes */
	_Atomic uint32_t downs;   /* how often it told that the link is, or may have been, down */
	_Atomic bool settled;     /* weir_port_settle */
	_Atomic uint32_t telling; /* calls of changed that are under way */
	weir_port_changed_fn *_Atomic changed; /* may be NULL */
	void *changed_arg;
	char driver[32];
	/* What was granted and what was not, filled by weir_port_start for weir_port_describe. */
	bool promiscuous;
	bool flow_control_off; /* or the port has none to turn off */
	bool rss_symmetric;
	uint32_t mtu_granted_bytes;
	char mac[18];
	struct rte_mempool *pool; /* receive buffers on the port's node */
};

/*
 * Probes the device named by config and makes its receive pool of pool_frames mbufs, each large
 * enough for a whole frame of the MTU in one segment, on the device's NUMA node.
 * error (of error_size bytes) gets one line that says what failed.
 * Returns 0, -ENODEV (no such device), -ENOMEM, or another -errno of the driver.
 */
int weir_port_open(const struct weir_port_config *config, uint32_t pool_frames,
                   struct weir_port *port, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * Configures queues, MTU, promiscuous mode, flow control off and symmetric RSS, and starts the
 * port, which must not be moved in memory from then on. Fewer rx queues than asked are accepted
 * (rx_queues tells); fewer tx queues are not. Returns 0 or -errno with one line in error; the port
 * is then still only open.
 */
int weir_port_start(struct weir_port *port, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * Stops and starts a port that no worker uses: what waited in its rings is discarded, and what
 * starting wipes is set again. port_id and the queues stay what they are.
 * Returns 0; -EAGAIN: not possible yet; or -errno. After either it may be stopped: try again.
 */
int weir_port_restart(struct weir_port *port) __attribute__((warn_unused_result));

/*
 * Takes a started port's link down, as far as its driver can, while workers may still use it: what
 * is sent from now on does not leave.
 */
void weir_port_cut(const struct weir_port *port);

/* Stops a started port: no frame is received or sent after it. */
void weir_port_stop(struct weir_port *port);

/* Closes an open port and frees its pool. Workers must be gone. */
void weir_port_close(struct weir_port *port);

/*
 * One line for the start-up log: driver, node, link, queues, what was granted and what was not.
 * Writes at most size bytes, always terminated.
 */
void weir_port_describe(const struct weir_port *port, char *line, size_t size);

/*
 * How often the driver has told, by an interrupt, that the link is or may have been down. Grows
 * also where the link is up again by the time that anybody asks. Any thread.
 */
uint32_t weir_port_downs(const struct weir_port *port);

/*
 * Has changed called with arg each time that weir_port_downs has grown. NULL: no longer; none is
 * under way any more on return.
 */
void weir_port_on_change(struct weir_port *port, weir_port_changed_fn *changed, void *arg);

/*
 * Whether all has been told of a link that came up. From then on whatever the driver tells is a
 * link that was down, also where it is up again by then; before, news that it is up is none.
 */
void weir_port_settle(struct weir_port *port, bool settled);

/*
 * Whether a started port tells what has left its send queues (dataplane/departures.h): its driver
 * is known to, the queues were set up for it (tx_each), and it answers.
 */
bool weir_port_completions(const struct weir_port *port);

/* Link state now. speed_mbit_s is 0 where the driver doesn't know. Returns true when up. */
bool weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s);

#endif
