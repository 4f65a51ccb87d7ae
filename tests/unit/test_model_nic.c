/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model NIC: its wire to the picosecond, its limits by queue against what each driver's
 * register makes of them, what its driver forgets, and how it lies. By the calls that production
 * makes.
 */
#include "tests/nic/nic_box.h"

#define LINE_10G_PS  800U /* a byte at 10 Gbit/s */
#define FRAME_BYTES  1000U
#define WIRE_BYTES   1024U
#define MS           UINT64_C(1000000)
#define US           UINT64_C(1000)
#define WINDOW       4096U
#define LONG_RUN     100U
#define BURST_FRAMES 40U

/* One wire, one frame at a time, each as long as it is. */
static void
wire_is_exact(void)
{
	static const struct {
		const char *device;
		uint64_t byte_ps;
	} links[] = {
	    {"model0,speed=100M", 80000}, {"model0,speed=1G", 8000}, {"model0,speed=2500M", 3200},
	    {"model0,speed=10G", 800},    {"model0,speed=25G", 320}, {"model0,speed=40G", 200},
	    {"model0,speed=100G", 80},    {"model0,speed=400G", 20},
	};
	static const uint32_t sizes[] = {1, 60, 61, 999, 1514};

	for (size_t l = 0; l < WEIR_TEST_COUNT(links); l++) {
		uint64_t at = 0;

		box_open(links[l].device, 1);
		for (size_t i = 0; i < WEIR_TEST_COUNT(sizes); i++)
			CU_ASSERT_EQUAL(box_put(0, 1, sizes[i]), 1);
		box_run(10 * MS);
		CU_ASSERT_EQUAL_FATAL(box.n_sent, WEIR_TEST_COUNT(sizes));
		for (size_t i = 0; i < WEIR_TEST_COUNT(sizes); i++) {
			/* 4, 8 and 12 around a frame of at least 60. */
			at += ((sizes[i] < 60 ? 60 : sizes[i]) + 24) * links[l].byte_ps;
			CU_ASSERT_EQUAL(box.sent[i].left_ps, at);
		}
		box_close();
	}
}

/* A frame is there from when it was handed over, and has left when its last bit has. */
static void
time_is_what_it_is_told(void)
{
	box_open("model0", 1);
	box_run(5 * US);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(819); /* its last bit takes 200 ps more */
	CU_ASSERT_EQUAL(box.n_sent, 0);
	CU_ASSERT_EQUAL(weir_model_waiting(box.nic, 0), 1);
	box_run(1);
	CU_ASSERT_EQUAL(box.n_sent, 1);
	CU_ASSERT_EQUAL(box.sent[0].left_ps, 5 * US * 1000 + WIRE_BYTES * LINE_10G_PS);
	CU_ASSERT_EQUAL(weir_model_waiting(box.nic, 0), 0);
	weir_model_advance(box.nic, 0); /* time does not go back */
	CU_ASSERT_EQUAL(box.nic->now_ns, 5 * US + 820);
	box_close();
}

/* Queues that may send take turns; more of them than a ring port has. */
static void
queues_take_turns(void)
{
	uint32_t seen[40] = {0};

	box_open("model0,queues=40", 40);
	for (uint16_t q = 0; q < 40; q++)
		CU_ASSERT_EQUAL(box_put(q, 3, FRAME_BYTES), 3);
	box_run(MS);
	CU_ASSERT_EQUAL_FATAL(box.n_sent, 120);
	for (uint32_t i = 0; i < 120; i++) {
		CU_ASSERT_EQUAL(box.sent[i].queue, i % 40);
		CU_ASSERT_EQUAL(box.sent[i].left_ps, (i + 1) * WIRE_BYTES * LINE_10G_PS);
		seen[box.sent[i].queue]++;
	}
	for (uint16_t q = 0; q < 40; q++)
		CU_ASSERT_EQUAL(seen[q], 3);
	box_close();
}

/* A gap of link / rate, cut to 10.14 bits: each frame begins when the one before it has paid. */
static void
gap_is_exact(void)
{
	static const struct {
		uint32_t mbit_s, factor;
	} rates[] = {
	    {10000, 1 << 14},
	    {3000, 3 << 14 | 5461},
	    {100, 100 << 14},
	    {7, (1428 & 1023) << 14 | 9362},
	};

	for (size_t r = 0; r < WEIR_TEST_COUNT(rates); r++) {
		box_open("model0,family=ixgbe,window=0", 2);
		CU_ASSERT_EQUAL(box_set(1, rates[r].mbit_s), 0);
		CU_ASSERT_EQUAL(box.nic->shapers[1].factor, rates[r].factor);
		CU_ASSERT_EQUAL(box_put(1, LONG_RUN, FRAME_BYTES), LONG_RUN);
		box_run(1000 * MS);
		CU_ASSERT_EQUAL_FATAL(box.n_sent, LONG_RUN);
		for (uint32_t i = 0; i < LONG_RUN; i++) {
			weir_u128 begins =
			    (weir_u128)i * WIRE_BYTES * LINE_10G_PS * rates[r].factor;

			CU_ASSERT_EQUAL(box.sent[i].left_ps,
			                box_up(begins, 1 << 14) + WIRE_BYTES * LINE_10G_PS);
		}
		box_close();
	}
}

