/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What weir-lab has more than weir: devices called model0 and so on are models that run by the
 * clock. A thread of each, on the CPU of the control thread, sends what leaves on a kernel
 * interface (iface=veth1) and hands on what arrives there. Without iface= what leaves is gone.
 *
 * control=/path makes a datagram socket there, which takes one command a datagram and answers:
 *   faster F        sends F times as fast as programmed; 1: as programmed
 *   extra N         sends N frames that nobody handed over
 *   underreport P   leaves P percent of frames out of the counters
 *   overreport N    counts N frames that were never sent
 *   stall Q         queue Q sends nothing more; "all"; "off"
 *   mute on|off     tells of no frame that it has left
 *   early on|off    tells of all frames that they have
 *   forget          all limits are gone
 *   honest          nothing of the above any more
 *   speed S         the link's speed: 1G, 100M; it is down for half a second
 *   link up|down
 *   reset           the NIC resets itself; its link is down as long
 *   stats           counters, limits, and what waits
 */
#include "drivers/port_device.h"
#include "tests/nic/wraps.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <rte_kvargs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS       200000L
#define DOWN_NS       (500 * WEIR_NS_PER_MS) /* of a link whose speed changes */
#define RECEIVE_MAX   256U                   /* frames a turn */
#define FRAME_BYTES   (WEIR_MTU_MAX + 64U)
#define TAG_PLACE     12U /* of a VLAN tag, behind the addresses */
#define COMMAND_SIZE  128U
#define ANSWER_SIZE   16384U
#define SOCKET_BYTES  (1 << 22)
#define PPM           1000000.0
#define PPM_A_PERCENT 10000.0
#define OWN_BYTES     1514U
#define MBIT_A_GBIT   1000U

WEIR_WRAPPED(weir_port_device_probe);
WEIR_WRAPPED(weir_port_device_remove);

struct lab {
	struct weir_model *nic;
	pthread_t thread;
	_Atomic bool stop;
	int wire;    /* packet socket, or -1 */
	int control; /* datagram socket, or -1 */
	char control_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	uint64_t send_errors; /* frames that the kernel did not take */
};

static uint64_t
clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * WEIR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
send_frame(void *arg, const struct weir_model_frame *frame)
{
	static const uint8_t own[OWN_BYTES] = {0x02, 0, 0, 0, 0, 1,    0x02,
	                                       0,    0, 0, 0, 2, 0x88, 0xb5};
	struct lab *lab = arg;
	const void *data = own;
	size_t bytes = frame->wire_bytes - WEIR_WIRE_OVERHEAD_BYTES;
	uint8_t copy[FRAME_BYTES];

	if (lab->wire < 0)
		return;
	if (frame->mbuf != NULL) {
		bytes = rte_pktmbuf_pkt_len(frame->mbuf);
		data = bytes <= sizeof(copy)
		           ? rte_pktmbuf_read(frame->mbuf, 0, (uint32_t)bytes, copy)
		           : NULL;
	}
	if (data == NULL || send(lab->wire, data, bytes, 0) != (ssize_t)bytes)
		lab->send_errors++;
}

/* The kernel takes VLAN tags out of frames and tells them apart. */
static size_t
put_tag_back(struct msghdr *message, uint8_t *data, size_t bytes)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
	     part = CMSG_NXTHDR(message, part)) {
		struct tpacket_auxdata tag;

		if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&tag, CMSG_DATA(part), sizeof(tag));
		if ((tag.tp_status & TP_STATUS_VLAN_VALID) == 0 || bytes < TAG_PLACE)
			continue;
		memmove(data + TAG_PLACE + WEIR_VLAN_TAG_BYTES, data + TAG_PLACE,
		        bytes - TAG_PLACE);
		data[TAG_PLACE] = (uint8_t)(tag.tp_vlan_tpid >> 8);
		data[TAG_PLACE + 1] = (uint8_t)tag.tp_vlan_tpid;
		data[TAG_PLACE + 2] = (uint8_t)(tag.tp_vlan_tci >> 8);
		data[TAG_PLACE + 3] = (uint8_t)tag.tp_vlan_tci;
		return bytes + WEIR_VLAN_TAG_BYTES;
	}
	return bytes;
}

