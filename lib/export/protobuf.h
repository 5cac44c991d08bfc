/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The half of protobuf's wire format that writing a profile takes
 * (protobuf.dev/programming-guides/encoding).
 *
 * A message is a row of fields, each a tag and a value. The tag is field number * 8 + wire type;
 * wire type 0 is a varint (seven bits a byte, low ones first, the top bit says that more follow), 2
 * is a length and so many bytes: a string, a message inside the message, or an array of varints. A
 * field that is absent reads as 0 or empty, so zeros are not written.
 */
#ifndef EXPORT_PROTOBUF_H
#define EXPORT_PROTOBUF_H

#include "util/varint.h"

static inline void pb_number(struct strbuf *b, unsigned int field, uint64_t value)
{
	if (!value)
		return;
	varint_add(b, field << 3 | 0);
	varint_add(b, value);
}

/* Written even when empty: an entry of an array counts. */
static inline void pb_bytes(struct strbuf *b, unsigned int field, const char *bytes, size_t n)
{
	varint_add(b, field << 3 | 2);
	varint_add(b, n);
	strbuf_add(b, bytes, n);
}

static inline void pb_message(struct strbuf *b, unsigned int field, const struct strbuf *message)
{
	pb_bytes(b, field, message->n ? message->text : "", message->n);
}

#endif
