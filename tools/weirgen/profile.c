/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/profile.h"

#include "control/config_file.h"
#include "tools/weirgen/profile_schema.h"
#include "tools/weirgen/profile_value.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHERTYPE_IP4   0x0800U
#define ETHERTYPE_IP6   0x86ddU
#define RATE_MIN_BIT_S  UINT64_C(1000)
#define RATE_MAX_BIT_S  UINT64_C(1000000000000)
#define STEP_MIN_NS     WEIR_NS_PER_US
#define STEP_MAX_NS     (UINT64_C(10) * 86400 * WEIR_NS_PER_S) /* so that 32 of them fit in 64 bits */
#define PAUSE_MAX_NS    (UINT64_C(86400) * WEIR_NS_PER_S)
#define COUNT_MAX       (UINT64_C(1) << 62)
#define FRAMES_MAX      UINT32_C(1000000000) /* of a session between two pauses */
#define MTU_USUAL       1500U
#define SOURCE_PORT     40000U
#define DESTINATION     9U          /* the discard service */
#define BENCH_SOURCE    0xc6120001U /* 198.18.0.1: RFC 2544's networks for benchmarks */
#define BENCH_TARGET    0xc6130001U
#define SOURCE_MAC      UINT64_C(0x020000000001)
#define DESTINATION_MAC UINT64_C(0x020000000002)

static const struct weir_config_word arrivals[] = {{"constant", 0}, {"poisson", 1}, {NULL, 0}};

static const struct weir_config_word stamps[] = {
    {"schedule", WEIR_PROFILE_STAMP_SCHEDULE},
    {"live", WEIR_PROFILE_STAMP_LIVE},
    {"none", WEIR_PROFILE_STAMP_NONE},
    {NULL, 0},
};

/* 7 : 4 : 1, the usual simple mix; here without FCS. */
static const struct weir_profile_size imix[] = {{60, 60, 7}, {590, 590, 4}, {1514, 1514, 1}};

/* One stream's reading. */
struct reading {
	struct weir_config_report *report;
	const struct weir_raw_stream *raw;
	struct weir_profile_stream *stream;
	int64_t index;
};

static struct weir_config_at
at_key(const struct reading *r, const char *key)
{
	return weir_config_at("streams", r->index, key);
}

static struct weir_config_at
at_item(const struct reading *r, const char *key, int64_t item, const char *item_key)
{
	return (struct weir_config_at){"streams", r->index, key, item, item_key};
}

uint32_t
weir_profile_header_bytes(const struct weir_profile_stream *stream, uint8_t protocol)
{
	uint32_t bytes = WEIR_FRAME_HEADER_BYTES;

	if (stream->vlan.span != 0)
		bytes += WEIR_VLAN_TAG_BYTES;
	if (stream->ethertype != ETHERTYPE_IP4 && stream->ethertype != ETHERTYPE_IP6)
		return bytes;
	bytes += stream->ethertype == ETHERTYPE_IP4 ? 20 : 40;
	if (protocol == IPPROTO_TCP)
		bytes += 20;
	else if (protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		bytes += 8;
	return bytes;
}

static uint32_t
longest_header(const struct weir_profile_stream *stream)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < stream->n_protocols; i++) {
		uint32_t bytes = weir_profile_header_bytes(stream, stream->protocols[i]);

		longest = bytes > longest ? bytes : longest;
	}
	return longest > WEIR_FRAME_MIN_BYTES ? longest : WEIR_FRAME_MIN_BYTES;
}

/* One size or a range of them. */
static int
get_size(const struct reading *r, struct weir_config_at at, const char *text,
         struct weir_profile_size *size)
{
	struct weir_profile_range range;
	int rc = weir_profile_get_range(r->report, at, text, longest_header(r->stream),
	                                WEIR_PROFILE_FRAME_MAX, &range);

