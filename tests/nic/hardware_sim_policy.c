/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/nic/hardware_sim.h"

#include <math.h>
#include <string.h>

#define TEXT_SIZE        32768U
#define RATE_LEAST       UINT64_C(1000000)
#define RATE_MOST        UINT64_C(10000000000)
#define BURST_LEAST      (2 * WEIR_HWSIM_WIRE_MAX)
#define BURST_MOST       (UINT32_C(1) << 19)
#define BACKLOG_LEAST    (2 * WEIR_HWSIM_WIRE_MAX)
#define BACKLOG_MOST     (UINT32_C(1) << 19)
#define DEDICATED_MOST   6U
#define FIRST_PORT       1000U
#define ONE_IN_DROPS     4U
#define ONE_IN_DEDICATED 16U
#define ONE_IN_CHANGES   4U
#define ONE_IN_MEMBERS   2U
#define ONE_IN_STAYS_OUT 16U
#define MEMBERS_MOST     8U

uint64_t
weir_hwsim_draw_log(struct weir_random *random, uint64_t least, uint64_t most)
{
	/* The top 53 bits: all that a double holds. */
	double part = (double)(weir_random_next(random) >> 11) / 9007199254740992.0;
	double value = (double)least * pow((double)most / (double)least, part);
	uint64_t drawn = (uint64_t)value;

	return drawn < least ? least : drawn > most ? most : drawn;
}

static void
draw_class(struct weir_hwsim_class *class, struct weir_random *random)
{
	class->rate_bit_s = weir_hwsim_draw_log(random, RATE_LEAST, RATE_MOST);
	class->burst_bytes = (uint32_t)weir_hwsim_draw_log(random, BURST_LEAST, BURST_MOST);
	class->backlog_bytes =
	    weir_random_one_in(random, ONE_IN_DROPS)
	        ? 0
	        : (uint32_t)weir_hwsim_draw_log(random, BACKLOG_LEAST, BACKLOG_MOST);
}

static uint32_t
count_live(const struct weir_hwsim_policy *policy)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < policy->n_classes; i++)
		n += policy->classes[i].gone ? 0 : 1;
	return n;
}

static void
add_class(struct weir_hwsim_policy *policy, struct weir_random *random)
{
	struct weir_hwsim_class *class = &policy->classes[policy->n_classes];
	uint32_t dedicated = 0;

	for (uint32_t i = 0; i < policy->n_classes; i++)
		dedicated += policy->classes[i].dedicated && !policy->classes[i].gone ? 1 : 0;
	*class = (struct weir_hwsim_class){0};
	draw_class(class, random);
	class->dedicated =
	    dedicated < DEDICATED_MOST && weir_random_one_in(random, ONE_IN_DEDICATED);
	policy->n_classes++;
}

void
weir_hwsim_policy_draw(struct weir_hwsim_policy *policy, struct weir_random *random)
{
	policy->n_classes = 0;
	while (policy->n_classes < WEIR_HWSIM_LIVE)
		add_class(policy, random);
}

/* Some leave, and as many join, or fewer. */
static void
change_members(struct weir_hwsim_policy *policy, struct weir_random *random)
{
	uint64_t n = weir_random_between(random, 1, MEMBERS_MOST);

	for (uint64_t k = 0; k < n; k++) {
		uint64_t i = weir_random_below(random, policy->n_classes);

		policy->classes[i].gone = true;
		if (count_live(policy) == 0)
			policy->classes[i].gone = false;
	}
	while (count_live(policy) < WEIR_HWSIM_LIVE && policy->n_classes < WEIR_HWSIM_CLASSES &&
	       !weir_random_one_in(random, ONE_IN_STAYS_OUT))
		add_class(policy, random);
}

void
weir_hwsim_policy_change(struct weir_hwsim_policy *policy, struct weir_random *random)
{
	uint32_t one_in = weir_random_one_in(random, 2) ? 1 : ONE_IN_CHANGES * 4;

	if (weir_random_one_in(random, ONE_IN_MEMBERS))
		change_members(policy, random);
	for (uint32_t i = 0; i < policy->n_classes; i++) {
		struct weir_hwsim_class *class = &policy->classes[i], before = *class;

		if (class->gone || !weir_random_one_in(random, one_in))
			continue;
		draw_class(class, random);
		/* Often only the rate, and by a little. */
		if (weir_random_one_in(random, 2))
			class->burst_bytes = before.burst_bytes;
		if (weir_random_one_in(random, 2))
			class->rate_bit_s = weir_hwsim_draw_log(random, before.rate_bit_s / 2 + 1,
			                                        before.rate_bit_s * 2);
		if (class->rate_bit_s > RATE_MOST)
			class->rate_bit_s = RATE_MOST;
	}
}

static void
print_classes(const struct weir_hwsim_policy *policy, FILE *out)
{
	fputs("classes:\n", out);
	for (uint32_t i = 0; i < policy->n_classes; i++) {
		const struct weir_hwsim_class *class = &policy->classes[i];

		if (class->gone)
			continue;
		fprintf(out,
		        "  - {name: c%" PRIu32 ", budget: total, rate: %" PRIu64
		        " bit/s, burst: %" PRIu32 " B, ",
		        i, class->rate_bit_s, class->burst_bytes);
		if (class->backlog_bytes == 0)
			fputs("excess: drop", out);
		else
			fprintf(out, "backlog: %" PRIu32 " B", class->backlog_bytes);
		fputs(class->dedicated ? ", queue: dedicated}\n" : "}\n", out);
	}
	fputs("rules:\n", out);
	for (uint32_t i = 0; i < policy->n_classes; i++) {
		if (policy->classes[i].gone)
			continue;
		fprintf(out,
		        "  - {protocol: udp, destination_ports: %" PRIu32 ", class: c%" PRIu32
		        "}\n",
		        FIRST_PORT + i, i);
	}
}

struct weir_config *
weir_hwsim_policy_parse(const struct weir_hwsim_policy *policy)
{
	static char text[TEXT_SIZE];
	char error[WEIR_HWSIM_ERROR_SIZE] = "", test[100] = "";
	struct weir_config *config;
	FILE *out = fmemopen(text, sizeof(text), "w");

	if (out == NULL)
		abort();
	if (policy->test_ms > 0)
		snprintf(test, sizeof(test),
		         ", limiter_test: {destination: 02:00:00:00:00:01, time: %" PRIu32 " ms}",
		         policy->test_ms);
	fprintf(out,
	        "appliance: {workers: [%s], control_lcore: 0, memory: 128 MiB, huge_pages: off}\n"
	        "ports:\n"
	        "  - {name: in0, device: \"model0,family=plain,rx_queues=%" PRIu32
	        "\", rx_queues: %" PRIu32 "}\n"
	        "  - {name: out0, device: \"%s\", limiter: %s, limiter_required: %s%s}\n"
	        "links: [{name: up, inside: in0, outside: out0}]\n"
	        "budgets: [{name: total, caps: [{limit: 1 EB}]}]\n",
	        policy->n_workers == 1 ? "1" : "1, 2", policy->n_workers, policy->n_workers,
	        policy->outside, policy->limiter, policy->required ? "true" : "false", test);
	print_classes(policy, out);
	if (fclose(out) != 0 ||
	    weir_config_parse("sim", text, strlen(text), &config, error, sizeof(error)) != 0) {
		printf("%s\n%s", error, text);
		exit(1);
	}
	return config;
}
