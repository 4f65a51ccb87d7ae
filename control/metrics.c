/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define LABELS_MAX   3U
#define SECONDS_SIZE 40U

struct label {
	const char *name;
	const char *value;
};

/* One thing that has facts, and the labels that tell it from others of its kind. */
struct subject {
	const void *thing;
	struct label labels[LABELS_MAX]; /* up to the first without a name */
};

/* Fills in subject number index of a kind. Returns false behind the last. */
typedef bool (*subject_get)(const struct weir_status *status, size_t index,
                            struct subject *subject);

static void
write_label_value(const char *value, FILE *out)
{
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
}

static void
write_labels(const struct label *labels, FILE *out)
{
	for (unsigned int i = 0; i < LABELS_MAX && labels[i].name != NULL; i++) {
		fprintf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
		write_label_value(labels[i].value, out);
		fputc('"', out);
	}
	if (labels[0].name != NULL)
		fputc('}', out);
}

static void
write_family(const char *name, enum weir_fact_kind kind, const char *unit, const char *help,
             FILE *out)
{
	fprintf(out, "# TYPE %s %s\n", name, kind == WEIR_FACT_COUNTER ? "counter" : "gauge");
	if (unit != NULL)
		fprintf(out, "# UNIT %s %s\n", name, unit);
	fprintf(out, "# HELP %s %s.\n", name, help);
}

/* Seconds without trailing zeros. */
static void
write_seconds(uint64_t ns, char *text, size_t size)
{
	uint64_t whole = ns / WEIR_NS_PER_S, rest = ns % WEIR_NS_PER_S;
	int length = snprintf(text, size, "%" PRIu64 ".%09" PRIu64, whole, rest);

	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[length - 1] = '\0';
}

static void
write_value(const struct weir_fact *fact, const void *thing, FILE *out)
{
	const void *field = (const char *)thing + fact->offset;
	const uint64_t *number = field;
	const double *real = field;
	const bool *truth = field;
	const int *code = field;
	char seconds[SECONDS_SIZE];

	switch (fact->type) {
	case WEIR_FACT_BOOL:
		fprintf(out, " %d\n", *truth ? 1 : 0);
		return;
	case WEIR_FACT_ERROR:
		fprintf(out, " %d\n", *code == 0 ? 0 : 1);
		return;
	case WEIR_FACT_U64:
	case WEIR_FACT_U64_OR_NUL:
		fprintf(out, " %" PRIu64 "\n", *number);
		return;
	case WEIR_FACT_NS:
		write_seconds(*number, seconds, sizeof(seconds));
		fprintf(out, " %s\n", seconds);
		return;
	case WEIR_FACT_DOUBLE:
		fprintf(out, " %.6f\n", *real);
		return;
	case WEIR_FACT_TEXT:
	case WEIR_FACT_STRING:
	case WEIR_FACT_NS_OR_NUL:
	case WEIR_FACT_WITNESS:
		break;
	}
	assert(false); /* no other type is a metric */
}

static void
write_facts(const struct weir_status *status, const struct weir_facts *facts, subject_get get,
            FILE *out)
{
	struct subject subject = {0};
	char name[96];

	for (size_t i = 0; i < facts->n_facts; i++) {
		const struct weir_fact *fact = &facts->facts[i];

		if (fact->kind == WEIR_FACT_PLAIN)
			continue;
		snprintf(name, sizeof(name), "%s_%s", facts->prefix,
		         fact->metric != NULL ? fact->metric : fact->key);
		write_family(name, fact->kind, fact->unit, fact->help, out);
		for (size_t s = 0; get(status, s, &subject); s++) {
			fprintf(out, "%s%s", name, fact->kind == WEIR_FACT_COUNTER ? "_total" : "");
			write_labels(subject.labels, out);
			write_value(fact, subject.thing, out);
		}
	}
}

static bool
get_appliance(const struct weir_status *status, size_t index, struct subject *subject)
{
	*subject = (struct subject){.thing = status};
	return index == 0;
}

static bool
get_policy(const struct weir_status *status, size_t index, struct subject *subject)
{
	*subject = (struct subject){.thing = &status->policy};
	return index == 0;
}

static bool
get_asset(const struct weir_status *status, size_t index, struct subject *subject)
{
	*subject = (struct subject){.thing = &status->asset};
	return index == 0;
}

static bool
get_ledger(const struct weir_status *status, size_t index, struct subject *subject)
{
	*subject = (struct subject){.thing = &status->ledger};
	return index == 0;
}

static bool
get_worker(const struct weir_status *status, size_t index, struct subject *subject)
{
	if (index >= status->n_workers)
		return false;
	*subject = (struct subject){
	    .thing = &status->workers[index],
	    .labels = {{weir_facts_worker.label, status->workers[index].lcore}},
	};
	return true;
}

static bool
get_port(const struct weir_status *status, size_t index, struct subject *subject)
{
	if (index >= status->n_ports)
		return false;
	*subject = (struct subject){
	    .thing = &status->ports[index],
	    .labels = {{weir_facts_port.label, status->ports[index].name}},
	};
	return true;
}

