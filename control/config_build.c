/* SPDX-License-Identifier: BSD-3-Clause */
/* The sections that describe the box: appliance, asset, ports, links. */
#include "control/config_build.h"

#include <rte_config.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MIN_BYTES     (UINT64_C(64) << 20)
#define MEMORY_MAX_BYTES     (UINT64_C(1) << 40)
#define MEMORY_DEFAULT_BYTES (UINT64_C(512) << 20)
#define HEARTBEAT_MIN_NS     (100 * WEIR_NS_PER_MS)
#define HEARTBEAT_MAX_NS     (60 * WEIR_NS_PER_S)
#define DRAIN_MIN_NS         WEIR_NS_PER_MS
#define DRAIN_MAX_NS         (60 * WEIR_NS_PER_S)
#define DAY_NS               (86400 * WEIR_NS_PER_S)
#define SURVIVE_MAX_NS       (36500 * DAY_NS)
#define WEIGHTS_MAX_BYTES    UINT64_C(1000000000000000000)
#define COMPRESSION_MAX      1000000U
#define MTU_DEFAULT          1500U
#define DESCRIPTORS_MIN      64U
#define DESCRIPTORS_MAX      32768U
#define APPLIANCE            "appliance"
#define KEY_SUFFIX           ".key"

int
weir_config_build_names(struct weir_config_build *build, const char *section,
                        struct weir_config_names *names, const void *base, size_t stride,
                        uint32_t n)
{
	struct weir_config_at at, first;
	uint32_t twice;
	const char *name;
	int rc = weir_config_names_make(names, base, stride, n);

	if (rc != 0)
		return rc;
	twice = weir_config_names_duplicate(names);
	if (twice == WEIR_ANY)
		return 0;
	name = names->base + twice * stride;
	at = weir_config_at(section, twice, "name");
	first = weir_config_at(section, weir_config_names_find(names, name), "name");
	return weir_config_refuse(build->report, &at, name,
	                          "a name that nothing else in %s has (line %u has it too)",
	                          section, weir_config_tree_line(build->report->tree, &first));
}

int
weir_config_build_find(struct weir_config_build *build, struct weir_config_at at,
                       const struct weir_config_names *names, const char *kind, const char *text,
                       uint32_t *index)
{
	*index = weir_config_names_find(names, text);
	if (*index != WEIR_ANY)
		return 0;
	return weir_config_refuse(build->report, &at, text, "the name of %s in this file", kind);
}

static struct weir_config_at
item_at(const char *key, uint32_t item)
{
	return (struct weir_config_at){APPLIANCE, -1, key, item, NULL};
}

/* Reads a list of numbers, none of them twice: lcores or users. */
static int
get_list(struct weir_config_build *build, const char *key, char *const *texts, uint32_t n,
         bool users, uint32_t *numbers)
{
	struct weir_config_at at;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		at = item_at(key, i);
		rc = users ? weir_config_get_user(build->report, at, texts[i], &numbers[i])
		           : weir_config_get_integer(build->report, at, texts[i], 0,
		                                     RTE_MAX_LCORE - 1, &numbers[i]);
		if (rc != 0)
			return rc;
		for (uint32_t j = 0; j < i; j++)
			if (numbers[j] == numbers[i])
				return weir_config_refuse(build->report, &at, texts[i],
				                          "%s that is not in the list already",
				                          users ? "a user" : "an lcore");
	}
	return 0;
}

static int
build_lcores(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	struct weir_config_at at = weir_config_at(APPLIANCE, -1, "control_lcore");
	int rc = 0;

	appliance->n_workers = 1;
	appliance->workers[0] = 1;
	if (raw->n_workers > 0) {
		appliance->n_workers = raw->n_workers;
		rc = get_list(build, "workers", raw->workers, raw->n_workers, false,
		              appliance->workers);
	}
	if (rc == 0 && raw->control_lcore != NULL)
		rc = weir_config_get_integer(build->report, at, raw->control_lcore, 0,
		                             RTE_MAX_LCORE - 1, &appliance->control_lcore);
	for (uint32_t i = 0; rc == 0 && i < appliance->n_workers; i++)
		if (appliance->workers[i] == appliance->control_lcore)
			rc = weir_config_refuse(build->report, &at,
			                        raw->control_lcore != NULL ? raw->control_lcore
			                                                   : "0 (default)",
			                        "an lcore that is not one of workers");
	return rc;
}

/* The key lies beside the ledger, unless the policy says where. */
static int
default_key(struct weir_config_build *build)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	struct weir_config_at at = weir_config_at(APPLIANCE, -1, "ledger_key");
	size_t length = strlen(appliance->ledger);

	if (length + sizeof(KEY_SUFFIX) > sizeof(appliance->ledger_key))
		return weir_config_refuse(build->report, &at, NULL,
		                          "this key where ledger has more than %zu characters",
		                          sizeof(appliance->ledger_key) - sizeof(KEY_SUFFIX));
	memcpy(appliance->ledger_key, appliance->ledger, length);
	memcpy(appliance->ledger_key + length, KEY_SUFFIX, sizeof(KEY_SUFFIX));
	return 0;
}

