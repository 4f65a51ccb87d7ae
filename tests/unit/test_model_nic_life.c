/* SPDX-License-Identifier: BSD-3-Clause */
/* The model NIC as a port: its life, its counters, its link, and everything that it can lie about.
 */
#include "drivers/port_device.h"
#include "tests/nic/nic_box.h"

#define LINE_10G_PS 800U
#define FRAME_BYTES 1000U
#define WIRE_BYTES  1024U
#define MS          UINT64_C(1000000)
#define US          UINT64_C(1000)
#define WIRE_NS     820U /* of such a frame, rounded up */

static struct rte_eth_stats
stats(void)
{
	struct rte_eth_stats now;

	CU_ASSERT_EQUAL(rte_eth_stats_get(box.port.port_id, &now), 0);
	return now;
}

static uint64_t
xstat(const char *name)
{
	uint64_t id = 0, value = 0;

	CU_ASSERT_EQUAL(rte_eth_xstats_get_id_by_name(box.port.port_id, name, &id), 0);
	CU_ASSERT_EQUAL(rte_eth_xstats_get_by_id(box.port.port_id, &id, &value, 1), 1);
	return value;
}

/* What a driver says of itself, and what a port makes of it. */
static void
port_is_the_drivers(void)
{
	struct rte_eth_dev_info info;
	uint32_t n, speed = 0;
	const struct weir_model_family *families = weir_model_families(&n);

	for (uint32_t f = 0; f < n; f++) {
		char device[WEIR_DEVICE_SIZE], line[512];

		snprintf(device, sizeof(device), "model0,family=%s,queues=24,speed=25G",
		         families[f].name);
		box_open(device, 18);
		CU_ASSERT_STRING_EQUAL(box.port.driver, families[f].driver);
		CU_ASSERT_EQUAL(rte_eth_dev_info_get(box.port.port_id, &info), 0);
		CU_ASSERT_EQUAL(info.max_tx_queues, 24);
		CU_ASSERT_EQUAL(info.nb_tx_queues, 18);
		CU_ASSERT_EQUAL(info.speed_capa, RTE_ETH_LINK_SPEED_25G);
		CU_ASSERT_EQUAL(info.default_txconf.tx_rs_thresh,
		                box.nic->config.completion == WEIR_MODEL_COMPLETION_ROUNDED ? 32
		                                                                            : 0);
		CU_ASSERT(weir_port_link(&box.port, &speed));
		CU_ASSERT_EQUAL(speed, 25000);
		CU_ASSERT(box.port.flow_control_off);
		CU_ASSERT_EQUAL(box.nic->flow_control.mode, RTE_ETH_FC_NONE);
		weir_port_describe(&box.port, line, sizeof(line));
		CU_ASSERT(strstr(line, "link up 25000 Mbit/s") != NULL);
		CU_ASSERT(strstr(line, "tx 18 x 512") != NULL);
		CU_ASSERT(strstr(line, "not granted") == NULL);
		box_close();
	}
}

/* Other devices are none of its business; names are taken once; nonsense is refused. */
static void
devices_are_checked(void)
{
	static const char *const wrong[] = {
	    "model0,family=e1000", "model0,queues=0",       "model0,queues=257",
	    "model0,speed=3G",     "model0,speed=10",       "model0,nonsense=1",
	    "model0,window=x",     "model0,descriptors=63", "model0,completions=perhaps",
	};
	char error[BOX_ERROR] = "";
	uint16_t port;
	bool made = true;

	for (size_t i = 0; i < WEIR_TEST_COUNT(wrong); i++) {
		CU_ASSERT_EQUAL(
		    weir_port_device_probe(wrong[i], &port, &made, error, sizeof(error)), -EINVAL);
		CU_ASSERT(!made && strstr(error, "is not one of a model's") != NULL);
	}
	box_open("model0", 1);
	CU_ASSERT_EQUAL(
	    weir_port_device_probe("model0,queues=2", &port, &made, error, sizeof(error)), -EEXIST);
	CU_ASSERT(weir_model_of(box.port.port_id) == weir_model_find("model0"));
	CU_ASSERT_EQUAL(weir_port_device_probe("net_null7", &port, &made, error, sizeof(error)), 0);
	CU_ASSERT(made && weir_model_of(port) == NULL);
	CU_ASSERT_EQUAL(rte_eth_set_queue_rate_limit(port, 0, 0), -ENOTSUP);
	CU_ASSERT_EQUAL(rte_eth_dev_close(port), 0);
	weir_port_device_remove("net_null7");
	box_close();
	CU_ASSERT(weir_model_find("model0") == NULL);
}

