/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ledger's file, read and judged: for the commands that look at one offline. It is read once,
 * without the lock, and nothing is ever written, so that what is shown of each slot and what
 * is said of the file come from the same bytes.
 */
#ifndef WEIR_TOOLS_WEIRCTL_LEDGER_FILE_H
#define WEIR_TOOLS_WEIRCTL_LEDGER_FILE_H

#include "control/ledger_recover.h"
#include "tools/weirctl/command.h"

#include <limits.h>

#define WEIR_LEDGER_SLOTS 4U /* two of GRANTS, then two of STATE, as they lie in the file */

struct weir_ledger_slot {
	enum weir_ledger_kind kind;
	uint32_t parity; /* of the sequences that it is for */
	uint64_t offset_bytes;
	/* By the key, where there is one. */
	enum weir_ledger_verdict verdict;
	/* By the checksum alone: whether it is a whole record, whoever wrote it; then its header.
	 */
	bool whole;
	struct weir_ledger_header header;
};

struct weir_ledger_file {
	const char *path;
	char key_path[PATH_MAX];
	bool has_key;
	struct weir_ledger_key key;
	bool in_use; /* a process has it open for use */
	uint8_t *data;
	uint64_t bytes;
	struct weir_ledger_slot slots[WEIR_LEDGER_SLOTS];
	/* Of the file, by everything but its witness, and the line that comes with it. */
	enum weir_ledger_refusal refusal;
	char error[1024];
	/* As accepted, or else what the newest whole record of each kind says. */
	struct weir_ledger_recovered recovered;
	bool has_state, has_grants; /* and which kinds there are */
};

/*
 * Reads and judges. key_path: NULL for the file's name and ".key"; if that does not exist, MACs are
 * not checked. Returns WEIR_EXIT_OK, whatever the verdict; or WEIR_EXIT_USAGE with a line in error
 * where the file or the key can't be read.
 */
enum weir_exit weir_ledger_file_load(struct weir_ledger_file *file, const char *path,
                                     const char *key_path, struct weir_error *error);

void weir_ledger_file_free(struct weir_ledger_file *file);

/* One line: whether and with which key MACs were checked. */
void weir_ledger_file_print_key(const struct weir_ledger_file *file);

/* For JSON, which has signed numbers: what is above them becomes the largest. */
json_t *weir_ledger_file_number(uint64_t number);

/* The members that all JSON about a file begins with. */
json_t *weir_ledger_file_json(const struct weir_ledger_file *file);

/* A kind of records as it is printed. */
const char *weir_ledger_file_kind(enum weir_ledger_kind kind);

#endif
