/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that a process has mapped, as if all of it lay in memory: from its first page to the names of its functions. */
#include "format/elf_dynamic.h"
#include "format/elf_head.h"
#include "fuzz.h"

struct file {
	const uint8_t *bytes;
	size_t n;
};

/* What there is of @n bytes that are loaded at @address; *ret_n: how many. */
static void *piece(const struct file *file, const struct elf_layout *layout, uint64_t address, uint64_t n,
		   size_t *ret_n)
{
	uint64_t offset;

	*ret_n = 0;
	if (!elf_layout_offset(layout, address, &offset) || offset >= file->n)
		return exact_copy(NULL, 0);
	*ret_n = n < file->n - offset ? n : file->n - offset;
	return exact_copy(file->bytes + offset, *ret_n);
}

static int see_symbol(const struct elf_dynamic_symbol *symbol, void *data)
{
	uint32_t *left = data;

	HOLDS(symbol->name[0] && symbol->n_bytes && strchr("gwl", symbol->binding));
	HOLDS(!strchr(symbol->name, ELF_DYNAMIC_ABSENT));
	touch_string(symbol->name);
	return --*left == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct file file = {bytes, size};
	struct elf_dynamic dynamic;
	struct elf_layout layout;
	uint8_t *head = exact_copy(bytes, size < ELF_HEAD_BYTES ? size : ELF_HEAD_BYTES);
	int r = elf_layout_parse(head, size < ELF_HEAD_BYTES ? size : ELF_HEAD_BYTES, &layout);

	free(head);
	if (r == 0) {
		size_t n, n_strings;
		void *table = piece(&file, &layout, layout.dynamic, layout.dynamic_bytes, &n), *strings;
		uint32_t count, left = 100000;

		HOLDS(layout.n_loads <= ELF_LOADS_MAX && layout.dynamic_bytes <= ELF_DYNAMIC_BYTES_MAX);
		r = elf_dynamic_parse(table, n, &dynamic);
		free(table);
		if (r < 0)
			return 0;
		table = piece(&file, &layout, dynamic.gnu_hash ? dynamic.gnu_hash : dynamic.hash, size, &n);
		count = elf_dynamic_count(table, n, dynamic.gnu_hash);
		free(table);
		table = piece(&file, &layout, dynamic.symbols, (uint64_t)count * ELF_SYMBOL_BYTES, &n);
		strings = piece(&file, &layout, dynamic.strings, dynamic.strings_bytes, &n_strings);
		elf_dynamic_each(&layout, table, n / ELF_SYMBOL_BYTES, strings, n_strings, see_symbol, &left);
		free(table);
		free(strings);
	}
	return 0;
}
