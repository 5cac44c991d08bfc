/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/page_cache.h"
#include "guest/resident_symbols.h"
#include "util/macro.h"

/* libLLVM, one of the largest, has 40 000 symbols with 3 MB of names. Of what is larger the rest has no names. */
#define SYMBOLS_BYTES_MAX (1u << 20)
#define STRINGS_BYTES_MAX (4u << 20)
#define HASH_BYTES_MAX	  (1u << 20)

struct reader {
	const struct resident_file *file;
	struct elf_layout layout;
	size_t n_read;
};

/* What a process has mapped of it was not in memory long ago at its parent's, so the kernel's own pages come first. */
int resident_file_read(const struct resident_file *file, uint64_t offset, void *bytes, size_t n)
{
	int r = file->file_gva ? page_cache_read(file->kernel, file->file_gva, offset, bytes, n) : -EFAULT;

	if (r == 0 || r == -ESRCH || !file->paging->levels || (file->file_gva && (offset >= PAGE_BYTES || n > PAGE_BYTES - offset)))
		return r == -EOPNOTSUPP ? -EFAULT : r;
	return kernel_read_of(file->kernel, file->paging, file->head_gva + offset, bytes, n);
}

/* @n bytes that are loaded at @address, with @absent where there are none in memory. *ret_whole: up to the first of these. */
static int read_piece(struct reader *reader, uint64_t address, size_t n, int absent, void **ret_bytes,
		      size_t *ret_whole)
{
	_free_ uint8_t *bytes = malloc(n + 1);
	size_t whole = n;
	uint64_t from;

	if (!bytes)
		return -ENOMEM;
	if (!elf_layout_offset(&reader->layout, address, &from))
		return -ENOENT;
	for (size_t at = 0; at < n;) {
		size_t piece = MIN(n - at, (size_t)(PAGE_BYTES - (from + at) % PAGE_BYTES));
		int r = resident_file_read(reader->file, from + at, bytes + at, piece);

		if (r == -ESRCH)
			return r;
		if (r < 0) {
			memset(bytes + at, absent, piece);
			whole = MIN(whole, at);
		}
		at += piece;
	}
	reader->n_read += n;
	*ret_bytes = take_ptr(bytes);
	*ret_whole = whole;
	return 0;
}

static int find_tables(struct reader *reader, struct elf_dynamic *ret)
{
	_free_ void *bytes = NULL;
	size_t whole;
	int r = read_piece(reader, reader->layout.dynamic, (size_t)reader->layout.dynamic_bytes, 0, &bytes, &whole);

	return r < 0 ? r : elf_dynamic_parse(bytes, whole, ret);
}

/* How large the hash table is, it does not say: it ends before what follows it, or before what is not in memory. */
static int count_symbols(struct reader *reader, const struct elf_dynamic *dynamic, uint32_t *ret_n)
{
	uint64_t at = dynamic->hash ? dynamic->hash : dynamic->gnu_hash, n = HASH_BYTES_MAX;
	_free_ void *bytes = NULL;
	size_t whole;
	int r;

	if (!at)
		return -ENOENT;
	if (dynamic->hash)
		n = 16;
	else if (dynamic->symbols > at)
		n = MIN(n, dynamic->symbols - at);
	else if (dynamic->strings > at)
		n = MIN(n, dynamic->strings - at);
	r = read_piece(reader, at, (size_t)n, 0, &bytes, &whole);
	if (r == 0)
		*ret_n = elf_dynamic_count(bytes, whole, !dynamic->hash);
	return r;
}

static int read_symbols(struct reader *reader, const struct elf_dynamic *dynamic,
			int (*fn)(const struct elf_dynamic_symbol *symbol, void *data), void *data)
{
	_free_ void *symbols = NULL, *strings = NULL;
	size_t strings_bytes = (size_t)MIN(dynamic->strings_bytes, (uint64_t)STRINGS_BYTES_MAX), whole;
	uint32_t n = 0;
	int r = count_symbols(reader, dynamic, &n);

	n = MIN(n, SYMBOLS_BYTES_MAX / ELF_SYMBOL_BYTES);
	if (r == 0)
		r = read_piece(reader, dynamic->symbols, (size_t)n * ELF_SYMBOL_BYTES, 0, &symbols, &whole);
	if (r == 0)
		r = read_piece(reader, dynamic->strings, strings_bytes, ELF_DYNAMIC_ABSENT, &strings, &whole);
	return r < 0 ? r : elf_dynamic_each(&reader->layout, symbols, n, strings, strings_bytes, fn, data);
}

int resident_symbols_each(const struct resident_file *file, const void *head,
			  int (*fn)(const struct elf_dynamic_symbol *symbol, void *data), void *data,
			  size_t *ret_bytes)
{
	struct reader reader = {.file = file};
	struct elf_dynamic dynamic;
	int r = elf_layout_parse(head, PAGE_BYTES, &reader.layout);

	if (r == 0)
		r = find_tables(&reader, &dynamic);
	if (r == 0)
		r = read_symbols(&reader, &dynamic, fn, data);
	*ret_bytes = reader.n_read;
	return r;
}
