/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weir-bench: CPU cycles a packet of the real worker loop between two null ports.
 *
 * Null ports make a frame out of any free buffer and free what is sent, so what is measured is
 * Weir: receive, parse, classify, bucket, budget, send. Rates, bursts and credit are too large to
 * ever hold a frame back; if one is dropped or has to wait all the same, there is no result.
 *
 * The worker is never idle here, so cycles a packet is the TSC's advance over frames sent.
 */
#include "dataplane/worker.h"
#include "drivers/clock.h"
#include "drivers/eal.h"
#include "drivers/memory.h"

#include <getopt.h>
#include <jansson.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_BYTES    64U /* net_null's default, and testpmd's */
#define POOL_FRAMES    8191U
#define MTU_BYTES      1500U
#define MEMORY_BYTES   (UINT64_C(256) << 20)
#define RATE_BIT_S     UINT64_C(1000000000000)
#define BURST_BYTES    (UINT32_C(1) << 30)
#define BACKLOG_BYTES  (UINT32_C(1) << 20)
#define CREDIT_BYTES   (UINT64_C(1) << 62)
#define FLOWS_MAX      WEIR_RULES_MAX
#define PULSE_NS       (2 * (long)WEIR_NS_PER_MS)
#define CALIBRATE_NS   (200 * WEIR_NS_PER_MS)
#define SOURCE_PORT    40000U
#define DESTINATION_AT (RTE_ETHER_HDR_LEN + offsetof(struct rte_ipv4_hdr, dst_addr))
#define PROTOCOL_UDP   17U
#define SECONDS_MAX    600.0

/* What a run is about. */
struct bench_case {
	const char *name;
	const char *what;
	uint32_t rules;
	uint32_t classes;
	bool tuples; /* rules match all five fields; otherwise there is one that matches all */
};

static const struct bench_case cases[] = {
    {"one-any", "1 class, 1 rule that matches everything", 1, 1, false},
    {"one-tuple", "1 class, 1 rule on addresses, ports and protocol", 1, 1, true},
    {"rules-1024", "1 class, 1,024 rules on addresses, ports and protocol", 1024, 1, true},
    {"classes-4096", "4,096 classes, a rule each", 4096, 4096, true},
};

struct options {
	const struct bench_case *run;
	bool two_way;
	double seconds;
	double warm_up_s;
	uint32_t worker;
	uint32_t control;
	enum weir_eal_pages pages;
};

/* Everything that lives from start to end. */
struct bench {
	struct options options;
	struct weir_clock clock;
	struct weir_port ports[2]; /* inside, outside */
	struct weir_credit *credit;
	struct weir_dataplane *dataplane;
	bool huge_pages;
};

/* What a measurement starts and ends with. */
struct sample {
	uint64_t tsc;
	uint64_t rounds, busy_rounds;
	struct weir_flow_totals flows[WEIR_DIRECTIONS];
};

/* One flow's addresses and ports, as they lie in a frame from DESTINATION_AT on. */
struct flow {
	uint16_t address[2];
	uint16_t source_port;
	uint16_t destination_port;
};
static_assert(sizeof(struct flow) == sizeof(uint64_t), "one store");

static struct flow flows[FLOWS_MAX];
static uint32_t n_flows = 1; /* a power of two */
static uint32_t next_flow;   /* the worker's */

static void __attribute__((noreturn, format(printf, 2, 3)))
stop(int status, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "weir-bench: ");
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n");
	exit(status);
}

/* Both halves of an address add up to the same sum, so that one checksum is right for all. */
static void
make_flows(void)
{
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		/* An odd factor visits every flow, in no order that a cache could like. */
		uint32_t number = (i * 2654435761U) % n_flows;

		flows[i].address[0] = rte_cpu_to_be_16((uint16_t)(0x0a00U + number));
		flows[i].address[1] = (uint16_t)~flows[i].address[0];
		flows[i].source_port = rte_cpu_to_be_16(SOURCE_PORT);
		flows[i].destination_port = rte_cpu_to_be_16((uint16_t)(1024U + number));
	}
}

