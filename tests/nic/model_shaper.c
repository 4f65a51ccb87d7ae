/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits, in whole numbers: no rate is off by more than the picosecond that a frame waits for. */
#include "tests/nic/model_family.h"

#define GAP_SHIFT 14U
#define PPM       1000000U

weir_model_ps
weir_model_time(uint64_t ns)
{
	return (weir_model_ps)ns * WEIR_MODEL_PS_PER_NS;
}

weir_model_ps
weir_model_now(const struct weir_model *nic)
{
	return weir_model_time(nic->now_ns);
}

static weir_u128
gain_of(const struct weir_model *nic, const struct weir_model_shaper *shaper, uint16_t queue)
{
	const struct weir_model_cheat *cheat = &nic->cheat;

	if (cheat->rate_ppm == 0 ||
	    (cheat->rate_queue != WEIR_MODEL_ALL_QUEUES && cheat->rate_queue != queue))
		return shaper->gain;
	return shaper->gain * cheat->rate_ppm / PPM;
}

static weir_model_credit
credit_at(const struct weir_model_shaper *shaper, weir_u128 gain, weir_model_ps at)
{
	weir_model_credit room = (weir_model_credit)shaper->room;
	weir_u128 missing;

	if (at <= shaper->at)
		return shaper->credit;
	if (shaper->credit >= room)
		return room;
	/* Elapsed times can be long enough for the product not to fit. */
	missing = (weir_u128)(room - shaper->credit);
	if (at - shaper->at >= missing / gain + 1)
		return room;
	return shaper->credit + (weir_model_credit)(gain * (at - shaper->at));
}

/* What has come in by now is settled before anything changes. */
static void
settle(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	weir_model_ps now = weir_model_now(nic);

	if (shaper->limited && !shaper->blocked)
		shaper->credit =
		    credit_at(shaper, gain_of(nic, shaper, WEIR_MODEL_ALL_QUEUES), now);
	if (shaper->at < now)
		shaper->at = now;
}

static void
written(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	shaper->asked = true;
	shaper->written = true;
	nic->limits_written++;
}

void
weir_model_lift(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	settle(nic, shaper);
	shaper->limited = shaper->blocked = false;
	written(nic, shaper);
}

void
weir_model_block(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	settle(nic, shaper);
	shaper->limited = shaper->blocked = true;
	written(nic, shaper);
}

void
weir_model_set_bucket(struct weir_model *nic, struct weir_model_shaper *shaper, uint64_t bit_s,
                      uint64_t divisor, uint64_t burst_bytes)
{
	bool fresh = !shaper->limited || !shaper->bucket || shaper->blocked;
	weir_u128 cost = (weir_u128)WEIR_MODEL_BYTE_COST * divisor;

	settle(nic, shaper);
	/* The same bytes in other units. */
	if (!fresh && cost != shaper->cost)
		shaper->credit =
		    shaper->credit / (weir_model_credit)shaper->cost * (weir_model_credit)cost;
	shaper->limited = shaper->bucket = true;
	shaper->blocked = false;
	shaper->gain = bit_s;
	shaper->cost = cost;
	shaper->burst_bytes = burst_bytes;
	shaper->room = cost * burst_bytes;
	if (fresh || shaper->credit > (weir_model_credit)shaper->room)
		shaper->credit = (weir_model_credit)shaper->room;
	written(nic, shaper);
}

void
weir_model_refill(struct weir_model *nic, struct weir_model_shaper *shaper)
{
	settle(nic, shaper);
	if (shaper->limited && shaper->bucket)
		shaper->credit = (weir_model_credit)shaper->room;
}

static weir_u128
gap_gain(uint32_t speed_mbit_s)
{
	return (weir_u128)speed_mbit_s * WEIR_MODEL_MBIT << GAP_SHIFT;
}

void
weir_model_set_gap(struct weir_model *nic, struct weir_model_shaper *shaper, uint32_t factor,
                   uint64_t window_bytes)
{
	bool fresh = !shaper->limited || shaper->bucket || shaper->blocked;

	settle(nic, shaper);
	shaper->limited = factor != 0;
	shaper->bucket = shaper->blocked = false;
	shaper->factor = factor;
	shaper->gain = gap_gain(nic->speed_mbit_s);
	shaper->cost = (weir_u128)WEIR_MODEL_BYTE_COST * factor;
	shaper->burst_bytes = window_bytes;
	shaper->room = shaper->cost * window_bytes;
	if (fresh || shaper->credit > (weir_model_credit)shaper->room)
		shaper->credit = 0;
	written(nic, shaper);
}

