/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy files: tables of wrong and right ones, and random valid ones. WEIR_SOURCE_ROOT is where
 * tests/policies and tools/policies are. Allocations go through wrappers (see meson.build) so that
 * each can fail once.
 */
#include "control/config.h"
#include "tests/unit/config_model.h"
#include "tests/unit/config_same.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* Wrapped allocators: the one after `allowed` others fails; negative: none. */
static long allowed = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool
fails(void)
{
	return allowed >= 0 && allowed-- == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

static void
folder_of(const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", WEIR_SOURCE_ROOT, name);
}

/* A whole file with a zero behind it. Free with free(). NULL: no such file. */
static char *
read_all(const char *folder, const char *name, size_t *bytes)
{
	char path[PATH_MAX * 2], *text = NULL;
	FILE *file, *out;
	int c;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (file == NULL)
		return NULL;
	out = open_memstream(&text, bytes);
	while ((c = fgetc(file)) != EOF)
		fputc(c, out);
	fclose(file);
	fclose(out);
	return text;
}

/* NAME.expected beside NAME.yaml. */
static char *
read_expected(const char *folder, const char *name)
{
	char other[NAME_MAX + 16];
	size_t bytes;

	snprintf(other, sizeof(other), "%.*s.expected", (int)(strlen(name) - strlen(".yaml")),
	         name);
	return read_all(folder, other, &bytes);
}

static bool
is_policy(const char *name)
{
	size_t length = strlen(name);

	return length > 5 && strcmp(name + length - 5, ".yaml") == 0;
}

/* Calls check for each policy in a folder under the source root. Returns how many there were. */
static uint32_t
each_policy(const char *name, void (*check)(const char *folder, const char *file))
{
	char folder[PATH_MAX];
	struct dirent *entry;
	uint32_t n = 0;
	DIR *dir;

	folder_of(name, folder);
	dir = opendir(folder);
	if (dir == NULL) {
		printf("    %s: %s\n", folder, strerror(errno));
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!is_policy(entry->d_name))
			continue;
		check(folder, entry->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static void
check_bad(const char *folder, const char *file)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], *text, *expected;
	size_t bytes = 0;
	int rc;

	text = read_all(folder, file, &bytes);
	expected = read_expected(folder, file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	rc = weir_config_parse(file, text, bytes, &config, error, sizeof(error));
	CU_ASSERT_EQUAL(rc, -EINVAL);
	CU_ASSERT_PTR_NULL(config);
	if (expected != NULL)
		expected[strcspn(expected, "\n")] = '\0';
	CU_ASSERT(expected != NULL && strcmp(error, expected) == 0);
	if (expected == NULL || strcmp(error, expected) != 0)
		printf("    got      %s\n    expected %s\n", error,
		       expected != NULL ? expected : "(no file)\n");
	free(text);
	free(expected);
}

static void
test_bad_files(void)
{
	CU_ASSERT(each_policy("tests/policies/bad", check_bad) >= 45);
}

/* Parses, and parses what is printed: equal, and no difference. Returns the print. */
static char *
check_round_trip(const char *name, const struct weir_config *config)
{
	struct weir_config *again = NULL;
	char error[ERROR_SIZE], *text = NULL, *text_again = NULL;

	CU_ASSERT_EQUAL_FATAL(weir_config_print(config, &text), 0);
	if (weir_config_parse(name, text, strlen(text), &again, error, sizeof(error)) != 0) {
		printf("    %s\n%s\n", error, text);
		CU_FAIL("a printed policy is refused");
		return text;
	}
	CU_ASSERT(model_same(config, again));
	CU_ASSERT_EQUAL_FATAL(weir_config_print(again, &text_again), 0);
	CU_ASSERT_STRING_EQUAL(text, text_again);
	free(text_again);
	weir_config_free(again);
	return text;
}

static void
check_good(const char *folder, const char *file)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], path[PATH_MAX * 2], *printed, *expected;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	rc = weir_config_load(path, &config, error, sizeof(error));
	CU_ASSERT_EQUAL(rc, 0);
	if (rc != 0) {
		printf("    %s\n", error);
		return;
	}
	printed = check_round_trip(file, config);
	expected = read_expected(folder, file);
	CU_ASSERT_PTR_NOT_NULL(expected);
	if (expected != NULL)
		CU_ASSERT_STRING_EQUAL(printed, expected);
	free(printed);
	free(expected);
	weir_config_free(config);
}

