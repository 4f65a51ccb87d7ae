/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NICs on the outside ports of egress_box.h that do with their send queues as the test says: each
 * stands still or sends at a rate, from a time on. Frames leave at times of their own, also between
 * the readings of a worker's clock and within its rounds; each is written down with its true time.
 * They tell of descriptors as drivers do, in time or late, and may forget what they have cleaned.
 */
#ifndef WEIR_TESTS_UNIT_WIRE_BOX_H
#define WEIR_TESTS_UNIT_WIRE_BOX_H

#include "tests/unit/egress_box.h"

__extension__ typedef __int128 wide;

#define WIRES       (QUEUES + 2) /* those of the outside, then those of elsewhere */
#define RING_FRAMES 1024U        /* more than any queue here holds */
#define RECORDS_MAX (UINT32_C(1) << 19)
#define LINE_BIT_S  UINT64_C(100000000000)
#define MAX_FRAME   (66U + 1472U) /* wire bytes */
#define FIXED_FRAME (66U + 100U)

/* One send queue of the NIC. */
struct wire {
	uint64_t handed, left, lost; /* frames, since the start; left without those lost */
	uint64_t told;               /* of those that left or are lost, the NIC admits so many */
	uint64_t forgotten;          /* and has forgotten so many of them */
	uint64_t left_bytes;
	uint64_t bit_s; /* 0: stands still */
	bool mute;      /* tells of nothing */
	wide free_at;   /* when the next frame may leave: ticks x bit_s */
	uint64_t handed_at[RING_FRAMES];
};

struct record {
	uint64_t tsc;
	uint32_t bytes;
};

static struct {
	struct wire queues[WIRES];
	uint64_t clock, end; /* now, and the next reading of the worker whose round it is */
	uint32_t n_descriptors;
	uint16_t n_queues; /* of one worker */
	bool wild;         /* the clock goes on within rounds */
	bool late, forgetful, moody;
	uint64_t asked, calls; /* how often: what has left, to send */
	struct weir_random random;
	eth_tx_burst_t ring_send;
	uint32_t n[CLASSES];
	struct record records[CLASSES][RECORDS_MAX];
} nic;

static inline uint16_t
port_of(uint16_t q)
{
	return q < QUEUES ? outside.port_id : elsewhere.port_id;
}

/* Lets frames of one queue leave up to a time. */
static inline void
wire_run(uint16_t q, uint64_t until)
{
	struct wire *wire = &nic.queues[q];
	struct rte_mbuf *frame;

	while (wire->bit_s > 0 && wire->left + wire->lost < wire->handed) {
		uint64_t at = wire->handed_at[(wire->left + wire->lost) % RING_FRAMES];
		wide when = (wide)at * wire->bit_s;
		const uint8_t *data;
		uint32_t class;

		if (when < wire->free_at)
			when = wire->free_at;
		/* A tick that it has begun is over. */
		at = (uint64_t)((when + wire->bit_s - 1) / wire->bit_s);
		if (at > until)
			break;
		CU_ASSERT_EQUAL_FATAL(rte_eth_rx_burst(port_of(q), q % QUEUES, &frame, 1), 1);
		data = rte_pktmbuf_mtod(frame, const uint8_t *);
		class = (uint32_t)(data[36] << 8 | data[37]) - 1000;
		CU_ASSERT_FATAL(class < CLASSES && nic.n[class] < RECORDS_MAX);
		nic.records[class][nic.n[class]++] = (struct record){at, frame->pkt_len + 24};
		wire->free_at = when + (wide)(frame->pkt_len + 24) * 8 * HZ;
		wire->left_bytes += frame->pkt_len + 24;
		wire->left++;
		rte_pktmbuf_free(frame);
	}
	if (!wire->mute && (!nic.late || weir_random_one_in(&nic.random, 20)))
		wire->told = wire->left + wire->lost;
}

/* From now on the queue sends at another rate. */
static inline void
wire_set(uint16_t q, uint64_t bit_s)
{
	struct wire *wire = &nic.queues[q];

	wire_run(q, nic.clock);
	wire->bit_s = bit_s;
	wire->free_at = (wide)nic.clock * bit_s;
}

static inline uint16_t
queue_of(const void *queue)
{
	for (uint16_t q = 0; q < WIRES; q++)
		if (rte_eth_fp_ops[port_of(q)].txq.data[q % QUEUES] == queue)
			return q;
	CU_FAIL_FATAL("no queue of ours");
	return 0;
}

/* Time goes on within a round: until the next reading at most. */
static inline void
go_on(uint16_t q)
{
	if (nic.wild && weir_random_one_in(&nic.random, 2))
		nic.clock += weir_random_below(&nic.random, nic.end - nic.clock + 1);
	wire_run(q, nic.clock);
}

static inline const struct weir_departures *
departures_of(uint16_t q)
{
	uint16_t n = nic.n_queues > 0 ? nic.n_queues : QUEUES;

	return q < QUEUES ? weir_dataplane_departures(dataplane, q / n, 0, q % n)
	                  : weir_dataplane_departures(dataplane, 0, 1, q - QUEUES);
}

