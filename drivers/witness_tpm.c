/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness in a TPM 2.0: an NV index of the type counter, 8 bytes, which can only be incremented
 * and only be read or incremented with its auth value. That value is the secret.
 *
 *   attributes   NT=counter, AUTHREAD, AUTHWRITE, NO_DA; nothing else. Not ORDERLY: each increment
 *                is in the TPM's flash when it is answered. NO_DA: whoever guesses at the secret
 *                does not lock others out of the TPM.
 *   name         of SHA-256 over all that was defined. It must be the expected one before the
 *                index is used: something else under the same number is refused.
 *
 * What is protected against whom:
 *
 *   Reading and incrementing run in an HMAC session without salt. The secret, 256 bits that can't
 *   be guessed, keys the HMAC of each command and of each answer, over fresh nonces of both sides
 *   and the name of the index. So who sits on the bus sees the value, but can neither forge an
 *   answer, nor play back an old one, nor answer for another index.
 *
 *   At definition the secret is sent, encrypted (AES-128-CFB) in a session that is salted to a key
 *   which the TPM has just made. Who listens on the bus learns nothing. Who also answers in place
 * of the TPM could: no certificate is asked for. Commission where the box's inside can be trusted.
 *
 *   The owner of the TPM may remove the counter or clear the TPM, but can't make the counter anew:
 *   without the secret it is another ledger's.
 *
 * Each call connects, uses its own session and leaves: nothing is held in between, a TPM that
 * was away is simply there again, and /dev/tpm0 stays free for others. Sessions are flushed on each
 * way out. A process that is killed during a call may leave one behind in the TPM: behind
 * the kernel's resource manager (/dev/tpmrm0) the kernel flushes it.
 */
#include "drivers/units.h"
#include "drivers/witness.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

/*
 * A TPM that is busy, or spares its flash, is asked again after 1, 2, 4 ... 128 ms and then every
 * 256 ms: for 4 seconds a command.
 */
#define TRIES_MAX     24U
#define TRIES_DOUBLED 8U
#define TRY_WAIT_NS   WEIR_NS_PER_MS

