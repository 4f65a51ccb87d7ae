/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger's file, byte by byte. All numbers are little-endian and unsigned.
 *
 * The file has exactly WEIR_LEDGER_FILE_BYTES bytes, written with zeros at commissioning, and four
 * slots:
 *
 *       offset   room (bytes)   holds
 *            0        102,400   GRANTS records with an even sequence
 *      102,400        102,400   GRANTS records with an odd sequence
 *      204,800     18,124,800   STATE records with an even sequence
 *   18,329,600     18,124,800   STATE records with an odd sequence
 *
 * Each slot starts at a multiple of 4,096. A record starts at the slot's first byte; it is written
 * with zeros up to the next multiple of 4,096, and what follows that in the slot means nothing.
 *
 * Every record starts with a header of 256 bytes, which lies in one sector:
 *
 *   offset  bytes
 *        0      8   magic: "WEIRLDGR"
 *        8      4   version of the format: 2
 *       12      4   kind: 1 STATE, 2 GRANTS
 *       16      8   sequence: 1, 2, 3, ... for each kind by itself
 *       24      4   length of the record, header included, without the zeros behind it
 *       28      4   algorithm: 1: the MAC is BLAKE2b-256 with a key of 32 bytes, the checksum
 *                   BLAKE2b-256 without one
 *       32     16   identity of the ledger: random, made at commissioning, the same in all records
 *       48     16   id of the key: BLAKE2b-128 of the key, personalised "weir-ledger-keyi"
 *       64     48   name of the appliance: 1 to 47 printable bytes (0x20 to 0x7e), then zeros
 *      112      8   boot epoch: how many times the ledger has been opened for use; at
 *                   commissioning 0
 *      120      8   the ledger's clock in ns
 *      128      8   peer: GRANTS: sequence of the newest durable STATE at the time of writing, at
 *                   least 1; STATE: of the newest durable GRANTS
 *      136      8   witness value (ledger_witness.h); 0 without a witness
 *      144      8   most bytes that the root can be granted between two witness values; 0 without
 *      152      4   kind of witness, the same in all records: 0 none, 1 file, 2 TPM
 *      156      4   number of budgets in the record: 0 to 4,096
 *      160     32   zero
 *      192     32   MAC of bytes 0 to 191 and 256 to length - 1, with the key, personalised
 *                   "weir-ledger-mac2"
 *      224     32   checksum of bytes 0 to 223 and 256 to length - 1, without a key, personalised
 *                   "weir-ledger-sum2"
 *
 * GRANTS, one for each budget, in the order of the newest STATE; 24 bytes each:
 *
 *        0      8   spent: cumulative bytes known as spent; at most the grant
 *        8      8   grant: cumulative bytes that may be spent
 *       16      8   bound: the next record's grant is at most this; at least the grant
 *
 * STATE, one for each budget ever named, its position being its id, the first one being the root;
 * 72 bytes and its windows:
 *
 *        0     48   name: 1 to 47 printable bytes, then zeros; no two alike
 *       48      8   spent: cumulative bytes that the windows know about
 *       56      4   number of windows: 0 to 8
 *       60      4   zero
 *       64      8   forfeited: bytes of spent that crashes have cost, cumulative: charged because
 *                   they had been granted, not because they were seen to leave; at most spent
 *
 *   each window, 544 bytes; no two of a budget with the same window_ns:
 *        0      8   window_ns: length W, at least 1
 *        8      8   slot_ns: W / 64, rounded up
 *       16      8   number of the newest slot: at most clock / slot_ns
 *       24    520   bytes spent in 65 slots; slot n at place n modulo 65; their sum is at
 *                   most spent
 *
 * Two sums, because they tell two things. A write that was cut off and a disk that garbles spoil
 * the checksum, and nobody is to blame. A record whose checksum is right and whose MAC is not was
 * made by somebody without the key.
 *
 * A record is valid if and only if: magic, version, algorithm and kind are the ones above; the
 * sequence is not zero and has the parity of the slot; the length fits the slot and is exactly what
 * the contents need; the checksum matches; identity and id of the key are those of the key file;
 * the MAC matches; sequence, epoch, clock, peer and witness value are below 2^63; and every rule
 * above about the contents holds.
 *
 * A slot whose record is not valid makes the whole file refused where that can't be an accident:
 * another version or algorithm behind the magic (unknown); checksum right, but another identity or
 * another key (foreign), or a wrong MAC (forged). Otherwise the slot counts as lost.
 *
 * Writing. A record with sequence s + 1 goes to the slot that does not hold s; it is synced and
 * read back before anything relies on it. So at any time at most one slot of each kind is being
 * written, and it is not the one that holds the newest durable record. At each start the epoch is
 * one more than the highest in the file; the newest record of each kind is written again where it
 * is (it may have been read from a cache that never reached the disk), then STATE, then GRANTS to
 * both slots. A STATE with new names, too, is followed by GRANTS to both slots before anything is
 * granted to them: so none of the older records can be taken for whole and forget a name.
 *
 * Reading. Of each kind, the newest valid record holds. Two valid ones must be consecutive, and
 * epoch, clock, witness value, number of budgets and, in GRANTS, what a budget has spent may not be
 * lower in the newer one; nor peer, within one epoch. A slot that is lost is a write that was cut
 * off, or bytes that the disk has garbled or can't read; which, nobody can tell, and the missing
 * record may have been in force. Therefore:
 *
 *   GRANTS  Record s was followed by at most s + 1, whose grants are at most the bounds of s. Where
 *           the other slot is lost, the bounds of s are charged instead of its grants. So a
 *           garbled record gives nothing back, and a power cut never makes the file unreadable.
 *           A record s + 1 is checked against the bounds of s while both are valid. It must be as
 *           new as the newest STATE says that it was, one less where its other slot is lost; an
 *           older one is refused.
 *   epoch   A STATE of a later epoch than the newest GRANTS s was written by a start that was cut
 *           off, or GRANTS of that start have been lost. Two GRANTS of different epochs were left
 *           by a start that was cut off, or a write of an earlier life has come late and lies over
 *           s + 1. In both cases the bounds of s are charged. What a STATE of a later epoch knows
 *           as spent is charged at least, and is a bound for the first GRANTS of its epoch: it was
 *           written by a start that found a slot lost which can be read again.
 *   witness With a witness, bounds are always charged: they cover all that was granted after the
 *           record, for as long as the witness lets it pass (ledger_witness.h).
 *   STATE   An older STATE is safe by itself, for what it does not know as spent counts as spent at
 *           the restart; but it must know all names. It must be as new as the newest GRANTS says
 *           that it was, and not of an earlier epoch; an older one is refused, for then a synced
 *           record has been lost.
 *
 * All records must bear one identity, id of the key, appliance and kind of witness; GRANTS has at
 * most as many budgets as STATE; no budget's spent in STATE is above what is charged to it by
 * GRANTS (0 where GRANTS does not have the budget). The ledger's clock and epoch are the larger
 * ones of both; its witness value is that of the newest GRANTS.
 */
