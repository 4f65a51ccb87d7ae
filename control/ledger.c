/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_recover.h"
#include "control/ledger_state.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_NS          (100 * WEIR_NS_PER_MS)
#define HORIZON_MAX_NS      (10 * WEIR_NS_PER_S)
#define GRANT_MIN_BYTES     1000000ULL
#define GRANT_MAX_BYTES     4000000000ULL
#define WITNESS_EVERY_BYTES 100000000ULL
#define WITNESS_INTERVAL_NS (7200 * WEIR_NS_PER_S)

/*
 * STATE is written when a window that holds bytes has moved on to its next slot, but not more often
 * than this. It is needed only to know the times of what was spent, and how far the clock got,
 * after a crash.
 */
#define STATE_INTERVAL_NS WEIR_NS_PER_S

/*
 * Grants are extended when half of the target is left. A tick that finds it so may have to wait for
 * a STATE that was just begun, then for its own GRANTS: two writes, three with some slack.
 */
#define LAG_WRITES 3U
#define LAG_SHIFT  6U /* of the longest write, 1/64 is forgotten with each one */

static uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- opening ---- */

/* Makes an account of a budget with what the ledger's file says of it. */
int
weir_ledger_enter(struct weir_ledger *ledger, uint32_t id)
{
	struct weir_account *account = &ledger->accounts[id];
	ENTRY entry = {.key = ledger->budgets[id].name, .data = account}, *entered;

	account->budget = &ledger->budgets[id];
	account->grant = &ledger->grants[id];
	account->top_bytes = UINT64_MAX;
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

	uint64_t known = grant->spent_bytes;

	/* STATE may be newer than GRANTS: of what either saw leave, nothing is forfeited. */
	if (account->budget->spent_bytes > known)
		known = account->budget->spent_bytes;
	account->forfeited_bytes = grant->grant_bytes - known;
	account->budget->forfeited_bytes += account->forfeited_bytes;
	(void)weir_account_roll(account, ledger->clock_ns);
	weir_account_stamp(account, grant->grant_bytes - account->budget->spent_bytes);
	account->reading_bytes = grant->grant_bytes;
	grant->spent_bytes = grant->grant_bytes;
}

static enum weir_ledger_refusal
load(struct weir_ledger *ledger, const char *appliance, char *error, size_t error_size)
{
	struct weir_ledger_recovered recovered = {
	    .budgets = ledger->budgets,
	    .grants = ledger->grants,
	};
	enum weir_ledger_refusal refusal =
	    weir_ledger_recover(&ledger->store, appliance, &recovered, error, error_size);
	int rc = 0;

	ledger->n_budgets =
	    recovered.n_budgets; /* in any case, for their windows are to be freed */
	if (refusal != WEIR_REFUSAL_NONE)
		return refusal;
	ledger->clock_ns = recovered.clock_ns;
	ledger->slot_lost = recovered.slot_lost;
	ledger->store.stamp = recovered.stamp;
	for (uint32_t i = 0; i < ledger->n_budgets && rc == 0; i++) {
		rc = weir_ledger_enter(ledger, i);
		forfeit(ledger, i);
	}
	if (rc == 0)
		return WEIR_REFUSAL_NONE;
	snprintf(error, error_size, "out of memory");
	return WEIR_REFUSAL_MEMORY;
}

/* Holds what was loaded against its witness. */
static enum weir_ledger_refusal
judge(struct weir_ledger *ledger, const struct weir_ledger_options *options, char *error,
      size_t error_size)
{
	struct weir_ledger_witness *witness = &ledger->witness;
	const struct weir_ledger_stamp *found = &ledger->store.stamp;
	uint64_t limit;

	if (found->witness_kind != options->witness_kind) {
		snprintf(error, error_size,
		         "commissioned with witness: %s, but the policy says witness: %s",
		         weir_witness_kind_name(found->witness_kind),
		         weir_witness_kind_name(options->witness_kind));
		return WEIR_REFUSAL_WITNESS_CHANGED;
	}
	if (options->witness_kind == WEIR_WITNESS_NONE)
		return WEIR_REFUSAL_NONE;
	*witness = (struct weir_ledger_witness){
	    .kind = options->witness_kind,
	    .every_bytes = options->witness_every_bytes,
	    .interval_ns = options->witness_interval_ns,
	    .value = options->witness_value,
	    .base_bytes = ledger->grants[WEIR_LEDGER_ROOT].grant_bytes,
	    .since_ns = ledger->clock_ns,
	};
	if (witness->every_bytes == 0)
		witness->every_bytes = WITNESS_EVERY_BYTES;
	if (witness->interval_ns == 0)
		witness->interval_ns = WITNESS_INTERVAL_NS;
	limit = weir_ledger_witness_limit(witness->every_bytes);
	return weir_ledger_witness_judge(
	    found->witness_value, witness->value,
	    limit > found->witness_limit_bytes ? limit : found->witness_limit_bytes, error,
	    error_size);
}

