/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/routes.h"

#include "control/apply.h"
#include "control/collect.h"
#include "control/hardware.h"
#include "control/metrics.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define YAML_TYPE "text/yaml"
/* Of seconds and shares: of the time up, still 0.1 ms after a year. */
#define REAL_DIGITS      JSON_REAL_PRECISION(12)
#define PARAMETER_DIGITS 19U /* any number of so many digits is below 2^64 */

struct call {
	struct weir_routes *routes;
	struct evhttp_request *request;
	uid_t uid;
	bool has_parameter;
	uint64_t parameter;
};

static const char *
reason_of(int code)
{
	switch (code) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	default:
		return "Service Unavailable";
	}
}

static void
reply(struct evhttp_request *request, int code, const char *type, const char *text, size_t size)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evhttp_request_get_output_buffer(request);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (evbuffer_add(body, text, size) < 0 ||
	    (strcmp(type, JSON_TYPE) == 0 && evbuffer_add(body, "\n", 1) < 0))
		code = 503;
	weir_server_restart_limits(request);
	evhttp_send_reply(request, code, reason_of(code), NULL);
}

/* Takes the answer, which may be NULL after a failed allocation. */
static void
reply_json(struct evhttp_request *request, int code, json_t *answer)
{
	static const char no_memory[] = "{\"ok\": false, \"error\": \"out of memory\"}";
	char *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT | REAL_DIGITS);

	json_decref(answer);
	if (text == NULL) {
		reply(request, 503, JSON_TYPE, no_memory, sizeof(no_memory) - 1);
		return;
	}
	reply(request, code, JSON_TYPE, text, strlen(text));
	free(text);
}

/* An error that is one line of text. */
static void
reply_error(struct evhttp_request *request, int code, const char *error)
{
	json_t *answer = json_pack("{s:b, s:s}", "ok", 0, "error", error);

	/* The error may quote a policy that is not valid UTF-8. */
	if (answer == NULL)
		answer = json_pack("{s:b, s:s}", "ok", 0, "error", reason_of(code));
	reply_json(request, code, answer);
}

static void
get_status(struct call *call)
{
	struct weir_status *status = weir_collect_status(call->routes->appliance);

	reply_json(call->request, 200, status == NULL ? NULL : weir_status_json(status));
	weir_status_free(status);
}

static void
get_hardware(struct call *call)
{
	reply_json(call->request, 200, weir_hardware_json(call->routes->appliance));
}

static void
get_metrics(struct call *call)
{
	struct weir_status *status = weir_collect_status(call->routes->appliance);
	char *text = NULL;
	size_t size = 0;
	FILE *out = status == NULL ? NULL : open_memstream(&text, &size);
	bool ok = out != NULL;

	if (out != NULL) {
		weir_metrics_write(status, out);
		ok = ferror(out) == 0;
		ok = fclose(out) == 0 && ok;
	}
	if (ok)
		reply(call->request, 200, WEIR_METRICS_CONTENT_TYPE, text, size);
	else
		reply_error(call->request, 503, "out of memory");
	free(text);
	weir_status_free(status);
}

static void
get_policy(struct call *call)
{
	char *text;

	if (weir_config_print(call->routes->appliance->config, &text) < 0) {
		reply_error(call->request, 503, "out of memory");
		return;
	}
	reply(call->request, 200, YAML_TYPE, text, strlen(text));
	free(text);
}

static void
get_events(struct call *call)
{
	if (!weir_server_admit_stream(call->routes->server, call->request) ||
	    weir_streams_add(call->routes->streams, call->request, call->parameter) < 0)
		reply_error(call->request, 503, "too many streams of events");
}

static void
post_stop(struct call *call)
{
	weir_events_post(call->routes->appliance->events, WEIR_INFO, "stop_asked",
	                 "user %u asks for a stop", call->uid);
	reply_json(call->request, 200, json_pack("{s:b}", "ok", 1));
	call->routes->stop(call->routes->arg);
}

