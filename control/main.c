/* SPDX-License-Identifier: BSD-3-Clause */
/* weir: reads a policy, and checks it, prints it, commissions its ledger, or runs it. */
#include "control/appliance.h"
#include "control/apply.h"
#include "control/hardware.h"
#include "control/ledger_start.h"
#include "control/routes.h"
#include "control/server.h"
#include "control/streams.h"
#include "control/watch.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define EXIT_BAD_INPUT 2
#define EVENTS_KEPT    4096U
#define N_SIGNALS      3U

#define PULSE_MS       50
#define LINKS_MS       (WEIR_HARDWARE_LOOK_NS / WEIR_NS_PER_MS)
#define RETIRE_MS      5
#define STOP_REPLY_MS  10 /* for the answer to a request to stop */

/* Everything that runs, and the timers of the control loop. */
struct box {
	const char *policy_path;
	struct weir_events *events;
	struct weir_appliance *appliance;
	struct event_base *base;
	struct weir_server *server;
	struct weir_streams *streams;
	struct weir_routes routes;
	struct event *signals[N_SIGNALS];
	struct event *pulse, *links, *retire, *watchdog;
};

static const char usage[] =
    "usage: weir FILE               forward by the policy in FILE until told to stop\n"
    "       weir --check FILE       check the policy and stop\n"
    "       weir --print FILE       print the policy with all defaults filled in and stop\n"
    "       weir --commission FILE  make the ledger that the policy names, its key and its "
    "witness, and stop\n"
    "       weir --version\n"
    "       weir --help\n";

static const char help[] =
    "\n"
    "Weir limits what can leave a datacenter: it forwards frames between ports, holds each class\n"
    "to its rate and stops each budget at its caps, for good, through restarts and power cuts.\n"
    "\n"
    "A first run:\n"
    "    weir --check policy.yaml        is the policy right?\n"
    "    weir --commission policy.yaml   once for a new box: a ledger is never made by itself\n"
    "    weir policy.yaml                run; needs root, or access to the ports and memory\n"
    "\n"
    "While it runs: weirctl status, hardware, top, watch, check, diff, apply, show, stop.\n"
    "SIGTERM and SIGINT stop it cleanly, SIGHUP reads FILE again.\n"
    "Exit status: 0, or 1 if it failed, or 2 for a bad policy or bad usage.\n";

static int
complain(const char *error, int status)
{
	fprintf(stderr, "weir: %s\n", error);
	return status;
}

/* Returns an exit status; 0: *config is the caller's. */
static int
load(const char *path, struct weir_config **config)
{
	char error[WEIR_ERROR_SIZE];
	int code = weir_config_load(path, config, error, sizeof(error));

	if (code == 0)
		return EXIT_SUCCESS;
	return complain(error, code == -ENOMEM ? EXIT_FAILURE : EXIT_BAD_INPUT);
}

/* What was printed must have been written, too. */
static int
finish_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain("standard output: cannot be written", EXIT_FAILURE);
	return EXIT_SUCCESS;
}

static int
check(const char *path)
{
	struct weir_config *config;
	int status = load(path, &config);

	if (status != EXIT_SUCCESS)
		return status;
	weir_config_free(config);
	printf("%s: OK\n", path);
	return finish_output();
}

static int
print(const char *path)
{
	struct weir_config *config;
	char *text;
	int code, status = load(path, &config);

	if (status != EXIT_SUCCESS)
		return status;
	code = weir_config_print(config, &text);
	weir_config_free(config);
	if (code < 0)
		return complain("out of memory", EXIT_FAILURE);
	fputs(text, stdout);
	free(text);
	return finish_output();
}

/*
 * Every thread but this one keeps these blocked; this one takes them in its loop. Commissioning is
 * not cut short by them.
 */
static void
block_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static int
commission(const char *path)
{
	const struct weir_config_appliance *appliance;
	char error[WEIR_ERROR_SIZE];
	struct weir_config *config;
	int code, status = load(path, &config);

	if (status != EXIT_SUCCESS)
		return status;
	appliance = &config->appliance;
	block_signals(SIG_BLOCK); /* or a part of what belongs together would be left behind */
	code = weir_ledger_init(config, NULL, 0, error, sizeof(error));
	if (code < 0) {
		status = complain(error, EXIT_FAILURE);
	} else {
		printf("%s: commissioned\n%s: its key\n", appliance->ledger, appliance->ledger_key);
		if (appliance->witness == WEIR_WITNESS_FILE)
			printf("%s: its witness\n", appliance->witness_path);
		else if (appliance->witness == WEIR_WITNESS_TPM)
			printf("%s index 0x%08x: its witness\n", appliance->witness_tcti,
			       appliance->witness_index);
		status = finish_output();
	}
	weir_config_free(config);
	return status;
}

