/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another thread reads what a worker publishes of a send queue, while it goes on. departures.c is
 * compiled in here, so that each of its stores and loads is a place where the other one gets its
 * turn: a worker's stores are written down, and a reading is tried with its loads at all of them.
 */
#include "dataplane/counters.h"

#include <stdatomic.h>

static void store(_Atomic uint64_t *counter, uint64_t n);
static void store_value(_Atomic uint64_t *counter, uint64_t value);
static uint64_t load(const _Atomic uint64_t *counter);

#define weir_count            store
#define weir_count_last       store
#define weir_count_set_last   store_value
#define weir_count_read       load
#define weir_count_read_first load
#include "dataplane/departures.c"

#include "tests/unit/harness.h"

#include <string.h>

#define PORT          7U
#define N_DESCRIPTORS 64U
#define UNCOUNTED     24U /* bytes of each frame */
#define STORES_MAX    60U
#define PERIOD        11U /* rounds that a backlog lasts for */
#define LOADS_MAX     4U  /* of a reading */

static struct weir_departures departures;
static uint64_t handed_frames, left_frames; /* truly; there are fewer than descriptors */

/* The counters at each place, which is a number of stores made by then; all else is let be. */
enum counter {
	DONE_FRAMES,
	DONE_BYTES,
	HANDED_FRAMES,
	HANDED_BYTES,
	BUSY_TSC,
	DONE_TSC,
	TOLD_TSC,
	COUNTERS,
};
static enum counter first_counter, last_counter; /* of those that are read */
static uint64_t now_tsc;                         /* of the worker's round */
static uint64_t shown[STORES_MAX + 1][COUNTERS];
static uint32_t n_stores;
/* What is true there, without what is not counted. */
static uint64_t left_bytes[STORES_MAX + 1], handed_bytes[STORES_MAX + 1];

/* Where the loads of the reading under way are made. */
static bool reading;
static uint32_t places[LOADS_MAX];
static uint32_t n_loads, loads; /* made, and of such a reading */

static enum counter
counter_of(const _Atomic uint64_t *counter)
{
	return counter == &departures.done_frames     ? DONE_FRAMES
	       : counter == &departures.done_bytes    ? DONE_BYTES
	       : counter == &departures.handed_frames ? HANDED_FRAMES
	       : counter == &departures.handed_bytes  ? HANDED_BYTES
	       : counter == &departures.busy_tsc      ? BUSY_TSC
	       : counter == &departures.done_tsc      ? DONE_TSC
	       : counter == &departures.told_tsc      ? TOLD_TSC
	                                              : COUNTERS;
}

/* A store that makes a counter's value so much more. */
static void
note_store(enum counter which, uint64_t more)
{
	if (which < first_counter || which > last_counter)
		return;
	CU_ASSERT_FATAL(n_stores < STORES_MAX);
	n_stores++;
	memcpy(shown[n_stores], shown[n_stores - 1], sizeof(shown[0]));
	shown[n_stores][which] += more;
	left_bytes[n_stores] = left_bytes[n_stores - 1];
	handed_bytes[n_stores] = handed_bytes[n_stores - 1];
}

static void
store(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add(counter, n);
	note_store(counter_of(counter), n);
}

static void
store_value(_Atomic uint64_t *counter, uint64_t value)
{
	uint64_t before = atomic_exchange(counter, value);

	note_store(counter_of(counter), value - before);
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	enum counter which = counter_of(counter);

	if (!reading)
		return atomic_load(counter);
	CU_ASSERT_FATAL(which != COUNTERS && n_loads < loads);
	return shown[places[n_loads++]][which];
}

static int
status(void *queue, uint16_t offset)
{
	(void)queue;
	return handed_frames - (N_DESCRIPTORS - offset) < left_frames ? RTE_ETH_TX_DESC_DONE
	                                                              : RTE_ETH_TX_DESC_FULL;
}

static void
on_departed(void *arg, uint32_t lane, uint64_t wire_bytes)
{
	(void)arg;
	(void)lane;
	(void)wire_bytes;
}

/* The true sizes: the shortest ones, of which much is not counted, and the longest. */
static uint32_t
bytes_of(uint64_t frame)
{
	return frame % 4 == 3 ? 1538 : 84;
}

static void
hand_over(uint32_t n, uint64_t tsc)
{
	now_tsc = tsc;
	for (; n > 0; n--, handed_frames++) {
		uint32_t bytes = bytes_of(handed_frames);

		weir_departures_add(&departures, 0, bytes, now_tsc);
		handed_bytes[n_stores] += bytes - UNCOUNTED;
	}
}

/* So many have left, and the worker asks. */
static void
leave(uint32_t n, uint64_t tsc)
{
	now_tsc = tsc;
	for (uint32_t i = 0; i < n; i++)
		left_bytes[n_stores] += bytes_of(left_frames++) - UNCOUNTED;
	CU_ASSERT_EQUAL(weir_departures_poll(&departures, now_tsc, on_departed, NULL), n);
}

