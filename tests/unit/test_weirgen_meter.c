/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiver's arithmetic: rates over every interval against all intervals, and flows. */
#include "tests/unit/harness.h"
#include "tools/weirgen/meter.h"
#include "tools/weirgen/track.h"

#include <string.h>

#define HZ     UINT64_C(2500000000)
#define LOOKS  60U
#define ROUNDS 400U

/* A look at the port that found something: the empty one before it, itself, and the bytes. */
struct look {
	uint64_t empty, now, bytes;
};

static uint64_t
make_looks(struct weir_random *random, struct look looks[LOOKS])
{
	uint64_t now = weir_random_below(random, 1U << 30);

	for (uint32_t i = 0; i < LOOKS; i++) {
		uint64_t idle =
		    weir_random_one_in(random, 3) ? weir_random_below(random, 1U << 22) : 0;

		/* Often the port was not found empty in between. */
		looks[i].empty =
		    i > 0 && weir_random_one_in(random, 3) ? looks[i - 1].empty : now + idle;
		now += idle + weir_random_between(random, 1, 1U << 18);
		looks[i].now = now;
		looks[i].bytes = weir_random_between(random, 84, 50000);
	}
	return now;
}

/* Of one interval of looks, bits times hz over the rate, with so many ticks. */
static weir_i128
excess_of(uint64_t bytes, uint64_t ticks, uint64_t rate)
{
	return (weir_i128)bytes * 8 * HZ - (weir_i128)ticks * rate;
}

/* From any bytes of one look to any of a later one or itself. */
static uint64_t
least_ticks(const struct look *from, const struct look *to)
{
	return to->empty > from->now ? to->empty - from->now : 0;
}

/* All intervals, one by one. */
static void
brute_force(const struct look looks[LOOKS], uint64_t rate, weir_i128 excess[3])
{
	for (uint32_t s = 0; s < LOOKS; s++) {
		uint64_t bytes = 0;

		for (uint32_t e = s; e < LOOKS; e++) {
			uint64_t shortest = least_ticks(&looks[s], &looks[e]);
			weir_i128 of[3];

			bytes += looks[e].bytes;
			of[0] = excess_of(bytes, looks[e].now - looks[s].empty, rate);
			of[1] = excess_of(bytes, looks[e].now - looks[s].now, rate);
			of[2] = excess_of(bytes, shortest, rate);
			for (int i = 0; i < 3; i++)
				excess[i] = of[i] > excess[i] ? of[i] : excess[i];
		}
	}
}

static void
test_every_interval(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct look looks[LOOKS];
		uint64_t rate = UINT64_C(1) << weir_random_between(&random, 10, 38);
		weir_i128 expected[3] = {0}, unit = (weir_i128)8 * HZ;
		struct weir_limit_meter meter;
		struct weir_excess excess;

		(void)make_looks(&random, looks);
		weir_limit_meter_make(&meter, rate, HZ);
		for (uint32_t i = 0; i < LOOKS; i++)
			weir_limit_meter_add(&meter, looks[i].empty, looks[i].now, looks[i].bytes);
		brute_force(looks, rate, expected);
		excess = weir_limit_meter_excess(&meter);
		CU_ASSERT_EQUAL(excess.least, (uint64_t)(expected[0] / unit));
		CU_ASSERT_EQUAL(excess.seen, (uint64_t)((expected[1] + unit - 1) / unit));
		CU_ASSERT_EQUAL(excess.most, (uint64_t)((expected[2] + unit - 1) / unit));
		CU_ASSERT(excess.least <= excess.seen && excess.seen <= excess.most);
	}
}

