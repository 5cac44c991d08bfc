/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growing array: `struct { T *items; size_t n, room; }`, zero-initialised is empty.
 *
 *	VEC(struct map) maps = {};
 *	if (!vec_push(&maps, map)) return -ENOMEM;
 */
#ifndef UTIL_VEC_H
#define UTIL_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t n, room;                                                                    \
	}

/* Room for @more further items; false when out of memory (the array is unchanged). */
#define vec_reserve(v, more) vec_reserve_((void **)&(v)->items, &(v)->room, (v)->n, (more), sizeof(*(v)->items))

#define vec_push(v, ...)                                                                           \
	(vec_reserve((v), 1) ? ((v)->items[(v)->n++] = (__VA_ARGS__), true) : false)

#define vec_free(v)                                                                                \
	do {                                                                                       \
		free((v)->items);                                                                  \
		(v)->items = NULL;                                                                 \
		(v)->n = (v)->room = 0;                                                            \
	} while (0)

#define vec_for_each(item, v)                                                                      \
	for (__typeof__(*(v)->items) *item = (v)->items; item && item < (v)->items + (v)->n; item++)

static inline bool vec_reserve_(void **items, size_t *room, size_t n, size_t more, size_t item_bytes)
{
	size_t want, bytes;
	void *bigger;

	if (__builtin_add_overflow(n, more, &want))
		return false;
	if (want <= *room)
		return true;
	if (want < *room + *room / 2)
		want = *room + *room / 2;
	if (want < 8)
		want = 8;
	if (__builtin_mul_overflow(want, item_bytes, &bytes))
		return false;
	bigger = realloc(*items, bytes);
	if (!bigger)
		return false;
	*items = bigger;
	*room = want;
	return true;
}

#endif
