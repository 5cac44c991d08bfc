/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A piece of a guest's kernel image, in which its symbol table may lie. */
#include "format/kallsyms_tables.h"
#include "fuzz.h"

static int see_symbol(const struct kallsyms_symbol *symbol, void *data)
{
	uint32_t *seen = data;

	HOLDS(symbol->name_bytes > 0 && symbol->name_bytes < KALLSYMS_NAME_BYTES);
	HOLDS(strlen(symbol->name) == symbol->name_bytes);
	++*seen;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = exact_copy(bytes, size), *moved;
	uint64_t text_gva = 0xffffffff9e000000ull, gva = text_gva + 0x1200000;
	struct kallsyms_tables tables, before;
	uint32_t seen = 0, again = 0;
	size_t at = kallsyms_tokens_find(copy, size, 0, gva);

	HOLDS(at == SIZE_MAX || at < size);
	if (at != SIZE_MAX && kallsyms_tables_parse(copy, size, gva, at, text_gva, &tables) == 0) {
		HOLDS(tables.used_from < tables.used_to && tables.used_to <= size);
		before = tables;
		kallsyms_tables_each(&tables, see_symbol, &seen);
		HOLDS(seen <= tables.n_symbols);
		moved = exact_copy(copy + tables.used_from, tables.used_to - tables.used_from);
		kallsyms_tables_rebase(&tables, moved);
		kallsyms_tables_each(&tables, see_symbol, &again);
		HOLDS(seen == again && tables.bytes_gva == before.bytes_gva + before.used_from);
		free(moved);
	}
	free(copy);
	return 0;
}
