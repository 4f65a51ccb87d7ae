/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commissioning that fails at any flush leaves nothing behind, and what a start, and explain, then
 * say of real files. Linked with --wrap of both flushes.
 */
#include "control/ledger_start.h"
#include "tests/unit/harness.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERROR_SIZE 512U

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

static uint32_t flushes, fail_at; /* fail_at 0: none; 1: the first */

static bool
fails(void)
{
	if (++flushes != fail_at)
		return false;
	errno = EIO;
	return true;
}

int
__wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int
__wrap_fdatasync(int fd)
{
	return fails() ? -1 : __real_fdatasync(fd);
}

static char folder[] = "/tmp/weir-test-XXXXXX";
static char error[ERROR_SIZE];

static struct weir_config *
make_config(const char *witness)
{
	struct weir_config *config = NULL;
	char text[2048];

	snprintf(text, sizeof(text),
	         "appliance: {name: box, ledger: %s/ledger%s}\n"
	         "ports: [{name: a, device: net_null0}, {name: b, device: net_null1}]\n"
	         "links: [{name: up, inside: a, outside: b}]\n"
	         "budgets:\n- {name: part, parent: total}\n"
	         "- {name: total, caps: [{limit: 1 GB}]}\n"
	         "classes: [{name: c, budget: part, rate: 1 Mbit/s, burst: 2 kB}]\n"
	         "rules: []\n",
	         folder, witness);
	CU_ASSERT_EQUAL_FATAL(
	    weir_config_parse("x", text, strlen(text), &config, error, sizeof(error)), 0);
	return config;
}

static struct weir_config *
make_witnessed(void)
{
	char keys[256];

	snprintf(keys, sizeof(keys), ", witness: file, witness_path: %s/witness", folder);
	return make_config(keys);
}

static uint32_t
count_files(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void
remove_files(void)
{
	static const char *const names[] = {"ledger", "ledger.key", "witness"};
	char path[128];

	for (size_t i = 0; i < WEIR_TEST_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
}

static void
test_failing_flushes(void)
{
	struct weir_config *config = make_witnessed();
	int rc = -EIO;

	for (fail_at = 1; fail_at < 100 && rc != 0; fail_at++) {
		flushes = 0;
		rc = weir_ledger_init(config, NULL, 0, error, sizeof(error));
		if (flushes < fail_at)
			break;
		CU_ASSERT_EQUAL(rc, -EIO);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "Input/output error"));
		CU_ASSERT_PTR_NULL(strchr(error, '\n'));
		CU_ASSERT_EQUAL(count_files(), 0);
	}
	/* The key, the witness and the ledger have two at least each, of contents and name. */
	CU_ASSERT(fail_at > 6);
	fail_at = 0;
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(count_files(), 3);
	CU_ASSERT_EQUAL(weir_ledger_explain(&config->appliance, error, sizeof(error)),
	                WEIR_REFUSAL_NONE);
	remove_files();
	weir_config_free(config);
}

/* A charge that is too large for a number is refused before anything is made. */
static void
test_charges(void)
{
	static const struct {
		struct weir_ledger_charge charges[2];
		uint32_t n;
		const char *error; /* NULL: good */
	} cases[] = {
	    {{{"part", UINT64_MAX / 2}, {"total", UINT64_MAX / 2}}, 2, NULL},
	    {{{"part", UINT64_MAX}, {"total", 1}}, 2, "charge total: 1 bytes: expected less than"},
	    {{{"part", 1}, {"part", UINT64_MAX}}, 2, "charge part: 18446744073709551615 bytes"},
	    {{{"none", 1}}, 1, "charge none: expected the name of a budget in the policy"},
	    {{{"", 1}}, 1, "charge : expected the name"},
	};
	struct weir_config *config = make_config("");

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++) {
		int rc =
		    weir_ledger_init(config, cases[i].charges, cases[i].n, error, sizeof(error));

		CU_ASSERT_EQUAL(rc, cases[i].error == NULL ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(count_files(), cases[i].error == NULL ? 2 : 0);
		CU_ASSERT(cases[i].error == NULL || strstr(error, cases[i].error) != NULL);
		remove_files();
	}
	weir_config_free(config);
}

/* Explain says what a start says, in the same words, and is kept out by one that runs. */
static void
test_explain(void)
{
	struct weir_config *config = make_witnessed(), *other = make_config("");
	struct weir_credit *credit = calloc(1, sizeof(*credit));
	struct weir_ledger *ledger = NULL, *second = NULL;
	char said[ERROR_SIZE] = "", path[128];

	CU_ASSERT_EQUAL_FATAL(weir_ledger_init(config, NULL, 0, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(weir_ledger_start(&other->appliance, credit, &ledger, error, sizeof(error)),
	                WEIR_REFUSAL_WITNESS_CHANGED);
	CU_ASSERT_PTR_NULL(ledger);
	CU_ASSERT_EQUAL(weir_ledger_explain(&other->appliance, said, sizeof(said)),
	                WEIR_REFUSAL_WITNESS_CHANGED);
	CU_ASSERT_STRING_EQUAL(said, error);
	CU_ASSERT_EQUAL_FATAL(
	    weir_ledger_start(&config->appliance, credit, &ledger, error, sizeof(error)),
	    WEIR_REFUSAL_NONE);
	CU_ASSERT_EQUAL(
	    weir_ledger_start(&config->appliance, credit, &second, error, sizeof(error)),
	    WEIR_REFUSAL_BUSY);
	CU_ASSERT_EQUAL(weir_ledger_explain(&config->appliance, said, sizeof(said)),
	                WEIR_REFUSAL_BUSY);
	CU_ASSERT_STRING_EQUAL(said, error);
	weir_ledger_close(ledger);
	snprintf(path, sizeof(path), "%s/witness", folder);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(
	    weir_ledger_start(&config->appliance, credit, &second, error, sizeof(error)),
	    WEIR_REFUSAL_WITNESS_MISSING);
	CU_ASSERT_EQUAL(weir_ledger_explain(&config->appliance, said, sizeof(said)),
	                WEIR_REFUSAL_WITNESS_MISSING);
	CU_ASSERT_STRING_EQUAL(said, error);
	CU_ASSERT_EQUAL(count_files(), 2);
	remove_files();
	free(credit);
	weir_config_free(config);
	weir_config_free(other);
}

static const struct weir_test tests[] = {
    {"a flush that fails leaves nothing", test_failing_flushes},
    {"charges", test_charges},
    {"explain and start agree", test_explain},
};

int
main(void)
{
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	failed = weir_test_run("ledger_start", tests, WEIR_TEST_COUNT(tests));
	(void)rmdir(folder);
	return failed;
}
