/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names come from ELF files, guests and command lines: any bytes. Formats that promise UTF-8 (JSON,
 * protobuf) must not be given others; readers refuse the whole file for one of them.
 */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stddef.h>
#include "util/strbuf.h"

/* Bytes of the character at the start of @s (of @n bytes), 0 if there is none: cut off, overlong, a surrogate, beyond U+10FFFF. */
size_t utf8_character(const char *s, size_t n);

/* Appends @s with U+FFFD in place of every byte that is part of no character. */
void utf8_add(struct strbuf *b, const char *s);

#endif
