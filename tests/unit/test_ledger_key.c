/* SPDX-License-Identifier: BSD-3-Clause */
/* The key file: what is written, what is believed, and all that is not. */
#include "control/ledger_key.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDENTITY "000102030405060708090a0b0c0d0e0f"
#define DIGITS   "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff00112233445566778899aabbccddeeff"
#define GOOD                                                                                       \
	"{\"weir_ledger_key\": 1, \"appliance\": \"box-1\", \"identity\": \"" IDENTITY             \
	"\", \"key\": \"" DIGITS "\"}"

/* Linked with --wrap: how many were synced, what the last one was, and which one is to fail. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static struct {
	uint32_t count;
	uint32_t fail_at; /* 0: none; 1: the first */
	bool folder[4];
} syncs;

int
__wrap_fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || syncs.count == WEIR_TEST_COUNT(syncs.folder))
		abort();
	syncs.folder[syncs.count++] = S_ISDIR(st.st_mode);
	if (syncs.count != syncs.fail_at)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

static char folder[64], path[80];
static char error[512];

/* The file again, with these contents. */
static void
write_file(const char *text, size_t bytes)
{
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes || fchmod(fd, 0400) != 0)
		abort();
	(void)close(fd);
}

static int
load(struct weir_ledger_key *key)
{
	static const struct weir_ledger_key zero;
	int rc;

	snprintf(error, sizeof(error), "unset");
	memset(key, 0x5a, sizeof(*key));
	rc = weir_ledger_key_load(path, key, error, sizeof(error));
	if (rc != 0) {
		CU_ASSERT_PTR_NOT_NULL(strstr(error, path));
		CU_ASSERT_PTR_NULL(strchr(error, '\n'));
		CU_ASSERT_EQUAL(memcmp(key, &zero, sizeof(zero)), 0);
	}
	return rc;
}

