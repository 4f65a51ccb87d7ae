/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the status of a running appliance. */
#ifndef WEIR_CONTROL_COLLECT_H
#define WEIR_CONTROL_COLLECT_H

#include "control/appliance.h"

/*
 * All numbers of now. The caller's to free, before the policy changes. NULL when memory runs out.
 * Control thread, between weir_appliance_run and the end of weir_appliance_halt.
 */
struct weir_status *weir_collect_status(const struct weir_appliance *appliance);

#endif
