/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/memory.h"

#include <assert.h>
#include <limits.h>
#include <numa.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

/* libnuma wants to be asked before any other of its calls. */
static bool
has_numa(void)
{
	return numa_available() >= 0;
}

void *
weir_memory_alloc(size_t bytes, int node)
{
	void *memory;

	assert(bytes > 0);
	assert(node >= WEIR_NODE_ANY);
	if (node != WEIR_NODE_ANY && has_numa() && node > numa_max_node())
		return NULL;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	if (node != WEIR_NODE_ANY && has_numa())
		numa_tonode_memory(memory, bytes, node);
	/* The first touch places a page; it must not be a worker's. */
	memset(memory, 0, bytes);
	/* Without the right to lock memory, only a machine that swaps notices. */
	(void)mlock(memory, bytes);
	return memory;
}

void
weir_memory_free(void *memory, size_t bytes)
{
	int error;

	if (memory == NULL)
		return;
	error = munmap(memory, bytes);
	assert(error == 0);
}

int
weir_memory_node_of_cpu(unsigned int cpu)
{
	int node;

	if (!has_numa() || cpu > INT_MAX)
		return WEIR_NODE_ANY;
	node = numa_node_of_cpu((int)cpu);
	return node < 0 ? WEIR_NODE_ANY : node;
}
