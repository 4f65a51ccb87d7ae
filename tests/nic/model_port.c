/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's life: made, configured, started, stopped, its link, its counters. */
#include "tests/nic/model_family.h"
#include "tests/nic/model_tm.h"

#include <errno.h>
#include <rte_errno.h>
#include <stdlib.h>
#include <string.h>

static int
init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int result = pthread_mutexattr_init(&attributes);

	/* What is called for a frame may call back. */
	if (result == 0)
		result = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	if (result == 0)
		result = pthread_mutex_init(lock, &attributes);
	return -result;
}

struct weir_model *
weir_model_new(const struct weir_model_config *config)
{
	struct weir_model *nic = calloc(1, sizeof(*nic));

	if (nic == NULL || init_lock(&nic->lock) != 0) {
		free(nic);
		return NULL;
	}
	nic->config = *config;
	if (nic->config.completion == WEIR_MODEL_COMPLETION_DRIVER)
		nic->config.completion = config->family->completion;
	nic->queues = calloc(config->queues, sizeof(*nic->queues));
	nic->queue_pointers = calloc(config->queues, sizeof(*nic->queue_pointers));
	nic->tm = weir_model_tm_new();
	nic->up = true;
	nic->speed_mbit_s = config->speed_mbit_s;
	nic->flow_control.mode = RTE_ETH_FC_FULL;
	nic->flow_control.autoneg = 1;
	if (nic->queues == NULL || nic->queue_pointers == NULL || nic->tm == NULL) {
		weir_model_free(nic);
		return NULL;
	}
	for (uint16_t q = 0; q < config->queues; q++) {
		if (weir_model_queue_init(nic, q) != 0) {
			weir_model_free(nic);
			return NULL;
		}
	}
	return nic;
}

void
weir_model_free(struct weir_model *nic)
{
	if (nic->on_wire)
		rte_pktmbuf_free(nic->frame.mbuf);
	for (uint16_t q = 0; nic->queues != NULL && q < nic->config.queues; q++) {
		if (nic->queues[q].nic != NULL)
			weir_model_queue_fini(&nic->queues[q]);
	}
	for (uint16_t q = 0; q < WEIR_MODEL_RX_QUEUES_MAX; q++) {
		void *mbuf;

		while (nic->rx_rings[q] != NULL && rte_ring_dequeue(nic->rx_rings[q], &mbuf) == 0)
			rte_pktmbuf_free(mbuf);
		free(nic->rx_rings[q]);
	}
	free(nic->queues);
	free(nic->queue_pointers);
	weir_model_tm_free(nic->tm);
	(void)pthread_mutex_destroy(&nic->lock);
	free(nic);
}

void
weir_model_on_sent(struct weir_model *nic, weir_model_sent_fn *sent, void *arg)
{
	weir_model_lock(nic);
	nic->sent = sent;
	nic->sent_arg = arg;
	weir_model_unlock(nic);
}

void
weir_model_own_path(struct weir_model *nic, uint16_t queue)
{
	nic->queues[queue].n_path = 1;
	nic->queues[queue].path[0] = queue;
}

void
weir_model_configure(struct weir_model *nic, uint16_t n_rx_queues, uint16_t n_queues)
{
	assert(n_queues <= nic->config.queues && !nic->started);
	weir_model_lock(nic);
	nic->n_rx_queues = n_rx_queues;
	nic->n_queues = n_queues;
	nic->last_queue = n_queues > 0 ? (uint16_t)(n_queues - 1U) : 0;
	nic->configured = true;
	weir_model_tm_configured(nic);
	/* What was asked of the queues as they were is nothing to these. */
	for (uint32_t i = 0; i < WEIR_MODEL_SHAPERS_MAX; i++)
		nic->shapers[i].asked = false;
	weir_model_unlock(nic);
}

static void
empty_queues(struct weir_model *nic)
{
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		if (nic->queues[q].set_up)
			weir_model_queue_empty(&nic->queues[q]);
	}
}

void
weir_model_start(struct weir_model *nic)
{
	weir_model_ps now;

	weir_model_lock(nic);
	now = weir_model_now(nic);
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		struct weir_model_queue *queue = &nic->queues[q];

		assert(queue->set_up);
		queue->enabled = true;
		queue->since_ps = now;
		if (queue->n_path == 0)
			weir_model_own_path(nic, q);
	}
	if (nic->config.family->wiped_at_start)
		weir_model_wipe(nic);
	weir_model_expect_writes(nic);
	if (nic->free_ps < now)
		nic->free_ps = now;
	nic->starts++;
	nic->started = true;
	nic->shut = false;
	weir_model_look_at_link(nic);
	weir_model_unlock(nic);
}

void
weir_model_stop(struct weir_model *nic)
{
	weir_model_lock(nic);
	weir_model_finish_frame(nic);
	nic->started = false;
	empty_queues(nic);
	if (nic->config.family->wiped_at_start)
		weir_model_wipe(nic);
	weir_model_tm_stopped(nic);
	/* What was known of the link is cleared. */
	nic->known_up = false;
	nic->known_mbit_s = 0;
	weir_model_unlock(nic);
}

void
weir_model_look_at_link(struct weir_model *nic)
{
	weir_model_lock(nic);
	nic->known_up = weir_model_is_up(nic);
	nic->known_mbit_s = nic->known_up ? nic->speed_mbit_s : 0;
	weir_model_unlock(nic);
}

static void
interrupt(struct weir_model *nic)
{
	if (!nic->started || !nic->listening || !nic->config.link_events)
		return;
	weir_model_look_at_link(nic);
	for (unsigned int i = 0; i < WEIR_MODEL_LISTENERS_MAX; i++) {
		if (nic->listeners[i].call != NULL)
			(void)nic->listeners[i].call(nic->port_id, RTE_ETH_EVENT_INTR_LSC,
			                             nic->listeners[i].arg, NULL);
	}
}

