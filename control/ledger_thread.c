/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_thread.h"

#include "drivers/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_NS WEIR_NS_PER_MS

/* Budgets copied and looked at in one tick: bounds what status costs with thousands of them. */
#define COPIES_A_TICK 128U

/* A cap counts as reached when the largest frame that a port can take no longer fits. */
#define REACHED_BYTES                                                                              \
	(WEIR_MTU_MAX + WEIR_FRAME_HEADER_BYTES + WEIR_VLAN_TAGS_MAX * WEIR_VLAN_TAG_BYTES +       \
	 WEIR_WIRE_OVERHEAD_BYTES)

/* ... and as cleared when this part of it is free again; and it says so no more often than this. */
#define CLEARED_SHARE    8U
#define CAP_EVENT_GAP_NS WEIR_NS_PER_S

enum request { REQUEST_NONE, REQUEST_POLICY, REQUEST_STOP };

/* What was last said of one cap. Ledger thread only. */
struct said {
	uint64_t limit_bytes;
	uint64_t window_ns;
	uint64_t at_ns; /* 0: never */
	bool reached;
};

struct weir_ledger_thread {
	struct weir_ledger *ledger; /* ledger thread only, once it runs */
	struct weir_events *events;
	pthread_t thread;

	_Atomic uint64_t
	    since_ns; /* when the present tick or request began; 0: none is under way */

	/* Control thread only. */
	bool finished;
	int finish_rc;

	/* Requests: control writes, the ledger thread answers. Never held across a tick. */
	pthread_mutex_t lock;
	pthread_cond_t wake;     /* to the ledger thread */
	pthread_cond_t answered; /* to the control thread */
	enum request request;
	const struct weir_config *config;
	uint32_t *ids;
	int answer;

	/* Copies: the ledger thread writes, others read. Never held across a tick. */
	pthread_mutex_t copy_lock;
	struct weir_ledger_status status;
	struct weir_ledger_budget_status budgets[WEIR_BUDGETS_MAX];

	/* Ledger thread only. */
	uint32_t next_copy; /* position in the policy */
	bool failure_said, witness_said;
	struct said said[WEIR_BUDGETS_MAX][WEIR_CAPS_MAX];
};

/* Says how a window is called, for people: "lifetime" or "per 86400.000 s". */
static void
window_name(uint64_t window_ns, char *name, size_t size)
{
	if (window_ns == 0)
		snprintf(name, size, "lifetime");
	else
		snprintf(name, size, "per %llu.%03llu s", window_ns / WEIR_NS_PER_S,
		         window_ns % WEIR_NS_PER_S / WEIR_NS_PER_MS);
}

static void
post_cap(struct weir_ledger_thread *thread, uint32_t id, const struct weir_ledger_cap_status *cap,
         bool reached)
{
	char window[48];

	window_name(cap->window_ns, window, sizeof(window));
	if (reached)
		weir_events_post(thread->events, WEIR_WARNING, "cap_reached",
		                 "budget %s: cap of %" PRIu64 " bytes %s reached, %" PRIu64
		                 " bytes used",
		                 weir_ledger_get_name(thread->ledger, id), cap->limit_bytes, window,
		                 cap->used_bytes);
	else
		weir_events_post(thread->events, WEIR_INFO, "cap_cleared",
		                 "budget %s: cap of %" PRIu64 " bytes %s has %" PRIu64
		                 " bytes again",
		                 weir_ledger_get_name(thread->ledger, id), cap->limit_bytes, window,
		                 cap->remaining_bytes);
}

/* Looks whether a cap was reached or cleared since it was last looked at. */
static void
watch_cap(struct weir_ledger_thread *thread, uint32_t id, uint32_t index,
          const struct weir_ledger_cap_status *cap, uint64_t now_ns)
{
	struct said *said = &thread->said[id][index];
	bool reached = said->reached;

	if (said->window_ns != cap->window_ns)
		*said = (struct said){0}; /* another cap stands in this place now */
	said->window_ns = cap->window_ns;
	said->limit_bytes = cap->limit_bytes;
	if (cap->remaining_bytes < REACHED_BYTES && cap->used_bytes > 0)
		reached = true;
	else if (cap->remaining_bytes >= cap->limit_bytes / CLEARED_SHARE)
		reached = false;
	if (reached == said->reached)
		return;
	if (said->at_ns != 0 && now_ns - said->at_ns < CAP_EVENT_GAP_NS)
		return; /* said later, if it is still so then */
	said->reached = reached;
	said->at_ns = now_ns;
	post_cap(thread, id, cap, reached);
}

