/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated disk's insides, for disk_sim.c (what it holds) and disk_calls.c (what it does). */
#ifndef WEIR_TESTS_SIM_DISK_STATE_H
#define WEIR_TESTS_SIM_DISK_STATE_H

#include "tests/sim/disk_sim.h"

#define WEIR_SIM_CHUNK_BYTES 4096U /* of memory */

/* What a dirty sector holds durably. */
struct weir_disk_undo {
	uint64_t sector;
	bool stuck; /* a sync of it has failed: later ones skip it */
	uint8_t data[WEIR_SIM_SECTOR_BYTES];
};

/* A write that has returned and is still to come. */
struct weir_disk_delayed {
	uint8_t *data; /* NULL: none */
	size_t bytes;
	uint64_t offset, due_call;
};

struct weir_disk_sim {
	struct weir_disk disk;
	uint64_t bytes;
	uint8_t **chunks; /* NULL: zeros */
	uint64_t n_chunks;
	struct weir_disk_undo *undos; /* in the order of writing */
	size_t n_undos, undos_room;
	struct weir_random random;
	uint64_t calls;
	uint64_t fault_call;
	enum weir_disk_fault fault;
	int fault_error;
	bool faulted;
	bool dead;
	uint64_t all_calls; /* of any kind, never reset */
	enum weir_disk_fault armed;
	int armed_error;
	uint64_t armed_later;
	int broken; /* 0 or the -errno of all calls */
	bool lying;
	struct weir_disk_delayed delayed;
	uint8_t *before; /* what the last write replaced */
	size_t before_bytes, before_room;
	uint64_t before_offset;
	uint64_t hits[WEIR_FAULTS];
	struct weir_disk_watch watch;
};

extern const struct weir_disk_ops weir_disk_sim_ops;

/* Writes where a power cut may undo it. */
void weir_disk_sim_put(struct weir_disk_sim *sim, const void *data, size_t bytes, uint64_t offset);

#endif