static bool
get_queue(const struct weir_status *status, size_t index, struct subject *subject)
{
	if (index >= status->n_queues)
		return false;
	*subject = (struct subject){
	    .thing = &status->queues[index],
	    .labels = {{weir_facts_queue.label, status->queues[index].port},
	               {"queue", status->queues[index].queue}},
	};
	return true;
}

static bool
get_flow(const struct weir_status *status, size_t index, struct subject *subject)
{
	size_t link = index / WEIR_DIRECTIONS;
	size_t direction = index % WEIR_DIRECTIONS;

	if (link >= status->n_links)
		return false;
	*subject = (struct subject){
	    .thing = &status->links[link].flows[direction],
	    .labels = {{weir_facts_flow.label, status->links[link].name},
	               {"direction", weir_direction_name((enum weir_direction)direction)}},
	};
	return true;
}

static bool
get_class(const struct weir_status *status, size_t index, struct subject *subject)
{
	if (index >= status->n_classes)
		return false;
	*subject = (struct subject){
	    .thing = &status->classes[index],
	    .labels = {{weir_facts_class.label, status->classes[index].name}},
	};
	return true;
}

static bool
get_budget(const struct weir_status *status, size_t index, struct subject *subject)
{
	if (index >= status->n_budgets)
		return false;
	*subject = (struct subject){
	    .thing = &status->budgets[index],
	    .labels = {{weir_facts_budget.label, status->budgets[index].name}},
	};
	return true;
}

/* Caps are two levels deep, so they are walked here and not by number. */
static void
write_caps(const struct weir_status *status, FILE *out)
{
	const struct weir_facts *facts = &weir_facts_cap;
	char name[96], window[SECONDS_SIZE];

	for (size_t i = 0; i < facts->n_facts; i++) {
		const struct weir_fact *fact = &facts->facts[i];

		if (fact->kind == WEIR_FACT_PLAIN)
			continue;
		snprintf(name, sizeof(name), "%s_%s", facts->prefix, fact->key);
		write_family(name, fact->kind, fact->unit, fact->help, out);
		for (uint32_t b = 0; b < status->n_budgets; b++) {
			const struct weir_status_budget *budget = &status->budgets[b];

			for (uint32_t c = 0; c < budget->ledger.n_caps; c++) {
				const struct weir_ledger_cap_status *cap = &budget->ledger.caps[c];
				struct label labels[LABELS_MAX] = {
				    {facts->label, budget->name},
				    {"window_seconds", window},
				};

				if (cap->window_ns == 0)
					snprintf(window, sizeof(window), "lifetime");
				else
					write_seconds(cap->window_ns, window, sizeof(window));
				fputs(name, out);
				write_labels(labels, out);
				write_value(fact, cap, out);
			}
		}
	}
}

static void
write_drops(const struct weir_status *status, FILE *out)
{
	struct subject subject;

	write_family("weir_link_dropped_frames", WEIR_FACT_COUNTER, "frames",
	             "Frames dropped, by reason", out);
	for (size_t s = 0; get_flow(status, s, &subject); s++) {
		const struct weir_flow_totals *totals = subject.thing;

		for (unsigned int i = WEIR_DROP_NONE + 1; i < WEIR_DROPS; i++) {
			struct label labels[LABELS_MAX] = {
			    subject.labels[0],
			    subject.labels[1],
			    {"reason", weir_drop_name((enum weir_drop)i)},
			};

			fputs("weir_link_dropped_frames_total", out);
			write_labels(labels, out);
			fprintf(out, " %" PRIu64 "\n", totals->dropped[i]);
		}
	}
}

static void
write_info(const struct weir_status *status, FILE *out)
{
	static const char *const states[] = {"running", "stopping", "ledger_failed"};
	struct label build[LABELS_MAX] = {
	    {"version", status->version},
	    {"appliance", status->appliance},
	    {"policy_digest", status->policy.digest},
	};

	fputs("# TYPE weir info\n# HELP weir Version, name of the appliance, policy in force.\n",
	      out);
	fputs("weir_info", out);
	write_labels(build, out);
	fputs(" 1\n# TYPE weir_state stateset\n# HELP weir_state What Weir is doing.\n", out);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct label state[LABELS_MAX] = {{"weir_state", states[i]}};

		fputs("weir_state", out);
		write_labels(state, out);
		fprintf(out, " %d\n", strcmp(states[i], status->state) == 0 ? 1 : 0);
	}
}

void
weir_metrics_write(const struct weir_status *status, FILE *out)
{
	write_info(status, out);
	write_facts(status, &weir_facts_appliance, get_appliance, out);
	write_facts(status, &weir_facts_policy, get_policy, out);
	if (status->asset.name != NULL)
		write_facts(status, &weir_facts_asset, get_asset, out);
	write_facts(status, &weir_facts_ledger, get_ledger, out);
	write_facts(status, &weir_facts_worker, get_worker, out);
	write_facts(status, &weir_facts_port, get_port, out);
	write_facts(status, &weir_facts_queue, get_queue, out);
	write_facts(status, &weir_facts_flow, get_flow, out);
	write_drops(status, out);
	write_facts(status, &weir_facts_class, get_class, out);
	write_facts(status, &weir_facts_budget, get_budget, out);
	write_caps(status, out);
	fputs("# EOF\n", out);
}
