/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness in a TPM, with a real one in software: what it keeps through power cuts, who may use
 * it, and what comes of a TPM that goes away or a bus that lies at any one command.
 */
#include "drivers/witness.h"
#include "tests/unit/tpm_own.h"

#define INDEX 0x01800123U

/* Commands of one advance that increments. */
static const uint32_t advance_codes[] = {
    TPM2_CC_NV_ReadPublic, TPM2_CC_StartAuthSession, TPM2_CC_NV_Read,
    TPM2_CC_NV_Increment,  TPM2_CC_NV_Read,          TPM2_CC_FlushContext,
};
#define ADVANCE_COMMANDS WEIR_TEST_COUNT(advance_codes)
#define AT_READ          2U
#define AT_INCREMENT     3U

/* A TPM leaves zeros at the end of an auth value out. */
static const uint8_t secret[WEIR_WITNESS_SECRET_BYTES] = {
    0x8b, 0x11, 0xc4, 0x5e, 0x92, 0x03, 0xfa, 0x67, 0x2d, 0xe8, 0x70, 0x39, 0xb6, 0x4c, 0x15, 0xd1,
    0xa0, 0x7f, 0x38, 0xc9, 0x56, 0xe2, 0x0d, 0x94, 0x6b, 0xf3, 0x21, 0xde, 0x48, 0xb7, 0,    0};
static const uint8_t other_secret[WEIR_WITNESS_SECRET_BYTES] = {1};

static struct tpm_box *tpm;

static void
remove_index(void)
{
	struct own own = own_begin(tpm);
	ESYS_TR index;

	MUST(Esys_TR_FromTPMPublic(own.esys, INDEX, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
	                           &index));
	MUST(Esys_NV_UndefineSpace(own.esys, ESYS_TR_RH_OWNER, index, ESYS_TR_PASSWORD,
	                           ESYS_TR_NONE, ESYS_TR_NONE));
	own_end(&own);
}

/* Defines an index as somebody else might, its auth value the secret all the same. */
static void
define_index(TPMA_NV attributes, uint16_t bytes)
{
	const TPM2B_NV_PUBLIC public = {.nvPublic = {.nvIndex = INDEX,
	                                             .nameAlg = TPM2_ALG_SHA256,
	                                             .attributes = attributes,
	                                             .dataSize = bytes}};
	struct own own = own_begin(tpm);
	TPM2B_AUTH auth = {.size = sizeof(secret)};
	ESYS_TR index;

	memcpy(auth.buffer, secret, sizeof(secret));
	MUST(Esys_NV_DefineSpace(own.esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	                         ESYS_TR_NONE, &auth, &public, &index));
	own_end(&own);
}

/* Writes value into an ordinary index, or increments one that is not. */
static void
write_index(bool is_counter, uint64_t value)
{
	struct own own = own_begin(tpm);
	TPM2B_MAX_NV_BUFFER data = {.size = 8};
	TPM2B_AUTH auth = {.size = 30};
	ESYS_TR index;

	for (unsigned int i = 0; i < 8; i++)
		data.buffer[i] = (uint8_t)(value >> (56 - 8 * i));
	memcpy(auth.buffer, secret, auth.size);
	MUST(Esys_TR_FromTPMPublic(own.esys, INDEX, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
	                           &index));
	MUST(Esys_TR_SetAuth(own.esys, index, &auth));
	if (is_counter) {
		MUST(Esys_NV_Increment(own.esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		                       ESYS_TR_NONE));
	} else {
		MUST(Esys_NV_Write(own.esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		                   ESYS_TR_NONE, &data, 0));
	}
	own_end(&own);
}

static int
open_it(const uint8_t *with, struct weir_witness **witness)
{
	return weir_witness_open_tpm(tpm_tcti(tpm, true), INDEX, with, witness);
}

static int
create_it(struct weir_witness **witness)
{
	return weir_witness_create_tpm(tpm_tcti(tpm, true), INDEX, secret, witness);
}

static uint64_t
value_of(struct weir_witness *witness)
{
	uint64_t value = 0;

	MUST(witness->ops->read(witness, &value));
	return value;
}

/* A TPM with a counter, and the counter's value. */
static struct weir_witness *
set_up(uint64_t *value)
{
	struct weir_witness *witness;

	tpm = tpm_box_new();
	MUST(create_it(&witness));
	*value = value_of(witness);
	return witness;
}

