/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/port.h"

#include "drivers/interface.h"
#include "drivers/limiter_driver.h"
#include "drivers/memory.h"
#include "drivers/port_device.h"
#include "drivers/port_events.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POOL_CACHE      256U
#define BUFFER_STEP     1024U /* NICs count receive buffers in KiB and round down */
#define LINK_WAIT_US    1000000U
#define LINK_STEP_US    20000U
#define RSS_KEY_MAX     128U
#define RSS_FIELDS      (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP)
#define AF_PACKET_FRAME 2048U /* the driver's default of framesz */
/* TPACKET2_HDRLEN, without its mixing of signs. */
#define AF_PACKET_OVERHEAD                                                                         \
	((uint32_t)(RTE_ALIGN_CEIL(sizeof(struct tpacket2_hdr), 16U) + sizeof(struct sockaddr_ll)))

/* Puts "port NAME: ..." into error. Returns result, so that a caller can end with it. */
static int __attribute__((format(printf, 5, 6)))
fail(const struct weir_port *port, int result, char *error, size_t error_size, const char *format,
     ...)
{
	int used = snprintf(error, error_size, "port %s: ", port->config.name);
	va_list list;

	if (used >= 0 && (size_t)used < error_size) {
		va_start(list, format);
		vsnprintf(error + used, error_size - (size_t)used, format, list);
		va_end(list);
	}
	return result;
}

/* Drivers return -1 for anything: it is no EPERM. */
static const char *
reason(int result)
{
	return result == -1 ? "the driver refuses" : strerror(-result);
}

static bool
is_af_packet(const struct weir_port *port)
{
	return strcmp(port->driver, "net_af_packet") == 0;
}

/* Longest frame with its own header that the af_packet driver moves through its ring. */
static uint32_t
af_packet_frame_bytes(const struct weir_port *port)
{
	uint32_t size = weir_port_device_number(port->config.device, "framesz", AF_PACKET_FRAME);

	return size > AF_PACKET_OVERHEAD ? size - AF_PACKET_OVERHEAD : 0;
}

static int
make_pool(struct weir_port *port, uint32_t frames, char *error, size_t error_size)
{
	uint32_t room = weir_frame_max_bytes(port->config.mtu_bytes) + RTE_ETHER_CRC_LEN;
	char name[RTE_MEMPOOL_NAMESIZE];

	/* The driver wants buffers as large as its ring's slots. */
	if (is_af_packet(port)) {
		uint32_t slot =
		    weir_port_device_number(port->config.device, "framesz", AF_PACKET_FRAME);

		room = slot > room ? slot : room;
	}
	room = RTE_ALIGN_CEIL(room, BUFFER_STEP) + RTE_PKTMBUF_HEADROOM;
	if (room > UINT16_MAX)
		return fail(port, -EINVAL, error, error_size, "buffers of %u bytes: at most %u",
		            room, UINT16_MAX);
	snprintf(name, sizeof(name), "weir_rx_%u", port->port_id);
	port->pool = rte_pktmbuf_pool_create_by_ops(name, frames, POOL_CACHE, 0, (uint16_t)room,
	                                            port->node, NULL);
	if (port->pool == NULL)
		return fail(port, -ENOMEM, error, error_size,
		            "no memory for %u receive buffers of %u bytes", frames, room);
	return 0;
}

/* Two ports of one device would fight for its queues. */
static int
claim(const struct weir_port *port, char *error, size_t error_size)
{
	struct rte_eth_dev_owner owner = {.id = RTE_ETH_DEV_NO_OWNER};
	int result;

	result = rte_eth_dev_owner_get(port->port_id, &owner);
	if (result == 0 && owner.id != RTE_ETH_DEV_NO_OWNER)
		return fail(port, -EEXIST, error, error_size, "device %s: is port %s already",
		            port->config.device, owner.name);
	if (result == 0)
		result = rte_eth_dev_owner_new(&owner.id);
	if (result == 0) {
		snprintf(owner.name, sizeof(owner.name), "%s", port->config.name);
		result = rte_eth_dev_owner_set(port->port_id, &owner);
	}
	if (result != 0)
		return fail(port, result, error, error_size, "device %s: cannot be claimed: %s",
		            port->config.device, reason(result));
	return 0;
}

