/* SPDX-License-Identifier: BSD-3-Clause */
/* A port's link interrupts: what port.h says of them. For port.c alone. */
#ifndef WEIR_DRIVERS_PORT_EVENTS_H
#define WEIR_DRIVERS_PORT_EVENTS_H

#include "drivers/port.h"

/* Before the start of a port that was configured for them. Sets link_events. */
void weir_port_listen(struct weir_port *port);

/* None is under way any more on return. */
void weir_port_unlisten(struct weir_port *port);

#endif