static void
begin(enum counter first, enum counter last)
{
	static void *queues[1] = {&departures};

	memset(&departures, 0, sizeof(departures));
	memset(shown, 0, sizeof(shown));
	memset(left_bytes, 0, sizeof(left_bytes));
	memset(handed_bytes, 0, sizeof(handed_bytes));
	memset(places, 0, sizeof(places));
	first_counter = first;
	last_counter = last;
	handed_frames = left_frames = n_stores = 0;
	rte_eth_fp_ops[PORT].txq.data = queues;
	rte_eth_fp_ops[PORT].tx_descriptor_status = status;
	CU_ASSERT_EQUAL_FATAL(
	    weir_departures_init(&departures, PORT, 0, N_DESCRIPTORS, WEIR_NODE_ANY), 0);
}

/* The worker's stores are known; now they are read, by so many loads each time. */
static void
begin_reading(uint32_t n)
{
	weir_departures_fini(&departures);
	memset(&rte_eth_fp_ops[PORT], 0, sizeof(rte_eth_fp_ops[PORT]));
	loads = n;
	reading = true;
}

/* The loads of one reading, each no earlier than the one before. Returns false after the last. */
static bool
next_places(void)
{
	uint32_t i = loads;

	while (i > 0 && places[i - 1] == n_stores)
		i--;
	if (i == 0)
		return false;
	places[i - 1]++;
	for (uint32_t k = i; k < loads; k++)
		places[k] = places[i - 1];
	return true;
}

static void
test_reading(void)
{
	uint64_t readings = 0, too_much = 0, too_little = 0, inexact = 0;

	begin(DONE_FRAMES, HANDED_BYTES);
	hand_over(3, 1000);
	leave(3, 2000);
	hand_over(5, 3000);
	leave(1, 4000);
	leave(4, 5000);
	hand_over(4, 6000);
	leave(2, 7000);
	hand_over(2, 8000);
	leave(3, 9000);
	begin_reading(4);
	do {
		uint64_t left, handed;
		uint32_t first = places[0], last;

		n_loads = 0;
		weir_departures_read(&departures, UNCOUNTED, &left, &handed);
		CU_ASSERT_EQUAL_FATAL(n_loads, loads);
		last = places[loads - 1];
		too_much += left > left_bytes[last] ? 1 : 0;
		too_little += handed < handed_bytes[first] ? 1 : 0;
		/* At rest, after the last store of all, it is what it is. */
		inexact += first == n_stores && (left != left_bytes[last] || left == 0 ||
		                                 handed != handed_bytes[first])
		               ? 1
		               : 0;
		readings++;
	} while (next_places());
	reading = false;
	printf("    %" PRIu64 " readings over %" PRIu32 " stores\n", readings, n_stores);
	CU_ASSERT_EQUAL(too_much, 0);
	CU_ASSERT_EQUAL(too_little, 0);
	CU_ASSERT_EQUAL(inexact, 0);
}

/* Where busy time was counted, and which: it ends with the round that counts it. */
struct span {
	uint32_t place;
	uint64_t begin_tsc, end_tsc;
};

/* Two busy periods, long enough to be measured, and what is told of them late. */
static uint32_t
measure_spans(struct span spans[STORES_MAX])
{
	uint64_t busy_tsc = 0;
	uint32_t n = 0;

	begin(BUSY_TSC, TOLD_TSC);
	for (uint32_t round = 1; round <= 2 * PERIOD; round++) {
		if (round % PERIOD == 1)
			hand_over(28, round * 1000);
		/* In each third round nothing has left, and in the last one of a period all. */
		if (round % PERIOD == 0)
			leave((uint32_t)(handed_frames - left_frames), round * 1000 + 500);
		else
			leave(round % 3 == 0 ? 0 : 3, round * 1000 + 500);
		if (atomic_load(&departures.busy_tsc) == busy_tsc)
			continue;
		for (uint32_t i = 1; i <= n_stores; i++)
			if (shown[i][BUSY_TSC] != busy_tsc && shown[i - 1][BUSY_TSC] == busy_tsc)
				spans[n].place = i;
		spans[n].end_tsc = now_tsc;
		spans[n++].begin_tsc = now_tsc - (atomic_load(&departures.busy_tsc) - busy_tsc);
		busy_tsc = atomic_load(&departures.busy_tsc);
	}
	return n;
}

static void
test_busy(void)
{
	struct span spans[STORES_MAX] = {{0}};
	uint32_t n = measure_spans(spans), late = 0, early = 0, readings = 0;

	CU_ASSERT(n >= 4);
	begin_reading(3);
	do {
		struct weir_departures_busy busy;

		n_loads = 0;
		weir_departures_read_busy(&departures, &busy);
		CU_ASSERT_EQUAL_FATAL(n_loads, loads);
		for (uint32_t i = 0; i < n; i++) {
			bool counted = busy.busy_tsc >= shown[spans[i].place][BUSY_TSC];

			late += counted && spans[i].end_tsc > busy.end_tsc ? 1 : 0;
			early += !counted && spans[i].begin_tsc < busy.rest_tsc ? 1 : 0;
		}
		readings++;
	} while (next_places());
	reading = false;
	printf("    %" PRIu32 " readings of %" PRIu32 " times over %" PRIu32 " stores\n", readings,
	       n, n_stores);
	CU_ASSERT_EQUAL(late, 0);
	CU_ASSERT_EQUAL(early, 0);
}

static const struct weir_test tests[] = {
    {"what is read while the worker goes on is never unjust to the NIC", test_reading},
    {"no time is counted twice that is read while the worker goes on", test_busy},
};

int
main(void)
{
	return weir_test_run("departures_read", tests, WEIR_TEST_COUNT(tests));
}
