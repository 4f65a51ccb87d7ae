/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an observer outside writes down: which bytes left when, in all lives. From that and from
 * what the policies said, and from nothing of Weir's, it says what was broken.
 *
 * Times are true ones, in ticks of tick_hz. A round of a worker that began before a change may
 * still send by what was in force before; the tape knows rounds by the number of changes of caps
 * that they began after.
 *
 *   lifetime  sent <= cap; where a cap was lowered below what had been sent by then: sent grows by
 *             what rounds sent that had begun, and by nothing else
 *   window    at each departure of a round that began under the cap, for each cap in force: what
 *             left in the window that ends with it <= the cap. A window is fullest when it ends
 *             with a departure, so this is every window that ends while the cap is in force
 *   rate      a bucket of exact numbers, at the outside: empty when the class begins, filled by the
 *             rate, holding a burst; what leaves must have been in it
 */
#ifndef WEIR_TESTS_SIM_TAPE_SIM_H
#define WEIR_TESTS_SIM_TAPE_SIM_H

#include "tests/sim/policy_sim.h"

/* What left, charged to one budget. */
struct weir_tape_sent {
	uint64_t tick;
	uint64_t bytes;
};

/* One cap in force. */
struct weir_tape_cap {
	struct weir_config_cap cap;
	/* Lifetime: of what was sent at the change and by rounds that had begun. */
	uint64_t floor_bytes;
	/* Window: the events from first on are in it, and their sum. */
	size_t first;
	uint64_t sum_bytes;
};

struct weir_tape_budget {
	uint64_t sent_bytes;
	struct weir_tape_sent *sent;
	size_t n_sent, room;
	uint32_t n_caps;
	struct weir_tape_cap caps[WEIR_SIM_CAPS];
};

struct weir_tape_class {
	bool used;
	weir_u128 tokens; /* in bits / tick_hz */
	uint64_t tick;    /* when tokens were counted */
	uint64_t rate_bit_s, burst_bytes;
	uint64_t next_rate_bit_s, next_burst_bytes; /* once rounds that had begun are over */
	uint64_t sent_bytes;
};

struct weir_tape {
	uint64_t tick_hz;
	uint64_t changes; /* of caps */
	uint64_t digest;  /* of all that was written down */
	struct weir_tape_budget budgets[WEIR_SIM_BUDGETS];
	struct weir_tape_class classes[WEIR_SIM_CLASSES];
	char error[256];
};

void weir_tape_init(struct weir_tape *tape, uint64_t tick_hz);
void weir_tape_fini(struct weir_tape *tape);

/* Starts a life: no class has a bucket. */
void weir_tape_begin(struct weir_tape *tape);

/* The policy's caps come into force. */
void weir_tape_set_caps(struct weir_tape *tape, const struct weir_sim_policy *policy);

/*
 * The policy's classes come into force; those that are new have empty buckets. Until
 * weir_tape_settle what was in force before may still be used.
 */
void weir_tape_set_classes(struct weir_tape *tape, const struct weir_sim_policy *policy,
                           uint64_t tick);

/* All rounds that had begun before the last change are over. */
void weir_tape_settle(struct weir_tape *tape, uint64_t tick);

/*
 * bytes left at tick, of a class, by a policy's tree, in a round that began after so many changes
 * of caps. Returns NULL, or a line that says what is broken.
 */
const char *weir_tape_send(struct weir_tape *tape, const struct weir_sim_policy *policy,
                           uint32_t class, uint64_t bytes, uint64_t tick, uint64_t changes);

/* Mixes a number into the digest. */
void weir_tape_mix(struct weir_tape *tape, uint64_t value);

#endif