static int
learn_device(struct weir_port *port, char *error, size_t error_size)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int result = rte_eth_dev_info_get(port->port_id, &info);

	if (result == 0)
		result = rte_eth_macaddr_get(port->port_id, &mac);
	if (result != 0)
		return fail(port, result, error, error_size, "device %s tells nothing: %s",
		            port->config.device, reason(result));
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	rte_ether_format_addr(port->mac, sizeof(port->mac), &mac);
	port->node = rte_eth_dev_socket_id(port->port_id);
	if (port->node < 0)
		port->node = WEIR_NODE_ANY;
	return 0;
}

int
weir_port_open(const struct weir_port_config *config, uint32_t pool_frames, struct weir_port *port,
               char *error, size_t error_size)
{
	char cause[512];
	int result;

	assert(config->mtu_bytes >= WEIR_MTU_MIN && config->mtu_bytes <= WEIR_MTU_MAX);
	assert(config->rx_queues > 0 && config->rx_queues <= WEIR_QUEUES_MAX);
	assert(config->tx_queues > 0 && pool_frames > 0);
	memset(port, 0, sizeof(*port));
	port->config = *config;
	result = weir_port_device_probe(config->device, &port->port_id, &port->hotplugged, cause,
	                                sizeof(cause));
	if (result != 0)
		return fail(port, result, error, error_size, "%s", cause);
	result = claim(port, error, error_size);
	if (result == -EEXIST)
		return result; /* another port's: not ours to close */
	port->attached = true;
	if (result == 0)
		result = learn_device(port, error, error_size);
	if (result == 0)
		result = make_pool(port, pool_frames, error, error_size);
	if (result != 0)
		weir_port_close(port);
	return result;
}

/* Longest layer 3 that ethdev lets the driver take: the same sum that ethdev does. */
static uint32_t
device_mtu_max(const struct rte_eth_dev_info *info)
{
	uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
		overhead = info->max_rx_pktlen - info->max_mtu;
	return RTE_MIN((uint32_t)info->max_mtu, info->max_rx_pktlen - overhead);
}

/*
 * net_af_packet moves frames as long as its ring's slots, but calls 1,518 bytes its longest, and
 * ethdev believes it: a larger MTU has to be set on the kernel's interface.
 */
static int
set_af_packet_jumbo(struct weir_port *port, const struct rte_eth_dev_info *info, char *error,
                    size_t error_size)
{
	uint32_t mtu = port->config.mtu_bytes;
	int result;

	if (weir_frame_max_bytes(mtu) > af_packet_frame_bytes(port))
		return fail(port, -EINVAL, error, error_size,
		            "MTU %u needs framesz of at least %u (and blocksz no smaller) in "
		            "device %s",
		            mtu, weir_frame_max_bytes(mtu) + AF_PACKET_OVERHEAD,
		            port->config.device);
	result = weir_interface_set_mtu(info->if_index, mtu);
	if (result != 0)
		return fail(port, result, error, error_size, "MTU %u is not to be had: %s", mtu,
		            reason(result));
	port->mtu_granted_bytes = mtu;
	return 0;
}

/* After the queues are there and before the start: the order that all drivers take. */
static int
set_mtu(struct weir_port *port, const struct rte_eth_dev_info *info, char *error, size_t error_size)
{
	uint32_t mtu = port->config.mtu_bytes;
	int result;

	if (mtu > device_mtu_max(info))
		return set_af_packet_jumbo(port, info, error, error_size);
	result = rte_eth_dev_set_mtu(port->port_id, (uint16_t)mtu);
	/* Without such a call the driver takes whatever fits its longest frame, which was asked. */
	if (result != 0 && result != -ENOTSUP)
		return fail(port, result, error, error_size, "MTU %u is not to be had: %s", mtu,
		            reason(result));
	port->mtu_granted_bytes = mtu;
	return 0;
}

/* Both directions of a flow hash alike when the key repeats every 16 bits. */
static void
fill_symmetric_key(uint8_t *key, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		key[i] = i % 2 == 0 ? 0x6d : 0x5a;
}

