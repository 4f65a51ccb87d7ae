/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/system_sim.h"

#include "control/ledger_format.h"

#include <stdarg.h>
#include <string.h>

#define DEPTH_MAX 3U /* interruptions of interruptions */

static const char *const event_names[WEIR_SIM_EVENTS] = {
    [WEIR_SIM_STARTS] = "lives",
    [WEIR_SIM_CUTS] = "power cuts",
    [WEIR_SIM_KILLS] = "kills",
    [WEIR_SIM_CRASHES_IN_DISK] = "crashes in a disk call",
    [WEIR_SIM_CRASHES_IN_ROUND] = "crashes in a round",
    [WEIR_SIM_CRASHES_AT_START] = "crashes at start",
    [WEIR_SIM_STOPS] = "clean stops",
    [WEIR_SIM_ROUNDS] = "rounds",
    [WEIR_SIM_ROUNDS_IN_DISK] = "rounds in a disk call",
    [WEIR_SIM_FRAMES] = "frames",
    [WEIR_SIM_BYTES] = "bytes",
    [WEIR_SIM_TICKS] = "ticks",
    [WEIR_SIM_LATE_TICKS] = "late ticks",
    [WEIR_SIM_POLICIES] = "policies",
    [WEIR_SIM_POLICIES_IN_ROUND] = "policies in a round",
    [WEIR_SIM_POLICIES_BUSY] = "policies refused as busy",
    [WEIR_SIM_POLICIES_FAILED] = "policies failed by the disk",
    [WEIR_SIM_ROOTS_RENAMED] = "renamed roots refused",
    [WEIR_SIM_STALE_PULSES] = "stale pulses",
    [WEIR_SIM_STALLED_WORKERS] = "stalled workers",
    [WEIR_SIM_SUSPENDS] = "suspends",
    [WEIR_SIM_REBOOTS] = "reboots",
    [WEIR_SIM_SLOW_DISKS] = "slow disks",
    [WEIR_SIM_LEDGERS_FAILED] = "ledgers failed",
    [WEIR_SIM_SLOTS_LOST] = "slots lost",
    [WEIR_SIM_CAPS_REACHED] = "caps reached",
    [WEIR_SIM_WITNESS_ADVANCES] = "witness advances",
    [WEIR_SIM_WITNESS_FAILURES] = "witness failures",
    [WEIR_SIM_WITNESS_RESETS] = "witness resets refused",
    [WEIR_SIM_STARTS_UNWITNESSED] = "starts without an answer of the witness",
    [WEIR_SIM_ROLLBACKS] = "rollbacks",
    [WEIR_SIM_ROLLBACKS_REFUSED] = "rollbacks refused",
    [WEIR_SIM_ROLLBACKS_BELIEVED] = "rollbacks within the limit",
    [WEIR_SIM_LIES] = "lying disks judged",
    [WEIR_SIM_LIES_REFUSED] = "lying disks refused",
    [WEIR_SIM_NOTICED_REFUSED] = "damaged disks refused",
    [WEIR_SIM_FLOWED] = "classes that flowed",
};

const char *
weir_sim_event_name(enum weir_sim_event event)
{
	return event_names[event];
}

void
weir_system_count(struct weir_system *system, enum weir_sim_event event, uint64_t n)
{
	system->counts->events[event] += n;
}

