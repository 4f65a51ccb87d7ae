/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/result.h"

#include "tools/weirctl/format.h"
#include "tools/weirgen/output.h"
#include "tools/weirgen/stamp.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_MANY 64U
#define SNAP_BYTES 65535

static uint32_t
take(void *context, uint64_t until, uint64_t live, uint8_t *const frames[],
     struct weir_taken taken[], uint32_t n)
{
	return weir_generator_take(context, until, live, frames, taken, n);
}

static uint64_t
due(const void *context)
{
	return weir_generator_due(context);
}

/* The profile, with what the command line says instead. */
static enum weir_exit
load_profile(const struct weir_options *options, struct weir_profile **profile)
{
	char error[512];

	if (weir_profile_load(options->file, profile, error, sizeof(error)) != 0)
		return weir_command_fail(WEIR_EXIT_USAGE, "%s", error);
	if (options->has_seed)
		(*profile)->seed = options->seed;
	if (options->duration_ns > 0)
		(*profile)->duration_ns = options->duration_ns;
	if (options->count > 0)
		(*profile)->count = options->count;
	return WEIR_EXIT_OK;
}

/* Whether the traffic ends by itself. */
static bool
has_end(const struct weir_profile *profile)
{
	bool all = true;

	if (profile->duration_ns > 0 || profile->count > 0)
		return true;
	for (uint32_t i = 0; i < profile->n_streams; i++) {
		const struct weir_profile_stream *stream = &profile->streams[i];

		all = all && (stream->count > 0 || (stream->sessions.count == 0 &&
		                                    !stream->repeat && stream->steps[0].ns > 0));
	}
	return all;
}

/* The sum of the rates, where each stream has one from the start to the end; else 0. */
static uint64_t
asked_bit_s(const struct weir_profile *profile)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < profile->n_streams; i++) {
		const struct weir_profile_stream *stream = &profile->streams[i];
		const struct weir_profile_step *step = &stream->steps[0];
		bool one = stream->sessions.count == 0 && stream->n_steps == 1 &&
		           step->from_bit_s == step->to_bit_s && (step->ns == 0 || stream->repeat);

		if (!one || stream->start_ns > 0 || (stream->count > 0 && profile->n_streams > 1))
			return 0;
		sum += step->from_bit_s;
	}
	return sum;
}

static json_t *
streams_json(const struct weir_profile *profile, const struct weir_generated_totals *totals,
             uint32_t first_flow)
{
	json_t *list = weir_result_json(json_array());

	for (uint32_t i = 0; i < profile->n_streams; i++)
		json_array_append_new(
		    list, weir_result_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "name",
		                                     profile->streams[i].name, "flow",
		                                     (json_int_t)(first_flow + i), "frames",
		                                     (json_int_t)totals[i].frames, "frame_bytes",
		                                     (json_int_t)totals[i].frame_bytes,
		                                     "wire_bytes", (json_int_t)totals[i].wire_bytes,
		                                     "stamped", (json_int_t)totals[i].stamped)));
	return list;
}

/* What the streams have given, less what the port did not take in the end. */
static void
sum_streams(const struct weir_generator *generator, const struct weir_profile *profile,
            const struct weir_transmit *transmit, struct weir_generated_totals *totals)
{
	for (uint32_t i = 0; i < profile->n_streams; i++)
		totals[i] = weir_generator_totals(generator, i);
	for (uint32_t i = 0; transmit != NULL && i < transmit->n_unsent; i++) {
		const struct weir_taken *taken = &transmit->unsent[i];
		struct weir_generated_totals *t = &totals[taken->stream];

		t->frames--;
		t->frame_bytes -= taken->bytes;
		t->wire_bytes -= weir_wire_bytes(taken->bytes);
		t->stamped -= taken->stamped;
	}
}

static void
print_streams(const struct weir_profile *profile, const struct weir_generated_totals *totals)
{
	if (profile->n_streams == 1)
		return;
	for (uint32_t i = 0; i < profile->n_streams; i++)
		printf("  %-24s %12" PRIu64 " frames %16" PRIu64 " wire bytes\n",
		       profile->streams[i].name, totals[i].frames, totals[i].wire_bytes);
}