/* What a gap limit was idle it may make up for, up to its window. */
static void
gap_makes_up_for_its_window(void)
{
	uint64_t first;

	box_open("model0,family=ixgbe", 2);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	box_run(10 * MS);
	CU_ASSERT_EQUAL(box_put(1, LONG_RUN, FRAME_BYTES), LONG_RUN);
	box_run(100 * MS);
	CU_ASSERT_EQUAL_FATAL(box.n_sent, LONG_RUN);
	first = box.sent[0].left_ps;
	/* Four KiB and one frame at once, then one frame each 1,024 x 80 ns. */
	for (uint32_t i = 0; i < LONG_RUN; i++) {
		uint64_t owed = i * WIRE_BYTES > WINDOW ? i * WIRE_BYTES - WINDOW : 0;
		uint64_t at_line = i * WIRE_BYTES * LINE_10G_PS, paced = owed * 80000;

		CU_ASSERT_EQUAL(box.sent[i].left_ps - first, paced > at_line ? paced : at_line);
	}
	box_close();
}

/* The rate that a register gives is the one on the wire. */
static void
wire_follows_the_register(void)
{
	static const char *const families[] = {"plain", "ixgbe", "txgbe", "cnxk"};
	static const uint32_t rates[] = {1, 9, 33, 100, 999, 2500, 5000};

	for (size_t f = 0; f < WEIR_TEST_COUNT(families); f++) {
		for (size_t r = 0; r < WEIR_TEST_COUNT(rates); r++) {
			char device[WEIR_DEVICE_SIZE];
			uint64_t programmed, measured;

			snprintf(device, sizeof(device), "model0,family=%s,window=0", families[f]);
			box_open(device, 2);
			CU_ASSERT_EQUAL(box_set(1, rates[r]), 0);
			programmed = weir_model_queue_rate(box.nic, 1);
			CU_ASSERT_EQUAL(box_put(1, 220, FRAME_BYTES), 220);
			box_run(10 * 1000 * MS);
			CU_ASSERT_EQUAL_FATAL(box.n_sent, 220);
			/* Without a bucket's burst. */
			box.n_sent -= BURST_FRAMES;
			memmove(&box.sent[0], &box.sent[BURST_FRAMES],
			        box.n_sent * sizeof(box.sent[0]));
			measured = box_rate(1);
			CU_ASSERT(measured <= programmed + programmed / 1000000);
			CU_ASSERT(measured + programmed / 1000000 + 1 >= programmed);
			box_close();
		}
	}
}

/* ixgbe: small rates come out a hundred times too large, and 0 lifts the limit. */
static void
divider_loses_its_top(void)
{
	box_open("model0,family=ixgbe", 2);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	CU_ASSERT_EQUAL(box_set(1, 9), 0);
	CU_ASSERT(weir_model_queue_rate(box.nic, 1) / BOX_MBIT == 114);
	CU_ASSERT_EQUAL(box_set(1, 1), 0);
	CU_ASSERT(weir_model_queue_rate(box.nic, 1) / BOX_MBIT == 12);
	CU_ASSERT_EQUAL(box_set(1, 10), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 10 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_set(1, 0), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	box_close();
}

/* ethdev's own checks, and what slips through them. */
static void
ethdev_checks(void)
{
	box_open("model0,family=ixgbe,queues=4", 2);
	CU_ASSERT_EQUAL(box_set(4, 100), 0); /* the number of queues is no queue */
	CU_ASSERT_EQUAL(box_set(5, 100), -EINVAL);
	CU_ASSERT_EQUAL(box_set(1, 10001), -EINVAL);
	weir_model_set_link(box.nic, false, 10000);
	CU_ASSERT_EQUAL(box_set(1, 1), -EINVAL);
	weir_model_set_link(box.nic, true, 1000);
	CU_ASSERT_EQUAL(box_set(1, 1001), -EINVAL);
	CU_ASSERT_EQUAL(box_set(1, 1000), 0);
	box_close();
	box_open("model0,family=cnxk,queues=4", 2);
	CU_ASSERT_EQUAL(box_set(2, 100), -EINVAL);
	box_close();
	box_open("model0,family=hns3", 2);
	CU_ASSERT_EQUAL(box_set(1, 100), -ENOTSUP);
	box_close();
}

/* Starting clears the limits, and what leaves before they are set again is counted. */
static void
start_wipes(void)
{
	static const struct {
		const char *device;
		bool wiped;
	} families[] = {{"model0,family=ixgbe", true},
	                {"model0,family=txgbe", true},
	                {"model0,family=cnxk", false},
	                {"model0,family=plain", false}};

	for (size_t f = 0; f < WEIR_TEST_COUNT(families); f++) {
		box_open(families[f].device, 2);
		CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
		box_run(MS);
		CU_ASSERT_EQUAL(box_set(1, 50), 0);
		CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
		box_run(MS);
		CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 0);
		CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1),
		                families[f].wiped ? WEIR_MODEL_UNLIMITED : 50 * BOX_MBIT);
		CU_ASSERT_EQUAL(box_put(0, 2, FRAME_BYTES), 2);
		box_run(MS);
		CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 2);
		CU_ASSERT_EQUAL(box_set(1, 50), 0);
		CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
		box_run(MS);
		CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 2);
		/* What nothing goes by any more need not have its limit back. */
		CU_ASSERT_EQUAL(box_set(0, 50), 0);
		CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
		CU_ASSERT_EQUAL(box_set(1, 50), 0);
		CU_ASSERT_EQUAL(box_put(1, 1, FRAME_BYTES), 1);
		box_run(MS);
		CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 2);
		CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
		box_run(MS);
		CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 3);
		CU_ASSERT_EQUAL(box.nic->discarded_frames, 0);
		box_close();
	}
}

