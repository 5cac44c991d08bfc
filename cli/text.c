/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <string.h>

#include "util/utf8.h"
#include "text.h"

/* The code point of a well-formed character of @n bytes. */
static uint32_t code_point(const char *s, size_t n)
{
	uint32_t code = n == 1 ? (unsigned char)s[0] : (unsigned char)s[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	return code;
}

static bool harmful(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||	/* C0, DEL, C1 */
	       code == 0x200e || code == 0x200f ||		/* direction marks */
	       (code >= 0x2028 && code <= 0x202e) ||		/* line separators, overrides */
	       (code >= 0x2066 && code <= 0x2069);		/* isolates */
}

static size_t plain_run(const char *s)
{
	size_t n = 0;

	while ((unsigned char)s[n] >= 0x20 && (unsigned char)s[n] < 0x7f)
		n++;
	return n;
}

void text_add_clean(struct strbuf *out, const char *s)
{
	for (;;) {
		size_t n = plain_run(s);

		strbuf_add(out, s, n);
		s += n;
		if (!*s)
			return;
		n = utf8_character(s, strnlen(s, 4));
		if (n && !harmful(code_point(s, n)))
			strbuf_add(out, s, n);
		else
			strbuf_addc(out, '?');
		s += n ? n : 1;
	}
}

static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t text_width(const char *s, size_t n)
{
	size_t columns = 0;

	for (size_t i = 0; i < n; i++)
		columns += !continues(s[i]);
	return columns;
}

size_t text_head(const char *s, size_t n, size_t columns)
{
	size_t i = 0;

	while (i < n && (continues(s[i]) || columns-- > 0))
		i++;
	return i;
}

size_t text_tail(const char *s, size_t n, size_t columns)
{
	size_t bytes = 0;

	while (bytes < n && columns > 0) {
		bytes++;
		columns -= !continues(s[n - bytes]);
	}
	return bytes;
}
