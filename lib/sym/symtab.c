/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking up addresses in a table.
 *
 * Kernel tables are lopsided (kernel text, then a gap of hundreds of megabytes, then modules), so dividing the address range into
 * equal buckets would not do. Instead every 8th start address is kept in an array of its own, every 8th of those in another, and
 * so on: a tree whose nodes are 8 addresses, one cache line. For a kernel's 120 thousand symbols that is 6 levels, and the upper
 * four (17 KB) stay in the first-level cache, so a lookup waits for memory three times: two nodes and the entry.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sym/symtab.h"
#include "sym/symtab_image.h"
#include "util/macro.h"

#define FANOUT 8u
#define MAX_LEVELS 10 /* 8^9 is SYMTAB_MAX_COUNT */

/* How deep symbols may lie in one another: honest tables have two or three, and a hostile one shall not cost more. */
#define MAX_NESTING 32

struct symtab {
	const uint64_t *starts;
	const struct symtab_entry *entries;
	const char *strings;
	const uint64_t *levels[MAX_LEVELS]; /* [0] is starts; each other one has every 8th of the one before */
	uint32_t level_counts[MAX_LEVELS], n_levels;
	uint64_t *upper; /* memory of levels[1] and up */
	uint32_t count;
	const struct symtab_header *header;
	size_t image_bytes;
	bool mapped;
};

struct symtab *symtab_free(struct symtab *table)
{
	if (!table)
		return NULL;
	if (table->mapped)
		munmap((void *)table->header, table->image_bytes);
	else
		free((void *)table->header);
	free(table->upper);
	free(table);
	return NULL;
}

/* Sets the pointers into the image after checking that the parts fill it exactly. */
static int lay_out(struct symtab *table, const void *image, size_t n)
{
	const struct symtab_header *header = image;
	uint64_t starts, entries, end;

	if (n < sizeof(*header) || memcmp(header->magic, SYMTAB_MAGIC, sizeof(header->magic)) != 0)
		return -EBADMSG;
	if (header->count > SYMTAB_MAX_COUNT || header->strings_bytes == 0 || header->strings_bytes % 8)
		return -EBADMSG;
	starts = sizeof(*header) + header->strings_bytes;
	entries = starts + (uint64_t)header->count * sizeof(uint64_t);
	end = entries + (uint64_t)header->count * sizeof(struct symtab_entry);
	if (end != n)
		return -EBADMSG;
	table->header = header;
	table->image_bytes = n;
	table->count = header->count;
	table->starts = (const uint64_t *)((const char *)image + starts);
	table->entries = (const struct symtab_entry *)((const char *)image + entries);
	table->strings = (const char *)(header + 1);
	return 0;
}

/*
 * What a lookup relies on: ascending starts, names inside the strings (which end in a NUL), parents that
 * are earlier, so that following them ends.
 */
static bool holds_together(const struct symtab *table)
{
	uint32_t strings_bytes = table->header->strings_bytes;
	uint64_t before = 0;

	if (table->strings[0] != '\0' || table->strings[strings_bytes - 1] != '\0')
		return false;
	for (uint32_t i = 0; i < table->count; i++) {
		const struct symtab_entry *e = &table->entries[i];

		if (table->starts[i] < before || table->starts[i] > UINT64_MAX - e->n_bytes)
			return false;
		if (e->name >= strings_bytes || e->module >= strings_bytes)
			return false;
		if (e->parent != SYMTAB_NO_PARENT && e->parent >= i)
			return false;
		before = table->starts[i];
	}
	return true;
}

static int index_starts(struct symtab *table)
{
	uint64_t *fill;

	table->upper = fill = malloc((table->count / (FANOUT - 1) + MAX_LEVELS) * sizeof(*fill));
	if (!fill)
		return -ENOMEM;
	table->levels[0] = table->starts;
	table->level_counts[0] = table->count;
	table->n_levels = 1;
	while (table->level_counts[table->n_levels - 1] > FANOUT) {
		const uint64_t *below = table->levels[table->n_levels - 1];
		uint32_t n = table->level_counts[table->n_levels - 1];

		table->levels[table->n_levels] = fill;
		for (uint32_t i = 0; i < n; i += FANOUT)
			*fill++ = below[i];
		table->level_counts[table->n_levels] = (n + FANOUT - 1) / FANOUT;
		table->n_levels++;
	}
	return 0;
}

