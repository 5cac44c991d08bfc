/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DWARF gives each compilation unit a table from addresses to lines. Which unit an address belongs to is said by the units themselves
 * (DW_AT_ranges); .debug_aranges would be quicker to read, but clang does not write it. So all units are walked once, and their
 * ranges sorted; after that a line costs two binary searches, the unit's and the one that libdw does in its table, which
 * it decodes when first asked and keeps.
 *
 * libdw unpacks what is compressed at once and without asking how much that is: a file of some kilobytes can claim gigabytes. So the
 * claims are added up before it gets the file.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <endian.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>

#include "sym/lines.h"
#include "sym/named_table.h"
#include "util/macro.h"
#include "util/vec.h"

#define MAX_RANGES (16u << 20)
#define MAX_SEGMENTS 256 /* as in elf_symbols.c */
#define MAX_UNPACKED_BYTES (UINT64_C(2) << 30)
#define LOOK_BACK  8 /* units overlap rarely, and then shortly */

struct range {
	uint64_t start, end;
	Dwarf_Die unit;
};

struct segment {
	uint64_t offset_bytes, end_bytes, address;
};

struct lines {
	struct elf_file file;
	Dwarf *dwarf;
	VEC(struct range) ranges;
	VEC(struct segment) segments;
};

struct lines *lines_free(struct lines *lines)
{
	if (!lines)
		return NULL;
	if (lines->dwarf)
		dwarf_end(lines->dwarf);
	elf_file_close(&lines->file);
	vec_free(&lines->ranges);
	vec_free(&lines->segments);
	free(lines);
	return NULL;
}

/* What @section will be, by its own account; 0 = it is not compressed. */
static uint64_t unpacked_bytes(Elf_Scn *section, const char *name)
{
	GElf_Chdr compressed;
	uint64_t size_bytes;
	Elf_Data *raw;

	if (gelf_getchdr(section, &compressed))
		return compressed.ch_size;
	/* The old way, in sections called .zdebug_*: "ZLIB" and the size. */
	raw = name && starts_with(name, ".zdebug") ? elf_rawdata(section, NULL) : NULL;
	if (!raw || raw->d_size < 4 + sizeof(size_bytes) || memcmp(raw->d_buf, "ZLIB", 4) != 0)
		return 0;
	memcpy(&size_bytes, (const char *)raw->d_buf + 4, sizeof(size_bytes));
	return be64toh(size_bytes);
}

static int check_unpacked(Elf *elf)
{
	uint64_t total_bytes = 0;
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return 0;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		if (__builtin_add_overflow(total_bytes, unpacked_bytes(section, elf_strptr(elf, names, header.sh_name)),
					   &total_bytes) ||
		    total_bytes > MAX_UNPACKED_BYTES)
			return -EFBIG;
	}
	return 0;
}

static int read_segments(struct lines *lines, Elf *elf)
{
	size_t n;

	if (elf_getphdrnum(elf, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;

		if (lines->segments.n == MAX_SEGMENTS)
			return -E2BIG;
		if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD &&
		    !vec_push(&lines->segments,
			      (struct segment){ p.p_offset, p.p_offset + p.p_filesz, p.p_vaddr }))
			return -ENOMEM;
	}
	return 0;
}

static int add_ranges(struct lines *lines, Dwarf_Die *unit)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(unit, at, &base, &start, &end)) > 0) {
		if (start >= end)
			continue;
		if (lines->ranges.n >= MAX_RANGES)
			return -E2BIG;
		if (!vec_push(&lines->ranges, (struct range){ start, end, *unit }))
			return -ENOMEM;
	}
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int read_units(struct lines *lines)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;
	uint8_t type;
	int r = 0;

	while (r == 0 && dwarf_get_units(lines->dwarf, cu, &cu, NULL, &type, &unit, NULL) == 0)
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			r = add_ranges(lines, &unit);
	if (r == 0 && lines->ranges.n == 0)
		r = -ENODATA;
	if (r == 0)
		qsort(lines->ranges.items, lines->ranges.n, sizeof(*lines->ranges.items), compare_ranges);
	return r;
}

int lines_new(struct elf_file *debug, const struct elf_file *runtime, struct lines **ret_lines)
{
	_cleanup_(lines_freep) struct lines *lines = calloc(1, sizeof(*lines));
	int r;

	if (!lines) {
		elf_file_close(debug);
		return -ENOMEM;
	}
	lines->file = *debug;
	*debug = ELF_FILE_NONE;
	r = check_unpacked(lines->file.elf);
	if (r < 0)
		return r;
	lines->dwarf = dwarf_begin_elf(lines->file.elf, DWARF_C_READ, NULL);
	if (!lines->dwarf)
		return -ENODATA;
	r = read_segments(lines, runtime->elf ? runtime->elf : lines->file.elf);
	if (r == 0)
		r = read_units(lines);
	if (r < 0)
		return r;
	*ret_lines = take_ptr(lines);
	return 0;
}

static bool link_address(const struct lines *lines, uint64_t offset, uint64_t *ret_address)
{
	for (size_t i = 0; i < lines->segments.n; i++) {
		const struct segment *s = &lines->segments.items[i];

		if (offset >= s->offset_bytes && offset < s->end_bytes) {
			*ret_address = offset - s->offset_bytes + s->address;
			return true;
		}
	}
	return false;
}

static struct range *find_range(const struct lines *lines, uint64_t address)
{
	size_t low = 0, high = lines->ranges.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lines->ranges.items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t back = 1; back <= LOOK_BACK && back <= low; back++)
		if (address < lines->ranges.items[low - back].end)
			return &lines->ranges.items[low - back];
	return NULL;
}

bool lines_find(struct lines *lines, struct intern *strings, uint64_t address, bool is_offset,
		const char **ret_file, uint32_t *ret_line)
{
	struct range *range;
	const char *name;
	Dwarf_Line *line;
	int number;

	if (is_offset && !link_address(lines, address, &address))
		return false;
	range = find_range(lines, address);
	line = range ? dwarf_getsrc_die(&range->unit, address) : NULL;
	name = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	/* Line 0: made by the compiler for no line in particular. */
	if (!name || dwarf_lineno(line, &number) != 0 || number <= 0)
		return false;
	*ret_file = sym_string(strings, name);
	*ret_line = (uint32_t)number;
	return true;
}
