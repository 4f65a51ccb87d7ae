/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger's key: made with the ledger, kept in a file of its own, mode 0400, never changed.
 * One JSON object:
 *
 *   {"weir_ledger_key": 1, "appliance": NAME, "identity": 32 hex digits, "key": 64 hex digits}
 *
 * Whoever has the key can write a ledger that Weir believes. Whoever has lost it needs a new
 * ledger.
 */
#ifndef WEIR_CONTROL_LEDGER_KEY_H
#define WEIR_CONTROL_LEDGER_KEY_H

#include "drivers/units.h"
#include "drivers/witness.h"

#define WEIR_LEDGER_IDENTITY_BYTES 16U
#define WEIR_LEDGER_KEY_ID_BYTES   16U
#define WEIR_LEDGER_KEY_BYTES      32U

struct weir_ledger_key {
	char appliance[WEIR_NAME_SIZE];               /* that it was commissioned for */
	uint8_t identity[WEIR_LEDGER_IDENTITY_BYTES]; /* of its ledger */
	uint8_t id[WEIR_LEDGER_KEY_ID_BYTES];         /* BLAKE2b of key: tells keys apart */
	uint8_t key[WEIR_LEDGER_KEY_BYTES];
};

/* A new key and identity, random. Only in memory. */
void weir_ledger_key_make(const char *appliance, struct weir_ledger_key *key);

/*
 * Reads a key file. Refused: one that is no regular file, that others than its owner may read or
 * anyone may write or run (anything but mode 0400), or whose owner is neither root nor the user of
 * this process; and one with anything else in it. error gets one line. Returns 0; -ENOENT; -EACCES
 * (mode or owner); -EINVAL (contents); or another -errno.
 */
int weir_ledger_key_load(const char *path, struct weir_ledger_key *key, char *error,
                         size_t error_size) __attribute__((warn_unused_result));

/* Writes a new file, mode 0400, contents and name durable. -EEXIST where the name is taken. */
int weir_ledger_key_save(const char *path, const struct weir_ledger_key *key)
    __attribute__((warn_unused_result));

/* What the witness is opened with: derived from the key, of no use for anything else. */
void weir_ledger_key_secret(const struct weir_ledger_key *key,
                            uint8_t secret[WEIR_WITNESS_SECRET_BYTES]);

/* Overwrites it. */
void weir_ledger_key_wipe(struct weir_ledger_key *key);

#endif
