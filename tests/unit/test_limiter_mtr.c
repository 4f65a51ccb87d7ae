/* SPDX-License-Identifier: BSD-3-Clause */
/* The policer behind the limits: what is asked of rte_mtr and rte_flow. Linked with --wrap. */
#define ALLOW_EXPERIMENTAL_API
#include "drivers/limiter.h"
#include "tests/unit/harness.h"

#include <rte_errno.h>
#include <rte_flow.h>
#include <rte_mtr.h>
#include <string.h>

#define PORT 3U
#define GBIT UINT64_C(1000000000)

/* In the order in which they are made. */
enum step { PROFILE = 0, POLICY, METER, FLOW, STEPS };

static struct {
	struct rte_mtr_capabilities can;
	int can_result, results[STEPS], read_result;
	int flow_errno;
	bool made[STEPS];
	uint32_t n_calls;
	uint32_t profile_id; /* of the meter, once there is one */
	uint32_t next_id;    /* a second profile, or 0 */
	int next_result, update_result;
	struct rte_mtr_meter_profile profile;
	struct rte_mtr_params params;
	struct rte_mtr_stats stats;
	uint64_t stats_mask;
} nic;

int __wrap_rte_mtr_capabilities_get(uint16_t port_id, struct rte_mtr_capabilities *can,
                                    struct rte_mtr_error *error);
int __wrap_rte_mtr_meter_profile_add(uint16_t port_id, uint32_t id,
                                     struct rte_mtr_meter_profile *profile,
                                     struct rte_mtr_error *error);
int __wrap_rte_mtr_meter_profile_delete(uint16_t port_id, uint32_t id, struct rte_mtr_error *error);
int __wrap_rte_mtr_meter_policy_add(uint16_t port_id, uint32_t id,
                                    struct rte_mtr_meter_policy_params *policy,
                                    struct rte_mtr_error *error);
int __wrap_rte_mtr_meter_policy_delete(uint16_t port_id, uint32_t id, struct rte_mtr_error *error);
int __wrap_rte_mtr_create(uint16_t port_id, uint32_t id, struct rte_mtr_params *params, int shared,
                          struct rte_mtr_error *error);
int __wrap_rte_mtr_destroy(uint16_t port_id, uint32_t id, struct rte_mtr_error *error);
int __wrap_rte_mtr_meter_profile_update(uint16_t port_id, uint32_t id, uint32_t profile_id,
                                        struct rte_mtr_error *error);
int __wrap_rte_mtr_stats_read(uint16_t port_id, uint32_t id, struct rte_mtr_stats *stats,
                              uint64_t *mask, int clear, struct rte_mtr_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attributes,
                                        const struct rte_flow_item pattern[],
                                        const struct rte_flow_action actions[],
                                        struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error);

/* Makes one thing, which the next ones hold. */
static int
make(uint16_t port_id, enum step step)
{
	CU_ASSERT_EQUAL(port_id, PORT);
	CU_ASSERT(!nic.made[step]);
	CU_ASSERT(step == PROFILE || nic.made[step - 1]);
	nic.n_calls++;
	nic.made[step] = nic.results[step] == 0;
	return nic.results[step];
}

static int
take_away(uint16_t port_id, enum step step)
{
	CU_ASSERT_EQUAL(port_id, PORT);
	CU_ASSERT(nic.made[step]);
	CU_ASSERT(step + 1 == STEPS || !nic.made[step + 1]);
	nic.made[step] = false;
	return -EIO; /* nothing to be done about it */
}

int
__wrap_rte_mtr_capabilities_get(uint16_t port_id, struct rte_mtr_capabilities *can,
                                struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(port_id, PORT);
	*can = nic.can;
	return nic.can_result;
}

int
__wrap_rte_mtr_meter_profile_add(uint16_t port_id, uint32_t id,
                                 struct rte_mtr_meter_profile *profile, struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT(id == 1 || id == 2);
	nic.profile = *profile;
	if (nic.made[METER]) { /* the next one, beside that in use */
		CU_ASSERT(id != nic.profile_id && nic.next_id == 0);
		nic.next_id = nic.next_result == 0 ? id : 0;
		return nic.next_result;
	}
	nic.profile_id = id;
	return make(port_id, PROFILE);
}

int
__wrap_rte_mtr_meter_profile_update(uint16_t port_id, uint32_t id, uint32_t profile_id,
                                    struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(port_id, PORT);
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT(nic.made[FLOW] && profile_id != 0 && profile_id == nic.next_id);
	if (nic.update_result == 0) {
		nic.next_id = nic.profile_id;
		nic.profile_id = profile_id;
	}
	return nic.update_result;
}