static void
test_round_trip(void)
{
	struct weir_ledger_key key, other, again;
	uint8_t id[16], secret[32], secret_again[32];
	struct stat st;
	mode_t mask;

	weir_ledger_key_make("box-1", &key);
	weir_ledger_key_make("box-1", &other);
	CU_ASSERT_STRING_EQUAL(key.appliance, "box-1");
	CU_ASSERT_NOT_EQUAL(memcmp(key.identity, other.identity, sizeof(key.identity)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(key.key, other.key, sizeof(key.key)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(key.id, other.id, sizeof(key.id)), 0);
	CU_ASSERT_EQUAL(
	    crypto_generichash_blake2b_salt_personal(id, sizeof(id), key.key, sizeof(key.key), NULL,
	                                             0, NULL, (const uint8_t *)"weir-ledger-keyi"),
	    0);
	CU_ASSERT_EQUAL(memcmp(id, key.id, sizeof(id)), 0);

	(void)unlink(path);
	memset(&syncs, 0, sizeof(syncs));
	mask = umask(0777);
	CU_ASSERT_EQUAL(weir_ledger_key_save(path, &key), 0);
	(void)umask(mask);
	CU_ASSERT_EQUAL(syncs.count, 2);
	CU_ASSERT(!syncs.folder[0] && syncs.folder[1]);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0400);
	CU_ASSERT_EQUAL(weir_ledger_key_save(path, &other), -EEXIST);
	CU_ASSERT_EQUAL(load(&again), 0);
	CU_ASSERT_EQUAL(memcmp(&key, &again, sizeof(key)), 0);

	weir_ledger_key_secret(&key, secret);
	weir_ledger_key_secret(&again, secret_again);
	CU_ASSERT_EQUAL(memcmp(secret, secret_again, sizeof(secret)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(secret, key.key, sizeof(secret)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(secret, key.id, sizeof(key.id)), 0);
	weir_ledger_key_secret(&other, secret_again);
	CU_ASSERT_NOT_EQUAL(memcmp(secret, secret_again, sizeof(secret)), 0);
	weir_ledger_key_wipe(&key);
	CU_ASSERT_EQUAL(sodium_is_zero((const uint8_t *)&key, sizeof(key)), 1);
}

/* A key that may be gone after a power cut is not made: its ledger would be of no use. */
static void
test_save_without_sync(void)
{
	struct weir_ledger_key key;
	char missing[96];

	weir_ledger_key_make("box-1", &key);
	for (uint32_t call = 1; call <= 2; call++) {
		(void)unlink(path);
		memset(&syncs, 0, sizeof(syncs));
		syncs.fail_at = call;
		CU_ASSERT_EQUAL(weir_ledger_key_save(path, &key), -EIO);
		CU_ASSERT_EQUAL(syncs.count, call);
		CU_ASSERT_EQUAL(access(path, F_OK), -1);
	}
	memset(&syncs, 0, sizeof(syncs));
	snprintf(missing, sizeof(missing), "%s/no/key", folder);
	CU_ASSERT_EQUAL(weir_ledger_key_save(missing, &key), -ENOENT);
}

static void
test_mode_and_owner(void)
{
	struct weir_ledger_key key;

	write_file(GOOD, strlen(GOOD));
	for (mode_t mode = 0; mode <= 07777; mode++) {
		CU_ASSERT_EQUAL_FATAL(chmod(path, mode), 0);
		CU_ASSERT_EQUAL(load(&key), mode == 0400 ? 0 : -EACCES);
	}
	CU_ASSERT_EQUAL_FATAL(chmod(path, 0400), 0);
	CU_ASSERT_EQUAL(load(&key), 0);
	CU_ASSERT_STRING_EQUAL(key.appliance, "box-1");
	CU_ASSERT_EQUAL(key.identity[15], 0x0f);
	CU_ASSERT_EQUAL(key.key[0], 0xf0);
	CU_ASSERT_EQUAL(key.key[31], 0xff);
	if (geteuid() == 0) { /* who else may give a file away? */
		CU_ASSERT_EQUAL_FATAL(chown(path, 65534, 0), 0);
		CU_ASSERT_EQUAL(load(&key), -EACCES);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "owner"));
	}
	(void)unlink(path);
	CU_ASSERT_EQUAL(load(&key), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0400), 0);
	CU_ASSERT_EQUAL(load(&key), -EACCES);
	(void)unlink(path);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0400), 0);
	CU_ASSERT_EQUAL(load(&key), -EACCES);
	(void)rmdir(path);
}

