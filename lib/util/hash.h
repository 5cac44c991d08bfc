/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hashing for tables whose keys may be chosen by others: names and addresses out of guests, recordings, sockets. A
 * process has a key of its own, drawn when it starts, so that nobody outside can prepare keys that collide. What is kept
 * beyond the process (a cache's key) takes hash_fingerprint(), which is the same everywhere.
 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern uint64_t hash_key[2]; /* constant once the process runs */

/* Folded 64x64 -> 128 bit multiplication: every input bit reaches every output bit. */
static inline uint64_t hash_mix_with(const uint64_t key[2], uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ key[0]) * (b ^ key[1]);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	return hash_mix_with(hash_key, a, b);
}

static inline uint64_t hash_bytes_with(const uint64_t key[2], const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t h = n, word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = hash_mix_with(key, h, word);
	}
	word = 0;
	memcpy(&word, p, n);
	return hash_mix_with(key, h, word);
}

static inline uint64_t hash_bytes(const void *bytes, size_t n)
{
	return hash_bytes_with(hash_key, bytes, n);
}

static inline uint64_t hash_words(uint64_t seed, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seed = hash_mix(seed, words[i]);
	return seed;
}

/* The same in every process: for telling versions apart, not for tables. */
static inline uint64_t hash_fingerprint(const void *bytes, size_t n)
{
	static const uint64_t key[2] = { 0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u };

	return hash_bytes_with(key, bytes, n);
}

#endif
