/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan as JSON: exact bytes, whole seconds rounded down. Numbers above 2^63 - 1 become that. */
#include "control/quantity.h"
#include "tools/weirctl/plan_report.h"

#include <stdlib.h>
#include <string.h>

#define HELD_SHOWN 8U /* of the limits that hold a path together, the largest */

static json_t *
number(weir_u128 value)
{
	return weir_command_json(json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static json_t *
seconds(uint64_t ns)
{
	if (ns % WEIR_NS_PER_S == 0)
		return number(ns / WEIR_NS_PER_S);
	return weir_command_json(json_real((double)ns / 1e9));
}

static void
append(json_t *list, json_t *item)
{
	if (json_array_append_new(list, weir_command_json(item)) != 0)
		weir_text_no_memory();
}

static void
set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, weir_command_json(value)) != 0)
		weir_text_no_memory();
}

static json_t *
limit_json(const struct weir_plan_limit *limit)
{
	if (limit->kind == WEIR_PLAN_RATE)
		return json_pack("{s:s, s:s, s:o, s:o}", "kind", "rate", "class", limit->owner,
		                 "rate_bit_s", number(limit->rate_bit_s), "burst_bytes",
		                 number(limit->bytes));
	if (limit->kind == WEIR_PLAN_WINDOW)
		return json_pack("{s:s, s:s, s:o, s:o}", "kind", "window", "budget", limit->owner,
		                 "limit_bytes", number(limit->bytes), "window_s",
		                 seconds(limit->window_ns));
	return json_pack("{s:s, s:s, s:o}", "kind", "lifetime", "budget", limit->owner,
	                 "limit_bytes", number(limit->bytes));
}

/* after_s is null where it is never, or beyond what is counted. */
static json_t *
when_json(const struct weir_plan_attacker *attacker, enum weir_plan_when when, uint64_t t_ns)
{
	return weir_command_json(
	    json_pack("{s:f, s:o, s:b, s:o}", "compression", attacker->compression, "needs_bytes",
	              number(attacker->need_bytes), "never", when == WEIR_PLAN_NEVER, "after_s",
	              when == WEIR_PLAN_AT ? number(t_ns / WEIR_NS_PER_S) : json_null()));
}

static json_t *
held_json(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns, uint32_t *n)
{
	json_t *list = weir_command_json(json_array());
	struct weir_plan_bind *binds;

	*n = weir_plan_binds(plan, path, t_ns, &binds);
	for (uint32_t i = 0; i < *n && i < HELD_SHOWN; i++)
		append(list, limit_json(&binds[i].limit));
	free(binds);
	return list;
}

static json_t *
path_attackers_json(const struct weir_plan_report *report, struct weir_plan_path path)
{
	json_t *list = weir_command_json(json_array());

	for (uint32_t i = 0; i < report->n_attackers; i++) {
		const struct weir_plan_attacker *attacker = &report->attackers[i];
		uint64_t t_ns;
		enum weir_plan_when when =
		    weir_plan_reach(report->plan, path, attacker->need_bytes, &t_ns);
		json_t *item = when_json(attacker, when, t_ns);
		uint32_t n;

		set(item, "survives",
		    json_boolean(when != WEIR_PLAN_AT || t_ns >= report->asset.survive_ns));
		set(item, "held_by",
		    held_json(report->plan, path, weir_plan_held_ns(when, t_ns), &n));
		set(item, "held_by_count", number(n));
		append(list, item);
	}
	return list;
}

static json_t *
path_json(const struct weir_plan_report *report, const char *kind, const char *name,
          struct weir_plan_path path)
{
	return json_pack("{s:s, s:s?, s:o}", "kind", kind, "name", name, "attackers",
	                 path_attackers_json(report, path));
}

static json_t *
paths_json(const struct weir_plan_report *report)
{
	const struct weir_config *config = report->config;
	json_t *list = weir_command_json(json_array());

	append(list, path_json(report, "total", NULL, (struct weir_plan_path){WEIR_PLAN_TOTAL, 0}));
	for (uint32_t i = 0; i < config->n_links; i++)
		append(list, path_json(report, "link", config->links[i].name,
		                       (struct weir_plan_path){WEIR_PLAN_LINK, i}));
	for (uint32_t i = 0; i < config->n_budgets; i++)
		append(list, path_json(report, "budget", config->budgets[i].name,
		                       (struct weir_plan_path){WEIR_PLAN_BUDGET, i}));
	for (uint32_t i = 0; i < config->n_classes; i++)
		append(list, path_json(report, "class", config->classes[i].name,
		                       (struct weir_plan_path){WEIR_PLAN_CLASS, i}));
	return list;
}

static json_t *
limits_json(const struct weir_plan_report *report)
{
	json_t *list = weir_command_json(json_array());

	for (uint32_t i = 0; i < weir_plan_n_limits(report->plan); i++) {
		struct weir_plan_limit limit = weir_plan_limit(report->plan, i);
		json_t *item = weir_command_json(limit_json(&limit));
		json_t *attackers = weir_command_json(json_array());

		for (uint32_t k = 0; k < report->n_attackers; k++) {
			const struct weir_plan_attacker *attacker = &report->attackers[k];
			uint64_t t_ns;
			enum weir_plan_when when =
			    weir_plan_limit_reach(&limit, attacker->need_bytes, &t_ns);

			append(attackers, when_json(attacker, when, t_ns));
		}
		set(item, "attackers", attackers);
		append(list, item);
	}
	return list;
}

