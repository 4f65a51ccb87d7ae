/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends frames by a raw packet socket at a rate: the attacker of the end-to-end tests.
 *
 * Three modes: UDP datagrams that carry a sequence number (the default), the frames of a capture
 * (-p), and probes (-b): single frames whose time of departure is printed, bracketed by two clock
 * readings, so that a test can tell how far a capture's timestamps are to be trusted.
 */
#include "drivers/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH_FRAMES       32U
#define FRAME_MAX_BYTES    9300U
#define CAPTURE_FRAMES_MAX 65536U
#define PROBE_ETHERTYPE    0x88b5 /* IEEE local experimental */
/* What is due at most after a pause of the sender, so that it catches up but never surges. */
#define CATCH_UP_NS (20 * WEIR_NS_PER_MS)

struct frame {
	uint8_t *bytes;
	uint32_t length;
};

struct flood {
	const char *interface;
	const char *capture;
	const char *source, *destination;
	uint64_t rate_bit_s; /* wire bits */
	uint64_t limit_frames;
	double seconds;
	uint32_t frame_bytes;
	uint16_t port;
	bool probe;
	uint8_t source_mac[6], destination_mac[6];
	int socket;
	struct frame *frames;
	uint32_t n_frames;
};

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
sleep_ns(uint64_t ns)
{
	struct timespec pause = {.tv_nsec = (long)(ns < 999999999 ? ns : 999999999)};

	(void)nanosleep(&pause, NULL);
}

