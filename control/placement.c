/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/placement.h"

#include "drivers/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Three quarters of the memory; the rest is for tables, rings and DPDK itself. */
#define POOL_SHARE_NUMERATOR   3U
#define POOL_SHARE_DENOMINATOR 4U

/* Part of the pools' share that they get for policies to come, whatever the first one needs. */
#define SPARE_SHARE         3U

#define DESCRIPTORS_DEFAULT 1024U /* at least what drivers take where the policy names none */
#define WORKER_FRAMES       1024U /* in one worker's cache (512), bursts and output lists */

/* What a buffer takes: frame rounded up to KiB, at least 2, headroom, rte_mbuf, pool's header. */
#define BUFFER_STEP_BYTES     1024U
#define BUFFER_MIN_BYTES      2048U
#define BUFFER_OVERHEAD_BYTES (128U + 128U + 192U)

/* On normal pages rte_mempool lets no buffer cross from one page to the next. */
#define NORMAL_PAGE_BYTES 4096U

static uint64_t
buffer_bytes(const struct weir_port_config *port, bool huge_pages)
{
	uint64_t bytes = weir_frame_max_bytes(port->mtu_bytes) + 4U; /* with FCS */

	bytes = (bytes + BUFFER_STEP_BYTES - 1) / BUFFER_STEP_BYTES * BUFFER_STEP_BYTES;
	bytes = (bytes > BUFFER_MIN_BYTES ? bytes : BUFFER_MIN_BYTES) + BUFFER_OVERHEAD_BYTES;
	if (huge_pages)
		return bytes;
	if (bytes <= NORMAL_PAGE_BYTES)
		return NORMAL_PAGE_BYTES / (NORMAL_PAGE_BYTES / bytes);
	return (bytes + NORMAL_PAGE_BYTES - 1) / NORMAL_PAGE_BYTES * NORMAL_PAGE_BYTES;
}

static uint64_t
descriptors(uint32_t configured)
{
	return configured > 0 ? configured : DESCRIPTORS_DEFAULT;
}

/* The port at the other end of a port's link, and whether the port is on the inside. */
static const struct weir_port_config *
peer_of(const struct weir_config *config, uint32_t port, bool *inside)
{
	for (uint32_t i = 0; i < config->n_links; i++) {
		if (config->links[i].inside == port) {
			*inside = true;
			return &config->ports[config->links[i].outside];
		}
		if (config->links[i].outside == port) {
			*inside = false;
			return &config->ports[config->links[i].inside];
		}
	}
	assert(false); /* a valid policy has each port in a link */
	return NULL;
}

uint32_t
weir_placement_senders(const struct weir_config *config, uint32_t rx_queues)
{
	return rx_queues < config->appliance.n_workers ? rx_queues : config->appliance.n_workers;
}

/* Frames that can be in the send rings of a port for frames of its peer. */
static uint64_t
frames_in_rings(const struct weir_config *config, const struct weir_port_config *peer,
                uint32_t port, const uint16_t *tx_each)
{
	const struct weir_port_config *out = &config->ports[port];
	uint64_t each = tx_each[port];
	uint32_t configured = out->tx_descriptors;

	if (each < 2)
		return config->appliance.n_workers * descriptors(configured);
	if (configured == 0)
		configured = WEIR_PLACEMENT_DESCRIPTORS;
	return weir_placement_senders(config, peer->rx_queues) * each * configured;
}

static uint64_t
frames_in_flight(const struct weir_config *config, uint32_t port, const uint16_t *tx_each,
                 bool *inside)
{
	const struct weir_port_config *own = &config->ports[port];
	const struct weir_port_config *peer = peer_of(config, port, inside);

	return (uint64_t)own->rx_queues * descriptors(own->rx_descriptors) +
	       frames_in_rings(config, own, (uint32_t)(peer - config->ports), tx_each) +
	       (uint64_t)config->appliance.n_workers * WORKER_FRAMES;
}

uint64_t
weir_placement_waiting(const struct weir_config *config)
{
	uint64_t frames = 0;

	/* Workers share a class's limit out among them. */
	for (uint32_t i = 0; i < config->n_classes; i++)
		frames += config->classes[i].backlog_bytes / weir_wire_bytes(0);
	return frames;
}

