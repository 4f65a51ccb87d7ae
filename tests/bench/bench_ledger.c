/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir-bench-ledger: what the ledger costs at a rate: its thread's CPU time, what it writes, how
 * often it syncs, and what a crash would forfeit.
 *
 * The real ledger and its thread, on a real file. In the place of a worker, one thread spends
 * credit in real time at the asked rate, in even parts for all classes, each with a budget of its
 * own below the root; every budget has two windows. No frame is made: the ledger does not see any.
 */
#include "control/ledger_format.h"
#include "control/ledger_recover.h"
#include "control/ledger_thread.h"
#include "control/quantity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLASSES_MAX   4095U /* and the root */
#define STEP_NS       (WEIR_NS_PER_MS / 4)
#define SAMPLE_NS     (50 * WEIR_NS_PER_MS)
#define HOUR_NS       (3600 * WEIR_NS_PER_S)
#define DAY_NS        (24 * HOUR_NS)
#define LIMIT_BYTES   (UINT64_C(1) << 60) /* no cap is reached */
#define BURST_BYTES   64000U
#define THREAD_NAME   "weir-ledger"
#define SECONDS_MAX   3600.0
#define READ_ATTEMPTS 100U

struct options {
	uint64_t rate_bit_s;
	uint32_t n_classes;
	double seconds, warm_up_s;
	const char *folder;
	unsigned int cpu, worker;
	struct weir_ledger_tuning tuning;
};

struct bench {
	struct options options;
	char path[PATH_MAX];
	struct weir_ledger_key key;
	struct weir_credit *credit;
	struct weir_ledger_thread *thread;
	struct weir_config config;
	uint32_t *ids;
	uint64_t *debt_bytes; /* of each class: due and not yet spent */
	uint64_t asked_bytes, spent_bytes;
	uint64_t short_bytes; /* most that was due and could not be spent */
	/* What a crash would have forfeited of the root: by the newest record, and without it. */
	uint64_t forfeit_bytes, bound_bytes;
};

/* What a measurement starts and ends with. */
struct sample {
	uint64_t wall_ns, cpu_ns, spent_bytes;
	struct weir_ledger_status status;
};

static char made_path[PATH_MAX]; /* to be removed in any case */

static void __attribute__((noreturn, format(printf, 2, 3)))
stop(int status, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "weir-bench-ledger: ");
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n");
	if (made_path[0] != '\0')
		unlink(made_path);
	exit(status);
}

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		stop(1, "no clock: %s", strerror(errno));
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static FILE *
open_of_task(const char *task, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", task, name);
	return fopen(path, "re");
}

/* CPU time of the ledger's thread so far, as the kernel's scheduler counts it. */
static uint64_t
ledger_cpu_ns(void)
{
	DIR *folder = opendir("/proc/self/task");
	unsigned long long ns = 0;
	struct dirent *entry;
	bool found = false;

	while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
		char name[32] = "";
		FILE *file = open_of_task(entry->d_name, "comm");

		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) != NULL)
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
		if (strcmp(name, THREAD_NAME) != 0)
			continue;
		file = open_of_task(entry->d_name, "schedstat");
		found = file != NULL && fscanf(file, "%llu", &ns) == 1;
		if (file != NULL)
			fclose(file);
	}
	if (folder != NULL)
		closedir(folder);
	if (!found)
		stop(1, "no CPU time of thread %s in /proc/self/task", THREAD_NAME);
	return ns;
}

/* A root, and a budget and a class for each share of the rate. */
static void
make_config(struct bench *bench)
{
	uint32_t n = bench->options.n_classes;
	struct weir_config *config = &bench->config;

	config->n_budgets = n + 1;
	config->n_classes = n;
	config->budgets = calloc(n + 1, sizeof(*config->budgets));
	config->classes = calloc(n, sizeof(*config->classes));
	bench->ids = calloc(n + 1, sizeof(*bench->ids));
	bench->debt_bytes = calloc(n, sizeof(*bench->debt_bytes));
	if (config->budgets == NULL || config->classes == NULL || bench->ids == NULL ||
	    bench->debt_bytes == NULL)
		stop(1, "out of memory");
	for (uint32_t i = 0; i <= n; i++) {
		struct weir_config_budget *budget = &config->budgets[i];

		snprintf(budget->name, sizeof(budget->name), i == 0 ? "total" : "budget-%u", i);
		budget->parent = i == 0 ? WEIR_ANY : 0;
		budget->n_caps = 2;
		budget->caps[0] = (struct weir_config_cap){LIMIT_BYTES, DAY_NS};
		budget->caps[1] = (struct weir_config_cap){LIMIT_BYTES, HOUR_NS};
	}
	for (uint32_t i = 0; i < n; i++) {
		config->classes[i].budget = i + 1;
		config->classes[i].rate_bit_s = bench->options.rate_bit_s / n;
		config->classes[i].burst_bytes = BURST_BYTES;
	}
}

