/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/limiter.h"

#include <errno.h>
#include <rte_common.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PPM              1000000U
#define QUEUE_UNIT_BIT_S UINT64_C(1000000)
#define TM_UNIT_BIT_S    UINT64_C(8)

static const char *const kind_names[] = {
    [WEIR_LIMITER_AUTO] = "auto",
    [WEIR_LIMITER_TM] = "tm",
    [WEIR_LIMITER_QUEUE] = "queue",
    [WEIR_LIMITER_SOFT] = "soft",
};

/* In the order in which they are tried. */
static const struct weir_limiter_ops *const hardware[] = {
    &weir_limiter_tm,
    &weir_limiter_queue,
};

const char *
weir_limiter_kind_name(enum weir_limiter_kind kind)
{
	assert((size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]));
	return kind_names[kind];
}

static uint16_t
queues_of(const struct weir_limiter_driver *row, uint16_t n_senders)
{
	uint32_t queues = WEIR_TX_QUEUES_MAX;

	if (!row->usable || (n_senders > 1 && !row->tm))
		return 1;
	if (row->groups_max == 0 || row->children_max == 0)
		return (uint16_t)queues;
	if (n_senders > 1) /* a group each, which holds a queue of each sender */
		queues = n_senders <= row->children_max ? row->groups_max : 1;
	else
		queues = RTE_MIN(queues, (uint32_t)row->groups_max * row->children_max);
	return (uint16_t)queues;
}

uint16_t
weir_limiter_queues(const char *driver, enum weir_limiter_kind wanted, uint16_t n_senders)
{
	uint16_t most = 1;

	for (size_t i = 0; i < sizeof(hardware) / sizeof(hardware[0]); i++) {
		bool tm = hardware[i]->kind == WEIR_LIMITER_TM;
		uint16_t queues = queues_of(weir_limiter_driver_find(driver, tm), n_senders);

		if (wanted != WEIR_LIMITER_AUTO && wanted != hardware[i]->kind)
			continue;
		/* The first one that limits anything is the one that will be taken. */
		if (most == 1)
			most = queues;
	}
	return most;
}

/* Adds to what reason says, behind a semicolon. */
static void __attribute__((format(printf, 3, 4)))
add_reason(char *reason, size_t size, const char *format, ...)
{
	size_t used = strnlen(reason, size);
	va_list list;

	if (used > 0 && used + 2 < size) {
		memcpy(reason + used, "; ", 3);
		used += 2;
	}
	if (used >= size)
		return;
	va_start(list, format);
	vsnprintf(reason + used, size - used, format, list);
	va_end(list);
}

/* Tries one interface. 0, -ENOTSUP with a part of the reason, or -ENOMEM. */
static int
try_kind(const struct weir_limiter_ops *ops, const struct weir_port *port,
         struct weir_limiter *limiter, char *reason, size_t reason_size)
{
	const char *name = weir_limiter_kind_name(ops->kind);
	char cause[256] = "";
	int result;

	limiter->ops = ops;
	limiter->driver = weir_limiter_driver_find(port->driver, ops->kind == WEIR_LIMITER_TM);
	memset(&limiter->capabilities, 0, sizeof(limiter->capabilities));
	limiter->state = NULL;
	if (!limiter->driver->usable) {
		add_reason(reason, reason_size, "%s: %s: %s", name, port->driver,
		           limiter->driver->help);
		return -ENOTSUP;
	}
	if (limiter->n_queues < 2) {
		add_reason(reason, reason_size, "%s: there is no queue to limit", name);
		return -ENOTSUP;
	}
	/* Some stop for good what their hierarchy leaves out. */
	if (limiter->driver->tm && port->tx_queues != limiter->n_queues * limiter->n_senders) {
		add_reason(reason, reason_size,
		           "%s: not all of the port's %u send queues are to be in the hierarchy",
		           name, port->tx_queues);
		return -ENOTSUP;
	}
	result = ops->probe(limiter, cause, sizeof(cause));
	if (result != 0)
		add_reason(reason, reason_size, "%s: %s", name, cause);
	else
		limiter->capabilities.completions =
		    limiter->driver->completions && port->completions;
	return result;
}