static void
test_good_files(void)
{
	CU_ASSERT(each_policy("tests/policies/good", check_good) >= 4);
}

/* The worked examples: the sizing that their comments promise. */
static void
check_example(const char *folder, const char *file)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], path[PATH_MAX * 2];
	uint32_t root = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (weir_config_load(path, &config, error, sizeof(error)) != 0) {
		printf("    %s\n", error);
		CU_FAIL("an example is refused");
		return;
	}
	free(check_round_trip(file, config));
	while (config->budgets[root].parent != WEIR_ANY)
		root++;
	CU_ASSERT_STRING_EQUAL(config->budgets[root].name, "total");
	/* What they are worth, weirctl plan tells: see the test of it. */
	CU_ASSERT(config->has_asset);
	CU_ASSERT(config->budgets[root].caps[0].window_ns == 0);
	if (config->budgets[root].n_caps > 1) {
		double a_day = 0;

		/* No class can starve another: the shares of a day add up to less than the day. */
		for (uint32_t i = 0; i < config->n_budgets; i++)
			if (config->budgets[i].parent == root)
				a_day += (double)config->budgets[i].caps[0].limit_bytes;
		CU_ASSERT(a_day <= (double)config->budgets[root].caps[1].limit_bytes);
	}
	weir_config_free(config);
}

static void
test_examples(void)
{
	CU_ASSERT_EQUAL(each_policy("tools/policies", check_example), 4);
}

static void
test_defaults(void)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE];

	CU_ASSERT_EQUAL_FATAL(weir_config_parse("base", model_base, strlen(model_base), &config,
	                                        error, sizeof(error)),
	                      0);
	CU_ASSERT_STRING_EQUAL(config->appliance.name, "weir");
	CU_ASSERT_EQUAL(config->appliance.n_workers, 1);
	CU_ASSERT_EQUAL(config->appliance.workers[0], 1);
	CU_ASSERT_EQUAL(config->appliance.control_lcore, 0);
	CU_ASSERT_EQUAL(config->appliance.memory_bytes, UINT64_C(512) << 20);
	CU_ASSERT_EQUAL(config->appliance.huge_pages, WEIR_HUGE_AUTO);
	CU_ASSERT_FALSE(config->appliance.allow_remote_numa);
	CU_ASSERT_STRING_EQUAL(config->appliance.ledger, "/var/lib/weir/ledger");
	CU_ASSERT_STRING_EQUAL(config->appliance.ledger_key, "/var/lib/weir/ledger.key");
	CU_ASSERT_EQUAL(config->appliance.grant_horizon_ns, 100 * WEIR_NS_PER_MS);
	CU_ASSERT_EQUAL(config->appliance.grant_min_bytes, 1000000);
	CU_ASSERT_EQUAL(config->appliance.grant_max_bytes, 4000000000);
	CU_ASSERT_EQUAL(config->appliance.witness, WEIR_WITNESS_NONE);
	CU_ASSERT_STRING_EQUAL(config->appliance.witness_path, "");
	CU_ASSERT_STRING_EQUAL(config->appliance.witness_tcti, "");
	CU_ASSERT_EQUAL(config->appliance.witness_index, 0);
	CU_ASSERT_EQUAL(config->appliance.witness_every_bytes, 100000000);
	CU_ASSERT_EQUAL(config->appliance.witness_interval_ns, 7200 * WEIR_NS_PER_S);
	CU_ASSERT_STRING_EQUAL(config->appliance.control_socket, "/run/weir/control.sock");
	CU_ASSERT_STRING_EQUAL(config->appliance.read_socket, "");
	CU_ASSERT_EQUAL(config->appliance.heartbeat_limit_ns, 2 * WEIR_NS_PER_S);
	CU_ASSERT_EQUAL(config->appliance.drain_limit_ns, WEIR_NS_PER_S);
	CU_ASSERT_FALSE(config->has_asset);
	CU_ASSERT_EQUAL(config->ports[1].mtu_bytes, 1500);
	CU_ASSERT_EQUAL(config->ports[1].rx_queues, 1);
	CU_ASSERT_EQUAL(config->ports[1].tx_queues, 1);
	CU_ASSERT_EQUAL(config->ports[1].rx_descriptors, 0);
	CU_ASSERT_EQUAL(config->ports[1].limiter, WEIR_LIMITER_AUTO);
	CU_ASSERT_FALSE(config->ports[1].limiter_required);
	CU_ASSERT_EQUAL(config->ports[1].limiter_test_ns, 0);
	CU_ASSERT_EQUAL(config->classes[0].backlog_bytes, 125000);
	CU_ASSERT_EQUAL(config->classes[1].backlog_bytes, 0);
	CU_ASSERT_FALSE(config->classes[0].dedicated);
	CU_ASSERT_EQUAL(config->rules[0].link, WEIR_ANY);
	CU_ASSERT_EQUAL(config->rules[3].link, 0);
	CU_ASSERT_EQUAL(config->rules[1].class_slot, 1);
	weir_config_free(config);
}

