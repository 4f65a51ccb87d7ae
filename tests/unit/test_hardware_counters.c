/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters that start again, wrap round, hide frames, or are not there; and those of a whole port.
 */
#include "tests/unit/hardware_box_looks.h"

static void
test_counters_reset(void)
{
	box_make();
	sends(1000, FRAME_BYTES);
	box_start_well();
	/* A start wipes them, and what waited is lost: neither is anyone's fault. */
	charge(100);
	sends(60, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	box.up = false;
	box.restart_resets = true;
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(box.stats.opackets, 0);
	box.up = true;
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_UP);
	charge(5);
	sends(5, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(100), WEIR_PORT_UP);
	/* The lost ones are no credit. */
	sends(1, FRAME_BYTES);
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();

	/* A driver without counters can't be judged by them, and its port is not used. */
	box_make();
	box.stats_result = -ENOTSUP;
	box_start_well();
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 1);
	CU_ASSERT_EQUAL(looks_until_down(50), WEIR_HARDWARE_UNREAD_LOOKS - 1);
	CU_ASSERT_EQUAL(box_events("port_breach", NULL), 1);
	box_free();
}

/* Counters of 32 and of 40 bits that wrap round; and one that is set back, which is no wrap. */
static void
test_counters_wrap(void)
{
	static const unsigned int widths[] = {32, 40, 48};

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		uint64_t range = UINT64_C(1) << widths[i];

		box_make();
		box.stats.opackets = range - 50;
		box.stats.obytes = range - 50000;
		box_start_well();
		charge(100);
		CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
		box.stats.opackets = 50;
		box.stats.obytes = 50000;
		CU_ASSERT_EQUAL(looks(50), WEIR_PORT_UP);
		CU_ASSERT_EQUAL(box_events("port_counters", NULL), 0);
		sends(1, FRAME_BYTES);
		CU_ASSERT(looks_until_down(2) <= 2);
		box_free();
	}
	box_make();
	box_start_well();
	charge(100);
	sends(100, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	memset(&box.stats, 0, sizeof(box.stats));
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 1);
	sends(1, FRAME_BYTES);
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();
}

/* A start wipes them while one of them was about to wrap round, and it has not. */
static void
reset_at(uint64_t frames, uint64_t bytes)
{
	box_make();
	box.stats.opackets = frames;
	box.stats.obytes = bytes;
	box_start_well();
	charge(10);
	sends(10, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	box.up = false;
	box.restart_resets = true;
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_CLEAN);
	box.up = true;
	CU_ASSERT_EQUAL(looks(2), WEIR_PORT_UP);
	charge(5);
	sends(5, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(100), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_breach", NULL), 0);
	sends(1, FRAME_BYTES);
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();
}

static void
test_counters_reset_near_wrap(void)
{
	reset_at(4000000, UINT32_MAX - 20 * FRAME_BYTES);
	reset_at(UINT32_MAX - 20, UINT32_MAX * UINT64_C(1000));
}

static void
start_as(const char *driver, const char *frames, const char *bytes)
{
	box_make();
	snprintf(box.appliance->ports[BOX_OUTSIDE].driver,
	         sizeof(box.appliance->ports[BOX_OUTSIDE].driver), "%s", driver);
	box.appliance->ports[BOX_OUTSIDE].tx_each = 0;
	box.xstat_names[0] = frames;
	box.xstat_names[1] = bytes;
	box.xstats[0] = box.xstats[1] = 1000000; /* of an earlier life */
	box_start_well();
	charge(10);
	sends(10, FRAME_BYTES);
}

/* What the driver does not count itself: by its kernel, by a management controller. */
static void
test_whole_port(void)
{
	json_t *json;

	start_as("mlx5_pci", "tx_phy_packets", "tx_phy_bytes");
	box.xstats[0] += 10;
	box.xstats[1] += 10 * (FRAME_BYTES + 4);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(json_is_null(json_object_get(port_json(json), "counters_help")));
	json_decref(json);
	box.xstats[0]++;
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();

	start_as("net_ixgbe", "tx_management_packets", NULL);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	box.xstats[0]++;
	CU_ASSERT(looks_until_down(2) <= 2);
	box_free();

	/* The driver's own count, which is said. */
	start_as("mlx5_pci", NULL, NULL);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	json = weir_hardware_json(box.appliance);
	CU_ASSERT(json_is_string(json_object_get(port_json(json), "counters_help")));
	json_decref(json);
	box_free();
}

static void
test_counters_hide(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];
	uint32_t n = 0;

	box_make();
	box_start_well();
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	charge(10);
	sends(9, FRAME_BYTES);
	atomic_store(&box.departures[0][3].done_frames, 10);
	while (box_events("port_counters", last) == 0 && n < 1000) {
		(void)box_look();
		n++;
	}
	CU_ASSERT((uint64_t)n * BOX_LOOK_NS <= 2 * WEIR_HARDWARE_COUNTERS_NS + BOX_LOOK_NS);
	/* Late is no lie: it must have had the time. */
	CU_ASSERT((uint64_t)n * BOX_LOOK_NS >= WEIR_HARDWARE_COUNTERS_NS);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "counts 9 frames as sent, but 10 have left"));
	CU_ASSERT_EQUAL(looks(200), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 1); /* told once */
	box_free();
}

