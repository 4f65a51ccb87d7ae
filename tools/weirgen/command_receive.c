/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/format.h"
#include "tools/weirctl/text.h"
#include "tools/weirgen/packet_socket.h"
#include "tools/weirgen/pcapng.h"
#include "tools/weirgen/result.h"

#include <inttypes.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RX_FRAMES    16383U
#define MTU_USUAL    1500U
#define REFRESH_NS   WEIR_NS_PER_S
#define WRITE_STEP   (20 * WEIR_NS_PER_MS)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const latency_names[] = {"none", "one way", "variation"};

/* The counts at one moment, and at the moment before. */
struct sample {
	uint64_t frames, wire_bytes, ns;
};

static struct sample
take_sample(const struct weir_listen *listen)
{
	return (struct sample){atomic_load(&listen->counts.frames),
	                       atomic_load(&listen->counts.wire_bytes), weir_clock_raw_ns()};
}

static uint64_t
span_ns(const struct weir_listen *listen)
{
	uint64_t first = atomic_load(&listen->counts.first_tsc);
	uint64_t last = atomic_load(&listen->counts.last_tsc);

	return last > first ? weir_clock_ns_from_tsc(&listen->station->clock, last - first) : 0;
}

/* Frames that the port had no room for, by its own count, and the kernel's in front of it. */
static uint64_t
port_missed(struct weir_listen *listen)
{
	struct rte_eth_stats stats = {0};
	uint64_t dropped;

	if (listen->packet_socket >= 0 &&
	    weir_packet_socket_dropped(listen->packet_socket, &dropped) == 0)
		listen->kernel_dropped += dropped;
	if (rte_eth_stats_get(listen->station->port.port_id, &stats) != 0)
		return listen->kernel_dropped;
	return listen->kernel_dropped + stats.imissed + stats.rx_nombuf + stats.ierrors;
}

static void
print_flows(const struct weir_listen *listen, FILE *out)
{
	static const struct weir_column columns[] = {
	    {"FLOW", true},      {"FRAMES", true}, {"LOST", true},  {"TWICE", true},
	    {"REORDERED", true}, {"STALE", true},  {"STRAY", true}, {"LATENCY", true},
	    {"P50", true},       {"P99", true},    {"MAX", true},
	};
	uint32_t flows = atomic_load(&listen->counts.flows);
	struct weir_table *table;

	if (flows == 0)
		return;
	table = weir_table_new(columns, COUNT(columns));
	for (uint32_t i = 0; i < flows; i++) {
		const struct weir_track *track = &listen->tracks[i];
		const struct weir_histogram *latency = &track->latency;

		if (!track->seen)
			continue;
		weir_table_cell(table, "%u", i);
		weir_table_cell(table, "%" PRIu64, track->frames);
		weir_table_cell(table, "%" PRIu64, weir_track_lost(track));
		weir_table_cell(table, "%" PRIu64, track->duplicates);
		weir_table_cell(table, "%" PRIu64, track->reordered);
		weir_table_cell(table, "%" PRIu64, track->stale);
		weir_table_cell(table, "%" PRIu64, track->stray);
		weir_table_cell(table, "%s", latency_names[track->kind]);
		weir_table_cell(table, "%s",
		                weir_format_duration(weir_histogram_quantile(latency, 0.5)).text);
		weir_table_cell(table, "%s",
		                weir_format_duration(weir_histogram_quantile(latency, 0.99)).text);
		weir_table_cell(table, "%s", weir_format_duration(latency->max_ns).text);
	}
	fputc('\n', out);
	weir_table_print(table, out);
}

static void
print_judgement(const struct weir_listen *listen, FILE *out)
{
	for (uint32_t i = 0; i < listen->n_limits; i++) {
		struct weir_excess excess = weir_limit_meter_excess(&listen->limits[i]);

		fprintf(out,
		        "over %s: by %" PRIu64 " bytes in the worst interval (%" PRIu64
		        " to %" PRIu64 ")\n",
		        weir_format_rate(listen->limits[i].rate_bit_s).text, excess.seen,
		        excess.least, excess.most);
	}
	for (uint32_t i = 0; i < listen->n_windows; i++) {
		const struct weir_window_meter *window = &listen->windows[i];

		fprintf(
		    out, "busiest %s: %" PRIu64 " to %" PRIu64 " wire bytes, %s or more\n",
		    weir_format_duration(window->window_ns).text, window->at_least, window->at_most,
		    weir_format_rate(weir_result_rate(window->at_least, window->window_ns)).text);
	}
}

