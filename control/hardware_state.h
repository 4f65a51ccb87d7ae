/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of the outside ports' limits. Shared by hardware.c (programming), hardware_change.c
 * (changes while frames flow), hardware_hold.c (those that wait), hardware_meter.c,
 * hardware_check.c (what is measured), hardware_sent.c and hardware_counters.c (what was sent),
 * hardware_test.c and hardware_json.c; nothing else includes it.
 */
#ifndef WEIR_CONTROL_HARDWARE_STATE_H
#define WEIR_CONTROL_HARDWARE_STATE_H

#include "control/appliance.h"
#include "control/hardware.h"
#include "drivers/port_sent.h"

#define WEIR_HARDWARE_REASON_SIZE 200U

/* What is to be said of a queue. Names: weir_hardware_verdict_name. */
enum weir_hardware_verdict {
	WEIR_VERDICT_SOFTWARE = 0, /* not limited in hardware */
	WEIR_VERDICT_UNMEASURED,   /* it never had a backlog to measure by, or nobody can say */
	WEIR_VERDICT_HELD,
	WEIR_VERDICT_SLOW,  /* the hardware takes away more than was asked */
	WEIR_VERDICT_ABOVE, /* faster than its limit, by no more than its burst may explain */
	WEIR_VERDICT_FAST,  /* an alarm: the limit does not hold */
	WEIR_VERDICT_STUCK, /* an alarm: frames wait and none leaves */
};

/* Of a port's limits, before it is used. Names: weir_hardware_test_name. */
enum weir_hardware_test {
	WEIR_TEST_NONE = 0, /* none was asked for, or there is nothing to test */
	WEIR_TEST_RUNNING,
	WEIR_TEST_HELD,
	WEIR_TEST_UNMEASURED, /* of some queue, or broken off */
	WEIR_TEST_FAST,
};

/* One worker's part of a queue. */
struct weir_hardware_part {
	uint64_t measured_bit_s;
	uint64_t counted_bit_s; /* likewise, of what the limit counts at least */
	/* Where the present measurement began. */
	uint64_t base_busy_frames, base_busy_bytes, base_busy_tsc;
	uint64_t base_excess_bytes; /* when the port was taken into use */
	/* Of all senders' measurement: the last look at it, and where it began. */
	uint64_t look_busy_tsc, look_rest_tsc;
	uint64_t joint_busy_frames, joint_busy_bytes;
	uint64_t done_frames; /* at the last look */
	uint64_t moved_ns;    /* the last look at which something had left, or nothing waited */
};

/*
 * What several senders let leave by a limit that they share. Departures judge each of them by it;
 * here all are, with what each has published.
 */
struct weir_hardware_joint {
	uint64_t rate_bit_s; /* to judge by; 0: not */
	uint64_t burst_bytes;
	uint64_t look_ns;    /* the last look; 0: none since the limit was set */
	uint64_t done_bytes; /* known to have left by then, and a little later */
	bool marked;
	uint64_t mark_bytes, mark_ns; /* no more had left by then; as the limit counts it */
};

/* How long one sender or another had a backlog by which it was measured. */
struct weir_hardware_backlog {
	uint64_t busy_tsc; /* at least so long */
	uint64_t end_tsc;  /* no later than that it ended */
	uint32_t sender;   /* that is followed */
};

struct weir_hardware_queue {
	uint64_t asked_bit_s;      /* 0: not limited */
	uint64_t programmed_bit_s; /* 0: not in force in the hardware */
	uint64_t measured_bit_s;
	enum weir_hardware_verdict verdict;
	enum weir_hardware_verdict tested; /* verdict of a test of this limit; software: none */
	bool broken;                       /* could not be programmed: its classes go by queue 0 */
	uint32_t windows;                  /* measurements in a row with this verdict */
	bool told_slow;                    /* since it was programmed */
	bool told_above;                   /* likewise */
	struct weir_hardware_joint joint;
	struct weir_hardware_backlog backlog;
	bool stuck; /* stood still, and has not moved since */
	struct weir_hardware_part parts[WEIR_WORKERS_MAX]; /* by sender */
};

/*
 * A change of limits that stops all queues, and loses what is in them:
 *
 *   SETTLED -- policy --> EASING -- little waits --> HOLDING -- workers hold --> DRAINING
 *   DRAINING -- empty --> commit --> SETTLED
 *   DRAINING -- too long --> EASING, for a while at least
 *
 * EASING: frames go on leaving by the limits in force, but each limited queue takes no more than
 * leaves soon; what comes beyond that waits uncharged in its class's own queue. So the class that
 * has the most in the NIC, for its rate, holds up nobody else. Where limits are required queue 0
 * takes nothing: what goes by it has no limit yet.
 *
 * Where the driver doesn't tell what has left there is no EASING, and what has not left when it has
 * lasted too long is lost, with a restart of the port.
 */
