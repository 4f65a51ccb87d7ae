/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/disk_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR WEIR_SIM_SECTOR_BYTES
#define CHUNK  WEIR_SIM_CHUNK_BYTES
/* A delayed write does not come while somebody opens what is on the disk. */
#define ATTACH_CALLS 16U

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
weir_disk_sim_peek_durable(const struct weir_disk_sim *sim, void *data, size_t bytes,
                           uint64_t offset)
{
	weir_disk_sim_peek(sim, data, bytes, offset);
	for (size_t i = 0; i < sim->n_undos; i++) {
		uint64_t at = sim->undos[i].sector * SECTOR;
		uint64_t first = at > offset ? at : offset;
		uint64_t end = at + SECTOR < offset + bytes ? at + SECTOR : offset + bytes;

		if (first < end)
			memcpy((uint8_t *)data + (first - offset),
			       sim->undos[i].data + (first - at), end - first);
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

void
weir_disk_sim_kill(struct weir_disk_sim *sim)
{
	sim->dead = true;
}

void
weir_disk_sim_put(struct weir_disk_sim *sim, const void *data, size_t bytes, uint64_t offset)
{
	for (uint64_t at = offset; at < offset + bytes; at += SECTOR)
		remember(sim, at / SECTOR);
	weir_disk_sim_poke(sim, data, bytes, offset);
}

struct weir_disk_sim *
weir_disk_sim_new(uint64_t bytes, uint64_t seed)
{
	struct weir_disk_sim *sim = need(calloc(1, sizeof(*sim)));

	assert(bytes % CHUNK == 0);
	sim->disk.ops = &weir_disk_sim_ops;
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
	free(sim->delayed.data);
	free(sim->before);
	free(sim);
}

struct weir_disk *
weir_disk_sim_attach(struct weir_disk_sim *sim)
{
	sim->dead = false;
	sim->calls = 0;
	sim->fault = WEIR_FAULT_NONE;
	sim->faulted = false;
	sim->armed = WEIR_FAULT_NONE;
	if (sim->delayed.due_call < sim->all_calls + ATTACH_CALLS)
		sim->delayed.due_call = sim->all_calls + ATTACH_CALLS;
	return &sim->disk;
}

void
weir_disk_sim_plan(struct weir_disk_sim *sim, uint64_t call, enum weir_disk_fault fault, int error)
{
	sim->fault_call = call;
	sim->fault = fault;
	sim->fault_error = error;
}

void
weir_disk_sim_arm(struct weir_disk_sim *sim, enum weir_disk_fault fault, int error,
                  uint64_t later_calls)
{
	sim->armed = fault;
	sim->armed_error = error;
	sim->armed_later = later_calls;
}

void
weir_disk_sim_break(struct weir_disk_sim *sim, int error)
{
	sim->broken = error;
}

int
weir_disk_sim_broken(const struct weir_disk_sim *sim)
{
	return sim->broken;
}

void
weir_disk_sim_lie(struct weir_disk_sim *sim)
{
	sim->lying = true;
}

bool
weir_disk_sim_lies(const struct weir_disk_sim *sim)
{
	return sim->lying;
}

bool
weir_disk_sim_is_dead(const struct weir_disk_sim *sim)
{
	return sim->dead;
}

uint64_t
weir_disk_sim_hits(const struct weir_disk_sim *sim, enum weir_disk_fault fault)
{
	return sim->hits[fault];
}

bool
weir_disk_sim_owes(const struct weir_disk_sim *sim)
{
	return sim->delayed.data != NULL;
}

void
weir_disk_sim_watch(struct weir_disk_sim *sim, const struct weir_disk_watch *watch)
{
	sim->watch = *watch;
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

	weir_disk_sim_assign(copy, sim);
	copy->bytes = sim->bytes;
	copy->undos_room = sim->n_undos;
	copy->n_undos = sim->n_undos;
	if (sim->n_undos > 0) {
		copy->undos = need(calloc(sim->n_undos, sizeof(*copy->undos)));
		memcpy(copy->undos, sim->undos, sim->n_undos * sizeof(*copy->undos));
	}
	return copy;
}

void
weir_disk_sim_assign(struct weir_disk_sim *sim, const struct weir_disk_sim *from)
{
	assert(sim->n_chunks == from->n_chunks);
	sim->n_undos = 0;
	for (uint64_t i = 0; i < sim->n_chunks; i++) {
		if (from->chunks[i] != NULL)
			weir_disk_sim_poke(sim, from->chunks[i], CHUNK, i * CHUNK);
		else if (sim->chunks[i] != NULL)
			memset(sim->chunks[i], 0, CHUNK);
	}
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
