/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/status.h"

#include "tools/weirctl/client.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const weir_flow_names[WEIR_FLOWS] = {"egress", "return"};

/* Where a member is looked for, and where to say that it is wrong. */
struct place {
	const json_t *object;
	const char *list; /* "" at the top */
	size_t index;
	const char *inner; /* "" or the name of an object inside of the item */
	struct weir_error *error;
};

static int
wrong(const struct place *at, const char *key, const char *expected)
{
	if (*at->list == '\0')
		return weir_error_set(at->error, -EPROTO, "/v1/status: %s%s%s: expected %s",
		                      at->inner, *at->inner == '\0' ? "" : ".", key, expected);
	return weir_error_set(at->error, -EPROTO, "/v1/status: %s[%zu]%s%s.%s: expected %s",
	                      at->list, at->index, *at->inner == '\0' ? "" : ".", at->inner, key,
	                      expected);
}

static int
get_number(const struct place *at, const char *key, uint64_t *value)
{
	const json_t *member = json_object_get(at->object, key);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return wrong(at, key, "a whole number, at least 0");
	*value = (uint64_t)json_integer_value(member);
	return 0;
}

static int
get_string(const struct place *at, const char *key, const char **value)
{
	*value = json_string_value(json_object_get(at->object, key));
	return *value != NULL ? 0 : wrong(at, key, "a string");
}

static int
get_string_or_null(const struct place *at, const char *key, const char **value)
{
	*value = NULL;
	if (json_is_null(json_object_get(at->object, key)))
		return 0;
	*value = json_string_value(json_object_get(at->object, key));
	return *value != NULL ? 0 : wrong(at, key, "a string or null");
}

static int
get_real(const struct place *at, const char *key, const char *expected, double *value)
{
	const json_t *member = json_object_get(at->object, key);

	*value = json_number_value(member);
	if (!json_is_number(member) || !isfinite(*value) || *value < 0)
		return wrong(at, key, expected);
	return 0;
}

static int
get_seconds(const struct place *at, const char *key, double *value)
{
	return get_real(at, key, "seconds, at least 0", value);
}

/* The list and room for as many items of size bytes. */
static int
get_list(const struct place *at, const char *key, size_t size, const json_t **list, void **items,
         size_t *n_items)
{
	*list = json_object_get(at->object, key);
	if (!json_is_array(*list))
		return wrong(at, key, "a list");
	*n_items = json_array_size(*list);
	*items = calloc(*n_items + 1, size);
	if (*items == NULL)
		weir_text_no_memory();
	return 0;
}

static int
parse_flow(struct place at, const char *key, struct weir_flow_status *flow)
{
	const json_t *link = at.object, *frames;
	const char *reason;

	at.object = json_object_get(link, key);
	at.inner = key;
	flow->dropped = json_object_get(at.object, "dropped");
	if (get_number(&at, "rx_frames", &flow->rx_frames) != 0 ||
	    get_number(&at, "rx_wire_bytes", &flow->rx_wire_bytes) != 0 ||
	    get_number(&at, "tx_frames", &flow->tx_frames) != 0 ||
	    get_number(&at, "tx_wire_bytes", &flow->tx_wire_bytes) != 0)
		return -EPROTO;
	if (!json_is_object(flow->dropped))
		return wrong(&at, "dropped", "an object");
	json_object_foreach (flow->dropped, reason, frames) {
		if (!json_is_integer(frames) || json_integer_value(frames) < 0)
			return wrong(&at, "dropped", "whole numbers, at least 0");
	}
	return 0;
}

static int
parse_link(const struct place *at, struct weir_link_status *link)
{
	int ret = get_string(at, "name", &link->name);

	for (int i = 0; i < WEIR_FLOWS && ret == 0; i++)
		ret = parse_flow(*at, weir_flow_names[i], &link->flows[i]);
	return ret;
}