static void
change_link(struct weir_model *nic, bool up, bool shut, uint32_t speed_mbit_s)
{
	uint32_t before = nic->speed_mbit_s;

	if (nic->up == up && nic->shut == shut && before == speed_mbit_s)
		return;
	nic->up = up;
	nic->shut = shut;
	nic->speed_mbit_s = speed_mbit_s;
	if (before != speed_mbit_s)
		weir_model_rescale(nic, before);
	if (nic->free_ps < weir_model_now(nic))
		nic->free_ps = weir_model_now(nic);
	weir_model_expect_writes(nic);
	interrupt(nic);
}

void
weir_model_set_link(struct weir_model *nic, bool up, uint32_t speed_mbit_s)
{
	weir_model_lock(nic);
	nic->up_at_ns = 0;
	change_link(nic, up, nic->shut, speed_mbit_s);
	weir_model_unlock(nic);
}

void
weir_model_shut(struct weir_model *nic, bool shut)
{
	weir_model_lock(nic);
	change_link(nic, nic->up, shut, nic->speed_mbit_s);
	weir_model_unlock(nic);
}

void
weir_model_blink(struct weir_model *nic, uint32_t speed_mbit_s, uint64_t down_ns)
{
	weir_model_lock(nic);
	change_link(nic, false, nic->shut, nic->speed_mbit_s);
	nic->up_at_ns = nic->now_ns + down_ns;
	nic->next_mbit_s = speed_mbit_s;
	if (down_ns == 0)
		weir_model_end_blink(nic);
	weir_model_unlock(nic);
}

void
weir_model_end_blink(struct weir_model *nic)
{
	nic->up_at_ns = 0;
	change_link(nic, true, nic->shut, nic->next_mbit_s);
}

void
weir_model_reset(struct weir_model *nic, uint64_t down_ns)
{
	weir_model_lock(nic);
	weir_model_finish_frame(nic);
	empty_queues(nic);
	weir_model_wipe(nic);
	if (nic->up)
		weir_model_blink(nic, nic->speed_mbit_s, down_ns);
	weir_model_unlock(nic);
}

int
weir_model_set_queue_rate(struct weir_model *nic, uint16_t queue, uint32_t mbit_s)
{
	const struct weir_model_family *family = nic->config.family;
	int result;

	weir_model_lock(nic);
	/* ethdev lets the number of queues itself through. */
	if (queue > nic->config.queues || mbit_s > nic->known_mbit_s)
		result = -EINVAL;
	else if (family->set_queue == NULL)
		result = -ENOTSUP;
	else
		result = family->set_queue(nic, queue, mbit_s);
	weir_model_unlock(nic);
	return result;
}

uint64_t
weir_model_queue_rate(const struct weir_model *nic, uint16_t queue)
{
	return weir_model_shaper_rate(nic, &nic->shapers[queue]);
}

uint64_t
weir_model_path_rate(const struct weir_model *nic, uint16_t queue)
{
	uint64_t least = WEIR_MODEL_UNLIMITED;

	for (uint8_t i = 0; i < nic->queues[queue].n_path; i++) {
		uint64_t rate =
		    weir_model_shaper_rate(nic, &nic->shapers[nic->queues[queue].path[i]]);

		least = rate < least ? rate : least;
	}
	return least;
}

/* What a counter shows: unsigned, so it can be lowered only as far as 0. */
static uint64_t
shown(uint64_t now, uint64_t base, int64_t lie)
{
	uint64_t count = weir_sat_sub(now, base);

	return lie < 0 ? weir_sat_sub(count, (uint64_t)-lie) : weir_sat_add(count, (uint64_t)lie);
}

struct weir_model_counts
weir_model_read(const struct weir_model *nic, uint16_t queue)
{
	bool all = queue == WEIR_MODEL_ALL_QUEUES;
	const struct weir_model_counts *now = all ? &nic->shown_all : &nic->queues[queue].shown;
	const struct weir_model_counts *base = all ? &nic->base_all : &nic->queues[queue].base;
	bool lies = all || queue == 0;
	struct weir_model_counts counts;

	counts.frames = shown(now->frames, base->frames, lies ? nic->cheat.count_frames : 0);
	counts.bytes = shown(now->bytes, base->bytes, lies ? nic->cheat.count_bytes : 0);
	if (all && nic->cheat.late) {
		counts.frames = nic->cheat.late_frames;
		counts.bytes = nic->cheat.late_bytes;
	}
	if (nic->config.counters_fcs)
		counts.bytes += counts.frames * RTE_ETHER_CRC_LEN;
	counts.wire_bytes = shown(now->wire_bytes, base->wire_bytes, 0);
	return counts;
}

void
weir_model_reset_counters(struct weir_model *nic)
{
	weir_model_lock(nic);
	nic->base_all = nic->shown_all;
	nic->rx_base_bytes = nic->rx_bytes;
	for (uint16_t q = 0; q < nic->config.queues; q++)
		nic->queues[q].base = nic->queues[q].shown;
	weir_model_unlock(nic);
}

void
weir_model_receive(struct weir_model *nic, uint16_t queue, struct rte_mbuf *mbuf)
{
	uint32_t bytes = rte_pktmbuf_pkt_len(mbuf);

	if (queue < nic->n_rx_queues && nic->started &&
	    rte_ring_enqueue(nic->rx_rings[queue], mbuf) == 0) {
		nic->rx_bytes += bytes;
		return;
	}
	atomic_fetch_add(&nic->rx_missed, 1);
	rte_pktmbuf_free(mbuf);
}