static void
make_credit(struct bench *bench)
{
	struct weir_credit_worker *worker =
	    aligned_alloc(WEIR_CACHE_LINE, sizeof(struct weir_credit_worker));

	bench->credit = aligned_alloc(WEIR_CACHE_LINE, sizeof(*bench->credit));
	if (bench->credit == NULL || worker == NULL)
		stop(1, "out of memory");
	memset(bench->credit, 0, sizeof(*bench->credit));
	memset(worker, 0, sizeof(*worker));
	weir_credit_init(bench->credit, &worker, 1);
}

static void
make_ledger(struct bench *bench)
{
	struct weir_ledger_options options = {.tuning = bench->options.tuning, .key = &bench->key};
	struct weir_ledger *ledger;
	struct weir_disk *disk;
	char error[512];
	int rc;

	snprintf(bench->path, sizeof(bench->path), "%s/weir-bench-ledger.%ld",
	         bench->options.folder, (long)getpid());
	weir_ledger_key_make("bench", &bench->key);
	rc = weir_disk_create_file(bench->path, WEIR_LEDGER_FILE_BYTES, &disk);
	if (rc != 0)
		stop(1, "%s: %s", bench->path, strerror(-rc));
	snprintf(made_path, sizeof(made_path), "%s", bench->path);
	rc = weir_ledger_commission(disk, &bench->key, WEIR_WITNESS_NONE, 0, NULL, 0);
	if (rc != 0)
		stop(1, "%s: %s", bench->path, strerror(-rc));
	if (weir_ledger_open(disk, bench->credit, &options, &ledger, error, sizeof(error)) !=
	    WEIR_REFUSAL_NONE)
		stop(1, "%s", error);
	rc = weir_ledger_set_policy(ledger, &bench->config, now_ns(CLOCK_BOOTTIME), bench->ids);
	if (rc == 0)
		rc = weir_ledger_thread_start(ledger, bench->options.cpu, NULL, &bench->thread);
	if (rc != 0)
		stop(1, "the ledger does not start: %s", strerror(-rc));
}

/* Spends what is due of a class, as far as there is credit. */
static void
spend(struct bench *bench, uint32_t class)
{
	const uint16_t path[] = {(uint16_t)bench->ids[class + 1], (uint16_t)bench->ids[0]};
	uint64_t bytes = bench->debt_bytes[class], held;
	uint32_t short_of;

	while (bytes > 0 && !weir_credit_charge(bench->credit, 0, path, 2, bytes, &short_of, &held))
		bytes = held;
	if (bytes == 0)
		return;
	weir_credit_settle(bench->credit, 0, path, 2, bytes, 0);
	bench->debt_bytes[class] -= bytes;
	bench->spent_bytes += bytes;
}

/*
 * Reads from the file what a crash at this moment would forfeit of the root. A record that is being
 * written makes no sense: then once more.
 */
static void
read_forfeit(struct bench *bench, struct weir_disk *disk)
{
	struct weir_ledger_recovered found = {
	    .budgets = calloc(WEIR_BUDGETS_MAX, sizeof(*found.budgets)),
	    .grants = calloc(WEIR_BUDGETS_MAX, sizeof(*found.grants)),
	};
	enum weir_ledger_refusal refusal = WEIR_REFUSAL_TORN;
	struct weir_ledger_store store;
	char error[512] = "";

	if (found.budgets == NULL || found.grants == NULL ||
	    weir_ledger_store_init(&store, disk, &bench->key) != 0)
		stop(1, "out of memory");
	for (uint32_t i = 0; i < READ_ATTEMPTS && refusal != WEIR_REFUSAL_NONE; i++) {
		uint64_t spent_bytes = bench->spent_bytes;

		refusal = weir_ledger_recover(&store, NULL, &found, error, sizeof(error));
		if (refusal == WEIR_REFUSAL_NONE && !found.slot_lost) {
			const struct weir_ledger_grant *root = &found.grants[WEIR_LEDGER_ROOT];
			uint64_t forfeit = weir_sat_sub(root->grant_bytes, spent_bytes);
			uint64_t bound = weir_sat_sub(root->bound_bytes, spent_bytes);

			if (bench->forfeit_bytes < forfeit)
				bench->forfeit_bytes = forfeit;
			if (bench->bound_bytes < bound)
				bench->bound_bytes = bound;
		}
		for (uint32_t b = 0; b < WEIR_BUDGETS_MAX; b++) {
			for (uint32_t w = 0; w < WEIR_CAPS_MAX; w++)
				free(found.budgets[b].windows[w]);
		}
		memset(found.budgets, 0, WEIR_BUDGETS_MAX * sizeof(*found.budgets));
	}
	weir_ledger_store_free(&store);
	free(found.budgets);
	free(found.grants);
	if (refusal != WEIR_REFUSAL_NONE)
		stop(1, "%s: can't be read while it is written: %s", bench->path, error);
}

