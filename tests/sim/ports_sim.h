/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two DPDK ring ports, made once for a process: frames are put in at the inside, and what Weir
 * sends is taken out at the outside. Queue w is worker w's at both.
 */
#ifndef WEIR_TESTS_SIM_PORTS_SIM_H
#define WEIR_TESTS_SIM_PORTS_SIM_H

#include "drivers/port.h"
#include "tests/sim/policy_sim.h"

#define WEIR_SIM_WORKERS 2U

struct weir_sim_ports {
	struct weir_port inside, outside;
	struct rte_mempool *pool;
	/* Called when a worker has called rte_eth_tx_burst and nothing has left yet. */
	void (*sending)(void *arg, uint16_t queue);
	void *arg;
};

/* Starts DPDK and the ports. There is one of these in a process. 0, or it has said what failed. */
int weir_sim_ports_start(struct weir_sim_ports *ports);
void weir_sim_ports_finish(struct weir_sim_ports *ports);

/* Puts in a frame of so many bytes, at least 46, of a class. False where there is no room. */
bool weir_sim_ports_put(struct weir_sim_ports *ports, uint16_t queue, uint32_t class,
                        uint32_t bytes);

/* Takes out all that has left by a queue: wire bytes by class, added. Returns the frames. */
uint32_t weir_sim_ports_take(struct weir_sim_ports *ports, uint16_t queue,
                             uint64_t bytes[WEIR_SIM_CLASSES]);

/* Empties all rings. Returns true when no buffer is in use then. */
bool weir_sim_ports_clear(struct weir_sim_ports *ports);

#endif
