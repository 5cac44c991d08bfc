/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/intern.h"
#include "util/macro.h"
#include "util/vec.h"

#define CHUNK_BYTES (64u << 10)

struct chunk {
	struct chunk *next;
	char bytes[];
};

struct entry {
	const char *string;
	uint32_t length, hash;
};

struct intern {
	VEC(struct entry) entries;
	uint32_t *slots; /* id + 1, 0 = free; open addressing, at most half full */
	uint32_t n_slots;
	struct chunk *chunks;
	char *fill;
	size_t fill_left;
};

struct intern *intern_new(void)
{
	_cleanup_(intern_freep) struct intern *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->n_slots = 64;
	pool->slots = calloc(pool->n_slots, sizeof(*pool->slots));
	if (!pool->slots || intern_add(pool, "") != 0)
		return NULL;
	return take_ptr(pool);
}

struct intern *intern_free(struct intern *pool)
{
	if (!pool)
		return NULL;
	while (pool->chunks) {
		struct chunk *next = pool->chunks->next;

		free(pool->chunks);
		pool->chunks = next;
	}
	vec_free(&pool->entries);
	free(pool->slots);
	free(pool);
	return NULL;
}

static char *store(struct intern *pool, const char *bytes, size_t n)
{
	char *place;

	if (n + 1 > pool->fill_left) {
		size_t room = MAX(n + 1, (size_t)CHUNK_BYTES);
		struct chunk *chunk = malloc(sizeof(*chunk) + room);

		if (!chunk)
			return NULL;
		chunk->next = pool->chunks;
		pool->chunks = chunk;
		pool->fill = chunk->bytes;
		pool->fill_left = room;
	}
	place = pool->fill;
	memcpy(place, bytes, n);
	place[n] = '\0';
	pool->fill += n + 1;
	pool->fill_left -= n + 1;
	return place;
}

static bool grow(struct intern *pool)
{
	uint32_t n_slots = pool->n_slots * 2;
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t id = 0; id < pool->entries.n; id++) {
		uint32_t i = pool->entries.items[id].hash & (n_slots - 1);

		while (slots[i])
			i = (i + 1) & (n_slots - 1);
		slots[i] = id + 1;
	}
	free(pool->slots);
	pool->slots = slots;
	pool->n_slots = n_slots;
	return true;
}

uint32_t intern_add_bytes(struct intern *pool, const char *bytes, size_t n)
{
	uint32_t hash = (uint32_t)hash_bytes(bytes, n), i;
	const char *string;

	if (n > UINT32_MAX - 1 || pool->entries.n >= UINT32_MAX / 4)
		return INTERN_FAILED;
	if (pool->entries.n * 2 >= pool->n_slots && !grow(pool))
		return INTERN_FAILED;
	for (i = hash & (pool->n_slots - 1); pool->slots[i]; i = (i + 1) & (pool->n_slots - 1)) {
		const struct entry *e = &pool->entries.items[pool->slots[i] - 1];

		if (e->hash == hash && e->length == n && memcmp(e->string, bytes, n) == 0)
			return pool->slots[i] - 1;
	}
	string = store(pool, bytes, n);
	if (!string ||
	    !vec_push(&pool->entries,
		      (struct entry){ .string = string, .length = (uint32_t)n, .hash = hash }))
		return INTERN_FAILED;
	pool->slots[i] = (uint32_t)pool->entries.n;
	return (uint32_t)pool->entries.n - 1;
}

uint32_t intern_add(struct intern *pool, const char *string)
{
	return intern_add_bytes(pool, string, strlen(string));
}

const char *intern_string(const struct intern *pool, uint32_t id)
{
	return pool->entries.items[id].string;
}

uint32_t intern_count(const struct intern *pool)
{
	return (uint32_t)pool->entries.n;
}
