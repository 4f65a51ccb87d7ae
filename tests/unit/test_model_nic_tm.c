/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model NIC behind rte_tm: what each driver takes, refuses, ignores and loses, and what its
 * limits are on the wire.
 */
#include "tests/nic/nic_box.h"

#define LINE_10G_PS 800U
#define FRAME_BYTES 1000U
#define WIRE_BYTES  1024U
#define MS          UINT64_C(1000000)
#define MBIT_BYTES  UINT64_C(125000) /* bytes a second of 1 Mbit/s */
#define ICE_BURST   15360U

/* A bucket starts full; a frame begins when its bytes are in it. */
static void
bucket_is_exact(void)
{
	static const struct {
		uint64_t bytes, burst;
	} limits[] = {{MBIT_BYTES, 1024}, {100 * MBIT_BYTES, 5000}, {1234567, 15000}, {777, 3000}};

	for (size_t l = 0; l < WEIR_TEST_COUNT(limits); l++) {
		uint64_t wire_free = 0;

		box_open("model0", 2);
		box_add_trunk();
		CU_ASSERT_EQUAL(box_profile(1, limits[l].bytes, limits[l].burst, 0), 0);
		CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, BOX_NONE, true), 0);
		CU_ASSERT_EQUAL(box_node(1, BOX_CLASS, 2, 1, true), 0);
		CU_ASSERT_EQUAL(box_commit_now(), 0);
		CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), limits[l].bytes * 8);
		CU_ASSERT_EQUAL(box_put(1, 50, FRAME_BYTES), 50);
		box_run(100 * 1000 * MS);
		CU_ASSERT_EQUAL_FATAL(box.n_sent, 50);
		for (uint32_t i = 0; i < 50; i++) {
			uint64_t needed = (i + 1) * (uint64_t)WIRE_BYTES, begins = 0;

			if (needed > limits[l].burst)
				begins = box_up((weir_u128)(needed - limits[l].burst) *
				                    WEIR_MODEL_PS_PER_S,
				                limits[l].bytes);
			begins = begins > wire_free ? begins : wire_free;
			wire_free = begins + WIRE_BYTES * LINE_10G_PS;
			CU_ASSERT_EQUAL(box.sent[i].left_ps, wire_free);
		}
		box_close();
	}
}

/* The plain NIC: limits at each level hold together, change while frames flow, and can be taken. */
static void
plain_levels(void)
{
	box_open("model0", 4);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 2000, 0), 0);
	CU_ASSERT_EQUAL(box_profile(2, 150 * MBIT_BYTES, 2000, 0), 0);
	CU_ASSERT_EQUAL(box_profile(3, 180 * MBIT_BYTES, 2000, 0), 0);
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, 3, false), 0);
	CU_ASSERT_EQUAL(box_node(BOX_GROUP, BOX_ROOT, 1, 2, false), 0);
	CU_ASSERT_EQUAL(box_node(BOX_GROUP + 1, BOX_ROOT, 1, BOX_NONE, false), 0);
	for (uint16_t q = 0; q < 4; q++)
		CU_ASSERT_EQUAL(box_node(q, BOX_GROUP + q / 2, 2, q == 3 ? BOX_NONE : 1, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(box_delete_profile(1), -EINVAL);
	/* Two of 100 in a group of 150. */
	CU_ASSERT_EQUAL(box_put(0, 300, FRAME_BYTES), 300);
	CU_ASSERT_EQUAL(box_put(1, 300, FRAME_BYTES), 300);
	box_run(20 * MS);
	CU_ASSERT(box_rate(0) > 74 * BOX_MBIT && box_rate(0) < 76 * BOX_MBIT);
	CU_ASSERT(box_rate(1) > 74 * BOX_MBIT && box_rate(1) < 76 * BOX_MBIT);
	/* And all of them in a port of 180, of which a third one takes its turn. */
	box.n_sent = 0;
	CU_ASSERT_EQUAL(box_put(3, 300, FRAME_BYTES), 300);
	box_run(10 * MS);
	CU_ASSERT(box_rate(0) + box_rate(1) + box_rate(3) < 182 * BOX_MBIT);
	CU_ASSERT(box_rate(0) + box_rate(1) + box_rate(3) > 178 * BOX_MBIT);
	/* A limit changes while frames flow. */
	CU_ASSERT_EQUAL(box_profile(4, 10 * MBIT_BYTES, 2000, 0), 0);
	CU_ASSERT_EQUAL(box_update(0, 4), 0);
	box_run(MS);
	box.n_sent = 0;
	box_run(10 * MS);
	CU_ASSERT(box_rate(0) > 9 * BOX_MBIT && box_rate(0) < 11 * BOX_MBIT);
	/* One that is left out has none. */
	CU_ASSERT_EQUAL(box_delete_node(0), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 0), WEIR_MODEL_UNLIMITED);
	CU_ASSERT_EQUAL(box.nic->discarded_frames, 0);
	box_close();
}

