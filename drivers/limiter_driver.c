/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/limiter_driver.h"

#include <assert.h>
#include <string.h>

#define MBIT_BIT_S         UINT64_C(1000000)
#define KBIT_BIT_S         UINT64_C(1000)
#define TM_UNIT_BIT_S      UINT64_C(8) /* rte_tm's unit is a byte a second */
#define VALUE_WINDOW       50          /* a value is sought within a 50th of the rate */

#define FLOAT_BASE_BIT_S   UINT64_C(2000000)
#define FLOAT_MANTISSA     256U
#define FLOAT_EXPONENT_MAX 15U
#define FLOAT_DIVIDER_MAX  12U
#define FLOAT_MIN_BIT_S    UINT64_C(488) /* 2 Mbit/s / 2^12, as the driver truncates it */
#define FLOAT_MAX_BIT_S    UINT64_C(130816000000)

#define TICKS_MULTIPLIER   UINT64_C(10000) /* the driver's fixed point */
#define TICKS_PERIOD       UINT64_C(32)
#define TICKS_BYTES_ABOVE  UINT64_C(128)
#define TICKS_EXPONENTS    32U
#define TICKS_MIN_KBIT     UINT64_C(500)
#define TICKS_MAX_KBIT     UINT64_C(100000000)

/* 2^20 bytes/s are handed on as 8 "Mbit/s"; of both meanings of that, the larger one. */
#define DPAA2_STEP_BIT_S  UINT64_C(8388608)
#define ICE_BURST_BYTES   15360U
#define CN9K_BURST_BYTES  16352U
#define CN10K_BURST_BYTES 1056736U

#define CNXK_TM_QUIRKS    (WEIR_QUIRK_FIRST_STOPS | WEIR_QUIRK_ALL_QUEUES)
#define CNXK_TM_SOURCE                                                                             \
	"drivers/net/cnxk/cnxk_tm.c, cnxk_nix_tm_hierarchy_commit; "                               \
	"drivers/common/cnxk/roc_nix_tm_utils.c, nix_tm_shaper_rate_conv_exact"
#define CNXK_QUEUE_SOURCE                                                                          \
	"drivers/net/cnxk/cnxk_tm.c, cnxk_nix_tm_set_queue_rate_limit; "                           \
	"drivers/common/cnxk/roc_nix_tm_ops.c, roc_nix_tm_rlimit_sq"
#define CNXK_TM_HELP                                                                               \
	"the node above a queue limits it, to within 0.4 %, and changes while frames flow; the "   \
	"first commit stops all queues, and later nothing but rates can change"
#define CNXK_QUEUE_HELP                                                                            \
	"limits to within 0.4 %; the first limit rebuilds the scheduler with sending off; 0 "      \
	"would "                                                                                   \
	"block the queue"

/*
 * In the order of the interfaces, then of the names. What was read is the source of DPDK 22.11.11.
 */
