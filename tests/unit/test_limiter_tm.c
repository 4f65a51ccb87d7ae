/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits by rte_tm: the hierarchy that drivers of each kind get, and what their failures lead to.
 */
#include "tests/unit/limiter_box.h"

#define QUEUES 16U

static struct weir_limiter limiter;
static char why[512];
static char error[256];

static int
open_tm(const char *driver, uint16_t n_senders)
{
	struct weir_port port = box_port(driver);

	return weir_limiter_open(&port, WEIR_LIMITER_TM, (uint16_t)(box.nb_queues / n_senders),
	                         n_senders, 10 * GBIT, &limiter, why, sizeof(why));
}

/* ice: five levels of which it says nothing, and limits at the queues. */
static void
like_ice(uint32_t n_queues)
{
	box_reset(n_queues);
	box_add_tm(5);
	box.says_nothing = true;
	box.refuses_burst = box.refuses_adjust = true;
	box.forgets_profiles = true;
}

/* cnxk: six levels, limits above the queues, and a hierarchy that stands for good. */
static void
like_cnxk(uint32_t n_queues)
{
	box_reset(n_queues);
	box_add_tm(6);
	box.levels[5].leaf.shaper_private_supported = 0;
	box.locked = box.updates = true;
	box.can.shaper_pkt_length_adjust_min = -20;
	box.can.shaper_pkt_length_adjust_max = 255;
}

/* A driver that nobody knows, with this many levels. */
static void
like_unknown(uint32_t n_queues, uint32_t levels)
{
	box_reset(n_queues);
	box_add_tm(levels);
}

/* The NIC holds exactly what the limiter says that it does, for each queue of each sender. */
static void
check_held(void)
{
	for (uint16_t i = 0; i < box.nb_queues; i++)
		CU_ASSERT_EQUAL(box.leaf_bytes_s[i] == 0
		                    ? 0
		                    : weir_limiter_driver_result(
		                          limiter.driver, box.leaf_bytes_s[i] * 8, 10 * GBIT),
		                limiter.programmed_bit_s[i % limiter.n_queues]);
	CU_ASSERT_EQUAL(
	    box.port_bytes_s == 0
	        ? 0
	        : weir_limiter_driver_result(limiter.driver, box.port_bytes_s * 8, 10 * GBIT),
	    limiter.port_bit_s);
	CU_ASSERT(!box.out_of_order);
}

static void
set_and_commit(uint16_t queue, uint64_t rate_bit_s)
{
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, queue, rate_bit_s, 30000), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	CU_ASSERT(limiter.programmed_bit_s[queue] > rate_bit_s * 99 / 100);
	check_held();
}

static uint32_t
nodes_at(uint32_t level)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < box.n_nodes; i++)
		n += box.nodes[i].used && box.nodes[i].level == level;
	return n;
}

static void
test_ice(void)
{
	like_ice(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_ice", 1), 0);
	CU_ASSERT_EQUAL(limiter.capabilities.n_queues, QUEUES);
	CU_ASSERT_EQUAL(limiter.capabilities.min_bit_s, 504000);
	CU_ASSERT_EQUAL(limiter.capabilities.max_bit_s, 10 * GBIT);
	CU_ASSERT_EQUAL(limiter.capabilities.burst_bytes, 15360);
	CU_ASSERT_EQUAL(limiter.capabilities.uncounted_bytes, WEIR_WIRE_OVERHEAD_BYTES);
	CU_ASSERT_EQUAL(limiter.capabilities.change, WEIR_LIMITER_STOPS);
	CU_ASSERT(limiter.capabilities.completions);
	/* It takes a limit of the port, and ignores it. */
	CU_ASSERT(!limiter.capabilities.port_limit);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, GBIT, 30000), -ENOTSUP);
	CU_ASSERT_EQUAL(limiter.ops->program_port(&limiter, GBIT, 30000), -ENOTSUP);
	/* Nothing is in force before the commit. */
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, GBIT, 30000), 0);
	CU_ASSERT_EQUAL(box.n_nodes, 0);
	set_and_commit(7, 40 * MBIT);
	CU_ASSERT(limiter.programmed_bit_s[3] != 0);
	CU_ASSERT_EQUAL(nodes_at(0), 1);
	CU_ASSERT_EQUAL(nodes_at(1), 1);
	CU_ASSERT_EQUAL(nodes_at(2), 1);
	CU_ASSERT_EQUAL(nodes_at(3), 2); /* 8 queues each */
	CU_ASSERT_EQUAL(nodes_at(4), QUEUES);
	CU_ASSERT_EQUAL(box.leaf_bytes_s[0], 0);
	CU_ASSERT_EQUAL(box.leaf_burst[7], 0);
	/* A change is a new hierarchy; none is made when nothing has changed. */
	CU_ASSERT_EQUAL(box.commits, 1);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 7, 40 * MBIT, 30000), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(box.commits, 1);
	set_and_commit(7, 50 * MBIT);
	CU_ASSERT_EQUAL(box.commits, 2);
	weir_limiter_close(&limiter);
	CU_ASSERT_EQUAL(box.n_nodes, 0);
}