void
weir_system_fail(struct weir_system *system, const char *format, ...)
{
	va_list arguments;

	if (system->error[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(system->error, sizeof(system->error), format, arguments);
	va_end(arguments);
}

bool
weir_system_failed(const struct weir_system *system)
{
	return system->error[0] != '\0';
}

/* ---- time ---- */

static uint64_t
true_ns(const struct weir_system *system)
{
	return (uint64_t)((weir_u128)system->tick * WEIR_NS_PER_S / system->tick_hz);
}

void
weir_system_pass(struct weir_system *system, uint64_t ns)
{
	system->tick += (uint64_t)((weir_u128)ns * system->tick_hz / WEIR_NS_PER_S);
	system->tick += weir_random_below(&system->random, 3);
}

uint64_t
weir_system_tsc(const struct weir_system *system)
{
	return system->tick - system->tsc_base;
}

uint64_t
weir_system_boot_ns(const struct weir_system *system)
{
	return true_ns(system) - system->boot_base;
}

/* ---- making ---- */

static void
commission(struct weir_system *system)
{
	enum weir_witness_kind kind = system->traits.witness;

	weir_ledger_key_make("sim", &system->key);
	weir_witness_sim_init(&system->witness, weir_random_between(&system->random, 1, 1000));
	if (weir_ledger_commission(weir_disk_sim_attach(system->disk), &system->key, kind,
	                           kind == WEIR_WITNESS_NONE ? 0 : system->witness.value, NULL,
	                           0) != 0)
		abort();
}

struct weir_system *
weir_system_new(struct weir_sim_ports *ports, struct weir_sim_counts *counts,
                const struct weir_sim_traits *traits, uint64_t seed)
{
	static const uint64_t speeds[] = {1000000000, 2000000000, 2596098010, 3333333333};
	struct weir_system *system = calloc(1, sizeof(*system));

	if (system == NULL)
		abort();
	system->credit = aligned_alloc(WEIR_CACHE_LINE, sizeof(*system->credit));
	if (system->credit == NULL)
		abort();
	system->traits = *traits;
	system->counts = counts;
	system->ports = ports;
	system->random = weir_random_make(seed);
	system->tick_hz = speeds[weir_random_below(&system->random, WEIR_TEST_COUNT(speeds))];
	system->tick = 1000 * system->tick_hz;
	system->settled = true;
	system->tuning.grant_min_bytes = weir_random_between(&system->random, 2000, 40000);
	system->tuning.grant_max_bytes =
	    weir_random_between(&system->random, 50000, UINT64_C(1) << 30);
	system->tuning.horizon_ns =
	    weir_random_between(&system->random, WEIR_NS_PER_MS, WEIR_NS_PER_S);
	system->witness_every_bytes = weir_random_between(&system->random, 20000, 1000000);
	system->witness_interval_ns =
	    weir_random_between(&system->random, WEIR_NS_PER_S / 10, 100 * WEIR_NS_PER_S);
	weir_tape_init(&system->tape, system->tick_hz);
	weir_sim_policy_make(&system->policy, &system->random);
	system->disk = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, weir_random_next(&system->random));
	commission(system);
	weir_system_watch_disk(system);
	return system;
}

void
weir_system_free(struct weir_system *system)
{
	if (system->ledger != NULL)
		weir_system_bury(system);
	for (enum weir_disk_fault fault = WEIR_FAULT_NONE; fault < WEIR_FAULTS; fault++)
		system->counts->faults[fault] += weir_disk_sim_hits(system->disk, fault);
	weir_system_count(system, WEIR_SIM_WITNESS_ADVANCES, system->witness.advances);
	weir_disk_sim_free(system->disk);
	weir_tape_fini(&system->tape);
	free(system->credit);
	free(system);
}

/* ---- interruptions ---- */

void
weir_system_crash(struct weir_system *system, bool power)
{
	assert(!system->dead);
	system->dead = true;
	system->crash_in = 0;
	if (power)
		weir_disk_sim_power_cut(system->disk);
	else
		weir_disk_sim_kill(system->disk);
	weir_system_count(system, power ? WEIR_SIM_CUTS : WEIR_SIM_KILLS, 1);
	if (system->in_disk)
		weir_system_count(system, WEIR_SIM_CRASHES_IN_DISK, 1);
	for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
		if (system->workers[w].busy)
			weir_system_count(system, WEIR_SIM_CRASHES_IN_ROUND, 1);
	if (!system->running)
		weir_system_count(system, WEIR_SIM_CRASHES_AT_START, 1);
}

/* A point where the process may end. */
static void
reach_point(struct weir_system *system)
{
	if (!system->dead && system->crash_in > 0 && --system->crash_in == 0)
		weir_system_crash(system, !weir_random_one_in(&system->random, 3));
}

void
weir_system_offer(struct weir_system *system, bool flood)
{
	uint64_t n = flood ? WEIR_SIM_CLASSES : weir_random_below(&system->random, 7);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t amount = weir_random_next(&system->random);
		uint32_t class = flood ? (uint32_t)i : (uint32_t)(amount % WEIR_SIM_CLASSES);
		uint32_t bytes = 46;

		if (amount >> 63 != 0)
			bytes = 46 + (uint32_t)((amount >> 8) % 1469);
		(void)weir_sim_ports_put(system->ports, (amount >> 40) % WEIR_SIM_WORKERS, class,
		                         bytes);
	}
}

