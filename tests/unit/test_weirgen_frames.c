/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of the generator, judged by the protocols' own definitions: lengths, checksums summed byte
 * by byte, values within their ranges, stamps. And what replay does to addresses.
 */
#include "tests/unit/harness.h"
#include "tools/weirgen/capture.h"
#include "tools/weirgen/generate.h"
#include "tools/weirgen/rewrite.h"
#include "tools/weirgen/stamp.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES 3000U

static uint32_t
be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* RFC 1071, over bytes of any number. */
static uint32_t
sum_bytes(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The checksum of a transport with its pseudo header is right where all words add up to ffff. */
static bool
transport_is_right(const uint8_t *ip, bool ip6, uint8_t protocol, const uint8_t *l4, uint32_t bytes)
{
	uint32_t sum = 0;

	if (protocol != 1) {
		sum = ip6 ? sum_bytes(ip + 8, 32, 0) : sum_bytes(ip + 12, 8, 0);
		sum += protocol + (bytes & 0xffff) + (bytes >> 16);
	}
	return sum_bytes(l4, bytes, sum) == 0xffff;
}

static void
check_ip(const uint8_t *frame, uint32_t at, uint32_t bytes, bool ip6)
{
	const uint8_t *ip = frame + at;
	uint32_t header = ip6 ? 40 : 20;
	uint8_t protocol = ip6 ? ip[6] : ip[9];
	const uint8_t *l4 = ip + header;
	uint32_t l4_bytes = bytes - at - header;

	if (ip6) {
		CU_ASSERT_EQUAL(ip[0], 0x60);
		CU_ASSERT_EQUAL(be16(ip + 4), l4_bytes);
	} else {
		CU_ASSERT_EQUAL(ip[0], 0x45);
		CU_ASSERT_EQUAL(be16(ip + 2), bytes - at);
		CU_ASSERT_EQUAL(sum_bytes(ip, 20, 0), 0xffff);
	}
	if (protocol == 17) {
		CU_ASSERT_EQUAL(be16(l4 + 4), l4_bytes);
		CU_ASSERT_NOT_EQUAL(be16(l4 + 6), 0);
	}
	if (protocol == 17 || protocol == 6 || protocol == 1 || protocol == 58)
		CU_ASSERT(transport_is_right(ip, ip6, protocol, l4, l4_bytes));
}

static struct weir_generator *
make(const char *text)
{
	struct weir_profile *profile = NULL;
	struct weir_generator *generator;
	char error[512] = "";

	if (weir_profile_parse("test", text, strlen(text), &profile, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		CU_FAIL_FATAL("profile");
	}
	generator = weir_generator_new(profile, 5, 0xabcd);
	weir_profile_free(profile);
	CU_ASSERT_PTR_NOT_NULL_FATAL(generator);
	return generator;
}

/* The next frame. False at the end. */
static bool
next(struct weir_generator *generator, uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128],
     struct weir_taken *taken)
{
	return weir_generator_take(generator, WEIR_SCHEDULE_NEVER - 1, 777,
	                           (uint8_t *const[]){frame}, taken, 1) == 1;
}

static void
test_checksums(void)
{
	static const char *const layouts[] = {
	    "source: 10.0.0.0/8, destination: 0.0.0.0/0, source_ports: 0-65535",
	    "source: 2001:db8::/32, destination: '::/0', source_ports: 5-50000",
	    "vlan: 1-4094, source: 10.0.0.1-10.0.0.9, destination: 255.255.255.255",
	    "vlan: 7, source: fe80::1-fe80::ff, destination: ff02::1, destination_ports: 0-9",
	};
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128];

	for (uint32_t l = 0; l < WEIR_TEST_COUNT(layouts); l++) {
		struct weir_generator *generator;
		struct weir_taken taken;
		char text[512];
		bool ip6 = strstr(layouts[l], "::") != NULL;

		snprintf(text, sizeof(text),
		         "seed: %" PRIu64 "\ncount: %u\nstreams: [{name: a, rate: 1 Gbit/s, size: "
		         "96-9000, protocols: [udp, tcp, %s, 50], %s}]\n",
		         weir_test_seed(), FRAMES, ip6 ? "icmpv6" : "icmp", layouts[l]);
		generator = make(text);
		memcpy(frame, weir_generator_filler(generator), WEIR_PROFILE_FRAME_MAX);
		for (uint32_t i = 0; i < FRAMES; i++) {
			uint32_t at = strstr(layouts[l], "vlan") != NULL ? 18 : 14;

			CU_ASSERT_FATAL(next(generator, frame, &taken));
			CU_ASSERT_EQUAL(be16(frame + at - 2), ip6 ? 0x86dd : 0x0800);
			check_ip(frame, at, taken.bytes, ip6);
		}
		CU_ASSERT(!next(generator, frame, &taken));
		weir_generator_free(generator);
	}
}

