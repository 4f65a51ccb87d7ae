/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic that a policy has to have room for: given, or measured. */
#include "control/quantity.h"
#include "tools/weirctl/plan_report.h"
#include "tools/weirctl/status.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
find_class(const struct weir_config *config, const char *name, size_t length)
{
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const char *known = config->classes[i].name;

		if (strlen(known) == length && memcmp(known, name, length) == 0)
			return i;
	}
	return WEIR_ANY;
}

/* Reads "CLASS=200 Mbit/s". Returns 0 or -1 with a line in error. */
static int
parse_traffic(const char *text, const struct weir_config *config, struct weir_plan_traffic *traffic,
              bool *given, struct weir_error *error)
{
	const char *equals = strchr(text, '='), *expected;
	uint32_t class;

	if (equals == NULL || equals == text)
		return weir_error_set(
		    error, -1, "--traffic: %s: expected CLASS=RATE, such as 'api=200 Mbit/s'",
		    text);
	class = find_class(config, text, (size_t)(equals - text));
	if (class == WEIR_ANY)
		return weir_error_set(
		    error, -1, "--traffic: %s: expected the name of a class of the policy", text);
	if (given[class])
		return weir_error_set(error, -1, "--traffic: %s: expected each class once", text);
	given[class] = true;
	if (weir_quantity_parse_rate(equals + 1, &traffic->bit_s[class], &expected) != 0)
		return weir_error_set(error, -1, "--traffic: %s: expected %s", text, expected);
	return 0;
}

static enum weir_exit
take_given(const struct weir_options *options, const struct weir_config *config,
           struct weir_plan_traffic *traffic)
{
	bool *given = calloc(config->n_classes, sizeof(*given));
	struct weir_error error;
	int rc = 0;

	if (given == NULL)
		weir_text_no_memory();
	for (uint32_t i = 0; i < options->n_traffic && rc == 0; i++)
		rc = parse_traffic(options->traffic[i], config, traffic, given, &error);
	free(given);
	return rc == 0 ? WEIR_EXIT_OK : weir_command_fail(options, WEIR_EXIT_USAGE, &error);
}

/* What a class wants: what was sent, and what was dropped because it was too much. */
static uint64_t
wanted_bit_s(const struct weir_class_status *from, const struct weir_class_status *to,
             double seconds)
{
	uint64_t sent = weir_status_rate(from->tx_wire_bytes, to->tx_wire_bytes, seconds);
	uint64_t dropped =
	    weir_status_rate(from->dropped_wire_bytes, to->dropped_wire_bytes, seconds);
	uint64_t sum = weir_sat_add(sent, dropped);

	return sum > UINT64_MAX / 8 ? UINT64_MAX : sum * 8;
}

/* Adds up what all classes wanted between two answers. Returns 0, or -1 with a line in error. */
static int
take_difference(const struct weir_status *from, const struct weir_status *to,
                const struct weir_config *config, struct weir_plan_traffic *traffic,
                struct weir_error *error)
{
	double seconds = weir_status_seconds(from, to);

	if (!(seconds > 0))
		return weir_error_set(error, -1,
		                      "--live: weir was started anew between the two samples");
	for (size_t i = 0; i < to->n_classes; i++) {
		const struct weir_class_status *now = &to->classes[i];
		const struct weir_class_status *before = weir_status_class(from, i, now->name);
		uint32_t class = find_class(config, now->name, strlen(now->name));
		uint64_t bit_s;

		if (before == NULL)
			continue; /* new since the first sample */
		bit_s = wanted_bit_s(before, now, seconds);
		if (class != WEIR_ANY) {
			traffic->bit_s[class] = bit_s;
		} else if (bit_s > 0) {
			traffic->unknown_bit_s = weir_sat_add(traffic->unknown_bit_s, bit_s);
			traffic->n_unknown++;
		}
	}
	return 0;
}

/*
 * What a running budget has used of a cap that may be another one: of the shortest window that is
 * at least as long, or all that was ever charged.
 */
static uint64_t
used_of(const struct weir_budget_status *running, const struct weir_config_cap *cap)
{
	uint64_t used = running->charged_wire_bytes, shortest_ns = UINT64_MAX;

	for (size_t i = 0; i < running->n_caps && cap->window_ns != 0; i++) {
		const struct weir_cap_status *of = &running->caps[i];

		if (of->window_ns >= cap->window_ns && of->window_ns < shortest_ns) {
			shortest_ns = of->window_ns;
			used = of->used_bytes;
		}
	}
	return used;
}

/* A budget that the running Weir does not have begins with nothing charged. */
static void
take_left(const struct weir_status *status, const struct weir_config *config,
          struct weir_plan_traffic *traffic)
{
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];
		const struct weir_budget_status *running =
		    weir_status_budget(status, i, budget->name);

		for (uint32_t k = 0; k < budget->n_caps && running != NULL; k++) {
			uint64_t *left = &traffic->left_bytes[i * WEIR_CAPS_MAX + k];

			*left = weir_sat_sub(*left, used_of(running, &budget->caps[k]));
		}
	}
}