static void
tear_down(struct weir_witness *witness)
{
	if (witness != NULL)
		witness->ops->close(witness);
	tpm_box_free(tpm);
}

static void
test_life(void)
{
	struct weir_witness *witness, *same, *none;
	uint64_t value, first;

	tpm = tpm_box_new();
	CU_ASSERT_EQUAL(open_it(secret, &none), -ENOENT);
	MUST(create_it(&witness));
	CU_ASSERT_EQUAL(create_it(&none), -EEXIST);
	first = value = value_of(witness);
	CU_ASSERT(value >= 1);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value), 0);
	CU_ASSERT_EQUAL(value_of(witness), value);
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value), 0);
		CU_ASSERT_EQUAL(value_of(witness), value);
	}
	CU_ASSERT_EQUAL(value, first + 20);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value - 1), -ERANGE);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 2), -ERANGE);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 0), -ERANGE);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, UINT64_MAX), -ERANGE);
	/* Two that are open are one counter. */
	MUST(open_it(secret, &same));
	CU_ASSERT_EQUAL(same->ops->advance(same, value + 1), 0);
	CU_ASSERT_EQUAL(value_of(witness), value + 1);
	same->ops->close(same);
	tear_down(witness);
}

/* Removed and made again, it never stands lower; nor with another index in between. */
static void
test_made_again(void)
{
	uint64_t value, again;
	struct weir_witness *witness = set_up(&value);

	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
	for (int i = 0; i < 3; i++) {
		witness->ops->close(witness);
		remove_index();
		CU_ASSERT_EQUAL(open_it(secret, &witness), -ENOENT);
		if (i == 2)
			tpm_cut_power(tpm);
		MUST(create_it(&witness));
		again = value_of(witness);
		CU_ASSERT(again > value);
		value = again;
	}
	tear_down(witness);
}

static void
test_power_cuts(void)
{
	uint64_t value;
	struct weir_witness *witness = set_up(&value);

	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
		tpm_cut_power(tpm);
		/* The one that was open goes on, and a new one sees the same. */
		CU_ASSERT_EQUAL(value_of(witness), value);
		if (i % 2 == 0) {
			witness->ops->close(witness);
			MUST(open_it(secret, &witness));
			CU_ASSERT_EQUAL(value_of(witness), value);
		}
	}
	tear_down(witness);
}

/* Guessing at the secret is refused for good, and locks nobody out. */
static void
test_wrong_secret(void)
{
	uint64_t value;
	struct weir_witness *witness = set_up(&value), *none;
	uint8_t near[sizeof(secret)];

	for (int i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(open_it(other_secret, &none), -EACCES);
	memcpy(near, secret, sizeof(near));
	near[29] ^= 1;
	CU_ASSERT_EQUAL(open_it(near, &none), -EACCES);
	CU_ASSERT_EQUAL(count_handles(tpm), 0);
	CU_ASSERT_EQUAL(value_of(witness), value);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	witness->ops->close(witness);
	memset(near, 0, sizeof(near));
	CU_ASSERT_EQUAL(open_it(near, &witness), -EINVAL);
	/* Its password is none: the owner can't read it either, nor can a plain password be empty.
	 */
	tear_down(NULL);
}

/* Whatever else has the index's number is refused, though its auth value is the secret. */
static void
test_other_indices(void)
{
	const TPMA_NV counter = TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT;
	const TPMA_NV right = counter | TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA;
	const struct {
		TPMA_NV attributes;
		int expected;
	} cases[] = {
	    {TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA, -EACCES},
	    {right | TPMA_NV_OWNERWRITE, -EACCES},
	    {right | TPMA_NV_OWNERREAD, -EACCES},
	    {right | TPMA_NV_ORDERLY, -EACCES},
	    {right | TPMA_NV_WRITE_STCLEAR, -EACCES},
	    {right & ~TPMA_NV_NO_DA, -EACCES},
	    {right, 0}, /* so the others are refused for what they are */
	};
	struct weir_witness *witness;
	uint64_t value;

	tpm = tpm_box_new();
	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		bool is_counter = (cases[i].attributes & TPMA_NV_TPM2_NT_MASK) == counter;

		define_index(cases[i].attributes, 8);
		CU_ASSERT_EQUAL(open_it(secret, &witness),
		                cases[i].expected == 0 ? -ENODATA : -EACCES);
		write_index(is_counter, 1000000);
		CU_ASSERT_EQUAL(open_it(secret, &witness), cases[i].expected);
		if (cases[i].expected == 0) {
			CU_ASSERT_EQUAL(witness->ops->read(witness, &value), 0);
			witness->ops->close(witness);
		}
		remove_index();
	}
	define_index(TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA, 64);
	CU_ASSERT_EQUAL(open_it(secret, &witness), -EACCES);
	CU_ASSERT_EQUAL(create_it(&witness), -EEXIST);
	tear_down(NULL);
}