int
weir_placement_pools(const struct weir_config *config, const uint16_t *tx_each, bool huge_pages,
                     uint32_t *pool_frames, uint64_t *room_frames, char *error, size_t error_size)
{
	uint64_t room =
	    config->appliance.memory_bytes / POOL_SHARE_DENOMINATOR * POOL_SHARE_NUMERATOR;
	/* Twice, for a queue may hold no more than is left: so a full set of queues fits. */
	uint64_t waiting = 2 * weir_placement_waiting(config) + 1;
	uint64_t needed = 0, share, n_inside = 0;
	bool inside;

	for (uint32_t i = 0; i < config->n_ports; i++) {
		uint64_t frames = frames_in_flight(config, i, tx_each, &inside);

		assert(frames <= UINT32_MAX / 2);
		pool_frames[i] = (uint32_t)frames;
		needed += frames * buffer_bytes(&config->ports[i], huge_pages);
		n_inside += inside ? 1 : 0;
	}
	if (needed > room) {
		snprintf(error, error_size,
		         "appliance: memory: the queues of the ports need at least %" PRIu64 " MiB",
		         (needed / POOL_SHARE_NUMERATOR * POOL_SHARE_DENOMINATOR >> 20) + 1);
		return -ENOMEM;
	}
	*room_frames = UINT32_MAX;
	share = n_inside > 0 ? (room - needed) / n_inside : 0;
	for (uint32_t i = 0; i < config->n_ports; i++) {
		uint64_t more = share / buffer_bytes(&config->ports[i], huge_pages);
		uint64_t spare = more / SPARE_SHARE;
		uint64_t wanted = waiting > spare ? waiting : spare;

		(void)peer_of(config, i, &inside);
		if (!inside)
			continue;
		if (more > wanted)
			more = wanted;
		if (more > UINT32_MAX / 4)
			more = UINT32_MAX / 4;
		if (more < *room_frames)
			*room_frames = more;
		pool_frames[i] += (uint32_t)more;
	}
	return 0;
}

static int
check_node(const struct weir_config *config, const struct weir_worker_config *worker,
           const struct weir_port *port, char *error, size_t error_size)
{
	if (worker->node == WEIR_NODE_ANY || port->node == WEIR_NODE_ANY ||
	    worker->node == port->node || config->appliance.allow_remote_numa)
		return 0;
	snprintf(error, error_size,
	         "appliance: workers: lcore %u is on NUMA node %d, port %s on node %d: choose an "
	         "lcore of that node, or set allow_remote_numa",
	         worker->lcore, worker->node, port->config.name, port->node);
	return -EXDEV;
}

static int
add_queues(const struct weir_config *config, const struct weir_port *ports, uint16_t link,
           enum weir_direction direction, struct weir_worker_config *workers, uint32_t *next,
           char *error, size_t error_size)
{
	const struct weir_port *inside = &ports[config->links[link].inside];
	const struct weir_port *outside = &ports[config->links[link].outside];
	const struct weir_port *in = direction == WEIR_EGRESS ? inside : outside;
	const struct weir_port *out = direction == WEIR_EGRESS ? outside : inside;

	for (uint16_t q = 0; q < in->rx_queues; q++) {
		struct weir_worker_config *worker = &workers[*next % config->appliance.n_workers];
		int code = check_node(config, worker, in, error, error_size);

		if (code == 0)
			code = check_node(config, worker, out, error, error_size);
		if (code < 0)
			return code;
		assert(worker->n_rx < sizeof(worker->rx) / sizeof(worker->rx[0]));
		worker->rx[worker->n_rx++] = (struct weir_rx){
		    .port_id = in->port_id,
		    .queue_id = q,
		    .out_port_id = out->port_id,
		    .link = link,
		    .direction = (uint8_t)direction,
		    .mtu_bytes = in->config.mtu_bytes < out->config.mtu_bytes
		                     ? in->config.mtu_bytes
		                     : out->config.mtu_bytes,
		};
		(*next)++;
	}
	return 0;
}

bool
weir_placement_sends(const struct weir_worker_config *worker, uint32_t link)
{
	for (uint32_t i = 0; i < worker->n_rx; i++)
		if (worker->rx[i].link == link && worker->rx[i].direction == WEIR_EGRESS)
			return true;
	return false;
}

/* Gives the senders of a link their part of the outside port's send queues. */
static void
share_tx_queues(const struct weir_config *config, const struct weir_port *out, uint32_t link,
                struct weir_worker_config *workers)
{
	uint16_t first = 0;

	if (out->tx_each < 2)
		return;
	for (uint32_t w = 0; w < config->appliance.n_workers; w++) {
		if (!weir_placement_sends(&workers[w], link))
			continue;
		assert(first + out->tx_each <= out->tx_queues);
		workers[w].tx[link] = (struct weir_tx){
		    .first_queue = first,
		    .n_queues = out->tx_each,
		    .n_descriptors = out->tx_descriptors,
		    .completions = out->completions,
		};
		first = (uint16_t)(first + out->tx_each);
	}
}

int
weir_placement_workers(const struct weir_config *config, const struct weir_port *ports,
                       struct weir_worker_config *workers, char *error, size_t error_size)
{
	uint32_t next = 0;

	for (uint32_t w = 0; w < config->appliance.n_workers; w++) {
		workers[w] = (struct weir_worker_config){
		    .lcore = config->appliance.workers[w],
		    .tx_queue = (uint16_t)w,
		    .node = weir_memory_node_of_cpu(config->appliance.workers[w]),
		};
	}
	for (uint16_t link = 0; link < config->n_links; link++) {
		for (unsigned int d = 0; d < WEIR_DIRECTIONS; d++) {
			int code = add_queues(config, ports, link, (enum weir_direction)d, workers,
			                      &next, error, error_size);

			if (code < 0)
				return code;
		}
		share_tx_queues(config, &ports[config->links[link].outside], link, workers);
	}
	return 0;
}