	if (rc != 0)
		return rc;
	size->low = (uint32_t)range.low;
	size->high = (uint32_t)(range.low + range.span - 1);
	return 0;
}

static int
read_sizes(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	uint32_t least = longest_header(stream);
	int rc = 0;

	if ((r->raw->size == NULL) == (r->raw->n_sizes == 0)) {
		struct weir_config_at at = at_key(r, "size");

		return weir_config_refuse(r->report, &at,
		                          r->raw->size == NULL ? NULL : "with sizes",
		                          "either size or sizes");
	}
	if (r->raw->size != NULL && strcmp(r->raw->size, "imix") == 0) {
		memcpy(stream->sizes, imix, sizeof(imix));
		stream->n_sizes = sizeof(imix) / sizeof(imix[0]);
		if (stream->sizes[0].low < least)
			stream->sizes[0].low = stream->sizes[0].high = least;
		return 0;
	}
	if (r->raw->size != NULL) {
		stream->n_sizes = 1;
		stream->sizes[0].weight = 1;
		return get_size(r, at_key(r, "size"), r->raw->size, &stream->sizes[0]);
	}
	stream->n_sizes = r->raw->n_sizes;
	for (uint32_t i = 0; rc == 0 && i < stream->n_sizes; i++) {
		const char *weight = r->raw->sizes[i].weight;

		rc = get_size(r, at_item(r, "sizes", i, "bytes"), r->raw->sizes[i].bytes,
		              &stream->sizes[i]);
		if (rc == 0)
			rc = weir_config_get_integer(r->report, at_item(r, "sizes", i, "weight"),
			                             weight != NULL ? weight : "1", 1, 1000000,
			                             &stream->sizes[i].weight);
	}
	return rc;
}

static int
read_protocols(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	int rc = 0;

	stream->n_protocols = r->raw->n_protocols;
	for (uint32_t i = 0; rc == 0 && i < stream->n_protocols; i++)
		rc = weir_profile_get_protocol(r->report, at_item(r, "protocols", i, NULL),
		                               r->raw->protocols[i], &stream->protocols[i]);
	if (stream->n_protocols == 0) {
		stream->n_protocols = 1;
		stream->protocols[0] = IPPROTO_UDP;
	}
	return rc;
}

/* A key that has no meaning in frames that are not IP. */
static int
refuse_without_ip(const struct reading *r, const char *key, const char *value)
{
	struct weir_config_at at = at_key(r, key);

	if (value == NULL)
		return 0;
	return weir_config_refuse(r->report, &at, value, "no such key beside an ethertype");
}

static int
read_raw_ethernet(const struct reading *r)
{
	const struct weir_raw_stream *raw = r->raw;
	struct weir_config_at at = at_key(r, "ethertype");
	int rc = weir_config_get_ethertype(r->report, at, raw->ethertype, &r->stream->ethertype);

	if (rc == 0 && (r->stream->ethertype == ETHERTYPE_IP4 ||
	                r->stream->ethertype == ETHERTYPE_IP6 || r->stream->ethertype == 0))
		rc = weir_config_refuse(r->report, &at, raw->ethertype,
		                        "an ethertype other than IP: without this key frames are "
		                        "IP");
	if (rc == 0)
		rc = refuse_without_ip(r, "source", raw->source);
	if (rc == 0)
		rc = refuse_without_ip(r, "destination", raw->destination);
	if (rc == 0)
		rc = refuse_without_ip(r, "source_ports", raw->source_ports);
	if (rc == 0)
		rc = refuse_without_ip(r, "destination_ports", raw->destination_ports);
	if (rc == 0 && raw->n_protocols != 0)
		rc = refuse_without_ip(r, "protocols", raw->protocols[0]);
	r->stream->n_protocols = 1; /* one layout */
	return rc;
}