/* What the driver threw away, and says so, it hides not; nor what its rings and itself may hold. */
static void
test_counters_dropped(void)
{
	const struct weir_port *port;
	uint64_t held;

	box_make();
	port = &box.appliance->ports[BOX_OUTSIDE];
	held = (uint64_t)port->tx_queues * port->tx_descriptors + 16384U; /* in the NIC itself */
	box_start_well();
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	charge(10 + held);
	sends(7, FRAME_BYTES);
	box.stats.oerrors += 3;
	CU_ASSERT_EQUAL(looks(3 * (uint32_t)(WEIR_HARDWARE_COUNTERS_NS / BOX_LOOK_NS)),
	                WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 0);
	/* One more is missing. */
	charge(1);
	CU_ASSERT_EQUAL(looks(3 * (uint32_t)(WEIR_HARDWARE_COUNTERS_NS / BOX_LOOK_NS)),
	                WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 1);
	box_free();
}

/* All frames shown, and fewer bytes than have left. */
static void
test_counters_hide_bytes(void)
{
	char last[WEIR_EVENT_MESSAGE_SIZE];

	box_make();
	box_start_well();
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	/* A driver need not count the FCS: sends doesn't. */
	charge(10);
	sends(10, FRAME_BYTES);
	atomic_store(&box.departures[0][3].done_frames, 10);
	atomic_store(&box.departures[0][3].done_bytes, 10 * weir_wire_bytes(FRAME_BYTES));
	CU_ASSERT_EQUAL(looks(50), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 0);
	/* A byte less is a lie. */
	charge(1);
	sends(1, FRAME_BYTES - 1);
	atomic_store(&box.departures[0][3].done_frames, 11);
	atomic_store(&box.departures[0][3].done_bytes, 11 * weir_wire_bytes(FRAME_BYTES));
	CU_ASSERT_EQUAL(looks(22), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", last), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "B on the wire as sent, but"));
	box_free();
}

/* Where nobody tells what has left, bytes that the NIC has no room for; but some count none at all.
 */
static void
test_counters_no_bytes(void)
{
	for (uint32_t counted_bytes = 0; counted_bytes < 2; counted_bytes++) {
		box_make();
		box.completions = false;
		box_start_well();
		CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
		charge(200000);
		sends(200000, counted_bytes);
		CU_ASSERT_EQUAL(looks(30), WEIR_PORT_UP);
		CU_ASSERT_EQUAL(box_events("port_counters", NULL), counted_bytes);
		box_free();
	}
}

/* Drivers take 4 B for each frame off bytes that they read before the frames: 4 less for a while.
 */
static void
test_counters_torn(void)
{
	box_make();
	box_start_well();
	charge(1000);
	sends(1000, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(30), WEIR_PORT_UP);
	/* One frame ends between the reading of the bytes and that of the frames. */
	charge(1);
	box.stats.opackets += 1;
	box.stats.obytes -= 4;
	CU_ASSERT_EQUAL(looks(1), WEIR_PORT_UP);
	box.stats.obytes += FRAME_BYTES + 4;
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(box_events("port_counters", NULL), 0);
	CU_ASSERT_EQUAL(box_events("port_breach", NULL), 0);
	/* What they show later is held against what was charged as ever. */
	box.stats.opackets += 1;
	box.stats.obytes -= 4;
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_BREACHED);
	box_free();
}

/* Set back for the second time just when its link comes up: it does not. */
static void
test_breach_at_up(void)
{
	box_make();
	box_start_well();
	charge(100);
	sends(100, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	memset(&box.stats, 0, sizeof(box.stats));
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	charge(10);
	sends(10, FRAME_BYTES);
	CU_ASSERT_EQUAL(looks(3), WEIR_PORT_UP);
	box.up = false;
	CU_ASSERT_EQUAL(looks(5), WEIR_PORT_CLEAN);
	memset(&box.stats, 0, sizeof(box.stats));
	box.up = true;
	(void)looks(1);
	CU_ASSERT_EQUAL(box_events("port_breach", NULL), 1);
	CU_ASSERT_EQUAL(looks(100), WEIR_PORT_BREACHED);
	CU_ASSERT_FALSE(box.used);
	box_free();
}

static const struct weir_test tests[] = {
    {"bytes that were read before the frames", test_counters_torn},
    {"too much, found when the link comes up", test_breach_at_up},
    {"counters that start again, or are not there", test_counters_reset},
    {"counters that wrap round", test_counters_wrap},
    {"counters that start again where one is about to wrap round", test_counters_reset_near_wrap},
    {"counters of the whole port", test_whole_port},
    {"counters that hide frames", test_counters_hide},
    {"frames that the driver threw away", test_counters_dropped},
    {"counters that hide bytes", test_counters_hide_bytes},
    {"counters that hide bytes, and nobody tells what has left", test_counters_no_bytes},
};

int
main(void)
{
	return weir_test_run("hardware_counters", tests, WEIR_TEST_COUNT(tests));
}
