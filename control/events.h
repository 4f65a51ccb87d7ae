/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events: what an operator must hear of. A bounded ring in memory, numbered from 1; the oldest are
 * forgotten and readers are told how many they missed. Also one line each on standard error, for
 * the journal. Any thread but workers may post.
 */
#ifndef WEIR_CONTROL_EVENTS_H
#define WEIR_CONTROL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_severity { WEIR_INFO, WEIR_WARNING, WEIR_ALARM };

#define WEIR_EVENT_KIND_SIZE    32U
#define WEIR_EVENT_MESSAGE_SIZE 256U

struct weir_event {
	uint64_t number;
	uint64_t boot_ns; /* CLOCK_BOOTTIME */
	int64_t unix_ms;  /* wall clock, for people only */
	enum weir_severity severity;
	char kind[WEIR_EVENT_KIND_SIZE]; /* "cap_reached", "ledger_failed", ...; lower case */
	char message[WEIR_EVENT_MESSAGE_SIZE];
};

struct weir_events;

/* capacity: events kept, 16 to 65536. NULL when memory runs out. */
struct weir_events *weir_events_new(uint32_t capacity);
void weir_events_free(struct weir_events *events);

/* Posts one. Printable ASCII; anything else is replaced. Never blocks for long, never fails. */
void weir_events_post(struct weir_events *events, enum weir_severity severity, const char *kind,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Copies the event with the given number, or the oldest later one that is still kept.
 * Returns false when there is none yet.
 */
bool weir_events_get(struct weir_events *events, uint64_t number, struct weir_event *event);

/* A file descriptor (eventfd) that becomes readable when something was posted. Control thread. */
int weir_events_fd(const struct weir_events *events);

#endif
