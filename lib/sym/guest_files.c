/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "format/kallsyms.h"
#include "sym/elf_symbols.h"
#include "sym/guest_files.h"
#include "sym/kallsyms_table.h"
#include "sym/lines.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"
#include "util/macro.h"

#define MAX_MODULES_BYTES (16u << 20)
#define READ_AS_ROOT                                                                               \
	"read it as root inside the guest, with sysctl kernel.kptr_restrict at 0 or 1: sudo cat %s"

void guest_files_deinit(struct guest_files *f)
{
	named_table_deinit(&f->kallsyms);
	named_table_deinit(&f->vmlinux);
	lines_free(f->vmlinux_lines);
	vec_for_each(image, &f->images) {
		lines_free(image->lines);
		named_table_deinit(&image->table);
		free(image->path);
	}
	vec_free(&f->images);
	free(f->kallsyms_path);
	free(f->vmlinux_path);
	free(f->modules);
	*f = (struct guest_files){};
}

int guest_files_no_such_guest(uint32_t guest, struct vpmu_error *reterr)
{
	return error_set(reterr, -EINVAL, "there is no guest number %u", guest);
}

bool guest_files_any(const struct guest_files *f)
{
	return f->kallsyms.table || f->vmlinux.table || f->images.n;
}

static int open_kallsyms(struct guest_files *f, const char *path, struct vpmu_error *reterr)
{
	struct kallsyms_source source = {
		.path = path,
		.modules = f->modules,
		.modules_bytes = f->modules_bytes,
	};
	_free_ char *copy = strdup(path);
	struct symtab *table;
	int r = copy ? kallsyms_table_read(&source, &table, reterr) : error_oom(reterr);

	if (r == -EACCES && reterr && !reterr->hint[0])
		error_hint(reterr, READ_AS_ROOT, "/proc/kallsyms");
	if (r < 0)
		return r;
	named_table_set(&f->kallsyms, table);
	free(f->kallsyms_path);
	f->kallsyms_path = take_ptr(copy);
	return 0;
}

struct modules_seen {
	uint64_t lines, with_address;
};

static int see_module(const struct modules_line *line, void *data)
{
	struct modules_seen *seen = data;

	seen->lines++;
	seen->with_address += line->address != 0;
	return 0;
}

static int open_modules(struct guest_files *f, const char *path, struct vpmu_error *reterr)
{
	_free_ char *text = NULL;
	struct modules_seen seen = {};
	uint64_t bad = 0;
	size_t n;
	int r = io_read_file(AT_FDCWD, path, MAX_MODULES_BYTES, &text, &n);

	if (r < 0)
		return error_errno(reterr, r, "read", path);
	modules_parse(text, n, see_module, &seen, &bad);
	if (bad > seen.lines)
		return error_set(reterr, -EINVAL,
				 "'%s' is no /proc/modules: lines are not 'name size count users state address'",
				 path);
	if (seen.lines && !seen.with_address) {
		error_set(reterr, -EACCES, "all addresses in '%s' are zero", path);
		error_hint(reterr, READ_AS_ROOT, "/proc/modules");
		return -EACCES;
	}
	free(f->modules);
	f->modules = take_ptr(text);
	f->modules_bytes = n;
	/* Kallsyms may have come first. */
	return f->kallsyms_path ? open_kallsyms(f, f->kallsyms_path, reterr) : 0;
}

static int open_elf(const char *path, struct elf_file *ret_file, struct vpmu_error *reterr)
{
	int r = elf_file_open(path, ret_file);

	if (r == -ENOEXEC)
		return error_set(reterr, -EINVAL, "'%s' is not an ELF file", path);
	if (r == -EINVAL)
		return error_set(reterr, -EINVAL, "'%s' is not a regular file", path);
	return r < 0 ? error_errno(reterr, r, "open", path) : 0;
}

static int read_vmlinux(const char *path, int64_t offset, struct symtab **ret_table,
			struct build_id *ret_build_id, struct vpmu_error *reterr)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	int r = open_elf(path, &file, reterr);

	if (r < 0)
		return r;
	if (!elf_file_has_symbols(&file, SHT_SYMTAB)) {
		error_set(reterr, -EINVAL, "'%s' has no symbols: it is stripped", path);
		error_hint(reterr, "take the vmlinux of the kernel's debug package, or the guest's /proc/kallsyms");
		return -EINVAL;
	}
	r = elf_symbols(&file, &file, ELF_LINK_ADDRESSES, (uint64_t)offset, ret_table);
	if (r < 0)
		return error_errno(reterr, r, "read the symbols of", path);
	*ret_build_id = file.build_id;
	return 0;
}

