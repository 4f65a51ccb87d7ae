/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports that are held, down, started anew, stuck or dumb, and what that means for who uses them. */
#include "tests/unit/wire_box.h"

static const struct class_plan quick[CLASSES] = {
    {1000000000, 20000, 5000}, {1000000000, 20000, 0}, {1000000000, 20000, 100000}};

static void
rounds(uint64_t *now, uint32_t n, uint64_t step)
{
	for (; n > 0; n--) {
		round_with_wire(0, *now, *now + step);
		*now += step;
	}
}

/* Puts frames in and runs a round for each few of them. */
static void
put_many(uint64_t *now, uint32_t class, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_TRUE(put_in(0, class, 100));
		if (i % 8 == 7)
			rounds(now, 1, 3000);
	}
	rounds(now, 1, 3000);
}

static uint64_t
handed(void)
{
	uint64_t n = 0;

	for (uint16_t q = 0; q < WIRES; q++)
		n += nic.queues[q].handed;
	return n;
}

static uint64_t
dropped(enum weir_drop reason)
{
	struct weir_flow_totals flow;

	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	return flow.dropped[reason];
}

static uint32_t
waiting_of(uint32_t class)
{
	return dataplane->workers[0]->queues[weir_lane(0, class)].frames;
}

/* Held: nothing is handed over, frames wait, and what was handed over is still asked after. */
static void
test_held(void)
{
	uint64_t now = 1000, before;
	struct weir_flow_totals flow;
	struct rte_mbuf *frame;

	nic_set_up(3, 64, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	for (uint32_t class = 0; class < CLASSES; class ++)
		weir_dataplane_set_queue(dataplane, 0, class, (uint8_t) class);
	rounds(&now, 1, HZ / 1000);
	wire_set(0, 0);
	put_many(&now, 0, 10);
	CU_ASSERT_EQUAL(nic.queues[0].handed, 10);
	CU_ASSERT_EQUAL(inflight_of(0), 10 * FIXED_FRAME);
	before = handed();
	weir_dataplane_hold(dataplane, outside.port_id, true);
	put_many(&now, 0, 40);
	put_many(&now, 1, 40);
	put_many(&now, 2, 40);
	CU_ASSERT_EQUAL(handed(), before);
	CU_ASSERT_EQUAL(waiting_of(0), 5000 / FIXED_FRAME);
	CU_ASSERT_EQUAL(waiting_of(1), 0);
	CU_ASSERT_EQUAL(waiting_of(2), 40);
	CU_ASSERT_EQUAL(dropped(WEIR_DROP_TX_FULL), 40 - 5000 / FIXED_FRAME + 40);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_EGRESS, &flow);
	CU_ASSERT_EQUAL(flow.rx_frames, 130);
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), 10 * FIXED_FRAME);
	check_conservation();
	wire_set(0, LINE_BIT_S);
	rounds(&now, 3, 3000);
	CU_ASSERT_EQUAL(inflight_of(0), 0);
	CU_ASSERT_EQUAL(handed(), before);
	/* Frames of the other direction do not get through to it either. */
	dataplane->workers[0]->config.rx[1] = (struct weir_rx){.port_id = inside.port_id,
	                                                       .queue_id = 1,
	                                                       .out_port_id = outside.port_id,
	                                                       .direction = WEIR_RETURN,
	                                                       .mtu_bytes = MTU};
	CU_ASSERT_TRUE(put_in(1, 0, 100));
	rounds(&now, 1, 3000);
	weir_dataplane_flow_totals(dataplane, 0, WEIR_RETURN, &flow);
	CU_ASSERT_EQUAL(flow.dropped[WEIR_DROP_TX_FULL], 1);
	CU_ASSERT_EQUAL(handed(), before);
	weir_dataplane_hold(dataplane, outside.port_id, false);
	rounds(&now, 100, 3000);
	CU_ASSERT_EQUAL(handed(), before + 5000 / FIXED_FRAME + 40);
	CU_ASSERT_EQUAL(dataplane->workers[0]->queued_frames, 0);
	while (rte_eth_rx_burst(outside.port_id, 0, &frame, 1) == 1)
		rte_pktmbuf_free(frame);
	tear_down(now);
}