/* ixgbe and txgbe: peak rates of queues, in Mbit/s, in the order of adding, until the next stop. */
static void
ixgbe_is_strict(void)
{
	static const char *const devices[] = {"model0,family=ixgbe", "model0,family=txgbe"};

	for (size_t d = 0; d < WEIR_TEST_COUNT(devices); d++) {
		box_open(devices[d], 3);
		CU_ASSERT_EQUAL(box_profile(1, MBIT_BYTES, 1500, 0), -EINVAL);
		CU_ASSERT_EQUAL(box_profile(1, MBIT_BYTES, 0, 10), -EINVAL);
		CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 0, 0), 0);
		CU_ASSERT_EQUAL(box_profile(2, MBIT_BYTES - 1, 0, 0), 0);
		CU_ASSERT_EQUAL(box_profile(1, MBIT_BYTES, 0, 0), -EINVAL); /* its number */
		CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, 1, false), 0);
		CU_ASSERT_EQUAL(box_commit_now(), -EINVAL); /* the port has no limit */
		CU_ASSERT_EQUAL(box_delete_node(BOX_ROOT), 0);
		box_add_trunk();
		CU_ASSERT_EQUAL(box_node(BOX_CLASS + 5, BOX_ROOT, 1, BOX_NONE, false), -EINVAL);
		for (uint16_t q = 0; q < 3; q++)
			CU_ASSERT_EQUAL(box_node(q, BOX_CLASS, 2, q == 2 ? 2 : 1, true), 0);
		/* Its own number, but the place behind the last: the driver goes by the place. */
		CU_ASSERT_EQUAL(box_delete_node(0), 0);
		CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, 1, true), 0);
		CU_ASSERT_EQUAL(box_commit_now(), 0);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 0), WEIR_MODEL_UNLIMITED);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 100 * BOX_MBIT);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 2), 100 * BOX_MBIT);
		CU_ASSERT_EQUAL(box_delete_node(0), -EINVAL);
		CU_ASSERT_EQUAL(box_update(0, 2), -ENOSYS);
		/* The start wipes what was committed, and the stop lets nodes be changed. */
		CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
		CU_ASSERT_EQUAL(box_delete_node(0), 0);
		CU_ASSERT_EQUAL(box_delete_node(2), 0);
		CU_ASSERT_EQUAL(box_delete_node(1), 0);
		/* Less than 1 Mbit/s is none. */
		CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, 2, true), 0);
		CU_ASSERT_EQUAL(box_commit_now(), 0);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 0), WEIR_MODEL_UNLIMITED);
		box_close();
	}
}

