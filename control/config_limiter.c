/* SPDX-License-Identifier: BSD-3-Clause */
/* What a policy says about the limits in the NICs' own send queues. */
#include "control/config.h"
#include "control/config_build.h"
#include "control/quantity.h"
#include "drivers/limiter.h"

#include <errno.h>
#include <netinet/ether.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

#define DEDICATED_MAX   (WEIR_TX_QUEUES_MAX - 1) /* queue 0 of a port is never limited */
#define TEST_LEAST_NS   WEIR_NS_PER_S
#define TEST_MOST_NS    (60 * WEIR_NS_PER_S)
#define TEST_DEFAULT_NS (2 * WEIR_NS_PER_S)
#define TEST_BURSTS     2U /* that have to pass in a test: one to fill the bucket, one to leave */

/* One of the keys that only an outside port has. */
static int
get_key(struct weir_config_build *build, struct weir_config_at at, const char *text,
        const struct weir_config_word *words, bool outside, uint32_t *value)
{
	if (text == NULL)
		return 0;
	if (!outside)
		return weir_config_refuse(build->report, &at, text,
		                          "this key only at the outside port of a link");
	return weir_config_get_word(build->report, at, text, words, value);
}

/* A test's key. */
static struct weir_config_at
test_at(uint32_t port, const char *key)
{
	struct weir_config_at at = weir_config_at("ports", port, "limiter_test");

	at.item_key = key;
	return at;
}