#define COUNTER_BYTES 8U
#define COUNTER_ATTRIBUTES                                                                         \
	(((TPMA_NV)TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHREAD |                  \
	 TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA)

static_assert(WEIR_WITNESS_SECRET_BYTES == TPM2_SHA256_DIGEST_SIZE,
              "an auth value may be as long as the digest of the index's name");

struct witness_tpm {
	struct weir_witness witness;
	TPM2_HANDLE index;
	TPM2B_AUTH auth;
	char tcti[];
};

/* One connection and what was made on it. */
struct talk {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR counter, session, key;
};

static struct witness_tpm *
tpm_of(struct weir_witness *witness)
{
	return (struct witness_tpm *)witness;
}

/* Without handle, parameter and session numbers: see TPM 2.0 Part 2, "TPM_RC". */
static TSS2_RC
bare(TSS2_RC rc)
{
	bool format_one =
	    (rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (rc & TPM2_RC_FMT1) != 0;

	return format_one ? rc & (TPM2_RC_FMT1 | 0x3fU) : rc;
}

/* denied: what a wrong auth value means. Never -EAGAIN, which has a meaning of its own. */
static int
error_of(TSS2_RC rc, int denied)
{
	rc = bare(rc);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	if (rc == TPM2_RC_BAD_AUTH || rc == TPM2_RC_AUTH_FAIL || rc == TPM2_RC_HIERARCHY)
		return denied;
	if (rc == TSS2_ESYS_RC_RSP_AUTH_FAILED)
		return -EACCES; /* who answered does not know the secret */
	if (rc == TPM2_RC_HANDLE)
		return -ENOENT;
	if (rc == TPM2_RC_NV_DEFINED)
		return -EEXIST;
	if (rc == TPM2_RC_NV_SPACE)
		return -ENOSPC;
	if (rc == TSS2_ESYS_RC_MEMORY || rc == TSS2_TCTI_RC_MEMORY)
		return -ENOMEM;
	if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TPM_RC_LAYER && (rc & TPM2_RC_WARN) == TPM2_RC_WARN)
		return -EBUSY;
	return -EIO;
}

/* True when the command is to be sent again, after a wait. */
static bool
again(TSS2_RC rc, uint32_t *tries)
{
	struct timespec wait = {0};

	if (rc != TPM2_RC_RETRY && rc != TPM2_RC_YIELDED && rc != TPM2_RC_TESTING &&
	    rc != TPM2_RC_NV_RATE && rc != TPM2_RC_NV_UNAVAILABLE)
		return false;
	if (++*tries == TRIES_MAX)
		return false;
	wait.tv_nsec =
	    (long)(TRY_WAIT_NS << (*tries <= TRIES_DOUBLED ? *tries - 1 : TRIES_DOUBLED));
	(void)nanosleep(&wait, NULL);
	return true;
}

/*
 * Flushes what was made in the TPM and leaves. By a context of its own: after an answer that made
 * no sense, or none, the library takes no more commands in the old one. Where the TPM can't be
 * reached there is nothing to be done.
 */
static void
hang_up(struct talk *talk)
{
	const ESYS_TR objects[] = {talk->session, talk->key};
	TPM2_HANDLE handles[2];
	size_t count = 0;

	for (size_t i = 0; talk->esys != NULL && i < 2; i++)
		if (objects[i] != ESYS_TR_NONE &&
		    Esys_TR_GetTpmHandle(talk->esys, objects[i], &handles[count]) ==
		        TSS2_RC_SUCCESS)
			count++;
	Esys_Finalize(&talk->esys);
	if (count > 0 && Esys_Initialize(&talk->esys, talk->tcti, NULL) == TSS2_RC_SUCCESS) {
		for (size_t i = 0; i < count; i++) {
			ESYS_TR object;

			if (Esys_TR_FromTPMPublic(talk->esys, handles[i], ESYS_TR_NONE,
			                          ESYS_TR_NONE, ESYS_TR_NONE,
			                          &object) == TSS2_RC_SUCCESS)
				(void)Esys_FlushContext(talk->esys, object);
		}
		Esys_Finalize(&talk->esys);
	}
	Tss2_TctiLdr_Finalize(&talk->tcti);
}

/* Connects. To be hung up in any case. */
static int
call(const struct witness_tpm *tpm, struct talk *talk)
{
	TSS2_RC rc;

	*talk = (struct talk){
	    .counter = ESYS_TR_NONE,
	    .session = ESYS_TR_NONE,
	    .key = ESYS_TR_NONE,
	};
	rc = Tss2_TctiLdr_Initialize(tpm->tcti, &talk->tcti);
	if (rc != TSS2_RC_SUCCESS) {
		switch (rc & ~TSS2_RC_LAYER_MASK) {
		case TSS2_BASE_RC_MEMORY:
			return -ENOMEM;
		case TSS2_BASE_RC_BAD_VALUE:
			return -EINVAL;
		case TSS2_BASE_RC_NOT_SUPPORTED: /* no such library */
			return -ELIBACC;
		default:
			return -ECONNREFUSED;
		}
	}
	rc = Esys_Initialize(&talk->esys, talk->tcti, NULL);
	return error_of(rc, -EIO);
}

/* Starts talk->session; talk->key salts it, where there is one. */
static int
start_session(struct talk *talk, TPMA_SESSION attributes)
{
	const TPMT_SYM_DEF cipher = {
	    .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
	uint32_t tries = 0;
	TSS2_RC rc;

	do
		rc = Esys_StartAuthSession(talk->esys, talk->key, ESYS_TR_NONE, ESYS_TR_NONE,
		                           ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &cipher,
		                           TPM2_ALG_SHA256, &talk->session);
	while (again(rc, &tries));
	if (rc != TSS2_RC_SUCCESS) {
		talk->session = ESYS_TR_NONE;
		return error_of(rc, -EIO);
	}
	rc = Esys_TRSess_SetAttributes(talk->esys, talk->session,
	                               attributes | TPMA_SESSION_CONTINUESESSION, 0xff);
	return error_of(rc, -EIO);
}

static TPM2B_NV_PUBLIC
public_of(const struct witness_tpm *tpm)
{
	return (TPM2B_NV_PUBLIC){.nvPublic = {
	                             .nvIndex = tpm->index,
	                             .nameAlg = TPM2_ALG_SHA256,
	                             .attributes = COUNTER_ATTRIBUTES,
	                             .dataSize = COUNTER_BYTES,
	                         }};
}

/* True if name is that of our counter with these attributes besides. */
static bool
is_named(const struct witness_tpm *tpm, const TPM2B_NAME *name, TPMA_NV more)
{
	TPM2B_NV_PUBLIC expected = public_of(tpm);
	uint8_t area[sizeof(TPMS_NV_PUBLIC)], digest[crypto_hash_sha256_BYTES];
	const uint8_t algorithm[] = {TPM2_ALG_SHA256 >> 8, TPM2_ALG_SHA256 & 0xff};
	size_t bytes = 0;

	expected.nvPublic.attributes |= more;
	if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(&expected.nvPublic, area, sizeof(area), &bytes) !=
	    TSS2_RC_SUCCESS)
		return false;
	crypto_hash_sha256(digest, area, bytes);
	return name->size == sizeof(algorithm) + sizeof(digest) &&
	       memcmp(name->name, algorithm, sizeof(algorithm)) == 0 &&
	       memcmp(name->name + sizeof(algorithm), digest, sizeof(digest)) == 0;
}

/*
 * Finds the counter and sees that it is one, ours by all that can be seen from outside. The TPM
 * itself is asked for no more than the name: each later command's HMAC covers it, so a name that is
 * not that of the index fails there. -ENODATA: it was defined and never incremented.
 */
static int
find_counter(const struct witness_tpm *tpm, struct talk *talk)
{
	TPM2B_NAME *name;
	uint32_t tries = 0;
	TSS2_RC rc;
	int found;

	do
		rc = Esys_TR_FromTPMPublic(talk->esys, tpm->index, ESYS_TR_NONE, ESYS_TR_NONE,
		                           ESYS_TR_NONE, &talk->counter);
	while (again(rc, &tries));
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_SetAuth(talk->esys, talk->counter, &tpm->auth);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_GetName(talk->esys, talk->counter, &name);
	if (rc != TSS2_RC_SUCCESS)
		return error_of(rc, -EIO);
	if (is_named(tpm, name, TPMA_NV_WRITTEN))
		found = 0;
	else
		found = is_named(tpm, name, 0) ? -ENODATA : -EACCES;
	Esys_Free(name);
	return found;
}

/* Connects, with the counter found and a session to use it. To be hung up in any case. */
static int
meet(const struct witness_tpm *tpm, struct talk *talk)
{
	int rc = call(tpm, talk);

	if (rc == 0)
		rc = find_counter(tpm, talk);
	return rc == 0 ? start_session(talk, 0) : rc;
}

static int
get(const struct talk *talk, uint64_t *value)
{
	TPM2B_MAX_NV_BUFFER *data;
	uint32_t tries = 0;
	uint64_t big_endian;
	TSS2_RC rc;
	int error;

	do
		rc = Esys_NV_Read(talk->esys, talk->counter, talk->counter, talk->session,
		                  ESYS_TR_NONE, ESYS_TR_NONE, COUNTER_BYTES, 0, &data);
	while (again(rc, &tries));
	if (rc != TSS2_RC_SUCCESS)
		return error_of(rc, -EACCES);
	error = data->size == sizeof(big_endian) ? 0 : -EIO;
	if (error == 0) {
		memcpy(&big_endian, data->buffer, sizeof(big_endian));
		*value = be64toh(big_endian);
	}
	Esys_Free(data);
	return error;
}

static int
increment(const struct talk *talk)
{
	uint32_t tries = 0;
	TSS2_RC rc;

	do
		rc = Esys_NV_Increment(talk->esys, talk->counter, talk->counter, talk->session,
		                       ESYS_TR_NONE, ESYS_TR_NONE);
	while (again(rc, &tries));
	return error_of(rc, -EACCES);
}

static int
tpm_read(struct weir_witness *witness, uint64_t *value)
{
	struct talk talk;
	int rc = meet(tpm_of(witness), &talk);

	if (rc == 0)
		rc = get(&talk, value);
	hang_up(&talk);
	return rc;
}

static int
tpm_advance(struct weir_witness *witness, uint64_t value)
{
	struct talk talk;
	uint64_t now = 0;
	int rc = meet(tpm_of(witness), &talk);

	if (rc == 0)
		rc = get(&talk, &now);
	if (rc == 0 && now != value) {
		rc = now == value - 1 ? increment(&talk) : -ERANGE;
		if (rc == 0)
			rc = get(&talk, &now);
		if (rc == 0 && now != value)
			rc = -ERANGE; /* somebody else has the key and did it too */
	}
	hang_up(&talk);
	return rc;
}

static void
tpm_close(struct weir_witness *witness)
{
	struct witness_tpm *tpm = tpm_of(witness);

	sodium_memzero(&tpm->auth, sizeof(tpm->auth));
	free(tpm);
}

static const struct weir_witness_ops tpm_ops = {
    .read = tpm_read,
    .advance = tpm_advance,
    .close = tpm_close,
};

static int
make(const char *tcti, uint32_t index, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
     struct witness_tpm **made)
{
	size_t bytes = strlen(tcti) + 1;
	struct witness_tpm *tpm;

	/*
	 * Without a name the loader would take any TPM that it finds; zeros are nobody's secret,
	 * and to a TPM the same as no auth value.
	 */
	if (bytes == 1 || index >> TPM2_HR_SHIFT != TPM2_HT_NV_INDEX ||
	    sodium_is_zero(secret, WEIR_WITNESS_SECRET_BYTES))
		return -EINVAL;
	tpm = calloc(1, sizeof(*tpm) + bytes);
	if (tpm == NULL)
		return -ENOMEM;
	/* The library says each error on standard error; here they are returned. */
	if (setenv("TSS2_LOG", "all+NONE", 0) != 0) {
		free(tpm);
		return -ENOMEM;
	}
	tpm->witness.ops = &tpm_ops;
	tpm->index = index;
	tpm->auth.size = WEIR_WITNESS_SECRET_BYTES;
	memcpy(tpm->auth.buffer, secret, WEIR_WITNESS_SECRET_BYTES);
	memcpy(tpm->tcti, tcti, bytes);
	*made = tpm;
	return 0;
}

int
weir_witness_open_tpm(const char *tcti, uint32_t index,
                      const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                      struct weir_witness **witness)
{
	struct witness_tpm *tpm;
	uint64_t value;
	int rc = make(tcti, index, secret, &tpm);

	if (rc != 0)
		return rc;
	rc = weir_witness_read(&tpm->witness, WEIR_WITNESS_OPEN_LIMIT_NS, &value);
	if (rc == 0)
		*witness = &tpm->witness;
	else if (rc != -ETIMEDOUT)
		tpm_close(&tpm->witness); /* the thread that hangs may still use it otherwise */
	return rc;
}

/* A storage key, under the hierarchy that has no password and forgets all at each reset. */
static int
make_key(struct talk *talk)
{
	const TPM2B_SENSITIVE_CREATE nothing = {.size = 0};
	const TPM2B_PUBLIC template = {
	    .publicArea = {.type = TPM2_ALG_ECC,
	                   .nameAlg = TPM2_ALG_SHA256,
	                   .objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT |
	                                       TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
	                                       TPMA_OBJECT_SENSITIVEDATAORIGIN |
	                                       TPMA_OBJECT_USERWITHAUTH,
	                   .parameters.eccDetail = {
	                       .symmetric = {.algorithm = TPM2_ALG_AES,
	                                     .keyBits.aes = 128,
	                                     .mode.aes = TPM2_ALG_CFB},
	                       .scheme.scheme = TPM2_ALG_NULL,
	                       .curveID = TPM2_ECC_NIST_P256,
	                       .kdf.scheme = TPM2_ALG_NULL,
	                   }}};
	const TPML_PCR_SELECTION no_pcr = {.count = 0};
	TPM2B_DATA unique = {.size = 32};
	uint32_t tries = 0;
	TSS2_RC rc;

	randombytes_buf(unique.buffer, unique.size);
	do
		rc = Esys_CreatePrimary(talk->esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		                        ESYS_TR_NONE, &nothing, &template, &unique, &no_pcr,
		                        &talk->key, NULL, NULL, NULL, NULL);
	while (again(rc, &tries));
	if (rc != TSS2_RC_SUCCESS)
		talk->key = ESYS_TR_NONE;
	return error_of(rc, -EIO);
}

static int
define(const struct witness_tpm *tpm)
{
	const TPM2B_NV_PUBLIC public = public_of(tpm);
	struct talk talk;
	uint32_t tries = 0;
	TSS2_RC rc;
	int error = call(tpm, &talk);

	if (error == 0)
		error = make_key(&talk);
	if (error == 0)
		error = start_session(&talk, TPMA_SESSION_DECRYPT);
	if (error == 0) {
		do
			rc = Esys_NV_DefineSpace(talk.esys, ESYS_TR_RH_OWNER, talk.session,
			                         ESYS_TR_NONE, ESYS_TR_NONE, &tpm->auth, &public,
			                         &talk.counter);
		while (again(rc, &tries));
		error = error_of(rc, -EPERM);
	}
	hang_up(&talk);
	return error;
}

/* Removes what define has made. */
static void
undefine(const struct witness_tpm *tpm)
{
	struct talk talk;
	int rc = call(tpm, &talk);

	if (rc == 0)
		rc = find_counter(tpm, &talk);
	if (rc == 0 || rc == -ENODATA)
		(void)Esys_NV_UndefineSpace(talk.esys, ESYS_TR_RH_OWNER, talk.counter,
		                            ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
	hang_up(&talk);
}

static int
first_increment(const struct witness_tpm *tpm)
{
	struct talk talk;
	int rc = call(tpm, &talk);

	if (rc == 0)
		rc = find_counter(tpm, &talk);
	if (rc == -ENODATA)
		rc = start_session(&talk, 0);
	if (rc == 0)
		rc = increment(&talk);
	hang_up(&talk);
	return rc;
}

int
weir_witness_create_tpm(const char *tcti, uint32_t index,
                        const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                        struct weir_witness **witness)
{
	const struct timespec at_once = {0};
	struct witness_tpm *tpm;
	sigset_t pipe, before;
	int rc = make(tcti, index, secret, &tpm);

	if (rc != 0)
		return rc;
	/* A TPM behind a socket may go away between two writes. */
	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &before);
	rc = define(tpm);
	if (rc == 0) {
		rc = first_increment(tpm);
		if (rc != 0)
			undefine(tpm);
	}
	if (sigismember(&before, SIGPIPE) == 0)
		(void)sigtimedwait(&pipe, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		*witness = &tpm->witness;
	else
		tpm_close(&tpm->witness);
	return rc;
}
