/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port tells about itself. */
#include "drivers/interface.h"
#include "drivers/limiter_driver.h"
#include "drivers/memory.h"
#include "drivers/port.h"

#include <net/if.h>
#include <rte_ethdev.h>
#include <stdarg.h>
#include <stdio.h>

/* A line that grows at its end and is cut where it would not fit. */
struct line {
	char *text;
	size_t size;
	size_t used;
};

static void __attribute__((format(printf, 2, 3))) append(struct line *line, const char *format, ...)
{
	va_list list;
	int length;

	if (line->used >= line->size)
		return;
	va_start(list, format);
	length = vsnprintf(line->text + line->used, line->size - line->used, format, list);
	va_end(list);
	if (length > 0)
		line->used += (size_t)length;
}

/* Some drivers call the link of a kernel interface up, whatever it is. */
static bool
interface_is_up(unsigned int index)
{
	unsigned int flags;

	return weir_interface_flags(index, &flags) == 0 && (flags & IFF_UP) != 0 &&
	       (flags & IFF_RUNNING) != 0;
}

bool
weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s)
{
	struct rte_eth_link link;

	*speed_mbit_s = 0;
	if (!port->started || rte_eth_link_get_nowait(port->port_id, &link) != 0)
		return false;
	if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		*speed_mbit_s = link.link_speed;
	return link.link_status == RTE_ETH_LINK_UP &&
	       (port->interface == 0 || interface_is_up(port->interface));
}

bool
weir_port_completions(const struct weir_port *port)
{
	uint16_t rs_thresh = weir_limiter_driver_rs_thresh(port->driver);
	struct rte_eth_txq_info info = {0};

	if (!port->started || port->tx_each < 2 ||
	    (!weir_limiter_driver_find(port->driver, true)->completions &&
	     !weir_limiter_driver_find(port->driver, false)->completions))
		return false;
	if (rs_thresh != 0 && (rte_eth_tx_queue_info_get(port->port_id, 0, &info) != 0 ||
	                       info.conf.tx_rs_thresh != rs_thresh))
		return false;
	return rte_eth_tx_descriptor_status(port->port_id, 0, 0) >= 0;
}

uint32_t
weir_port_downs(const struct weir_port *port)
{
	return atomic_load(&port->downs);
}

static void
append_link(struct line *line, const struct weir_port *port)
{
	uint32_t speed_mbit_s;

	if (!weir_port_link(port, &speed_mbit_s))
		append(line, ", link down");
	else if (speed_mbit_s == 0)
		append(line, ", link up");
	else
		append(line, ", link up %u Mbit/s", speed_mbit_s);
}

/* What was asked for and is not so. */
static void
append_refused(struct line *line, const struct weir_port *port)
{
	const char *between = "; not granted: ";

	if (!port->promiscuous) {
		append(line, "%spromiscuous mode", between);
		between = ", ";
	}
	if (!port->flow_control_off) {
		append(line, "%sflow control off", between);
		between = ", ";
	}
	if (port->rx_queues < port->config.rx_queues) {
		append(line, "%s%u rx queues", between, port->config.rx_queues);
		between = ", ";
	}
	if (port->rx_queues > 1 && !port->rss_symmetric) {
		append(line, "%ssymmetric RSS", between);
		between = ", ";
	}
	if (port->config.rx_descriptors != 0 &&
	    port->rx_descriptors != port->config.rx_descriptors) {
		append(line, "%s%u rx descriptors", between, port->config.rx_descriptors);
		between = ", ";
	}
	if (port->config.tx_descriptors != 0 && port->tx_descriptors != port->config.tx_descriptors)
		append(line, "%s%u tx descriptors", between, port->config.tx_descriptors);
}

void
weir_port_describe(const struct weir_port *port, char *text, size_t size)
{
	struct line line = {.text = text, .size = size};

	assert(size > 0);
	text[0] = '\0';
	append(&line, "port %s: %s, driver %s, ", port->config.name, port->config.device,
	       port->driver);
	if (port->node == WEIR_NODE_ANY)
		append(&line, "no NUMA node");
	else
		append(&line, "NUMA node %d", port->node);
	append(&line, ", address %s", port->mac);
	if (!port->started) {
		append(&line, ", stopped");
		return;
	}
	append_link(&line, port);
	append(&line, ", rx %u x %u, tx %u x %u, MTU %u", port->rx_queues, port->rx_descriptors,
	       port->tx_queues, port->tx_descriptors, port->mtu_granted_bytes);
	if (port->promiscuous)
		append(&line, ", promiscuous");
	if (port->flow_control_off)
		append(&line, ", no flow control");
	if (port->rss_symmetric)
		append(&line, ", symmetric RSS");
	append_refused(&line, port);
}
