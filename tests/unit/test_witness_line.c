/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread before a witness, and the witness a double that answers when the test lets it. */
#include "drivers/units.h"
#include "drivers/witness.h"
#include "tests/unit/harness.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define MS         WEIR_NS_PER_MS
#define LONG       (60 * WEIR_NS_PER_S) /* no machine is that slow */
#define MUST(call) CU_ASSERT_EQUAL_FATAL((call), 0)

struct doubled {
	struct weir_witness witness;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* Under the mutex. */
	bool blocks;
	int error; /* of the calls */
	uint64_t value;
	uint32_t begun, done, closed;
	uint32_t signals_open; /* that the calling thread might get */
	pthread_t caller;
};

static uint32_t
count_open_signals(void)
{
	uint32_t count = 0;
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGKILL && number != SIGSTOP &&
		    (number < SIGSYS + 1 || number >= SIGRTMIN) && !sigismember(&mask, number))
			count++;
	return count;
}

static int
doubled_call(struct doubled *doubled, bool advance, uint64_t *value)
{
	int rc;

	pthread_mutex_lock(&doubled->mutex);
	doubled->signals_open += count_open_signals();
	doubled->caller = pthread_self();
	doubled->begun++;
	pthread_cond_broadcast(&doubled->changed);
	while (doubled->blocks)
		pthread_cond_wait(&doubled->changed, &doubled->mutex);
	rc = doubled->error;
	if (rc == 0 && advance)
		doubled->value = *value;
	if (rc == 0)
		*value = doubled->value;
	doubled->done++;
	pthread_cond_broadcast(&doubled->changed);
	pthread_mutex_unlock(&doubled->mutex);
	return rc;
}

static int
doubled_read(struct weir_witness *witness, uint64_t *value)
{
	return doubled_call((struct doubled *)witness, false, value);
}

static int
doubled_advance(struct weir_witness *witness, uint64_t value)
{
	return doubled_call((struct doubled *)witness, true, &value);
}

static void
doubled_close(struct weir_witness *witness)
{
	((struct doubled *)witness)->closed++;
}

static const struct weir_witness_ops doubled_ops = {
    .read = doubled_read,
    .advance = doubled_advance,
    .close = doubled_close,
};

static void
make_double(struct doubled *doubled)
{
	*doubled = (struct doubled){.witness.ops = &doubled_ops,
	                            .mutex = PTHREAD_MUTEX_INITIALIZER,
	                            .changed = PTHREAD_COND_INITIALIZER,
	                            .value = 7};
}

static void
set(struct doubled *doubled, bool blocks, int error)
{
	pthread_mutex_lock(&doubled->mutex);
	doubled->blocks = blocks;
	doubled->error = error;
	pthread_cond_broadcast(&doubled->changed);
	pthread_mutex_unlock(&doubled->mutex);
}

