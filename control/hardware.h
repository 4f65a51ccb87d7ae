/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NICs' own rate limits: planned, programmed, measured, and never trusted.
 *
 * For each outside port: probe its limiter, plan which class gets which send queue, program it, and
 * only then let workers use the port. While it runs, twenty times a second:
 *
 *   1. Sent against charged, over Weir's whole life and for each port that runs, used or not. The
 *      port's own counters must never show more frames or wire bytes than workers have charged for
 *      it. They are read first, and compared, at the next look at the latest, with what each
 *      worker had charged at the end of the round that it was in: so the port can't be ahead
 *      honestly, and what is charged later hides nothing. More is a breach: an alarm, and the port
 *      is stopped for good (until a restart). A port that is to be started anew is compared once
 *      more before, and goes on from there; what waited in it is lost, and hides nothing once that
 *      is known. In the same way the sum of all ports is compared with what budgets without a
 *      parent were charged; more stops all ports.
 *      Fewer frames or bytes than are known to have left (but for 4 bytes of each frame, the FCS),
 *      or than were charged and the NIC has room for: the counters lie, which is an alarm, too. (Of
 *      drivers that count no bytes at all, frames alone.) So it is where the driver doesn't tell
 *      what has left, some frames were charged and none shows. So are counters that were set back
 *      while the port ran, or can't be read: the second time, or after WEIR_HARDWARE_UNREAD_LOOKS
 *      looks in a row, the port is stopped for good. One that wraps round at 32, 40 or 48 bits is
 *      no alarm.
 *   2. Measured against programmed. See dataplane/departures.h. A queue that is faster than its
 *      limit gets the verdict "fast": an alarm, and the port goes on in software alone, or stops
 *      where the policy says limiter_required.
 *      One that was measured above its limit, but never for so long that its burst does not explain
 *      it, is no proof: it gets the verdict "above", and a warning.
 *      Where the driver doesn't tell what has left none of this is measured, which is told once:
 *      what leaves is held in software, and limiter_required asks no more than that the driver has
 *      taken the limits.
 *   3. A queue in which frames wait and none leaves for WEIR_HARDWARE_STUCK_NS is "stuck": an
 * alarm, and the port is restarted.
 *
 * Where the policy says limiter_test, the port is not used for what comes in before its limits were
 * tested, each time that they were set for its start: padding (dataplane/padding.h) is sent by all
 * limited queues, and 2. is judged by it. What is faster than its limit is told at once, as above.
 * At the end of the time each queue is measured once: where that can't be done, or is more than a
 * hundredth above its limit, nobody can say that it holds, which is told, and with limiter_required
 * the port is not used until Weir is restarted. A test begins anew with the port: by a new policy,
 * or by its link. A policy that comes after it puts limits in force that no test has seen, which is
 * told of each queue.
 *
 * How soon each is noticed, with looks every WEIR_HARDWARE_LOOK_NS:
 *
 *   a frame or byte too many    two looks and a worker's round
 *   before a start, or after    the start itself; two looks and a worker's round
 *   counters set back           one look
 *   counters not to be read     one look; the port is stopped at the tenth in a row
 *   a queue above its limit     one look after a busy period went over it
 *   ... shared by workers       three looks' worth of its limit more
 *   ... in short periods        three measurements of 2 s and a look: a warning
 *   counters that hide anything 2 x WEIR_HARDWARE_COUNTERS_NS and a look, once they hide more than
 *                               leaves in that time
 *   ... if nobody tells what    the same, once they hide more than that and what the NIC has room
 *       has left                for: its rings full of the largest frames, and 16,384 more
 *   ... all frames, if nobody   WEIR_HARDWARE_STUCK_NS after the eighth was charged, what two
 *       tells what has left     largest frames take at the slowest limit, and two looks
 *   a stuck queue               WEIR_HARDWARE_STUCK_NS, what two largest frames take at its limit,
 *                               and two looks
 *
 * Too many means in all: what was charged and still waits, in the NIC's queues or in a worker's
 * hands, hides as much until it has left; so does what workers charge in the round that they are in
 * when the counters are read, however long it takes. What waited at a start hides as much until two
 * seconds have passed in which nothing was charged and the NIC tells that nothing waits, or until
 * the next start, whichever is first. Where it does not tell, two seconds after the
 * start it hides no more than was sent since. So never more has left than was charged, but by what
 * is sent in the time above.
 *
 * Looks come late while the control thread does something else: parses a policy, waits for the
 * ledger's disk, or for a driver that starts a port. All of the times above are longer by
 * that then.
 *
 * While a worker makes no round (which is an alarm of its own) what it charged is not known. After
 * WEIR_WATCH_STALL_NS it is taken to have in hand, not counted yet, the most that it can: 64 of the
 * longest frames for each link, which hide as many; the bounds above hold a second later. Budgets
 * are not compared until it goes on. A breached port that it uses can't be stopped under its hands:
 * its link is taken down where the driver can, and an alarm tells.
 *
 * All functions: control thread.
 */
