/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/appliance.h"

#include "control/apply.h"
#include "control/hardware.h"
#include "control/ledger_start.h"
#include "control/placement.h"
#include "control/watch.h"
#include "drivers/eal.h"
#include "drivers/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames of each worker that may wait whatever the memory: there are more in its hands. */
#define WAITING_MIN      64U

#define CALIBRATION_NS   (200 * WEIR_NS_PER_MS)
#define PORT_LINE_SIZE   512U
#define BYTES_PER_MIB    (UINT64_C(1) << 20)
#define DIGEST_RAW_BYTES 32U

static_assert(WEIR_DIGEST_SIZE == 2 * DIGEST_RAW_BYTES + 1, "a digest in hexadecimal");

struct weir_appliance *
weir_appliance_new(struct weir_config *config, struct weir_events *events)
{
	struct weir_appliance *appliance = calloc(1, sizeof(*appliance));

	if (appliance == NULL)
		return NULL;
	appliance->credit = weir_memory_alloc(sizeof(*appliance->credit), WEIR_NODE_ANY);
	appliance->starvation = calloc(WEIR_CLASSES_MAX, sizeof(*appliance->starvation));
	if (appliance->credit == NULL || appliance->starvation == NULL) {
		weir_memory_free(appliance->credit, sizeof(*appliance->credit));
		free(appliance->starvation);
		free(appliance);
		return NULL;
	}
	appliance->config = config;
	appliance->events = events;
	appliance->started_ns = weir_clock_boot_ns();
	return appliance;
}

void
weir_appliance_free(struct weir_appliance *appliance)
{
	if (appliance == NULL)
		return;
	assert(appliance->dataplane == NULL && appliance->ledger_thread == NULL);
	assert(appliance->ledger == NULL && appliance->n_ports == 0);
	weir_memory_free(appliance->credit, sizeof(*appliance->credit));
	weir_config_free(appliance->config);
	free(appliance->starvation);
	free(appliance);
}

int
weir_appliance_open_ledger(struct weir_appliance *appliance, char *error)
{
	enum weir_ledger_refusal refusal =
	    weir_ledger_start(&appliance->config->appliance, appliance->credit, &appliance->ledger,
	                      error, WEIR_ERROR_SIZE);

	if (refusal == WEIR_REFUSAL_NONE) {
		/* Before the first write: the first grants must allow for a slow disk, too. */
		weir_ledger_set_clock(appliance->ledger, weir_clock_raw_ns);
		return 0;
	}
	appliance->ledger = NULL;
	return refusal == WEIR_REFUSAL_MEMORY ? -ENOMEM : -EBADMSG;
}

void
weir_appliance_close_ledger(struct weir_appliance *appliance)
{
	if (appliance->ledger == NULL)
		return;
	/* Nothing has run: a start that failed must not cost what it was granted. */
	if (weir_ledger_finish(appliance->ledger, weir_clock_boot_ns()) < 0)
		fputs("weir: ledger: could not be closed exactly\n", stderr);
	weir_ledger_close(appliance->ledger);
	appliance->ledger = NULL;
}

static enum weir_eal_pages
pages_of(enum weir_huge_pages pages)
{
	switch (pages) {
	case WEIR_HUGE_AUTO:
		return WEIR_EAL_PAGES_AUTO;
	case WEIR_HUGE_REQUIRED:
		return WEIR_EAL_PAGES_HUGE;
	case WEIR_HUGE_OFF:
		return WEIR_EAL_PAGES_NORMAL;
	}
	assert(false);
	return WEIR_EAL_PAGES_AUTO;
}

