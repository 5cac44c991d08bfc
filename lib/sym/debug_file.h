/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the symbols of a stripped file are: its separate debug file, by build-id or debug link, here or at a debuginfod. */
#ifndef SYM_DEBUG_FILE_H
#define SYM_DEBUG_FILE_H

#include "sym/elf_file.h"
#include "sym/named_table.h"

/* What a file must have to be worth finding. */
enum debug_file_need {
	DEBUG_FILE_SYMBOLS, /* .symtab */
	DEBUG_FILE_LINES,   /* .debug_info */
};

/*
 * Opens @path and looks for another file that has what is needed. @build_id: what the recording says; a file with
 * another one is refused. n 0 = whatever is there.
 * *ret_runtime: the file itself, not open if it is gone or another one. *ret_debug: its debug file, not open if there is none.
 * -ENOENT if neither is there, -ESTALE if only a file with another build-id is.
 */
int debug_file_find(const struct sym_env *env, const char *path, const struct build_id *build_id,
		    enum debug_file_need need, struct elf_file *ret_runtime, struct elf_file *ret_debug);

#endif
