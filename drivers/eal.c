/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/eal.h"

#include "drivers/port_device.h"

#include <errno.h>
#include <limits.h>
#include <linux/mman.h>
#include <rte_cpuflags.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB              (UINT64_C(1) << 20)
#define ARGUMENTS_MAX    (16U + 2U * WEIR_PORTS_MAX)
#define ARGUMENT_SIZE    (WEIR_DEVICE_SIZE + 16U)
#define PAGE_2_MIB_BYTES (2 * MIB)
#define PAGE_1_GIB_BYTES (1024 * MIB)

/* The command line that rte_eal_init wants; it permutes the pointers, never the texts. */
struct arguments {
	int count;
	char *pointers[ARGUMENTS_MAX + 1];
	char texts[ARGUMENTS_MAX][ARGUMENT_SIZE];
};

static void __attribute__((format(printf, 2, 3)))
add_argument(struct arguments *arguments, const char *format, ...)
{
	char *text = arguments->texts[arguments->count];
	va_list list;
	int length;

	assert(arguments->count < (int)ARGUMENTS_MAX);
	va_start(list, format);
	length = vsnprintf(text, ARGUMENT_SIZE, format, list);
	va_end(list);
	assert(length >= 0 && (size_t)length < ARGUMENT_SIZE);
	arguments->pointers[arguments->count++] = text;
}

/* Whether so many bytes can be had in huge pages of one size: asks the kernel to reserve them. */
static bool
can_reserve(uint64_t bytes, uint64_t page_bytes, int page_flag)
{
	size_t size = (bytes + page_bytes - 1) / page_bytes * page_bytes;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | page_flag, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	(void)munmap(memory, size);
	return true;
}

static bool
enough_huge_pages(uint64_t bytes)
{
	return can_reserve(bytes, PAGE_2_MIB_BYTES, (int)MAP_HUGE_2MB) ||
	       can_reserve(bytes, PAGE_1_GIB_BYTES, (int)MAP_HUGE_1GB);
}

static int
check_lcores(const struct weir_eal_config *config, char *error, size_t error_size)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	long limit = cpus < RTE_MAX_LCORE ? cpus : RTE_MAX_LCORE;

	assert(config->n_workers > 0 && config->n_workers <= WEIR_WORKERS_MAX);
	for (uint32_t i = 0; i <= config->n_workers; i++) {
		uint32_t lcore = i < config->n_workers ? config->workers[i] : config->control_lcore;

		if ((long)lcore >= limit) {
			snprintf(error, error_size, "lcore %u: this machine has 0 to %ld", lcore,
			         limit - 1);
			return -EINVAL;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (config->workers[j] != lcore)
				continue;
			snprintf(error, error_size, "lcore %u is given two tasks", lcore);
			return -EINVAL;
		}
	}
	return 0;
}

static void
add_lcores(struct arguments *arguments, const struct weir_eal_config *config)
{
	char list[ARGUMENT_SIZE];
	size_t used = (size_t)snprintf(list, sizeof(list), "%u", config->control_lcore);

	for (uint32_t i = 0; i < config->n_workers; i++) {
		assert(used < sizeof(list));
		used +=
		    (size_t)snprintf(list + used, sizeof(list) - used, ",%u", config->workers[i]);
	}
	add_argument(arguments, "--lcores=%s", list);
	add_argument(arguments, "--main-lcore=%u", config->control_lcore);
}

static void
add_devices(struct arguments *arguments, const struct weir_eal_config *config)
{
	uint32_t n_pci = 0;

	assert(config->n_ports <= WEIR_PORTS_MAX);
	for (uint32_t i = 0; i < config->n_ports; i++) {
		if (!weir_port_device_is_pci(config->ports[i].device))
			continue;
		add_argument(arguments, "--allow=%s", config->ports[i].device);
		n_pci++;
	}
	if (n_pci == 0)
		add_argument(arguments, "--no-pci");
}

static void
build_arguments(struct arguments *arguments, const struct weir_eal_config *config, bool huge)
{
	memset(arguments, 0, sizeof(*arguments));
	add_argument(arguments, "weir");
	add_lcores(arguments, config);
	add_argument(arguments, "-m");
	add_argument(arguments, "%llu",
	             (unsigned long long)((config->memory_bytes + MIB - 1) / MIB));
	if (huge) {
		/* Huge pages without a name: no mount is needed and none stays behind. */
		add_argument(arguments, "--in-memory");
	} else {
		/* --in-memory would be right here too, but DPDK 22.11 fails on the two together. */
		add_argument(arguments, "--no-huge");
		add_argument(arguments, "--no-shconf");
	}
	/* No file is ever put there, so one name does for all, and a kill leaves one empty folder.
	 */
	add_argument(arguments, "--file-prefix=weir");
	add_argument(arguments, "--no-telemetry");
	add_argument(arguments, "--log-level=error");
#ifdef RTE_ARCH_X86
	/* rte_acl gains by it; DPDK's own default is 256 bits. */
	if (rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) == 1)
		add_argument(arguments, "--force-max-simd-bitwidth=512");
#endif
	add_devices(arguments, config);
}

/* DPDK makes this folder even when it puts nothing into it. */
static void
remove_runtime_folder(const char *path)
{
	if (path != NULL && path[0] == '/')
		(void)rmdir(path);
}

int
weir_eal_start(const struct weir_eal_config *config, bool *huge_pages, char *error,
               size_t error_size)
{
	struct arguments arguments;
	bool huge = false;
	int result = check_lcores(config, error, error_size);

	if (result != 0)
		return result;
	if (config->memory_bytes == 0 || config->memory_bytes / MIB >= INT_MAX) {
		snprintf(error, error_size, "memory of %llu bytes: out of range",
		         (unsigned long long)config->memory_bytes);
		return -EINVAL;
	}
	if (config->pages != WEIR_EAL_PAGES_NORMAL)
		huge = enough_huge_pages(config->memory_bytes);
	if (config->pages == WEIR_EAL_PAGES_HUGE && !huge) {
		snprintf(error, error_size,
		         "huge pages are required and %llu MiB of them are not free: "
		         "see /proc/sys/vm/nr_hugepages",
		         (unsigned long long)((config->memory_bytes + MIB - 1) / MIB));
		return -ENOMEM;
	}

	build_arguments(&arguments, config, huge);
	if (rte_eal_init(arguments.count, arguments.pointers) < 0) {
		result = rte_errno > 0 ? -rte_errno : -EIO;
		snprintf(error, error_size, "DPDK does not start with %llu MiB of %s pages: %s",
		         (unsigned long long)((config->memory_bytes + MIB - 1) / MIB),
		         huge ? "huge" : "normal", strerror(-result));
		if (result != -EALREADY)
			remove_runtime_folder(rte_eal_get_runtime_dir());
		return result;
	}
	*huge_pages = huge;
	return 0;
}

void
weir_eal_finish(void)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
	(void)rte_eal_cleanup();
	remove_runtime_folder(folder);
}
