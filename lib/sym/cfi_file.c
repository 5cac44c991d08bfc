/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "sym/cfi_file.h"
#include "sym/cfi_program.h"
#include "util/cursor.h"
#include "util/macro.h"
#include "util/vec.h"

#define REG_IP	     16	 /* DWARF's number */
#define MAX_SEGMENTS 256 /* as in elf_symbols.c */
#define UNUSABLE     0xff
/* Linkers write equal ones once: a program has a handful, of a few instructions each. Whoever has more means to keep us. */
#define MAX_CIES	 256
#define MAX_CIE_PROGRAM	 256 /* bytes */

struct function {
	uint64_t start, end;
	const uint8_t *program; /* in the section */
	uint32_t n_program;
	uint32_t cie; /* number */
};

struct cie {
	Dwarf_Off at; /* in the section */
	uint8_t encoding; /* of its functions' addresses; UNUSABLE = they are to be left out */
	bool has_augmentation; /* functions have something between address and program */
	struct cfi_cie program;
};

struct segment {
	uint64_t start, end, offset_bytes;
};

struct reading {
	const struct elf_file *file;
	Elf_Data *section; /* .eh_frame */
	uint64_t section_address;
	VEC(struct segment) segments;
	VEC(struct cie) cies;
	VEC(struct function) functions;
	VEC(struct cfi_row) rows;
	uint64_t to_offset; /* of the function that is run: from addresses */
};

static void reading_deinit(struct reading *r)
{
	vec_free(&r->segments);
	vec_free(&r->cies);
	vec_free(&r->functions);
	vec_free(&r->rows);
}

/* Code, and where in the file it is. */
static int read_segments(struct reading *r)
{
	size_t n;

	if (elf_getphdrnum(r->file->elf, &n) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(r->file->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		if (r->segments.n == MAX_SEGMENTS)
			return -E2BIG;
		if (p.p_offset > UINT32_MAX || p.p_filesz > UINT32_MAX - p.p_offset || p.p_vaddr + p.p_filesz < p.p_vaddr)
			return -EOPNOTSUPP; /* rows have no room for it */
		if (!vec_push(&r->segments, (struct segment){p.p_vaddr, p.p_vaddr + p.p_filesz, p.p_offset}))
			return -ENOMEM;
	}
	return 0;
}

/* ---- which functions there are ---- */

/*
 * An address as .eh_frame has it (Linux Standard Base, "DWARF Exception Header Encoding"): the low half of @encoding tells its size, the
 * high half from where it counts: 0: from 0; 1: from itself, which is at @at. What compilers do not use for code is not known here.
 */
static bool read_address(struct cursor *c, uint8_t encoding, uint64_t at, uint64_t *ret)
{
	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		*ret = cursor_u64(c);
		break;
	case DW_EH_PE_udata4:
		*ret = cursor_u32(c);
		break;
	case DW_EH_PE_sdata4:
		*ret = (uint64_t)(int64_t)(int32_t)cursor_u32(c);
		break;
	default:
		return false;
	}
	if ((encoding & 0x70) == DW_EH_PE_pcrel)
		*ret += at;
	else if (encoding & 0xf0)
		return false;
	return !c->failed;
}

/*
 * What a CIE's augmentation says: 'R' how its functions have addresses, 'S' that they are where signal handlers return to. 'P' and 'L' are
 * for exceptions. false: there is one that is not known.
 */
static bool read_augmentation(const Dwarf_CIE *cie, struct cie *ret)
{
	struct cursor c = cursor_of(cie->augmentation_data ? cie->augmentation_data : (const uint8_t *)"",
				    cie->augmentation_data ? cie->augmentation_data_size : 0);
	const char *p = cie->augmentation;
	uint64_t ignored;
	uint8_t encoding;

	ret->has_augmentation = *p == 'z';
	if (*p && *p++ != 'z')
		return false;
	for (; *p; p++) {
		ret->program.is_signal |= *p == 'S';
		if (*p == 'S')
			continue;
		encoding = cursor_u8(&c);
		if (*p == 'R')
			ret->encoding = encoding;
		else if (*p == 'P' ? !read_address(&c, encoding & 0x0f, 0, &ignored) : *p != 'L')
			return false;
	}
	return !c.failed;
}