int
__wrap_rte_mtr_meter_profile_delete(uint16_t port_id, uint32_t id, struct rte_mtr_error *error)
{
	(void)error;
	if (nic.made[METER]) { /* not the one in use */
		CU_ASSERT_EQUAL(id, nic.next_id);
		nic.next_id = 0;
		return 0;
	}
	CU_ASSERT_EQUAL(id, nic.profile_id);
	return take_away(port_id, PROFILE);
}

int
__wrap_rte_mtr_meter_policy_add(uint16_t port_id, uint32_t id,
                                struct rte_mtr_meter_policy_params *policy,
                                struct rte_mtr_error *error)
{
	const struct rte_flow_action *red = policy->actions[RTE_COLOR_RED];

	(void)error;
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT_PTR_NULL(policy->actions[RTE_COLOR_GREEN]);
	CU_ASSERT_PTR_NULL(policy->actions[RTE_COLOR_YELLOW]);
	CU_ASSERT_EQUAL(red[0].type, RTE_FLOW_ACTION_TYPE_DROP);
	CU_ASSERT_EQUAL(red[1].type, RTE_FLOW_ACTION_TYPE_END);
	return make(port_id, POLICY);
}

int
__wrap_rte_mtr_meter_policy_delete(uint16_t port_id, uint32_t id, struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(id, 1);
	return take_away(port_id, POLICY);
}

int
__wrap_rte_mtr_create(uint16_t port_id, uint32_t id, struct rte_mtr_params *params, int shared,
                      struct rte_mtr_error *error)
{
	(void)error;
	(void)shared;
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT_EQUAL(params->meter_profile_id, nic.profile_id);
	CU_ASSERT_EQUAL(params->meter_policy_id, 1);
	CU_ASSERT(params->meter_enable != 0);
	CU_ASSERT_EQUAL(params->stats_mask & ~nic.can.stats_mask, 0);
	nic.params = *params;
	return make(port_id, METER);
}

int
__wrap_rte_mtr_destroy(uint16_t port_id, uint32_t id, struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(id, 1);
	return take_away(port_id, METER);
}

int
__wrap_rte_mtr_stats_read(uint16_t port_id, uint32_t id, struct rte_mtr_stats *stats,
                          uint64_t *mask, int clear, struct rte_mtr_error *error)
{
	(void)error;
	CU_ASSERT_EQUAL(port_id, PORT);
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT_EQUAL(clear, 0);
	*stats = nic.stats;
	*mask = nic.stats_mask;
	return nic.read_result;
}

struct rte_flow *
__wrap_rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attributes,
                       const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
                       struct rte_flow_error *error)
{
	const struct rte_flow_action_meter *measure = actions[0].conf;

	(void)error;
	CU_ASSERT(attributes->egress == 1 && attributes->ingress == 0 && attributes->transfer == 0);
	/* All frames: no match on anything. */
	CU_ASSERT_EQUAL(pattern[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	CU_ASSERT(pattern[0].spec == NULL && pattern[0].mask == NULL && pattern[0].last == NULL);
	CU_ASSERT_EQUAL(pattern[1].type, RTE_FLOW_ITEM_TYPE_END);
	CU_ASSERT_EQUAL(actions[0].type, RTE_FLOW_ACTION_TYPE_METER);
	CU_ASSERT_EQUAL(measure->mtr_id, 1);
	CU_ASSERT_EQUAL(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	rte_errno = nic.flow_errno;
	return make(port_id, FLOW) == 0 ? (struct rte_flow *)&nic : NULL;
}

int
__wrap_rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)error;
	CU_ASSERT_PTR_EQUAL(flow, (struct rte_flow *)&nic);
	return take_away(port_id, FLOW);
}

static void
reset(void)
{
	memset(&nic, 0, sizeof(nic));
	nic.can.srtcm_rfc2697_byte_mode_supported = 1;
	nic.can.meter_rate_max = UINT64_C(1) << 40;
	nic.can.stats_mask = RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_DROPPED |
	                     RTE_MTR_STATS_N_BYTES_DROPPED;
}

static bool
nothing_left(void)
{
	return !nic.made[PROFILE] && !nic.made[POLICY] && !nic.made[METER] && !nic.made[FLOW];
}

static void
test_set(void)
{
	struct weir_limiter_meter meter;

	reset();
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, 1 * GBIT + 1, 15001), 0);
	CU_ASSERT(nic.made[FLOW]);
	CU_ASSERT_EQUAL(nic.profile.alg, RTE_MTR_SRTCM_RFC2697);
	/* A hundredth more, and each fraction up. */
	CU_ASSERT_EQUAL(nic.profile.srtcm_rfc2697.cir, 126250002);
	CU_ASSERT_EQUAL(nic.profile.srtcm_rfc2697.cbs, 16384); /* the next power of two */
	CU_ASSERT_EQUAL(nic.profile.srtcm_rfc2697.ebs, 0);
	CU_ASSERT_EQUAL(meter.rate_bit_s, UINT64_C(126250002) * 8);
	CU_ASSERT_EQUAL(nic.params.stats_mask,
	                RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_DROPPED);
	weir_limiter_meter_clear(&meter);
	CU_ASSERT(nothing_left());
	CU_ASSERT_EQUAL(meter.rate_bit_s, 0);
	weir_limiter_meter_clear(&meter); /* once more: nothing */
	/* Another kind of meter, whose committed rate has to be less. */
	nic.can.srtcm_rfc2697_byte_mode_supported = 0;
	nic.can.meter_trtcm_rfc2698_n_max = 1;
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, 1 * GBIT, 15000), 0);
	CU_ASSERT_EQUAL(nic.profile.alg, RTE_MTR_TRTCM_RFC2698);
	CU_ASSERT_EQUAL(nic.profile.trtcm_rfc2698.pir, 126250000);
	CU_ASSERT_EQUAL(nic.profile.trtcm_rfc2698.pbs, 16384);
	CU_ASSERT(nic.profile.trtcm_rfc2698.cir > 0);
	CU_ASSERT(nic.profile.trtcm_rfc2698.cir < nic.profile.trtcm_rfc2698.pir);
	CU_ASSERT(nic.profile.trtcm_rfc2698.cbs > 0);
	CU_ASSERT(nic.profile.trtcm_rfc2698.cbs < nic.profile.trtcm_rfc2698.pbs);
	weir_limiter_meter_clear(&meter);
	CU_ASSERT(nothing_left());
}

