/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * This boot's kernel symbols: out of /proc/kallsyms, where the kernel alone needs some 35 ms to print them, or out of a cache on
 * disk in 2 ms.
 *
 * The cache holds what does not change while the same modules are loaded: its key is the boot, the kernel's build-id and the
 * contents of /proc/modules. BPF programs, kprobe and ftrace trampolines come and go at any time and are left out; recordings name them in
 * PERF_RECORD_KSYMBOL, and who meets an address that the cache does not know reads the live table.
 */
#ifndef SYM_KERNEL_CACHE_H
#define SYM_KERNEL_CACHE_H

#include "sym/elf_file.h"
#include "sym/named_table.h"

enum kernel_table_origin {
	KERNEL_TABLE_LIVE,     /* complete */
	KERNEL_TABLE_CACHED,   /* without what comes and goes */
	KERNEL_TABLE_TO_CACHE, /* the same, just read; worth kernel_cache_save() */
};

/* The running kernel's build-id; n 0 = unknown. */
void kernel_cache_running(struct build_id *ret_build_id);

#define KERNEL_BOOT_ID_ROOM 64

/* What the kernel calls this boot, "" if that cannot be read. */
void kernel_cache_boot(char ret_id[KERNEL_BOOT_ID_ROOM]);

/* Symbols are read from the running kernel, not from somebody's copy. */
bool kernel_cache_is_live(const struct sym_env *env);

/* By way of the cache, if there is one. Errors: as kallsyms_table_read(). */
int kernel_cache_read(const struct sym_env *env, struct symtab **ret_table,
		      enum kernel_table_origin *ret_origin, struct vpmu_error *reterr);

int kernel_cache_read_live(const struct sym_env *env, struct symtab **ret_table, struct vpmu_error *reterr);

int kernel_cache_save(const struct sym_env *env, const struct symtab *table);

#endif
