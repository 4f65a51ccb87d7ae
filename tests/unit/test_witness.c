/* SPDX-License-Identifier: BSD-3-Clause */
/* The witness in a file: on a real file, and on a disk that loses, tears and garbles. */
#include "drivers/witness.h"
#include "tests/sim/disk_sim.h"

#include <endian.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY           4096U
#define FILE_BYTES     (2 * COPY)
#define AT_MAC         64U
#define AT_CHECKSUM    4064U
#define DAMAGE_SEEDS   3000U
#define CRASH_SEEDS    400U
#define NOTICED_ROUNDS 400U

#define NEVER          UINT64_MAX
#define MUST(call)     CU_ASSERT_EQUAL_FATAL((call), 0)

static const uint8_t secret[WEIR_WITNESS_SECRET_BYTES] = "the secret of one ledger's key.";
static const uint8_t other_secret[WEIR_WITNESS_SECRET_BYTES] = "the secret of the next one's...";

/* Linked with --wrap: the disk under the file, where a test has put one. */
static struct weir_disk_sim *sim;
static uint64_t creation_fails_at = NEVER; /* call after the file was made */
int __real_weir_disk_open_file(const char *path, struct weir_disk **disk);
int __wrap_weir_disk_open_file(const char *path, struct weir_disk **disk);
int __real_weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk);
int __wrap_weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk);

int
__wrap_weir_disk_open_file(const char *path, struct weir_disk **disk)
{
	if (sim == NULL)
		return __real_weir_disk_open_file(path, disk);
	*disk = weir_disk_sim_attach(sim);
	return 0;
}

int
__wrap_weir_disk_create_file(const char *path, uint64_t bytes, struct weir_disk **disk)
{
	int rc = 0;

	if (sim == NULL)
		rc = __real_weir_disk_create_file(path, bytes, disk);
	else
		*disk = weir_disk_sim_attach(sim);
	if (sim != NULL && creation_fails_at != NEVER)
		weir_disk_sim_plan(sim, creation_fails_at, WEIR_FAULT_ERROR, -EIO);
	return rc;
}

static char folder[] = "/tmp/weir-test-witness-XXXXXX";

static const char *
path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static struct weir_witness *
create(void)
{
	struct weir_witness *witness;

	unlink(path_of("witness"));
	MUST(weir_witness_create_file(path_of("witness"), secret, &witness));
	return witness;
}

static uint64_t
value_of(struct weir_witness *witness)
{
	uint64_t value = 0;

	MUST(witness->ops->read(witness, &value));
	return value;
}

static void
load(uint8_t bytes[FILE_BYTES])
{
	int fd;

	if (sim != NULL) {
		weir_disk_sim_peek(sim, bytes, FILE_BYTES, 0);
		return;
	}
	fd = open(path_of("witness"), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(pread(fd, bytes, FILE_BYTES, 0), FILE_BYTES);
	close(fd);
}

static void
store(const uint8_t *bytes, size_t size)
{
	int fd;

	if (sim != NULL) {
		weir_disk_sim_poke(sim, bytes, size, 0);
		return;
	}
	fd = open(path_of("witness"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, bytes, size, 0), (ssize_t)size);
	close(fd);
}

/* From now on, the file is in memory. */
static void
use_sim(uint64_t bytes, uint64_t seed)
{
	sim = weir_disk_sim_new(bytes, seed);
}

static void
drop_sim(void)
{
	weir_disk_sim_free(sim);
	sim = NULL;
}

static void
test_life(void)
{
	struct weir_witness *witness, *none;
	struct stat st;
	uint64_t value;

	CU_ASSERT_EQUAL(weir_witness_open_file(path_of("witness"), secret, &none), -ENOENT);
	witness = create();
	CU_ASSERT_EQUAL(value_of(witness), 1);
	CU_ASSERT_EQUAL(stat(path_of("witness"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(st.st_size, FILE_BYTES);
	CU_ASSERT_EQUAL(weir_witness_create_file(path_of("witness"), secret, &none), -EEXIST);
	CU_ASSERT_EQUAL(weir_witness_open_file(path_of("witness"), secret, &none), -EBUSY);
	for (value = 1; value < 40;) {
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value), 0);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 1), 0);
		CU_ASSERT_EQUAL(value_of(witness), ++value);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value + 2), -ERANGE);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, value - 1), -ERANGE);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, 0), -ERANGE);
		if (value % 5 == 0) {
			witness->ops->close(witness);
			MUST(weir_witness_open_file(path_of("witness"), secret, &witness));
		}
	}
	CU_ASSERT_EQUAL(value_of(witness), 40);
	witness->ops->close(witness);
}

