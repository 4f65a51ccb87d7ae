/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/listen.h"

#include "tools/weirgen/packet_socket.h"
#include "tools/weirgen/pcapng.h"
#include "tools/weirgen/tally.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <string.h>

void
weir_listen_make(struct weir_station *station, const struct weir_options *options,
                 struct weir_listen *listen)
{
	uint64_t hz = station->clock.tsc_hz;

	memset(listen, 0, sizeof(*listen));
	listen->station = station;
	listen->packet_socket = strcmp(station->port.driver, "net_af_packet") == 0
	                            ? weir_packet_socket_find(station->port.interface)
	                            : -1;
	listen->count = options->count;
	listen->duration_tsc = weir_clock_tsc_from_ns(&station->clock, options->duration_ns);
	listen->idle_tsc = weir_clock_tsc_from_ns(&station->clock, options->idle_ns);
	listen->frame_max = weir_frame_max_bytes(station->port.config.mtu_bytes);
	listen->clock = weir_stamp_clock();
	listen->tick_ns_q32 = (uint64_t)(((weir_u128)WEIR_NS_PER_S << 32) / hz);
	listen->n_limits = options->n_limits;
	for (uint32_t i = 0; i < options->n_limits; i++)
		weir_limit_meter_make(&listen->limits[i], options->limits[i].rate_bit_s, hz);
	listen->n_windows = options->n_windows;
	for (uint32_t i = 0; i < options->n_windows; i++)
		weir_window_meter_make(&listen->windows[i], options->windows_ns[i], hz,
		                       rte_rdtsc());
}

static inline uint64_t
ns_of(const struct weir_listen *listen, uint64_t ticks)
{
	return (uint64_t)(((weir_u128)ticks * listen->tick_ns_q32) >> 32);
}

static inline void
take_latency(const struct weir_listen *listen, struct weir_track *track,
             const struct weir_stamp *stamp, uint64_t now)
{
	if (!stamp->live) {
		if (track->kind != WEIR_LATENCY_ONE_WAY)
			weir_track_variation(track, stamp->time,
			                     ns_of(listen, now - listen->start_tsc));
	} else if (stamp->clock == listen->clock && track->kind != WEIR_LATENCY_VARIATION) {
		weir_track_one_way(track, stamp->time, now, listen->tick_ns_q32);
	}
}

/* A frame's stamp, if it has one that is sound. */
static inline void
take_stamp(struct weir_listen *listen, const uint8_t *frame, uint32_t bytes, uint64_t wire,
           uint64_t now)
{
	uint32_t payload = weir_stamp_payload(frame, bytes);
	struct weir_track *track;
	struct weir_stamp stamp;

	if (payload == 0 || payload + WEIR_STAMP_BYTES > bytes ||
	    !weir_stamp_read(frame + payload, &stamp))
		return;
	weir_tally_add(&listen->counts.stamped, 1);
	if (stamp.flow >= WEIR_TRACK_FLOWS) {
		weir_tally_add(&listen->counts.other_flows, 1);
		return;
	}
	track = &listen->tracks[stamp.flow];
	track->wire_bytes += wire;
	if (weir_track_sequence(track, stamp.sequence))
		take_latency(listen, track, &stamp, now);
	if (stamp.flow >= atomic_load_explicit(&listen->counts.flows, memory_order_relaxed))
		atomic_store_explicit(&listen->counts.flows, stamp.flow + 1U, memory_order_release);
}

static inline void
take_burst(struct weir_listen *listen, struct rte_mbuf *const mbufs[], uint32_t n,
           const struct weir_look *look)
{
	uint64_t empty = look->empty, now = look->now;
	struct weir_listen_counts *counts = &listen->counts;
	uint64_t bytes = 0, wire = 0, oversize = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t length = rte_pktmbuf_pkt_len(mbufs[i]);

		bytes += length;
		wire += weir_wire_bytes(length);
		oversize += length > listen->frame_max;
		/* The first segment is enough: a stamp is at the start. */
		take_stamp(listen, rte_pktmbuf_mtod(mbufs[i], const uint8_t *),
		           rte_pktmbuf_data_len(mbufs[i]), weir_wire_bytes(length), now);
	}
	for (uint32_t i = 0; i < listen->n_limits; i++)
		weir_limit_meter_add(&listen->limits[i], empty, now, wire);
	for (uint32_t i = 0; i < listen->n_windows; i++)
		weir_window_meter_add(&listen->windows[i], empty, now, wire);
	if (weir_tally_get(&counts->frames) == 0)
		weir_tally_set(&counts->first_tsc, now);
	weir_tally_set(&counts->last_tsc, now);
	weir_tally_add(&counts->frame_bytes, bytes);
	weir_tally_add(&counts->wire_bytes, wire);
	if (oversize > 0)
		weir_tally_add(&counts->oversize, oversize);
	weir_tally_add(&counts->frames, n);
}

static inline bool
is_over(const struct weir_listen *listen, const struct weir_look *look)
{
	uint64_t now = look->now;

	uint64_t frames = weir_tally_get(&listen->counts.frames);
	uint64_t last = weir_tally_get(&listen->counts.last_tsc);

	if (listen->count > 0 && frames >= listen->count)
		return true;
	if (listen->duration_tsc > 0 && now - listen->start_tsc >= listen->duration_tsc)
		return true;
	/* By when it was seen that nothing had come: in a stall frames may have. */
	return listen->idle_tsc > 0 && frames > 0 && look->empty > last &&
	       look->empty - last >= listen->idle_tsc;
}

static int
work(void *arg)
{
	struct weir_listen *listen = arg;
	struct rte_mbuf *mbufs[WEIR_LISTEN_BURST];
	/* Frames can have come since the port was started. */
	struct weir_look look = {.empty = listen->station->started_tsc};
	uint16_t port = listen->station->port.port_id;

	look.before = look.now = rte_rdtsc();
	atomic_store(&listen->start_tsc, look.now);
	while (!weir_station_stopped() && !is_over(listen, &look)) {
		uint32_t n;

		weir_hold_round(&listen->station->hold, look.now);
		n = rte_eth_rx_burst(port, 0, mbufs, WEIR_LISTEN_BURST);
		weir_look_done(&look, rte_rdtsc(), n);
		if (n == 0) {
			rte_pause();
			continue;
		}
		if (look.now - look.before > weir_tally_get(&listen->counts.look_max))
			weir_tally_set(&listen->counts.look_max, look.now - look.before);
		take_burst(listen, mbufs, n, &look);
		if (listen->capture.pool != NULL)
			weir_tally_add(
			    &listen->counts.capture_missed,
			    weir_pcapng_copy(&listen->capture, port, mbufs, n, look.now));
		rte_pktmbuf_free_bulk(mbufs, n);
	}
	listen->end_tsc = look.now;
	return 0;
}

int
weir_listen_start(struct weir_listen *listen)
{
	return weir_station_launch(listen->station, work, listen);
}