static const struct weir_limiter_driver drivers[] = {
    {
        .driver = "net_cn10k",
        .tm = false,
        .usable = true,
        .arithmetic = WEIR_LIMITER_FLOAT,
        .zero = WEIR_ZERO_BLOCKED,
        .min_bit_s = MBIT_BIT_S,
        .max_bit_s = FLOAT_MAX_BIT_S,
        .live = true,
        .quirks = WEIR_QUIRK_FIRST_STOPS,
        .source = CNXK_QUEUE_SOURCE,
        .help = CNXK_QUEUE_HELP,
    },
    {
        .driver = "net_cn9k",
        .tm = false,
        .usable = true,
        .arithmetic = WEIR_LIMITER_FLOAT,
        .zero = WEIR_ZERO_BLOCKED,
        .min_bit_s = MBIT_BIT_S,
        .max_bit_s = FLOAT_MAX_BIT_S,
        .live = true,
        .quirks = WEIR_QUIRK_FIRST_STOPS,
        .source = CNXK_QUEUE_SOURCE,
        .help = CNXK_QUEUE_HELP,
    },
    {
        .driver = "net_ixgbe",
        .tm = false,
        .usable = true,
        .arithmetic = WEIR_LIMITER_DIVIDER,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = MBIT_BIT_S,
        .integer_bits = 10,
        .fraction_bits = 14,
        .live = true,
        .quirks = WEIR_QUIRK_WIPED_AT_START | WEIR_QUIRK_STALE_SPEED,
        .completions = true,
        .tx_rs_thresh = 1,
        .source = "drivers/net/ixgbe/ixgbe_ethdev.c, ixgbe_set_queue_rate_limit; "
                  "drivers/net/ixgbe/base/ixgbe_common.c, ixgbe_start_hw_gen2; "
                  "drivers/net/ixgbe/ixgbe_rxtx.c, ixgbe_dev_tx_descriptor_status",
        .help = "divides the link's speed by up to 1023, in whole Mbit/s; starting the port "
                "clears the limits; the 82598 takes them and has none",
    },
    {
        .driver = "net_txgbe",
        .tm = false,
        .usable = true,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = MBIT_BIT_S,
        .max_bit_s = 16383 * MBIT_BIT_S,
        .step_bit_s = MBIT_BIT_S,
        .integer_bits = 14,
        .live = true,
        .quirks = WEIR_QUIRK_WIPED_AT_START | WEIR_QUIRK_MINIMUM_HALF,
        .source = "drivers/net/txgbe/txgbe_ethdev.c, txgbe_set_queue_rate_limit; "
                  "drivers/net/txgbe/base/txgbe_hw.c, txgbe_start_hw_gen2",
        .help = "whole Mbit/s up to 16383; starting the port clears the limits; what has left is "
                "told in batches, the last of them late or never, so it is not used",
    },
    {
        .driver = "net_cn10k",
        .tm = true,
        .usable = true,
        .arithmetic = WEIR_LIMITER_FLOAT,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = FLOAT_MIN_BIT_S,
        .max_bit_s = FLOAT_MAX_BIT_S,
        .live = true,
        .burst_max_bytes = CN10K_BURST_BYTES,
        .quirks = CNXK_TM_QUIRKS,
        .port_level = 1,
        .source = CNXK_TM_SOURCE,
        .help = CNXK_TM_HELP,
    },
    {
        .driver = "net_cn9k",
        .tm = true,
        .usable = true,
        .arithmetic = WEIR_LIMITER_FLOAT,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = FLOAT_MIN_BIT_S,
        .max_bit_s = FLOAT_MAX_BIT_S,
        .live = true,
        .burst_max_bytes = CN9K_BURST_BYTES,
        .quirks = CNXK_TM_QUIRKS,
        .port_level = 1,
        .source = CNXK_TM_SOURCE,
        .help = CNXK_TM_HELP,
    },
    {
        .driver = "net_dpaa2",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = DPAA2_STEP_BIT_S,
        .max_bit_s = UINT64_C(107374182400) * 8,
        .step_bit_s = DPAA2_STEP_BIT_S,
        .burst_max_bytes = 65535,
        .quirks = WEIR_QUIRK_ALL_QUEUES,
        .levels = 3,
        .source = "drivers/net/dpaa2/dpaa2_tm.c, dpaa2_node_add, dpaa2_hierarchy_commit",
        .help = "a channel limits the queues in it; channels are given out once and never taken "
                "back, so a second hierarchy limits the wrong ones",
    },
    {
        .driver = "net_hns3",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = MBIT_BIT_S,
        .step_bit_s = MBIT_BIT_S,
        .live = true,
        .quirks = WEIR_QUIRK_WIPED_AT_START,
        .levels = 3,
        .source = "drivers/net/hns3/hns3_tm.c, hns3_tm_node_shaper_do_update, "
                  "hns3_tm_dev_stop_proc",
        .help = "limits the port and its traffic classes, not a queue",
    },
    {
        .driver = "net_i40e",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = 50 * MBIT_BIT_S,
        .max_bit_s = 40000 * MBIT_BIT_S,
        .step_bit_s = 50 * MBIT_BIT_S,
        .levels = 3,
        .source = "drivers/net/i40e/i40e_tm.c, i40e_hierarchy_commit",
        .help = "limits the port or its traffic classes in steps of 50 Mbit/s, not a queue",
    },
    {
        .driver = "net_iavf",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = 8 * KBIT_BIT_S,
        .step_bit_s = 8 * KBIT_BIT_S,
        .quirks = WEIR_QUIRK_PORT_STOPPED | WEIR_QUIRK_ALL_QUEUES | WEIR_QUIRK_QUEUE_ORDER,
        .levels = 3,
        .leaf_shaper = true,
        .source = "drivers/net/iavf/iavf_tm.c, iavf_hierarchy_commit",
        .help = "commits only while the port is stopped, and then once: no rate could change",
    },
    {
        .driver = "net_ice",
        .tm = true,
        .usable = true,
        .arithmetic = WEIR_LIMITER_TICKS,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = 504 * KBIT_BIT_S, /* the first that is 500 after its cutting off */
        .max_bit_s = TICKS_MAX_KBIT * KBIT_BIT_S,
        .burst_bytes = ICE_BURST_BYTES,
        .quirks = WEIR_QUIRK_COMMIT_STOPS | WEIR_QUIRK_LEVELS_IGNORED |
                  WEIR_QUIRK_COMMITTED_IGNORED | WEIR_QUIRK_NO_CAPABILITIES | WEIR_QUIRK_ALL_QUEUES,
        .completions = true,
        .tx_rs_thresh = 1,
        .levels = 5,
        .port_level = -1,
        .leaf_shaper = true,
        .groups_max = 7,
        .children_max = 8,
        .source = "drivers/net/ice/ice_tm.c, ice_hierarchy_commit; "
                  "drivers/net/ice/base/ice_sched.c, ice_sched_bw_to_rl_profile; "
                  "drivers/net/ice/ice_rxtx.c, ice_tx_descriptor_status",
        .help = "limits up to 56 queues to within 0.8 %, with a burst of 15360 bytes; each change "
                "stops all queues",
    },
    {
        .driver = "net_ice_dcf",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_ARITHMETIC_NONE,
        .quirks = WEIR_QUIRK_PORT_STOPPED | WEIR_QUIRK_NO_CAPABILITIES,
        .levels = 3,
        .source = "drivers/net/ice/ice_dcf_sched.c, ice_dcf_hierarchy_commit",
        .help = "limits the other virtual functions of the NIC, not its own queues",
    },
    {
        .driver = "net_ipn3ke_afu",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_ARITHMETIC_NONE,
        .levels = 3,
        .source = "drivers/net/ipn3ke/ipn3ke_tm.c, ipn3ke_tm_level_capabilities_get, "
                  "ipn3ke_tm_shaper_parame_trans",
        .help = "no shaper at its queues, and rates in a unit that is not rte_tm's",
    },
    {
        .driver = "net_ixgbe",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_DIVIDER,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = MBIT_BIT_S,
        .integer_bits = 10,
        .fraction_bits = 14,
        .quirks = WEIR_QUIRK_WIPED_AT_START | WEIR_QUIRK_STALE_SPEED | WEIR_QUIRK_QUEUE_ORDER,
        .completions = true,
        .tx_rs_thresh = 1,
        .levels = 3,
        .port_level = -1,
        .leaf_shaper = true,
        .source = "drivers/net/ixgbe/ixgbe_tm.c, ixgbe_node_add, ixgbe_hierarchy_commit",
        .help = "the same limits as by queue, but fixed from the commit until the port stops: use "
                "limiter: queue",
    },
    {
        .driver = "net_mvpp2",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = KBIT_BIT_S,
        .step_bit_s = KBIT_BIT_S,
        .quirks = WEIR_QUIRK_PORT_STOPPED,
        .levels = 2,
        .leaf_shaper = true,
        .source = "drivers/net/mvpp2/mrvl_tm.c, mrvl_hierarchy_commit",
        .help = "commits only while the port is stopped: no rate could change",
    },
    {
        .driver = "net_txgbe",
        .tm = true,
        .usable = false,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_UNLIMITED,
        .min_bit_s = MBIT_BIT_S,
        .max_bit_s = 16383 * MBIT_BIT_S,
        .step_bit_s = MBIT_BIT_S,
        .integer_bits = 14,
        .quirks = WEIR_QUIRK_WIPED_AT_START | WEIR_QUIRK_MINIMUM_HALF | WEIR_QUIRK_QUEUE_ORDER,
        .levels = 3,
        .port_level = -1,
        .leaf_shaper = true,
        .source = "drivers/net/txgbe/txgbe_tm.c, txgbe_node_add, txgbe_hierarchy_commit",
        .help = "the same limits as by queue, but fixed from the commit until the port stops: use "
                "limiter: queue",
    },
};

