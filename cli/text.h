/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strings from outside (symbol and process names, paths, whatever a recording says) on their way
 * to a person. A guest chooses its own names: without care it could move the cursor, retitle the
 * window or reverse the direction of text on the administrator's terminal.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "util/strbuf.h"

/*
 * Appends @s for a person: control characters, direction overrides and bytes that are not UTF-8
 * become '?'.
 */
void text_add_clean(struct strbuf *out, const char *s);

/* What a noun ends in behind @n: "1 sample", "2 samples", "0 samples"; which form of "be" stands behind it. */
static inline const char *text_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static inline const char *text_were(uint64_t n)
{
	return n == 1 ? "was" : "were";
}

/* Columns that @n bytes of clean text take, by code points. */
size_t text_width(const char *s, size_t n);

/* Bytes of the first (or last) @columns columns of clean text. */
size_t text_head(const char *s, size_t n, size_t columns);
size_t text_tail(const char *s, size_t n, size_t columns);

#endif
