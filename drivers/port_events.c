/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/port_events.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <unistd.h>

#define WAIT_US 1000000U
#define STEP_US 20000U

/* The count comes first: who sets what changed clears looks at it afterwards. */
static void
count_change(struct weir_port *port)
{
	weir_port_changed_fn *changed;

	atomic_fetch_add(&port->downs, 1);
	atomic_fetch_add(&port->telling, 1);
	changed = atomic_load(&port->changed);
	if (changed != NULL)
		changed(port->changed_arg, port->port_id);
	atomic_fetch_sub(&port->telling, 1);
}

/*
 * On DPDK's interrupt thread. A link that blinked is often up again by now. But a driver may also
 * tell seconds late that a link has come up (ixgbe: 4).
 */
static int
on_link_event(uint16_t port_id, enum rte_eth_event_type event, void *arg, void *details)
{
	struct weir_port *port = arg;
	struct rte_eth_link link;

	(void)event;
	(void)details;
	if (atomic_load(&port->settled) || rte_eth_link_get_nowait(port_id, &link) != 0 ||
	    link.link_status == RTE_ETH_LINK_DOWN)
		count_change(port);
	return 0;
}

void
weir_port_on_change(struct weir_port *port, weir_port_changed_fn *changed, void *arg)
{
	if (changed != NULL)
		port->changed_arg = arg;
	atomic_store(&port->changed, changed);
	/* Each takes a few instructions. */
	while (changed == NULL && atomic_load(&port->telling) != 0)
		rte_pause();
}

void
weir_port_settle(struct weir_port *port, bool settled)
{
	atomic_store(&port->settled, settled);
}

void
weir_port_listen(struct weir_port *port)
{
	port->link_events = rte_eth_dev_callback_register(port->port_id, RTE_ETH_EVENT_INTR_LSC,
	                                                  on_link_event, port) == 0;
}

/* An event that is under way holds its callback, for a moment. */
void
weir_port_unlisten(struct weir_port *port)
{
	int result = port->link_events ? -EAGAIN : 0;

	for (uint32_t us = 0; us < WAIT_US && result == -EAGAIN; us += STEP_US) {
		result = rte_eth_dev_callback_unregister(port->port_id, RTE_ETH_EVENT_INTR_LSC,
		                                         on_link_event, port);
		if (result == -EAGAIN)
			usleep(STEP_US);
	}
	assert(result != -EAGAIN);
	port->link_events = false;
}