/* A limit that was set at 1 Gbit/s is ten times as high at 10. */
static void
speed_is_stale(void)
{
	box_open("model0,family=ixgbe,speed=1G,window=0", 2);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	weir_model_set_link(box.nic, true, 10000);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 1000 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_put(1, 50, FRAME_BYTES), 50);
	box_run(10 * MS);
	CU_ASSERT(box_rate(1) > 999 * BOX_MBIT && box_rate(1) <= 1000 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 50);
	box_close();
	/* The driver computes with the speed that it last heard of. */
	box_open("model0,family=ixgbe,speed=1G,events=0", 2);
	weir_model_set_link(box.nic, true, 10000);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 1000 * BOX_MBIT);
	weir_model_look_at_link(box.nic);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 100 * BOX_MBIT);
	box_close();
	/* Others stay as they are. */
	box_open("model0,family=txgbe,speed=1G", 2);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	weir_model_set_link(box.nic, true, 10000);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 100 * BOX_MBIT);
	box_close();
}

/* txgbe: 14 bits of Mbit/s, and half of them guaranteed against all the other queues. */
static void
field_wraps_and_guarantees(void)
{
	box_open("model0,family=txgbe,speed=100G", 2);
	CU_ASSERT_EQUAL(box_set(1, 16383), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 16383 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_set(1, 16384), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	CU_ASSERT_EQUAL(box_set(1, 16385), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), BOX_MBIT);
	box_close();
	box_open("model0,family=txgbe,speed=1G", 8);
	CU_ASSERT_EQUAL(box_set(0, 1000), 0);
	for (uint16_t q = 0; q < 8; q++)
		CU_ASSERT_EQUAL(box_put(q, 450, FRAME_BYTES), 450);
	box_run(4 * MS);
	/* An eighth would be its turn. */
	CU_ASSERT(box_rate(0) > 500 * BOX_MBIT && box_rate(0) < 600 * BOX_MBIT);
	box_close();
}

/* cnxk: 0 blocks; the first limit empties all queues over the wire before it holds. */
static void
float_blocks_and_rebuilds(void)
{
	box_open("model0,family=cnxk", 3);
	CU_ASSERT_EQUAL(box_put(2, 10, FRAME_BYTES), 10);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	CU_ASSERT_EQUAL(box.n_sent, 10);
	CU_ASSERT_EQUAL(box.sent[9].left_ps, 10 * WIRE_BYTES * LINE_10G_PS);
	CU_ASSERT_EQUAL(box_set(2, 0), 0);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 2), 0);
	CU_ASSERT_EQUAL(box_put(2, 10, FRAME_BYTES), 10);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(100 * MS);
	CU_ASSERT_EQUAL(box.n_sent, 11);
	CU_ASSERT_EQUAL(box_set(2, 100), 0);
	box_run(100 * MS);
	CU_ASSERT_EQUAL(box.n_sent, 21);
	box_close();
}

/* What a frame is done of, k frames after it: the offset that dataplane/departures.h asks. */
static int
done(uint16_t queue, uint16_t back)
{
	const struct weir_model_queue *q = &box.nic->queues[queue];

	return rte_eth_tx_descriptor_status(box.port.port_id, queue,
	                                    (uint16_t)(q->n_descriptors - back));
}