static int
count_queues(struct weir_port *port, const struct rte_eth_dev_info *info, char *error,
             size_t error_size)
{
	const struct weir_port_config *config = &port->config;

	if (config->tx_queues > info->max_tx_queues)
		return fail(port, -ENOTSUP, error, error_size,
		            "%u workers need a send queue each and device %s has %u%s",
		            config->tx_queues, config->device, info->max_tx_queues,
		            is_af_packet(port) ? " (see its argument qpairs)" : "");
	port->tx_queues = (uint16_t)config->tx_queues;
	port->rx_queues = (uint16_t)RTE_MIN(config->rx_queues, (uint32_t)info->max_rx_queues);
	if (port->rx_queues == 0)
		return fail(port, -ENOTSUP, error, error_size, "device %s has no receive queue",
		            config->device);
	/* The kernel spreads frames over all its queues, also those that nobody reads. */
	if (is_af_packet(port) && port->rx_queues != info->max_rx_queues)
		return fail(port, -EINVAL, error, error_size,
		            "device %s has %u queue pairs: rx_queues has to be %u, not %u",
		            config->device, info->max_rx_queues, info->max_rx_queues,
		            config->rx_queues);
	/* As with af_packet, but the driver checks it itself, without a word. */
	if (strcmp(port->driver, "net_tap") == 0 && port->rx_queues != port->tx_queues)
		return fail(port, -EINVAL, error, error_size,
		            "device %s takes as many receive as send queues only: rx_queues has to "
		            "be %u, not %u",
		            config->device, port->tx_queues, config->rx_queues);
	return 0;
}

/* Asks for link interrupts where there are any: a link that is down for a moment is seen, too. */
static int
configure_device(struct weir_port *port, const struct rte_eth_dev_info *info,
                 struct rte_eth_conf *conf)
{
	int result = -ENOTSUP;