/* The index is exchanged while a witness is open. */
static void
test_exchanged(void)
{
	uint64_t value, found;
	struct weir_witness *witness = set_up(&value);

	remove_index();
	CU_ASSERT_EQUAL(witness->ops->read(witness, &found), -ENOENT);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), -ENOENT);
	define_index(TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA, 8);
	write_index(false, value);
	CU_ASSERT_EQUAL(witness->ops->read(witness, &found), -EACCES);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value), -EACCES);
	tear_down(witness);
}

/* The owner clears the TPM, or has a password. */
static void
test_owner(void)
{
	uint64_t value;
	struct weir_witness *witness = set_up(&value), *none;
	struct own own = own_begin(tpm);

	MUST(
	    Esys_Clear(own.esys, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE));
	own_end(&own);
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -ENOENT);
	CU_ASSERT_EQUAL(open_it(secret, &none), -ENOENT);
	witness->ops->close(witness);

	set_owner_password(tpm, "", "owner's");
	CU_ASSERT_EQUAL(create_it(&witness), -EPERM);
	CU_ASSERT_EQUAL(open_it(secret, &none), -ENOENT);
	set_owner_password(tpm, "owner's", "");
	MUST(create_it(&witness));
	/* Only to make it: whoever has the secret needs no owner. */
	set_owner_password(tpm, "", "owner's");
	value = value_of(witness);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	CU_ASSERT_EQUAL(count_handles(tpm), 0);
	tear_down(witness);
}

static void
test_no_tpm(void)
{
	uint64_t value;
	struct weir_witness *witness = set_up(&value), *none;

	CU_ASSERT_EQUAL(weir_witness_open_tpm("", INDEX, secret, &none), -EINVAL);
	CU_ASSERT_EQUAL(weir_witness_open_tpm(tpm_tcti(tpm, true), 0x81000000, secret, &none),
	                -EINVAL);
	CU_ASSERT_EQUAL(weir_witness_open_tpm("no-such-kind:x", INDEX, secret, &none), -ELIBACC);
	CU_ASSERT_EQUAL(weir_witness_open_tpm("swtpm:colour=red", INDEX, secret, &none), -EINVAL);
	CU_ASSERT_EQUAL(weir_witness_open_tpm("device:/dev/null/tpm", INDEX, secret, &none),
	                -ECONNREFUSED);
	CU_ASSERT(weir_witness_open_tpm("device:/dev/zero", INDEX, secret, &none) < 0);
	witness->ops->close(witness);
	MUST(weir_witness_open_tpm(tpm_tcti(tpm, false), INDEX, secret, &witness));
	tpm_kill(tpm);
	CU_ASSERT_EQUAL(weir_witness_open_tpm(tpm_tcti(tpm, false), INDEX, secret, &none),
	                -ECONNREFUSED);
	CU_ASSERT_EQUAL(weir_witness_create_tpm(tpm_tcti(tpm, false), INDEX, secret, &none),
	                -ECONNREFUSED);
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -ECONNREFUSED);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), -ECONNREFUSED);
	CU_ASSERT_FATAL(tpm_start(tpm));
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	tear_down(witness);
}

/* A TPM has room for three sessions and three objects. */
static void
test_no_leak(void)
{
	uint64_t value;
	struct weir_witness *witness = set_up(&value), *none;

	CU_ASSERT_EQUAL(count_handles(tpm), 0);
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(value_of(witness), value);
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 5), -ERANGE);
		CU_ASSERT_EQUAL(create_it(&none), -EEXIST);
	}
	CU_ASSERT_EQUAL(count_handles(tpm), 0);
	tear_down(witness);
}

