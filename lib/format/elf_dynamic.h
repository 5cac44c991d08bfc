/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program has in memory of its own symbols: those that it exports or asks for, as the dynamic linker needs them to run it
 * (System V ABI, "Dynamic Linking"). Section headers are not loaded, so the way leads from the program headers in the file's first
 * page (elf_head.h):
 *
 *	PT_DYNAMIC	pairs of tag and value: DT_SYMTAB, DT_STRTAB and DT_STRSZ, DT_GNU_HASH or DT_HASH
 *	DT_SYMTAB	symbols, one behind the other. How many there are is not written anywhere:
 *	DT_HASH		says it (nchain); but few programs still have it
 *	DT_GNU_HASH	u32 buckets, u32 first symbol in it, u32 words of a filter, u32; the filter; for each bucket
 *			its first symbol; for each symbol from the first on a hash, with bit 0 set in the last of a bucket
 *
 * Addresses are those of the file. (In a process glibc's linker replaces some of the values by where things lie there, others do not.)
 */
#ifndef FORMAT_ELF_DYNAMIC_H
#define FORMAT_ELF_DYNAMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_LOADS_MAX		16
#define ELF_SYMBOL_BYTES	24
#define ELF_DYNAMIC_BYTES_MAX	(16u << 10)

/* What of the file is loaded, and where. */
struct elf_layout {
	struct {
		uint64_t address, offset_bytes, n_bytes;
	} loads[ELF_LOADS_MAX];
	size_t n_loads;
	uint64_t dynamic, dynamic_bytes;
};

struct elf_dynamic {
	uint64_t symbols, strings, strings_bytes; /* addresses as in the layout */
	uint64_t gnu_hash, hash; /* 0 = has none */
};

struct elf_dynamic_symbol {
	uint64_t offset_bytes, n_bytes; /* in the file */
	char binding;			/* 'g', 'w', 'l' */
	const char *name;		/* lives during the call */
};

/* @head: the file's first page. -EBADMSG: no such file; -ENOENT: it is not linked at run time. */
int elf_layout_parse(const void *head, size_t n, struct elf_layout *ret);

/* Where in the file lies what is loaded at @address? false: nowhere. */
bool elf_layout_offset(const struct elf_layout *layout, uint64_t address, uint64_t *ret_offset);

/* -ENOENT: it has no symbols. */
int elf_dynamic_parse(const void *bytes, size_t n, struct elf_dynamic *ret);

/*
 * How many symbols there are, by a hash table of which @n bytes are known. Of a table that is cut short: as many as it tells of. 0: none.
 */
uint32_t elf_dynamic_count(const void *hash, size_t n, bool gnu);

/*
 * Functions that are defined here, until @fn returns non-zero, which is returned. What @strings lacks is filled with bytes that no name
 * has (ELF_DYNAMIC_ABSENT): symbols without a whole name are left out.
 */
#define ELF_DYNAMIC_ABSENT 0xff
int elf_dynamic_each(const struct elf_layout *layout, const void *symbols, size_t n_symbols, const char *strings,
		     size_t strings_bytes, int (*fn)(const struct elf_dynamic_symbol *symbol, void *data), void *data);

#endif
