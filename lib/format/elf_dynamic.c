/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "format/elf_dynamic.h"
#include "format/elf_head.h"

#define NAME_BYTES_MAX 4096 /* of C++ templates */

int elf_layout_parse(const void *bytes, size_t n, struct elf_layout *ret)
{
	struct elf_layout layout = {};
	struct elf_head head;
	int r = elf_head_parse(bytes, n, &head);

	if (r < 0)
		return r;
	for (size_t i = 0; i < head.n_segments; i++) {
		Elf64_Phdr segment;

		memcpy(&segment, (const char *)bytes + head.segments_at + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_DYNAMIC) {
			layout.dynamic = segment.p_vaddr;
			layout.dynamic_bytes = segment.p_memsz;
		}
		if (segment.p_type != PT_LOAD || layout.n_loads == ELF_LOADS_MAX)
			continue;
		layout.loads[layout.n_loads].address = segment.p_vaddr;
		layout.loads[layout.n_loads].offset_bytes = segment.p_offset;
		layout.loads[layout.n_loads++].n_bytes = segment.p_filesz;
	}
	if (!layout.n_loads || !layout.dynamic || layout.dynamic_bytes > ELF_DYNAMIC_BYTES_MAX)
		return -ENOENT;
	*ret = layout;
	return 0;
}

bool elf_layout_offset(const struct elf_layout *layout, uint64_t address, uint64_t *ret_offset)
{
	for (size_t i = 0; i < layout->n_loads; i++) {
		uint64_t within = address - layout->loads[i].address;

		if (within < layout->loads[i].n_bytes) {
			*ret_offset = layout->loads[i].offset_bytes + within;
			return true;
		}
	}
	return false;
}

int elf_dynamic_parse(const void *bytes, size_t n, struct elf_dynamic *ret)
{
	struct elf_dynamic dynamic = {};
	uint64_t symbol_bytes = ELF_SYMBOL_BYTES;

	for (size_t at = 0; at + sizeof(Elf64_Dyn) <= n; at += sizeof(Elf64_Dyn)) {
		uint64_t value;
		Elf64_Dyn entry;

		memcpy(&entry, (const char *)bytes + at, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			break;
		value = entry.d_un.d_val;
		if (entry.d_tag == DT_SYMTAB)
			dynamic.symbols = value;
		else if (entry.d_tag == DT_STRTAB)
			dynamic.strings = value;
		else if (entry.d_tag == DT_STRSZ)
			dynamic.strings_bytes = value;
		else if (entry.d_tag == DT_GNU_HASH)
			dynamic.gnu_hash = value;
		else if (entry.d_tag == DT_HASH)
			dynamic.hash = value;
		else if (entry.d_tag == DT_SYMENT)
			symbol_bytes = value;
	}
	if (!dynamic.symbols || !dynamic.strings || !dynamic.strings_bytes || symbol_bytes != ELF_SYMBOL_BYTES)
		return -ENOENT;
	*ret = dynamic;
	return 0;
}

static uint32_t word_at(const void *bytes, uint64_t i)
{
	uint32_t word;

	memcpy(&word, (const char *)bytes + i * sizeof(word), sizeof(word));
	return word;
}

uint32_t elf_dynamic_count(const void *hash, size_t n, bool gnu)
{
	uint64_t n_words = n / sizeof(uint32_t), buckets_at, chains_at;
	uint32_t n_buckets, first, last = 0;

	if (n_words < 4)
		return 0;
	if (!gnu)
		return word_at(hash, 1);
	n_buckets = word_at(hash, 0);
	first = word_at(hash, 1);
	buckets_at = 4 + 2 * (uint64_t)word_at(hash, 2); /* the filter has 64-bit words */
	chains_at = buckets_at + n_buckets;
	for (uint64_t i = buckets_at; i < chains_at && i < n_words; i++)
		if (word_at(hash, i) > last)
			last = word_at(hash, i);
	if (last < first)
		return first; /* none that others could look for */
	/* To the end of the chain of the last bucket. */
	for (uint64_t at = chains_at + (last - first); at < n_words && last < UINT32_MAX - 1; at++) {
		if (word_at(hash, at) & 1)
			break;
		last++;
	}
	return last < UINT32_MAX ? last + 1 : last;
}

/* NULL: it is not all there, or no name. */
static const char *name_at(const char *strings, size_t n, uint32_t at)
{
	const char *end = at < n ? memchr(strings + at, '\0', n - at) : NULL;
	const char *name = strings + at;

	if (!end || end == name || end - name > NAME_BYTES_MAX ||
	    memchr(name, ELF_DYNAMIC_ABSENT, (size_t)(end - name)))
		return NULL;
	return name;
}

int elf_dynamic_each(const struct elf_layout *layout, const void *symbols, size_t n_symbols, const char *strings,
		     size_t strings_bytes, int (*fn)(const struct elf_dynamic_symbol *symbol, void *data), void *data)
{
	int r = 0;

	for (size_t i = 0; i < n_symbols && r == 0; i++) {
		struct elf_dynamic_symbol told;
		Elf64_Sym symbol;
		unsigned int type, binding;

		memcpy(&symbol, (const char *)symbols + i * sizeof(symbol), sizeof(symbol));
		type = ELF64_ST_TYPE(symbol.st_info);
		binding = ELF64_ST_BIND(symbol.st_info);
		if (symbol.st_shndx == SHN_UNDEF || !symbol.st_size || (type != STT_FUNC && type != STT_GNU_IFUNC) ||
		    !elf_layout_offset(layout, symbol.st_value, &told.offset_bytes))
			continue;
		told.name = name_at(strings, strings_bytes, symbol.st_name);
		told.n_bytes = symbol.st_size;
		told.binding = binding == STB_WEAK ? 'w' : binding == STB_LOCAL ? 'l' : 'g';
		if (told.name)
			r = fn(&told, data);
	}
	return r;
}
