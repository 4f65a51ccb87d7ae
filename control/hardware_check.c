/* SPDX-License-Identifier: BSD-3-Clause */
/* Measuring: what a queue sends against what was programmed, and whether it sends at all. */
#include "control/config.h"
#include "control/hardware_state.h"
#include "control/watch.h"
#include "dataplane/departures.h"

#include <inttypes.h>
#include <rte_common.h>
#include <rte_ethdev.h>
#include <stdio.h>

/* A measurement takes so long, and as much of it as this must have been with a backlog. */
#define WINDOW_NS    (2 * WEIR_NS_PER_S)
#define BUSY_PART    100U
#define TOLD_WINDOWS 2U /* in a row, before it is told */
#define SLOW_PERCENT 90U
#define ABOVE_PART   100U /* of a limit, that may be measured above it */

void
weir_hardware_take_base(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	weir_hardware_base_sent(appliance, hardware);
	hardware->window_ns = 0;
	for (uint32_t q = 0; q < hardware->n_queues; q++) {
		hardware->queues[q].joint.look_ns = 0;
		hardware->queues[q].joint.marked = false;
		for (uint32_t s = 0; s < hardware->n_senders; s++) {
			const struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);
			struct weir_hardware_part *part = &hardware->queues[q].parts[s];

			part->moved_ns = 0;
			if (departures != NULL)
				part->base_excess_bytes = atomic_load(&departures->excess_bytes);
		}
	}
}

static uint64_t
rate_of(uint64_t bytes, uint64_t ticks, uint64_t tsc_hz)
{
	weir_u128 rate = (weir_u128)bytes * 8 * tsc_hz / ticks;

	return rate > UINT64_MAX ? UINT64_MAX : (uint64_t)rate;
}

/* One sender's rate while it had a backlog. Returns false where there is nothing new. */
static bool
measure_part(const struct weir_appliance *appliance, const struct weir_departures *departures,
             uint32_t uncounted_bytes, struct weir_hardware_part *part)
{
	uint64_t tsc_hz = appliance->clock.tsc_hz;
	uint64_t ticks = atomic_load(&departures->busy_tsc) - part->base_busy_tsc;
	uint64_t bytes = atomic_load(&departures->busy_bytes) - part->base_busy_bytes;
	uint64_t frames = atomic_load(&departures->busy_frames) - part->base_busy_frames;

	if (ticks < tsc_hz / BUSY_PART)
		return false;
	part->measured_bit_s = rate_of(bytes, ticks, tsc_hz);
	part->counted_bit_s = rate_of(weir_sat_sub(bytes, frames * uncounted_bytes), ticks, tsc_hz);
	part->base_busy_tsc += ticks;
	part->base_busy_bytes += bytes;
	part->base_busy_frames += frames;
	return true;
}

/* Begins a measurement of all senders at what was seen of them last. */
static void
base_joint(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
           uint32_t queue)
{
	hardware->queues[queue].backlog.busy_tsc = 0;
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);
		struct weir_hardware_part *part = &hardware->queues[queue].parts[s];

		if (departures == NULL)
			continue;
		part->joint_busy_frames = atomic_load(&departures->busy_frames);
		part->joint_busy_bytes = atomic_load(&departures->busy_bytes);
	}
}

void
weir_hardware_measure_joint_anew(const struct weir_appliance *appliance,
                                 struct weir_hardware_port *hardware, uint32_t queue)
{
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);
		struct weir_hardware_part *part = &hardware->queues[queue].parts[s];
		struct weir_departures_busy busy;

		if (departures == NULL)
			continue;
		weir_departures_read_busy(departures, &busy);
		part->look_busy_tsc = busy.busy_tsc;
		part->look_rest_tsc = busy.rest_tsc;
	}
	base_joint(appliance, hardware, queue);
}

/*
 * What all senders sent, by how long at least one of them had a backlog: no less than the rate in
 * that time. Returns false where it was too short to tell.
 */
static bool
measure_joint(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
              uint32_t index, uint64_t *sum_bit_s, uint64_t *counted_bit_s)
{
	const struct weir_hardware_queue *queue = &hardware->queues[index];
	uint64_t uncounted_bytes = hardware->limiter.capabilities.uncounted_bytes;
	uint64_t ticks = queue->backlog.busy_tsc, tsc_hz = appliance->clock.tsc_hz;
	uint64_t bytes = 0, frames = 0;

	if (hardware->n_senders < 2 || ticks < tsc_hz / BUSY_PART)
		return false;
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, index);

		if (departures == NULL)
			return false;
		bytes += atomic_load(&departures->busy_bytes) - queue->parts[s].joint_busy_bytes;
		frames += atomic_load(&departures->busy_frames) - queue->parts[s].joint_busy_frames;
	}
	*sum_bit_s = rate_of(bytes, ticks, tsc_hz);
	*counted_bit_s = rate_of(weir_sat_sub(bytes, frames * uncounted_bytes), ticks, tsc_hz);
	return true;
}

