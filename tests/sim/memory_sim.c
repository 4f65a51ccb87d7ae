/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for thousands of lives, in place of drivers/memory.c (by the linker's --wrap): what one
 * life has freed the next one gets, zeroed, without asking the kernel for the pages each time.
 */
#include "drivers/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_MAX 64U /* blocks that are free */

struct kept {
	void *memory;
	size_t bytes;
};

static struct kept kept[KEPT_MAX];

void *__wrap_weir_memory_alloc(size_t bytes, int node);
void __wrap_weir_memory_free(void *memory, size_t bytes);

void *
__wrap_weir_memory_alloc(size_t bytes, int node)
{
	void *memory = NULL;

	(void)node;
	for (uint32_t i = 0; i < KEPT_MAX && memory == NULL; i++) {
		if (kept[i].memory == NULL || kept[i].bytes != bytes)
			continue;
		memory = kept[i].memory;
		kept[i].memory = NULL;
	}
	if (memory == NULL)
		memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	if (memory != NULL)
		memset(memory, 0, bytes);
	return memory;
}

void
__wrap_weir_memory_free(void *memory, size_t bytes)
{
	if (memory == NULL)
		return;
	/* Whoever still uses it shall see that it is gone. */
	memset(memory, 0xdd, bytes < 4096 ? bytes : 4096);
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		if (kept[i].memory != NULL)
			continue;
		kept[i] = (struct kept){.memory = memory, .bytes = bytes};
		return;
	}
	free(memory);
}
