/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream's frames of one protocol: the first 128 bytes made in advance, and how to fill in what
 * differs from frame to frame, checksums included. What lies behind these 128 bytes is the filler,
 * the same in all frames, and never written. Made by the control thread, used by a worker.
 */
#ifndef WEIR_TOOLS_WEIRGEN_TEMPLATE_H
#define WEIR_TOOLS_WEIRGEN_TEMPLATE_H

#include "tools/weirgen/profile.h"
#include "tools/weirgen/random.h"
#include "tools/weirgen/stamp.h"

#define WEIR_TEMPLATE_BYTES   128U
#define WEIR_TEMPLATE_PATCHES 9U

/* Content of all frames behind their headers, and sums of its 16-bit words for checksums. */
struct weir_filler {
	uint8_t bytes[WEIR_PROFILE_FRAME_MAX + 64];
	uint32_t sums[WEIR_PROFILE_FRAME_MAX + 1]; /* of the first so many bytes, not folded */
};

/* Bytes that look random, from a seed. */
void weir_filler_make(uint64_t seed, struct weir_filler *filler);

/*
 * A field that is another number in each frame, big-endian, or two of them side by side. Eight
 * bytes are written from its offset on, those behind the fields as they stand in the template: so
 * patches go in the order of offsets, and before all else that differs from frame to frame.
 */
struct weir_patch {
	struct weir_patch_field {
		uint64_t factor; /* odd, another one for each field */
		uint64_t span;   /* how many numbers; 0: there is no second field */
	} fields[2];
	uint64_t low;              /* the least numbers, where they stand in the eight bytes */
	uint64_t rest;             /* of the eight bytes as they lie in memory, 0 in the fields */
	uint64_t ip_mask, l4_mask; /* the bits that the checksum covers, as they lie in memory */
	uint16_t offset;           /* even */
	uint8_t shifts[2];         /* to where the fields stand in the eight bytes */
};

enum weir_template_l4 {
	WEIR_L4_NONE = 0, /* without a length and a checksum of its own */
	WEIR_L4_UDP,
	WEIR_L4_OTHER, /* with a checksum */
};

struct weir_template {
	_Alignas(WEIR_CACHE_LINE) uint8_t head[WEIR_TEMPLATE_BYTES];
	uint64_t ip_sum, l4_sum;  /* of what is the same in all frames, not folded */
	uint16_t l3, l4, payload; /* offsets; l3 is 0 without IP */
	uint16_t checksum;        /* offset of the transport's */
	uint16_t stamp_min;       /* bytes of the shortest frame with a stamp */
	bool ip4;
	bool complete;     /* all frames are alike: head is one's start, checksums and all */
	bool pseudo;       /* the transport's checksum covers addresses and length */
	uint8_t transport; /* enum weir_template_l4 */
	uint32_t n_patches;
	struct weir_patch patches[WEIR_TEMPLATE_PATCHES];
};

void weir_template_make(const struct weir_profile_stream *stream, uint8_t protocol,
                        const struct weir_filler *filler, struct weir_template *template);

/* For frames of this length alone, whose head is the same in all if nothing else differs. */
void weir_template_fix(struct weir_template *template, const struct weir_filler *filler,
                       uint32_t frame_bytes);

/* Copies a head, or of short frames as much as they have. */
static inline void
weir_template_copy(const struct weir_template *restrict template, uint32_t frame_bytes,
                   uint8_t *restrict frame)
{
	memcpy(frame, template->head, WEIR_TEMPLATE_BYTES / 2);
	if (frame_bytes > WEIR_TEMPLATE_BYTES / 2)
		memcpy(frame + WEIR_TEMPLATE_BYTES / 2, template->head + WEIR_TEMPLATE_BYTES / 2,
		       WEIR_TEMPLATE_BYTES / 2);
}

/*
 * The complement of a sum of 16-bit words, folded (RFC 1071): each addition of two halves leaves
 * their sum, with the carry of the lower half, in the upper one.
 */
static inline uint16_t
weir_template_fold(uint64_t sum)
{
	uint32_t half;

	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(~half >> 16);
}

