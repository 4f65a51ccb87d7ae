/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rate limits in the NIC's own send queues: one small table of functions for each interface that
 * DPDK has for them, and what can be learnt of a port before its first limit is set.
 *
 * They are a second wall and a smoother, never the authority: a class's token bucket and its
 * budgets decide in software what may leave. What is programmed here is measured where the driver
 * tells what has left, and said not to be elsewhere (control/hardware.h).
 *
 * Units: rates are bit/s, decimal, 1 to 1e12. What a NIC counts for a frame differs
 * (capabilities.uncounted_bytes); the bucket counts wire bytes, which are the most.
 *
 * Rounding: always down, and never to 0. A rate that the hardware can't hold without rounding up,
 * or by rounding down by more than WEIR_LIMITER_LOSS_PPM, is not programmed: the class is then
 * limited in software alone, which is told as such. 0 is never sent to a driver, because it means
 * "unlimited" to some and "blocked" to others.
 *
 * Order: a limiter is made for a started port whose link is up (ethdev compares rates with the
 * link's speed), and made again after each start, reset and change of the link, before any frame is
 * sent: many NICs forget or rescale their limits then. All functions: control thread, port used by
 * no worker where the capability says "stops".
 */
#ifndef WEIR_DRIVERS_LIMITER_H
#define WEIR_DRIVERS_LIMITER_H

#include "drivers/limiter_driver.h"
#include "drivers/port.h"

#define WEIR_TX_QUEUES_MAX    64U   /* limited send queues of one port */
#define WEIR_LIMITER_LOSS_PPM 10000 /* most that rounding down may take away */
/*
 * What a limit without a burst of its own may save up, besides two of the largest frames: the 82599
 * 4 KiB. It would be 20 KiB with frames of 9,728 bytes, which no port here takes.
 */
#define WEIR_LIMITER_SAVED_BYTES 4096U

/* "auto", "tm", "queue", "soft". */
const char *weir_limiter_kind_name(enum weir_limiter_kind kind);

/* What a change of one queue's rate costs the others. */
enum weir_limiter_change {
	WEIR_LIMITER_LIVE = 0, /* nothing: only that queue changes */
	WEIR_LIMITER_STOPS, /* all queues stop and may lose what is in their rings: drain first */
};

struct weir_limiter_capabilities {
	uint32_t n_queues;             /* that can be limited one by one */
	uint64_t min_bit_s, max_bit_s; /* of one queue; max follows the link's speed */
	uint64_t step_bit_s;           /* 0: not a fixed step, see weir_limiter_round */
	uint32_t burst_bytes;          /* the hardware's own, if it can't be set; otherwise 0 */
	uint32_t uncounted_bytes; /* of a frame's wire bytes, the most that a limit may not count */
	enum weir_limiter_change change; /* of a rate, while frames are sent */
	bool port_limit;                 /* the whole port can be limited, too */
	bool completions; /* it tells which frames have left: its row says so, and the port's */
};

struct weir_limiter;

/*
 * What each kind does. Rates are given to program_* in the interface's own unit, as
 * weir_limiter_driver_value picks them: Mbit/s, or bytes/s with rte_tm; never 0.
 */
struct weir_limiter_ops {
	enum weir_limiter_kind kind;
	/*
	 * Learns what the port can do, and limits nothing. 0; -ENOTSUP with one line in error: not
	 * by this interface; -ENOMEM.
	 */
	int (*probe)(struct weir_limiter *limiter, char *error, size_t error_size);
	/*
	 * Limits a queue (below n_queues) from now on or, where it has commit, from the commit on.
	 * burst_bytes: the class's; the hardware's may be smaller.
	 */
	int (*program_queue)(struct weir_limiter *limiter, uint16_t queue, uint64_t value,
	                     uint32_t burst_bytes);
	/* Limits all queues together. NULL: it can't. */
	int (*program_port)(struct weir_limiter *limiter, uint64_t value, uint32_t burst_bytes);
	/* Takes that limit away again, by taking the limiter away, not by a rate of 0. */
	int (*clear_port)(struct weir_limiter *limiter);
	/* Puts what was programmed in force. NULL: it is at once. */
	int (*commit)(struct weir_limiter *limiter, char *error, size_t error_size);
	/*
	 * Reads a queue's rate back. 0 and *rate_bit_s; -ENOTSUP: there is no getter, which is the
	 * rule; a negative errno: it could not be read. -EILSEQ: it is not what was programmed.
	 */
	int (*verify)(struct weir_limiter *limiter, uint16_t queue, uint64_t *rate_bit_s);
	/* One line: the interface, what it can do, what it is known to do wrong. */
	void (*describe)(const struct weir_limiter *limiter, char *line, size_t size);
	/* Forgets the hierarchy and frees what probe and program took. The port may be stopped. */
	void (*release)(struct weir_limiter *limiter);
};

struct weir_limiter {
	const struct weir_limiter_ops *ops;
	const struct weir_limiter_driver *driver; /* never NULL: unknown ones have a row, too */
	struct weir_limiter_capabilities capabilities;
	uint16_t port_id;
	/*
	 * A group is a limited thing: one send queue of each of the n_senders workers that send on
	 * the port. The port's queue of sender s in group g is s x n_queues + g. "Queue g" below
	 * means it.
	 */
	uint16_t n_queues;
	uint16_t n_senders;  /* more than 1 only with rte_tm, whose groups hold them together */
	uint64_t link_bit_s; /* the link's speed when it was made; 0: the driver doesn't know */
	/* 0: not limited in hardware, or not known. Otherwise what the hardware holds at most. */
	uint64_t programmed_bit_s[WEIR_TX_QUEUES_MAX];
	uint64_t port_bit_s;                                 /* the same of the whole port */
	uint32_t programmed_burst_bytes[WEIR_TX_QUEUES_MAX]; /* as asked */
	uint32_t port_burst_bytes;
	bool changed; /* something was programmed since the last commit */
	void *state;  /* ops' own */
};

extern const struct weir_limiter_ops weir_limiter_tm, weir_limiter_queue, weir_limiter_soft;

/*
 * The most send queues that each of n_senders workers can use on a port of a driver, as far as can
 * be said before it is set up: queue 0 and those to be limited. 1: none can be limited.
 */
uint16_t weir_limiter_queues(const char *driver, enum weir_limiter_kind wanted, uint16_t n_senders);

/*
 * Makes the limiter of a started port whose link runs at link_bit_s, with n_senders x n_queues send
 * queues: no more where rte_tm is to be used.
 * wanted AUTO: the first of tm and queue that the driver's row allows and the probe confirms;
 * otherwise soft. TM or QUEUE: that one or a failure. reason gets one line that says why it is
 * soft, or "". Returns 0; -ENOTSUP with one line in reason (the wanted one is not to be had);
 * -ENOMEM. Where the interface offers no other way to ask, the last queue is limited to the link's
 * speed for that.
 */
int weir_limiter_open(const struct weir_port *port, enum weir_limiter_kind wanted,
                      uint16_t n_queues, uint16_t n_senders, uint64_t link_bit_s,
                      struct weir_limiter *limiter, char *reason, size_t reason_size)
    __attribute__((warn_unused_result));

/* Undoes it. The limits themselves stay in the NIC. */
void weir_limiter_close(struct weir_limiter *limiter);

/*
 * The largest rate of at most rate_bit_s that the hardware holds exactly or, by its own rounding,
 * at less; 0 where there is none within WEIR_LIMITER_LOSS_PPM: the class stays in software.
 */
uint64_t weir_limiter_round(const struct weir_limiter *limiter, uint64_t rate_bit_s);

/*
 * Programs one queue to weir_limiter_round(rate_bit_s). Where that is 0 nothing is programmed and
 * -ERANGE comes back. A queue whose rate can't be taken away again by the driver keeps its old one.
 * Returns 0 or -errno; the queue's rate is then not known (programmed_bit_s is 0) until it is set.
 */
int weir_limiter_set_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t rate_bit_s,
                           uint32_t burst_bytes) __attribute__((warn_unused_result));

