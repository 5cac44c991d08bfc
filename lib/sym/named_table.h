/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A symbol table whose names are interned as they are met, so that equal names of different tables are equal pointers, at the
 * price of one array access from the second time on. Also what all parts of the symbolizer share.
 */
#ifndef SYM_NAMED_TABLE_H
#define SYM_NAMED_TABLE_H

#include <stdatomic.h>
#include <vpmu/symbolize.h>
#include "sym/symtab.h"
#include "util/intern.h"

struct sym_env {
	struct intern *strings; /* of all frames */
	char *kallsyms_path;
	char *cache_dir;	/* NULL = no cache */
	char *debug_dirs;	/* colon-separated */
	char *perf_cache;	/* perf's build-id cache, ~/.debug; NULL without a home */
	bool use_debuginfod;
	bool in_background;	/* nobody waits for a look into a guest's memory */
	bool other_kernel;	/* what is symbolized was recorded under another kernel than this machine's */
	atomic_bool hurry;	/* nothing is loaded any more: vpmu_symbolizer_hurry() */
	atomic_uint_least64_t guests_until_ns; /* vpmu_symbolizer_await_guests_until() */
};

struct named_table {
	struct symtab *table; /* NULL = none */
	const char **names;   /* by symbol.index; NULL until met */
};

void named_table_deinit(struct named_table *t);

/* Takes over @table; what was there before is freed. */
void named_table_set(struct named_table *t, struct symtab *table);

/* As symtab_lookup(); ret_symbol->name is interned. Out of memory counts as not found. */
bool named_table_lookup(struct named_table *t, struct intern *strings, uint64_t address,
			struct symbol *ret_symbol);

/* An interned string, "?" in place of control characters: names end up on terminals. "" when out of memory. */
const char *sym_string(struct intern *strings, const char *string);

/* "[kernel]" for module "", else "[MODULE]"; interned. */
const char *sym_module_dso(struct intern *strings, const char *module);

/* Fills in symbol, symbol_offset and status. */
void sym_frame_found(struct vpmu_frame *frame, const struct symbol *symbol, uint64_t address);

#endif