int
weir_appliance_start_eal(struct weir_appliance *appliance, char *error)
{
	const struct weir_config *config = appliance->config;
	const struct weir_eal_config eal = {
	    .workers = config->appliance.workers,
	    .n_workers = config->appliance.n_workers,
	    .control_lcore = config->appliance.control_lcore,
	    .memory_bytes = config->appliance.memory_bytes,
	    .pages = pages_of(config->appliance.huge_pages),
	    .ports = config->ports,
	    .n_ports = config->n_ports,
	};
	int code = weir_eal_start(&eal, &appliance->huge_pages, error, WEIR_ERROR_SIZE);

	if (code < 0)
		return code;
	fprintf(stderr, "weir: memory: %" PRIu64 " MiB on %s pages\n",
	        (config->appliance.memory_bytes + BYTES_PER_MIB - 1) / BYTES_PER_MIB,
	        appliance->huge_pages ? "huge" : "normal");
	code = weir_clock_calibrate(CALIBRATION_NS, &appliance->clock);
	if (code < 0) {
		snprintf(error, WEIR_ERROR_SIZE,
		         "clock: this CPU's time-stamp counter can't be trusted: %s",
		         strerror(-code));
		weir_eal_finish();
	}
	return code;
}

void
weir_appliance_finish_eal(struct weir_appliance *appliance)
{
	(void)appliance;
	weir_eal_finish();
}

/* What the policy says of a port, for so many send queues of each worker that sends on it. */
static void
set_tx_queues(struct weir_appliance *appliance, uint32_t index, uint32_t n_senders, uint32_t each)
{
	struct weir_port_config *config = &appliance->ports[index].config;
	uint32_t descriptors = appliance->config->ports[index].tx_descriptors;

	appliance->ports[index].tx_each = (uint16_t)each;
	config->tx_queues = each > 1 ? n_senders * each : appliance->config->appliance.n_workers;
	/* What waits longer than a short ring can hold waits in its class's own queue. */
	config->tx_descriptors =
	    each > 1 && descriptors == 0 ? WEIR_PLACEMENT_DESCRIPTORS : descriptors;
}

static int
open_port(struct weir_appliance *appliance, uint32_t index, uint32_t pool_frames, char *error)
{
	struct weir_port_config config = appliance->config->ports[index];

	config.tx_queues = appliance->config->appliance.n_workers;
	return weir_port_open(&config, pool_frames, &appliance->ports[index], error,
	                      WEIR_ERROR_SIZE);
}

static int
start_port(struct weir_appliance *appliance, uint32_t index, uint32_t n_senders, char *error)
{
	struct weir_port *port = &appliance->ports[index];
	char line[PORT_LINE_SIZE];
	int code = weir_port_start(port, error, WEIR_ERROR_SIZE);

	/* What a device says of its queues does not always hold together with the rest. */
	while (code < 0 && port->tx_each > 1) {
		set_tx_queues(appliance, index, n_senders, port->tx_each / 2U);
		code = weir_port_start(port, error, WEIR_ERROR_SIZE);
	}
	if (code < 0)
		return code;
	weir_port_describe(port, line, sizeof(line));
	fprintf(stderr, "weir: %s\n", line);
	return 0;
}

void
weir_appliance_warn_memory(struct weir_appliance *appliance)
{
	uint64_t waiting = weir_placement_waiting(appliance->config);

	if (waiting > appliance->room_frames / 2)
		weir_events_post(appliance->events, WEIR_WARNING, "memory_short",
		                 "by the backlogs %" PRIu64 " of the shortest frames may wait, and "
		                 "there are buffers for %" PRIu64
		                 ": queues are kept shorter (more appliance.memory, or shorter "
		                 "backlogs)",
		                 waiting, appliance->room_frames / 2);
}

/* One queue for each sender less on the port that has most. False where none has two. */
static bool
take_a_queue(uint16_t *tx_each, uint32_t n_ports)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < n_ports; i++)
		most = tx_each[i] > tx_each[most] ? i : most;
	if (tx_each[most] < 2)
		return false;
	tx_each[most]--;
	return true;
}