#ifndef WEIR_CONTROL_LEDGER_FORMAT_H
#define WEIR_CONTROL_LEDGER_FORMAT_H

#include "control/ledger_key.h"
#include "control/ledger_window.h"
#include "control/ledger_witness.h"

#include <stddef.h>

#define WEIR_LEDGER_VERSION      2U
#define WEIR_LEDGER_ALGORITHM    1U
#define WEIR_LEDGER_BLOCK_BYTES  4096U
#define WEIR_LEDGER_HEADER_BYTES 256U
#define WEIR_LEDGER_GRANT_BYTES  24U
#define WEIR_LEDGER_BUDGET_BYTES 72U
#define WEIR_LEDGER_WINDOW_BYTES (24U + 8U * WEIR_WINDOW_RING)

/* bytes, rounded up to whole blocks: what is written. */
#define WEIR_LEDGER_BLOCKS(bytes)                                                                  \
	(((bytes) + WEIR_LEDGER_BLOCK_BYTES - 1U) / WEIR_LEDGER_BLOCK_BYTES *                      \
	 WEIR_LEDGER_BLOCK_BYTES)

#define WEIR_LEDGER_GRANTS_ROOM                                                                    \
	WEIR_LEDGER_BLOCKS(WEIR_LEDGER_HEADER_BYTES + WEIR_BUDGETS_MAX * WEIR_LEDGER_GRANT_BYTES)
#define WEIR_LEDGER_STATE_ROOM                                                                     \
	WEIR_LEDGER_BLOCKS(WEIR_LEDGER_HEADER_BYTES +                                              \
	                   WEIR_BUDGETS_MAX * (WEIR_LEDGER_BUDGET_BYTES +                          \
	                                       WEIR_CAPS_MAX * WEIR_LEDGER_WINDOW_BYTES))
#define WEIR_LEDGER_FILE_BYTES (2ULL * (WEIR_LEDGER_GRANTS_ROOM + WEIR_LEDGER_STATE_ROOM))

enum weir_ledger_kind {
	WEIR_LEDGER_STATE = 1,
	WEIR_LEDGER_GRANTS = 2,
};

/* What is the same in all records of a life, or changes seldom. */
struct weir_ledger_stamp {
	uint8_t identity[WEIR_LEDGER_IDENTITY_BYTES];
	uint8_t key_id[WEIR_LEDGER_KEY_ID_BYTES];
	char appliance[WEIR_NAME_SIZE];
	uint64_t epoch;
	enum weir_witness_kind witness_kind;
	uint64_t witness_value;
	uint64_t witness_limit_bytes;
};

