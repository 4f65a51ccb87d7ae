/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket through which DPDK's net_af_packet uses a kernel's interface: it is this process's
 * own, so the kernel can be asked for what the driver does not tell. Control thread.
 */
#ifndef WEIR_TOOLS_WEIRGEN_PACKET_SOCKET_H
#define WEIR_TOOLS_WEIRGEN_PACKET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether an interface (its index) joins frames before anyone sees them: what arrives is then fewer
 * and longer ones, cut to the ring's room. False where it can't be asked.
 */
bool weir_packet_socket_joins(unsigned int interface);

/* The socket bound to an interface (its index), or -1. The first where there are several. */
int weir_packet_socket_find(unsigned int interface) __attribute__((warn_unused_result));

/*
 * Frames that came and found no room in the socket's ring, since the last call. Returns 0 or
 * -errno, with *frames 0.
 */
int weir_packet_socket_dropped(int socket, uint64_t *frames) __attribute__((warn_unused_result));

/* What an interface says that it has sent, and tried to and dropped. */
struct weir_packet_interface {
	uint32_t sent, dropped; /* frames, modulo 2^32 */
};

/* Asks an interface (its index). All 0 where that can't be. */
struct weir_packet_interface weir_packet_socket_interface(unsigned int interface);

/*
 * Has the kernel send what waits in the socket's ring, and waits until all of it has left the
 * interface, at most timeout_ms. Nobody sends meanwhile. Returns 0; -EAGAIN when the time is over;
 * -ENOBUFS where the interface takes no more at the moment; or another -errno.
 */
int weir_packet_socket_flush(int socket, uint32_t timeout_ms) __attribute__((warn_unused_result));

#endif
