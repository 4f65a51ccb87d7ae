/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/disk_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR WEIR_SIM_SECTOR_BYTES
#define CHUNK  WEIR_SIM_CHUNK_BYTES

static const char *const fault_names[WEIR_FAULTS] = {
    [WEIR_FAULT_NONE] = "no fault",         [WEIR_FAULT_POWER_CUT] = "power cut",
    [WEIR_FAULT_ERROR] = "error",           [WEIR_FAULT_KILL] = "killed in a call",
    [WEIR_FAULT_LOST] = "write lost",       [WEIR_FAULT_TORN] = "write torn",
    [WEIR_FAULT_GARBLED] = "write garbled", [WEIR_FAULT_MISDIRECTED] = "write misdirected",
    [WEIR_FAULT_DELAYED] = "write delayed", [WEIR_FAULT_STALE_READ] = "stale read",
    [WEIR_FAULT_WRONG_READ] = "wrong read",
};

const char *
weir_disk_fault_name(enum weir_disk_fault fault)
{
	return fault_names[fault];
}

static void *
need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

enum call {
	CALL_READ,
	CALL_WRITE,
	CALL_SYNC,
};

static bool
fits(enum weir_disk_fault fault, enum call call)
{
	switch (fault) {
	case WEIR_FAULT_POWER_CUT:
	case WEIR_FAULT_ERROR:
	case WEIR_FAULT_KILL:
		return true;
	case WEIR_FAULT_LOST:
	case WEIR_FAULT_TORN:
	case WEIR_FAULT_GARBLED:
	case WEIR_FAULT_MISDIRECTED:
	case WEIR_FAULT_DELAYED:
		return call == CALL_WRITE;
	case WEIR_FAULT_STALE_READ:
	case WEIR_FAULT_WRONG_READ:
		return call == CALL_READ;
	case WEIR_FAULT_NONE:
	case WEIR_FAULTS:
	default:
		return false;
	}
}

static void
pay_delayed(struct weir_disk_sim *sim)
{
	struct weir_disk_delayed *delayed = &sim->delayed;

	if (delayed->data == NULL || sim->all_calls < delayed->due_call)
		return;
	weir_disk_sim_put(sim, delayed->data, delayed->bytes, delayed->offset);
	free(delayed->data);
	delayed->data = NULL;
	sim->hits[WEIR_FAULT_DELAYED]++;
}

static void
during(struct weir_disk_sim *sim, bool done)
{
	if (sim->watch.during != NULL && !sim->dead)
		sim->watch.during(sim->watch.arg, done);
}

/* Begins a call. Returns the fault that hits it; *error is what the call returns for it. */
static enum weir_disk_fault
begin(struct weir_disk_sim *sim, enum call call, int *error)
{
	enum weir_disk_fault fault = WEIR_FAULT_NONE;

	sim->all_calls++;
	pay_delayed(sim);
	*error = 0;
	if (call != CALL_READ && sim->calls++ == sim->fault_call && sim->fault != WEIR_FAULT_NONE) {
		sim->faulted = true;
		fault = sim->fault;
		*error = sim->fault_error;
	} else if (sim->broken != 0) {
		fault = WEIR_FAULT_ERROR;
		*error = sim->broken;
	} else if (fits(sim->armed, call)) {
		fault = sim->armed;
		*error = sim->armed_error;
		sim->armed = WEIR_FAULT_NONE;
	}
	if (fault != WEIR_FAULT_DELAYED)
		sim->hits[fault]++;
	return fault;
}

/* Real disks take nothing else past the page cache. */
static bool
is_aligned(const void *data, size_t bytes, uint64_t offset)
{
	return ((uintptr_t)data | bytes | offset) % WEIR_DISK_BLOCK_BYTES == 0;
}

static int
sim_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;
	enum weir_disk_fault fault;
	uint8_t *to = data;
	uint64_t at;
	int error;

	during(sim, false);
	if (sim->dead || offset > sim->bytes || bytes > sim->bytes - offset)
		return -EIO;
	fault = begin(sim, CALL_READ, &error);
	weir_disk_sim_peek(sim, data, bytes, offset);
	if (fault == WEIR_FAULT_STALE_READ)
		for (size_t i = 0; i < sim->before_bytes; i++)
			if (sim->before_offset + i >= offset &&
			    sim->before_offset + i < offset + bytes)
				to[sim->before_offset + i - offset] = sim->before[i];
	if (fault == WEIR_FAULT_WRONG_READ) {
		at = weir_random_below(&sim->random, bytes < 300 ? bytes : 300);
		to[at] ^= (uint8_t)weir_random_between(&sim->random, 1, 255);
	}
	if (fault == WEIR_FAULT_POWER_CUT)
		weir_disk_sim_power_cut(sim);
	if (fault == WEIR_FAULT_KILL)
		weir_disk_sim_kill(sim);
	if (fault == WEIR_FAULT_ERROR)
		return error;
	during(sim, true);
	return sim->dead ? -EIO : 0;
}

/* Keeps what a write will replace. */
static void
keep_before(struct weir_disk_sim *sim, size_t bytes, uint64_t offset)
{
	if (sim->before_room < bytes) {
		sim->before = need(realloc(sim->before, bytes));
		sim->before_room = bytes;
	}
	weir_disk_sim_peek(sim, sim->before, bytes, offset);
	sim->before_bytes = bytes;
	sim->before_offset = offset;
}

