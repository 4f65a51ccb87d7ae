/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices called model0 and so on are models; a test moves their time (weir_model_advance). */
#include "drivers/port_device.h"
#include "tests/nic/wraps.h"

WEIR_WRAPPED(weir_port_device_probe);
WEIR_WRAPPED(weir_port_device_remove);

int
__wrap_weir_port_device_probe(const char *device, uint16_t *port_id, bool *made, char *error,
                              size_t error_size)
{
	int result;

	if (!weir_model_is(device))
		return __real_weir_port_device_probe(device, port_id, made, error, error_size);
	result = weir_model_probe(device, port_id, error, error_size);
	*made = result == 0;
	return result;
}

void
__wrap_weir_port_device_remove(const char *device)
{
	if (weir_model_is(device))
		weir_model_remove(device);
	else
		__real_weir_port_device_remove(device);
}
