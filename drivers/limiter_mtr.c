/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policer for all that a port sends: an rte_mtr meter that a flow rule leads every frame through.
 * It stands behind the limits that shape, and drops only what those have let through wrongly. So it
 * must never be the stricter one: NICs keep few digits of a rate, and some round down.
 *
 * Green and yellow frames pass, red ones are dropped.
 *
 * In DPDK 22.11 one driver takes such a rule for what leaves: net_mlx5, steered by verbs or devx
 * (dv_flow_en=1), which Weir can't limit queue by queue (drivers/net/mlx5/mlx5_flow_meter.c,
 * mlx5_flow_dv.c flow_dv_validate_action_meter). net_cn10k wants a receive queue beside the meter
 * (cn10k_flow.c, cn10k_flow_create), net_mvpp2 has no rules for what leaves (mrvl_flow.c,
 * mrvl_parse_flow_attr), and no other has meters. None of it was tried on a NIC.
 */
/* rte_mtr counts as experimental, as it has since 2017. */
#define ALLOW_EXPERIMENTAL_API
#include "drivers/limiter.h"

#include <errno.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_flow.h>
#include <rte_mtr.h>
#include <string.h>

#define METER_ID    1U
#define PROFILE_ID  1U /* and the one behind it, in turn */
#define POLICY_ID   1U
#define MARGIN_PART 100U /* a hundredth more than asked: known NICs keep 8 bits of a number */

static const struct rte_flow_action drop[] = {
    {.type = RTE_FLOW_ACTION_TYPE_DROP},
    {.type = RTE_FLOW_ACTION_TYPE_END},
};

/* A driver's own number is no errno, and there are many ways to say that there is no such thing. */
static int
to_errno(int result)
{
	if (result == -ENOSYS || result == -EOPNOTSUPP)
		return -ENOTSUP;
	return result > 0 || result == -1 ? -EIO : result;
}

static uint64_t
with_margin(uint64_t value)
{
	return value + (value + MARGIN_PART - 1) / MARGIN_PART;
}

/*
 * A power of two. mlx5 keeps 8 bits of a burst, rounds them up, and makes 0 of 256: a meter that
 * drops everything. Powers of two need no rounding.
 */
static uint64_t
round_burst(uint64_t burst_bytes)
{
	return rte_align64pow2(burst_bytes);
}

/* 0 or -ENOTSUP. */
static int
fill_profile(const struct rte_mtr_capabilities *can, uint64_t rate_bytes_s, uint64_t burst_bytes,
             struct rte_mtr_meter_profile *profile)
{
	memset(profile, 0, sizeof(*profile));
	/* A driver says 0 of meters that it has. */
	if (can->meter_srtcm_rfc2697_n_max != 0 || can->srtcm_rfc2697_byte_mode_supported != 0) {
		profile->alg = RTE_MTR_SRTCM_RFC2697;
		profile->srtcm_rfc2697.cir = rate_bytes_s;
		profile->srtcm_rfc2697.cbs = burst_bytes;
		return 0;
	}
	if (can->meter_trtcm_rfc2698_n_max == 0 && can->trtcm_rfc2698_byte_mode_supported == 0)
		return -ENOTSUP;
	/* Red is what is over the peak; the committed part has to be less and means nothing. */
	profile->alg = RTE_MTR_TRTCM_RFC2698;
	profile->trtcm_rfc2698.pir = rate_bytes_s;
	profile->trtcm_rfc2698.pbs = burst_bytes;
	profile->trtcm_rfc2698.cir = (rate_bytes_s + 1) / 2;
	profile->trtcm_rfc2698.cbs = (burst_bytes + 1) / 2;
	return 0;
}

static int
add_policy(uint16_t port_id)
{
	struct rte_mtr_meter_policy_params policy = {.actions = {[RTE_COLOR_RED] = drop}};
	struct rte_mtr_error error;

	return to_errno(rte_mtr_meter_policy_add(port_id, POLICY_ID, &policy, &error));
}

static int
create_meter(const struct weir_limiter_meter *meter, const struct rte_mtr_capabilities *can)
{
	struct rte_mtr_params params = {
	    .meter_profile_id = meter->profile_id,
	    .meter_policy_id = POLICY_ID,
	    .meter_enable = 1,
	    .stats_mask =
	        can->stats_mask & (RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW |
	                           RTE_MTR_STATS_N_PKTS_DROPPED),
	};
	struct rte_mtr_error error;

	return to_errno(rte_mtr_create(meter->port_id, METER_ID, &params, 0, &error));
}

