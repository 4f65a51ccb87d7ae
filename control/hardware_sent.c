/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port sent against what was charged for it: over all of Weir's life, so that nothing is
 * forgiven when a port is started anew. It is looked at whether it is in use or not.
 *
 * What waits in a NIC when it is started anew is charged and never sent. It must not hide as much
 * that nobody charged: as soon as it is known to be lost it counts no more as charged.
 */
#include "control/config.h"
#include "control/hardware_state.h"
#include "control/watch.h"
#include "dataplane/departures.h"

#include <inttypes.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <stdio.h>
#include <time.h>

/*
 * What a frame is taken for, besides the bytes that the driver counts: preamble and gap. Drivers
 * differ in whether they count the FCS. With 20 one that does gives the true wire bytes, and one
 * that does not 4 less a frame: so an honest NIC never shows more than was charged.
 */
#define PREAMBLE_AND_GAP_BYTES 20U

/*
 * How long a look waits for the workers' notes, before it leaves them to the next one: rounds take
 * microseconds, and what nobody charged is found out a look sooner.
 */
#define NOTE_WAIT_NS 10000
#define NOTE_TRIES   3U

/* By when what was sent before a start, and counted late, has shown without any doubt. */
#define LATE_NS (4 * WEIR_HARDWARE_COUNTERS_NS)

/* The fastest link there is: what a counter that wrapped round may have counted meanwhile. */
#define FASTEST_BIT_S  UINT64_C(800000000000)
#define SMALLEST_BYTES (WEIR_FRAME_MIN_BYTES + WEIR_WIRE_OVERHEAD_BYTES)

static struct weir_hardware_counts
minus(struct weir_hardware_counts a, struct weir_hardware_counts b)
{
	return (struct weir_hardware_counts){weir_sat_sub(a.frames, b.frames),
	                                     weir_sat_sub(a.wire_bytes, b.wire_bytes)};
}

static bool
exceeds(struct weir_hardware_counts a, struct weir_hardware_counts b)
{
	return a.frames > b.frames || a.wire_bytes > b.wire_bytes;
}

static struct weir_hardware_counts
read_charged(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	struct weir_flow_totals totals;

	weir_dataplane_flow_totals(appliance->dataplane, hardware->link, WEIR_EGRESS, &totals);
	return (struct weir_hardware_counts){totals.tx_frames, totals.tx_wire_bytes};
}

static void
breach(struct weir_appliance *appliance, struct weir_hardware_port *hardware, const char *what)
{
	if (hardware->breached)
		return;
	hardware->breached = true;
	hardware->comparing = false;
	weir_watch_breach(appliance, hardware->index);
	weir_events_post(appliance->events, WEIR_ALARM, "port_breach",
	                 "port %s: %s: stopped until weir is restarted",
	                 appliance->ports[hardware->index].config.name, what);
}

/* ---- the port's counters ---- */

/*
 * How far a counter has moved: at most most. One that is less than before may be one of 32, 40 or
 * 48 bits that has wrapped round, if that makes it move no further. Returns false where it was set
 * back: it counts from nothing then.
 */
static bool
moved(uint64_t before, uint64_t now, uint64_t most, uint64_t *by)
{
	static const unsigned int widths[] = {32, 40, 48};

	*by = now;
	if (now >= before) {
		*by = now - before;
		return true;
	}
	for (size_t i = 0; i < RTE_DIM(widths); i++) {
		uint64_t range = UINT64_C(1) << widths[i];

		if (before - now <= range && range - (before - now) <= most) {
			*by = range - (before - now);
			return true;
		}
	}
	return false;
}

static void
counters_alarm(struct weir_appliance *appliance, const struct weir_hardware_port *hardware,
               const char *what)
{
	weir_events_post(appliance->events, WEIR_ALARM, "port_counters", "port %s: its counters %s",
	                 appliance->ports[hardware->index].config.name, what);
}

/* What was not read can't be checked: the port may not go on like this for long. */
static void
cannot_read(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	if (hardware->unread_looks++ == 0)
		counters_alarm(appliance, hardware,
		               "can't be read: it is stopped if that does not end");
	if (hardware->unread_looks >= WEIR_HARDWARE_UNREAD_LOOKS)
		breach(appliance, hardware,
		       "its counters can't be read, and what it sends is not known");
}

