/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All of Weir between its inside port and a NIC's wire, in one thread and in simulated time: real
 * workers, the real control of limits and links, the real limiters, a model of a NIC (model.h).
 * Budgets are the one thing that it does without: there is one, and it is never spent.
 *
 * Where threads would run side by side, one interrupts the other here: while a worker has read the
 * clock and not yet handed its frames over, and while it asks what has left, time passes, frames
 * leave, and the control thread has its turn.
 *
 * Judged is what leaves, by the model's wire alone: see hardware_sim_tape.c.
 */
#ifndef WEIR_TESTS_NIC_HARDWARE_SIM_H
#define WEIR_TESTS_NIC_HARDWARE_SIM_H

#include "control/hardware_state.h"
#include "tests/nic/model.h"
#include "tests/unit/harness.h"

#define WEIR_HWSIM_LIVE       64U  /* classes of a policy */
#define WEIR_HWSIM_CLASSES    256U /* of a history: one that has left never returns */
#define WEIR_HWSIM_WORKERS    2U
#define WEIR_HWSIM_TSC_HZ     WEIR_NS_PER_S /* a tick is a nanosecond */
#define WEIR_HWSIM_MTU        1500U
#define WEIR_HWSIM_WIRE_MAX   (WEIR_HWSIM_MTU + 14U + WEIR_WIRE_OVERHEAD_BYTES)
#define WEIR_HWSIM_ERROR_SIZE 400U

/* ---- policies: hardware_sim_policy.c ---- */

struct weir_hwsim_class {
	uint64_t rate_bit_s;
	uint32_t burst_bytes;
	uint32_t backlog_bytes; /* 0: what exceeds the rate is dropped */
	bool dedicated;
	bool gone; /* the policy has it no more */
};

struct weir_hwsim_policy {
	const char *outside; /* the outside port's device */
	const char *limiter; /* "auto", "soft", ... */
	bool required;
	uint32_t test_ms; /* limits are tested so long; 0: not */
	uint32_t n_workers;
	uint32_t n_classes; /* those that are gone included */
	struct weir_hwsim_class classes[WEIR_HWSIM_CLASSES];
};

/* Rates from 1 Mbit/s to 10 Gbit/s, as likely in each decade; bursts from two frames up. */
void weir_hwsim_policy_draw(struct weir_hwsim_policy *policy, struct weir_random *random);
/* Changes some classes; at times some leave and others join. */
void weir_hwsim_policy_change(struct weir_hwsim_policy *policy, struct weir_random *random);
/* Parses it as the text that an operator would write. Ends the process where that fails. */
struct weir_config *weir_hwsim_policy_parse(const struct weir_hwsim_policy *policy);
/* A number whose logarithm is as likely here as there. */
uint64_t weir_hwsim_draw_log(struct weir_random *random, uint64_t least, uint64_t most);

/* ---- what leaves: hardware_sim_tape.c ---- */

/* A class's bucket as seen from outside. Credit is in bit x picoseconds / second. */
struct weir_hwsim_line {
	weir_model_credit credit;
	weir_model_ps at;
	uint64_t over_bytes; /* the most that was ever sent beyond it */
};

struct weir_hwsim_tape_class {
	uint64_t rate_bit_s, next_rate_bit_s, top_bit_s;
	uint64_t burst_bytes, next_burst_bytes;
	struct weir_hwsim_line handed;       /* by when frames were handed over */
	struct weir_hwsim_line left;         /* by when they left */
	uint64_t handed_frames, left_frames; /* of what is not known to be lost */
	uint64_t handed_bytes, left_bytes;
	uint64_t old_frames; /* handed over before the last change of policy, not gone yet */
};

struct weir_hwsim_tape {
	struct weir_hwsim_tape_class classes[WEIR_HWSIM_CLASSES];
	uint64_t epoch;    /* changes of policy */
	uint32_t adopting; /* workers that have not begun a round since, as bits */
	uint64_t handed_bytes, left_bytes, lost_bytes, own_frames, own_bytes;
	uint64_t last_left_ns;
	weir_model_ps longest_ps; /* that a frame was in the NIC */
	uint64_t unprogrammed;    /* frames, as the model counts them */
	uint64_t late_unprogrammed;
};

/* ---- the whole ---- */

struct weir_hwsim_counts {
	uint64_t histories, frames, bytes, rounds, ticks, policies, link_changes, resets, restarts,
	    programmings, joined, left, held_changes, unprogrammed, quiet_classes, quiet_phases,
	    excused;
	uint64_t verdicts[WEIR_VERDICT_STUCK + 1];
};

/* What is put in for a class. */
struct weir_hwsim_source {
	uint64_t rate_bit_s;  /* 0: nothing */
	uint32_t least, most; /* bytes of a frame, without FCS */
	uint64_t due;         /* bits x nanoseconds / second */
	uint64_t most_due_bytes;
};