static void
test_contents(void)
{
#define MEMBERS(version, appliance, identity, key)                                                 \
	"{\"weir_ledger_key\":" version ",\"appliance\":" appliance ",\"identity\":" identity      \
	",\"key\":" key
#define ONE     "1"
#define NAME    "\"box-1\""
#define IDENT   "\"" IDENTITY "\""
#define KEY     "\"" DIGITS "\""
#define LONGEST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
	static const struct {
		const char *text;
		const char *word; /* NULL: accepted */
	} cases[] = {
	    {GOOD, NULL},
	    {" \n" GOOD "\n", NULL},
	    {MEMBERS(ONE, NAME, IDENT, KEY) "}", NULL},
	    {MEMBERS(ONE, "\"" LONGEST "\"", IDENT, KEY) "}", NULL},
	    {"", "object"},
	    {"[]", "object"},
	    {"1", "object"},
	    {"{}", "weir_ledger_key"},
	    {GOOD GOOD, "object"},
	    {GOOD "x", "object"},
	    {MEMBERS(ONE, NAME, IDENT, KEY), "object"},
	    {MEMBERS("2", NAME, IDENT, KEY) "}", "weir_ledger_key"},
	    {MEMBERS("1.0", NAME, IDENT, KEY) "}", "weir_ledger_key"},
	    {MEMBERS("\"1\"", NAME, IDENT, KEY) "}", "weir_ledger_key"},
	    {MEMBERS("true", NAME, IDENT, KEY) "}", "weir_ledger_key"},
	    {MEMBERS(ONE, "\"\"", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, "\"" LONGEST "V\"", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, "\"a b\"", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, "\"a\\nb\"", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, "\"a\\u0000\"", IDENT, KEY) "}", "object"},
	    {MEMBERS(ONE, "\"\\u00e4\"", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, "null", IDENT, KEY) "}", "appliance"},
	    {MEMBERS(ONE, NAME, "\"" IDENTITY "0\"", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, "\"" IDENTITY "00\"", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, "\"0001\"", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, "\"g00102030405060708090a0b0c0d0e0f\"", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, "\"00:02030405060708090a0b0c0d0e0f0\"", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, "17", KEY) "}", "identity"},
	    {MEMBERS(ONE, NAME, IDENT, "\"" IDENTITY "\"") "}", "key\""},
	    {MEMBERS(ONE, NAME, IDENT, "\"" DIGITS "ff\"") "}", "key\""},
	    {MEMBERS(ONE, NAME, IDENT, "[]") "}", "key\""},
	    {MEMBERS(ONE, NAME, IDENT, KEY) ",\"x\":1}", "members"},
	    {MEMBERS(ONE, NAME, IDENT, KEY) ",\"key\":" KEY "}", "twice"},
	    {MEMBERS(ONE, NAME, IDENT, KEY) ",\"appliance\":\"other\"}", "twice"},
	    {"{\"appliance\":" NAME ",\"identity\":" IDENT ",\"key\":" KEY "}", "weir_ledger_key"},
	    {"{\"weir_ledger_key\":1,\"appliance\":" NAME ",\"identity\":" IDENT "}", "key\""},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		struct weir_ledger_key key;
		int rc;

		write_file(cases[i].text, strlen(cases[i].text));
		rc = load(&key);
		CU_ASSERT_EQUAL(rc, cases[i].word == NULL ? 0 : -EINVAL);
		if (cases[i].word != NULL && strstr(error, cases[i].word) == NULL) {
			printf("    case %zu: %s\n", i, error);
			CU_FAIL("another reason");
		}
	}
}

/* Cut anywhere: refused. Any bit changed: refused, or another key, but for the case of a digit. */
static void
test_damage(void)
{
	struct weir_ledger_key good, key;
	char text[sizeof(GOOD)], padded[2048];
	uint32_t refused = 0;

	write_file(GOOD, strlen(GOOD));
	CU_ASSERT_EQUAL_FATAL(load(&good), 0);
	for (size_t bytes = 0; bytes < strlen(GOOD); bytes++) {
		write_file(GOOD, bytes);
		CU_ASSERT_EQUAL(load(&key), -EINVAL);
	}
	for (size_t bit = 0; bit < 8 * strlen(GOOD); bit++) {
		memcpy(text, GOOD, sizeof(text));
		text[bit / 8] = (char)(text[bit / 8] ^ (char)(1U << bit % 8));
		write_file(text, strlen(GOOD));
		if (load(&key) != 0)
			refused++;
		else if (memcmp(&good, &key, sizeof(key)) == 0)
			CU_ASSERT(strspn((char[]){text[bit / 8], '\0'}, "ABCDEF\t\n\r ") == 1);
	}
	CU_ASSERT(refused > 1000);
	/* A whole key behind spaces: to the limit, and one byte longer. */
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, GOOD, strlen(GOOD));
	write_file(padded, 1024);
	CU_ASSERT_EQUAL(load(&key), 0);
	write_file(padded, 1025);
	CU_ASSERT_EQUAL(load(&key), -EINVAL);
	write_file(padded, sizeof(padded));
	CU_ASSERT_EQUAL(load(&key), -EINVAL);
}

static const struct weir_test tests[] = {
    {"made, saved, loaded", test_round_trip},
    {"a save that can't be synced", test_save_without_sync},
    {"mode and owner", test_mode_and_owner},
    {"contents", test_contents},
    {"cut and changed", test_damage},
};

int
main(void)
{
	int rc;

	snprintf(folder, sizeof(folder), "/tmp/weir-test-key-XXXXXX");
	if (sodium_init() < 0 || mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/key", folder);
	rc = weir_test_run("ledger_key", tests, WEIR_TEST_COUNT(tests));
	(void)unlink(path);
	(void)rmdir(folder);
	return rc;
}
