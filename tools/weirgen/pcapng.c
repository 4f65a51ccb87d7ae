/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/pcapng.h"

#include "tools/weirgen/output.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPIES     8191U
#define POOL_CACHE 256U
#define RING_SIZE  8192U

struct weir_pcapng {
	struct weir_listen_capture capture;
	rte_pcapng_t *file;
	struct weir_output output; /* its fd is the file's as well */
};

/* Set before the worker starts: rte_pcapng turns ticks into time by DPDK's rounded frequency. */
static uint64_t start_tsc;
static uint64_t correction_q32; /* DPDK's frequency over the measured one, times 2^32 */

static uint16_t
room_of(uint32_t mtu_bytes)
{
	return (uint16_t)(rte_pcapng_mbuf_size(weir_frame_max_bytes(mtu_bytes)) +
	                  RTE_PKTMBUF_HEADROOM);
}

uint64_t
weir_pcapng_memory(uint32_t mtu_bytes)
{
	return (COPIES + 1) * ((uint64_t)room_of(mtu_bytes) + sizeof(struct rte_mbuf) + 128);
}

/*
 * rte_pcapng tells in the file's head of all ports that nobody owns, and ours is owned (port.c): so
 * it is given up for a moment, while nothing else uses ports.
 */
static rte_pcapng_t *
open_unowned(int fd, uint16_t port_id)
{
	struct rte_eth_dev_owner owner = {.id = RTE_ETH_DEV_NO_OWNER};
	rte_pcapng_t *file;

	if (rte_eth_dev_owner_get(port_id, &owner) != 0 ||
	    rte_eth_dev_owner_unset(port_id, owner.id) != 0)
		return NULL;
	file = rte_pcapng_fdopen(fd, NULL, NULL, "weirgen " WEIR_VERSION, NULL);
	if (rte_eth_dev_owner_set(port_id, &owner) != 0 && file != NULL) {
		rte_pcapng_close(file);
		file = NULL;
	}
	return file;
}

int
weir_pcapng_open(const char *path, const struct weir_station *station,
                 struct weir_listen_capture *capture, struct weir_pcapng **pcapng, char *error,
                 size_t error_size)
{
	struct weir_pcapng *made = calloc(1, sizeof(*made));
	int result;

	if (made == NULL)
		return -ENOMEM;
	result = weir_output_open(path, NULL, &made->output, error, error_size);
	if (result != 0) {
		free(made);
		return result;
	}
	made->capture.pool =
	    rte_pktmbuf_pool_create("weirgen_capture", COPIES, POOL_CACHE, 0,
	                            room_of(station->port.config.mtu_bytes), station->port.node);
	made->capture.ring = rte_ring_create("weirgen_capture", RING_SIZE, station->port.node,
	                                     RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (made->capture.pool != NULL && made->capture.ring != NULL)
		made->file = open_unowned(made->output.fd, station->port.port_id);
	if (made->file == NULL) {
		snprintf(error, error_size, "%s: %s", path, rte_strerror(rte_errno));
		rte_ring_free(made->capture.ring);
		rte_mempool_free(made->capture.pool);
		(void)close(made->output.fd);
		weir_output_drop(&made->output);
		free(made);
		return -EIO;
	}
	start_tsc = rte_rdtsc();
	correction_q32 = (uint64_t)(((weir_u128)rte_get_tsc_hz() << 32) / station->clock.tsc_hz);
	*capture = made->capture;
	*pcapng = made;
	return 0;
}

uint32_t
weir_pcapng_copy(const struct weir_listen_capture *capture, uint16_t port_id,
                 struct rte_mbuf *const mbufs[], uint32_t n, uint64_t now_tsc)
{
	uint64_t tsc =
	    start_tsc + (uint64_t)(((weir_u128)(now_tsc - start_tsc) * correction_q32) >> 32);
	uint32_t missed = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *copy = rte_pcapng_copy(port_id, 0, mbufs[i], capture->pool,
		                                        UINT32_MAX, tsc, RTE_PCAPNG_DIRECTION_IN);

		if (copy != NULL && rte_ring_sp_enqueue(capture->ring, copy) != 0) {
			rte_pktmbuf_free(copy);
			copy = NULL;
		}
		missed += copy == NULL;
	}
	return missed;
}

int
weir_pcapng_write(struct weir_pcapng *pcapng)
{
	struct rte_mbuf *copies[WEIR_LISTEN_BURST];
	uint32_t n;

	while ((n = rte_ring_sc_dequeue_burst(pcapng->capture.ring, (void **)copies,
	                                      WEIR_LISTEN_BURST, NULL)) > 0) {
		errno = 0;
		if (rte_pcapng_write_packets(pcapng->file, copies, (uint16_t)n) < 0)
			return errno != 0 ? -errno : -EIO;
	}
	return 0;
}

int
weir_pcapng_close(struct weir_pcapng *pcapng)
{
	int result = weir_pcapng_write(pcapng), kept;

	/* What is left after a failure. */
	for (void *copy; rte_ring_sc_dequeue(pcapng->capture.ring, &copy) == 0;)
		rte_pktmbuf_free(copy);
	if (result == 0 && fsync(pcapng->output.fd) != 0 && errno != EINVAL && errno != EROFS)
		result = -errno;
	rte_pcapng_close(pcapng->file);
	/* Also where a write failed: what there is of a capture can be of use. */
	kept = weir_output_keep(&pcapng->output);
	rte_ring_free(pcapng->capture.ring);
	rte_mempool_free(pcapng->capture.pool);
	free(pcapng);
	return result != 0 ? result : kept;
}