static void
print_all(struct weir_listen *listen, FILE *out)
{
	uint64_t wire = atomic_load(&listen->counts.wire_bytes), ns = span_ns(listen);
	uint64_t missed = port_missed(listen);

	fprintf(out, "received %" PRIu64 " frames, %" PRIu64 " wire bytes in %s: %s\n",
	        atomic_load(&listen->counts.frames), wire, weir_format_duration(ns).text,
	        weir_format_rate(weir_result_rate(wire, ns)).text);
	if (missed > 0)
		fprintf(out, "the port missed %" PRIu64 " frames beside these\n", missed);
	if (atomic_load(&listen->counts.oversize) > 0)
		fprintf(out, "%" PRIu64 " of these were longer than the MTU: joined by offloads\n",
		        atomic_load(&listen->counts.oversize));
	print_judgement(listen, out);
	print_flows(listen, out);
}

/* What changes while it runs: on a terminal the whole table, otherwise a line. */
static void
show_progress(struct weir_listen *listen, const struct sample *from, const struct sample *to,
              bool terminal)
{
	uint64_t rate = weir_result_rate(to->wire_bytes - from->wire_bytes, to->ns - from->ns);
	char *text = NULL;
	size_t bytes = 0;
	FILE *out;

	if (!terminal) {
		printf("%" PRIu64 " frames  %s  now %s\n", to->frames,
		       weir_format_bytes(to->wire_bytes).text, weir_format_rate(rate).text);
		return;
	}
	out = open_memstream(&text, &bytes);
	if (out == NULL)
		weir_text_no_memory();
	fprintf(out, "now %s, %" PRIu64 " frames/s\n", weir_format_rate(rate).text,
	        (uint64_t)((to->frames - from->frames) * WEIR_NS_PER_S / (to->ns - from->ns)));
	print_all(listen, out);
	if (fclose(out) != 0)
		weir_text_no_memory();
	weir_text_draw(text);
	free(text);
}

static enum weir_exit
watch(struct weir_listen *listen, const struct weir_options *options, struct weir_pcapng *pcapng)
{
	struct sample from = take_sample(listen), to;
	bool terminal = isatty(STDOUT_FILENO) == 1 && !options->quiet, ended = false;
	enum weir_exit status = WEIR_EXIT_OK;

	if (terminal)
		fputs("\033[2J", stdout);
	while (!ended) {
		ended =
		    weir_station_wait(listen->station, pcapng != NULL ? WRITE_STEP : REFRESH_NS);
		if (pcapng != NULL && status == WEIR_EXIT_OK && weir_pcapng_write(pcapng) != 0) {
			status = weir_command_fail(WEIR_EXIT_FAILED, "%s: can't be written",
			                           options->output);
			weir_station_stop();
		}
		to = take_sample(listen);
		if (options->quiet || ended || to.ns - from.ns < REFRESH_NS)
			continue;
		show_progress(listen, &from, &to, terminal);
		fflush(stdout);
		from = to;
	}
	if (terminal)
		fputs("\033[H\033[2J", stdout);
	return status;
}

static json_t *
histogram_json(const struct weir_histogram *histogram)
{
	json_t *buckets = weir_result_json(json_array());

	for (uint32_t i = 0; i < WEIR_TRACK_BUCKETS; i++)
		if (histogram->buckets[i] > 0)
			json_array_append_new(
			    buckets,
			    weir_result_json(json_pack(
			        "[I, I]", (json_int_t)(weir_histogram_bucket_end(i) & INT64_MAX),
			        (json_int_t)histogram->buckets[i])));
	return weir_result_json(json_pack(
	    "{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:o}", "count", (json_int_t)histogram->count,
	    "min_ns", (json_int_t)histogram->min_ns, "max_ns", (json_int_t)histogram->max_ns,
	    "mean_ns",
	    histogram->count > 0 ? (double)histogram->sum_ns / (double)histogram->count : 0.0,
	    "p50_ns", (json_int_t)weir_histogram_quantile(histogram, 0.5), "p99_ns",
	    (json_int_t)weir_histogram_quantile(histogram, 0.99), "p999_ns",
	    (json_int_t)weir_histogram_quantile(histogram, 0.999), "buckets_to_ns", buckets));
}