/* Writes a whole frame of the first flow into a buffer of a pool. */
static void
fill_buffer(struct rte_mempool *pool, void *arg, void *object, unsigned int index)
{
	struct rte_mbuf *mbuf = object;
	char *data = (char *)mbuf->buf_addr + RTE_PKTMBUF_HEADROOM;
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)data;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(ether + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	(void)pool;
	(void)arg;
	memset(data, 0, FRAME_BYTES);
	memset(&ether->dst_addr, 0x02, sizeof(ether->dst_addr));
	memset(&ether->src_addr, 0x06, sizeof(ether->src_addr));
	ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(FRAME_BYTES - RTE_ETHER_HDR_LEN);
	ip->time_to_live = 64;
	ip->next_proto_id = PROTOCOL_UDP;
	ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, 2, 3));
	udp->dgram_len = rte_cpu_to_be_16(FRAME_BYTES - RTE_ETHER_HDR_LEN - sizeof(*ip));
	memcpy(data + DESTINATION_AT, &flows[index % FLOWS_MAX], sizeof(flows[0]));
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

/*
 * Gives each frame the next flow. A null port's pool hands out the same few buffers again and
 * again, so without this a burst would only ever meet a few classes. It is part of the measured
 * cycles: some too many are counted, never too few.
 */
static uint16_t
give_flows(uint16_t port_id, uint16_t queue, struct rte_mbuf *frames[], uint16_t n, uint16_t n_max,
           void *arg)
{
	(void)port_id;
	(void)queue;
	(void)n_max;
	(void)arg;
	for (uint16_t i = 0; i < n; i++) {
		memcpy(rte_pktmbuf_mtod_offset(frames[i], char *, DESTINATION_AT),
		       &flows[next_flow++ % FLOWS_MAX], sizeof(flows[0]));
	}
	return n;
}

static void
open_port(struct weir_port *port, const char *name, const char *device)
{
	struct weir_port_config config = {
	    .mtu_bytes = MTU_BYTES,
	    .rx_queues = 1,
	    .tx_queues = 1,
	};
	char error[256];

	snprintf(config.name, sizeof(config.name), "%s", name);
	snprintf(config.device, sizeof(config.device), "%s", device);
	if (weir_port_open(&config, POOL_FRAMES, port, error, sizeof(error)) != 0 ||
	    weir_port_start(port, error, sizeof(error)) != 0)
		stop(1, "%s", error);
	rte_mempool_obj_iter(port->pool, fill_buffer, NULL);
}

static struct weir_rule
make_rule(const struct bench_case *run, uint32_t number)
{
	struct weir_rule rule = {
	    .link = WEIR_ANY,
	    .ethertype = WEIR_ANY,
	    .vlan = WEIR_ANY,
	    .protocol = WEIR_ANY,
	    .source_port_high = UINT16_MAX,
	    .destination_port_high = UINT16_MAX,
	    .class_slot = number % run->classes,
	};
	uint16_t half = rte_cpu_to_be_16((uint16_t)(0x0a00U + number));
	uint16_t other = (uint16_t)~half;
	uint32_t source = rte_cpu_to_be_32(RTE_IPV4(10, 1, 2, 3));

	if (!run->tuples)
		return rule;
	rule.ethertype = RTE_ETHER_TYPE_IPV4;
	rule.protocol = PROTOCOL_UDP;
	rule.source.family = rule.destination.family = WEIR_FAMILY_IP4;
	rule.source.length = rule.destination.length = 32;
	memcpy(rule.source.address, &source, sizeof(source));
	memcpy(rule.destination.address, &half, sizeof(half));
	memcpy(rule.destination.address + sizeof(half), &other, sizeof(other));
	rule.source_port_low = rule.source_port_high = SOURCE_PORT;
	rule.destination_port_low = rule.destination_port_high = (uint16_t)(1024U + number);
	return rule;
}