/* The file, byte by byte, as its description says. */
static void
test_format(void)
{
	static const uint8_t zero[COPY];
	struct weir_witness *witness = create();
	uint8_t bytes[FILE_BYTES], mac[32], checksum[32];

	CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), 0);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 3), 0);
	witness->ops->close(witness);
	load(bytes);
	for (uint32_t i = 0; i < 2; i++) {
		const uint8_t *copy = bytes + i * COPY;
		const uint8_t head[24] = {'W',
		                          'E',
		                          'I',
		                          'R',
		                          'W',
		                          'I',
		                          'T',
		                          'N',
		                          1,
		                          0,
		                          0,
		                          0,
		                          (uint8_t)i,
		                          0,
		                          0,
		                          0,
		                          (uint8_t)(2 + i)};

		CU_ASSERT_EQUAL(memcmp(copy, head, sizeof(head)), 0);
		CU_ASSERT_EQUAL(memcmp(copy + 24, zero, 40), 0);
		crypto_generichash_blake2b_salt_personal(mac, 32, copy, AT_MAC, secret, 32, NULL,
		                                         (const uint8_t *)"weir-witness-001");
		CU_ASSERT_EQUAL(memcmp(copy + AT_MAC, mac, 32), 0);
		CU_ASSERT_EQUAL(memcmp(copy + 96, zero, AT_CHECKSUM - 96), 0);
		crypto_generichash_blake2b(checksum, 32, copy, AT_CHECKSUM, NULL, 0);
		CU_ASSERT_EQUAL(memcmp(copy + AT_CHECKSUM, checksum, 32), 0);
	}
}

static void
seal(uint8_t *copy, const uint8_t *with)
{
	crypto_generichash_blake2b_salt_personal(copy + AT_MAC, 32, copy, AT_MAC, with, 32, NULL,
	                                         (const uint8_t *)"weir-witness-001");
	crypto_generichash_blake2b(copy + AT_CHECKSUM, 32, copy, AT_CHECKSUM, NULL, 0);
}

/* Each refusal, and that nothing is written. */
static void
refused(const uint8_t *bytes, size_t size, int expected)
{
	struct weir_witness *none;
	uint8_t after[FILE_BYTES + 1];
	int fd;

	store(bytes, size);
	CU_ASSERT_EQUAL(weir_witness_open_file(path_of("witness"), secret, &none), expected);
	fd = open(path_of("witness"), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pread(fd, after, sizeof(after), 0), (ssize_t)size);
	CU_ASSERT_EQUAL(memcmp(after, bytes, size), 0);
	close(fd);
}

static void
test_refusals(void)
{
	struct weir_witness *witness = create(), *none;
	uint8_t good[FILE_BYTES + 1] = {0}, bad[FILE_BYTES];

	witness->ops->close(witness);
	load(good);
	/* Another size; nothing in it. */
	refused(good, 0, -EBADMSG);
	refused(good, 1, -EBADMSG);
	refused(good, COPY, -EBADMSG);
	refused(good, FILE_BYTES - 1, -EBADMSG);
	refused(good, FILE_BYTES + 1, -EBADMSG);
	memset(bad, 0, sizeof(bad));
	refused(bad, FILE_BYTES, -EBADMSG);
	/* Copies that are whole, each in the other's place. */
	memcpy(bad, good + COPY, COPY);
	memcpy(bad + COPY, good, COPY);
	refused(bad, FILE_BYTES, -EBADMSG);
	/* Another ledger's: both copies, or one, with the other one right or damaged. */
	memcpy(bad, good, FILE_BYTES);
	seal(bad, other_secret);
	refused(bad, FILE_BYTES, -EACCES);
	bad[COPY + 3] ^= 1;
	refused(bad, FILE_BYTES, -EACCES);
	memcpy(bad + COPY, good + COPY, COPY);
	seal(bad + COPY, other_secret);
	refused(bad, FILE_BYTES, -EACCES);
	memcpy(bad, good, COPY);
	refused(bad, FILE_BYTES, -EACCES);
	/* A version that nobody knows yet. */
	memcpy(bad, good, FILE_BYTES);
	bad[8] = 2;
	seal(bad, secret);
	refused(bad, FILE_BYTES, -EPROTONOSUPPORT);
	/* The last value has no successor. */
	memcpy(bad, good, FILE_BYTES);
	memset(bad + COPY + 16, 0xff, 8);
	seal(bad + COPY, secret);
	refused(bad, FILE_BYTES, -EOVERFLOW);

	unlink(path_of("witness"));
	MUST(mkfifo(path_of("witness"), 0600));
	CU_ASSERT_EQUAL(weir_witness_open_file(path_of("witness"), secret, &none), -EINVAL);
	unlink(path_of("witness"));
	CU_ASSERT_EQUAL(weir_witness_open_file(path_of("."), secret, &none), -EISDIR);
	CU_ASSERT_EQUAL(weir_witness_create_file(path_of("no/witness"), secret, &none), -ENOENT);
}