enum weir_hardware_change {
	WEIR_HARDWARE_SETTLED = 0,
	WEIR_HARDWARE_EASING,
	WEIR_HARDWARE_HOLDING,
	WEIR_HARDWARE_DRAINING,
};

/* Frames and wire bytes of a port. */
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
	bool unplanned;  /* open, and the policy can't be planned: all is software's */
	bool told_soft;
	bool told_unmeasured;
	uint64_t link_bit_s;                    /* at programming */
	uint32_t n_anew;                        /* limits that the last programming put in force */
	char reason[WEIR_HARDWARE_REASON_SIZE]; /* why it is soft, or "" */
	struct weir_limiter_meter meter;

	struct weir_hardware_plan plan; /* in force */
	struct weir_hardware_plan next; /* on its way */
	enum weir_hardware_test test;
	uint64_t test_end_ns; /* while it runs; 0: no look at it yet */
	enum weir_hardware_change change;
	uint64_t change_token;
	uint64_t change_ns;     /* when it began to drain */
	uint64_t change_due_ns; /* not held before */
	bool told_put_off;      /* of the change under way */
	uint64_t lost_frames;   /* that waited when a change could wait no longer */
	struct weir_hardware_queue queues[WEIR_TX_QUEUES_MAX];
	uint8_t queue_of_slot[WEIR_CLASSES_MAX]; /* as workers were last told */

	/* Sent against charged: hardware_sent.c. All counts are since Weir began, if not said. */
	struct weir_port_sent_from from;
	bool comparing; /* sent was read, and workers are to note what they had charged by then */
	bool breached;
	bool hides;                                /* the counters show less than has left */
	bool set_back;                             /* they were set back while the port ran */
	uint32_t unread_looks;                     /* in a row at which they could not be read */
	bool raw_known;                            /* the counters have been read */
	bool may_reset;                            /* a start since then may have set them back */
	uint64_t raw_frames;                       /* as last read: of the driver's own beginning */
	uint64_t raw_bytes;                        /* likewise; without preamble and gap */
	uint64_t raw_ns;                           /* when */
	struct weir_hardware_counts total;         /* sent, by now */
	struct weir_hardware_counts reading;       /* sent, of the comparison under way */
	struct weir_hardware_counts sent, charged; /* at the last comparison */
	uint64_t noted_wire_bytes; /* sent of what was charged, at the last one of all ports */
	struct weir_hardware_counts lost;          /* charged, and known never to be sent */
	struct weir_hardware_counts start_charged; /* at the last start */
	uint64_t start_ns;                         /* when; 0: never since Weir began */
	bool late;                     /* what was sent before that start may still show after it */
	uint64_t idle_frames, idle_ns; /* charged at the last look, and since when that is all */
	struct weir_hardware_counts base_sent, base_charged; /* at programming */
	struct weir_hardware_counts base_done;               /* likewise; without the FCS */
	uint64_t raw_errors,
	    base_errors; /* frames that the driver has thrown away; at programming */
	/* What must show when this is over: done, or charged and more than rings hold. */
	struct weir_hardware_counts past_done;    /* since base; without the FCS */
	struct weir_hardware_counts past_charged; /* since base */
	uint64_t past_ns;                         /* 0: not yet */
	/* Where departures are not told: the counters do not move, though frames are charged. */
	bool still;
	uint64_t still_shown;              /* sent or thrown away, when they last moved ... */
	uint64_t still_charged;            /* ... and frames charged by then */
	uint64_t still_since_ns;           /* some more have been charged */
	uint64_t window_ns;                /* when the present measurement began */
	uint64_t rounds[WEIR_WORKERS_MAX]; /* of each sender, at the last look */
};

