/* SPDX-License-Identifier: BSD-3-Clause */
/* The help texts of weirgen. */
#ifndef WEIR_TOOLS_WEIRGEN_HELP_H
#define WEIR_TOOLS_WEIRGEN_HELP_H

extern const char weir_help_port[]; /* options that all subcommands share */
extern const char weir_help_send[];
extern const char weir_help_replay[];
extern const char weir_help_receive[];

#endif
