/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger.h"

#include "control/ledger_account.h"
#include "control/ledger_recover.h"

#include <errno.h>
#include <search.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_NS      (100 * WEIR_NS_PER_MS)
#define GRANT_MIN_BYTES 1000000ULL
#define GRANT_MAX_BYTES 4000000000ULL

/*
 * STATE is written when a window that holds bytes has moved on to its next slot, but not more often
 * than this. It is needed only to know the times of what was spent, and how far the clock got,
 * after a crash.
 */
#define STATE_INTERVAL_NS WEIR_NS_PER_S

struct weir_ledger {
	struct weir_ledger_store store;
	struct weir_credit *credit;
	struct weir_ledger_tuning tuning;
	uint64_t clock_ns;
	uint64_t boot_ns;        /* the latest time given; meaningless until started */
	uint64_t step_ns;        /* how far the clock went at the last advance */
	uint64_t state_clock_ns; /* of the last STATE */
	bool state_due;          /* a window has moved on since */
	bool started;            /* a policy was set by this process */
	bool finished;
	bool slot_lost;
	uint32_t n_budgets; /* ever named; those in the last durable STATE, outside of set_policy */
	uint32_t n_policy;
	uint32_t policy[WEIR_BUDGETS_MAX]; /* stable indices */
	struct hsearch_data names;         /* name to account; the keys are the budgets' names */
	struct weir_account accounts[WEIR_BUDGETS_MAX];
	struct weir_ledger_budget budgets[WEIR_BUDGETS_MAX];
	struct weir_ledger_grant grants[WEIR_BUDGETS_MAX]; /* as durable */
	struct weir_ledger_grant next[WEIR_BUDGETS_MAX];   /* of the record being made */
};

static uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- opening ---- */

/* Makes an account of a budget with what the ledger's file says of it. */
static int
enter(struct weir_ledger *ledger, uint32_t id)
{
	struct weir_account *account = &ledger->accounts[id];
	ENTRY entry = {.key = ledger->budgets[id].name, .data = account}, *entered;

	account->budget = &ledger->budgets[id];
	account->grant = &ledger->grants[id];
	if (hsearch_r(entry, ENTER, &entered, &ledger->names) == 0)
		return -ENOMEM;
	assert(entered->data == account); /* no two names are alike */
	return 0;
}

/* All that was granted and is not known as spent counts as spent now. */
static void
forfeit(struct weir_ledger *ledger, uint32_t id)
{
	struct weir_account *account = &ledger->accounts[id];
	struct weir_ledger_grant *grant = account->grant;

	account->forfeited_bytes = grant->grant_bytes - grant->spent_bytes;
	(void)weir_account_roll(account, ledger->clock_ns);
	weir_account_stamp(account, grant->grant_bytes - account->budget->spent_bytes);
	account->reading_bytes = grant->grant_bytes;
	grant->spent_bytes = grant->grant_bytes;
}

static int
load(struct weir_ledger *ledger, char *error, size_t error_size)
{
	struct weir_ledger_recovered recovered = {
	    .budgets = ledger->budgets,
	    .grants = ledger->grants,
	};
	int rc = weir_ledger_recover(&ledger->store, &recovered, error, error_size);

	ledger->n_budgets =
	    recovered.n_budgets; /* in any case, for their windows are to be freed */
	if (rc != 0)
		return rc;
	ledger->clock_ns = recovered.clock_ns;
	ledger->slot_lost = recovered.slot_lost;
	for (uint32_t i = 0; i < ledger->n_budgets && rc == 0; i++) {
		rc = enter(ledger, i);
		forfeit(ledger, i);
	}
	if (rc != 0)
		snprintf(error, error_size, "ledger: out of memory");
	return rc;
}

static void
free_ledger(struct weir_ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->n_budgets; i++)
		for (uint32_t k = 0; k < ledger->budgets[i].n_windows; k++)
			free(ledger->budgets[i].windows[k]);
	weir_ledger_store_free(&ledger->store);
	hdestroy_r(&ledger->names);
	free(ledger);
}

