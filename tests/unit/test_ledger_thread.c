/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger's thread, with a real clock: on a file, on a disk that fails, and on one that hangs.
 */
#include "control/ledger_format.h"
#include "control/ledger_thread.h"
#include "tests/sim/disk_sim.h"

#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#define MUST(call) CU_ASSERT_EQUAL_FATAL((call), 0)

/* Bounds every wait: reached only when something is broken. */
#define WAITS_MAX 20000

static struct weir_credit *credit;
static struct weir_credit_worker *worker;
static struct weir_config config;
static struct weir_config_budget budget;
static struct weir_config_class class;
static uint32_t id;
static struct weir_ledger_key key;

static int
commission(struct weir_disk *disk)
{
	weir_ledger_key_make("thread", &key);
	return weir_ledger_commission(disk, &key, WEIR_WITNESS_NONE, 0, NULL, 0);
}

static void
make_credit(void)
{
	free(credit);
	free(worker);
	credit = calloc(1, sizeof(*credit));
	worker = calloc(1, sizeof(*worker));
	if (credit == NULL || worker == NULL)
		abort();
	weir_credit_init(credit, &worker, 1);
}

static void
make_policy(uint64_t limit_bytes, uint64_t window_ns)
{
	memset(&budget, 0, sizeof(budget));
	snprintf(budget.name, sizeof(budget.name), "total");
	budget.parent = WEIR_ANY;
	budget.n_caps = 1;
	budget.caps[0].limit_bytes = limit_bytes;
	budget.caps[0].window_ns = window_ns;
	config.budgets = &budget;
	config.n_budgets = 1;
	class.rate_bit_s = UINT64_C(1000000000000);
	config.classes = &class;
	config.n_classes = 1;
}

static uint64_t
send(uint64_t bytes)
{
	uint16_t path = (uint16_t)id;
	uint32_t short_of;
	uint64_t held;

	while (bytes > 0 && !weir_credit_charge(credit, 0, &path, 1, bytes, &short_of, &held))
		bytes = held;
	if (bytes > 0)
		weir_credit_settle(credit, 0, &path, 1, bytes, 0);
	return bytes;
}

static void
pause_ms(void)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	nanosleep(&ms, NULL);
}

/* Events of a kind. */
static uint32_t
count_events(struct weir_events *events, const char *kind)
{
	struct weir_event event;
	uint32_t count = 0;

	for (uint64_t number = 1; weir_events_get(events, number, &event);
	     number = event.number + 1)
		count += strcmp(event.kind, kind) == 0;
	return count;
}

static void
wait_event(struct weir_events *events, const char *kind)
{
	for (uint32_t i = 0; i < WAITS_MAX && count_events(events, kind) == 0; i++)
		pause_ms();
	CU_ASSERT_EQUAL(count_events(events, kind), 1);
}

static struct weir_ledger *
open_ledger(struct weir_disk *disk)
{
	const struct weir_ledger_options options = {.key = &key};
	struct weir_ledger *ledger = NULL;
	char error[512];

	make_credit();
	if (weir_ledger_open(disk, credit, &options, &ledger, error, sizeof(error)) !=
	    WEIR_REFUSAL_NONE)
		printf("    %s\n", error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ledger);
	MUST(weir_ledger_set_policy(ledger, &config, 0, &id));
	return ledger;
}

