/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What makes a model one of a driver: the arithmetic of its registers, when it loses them, what it
 * refuses. Read in DPDK v22.11.11. And what the parts of the model call of each other; the caller
 * holds the lock.
 */
#ifndef WEIR_TESTS_NIC_MODEL_FAMILY_H
#define WEIR_TESTS_NIC_MODEL_FAMILY_H

#include "tests/nic/model.h"

#define WEIR_MODEL_PS_PER_NS UINT64_C(1000)
#define WEIR_MODEL_PS_PER_S  UINT64_C(1000000000000)
#define WEIR_MODEL_MBIT      UINT64_C(1000000)
/* Bits and picoseconds: a byte's cost where a picosecond brings as much as bits in a second. */
#define WEIR_MODEL_BYTE_COST (8 * WEIR_MODEL_PS_PER_S)
/* What a queue may save up of its committed rate. */
#define WEIR_MODEL_PACE_BYTES 16384U

struct weir_model_tm_rules; /* model_tm.h */

struct weir_model_family {
	const char *name;   /* in a device text */
	const char *driver; /* as rte_eth_dev_info says */
	enum weir_model_completion completion;
	uint16_t rs_thresh;  /* the driver's default; 1: it is told of each frame */
	bool tells_at_end;   /* the last frame of a burst is told of, too */
	bool wiped_at_start; /* and at stop: both reset the NIC */
	/* rte_eth_set_queue_rate_limit behind ethdev's own checks. NULL: -ENOTSUP. */
	int (*set_queue)(struct weir_model *nic, uint16_t queue, uint32_t mbit_s);
	const struct weir_model_tm_rules *tm;
};

/* NULL: there is none of that name. The first one is the honest one. */
const struct weir_model_family *weir_model_family_find(const char *name);
const struct weir_model_family *weir_model_families(uint32_t *n);

weir_model_ps weir_model_time(uint64_t ns);
weir_model_ps weir_model_now(const struct weir_model *nic);

/* Shapers, all from now on. */
void weir_model_lift(struct weir_model *nic, struct weir_model_shaper *shaper);
void weir_model_block(struct weir_model *nic, struct weir_model_shaper *shaper);
/* A bucket of rate bit_s / divisor. */
void weir_model_set_bucket(struct weir_model *nic, struct weir_model_shaper *shaper, uint64_t bit_s,
                           uint64_t divisor, uint64_t burst_bytes);
/* A bucket that begins anew is full. */
void weir_model_refill(struct weir_model *nic, struct weir_model_shaper *shaper);
/* A gap of the link's speed / factor x 2^14. */
void weir_model_set_gap(struct weir_model *nic, struct weir_model_shaper *shaper, uint32_t factor,
                        uint64_t window_bytes);
/* All limits are gone, as after a reset; they count as not written. */
void weir_model_wipe(struct weir_model *nic);
/* Nothing is gone, but all of it has to be written again before a frame may leave. */
void weir_model_expect_writes(struct weir_model *nic);
/* The link's speed has changed: gaps go with it. */
void weir_model_rescale(struct weir_model *nic, uint32_t before_mbit_s);
/* Bytes of a frame that limits count. */
uint32_t weir_model_counted(const struct weir_model *nic, uint32_t wire_bytes);
/* When a frame could begin by this limit. False: never. */
bool weir_model_shaper_ready(const struct weir_model *nic, const struct weir_model_shaper *shaper,
                             uint16_t queue, uint32_t wire_bytes, weir_model_ps *ready);
void weir_model_shaper_take(const struct weir_model *nic, struct weir_model_shaper *shaper,
                            uint16_t queue, uint32_t wire_bytes, weir_model_ps at);
uint64_t weir_model_shaper_rate(const struct weir_model *nic,
                                const struct weir_model_shaper *shaper);
void weir_model_set_committed(struct weir_model *nic, uint16_t queue, uint64_t bit_s);
/* The queue's own limit alone is on its way to the wire. */
void weir_model_own_path(struct weir_model *nic, uint16_t queue);

/* Queues. */
int weir_model_queue_init(struct weir_model *nic, uint16_t queue)
    __attribute__((warn_unused_result));
void weir_model_queue_fini(struct weir_model_queue *queue);
/* Throws away what is in it; its descriptors are as new. */
void weir_model_queue_empty(struct weir_model_queue *queue);
/* Its next frame is in head, if there is one. */
bool weir_model_queue_fetch(struct weir_model_queue *queue);
/* The frame fetched longest ago has left: tells the driver. */
void weir_model_queue_done(struct weir_model_queue *queue);

/* The link that was to be up again by now is. */
void weir_model_end_blink(struct weir_model *nic);

/* The frame on the wire leaves in any case: what begins, ends. */
void weir_model_finish_frame(struct weir_model *nic);

/* Sends what is in the queues by the limits of now, as if it waited for that: free_ps moves on. */
bool weir_model_drain(struct weir_model *nic);

#endif
