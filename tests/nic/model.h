/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC that is only a program: send queues that drain at the rates which its registers give, a
 * wire, counters, a link. It is a DPDK ring port with a model of a real driver in front of it
 * (wraps.c), with that driver's arithmetic and bad habits, so that code made for real NICs runs
 * against it unchanged.
 *
 * Time is what weir_model_advance is told: simulated or real. Frames leave in their queue's order,
 * one at a time, at times exact to a picosecond. A frame begins when the wire is free and all the
 * limits on its way allow it; it has left when its last bit has. Queues that may send take turns.
 * The gap behind a frame is part of it (drivers/units.h), so the wire is free when a frame has
 * left.
 *
 * Limits come in two kinds. A gap: after a frame of n bytes the queue rests until n bytes have
 * passed at its rate, and what it was late, up to a window, it makes up for. A bucket: it holds up
 * to a burst, starts full, and a frame needs its whole size in it, or a full bucket.
 *
 * Threads: a queue's frames are handed over by one thread, which may run beside all else; anything
 * else takes the model's lock. Without threads nothing runs but what the caller calls, and there is
 * no state but the models themselves and the table of their ports.
 */
#ifndef WEIR_TESTS_NIC_MODEL_H
#define WEIR_TESTS_NIC_MODEL_H

#include "drivers/units.h"

#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>

#define WEIR_MODEL_QUEUES_MAX    256U
#define WEIR_MODEL_RX_QUEUES_MAX 16U /* of a ring port */
#define WEIR_MODEL_NODES_MAX     320U
#define WEIR_MODEL_PATH_MAX      6U
#define WEIR_MODEL_LISTENERS_MAX 4U
#define WEIR_MODEL_SHAPERS_MAX   (WEIR_MODEL_QUEUES_MAX + WEIR_MODEL_NODES_MAX)
#define WEIR_MODEL_ALL_QUEUES    UINT16_MAX
#define WEIR_MODEL_UNLIMITED     UINT64_MAX

typedef weir_u128 weir_model_ps; /* picoseconds on the clock of weir_model_advance */
__extension__ typedef __int128 weir_model_credit;

struct weir_model;
struct weir_model_family; /* model_family.h */
struct weir_model_tm;     /* model_tm.h */

/* What rte_eth_tx_descriptor_status answers. */
enum weir_model_completion {
	WEIR_MODEL_COMPLETION_DRIVER = 0, /* in a configuration: what the family's driver does */
	WEIR_MODEL_COMPLETION_NONE,       /* -ENOTSUP */
	WEIR_MODEL_COMPLETION_EXACT,      /* of the frame at the offset, at any time */
	/*
	 * The "done" bit of the frame's own descriptor, which the NIC writes back where it was
	 * asked to (each tx_rs_thresh-th), and which is lost when the descriptor is cleaned.
	 */
	WEIR_MODEL_COMPLETION_BIT,
	/* The same bit of the next descriptor whose number is a multiple of tx_rs_thresh. */
	WEIR_MODEL_COMPLETION_ROUNDED,
	/* Takes the offset for a place counted from the start of a block of 32. */
	WEIR_MODEL_COMPLETION_ABSOLUTE,
};

/* Which bytes of a frame a limit counts. */
enum weir_model_bytes {
	WEIR_MODEL_WIRE_BYTES = 0, /* all that it takes on the wire */
	WEIR_MODEL_FCS_BYTES,      /* the frame with its FCS */
	WEIR_MODEL_FRAME_BYTES,    /* the frame alone */
};

/* A frame that has left. */
struct weir_model_frame {
	struct weir_model *nic;
	struct rte_mbuf *mbuf; /* still the model's; NULL: one that nobody handed over */
	uint16_t queue;
	uint32_t wire_bytes;
	uint64_t left_ns; /* its last bit, cut off to whole nanoseconds ... */
	uint32_t left_ps; /* ... and the rest: 0 to 999 */
};
typedef void weir_model_sent_fn(void *arg, const struct weir_model_frame *frame);

