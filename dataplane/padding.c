/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/padding.h"

#include "dataplane/worker_state.h"

#include <rte_ether.h>
#include <string.h>

#define PADDING_SLOTS 64U /* classes looked at in one call */

static void
fill(const struct weir_padding *padding, struct rte_mbuf *frame, uint32_t bytes)
{
	char *data = rte_pktmbuf_append(frame, (uint16_t)bytes);
	struct rte_ether_hdr *header = (struct rte_ether_hdr *)data;

	assert(data != NULL && bytes >= WEIR_FRAME_MIN_BYTES);
	/* Nothing of what was in the buffer may leave. */
	memset(data, 0, bytes);
	memcpy(&header->dst_addr, padding->destination, sizeof(header->dst_addr));
	memcpy(&header->src_addr, padding->source, sizeof(header->src_addr));
	header->ether_type = rte_cpu_to_be_16(WEIR_PADDING_ETHERTYPE);
}

/* What of so many bytes a class's budgets would pay for now. */
static uint64_t
affordable(struct weir_worker *worker, const struct weir_class *class, uint64_t bytes)
{
	uint64_t held = 0;
	uint32_t budget;

	while (bytes > 0 && !weir_credit_charge(worker->credit, worker->index, class->path,
	                                        class->n_path, bytes, &budget, &held))
		bytes = held < bytes ? held : 0;
	if (bytes > 0)
		weir_credit_settle(worker->credit, worker->index, class->path, class->n_path, 0,
		                   bytes);
	return bytes;
}

/* How many frames of so many wire bytes are to be offered to a lane now. */
static uint32_t
frames_due(struct weir_worker *worker, uint32_t lane, uint32_t wire_bytes)
{
	const struct weir_class *class = &worker->snapshot->classes[weir_lane_slot(lane)];
	const struct weir_out *out = weir_out_of(worker, lane);
	uint64_t allowance, available, frames;
	uint32_t room;

	/* Queue 0 is never limited, and what waits goes first. */
	if (out == worker->outs_of_link[weir_lane_link(lane)].first || out->departures == NULL ||
	    worker->queues[lane].head != NULL)
		return 0;
	allowance = weir_rate_allowance(&class->rate, worker->now_tsc);
	available = weir_bucket_available(&worker->dataplane->buckets[weir_lane_slot(lane)],
	                                  allowance, class->burst_bytes);
	if (out->departures->n + out->n == 0 && available + 1 < class->burst_bytes)
		return 0; /* not full yet */
	room = weir_departures_room(out->departures);
	room = room > out->n ? room - out->n : 0;
	frames = available / wire_bytes;
	frames = frames < room ? frames : room;
	frames = frames < WEIR_BURST ? frames : WEIR_BURST;
	/* What can't be had is not asked for: it would count as dropped. */
	return frames == 0
	           ? 0
	           : (uint32_t)(affordable(worker, class, frames * wire_bytes) / wire_bytes);
}

static uint32_t
offer(struct weir_worker *worker, const struct weir_rx *rx, uint32_t lane)
{
	const struct weir_padding *padding = &worker->dataplane->padding[rx->link];
	uint32_t bytes = rx->mtu_bytes + (uint32_t)RTE_ETHER_HDR_LEN;
	struct rte_mbuf *frames[WEIR_BURST];
	uint32_t n;

	n = frames_due(worker, lane, weir_wire_bytes(bytes));
	if (n == 0 || rte_pktmbuf_alloc_bulk(padding->pool, frames, n) != 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		fill(padding, frames[i], bytes);
	weir_egress_submit(worker, lane, frames, n);
	return n;
}

uint32_t
weir_padding_offer(struct weir_worker *worker, const struct weir_rx *rx)
{
	uint32_t n_slots = worker->snapshot->n_classes, total = 0;

	if (!worker->egress_open || !weir_worker_link_up(worker, rx->out_port_id))
		return 0;
	for (uint32_t i = 0; i < PADDING_SLOTS && i < n_slots; i++) {
		uint32_t slot = worker->padding_next++ % n_slots;

		if (worker->snapshot->classes[slot].n_path > 0)
			total += offer(worker, rx, weir_lane(rx->link, slot));
	}
	return total;
}
