/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/transmit.h"

#include "tools/weirgen/tally.h"

#include <assert.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <string.h>

#define POOL_CACHE  256U
#define LATE_TICKS  (WEIR_NS_PER_S * WEIR_TICKS_PER_NS)
#define LOOP_ROUNDS 100000U /* at the end, to take what has come back */
#define POOL_SPARE  1024U   /* frames beside those in the port's ring */
#define RING_GUESS  4096U   /* before the port is open */

static uint64_t
buffer_bytes(uint32_t frame_max)
{
	return RTE_ALIGN_CEIL(RTE_MAX(frame_max, WEIR_GENERATE_HEAD), 64U) + RTE_PKTMBUF_HEADROOM;
}

uint64_t
weir_transmit_memory(uint32_t frame_max)
{
	return (RING_GUESS + POOL_SPARE) *
	       (buffer_bytes(frame_max) + sizeof(struct rte_mbuf) + 128);
}

static void
fill_buffer(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	const struct weir_feed *feed = arg;
	struct rte_mbuf *mbuf = object;

	(void)pool;
	(void)index;
	memcpy((uint8_t *)mbuf->buf_addr + RTE_PKTMBUF_HEADROOM, feed->filler, feed->frame_max);
}

int
weir_transmit_open(struct weir_station *station, const struct weir_transmit_config *config,
                   const struct weir_feed *feed, struct weir_transmit *transmit)
{
	uint32_t frames = RTE_MAX(station->port.tx_descriptors, 1U) + POOL_SPARE;

	memset(transmit, 0, sizeof(*transmit));
	transmit->config = *config;
	transmit->feed = *feed;
	transmit->station = station;
	transmit->ticks_q56 = (uint64_t)(((weir_u128)WEIR_NS_PER_S * WEIR_TICKS_PER_NS << 56) /
	                                 station->clock.tsc_hz);
	transmit->pool = rte_pktmbuf_pool_create(
	    "weirgen_tx", RTE_MIN(frames, RING_GUESS + POOL_SPARE), POOL_CACHE, 0,
	    (uint16_t)buffer_bytes(feed->frame_max), station->port.node);
	if (transmit->pool == NULL)
		return -ENOMEM;
	if (feed->filler != NULL)
		rte_mempool_obj_iter(transmit->pool, fill_buffer, &transmit->feed);
	return 0;
}

/* What the worker has at hand. */
struct stock {
	uint32_t next; /* the first of mbufs that no frame has yet; all of them: none are there */
	uint32_t taken_n; /* frames that wait in front of it, */
	uint32_t sent;    /* and how many of them have left */
	struct rte_mbuf *mbufs[WEIR_TRANSMIT_BURST];
	uint8_t *frames[WEIR_TRANSMIT_BURST];
	struct weir_taken taken[WEIR_TRANSMIT_BURST];
	uint64_t given_up; /* ticks by which the schedule is late for good */
};

/* False: the port has all buffers at the moment. */
static inline bool
get_buffers(struct weir_transmit *transmit, struct stock *stock)
{
	if (stock->next < WEIR_TRANSMIT_BURST)
		return true;
	if (rte_pktmbuf_alloc_bulk(transmit->pool, stock->mbufs, WEIR_TRANSMIT_BURST) != 0)
		return false;
	for (uint32_t i = 0; i < WEIR_TRANSMIT_BURST; i++)
		stock->frames[i] = rte_pktmbuf_mtod(stock->mbufs[i], uint8_t *);
	stock->next = 0;
	return true;
}

static inline uint64_t
ticks_now(const struct weir_transmit *transmit, uint64_t tsc)
{
	return (uint64_t)(((weir_u128)(tsc - transmit->start_tsc) * transmit->ticks_q56) >> 56);
}

/* What is due by now, by a schedule that is late by what was and is given up. */
static inline uint64_t
give_up(struct weir_transmit *transmit, struct stock *stock, uint64_t now)
{
	const struct weir_feed *feed = &transmit->feed;
	uint64_t until = now - stock->given_up, due = feed->due(feed->context), behind;

	if (until <= due)
		return until;
	behind = until - due;
	if (behind > weir_tally_get(&transmit->counts.behind_max))
		weir_tally_set(&transmit->counts.behind_max, behind);
	if (behind > transmit->config.catch_up_ns * WEIR_TICKS_PER_NS) {
		behind -= transmit->config.catch_up_ns * WEIR_TICKS_PER_NS;
		stock->given_up += behind;
		weir_tally_set(&transmit->counts.given_up, stock->given_up);
		until -= behind;
	}
	return until;
}