static int
read_addresses(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	bool source_ip6 = false, ip6 = false;
	int rc = 0;

	stream->source.low = (struct weir_profile_range){BENCH_SOURCE, 1};
	stream->destination.low = (struct weir_profile_range){BENCH_TARGET, 1};
	if ((r->raw->source == NULL) != (r->raw->destination == NULL)) {
		struct weir_config_at at =
		    at_key(r, r->raw->source == NULL ? "source" : "destination");

		return weir_config_refuse(r->report, &at, NULL, "both source and destination");
	}
	if (r->raw->source != NULL) {
		rc = weir_profile_get_address(r->report, at_key(r, "source"), r->raw->source,
		                              &stream->source, &source_ip6);
		if (rc == 0)
			rc = weir_profile_get_address(r->report, at_key(r, "destination"),
			                              r->raw->destination, &stream->destination,
			                              &ip6);
	}
	if (rc == 0 && source_ip6 != ip6) {
		struct weir_config_at at = at_key(r, "destination");

		rc = weir_config_refuse(r->report, &at, r->raw->destination,
		                        "an address of the source's family");
	}
	stream->ethertype = ip6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
	return rc;
}

/* A range of integers with a default. */
static int
read_range(const struct reading *r, const char *key, const char *text, uint64_t most,
           struct weir_profile_range *range)
{
	return text == NULL
	           ? 0
	           : weir_profile_get_range(r->report, at_key(r, key), text, 0, most, range);
}

static int
read_headers(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	const struct weir_raw_stream *raw = r->raw;
	int rc = 0;

	stream->source_mac = (struct weir_profile_range){SOURCE_MAC, 1};
	stream->destination_mac = (struct weir_profile_range){DESTINATION_MAC, 1};
	stream->source_ports = (struct weir_profile_range){SOURCE_PORT, 1};
	stream->destination_ports = (struct weir_profile_range){DESTINATION, 1};
	if (raw->source_mac != NULL)
		rc = weir_profile_get_mac(r->report, at_key(r, "source_mac"), raw->source_mac,
		                          &stream->source_mac);
	if (rc == 0 && raw->destination_mac != NULL)
		rc = weir_profile_get_mac(r->report, at_key(r, "destination_mac"),
		                          raw->destination_mac, &stream->destination_mac);
	if (rc == 0)
		rc = read_range(r, "vlan", raw->vlan, 4094, &stream->vlan);
	if (rc == 0 && raw->ethertype != NULL)
		return read_raw_ethernet(r);
	if (rc == 0)
		rc = read_addresses(r);
	if (rc == 0)
		rc = read_protocols(r);
	if (rc == 0)
		rc = read_range(r, "source_ports", raw->source_ports, UINT16_MAX,
		                &stream->source_ports);
	if (rc == 0)
		rc = read_range(r, "destination_ports", raw->destination_ports, UINT16_MAX,
		                &stream->destination_ports);
	return rc;
}

/* Bits that a step lets through, in units of 1e-9. */
static weir_u128
step_work(const struct weir_profile_step *step)
{
	return ((weir_u128)step->from_bit_s + step->to_bit_s) * step->ns / 2;
}

/* A rate of a step: none at all, or one that the schedule can count. */
static int
get_step_rate(const struct reading *r, struct weir_config_at at, const char *text, uint64_t *bit_s)
{
	int rc = weir_config_get_rate(r->report, at, text, 0, RATE_MAX_BIT_S, bit_s);

	if (rc == 0 && *bit_s > 0 && *bit_s < RATE_MIN_BIT_S)
		rc = weir_config_refuse(r->report, &at, text, "0 bit/s, or at least 1 kbit/s");
	return rc;
}

