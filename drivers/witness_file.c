/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness in a file of 8,192 bytes: two copies of 4,096 bytes each, numbers little-endian.
 *
 *   offset  bytes  in each copy
 *        0      8  magic, "WEIRWITN"
 *        8      4  version, 1
 *       12      4  number of the copy: 0 for the one at 0, 1 for the one at 4,096
 *       16      8  value; its lowest bit is the number of the copy
 *       24     40  zero
 *       64     32  MAC: BLAKE2b-256 of bytes 0 to 63, its key the secret, personal MAC_PERSONAL
 *       96   3968  zero
 *     4064     32  checksum: BLAKE2b-256 of bytes 0 to 4,063, without a key
 *
 * A copy is whole when its checksum is right and so is all else but the MAC, and valid when its MAC
 * is right as well. A copy that is whole and not valid bears another secret: then the file is
 * another ledger's. A copy that is not whole is damaged.
 *
 * Value v goes into copy v mod 2, over v - 2, so that v - 1 is there while v is being written. It
 * is written, synced and read back; only then does it count for the caller.
 *
 *   both valid, one apart    the higher one
 *   both valid, else         as if the lower one were damaged: it was put back, or never written
 *   one valid, with v        v + 1: what was in the damaged one may have been that
 *   none valid               damaged
 *
 * So one damaged copy never makes the value lower. A damaged copy is written anew, with the value
 * that it counts as, before the other one is touched. Not protected: both copies put back, or the
 * higher one alone to exactly two values before.
 */
#include "drivers/disk.h"
#include "drivers/witness.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPIES         2U
#define COPY_BYTES     4096U
#define VERSION        1U
#define FIRST_VALUE    1U
#define MAC_BYTES      32U
#define CHECKSUM_BYTES 32U

static const char magic[8] = {'W', 'E', 'I', 'R', 'W', 'I', 'T', 'N'};
#define MAC_PERSONAL "weir-witness-001" /* 16 bytes: crypto_generichash_blake2b_PERSONALBYTES */

struct copy {
	char magic[8];
	uint32_t version;
	uint32_t number;
	uint64_t value;
	uint8_t zero[40];
	uint8_t mac[MAC_BYTES];
	uint8_t more_zero[3968];
	uint8_t checksum[CHECKSUM_BYTES];
};
static_assert(sizeof(struct copy) == COPY_BYTES, "a copy as on disk");
static_assert(COPY_BYTES % WEIR_DISK_BLOCK_BYTES == 0, "a copy is written as whole blocks");
static_assert(offsetof(struct copy, mac) == 64 && offsetof(struct copy, checksum) == 4064,
              "a copy as on disk");
static_assert(sizeof(MAC_PERSONAL) - 1 == crypto_generichash_blake2b_PERSONALBYTES,
              "as long as BLAKE2b wants it");

enum copy_state {
	COPY_DAMAGED = 0,
	COPY_FOREIGN,
	COPY_VALID,
};

struct witness_file {
	struct weir_witness witness;
	struct weir_disk *disk; /* NULL: to be opened at the next call */
	bool durable;           /* the copy with the value was written and synced by disk */
	uint8_t secret[WEIR_WITNESS_SECRET_BYTES];
	struct copy *scratch; /* aligned for the disk */
	char path[];
};

static struct witness_file *
file_of(struct weir_witness *witness)
{
	return (struct witness_file *)witness;
}

static void
compute_mac(const struct witness_file *file, const struct copy *copy, uint8_t mac[MAC_BYTES])
{
	const uint8_t *personal = (const uint8_t *)MAC_PERSONAL;

	(void)crypto_generichash_blake2b_salt_personal(mac, MAC_BYTES, (const uint8_t *)copy,
	                                               offsetof(struct copy, mac), file->secret,
	                                               sizeof(file->secret), NULL, personal);
}

static void
compute_checksum(const struct copy *copy, uint8_t checksum[CHECKSUM_BYTES])
{
	(void)crypto_generichash_blake2b(checksum, CHECKSUM_BYTES, (const uint8_t *)copy,
	                                 offsetof(struct copy, checksum), NULL, 0);
}

static uint64_t
offset_of(uint64_t value)
{
	return value % COPIES * COPY_BYTES;
}

static void
make_copy(const struct witness_file *file, uint64_t value, struct copy *copy)
{
	memset(copy, 0, sizeof(*copy));
	memcpy(copy->magic, magic, sizeof(magic));
	copy->version = htole32(VERSION);
	copy->number = htole32((uint32_t)(value % COPIES));
	copy->value = htole64(value);
	compute_mac(file, copy, copy->mac);
	compute_checksum(copy, copy->checksum);
}

/* Reads copy number; value only when it is COPY_VALID. */
static int
read_copy(struct witness_file *file, uint32_t number, enum copy_state *state, uint64_t *value)
{
	struct copy *copy = file->scratch;
	uint8_t mac[MAC_BYTES], checksum[CHECKSUM_BYTES];
	int rc = file->disk->ops->read(file->disk, copy, sizeof(*copy), offset_of(number));

	*state = COPY_DAMAGED;
	if (rc != 0)
		return rc;
	compute_checksum(copy, checksum);
	if (memcmp(checksum, copy->checksum, sizeof(checksum)) != 0 ||
	    memcmp(copy->magic, magic, sizeof(magic)) != 0)
		return 0;
	if (le32toh(copy->version) != VERSION)
		return -EPROTONOSUPPORT;
	*value = le64toh(copy->value);
	if (le32toh(copy->number) != number || *value % COPIES != number ||
	    !sodium_is_zero(copy->zero, sizeof(copy->zero)) ||
	    !sodium_is_zero(copy->more_zero, sizeof(copy->more_zero)))
		return 0;
	compute_mac(file, copy, mac);
	*state = sodium_memcmp(mac, copy->mac, sizeof(mac)) == 0 ? COPY_VALID : COPY_FOREIGN;
	return 0;
}