int
weir_ledger_open(struct weir_disk *disk, struct weir_credit *credit,
                 const struct weir_ledger_tuning *tuning, struct weir_ledger **ledger, char *error,
                 size_t error_size)
{
	struct weir_ledger *made = calloc(1, sizeof(*made));
	int rc = -ENOMEM;

	if (made == NULL || sodium_init() < 0) {
		snprintf(error, error_size, "ledger: out of memory");
		free(made);
		return -ENOMEM;
	}
	made->credit = credit;
	if (tuning != NULL)
		made->tuning = *tuning;
	if (made->tuning.horizon_ns == 0)
		made->tuning.horizon_ns = HORIZON_NS;
	if (made->tuning.grant_min_bytes == 0)
		made->tuning.grant_min_bytes = GRANT_MIN_BYTES;
	if (made->tuning.grant_max_bytes == 0)
		made->tuning.grant_max_bytes = GRANT_MAX_BYTES;
	/* Half full at most, so that a look-up is short. */
	if (hcreate_r(2UL * WEIR_BUDGETS_MAX, &made->names) == 0 ||
	    weir_ledger_store_init(&made->store, disk) != 0)
		snprintf(error, error_size, "ledger: out of memory");
	else
		rc = load(made, error, error_size);
	if (rc != 0) {
		free_ledger(made);
		return rc;
	}
	*ledger = made;
	return 0;
}

void
weir_ledger_close(struct weir_ledger *ledger)
{
	ledger->store.disk->ops->close(ledger->store.disk);
	free_ledger(ledger);
}

/* ---- running ---- */

static void
publish(struct weir_ledger *ledger, struct weir_account *account, uint64_t spendable_bytes,
        enum weir_credit_state state)
{
	uint32_t id = (uint32_t)(account - ledger->accounts);

	assert(spendable_bytes <= account->grant->grant_bytes);
	if (account->published_bytes == spendable_bytes && account->published_state == state)
		return;
	account->published_bytes = spendable_bytes;
	account->published_state = state;
	weir_credit_publish(ledger->credit, id, spendable_bytes, state);
}

/* Publishes what is durable and below the ceiling. */
static void
publish_policy(struct weir_ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];
		uint64_t spendable = min64(account->grant->grant_bytes, account->ceiling_bytes);

		publish(ledger, account, spendable,
		        spendable == account->ceiling_bytes ? WEIR_CREDIT_AT_CAP
		                                            : WEIR_CREDIT_OPEN);
	}
}

/* Says that nothing more will come. What is durable and published stays spendable. */
static void
publish_closed(struct weir_ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];

		publish(ledger, account, account->published_bytes, WEIR_CREDIT_CLOSED);
	}
}

static void
advance(struct weir_ledger *ledger, uint64_t now_boot_ns)
{
	ledger->step_ns = 0;
	if (!ledger->started)
		ledger->boot_ns = now_boot_ns;
	if (now_boot_ns <= ledger->boot_ns)
		return;
	ledger->step_ns = min64(now_boot_ns - ledger->boot_ns, WEIR_LEDGER_STEP_MAX_NS);
	ledger->clock_ns += ledger->step_ns;
	ledger->boot_ns = now_boot_ns;
}

/* Rolls an account's windows to now and reads what workers have spent of it. */
static void
observe(struct weir_ledger *ledger, uint32_t id)
{
	struct weir_account *account = &ledger->accounts[id];
	uint64_t reading;

	ledger->state_due |= weir_account_roll(account, ledger->clock_ns);
	if (!account->open)
		return;
	reading = weir_credit_spent(ledger->credit, id) - account->base_reading;
	weir_account_read(account, account->base_bytes + reading);
}

static int
write_state(struct weir_ledger *ledger)
{
	int rc = weir_ledger_store_write_state(&ledger->store, ledger->clock_ns, ledger->budgets,
	                                       ledger->n_budgets);

	if (rc == 0) {
		ledger->state_clock_ns = ledger->clock_ns;
		ledger->state_due = false;
	} else {
		publish_closed(ledger);
	}
	return rc;
}

/* Makes ledger->next durable; only then it is what ledger->grants says. */
static int
write_next(struct weir_ledger *ledger)
{
	size_t bytes = ledger->n_budgets * sizeof(ledger->next[0]);
	int rc = weir_ledger_store_write_grants(&ledger->store, ledger->clock_ns, ledger->next,
	                                        ledger->n_budgets);

	if (rc == 0)
		memcpy(ledger->grants, ledger->next, bytes);
	else
		publish_closed(ledger);
	return rc;
}

/* Extends the grants of the policy's budgets, all that need it in one record. */
static int
write_grants(struct weir_ledger *ledger)
{
	for (uint32_t id = 0; id < ledger->n_budgets; id++)
		ledger->next[id] = weir_account_next(&ledger->accounts[id]);
	return write_next(ledger);
}

void
weir_ledger_tick(struct weir_ledger *ledger, uint64_t now_boot_ns)
{
	bool is_short = false;

	if (!ledger->started || ledger->finished)
		return;
	advance(ledger, now_boot_ns);
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];

		observe(ledger, ledger->policy[i]);
		weir_account_pace(account, ledger->step_ns, &ledger->tuning);
		is_short |= weir_account_is_short(account);
	}
	if (ledger->store.error != 0)
		return;
	if (is_short && write_grants(ledger) != 0)
		return;
	publish_policy(ledger);
	if (ledger->state_due && ledger->clock_ns - ledger->state_clock_ns >= STATE_INTERVAL_NS)
		(void)write_state(ledger); /* a failure stays in the store, and is in the status */
}