static int
build_paths(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	const struct {
		const char *key, *text;
		char *path;
	} paths[] = {
	    {"ledger", raw->ledger, appliance->ledger},
	    {"ledger_key", raw->ledger_key, appliance->ledger_key},
	    {"witness_path", raw->witness_path, appliance->witness_path},
	    {"control_socket", raw->control_socket, appliance->control_socket},
	    {"read_socket", raw->read_socket, appliance->read_socket},
	};
	struct weir_config_at at;
	int rc;

	snprintf(appliance->ledger, sizeof(appliance->ledger), "/var/lib/weir/ledger");
	snprintf(appliance->control_socket, sizeof(appliance->control_socket),
	         "/run/weir/control.sock");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		at = weir_config_at(APPLIANCE, -1, paths[i].key);
		if (paths[i].text != NULL) {
			rc = weir_config_get_path(build->report, at, paths[i].text, paths[i].path);
			if (rc != 0)
				return rc;
		} else if (paths[i].path == appliance->ledger_key) {
			rc = default_key(build);
			if (rc != 0)
				return rc;
		}
		for (size_t j = 0; j < i; j++)
			if (paths[i].path[0] != '\0' && strcmp(paths[i].path, paths[j].path) == 0)
				return weir_config_refuse(build->report, &at, paths[i].path,
				                          "another path than %s", paths[j].key);
	}
	return 0;
}

static int
build_limits(struct weir_config_build *build, const struct weir_raw_appliance *raw)
{
	struct weir_config_appliance *appliance = &build->config->appliance;
	struct weir_config_report *report = build->report;
	uint32_t number = 0;
	int rc = 0;

	appliance->memory_bytes = MEMORY_DEFAULT_BYTES;
	appliance->heartbeat_limit_ns = 2 * WEIR_NS_PER_S;
	appliance->drain_limit_ns = WEIR_NS_PER_S;
	if (raw->memory != NULL)
		rc = weir_config_get_bytes(report, weir_config_at(APPLIANCE, -1, "memory"),
		                           raw->memory, MEMORY_MIN_BYTES, MEMORY_MAX_BYTES,
		                           &appliance->memory_bytes);
	if (rc == 0 && raw->huge_pages != NULL) {
		rc = weir_config_get_word(report, weir_config_at(APPLIANCE, -1, "huge_pages"),
		                          raw->huge_pages, weir_config_huge_pages, &number);
		appliance->huge_pages = (enum weir_huge_pages)number;
	}
	number = 0;
	if (rc == 0 && raw->allow_remote_numa != NULL)
		rc =
		    weir_config_get_word(report, weir_config_at(APPLIANCE, -1, "allow_remote_numa"),
		                         raw->allow_remote_numa, weir_config_booleans, &number);
	appliance->allow_remote_numa = number == 1;
	number = 0;
	if (rc == 0 && raw->metrics_port != NULL)
		rc = weir_config_get_integer(report, weir_config_at(APPLIANCE, -1, "metrics_port"),
		                             raw->metrics_port, 1, UINT16_MAX, &number);
	appliance->metrics_port = (uint16_t)number;
	if (rc == 0 && raw->heartbeat_limit != NULL)
		rc = weir_config_get_duration(
		    report, weir_config_at(APPLIANCE, -1, "heartbeat_limit"), raw->heartbeat_limit,
		    HEARTBEAT_MIN_NS, HEARTBEAT_MAX_NS, &appliance->heartbeat_limit_ns);
	if (rc == 0 && raw->drain_limit != NULL)
		rc = weir_config_get_duration(report, weir_config_at(APPLIANCE, -1, "drain_limit"),
		                              raw->drain_limit, DRAIN_MIN_NS, DRAIN_MAX_NS,
		                              &appliance->drain_limit_ns);
	return rc;
}

int
weir_config_build_appliance(struct weir_config_build *build)
{
	static const struct weir_raw_appliance none = {0};
	const struct weir_raw_appliance *raw = build->raw->appliance;
	struct weir_config_appliance *appliance = &build->config->appliance;
	int rc = 0;

	if (raw == NULL)
		raw = &none;
	snprintf(appliance->name, sizeof(appliance->name), "weir");
	if (raw->name != NULL)
		rc = weir_config_get_name(build->report, weir_config_at(APPLIANCE, -1, "name"),
		                          raw->name, appliance->name);
	if (rc == 0)
		rc = build_lcores(build, raw);
	if (rc == 0)
		rc = build_limits(build, raw);
	if (rc == 0)
		rc = weir_config_build_ledger(build, raw);
	if (rc == 0)
		rc = build_paths(build, raw);
	if (rc == 0)
		rc = get_list(build, "control_users", raw->control_users, raw->n_control_users,
		              true, appliance->control_users);
	if (rc == 0)
		rc = get_list(build, "read_users", raw->read_users, raw->n_read_users, true,
		              appliance->read_users);
	appliance->n_control_users = raw->n_control_users;
	appliance->n_read_users = raw->n_read_users;
	return rc;
}