/* i40e: the port or its class, in steps of 50 Mbit/s; less is none; never a queue. */
static void
i40e_has_steps(void)
{
	box_open("model0,family=i40e", 2);
	CU_ASSERT_EQUAL(box_profile(1, 149 * MBIT_BYTES, 0, 0), 0);
	CU_ASSERT_EQUAL(box_profile(2, 49 * MBIT_BYTES, 0, 0), 0);
	box_add_trunk();
	CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, 1, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), -EINVAL);
	CU_ASSERT_EQUAL(box_delete_node(0), 0);
	CU_ASSERT_EQUAL(box_delete_node(BOX_CLASS), 0);
	CU_ASSERT_EQUAL(box_node(BOX_CLASS, BOX_ROOT, 1, 1, false), 0);
	CU_ASSERT_EQUAL(box_commit_now(), -EINVAL); /* a class without a queue */
	CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, BOX_NONE, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), 100 * BOX_MBIT);
	/* Both queues together. */
	CU_ASSERT_EQUAL(box_put(0, 200, FRAME_BYTES), 200);
	CU_ASSERT_EQUAL(box_put(1, 200, FRAME_BYTES), 200);
	box_run(20 * MS);
	CU_ASSERT(box_rate(0) + box_rate(1) < 110 * BOX_MBIT);
	CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), 100 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_delete_node(0), 0);
	CU_ASSERT_EQUAL(box_delete_node(BOX_CLASS), 0);
	CU_ASSERT_EQUAL(box_delete_node(BOX_ROOT), 0);
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, 2, false), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	box_close();
}

/* ice: a commit stops all queues, loses what is in them, and starts those in its tree. */
static void
ice_stops_queues(void)
{
	struct rte_tm_error error;

	box_open("model0,family=ice", 3);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 0, 0), 0);
	box_add_ice_tree(2, BOX_NONE, 1);
	CU_ASSERT_EQUAL(box_put(0, 10, FRAME_BYTES), 10);
	CU_ASSERT_EQUAL(box_put(2, 10, FRAME_BYTES), 10);
	box_run(WIRE_BYTES * LINE_10G_PS / 1000 + 1);
	CU_ASSERT_EQUAL(box_commit(&error), 0);
	CU_ASSERT_EQUAL(box.nic->discarded_frames, 18);
	CU_ASSERT_EQUAL(box.n_sent, 2);
	/* The one that is not in the tree stays stopped, and no commit works any more. */
	for (uint16_t q = 0; q < 3; q++)
		CU_ASSERT_EQUAL(box_put(q, 1, FRAME_BYTES), 1);
	box_run(10 * MS);
	CU_ASSERT_EQUAL(box.n_sent, 4);
	CU_ASSERT_EQUAL(weir_model_waiting(box.nic, 2), 1);
	CU_ASSERT_EQUAL(box_commit(&error), -EINVAL);
	CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
	/* What was limited is so after a restart, too. */
	CU_ASSERT(weir_model_queue_rate(box.nic, 0) < 101 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_put(2, 1, FRAME_BYTES), 1);
	box_run(10 * MS);
	CU_ASSERT_EQUAL(box.n_sent, 5);
	/* Stopped, it can't commit at all. */
	weir_port_stop(&box.port);
	CU_ASSERT_EQUAL(box_commit(&error), -EINVAL);
	box_close();
}