static int
create_flow(struct weir_limiter_meter *meter)
{
	const struct rte_flow_attr attributes = {.egress = 1};
	const struct rte_flow_item all[] = {
	    {.type = RTE_FLOW_ITEM_TYPE_ETH},
	    {.type = RTE_FLOW_ITEM_TYPE_END},
	};
	const struct rte_flow_action_meter measure = {.mtr_id = METER_ID};
	const struct rte_flow_action actions[] = {
	    {.type = RTE_FLOW_ACTION_TYPE_METER, .conf = &measure},
	    {.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error error;

	meter->flow = rte_flow_create(meter->port_id, &attributes, all, actions, &error);
	if (meter->flow != NULL)
		return 0;
	/* What drivers say that know rules for what comes in alone. */
	return rte_errno == EINVAL || rte_errno == 0 ? -ENOTSUP : to_errno(-rte_errno);
}

static void
delete_profile(uint16_t port_id, uint32_t profile_id)
{
	struct rte_mtr_error error;

	(void)rte_mtr_meter_profile_delete(port_id, profile_id, &error);
}

static void
delete_policy(uint16_t port_id)
{
	struct rte_mtr_error error;

	(void)rte_mtr_meter_policy_delete(port_id, POLICY_ID, &error);
}

static void
destroy_meter(uint16_t port_id)
{
	struct rte_mtr_error error;

	(void)rte_mtr_destroy(port_id, METER_ID, &error);
}

/* From the profile to the flow; takes back what it made where it can't go on. */
static int
make(struct weir_limiter_meter *meter, const struct rte_mtr_capabilities *can,
     struct rte_mtr_meter_profile *profile)
{
	struct rte_mtr_error error;
	int result =
	    to_errno(rte_mtr_meter_profile_add(meter->port_id, meter->profile_id, profile, &error));

	if (result != 0)
		return result;
	result = add_policy(meter->port_id);
	if (result != 0)
		goto no_policy;
	result = create_meter(meter, can);
	if (result != 0)
		goto no_meter;
	result = create_flow(meter);
	if (result == 0)
		return 0;
	destroy_meter(meter->port_id);
no_meter:
	delete_policy(meter->port_id);
no_policy:
	delete_profile(meter->port_id, meter->profile_id);
	return result;
}

/* What to ask for, by what the port can do. 0, -ENOTSUP or another -errno. */
static int
ask(uint16_t port_id, uint64_t rate_bytes_s, uint32_t burst_bytes, struct rte_mtr_capabilities *can,
    struct rte_mtr_meter_profile *profile)
{
	struct rte_mtr_error error;
	int result;

	assert(rate_bytes_s > 0 && burst_bytes > 0);
	memset(can, 0, sizeof(*can));
	result = to_errno(rte_mtr_capabilities_get(port_id, can, &error));
	if (result != 0)
		return result;
	if (can->meter_rate_max != 0 && rate_bytes_s > can->meter_rate_max)
		return -ENOTSUP;
	return fill_profile(can, rate_bytes_s, round_burst(burst_bytes), profile);
}

static uint64_t
metered_bytes_s(uint64_t rate_bit_s)
{
	return with_margin((rate_bit_s + 7) / 8);
}

static void
note_asked(struct weir_limiter_meter *meter, uint64_t rate_bit_s, uint32_t burst_bytes)
{
	meter->asked_bit_s = rate_bit_s;
	meter->asked_burst_bytes = burst_bytes;
	meter->rate_bit_s = metered_bytes_s(rate_bit_s) * 8;
}

int
weir_limiter_meter_set(struct weir_limiter_meter *meter, uint16_t port_id, uint64_t rate_bit_s,
                       uint32_t burst_bytes)
{
	struct rte_mtr_meter_profile profile;
	struct rte_mtr_capabilities can;
	int result;

	*meter = (struct weir_limiter_meter){
	    .port_id = port_id, .meter_id = METER_ID, .profile_id = PROFILE_ID};
	result = ask(port_id, metered_bytes_s(rate_bit_s), burst_bytes, &can, &profile);
	if (result == 0)
		result = make(meter, &can, &profile);
	if (result == 0)
		note_asked(meter, rate_bit_s, burst_bytes);
	return result;
}

int
weir_limiter_meter_change(struct weir_limiter_meter *meter, uint64_t rate_bit_s,
                          uint32_t burst_bytes)
{
	uint32_t old = meter->profile_id, new = 2 * PROFILE_ID + 1 - old;
	struct rte_mtr_meter_profile profile;
	struct rte_mtr_capabilities can;
	struct rte_mtr_error error;
	int result;

	assert(meter->rate_bit_s > 0);
	result = ask(meter->port_id, metered_bytes_s(rate_bit_s), burst_bytes, &can, &profile);
	if (result == 0)
		result = to_errno(rte_mtr_meter_profile_add(meter->port_id, new, &profile, &error));
	if (result != 0)
		return result;
	result =
	    to_errno(rte_mtr_meter_profile_update(meter->port_id, meter->meter_id, new, &error));
	if (result == 0) {
		meter->profile_id = new;
		note_asked(meter, rate_bit_s, burst_bytes);
	}
	delete_profile(meter->port_id, result == 0 ? old : new);
	return result;
}

int
weir_limiter_meter_read(const struct weir_limiter_meter *meter, uint64_t *passed_frames,
                        uint64_t *dropped_frames)
{
	struct rte_mtr_stats stats;
	struct rte_mtr_error error;
	uint64_t mask = 0;
	int result;

	assert(meter->rate_bit_s > 0);
	memset(&stats, 0, sizeof(stats));
	result =
	    to_errno(rte_mtr_stats_read(meter->port_id, meter->meter_id, &stats, &mask, 0, &error));
	if (result != 0)
		return result;
	*passed_frames = 0;
	if ((mask & RTE_MTR_STATS_N_PKTS_GREEN) != 0)
		*passed_frames += stats.n_pkts[RTE_COLOR_GREEN];
	if ((mask & RTE_MTR_STATS_N_PKTS_YELLOW) != 0)
		*passed_frames += stats.n_pkts[RTE_COLOR_YELLOW];
	*dropped_frames = (mask & RTE_MTR_STATS_N_PKTS_DROPPED) != 0 ? stats.n_pkts_dropped : 0;
	return 0;
}

void
weir_limiter_meter_clear(struct weir_limiter_meter *meter)
{
	struct rte_flow_error error;

	if (meter->rate_bit_s == 0)
		return;
	/* From the top down: each holds the next one. */
	(void)rte_flow_destroy(meter->port_id, meter->flow, &error);
	destroy_meter(meter->port_id);
	delete_policy(meter->port_id);
	delete_profile(meter->port_id, meter->profile_id);
	memset(meter, 0, sizeof(*meter));
}