/* Takes up what the counters show. */
static void
take_up(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t frames,
        uint64_t bytes)
{
	uint64_t now_ns = appliance->hardware->now_ns;
	/* The clock is that of the look before, at times: so twice a look more. */
	weir_u128 ns = now_ns - hardware->raw_ns + 2 * WEIR_HARDWARE_LOOK_NS;
	weir_u128 most = ns * (FASTEST_BIT_S / 8) / WEIR_NS_PER_S;
	uint64_t more_frames, more_bytes;
	bool forward;

	most = hardware->link_bit_s > 0 ? ns * (hardware->link_bit_s / 8) / WEIR_NS_PER_S : most;
	most = most > UINT64_MAX ? UINT64_MAX : most;
	forward =
	    moved(hardware->raw_frames, frames, (uint64_t)most / SMALLEST_BYTES, &more_frames);
	forward = moved(hardware->raw_bytes, bytes, (uint64_t)most, &more_bytes) && forward;
	/* What sets one back sets back both: the other only looks as if it had wrapped round. */
	if (!forward && frames < hardware->raw_frames)
		more_frames = frames;
	if (!forward && bytes < hardware->raw_bytes)
		more_bytes = bytes;
	if (!forward && !hardware->may_reset && !hardware->set_back) {
		hardware->set_back = true;
		counters_alarm(appliance, hardware,
		               "were set back while it ran: it is stopped if that happens again");
	} else if (!forward && !hardware->may_reset) {
		breach(appliance, hardware, "its counters were set back while it ran, again");
	}
	hardware->total.frames += more_frames;
	hardware->total.wire_bytes += more_bytes + PREAMBLE_AND_GAP_BYTES * more_frames;
}

/*
 * Drivers take the FCS of all frames off bytes that they have read before the frames (22.11's
 * net_ixgbe, net_i40e, net_ice): a frame that ends in between makes the bytes fall by its FCS,
 * until the next reading.
 */
static bool
is_torn(const struct weir_hardware_port *hardware, const struct weir_port_sent *sent)
{
	return sent->bytes < hardware->raw_bytes && sent->frames > hardware->raw_frames &&
	       (hardware->raw_bytes - sent->bytes - 1) / RTE_ETHER_CRC_LEN <
	           sent->frames - hardware->raw_frames;
}

/* Reads the port's counters. Returns false where they can't be read. */
static bool
read_port(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	struct weir_port_sent sent;

	if (weir_port_sent_read(&appliance->ports[hardware->index], &hardware->from, &sent) < 0)
		return false;
	if (hardware->raw_known && is_torn(hardware, &sent))
		sent.bytes = hardware->raw_bytes;
	if (hardware->raw_known)
		take_up(appliance, hardware, sent.frames, sent.bytes);
	hardware->raw_known = true;
	hardware->may_reset = false;
	hardware->unread_looks = 0;
	hardware->raw_frames = sent.frames;
	hardware->raw_bytes = sent.bytes;
	hardware->raw_errors = sent.errors;
	hardware->raw_ns = appliance->hardware->now_ns;
	return true;
}

void
weir_hardware_begin_sent(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	weir_port_sent_find(&appliance->ports[hardware->index], &hardware->from);
	hardware->start_charged = read_charged(appliance, hardware);
	/* What fails here fails at the first look, too, and is told there. */
	(void)read_port(appliance, hardware);
}

void
weir_hardware_base_sent(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	(void)read_port(appliance, hardware);
	hardware->base_sent = hardware->total;
	hardware->base_charged = read_charged(appliance, hardware);
	weir_hardware_base_counters(appliance, hardware);
}

bool
weir_hardware_all_left(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                       uint64_t *waiting)
{
	uint64_t charged = read_charged(appliance, hardware).frames;
	bool read = read_port(appliance, hardware);

	*waiting = weir_sat_sub(charged - hardware->base_charged.frames,
	                        hardware->total.frames - hardware->base_sent.frames);
	return read && *waiting == 0;
}

/* ---- comparing ---- */

/* What may have left, of what was charged by now. */
static struct weir_hardware_counts
allowed(const struct weir_hardware_port *hardware)
{
	return minus(hardware->charged, hardware->lost);
}

