/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/placement.h"
#include "drivers/memory.h"
#include "tests/unit/harness.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* Two links over four ports, two workers. */
struct fixture {
	struct weir_config config;
	struct weir_port_config ports[4];
	struct weir_config_link links[2];
	struct weir_config_class classes[2];
	struct weir_port opened[4];
	struct weir_worker_config workers[WEIR_WORKERS_MAX];
	uint32_t pool_frames[WEIR_PORTS_MAX];
	uint16_t tx_each[WEIR_PORTS_MAX];
	char error[256];
};

static struct fixture *
make_fixture(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->config.ports = f->ports;
	f->config.links = f->links;
	f->config.classes = f->classes;
	f->config.n_ports = 4;
	f->config.n_links = 2;
	f->config.n_classes = 2;
	f->config.appliance.n_workers = 2;
	f->config.appliance.workers[0] = 0;
	f->config.appliance.workers[1] = 1;
	f->config.appliance.memory_bytes = 1024 * MIB;
	f->links[0] = (struct weir_config_link){.name = "a", .inside = 0, .outside = 1};
	f->links[1] = (struct weir_config_link){.name = "b", .inside = 3, .outside = 2};
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(f->ports[i].name, sizeof(f->ports[i].name), "port%u", i);
		f->ports[i].mtu_bytes = 1500 + 100 * i;
		f->ports[i].rx_queues = 1;
		f->opened[i].config = f->ports[i];
		f->opened[i].port_id = (uint16_t)(10 + i);
		f->opened[i].rx_queues = 1;
		f->opened[i].node = WEIR_NODE_ANY;
	}
	f->classes[0].backlog_bytes = 840000;
	return f;
}

/* Every queue is polled by exactly one worker, with the right way out. */
static void
test_workers(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct fixture *f = make_fixture();

	for (unsigned int round = 0; round < 200; round++) {
		unsigned int polled[4][WEIR_QUEUES_MAX] = {{0}}, least = UINT32_MAX, most = 0;
		uint32_t n_workers = (uint32_t)weir_random_between(&random, 1, 4);

		f->config.appliance.n_workers = n_workers;
		for (uint32_t i = 0; i < 4; i++) {
			f->config.appliance.workers[i] = i;
			f->opened[i].rx_queues =
			    (uint16_t)weir_random_between(&random, 1, WEIR_QUEUES_MAX);
		}
		CU_ASSERT_EQUAL_FATAL(weir_placement_workers(&f->config, f->opened, f->workers,
		                                             f->error, sizeof(f->error)),
		                      0);
		for (uint32_t w = 0; w < n_workers; w++) {
			const struct weir_worker_config *worker = &f->workers[w];

			CU_ASSERT_EQUAL(worker->lcore, w);
			CU_ASSERT_EQUAL(worker->tx_queue, w);
			least = worker->n_rx < least ? worker->n_rx : least;
			most = worker->n_rx > most ? worker->n_rx : most;
			for (uint32_t i = 0; i < worker->n_rx; i++) {
				const struct weir_rx *rx = &worker->rx[i];
				unsigned int in = rx->port_id - 10U, out = rx->out_port_id - 10U;
				const struct weir_config_link *link = &f->links[rx->link];
				bool egress = rx->direction == WEIR_EGRESS;

				CU_ASSERT_FATAL(in < 4 && rx->queue_id < f->opened[in].rx_queues);
				polled[in][rx->queue_id]++;
				CU_ASSERT_EQUAL(in, egress ? link->inside : link->outside);
				CU_ASSERT_EQUAL(out, egress ? link->outside : link->inside);
				CU_ASSERT_EQUAL(rx->mtu_bytes, rx->link == 0 ? 1500 : 1700);
			}
		}
		CU_ASSERT(most - least <= 1);
		for (uint32_t i = 0; i < 4; i++)
			for (uint32_t q = 0; q < f->opened[i].rx_queues; q++)
				CU_ASSERT_EQUAL(polled[i][q], 1);
	}
	free(f);
}