/* What a bucket lets through is found to need its burst, to the byte, and no more. */
static void
test_bucket(void)
{
	const uint64_t rate = 80000000,
	               burst = 10000; /* 10 MB/s, so 1,000 bytes in 250,000 ticks */
	struct weir_limit_meter meter;
	uint64_t now = 12345;

	weir_limit_meter_make(&meter, rate, HZ);
	weir_limit_meter_add(&meter, now, now, burst);
	for (int i = 0; i < 1000; i++) {
		now += 250000;
		weir_limit_meter_add(&meter, now, now, 1000);
	}
	CU_ASSERT_EQUAL(weir_limit_meter_excess(&meter).seen, burst);
	CU_ASSERT_EQUAL(weir_limit_meter_excess(&meter).least, burst);
	weir_limit_meter_add(&meter, now, now, 1);
	CU_ASSERT_EQUAL(weir_limit_meter_excess(&meter).seen, burst + 1);
}

/* The busiest window by brute force lies between what the slots say. */
static void
test_windows(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);

	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct look looks[LOOKS];
		uint64_t window_ns = weir_random_between(&random, 10000, 3000000);
		uint64_t ticks = window_ns * HZ / WEIR_NS_PER_S, certain = 0, most = 0;
		struct weir_window_meter meter;

		(void)make_looks(&random, looks);
		weir_window_meter_make(&meter, window_ns, HZ,
		                       looks[0].now -
		                           weir_random_below(&random, 1U << 20) % looks[0].now);
		for (uint32_t i = 0; i < LOOKS; i++)
			weir_window_meter_add(&meter, looks[i].empty, looks[i].now, looks[i].bytes);
		for (uint32_t s = 0; s < LOOKS; s++) {
			uint64_t within = 0, around = 0;

			for (uint32_t e = s; e < LOOKS; e++) {
				if (looks[e].now - looks[s].empty <= ticks)
					within += looks[e].bytes;
				if (least_ticks(&looks[s], &looks[e]) < ticks)
					around += looks[e].bytes;
			}
			certain = within > certain ? within : certain;
			most = around > most ? around : most;
		}
		CU_ASSERT(meter.at_least <= certain);
		CU_ASSERT(most <= meter.at_most);
	}
}

/* A steady stream: both bounds within the slots' coarseness. */
static void
test_window_of_a_steady_stream(void)
{
	struct weir_window_meter meter;
	uint64_t now = 1000;

	weir_window_meter_make(&meter, WEIR_NS_PER_MS, HZ, now);
	for (int i = 0; i < 100000; i++) {
		now += 2500; /* 1 us */
		weir_window_meter_add(&meter, now - 2500, now, 100);
	}
	CU_ASSERT(meter.at_least >= 99000 && meter.at_least <= 100100);
	CU_ASSERT(meter.at_most >= 100000 && meter.at_most <= 104000);
}

#define STREAM 3000U

/* Bytes that arrive, and what is known of them by brute force. */
struct stream {
	uint64_t at[STREAM], bytes[STREAM];
	uint64_t excess; /* over the rate */
	uint64_t busiest;
};

static void
make_stream(struct weir_random *random, uint64_t rate, uint64_t window_ticks, struct stream *stream)
{
	uint64_t at = 1000, from = 0, within = 0;
	weir_i128 level = 0, most = 0;

	for (uint32_t i = 0; i < STREAM; i++) {
		uint64_t ticks = weir_random_one_in(random, 20) ? weir_random_below(random, 2000000)
		                                                : weir_random_below(random, 200000);

		at += ticks;
		stream->at[i] = at;
		stream->bytes[i] = weir_random_between(random, 84, 1538);
		level -= (weir_i128)ticks * rate;
		level = (level > 0 ? level : 0) + (weir_i128)stream->bytes[i] * 8 * HZ;
		most = level > most ? level : most;
		within += stream->bytes[i];
		for (; stream->at[from] + window_ticks <= at; from++)
			within -= stream->bytes[from];
		stream->busiest = within > stream->busiest ? within : stream->busiest;
	}
	stream->excess = (uint64_t)(most / 8 / HZ);
}

