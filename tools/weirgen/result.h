/* SPDX-License-Identifier: BSD-3-Clause */
/* How weirgen tells what it did: lines, and JSON into a file. Control thread. */
#ifndef WEIR_TOOLS_WEIRGEN_RESULT_H
#define WEIR_TOOLS_WEIRGEN_RESULT_H

#include "tools/weirgen/transmit.h"

#include <jansson.h>

/* json, or the end of the process when memory ran out. */
json_t *weir_result_json(json_t *json);

/* Writes an object to --json's file, or to standard output where that is "-". Takes it. */
enum weir_exit weir_result_write(json_t *json, const struct weir_options *options);

/* Bits a second, rounded down; 0 where no time has passed. */
uint64_t weir_result_rate(uint64_t bytes, uint64_t ns);

/* Frames that the port failed to send although it had taken them, by its own count. */
uint64_t weir_result_port_errors(const struct weir_transmit *transmit);

/*
 * Opens the port, sends what the feed has, with progress, and lets report tell the result, whose
 * status it returns; or the status of what failed before.
 */
enum weir_exit
weir_result_run(const struct weir_options *options, uint32_t mtu_bytes,
                const struct weir_feed *feed, const struct weir_transmit_config *config,
                enum weir_exit (*report)(const void *context, const struct weir_options *options,
                                         const struct weir_transmit *transmit),
                const void *context);

/*
 * What every transmission has in its JSON, with its kind. asked_bit_s: 0 where no one rate was
 * asked. status: that which weir_result_transmit_print gave.
 */
json_t *weir_result_transmit_json(const char *kind, const struct weir_transmit *transmit,
                                  uint64_t port_errors, uint64_t asked_bit_s,
                                  enum weir_exit status);

/* The lines that a transmission ends with, and the exit status that follows. */
enum weir_exit weir_result_transmit_print(const struct weir_transmit *transmit,
                                          const struct weir_options *options, uint64_t port_errors);

#endif
