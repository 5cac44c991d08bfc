/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the symbols of a stripped file are: its separate debug file, by build-id or debug link, here or at a debuginfod. */
#ifndef SYM_DEBUG_FILE_H
#define SYM_DEBUG_FILE_H

#include "sym/elf_file.h"
#include "sym/named_table.h"

/*
 * Opens @path and, if that has no .symtab, looks for a file that has. @build_id: what the recording says; a file with
 * another one is refused. n 0 = whatever is there.
 * *ret_runtime: the file itself, not open if it is gone or another one. *ret_symbols: its debug file, not open if there is none.
 * -ENOENT if neither is there, -ESTALE if only files with another build-id are.
 */
int debug_file_find(const struct sym_env *env, const char *path, const struct build_id *build_id,
		    struct elf_file *ret_runtime, struct elf_file *ret_symbols);

#endif
