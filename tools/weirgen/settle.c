/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/settle.h"

#include "drivers/clock.h"
#include "tools/weirgen/station.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <string.h>
#include <time.h>

#define LEAVE_NS (WEIR_NS_PER_S)
#define WIRE_NS  (10 * WEIR_NS_PER_MS)  /* from a NIC's count to the end of the frame on the wire */
#define PEER_NS  (500 * WEIR_NS_PER_MS) /* for a memif's peer to take what lies in the ring */
#define LINK_NS  (10 * WEIR_NS_PER_S)
#define STEP_NS  (WEIR_NS_PER_MS)

static void
sleep_for(uint64_t ns)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

void
weir_settle_begin(const struct weir_port *port, struct weir_settle *settle)
{
	struct rte_eth_stats stats = {0};

	(void)rte_eth_stats_get(port->port_id, &stats);
	*settle = (struct weir_settle){stats.opackets, stats.oerrors,
	                               weir_packet_socket_interface(port->interface)};
}

/*
 * What the driver has given the kernel counts as sent, but its last call may have left frames in
 * the socket's ring, and the interface may have dropped them. Where nothing hints at either, what
 * the interface counts is not asked: others may use it too.
 */
static uint64_t
settle_kernel(const struct weir_port *port, const struct weir_settle *begun, uint64_t frames)
{
	int socket = weir_packet_socket_find(port->interface), result = -ENOENT;
	uint64_t end_ns = weir_clock_raw_ns() + LEAVE_NS;
	struct weir_settle now;
	uint32_t unsent;

	do {
		if (result == -ENOBUFS)
			sleep_for(STEP_NS);
		if (socket >= 0)
			result = weir_packet_socket_flush(socket, LEAVE_NS / WEIR_NS_PER_MS);
	} while (result == -ENOBUFS && weir_clock_raw_ns() < end_ns);
	weir_settle_begin(port, &now);
	if (result == 0 && now.kernel.dropped == begun->kernel.dropped)
		return 0;
	unsent = (uint32_t)(frames - (now.errors - begun->errors)) -
	         (now.kernel.sent - begun->kernel.sent);
	/* Others have sent as well. */
	if (unsent > frames)
		unsent = 0;
	return result == 0 ? unsent : RTE_MAX(unsent, 1U);
}

/* By the port's own count: of a NIC, of what its hardware has sent. */
static uint64_t
settle_by_count(const struct weir_port *port, const struct weir_settle *begun, uint64_t frames)
{
	uint64_t end_ns = weir_clock_raw_ns() + LEAVE_NS, count;
	struct weir_settle now;

	for (;;) {
		weir_settle_begin(port, &now);
		count = now.sent - begun->sent + now.errors - begun->errors;
		if (count >= frames)
			return 0;
		if (weir_clock_raw_ns() >= end_ns)
			break;
		sleep_for(STEP_NS);
	}
	/* One that does not count at all says nothing. */
	return count == 0 ? 0 : frames - count;
}

uint64_t
weir_settle(const struct weir_port *port, const struct weir_settle *begun, uint64_t frames)
{
	uint64_t unsent;

	if (strcmp(port->driver, "net_af_packet") == 0)
		return settle_kernel(port, begun, frames);
	if (frames == 0)
		return 0;
	unsent = settle_by_count(port, begun, frames);
	sleep_for(strcmp(port->driver, "net_memif") == 0 ? PEER_NS : WIRE_NS);
	return unsent;
}

bool
weir_settle_link(const struct weir_port *port)
{
	uint64_t end_ns = weir_clock_raw_ns() + LINK_NS;
	uint32_t mbit_s;

	while (!weir_port_link(port, &mbit_s)) {
		if (weir_station_stopped() || weir_clock_raw_ns() >= end_ns)
			return false;
		sleep_for(STEP_NS);
	}
	return true;
}
