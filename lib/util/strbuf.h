/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growing string for output. Running out of memory is remembered in `failed`: append away, test once at the end.
 * Zero-initialised is empty; `text` is NULL or NUL-terminated.
 */
#ifndef UTIL_STRBUF_H
#define UTIL_STRBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/macro.h"

struct strbuf {
	char *text;
	size_t n, room;
	bool failed;
};

void strbuf_deinit(struct strbuf *b);
#define _strbuf_ __attribute__((cleanup(strbuf_deinit)))

/* Forgets the text, keeps the memory. */
void strbuf_clear(struct strbuf *b);
/* Room for @more bytes and a NUL at the end of the text; NULL when out of memory. */
char *strbuf_reserve(struct strbuf *b, size_t more);
void strbuf_add(struct strbuf *b, const char *bytes, size_t n);
void strbuf_adds(struct strbuf *b, const char *string);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *format, ...) _printf_(2, 3);
void strbuf_add_u64(struct strbuf *b, uint64_t value);	/* decimal */
void strbuf_add_hex(struct strbuf *b, uint64_t value);	/* no 0x, no leading zeros */
/* The text, now the caller's to free(); NULL when memory ran out. */
char *strbuf_take(struct strbuf *b);

#endif
