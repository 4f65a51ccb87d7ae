/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum slot_state {
	SLOT_FREE = 0,
	SLOT_USED,
	SLOT_HELD, /* its name has left, workers may still hold it */
};

struct slot {
	enum slot_state state;
	char name[WEIR_NAME_SIZE];
	uint64_t rate_bit_s;
	struct weir_rate rate;
	struct weir_class_totals base;
};

struct weir_slots {
	uint64_t tsc_hz;
	struct slot slots[WEIR_CLASSES_MAX];
};

struct weir_slots *
weir_slots_new(uint64_t tsc_hz)
{
	struct weir_slots *slots = calloc(1, sizeof(*slots));

	if (slots != NULL)
		slots->tsc_hz = tsc_hz;
	return slots;
}

void
weir_slots_free(struct weir_slots *slots)
{
	free(slots);
}

void
weir_slots_plan_free(struct weir_slots_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->slots);
	free(plan->rates);
	free(plan->fresh);
	free(plan);
}

static struct weir_slots_plan *
plan_new(uint32_t n_classes)
{
	struct weir_slots_plan *plan = calloc(1, sizeof(*plan));
	size_t n = n_classes > 0 ? n_classes : 1;

	if (plan == NULL)
		return NULL;
	plan->n_classes = n_classes;
	plan->slots = calloc(n, sizeof(*plan->slots));
	plan->rates = calloc(n, sizeof(*plan->rates));
	plan->fresh = calloc(n, sizeof(*plan->fresh));
	if (plan->slots == NULL || plan->rates == NULL || plan->fresh == NULL) {
		weir_slots_plan_free(plan);
		return NULL;
	}
	return plan;
}

static int
compare_slots(const void *left, const void *right)
{
	const struct slot *const *a = left;
	const struct slot *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static int
compare_name(const void *key, const void *element)
{
	const struct slot *const *slot = element;

	return strcmp(key, (*slot)->name);
}

/* The used slots by name. Returns how many; *index is the caller's to free. */
static int
index_used(const struct weir_slots *slots, const struct slot ***index, size_t *n_used)
{
	const struct slot **used = calloc(WEIR_CLASSES_MAX, sizeof(const struct slot *));
	size_t n = 0;

	if (used == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++) {
		if (slots->slots[i].state == SLOT_USED)
			used[n++] = &slots->slots[i];
	}
	qsort(used, n, sizeof(const struct slot *), compare_slots);
	*index = used;
	*n_used = n;
	return 0;
}

int
weir_slots_plan(const struct weir_slots *slots, const struct weir_config *config,
                struct weir_slots_plan **plan)
{
	struct weir_slots_plan *made = plan_new(config->n_classes);
	const struct slot **used;
	uint32_t next_free = 0;
	size_t n_used;

	if (made == NULL)
		return -ENOMEM;
	if (index_used(slots, &used, &n_used) < 0) {
		weir_slots_plan_free(made);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct slot *const *found =
		    bsearch(config->classes[i].name, used, n_used, sizeof(const struct slot *),
		            compare_name);

		if (found != NULL) {
			made->slots[i] = (uint32_t)(*found - slots->slots);
			continue;
		}
		while (next_free < WEIR_CLASSES_MAX && slots->slots[next_free].state != SLOT_FREE)
			next_free++;
		if (next_free == WEIR_CLASSES_MAX) {
			free(used);
			weir_slots_plan_free(made);
			return -ENOSPC;
		}
		made->slots[i] = next_free++;
		made->fresh[i] = true;
	}
	free(used);
	*plan = made;
	return 0;
}

void
weir_slots_bind(const struct weir_slots *slots, const struct weir_config *config, uint64_t now_tsc,
                struct weir_slots_plan *plan)
{
	assert(plan->n_classes == config->n_classes);
	for (uint32_t i = 0; i < plan->n_classes; i++) {
		const struct slot *slot = &slots->slots[plan->slots[i]];
		uint64_t rate_bit_s = config->classes[i].rate_bit_s;

		if (plan->fresh[i])
			plan->rates[i] = weir_rate_make(rate_bit_s, slots->tsc_hz, now_tsc, 0);
		else if (slot->rate_bit_s == rate_bit_s)
			plan->rates[i] = slot->rate;
		else
			plan->rates[i] = weir_rate_make(rate_bit_s, slots->tsc_hz, now_tsc,
			                                weir_rate_allowance(&slot->rate, now_tsc));
	}
}

void
weir_slots_put(const struct weir_slots *slots, const struct weir_config *config, uint64_t now_tsc,
               struct weir_slots_plan *plan, struct weir_snapshot *snapshot,
               struct weir_dataplane *dataplane)
{
	weir_slots_bind(slots, config, now_tsc, plan);
	for (uint32_t i = 0; i < plan->n_classes; i++) {
		snapshot->classes[plan->slots[i]].rate = plan->rates[i];
		if (plan->fresh[i])
			weir_dataplane_init_class(dataplane, plan->slots[i], &plan->rates[i],
			                          now_tsc);
	}
}

void
weir_slots_commit(struct weir_slots *slots, const struct weir_config *config,
                  const struct weir_slots_plan *plan)
{
	assert(plan->n_classes == config->n_classes);
	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++) {
		assert(slots->slots[i].state != SLOT_HELD);
		if (slots->slots[i].state == SLOT_USED)
			slots->slots[i].state = SLOT_HELD;
	}
	for (uint32_t i = 0; i < plan->n_classes; i++) {
		struct slot *slot = &slots->slots[plan->slots[i]];

		assert(slot->state == (plan->fresh[i] ? SLOT_FREE : SLOT_HELD));
		if (plan->fresh[i])
			memcpy(slot->name, config->classes[i].name, sizeof(slot->name));
		assert(strcmp(slot->name, config->classes[i].name) == 0);
		slot->state = SLOT_USED;
		slot->rate_bit_s = config->classes[i].rate_bit_s;
		slot->rate = plan->rates[i];
	}
}

void
weir_slots_release(struct weir_slots *slots)
{
	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++) {
		if (slots->slots[i].state == SLOT_HELD)
			slots->slots[i] = (struct slot){0};
	}
}

void
weir_slots_set_base(struct weir_slots *slots, uint32_t slot, const struct weir_class_totals *base)
{
	assert(slot < WEIR_CLASSES_MAX);
	slots->slots[slot].base = *base;
}

const struct weir_class_totals *
weir_slots_base(const struct weir_slots *slots, uint32_t slot)
{
	assert(slot < WEIR_CLASSES_MAX);
	return &slots->slots[slot].base;
}
