/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/memory.h"

#include "tests/unit/harness.h"

#include <dlfcn.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Stands before libnuma's own: a machine without NUMA whenever a test wants one. */
static bool without_numa;

int
numa_available(void)
{
	int (*real)(void);

	if (without_numa)
		return -1;
	*(void **)&real = dlsym(RTLD_NEXT, "numa_available");
	return real == NULL ? -1 : real();
}

static size_t
page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void
check_memory(unsigned char *memory, size_t bytes)
{
	size_t page = page_bytes(), pages = (bytes + page - 1) / page, resident = 0, nonzero = 0;
	unsigned char *present = calloc(pages, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(present);
	CU_ASSERT_EQUAL((uintptr_t)memory % page, 0);
	CU_ASSERT_EQUAL(mincore(memory, bytes, present), 0);
	for (size_t i = 0; i < pages; i++)
		resident += present[i] & 1;
	CU_ASSERT_EQUAL(resident, pages);
	for (size_t i = 0; i < bytes; i++)
		nonzero += memory[i] != 0;
	CU_ASSERT_EQUAL(nonzero, 0);
	memset(memory, 0xa5, bytes);
	free(present);
}

static void
check_sizes(int node)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	size_t page = page_bytes();
	size_t sizes[] = {1, page - 1, page, page + 1, 3 * page + 7, 1U << 20, 0, 0};

	sizes[6] = weir_random_between(&random, 1, 1U << 22);
	sizes[7] = weir_random_between(&random, 1, 1U << 16);
	for (size_t i = 0; i < WEIR_TEST_COUNT(sizes); i++) {
		unsigned char *memory = weir_memory_alloc(sizes[i], node);

		CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
		check_memory(memory, sizes[i]);
		weir_memory_free(memory, sizes[i]);
		/* Gone: the kernel knows no such page any more. */
		CU_ASSERT_EQUAL(msync(memory, page, MS_ASYNC), -1);
	}
}

static void
test_any_node(void)
{
	check_sizes(WEIR_NODE_ANY);
}

static void
test_each_node(void)
{
	int last = numa_available() < 0 ? 0 : numa_max_node();

	for (int node = 0; node <= last; node++) {
		size_t bytes = 64 * page_bytes();
		unsigned char *memory;
		int where = -1;

		if (last > 0 && numa_node_size64(node, NULL) <= 0)
			continue; /* a node of CPUs alone */
		check_sizes(node);
		memory = weir_memory_alloc(bytes, node);
		CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
		if (numa_available() >= 0) {
			CU_ASSERT_EQUAL(get_mempolicy(&where, NULL, 0, memory + bytes / 2,
			                              MPOL_F_NODE | MPOL_F_ADDR),
			                0);
			CU_ASSERT_EQUAL(where, node);
		}
		weir_memory_free(memory, bytes);
	}
}

static void
test_no_numa(void)
{
	without_numa = true;
	check_sizes(WEIR_NODE_ANY);
	check_sizes(0);
	CU_ASSERT_EQUAL(weir_memory_node_of_cpu(0), WEIR_NODE_ANY);
	without_numa = false;
}

static void
test_no_such_node(void)
{
	if (numa_available() < 0) {
		CU_ASSERT_EQUAL(weir_memory_node_of_cpu(0), WEIR_NODE_ANY);
		return;
	}
	CU_ASSERT_PTR_NULL(weir_memory_alloc(page_bytes(), numa_max_node() + 1));
	CU_ASSERT_PTR_NULL(weir_memory_alloc(page_bytes(), INT_MAX));
}

static void
test_too_much(void)
{
	CU_ASSERT_PTR_NULL(weir_memory_alloc(SIZE_MAX / 2, WEIR_NODE_ANY));
	CU_ASSERT_PTR_NULL(weir_memory_alloc(SIZE_MAX, WEIR_NODE_ANY));
	weir_memory_free(NULL, 0);
	weir_memory_free(NULL, SIZE_MAX);
}

static void
test_node_of_cpu(void)
{
	int node = weir_memory_node_of_cpu(0);

	CU_ASSERT(node >= WEIR_NODE_ANY);
	CU_ASSERT(node <= (numa_available() < 0 ? WEIR_NODE_ANY : numa_max_node()));
	CU_ASSERT_EQUAL(weir_memory_node_of_cpu(1U << 20), WEIR_NODE_ANY);
	CU_ASSERT_EQUAL(weir_memory_node_of_cpu(UINT_MAX), WEIR_NODE_ANY);
}

static const struct weir_test tests[] = {
    {"memory of any node is zeroed, aligned, resident", test_any_node},
    {"memory lies on the node asked for", test_each_node},
    {"a machine without NUMA has memory all the same", test_no_numa},
    {"a node that is not there has none", test_no_such_node},
    {"more than there is gives NULL; NULL is freed", test_too_much},
    {"node of a CPU", test_node_of_cpu},
};

int
main(void)
{
	return weir_test_run("memory", tests, WEIR_TEST_COUNT(tests));
}
