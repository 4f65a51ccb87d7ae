/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/disk_sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR WEIR_SIM_SECTOR_BYTES
#define CHUNK  4096U /* of memory */

/* What a dirty sector holds durably. */
struct undo {
	uint64_t sector;
	bool stuck; /* a sync of it has failed: later ones skip it */
	uint8_t data[SECTOR];
};

struct weir_disk_sim {
	struct weir_disk disk;
	uint64_t bytes;
	uint8_t **chunks; /* NULL: zeros */
	uint64_t n_chunks;
	struct undo *undos; /* in the order of writing */
	size_t n_undos, undos_room;
	struct weir_random random;
	uint64_t calls;
	uint64_t fault_call;
	enum weir_disk_fault fault;
	int fault_error;
	bool faulted;
	bool dead;
};

static void *
need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static uint8_t *
sector_of(struct weir_disk_sim *sim, uint64_t sector)
{
	uint64_t chunk = sector / (CHUNK / SECTOR);

	assert(chunk < sim->n_chunks);
	if (sim->chunks[chunk] == NULL)
		sim->chunks[chunk] = need(calloc(1, CHUNK));
	return sim->chunks[chunk] + sector % (CHUNK / SECTOR) * SECTOR;
}

void
weir_disk_sim_peek(const struct weir_disk_sim *sim, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *to = data;

	for (size_t done = 0; done < bytes;) {
		const uint8_t *from = sim->chunks[(offset + done) / CHUNK];
		size_t at = (offset + done) % CHUNK;
		size_t part = CHUNK - at < bytes - done ? CHUNK - at : bytes - done;

		if (from != NULL)
			memcpy(to + done, from + at, part);
		else
			memset(to + done, 0, part);
		done += part;
	}
}

void
weir_disk_sim_poke(struct weir_disk_sim *sim, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *from = data;

	for (size_t done = 0; done < bytes;) {
		size_t at = (offset + done) % SECTOR;
		size_t part = SECTOR - at < bytes - done ? SECTOR - at : bytes - done;

		memcpy(sector_of(sim, (offset + done) / SECTOR) + at, from + done, part);
		done += part;
	}
}

static void
remember(struct weir_disk_sim *sim, uint64_t sector)
{
	for (size_t i = 0; i < sim->n_undos; i++) {
		if (sim->undos[i].sector == sector) {
			sim->undos[i].stuck = false;
			return;
		}
	}
	if (sim->n_undos == sim->undos_room) {
		sim->undos_room = sim->undos_room * 2 + 16;
		sim->undos = need(realloc(sim->undos, sim->undos_room * sizeof(*sim->undos)));
	}
	sim->undos[sim->n_undos].sector = sector;
	sim->undos[sim->n_undos].stuck = false;
	memcpy(sim->undos[sim->n_undos].data, sector_of(sim, sector), SECTOR);
	sim->n_undos++;
}

static void
revert(struct weir_disk_sim *sim, size_t i)
{
	memcpy(sector_of(sim, sim->undos[i].sector), sim->undos[i].data, SECTOR);
}

void
weir_disk_sim_power_cut(struct weir_disk_sim *sim)
{
	uint64_t mode = weir_random_below(&sim->random, 5);
	size_t cut = weir_random_below(&sim->random, sim->n_undos + 1);

	sim->dead = true;
	for (size_t i = 0; i < sim->n_undos; i++) {
		bool lost;

		switch (mode) {
		case 0: /* nothing had reached the disk */
			lost = true;
			break;
		case 1: /* all had */
			lost = false;
			break;
		case 2: /* the first part had */
			lost = i >= cut;
			break;
		case 3: /* the last part had */
			lost = i < cut;
			break;
		default:
			lost = weir_random_one_in(&sim->random, 2);
			break;
		}
		if (lost)
			revert(sim, i);
	}
	sim->n_undos = 0;
}

/* Counts a call. Returns the fault that hits it. */
static enum weir_disk_fault
count_call(struct weir_disk_sim *sim)
{
	uint64_t call = sim->calls++;

	if (sim->fault == WEIR_FAULT_NONE || call != sim->fault_call)
		return WEIR_FAULT_NONE;
	sim->faulted = true;
	return sim->fault;
}

static int
sim_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;

	if (sim->dead || offset > sim->bytes || bytes > sim->bytes - offset)
		return -EIO;
	weir_disk_sim_peek(sim, data, bytes, offset);
	return 0;
}

static int
sim_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;
	enum weir_disk_fault fault;

	if (sim->dead)
		return -EIO;
	assert(offset % 4096 == 0 && bytes % 4096 == 0 && offset + bytes <= sim->bytes);
	fault = count_call(sim);
	if (fault == WEIR_FAULT_ERROR)
		bytes = weir_random_below(&sim->random, bytes / SECTOR + 1) * SECTOR;
	for (uint64_t at = offset; at < offset + bytes; at += SECTOR)
		remember(sim, at / SECTOR);
	weir_disk_sim_poke(sim, data, bytes, offset);
	if (fault == WEIR_FAULT_POWER_CUT)
		weir_disk_sim_power_cut(sim);
	if (fault == WEIR_FAULT_ERROR)
		return sim->fault_error;
	return sim->dead ? -EIO : 0;
}

