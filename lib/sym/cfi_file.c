/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sym/cfi_file.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/macro.h"
#include "util/vec.h"

/* DWARF's numbers of registers (System V ABI, x86-64, figure 3.36). */
#define REG_BP 6
#define REG_SP 7
#define REG_IP 16

/* Where the kernel puts a signal handler's caller: format/cfi.c. */
#define SIGNAL_SP 160
#define SIGNAL_IP 168

#define MAX_SEGMENTS 256 /* as in elf_symbols.c */
#define MAX_NS	     3000000000u /* a browser takes one */

struct function {
	uint64_t start, end;
};

struct segment {
	uint64_t start, end, offset_bytes;
};

struct reading {
	const struct elf_file *file;
	Dwarf_CFI *cfi;
	VEC(struct segment) segments;
	VEC(struct function) functions;
	VEC(struct cfi_row) rows;
	uint64_t until_ns;
};

static void reading_deinit(struct reading *r)
{
	if (r->cfi)
		dwarf_cfi_end(r->cfi);
	vec_free(&r->segments);
	vec_free(&r->functions);
	vec_free(&r->rows);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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
		if (p.p_offset + p.p_filesz > UINT32_MAX || p.p_vaddr + p.p_filesz < p.p_vaddr)
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

/* How the entries of a CIE have addresses; 0xff: in a way that is not known. Those of 'P', a function's, are as long as they are. */
static uint8_t encoding_of(const Dwarf_CIE *cie)
{
	struct cursor c = cursor_of(cie->augmentation_data, cie->augmentation_data_size);
	const char *p = cie->augmentation;
	uint64_t ignored;
	uint8_t encoding;

	if (*p++ != 'z')
		return *cie->augmentation ? 0xff : DW_EH_PE_absptr;
	for (; *p; p++) {
		if (*p == 'S')
			continue;
		encoding = cursor_u8(&c);
		if (*p == 'R')
			return c.failed ? 0xff : encoding;
		if (*p == 'P' && !read_address(&c, encoding & 0x0f, 0, &ignored))
			return 0xff;
		if (*p != 'L' && *p != 'P')
			return 0xff;
	}
	return DW_EH_PE_absptr;
}

static int compare_functions(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

struct section {
	Elf_Data *data;
	uint64_t address;
};

static int find_section(const struct elf_file *file, struct section *ret)
{
	Elf_Scn *scn = elf_file_section(file, ".eh_frame");
	GElf_Shdr header;

	if (!scn || !gelf_getshdr(scn, &header) || header.sh_type == SHT_NOBITS)
		return -ENODATA;
	ret->address = header.sh_addr;
	ret->data = elf_rawdata(scn, NULL);
	return ret->data && ret->data->d_buf && ret->data->d_size ? 0 : -ENODATA;
}

static int add_function(struct reading *r, const struct section *section, const Dwarf_FDE *fde, uint8_t encoding)
{
	struct cursor c = cursor_of(fde->start, (size_t)(fde->end - fde->start));
	uint64_t at = section->address + (uint64_t)(fde->start - (const uint8_t *)section->data->d_buf);
	struct function f;

	if (encoding == 0xff || !read_address(&c, encoding, at, &f.start) || !read_address(&c, encoding & 0x0f, 0, &f.end))
		return 0;
	if (r->functions.n >= CFI_ROWS_MAX)
		return -E2BIG;
	if (!f.start || !f.end || __builtin_add_overflow(f.start, f.end, &f.end))
		return 0; /* of code that the linker has dropped */
	return vec_push(&r->functions, f) ? 0 : -ENOMEM;
}

/* Entries follow their CIE, or point back to it. */
static int read_functions(struct reading *r)
{
	const uint8_t *ident = (const uint8_t *)elf_getident(r->file->elf, NULL);
	Dwarf_Off at = 0, next = 0, last_cie = (Dwarf_Off)-1;
	struct section section;
	uint8_t encoding = 0xff;
	Dwarf_CFI_Entry entry;
	int more, result = find_section(r->file, &section);

	while (result == 0 && (more = dwarf_next_cfi(ident, section.data, true, at, &next, &entry)) <= 0) {
		if (next <= at)
			return -EBADMSG;
		at = next;
		if (more < 0 || dwarf_cfi_cie_p(&entry))
			continue;
		if (entry.fde.CIE_pointer != last_cie) {
			Dwarf_CFI_Entry cie;
			Dwarf_Off behind;

			last_cie = entry.fde.CIE_pointer;
			encoding = 0xff;
			if (dwarf_next_cfi(ident, section.data, true, last_cie, &behind, &cie) == 0 && dwarf_cfi_cie_p(&cie))
				encoding = encoding_of(&cie.cie);
		}
		result = add_function(r, &section, &entry.fde, encoding);
	}
	if (result == 0 && !r->functions.n)
		result = -ENODATA;
	if (result == 0)
		qsort(r->functions.items, r->functions.n, sizeof(*r->functions.items), compare_functions);
	return result;
}

/* ---- rows ---- */

/* The register plus number that @op stands for: false if it is something else. */
static bool is_breg(const Dwarf_Op *op, unsigned int *ret_reg, int64_t *ret_number)
{
	if (op->atom == DW_OP_bregx) {
		*ret_reg = (unsigned int)op->number;
		*ret_number = (int64_t)op->number2;
		return true;
	}
	if (op->atom < DW_OP_breg0 || op->atom > DW_OP_breg31)
		return false;
	*ret_reg = op->atom - DW_OP_breg0;
	*ret_number = (int64_t)op->number;
	return true;
}

/* rsp + 8 + (((rip & 15) >= N) << 3): what linkers write for the pieces that call into other files. */
static bool is_plt(const Dwarf_Op *ops, size_t n, struct cfi_row *row)
{
	static const uint8_t rest[] = {DW_OP_lit15, DW_OP_and, 0, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	unsigned int sp, ip;
	int64_t sp_number, ip_number;

	if (n != 9 || !is_breg(&ops[0], &sp, &sp_number) || !is_breg(&ops[1], &ip, &ip_number) || sp != REG_SP || ip != REG_IP ||
	    sp_number != 8 || ip_number)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		if (rest[i] && ops[2 + i].atom != rest[i])
			return false;
	if (ops[4].atom < DW_OP_lit0 || ops[4].atom > DW_OP_lit15)
		return false;
	row->how = CFI_PLT;
	row->cfa = ops[4].atom - DW_OP_lit0;
	return true;
}

static void describe_cfa(Dwarf_Frame *frame, struct cfi_row *row)
{
	unsigned int reg;
	int64_t number;
	Dwarf_Op *ops;
	size_t n;
	bool word;

	if (dwarf_frame_cfa(frame, &ops, &n) != 0 || !n || is_plt(ops, n, row))
		return;
	word = n == 2 && ops[1].atom == DW_OP_deref;
	if ((n != 1 && !word) || !is_breg(&ops[0], &reg, &number) || (reg != REG_SP && reg != REG_BP) ||
	    number < INT32_MIN || number > INT32_MAX)
		return;
	row->cfa = (int32_t)number;
	if (reg == REG_SP)
		row->how = word ? CFI_SP_WORD : CFI_SP;
	else
		row->how = word ? CFI_BP_WORD : CFI_BP;
}

static void describe_bp(Dwarf_Frame *frame, struct cfi_row *row)
{
	Dwarf_Op room[3], *ops;
	unsigned int reg;
	int64_t number;
	size_t n;

	row->bp_how = CFI_BP_LOST;
	if (dwarf_frame_register(frame, REG_BP, room, &ops, &n) != 0)
		return;
	if (n == 0) {
		row->bp_how = ops ? CFI_BP_LOST : CFI_BP_SAME;
		return;
	}
	if (n != 2 || ops[0].atom != DW_OP_call_frame_cfa)
		return;
	if (is_breg(&ops[1], &reg, &number) && reg == REG_BP)
		row->bp_how = CFI_BP_HERE;
	else if (ops[1].atom == DW_OP_plus_uconst)
		row->bp_how = CFI_BP_SAVED;
	else
		return;
	if (row->bp_how == CFI_BP_SAVED)
		number = (int64_t)ops[1].number;
	if (number < INT16_MIN || number > INT16_MAX)
		row->bp_how = CFI_BP_LOST;
	else
		row->bp = (int16_t)number;
}

/* What the return address makes of the row. */
static void describe_return(Dwarf_Frame *frame, bool signal, struct cfi_row *row)
{
	Dwarf_Op room[3], *ops;
	unsigned int reg;
	int64_t number;
	size_t n;

	if (dwarf_frame_register(frame, REG_IP, room, &ops, &n) != 0) {
		row->how = CFI_UNKNOWN;
		return;
	}
	if (n == 0 && ops) {
		row->how = CFI_OUTERMOST;
		return;
	}
	if (n == 2 && ops[0].atom == DW_OP_call_frame_cfa && ops[1].atom == DW_OP_plus_uconst && (int64_t)ops[1].number == -8 &&
	    !signal)
		return;
	if (signal && row->how == CFI_SP_WORD && row->cfa == SIGNAL_SP && n == 2 && is_breg(&ops[1], &reg, &number) &&
	    reg == REG_SP && number == SIGNAL_IP)
		row->how = CFI_SIGNAL;
	else
		row->how = CFI_UNKNOWN;
}

static bool same_rule(const struct cfi_row *a, const struct cfi_row *b)
{
	return a->how == b->how && a->cfa == b->cfa && a->bp == b->bp && a->bp_how == b->bp_how;
}

static int add_row(struct reading *r, uint64_t at, struct cfi_row row)
{
	const struct cfi_row *last = r->rows.n ? &r->rows.items[r->rows.n - 1] : NULL;

	if (row.how == CFI_UNKNOWN || row.how == CFI_OUTERMOST || row.how == CFI_SIGNAL)
		row = (struct cfi_row){.how = row.how};
	row.at = (uint32_t)at;
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

/* One row at @address, up to *ret_end. */
static void describe(const struct reading *r, uint64_t address, uint64_t *ret_end, struct cfi_row *row)
{
	_free_ Dwarf_Frame *frame = NULL;
	Dwarf_Addr start, end;
	bool signal = false;

	if (dwarf_cfi_addrframe(r->cfi, address, &frame) != 0)
		return;
	if (dwarf_frame_info(frame, &start, &end, &signal) != REG_IP || end <= address)
		return;
	*ret_end = MIN(end, *ret_end);
	describe_cfa(frame, row);
	describe_bp(frame, row);
	describe_return(frame, signal, row);
}

/* @to_offset: of addresses. */
static int add_rows(struct reading *r, const struct function *f, uint64_t to_offset)
{
	uint64_t at = f->start;

	while (at < f->end) {
		struct cfi_row row = {};
		uint64_t end = f->end;
		int result;

		if (now_ns() > r->until_ns)
			return -E2BIG;
		describe(r, at, &end, &row);
		result = add_row(r, at + to_offset, row);
		if (result < 0)
			return result;
		at = end;
	}
	return add_row(r, at + to_offset, (struct cfi_row){});
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

	r->until_ns = now_ns() + MAX_NS;
	for (size_t i = 0; i < r->functions.n && result == 0; i++) {
		const struct function *f = &r->functions.items[i];
		const struct segment *segment = segment_of(r, f);

		/* Functions do not overlap: one that does is somebody's joke. */
		if (!segment || f->start < last_end)
			continue;
		last_end = f->end;
		result = add_rows(r, f, segment->offset_bytes - segment->start);
	}
	/* Segments need not be in the file as they are in memory. */
	for (size_t i = 1; i < r->rows.n; i++)
		if (result == 0 && r->rows.items[i].at < r->rows.items[i - 1].at) {
			qsort(r->rows.items, r->rows.n, sizeof(*r->rows.items), compare_rows);
			break;
		}
	return result == 0 && !r->rows.n ? -ENODATA : result;
}

static int read_all(struct reading *r)
{
	GElf_Ehdr header;
	int result;

	if (!gelf_getehdr(r->file->elf, &header) || header.e_machine != EM_X86_64)
		return -EOPNOTSUPP;
	result = read_segments(r);
	if (result == 0)
		result = read_functions(r);
	if (result < 0)
		return result;
	r->cfi = dwarf_getcfi_elf(r->file->elf);
	return r->cfi ? read_rows(r) : -ENODATA;
}

int cfi_file_read(const struct elf_file *file, struct cfi_table *ret)
{
	struct reading r = {.file = file};
	int result = read_all(&r);

	if (result == 0) {
		*ret = (struct cfi_table){r.rows.items, r.rows.n};
		r.rows.items = NULL;
		r.rows.n = 0;
	}
	reading_deinit(&r);
	return result;
}
