/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy file, parsed and checked: names resolved to indices, quantities to plain numbers.
 * YAML by libcyaml; every error is one line "FILE:LINE: KEY: VALUE: what was expected".
 * Control thread and tests.
 */
#ifndef WEIR_CONTROL_CONFIG_H
#define WEIR_CONTROL_CONFIG_H

#include "control/ledger_witness.h"
#include "dataplane/classify.h"
#include "drivers/port.h"

#include <stdio.h>

#define WEIR_PATH_SIZE        108U /* also the longest name of a Unix socket */
#define WEIR_USERS_MAX        16U
#define WEIR_RISK_SIZE        201U       /* longest reason and its terminating zero */
#define WEIR_POLICY_MAX_BYTES (4U << 20) /* of a policy file */

enum weir_huge_pages {
	WEIR_HUGE_AUTO = 0, /* use them when there are enough */
	WEIR_HUGE_REQUIRED,
	WEIR_HUGE_OFF,
};

struct weir_config_appliance {
	char name[WEIR_NAME_SIZE];
	uint32_t workers[WEIR_WORKERS_MAX]; /* lcores that poll */
	uint32_t n_workers;
	uint32_t control_lcore; /* everything that does not poll; not one of workers */
	uint64_t memory_bytes;  /* DPDK's: pools and tables */
	enum weir_huge_pages huge_pages;
	bool allow_remote_numa; /* a worker on another node than its port is no error */
	char ledger[WEIR_PATH_SIZE];
	char ledger_key[WEIR_PATH_SIZE];   /* default: that of the ledger and ".key" */
	uint64_t grant_horizon_ns;         /* default 100 ms; 1 ms to 10 s */
	uint64_t grant_min_bytes;          /* default 1 MB; 10 kB to grant_max */
	uint64_t grant_max_bytes;          /* default 4 GB; to 1 TB */
	enum weir_witness_kind witness;    /* default none */
	char witness_path[WEIR_PATH_SIZE]; /* file: its path; no default. Otherwise empty */
	char witness_tcti[WEIR_PATH_SIZE]; /* tpm: default "device:/dev/tpmrm0". Otherwise empty */
	uint32_t witness_index;       /* tpm: of the NV counter; default 0x01805745. Otherwise 0 */
	uint64_t witness_every_bytes; /* default 100 MB; at least 10 kB */
	uint64_t witness_interval_ns; /* default 2 h; at least 1 min */
	char control_socket[WEIR_PATH_SIZE];
	char read_socket[WEIR_PATH_SIZE]; /* empty: none */
	/* User ids that may use the sockets, besides 0 and Weir's own. Given by name or number. */
	uint32_t control_users[WEIR_USERS_MAX];
	uint32_t n_control_users;
	uint32_t read_users[WEIR_USERS_MAX]; /* control_users may read as well */
	uint32_t n_read_users;
	uint16_t metrics_port;       /* loopback TCP; 0: none */
	uint64_t heartbeat_limit_ns; /* default 2 s */
	uint64_t drain_limit_ns;     /* at a clean stop; default 1 s */
};

struct weir_config_asset {
	char name[WEIR_NAME_SIZE];
	uint64_t weights_bytes;
	double compression; /* the attacker's, at least 1 */
	uint64_t survive_ns;
	char accept_risk[WEIR_RISK_SIZE]; /* why the caps may miss survive; empty: they must not */
};

struct weir_config_link {
	char name[WEIR_NAME_SIZE];
	uint32_t inside; /* index of a port; each port is in one link only */
	uint32_t outside;
};

struct weir_config_cap {
	uint64_t limit_bytes;
	uint64_t window_ns; /* 0: lifetime */
};

struct weir_config_budget {
	char name[WEIR_NAME_SIZE];
	uint32_t parent; /* index, or WEIR_ANY for the one root */
	uint32_t n_caps; /* at least one at the root; at most one lifetime cap */
	struct weir_config_cap caps[WEIR_CAPS_MAX];
};

struct weir_config_class {
	char name[WEIR_NAME_SIZE];
	uint32_t budget;
	uint64_t rate_bit_s;
	uint32_t burst_bytes;   /* more than the largest frame of any port, charged */
	uint32_t backlog_bytes; /* 0 where excess is drop */
	bool dedicated;         /* wants a send queue of its own where a NIC limits queues */
};

struct weir_config {
	struct weir_config_appliance appliance;
	bool has_asset;
	struct weir_config_asset asset;
	uint32_t n_ports, n_links, n_budgets, n_classes, n_rules;
	struct weir_port_config *ports;
	struct weir_config_link *links;
	struct weir_config_budget *budgets;
	struct weir_config_class *classes;
	struct weir_rule *rules; /* class_slot holds the index of the class */
};

/*
 * Parses and checks a policy held in memory. name is how errors call it.
 * error gets one line without a newline. Returns 0; -EINVAL (bad policy); -ENOMEM.
 * On success *config is the caller's: weir_config_free.
 */
int weir_config_parse(const char *name, const char *text, size_t text_bytes,
                      struct weir_config **config, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/*
 * The same for a file, of at most WEIR_POLICY_MAX_BYTES. It must be a regular one: others could
 * keep the reader waiting for ever. Also -ENOENT and other -errno.
 */
int weir_config_load(const char *path, struct weir_config **config, char *error, size_t error_size)
    __attribute__((warn_unused_result));

void weir_config_free(struct weir_config *config);

/* The charge of the largest frame that any port takes, in wire bytes. */
uint32_t weir_config_largest_frame(const struct weir_config *config);

/*
 * Writes the effective policy as YAML, defaults filled in, with explicit units and no loss: parsed
 * again it gives an equal config. *text is the caller's to free(). 0 or -ENOMEM.
 */
int weir_config_print(const struct weir_config *config, char **text)
    __attribute__((warn_unused_result));

/* What a change of policy does to what may leave. */
enum weir_change {
	WEIR_CHANGE_NEUTRAL,
	WEIR_CHANGE_TIGHTENS,
	WEIR_CHANGE_LOOSENS, /* or may loosen: when in doubt, this one */
	WEIR_CHANGE_RESTART, /* can't be done while running: appliance, ports, links */
};

/*
 * Compares two policies and calls each for every difference, in a stable order.
 * used_bytes: of each budget of from, what the fullest of its caps counts as used; NULL: not known.
 * what is one plain line ("class api: rate 200 Mbit/s -> 100 Mbit/s").
 */
void weir_config_diff(const struct weir_config *from, const struct weir_config *to,
                      const uint64_t *used_bytes,
                      void (*each)(void *arg, enum weir_change change, const char *what),
                      void *arg);

#endif
