/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>

#include "sym/demangle.h"
#include "sym/elf_symbols.h"
#include "util/macro.h"
#include "util/vec.h"

/*
 * What a linker makes has a dozen segments, and names of which few share their ends. Without these limits a file of a few
 * megabytes could have us search for hours or store gigabytes.
 */
#define MAX_SEGMENTS	 256
#define MAX_TABLE_BYTES	 (1ull << 30)
#define NAMES_ALLOWED	 (16ull << 20)
#define NAMES_PER_STRING 8 /* bytes of names for each byte of the string table */
#define MAX_NAME	 UINT16_MAX /* symtab's */

struct segment {
	uint64_t start, end, offset_bytes;
};

/* A section as the two files see it. A debug file's sections may be NOBITS; then the runtime file tells the offset. */
struct section {
	uint64_t address, offset_bytes;
	bool loaded;  /* SHF_ALLOC */
	bool labels;  /* of text or data: labels count as symbols */
	bool per_cpu; /* a kernel's .data..percpu: an offset in each CPU's area, no address */
};

struct reader {
	const struct elf_file *symbols, *runtime;
	enum elf_addresses addresses;
	uint64_t slide;
	VEC(struct segment) segments; /* the runtime file's */
	VEC(struct section) sections; /* by index in the symbols' file */
	uint64_t names_left; /* bytes */
	GElf_Ehdr header;
	struct symtab_builder *builder;
};

static int read_segments(struct reader *r)
{
	size_t n;

	if (elf_getphdrnum(r->runtime->elf, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;
		uint64_t bytes;

		if (!gelf_getphdr(r->runtime->elf, (int)i, &p) || p.p_type != PT_LOAD)
			continue;
		if (r->segments.n == MAX_SEGMENTS)
			return -E2BIG;
		bytes = MAX(p.p_memsz, p.p_filesz);
		if (bytes && !vec_push(&r->segments, (struct segment){ p.p_vaddr, p.p_vaddr + bytes, p.p_offset }))
			return -ENOMEM;
	}
	return 0;
}

static bool name_contains(const struct elf_file *file, size_t names, uint32_t offset, const char *part)
{
	const char *name = elf_strptr(file->elf, names, offset);

	return name && strstr(name, part);
}

static int read_sections(struct reader *r)
{
	const struct elf_file *file = r->symbols;
	Elf_Scn *scn = NULL;
	size_t names, runtime_names;

	if (elf_getshdrstrndx(file->elf, &names) < 0 ||
	    elf_getshdrstrndx(r->runtime->elf, &runtime_names) < 0)
		return -ENODATA;
	if (!vec_push(&r->sections, (struct section){}))
		return -ENOMEM;
	while ((scn = elf_nextscn(file->elf, scn))) {
		const struct elf_file *of = file;
		size_t of_names = names;
		struct section section = {};
		GElf_Shdr h, runtime;

		if (gelf_getshdr(scn, &h)) {
			Elf_Scn *there = elf_getscn(r->runtime->elf, elf_ndxscn(scn));

			section.loaded = h.sh_flags & SHF_ALLOC;
			if (h.sh_type == SHT_NOBITS && there && gelf_getshdr(there, &runtime)) {
				h = runtime;
				of = r->runtime;
				of_names = runtime_names;
			}
			section.address = h.sh_addr;
			section.offset_bytes = h.sh_offset;
			section.labels = name_contains(of, of_names, h.sh_name, "text") ||
					 name_contains(of, of_names, h.sh_name, "data");
			section.per_cpu = name_contains(of, of_names, h.sh_name, ".data..percpu");
		}
		if (!vec_push(&r->sections, section))
			return -ENOMEM;
	}
	return 0;
}

/* ARM's "$a", "$x" and the like mark where code and data begin; they are no names. */
static bool is_mapping_symbol(const struct reader *r, const char *name)
{
	if (r->header.e_machine != EM_ARM && r->header.e_machine != EM_AARCH64)
		return false;
	return name[0] == '$' && name[1] && strchr("adtx", name[1]) && (name[2] == '\0' || name[2] == '.');
}

/* The symbol's section if perf would count it, else NULL. */
static const struct section *section_of(const struct reader *r, const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info), visibility = GELF_ST_VISIBILITY(sym->st_other);
	const struct section *section;

	if (sym->st_name == 0 || sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS ||
	    sym->st_shndx >= r->sections.n)
		return NULL;
	section = &r->sections.items[sym->st_shndx];
	if (!section->loaded || (r->addresses == ELF_LINK_ADDRESSES && section->per_cpu))
		return NULL;
	switch (type) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
	case STT_OBJECT:
		return section;
	case STT_NOTYPE:
		if (visibility == STV_HIDDEN || visibility == STV_INTERNAL || !section->labels)
			return NULL;
		return section;
	default:
		return NULL;
	}
}

