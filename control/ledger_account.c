/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_account.h"

#include <string.h>

#define PACE_SHIFT   3U /* weight of one tick in the moving average: 1/8 */
#define TARGET_SHIFT 4U /* a target that is too large shrinks by 1/16 a tick */

void
weir_account_set_ceiling(struct weir_account *account)
{
	uint64_t ceiling = UINT64_MAX;

	for (uint32_t i = 0; i < account->n_caps; i++) {
		const struct weir_account_cap *cap = &account->caps[i];
		uint64_t top = cap->limit_bytes;

		if (cap->window != NULL) {
			/* What lies before the window; used is a part of spent. */
			uint64_t before = account->budget->spent_bytes - cap->window->used_bytes;

			top = weir_sat_add(before, cap->limit_bytes);
		}
		if (top < ceiling)
			ceiling = top;
	}
	account->ceiling_bytes = ceiling;
}

bool
weir_account_roll(struct weir_account *account, uint64_t clock_ns)
{
	bool moved = false;

	if (clock_ns < account->next_roll_ns)
		return false;
	account->next_roll_ns = UINT64_MAX;
	for (uint32_t i = 0; i < account->budget->n_windows; i++) {
		struct weir_window *window = account->budget->windows[i];
		uint64_t next;

		moved |= weir_window_roll(window, clock_ns);
		next = weir_window_next_ns(window);
		if (next < account->next_roll_ns)
			account->next_roll_ns = next;
	}
	weir_account_set_ceiling(account);
	return moved;
}

void
weir_account_stamp(struct weir_account *account, uint64_t bytes)
{
	struct weir_ledger_budget *budget = account->budget;

	assert(budget->spent_bytes <= UINT64_MAX - bytes);
	budget->spent_bytes += bytes;
	for (uint32_t i = 0; i < budget->n_windows; i++)
		weir_window_add(budget->windows[i], bytes);
}

void
weir_account_read(struct weir_account *account, uint64_t reading_bytes)
{
	uint64_t stamped = account->budget->spent_bytes;

	assert(account->reading_bytes >= stamped);
	assert(reading_bytes >= account->reading_bytes);
	/* Sent <= taken <= durable: were it otherwise, nothing here could be trusted any more. */
	assert(reading_bytes <= account->grant->grant_bytes);
	if (account->reading_bytes > stamped)
		weir_account_stamp(account, account->reading_bytes - stamped);
	account->used_bytes = reading_bytes - account->reading_bytes;
	account->reading_bytes = reading_bytes;
}

/* bytes x horizon / step, at most the largest grant. */
static uint64_t
bytes_a_horizon(uint64_t bytes, uint64_t step_ns, const struct weir_account_sizing *sizing)
{
	weir_u128 scaled = (weir_u128)bytes * sizing->horizon_ns / step_ns;

	return scaled > sizing->grant_max_bytes ? sizing->grant_max_bytes : (uint64_t)scaled;
}

/* Most that the classes can use in so long, at most the largest grant. Rounds up. */
static uint64_t
usable_bytes(const struct weir_account *account, uint64_t time_ns,
             const struct weir_account_sizing *sizing)
{
	const weir_u128 bit_ns = (weir_u128)8 * WEIR_NS_PER_S;
	weir_u128 usable = ((weir_u128)account->rate_bit_s * time_ns + bit_ns - 1) / bit_ns;

	usable += account->burst_bytes;
	return usable > sizing->grant_max_bytes ? sizing->grant_max_bytes : (uint64_t)usable;
}

/* The least target; need_bytes: the greatest. */
static uint64_t
floor_bytes(const struct weir_account *account, uint64_t need_bytes,
            const struct weir_account_sizing *sizing)
{
	uint64_t floor = usable_bytes(account, sizing->lag_ns, sizing);

	if (floor < sizing->grant_min_bytes)
		floor = sizing->grant_min_bytes;
	return floor < need_bytes ? floor : need_bytes;
}

void
weir_account_begin(struct weir_account *account, const struct weir_account_sizing *sizing)
{
	uint64_t need = usable_bytes(account, sizing->horizon_ns, sizing);

	account->target_bytes = floor_bytes(account, need, sizing);
}

static uint64_t
left_bytes(const struct weir_account *account)
{
	uint64_t top = account->grant->grant_bytes;

	if (account->ceiling_bytes < top)
		top = account->ceiling_bytes;
	return weir_sat_sub(top, account->reading_bytes);
}