static struct weir_snapshot *
make_snapshot(const struct bench *bench)
{
	const struct bench_case *run = bench->options.run;
	int node = weir_memory_node_of_cpu(bench->options.worker);
	struct weir_snapshot *snapshot = weir_snapshot_new(run->classes, node);
	struct weir_rule *rules = calloc(run->rules, sizeof(*rules));
	char error[256];

	if (snapshot == NULL || rules == NULL)
		stop(1, "no memory for the policy");
	for (uint32_t i = 0; i < run->rules; i++)
		rules[i] = make_rule(run, i);
	if (weir_classifier_new("bench", rules, run->rules, node, &snapshot->classifier, error,
	                        sizeof(error)) != 0)
		stop(1, "%s", error);
	free(rules);
	snapshot->generation = 1;
	snapshot->heartbeat_limit_tsc = 10 * bench->clock.tsc_hz;
	for (uint32_t i = 0; i < run->classes; i++) {
		struct weir_class *class = &snapshot->classes[i];

		class->rate = weir_rate_make(RATE_BIT_S, bench->clock.tsc_hz, rte_rdtsc(), 0);
		class->burst_bytes = BURST_BYTES;
		class->backlog_bytes = BACKLOG_BYTES;
		class->n_path = 1; /* one budget, number 0, above all classes */
	}
	return snapshot;
}

static void
make_dataplane(struct bench *bench)
{
	static struct weir_worker_config worker;
	struct weir_dataplane_config config = {
	    .tsc_hz = bench->clock.tsc_hz,
	    .drain_tsc = bench->clock.tsc_hz,
	    .n_links = 1,
	    .n_workers = 1,
	    .workers = &worker,
	};
	char error[256];

	worker.lcore = bench->options.worker;
	worker.node = weir_memory_node_of_cpu(bench->options.worker);
	worker.waiting_max = UINT64_MAX;
	worker.n_rx = bench->options.two_way ? 2 : 1;
	for (uint8_t i = 0; i < 2; i++) {
		worker.rx[i].port_id = bench->ports[i].port_id;
		worker.rx[i].out_port_id = bench->ports[1 - i].port_id;
		worker.rx[i].direction = i == 0 ? WEIR_EGRESS : WEIR_RETURN;
		worker.rx[i].mtu_bytes = MTU_BYTES;
	}
	bench->credit = weir_memory_alloc(sizeof(*bench->credit), worker.node);
	if (bench->credit == NULL)
		stop(1, "no memory for budgets");
	if (weir_dataplane_new(&config, bench->credit, make_snapshot(bench), &bench->dataplane,
	                       error, sizeof(error)) != 0)
		stop(1, "%s", error);
	weir_credit_open(bench->credit, 0, 0);
	weir_credit_publish(bench->credit, 0, CREDIT_BYTES, WEIR_CREDIT_OPEN);
}

static void
pulse(void *arg)
{
	struct bench *bench = arg;

	weir_dataplane_pulse(bench->dataplane, rte_rdtsc());
}

static void
keep_running(struct bench *bench, double seconds)
{
	uint64_t end_ns = weir_clock_raw_ns() + (uint64_t)(seconds * (double)WEIR_NS_PER_S);
	const struct timespec pause = {.tv_nsec = PULSE_NS};

	while (weir_clock_raw_ns() < end_ns) {
		pulse(bench);
		nanosleep(&pause, NULL);
	}
}

static void
take_sample(const struct bench *bench, struct sample *sample)
{
	const struct weir_counters *counters = weir_dataplane_counters(bench->dataplane, 0);

	sample->tsc = rte_rdtsc_precise();
	sample->rounds = weir_count_read(&counters->rounds);
	sample->busy_rounds = weir_count_read(&counters->busy_rounds);
	for (enum weir_direction d = WEIR_EGRESS; d < WEIR_DIRECTIONS; d++)
		weir_dataplane_flow_totals(bench->dataplane, 0, d, &sample->flows[d]);
}

