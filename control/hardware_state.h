/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of the outside ports' limits. Shared by hardware.c (programming), hardware_change.c
 * (changes while frames flow), hardware_check.c (what is measured) and hardware_json.c; nothing
 * else includes it.
 */
#ifndef WEIR_CONTROL_HARDWARE_STATE_H
#define WEIR_CONTROL_HARDWARE_STATE_H

#include "control/appliance.h"
#include "control/hardware.h"

#define WEIR_HARDWARE_REASON_SIZE 200U

/* What is to be said of a queue. Names: weir_hardware_verdict_name. */
enum weir_hardware_verdict {
	WEIR_VERDICT_SOFTWARE = 0, /* not limited in hardware */
	WEIR_VERDICT_UNMEASURED,   /* it never had a backlog to measure by */
	WEIR_VERDICT_HELD,
	WEIR_VERDICT_SLOW,  /* the hardware takes away more than was asked */
	WEIR_VERDICT_FAST,  /* an alarm: the limit does not hold */
	WEIR_VERDICT_STUCK, /* an alarm: frames wait and none leaves */
};

/* One worker's part of a queue. */
struct weir_hardware_part {
	uint64_t measured_bit_s;
	uint64_t base_busy_bytes, base_busy_tsc; /* where the present measurement began */
	uint64_t base_excess_bytes;              /* when the port was taken into use */
	uint64_t done_frames;                    /* at the last look */
	uint64_t moved_ns; /* the last look at which something had left, or nothing waited */
};

struct weir_hardware_queue {
	uint64_t asked_bit_s;      /* 0: not limited */
	uint64_t programmed_bit_s; /* 0: not in force in the hardware */
	uint64_t measured_bit_s;
	enum weir_hardware_verdict verdict;
	bool broken;           /* could not be programmed: its classes go by queue 0 */
	uint32_t slow_windows; /* measurements in a row that found it slow */
	bool told_slow;        /* since it was programmed */
	bool stuck;            /* stood still, and has not moved since */
	struct weir_hardware_part parts[WEIR_WORKERS_MAX]; /* by sender */
};

/*
 * A change of limits that stops all queues:
 *
 *   SETTLED -- policy --> HOLDING -- workers hold --> DRAINING -- empty --> commit --> SETTLED
 *                                                     DRAINING -- too long --> port is restarted
 */
enum weir_hardware_change {
	WEIR_HARDWARE_SETTLED = 0,
	WEIR_HARDWARE_HOLDING,
	WEIR_HARDWARE_DRAINING,
};

/* Frames and wire bytes of a port, since it was programmed. */
struct weir_hardware_counts {
	uint64_t frames, wire_bytes;
};

struct weir_hardware_port {
	uint32_t index; /* config's, of the port */
	uint32_t link;
	uint32_t n_queues;                  /* of each sender */
	uint32_t n_senders;                 /* workers that send on it ... */
	uint32_t senders[WEIR_WORKERS_MAX]; /* ... and which */

	struct weir_limiter limiter;
	bool open;       /* there is a limiter, and it is not the soft one */
	bool distrusted; /* until Weir is restarted, limits are software's */
	bool fast;       /* because a limit did not hold */
	bool told_soft;
	uint64_t distrusted_link_bit_s;         /* the link's speed then */
	uint64_t link_bit_s;                    /* at programming */
	char reason[WEIR_HARDWARE_REASON_SIZE]; /* why it is soft, or "" */
	struct weir_limiter_meter meter;

	struct weir_hardware_plan plan; /* in force */
	struct weir_hardware_plan next; /* on its way */
	enum weir_hardware_change change;
	uint64_t change_token;
	uint64_t change_ns;   /* when it began to drain */
	uint64_t lost_frames; /* that waited when a change could wait no longer */
	struct weir_hardware_queue queues[WEIR_TX_QUEUES_MAX];
	uint8_t queue_of_slot[WEIR_CLASSES_MAX]; /* as workers were last told */

	/* Sent against charged. */
	bool counted;   /* the driver has counters */
	bool comparing; /* sent was read, and workers are to note what they had charged by then */
	bool breached;
	bool hides; /* the counters show less than has left */
	struct weir_hardware_counts base_sent, base_charged; /* at programming */
	struct weir_hardware_counts sent, charged;           /* at the last comparison */
	struct weir_hardware_counts reading;                 /* of the comparison under way */
	uint64_t before_wire_bytes; /* sent of what was charged, before base_sent was taken */
	uint64_t base_done_frames;
	uint64_t past_done_frames, past_done_ns; /* done by then; 0 ns: not looked yet */
	uint64_t window_ns;                      /* when the present measurement began */
	uint64_t rounds[WEIR_WORKERS_MAX];       /* of each sender, at the last look */
};

struct weir_hardware {
	struct weir_hardware_port *ports[WEIR_PORTS_MAX]; /* by config's index; inside: NULL */
	bool noting;   /* workers were asked to note what they have charged ... */
	uint64_t note; /* ... under this number */
};

const char *weir_hardware_verdict_name(enum weir_hardware_verdict verdict);

/* The row that says most about why a port has no limits, or which ones it may have. */
const struct weir_limiter_driver *weir_hardware_row(const struct weir_port *port);

/* Departures of a sender's queue, or NULL. */
struct weir_departures *weir_hardware_departures(const struct weir_appliance *appliance,
                                                 const struct weir_hardware_port *hardware,
                                                 uint32_t sender, uint32_t queue);

/* Frames that wait in one of the port's queues, at all senders. */
uint64_t weir_hardware_waiting(const struct weir_appliance *appliance,
                               const struct weir_hardware_port *hardware, uint32_t queue);

/* ---- hardware_change.c ---- */

/*
 * Programs a plan: limits that fall before those that rise, then the commit. Queues that could not
 * be programmed are marked as broken. Workers know nothing of it yet. Returns 0; -EAGAIN: the
 * commit failed, with one line in reason.
 */
int weir_hardware_put(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                      const struct weir_hardware_plan *plan) __attribute__((warn_unused_result));

/* Takes a plan that was put in force, and tells the workers which class goes by which queue. */
void weir_hardware_adopt(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                         struct weir_hardware_plan *plan);

/* From now on all classes go by queue 0, whatever is programmed, and nothing is judged. */
void weir_hardware_go_soft(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* Sets or clears the meter behind all of it, as far as there is one. */
void weir_hardware_set_meter(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* One look at a change under way. */
void weir_hardware_step(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                        uint64_t now_ns);

/* Ends a change under way, without it. */
void weir_hardware_cancel(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* ---- hardware_check.c ---- */

/* Takes the base of all measurements: the port was programmed, and no worker uses it. */
void weir_hardware_take_base(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* Whether the driver's counters say that all that was charged has left. */
bool weir_hardware_all_left(const struct weir_appliance *appliance,
                            const struct weir_hardware_port *hardware);

#endif
