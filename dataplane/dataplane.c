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
/*
 * Delay before a send queue that refused frames is tried again. At 10 Gbit/s 75 of the shortest
 * frames leave in that time: rings hold more, so the wire does not fall idle.
 */
#define RETRY_NS (5 * WEIR_NS_PER_US)
/* A microsecond or so: see weir_dataplane_suspend(). */
#define SUSPEND_TICKS 4000U

static void
free_worker(struct weir_worker *worker, struct weir_credit *credit, uint32_t index)
{
	if (worker != NULL) {
		for (uint32_t i = 0; worker->departures != NULL && i < worker->n_outs; i++)
			weir_departures_fini(&worker->departures[i]);
		weir_memory_free(worker->departures, worker->n_outs * sizeof(*worker->departures));
		weir_memory_free(worker->outs, worker->n_outs * sizeof(*worker->outs));
		weir_memory_free(worker->touched, worker->n_outs * sizeof(*worker->touched));
		weir_memory_free(worker->active, worker->n_outs * sizeof(*worker->active));
		weir_pacer_fini(&worker->pacer);
		weir_memory_free(worker->departing, worker->n_lanes * sizeof(*worker->departing));
		weir_memory_free(worker->queues, worker->n_lanes * sizeof(*worker->queues));
		weir_memory_free(worker->counters, sizeof(*worker->counters));
	}
	weir_memory_free(worker, sizeof(*worker));
	weir_memory_free(credit->workers[index], sizeof(*credit->workers[index]));
	credit->workers[index] = NULL;
}

/* How many send queues the worker has of a link's outside port, and DPDK's id of that port. */
static uint32_t
count_outs(const struct weir_worker_config *config, uint32_t link, uint16_t *port_id)
{
	bool sends = false;

	for (uint32_t i = 0; i < config->n_rx; i++) {
		if (config->rx[i].link != link || config->rx[i].direction != WEIR_EGRESS)
			continue;
		assert(!sends || *port_id == config->rx[i].out_port_id);
		*port_id = config->rx[i].out_port_id;
		sends = true;
	}
	if (!sends)
		return 0;
	return config->tx[link].n_queues > 0 ? config->tx[link].n_queues : 1;
}