/* ice: what it says nothing of, ignores, or tells only in passing. */
static void
ice_ignores(void)
{
	struct rte_tm_capabilities can;
	struct rte_tm_level_capabilities level;
	struct rte_tm_error error = {0};
	struct rte_tm_shaper_params both = {.peak.rate = 100 * MBIT_BYTES,
	                                    .committed.rate = 10 * MBIT_BYTES};

	box_open("model0,family=ice", 7);
	CU_ASSERT_EQUAL(rte_tm_capabilities_get(box.port.port_id, &can, &error), -ENOSYS);
	CU_ASSERT_EQUAL(rte_tm_level_capabilities_get(box.port.port_id, 4, &level, &error),
	                -ENOSYS);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 1500, 0), -EINVAL);
	CU_ASSERT_EQUAL(rte_tm_shaper_profile_add(box.port.port_id, 1, &both, &error), 0);
	CU_ASSERT_EQUAL(box_profile(2, MBIT_BYTES, 0, 0), 0);
	/* 1 Mbit/s above it all, and 10 of the queues' own. */
	box_add_ice_tree(7, 2, 1);
	CU_ASSERT_EQUAL(box_commit(&error), 0);
	CU_ASSERT_EQUAL(error.type, RTE_TM_ERROR_TYPE_NONE);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 3), weir_model_queue_rate(box.nic, 3));
	CU_ASSERT(weir_model_path_rate(box.nic, 3) > 99 * BOX_MBIT);
	/* A burst of 15,360 bytes at once. */
	CU_ASSERT_EQUAL(box_put(3, 16, FRAME_BYTES), 16);
	box_run(10 * MS);
	for (uint32_t i = 0; i < ICE_BURST / WIRE_BYTES; i++)
		CU_ASSERT_EQUAL(box.sent[i].left_ps, (i + 1) * WIRE_BYTES * LINE_10G_PS);
	CU_ASSERT(box.sent[15].left_ps > 20 * WIRE_BYTES * LINE_10G_PS);
	/* A group's limit holds. */
	CU_ASSERT_EQUAL(box_delete_node(6), 0);
	CU_ASSERT_EQUAL(box_delete_node(BOX_GROUP + 6), 0);
	CU_ASSERT_EQUAL(box_node(BOX_GROUP + 6, BOX_VSI, 3, 2, false), 0);
	CU_ASSERT_EQUAL(box_node(6, BOX_GROUP + 6, 4, 1, true), 0);
	CU_ASSERT_EQUAL(box_commit(&error), 0);
	CU_ASSERT(weir_model_path_rate(box.nic, 6) < 2 * BOX_MBIT);
	box_close();
}

/* ice: rates that it can't have, and groups too many, leave queues stopped half-way. */
static void
ice_gives_up(void)
{
	struct rte_tm_error error;

	box_open("model0,family=ice", 2);
	CU_ASSERT_EQUAL(box_profile(1, 62499, 0, 0), 0); /* 496 kbit/s */
	box_add_ice_tree(2, BOX_NONE, 1);
	CU_ASSERT_EQUAL(box_commit(&error), -1);
	box_close();
	box_open("model0,family=ice,queues=8", 8);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 0, 0), 0);
	box_add_ice_tree(8, BOX_NONE, 1);
	CU_ASSERT_EQUAL(box_commit(&error), 0); /* and yet */
	CU_ASSERT_EQUAL(error.type, RTE_TM_ERROR_TYPE_UNSPECIFIED);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 0), WEIR_MODEL_UNLIMITED);
	box_close();
}

/* iavf: while stopped, all queues, in the order of the list, and once. */
static void
iavf_commits_once(void)
{
	box_open("model0,family=iavf", 2);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 0, 0), 0);
	CU_ASSERT_EQUAL(box_profile(2, MBIT_BYTES + 999, 0, 0), 0);
	box_add_trunk();
	CU_ASSERT_EQUAL(box_node(1, BOX_CLASS, 2, 1, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), -63); /* it runs */
	weir_port_stop(&box.port);
	CU_ASSERT_EQUAL(box_commit_now(), -5); /* queue 0 is missing */
	CU_ASSERT_EQUAL(box_node(0, BOX_CLASS, 2, 2, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(weir_port_start(&box.port, (char[BOX_ERROR]){0}, BOX_ERROR), 0);
	/* Queue 1 was the first to be added. */
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 0), 100 * BOX_MBIT);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), BOX_MBIT);
	weir_port_stop(&box.port);
	CU_ASSERT_EQUAL(box_delete_node(0), -EINVAL);
	box_close();
}

/* hns3: numbers that it prescribes, the port and its class, at once; a stop lifts it all. */
static void
hns3_limits_above(void)
{
	uint32_t root = 16 + 8, class = 16;

	box_open("model0,family=hns3,queues=16", 2);
	CU_ASSERT_EQUAL(box_profile(1, MBIT_BYTES - 1, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(box_profile(1, 3 * MBIT_BYTES - 1, 0, 0), 0);
	CU_ASSERT_EQUAL(box_profile(2, 7 * MBIT_BYTES, 0, 0), 0);
	CU_ASSERT_EQUAL(box_node(BOX_ROOT, RTE_TM_NODE_ID_NULL, 0, BOX_NONE, false), -EINVAL);
	CU_ASSERT_EQUAL(box_node(root, RTE_TM_NODE_ID_NULL, 0, BOX_NONE, false), 0);
	CU_ASSERT_EQUAL(box_node(class, root, 1, 1, false), 0);
	CU_ASSERT_EQUAL(box_node(0, class, 2, 1, true), -EINVAL);
	CU_ASSERT_EQUAL(box_node(0, class, 2, BOX_NONE, true), 0);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 0), 2 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_update(class, 2), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 0), 7 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_update(0, 2), -EINVAL);
	CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 0), WEIR_MODEL_UNLIMITED);
	box_close();
}

