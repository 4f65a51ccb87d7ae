/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One budget in the ledger: what it has spent, what its caps leave, and how much to grant ahead.
 * Arithmetic only: no I/O, no clock. Ledger thread.
 *
 * When a byte counts. A tick is given a time and only then reads what workers have spent: the
 * reading may hold bytes that left after that time. So a reading is stamped by the *next* tick,
 * with that tick's time, which was taken after the reading. Stamps are never too early. Bytes not
 * yet stamped are part of the grant, and count as used as every granted byte does.
 *
 * The ceiling is the least, over the caps, of
 *
 *	lifetime:  limit
 *	window:    spent + limit - used in the window
 *
 * with spent and used both as stamped. Stamping moves both alike, so a ceiling changes only when a
 * window rolls (upwards) or the caps change. What has left the window was spent by its beginning,
 * so while workers have taken no more than the ceiling, no window holds more than its limit.
 */
#ifndef WEIR_CONTROL_LEDGER_ACCOUNT_H
#define WEIR_CONTROL_LEDGER_ACCOUNT_H

#include "control/ledger.h"
#include "control/ledger_format.h"

struct weir_account_cap {
	uint64_t limit_bytes;
	struct weir_window *window; /* one of the budget's; NULL: lifetime */
};

struct weir_account {
	struct weir_ledger_budget *budget; /* durable: name, spent as stamped, windows */
	struct weir_ledger_grant *grant;   /* durable: what the last GRANTS record says */
	bool in_policy;
	bool open;              /* in credit, by this process */
	uint64_t reading_bytes; /* cumulative, as last read; at least what is stamped */
	uint64_t next_roll_ns;  /* before this clock no window has to roll */
	uint64_t ceiling_bytes; /* of the caps */
	uint64_t top_bytes;     /* of the witness: grants wait there (ledger_witness.h) */
	uint64_t known_value;  /* until the witness confirms it, nothing is granted; 0: confirmed */
	uint64_t rate_bit_s;   /* sum over the classes that charge it ... */
	uint64_t burst_bytes;  /* ... likewise: more can't be used */
	uint64_t used_bytes;   /* spent between the last two readings */
	uint64_t pace_bytes;   /* moving average of what a horizon uses */
	uint64_t target_bytes; /* how much to have ahead */
	uint64_t published_bytes;
	enum weir_credit_state published_state;
	uint64_t base_bytes;      /* charged when opened in credit */
	uint64_t base_reading;    /* what credit said then */
	uint64_t forfeited_bytes; /* by the last start */
	uint32_t n_caps;
	struct weir_account_cap caps[WEIR_CAPS_MAX];
};

/*
 * Rolls the windows to clock_ns, if that is due, and computes the ceiling anew. Returns true when
 * a window that held bytes moved on.
 */
bool weir_account_roll(struct weir_account *account, uint64_t clock_ns);

/* Stamps the last reading with the slot of the last roll, then takes a new reading. */
void weir_account_read(struct weir_account *account, uint64_t reading_bytes);

/* Counts bytes as spent now, in every window. */
void weir_account_stamp(struct weir_account *account, uint64_t bytes);

/* Computes the ceiling after a change of caps. No caps: no ceiling, UINT64_MAX. */
void weir_account_set_ceiling(struct weir_account *account);

/*
 * How grants are sized. The target is what an account should have ahead: what it uses in a horizon
 * at its present pace, but
 *
 *   at least  the floor: grant_min_bytes, or what the classes can use in lag_ns if that is more, so
 *             that traffic that begins at full rate does not run dry before the disk has answered;
 *   at most   the need: what the classes can use in a horizon, and a burst each; and
 *             grant_max_bytes.
 *
 * The target of an account that runs dry doubles with each tick, and comes down again in some tens.
 */
struct weir_account_sizing {
	uint64_t horizon_ns;
	uint64_t lag_ns;
	uint64_t grant_min_bytes, grant_max_bytes;
};

/* The target of an account that has not been paced yet. */
void weir_account_begin(struct weir_account *account, const struct weir_account_sizing *sizing);

/* Learns the pace from the last reading, step_ns after the one before, and sets the target. */
void weir_account_pace(struct weir_account *account, uint64_t step_ns,
                       const struct weir_account_sizing *sizing);

/* True when workers will soon need more than is granted, and the ceiling allows more. */
bool weir_account_is_short(const struct weir_account *account);

/*
 * What the next GRANTS record says of this budget: the grant extended to the target where less
 * than three quarters of it are left, at most to the present bound; and a new bound, twice the
 * target above it, never above the ceiling. Out of the policy: no more than there is.
 */
struct weir_ledger_grant weir_account_next(const struct weir_account *account);

/* Raises a record's bound: it covers spare_bytes above the grant (ledger_witness.h). */
void weir_account_cover(struct weir_ledger_grant *next, uint64_t spare_bytes);

/* The window of this length, or NULL. */
struct weir_window *weir_account_window(const struct weir_account *account, uint64_t window_ns);

/*
 * Adds a window, seeded by the others, in place of the shortest that no cap uses if there are too
 * many. Returns what was replaced, for the caller to free, or NULL.
 */
struct weir_window *weir_account_add_window(struct weir_account *account,
                                            struct weir_window *window, uint64_t window_ns,
                                            const struct weir_config_budget *config,
                                            uint64_t clock_ns);

/* Status, with what was read but not yet stamped counted as used. */
void weir_account_status(const struct weir_account *account,
                         struct weir_ledger_budget_status *status);

#endif
