/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread behind one witness, that makes one call at a time:
 *
 *          request                 taken by the thread              done
 *   FREE ───────────► ASKED ─────────────────────────► UNDER_WAY ────────► DONE
 *    ▲                                                                      │
 *    └──────────────────────────────────────────────────────────────────────┘
 *                                    result
 *
 * The mutex is never held during a call of the witness. A thread that is left behind keeps the line
 * and the witness; it ends at its next look at the line and frees nothing, because by then the
 * process may be ending too.
 */
#include "drivers/units.h"
#include "drivers/witness.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define CLOSE_WAIT_NS (2 * WEIR_NS_PER_S)

enum step {
	STEP_FREE = 0,
	STEP_ASKED,
	STEP_UNDER_WAY,
	STEP_DONE,
};

struct line {
	struct weir_witness_line line;
	struct weir_witness *witness;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* step, closing or ended */
	/* Under the mutex. */
	enum step step;
	bool is_read; /* the request: read, not advance */
	bool closing;
	bool ended;     /* the thread will not touch the line any more, but for the mutex */
	uint64_t value; /* to advance to, or that was read */
	int result;
};

static struct line *
line_of(struct weir_witness_line *line)
{
	return (struct line *)line;
}

static void
lock(struct line *line)
{
	int rc = pthread_mutex_lock(&line->mutex);

	assert(rc == 0);
}

static void
unlock(struct line *line)
{
	int rc = pthread_mutex_unlock(&line->mutex);

	assert(rc == 0);
}

static void
go_to(struct line *line, enum step step)
{
	line->step = step;
	(void)pthread_cond_broadcast(&line->changed);
}

static void *
serve(void *arg)
{
	struct line *line = arg;

	lock(line);
	for (;;) {
		uint64_t value = line->value;
		bool is_read = line->is_read;
		int result;

		if (line->closing)
			break;
		if (line->step != STEP_ASKED) {
			(void)pthread_cond_wait(&line->changed, &line->mutex);
			continue;
		}
		go_to(line, STEP_UNDER_WAY);
		unlock(line);
		result = is_read ? line->witness->ops->read(line->witness, &value)
		                 : line->witness->ops->advance(line->witness, value);
		lock(line);
		line->value = value;
		line->result = result == -EAGAIN ? -EBUSY : result; /* it is not under way */
		go_to(line, STEP_DONE);
	}
	line->ended = true;
	(void)pthread_cond_broadcast(&line->changed);
	unlock(line);
	return NULL;
}

/* From now on the monotonic clock; saturates. */
static struct timespec
deadline(uint64_t wait_ns)
{
	struct timespec at;
	uint64_t s = wait_ns / WEIR_NS_PER_S;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)s;
	at.tv_nsec += (long)(wait_ns % WEIR_NS_PER_S);
	if (at.tv_nsec >= (long)WEIR_NS_PER_S) {
		at.tv_nsec -= (long)WEIR_NS_PER_S;
		at.tv_sec++;
	}
	return at;
}

static void
ask(struct line *line, bool is_read, uint64_t value)
{
	lock(line);
	assert(line->step == STEP_FREE);
	line->is_read = is_read;
	line->value = value;
	go_to(line, STEP_ASKED);
	unlock(line);
}

static void
line_request(struct weir_witness_line *line, uint64_t value)
{
	ask(line_of(line), false, value);
}

static int
line_result(struct weir_witness_line *of, uint64_t wait_ns)
{
	struct line *line = line_of(of);
	struct timespec until = deadline(wait_ns);
	int rc = 0;

	lock(line);
	assert(line->step != STEP_FREE);
	while (line->step != STEP_DONE && wait_ns > 0 && rc == 0)
		rc = pthread_cond_timedwait(&line->changed, &line->mutex, &until);
	if (line->step == STEP_DONE) {
		line->step = STEP_FREE;
		rc = line->result;
	} else {
		rc = -EAGAIN;
	}
	unlock(line);
	return rc;
}

/*
 * Ends the thread, waiting for at most wait_ns. True when it has ended and all but the witness is
 * freed; false when it was left behind.
 */
static bool
end(struct line *line, uint64_t wait_ns)
{
	struct timespec until = deadline(wait_ns);
	bool ended;
	int rc = 0;

	lock(line);
	line->closing = true;
	(void)pthread_cond_broadcast(&line->changed);
	/* A thread that makes no call ends at once, however busy the machine is. */
	while (!line->ended && (line->step != STEP_UNDER_WAY || rc == 0)) {
		if (line->step == STEP_UNDER_WAY)
			rc = pthread_cond_timedwait(&line->changed, &line->mutex, &until);
		else
			(void)pthread_cond_wait(&line->changed, &line->mutex);
	}
	ended = line->ended;
	unlock(line);
	if (!ended) {
		(void)pthread_detach(line->thread);
		return false;
	}
	(void)pthread_join(line->thread, NULL);
	(void)pthread_cond_destroy(&line->changed);
	(void)pthread_mutex_destroy(&line->mutex);
	free(line);
	return true;
}

static void
line_close(struct weir_witness_line *line)
{
	struct weir_witness *witness = line_of(line)->witness;

	if (end(line_of(line), CLOSE_WAIT_NS))
		witness->ops->close(witness);
}

static const struct weir_witness_line_ops line_ops = {
    .request = line_request,
    .result = line_result,
    .close = line_close,
};

static int
init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int rc = pthread_condattr_init(&attributes);

	if (rc != 0)
		return -rc;
	rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(condition, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return -rc;
}

/* A thread inherits its creator's signal mask. */
static int
start_thread(struct line *line)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	rc = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc != 0)
		return -rc;
	rc = pthread_create(&line->thread, NULL, serve, line);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

static int
start(struct weir_witness *witness, struct line **started)
{
	struct line *line = calloc(1, sizeof(*line));
	int rc;

	if (line == NULL)
		return -ENOMEM;
	line->line.ops = &line_ops;
	line->witness = witness;
	rc = init_condition(&line->changed);
	if (rc != 0)
		goto no_condition;
	rc = -pthread_mutex_init(&line->mutex, NULL);
	if (rc != 0)
		goto no_mutex;
	rc = start_thread(line);
	if (rc != 0)
		goto no_thread;
	*started = line;
	return 0;

no_thread:
	(void)pthread_mutex_destroy(&line->mutex);
no_mutex:
	(void)pthread_cond_destroy(&line->changed);
no_condition:
	free(line);
	return rc;
}

int
weir_witness_line_start(struct weir_witness *witness, struct weir_witness_line **line)
{
	struct line *started;
	int rc = start(witness, &started);

	if (rc == 0)
		*line = &started->line;
	return rc;
}

int
weir_witness_read(struct weir_witness *witness, uint64_t limit_ns, uint64_t *value)
{
	struct line *line;
	bool ended;
	int rc = start(witness, &line);

	if (rc != 0)
		return rc;
	ask(line, true, 0);
	rc = line_result(&line->line, limit_ns);
	if (rc == 0)
		*value = line->value; /* the thread does not write it without a request */
	ended = end(line, 0);
	assert(ended || rc == -EAGAIN);
	/* It may have answered while it was told to end, and is left alone all the same. */
	return rc == -EAGAIN ? -ETIMEDOUT : rc;
}
