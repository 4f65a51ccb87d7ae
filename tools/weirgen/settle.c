/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/settle.h"

#include "drivers/clock.h"
#include "tools/weirgen/packet_socket.h"
#include "tools/weirgen/station.h"

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

uint64_t
weir_settle_count(const struct weir_port *port)
{
	struct rte_eth_stats stats = {0};

	return rte_eth_stats_get(port->port_id, &stats) == 0 ? stats.opackets + stats.oerrors : 0;
}

/* By the port's own count: of a NIC, of what its hardware has sent. */
static uint64_t
settle_by_count(const struct weir_port *port, uint64_t count_before, uint64_t frames)
{
	uint64_t end_ns = weir_clock_raw_ns() + LEAVE_NS, count;

	for (;;) {
		count = weir_settle_count(port) - count_before;
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
weir_settle(const struct weir_port *port, uint64_t count_before, uint64_t frames)
{
	uint64_t unsent;
	int socket;

	if (strcmp(port->driver, "net_af_packet") == 0) {
		socket = weir_packet_socket_find(port->interface);
		if (socket >= 0 && weir_packet_socket_flush(socket, LEAVE_NS / WEIR_NS_PER_MS) == 0)
			return 0;
		return RTE_MIN(frames, (uint64_t)port->tx_descriptors);
	}
	if (frames == 0)
		return 0;
	unsent = settle_by_count(port, count_before, frames);
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
