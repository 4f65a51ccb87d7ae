/* SPDX-License-Identifier: BSD-3-Clause */
/* A port's limits from its start to its end: what it can do, planning, programming. */
/* rte_tm counts as experimental, as it has since 2017. */
#define ALLOW_EXPERIMENTAL_API
#include "control/hardware_state.h"

#include "control/placement.h"
#include "dataplane/departures.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_ethdev.h>
#include <rte_tm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT_PER_MBIT 1000000U

static struct weir_hardware_port *
port_of(const struct weir_appliance *appliance, uint32_t index)
{
	return appliance->hardware == NULL ? NULL : appliance->hardware->ports[index];
}

/*
 * Whether a port may have limits, before they can be tried. Drivers that no row is about say so for
 * rte_tm alone; whether they take a queue's own limit shows only when one is set, which the policy
 * has to ask for.
 */
static bool
may_limit(const struct weir_port *port)
{
	const struct weir_limiter_driver *tm = weir_limiter_driver_find(port->driver, true);
	const struct weir_limiter_driver *queue = weir_limiter_driver_find(port->driver, false);
	struct rte_tm_error error;
	uint32_t leaves = 0;

	if (port->config.limiter != WEIR_LIMITER_AUTO)
		return true;
	if (queue->driver[0] != '\0' && queue->usable)
		return true;
	if (tm->driver[0] != '\0')
		return tm->usable;
	return rte_tm_get_number_of_leaf_nodes(port->port_id, &leaves, &error) == 0 && leaves > 1;
}

uint32_t
weir_hardware_queues(const struct weir_port *port, uint32_t n_senders)
{
	enum weir_limiter_kind kind = port->config.limiter;
	struct rte_eth_dev_info info;
	uint32_t most, each;

	assert(n_senders > 0 && n_senders <= WEIR_WORKERS_MAX);
	if (kind == WEIR_LIMITER_SOFT)
		return 1;
	most = weir_limiter_queues(port->driver, kind, (uint16_t)n_senders);
	if (most < 2 || !may_limit(port) || rte_eth_dev_info_get(port->port_id, &info) != 0)
		return 1;
	each = info.max_tx_queues / n_senders;
	each = each < most ? each : most;
	return each < 2 ? 1 : each;
}

const struct weir_limiter_driver *
weir_hardware_row(const struct weir_port *port)
{
	const struct weir_limiter_driver *tm = weir_limiter_driver_find(port->driver, true);
	const struct weir_limiter_driver *queue = weir_limiter_driver_find(port->driver, false);

	if (port->config.limiter == WEIR_LIMITER_QUEUE)
		return queue;
	if (port->config.limiter == WEIR_LIMITER_TM || queue->driver[0] == '\0')
		return tm;
	return tm->driver[0] == '\0' || !tm->usable ? queue : tm;
}

/* The most workers whose queues a port's driver limits. */
static uint16_t
senders_most(const struct weir_port *port, uint16_t n_senders)
{
	uint16_t most = n_senders;

	while (most > 1 && weir_limiter_queues(port->driver, port->config.limiter, most) < 2)
		most--;
	return most;
}

/* Why a port got no queues to limit. */
static void
explain_soft(const struct weir_port *port, struct weir_hardware_port *hardware)
{
	enum weir_limiter_kind kind = port->config.limiter;
	uint16_t n_senders = (uint16_t)hardware->n_senders;
	uint16_t most = senders_most(port, n_senders);
	const struct weir_limiter_driver *driver = weir_hardware_row(port);
	char *reason = hardware->reason;
	size_t size = sizeof(hardware->reason);

	if (kind == WEIR_LIMITER_SOFT)
		snprintf(reason, size, "the policy says so");
	else if (driver->driver[0] != '\0' && !driver->usable)
		snprintf(reason, size, "driver %s: %s", port->driver, driver->help);
	else if (!may_limit(port))
		snprintf(reason, size, "driver %s is not known to limit queues", port->driver);
	else if (weir_limiter_queues(port->driver, kind, n_senders) < 2)
		snprintf(reason, size,
		         "driver %s limits queues of %u worker%s, and %u send on the port: "
		         "rx_queues: %u at its link's inside port",
		         port->driver, most, most == 1 ? "" : "s", n_senders, most);
	else
		snprintf(reason, size,
		         "its device has too few send queues, or memory too few buffers");
}