static inline uint16_t
nic_send(void *queue, struct rte_mbuf **frames, uint16_t n)
{
	uint16_t q = queue_of(queue), sent;
	struct wire *wire = &nic.queues[q];
	const struct weir_departures *departures = departures_of(q);
	uint64_t room;

	nic.calls++;
	go_on(q);
	room = nic.n_descriptors - 1 - (wire->handed - wire->left - wire->lost);
	if (departures != NULL)
		CU_ASSERT_FATAL(n <= weir_departures_room(departures));
	if (nic.moody && weir_random_one_in(&nic.random, 10))
		room = weir_random_below(&nic.random, room + 1);
	if (n > room)
		n = (uint16_t)room;
	/* Drivers clean descriptors when they are given frames, and forget what these were. */
	if (nic.forgetful && weir_random_one_in(&nic.random, 2))
		wire->forgotten = weir_random_between(&nic.random, wire->forgotten, wire->told);
	sent = nic.ring_send(queue, frames, n);
	for (uint16_t i = 0; i < sent; i++)
		wire->handed_at[wire->handed++ % RING_FRAMES] = nic.clock;
	wire_run(q, nic.clock);
	return sent;
}

static inline int
nic_status(void *queue, uint16_t offset)
{
	uint16_t q = queue_of(queue);
	const struct wire *wire = &nic.queues[q];
	uint64_t ago = nic.n_descriptors - offset;

	nic.asked++;
	go_on(q);
	CU_ASSERT_FATAL(offset > 0 && offset < nic.n_descriptors && ago <= wire->handed);
	if (wire->handed - ago < wire->forgotten)
		return RTE_ETH_TX_DESC_FULL;
	return wire->handed - ago < wire->told ? RTE_ETH_TX_DESC_DONE : RTE_ETH_TX_DESC_FULL;
}

/* The NIC's ring is emptied, as by a restart of the port. */
static inline void
wire_restart(uint16_t q)
{
	struct wire *wire = &nic.queues[q];
	uint64_t sink[CLASSES] = {0};

	wire->lost += take_out(q, sink);
	wire->told = wire->left + wire->lost;
	CU_ASSERT_EQUAL(wire->told, wire->handed);
	wire->forgotten = wire->handed;
}

/* n_queues of n_descriptors a worker on the outside; all wires at line rate. Before set_up. */
static inline void
nic_set_up(uint16_t n_queues, uint32_t n_descriptors, bool completions, uint64_t seed)
{
	memset(nic.queues, 0, sizeof(nic.queues));
	memset(nic.n, 0, sizeof(nic.n));
	for (uint16_t q = 0; q < WIRES; q += QUEUES) {
		struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port_of(q)];

		if (ops->tx_pkt_burst != nic_send)
			nic.ring_send = ops->tx_pkt_burst;
		ops->tx_pkt_burst = nic_send;
		ops->tx_descriptor_status = nic_status;
	}
	nic.n_queues = n_queues;
	nic.n_descriptors = n_descriptors;
	nic.wild = nic.late = nic.forgetful = nic.moody = false;
	nic.asked = nic.calls = 0;
	nic.random = weir_random_make(seed);
	nic.clock = nic.end = 1000;
	for (uint16_t q = 0; q < WIRES; q++)
		wire_set(q, LINE_BIT_S);
	tx_of_link[0] = (struct weir_tx){
	    .n_queues = n_queues, .n_descriptors = n_descriptors, .completions = completions};
	tx_of_link[1] = (struct weir_tx){0};
}

/* One round of a worker at now; until end, its next reading, its frames leave. */
static inline void
round_with_wire(uint32_t w, uint64_t now, uint64_t end)
{
	uint16_t own = nic.n_queues;

	nic.clock = now;
	nic.end = end;
	weir_dataplane_pulse(dataplane, now);
	CU_ASSERT_FALSE(weir_worker_round(dataplane->workers[w], now));
	nic.clock = end;
	for (uint16_t q = (uint16_t)(w * own); q < (w + 1) * own; q++)
		wire_run(q, end);
	for (uint16_t q = QUEUES; q < WIRES; q++)
		wire_run(q, end);
}

static inline int
compare_records(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	return a->tsc < b->tsc ? -1 : a->tsc > b->tsc;
}

/*
 * Whether for any two departures of a class, what left from the one to the other, both included, is
 * more than rate x time + burst. Of all earlier ones the hardest to meet is kept, so every pair
 * is tried.
 */
static inline bool
is_broken(uint32_t class, const struct class_plan *plan)
{
	const wide scale = (wide)8 * HZ;
	wide lowest = 0, total = 0;
	bool broken = false;

	qsort(nic.records[class], nic.n[class], sizeof(struct record), compare_records);
	for (uint32_t i = 0; i < nic.n[class]; i++) {
		wide line = (wide)plan->rate_bit_s * nic.records[class][i].tsc;

		if (i == 0 || total - line < lowest)
			lowest = total - line;
		total += scale * nic.records[class][i].bytes;
		if (total - line - lowest > scale * plan->burst_bytes)
			broken = true;
	}
	return broken;
}

/* Bytes that a class sent from a time on. */
static inline uint64_t
bytes_since(uint32_t class, uint64_t tsc)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < nic.n[class]; i++)
		if (nic.records[class][i].tsc >= tsc)
			bytes += nic.records[class][i].bytes;
	return bytes;
}

static inline uint64_t
inflight_of(uint32_t class)
{
	return atomic_load(&dataplane->buckets[class].inflight_bytes);
}

#endif