/* Spends at the rate for so long. measure: notes what falls short, and what a crash would cost. */
static void
run(struct bench *bench, double seconds, bool measure)
{
	const struct timespec pause = {.tv_nsec = (long)STEP_NS};
	uint32_t n = bench->options.n_classes;
	uint64_t start_ns = now_ns(CLOCK_MONOTONIC), before_ns = start_ns, next_ns = start_ns;
	uint64_t end_ns = start_ns + (uint64_t)(seconds * (double)WEIR_NS_PER_S);
	struct weir_disk *disk;
	bool in_use;
	int rc = weir_disk_open_reader(bench->path, &disk, &in_use);

	if (rc != 0)
		stop(1, "%s: %s", bench->path, strerror(-rc));
	while (before_ns < end_ns) {
		uint64_t at_ns = now_ns(CLOCK_MONOTONIC), due_bytes, debt_bytes = 0;

		due_bytes = (uint64_t)((weir_u128)bench->options.rate_bit_s * (at_ns - before_ns) /
		                       (8 * WEIR_NS_PER_S) / n);
		before_ns = at_ns;
		for (uint32_t i = 0; i < n; i++) {
			bench->debt_bytes[i] += due_bytes;
			spend(bench, i);
			debt_bytes += bench->debt_bytes[i];
		}
		bench->asked_bytes += due_bytes * n;
		if (measure && bench->short_bytes < debt_bytes)
			bench->short_bytes = debt_bytes;
		if (measure && at_ns >= next_ns) {
			next_ns = at_ns + SAMPLE_NS;
			read_forfeit(bench, disk);
		}
		nanosleep(&pause, NULL);
	}
	disk->ops->close(disk);
}

static void
take_sample(const struct bench *bench, struct sample *sample)
{
	weir_ledger_thread_get_status(bench->thread, &sample->status);
	sample->cpu_ns = ledger_cpu_ns();
	sample->wall_ns = now_ns(CLOCK_MONOTONIC);
	sample->spent_bytes = bench->spent_bytes;
	if (sample->status.failed)
		stop(1, "the ledger has failed: %s", strerror(-sample->status.error));
}

/* Bytes of one STATE of the policy, as written. */
static uint64_t
state_bytes(const struct bench *bench)
{
	return WEIR_LEDGER_BLOCKS(WEIR_LEDGER_HEADER_BYTES +
	                          bench->config.n_budgets *
	                              (WEIR_LEDGER_BUDGET_BYTES + 2 * WEIR_LEDGER_WINDOW_BYTES));
}

/*
 * GRANTS are measured. A STATE is written whenever a window has moved on by a slot: with these two
 * windows so often a day, but hardly once in a short run. So those met in the run are told apart by
 * their size, and a whole day's are added.
 */
static void
print_result(const struct bench *bench, const struct sample *from, const struct sample *to)
{
	const uint64_t state_size = state_bytes(bench);
	const uint64_t grants_size =
	    WEIR_LEDGER_BLOCKS(weir_ledger_grants_bytes(bench->config.n_budgets));
	const uint64_t states_a_day = WEIR_WINDOW_SLOTS * (DAY_NS / HOUR_NS) + WEIR_WINDOW_SLOTS;
	uint64_t syncs = to->status.syncs - from->status.syncs;
	uint64_t written = to->status.written_bytes - from->status.written_bytes;
	uint64_t states = state_size > grants_size
	                      ? (written - syncs * grants_size) / (state_size - grants_size)
	                      : 0;
	double s = (double)(to->wall_ns - from->wall_ns) / (double)WEIR_NS_PER_S;
	double grants_s = (double)(syncs - states) / s;
	double a_day =
	    grants_s * 86400 * (double)grants_size + (double)states_a_day * (double)state_size;
	json_t *result = json_pack(
	    "{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, "
	    "s:I}",
	    "classes", (json_int_t)bench->options.n_classes, "windows", (json_int_t)2,
	    "asked_bit_s", (json_int_t)bench->options.rate_bit_s, "measured_s", s, "spent_bit_s",
	    8 * (double)(to->spent_bytes - from->spent_bytes) / s, "cpu_share",
	    (double)(to->cpu_ns - from->cpu_ns) / (double)WEIR_NS_PER_S / s, "syncs_per_s",
	    (double)syncs / s, "grants_per_s", grants_s, "grants_bytes", (json_int_t)grants_size,
	    "states", (json_int_t)states, "state_bytes", (json_int_t)state_size, "states_per_day",
	    (json_int_t)states_a_day, "written_gb_per_day", a_day / 1e9, "sync_max_ns",
	    (json_int_t)to->status.sync_max_ns, "forfeit_max_bytes",
	    (json_int_t)bench->forfeit_bytes, "forfeit_bound_bytes", (json_int_t)bench->bound_bytes,
	    "short_max_bytes", (json_int_t)bench->short_bytes);

	if (result == NULL ||
	    json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
		stop(1, "the result can't be printed");
	putchar('\n');
	json_decref(result);
}

static void
usage(FILE *out)
{
	fprintf(out, "usage: weir-bench-ledger [OPTION]...\n"
	             "What Weir's ledger costs while credit is spent at a rate, as JSON.\n\n"
	             "  --rate RATE       of all classes together; default '10 Gbit/s'\n"
	             "  --classes N       each with a budget of its own; default 100\n"
	             "  --seconds S       how long to measure; default 10\n"
	             "  --warm-up S       how long to run before; default 2\n"
	             "  --folder FOLDER   where the ledger's file is made; default .\n"
	             "  --horizon TIME    as grant_horizon in a policy; default '100 ms'\n"
	             "  --worker CPU      that spends; default 1\n"
	             "  --control CPU     of the ledger's thread; default 0\n"
	             "  --help\n");
}

static double
parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !(seconds >= 0.1 && seconds <= SECONDS_MAX))
		stop(2, "%s: expected seconds, 0.1 to %.0f", text, SECONDS_MAX);
	return seconds;
}

