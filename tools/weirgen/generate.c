/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/generate.h"

#include "tools/weirgen/template.h"

#include <assert.h>
#include <rte_common.h>
#include <stdlib.h>

/* What makes frames: a stream with a rate is one source, one with sessions has one for each. */
struct source {
	uint64_t random; /* state */
	uint64_t key;    /* of a session's addresses and ports */
	uint32_t stream;
	uint32_t bytes; /* of the next frame */
	uint64_t left;  /* frames of a session before its pause, the next one included */
};

/* When a source has its next frame. A heap of these; the least is first. */
struct turn {
	uint64_t due; /* ticks */
	uint64_t source;
};

struct stream {
	struct weir_template templates[WEIR_PROFILE_PROTOCOLS_MAX];
	struct weir_schedule schedule;
	struct weir_profile_sessions sessions;
	uint64_t byte_ticks_q32; /* of a session that sends at a rate */
	uint64_t left;           /* frames until its count is reached */
	double mean_work;        /* of a frame */
	bool poisson, live;
	uint16_t flow;
	uint32_t n_templates;
	uint32_t flows;
	uint64_t flow_key;
	uint32_t n_sizes;
	struct weir_profile_size sizes[WEIR_PROFILE_SIZES_MAX];
	uint32_t limits[WEIR_PROFILE_SIZES_MAX]; /* of 32 random bits; the last size has the rest */
	uint64_t frames, frame_bytes, stamped;
};

struct weir_generator {
	uint64_t until; /* the duration's end, in ticks */
	uint64_t left;  /* frames until the count is reached */
	uint32_t n_turns;
	uint16_t clock;
	uint32_t n_streams;
	struct turn *turns;
	struct source *sources;
	struct stream *streams;
	struct weir_filler filler;
};

static bool
is_before(const struct turn *one, const struct turn *other)
{
	return one->due < other->due || (one->due == other->due && one->source < other->source);
}

/* The first turn is due at another time now: moves it to where it belongs. */
static void
sift_down(struct turn *turns, uint32_t n, uint64_t due)
{
	struct turn moved = {due, turns[0].source};
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && is_before(&turns[child + 1], &turns[child]))
			child++;
		if (!is_before(&turns[child], &moved))
			break;
		turns[at] = turns[child];
		at = child;
	}
	turns[at] = moved;
}

static void
sift_up(struct turn *turns, uint32_t at)
{
	while (at > 0 && is_before(&turns[at], &turns[(at - 1) / 2])) {
		struct turn moved = turns[at];

		turns[at] = turns[(at - 1) / 2];
		at = (at - 1) / 2;
		turns[at] = moved;
	}
}

static inline uint32_t
pick_bytes(const struct stream *stream, struct source *source)
{
	const struct weir_profile_size *size = &stream->sizes[0];
	uint64_t random;

	if (stream->n_sizes == 1 && size->low == size->high)
		return size->low;
	random = weir_mix_next(&source->random);
	for (uint32_t i = 0; i + 1 < stream->n_sizes; i++)
		size += (uint32_t)random >= stream->limits[i];
	return size->low + (uint32_t)(((random >> 32) * (size->high - size->low + 1)) >> 32);
}

/* A number of a range; nothing random where there is only one. */
static uint64_t
pick(struct source *source, const struct weir_profile_range *range)
{
	if (range->span == 1)
		return range->low;
	return range->low + weir_mix_below(weir_mix_next(&source->random), range->span);
}

/* When the source's next frame, whose length is chosen here, is due. now: of the one before. */
static __rte_always_inline uint64_t
next_due(struct stream *stream, struct source *source, uint64_t now)
{
	const struct weir_profile_sessions *sessions = &stream->sessions;
	uint32_t wire = weir_wire_bytes(source->bytes);

	source->bytes = pick_bytes(stream, source);
	if (sessions->count == 0) {
		uint64_t work = (uint64_t)weir_wire_bytes(source->bytes) * WEIR_WORK_PER_BYTE;

		if (stream->poisson)
			work = weir_schedule_exponential(weir_mix_next(&source->random),
			                                 stream->mean_work);
		return weir_schedule_next(&stream->schedule, work);
	}
	if (--source->left == 0) {
		source->left = pick(source, &sessions->frames);
		return now + pick(source, &sessions->pause_ns) * WEIR_TICKS_PER_NS;
	}
	if (stream->byte_ticks_q32 == 0)
		return now + pick(source, &sessions->gap_ns) * WEIR_TICKS_PER_NS;
	/* The gap of the frame that has left: its own time on the wire at the session's rate. */
	return now + (uint64_t)(((weir_u128)wire * stream->byte_ticks_q32 + UINT32_MAX) >> 32);
}