/*
 * Of drivers that nobody has read, by interface: they are taken at their word. What they tell of
 * frames that have left is not believed, so their limits are not measured.
 */
static const struct weir_limiter_driver unknown[] = {
    {
        .driver = "",
        .tm = false,
        .usable = true,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = MBIT_BIT_S,
        .step_bit_s = MBIT_BIT_S,
        .live = true,
        .source = "lib/ethdev/rte_ethdev.c, rte_eth_set_queue_rate_limit",
        .help = "a driver that Weir knows nothing of: taken at its word",
    },
    {
        .driver = "",
        .tm = true,
        .usable = true,
        .arithmetic = WEIR_LIMITER_STEPS,
        .zero = WEIR_ZERO_REFUSED,
        .min_bit_s = TM_UNIT_BIT_S,
        .step_bit_s = TM_UNIT_BIT_S,
        .quirks = WEIR_QUIRK_COMMIT_STOPS | WEIR_QUIRK_ALL_QUEUES,
        .leaf_shaper = true,
        .source = "lib/ethdev/rte_tm.h, struct rte_tm_capabilities",
        .help = "a driver that Weir knows nothing of: taken at its word",
    },
};

static const struct {
	const char *name, *help;
} quirks[WEIR_QUIRKS] = {
    {"wiped-at-start", "starting the port clears every limit"},
    {"stale-speed", "limits scale when the link's speed changes"},
    {"commit-stops", "a change stops all queues, and what waits in them is lost"},
    {"first-stops", "the first limit rebuilds the scheduler with sending off"},
    {"levels-ignored", "shapers above queues and their groups are taken and ignored"},
    {"committed-ignored", "committed rates are taken and ignored"},
    {"no-capabilities", "it does not say what it can do"},
    {"port-stopped", "limits are taken only while the port is stopped"},
    {"all-queues", "a queue that is left out of the hierarchy does not send"},
    {"minimum-half", "half of the rate is also guaranteed"},
    {"queue-order", "limits go to queues by their order, not by their number"},
};