static uint32_t
parse_number(const char *text, uint64_t least, uint64_t most)
{
	const char *expected;
	uint64_t value;

	if (weir_quantity_parse_integer(text, &value, &expected) != 0 || value < least ||
	    value > most)
		stop(2, "%s: expected a number, %llu to %llu", text, (unsigned long long)least,
		     (unsigned long long)most);
	return (uint32_t)value;
}

static void
parse_option(struct options *options, int option, const char *text)
{
	const char *expected = "";
	int rc = 0;

	switch (option) {
	case 'r':
		rc = weir_quantity_parse_rate(text, &options->rate_bit_s, &expected);
		break;
	case 'z':
		rc = weir_quantity_parse_duration(text, &options->tuning.horizon_ns, &expected);
		break;
	case 'c':
		options->n_classes = parse_number(text, 1, CLASSES_MAX);
		break;
	case 's':
		options->seconds = parse_seconds(text);
		break;
	case 'w':
		options->warm_up_s = parse_seconds(text);
		break;
	case 'f':
		options->folder = text;
		break;
	case 'l':
		options->worker = parse_number(text, 0, CPU_SETSIZE - 1);
		break;
	case 'm':
		options->cpu = parse_number(text, 0, CPU_SETSIZE - 1);
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		exit(2);
	}
	if (rc != 0)
		stop(2, "%s: expected %s", text, expected);
}

static struct options
parse_options(int argc, char **argv)
{
	static const struct option known[] = {
	    {"rate", required_argument, NULL, 'r'},    {"classes", required_argument, NULL, 'c'},
	    {"seconds", required_argument, NULL, 's'}, {"warm-up", required_argument, NULL, 'w'},
	    {"folder", required_argument, NULL, 'f'},  {"horizon", required_argument, NULL, 'z'},
	    {"worker", required_argument, NULL, 'l'},  {"control", required_argument, NULL, 'm'},
	    {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
	};
	struct options options = {
	    .rate_bit_s = UINT64_C(10000000000),
	    .n_classes = 100,
	    .seconds = 10,
	    .warm_up_s = 2,
	    .folder = ".",
	    .worker = 1,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		parse_option(&options, option, optarg);
	if (optind != argc)
		stop(2, "%s: no arguments expected", argv[optind]);
	return options;
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	struct sample from, to;
	cpu_set_t cpus;
	int rc;

	bench.options = parse_options(argc, argv);
	make_config(&bench);
	make_credit(&bench);
	make_ledger(&bench);
	CPU_ZERO(&cpus);
	CPU_SET(bench.options.worker, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		stop(2, "CPU %u: %s", bench.options.worker, strerror(errno));

	run(&bench, bench.options.warm_up_s, false);
	take_sample(&bench, &from);
	run(&bench, bench.options.seconds, true);
	take_sample(&bench, &to);

	for (uint32_t i = 0; i < bench.config.n_budgets; i++)
		weir_credit_return(bench.credit, 0, bench.ids[i]);
	rc = weir_ledger_thread_stop(bench.thread);
	if (rc != 0)
		stop(1, "the ledger has failed: %s", strerror(-rc));
	print_result(&bench, &from, &to);
	unlink(made_path);
	return 0;
}