int
weir_config_build_asset(struct weir_config_build *build)
{
	const struct weir_raw_asset *raw = build->raw->asset;
	struct weir_config_asset *asset = &build->config->asset;
	struct weir_config_report *report = build->report;
	int rc;

	build->config->has_asset = raw != NULL;
	if (raw == NULL)
		return 0;
	rc = weir_config_get_name(report, weir_config_at("asset", -1, "name"), raw->name,
	                          asset->name);
	if (rc == 0)
		rc = weir_config_get_bytes(report, weir_config_at("asset", -1, "weights"),
		                           raw->weights, 1, WEIGHTS_MAX_BYTES,
		                           &asset->weights_bytes);
	if (rc == 0)
		rc = weir_config_get_factor(report, weir_config_at("asset", -1, "compression"),
		                            raw->compression, 1, COMPRESSION_MAX,
		                            &asset->compression);
	if (rc == 0)
		rc = weir_config_get_duration(report, weir_config_at("asset", -1, "survive"),
		                              raw->survive, WEIR_NS_PER_S, SURVIVE_MAX_NS,
		                              &asset->survive_ns);
	if (rc == 0 && raw->accept_risk != NULL)
		rc = weir_config_get_reason(report, weir_config_at("asset", -1, "accept_risk"),
		                            raw->accept_risk, asset->accept_risk);
	return rc;
}

/*
 * What DPDK would take for the same device: the part before the arguments, in lower case, a PCI
 * address with its domain.
 */
static void
device_key(const char *device, char key[WEIR_DEVICE_SIZE + 8])
{
	size_t length = strcspn(device, ","), used = 0;

	if (length == 7 && device[2] == ':' && device[5] == '.') {
		memcpy(key, "0000:", 5);
		used = 5;
	}
	for (size_t i = 0; i < length; i++)
		key[used++] = (char)tolower((unsigned char)device[i]);
	key[used] = '\0';
}

/*
 * The value, up to a comma, of an argument that names what one port only can use: a kernel
 * interface, or a file to write to. NULL for other arguments.
 */
static const char *
exclusive_value(const char *argument)
{
	static const char *const keys[] = {
	    "iface=", "rx_iface=", "rx_iface_in=", "tx_iface=", "tx_pcap=",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t length = strlen(keys[i]);

		if (strncmp(argument, keys[i], length) == 0)
			return strncmp(argument + length, "/dev/", 5) == 0 ? NULL
			                                                   : argument + length;
	}
	return NULL;
}

/* The argument behind this one, or NULL. */
static const char *
next_argument(const char *argument)
{
	argument = strchr(argument, ',');
	return argument == NULL ? NULL : argument + 1;
}

/* The argument of device that names what other names, too; or NULL. */
static const char *
shared_argument(const char *device, const char *other)
{
	const char *mine, *theirs;

	for (mine = next_argument(device); mine != NULL; mine = next_argument(mine)) {
		const char *value = exclusive_value(mine);

		for (theirs = value == NULL ? NULL : next_argument(other); theirs != NULL;
		     theirs = next_argument(theirs)) {
			const char *taken = exclusive_value(theirs);
			size_t length = strcspn(value, ",");

			if (taken != NULL && length > 0 && strcspn(taken, ",") == length &&
			    memcmp(value, taken, length) == 0)
				return mine;
		}
	}
	return NULL;
}

static int
get_device(struct weir_config_build *build, uint32_t index, const char *text)
{
	struct weir_config_at at = weir_config_at("ports", index, "device");
	struct weir_port_config *ports = build->config->ports;
	char key[WEIR_DEVICE_SIZE + 8], other[WEIR_DEVICE_SIZE + 8];
	size_t length = strlen(text);
	const char *shared;

	if (length >= WEIR_DEVICE_SIZE || !isalnum((unsigned char)text[0]) ||
	    strpbrk(text, " \"\\") != NULL)
		return weir_config_refuse(build->report, &at, text,
		                          "a PCI address such as 0000:17:00.0, or a virtual "
		                          "device such as net_af_packet0,iface=veth0");
	/* DPDK's driver unmaps the rings under a worker as soon as the peer has gone. */
	if (strncmp(text, "net_memif", strlen("net_memif")) == 0)
		return weir_config_refuse(build->report, &at, text,
		                          "another device: a peer that leaves a memif would "
		                          "crash Weir");
	memcpy(ports[index].device, text, length + 1);
	device_key(text, key);
	for (uint32_t i = 0; i < index; i++) {
		device_key(ports[i].device, other);
		if (strcmp(key, other) == 0)
			return weir_config_refuse(build->report, &at, text,
			                          "a device that port %s does not use",
			                          ports[i].name);
		shared = shared_argument(text, ports[i].device);
		if (shared != NULL)
			return weir_config_refuse(build->report, &at, text,
			                          "%.*s to name what port %s does not use",
			                          (int)strcspn(shared, "="), shared, ports[i].name);
	}
	return 0;
}