/*
 * The TPM goes away at each command of an advance, before it was done or after. The value is then
 * the old one or the new one, and asking again makes it the new one, once.
 */
static void
test_gone_at_each_command(void)
{
	static const enum tpm_fault faults[] = {TPM_FAULT_LOST, TPM_FAULT_NO_ANSWER};
	uint64_t value, found;
	struct weir_witness *witness = set_up(&value);

	bus_reset(tpm);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
	CU_ASSERT_EQUAL_FATAL(tpm->bus.commands, ADVANCE_COMMANDS);
	CU_ASSERT_EQUAL(memcmp(tpm->bus.codes, advance_codes, sizeof(advance_codes)), 0);
	for (size_t i = 0; i < 2 * ADVANCE_COMMANDS; i++) {
		uint32_t at = (uint32_t)(i / 2);
		bool done = at > AT_INCREMENT || (at == AT_INCREMENT && i % 2 == 1);
		int rc;

		bus_reset(tpm);
		tpm->bus.fault = faults[i % 2];
		tpm->bus.fault_at = at;
		rc = witness->ops->advance(witness, value + 1);
		CU_ASSERT_EQUAL(rc, at < ADVANCE_COMMANDS - 1 ? -EIO : 0);
		bus_reset(tpm);
		/* What was in the TPM is gone again, but for a session that nobody heard of. */
		CU_ASSERT(count_handles(tpm) == 0 || (at == 1 && i % 2 == 1) ||
		          at == ADVANCE_COMMANDS - 1);
		if (i % 3 == 0)
			tpm_cut_power(tpm);
		CU_ASSERT_EQUAL(witness->ops->read(witness, &found), 0);
		CU_ASSERT_EQUAL(found, done ? value + 1 : value);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
		CU_ASSERT_EQUAL(value_of(witness), value);
		tpm_cut_power(tpm);
	}
	tear_down(witness);
}

/* The TPM goes away at each command of the creation: no counter is left, or a right one. */
static void
test_gone_in_creation(void)
{
	struct weir_witness *witness;
	uint32_t commands;
	int rc;

	tpm = tpm_box_new();
	bus_reset(tpm);
	MUST(create_it(&witness));
	witness->ops->close(witness);
	commands = tpm->bus.commands;
	CU_ASSERT(commands >= 8 && commands < 20);
	for (uint32_t i = 0; i < 2 * commands; i++) {
		remove_index();
		bus_reset(tpm);
		tpm->bus.fault = i % 2 == 0 ? TPM_FAULT_LOST : TPM_FAULT_NO_ANSWER;
		tpm->bus.fault_at = i / 2;
		rc = create_it(&witness);
		bus_reset(tpm);
		tpm_cut_power(tpm);
		if (rc == 0) { /* it was but a flush */
			CU_ASSERT(value_of(witness) > 0);
			witness->ops->close(witness);
			continue;
		}
		rc = open_it(secret, &witness);
		/* Defined, and the answer lost: nobody knows that it is there. */
		CU_ASSERT(rc == -ENOENT || rc == -ENODATA);
		if (rc == -ENOENT) {
			MUST(create_it(&witness));
			witness->ops->close(witness);
		}
	}
	tear_down(NULL);
}

/* A bus that changes any one bit of an answer gets an error, or changes nothing. */
static void
test_flipped_answers(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint64_t value, found;
	struct weir_witness *witness = set_up(&value);

	for (uint32_t i = 0; i < 400; i++) {
		int rc;

		bus_reset(tpm);
		tpm->bus.fault = TPM_FAULT_FLIP;
		tpm->bus.fault_at = (uint32_t)weir_random_below(&random, 4);
		/* What matters most, the value that was read: each bit of it. */
		tpm->bus.flip_bit = (uint32_t)weir_random_next(&random);
		if (i < 64) {
			tpm->bus.fault_at = AT_READ;
			tpm->bus.flip_bit = (TPM_HEADER + 6) * 8 + i;
		}
		rc = witness->ops->read(witness, &found);
		CU_ASSERT_NOT_EQUAL(rc, -EAGAIN);
		CU_ASSERT(rc <= 0);
		CU_ASSERT(rc != 0 || found == value);
		if (i < 64)
			CU_ASSERT_EQUAL(rc, -EACCES);
		bus_reset(tpm);
		if (i % 3 == 2)
			tpm_cut_power(tpm); /* of the sessions whose handle was changed */
	}
	CU_ASSERT_EQUAL(value_of(witness), value);
	tear_down(witness);
}