/* No result is better than one that measured something else. */
static void
check_run(const struct bench *bench, const struct sample *from, const struct sample *to)
{
	uint64_t idle_rounds = to->rounds - to->busy_rounds - (from->rounds - from->busy_rounds);
	uint32_t met = 0;

	for (enum weir_direction d = WEIR_EGRESS; d < WEIR_DIRECTIONS; d++) {
		for (uint32_t reason = 0; reason < WEIR_DROPS; reason++) {
			if (to->flows[d].dropped[reason] != 0)
				stop(1, "%llu frames were dropped: %s",
				     (unsigned long long)to->flows[d].dropped[reason],
				     weir_drop_name(reason));
		}
	}
	if (to->flows[WEIR_EGRESS].tx_frames == from->flows[WEIR_EGRESS].tx_frames)
		stop(1, "no frame was sent");
	if (idle_rounds > (to->rounds - from->rounds) / 1000)
		stop(1, "the worker was idle in %llu rounds", (unsigned long long)idle_rounds);
	for (uint32_t slot = 0; slot < bench->options.run->classes; slot++) {
		struct weir_class_totals totals;

		weir_dataplane_class_totals(bench->dataplane, slot, &totals);
		met += totals.tx_frames > 0;
	}
	if (met != bench->options.run->classes)
		stop(1, "frames met %u classes of %u", met, bench->options.run->classes);
}

static void
print_result(const struct bench *bench, const struct sample *from, const struct sample *to)
{
	uint64_t egress = to->flows[WEIR_EGRESS].tx_frames - from->flows[WEIR_EGRESS].tx_frames;
	uint64_t back = to->flows[WEIR_RETURN].tx_frames - from->flows[WEIR_RETURN].tx_frames;
	uint64_t ticks = to->tsc - from->tsc;
	double frames = (double)(egress + back);
	json_t *result =
	    json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:I, s:I, s:f, s:I, s:b}", "case",
	              bench->options.run->name, "what", bench->options.run->what, "directions",
	              bench->options.two_way ? "both" : "egress", "rules",
	              (int)bench->options.run->rules, "classes", (int)bench->options.run->classes,
	              "frame_bytes", (int)FRAME_BYTES, "cycles_per_packet", (double)ticks / frames,
	              "packets_per_s", frames / ((double)ticks / (double)bench->clock.tsc_hz),
	              "egress_frames", (json_int_t)egress, "return_frames", (json_int_t)back,
	              "frames_per_round", frames / (double)(to->rounds - from->rounds), "tsc_hz",
	              (json_int_t)bench->clock.tsc_hz, "huge_pages", (int)bench->huge_pages);

	if (result == NULL || json_dumpf(result, stdout, JSON_INDENT(2)) != 0)
		stop(1, "the result can't be printed");
	putchar('\n');
	json_decref(result);
}

static void
usage(FILE *out)
{
	fprintf(out, "usage: weir-bench [OPTION]...\n"
	             "Cycles a packet of Weir's worker loop between two null ports, as JSON.\n\n"
	             "  --case NAME       what to measure; default one-any\n");
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		fprintf(out, "                      %-13s %s\n", cases[i].name, cases[i].what);
	fprintf(out, "  --two-way         poll the return direction as well; its frames count too\n"
	             "  --seconds S       how long to measure; default 1\n"
	             "  --warm-up S       how long to run before; default 0.3\n"
	             "  --worker LCORE    default 1\n"
	             "  --control LCORE   default 0\n"
	             "  --pages KIND      auto (default), huge or normal\n"
	             "  --help\n");
}

static double
parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !(seconds >= 0.01 && seconds <= SECONDS_MAX))
		stop(2, "%s: expected seconds, 0.01 to %.0f", text, SECONDS_MAX);
	return seconds;
}