/* Each value lies in its range, and its ends occur. */
static void
test_ranges(void)
{
	struct weir_generator *generator = make(
	    "count: 3000\nstreams: [{name: a, rate: 1 Gbit/s, size: 60-70, vlan: 10-13,\n"
	    "source_mac: '02:00:00:00:00:fe-02:00:00:00:01:01', source: "
	    "10.0.0.255-10.0.1.2,\n"
	    "destination: 192.0.2.0/30, source_ports: 65532-65535, destination_ports: 0-3}]\n");
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128];
	uint32_t seen[6][4] = {0}, sizes[11] = {0};
	struct weir_taken taken;

	while (next(generator, frame, &taken)) {
		uint32_t values[6] = {be16(frame + 10) - 0xfe,  be16(frame + 14) - 10,
		                      be16(frame + 32) - 0xff,  be16(frame + 36) - 0x200,
		                      be16(frame + 38) - 65532, be16(frame + 40)};

		for (int v = 0; v < 6; v++) {
			CU_ASSERT_FATAL(values[v] < 4);
			seen[v][values[v]]++;
		}
		CU_ASSERT_FATAL(taken.bytes >= 60 && taken.bytes <= 70);
		sizes[taken.bytes - 60]++;
	}
	/* 750 of each on average: 6 standard deviations are 142. */
	for (int v = 0; v < 6; v++)
		for (int i = 0; i < 4; i++)
			CU_ASSERT(seen[v][i] > 600 && seen[v][i] < 900);
	for (int i = 0; i < 11; i++)
		CU_ASSERT(sizes[i] > 170 && sizes[i] < 375);
	weir_generator_free(generator);
}

/* Addresses and ports in which each bit is as often set as not, and no two go together. */
static void
test_random_bits(void)
{
	enum { FRAMES_64 = 64, BITS = 36 * 8 };
	struct weir_generator *generator =
	    make("count: 4096\nstreams: [{name: a, rate: 1 Gbit/s, size: 90, protocols: [tcp],\n"
	         "source: '::/1', destination: '::/1', source_ports: 0-65535,\n"
	         "destination_ports: 0-65535}]\n");
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128];
	static uint64_t bits[BITS][FRAMES_64];
	struct weir_taken taken;

	memset(bits, 0, sizeof(bits));
	for (uint32_t n = 0; next(generator, frame, &taken); n++)
		for (uint32_t b = 0; b < BITS; b++)
			bits[b][n / 64] |= (uint64_t)(frame[22 + b / 8] >> b % 8 & 1) << n % 64;
	/* 2048 on average: 7 standard deviations are 224. */
	for (uint32_t a = 0; a < BITS; a++)
		for (uint32_t b = 0; b <= a; b++) {
			int n = 0;

			/* The prefixes. */
			if (a == 7 || b == 7 || a == 128 + 7 || b == 128 + 7)
				continue;
			for (uint32_t i = 0; i < FRAMES_64; i++)
				n += __builtin_popcountll(a == b ? bits[a][i]
				                                 : bits[a][i] ^ bits[b][i]);
			CU_ASSERT(n > 2048 - 224 && n < 2048 + 224);
		}
	weir_generator_free(generator);
}

/* So many flows and no more, each with one set of addresses and ports. */
static void
test_flows(void)
{
	struct weir_generator *generator =
	    make("count: 2000\nstreams: [{name: a, rate: 1 Gbit/s, size: 60, flows: 50,\n"
	         "source: 10.0.0.0/8, destination: 11.0.0.0/8, source_ports: 0-65535}]\n");
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128], flows[2000][12];
	uint32_t n = 0;
	struct weir_taken taken;

	while (next(generator, frame, &taken)) {
		uint32_t i = 0;

		while (i < n && memcmp(flows[i], frame + 26, 12) != 0)
			i++;
		if (i == n)
			memcpy(flows[n++], frame + 26, 12);
	}
	CU_ASSERT_EQUAL(n, 50);
	weir_generator_free(generator);
}

