/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The meter behind all of a port's queues. It must never be stricter than what stands before it, or
 * charged frames would be lost: so it rises before limits do, and falls behind them.
 */
#include "control/hardware_state.h"

/* The sums of what rules send this way. */
static void
sum_up(const struct weir_config *config, uint32_t link, uint64_t *rate_bit_s, uint64_t *burst_bytes)
{
	bool used[WEIR_CLASSES_MAX] = {false};

	*rate_bit_s = *burst_bytes = 0;
	for (uint32_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].link == WEIR_ANY || config->rules[i].link == link)
			used[config->rules[i].class_slot] = true;
	for (uint32_t i = 0; i < config->n_classes; i++) {
		if (!used[i])
			continue;
		*rate_bit_s += config->classes[i].rate_bit_s;
		*burst_bytes += config->classes[i].burst_bytes;
	}
	if (*burst_bytes > UINT32_MAX)
		*burst_bytes = UINT32_MAX;
}

static void
clear(struct weir_hardware_port *hardware)
{
	if (hardware->meter.rate_bit_s != 0)
		weir_limiter_meter_clear(&hardware->meter);
	hardware->meter = (struct weir_limiter_meter){0};
}

static void
police(struct weir_appliance *appliance, struct weir_hardware_port *hardware, uint64_t rate_bit_s,
       uint64_t burst_bytes)
{
	const struct weir_port *port = &appliance->ports[hardware->index];
	struct weir_limiter_meter *meter = &hardware->meter;

	if (rate_bit_s == 0 || rate_bit_s >= hardware->link_bit_s ||
	    port->config.limiter == WEIR_LIMITER_SOFT) {
		clear(hardware); /* it would never drop, or the policy wants none */
		return;
	}
	if (meter->rate_bit_s != 0 && meter->asked_bit_s == rate_bit_s &&
	    meter->asked_burst_bytes == burst_bytes)
		return;
	if (meter->rate_bit_s != 0 &&
	    weir_limiter_meter_change(meter, rate_bit_s, (uint32_t)burst_bytes) == 0)
		return;
	/* Where it can't be changed there is a moment without it: one that is wrong does harm. */
	clear(hardware);
	if (weir_limiter_meter_set(meter, port->port_id, rate_bit_s, (uint32_t)burst_bytes) < 0)
		*meter = (struct weir_limiter_meter){0};
}

void
weir_hardware_set_meter(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	uint64_t rate_bit_s, burst_bytes;

	/* What waits in the queues was charged by the policy before. */
	if (hardware->change != WEIR_HARDWARE_SETTLED)
		return;
	sum_up(appliance->config, hardware->link, &rate_bit_s, &burst_bytes);
	police(appliance, hardware, rate_bit_s, burst_bytes);
}

void
weir_hardware_raise_meter(struct weir_appliance *appliance, struct weir_hardware_port *hardware)
{
	const struct weir_limiter_meter *meter = &hardware->meter;
	uint64_t rate_bit_s, burst_bytes;

	if (meter->rate_bit_s == 0)
		return;
	sum_up(appliance->config, hardware->link, &rate_bit_s, &burst_bytes);
	if (rate_bit_s < meter->asked_bit_s)
		rate_bit_s = meter->asked_bit_s;
	if (burst_bytes < meter->asked_burst_bytes)
		burst_bytes = meter->asked_burst_bytes;
	police(appliance, hardware, rate_bit_s, burst_bytes);
}