/* Counters by queue and of the port; bytes without FCS, padded, or with it. */
static void
counters_are_the_drivers(void)
{
	struct rte_eth_stats now;

	box_open("model0,queues=20", 20);
	CU_ASSERT_EQUAL(box_put(3, 2, FRAME_BYTES), 2);
	CU_ASSERT_EQUAL(box_put(19, 1, 20), 1);
	now = stats();
	CU_ASSERT(now.opackets == 0 && now.obytes == 0);
	box_run(MS);
	now = stats();
	CU_ASSERT(now.opackets == 3 && now.obytes == 2060);
	CU_ASSERT(now.q_opackets[3] == 2 && now.q_obytes[3] == 2000);
	CU_ASSERT_EQUAL(xstat("tx_good_packets"), 3);
	CU_ASSERT_EQUAL(xstat("tx_q19_packets"), 1);
	CU_ASSERT_EQUAL(xstat("tx_q19_bytes"), 60);
	CU_ASSERT_EQUAL(rte_eth_xstats_get(box.port.port_id, NULL, 0), 44);
	CU_ASSERT_EQUAL(rte_eth_stats_reset(box.port.port_id), 0);
	CU_ASSERT_EQUAL(stats().opackets, 0);
	CU_ASSERT_EQUAL(xstat("tx_q3_bytes"), 0);
	CU_ASSERT_EQUAL(box.nic->sent_all.frames, 3);
	box_close();
	box_open("model0,counters=fcs", 1);
	CU_ASSERT_EQUAL(box_put(0, 2, FRAME_BYTES), 2);
	box_run(MS);
	CU_ASSERT_EQUAL(stats().obytes, 2008);
	box_close();
}

static void
receive(void)
{
	struct rte_mbuf *mbuf = box_frame(FRAME_BYTES), *got = NULL;

	box_open("model0", 1);
	weir_model_receive(box.nic, 0, mbuf);
	CU_ASSERT_EQUAL(rte_eth_rx_burst(box.port.port_id, 0, &got, 1), 1);
	CU_ASSERT(got == mbuf);
	rte_pktmbuf_free(got);
	CU_ASSERT(stats().ipackets == 1 && stats().ibytes == FRAME_BYTES);
	weir_model_receive(box.nic, 7, box_frame(FRAME_BYTES)); /* no such queue */
	CU_ASSERT_EQUAL(stats().imissed, 1);
	weir_model_receive(box.nic, 0, box_frame(FRAME_BYTES)); /* nobody takes it */
	box_close();
}

/* What waits at a stop is lost, but for the frame on the wire. */
static void
stop_loses_the_rings(void)
{
	box_open("model0", 2);
	CU_ASSERT_EQUAL(box_put(0, 5, FRAME_BYTES), 5);
	CU_ASSERT_EQUAL(box_put(1, 5, FRAME_BYTES), 5);
	box_run(WIRE_NS + 1);
	CU_ASSERT_EQUAL(box.n_sent, 1);
	CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
	CU_ASSERT_EQUAL(box.n_sent, 2);
	CU_ASSERT_EQUAL(box.sent[1].left_ps, 2 * WIRE_BYTES * LINE_10G_PS);
	CU_ASSERT_EQUAL(box.nic->discarded_frames, 8);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 2);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(box.pool), 0);
	CU_ASSERT_EQUAL(box_put(1, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 3);
	CU_ASSERT_EQUAL(box.nic->starts, 2);
	box_close();
}

/* With interrupts a driver knows at once; without, when it is asked. */
static void
link_is_told(void)
{
	uint32_t speed, downs;

	box_open("model0", 1);
	downs = weir_port_downs(&box.port);
	CU_ASSERT(box.port.link_events);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	weir_model_set_link(box.nic, false, 10000);
	CU_ASSERT_EQUAL(weir_port_downs(&box.port), downs + 1);
	CU_ASSERT(!weir_port_link(&box.port, &speed));
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 0);
	weir_model_set_link(box.nic, true, 1000);
	CU_ASSERT(weir_port_link(&box.port, &speed));
	CU_ASSERT_EQUAL(speed, 1000);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 1);
	/* Not before the link was up, and at its speed. */
	CU_ASSERT_EQUAL(box.sent[0].left_ps, MS * 1000 + WIRE_BYTES * 8000);
	box_close();
	box_open("model0,events=0", 1);
	CU_ASSERT(!box.port.link_events);
	weir_model_set_link(box.nic, false, 10000);
	CU_ASSERT(box.nic->known_up);
	CU_ASSERT(!weir_port_link(&box.port, &speed));
	CU_ASSERT(!box.nic->known_up);
	box_close();
}