static json_t *
flows_json(const struct weir_listen *listen)
{
	json_t *list = weir_result_json(json_array());

	for (uint32_t i = 0; i < atomic_load(&listen->counts.flows); i++) {
		const struct weir_track *track = &listen->tracks[i];

		if (!track->seen)
			continue;
		json_array_append_new(
		    list,
		    weir_result_json(json_pack(
		        "{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}",
		        "flow", (int)i, "frames", (json_int_t)track->frames, "wire_bytes",
		        (json_int_t)track->wire_bytes, "first",
		        (json_int_t)(track->first & UINT32_MAX), "highest",
		        (json_int_t)(track->highest - (track->first & ~(uint64_t)UINT32_MAX)),
		        "lost", (json_int_t)weir_track_lost(track), "duplicates",
		        (json_int_t)track->duplicates, "reordered", (json_int_t)track->reordered,
		        "reorder_max", (json_int_t)track->reorder_max, "stale",
		        (json_int_t)track->stale, "stray", (json_int_t)track->stray, "early",
		        (json_int_t)track->early, "latency_kind", latency_names[track->kind],
		        "latency", histogram_json(&track->latency))));
	}
	return list;
}

static json_t *
limits_json(const struct weir_listen *listen, const struct weir_options *options)
{
	json_t *list = weir_result_json(json_array());

	for (uint32_t i = 0; i < listen->n_limits; i++) {
		const struct weir_limit_option *limit = &options->limits[i];
		struct weir_excess excess = weir_limit_meter_excess(&listen->limits[i]);
		json_t *burst =
		    limit->has_burst ? json_integer((json_int_t)limit->burst_bytes) : json_null();

		json_array_append_new(list, weir_result_json(json_pack(
		                                "{s:I, s:o, s:I, s:I, s:I}", "rate_bit_s",
		                                (json_int_t)limit->rate_bit_s, "burst_bytes", burst,
		                                "excess_bytes", (json_int_t)excess.seen,
		                                "excess_at_least_bytes", (json_int_t)excess.least,
		                                "excess_at_most_bytes", (json_int_t)excess.most)));
	}
	return list;
}

static json_t *
windows_json(const struct weir_listen *listen)
{
	json_t *list = weir_result_json(json_array());

	for (uint32_t i = 0; i < listen->n_windows; i++) {
		const struct weir_window_meter *window = &listen->windows[i];

		json_array_append_new(
		    list, weir_result_json(json_pack(
		              "{s:I, s:I, s:I}", "window_ns", (json_int_t)window->window_ns,
		              "at_least_bytes", (json_int_t)window->at_least, "at_most_bytes",
		              (json_int_t)window->at_most)));
	}
	return list;
}

static json_t *
result_json(struct weir_listen *listen, const struct weir_options *options)
{
	const struct weir_listen_counts *counts = &listen->counts;
	const struct weir_clock *clock = &listen->station->clock;
	uint64_t wire = atomic_load(&counts->wire_bytes), ns = span_ns(listen);

	return weir_result_json(json_pack(
	    "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
	    "kind", "weirgen.receive", "frames", (json_int_t)atomic_load(&counts->frames),
	    "frame_bytes", (json_int_t)atomic_load(&counts->frame_bytes), "wire_bytes",
	    (json_int_t)wire, "span_ns", (json_int_t)ns, "rate_bit_s",
	    (json_int_t)weir_result_rate(wire, ns), "stamped",
	    (json_int_t)atomic_load(&counts->stamped), "stamped_other_flows",
	    (json_int_t)atomic_load(&counts->other_flows), "port_missed",
	    (json_int_t)port_missed(listen), "capture_missed",
	    (json_int_t)atomic_load(&counts->capture_missed), "oversize",
	    (json_int_t)atomic_load(&counts->oversize), "look_max_ns",
	    (json_int_t)weir_clock_ns_from_tsc(clock, atomic_load(&counts->look_max)), "elapsed_ns",
	    (json_int_t)weir_clock_ns_from_tsc(clock, listen->end_tsc - listen->start_tsc),
	    "limits", limits_json(listen, options), "windows", windows_json(listen), "flows",
	    flows_json(listen)));
}

/* By the most that can be held against what was received for certain. */
static enum weir_exit
judge_limit(const struct weir_listen *listen, const struct weir_limit_option *limit,
            const struct weir_excess *excess)
{
	uint64_t look_max = atomic_load(&listen->counts.look_max);

	if (excess->least > limit->burst_bytes)
		return weir_command_fail(WEIR_EXIT_FAILED,
		                         "an interval had at least %" PRIu64
		                         " bytes more than %s allows: the burst is %" PRIu64,
		                         excess->least, weir_format_rate(limit->rate_bit_s).text,
		                         limit->burst_bytes);
	/* Nobody is accused, and no pass is given. */
	if (excess->seen > limit->burst_bytes)
		return weir_command_fail(
		    WEIR_EXIT_FAILED,
		    "%s could not be judged: the receiver was kept from its CPU, by up to %s: "
		    "%" PRIu64 " bytes more were seen in an interval, %" PRIu64
		    " are certain, and the burst is %" PRIu64,
		    weir_format_rate(limit->rate_bit_s).text,
		    weir_format_duration(weir_clock_ns_from_tsc(&listen->station->clock, look_max))
		        .text,
		    excess->seen, excess->least, limit->burst_bytes);
	return WEIR_EXIT_OK;
}

