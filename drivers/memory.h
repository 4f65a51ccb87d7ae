/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory placed on a NUMA node: per-lcore state, rings and tables. */
#ifndef WEIR_DRIVERS_MEMORY_H
#define WEIR_DRIVERS_MEMORY_H

#include <stddef.h>

#define WEIR_NODE_ANY (-1)

/*
 * Allocates bytes of zeroed memory, aligned to a page, resident, on a NUMA node (WEIR_NODE_ANY
 * or a machine without NUMA: wherever the kernel puts it). Not for use after start-up on a worker.
 * Returns NULL when memory runs out. Free with weir_memory_free and the same size.
 */
void *weir_memory_alloc(size_t bytes, int node);

/* Frees what weir_memory_alloc gave. NULL is allowed. */
void weir_memory_free(void *memory, size_t bytes);

/* NUMA node of an lcore's CPU, or WEIR_NODE_ANY where the machine does not tell. */
int weir_memory_node_of_cpu(unsigned int cpu);

#endif