#ifndef WEIR_CONTROL_HARDWARE_H
#define WEIR_CONTROL_HARDWARE_H

#include "control/config.h"
#include "dataplane/worker.h"
#include "drivers/limiter.h"

#include <jansson.h>

#define WEIR_HARDWARE_LOOK_NS  (50 * WEIR_NS_PER_MS)
#define WEIR_HARDWARE_STUCK_NS (2 * WEIR_NS_PER_S)
/* Looks in a row at which a port's counters can't be read, before it is stopped. */
#define WEIR_HARDWARE_UNREAD_LOOKS 10U
/* Counters may be behind what has left for so long: some NICs bring them up to date at intervals.
 */
#define WEIR_HARDWARE_COUNTERS_NS (500 * WEIR_NS_PER_MS)
/*
 * Before a commit that stops the queues no more than this waits in each limited one, at its limit;
 * then the port is held until all are empty. Where they are not in the time that follows, workers
 * go on by the limits in force, and it is tried again later.
 */
#define WEIR_HARDWARE_EASE_NS    (100 * WEIR_NS_PER_MS)
#define WEIR_HARDWARE_DRAIN_NS   (2 * WEIR_NS_PER_S)
#define WEIR_HARDWARE_PUT_OFF_NS (10 * WEIR_NS_PER_S)

/* How a class is limited on a port. */
enum weir_hardware_way {
	WEIR_WAY_SOFTWARE = 0, /* by its bucket alone, in queue 0 */
	WEIR_WAY_DEDICATED,    /* a queue of its own, limited to its rate */
	WEIR_WAY_SHARED,       /* a queue with others, limited to the sum of their rates */
};

/* The plan of one port. Queue 0 is never limited: for classes that the hardware can't hold. */
struct weir_hardware_plan {
	uint32_t n_queues; /* of each worker that sends on the port; 1: nothing is limited */
	uint64_t queue_bit_s[WEIR_TX_QUEUES_MAX]; /* asked of each; 0: not limited */
	uint64_t queue_burst_bytes[WEIR_TX_QUEUES_MAX];
	uint32_t queue_classes[WEIR_TX_QUEUES_MAX]; /* how many classes */
	uint64_t port_bit_s; /* asked of the whole port: the sum; 0: not limited */
	uint32_t n_classes;
	struct {
		char name[WEIR_NAME_SIZE]; /* by which the next plan knows it; comes first */
		uint8_t queue;
		uint8_t way; /* enum weir_hardware_way */
		bool used;   /* a rule sends it by this link */
	} * classes;         /* by config's class index */
};

/*
 * Plans one link's outside port. Pure: the same input gives the same plan. limiter NULL or soft:
 * one queue for all. n_senders: workers that send on it; more than one: nothing is limited unless
 * the limiter has groups (each worker sends on queues of its own, and a limit holds for one queue).
 *
 * Classes that no rule sends this way are left out (software). Then, of what the hardware can hold:
 * classes that say `queue: dedicated` first, then the largest rates, a queue each; if they do not
 * all fit, a quarter of the queues (at least one) is shared by the others, each class in the queue
 * whose sum is lowest so far, largest first. Shared queues are only used where completions are
 * known; without, the others stay in software.
 *
 * before: the plan in force, or NULL: a class that can keep its queue does. Returns 0; -ENOMEM;
 * -ENOSPC (more dedicated classes than queues) with one line in error.
 */
int weir_hardware_plan(const struct weir_config *config, uint32_t link,
                       const struct weir_limiter *limiter, uint32_t n_senders,
                       const struct weir_hardware_plan *before, struct weir_hardware_plan *plan,
                       char *error, size_t error_size) __attribute__((warn_unused_result));