static int
read_steps(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	weir_u128 work = 0;
	uint32_t repeat = 1;
	int rc = 0;

	stream->n_steps = r->raw->n_steps;
	for (uint32_t i = 0; rc == 0 && i < stream->n_steps; i++) {
		const struct weir_raw_step *raw = &r->raw->steps[i];
		struct weir_profile_step *step = &stream->steps[i];

		rc = weir_config_get_duration(r->report, at_item(r, "steps", i, "for"),
		                              raw->for_time, STEP_MIN_NS, STEP_MAX_NS, &step->ns);
		if (rc == 0)
			rc = get_step_rate(r, at_item(r, "steps", i, "rate"), raw->rate,
			                   &step->from_bit_s);
		step->to_bit_s = step->from_bit_s;
		if (rc == 0 && raw->to != NULL)
			rc = get_step_rate(r, at_item(r, "steps", i, "to"), raw->to,
			                   &step->to_bit_s);
		work += step_work(step);
	}
	if (rc == 0 && r->raw->repeat != NULL)
		rc = weir_config_get_word(r->report, at_key(r, "repeat"), r->raw->repeat,
		                          weir_config_booleans, &repeat);
	stream->repeat = repeat == 1;
	/* Otherwise the search for the next frame's time would go round and round. */
	if (rc == 0 && work < (weir_u128)weir_wire_bytes(0) * 8 * WEIR_NS_PER_S) {
		struct weir_config_at at = at_key(r, "steps");

		rc = weir_config_refuse(r->report, &at, "too little",
		                        "enough for a frame of 60 bytes in all steps together");
	}
	return rc;
}

static int
read_sessions(const struct reading *r)
{
	struct weir_profile_sessions *sessions = &r->stream->sessions;
	const struct weir_raw_sessions *raw = r->raw->sessions;
	struct weir_config_at at = at_item(r, "sessions", -1, "gap");
	int rc;

	rc = weir_config_get_integer(r->report, at_item(r, "sessions", -1, "count"), raw->count, 1,
	                             WEIR_PROFILE_SESSIONS_MAX, &sessions->count);
	if (rc == 0)
		rc = weir_profile_get_range(r->report, at_item(r, "sessions", -1, "frames"),
		                            raw->frames, 1, FRAMES_MAX, &sessions->frames);
	if (rc == 0 && (raw->gap == NULL) == (raw->rate == NULL))
		rc = weir_config_refuse(r->report, &at, raw->gap == NULL ? NULL : "with a rate",
		                        "either gap or rate");
	if (rc == 0 && raw->gap != NULL)
		rc = weir_profile_get_times(r->report, at, raw->gap, PAUSE_MAX_NS,
		                            &sessions->gap_ns);
	if (rc == 0 && raw->rate != NULL)
		rc = weir_config_get_rate(r->report, at_item(r, "sessions", -1, "rate"), raw->rate,
		                          RATE_MIN_BIT_S, RATE_MAX_BIT_S, &sessions->rate_bit_s);
	at.item_key = "pause";
	if (rc == 0)
		rc = weir_profile_get_times(r->report, at, raw->pause, PAUSE_MAX_NS,
		                            &sessions->pause_ns);
	/* Frames without end at one instant. */
	if (rc == 0 && sessions->pause_ns.low == 0)
		rc = weir_config_refuse(r->report, &at, raw->pause, "a pause of at least 1 ns");
	return rc;
}

/* How fast: by a rate, by steps, or by what sessions do. */
static int
read_pace(const struct reading *r)
{
	struct weir_profile_stream *stream = r->stream;
	const struct weir_raw_stream *raw = r->raw;
	struct weir_config_at at = at_key(r, NULL);
	uint32_t poisson = 0;
	int rc = 0;

	if ((raw->rate != NULL) + (raw->n_steps != 0) + (raw->sessions != NULL) != 1)
		return weir_config_refuse(r->report, &at, stream->name,
		                          "one of rate, steps and sessions");
	if (raw->rate != NULL) {
		stream->n_steps = 1;
		rc = weir_config_get_rate(r->report, at_key(r, "rate"), raw->rate, RATE_MIN_BIT_S,
		                          RATE_MAX_BIT_S, &stream->steps[0].from_bit_s);
		stream->steps[0].to_bit_s = stream->steps[0].from_bit_s;
	} else if (raw->sessions != NULL) {
		rc = read_sessions(r);
	} else {
		rc = read_steps(r);
	}
	at.key = "repeat";
	if (rc == 0 && raw->repeat != NULL && raw->n_steps == 0)
		rc = weir_config_refuse(r->report, &at, raw->repeat, "no such key without steps");
	at.key = "arrival";
	if (rc == 0 && raw->arrival != NULL && raw->sessions != NULL)
		rc =
		    weir_config_refuse(r->report, &at, raw->arrival, "no such key beside sessions");
	if (rc == 0 && raw->arrival != NULL)
		rc = weir_config_get_word(r->report, at, raw->arrival, arrivals, &poisson);
	stream->poisson = poisson == 1;
	return rc;
}