int
weir_limiter_open(const struct weir_port *port, enum weir_limiter_kind wanted, uint16_t n_queues,
                  uint16_t n_senders, uint64_t link_bit_s, struct weir_limiter *limiter,
                  char *reason, size_t reason_size)
{
	assert(n_queues > 0 && n_queues <= WEIR_TX_QUEUES_MAX && n_senders > 0);
	assert(reason_size > 0);
	memset(limiter, 0, sizeof(*limiter));
	reason[0] = '\0';
	limiter->port_id = port->port_id;
	limiter->n_queues = n_queues;
	limiter->n_senders = n_senders;
	limiter->link_bit_s = link_bit_s;
	for (size_t i = 0; i < sizeof(hardware) / sizeof(hardware[0]); i++) {
		int result;

		if (wanted != WEIR_LIMITER_AUTO && wanted != hardware[i]->kind)
			continue;
		result = try_kind(hardware[i], port, limiter, reason, reason_size);
		if (result == 0)
			reason[0] = '\0';
		/* Out of memory is no answer to what the port can do. */
		if (result != -ENOTSUP) {
			limiter->ops = result == 0 ? limiter->ops : NULL;
			return result;
		}
	}
	if (wanted == WEIR_LIMITER_TM || wanted == WEIR_LIMITER_QUEUE) {
		limiter->ops = NULL;
		return -ENOTSUP;
	}
	limiter->ops = &weir_limiter_soft;
	limiter->driver = weir_limiter_driver_find(port->driver, false);
	memset(&limiter->capabilities, 0, sizeof(limiter->capabilities));
	if (wanted == WEIR_LIMITER_SOFT)
		add_reason(reason, reason_size, "the policy says so");
	return weir_limiter_soft.probe(limiter, reason, reason_size);
}

void
weir_limiter_close(struct weir_limiter *limiter)
{
	if (limiter->ops != NULL)
		limiter->ops->release(limiter);
	memset(limiter, 0, sizeof(*limiter));
}

/*
 * What to hand to the interface, in its unit, so that a rate is kept, and what the hardware makes
 * of that. False where it can't be held well enough.
 */
static bool
pick(const struct weir_limiter *limiter, uint64_t rate_bit_s, uint64_t *value, uint64_t *result)
{
	const struct weir_limiter_capabilities *capabilities = &limiter->capabilities;
	uint64_t wanted = RTE_MIN(rate_bit_s, capabilities->max_bit_s);
	uint64_t unit = limiter->driver->tm ? TM_UNIT_BIT_S : QUEUE_UNIT_BIT_S;

	if (wanted == 0 || wanted < capabilities->min_bit_s)
		return false;
	*value = weir_limiter_driver_value(limiter->driver, wanted, limiter->link_bit_s);
	if (*value == 0)
		return false;
	*result = weir_limiter_driver_result(limiter->driver, *value * unit, limiter->link_bit_s);
	assert(*result > 0 && *result <= rate_bit_s);
	return (weir_u128)(rate_bit_s - *result) * PPM <=
	       (weir_u128)rate_bit_s * WEIR_LIMITER_LOSS_PPM;
}

uint64_t
weir_limiter_round(const struct weir_limiter *limiter, uint64_t rate_bit_s)
{
	uint64_t value, result;

	return pick(limiter, rate_bit_s, &value, &result) ? result : 0;
}

int
weir_limiter_set_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t rate_bit_s,
                       uint32_t burst_bytes)
{
	uint64_t value, rounded;
	int result;

	assert(queue < limiter->n_queues && burst_bytes > 0);
	if (!pick(limiter, rate_bit_s, &value, &rounded))
		return -ERANGE;
	/* What stops all queues is not done for nothing. */
	if (limiter->capabilities.change == WEIR_LIMITER_STOPS &&
	    limiter->programmed_bit_s[queue] == rounded &&
	    limiter->programmed_burst_bytes[queue] == burst_bytes)
		return 0;
	result = limiter->ops->program_queue(limiter, queue, value, burst_bytes);
	limiter->programmed_bit_s[queue] = result == 0 ? rounded : 0;
	limiter->programmed_burst_bytes[queue] = burst_bytes;
	limiter->changed = true;
	return result;
}