static enum weir_exit
judge(struct weir_listen *listen, const struct weir_options *options)
{
	enum weir_exit status = WEIR_EXIT_OK;
	uint64_t missed = port_missed(listen);
	bool judged = false;

	for (uint32_t i = 0; i < listen->n_limits; i++) {
		const struct weir_limit_option *limit = &options->limits[i];
		struct weir_excess excess = weir_limit_meter_excess(&listen->limits[i]);

		if (!limit->has_burst)
			continue;
		judged = true;
		if (judge_limit(listen, limit, &excess) != WEIR_EXIT_OK)
			status = WEIR_EXIT_FAILED;
	}
	/* Most likely it listens at the wrong place. */
	if (judged && missed == 0 && atomic_load(&listen->counts.frames) == 0)
		status =
		    weir_command_fail(WEIR_EXIT_FAILED, "no frame arrived: no limit was judged");
	if (judged && atomic_load(&listen->counts.oversize) > 0)
		status = weir_command_fail(
		    WEIR_EXIT_FAILED,
		    "%" PRIu64
		    " frames were longer than the MTU of %u: offloads have joined them, and "
		    "their bytes are not those of the wire",
		    atomic_load(&listen->counts.oversize), listen->station->port.config.mtu_bytes);
	if (judged && missed > 0)
		status = weir_command_fail(WEIR_EXIT_FAILED,
		                           "%" PRIu64 " frames were missed: what holds without "
		                           "them may not hold with them",
		                           missed);
	if (atomic_load(&listen->counts.capture_missed) > 0)
		status = weir_command_fail(
		    WEIR_EXIT_FAILED, "%s: %" PRIu64 " frames are missing: it came too fast",
		    options->output, atomic_load(&listen->counts.capture_missed));
	return status;
}

static enum weir_exit
listen_and_tell(struct weir_listen *listen, const struct weir_options *options)
{
	struct weir_pcapng *pcapng = NULL;
	enum weir_exit status, verdict;
	char error[512] = "out of memory";

	if (options->output != NULL &&
	    weir_pcapng_open(options->output, listen->station, &listen->capture, &pcapng, error,
	                     sizeof(error)) != 0)
		return weir_command_fail(WEIR_EXIT_FAILED, "%s", error);
	if (weir_listen_start(listen) != 0)
		return weir_command_fail(WEIR_EXIT_FAILED, "the worker does not start");
	if (!options->quiet) {
		printf("receiving on %s\n", options->device);
		fflush(stdout);
	}
	status = watch(listen, options, pcapng);
	if (pcapng != NULL && weir_pcapng_close(pcapng) != 0 && status == WEIR_EXIT_OK)
		status =
		    weir_command_fail(WEIR_EXIT_FAILED, "%s: can't be written", options->output);
	if (!options->quiet)
		print_all(listen, stdout);
	verdict = judge(listen, options);
	if (options->json != NULL &&
	    weir_result_write(result_json(listen, options), options) != WEIR_EXIT_OK)
		status = WEIR_EXIT_FAILED;
	return status != WEIR_EXIT_OK ? status : verdict;
}

enum weir_exit
weir_command_receive(const struct weir_options *options)
{
	static struct weir_listen listen;
	static struct weir_station station;
	uint32_t mtu = options->mtu_bytes != 0 ? options->mtu_bytes : MTU_USUAL;
	uint64_t more = options->output != NULL ? weir_pcapng_memory(mtu) : 0;
	char error[512];
	enum weir_exit status;

	for (uint32_t i = 0; i < options->n_windows; i++)
		if (options->windows_ns[i] < WEIR_METER_MIN_NS)
			return weir_command_fail(WEIR_EXIT_USAGE,
			                         "--window: expected 10 us or more");
	status = weir_station_open(options, mtu, RX_FRAMES, more, &station, error, sizeof(error));
	if (status != WEIR_EXIT_OK)
		return weir_command_fail(status, "%s", error);
	weir_listen_make(&station, options, &listen);
	if (weir_packet_socket_joins(station.port.interface))
		status = weir_command_fail(WEIR_EXIT_USAGE,
		                           "%s: the interface joins frames before they can be "
		                           "counted: ethtool -K INTERFACE gro off lro off",
		                           options->device);
	else
		status = listen_and_tell(&listen, options);
	weir_station_close_port(&station);
	weir_station_finish();
	return status;
}