/* Adds words to a sum of words, with the carry. */
static inline uint64_t
weir_template_add(uint64_t sum, uint64_t words)
{
	sum += words;
	return sum + (sum < words);
}

/* A field's number for a key, above its least one (see weir_mix_below); 0 where there is no field.
 */
static inline uint64_t
weir_template_pick(const struct weir_patch_field *field, uint64_t key)
{
	weir_u128 product = (weir_u128)key * field->factor;

	/* Both halves together: then each bit depends on all of the key's. */
	product = (weir_u128)((uint64_t)(product >> 64) ^ (uint64_t)product) * field->span;
	return (uint64_t)(product >> 64);
}

/* Writes a patch for a key. Returns the eight bytes as they lie in memory. */
static inline uint64_t
weir_template_patch(const struct weir_patch *patch, uint64_t key, uint8_t *frame)
{
	uint64_t value = patch->low, words;

	value += weir_template_pick(&patch->fields[0], key) << patch->shifts[0];
	value += weir_template_pick(&patch->fields[1], key) << patch->shifts[1];
	words = rte_cpu_to_be_64(value) | patch->rest;
	memcpy(frame + patch->offset, &words, sizeof(words));
	return words;
}

/* Writes 16 bits in big-endian order. Returns them as they lie in memory. */
static inline uint16_t
weir_template_put(uint8_t *at, uint32_t value)
{
	uint16_t half = rte_cpu_to_be_16((uint16_t)value);

	memcpy(at, &half, sizeof(half));
	return half;
}

/*
 * Writes the head of a frame of so many bytes, of which at least 128 can be written. key chooses
 * what differs: the same key, the same fields. stamp: NULL for none; frame_bytes is at least
 * stamp_min otherwise.
 */
static inline void
weir_template_write(const struct weir_template *restrict template,
                    const struct weir_filler *restrict filler, uint64_t key, uint32_t frame_bytes,
                    const struct weir_stamp *restrict stamp, uint8_t *restrict frame)
{
	uint64_t ip_sum = template->ip_sum, l4_sum = template->l4_sum + filler->sums[frame_bytes];
	uint64_t ip_fields = 0, l4_fields = 0; /* alone may they reach 64 bits */
	uint32_t l4_bytes = frame_bytes - template->l4;
	uint16_t checksum;

	weir_template_copy(template, frame_bytes, frame);
	for (uint32_t i = 0; i < template->n_patches; i++) {
		const struct weir_patch *patch = &template->patches[i];
		uint64_t words = weir_template_patch(patch, key, frame);

		ip_fields = weir_template_add(ip_fields, words & patch->ip_mask);
		l4_fields = weir_template_add(l4_fields, words & patch->l4_mask);
	}
	if (stamp != NULL) {
		l4_sum -= filler->sums[template->payload + WEIR_STAMP_BYTES] -
		          filler->sums[template->payload];
		l4_sum += weir_stamp_write(frame + template->payload, stamp);
	}
	if (template->l3 == 0)
		return;
	if (template->ip4) {
		ip_sum += weir_template_put(frame + template->l3 + 2, frame_bytes - template->l3);
		checksum = weir_template_fold(weir_template_add(ip_fields, ip_sum));
		memcpy(frame + template->l3 + 10, &checksum, sizeof(checksum));
	} else {
		weir_template_put(frame + template->l3 + 4, l4_bytes);
	}
	if (template->transport == WEIR_L4_NONE)
		return;
	if (template->transport == WEIR_L4_UDP)
		l4_sum += weir_template_put(frame + template->l4 + 4, l4_bytes);
	if (template->pseudo)
		l4_sum += rte_cpu_to_be_16((uint16_t)l4_bytes);
	checksum = weir_template_fold(weir_template_add(l4_fields, l4_sum));
	/* A UDP checksum of 0 would mean that there is none; in one's complement ~0 is the same. */
	if (checksum == 0 && template->transport == WEIR_L4_UDP)
		checksum = UINT16_MAX;
	memcpy(frame + template->checksum, &checksum, sizeof(checksum));
}

#endif