/* While it is open: removed under it, cut short, another one put in its place. */
static void
test_exchanged(void)
{
	struct weir_witness *witness = create(), *other;
	uint8_t bytes[FILE_BYTES];
	uint64_t value;

	load(bytes);
	MUST(truncate(path_of("witness"), COPY));
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -EBADMSG);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), -EBADMSG);
	unlink(path_of("witness"));
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -ENOENT);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), -ENOENT);
	MUST(weir_witness_create_file(path_of("witness"), other_secret, &other));
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -EBUSY);
	other->ops->close(other);
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), -EACCES);
	/* It is back: so is the witness. */
	store(bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(witness->ops->read(witness, &value), 0);
	CU_ASSERT_EQUAL(value, 1);
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), 0);
	witness->ops->close(witness);
}

/* Every bit of both copies, one at a time: the value stays, or counts as one more. */
static void
test_each_bit(void)
{
	struct weir_witness *witness;
	uint8_t bytes[FILE_BYTES];
	uint32_t wrong = 0;

	use_sim(FILE_BYTES, weir_test_seed());
	witness = create();
	CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), 0);
	load(bytes);
	for (uint32_t bit = 0; bit < FILE_BYTES * 8; bit++) {
		uint8_t changed = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
		uint64_t value = 0, expected = bit / 8 < COPY ? 2 : 3;

		weir_disk_sim_poke(sim, &changed, 1, bit / 8);
		if (witness->ops->read(witness, &value) != 0 || value != expected)
			wrong++;
		weir_disk_sim_poke(sim, &bytes[bit / 8], 1, bit / 8);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	witness->ops->close(witness);
	drop_sim();
}

/* One copy damaged in some way: older, of another value, torn, zeroed, garbled. */
static void
damage(struct weir_random *random, uint8_t *copy, const uint8_t *older)
{
	size_t from = (size_t)weir_random_below(random, COPY);

	switch (weir_random_below(random, 6)) {
	case 0: /* four values or more ago */
		memcpy(copy, older, COPY);
		break;
	case 1: /* torn: the head is of an older one, or the tail */
		memcpy(copy, older, weir_random_between(random, 17, AT_CHECKSUM + 20));
		break;
	case 2:
		memset(copy, 0, 512);
		break;
	case 3:
		weir_random_fill(random, copy + from, COPY - from);
		break;
	case 4: /* a value made up, without the secret */
		weir_random_fill(random, copy + 16, 8);
		crypto_generichash_blake2b(copy + AT_CHECKSUM, 32, copy, AT_CHECKSUM - 1, NULL, 0);
		break;
	default:
		copy[from] ^= (uint8_t)(1U << weir_random_below(random, 8));
	}
}

/* One copy after the other gets damaged, with an advance between: it never stands lower. */
static void
test_damage(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct weir_witness *witness;
	uint8_t older[FILE_BYTES], bytes[FILE_BYTES];
	uint64_t value = 1, found;

	use_sim(FILE_BYTES, weir_test_seed());
	witness = create();
	load(older);
	for (uint32_t i = 0; i < DAMAGE_SEEDS; i++) {
		uint32_t victim = (uint32_t)weir_random_below(&random, 2);

		for (uint64_t n = weir_random_between(&random, 4, 6); n > 0; n--)
			CU_ASSERT_EQUAL_FATAL(witness->ops->advance(witness, ++value), 0);
		if (weir_random_one_in(&random, 3)) {
			witness->ops->close(witness);
			witness = NULL;
		}
		load(bytes);
		damage(&random, bytes + victim * COPY, older + victim * COPY);
		store(bytes, sizeof(bytes));
		if (witness == NULL)
			MUST(weir_witness_open_file(path_of("witness"), secret, &witness));
		found = value_of(witness);
		CU_ASSERT_EQUAL_FATAL(found, victim == value % 2 ? value : value + 1);
		value = found;
		/* Asked for what it stands at, it makes both copies good again; or for the next. */
		value += weir_random_below(&random, 2);
		CU_ASSERT_EQUAL_FATAL(witness->ops->advance(witness, value), 0);
		CU_ASSERT_EQUAL_FATAL(value_of(witness), value);
		load(older);
		CU_ASSERT_EQUAL(older[value % 2 * COPY + 16], (uint8_t)value);
	}
	witness->ops->close(witness);
	drop_sim();
}