static int
make_outs_of_link(struct weir_worker *worker, uint32_t link, uint16_t port_id)
{
	const struct weir_tx *tx = &worker->config.tx[link];
	struct weir_link_outs *outs = &worker->outs_of_link[link];

	for (uint16_t i = 0; i < outs->n; i++) {
		struct weir_out *out = &outs->first[i];
		uint16_t queue_id =
		    (uint16_t)(tx->n_queues > 0 ? tx->first_queue + i : worker->config.tx_queue);

		out->port_id = port_id;
		out->queue_id = queue_id;
		out->link = (uint16_t)link;
		out->first_waiting = out->last_waiting = WEIR_NO_LANE;
		if (tx->n_queues == 0 || !tx->completions)
			continue;
		worker->tells = true;
		out->departures = &worker->departures[out - worker->outs];
		if (weir_departures_init(out->departures, port_id, queue_id, tx->n_descriptors,
		                         worker->config.node) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int
make_outs(struct weir_worker *worker, uint32_t n_links)
{
	uint16_t port_ids[WEIR_LINKS_MAX] = {0};
	int node = worker->config.node;
	uint32_t made = 0;

	for (uint32_t link = 0; link < n_links; link++) {
		worker->outs_of_link[link].n = count_outs(&worker->config, link, &port_ids[link]);
		worker->n_outs += worker->outs_of_link[link].n;
	}
	if (worker->n_outs == 0)
		return 0;
	worker->outs = weir_memory_alloc(worker->n_outs * sizeof(*worker->outs), node);
	worker->departures = weir_memory_alloc(worker->n_outs * sizeof(*worker->departures), node);
	worker->touched = weir_memory_alloc(worker->n_outs * sizeof(*worker->touched), node);
	worker->active = weir_memory_alloc(worker->n_outs * sizeof(*worker->active), node);
	if (worker->outs == NULL || worker->departures == NULL || worker->touched == NULL ||
	    worker->active == NULL)
		return -ENOMEM;
	for (uint32_t link = 0; link < n_links; link++) {
		int rc;

		worker->outs_of_link[link].first = &worker->outs[made];
		made += worker->outs_of_link[link].n;
		rc = make_outs_of_link(worker, link, port_ids[link]);
		if (rc != 0)
			return rc;
	}
	return 0;
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
	worker->retry_tsc = dataplane->tsc_hz / (WEIR_NS_PER_S / RETRY_NS);
	for (uint32_t i = 0; i < config->n_rx; i++) {
		const struct weir_rx *rx = &config->rx[i];

		assert(rx->port_id < WEIR_PORTS_MAX && rx->out_port_id < WEIR_PORTS_MAX);
		assert(rx->link < dataplane->n_links);
	}
	return make_outs(worker, dataplane->n_links);
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
		made->queue_of_lane =
		    weir_memory_alloc(WEIR_LANES_OF(config->n_links), config->workers[0].node);
		rc =
		    made->buckets == NULL || made->queue_of_lane == NULL ? -ENOMEM : make_rcu(made);
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
		atomic_store(&made->ports[port], WEIR_PORT_WORD_UP);
	made->latest = first;
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
	weir_snapshot_free(dataplane->latest);
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		free_worker(dataplane->workers[w], dataplane->credit, w);
	dataplane->credit->n_workers = 0;
	free(dataplane->rcu);
	weir_memory_free(dataplane->buckets, BUCKETS_BYTES);
	weir_memory_free(dataplane->queue_of_lane, WEIR_LANES_OF(dataplane->n_links));
	weir_memory_free(dataplane, sizeof(*dataplane));
}

void
weir_dataplane_init_class(struct weir_dataplane *dataplane, uint32_t slot,
                          const struct weir_rate *rate, uint64_t now_tsc)
{
	assert(slot < WEIR_CLASSES_MAX);
	/*
	 * Bytes of the slot's former class may still be on their way, in a NIC's queue. They stay
	 * in flight until workers hear that they left, as if they were the new class's: it has
	 * that much less of its burst, and no more than that.
	 */
	atomic_store(&dataplane->buckets[slot].consumed_bytes, weir_rate_allowance(rate, now_tsc));
}

uint64_t
weir_dataplane_suspend(struct weir_dataplane *dataplane)
{
	uint64_t since_tsc, now_tsc;

	atomic_store(&dataplane->current, NULL);
	rte_mb();
	since_tsc = rte_rdtsc();
	/*
	 * A CPU may load the snapshot a little before it reads the clock, whatever the order of
	 * the program: by as much as is under way in it, far less than this.
	 */
	do
		now_tsc = rte_rdtsc();
	while (now_tsc - since_tsc < SUSPEND_TICKS);
	return now_tsc;
}

struct weir_snapshot *
weir_dataplane_publish(struct weir_dataplane *dataplane, struct weir_snapshot *next,
                       uint64_t *token)
{
	struct weir_snapshot *old = dataplane->latest;

	assert(next->generation > old->generation);
	dataplane->latest = next;
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
	uint64_t generation = dataplane->latest->generation;

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

static bool
uses_port(const struct weir_worker *worker, uint16_t port_id)
{
	for (uint32_t i = 0; i < worker->config.n_rx; i++)
		if (worker->config.rx[i].port_id == port_id ||
		    worker->config.rx[i].out_port_id == port_id)
			return true;
	for (uint32_t i = 0; i < worker->n_outs; i++)
		if (worker->outs[i].port_id == port_id)
			return true;
	return false;
}

bool
weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id, uint64_t token)
{
	for (uint32_t w = 0; w < dataplane->n_launched; w++) {
		uint64_t passed;

		if (!uses_port(dataplane->workers[w], port_id))
			continue;
		/* As rte_rcu_qsbr_check, of one thread. */
		passed = __atomic_load_n(&dataplane->rcu->qsbr_cnt[w].cnt, __ATOMIC_ACQUIRE);
		if (passed != __RTE_QSBR_CNT_THR_OFFLINE && passed < token)
			return false;
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

uint64_t
weir_dataplane_note(struct weir_dataplane *dataplane)
{
	return atomic_fetch_add_explicit(&dataplane->note, 1, memory_order_acq_rel) + 1;
}

/* Whether a worker has made the note; one that does not run writes nothing, so it is made here. */
static bool
has_noted(const struct weir_dataplane *dataplane, uint32_t w, uint64_t number)
{
	struct weir_worker *worker = dataplane->workers[w];

	if (w >= dataplane->n_launched ||
	    atomic_load_explicit(&worker->ended, memory_order_acquire) != 0) {
		weir_worker_note(worker, number);
		return true;
	}
	return atomic_load_explicit(&worker->noted, memory_order_acquire) >= number;
}

static void
add_note(const struct weir_worker *worker, struct weir_note *note)
{
	for (uint32_t link = 0; link < worker->dataplane->n_links; link++) {
		note->frames[link] += weir_count_read(&worker->note_frames[link]);
		note->wire_bytes[link] += weir_count_read(&worker->note_wire_bytes[link]);
	}
	note->root_wire_bytes =
	    weir_sat_add(note->root_wire_bytes, weir_count_read(&worker->note_root_bytes));
}

bool
weir_dataplane_noted(const struct weir_dataplane *dataplane, uint64_t number,
                     struct weir_note *note)
{
	memset(note, 0, sizeof(*note));
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		if (!has_noted(dataplane, w, number))
			return false;
		add_note(dataplane->workers[w], note);
	}
	return true;
}

void
weir_dataplane_noted_at_most(const struct weir_dataplane *dataplane, uint64_t number,
                             uint32_t frame_bytes, struct weir_note *note)
{
	memset(note, 0, sizeof(*note));
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		const struct weir_worker *worker = dataplane->workers[w];

		if (has_noted(dataplane, w, number)) {
			add_note(worker, note);
			continue;
		}
		note->root_wire_bytes = UINT64_MAX;
		for (uint32_t link = 0; link < dataplane->n_links; link++) {
			const struct weir_flow_counters *flow =
			    &worker->counters->links[link][WEIR_EGRESS];
			/* It counts what a port took before it goes on to the next one. */
			uint32_t in_hand = worker->outs_of_link[link].n > 0 ? WEIR_OUT_MAX : 0;

			note->frames[link] += weir_count_read(&flow->tx_frames) + in_hand;
			note->wire_bytes[link] += weir_count_read(&flow->tx_wire_bytes) +
			                          in_hand * weir_wire_bytes(frame_bytes);
		}
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

static _Atomic uint32_t *
port_word(struct weir_dataplane *dataplane, uint16_t port_id)
{
	assert(port_id < WEIR_PORTS_MAX);
	return &dataplane->ports[port_id];
}

void
weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up)
{
	_Atomic uint32_t *word = port_word(dataplane, port_id);

	if (!up)
		atomic_fetch_and(word, ~WEIR_PORT_WORD_UP);
	else if ((atomic_load(word) & WEIR_PORT_WORD_UP) == 0) /* and nobody else sets it */
		atomic_fetch_add(word, WEIR_PORT_WORD_EMPTIED + WEIR_PORT_WORD_UP);
}

void
weir_dataplane_set_test(struct weir_dataplane *dataplane, uint16_t inside_port_id, uint32_t link,
                        const struct weir_padding *padding)
{
	_Atomic uint32_t *word = port_word(dataplane, inside_port_id);

	assert(link < dataplane->n_links);
	assert(padding == NULL || (atomic_load(word) & WEIR_PORT_WORD_TESTING) == 0);
	if (padding != NULL) {
		dataplane->padding[link] = *padding;
		atomic_fetch_or(word, WEIR_PORT_WORD_TESTING);
	} else {
		atomic_fetch_and(word, ~WEIR_PORT_WORD_TESTING);
	}
}

void
weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id)
{
	uint32_t before = atomic_fetch_add(port_word(dataplane, port_id), WEIR_PORT_WORD_EMPTIED);

	assert((before & (WEIR_PORT_WORD_UP | WEIR_PORT_WORD_HELD)) != WEIR_PORT_WORD_UP);
	(void)before;
}

void
weir_dataplane_hold(struct weir_dataplane *dataplane, uint16_t port_id, bool held)
{
	_Atomic uint32_t *word = port_word(dataplane, port_id);

	if (held)
		atomic_fetch_or(word, WEIR_PORT_WORD_HELD);
	else
		atomic_fetch_and(word, ~WEIR_PORT_WORD_HELD);
}

void
weir_dataplane_set_queue(struct weir_dataplane *dataplane, uint32_t link, uint32_t slot,
                         uint8_t queue)
{
	uint32_t moves = atomic_load_explicit(&dataplane->moves, memory_order_relaxed);
	_Atomic uint8_t *of_lane = &dataplane->queue_of_lane[weir_lane(link, slot)];

	assert(link < dataplane->n_links && slot < WEIR_CLASSES_MAX);
	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		uint32_t n = dataplane->workers[w]->outs_of_link[link].n;

		assert(n == 0 || queue < n);
	}
	if (atomic_load_explicit(of_lane, memory_order_relaxed) == queue)
		return;
	atomic_store_explicit(of_lane, queue, memory_order_relaxed);
	atomic_store_explicit(&dataplane->moves, moves + 1, memory_order_release);
}

struct weir_departures *
weir_dataplane_departures(const struct weir_dataplane *dataplane, uint32_t worker, uint32_t link,
                          uint32_t queue)
{
	const struct weir_link_outs *outs;

	assert(worker < dataplane->n_workers && link < dataplane->n_links);
	outs = &dataplane->workers[worker]->outs_of_link[link];
	return queue < outs->n ? outs->first[queue].departures : NULL;
}
