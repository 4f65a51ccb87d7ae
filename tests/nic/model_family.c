/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drivers' registers behind rte_eth_set_queue_rate_limit, and what is particular to each driver
 * besides. Functions named are DPDK v22.11.11's.
 */
#include "tests/nic/model_family.h"
#include "tests/nic/model_tm.h"

#include <errno.h>
#include <string.h>

/* RTTBCNRC of the 82599: the integer part has 10 bits, the fraction 14. */
#define GAP_INTEGER_MASK  0x3ffU
#define GAP_FRACTION_BITS 14U
#define GAP_FRACTION_MASK 0x3fffU
#define GAP_REGISTERS     128U
/* RTTBCNRM: what late frames may make up for, in KiB; more of it for frames of 9,728 bytes. */
#define WINDOW_KIB         4U
#define WINDOW_JUMBO_KIB   20U
#define WINDOW_JUMBO_BYTES 9728U
#define FRAME_OVERHEAD     18U

#define FIELD_MASK         0x3fffU /* of ARBTXRATE: 14 bits of Mbit/s */
#define FIELD_BURST_BYTES  (WINDOW_JUMBO_KIB * 1024U)

/* Rates of the NIX: 2 Mbit/s x (256 + mantissa) / 256 x 2^exponent / 2^divider. */
#define FLOAT_BASE       UINT64_C(2000000)
#define FLOAT_MANTISSA   255U
#define FLOAT_EXPONENT   15U
#define FLOAT_DIVIDER    12U
#define FLOAT_ONE        256U
#define FLOAT_LOWEST     (FLOAT_BASE >> FLOAT_DIVIDER)
#define FLOAT_HIGHEST    (FLOAT_BASE * (511U << FLOAT_EXPONENT) / FLOAT_ONE)
#define BURST_MANTISSA   0x7fffU
#define NIX_FRAME_MAX    16380U
#define NIX_BURST_US     4U
#define NIX_INVALID_TREE (-2048)

static uint64_t
window_bytes(const struct weir_model *nic)
{
	if (nic->config.window_bytes != UINT32_MAX)
		return nic->config.window_bytes;
	return (nic->mtu + FRAME_OVERHEAD >= WINDOW_JUMBO_BYTES ? WINDOW_JUMBO_KIB : WINDOW_KIB) *
	       1024U;
}

/*
 * ixgbe_set_queue_rate_limit. The factor is computed with the speed that the driver last heard of,
 * and the integer part loses what is above its ten bits.
 */
static int
set_gap(struct weir_model *nic, uint16_t queue, uint32_t mbit_s)
{
	uint16_t link = (uint16_t)nic->known_mbit_s;
	uint32_t whole, fraction;

	if (queue >= GAP_REGISTERS)
		return -EINVAL;
	if (queue >= nic->config.queues)
		return 0; /* a register of no queue */
	weir_model_own_path(nic, queue);
	if (mbit_s == 0) {
		weir_model_lift(nic, &nic->shapers[queue]);
		return 0;
	}
	whole = link / mbit_s & GAP_INTEGER_MASK;
	fraction = ((link % mbit_s) << GAP_FRACTION_BITS) / mbit_s & GAP_FRACTION_MASK;
	weir_model_set_gap(nic, &nic->shapers[queue], whole << GAP_FRACTION_BITS | fraction,
	                   window_bytes(nic));
	return 0;
}

/* txgbe_set_queue_rate_limit: a maximum, and half of it as a minimum. */
static int
set_field(struct weir_model *nic, uint16_t queue, uint32_t mbit_s)
{
	uint32_t most = mbit_s & FIELD_MASK, least = mbit_s / 2 & FIELD_MASK;
	uint64_t burst =
	    nic->config.window_bytes != UINT32_MAX ? nic->config.window_bytes : FIELD_BURST_BYTES;

	if (queue >= GAP_REGISTERS)
		return -EINVAL;
	if (queue >= nic->config.queues)
		return 0;
	weir_model_own_path(nic, queue);
	if (most == 0)
		weir_model_lift(nic, &nic->shapers[queue]);
	else
		weir_model_set_bucket(nic, &nic->shapers[queue], most * WEIR_MODEL_MBIT, 1, burst);
	weir_model_set_committed(nic, queue, least * WEIR_MODEL_MBIT);
	return 0;
}

bool
weir_model_float(uint64_t bit_s, uint64_t *dividend, uint64_t *divisor)
{
	unsigned int mantissa = FLOAT_MANTISSA, exponent = 0, divider = 0;

	if (bit_s < FLOAT_LOWEST || bit_s > FLOAT_HIGHEST)
		return false;
	/* nix_tm_shaper_rate_conv_exact: every quotient is cut off before it is compared. */
	if (bit_s <= FLOAT_BASE) {
		while (bit_s < FLOAT_BASE / (UINT64_C(1) << divider))
			divider++;
		while (bit_s <
		       FLOAT_BASE * (FLOAT_ONE + mantissa) / ((UINT64_C(1) << divider) * FLOAT_ONE))
			mantissa--;
	} else {
		exponent = FLOAT_EXPONENT;
		while (bit_s < FLOAT_BASE * (UINT64_C(1) << exponent))
			exponent--;
		while (bit_s <
		       FLOAT_BASE * ((uint64_t)(FLOAT_ONE + mantissa) << exponent) / FLOAT_ONE)
			mantissa--;
	}
	*dividend = FLOAT_BASE * ((uint64_t)(FLOAT_ONE + mantissa) << exponent);
	*divisor = (uint64_t)FLOAT_ONE << divider;
	return true;
}

