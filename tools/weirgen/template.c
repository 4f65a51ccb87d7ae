/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/template.h"

#include <assert.h>
#include <netinet/in.h>

#define ETHERTYPE_IP4  0x0800U
#define ETHERTYPE_IP6  0x86ddU
#define ETHERTYPE_VLAN 0x8100U
#define HOP_LIMIT      64U
#define ICMP_ECHO      8U
#define ICMPV6_ECHO    128U

void
weir_filler_make(uint64_t seed, struct weir_filler *filler)
{
	uint64_t state = weir_mix(seed ^ UINT64_C(0x66696c6c6572)); /* "filler" */
	uint32_t sum = 0;

	for (uint32_t i = 0; i < sizeof(filler->bytes); i++)
		filler->bytes[i] = (uint8_t)(weir_mix_next(&state) >> 56);
	for (uint32_t i = 0; i <= WEIR_PROFILE_FRAME_MAX; i++) {
		filler->sums[i] = sum;
		/* As the words lie in memory: the second byte counts 256 on a little-endian CPU. */
		sum += (uint32_t)filler->bytes[i]
		       << (((i & 1) != 0) == (RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN) ? 8 : 0);
	}
}

/* Sum of whole 16-bit words as they lie in memory. */
static uint64_t
sum_words(const uint8_t *bytes, uint32_t n)
{
	uint64_t sum = 0;
	uint16_t word;

	assert(n % 2 == 0);
	for (uint32_t i = 0; i < n; i += 2) {
		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/* The patch that a field can still go into, right behind its first one, or else another. */
static struct weir_patch *
patch_for(struct weir_template *t, uint32_t offset, uint32_t bits)
{
	struct weir_patch *patch;

	if (t->n_patches > 0) {
		patch = &t->patches[t->n_patches - 1];
		if (patch->fields[1].span == 0 && patch->shifts[0] >= bits &&
		    offset == patch->offset + 8U - patch->shifts[0] / 8U)
			return patch;
		assert(offset > patch->offset);
	}
	assert(t->n_patches < WEIR_TEMPLATE_PATCHES && offset % 2 == 0 &&
	       offset + 8 <= sizeof(t->head));
	patch = &t->patches[t->n_patches++];
	patch->offset = (uint16_t)offset;
	return patch;
}

/* A number of a range: written now where there is only one, or else by a patch of each frame. */
static void
add_field(struct weir_template *t, uint32_t offset, uint32_t bits, struct weir_profile_range range,
          bool in_ip_sum, bool in_l4_sum)
{
	static const struct weir_profile_range half = {0, UINT64_C(1) << 32};
	struct weir_patch *patch;
	uint32_t shift, i;
	uint64_t words;

	if (range.span == 1) {
		words = rte_cpu_to_be_64(range.low << (64 - bits));
		memcpy(t->head + offset, &words, bits / 8);
		return;
	}
	if (range.span == 0) { /* all of 64 bits */
		add_field(t, offset, 32, half, in_ip_sum, in_l4_sum);
		add_field(t, offset + 4, 32, half, in_ip_sum, in_l4_sum);
		return;
	}
	patch = patch_for(t, offset, bits);
	i = patch->fields[0].span != 0;
	shift = 64 - 8 * (offset - patch->offset) - bits;
	words = rte_cpu_to_be_64((UINT64_MAX >> (64 - bits)) << shift);
	patch->fields[i] = (struct weir_patch_field){
	    .factor = weir_mix(WEIR_GOLDEN * (offset + 1)) | 1,
	    .span = range.span,
	};
	patch->low |= range.low << shift;
	patch->rest |= words;
	patch->ip_mask |= in_ip_sum ? words : 0;
	patch->l4_mask |= in_l4_sum ? words : 0;
	patch->shifts[i] = (uint8_t)shift;
}

/* The head is complete: rest, which has the fields' bits so far, becomes what stands around them.
 */
static void
finish_patches(struct weir_template *t)
{
	for (uint32_t i = 0; i < t->n_patches; i++) {
		struct weir_patch *patch = &t->patches[i];
		uint64_t words;

		memcpy(&words, t->head + patch->offset, sizeof(words));
		patch->rest = words & ~patch->rest;
	}
}

static void
add_ethernet(struct weir_template *t, const struct weir_profile_stream *stream)
{
	uint32_t at = 12;

	add_field(t, 0, 48, stream->destination_mac, false, false);
	add_field(t, 6, 48, stream->source_mac, false, false);
	if (stream->vlan.span != 0) {
		weir_template_put(t->head + at, ETHERTYPE_VLAN);
		add_field(t, at + 2, 16, stream->vlan, false, false);
		at += WEIR_VLAN_TAG_BYTES;
	}
	weir_template_put(t->head + at, stream->ethertype);
	t->payload = (uint16_t)(at + 2);
}

static void
add_ip4(struct weir_template *t, const struct weir_profile_stream *stream, uint8_t protocol)
{
	uint8_t *ip = t->head + t->l3;

	ip[0] = 0x45;
	ip[6] = 0x40; /* don't fragment */
	ip[8] = HOP_LIMIT;
	ip[9] = protocol;
	add_field(t, t->l3 + 12U, 32, stream->source.low, true, t->pseudo);
	add_field(t, t->l3 + 16U, 32, stream->destination.low, true, t->pseudo);
	t->ip_sum = sum_words(ip, 20);
	if (t->pseudo)
		t->l4_sum += sum_words(ip + 12, 8);
}

static void
add_ip6(struct weir_template *t, const struct weir_profile_stream *stream, uint8_t protocol)
{
	uint8_t *ip = t->head + t->l3;

	ip[0] = 0x60;
	ip[6] = protocol;
	ip[7] = HOP_LIMIT;
	add_field(t, t->l3 + 8U, 64, stream->source.high, false, t->pseudo);
	add_field(t, t->l3 + 16U, 64, stream->source.low, false, t->pseudo);
	add_field(t, t->l3 + 24U, 64, stream->destination.high, false, t->pseudo);
	add_field(t, t->l3 + 32U, 64, stream->destination.low, false, t->pseudo);
	if (t->pseudo)
		t->l4_sum += sum_words(ip + 8, 32);
}

/* A header in which one number follows the other: no connection is made. */
static void
add_transport(struct weir_template *t, const struct weir_profile_stream *stream, uint8_t protocol)
{
	uint8_t *head = t->head + t->l4;

	switch (protocol) {
	case IPPROTO_UDP:
		t->transport = WEIR_L4_UDP;
		t->checksum = (uint16_t)(t->l4 + 6U);
		break;
	case IPPROTO_TCP:
		t->transport = WEIR_L4_OTHER;
		t->checksum = (uint16_t)(t->l4 + 16U);
		head[7] = head[11] = 1; /* sequence and acknowledgement */
		head[12] = 0x50;        /* 20 bytes */
		head[13] = 0x18;        /* PSH, ACK */
		head[14] = head[15] = UINT8_MAX;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		t->transport = WEIR_L4_OTHER;
		t->checksum = (uint16_t)(t->l4 + 2U);
		head[0] = protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMPV6_ECHO;
		break;
	default:
		t->transport = WEIR_L4_NONE;
		return;
	}
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP) {
		add_field(t, t->l4, 16, stream->source_ports, false, true);
		add_field(t, t->l4 + 2U, 16, stream->destination_ports, false, true);
	}
	t->l4_sum += sum_words(head, t->payload - t->l4);
	if (t->pseudo)
		t->l4_sum += rte_cpu_to_be_16(protocol);
}

void
weir_template_make(const struct weir_profile_stream *stream, uint8_t protocol,
                   const struct weir_filler *filler, struct weir_template *t)
{
	uint32_t header = weir_profile_header_bytes(stream, protocol);

	memset(t, 0, sizeof(*t));
	assert(header + WEIR_STAMP_BYTES <= WEIR_TEMPLATE_BYTES && header % 2 == 0);
	add_ethernet(t, stream);
	if (stream->ethertype == ETHERTYPE_IP4 || stream->ethertype == ETHERTYPE_IP6) {
		t->ip4 = stream->ethertype == ETHERTYPE_IP4;
		t->l3 = t->payload;
		t->l4 = (uint16_t)(t->l3 + (t->ip4 ? 20U : 40U));
		t->payload = (uint16_t)header;
		t->pseudo = protocol == IPPROTO_UDP || protocol == IPPROTO_TCP ||
		            protocol == IPPROTO_ICMPV6;
		if (t->ip4)
			add_ip4(t, stream, protocol);
		else
			add_ip6(t, stream, protocol);
		add_transport(t, stream, protocol);
	}
	t->stamp_min = stream->stamp == WEIR_PROFILE_STAMP_NONE
	                   ? UINT16_MAX
	                   : (uint16_t)(t->payload + WEIR_STAMP_BYTES);
	/* sums[] counts from a frame's start, and the headers are no filler. */
	t->l4_sum -= filler->sums[t->payload];
	memcpy(t->head + t->payload, filler->bytes + t->payload, WEIR_TEMPLATE_BYTES - t->payload);
	finish_patches(t);
}

void
weir_template_fix(struct weir_template *t, const struct weir_filler *filler, uint32_t frame_bytes)
{
	uint8_t head[WEIR_TEMPLATE_BYTES];

	if (t->n_patches > 0 || frame_bytes >= t->stamp_min)
		return;
	memcpy(head, t->head, sizeof(head));
	weir_template_write(t, filler, 0, frame_bytes, NULL, head);
	memcpy(t->head, head, sizeof(head));
	t->complete = true;
}
