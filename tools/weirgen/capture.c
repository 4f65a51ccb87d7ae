/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirgen/capture.h"

#include <assert.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHERTYPE_VLAN 0x8100U
#define MEMORY_MAX     (UINT64_C(16) << 30) /* of a capture's frames */
#define TICKS_MAX      (WEIR_PROFILE_TIME_MAX_NS * WEIR_TICKS_PER_NS)

struct frame {
	uint64_t due;    /* ticks, within one turn of the loop */
	uint64_t offset; /* of its bytes */
	uint32_t bytes;
};

struct weir_capture {
	struct weir_capture_skipped skipped;
	struct frame *frames;
	uint64_t n_frames, frames_size;
	uint8_t *bytes;
	uint64_t n_bytes, bytes_size;
	uint32_t frame_max;
	/* Where the worker is. */
	uint64_t next;
	uint64_t turn_start; /* ticks */
	uint64_t turn_ticks; /* from one turn's first frame to the next one's */
	uint64_t turns_left, left;
	uint64_t until;
};

bool
weir_capture_fits(const uint8_t *frame, uint32_t frame_bytes, uint32_t mtu_bytes)
{
	uint32_t tag = frame_bytes >= WEIR_FRAME_HEADER_BYTES &&
	                       ((uint32_t)frame[12] << 8 | frame[13]) == ETHERTYPE_VLAN
	                   ? WEIR_VLAN_TAG_BYTES
	                   : 0;

	return frame_bytes <= mtu_bytes + WEIR_FRAME_HEADER_BYTES + tag;
}

/* Grows a table to hold at least so many bytes. */
static int
grow(void **table, uint64_t *size, uint64_t needed)
{
	uint64_t larger = *size;
	void *moved;

	if (needed <= *size)
		return 0;
	if (needed > MEMORY_MAX)
		return -EFBIG;
	while (larger < needed)
		larger = larger * 2 + 65536;
	moved = realloc(*table, larger);
	if (moved == NULL)
		return -ENOMEM;
	*table = moved;
	*size = larger;
	return 0;
}

static int
add_frame(struct weir_capture *capture, const struct weir_capture_plan *plan,
          const struct pcap_pkthdr *header, const uint8_t *data)
{
	uint32_t bytes = header->caplen;
	struct frame *frame;
	int rc;

	if (bytes < WEIR_FRAME_HEADER_BYTES) {
		capture->skipped.runts++;
		return 0;
	}
	if (!weir_capture_fits(data, header->len > bytes ? header->len : bytes, plan->mtu_bytes)) {
		capture->skipped.oversize++;
		return 0;
	}
	capture->skipped.cut += bytes < header->len;
	rc = grow((void **)&capture->bytes, &capture->bytes_size, capture->n_bytes + bytes);
	if (rc == 0)
		rc = grow((void **)&capture->frames, &capture->frames_size,
		          (capture->n_frames + 1) * sizeof(*frame));
	if (rc != 0)
		return rc;
	frame = &capture->frames[capture->n_frames++];
	*frame = (struct frame){
	    .due = (uint64_t)header->ts.tv_sec * WEIR_NS_PER_S + (uint64_t)header->ts.tv_usec,
	    .offset = capture->n_bytes,
	    .bytes = bytes,
	};
	memcpy(capture->bytes + frame->offset, data, bytes);
	weir_rewrite_frame(plan->rewrite, capture->bytes + frame->offset, bytes);
	capture->n_bytes += bytes;
	if (bytes > capture->frame_max)
		capture->frame_max = bytes;
	return 0;
}

static int
read_frames(pcap_t *pcap, const struct weir_capture_plan *plan, struct weir_capture *capture,
            char *error, size_t error_size)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int got, rc = 0;

	while (rc == 0 && (got = pcap_next_ex(pcap, &header, &data)) == 1)
		rc = add_frame(capture, plan, header, data);
	if (rc != 0) {
		snprintf(error, error_size, "%s",
		         rc == -EFBIG ? "more than 16 GiB of frames" : "out of memory");
		return rc;
	}
	if (got == PCAP_ERROR) {
		snprintf(error, error_size, "%s", pcap_geterr(pcap));
		return -EINVAL;
	}
	return 0;
}

/* Ticks from one frame to the next: never negative, and no pause of a year. */
static uint64_t
scale(uint64_t ns, const struct weir_capture_plan *plan)
{
	weir_u128 ticks = (weir_u128)ns * WEIR_TICKS_PER_NS * plan->speed_den / plan->speed_num;

	return ticks > TICKS_MAX ? TICKS_MAX : (uint64_t)ticks;
}