static void
test_ice_sizes(void)
{
	const struct box_node *first, *second;

	like_ice(56);
	CU_ASSERT_EQUAL(open_tm("net_ice", 1), 0);
	weir_limiter_close(&limiter);
	like_ice(57);
	CU_ASSERT_EQUAL(open_tm("net_ice", 1), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "57 send queues"));
	/* Seven groups, each limited as a whole. */
	like_ice(14);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_ice", 2), 0);
	set_and_commit(6, GBIT);
	CU_ASSERT_EQUAL(nodes_at(3), 7);
	CU_ASSERT(box.leaf_bytes_s[6] != 0 && box.leaf_bytes_s[6] == box.leaf_bytes_s[13]);
	first = box_node(6);
	second = box_node(13);
	CU_ASSERT(first != NULL && second != NULL && first->parent == second->parent &&
	          first->profile == RTE_TM_SHAPER_PROFILE_ID_NONE);
	weir_limiter_close(&limiter);
	like_ice(16);
	CU_ASSERT_EQUAL(open_tm("net_ice", 2), -ENOTSUP);
	box_reset(QUEUES);
	CU_ASSERT_EQUAL(open_tm("net_ice", 1), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "no rte_tm"));
}

/* The commit gives up half-way, says why, and returns 0 all the same. */
static void
test_silent_commit(void)
{
	like_ice(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_ice", 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, GBIT, 30000), 0);
	box.silent = true;
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), -EIO);
	CU_ASSERT_STRING_EQUAL(error, "limits are not known: commit on port 0: too many queues");
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[3], 0);
	CU_ASSERT(limiter.changed);
	/* Again, and it does. */
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, GBIT, 30000), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	check_held();
	weir_limiter_close(&limiter);
}

static void
test_cnxk(void)
{
	static const uint64_t rates[] = {GBIT, 20 * MBIT, 300 * MBIT, MBIT, 10 * GBIT};
	uint64_t rate = 0;

	like_cnxk(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 4), 0);
	CU_ASSERT_EQUAL(limiter.capabilities.change, WEIR_LIMITER_LIVE);
	CU_ASSERT_EQUAL(limiter.capabilities.uncounted_bytes, 0);
	CU_ASSERT(limiter.capabilities.port_limit);
	CU_ASSERT(!limiter.capabilities.completions);
	CU_ASSERT_EQUAL(limiter.ops->verify(&limiter, 1, &rate), -ENOTSUP);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, 5 * GBIT, 30000), 0);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(nodes_at(4), 4); /* a group each */
	CU_ASSERT_EQUAL(nodes_at(5), QUEUES);
	CU_ASSERT_EQUAL(box.leaf_burst[2], 30000);
	CU_ASSERT_EQUAL(box.leaf_adjust[2], RTE_TM_ETH_FRAMING_OVERHEAD_FCS);
	/* Rates change one by one, for the group as a whole, without another commit. */
	for (size_t i = 0; i < WEIR_TEST_COUNT(rates); i++) {
		CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, rates[i], 30000), 0);
		check_held();
		CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	}
	CU_ASSERT_EQUAL(box.commits, 1);
	CU_ASSERT_EQUAL(box.updates_done, WEIR_TEST_COUNT(rates));
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, 6 * GBIT, 30000), 0);
	check_held();
	CU_ASSERT_EQUAL(weir_limiter_clear_port(&limiter), 0);
	CU_ASSERT_EQUAL(box.port_bytes_s, 0);
	check_held();
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, 6 * GBIT, 30000), 0);
	CU_ASSERT_EQUAL(limiter.ops->verify(&limiter, 1, &rate), -ENOTSUP);
	weir_limiter_close(&limiter);
	/* It stands, with no room for a second one: the next limiter takes it over. */
	CU_ASSERT_EQUAL(nodes_at(5), QUEUES);
	box.levels[4].n_nodes_max = 0;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 4), 0);
	set_and_commit(1, 70 * MBIT);
	CU_ASSERT_EQUAL(box.commits, 1);
	CU_ASSERT_EQUAL(box.leaf_bytes_s[2], 0); /* what was before is gone */
	CU_ASSERT_EQUAL(box.port_bytes_s, 0);
	weir_limiter_close(&limiter);
	/* Even if nothing is limited any more. */
	CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 4), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(box.leaf_bytes_s[1], 0);
	/* Gone after all. */
	memset(box.nodes, 0, sizeof(box.nodes));
	CU_ASSERT_EQUAL(limiter.ops->verify(&limiter, 1, &rate), -EILSEQ);
	weir_limiter_close(&limiter);
}

