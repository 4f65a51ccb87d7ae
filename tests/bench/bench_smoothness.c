/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How evenly one class's frames leave: by the software pacer alone, and by a limit in the NIC, of
 * which a model stands in. On the whole path, in simulated time, so that no other work of this
 * machine shows. The class begins with a full bucket and has frames to send at all times from then
 * on: what it may send at once waits in the NIC, where that limits.
 */
#include "tests/nic/hardware_sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES       1000U /* that are measured at least */
#define FILL_NS      (25 * WEIR_NS_PER_MS)
#define WARM_UP_NS   (20 * WEIR_NS_PER_MS)
#define STEP_NS      (100 * WEIR_NS_PER_MS)
#define STEPS_MAX    20U
#define LINE_MBIT_S  10000U
#define FULL         (WEIR_HWSIM_MTU + 14U)
#define BURST        (UINT32_C(1) << 18)
#define BACKLOG      (UINT32_C(1) << 19)
#define ROUND_LEAST  1000U /* ns */
#define ROUND_MOST   3000U
#define HICCUP_NS    UINT64_C(100000)
#define HICCUP_EVERY UINT64_C(2000) /* rounds, about */
#define SEED         1U

struct gaps {
	double last_us, sum, squares, most;
	uint64_t n;
	bool started;
};

static void
on_left(void *arg, uint32_t class, const struct weir_model_frame *frame)
{
	struct gaps *gaps = arg;
	double at_us = (double)frame->left_ns / 1e3 + (double)frame->left_ps / 1e6;
	double gap = at_us - gaps->last_us;

	(void)class;
	if (gaps->started) {
		gaps->n++;
		gaps->sum += gap;
		gaps->squares += gap * gap;
		gaps->most = gap > gaps->most ? gap : gaps->most;
	}
	gaps->last_us = at_us;
	gaps->started = true;
}

static void
run(struct weir_hwsim *sim, uint64_t ns, bool hiccups)
{
	uint64_t end_ns = sim->now_ns + ns;

	while (sim->now_ns < end_ns && sim->error[0] == '\0') {
		bool hiccup = hiccups && weir_random_one_in(&sim->random, HICCUP_EVERY);

		sim->shortest_round_ns = hiccup ? HICCUP_NS : ROUND_LEAST;
		sim->longest_round_ns = hiccup ? HICCUP_NS : ROUND_MOST;
		/* One round. */
		weir_hwsim_run(sim, 1);
	}
}

static bool
measure(const char *limiter, uint32_t percent, bool hiccups, struct gaps *gaps)
{
	static struct weir_hwsim sim;
	struct weir_hwsim_policy policy = {
	    .outside = "model1,family=ixgbe,queues=17,speed=10G",
	    .limiter = limiter,
	    .n_workers = 1,
	    .n_classes = 1,
	};

	policy.classes[0] = (struct weir_hwsim_class){
	    .rate_bit_s = UINT64_C(1000000) * LINE_MBIT_S * percent / 100,
	    .burst_bytes = BURST,
	    .backlog_bytes = BACKLOG,
	};
	weir_hwsim_open(&sim, &policy, SEED);
	/* The bucket fills, by what even the lowest rate takes for that. */
	run(&sim, FILL_NS, false);
	sim.sources[0] = (struct weir_hwsim_source){
	    .rate_bit_s = policy.classes[0].rate_bit_s + policy.classes[0].rate_bit_s / 10,
	    .least = FULL,
	    .most = FULL,
	    .most_due_bytes = BACKLOG,
	};
	/* The queue before it has something to begin with. */
	sim.sources[0].due = (uint64_t)BACKLOG * 8 * WEIR_NS_PER_S;
	run(&sim, WARM_UP_NS, hiccups);
	*gaps = (struct gaps){.n = 0};
	sim.on_left = on_left;
	sim.on_left_arg = gaps;
	for (uint32_t n = 0; n < STEPS_MAX && gaps->n < FRAMES; n++)
		run(&sim, STEP_NS, hiccups);
	sim.on_left = NULL;
	weir_hwsim_close(&sim);
	if (sim.error[0] != '\0')
		fprintf(stderr, "bench: %s\n", sim.error);
	return sim.error[0] == '\0' && gaps->n >= FRAMES;
}

static void
print_cell(const char *name, const struct gaps *gaps, bool last)
{
	double mean = gaps->sum / (double)gaps->n;
	double variance = gaps->squares / (double)gaps->n - mean * mean;

	printf("\"%s\": {\"deviation_us\": %.3f, \"largest_us\": %.3f}%s", name,
	       variance > 0 ? sqrt(variance) : 0, gaps->most, last ? "" : ", ");
}

/* One object of JSON on standard output. With an argument, that row of it alone. */
int
main(int n_arguments, char **arguments)
{
	static const uint32_t percents[] = {1, 5, 10, 25, 50, 75, 90};
	uint32_t only = n_arguments > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 0;
	uint32_t rows = 0;
	static const char *const names[] = {"software", "ixgbe's limiter", "software, hiccups",
	                                    "ixgbe's, hiccups"};
	bool ok = true;

	if (!weir_hwsim_begin())
		return 1;
	printf("{\"frame_bytes\": %u, \"wire_bit_s\": %" PRIu64
	       ", \"round_least_us\": %u, \"round_most_us\": %u,\n"
	       " \"hiccup_us\": %" PRIu64 ", \"hiccup_every_rounds\": %" PRIu64 ", \"rows\": [\n",
	       FULL, UINT64_C(1000000) * LINE_MBIT_S, ROUND_LEAST / 1000, ROUND_MOST / 1000,
	       HICCUP_NS / 1000, HICCUP_EVERY);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]) && ok; i++) {
		struct gaps gaps[4];

		if (only != 0 && percents[i] != only)
			continue;
		for (uint32_t k = 0; k < 4; k++)
			ok = ok &&
			     measure(k % 2 == 0 ? "soft" : "auto", percents[i], k >= 2, &gaps[k]);
		if (!ok)
			break;
		printf("%s  {\"percent\": %" PRIu32 ", \"mean_us\": %.3f, \"gaps\": {",
		       rows++ == 0 ? "" : ",\n", percents[i], gaps[0].sum / (double)gaps[0].n);
		for (uint32_t k = 0; k < 4; k++)
			print_cell(names[k], &gaps[k], k == 3);
		printf("}}");
	}
	printf("\n]}\n");
	weir_hwsim_end();
	return ok ? 0 : 1;
}