/* Copies the status of n budgets of the policy, going on where the last call ended. */
static void
copy_budgets(struct weir_ledger_thread *thread, uint32_t n, uint64_t now_ns)
{
	const uint32_t *ids;
	uint32_t n_policy = weir_ledger_get_policy(thread->ledger, &ids);

	if (n > n_policy)
		n = n_policy;
	for (uint32_t i = 0; i < n; i++) {
		struct weir_ledger_budget_status status;
		uint32_t id;

		if (thread->next_copy >= n_policy)
			thread->next_copy = 0;
		id = ids[thread->next_copy++];
		weir_ledger_get_budget(thread->ledger, id, &status);
		pthread_mutex_lock(&thread->copy_lock);
		thread->budgets[id] = status;
		pthread_mutex_unlock(&thread->copy_lock);
		for (uint32_t k = 0; k < status.n_caps && thread->events != NULL; k++)
			watch_cap(thread, id, k, &status.caps[k], now_ns);
	}
}

/* Says once that the witness fails, and once that it no longer does. */
static void
watch_witness(struct weir_ledger_thread *thread, const struct weir_ledger_status *status)
{
	bool failed = status->witness_error != 0;

	if (failed == thread->witness_said)
		return;
	thread->witness_said = failed;
	if (failed)
		weir_events_post(thread->events, WEIR_ALARM, "witness_failed",
		                 "witness: did not advance to %" PRIu64
		                 ": %s; asked again every %llu s; the root is granted at most "
		                 "%" PRIu64 " bytes more until it does",
		                 status->witness_value + 1, strerror(-status->witness_error),
		                 WEIR_WITNESS_RETRY_NS / WEIR_NS_PER_S, status->witness_left_bytes);
	else
		weir_events_post(thread->events, WEIR_INFO, "witness_advanced",
		                 "witness: stands at %" PRIu64 ": it advances again",
		                 status->witness_value);
}

static void
copy_status(struct weir_ledger_thread *thread)
{
	struct weir_ledger_status status;

	weir_ledger_get_status(thread->ledger, &status);
	pthread_mutex_lock(&thread->copy_lock);
	thread->status = status;
	pthread_mutex_unlock(&thread->copy_lock);
	if (status.failed && !thread->failure_said && thread->events != NULL)
		weir_events_post(
		    thread->events, WEIR_ALARM, "ledger_failed",
		    "ledger: write or sync: %s; nothing more is granted until a restart",
		    strerror(-status.error));
	thread->failure_said |= status.failed;
	if (thread->events != NULL)
		watch_witness(thread, &status);
}

/* Carries a request out. lock is not held: control waits, and touches nothing meanwhile. */
static int
serve(struct weir_ledger_thread *thread, enum request request)
{
	uint64_t now_ns = weir_clock_boot_ns();
	int rc;

	atomic_store(&thread->since_ns, now_ns);
	if (request == REQUEST_STOP)
		rc = weir_ledger_finish(thread->ledger, now_ns);
	else
		rc = weir_ledger_set_policy(thread->ledger, thread->config, now_ns, thread->ids);
	atomic_store(&thread->since_ns, 0);
	copy_status(thread);
	copy_budgets(thread, WEIR_BUDGETS_MAX, now_ns);
	return rc;
}