/* What a header says. */
struct weir_ledger_header {
	enum weir_ledger_kind kind;
	uint64_t sequence;
	struct weir_ledger_stamp stamp;
	uint64_t clock_ns;
	uint64_t peer_sequence;
	uint32_t n_budgets;
	uint32_t length_bytes; /* by weir_ledger_check; encoding computes it */
};

/* One budget in GRANTS. */
struct weir_ledger_grant {
	uint64_t spent_bytes;
	uint64_t grant_bytes;
	uint64_t bound_bytes;
};

/* One budget in STATE. */
struct weir_ledger_budget {
	char name[WEIR_NAME_SIZE];
	uint64_t spent_bytes;
	uint64_t forfeited_bytes;
	uint32_t n_windows;
	struct weir_window *windows[WEIR_CAPS_MAX];
};

/* What weir_ledger_check says of a slot. */
enum weir_ledger_verdict {
	WEIR_LEDGER_VALID = 0,
	WEIR_LEDGER_BLANK, /* the header is all zero: never written */
	WEIR_LEDGER_NO_MAGIC,
	WEIR_LEDGER_UNKNOWN, /* another version or algorithm: refuse the file */
	WEIR_LEDGER_BAD_KIND,
	WEIR_LEDGER_BAD_SEQUENCE,
	WEIR_LEDGER_BAD_LENGTH,
	WEIR_LEDGER_BAD_CHECKSUM,     /* torn or garbled */
	WEIR_LEDGER_FOREIGN_IDENTITY, /* whole, of another ledger: refuse the file */
	WEIR_LEDGER_FOREIGN_KEY,      /* whole, of this ledger, another key: refuse the file */
	WEIR_LEDGER_BAD_MAC,          /* whole, but forged: refuse the file */
	WEIR_LEDGER_BAD_CONTENTS,
	WEIR_LEDGER_UNREADABLE, /* the disk did not give it; never by weir_ledger_check */
};

/* The verdict in words. */
const char *weir_ledger_verdict_name(enum weir_ledger_verdict verdict);

/* Offset in the file of the slot for a record. */
uint64_t weir_ledger_slot_offset(enum weir_ledger_kind kind, uint64_t sequence);

/* Bytes of a slot. */
size_t weir_ledger_slot_room(enum weir_ledger_kind kind);

/*
 * Length that the record at data claims, at least a header and at most the slot's room, or 0 where
 * it has none. data: WEIR_LEDGER_HEADER_BYTES. To know how much to read, nothing more.
 */
size_t weir_ledger_claimed_bytes(const uint8_t *data, enum weir_ledger_kind kind);

/*
 * Applies the rule for a valid record to the first room bytes of a slot. parity: sequence & 1 of
 * the slot. key: NULL for readers that have none: identity, key and MAC are then not checked.
 * header is filled when the checksum matches, so also when the record is foreign or forged; its
 * name is fit to print in any case. No input does harm.
 */
enum weir_ledger_verdict weir_ledger_check(const uint8_t *data, size_t room,
                                           enum weir_ledger_kind kind, uint32_t parity,
                                           const struct weir_ledger_key *key,
                                           struct weir_ledger_header *header);

/* Bytes that a STATE of these budgets takes, header included. */
size_t weir_ledger_state_bytes(const struct weir_ledger_budget *budgets, uint32_t n_budgets);

/* Bytes that a GRANTS of so many budgets takes, header included. */
size_t weir_ledger_grants_bytes(uint32_t n_budgets);

/*
 * Encodes a record to data, which has room for its bytes rounded up to whole blocks, and fills the
 * last block with zeros. It is sealed with key, whose identity and id must be those in the header.
 * Returns the bytes to write: whole blocks. What was encoded is checked again by the rule for
 * reading.
 */
size_t weir_ledger_encode_state(const struct weir_ledger_key *key,
                                const struct weir_ledger_header *header,
                                const struct weir_ledger_budget *budgets, uint8_t *data);
size_t weir_ledger_encode_grants(const struct weir_ledger_key *key,
                                 const struct weir_ledger_header *header,
                                 const struct weir_ledger_grant *grants, uint8_t *data);

/*
 * Decodes a record that weir_ledger_check found valid. Windows are allocated: on -ENOMEM and
 * later, free those that are not NULL. budgets and grants have room for header->n_budgets.
 */
int weir_ledger_decode_state(const uint8_t *data, const struct weir_ledger_header *header,
                             struct weir_ledger_budget *budgets)
    __attribute__((warn_unused_result));
void weir_ledger_decode_grants(const uint8_t *data, const struct weir_ledger_header *header,
                               struct weir_ledger_grant *grants);

#endif