static int
refuse(const struct weir_port *port, const struct weir_hardware_port *hardware, char *error)
{
	snprintf(error, WEIR_ERROR_SIZE, "port %s: limiter_required: %s", port->config.name,
	         hardware->reason);
	return -ENOTSUP;
}

static int
add_port(struct weir_appliance *appliance, uint32_t link, const struct weir_worker_config *workers,
         char *error)
{
	uint32_t index = appliance->config->links[link].outside;
	const struct weir_port *port = &appliance->ports[index];
	struct weir_hardware_port *hardware = calloc(1, sizeof(*hardware));

	if (hardware == NULL) {
		snprintf(error, WEIR_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	appliance->hardware->ports[index] = hardware;
	hardware->index = index;
	hardware->link = link;
	hardware->n_queues = port->tx_each > 1 ? port->tx_each : 1;
	for (uint32_t w = 0; w < appliance->config->appliance.n_workers; w++)
		if (weir_placement_sends(&workers[w], link))
			hardware->senders[hardware->n_senders++] = w;
	weir_hardware_begin_sent(appliance, hardware);
	if (hardware->n_queues > 1)
		return 0;
	explain_soft(port, hardware);
	return port->config.limiter_required ? refuse(port, hardware, error) : 0;
}

int
weir_hardware_new(struct weir_appliance *appliance, const struct weir_worker_config *workers,
                  char *error)
{
	int code = 0;

	appliance->hardware = calloc(1, sizeof(*appliance->hardware));
	if (appliance->hardware == NULL) {
		snprintf(error, WEIR_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	for (uint32_t link = 0; link < appliance->config->n_links && code == 0; link++)
		code = add_port(appliance, link, workers, error);
	if (code < 0)
		weir_hardware_free(appliance);
	return code;
}

void
weir_hardware_free(struct weir_appliance *appliance)
{
	if (appliance->hardware == NULL)
		return;
	for (uint32_t i = 0; i < WEIR_PORTS_MAX; i++) {
		struct weir_hardware_port *hardware = appliance->hardware->ports[i];

		if (hardware == NULL)
			continue;
		if (hardware->meter.rate_bit_s != 0)
			weir_limiter_meter_clear(&hardware->meter);
		if (hardware->open)
			weir_limiter_close(&hardware->limiter);
		weir_hardware_plan_free(&hardware->plan);
		weir_hardware_plan_free(&hardware->next);
		free(hardware);
	}
	free(appliance->hardware);
	appliance->hardware = NULL;
}

void
weir_hardware_forget(struct weir_appliance *appliance, uint32_t port)
{
	struct weir_hardware_port *hardware = port_of(appliance, port);

	if (hardware == NULL)
		return;
	weir_hardware_cancel(appliance, hardware);
	weir_hardware_test_end(appliance, hardware,
	                       hardware->fast ? WEIR_TEST_FAST : WEIR_TEST_UNMEASURED);
	hardware->comparing = false;
	if (hardware->meter.rate_bit_s != 0)
		weir_limiter_meter_clear(&hardware->meter);
	hardware->meter = (struct weir_limiter_meter){0};
	if (hardware->open)
		weir_limiter_close(&hardware->limiter);
	hardware->open = false;
	for (uint32_t q = 0; q < hardware->n_queues; q++)
		hardware->queues[q] =
		    (struct weir_hardware_queue){.asked_bit_s = hardware->queues[q].asked_bit_s,
		                                 .stuck = hardware->queues[q].stuck};
}

/* 0: there is a limiter in hardware; otherwise reason says why not. */
static int
open_limiter(const struct weir_port *port, struct weir_hardware_port *hardware)
{
	int code;

	if (hardware->distrusted || hardware->n_queues < 2)
		return -ENOTSUP;
	hardware->reason[0] = '\0';
	code = weir_limiter_open(port, port->config.limiter, (uint16_t)hardware->n_queues,
	                         (uint16_t)hardware->n_senders, hardware->link_bit_s,
	                         &hardware->limiter, hardware->reason, sizeof(hardware->reason));
	if (code == 0 && hardware->limiter.ops->kind == WEIR_LIMITER_SOFT) {
		weir_limiter_close(&hardware->limiter);
		return -ENOTSUP;
	}
	if (code < 0 && hardware->reason[0] == '\0')
		snprintf(hardware->reason, sizeof(hardware->reason), "%s", strerror(-code));
	hardware->open = code == 0;
	hardware->unplanned = false;
	return code;
}

/* What of a plan could not be programmed. */
static uint32_t
count_broken(const struct weir_hardware_port *hardware)
{
	uint32_t n = 0;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		n += hardware->queues[q].broken ? 1 : 0;
	return n;
}

/* What a policy before it has left in the NIC is taken away. Returns -ENOSPC, or what failed. */
static int
put_none(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	struct weir_hardware_plan plan;
	int code = weir_hardware_plan_software(appliance, hardware, &plan);

	if (code < 0)
		return code;
	code = weir_hardware_put(appliance, hardware, &plan);
	if (code < 0)
		weir_hardware_plan_free(&plan);
	else
		weir_hardware_adopt(appliance, hardware, &plan);
	return code < 0 ? code : -ENOSPC;
}

static int
plan_and_put(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	bool required = appliance->ports[hardware->index].config.limiter_required;
	struct weir_hardware_plan plan;
	int code = weir_hardware_plan(appliance->config, hardware->link, &hardware->limiter,
	                              hardware->n_senders,
	                              hardware->plan.classes == NULL ? NULL : &hardware->plan,
	                              &plan, hardware->reason, sizeof(hardware->reason));

	if (code == -ENOSPC && !required)
		return put_none(appliance, hardware);
	if (code < 0)
		return code;
	if (required &&
	    !weir_hardware_plan_limits_all(&plan, hardware->reason, sizeof(hardware->reason)))
		code = -ENOTSUP;
	if (code == 0)
		code = weir_hardware_put(appliance, hardware, &plan);
	if (code == 0 && required && count_broken(hardware) > 0) {
		snprintf(hardware->reason, sizeof(hardware->reason),
		         "%" PRIu32 " queues could not be limited", count_broken(hardware));
		code = -EIO;
	}
	if (code < 0)
		weir_hardware_plan_free(&plan);
	else
		weir_hardware_adopt(appliance, hardware, &plan);
	return code;
}

/* Tells once why a port that may have limits has none. */
static void
tell_soft(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	const struct weir_port_config *config = &appliance->ports[hardware->index].config;
	bool asked = config->limiter == WEIR_LIMITER_TM || config->limiter == WEIR_LIMITER_QUEUE;

	if (hardware->told_soft || hardware->distrusted || (!asked && hardware->n_queues < 2))
		return;
	hardware->told_soft = true;
	weir_events_post(appliance->events, WEIR_WARNING, "limiter_soft",
	                 "port %s: no limits in hardware: %s", config->name, hardware->reason);
}

/* Tells once of limits of which nobody will notice that they do not hold. */
static void
tell_unmeasured(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	if (hardware->told_unmeasured || hardware->limiter.capabilities.completions)
		return;
	hardware->told_unmeasured = true;
	weir_events_post(appliance->events, WEIR_WARNING, "limits_unmeasured",
	                 "port %s: its driver does not tell what has left: whether its queues keep "
	                 "to their limits is not measured",
	                 appliance->ports[hardware->index].config.name);
}

static void
tell_limits(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	uint32_t n = 0;

	for (uint32_t q = 1; q < hardware->n_queues; q++)
		n += hardware->queues[q].programmed_bit_s > 0 ? 1 : 0;
	hardware->told_soft = false;
	if (count_broken(hardware) > 0)
		weir_events_post(appliance->events, WEIR_WARNING, "limits_refused",
		                 "port %s: its driver refused the limits of %" PRIu32
		                 " queues: their classes are limited in software alone",
		                 appliance->ports[hardware->index].config.name,
		                 count_broken(hardware));
	weir_events_post(appliance->events, WEIR_INFO, "limits_set",
	                 "port %s: limits of %" PRIu32 " queues are in force in hardware (%s)",
	                 appliance->ports[hardware->index].config.name, n,
	                 weir_limiter_kind_name(hardware->limiter.ops->kind));
	tell_unmeasured(appliance, hardware);
}

/* Programs what can be. 0: limits are in force; -EAGAIN; or another -errno: there are none. */
static int
set_limits(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	int code = open_limiter(&appliance->ports[hardware->index], hardware);

	if (code < 0)
		return code;
	code = plan_and_put(appliance, hardware);
	if (code == 0) {
		tell_limits(appliance, hardware);
	} else if (code != -ENOSPC) {
		if (code == -EAGAIN)
			weir_hardware_clear_port(hardware);
		/* With too many dedicated classes the limiter stays, for the next policy. */
		weir_limiter_close(&hardware->limiter);
		hardware->open = false;
	}
	return code;
}

/* Begins the test. 0; -ENOTSUP: there is none, and limits are required; otherwise it is told. */
static int
begin_test(struct weir_appliance *appliance, struct weir_hardware_port *hardware, char *error)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	int code = weir_hardware_test_begin(appliance, hardware);

	if (code == 0)
		return 0;
	if (port->config.limiter_required) {
		weir_hardware_go_soft(appliance, hardware);
		return refuse(port, hardware, error);
	}
	weir_events_post(appliance->events, WEIR_WARNING, "limits_untested", "port %s: %s",
	                 port->config.name, hardware->reason);
	hardware->reason[0] = '\0';
	return 0;
}

int
weir_hardware_program(struct weir_appliance *appliance, uint32_t index, char *error)
{
	struct weir_hardware_port *hardware = port_of(appliance, index);
	const struct weir_port *port = &appliance->ports[index];
	int code;

	if (hardware == NULL)
		return 0;
	weir_hardware_forget(appliance, index);
	hardware->link_bit_s = (uint64_t)appliance->port_speed_mbit_s[index] * BIT_PER_MBIT;
	code = set_limits(appliance, hardware);
	if (code == 0 && begin_test(appliance, hardware, error) < 0)
		return -ENOTSUP;
	if (code < 0) {
		weir_hardware_go_soft(appliance, hardware);
		if (port->config.limiter_required)
			return refuse(port, hardware, error);
		if (code == -EAGAIN) {
			hardware->distrusted = true;
			snprintf(error, WEIR_ERROR_SIZE, "port %s: %s", port->config.name,
			         hardware->reason);
			return code;
		}
		tell_soft(appliance, hardware);
	}
	weir_hardware_set_meter(appliance, hardware);
	weir_hardware_take_base(appliance, hardware);
	return 0;
}

/* Whether a config's port is the one that is in use, and requires limits there as well. */
static bool
requires_limits(const struct weir_config *config, const struct weir_hardware_port *hardware,
                const char *name)
{
	return hardware->link < config->n_links &&
	       config->links[hardware->link].outside == hardware->index &&
	       config->ports[hardware->index].limiter_required &&
	       strcmp(config->ports[hardware->index].name, name) == 0;
}

int
weir_hardware_admit(const struct weir_appliance *appliance, const struct weir_config *config,
                    char *error)
{
	char reason[WEIR_HARDWARE_REASON_SIZE];
	struct weir_hardware_plan plan;
	int code = 0;

	for (uint32_t i = 0; i < appliance->n_ports && code == 0; i++) {
		const struct weir_hardware_port *hardware = port_of(appliance, i);
		const char *name = appliance->ports[i].config.name;

		/* What is not in use is refused when it is programmed: its link has no speed yet.
		 */
		if (hardware == NULL || !hardware->open || hardware->distrusted ||
		    appliance->port_watch[i].state != WEIR_PORT_UP ||
		    !requires_limits(config, hardware, name))
			continue;
		code = weir_hardware_plan(config, hardware->link, &hardware->limiter,
		                          hardware->n_senders, &hardware->plan, &plan, reason,
		                          sizeof(reason));
		if (code == 0 && !weir_hardware_plan_limits_all(&plan, reason, sizeof(reason)))
			code = -ENOTSUP;
		if (code < 0)
			snprintf(error, WEIR_ERROR_SIZE, "port %s: limiter_required: %s", name,
			         reason);
		weir_hardware_plan_free(&plan);
		code = code == -ENOSPC ? -ENOTSUP : code;
	}
	return code;
}

struct weir_departures *
weir_hardware_departures(const struct weir_appliance *appliance,
                         const struct weir_hardware_port *hardware, uint32_t sender, uint32_t queue)
{
	if (hardware->n_queues < 2)
		return NULL;
	return weir_dataplane_departures(appliance->dataplane, hardware->senders[sender],
	                                 hardware->link, queue);
}

uint64_t
weir_hardware_waiting(const struct weir_appliance *appliance,
                      const struct weir_hardware_port *hardware, uint32_t queue)
{
	uint64_t waiting = 0;

	for (uint32_t s = 0; s < hardware->n_senders; s++) {
		const struct weir_departures *departures =
		    weir_hardware_departures(appliance, hardware, s, queue);

		if (departures != NULL)
			waiting += atomic_load(&departures->waiting_frames);
	}
	return waiting;
}
