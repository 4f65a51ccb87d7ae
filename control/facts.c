/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of facts: every number that Weir shows, with its name, unit and meaning. */
#include "control/status.h"

#include <stddef.h>

#define FACTS(PREFIX, LABEL, TABLE)                                                                \
	{                                                                                          \
		.prefix = PREFIX, .label = LABEL, .facts = TABLE,                                  \
		.n_facts = sizeof(TABLE) / sizeof((TABLE)[0])                                      \
	}

#define PLAIN(KEY, TYPE, OBJECT, FIELD)                                                            \
	{                                                                                          \
		.key = KEY, .type = WEIR_FACT_##TYPE, .kind = WEIR_FACT_PLAIN,                     \
		.offset = offsetof(OBJECT, FIELD)                                                  \
	}

/* A metric's name is prefix_key where NAME is NULL, otherwise prefix_NAME. */
#define METRIC(KIND, KEY, NAME, UNIT, TYPE, OBJECT, FIELD, HELP)                                   \
	{                                                                                          \
		.key = KEY, .metric = NAME, .unit = UNIT, .help = HELP, .type = WEIR_FACT_##TYPE,  \
		.kind = WEIR_FACT_##KIND, .offset = offsetof(OBJECT, FIELD)                        \
	}

static const struct weir_fact appliance[] = {
    PLAIN("version", TEXT, struct weir_status, version),
    PLAIN("appliance", TEXT, struct weir_status, appliance),
    PLAIN("state", TEXT, struct weir_status, state),
    METRIC(GAUGE, "uptime_s", "uptime_seconds", "seconds", NS, struct weir_status, uptime_ns,
           "Time since Weir started"),
    METRIC(GAUGE, "tsc_hz", "tsc_hertz", "hertz", U64, struct weir_status, tsc_hz,
           "Measured frequency of the clock that rates run on, rounded up"),
    METRIC(GAUGE, "huge_pages", NULL, NULL, BOOL, struct weir_status, huge_pages,
           "Whether packet memory is on huge pages"),
    METRIC(GAUGE, "largest_frame_bytes", NULL, "bytes", U64, struct weir_status,
           largest_frame_bytes, "Wire bytes of the largest frame that any port takes"),
};
const struct weir_facts weir_facts_appliance = FACTS("weir", NULL, appliance);

static const struct weir_fact policy[] = {
    METRIC(GAUGE, "generation", NULL, NULL, U64, struct weir_status_policy, generation,
           "Policies put in force since Weir started"),
    PLAIN("digest", STRING, struct weir_status_policy, digest),
    METRIC(GAUGE, "rules", NULL, NULL, U64, struct weir_status_policy, rules,
           "Rules of the policy in force"),
};
const struct weir_facts weir_facts_policy = FACTS("weir_policy", NULL, policy);

static const struct weir_fact asset[] = {
    PLAIN("name", TEXT, struct weir_status_asset, name),
    METRIC(GAUGE, "weights_bytes", NULL, "bytes", U64, struct weir_status_asset, weights_bytes,
           "Size of what the policy protects"),
    METRIC(GAUGE, "compression", NULL, NULL, DOUBLE, struct weir_status_asset, compression,
           "How many times smaller an attacker is assumed to make it"),
    METRIC(GAUGE, "survive_s", "survive_seconds", "seconds", NS, struct weir_status_asset,
           survive_ns, "For how long a whole copy must not get out"),
    PLAIN("accept_risk", TEXT, struct weir_status_asset, accept_risk),
    METRIC(GAUGE, "left_share", "left_ratio", "ratio", DOUBLE, struct weir_status_asset, left_share,
           "Share of the asset that may have left at worst, by all that was ever charged"),
};
const struct weir_facts weir_facts_asset = FACTS("weir_asset", NULL, asset);

