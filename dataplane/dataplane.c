/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's side of the workers: set-up, policies, counters, the end. */
#include "dataplane/worker_state.h"

#include "drivers/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#define BUCKETS_BYTES (WEIR_CLASSES_MAX * sizeof(struct weir_bucket))
/* Delay before another look where there is no telling when a class can go on. */
#define WAIT_NS (20 * WEIR_NS_PER_US)

static void
free_worker(struct weir_worker *worker, struct weir_credit *credit, uint32_t index)
{
	if (worker != NULL) {
		weir_pacer_fini(&worker->pacer);
		weir_memory_free(worker->departing, worker->n_lanes * sizeof(*worker->departing));
		weir_memory_free(worker->queues, worker->n_lanes * sizeof(*worker->queues));
		weir_memory_free(worker->counters, sizeof(*worker->counters));
	}
	weir_memory_free(worker, sizeof(*worker));
	weir_memory_free(credit->workers[index], sizeof(*credit->workers[index]));
	credit->workers[index] = NULL;
}

static int
make_worker(struct weir_dataplane *dataplane, const struct weir_worker_config *config,
            uint32_t index, struct weir_credit_worker **purses)
{
	struct weir_worker *worker = weir_memory_alloc(sizeof(*worker), config->node);

	*purses = weir_memory_alloc(sizeof(**purses), config->node);
	dataplane->workers[index] = worker;
	if (worker == NULL || *purses == NULL)
		return -ENOMEM;
	worker->counters = weir_memory_alloc(sizeof(*worker->counters), config->node);
	worker->n_lanes = WEIR_LANES_OF(dataplane->n_links);
	worker->queues = weir_memory_alloc(worker->n_lanes * sizeof(*worker->queues), config->node);
	worker->departing =
	    weir_memory_alloc(worker->n_lanes * sizeof(*worker->departing), config->node);
	if (worker->counters == NULL || worker->queues == NULL || worker->departing == NULL ||
	    weir_pacer_init(&worker->pacer, worker->n_lanes, dataplane->tsc_hz, config->node) != 0)
		return -ENOMEM;
	worker->dataplane = dataplane;
	worker->credit = dataplane->credit;
	worker->index = index;
	worker->config = *config;
	worker->shared = dataplane->n_workers > 1;
	worker->wait_tsc = dataplane->tsc_hz / (WEIR_NS_PER_S / WAIT_NS);
	for (uint32_t port = 0; port < WEIR_PORTS_MAX; port++)
		worker->outs[port].link = WEIR_NO_LINK;
	for (uint32_t i = 0; i < config->n_rx; i++) {
		const struct weir_rx *rx = &config->rx[i];

		assert(rx->port_id < WEIR_PORTS_MAX && rx->out_port_id < WEIR_PORTS_MAX);
		assert(rx->link < dataplane->n_links);
		worker->outs[rx->out_port_id].port_id = rx->out_port_id;
		worker->outs[rx->out_port_id].link = rx->link;
		if (rx->direction == WEIR_EGRESS)
			worker->out_of_link[rx->link] = rx->out_port_id;
	}
	return 0;
}

static int
make_rcu(struct weir_dataplane *dataplane)
{
	size_t bytes = rte_rcu_qsbr_get_memsize(dataplane->n_workers);

	dataplane->rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, 64));
	if (dataplane->rcu == NULL || rte_rcu_qsbr_init(dataplane->rcu, dataplane->n_workers) != 0)
		return -ENOMEM;
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		if (rte_rcu_qsbr_thread_register(dataplane->rcu, w) != 0)
			return -EINVAL;
	return 0;
}

int
weir_dataplane_new(const struct weir_dataplane_config *config, struct weir_credit *credit,
                   struct weir_snapshot *first, struct weir_dataplane **dataplane, char *error,
                   size_t error_size)
{
	struct weir_credit_worker *purses[WEIR_WORKERS_MAX] = {NULL};
	struct weir_dataplane *made = weir_memory_alloc(sizeof(*made), WEIR_NODE_ANY);
	int rc = made == NULL ? -ENOMEM : 0;

	assert(config->n_workers > 0 && config->n_workers <= WEIR_WORKERS_MAX);
	assert(config->n_links <= WEIR_LINKS_MAX && first->generation > 0);
	if (rc == 0) {
		made->tsc_hz = config->tsc_hz;
		made->drain_tsc = config->drain_tsc;
		made->n_links = config->n_links;
		made->n_workers = config->n_workers;
		made->credit = credit;
		made->buckets = weir_memory_alloc(BUCKETS_BYTES, config->workers[0].node);
		rc = made->buckets == NULL ? -ENOMEM : make_rcu(made);
	}
	for (uint32_t w = 0; rc == 0 && w < config->n_workers; w++) {
		rc = make_worker(made, &config->workers[w], w, &purses[w]);
		credit->workers[w] = purses[w];
	}
	if (rc != 0) {
		snprintf(error, error_size, "workers: no memory for their state: %s",
		         strerror(-rc));
		weir_dataplane_free(made);
		return rc;
	}
	weir_credit_init(credit, purses, config->n_workers);
	for (uint32_t port = 0; port < WEIR_PORTS_MAX; port++)
		atomic_store(&made->link_up[port], 1);
	atomic_store(&made->current, first);
	*dataplane = made;
	return 0;
}