struct weir_model_config {
	char name[WEIR_NAME_SIZE];
	const struct weir_model_family *family;
	uint16_t queues;       /* send queues that the device has */
	uint16_t rx_queues;    /* up to WEIR_MODEL_RX_QUEUES_MAX */
	uint16_t descriptors;  /* most of a send queue */
	uint32_t speed_mbit_s; /* of the link */
	uint32_t window_bytes; /* of gap limits; UINT32_MAX: what the family's driver sets */
	uint32_t clock_hz;     /* of the ice family's scheduler */
	enum weir_model_completion completion;
	enum weir_model_bytes counts;
	bool counters_fcs; /* the byte counters count the FCS, too */
	bool link_events;  /* the driver tells of link changes by interrupt */
};

/* What a NIC that is not honest does. All zero: honest. May be written between calls. */
struct weir_model_cheat {
	uint32_t rate_ppm;    /* 0: as programmed; 2000000: twice as fast */
	uint16_t rate_queue;  /* which queue, or WEIR_MODEL_ALL_QUEUES */
	uint64_t own_frames;  /* still to be sent, that nobody handed over */
	uint32_t own_bytes;   /* of each, without FCS */
	uint16_t own_queue;   /* in whose counters they are */
	int64_t count_frames; /* added to the counters of the port and of queue 0 */
	int64_t count_bytes;
	uint32_t hidden_ppm;  /* so many of a million frames are not counted */
	bool unreadable;      /* the driver has no counters to tell */
	bool late;            /* the port's counters show ... */
	uint64_t late_frames; /* ... this until they are brought up to date */
	uint64_t late_bytes;
	bool never_completes;   /* no frame is told to have left */
	bool completes_at_once; /* all are, before they leave */
	bool stalls;            /* this queue, or all, sends nothing */
	uint16_t stalled_queue;
	uint64_t forget_at_ns;    /* all limits are gone from then on; 0: never */
	uint32_t refused_updates; /* so many calls that change a node's shaper fail */
};

struct weir_model_counts {
	uint64_t frames;
	uint64_t bytes; /* padded, without FCS */
	uint64_t wire_bytes;
};

/* One limit. Credit is in units of which a byte costs cost and a picosecond brings gain. */
struct weir_model_shaper {
	bool limited, blocked;
	bool bucket;         /* or a gap */
	bool asked, written; /* ever; since the last start or change of the link */
	uint32_t factor;     /* of a gap: link's speed / rate, times 2^14 */
	int32_t adjust;      /* bytes added to each frame, where not all are counted anyway */
	weir_u128 gain, cost;
	weir_u128 room; /* most credit */
	weir_model_credit credit;
	weir_model_ps at; /* when that was the credit */
	uint64_t burst_bytes;
};

/* One send queue. */
struct weir_model_queue {
	struct weir_model *nic;
	struct rte_ring *ring;
	uint64_t *handed_ns; /* when a frame was handed over, by its number in the ring's size */
	uint16_t id;
	uint16_t n_descriptors;
	uint16_t rs_thresh;
	bool set_up;

	/* Model. */
	bool enabled;
	struct rte_mbuf *head; /* next to leave, out of the ring */
	weir_model_ps head_ps; /* when it was handed over */
	weir_model_ps ready_ps;
	bool ready;
	uint64_t fetched; /* frames, since the ring was emptied last */
	uint64_t done;
	weir_model_ps since_ps; /* enabled since */
	uint8_t n_path;
	uint16_t path[WEIR_MODEL_PATH_MAX]; /* shapers on the way to the wire */
	uint64_t committed_bit_s;           /* goes before the others up to that; 0: no */
	weir_model_credit committed_credit; /* bit-picoseconds a second */
	weir_model_ps committed_at;
	struct weir_model_counts sent;        /* truly */
	struct weir_model_counts shown, base; /* by the counters; when they were last reset */
	uint64_t discarded;                   /* frames that a stop or a commit threw away */

