/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ledger and its witness: how an older copy of the ledger is told from the newest one, and how
 * much it can hide at most. Arithmetic only: no I/O, no clock. Ledger thread.
 *
 * Every record bears a number, its witness value. The rule for advancing from v to v + 1:
 *
 *   both GRANTS slots written and synced with v + 1  ->  witness advanced to v + 1  ->  confirmed
 *
 * So a ledger's newest GRANTS record says v or v + 1 when its witness stands at v, and one that
 * says less has been put back. The witness is advanced at each start, at each clean stop, each time
 * the root has been granted every_bytes since the last time, and at least each interval_ns.
 *
 * While the witness stands at v, some older copies of the ledger will do as well: all those that
 * say v, the oldest being the first record that did. None of them gives a byte back. From that
 * first record until the witness has confirmed v + 1, the root is granted at most limit = 2 x
 * every_bytes more; grants wait otherwise. And each record's bounds (ledger_format.h) cover what
 * can still be granted before that limit is reached, to each budget; and a start charges bounds,
 * not grants. So a copy that is put back charges at least what has been sent since. The price is
 * that a crash costs each budget up to limit bytes, besides what was granted ahead: a smaller
 * every_bytes makes it cheaper, and wears the witness more. A clean stop costs nothing: its bounds
 * are exact.
 *
 * One value never serves two lives, and no budget is granted anything that a believed copy does not
 * know by name: a start advances the witness twice, past all that earlier lives can have written,
 * and a budget that is new waits until the witness has confirmed a value whose records all name it.
 *
 * A ledger that is n values older than its witness is refused; what it does not know of is at most
 * (n + 1) x limit bytes, which is what the refusal says.
 */
#ifndef WEIR_CONTROL_LEDGER_WITNESS_H
#define WEIR_CONTROL_LEDGER_WITNESS_H

#include "control/ledger_refusal.h"
#include "drivers/units.h"

#include <stddef.h>

enum weir_witness_kind {
	WEIR_WITNESS_NONE = 0,
	WEIR_WITNESS_FILE,
	WEIR_WITNESS_TPM,
};

#define WEIR_WITNESS_START_NS (10 * WEIR_NS_PER_S) /* for an answer at start and stop */
#define WEIR_WITNESS_RETRY_NS (10 * WEIR_NS_PER_S) /* after a failure */

/* "none", "file", "tpm". */
const char *weir_witness_kind_name(enum weir_witness_kind kind);

/*
 * Judges a ledger whose newest GRANTS say ledger_value by a witness that stands at value.
 * limit_bytes: most that the root can be granted between two values. error gets one line: what was
 * expected, what was found, and at most how many bytes can be hidden. NONE, ROLLED_BACK or
 * WITNESS_BEHIND.
 */
enum weir_ledger_refusal weir_ledger_witness_judge(uint64_t ledger_value, uint64_t value,
                                                   uint64_t limit_bytes, char *error,
                                                   size_t error_size);

/* 2 x every_bytes. */
uint64_t weir_ledger_witness_limit(uint64_t every_bytes);

/*
 *   IDLE -- due --> WRITING -- both slots durable, asked --> ASKED -- confirmed --> IDLE
 *                                                              |  ^
 *                                                         failed  asked again, after a while
 *                                                              v  |
 *                                                             FAILED
 */
enum weir_ledger_witness_state {
	WEIR_WITNESS_IDLE = 0,
	WEIR_WITNESS_WRITING, /* records with the next value are being written */
	WEIR_WITNESS_ASKED,   /* the witness was asked to advance */
	WEIR_WITNESS_FAILED,  /* it did not */
};

struct weir_ledger_witness {
	enum weir_witness_kind kind; /* NONE: nothing else here means anything */
	uint64_t every_bytes, interval_ns;
	enum weir_ledger_witness_state state;
	uint64_t value;           /* that the witness has confirmed */
	uint64_t base_bytes;      /* the root's grant in the first record with value */
	uint64_t next_base_bytes; /* in the first record with value + 1, once that is ... */
	bool next_known;          /* ... decided */
	uint64_t since_ns;        /* ledger's clock when value was confirmed */
	uint64_t asked_ns;        /* ... when it was last asked, or failed */
	uint64_t wanted_value;    /* to advance to without waiting for bytes or time; 0: none */
	int error;                /* of the last answer; 0: confirmed */
	uint64_t failures;        /* answers that were errors, since the start */
};

/* Value for new records: in IDLE the confirmed one, otherwise the next. 0 without a witness. */
uint64_t weir_ledger_witness_stamp(const struct weir_ledger_witness *witness);

/* The root's grant must not pass this. UINT64_MAX without a witness. */
uint64_t weir_ledger_witness_top(const struct weir_ledger_witness *witness);

/*
 * The root's next grant is decided. Returns how many bytes more, beyond that, it can be granted
 * before a ledger with this record is refused: the record's bounds must cover them. 0 without a
 * witness.
 */
uint64_t weir_ledger_witness_spare(struct weir_ledger_witness *witness, uint64_t root_grant_bytes);

/* True in IDLE when it is time to advance. */
bool weir_ledger_witness_due(const struct weir_ledger_witness *witness, uint64_t root_grant_bytes,
                             uint64_t clock_ns);

/* True in ASKED when the answer has been outstanding for too long: somebody should know. */
bool weir_ledger_witness_is_late(const struct weir_ledger_witness *witness, uint64_t clock_ns);

/* True in FAILED when it is time to ask again. */
bool weir_ledger_witness_again(const struct weir_ledger_witness *witness, uint64_t clock_ns);

/* IDLE to WRITING; WRITING or FAILED to ASKED; ASKED to IDLE, or by an error to FAILED. */
void weir_ledger_witness_begin(struct weir_ledger_witness *witness);
void weir_ledger_witness_asked(struct weir_ledger_witness *witness, uint64_t clock_ns);
void weir_ledger_witness_answered(struct weir_ledger_witness *witness, int answer,
                                  uint64_t clock_ns);

#endif