static void
test_cnxk_bursts(void)
{
	like_cnxk(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_cn9k", 1), 0);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(box.leaf_burst[2], 16352); /* the most that it has */
	weir_limiter_close(&limiter);
}

/* A live update fails, at each of its calls. */
static void
test_update_fails(void)
{
	for (uint32_t i = 1; i <= 4; i++) {
		int result;

		like_cnxk(QUEUES);
		CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 1), 0);
		set_and_commit(2, GBIT);
		box.fails_at = box.calls + i;
		result = weir_limiter_set_queue(&limiter, 2, 2 * GBIT, 30000);
		if (result == 0)
			check_held();
		else
			CU_ASSERT_EQUAL(limiter.programmed_bit_s[2], 0);
		/* The next one works, whatever was left behind. */
		set_and_commit(2, 3 * GBIT);
		set_and_commit(2, 4 * GBIT);
		weir_limiter_close(&limiter);
	}
}

static void
test_unknown(void)
{
	/* Leaves at the root. */
	like_unknown(QUEUES, 2);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	CU_ASSERT_EQUAL(limiter.capabilities.change, WEIR_LIMITER_STOPS);
	CU_ASSERT_EQUAL(limiter.capabilities.min_bit_s, 8000);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, 5 * GBIT, 30000), 0);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(box.port_bytes_s, 5 * GBIT / 8);
	CU_ASSERT_EQUAL(weir_limiter_clear_port(&limiter), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(box.port_bytes_s, 0);
	check_held();
	box.commits = 1;
	CU_ASSERT_EQUAL(nodes_at(1), QUEUES);
	set_and_commit(2, 2 * GBIT);
	CU_ASSERT_EQUAL(box.commits, 2);
	CU_ASSERT_EQUAL(box.updates_done, 0);
	CU_ASSERT_EQUAL(box.leaf_burst[2], 30000);
	weir_limiter_close(&limiter);
	/* No groups there, whatever it says of its root. */
	CU_ASSERT_EQUAL(open_tm("net_other", 2), -ENOTSUP);
	box.levels[0].n_nodes_max = 64;
	CU_ASSERT_EQUAL(open_tm("net_other", 2), -ENOTSUP);
	/* With parents, each of few children. */
	like_unknown(QUEUES, 3);
	box.levels[1].nonleaf.sched_n_children_max = 5;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_port(&limiter, 5 * GBIT, 30000), 0);
	set_and_commit(15, GBIT);
	CU_ASSERT_EQUAL(nodes_at(1), 4);
	CU_ASSERT_EQUAL(box.port_bytes_s, 5 * GBIT / 8);
	weir_limiter_close(&limiter);
	box.levels[1].n_nodes_max = 3;
	CU_ASSERT_EQUAL(open_tm("net_other", 1), -ENOTSUP);
	/* Not less than it takes. */
	like_unknown(QUEUES, 3);
	box.levels[2].leaf.shaper_private_rate_min = 2 * MBIT / 8;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, 2 * MBIT - 8, 30000), -ERANGE);
	set_and_commit(2, 2 * MBIT);
	weir_limiter_close(&limiter);
	/* It says that it can, and then it can't. */
	like_unknown(QUEUES, 3);
	box.refuses_adjust = box.refuses_burst = true;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	CU_ASSERT_EQUAL(limiter.capabilities.uncounted_bytes, WEIR_WIRE_OVERHEAD_BYTES);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(box.leaf_burst[2], 0);
	CU_ASSERT_EQUAL(box.leaf_adjust[2], 0);
	weir_limiter_close(&limiter);
	/* It can't say what it has. */
	like_unknown(QUEUES, 3);
	box.mute = true;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(limiter.ops->verify(&limiter, 2, &limiter.port_bit_s), -ENOTSUP);
	set_and_commit(2, 2 * GBIT);
	weir_limiter_close(&limiter);
}

