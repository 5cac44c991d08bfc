/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF files of other people: whatever they say, a table comes out whose symbols can be looked up, or an error. */
#include "fuzz.h"
#include "sym/elf_symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *image = exact_copy(bytes, size);
	struct elf_file file = ELF_FILE_NONE;

	elf_version(EV_CURRENT);
	file.elf = elf_memory(image, size);
	for (int kind = 0; file.elf && elf_kind(file.elf) == ELF_K_ELF && kind < 2; kind++) {
		struct symtab *table = NULL;
		struct symbol symbol, found;

		elf_file_has_symbols(&file, SHT_SYMTAB);
		if (elf_symbols(&file, &file, kind ? ELF_LINK_ADDRESSES : ELF_FILE_OFFSETS, 0x1000, &table) < 0) {
			HOLDS(!table);
			continue;
		}
		for (size_t i = 0; i < symtab_count(table); i++) {
			symtab_get(table, i, &symbol);
			touch_string(symbol.name);
			if (symbol.end > symbol.start)
				HOLDS(symtab_lookup(table, symbol.start, &found) &&
				      found.start == symbol.start);
		}
		symtab_free(table);
	}
	if (file.elf)
		elf_end(file.elf);
	free(image);
	return 0;
}