/*
 * Several senders share a limit. If all had a backlog at once they sent the sum of their rates; if
 * each had it while the others had none, as much as the largest. So a sum within the limit shows
 * that it holds, and so does what measure_joint tells. Of more than the limit by both nobody can
 * say which it was: then the largest counts, which is sure, and it is not said to hold. Should it
 * be the sum, check_joint finds out.
 */
static enum weir_hardware_verdict
verdict_of(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
           uint32_t index)
{
	struct weir_hardware_queue *queue = &hardware->queues[index];
	uint64_t joint, counted_joint;
	uint64_t limit = queue->programmed_bit_s, most = limit + limit / ABOVE_PART;
	uint64_t sum = 0, largest = 0, counted_sum = 0, counted_largest = 0;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_hardware_part *part = &queue->parts[s];

		sum = weir_sat_add(sum, part->measured_bit_s);
		largest = RTE_MAX(largest, part->measured_bit_s);
		counted_sum = weir_sat_add(counted_sum, part->counted_bit_s);
		counted_largest = RTE_MAX(counted_largest, part->counted_bit_s);
	}
	if (measure_joint(appliance, hardware, index, &joint, &counted_joint)) {
		sum = RTE_MIN(sum, joint);
		counted_sum = RTE_MIN(counted_sum, counted_joint);
	}
	queue->measured_bit_s = counted_sum <= most ? sum : largest;
	if (counted_largest > most)
		return WEIR_VERDICT_ABOVE;
	if (counted_sum > most)
		return WEIR_VERDICT_UNMEASURED;
	if (sum < limit / 100 * SLOW_PERCENT)
		return WEIR_VERDICT_SLOW;
	return WEIR_VERDICT_HELD;
}

static void
tell_measured(struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
              uint32_t index, const char *kind, const char *why)
{
	const struct weir_hardware_queue *queue = &hardware->queues[index];

	weir_events_post(appliance->events, WEIR_WARNING, kind,
	                 "port %s: queue %" PRIu32 " sends %" PRIu64
	                 " bit/s where it is limited to %" PRIu64 ": %s",
	                 appliance->ports[hardware->index].config.name, index,
	                 queue->measured_bit_s, queue->programmed_bit_s, why);
}

void
weir_hardware_measure(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                      uint32_t index)
{
	struct weir_hardware_queue *queue = &hardware->queues[index];
	enum weir_hardware_verdict verdict;
	bool measured = false;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, index);

		if (departures != NULL &&
		    measure_part(appliance, departures,
		                 hardware->limiter.capabilities.uncounted_bytes, &queue->parts[s]))
			measured = true;
	}
	if (!measured)
		return;
	verdict = verdict_of(appliance, hardware, index);
	base_joint(appliance, hardware, index);
	queue->windows = verdict == queue->verdict ? queue->windows + 1 : 1;
	queue->verdict = verdict;
	if (queue->windows < TOLD_WINDOWS)
		return;
	if (verdict == WEIR_VERDICT_SLOW && !queue->told_slow) {
		queue->told_slow = true;
		tell_measured(appliance, hardware, index, "limiter_slow",
		              "the hardware takes more than was asked");
	} else if (verdict == WEIR_VERDICT_ABOVE && !queue->told_above) {
		queue->told_above = true;
		tell_measured(appliance, hardware, index, "limiter_above",
		              "its burst may explain it, so it is not said to hold");
	}
}

/* A limit that does not hold: the port goes on without any, or not at all. */
static void
fall_back(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint32_t index,
          uint64_t excess_bytes)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	struct weir_hardware_queue *queue = &hardware->queues[index];

	queue->verdict = WEIR_VERDICT_FAST;
	if (hardware->test == WEIR_TEST_RUNNING)
		queue->tested = WEIR_VERDICT_FAST;
	hardware->distrusted = hardware->fast = true;
	snprintf(hardware->reason, sizeof(hardware->reason),
	         "queue %" PRIu32 " sent %" PRIu64 " B more than its limit of %" PRIu64
	         " bit/s allows",
	         index, excess_bytes, queue->programmed_bit_s);
	weir_events_post(appliance->events, WEIR_ALARM, "limiter_fast", "port %s: %s: %s",
	                 port->config.name, hardware->reason,
	                 port->config.limiter_required
	                     ? "it is stopped"
	                     : "its classes are limited in software alone");
	if (port->config.limiter_required) {
		weir_watch_restart(appliance, hardware->index, "must not be used");
		return;
	}
	weir_hardware_cancel(appliance, hardware);
	weir_hardware_go_soft(appliance, hardware);
	weir_hardware_test_end(appliance, hardware, WEIR_TEST_FAST);
}

