/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk in memory that does to what is written what real ones do, at the moment a test chooses.
 *
 * What was written and not synced is dirty. A power cut keeps or loses each dirty sector of 512
 * bytes by itself, in no order. A sync that fails leaves them dirty for good although later syncs
 * succeed, as Linux does. Killing the process loses nothing.
 *
 * Three sorts of faults, by what may be expected of whoever uses the disk:
 *
 *   honest   power cuts, kills, errors: nothing that was synced is ever lost
 *   noticed  writes that succeed and are not what they seem: reading back tells
 *   lying    reading back tells nothing: a sync that is none, an old copy put in place, a read at
 *            the start that returns what was there before, a write that comes back much later
 */
#ifndef WEIR_TESTS_SIM_DISK_SIM_H
#define WEIR_TESTS_SIM_DISK_SIM_H

#include "drivers/disk.h"
#include "tests/unit/harness.h"

#define WEIR_SIM_SECTOR_BYTES 512U

struct weir_disk_sim;

enum weir_disk_fault {
	WEIR_FAULT_NONE,
	WEIR_FAULT_POWER_CUT, /* in the middle of the call; the disk is dead until attached again */
	WEIR_FAULT_ERROR,     /* the call fails, a write having done a part */
	WEIR_FAULT_KILL,      /* the process ends in the call, a write having done a part */
	/* Of a write that returns 0: */
	WEIR_FAULT_LOST,        /* nothing was written */
	WEIR_FAULT_TORN,        /* not all sectors were */
	WEIR_FAULT_GARBLED,     /* some bits are others */
	WEIR_FAULT_MISDIRECTED, /* it went elsewhere */
	WEIR_FAULT_DELAYED,     /* it comes some calls later, after a restart maybe */
	/* Of a read that returns 0: */
	WEIR_FAULT_STALE_READ, /* what was there before the last write */
	WEIR_FAULT_WRONG_READ, /* some bits are others */
	WEIR_FAULTS,
};

const char *weir_disk_fault_name(enum weir_disk_fault fault);

/* Who wants to know what happens: NULL where not. */
struct weir_disk_watch {
	void *arg;
	/* A call is under way, and has done its work or not. May cut the power or kill. */
	void (*during)(void *arg, bool done);
	/* What a write was given. */
	void (*written)(void *arg, const void *data, size_t bytes, uint64_t offset);
	/* A sync returns 0. */
	void (*synced)(void *arg);
};

/* A disk of so many zero bytes. */
struct weir_disk_sim *weir_disk_sim_new(uint64_t bytes, uint64_t seed);
void weir_disk_sim_free(struct weir_disk_sim *sim);

/* The disk for a new user: alive again, no fault planned, calls counted from 0. */
struct weir_disk *weir_disk_sim_attach(struct weir_disk_sim *sim);

/* Plans a fault for the call with this number (writes and syncs count, from 0). */
void weir_disk_sim_plan(struct weir_disk_sim *sim, uint64_t call, enum weir_disk_fault fault,
                        int error);

/*
 * The next call that the fault fits suffers it. error: of WEIR_FAULT_ERROR; later_calls: of
 * WEIR_FAULT_DELAYED, reads counted too. Replaces what was armed before; forgotten at attaching.
 */
void weir_disk_sim_arm(struct weir_disk_sim *sim, enum weir_disk_fault fault, int error,
                       uint64_t later_calls);

/* Every call fails from now on, also after attaching; 0: not any more. */
void weir_disk_sim_break(struct weir_disk_sim *sim, int error);
int weir_disk_sim_broken(const struct weir_disk_sim *sim);

/* Syncs that return 0 leave everything dirty from now on. */
void weir_disk_sim_lie(struct weir_disk_sim *sim);
bool weir_disk_sim_lies(const struct weir_disk_sim *sim);

/* The process ends: its calls do nothing any more, until the disk is attached again. */
void weir_disk_sim_kill(struct weir_disk_sim *sim);

bool weir_disk_sim_is_dead(const struct weir_disk_sim *sim);

/* Faults of a sort that have happened to this disk. */
uint64_t weir_disk_sim_hits(const struct weir_disk_sim *sim, enum weir_disk_fault fault);

/* True while a delayed write has not come. */
bool weir_disk_sim_owes(const struct weir_disk_sim *sim);

void weir_disk_sim_watch(struct weir_disk_sim *sim, const struct weir_disk_watch *watch);

/* Writes and syncs since the disk was attached. */
uint64_t weir_disk_sim_calls(const struct weir_disk_sim *sim);

/* True when the planned fault has happened. */
bool weir_disk_sim_faulted(const struct weir_disk_sim *sim);

/* Cuts the power now. */
void weir_disk_sim_power_cut(struct weir_disk_sim *sim);

/* Plain access for tests: durable, uncounted, never failing. */
void weir_disk_sim_peek(const struct weir_disk_sim *sim, void *data, size_t bytes, uint64_t offset);
/* The same of what a power cut can't take. */
void weir_disk_sim_peek_durable(const struct weir_disk_sim *sim, void *data, size_t bytes,
                                uint64_t offset);
void weir_disk_sim_poke(struct weir_disk_sim *sim, const void *data, size_t bytes, uint64_t offset);
void weir_disk_sim_resize(struct weir_disk_sim *sim, uint64_t bytes);

/* Changes at least one bit in every sector of the range. */
void weir_disk_sim_garble(struct weir_disk_sim *sim, uint64_t offset, size_t bytes);

/* A copy of everything but planned faults. */
struct weir_disk_sim *weir_disk_sim_copy(const struct weir_disk_sim *sim, uint64_t seed);

/* Puts the contents of another disk of the same size in place, all durable. */
void weir_disk_sim_assign(struct weir_disk_sim *sim, const struct weir_disk_sim *from);

/* True when both hold the same bytes. */
bool weir_disk_sim_equal(const struct weir_disk_sim *a, const struct weir_disk_sim *b);

#endif