/* As the interface has it. */
static void
completions_exact(void)
{
	box_open("model0", 1);
	CU_ASSERT_EQUAL(box_put(0, 5, FRAME_BYTES), 5);
	CU_ASSERT_EQUAL(done(0, 5), RTE_ETH_TX_DESC_FULL);
	CU_ASSERT_EQUAL(done(0, 6), RTE_ETH_TX_DESC_DONE);
	box_run(3 * WIRE_BYTES * LINE_10G_PS / 1000 + 1);
	for (uint16_t back = 1; back <= 5; back++)
		CU_ASSERT_EQUAL(done(0, back),
		                back <= 2 ? RTE_ETH_TX_DESC_FULL : RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, 512), -EINVAL);
	/* One descriptor is never used. */
	CU_ASSERT_EQUAL(box_put(0, 1000, FRAME_BYTES), 511 - 2);
	box_close();
	box_open("model0,completions=none", 1);
	CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, 0), -ENOTSUP);
	box_close();
}

/* Intel's drivers look at a descriptor behind the frame's, unless each frame has its own mark. */
static void
completions_rounded(void)
{
	box_open("model0,family=ixgbe", 1);
	CU_ASSERT_EQUAL(box.nic->queues[0].rs_thresh, 32);
	CU_ASSERT_EQUAL(box_put(0, 5, FRAME_BYTES), 5);
	CU_ASSERT_EQUAL(done(0, 1), RTE_ETH_TX_DESC_DONE); /* and it is not */
	/* And after a lap it says that nothing is done, when all is. */
	for (uint32_t i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(box_put(0, 32, FRAME_BYTES), 32);
		box_run(MS);
	}
	CU_ASSERT_EQUAL(weir_model_waiting(box.nic, 0), 0);
	CU_ASSERT_EQUAL(done(0, 40), RTE_ETH_TX_DESC_FULL);
	box_close();
	/* The port asks for that as soon as its queues are to be limited. */
	box_open("model0,family=ixgbe,queues=2", 1);
	weir_port_stop(&box.port);
	box.port.tx_each = 2;
	box.port.config.tx_queues = 2;
	CU_ASSERT_EQUAL(weir_port_start(&box.port, (char[BOX_ERROR]){0}, BOX_ERROR), 0);
	CU_ASSERT_EQUAL(box.nic->queues[1].rs_thresh, 1);
	for (uint32_t i = 0; i < 2000; i++) {
		CU_ASSERT_EQUAL(box_put(1, 1, FRAME_BYTES), 1);
		CU_ASSERT_EQUAL(done(1, 1), RTE_ETH_TX_DESC_FULL);
		box_run(US);
		CU_ASSERT_EQUAL(done(1, 1), RTE_ETH_TX_DESC_DONE);
	}
	box_close();
}

/* cnxk takes the offset for something else. */
static void
completions_absolute(void)
{
	box_open("model0,family=cnxk", 1);
	CU_ASSERT_EQUAL(box_put(0, 5, FRAME_BYTES), 5);
	CU_ASSERT_EQUAL(done(0, 1), RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, 3), RTE_ETH_TX_DESC_FULL);
	/* Three are done: the places from the third to the fifth, both included, are not. */
	box_run(3 * WIRE_BYTES * LINE_10G_PS / 1000 + 1);
	for (uint16_t place = 0; place < 8; place++)
		CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, place),
		                place >= 3 && place <= 5 ? RTE_ETH_TX_DESC_FULL
		                                         : RTE_ETH_TX_DESC_DONE);
	box_close();
}

static const struct weir_test tests[] = {
    {"one wire, exact to the picosecond, at every speed", wire_is_exact},
    {"a frame is there when handed over, gone with its last bit", time_is_what_it_is_told},
    {"forty queues take turns", queues_take_turns},
    {"a gap limit is exact, as its 10.14 bits have it", gap_is_exact},
    {"a gap limit makes up for its window", gap_makes_up_for_its_window},
    {"the wire follows the register", wire_follows_the_register},
    {"ixgbe: small rates lose their top, 0 is no limit", divider_loses_its_top},
    {"ethdev's checks, and what slips through", ethdev_checks},
    {"starting wipes, and frames before the limits are counted", start_wipes},
    {"ixgbe: limits go with the link's speed", speed_is_stale},
    {"txgbe: 14 bits, and half of the rate guaranteed", field_wraps_and_guarantees},
    {"cnxk: 0 blocks, the first limit empties the queues", float_blocks_and_rebuilds},
    {"completions as they should be, and none", completions_exact},
    {"completions by the wrong descriptor", completions_rounded},
    {"completions by a place in a block", completions_absolute},
};

int
main(void)
{
	int result;

	if (!box_start())
		return 1;
	result = weir_test_run("model_nic", tests, WEIR_TEST_COUNT(tests));
	box_finish();
	return result;
}