/* Frames into a capture file in place of a port, with the schedule's times from 1970 on. */
static enum weir_exit
write_frames(struct weir_generator *generator, pcap_dumper_t *dumper)
{
	static uint8_t memory[WRITE_MANY][WEIR_PROFILE_FRAME_MAX + WEIR_GENERATE_HEAD];
	struct weir_taken taken[WRITE_MANY];
	uint8_t *frames[WRITE_MANY];
	uint32_t n;

	for (uint32_t i = 0; i < WRITE_MANY; i++) {
		frames[i] = memory[i];
		memcpy(memory[i], weir_generator_filler(generator), WEIR_PROFILE_FRAME_MAX);
	}
	do {
		n = weir_generator_take(generator, WEIR_SCHEDULE_NEVER - 1, 0, frames, taken,
		                        WRITE_MANY);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t ns = taken[i].due / WEIR_TICKS_PER_NS;
			struct pcap_pkthdr header = {
			    /* Of a file with nanoseconds. */
			    .ts = {(time_t)(ns / WEIR_NS_PER_S), (suseconds_t)(ns % WEIR_NS_PER_S)},
			    .caplen = taken[i].bytes,
			    .len = taken[i].bytes,
			};

			pcap_dump((u_char *)dumper, &header, frames[i]);
		}
	} while (n > 0 && !weir_station_stopped() && ferror(pcap_dump_file(dumper)) == 0);
	return pcap_dump_flush(dumper) == 0 && ferror(pcap_dump_file(dumper)) == 0
	           ? WEIR_EXIT_OK
	           : WEIR_EXIT_FAILED;
}

/* The file of --write: "-" is standard output. */
static enum weir_exit
write_capture(const struct weir_options *options, pcap_t *pcap, struct weir_generator *generator)
{
	bool standard = strcmp(options->output, "-") == 0;
	struct weir_output output = {.fd = -1};
	pcap_dumper_t *dumper;
	enum weir_exit status;
	char error[512];
	FILE *file;
	int result;

	weir_station_catch_signals();
	if (!standard &&
	    weir_output_open(options->output, options->file, &output, error, sizeof(error)) != 0)
		return weir_command_fail(WEIR_EXIT_FAILED, "%s", error);
	file = standard ? stdout : fdopen(output.fd, "w");
	dumper = file == NULL ? NULL : pcap_dump_fopen(pcap, file);
	status = dumper == NULL ? WEIR_EXIT_FAILED : write_frames(generator, dumper);
	if (status != WEIR_EXIT_OK && standard)
		(void)weir_output_lost(errno); /* told at the end */
	else if (status != WEIR_EXIT_OK && !weir_station_stopped())
		(void)weir_command_fail(status, "%s: %s", options->output, strerror(errno));
	if (dumper != NULL && !standard)
		pcap_dump_close(dumper);
	else if (!standard)
		(void)(file != NULL ? fclose(file) : close(output.fd));
	if (weir_station_stopped())
		status =
		    weir_command_fail(WEIR_EXIT_FAILED, "stopped before the end of the traffic");
	if (status != WEIR_EXIT_OK) {
		weir_output_drop(&output);
		return status;
	}
	result = weir_output_keep(&output);
	if (result != 0)
		return weir_command_fail(WEIR_EXIT_FAILED, "%s: %s", options->output,
		                         strerror(-result));
	return WEIR_EXIT_OK;
}

static enum weir_exit
write_file(const struct weir_options *options, const struct weir_profile *profile,
           struct weir_generator *generator)
{
	struct weir_generated_totals totals[WEIR_PROFILE_STREAMS_MAX], sum = {0};
	enum weir_exit status;
	pcap_t *pcap;

