/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy file as text: which keys there are, which are optional, how many entries a list may
 * have. One table, libcyaml's schema; it is walked to explain what is wrong with line and key, and
 * then libcyaml loads by it. Every value is still a string: quantities need their units.
 * Part of config.h; nothing else uses it.
 */
#ifndef WEIR_CONTROL_CONFIG_SCHEMA_H
#define WEIR_CONTROL_CONFIG_SCHEMA_H

#include "control/config_tree.h"

/* Optional keys that are not there: NULL, and 0 entries. */
struct weir_raw_appliance {
	char *name, *control_lcore, *memory, *huge_pages, *allow_remote_numa;
	char *ledger, *ledger_key, *grant_horizon, *grant_min, *grant_max;
	char *witness, *witness_path, *witness_tcti, *witness_index, *witness_every;
	char *witness_interval, *control_socket, *read_socket, *metrics_port;
	char *heartbeat_limit, *drain_limit;
	char **workers, **control_users, **read_users;
	uint32_t n_workers, n_control_users, n_read_users;
};

struct weir_raw_asset {
	char *name, *weights, *compression, *survive, *accept_risk;
};

struct weir_raw_limiter_test {
	char *destination, *time;
};

struct weir_raw_port {
	char *name, *device, *mtu, *rx_queues, *rx_descriptors, *tx_descriptors;
	char *limiter, *limiter_required;
	struct weir_raw_limiter_test *limiter_test;
};

struct weir_raw_link {
	char *name, *inside, *outside;
};

struct weir_raw_cap {
	char *limit, *per;
};

struct weir_raw_budget {
	char *name, *parent;
	struct weir_raw_cap *caps;
	uint32_t n_caps;
};

struct weir_raw_class {
	char *name, *budget, *rate, *burst, *excess, *backlog, *queue;
};

struct weir_raw_rule {
	char *link, *ethertype, *vlan, *protocol, *source, *destination;
	char *source_ports, *destination_ports, *class_name;
};

struct weir_raw {
	struct weir_raw_appliance *appliance;
	struct weir_raw_asset *asset;
	struct weir_raw_port *ports;
	struct weir_raw_link *links;
	struct weir_raw_budget *budgets;
	struct weir_raw_class *classes;
	struct weir_raw_rule *rules;
	uint32_t n_ports, n_links, n_budgets, n_classes, n_rules;
};

/*
 * Checks the tree of text against the schema and loads text. Returns 0, -EINVAL (reported) or
 * -ENOMEM. Free *raw with weir_raw_free.
 */
int weir_raw_load(const struct weir_config_tree *tree, const char *text, size_t text_bytes,
                  struct weir_raw **raw, struct weir_config_report *report)
    __attribute__((warn_unused_result));

void weir_raw_free(struct weir_raw *raw);

#endif
