/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/events.h"
#include "control/streams.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY 16U

static bool
readable(const struct weir_events *events)
{
	struct pollfd poller = {.fd = weir_events_fd(events), .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

static void
test_numbers(void)
{
	struct weir_events *events = weir_events_new(CAPACITY);
	struct weir_event event;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	CU_ASSERT_FALSE(weir_events_get(events, 0, &event));
	CU_ASSERT_FALSE(weir_events_get(events, 1, &event));
	CU_ASSERT_FALSE(readable(events));
	for (unsigned int i = 1; i <= 3 * CAPACITY; i++) {
		uint64_t oldest = i > CAPACITY ? i - CAPACITY + 1 : 1;

		weir_events_post(events, WEIR_WARNING, "test_kind", "number %u", i);
		CU_ASSERT_TRUE(weir_events_get(events, i, &event));
		CU_ASSERT_EQUAL(event.number, i);
		CU_ASSERT_FALSE(weir_events_get(events, i + 1, &event));
		CU_ASSERT_FALSE(weir_events_get(events, UINT64_MAX, &event));
		CU_ASSERT_TRUE(weir_events_get(events, 0, &event));
		CU_ASSERT_EQUAL(event.number, oldest);
		for (uint64_t number = 1; number <= i; number++) {
			char expected[32];
			uint64_t found = number < oldest ? oldest : number;

			CU_ASSERT_TRUE(weir_events_get(events, number, &event));
			CU_ASSERT_EQUAL(event.number, found);
			snprintf(expected, sizeof(expected), "number %" PRIu64, found);
			CU_ASSERT_STRING_EQUAL(event.message, expected);
		}
	}
	CU_ASSERT_TRUE(readable(events));
	CU_ASSERT_STRING_EQUAL(event.kind, "test_kind");
	CU_ASSERT_EQUAL(event.severity, WEIR_WARNING);
	CU_ASSERT(event.unix_ms > 0 && event.boot_ns > 0);
	weir_events_free(events);
	weir_events_free(NULL);
}

/* Whatever is in a message, it stays one line of printable ASCII and bounded. */
static void
test_text(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct weir_events *events = weir_events_new(CAPACITY);
	char text[4 * WEIR_EVENT_MESSAGE_SIZE];
	struct weir_event event;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	for (uint64_t number = 1; number <= 200; number++) {
		size_t length = weir_random_below(&random, sizeof(text));

		weir_random_fill(&random, text, length);
		text[length] = '\0';
		weir_events_post(events, WEIR_INFO, "text", "%s", text);
		CU_ASSERT_TRUE_FATAL(weir_events_get(events, number, &event));
		CU_ASSERT(strlen(event.message) < WEIR_EVENT_MESSAGE_SIZE);
		length = strlen(text);
		if (length >= WEIR_EVENT_MESSAGE_SIZE)
			length = WEIR_EVENT_MESSAGE_SIZE - 1;
		CU_ASSERT_EQUAL(strlen(event.message), length);
		for (size_t i = 0; i < length; i++) {
			bool printable = text[i] >= ' ' && text[i] <= '~';

			CU_ASSERT_EQUAL(event.message[i], printable ? text[i] : '?');
		}
	}
	weir_events_free(events);
}

static void *
post_many(void *arg)
{
	for (unsigned int i = 0; i < 500; i++)
		weir_events_post(arg, WEIR_INFO, "many", "%u", i);
	return NULL;
}

/* Several threads: no number is lost or given twice, and each reader sees them in order. */
static void
test_threads(void)
{
	struct weir_events *events = weir_events_new(4096);
	pthread_t threads[4];
	unsigned int seen[500] = {0};
	struct weir_event event;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	for (unsigned int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, post_many, events), 0);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t number = 1; number <= 2000; number++) {
		CU_ASSERT_TRUE_FATAL(weir_events_get(events, number, &event));
		CU_ASSERT_EQUAL(event.number, number);
		seen[strtoul(event.message, NULL, 10)]++;
	}
	CU_ASSERT_FALSE(weir_events_get(events, 2001, &event));
	for (unsigned int i = 0; i < 500; i++)
		CU_ASSERT_EQUAL(seen[i], 4);
	weir_events_free(events);
}

/* Standard error that nobody reads must not stop whoever posts. */
static void
test_stuck_reader(void)
{
	struct weir_events *events = weir_events_new(CAPACITY);
	int before = dup(STDERR_FILENO), ends[2];
	struct weir_event event;

	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_FATAL(before >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
	/* Over 64 KiB, which is what a pipe holds: were the write to wait, so would this test. */
	for (unsigned int i = 0; i < 2000; i++)
		weir_events_post(events, WEIR_ALARM, "stuck", "%0100u", i);
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[0]);
	close(ends[1]);
	CU_ASSERT_TRUE(weir_events_get(events, 2000, &event));
	CU_ASSERT_EQUAL(event.number, 2000);
	weir_events_free(events);
}

static void
test_line(void)
{
	struct weir_event event = {
	    .number = 7, .unix_ms = 1700000000123, .severity = WEIR_ALARM, .kind = "some_kind"};
	char line[2048];
	size_t length;
	json_t *object;

	/* What grows most in JSON, as long as it gets. */
	memset(event.message, '"', sizeof(event.message) - 1);
	length = weir_streams_line(&event, 3, line, sizeof(line));
	CU_ASSERT_FATAL(length > 0 && length < sizeof(line));
	CU_ASSERT_EQUAL(line[length - 1], '\n');
	object = json_loadb(line, length, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(object, "number")), 7);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(object, "missed")), 3);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "time")),
	                       "2023-11-14T22:13:20.123Z");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "severity")), "alarm");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "kind")), "some_kind");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(object, "message")),
	                       event.message);
	json_decref(object);

	length = weir_streams_line(&event, 0, line, sizeof(line));
	object = json_loadb(line, length, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	CU_ASSERT_PTR_NULL(json_object_get(object, "missed"));
	json_decref(object);
}

static const struct weir_test tests[] = {
    {"numbers run on and the oldest are forgotten", test_numbers},
    {"any text becomes one bounded printable line", test_text},
    {"several threads lose nothing", test_threads},
    {"a stuck standard error stops nobody", test_stuck_reader},
    {"an event as a line of JSON", test_line},
};

int
main(void)
{
	return weir_test_run("events", tests, WEIR_TEST_COUNT(tests));
}
