/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "sym/debug_file.h"

int debug_file_find(const struct sym_env *env, const char *path, const struct build_id *build_id,
		    struct elf_file *ret_runtime, struct elf_file *ret_symbols)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	int r = elf_file_open(path, &file);

	(void)env;
	if (r < 0)
		return r;
	if (build_id->n && !build_id_equal(build_id, &file.build_id))
		return -ESTALE;
	*ret_runtime = file;
	file = ELF_FILE_NONE;
	*ret_symbols = ELF_FILE_NONE;
	return 0;
}
