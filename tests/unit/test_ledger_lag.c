/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A slow disk must not slow traffic: a class of 1 Gbit/s against disks whose syncs take up to
 * 100 ms, in simulated time, workers going on while the disk is at it. And what a crash costs.
 */
#include "tests/unit/ledger_box.h"

#define RATE_BIT_S  UINT64_C(1000000000)
#define BURST_BYTES UINT64_C(250000)
#define FRAME_BYTES UINT64_C(1538)

/* A disk in front of the simulated one, whose syncs take time. */
static struct {
	struct weir_disk disk;
	struct weir_disk *behind;
	uint64_t sync_ns;
} slow;

static struct weir_box *box;
static uint64_t tokens_bytes; /* of a bucket in front of the wire, in the way of frames */
static uint64_t wanted_ns;    /* until when traffic has been offered */
static uint64_t lost_bytes;   /* that the bucket had to throw away: rate not used */
static bool on;               /* traffic flows */

static uint64_t
clock_ns(void)
{
	return box->true_ns;
}

/* Traffic up to now, at the class's rate, in steps of a millisecond. */
static void
offer(void)
{
	while (box->true_ns >= wanted_ns + MS) {
		wanted_ns += MS;
		if (!on)
			continue;
		tokens_bytes += RATE_BIT_S / 8 / 1000;
		if (tokens_bytes > BURST_BYTES) {
			lost_bytes += tokens_bytes - BURST_BYTES;
			tokens_bytes = BURST_BYTES;
		}
		tokens_bytes -= weir_box_send(box, 0, tokens_bytes);
	}
}

static void
pass(uint64_t ns)
{
	while (ns > 0) {
		uint64_t step = ns < MS ? ns : MS;

		box->true_ns += step;
		ns -= step;
		offer();
	}
}

static int
slow_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	(void)disk;
	return slow.behind->ops->read(slow.behind, data, bytes, offset);
}

static int
slow_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	(void)disk;
	return slow.behind->ops->write(slow.behind, data, bytes, offset);
}

static int
slow_sync(struct weir_disk *disk)
{
	(void)disk;
	pass(slow.sync_ns);
	return slow.behind->ops->sync(slow.behind);
}

static int
slow_size(struct weir_disk *disk, uint64_t *bytes)
{
	(void)disk;
	return slow.behind->ops->size(slow.behind, bytes);
}

static void
slow_close(struct weir_disk *disk)
{
	(void)disk;
}

static const struct weir_disk_ops slow_ops = {
    .read = slow_read,
    .write = slow_write,
    .sync = slow_sync,
    .size = slow_size,
    .close = slow_close,
};

static void
start(uint64_t sync_ns)
{
	box = weir_box_new(weir_test_seed());
	box->frame_bytes = FRAME_BYTES;
	weir_box_add_budget(box, "total", WEIR_ANY);
	weir_box_add_cap(box, 0, UINT64_C(1) << 50, 0);
	/* A window whose slots pass often, so that STATE is written once a second as well. */
	weir_box_add_cap(box, 0, UINT64_C(1) << 50, 10 * S);
	box->classes[0].rate_bit_s = RATE_BIT_S;
	box->classes[0].burst_bytes = BURST_BYTES;
	slow.disk.ops = &slow_ops;
	slow.behind = weir_disk_sim_attach(box->disk);
	slow.sync_ns = sync_ns;
	box->instead = &slow.disk;
	tokens_bytes = 0;
	lost_bytes = 0;
	on = false;
	wanted_ns = box->true_ns;
	MUST(weir_box_open(box));
	weir_ledger_set_clock(box->ledger, clock_ns);
	MUST(weir_box_apply(box));
}

/* Ticks, one a millisecond, for so long. */
static void
run(uint64_t ns)
{
	uint64_t end_ns = box->true_ns + ns;

	while (box->true_ns < end_ns) {
		pass(MS);
		weir_ledger_tick(box->ledger, box->true_ns - box->boot_ns);
	}
}

/* Returns the share of the rate that was used from the first byte on, in millionths. */
static uint64_t
throughput(uint64_t sync_ns, uint64_t *ahead_bytes)
{
	struct weir_ledger_budget_status status;
	uint64_t began_ns, share;

	start(sync_ns);
	run(S); /* idle */
	on = true;
	began_ns = wanted_ns;
	run(20 * S);
	share =
	    box->sent_bytes[0] * 1000000 / ((wanted_ns - began_ns) / 1000 * RATE_BIT_S / 8000000);
	status = weir_box_budget(box, 0);
	*ahead_bytes = status.granted_bytes - box->sent_bytes[0];
	check(box);
	return share;
}

static void
test_throughput(void)
{
	static const uint64_t syncs_ns[] = {0, MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS};

	for (uint32_t i = 0; i < sizeof(syncs_ns) / sizeof(syncs_ns[0]); i++) {
		uint64_t ahead, share = throughput(syncs_ns[i], &ahead);

		printf("    sync %3llu ms: %" PRIu64 ".%04" PRIu64 " %% of 1 Gbit/s, %" PRIu64
		       " bytes granted ahead\n",
		       syncs_ns[i] / MS, share / 10000, share % 10000, ahead);
		/* All but what waits in the bucket at the end. */
		CU_ASSERT(lost_bytes == 0);
		CU_ASSERT(share >= 999800);
		weir_box_free(box);
	}
}

/* What a crash can cost: at most what the classes can use in the horizon, and a burst. */
static void
test_ahead(void)
{
	static const uint64_t syncs_ns[] = {0, 10 * MS, 100 * MS};

	for (uint32_t i = 0; i < sizeof(syncs_ns) / sizeof(syncs_ns[0]); i++) {
		uint64_t horizon_ns = 6 * syncs_ns[i] > 100 * MS ? 6 * syncs_ns[i] : 100 * MS;
		uint64_t most = RATE_BIT_S / 8 * horizon_ns / S + BURST_BYTES, ahead;

		(void)throughput(syncs_ns[i], &ahead);
		CU_ASSERT(ahead <= most);
		/* Idle again, it comes down by being used up only: an idle budget keeps it. */
		on = false;
		weir_box_kill(box);
		slow.behind = weir_disk_sim_attach(box->disk);
		MUST(weir_box_open(box));
		MUST(weir_box_apply(box));
		CU_ASSERT(weir_box_budget(box, 0).forfeited_last_bytes <= most);
		CU_ASSERT_EQUAL(weir_box_budget(box, 0).forfeited_bytes,
		                weir_box_budget(box, 0).forfeited_last_bytes);
		CU_ASSERT_EQUAL(weir_box_budget(box, 0).charged_bytes - box->sent_bytes[0], ahead);
		weir_box_free(box);
	}
}

static const struct weir_test tests[] = {
    {"syncs of up to 300 ms do not slow a class of 1 Gbit/s", test_throughput},
    {"what a crash costs", test_ahead},
};

int
main(void)
{
	return weir_test_run("ledger_lag", tests, WEIR_TEST_COUNT(tests));
}