int symtab_adopt(void *image, size_t n, struct symtab **ret_table)
{
	struct symtab *table = calloc(1, sizeof(*table));
	int r = table ? lay_out(table, image, n) : -ENOMEM;

	if (r == 0)
		r = index_starts(table);
	if (r < 0) {
		free(table);
		free(image);
		return r;
	}
	*ret_table = table;
	return 0;
}

int symtab_open(const void *bytes, size_t n, bool map, struct symtab **ret_table)
{
	_cleanup_(symtab_freep) struct symtab *table = calloc(1, sizeof(*table));
	const void *image = bytes;
	int r = table ? 0 : -ENOMEM;

	if (r == 0 && !map) {
		void *copy = malloc(MAX(n, (size_t)1));

		if (copy)
			memcpy(copy, bytes, n);
		else
			r = -ENOMEM;
		image = copy;
	}
	if (r == 0)
		r = lay_out(table, image, n);
	if (r < 0) {
		if (map)
			munmap((void *)bytes, n);
		else if (image != bytes)
			free((void *)image);
		return r;
	}
	table->mapped = map;
	if (!holds_together(table))
		return -EBADMSG;
	r = index_starts(table);
	if (r < 0)
		return r;
	*ret_table = take_ptr(table);
	return 0;
}

const void *symtab_image(const struct symtab *table, size_t *ret_n)
{
	*ret_n = table->image_bytes;
	return table->header;
}

const void *symtab_meta(const struct symtab *table, size_t *ret_n)
{
	*ret_n = sizeof(table->header->meta);
	return table->header->meta;
}

size_t symtab_count(const struct symtab *table)
{
	return table->count;
}

void symtab_get(const struct symtab *table, size_t i, struct symbol *ret_symbol)
{
	const struct symtab_entry *e = &table->entries[i];

	*ret_symbol = (struct symbol){
		.start = table->starts[i],
		.end = table->starts[i] + e->n_bytes,
		.name = table->strings + e->name,
		.module = table->strings + e->module,
		.index = (uint32_t)i,
	};
}

/* How many of a node's addresses are <= @key; the loop over a full node has no branches. */
static inline uint32_t not_above(const uint64_t *node, uint32_t n, uint64_t key)
{
	uint32_t found = 0;

	if (likely(n >= FANOUT))
		for (uint32_t i = 0; i < FANOUT; i++)
			found += node[i] <= key;
	else
		for (uint32_t i = 0; i < n; i++)
			found += node[i] <= key;
	return found;
}

bool symtab_lookup(const struct symtab *table, uint64_t address, struct symbol *ret_symbol)
{
	uint32_t i = 0;

	if (table->count == 0 || address < table->starts[0])
		return false;
	for (uint32_t level = table->n_levels; level-- > 0;) {
		uint32_t first = i * FANOUT;

		i = first + not_above(table->levels[level] + first, table->level_counts[level] - first, address) - 1;
	}
	for (unsigned int depth = 0; depth < MAX_NESTING && i != SYMTAB_NO_PARENT; depth++) {
		if (address - table->starts[i] < table->entries[i].n_bytes) {
			symtab_get(table, i, ret_symbol);
			return true;
		}
		i = table->entries[i].parent;
	}
	return false;
}

bool symtab_reference(const struct symtab *table, const char *name, uint64_t *ret_address)
{
	uint64_t address = streq(name, "_text") ? table->header->text :
			   streq(name, "_stext") ? table->header->stext : 0;

	if (address)
		*ret_address = address;
	return address != 0;
}

bool symtab_find(const struct symtab *table, const char *name, struct symbol *ret_symbol)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (streq(table->strings + table->entries[i].name, name)) {
			symtab_get(table, i, ret_symbol);
			return true;
		}
	return false;
}