/* Sizes all pools for the ports' send queues: fewer of them where memory would not do. */
static int
size_pools(struct weir_appliance *appliance, uint16_t *tx_each, uint32_t *pool_frames, char *error)
{
	const struct weir_config *config = appliance->config;
	int code;

	do
		code = weir_placement_pools(config, tx_each, appliance->huge_pages, pool_frames,
		                            &appliance->room_frames, error, WEIR_ERROR_SIZE);
	while (code == -ENOMEM && take_a_queue(tx_each, config->n_ports));
	return code;
}

/*
 * Opens all ports, the outside ones first: how many send queues they can have decides how many
 * buffers the inside ones need.
 */
static int
open_devices(struct weir_appliance *appliance, uint16_t *tx_each, char *error)
{
	const struct weir_config *config = appliance->config;
	uint32_t pool_frames[WEIR_PORTS_MAX];
	int code = size_pools(appliance, tx_each, pool_frames, error);

	for (uint32_t i = 0; i < config->n_links && code == 0; i++) {
		uint32_t in = config->links[i].inside, out = config->links[i].outside;

		code = open_port(appliance, out, pool_frames[out], error);
		if (code == 0)
			tx_each[out] = (uint16_t)weir_hardware_queues(
			    &appliance->ports[out],
			    weir_placement_senders(config, config->ports[in].rx_queues));
	}
	if (code == 0)
		code = size_pools(appliance, tx_each, pool_frames, error);
	for (uint32_t i = 0; i < config->n_links && code == 0; i++) {
		uint32_t in = config->links[i].inside;

		code = open_port(appliance, in, pool_frames[in], error);
	}
	return code;
}

/* Starts all ports, the inside ones first: their receive queues decide who sends outside. */
static int
start_devices(struct weir_appliance *appliance, const uint16_t *tx_each, char *error)
{
	const struct weir_config *config = appliance->config;
	int code = 0;

	for (uint32_t i = 0; i < config->n_links && code == 0; i++)
		code = start_port(appliance, config->links[i].inside, 0, error);
	for (uint32_t i = 0; i < config->n_links && code == 0; i++) {
		uint32_t out = config->links[i].outside;
		uint32_t n_senders = weir_placement_senders(
		    config, appliance->ports[config->links[i].inside].rx_queues);

		set_tx_queues(appliance, out, n_senders, tx_each[out]);
		code = start_port(appliance, out, n_senders, error);
	}
	return code;
}

int
weir_appliance_open_ports(struct weir_appliance *appliance, char *error)
{
	uint16_t tx_each[WEIR_PORTS_MAX] = {0};
	int code = open_devices(appliance, tx_each, error);

	if (code == 0) {
		weir_appliance_warn_memory(appliance);
		code = start_devices(appliance, tx_each, error);
	}
	if (code < 0)
		weir_appliance_close_ports(appliance);
	else
		appliance->n_ports = appliance->config->n_ports;
	return code;
}

void
weir_appliance_close_ports(struct weir_appliance *appliance)
{
	appliance->n_ports = 0;
	for (uint32_t i = appliance->config->n_ports; i-- > 0;) {
		struct weir_port *port = &appliance->ports[i];

		if (port->pool == NULL)
			continue; /* was not opened */
		weir_port_stop(port);
		weir_port_close(port);
	}
}