static void
test_on_a_file(void)
{
	struct weir_events *events = weir_events_new(64);
	char path[] = "/tmp/weir-test-thread-XXXXXX";
	struct weir_ledger_budget_status status;
	struct weir_ledger_status whole;
	struct weir_ledger_thread *thread;
	struct weir_ledger *ledger;
	struct weir_disk *disk;
	uint64_t sent = 0;

	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	unlink(path);
	MUST(weir_disk_create_file(path, WEIR_LEDGER_FILE_BYTES, &disk));
	MUST(commission(disk));
	make_policy(20000000, 0);
	ledger = open_ledger(disk);
	MUST(weir_ledger_thread_start(ledger, 0, events, &thread));
	for (uint32_t i = 0; i < WAITS_MAX && sent < 20000000; i++) {
		sent += send(1500000);
		pause_ms();
	}
	CU_ASSERT_EQUAL(sent, 20000000);
	wait_event(events, "cap_reached");
	/* Loosened from here, while it runs. */
	budget.caps[0].limit_bytes = 40000000;
	MUST(weir_ledger_thread_set_policy(thread, &config, &id));
	weir_ledger_thread_get_budget(thread, id, &status);
	CU_ASSERT_EQUAL(status.caps[0].limit_bytes, 40000000);
	for (uint32_t i = 0; i < WAITS_MAX && sent < 20001000; i++) {
		sent += send(1000);
		pause_ms();
	}
	CU_ASSERT_EQUAL(sent, 20001000);
	wait_event(events, "cap_cleared");
	weir_credit_return(credit, 0, id);
	MUST(weir_ledger_thread_finish(thread));
	weir_ledger_thread_get_budget(thread, id, &status);
	CU_ASSERT_EQUAL(status.charged_bytes, sent);
	CU_ASSERT_EQUAL(status.granted_bytes, sent);
	weir_ledger_thread_get_status(thread, &whole);
	CU_ASSERT(!whole.failed && whole.sync_max_ns > 0 && whole.syncs > 4);
	MUST(weir_ledger_thread_stop(thread));

	MUST(weir_disk_open_file(path, &disk));
	ledger = open_ledger(disk);
	MUST(weir_ledger_thread_start(ledger, 0, NULL, &thread));
	weir_ledger_thread_get_budget(thread, id, &status);
	CU_ASSERT_EQUAL(status.charged_bytes, sent);
	MUST(weir_ledger_thread_stop(thread));
	CU_ASSERT_EQUAL(count_events(events, "ledger_failed"), 0);
	CU_ASSERT_EQUAL(count_events(events, "ledger_forfeit"), 0);
	weir_events_free(events);
	unlink(path);
}

static void
test_disk_fails(void)
{
	struct weir_disk_sim *sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, weir_test_seed());
	struct weir_events *events = weir_events_new(64);
	struct weir_ledger_budget_status status;
	struct weir_ledger_thread *thread;
	struct weir_ledger_status whole;
	struct weir_ledger *ledger;
	uint64_t sent = 0;

	MUST(commission(weir_disk_sim_attach(sim)));
	make_policy(UINT64_C(1) << 50, 0);
	ledger = open_ledger(weir_disk_sim_attach(sim));
	weir_disk_sim_plan(sim, weir_disk_sim_calls(sim) + 9, WEIR_FAULT_ERROR, -EIO);
	MUST(weir_ledger_thread_start(ledger, 0, events, &thread));
	for (uint32_t i = 0; i < WAITS_MAX; i++) {
		sent += send(1500000);
		weir_ledger_thread_get_status(thread, &whole);
		if (whole.failed)
			break;
		pause_ms();
	}
	CU_ASSERT_EQUAL(whole.error, -EIO);
	wait_event(events, "ledger_failed");
	for (uint32_t i = 0; i < 100; i++)
		sent += send(UINT64_C(1) << 40);
	pause_ms();
	CU_ASSERT_EQUAL(send(1), 0); /* the last grant is spent: that was all */
	CU_ASSERT_EQUAL(weir_ledger_thread_set_policy(thread, &config, &id), -EIO);
	weir_ledger_thread_get_budget(thread, id, &status);
	CU_ASSERT_EQUAL(status.granted_bytes, sent);
	CU_ASSERT_EQUAL(weir_ledger_thread_stop(thread), -EIO);
	CU_ASSERT_EQUAL(count_events(events, "ledger_failed"), 1);
	weir_events_free(events);
	weir_disk_sim_free(sim);
}

/* A disk whose sync hangs while the gate is shut. */
struct gated_disk {
	struct weir_disk disk;
	struct weir_disk *inner;
	atomic_bool shut;
	sem_t hangs, opens;
};

static int
gated_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	struct gated_disk *gated = (struct gated_disk *)disk;

	return gated->inner->ops->read(gated->inner, data, bytes, offset);
}

