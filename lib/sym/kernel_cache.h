/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This boot's kernel symbols: out of /proc/kallsyms, which takes some 40 ms, or out of the cache on disk, which takes 2. */
#ifndef SYM_KERNEL_CACHE_H
#define SYM_KERNEL_CACHE_H

#include "sym/elf_file.h"
#include "sym/named_table.h"

/* The running kernel's build-id; n 0 = unknown. */
void kernel_cache_running(struct build_id *ret_build_id);

/* From the cache if it is about this boot, else live, and then the cache is filled. Errors: as kallsyms_table_read(). */
int kernel_cache_read(const struct sym_env *env, struct symtab **ret_table, bool *ret_from_cache,
		      struct vpmu_error *reterr);

int kernel_cache_read_live(const struct sym_env *env, struct symtab **ret_table, struct vpmu_error *reterr);

#endif
