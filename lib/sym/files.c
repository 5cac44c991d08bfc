/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format/elf_head.h"
#include "sym/cfi_file.h"
#include "sym/debug_file.h"
#include "sym/elf_symbols.h"
#include "sym/files.h"
#include "sym/lines.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/vec.h"

/* Of rows, of all files of a guest: five browsers', or a hundred C libraries'. */
#define CFI_ROWS_OF_GUEST (8u << 20)

struct file {
	const char *path;	  /* interned */
	struct build_id build_id; /* of the recording; after loading: of the file, if the recording had none */
	const char *hex;	  /* its build-id, interned */
	struct named_table table;
	uint32_t plain; /* the file of this path without a build-id; may be this one */
	struct lines *lines;
	void *head; /* of a guest's file: its program headers, an ELF file of its own (elf_head_detach()) */
	size_t head_bytes;
	struct cfi_table cfi; /* of a guest's file */
	bool asked, asked_lines, asked_cfi; /* loading was tried */
	struct symtab *resident; /* of a guest's file: what was in memory; NULL = not known, or it is the table */
	bool is_resident;	 /* the table is that */
	bool knows_resident;
};

struct files {
	struct sym_env *env;
	struct intern *keys; /* path, NUL, build-id; a key's number is the file's */
	VEC(struct file) files;
	bool of_guest;
	int root_fd; /* of a guest: where its files are; -1 = not here */
	size_t n_cfi_rows;
};

struct files *files_new_guest(struct sym_env *env)
{
	struct files *f = files_new(env);

	if (f)
		f->of_guest = true;
	return f;
}

struct files *files_new(struct sym_env *env)
{
	_cleanup_(files_freep) struct files *f = calloc(1, sizeof(*f));

	if (!f || !vec_push(&f->files, (struct file){})) /* number 0 is the pool's empty string */
		return NULL;
	f->env = env;
	f->root_fd = -1;
	f->keys = intern_new();
	return f->keys ? take_ptr(f) : NULL;
}

static void free_all(struct files *f)
{
	vec_for_each(file, &f->files) {
		named_table_deinit(&file->table);
		lines_free(file->lines);
		cfi_table_deinit(&file->cfi);
		free(file->head);
		symtab_free(file->resident);
	}
}

void files_forget(struct files *f)
{
	struct intern *keys = intern_new();

	if (!keys)
		return; /* they stay, and are found again */
	free_all(f);
	f->files.n = 1;
	f->n_cfi_rows = 0;
	intern_free(f->keys);
	f->keys = keys;
}

struct files *files_free(struct files *f)
{
	if (!f)
		return NULL;
	free_all(f);
	vec_free(&f->files);
	closep(&f->root_fd);
	intern_free(f->keys);
	free(f);
	return NULL;
}

uint32_t files_add(struct files *f, const char *path, const struct build_id *build_id)
{
	size_t path_bytes = strlen(path) + 1;
	_free_ char *key = malloc(path_bytes + build_id->n);
	uint32_t id, plain = 0;

	if (build_id->n)
		plain = files_add(f, path, &(struct build_id){});
	if (!key || plain == FILES_FAILED)
		return FILES_FAILED;
	memcpy(key, path, path_bytes);
	memcpy(key + path_bytes, build_id->bytes, build_id->n);
	id = intern_add_bytes(f->keys, key, path_bytes + build_id->n);
	if (id == INTERN_FAILED)
		return FILES_FAILED;
	if (id == f->files.n && !vec_push(&f->files, (struct file){
						.path = sym_string(f->env->strings, path),
						.build_id = *build_id,
						.hex = "",
						.plain = plain ? plain : id,
					}))
		return FILES_FAILED;
	return id;
}

int files_set_build_id(struct files *f, const char *path, const struct build_id *build_id)
{
	uint32_t id = files_add(f, path, &(struct build_id){});

	if (id == FILES_FAILED)
		return -ENOMEM;
	if (!f->files.items[id].asked)
		f->files.items[id].build_id = *build_id;
	return 0;
}

int files_set_root(struct files *f, const char *dir, struct vpmu_error *reterr)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(reterr, -errno, "open the directory", dir);
	closep(&f->root_fd);
	f->root_fd = fd;
	return 0;
}

void files_set_head(struct files *f, uint32_t id, const void *bytes, size_t n)
{
	struct file *file = &f->files.items[id];
	struct elf_head head;

	if (file->head || elf_head_parse(bytes, n, &head) < 0)
		return;
	file->head_bytes = elf_head_bytes(&head);
	file->head = malloc(file->head_bytes);
	if (!file->head)
		return;
	memcpy(file->head, bytes, file->head_bytes);
	elf_head_detach(file->head, &head);
}

bool files_needs_resident(const struct files *f, uint32_t id)
{
	const struct file *file = &f->files.items[id];

	return !file->knows_resident && !file->table.table;
}

void files_set_resident(struct files *f, uint32_t id, struct symtab *table)
{
	struct file *file = &f->files.items[id];

	symtab_free(file->resident);
	file->resident = table;
	file->knows_resident = true;
	if (table && !file->table.table)
		file->asked = false; /* it was looked for in vain */
}