/* Stops a port that has sent more than was charged. Returns false then. */
static bool
compare(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
        struct weir_hardware_counts sent, struct weir_hardware_counts charged)
{
	char what[WEIR_EVENT_MESSAGE_SIZE];

	hardware->sent = sent;
	hardware->charged = charged;
	charged = allowed(hardware);
	if (!exceeds(sent, charged))
		return true;
	snprintf(what, sizeof(what),
	         "has sent %" PRIu64 " frames, %" PRIu64 " B on the wire, and %" PRIu64
	         " frames, %" PRIu64 " B were charged",
	         sent.frames, sent.wire_bytes, charged.frames, charged.wire_bytes);
	breach(appliance, hardware, what);
	return false;
}

/*
 * Compares what all ports have sent with what the budgets were charged, which is what the ledger
 * makes durable: a frame that was counted as charged and of which no budget knows is found here.
 * Nobody can say which port it left by.
 */
static void
compare_all(struct weir_appliance *appliance, const struct weir_note *note)
{
	char what[WEIR_EVENT_MESSAGE_SIZE];
	uint64_t sent = 0;

	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		const struct weir_hardware_port *hardware = appliance->hardware->ports[i];

		if (hardware != NULL)
			sent += hardware->noted_wire_bytes;
	}
	if (sent <= note->root_wire_bytes)
		return;
	snprintf(what, sizeof(what),
	         "all outside ports have sent %" PRIu64 " B on the wire, and %" PRIu64
	         " B were charged to budgets",
	         sent, note->root_wire_bytes);
	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_hardware_port *hardware = appliance->hardware->ports[i];

		if (hardware != NULL)
			breach(appliance, hardware, what);
	}
}

/*
 * What workers had charged. One that hangs must not blind this for good: after a while it is taken
 * to have in hand as much as it can. Returns false: not known yet.
 */
static bool
get_note(struct weir_appliance *appliance, struct weir_note *note)
{
	struct weir_hardware *all = appliance->hardware;

	if (!all->noting)
		return false;
	if (weir_dataplane_noted(appliance->dataplane, all->note, note)) {
		all->asked_ns = 0;
		return true;
	}
	if (all->now_ns - all->asked_ns < WEIR_WATCH_STALL_NS)
		return false;
	weir_dataplane_noted_at_most(appliance->dataplane, all->note,
	                             weir_config_largest_frame(appliance->config), note);
	return true;
}

/* Judges what was read at an earlier look, as soon as all workers have noted. */
static void
judge(struct weir_appliance *appliance)
{
	struct weir_hardware *all = appliance->hardware;
	struct weir_hardware_counts charged;
	struct weir_note note;

	if (!get_note(appliance, &note))
		return;
	all->noting = false;
	for (uint32_t i = 0; i < appliance->n_ports; i++) {
		struct weir_hardware_port *hardware = all->ports[i];

		if (hardware == NULL || !hardware->comparing)
			continue;
		hardware->comparing = false;
		charged = (struct weir_hardware_counts){note.frames[hardware->link],
		                                        note.wire_bytes[hardware->link]};
		hardware->noted_wire_bytes =
		    RTE_MIN(hardware->reading.wire_bytes, charged.wire_bytes);
		(void)compare(appliance, hardware, hardware->reading, charged);
	}
	compare_all(appliance, &note);
}

void
weir_hardware_judge_sent(struct weir_appliance *appliance, uint64_t now_ns)
{
	appliance->hardware->now_ns = now_ns;
	judge(appliance);
}

/* ---- starts ---- */

/*
 * Frames that were sent before a start may be counted after it, for a while: no more of them than
 * were charged since the start before. The rest was lost.
 */
static void
count_lost(struct weir_hardware_port *hardware, uint64_t now_ns)
{
	struct weir_hardware_counts unsent = minus(allowed(hardware), hardware->total);
	struct weir_hardware_counts since = minus(hardware->charged, hardware->start_charged);

	if (now_ns - hardware->start_ns >= WEIR_HARDWARE_COUNTERS_NS) {
		unsent = minus(unsent, since);
		hardware->lost.frames += unsent.frames;
		hardware->lost.wire_bytes += unsent.wire_bytes;
	}
	hardware->start_charged = hardware->charged;
	hardware->start_ns = now_ns;
	hardware->late = true;
}