static void
free_ledger(struct weir_ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->n_budgets; i++)
		for (uint32_t k = 0; k < ledger->budgets[i].n_windows; k++)
			free(ledger->budgets[i].windows[k]);
	weir_ledger_store_free(&ledger->store);
	weir_ledger_key_wipe(&ledger->key);
	hdestroy_r(&ledger->names);
	free(ledger);
}

static struct weir_ledger *
make(struct weir_credit *credit, const struct weir_ledger_options *options)
{
	struct weir_ledger *made = calloc(1, sizeof(*made));

	if (made == NULL || sodium_init() < 0) {
		free(made);
		return NULL;
	}
	made->credit = credit;
	made->key = *options->key;
	made->tuning = options->tuning;
	if (made->tuning.horizon_ns == 0)
		made->tuning.horizon_ns = HORIZON_NS;
	if (made->tuning.grant_min_bytes == 0)
		made->tuning.grant_min_bytes = GRANT_MIN_BYTES;
	if (made->tuning.grant_max_bytes == 0)
		made->tuning.grant_max_bytes = GRANT_MAX_BYTES;
	return made;
}

enum weir_ledger_refusal
weir_ledger_open(struct weir_disk *disk, struct weir_credit *credit,
                 const struct weir_ledger_options *options, struct weir_ledger **ledger,
                 char *error, size_t error_size)
{
	struct weir_ledger *made = make(credit, options);
	enum weir_ledger_refusal refusal = WEIR_REFUSAL_MEMORY;

	snprintf(error, error_size, "out of memory");
	if (made == NULL)
		return refusal;
	/* Half full at most, so that a look-up is short. */
	if (hcreate_r(2UL * WEIR_BUDGETS_MAX, &made->names) != 0 &&
	    weir_ledger_store_init(&made->store, disk, &made->key) == 0)
		refusal = load(made, options->appliance, error, error_size);
	if (refusal == WEIR_REFUSAL_NONE)
		refusal = judge(made, options, error, error_size);
	if (refusal != WEIR_REFUSAL_NONE) {
		free_ledger(made);
		return refusal;
	}
	made->line = options->witness;
	made->store.stamp.epoch++;
	*ledger = made;
	return WEIR_REFUSAL_NONE;
}

void
weir_ledger_close(struct weir_ledger *ledger)
{
	if (ledger->line != NULL)
		ledger->line->ops->close(ledger->line);
	ledger->store.disk->ops->close(ledger->store.disk);
	free_ledger(ledger);
}

/* ---- running ---- */

void
weir_ledger_publish(struct weir_ledger *ledger, struct weir_account *account,
                    uint64_t spendable_bytes, enum weir_credit_state state)
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
void
weir_ledger_publish_policy(struct weir_ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];
		uint64_t spendable = min64(account->grant->grant_bytes, account->ceiling_bytes);

		weir_ledger_publish(ledger, account, spendable,
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

		weir_ledger_publish(ledger, account, account->published_bytes, WEIR_CREDIT_CLOSED);
	}
}

void
weir_ledger_advance(struct weir_ledger *ledger, uint64_t now_boot_ns)
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
void
weir_ledger_observe(struct weir_ledger *ledger, uint32_t id)
{
	struct weir_account *account = &ledger->accounts[id];
	uint64_t reading;

	ledger->state_due |= weir_account_roll(account, ledger->clock_ns);
	if (!account->open)
		return;
	reading = weir_credit_spent(ledger->credit, id) - account->base_reading;
	weir_account_read(account, account->base_bytes + reading);
}

struct weir_account_sizing
weir_ledger_sizing(const struct weir_ledger *ledger)
{
	struct weir_account_sizing sizing = {
	    .horizon_ns = ledger->tuning.horizon_ns,
	    .lag_ns = min64(LAG_WRITES * ledger->lag_ns, HORIZON_MAX_NS / 2),
	    .grant_min_bytes = ledger->tuning.grant_min_bytes,
	    .grant_max_bytes = ledger->tuning.grant_max_bytes,
	};

	if (sizing.horizon_ns < 2 * sizing.lag_ns)
		sizing.horizon_ns = 2 * sizing.lag_ns;
	return sizing;
}

