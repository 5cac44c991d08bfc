/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of a table that a recording needs: a kernel has 120 thousand symbols, a few seconds of samples fall into some hundred
 * pages of it. Every symbol that touches one of those pages is kept, so that lookups in them give what the whole table gives.
 */
#include <errno.h>
#include <string.h>

#include "sym/symtab.h"
#include "sym/symtab_image.h"

int symtab_subset(const struct symtab *table, const uint64_t *pages, size_t n_pages, struct symtab **ret_table)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	size_t meta_bytes, image_bytes, page = 0;
	const void *meta = symtab_meta(table, &meta_bytes);
	const struct symtab_header *whole = symtab_image(table, &image_bytes);
	struct symtab_header *part;
	struct symbol symbol;
	int r;

	if (!builder)
		return -ENOMEM;
	for (size_t i = 0; i < symtab_count(table); i++) {
		symtab_get(table, i, &symbol);
		/* Starts ascend, so a page below this one is of no use to those that follow either. */
		while (page < n_pages && pages[page] < symbol.start >> SYMTAB_PAGE_SHIFT)
			page++;
		if (page == n_pages)
			break;
		if (symbol.end <= pages[page] << SYMTAB_PAGE_SHIFT)
			continue;
		r = symtab_builder_add(builder, symbol.start, symbol.end - symbol.start, 'g', symbol.name,
				       strlen(symbol.name), symbol.module, strlen(symbol.module));
		if (r < 0)
			return r;
	}
	r = symtab_builder_finish(builder, meta, meta_bytes, ret_table);
	if (r < 0)
		return r;
	/* Where the kernel is must be known even if nothing there was hit. The image is ours alone still. */
	part = (struct symtab_header *)symtab_image(*ret_table, &image_bytes);
	part->text = whole->text;
	part->stext = whole->stext;
	return 0;
}
