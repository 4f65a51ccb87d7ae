/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Whether config's root may be the root here. The first one ever keeps index 0: under another name
 * its caps would begin anew.
 */
static int
check_root(const struct weir_ledger *ledger, const struct weir_config *config)
{
	for (uint32_t i = 0; i < config->n_budgets && ledger->n_budgets > 0; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];

		if (budget->parent == WEIR_ANY &&
		    strncmp(budget->name, ledger->budgets[WEIR_LEDGER_ROOT].name, WEIR_NAME_SIZE) !=
		        0)
			return -EPERM;
	}
	return 0;
}

/*
 * The stable index of a budget that is new, after n_new others. In an empty ledger the root comes
 * before those that stand above it in the policy.
 */
static uint32_t
new_id(const struct weir_ledger *ledger, const struct weir_config *config, uint32_t position,
       uint32_t n_new)
{
	uint32_t root = 0;

	if (ledger->n_budgets > 0)
		return ledger->n_budgets + n_new;
	while (root < config->n_budgets && config->budgets[root].parent != WEIR_ANY)
		root++;
	if (position == root)
		return WEIR_LEDGER_ROOT;
	return position < root ? n_new + 1 : n_new;
}

/*
 * Finds the stable index of each budget; new names get the next ones. Changes nothing.
 * n_new gets the number of new names, n_windows that of windows to be made.
 */
static int
resolve(struct weir_ledger *ledger, const struct weir_config *config, uint32_t *ids,
        uint32_t *n_new, uint32_t *n_windows)
{
	*n_new = 0;
	*n_windows = 0;
	if (check_root(ledger, config) != 0)
		return -EPERM;
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		const struct weir_config_budget *budget = &config->budgets[i];
		char name[WEIR_NAME_SIZE];
		ENTRY entry = {.key = name}, *found;
		const struct weir_account *account = NULL;

		assert(budget->n_caps <= WEIR_CAPS_MAX);
		assert(strnlen(budget->name, WEIR_NAME_SIZE) < WEIR_NAME_SIZE);
		memcpy(name, budget->name, sizeof(name));
		if (hsearch_r(entry, FIND, &found, &ledger->names) != 0) {
			account = found->data;
			ids[i] = (uint32_t)(account - ledger->accounts);
		} else if (*n_new == WEIR_BUDGETS_MAX - ledger->n_budgets) {
			return -ENOSPC;
		} else {
			ids[i] = new_id(ledger, config, i, (*n_new)++);
		}
		for (uint32_t k = 0; k < budget->n_caps; k++)
			if (budget->caps[k].window_ns != 0 &&
			    (account == NULL ||
			     weir_account_window(account, budget->caps[k].window_ns) == NULL))
				(*n_windows)++;
	}
	return 0;
}

static void
free_windows(struct weir_window **windows, uint32_t n_windows)
{
	for (uint32_t i = 0; windows != NULL && i < n_windows; i++)
		free(windows[i]);
	free(windows);
}

/* All the memory that a change of policy needs, taken before anything is changed. */
static int
allocate(struct weir_ledger *ledger, uint32_t n_new, uint32_t n_windows,
         struct weir_window ***windows)
{
	size_t bytes = weir_ledger_state_bytes(ledger->budgets, ledger->n_budgets) +
	               (size_t)n_new * WEIR_LEDGER_BUDGET_BYTES +
	               (size_t)n_windows * WEIR_LEDGER_WINDOW_BYTES;
	int rc;

	if (bytes > WEIR_LEDGER_STATE_ROOM)
		bytes = WEIR_LEDGER_STATE_ROOM; /* windows without a place replace others */
	rc = weir_ledger_store_reserve(&ledger->store, bytes);

	*windows = calloc(n_windows + 1UL, sizeof(**windows));
	if (*windows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_windows && rc == 0; i++) {
		(*windows)[i] = malloc(sizeof(struct weir_window));
		if ((*windows)[i] == NULL)
			rc = -ENOMEM;
	}
	return rc;
}

/*
 * Puts one budget's caps in force. spare: where to take windows from, and to put replaced ones;
 * used: how many were taken.
 */
