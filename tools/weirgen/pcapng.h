/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What arrives, into a pcapng file by rte_pcapng. The worker copies and never waits: where the
 * copies' memory is full a frame is missed, and counted. The control thread writes.
 */
#ifndef WEIR_TOOLS_WEIRGEN_PCAPNG_H
#define WEIR_TOOLS_WEIRGEN_PCAPNG_H

#include "tools/weirgen/listen.h"

struct rte_mbuf;
struct weir_pcapng;

/* Bytes of memory that it takes for frames of an MTU. */
uint64_t weir_pcapng_memory(uint32_t mtu_bytes);

/*
 * Makes the file, and in *capture what the worker needs. Control thread. Returns 0 or -errno with a
 * line in error.
 */
int weir_pcapng_open(const char *path, const struct weir_station *station,
                     struct weir_listen_capture *capture, struct weir_pcapng **pcapng, char *error,
                     size_t error_size) __attribute__((warn_unused_result));

/* Copies received frames. Worker. Returns how many had no room. */
uint32_t weir_pcapng_copy(const struct weir_listen_capture *capture, uint16_t port_id,
                          struct rte_mbuf *const mbufs[], uint32_t n, uint64_t now_tsc);

/* Writes what has been copied. Control thread. Returns 0 or -errno. */
int weir_pcapng_write(struct weir_pcapng *pcapng) __attribute__((warn_unused_result));

/* Writes the rest and closes the file; the worker has ended. Returns 0 or -errno. */
int weir_pcapng_close(struct weir_pcapng *pcapng) __attribute__((warn_unused_result));

#endif
