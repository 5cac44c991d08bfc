/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first page of a program in a guest: whatever it says, libelf gets something that it can take. */
#include "fuzz.h"
#include "format/elf_head.h"
#include "sym/elf_symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *page = exact_copy(bytes, size);
	struct elf_head head;

	if (elf_head_parse(page, size, &head) == 0) {
		struct elf_file file = ELF_FILE_NONE;
		struct symtab *table;

		HOLDS(head.build_id_bytes <= sizeof(head.build_id));
		elf_head_detach(page, &head);
		elf_version(EV_CURRENT);
		file.elf = elf_memory(page, size);
		if (file.elf) {
			HOLDS(elf_symbols(&file, &file, ELF_FILE_OFFSETS, 0, &table) < 0);
			elf_end(file.elf);
		}
	}
	free(page);
	return 0;
}