int
weir_appliance_make_dataplane(struct weir_appliance *appliance, char *error)
{
	const struct weir_config *config = appliance->config;
	struct weir_worker_config *workers = calloc(WEIR_WORKERS_MAX, sizeof(*workers));
	struct weir_dataplane_config dataplane = {
	    .tsc_hz = appliance->clock.tsc_hz,
	    .drain_tsc =
	        weir_clock_tsc_from_ns(&appliance->clock, config->appliance.drain_limit_ns),
	    .n_links = config->n_links,
	    .n_workers = config->appliance.n_workers,
	    .workers = workers,
	};
	int code;

	if (workers == NULL) {
		snprintf(error, WEIR_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	code = weir_placement_workers(config, appliance->ports, workers, error, WEIR_ERROR_SIZE);
	for (uint32_t w = 0; w < dataplane.n_workers; w++)
		workers[w].waiting_max = WAITING_MIN + appliance->room_frames / dataplane.n_workers;
	if (code == 0)
		code = weir_apply_first(appliance, &dataplane, error);
	if (code == 0) {
		code = weir_hardware_new(appliance, workers, error);
		if (code == 0)
			code = weir_watch_first_links(appliance, error);
		if (code < 0)
			weir_appliance_free_dataplane(appliance);
	}
	free(workers);
	return code;
}

void
weir_appliance_free_dataplane(struct weir_appliance *appliance)
{
	bool retired = weir_apply_retire(appliance, 0);

	assert(retired); /* no worker runs any more */
	weir_watch_end(appliance);
	weir_hardware_free(appliance);
	weir_dataplane_free(appliance->dataplane);
	weir_slots_free(appliance->slots);
	free(appliance->class_slots);
	free(appliance->budget_ids);
	appliance->dataplane = NULL;
	appliance->slots = NULL;
	appliance->class_slots = NULL;
	appliance->budget_ids = NULL;
}

int
weir_appliance_run(struct weir_appliance *appliance, char *error)
{
	unsigned int cpu = appliance->config->appliance.control_lcore;
	int code = weir_ledger_thread_start(appliance->ledger, cpu, appliance->events,
	                                    &appliance->ledger_thread);

	if (code < 0) {
		appliance->ledger_thread = NULL;
		snprintf(error, WEIR_ERROR_SIZE, "ledger thread: %s", strerror(-code));
		return code;
	}
	appliance->ledger = NULL; /* the thread's by now */
	weir_appliance_pulse(appliance);
	code = weir_dataplane_start(appliance->dataplane);
	if (code < 0) {
		snprintf(error, WEIR_ERROR_SIZE, "workers: %s", strerror(-code));
		weir_dataplane_stop(appliance->dataplane, NULL, NULL);
		if (weir_ledger_thread_stop(appliance->ledger_thread) < 0)
			fputs("weir: ledger: could not be closed exactly\n", stderr);
		appliance->ledger_thread = NULL;
	}
	return code;
}

void
weir_appliance_pulse(const struct weir_appliance *appliance)
{
	weir_dataplane_pulse(appliance->dataplane, rte_rdtsc());
}

static void
print_totals(const struct weir_appliance *appliance)
{
	const struct weir_config *config = appliance->config;

	for (uint32_t i = 0; i < config->n_budgets; i++) {
		struct weir_ledger_budget_status status;

		weir_ledger_thread_get_budget(appliance->ledger_thread, appliance->budget_ids[i],
		                              &status);
		fprintf(stderr, "weir: budget %s: charged %" PRIu64 " B in all\n",
		        config->budgets[i].name, status.charged_bytes);
	}
}

int
weir_appliance_halt(struct weir_appliance *appliance, void (*meanwhile)(void *), void *arg)
{
	int code;

	appliance->stopping = true;
	weir_dataplane_stop(appliance->dataplane, meanwhile, arg);
	code = weir_ledger_thread_finish(appliance->ledger_thread);
	print_totals(appliance);
	if (weir_ledger_thread_stop(appliance->ledger_thread) < 0)
		code = code < 0 ? code : -EIO;
	appliance->ledger_thread = NULL;
	return code;
}

void
weir_appliance_digest(const char *text, char digest[WEIR_DIGEST_SIZE])
{
	unsigned char raw[DIGEST_RAW_BYTES];
	int code = crypto_generichash(raw, sizeof(raw), (const unsigned char *)text, strlen(text),
	                              NULL, 0);

	assert(code == 0);
	sodium_bin2hex(digest, WEIR_DIGEST_SIZE, raw, sizeof(raw));
}
