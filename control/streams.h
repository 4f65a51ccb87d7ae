/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events to readers that stay connected: JSON, one object a line, chunked. A reader that is slow
 * gets the next event when it has taken the ones before; what the ring has forgotten by then is
 * told as a number missed. One that takes nothing for long is cut. Control thread only.
 */
#ifndef WEIR_CONTROL_STREAMS_H
#define WEIR_CONTROL_STREAMS_H

#include "control/events.h"
#include "control/server.h"

struct weir_streams;

/* NULL when memory runs out. */
struct weir_streams *weir_streams_new(struct event_base *base, struct weir_events *events);

/* Ends all streams. Before weir_server_free. NULL is allowed. */
void weir_streams_free(struct weir_streams *streams);

/*
 * Answers a request, admitted by weir_server_admit_stream, with every event whose number is above
 * after, and then those to come. Returns 0; -ENOSPC or -ENOMEM, and then the request is unanswered.
 */
int weir_streams_add(struct weir_streams *streams, struct evhttp_request *request, uint64_t after)
    __attribute__((warn_unused_result));

/* One event as a line of JSON, into line of size bytes. Returns its length. For tests too. */
size_t weir_streams_line(const struct weir_event *event, uint64_t missed, char *line, size_t size);

#endif