static int
read_stream(const struct reading *r)
{
	const struct weir_raw_stream *raw = r->raw;
	struct weir_profile_stream *stream = r->stream;
	struct weir_config_report *report = r->report;
	uint32_t stamp = WEIR_PROFILE_STAMP_SCHEDULE;
	int rc = weir_config_get_name(report, at_key(r, "name"), raw->name, stream->name);

	if (rc == 0)
		rc = read_pace(r);
	if (rc == 0)
		rc = read_headers(r);
	if (rc == 0)
		rc = read_sizes(r);
	if (rc == 0 && raw->start != NULL)
		rc = weir_config_get_duration(report, at_key(r, "start"), raw->start, 0,
		                              WEIR_PROFILE_TIME_MAX_NS, &stream->start_ns);
	if (rc == 0 && raw->count != NULL)
		rc = weir_profile_get_number(report, at_key(r, "count"), raw->count, 1, COUNT_MAX,
		                             &stream->count);
	if (rc == 0 && raw->flows != NULL && raw->sessions != NULL) {
		struct weir_config_at at = at_key(r, "flows");

		rc = weir_config_refuse(report, &at, raw->flows,
		                        "no such key beside sessions: each is a flow");
	}
	if (rc == 0 && raw->flows != NULL)
		rc = weir_config_get_integer(report, at_key(r, "flows"), raw->flows, 1, UINT32_MAX,
		                             &stream->flows);
	if (rc == 0 && raw->stamp != NULL)
		rc = weir_config_get_word(report, at_key(r, "stamp"), raw->stamp, stamps, &stamp);
	stream->stamp = (enum weir_profile_stamp)stamp;
	return rc;
}

static int
read_head(const struct weir_raw_profile *raw, struct weir_profile *profile,
          struct weir_config_report *report)
{
	int rc = 0;

	profile->seed = 1;
	if (raw->name != NULL)
		rc = weir_config_get_name(report, weir_config_at("name", -1, NULL), raw->name,
		                          profile->name);
	if (rc == 0 && raw->seed != NULL)
		rc = weir_profile_get_number(report, weir_config_at("seed", -1, NULL), raw->seed, 0,
		                             WEIR_PROFILE_SEED_MAX, &profile->seed);
	if (rc == 0 && raw->duration != NULL)
		rc = weir_config_get_duration(report, weir_config_at("duration", -1, NULL),
		                              raw->duration, WEIR_NS_PER_US,
		                              WEIR_PROFILE_TIME_MAX_NS, &profile->duration_ns);
	if (rc == 0 && raw->count != NULL)
		rc = weir_profile_get_number(report, weir_config_at("count", -1, NULL), raw->count,
		                             1, COUNT_MAX, &profile->count);
	return rc;
}