/* What a change of policy does, as the answer shows it. */
struct changes {
	json_t *list; /* NULL after a failed allocation */
	bool restart;
};

static void
add_change(void *arg, enum weir_change change, const char *what)
{
	static const char *const names[] = {
	    [WEIR_CHANGE_NEUTRAL] = "neutral",
	    [WEIR_CHANGE_TIGHTENS] = "tightens",
	    [WEIR_CHANGE_LOOSENS] = "loosens",
	    [WEIR_CHANGE_RESTART] = "restart",
	};
	struct changes *changes = arg;
	json_t *entry = json_pack("{s:s, s:s}", "change", names[change], "what", what);

	changes->restart = changes->restart || change == WEIR_CHANGE_RESTART;
	if (changes->list == NULL)
		json_decref(entry);
	else if (json_array_append_new(changes->list, entry) < 0) {
		json_decref(changes->list);
		changes->list = NULL;
	}
}

static int
http_code(int code)
{
	switch (code) {
	case -EBUSY:
	case -EPERM:
	case -ENOSPC:
	case -ENOTSUP:
		return 409;
	case -EINVAL:
		return 400;
	default:
		return 503;
	}
}

/* The body of a request as text; the caller frees it. */
static char *
take_body(struct evhttp_request *request, size_t *size)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	char *text;

	*size = evbuffer_get_length(body);
	text = malloc(*size + 1);
	if (text == NULL)
		return NULL;
	if (evbuffer_remove(body, text, *size) != (int)*size) {
		free(text);
		return NULL;
	}
	text[*size] = '\0';
	return text;
}

static void
answer_policy(struct call *call, struct changes *changes)
{
	json_t *list = changes->list;

	if (list == NULL) {
		reply_json(call->request, 503, NULL);
		return;
	}
	reply_json(call->request, 200,
	           json_pack("{s:b, s:I, s:b, s:o}", "ok", 1, "generation",
	                     (json_int_t)call->routes->appliance->generation, "restart",
	                     changes->restart ? 1 : 0, "changes", list));
}

/* What the fullest cap of each budget in force counts. The caller frees it; NULL: not known. */
static uint64_t *
used_bytes(const struct weir_appliance *appliance)
{
	uint32_t n = appliance->config->n_budgets;
	uint64_t *used = appliance->ledger_thread == NULL ? NULL : calloc(n, sizeof(*used));

	for (uint32_t i = 0; used != NULL && i < n; i++) {
		struct weir_ledger_budget_status status;

		weir_ledger_thread_get_budget(appliance->ledger_thread, appliance->budget_ids[i],
		                              &status);
		for (uint32_t k = 0; k < status.n_caps; k++)
			if (status.caps[k].used_bytes > used[i])
				used[i] = status.caps[k].used_bytes;
	}
	return used;
}

static void
post_policy(struct call *call)
{
	struct weir_appliance *appliance = call->routes->appliance;
	bool check = call->parameter == 1;
	struct changes changes = {0};
	char error[WEIR_ERROR_SIZE], origin[32];
	struct weir_config *config;
	uint64_t *used;
	size_t size;
	char *text = take_body(call->request, &size);
	int code;

	if (text == NULL) {
		reply_json(call->request, 503, NULL);
		return;
	}
	snprintf(origin, sizeof(origin), "user %u", call->uid);
	code = weir_config_parse("policy", text, size, &config, error, sizeof(error));
	free(text);
	if (code < 0) {
		if (!check)
			weir_events_post(appliance->events, WEIR_WARNING, "policy_refused",
			                 "from %s: %s", origin, error);
		reply_error(call->request, http_code(code), error);
		return;
	}
	changes.list = json_array();
	used = used_bytes(appliance);
	weir_config_diff(appliance->config, config, used, add_change, &changes);
	free(used);
	code = check ? weir_apply_check(appliance, config, error)
	             : weir_apply_policy(appliance, config, origin, error);
	if (check || code < 0)
		weir_config_free(config);
	if (code == 0) {
		answer_policy(call, &changes);
		return;
	}
	json_decref(changes.list);
	reply_error(call->request, http_code(code), error);
}