/* Random valid policies, spelled otherwise than the printer does: nothing is lost on the way. */
static void
test_random_policies(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	char error[ERROR_SIZE];

	for (int i = 0; i < 300; i++) {
		struct weir_config *model = model_make(&random), *config = NULL;
		char *text = model_write(model);
		int rc =
		    weir_config_parse("model", text, strlen(text), &config, error, sizeof(error));

		CU_ASSERT_EQUAL(rc, 0);
		if (rc == 0) {
			CU_ASSERT(model_same(model, config));
			free(check_round_trip("print", config));
		} else {
			printf("    %s\n%s\n", error, text);
		}
		free(text);
		weir_config_free(model);
		weir_config_free(config);
	}
}

/* Cuts and flips of a good policy: refused in one line or accepted, never a crash or a leak. */
static void
test_damage(void)
{
	struct weir_random random = weir_random_make(weir_test_seed() + 1);
	char folder[PATH_MAX], error[ERROR_SIZE], *text, *copy;
	uint32_t bad_errors = 0, refused = 0;
	size_t bytes = 0;

	folder_of("tests/policies/good", folder);
	text = read_all(folder, "full.yaml", &bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	copy = malloc(bytes);
	for (size_t i = 0; i < bytes + 1000; i++) {
		struct weir_config *config = NULL;
		size_t length = i < bytes ? i : bytes;

		memcpy(copy, text, length);
		for (uint64_t flips = i < bytes ? 0 : 1 + weir_random_below(&random, 3); flips > 0;
		     flips--)
			copy[weir_random_below(&random, bytes)] ^=
			    (char)(1U << weir_random_below(&random, 8));
		if (weir_config_parse("cut", copy, length, &config, error, sizeof(error)) != 0) {
			refused++;
			bad_errors += strncmp(error, "cut:", 4) != 0 ||
			              strstr(error, ": expected ") == NULL ||
			              strchr(error, '\n') != NULL;
		}
		weir_config_free(config);
	}
	CU_ASSERT_EQUAL(bad_errors, 0);
	CU_ASSERT(refused > bytes / 2);
	free(copy);
	free(text);
}

/* Each allocation of ours fails once: -ENOMEM, nothing lost (the sanitizer sees), no half policy.
 */
static void
test_no_memory(void)
{
	struct weir_config *config = NULL, *good = NULL;
	char error[ERROR_SIZE], *text;
	int rc = -ENOMEM;
	long n;

	CU_ASSERT_EQUAL_FATAL(
	    weir_config_parse("base", model_base, strlen(model_base), &good, error, sizeof(error)),
	    0);
	for (n = 0; n < 1000 && rc == -ENOMEM; n++) {
		allowed = n;
		rc = weir_config_parse("base", model_base, strlen(model_base), &config, error,
		                       sizeof(error));
		if (allowed >= 0)
			break;
		CU_ASSERT_EQUAL(rc, -ENOMEM);
		CU_ASSERT_PTR_NULL(config);
		CU_ASSERT_STRING_EQUAL(error, "base: out of memory");
	}
	allowed = -1;
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(n > 10);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT(model_same(good, config));
	text = check_round_trip("base", config);
	free(text);
	weir_config_free(config);
	weir_config_free(good);
}

/* The largest policy that there may be, one more, and how long the check of all pairs takes. */
static char *
large_policy(uint32_t n_rules)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	fprintf(out, "ports: [{name: a, device: net_null0}, {name: b, device: net_null1}]\n"
	             "links: [{name: up, inside: a, outside: b}]\nbudgets:\n"
	             "- {name: b0, caps: [{limit: 1 GB}]}\n");
	for (uint32_t i = 1; i < WEIR_BUDGETS_MAX; i++)
		fprintf(out, "- {name: b%u, parent: b%u, caps: [{limit: 1 MB, per: 1 d}]}\n", i,
		        (i - 1) / 4);
	fprintf(out, "classes:\n");
	for (uint32_t i = 0; i < WEIR_CLASSES_MAX; i++)
		fprintf(out, "- {name: c%u, budget: b%u, rate: 1 Mbit/s, burst: 2 kB}\n", i,
		        i % WEIR_BUDGETS_MAX);
	fprintf(out, "rules:\n");
	for (uint32_t i = 0; i < n_rules; i++)
		fprintf(out, "- {protocol: tcp, source: 10.%u.%u.0/24, class: c%u}\n", i / 256,
		        i % 256, i);
	fclose(out);
	return text;
}