/* An old answer of the same TPM to the same question. */
static void
test_played_back(void)
{
	uint64_t value, found;
	struct weir_witness *witness = set_up(&value);

	CU_ASSERT_EQUAL(value_of(witness), value);
	tpm->bus.replacement = tpm->bus.last_read;
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	bus_reset(tpm);
	tpm->bus.fault = TPM_FAULT_REPLACE;
	tpm->bus.fault_at = AT_READ;
	CU_ASSERT_EQUAL(witness->ops->read(witness, &found), -EACCES);
	bus_reset(tpm);
	CU_ASSERT_EQUAL(value_of(witness), value + 1);
	CU_ASSERT_EQUAL(count_handles(tpm), 0);
	tear_down(witness);
}

/* A TPM that is busy is asked again, not without end. */
static void
test_busy(void)
{
	static const uint32_t codes[] = {TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_NV_RATE,
	                                 TPM2_RC_NV_UNAVAILABLE};
	uint64_t value;
	struct weir_witness *witness = set_up(&value);

	tpm->bus.fault = TPM_FAULT_CODE;
	for (size_t i = 0; i < WEIR_TEST_COUNT(codes) * 4; i++) {
		bus_reset(tpm);
		tpm->bus.fault = TPM_FAULT_CODE;
		tpm->bus.code = codes[i / 4];
		tpm->bus.fault_at = (uint32_t)(i % 4);
		tpm->bus.fault_count = 3;
		CU_ASSERT_EQUAL(witness->ops->advance(witness, ++value), 0);
	}
	bus_reset(tpm);
	tpm->bus.fault = TPM_FAULT_CODE;
	tpm->bus.code = TPM2_RC_NV_RATE;
	tpm->bus.fault_at = AT_INCREMENT;
	tpm->bus.fault_count = UINT32_MAX;
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), -EBUSY);
	CU_ASSERT(tpm->bus.commands < 100);
	bus_reset(tpm);
	tpm_cut_power(tpm); /* of the session, whose flush was refused as well */
	CU_ASSERT_EQUAL(value_of(witness), value);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	tear_down(witness);
}

/* Who listens on the bus never sees the secret, not even when the counter is made. */
static void
test_secret_on_the_bus(void)
{
	struct weir_witness *witness;
	uint64_t value;

	tpm = tpm_box_new();
	tpm->bus.needle = secret;
	tpm->bus.needle_bytes = 8;
	MUST(create_it(&witness));
	value = value_of(witness);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
	CU_ASSERT(tpm->bus.commands > 10);
	CU_ASSERT(!tpm->bus.needle_found);
	/* That it would have been found: the index's number is in each of those commands. */
	tpm->bus.needle =
	    (const uint8_t[]){INDEX >> 24, INDEX >> 16 & 0xff, INDEX >> 8 & 0xff, INDEX & 0xff};
	tpm->bus.needle_bytes = 4;
	CU_ASSERT_EQUAL(value_of(witness), value + 1);
	CU_ASSERT(tpm->bus.needle_found);
	tpm->bus.needle = NULL;
	tear_down(witness);
}

static const struct weir_test tests[] = {
    {"create, read, advance", test_life},
    {"made again, it stands higher", test_made_again},
    {"power cuts", test_power_cuts},
    {"a wrong secret", test_wrong_secret},
    {"other indices of that number", test_other_indices},
    {"the index is exchanged", test_exchanged},
    {"TPM2_Clear; an owner with a password", test_owner},
    {"no TPM, and then one again", test_no_tpm},
    {"no session is left behind", test_no_leak},
    {"gone at each command", test_gone_at_each_command},
    {"gone at each command of the creation", test_gone_in_creation},
    {"answers with a bit changed", test_flipped_answers},
    {"an old answer", test_played_back},
    {"a busy TPM", test_busy},
    {"the secret on the bus", test_secret_on_the_bus},
};

int
main(void)
{
	/* The library's messages are wanted only by who asks for them. */
	if (setenv("TSS2_LOG", "all+NONE", 0) != 0)
		return 1;
	return weir_test_run("witness_tpm", tests, WEIR_TEST_COUNT(tests));
}
