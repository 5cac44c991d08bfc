/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small things every layer uses. */
#ifndef UTIL_MACRO_H
#define UTIL_MACRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a)	  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	  ((a) < (b) ? (a) : (b))
#define MAX(a, b)	  ((a) > (b) ? (a) : (b))
#define likely(x)	  __builtin_expect(!!(x), 1)
#define unlikely(x)	  __builtin_expect(!!(x), 0)
#define _printf_(f, a)	  __attribute__((format(printf, f, a)))

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* true if @opts (whose first member is its size as the caller knows it) has only bytes that we know, or zeros */
static inline bool opts_valid(const void *opts, size_t known_bytes)
{
	size_t sz;

	if (!opts)
		return true;
	memcpy(&sz, opts, sizeof(sz));
	if (sz < sizeof(size_t))
		return false;
	for (size_t i = known_bytes; i < sz; i++)
		if (((const unsigned char *)opts)[i])
			return false;
	return true;
}

/* Copies what the caller has of an option struct over zeroes. */
#define opts_take(dst, opts)                                                                       \
	do {                                                                                       \
		memset((dst), 0, sizeof(*(dst)));                                                  \
		if (opts)                                                                          \
			memcpy((dst), (opts), MIN((opts)->sz, sizeof(*(dst))));                    \
		(dst)->sz = sizeof(*(dst));                                                        \
	} while (0)

#endif
