/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_refusal.h"

#include <assert.h>
#include <stddef.h>

/* The way out of most: what the last one counted is still known, and what is not is charged. */
#define COMMISSION_ANEW                                                                            \
	"If that can't be done, commission a new ledger under new names (its key and witness "     \
	"too),\n"                                                                                  \
	"and let it begin with a charge that is at least what is known to have left, by weirctl\n" \
	"ledger show of the old file, by metrics or by switches, and all that may have left "      \
	"since.\n"

#define PUT_BACK "Stop Weir, put the newest copy of the ledger back, and start again.\n"

static const struct {
	const char *name;
	const char *advice;
} refusals[WEIR_REFUSALS] = {
    [WEIR_REFUSAL_NONE] = {"none", "Nothing is wrong with the ledger: Weir would start.\n"},
    [WEIR_REFUSAL_MISSING] =
        {"missing",
         "There is no file by the name that the policy gives.\n"
         "A new box: make its ledger, once, with weirctl ledger init.\n"
         "A box that has run before: see that the disk is mounted and the path is right.\n" PUT_BACK
             COMMISSION_ANEW},
    [WEIR_REFUSAL_BUSY] =
        {"busy", "Another process has the ledger open, most likely a Weir that runs already.\n"
                 "Two would charge past each other. Stop the other one first.\n"},
    [WEIR_REFUSAL_UNREADABLE] =
        {"unreadable",
         "The disk returned an error, so what the ledger says is not known.\n"
         "See the kernel's log, permissions and mounts. If the disk is dying, copy the whole\n"
         "file to a good one and start from the copy: it is checked like any other.\n"},
    [WEIR_REFUSAL_SIZE] =
        {"size",
         "The file does not have the size of a ledger: it was cut off, or is another file.\n"
         "See that the path is right.\n" PUT_BACK COMMISSION_ANEW},
    [WEIR_REFUSAL_KEY_MISSING] =
        {"key_missing",
         "There is no key file by the name that the policy gives, or by the default one.\n"
         "Put the key back that was made with this ledger; nothing else can take its place.\n"
         "If the key is lost, the ledger can be read (weirctl ledger show) but not "
         "used.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_KEY_BAD] =
        {"key_bad",
         "The key file is not as it was made: a regular file of mode 0400, owned by root or by\n"
         "Weir's user, with one JSON object of four members.\n"
         "Where mode or owner have changed, others may have read the key: whoever has it can\n"
         "write a ledger that Weir believes. If so, commission a new ledger with a new key.\n"
         "Otherwise set mode and owner right, or put the key file back from a copy.\n"},
    [WEIR_REFUSAL_KEY_FOREIGN] =
        {"key_foreign",
         "The key file belongs to another ledger, so this ledger can't be verified.\n"
         "Put the key back that was made with this ledger, and see that ledger and ledger_key in\n"
         "the policy name a pair.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_FOREIGN] =
        {"foreign",
         "The ledger is that of another appliance, or the policy calls this one by another name\n"
         "than at commissioning. What the other one has sent says nothing about this one.\n"
         "Put this appliance's own ledger back, or set appliance.name to what it was.\n"},
    [WEIR_REFUSAL_VERSION] =
        {"version",
         "The file was written by another version of Weir, or its first bytes were changed.\n"
         "Start the version that wrote it. If that is this one, the file was changed.\n" PUT_BACK
             COMMISSION_ANEW},
    [WEIR_REFUSAL_MAC] =
        {"mac",
         "A record is whole but was not written with the ledger's key: somebody has changed the\n"
         "file on purpose. No crash and no failing disk does this.\n"
         "Keep a copy of the file for an investigation, and look for who could write to "
         "it.\n" PUT_BACK
         "Without a witness, nobody can tell whether that copy is the newest.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_TORN] =
        {"torn",
         "Neither of two slots holds a whole record. A power cut can spoil one of them, never\n"
         "both: the disk has garbled the file, or something has written over it.\n"
         "See the disk's health, and keep a copy of the file.\n" PUT_BACK COMMISSION_ANEW},
    [WEIR_REFUSAL_LOST] =
        {"lost",
         "A record that other records tell of is gone, although it had been synced and read back:\n"
         "the disk has lost a write that it had confirmed, or a part of the file was put back.\n"
         "Don't trust this disk, or look for who could write to the file.\n" PUT_BACK
             COMMISSION_ANEW},
    [WEIR_REFUSAL_CONTRADICTION] =
        {"contradiction",
         "Each record is whole and made with the key, but they can't all be of one time: a part\n"
         "of the file was put back, or an old write has come late.\n"
         "Keep a copy of the file.\n" PUT_BACK COMMISSION_ANEW},
    [WEIR_REFUSAL_ROLLED_BACK] =
        {"rolled_back",
         "The ledger is older than its witness: what was sent after this copy was made is not in\n"
         "it. The message tells how much that can be at most.\n" PUT_BACK
         "If the newest one is gone, commission a new ledger with a new witness, and let it begin\n"
         "with a charge of at least what this copy says and all that it can hide.\n"
         "The witness did what it is for: it must stay as it is.\n"},
    [WEIR_REFUSAL_WITNESS_CHANGED] =
        {"witness_changed",
         "The policy names another kind of witness than the ledger was commissioned with.\n"
         "Set appliance.witness to what it was. The kind is changed by commissioning a new\n"
         "ledger that begins with at least the charge of this one (weirctl ledger show).\n"},
    [WEIR_REFUSAL_WITNESS_MISSING] =
        {"witness_missing",
         "There is no counter or file where the policy says that the witness is, so nobody can\n"
         "tell whether this ledger is the newest one.\n"
         "See that the mount is there, and that path, TPM and index are right. A witness that is\n"
         "made anew knows nothing.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_WITNESS_FOREIGN] =
        {"witness_foreign",
         "The witness is there, but was not made with this ledger's key.\n"
         "See that path or index are those of this ledger and that the key is the right one.\n"},
    [WEIR_REFUSAL_WITNESS_BAD] =
        {"witness_bad",
         "The witness's file is damaged: neither copy in it is whole, so it tells nothing.\n"
         "See the health of the disk that it is on. Don't put an older copy of it back: it would\n"
         "vouch for older ledgers.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_WITNESS_BEHIND] =
        {"witness_behind",
         "The witness stands lower than it did when this ledger was written. It only ever grows:\n"
         "so it was replaced, reset or put back itself, and can't vouch for any ledger now.\n"
         "Put the right witness back.\n" COMMISSION_ANEW},
    [WEIR_REFUSAL_WITNESS_UNREACHABLE] =
        {"witness_unreachable",
         "The witness gave no answer, so nobody can tell whether this ledger is the newest one.\n"
         "See that the TPM, its device and its resource manager, or the mount, are there and\n"
         "may be used by Weir's user. Then start again.\n"},
    [WEIR_REFUSAL_MEMORY] = {"memory", "There was not enough memory to read the ledger.\n"},
};

const char *
weir_ledger_refusal_name(enum weir_ledger_refusal refusal)
{
	assert((size_t)refusal < WEIR_REFUSALS);
	return refusals[refusal].name;
}

const char *
weir_ledger_refusal_advice(enum weir_ledger_refusal refusal)
{
	assert((size_t)refusal < WEIR_REFUSALS);
	return refusals[refusal].advice;
}
