/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits by rte_tm: a hierarchy of the port, groups of queues, and queues. What the driver says of
 * its levels, or its row where it says nothing, decides what it looks like.
 *
 * A rate changes by rte_tm_node_shaper_update where the row says that only that queue notices.
 * Everywhere else the hierarchy is taken down, built anew and committed.
 */
/* rte_tm counts as experimental, as it has since 2017. */
#define ALLOW_EXPERIMENTAL_API
#include "drivers/limiter_tm_tree.h"

#include <errno.h>
#include <rte_tm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS_PER_BYTE UINT64_C(8)

/* What the two lowest levels, and the one of the port's limit, can do. */
struct abilities {
	bool leaf_shaper, parent_shaper, port_shaper;
	uint32_t leaves_max, parents_max, children_max; /* UINT32_MAX: any number */
	uint64_t leaf_min_bit_s, leaf_max_bit_s;
	uint64_t parent_min_bit_s, parent_max_bit_s;
};

static int
refuse(char *error, size_t error_size, const char *text)
{
	snprintf(error, error_size, "%s", text);
	return -ENOTSUP;
}

static uint64_t
bit_s(uint64_t bytes_s)
{
	return bytes_s > UINT64_MAX / BITS_PER_BYTE ? UINT64_MAX : bytes_s * BITS_PER_BYTE;
}

static uint32_t
any_if_zero(uint32_t count)
{
	return count != 0 ? count : UINT32_MAX;
}

static int
ask_level(const struct weir_limiter *limiter, uint32_t level,
          struct rte_tm_level_capabilities *level_can, char *error, size_t error_size)
{
	struct rte_tm_error cause = {0};
	int result;

	memset(level_can, 0, sizeof(*level_can));
	result = rte_tm_level_capabilities_get(limiter->port_id, level, level_can, &cause);
	if (result != 0) {
		snprintf(error, error_size, "the driver does not say what level %u can do", level);
		return -ENOTSUP;
	}
	return 0;
}

/* Asks the driver about the levels of its hierarchy. 0 or -ENOTSUP. */
static int
ask(const struct weir_limiter *limiter, struct weir_tm *tm, struct abilities *can, char *error,
    size_t error_size)
{
	struct rte_tm_level_capabilities leaf, parent, port;
	struct rte_tm_capabilities all;
	struct rte_tm_error cause = {0};
	int result;

	memset(&all, 0, sizeof(all));
	result = rte_tm_capabilities_get(limiter->port_id, &all, &cause);
	if (result == -ENOSYS)
		return refuse(error, error_size, "the driver has no rte_tm");
	if (result != 0)
		return refuse(error, error_size, "the driver does not say what it can do");
	if (all.n_levels_max < 2 || all.n_levels_max > WEIR_TM_LEVELS_MAX)
		return refuse(error, error_size, "the driver's number of levels makes no sense");
	tm->levels = (uint8_t)all.n_levels_max;
	result = ask_level(limiter, tm->levels - 1U, &leaf, error, error_size);
	if (result == 0)
		result = ask_level(limiter, tm->levels - 2U, &parent, error, error_size);
	if (result == 0 && tm->port_level >= 0)
		result = ask_level(limiter, (uint32_t)tm->port_level, &port, error, error_size);
	if (result != 0)
		return result;
	can->leaf_shaper = leaf.leaf.shaper_private_supported != 0;
	can->leaf_min_bit_s = bit_s(leaf.leaf.shaper_private_rate_min);
	can->leaf_max_bit_s = bit_s(leaf.leaf.shaper_private_rate_max);
	can->leaves_max = leaf.n_nodes_max;
	can->parent_shaper = parent.nonleaf.shaper_private_supported != 0;
	can->parent_min_bit_s = bit_s(parent.nonleaf.shaper_private_rate_min);
	can->parent_max_bit_s = bit_s(parent.nonleaf.shaper_private_rate_max);
	can->parents_max = parent.n_nodes_max;
	can->children_max = any_if_zero(parent.nonleaf.sched_n_children_max);
	can->port_shaper = tm->port_level >= 0 && port.nonleaf.shaper_private_supported != 0;
	tm->takes_adjust = all.shaper_pkt_length_adjust_min <= RTE_TM_ETH_FRAMING_OVERHEAD_FCS &&
	                   all.shaper_pkt_length_adjust_max >= RTE_TM_ETH_FRAMING_OVERHEAD_FCS;
	/* They count what is still free, and what stands has taken its part. */
	if (weir_tm_stands(tm) == 0)
		can->leaves_max = can->parents_max = UINT32_MAX;
	return 0;
}

