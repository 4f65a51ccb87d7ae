/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan with all that is to be said of it: worked out once, then printed as text or JSON. */
#ifndef WEIR_TOOLS_WEIRCTL_PLAN_REPORT_H
#define WEIR_TOOLS_WEIRCTL_PLAN_REPORT_H

#include "tools/weirctl/command.h"
#include "tools/weirctl/format.h"
#include "tools/weirctl/plan.h"

#define WEIR_PLAN_ATTACKERS_MAX 5U /* 1, 4, 16, 100 times, and the policy's own */

struct weir_plan_attacker {
	double compression;
	uint64_t need_bytes;
};

/* Traffic that people need, and whether the policy has room for it. */
struct weir_plan_traffic {
	bool live;            /* measured, otherwise given */
	uint64_t *bit_s;      /* of each class, in wire bits, what was dropped included */
	uint64_t total_bit_s; /* saturating, as are sums over budgets */
	/* Live: what classes send that the policy doesn't have. */
	uint64_t unknown_bit_s;
	uint32_t n_unknown;
	/* What caps have left, WEIR_CAPS_MAX a budget: all, or live, what the running Weir left. */
	uint64_t *left_bytes;
};

struct weir_plan_report {
	const char *file;
	const struct weir_config *config;
	struct weir_config_asset asset;
	bool assumed; /* the policy states no asset: the defaults */
	struct weir_plan *plan;
	struct weir_plan_attacker attackers[WEIR_PLAN_ATTACKERS_MAX];
	uint32_t n_attackers, own;         /* own: the policy's among them */
	struct weir_plan_traffic *traffic; /* NULL: none was given */
	bool survives;                     /* by the policy's own compression */
	weir_u128 leaves_bytes;            /* can leave before survive has passed */
};

void weir_plan_print(const struct weir_plan_report *report);
json_t *weir_plan_json(const struct weir_plan_report *report);

/* The windows to give largest caps for: a day, and those of the root's caps, in ascending order. */
uint32_t weir_plan_windows(const struct weir_plan_report *report,
                           uint64_t windows_ns[WEIR_CAPS_MAX + 1]);

/* Whether the witness is a file that whoever puts back the ledger's folder puts back with it. */
bool weir_plan_witness_beside(const struct weir_config_appliance *appliance);

/* Sum of the bursts of all classes that rules use. */
uint64_t weir_plan_bursts(const struct weir_plan_report *report);

/*
 * Traffic as options say: given, or asked of a running Weir in two samples. Returns WEIR_EXIT_OK
 * with *traffic NULL where no option asks for it; otherwise the caller frees it with
 * weir_plan_traffic_free. On failure prints the error and returns the exit status.
 */
enum weir_exit weir_plan_traffic_get(const struct weir_options *options,
                                     const struct weir_config *config,
                                     struct weir_plan_traffic **traffic);
void weir_plan_traffic_free(struct weir_plan_traffic *traffic);

/* Sum over the classes that charge a budget. */
uint64_t weir_plan_traffic_bit_s(const struct weir_plan_traffic *traffic,
                                 const struct weir_config *config, uint32_t budget);

/* What steady traffic makes of a cap. */
struct weir_plan_cap_fit {
	uint64_t bit_s;
	/*
	 * Of a window: what counts in it, rounded up; a slot's bytes come back up to 1/64 of the
	 * window late. Of a lifetime: 0.
	 */
	weir_u128 used_bytes;
	uint64_t left_bytes; /* at first */
	/* How long that lasts if nothing comes back, rounded down; UINT64_MAX: for ever. */
	uint64_t lasts_ns;
	bool fits;     /* into the window for ever; a lifetime cap for as long as survive says */
	bool fits_now; /* also at first: what is left of a window lasts till all of it is back */
	/*
	 * If not, it does as long as what the window holds came evenly: it is no more than this
	 * traffic would have made. What came at once in it comes back at once, and may be late.
	 */
	bool fits_if_even;
};

struct weir_plan_cap_fit weir_plan_traffic_fit(const struct weir_plan_report *report,
                                               uint32_t budget, uint32_t cap);

#endif
