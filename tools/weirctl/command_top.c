/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/command.h"
#include "tools/weirctl/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_S     UINT64_C(1000000000)

/* Two answers of the server and the time between them by its clock. */
struct sample {
	const struct weir_status *from, *to;
	double seconds; /* 0: Weir has restarted in between, nothing was measured */
};

/* Bits a second that a counter of wire bytes grew by. */
static uint64_t
bit_rate(uint64_t from, uint64_t to, double seconds)
{
	return weir_status_rate(from, to, seconds / 8);
}

static struct weir_format
rate_text(uint64_t bit_s)
{
	struct weir_format unknown = {"-"};

	return bit_s == WEIR_RATE_UNKNOWN ? unknown : weir_format_rate(bit_s);
}

static json_t *
rate_json(uint64_t rate)
{
	return weir_command_json(rate == WEIR_RATE_UNKNOWN ? json_null()
	                                                   : json_integer((json_int_t)rate));
}

/* What was measured of one class. */
struct class_sample {
	const struct weir_class_status *class;
	uint64_t measured_bit_s, dropped_frame_s;
};

static struct class_sample
sample_class(const struct sample *sample, size_t i)
{
	const struct weir_class_status *to = &sample->to->classes[i];
	const struct weir_class_status *from = weir_status_class(sample->from, i, to->name);
	struct class_sample out = {to, WEIR_RATE_UNKNOWN, WEIR_RATE_UNKNOWN};

	if (from != NULL) {
		out.measured_bit_s =
		    bit_rate(from->tx_wire_bytes, to->tx_wire_bytes, sample->seconds);
		out.dropped_frame_s =
		    weir_status_rate(from->dropped_frames, to->dropped_frames, sample->seconds);
	}
	return out;
}

/* What was measured of one direction of a link. from: NULL where there was no such link. */
struct flow_sample {
	const struct weir_flow_status *from, *to;
	uint64_t rx_bit_s, tx_bit_s;
};

static struct flow_sample
sample_flow(const struct sample *sample, size_t i, int flow)
{
	const struct weir_link_status *to = &sample->to->links[i];
	const struct weir_link_status *from = weir_status_link(sample->from, i, to->name);
	struct flow_sample out = {NULL, &to->flows[flow], WEIR_RATE_UNKNOWN, WEIR_RATE_UNKNOWN};

	if (from != NULL && sample->seconds > 0) {
		out.from = &from->flows[flow];
		out.rx_bit_s =
		    bit_rate(out.from->rx_wire_bytes, out.to->rx_wire_bytes, sample->seconds);
		out.tx_bit_s =
		    bit_rate(out.from->tx_wire_bytes, out.to->tx_wire_bytes, sample->seconds);
	}
	return out;
}

/* Wire bytes a second that a budget is charged. */
static uint64_t
sample_budget(const struct sample *sample, size_t i)
{
	const struct weir_budget_status *to = &sample->to->budgets[i];
	const struct weir_budget_status *from = weir_status_budget(sample->from, i, to->name);

	if (from == NULL)
		return WEIR_RATE_UNKNOWN;
	return weir_status_rate(from->charged_wire_bytes, to->charged_wire_bytes, sample->seconds);
}

static void
print_classes(const struct sample *sample, FILE *out)
{
	static const struct weir_column columns[] = {
	    {"CLASS", false}, {"ASKED", true},   {"MEASURED", true}, {"OF ASKED", true},
	    {"QUEUE", true},  {"DROPS/S", true}, {"DROPPED", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < sample->to->n_classes; i++) {
		struct class_sample c = sample_class(sample, i);
		bool known = c.measured_bit_s != WEIR_RATE_UNKNOWN;

		weir_table_cell(table, "%s", c.class->name);
		weir_table_cell(table, "%s", weir_format_rate(c.class->rate_bit_s).text);
		weir_table_cell(table, "%s", rate_text(c.measured_bit_s).text);
		weir_table_cell(
		    table, "%s",
		    known ? weir_format_percent(c.measured_bit_s, c.class->rate_bit_s).text : "-");
		weir_table_cell(table, "%s", weir_format_bytes(c.class->queued_bytes).text);
		if (c.dropped_frame_s == WEIR_RATE_UNKNOWN)
			weir_table_cell(table, "-");
		else
			weir_table_cell(table, "%" PRIu64, c.dropped_frame_s);
		weir_table_cell(table, "%" PRIu64, c.class->dropped_frames);
	}
	weir_table_print(table, out);
}

/* "no_rule 12 (+3), rate 7": all since the start, and in brackets what came since last time. */
static void
print_reasons(struct weir_table *table, const struct flow_sample *flow)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	const char *reason, *comma = "";
	json_t *frames;

	if (out == NULL)
		weir_text_no_memory();
	json_object_foreach (flow->to->dropped, reason, frames) {
		json_int_t now = json_integer_value(frames), before = now;

		if (now == 0)
			continue;
		if (flow->from != NULL)
			before = json_integer_value(json_object_get(flow->from->dropped, reason));
		fprintf(out, "%s%s %" JSON_INTEGER_FORMAT, comma, reason, now);
		if (before < now)
			fprintf(out, " (+%" JSON_INTEGER_FORMAT ")", now - before);
		comma = ", ";
	}
	if (fclose(out) != 0)
		weir_text_no_memory();
	weir_table_cell(table, "%s", text);
	free(text);
}

