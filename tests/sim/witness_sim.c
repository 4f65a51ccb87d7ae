/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/witness_sim.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static struct weir_witness_sim *
sim_of(struct weir_witness_line *line)
{
	return (struct weir_witness_sim *)line;
}

static void
sim_request(struct weir_witness_line *line, uint64_t value)
{
	struct weir_witness_sim *sim = sim_of(line);

	assert(!sim->under_way); /* one at a time */
	sim->under_way = true;
	sim->asked_value = value;
	sim->looks = 0;
}

/* What advancing does, as in drivers/witness.h. */
static int
advance(struct weir_witness_sim *sim)
{
	if (sim->value == sim->asked_value)
		return 0;
	if (sim->value + 1 != sim->asked_value)
		return -ERANGE;
	sim->value++;
	sim->advances++;
	return 0;
}

static int
sim_result(struct weir_witness_line *line, uint64_t wait_ns)
{
	struct weir_witness_sim *sim = sim_of(line);
	int rc;

	assert(sim->under_way);
	if (sim->hangs || (wait_ns == 0 && sim->looks++ < sim->looks_needed))
		return -EAGAIN;
	sim->under_way = false;
	if (sim->error != 0 && !sim->error_after)
		return sim->error;
	rc = advance(sim);
	return sim->error != 0 ? sim->error : rc;
}

static void
sim_close(struct weir_witness_line *line)
{
	(void)line; /* the test still owns it */
}

static const struct weir_witness_line_ops sim_ops = {
    .request = sim_request,
    .result = sim_result,
    .close = sim_close,
};

void
weir_witness_sim_init(struct weir_witness_sim *sim, uint64_t value)
{
	memset(sim, 0, sizeof(*sim));
	sim->line.ops = &sim_ops;
	sim->value = value;
}

struct weir_witness_line *
weir_witness_sim_attach(struct weir_witness_sim *sim, bool applied)
{
	int rc;

	if (sim->under_way && applied) {
		rc = advance(sim);
		assert(rc == 0);
		(void)rc;
	}
	sim->under_way = false;
	return &sim->line;
}