const struct weir_limiter_driver *
weir_limiter_drivers(uint32_t *n)
{
	*n = sizeof(drivers) / sizeof(drivers[0]);
	return drivers;
}

const struct weir_limiter_driver *
weir_limiter_driver_find(const char *driver, bool tm)
{
	uint32_t n;
	const struct weir_limiter_driver *rows = weir_limiter_drivers(&n);

	for (uint32_t i = 0; i < n; i++) {
		if (rows[i].tm == tm && strcmp(rows[i].driver, driver) == 0)
			return &rows[i];
	}
	return &unknown[tm ? 1 : 0];
}

uint16_t
weir_limiter_driver_rs_thresh(const char *driver)
{
	uint16_t tm = weir_limiter_driver_find(driver, true)->tx_rs_thresh;

	return tm != 0 ? tm : weir_limiter_driver_find(driver, false)->tx_rs_thresh;
}

static uint64_t
divide_up(weir_u128 dividend, uint64_t divisor)
{
	weir_u128 result = (dividend + divisor - 1) / divisor;

	/* UINT64_MAX means unlimited. */
	return result < UINT64_MAX ? (uint64_t)result : UINT64_MAX - 1;
}

static uint64_t
zero_result(const struct weir_limiter_driver *driver)
{
	return driver->zero == WEIR_ZERO_UNLIMITED ? UINT64_MAX : 0;
}

