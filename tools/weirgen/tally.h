/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters with one writer, which others read while it goes on. */
#ifndef WEIR_TOOLS_WEIRGEN_TALLY_H
#define WEIR_TOOLS_WEIRGEN_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

/* The writer alone; without a locked instruction. */
static inline void
weir_tally_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline uint64_t
weir_tally_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void
weir_tally_add(_Atomic uint64_t *counter, uint64_t value)
{
	weir_tally_set(counter, weir_tally_get(counter) + value);
}

#endif
