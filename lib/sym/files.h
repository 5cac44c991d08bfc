/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that processes of the host have mapped, each with its symbols, loaded when first asked for. A file is a path and, where the
 * recording told it, a build-id: one path may have been two files during a recording (an upgrade).
 */
#ifndef SYM_FILES_H
#define SYM_FILES_H

#include "format/cfi.h"
#include "sym/elf_file.h"
#include "sym/named_table.h"

#define FILES_FAILED UINT32_MAX

struct files;

struct files *files_new(struct sym_env *env);

/* Files of a guest. They are not this machine's: see files_set_root(). */
struct files *files_new_guest(struct sym_env *env);
struct files *files_free(struct files *files);
DEFINE_CLEANUP(struct files *, files_free)

/* The number of a file; FILES_FAILED when out of memory. @build_id may be unknown (n 0). */
uint32_t files_add(struct files *files, const char *path, const struct build_id *build_id);

/*
 * Where the guest's files are on this machine: @dir is its root. Without one, and for what is not there, symbols are looked for by
 * build-id alone. Links inside never lead out of @dir. Errors: what opening gave.
 */
int files_set_root(struct files *files, const char *dir, struct vpmu_error *reterr);

/* Every file goes; numbers begin anew. The root stays. */
void files_forget(struct files *files);

/* The beginning of the file as it was in memory (format/elf_head.h), at least with its program headers; these are copied. */
void files_set_head(struct files *files, uint32_t file, const void *head, size_t n_bytes);
/* Those of files that were asked for. Stops when @fn returns non-zero, returns that. */
int files_each_head(const struct files *files,
		    int (*fn)(const char *path, const struct build_id *build_id, const void *head, size_t n, void *data),
		    void *data);

/*
 * The symbols that a process in a guest had of its file in memory; taken over; NULL = there are none. They are used where no others are found. files_needs_resident():
 * nobody has told yet.
 */
bool files_needs_resident(const struct files *files, uint32_t file);
void files_set_resident(struct files *files, uint32_t file, struct symtab *table);

/* There is a root. */
bool files_have_root(const struct files *files);

/*
 * How a guest's file is unwound: rows by offset, out of the file below the root, which is read when first asked for; NULL = it is not there, or
 * has none. Good until files_forget().
 */
const struct cfi_table *files_cfi(struct files *files, uint32_t file);

/* For a file that is nowhere but in memory ([vdso]): @bytes are all of it. files_needs_image(): there is a root, and nothing is known of it. */
bool files_needs_image(const struct files *files, uint32_t file);
void files_set_image(struct files *files, uint32_t file, void *bytes, size_t n_bytes);

/* What the recording says of @path as a whole: for its files without a build-id of their own. */
int files_set_build_id(struct files *files, const char *path, const struct build_id *build_id);

/* A table that came with the recording; taken over, also on failure. Addresses are file offsets. */
int files_set_table(struct files *files, const char *path, const struct build_id *build_id,
		    struct symtab *table);

/* Fills in all of *frame that depends on the file and the offset in it. frame->dso_offset is set. @lines: the source line too. */
void files_frame(struct files *files, uint32_t file, bool lines, struct vpmu_frame *frame);

/* Every file that was asked for; @table is NULL if it has no symbols; @resident: as files_set_resident()'s. Stops when @fn returns non-zero, returns that. */
int files_each(struct files *files,
	       int (*fn)(const char *path, const struct build_id *build_id, const struct symtab *table,
			 bool resident, void *data),
	       void *data);

#endif