struct weir_hwsim {
	struct weir_random random;
	struct weir_hwsim_counts *counts; /* may be NULL */
	struct weir_hwsim_policy policy;  /* in force */
	struct weir_appliance *appliance;
	struct weir_events *events;
	struct weir_model *inside, *outside;
	uint16_t inside_id, outside_id; /* DPDK's */
	struct weir_hardware_port *hardware;
	struct rte_mempool *pool;
	uint64_t now_ns;
	uint64_t next_tick_ns;
	uint64_t longest_round_ns; /* between two readings of a worker's clock */
	uint64_t shortest_round_ns;
	bool wild;    /* time passes within rounds, and the control thread has its turn there */
	bool judging; /* what an honest NIC must not do is a failure */
	bool tick_due, policy_due; /* within the next round */
	bool in_turn;              /* control's */
	uint32_t in_round;         /* workers, as bits */
	uint32_t told;             /* workers that must not send: see note_told(), as bits */
	struct weir_hwsim_policy next_policy;
	/* The control thread has known of the last change of the link since; 0: not yet. */
	uint64_t noticed_ns;
	uint64_t emptied_ns; /* what was handed over by then is gone */
	uint32_t noticing;   /* workers that have not begun a round since its look, as bits */
	uint64_t seen_events;
	uint64_t seen_discarded;
	uint32_t alarms;
	char alarm[WEIR_EVENT_MESSAGE_SIZE]; /* the first */
	struct weir_hwsim_source sources[WEIR_HWSIM_CLASSES];
	struct weir_hwsim_tape tape;
	uint64_t padding_frames; /* handed to the NIC, some of them more than once */
	uint64_t traffic_frames; /* the same of all others */
	bool exact;              /* the port tells what has left: judged on the wire to the bit */
	void (*on_left)(void *arg, uint32_t class, const struct weir_model_frame *frame);
	void *on_left_arg;
	char refusal[WEIR_ERROR_SIZE];     /* why the last policy was refused */
	char error[WEIR_HWSIM_ERROR_SIZE]; /* what is broken first, or empty */
};

/* DPDK, once a process. False: it does not start. */
bool weir_hwsim_begin(void);
void weir_hwsim_end(void);

/* Opens all by a policy, as main() does; the link is up, and limits are in force. */
void weir_hwsim_open(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy, uint64_t seed);
void weir_hwsim_close(struct weir_hwsim *sim);

/* Closes it at the end of a test, which fails where anything is broken. */
void weir_hwsim_finish(struct weir_hwsim *sim);

/* main() of a program that has such tests: its exit status. */
int weir_hwsim_main(const char *suite_name, const struct weir_test *tests, size_t count);

void weir_hwsim_fail(struct weir_hwsim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Lets time pass: rounds, traffic, control's looks. */
void weir_hwsim_run(struct weir_hwsim *sim, uint64_t ns);

/* Control's look, now: every 50 ms it comes by itself. */
void weir_hwsim_tick(struct weir_hwsim *sim);

/* The same steps as apply.c's. False: the policy before is still in use. */
bool weir_hwsim_apply(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy);

/* All sources off; lets what waits leave, and compares what was charged with what left. */
void weir_hwsim_drain(struct weir_hwsim *sim);

/* Puts a frame of a class in, of so many bytes without FCS. False: no room. */
bool weir_hwsim_put(struct weir_hwsim *sim, uint32_t class, uint32_t bytes);

/* Credit spent by workers, in wire bytes. */
uint64_t weir_hwsim_charged(const struct weir_hwsim *sim);

/* A class's number in the policy in force. It is not gone. */
uint32_t weir_hwsim_index(const struct weir_hwsim *sim, uint32_t class);

/* Bytes that wait in a class's queues. */
uint64_t weir_hwsim_queued(const struct weir_hwsim *sim, uint32_t class);

/* Bytes that a class has on its way, as its bucket knows. */
uint64_t weir_hwsim_inflight(const struct weir_hwsim *sim, uint32_t class);

/* A worker's round, by the present time. Returns true when it has ended. */
bool weir_hwsim_round(struct weir_hwsim *sim, uint32_t worker);

/* Tape. */
void weir_hwsim_tape_start(struct weir_hwsim *sim);
void weir_hwsim_tape_policy(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy);
void weir_hwsim_tape_round(struct weir_hwsim *sim, uint32_t worker);
void weir_hwsim_tape_handed(struct weir_hwsim *sim, struct rte_mbuf *frame);
void weir_hwsim_tape_discarded(struct weir_hwsim *sim);
weir_model_sent_fn weir_hwsim_tape_left;

/* The class that a frame was made for. */
uint32_t weir_hwsim_class_of(const struct rte_mbuf *frame);
void weir_hwsim_set_class(struct rte_mbuf *frame, uint32_t class);

#endif
