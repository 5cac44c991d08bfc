/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/strbuf.h"

void strbuf_deinit(struct strbuf *b)
{
	free(b->text);
	*b = (struct strbuf){};
}

void strbuf_clear(struct strbuf *b)
{
	b->n = 0;
	if (b->text)
		b->text[0] = '\0';
}

char *strbuf_reserve(struct strbuf *b, size_t more)
{
	size_t want;

	if (b->failed)
		return NULL;
	if (b->room - b->n > more)
		return b->text + b->n;
	if (__builtin_add_overflow(b->n, more, &want) || __builtin_add_overflow(want, b->room / 2 + 64, &want)) {
		b->failed = true;
		return NULL;
	}
	char *bigger = realloc(b->text, want);

	if (!bigger) {
		b->failed = true;
		return NULL;
	}
	b->text = bigger;
	b->room = want;
	return b->text + b->n;
}

void strbuf_add(struct strbuf *b, const char *bytes, size_t n)
{
	char *place = strbuf_reserve(b, n);

	if (!place)
		return;
	memcpy(place, bytes, n);
	place[n] = '\0';
	b->n += n;
}

void strbuf_adds(struct strbuf *b, const char *string)
{
	strbuf_add(b, string, strlen(string));
}

void strbuf_addc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
	va_list args;
	char *place;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !(place = strbuf_reserve(b, (size_t)n)))
		return;
	va_start(args, format);
	vsnprintf(place, (size_t)n + 1, format, args);
	va_end(args);
	b->n += (size_t)n;
}

void strbuf_add_u64(struct strbuf *b, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + value % 10);
	while (value /= 10);
	strbuf_add(b, digits + i, sizeof(digits) - i);
}

void strbuf_add_hex(struct strbuf *b, uint64_t value)
{
	char digits[16];
	size_t i = sizeof(digits);

	do
		digits[--i] = "0123456789abcdef"[value & 15];
	while (value >>= 4);
	strbuf_add(b, digits + i, sizeof(digits) - i);
}

char *strbuf_take(struct strbuf *b)
{
	char *text = strbuf_reserve(b, 0);

	if (!text)
		return NULL;
	if (!b->n)
		b->text[0] = '\0';
	text = take_ptr(b->text);
	b->n = b->room = 0;
	return text;
}