/* Frames of a pair of hosts go by one queue, in both directions. */
static uint16_t
choose_queue(const struct weir_model *nic, const uint8_t *data, size_t bytes)
{
	uint8_t hash = 0;

	for (size_t i = 26; i < 34 && i < bytes; i++)
		hash = (uint8_t)(hash ^ data[i]);
	if (nic->n_rx_queues == 0)
		return 0;
	return (uint16_t)(hash % nic->n_rx_queues);
}

/* Bytes that were read into data, or 0. */
static size_t
read_frame(int wire, uint8_t *data, size_t size)
{
	_Alignas(struct cmsghdr) char parts[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec room = {.iov_base = data, .iov_len = size - WEIR_VLAN_TAG_BYTES};
	struct msghdr message = {.msg_iov = &room,
	                         .msg_iovlen = 1,
	                         .msg_control = parts,
	                         .msg_controllen = sizeof(parts)};
	ssize_t got = recvmsg(wire, &message, MSG_DONTWAIT);

	return got > 0 ? put_tag_back(&message, data, (size_t)got) : 0;
}

static void
receive_frames(struct lab *lab)
{
	struct weir_model *nic = lab->nic;
	uint8_t data[FRAME_BYTES];

	for (unsigned int i = 0; lab->wire >= 0 && i < RECEIVE_MAX; i++) {
		size_t bytes = read_frame(lab->wire, data, sizeof(data));
		struct rte_mbuf *mbuf;

		if (bytes == 0)
			return;
		weir_model_lock(nic);
		mbuf = weir_model_is_up(nic) ? rte_pktmbuf_alloc(nic->pool) : NULL;
		if (mbuf != NULL && bytes <= rte_pktmbuf_tailroom(mbuf)) {
			memcpy(rte_pktmbuf_append(mbuf, (uint16_t)bytes), data, bytes);
			weir_model_receive(nic, choose_queue(nic, data, bytes), mbuf);
		} else {
			rte_pktmbuf_free(mbuf);
			atomic_fetch_add(&nic->rx_missed, 1);
		}
		weir_model_unlock(nic);
	}
}

static void
print_stats(const struct lab *lab, FILE *out)
{
	const struct weir_model *nic = lab->nic;

	fprintf(out,
	        "%s family %s speed %u link %s starts %" PRIu64 " frames %" PRIu64
	        " wire_bytes %" PRIu64 " unprogrammed %" PRIu64 " discarded %" PRIu64
	        " send_errors %" PRIu64 " missed %" PRIu64 "\n",
	        nic->config.name, nic->config.family->name, nic->speed_mbit_s,
	        weir_model_is_up(nic) ? "up" : "down", nic->starts, nic->sent_all.frames,
	        nic->sent_all.wire_bytes, nic->unprogrammed_frames, nic->discarded_frames,
	        lab->send_errors, atomic_load(&nic->rx_missed));
	for (uint16_t q = 0; q < nic->n_queues; q++) {
		uint64_t rate = weir_model_path_rate(nic, q);

		fprintf(out, "queue %u frames %" PRIu64 " wire_bytes %" PRIu64 " waiting %" PRIu64,
		        q, nic->queues[q].sent.frames, nic->queues[q].sent.wire_bytes,
		        weir_model_waiting(nic, q));
		if (rate == WEIR_MODEL_UNLIMITED)
			fprintf(out, " unlimited\n");
		else
			fprintf(out, " bit_s %" PRIu64 "\n", rate);
	}
}

/* "on" or "off". */
static bool
get_switch(const char *word, bool *on)
{
	*on = strcmp(word, "on") == 0;
	return *on || strcmp(word, "off") == 0;
}

static bool
get_number(const char *word, double least, double most, double *number)
{
	char *end;

	*number = strtod(word, &end);
	return end != word && *end == '\0' && *number >= least && *number <= most;
}

static bool
stall(struct weir_model_cheat *cheat, const char *word)
{
	double number = 0;
	bool all = strcmp(word, "all") == 0, off = strcmp(word, "off") == 0;

	if (!all && !off && !get_number(word, 0, WEIR_MODEL_QUEUES_MAX, &number))
		return false;
	cheat->stalls = !off;
	cheat->stalled_queue = all ? WEIR_MODEL_ALL_QUEUES : (uint16_t)number;
	return true;
}

/* Commands that take a number or a switch. */
static bool
obey_cheat(struct weir_model *nic, const char *verb, const char *word)
{
	struct weir_model_cheat *cheat = &nic->cheat;
	double number;

	if (strcmp(verb, "faster") == 0 && get_number(word, 0.001, 1000, &number)) {
		cheat->rate_ppm = (uint32_t)(number * PPM);
		cheat->rate_queue = WEIR_MODEL_ALL_QUEUES;
	} else if (strcmp(verb, "extra") == 0 && get_number(word, 1, 1e9, &number)) {
		cheat->own_frames += (uint64_t)number;
		cheat->own_bytes = OWN_BYTES;
	} else if (strcmp(verb, "underreport") == 0 && get_number(word, 0, 100, &number)) {
		cheat->hidden_ppm = (uint32_t)(number * PPM_A_PERCENT);
	} else if (strcmp(verb, "overreport") == 0 && get_number(word, 0, 1e9, &number)) {
		cheat->count_frames += (int64_t)number;
		cheat->count_bytes += (int64_t)number * OWN_BYTES;
	} else if (strcmp(verb, "stall") == 0) {
		return stall(cheat, word);
	} else if (strcmp(verb, "mute") == 0) {
		return get_switch(word, &cheat->never_completes);
	} else if (strcmp(verb, "early") == 0) {
		return get_switch(word, &cheat->completes_at_once);
	} else {
		return false;
	}
	return true;
}

static bool
set_speed(struct weir_model *nic, const char *word)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);
	unsigned long mbit_s = strcmp(end, "G") == 0 ? number * MBIT_A_GBIT : number;

	if ((strcmp(end, "G") != 0 && strcmp(end, "M") != 0) || mbit_s == 0 ||
	    8 * WEIR_MODEL_MBIT % mbit_s != 0)
		return false;
	weir_model_blink(nic, (uint32_t)mbit_s, DOWN_NS);
	return true;
}

