/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/appliance.h"

#include "control/apply.h"
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
	if (appliance->credit == NULL) {
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

static int
open_port(struct weir_appliance *appliance, uint32_t index, uint32_t pool_frames, char *error)
{
	struct weir_port_config config = appliance->config->ports[index];
	struct weir_port *port = &appliance->ports[index];
	char line[PORT_LINE_SIZE];
	int code;

	config.tx_queues = appliance->config->appliance.n_workers;
	code = weir_port_open(&config, pool_frames, port, error, WEIR_ERROR_SIZE);
	if (code < 0)
		return code;
	code = weir_port_start(port, error, WEIR_ERROR_SIZE);
	if (code < 0) {
		weir_port_close(port);
		return code;
	}
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

int
weir_appliance_open_ports(struct weir_appliance *appliance, char *error)
{
	const struct weir_config *config = appliance->config;
	uint32_t pool_frames[WEIR_PORTS_MAX];
	int code = weir_placement_pools(config, appliance->huge_pages, pool_frames,
	                                &appliance->room_frames, error, WEIR_ERROR_SIZE);

	if (code < 0)
		return code;
	weir_appliance_warn_memory(appliance);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		code = open_port(appliance, i, pool_frames[i], error);
		if (code < 0) {
			weir_appliance_close_ports(appliance);
			return code;
		}
		appliance->n_ports++;
	}
	return 0;
}

void
weir_appliance_close_ports(struct weir_appliance *appliance)
{
	while (appliance->n_ports > 0) {
		struct weir_port *port = &appliance->ports[--appliance->n_ports];

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
	free(workers);
	if (code == 0)
		weir_watch_links(appliance, true);
	return code;
}

void
weir_appliance_free_dataplane(struct weir_appliance *appliance)
{
	bool retired = weir_apply_retire(appliance, 0);

	assert(retired); /* no worker runs any more */
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