static void
run_interruption(struct weir_system *system)
{
	uint64_t what = weir_random_below(&system->random, 16);
	uint32_t worker = (uint32_t)weir_random_below(&system->random, WEIR_SIM_WORKERS);

	if (weir_random_one_in(&system->random, 2))
		weir_system_pass(system, weir_random_below(&system->random, 50 * WEIR_NS_PER_US));
	if (what < 6)
		weir_system_work(system, worker);
	else if (what < 10)
		weir_system_tick(system, false);
	else if (what < 11)
		weir_system_change(system, 1);
	else if (what < 12)
		weir_system_pass(system, weir_random_below(&system->random, 30 * WEIR_NS_PER_MS));
	else if (what < 13)
		weir_system_retire(system);
}

void
weir_system_interrupt(struct weir_system *system)
{
	reach_point(system);
	if (system->dead || system->depth == DEPTH_MAX)
		return;
	system->depth++;
	run_interruption(system);
	system->depth--;
}

/* Between charging and leaving. */
static void
on_sending(void *arg, uint16_t queue)
{
	struct weir_system *system = arg;

	(void)queue;
	if (!system->dead && weir_random_one_in(&system->random, 6))
		weir_system_interrupt(system);
}

void
weir_system_during_disk(void *arg, bool done)
{
	struct weir_system *system = arg;
	uint64_t limit_ns = 300 * WEIR_NS_PER_US;

	system->in_disk = true;
	if (done)
		system->disk_calls++;
	if (done && system->disk_calls == system->traits.cut_at_call)
		weir_system_crash(system, true);
	reach_point(system);
	if (!system->dead && system->depth < DEPTH_MAX) {
		system->depth++;
		if (system->tick < system->slow_until)
			limit_ns = 100 * WEIR_NS_PER_MS;
		if (system->running && weir_random_one_in(&system->random, 2))
			weir_system_offer(system, false);
		weir_system_pass(system, weir_random_below(&system->random, limit_ns));
		weir_system_pulse(system);
		for (uint32_t w = 0; w < WEIR_SIM_WORKERS && system->running; w++) {
			if (weir_random_one_in(&system->random, 3))
				continue;
			weir_system_work(system, w);
			weir_system_count(system, WEIR_SIM_ROUNDS_IN_DISK, 1);
		}
		system->depth--;
	}
	system->in_disk = false;
}

/* ---- workers ---- */

static void
settle(struct weir_system *system)
{
	if (system->settled)
		return;
	for (uint32_t w = 0; w < WEIR_SIM_WORKERS; w++)
		if (system->workers[w].busy &&
		    system->workers[w].publication != system->publications)
			return;
	weir_tape_settle(&system->tape, system->tick);
	system->settled = true;
}