bool
weir_hardware_leave(struct weir_appliance *appliance, uint32_t index)
{
	struct weir_hardware_port *hardware =
	    appliance->hardware == NULL ? NULL : appliance->hardware->ports[index];

	if (hardware == NULL || !appliance->ports[index].started)
		return true;
	hardware->comparing = false;
	if (!read_port(appliance, hardware)) {
		hardware->charged = read_charged(appliance, hardware);
		cannot_read(appliance, hardware);
	} else if (!compare(appliance, hardware, hardware->total,
	                    read_charged(appliance, hardware))) {
		return false;
	}
	if (hardware->breached)
		return false;
	count_lost(hardware, appliance->hardware->now_ns);
	hardware->may_reset = true;
	return true;
}

/* Whether the port tells what has left. */
static bool
tells(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	return hardware->open ? hardware->limiter.capabilities.completions
	                      : appliance->ports[hardware->index].completions;
}

/* Whether nothing is in the NIC's hands any more, once all counters have had their time. */
static bool
is_idle(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	uint64_t waiting = 0;

	for (uint32_t q = 0; q < hardware->n_queues; q++)
		waiting += weir_hardware_waiting(appliance, hardware, q);
	return waiting == 0;
}

/* What of all that was charged by then has not been counted never left. */
static void
write_off(struct weir_hardware_port *hardware, struct weir_hardware_counts charged)
{
	struct weir_hardware_counts unsent = minus(minus(charged, hardware->lost), hardware->total);

	hardware->lost.frames += unsent.frames;
	hardware->lost.wire_bytes += unsent.wire_bytes;
	hardware->late = false;
}

/*
 * Some time after a start, and nothing was charged for as long: what has not been counted by now
 * never left. Where nobody tells what has left, that is only sure of what was charged before the
 * start: a NIC may hold back the rest for as long as it likes.
 */
static void
settle_lost(const struct weir_appliance *appliance, struct weir_hardware_port *hardware,
            struct weir_hardware_counts charged)
{
	uint64_t now_ns = appliance->hardware->now_ns;

	if (!hardware->late)
		return;
	if (!tells(appliance, hardware)) {
		if (now_ns - hardware->start_ns >= LATE_NS)
			write_off(hardware, hardware->start_charged);
		return;
	}
	if (charged.frames != hardware->idle_frames || !is_idle(appliance, hardware)) {
		hardware->idle_frames = charged.frames;
		hardware->idle_ns = now_ns;
	}
	if (now_ns - hardware->start_ns < LATE_NS || now_ns - hardware->idle_ns < LATE_NS)
		return;
	write_off(hardware, charged);
}

/* ---- looks ---- */

/* Returns whether there is something to compare. */
static bool
read_one(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	struct weir_hardware_counts charged;

	if (hardware->breached || !appliance->ports[hardware->index].started)
		return false;
	/* First: what is charged only now may not show yet. */
	charged = read_charged(appliance, hardware);
	if (!read_port(appliance, hardware)) {
		cannot_read(appliance, hardware);
		return false;
	}
	if (hardware->breached)
		return false;
	hardware->reading = hardware->total;
	hardware->comparing = true;
	settle_lost(appliance, hardware, charged);
	if (appliance->port_watch[hardware->index].state == WEIR_PORT_UP)
		weir_hardware_check_counters(appliance, hardware, charged);
	return true;
}

/* Not before the last question was answered, by however slow a worker. */
void
weir_hardware_read_sent(struct weir_appliance *appliance)
{
	const struct timespec pause = {.tv_nsec = NOTE_WAIT_NS};
	struct weir_hardware *all = appliance->hardware;
	bool any = false;

	if (all->noting)
		return;
	for (uint32_t i = 0; i < appliance->n_ports; i++)
		if (all->ports[i] != NULL && read_one(appliance, all->ports[i]))
			any = true;
	if (!any)
		return;
	all->noting = true;
	all->asked_ns = all->asked_ns == 0 ? all->now_ns : all->asked_ns;
	all->note = weir_dataplane_note(appliance->dataplane);
	for (unsigned int try = 0; try < NOTE_TRIES && all->noting; try++) {
		(void)nanosleep(&pause, NULL);
		judge(appliance);
	}
}
