/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "util/idtable.h"
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
	uint32_t length;
};

struct intern {
	VEC(struct entry) entries;
	struct idtable ids;
	struct chunk *chunks;
	size_t chunk_bytes; /* all together */
	char *fill;
	size_t fill_left;
};

struct intern *intern_new(void)
{
	_cleanup_(intern_freep) struct intern *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	if (intern_add(pool, "") != 0)
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
	idtable_deinit(&pool->ids);
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
		pool->chunk_bytes += sizeof(*chunk) + room;
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

uint32_t intern_add_bytes(struct intern *pool, const char *bytes, size_t n)
{
	uint32_t hash = (uint32_t)hash_bytes(bytes, n), id, i = idtable_first(&pool->ids, hash);
	const char *string;

	for (; (id = idtable_at(&pool->ids, i, hash)) != IDTABLE_END; i = idtable_step(&pool->ids, i)) {
		const struct entry *e = id == IDTABLE_OTHER ? NULL : &pool->entries.items[id];

		if (e && e->length == n && memcmp(e->string, bytes, n) == 0)
			return id;
	}
	if (n > UINT32_MAX - 1 || pool->entries.n >= UINT32_MAX / 4 || !vec_reserve(&pool->entries, 1))
		return INTERN_FAILED;
	id = (uint32_t)pool->entries.n;
	string = store(pool, bytes, n);
	if (!string || !idtable_put(&pool->ids, hash, id))
		return INTERN_FAILED;
	pool->entries.items[pool->entries.n++] = (struct entry){ .string = string, .length = (uint32_t)n };
	return id;
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

size_t intern_bytes(const struct intern *pool)
{
	size_t slots = pool->ids.slots ? pool->ids.mask + (size_t)1 : 0;

	return pool->chunk_bytes + pool->entries.room * sizeof(*pool->entries.items) + slots * sizeof(*pool->ids.slots);
}
