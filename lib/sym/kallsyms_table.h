/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbol table from the text of /proc/kallsyms, the host's or a guest's copy. */
#ifndef SYM_KALLSYMS_TABLE_H
#define SYM_KALLSYMS_TABLE_H

#include <stddef.h>
#include <vpmu/error.h>
#include "sym/symtab.h"

/*
 * @modules: text of /proc/modules of the same moment, for where modules end; NULL = unknown.
 * @meta: stored with the table, NULL = nothing.
 * Errors: what opening gave; -EACCES (all addresses are zero), -EINVAL (not such a file), -ENOMEM.
 */
int kallsyms_table_read(const char *path, const char *modules, size_t modules_bytes, const void *meta,
			size_t meta_bytes, struct symtab **ret_table, struct vpmu_error *reterr);

#endif