static void set_hex(struct files *f, struct file *file)
{
	char hex[2 * BUILD_ID_MAX_BYTES + 1];

	build_id_hex(&file->build_id, hex);
	file->hex = sym_string(f->env->strings, hex);
}

int files_set_table(struct files *f, const char *path, const struct build_id *build_id, struct symtab *table)
{
	uint32_t exact = files_add(f, path, build_id);
	struct file *file;

	if (exact == FILES_FAILED) {
		symtab_free(table);
		return -ENOMEM;
	}
	/* Mappings that carry no build-id mean this file, unless the recording says otherwise. */
	file = &f->files.items[f->files.items[exact].plain];
	if (file->build_id.n && !build_id_equal(&file->build_id, build_id))
		file = &f->files.items[exact];
	named_table_set(&file->table, table);
	file->build_id = *build_id;
	file->asked = true;
	set_hex(f, file);
	return 0;
}

/* "[heap]", "//anon", "/memfd:x (deleted)": mapped, but not from a file that could be read. */
static bool is_readable_path(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path);

	if (path[0] != '/' || path[1] == '/')
		return false;
	return n < sizeof(deleted) || !streq(path + n - (sizeof(deleted) - 1), deleted);
}

/* Every process has the kernel's vDSO, and so do we. */
static int find_vdso(const struct files *f, const struct file *file, struct elf_file *ret_file)
{
	_elf_file_ struct elf_file vdso = ELF_FILE_NONE;
	int r = elf_file_vdso(&vdso);

	if (r < 0)
		return r;
	if (file->build_id.n ? !build_id_equal(&file->build_id, &vdso.build_id) : f->env->other_kernel)
		return -ESTALE;
	*ret_file = vdso;
	vdso = ELF_FILE_NONE;
	return 0;
}

/* Symbolic links of the guest's mean the guest's root, and cannot mean what is outside (openat2(2)). */
static int open_below_root(const struct files *f, const char *path, struct elf_file *ret_file)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_close_ int fd = f->root_fd < 0 ? -1 : (int)syscall(SYS_openat2, f->root_fd, path, &how, sizeof(how));
	char again[64];

	if (fd < 0)
		return f->root_fd < 0 ? -ENOENT : -errno;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	return elf_file_open(again, ret_file);
}

/* The file itself, if it is there and nothing tells that it is another. */
static int open_guests(const struct files *f, const struct file *file, struct elf_file *ret_file)
{
	_elf_file_ struct elf_file below = ELF_FILE_NONE;
	int r = is_readable_path(file->path) ? open_below_root(f, file->path, &below) : -ENOENT;

	if (r < 0)
		return r;
	if (file->build_id.n && !build_id_equal(&file->build_id, &below.build_id))
		return -ESTALE;
	*ret_file = below;
	below = ELF_FILE_NONE;
	return 0;
}

static bool has_needed(const struct elf_file *file, enum debug_file_need need)
{
	return need == DEBUG_FILE_LINES ? elf_file_section(file, ".debug_info") != NULL :
					  elf_file_has_symbols(file, SHT_SYMTAB);
}

/*
 * A guest's file: below its root if there is one and it is the same file; its debug file by build-id, as for any other. What
 * the process had of it in memory tells its segments, if nothing else does: debug files may not (objcopy --only-keep-debug).
 */
static int find_guests(const struct files *f, const struct file *file, enum debug_file_need need,
		       struct elf_file *ret_runtime, struct elf_file *ret_debug)
{
	_elf_file_ struct elf_file below = ELF_FILE_NONE, other = ELF_FILE_NONE, debug = ELF_FILE_NONE;
	struct build_id build_id = file->build_id;

	if (open_guests(f, file, &below) == 0)
		build_id = below.build_id;
	if (build_id.n && !(below.elf && has_needed(&below, need)))
		(void)debug_file_find(f->env, "", &build_id, need, &other, &debug);
	if (!debug.elf && !below.elf && !other.elf)
		return -ENOENT;
	if (!below.elf && other.elf) {
		below = other; /* the file itself, out of a cache */
		other = ELF_FILE_NONE;
	}
	if (!below.elf && file->head)
		below.elf = elf_memory(file->head, file->head_bytes);
	*ret_runtime = below;
	*ret_debug = debug;
	below = debug = ELF_FILE_NONE;
	return 0;
}

static void load(struct files *f, struct file *file)
{
	_elf_file_ struct elf_file runtime = ELF_FILE_NONE, symbols = ELF_FILE_NONE;
	struct symtab *table;
	int r = -ENOENT;

	file->asked = true;
	if (f->env->hurry)
		r = -ECANCELED;
	else if (f->of_guest)
		r = find_guests(f, file, DEBUG_FILE_SYMBOLS, &runtime, &symbols);
	else if (streq(file->path, "[vdso]"))
		r = find_vdso(f, file, &runtime);
	else if (is_readable_path(file->path))
		r = debug_file_find(f->env, file->path, &file->build_id, DEBUG_FILE_SYMBOLS, &runtime,
				    &symbols);
	if (r == 0)
		r = elf_symbols(symbols.elf ? &symbols : &runtime, runtime.elf ? &runtime : &symbols,
				ELF_FILE_OFFSETS, 0, &table);
	if (r < 0 && file->resident) {
		log_debug("'%s': the symbols that the guest had in memory", file->path);
		table = take_ptr(file->resident);
		file->is_resident = true;
		r = 0;
	}
	if (r == 0)
		named_table_set(&file->table, table);
	else
		log_debug("no symbols for '%s': %s", file->path, strerror(-r));
	if (!file->build_id.n)
		file->build_id = runtime.build_id;
	set_hex(f, file);
}

