/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/utf8.h"

size_t utf8_character(const char *s, size_t n)
{
	/* The smallest value that needs so many bytes: anything below is overlong. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	uint32_t value;
	size_t length;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	length = (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (length == 0 || length > n)
		return 0;
	value = p[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	return length;
}

void utf8_add(struct strbuf *b, const char *s)
{
	size_t n = strlen(s), length;

	for (; n; s += length, n -= length) {
		length = utf8_character(s, n);
		if (length) {
			strbuf_add(b, s, length);
		} else {
			strbuf_adds(b, "\xef\xbf\xbd");
			length = 1;
		}
	}
}