static void
print_links(const struct sample *sample, FILE *out)
{
	static const struct weir_column columns[] = {
	    {"LINK", false}, {"DIRECTION", false}, {"RECEIVED", true},
	    {"SENT", true},  {"DROPPED", true},    {"BY REASON", false},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < sample->to->n_links; i++) {
		for (int f = 0; f < WEIR_FLOWS; f++) {
			struct flow_sample flow = sample_flow(sample, i, f);

			weir_table_cell(table, "%s", sample->to->links[i].name);
			weir_table_cell(table, "%s", weir_flow_names[f]);
			weir_table_cell(table, "%s", rate_text(flow.rx_bit_s).text);
			weir_table_cell(table, "%s", rate_text(flow.tx_bit_s).text);
			weir_table_cell(table, "%" PRIu64, weir_status_dropped(flow.to));
			print_reasons(table, &flow);
		}
	}
	weir_table_print(table, out);
}

static void
print_exhaustion(struct weir_table *table, const struct weir_status *status,
                 const struct weir_cap_status *cap, uint64_t byte_s)
{
	uint64_t ns = 0;

	switch (weir_status_exhaustion(status, cap, byte_s, &ns)) {
	case WEIR_EXHAUSTION_UNKNOWN:
		weir_table_cell(table, "-");
		break;
	case WEIR_EXHAUSTION_NEVER:
		weir_table_cell(table, "never");
		break;
	case WEIR_EXHAUSTION_NOW:
		weir_table_cell(table, "now");
		break;
	case WEIR_EXHAUSTION_IN:
		weir_table_cell(table, "%s", weir_format_duration(ns).text);
		break;
	case WEIR_EXHAUSTION_EARLIEST:
		weir_table_cell(table, ">= %s", weir_format_duration(ns).text);
		break;
	}
}

static void
print_budgets(const struct sample *sample, FILE *out)
{
	static const struct weir_column columns[] = {
	    {"BUDGET", false}, {"CAP", true},  {"PER", false},   {"CHARGED AT", true},
	    {"USED", true},    {"LEFT", true}, {"USED %", true}, {"EXHAUSTED IN", true},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));

	for (size_t i = 0; i < sample->to->n_budgets; i++) {
		const struct weir_budget_status *budget = &sample->to->budgets[i];
		uint64_t byte_s = sample_budget(sample, i);
		uint64_t bit_s;

		if (__builtin_mul_overflow(byte_s, UINT64_C(8), &bit_s))
			bit_s = WEIR_RATE_UNKNOWN;
		for (size_t c = 0; c < budget->n_caps; c++) {
			const struct weir_cap_status *cap = &budget->caps[c];

			weir_table_cell(table, "%s", budget->name);
			weir_table_cell(table, "%s", weir_format_bytes(cap->limit_bytes).text);
			weir_table_cell(table, "%s", weir_status_window(cap).text);
			weir_table_cell(table, "%s", rate_text(bit_s).text);
			weir_table_cell(table, "%s", weir_format_bytes(cap->used_bytes).text);
			weir_table_cell(table, "%s", weir_format_bytes(cap->remaining_bytes).text);
			weir_table_cell(table, "%s", weir_status_used_percent(cap).text);
			print_exhaustion(table, sample->to, cap, byte_s);
		}
	}
	weir_table_print(table, out);
}

static void
print_sample(const struct sample *sample, FILE *out)
{
	weir_status_print_head(sample->to, out);
	if (sample->seconds > 0)
		fprintf(out, "measured over %s\n\n",
		        weir_format_duration(weir_format_ns_from_s(sample->seconds)).text);
	else
		fprintf(out, "nothing measured: weir has restarted\n\n");
	print_classes(sample, out);
	fputc('\n', out);
	print_links(sample, out);
	fputc('\n', out);
	print_budgets(sample, out);
}

static json_t *
classes_json(const struct sample *sample)
{
	json_t *list = weir_command_json(json_array());

	for (size_t i = 0; i < sample->to->n_classes; i++) {
		struct class_sample c = sample_class(sample, i);

		json_array_append_new(
		    list, weir_command_json(
		              json_pack("{s:s, s:I, s:o, s:I, s:o, s:I}", "name", c.class->name,
		                        "rate_bit_s", (json_int_t)c.class->rate_bit_s,
		                        "measured_bit_s", rate_json(c.measured_bit_s),
		                        "queued_bytes", (json_int_t)c.class->queued_bytes,
		                        "dropped_frames_s", rate_json(c.dropped_frame_s),
		                        "dropped_frames", (json_int_t)c.class->dropped_frames)));
	}
	return list;
}

