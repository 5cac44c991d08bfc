/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds ids by hash. The table knows nothing of keys: things live in an array of their owner's,
 * the table holds (hash, index) pairs, and whoever probes compares. So one table serves every
 * kind of key, growing never touches the things themselves, and a probe that finds another hash
 * never leaves the table's cache line.
 *
 *	uint32_t id, i = idtable_first(&t, hash);
 *
 *	for (; (id = idtable_at(&t, i, hash)) != IDTABLE_END; i = idtable_step(&t, i))
 *		if (id != IDTABLE_OTHER && same(things[id], key))
 *			return id;
 *	if (!idtable_put(&t, hash, new_id)) …
 *
 * Linear probing, at most 3/4 full. A thing's home is given by the upper bits of its hash, so
 * that growing the table moves everything in ascending order: one sequential pass over the old
 * table and the new one.
 */
#ifndef UTIL_IDTABLE_H
#define UTIL_IDTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define IDTABLE_END   UINT32_MAX
#define IDTABLE_OTHER (UINT32_MAX - 1) /* a slot with another hash */
#define IDTABLE_MAX   (UINT32_MAX - 2) /* ids are below */

struct idtable {
	struct idtable_slot {
		uint32_t hash, id1; /* id + 1, 0 = free */
	} *slots;
	uint32_t mask, n;
	uint8_t shift;
};

static inline void idtable_deinit(struct idtable *t)
{
	free(t->slots);
	*t = (struct idtable){ 0 };
}

static inline uint32_t idtable_first(const struct idtable *t, uint32_t hash)
{
	return t->slots ? hash >> t->shift : 0;
}

static inline uint32_t idtable_at(const struct idtable *t, uint32_t i, uint32_t hash)
{
	if (!t->slots || !t->slots[i].id1)
		return IDTABLE_END;
	return t->slots[i].hash == hash ? t->slots[i].id1 - 1 : IDTABLE_OTHER;
}

static inline uint32_t idtable_step(const struct idtable *t, uint32_t i)
{
	return (i + 1) & t->mask;
}

/* Fetches into the cache what idtable_first() will lead to. */
static inline void idtable_prefetch(const struct idtable *t, uint32_t hash)
{
	if (t->slots)
		__builtin_prefetch(&t->slots[hash >> t->shift]);
}

static inline void idtable_place_(struct idtable *t, struct idtable_slot slot)
{
	uint32_t i = slot.hash >> t->shift;

	while (t->slots[i].id1)
		i = (i + 1) & t->mask;
	t->slots[i] = slot;
}

static inline bool idtable_grow_(struct idtable *t)
{
	struct idtable old = *t;
	uint64_t size = old.slots ? ((uint64_t)old.mask + 1) * 2 : 64;

	if (size > UINT64_C(1) << 31)
		return false;
	t->slots = calloc(size, sizeof(*t->slots));
	if (!t->slots) {
		*t = old;
		return false;
	}
	t->mask = (uint32_t)size - 1;
	t->shift = old.slots ? old.shift - 1 : 26;
	for (uint64_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].id1)
			idtable_place_(t, old.slots[i]);
	free(old.slots);
	return true;
}

/* Room for @more further ids, so that putting them cannot fail. */
static inline bool idtable_reserve(struct idtable *t, uint64_t more)
{
	while (!t->slots || (t->n + more) * 4 > ((uint64_t)t->mask + 1) * 3)
		if (!idtable_grow_(t))
			return false;
	return true;
}

/* Adds an id that is not there yet; false when out of memory. */
static inline bool idtable_put(struct idtable *t, uint32_t hash, uint32_t id)
{
	if (id >= IDTABLE_MAX)
		return false;
	if (!idtable_reserve(t, 1))
		return false;
	idtable_place_(t, (struct idtable_slot){ .hash = hash, .id1 = id + 1 });
	t->n++;
	return true;
}

/* The memory it takes. */
static inline size_t idtable_bytes(const struct idtable *t)
{
	return t->slots ? (t->mask + (size_t)1) * sizeof(*t->slots) : 0;
}

#endif