static json_t *
largest_json(const struct weir_plan_report *report)
{
	uint64_t windows_ns[WEIR_CAPS_MAX + 1], survive_ns = report->asset.survive_ns;
	uint32_t n = weir_plan_windows(report, windows_ns);
	json_t *list = weir_command_json(json_array());

	for (uint32_t k = 0; k < report->n_attackers; k++) {
		uint64_t need_bytes = report->attackers[k].need_bytes;
		json_t *windows = weir_command_json(json_array());

		for (uint32_t i = 0; i < n; i++)
			append(windows, json_pack("{s:o, s:o}", "window_s", seconds(windows_ns[i]),
			                          "limit_bytes",
			                          number(weir_plan_largest_window(
			                              need_bytes, survive_ns, windows_ns[i]))));
		append(list, json_pack("{s:f, s:o, s:o, s:o}", "compression",
		                       report->attackers[k].compression, "windows", windows,
		                       "lifetime_bytes", number(need_bytes - 1), "rate_bit_s",
		                       number(weir_plan_largest_rate(need_bytes, survive_ns,
		                                                     weir_plan_bursts(report)))));
	}
	return list;
}

static json_t *
cap_traffic_json(const struct weir_plan_report *report, uint32_t budget, uint32_t i)
{
	const struct weir_config_cap *cap = &report->config->budgets[budget].caps[i];
	struct weir_plan_cap_fit fit = weir_plan_traffic_fit(report, budget, i);
	json_t *json = weir_command_json(
	    json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "budget",
	              report->config->budgets[budget].name, "traffic_bit_s", number(fit.bit_s),
	              "limit_bytes", number(cap->limit_bytes), "window_s",
	              cap->window_ns == 0 ? json_null() : seconds(cap->window_ns), "left_bytes",
	              number(fit.left_bytes), "fits", fit.fits, "fits_now", fit.fits_now,
	              "fits_if_even", fit.fits_if_even));

	if (cap->window_ns != 0)
		set(json, "used_bytes", number(fit.used_bytes));
	set(json, "lasts_s",
	    fit.lasts_ns == UINT64_MAX ? json_null() : number(fit.lasts_ns / WEIR_NS_PER_S));
	return json;
}

static json_t *
traffic_json(const struct weir_plan_report *report)
{
	const struct weir_plan_traffic *traffic = report->traffic;
	const struct weir_config *config = report->config;
	json_t *classes = weir_command_json(json_array());
	json_t *caps = weir_command_json(json_array());
	bool fits = true, fits_now = true;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];
		uint64_t bit_s = traffic->bit_s[i], total = traffic->total_bit_s;
		bool used = weir_plan_class_used(report->plan, i);
		bool good = bit_s <= class->rate_bit_s && (used || bit_s == 0);

		fits = fits && good;
		append(classes, json_pack("{s:s, s:o, s:f, s:o, s:b}", "name", class->name,
		                          "traffic_bit_s", number(bit_s), "share",
		                          total == 0 ? 0.0 : (double)bit_s / (double)total,
		                          "rate_bit_s", number(class->rate_bit_s), "fits", good));
	}
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		for (uint32_t k = 0; k < config->budgets[i].n_caps; k++) {
			json_t *cap = cap_traffic_json(report, i, k);

			fits = fits && json_is_true(json_object_get(cap, "fits"));
			fits_now = fits_now && json_is_true(json_object_get(cap, "fits_now"));
			append(caps, cap);
		}
	}
	return json_pack("{s:b, s:o, s:o, s:b, s:b, s:o, s:o}", "live", traffic->live,
	                 "total_bit_s", number(traffic->total_bit_s), "unknown_bit_s",
	                 number(traffic->unknown_bit_s), "fits", fits, "fits_now", fits && fits_now,
	                 "classes", classes, "caps", caps);
}

json_t *
weir_plan_json(const struct weir_plan_report *report)
{
	const struct weir_config_asset *asset = &report->asset;
	const struct weir_plan_attacker *own = &report->attackers[report->own];
	bool accepted = asset->accept_risk[0] != '\0';
	char *file = weir_text_clean(report->file, strlen(report->file), false);
	json_t *asset_json = weir_command_json(
	    json_pack("{s:s, s:o, s:f, s:o, s:s?, s:b}", "name", asset->name, "weights_bytes",
	              number(asset->weights_bytes), "compression", asset->compression, "survive_s",
	              seconds(asset->survive_ns), "accept_risk",
	              accepted ? asset->accept_risk : NULL, "assumed", report->assumed));
	json_t *json = weir_command_json(json_pack(
	    "{s:s, s:s, s:s, s:s, s:b, s:o, s:b, s:o, s:o, s:f}", "kind", "weirctl.plan", "version",
	    WEIR_VERSION, "witness", weir_witness_kind_name(report->config->appliance.witness),
	    "file", file, "ok", report->survives || accepted, "asset", asset_json, "survives",
	    report->survives, "needs_bytes", number(own->need_bytes), "could_leave_bytes",
	    number(report->leaves_bytes), "could_leave_models",
	    (double)report->leaves_bytes / (double)own->need_bytes));

	free(file);
	set(json, "witness_beside_ledger",
	    json_boolean(weir_plan_witness_beside(&report->config->appliance)));
	set(json, "paths", paths_json(report));
	set(json, "limits", limits_json(report));
	set(json, "largest", largest_json(report));
	set(json, "traffic", report->traffic == NULL ? json_null() : traffic_json(report));
	return json;
}