/* What chooses the addresses and ports of the next frame. */
static uint64_t
next_key(const struct stream *stream, struct source *source)
{
	uint64_t key;

	if (stream->sessions.count > 0)
		return source->key;
	key = weir_mix_next(&source->random);
	if (stream->flows == 0)
		return key;
	return weir_mix(stream->flow_key + WEIR_GOLDEN * ((key >> 32) * stream->flows >> 32));
}

/* Writes a source's frame, and says what it is. */
static void
write_frame(struct weir_generator *g, struct stream *stream, struct source *source, uint64_t due,
            uint64_t live, uint8_t *frame, struct weir_taken *taken)
{
	const struct weir_template *template = &stream->templates[0];
	uint32_t bytes = source->bytes;
	uint64_t key;
	bool stamped;

	stream->frames++;
	stream->frame_bytes += bytes;
	if (template->complete && stream->n_templates == 1) {
		*taken = (struct weir_taken){due, bytes, (uint16_t)source->stream, false};
		weir_template_copy(template, bytes, frame);
		return;
	}
	key = next_key(stream, source);
	if (stream->n_templates > 1)
		template += ((key >> 32) * stream->n_templates) >> 32;
	stamped = bytes >= template->stamp_min;
	*taken = (struct weir_taken){due, bytes, (uint16_t)source->stream, stamped};
	if (stamped) {
		struct weir_stamp stamp = {
		    .live = stream->live,
		    .flow = stream->flow,
		    .sequence = (uint32_t)stream->stamped++,
		    .time = stream->live ? live : due / WEIR_TICKS_PER_NS,
		    .clock = stream->live ? g->clock : 0,
		};

		weir_template_write(template, &g->filler, key, bytes, &stamp, frame);
	} else if (template->complete) {
		weir_template_copy(template, bytes, frame);
	} else {
		weir_template_write(template, &g->filler, key, bytes, NULL, frame);
	}
}

uint32_t
weir_generator_take(struct weir_generator *g, uint64_t until, uint64_t live,
                    uint8_t *const frames[], struct weir_taken taken[], uint32_t n)
{
	struct turn *turn = &g->turns[0];
	uint64_t due = turn->due;
	uint32_t done = 0;

	if (until > g->until)
		until = g->until;
	if (n > g->left)
		n = (uint32_t)g->left;
	while (done < n && due <= until) {
		struct source *source = &g->sources[turn->source];
		struct stream *stream = &g->streams[source->stream];

		/* Other sources of a stream whose count is reached still have their turn. */
		if (stream->left == 0) {
			due = WEIR_SCHEDULE_NEVER;
		} else {
			stream->left--;
			write_frame(g, stream, source, due, live, frames[done], &taken[done]);
			done++;
			due = next_due(stream, source, due);
		}
		if (g->n_turns > 1) {
			sift_down(g->turns, g->n_turns, due);
			due = turn->due;
		}
	}
	turn->due = due;
	g->left -= done;
	return done;
}

uint64_t
weir_generator_due(const struct weir_generator *g)
{
	return g->left == 0 || g->turns[0].due > g->until ? WEIR_SCHEDULE_NEVER : g->turns[0].due;
}

static void
make_sizes(const struct weir_profile_stream *from, struct stream *stream)
{
	uint64_t weights = 0, below = 0;
	double wire = 0;

	stream->n_sizes = from->n_sizes;
	for (uint32_t i = 0; i < from->n_sizes; i++) {
		stream->sizes[i] = from->sizes[i];
		weights += from->sizes[i].weight;
		/* All sizes are at least 60: the mean of a range is that of its ends. */
		wire += from->sizes[i].weight *
		        ((double)from->sizes[i].low + (double)from->sizes[i].high) / 2;
	}
	for (uint32_t i = 0; i < from->n_sizes; i++) {
		below += from->sizes[i].weight;
		stream->limits[i] =
		    below < weights ? (uint32_t)((below << 32) / weights) : UINT32_MAX;
	}
	stream->mean_work =
	    (wire / (double)weights + WEIR_WIRE_OVERHEAD_BYTES) * WEIR_WORK_PER_BYTE;
}

static void
make_stream(const struct weir_profile *profile, uint32_t index, const struct weir_filler *filler,
            struct stream *stream)
{
	const struct weir_profile_stream *from = &profile->streams[index];