/* Another place for a write: a block or some near it, or anywhere in what is used. */
static uint64_t
elsewhere(struct weir_disk_sim *sim, size_t bytes, uint64_t offset)
{
	uint64_t blocks = (sim->bytes - bytes) / CHUNK + 1, to;

	do {
		to = weir_random_below(&sim->random, blocks);
		if (weir_random_one_in(&sim->random, 2))
			to = (offset / CHUNK + blocks - 3 + to % 6) % blocks;
		for (uint32_t i = 0; i < 8 && sim->chunks[to] == NULL; i++)
			to = weir_random_below(&sim->random, blocks);
		while (weir_random_one_in(&sim->random, 2) && to > 0 && sim->chunks[to] == NULL)
			to--;
	} while (to * CHUNK == offset);
	return to * CHUNK;
}

/* A write that hits no error, as far as anyone can see. */
static void
write_faulty(struct weir_disk_sim *sim, enum weir_disk_fault fault, const void *data, size_t bytes,
             uint64_t offset)
{
	const uint8_t *from = data;
	uint64_t skipped = weir_random_below(&sim->random, bytes / SECTOR);

	switch (fault) {
	case WEIR_FAULT_LOST:
		break;
	case WEIR_FAULT_TORN:
		/* The first sector or any other, and others by chance. */
		for (uint64_t at = 0; at < bytes; at += SECTOR)
			if (at / SECTOR != skipped && weir_random_one_in(&sim->random, 2))
				weir_disk_sim_put(sim, from + at, SECTOR, offset + at);
		break;
	case WEIR_FAULT_GARBLED:
		weir_disk_sim_put(sim, data, bytes, offset);
		weir_disk_sim_garble(sim, offset + skipped * SECTOR, SECTOR);
		break;
	case WEIR_FAULT_MISDIRECTED:
		weir_disk_sim_put(sim, data, bytes, elsewhere(sim, bytes, offset));
		break;
	case WEIR_FAULT_DELAYED:
		free(sim->delayed.data);
		sim->delayed =
		    (struct weir_disk_delayed){.data = need(malloc(bytes)),
		                               .bytes = bytes,
		                               .offset = offset,
		                               .due_call = sim->all_calls + sim->armed_later};
		memcpy(sim->delayed.data, data, bytes);
		break;
	case WEIR_FAULT_NONE:
	case WEIR_FAULT_POWER_CUT:
	case WEIR_FAULT_ERROR:
	case WEIR_FAULT_KILL:
	case WEIR_FAULT_STALE_READ:
	case WEIR_FAULT_WRONG_READ:
	case WEIR_FAULTS:
	default:
		weir_disk_sim_put(sim, data, bytes, offset);
		break;
	}
}

static int
sim_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;
	enum weir_disk_fault fault;
	int error;

	if (sim->dead)
		return -EIO;
	assert(is_aligned(data, bytes, offset) && offset + bytes <= sim->bytes);
	if (sim->watch.written != NULL)
		sim->watch.written(sim->watch.arg, data, bytes, offset);
	during(sim, false);
	if (sim->dead)
		return -EIO;
	fault = begin(sim, CALL_WRITE, &error);
	if (fault == WEIR_FAULT_ERROR || fault == WEIR_FAULT_KILL)
		bytes = weir_random_below(&sim->random, bytes / SECTOR + 1) * SECTOR;
	keep_before(sim, bytes, offset);
	write_faulty(sim, fault, data, bytes, offset);
	if (fault == WEIR_FAULT_POWER_CUT)
		weir_disk_sim_power_cut(sim);
	if (fault == WEIR_FAULT_KILL)
		weir_disk_sim_kill(sim);
	if (fault == WEIR_FAULT_ERROR)
		return error;
	during(sim, true);
	return sim->dead ? -EIO : 0;
}

static int
sim_sync(struct weir_disk *disk)
{
	struct weir_disk_sim *sim = (struct weir_disk_sim *)disk;
	enum weir_disk_fault fault;
	size_t kept = 0;
	int error;

	during(sim, false);
	if (sim->dead)
		return -EIO;
	fault = begin(sim, CALL_SYNC, &error);
	if (fault == WEIR_FAULT_POWER_CUT)
		weir_disk_sim_power_cut(sim);
	if (fault == WEIR_FAULT_KILL)
		weir_disk_sim_kill(sim);
	if (fault == WEIR_FAULT_ERROR)
		for (size_t i = 0; i < sim->n_undos; i++)
			sim->undos[i].stuck = true;
	if (fault == WEIR_FAULT_ERROR || sim->dead)
		return fault == WEIR_FAULT_ERROR ? error : -EIO;
	for (size_t i = 0; i < sim->n_undos; i++)
		if (sim->undos[i].stuck || sim->lying)
			sim->undos[kept++] = sim->undos[i];
	sim->n_undos = kept;
	if (sim->watch.synced != NULL)
		sim->watch.synced(sim->watch.arg);
	during(sim, true);
	return sim->dead ? -EIO : 0;
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

const struct weir_disk_ops weir_disk_sim_ops = {
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .size = sim_size,
    .close = sim_close,
};
