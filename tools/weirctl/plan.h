/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a policy is worth: how many bytes can have left by when, whatever is sent. Arithmetic only.
 *
 * Time runs from the moment when the ledger was commissioned, on Weir's clock, in whole
 * nanoseconds; what is said of t holds at every instant before t + 1 ns. An attacker who owns
 * everything inside sends all of the time and knows the policy. By then at most so much has left
 * by each limit alone:
 *
 *	rate r, burst b     ceil(r x (t + 1 ns) / 8) + b
 *	W in any T          W x (floor(t / T) + 1)
 *	L for ever          L
 *
 * Why these are bounds: a bucket lets at most rate x time + burst through in any time. The time
 * from 0 to t falls into floor(t / T) + 1 pieces that each fit into one window, and no window
 * holds more than W. A lifetime cap is never given back. A restart, a crash or a power cut makes
 * none of them larger, a reload of the same policy neither, and what has left was charged before.
 *
 * They combine as the tree does. A class is held by its rate and by the caps of all budgets above
 * it: the least of them counts. A budget is held by its own caps, by those above it, and by the sum
 * of what its classes and the budgets below it can send. A link counts the classes that some rule
 * sends by it. Each is a bound because each part is. They may be too high, as where a short and
 * a long window of one budget meet, by less than one long window; they are never too low.
 *
 * An attacker who compresses c times has to send ceil(weights / c) bytes: a byte that is charged
 * carries at most 8 bits, sizes and timing included. All sums are exact, in 128 bits.
 */
#ifndef WEIR_TOOLS_WEIRCTL_PLAN_H
#define WEIR_TOOLS_WEIRCTL_PLAN_H

#include "control/config.h"

#define WEIR_PLAN_FOREVER UINT64_MAX /* as a time: when only what is for a lifetime still holds */

enum weir_plan_kind {
	WEIR_PLAN_RATE,     /* of a class */
	WEIR_PLAN_WINDOW,   /* a cap of a budget */
	WEIR_PLAN_LIFETIME, /* likewise */
};

struct weir_plan_limit {
	enum weir_plan_kind kind;
	const char *owner;   /* the class's or budget's name */
	uint64_t bytes;      /* burst of a rate, otherwise the cap */
	uint64_t rate_bit_s; /* rate */
	uint64_t window_ns;  /* window */
};

/* What can leave by one limit alone before t_ns + 1. Without end: at least 2^100. */
weir_u128 weir_plan_limit_bytes(const struct weir_plan_limit *limit, uint64_t t_ns);

enum weir_plan_path_kind {
	WEIR_PLAN_TOTAL, /* all that leaves */
	WEIR_PLAN_LINK,
	WEIR_PLAN_BUDGET, /* and all below it */
	WEIR_PLAN_CLASS,
};

struct weir_plan_path {
	enum weir_plan_path_kind kind;
	uint32_t index; /* in the config; not of the total */
};

struct weir_plan;

/* Of a config, which must outlive it. NULL: out of memory. */
struct weir_plan *weir_plan_new(const struct weir_config *config);
void weir_plan_free(struct weir_plan *plan);

/* Index of the root in the config's budgets. */
uint32_t weir_plan_root(const struct weir_plan *plan);

/* True where some rule sends frames to the class. */
bool weir_plan_class_used(const struct weir_plan *plan, uint32_t class);

/* The number of limits of the policy, and limit i: rates of classes, then caps of budgets. */
uint32_t weir_plan_n_limits(const struct weir_plan *plan);
struct weir_plan_limit weir_plan_limit(const struct weir_plan *plan, uint32_t i);

/* What can have left by a path before t_ns + 1. */
weir_u128 weir_plan_bytes(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns);

enum weir_plan_when {
	WEIR_PLAN_AT,     /* not before *t_ns */
	WEIR_PLAN_BEYOND, /* not before 584 years, which is as far as is counted */
	WEIR_PLAN_NEVER,
};

/* From when on need_bytes (at least 1) can have left by a path, or by a limit alone. */
enum weir_plan_when weir_plan_reach(const struct weir_plan *plan, struct weir_plan_path path,
                                    uint64_t need_bytes, uint64_t *t_ns);
enum weir_plan_when weir_plan_limit_reach(const struct weir_plan_limit *limit, uint64_t need_bytes,
                                          uint64_t *t_ns);

/* A limit that holds a path, and how much it lets through. */
struct weir_plan_bind {
	struct weir_plan_limit limit;
	weir_u128 bytes;
};

/*
 * The limits that add up to weir_plan_bytes at that time: where several, each holds a part of what
 * leaves. The largest first. Returns how many; *binds is the caller's to free, NULL where none (no
 * rule sends anything by the path). Ends the process when memory runs out.
 */
uint32_t weir_plan_binds(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns,
                         struct weir_plan_bind **binds);

/* The time that the answer of weir_plan_reach is held at: until then, or for ever. */
uint64_t weir_plan_held_ns(enum weir_plan_when when, uint64_t t_ns);

/* Bytes that an attacker has to send who compresses so many times (1 to 1000000): at least 1. */
uint64_t weir_plan_need_bytes(uint64_t weights_bytes, double compression);

/*
 * The largest limits with which need_bytes can't have left before survive_ns (at least 1): a cap of
 * a window; a rate of everything together, in bit/s, beside bursts of burst_bytes. 0: none will do.
 * For a lifetime it is need_bytes - 1.
 */
uint64_t weir_plan_largest_window(uint64_t need_bytes, uint64_t survive_ns, uint64_t window_ns);
uint64_t weir_plan_largest_rate(uint64_t need_bytes, uint64_t survive_ns, uint64_t burst_bytes);

#endif