static void
cnxk_has_one_tree(void)
{
	struct rte_tm_node_stats stats;
	struct rte_tm_error error;
	uint64_t mask;

	box_open("model0,family=cnxk", 3);
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 0, 0), -EINVAL); /* it wants a burst */
	CU_ASSERT_EQUAL(box_profile(1, 100 * MBIT_BYTES, 2048, 0), 0);
	CU_ASSERT_EQUAL(box_profile(2, 10 * MBIT_BYTES, 2048, 0), 0);
	CU_ASSERT_EQUAL(box_profile(3, 200 * MBIT_BYTES, 2048, 201 * MBIT_BYTES), -EINVAL);
	box_add_cnxk_tree(2, 2, 1);
	CU_ASSERT_EQUAL(box_commit_now(), -EINVAL); /* queue 2 is missing */
	CU_ASSERT_EQUAL(box_node(BOX_GROUP + 2, BOX_ROOT + 3, 4, 1, false), 0);
	CU_ASSERT_EQUAL(box_node(2, BOX_GROUP + 2, 5, BOX_NONE, true), 0);
	CU_ASSERT_EQUAL(box_put(1, 5, FRAME_BYTES), 5);
	CU_ASSERT_EQUAL(box_commit_now(), 0);
	CU_ASSERT_EQUAL(box.n_sent, 5); /* the queues were emptied for it, over the wire */
	/* The root's single rate is for nothing, and the bursts are eight times as large. */
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), 100 * BOX_MBIT);
	CU_ASSERT_EQUAL(box.nic->shapers[box.nic->queues[1].path[0]].burst_bytes, 8 * 2048);
	CU_ASSERT_EQUAL(box_commit_now(), -EIO);
	CU_ASSERT_EQUAL(box_delete_node(0), -EIO);
	CU_ASSERT_EQUAL(box_update(BOX_GROUP + 1, 2), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), 10 * BOX_MBIT);
	CU_ASSERT_EQUAL(box_update(1, 2), -EINVAL);
	CU_ASSERT_EQUAL(rte_tm_node_stats_read(box.port.port_id, 1, &stats, &mask, 0, &error), 0);
	CU_ASSERT_EQUAL(stats.n_pkts, 5);
	/* A limit by queue takes the whole tree down. */
	CU_ASSERT_EQUAL(box_set(0, 50), 0);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 0), 50 * BOX_MBIT);
	CU_ASSERT_EQUAL(weir_model_path_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	box_close();
}

static const struct weir_test tests[] = {
    {"a bucket is exact, from full", bucket_is_exact},
    {"plain: levels hold together and change live", plain_levels},
    {"ixgbe, txgbe: strict, by order, wiped", ixgbe_is_strict},
    {"i40e: steps of the port or its class", i40e_has_steps},
    {"ice: a commit stops the queues", ice_stops_queues},
    {"ice: levels ignored, groups and bursts", ice_ignores},
    {"ice: it gives up half-way", ice_gives_up},
    {"iavf: stopped, complete, in order, once", iavf_commits_once},
    {"hns3: the port and its class", hns3_limits_above},
    {"cnxk: one tree, updated while it stands", cnxk_has_one_tree},
};

int
main(void)
{
	int result;

	if (!box_start())
		return 1;
	result = weir_test_run("model_nic_tm", tests, WEIR_TEST_COUNT(tests));
	box_finish();
	return result;
}