/* ---- the control loop ---- */

static void
on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	struct box *box = arg;

	(void)what;
	weir_events_post(box->events, WEIR_INFO, "stop_asked", "signal %d asks for a stop",
	                 (int)number);
	event_base_loopbreak(box->base);
}

static void
on_stop_request(void *arg)
{
	struct box *box = arg;
	const struct timeval soon = {.tv_usec = STOP_REPLY_MS * 1000};

	event_base_loopexit(box->base, &soon);
}

static void
on_reload_signal(evutil_socket_t number, short what, void *arg)
{
	struct box *box = arg;
	char error[WEIR_ERROR_SIZE];
	struct weir_config *config;
	struct timespec now;

	(void)number;
	(void)what;
	if (weir_config_load(box->policy_path, &config, error, sizeof(error)) < 0) {
		weir_events_post(box->events, WEIR_WARNING, "policy_refused", "from SIGHUP: %s",
		                 error);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	           (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (weir_apply_policy(box->appliance, config, "SIGHUP", error) < 0)
		weir_config_free(config);
	sd_notify(0, "READY=1");
}

static void
on_pulse(evutil_socket_t fd, short what, void *arg)
{
	struct box *box = arg;

	(void)fd;
	(void)what;
	weir_appliance_pulse(box->appliance);
	weir_watch_workers(box->appliance, weir_clock_boot_ns());
	weir_watch_ledger(box->appliance, weir_clock_boot_ns());
	weir_watch_classes(box->appliance, weir_clock_boot_ns());
}

static void
on_links(evutil_socket_t fd, short what, void *arg)
{
	struct box *box = arg;

	(void)fd;
	(void)what;
	weir_watch_ports(box->appliance, weir_clock_boot_ns());
}

static void
on_retire(evutil_socket_t fd, short what, void *arg)
{
	struct box *box = arg;

	(void)fd;
	(void)what;
	(void)weir_apply_retire(box->appliance, 0);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

/* While queues drain the loop goes on: pulse, status, and a second signal that changes nothing. */
static void
meanwhile(void *arg)
{
	struct box *box = arg;

	weir_appliance_pulse(box->appliance);
	event_base_loop(box->base, EVLOOP_NONBLOCK);
}

static struct event *
timer(struct box *box, uint64_t every_us, event_callback_fn each)
{
	const struct timeval every = {
	    .tv_sec = (time_t)(every_us / 1000000),
	    .tv_usec = (suseconds_t)(every_us % 1000000),
	};
	struct event *event = event_new(box->base, -1, EV_PERSIST, each, box);

	if (event != NULL && event_add(event, &every) < 0) {
		event_free(event);
		return NULL;
	}
	return event;
}

static void
stop_loop(struct box *box)
{
	struct event **events[] = {&box->pulse, &box->links, &box->retire, &box->watchdog};

	weir_streams_free(box->streams);
	/* So that the ends of the streams leave before their connections are closed. */
	if (box->base != NULL)
		event_base_loop(box->base, EVLOOP_NONBLOCK);
	weir_server_free(box->server);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (*events[i] != NULL)
			event_free(*events[i]);
	}
	for (size_t i = 0; i < N_SIGNALS; i++) {
		if (box->signals[i] != NULL)
			event_free(box->signals[i]);
	}
	if (box->base != NULL)
		event_base_free(box->base);
	box->base = NULL;
}

static int
start_loop(struct box *box, char *error)
{
	static const struct {
		int number;
		event_callback_fn handle;
	} signals[N_SIGNALS] = {
	    {SIGTERM, on_stop_signal}, {SIGINT, on_stop_signal}, {SIGHUP, on_reload_signal}};
	uint64_t watchdog_us;
	bool ok;
	int code;

	snprintf(error, WEIR_ERROR_SIZE, "event loop: out of memory");
	box->base = event_base_new();
	if (box->base == NULL)
		return -ENOMEM;
	box->pulse = timer(box, PULSE_MS * 1000, on_pulse);
	box->links = timer(box, LINKS_MS * 1000, on_links);
	box->retire = timer(box, RETIRE_MS * 1000, on_retire);
	ok = box->pulse != NULL && box->links != NULL && box->retire != NULL;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
		box->watchdog = timer(box, watchdog_us / 2, on_watchdog);
		ok = ok && box->watchdog != NULL;
	}
	for (size_t i = 0; i < N_SIGNALS && ok; i++) {
		box->signals[i] =
		    evsignal_new(box->base, signals[i].number, signals[i].handle, box);
		ok = box->signals[i] != NULL && event_add(box->signals[i], NULL) == 0;
	}
	box->streams = ok ? weir_streams_new(box->base, box->events) : NULL;
	code = box->streams == NULL ? -ENOMEM : 0;
	if (code == 0)
		code = weir_server_new(box->base, &box->appliance->config->appliance, box->events,
		                       weir_routes_handle, &box->routes, &box->server, error,
		                       WEIR_ERROR_SIZE);
	box->routes = (struct weir_routes){
	    .appliance = box->appliance,
	    .server = box->server,
	    .streams = box->streams,
	    .stop = on_stop_request,
	    .arg = box,
	};
	if (code < 0)
		stop_loop(box);
	return code;
}

/* ---- the run, stage by stage ---- */

static int
run(const char *path)
{
	struct box box = {.policy_path = path};
	char error[WEIR_ERROR_SIZE] = "out of memory";
	struct weir_config *config;
	int status = load(path, &config);
	bool failed = true;

	if (status != EXIT_SUCCESS)
		return status;
	signal(SIGPIPE, SIG_IGN); /* likewise */
	block_signals(SIG_BLOCK);

	box.events = weir_events_new(EVENTS_KEPT);
	if (box.events == NULL)
		goto free_config;
	box.appliance = weir_appliance_new(config, box.events);
	if (box.appliance == NULL)
		goto free_events;
	config = NULL; /* the appliance's by now */
	if (weir_appliance_open_ledger(box.appliance, error) < 0)
		goto free_appliance;
	if (weir_appliance_start_eal(box.appliance, error) < 0)
		goto close_ledger;
	if (weir_appliance_open_ports(box.appliance, error) < 0)
		goto finish_eal;
	if (weir_appliance_make_dataplane(box.appliance, error) < 0)
		goto close_ports;
	/* The sockets come before the workers: a box that can't be asked forwards nothing. */
	if (start_loop(&box, error) < 0)
		goto free_dataplane;
	if (weir_appliance_run(box.appliance, error) < 0)
		goto stop_loop;

	weir_events_post(box.events, WEIR_INFO, "started", "weir %s, policy digest %s",
	                 WEIR_VERSION, box.appliance->digest);
	block_signals(SIG_UNBLOCK);
	fprintf(stderr, "weir: ready\n");
	sd_notify(0, "READY=1\nSTATUS=Forwarding.");
	failed = event_base_dispatch(box.base) < 0;
	snprintf(error, sizeof(error), "event loop: failed");
	sd_notify(0, "STOPPING=1\nSTATUS=Draining.");

	if (weir_appliance_halt(box.appliance, meanwhile, &box) < 0) {
		complain("ledger: could not be made exact: what was granted stays charged", 0);
		status = EXIT_FAILURE;
	}
stop_loop:
	/* The loop's handlers go now: a signal that comes late must not find the default ones. */
	block_signals(SIG_BLOCK);
	stop_loop(&box);
free_dataplane:
	weir_appliance_free_dataplane(box.appliance);
close_ports:
	weir_appliance_close_ports(box.appliance);
finish_eal:
	weir_appliance_finish_eal(box.appliance);
close_ledger:
	weir_appliance_close_ledger(box.appliance);
free_appliance:
	weir_appliance_free(box.appliance);
free_events:
	weir_events_free(box.events);
free_config:
	weir_config_free(config);
	return failed ? complain(error, EXIT_FAILURE) : status;
}

static const struct command {
	const char *option;
	int (*function)(const char *path);
} commands[] = {
    {"--check", check},
    {"--print", print},
    {"--commission", commission},
};

static int
bad_usage(int argc, char **argv)
{
	bool known = false;

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		known = known || strcmp(argv[1], commands[i].option) == 0;
	if (known && argc == 2)
		fprintf(stderr, "weir: %s: needs a FILE\n", argv[1]);
	else if (argc > 1 && argv[1][0] == '-' && !known && argc == 2)
		fprintf(stderr, "weir: %s: no such option\n", argv[1]);
	else if (argc > 2)
		fprintf(stderr, "weir: %s: not expected here\n", argv[known ? 3 : 2]);
	fputs(usage, stderr);
	return EXIT_BAD_INPUT;
}

int
main(int argc, char **argv)
{
	signal(SIGXFSZ, SIG_IGN); /* an error of the write that caused it */
	if (sodium_init() < 0)
		return complain("libsodium: cannot be used", EXIT_FAILURE);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("%s%s", usage, help);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("weir %s\n", WEIR_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && argv[1][0] != '-')
		return run(argv[1]);
	for (size_t i = 0; argc == 3 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].option) == 0)
			return commands[i].function(argv[2]);
	}
	return bad_usage(argc, argv);
}
