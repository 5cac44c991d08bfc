/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF files of other people: rows come out that rise and are of kinds that there are, or an error. */
#include "fuzz.h"
#include "sym/cfi_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *image = exact_copy(bytes, size);
	struct elf_file file = ELF_FILE_NONE;
	struct cfi_table table = {};

	elf_version(EV_CURRENT);
	file.elf = elf_memory(image, size);
	if (file.elf && elf_kind(file.elf) == ELF_K_ELF && cfi_file_read(&file, &table) == 0) {
		HOLDS(table.n);
		for (size_t i = 0; i < table.n; i++) {
			HOLDS(table.rows[i].how < CFI_HOW_COUNT && table.rows[i].bp_how < CFI_BP_COUNT);
			HOLDS(!i || table.rows[i].at >= table.rows[i - 1].at);
		}
	}
	cfi_table_deinit(&table);
	if (file.elf)
		elf_end(file.elf);
	free(image);
	return 0;
}
