/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/credit.h"

/* Most that one of several workers takes beyond its need: what it may hold back from the others. */
#define CHUNK_MAX_BYTES (UINT64_C(1) << 20)
/* Lost races before a worker gives up for this round. */
#define TAKE_TRIES 8U

void
weir_credit_init(struct weir_credit *credit, struct weir_credit_worker *const *workers,
                 uint32_t n_workers)
{
	assert(n_workers > 0 && n_workers <= WEIR_WORKERS_MAX);
	for (uint32_t w = 0; w < n_workers; w++)
		credit->workers[w] = workers[w];
	credit->n_workers = n_workers;
	credit->share_shift = 0;
	while ((1U << credit->share_shift) < 2 * n_workers)
		credit->share_shift++;
}

void
weir_credit_open(struct weir_credit *credit, uint32_t budget, uint64_t charged_bytes)
{
	struct weir_credit_shared *shared = &credit->budgets[budget];

	assert(budget < WEIR_BUDGETS_MAX);
	atomic_store(&shared->taken_bytes, charged_bytes);
	atomic_store(&shared->spendable_bytes, charged_bytes);
	atomic_store(&shared->state, WEIR_CREDIT_OPEN);
}

void
weir_credit_publish(struct weir_credit *credit, uint32_t budget, uint64_t spendable_bytes,
                    enum weir_credit_state state)
{
	struct weir_credit_shared *shared = &credit->budgets[budget];
	uint64_t before = atomic_load_explicit(&shared->spendable_bytes, memory_order_relaxed);

	assert(budget < WEIR_BUDGETS_MAX);
	/*
	 * A worker that finds too little looks at the state next. It must not see "at cap" together
	 * with an older and larger shortage, so more credit is stored before the state.
	 */
	atomic_store_explicit(&shared->spendable_bytes, spendable_bytes, memory_order_release);
	atomic_store_explicit(&shared->state, state, memory_order_release);
	if (spendable_bytes < before)
		atomic_fetch_add_explicit(&credit->recalls, 1, memory_order_release);
}

uint64_t
weir_credit_spent(const struct weir_credit *credit, uint32_t budget)
{
	uint64_t spent = 0;

	for (uint32_t w = 0; w < credit->n_workers; w++)
		spent += atomic_load_explicit(&credit->workers[w]->purses[budget].spent_bytes,
		                              memory_order_acquire);
	return spent;
}

uint64_t
weir_credit_fill(struct weir_credit *credit, uint32_t worker, uint32_t budget, uint64_t bytes)
{
	struct weir_credit_shared *shared = &credit->budgets[budget];
	struct weir_credit_purse *purse = &credit->workers[worker]->purses[budget];
	uint64_t taken, need, available = 0;

	if (purse->purse_bytes >= bytes)
		return purse->purse_bytes;
	need = bytes - purse->purse_bytes;
	taken = atomic_load_explicit(&shared->taken_bytes, memory_order_acquire);
	for (uint32_t i = 0; i < TAKE_TRIES; i++) {
		uint64_t spendable =
		    atomic_load_explicit(&shared->spendable_bytes, memory_order_acquire);
		uint64_t extra;

		available = weir_sat_sub(spendable, taken);
		if (available < need)
			break;
		extra = available - need;
		if (credit->n_workers > 1) {
			extra >>= credit->share_shift;
			extra = extra > CHUNK_MAX_BYTES ? CHUNK_MAX_BYTES : extra;
		}
		if (atomic_compare_exchange_weak_explicit(
		        &shared->taken_bytes, &taken, taken + need + extra, memory_order_acq_rel,
		        memory_order_acquire)) {
			purse->purse_bytes += need + extra;
			return purse->purse_bytes;
		}
	}
	available += purse->purse_bytes;
	weir_credit_return(credit, worker, budget);
	return available < bytes ? available : bytes - 1;
}

void
weir_credit_return(struct weir_credit *credit, uint32_t worker, uint32_t budget)
{
	struct weir_credit_purse *purse = &credit->workers[worker]->purses[budget];

	if (purse->purse_bytes == 0)
		return;
	atomic_fetch_sub_explicit(&credit->budgets[budget].taken_bytes, purse->purse_bytes,
	                          memory_order_acq_rel);
	purse->purse_bytes = 0;
}

bool
weir_credit_charge(struct weir_credit *credit, uint32_t worker, const uint16_t *path,
                   uint32_t n_path, uint64_t bytes, uint32_t *short_of, uint64_t *available_bytes)
{
	struct weir_credit_purse *purses = credit->workers[worker]->purses;

	for (uint32_t i = 0; i < n_path; i++) {
		uint64_t held;

		if (purses[path[i]].purse_bytes >= bytes)
			continue;
		held = weir_credit_fill(credit, worker, path[i], bytes);
		if (held < bytes) {
			/* Purses of the path's other budgets may be what another worker lacks. */
			for (uint32_t j = 0; j < n_path; j++)
				weir_credit_return(credit, worker, path[j]);
			*short_of = path[i];
			*available_bytes = held;
			return false;
		}
	}
	for (uint32_t i = 0; i < n_path; i++)
		purses[path[i]].purse_bytes -= bytes;
	return true;
}

void
weir_credit_settle(struct weir_credit *credit, uint32_t worker, const uint16_t *path,
                   uint32_t n_path, uint64_t sent_bytes, uint64_t unsent_bytes)
{
	struct weir_credit_purse *purses = credit->workers[worker]->purses;

	if (n_path > 0)
		credit->workers[worker]->root_spent_bytes += sent_bytes;
	for (uint32_t i = 0; i < n_path; i++) {
		struct weir_credit_purse *purse = &purses[path[i]];
		uint64_t spent = atomic_load_explicit(&purse->spent_bytes, memory_order_relaxed);

		atomic_store_explicit(&purse->spent_bytes, weir_sat_add(spent, sent_bytes),
		                      memory_order_release);
		purse->purse_bytes += unsent_bytes;
	}
}