static void
apply_budget(struct weir_ledger *ledger, const struct weir_config_budget *config, uint32_t id,
             struct weir_window **spare, uint32_t *used)
{
	struct weir_account *account = &ledger->accounts[id];

	account->in_policy = true;
	for (uint32_t i = 0; i < config->n_caps; i++) {
		uint64_t window_ns = config->caps[i].window_ns;

		if (window_ns == 0 || weir_account_window(account, window_ns) != NULL)
			continue;
		spare[*used] = weir_account_add_window(account, spare[*used], window_ns, config,
		                                       ledger->clock_ns);
		(*used)++;
	}
	account->n_caps = config->n_caps;
	for (uint32_t i = 0; i < config->n_caps; i++) {
		account->caps[i].limit_bytes = config->caps[i].limit_bytes;
		account->caps[i].window = weir_account_window(account, config->caps[i].window_ns);
	}
	(void)weir_account_roll(account, ledger->clock_ns);
	weir_account_set_ceiling(account);
	if (!account->open) {
		account->open = true;
		account->base_bytes = account->reading_bytes;
		account->base_reading = weir_credit_spent(ledger->credit, id);
		account->published_bytes = account->base_bytes;
		account->published_state = WEIR_CREDIT_OPEN; /* as weir_credit_open leaves it */
		weir_credit_open(ledger->credit, id, account->base_bytes);
	}
}

/* Registers new names, in memory. */
static void
register_names(struct weir_ledger *ledger, const struct weir_config *config, const uint32_t *ids,
               uint32_t n_new)
{
	uint32_t known = ledger->n_budgets;

	for (uint32_t i = 0; i < config->n_budgets; i++) {
		int rc;

		if (ids[i] < known)
			continue;
		assert(ids[i] < known + n_new);
		memcpy(ledger->budgets[ids[i]].name, config->budgets[i].name, WEIR_NAME_SIZE);
		rc = weir_ledger_enter(ledger, ids[i]);
		assert(rc == 0); /* the table has room for all there can be */
		ledger->n_budgets++;
	}
	assert(ledger->n_budgets == known + n_new);
}

/* Budgets of the old policy that are not in the new one: nothing more may be taken of them. */
static void
close_departed(struct weir_ledger *ledger, const uint32_t *ids, uint32_t n_ids)
{
	for (uint32_t i = 0; i < ledger->n_policy; i++)
		ledger->accounts[ledger->policy[i]].in_policy = false;
	for (uint32_t i = 0; i < n_ids; i++)
		ledger->accounts[ids[i]].in_policy = true;
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];

		if (account->in_policy)
			continue;
		weir_ledger_publish(ledger, account,
		                    account->published_bytes < account->reading_bytes
		                        ? account->published_bytes
		                        : account->reading_bytes,
		                    WEIR_CREDIT_CLOSED);
		account->n_caps = 0;
		account->ceiling_bytes = account->grant->grant_bytes;
	}
}

/* How fast each budget can be used: the classes that charge it, to it and all above it. */
static void
add_up_rates(struct weir_ledger *ledger, const struct weir_config *config, const uint32_t *ids)
{
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		ledger->accounts[ids[i]].rate_bit_s = 0;
		ledger->accounts[ids[i]].burst_bytes = 0;
	}
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct weir_config_class *class = &config->classes[i];

		for (uint32_t b = class->budget; b != WEIR_ANY; b = config->budgets[b].parent) {
			struct weir_account *account = &ledger->accounts[ids[b]];

			account->rate_bit_s = weir_sat_add(account->rate_bit_s, class->rate_bit_s);
			account->burst_bytes =
			    weir_sat_add(account->burst_bytes, class->burst_bytes);
		}
	}
}

/*
 * An older copy does not know new names: nothing is granted to them before no such copy will be
 * believed any more.
 */