static void
test_stamps(void)
{
	struct weir_generator *generator =
	    make("count: 1000\nstreams:\n"
	         "  - {name: a, rate: 10 Mbit/s, size: 60}\n"
	         "  - {name: b, rate: 10 Mbit/s, size: 200, protocols: [tcp], stamp: live}\n"
	         "  - {name: c, rate: 10 Mbit/s, size: 71-72, protocols: [tcp], source: 10.0.0.1, "
	         "destination: 10.0.0.2}\n"
	         "  - {name: d, rate: 10 Mbit/s, size: 90, stamp: none}\n");
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128];
	uint32_t sequence[4] = {0}, unstamped = 0;
	struct weir_taken taken;

	while (next(generator, frame, &taken)) {
		uint32_t payload = weir_stamp_payload(frame, taken.bytes);
		bool fits = taken.stream != 3 && payload + WEIR_STAMP_BYTES <= taken.bytes;
		struct weir_stamp stamp;

		CU_ASSERT_EQUAL(taken.stamped, fits);
		if (!fits) {
			unstamped++;
			CU_ASSERT(!weir_stamp_read(frame + payload, &stamp));
			continue;
		}
		CU_ASSERT_FATAL(weir_stamp_read(frame + payload, &stamp));
		CU_ASSERT_EQUAL(stamp.flow, 5 + taken.stream);
		CU_ASSERT_EQUAL(stamp.sequence, sequence[taken.stream]++);
		CU_ASSERT_EQUAL(stamp.live, taken.stream == 1);
		CU_ASSERT_EQUAL(stamp.time, stamp.live ? 777 : taken.due / WEIR_TICKS_PER_NS);
		CU_ASSERT_EQUAL(stamp.clock, stamp.live ? 0xabcd : 0);
		/* Any damage is seen. */
		frame[payload + taken.due % 17] ^= (uint8_t)(1U << taken.due % 8);
		CU_ASSERT(!weir_stamp_read(frame + payload, &stamp));
	}
	CU_ASSERT(sequence[0] > 100 && sequence[1] > 50 && sequence[2] > 50 && unstamped > 100);
	weir_generator_free(generator);
}

/* The payload is never behind the end, whatever the bytes are. */
static void
test_any_bytes(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	static const uint8_t kinds[][2] = {{8, 0}, {0x86, 0xdd}, {0x81, 0}, {0x88, 0xa8}, {8, 6}};

	for (uint32_t i = 0; i < 200000; i++) {
		uint8_t frame[128];
		uint32_t bytes = (uint32_t)weir_random_below(&random, sizeof(frame) + 1);

		weir_random_fill(&random, frame, sizeof(frame));
		memcpy(frame + 12, kinds[weir_random_below(&random, 5)], 2);
		memcpy(frame + 16, kinds[weir_random_below(&random, 5)], 2);
		CU_ASSERT(weir_stamp_payload(frame, bytes) <= bytes);
	}
}

