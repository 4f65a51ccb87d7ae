/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/ports_sim.h"

#include "drivers/eal.h"
#include "tests/unit/frames.h"

#include <rte_ethdev.h>

#define POOL_FRAMES 8191U
#define BURST       64U

static uint16_t
on_sending(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t n, void *arg)
{
	struct weir_sim_ports *ports = arg;

	(void)port;
	(void)frames;
	if (ports->sending != NULL && n > 0)
		ports->sending(ports->arg, queue);
	return n;
}

static int
open_port(const char *name, struct weir_port *port)
{
	struct weir_port_config config = {.mtu_bytes = WEIR_SIM_MTU,
	                                  .rx_queues = WEIR_SIM_WORKERS,
	                                  .tx_queues = WEIR_SIM_WORKERS};
	char error[256] = "";
	int rc;

	snprintf(config.name, sizeof(config.name), "%s", name);
	snprintf(config.device, sizeof(config.device), "net_ring_%s", name);
	rc = weir_port_open(&config, 4095, port, error, sizeof(error));
	if (rc == 0)
		rc = weir_port_start(port, error, sizeof(error));
	if (rc != 0)
		printf("%s\n", error);
	return rc;
}

int
weir_sim_ports_start(struct weir_sim_ports *ports)
{
	const struct weir_eal_config eal = {.workers = (const uint32_t[]){1},
	                                    .n_workers = 1,
	                                    .memory_bytes = 512 << 20,
	                                    .pages = WEIR_EAL_PAGES_NORMAL};
	char error[256] = "";
	bool huge;
	int rc = weir_eal_start(&eal, &huge, error, sizeof(error));

	if (rc != 0) {
		printf("%s\n", error);
		return rc;
	}
	rc = open_port("inside", &ports->inside);
	if (rc == 0)
		rc = open_port("outside", &ports->outside);
	if (rc != 0)
		return rc;
	ports->pool =
	    rte_pktmbuf_pool_create("sim", POOL_FRAMES, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
	if (ports->pool == NULL)
		return -ENOMEM;
	for (uint16_t q = 0; q < WEIR_SIM_WORKERS; q++)
		if (rte_eth_add_tx_callback(ports->outside.port_id, q, on_sending, ports) == NULL)
			return -ENOTSUP;
	return 0;
}

void
weir_sim_ports_finish(struct weir_sim_ports *ports)
{
	weir_port_stop(&ports->inside);
	weir_port_stop(&ports->outside);
	weir_port_close(&ports->inside);
	weir_port_close(&ports->outside);
	weir_eal_finish();
}

bool
weir_sim_ports_put(struct weir_sim_ports *ports, uint16_t queue, uint32_t class, uint32_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(ports->pool);
	struct frame frame;
	uint8_t *data;

	if (mbuf == NULL)
		return false;
	frame_ethernet(&frame, 0x0800);
	frame_ip4(&frame, 17, 0, 0, bytes - 34);
	frame_udp(&frame, 7, WEIR_SIM_PORT + class, 0);
	frame_set16(&frame, 38, bytes - 34);
	data = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)bytes);
	memcpy(data, frame.data, frame.bytes);
	memset(data + frame.bytes, 0xaa, bytes < 64 ? bytes - frame.bytes : 22);
	if (rte_eth_tx_burst(ports->inside.port_id, queue, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

uint32_t
weir_sim_ports_take(struct weir_sim_ports *ports, uint16_t queue, uint64_t bytes[WEIR_SIM_CLASSES])
{
	struct rte_mbuf *frames[BURST];
	uint32_t total = 0;
	uint16_t n;

	while ((n = rte_eth_rx_burst(ports->outside.port_id, queue, frames, BURST)) > 0) {
		for (uint16_t i = 0; i < n; i++) {
			const uint8_t *data = rte_pktmbuf_mtod(frames[i], const uint8_t *);
			uint32_t class = (uint32_t)(data[36] << 8 | data[37]) - WEIR_SIM_PORT;

			if (class >= WEIR_SIM_CLASSES || frames[i]->pkt_len < WEIR_FRAME_MIN_BYTES)
				abort(); /* a frame that nobody put in */
			/* Not by Weir's own function: 4, 8 and 12 around a frame. */
			bytes[class] += frames[i]->pkt_len + 24;
		}
		rte_pktmbuf_free_bulk(frames, n);
		total += n;
	}
	return total;
}

bool
weir_sim_ports_clear(struct weir_sim_ports *ports)
{
	uint64_t sink[WEIR_SIM_CLASSES] = {0};
	struct rte_mbuf *frames[BURST];
	uint16_t n;

	for (uint16_t q = 0; q < WEIR_SIM_WORKERS; q++) {
		(void)weir_sim_ports_take(ports, q, sink);
		while ((n = rte_eth_rx_burst(ports->inside.port_id, q, frames, BURST)) > 0)
			rte_pktmbuf_free_bulk(frames, n);
	}
	return rte_mempool_in_use_count(ports->pool) == 0;
}