static int
open_socket(struct flood *flood)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = 0};
	int size = 4 << 20;

	address.sll_ifindex = (int)if_nametoindex(flood->interface);
	if (address.sll_ifindex == 0)
		return -errno;
	/* Protocol 0: sends only, so that nothing queues up on the way in. */
	flood->socket = socket(AF_PACKET, SOCK_RAW, 0);
	if (flood->socket < 0)
		return -errno;
	(void)setsockopt(flood->socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (bind(flood->socket, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	return 0;
}

static uint16_t
ip_checksum(const void *header, size_t bytes)
{
	const uint8_t *data = header;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* One UDP datagram in an Ethernet frame of frame_bytes. */
static int
make_udp(const struct flood *flood, struct frame *frame)
{
	struct ether_header ether = {.ether_type = htons(ETHERTYPE_IP)};
	struct iphdr ip = {.ihl = 5, .version = 4, .ttl = 64, .protocol = IPPROTO_UDP};
	struct udphdr udp = {.source = htons(40000), .dest = htons(flood->port)};

	if (flood->frame_bytes < sizeof(ether) + sizeof(ip) + sizeof(udp) + 8 ||
	    flood->frame_bytes > FRAME_MAX_BYTES ||
	    inet_pton(AF_INET, flood->source, &ip.saddr) != 1 ||
	    inet_pton(AF_INET, flood->destination, &ip.daddr) != 1)
		return -EINVAL;
	frame->bytes = calloc(1, flood->frame_bytes);
	if (frame->bytes == NULL)
		return -ENOMEM;
	frame->length = flood->frame_bytes;
	memcpy(ether.ether_shost, flood->source_mac, sizeof(ether.ether_shost));
	memcpy(ether.ether_dhost, flood->destination_mac, sizeof(ether.ether_dhost));
	ip.tot_len = htons((uint16_t)(flood->frame_bytes - sizeof(ether)));
	ip.check = ip_checksum(&ip, sizeof(ip));
	udp.len = htons((uint16_t)(flood->frame_bytes - sizeof(ether) - sizeof(ip)));
	memcpy(frame->bytes, &ether, sizeof(ether));
	memcpy(frame->bytes + sizeof(ether), &ip, sizeof(ip));
	memcpy(frame->bytes + sizeof(ether) + sizeof(ip), &udp, sizeof(udp));
	return 0;
}

static int
load_capture(struct flood *flood)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(flood->capture, error);
	struct pcap_pkthdr *header;
	const uint8_t *data;

	if (pcap == NULL) {
		fprintf(stderr, "%s\n", error);
		return -EINVAL;
	}
	flood->frames = calloc(CAPTURE_FRAMES_MAX, sizeof(*flood->frames));
	while (flood->frames != NULL && flood->n_frames < CAPTURE_FRAMES_MAX &&
	       pcap_next_ex(pcap, &header, &data) == 1) {
		struct frame *frame = &flood->frames[flood->n_frames];

		frame->bytes = malloc(header->caplen > 0 ? header->caplen : 1);
		if (frame->bytes == NULL)
			break;
		memcpy(frame->bytes, data, header->caplen);
		frame->length = header->caplen;
		flood->n_frames++;
	}
	pcap_close(pcap);
	return flood->n_frames > 0 ? 0 : -ENODATA;
}

/* Copies of one datagram, a batch of them, so that each in flight has its own sequence number. */
static int
make_frames(struct flood *flood)
{
	flood->frames = calloc(BATCH_FRAMES, sizeof(*flood->frames));
	if (flood->frames == NULL)
		return -ENOMEM;
	for (flood->n_frames = 0; flood->n_frames < BATCH_FRAMES; flood->n_frames++) {
		int error = make_udp(flood, &flood->frames[flood->n_frames]);

		if (error != 0)
			return error;
	}
	return 0;
}

static void
number_frame(const struct flood *flood, struct frame *frame, uint64_t number)
{
	if (flood->capture != NULL)
		return;
	memcpy(frame->bytes + sizeof(struct ether_header) + sizeof(struct iphdr) +
	           sizeof(struct udphdr),
	       &number, sizeof(number));
}

/* Sends up to BATCH_FRAMES frames from number on, as far as budget_bytes goes. */
static uint32_t
send_batch(struct flood *flood, uint64_t number, uint64_t budget_bytes, uint64_t *sent_bytes)
{
	struct mmsghdr messages[BATCH_FRAMES];
	struct iovec vectors[BATCH_FRAMES];
	uint64_t bytes = 0;
	uint32_t n = 0;
	int sent;

	memset(messages, 0, sizeof(messages));
	while (n < BATCH_FRAMES && (flood->limit_frames == 0 || number + n < flood->limit_frames)) {
		struct frame *frame = &flood->frames[(number + n) % flood->n_frames];

		bytes += weir_wire_bytes(frame->length);
		if (bytes > budget_bytes)
			break;
		number_frame(flood, frame, number + n);
		vectors[n] = (struct iovec){.iov_base = frame->bytes, .iov_len = frame->length};
		messages[n].msg_hdr.msg_iov = &vectors[n];
		messages[n].msg_hdr.msg_iovlen = 1;
		n++;
	}
	sent = n > 0 ? sendmmsg(flood->socket, messages, n, 0) : 0;
	if (sent < 0) {
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
			stopped = 2;
		return 0;
	}
	for (uint32_t i = 0; i < (uint32_t)sent; i++)
		*sent_bytes +=
		    weir_wire_bytes(flood->frames[(number + i) % flood->n_frames].length);
	return (uint32_t)sent;
}

static int
run_flood(struct flood *flood)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC_RAW), last = start, credit = 0;
	uint64_t end = start + (uint64_t)(flood->seconds * (double)WEIR_NS_PER_S);
	uint64_t frames = 0, bytes = 0, frame_max = weir_wire_bytes(FRAME_MAX_BYTES);
	uint64_t credit_max = frame_max + flood->rate_bit_s / 8 * CATCH_UP_NS / WEIR_NS_PER_S;

	while (stopped == 0 && (flood->limit_frames == 0 || frames < flood->limit_frames)) {
		uint64_t now = now_ns(CLOCK_MONOTONIC_RAW), before = bytes;
		uint32_t sent;

		if (now >= end)
			break;
		credit += flood->rate_bit_s / 8 * (now - last) / WEIR_NS_PER_S;
		if (credit > credit_max)
			credit = credit_max;
		last = now;
		sent = send_batch(flood, frames, credit, &bytes);
		credit -= bytes - before;
		frames += sent;
		if (sent < BATCH_FRAMES)
			sleep_ns(200 * WEIR_NS_PER_US);
	}
	printf("frames %" PRIu64 " wire_bytes %" PRIu64 " seconds %.6f\n", frames, bytes,
	       (double)(now_ns(CLOCK_MONOTONIC_RAW) - start) / (double)WEIR_NS_PER_S);
	return stopped == 2 ? 1 : 0;
}

