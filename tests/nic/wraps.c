/* SPDX-License-Identifier: BSD-3-Clause */
/* ethdev in front of a model: its life, its queues, its link. */
#include "tests/nic/wraps.h"

#include <errno.h>
#include <string.h>

#define RING_QUEUES     16U /* RTE_PMD_RING_MAX_TX_RINGS */
#define DESCRIPTORS_MIN 64U
#define FREE_THRESH     32U
#define DESCRIPTORS     512U

static_assert(RING_QUEUES == RTE_PMD_RING_MAX_TX_RINGS, "as many as a ring port has");

WEIR_WRAPPED(rte_eth_dev_info_get);
WEIR_WRAPPED(rte_eth_dev_configure);
WEIR_WRAPPED(rte_eth_rx_queue_setup);
WEIR_WRAPPED(rte_eth_tx_queue_setup);
WEIR_WRAPPED(rte_eth_tx_queue_info_get);
WEIR_WRAPPED(rte_eth_dev_start);
WEIR_WRAPPED(rte_eth_dev_stop);
WEIR_WRAPPED(rte_eth_dev_reset);
WEIR_WRAPPED(rte_eth_dev_close);
WEIR_WRAPPED(rte_eth_dev_set_link_down);
WEIR_WRAPPED(rte_eth_dev_set_link_up);
WEIR_WRAPPED(rte_eth_link_get);
WEIR_WRAPPED(rte_eth_link_get_nowait);
WEIR_WRAPPED(rte_eth_dev_callback_register);
WEIR_WRAPPED(rte_eth_dev_callback_unregister);
WEIR_WRAPPED(rte_eth_dev_flow_ctrl_get);
WEIR_WRAPPED(rte_eth_dev_flow_ctrl_set);
WEIR_WRAPPED(rte_eth_set_queue_rate_limit);

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = __real_rte_eth_dev_info_get(port_id, info);

	if (nic == NULL || result != 0)
		return result;
	weir_model_lock(nic);
	info->driver_name = nic->config.family->driver;
	info->max_tx_queues = nic->config.queues;
	info->nb_tx_queues = nic->n_queues;
	info->speed_capa = rte_eth_speed_bitflag(nic->config.speed_mbit_s, 1);
	info->tx_desc_lim.nb_max = nic->config.descriptors;
	info->tx_desc_lim.nb_min = DESCRIPTORS_MIN;
	info->tx_desc_lim.nb_align = FREE_THRESH;
	info->default_txportconf.ring_size =
	    (uint16_t)RTE_MIN((unsigned int)nic->config.descriptors, DESCRIPTORS);
	info->default_txconf.tx_free_thresh = FREE_THRESH;
	if (nic->config.completion == WEIR_MODEL_COMPLETION_ROUNDED)
		info->default_txconf.tx_rs_thresh = nic->config.family->rs_thresh;
	nic->flags = info->dev_flags != NULL ? *info->dev_flags : 0;
	if (nic->config.link_events)
		nic->flags |= RTE_ETH_DEV_INTR_LSC;
	info->dev_flags = &nic->flags;
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_dev_configure(uint16_t port_id, uint16_t n_rx, uint16_t n_tx,
                             const struct rte_eth_conf *conf)
{
	struct weir_model *nic = weir_model_of(port_id);
	struct rte_eth_conf real = *conf;
	int result;

	if (nic == NULL)
		return __real_rte_eth_dev_configure(port_id, n_rx, n_tx, conf);
	if (n_tx > nic->config.queues || n_tx == 0 ||
	    (conf->intr_conf.lsc != 0 && !nic->config.link_events))
		return -EINVAL;
	real.intr_conf.lsc = 0;
	result = __real_rte_eth_dev_configure(
	    port_id, n_rx, (uint16_t)RTE_MIN((unsigned int)n_tx, RING_QUEUES), &real);
	if (result != 0)
		return result;
	weir_model_lock(nic);
	nic->listening = conf->intr_conf.lsc != 0;
	nic->mtu = conf->rxmode.mtu;
	weir_model_configure(nic, n_rx, n_tx);
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_rx_queue_setup(uint16_t port_id, uint16_t queue, uint16_t n_descriptors,
                              unsigned int node, const struct rte_eth_rxconf *conf,
                              struct rte_mempool *pool)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = __real_rte_eth_rx_queue_setup(port_id, queue, n_descriptors, node, conf, pool);

	if (nic != NULL && result == 0)
		nic->pool = pool;
	return result;
}

int
__wrap_rte_eth_tx_queue_setup(uint16_t port_id, uint16_t queue, uint16_t n_descriptors,
                              unsigned int node, const struct rte_eth_txconf *conf)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = 0;

	if (nic == NULL || queue < RING_QUEUES)
		result = __real_rte_eth_tx_queue_setup(port_id, queue, n_descriptors, node, conf);
	if (nic == NULL || result != 0)
		return result;
	if (queue >= nic->n_queues)
		return -EINVAL;
	weir_model_lock(nic);
	result = weir_model_set_up_queue(nic, queue, n_descriptors,
	                                 conf != NULL ? conf->tx_rs_thresh : 0);
	weir_model_unlock(nic);
	return result;
}

