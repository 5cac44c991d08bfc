/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes in text, as JSON needs them: RFC 4648, section 4, with padding. */
#ifndef CLIENT_BASE64_H
#define CLIENT_BASE64_H

#include <stddef.h>

/* Bytes of text for @n bytes, without the NUL. */
#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* @text: room for BASE64_LENGTH(@n) + 1. */
void base64_encode(const void *bytes, size_t n, char *text);

/*
 * base64_decode - of @n characters into @bytes, which may be the same memory; room for @n / 4 * 3. The number of bytes is *ret_n.
 * Errors: -EBADMSG (another character, padding in between, bits that are left over).
 */
int base64_decode(const char *text, size_t n, void *bytes, size_t *ret_n);

#endif