static uint64_t file_offset_of(const struct reader *r, uint64_t address, const struct section *section)
{
	for (size_t i = 0; i < r->segments.n; i++) {
		const struct segment *segment = &r->segments.items[i];

		if (address >= segment->start && address < segment->end)
			return address - segment->start + segment->offset_bytes;
	}
	return address - section->address + section->offset_bytes;
}

static int add_symbol(struct reader *r, const GElf_Sym *sym, const char *name)
{
	const struct section *section = section_of(r, sym);
	unsigned int binding = GELF_ST_BIND(sym->st_info);
	uint64_t address = sym->st_value;
	_free_ char *plain = NULL;
	size_t n;

	if (!section || is_mapping_symbol(r, name))
		return 0;
	n = strnlen(name, MAX_NAME) + 1;
	if (n > r->names_left)
		return -E2BIG;
	r->names_left -= n;
	/* Bit 0 of a Thumb function's address says Thumb. */
	if (r->header.e_machine == EM_ARM && GELF_ST_TYPE(sym->st_info) == STT_FUNC)
		address &= ~1ull;
	if (r->addresses == ELF_FILE_OFFSETS)
		address = file_offset_of(r, address, section);
	plain = demangle(name);
	if (plain)
		name = plain;
	return symtab_builder_add(r->builder, address + r->slide, sym->st_size,
				  binding == STB_WEAK ? 'w' : binding == STB_GLOBAL ? 'g' : 'l', name,
				  strlen(name), NULL, 0);
}

/* The first section of @type with its contents; false if there is none. */
static bool symbol_section(const struct elf_file *file, uint32_t type, GElf_Shdr *ret_header,
			   Elf_Data **ret_data, size_t *ret_index)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(file->elf, scn))) {
		if (!gelf_getshdr(scn, ret_header) || ret_header->sh_type != type || !ret_header->sh_entsize ||
		    ret_header->sh_size > MAX_TABLE_BYTES)
			continue;
		*ret_data = elf_getdata(scn, NULL);
		*ret_index = elf_ndxscn(scn);
		return *ret_data && (*ret_data)->d_buf;
	}
	return false;
}

static void allow_names(struct reader *r, const struct elf_file *file, size_t strings)
{
	Elf_Scn *scn = elf_getscn(file->elf, strings);
	GElf_Shdr header;

	r->names_left = NAMES_ALLOWED;
	if (scn && gelf_getshdr(scn, &header))
		r->names_left += NAMES_PER_STRING * MIN(header.sh_size, MAX_TABLE_BYTES);
}

static int add_symbols(struct reader *r, uint32_t type)
{
	GElf_Shdr header;
	Elf_Data *data;
	size_t index;
	GElf_Sym sym;

	if (!symbol_section(r->symbols, type, &header, &data, &index))
		return 0;
	allow_names(r, r->symbols, header.sh_link);
	for (size_t i = 0; i < data->d_size / header.sh_entsize && i < INT32_MAX; i++) {
		const char *name;
		int ret;

		if (!gelf_getsym(data, (int)i, &sym))
			break;
		name = elf_strptr(r->symbols->elf, header.sh_link, sym.st_name);
		ret = name ? add_symbol(r, &sym, name) : 0;
		if (ret < 0)
			return ret;
	}
	return symtab_builder_settle(r->builder);
}

/* The symbol that relocation @i of the PLT refers to; "" if it refers to none (IFUNCs of the file itself). */
static const char *plt_target(const struct elf_file *file, Elf_Data *relocations, bool rela, int i,
			      Elf_Data *symbols, size_t strings)
{
	GElf_Rela ra;
	GElf_Rel rel;
	GElf_Sym sym;
	uint64_t info;

	if (rela ? !gelf_getrela(relocations, i, &ra) : !gelf_getrel(relocations, i, &rel))
		return NULL;
	info = rela ? ra.r_info : rel.r_info;
	if (!gelf_getsym(symbols, (int)GELF_R_SYM(info), &sym))
		return NULL;
	return elf_strptr(file->elf, strings, sym.st_name);
}