/* Right checksums stay right, wrong ones wrong, and all else as it was. */
static void
test_rewrite(void)
{
	struct weir_rewrite rewrite = {.has_source = true, .source_mac = {2, 3, 4, 5, 6, 7}};
	static uint8_t frame[WEIR_PROFILE_FRAME_MAX + 128], before[WEIR_PROFILE_FRAME_MAX + 128];
	struct weir_generator *generator =
	    make("count: 2000\nstreams:\n"
	         "  - {name: a, rate: 1 Gbit/s, size: 90-1500, source: 10.0.0.0/8, destination: "
	         "192.0.2.0/24, protocols: [udp, tcp, icmp]}\n"
	         "  - {name: b, rate: 1 Gbit/s, size: 120-1500, vlan: 5, source: 2001:db8::/48, "
	         "destination: 2001:db9::/64, protocols: [udp, tcp, icmpv6]}\n");
	struct weir_taken taken;

	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "10.0.0.0/9=198.18.0.0/9"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8::/47=fd00::/47"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "10.0.0.0/8=11.0.0.0/9"), -EINVAL);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "10.0.0.0/8=::/8"), -EINVAL);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "10.0.0.0/33=1.0.0.0/33"), -EINVAL);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "10.0.0.0/8"), -EINVAL);
	memcpy(frame, weir_generator_filler(generator), WEIR_PROFILE_FRAME_MAX);
	while (next(generator, frame, &taken)) {
		bool ip6 = taken.stream == 1, mapped;
		uint32_t at = ip6 ? 18 : 14, address = at + (ip6 ? 8 : 12);

		memcpy(before, frame, sizeof(frame));
		weir_rewrite_frame(&rewrite, frame, taken.bytes);
		check_ip(frame, at, taken.bytes, ip6);
		CU_ASSERT_EQUAL(memcmp(frame + 6, rewrite.source_mac, 6), 0);
		mapped = ip6 || before[address + 1] < 128;
		CU_ASSERT_EQUAL(frame[address], !mapped ? 10 : ip6 ? 0xfd : 198);
		CU_ASSERT_EQUAL(frame[address + 3], before[address + 3] & (ip6 ? 0 : 255));
		CU_ASSERT_EQUAL(memcmp(frame + address + (ip6 ? 6 : 2),
		                       before + address + (ip6 ? 6 : 2), ip6 ? 10 : 2),
		                0);
		/* One that was wrong before. */
		frame[at + 60] ^= 1;
		CU_ASSERT(taken.bytes < at + 70 ||
		          !transport_is_right(frame + at, ip6, frame[at + (ip6 ? 6 : 9)],
		                              frame + at + (ip6 ? 40 : 20),
		                              taken.bytes - at - (ip6 ? 40 : 20)));
		memcpy(frame, weir_generator_filler(generator), WEIR_PROFILE_FRAME_MAX);
	}
	weir_generator_free(generator);
}

/* An IPv6 datagram behind extension headers, as its sender makes it. */
#define EXTENSIONS_MAX   4U
#define DATAGRAM_BYTES   301U /* from the transport's header on: odd */
#define FIRST_BYTES      64U  /* of these, in a first fragment */
#define COVERS_HEADER    -1   /* the checksum covers the destination in the IP header */
#define COVERS_ELSEWHERE -2   /* ... one that is not in the packet as it is */

struct extension {
	uint8_t kind, type, left;
	uint8_t n; /* addresses, or further 8 bytes of options; type 0xc9: a home address there */
};

struct chain {
	struct extension extensions[EXTENSIONS_MAX]; /* to the first whose kind is 255 */
	int covers;                                  /* or which of the addresses */
};

struct datagram {
	uint8_t frame[600];
	uint32_t bytes; /* of the frame */
	uint8_t *l4, *segments, *home;
	uint8_t rest[DATAGRAM_BYTES]; /* what other fragments have */
	uint32_t here, rest_bytes;
	uint8_t *fragment; /* its header, or NULL: all of it is here */
	uint8_t protocol;
};

static const uint8_t elsewhere[16] = {0x20, 1, 0xd, 0xb8, 5, 5, [15] = 99};

/* Whether the transport's checksum is right, summed over all of the datagram. */
static bool
datagram_is_right(const struct datagram *datagram, int covers)
{
	const uint8_t *ip = datagram->frame + 14,
	              *covered = covers == COVERS_HEADER ? ip + 24 : elsewhere;
	const uint8_t *source = datagram->home != NULL ? datagram->home : ip + 8;
	uint8_t all[DATAGRAM_BYTES];
	uint32_t sum;

	if (covers >= 0)
		covered = datagram->segments + 16 * (size_t)covers;
	memcpy(all, datagram->l4, datagram->here);
	memcpy(all + datagram->here, datagram->rest, datagram->rest_bytes);
	sum = sum_bytes(covered, 16, sum_bytes(source, 16, 0));
	return sum_bytes(all, DATAGRAM_BYTES, sum + datagram->protocol + DATAGRAM_BYTES) == 0xffff;
}