/* From the capture's times, or from the rate, to ticks from the first frame on. */
static void
plan_times(struct weir_capture *capture, const struct weir_capture_plan *plan)
{
	uint64_t step = plan->rate_bit_s > 0 ? weir_schedule_byte_ticks_q32(plan->rate_bit_s) : 0;
	uint64_t wire = 0, newest = capture->frames[0].due, ticks = 0, gap = 0;

	for (uint64_t i = 0; i < capture->n_frames; i++) {
		struct frame *frame = &capture->frames[i];

		wire += weir_wire_bytes(frame->bytes);
		if (plan->rate_bit_s > 0) {
			frame->due = (uint64_t)(((weir_u128)wire * step + UINT32_MAX) >> 32);
			capture->turn_ticks = frame->due;
			continue;
		}
		/* A clock that was set back meanwhile: the frame follows at once. */
		gap = frame->due > newest ? scale(frame->due - newest, plan) : 0;
		newest = frame->due > newest ? frame->due : newest;
		ticks = weir_sat_add(ticks, gap);
		frame->due = ticks < TICKS_MAX ? ticks : TICKS_MAX;
	}
	/* The next turn's first frame follows as the last one followed the one before. */
	if (plan->rate_bit_s == 0)
		capture->turn_ticks = capture->frames[capture->n_frames - 1].due + gap;
}

static void
start(struct weir_capture *capture, const struct weir_capture_plan *plan)
{
	plan_times(capture, plan);
	capture->turns_left = plan->loops > 0 ? plan->loops : UINT64_MAX;
	capture->left = plan->count > 0 ? plan->count : UINT64_MAX;
	capture->until =
	    plan->duration_ns > 0 ? plan->duration_ns * WEIR_TICKS_PER_NS : WEIR_SCHEDULE_NEVER - 1;
}

int
weir_capture_load(const char *path, const struct weir_capture_plan *plan,
                  struct weir_capture **capture, char *error, size_t error_size)
{
	char cause[PCAP_ERRBUF_SIZE] = "";
	struct weir_capture *made = calloc(1, sizeof(*made));
	pcap_t *pcap;
	int rc = 0;

	pcap =
	    made == NULL
	        ? NULL
	        : pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, cause);
	if (pcap == NULL) {
		free(made);
		snprintf(error, error_size, "%s%s%s", strstr(cause, path) == NULL ? path : "",
		         strstr(cause, path) == NULL ? ": " : "",
		         made == NULL ? "out of memory" : cause);
		return -EINVAL;
	}
	if (pcap_datalink(pcap) != DLT_EN10MB) {
		snprintf(cause, sizeof(cause), "link type %d: expected Ethernet",
		         pcap_datalink(pcap));
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = read_frames(pcap, plan, made, cause, sizeof(cause));
	pcap_close(pcap);
	if (rc == 0 && made->n_frames == 0) {
		snprintf(cause, sizeof(cause),
		         "no frame that can be sent (%llu over the MTU of %u, %llu runts)",
		         (unsigned long long)made->skipped.oversize, plan->mtu_bytes,
		         (unsigned long long)made->skipped.runts);
		rc = -EINVAL;
	}
	if (rc != 0) {
		snprintf(error, error_size, "%s: %s", path, cause);
		weir_capture_free(made);
		return rc;
	}
	start(made, plan);
	*capture = made;
	return 0;
}

void
weir_capture_free(struct weir_capture *capture)
{
	if (capture == NULL)
		return;
	free(capture->frames);
	free(capture->bytes);
	free(capture);
}

struct weir_capture_skipped
weir_capture_skipped(const struct weir_capture *capture)
{
	return capture->skipped;
}

uint32_t
weir_capture_frame_max(const struct weir_capture *capture)
{
	return capture->frame_max;
}

bool
weir_capture_lasts(const struct weir_capture *capture)
{
	return capture->turn_ticks > 0;
}

uint64_t
weir_capture_due(const struct weir_capture *capture)
{
	uint64_t due;

	if (capture->left == 0 || capture->turns_left == 0)
		return WEIR_SCHEDULE_NEVER;
	due = weir_sat_add(capture->turn_start, capture->frames[capture->next].due);
	return due > capture->until ? WEIR_SCHEDULE_NEVER : due;
}

uint32_t
weir_capture_take(struct weir_capture *capture, uint64_t until, uint8_t *const frames[],
                  struct weir_taken taken[], uint32_t n)
{
	uint32_t done = 0;
	uint64_t due;

	while (done < n && (due = weir_capture_due(capture)) <= until &&
	       due != WEIR_SCHEDULE_NEVER) {
		const struct frame *frame = &capture->frames[capture->next];

		memcpy(frames[done], capture->bytes + frame->offset, frame->bytes);
		taken[done++] = (struct weir_taken){due, frame->bytes, 0, false};
		capture->left--;
		if (++capture->next == capture->n_frames) {
			capture->next = 0;
			capture->turns_left--;
			capture->turn_start =
			    weir_sat_add(capture->turn_start, capture->turn_ticks);
		}
	}
	return done;
}
