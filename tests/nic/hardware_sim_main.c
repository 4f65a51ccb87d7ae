/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs that test on such a box have in common. */
#include "tests/nic/hardware_sim.h"

#include <malloc.h>

void
weir_hwsim_finish(struct weir_hwsim *sim)
{
	weir_hwsim_close(sim);
	if (sim->error[0] != '\0')
		printf("    %s\n", sim->error);
	CU_ASSERT(sim->error[0] == '\0');
}

int
weir_hwsim_main(const char *suite_name, const struct weir_test *tests, size_t count)
{
	int result;

	/* Boxes come and go: what they have of memory is kept, and not cleared anew for each. */
	(void)mallopt(M_MMAP_THRESHOLD, 3 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	if (!weir_hwsim_begin())
		return 1;
	result = weir_test_run(suite_name, tests, count);
	weir_hwsim_end();
	return result;
}
