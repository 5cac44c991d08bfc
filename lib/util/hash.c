/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/random.h>

#include "util/hash.h"

uint64_t hash_key[2] = { 0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u };

/* Without entropy (the first second of a boot) the key is a constant: slower at worst. A table is never older than this. */
static void __attribute__((constructor)) draw_key(void)
{
	uint64_t key[2];

	if (getrandom(key, sizeof(key), GRND_NONBLOCK) == sizeof(key)) {
		hash_key[0] = key[0];
		hash_key[1] = key[1];
	}
}