int
weir_limiter_set_port(struct weir_limiter *limiter, uint64_t rate_bit_s, uint32_t burst_bytes)
{
	uint64_t value, rounded;
	int result;

	assert(burst_bytes > 0);
	if (limiter->ops->program_port == NULL || !limiter->capabilities.port_limit)
		return -ENOTSUP;
	if (!pick(limiter, rate_bit_s, &value, &rounded))
		return -ERANGE;
	if (limiter->capabilities.change == WEIR_LIMITER_STOPS && limiter->port_bit_s == rounded &&
	    limiter->port_burst_bytes == burst_bytes)
		return 0;
	result = limiter->ops->program_port(limiter, value, burst_bytes);
	limiter->port_bit_s = result == 0 ? rounded : 0;
	limiter->port_burst_bytes = burst_bytes;
	limiter->changed = true;
	return result;
}

int
weir_limiter_clear_port(struct weir_limiter *limiter)
{
	if (limiter->ops->clear_port == NULL || !limiter->capabilities.port_limit)
		return 0;
	limiter->port_bit_s = 0;
	limiter->port_burst_bytes = 0;
	limiter->changed = true;
	return limiter->ops->clear_port(limiter);
}

int
weir_limiter_commit(struct weir_limiter *limiter, char *error, size_t error_size)
{
	int result = 0;

	if (!limiter->changed)
		return 0;
	if (limiter->ops->commit != NULL)
		result = limiter->ops->commit(limiter, error, error_size);
	if (result == 0) {
		limiter->changed = false;
		return 0;
	}
	memset(limiter->programmed_bit_s, 0, sizeof(limiter->programmed_bit_s));
	limiter->port_bit_s = 0;
	return result;
}

/* "2.5 Gbit/s", without a loss of digits. */
static void
print_rate(uint64_t rate_bit_s, char *text, size_t size)
{
	static const struct {
		uint64_t bit_s;
		const char *name;
	} units[] = {
	    {UINT64_C(1000000000), "Gbit/s"},
	    {UINT64_C(1000000), "Mbit/s"},
	    {UINT64_C(1000), "kbit/s"},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (rate_bit_s >= units[i].bit_s && rate_bit_s % (units[i].bit_s / 10) == 0) {
			snprintf(text, size, "%.10g %s",
			         (double)rate_bit_s / (double)units[i].bit_s, units[i].name);
			return;
		}
	}
	snprintf(text, size, "%llu bit/s", (unsigned long long)rate_bit_s);
}

void
weir_limiter_describe(const struct weir_limiter *limiter, const char *interface, char *line,
                      size_t size)
{
	const struct weir_limiter_capabilities *capabilities = &limiter->capabilities;
	char from[32], to[32], burst[48] = "";
	int used;

	print_rate(capabilities->min_bit_s, from, sizeof(from));
	print_rate(capabilities->max_bit_s, to, sizeof(to));
	if (capabilities->burst_bytes != 0)
		snprintf(burst, sizeof(burst), ", burst %u bytes", capabilities->burst_bytes);
	used = snprintf(line, size, "%s: %u queues, %s to %s each%s%s, a change %s, departures %s",
	                interface, capabilities->n_queues, from, to, burst,
	                capabilities->port_limit ? ", and the port" : "",
	                capabilities->change == WEIR_LIMITER_LIVE ? "disturbs nothing"
	                                                          : "stops all queues",
	                capabilities->completions ? "known" : "not known");
	for (unsigned int i = 0; i < WEIR_QUIRKS && used >= 0 && (size_t)used < size; i++) {
		unsigned int quirk = 1U << i;
		bool first = (limiter->driver->quirks & (quirk - 1)) == 0;

		if ((limiter->driver->quirks & quirk) != 0)
			used += snprintf(line + used, size - (size_t)used, "%s%s",
			                 first ? "; known of it: " : ", ",
			                 weir_limiter_quirk_name((enum weir_limiter_quirk)quirk));
	}
}