/* Both damaged: refused, whatever it is. */
static void
test_both_damaged(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);
	struct weir_witness *witness;
	uint8_t good[FILE_BYTES], bad[FILE_BYTES];

	use_sim(FILE_BYTES, weir_test_seed());
	witness = create();
	load(good);
	witness->ops->close(witness);
	for (uint32_t i = 0; i < DAMAGE_SEEDS; i++) {
		int rc;

		memcpy(bad, good, sizeof(bad));
		for (uint32_t copy = 0; copy < 2; copy++) {
			uint8_t *at = bad + copy * COPY;

			if (weir_random_one_in(&random, 2))
				weir_random_fill(&random, at, COPY);
			else
				at[weir_random_below(&random, COPY)] ^= 0x10;
		}
		store(bad, sizeof(bad));
		CU_ASSERT_EQUAL(weir_witness_open_file(path_of("witness"), secret, &witness),
		                -EBADMSG);
		/* A head of anything, its checksum right. */
		weir_random_fill(&random, bad + 8, (size_t)weir_random_below(&random, 90));
		bad[17] = good[17] ^ 1;
		crypto_generichash_blake2b(bad + AT_CHECKSUM, 32, bad, AT_CHECKSUM, NULL, 0);
		store(bad, sizeof(bad));
		rc = weir_witness_open_file(path_of("witness"), secret, &witness);
		CU_ASSERT(rc == -EBADMSG || rc == -EACCES || rc == -EPROTONOSUPPORT);
	}
	drop_sim();
}

/* The power goes, or the disk fails, in the middle of any write or sync, again and again. */
static void
crash(uint64_t seed)
{
	struct weir_random random = weir_random_make(seed);
	struct weir_witness *witness;
	uint64_t confirmed, found;

	use_sim(FILE_BYTES, seed);
	MUST(weir_witness_create_file("simulated", secret, &witness));
	confirmed = value_of(witness);
	for (uint32_t i = 0; i < 30; i++) {
		bool cut = weir_random_one_in(&random, 2);
		int rc;

		weir_disk_sim_plan(sim, weir_disk_sim_calls(sim) + weir_random_below(&random, 6),
		                   cut ? WEIR_FAULT_POWER_CUT : WEIR_FAULT_ERROR, -EIO);
		rc = witness->ops->advance(witness, confirmed + 1);
		CU_ASSERT_FATAL(rc == 0 || weir_disk_sim_faulted(sim));
		if (rc == 0)
			confirmed++;
		if (cut || weir_random_one_in(&random, 3)) {
			if (!cut)
				weir_disk_sim_power_cut(sim);
			witness->ops->close(witness);
			MUST(weir_witness_open_file("simulated", secret, &witness));
		}
		CU_ASSERT_EQUAL_FATAL(witness->ops->read(witness, &found), 0);
		CU_ASSERT_FATAL(found == confirmed || (rc != 0 && found == confirmed + 1));
		/* Durable is what an advance has said, not what was read. */
		if (weir_random_one_in(&random, 2)) {
			CU_ASSERT_EQUAL_FATAL(witness->ops->advance(witness, found), 0);
			confirmed = found;
		}
	}
	witness->ops->close(witness);
	drop_sim();
}

static void
test_crashes(void)
{
	for (uint32_t i = 0; i < CRASH_SEEDS; i++)
		crash(weir_test_seed() + i);
}

