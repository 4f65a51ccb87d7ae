/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/worker_state.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#define DUE_MAX     64U /* lanes looked at in one round */
#define IDLE_CHECKS 64U /* budgets looked at for idle purses at once */

static void
return_all_purses(struct weir_worker *worker)
{
	for (uint32_t budget = 0; budget < WEIR_BUDGETS_MAX; budget++)
		weir_credit_return(worker->credit, worker->index, budget);
}

/*
 * Lifts every bucket to where it is full by the policy that ends: a larger burst has to be earned.
 * The old line counts up to where the new one begins, its base: also where this worker is late, and
 * where its reading is from before that. What has left since the last reading is in flight still,
 * and is settled only by the new line (bucket.h).
 */
static void
lift_buckets(struct weir_worker *worker, const struct weir_snapshot *next)
{
	for (uint32_t slot = 0; slot < worker->snapshot->n_classes; slot++) {
		const struct weir_class *class = &worker->snapshot->classes[slot];
		const struct weir_class *after;
		uint64_t allowance;

		/* One that is gone has nothing more to take. */
		if (class->n_path == 0 || slot >= next->n_classes ||
		    next->classes[slot].n_path == 0)
			continue;
		after = &next->classes[slot];
		allowance = after->rate.start_tsc > class->rate.start_tsc
		                ? after->rate.base_bytes
		                : weir_rate_allowance(&class->rate, worker->now_tsc);
		weir_bucket_departed(&worker->dataplane->buckets[slot], allowance,
		                     class->burst_bytes, 0, worker->shared);
	}
}

/* Drops what waits in lanes, for a reason: all of them, or those of classes that next lacks. */
static void
purge_lanes(struct weir_worker *worker, const struct weir_snapshot *next, enum weir_drop reason)
{
	uint32_t n_slots = worker->snapshot != NULL ? worker->snapshot->n_classes : 0;

	for (uint32_t link = 0; link < worker->dataplane->n_links; link++) {
		if (worker->waiting_of_link[link] == 0)
			continue;
		for (uint32_t slot = 0; slot < n_slots; slot++) {
			uint32_t lane = weir_lane(link, slot);

			if (worker->queues[lane].head != NULL &&
			    (next == NULL || slot >= next->n_classes ||
			     next->classes[slot].n_path == 0))
				weir_egress_purge(worker, lane, reason);
		}
	}
}

/*
 * Takes the latest snapshot into use. The one before is still there: it is freed only when every
 * worker has said, by its generation, that it has the next.
 */
static void
adopt(struct weir_worker *worker, const struct weir_snapshot *next)
{
	/*
	 * What the purses hold was taken under the old policy. Given back, it can only be taken
	 * again as far as the new one's caps allow.
	 */
	return_all_purses(worker);
	if (worker->snapshot != NULL)
		lift_buckets(worker, next);
	purge_lanes(worker, next, WEIR_DROP_CLASS_REMOVED);
	worker->snapshot = next;
	atomic_store_explicit(&worker->generation, next->generation, memory_order_release);
}

/* Gives all purses back when the ledger has lowered what may be spent. */
static void
heed_recall(struct weir_worker *worker)
{
	uint64_t recalls = atomic_load_explicit(&worker->credit->recalls, memory_order_acquire);

	if (recalls == worker->recalls)
		return;
	worker->recalls = recalls;
	return_all_purses(worker);
}

/* Lets lanes go on that waited for a send queue by which they go no more. */
static void
heed_moves(struct weir_worker *worker)
{
	uint32_t moves = atomic_load_explicit(&worker->dataplane->moves, memory_order_acquire);

	if (moves == worker->moves)
		return;
	worker->moves = moves;
	weir_out_heed_moves(worker);
}

/* Gives back purses from which nothing was spent since the last look, for the other workers. */
static void
return_idle_purses(struct weir_worker *worker)
{
	for (uint32_t i = 0; i < IDLE_CHECKS; i++) {
		uint32_t budget = worker->idle_next++ % WEIR_BUDGETS_MAX;
		struct weir_credit_purse *purse =
		    &worker->credit->workers[worker->index]->purses[budget];
		uint64_t spent = weir_count_read(&purse->spent_bytes);

		if (purse->purse_bytes > 0 && spent == worker->idle_spent[budget])
			weir_credit_return(worker->credit, worker->index, budget);
		worker->idle_spent[budget] = spent;
	}
}

/* One look at every receive queue. Returns the number of frames. */
static uint32_t
receive(struct weir_worker *worker)
{
	struct rte_mbuf *frames[WEIR_BURST];
	uint32_t total = 0;

	for (uint32_t i = 0; i < worker->config.n_rx; i++) {
		const struct weir_rx *rx = &worker->config.rx[i];
		uint32_t word = weir_worker_port(worker, rx->port_id), n;

		if ((word & (WEIR_PORT_WORD_UP | WEIR_PORT_WORD_TESTING)) != WEIR_PORT_WORD_UP) {
			if ((word & WEIR_PORT_WORD_TESTING) != 0 && rx->direction == WEIR_EGRESS)
				total += weir_padding_offer(worker, rx);
			continue;
		}
		n = rte_eth_rx_burst(rx->port_id, rx->queue_id, frames, WEIR_BURST);
		if (n == 0)
			continue;
		if (rx->direction == WEIR_EGRESS)
			weir_receive_egress(worker, rx, frames, n);
		else
			weir_receive_return(worker, rx, frames, n);
		total += n;
	}
	return total;
}