static uint64_t
steps_result(const struct weir_limiter_driver *driver, uint64_t rate_bit_s)
{
	uint64_t steps = rate_bit_s / driver->step_bit_s;

	if (driver->integer_bits != 0)
		steps &= (UINT64_C(1) << driver->integer_bits) - 1;
	else if (driver->max_bit_s != 0 && rate_bit_s > driver->max_bit_s)
		return 0;
	return steps == 0 ? zero_result(driver) : steps * driver->step_bit_s;
}

static uint64_t
divider_result(const struct weir_limiter_driver *driver, uint64_t rate_bit_s, uint64_t link_bit_s)
{
	uint64_t link = link_bit_s / MBIT_BIT_S, rate = rate_bit_s / MBIT_BIT_S, factor;

	if (rate == 0)
		return zero_result(driver);
	if (rate > link)
		return 0;
	/* Both parts as the register keeps them: the integer part loses what is above its bits. */
	factor = (link / rate & ((UINT64_C(1) << driver->integer_bits) - 1))
	         << driver->fraction_bits;
	factor |= ((link % rate) << driver->fraction_bits) / rate;
	if (factor == 0)
		return UINT64_MAX;
	return divide_up((weir_u128)(link * MBIT_BIT_S) << driver->fraction_bits, factor);
}

/* 2 Mbit/s x (256 + mantissa) x 2^exponent / (256 x 2^divider), cut off as the driver does. */
static uint64_t
float_rate(unsigned int mantissa, unsigned int exponent, unsigned int divider)
{
	return FLOAT_BASE_BIT_S * ((uint64_t)(FLOAT_MANTISSA + mantissa) << exponent) /
	       ((uint64_t)FLOAT_MANTISSA << divider);
}

static uint64_t
float_result(uint64_t rate_bit_s)
{
	unsigned int mantissa = FLOAT_MANTISSA - 1, exponent = 0, divider = 0;

	if (rate_bit_s < FLOAT_MIN_BIT_S || rate_bit_s > FLOAT_MAX_BIT_S)
		return 0;
	if (rate_bit_s <= FLOAT_BASE_BIT_S) {
		while (rate_bit_s < FLOAT_BASE_BIT_S >> divider)
			divider++;
		assert(divider <= FLOAT_DIVIDER_MAX);
	} else {
		exponent = FLOAT_EXPONENT_MAX;
		while (rate_bit_s < FLOAT_BASE_BIT_S << exponent)
			exponent--;
	}
	while (mantissa > 0 && rate_bit_s < float_rate(mantissa, exponent, divider))
		mantissa--;
	return divide_up((weir_u128)(FLOAT_MANTISSA + mantissa) * FLOAT_BASE_BIT_S << exponent,
	                 (uint64_t)FLOAT_MANTISSA << divider);
}

/* By one clock; 0 where the driver finds no multiplier. */
static uint64_t
ticks_result_of(uint64_t bytes_s, uint64_t clock_hz)
{
	for (unsigned int i = 0; i < TICKS_EXPONENTS; i++) {
		uint64_t period = TICKS_PERIOD << i, periods_s = clock_hz / period, bytes;

		if (periods_s == 0)
			break;
		bytes = (bytes_s * TICKS_MULTIPLIER / periods_s + TICKS_MULTIPLIER / 2) /
		        TICKS_MULTIPLIER;
		if (bytes > TICKS_BYTES_ABOVE)
			return divide_up((weir_u128)bytes * clock_hz * 8, period);
	}
	return 0;
}