/* The driver can cut the link itself; a start brings it back. */
static void
link_is_cut(void)
{
	uint32_t speed;

	box_open("model0", 1);
	CU_ASSERT_EQUAL(rte_eth_dev_set_link_down(box.port.port_id), 0);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 0);
	CU_ASSERT(!weir_port_link(&box.port, &speed));
	CU_ASSERT_EQUAL(weir_port_restart(&box.port), 0);
	CU_ASSERT(weir_port_link(&box.port, &speed));
	CU_ASSERT_EQUAL(rte_eth_dev_set_link_down(box.port.port_id), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_set_link_up(box.port.port_id), 0);
	CU_ASSERT(weir_port_link(&box.port, &speed));
	box_close();
}

/* A NIC that resets itself has no limits and nothing to send, and its link blinks. */
static void
reset_wipes(void)
{
	uint32_t downs, speed;

	box_open("model0,family=ixgbe", 2);
	downs = weir_port_downs(&box.port);
	CU_ASSERT_EQUAL(box_set(1, 10), 0);
	CU_ASSERT_EQUAL(box_put(1, 20, FRAME_BYTES), 20);
	box_run(10 * US);
	weir_model_reset(box.nic, 3 * MS);
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
	CU_ASSERT_EQUAL(weir_port_downs(&box.port), downs + 1);
	CU_ASSERT(box.nic->discarded_frames > 0);
	CU_ASSERT_EQUAL(box_put(1, 1, FRAME_BYTES), 1);
	box.n_sent = 0;
	box_run(2 * MS);
	CU_ASSERT(!weir_port_link(&box.port, &speed));
	CU_ASSERT_EQUAL(box.n_sent, 0);
	box_run(2 * MS);
	CU_ASSERT(weir_port_link(&box.port, &speed));
	CU_ASSERT_EQUAL_FATAL(box.n_sent, 1);
	/* At once when the link is up, and before anybody has set a limit. */
	CU_ASSERT_EQUAL(box.sent[0].left_ps, (10 * US + 3 * MS) * 1000 + WIRE_BYTES * LINE_10G_PS);
	CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 1);
	weir_model_blink(box.nic, 1000, MS);
	CU_ASSERT(!weir_port_link(&box.port, &speed));
	box_run(MS);
	CU_ASSERT(weir_port_link(&box.port, &speed) && speed == 1000);
	box_close();
}

/* With must_be_programmed no frame may be the first thing. */
static void
first_limit_counts(void)
{
	box_open("model0,family=ixgbe", 2);
	box.nic->must_be_programmed = true;
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 1);
	CU_ASSERT_EQUAL(box_set(1, 10), 0);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.nic->unprogrammed_frames, 1);
	box_close();
}

/* A limit may count less of a frame than the wire does. */
static void
limits_count_less(void)
{
	static const struct {
		const char *device;
		uint32_t counted;
	} kinds[] = {{"model0,counts=wire", 1024},
	             {"model0,counts=fcs", 1004},
	             {"model0,counts=frame", 1000}};

	for (size_t k = 0; k < WEIR_TEST_COUNT(kinds); k++) {
		box_open(kinds[k].device, 1);
		CU_ASSERT_EQUAL(box_set(0, 100), 0);
		CU_ASSERT_EQUAL(box_put(0, 11, FRAME_BYTES), 11);
		box_run(100 * MS);
		CU_ASSERT_EQUAL_FATAL(box.n_sent, 11);
		CU_ASSERT_EQUAL(box.sent[10].left_ps - box.sent[0].left_ps,
		                10 * (uint64_t)kinds[k].counted * 80000);
		box_close();
	}
}

static void
cheat_faster(void)
{
	box_open("model0", 2);
	CU_ASSERT_EQUAL(box_set(0, 100), 0);
	CU_ASSERT_EQUAL(box_set(1, 100), 0);
	box.nic->cheat.rate_ppm = 1500000;
	box.nic->cheat.rate_queue = 1;
	CU_ASSERT_EQUAL(box_put(0, 101, FRAME_BYTES), 101);
	CU_ASSERT_EQUAL(box_put(1, 101, FRAME_BYTES), 101);
	box_run(100 * MS);
	CU_ASSERT_EQUAL(box.n_sent, 202);
	CU_ASSERT(box_rate(0) > 99 * BOX_MBIT && box_rate(0) < 101 * BOX_MBIT);
	CU_ASSERT(box_rate(1) > 149 * BOX_MBIT && box_rate(1) < 151 * BOX_MBIT);
	/* It says nothing of that. */
	CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), 100 * BOX_MBIT);
	box_close();
}

static void
cheat_own_frames(void)
{
	box_open("model0", 2);
	box.nic->cheat.own_frames = 3;
	box.nic->cheat.own_bytes = 1514;
	box.nic->cheat.own_queue = 1;
	box_run(MS);
	CU_ASSERT_EQUAL_FATAL(box.n_sent, 3);
	CU_ASSERT(box.sent[2].own && box.sent[2].queue == 1);
	CU_ASSERT_EQUAL(box.sent[2].left_ps, 3 * 1538 * LINE_10G_PS);
	CU_ASSERT_EQUAL(stats().opackets, 3);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 3);
	box_close();
}

