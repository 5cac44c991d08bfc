/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The symbols of a guest's kernel as tables. There are two: the kernel's own functions never change, and are the same for every guest
 * that runs the same kernel, as their addresses count from where it begins (KASLR moves all of it); modules and BPF programs come and go.
 *
 * The kernel's tables are shared by all users of this process. Equal tables are one: that what guests say is equal is found out by
 * comparing it, byte by byte. A build-id would not do, as a guest could claim that of another's kernel and then name the other's code.
 */
#ifndef SYM_GUEST_TABLES_H
#define SYM_GUEST_TABLES_H

#include <vpmu/introspect.h>
#include "guest/code_areas.h"
#include "guest/parser_wire.h"
#include "sym/symtab.h"

/* Both are read out of memory here, or asked for where the kernel is confined. Errors: as vpmu_kernel_each_symbol(); -EIO. */
int guest_tables_kernel(struct vpmu_kernel *kernel, struct symtab **ret_table, struct vpmu_error *reterr);
/* What is loaded now. Empty for a kernel without type information. */
int guest_tables_modules(struct vpmu_kernel *kernel, struct symtab **ret_table, struct vpmu_error *reterr);

/*
 * The functions that the file in @area exports, by their places in it, as far as they are in memory (guest/resident_symbols.h). During a
 * walk of code_areas_each() through @process. *ret_bytes: what it took, on any path. -ENODATA: none. @kernel may be confined, too.
 */
int guest_tables_exported(struct vpmu_kernel *kernel, const struct parser_process *process, const struct code_area *area,
			  struct symtab **ret_table, size_t *ret_bytes);

/* A table that others may have too. */
struct shared_table;

/* @table is taken over, and freed if there is an equal one. -ENOMEM; -ENOSPC: all tables together are too large. */
int shared_table_of(struct symtab *table, struct shared_table **ret_shared, struct vpmu_error *reterr);
struct shared_table *shared_table_ref(struct shared_table *shared);
struct shared_table *shared_table_unref(struct shared_table *shared);
DEFINE_CLEANUP(struct shared_table *, shared_table_unref)
const struct symtab *shared_table_get(const struct shared_table *shared);
/* Of all shared tables that there are now: how many, and their bytes. */
size_t shared_tables_count(size_t *ret_bytes);

/* A new table with all symbols of both, those of @kernel moved by @base. -ENOMEM. */
int guest_tables_join(const struct symtab *kernel, uint64_t base, const struct symtab *modules, struct symtab **ret_table);

#endif