static uint32_t
parse_lcore(const char *text)
{
	char *end;
	unsigned long lcore = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || lcore > UINT16_MAX)
		stop(2, "%s: expected the number of an lcore", text);
	return (uint32_t)lcore;
}

static enum weir_eal_pages
parse_pages(const char *text)
{
	if (strcmp(text, "auto") == 0)
		return WEIR_EAL_PAGES_AUTO;
	if (strcmp(text, "huge") == 0)
		return WEIR_EAL_PAGES_HUGE;
	if (strcmp(text, "normal") == 0)
		return WEIR_EAL_PAGES_NORMAL;
	stop(2, "%s: expected auto, huge or normal", text);
}

static const struct bench_case *
parse_case(const char *text)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		if (strcmp(text, cases[i].name) == 0)
			return &cases[i];
	}
	stop(2, "%s: no such case; see --help", text);
}

static struct options
parse_options(int argc, char **argv)
{
	static const struct option known[] = {
	    {"case", required_argument, NULL, 'c'},
	    {"two-way", no_argument, NULL, 't'},
	    {"seconds", required_argument, NULL, 's'},
	    {"warm-up", required_argument, NULL, 'w'},
	    {"worker", required_argument, NULL, 'l'},
	    {"control", required_argument, NULL, 'm'},
	    {"pages", required_argument, NULL, 'p'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	struct options options = {
	    .run = &cases[0],
	    .seconds = 1,
	    .warm_up_s = 0.3,
	    .worker = 1,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'c')
			options.run = parse_case(optarg);
		else if (option == 't')
			options.two_way = true;
		else if (option == 's')
			options.seconds = parse_seconds(optarg);
		else if (option == 'w')
			options.warm_up_s = parse_seconds(optarg);
		else if (option == 'l')
			options.worker = parse_lcore(optarg);
		else if (option == 'm')
			options.control = parse_lcore(optarg);
		else if (option == 'p')
			options.pages = parse_pages(optarg);
		else if (option == 'h') {
			usage(stdout);
			exit(0);
		} else
			exit(2);
	}
	if (optind != argc)
		stop(2, "%s: no arguments expected", argv[optind]);
	return options;
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	struct sample from, to;
	char error[256];

	bench.options = parse_options(argc, argv);
	n_flows = bench.options.run->tuples ? bench.options.run->rules : 1;
	make_flows();
	if (weir_eal_start(
	        &(struct weir_eal_config){
	            .workers = &bench.options.worker,
	            .n_workers = 1,
	            .control_lcore = bench.options.control,
	            .memory_bytes = MEMORY_BYTES,
	            .pages = bench.options.pages,
	        },
	        &bench.huge_pages, error, sizeof(error)) != 0)
		stop(1, "%s", error);
	if (weir_clock_calibrate(CALIBRATE_NS, &bench.clock) != 0)
		stop(1, "this machine's TSC can't be used");
	open_port(&bench.ports[0], "inside", "net_null0");
	open_port(&bench.ports[1], "outside", "net_null1");
	if (n_flows > 1 &&
	    rte_eth_add_rx_callback(bench.ports[0].port_id, 0, give_flows, NULL) == NULL)
		stop(1, "no receive callback");
	make_dataplane(&bench);

	pulse(&bench);
	if (weir_dataplane_start(bench.dataplane) != 0)
		stop(1, "lcore %u does not start", bench.options.worker);
	keep_running(&bench, bench.options.warm_up_s);
	take_sample(&bench, &from);
	keep_running(&bench, bench.options.seconds);
	take_sample(&bench, &to);
	weir_dataplane_stop(bench.dataplane, pulse, &bench);

	check_run(&bench, &from, &to);
	print_result(&bench, &from, &to);
	weir_dataplane_free(bench.dataplane);
	weir_memory_free(bench.credit, sizeof(*bench.credit));
	for (int i = 0; i < 2; i++) {
		weir_port_stop(&bench.ports[i]);
		weir_port_close(&bench.ports[i]);
	}
	weir_eal_finish();
	return 0;
}
