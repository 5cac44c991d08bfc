/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The symbols of ELF files, chosen as perf chooses them (tools/perf/util/symbol-elf.c), so that reports agree: functions, objects, and
 * labels in text and data sections; .symtab, .dynsym, and a name for each entry of the PLT ("puts@plt").
 */
#ifndef SYM_ELF_SYMBOLS_H
#define SYM_ELF_SYMBOLS_H

#include "sym/elf_file.h"
#include "sym/symtab.h"

enum elf_addresses {
	ELF_FILE_OFFSETS,   /* for files mapped anywhere: what a mapping's offset leads to */
	ELF_LINK_ADDRESSES, /* for what runs where it was linked */
};

/*
 * Makes a table of @symbols' symbols. @runtime: the file that is mapped, if @symbols is its separate debug file
 * (whose sections may be without contents); may be the same.
 * @slide: added to every address.
 * -ENODATA if there is none, -E2BIG (more segments or names than an honest file has), -ENOMEM.
 */
int elf_symbols(const struct elf_file *symbols, const struct elf_file *runtime, enum elf_addresses addresses,
		uint64_t slide, struct symtab **ret_table);

#endif
