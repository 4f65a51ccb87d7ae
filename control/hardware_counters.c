/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a port's counters show all that has left: held against what its driver tells of the send
 * queues and, where it doesn't, against what was charged.
 */
#include "control/config.h"
#include "control/hardware_state.h"
#include "dataplane/departures.h"

#include <inttypes.h>
#include <rte_common.h>
#include <rte_ether.h>

/* Frames that a NIC may hold besides those in its rings: in its own memory, the smallest. */
#define INSIDE_FRAMES 16384U
/* So many that were charged and don't show are none that were lost by chance. */
#define STILL_FRAMES 8U

/* What is known to have left, as a driver that doesn't count the FCS counts it. */
static struct weir_hardware_counts
read_done(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	struct weir_hardware_counts done = {0};

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		for (uint32_t q = 0; q < hardware->n_queues; q++) {
			const struct weir_departures *departures =
			    weir_hardware_departures(appliance, hardware, s, q);
			uint64_t left_bytes, handed_bytes;

			if (departures == NULL)
				continue;
			weir_departures_read(departures, RTE_ETHER_CRC_LEN, &left_bytes,
			                     &handed_bytes);
			done.frames += atomic_load(&departures->done_frames);
			done.wire_bytes += left_bytes;
		}
	}
	return done;
}

/* Frames that the port may have taken without having sent them. */
static uint64_t
holds(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	const struct weir_port *port = &appliance->ports[hardware->index];

	return (uint64_t)port->tx_queues * port->tx_descriptors + INSIDE_FRAMES;
}

/* Tells once of counters that show less than is due. */
static void
tell_hiding(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
            struct weir_hardware_counts due)
{
	struct weir_hardware_counts sent = {hardware->total.frames - hardware->base_sent.frames,
	                                    hardware->total.wire_bytes -
	                                        hardware->base_sent.wire_bytes};
	const char *name = appliance->ports[hardware->index].config.name;
	bool hides = due.frames > sent.frames || due.wire_bytes > sent.wire_bytes;

	if (hides && !hardware->hides && sent.frames < due.frames)
		weir_events_post(appliance->events, WEIR_ALARM, "port_counters",
		                 "port %s: counts %" PRIu64 " frames as sent, but %" PRIu64
		                 " have left: its counters can't be believed",
		                 name, sent.frames, due.frames);
	else if (hides && !hardware->hides)
		weir_events_post(appliance->events, WEIR_ALARM, "port_counters",
		                 "port %s: counts %" PRIu64 " B on the wire as sent, but %" PRIu64
		                 " have left: its counters can't be believed",
		                 name, sent.wire_bytes, due.wire_bytes);
	hardware->hides = hides;
}

/* What had left a while ago, and what was charged by then and the rings have no room for. */
static struct weir_hardware_counts
due_by_now(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	uint64_t frame_bytes = weir_config_largest_frame(appliance->config);
	uint64_t dropped = weir_sat_sub(hardware->raw_errors, hardware->base_errors);
	uint64_t most = holds(appliance, hardware) + dropped;
	struct weir_hardware_counts due = hardware->past_done, charged = hardware->past_charged;

	due.frames = RTE_MAX(due.frames, weir_sat_sub(charged.frames, most));
	/* Some count no bytes at all (net_null, net_ring). */
	if (hardware->raw_bytes == 0)
		return due;
	/* As a driver counts that leaves the FCS out. */
	charged.wire_bytes -= RTE_ETHER_CRC_LEN * charged.frames;
	due.wire_bytes =
	    RTE_MAX(due.wire_bytes, weir_sat_sub(charged.wire_bytes, most * frame_bytes));
	return due;
}

/* What had left a while ago must show by now, and so must what the rings have no room for. */
static void
check_hiding(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
             struct weir_hardware_counts charged)
{
	uint64_t now_ns = appliance->hardware->now_ns;
	struct weir_hardware_counts done;

	if (hardware->past_ns != 0 && now_ns - hardware->past_ns < WEIR_HARDWARE_COUNTERS_NS)
		return;
	if (hardware->past_ns != 0)
		tell_hiding(appliance, hardware, due_by_now(appliance, hardware));
	done = read_done(appliance, hardware);
	hardware->past_done.frames = done.frames - hardware->base_done.frames;
	hardware->past_done.wire_bytes =
	    weir_sat_sub(done.wire_bytes, hardware->base_done.wire_bytes);
	hardware->past_charged.frames = charged.frames - hardware->base_charged.frames;
	hardware->past_charged.wire_bytes = charged.wire_bytes - hardware->base_charged.wire_bytes;
	hardware->past_ns = now_ns;
}

/* How long none may show: at the slowest limit the largest frame takes a while. */
static uint64_t
still_ns(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	uint64_t bits = (uint64_t)weir_config_largest_frame(appliance->config) * 8;
	uint64_t slowest_bit_s = UINT64_MAX;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		if (hardware->queues[q].programmed_bit_s > 0)
			slowest_bit_s =
			    RTE_MIN(slowest_bit_s, hardware->queues[q].programmed_bit_s);
	return WEIR_HARDWARE_STUCK_NS + 2 * bits * WEIR_NS_PER_S / slowest_bit_s;
}

/*
 * Where nobody tells what has left: frames go on being charged, and the counters stand still. So
 * nothing leaves, or they hide all of it.
 */
static void
check_still(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t charged)
{
	uint64_t now_ns = appliance->hardware->now_ns;
	uint64_t shown = hardware->total.frames + hardware->raw_errors;

	if (weir_hardware_departures(appliance, hardware, 0, 0) != NULL)
		return;
	if (shown != hardware->still_shown) {
		hardware->still_shown = shown;
		hardware->still_charged = charged;
		hardware->still = false;
	}
	if (charged - hardware->still_charged < STILL_FRAMES) {
		hardware->still_since_ns = now_ns;
		return;
	}
	if (hardware->still || now_ns - hardware->still_since_ns < still_ns(appliance, hardware))
		return;
	hardware->still = true;
	weir_events_post(appliance->events, WEIR_ALARM, "port_counters",
	                 "port %s: %" PRIu64 " frames were charged and none is counted as sent: "
	                 "nothing leaves, or its counters can't be believed",
	                 appliance->ports[hardware->index].config.name,
	                 charged - hardware->still_charged);
}

void
weir_hardware_base_counters(const struct weir_appliance *appliance,
                            struct weir_hardware_port *hardware)
{
	hardware->base_done = read_done(appliance, hardware);
	hardware->base_errors = hardware->raw_errors;
	hardware->past_ns = 0;
	hardware->still = false;
	hardware->still_shown = hardware->total.frames + hardware->raw_errors;
	hardware->still_charged = hardware->base_charged.frames;
}

void
weir_hardware_check_counters(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                             struct weir_hardware_counts charged)
{
	check_hiding(appliance, hardware, charged);
	check_still(appliance, hardware, charged.frames);
}