struct route {
	const char *path;
	enum evhttp_cmd_type method;
	const char *parameter; /* the one that may be given: a number, at most maximum */
	uint64_t maximum;
	void (*handle)(struct call *call);
};

static const struct route table[] = {
    {"/v1/status", EVHTTP_REQ_GET, NULL, 0, get_status},
    {"/v1/hardware", EVHTTP_REQ_GET, NULL, 0, get_hardware},
    {"/v1/policy", EVHTTP_REQ_GET, NULL, 0, get_policy},
    {"/v1/events", EVHTTP_REQ_GET, "after", UINT64_MAX, get_events},
    {"/metrics", EVHTTP_REQ_GET, NULL, 0, get_metrics},
    {"/v1/policy", EVHTTP_REQ_POST, "check", 1, post_policy},
    {"/v1/stop", EVHTTP_REQ_POST, NULL, 0, post_stop},
};
#define N_ROUTES (sizeof(table) / sizeof(table[0]))

/* Digits and nothing else. */
static bool
parse_number(const char *text, uint64_t maximum, uint64_t *number)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length > PARAMETER_DIGITS || text[length] != '\0')
		return false;
	*number = strtoull(text, NULL, 10);
	return *number <= maximum;
}

/* Reads the query of a request. An unknown, doubled or bad parameter is an error, not ignored. */
static bool
parse_query(const struct route *route, const char *query, struct call *call)
{
	struct evkeyvalq parameters;
	const struct evkeyval *parameter;
	bool ok = true;

	if (query == NULL || *query == '\0')
		return true;
	if (evhttp_parse_query_str(query, &parameters) < 0)
		return false;
	for (parameter = parameters.tqh_first; parameter != NULL;
	     parameter = parameter->next.tqe_next) {
		if (route->parameter == NULL || call->has_parameter ||
		    strcmp(parameter->key, route->parameter) != 0 ||
		    !parse_number(parameter->value, route->maximum, &call->parameter))
			ok = false;
		call->has_parameter = true;
	}
	evhttp_clear_headers(&parameters);
	return ok;
}

static bool
allowed_on(enum weir_access access, const struct route *route)
{
	switch (access) {
	case WEIR_ACCESS_CONTROL:
		return true;
	case WEIR_ACCESS_READ:
		return route->method == EVHTTP_REQ_GET;
	case WEIR_ACCESS_METRICS:
		return route->handle == get_metrics;
	case WEIR_ACCESSES:
		break;
	}
	assert(false);
	return false;
}

static void
refuse_method(struct evhttp_request *request, const char *allow)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
	reply_error(request, 405, "this path does not take this method");
}

void
weir_routes_handle(void *arg, struct evhttp_request *request, enum weir_access access, uid_t uid)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	struct call call = {.routes = arg, .request = request, .uid = uid};
	const struct route *other = NULL;
	bool two = false;

	if (path == NULL) {
		reply_error(request, 400, "bad request");
		return;
	}
	if (access != WEIR_ACCESS_CONTROL &&
	    evhttp_request_get_command(request) != EVHTTP_REQ_GET) {
		reply_error(request, 403, "this socket is for reading only");
		return;
	}
	for (size_t i = 0; i < N_ROUTES; i++) {
		const struct route *route = &table[i];

		if (strcmp(path, route->path) != 0 || !allowed_on(access, route))
			continue;
		two = other != NULL;
		other = route;
		if (route->method != evhttp_request_get_command(request))
			continue;
		if (!parse_query(route, evhttp_uri_get_query(uri), &call))
			reply_error(request, 400, "unknown or bad parameter behind the ?");
		else
			route->handle(&call);
		return;
	}
	if (other == NULL)
		reply_error(request, 404, "no such path");
	else
		refuse_method(request, two                               ? "GET, POST"
		                       : other->method == EVHTTP_REQ_GET ? "GET"
		                                                         : "POST");
}
