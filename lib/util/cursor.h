/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads untrusted bytes. Every access is checked against the end; the first one that does not fit sets
 * `failed`, moves to the end, and from then on everything reads as zero. So a parser may read a whole header and test
 * once. Values are in the host's byte order and need no alignment.
 */
#ifndef UTIL_CURSOR_H
#define UTIL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *p, *end;
	bool failed;
};

static inline struct cursor cursor_of(const void *bytes, size_t size_bytes)
{
	return (struct cursor){ .p = bytes, .end = (const uint8_t *)bytes + size_bytes };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* The next @n bytes, or NULL. */
static inline const void *cursor_bytes(struct cursor *c, uint64_t n)
{
	const void *here = c->p;

	if (n > cursor_left(c)) {
		c->failed = true;
		c->p = c->end;
		return NULL;
	}
	c->p += n;
	return here;
}

#define CURSOR_DEFINE(name, type)                                                                  \
	static inline type name(struct cursor *c)                                                  \
	{                                                                                          \
		const void *bytes = cursor_bytes(c, sizeof(type));                                 \
		type value = 0;                                                                    \
                                                                                                   \
		if (bytes)                                                                         \
			memcpy(&value, bytes, sizeof(value));                                      \
		return value;                                                                      \
	}
CURSOR_DEFINE(cursor_u8, uint8_t)
CURSOR_DEFINE(cursor_u16, uint16_t)
CURSOR_DEFINE(cursor_u32, uint32_t)
CURSOR_DEFINE(cursor_u64, uint64_t)
#undef CURSOR_DEFINE

/* A NUL-terminated string inside the next @field_bytes bytes, which are consumed; NULL if the NUL is missing. */
static inline const char *cursor_string(struct cursor *c, uint64_t field_bytes)
{
	const char *s = cursor_bytes(c, field_bytes);

	if (s && !memchr(s, '\0', field_bytes)) {
		c->failed = true;
		s = NULL;
	}
	return s;
}

#endif