/* Held at a clean stop: what waits is dropped in the end, and what the NIC has counts as sent. */
static void
test_stop_while_held(void)
{
	uint64_t now = 1000, stop;

	nic_set_up(3, 64, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	rounds(&now, 1, HZ / 1000);
	wire_set(0, 0);
	put_many(&now, 2, 10);
	weir_dataplane_hold(dataplane, outside.port_id, true);
	put_many(&now, 2, 10);
	atomic_store(&dataplane->stop, 1);
	for (stop = now; now - stop < HZ - HZ / 100; now += HZ / 1000) {
		weir_dataplane_pulse(dataplane, now);
		CU_ASSERT_FALSE_FATAL(weir_worker_round(dataplane->workers[0], now));
	}
	CU_ASSERT_TRUE(weir_worker_round(dataplane->workers[0], now + HZ));
	CU_ASSERT_EQUAL(dropped(WEIR_DROP_STOPPING), 10);
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), 10 * FIXED_FRAME);
	CU_ASSERT_EQUAL(nic.queues[0].handed, 10);
	tear_down(now + HZ);
}

/*
 * Down: what waits is dropped, the NIC is not asked. Started anew, up or not yet: what it had is
 * gone, and the class has its burst again.
 */
static void
test_down_and_restarted(void)
{
	for (uint32_t early = 0; early < 2; early++) {
		const struct weir_departures *departures;
		uint64_t now = 1000, asked;

		nic_set_up(2, 64, true, 1);
		set_up(quick, 1, UINT64_MAX / 2, now);
		departures = weir_dataplane_departures(dataplane, 0, 0, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(departures);
		rounds(&now, 1, HZ / 1000);
		wire_set(0, 0);
		put_many(&now, 2, 150); /* 63 fit, the rest waits */
		CU_ASSERT_EQUAL(nic.queues[0].handed, 63);
		CU_ASSERT_EQUAL(waiting_of(2), 150 - 63);
		weir_dataplane_set_link_up(dataplane, outside.port_id, false);
		rounds(&now, 1, 3000);
		asked = nic.asked;
		rounds(&now, 20, 3000);
		CU_ASSERT_EQUAL(nic.asked, asked);
		CU_ASSERT_EQUAL(waiting_of(2), 0);
		CU_ASSERT_EQUAL(dropped(WEIR_DROP_LINK_DOWN), 150 - 63);
		CU_ASSERT_EQUAL(inflight_of(2), 63 * FIXED_FRAME);
		wire_restart(0);
		if (early == 1) {
			weir_dataplane_rings_emptied(dataplane, outside.port_id);
			rounds(&now, 2, 3000);
			CU_ASSERT_EQUAL(inflight_of(2), 0);
			CU_ASSERT_EQUAL(nic.asked, asked);
		}
		weir_dataplane_set_link_up(dataplane, outside.port_id, true);
		rounds(&now, 2, 3000);
		CU_ASSERT_EQUAL(inflight_of(2), 0);
		CU_ASSERT_EQUAL(atomic_load(&departures->lost_frames), 63);
		CU_ASSERT_EQUAL(atomic_load(&departures->waiting_frames), 0);
		wire_set(0, LINE_BIT_S);
		put_many(&now, 2, 63);
		rounds(&now, 3, 3000);
		CU_ASSERT_EQUAL(nic.queues[0].left, 63);
		CU_ASSERT_EQUAL(atomic_load(&departures->done_frames), 63);
		check_conservation();
		tear_down(now);
	}
}

/* Down and up again between two looks: the ring's end is seen all the same, by an idle queue, too.
 */
static void
test_flap_unseen(void)
{
	const struct weir_departures *departures;
	uint64_t now = 1000;

	nic_set_up(2, 64, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	departures = weir_dataplane_departures(dataplane, 0, 0, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(departures);
	rounds(&now, 1, HZ / 1000);
	for (uint32_t i = 0; i < 20; i++) {
		now += HZ / 1000;
		nic.clock = now;
		wire_set(0, i % 2 == 0 ? 0 : LINE_BIT_S);
		put_many(&now, 2, 20);
		weir_dataplane_set_link_up(dataplane, outside.port_id, false);
		wire_restart(0);
		weir_dataplane_set_link_up(dataplane, outside.port_id, true);
		rounds(&now, 2 * (i % 3), 3000);
	}
	rounds(&now, 2, 3000);
	CU_ASSERT_EQUAL(inflight_of(2), 0);
	CU_ASSERT_EQUAL(nic.queues[0].lost, 200);
	/* What had left by then and was not told yet is taken for lost. */
	CU_ASSERT(atomic_load(&departures->lost_frames) >= 200);
	CU_ASSERT_EQUAL(atomic_load(&departures->lost_frames) +
	                    atomic_load(&departures->done_frames),
	                nic.queues[0].handed);
	tear_down(now);
}

/* A queue that stands still, or whose NIC never tells, takes its classes' bursts and no more. */
static void
test_stuck_queue(void)
{
	const struct class_plan plans[CLASSES] = {
	    {50000000, 20000, 50000}, {50000000, 20000, 50000}, {50000000, 2 * FIXED_FRAME, 50000}};

	for (uint32_t mute = 0; mute < 2; mute++) {
		uint64_t now = 1000, spent[CLASSES], want = 50000000 / 8 / 100;

		nic_set_up(3, 1000, true, 1);
		nic.wild = true;
		set_up(plans, 1, UINT64_MAX / 2, now);
		weir_dataplane_set_queue(dataplane, 0, 0, 1);
		weir_dataplane_set_queue(dataplane, 0, 2, 2);
		if (mute == 1)
			nic.queues[1].mute = true;
		else
			wire_set(1, 0);
		wire_set(2, 50000000);
		while (now < HZ / 50) {
			for (uint32_t class = 0; class < CLASSES; class ++)
				if (waiting_of(class) < 16)
					put_in(0, class, 100);
			rounds(&now, 1, 2000);
		}
		for (uint32_t class = 0; class < CLASSES; class ++) {
			spent[class] = weir_credit_spent(&credit, 1 + class);
			CU_ASSERT_FALSE(is_broken(class, &plans[class]));
		}
		/* To the last frame that fits, and for the others as if nothing was. */
		CU_ASSERT_EQUAL(spent[0], (20000 - 1) / FIXED_FRAME * FIXED_FRAME);
		CU_ASSERT(bytes_since(1, HZ / 100) + FIXED_FRAME >= want / 100 * 99);
		CU_ASSERT(bytes_since(2, HZ / 100) + FIXED_FRAME >= want / 100 * 99);
		check_conservation();
		tear_down(now);
	}
}

/* A queue whose ring is full: its lanes wait, and go on by another queue when they are moved. */
static void
test_full_ring_and_move(void)
{
	uint64_t now = 1000;

	nic_set_up(3, 5, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	for (uint32_t class = 0; class < 2; class ++)
		weir_dataplane_set_queue(dataplane, 0, class, 1);
	rounds(&now, 1, HZ / 1000);
	wire_set(1, 0);
	for (uint32_t i = 0; i < 20; i++)
		CU_ASSERT_TRUE(put_in(0, i % 2, 100));
	rounds(&now, 3, 3000);
	CU_ASSERT_EQUAL(nic.queues[1].handed, 4);
	CU_ASSERT_EQUAL(waiting_of(0), 6);
	CU_ASSERT_EQUAL(waiting_of(1), 10); /* has no backlog, but its place in the line */
	CU_ASSERT_EQUAL(dropped(WEIR_DROP_TX_FULL), 0);
	CU_ASSERT_EQUAL(dataplane->workers[0]->pacer.waiting, 0);
	put_many(&now, 2, 30);
	rounds(&now, 20, 3000);
	CU_ASSERT_EQUAL(nic.queues[0].left, 30);
	weir_dataplane_set_queue(dataplane, 0, 0, 2);
	rounds(&now, 4, 3000);
	CU_ASSERT_EQUAL(nic.queues[2].left, 6);
	CU_ASSERT_EQUAL(nic.queues[1].handed, 4);
	CU_ASSERT_EQUAL(waiting_of(0), 0);
	check_conservation();
	tear_down(now);
}

/* Queues in which nothing is cost nothing, and are judged to the last. */
static void
test_idle_is_free(void)
{
	uint64_t now = 1000, asked;

	nic_set_up(3, 64, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	rounds(&now, 1, HZ / 1000);
	put_many(&now, 2, 30);
	CU_ASSERT(nic.asked > 0);
	rounds(&now, 3, 3000);
	asked = nic.asked;
	CU_ASSERT_EQUAL(dataplane->workers[0]->n_active, 0);
	rounds(&now, 100, 3000);
	CU_ASSERT_EQUAL(nic.asked, asked);
	CU_ASSERT_EQUAL(inflight_of(2), 0);
	/* With a limit that a burst breaks, when nothing comes behind it. */
	weir_departures_set_limit(weir_dataplane_departures(dataplane, 0, 0, 0), 1000000, 500, 0,
	                          HZ);
	for (uint32_t i = 0; i < 30; i++)
		CU_ASSERT_TRUE(put_in(0, 2, 100));
	rounds(&now, 4, 3000);
	CU_ASSERT_EQUAL(dataplane->workers[0]->n_active, 0);
	CU_ASSERT(atomic_load(&weir_dataplane_departures(dataplane, 0, 0, 0)->excess_bytes) >
	          30 * FIXED_FRAME - 600);
	tear_down(now);
}

/*
 * A class goes while the NIC has frames of it, and another one takes its slot: it begins with
 * nothing, has what is left of its burst, and all is right again when those have left.
 */
static void
test_slot_used_again(void)
{
	for (uint32_t n_workers = 1; n_workers <= 2; n_workers++) {
		struct class_plan plans[CLASSES] = {quick[0], quick[1], quick[2]};
		uint64_t now = 1000, token, consumed;
		struct weir_snapshot *old, *next;

		nic_set_up(2, 100, true, 1);
		set_up(plans, n_workers, UINT64_MAX / 2, now);
		rounds(&now, 1, HZ / 1000);
		wire_set(0, 0);
		put_many(&now, 2, 50);
		CU_ASSERT_EQUAL(inflight_of(2), 50 * FIXED_FRAME);
		plans[2].rate_bit_s = 0;
		old = weir_dataplane_publish(dataplane, make_snapshot(plans, 2, 1000), &token);
		rounds(&now, 2, 3000);
		weir_snapshot_free(old);
		/* Some leave while the slot is nobody's. */
		wire_set(0, 10000000);
		rounds(&now, 1, HZ / 1000);
		rounds(&now, 2, 3000);
		CU_ASSERT(inflight_of(2) < 50 * FIXED_FRAME && inflight_of(2) > 0);
		wire_set(0, 0);
		rounds(&now, 2, 3000);
		plans[2] = (struct class_plan){1000000000, 50 * FIXED_FRAME, 100000};
		next = make_snapshot(plans, CLASSES, now);
		weir_dataplane_init_class(dataplane, 2, &next->classes[2].rate, now);
		consumed = atomic_load(&dataplane->buckets[2].consumed_bytes);
		/* And some between that and its first round: no worker writes there yet. */
		wire_set(0, 10000000);
		rounds(&now, 1, HZ / 1000);
		wire_set(0, 0);
		rounds(&now, 2, 3000);
		CU_ASSERT(inflight_of(2) > 0);
		CU_ASSERT_EQUAL(atomic_load(&dataplane->buckets[2].consumed_bytes), consumed);
		old = weir_dataplane_publish(dataplane, next, &token);
		weir_dataplane_set_queue(dataplane, 0, 2, 1);
		wire_set(1, 0);
		rounds(&now, 2, HZ / 100);
		weir_snapshot_free(old);
		put_many(&now, 2, 80);
		CU_ASSERT(inflight_of(2) < 50 * FIXED_FRAME);
		CU_ASSERT(inflight_of(2) + FIXED_FRAME >= 50 * FIXED_FRAME);
		wire_set(0, LINE_BIT_S);
		wire_set(1, LINE_BIT_S);
		rounds(&now, 100, HZ / 10000);
		CU_ASSERT_EQUAL(inflight_of(2), 0);
		CU_ASSERT_EQUAL(waiting_of(2), 0);
		check_conservation();
		tear_down(now);
	}
}

/* A free end for a box with two links. */
static void
tear_down_two_links(uint64_t *now)
{
	for (uint16_t q = 0; q < WIRES; q++)
		wire_set(q, LINE_BIT_S);
	rounds(now, 100, HZ / 1000);
	CU_ASSERT_EQUAL(inflight_of(0), 0);
	n_links = 1;
	dataplane->drain_tsc = 0;
	atomic_store(&dataplane->stop, 1);
	CU_ASSERT_TRUE(weir_worker_round(dataplane->workers[0], *now));
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(pool), 0);
	weir_dataplane_free(dataplane);
}

/* Floods a class on both links. */
static void
flood_two_links(uint64_t *now, uint64_t ticks)
{
	for (uint64_t end = *now + ticks; *now < end;) {
		for (uint16_t link = 0; link < 2; link++)
			if (dataplane->workers[0]->queues[weir_lane(link, 0)].frames < 10)
				put_in(link, 0, 100);
		rounds(now, 1, 2500);
	}
}

/* A class on two links, one or both with a NIC that tells: both get a part, whatever the burst. */
static void
test_two_links(void)
{
	const struct class_plan plans[CLASSES] = {
	    {20000000, 2 * FIXED_FRAME, 20000}, {1000000, 3000, 0}, {1000000, 3000, 0}};
	const uint64_t share = 20000000 / 8 / 10 / FIXED_FRAME / 2; /* frames in 100 ms */

	for (uint32_t both = 0; both < 2; both++) {
		uint64_t now = 1000, other;

		n_links = 2;
		nic_set_up(2, 64, true, 1);
		if (both == 1)
			tx_of_link[1] = tx_of_link[0];
		nic.wild = true;
		set_up(plans, 1, UINT64_MAX / 2, now);
		wire_set(0, 20000000);
		wire_set(QUEUES, 20000000);
		flood_two_links(&now, HZ / 10);
		other = nic.queues[QUEUES].left;
		CU_ASSERT(nic.queues[0].left > share / 2);
		CU_ASSERT(other > share / 2);
		CU_ASSERT(nic.queues[0].left + other > share * 2 / 100 * 95);
		CU_ASSERT_FALSE(is_broken(0, &plans[0]));
		tear_down_two_links(&now);
	}
}

/*
 * What one link's port holds of a class's burst is free for the other when the port was started
 * anew, though it is still down. And where it leaves after all, the other goes on at once.
 */
static void
test_burst_comes_free(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000, 4 * FIXED_FRAME - 20, 20000}, {1000000, 3000, 0}, {1000000, 3000, 0}};

	for (uint32_t i = 0; i < 3; i++) {
		uint16_t link = i == 0 ? 0 : 1; /* of what waits */
		uint64_t now = 1000, before, busy;

		n_links = 2;
		nic_set_up(2, 64, true, 1);
		set_up(plans, 1, UINT64_MAX / 2, now);
		rounds(&now, 2, HZ / 10);
		wire_set(0, 0);
		for (uint32_t k = 0; k < 10; k++)
			put_in(0, 0, 100);
		rounds(&now, 20, HZ / 1000);
		CU_ASSERT_EQUAL(inflight_of(0), 3 * FIXED_FRAME);
		if (link == 1) {
			weir_egress_purge(dataplane->workers[0], weir_lane(0, 0),
			                  WEIR_DROP_STOPPING);
			put_in(1, 0, 100);
		}
		rounds(&now, 20, HZ / 1000);
		/* Nobody looks in vain meanwhile, a few times a frame's time at most. */
		busy = atomic_load(&dataplane->workers[0]->counters->busy_rounds);
		rounds(&now, 4000, 3000);
		CU_ASSERT(atomic_load(&dataplane->workers[0]->counters->busy_rounds) - busy < 20);
		before = handed();
		if (i == 2) {
			weir_dataplane_set_link_up(dataplane, outside.port_id, false);
			rounds(&now, 1, 3000);
			wire_restart(0);
			weir_dataplane_rings_emptied(dataplane, outside.port_id);
		} else {
			wire_set(0, LINE_BIT_S);
		}
		/* A frame takes 1.3 ms of tokens, and of those only 20 bytes are missing. */
		rounds(&now, 250, 2000);
		CU_ASSERT_EQUAL(handed() - before, 1);
		tear_down_two_links(&now);
	}
}

/*
 * By a port that does not tell, all that was taken leaves within the round. So the next look comes
 * when there are tokens for it, also where another port of the worker tells.
 */
static void
test_next_look_in_time(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000, 4 * FIXED_FRAME - 20, 20000}, {1000000, 3000, 0}, {1000000, 3000, 0}};

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t now = 1000;

		n_links = 2;
		nic_set_up(2, 64, i == 1, 1);
		set_up(plans, 1, UINT64_MAX / 2, now);
		rounds(&now, 2, HZ / 10);
		for (uint32_t k = 0; k < 5; k++)
			put_in(1, 0, 100); /* by a port that does not tell */
		rounds(&now, 1, 3000);
		CU_ASSERT_EQUAL(handed(), 3);
		/* 21 bytes are missing: 168 us. */
		rounds(&now, 140, 3000);
		CU_ASSERT_EQUAL(handed(), 3);
		rounds(&now, 60, 3000);
		CU_ASSERT_EQUAL(handed(), 4);
		tear_down_two_links(&now);
	}
}