static void
put_extension(struct datagram *datagram, const struct extension *extension, uint32_t *at)
{
	uint8_t *header = datagram->frame + *at;
	uint32_t units = extension->kind == 43 ? 2U * extension->n : extension->n;

	memset(header, 0, 8 + 8 * (size_t)units);
	if (extension->kind == 44) {
		header[3] = 1; /* more of them */
		datagram->fragment = header;
	} else {
		header[1] = (uint8_t)units;
	}
	if (extension->kind == 43) {
		header[2] = extension->type;
		header[3] = extension->left;
		header[4] = (uint8_t)(extension->type == 4 ? extension->n - 1U : 0);
		datagram->segments = header + 8;
		for (uint32_t i = 0; i < extension->n; i++) {
			memcpy(header + 8 + 16 * (size_t)i, elsewhere, 16);
			header[8 + 16 * i + 5] = (uint8_t)(5 + i);
		}
	}
	/* Behind padding of 1 and of 5 bytes; room for it is 8 + 16 and more. */
	if (extension->type == 0xc9) {
		memcpy(header + 2, (const uint8_t[]){0, 1, 3, 0, 0, 0, 0xc9, 16}, 8);
		datagram->home = header + 10;
		memcpy(datagram->home, elsewhere, 16);
		datagram->home[5] = 8;
	}
	*at += 8 + 8 * units;
}

static void
make_datagram(struct datagram *datagram, const struct chain *chain, uint8_t protocol,
              struct weir_random *random)
{
	static const uint8_t head[54] = {[12] = 0x86, 0xdd, 0x60, [20] = 0, 64,      0x20,
	                                 1,           0xd,  0xb8, [37] = 1, 0x20,    1,
	                                 0xd,         0xb8, 7,    7,        [53] = 2};
	uint32_t at = sizeof(head),
	         checksum_at = protocol == 6    ? 16
	                       : protocol == 17 ? 6
	                                        : 2,
	         sum = 0;
	uint8_t *next = datagram->frame + 20;

	memset(datagram, 0, sizeof(*datagram));
	memcpy(datagram->frame, head, sizeof(head));
	for (uint32_t i = 0; i < EXTENSIONS_MAX && chain->extensions[i].kind != 255; i++) {
		*next = chain->extensions[i].kind;
		next = datagram->frame + at;
		put_extension(datagram, &chain->extensions[i], &at);
	}
	*next = protocol;
	datagram->protocol = protocol;
	datagram->l4 = datagram->frame + at;
	datagram->here = datagram->fragment != NULL ? FIRST_BYTES : DATAGRAM_BYTES;
	datagram->rest_bytes = DATAGRAM_BYTES - datagram->here;
	datagram->bytes = at + datagram->here;
	weir_random_fill(random, datagram->l4, datagram->here);
	weir_random_fill(random, datagram->rest, datagram->rest_bytes);
	/* The one checksum of 65536 that is right; UDP's is never 0. */
	do {
		datagram->l4[checksum_at] = (uint8_t)(++sum >> 8);
		datagram->l4[checksum_at + 1] = (uint8_t)sum;
	} while (!datagram_is_right(datagram, chain->covers));
}

static const struct chain chains[] = {
    {{{255}}, COVERS_HEADER},
    {{{0, 0, 0, 0}, {255}}, COVERS_HEADER},
    {{{0, 0, 0, 2}, {60, 0, 0, 1}, {60, 0, 0, 0}, {255}}, COVERS_HEADER},
    {{{60, 0xc9, 0, 3}, {255}}, COVERS_HEADER},
    {{{43, 2, 1, 1}, {60, 0xc9, 0, 4}, {44}, {255}}, 0},
    {{{43, 0, 2, 3}, {255}}, 2},
    {{{43, 0, 0, 3}, {255}}, COVERS_HEADER},
    {{{43, 2, 1, 1}, {255}}, 0},
    {{{43, 4, 2, 3}, {60, 0, 0, 0}, {255}}, 0},
    {{{43, 3, 1, 2}, {255}}, COVERS_ELSEWHERE},
    {{{43, 3, 0, 2}, {255}}, COVERS_HEADER},
    {{{44}, {255}}, COVERS_HEADER},
    {{{0, 0, 0, 1}, {43, 0, 1, 2}, {44}, {60, 0, 0, 3}}, 1},
};

/* What the maps of the test below make of an address that is in one of them. */
static bool
is_mapped(const uint8_t *address, bool segment)
{
	static const uint8_t network[] = {0xfd, 0, 1, 2}, routers[] = {0xfd, 0x12};

	return memcmp(address, segment ? routers : network, segment ? 2 : 4) == 0;
}

static void
check_chain(const struct weir_rewrite *rewrite, const struct chain *chain, uint8_t protocol,
            struct weir_random *random)
{
	static struct datagram datagram, before;
	uint32_t segments = 0;

