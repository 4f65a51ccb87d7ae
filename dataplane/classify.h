/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules, compiled: from a frame's key to a class slot. Three rte_acl contexts (IPv4, IPv6,
 * everything else), so that the cost of a frame is bounded whatever the rules and the frame are.
 * The first rule that matches wins; no match is a drop.
 */
#ifndef WEIR_DATAPLANE_CLASSIFY_H
#define WEIR_DATAPLANE_CLASSIFY_H

#include "dataplane/frame.h"

#define WEIR_ANY        UINT32_MAX /* in a rule: this field is not looked at */
#define WEIR_CLASS_NONE UINT32_MAX /* verdict: no rule matched */

struct weir_prefix {
	uint8_t family;      /* WEIR_FAMILY_IP4 or _IP6; WEIR_FAMILY_L2: any address */
	uint8_t length;      /* 0 to 32 or 128 bits */
	uint8_t address[16]; /* network byte order, bits behind the prefix are zero */
};

/* One rule, in order of precedence. Built by the control thread from the policy. */
struct weir_rule {
	uint32_t link;      /* index, or WEIR_ANY */
	uint32_t ethertype; /* 0x0600 to 0xffff; 0: LLC length; or WEIR_ANY */
	uint32_t vlan;      /* 0 to 4095, WEIR_VLAN_NONE, or WEIR_ANY */
	uint32_t protocol;  /* 0 to 255, or WEIR_ANY */
	struct weir_prefix source;
	struct weir_prefix destination;
	/* Inclusive. 0 to 65535 means any, and then frames without ports match too. */
	uint16_t source_port_low, source_port_high;
	uint16_t destination_port_low, destination_port_high;
	uint32_t class_slot;
};

struct weir_classifier;

/*
 * Compiles rules. name must be unique in the process. node: NUMA node for the tables.
 * error gets one line on failure. Returns 0, -ENOMEM (table space), or -EINVAL (a rule that no
 * table can hold: the caller validated less than it should). Control thread.
 */
int weir_classifier_new(const char *name, const struct weir_rule *rules, uint32_t n_rules, int node,
                        struct weir_classifier **classifier, char *error, size_t error_size)
    __attribute__((warn_unused_result));

void weir_classifier_free(struct weir_classifier *classifier);

/*
 * Classifies up to 32 frames of one link. slots[i] gets the class slot or WEIR_CLASS_NONE. Worker.
 */
void weir_classify(const struct weir_classifier *classifier, uint32_t link,
                   const struct weir_key *keys, uint32_t n, uint32_t *slots);

#endif