/* nix_tm_shaper_burst_conv. 0: none that the register holds. */
uint64_t
weir_model_float_burst(uint64_t bytes)
{
	uint64_t exponent = FLOAT_EXPONENT, mantissa = BURST_MANTISSA;

	if (bytes < 2 || bytes > ((FLOAT_ONE + mantissa) << (exponent + 1)) / FLOAT_ONE)
		return 0;
	while (bytes < UINT64_C(1) << (exponent + 1))
		exponent--;
	while (bytes < ((FLOAT_ONE + mantissa) << (exponent + 1)) / FLOAT_ONE)
		mantissa--;
	return ((FLOAT_ONE + mantissa) << (exponent + 1)) / FLOAT_ONE;
}

/* Another tree is put in force: all queues are emptied first, over the wire. */
static int
change_tree(struct weir_model *nic, enum weir_model_tree tree)
{
	if (!weir_model_drain(nic))
		return -EFAULT;
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		weir_model_own_path(nic, q);
		nic->shapers[q].limited = nic->shapers[q].blocked = false;
		weir_model_set_committed(nic, q, 0);
	}
	nic->tree = (uint8_t)tree;
	return 0;
}

int
weir_model_change_tree(struct weir_model *nic, enum weir_model_tree tree)
{
	return nic->tree == tree ? 0 : change_tree(nic, tree);
}

/* cnxk_nix_tm_set_queue_rate_limit, roc_nix_tm_rlimit_sq. */
static int
set_float(struct weir_model *nic, uint16_t queue, uint32_t mbit_s)
{
	uint64_t bit_s = mbit_s * WEIR_MODEL_MBIT, dividend, divisor, burst;
	int result = 0;

	if (queue >= nic->n_queues)
		return -EINVAL;
	if (nic->n_queues > 1)
		result = weir_model_change_tree(nic, WEIR_MODEL_TREE_QUEUES);
	if (result != 0)
		return result;
	if (nic->tree == WEIR_MODEL_TREE_USER)
		return NIX_INVALID_TREE;
	if (mbit_s == 0) {
		weir_model_block(nic, &nic->shapers[queue]);
		return 0;
	}
	burst = NIX_BURST_US * bit_s / (8 * WEIR_MODEL_MBIT);
	burst = weir_model_float_burst(burst > NIX_FRAME_MAX ? burst : NIX_FRAME_MAX);
	if (burst == 0 || !weir_model_float(bit_s, &dividend, &divisor))
		weir_model_lift(nic, &nic->shapers[queue]);
	else
		weir_model_set_bucket(nic, &nic->shapers[queue], dividend, divisor, burst);
	return 0;
}

/* As one would wish. */
static int
set_plain(struct weir_model *nic, uint16_t queue, uint32_t mbit_s)
{
	if (queue >= nic->n_queues || mbit_s == 0)
		return -EINVAL;
	weir_model_own_path(nic, queue);
	weir_model_set_bucket(nic, &nic->shapers[queue], mbit_s * WEIR_MODEL_MBIT, 1, 0);
	return 0;
}

static const struct weir_model_family families[] = {
    {
        .name = "plain",
        .driver = "net_model",
        .completion = WEIR_MODEL_COMPLETION_EXACT,
        .rs_thresh = 1,
        .set_queue = set_plain,
        .tm = &weir_model_tm_plain,
    },
    {
        .name = "ixgbe",
        .driver = "net_ixgbe",
        .completion = WEIR_MODEL_COMPLETION_ROUNDED,
        .rs_thresh = 32,
        .tells_at_end = true,
        .wiped_at_start = true,
        .set_queue = set_gap,
        .tm = &weir_model_tm_ixgbe,
    },
    {
        .name = "txgbe",
        .driver = "net_txgbe",
        .completion = WEIR_MODEL_COMPLETION_BIT,
        .rs_thresh = 32,
        .wiped_at_start = true,
        .set_queue = set_field,
        .tm = &weir_model_tm_ixgbe,
    },
    {
        .name = "cnxk",
        .driver = "net_cn10k",
        .completion = WEIR_MODEL_COMPLETION_ABSOLUTE,
        .rs_thresh = 1,
        .set_queue = set_float,
        .tm = &weir_model_tm_cnxk,
    },
    {
        .name = "i40e",
        .driver = "net_i40e",
        .completion = WEIR_MODEL_COMPLETION_ROUNDED,
        .rs_thresh = 32,
        .tm = &weir_model_tm_i40e,
    },
    {
        .name = "ice",
        .driver = "net_ice",
        .completion = WEIR_MODEL_COMPLETION_ROUNDED,
        .rs_thresh = 32,
        .tm = &weir_model_tm_ice,
    },
    {
        .name = "iavf",
        .driver = "net_iavf",
        .completion = WEIR_MODEL_COMPLETION_ROUNDED,
        .rs_thresh = 32,
        .tm = &weir_model_tm_iavf,
    },
    {
        .name = "hns3",
        .driver = "net_hns3",
        .completion = WEIR_MODEL_COMPLETION_EXACT,
        .rs_thresh = 1,
        .tm = &weir_model_tm_hns3,
    },
};

const struct weir_model_family *
weir_model_families(uint32_t *n)
{
	*n = sizeof(families) / sizeof(families[0]);
	return families;
}

const struct weir_model_family *
weir_model_family_find(const char *name)
{
	uint32_t n;
	const struct weir_model_family *all = weir_model_families(&n);

	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	}
	return NULL;
}
