/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/capture.h"
#include "tools/weirgen/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MTU_USUAL 1500U

static uint32_t
take(void *context, uint64_t until, uint64_t live, uint8_t *const frames[],
     struct weir_taken taken[], uint32_t n)
{
	(void)live;
	return weir_capture_take(context, until, frames, taken, n);
}

static uint64_t
due(const void *context)
{
	return weir_capture_due(context);
}

static enum weir_exit
report(const void *context, const struct weir_options *options,
       const struct weir_transmit *transmit)
{
	struct weir_capture_skipped skipped = weir_capture_skipped(context);
	uint64_t errors = weir_result_port_errors(transmit);
	enum weir_exit status = weir_result_transmit_print(transmit, options, errors);
	json_t *json;

	if (options->json == NULL)
		return status;
	json = weir_result_transmit_json("weirgen.replay", transmit, errors, options->rate_bit_s,
	                                 status);
	json_object_set_new(
	    json, "skipped",
	    weir_result_json(json_pack("{s:I, s:I}", "oversize", (json_int_t)skipped.oversize,
	                               "runt", (json_int_t)skipped.runts)));
	json_object_set_new(json, "cut", json_integer((json_int_t)skipped.cut));
	return weir_result_write(json, options) == WEIR_EXIT_OK ? status : WEIR_EXIT_FAILED;
}

static enum weir_exit
replay(const struct weir_options *options, struct weir_capture *capture, uint32_t mtu_bytes)
{
	const struct weir_feed feed = {capture, take, due, weir_capture_frame_max(capture), NULL};
	const struct weir_transmit_config config = {
	    .fast = options->fast,
	    .endless = options->loops == 0 && options->count == 0 && options->duration_ns == 0,
	    .duration_ns = options->fast ? 0 : options->duration_ns,
	    .catch_up_ns = options->catch_up_ns,
	};

	return weir_result_run(options, mtu_bytes, &feed, &config, report, capture);
}

/* What arrives is not all of the file: told also to who wants no lines. */
static void
tell_skipped(const struct weir_options *options, const struct weir_capture *capture,
             uint32_t mtu_bytes)
{
	struct weir_capture_skipped skipped = weir_capture_skipped(capture);

	if (skipped.oversize + skipped.runts + skipped.cut > 0)
		(void)weir_command_fail(WEIR_EXIT_OK,
		                        "%s: left out: %" PRIu64 " frames over the MTU of %u, "
		                        "%" PRIu64 " of under 14 bytes; sent cut: %" PRIu64,
		                        options->file, skipped.oversize, mtu_bytes, skipped.runts,
		                        skipped.cut);
}

enum weir_exit
weir_command_replay(const struct weir_options *options)
{
	const struct weir_capture_plan plan = {
	    .mtu_bytes = options->mtu_bytes != 0 ? options->mtu_bytes : MTU_USUAL,
	    .rate_bit_s = options->rate_bit_s,
	    .speed_num = options->speed_num,
	    .speed_den = options->speed_den,
	    .loops = options->loops,
	    .count = options->count,
	    .duration_ns = options->duration_ns,
	    .rewrite = &options->rewrite,
	};
	struct weir_capture *capture = NULL;
	enum weir_exit status;
	char error[512];

	if (weir_capture_load(options->file, &plan, &capture, error, sizeof(error)) != 0)
		return weir_command_fail(WEIR_EXIT_USAGE, "%s", error);
	if (options->loops != 1 && !options->fast && !weir_capture_lasts(capture)) {
		status = weir_command_fail(WEIR_EXIT_USAGE,
		                           "--loop: %s takes no time as captured: expected --rate "
		                           "or --fast beside it",
		                           options->file);
	} else {
		tell_skipped(options, capture, plan.mtu_bytes);
		status = replay(options, capture, plan.mtu_bytes);
	}
	weir_capture_free(capture);
	return status;
}
