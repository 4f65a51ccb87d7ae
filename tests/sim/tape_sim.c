/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/sim/tape_sim.h"

#include <string.h>

#define BITS 8U /* of a byte */

void
weir_tape_init(struct weir_tape *tape, uint64_t tick_hz)
{
	memset(tape, 0, sizeof(*tape));
	tape->tick_hz = tick_hz;
	tape->digest = UINT64_C(0xcbf29ce484222325);
}

void
weir_tape_fini(struct weir_tape *tape)
{
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++)
		free(tape->budgets[i].sent);
}

void
weir_tape_mix(struct weir_tape *tape, uint64_t value)
{
	uint64_t state = tape->digest ^ value;

	tape->digest = weir_random_splitmix(&state);
}

void
weir_tape_begin(struct weir_tape *tape)
{
	memset(tape->classes, 0, sizeof(tape->classes));
}

/* ---- caps ---- */

/* True when two ticks lie a window or more apart. */
static bool
is_out(const struct weir_tape *tape, uint64_t then, uint64_t now, uint64_t window_ns)
{
	return (weir_u128)(now - then) * WEIR_NS_PER_S >= (weir_u128)window_ns * tape->tick_hz;
}

static void
begin_window(const struct weir_tape_budget *budget, struct weir_tape_cap *cap)
{
	cap->first = 0;
	cap->sum_bytes = budget->sent_bytes;
}

void
weir_tape_set_caps(struct weir_tape *tape, const struct weir_sim_policy *policy)
{
	tape->changes++;
	for (uint32_t i = 0; i < WEIR_SIM_BUDGETS; i++) {
		struct weir_tape_budget *budget = &tape->budgets[i];

		/* One that has left is charged to by rounds that had begun, and by no other. */
		if (!policy->budgets[i].used)
			continue;
		budget->n_caps = policy->budgets[i].n_caps;
		for (uint32_t k = 0; k < budget->n_caps; k++) {
			budget->caps[k] = (struct weir_tape_cap){
			    .cap = policy->budgets[i].caps[k],
			    .floor_bytes = budget->sent_bytes,
			};
			begin_window(budget, &budget->caps[k]);
		}
	}
}

static const char *
broken_cap(struct weir_tape *tape, uint32_t number, const struct weir_tape_cap *cap, uint64_t sent)
{
	char name[WEIR_NAME_SIZE];

	weir_sim_budget_name(number, name);
	snprintf(tape->error, sizeof(tape->error),
	         "%s: sent %" PRIu64 ", but its cap for %" PRIu64 " ns is %" PRIu64
	         " (sent when it came: %" PRIu64 ")",
	         name, sent, cap->cap.window_ns, cap->cap.limit_bytes, cap->floor_bytes);
	return tape->error;
}

static const char *
check_cap(struct weir_tape *tape, uint32_t number, struct weir_tape_cap *cap, uint64_t bytes,
          uint64_t tick, bool old)
{
	const struct weir_tape_budget *budget = &tape->budgets[number];

	if (cap->cap.window_ns == 0) {
		if (old)
			cap->floor_bytes += bytes;
		if (budget->sent_bytes > cap->cap.limit_bytes &&
		    budget->sent_bytes > cap->floor_bytes)
			return broken_cap(tape, number, cap, budget->sent_bytes);
		return NULL;
	}
	cap->sum_bytes += bytes;
	while (is_out(tape, budget->sent[cap->first].tick, tick, cap->cap.window_ns))
		cap->sum_bytes -= budget->sent[cap->first++].bytes;
	if (!old && cap->sum_bytes > cap->cap.limit_bytes)
		return broken_cap(tape, number, cap, cap->sum_bytes);
	return NULL;
}

static const char *
charge(struct weir_tape *tape, uint32_t number, uint64_t bytes, uint64_t tick, bool old)
{
	struct weir_tape_budget *budget = &tape->budgets[number];
	const char *what = NULL;

	if (budget->n_sent == budget->room) {
		budget->room = budget->room * 2 + 256;
		budget->sent = realloc(budget->sent, budget->room * sizeof(*budget->sent));
		if (budget->sent == NULL)
			abort();
	}
	budget->sent[budget->n_sent++] = (struct weir_tape_sent){.tick = tick, .bytes = bytes};
	budget->sent_bytes += bytes;
	for (uint32_t k = 0; k < budget->n_caps && what == NULL; k++)
		what = check_cap(tape, number, &budget->caps[k], bytes, tick, old);
	return what;
}