/* Stamps the next records. */
static void
stamp(struct weir_ledger *ledger)
{
	struct weir_ledger_stamp *to = &ledger->store.stamp;

	to->witness_kind = ledger->witness.kind;
	/* A crash may have left records with a value that the witness was not moved to. */
	if (to->witness_value < weir_ledger_witness_stamp(&ledger->witness))
		to->witness_value = weir_ledger_witness_stamp(&ledger->witness);
	to->witness_limit_bytes = weir_ledger_witness_limit(ledger->witness.every_bytes);
}

/* After a write: learns how long it took. */
static void
learn_lag(struct weir_ledger *ledger)
{
	ledger->lag_ns -= ledger->lag_ns >> LAG_SHIFT;
	if (ledger->lag_ns < ledger->store.sync_ns)
		ledger->lag_ns = ledger->store.sync_ns;
}

int
weir_ledger_settle(struct weir_ledger *ledger)
{
	int rc = weir_ledger_store_settle(&ledger->store);

	if (rc != 0)
		publish_closed(ledger);
	return rc;
}

int
weir_ledger_write_state(struct weir_ledger *ledger)
{
	int rc;

	stamp(ledger);
	rc = weir_ledger_store_write_state(&ledger->store, ledger->clock_ns, ledger->budgets,
	                                   ledger->n_budgets);
	if (rc == 0) {
		learn_lag(ledger);
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
	int rc;

	stamp(ledger);
	rc = weir_ledger_store_write_grants(&ledger->store, ledger->clock_ns, ledger->next,
	                                    ledger->n_budgets);
	if (rc == 0) {
		learn_lag(ledger);
		memcpy(ledger->grants, ledger->next, bytes);
	} else {
		publish_closed(ledger);
	}
	return rc;
}

int
weir_ledger_write_grants(struct weir_ledger *ledger)
{
	uint64_t spare;

	ledger->accounts[WEIR_LEDGER_ROOT].top_bytes = weir_ledger_witness_top(&ledger->witness);
	for (uint32_t id = 0; id < ledger->n_budgets; id++)
		ledger->next[id] = weir_account_next(&ledger->accounts[id]);
	spare =
	    weir_ledger_witness_spare(&ledger->witness, ledger->next[WEIR_LEDGER_ROOT].grant_bytes);
	weir_account_cover(&ledger->next[WEIR_LEDGER_ROOT], spare);
	/* The others can spend what the root has been granted and not spent, besides. */
	spare = weir_sat_add(spare, ledger->next[WEIR_LEDGER_ROOT].grant_bytes -
	                                ledger->next[WEIR_LEDGER_ROOT].spent_bytes);
	for (uint32_t id = 1; ledger->line != NULL && id < ledger->n_budgets; id++)
		weir_account_cover(&ledger->next[id], spare);
	return write_next(ledger);
}

/* ---- the witness ---- */

int
weir_ledger_ask_witness(struct weir_ledger *ledger)
{
	struct weir_ledger_witness *witness = &ledger->witness;
	int rc = 0;

	weir_ledger_witness_begin(witness);
	/* Both slots: were one lost afterwards, the other must not look like an older ledger. */
	if (ledger->finished)
		(void)weir_ledger_witness_spare(witness,
		                                ledger->next[WEIR_LEDGER_ROOT].grant_bytes);
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = ledger->finished ? write_next(ledger) : weir_ledger_write_grants(ledger);
	if (rc != 0)
		return rc;
	weir_ledger_witness_asked(witness, ledger->clock_ns);
	ledger->line->ops->request(ledger->line, witness->value + 1);
	return 0;
}

bool
weir_ledger_hear_witness(struct weir_ledger *ledger, uint64_t wait_ns)
{
	int answer;

	if (ledger->witness.state != WEIR_WITNESS_ASKED)
		return true;
	answer = ledger->line->ops->result(ledger->line, wait_ns);
	if (answer == -EAGAIN)
		return false;
	weir_ledger_witness_answered(&ledger->witness, answer, ledger->clock_ns);
	return true;
}

/* Asks again, where it has failed a while ago. */
static void
retry_witness(struct weir_ledger *ledger)
{
	if (!weir_ledger_witness_again(&ledger->witness, ledger->clock_ns))
		return;
	weir_ledger_witness_asked(&ledger->witness, ledger->clock_ns);
	ledger->line->ops->request(ledger->line, ledger->witness.value + 1);
}

void
weir_ledger_tick(struct weir_ledger *ledger, uint64_t now_boot_ns)
{
	struct weir_account_sizing sizing = weir_ledger_sizing(ledger);
	bool is_short = false;
	int rc = 0;

	if (!ledger->started || ledger->finished)
		return;
	weir_ledger_advance(ledger, now_boot_ns);
	(void)weir_ledger_hear_witness(ledger, 0);
	ledger->accounts[WEIR_LEDGER_ROOT].top_bytes = weir_ledger_witness_top(&ledger->witness);
	for (uint32_t i = 0; i < ledger->n_policy; i++) {
		struct weir_account *account = &ledger->accounts[ledger->policy[i]];

		weir_ledger_observe(ledger, ledger->policy[i]);
		weir_account_pace(account, ledger->step_ns, &sizing);
		if (account->known_value != 0 && account->known_value <= ledger->witness.value) {
			account->known_value = 0;
			account->top_bytes = UINT64_MAX;
		}
		is_short |= weir_account_is_short(account);
	}
	if (ledger->store.error != 0)
		return;
	if (weir_ledger_witness_due(&ledger->witness, ledger->grants[WEIR_LEDGER_ROOT].grant_bytes,
	                            ledger->clock_ns))
		rc = weir_ledger_ask_witness(ledger);
	else if (is_short)
		rc = weir_ledger_write_grants(ledger);
	if (rc != 0)
		return;
	retry_witness(ledger);
	weir_ledger_publish_policy(ledger);
	if (ledger->state_due && ledger->clock_ns - ledger->state_clock_ns >= STATE_INTERVAL_NS)
		rc = weir_ledger_write_state(ledger);
	(void)rc; /* a failure stays in the store, and is in the status */
}

/* What is exact goes to both slots: whichever is lost, the other one says the same. */
static int
write_exact(struct weir_ledger *ledger)
{
	int rc = weir_ledger_write_state(ledger);

	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = write_next(ledger);
	return rc;
}

/* The same with the witness's next value; then it is to advance, and is waited for. */
static int
write_exact_witnessed(struct weir_ledger *ledger)
{
	struct weir_ledger_witness *witness = &ledger->witness;
	int rc;

	(void)weir_ledger_hear_witness(ledger, WEIR_WITNESS_START_NS);
	if (witness->state != WEIR_WITNESS_IDLE)
		return write_exact(ledger); /* with the value that it is asked for already */
	rc = weir_ledger_write_state(ledger);
	if (rc == 0)
		rc = weir_ledger_ask_witness(ledger);
	if (rc == 0)
		(void)weir_ledger_hear_witness(ledger, WEIR_WITNESS_START_NS);
	return rc;
}

int
weir_ledger_finish(struct weir_ledger *ledger, uint64_t now_boot_ns)
{
	if (!ledger->started || ledger->finished)
		return ledger->store.error;
	ledger->finished = true;
	weir_ledger_advance(ledger, now_boot_ns);
	for (uint32_t id = 0; id < ledger->n_budgets; id++) {
		struct weir_account *account = &ledger->accounts[id];

		/* Twice: workers have ended, so what the first one reads was spent by now. */
		weir_ledger_observe(ledger, id);
		weir_ledger_observe(ledger, id);
		if (account->open)
			weir_ledger_publish(ledger, account,
			                    min64(account->reading_bytes, account->published_bytes),
			                    WEIR_CREDIT_CLOSED);
		ledger->next[id] = (struct weir_ledger_grant){
		    .spent_bytes = account->reading_bytes,
		    .grant_bytes = account->reading_bytes,
		    .bound_bytes = account->reading_bytes,
		};
	}
	if (ledger->line == NULL)
		return write_exact(ledger);
	return write_exact_witnessed(ledger);
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
	    .epoch = ledger->store.stamp.epoch,
	    .clock_ns = ledger->clock_ns,
	    .forfeited_bytes =
	        ledger->started ? ledger->accounts[WEIR_LEDGER_ROOT].forfeited_bytes : 0,
	    .syncs = ledger->store.syncs,
	    .written_bytes = ledger->store.written_bytes,
	    .sync_max_ns = ledger->store.sync_max_ns,
	    .horizon_ns = weir_ledger_sizing(ledger).horizon_ns,
	    .witness_kind = ledger->witness.kind,
	    .witness_value = ledger->witness.value,
	    .witness_failures = ledger->witness.failures,
	    .witness_error = ledger->witness.error,
	    .witness_left_bytes = UINT64_MAX,
	};
	if (weir_ledger_witness_is_late(&ledger->witness, ledger->clock_ns))
		status->witness_error = -ETIMEDOUT;
	if (ledger->witness.kind != WEIR_WITNESS_NONE)
		status->witness_left_bytes =
		    weir_sat_sub(weir_ledger_witness_top(&ledger->witness),
		                 ledger->grants[WEIR_LEDGER_ROOT].grant_bytes);
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