static void
wait_until(struct doubled *doubled, const uint32_t *count, uint32_t at_least)
{
	pthread_mutex_lock(&doubled->mutex);
	while (*count < at_least)
		pthread_cond_wait(&doubled->changed, &doubled->mutex);
	pthread_mutex_unlock(&doubled->mutex);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
test_requests(void)
{
	struct doubled doubled;
	struct weir_witness_line *line;
	uint64_t since;

	make_double(&doubled);
	MUST(weir_witness_line_start(&doubled.witness, &line));
	for (uint64_t value = 8; value < 1000; value++) {
		line->ops->request(line, value);
		CU_ASSERT_EQUAL(line->ops->result(line, LONG), 0);
		CU_ASSERT_EQUAL(doubled.value, value);
	}
	/* Polled, without a wait. */
	line->ops->request(line, 1000);
	while (line->ops->result(line, 0) == -EAGAIN)
		;
	CU_ASSERT_EQUAL(doubled.value, 1000);
	/* The longest wait there is ends when the answer comes. */
	line->ops->request(line, 1001);
	CU_ASSERT_EQUAL(line->ops->result(line, UINT64_MAX), 0);
	CU_ASSERT_FALSE(pthread_equal(doubled.caller, pthread_self()));
	CU_ASSERT_EQUAL(doubled.signals_open, 0);
	/* Closing what does nothing does not wait for its two seconds. */
	since = now_ns();
	line->ops->close(line);
	CU_ASSERT_EQUAL(doubled.closed, 1);
	CU_ASSERT_EQUAL(doubled.done, 1001 - 7);
	CU_ASSERT(now_ns() >= since);
}

static void
test_errors(void)
{
	static const int errors[] = {-ENOENT, -EACCES, -EBADMSG, -ERANGE, -EIO, -ETIMEDOUT};
	struct doubled doubled;
	struct weir_witness_line *line;

	make_double(&doubled);
	MUST(weir_witness_line_start(&doubled.witness, &line));
	for (size_t i = 0; i < WEIR_TEST_COUNT(errors); i++) {
		set(&doubled, false, errors[i]);
		line->ops->request(line, 8);
		CU_ASSERT_EQUAL(line->ops->result(line, LONG), errors[i]);
	}
	/* What would say that it is still under way, for ever. */
	set(&doubled, false, -EAGAIN);
	line->ops->request(line, 8);
	CU_ASSERT_EQUAL(line->ops->result(line, LONG), -EBUSY);
	set(&doubled, false, 0);
	line->ops->request(line, 8);
	CU_ASSERT_EQUAL(line->ops->result(line, LONG), 0);
	/* A result that nobody has asked for. */
	line->ops->request(line, 9);
	wait_until(&doubled, &doubled.done, 9);
	line->ops->close(line);
	CU_ASSERT_EQUAL(doubled.closed, 1);
	CU_ASSERT_EQUAL(doubled.value, 9);
}

static void
test_blocked(void)
{
	struct doubled doubled;
	struct weir_witness_line *line;
	uint64_t since;

	make_double(&doubled);
	set(&doubled, true, 0);
	MUST(weir_witness_line_start(&doubled.witness, &line));
	line->ops->request(line, 8); /* returns, or the test hangs */
	CU_ASSERT_EQUAL(line->ops->result(line, 0), -EAGAIN);
	wait_until(&doubled, &doubled.begun, 1);
	since = now_ns();
	CU_ASSERT_EQUAL(line->ops->result(line, 30 * MS), -EAGAIN);
	CU_ASSERT(now_ns() - since >= 30 * MS);
	CU_ASSERT_EQUAL(line->ops->result(line, 1), -EAGAIN);
	CU_ASSERT_EQUAL(doubled.done, 0);
	set(&doubled, false, 0);
	CU_ASSERT_EQUAL(line->ops->result(line, LONG), 0);
	CU_ASSERT_EQUAL(doubled.begun, 1);
	line->ops->close(line);
	CU_ASSERT_EQUAL(doubled.closed, 1);
}

static void *
release_later(void *arg)
{
	struct doubled *doubled = arg;
	struct timespec wait = {.tv_nsec = 100 * (long)MS};

	nanosleep(&wait, NULL);
	set(doubled, false, 0);
	return NULL;
}

/* Closing waits for what is under way, so that the process that follows finds it done. */
static void
test_close_waits(void)
{
	struct doubled doubled;
	struct weir_witness_line *line;
	pthread_t helper;

	make_double(&doubled);
	set(&doubled, true, 0);
	MUST(weir_witness_line_start(&doubled.witness, &line));
	line->ops->request(line, 8);
	wait_until(&doubled, &doubled.begun, 1);
	MUST(pthread_create(&helper, NULL, release_later, &doubled));
	line->ops->close(line);
	/* Unless the helper did not run for two seconds. */
	CU_ASSERT(doubled.closed == doubled.done);
	pthread_join(helper, NULL);
}

/* One that hangs is left behind, is not closed, and ends by itself if it ever can. */
static void
test_close_while_blocked(void)
{
	static struct doubled doubled;
	static struct weir_witness_line *line; /* what is left behind is no leak */
	uint64_t since;

	make_double(&doubled);
	set(&doubled, true, 0);
	MUST(weir_witness_line_start(&doubled.witness, &line));
	line->ops->request(line, 8);
	wait_until(&doubled, &doubled.begun, 1);
	since = now_ns();
	line->ops->close(line);
	CU_ASSERT(now_ns() - since >= 2 * WEIR_NS_PER_S);
	CU_ASSERT_EQUAL(doubled.closed, 0);
	set(&doubled, false, 0);
	wait_until(&doubled, &doubled.done, 1);
	CU_ASSERT_EQUAL(doubled.closed, 0);
}

static void
test_read(void)
{
	struct doubled doubled;
	uint64_t value = 0;

	make_double(&doubled);
	for (int i = 0; i < 100; i++) {
		value = 0;
		CU_ASSERT_EQUAL(weir_witness_read(&doubled.witness, LONG, &value), 0);
		CU_ASSERT_EQUAL(value, 7);
	}
	CU_ASSERT_EQUAL(weir_witness_read(&doubled.witness, UINT64_MAX, &value), 0);
	set(&doubled, false, -EACCES);
	value = 99;
	CU_ASSERT_EQUAL(weir_witness_read(&doubled.witness, LONG, &value), -EACCES);
	CU_ASSERT_EQUAL(value, 99);
	CU_ASSERT_EQUAL(doubled.closed, 0);
	CU_ASSERT_EQUAL(doubled.signals_open, 0);
	CU_ASSERT_NOT_EQUAL(count_open_signals(), 0); /* the caller's own are as before */
}

/* Its thread hangs until the process ends. */
static void
test_read_limit(void)
{
	static struct doubled doubled;
	uint64_t value = 99, since = now_ns();

	make_double(&doubled);
	set(&doubled, true, 0);
	CU_ASSERT_EQUAL(weir_witness_read(&doubled.witness, 50 * MS, &value), -ETIMEDOUT);
	CU_ASSERT(now_ns() - since >= 50 * MS);
	CU_ASSERT_EQUAL(value, 99);
	CU_ASSERT_EQUAL(doubled.closed, 0);
}

static const struct weir_test tests[] = {
    {"requests and results", test_requests},
    {"errors", test_errors},
    {"a witness that takes its time", test_blocked},
    {"closing waits", test_close_waits},
    {"closing while it hangs", test_close_while_blocked},
    {"read", test_read},
    {"read, limited in time", test_read_limit},
};

int
main(void)
{
	return weir_test_run("witness_line", tests, WEIR_TEST_COUNT(tests));
}