static int
parse_class(const struct place *at, struct weir_class_status *class)
{
	if (get_string(at, "name", &class->name) != 0 ||
	    get_number(at, "rate_bit_s", &class->rate_bit_s) != 0 ||
	    get_number(at, "burst_bytes", &class->burst_bytes) != 0 ||
	    get_number(at, "tx_frames", &class->tx_frames) != 0 ||
	    get_number(at, "tx_wire_bytes", &class->tx_wire_bytes) != 0 ||
	    get_number(at, "dropped_frames", &class->dropped_frames) != 0 ||
	    get_number(at, "dropped_wire_bytes", &class->dropped_wire_bytes) != 0)
		return -EPROTO;
	return get_number(at, "queued_bytes", &class->queued_bytes);
}

static int
parse_cap(const struct place *at, struct weir_cap_status *cap)
{
	double window_s;
	int ret;

	if (get_number(at, "limit_bytes", &cap->limit_bytes) != 0 ||
	    get_number(at, "used_bytes", &cap->used_bytes) != 0 ||
	    get_number(at, "remaining_bytes", &cap->remaining_bytes) != 0)
		return -EPROTO;
	if (json_is_null(json_object_get(at->object, "window_s")))
		return 0;
	ret = get_seconds(at, "window_s", &window_s);
	if (ret == 0) {
		cap->window_ns = weir_format_ns_from_s(window_s);
		if (cap->window_ns == 0)
			ret = wrong(at, "window_s", "more than 0, or null");
	}
	return ret;
}

static int
parse_budget(const struct place *at, struct weir_budget_status *budget)
{
	struct place in = *at;
	const json_t *caps;
	void *items;

	if (get_string(at, "name", &budget->name) != 0 ||
	    get_number(at, "charged_wire_bytes", &budget->charged_wire_bytes) != 0 ||
	    get_number(at, "forfeited_wire_bytes", &budget->forfeited_wire_bytes) != 0)
		return -EPROTO;
	if (get_string_or_null(at, "parent", &budget->parent) != 0)
		return -EPROTO;
	if (get_list(at, "caps", sizeof(*budget->caps), &caps, &items, &budget->n_caps) != 0)
		return -EPROTO;
	budget->caps = items;
	in.inner = "caps[]";
	for (size_t i = 0; i < budget->n_caps; i++) {
		in.object = json_array_get(caps, i);
		if (parse_cap(&in, &budget->caps[i]) != 0)
			return -EPROTO;
	}
	return 0;
}

static int
parse_asset(const struct place *top, struct weir_asset_status *asset)
{
	struct place at = *top;
	double survive_s;

	at.object = json_object_get(top->object, "asset");
	at.inner = "asset";
	if (json_is_null(at.object))
		return 0;
	if (get_string(&at, "name", &asset->name) != 0 ||
	    get_string_or_null(&at, "accept_risk", &asset->accept_risk) != 0 ||
	    get_number(&at, "weights_bytes", &asset->weights_bytes) != 0 ||
	    get_real(&at, "compression", "a number, at least 0", &asset->compression) != 0 ||
	    get_seconds(&at, "survive_s", &survive_s) != 0)
		return -EPROTO;
	asset->survive_ns = weir_format_ns_from_s(survive_s);
	return get_real(&at, "left_share", "a number, at least 0", &asset->left_share);
}

static int
parse_ledger(const struct place *top, struct weir_ledger_status *ledger)
{
	struct place at = *top;

	at.object = json_object_get(top->object, "ledger");
	at.inner = "ledger";
	if (get_string_or_null(&at, "error", &ledger->error) != 0 ||
	    get_number(&at, "epoch", &ledger->epoch) != 0 ||
	    get_number(&at, "sequence", &ledger->sequence) != 0 ||
	    get_number(&at, "forfeited_bytes", &ledger->forfeited_bytes) != 0 ||
	    get_string(&at, "witness", &ledger->witness) != 0 ||
	    get_number(&at, "witness_value", &ledger->witness_value) != 0 ||
	    get_number(&at, "witness_failures", &ledger->witness_failures) != 0 ||
	    get_string_or_null(&at, "witness_error", &ledger->witness_error) != 0)
		return -EPROTO;
	ledger->witness_left_bytes = UINT64_MAX;
	if (json_is_null(json_object_get(at.object, "witness_left_bytes")))
		return 0;
	return get_number(&at, "witness_left_bytes", &ledger->witness_left_bytes);
}