int
__wrap_rte_eth_tx_queue_info_get(uint16_t port_id, uint16_t queue, struct rte_eth_txq_info *info)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_tx_queue_info_get(port_id, queue, info);
	if (queue >= nic->n_queues || !nic->queues[queue].set_up)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->nb_desc = nic->queues[queue].n_descriptors;
	info->conf.tx_free_thresh = FREE_THRESH;
	if (nic->config.completion == WEIR_MODEL_COMPLETION_ROUNDED)
		info->conf.tx_rs_thresh = nic->queues[queue].rs_thresh;
	return 0;
}

int
__wrap_rte_eth_dev_start(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port_id];
	int result;

	for (uint16_t q = 0; nic != NULL && q < nic->n_queues; q++) {
		if (!nic->queues[q].set_up)
			return -EINVAL;
	}
	result = __real_rte_eth_dev_start(port_id);
	if (nic == NULL || result != 0)
		return result;
	weir_model_start(nic);
	/* The table that rte_eth_tx_burst and its like go by. */
	ops->txq.data = nic->queue_pointers;
	ops->tx_pkt_burst = weir_model_send;
	ops->tx_descriptor_status =
	    nic->config.completion == WEIR_MODEL_COMPLETION_NONE ? NULL : weir_model_status;
	return 0;
}

int
__wrap_rte_eth_dev_stop(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = __real_rte_eth_dev_stop(port_id);

	if (nic != NULL && result == 0)
		weir_model_stop(nic);
	return result;
}

int
__wrap_rte_eth_dev_reset(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result;

	if (nic == NULL)
		return __real_rte_eth_dev_reset(port_id);
	result = __wrap_rte_eth_dev_stop(port_id);
	if (result != 0)
		return result;
	weir_model_lock(nic);
	weir_model_wipe(nic);
	weir_model_tm_clear(nic->tm);
	nic->tree = WEIR_MODEL_TREE_DEFAULT;
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_dev_close(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = __real_rte_eth_dev_close(port_id);

	/* Its number may soon be another port's. */
	if (nic != NULL)
		nic->attached = false;
	return result;
}

int
__wrap_rte_eth_dev_set_link_down(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_dev_set_link_down(port_id);
	weir_model_shut(nic, true);
	return 0;
}

int
__wrap_rte_eth_dev_set_link_up(uint16_t port_id)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_dev_set_link_up(port_id);
	weir_model_shut(nic, false);
	return 0;
}

static int
get_link(struct weir_model *nic, struct rte_eth_link *link)
{
	weir_model_lock(nic);
	weir_model_look_at_link(nic);
	memset(link, 0, sizeof(*link));
	link->link_status = nic->known_up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	link->link_speed = nic->known_mbit_s;
	link->link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link->link_autoneg = RTE_ETH_LINK_AUTONEG;
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_link_get(uint16_t port_id, struct rte_eth_link *link)
{
	struct weir_model *nic = weir_model_of(port_id);

	return nic == NULL ? __real_rte_eth_link_get(port_id, link) : get_link(nic, link);
}

int
__wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link)
{
	struct weir_model *nic = weir_model_of(port_id);

	return nic == NULL ? __real_rte_eth_link_get_nowait(port_id, link) : get_link(nic, link);
}

int
__wrap_rte_eth_dev_callback_register(uint16_t port_id, enum rte_eth_event_type event,
                                     rte_eth_dev_cb_fn callback, void *arg)
{
	struct weir_model *nic = weir_model_of(port_id);
	int result = -ENOMEM;

	if (nic == NULL || event != RTE_ETH_EVENT_INTR_LSC)
		return __real_rte_eth_dev_callback_register(port_id, event, callback, arg);
	weir_model_lock(nic);
	for (unsigned int i = 0; i < WEIR_MODEL_LISTENERS_MAX && result != 0; i++) {
		if (nic->listeners[i].call != NULL)
			continue;
		nic->listeners[i].call = callback;
		nic->listeners[i].arg = arg;
		result = 0;
	}
	weir_model_unlock(nic);
	return result;
}

int
__wrap_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
                                       rte_eth_dev_cb_fn callback, void *arg)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL || event != RTE_ETH_EVENT_INTR_LSC)
		return __real_rte_eth_dev_callback_unregister(port_id, event, callback, arg);
	weir_model_lock(nic);
	for (unsigned int i = 0; i < WEIR_MODEL_LISTENERS_MAX; i++) {
		if (nic->listeners[i].call == callback && nic->listeners[i].arg == arg)
			nic->listeners[i].call = NULL;
	}
	weir_model_unlock(nic);
	return 0;
}

int
__wrap_rte_eth_dev_flow_ctrl_get(uint16_t port_id, struct rte_eth_fc_conf *conf)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_dev_flow_ctrl_get(port_id, conf);
	*conf = nic->flow_control;
	return 0;
}

int
__wrap_rte_eth_dev_flow_ctrl_set(uint16_t port_id, struct rte_eth_fc_conf *conf)
{
	struct weir_model *nic = weir_model_of(port_id);

	if (nic == NULL)
		return __real_rte_eth_dev_flow_ctrl_set(port_id, conf);
	nic->flow_control = *conf;
	return 0;
}

int
__wrap_rte_eth_set_queue_rate_limit(uint16_t port_id, uint16_t queue, uint32_t mbit_s)
{
	struct weir_model *nic = weir_model_of(port_id);

	return nic == NULL ? __real_rte_eth_set_queue_rate_limit(port_id, queue, mbit_s)
	                   : weir_model_set_queue_rate(nic, queue, mbit_s);
}
