/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's counters, as ethdev tells them. */
#include "tests/nic/wraps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

WEIR_WRAPPED(rte_eth_stats_get);
WEIR_WRAPPED(rte_eth_stats_reset);
WEIR_WRAPPED(rte_eth_xstats_get);
WEIR_WRAPPED(rte_eth_xstats_get_names);
WEIR_WRAPPED(rte_eth_xstats_get_by_id);
WEIR_WRAPPED(rte_eth_xstats_get_names_by_id);
WEIR_WRAPPED(rte_eth_xstats_get_id_by_name);
WEIR_WRAPPED(rte_eth_xstats_reset);

#define PORT_XSTATS  4U
#define QUEUE_XSTATS 2U

int
__wrap_rte_eth_stats_get(uint16_t port_id, struct rte_eth_stats *stats)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = __real_rte_eth_stats_get(port_id, stats);
	struct weir_model_counts counts;

	if (nic == NULL || result != 0)
		return result;
	if (nic->cheat.unreadable)
		return -EIO;
	weir_model_lock(nic);
	counts = weir_model_read(nic, WEIR_MODEL_ALL_QUEUES);
	stats->opackets = counts.frames;
	stats->obytes = counts.bytes;
	stats->oerrors = 0;
	stats->ibytes = nic->rx_bytes - nic->rx_base_bytes;
	stats->imissed = atomic_load(&nic->rx_missed);
	for (uint16_t q = 0; q < RTE_ETHDEV_QUEUE_STAT_CNTRS; q++) {
		counts =
		    q < nic->n_queues ? weir_model_read(nic, q) : (struct weir_model_counts){0};
		stats->q_opackets[q] = counts.frames;
		stats->q_obytes[q] = counts.bytes;
	}
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_stats_reset(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic != NULL)
		weir_model_reset_counters(nic);
	return __real_rte_eth_stats_reset(port_id);
}

static unsigned int
n_xstats(const struct weir_model *nic)
{
	return PORT_XSTATS + QUEUE_XSTATS * nic->n_queues;
}

static void
name_xstat(uint64_t id, struct rte_eth_xstat_name *name)
{
	static const char *const port[PORT_XSTATS] = {"rx_good_packets", "tx_good_packets",
	                                              "rx_good_bytes", "tx_good_bytes"};

	if (id < PORT_XSTATS)
		snprintf(name->name, sizeof(name->name), "%s", port[id]);
	else
		snprintf(name->name, sizeof(name->name), "tx_q%" PRIu64 "_%s",
		         (id - PORT_XSTATS) / QUEUE_XSTATS,
		         (id - PORT_XSTATS) % QUEUE_XSTATS == 0 ? "packets" : "bytes");
}

static uint64_t
read_xstat(struct weir_model *nic, uint64_t id)
{
	struct weir_model_counts counts;
	struct rte_eth_stats stats;

	if (id >= PORT_XSTATS) {
		counts = weir_model_read(nic, (uint16_t)((id - PORT_XSTATS) / QUEUE_XSTATS));
		return (id - PORT_XSTATS) % QUEUE_XSTATS == 0 ? counts.frames : counts.bytes;
	}
	if (__wrap_rte_eth_stats_get(nic->port_id, &stats) != 0)
		return 0;
	return id == 0   ? stats.ipackets
	       : id == 1 ? stats.opackets
	       : id == 2 ? stats.ibytes
	                 : stats.obytes;
}

int
__wrap_rte_eth_xstats_get(uint16_t port_id, struct rte_eth_xstat *xstats, unsigned int n)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_xstats_get(port_id, xstats, n);
	for (unsigned int i = 0; xstats != NULL && n >= n_xstats(nic) && i < n_xstats(nic); i++)
		xstats[i] = (struct rte_eth_xstat){.id = i, .value = read_xstat(nic, i)};
	return (int)n_xstats(nic);
}

int
__wrap_rte_eth_xstats_get_names(uint16_t port_id, struct rte_eth_xstat_name *names, unsigned int n)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_xstats_get_names(port_id, names, n);
	for (unsigned int i = 0; names != NULL && n >= n_xstats(nic) && i < n_xstats(nic); i++)
		name_xstat(i, &names[i]);
	return (int)n_xstats(nic);
}

int
__wrap_rte_eth_xstats_get_by_id(uint16_t port_id, const uint64_t *ids, uint64_t *values,
                                unsigned int n)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_xstats_get_by_id(port_id, ids, values, n);
	if (values == NULL || (ids == NULL && n < n_xstats(nic)))
		return (int)n_xstats(nic);
	if (ids == NULL)
		n = n_xstats(nic);
	for (unsigned int i = 0; i < n; i++) {
		if (ids != NULL && ids[i] >= n_xstats(nic))
			return -EINVAL;
		values[i] = read_xstat(nic, ids != NULL ? ids[i] : i);
	}
	return (int)n;
}

int
__wrap_rte_eth_xstats_get_names_by_id(uint16_t port_id, struct rte_eth_xstat_name *names,
                                      unsigned int n, uint64_t *ids)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_xstats_get_names_by_id(port_id, names, n, ids);
	if (names == NULL || (ids == NULL && n < n_xstats(nic)))
		return (int)n_xstats(nic);
	if (ids == NULL)
		n = n_xstats(nic);
	for (unsigned int i = 0; i < n; i++) {
		if (ids != NULL && ids[i] >= n_xstats(nic))
			return -EINVAL;
		name_xstat(ids != NULL ? ids[i] : i, &names[i]);
	}
	return (int)n;
}

int
__wrap_rte_eth_xstats_get_id_by_name(uint16_t port_id, const char *name, uint64_t *id)
{
	struct weir_model *nic = weir_model_of(port_id);
	struct rte_eth_xstat_name found;

	if (nic == NULL)
		return __real_rte_eth_xstats_get_id_by_name(port_id, name, id);
	for (unsigned int i = 0; i < n_xstats(nic); i++) {
		name_xstat(i, &found);
		if (strcmp(found.name, name) == 0) {
			*id = i;
			return 0;
		}
	}
	return -EINVAL;
}

int
__wrap_rte_eth_xstats_reset(uint16_t port_id)
{
	return weir_model_of(port_id) == NULL ? __real_rte_eth_xstats_reset(port_id)
	                                      : __wrap_rte_eth_stats_reset(port_id);
}
