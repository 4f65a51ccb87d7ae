/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/bucket.h"

#define BITS_PER_BYTE 8U

struct weir_rate
weir_rate_make(uint64_t rate_bit_s, uint64_t tsc_hz, uint64_t start_tsc, uint64_t base_bytes)
{
	weir_u128 ticks_q16;

	assert(rate_bit_s > 0 && rate_bit_s <= UINT64_C(1000000000000));
	assert(tsc_hz > 0);
	ticks_q16 = (((weir_u128)BITS_PER_BYTE * tsc_hz << 16) + rate_bit_s - 1) / rate_bit_s;
	return (struct weir_rate){
	    .start_tsc = start_tsc,
	    .base_bytes = base_bytes,
	    .bytes_per_tick_q48 = (uint64_t)(((weir_u128)rate_bit_s << WEIR_RATE_SHIFT) /
	                                     ((weir_u128)BITS_PER_BYTE * tsc_hz)),
	    .ticks_per_byte_q16 = (uint64_t)ticks_q16,
	};
}

void
weir_bucket_init(struct weir_bucket *bucket, const struct weir_rate *rate, uint64_t now_tsc)
{
	atomic_store(&bucket->inflight_bytes, 0);
	atomic_store(&bucket->consumed_bytes, weir_rate_allowance(rate, now_tsc));
}

void
weir_bucket_give_back(struct weir_bucket *bucket, uint64_t bytes, bool shared)
{
	uint64_t consumed, inflight;

	if (shared) {
		atomic_fetch_sub_explicit(&bucket->consumed_bytes, bytes, memory_order_acq_rel);
		atomic_fetch_sub_explicit(&bucket->inflight_bytes, bytes, memory_order_acq_rel);
		return;
	}
	consumed = atomic_load_explicit(&bucket->consumed_bytes, memory_order_relaxed);
	inflight = atomic_load_explicit(&bucket->inflight_bytes, memory_order_relaxed);
	assert(consumed >= bytes && inflight >= bytes);
	atomic_store_explicit(&bucket->consumed_bytes, consumed - bytes, memory_order_relaxed);
	atomic_store_explicit(&bucket->inflight_bytes, inflight - bytes, memory_order_relaxed);
}

void
weir_bucket_departed(struct weir_bucket *bucket, uint64_t allowance, uint64_t burst_bytes,
                     uint64_t bytes, bool shared)
{
	uint64_t consumed = atomic_load_explicit(&bucket->consumed_bytes, memory_order_acquire);
	uint64_t inflight = atomic_load_explicit(&bucket->inflight_bytes, memory_order_acquire);
	uint64_t lifted;

	assert(inflight >= bytes);
	if (!shared) {
		lifted = weir_bucket_floor(consumed, inflight, allowance, burst_bytes);
		atomic_store_explicit(&bucket->consumed_bytes, lifted, memory_order_relaxed);
		atomic_store_explicit(&bucket->inflight_bytes, inflight - bytes,
		                      memory_order_relaxed);
		return;
	}
	/* Each failure of the exchange means that another worker's takes got through. */
	do {
		inflight = atomic_load_explicit(&bucket->inflight_bytes, memory_order_acquire);
		lifted = weir_bucket_floor(consumed, inflight, allowance, burst_bytes);
	} while (lifted != consumed && !atomic_compare_exchange_weak_explicit(
	                                   &bucket->consumed_bytes, &consumed, lifted,
	                                   memory_order_acq_rel, memory_order_acquire));
	atomic_fetch_sub_explicit(&bucket->inflight_bytes, bytes, memory_order_acq_rel);
}