void
weir_account_pace(struct weir_account *account, uint64_t step_ns,
                  const struct weir_account_sizing *sizing)
{
	uint64_t need = usable_bytes(account, sizing->horizon_ns, sizing);
	uint64_t goal = floor_bytes(account, need, sizing);

	if (step_ns == 0)
		return;
	account->pace_bytes -= account->pace_bytes >> PACE_SHIFT;
	account->pace_bytes += bytes_a_horizon(account->used_bytes, step_ns, sizing) >> PACE_SHIFT;
	if (goal < account->pace_bytes)
		goal = account->pace_bytes < need ? account->pace_bytes : need;
	if (account->used_bytes > 0 && left_bytes(account) < account->used_bytes &&
	    account->grant->grant_bytes < account->ceiling_bytes) {
		/* Dry before the next tick: the use that was measured may be what was granted. */
		uint64_t twice = weir_sat_add(account->target_bytes, account->target_bytes);

		if (goal < twice)
			goal = twice;
		account->target_bytes = goal < need ? goal : need;
	} else if (account->target_bytes > goal) {
		account->target_bytes -= (account->target_bytes - goal) >> TARGET_SHIFT;
	} else {
		account->target_bytes = goal;
	}
}

/* Where the grant should be. */
static uint64_t
wanted_bytes(const struct weir_account *account)
{
	uint64_t want = weir_sat_add(account->reading_bytes, account->target_bytes);

	if (want > account->ceiling_bytes)
		want = account->ceiling_bytes;
	return want < account->top_bytes ? want : account->top_bytes;
}

bool
weir_account_is_short(const struct weir_account *account)
{
	return left_bytes(account) < account->target_bytes / 2 &&
	       wanted_bytes(account) > account->grant->grant_bytes;
}

struct weir_ledger_grant
weir_account_next(const struct weir_account *account)
{
	struct weir_ledger_grant next = *account->grant;
	uint64_t want = wanted_bytes(account);
	uint64_t margin = weir_sat_add(account->target_bytes, account->target_bytes);
	uint64_t bound;

	next.spent_bytes = account->reading_bytes;
	if (!account->in_policy) {
		next.bound_bytes = next.grant_bytes;
		return next;
	}
	if (want > next.grant_bytes &&
	    left_bytes(account) < account->target_bytes - account->target_bytes / 4)
		next.grant_bytes = want < next.bound_bytes ? want : next.bound_bytes;
	bound = weir_sat_add(next.grant_bytes, margin);
	if (bound > account->ceiling_bytes)
		bound = account->ceiling_bytes;
	next.bound_bytes = bound > next.grant_bytes ? bound : next.grant_bytes;
	return next;
}

void
weir_account_cover(struct weir_ledger_grant *next, uint64_t spare_bytes)
{
	uint64_t covered = weir_sat_add(next->grant_bytes, spare_bytes);

	if (next->bound_bytes < covered)
		next->bound_bytes = covered;
}

struct weir_window *
weir_account_window(const struct weir_account *account, uint64_t window_ns)
{
	for (uint32_t i = 0; i < account->budget->n_windows; i++)
		if (account->budget->windows[i]->window_ns == window_ns)
			return account->budget->windows[i];
	return NULL;
}

static bool
is_used(const struct weir_config_budget *config, uint64_t window_ns)
{
	for (uint32_t i = 0; i < config->n_caps; i++)
		if (config->caps[i].window_ns == window_ns)
			return true;
	return false;
}

struct weir_window *
weir_account_add_window(struct weir_account *account, struct weir_window *window,
                        uint64_t window_ns, const struct weir_config_budget *config,
                        uint64_t clock_ns)
{
	struct weir_ledger_budget *budget = account->budget;
	struct weir_window *replaced = NULL;
	uint32_t place = budget->n_windows;

	weir_window_init(window, window_ns, clock_ns);
	weir_window_seed(window, budget->windows, budget->n_windows, budget->spent_bytes);
	account->next_roll_ns = 0;
	if (budget->n_windows < WEIR_CAPS_MAX) {
		budget->windows[budget->n_windows++] = window;
		return NULL;
	}
	for (uint32_t i = 0; i < budget->n_windows; i++) {
		struct weir_window *old = budget->windows[i];

		if (!is_used(config, old->window_ns) &&
		    (replaced == NULL || old->window_ns < replaced->window_ns)) {
			replaced = old;
			place = i;
		}
	}
	assert(replaced != NULL); /* a policy has no more caps than there are places */
	budget->windows[place] = window;
	return replaced;
}

void
weir_account_status(const struct weir_account *account, struct weir_ledger_budget_status *status)
{
	uint64_t pending = account->reading_bytes - account->budget->spent_bytes;

	memset(status, 0, sizeof(*status));
	status->charged_bytes = account->reading_bytes;
	status->granted_bytes = account->grant->grant_bytes;
	status->forfeited_bytes = account->budget->forfeited_bytes;
	status->forfeited_last_bytes = account->forfeited_bytes;
	status->n_caps = account->n_caps;
	for (uint32_t i = 0; i < account->n_caps; i++) {
		const struct weir_account_cap *cap = &account->caps[i];
		struct weir_ledger_cap_status *out = &status->caps[i];

		out->limit_bytes = cap->limit_bytes;
		if (cap->window != NULL) {
			out->window_ns = cap->window->window_ns;
			out->used_bytes = weir_sat_add(cap->window->used_bytes, pending);
		} else {
			out->used_bytes = account->reading_bytes;
		}
		out->remaining_bytes = weir_sat_sub(out->limit_bytes, out->used_bytes);
	}
}
