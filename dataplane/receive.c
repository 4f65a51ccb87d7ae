/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes in: frames from the inside are parsed, made ready to leave, classified and handed on
 * class by class; frames from the outside are counted and forwarded.
 */
#include "dataplane/worker_state.h"

#include <rte_ethdev.h>
#include <rte_prefetch.h>
#include <string.h>

/* Frames of one lane within a burst. */
struct group {
	uint32_t lane;
	uint32_t n;
	struct rte_mbuf *frames[WEIR_BURST];
};

/*
 * Zeroes what lies behind the payload and makes the frame as long as the wire will: what was in
 * the buffer before must not leave as padding. False where the buffer has no room.
 */
static bool
zero_padding(struct rte_mbuf *frame, uint32_t payload_end)
{
	uint32_t bytes = frame->pkt_len;

	if (bytes < WEIR_FRAME_MIN_BYTES) {
		if (rte_pktmbuf_append(frame, (uint16_t)(WEIR_FRAME_MIN_BYTES - bytes)) == NULL)
			return false;
		bytes = WEIR_FRAME_MIN_BYTES;
	}
	if (payload_end < bytes)
		memset(rte_pktmbuf_mtod_offset(frame, char *, payload_end), 0, bytes - payload_end);
	return true;
}

/* Parses one frame and makes it ready to leave. */
static enum weir_drop
prepare(const struct weir_rx *rx, struct rte_mbuf *frame, struct weir_key *key)
{
	enum weir_drop drop;

	if (frame->nb_segs != 1) {
		if (frame->pkt_len > weir_frame_max_bytes(rx->mtu_bytes))
			return WEIR_DROP_OVERSIZE;
		if (rte_pktmbuf_linearize(frame) != 0)
			return WEIR_DROP_SEGMENTED;
	}
	drop = weir_frame_parse(rte_pktmbuf_mtod(frame, const uint8_t *), frame->pkt_len,
	                        rx->mtu_bytes, key);
	if (drop != WEIR_DROP_NONE)
		return drop;
	key->link = (uint8_t)rx->link;
	/* No request to the NIC to change the frame may come in with it. */
	frame->ol_flags = 0;
	return zero_padding(frame, key->payload_end) ? WEIR_DROP_NONE : WEIR_DROP_SEGMENTED;
}

/* Sorts a burst's frames by class and submits each class's. */
static void
submit_by_class(struct weir_worker *worker, const struct weir_rx *rx, struct rte_mbuf **frames,
                const uint32_t *slots, uint32_t n)
{
	struct group groups[WEIR_BURST];
	uint32_t n_groups = 0;

	worker->burst++;
	/* With thousands of classes none of this is near: ask for it before it is needed. */
	for (uint32_t i = 0; i < n; i++)
		if (slots[i] < worker->snapshot->n_classes) {
			rte_prefetch0(&worker->queues[weir_lane(rx->link, slots[i])]);
			rte_prefetch0(&worker->snapshot->classes[slots[i]]);
			rte_prefetch0(&worker->dataplane->buckets[slots[i]]);
			rte_prefetch0(&worker->counters->classes[slots[i]]);
		}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = slots[i];
		struct weir_queue *queue;
		struct group *group;

		if (slot >= worker->snapshot->n_classes ||
		    worker->snapshot->classes[slot].n_path == 0) {
			weir_egress_drop(worker, rx->link, &frames[i], 1, WEIR_DROP_NO_RULE);
			continue;
		}
		queue = &worker->queues[weir_lane(rx->link, slot)];
		if (queue->burst != worker->burst) {
			queue->burst = worker->burst;
			queue->group = n_groups;
			groups[n_groups].lane = weir_lane(rx->link, slot);
			groups[n_groups++].n = 0;
		}
		group = &groups[queue->group];
		group->frames[group->n++] = frames[i];
	}
	for (uint32_t i = 0; i < n_groups; i++)
		weir_egress_submit(worker, groups[i].lane, groups[i].frames, groups[i].n);
}

void
weir_receive_egress(struct weir_worker *worker, const struct weir_rx *rx, struct rte_mbuf **frames,
                    uint32_t n)
{
	struct weir_flow_counters *flow = weir_worker_flow(worker, rx->link, WEIR_EGRESS);
	struct weir_key keys[WEIR_BURST];
	uint32_t slots[WEIR_BURST];
	uint64_t bytes = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(frames[i], void *));
		bytes += weir_wire_bytes(frames[i]->pkt_len);
	}
	weir_count(&flow->rx_frames, n);
	weir_count(&flow->rx_wire_bytes, bytes);
	if (!worker->egress_open || !weir_worker_link_up(worker, rx->out_port_id)) {
		weir_egress_drop(worker, rx->link, frames, n,
		                 worker->egress_open ? WEIR_DROP_LINK_DOWN
		                                     : WEIR_DROP_CONTROL_STALE);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *frame = frames[i];
		enum weir_drop drop = prepare(rx, frame, &keys[kept]);

		if (drop == WEIR_DROP_NONE)
			frames[kept++] = frame;
		else
			weir_egress_drop(worker, rx->link, &frame, 1, drop);
	}
	weir_classify(worker->snapshot->classifier, rx->link, keys, kept, slots);
	submit_by_class(worker, rx, frames, slots, kept);
}

void
weir_receive_return(struct weir_worker *worker, const struct weir_rx *rx, struct rte_mbuf **frames,
                    uint32_t n)
{
	struct weir_flow_counters *flow = weir_worker_flow(worker, rx->link, WEIR_RETURN);
	enum weir_drop reason = WEIR_DROP_TX_FULL;
	uint32_t port = weir_worker_port(worker, rx->out_port_id);
	uint32_t wire_bytes[WEIR_BURST];
	uint64_t received = 0, sent_bytes = 0;
	uint32_t sent = 0;

	for (uint32_t i = 0; i < n; i++) {
		wire_bytes[i] = weir_wire_bytes(frames[i]->pkt_len);
		received += wire_bytes[i];
		frames[i]->ol_flags = 0;
	}
	if ((port & WEIR_PORT_WORD_UP) == 0)
		reason = WEIR_DROP_LINK_DOWN;
	else if ((port & WEIR_PORT_WORD_HELD) == 0)
		sent =
		    rte_eth_tx_burst(rx->out_port_id, worker->config.tx_queue, frames, (uint16_t)n);
	for (uint32_t i = 0; i < sent; i++)
		sent_bytes += wire_bytes[i];
	weir_count(&flow->rx_frames, n);
	weir_count(&flow->rx_wire_bytes, received);
	weir_count(&flow->tx_frames, sent);
	weir_count(&flow->tx_wire_bytes, sent_bytes);
	if (sent < n) {
		weir_count(&flow->dropped[reason], n - sent);
		rte_pktmbuf_free_bulk(&frames[sent], n - sent);
	}
}
