/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/port_sent.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <string.h>

#define MLX5_FRAMES "tx_phy_packets"
#define MLX5_BYTES  "tx_phy_bytes"
#define MLX5_SOURCE "drivers/net/mlx5/linux/mlx5_ethdev_os.c, mlx5_counters_init"

/* Software ports' drivers count what they have handed on: there is nothing else that sends. */
static const struct weir_port_sent_row rows[] = {
    {"mlx5_pci", false, false, MLX5_FRAMES, MLX5_BYTES, MLX5_SOURCE},
    {"mlx5_auxiliary", false, false, MLX5_FRAMES, MLX5_BYTES, MLX5_SOURCE},
    /* Frames of the management controller, which has no counter of bytes. */
    {"net_ixgbe", true, true, "tx_management_packets", NULL,
     "drivers/net/ixgbe/ixgbe_ethdev.c, rte_ixgbe_stats_strings"},
    {"net_e1000_igb", true, true, "tx_management_packets", NULL,
     "drivers/net/e1000/igb_ethdev.c, rte_igb_stats_strings"},
    {"net_i40e", true, false, NULL, NULL,
     "drivers/net/i40e/i40e_ethdev.c, i40e_read_stats_registers"},
    {"net_ice", true, false, NULL, NULL, "drivers/net/ice/ice_ethdev.c, ice_read_stats_registers"},
    {"", false, false, NULL, NULL, NULL},
};

static const struct weir_port_sent_row *
find_row(const char *driver)
{
	const struct weir_port_sent_row *row = rows;

	while (row->driver[0] != '\0' && strcmp(row->driver, driver) != 0)
		row++;
	return row;
}

void
weir_port_sent_find(const struct weir_port *port, struct weir_port_sent_from *from)
{
	const struct weir_port_sent_row *row = find_row(port->driver);

	*from = (struct weir_port_sent_from){.row = row, .whole_port = row->whole_port};
	if (row->frames == NULL ||
	    rte_eth_xstats_get_id_by_name(port->port_id, row->frames, &from->frames_id) != 0)
		return;
	if (row->bytes != NULL &&
	    rte_eth_xstats_get_id_by_name(port->port_id, row->bytes, &from->bytes_id) != 0)
		return;
	from->xstats = from->whole_port = true;
}

/* One xstat. */
static int
read_xstat(const struct weir_port *port, uint64_t id, uint64_t *value)
{
	return rte_eth_xstats_get_by_id(port->port_id, &id, value, 1) == 1 ? 0 : -EIO;
}

int
weir_port_sent_read(const struct weir_port *port, const struct weir_port_sent_from *from,
                    struct weir_port_sent *sent)
{
	uint64_t frames = 0, bytes = 0;
	struct rte_eth_stats stats;
	int code = rte_eth_stats_get(port->port_id, &stats);

	if (code == 0 && from->xstats)
		code = read_xstat(port, from->frames_id, &frames);
	if (code == 0 && from->xstats && from->row->bytes != NULL)
		code = read_xstat(port, from->bytes_id, &bytes);
	if (code != 0)
		return code < 0 ? code : -EIO;
	*sent = (struct weir_port_sent){stats.opackets, stats.obytes, stats.oerrors};
	if (!from->xstats)
		return 0;
	sent->frames = from->row->added ? sent->frames + frames : frames;
	if (from->row->bytes != NULL)
		sent->bytes = from->row->added ? sent->bytes + bytes : bytes;
	return 0;
}

const char *
weir_port_sent_help(const struct weir_port_sent_from *from)
{
	return from->whole_port ? NULL
	                        : "the driver's own count only: what firmware, a management "
	                          "controller or the kernel sends by this port is not in it";
}