/* Waits for a request, until the clock reads deadline_ns. Returns what there is. */
static enum request
await(struct weir_ledger_thread *thread, uint64_t deadline_ns)
{
	struct timespec until = {
	    .tv_sec = (time_t)(deadline_ns / WEIR_NS_PER_S),
	    .tv_nsec = (long)(deadline_ns % WEIR_NS_PER_S),
	};
	enum request request;

	pthread_mutex_lock(&thread->lock);
	while (thread->request == REQUEST_NONE)
		if (pthread_cond_clockwait(&thread->wake, &thread->lock, CLOCK_MONOTONIC, &until) !=
		    0)
			break;
	request = thread->request;
	pthread_mutex_unlock(&thread->lock);
	return request;
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void *
run(void *argument)
{
	struct weir_ledger_thread *thread = argument;
	uint64_t deadline_ns = monotonic_ns();
	enum request request = REQUEST_NONE;

	while (request != REQUEST_STOP) {
		request = await(thread, deadline_ns);
		if (request == REQUEST_NONE) {
			uint64_t boot_ns = weir_clock_boot_ns(), now_ns;

			atomic_store(&thread->since_ns, boot_ns);
			weir_ledger_tick(thread->ledger, boot_ns);
			atomic_store(&thread->since_ns, 0);
			copy_status(thread);
			copy_budgets(thread, COPIES_A_TICK, boot_ns);
			/* Ticks that a slow disk has cost are not made up for. */
			now_ns = monotonic_ns();
			deadline_ns += TICK_NS;
			if (deadline_ns < now_ns)
				deadline_ns = now_ns;
		} else {
			int answer = serve(thread, request);

			pthread_mutex_lock(&thread->lock);
			thread->answer = answer;
			thread->request = REQUEST_NONE;
			pthread_cond_signal(&thread->answered);
			pthread_mutex_unlock(&thread->lock);
		}
	}
	return NULL;
}

/* Hands a request over and waits for the answer. */
static int
ask(struct weir_ledger_thread *thread, enum request request, const struct weir_config *config,
    uint32_t *ids)
{
	int answer;

	pthread_mutex_lock(&thread->lock);
	assert(thread->request == REQUEST_NONE);
	thread->config = config;
	thread->ids = ids;
	thread->request = request;
	pthread_cond_signal(&thread->wake);
	while (thread->request != REQUEST_NONE)
		pthread_cond_wait(&thread->answered, &thread->lock);
	answer = thread->answer;
	pthread_mutex_unlock(&thread->lock);
	return answer;
}

static void
post_start(struct weir_ledger_thread *thread)
{
	const struct weir_ledger_status *status = &thread->status;

	if (thread->events == NULL)
		return;
	if (status->slot_lost)
		weir_events_post(thread->events, WEIR_WARNING, "ledger_slot_lost",
		                 "ledger: one slot held no valid record at start: a write cut off, "
		                 "or garbled bytes; the charge includes all that it can have held");
	if (status->forfeited_bytes > 0)
		weir_events_post(thread->events, WEIR_INFO, "ledger_forfeit",
		                 "ledger: %" PRIu64 " bytes granted to the last run and not known "
		                 "as spent count as spent",
		                 status->forfeited_bytes);
}

/* Starts the thread on its cpu, with all signals blocked: they are for the control thread. */
static int
launch(struct weir_ledger_thread *thread, unsigned int cpu)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	cpu_set_t cpus;
	int rc;

	if (cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	rc = pthread_attr_init(&attributes);
	if (rc != 0)
		return -rc;
	rc = pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc == 0)
		rc = pthread_create(&thread->thread, &attributes, run, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (rc == 0)
		pthread_setname_np(thread->thread, "weir-ledger");
	return -rc;
}

static void
free_thread(struct weir_ledger_thread *thread)
{
	pthread_cond_destroy(&thread->answered);
	pthread_cond_destroy(&thread->wake);
	pthread_mutex_destroy(&thread->copy_lock);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
}

int
weir_ledger_thread_start(struct weir_ledger *ledger, unsigned int cpu, struct weir_events *events,
                         struct weir_ledger_thread **thread)
{
	struct weir_ledger_thread *made = calloc(1, sizeof(*made));
	int rc;

	if (made == NULL)
		return -ENOMEM;
	made->ledger = ledger;
	made->events = events;
	pthread_mutex_init(&made->lock, NULL);
	pthread_mutex_init(&made->copy_lock, NULL);
	pthread_cond_init(&made->wake, NULL);
	pthread_cond_init(&made->answered, NULL);
	weir_ledger_set_clock(ledger, weir_clock_raw_ns);
	copy_status(made);
	copy_budgets(made, WEIR_BUDGETS_MAX, weir_clock_boot_ns());
	post_start(made);
	rc = launch(made, cpu);
	if (rc != 0) {
		free_thread(made);
		return rc;
	}
	*thread = made;
	return 0;
}

int
weir_ledger_thread_set_policy(struct weir_ledger_thread *thread, const struct weir_config *config,
                              uint32_t *ids)
{
	assert(!thread->finished);
	return ask(thread, REQUEST_POLICY, config, ids);
}

void
weir_ledger_thread_get_status(struct weir_ledger_thread *thread, struct weir_ledger_status *status)
{
	pthread_mutex_lock(&thread->copy_lock);
	*status = thread->status;
	pthread_mutex_unlock(&thread->copy_lock);
}

void
weir_ledger_thread_get_budget(struct weir_ledger_thread *thread, uint32_t id,
                              struct weir_ledger_budget_status *status)
{
	assert(id < WEIR_BUDGETS_MAX);
	pthread_mutex_lock(&thread->copy_lock);
	*status = thread->budgets[id];
	pthread_mutex_unlock(&thread->copy_lock);
}

uint64_t
weir_ledger_thread_busy_ns(const struct weir_ledger_thread *thread, uint64_t now_boot_ns)
{
	uint64_t since_ns = atomic_load(&thread->since_ns);

	return since_ns == 0 ? 0 : weir_sat_sub(now_boot_ns, since_ns);
}

int
weir_ledger_thread_finish(struct weir_ledger_thread *thread)
{
	assert(!thread->finished);
	thread->finished = true;
	thread->finish_rc = ask(thread, REQUEST_STOP, NULL, NULL);
	return thread->finish_rc;
}

int
weir_ledger_thread_stop(struct weir_ledger_thread *thread)
{
	int rc = thread->finished ? thread->finish_rc : weir_ledger_thread_finish(thread);

	pthread_join(thread->thread, NULL);
	weir_ledger_close(thread->ledger);
	free_thread(thread);
	return rc;
}