	/* The sender writes, the model reads, and the other way round. */
	_Atomic uint64_t handed;
	_Atomic uint64_t told; /* frames whose descriptors are the driver's again */
	_Atomic uint8_t *bits; /* of each descriptor: "done", "tell when done" */

	/* Sender: the driver's own part, as in its transmit function. */
	uint32_t tail, free, used, cleaned, next_done;
};

struct weir_model {
	struct weir_model_config config;
	pthread_mutex_t lock;
	uint64_t now_ns;
	uint64_t (*clock_ns)(void); /* when a frame is handed over; NULL: now_ns */
	weir_model_sent_fn *sent;
	void *sent_arg;

	/* Wire. */
	weir_model_ps free_ps; /* since when it is free */
	bool on_wire;
	struct weir_model_frame frame; /* that is on it ... */
	weir_model_ps frame_ps;        /* ... and when its last bit leaves */
	uint16_t last_queue;
	bool some_committed;
	bool lost_all; /* it had limits and none was set anew: as of the last call */

	/* Port. */
	uint16_t port_id;
	bool attached; /* port_id is there */
	bool configured, started;
	uint16_t n_queues, n_rx_queues; /* configured */
	uint32_t mtu;
	bool up, shut; /* the cable; by the driver */
	uint32_t speed_mbit_s;
	uint64_t up_at_ns; /* when the link is up again; 0: nothing is to come */
	uint32_t next_mbit_s;
	uint32_t flags; /* of rte_eth_dev_info */
	bool known_up;  /* as the driver last heard of it */
	uint32_t known_mbit_s;
	bool listening; /* link interrupts were asked for */
	struct {
		rte_eth_dev_cb_fn call;
		void *arg;
	} listeners[WEIR_MODEL_LISTENERS_MAX];
	struct rte_eth_fc_conf flow_control;
	struct rte_ring *rx_rings[WEIR_MODEL_RX_QUEUES_MAX];
	struct rte_mempool *pool; /* of the receive queues */
	_Atomic uint64_t rx_missed;
	uint64_t rx_bytes, rx_base_bytes;

	/* Registers. Shaper q is queue q's own; those from WEIR_MODEL_QUEUES_MAX on are nodes'. */
	struct weir_model_queue *queues;
	void **queue_pointers; /* for rte_eth_fp_ops */
	struct weir_model_shaper shapers[WEIR_MODEL_SHAPERS_MAX];
	uint8_t tree; /* family's own: which of the driver's trees is in force */
	struct weir_model_tm *tm;

	/* What a test asks. */
	struct weir_model_cheat cheat;
	bool own_waits;          /* own frames, ... */
	weir_model_ps own_ps;    /* ... since then */
	uint32_t hidden;         /* millionths of a frame that are to be hidden */
	bool must_be_programmed; /* frames before the first limit count as unprogrammed, too */
	/* That left before a limit in their queue's way, or any of the port, was set anew. */
	uint64_t unprogrammed_frames;
	uint64_t discarded_frames;
	uint64_t starts;
	uint64_t limits_written; /* since the last start or change of the link */
	struct weir_model_counts sent_all, shown_all, base_all; /* as a queue's */
	void *lab;                                              /* lab.c */
};

/*
 * Reads a device text: "model0,family=ixgbe,queues=16,speed=10G", and what else config has:
 * rx_queues, descriptors, window, clock (0 to 3), completions (none, exact, bit, rounded,
 * absolute), counts (wire, fcs, frame), counters (fcs, frame), events (0, 1). iface and control are
 * the lab's. Returns 0 or -EINVAL with one line in error.
 */
int weir_model_parse(const char *device, struct weir_model_config *config, char *error,
                     size_t error_size) __attribute__((warn_unused_result));

/* A model that is no port yet: stopped, its link up. NULL: no memory. */
struct weir_model *weir_model_new(const struct weir_model_config *config);
void weir_model_free(struct weir_model *nic);