static void
refused(const char *text)
{
	CU_ASSERT_EQUAL(open_tm("net_other", 1), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, text));
	CU_ASSERT_EQUAL(box.n_nodes, 0);
}

static void
test_refusals(void)
{
	box_reset(QUEUES);
	refused("no rte_tm");
	like_unknown(QUEUES, 1);
	refused("number of levels");
	like_unknown(QUEUES, 9);
	refused("number of levels");
	like_unknown(QUEUES, 3);
	box.fails_at = 1;
	refused("does not say what it can do");
	for (uint32_t level = 0; level < 3; level++) {
		like_unknown(QUEUES, 3);
		box.fails_at = 2 + level;
		refused("what level");
	}
	like_unknown(QUEUES, 3);
	box.levels[2].leaf.shaper_private_supported = 0;
	box.levels[1].nonleaf.shaper_private_supported = 0;
	refused("no level of the driver limits a queue");
	like_unknown(QUEUES, 3);
	box.levels[2].n_nodes_max = QUEUES - 1;
	refused("more than the driver's hierarchy takes");
	like_unknown(QUEUES, 3);
	box.levels[2].leaf.shaper_private_rate_max = 0;
	refused("rates make no sense");
	/* The trial of a shaper comes after the hierarchy was looked for. */
	like_unknown(QUEUES, 3);
	box.fails_at = 7;
	refused("made to fail");
	like_unknown(QUEUES, 3);
	box.fails_at = 7;
	box.nameless = true;
	refused("Input/output error");
}

static void
test_no_going_back(void)
{
	/* Its hierarchy can't be changed after the first commit: the old limits stand, as is told.
	 */
	like_unknown(QUEUES, 3);
	box.locked = true;
	CU_ASSERT_EQUAL_FATAL(open_tm("net_other", 1), 0);
	set_and_commit(2, GBIT);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, 2 * GBIT, 30000), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), -EBUSY);
	CU_ASSERT_EQUAL(limiter.programmed_bit_s[2], 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "can't be taken down"));
	CU_ASSERT_EQUAL(box.leaf_bytes_s[2], GBIT / 8);
	weir_limiter_close(&limiter);
}

/* What could not be cleared away is cleared away by the next commit. */
static void
test_leftovers(void)
{
	/* A profile. */
	like_ice(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_ice", 1), 0);
	set_and_commit(3, GBIT);
	box.keeps_profiles = 1;
	set_and_commit(3, 2 * GBIT);
	CU_ASSERT_EQUAL(box.keeps_profiles, 0);
	weir_limiter_close(&limiter);
	/* A part of a hierarchy: it is not taken for a whole one. */
	like_cnxk(QUEUES);
	CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 1), 0);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, GBIT, 30000), 0);
	box.fails_at = box.calls + 10;
	box.keeps_nodes = true;
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), -EIO);
	CU_ASSERT(box.n_nodes > 1);
	CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 3, GBIT, 30000), 0);
	CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), -EBUSY);
	box.keeps_nodes = false;
	set_and_commit(3, GBIT);
	weir_limiter_close(&limiter);
}

/*
 * Every call fails once, from the probe to the second change: what is told to be in force is, and
 * what is not is told too; without failures all works again.
 */