/* Where the entries of the PLT lie: with branch protection in .plt.sec, without header; else in .plt, behind one. */
static bool find_plt(const struct reader *r, uint64_t *ret_first, uint64_t *ret_entry_bytes)
{
	Elf_Scn *sec = elf_file_section(r->runtime, ".plt.sec");
	Elf_Scn *plt = sec ? sec : elf_file_section(r->runtime, ".plt");
	uint64_t header_bytes;
	GElf_Shdr h;

	if (!plt || !gelf_getshdr(plt, &h))
		return false;
	header_bytes = sec ? 0 : h.sh_entsize;
	*ret_entry_bytes = h.sh_entsize;
	if (r->header.e_machine == EM_AARCH64) {
		header_bytes = 32;
		*ret_entry_bytes = 16;
	} else if (r->header.e_machine == EM_ARM) {
		header_bytes = 20;
		*ret_entry_bytes = 12;
	}
	*ret_first = (r->addresses == ELF_FILE_OFFSETS ? h.sh_offset : h.sh_addr) + header_bytes;
	return *ret_entry_bytes != 0;
}

/* The linker leaves no symbols for the PLT: its entries are in the order of the relocations in .rela.plt. */
static int add_plt(struct reader *r)
{
	Elf_Scn *scn = elf_file_section(r->runtime, ".rela.plt");
	GElf_Shdr rel_header, sym_header;
	Elf_Data *relocations, *symbols;
	uint64_t address, entry_bytes;
	size_t index;

	if (!scn)
		scn = elf_file_section(r->runtime, ".rel.plt");
	if (!scn || !gelf_getshdr(scn, &rel_header) || !rel_header.sh_entsize ||
	    !(relocations = elf_getdata(scn, NULL)) ||
	    !symbol_section(r->runtime, SHT_DYNSYM, &sym_header, &symbols, &index) ||
	    rel_header.sh_link != index || !find_plt(r, &address, &entry_bytes))
		return 0;
	allow_names(r, r->runtime, sym_header.sh_link);
	for (size_t i = 0; i < relocations->d_size / rel_header.sh_entsize && i < INT32_MAX; i++) {
		const char *name = plt_target(r->runtime, relocations, rel_header.sh_type == SHT_RELA, (int)i,
					      symbols, sym_header.sh_link);
		_free_ char *plain = NULL, *label = NULL;
		size_t n = name ? strnlen(name, MAX_NAME) + 1 : 0;
		int ret;

		if (!name)
			break;
		if (n > r->names_left)
			return -E2BIG;
		r->names_left -= n;
		plain = demangle(name);
		if (asprintf(&label, "%s@plt", plain ? plain : name) < 0)
			return -ENOMEM;
		ret = symtab_builder_add(r->builder, address + r->slide, entry_bytes, 'g', label,
					 strlen(label), NULL, 0);
		if (ret < 0)
			return ret;
		address += entry_bytes;
	}
	return 0;
}

static int read_all(struct reader *r, struct symtab **ret_table)
{
	int ret = read_segments(r);

	if (ret == 0)
		ret = read_sections(r);
	/* As perf does it, each table is settled before the next is added. */
	if (ret == 0)
		ret = add_symbols(r, SHT_SYMTAB);
	if (ret == 0)
		ret = add_symbols(r, SHT_DYNSYM);
	if (ret == 0)
		ret = add_plt(r);
	if (ret == 0 && symtab_builder_count(r->builder) == 0)
		ret = -ENODATA;
	return ret < 0 ? ret : symtab_builder_finish(r->builder, NULL, 0, ret_table);
}

int elf_symbols(const struct elf_file *symbols, const struct elf_file *runtime, enum elf_addresses addresses,
		uint64_t slide, struct symtab **ret_table)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	struct reader r = {
		.symbols = symbols,
		.runtime = runtime,
		.addresses = addresses,
		.slide = slide,
		.builder = builder,
	};
	int ret = builder ? 0 : -ENOMEM;

	if (ret == 0 && !gelf_getehdr(symbols->elf, &r.header))
		ret = -ENODATA;
	if (ret == 0)
		ret = read_all(&r, ret_table);
	vec_free(&r.segments);
	vec_free(&r.sections);
	return ret;
}