static int
gated_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	struct gated_disk *gated = (struct gated_disk *)disk;

	return gated->inner->ops->write(gated->inner, data, bytes, offset);
}

static int
gated_sync(struct weir_disk *disk)
{
	struct gated_disk *gated = (struct gated_disk *)disk;

	if (atomic_load(&gated->shut)) {
		sem_post(&gated->hangs);
		while (sem_wait(&gated->opens) != 0)
			;
	}
	return gated->inner->ops->sync(gated->inner);
}

static int
gated_size(struct weir_disk *disk, uint64_t *bytes)
{
	struct gated_disk *gated = (struct gated_disk *)disk;

	return gated->inner->ops->size(gated->inner, bytes);
}

static void
gated_close(struct weir_disk *disk)
{
	(void)disk;
}

static const struct weir_disk_ops gated_ops = {
    .read = gated_read,
    .write = gated_write,
    .sync = gated_sync,
    .size = gated_size,
    .close = gated_close,
};

/* While a sync hangs, status is told, and what is not durable can't be spent. */
static void
test_disk_hangs(void)
{
	struct weir_disk_sim *sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, weir_test_seed());
	struct gated_disk gated = {.disk.ops = &gated_ops};
	struct weir_ledger_budget_status status;
	struct weir_ledger_thread *thread;
	struct weir_ledger_status whole;
	uint64_t sent = 0, sequence;

	sem_init(&gated.hangs, 0, 0);
	sem_init(&gated.opens, 0, 0);
	MUST(commission(weir_disk_sim_attach(sim)));
	gated.inner = weir_disk_sim_attach(sim);
	make_policy(UINT64_C(1) << 50, 0);
	MUST(weir_ledger_thread_start(open_ledger(&gated.disk), 0, NULL, &thread));
	for (uint32_t i = 0; i < WAITS_MAX && sent == 0; i++) {
		sent += send(1000);
		pause_ms();
	}
	atomic_store(&gated.shut, true);
	sent += send(UINT64_C(1) << 40);
	while (sem_wait(&gated.hangs) != 0)
		;
	weir_ledger_thread_get_status(thread, &whole);
	sequence = whole.sequence;
	sent += send(UINT64_C(1) << 40);
	for (uint32_t i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(send(1), 0);
		pause_ms();
	}
	weir_ledger_thread_get_status(thread, &whole);
	CU_ASSERT_EQUAL(whole.sequence, sequence);
	weir_ledger_thread_get_budget(thread, id, &status);
	CU_ASSERT_EQUAL(status.granted_bytes, sent);
	atomic_store(&gated.shut, false);
	sem_post(&gated.opens);
	MUST(weir_ledger_thread_set_policy(thread, &config, &id));
	CU_ASSERT(send(1) == 1);
	MUST(weir_ledger_thread_stop(thread));
	weir_disk_sim_free(sim);
	sem_destroy(&gated.hangs);
	sem_destroy(&gated.opens);
}

static void
test_bad_cpu(void)
{
	struct weir_disk_sim *sim = weir_disk_sim_new(WEIR_LEDGER_FILE_BYTES, weir_test_seed());
	struct weir_ledger_thread *thread;
	struct weir_ledger *ledger;

	MUST(commission(weir_disk_sim_attach(sim)));
	make_policy(1000, WEIR_NS_PER_S);
	ledger = open_ledger(weir_disk_sim_attach(sim));
	CU_ASSERT(weir_ledger_thread_start(ledger, 1000000, NULL, &thread) < 0);
	CU_ASSERT(weir_ledger_thread_start(ledger, 1023, NULL, &thread) < 0);
	weir_ledger_close(ledger);
	weir_disk_sim_free(sim);
}

static const struct weir_test tests[] = {
    {"on a file, to the cap, and again", test_on_a_file},
    {"the disk fails", test_disk_fails},
    {"the disk hangs", test_disk_hangs},
    {"a CPU that is not there", test_bad_cpu},
};

int
main(void)
{
	int rc = weir_test_run("ledger_thread", tests, WEIR_TEST_COUNT(tests));

	free(credit);
	free(worker);
	return rc;
}