static int
parse_all(const struct place *top, struct weir_status *status)
{
	const json_t *links, *classes, *budgets;
	struct place at = *top;
	void *items;

	if (get_string(top, "state", &status->state) != 0 ||
	    get_seconds(top, "uptime_s", &status->uptime_s) != 0 ||
	    get_number(top, "largest_frame_bytes", &status->largest_frame_bytes) != 0 ||
	    parse_asset(top, &status->asset) != 0 || parse_ledger(top, &status->ledger) != 0 ||
	    get_list(top, "links", sizeof(*status->links), &links, &items, &status->n_links) != 0)
		return -EPROTO;
	status->links = items;
	if (get_list(top, "classes", sizeof(*status->classes), &classes, &items,
	             &status->n_classes) != 0)
		return -EPROTO;
	status->classes = items;
	if (get_list(top, "budgets", sizeof(*status->budgets), &budgets, &items,
	             &status->n_budgets) != 0)
		return -EPROTO;
	status->budgets = items;
	at.list = "links";
	for (at.index = 0; at.index < status->n_links; at.index++) {
		at.object = json_array_get(links, at.index);
		if (parse_link(&at, &status->links[at.index]) != 0)
			return -EPROTO;
	}
	at.list = "classes";
	for (at.index = 0; at.index < status->n_classes; at.index++) {
		at.object = json_array_get(classes, at.index);
		if (parse_class(&at, &status->classes[at.index]) != 0)
			return -EPROTO;
	}
	at.list = "budgets";
	for (at.index = 0; at.index < status->n_budgets; at.index++) {
		at.object = json_array_get(budgets, at.index);
		if (parse_budget(&at, &status->budgets[at.index]) != 0)
			return -EPROTO;
	}
	return 0;
}

struct weir_status *
weir_status_parse(json_t *json, struct weir_error *error)
{
	struct place top = {.object = json, .list = "", .inner = "", .error = error};
	struct weir_status *status = calloc(1, sizeof(*status));
	struct timespec now;

	if (status == NULL)
		weir_text_no_memory();
	clock_gettime(CLOCK_MONOTONIC, &now);
	status->local_ns = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
	status->json = json;
	if (parse_all(&top, status) != 0) {
		weir_status_free(status);
		return NULL;
	}
	return status;
}

void
weir_status_free(struct weir_status *status)
{
	if (status == NULL)
		return;
	for (size_t i = 0; status->budgets != NULL && i < status->n_budgets; i++)
		free(status->budgets[i].caps);
	free(status->budgets);
	free(status->classes);
	free(status->links);
	json_decref(status->json);
	free(status);
}

struct weir_status *
weir_status_get(const char *socket, struct weir_error *error)
{
	struct weir_answer answer = {0};
	struct weir_status *status = NULL;
	json_t *json = NULL;

	if (weir_client_get(socket, "/v1/status", &answer, error) != 0)
		return NULL;
	if (answer.code != 200)
		(void)weir_answer_refused(&answer, "/v1/status", error);
	else
		json = weir_answer_json(&answer, "/v1/status", error);
	if (json != NULL)
		status = weir_status_parse(json, error);
	weir_answer_free(&answer);
	return status;
}

double
weir_status_seconds(const struct weir_status *from, const struct weir_status *to)
{
	double here_s = (double)(to->local_ns - from->local_ns) / 1e9;

	/* Weir can't have been up for less time than lies between two answers that it gave. */
	if (to->uptime_s <= from->uptime_s || to->uptime_s < here_s)
		return 0;
	return to->uptime_s - from->uptime_s;
}

