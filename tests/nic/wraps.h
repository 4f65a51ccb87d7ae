/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that production code makes of a driver. Linked with --wrap (meson.build), they come to
 * __wrap_ first: where the port is a model's it answers, otherwise the real one does.
 */
#ifndef WEIR_TESTS_NIC_WRAPS_H
#define WEIR_TESTS_NIC_WRAPS_H

#include "tests/nic/model_tm.h"

#define WEIR_WRAPPED(call) extern __typeof__(call) __real_##call, __wrap_##call

#endif