	if (!has_end(profile))
		return weir_command_fail(WEIR_EXIT_USAGE,
		                         "--write: expected a profile with a duration or count");
	pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAP_BYTES,
	                                            PCAP_TSTAMP_PRECISION_NANO);
	if (pcap == NULL)
		return weir_command_fail(WEIR_EXIT_FAILED, "out of memory");
	status = write_capture(options, pcap, generator);
	pcap_close(pcap);
	if (status != WEIR_EXIT_OK)
		return status;
	sum_streams(generator, profile, NULL, totals);
	for (uint32_t i = 0; i < profile->n_streams; i++) {
		sum.frames += totals[i].frames;
		sum.frame_bytes += totals[i].frame_bytes;
		sum.wire_bytes += totals[i].wire_bytes;
	}
	if (!options->quiet && strcmp(options->output, "-") != 0) {
		printf("wrote %" PRIu64 " frames, %" PRIu64 " wire bytes\n", sum.frames,
		       sum.wire_bytes);
		print_streams(profile, totals);
	}
	if (options->json == NULL)
		return WEIR_EXIT_OK;
	return weir_result_write(
	    weir_result_json(json_pack(
	        "{s:s, s:I, s:I, s:I, s:I, s:o}", "kind", "weirgen.write", "frames",
	        (json_int_t)sum.frames, "frame_bytes", (json_int_t)sum.frame_bytes, "wire_bytes",
	        (json_int_t)sum.wire_bytes, "seed", (json_int_t)profile->seed, "streams",
	        streams_json(profile, totals, options->first_flow))),
	    options);
}

/* What a run is about. */
struct sending {
	const struct weir_profile *profile;
	const struct weir_generator *generator;
};

static enum weir_exit
report(const void *context, const struct weir_options *options,
       const struct weir_transmit *transmit)
{
	const struct sending *sending = context;
	const struct weir_profile *profile = sending->profile;
	struct weir_generated_totals totals[WEIR_PROFILE_STREAMS_MAX];
	uint64_t errors = weir_result_port_errors(transmit);
	enum weir_exit status = weir_result_transmit_print(transmit, options, errors);
	json_t *json;

	sum_streams(sending->generator, profile, transmit, totals);
	if (!options->quiet)
		print_streams(profile, totals);
	if (options->json == NULL)
		return status;
	json = weir_result_transmit_json("weirgen.send", transmit, errors, asked_bit_s(profile),
	                                 status);
	json_object_set_new(json, "seed", json_integer((json_int_t)profile->seed));
	json_object_set_new(json, "streams", streams_json(profile, totals, options->first_flow));
	return weir_result_write(json, options) == WEIR_EXIT_OK ? status : WEIR_EXIT_FAILED;
}

static enum weir_exit
send_frames(const struct weir_options *options, const struct weir_profile *profile,
            struct weir_generator *generator)
{
	const struct weir_feed feed = {generator, take, due, weir_profile_frame_max(profile),
	                               weir_generator_filler(generator)};
	const struct weir_transmit_config config = {
	    .fast = options->fast,
	    .endless = !has_end(profile),
	    .duration_ns = options->fast ? 0 : profile->duration_ns,
	    .catch_up_ns = options->catch_up_ns,
	};
	const struct sending sending = {profile, generator};
	uint32_t needed = weir_profile_mtu(profile);
	uint32_t mtu = options->mtu_bytes != 0 ? options->mtu_bytes : needed;

	if (mtu < needed)
		return weir_command_fail(WEIR_EXIT_USAGE, "--mtu: the profile needs %u", needed);
	return weir_result_run(options, mtu, &feed, &config, report, &sending);
}

enum weir_exit
weir_command_send(const struct weir_options *options)
{
	struct weir_profile *profile = NULL;
	struct weir_generator *generator;
	enum weir_exit status = load_profile(options, &profile);

	if (status != WEIR_EXIT_OK)
		return status;
	generator = weir_generator_new(profile, options->first_flow, weir_stamp_clock());
	if (generator == NULL)
		status = weir_command_fail(WEIR_EXIT_FAILED, "out of memory");
	else if (options->output != NULL)
		status = write_file(options, profile, generator);
	else
		status = send_frames(options, profile, generator);
	weir_generator_free(generator);
	weir_profile_free(profile);
	return status;
}
