/* SPDX-License-Identifier: BSD-3-Clause */
/* Testing a port's limits with padding, before anything that came in is sent by it. */
#include "control/hardware_state.h"
#include "control/watch.h"
#include "dataplane/padding.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>

static const char *const results[] = {
    [WEIR_TEST_NONE] = NULL,   [WEIR_TEST_RUNNING] = "running",
    [WEIR_TEST_HELD] = "held", [WEIR_TEST_UNMEASURED] = "unmeasured",
    [WEIR_TEST_FAST] = "fast",
};

const char *
weir_hardware_test_name(enum weir_hardware_test result)
{
	assert((size_t)result < sizeof(results) / sizeof(results[0]));
	return results[result];
}

static uint16_t
inside_of(const struct weir_appliance *appliance, const struct weir_hardware_port *hardware)
{
	uint32_t inside = appliance->config->links[hardware->link].inside;

	return appliance->ports[inside].port_id;
}

static uint32_t
count_limited(const struct weir_hardware_port *hardware)
{
	uint32_t n = 0;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		n += hardware->queues[q].programmed_bit_s > 0 ? 1 : 0;
	return n;
}

int
weir_hardware_test_begin(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	uint32_t inside = appliance->config->links[hardware->link].inside;
	struct weir_padding padding = {.pool = appliance->ports[inside].pool};
	struct rte_ether_addr source;
	int code;

	hardware->test = WEIR_TEST_NONE;
	if (port->config.limiter_test_ns == 0 || count_limited(hardware) == 0)
		return 0;
	hardware->test = WEIR_TEST_UNMEASURED;
	code = hardware->limiter.capabilities.completions
	           ? rte_eth_macaddr_get(port->port_id, &source)
	           : -ENOTSUP;
	if (code < 0) {
		snprintf(hardware->reason, sizeof(hardware->reason),
		         "its limits can't be tested: %s",
		         code == -ENOTSUP ? "it does not tell what has left" : strerror(-code));
		return -ENOTSUP;
	}
	memcpy(padding.source, source.addr_bytes, sizeof(padding.source));
	memcpy(padding.destination, port->config.limiter_test_destination,
	       sizeof(padding.destination));
	hardware->test = WEIR_TEST_RUNNING;
	hardware->test_end_ns = 0;
	weir_dataplane_set_test(appliance->dataplane, inside_of(appliance, hardware),
	                        hardware->link, &padding);
	return 0;
}

void
weir_hardware_test_end(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                       enum weir_hardware_test result)
{
	if (hardware->test != WEIR_TEST_RUNNING)
		return;
	hardware->test = result;
	weir_dataplane_set_test(appliance->dataplane, inside_of(appliance, hardware),
	                        hardware->link, NULL);
}

void
weir_hardware_test_missed(const struct weir_appliance *appliance,
                          const struct weir_hardware_port *hardware)
{
	const struct weir_port_config *port = &appliance->ports[hardware->index].config;

	if (port->limiter_test_ns > 0 && hardware->n_anew > 0)
		weir_events_post(appliance->events, WEIR_WARNING, "limits_untested",
		                 "port %s: limits of %" PRIu32
		                 " queues were put in force that are not tested before the port is "
		                 "next started",
		                 port->name, hardware->n_anew);
}

/*
 * Measures a queue by all of the test. Of one that looks faster than its limit, and has not sent
 * more than may go at once, nobody can say that it holds.
 */
static bool
holds(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint32_t index)
{
	struct weir_hardware_queue *queue = &hardware->queues[index];

	weir_hardware_measure(appliance, hardware, index);
	if (queue->verdict == WEIR_VERDICT_ABOVE)
		queue->verdict = WEIR_VERDICT_UNMEASURED;
	queue->tested = queue->verdict;
	return queue->tested != WEIR_VERDICT_UNMEASURED;
}

/* What could not be measured is as good as not there where limits are required. */
static void
tell_unmeasured(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                uint32_t queue, uint32_t n)
{
	const struct weir_port_config *port = &appliance->ports[hardware->index].config;
	char text[WEIR_HARDWARE_REASON_SIZE];

	snprintf(text, sizeof(text),
	         "a test could not tell of %" PRIu32 " of %" PRIu32
	         " queues whether their limits hold, such as queue %" PRIu32,
	         n, count_limited(hardware), queue);
	weir_events_post(appliance->events, port->limiter_required ? WEIR_ALARM : WEIR_WARNING,
	                 "limits_untested", "port %s: %s%s", port->name, text,
	                 port->limiter_required ? ": not used until weir is restarted" : "");
	if (!port->limiter_required) {
		weir_hardware_test_end(appliance, hardware, WEIR_TEST_UNMEASURED);
		return;
	}
	/* The test ends with the port: nothing may leave in between. */
	hardware->distrusted = true;
	memcpy(hardware->reason, text, sizeof(hardware->reason));
	weir_watch_restart(appliance, hardware->index, "must not be used");
}

bool
weir_hardware_test_look(struct weir_appliance *appliance, struct weir_hardware_port *hardware,
                        uint64_t now_ns)
{
	const struct weir_port_config *port = &appliance->ports[hardware->index].config;
	uint32_t unmeasured = 0, first = 0;

	if (hardware->test != WEIR_TEST_RUNNING)
		return true;
	if (hardware->test_end_ns == 0)
		hardware->test_end_ns = now_ns + port->limiter_test_ns;
	if (now_ns < hardware->test_end_ns)
		return true;
	for (uint32_t q = 1; q < hardware->n_queues; q++) {
		if (hardware->queues[q].programmed_bit_s == 0 || holds(appliance, hardware, q))
			continue;
		first = unmeasured++ == 0 ? q : first;
	}
	if (unmeasured > 0) {
		tell_unmeasured(appliance, hardware, first, unmeasured);
		return !port->limiter_required;
	}
	weir_hardware_test_end(appliance, hardware, WEIR_TEST_HELD);
	weir_events_post(appliance->events, WEIR_INFO, "limits_tested",
	                 "port %s: the limits of %" PRIu32 " queues held in a test", port->name,
	                 count_limited(hardware));
	return true;
}
