/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another thread reads what a worker publishes of a send queue, while it goes on. departures.c is
 * compiled in here, so that each of its stores and loads is a place where the other one gets its
 * turn: a worker's stores are written down, and a reading is tried with its loads at all of them.
 */
#include "dataplane/counters.h"

#include <stdatomic.h>

static void store(_Atomic uint64_t *counter, uint64_t n);
static uint64_t load(const _Atomic uint64_t *counter);

#define weir_count            store
#define weir_count_last       store
#define weir_count_read       load
#define weir_count_read_first load
#include "dataplane/departures.c"

#include "tests/unit/harness.h"

#include <string.h>

#define PORT          7U
#define N_DESCRIPTORS 64U
#define UNCOUNTED     24U /* bytes of each frame */
#define STORES_MAX    40U
#define LOADS         4U /* of a reading */

static struct weir_departures departures;
static uint64_t handed_frames, left_frames; /* truly; there are fewer than descriptors */

/* The counters at each place, which is a number of stores made by then; all else is let be. */
enum counter {
	DONE_FRAMES,
	DONE_BYTES,
	HANDED_FRAMES,
	HANDED_BYTES,
	COUNTERS,
};
static uint64_t shown[STORES_MAX + 1][COUNTERS];
static uint32_t n_stores;
/* What is true there, without what is not counted. */
static uint64_t left_bytes[STORES_MAX + 1], handed_bytes[STORES_MAX + 1];

/* Where the loads of the reading under way are made. */
static bool reading;
static uint32_t places[LOADS];
static uint32_t n_loads;

static enum counter
counter_of(const _Atomic uint64_t *counter)
{
	return counter == &departures.done_frames     ? DONE_FRAMES
	       : counter == &departures.done_bytes    ? DONE_BYTES
	       : counter == &departures.handed_frames ? HANDED_FRAMES
	       : counter == &departures.handed_bytes  ? HANDED_BYTES
	                                              : COUNTERS;
}

static void
store(_Atomic uint64_t *counter, uint64_t n)
{
	enum counter which = counter_of(counter);

	atomic_fetch_add(counter, n);
	if (which == COUNTERS)
		return;
	CU_ASSERT_FATAL(n_stores < STORES_MAX);
	n_stores++;
	memcpy(shown[n_stores], shown[n_stores - 1], sizeof(shown[0]));
	shown[n_stores][which] += n;
	left_bytes[n_stores] = left_bytes[n_stores - 1];
	handed_bytes[n_stores] = handed_bytes[n_stores - 1];
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	enum counter which = counter_of(counter);

	if (!reading)
		return atomic_load(counter);
	CU_ASSERT_FATAL(which != COUNTERS && n_loads < LOADS);
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
hand_over(uint32_t n, uint64_t now_tsc)
{
	for (; n > 0; n--, handed_frames++) {
		uint32_t bytes = bytes_of(handed_frames);

		weir_departures_add(&departures, 0, bytes, now_tsc);
		handed_bytes[n_stores] += bytes - UNCOUNTED;
	}
}

/* So many have left, and the worker asks. */
static void
leave(uint32_t n, uint64_t now_tsc)
{
	for (uint32_t i = 0; i < n; i++)
		left_bytes[n_stores] += bytes_of(left_frames++) - UNCOUNTED;
	CU_ASSERT_EQUAL(weir_departures_poll(&departures, now_tsc, on_departed, NULL), n);
}

/* A worker's stores, from the start of its port on. */
static void
work(void)
{
	static void *queues[1] = {&departures};

	rte_eth_fp_ops[PORT].txq.data = queues;
	rte_eth_fp_ops[PORT].tx_descriptor_status = status;
	CU_ASSERT_EQUAL_FATAL(
	    weir_departures_init(&departures, PORT, 0, N_DESCRIPTORS, WEIR_NODE_ANY), 0);
	hand_over(3, 1000);
	leave(3, 2000);
	hand_over(5, 3000);
	leave(1, 4000);
	leave(4, 5000);
	hand_over(4, 6000);
	leave(2, 7000);
	hand_over(2, 8000);
	leave(3, 9000);
	weir_departures_fini(&departures);
	memset(&rte_eth_fp_ops[PORT], 0, sizeof(rte_eth_fp_ops[PORT]));
}

/* The loads of one reading, each no earlier than the one before. Returns false after the last. */
static bool
next_places(void)
{
	uint32_t i = LOADS;

	while (i > 0 && places[i - 1] == n_stores)
		i--;
	if (i == 0)
		return false;
	places[i - 1]++;
	for (uint32_t k = i; k < LOADS; k++)
		places[k] = places[i - 1];
	return true;
}

static void
test_reading(void)
{
	uint64_t readings = 0, too_much = 0, too_little = 0, inexact = 0;

	work();
	reading = true;
	do {
		uint64_t left, handed;
		uint32_t first = places[0], last;

		n_loads = 0;
		weir_departures_read(&departures, UNCOUNTED, &left, &handed);
		CU_ASSERT_EQUAL_FATAL(n_loads, LOADS);
		last = places[LOADS - 1];
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

static const struct weir_test tests[] = {
    {"what is read while the worker goes on is never unjust to the NIC", test_reading},
};

int
main(void)
{
	return weir_test_run("departures_read", tests, WEIR_TEST_COUNT(tests));
}
