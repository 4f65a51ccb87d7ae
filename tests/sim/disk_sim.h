/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk in memory that does to unsynced writes what real ones do, at the moment a test chooses.
 *
 * What was written and not synced is dirty. A power cut keeps or loses each dirty sector of 512
 * bytes by itself, in no order. A sync that fails leaves them dirty for good although later syncs
 * succeed, as Linux does. Killing the process loses nothing.
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
};

/* A disk of so many zero bytes. */
struct weir_disk_sim *weir_disk_sim_new(uint64_t bytes, uint64_t seed);
void weir_disk_sim_free(struct weir_disk_sim *sim);

/* The disk for a new user: alive again, no fault planned, calls counted from 0. */
struct weir_disk *weir_disk_sim_attach(struct weir_disk_sim *sim);

/* Plans a fault for the call with this number (writes and syncs count, from 0). */
void weir_disk_sim_plan(struct weir_disk_sim *sim, uint64_t call, enum weir_disk_fault fault,
                        int error);

/* Writes and syncs since the disk was attached. */
uint64_t weir_disk_sim_calls(const struct weir_disk_sim *sim);

/* True when the planned fault has happened. */
bool weir_disk_sim_faulted(const struct weir_disk_sim *sim);

/* Cuts the power now. */
void weir_disk_sim_power_cut(struct weir_disk_sim *sim);

/* Plain access for tests: durable, uncounted, never failing. */
void weir_disk_sim_peek(const struct weir_disk_sim *sim, void *data, size_t bytes, uint64_t offset);
void weir_disk_sim_poke(struct weir_disk_sim *sim, const void *data, size_t bytes, uint64_t offset);
void weir_disk_sim_resize(struct weir_disk_sim *sim, uint64_t bytes);

/* Changes at least one bit in every sector of the range. */
void weir_disk_sim_garble(struct weir_disk_sim *sim, uint64_t offset, size_t bytes);

/* A copy of everything but planned faults. */
struct weir_disk_sim *weir_disk_sim_copy(const struct weir_disk_sim *sim, uint64_t seed);

/* True when both hold the same bytes. */
bool weir_disk_sim_equal(const struct weir_disk_sim *a, const struct weir_disk_sim *b);

#endif