void
weir_model_rescale(struct weir_model *nic, uint32_t before_mbit_s)
{
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++) {
		struct weir_model_shaper *shaper = &nic->shapers[i];

		if (!shaper->limited || shaper->bucket || shaper->blocked)
			continue;
		settle(nic, shaper);
		shaper->gain = gap_gain(nic->speed_mbit_s);
		/* What is left of a rest takes the same time. */
		shaper->credit = shaper->credit / before_mbit_s * nic->speed_mbit_s;
	}
}

void
weir_model_expect_writes(struct weir_model *nic)
{
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++)
		nic->shapers[i].written = false;
	nic->limits_written = 0;
}

void
weir_model_wipe(struct weir_model *nic)
{
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++) {
		settle(nic, &nic->shapers[i]);
		nic->shapers[i].limited = nic->shapers[i].blocked = false;
	}
	for (uint16_t q = 0; q < nic->config.queues; q++)
		weir_model_set_committed(nic, q, 0);
	weir_model_expect_writes(nic);
}

uint32_t
weir_model_counted(const struct weir_model *nic, uint32_t wire_bytes)
{
	switch (nic->config.counts) {
	case WEIR_MODEL_WIRE_BYTES:
		break;
	case WEIR_MODEL_FCS_BYTES:
		return wire_bytes - WEIR_WIRE_OVERHEAD_BYTES + RTE_ETHER_CRC_LEN;
	case WEIR_MODEL_FRAME_BYTES:
		return wire_bytes - WEIR_WIRE_OVERHEAD_BYTES;
	}
	return wire_bytes;
}

static weir_u128
cost_of(const struct weir_model *nic, const struct weir_model_shaper *shaper, uint32_t wire_bytes)
{
	int64_t bytes = weir_model_counted(nic, wire_bytes);

	if (nic->config.counts != WEIR_MODEL_WIRE_BYTES)
		bytes += shaper->adjust;
	return bytes > 0 ? shaper->cost * (uint64_t)bytes : 0;
}

bool
weir_model_shaper_ready(const struct weir_model *nic, const struct weir_model_shaper *shaper,
                        uint16_t queue, uint32_t wire_bytes, weir_model_ps *ready)
{
	weir_u128 gain, need;
	weir_model_credit missing;

	*ready = shaper->at;
	if (shaper->blocked)
		return false;
	if (!shaper->limited)
		return true;
	gain = gain_of(nic, shaper, queue);
	need = shaper->bucket ? cost_of(nic, shaper, wire_bytes) : 0;
	if (need > shaper->room)
		need = shaper->room;
	missing = (weir_model_credit)need - shaper->credit;
	if (missing > 0)
		*ready += ((weir_u128)missing + gain - 1) / gain;
	return true;
}

void
weir_model_shaper_take(const struct weir_model *nic, struct weir_model_shaper *shaper,
                       uint16_t queue, uint32_t wire_bytes, weir_model_ps at)
{
	if (!shaper->limited)
		return;
	shaper->credit = credit_at(shaper, gain_of(nic, shaper, queue), at);
	if (at > shaper->at)
		shaper->at = at;
	shaper->credit -= (weir_model_credit)cost_of(nic, shaper, wire_bytes);
}

uint64_t
weir_model_shaper_rate(const struct weir_model *nic, const struct weir_model_shaper *shaper)
{
	weir_u128 rate;

	if (shaper->blocked)
		return 0;
	if (!shaper->limited)
		return WEIR_MODEL_UNLIMITED;
	rate = (shaper->gain * WEIR_MODEL_BYTE_COST + shaper->cost - 1) / shaper->cost;
	/* A gap shorter than the frame itself. */
	if (!shaper->bucket && rate > (weir_u128)nic->speed_mbit_s * WEIR_MODEL_MBIT)
		return WEIR_MODEL_UNLIMITED;
	return rate < WEIR_MODEL_UNLIMITED ? (uint64_t)rate : WEIR_MODEL_UNLIMITED - 1;
}

void
weir_model_set_committed(struct weir_model *nic, uint16_t queue, uint64_t bit_s)
{
	struct weir_model_queue *own = &nic->queues[queue];

	own->committed_bit_s = bit_s;
	own->committed_credit = (weir_model_credit)WEIR_MODEL_BYTE_COST * WEIR_MODEL_PACE_BYTES;
	own->committed_at = weir_model_now(nic);
	nic->some_committed = false;
	for (uint16_t q = 0; q < nic->config.queues; q++)
		nic->some_committed |= nic->queues[q].committed_bit_s != 0;
}