static int open_vmlinux(struct guest_files *f, const char *path, int64_t kaslr_offset, struct vpmu_error *reterr)
{
	bool told = kaslr_offset != VPMU_KASLR_AUTO;
	int64_t offset = told ? kaslr_offset : 0;
	_free_ char *copy = strdup(path);
	struct build_id build_id;
	struct symtab *table;
	int r = copy ? read_vmlinux(path, offset, &table, &build_id, reterr) : error_oom(reterr);

	if (r < 0)
		return r;
	named_table_set(&f->vmlinux, table);
	f->vmlinux_lines = lines_free(f->vmlinux_lines);
	f->asked_lines = false;
	free(f->vmlinux_path);
	f->vmlinux_path = take_ptr(copy);
	f->vmlinux_build_id = build_id;
	f->kaslr_known = told;
	f->kaslr_offset = offset;
	return 0;
}

static int open_image(struct guest_files *f, const char *path, struct vpmu_error *reterr)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct symtab *table;
	int r = open_elf(path, &file, reterr);

	if (r < 0)
		return r;
	r = elf_symbols(&file, &file, ELF_LINK_ADDRESSES, 0, &table);
	if (r == -ENODATA)
		return error_set(reterr, -EINVAL, "'%s' has no symbols: it is stripped", path);
	if (r < 0)
		return error_errno(reterr, r, "read the symbols of", path);
	r = guest_files_add_image(f, path, &file.build_id, table);
	return r < 0 ? error_oom(reterr) : 0;
}

int guest_files_add_image(struct guest_files *f, const char *path, const struct build_id *build_id,
			  struct symtab *table)
{
	struct guest_image image = { .path = strdup(path), .build_id = *build_id };
	size_t n = symtab_count(table);
	struct symbol symbol;

	named_table_set(&image.table, table);
	for (size_t i = 0; i < n; i++) {
		symtab_get(table, i, &symbol);
		image.start = i ? image.start : symbol.start;
		image.end = MAX(image.end, symbol.end);
	}
	if (!image.path || !vec_push(&f->images, image)) {
		named_table_deinit(&image.table);
		free(image.path);
		return -ENOMEM;
	}
	image.dso = strrchr(image.path, '/');
	f->images.items[f->images.n - 1].dso = image.dso ? image.dso + 1 : image.path;
	return 0;
}

/* How much higher @name is in kallsyms than in the vmlinux. */
static bool lies_at(const struct guest_files *f, const char *name, int64_t *ret_offset)
{
	uint64_t there, linked;

	if (!symtab_reference(f->kallsyms.table, name, &there) || !symtab_reference(f->vmlinux.table, name, &linked))
		return false;
	*ret_offset = (int64_t)(there - linked);
	return true;
}

/*
 * Where the kernel really lies, by a symbol that both tables have; the vmlinux is read again at that place. Done when first needed, as
 * the files may be given in any order. false = nothing tells, or there is no vmlinux: a guess would give wrong names, and a kernel
 * moved by less than its own size would not even show it.
 */
static bool settle_kaslr(struct guest_files *f)
{
	struct build_id build_id;
	struct symtab *table;
	int64_t offset;

	if (f->kaslr_known || !f->vmlinux.table)
		return f->vmlinux.table;
	if (!f->kallsyms.table || (!lies_at(f, "_text", &offset) && !lies_at(f, "_stext", &offset))) {
		if (!f->warned)
			log_warn("ignoring '%s': where KASLR put the guest's kernel is not known; give its "
				 "/proc/kallsyms too, or the offset (0x0 after nokaslr)", f->vmlinux_path);
		f->warned = true;
		return false;
	}
	f->kaslr_known = true;
	if (offset == 0)
		return true;
	if (read_vmlinux(f->vmlinux_path, offset, &table, &build_id, NULL) < 0) {
		log_warn("'%s' changed while it was in use; ignoring it", f->vmlinux_path);
		table = NULL;
	}
	named_table_set(&f->vmlinux, table);
	f->kaslr_offset = offset;
	return table;
}

bool guest_files_kernel(struct guest_files *f)
{
	return f->kallsyms.table || settle_kaslr(f);
}