/* False: no such command, or not that word. */
static bool
obey(struct lab *lab, const char *verb, const char *word, FILE *out)
{
	struct weir_model *nic = lab->nic;

	if (strcmp(verb, "stats") == 0)
		print_stats(lab, out);
	else if (strcmp(verb, "forget") == 0)
		nic->cheat.forget_at_ns = nic->now_ns != 0 ? nic->now_ns : 1;
	else if (strcmp(verb, "honest") == 0)
		memset(&nic->cheat, 0, sizeof(nic->cheat));
	else if (strcmp(verb, "reset") == 0)
		weir_model_reset(nic, DOWN_NS);
	else if (strcmp(verb, "link") == 0 && strcmp(word, "up") == 0)
		weir_model_set_link(nic, true, nic->speed_mbit_s);
	else if (strcmp(verb, "link") == 0 && strcmp(word, "down") == 0)
		weir_model_set_link(nic, false, nic->speed_mbit_s);
	else if (strcmp(verb, "speed") == 0)
		return set_speed(nic, word);
	else
		return obey_cheat(nic, verb, word);
	return true;
}

/* One command, if one has come. */
static void
listen_for_commands(struct lab *lab)
{
	static char answer[ANSWER_SIZE];
	char command[COMMAND_SIZE], verb[32] = "", word[32] = "";
	struct sockaddr_un from;
	socklen_t from_size = sizeof(from);
	ssize_t got = -1;
	FILE *out;

	if (lab->control >= 0)
		got = recvfrom(lab->control, command, sizeof(command) - 1, MSG_DONTWAIT,
		               (struct sockaddr *)&from, &from_size);
	if (got <= 0)
		return;
	command[got] = '\0';
	out = fmemopen(answer, sizeof(answer), "w");
	if (out == NULL)
		return;
	(void)sscanf(command, "%31s %31s", verb, word);
	weir_model_lock(lab->nic);
	if (!obey(lab, verb, word, out))
		fprintf(out, "error: %s %s: no such command\n", verb, word);
	else if (ftell(out) == 0)
		fprintf(out, "ok\n");
	weir_model_unlock(lab->nic);
	fclose(out);
	answer[sizeof(answer) - 1] = '\0';
	(void)sendto(lab->control, answer, strlen(answer), MSG_DONTWAIT, (struct sockaddr *)&from,
	             from_size);
}