/* Looks up by name: at i first, where it is unless the policy has changed. */
#define FIND(list, n, i, wanted)                                                                   \
	do {                                                                                       \
		if ((i) < (n) && strcmp((list)[i].name, wanted) == 0)                              \
			return &(list)[i];                                                         \
		for (size_t at = 0; at < (n); at++) {                                              \
			if (strcmp((list)[at].name, wanted) == 0)                                  \
				return &(list)[at];                                                \
		}                                                                                  \
		return NULL;                                                                       \
	} while (0)

const struct weir_class_status *
weir_status_class(const struct weir_status *status, size_t i, const char *name)
{
	FIND(status->classes, status->n_classes, i, name);
}

const struct weir_link_status *
weir_status_link(const struct weir_status *status, size_t i, const char *name)
{
	FIND(status->links, status->n_links, i, name);
}

const struct weir_budget_status *
weir_status_budget(const struct weir_status *status, size_t i, const char *name)
{
	FIND(status->budgets, status->n_budgets, i, name);
}

uint64_t
weir_status_dropped(const struct weir_flow_status *flow)
{
	uint64_t sum = 0;
	const char *reason;
	json_t *frames;

	json_object_foreach (flow->dropped, reason, frames) {
		if (__builtin_add_overflow(sum, (uint64_t)json_integer_value(frames), &sum))
			return UINT64_MAX;
	}
	return sum;
}

struct weir_format
weir_status_window(const struct weir_cap_status *cap)
{
	struct weir_format lifetime = {"lifetime"};

	return cap->window_ns == 0 ? lifetime : weir_format_duration(cap->window_ns);
}

struct weir_format
weir_status_used_percent(const struct weir_cap_status *cap)
{
	uint64_t left = cap->remaining_bytes;

	/* Where a cap was lowered below what had been used, limit - left is still what counts. */
	return weir_format_percent(cap->limit_bytes > left ? cap->limit_bytes - left : 0,
	                           cap->limit_bytes);
}

void
weir_status_print_head(const struct weir_status *status, FILE *out)
{
	const json_t *policy = json_object_get(status->json, "policy");
	const json_t *generation = json_object_get(policy, "generation");
	const char *name = json_string_value(json_object_get(status->json, "appliance"));

	if (name != NULL) {
		weir_text_put(out, name, strlen(name), false);
		fputs(": ", out);
	}
	weir_text_put(out, status->state, strlen(status->state), false);
	fprintf(out, ", up %s", weir_format_duration(weir_format_ns_from_s(status->uptime_s)).text);
	if (json_is_integer(generation))
		fprintf(out, ", policy generation %" JSON_INTEGER_FORMAT,
		        json_integer_value(generation));
	fputc('\n', out);
}

uint64_t
weir_status_rate(uint64_t from, uint64_t to, double seconds)
{
	double rate;

	if (to < from || !(seconds > 0))
		return WEIR_RATE_UNKNOWN;
	rate = (double)(to - from) / seconds;
	return rate < 9e18 ? (uint64_t)rate : WEIR_RATE_UNKNOWN;
}

enum weir_exhaustion
weir_status_exhaustion(const struct weir_status *status, const struct weir_cap_status *cap,
                       uint64_t byte_s, uint64_t *ns)
{
	if (cap->remaining_bytes == 0 || cap->remaining_bytes < status->largest_frame_bytes)
		return WEIR_EXHAUSTION_NOW;
	if (byte_s == WEIR_RATE_UNKNOWN)
		return WEIR_EXHAUSTION_UNKNOWN;
	if (byte_s == 0)
		return WEIR_EXHAUSTION_NEVER;
	*ns = weir_format_ns_from_s((double)cap->remaining_bytes / (double)byte_s);
	if (cap->window_ns == 0)
		return WEIR_EXHAUSTION_IN;
	/* By then all that is in the window now has left it, a slot of 1/64 later at most. */
	if (*ns / 65 > cap->window_ns / 64)
		return WEIR_EXHAUSTION_NEVER;
	return WEIR_EXHAUSTION_EARLIEST;
}