static void
test_large(void)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], *text = large_policy(WEIR_RULES_MAX);

	CU_ASSERT_EQUAL(
	    weir_config_parse("large", text, strlen(text), &config, error, sizeof(error)), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_EQUAL(config->n_rules, WEIR_RULES_MAX);
	CU_ASSERT_EQUAL(config->n_classes, WEIR_CLASSES_MAX);
	CU_ASSERT_EQUAL(config->n_budgets, WEIR_BUDGETS_MAX);
	CU_ASSERT_EQUAL(config->rules[4095].class_slot, 4095);
	free(check_round_trip("large", config));
	weir_config_free(config);
	free(text);
	text = large_policy(WEIR_RULES_MAX + 1);
	CU_ASSERT_EQUAL(
	    weir_config_parse("large", text, strlen(text), &config, error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "rules: 4097 in the list: expected at most 4096"));
	free(text);
}

static void
check_refused(const char *text, size_t bytes, const char *part)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE];

	CU_ASSERT_EQUAL(weir_config_parse("x", text, bytes, &config, error, sizeof(error)),
	                -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, part));
	if (strstr(error, part) == NULL)
		printf("    %s\n", error);
}

/* What is no UTF-8: each is refused where it stands. */
static void
test_encoding(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"a: b\n# \xff\n", "x:2: (text): byte 0xff: expected UTF-8 text"},
	    {"\xff\xfe", "x:1: (text): byte 0xff: expected UTF-8 text"},
	    {"\xc0\xaf", "x:1: (text): byte 0xc0: expected UTF-8 text"},
	    {"\xe0\x80\xaf", "x:1: (text): byte 0xe0: expected UTF-8 text"},
	    {"\n\n\xed\xa0\x80", "x:3: (text): byte 0xed: expected UTF-8 text"},
	    {"\xf4\x90\x80\x80", "x:1: (text): byte 0xf4: expected UTF-8 text"},
	    {"\xf5\x80\x80\x80", "x:1: (text): byte 0xf5: expected UTF-8 text"},
	    {"\xf8\x90\x80\x80", "x:1: (text): byte 0xf8: expected UTF-8 text"},
	    {"# \xe2\x82", "x:1: (text): byte 0xe2: expected UTF-8 text"},
	    {"# \x80", "x:1: (text): byte 0x80: expected UTF-8 text"},
	    {"# \xc2\x85", "x:1: (text): U+0085: expected text without control characters"},
	    {"# \xe2\x80\xa8", "x:1: (text): U+2028: expected text without control characters"},
	    {"# \xf0\x9f\x98\x80 \xef\xbf\xbd", "x:1: (text): empty: expected a policy"},
	};

	for (size_t i = 0; i < WEIR_TEST_COUNT(cases); i++)
		check_refused(cases[i].text, strlen(cases[i].text), cases[i].error);
}

