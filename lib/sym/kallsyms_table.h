/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A symbol table from the text of /proc/kallsyms, the host's or a guest's copy. */
#ifndef SYM_KALLSYMS_TABLE_H
#define SYM_KALLSYMS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmu/error.h>
#include "sym/symtab.h"

struct kallsyms_source {
	const char *path;
	int (*open)(int *ret_fd); /* instead of opening the path; NULL = that */
	const char *modules;	/* text of /proc/modules of the same moment, for where modules end; NULL = unknown */
	size_t modules_bytes;
	bool without_dynamic;	/* leave out BPF programs and trampolines */
	const void *meta;	/* stored with the table; NULL = nothing */
	size_t meta_bytes;
};

/* Errors: what opening gave; -EACCES (all addresses are zero), -EINVAL (not such a file), -ENOMEM. */
int kallsyms_table_read(const struct kallsyms_source *source, struct symtab **ret_table,
			struct vpmu_error *reterr);

/* Whether a symbol of that type, whose name begins with @first, is one that addresses are named after. */
bool kallsyms_counts(char type, char first);

#endif