/* The same from the driver's row. */
static int
look_up(const struct weir_limiter *limiter, struct weir_tm *tm, struct abilities *can, char *error,
        size_t error_size)
{
	const struct weir_limiter_driver *row = limiter->driver;

	tm->levels = row->levels;
	if (weir_tm_stands(tm) == -ENOSYS)
		return refuse(error, error_size, "the driver has no rte_tm");
	can->leaf_shaper = row->leaf_shaper;
	can->parent_shaper = true;
	can->port_shaper = row->port_level >= 0;
	can->leaves_max = UINT32_MAX;
	can->parents_max = any_if_zero(row->groups_max);
	can->children_max = any_if_zero(row->children_max);
	can->leaf_max_bit_s = can->parent_max_bit_s = UINT64_MAX;
	tm->takes_adjust = false;
	return 0;
}

/* Whether the hierarchy has room for the port's queues; decides where their limits are. */
static int
fit(const struct weir_limiter *limiter, struct weir_tm *tm, const struct abilities *can,
    char *error, size_t error_size)
{
	uint32_t leaves = (uint32_t)limiter->n_queues * limiter->n_senders;
	uint32_t parents = limiter->n_queues, children = limiter->n_senders;

	tm->leaf_shaper = can->leaf_shaper && limiter->n_senders == 1;
	if (!tm->leaf_shaper && !can->parent_shaper)
		return refuse(error, error_size, "no level of the driver limits a queue");
	if (tm->leaf_shaper) {
		children = leaves < can->children_max ? leaves : can->children_max;
		parents = (leaves + children - 1) / children;
	}
	tm->children = (uint16_t)children;
	tm->n_parents = (uint16_t)parents;
	if (leaves <= can->leaves_max && parents <= can->parents_max &&
	    children <= can->children_max && (tm->levels > 2 || parents == 1))
		return 0;
	snprintf(
	    error, error_size,
	    "%u send queues in %u groups of up to %u are more than the driver's hierarchy takes",
	    leaves, parents, children);
	return -ENOTSUP;
}

static void
fill_capabilities(struct weir_limiter *limiter, const struct weir_tm *tm,
                  const struct abilities *can)
{
	const struct weir_limiter_driver *row = limiter->driver;
	struct weir_limiter_capabilities *capabilities = &limiter->capabilities;
	uint64_t min_bit_s = tm->leaf_shaper ? can->leaf_min_bit_s : can->parent_min_bit_s;
	uint64_t max_bit_s = tm->leaf_shaper ? can->leaf_max_bit_s : can->parent_max_bit_s;

	if (row->max_bit_s != 0 && row->max_bit_s < max_bit_s)
		max_bit_s = row->max_bit_s;
	if (limiter->link_bit_s != 0 && limiter->link_bit_s < max_bit_s)
		max_bit_s = limiter->link_bit_s;
	capabilities->n_queues = limiter->n_queues;
	capabilities->min_bit_s = row->min_bit_s > min_bit_s ? row->min_bit_s : min_bit_s;
	capabilities->max_bit_s = max_bit_s;
	capabilities->step_bit_s = row->arithmetic == WEIR_LIMITER_STEPS ? row->step_bit_s : 0;
	capabilities->burst_bytes = row->burst_bytes;
	capabilities->change = row->live ? WEIR_LIMITER_LIVE : WEIR_LIMITER_STOPS;
	capabilities->port_limit =
	    can->port_shaper && (tm->port_level < tm->levels - 2 || tm->levels == 2);
}

static int
learn(struct weir_limiter *limiter, struct weir_tm *tm, char *error, size_t error_size)
{
	const struct weir_limiter_driver *row = limiter->driver;
	struct weir_limiter_capabilities *capabilities = &limiter->capabilities;
	struct abilities can = {0};
	uint64_t value;
	int result;

	tm->port_id = limiter->port_id;
	tm->n_queues = limiter->n_queues;
	tm->n_senders = limiter->n_senders;
	tm->port_level = row->port_level;
	tm->burst_max_bytes = row->burst_max_bytes;
	tm->takes_burst = row->burst_bytes == 0;
	result = row->levels == 0 ? ask(limiter, tm, &can, error, error_size)
	                          : look_up(limiter, tm, &can, error, error_size);
	if (result == 0)
		result = fit(limiter, tm, &can, error, error_size);
	if (result != 0)
		return result;
	fill_capabilities(limiter, tm, &can);
	value = weir_limiter_driver_value(row, capabilities->max_bit_s, limiter->link_bit_s);
	if (value == 0)
		return refuse(error, error_size, "the driver's rates make no sense");
	if (weir_tm_try_shaper(tm, value, error, error_size) != 0)
		return -ENOTSUP;
	capabilities->uncounted_bytes = tm->takes_adjust ? 0 : WEIR_WIRE_OVERHEAD_BYTES;
	return 0;
}