/* Text of one repeated character, and of too many values. */
static void
test_hostile(void)
{
	static const char repeated[] = "[{-:?&*!|>'\"%@`#, a\n";
	size_t size = WEIR_POLICY_MAX_BYTES + 1;
	char *text = malloc(size), error[ERROR_SIZE];
	struct weir_config *config = NULL;

	memset(text, '#', size);
	check_refused(text, size, "x:1: (text): too long: expected at most 4194304 bytes");
	check_refused(text, size - 1, "x:1: (text): empty: expected a policy");
	for (size_t i = 0; repeated[i] != '\0'; i++) {
		memset(text, repeated[i], 100000);
		CU_ASSERT_EQUAL(weir_config_parse("x", text, 100000, &config, error, sizeof(error)),
		                -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "expected"));
	}
	memset(text, ' ', size);
	text[0] = '[';
	for (size_t i = 1; i + 1 < size - 1; i += 2)
		memcpy(text + i, "a,", 2);
	check_refused(text, size - 1, "too many values: expected at most 524288 keys and values");
	free(text);
	for (size_t i = 1; i < 400; i++) {
		char small[8];

		/* No room for the whole error: cut, terminated, still refused. */
		CU_ASSERT_EQUAL(
		    weir_config_parse("x", "a: b", 4, &config, small, 1 + i % sizeof(small)),
		    -EINVAL);
		CU_ASSERT(strlen(small) <= i % sizeof(small));
	}
}

static void
test_load(void)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], path[] = "/tmp/weir-test-XXXXXX";
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(weir_config_load("/no/such/policy", &config, error, sizeof(error)),
	                -ENOENT);
	CU_ASSERT_STRING_EQUAL(error, "/no/such/policy: No such file or directory");
	CU_ASSERT_EQUAL(weir_config_load("/", &config, error, sizeof(error)), -EISDIR);
	CU_ASSERT_EQUAL(ftruncate(fd, WEIR_POLICY_MAX_BYTES + 5), 0);
	CU_ASSERT_EQUAL(weir_config_load(path, &config, error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "too long"));
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_EQUAL(pwrite(fd, model_base, sizeof(model_base) - 1, 0),
	                (ssize_t)sizeof(model_base) - 1);
	CU_ASSERT_EQUAL(weir_config_load(path, &config, error, sizeof(error)), 0);
	weir_config_free(config);
	close(fd);
	unlink(path);
}

/* What is no regular file is refused at once: nobody writes to this pipe, and zero never ends. */
static void
test_load_special(void)
{
	struct weir_config *config = NULL;
	char error[ERROR_SIZE], folder[] = "/tmp/weir-test-XXXXXX", path[64], expected[128];
	const char *const paths[] = {path, "/dev/zero", "/dev/null"};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pipe", folder);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	alarm(60);
	for (size_t i = 0; i < WEIR_TEST_COUNT(paths); i++) {
		CU_ASSERT_EQUAL(weir_config_load(paths[i], &config, error, sizeof(error)), -EINVAL);
		snprintf(expected, sizeof(expected), "%s: expected a regular file", paths[i]);
		CU_ASSERT_STRING_EQUAL(error, expected);
	}
	alarm(0);
	unlink(path);
	rmdir(folder);
}

static const struct weir_test tests[] = {
    {"each wrong file has its one-line error", test_bad_files},
    {"right files print as expected", test_good_files},
    {"worked examples", test_examples},
    {"defaults", test_defaults},
    {"random policies survive print and parse", test_random_policies},
    {"cuts and flips", test_damage},
    {"no memory", test_no_memory},
    {"the largest policy", test_large},
    {"encoding", test_encoding},
    {"hostile text", test_hostile},
    {"files", test_load},
    {"no files", test_load_special},
};

int
main(void)
{
	return weir_test_run("config", tests, WEIR_TEST_COUNT(tests));
}