	make_datagram(&datagram, chain, protocol, random);
	for (uint32_t i = 0; i < EXTENSIONS_MAX && chain->extensions[i].kind != 255; i++)
		if (chain->extensions[i].kind == 43 && chain->extensions[i].type != 3)
			segments = chain->extensions[i].n;
	before = datagram;
	weir_rewrite_frame(rewrite, datagram.frame, datagram.bytes);
	CU_ASSERT(is_mapped(datagram.frame + 22, false) && is_mapped(datagram.frame + 38, false));
	for (uint32_t i = 0; i < segments; i++)
		CU_ASSERT(is_mapped(datagram.segments + 16 * (size_t)i, true));
	CU_ASSERT(datagram.home == NULL || is_mapped(datagram.home, true));
	CU_ASSERT(datagram_is_right(&datagram, chain->covers));
	if (before.fragment == NULL)
		return;
	/* Another fragment has data in the checksum's place. */
	datagram = before;
	datagram.fragment[2] = 1;
	weir_rewrite_frame(rewrite, datagram.frame, datagram.bytes);
	CU_ASSERT(is_mapped(datagram.frame + 22, false));
	CU_ASSERT_EQUAL(
	    memcmp(datagram.l4, before.frame + (datagram.l4 - datagram.frame), FIRST_BYTES), 0);
}

static void
test_rewrite_extensions(void)
{
	static const uint8_t protocols[] = {6, 17, 58};
	struct weir_random random = weir_random_make(weir_test_seed() + 7);
	struct weir_rewrite rewrite = {0};

	/* Each segment by its own map, so that no other's change would do for the checksum. */
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8:505::/48=fd12:304:506::/48"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8:506::/48=fd12:2::/48"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8:507::/48=fd12:70::/48"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8:508::/48=fd12:8:800::/48"), 0);
	CU_ASSERT_EQUAL(weir_rewrite_add(&rewrite, "2001:db8::/32=fd00:102::/32"), 0);
	for (size_t i = 0; i < WEIR_TEST_COUNT(chains); i++)
		for (size_t k = 0; k < WEIR_TEST_COUNT(protocols); k++)
			check_chain(&rewrite, &chains[i], protocols[k], &random);
	/* Any bytes: nothing behind the end is looked at. */
	for (uint32_t i = 0; i < 100000; i++) {
		static const uint8_t kinds[] = {0, 43, 44, 60, 6, 17};
		uint32_t bytes = 54 + (uint32_t)weir_random_below(&random, 80);
		uint8_t *frame = malloc(bytes); /* for the sanitizer to know its end */

		CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
		weir_random_fill(&random, frame, bytes);
		frame[12] = 0x86;
		frame[13] = 0xdd;
		frame[20] = kinds[weir_random_below(&random, sizeof(kinds))];
		memcpy(frame + 22, elsewhere, 16);
		for (uint32_t at = 54; at + 8 < bytes; at += 8) {
			frame[at] = kinds[weir_random_below(&random, sizeof(kinds))];
			frame[at + 1] &= 3;
		}
		weir_rewrite_frame(&rewrite, frame, bytes);
		CU_ASSERT(is_mapped(frame + 22, true));
		free(frame);
	}
}

static void
test_fits(void)
{
	uint8_t frame[14] = {0};

	CU_ASSERT(weir_capture_fits(frame, 1514, 1500));
	CU_ASSERT(!weir_capture_fits(frame, 1515, 1500));
	frame[12] = 0x81;
	CU_ASSERT(weir_capture_fits(frame, 1518, 1500));
	CU_ASSERT(!weir_capture_fits(frame, 1519, 1500));
}

static const struct weir_test tests[] = {
    {"lengths and checksums of all layouts", test_checksums},
    {"values fill their ranges", test_ranges},
    {"random bits are as often set as not, and independent", test_random_bits},
    {"so many flows", test_flows},
    {"stamps", test_stamps},
    {"where the payload of any bytes starts", test_any_bytes},
    {"addresses rewritten, checksums with them", test_rewrite},
    {"addresses rewritten before extension headers", test_rewrite_extensions},
    {"what an MTU takes", test_fits},
};

int
main(void)
{
	return weir_test_run("weirgen_frames", tests, WEIR_TEST_COUNT(tests));
}
