/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct weir_status *
weir_status_new(uint32_t n_workers, uint32_t n_ports, uint32_t n_queues, uint32_t n_links,
                uint32_t n_classes, uint32_t n_budgets)
{
	struct weir_status *status = calloc(1, sizeof(*status));

	if (status == NULL)
		return NULL;
	status->n_workers = n_workers;
	status->n_ports = n_ports;
	status->n_queues = n_queues;
	status->n_links = n_links;
	status->n_classes = n_classes;
	status->n_budgets = n_budgets;
	/* One more of each, so that none is a request for nothing. */
	status->workers = calloc((size_t)n_workers + 1, sizeof(*status->workers));
	status->ports = calloc((size_t)n_ports + 1, sizeof(*status->ports));
	status->queues = calloc((size_t)n_queues + 1, sizeof(*status->queues));
	status->links = calloc((size_t)n_links + 1, sizeof(*status->links));
	status->classes = calloc((size_t)n_classes + 1, sizeof(*status->classes));
	status->budgets = calloc((size_t)n_budgets + 1, sizeof(*status->budgets));
	if (status->workers == NULL || status->ports == NULL || status->queues == NULL ||
	    status->links == NULL || status->classes == NULL || status->budgets == NULL) {
		weir_status_free(status);
		return NULL;
	}
	return status;
}

double
weir_status_left_share(uint64_t charged_bytes, double compression, uint64_t weights_bytes)
{
	double millionths = (double)charged_bytes * compression / (double)weights_bytes * 1e6;
	uint64_t whole;

	if (millionths >= 1e15)
		return millionths / 1e6; /* a thousand million copies: who counts millionths */
	whole = (uint64_t)millionths;
	if ((double)whole < millionths)
		whole++;
	return (double)whole / 1e6;
}

void
weir_status_free(struct weir_status *status)
{
	if (status == NULL)
		return;
	free(status->workers);
	free(status->ports);
	free(status->queues);
	free(status->links);
	free(status->classes);
	free(status->budgets);
	free(status);
}

const char *
weir_direction_name(enum weir_direction direction)
{
	assert(direction == WEIR_EGRESS || direction == WEIR_RETURN);
	return direction == WEIR_EGRESS ? "egress" : "return";
}

