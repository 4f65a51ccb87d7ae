/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who polls what, and how many buffers each port gets. Plain arithmetic on the policy and on what
 * the ports granted. Control thread, at start.
 */
#ifndef WEIR_CONTROL_PLACEMENT_H
#define WEIR_CONTROL_PLACEMENT_H

#include "control/config.h"
#include "dataplane/worker.h"
#include "drivers/port.h"

/* A send queue's descriptors on a port with many, where the policy names no number. */
#define WEIR_PLACEMENT_DESCRIPTORS 256U

/*
 * Workers that send on a link's outside port, whose inside port has so many receive queues: each
 * queue goes to one worker in turn.
 */
uint32_t weir_placement_senders(const struct weir_config *config, uint32_t rx_queues);

/*
 * Receive buffers of each port, by the config's port index. tx_each: send queues of each worker
 * that sends on a port (struct weir_port), likewise.
 *
 * Always: as many as can be in descriptor rings (the port's own for receiving, its link's other
 * port's for sending) and in workers' hands and caches. Ports on the inside also get two for every
 * frame that may wait in a queue (weir_placement_waiting), or a third of what is left for pools if
 * that is more, as far as memory goes: three quarters of appliance.memory are for pools; on normal
 * pages a buffer takes more. Workers keep queues shorter than the backlogs say where that is not
 * enough (weir_worker_config.waiting_max), so that reception and other classes never lack buffers.
 *
 * room_frames gets how many frames may wait at one link, at the port that has room for fewest.
 * Returns 0, or -ENOMEM with one line in error when not even the rings fit.
 */
int weir_placement_pools(const struct weir_config *config, const uint16_t *tx_each, bool huge_pages,
                         uint32_t *pool_frames, uint64_t *room_frames, char *error,
                         size_t error_size) __attribute__((warn_unused_result));

/* Frames that may wait in all queues by the classes' backlog limits, all being the shortest. */
uint64_t weir_placement_waiting(const struct weir_config *config);

/*
 * The workers' configs, n_workers of the policy: each receive queue of each link and direction to
 * one worker in turn. ports are started and by the config's port index. Where an outside port has
 * several send queues for each sender (tx_each), the s-th worker that sends on it gets the s-th
 * tx_each of them.
 * Returns 0, or -EXDEV with one line in error when a worker would be on another NUMA node than a
 * port of its and the policy does not allow it.
 */
int weir_placement_workers(const struct weir_config *config, const struct weir_port *ports,
                           struct weir_worker_config *workers, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Whether a worker sends on a link's outside port. */
bool weir_placement_sends(const struct weir_worker_config *worker, uint32_t link);

#endif