/* A lane that has long waited for its queue goes before frames that come in just now. */
static void
test_no_overtaking(void)
{
	uint64_t now = 1000;

	nic_set_up(2, 5, true, 1);
	set_up(quick, 1, UINT64_MAX / 2, now);
	rounds(&now, 1, HZ / 1000);
	wire_set(0, 100000000); /* a frame each 13 us */
	for (uint32_t i = 0; i < 20; i++)
		CU_ASSERT_TRUE(put_in(0, 2, 100));
	do
		rounds(&now, 1, 5000);
	while (weir_departures_room(departures_of(0)) == 0);
	/* The first place has come free, and a frame comes in before anyone has taken it. */
	for (uint32_t i = 0; i < 30; i++)
		CU_ASSERT_TRUE(put_in(0, 1, 100));
	for (uint32_t round = 0; nic.n[2] < 20 && round < 1000; round++)
		rounds(&now, 1, 5000);
	CU_ASSERT_EQUAL_FATAL(nic.n[2], 20);
	/* Class 1 has no backlog: it has its turns, each behind one of class 2's. */
	CU_ASSERT_FATAL(nic.n[1] > 0 && nic.n[1] < 20);
	CU_ASSERT(nic.records[1][0].tsc > nic.records[2][4].tsc);
	tear_down(now);
}