static uint64_t
ticks_result(uint64_t rate_bit_s)
{
	static const uint64_t clocks_hz[] = {367647059, 416666667, 446428571, 390625000};
	uint64_t kbit_s = rate_bit_s / 8 / 1000 * 8, worst = 0;

	if (kbit_s < TICKS_MIN_KBIT || kbit_s > TICKS_MAX_KBIT)
		return 0;
	for (size_t i = 0; i < sizeof(clocks_hz) / sizeof(clocks_hz[0]); i++) {
		uint64_t result = ticks_result_of(kbit_s * 1000 / 8, clocks_hz[i]);

		if (result == 0)
			return 0;
		worst = result > worst ? result : worst;
	}
	return worst;
}

static uint64_t
unit_bit_s(const struct weir_limiter_driver *driver)
{
	return driver->tm ? TM_UNIT_BIT_S : MBIT_BIT_S;
}

uint64_t
weir_limiter_driver_result(const struct weir_limiter_driver *driver, uint64_t rate_bit_s,
                           uint64_t link_bit_s)
{
	uint64_t cut = rate_bit_s - rate_bit_s % unit_bit_s(driver);

	switch (driver->arithmetic) {
	case WEIR_LIMITER_STEPS:
		return steps_result(driver, cut);
	case WEIR_LIMITER_DIVIDER:
		return divider_result(driver, cut, link_bit_s);
	case WEIR_LIMITER_FLOAT:
		return cut == 0 ? zero_result(driver) : float_result(cut);
	case WEIR_LIMITER_TICKS:
		return ticks_result(cut);
	case WEIR_LIMITER_ARITHMETIC_NONE:
		break;
	}
	return 0;
}

/* Whether a value in the API's unit gives a limit of at most a rate. */
static bool
value_fits(const struct weir_limiter_driver *driver, uint64_t value, uint64_t rate_bit_s,
           uint64_t link_bit_s)
{
	uint64_t result =
	    value == 0 ? 0
	               : weir_limiter_driver_result(driver, value * unit_bit_s(driver), link_bit_s);

	return result != 0 && result <= rate_bit_s;
}

uint64_t
weir_limiter_driver_value(const struct weir_limiter_driver *driver, uint64_t rate_bit_s,
                          uint64_t link_bit_s)
{
	uint64_t above = rate_bit_s / unit_bit_s(driver), fits = above - above / VALUE_WINDOW;

	if (value_fits(driver, above, rate_bit_s, link_bit_s))
		return above;
	fits -= fits > 0 && fits == above ? 1 : 0;
	if (!value_fits(driver, fits, rate_bit_s, link_bit_s))
		return 0;
	/* Results grow with values: the last one that fits is between. */
	while (above - fits > 1) {
		uint64_t middle = fits + (above - fits) / 2;

		if (value_fits(driver, middle, rate_bit_s, link_bit_s))
			fits = middle;
		else
			above = middle;
	}
	return fits;
}

/* Place of a quirk's bit in the table. */
static unsigned int
quirk_index(enum weir_limiter_quirk quirk)
{
	unsigned int index = (unsigned int)__builtin_ctz((unsigned int)quirk);

	assert(index < WEIR_QUIRKS && (unsigned int)quirk == 1U << index);
	return index;
}

const char *
weir_limiter_quirk_name(enum weir_limiter_quirk quirk)
{
	return quirks[quirk_index(quirk)].name;
}

const char *
weir_limiter_quirk_help(enum weir_limiter_quirk quirk)
{
	return quirks[quirk_index(quirk)].help;
}
