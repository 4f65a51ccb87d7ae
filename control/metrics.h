/* SPDX-License-Identifier: BSD-3-Clause */
/* A status as OpenMetrics text, from the same table of facts as the JSON. */
#ifndef WEIR_CONTROL_METRICS_H
#define WEIR_CONTROL_METRICS_H

#include "control/status.h"

#include <stdio.h>

#define WEIR_METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * Writes the whole exposition, "# EOF" included. Every counter's sample ends in _total; the drops
 * of a link are one family with the reason as a label, all reasons always present.
 */
void weir_metrics_write(const struct weir_status *status, FILE *out);

#endif
