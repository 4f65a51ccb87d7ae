/* SPDX-License-Identifier: BSD-3-Clause */
/* An appliance as main() puts it together, and as apply.c changes it, but for ledger and threads.
 */
#include "tests/nic/hardware_sim.h"

#include "control/placement.h"
#include "control/policy.h"
#include "control/watch.h"
#include "dataplane/worker_state.h"
#include "drivers/eal.h"
#include "drivers/memory.h"

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <string.h>

#define MEMORY_BYTES (UINT64_C(512) << 20)
#define POOL_FRAMES  32767U
#define POOL_CACHE   256U
#define EVENTS       4096U
#define WAITING_MAX  12288U /* frames that may wait in a worker's queues */
#define OUTSIDE      1U     /* config's index of the port */

static struct rte_mempool *pool;

struct change {
	struct weir_config *config;
	struct weir_slots_plan *plan;
	struct weir_snapshot *snapshot;
	uint32_t *ids;
};

bool
weir_hwsim_begin(void)
{
	static const uint32_t worker = 1;
	const struct weir_eal_config config = {.workers = &worker,
	                                       .n_workers = 1,
	                                       .memory_bytes = MEMORY_BYTES,
	                                       .pages = WEIR_EAL_PAGES_NORMAL};
	char error[WEIR_HWSIM_ERROR_SIZE] = "";
	bool huge;

	if (weir_eal_start(&config, &huge, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		return false;
	}
	pool = rte_pktmbuf_pool_create("hwsim", POOL_FRAMES, POOL_CACHE, 0,
	                               RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	return pool != NULL;
}

void
weir_hwsim_end(void)
{
	rte_mempool_free(pool);
	weir_eal_finish();
}

static void
must(bool ok, const char *error)
{
	if (ok)
		return;
	printf("%s\n", error);
	exit(1);
}

/* As prepare() of apply.c. */
static void
prepare(struct weir_hwsim *sim, struct weir_config *config, struct change *change)
{
	struct weir_appliance *appliance = sim->appliance;
	struct weir_policy_binding binding;
	char error[WEIR_ERROR_SIZE] = "";

	*change = (struct change){.config = config};
	must(weir_slots_plan(appliance->slots, config, &change->plan) == 0, "no slots");
	change->ids = calloc((size_t)config->n_budgets + 1, sizeof(*change->ids));
	must(change->ids != NULL, "out of memory");
	weir_slots_bind(appliance->slots, config, sim->now_ns, change->plan);
	binding = (struct weir_policy_binding){.budget_ids = change->ids,
	                                       .class_slots = change->plan->slots,
	                                       .rates = change->plan->rates,
	                                       .generation = appliance->generation + 1,
	                                       .tsc_hz = appliance->clock.tsc_hz,
	                                       .node = WEIR_NODE_ANY};
	must(weir_policy_compile(config, &binding, &change->snapshot, error, sizeof(error)) == 0,
	     error);
}

/* As finish_change() of apply.c, and what comes before it: the one budget's number is the same
 * everywhere.
 */
static void
bind_change(struct weir_hwsim *sim, struct change *change)
{
	struct weir_appliance *appliance = sim->appliance;
	struct weir_slots_plan *plan = change->plan;

	weir_slots_put(appliance->slots, change->config, sim->now_ns, plan, change->snapshot,
	               appliance->dataplane);
	weir_slots_commit(appliance->slots, change->config, plan);
	free(appliance->class_slots);
	free(appliance->budget_ids);
	appliance->class_slots = plan->slots;
	appliance->budget_ids = change->ids;
	appliance->config = change->config;
	appliance->generation++;
	plan->slots = NULL;
	weir_slots_plan_free(plan);
}

static void
count_policy(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy)
{
	if (sim->counts == NULL)
		return;
	sim->counts->policies++;
	sim->counts->joined += policy->n_classes - sim->policy.n_classes;
	for (uint32_t i = 0; i < sim->policy.n_classes; i++)
		sim->counts->left +=
		    policy->classes[i].gone && !sim->policy.classes[i].gone ? 1 : 0;
}

bool
weir_hwsim_apply(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy)
{
	struct weir_appliance *appliance = sim->appliance;
	struct weir_config *before = appliance->config, *config;
	char error[WEIR_ERROR_SIZE] = "";
	struct change change;

	if (appliance->retired != NULL)
		return false;
	config = weir_hwsim_policy_parse(policy);
	if (weir_hardware_admit(appliance, config, error) < 0) {
		snprintf(sim->refusal, sizeof(sim->refusal), "%s", error);
		weir_config_free(config);
		return false;
	}
	prepare(sim, config, &change);
	bind_change(sim, &change);
	appliance->retired = weir_dataplane_publish(appliance->dataplane, change.snapshot,
	                                            &appliance->retired_token);
	weir_hwsim_tape_policy(sim, policy);
	weir_config_free(before);
	weir_hardware_policy(appliance);
	weir_hwsim_tape_discarded(sim);
	count_policy(sim, policy);
	sim->policy = *policy;
	return true;
}

static void
make_dataplane(struct weir_hwsim *sim, const struct weir_worker_config *workers)
{
	struct weir_appliance *appliance = sim->appliance;
	const struct weir_dataplane_config config = {
	    .tsc_hz = appliance->clock.tsc_hz,
	    .n_links = appliance->config->n_links,
	    .n_workers = appliance->config->appliance.n_workers,
	    .workers = workers,
	};
	char error[WEIR_ERROR_SIZE] = "";
	struct change change;

	appliance->slots = weir_slots_new(appliance->clock.tsc_hz);
	must(appliance->slots != NULL, "out of memory");
	prepare(sim, appliance->config, &change);
	must(weir_dataplane_new(&config, appliance->credit, change.snapshot, &appliance->dataplane,
	                        error, sizeof(error)) == 0,
	     error);
	weir_credit_open(appliance->credit, 0, 0);
	weir_credit_publish(appliance->credit, 0, UINT64_MAX / 2, WEIR_CREDIT_OPEN);
	bind_change(sim, &change);
}

static void
begin_workers(struct weir_hwsim *sim)
{
	struct weir_dataplane *dataplane = sim->appliance->dataplane;

	for (uint32_t w = 0; w < dataplane->n_workers; w++) {
		weir_pacer_start(&dataplane->workers[w]->pacer, sim->now_ns);
		rte_rcu_qsbr_thread_online(dataplane->rcu, w);
	}
	/* There are no threads, but they are to be waited for. */
	dataplane->n_launched = dataplane->n_workers;
	weir_dataplane_pulse(dataplane, sim->now_ns);
}

/* As the rest of weir_appliance_make_dataplane(). */
static void
take_ports(struct weir_hwsim *sim)
{
	struct weir_appliance *appliance = sim->appliance;
	struct weir_worker_config *workers = calloc(WEIR_WORKERS_MAX, sizeof(*workers));
	char error[WEIR_ERROR_SIZE] = "";

	must(workers != NULL, "out of memory");
	must(weir_placement_workers(appliance->config, appliance->ports, workers, error,
	                            sizeof(error)) == 0,
	     error);
	for (uint32_t w = 0; w < sim->policy.n_workers; w++)
		workers[w].waiting_max = WAITING_MAX;
	make_dataplane(sim, workers);
	must(weir_hardware_new(appliance, workers, error) == 0, error);
	must(weir_watch_first_links(appliance, error) == 0, error);
	free(workers);
}

void
weir_hwsim_open(struct weir_hwsim *sim, const struct weir_hwsim_policy *policy, uint64_t seed)
{
	char error[WEIR_ERROR_SIZE] = "";

	memset(sim, 0, sizeof(*sim));
	sim->random = weir_random_make(seed);
	sim->policy = *policy;
	sim->pool = pool;
	sim->judging = true;
	sim->shortest_round_ns = 2000;
	sim->longest_round_ns = 5000;
	sim->now_ns = WEIR_NS_PER_S + weir_random_below(&sim->random, WEIR_NS_PER_S);
	sim->next_tick_ns = sim->now_ns + weir_random_below(&sim->random, WEIR_HARDWARE_LOOK_NS);
	sim->noticed_ns = 1;
	sim->events = weir_events_new(EVENTS);
	sim->appliance = weir_appliance_new(weir_hwsim_policy_parse(policy), sim->events);
	must(sim->events != NULL && sim->appliance != NULL, "out of memory");
	sim->appliance->clock.tsc_hz = WEIR_HWSIM_TSC_HZ;
	must(weir_appliance_open_ports(sim->appliance, error) == 0, error);
	sim->inside_id = sim->appliance->ports[0].port_id;
	sim->outside_id = sim->appliance->ports[OUTSIDE].port_id;
	sim->inside = weir_model_of(sim->inside_id);
	sim->outside = weir_model_of(sim->outside_id);
	weir_model_advance_all(sim->now_ns);
	weir_model_on_sent(sim->outside, weir_hwsim_tape_left, sim);
	weir_hwsim_tape_start(sim);
	take_ports(sim);
	sim->hardware = sim->appliance->hardware->ports[OUTSIDE];
	sim->exact = sim->appliance->ports[OUTSIDE].completions;
	sim->outside->must_be_programmed = sim->hardware->open;
	begin_workers(sim);
}

bool
weir_hwsim_round(struct weir_hwsim *sim, uint32_t worker)
{
	return weir_worker_round(sim->appliance->dataplane->workers[worker], sim->now_ns);
}

uint64_t
weir_hwsim_inflight(const struct weir_hwsim *sim, uint32_t class)
{
	uint32_t slot = sim->appliance->class_slots[weir_hwsim_index(sim, class)];

	return atomic_load(&sim->appliance->dataplane->buckets[slot].inflight_bytes);
}

/* Ends the workers as a clean stop does, at once. */
static void
end_workers(struct weir_hwsim *sim)
{
	struct weir_dataplane *dataplane = sim->appliance->dataplane;

	dataplane->drain_tsc = 0;
	atomic_store(&dataplane->stop, 1);
	for (uint32_t w = 0; w < dataplane->n_workers; w++)
		if (!weir_hwsim_round(sim, w))
			weir_hwsim_fail(sim, "worker %" PRIu32 " does not end", w);
	dataplane->n_launched = 0;
}

void
weir_hwsim_close(struct weir_hwsim *sim)
{
	struct weir_appliance *appliance = sim->appliance;

	sim->judging = false;
	end_workers(sim);
	weir_snapshot_free(appliance->retired);
	appliance->retired = NULL;
	weir_watch_end(appliance);
	weir_hardware_free(appliance);
	weir_dataplane_free(appliance->dataplane);
	appliance->dataplane = NULL;
	weir_slots_free(appliance->slots);
	free(appliance->class_slots);
	free(appliance->budget_ids);
	weir_appliance_close_ports(appliance);
	weir_appliance_free(appliance);
	weir_events_free(sim->events);
	/* Not one frame was lost on the way. */
	if (rte_mempool_in_use_count(pool) != 0)
		weir_hwsim_fail(sim, "%u frames are nowhere", rte_mempool_in_use_count(pool));
}