static void
check_faults(void (*like)(uint32_t n_queues), const char *driver)
{
	uint32_t failures = 0;
	bool reached = true;

	for (uint32_t at = 1; reached; at++) {
		bool ok = true;

		like(QUEUES);
		box.fails_at = at;
		if (open_tm(driver, 1) != 0) {
			CU_ASSERT(why[0] != '\0');
			failures++;
			reached = box.calls >= at;
			continue;
		}
		for (uint64_t round = 1; round <= 2; round++) {
			for (uint16_t queue = 1; queue < 4; queue++)
				ok &= weir_limiter_set_queue(
				          &limiter, queue, round * queue * 100 * MBIT, 30000) == 0;
			error[0] = '\0';
			if (weir_limiter_commit(&limiter, error, sizeof(error)) == 0 && ok) {
				check_held();
				continue;
			}
			ok = false;
			for (uint16_t queue = 1; queue < 4; queue++)
				CU_ASSERT(limiter.programmed_bit_s[queue] == 0 || error[0] == '\0');
		}
		reached = box.calls >= at;
		failures += !ok;
		box.fails_at = 0;
		for (uint16_t queue = 1; queue < 4; queue++)
			CU_ASSERT_EQUAL(
			    weir_limiter_set_queue(&limiter, queue, queue * 10 * MBIT, 30000), 0);
		CU_ASSERT_EQUAL(weir_limiter_commit(&limiter, error, sizeof(error)), 0);
		check_held();
		weir_limiter_close(&limiter);
	}
	CU_ASSERT(failures > 10);
}

static void
like_three_levels(uint32_t n_queues)
{
	like_unknown(n_queues, 3);
}

static void
test_faults(void)
{
	check_faults(like_ice, "net_ice");
	check_faults(like_cnxk, "net_cn10k");
	check_faults(like_three_levels, "net_other");
}

/* The same where a hierarchy stands that is to be taken over. */
static void
test_adoption_faults(void)
{
	uint32_t failures = 0;
	bool reached = true;

	for (uint32_t at = 1; reached; at++) {
		bool opened;

		like_cnxk(QUEUES);
		CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 1), 0);
		set_and_commit(5, GBIT);
		weir_limiter_close(&limiter);
		box.fails_at = box.calls + at;
		opened = open_tm("net_cn10k", 1) == 0;
		if (opened) {
			CU_ASSERT_EQUAL(weir_limiter_set_queue(&limiter, 2, GBIT, 30000), 0);
			if (weir_limiter_commit(&limiter, error, sizeof(error)) == 0) {
				check_held();
			} else {
				CU_ASSERT_EQUAL(limiter.programmed_bit_s[2], 0);
				failures++;
			}
			weir_limiter_close(&limiter);
		}
		failures += !opened;
		reached = box.calls >= box.fails_at;
		/* Without failures it is taken over after all. */
		box.fails_at = 0;
		CU_ASSERT_EQUAL_FATAL(open_tm("net_cn10k", 1), 0);
		set_and_commit(3, GBIT);
		CU_ASSERT_EQUAL(box.commits, 1);
		weir_limiter_close(&limiter);
	}
	CU_ASSERT(failures > 10);
}

static const struct weir_test tests[] = {
    {"ice: five levels, limits at the queues, a new hierarchy for each change", test_ice},
    {"ice: as many queues and groups as it really has", test_ice_sizes},
    {"ice: a commit that fails and says that it hasn't", test_silent_commit},
    {"cnxk: limits above the queues, which change while frames flow", test_cnxk},
    {"cnxk: bursts are cut to the largest there is", test_cnxk_bursts},
    {"cnxk: a change that fails is told, and the next one works", test_update_fails},
    {"unknown drivers are taken at their word", test_unknown},
    {"unknown drivers that can't are refused", test_refusals},
    {"a hierarchy that can't be taken down", test_no_going_back},
    {"what could not be cleared away", test_leftovers},
    {"every call fails once", test_faults},
    {"every call fails once while a hierarchy is taken over", test_adoption_faults},
};

int
main(void)
{
	return weir_test_run("limiter_tm", tests, WEIR_TEST_COUNT(tests));
}
