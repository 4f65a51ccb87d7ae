/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger.h"
#include "control/ledger_store.h"

#include <errno.h>
#include <sodium.h>

int
weir_ledger_commission(struct weir_disk *disk)
{
	struct weir_ledger_store store;
	uint8_t block[WEIR_LEDGER_BLOCK_BYTES];
	uint64_t bytes;
	int rc;

	if (sodium_init() < 0)
		return -EIO;
	rc = disk->ops->size(disk, &bytes);
	if (rc != 0)
		return rc;
	if (bytes != WEIR_LEDGER_FILE_BYTES)
		return -EINVAL;
	for (uint64_t sequence = 0; sequence < 4; sequence++) {
		enum weir_ledger_kind kind = sequence < 2 ? WEIR_LEDGER_STATE : WEIR_LEDGER_GRANTS;

		rc = disk->ops->read(disk, block, sizeof(block),
		                     weir_ledger_slot_offset(kind, sequence));
		if (rc != 0)
			return rc;
		if (sodium_is_zero(block, sizeof(block)) != 1)
			return -EEXIST;
	}
	rc = weir_ledger_store_init(&store, disk);
	randombytes_buf(store.identity, sizeof(store.identity));
	/* Both slots of both kinds, so that from now on a slot without a record is a lost one. */
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = weir_ledger_store_write_state(&store, 0, NULL, 0);
	for (uint32_t i = 0; i < 2 && rc == 0; i++)
		rc = weir_ledger_store_write_grants(&store, 0, NULL, 0);
	weir_ledger_store_free(&store);
	return rc;
}