/* The whole port, in the same way. -ENOTSUP where it can't be. */
int weir_limiter_set_port(struct weir_limiter *limiter, uint64_t rate_bit_s, uint32_t burst_bytes)
    __attribute__((warn_unused_result));

/*
 * Takes the whole port's limit away, in force or not known. Returns 0, also where a port can't have
 * one; or -errno: it is not known, and may still throttle the port.
 */
int weir_limiter_clear_port(struct weir_limiter *limiter) __attribute__((warn_unused_result));

/*
 * Commits if anything was programmed since the last commit. 0 or -errno with one line in error: no
 * limit of the port is known then (all programmed are 0), and it may send nothing before a commit
 * has succeeded or it was restarted.
 */
int weir_limiter_commit(struct weir_limiter *limiter, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* What ops->describe tells, by the words that stand for the interface ("rte_tm"). */
void weir_limiter_describe(const struct weir_limiter *limiter, const char *interface, char *line,
                           size_t size);

/* A policer behind all of it, where the port has one: rte_mtr on all egress. See limiter_mtr.c. */
struct weir_limiter_meter {
	uint16_t port_id;
	uint32_t meter_id;
	uint32_t profile_id;
	uint64_t asked_bit_s; /* and what became of it: 0: there is no meter */
	uint64_t rate_bit_s;
	uint32_t asked_burst_bytes;
	void *flow;
};

/*
 * Polices all that the port sends to rate_bit_s with burst_bytes, both rounded up to what the meter
 * can hold: it only drops what the limits before it let through wrongly. Returns 0; -ENOTSUP (the
 * port has no meter for egress); or -errno.
 */
int weir_limiter_meter_set(struct weir_limiter_meter *meter, uint16_t port_id, uint64_t rate_bit_s,
                           uint32_t burst_bytes) __attribute__((warn_unused_result));

/*
 * Polices to another rate or burst from now on, without a moment in which nothing is policed.
 * Returns 0; -ENOTSUP (this one can't: it has to be cleared and set anew) or another -errno: it
 * polices as before.
 */
int weir_limiter_meter_change(struct weir_limiter_meter *meter, uint64_t rate_bit_s,
                              uint32_t burst_bytes) __attribute__((warn_unused_result));

/*
 * Frames that it let pass (green, yellow) and dropped, since it was set; 0 for what the NIC doesn't
 * count. 0 or -errno.
 */
int weir_limiter_meter_read(const struct weir_limiter_meter *meter, uint64_t *passed_frames,
                            uint64_t *dropped_frames) __attribute__((warn_unused_result));
void weir_limiter_meter_clear(struct weir_limiter_meter *meter);

#endif