static int
sim_sync(struct weir_disk *disk)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;
	size_t kept = 0;

	if (sim->dead)
		return -EIO;
	switch (count_call(sim)) {
	case WEIR_FAULT_POWER_CUT:
		weir_disk_sim_power_cut(sim);
		return -EIO;
	case WEIR_FAULT_ERROR:
		for (size_t i = 0; i < sim->n_undos; i++)
			sim->undos[i].stuck = true;
		return sim->fault_error;
	case WEIR_FAULT_NONE:
	default:
		break;
	}
	for (size_t i = 0; i < sim->n_undos; i++)
		if (sim->undos[i].stuck)
			sim->undos[kept++] = sim->undos[i];
	sim->n_undos = kept;
	return 0;
}

static int
sim_size(struct weir_disk *disk, uint64_t *bytes)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;

	*bytes = sim->bytes;
	return sim->dead ? -EIO : 0;
}

static void
sim_close(struct weir_disk *disk)
{
	(void)disk; /* the test still owns it */
}

static const struct weir_disk_ops sim_ops = {
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .size = sim_size,
    .close = sim_close,
};

struct weir_disk_sim *
weir_disk_sim_new(uint64_t bytes, uint64_t seed)
{
	struct weir_disk_sim *sim = need(calloc(1, sizeof(*sim)));

	assert(bytes % CHUNK == 0);
	sim->disk.ops = &sim_ops;
	sim->bytes = bytes;
	sim->n_chunks = bytes / CHUNK;
	sim->chunks = need(calloc(sim->n_chunks, sizeof(*sim->chunks)));
	sim->random = weir_random_make(seed);
	return sim;
}

void
weir_disk_sim_free(struct weir_disk_sim *sim)
{
	for (uint64_t i = 0; i < sim->n_chunks; i++)
		free(sim->chunks[i]);
	free(sim->chunks);
	free(sim->undos);
	free(sim);
}

struct weir_disk *
weir_disk_sim_attach(struct weir_disk_sim *sim)
{
	sim->dead = false;
	sim->calls = 0;
	sim->fault = WEIR_FAULT_NONE;
	sim->faulted = false;
	return &sim->disk;
}

void
weir_disk_sim_plan(struct weir_disk_sim *sim, uint64_t call, enum weir_disk_fault fault, int error)
{
	sim->fault_call = call;
	sim->fault = fault;
	sim->fault_error = error;
}

uint64_t
weir_disk_sim_calls(const struct weir_disk_sim *sim)
{
	return sim->calls;
}

bool
weir_disk_sim_faulted(const struct weir_disk_sim *sim)
{
	return sim->faulted;
}

void
weir_disk_sim_resize(struct weir_disk_sim *sim, uint64_t bytes)
{
	assert(bytes <= sim->n_chunks * CHUNK);
	sim->bytes = bytes;
}

void
weir_disk_sim_garble(struct weir_disk_sim *sim, uint64_t offset, size_t bytes)
{
	for (uint64_t at = offset; at < offset + bytes;) {
		uint64_t end = (at / SECTOR + 1) * SECTOR;
		uint64_t flips = 1 + weir_random_below(&sim->random, 8);

		if (end > offset + bytes)
			end = offset + bytes;
		for (uint64_t i = 0; i < flips; i++) {
			uint64_t byte = weir_random_between(&sim->random, at, end - 1);
			uint64_t flip = weir_random_between(&sim->random, 1, 255);

			/* Never the same twice, so that nothing is flipped back. */
			sector_of(sim, byte / SECTOR)[byte % SECTOR] ^= (uint8_t)flip;
			at = byte + 1;
			if (at >= end)
				break;
		}
		at = end;
	}
}

struct weir_disk_sim *
weir_disk_sim_copy(const struct weir_disk_sim *sim, uint64_t seed)
{
	struct weir_disk_sim *copy = weir_disk_sim_new(sim->n_chunks * CHUNK, seed);

	copy->bytes = sim->bytes;
	for (uint64_t i = 0; i < sim->n_chunks; i++)
		if (sim->chunks[i] != NULL)
			weir_disk_sim_poke(copy, sim->chunks[i], CHUNK, i * CHUNK);
	copy->undos_room = sim->n_undos;
	copy->n_undos = sim->n_undos;
	if (sim->n_undos > 0) {
		copy->undos = need(calloc(sim->n_undos, sizeof(*copy->undos)));
		memcpy(copy->undos, sim->undos, sim->n_undos * sizeof(*copy->undos));
	}
	return copy;
}

bool
weir_disk_sim_equal(const struct weir_disk_sim *a, const struct weir_disk_sim *b)
{
	uint8_t left[CHUNK], right[CHUNK];

	if (a->bytes != b->bytes)
		return false;
	for (uint64_t i = 0; i < a->bytes / CHUNK; i++) {
		if (a->chunks[i] == NULL && b->chunks[i] == NULL)
			continue;
		weir_disk_sim_peek(a, left, CHUNK, i * CHUNK);
		weir_disk_sim_peek(b, right, CHUNK, i * CHUNK);
		if (memcmp(left, right, CHUNK) != 0)
			return false;
	}
	return true;
}