int guest_files_open(struct guest_files *f, enum vpmu_guest_symbols kind, const char *path, int64_t kaslr_offset,
		     struct vpmu_error *reterr)
{
	switch (kind) {
	case VPMU_GUEST_KALLSYMS:
		return open_kallsyms(f, path, reterr);
	case VPMU_GUEST_MODULES:
		return open_modules(f, path, reterr);
	case VPMU_GUEST_VMLINUX:
		return open_vmlinux(f, path, kaslr_offset, reterr);
	case VPMU_GUEST_IMAGE:
		return open_image(f, path, reterr);
	case VPMU_GUEST_ROOT:  /* files_set_root() */
	case VPMU_GUEST_TYPES: /* guest_live_types() */
		break;
	}
	return error_set(reterr, -EINVAL, "unknown kind %d of guest file", (int)kind);
}

static void set_build_id(struct vpmu_frame *frame, const struct build_id *id, struct intern *strings)
{
	char hex[2 * BUILD_ID_MAX_BYTES + 1];

	build_id_hex(id, hex);
	frame->build_id = sym_string(strings, hex);
}

static bool kernel_frame_of(struct guest_files *f, struct intern *strings, struct vpmu_frame *frame)
{
	bool vmlinux = settle_kaslr(f);
	struct symbol symbol;

	if (vmlinux)
		set_build_id(frame, &f->vmlinux_build_id, strings);
	if (!named_table_lookup(&f->kallsyms, strings, frame->address, &symbol) &&
	    !(vmlinux && named_table_lookup(&f->vmlinux, strings, frame->address, &symbol)))
		return false;
	frame->dso = sym_module_dso(strings, symbol.module);
	sym_frame_found(frame, &symbol, frame->address);
	return true;
}

bool guest_files_frame(struct guest_files *f, struct intern *strings, struct vpmu_frame *frame)
{
	struct symbol symbol;

	if (frame->side == VPMU_SIDE_GUEST_KERNEL && kernel_frame_of(f, strings, frame))
		return true;
	vec_for_each(image, &f->images) {
		if (frame->address < image->start || frame->address >= image->end)
			continue;
		frame->dso = sym_string(strings, image->dso);
		frame->status = VPMU_FRAME_NO_SYMBOL;
		set_build_id(frame, &image->build_id, strings);
		if (named_table_lookup(&image->table, strings, frame->address, &symbol)) {
			sym_frame_found(frame, &symbol, frame->address);
			return true;
		}
	}
	return false;
}

static struct lines *open_lines(const char *path)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct lines *lines = NULL;
	int r = elf_file_open(path, &file);

	if (r == 0)
		r = lines_new(&file, &ELF_FILE_NONE, &lines);
	if (r < 0)
		log_debug("no source lines for '%s': %s", path, strerror(-r));
	return lines;
}

void guest_files_line(struct guest_files *f, struct intern *strings, struct vpmu_frame *frame)
{
	if (frame->side == VPMU_SIDE_GUEST_KERNEL && settle_kaslr(f)) {
		if (!f->asked_lines)
			f->vmlinux_lines = open_lines(f->vmlinux_path);
		f->asked_lines = true;
		if (f->vmlinux_lines &&
		    lines_find(f->vmlinux_lines, strings, frame->address - (uint64_t)f->kaslr_offset, false,
			       &frame->src_file, &frame->src_line))
			return;
	}
	vec_for_each(image, &f->images) {
		if (frame->address < image->start || frame->address >= image->end)
			continue;
		if (!image->asked_lines)
			image->lines = open_lines(image->path);
		image->asked_lines = true;
		if (image->lines && lines_find(image->lines, strings, frame->address, false, &frame->src_file,
					       &frame->src_line))
			return;
	}
}

int guest_files_each(struct guest_files *f, uint32_t guest,
		     int (*fn)(uint32_t guest, const char *path, const struct build_id *build_id,
			       const struct symtab *table, void *data),
		     void *data)
{
	bool vmlinux = settle_kaslr(f);
	int r = 0;

	if (f->kallsyms.table)
		r = fn(guest, NULL, &f->vmlinux_build_id, f->kallsyms.table, data);
	else if (vmlinux)
		r = fn(guest, NULL, &f->vmlinux_build_id, f->vmlinux.table, data);
	vec_for_each(image, &f->images)
		if (r == 0)
			r = fn(guest, image->path, &image->build_id, image->table.table, data);
	return r;
}
