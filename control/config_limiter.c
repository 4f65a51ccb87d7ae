/* SPDX-License-Identifier: BSD-3-Clause */
/* What a policy says about the limits in the NICs' own send queues. */
#include "control/config_build.h"
#include "drivers/limiter.h"

#include <errno.h>
#include <stdlib.h>

#define DEDICATED_MAX (WEIR_TX_QUEUES_MAX - 1) /* queue 0 of a port is never limited */

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
	return 0;
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