/* Bytes that a shared limit has allowed since its mark, but for its burst; rounded up. */
static uint64_t
allowed_bytes(const struct weir_hardware_joint *joint, uint64_t now_ns)
{
	weir_u128 bits_ns = (weir_u128)joint->rate_bit_s * (now_ns - joint->mark_ns);

	return (uint64_t)(bits_ns / 8 / WEIR_NS_PER_S) + 1;
}

/*
 * What a limit that several senders share let leave beyond it, in all. Every worker publishes what
 * it has handed over, by the end of its round, and what is known to have left. The one is no less
 * than what had left by the look before, when each has ended a round since; the other no more than
 * what has left by this look, if it was read at the one before.
 */
static uint64_t
joint_excess(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
             uint32_t index, uint64_t now_ns, bool polled)
{
	struct weir_hardware_joint *joint = &hardware->queues[index].joint;
	uint64_t handed = 0, done = 0, excess = 0;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, index);
		uint64_t left, given;

		if (departures == NULL)
			return 0;
		weir_departures_read(departures, hardware->limiter.capabilities.uncounted_bytes,
		                     &left, &given);
		done += left;
		handed += given;
	}
	if (joint->marked)
		excess = weir_sat_sub(weir_sat_sub(joint->done_bytes, joint->mark_bytes),
		                      allowed_bytes(joint, now_ns) + joint->burst_bytes);
	if (joint->look_ns != 0 && polled &&
	    (!joint->marked ||
	     weir_sat_sub(handed, joint->mark_bytes) <= allowed_bytes(joint, joint->look_ns))) {
		joint->marked = true;
		joint->mark_bytes = handed;
		joint->mark_ns = joint->look_ns;
	}
	joint->look_ns = now_ns;
	joint->done_bytes = done;
	return excess;
}

/* What a look reads of a sender while its worker goes on. */
struct seen {
	uint64_t busy_tsc;  /* measured since the look before */
	uint64_t begin_tsc; /* no earlier, or UINT64_MAX: later than all that was seen by then */
	uint64_t end_tsc;   /* no later */
};

/* Returns false where departures are not told. */
static bool
see_backlogs(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
             uint32_t index, struct seen seen[WEIR_WORKERS_MAX])
{
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, index);
		struct weir_hardware_part *part = &hardware->queues[index].parts[s];
		struct weir_departures_busy busy;

		if (departures == NULL)
			return false;
		weir_departures_read_busy(departures, &busy);
		seen[s] = (struct seen){.busy_tsc = busy.busy_tsc - part->look_busy_tsc,
		                        .begin_tsc = part->look_rest_tsc,
		                        .end_tsc = busy.end_tsc};
		part->look_busy_tsc = busy.busy_tsc;
		part->look_rest_tsc = busy.rest_tsc;
	}
	/*
	 * After all of that: who has no backlog now begins a later one, but for the worker's round
	 * under way.
	 */
	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, index);
		struct weir_hardware_part *part = &hardware->queues[index].parts[s];

		if (atomic_load(&departures->waiting_frames) == 0 &&
		    atomic_load(&departures->busy_tsc) == part->look_busy_tsc)
			part->look_rest_tsc = UINT64_MAX;
	}
	return true;
}

/*
 * Follows the sender that had a backlog for longest since the last look, and adds what of it is
 * later than all that was added before: so none of the time counts twice.
 */
static void
follow_backlog(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
               uint32_t index)
{
	struct weir_hardware_backlog *backlog = &hardware->queues[index].backlog;
	struct seen seen[WEIR_WORKERS_MAX];
	const struct seen *followed;
	uint32_t longest = 0;

	if (!see_backlogs(appliance, hardware, index, seen))
		return;
	for (uint32_t s = 1; s < hardware->n_senders; s++)
		longest = seen[s].busy_tsc > seen[longest].busy_tsc ? s : longest;
	/* Each change of the sender loses a little. */
	if (seen[longest].busy_tsc - seen[longest].busy_tsc / 8 > seen[backlog->sender].busy_tsc)
		backlog->sender = longest;
	followed = &seen[backlog->sender];
	backlog->busy_tsc +=
	    weir_sat_sub(followed->busy_tsc, weir_sat_sub(backlog->end_tsc, followed->begin_tsc));
	backlog->end_tsc = RTE_MAX(backlog->end_tsc, followed->end_tsc);
}

/* Returns false where a limit was found not to hold that several senders share. */
static bool
check_joint(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t now_ns)
{
	bool polled = true;

	if (hardware->n_senders < 2)
		return true;
	for (uint32_t s = 0; s < hardware->n_senders; s++)
		if (weir_count_read(
		        &weir_dataplane_counters(appliance->dataplane, hardware->senders[s])
		             ->rounds) == hardware->rounds[s])
			polled = false;
	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		uint64_t excess;

		follow_backlog(appliance, hardware, q);
		if (hardware->queues[q].joint.rate_bit_s == 0)
			continue;
		excess = joint_excess(appliance, hardware, q, now_ns, polled);
		if (excess > 0) {
			fall_back(appliance, hardware, q, excess);
			return false;
		}
	}
	return true;
}