static int
check_streams(const struct weir_profile *profile, struct weir_config_report *report)
{
	struct weir_config_names names;
	struct weir_config_at at = weir_config_at("streams", -1, NULL);
	uint64_t sessions = 0;
	uint32_t twice;
	int rc = weir_config_names_make(&names, profile->streams, sizeof(profile->streams[0]),
	                                profile->n_streams);

	if (rc != 0)
		return rc;
	twice = weir_config_names_duplicate(&names);
	weir_config_names_free(&names);
	if (twice != WEIR_ANY) {
		at = weir_config_at("streams", twice, "name");
		return weir_config_refuse(report, &at, profile->streams[twice].name,
		                          "a name that no other stream has");
	}
	for (uint32_t i = 0; i < profile->n_streams; i++)
		sessions += profile->streams[i].sessions.count;
	if (sessions > WEIR_PROFILE_SESSIONS_MAX)
		return weir_config_refuse(report, &at, "too many sessions",
		                          "at most %u in all streams together",
		                          WEIR_PROFILE_SESSIONS_MAX);
	return 0;
}

static int
build(const struct weir_raw_profile *raw, struct weir_profile *profile,
      struct weir_config_report *report)
{
	int rc = read_head(raw, profile, report);

	profile->n_streams = raw->n_streams;
	for (uint32_t i = 0; rc == 0 && i < raw->n_streams; i++) {
		struct reading reading = {report, &raw->streams[i], &profile->streams[i], i};

		rc = read_stream(&reading);
	}
	return rc == 0 ? check_streams(profile, report) : rc;
}

int
weir_profile_parse(const char *name, const char *text, size_t text_bytes,
                   struct weir_profile **profile, char *error, size_t error_size)
{
	struct weir_config_tree tree = {0};
	struct weir_config_report report = {.name = name,
	                                    .what = "profile",
	                                    .tree = &tree,
	                                    .error = error,
	                                    .error_size = error_size};
	struct weir_profile *made = calloc(1, sizeof(*made));
	void *raw = NULL;
	int rc = made == NULL ? -ENOMEM : 0;

	error[0] = '\0';
	if (rc == 0)
		rc = weir_config_tree_read(&tree, text, text_bytes, &report);
	if (rc == 0)
		rc = weir_config_walk_load(&tree, text, text_bytes, &weir_profile_schema, &raw,
		                           &report);
	if (rc == 0) {
		rc = build(raw, made, &report);
		weir_config_walk_free(&weir_profile_schema, raw);
	}
	weir_config_tree_free(&tree);
	if (rc == 0) {
		*profile = made;
		return 0;
	}
	free(made);
	if (rc == -ENOMEM)
		snprintf(error, error_size, "%s: out of memory", name);
	return rc;
}

int
weir_profile_load(const char *path, struct weir_profile **profile, char *error, size_t error_size)
{
	char *text = NULL;
	size_t bytes = 0;
	int rc = weir_config_file_read(path, &text, &bytes, error, error_size);

	if (rc != 0)
		return rc;
	rc = weir_profile_parse(path, text, bytes, profile, error, error_size);
	free(text);
	return rc;
}

void
weir_profile_free(struct weir_profile *profile)
{
	free(profile);
}

uint32_t
weir_profile_frame_max(const struct weir_profile *profile)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < profile->n_streams; i++) {
		const struct weir_profile_stream *stream = &profile->streams[i];

		for (uint32_t s = 0; s < stream->n_sizes; s++)
			longest = stream->sizes[s].high > longest ? stream->sizes[s].high : longest;
	}
	return longest;
}

uint32_t
weir_profile_mtu(const struct weir_profile *profile)
{
	uint32_t mtu = MTU_USUAL;

	for (uint32_t i = 0; i < profile->n_streams; i++) {
		const struct weir_profile_stream *stream = &profile->streams[i];
		uint32_t layer2 =
		    WEIR_FRAME_HEADER_BYTES + (stream->vlan.span != 0 ? WEIR_VLAN_TAG_BYTES : 0);

		for (uint32_t s = 0; s < stream->n_sizes; s++)
			if (stream->sizes[s].high - layer2 > mtu)
				mtu = stream->sizes[s].high - layer2;
	}
	return mtu;
}