/* After a write or sync that failed, what is read may not be on the disk: it is written again. */
static void
test_failed_sync(void)
{
	struct weir_witness *witness;
	uint64_t value;

	for (uint64_t call = 0; call < 2; call++) {
		use_sim(FILE_BYTES, weir_test_seed());
		MUST(weir_witness_create_file("simulated", secret, &witness));
		weir_disk_sim_plan(sim, weir_disk_sim_calls(sim) + call, WEIR_FAULT_ERROR, -EIO);
		CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), -EIO);
		/* Asked again, it writes again. */
		CU_ASSERT_EQUAL(witness->ops->advance(witness, 2), 0);
		CU_ASSERT(weir_disk_sim_calls(sim) >= 2);
		weir_disk_sim_power_cut(sim);
		/* The disk is back, and the next call but one finds it. */
		CU_ASSERT_NOT_EQUAL(witness->ops->read(witness, &value), 0);
		CU_ASSERT_EQUAL(witness->ops->read(witness, &value), 0);
		CU_ASSERT_EQUAL(value, 2);
		witness->ops->close(witness);
		drop_sim();
	}
}

/* A write that succeeds and is not what it seems is no advance. */
static void
test_noticed(void)
{
	static const enum weir_disk_fault faults[] = {WEIR_FAULT_LOST, WEIR_FAULT_TORN,
	                                              WEIR_FAULT_GARBLED, WEIR_FAULT_MISDIRECTED};
	struct weir_witness *witness;
	uint8_t bytes[FILE_BYTES];
	uint64_t value = 1, found;
	uint32_t noticed = 0;
	int rc;

	use_sim(FILE_BYTES, weir_test_seed());
	witness = create();
	for (uint32_t i = 0; i < NOTICED_ROUNDS; i++) {
		enum weir_disk_fault fault = faults[i % WEIR_TEST_COUNT(faults)];
		uint64_t hits = weir_disk_sim_hits(sim, fault);

		weir_disk_sim_arm(sim, fault, 0, 0);
		rc = witness->ops->advance(witness, value + 1);
		/* Torn where nothing changes: that is as good as written. */
		CU_ASSERT(rc == -EIO || (rc == 0 && fault == WEIR_FAULT_TORN));
		CU_ASSERT_EQUAL(weir_disk_sim_hits(sim, fault), hits + 1);
		noticed += rc != 0;
		weir_disk_sim_peek_durable(sim, bytes, sizeof(bytes), 0);
		CU_ASSERT(rc != 0 || bytes[(value + 1) % 2 * COPY + 16] == (uint8_t)(value + 1));
		CU_ASSERT_EQUAL_FATAL(witness->ops->read(witness, &found), 0);
		CU_ASSERT((rc != 0 && found == value) || found == value + 1);
		CU_ASSERT_EQUAL_FATAL(witness->ops->advance(witness, ++value), 0);
		/* Once more, for two whole copies. */
		CU_ASSERT_EQUAL_FATAL(witness->ops->advance(witness, ++value), 0);
		CU_ASSERT_EQUAL(value_of(witness), value);
	}
	CU_ASSERT(noticed > NOTICED_ROUNDS * 3 / 4);
	witness->ops->close(witness);
	drop_sim();
}

/* What can't be made durable is removed again. */
static void
test_creation_fails(void)
{
	struct weir_witness *none;

	for (creation_fails_at = 0; creation_fails_at < 4; creation_fails_at++) {
		use_sim(FILE_BYTES, weir_test_seed());
		close(open(path_of("witness"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		CU_ASSERT_EQUAL(weir_witness_create_file(path_of("witness"), secret, &none), -EIO);
		CU_ASSERT_EQUAL(access(path_of("witness"), F_OK), -1);
		drop_sim();
	}
	creation_fails_at = NEVER;
}

static const struct weir_test tests[] = {
    {"create, read, advance, lock", test_life},
    {"the format", test_format},
    {"what is refused", test_refusals},
    {"exchanged while it is open", test_exchanged},
    {"each bit", test_each_bit},
    {"one damaged copy", test_damage},
    {"both copies damaged", test_both_damaged},
    {"crashes", test_crashes},
    {"a failed write or sync", test_failed_sync},
    {"writes that are not what they seem", test_noticed},
    {"a file that can't be written is not made", test_creation_fails},
};

int
main(void)
{
	int rc;

	if (sodium_init() < 0 || mkdtemp(folder) == NULL)
		return 1;
	rc = weir_test_run("witness", tests, WEIR_TEST_COUNT(tests));
	unlink(path_of("witness"));
	rmdir(folder);
	return rc;
}