void weir_hardware_plan_free(struct weir_hardware_plan *plan);

/*
 * Whether every class that rules send this way goes by a limited queue. False: one line in error
 * that names those that would be limited in software alone, or some of them and how many more.
 */
bool weir_hardware_plan_limits_all(const struct weir_hardware_plan *plan, char *error,
                                   size_t error_size);

struct weir_appliance;

/*
 * Makes room for what is known of each outside port's limits. Ports are started, and workers says
 * who sends on them. Returns 0; -ENOMEM; -ENOTSUP with one line in error: a port requires limits
 * and its driver has none, which needs no link to be known.
 */
int weir_hardware_new(struct weir_appliance *appliance, const struct weir_worker_config *workers,
                      char *error) __attribute__((warn_unused_result));

/* Takes all limiters down; the limits stay in the NICs. Workers have ended. */
void weir_hardware_free(struct weir_appliance *appliance);

/*
 * How many send queues each of n_senders workers should get on an open port that is not started: 1
 * where its driver's limits can't be used or the policy says soft; otherwise as many as the device
 * gives, up to WEIR_TX_QUEUES_MAX, for policies to come have other classes.
 */
uint32_t weir_hardware_queues(const struct weir_port *port, uint32_t n_senders);

/*
 * The port at config's index is started, its link is up, and no worker uses it: opens its limiter,
 * plans, programs, and tells the workers which class goes by which queue. To be called after each
 * start, restart and change of the link, before weir_dataplane_set_link_up. Inside ports: nothing
 * to do. Returns 0; -EAGAIN: the port has to be restarted first, what is in force in it is not
 * known; or another -errno: limits are required, and not to be had of all classes that rules send
 * this way. The port must not be used then, and error has one line.
 */
int weir_hardware_program(struct weir_appliance *appliance, uint32_t port, char *error)
    __attribute__((warn_unused_result));

/*
 * The port is about to be started anew or stopped, and no worker uses it: what is programmed counts
 * no more, and a change under way ends.
 */
void weir_hardware_forget(struct weir_appliance *appliance, uint32_t port);

/*
 * Whether a policy can be had, as far as that can be told before it is published: at a port that
 * requires limits, and has them in force, the NIC has to hold those of all classes that rules send
 * that way. Changes nothing. Returns 0; -ENOTSUP with one line in error; -ENOMEM.
 */
int weir_hardware_admit(const struct weir_appliance *appliance, const struct weir_config *config,
                        char *error) __attribute__((warn_unused_result));

/*
 * A port that is about to be started anew is looked at for the last time: no worker uses it, so all
 * that was charged for it is known. Returns false where it has sent more: it is stopped for good,
 * and must not be started.
 */
bool weir_hardware_leave(struct weir_appliance *appliance, uint32_t port);

/*
 * A policy was published: plans anew. Limits that can be changed live are, at once, if nothing that
 * waits may leave faster by it than its class may. Where it may, which is only where departures are
 * not told, limits fall at once and the others change as where a commit stops the queues: these are
 * eased, and the port is held, drained, programmed and released by weir_hardware_tick. Until then
 * the old limits stand, and the buckets hold the new rates.
 */
void weir_hardware_policy(struct weir_appliance *appliance);

/* Every 50 ms: the checks above, and changes under way. now_ns: CLOCK_BOOTTIME. */
void weir_hardware_tick(struct weir_appliance *appliance, uint64_t now_ns);

/* One limited queue, as metrics show it. */
struct weir_hardware_shown {
	uint32_t queue;
	uint64_t programmed_bit_s;
	uint64_t measured_bit_s; /* 0: it never had a backlog to measure by */
	uint64_t waiting_frames;
	const char *verdict;
};

/* Fills in the limited queues of the port at config's index. Returns how many there are. */
uint32_t weir_hardware_shown(const struct weir_appliance *appliance, uint32_t port,
                             struct weir_hardware_shown shown[WEIR_TX_QUEUES_MAX]);

/* What GET /v1/hardware tells: for each outside port and queue asked, programmed, measured,
 * verdict. NULL when memory runs out. */
json_t *weir_hardware_json(const struct weir_appliance *appliance);

#endif