static int
build_port(struct weir_config_build *build, uint32_t index)
{
	const struct weir_raw_port *raw = &build->raw->ports[index];
	struct weir_port_config *port = &build->config->ports[index];
	const struct {
		const char *key, *text;
		uint32_t least, most, *value;
	} numbers[] = {
	    {"mtu", raw->mtu, WEIR_MTU_MIN, WEIR_MTU_MAX, &port->mtu_bytes},
	    {"rx_queues", raw->rx_queues, 1, WEIR_QUEUES_MAX, &port->rx_queues},
	    {"rx_descriptors", raw->rx_descriptors, DESCRIPTORS_MIN, DESCRIPTORS_MAX,
	     &port->rx_descriptors},
	    {"tx_descriptors", raw->tx_descriptors, DESCRIPTORS_MIN, DESCRIPTORS_MAX,
	     &port->tx_descriptors},
	};
	int rc = weir_config_get_name(build->report, weir_config_at("ports", index, "name"),
	                              raw->name, port->name);

	port->mtu_bytes = MTU_DEFAULT;
	port->rx_queues = 1;
	port->tx_queues = build->config->appliance.n_workers;
	if (rc == 0)
		rc = get_device(build, index, raw->device);
	for (size_t i = 0; rc == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].text != NULL)
			rc = weir_config_get_integer(
			    build->report, weir_config_at("ports", index, numbers[i].key),
			    numbers[i].text, numbers[i].least, numbers[i].most, numbers[i].value);
	return rc;
}

int
weir_config_build_ports(struct weir_config_build *build)
{
	struct weir_config *config = build->config;
	int rc = 0;

	config->n_ports = build->raw->n_ports;
	config->ports = calloc(config->n_ports, sizeof(*config->ports));
	if (config->ports == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_ports; i++)
		rc = build_port(build, i);
	if (rc == 0)
		rc = weir_config_build_names(build, "ports", &build->ports, config->ports,
		                             sizeof(*config->ports), config->n_ports);
	return rc;
}

/* Takes a port for one side of a link. user: for each port, one more than the link it is in. */
static int
take_port(struct weir_config_build *build, uint32_t link, const char *side, const char *text,
          uint32_t *user, uint32_t *port)
{
	struct weir_config_at at = weir_config_at("links", link, side), other;
	int rc = weir_config_build_find(build, at, &build->ports, "a port", text, port);

	if (rc != 0)
		return rc;
	if (user[*port] != 0) {
		other = weir_config_at("links", user[*port] - 1, NULL);
		return weir_config_refuse(build->report, &at, text,
		                          "a port that is not in use (the link on line %u has it)",
		                          weir_config_tree_line(build->report->tree, &other));
	}
	user[*port] = link + 1;
	return 0;
}

int
weir_config_build_links(struct weir_config_build *build)
{
	const struct weir_raw_link *raw = build->raw->links;
	struct weir_config *config = build->config;
	uint32_t user[WEIR_PORTS_MAX] = {0};
	struct weir_config_at at;
	int rc = 0;

	config->n_links = build->raw->n_links;
	config->links = calloc(config->n_links, sizeof(*config->links));
	if (config->links == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_links; i++) {
		struct weir_config_link *link = &config->links[i];

		rc = weir_config_get_name(build->report, weir_config_at("links", i, "name"),
		                          raw[i].name, link->name);
		if (rc == 0)
			rc = take_port(build, i, "inside", raw[i].inside, user, &link->inside);
		if (rc == 0)
			rc = take_port(build, i, "outside", raw[i].outside, user, &link->outside);
	}
	for (uint32_t i = 0; rc == 0 && i < config->n_ports; i++) {
		at = weir_config_at("ports", i, "name");
		if (user[i] == 0)
			rc = weir_config_refuse(build->report, &at, config->ports[i].name,
			                        "a link that uses this port");
	}
	if (rc == 0)
		rc = weir_config_build_names(build, "links", &build->links, config->links,
		                             sizeof(*config->links), config->n_links);
	return rc;
}
