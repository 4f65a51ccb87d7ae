/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a port has sent, by the counters that see most: those of the whole port where its driver
 * gives them, be it as rte_eth_stats or as xstats. Others count only what they were handed
 * themselves, and see nothing of what firmware or a kernel sends by the same port. Facts about DPDK
 * 22.11's drivers. Control thread.
 */
#ifndef WEIR_DRIVERS_PORT_SENT_H
#define WEIR_DRIVERS_PORT_SENT_H

#include "drivers/port.h"

/* A driver's counters. */
struct weir_port_sent_row {
	const char *driver; /* as rte_eth_dev_info says; "" is the row of unknown drivers */
	bool whole_port;    /* what rte_eth_stats tells is the whole port's */
	bool added;         /* the xstats below are added to it; otherwise they replace it */
	const char *frames; /* xstats of the whole port; NULL: none */
	const char *bytes;
	const char *source; /* file in DPDK v22.11.11 */
};

/* Where a port's counts come from. */
struct weir_port_sent_from {
	const struct weir_port_sent_row *row;
	bool whole_port; /* whether they are those of the whole port */
	bool xstats;     /* there are such, with these ids */
	uint64_t frames_id, bytes_id;
};

struct weir_port_sent {
	uint64_t frames;
	uint64_t bytes;  /* without preamble and gap; drivers differ in whether with the FCS */
	uint64_t errors; /* frames that the driver threw away */
};

/* Looks where a started port's counts come from. */
void weir_port_sent_find(const struct weir_port *port, struct weir_port_sent_from *from);

/* Reads them. Returns 0, or -errno where they can't be read. */
int weir_port_sent_read(const struct weir_port *port, const struct weir_port_sent_from *from,
                        struct weir_port_sent *sent) __attribute__((warn_unused_result));

/* One plain line for an operator where the counts are not the whole port's, or NULL. */
const char *weir_port_sent_help(const struct weir_port_sent_from *from);

#endif