/* Calls sent for each frame that leaves, under the lock, in the order of leaving. */
void weir_model_on_sent(struct weir_model *nic, weir_model_sent_fn *sent, void *arg);

/*
 * Sends all that leaves up to now_ns. Frames that are handed over between two calls count as there
 * since the first of them, or since clock_ns where that is set. Time never goes back.
 */
void weir_model_advance(struct weir_model *nic, uint64_t now_ns);
void weir_model_advance_all(uint64_t now_ns);

/* The table of model ports. NULL: none of that number, or name ("model0"). */
struct weir_model *weir_model_of(uint16_t port_id);
struct weir_model *weir_model_find(const char *name);

/* Makes the port of a device text and removes it again: what weir_port_device_probe does. */
int weir_model_probe(const char *device, uint16_t *port_id, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void weir_model_remove(const char *device);
/* Whether the text is of a model. */
bool weir_model_is(const char *device);

/* Hands n frames to a queue as its driver would; returns how many it took. A tx_pkt_burst. */
uint16_t weir_model_send(void *queue, struct rte_mbuf **frames, uint16_t n);
/* A tx_descriptor_status. */
int weir_model_status(void *queue, uint16_t offset);

/* Puts an mbuf that has come in into a receive queue, or frees it where there is no room. */
void weir_model_receive(struct weir_model *nic, uint16_t queue, struct rte_mbuf *mbuf);

/* Life of a port without ethdev; the wraps call these. Frames in rings are lost at stop. */
void weir_model_configure(struct weir_model *nic, uint16_t n_rx_queues, uint16_t n_queues);
int weir_model_set_up_queue(struct weir_model *nic, uint16_t queue, uint16_t n_descriptors,
                            uint16_t rs_thresh) __attribute__((warn_unused_result));
void weir_model_start(struct weir_model *nic);
void weir_model_stop(struct weir_model *nic);

/* The link as it is from now on. The driver hears of it by interrupt, or when it looks. */
void weir_model_set_link(struct weir_model *nic, bool up, uint32_t speed_mbit_s);
/* The driver looks at the link. */
void weir_model_look_at_link(struct weir_model *nic);
/* The driver switches it off or on: rte_eth_dev_set_link_down and _up. A start switches it on. */
void weir_model_shut(struct weir_model *nic, bool shut);
static inline bool
weir_model_is_up(const struct weir_model *nic)
{
	return nic->started && nic->up && !nic->shut;
}

/*
 * The link goes down and comes back after so long, at another speed perhaps: real ones do not
 * change their speed without.
 */
void weir_model_blink(struct weir_model *nic, uint32_t speed_mbit_s, uint64_t down_ns);

/* The NIC resets itself while it runs: limits and rings are as after a start, the link blinks. */
void weir_model_reset(struct weir_model *nic, uint64_t down_ns);

/* rte_eth_set_queue_rate_limit with ethdev's own checks. */
int weir_model_set_queue_rate(struct weir_model *nic, uint16_t queue, uint32_t mbit_s);

/*
 * What a queue's own limit is now, in bit/s, a fraction counted as a whole:
 * WEIR_MODEL_UNLIMITED; 0: blocked. With the limits above it: the least of them.
 */
uint64_t weir_model_queue_rate(const struct weir_model *nic, uint16_t queue);
uint64_t weir_model_path_rate(const struct weir_model *nic, uint16_t queue);

/* Frames that are in a queue, the one on the wire included. */
uint64_t weir_model_waiting(const struct weir_model *nic, uint16_t queue);

/* What the counters say, queue WEIR_MODEL_ALL_QUEUES: the port's. With cheats. */
struct weir_model_counts weir_model_read(const struct weir_model *nic, uint16_t queue);
void weir_model_reset_counters(struct weir_model *nic);

void weir_model_lock(struct weir_model *nic);
void weir_model_unlock(struct weir_model *nic);

#endif