	make_sizes(from, stream);
	stream->n_templates = from->n_protocols;
	for (uint32_t i = 0; i < from->n_protocols; i++)
		weir_template_make(from, from->protocols[i], filler, &stream->templates[i]);
	if (from->n_sizes == 1 && from->sizes[0].low == from->sizes[0].high)
		for (uint32_t i = 0; i < from->n_protocols; i++)
			weir_template_fix(&stream->templates[i], filler, from->sizes[0].low);
	stream->left = from->count > 0 ? from->count : UINT64_MAX;
	stream->poisson = from->poisson;
	stream->live = from->stamp == WEIR_PROFILE_STAMP_LIVE;
	stream->flows = from->flows;
	stream->flow_key = weir_mix(profile->seed + WEIR_GOLDEN * (index + 1));
	stream->sessions = from->sessions;
	if (from->sessions.rate_bit_s > 0)
		stream->byte_ticks_q32 = weir_schedule_byte_ticks_q32(from->sessions.rate_bit_s);
	if (from->sessions.count == 0)
		weir_schedule_make(from->steps, from->n_steps, from->repeat, from->start_ns,
		                   &stream->schedule);
}

/* Adds a source and its first turn. Sessions start spread over a pause, not all at once. */
static void
add_source(struct weir_generator *g, const struct weir_profile_stream *from, uint32_t stream,
           uint32_t number)
{
	struct stream *made = &g->streams[stream];
	uint32_t index = g->n_turns++;
	struct source *source = &g->sources[index];
	struct weir_profile_range first = {0, from->sessions.pause_ns.low +
	                                          from->sessions.pause_ns.span};
	uint64_t due;

	source->stream = stream;
	source->random = weir_mix(made->flow_key ^ weir_mix(number));
	source->key = weir_mix(made->flow_key + WEIR_GOLDEN * number);
	if (from->sessions.count > 0) {
		source->bytes = pick_bytes(made, source);
		source->left = pick(source, &from->sessions.frames);
		due = (from->start_ns + pick(source, &first)) * WEIR_TICKS_PER_NS;
	} else {
		due = next_due(made, source, 0);
	}
	g->turns[index] = (struct turn){due, index};
	sift_up(g->turns, index);
}

struct weir_generator *
weir_generator_new(const struct weir_profile *profile, uint32_t first_flow, uint16_t clock)
{
	struct weir_generator *g =
	    aligned_alloc(WEIR_CACHE_LINE, RTE_ALIGN_CEIL(sizeof(*g), WEIR_CACHE_LINE));
	uint32_t n = 0;

	assert(first_flow + profile->n_streams <= WEIR_STAMP_FLOWS);
	if (g == NULL)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->until = profile->duration_ns > 0 ? profile->duration_ns * WEIR_TICKS_PER_NS
	                                    : WEIR_SCHEDULE_NEVER - 1;
	g->left = profile->count > 0 ? profile->count : UINT64_MAX;
	g->clock = clock;
	g->n_streams = profile->n_streams;
	for (uint32_t i = 0; i < profile->n_streams; i++)
		n +=
		    profile->streams[i].sessions.count > 0 ? profile->streams[i].sessions.count : 1;
	g->turns = calloc(n, sizeof(*g->turns));
	g->sources = calloc(n, sizeof(*g->sources));
	g->streams = aligned_alloc(WEIR_CACHE_LINE, profile->n_streams * sizeof(*g->streams));
	if (g->turns == NULL || g->sources == NULL || g->streams == NULL) {
		weir_generator_free(g);
		return NULL;
	}
	memset(g->streams, 0, profile->n_streams * sizeof(*g->streams));
	weir_filler_make(profile->seed, &g->filler);
	for (uint32_t i = 0; i < profile->n_streams; i++) {
		const struct weir_profile_stream *from = &profile->streams[i];

		make_stream(profile, i, &g->filler, &g->streams[i]);
		g->streams[i].flow = (uint16_t)(first_flow + i);
		for (uint32_t s = 0; s < (from->sessions.count > 0 ? from->sessions.count : 1); s++)
			add_source(g, from, i, s);
	}
	return g;
}

void
weir_generator_free(struct weir_generator *g)
{
	if (g == NULL)
		return;
	free(g->turns);
	free(g->sources);
	free(g->streams);
	free(g);
}

const uint8_t *
weir_generator_filler(const struct weir_generator *g)
{
	return g->filler.bytes;
}

struct weir_generated_totals
weir_generator_totals(const struct weir_generator *g, uint32_t stream)
{
	assert(stream < g->n_streams);
	/* No frame is shorter than 60 bytes. */
	return (struct weir_generated_totals){
	    .frames = g->streams[stream].frames,
	    .frame_bytes = g->streams[stream].frame_bytes,
	    .wire_bytes = g->streams[stream].frame_bytes +
	                  WEIR_WIRE_OVERHEAD_BYTES * g->streams[stream].frames,
	    .stamped = g->streams[stream].stamped,
	};
}
