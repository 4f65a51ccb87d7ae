/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/counters.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *help;
} drops[WEIR_DROPS] = {
    [WEIR_DROP_NONE] = {"none", "not dropped"},
    [WEIR_DROP_RUNT] = {"runt", "shorter than an Ethernet header"},
    [WEIR_DROP_OVERSIZE] = {"oversize", "larger than the MTU of the link's ports"},
    [WEIR_DROP_SEGMENTED] = {"segmented", "in several buffers and not to be joined in one"},
    [WEIR_DROP_VLAN_TRUNCATED] = {"vlan_truncated", "ends within a VLAN tag"},
    [WEIR_DROP_VLAN_DEPTH] = {"vlan_depth", "more than two VLAN tags"},
    [WEIR_DROP_LLC_LENGTH] = {"llc_length", "802.3 length beyond the frame's end, or reserved"},
    [WEIR_DROP_MAC_CONTROL] = {"mac_control",
                               "pause or other MAC control frame: for one wire only"},
    [WEIR_DROP_ARP_MALFORMED] = {"arp_malformed", "ARP cut short or not for IPv4 on Ethernet"},
    [WEIR_DROP_IP_TRUNCATED] = {"ip_truncated", "IP datagram longer than its frame"},
    [WEIR_DROP_IP_MALFORMED] = {"ip_malformed", "IP header that contradicts itself or its frame"},
    [WEIR_DROP_IP6_HEADERS] = {"ip6_headers", "IPv6 extension headers too many or out of order"},
    [WEIR_DROP_L4_TRUNCATED] = {"l4_truncated", "transport header cut short"},
    [WEIR_DROP_L4_MALFORMED] = {"l4_malformed", "transport header that contradicts itself"},
    [WEIR_DROP_NO_RULE] = {"no_rule", "no rule of the policy matched"},
    [WEIR_DROP_RATE] = {"rate", "beyond the rate of a class that does not queue"},
    [WEIR_DROP_BACKLOG] = {"backlog", "the class's queue was at its limit"},
    [WEIR_DROP_CAP] = {"cap", "a budget on the class's path has reached a cap"},
    [WEIR_DROP_CLASS_REMOVED] = {"class_removed", "waited when a new policy removed its class"},
    [WEIR_DROP_LEDGER] = {"ledger", "no durable grant: the ledger has failed or is slow"},
    [WEIR_DROP_CONTROL_STALE] = {"control_stale", "the control thread gave no sign of life"},
    [WEIR_DROP_STOPPING] = {"stopping", "still waited when a clean stop ran out of time"},
    [WEIR_DROP_TX_FULL] = {"tx_full", "the port's transmit queue was full, or was held"},
    [WEIR_DROP_LINK_DOWN] = {"link_down", "the port to send on has no link"},
};

const char *
weir_drop_name(enum weir_drop reason)
{
	assert((unsigned int)reason < WEIR_DROPS);
	return drops[reason].name;
}

const char *
weir_drop_help(enum weir_drop reason)
{
	assert((unsigned int)reason < WEIR_DROPS);
	return drops[reason].help;
}