static const struct weir_fact ledger[] = {
    METRIC(GAUGE, "failed", NULL, NULL, BOOL, struct weir_ledger_status, failed,
           "Whether the ledger has failed: nothing more is granted until a restart"),
    PLAIN("error", ERROR, struct weir_ledger_status, error),
    METRIC(GAUGE, "epoch", NULL, NULL, U64, struct weir_ledger_status, epoch,
           "How many times the ledger has been opened for use"),
    METRIC(GAUGE, "sequence", NULL, NULL, U64, struct weir_ledger_status, sequence,
           "Number of the last durable record"),
    METRIC(GAUGE, "slot_lost", NULL, NULL, BOOL, struct weir_ledger_status, slot_lost,
           "Whether a slot of the ledger held no valid record at start"),
    METRIC(COUNTER, "syncs", NULL, NULL, U64, struct weir_ledger_status, syncs,
           "Writes made durable since Weir started"),
    METRIC(COUNTER, "written_bytes", NULL, "bytes", U64, struct weir_ledger_status, written_bytes,
           "Bytes written to the ledger since Weir started"),
    METRIC(GAUGE, "forfeited_bytes", NULL, "bytes", U64, struct weir_ledger_status, forfeited_bytes,
           "Wire bytes of the root that the last start charged as lost"),
    METRIC(GAUGE, "sync_max_s", "sync_max_seconds", "seconds", NS, struct weir_ledger_status,
           sync_max_ns, "Longest write and sync seen"),
    METRIC(GAUGE, "horizon_s", "horizon_seconds", "seconds", NS, struct weir_ledger_status,
           horizon_ns, "For how long bytes are granted ahead, as the disk's speed asks for"),
    PLAIN("witness", WITNESS, struct weir_ledger_status, witness_kind),
    METRIC(GAUGE, "witness_value", NULL, NULL, U64, struct weir_ledger_status, witness_value,
           "Where the witness stands; 0: there is none"),
    METRIC(COUNTER, "witness_failures", NULL, NULL, U64, struct weir_ledger_status,
           witness_failures, "Times that the witness did not advance, since Weir started"),
    METRIC(GAUGE, "witness_error", "witness_failing", NULL, ERROR, struct weir_ledger_status,
           witness_error, "Whether the witness did not advance when it was last asked to"),
    METRIC(GAUGE, "witness_left_bytes", NULL, "bytes", U64_OR_NUL, struct weir_ledger_status,
           witness_left_bytes,
           "Wire bytes that can be granted before the witness must advance; 2^64 - 1: any"),
};
const struct weir_facts weir_facts_ledger = FACTS("weir_ledger", NULL, ledger);

static const struct weir_fact worker[] = {
    PLAIN("lcore", STRING, struct weir_status_worker, lcore),
    METRIC(COUNTER, "rounds", NULL, NULL, U64, struct weir_status_worker, rounds,
           "Rounds of the worker's loop"),
    METRIC(COUNTER, "busy_rounds", NULL, NULL, U64, struct weir_status_worker, busy_rounds,
           "Rounds that received or sent a frame"),
    METRIC(GAUGE, "busy_share", "busy_ratio", "ratio", DOUBLE, struct weir_status_worker,
           busy_share, "Busy rounds of the last second by all rounds"),
    METRIC(GAUGE, "stalled", NULL, NULL, BOOL, struct weir_status_worker, stalled,
           "Whether the worker has made no round for a second"),
};
const struct weir_facts weir_facts_worker = FACTS("weir_worker", "lcore", worker);

static const struct weir_fact port[] = {
    PLAIN("name", TEXT, struct weir_status_port, name),
    PLAIN("driver", TEXT, struct weir_status_port, driver),
    METRIC(GAUGE, "up", NULL, NULL, BOOL, struct weir_status_port, up,
           "Whether the port's link is up"),
    METRIC(GAUGE, "breached", NULL, NULL, BOOL, struct weir_status_port, breached,
           "Whether the port sent what nobody charged, and was stopped until a restart"),
    METRIC(GAUGE, "speed_bit_s", "speed_bits_per_second", "bits_per_second", U64,
           struct weir_status_port, speed_bit_s, "Speed of the port's link, 0 if unknown"),
    METRIC(COUNTER, "rx_frames", NULL, "frames", U64, struct weir_status_port, rx_frames,
           "Frames received, by the driver's count"),
    METRIC(COUNTER, "tx_frames", NULL, "frames", U64, struct weir_status_port, tx_frames,
           "Frames sent, by the driver's count"),
    METRIC(COUNTER, "rx_missed_frames", NULL, "frames", U64, struct weir_status_port,
           rx_missed_frames, "Frames lost because the receive queue was full"),
    METRIC(COUNTER, "rx_error_frames", NULL, "frames", U64, struct weir_status_port,
           rx_error_frames, "Frames received with errors"),
    METRIC(COUNTER, "rx_no_buffer_frames", NULL, "frames", U64, struct weir_status_port,
           rx_no_buffer_frames, "Frames lost because the pool of buffers was empty"),
    METRIC(COUNTER, "tx_error_frames", NULL, "frames", U64, struct weir_status_port,
           tx_error_frames, "Frames that the driver failed to send"),
    METRIC(GAUGE, "pool_frames", NULL, "frames", U64, struct weir_status_port, pool_frames,
           "Buffers in the port's pool"),
    METRIC(GAUGE, "pool_free_frames", NULL, "frames", U64, struct weir_status_port,
           pool_free_frames, "Buffers of the port's pool that are free"),
};
const struct weir_facts weir_facts_port = FACTS("weir_port", "port", port);

static const struct weir_fact queue[] = {
    PLAIN("port", TEXT, struct weir_status_queue, port),
    PLAIN("queue", STRING, struct weir_status_queue, queue),
    METRIC(GAUGE, "limit_bit_s", "limit_bits_per_second", "bits_per_second", U64,
           struct weir_status_queue, limit_bit_s,
           "Limit that the NIC was given for a queue of each worker"),
    METRIC(GAUGE, "measured_bit_s", "measured_bits_per_second", "bits_per_second", U64,
           struct weir_status_queue, measured_bit_s,
           "What the queue sent a second while frames waited in it; 0: not measured yet"),
    METRIC(GAUGE, "waiting_frames", NULL, "frames", U64, struct weir_status_queue, waiting_frames,
           "Frames in the NIC's queue that are not known to have left"),
    PLAIN("verdict", TEXT, struct weir_status_queue, verdict),
};
const struct weir_facts weir_facts_queue = FACTS("weir_queue", "port", queue);

