/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of hardware_box.h, and what was done to it. */
#ifndef WEIR_TESTS_UNIT_HARDWARE_BOX_STATE_H
#define WEIR_TESTS_UNIT_HARDWARE_BOX_STATE_H

#include "control/hardware.h"
#include "control/watch.h"
#include "dataplane/departures.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>
#include <string.h>

#define BOX_MBIT    UINT64_C(1000000)
#define BOX_INSIDE  0U
#define BOX_OUTSIDE 1U
#define BOX_PORT_ID 5U /* of the outside port */
#define BOX_QUEUES  8U
#define BOX_CLASSES 5U
#define BOX_TSC_HZ  UINT64_C(1000000000) /* a tick is a nanosecond */
#define BOX_LOOK_NS WEIR_HARDWARE_LOOK_NS
#define BOX_STEPS   256U /* kept of what was done, in its order */

enum box_step {
	STEP_LIMIT,
	STEP_PORT_LIMIT,
	STEP_METER,
	STEP_COMMIT,
	STEP_QUEUE,
	STEP_UP,
	STEP_HOLD,
};

static struct weir_limiter_driver box_row = {
    .driver = "net_model",
    .usable = true,
    .arithmetic = WEIR_LIMITER_STEPS,
    .min_bit_s = BOX_MBIT,
    .step_bit_s = BOX_MBIT,
    .quirks = WEIR_QUIRK_WIPED_AT_START | WEIR_QUIRK_STALE_SPEED,
    .help = "a model",
};

#define BOX_HAND 64U /* frames that a worker may hold, not counted yet */

static struct {
	struct weir_appliance *appliance;
	struct weir_config config;
	struct weir_port_config ports[2];
	struct weir_config_link link;
	struct weir_config_class classes[BOX_CLASSES];
	struct weir_rule rules[BOX_CLASSES];
	uint32_t class_slots[BOX_CLASSES];
	struct weir_worker_config workers[WEIR_WORKERS_MAX];
	uint64_t now_ns;

	/* The limiter. */
	enum weir_limiter_change change;
	bool completions, port_limit;
	int open_result, commit_result;
	int port_result, clear_result; /* of the port's limit */
	uint32_t n_limited;            /* queues that can be limited, and queue 0 */
	uint32_t refused_queue;        /* its limit is refused; 0: none */
	uint64_t read_back;            /* of each queue; 0: there is no getter */
	uint64_t link_bit_s;           /* that the last limiter was opened with */
	uint64_t limits[BOX_QUEUES], committed[BOX_QUEUES];
	uint32_t opens, closes, commits;
	uint64_t meter_bit_s;
	int meter_result, meter_change_result;

	/* The port. */
	bool up;
	uint32_t speed_mbit_s, max_tx_queues;
	uint32_t restarts, cuts, stops, emptied;
	struct rte_eth_stats stats;
	int stats_result;
	const char *xstat_names[2];
	uint64_t xstats[2];
	bool restart_resets; /* the counters */

	/* The workers. */
	bool quiescent, used, held;
	uint64_t fences;
	struct weir_flow_totals flow;
	uint64_t unpaid_bytes; /* that no budget knows of */
	struct weir_note note;
	uint64_t notes;
	bool note_due; /* in the round under way */
	struct weir_departures departures[2][BOX_QUEUES];
	struct weir_counters *counters[2];
	uint64_t judged_bit_s[BOX_QUEUES], judged_burst[BOX_QUEUES];
	uint8_t queue_of_slot[WEIR_CLASSES_MAX];

	uint32_t n_steps;
	struct {
		enum box_step step;
		uint64_t what, value;
	} steps[BOX_STEPS];
} box;

static inline void
box_note(enum box_step step, uint64_t what, uint64_t value)
{
	CU_ASSERT_FATAL(box.n_steps < BOX_STEPS);
	box.steps[box.n_steps].step = step;
	box.steps[box.n_steps].what = what;
	box.steps[box.n_steps++].value = value;
}

#endif