/* Each sender has its own part of an outside port's queues, and nobody else any. */
static void
test_tx_queues(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct fixture *f = make_fixture();

	for (unsigned int round = 0; round < 200; round++) {
		uint32_t n_workers = (uint32_t)weir_random_between(&random, 1, 4);

		f->config.appliance.n_workers = n_workers;
		for (uint32_t i = 0; i < 4; i++) {
			bool inside = i == 0 || i == 3;

			f->config.appliance.workers[i] = i;
			f->opened[i].rx_queues = (uint16_t)weir_random_between(&random, 1, 6);
			f->opened[i].tx_each = inside ? 0 : (uint16_t)weir_random_below(&random, 9);
			f->opened[i].tx_descriptors = (uint16_t)(100 + i);
			f->opened[i].completions = i == 1;
		}
		for (uint32_t link = 0; link < 2; link++) {
			struct weir_port *out = &f->opened[f->links[link].outside];
			uint32_t rx_queues = f->opened[f->links[link].inside].rx_queues;

			out->tx_queues = (uint16_t)(weir_placement_senders(&f->config, rx_queues) *
			                            out->tx_each);
		}
		CU_ASSERT_EQUAL_FATAL(weir_placement_workers(&f->config, f->opened, f->workers,
		                                             f->error, sizeof(f->error)),
		                      0);
		for (uint32_t link = 0; link < 2; link++) {
			const struct weir_port *out = &f->opened[f->links[link].outside];
			uint32_t next = 0, senders = 0;

			for (uint32_t w = 0; w < n_workers; w++) {
				const struct weir_tx *tx = &f->workers[w].tx[link];
				bool sender = weir_placement_sends(&f->workers[w], link);

				senders += sender;
				if (!sender || out->tx_each < 2) {
					CU_ASSERT_EQUAL(tx->n_queues, 0);
					continue;
				}
				CU_ASSERT_EQUAL(tx->first_queue, next);
				CU_ASSERT_EQUAL(tx->n_queues, out->tx_each);
				CU_ASSERT_EQUAL(tx->n_descriptors, out->tx_descriptors);
				CU_ASSERT_EQUAL(tx->completions, out->completions);
				next += out->tx_each;
			}
			CU_ASSERT_EQUAL(
			    senders, weir_placement_senders(
			                 &f->config, f->opened[f->links[link].inside].rx_queues));
			CU_ASSERT(out->tx_each < 2 || next == out->tx_queues);
		}
	}
	free(f);
}