/* The value, by the rule above; it is not durable when only one copy says so. */
static int
read_copies(struct witness_file *file, uint64_t *value)
{
	enum copy_state state[COPIES];
	uint64_t values[COPIES] = {0}, bytes = 0, high, low;
	int rc = file->disk->ops->size(file->disk, &bytes);

	if (rc == 0 && bytes != sizeof(struct copy) * COPIES)
		rc = -EBADMSG;
	for (uint32_t i = 0; rc == 0 && i < COPIES; i++)
		rc = read_copy(file, i, &state[i], &values[i]);
	if (rc != 0)
		return rc;
	if (state[0] == COPY_FOREIGN || state[1] == COPY_FOREIGN)
		return -EACCES;
	if (state[0] == COPY_DAMAGED && state[1] == COPY_DAMAGED)
		return -EBADMSG;
	if (state[0] == COPY_VALID && state[1] == COPY_VALID) {
		high = values[0] > values[1] ? values[0] : values[1];
		low = values[0] > values[1] ? values[1] : values[0];
		if (high - low == 1) {
			*value = high;
			return 0;
		}
	} else {
		high = state[0] == COPY_VALID ? values[0] : values[1];
	}
	if (high == UINT64_MAX)
		return -EOVERFLOW;
	file->durable = false;
	*value = high + 1;
	return 0;
}

/* Writes the copy that value belongs into; 0 when it is durable. */
static int
write_copy(struct witness_file *file, uint64_t value)
{
	struct weir_disk *disk = file->disk;
	enum copy_state state;
	uint64_t found;
	int rc;

	make_copy(file, value, file->scratch);
	rc = disk->ops->write(disk, file->scratch, sizeof(*file->scratch), offset_of(value));
	if (rc == 0)
		rc = disk->ops->sync(disk);
	if (rc == 0)
		rc = read_copy(file, (uint32_t)(value % COPIES), &state, &found);
	if (rc == 0 && (state != COPY_VALID || found != value))
		rc = -EIO;
	return rc;
}

/*
 * After an error of the file system nothing is known of what is on the disk, nor is the descriptor
 * good for much (ESTALE): the next call opens the file anew.
 */
static void
let_go(struct witness_file *file)
{
	if (file->disk != NULL)
		file->disk->ops->close(file->disk);
	file->disk = NULL;
	file->durable = false;
}

static int
file_read(struct weir_witness *witness, uint64_t *value)
{
	struct witness_file *file = file_of(witness);
	int rc = file->disk != NULL ? 0 : weir_disk_open_file(file->path, &file->disk);

	if (rc == 0)
		rc = read_copies(file, value);
	if (rc != 0)
		let_go(file);
	return rc;
}

static int
file_advance(struct weir_witness *witness, uint64_t value)
{
	struct witness_file *file = file_of(witness);
	uint64_t now;
	int rc = file_read(witness, &now);

	if (rc != 0)
		return rc;
	if (now != value && now != value - 1)
		return -ERANGE;
	/*
	 * What was read may be damaged, or only in the page cache since a sync failed. It has to be
	 * whole on the disk before the other copy is written over.
	 */
	if (!file->durable)
		rc = write_copy(file, now);
	if (rc == 0 && now != value)
		rc = write_copy(file, value);
	if (rc == 0)
		file->durable = true;
	else
		let_go(file);
	return rc;
}

static void
file_close(struct weir_witness *witness)
{
	struct witness_file *file = file_of(witness);

	let_go(file);
	sodium_memzero(file->secret, sizeof(file->secret));
	free(file->scratch);
	free(file);
}

static const struct weir_witness_ops file_ops = {
    .read = file_read,
    .advance = file_advance,
    .close = file_close,
};

static struct witness_file *
make(const char *path, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES])
{
	size_t bytes = strlen(path) + 1;
	struct witness_file *file = calloc(1, sizeof(*file) + bytes);

	if (file == NULL)
		return NULL;
	file->scratch = aligned_alloc(WEIR_DISK_BLOCK_BYTES, COPY_BYTES);
	if (file->scratch == NULL) {
		free(file);
		return NULL;
	}
	file->witness.ops = &file_ops;
	memcpy(file->secret, secret, sizeof(file->secret));
	memcpy(file->path, path, bytes);
	return file;
}

int
weir_witness_open_file(const char *path, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                       struct weir_witness **witness)
{
	struct witness_file *file = make(path, secret);
	uint64_t value;
	int rc;

	if (file == NULL)
		return -ENOMEM;
	rc = weir_witness_read(&file->witness, WEIR_WITNESS_OPEN_LIMIT_NS, &value);
	if (rc == 0)
		*witness = &file->witness;
	else if (rc != -ETIMEDOUT)
		file_close(&file->witness);
	return rc;
}

int
weir_witness_create_file(const char *path, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                         struct weir_witness **witness)
{
	struct witness_file *file = make(path, secret);
	int rc;

	if (file == NULL)
		return -ENOMEM;
	rc = weir_disk_create_file(path, sizeof(struct copy) * COPIES, &file->disk);
	if (rc == 0) {
		rc = write_copy(file, FIRST_VALUE - 1);
		if (rc == 0)
			rc = write_copy(file, FIRST_VALUE);
		if (rc != 0)
			(void)unlink(path); /* this call made it, so this call removes it */
	}
	if (rc != 0) {
		file_close(&file->witness);
		return rc;
	}
	file->durable = true;
	*witness = &file->witness;
	return 0;
}
