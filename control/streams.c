/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/streams.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes that wait for a reader before it gets no more for now. A line is at most LINE_SIZE. */
#define OUTPUT_MAX_BYTES 65536U
#define LINE_SIZE        2048U
#define WRITE_LIMIT_S    10   /* without any progress: cut */
#define INPUT_MAX_BYTES  1024 /* a reader of events has nothing more to say */

struct stream {
	struct evhttp_request *request; /* NULL: free entry */
	struct weir_streams *streams;
	uint64_t next; /* number of the next event */
};

struct weir_streams {
	struct weir_events *events;
	struct event *posted;
	struct stream streams[WEIR_STREAMS_MAX];
};

static const char *
severity_name(enum weir_severity severity)
{
	switch (severity) {
	case WEIR_INFO:
		return "info";
	case WEIR_WARNING:
		return "warning";
	case WEIR_ALARM:
		return "alarm";
	}
	assert(false);
	return "";
}

/* UTC with milliseconds, as RFC 3339 has it. */
static void
format_time(int64_t unix_ms, char *text, size_t size)
{
	time_t seconds = unix_ms / 1000;
	struct tm utc;
	size_t length;

	if (gmtime_r(&seconds, &utc) == NULL)
		utc = (struct tm){.tm_mday = 1, .tm_year = 70};
	length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + length, size - length, ".%03dZ", (int)(unix_ms % 1000));
}

size_t
weir_streams_line(const struct weir_event *event, uint64_t missed, char *line, size_t size)
{
	char when[64];
	json_t *object;
	size_t length;

	format_time(event->unix_ms, when, sizeof(when));
	object = json_pack("{s:I, s:s, s:s, s:s, s:s}", "number", (json_int_t)event->number, "time",
	                   when, "severity", severity_name(event->severity), "kind", event->kind,
	                   "message", event->message);
	if (object != NULL && missed > 0 &&
	    json_object_set_new(object, "missed", json_integer((json_int_t)missed)) < 0) {
		json_decref(object);
		object = NULL;
	}
	if (object == NULL)
		return 0;
	length = json_dumpb(object, line, size - 1, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	assert(length < size - 1);
	line[length++] = '\n';
	return length;
}

static struct bufferevent *
buffer_of(const struct stream *stream)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(stream->request);

	return connection == NULL ? NULL : evhttp_connection_get_bufferevent(connection);
}

static void on_written(struct evhttp_connection *connection, void *arg);

/* Sends what there is, up to what may wait. */
static void
pump(struct stream *stream)
{
	struct bufferevent *buffer = buffer_of(stream);
	struct evbuffer *chunk = evbuffer_new();
	struct weir_event event;
	char line[LINE_SIZE];
	size_t waiting;

	if (chunk == NULL || buffer == NULL) {
		if (chunk != NULL)
			evbuffer_free(chunk);
		return;
	}
	waiting = evbuffer_get_length(bufferevent_get_output(buffer));
	while (waiting + evbuffer_get_length(chunk) < OUTPUT_MAX_BYTES &&
	       weir_events_get(stream->streams->events, stream->next, &event)) {
		size_t length =
		    weir_streams_line(&event, event.number - stream->next, line, sizeof(line));

		if (length == 0 || evbuffer_add(chunk, line, length) < 0)
			break; /* no memory: again with the next event */
		stream->next = event.number + 1;
	}
	if (evbuffer_get_length(chunk) > 0)
		evhttp_send_reply_chunk_with_cb(stream->request, chunk, on_written, stream);
	evbuffer_free(chunk);
}

/* The reader has taken all. */
static void
on_written(struct evhttp_connection *connection, void *arg)
{
	struct stream *stream = arg;

	(void)connection;
	if (stream->request != NULL)
		pump(stream);
}

static void
on_posted(evutil_socket_t fd, short what, void *arg)
{
	struct weir_streams *streams = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* not readable after all */
	for (unsigned int i = 0; i < WEIR_STREAMS_MAX; i++) {
		if (streams->streams[i].request != NULL)
			pump(&streams->streams[i]);
	}
}

/*
 * The connection ends. evhttp has let go of a request that was still being answered, which then is
 * ours to end; one that still knows its connection is freed with it.
 */
static void
on_closed(struct evhttp_connection *connection, void *arg)
{
	struct stream *stream = arg;
	struct evhttp_request *request = stream->request;

	(void)connection;
	stream->request = NULL;
	if (request != NULL && evhttp_request_get_connection(request) == NULL)
		evhttp_send_reply_end(request);
}

struct weir_streams *
weir_streams_new(struct event_base *base, struct weir_events *events)
{
	struct weir_streams *streams = calloc(1, sizeof(*streams));

	if (streams == NULL)
		return NULL;
	streams->events = events;
	streams->posted =
	    event_new(base, weir_events_fd(events), EV_READ | EV_PERSIST, on_posted, streams);
	if (streams->posted == NULL || event_add(streams->posted, NULL) < 0) {
		weir_streams_free(streams);
		return NULL;
	}
	return streams;
}

void
weir_streams_free(struct weir_streams *streams)
{
	if (streams == NULL)
		return;
	for (unsigned int i = 0; i < WEIR_STREAMS_MAX; i++) {
		struct stream *stream = &streams->streams[i];
		struct evhttp_request *request = stream->request;

		if (request == NULL)
			continue;
		stream->request = NULL;
		evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
		evhttp_send_reply_end(request);
	}
	if (streams->posted != NULL)
		event_free(streams->posted);
	free(streams);
}

int
weir_streams_add(struct weir_streams *streams, struct evhttp_request *request, uint64_t after)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	const struct timeval limit = {.tv_sec = WRITE_LIMIT_S};
	struct stream *stream = NULL;

	for (unsigned int i = 0; i < WEIR_STREAMS_MAX && stream == NULL; i++) {
		if (streams->streams[i].request == NULL)
			stream = &streams->streams[i];
	}
	if (stream == NULL)
		return -ENOSPC;
	*stream = (struct stream){
	    .request = request,
	    .streams = streams,
	    .next = after < UINT64_MAX ? after + 1 : after,
	};
	evhttp_add_header(headers, "Content-Type", "application/x-ndjson");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, stream);
	evhttp_send_reply_start(request, 200, "OK");
	/* A reader may be silent as long as it likes, but must take what it is sent. */
	bufferevent_set_timeouts(buffer_of(stream), NULL, &limit);
	bufferevent_setwatermark(buffer_of(stream), EV_READ, 0, INPUT_MAX_BYTES);
	pump(stream);
	return 0;
}