int
weir_dataplane_start(struct weir_dataplane *dataplane)
{
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		struct weir_worker *worker = dataplane->workers[w];
		int rc = rte_eal_remote_launch(weir_worker_run, worker, worker->config.lcore);

		if (rc != 0)
			return rc;
		dataplane->n_launched = w + 1;
	}
	return 0;
}

void
weir_dataplane_stop(struct weir_dataplane *dataplane, void (*meanwhile)(void *), void *arg)
{
	const struct timespec pause = {.tv_nsec = (long)WEIR_NS_PER_MS};

	atomic_store_explicit(&dataplane->stop, 1, memory_order_release);
	for (uint32_t w = 0; w < dataplane->n_launched; w++) {
		struct weir_worker *worker = dataplane->workers[w];

		while (atomic_load_explicit(&worker->ended, memory_order_acquire) == 0) {
			if (meanwhile != NULL)
				meanwhile(arg);
			nanosleep(&pause, NULL);
		}
		rte_eal_wait_lcore(worker->config.lcore);
	}
	dataplane->n_launched = 0;
}

void
weir_dataplane_free(struct weir_dataplane *dataplane)
{
	if (dataplane == NULL)
		return;
	assert(dataplane->n_launched == 0);
	weir_snapshot_free(atomic_load(&dataplane->current));
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		free_worker(dataplane->workers[w], dataplane->credit, w);
	dataplane->credit->n_workers = 0;
	free(dataplane->rcu);
	weir_memory_free(dataplane->buckets, BUCKETS_BYTES);
	weir_memory_free(dataplane, sizeof(*dataplane));
}

void
weir_dataplane_init_class(struct weir_dataplane *dataplane, uint32_t slot,
                          const struct weir_rate *rate, uint64_t now_tsc)
{
	assert(slot < WEIR_CLASSES_MAX);
	weir_bucket_init(&dataplane->buckets[slot], rate, now_tsc);
}

struct weir_snapshot *
weir_dataplane_publish(struct weir_dataplane *dataplane, struct weir_snapshot *next,
                       uint64_t *token)
{
	struct weir_snapshot *old = atomic_load(&dataplane->current);

	assert(next->generation > old->generation);
	atomic_store_explicit(&dataplane->current, next, memory_order_release);
	*token = rte_rcu_qsbr_start(dataplane->rcu);
	return old;
}

uint64_t
weir_dataplane_fence(struct weir_dataplane *dataplane)
{
	return rte_rcu_qsbr_start(dataplane->rcu);
}

/*
 * The grace period says that nobody reads an older snapshot; the generation, which a worker stores
 * after it has purged the queues of removed classes, that their slots are free.
 */
bool
weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait)
{
	uint64_t generation = atomic_load(&dataplane->current)->generation;

	if (dataplane->n_launched == 0)
		return true;
	if (rte_rcu_qsbr_check(dataplane->rcu, token, wait) == 0)
		return false;
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		_Atomic uint64_t *adopted = &dataplane->workers[w]->generation;

		while (atomic_load_explicit(adopted, memory_order_acquire) < generation) {
			if (!wait)
				return false;
			rte_pause();
		}
	}
	return true;
}

void
weir_dataplane_pulse(struct weir_dataplane *dataplane, uint64_t now_tsc)
{
	atomic_store_explicit(&dataplane->pulse_tsc, now_tsc, memory_order_relaxed);
}

const struct weir_counters *
weir_dataplane_counters(const struct weir_dataplane *dataplane, uint32_t worker)
{
	assert(worker < dataplane->n_workers);
	return dataplane->workers[worker]->counters;
}

void
weir_dataplane_flow_totals(const struct weir_dataplane *dataplane, uint32_t link,
                           enum weir_direction direction, struct weir_flow_totals *totals)
{
	assert(link < WEIR_LINKS_MAX);
	memset(totals, 0, sizeof(*totals));
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		const struct weir_flow_counters *flow =
		    &dataplane->workers[w]->counters->links[link][direction];

		totals->rx_frames += weir_count_read(&flow->rx_frames);
		totals->rx_wire_bytes += weir_count_read(&flow->rx_wire_bytes);
		totals->tx_frames += weir_count_read(&flow->tx_frames);
		totals->tx_wire_bytes += weir_count_read(&flow->tx_wire_bytes);
		for (uint32_t i = 0; i < WEIR_DROPS; i++)
			totals->dropped[i] += weir_count_read(&flow->dropped[i]);
	}
}

void
weir_dataplane_class_totals(const struct weir_dataplane *dataplane, uint32_t slot,
                            struct weir_class_totals *totals)
{
	assert(slot < WEIR_CLASSES_MAX);
	memset(totals, 0, sizeof(*totals));
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		const struct weir_class_counters *class =
		    &dataplane->workers[w]->counters->classes[slot];

		totals->tx_frames += weir_count_read(&class->tx_frames);
		totals->tx_wire_bytes += weir_count_read(&class->tx_wire_bytes);
		totals->dropped_frames += weir_count_read(&class->dropped_frames);
		totals->dropped_wire_bytes += weir_count_read(&class->dropped_wire_bytes);
		totals->queued_bytes += weir_count_read(&class->queued_bytes);
	}
}

void
weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up)
{
	assert(port_id < WEIR_PORTS_MAX);
	atomic_store_explicit(&dataplane->link_up[port_id], up, memory_order_release);
}