static void
hold_new(struct weir_ledger *ledger, uint32_t n_new)
{
	struct weir_ledger_witness *witness = &ledger->witness;
	uint64_t value = weir_ledger_witness_stamp(witness) + 1;

	if (ledger->line == NULL || n_new == 0)
		return;
	for (uint32_t id = ledger->n_budgets - n_new; id < ledger->n_budgets; id++) {
		ledger->accounts[id].known_value = value;
		ledger->accounts[id].top_bytes = 0;
	}
	witness->wanted_value = value;
}

/*
 * Advances the witness twice and waits for it: at a start. Copies of an earlier life may bear the
 * next value, whether or not the ledger that was found does: they know nothing of what this life
 * will grant.
 */
static int
confirm_start(struct weir_ledger *ledger)
{
	int rc = 0;

	for (uint32_t i = 0; i < 2 && rc == 0; i++) {
		rc = weir_ledger_ask_witness(ledger);
		if (rc == 0 && (!weir_ledger_hear_witness(ledger, WEIR_WITNESS_START_NS) ||
		                ledger->witness.state != WEIR_WITNESS_IDLE))
			rc = -EREMOTEIO;
	}
	return rc;
}

/*
 * Makes a change durable, and then spendable. The first one of a life also tells the witness.
 * n_new: names that the ledger had not seen before.
 */
static int
write_policy(struct weir_ledger *ledger, bool first, uint32_t n_new)
{
	struct weir_account_sizing sizing;
	int rc = first ? weir_ledger_settle(ledger) : 0;

	if (rc == 0)
		rc = weir_ledger_write_state(ledger);
	sizing = weir_ledger_sizing(ledger);
	for (uint32_t i = 0; i < ledger->n_policy; i++)
		if (ledger->accounts[ledger->policy[i]].target_bytes == 0)
			weir_account_begin(&ledger->accounts[ledger->policy[i]], &sizing);
	if (rc == 0 && first && ledger->line != NULL)
		rc = confirm_start(ledger);
	else if (rc == 0)
		rc = weir_ledger_write_grants(ledger);
	/*
	 * Both slots of GRANTS bear the new epoch, and know of the STATE with new names, before
	 * anything relies on it: were the newest record of each kind lost, the two older ones would
	 * be whole, and nobody would miss a name.
	 */
	if (rc == 0 && (first || n_new > 0) && ledger->line == NULL)
		rc = weir_ledger_write_grants(ledger);
	if (rc == 0)
		weir_ledger_publish_policy(ledger);
	return rc;
}

int
weir_ledger_set_policy(struct weir_ledger *ledger, const struct weir_config *config,
                       uint64_t now_boot_ns, uint32_t *ids)
{
	struct weir_window **spare = NULL;
	uint32_t n_new, n_windows, used = 0;
	bool first = !ledger->started;
	int rc;

	if (ledger->store.error != 0 || ledger->finished)
		return ledger->finished ? -ESHUTDOWN : ledger->store.error;
	rc = resolve(ledger, config, ids, &n_new, &n_windows);
	if (rc == 0)
		rc = allocate(ledger, n_new, n_windows, &spare);
	if (rc != 0) {
		free_windows(spare, n_windows);
		return rc;
	}
	weir_ledger_advance(ledger, now_boot_ns);
	for (uint32_t i = 0; i < ledger->n_policy; i++)
		weir_ledger_observe(ledger, ledger->policy[i]);
	register_names(ledger, config, ids, n_new);
	/* Once each: a second look would stamp the reading of the first one too early. */
	for (uint32_t i = 0; i < config->n_budgets; i++)
		if (!ledger->accounts[ids[i]].in_policy)
			weir_ledger_observe(ledger, ids[i]);
	close_departed(ledger, ids, config->n_budgets);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		apply_budget(ledger, &config->budgets[i], ids[i], spare, &used);
		ledger->policy[i] = ids[i];
	}
	ledger->n_policy = config->n_budgets;
	add_up_rates(ledger, config, ids);
	if (!first)
		hold_new(ledger, n_new);
	ledger->started = true;
	free_windows(spare, n_windows);
	/* Tightened caps are in force from here, before the disk is asked. */
	weir_ledger_publish_policy(ledger);
	return write_policy(ledger, first, n_new);
}