/* One line a probe: its number, the wall clock before and after, and whether it was undisturbed. */
static int
run_probe(struct flood *flood)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC_RAW);
	uint64_t end = start + (uint64_t)(flood->seconds * (double)WEIR_NS_PER_S);
	uint8_t frame[WEIR_FRAME_MIN_BYTES] = {0};

	(void)setvbuf(stdout, NULL, _IOLBF,
	              0); /* who counts what arrives has to know these at once */
	memcpy(frame, flood->destination_mac, 6);
	memcpy(frame + 6, flood->source_mac, 6);
	frame[12] = PROBE_ETHERTYPE >> 8;
	frame[13] = PROBE_ETHERTYPE & 0xff;
	for (uint64_t number = 0; stopped == 0 && now_ns(CLOCK_MONOTONIC_RAW) < end; number++) {
		struct rusage usage_before, usage_after;
		uint64_t before, after;
		bool sent;

		memcpy(frame + 14, &number, sizeof(number));
		(void)getrusage(RUSAGE_THREAD, &usage_before);
		before = now_ns(CLOCK_REALTIME);
		sent = send(flood->socket, frame, sizeof(frame), 0) == (ssize_t)sizeof(frame);
		after = now_ns(CLOCK_REALTIME);
		(void)getrusage(RUSAGE_THREAD, &usage_after);
		if (sent)
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", number, before, after,
			       usage_before.ru_nivcsw == usage_after.ru_nivcsw);
		sleep_ns(5 * WEIR_NS_PER_MS);
	}
	return 0;
}

static void
free_frames(struct flood *flood)
{
	for (uint32_t i = 0; i < flood->n_frames; i++)
		free(flood->frames[i].bytes);
	free(flood->frames);
}

static int
parse_mac(const char *text, uint8_t mac[6])
{
	char end;

	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0], &mac[1], &mac[2],
	              &mac[3], &mac[4], &mac[5], &end) == 6
	           ? 0
	           : -EINVAL;
}

static int
usage(const char *program)
{
	fprintf(
	    stderr,
	    "usage: %s -i INTERFACE [-b | -p CAPTURE] [-r BIT_S] [-l FRAME_BYTES] [-t SECONDS]\n"
	    "       [-n FRAMES] [-s IPV4] [-d IPV4] [-o PORT] [-S MAC] [-D MAC]\n",
	    program);
	return 2;
}

static int
parse_options(int argc, char **argv, struct flood *flood)
{
	int option, error = 0;

	while ((option = getopt(argc, argv, "i:bp:r:l:t:n:s:d:o:S:D:")) != -1) {
		switch (option) {
		case 'i':
			flood->interface = optarg;
			break;
		case 'b':
			flood->probe = true;
			break;
		case 'p':
			flood->capture = optarg;
			break;
		case 'r':
			flood->rate_bit_s = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			flood->frame_bytes = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			flood->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			flood->limit_frames = strtoull(optarg, NULL, 10);
			break;
		case 's':
			flood->source = optarg;
			break;
		case 'd':
			flood->destination = optarg;
			break;
		case 'o':
			flood->port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'S':
			error |= parse_mac(optarg, flood->source_mac);
			break;
		case 'D':
			error |= parse_mac(optarg, flood->destination_mac);
			break;
		default:
			return -EINVAL;
		}
	}
	return error != 0 || optind != argc || flood->interface == NULL ||
	               flood->rate_bit_s < 8000 || flood->rate_bit_s > 1000000000000 ||
	               flood->seconds <= 0 || flood->seconds > 3600
	           ? -EINVAL
	           : 0;
}

int
main(int argc, char **argv)
{
	struct flood flood = {
	    .source = "10.77.0.1",
	    .destination = "10.77.0.2",
	    .rate_bit_s = 150000000,
	    .frame_bytes = 1442,
	    .seconds = 10,
	    .port = 9000,
	    .source_mac = {2, 0, 0, 0, 0, 1},
	    .destination_mac = {2, 0, 0, 0, 0, 2},
	};
	struct sigaction action = {.sa_handler = on_signal};
	int error;

	if (parse_options(argc, argv, &flood) != 0)
		return usage(argv[0]);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	error = open_socket(&flood);
	if (error == 0 && !flood.probe)
		error = flood.capture != NULL ? load_capture(&flood) : make_frames(&flood);
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-error));
		return 1;
	}
	error = flood.probe ? run_probe(&flood) : run_flood(&flood);
	free_frames(&flood);
	(void)close(flood.socket);
	return error;
}
