/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers of the generator: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
 * number generators", OOPSLA 2014). One addition and two multiplications a number, any start is as
 * good as another, and the n-th number behind a start can be had without those before it. The same
 * on every machine. Not for secrets.
 */
#ifndef WEIR_TOOLS_WEIRGEN_RANDOM_H
#define WEIR_TOOLS_WEIRGEN_RANDOM_H

#include "drivers/units.h"

#define WEIR_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t
weir_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static inline uint64_t
weir_mix_next(uint64_t *state)
{
	return weir_mix(*state += WEIR_GOLDEN);
}

/*
 * Maps 64 random bits to 0 .. span - 1, span 0 standing for 2^64, without a division (Lemire, "Fast
 * random integer generation in an interval", 2019, without the rejection: no number is likelier
 * than another by more than span / 2^64 of its share).
 */
static inline uint64_t
weir_mix_below(uint64_t random, uint64_t span)
{
	return span == 0 ? random : (uint64_t)(((weir_u128)random * span) >> 64);
}

#endif