	conf->intr_conf.lsc =
	    info->dev_flags != NULL && (*info->dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	if (conf->intr_conf.lsc)
		result =
		    rte_eth_dev_configure(port->port_id, port->rx_queues, port->tx_queues, conf);
	if (result == 0) {
		weir_port_listen(port);
		return 0;
	}
	conf->intr_conf.lsc = 0;
	return rte_eth_dev_configure(port->port_id, port->rx_queues, port->tx_queues, conf);
}

static int
configure(struct weir_port *port, const struct rte_eth_dev_info *info, char *error,
          size_t error_size)
{
	static uint8_t key[RSS_KEY_MAX]; /* ethdev keeps the pointer; all ports share the content */
	struct rte_eth_conf conf;
	uint32_t mtu_max = device_mtu_max(info);
	int result;

	if (port->config.mtu_bytes > mtu_max && !is_af_packet(port))
		return fail(port, -EINVAL, error, error_size, "MTU %u: device %s takes at most %u",
		            port->config.mtu_bytes, port->config.device, mtu_max);
	memset(&conf, 0, sizeof(conf));
	conf.rxmode.mtu = RTE_MIN(port->config.mtu_bytes, mtu_max);
	if (port->rx_queues > 1 && (info->flow_type_rss_offloads & RSS_FIELDS) != 0 &&
	    info->hash_key_size > 0 && info->hash_key_size <= RSS_KEY_MAX) {
		fill_symmetric_key(key, info->hash_key_size);
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_key = key;
		conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_FIELDS;
	}
	result = configure_device(port, info, &conf);
	if (result != 0)
		return fail(port, result, error, error_size,
		            "%u receive and %u send queues are not to be had: %s", port->rx_queues,
		            port->tx_queues, reason(result));
	return 0;
}

/* Descriptors a queue: what was asked or else the driver likes, within its limits. */
static uint16_t
choose_descriptors(uint32_t asked, uint16_t preferred, uint16_t fallback,
                   const struct rte_eth_desc_lim *limits)
{
	uint32_t count = asked != 0 ? asked : preferred != 0 ? preferred : fallback;

	if (limits->nb_align != 0)
		count = (count + limits->nb_align - 1) / limits->nb_align * limits->nb_align;
	if (limits->nb_max != 0)
		count = RTE_MIN(count, (uint32_t)limits->nb_max);
	count = RTE_MAX(count, (uint32_t)limits->nb_min);
	return (uint16_t)RTE_MIN(count, (uint32_t)UINT16_MAX);
}

static int
set_up_queues(struct weir_port *port, const struct rte_eth_dev_info *info, char *error,
              size_t error_size)
{
	unsigned int node = (unsigned int)port->node; /* WEIR_NODE_ANY is SOCKET_ID_ANY */
	struct rte_eth_rxconf rx_conf = info->default_rxconf;
	struct rte_eth_txconf tx_conf = info->default_txconf;
	uint32_t buffers;

	port->rx_descriptors =
	    choose_descriptors(port->config.rx_descriptors, info->default_rxportconf.ring_size,
	                       RTE_ETH_DEV_FALLBACK_RX_RINGSIZE, &info->rx_desc_lim);
	port->tx_descriptors =
	    choose_descriptors(port->config.tx_descriptors, info->default_txportconf.ring_size,
	                       RTE_ETH_DEV_FALLBACK_TX_RINGSIZE, &info->tx_desc_lim);
	buffers = (uint32_t)port->rx_queues * port->rx_descriptors;
	if (port->pool->size <= buffers)
		return fail(port, -ENOMEM, error, error_size,
		            "%u receive buffers are too few for %u queues of %u descriptors",
		            port->pool->size, port->rx_queues, port->rx_descriptors);

	rx_conf.offloads = 0;
	tx_conf.offloads = 0;
	/* Only where it matters what has left: it makes the NIC write more often. */
	if (port->tx_each > 1 && weir_limiter_driver_rs_thresh(port->driver) != 0)
		tx_conf.tx_rs_thresh = weir_limiter_driver_rs_thresh(port->driver);
	for (uint16_t i = 0; i < port->rx_queues; i++) {
		int result = rte_eth_rx_queue_setup(port->port_id, i, port->rx_descriptors, node,
		                                    &rx_conf, port->pool);

		if (result != 0)
			return fail(port, result, error, error_size, "receive queue %u: %s", i,
			            reason(result));
	}
	for (uint16_t i = 0; i < port->tx_queues; i++) {
		int result =
		    rte_eth_tx_queue_setup(port->port_id, i, port->tx_descriptors, node, &tx_conf);

		if (result != 0)
			return fail(port, result, error, error_size, "send queue %u: %s", i,
			            reason(result));
	}
	return 0;
}

/* What the driver says afterwards counts, not what it was told. */
static bool
rss_is_symmetric(const struct weir_port *port, const struct rte_eth_dev_info *info)
{
	uint8_t wanted[RSS_KEY_MAX], key[RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = info->hash_key_size};

	if (port->rx_queues < 2 || info->hash_key_size == 0 || info->hash_key_size > RSS_KEY_MAX)
		return false;
	fill_symmetric_key(wanted, info->hash_key_size);
	return rte_eth_dev_rss_hash_conf_get(port->port_id, &conf) == 0 &&
	       (conf.rss_hf & RSS_FIELDS) != 0 && memcmp(key, wanted, info->hash_key_size) == 0;
}

/* Pause frames would tell the outside about the inside, and let it stall us. */
static bool
turn_flow_control_off(uint16_t port_id)
{
	struct rte_eth_fc_conf conf = {0};
	int result = rte_eth_dev_flow_ctrl_get(port_id, &conf);

	if (result == -ENOTSUP)
		return true;
	if (result != 0)
		return false;
	conf.mode = RTE_ETH_FC_NONE;
	conf.autoneg = 0;
	conf.mac_ctrl_frame_fwd = 0;
	if (rte_eth_dev_flow_ctrl_set(port_id, &conf) != 0)
		return false;
	return rte_eth_dev_flow_ctrl_get(port_id, &conf) == 0 && conf.mode == RTE_ETH_FC_NONE;
}

static void
wait_for_link(const struct weir_port *port)
{
	uint32_t speed_mbit_s;

	for (uint32_t us = 0; us < LINK_WAIT_US; us += LINK_STEP_US) {
		if (weir_port_link(port, &speed_mbit_s))
			return;
		usleep(LINK_STEP_US);
	}
}

static int
start_device(struct weir_port *port)
{
	int result = rte_eth_dev_start(port->port_id);

	if (result != 0)
		return result;
	port->started = true;
	port->promiscuous = rte_eth_promiscuous_enable(port->port_id) == 0 &&
	                    rte_eth_promiscuous_get(port->port_id) == 1;
	port->flow_control_off = turn_flow_control_off(port->port_id);
	return 0;
}

static int
start_anew(struct weir_port *port, char *error, size_t error_size)
{
	struct rte_eth_dev_info info;
	int result = rte_eth_dev_info_get(port->port_id, &info);

	if (result != 0)
		return fail(port, result, error, error_size, "device %s tells nothing: %s",
		            port->config.device, reason(result));
	port->interface = info.if_index;
	result = count_queues(port, &info, error, error_size);
	if (result == 0)
		result = configure(port, &info, error, error_size);
	if (result == 0)
		result = set_up_queues(port, &info, error, error_size);
	if (result == 0)
		result = set_mtu(port, &info, error, error_size);
	if (result != 0)
		return result;
	result = start_device(port);
	if (result != 0)
		return fail(port, result, error, error_size, "device %s does not start: %s",
		            port->config.device, reason(result));
	port->rss_symmetric = rss_is_symmetric(port, &info);
	port->completions = weir_port_completions(port);
	return 0;
}

int
weir_port_start(struct weir_port *port, char *error, size_t error_size)
{
	int result;

	assert(port->pool != NULL && port->attached && !port->started);
	result = start_anew(port, error, error_size);
	if (result == 0)
		wait_for_link(port);
	return result;
}

/* Gives a stopped device back. Its pool stays. */
static void
detach(struct weir_port *port)
{
	weir_port_unlisten(port);
	if (port->attached)
		(void)rte_eth_dev_close(port->port_id);
	if (port->hotplugged)
		weir_port_device_remove(port->config.device);
	port->attached = false;
	port->hotplugged = false;
}

/* Makes a device that was removed once more, under the number that workers know. */
static int
attach_again(struct weir_port *port)
{
	char cause[512];
	uint16_t port_id;
	int result = weir_port_device_probe(port->config.device, &port_id, &port->hotplugged, cause,
	                                    sizeof(cause));

	if (result != 0)
		return result;
	if (port_id != port->port_id) {
		/* The number of another port that is away: its own comes back after it. */
		(void)rte_eth_dev_close(port_id);
		weir_port_device_remove(port->config.device);
		port->hotplugged = false;
		return -EAGAIN;
	}
	port->attached = true;
	return claim(port, cause, sizeof(cause));
}

/* net_af_packet can't open the sockets again that it closes when it stops: made anew instead. */
static int
restart_af_packet(struct weir_port *port)
{
	char cause[512];
	int result;

	detach(port);
	result = attach_again(port);
	if (result == 0)
		result = start_anew(port, cause, sizeof(cause));
	if (result != 0)
		detach(port);
	return result;
}

int
weir_port_restart(struct weir_port *port)
{
	int result = port->interface == 0
	                 ? 0
	                 : weir_port_device_ready(port->config.device, &port->interface);

	if (result == 0 && port->started)
		result = rte_eth_dev_stop(port->port_id);
	if (result != 0)
		return result;
	port->started = false;
	return is_af_packet(port) ? restart_af_packet(port) : start_device(port);
}

void
weir_port_cut(const struct weir_port *port)
{
	/* What it does not do, the stop does. */
	if (port->started)
		(void)rte_eth_dev_set_link_down(port->port_id);
}

void
weir_port_stop(struct weir_port *port)
{
	if (!port->started)
		return;
	/* A kernel interface would keep it. */
	if (port->promiscuous)
		(void)rte_eth_promiscuous_disable(port->port_id);
	(void)rte_eth_dev_stop(port->port_id);
	port->started = false;
}

void
weir_port_close(struct weir_port *port)
{
	assert(!port->started);
	detach(port);
	rte_mempool_free(port->pool);
	port->pool = NULL;
}