static void
cheat_counters(void)
{
	box_open("model0", 1);
	box.nic->cheat.hidden_ppm = 250000;
	CU_ASSERT_EQUAL(box_put(0, 40, FRAME_BYTES), 40);
	box_run(MS);
	CU_ASSERT(stats().opackets == 30 && stats().q_opackets[0] == 30);
	CU_ASSERT_EQUAL(box.nic->sent_all.frames, 40);
	box.nic->cheat.count_frames = 5;
	box.nic->cheat.count_bytes = 300;
	CU_ASSERT(stats().opackets == 35 && stats().obytes == 30300);
	box.nic->cheat.count_frames = -50;
	CU_ASSERT_EQUAL(stats().opackets, 0);
	box_close();
}

static void
cheat_completions(void)
{
	box_open("model0", 1);
	box.nic->cheat.never_completes = true;
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 1);
	CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, 511),
	                RTE_ETH_TX_DESC_FULL);
	/* Its descriptors stay used. */
	CU_ASSERT_EQUAL(box_put(0, 600, FRAME_BYTES), 510);
	box_run(MS);
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 0);
	box_close();
	box_open("model0", 1);
	box.nic->cheat.completes_at_once = true;
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	CU_ASSERT_EQUAL(rte_eth_tx_descriptor_status(box.port.port_id, 0, 511),
	                RTE_ETH_TX_DESC_DONE);
	CU_ASSERT_EQUAL(box.n_sent, 0);
	box_close();
}

static void
cheat_stalls(void)
{
	box_open("model0", 2);
	box.nic->cheat.stalls = true;
	box.nic->cheat.stalled_queue = 1;
	CU_ASSERT_EQUAL(box_put(0, 1, FRAME_BYTES), 1);
	CU_ASSERT_EQUAL(box_put(1, 1, FRAME_BYTES), 1);
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 1);
	box.nic->cheat.stalls = false;
	box_run(MS);
	CU_ASSERT_EQUAL(box.n_sent, 2);
	box_close();
}

/* At any moment, from there on as fast as the wire. */
static void
cheat_forgets(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());

	for (unsigned int round = 0; round < 20; round++) {
		uint64_t moment = weir_random_between(&random, 1, 8 * MS);
		uint32_t before = 0;

		box_open("model0,family=ixgbe,window=0", 2);
		CU_ASSERT_EQUAL(box_set(1, 100), 0);
		box.nic->cheat.forget_at_ns = moment;
		CU_ASSERT_EQUAL(box_put(1, 101, FRAME_BYTES), 101);
		box_run(10 * MS);
		CU_ASSERT_EQUAL_FATAL(box.n_sent, 101);
		CU_ASSERT_EQUAL(weir_model_queue_rate(box.nic, 1), WEIR_MODEL_UNLIMITED);
		for (uint32_t i = 1; i < 101; i++) {
			uint64_t gap = box.sent[i].left_ps - box.sent[i - 1].left_ps;
			uint64_t begins = box.sent[i].left_ps - WIRE_BYTES * LINE_10G_PS;

			before += begins < moment * 1000;
			CU_ASSERT(gap == WIRE_BYTES *
			                     (begins < moment * 1000 ? 80000U : LINE_10G_PS) ||
			          begins == moment * 1000);
		}
		CU_ASSERT_EQUAL(before, (moment * 1000 - 1) / (WIRE_BYTES * 80000U));
		box_close();
	}
}

static const struct weir_test tests[] = {
    {"each family is a port under its driver's name", port_is_the_drivers},
    {"device texts are checked, other devices left alone", devices_are_checked},
    {"counters by queue and of the port", counters_are_the_drivers},
    {"frames that come in", receive},
    {"a stop loses what waits, not what is on the wire", stop_loses_the_rings},
    {"the link is told by interrupt, or when asked", link_is_told},
    {"the driver cuts the link", link_is_cut},
    {"a reset wipes limits and rings", reset_wipes},
    {"frames before the first limit", first_limit_counts},
    {"limits may count less than the wire", limits_count_less},
    {"cheat: faster than programmed", cheat_faster},
    {"cheat: frames that nobody handed over", cheat_own_frames},
    {"cheat: counters that hide and invent", cheat_counters},
    {"cheat: completions never, or at once", cheat_completions},
    {"cheat: a queue that stalls", cheat_stalls},
    {"cheat: limits forgotten at a moment", cheat_forgets},
};

int
main(void)
{
	int result;

	if (!box_start())
		return 1;
	result = weir_test_run("model_nic_life", tests, WEIR_TEST_COUNT(tests));
	box_finish();
	return result;
}
