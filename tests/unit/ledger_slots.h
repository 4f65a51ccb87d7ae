/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of a damaged ledger share: slots of a box's file, and refusals. */
#ifndef WEIR_TESTS_UNIT_LEDGER_SLOTS_H
#define WEIR_TESTS_UNIT_LEDGER_SLOTS_H

#include "control/ledger_format.h"
#include "tests/unit/ledger_box.h"

#include <string.h>

/* Expects that opening is refused, with a line that holds word, and that no byte changes. */
static inline void
refuse(struct weir_box *box, enum weir_ledger_refusal refusal, const char *word)
{
	struct weir_disk_sim *before = weir_disk_sim_copy(box->disk, 0);

	if (weir_box_open(box) == 0)
		weir_box_kill(box);
	CU_ASSERT_EQUAL(box->refusal, refusal);
	if (box->refusal != refusal)
		printf("    %s: %s\n", weir_ledger_refusal_name(box->refusal), box->error);
	if (box->refusal != WEIR_REFUSAL_NONE) {
		CU_ASSERT_PTR_NOT_NULL(strstr(box->error, word));
		if (strstr(box->error, word) == NULL)
			printf("    expected %s: %s\n", word, box->error);
		CU_ASSERT_PTR_NULL(strchr(box->error, '\n'));
	}
	CU_ASSERT(weir_disk_sim_equal(before, box->disk));
	weir_disk_sim_free(before);
}

/* A box with some life behind it, switched off by a kill. */
static inline struct weir_box *
lived(void)
{
	struct weir_box *box = one_cap(10000000, 2 * S, 5000);

	for (uint32_t i = 0; i < 3000; i++) {
		weir_box_tick(box, MS);
		weir_box_send(box, 0, 300);
	}
	weir_box_kill(box);
	return box;
}

/* A number of 8 bytes in the header of a slot. */
static inline uint64_t
header_number(const struct weir_box *box, enum weir_ledger_kind kind, uint32_t parity, uint32_t at)
{
	uint8_t bytes[8];
	uint64_t number = 0;

	weir_disk_sim_peek(box->disk, bytes, 8, weir_ledger_slot_offset(kind, parity) + at);
	for (uint32_t i = 0; i < 8; i++)
		number |= (uint64_t)bytes[i] << (8 * i);
	return number;
}

static inline uint64_t
sequence_of(const struct weir_box *box, enum weir_ledger_kind kind, uint32_t parity)
{
	return header_number(box, kind, parity, 16);
}

static inline uint64_t
newest_sequence(const struct weir_box *box, enum weir_ledger_kind kind)
{
	uint64_t even = sequence_of(box, kind, 0), odd = sequence_of(box, kind, 1);

	return even > odd ? even : odd;
}

/* Offset of the slot with the newest record. */
static inline uint64_t
newest_slot(const struct weir_box *box, enum weir_ledger_kind kind)
{
	return weir_ledger_slot_offset(kind, newest_sequence(box, kind));
}

/* Offset of the other one: where the next record goes. */
static inline uint64_t
older_slot(const struct weir_box *box, enum weir_ledger_kind kind)
{
	return weir_ledger_slot_offset(kind, newest_sequence(box, kind) + 1);
}

#endif