static void load_lines(struct files *f, struct file *file)
{
	_elf_file_ struct elf_file runtime = ELF_FILE_NONE, debug = ELF_FILE_NONE;
	int r = -ENOENT;

	file->asked_lines = true;
	if (f->env->hurry)
		r = -ECANCELED;
	else if (f->of_guest)
		r = find_guests(f, file, DEBUG_FILE_LINES, &runtime, &debug);
	else if (is_readable_path(file->path))
		r = debug_file_find(f->env, file->path, &file->build_id, DEBUG_FILE_LINES, &runtime, &debug);
	if (r == 0)
		r = lines_new(debug.elf ? &debug : &runtime, &runtime, &file->lines);
	if (r < 0)
		log_debug("no source lines for '%s': %s", file->path, strerror(-r));
}

bool files_have_root(const struct files *f)
{
	return f->root_fd >= 0;
}

static void take_cfi(struct files *f, struct file *file, const struct elf_file *elf)
{
	struct cfi_table table;
	int r = cfi_file_read(elf, &table);

	if (r == 0 && f->n_cfi_rows + table.n > CFI_ROWS_OF_GUEST) {
		cfi_table_deinit(&table);
		r = -E2BIG;
	}
	if (r < 0) {
		log_debug("'%s' cannot be unwound by tables: %s", file->path, strerror(-r));
		return;
	}
	log_debug("'%s' is unwound by its tables (.eh_frame): %zu rows", file->path, table.n);
	f->n_cfi_rows += table.n;
	file->cfi = table;
}

static void load_cfi(struct files *f, struct file *file)
{
	_elf_file_ struct elf_file elf = ELF_FILE_NONE;
	int r = open_guests(f, file, &elf);

	file->asked_cfi = true;
	if (r == 0)
		take_cfi(f, file, &elf);
	else
		log_debug("'%s' cannot be unwound by tables: %s", file->path, strerror(-r));
}

bool files_needs_image(const struct files *f, uint32_t id)
{
	return files_have_root(f) && !f->files.items[id].cfi.n;
}

void files_set_image(struct files *f, uint32_t id, void *bytes, size_t n)
{
	_elf_file_ struct elf_file elf = ELF_FILE_NONE;
	struct file *file = &f->files.items[id];

	elf.elf = elf_memory(bytes, n);
	if (!elf.elf || file->cfi.n)
		return;
	file->asked_cfi = true;
	take_cfi(f, file, &elf);
}

const struct cfi_table *files_cfi(struct files *f, uint32_t id)
{
	struct file *file = &f->files.items[id];

	if (!files_have_root(f))
		return NULL;
	if (!file->asked_cfi)
		load_cfi(f, file);
	return file->cfi.n ? &file->cfi : NULL;
}

void files_frame(struct files *f, uint32_t id, bool lines, struct vpmu_frame *frame)
{
	struct file *file = &f->files.items[id];
	struct file *plain = &f->files.items[file->plain];
	struct symbol symbol;

	/* The same file, once known by its path alone and once with its build-id, is loaded once. */
	if (!file->asked && plain->table.table && build_id_equal(&plain->build_id, &file->build_id))
		file = plain;
	if (!file->asked)
		load(f, file);
	frame->dso = file->path;
	frame->build_id = file->hex;
	frame->status = file->table.table ? VPMU_FRAME_NO_SYMBOL : VPMU_FRAME_NO_SYMBOLS;
	if (named_table_lookup(&file->table, f->env->strings, frame->dso_offset, &symbol))
		sym_frame_found(frame, &symbol, frame->dso_offset);
	if (lines && !file->asked_lines)
		load_lines(f, file);
	if (lines && file->lines)
		lines_find(file->lines, f->env->strings, frame->dso_offset, true, &frame->src_file,
			   &frame->src_line);
}

int files_each(struct files *f,
	       int (*fn)(const char *path, const struct build_id *build_id, const struct symtab *table,
			 bool resident, void *data),
	       void *data)
{
	int r = 0;

	vec_for_each(file, &f->files)
		if (file->path && file->asked && r == 0)
			r = fn(file->path, &file->build_id, file->table.table, file->is_resident, data);
	return r;
}

int files_each_head(const struct files *f,
		    int (*fn)(const char *path, const struct build_id *build_id, const void *head, size_t n, void *data),
		    void *data)
{
	int r = 0;

	vec_for_each(file, &f->files)
		if (file->path && file->asked && file->head && r == 0)
			r = fn(file->path, &file->build_id, file->head, file->head_bytes, data);
	return r;
}