static bool read_cie(const struct reading *r, struct cie *cie)
{
	const uint8_t *ident = (const uint8_t *)elf_getident(r->file->elf, NULL);
	Dwarf_CFI_Entry entry;
	const Dwarf_CIE *from = &entry.cie;
	Dwarf_Off behind;
	size_t n;

	if (dwarf_next_cfi(ident, r->section, true, cie->at, &behind, &entry) != 0 || !dwarf_cfi_cie_p(&entry) ||
	    from->return_address_register != REG_IP || !read_augmentation(from, cie))
		return false;
	n = (size_t)(from->initial_instructions_end - from->initial_instructions);
	cie->program.code_factor = from->code_alignment_factor;
	cie->program.data_factor = from->data_alignment_factor;
	return n <= MAX_CIE_PROGRAM && cfi_program_begin(&cie->program, from->initial_instructions, n);
}

/* The number of the CIE at @at; mostly it is the last one's. */
static int find_cie(struct reading *r, Dwarf_Off at, uint32_t *ret)
{
	struct cie cie = {.at = at, .encoding = DW_EH_PE_absptr};

	for (size_t i = r->cies.n; i-- > 0;)
		if (r->cies.items[i].at == at) {
			*ret = (uint32_t)i;
			return 0;
		}
	if (r->cies.n == MAX_CIES)
		return -E2BIG;
	if (!read_cie(r, &cie))
		cie.encoding = UNUSABLE;
	*ret = (uint32_t)r->cies.n;
	return vec_push(&r->cies, cie) ? 0 : -ENOMEM;
}