/* ---- classes ---- */

static weir_u128
depth(const struct weir_tape *tape, uint64_t burst_bytes)
{
	return (weir_u128)burst_bytes * BITS * tape->tick_hz;
}

static void
fill(const struct weir_tape *tape, struct weir_tape_class *class, uint64_t tick)
{
	weir_u128 most = depth(tape, class->burst_bytes);

	class->tokens += (weir_u128)(tick - class->tick) * class->rate_bit_s;
	class->tick = tick;
	if (class->tokens > most)
		class->tokens = most;
}

static uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void
weir_tape_set_classes(struct weir_tape *tape, const struct weir_sim_policy *policy, uint64_t tick)
{
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		struct weir_tape_class *class = &tape->classes[i];
		const struct weir_sim_class *to = &policy->classes[i];

		if (class->used)
			fill(tape, class, tick);
		else
			class->tokens = 0;
		class->tick = tick;
		if (to->used && !class->used) {
			class->rate_bit_s = to->rate_bit_s;
			class->burst_bytes = to->burst_bytes;
		}
		class->used |= to->used;
		class->next_rate_bit_s = to->rate_bit_s;
		class->next_burst_bytes = to->burst_bytes;
		class->rate_bit_s = max64(class->rate_bit_s, to->rate_bit_s);
		class->burst_bytes = max64(class->burst_bytes, to->burst_bytes);
	}
}

void
weir_tape_settle(struct weir_tape *tape, uint64_t tick)
{
	for (uint32_t i = 0; i < WEIR_SIM_CLASSES; i++) {
		struct weir_tape_class *class = &tape->classes[i];

		if (class->rate_bit_s == class->next_rate_bit_s &&
		    class->burst_bytes == class->next_burst_bytes)
			continue;
		fill(tape, class, tick);
		class->rate_bit_s = class->next_rate_bit_s;
		class->burst_bytes = class->next_burst_bytes;
		class->used = class->rate_bit_s > 0;
		fill(tape, class, tick);
	}
}

static const char *
take(struct weir_tape *tape, uint32_t number, uint64_t bytes, uint64_t tick)
{
	struct weir_tape_class *class = &tape->classes[number];
	weir_u128 need = depth(tape, bytes);

	if (!class->used) {
		snprintf(tape->error, sizeof(tape->error),
		         "class%u: %" PRIu64 " bytes left, but no policy has it", number, bytes);
		return tape->error;
	}
	fill(tape, class, tick);
	class->sent_bytes += bytes;
	if (class->tokens < need) {
		snprintf(tape->error, sizeof(tape->error),
		         "class%u: %" PRIu64 " bytes left, but rate %" PRIu64
		         " bit/s and burst %" PRIu64 " left room for %" PRIu64,
		         number, bytes, class->rate_bit_s, class->burst_bytes,
		         (uint64_t)(class->tokens / BITS / tape->tick_hz));
		return tape->error;
	}
	class->tokens -= need;
	return NULL;
}

const char *
weir_tape_send(struct weir_tape *tape, const struct weir_sim_policy *policy, uint32_t class,
               uint64_t bytes, uint64_t tick, uint64_t changes)
{
	const char *what = take(tape, class, bytes, tick);
	uint32_t at = policy->classes[class].budget;

	weir_tape_mix(tape, tick);
	weir_tape_mix(tape, bytes << 8 | class);
	if (what == NULL && !policy->classes[class].used) {
		snprintf(tape->error, sizeof(tape->error),
		         "class%u: %" PRIu64 " bytes left, but its policy lacks it", class, bytes);
		return tape->error;
	}
	for (; what == NULL && at != WEIR_ANY; at = policy->budgets[at].parent)
		what = charge(tape, at, bytes, tick, changes < tape->changes);
	return what;
}