/*
 * A receiver looks at a queue, 32 frames at most, and is kept from it now and then, before and
 * behind a look's own moment: what it holds for certain is never more than what came, and what it
 * holds possible never less.
 */
static void
test_stalls(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 4);
	const uint64_t window_ns = WEIR_NS_PER_MS, window_ticks = window_ns * HZ / WEIR_NS_PER_S;

	for (uint32_t round = 0; round < ROUNDS / 4; round++) {
		uint64_t rate = UINT64_C(1) << weir_random_between(&random, 16, 32);
		struct weir_look look = {0};
		static struct stream stream;
		struct weir_limit_meter limit;
		struct weir_window_meter window;
		struct weir_excess excess;
		uint32_t taken = 0;

		memset(&stream, 0, sizeof(stream));
		make_stream(&random, rate, window_ticks, &stream);
		weir_limit_meter_make(&limit, rate, HZ);
		weir_window_meter_make(&window, window_ns, HZ, 0);
		while (taken < STREAM) {
			uint64_t at, now, bytes = 0;
			uint32_t n = 0;

			at = look.now + (weir_random_one_in(&random, 2000)
			                     ? weir_random_below(&random, 100000000)
			                     : 2000);
			now = at + (weir_random_one_in(&random, 2000)
			                ? weir_random_below(&random, 100000000)
			                : 500);
			for (; taken < STREAM && stream.at[taken] <= at && n < 32; taken++, n++)
				bytes += stream.bytes[taken];
			weir_look_done(&look, now, n);
			if (n == 0)
				continue;
			weir_limit_meter_add(&limit, look.empty, now, bytes);
			weir_window_meter_add(&window, look.empty, now, bytes);
		}
		excess = weir_limit_meter_excess(&limit);
		CU_ASSERT(excess.least <= stream.excess);
		CU_ASSERT(stream.excess <= excess.most);
		CU_ASSERT(window.at_least <= stream.busiest);
		CU_ASSERT(stream.busiest <= window.at_most);
	}
}

/* Loss, duplicates and order, against a table of all that came. */
static void
test_sequences(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 2);
	static uint32_t order[20000];

	for (uint32_t round = 0; round < 20; round++) {
		static struct weir_track track;
		static bool came[20000];
		uint32_t start = (uint32_t)weir_random_next(&random), n = 0, lost = 0, twice = 0;
		uint32_t late = 0, highest = 0, farthest = 0;

		memset(&track, 0, sizeof(track));
		memset(came, 0, sizeof(came));
		order[n++] = 0;
		for (uint32_t i = 1; i < 10000; i++) {
			if (weir_random_one_in(&random, 50) && i < 9999) {
				lost++;
				continue;
			}
			order[n++] = i;
			if (weir_random_one_in(&random, 40)) {
				order[n++] = i;
				twice++;
			}
			/* Swapped with one of the last 100 places. */
			if (n > 200 && weir_random_one_in(&random, 30)) {
				uint32_t other = n - 1 - (uint32_t)weir_random_below(&random, 100);
				uint32_t swap = order[n - 1];

				order[n - 1] = order[other];
				order[other] = swap;
			}
		}
		for (uint32_t i = 0; i < n; i++) {
			CU_ASSERT_FATAL(weir_track_sequence(&track, start + order[i]));
			if (i > 0 && order[i] <= highest && !came[order[i]]) {
				late++;
				if (highest - order[i] > farthest)
					farthest = highest - order[i];
			}
			highest = order[i] > highest ? order[i] : highest;
			came[order[i]] = true;
		}
		CU_ASSERT_EQUAL(track.frames, n);
		CU_ASSERT_EQUAL(weir_track_lost(&track), lost);
		CU_ASSERT_EQUAL(track.duplicates, twice);
		CU_ASSERT_EQUAL(track.reordered, late);
		CU_ASSERT_EQUAL(track.stale, 0);
		CU_ASSERT_EQUAL(track.reorder_max, farthest);
	}
}