int
weir_ledger_finish(struct weir_ledger *ledger, uint64_t now_boot_ns)
{
	int rc;

	if (!ledger->started || ledger->finished)
		return ledger->store.error;
	ledger->finished = true;
	advance(ledger, now_boot_ns);
	for (uint32_t id = 0; id < ledger->n_budgets; id++) {
		struct weir_account *account = &ledger->accounts[id];

		/* Twice: workers have ended, so what the first one reads was spent by now. */
		observe(ledger, id);
		observe(ledger, id);
		if (account->open)
			publish(ledger, account,
			        min64(account->reading_bytes, account->published_bytes),
			        WEIR_CREDIT_CLOSED);
		ledger->next[id] = (struct weir_ledger_grant){
		    .spent_bytes = account->reading_bytes,
		    .grant_bytes = account->reading_bytes,
		    .bound_bytes = account->reading_bytes,
		};
	}
	/* GRANTS goes to both slots: whichever is lost, the other one says the same. */
	rc = write_state(ledger);
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = write_next(ledger);
	return rc;
}

/* ---- policy ---- */

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
	int rc = weir_ledger_store_reserve(&ledger->store, min64(bytes, WEIR_LEDGER_STATE_ROOM));

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
	if (account->target_bytes == 0)
		account->target_bytes = ledger->tuning.grant_min_bytes;
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
		rc = enter(ledger, ids[i]);
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
		publish(ledger, account, min64(account->published_bytes, account->reading_bytes),
		        WEIR_CREDIT_CLOSED);
		account->n_caps = 0;
		account->ceiling_bytes = account->grant->grant_bytes;
	}
}

int
weir_ledger_set_policy(struct weir_ledger *ledger, const struct weir_config *config,
                       uint64_t now_boot_ns, uint32_t *ids)
{
	struct weir_window **spare = NULL;
	uint32_t n_new, n_windows, used = 0;
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
	advance(ledger, now_boot_ns);
	for (uint32_t i = 0; i < ledger->n_policy; i++)
		observe(ledger, ledger->policy[i]);
	register_names(ledger, config, ids, n_new);
	/* Once each: a second look would stamp the reading of the first one too early. */
	for (uint32_t i = 0; i < config->n_budgets; i++)
		if (!ledger->accounts[ids[i]].in_policy)
			observe(ledger, ids[i]);
	close_departed(ledger, ids, config->n_budgets);
	for (uint32_t i = 0; i < config->n_budgets; i++) {
		apply_budget(ledger, &config->budgets[i], ids[i], spare, &used);
		ledger->policy[i] = ids[i];
	}
	ledger->n_policy = config->n_budgets;
	ledger->started = true;
	free_windows(spare, n_windows);
	/* Tightened caps are in force from here, before the disk is asked. */
	publish_policy(ledger);
	rc = write_state(ledger);
	if (rc == 0)
		rc = write_grants(ledger);
	if (rc == 0)
		publish_policy(ledger);
	return rc;
}

/* ---- status ---- */

void
weir_ledger_set_clock(struct weir_ledger *ledger, uint64_t (*clock)(void))
{
	ledger->store.clock = clock;
}

void
weir_ledger_get_status(const struct weir_ledger *ledger, struct weir_ledger_status *status)
{
	*status = (struct weir_ledger_status){
	    .failed = ledger->store.error != 0,
	    .error = ledger->store.error,
	    .slot_lost = ledger->slot_lost,
	    .sequence = ledger->store.grants_sequence,
	    .clock_ns = ledger->clock_ns,
	    .forfeited_bytes =
	        ledger->started ? ledger->accounts[WEIR_LEDGER_ROOT].forfeited_bytes : 0,
	    .syncs = ledger->store.syncs,
	    .written_bytes = ledger->store.written_bytes,
	    .sync_max_ns = ledger->store.sync_max_ns,
	};
}

void
weir_ledger_get_budget(const struct weir_ledger *ledger, uint32_t id,
                       struct weir_ledger_budget_status *status)
{
	assert(id < ledger->n_budgets);
	weir_account_status(&ledger->accounts[id], status);
}

uint32_t
weir_ledger_get_policy(const struct weir_ledger *ledger, const uint32_t **ids)
{
	*ids = ledger->policy;
	return ledger->n_policy;
}

const char *
weir_ledger_get_name(const struct weir_ledger *ledger, uint32_t id)
{
	assert(id < ledger->n_budgets);
	return ledger->budgets[id].name;
}
