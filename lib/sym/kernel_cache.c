/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "sym/kallsyms_table.h"
#include "sym/kernel_cache.h"
#include "util/io.h"
#include "util/macro.h"

#define MAX_NOTES_BYTES	  (1u << 20)
#define MAX_MODULES_BYTES (16u << 20)

void kernel_cache_running(struct build_id *ret_build_id)
{
	_free_ char *notes = NULL;
	size_t n;

	ret_build_id->n = 0;
	if (io_read_file(AT_FDCWD, "/sys/kernel/notes", MAX_NOTES_BYTES, &notes, &n) == 0)
		build_id_from_notes(ret_build_id, notes, n);
}

int kernel_cache_read_live(const struct sym_env *env, struct symtab **ret_table, struct vpmu_error *reterr)
{
	_free_ char *modules = NULL;
	size_t n = 0;

	/* Where modules end is known for the real thing only, not for somebody's copy. */
	if (streq(env->kallsyms_path, "/proc/kallsyms"))
		(void)io_read_file(AT_FDCWD, "/proc/modules", MAX_MODULES_BYTES, &modules, &n);
	return kallsyms_table_read(env->kallsyms_path, modules, n, NULL, 0, ret_table, reterr);
}

int kernel_cache_read(const struct sym_env *env, struct symtab **ret_table, bool *ret_from_cache,
		      struct vpmu_error *reterr)
{
	*ret_from_cache = false;
	return kernel_cache_read_live(env, ret_table, reterr);
}