/* What lies too far behind is neither late nor a duplicate for certain, and is told apart. */
static void
test_far_behind(void)
{
	static struct weir_track track;

	memset(&track, 0, sizeof(track));
	CU_ASSERT(weir_track_sequence(&track, UINT32_MAX - 2));
	CU_ASSERT(weir_track_sequence(&track, UINT32_MAX - 1));
	CU_ASSERT(weir_track_sequence(&track, UINT32_MAX - 1 + WEIR_TRACK_WINDOW));
	CU_ASSERT(weir_track_sequence(&track, UINT32_MAX - 1));
	CU_ASSERT_EQUAL(track.stale, 1);
	CU_ASSERT(weir_track_sequence(&track, WEIR_TRACK_WINDOW));
	CU_ASSERT_EQUAL(weir_track_lost(&track), WEIR_TRACK_WINDOW);
	CU_ASSERT_EQUAL(track.duplicates, 0);
	CU_ASSERT(weir_track_sequence(&track, 7));
	CU_ASSERT_EQUAL(track.reordered, 1);
	CU_ASSERT_EQUAL(track.reorder_max, WEIR_TRACK_WINDOW - 7);
	CU_ASSERT(weir_track_sequence(&track, 7));
	CU_ASSERT_EQUAL(track.duplicates, 1);
	CU_ASSERT_EQUAL(track.stray, 0);
}

static void
take_numbers(struct weir_track *track, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)weir_track_sequence(track, from + i);
}

/* A number far away, wherever it lies, changes no other figure: at the start, amid, at the end. */
static void
test_strays(void)
{
	static const uint32_t far[] = {5000, 1U << 20, 1U << 30, (1U << 31) - 1000};
	static struct weir_track track;

	for (uint32_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		memset(&track, 0, sizeof(track));
		take_numbers(&track, 100, 500);
		for (uint32_t n = 0; n < 20; n++) {
			/* The same damage over and over is no jump either. */
			CU_ASSERT(!weir_track_sequence(&track, 600 + far[i]));
			take_numbers(&track, 600 + n * 10, n % 2 == 0 ? 10 : 9);
			CU_ASSERT_EQUAL(track.stray, n + 1);
		}
		CU_ASSERT_EQUAL(weir_track_lost(&track), 9);
		CU_ASSERT_EQUAL(track.reordered + track.duplicates + track.stale, 0);
		CU_ASSERT_EQUAL(track.frames, 500 + 20 + 190);
	}
	memset(&track, 0, sizeof(track));
	take_numbers(&track, 1U << 30, 1);
	take_numbers(&track, 0, 1000);
	CU_ASSERT_EQUAL(track.stray, 1);
	CU_ASSERT_EQUAL(weir_track_lost(&track), 0);
	CU_ASSERT_EQUAL(track.unique, 1000);
	CU_ASSERT_EQUAL(track.reordered + track.duplicates + track.stale, 0);
}

/* Many frames lost at once are a loss as soon as the next ones say so. */
static void
test_jump(void)
{
	static struct weir_track track;

	memset(&track, 0, sizeof(track));
	take_numbers(&track, 0, 100);
	take_numbers(&track, 1000100, 2);
	/* One that was late does not belie it. */
	take_numbers(&track, 99, 1);
	CU_ASSERT_EQUAL(track.duplicates, 1);
	take_numbers(&track, 1000103, 1);
	CU_ASSERT_EQUAL(track.stray, 3);
	CU_ASSERT_EQUAL(weir_track_lost(&track), 0);
	take_numbers(&track, 1000102, 1);
	CU_ASSERT_EQUAL(track.stray, 0);
	CU_ASSERT_EQUAL(weir_track_lost(&track), 1000000);
	CU_ASSERT_EQUAL(track.reordered, 1);
	take_numbers(&track, 1000104, 100);
	CU_ASSERT_EQUAL(weir_track_lost(&track), 1000000);
	CU_ASSERT_EQUAL(track.unique, 204);
}

