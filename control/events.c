/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/events.h"

#include "drivers/clock.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_CAPACITY_MIN 16U
#define EVENTS_CAPACITY_MAX 65536U

struct weir_events {
	pthread_mutex_t lock; /* held for a copy of one event, never across I/O */
	int fd;
	uint32_t capacity;
	uint64_t posted; /* number of the newest; 0: none yet */
	struct weir_event ring[];
};

struct weir_events *
weir_events_new(uint32_t capacity)
{
	struct weir_events *events;

	assert(capacity >= EVENTS_CAPACITY_MIN && capacity <= EVENTS_CAPACITY_MAX);
	events = calloc(1, sizeof(*events) + capacity * sizeof(events->ring[0]));
	if (events == NULL)
		return NULL;
	events->capacity = capacity;
	events->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (events->fd < 0) {
		free(events);
		return NULL;
	}
	if (pthread_mutex_init(&events->lock, NULL) != 0) {
		close(events->fd);
		free(events);
		return NULL;
	}
	return events;
}

void
weir_events_free(struct weir_events *events)
{
	if (events == NULL)
		return;
	pthread_mutex_destroy(&events->lock);
	close(events->fd);
	free(events);
}

static void
keep_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

/*
 * A reader of standard error that has stopped reading must not stop the ledger: the line is written
 * only when it goes without waiting. A pipe that polls writable takes PIPE_BUF bytes.
 */
static void
write_line(const struct weir_event *event)
{
	static const char *const severities[] = {
	    [WEIR_INFO] = "info",
	    [WEIR_WARNING] = "warning",
	    [WEIR_ALARM] = "alarm",
	};
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[WEIR_EVENT_KIND_SIZE + WEIR_EVENT_MESSAGE_SIZE + 32];
	int length;

	length = snprintf(line, sizeof(line), "weir: %s: %s: %s\n", severities[event->severity],
	                  event->kind, event->message);
	assert(length > 0 && (size_t)length < sizeof(line));
	if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0)
		return;
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* nowhere left to complain to; the ring has it */
}

void
weir_events_post(struct weir_events *events, enum weir_severity severity, const char *kind,
                 const char *format, ...)
{
	struct weir_event event = {.severity = severity};
	struct timespec wall;
	const uint64_t one = 1;
	va_list args;

	assert(strlen(kind) < sizeof(event.kind));
	assert(severity == WEIR_INFO || severity == WEIR_WARNING || severity == WEIR_ALARM);
	snprintf(event.kind, sizeof(event.kind), "%s", kind);
	va_start(args, format);
	if (vsnprintf(event.message, sizeof(event.message), format, args) < 0)
		event.message[0] = '\0';
	va_end(args);
	keep_printable(event.kind);
	keep_printable(event.message);
	event.boot_ns = weir_clock_boot_ns();
	if (clock_gettime(CLOCK_REALTIME, &wall) == 0)
		event.unix_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;

	pthread_mutex_lock(&events->lock);
	event.number = ++events->posted;
	events->ring[(event.number - 1) % events->capacity] = event;
	pthread_mutex_unlock(&events->lock);

	write_line(&event);
	/* Full means that 2^64 - 2 notices are unread: the reader is woken anyway. */
	if (write(events->fd, &one, sizeof(one)) < 0)
		return;
}

bool
weir_events_get(struct weir_events *events, uint64_t number, struct weir_event *event)
{
	bool found = false;
	uint64_t oldest;

	pthread_mutex_lock(&events->lock);
	oldest = events->posted > events->capacity ? events->posted - events->capacity + 1 : 1;
	if (number < oldest)
		number = oldest;
	if (number <= events->posted) {
		*event = events->ring[(number - 1) % events->capacity];
		assert(event->number == number);
		found = true;
	}
	pthread_mutex_unlock(&events->lock);
	return found;
}

int
weir_events_fd(const struct weir_events *events)
{
	return events->fd;
}
