/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images of symbol tables, as they come out of recordings: first as they are, then, with a header that fits, whatever the
 * bytes say of starts, ends, names and parents.
 */
#include "fuzz.h"
#include "sym/symtab.h"
#include "sym/symtab_image.h"

static void look(const void *image, size_t size)
{
	struct symtab *table = NULL;
	struct symbol symbol, again;
	const void *bytes;
	size_t n;

	if (symtab_open(image, size, false, &table) < 0) {
		HOLDS(!table);
		return;
	}
	bytes = symtab_image(table, &n);
	touch(bytes, n);
	HOLDS(n == size);
	for (size_t i = 0; i < symtab_count(table); i++) {
		symtab_get(table, i, &symbol);
		touch_string(symbol.name);
		touch_string(symbol.module);
		HOLDS(symbol.start <= symbol.end);
		if (symbol.start == symbol.end || !symtab_lookup(table, symbol.start, &again))
			continue;
		HOLDS(again.start <= symbol.start && symbol.start < again.end);
	}
	symtab_lookup(table, 0, &symbol);
	symtab_lookup(table, UINT64_MAX, &symbol);
	symtab_find(table, "_text", &symbol);
	symtab_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct symtab_header *header = exact_copy(bytes, size);

	look(header, size);
	if (size >= sizeof(*header)) {
		size_t left = size - sizeof(*header);

		memcpy(header->magic, SYMTAB_MAGIC, sizeof(header->magic));
		header->strings_bytes = (uint32_t)(8 + header->strings_bytes % (left / 4 + 1) / 8 * 8);
		if (left >= header->strings_bytes) {
			char *strings = (char *)(header + 1);

			strings[0] = strings[header->strings_bytes - 1] = '\0';
			left -= header->strings_bytes;
			header->count = (uint32_t)(left / (8 + sizeof(struct symtab_entry)));
			look(header, size - left % (8 + sizeof(struct symtab_entry)));
		}
	}
	free(header);
	return 0;
}