static int
probe(struct weir_limiter *limiter, char *error, size_t error_size)
{
	struct weir_tm *tm = calloc(1, sizeof(*tm));
	int result;

	if (tm == NULL) {
		snprintf(error, error_size, "no memory");
		return -ENOMEM;
	}
	result = learn(limiter, tm, error, error_size);
	if (result != 0) {
		free(tm);
		return result;
	}
	limiter->state = tm;
	/* The limits of one that still stands are to go, even if nothing else is programmed. */
	limiter->changed = limiter->driver->live && weir_tm_stands(tm) == 0;
	return 0;
}

/*
 * Keeps a limit, or with 0 that there is none, until the commit; where it is live and all is built,
 * puts it in force.
 */
static int
program(struct weir_limiter *limiter, uint16_t place, uint64_t bytes_s, uint32_t burst_bytes)
{
	struct weir_tm *tm = limiter->state;
	char cause[256];

	tm->limits[place] = (struct weir_tm_limit){bytes_s, burst_bytes};
	if (!tm->built || !limiter->driver->live)
		return 0;
	return weir_tm_update(tm, place, cause, sizeof(cause));
}

static int
program_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t bytes_s, uint32_t burst_bytes)
{
	assert(queue < limiter->n_queues && bytes_s > 0);
	return program(limiter, queue, bytes_s, burst_bytes);
}

static int
program_port(struct weir_limiter *limiter, uint64_t bytes_s, uint32_t burst_bytes)
{
	if (!limiter->capabilities.port_limit)
		return -ENOTSUP;
	assert(bytes_s > 0);
	return program(limiter, WEIR_TM_PORT, bytes_s, burst_bytes);
}

/* Of a hierarchy that stands too, also one that could not be taken over. */
static int
clear_port(struct weir_limiter *limiter)
{
	struct weir_tm *tm = limiter->state;
	char cause[256];

	tm->limits[WEIR_TM_PORT] = (struct weir_tm_limit){0};
	if (!limiter->driver->live || (!tm->built && weir_tm_stands(tm) != 0))
		return 0;
	return weir_tm_update(tm, WEIR_TM_PORT, cause, sizeof(cause));
}

/* Takes over a hierarchy that a limiter before this one built: each place's limit is set anew. */
static int
adopt(struct weir_limiter *limiter, char *error, size_t error_size)
{
	struct weir_tm *tm = limiter->state;
	int result = 0;

	for (uint16_t place = 0; place < tm->n_queues && result == 0; place++)
		result = weir_tm_update(tm, place, error, error_size);
	if (result == 0 && limiter->capabilities.port_limit)
		result = weir_tm_update(tm, WEIR_TM_PORT, error, error_size);
	tm->built = result == 0;
	return result;
}

static int
commit(struct weir_limiter *limiter, char *error, size_t error_size)
{
	struct weir_tm *tm = limiter->state;

	if (limiter->driver->live) {
		if (tm->built)
			return 0;
		if (weir_tm_stands(tm) == 0)
			return adopt(limiter, error, error_size);
	}
	return weir_tm_build(tm, error, error_size);
}

/* There is no getter; but a hierarchy that is gone limits nothing. */
static int
verify(struct weir_limiter *limiter, uint16_t queue, uint64_t *rate_bit_s)
{
	const struct weir_tm *tm = limiter->state;
	int result;

	(void)queue;
	(void)rate_bit_s;
	if (!tm->built)
		return -ENOTSUP;
	result = weir_tm_stands(tm);
	return result == 0 || result == -ENOSYS ? -ENOTSUP : -EILSEQ;
}

static void
describe(const struct weir_limiter *limiter, char *line, size_t size)
{
	weir_limiter_describe(limiter, "tm (rte_tm)", line, size);
}

static void
release(struct weir_limiter *limiter)
{
	struct weir_tm *tm = limiter->state;

	/* One that can be changed while it stands stays, for the next limiter to take over. */
	if (tm != NULL && tm->built && !limiter->driver->live)
		(void)weir_tm_demolish(tm);
	free(tm);
	limiter->state = NULL;
}

const struct weir_limiter_ops weir_limiter_tm = {
    .kind = WEIR_LIMITER_TM,
    .probe = probe,
    .program_queue = program_queue,
    .program_port = program_port,
    .clear_port = clear_port,
    .commit = commit,
    .verify = verify,
    .describe = describe,
    .release = release,
};