static int compare_functions(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int find_section(struct reading *r)
{
	Elf_Scn *scn = elf_file_section(r->file, ".eh_frame");
	GElf_Shdr header;

	if (!scn || !gelf_getshdr(scn, &header) || header.sh_type == SHT_NOBITS)
		return -ENODATA;
	r->section_address = header.sh_addr;
	r->section = elf_rawdata(scn, NULL);
	return r->section && r->section->d_buf && r->section->d_size ? 0 : -ENODATA;
}

/* How many bytes come next is told, seven bits in each byte. */
static void skip_augmentation(struct cursor *c)
{
	uint64_t n = 0;
	uint8_t byte = 0x80;

	for (unsigned int shift = 0; byte & 0x80 && shift < 35; shift += 7) {
		byte = cursor_u8(c);
		n |= (uint64_t)(byte & 0x7f) << shift;
	}
	(void)cursor_bytes(c, n);
}

static int add_function(struct reading *r, const Dwarf_FDE *fde)
{
	struct cursor c = cursor_of(fde->start, (size_t)(fde->end - fde->start));
	uint64_t at = r->section_address + (uint64_t)(fde->start - (const uint8_t *)r->section->d_buf);
	struct function f = {};
	const struct cie *cie;
	int result = find_cie(r, fde->CIE_pointer, &f.cie);

	if (result < 0)
		return result;
	cie = &r->cies.items[f.cie];
	if (cie->encoding == UNUSABLE || !read_address(&c, cie->encoding, at, &f.start) ||
	    !read_address(&c, cie->encoding & 0x0f, 0, &f.end))
		return 0;
	if (cie->has_augmentation)
		skip_augmentation(&c);
	if (c.failed || !f.start || !f.end || __builtin_add_overflow(f.start, f.end, &f.end))
		return 0; /* of code that the linker has dropped, say */
	f.program = c.p;
	f.n_program = (uint32_t)cursor_left(&c);
	if (r->functions.n >= CFI_ROWS_MAX)
		return -E2BIG;
	return vec_push(&r->functions, f) ? 0 : -ENOMEM;
}

static int read_functions(struct reading *r)
{
	const uint8_t *ident = (const uint8_t *)elf_getident(r->file->elf, NULL);
	Dwarf_Off at = 0, next = 0;
	Dwarf_CFI_Entry entry;
	int more, result = find_section(r);

	while (result == 0 && (more = dwarf_next_cfi(ident, r->section, true, at, &next, &entry)) <= 0) {
		if (next <= at)
			return -EBADMSG;
		at = next;
		if (more == 0 && !dwarf_cfi_cie_p(&entry))
			result = add_function(r, &entry.fde);
	}
	if (result == 0 && !r->functions.n)
		result = -ENODATA;
	if (result == 0)
		qsort(r->functions.items, r->functions.n, sizeof(*r->functions.items), compare_functions);
	return result;
}

/* ---- rows ---- */

static bool same_rule(const struct cfi_row *a, const struct cfi_row *b)
{
	return a->how == b->how && a->cfa == b->cfa && a->bp == b->bp && a->bp_how == b->bp_how;
}

static int add_row(uint64_t address, const struct cfi_row *from, void *data)
{
	struct reading *r = data;
	const struct cfi_row *last = r->rows.n ? &r->rows.items[r->rows.n - 1] : NULL;
	struct cfi_row row = *from;

	row.at = (uint32_t)(address + r->to_offset);
	if (last && last->at == row.at) {
		r->rows.n--; /* a gap of nothing */
		last = r->rows.n ? last - 1 : NULL;
	}
	if (last && same_rule(last, &row))
		return 0;
	if (r->rows.n >= CFI_ROWS_MAX)
		return -E2BIG;
	return vec_push(&r->rows, row) ? 0 : -ENOMEM;
}

static int compare_rows(const void *a, const void *b)
{
	const struct cfi_row *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static const struct segment *segment_of(const struct reading *r, const struct function *f)
{
	for (size_t i = 0; i < r->segments.n; i++)
		if (f->start >= r->segments.items[i].start && f->end <= r->segments.items[i].end)
			return &r->segments.items[i];
	return NULL;
}

static int read_rows(struct reading *r)
{
	uint64_t last_end = 0;
	int result = 0;

	for (size_t i = 0; i < r->functions.n && result == 0; i++) {
		const struct function *f = &r->functions.items[i];
		const struct segment *segment = segment_of(r, f);

		/* Functions do not overlap: one that does is somebody's joke. */
		if (!segment || f->start < last_end)
			continue;
		last_end = f->end;
		r->to_offset = segment->offset_bytes - segment->start;
		result = cfi_program_run(&r->cies.items[f->cie].program, f->program, f->n_program, f->start, f->end, add_row, r);
		if (result == 0)
			result = add_row(f->end, &(struct cfi_row){}, r);
	}
	/* Segments need not be in the file as they are in memory. */
	for (size_t i = 1; i < r->rows.n && result == 0; i++)
		if (r->rows.items[i].at < r->rows.items[i - 1].at) {
			qsort(r->rows.items, r->rows.n, sizeof(*r->rows.items), compare_rows);
			break;
		}
	return result == 0 && !r->rows.n ? -ENODATA : result;
}

int cfi_file_read(const struct elf_file *file, struct cfi_table *ret)
{
	struct reading r = {.file = file};
	GElf_Ehdr header;
	int result = -EOPNOTSUPP;

	if (gelf_getehdr(file->elf, &header) && header.e_machine == EM_X86_64)
		result = read_segments(&r);
	if (result == 0)
		result = read_functions(&r);
	if (result == 0)
		result = read_rows(&r);
	if (result == 0) {
		*ret = (struct cfi_table){r.rows.items, r.rows.n};
		r.rows.items = NULL;
		r.rows.n = 0;
	}
	reading_deinit(&r);
	return result;
}
