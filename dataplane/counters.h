/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters: per worker, written by that worker alone, read by anyone at any time. 64 bits, never
 * reset. For every link and direction, at rest: rx_frames = tx_frames + sum(dropped) + queued.
 */
#ifndef WEIR_DATAPLANE_COUNTERS_H
#define WEIR_DATAPLANE_COUNTERS_H

#include "drivers/units.h"

#include <stdatomic.h>

enum weir_direction {
	WEIR_EGRESS = 0, /* inside to outside: parsed, classified, charged */
	WEIR_RETURN,     /* outside to inside: counted */
	WEIR_DIRECTIONS,
};

/* Why a frame did not leave. Names and explanations: weir_drop_name, weir_drop_help. */
enum weir_drop {
	WEIR_DROP_NONE = 0,
	/* The frame itself */
	WEIR_DROP_RUNT,
	WEIR_DROP_OVERSIZE,
	WEIR_DROP_SEGMENTED,
	WEIR_DROP_VLAN_TRUNCATED,
	WEIR_DROP_VLAN_DEPTH,
	WEIR_DROP_LLC_LENGTH,
	WEIR_DROP_MAC_CONTROL,
	WEIR_DROP_ARP_MALFORMED,
	WEIR_DROP_IP_TRUNCATED,
	WEIR_DROP_IP_MALFORMED,
	WEIR_DROP_IP6_HEADERS,
	WEIR_DROP_L4_TRUNCATED,
	WEIR_DROP_L4_MALFORMED,
	/* The policy's verdict */
	WEIR_DROP_NO_RULE,
	WEIR_DROP_RATE,
	WEIR_DROP_BACKLOG,
	WEIR_DROP_CAP,
	WEIR_DROP_CLASS_REMOVED,
	/* Weir's own state */
	WEIR_DROP_LEDGER,
	WEIR_DROP_CONTROL_STALE,
	WEIR_DROP_STOPPING,
	WEIR_DROP_TX_FULL,
	WEIR_DROP_LINK_DOWN,
	WEIR_DROPS,
};

/* Short name, as in JSON and metrics: "no_rule". Never NULL for a value below WEIR_DROPS. */
const char *weir_drop_name(enum weir_drop reason);

/* One plain line that says what the reason means and what an operator may do. */
const char *weir_drop_help(enum weir_drop reason);

struct weir_flow_counters {
	_Atomic uint64_t rx_frames;
	_Atomic uint64_t rx_wire_bytes;
	_Atomic uint64_t tx_frames;
	_Atomic uint64_t tx_wire_bytes;
	_Atomic uint64_t dropped[WEIR_DROPS];
};

struct weir_class_counters {
	_Atomic uint64_t tx_frames;
	_Atomic uint64_t tx_wire_bytes;
	_Atomic uint64_t dropped_frames;
	_Atomic uint64_t dropped_wire_bytes;
	_Atomic uint64_t queued_bytes; /* a gauge: wire bytes that wait */
};

/* All counters of one worker, on its node. The worker writes, others read. */
struct weir_counters {
	_Alignas(WEIR_CACHE_LINE) _Atomic uint64_t rounds; /* of the worker's loop: its pulse */
	_Atomic uint64_t busy_rounds;                      /* rounds that received or sent */
	struct weir_flow_counters links[WEIR_LINKS_MAX][WEIR_DIRECTIONS];
	struct weir_class_counters classes[WEIR_CLASSES_MAX];
};

/* Adds to a counter that only the calling thread writes: no locked instruction. */
static inline void
weir_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
	                      memory_order_relaxed);
}

/* The same: who reads it by weir_count_read_first sees what was counted before. */
static inline void
weir_count_last(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
	                      memory_order_release);
}

/* Likewise of a value that is set. */
static inline void
weir_count_set_last(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_release);
}

static inline uint64_t
weir_count_read_first(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_acquire);
}

static inline uint64_t
weir_count_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
