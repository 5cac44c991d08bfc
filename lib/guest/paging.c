/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/paging.h"
#include "util/macro.h"

typedef int (*read_fn)(struct memory *memory, uint64_t gpa, void *bytes, size_t n);

static int read_across(struct memory *memory, const struct paging *paging, uint64_t gva,
		       uint8_t *bytes, size_t n, read_fn read_piece)
{
	while (n) {
		struct translation t;
		size_t piece;
		int r = paging_walk(memory, paging, gva, &t);

		if (r < 0)
			return r;
		piece = (size_t)MIN((uint64_t)n, t.left_bytes);
		r = read_piece(memory, t.gpa, bytes, piece);
		if (r < 0)
			return r;
		gva += piece;
		bytes += piece;
		n -= piece;
	}
	return 0;
}

int paging_read(struct memory *memory, const struct paging *paging, uint64_t gva, void *bytes,
		size_t n)
{
	return read_across(memory, paging, gva, bytes, n, memory_read);
}

int paging_read_large(struct memory *memory, const struct paging *paging, uint64_t gva, void *bytes,
		      size_t n)
{
	return read_across(memory, paging, gva, bytes, n, memory_read_large);
}

ssize_t paging_read_string(struct memory *memory, const struct paging *paging, uint64_t gva,
			   char *text, size_t room)
{
	size_t n = 0;

	while (n < room - 1) {
		size_t piece = MIN(room - 1 - n, PAGE_BYTES - (size_t)(gva % PAGE_BYTES));
		int r = paging_read(memory, paging, gva, text + n, piece);
		const char *nul;

		if (r < 0)
			return r;
		nul = memchr(text + n, '\0', piece);
		if (nul)
			return nul - text;
		gva += piece;
		n += piece;
	}
	text[n] = '\0';
	return (ssize_t)n;
}
