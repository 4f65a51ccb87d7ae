/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/result.h"

#include "tools/weirctl/format.h"
#include "tools/weirgen/output.h"
#include "tools/weirgen/settle.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RX_FRAMES 4095U /* of the port's receive queue, which nobody reads */
#define RATE_MOST 1000U /* a rate that is off by more than a 1000th was not sent */

json_t *
weir_result_json(json_t *json)
{
	if (json == NULL) {
		fputs("weirgen: out of memory\n", stderr);
		exit(WEIR_EXIT_FAILED);
	}
	return json;
}

static bool
write_json(const json_t *json, FILE *out)
{
	return json_dumpf(json, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF &&
	       fflush(out) == 0;
}

enum weir_exit
weir_result_write(json_t *json, const struct weir_options *options)
{
	struct weir_output output;
	char error[512];
	FILE *out;
	int result = 0;

	if (strcmp(options->json, "-") == 0) {
		if (!write_json(json, stdout))
			result = weir_output_lost(errno != 0 ? errno : EIO); /* told at the end */
		json_decref(json);
		return result == 0 ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
	}
	if (weir_output_open(options->json, options->file, &output, error, sizeof(error)) != 0) {
		json_decref(json);
		return weir_command_fail(WEIR_EXIT_FAILED, "%s", error);
	}
	out = fdopen(output.fd, "w");
	if (out == NULL || !write_json(json, out))
		result = -errno;
	json_decref(json);
	if (out == NULL)
		(void)close(output.fd);
	else if (fclose(out) != 0 && result == 0)
		result = -errno;
	if (result == 0)
		result = weir_output_keep(&output);
	else
		weir_output_drop(&output);
	if (result == 0)
		return WEIR_EXIT_OK;
	return weir_command_fail(WEIR_EXIT_FAILED, "%s: %s", options->json, strerror(-result));
}

uint64_t
weir_result_rate(uint64_t bytes, uint64_t ns)
{
	weir_u128 rate = ns == 0 ? 0 : (weir_u128)bytes * 8 * WEIR_NS_PER_S / ns;

	return rate > UINT64_MAX ? UINT64_MAX : (uint64_t)rate;
}

/* Waits for the worker to end, with a line of progress each second unless quiet. */
static void
watch(const struct weir_transmit *transmit, const struct weir_options *options)
{
	uint64_t frames = 0, wire = 0, ns = 0;
	bool terminal = isatty(STDOUT_FILENO) == 1;
	bool ended = false;

	while (!ended) {
		uint64_t to_frames, to_wire, to_ns;

		ended = weir_station_wait(transmit->station, WEIR_NS_PER_S);
		to_frames = atomic_load(&transmit->counts.frames);
		to_wire = atomic_load(&transmit->counts.wire_bytes);
		to_ns = weir_transmit_elapsed_ns(transmit);
		if (!options->quiet && (!ended || terminal))
			printf("%s%8.1f s  %" PRIu64 " frames  %s  now %s%s", terminal ? "\r" : "",
			       (double)to_ns / 1e9, to_frames, weir_format_bytes(to_wire).text,
			       weir_format_rate(weir_result_rate(to_wire - wire, to_ns - ns)).text,
			       terminal ? "\033[K" : "\n");
		fflush(stdout);
		frames = to_frames;
		wire = to_wire;
		ns = to_ns;
	}
	if (!options->quiet && terminal && frames > 0)
		putchar('\n');
}

uint64_t
weir_result_port_errors(const struct weir_transmit *transmit)
{
	struct rte_eth_stats stats = {0};

	return rte_eth_stats_get(transmit->station->port.port_id, &stats) == 0 ? stats.oerrors : 0;
}

static double
cycles_a_frame(const struct weir_transmit *transmit)
{
	uint64_t frames = atomic_load(&transmit->counts.frames);
	uint64_t last = atomic_load(&transmit->counts.last_tsc);

	return frames == 0 ? 0 : (double)(last - transmit->start_tsc) / (double)frames;
}

json_t *
weir_result_transmit_json(const char *kind, const struct weir_transmit *transmit,
                          uint64_t port_errors, uint64_t asked_bit_s, enum weir_exit status)
{
	const struct weir_transmit_counts *counts = &transmit->counts;
	uint64_t ns = weir_transmit_elapsed_ns(transmit), wire = atomic_load(&counts->wire_bytes);
	bool rate = asked_bit_s > 0 && !transmit->config.fast;
	json_t *asked = rate ? json_integer((json_int_t)asked_bit_s) : json_null();

	return weir_result_json(json_pack(
	    "{s:s, s:b, s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, "
	    "s:f, s:b, s:I}",
	    "kind", kind, "ok", (int)(status == WEIR_EXIT_OK), "fast", (int)transmit->config.fast,
	    "endless", (int)transmit->config.endless, "asked_bit_s", asked, "frames",
	    (json_int_t)atomic_load(&counts->frames), "frame_bytes",
	    (json_int_t)atomic_load(&counts->frame_bytes), "wire_bytes", (json_int_t)wire,
	    "elapsed_ns", (json_int_t)ns, "rate_bit_s", (json_int_t)weir_result_rate(wire, ns),
	    "behind_max_ns", (json_int_t)(atomic_load(&counts->behind_max) / WEIR_TICKS_PER_NS),
	    "given_up_ns", (json_int_t)(atomic_load(&counts->given_up) / WEIR_TICKS_PER_NS),
	    "cut_short", (int)atomic_load(&counts->cut_short), "port_full",
	    (json_int_t)atomic_load(&counts->refused), "port_errors", (json_int_t)port_errors,
	    "port_unsent", (json_int_t)transmit->stuck, "returned",
	    (json_int_t)atomic_load(&counts->returned), "cycles_per_frame",
	    cycles_a_frame(transmit), "huge_pages", (int)transmit->station->huge_pages, "tsc_hz",
	    (json_int_t)transmit->station->clock.tsc_hz));
}

enum weir_exit
weir_result_transmit_print(const struct weir_transmit *transmit, const struct weir_options *options,
                           uint64_t port_errors)
{
	const struct weir_transmit_counts *counts = &transmit->counts;
	uint64_t frames = atomic_load(&counts->frames), wire = atomic_load(&counts->wire_bytes);
	uint64_t ns = weir_transmit_elapsed_ns(transmit);
	uint64_t given_up = atomic_load(&counts->given_up) / WEIR_TICKS_PER_NS;
	uint64_t returned = atomic_load(&counts->returned);
	enum weir_exit status = WEIR_EXIT_OK;

	if (!options->quiet)
		printf("sent %" PRIu64 " frames, %" PRIu64 " wire bytes in %s: %s\n", frames, wire,
		       weir_format_duration(ns).text,
		       weir_format_rate(weir_result_rate(wire, ns)).text);
	if (!options->fast && !options->quiet)
		printf("behind the schedule by at most %s\n",
		       weir_format_duration(atomic_load(&counts->behind_max) / WEIR_TICKS_PER_NS)
		           .text);
	if (given_up > 0 && !options->fast && !options->quiet)
		printf("gave up %s: behind by more than --catch-up, all later frames were late by "
		       "it\n",
		       weir_format_duration(given_up).text);
	if (given_up > ns / RATE_MOST && !options->fast)
		status = weir_command_fail(
		    WEIR_EXIT_FAILED,
		    "the rates asked were not sent: %s of %s were given up (see --catch-up)",
		    weir_format_duration(given_up).text, weir_format_duration(ns).text);
	if (transmit->config.loop && !options->quiet)
		printf("%" PRIu64 " frames came back: the port is a loop\n", returned);
	if (transmit->config.loop && returned != frames)
		status = weir_command_fail(
		    WEIR_EXIT_FAILED, "%" PRIu64 " frames came back of %" PRIu64, returned, frames);
	if (transmit->stuck > 0)
		status = weir_command_fail(
		    WEIR_EXIT_FAILED,
		    "up to %" PRIu64
		    " of these were not sent: dropped, or still in the port's ring after a second",
		    transmit->stuck);
	if (port_errors > 0)
		status = weir_command_fail(WEIR_EXIT_FAILED,
		                           "the port failed to send %" PRIu64 " frames of these",
		                           port_errors);
	if (atomic_load(&counts->cut_short) && !transmit->config.endless)
		status = weir_command_fail(WEIR_EXIT_FAILED, "%s before the end of the traffic",
		                           weir_station_stopped() ? "stopped" : "time was over");
	return status;
}

enum weir_exit
weir_result_run(const struct weir_options *options, uint32_t mtu_bytes,
                const struct weir_feed *feed, const struct weir_transmit_config *config,
                enum weir_exit (*report)(const void *context, const struct weir_options *options,
                                         const struct weir_transmit *transmit),
                const void *context)
{
	static struct weir_transmit transmit;
	static struct weir_station station;
	struct weir_transmit_config made = *config;
	struct weir_settle settle;
	char error[512];
	enum weir_exit status =
	    weir_station_open(options, mtu_bytes, RX_FRAMES, weir_transmit_memory(feed->frame_max),
	                      &station, error, sizeof(error));

	if (status != WEIR_EXIT_OK)
		return weir_command_fail(status, "%s", error);
	made.loop = strcmp(station.port.driver, "net_ring") == 0;
	weir_settle_begin(&station.port, &settle);
	if (!weir_settle_link(&station.port))
		status = weir_command_fail(WEIR_EXIT_FAILED, "%s: no link", options->device);
	else if (weir_transmit_open(&station, &made, feed, &transmit) != 0)
		status = weir_command_fail(WEIR_EXIT_FAILED, "no memory for frames");
	else if (weir_transmit_start(&transmit) != 0)
		status = weir_command_fail(WEIR_EXIT_FAILED, "the worker does not start");
	if (status == WEIR_EXIT_OK) {
		watch(&transmit, options);
		transmit.stuck =
		    weir_settle(&station.port, &settle, atomic_load(&transmit.counts.frames));
		status = report(context, options, &transmit);
	}
	/* What the port still holds goes back to the pool first. */
	weir_station_close_port(&station);
	weir_transmit_close(&transmit);
	weir_station_finish();
	return status;
}
