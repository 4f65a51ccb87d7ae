/* SPDX-License-Identifier: BSD-3-Clause */
/* The help texts of weirctl: what a command is for, an example, and what its columns mean. */
#ifndef WEIR_TOOLS_WEIRCTL_HELP_H
#define WEIR_TOOLS_WEIRCTL_HELP_H

extern const char weir_help_options[]; /* behind the table of commands */
extern const char weir_help_status[];
extern const char weir_help_hardware[];
extern const char weir_help_top[];
extern const char weir_help_watch[];
extern const char weir_help_check[];
extern const char weir_help_diff[];
extern const char weir_help_apply[];
extern const char weir_help_plan[];
extern const char weir_help_show[];
extern const char weir_help_stop[];
extern const char weir_help_ledger[]; /* what its commands have in common */
extern const char weir_help_ledger_verify[];
extern const char weir_help_ledger_show[];
extern const char weir_help_ledger_explain[];
extern const char weir_help_ledger_init[];

#endif