/* One spelling: six pairs of digits. */
static bool
is_mac(const char *text)
{
	for (uint32_t i = 0; i < RTE_ETHER_ADDR_FMT_SIZE - 1; i++) {
		char c = text[i];
		bool digit =
		    (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		if (i % 3 == 2 ? c != ':' : !digit)
			return false;
	}
	return text[RTE_ETHER_ADDR_FMT_SIZE - 1] == '\0';
}

static int
get_destination(struct weir_config_build *build, uint32_t index, const char *text,
                uint8_t destination[WEIR_MAC_BYTES])
{
	struct weir_config_at at = test_at(index, "destination");
	struct rte_ether_addr mac;

	/* Not by DPDK: weirctl reads policies where there is none. */
	if (!is_mac(text) || ether_aton_r(text, (struct ether_addr *)&mac) == NULL ||
	    !rte_is_valid_assigned_ether_addr(&mac))
		return weir_config_refuse(build->report, &at, text,
		                          "the MAC address of one device, as 02:00:00:00:00:01");
	memcpy(destination, mac.addr_bytes, WEIR_MAC_BYTES);
	return 0;
}

static int
build_test(struct weir_config_build *build, uint32_t index, bool outside)
{
	const struct weir_raw_limiter_test *raw = build->raw->ports[index].limiter_test;
	struct weir_port_config *port = &build->config->ports[index];
	struct weir_config_at at = weir_config_at("ports", index, "limiter_test");
	int rc;

	if (raw == NULL)
		return 0;
	if (!outside)
		return weir_config_refuse(build->report, &at, raw->destination,
		                          "this key only at the outside port of a link");
	if (port->limiter == WEIR_LIMITER_SOFT)
		return weir_config_refuse(build->report, &at, raw->destination,
		                          "no test where limiter is soft");
	rc = get_destination(build, index, raw->destination, port->limiter_test_destination);
	port->limiter_test_ns = TEST_DEFAULT_NS;
	if (rc == 0 && raw->time != NULL)
		rc = weir_config_get_duration(build->report, test_at(index, "time"), raw->time,
		                              TEST_LEAST_NS, TEST_MOST_NS, &port->limiter_test_ns);
	return rc;
}

static int
build_limiter(struct weir_config_build *build, uint32_t index, bool outside)
{
	const struct weir_raw_port *raw = &build->raw->ports[index];
	struct weir_port_config *port = &build->config->ports[index];
	struct weir_config_at at = weir_config_at("ports", index, "limiter_required");
	uint32_t limiter = WEIR_LIMITER_AUTO, required = 0;
	int rc = get_key(build, weir_config_at("ports", index, "limiter"), raw->limiter,
	                 weir_config_limiters, outside, &limiter);

	if (rc == 0)
		rc = get_key(build, at, raw->limiter_required, weir_config_booleans, outside,
		             &required);
	if (rc == 0 && required == 1 && limiter == WEIR_LIMITER_SOFT)
		rc = weir_config_refuse(build->report, &at, raw->limiter_required,
		                        "false where limiter is soft");
	port->limiter = (enum weir_limiter_kind)limiter;
	port->limiter_required = required == 1;
	return rc;
}

int
weir_config_build_limiters(struct weir_config_build *build)
{
	const struct weir_config *config = build->config;
	bool outside[WEIR_PORTS_MAX] = {false};
	int rc = 0;

	for (uint32_t i = 0; i < config->n_links; i++)
		outside[config->links[i].outside] = true;
	for (uint32_t i = 0; rc == 0 && i < config->n_ports; i++)
		rc = build_limiter(build, i, outside[i]);
	for (uint32_t i = 0; rc == 0 && i < config->n_ports; i++)
		rc = build_test(build, i, outside[i]);
	return rc;
}

/*
 * Where a port is used only after its limits were tested, a test must be able to tell: of a NIC
 * that is twice too fast half a burst is too much, and the most exact one may save up as much as
 * stands here (hardware_change.c).
 */
static int
check_testable(struct weir_config_build *build, uint32_t port, uint32_t index)
{
	const struct weir_config_class *class = &build->config->classes[index];
	const struct weir_port_config *outside = &build->config->ports[port];
	struct weir_config_at at = weir_config_at("classes", index, "burst");
	uint64_t least =
	    2 * (WEIR_LIMITER_SAVED_BYTES + 2 * (uint64_t)weir_config_largest_frame(build->config));
	weir_u128 least_ns =
	    (weir_u128)TEST_BURSTS * class->burst_bytes * 8 * WEIR_NS_PER_S / class->rate_bit_s;
	char text[WEIR_QUANTITY_SIZE], time[WEIR_QUANTITY_SIZE];

	if (class->burst_bytes < least)
		return weir_config_refuse(build->report, &at, build->raw->classes[index].burst,
		                          "at least %s: of less, port %s's limiter_test can't tell",
		                          weir_quantity_print_bytes(least, text), outside->name);
	if (outside->limiter_test_ns >= least_ns)
		return 0;
	at = test_at(port, "time");
	weir_quantity_print_duration(outside->limiter_test_ns, time);
	if (least_ns > TEST_MOST_NS)
		return weir_config_refuse(build->report, &at, time,
		                          "a burst of class %s that its rate fills in 30 s",
		                          class->name);
	/* In whole milliseconds, up: a second's billionths help nobody. */
	least_ns = (least_ns / WEIR_NS_PER_MS + 1) * WEIR_NS_PER_MS;
	return weir_config_refuse(
	    build->report, &at, time, "at least %s, for the burst of class %s",
	    weir_quantity_print_duration((uint64_t)least_ns, text), class->name);
}

static int
check_tests(struct weir_config_build *build, uint32_t link, const bool *used)
{
	const struct weir_config *config = build->config;
	uint32_t port = config->links[link].outside;
	int rc = 0;

	if (config->ports[port].limiter_test_ns == 0 || !config->ports[port].limiter_required)
		return 0;
	for (uint32_t i = 0; rc == 0 && i < config->n_classes; i++)
		if (used[i])
			rc = check_testable(build, port, i);
	return rc;
}

/* Counts those of a link's classes that want a queue. used: which classes rules send that way. */
static int
check_link(struct weir_config_build *build, uint32_t link, bool *used)
{
	const struct weir_config *config = build->config;
	uint32_t n = 0;

	for (uint32_t i = 0; i < config->n_classes; i++)
		used[i] = false;
	for (uint32_t i = 0; i < config->n_rules; i++)
		if (config->rules[i].link == WEIR_ANY || config->rules[i].link == link)
			used[config->rules[i].class_slot] = true;
	for (uint32_t i = 0; i < config->n_classes; i++) {
		struct weir_config_at at = weir_config_at("classes", i, "queue");

		n += used[i] && config->classes[i].dedicated;
		if (n > DEDICATED_MAX)
			return weir_config_refuse(build->report, &at, build->raw->classes[i].queue,
			                          "at most %u such classes on link %s, or limiter: "
			                          "soft at its outside port",
			                          DEDICATED_MAX, config->links[link].name);
	}
	return check_tests(build, link, used);
}

int
weir_config_check_queues(struct weir_config_build *build)
{
	const struct weir_config *config = build->config;
	bool *used = calloc(config->n_classes, sizeof(*used));
	int rc = 0;

	if (used == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < config->n_links; i++)
		if (config->ports[config->links[i].outside].limiter != WEIR_LIMITER_SOFT)
			rc = check_link(build, i, used);
	free(used);
	return rc;
}