static const struct weir_fact flow[] = {
    METRIC(COUNTER, "rx_frames", NULL, "frames", U64, struct weir_flow_totals, rx_frames,
           "Frames received"),
    METRIC(COUNTER, "rx_wire_bytes", NULL, "bytes", U64, struct weir_flow_totals, rx_wire_bytes,
           "Bytes received, as the space taken on the wire"),
    METRIC(COUNTER, "tx_frames", NULL, "frames", U64, struct weir_flow_totals, tx_frames,
           "Frames sent"),
    METRIC(COUNTER, "tx_wire_bytes", NULL, "bytes", U64, struct weir_flow_totals, tx_wire_bytes,
           "Bytes sent, as the space taken on the wire"),
};
const struct weir_facts weir_facts_flow = FACTS("weir_link", "link", flow);

static const struct weir_fact class[] = {
    PLAIN("name", TEXT, struct weir_status_class, name),
    PLAIN("budget", TEXT, struct weir_status_class, budget),
    METRIC(GAUGE, "rate_bit_s", "rate_bits_per_second", "bits_per_second", U64,
           struct weir_status_class, rate_bit_s, "Rate that the policy allows, in wire bits"),
    METRIC(GAUGE, "burst_bytes", NULL, "bytes", U64, struct weir_status_class, burst_bytes,
           "Burst that the policy allows, in wire bytes"),
    METRIC(GAUGE, "backlog_bytes", NULL, "bytes", U64, struct weir_status_class, backlog_bytes,
           "Wire bytes that may wait; 0: what exceeds the rate is dropped"),
    METRIC(COUNTER, "tx_frames", NULL, "frames", U64, struct weir_status_class, totals.tx_frames,
           "Frames sent"),
    METRIC(COUNTER, "tx_wire_bytes", NULL, "bytes", U64, struct weir_status_class,
           totals.tx_wire_bytes, "Wire bytes sent"),
    METRIC(COUNTER, "dropped_frames", NULL, "frames", U64, struct weir_status_class,
           totals.dropped_frames, "Frames of the class that were dropped"),
    METRIC(COUNTER, "dropped_wire_bytes", NULL, "bytes", U64, struct weir_status_class,
           totals.dropped_wire_bytes, "Wire bytes of the class that were dropped"),
    METRIC(GAUGE, "queued_bytes", NULL, "bytes", U64, struct weir_status_class, totals.queued_bytes,
           "Wire bytes that wait"),
    METRIC(GAUGE, "starved", NULL, NULL, BOOL, struct weir_status_class, starved,
           "1: for seconds most of what came for the class was dropped, or nothing of it left"),
};
const struct weir_facts weir_facts_class = FACTS("weir_class", "class", class);

static const struct weir_fact budget[] = {
    PLAIN("name", TEXT, struct weir_status_budget, name),
    PLAIN("parent", TEXT, struct weir_status_budget, parent),
    METRIC(COUNTER, "charged_wire_bytes", NULL, "bytes", U64, struct weir_status_budget,
           ledger.charged_bytes, "Wire bytes ever charged"),
    METRIC(COUNTER, "granted_wire_bytes", NULL, "bytes", U64, struct weir_status_budget,
           ledger.granted_bytes, "Wire bytes ever granted, durably"),
    METRIC(COUNTER, "forfeited_wire_bytes", NULL, "bytes", U64, struct weir_status_budget,
           ledger.forfeited_bytes,
           "Wire bytes charged because they were granted, not known as sent, before a crash"),
    METRIC(GAUGE, "forfeited_last_wire_bytes", NULL, "bytes", U64, struct weir_status_budget,
           ledger.forfeited_last_bytes, "Of these, what the last start charged"),
};
const struct weir_facts weir_facts_budget = FACTS("weir_budget", "budget", budget);

static const struct weir_fact cap[] = {
    METRIC(GAUGE, "limit_bytes", NULL, "bytes", U64, struct weir_ledger_cap_status, limit_bytes,
           "Wire bytes that the cap allows"),
    PLAIN("window_s", NS_OR_NUL, struct weir_ledger_cap_status, window_ns),
    METRIC(GAUGE, "used_bytes", NULL, "bytes", U64, struct weir_ledger_cap_status, used_bytes,
           "Wire bytes charged in the cap's window, or ever"),
    METRIC(GAUGE, "remaining_bytes", NULL, "bytes", U64, struct weir_ledger_cap_status,
           remaining_bytes, "Wire bytes that the cap still allows"),
};
const struct weir_facts weir_facts_cap = FACTS("weir_cap", "budget", cap);
