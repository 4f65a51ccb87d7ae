/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config.h"

#include "control/config_build.h"
#include "control/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
build(struct weir_config_build *build)
{
	static int (*const steps[])(struct weir_config_build *) = {
	    weir_config_build_appliance, weir_config_build_asset,    weir_config_build_ports,
	    weir_config_build_links,     weir_config_build_limiters, weir_config_build_budgets,
	    weir_config_check_endurance, weir_config_build_classes,  weir_config_build_rules,
	    weir_config_check_queues,
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		rc = steps[i](build);
	weir_config_names_free(&build->ports);
	weir_config_names_free(&build->links);
	weir_config_names_free(&build->budgets);
	weir_config_names_free(&build->classes);
	return rc;
}

static int
parse(const char *text, size_t text_bytes, struct weir_config_tree *tree,
      struct weir_config_report *report, struct weir_config *config)
{
	struct weir_config_build state = {.report = report, .config = config};
	struct weir_raw *raw = NULL;
	int rc = weir_config_tree_read(tree, text, text_bytes, report);

	if (rc != 0)
		return rc;
	rc = weir_raw_load(tree, text, text_bytes, &raw, report);
	if (rc != 0)
		return rc;
	state.raw = raw;
	rc = build(&state);
	weir_raw_free(raw);
	return rc;
}

int
weir_config_parse(const char *name, const char *text, size_t text_bytes,
                  struct weir_config **config, char *error, size_t error_size)
{
	struct weir_config_tree tree = {0};
	struct weir_config_report report = {
	    .name = name, .tree = &tree, .error = error, .error_size = error_size};
	struct weir_config *made = calloc(1, sizeof(*made));
	int rc;

	assert(error_size > 0);
	error[0] = '\0';
	rc = made == NULL ? -ENOMEM : parse(text, text_bytes, &tree, &report, made);
	weir_config_tree_free(&tree);
	if (rc == 0) {
		*config = made;
		return 0;
	}
	weir_config_free(made);
	if (rc == -ENOMEM)
		snprintf(error, error_size, "%s: out of memory", name);
	return rc;
}

int
weir_config_load(const char *path, struct weir_config **config, char *error, size_t error_size)
{
	char *text = NULL;
	size_t bytes = 0;
	int rc = weir_config_file_read(path, &text, &bytes, error, error_size);

	if (rc != 0)
		return rc;
	rc = weir_config_parse(path, text, bytes, config, error, error_size);
	free(text);
	return rc;
}

uint32_t
weir_config_largest_frame(const struct weir_config *config)
{
	uint32_t mtu_bytes = 0;

	for (uint32_t i = 0; i < config->n_ports; i++)
		if (config->ports[i].mtu_bytes > mtu_bytes)
			mtu_bytes = config->ports[i].mtu_bytes;
	return weir_wire_bytes(weir_frame_max_bytes(mtu_bytes));
}

void
weir_config_free(struct weir_config *config)
{
	if (config == NULL)
		return;
	free(config->ports);
	free(config->links);
	free(config->budgets);
	free(config->classes);
	free(config->rules);
	free(config);
}