/* Returns false where a limit was found not to hold. */
static bool
check_excess(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		for (uint32_t s = 0; s < hardware->n_senders; s++) {
			const struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);
			uint64_t excess;

			if (departures == NULL || hardware->queues[q].programmed_bit_s == 0)
				continue;
			excess = atomic_load(&departures->excess_bytes);
			if (excess <= hardware->queues[q].parts[s].base_excess_bytes)
				continue;
			fall_back(appliance, hardware, q, excess);
			return false;
		}
	}
	return true;
}

/* How long a queue may stand still: at its limit the largest frame takes a while. */
static uint64_t
stuck_ns(const struct weir_appliance *appliance, const struct weir_hardware_queue *queue)
{
	uint64_t bits = (uint64_t)weir_config_largest_frame(appliance->config) * 8;

	if (queue->programmed_bit_s == 0)
		return WEIR_HARDWARE_STUCK_NS;
	return WEIR_HARDWARE_STUCK_NS + 2 * bits * WEIR_NS_PER_S / queue->programmed_bit_s;
}

/* Whether a sender's queue has stood still for too long. polled: its worker has looked since. */
static bool
stands_still(struct weir_hardware_queue *queue, struct weir_hardware_part *part,
             const struct weir_departures *departures, bool polled, uint64_t limit_ns,
             uint64_t now_ns)
{
	uint64_t done = atomic_load(&departures->done_frames);
	bool waits = atomic_load(&departures->waiting_frames) > 0;

	if (part->moved_ns != 0 && done != part->done_frames)
		queue->stuck = false;
	if (part->moved_ns == 0 || !waits || !polled || done != part->done_frames) {
		part->done_frames = done;
		part->moved_ns = now_ns;
		return false;
	}
	return now_ns - part->moved_ns >= limit_ns;
}

/* Returns false where a queue was found stuck. */
static bool
check_stuck(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t now_ns)
{
	const char *name = appliance->ports[hardware->index].config.name;
	uint32_t stuck = UINT32_MAX;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_counters *counters =
		    weir_dataplane_counters(appliance->dataplane, hardware->senders[s]);
		uint64_t rounds = weir_count_read(&counters->rounds);
		bool polled = rounds != hardware->rounds[s];

		hardware->rounds[s] = rounds;
		for (uint32_t q = 0; q < hardware->n_queues; q++) {
			struct weir_hardware_queue *queue = &hardware->queues[q];
			const struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);

			if (departures != NULL &&
			    stands_still(queue, &queue->parts[s], departures, polled,
			                 stuck_ns(appliance, queue), now_ns) &&
			    stuck == UINT32_MAX)
				stuck = q;
		}
	}
	if (stuck == UINT32_MAX)
		return true;
	weir_events_post(appliance->events, WEIR_ALARM, "queue_stuck",
	                 "port %s: %" PRIu64 " frames wait in queue %" PRIu32
	                 " and none leaves: the port is started anew",
	                 name, weir_hardware_waiting(appliance, hardware, stuck), stuck);
	hardware->queues[stuck].stuck = true;
	weir_watch_restart(appliance, hardware->index, "stands still");
	return false;
}

static void
look(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t now_ns)
{
	if (hardware->open && !hardware->distrusted) {
		if (!check_excess(appliance, hardware) || !check_joint(appliance, hardware, now_ns))
			return;
		if (!weir_hardware_test_look(appliance, hardware, now_ns))
			return;
		/* A test is one measurement. */
		if (hardware->test != WEIR_TEST_RUNNING &&
		    now_ns - hardware->window_ns >= WINDOW_NS) {
			hardware->window_ns = now_ns;
			for (uint32_t q = 1; q < hardware->n_queues; q++)
				if (hardware->queues[q].programmed_bit_s > 0)
					weir_hardware_measure(appliance, hardware, q);
		}
	}
	if (!check_stuck(appliance, hardware, now_ns))
		return;
	weir_hardware_step(appliance, hardware, now_ns);
}

void
weir_hardware_tick(struct weir_appliance *appliance, uint64_t now_ns)
{
	if (appliance->hardware == NULL)
		return;
	weir_hardware_judge_sent(appliance, now_ns);
	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_hardware_port *hardware = appliance->hardware->ports[i];

		if (hardware != NULL && appliance->port_watch[i].state == WEIR_PORT_UP)
			look(appliance, hardware, now_ns);
	}
	weir_hardware_read_sent(appliance);
}
