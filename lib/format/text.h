/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers and words in the text that kernels print. Each function steps @p over what it read and
 * never past @end.
 */
#ifndef FORMAT_TEXT_H
#define FORMAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Lines longer than this are none of the kernel's: a path has at most 4095 bytes, each printed as
 * at most 4.
 */
#define TEXT_LINE_MAX (20 << 10)

/* 0 … 15, or 255 for what is no digit. */
extern const uint8_t text_hex_digits[256];

/* 1 to 16 digits. */
static inline bool text_hex(const char **p, const char *end, uint64_t *ret)
{
	const char *s = *p, *last = end - s > 16 ? s + 16 : end;
	uint64_t value = 0;
	uint8_t digit;

	for (; s < last && (digit = text_hex_digits[(uint8_t)*s]) < 16; s++)
		value = value << 4 | digit;
	if (s == *p || (s < end && text_hex_digits[(uint8_t)*s] < 16))
		return false;
	*p = s;
	*ret = value;
	return true;
}

/* 1 to 19 digits. */
static inline bool text_decimal(const char **p, const char *end, uint64_t *ret)
{
	const char *s = *p;
	uint64_t value = 0;

	for (; s < end && *s >= '0' && *s <= '9' && s - *p < 19; s++)
		value = value * 10 + (uint64_t)(*s - '0');
	if (s == *p || (s < end && *s >= '0' && *s <= '9'))
		return false;
	*p = s;
	*ret = value;
	return true;
}

static inline bool text_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	++*p;
	return true;
}

/* Up to the next space or @end, not empty; the space is stepped over too. */
static inline bool text_word(const char **p, const char *end, const char **ret_word,
			     uint32_t *ret_bytes)
{
	const char *space = memchr(*p, ' ', (size_t)(end - *p)) ?: end;

	if (space == *p)
		return false;
	*ret_word = *p;
	*ret_bytes = (uint32_t)(space - *p);
	*p = space < end ? space + 1 : end;
	return true;
}

/* The line at @p: its end, where the newline is or the text stops. */
static inline const char *text_line_end(const char *p, const char *end)
{
	return memchr(p, '\n', (size_t)(end - p)) ?: end;
}

#endif