/* What is not there is told as such, before anything is made. */
static void
test_not_there(void)
{
	static const int none[] = {-ENOSYS, -ENOTSUP};
	struct weir_limiter_meter meter;

	for (size_t i = 0; i < WEIR_TEST_COUNT(none); i++) {
		reset();
		nic.can_result = none[i];
		CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), -ENOTSUP);
	}
	reset();
	nic.can_result = -ENODEV;
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), -ENODEV);
	nic.can_result = 0;
	nic.can.srtcm_rfc2697_byte_mode_supported = 0;
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), -ENOTSUP);
	reset();
	nic.can.meter_rate_max = 126249999;
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), -ENOTSUP);
	CU_ASSERT_EQUAL(nic.n_calls, 0);
	CU_ASSERT_EQUAL(meter.rate_bit_s, 0);
	nic.can.meter_rate_max = 126250000;
	CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), 0);
	weir_limiter_meter_clear(&meter);
}

/* Each call fails once: what was made is taken back, from the top down. */
static void
test_failures(void)
{
	static const struct {
		int result, told;
	} cases[] = {
	    {-ENOMEM, -ENOMEM},  {-EINVAL, -EINVAL}, {-ENOTSUP, -ENOTSUP},
	    {-ENOSYS, -ENOTSUP}, {-1, -EIO},         {3, -EIO},
	};
	struct weir_limiter_meter meter;

	for (int step = PROFILE; step < FLOW; step++) {
		for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
			reset();
			nic.results[step] = cases[i].result;
			CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000),
			                cases[i].told);
			CU_ASSERT(nothing_left());
			CU_ASSERT_EQUAL(meter.rate_bit_s, 0);
			weir_limiter_meter_clear(&meter);
		}
	}
}

static void
test_flow_failures(void)
{
	static const struct {
		int flow_errno, told;
	} cases[] = {
	    {ENOTSUP, -ENOTSUP}, {ENOSYS, -ENOTSUP}, {EINVAL, -ENOTSUP}, /* ingress alone */
	    {0, -ENOTSUP},       {ENOMEM, -ENOMEM},  {EPERM, -EIO},
	};
	struct weir_limiter_meter meter;

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		reset();
		nic.results[FLOW] = -1;
		nic.flow_errno = cases[i].flow_errno;
		CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), cases[i].told);
		CU_ASSERT(nothing_left());
		CU_ASSERT_EQUAL(meter.rate_bit_s, 0);
	}
}

