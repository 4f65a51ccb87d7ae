/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subcommands of weirctl share: options, exit status, and how a result is printed. */
#ifndef WEIR_TOOLS_WEIRCTL_COMMAND_H
#define WEIR_TOOLS_WEIRCTL_COMMAND_H

#include "tools/weirctl/text.h"

#include <jansson.h>

enum weir_exit {
	WEIR_EXIT_OK = 0,
	WEIR_EXIT_FAILED = 1, /* no server, refused, an answer that makes no sense */
	WEIR_EXIT_USAGE = 2,  /* bad usage or input */
};

struct weir_options {
	const char *socket;
	bool json;
	bool help;
	bool version;
	uint64_t count;       /* top; 0: until interrupted */
	uint64_t interval_ns; /* top, plan */
	uint64_t after;       /* watch */
	const char *file;     /* check, diff, apply, plan, ledger */
	const char *key;      /* ledger verify, show; NULL: the file's name and ".key" */
	const char **charges; /* ledger init: "NAME=12 GB" */
	uint32_t n_charges;
	const char **traffic; /* plan: "CLASS=200 Mbit/s" */
	uint32_t n_traffic;
	bool live; /* plan: the traffic of a running Weir */
};

struct weir_config;

/* One function a subcommand. Each prints its result or its error, and returns the exit status. */
enum weir_exit weir_command_status(const struct weir_options *options);
enum weir_exit weir_command_hardware(const struct weir_options *options);
enum weir_exit weir_command_top(const struct weir_options *options);
enum weir_exit weir_command_watch(const struct weir_options *options);
enum weir_exit weir_command_check(const struct weir_options *options);
enum weir_exit weir_command_diff(const struct weir_options *options);
enum weir_exit weir_command_apply(const struct weir_options *options);
enum weir_exit weir_command_plan(const struct weir_options *options);
enum weir_exit weir_command_show(const struct weir_options *options);
enum weir_exit weir_command_stop(const struct weir_options *options);
enum weir_exit weir_command_ledger_verify(const struct weir_options *options);
enum weir_exit weir_command_ledger_show(const struct weir_options *options);
enum weir_exit weir_command_ledger_explain(const struct weir_options *options);
enum weir_exit weir_command_ledger_init(const struct weir_options *options);

/*
 * Prints "weirctl: " and the error's line, cleaned, to standard error; with --json also
 * {"ok":false,"error":"..."} to standard output. Returns status.
 */
enum weir_exit weir_command_fail(const struct weir_options *options, enum weir_exit status,
                                 const struct weir_error *error);

/*
 * Reads the policy options->file by Weir's own parser. On failure prints the error and returns the
 * exit status. *config is the caller's: weir_config_free.
 */
enum weir_exit weir_command_load_policy(const struct weir_options *options,
                                        struct weir_config **config);

/* Sleeps so long, whatever signals are handled meanwhile. */
void weir_command_wait(uint64_t ns);

/* Prints JSON, ASCII only, indented or in one line, and a newline. Takes json. */
void weir_command_print_json(json_t *json, bool one_line);

/* For json_pack and the like: json, or the end of the process when memory ran out. */
json_t *weir_command_json(json_t *json);

#endif