static enum weir_exit
take_live(const struct weir_options *options, const struct weir_config *config,
          struct weir_plan_traffic *traffic)
{
	struct weir_error error;
	struct weir_status *from = weir_status_get(options->socket, &error), *to;
	int rc = -1;

	if (from == NULL)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	weir_command_wait(options->interval_ns);
	to = weir_status_get(options->socket, &error);
	if (to != NULL)
		rc = take_difference(from, to, config, traffic, &error);
	if (rc == 0)
		take_left(to, config, traffic);
	weir_status_free(from);
	weir_status_free(to);
	return rc == 0 ? WEIR_EXIT_OK : weir_command_fail(options, WEIR_EXIT_FAILED, &error);
}

enum weir_exit
weir_plan_traffic_get(const struct weir_options *options, const struct weir_config *config,
                      struct weir_plan_traffic **traffic)
{
	struct weir_plan_traffic *made;
	enum weir_exit status;

	*traffic = NULL;
	if (!options->live && options->n_traffic == 0)
		return WEIR_EXIT_OK;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		weir_text_no_memory();
	made->live = options->live;
	made->bit_s = calloc(config->n_classes, sizeof(*made->bit_s));
	made->left_bytes =
	    calloc((size_t)config->n_budgets * WEIR_CAPS_MAX, sizeof(*made->left_bytes));
	if (made->bit_s == NULL || made->left_bytes == NULL)
		weir_text_no_memory();
	for (uint32_t i = 0; i < config->n_budgets; i++)
		for (uint32_t k = 0; k < config->budgets[i].n_caps; k++)
			made->left_bytes[i * WEIR_CAPS_MAX + k] =
			    config->budgets[i].caps[k].limit_bytes;
	status =
	    options->live ? take_live(options, config, made) : take_given(options, config, made);
	if (status != WEIR_EXIT_OK) {
		weir_plan_traffic_free(made);
		return status;
	}
	for (uint32_t i = 0; i < config->n_classes; i++)
		made->total_bit_s = weir_sat_add(made->total_bit_s, made->bit_s[i]);
	*traffic = made;
	return WEIR_EXIT_OK;
}

void
weir_plan_traffic_free(struct weir_plan_traffic *traffic)
{
	if (traffic == NULL)
		return;
	free(traffic->left_bytes);
	free(traffic->bit_s);
	free(traffic);
}

uint64_t
weir_plan_traffic_bit_s(const struct weir_plan_traffic *traffic, const struct weir_config *config,
                        uint32_t budget)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < config->n_classes; i++) {
		uint32_t at = config->classes[i].budget;

		while (at != WEIR_ANY && at != budget)
			at = config->budgets[at].parent;
		if (at == budget)
			sum = weir_sat_add(sum, traffic->bit_s[i]);
	}
	return sum;
}

/* For how long bytes count in a window, at most. */
static weir_u128
counted_ns(const struct weir_config_cap *cap)
{
	return (weir_u128)cap->window_ns + (cap->window_ns + 63) / 64;
}

static weir_u128
used_bytes(const struct weir_config_cap *cap, uint64_t bit_s)
{
	const weir_u128 unit = 8 * (weir_u128)WEIR_NS_PER_S;

	return (bit_s * counted_ns(cap) + unit - 1) / unit;
}

static uint64_t
lasts_ns(uint64_t bytes, uint64_t bit_s)
{
	weir_u128 ns = (weir_u128)bytes * 8 * WEIR_NS_PER_S;

	if (bit_s == 0)
		return UINT64_MAX;
	ns /= bit_s;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

struct weir_plan_cap_fit
weir_plan_traffic_fit(const struct weir_plan_report *report, uint32_t budget, uint32_t cap)
{
	const struct weir_config_cap *of = &report->config->budgets[budget].caps[cap];
	struct weir_plan_cap_fit fit = {
	    .bit_s = weir_plan_traffic_bit_s(report->traffic, report->config, budget),
	    .left_bytes = report->traffic->left_bytes[budget * WEIR_CAPS_MAX + cap],
	};

	fit.used_bytes = used_bytes(of, fit.bit_s);
	fit.lasts_ns = lasts_ns(fit.left_bytes, fit.bit_s);
	fit.fits = of->window_ns != 0 ? fit.used_bytes <= of->limit_bytes
	                              : fit.lasts_ns >= report->asset.survive_ns;
	fit.fits_now = fit.fits && (of->window_ns == 0 || fit.lasts_ns >= counted_ns(of));
	fit.fits_if_even = fit.fits_now || (fit.fits && fit.left_bytes > 0 &&
	                                    of->limit_bytes - fit.left_bytes <= fit.used_bytes);
	return fit;
}