struct weir_hardware {
	struct weir_hardware_port *ports[WEIR_PORTS_MAX]; /* by config's index; inside: NULL */
	bool noting;       /* workers were asked to note what they have charged ... */
	uint64_t note;     /* ... under this number */
	uint64_t asked_ns; /* since when not all have answered; 0: they have */
	uint64_t now_ns;   /* of the last look */
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

/*
 * A plan without any limit, for a policy that can't be planned: by it, that of the whole port is
 * taken away. Returns 0; -ENOMEM.
 */
int weir_hardware_plan_software(const struct weir_appliance *appliance,
                                struct weir_hardware_port *hardware,
                                struct weir_hardware_plan *plan)
    __attribute__((warn_unused_result));

/*
 * The port's limits could not be set, and software goes on alone: takes that of the whole port
 * away, which would hold back all its classes and which a start may not wipe. reason says so where
 * it can't be.
 */
void weir_hardware_clear_port(struct weir_hardware_port *hardware);

/* From now on all classes go by queue 0, whatever is programmed, and nothing is judged. */
void weir_hardware_go_soft(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* Puts a plan in force that nothing stands in the way of any more, and takes it. */
void weir_hardware_change_now(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                              struct weir_hardware_plan *plan);

/* ---- hardware_hold.c ---- */

/*
 * Takes a plan. Has little wait in the port's queues, and then nothing; puts it in force then. A
 * change under way begins anew.
 */
void weir_hardware_change_held(struct weir_appliance *appliance,
                               struct weir_hardware_port *hardware,
                               struct weir_hardware_plan *plan);

/* One look at a change under way. */
void weir_hardware_step(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                        uint64_t now_ns);

/* Ends a change under way, without it. */
void weir_hardware_cancel(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* ---- hardware_meter.c ---- */

/*
 * Sets the meter behind all queues, limited or not, to the sum of the rates and bursts; or clears
 * it, where it could never drop; as far as the port has one. While a change is under way the one
 * before stays.
 */
void weir_hardware_set_meter(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* The same, as far as it makes the meter let more pass: to be called before limits rise. */
void weir_hardware_raise_meter(struct weir_appliance *appliance,
                               struct weir_hardware_port *hardware);

/* ---- hardware_check.c ---- */

/* Takes the base of all measurements: the port was programmed, and no worker uses it. */
void weir_hardware_take_base(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* Begins a measurement of all senders of a queue: what was seen of them before counts no more. */
void weir_hardware_measure_joint_anew(const struct weir_appliance *appliance,
                                      struct weir_hardware_port *hardware, uint32_t queue);

/* Takes what was measured of a queue since the last time, if it is enough, as its verdict. */
void weir_hardware_measure(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                           uint32_t queue);

/* ---- hardware_test.c ---- */

/* NULL for none. */
const char *weir_hardware_test_name(enum weir_hardware_test result);

/*
 * The port was programmed and is not used yet: begins the test that its policy asks for, if any
 * queue is limited. Its link's inside port is not polled from now on. Returns 0; -ENOTSUP with one
 * line in reason: it can't be tested.
 */
int weir_hardware_test_begin(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
    __attribute__((warn_unused_result));

/* Ends one that runs; otherwise nothing. What came in meanwhile is forwarded. */
void weir_hardware_test_end(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                            enum weir_hardware_test result);

/* Limits were put in force while the port is used: says how many no test has seen. */
void weir_hardware_test_missed(const struct weir_appliance *appliance,
                               const struct weir_hardware_port *hardware);

/* One look at one that runs. Returns false where the port was taken out of use. */
bool weir_hardware_test_look(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                             uint64_t now_ns) __attribute__((warn_unused_result));

/* ---- hardware_sent.c ---- */

/* Begins: from here on all that the port's counters show has to be charged. No worker runs. */
void weir_hardware_begin_sent(struct weir_appliance *appliance,
                              struct weir_hardware_port *hardware);

/* The port was programmed, and no worker uses it. */
void weir_hardware_base_sent(struct weir_appliance *appliance, struct weir_hardware_port *hardware);

/* Judges what was read at an earlier look. now_ns: CLOCK_BOOTTIME. */
void weir_hardware_judge_sent(struct weir_appliance *appliance, uint64_t now_ns);

/* Reads what all ports that run have sent, in use or not, and asks what was charged. */
void weir_hardware_read_sent(struct weir_appliance *appliance);

/* Whether the driver's counters say that all that was charged has left; or how many frames wait. */
bool weir_hardware_all_left(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                            uint64_t *waiting);

/* ---- hardware_counters.c ---- */

/* The counters were just read, the port was programmed, and no worker uses it. */
void weir_hardware_base_counters(const struct weir_appliance *appliance,
                                 struct weir_hardware_port *hardware);

/* Alarms where what the counters show is too little. charged: read before the counters. */
void weir_hardware_check_counters(struct weir_appliance *appliance,
                                  struct weir_hardware_port *hardware,
                                  struct weir_hardware_counts charged);

#endif
