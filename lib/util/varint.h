/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small numbers in few bytes: seven bits each, low ones first, the top bit says that more follow (LEB128, protobuf's varint). */
#ifndef UTIL_VARINT_H
#define UTIL_VARINT_H

#include "util/cursor.h"
#include "util/strbuf.h"

static inline void varint_add(struct strbuf *b, uint64_t value)
{
	char bytes[10];
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (char)(value | 0x80);
	bytes[n++] = (char)value;
	strbuf_add(b, bytes, n);
}

/* What does not fit into 64 bits fails as what is cut off does. */
static inline uint64_t cursor_varint(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint64_t byte = cursor_u8(c);

		if (shift == 63 && byte > 1)
			break;
		value |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	c->failed = true;
	c->p = c->end;
	return 0;
}

#endif