static json_t *
links_json(const struct sample *sample)
{
	json_t *list = weir_command_json(json_array());

	for (size_t i = 0; i < sample->to->n_links; i++) {
		json_t *link =
		    weir_command_json(json_pack("{s:s}", "name", sample->to->links[i].name));

		for (int f = 0; f < WEIR_FLOWS; f++) {
			struct flow_sample flow = sample_flow(sample, i, f);

			json_object_set_new(
			    link, weir_flow_names[f],
			    weir_command_json(json_pack(
			        "{s:o, s:o, s:O}", "rx_bit_s", rate_json(flow.rx_bit_s), "tx_bit_s",
			        rate_json(flow.tx_bit_s), "dropped", flow.to->dropped)));
		}
		json_array_append_new(list, link);
	}
	return list;
}

/* Seconds, as Weir writes them: whole where they are. */
static json_t *
seconds_json(uint64_t ns)
{
	return weir_command_json(ns % NS_PER_S == 0 ? json_integer((json_int_t)(ns / NS_PER_S))
	                                            : json_real((double)ns / (double)NS_PER_S));
}

/* Seconds until a cap is reached, at the earliest; null where that is unknown or never. */
static json_t *
exhaustion_json(const struct weir_status *status, const struct weir_cap_status *cap,
                uint64_t byte_s)
{
	uint64_t ns = 0;

	switch (weir_status_exhaustion(status, cap, byte_s, &ns)) {
	case WEIR_EXHAUSTION_NOW:
	case WEIR_EXHAUSTION_IN:
	case WEIR_EXHAUSTION_EARLIEST:
		return seconds_json(ns);
	case WEIR_EXHAUSTION_UNKNOWN:
	case WEIR_EXHAUSTION_NEVER:
		break;
	}
	return json_null();
}

static json_t *
budgets_json(const struct sample *sample)
{
	json_t *list = weir_command_json(json_array());

	for (size_t i = 0; i < sample->to->n_budgets; i++) {
		const struct weir_budget_status *budget = &sample->to->budgets[i];
		uint64_t byte_s = sample_budget(sample, i);
		json_t *caps = weir_command_json(json_array());

		for (size_t c = 0; c < budget->n_caps; c++) {
			const struct weir_cap_status *cap = &budget->caps[c];
			json_t *window =
			    cap->window_ns == 0 ? json_null() : seconds_json(cap->window_ns);

			json_array_append_new(
			    caps, weir_command_json(json_pack(
			              "{s:I, s:o, s:I, s:I, s:o}", "limit_bytes",
			              (json_int_t)cap->limit_bytes, "window_s", window,
			              "used_bytes", (json_int_t)cap->used_bytes, "remaining_bytes",
			              (json_int_t)cap->remaining_bytes, "exhausted_in_s",
			              exhaustion_json(sample->to, cap, byte_s))));
		}
		json_array_append_new(
		    list, weir_command_json(
		              json_pack("{s:s, s:s?, s:I, s:o, s:o}", "name", budget->name,
		                        "parent", budget->parent, "charged_wire_bytes",
		                        (json_int_t)budget->charged_wire_bytes, "charged_byte_s",
		                        rate_json(byte_s), "caps", caps)));
	}
	return list;
}

static void
print_sample_json(const struct sample *sample)
{
	json_t *seconds = sample->seconds > 0 ? json_real(sample->seconds) : json_null();

	weir_command_print_json(
	    weir_command_json(json_pack(
	        "{s:s, s:f, s:o, s:o, s:o, s:o}", "state", sample->to->state, "uptime_s",
	        sample->to->uptime_s, "measured_s", seconds, "classes", classes_json(sample),
	        "links", links_json(sample), "budgets", budgets_json(sample))),
	    true);
}

static void
show_sample(const struct sample *sample, const struct weir_options *options, bool live)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out;

	if (options->json) {
		print_sample_json(sample);
		return;
	}
	out = open_memstream(&text, &bytes);
	if (out == NULL)
		weir_text_no_memory();
	print_sample(sample, out);
	if (fclose(out) != 0)
		weir_text_no_memory();
	if (live)
		weir_text_draw(text);
	else
		printf("%s\n", text);
	free(text);
}

enum weir_exit
weir_command_top(const struct weir_options *options)
{
	struct sample sample = {0};
	struct weir_error error;
	struct weir_status *from = weir_status_get(options->socket, &error), *to;
	bool live = !options->json && isatty(STDOUT_FILENO);

	if (from == NULL)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	if (live)
		fputs("\033[2J", stdout);
	for (uint64_t n = 0; options->count == 0 || n < options->count; n++) {
		/* From the last answer on: a slow server is not asked faster to catch up. */
		weir_command_wait(options->interval_ns);
		to = weir_status_get(options->socket, &error);
		if (to == NULL) {
			weir_status_free(from);
			return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
		}
		sample.from = from;
		sample.to = to;
		sample.seconds = weir_status_seconds(from, to);
		show_sample(&sample, options, live);
		weir_status_free(from);
		from = to;
		if (fflush(stdout) != 0)
			break; /* nobody reads: the check at the end of main says so */
	}
	weir_status_free(from);
	return WEIR_EXIT_OK;
}