json_t *
weir_json_u64(uint64_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

static uint64_t
fact_u64(const struct weir_fact *fact, const void *thing)
{
	const uint64_t *number = (const void *)((const char *)thing + fact->offset);

	return *number;
}

static json_t *
fact_json(const struct weir_fact *fact, const void *thing)
{
	const char *field = (const char *)thing + fact->offset;
	const void *at = field;
	const char *const *text = at;
	const bool *truth = at;
	const double *real = at;
	const int *code = at;
	const enum weir_witness_kind *witness = at;

	switch (fact->type) {
	case WEIR_FACT_TEXT:
		return *text == NULL ? json_null() : json_string(*text);
	case WEIR_FACT_STRING:
		return json_string(field);
	case WEIR_FACT_BOOL:
		return json_boolean(*truth);
	case WEIR_FACT_U64:
		return weir_json_u64(fact_u64(fact, thing));
	case WEIR_FACT_NS_OR_NUL:
		if (fact_u64(fact, thing) == 0)
			return json_null();
		__attribute__((fallthrough));
	case WEIR_FACT_NS:
		if (fact_u64(fact, thing) % WEIR_NS_PER_S == 0)
			return weir_json_u64(fact_u64(fact, thing) / WEIR_NS_PER_S);
		return json_real((double)fact_u64(fact, thing) / (double)WEIR_NS_PER_S);
	case WEIR_FACT_DOUBLE:
		return json_real(*real);
	case WEIR_FACT_U64_OR_NUL:
		return fact_u64(fact, thing) == UINT64_MAX ? json_null()
		                                           : weir_json_u64(fact_u64(fact, thing));
	case WEIR_FACT_ERROR:
		return *code == 0 ? json_null() : json_string(strerror(-*code));
	case WEIR_FACT_WITNESS:
		return json_string(weir_witness_kind_name(*witness));
	}
	assert(false); /* a fact of no type */
	return NULL;
}

/* Sets member key, taking the value, which may be NULL after a failed allocation. */
static bool
set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static json_t *
facts_json(const struct weir_facts *facts, const void *thing)
{
	json_t *object = json_object();

	if (object == NULL)
		return NULL;
	for (size_t i = 0; i < facts->n_facts; i++) {
		if (!set(object, facts->facts[i].key, fact_json(&facts->facts[i], thing))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *
flow_json(const struct weir_flow_totals *totals)
{
	json_t *object = facts_json(&weir_facts_flow, totals);
	json_t *dropped = json_object();
	bool ok = object != NULL && dropped != NULL;

	for (unsigned int i = WEIR_DROP_NONE + 1; ok && i < WEIR_DROPS; i++) {
		if (totals->dropped[i] > 0)
			ok = set(dropped, weir_drop_name((enum weir_drop)i),
			         weir_json_u64(totals->dropped[i]));
	}
	if (!ok) {
		json_decref(dropped);
		json_decref(object);
		return NULL;
	}
	if (!set(object, "dropped", dropped)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *
link_json(const void *thing)
{
	const struct weir_status_link *link = thing;
	json_t *object = json_object();
	bool ok = object != NULL && set(object, "name", json_string(link->name));

	for (unsigned int d = 0; ok && d < WEIR_DIRECTIONS; d++)
		ok = set(object, weir_direction_name((enum weir_direction)d),
		         flow_json(&link->flows[d]));
	if (!ok) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *
budget_json(const void *thing)
{
	const struct weir_status_budget *budget = thing;
	json_t *object = facts_json(&weir_facts_budget, budget);
	json_t *caps = json_array();
	bool ok = object != NULL && caps != NULL;

	for (uint32_t i = 0; ok && i < budget->ledger.n_caps; i++)
		ok = json_array_append_new(
		         caps, facts_json(&weir_facts_cap, &budget->ledger.caps[i])) == 0;
	if (!ok) {
		json_decref(caps);
		json_decref(object);
		return NULL;
	}
	if (!set(object, "caps", caps)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *
worker_json(const void *thing)
{
	return facts_json(&weir_facts_worker, thing);
}

static json_t *
port_json(const void *thing)
{
	return facts_json(&weir_facts_port, thing);
}

static json_t *
queue_json(const void *thing)
{
	return facts_json(&weir_facts_queue, thing);
}

static json_t *
class_json(const void *thing)
{
	return facts_json(&weir_facts_class, thing);
}

static json_t *
array_json(const void *things, uint32_t n, size_t size, json_t *(*each)(const void *thing))
{
	json_t *array = json_array();

	if (array == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		if (json_array_append_new(array, each((const char *)things + i * size)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *
weir_status_json(const struct weir_status *status)
{
	json_t *object = facts_json(&weir_facts_appliance, status);

	if (object == NULL)
		return NULL;
	if (!set(object, "policy", facts_json(&weir_facts_policy, &status->policy)) ||
	    !set(object, "asset",
	         status->asset.name == NULL ? json_null()
	                                    : facts_json(&weir_facts_asset, &status->asset)) ||
	    !set(object, "ledger", facts_json(&weir_facts_ledger, &status->ledger)) ||
	    !set(object, "workers",
	         array_json(status->workers, status->n_workers, sizeof(*status->workers),
	                    worker_json)) ||
	    !set(object, "ports",
	         array_json(status->ports, status->n_ports, sizeof(*status->ports), port_json)) ||
	    !set(object, "queues",
	         array_json(status->queues, status->n_queues, sizeof(*status->queues),
	                    queue_json)) ||
	    !set(object, "links",
	         array_json(status->links, status->n_links, sizeof(*status->links), link_json)) ||
	    !set(object, "classes",
	         array_json(status->classes, status->n_classes, sizeof(*status->classes),
	                    class_json)) ||
	    !set(object, "budgets",
	         array_json(status->budgets, status->n_budgets, sizeof(*status->budgets),
	                    budget_json))) {
		json_decref(object);
		return NULL;
	}
	return object;
}
