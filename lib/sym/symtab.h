/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An immutable table of symbols, sorted by address; found by address in some ten nanoseconds.
 *
 * A table is one block of bytes (the image), the same in memory, in the cache on disk and in a recording, so loading is
 * mapping or copying. Images from files are hostile: symtab_open() checks every offset before the first lookup.
 *
 * The rules of who is called what are perf's (tools/perf/util/symbol.c, symbols__fixup_end() and then
 * symbols__fixup_duplicate()), so that reports agree with perf's:
 *
 *   a symbol without a size ends where the next one in the sorted table begins, be that one at the same address; at the
 *   border between the kernel and a module, and at the end of a kernel's table, it ends one page further than its own
 *   rounded up. Module and kernel are told apart by whether a module was named, so files have no such borders.
 *
 *   aliases (symbols at one address) are reduced to one: a symbol with a size before one without, a strong one before a
 *   weak one, global before local, fewer leading underscores, the longer name, the later one. For kallsyms this means
 *   the last one listed, as only that one got a size by the rule above.
 *
 * Symbols may lie inside one another (ELF files have such). The innermost one is found.
 */
#ifndef SYM_SYMTAB_H
#define SYM_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/cleanup.h"

#define SYMTAB_META_BYTES 64

struct symtab;
struct symtab_builder;

struct symbol {
	uint64_t start, end;  /* [start, end) */
	const char *name;     /* belongs to the table */
	const char *module;   /* kallsyms: "kvm" etc.; "" for the kernel itself and for files */
	uint32_t index;	      /* 0 … symtab_count()-1: a stable number for caches */
};

struct symtab_builder *symtab_builder_new(void);
struct symtab_builder *symtab_builder_free(struct symtab_builder *builder);
DEFINE_CLEANUP(struct symtab_builder *, symtab_builder_free)

/* @binding: nm's letter or ELF's STB_ turned into 'g', 'w', 'l'. @module may be NULL. size 0 = unknown. */
int symtab_builder_add(struct symtab_builder *builder, uint64_t start, uint64_t size_bytes, char binding,
		       const char *name, size_t name_bytes, const char *module, size_t module_bytes);

/* @module ends at @end: so does its last symbol. Modules that no symbol names are ignored. */
int symtab_builder_module_end(struct symtab_builder *builder, const char *module, size_t module_bytes,
			      uint64_t end);

/*
 * Sorts, ends sizes and drops aliases among what was added so far, once more before finish: for a second source whose symbols must not
 * change what the first one said.
 */
int symtab_builder_settle(struct symtab_builder *builder);

/* Drops what begins below @address. */
void symtab_builder_drop_below(struct symtab_builder *builder, uint64_t address);

/* How many symbols there are. */
size_t symtab_builder_count(const struct symtab_builder *builder);

/* Sorts, ends sizes, drops aliases. The builder is used up. @image_meta: 64 free bytes stored with the table (keys for
 * caches), may be NULL. */
int symtab_builder_finish(struct symtab_builder *builder, const void *image_meta, size_t meta_bytes,
			  struct symtab **ret_table);

/*
 * A new table of those symbols of @table that touch one of @pages: page numbers (address >> SYMTAB_PAGE_SHIFT), ascending.
 * Lookups inside these pages give what they give in @table. -ENOMEM.
 */
#define SYMTAB_PAGE_SHIFT 12
int symtab_subset(const struct symtab *table, const uint64_t *pages, size_t n_pages, struct symtab **ret_table);

/* A table over an image: copies @bytes (@map false) or takes over an mmap of @n bytes (@map true; unmapped by free,
 * and on failure). -EBADMSG if anything in it does not hold together. */
int symtab_open(const void *bytes, size_t n, bool map, struct symtab **ret_table);
struct symtab *symtab_free(struct symtab *table);
DEFINE_CLEANUP(struct symtab *, symtab_free)

const void *symtab_image(const struct symtab *table, size_t *ret_n);
const void *symtab_meta(const struct symtab *table, size_t *ret_n);
size_t symtab_count(const struct symtab *table);
void symtab_get(const struct symtab *table, size_t i, struct symbol *ret_symbol);

/* true and *ret_symbol if a symbol covers @address. */
bool symtab_lookup(const struct symtab *table, uint64_t address, struct symbol *ret_symbol);

/*
 * Where a kernel lies: the address of @name, "_text" or "_stext". Known even when another name won at that address.
 * false if there is no such symbol.
 */
bool symtab_reference(const struct symtab *table, const char *name, uint64_t *ret_address);

/* Linear, and only among the names that are left; for tests. */
bool symtab_find(const struct symtab *table, const char *name, struct symbol *ret_symbol);

#endif