static void
test_node(void)
{
	struct fixture *f = make_fixture();
	int here = weir_memory_node_of_cpu(0);

	f->opened[2].node = here == WEIR_NODE_ANY ? 1 : here + 1;
	f->config.appliance.n_workers = 1;
	if (here == WEIR_NODE_ANY) {
		/* Where the machine does not tell, nothing can be said against a port. */
		CU_ASSERT_EQUAL(weir_placement_workers(&f->config, f->opened, f->workers, f->error,
		                                       sizeof(f->error)),
		                0);
		free(f);
		return;
	}
	CU_ASSERT_EQUAL(
	    weir_placement_workers(&f->config, f->opened, f->workers, f->error, sizeof(f->error)),
	    -EXDEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error, "port port2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f->error, "lcore 0"));
	f->config.appliance.allow_remote_numa = true;
	CU_ASSERT_EQUAL(
	    weir_placement_workers(&f->config, f->opened, f->workers, f->error, sizeof(f->error)),
	    0);
	free(f);
}

static void
test_pools(void)
{
	struct fixture *f = make_fixture();
	uint64_t room;

	CU_ASSERT_EQUAL_FATAL(weir_placement_pools(&f->config, f->tx_each, true, f->pool_frames,
	                                           &room, f->error, sizeof(f->error)),
	                      0);
	CU_ASSERT(room >= 2 * 10000 + 1);
	CU_ASSERT_EQUAL(weir_placement_waiting(&f->config), 10000);
	/* Rings of 1,024 here and at the other end, for two workers, and what may wait: 10,000. */
	CU_ASSERT(f->pool_frames[1] >= 1024 + 2 * 1024);
	CU_ASSERT_EQUAL(f->pool_frames[1], f->pool_frames[2]);
	CU_ASSERT_EQUAL(f->pool_frames[0], f->pool_frames[1] + room);
	CU_ASSERT_EQUAL(f->pool_frames[3], f->pool_frames[1] + room);

	/* Also where nothing waits by this policy: the next one may want queues. */
	f->classes[0].backlog_bytes = f->classes[1].backlog_bytes = 0;
	CU_ASSERT_EQUAL_FATAL(weir_placement_pools(&f->config, f->tx_each, true, f->pool_frames,
	                                           &room, f->error, sizeof(f->error)),
	                      0);
	CU_ASSERT(room > 1000);

	f->ports[1].tx_descriptors = 4096;
	f->ports[0].rx_descriptors = 2048;
	f->ports[0].rx_queues = 3;
	CU_ASSERT_EQUAL_FATAL(weir_placement_pools(&f->config, f->tx_each, true, f->pool_frames,
	                                           &room, f->error, sizeof(f->error)),
	                      0);
	CU_ASSERT(f->pool_frames[0] >= 3 * 2048 + 2 * 4096 + 10000);

	/* Many send queues outside: shorter ones, unless the policy says how long. */
	f->ports[1].tx_descriptors = 0;
	f->tx_each[1] = 64;
	CU_ASSERT_EQUAL_FATAL(weir_placement_pools(&f->config, f->tx_each, true, f->pool_frames,
	                                           &room, f->error, sizeof(f->error)),
	                      0);
	CU_ASSERT(f->pool_frames[0] >= 3 * 2048 + 2 * 64 * WEIR_PLACEMENT_DESCRIPTORS + room);
	f->ports[1].tx_descriptors = 4096;
	CU_ASSERT_EQUAL(weir_placement_pools(&f->config, f->tx_each, true, f->pool_frames, &room,
	                                     f->error, sizeof(f->error)),
	                -ENOMEM);
	free(f);
}

/* Whatever the policy: pools never take more than their share, and never less than the rings. */
static void
test_pools_bounded(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct fixture *f = make_fixture();
	unsigned int refused = 0;

	for (unsigned int round = 0; round < 2000; round++) {
		uint64_t room, bytes = 0;
		int code;

		f->config.appliance.memory_bytes = weir_random_between(&random, 16, 512) * MIB;
		for (uint32_t i = 0; i < 2; i++)
			f->classes[i].backlog_bytes =
			    (uint32_t)weir_random_below(&random, UINT32_MAX);
		for (uint32_t i = 0; i < 4; i++) {
			f->ports[i].mtu_bytes =
			    (uint32_t)weir_random_between(&random, WEIR_MTU_MIN, WEIR_MTU_MAX);
			f->ports[i].rx_queues = (uint32_t)weir_random_between(&random, 1, 4);
			f->ports[i].rx_descriptors = (uint32_t)weir_random_below(&random, 4) * 1024;
		}
		code = weir_placement_pools(&f->config, f->tx_each, round % 2, f->pool_frames,
		                            &room, f->error, sizeof(f->error));
		if (code != 0) {
			CU_ASSERT_EQUAL(code, -ENOMEM);
			refused++;
			continue;
		}
		for (uint32_t i = 0; i < 4; i++) {
			uint64_t frame = weir_frame_max_bytes(f->ports[i].mtu_bytes) + 4 + 256;
			uint64_t rings =
			    f->ports[i].rx_descriptors > 0 ? f->ports[i].rx_descriptors : 1024;

			/* Not across normal pages: so one a page, or whole pages each. */
			if (round % 2 == 0)
				frame = (frame + 4095) / 4096 * 4096;
			bytes += f->pool_frames[i] * (frame > 2048 ? frame : frame / 2);
			CU_ASSERT(f->pool_frames[i] >= rings * f->ports[i].rx_queues);
		}
		CU_ASSERT(bytes <= f->config.appliance.memory_bytes / 4 * 3);
		for (uint32_t i = 0; i < 4; i += 3)
			CU_ASSERT(f->pool_frames[i] >= room);
	}
	CU_ASSERT(refused > 0 && refused < 2000);
	free(f);
}

static const struct weir_test tests[] = {
    {"every queue has one worker", test_workers},
    {"every sender has queues of its own", test_tx_queues},
    {"a worker on another node is refused unless allowed", test_node},
    {"pools hold rings and backlogs", test_pools},
    {"pools keep to their share of memory", test_pools_bounded},
};

int
main(void)
{
	return weir_test_run("placement", tests, WEIR_TEST_COUNT(tests));
}
