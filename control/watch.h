/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks after workers and links while Weir runs, and posts an event when one changes. */
#ifndef WEIR_CONTROL_WATCH_H
#define WEIR_CONTROL_WATCH_H

#include "control/appliance.h"

#define WEIR_WATCH_STALL_NS    WEIR_NS_PER_S /* a worker or disk that stands still so long is told */
#define WEIR_WATCH_STARVED_MAX 16U           /* classes named in one second */

/* Control thread, every 50 ms. now_ns: CLOCK_BOOTTIME. */
void weir_watch_workers(struct weir_appliance *appliance, uint64_t now_ns);

/* Looks whether the disk holds the ledger up. Control thread, every 50 ms. */
void weir_watch_ledger(struct weir_appliance *appliance, uint64_t now_ns);

/*
 * Looks each second whether classes get through (starvation.h), and posts an alarm for those that
 * don't; for at most WEIR_WATCH_STARVED_MAX by name at a time. Control thread, every 50 ms.
 */
void weir_watch_classes(struct weir_appliance *appliance, uint64_t now_ns);

/*
 * Asks each port for its link's state and tells the workers. Nothing of it goes to the other port:
 * a link's state would be a way to signal. What waits in the rings of a port that went down is
 * discarded before it is used again, or it would all leave at line rate; so it is, too, where the
 * driver told by an interrupt that the link was down and it is up again, and where the link's speed
 * has changed. A port is only used once its limits are set (hardware.h). Every 50 ms; workers are
 * off a port with the driver's interrupt already, where it has some.
 */
void weir_watch_links(struct weir_appliance *appliance);

/* All looks at ports: their links, and what they send (hardware.h). Every 50 ms. */
void weir_watch_ports(struct weir_appliance *appliance, uint64_t now_ns);

/* Its link alone, of one port, now. */
void weir_watch_link(struct weir_appliance *appliance, uint32_t index);

/*
 * The first look, before the workers start, without events of links. Returns 0, or -errno with one
 * line in error where a port that is up can't get the limits that it requires.
 */
int weir_watch_first_links(struct weir_appliance *appliance, char *error)
    __attribute__((warn_unused_result));

/* Nothing is told to the dataplane of links any more: before it is freed. */
void weir_watch_end(struct weir_appliance *appliance);

/*
 * Takes a port out of use and starts it anew, as if its link had been down for a moment. why ends
 * the event's line "port NAME: ...".
 */
void weir_watch_restart(struct weir_appliance *appliance, uint32_t index, const char *why);

/*
 * A port has sent what nobody charged: its link is taken down at once, no worker is let at it, and
 * when none uses it any more it is stopped, for good.
 */
void weir_watch_breach(struct weir_appliance *appliance, uint32_t index);

#endif
