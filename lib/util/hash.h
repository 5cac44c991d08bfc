/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hashing for tables whose keys come from this machine's kernel or from a recording. Not keyed: a hostile
 * recording can slow its own report down, which is bounded by its size; it does not share a process with others.
 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Folded 64x64 -> 128 bit multiplication: every input bit reaches every output bit. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd1b54a32d192ed03u);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t h = n, word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = hash_mix(h, word);
	}
	word = 0;
	memcpy(&word, p, n);
	return hash_mix(h, word);
}

static inline uint64_t hash_words(uint64_t seed, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seed = hash_mix(seed, words[i]);
	return seed;
}

#endif
