/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which class sits in which slot of the dataplane, from policy to policy.
 *
 * A class keeps its slot, and so its bucket and its queue, for as long as its name stays. A new
 * name gets a free slot and an empty bucket. The slot of a name that has left is free again only
 * after every worker has let go of the policy that had it (weir_slots_release).
 *
 *   plan (changes nothing) -> bind (the lines of the rates, as late as possible) -> commit ->
 * release
 *
 * Control thread only.
 */
#ifndef WEIR_CONTROL_SLOTS_H
#define WEIR_CONTROL_SLOTS_H

#include "control/config.h"
#include "dataplane/bucket.h"
#include "dataplane/worker.h"

struct weir_slots;

/* Where the classes of one config go. All arrays by the config's class index. */
struct weir_slots_plan {
	uint32_t n_classes;
	uint32_t *slots;
	struct weir_rate *rates;
	bool *fresh; /* the name is new: its bucket has to be emptied before use */
};

/* No class in any slot. tsc_hz: see weir_rate_make. NULL when memory runs out. */
struct weir_slots *weir_slots_new(uint64_t tsc_hz);
void weir_slots_free(struct weir_slots *slots);

/*
 * Finds slots for the classes of config. Changes nothing.
 * Returns 0; -ENOSPC when no slot is free; -ENOMEM. *plan is the caller's: weir_slots_plan_free.
 */
int weir_slots_plan(const struct weir_slots *slots, const struct weir_config *config,
                    struct weir_slots_plan **plan) __attribute__((warn_unused_result));
void weir_slots_plan_free(struct weir_slots_plan *plan);

/*
 * Draws the rates' lines as of now: a new name starts from nothing; a kept one whose rate is the
 * same keeps its line; a kept one whose rate changed goes on from where the old line has come.
 */
void weir_slots_bind(const struct weir_slots *slots, const struct weir_config *config,
                     uint64_t now_tsc, struct weir_slots_plan *plan);

/*
 * The last step before snapshot, made for the plan, is published: binds as of now, puts the lines
 * into it, and empties the buckets of new names. Workers are suspended meanwhile, so what can wait
 * or be done before is done elsewhere.
 */
void weir_slots_put(const struct weir_slots *slots, const struct weir_config *config,
                    uint64_t now_tsc, struct weir_slots_plan *plan, struct weir_snapshot *snapshot,
                    struct weir_dataplane *dataplane);

/*
 * Makes a bound plan the present state. Slots whose name is not in config are held back until
 * weir_slots_release. There must be none held back already.
 */
void weir_slots_commit(struct weir_slots *slots, const struct weir_config *config,
                       const struct weir_slots_plan *plan);

/* Frees the slots that the last commit held back. */
void weir_slots_release(struct weir_slots *slots);

/*
 * Counters of a slot are never reset; what they stood at when the present name got the slot is
 * kept here, so that a class shows its own numbers only.
 */
void weir_slots_set_base(struct weir_slots *slots, uint32_t slot,
                         const struct weir_class_totals *base);
const struct weir_class_totals *weir_slots_base(const struct weir_slots *slots, uint32_t slot);

#endif