/* What a budget may have sent is durable. */
static void
check_durable(struct weir_system *system)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++) {
		uint64_t taken = system->base_bytes[i] + system->tape.budgets[i].sent_bytes -
		                 system->base_sent[i];

		if (system->known[i] && taken > system->durable_bytes[system->ids[i]])
			weir_system_fail(
			    system, "budget %u: %" PRIu64 " charged and sent, durable are %" PRIu64,
			    i, taken, system->durable_bytes[system->ids[i]]);
	}
}

/* Writes down what has left by a worker's queue, now. */
static void
harvest(struct weir_system *system, uint32_t w)
{
	struct weir_sim_worker *worker = &system->workers[w];
	uint64_t bytes[WEIR_SIM_CLASSES] = {0}, age_tsc;
	uint32_t n = weir_sim_ports_take(system->ports, (uint16_t)w, bytes);
	const char *what = NULL;

	if (n == 0 || system->dead)
		return;
	weir_system_count(system, WEIR_SIM_FRAMES, n);
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		if (bytes[i] == 0)
			continue;
		weir_system_count(system, WEIR_SIM_BYTES, bytes[i]);
		what = weir_tape_send(&system->tape, &worker->policy, i, bytes[i], system->tick,
		                      worker->changes);
		if (what != NULL)
			weir_system_fail(system, "%s", what);
	}
	age_tsc = worker->reading_tsc - worker->pulse_tsc;
	if (worker->reading_tsc > worker->pulse_tsc &&
	    (weir_u128)age_tsc * WEIR_NS_PER_S >
	        (weir_u128)(worker->policy.heartbeat_limit_ns + 2) * system->tick_hz)
		weir_system_fail(system, "sent with a pulse %" PRIu64 " ticks old", age_tsc);
	if (system->traits.honest)
		check_durable(system);
}

void
weir_system_work(struct weir_system *system, uint32_t w)
{
	struct weir_sim_worker *worker = &system->workers[w];
	uint64_t reading_tsc = weir_system_tsc(system);

	if (!system->running || system->dead || worker->busy || worker->ended ||
	    system->tick < worker->stalled_until)
		return;
	worker->busy = true;
	worker->publication = system->publications;
	if (weir_random_one_in(&system->random, 16))
		weir_system_interrupt(system); /* the clock is read, nothing is done yet */
	if (!system->dead) {
		worker->publication = system->publications;
		worker->changes = system->tape.changes;
		worker->policy = system->published;
		worker->reading_tsc = reading_tsc;
		worker->pulse_tsc = atomic_load(&system->dataplane->pulse_tsc);
		worker->ended = weir_worker_round(system->dataplane->workers[w], reading_tsc);
		weir_system_count(system, WEIR_SIM_ROUNDS, 1);
		harvest(system, w);
	}
	worker->busy = false;
	settle(system);
}

void
weir_system_pulse(struct weir_system *system)
{
	if (system->running && system->tick >= system->pulse_until)
		weir_dataplane_pulse(system->dataplane, weir_system_tsc(system));
}

void
weir_system_tick(struct weir_system *system, bool late)
{
	uint64_t now_ns = weir_system_boot_ns(system);

	if (!system->running || system->dead || system->ledger_busy)
		return;
	system->ledger_busy = true;
	weir_system_count(system, late ? WEIR_SIM_LATE_TICKS : WEIR_SIM_TICKS, 1);
	for (uint32_t i = 0; late && i < 3 && !system->dead; i++) {
		weir_system_pass(system, weir_random_below(&system->random, 400 * WEIR_NS_PER_MS));
		weir_system_pulse(system);
		weir_system_offer(system, false);
		weir_system_work(system, i % WEIR_SIM_WORKERS);
	}
	if (!system->dead)
		weir_ledger_tick(system->ledger, now_ns);
	if (!system->dead && weir_disk_sim_is_dead(system->disk))
		weir_system_crash(system, false); /* a fault of the disk's own */
	system->ledger_busy = false;
}

void
weir_system_attach(struct weir_system *system)
{
	system->ports->sending = on_sending;
	system->ports->arg = system;
}