/* Takes what is due. False when there will be nothing any more. */
static inline bool
take(struct weir_transmit *transmit, struct stock *stock, uint64_t tsc, uint64_t now)
{
	const struct weir_feed *feed = &transmit->feed;
	uint64_t until = WEIR_SCHEDULE_NEVER - 1;
	uint32_t n, end;

	if (!get_buffers(transmit, stock)) {
		/* Some drivers only look for what has left when they are called. */
		(void)rte_eth_tx_done_cleanup(transmit->station->port.port_id, 0, 0);
		return true;
	}
	if (!transmit->config.fast)
		until = give_up(transmit, stock, now);
	n = feed->take(feed->context, until, tsc, stock->frames + stock->next, stock->taken,
	               WEIR_TRANSMIT_BURST - stock->next);
	if (n == 0) {
		rte_pause();
		return feed->due(feed->context) != WEIR_SCHEDULE_NEVER;
	}
	end = stock->next + n;
	for (uint32_t i = stock->next, t = 0; i < end; i++, t++)
		stock->mbufs[i]->data_len =
		    (uint16_t)(stock->mbufs[i]->pkt_len = stock->taken[t].bytes);
	stock->next = end;
	stock->taken_n = n;
	stock->sent = 0;
	return true;
}

/* Gives the port what was taken; what it does not accept waits for the next round. */
static inline void
give(struct weir_transmit *transmit, struct stock *stock, uint64_t tsc)
{
	struct rte_mbuf **mbufs = stock->mbufs + stock->next - stock->taken_n;
	uint32_t left = stock->taken_n - stock->sent;
	uint32_t accepted = rte_eth_tx_burst(transmit->station->port.port_id, 0,
	                                     mbufs + stock->sent, (uint16_t)left);
	uint64_t bytes = 0, wire = 0;

	for (uint32_t i = stock->sent; i < stock->sent + accepted; i++) {
		bytes += stock->taken[i].bytes;
		wire += weir_wire_bytes(stock->taken[i].bytes);
	}
	stock->sent += accepted;
	if (accepted > 0) {
		weir_tally_add(&transmit->counts.frames, accepted);
		weir_tally_add(&transmit->counts.frame_bytes, bytes);
		weir_tally_add(&transmit->counts.wire_bytes, wire);
		weir_tally_set(&transmit->counts.last_tsc, tsc);
	}
	if (accepted < left)
		weir_tally_add(&transmit->counts.refused, 1);
	if (stock->sent == stock->taken_n)
		stock->taken_n = stock->sent = 0;
}

/* At the end: what was taken and not sent is told, and all buffers go back. */
static void
put_back(struct weir_transmit *transmit, struct stock *stock)
{
	uint32_t waiting = stock->taken_n - stock->sent;

	transmit->n_unsent = waiting;
	memcpy(transmit->unsent, stock->taken + stock->sent, waiting * sizeof(stock->taken[0]));
	for (uint32_t i = stock->next - waiting; i < WEIR_TRANSMIT_BURST; i++)
		rte_pktmbuf_free(stock->mbufs[i]);
}

/* Takes what has come back. False where nothing has. */
static inline bool
take_back(struct weir_transmit *transmit)
{
	struct rte_mbuf *mbufs[WEIR_TRANSMIT_BURST];
	uint32_t n =
	    rte_eth_rx_burst(transmit->station->port.port_id, 0, mbufs, WEIR_TRANSMIT_BURST);

	if (n > 0) {
		rte_pktmbuf_free_bulk(mbufs, n);
		weir_tally_add(&transmit->counts.returned, n);
	}
	return n > 0;
}

static int
work(void *arg)
{
	struct weir_transmit *transmit = arg;
	struct stock stock = {.next = WEIR_TRANSMIT_BURST};
	uint64_t end = WEIR_SCHEDULE_NEVER - LATE_TICKS, now = 0, tsc;
	bool more = true;

	if (transmit->config.duration_ns > 0)
		end = (transmit->config.duration_ns + transmit->config.catch_up_ns) *
		      WEIR_TICKS_PER_NS;
	transmit->start_tsc = rte_rdtsc();
	atomic_store(&transmit->counts.last_tsc, transmit->start_tsc);
	while (more && now <= end + RTE_MIN(stock.given_up, LATE_TICKS) &&
	       !weir_station_stopped()) {
		tsc = rte_rdtsc();
		now = ticks_now(transmit, tsc);
		weir_hold_round(&transmit->station->hold, tsc);
		if (stock.taken_n == 0)
			more = take(transmit, &stock, tsc, now);
		if (stock.taken_n > 0)
			give(transmit, &stock, tsc);
		if (transmit->config.loop)
			(void)take_back(transmit);
	}
	for (uint32_t i = 0; transmit->config.loop && i < LOOP_ROUNDS && take_back(transmit); i++)
		;
	atomic_store(&transmit->counts.cut_short, more);
	put_back(transmit, &stock);
	return 0;
}

int
weir_transmit_start(struct weir_transmit *transmit)
{
	return weir_station_launch(transmit->station, work, transmit);
}

void
weir_transmit_close(struct weir_transmit *transmit)
{
	rte_mempool_free(transmit->pool);
	transmit->pool = NULL;
}

uint64_t
weir_transmit_elapsed_ns(const struct weir_transmit *transmit)
{
	uint64_t last = atomic_load(&transmit->counts.last_tsc);

	/* Not started yet. */
	if (transmit->start_tsc == 0 || last <= transmit->start_tsc)
		return 0;
	return weir_clock_ns_from_tsc(&transmit->station->clock, last - transmit->start_tsc);
}