/* A port that does not tell and refuses all: tried again a while later, not in each round. */
static void
test_refusals(void)
{
	const struct class_plan plans[CLASSES] = {
	    {1000000000, 20000, 100000}, {1000000000, 20000, 100000}, {1000000000, 20000, 100000}};
	uint64_t now = 1000, calls;

	nic_set_up(2, 20, false, 1);
	set_up(plans, 1, UINT64_MAX / 2, now);
	rounds(&now, 1, HZ / 1000);
	wire_set(0, 0);
	for (uint32_t class = 0; class < CLASSES; class ++)
		put_many(&now, class, 64);
	CU_ASSERT_EQUAL(nic.queues[0].handed, 19);
	calls = nic.calls;
	rounds(&now, 1000, HZ / 2000000);
	CU_ASSERT(nic.calls - calls >= 90 && nic.calls - calls <= 101); /* 500 us, each 5 us */
	CU_ASSERT_EQUAL(weir_credit_spent(&credit, 0), 19 * FIXED_FRAME);
	wire_set(0, LINE_BIT_S);
	rounds(&now, 200, HZ / 1000000);
	CU_ASSERT_EQUAL(nic.queues[0].left, 3 * 64);
	check_conservation();
	tear_down(now);
}

static const struct weir_test tests[] = {
    {"held", test_held},
    {"stopped while held", test_stop_while_held},
    {"down, and started anew", test_down_and_restarted},
    {"a flap that nobody saw", test_flap_unseen},
    {"a stuck queue", test_stuck_queue},
    {"a full ring, and a way out", test_full_ring_and_move},
    {"idle queues are free", test_idle_is_free},
    {"a slot used again", test_slot_used_again},
    {"a class on two links", test_two_links},
    {"a burst that comes free", test_burst_comes_free},
    {"the next look is in time", test_next_look_in_time},
    {"no overtaking", test_no_overtaking},
    {"refusals", test_refusals},
};

int
main(void)
{
	return run_in_box("egress_ports", tests, WEIR_TEST_COUNT(tests));
}