/* Serves lanes whose send queue has room again, and those that the pacer has come to. Returns how
 * many. */
static uint32_t
drain(struct weir_worker *worker)
{
	uint32_t lanes[DUE_MAX];
	uint32_t n, served;

	if (!worker->egress_open)
		return 0;
	served = worker->n_active > 0 ? weir_out_serve(worker) : 0;
	n = weir_pacer_due(&worker->pacer, worker->now_tsc, lanes, DUE_MAX);
	for (uint32_t i = 0; i < n; i++)
		weir_egress_drain(worker, lanes[i]);
	return served + n;
}

/* Whether a clean stop is over: nothing waits, or its time is up. */
static bool
stopped(struct weir_worker *worker)
{
	struct weir_dataplane *dataplane = worker->dataplane;

	if (worker->stop_tsc == 0)
		worker->stop_tsc = worker->now_tsc;
	if (worker->queued_frames > 0 &&
	    weir_sat_sub(worker->now_tsc, worker->stop_tsc) < dataplane->drain_tsc)
		return false;
	purge_lanes(worker, NULL, WEIR_DROP_STOPPING);
	return_all_purses(worker);
	return true;
}

void
weir_worker_note(struct weir_worker *worker, uint64_t number)
{
	for (uint32_t link = 0; link < worker->dataplane->n_links; link++) {
		const struct weir_flow_counters *flow = weir_worker_flow(worker, link, WEIR_EGRESS);

		atomic_store_explicit(&worker->note_frames[link], weir_count_read(&flow->tx_frames),
		                      memory_order_relaxed);
		atomic_store_explicit(&worker->note_wire_bytes[link],
		                      weir_count_read(&flow->tx_wire_bytes), memory_order_relaxed);
	}
	atomic_store_explicit(&worker->note_root_bytes,
	                      worker->credit->workers[worker->index]->root_spent_bytes,
	                      memory_order_relaxed);
	atomic_store_explicit(&worker->noted, number, memory_order_release);
}

bool
weir_worker_round(struct weir_worker *worker, uint64_t now_tsc)
{
	struct weir_dataplane *dataplane = worker->dataplane;
	const struct weir_snapshot *snapshot;
	uint64_t pulse, note;
	uint32_t work;
	bool stopping;

	worker->now_tsc = now_tsc;
	/* No reference to a snapshot is held between here and the next load. */
	rte_rcu_qsbr_quiescent(dataplane->rcu, worker->index);
	snapshot = atomic_load_explicit(&dataplane->current, memory_order_acquire);
	if (unlikely(snapshot == NULL)) {
		weir_count(&worker->counters->rounds, 1);
		return false;
	}
	if (snapshot->generation != atomic_load_explicit(&worker->generation, memory_order_relaxed))
		adopt(worker, snapshot);
	weir_egress_departed(worker);
	heed_recall(worker);
	heed_moves(worker);

	pulse = atomic_load_explicit(&dataplane->pulse_tsc, memory_order_relaxed);
	worker->egress_open = weir_sat_sub(worker->now_tsc, pulse) <= snapshot->heartbeat_limit_tsc;
	stopping = atomic_load_explicit(&dataplane->stop, memory_order_acquire) != 0;
	work = stopping ? 0 : receive(worker);
	work += drain(worker);
	weir_out_flush(worker);
	if (worker->n_active > 0)
		weir_out_poll(worker);
	note = atomic_load_explicit(&dataplane->note, memory_order_acquire);
	if (note != atomic_load_explicit(&worker->noted, memory_order_relaxed))
		weir_worker_note(worker, note);

	weir_count(&worker->counters->rounds, 1);
	if (work > 0)
		weir_count(&worker->counters->busy_rounds, 1);
	if (worker->shared && worker->now_tsc >= worker->idle_due_tsc) {
		worker->idle_due_tsc = worker->now_tsc + dataplane->tsc_hz / 1000;
		return_idle_purses(worker);
	}
	return stopping && stopped(worker);
}

int
weir_worker_run(void *arg)
{
	struct weir_worker *worker = arg;
	struct rte_rcu_qsbr *rcu = worker->dataplane->rcu;

	weir_pacer_start(&worker->pacer, rte_rdtsc());
	rte_rcu_qsbr_thread_online(rcu, worker->index);
	while (!weir_worker_round(worker, rte_rdtsc()))
		;
	rte_rcu_qsbr_thread_offline(rcu, worker->index);
	atomic_store_explicit(&worker->ended, 1, memory_order_release);
	return 0;
}
