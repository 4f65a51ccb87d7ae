/* SPDX-License-Identifier: BSD-3-Clause */
/* What weirgen's subcommands were asked, and their exit status. */
#ifndef WEIR_TOOLS_WEIRGEN_OPTIONS_H
#define WEIR_TOOLS_WEIRGEN_OPTIONS_H

#include "drivers/eal.h"
#include "tools/weirgen/rewrite.h"

#define WEIR_LIMITS_MAX  8U
#define WEIR_WINDOWS_MAX 8U

enum weir_exit {
	WEIR_EXIT_OK = 0,
	WEIR_EXIT_FAILED = 1, /* the port, the machine or what was received does not do it */
	WEIR_EXIT_USAGE = 2,  /* bad usage or input */
};

/* A rate to judge by. */
struct weir_limit_option {
	uint64_t rate_bit_s;
	uint64_t burst_bytes;
	bool has_burst; /* more than it is a failure */
};

struct weir_options {
	const char *file;   /* a profile, or a capture to replay */
	const char *device; /* the port */
	const char *output; /* send: a capture file in place of a port; receive: --capture */
	const char *json;   /* a file for the result; NULL: none */
	bool help, version, quiet;
	uint32_t worker, control; /* lcores */
	enum weir_eal_pages pages;
	uint32_t mtu_bytes; /* 0: as the traffic needs */

	/* send, replay */
	bool fast; /* not paced */
	bool has_seed;
	uint64_t seed;
	uint64_t duration_ns, count; /* 0: not given; of receive as well */
	uint64_t catch_up_ns;
	uint32_t first_flow;
	uint64_t rate_bit_s;           /* replay; 0: by the capture's times */
	uint64_t speed_num, speed_den; /* replay: times as fast as captured */
	uint64_t loops;                /* replay; 0: for ever */
	struct weir_rewrite rewrite;

	/* receive */
	uint64_t idle_ns; /* 0: never */
	struct weir_limit_option limits[WEIR_LIMITS_MAX];
	uint32_t n_limits;
	uint64_t windows_ns[WEIR_WINDOWS_MAX];
	uint32_t n_windows;
};

/* One function a subcommand. Each prints its result or its error, and returns the exit status. */
enum weir_exit weir_command_send(const struct weir_options *options);
enum weir_exit weir_command_replay(const struct weir_options *options);
enum weir_exit weir_command_receive(const struct weir_options *options);

/* Prints "weirgen: " and a line to standard error. Returns status. */
enum weir_exit weir_command_fail(enum weir_exit status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Parses the command line. Returns 0 and *command, or the exit status after an error's line. */
enum weir_exit weir_options_parse(int argc, char **argv, struct weir_options *options);

#endif
