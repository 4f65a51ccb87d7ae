/* SPDX-License-Identifier: BSD-3-Clause */
/* The limiter of hardware_box.h, and the meter behind it. */
#ifndef WEIR_TESTS_UNIT_HARDWARE_BOX_LIMITER_H
#define WEIR_TESTS_UNIT_HARDWARE_BOX_LIMITER_H

#include "tests/unit/hardware_box_state.h"

static int
box_program_queue(struct weir_limiter *limiter, uint16_t queue, uint64_t value,
                  uint32_t burst_bytes)
{
	uint64_t rate_bit_s = value * BOX_MBIT;

	(void)limiter;
	CU_ASSERT_FATAL(queue > 0 && queue < BOX_QUEUES);
	CU_ASSERT(rate_bit_s > 0 && burst_bytes > 0);
	/* What stops the queues must find them out of use. */
	if (box.change == WEIR_LIMITER_STOPS)
		CU_ASSERT(!box.used || box.held);
	/* It is not sure from when on: nobody is judged by the lower one meanwhile. */
	if (box.completions)
		CU_ASSERT(box.judged_bit_s[queue] >= rate_bit_s &&
		          box.judged_bit_s[queue] >= box.limits[queue]);
	box_note(STEP_LIMIT, queue, rate_bit_s);
	if (queue == box.refused_queue)
		return -EINVAL;
	box.limits[queue] = rate_bit_s;
	return 0;
}

static int
box_program_port(struct weir_limiter *limiter, uint64_t value, uint32_t burst_bytes)
{
	(void)limiter;
	(void)burst_bytes;
	box_note(STEP_PORT_LIMIT, 0, value * BOX_MBIT);
	return box.port_result;
}

static int
box_clear_port(struct weir_limiter *limiter)
{
	(void)limiter;
	box_note(STEP_PORT_LIMIT, 0, 0);
	return box.clear_result;
}

static int
box_commit(struct weir_limiter *limiter, char *error, size_t error_size)
{
	(void)limiter;
	box.commits++;
	box_note(STEP_COMMIT, 0, 0);
	snprintf(error, error_size, "no such thing");
	if (box.commit_result == 0)
		memcpy(box.committed, box.limits, sizeof(box.committed));
	return box.commit_result;
}

static int
box_verify(struct weir_limiter *limiter, uint16_t queue, uint64_t *rate_bit_s)
{
	if (box.read_back == 0)
		return -ENOTSUP;
	*rate_bit_s = box.read_back;
	return box.read_back == limiter->programmed_bit_s[queue] ? 0 : -EILSEQ;
}

static void
box_describe(const struct weir_limiter *limiter, char *line, size_t size)
{
	(void)limiter;
	snprintf(line, size, "a model");
}

static void
box_release(struct weir_limiter *limiter)
{
	(void)limiter;
	box.closes++;
}

static const struct weir_limiter_ops box_queue_ops = {
    .kind = WEIR_LIMITER_QUEUE,
    .program_queue = box_program_queue,
    .program_port = box_program_port,
    .clear_port = box_clear_port,
    .verify = box_verify,
    .describe = box_describe,
    .release = box_release,
};
static const struct weir_limiter_ops box_tm_ops = {
    .kind = WEIR_LIMITER_TM,
    .program_queue = box_program_queue,
    .program_port = box_program_port,
    .clear_port = box_clear_port,
    .commit = box_commit,
    .verify = box_verify,
    .describe = box_describe,
    .release = box_release,
};

int __wrap_weir_limiter_open(const struct weir_port *port, enum weir_limiter_kind wanted,
                             uint16_t n_queues, uint16_t n_senders, uint64_t link_bit_s,
                             struct weir_limiter *limiter, char *reason, size_t reason_size);
int __wrap_weir_limiter_meter_set(struct weir_limiter_meter *meter, uint16_t port_id,
                                  uint64_t rate_bit_s, uint32_t burst_bytes);
int __wrap_weir_limiter_meter_change(struct weir_limiter_meter *meter, uint64_t rate_bit_s,
                                     uint32_t burst_bytes);
void __wrap_weir_limiter_meter_clear(struct weir_limiter_meter *meter);

int
__wrap_weir_limiter_open(const struct weir_port *port, enum weir_limiter_kind wanted,
                         uint16_t n_queues, uint16_t n_senders, uint64_t link_bit_s,
                         struct weir_limiter *limiter, char *reason, size_t reason_size)
{
	/* Never while a worker may be at the port. */
	CU_ASSERT(!box.used && box.up);
	CU_ASSERT_EQUAL(n_queues, BOX_QUEUES);
	CU_ASSERT_EQUAL(wanted, port->config.limiter);
	memset(limiter, 0, sizeof(*limiter));
	snprintf(reason, reason_size, "%s", box.open_result == 0 ? "" : "the model says no");
	if (box.open_result < 0)
		return box.open_result;
	memset(box.limits, 0, sizeof(box.limits));
	memset(box.committed, 0, sizeof(box.committed));
	box.link_bit_s = link_bit_s;
	box.opens++;
	limiter->ops = box.change == WEIR_LIMITER_LIVE ? &box_queue_ops : &box_tm_ops;
	limiter->driver = &box_row;
	limiter->n_queues = n_queues;
	limiter->n_senders = n_senders;
	limiter->link_bit_s = link_bit_s;
	limiter->capabilities = (struct weir_limiter_capabilities){
	    .n_queues = box.n_limited,
	    .min_bit_s = BOX_MBIT,
	    .max_bit_s = link_bit_s,
	    .change = box.change,
	    .port_limit = box.port_limit,
	    .completions = box.completions,
	};
	return 0;
}

int
__wrap_weir_limiter_meter_set(struct weir_limiter_meter *meter, uint16_t port_id,
                              uint64_t rate_bit_s, uint32_t burst_bytes)
{
	CU_ASSERT_EQUAL(port_id, BOX_PORT_ID);
	CU_ASSERT(burst_bytes > 0 && box.meter_bit_s == 0);
	if (box.meter_result < 0)
		return box.meter_result;
	box_note(STEP_METER, burst_bytes, rate_bit_s);
	meter->rate_bit_s = meter->asked_bit_s = box.meter_bit_s = rate_bit_s;
	meter->asked_burst_bytes = burst_bytes;
	return 0;
}

int
__wrap_weir_limiter_meter_change(struct weir_limiter_meter *meter, uint64_t rate_bit_s,
                                 uint32_t burst_bytes)
{
	CU_ASSERT(burst_bytes > 0 && box.meter_bit_s != 0);
	CU_ASSERT_EQUAL(meter->asked_bit_s, box.meter_bit_s);
	if (box.meter_change_result < 0)
		return box.meter_change_result;
	box_note(STEP_METER, burst_bytes, rate_bit_s);
	meter->rate_bit_s = meter->asked_bit_s = box.meter_bit_s = rate_bit_s;
	meter->asked_burst_bytes = burst_bytes;
	return 0;
}

void
__wrap_weir_limiter_meter_clear(struct weir_limiter_meter *meter)
{
	CU_ASSERT_EQUAL(meter->rate_bit_s, box.meter_bit_s);
	box_note(STEP_METER, 0, 0);
	box.meter_bit_s = 0;
}

#endif