static void *
run(void *arg)
{
	struct lab *lab = arg;
	const struct timespec turn = {.tv_nsec = TURN_NS};

	while (!atomic_load(&lab->stop)) {
		weir_model_advance(lab->nic, clock_ns());
		receive_frames(lab);
		listen_for_commands(lab);
		(void)nanosleep(&turn, NULL);
	}
	return NULL;
}

/* A socket on an interface, or -errno. */
static int
open_wire(const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
	                              .sll_protocol = (uint16_t)htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int yes = 1, bytes = SOCKET_BYTES;
	int wire = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (wire < 0)
		return -errno;
	address.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(interface);
	(void)setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(wire, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (address.sll_ifindex == 0 ||
	    setsockopt(wire, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)) != 0 ||
	    setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) != 0 ||
	    setsockopt(wire, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof(yes)) != 0 ||
	    setsockopt(wire, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) != 0 ||
	    bind(wire, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int result = errno != 0 ? -errno : -ENODEV;

		close(wire);
		return result;
	}
	return wire;
}

static int
open_control(struct lab *lab, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	lab->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lab->control < 0)
		return -errno;
	(void)unlink(path);
	if (bind(lab->control, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	snprintf(lab->control_path, sizeof(lab->control_path), "%s", path);
	return 0;
}

static int
open_sockets(struct lab *lab, const char *device)
{
	const char *comma = strchr(device, ','), *interface, *path;
	struct rte_kvargs *arguments = comma != NULL ? rte_kvargs_parse(comma + 1, NULL) : NULL;
	int result = 0;

	if (arguments == NULL)
		return 0;
	interface = rte_kvargs_get(arguments, "iface");
	path = rte_kvargs_get(arguments, "control");
	if (interface != NULL) {
		lab->wire = open_wire(interface);
		result = lab->wire < 0 ? lab->wire : 0;
	}
	if (result == 0 && path != NULL)
		result = open_control(lab, path);
	rte_kvargs_free(arguments);
	return result;
}

static void
close_sockets(struct lab *lab)
{
	if (lab->wire >= 0)
		close(lab->wire);
	if (lab->control >= 0)
		close(lab->control);
	if (lab->control_path[0] != '\0')
		(void)unlink(lab->control_path);
}

/* Signals are the control thread's. */
static int
start_thread(struct lab *lab)
{
	sigset_t all, before;
	int result;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(&lab->thread, NULL, run, lab);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -result;
}

static int
attach(struct weir_model *nic, const char *device)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	int result;

	if (lab == NULL)
		return -ENOMEM;
	lab->nic = nic;
	lab->wire = lab->control = -1;
	nic->clock_ns = clock_ns;
	weir_model_advance(nic, clock_ns());
	weir_model_on_sent(nic, send_frame, lab);
	result = open_sockets(lab, device);
	if (result == 0)
		result = start_thread(lab);
	if (result == 0) {
		nic->lab = lab;
		return 0;
	}
	close_sockets(lab);
	free(lab);
	return result;
}

static void
detach(struct weir_model *nic)
{
	struct lab *lab = nic->lab;

	atomic_store(&lab->stop, true);
	(void)pthread_join(lab->thread, NULL);
	close_sockets(lab);
	free(lab);
	nic->lab = NULL;
}

int
__wrap_weir_port_device_probe(const char *device, uint16_t *port_id, bool *made, char *error,
                              size_t error_size)
{
	int result;

	if (!weir_model_is(device))
		return __real_weir_port_device_probe(device, port_id, made, error, error_size);
	*made = false;
	result = weir_model_probe(device, port_id, error, error_size);
	if (result != 0)
		return result;
	result = attach(weir_model_of(*port_id), device);
	if (result != 0) {
		snprintf(error, error_size, "device %s: %s", device, strerror(-result));
		(void)rte_eth_dev_close(*port_id);
		weir_model_remove(device);
		return result;
	}
	*made = true;
	return 0;
}

void
__wrap_weir_port_device_remove(const char *device)
{
	char name[WEIR_NAME_SIZE];
	struct weir_model *nic;

	if (!weir_model_is(device)) {
		__real_weir_port_device_remove(device);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	nic = weir_model_find(name);
	if (nic != NULL && nic->lab != NULL)
		detach(nic);
	weir_model_remove(device);
}