static void
test_read(void)
{
	struct weir_limiter_meter meter;
	uint64_t passed = 99, dropped = 99;

	reset();
	CU_ASSERT_EQUAL_FATAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), 0);
	nic.stats.n_pkts[RTE_COLOR_GREEN] = 100;
	nic.stats.n_pkts[RTE_COLOR_YELLOW] = 20;
	nic.stats.n_pkts[RTE_COLOR_RED] = 3000;
	nic.stats.n_pkts_dropped = 7;
	nic.stats_mask = RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW |
	                 RTE_MTR_STATS_N_PKTS_RED | RTE_MTR_STATS_N_PKTS_DROPPED;
	CU_ASSERT_EQUAL(weir_limiter_meter_read(&meter, &passed, &dropped), 0);
	CU_ASSERT_EQUAL(passed, 120);
	CU_ASSERT_EQUAL(dropped, 7);
	/* What is not counted is not made up. */
	nic.stats_mask = RTE_MTR_STATS_N_PKTS_YELLOW;
	CU_ASSERT_EQUAL(weir_limiter_meter_read(&meter, &passed, &dropped), 0);
	CU_ASSERT_EQUAL(passed, 20);
	CU_ASSERT_EQUAL(dropped, 0);
	nic.read_result = -1;
	CU_ASSERT_EQUAL(weir_limiter_meter_read(&meter, &passed, &dropped), -EIO);
	nic.read_result = -ENOSYS;
	CU_ASSERT_EQUAL(weir_limiter_meter_read(&meter, &passed, &dropped), -ENOTSUP);
	weir_limiter_meter_clear(&meter);
}

/* Another rate while it polices: never without a meter, and a failure leaves it as it was. */
static void
test_change(void)
{
	struct weir_limiter_meter meter;
	uint32_t calls;

	reset();
	CU_ASSERT_EQUAL_FATAL(weir_limiter_meter_set(&meter, PORT, GBIT, 15000), 0);
	calls = nic.n_calls;
	for (uint32_t i = 1; i <= 3; i++) {
		CU_ASSERT_EQUAL(weir_limiter_meter_change(&meter, i * GBIT / 4, 15000 * i), 0);
		CU_ASSERT_EQUAL(nic.profile.srtcm_rfc2697.cir, (i * GBIT / 32 * 101 + 99) / 100);
		CU_ASSERT_EQUAL(meter.rate_bit_s, nic.profile.srtcm_rfc2697.cir * 8);
		CU_ASSERT_EQUAL(meter.asked_bit_s, i * GBIT / 4);
		CU_ASSERT_EQUAL(meter.asked_burst_bytes, 15000 * i);
		CU_ASSERT(nic.made[FLOW] && nic.next_id == 0);
		CU_ASSERT_EQUAL(nic.profile_id, meter.profile_id);
	}
	CU_ASSERT_EQUAL(nic.n_calls, calls);
	for (uint32_t i = 0; i < 3; i++) {
		struct weir_limiter_meter before = meter;

		nic.next_result = i == 0 ? -ENOMEM : 0;
		nic.update_result = i == 1 ? -ENOSYS : 0;
		nic.can_result = i == 2 ? -ENODEV : 0;
		CU_ASSERT(weir_limiter_meter_change(&meter, GBIT, 15000) < 0);
		CU_ASSERT(nic.made[FLOW] && nic.next_id == 0);
		CU_ASSERT_EQUAL(memcmp(&meter, &before, sizeof(meter)), 0);
	}
	nic.can_result = 0;
	weir_limiter_meter_clear(&meter);
	CU_ASSERT(nothing_left());
}

/* mlx5 keeps 8 bits of a burst, rounds them up, and takes 256 of them for 0. */
static void
test_bursts(void)
{
	struct weir_limiter_meter meter;
	uint32_t burst = 1;

	reset();
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t set;

		CU_ASSERT_EQUAL(weir_limiter_meter_set(&meter, PORT, GBIT, burst), 0);
		set = nic.profile.srtcm_rfc2697.cbs;
		CU_ASSERT(set >= burst && set < 2 * (uint64_t)burst + 2);
		CU_ASSERT_EQUAL(set & (set - 1), 0);
		weir_limiter_meter_clear(&meter);
		burst = i < 1000                 ? burst + 131
		        : burst > UINT32_MAX / 2 ? UINT32_MAX
		                                 : burst * 2 - 1;
	}
}

static const struct weir_test tests[] = {
    {"all frames are led through a meter that is a little above the limit", test_set},
    {"a port without a meter for this", test_not_there},
    {"each call fails once: nothing is left behind", test_failures},
    {"the rule is refused: nothing is left behind", test_flow_failures},
    {"another rate while it polices", test_change},
    {"bursts that no driver takes for nothing", test_bursts},
    {"what it counted", test_read},
};

int
main(void)
{
	return weir_test_run("limiter_mtr", tests, WEIR_TEST_COUNT(tests));
}