static void
test_one_way(void)
{
	const uint64_t tick_ns_q32 = (uint64_t)(((weir_u128)WEIR_NS_PER_S << 32) / HZ);
	const uint64_t wrap = UINT64_C(1) << WEIR_STAMP_TIME_BITS;
	static struct weir_track track;

	memset(&track, 0, sizeof(track));
	weir_track_one_way(&track, 1000, 3500, tick_ns_q32);
	CU_ASSERT_EQUAL(track.latency.max_ns, 999); /* rounded down */
	/* 48 bits of a stamp against 64 of the clock, over the wrap. */
	weir_track_one_way(&track, wrap - 2500, 5 * wrap + 2500, tick_ns_q32);
	CU_ASSERT_EQUAL(track.latency.max_ns, 1999);
	CU_ASSERT_EQUAL(track.early, 0);
	/* A stamp from ten ticks ahead. */
	weir_track_one_way(&track, 3510, 3500, tick_ns_q32);
	CU_ASSERT_EQUAL(track.early, 1);
	CU_ASSERT_EQUAL(track.latency.max_ns, 1999);
	CU_ASSERT_EQUAL(track.latency.count, 2);
}

static void
test_histogram(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 3);
	static struct weir_histogram histogram;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < WEIR_TRACK_BUCKETS; i++) {
		uint64_t end = weir_histogram_bucket_end(i);

		CU_ASSERT_EQUAL(weir_histogram_bucket(end), i);
		if (end < UINT64_MAX)
			CU_ASSERT_EQUAL(weir_histogram_bucket(end + 1), i + 1);
	}
	CU_ASSERT_EQUAL(weir_histogram_bucket_end(WEIR_TRACK_BUCKETS - 1), UINT64_MAX);
	for (uint64_t i = 1; i <= 1000; i++) {
		weir_histogram_add(&histogram, i * 1000);
		sum += i * 1000;
	}
	CU_ASSERT_EQUAL(histogram.sum_ns, sum);
	for (uint32_t i = 0; i < 100; i++) {
		double share = (double)weir_random_between(&random, 1, 1000) / 1000;
		double exact = share * 1e6;
		double found = (double)weir_histogram_quantile(&histogram, share);

		CU_ASSERT(found >= exact * 0.999 && found <= exact * 1.0635 + 1000);
	}
}

/* Clocks that differ by anything: the fastest frame is the measure. */
static void
test_variation(void)
{
	static struct weir_track track;
	uint64_t offset = UINT64_C(0xfffffffff000);

	memset(&track, 0, sizeof(track));
	weir_track_variation(&track, 1000, 1000 + offset);
	weir_track_variation(&track, 2000, 2500 + offset);
	CU_ASSERT_EQUAL(track.latency.max_ns, 500);
	weir_track_variation(&track, 3000, 2900 + offset);
	weir_track_variation(&track, 4000, 4900 + offset);
	CU_ASSERT_EQUAL(track.latency.max_ns, 1000);
	CU_ASSERT_EQUAL(track.latency.count, 4);
}

static const struct weir_test tests[] = {
    {"the excess over every interval, against all of them", test_every_interval},
    {"a bucket's burst is found to the byte", test_bucket},
    {"the busiest window lies between its bounds", test_windows},
    {"a steady stream's window", test_window_of_a_steady_stream},
    {"a receiver that is kept from its CPU accuses nobody", test_stalls},
    {"lost, twice and late, against a table", test_sequences},
    {"numbers far behind", test_far_behind},
    {"strays ruin no figure", test_strays},
    {"a jump is a loss once it is borne out", test_jump},
    {"one-way latency, and stamps from ahead", test_one_way},
    {"histogram", test_histogram},
    {"latency between two clocks", test_variation},
};

int
main(void)
{
	return weir_test_run("weirgen_meter", tests, WEIR_TEST_COUNT(tests));
}
