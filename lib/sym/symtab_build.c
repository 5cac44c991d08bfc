/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a table: collect, sort, give ends to what has none, drop aliases, pack.
 *
 * What comes in is nearly sorted (kallsyms is, but for modules and BPF programs; ELF tables are not at all), so the
 * sort merges the ascending runs that it finds: one pass over a sorted table, n log(runs) otherwise. It must be
 * stable, since the order of aliases decides (symtab.h).
 */
#include <errno.h>
#include <string.h>

#include "sym/symtab.h"
#include "sym/symtab_image.h"
#include "util/hash.h"
#include "util/idtable.h"
#include "util/macro.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define PAGE 4096u

#define MAX_NAME    UINT16_MAX /* longer ones are cut: templates can be that bad */
#define MAX_MODULES (1u << 13)

/* Small, because a kernel has 120 thousand of them and every page of them must be made. */
struct draft {
	uint64_t start, end;
	uint32_t name; /* offset in the image's strings */
	uint16_t name_bytes;
	uint16_t module : 13; /* 0 = none */
	uint16_t guessed : 1; /* the end comes from the next symbol */
	uint16_t strength : 2; /* 2 global, 1 local, 0 weak */
};

struct module {
	uint32_t name, name_bytes;
	uint64_t end; /* 0 = unknown */
};

struct symtab_builder {
	VEC(struct draft) drafts;
	VEC(struct module) modules; /* [0] is "no module" */
	struct idtable module_ids; /* of modules, by name */
	struct strbuf image; /* the header and the strings so far; becomes the table's image */
	uint32_t last_name, last_name_bytes; /* that was stored */
	uint32_t last_module;
	uint64_t text, stext;
};

static char *strings_of(const struct symtab_builder *b)
{
	return b->image.text + sizeof(struct symtab_header);
}

struct symtab_builder *symtab_builder_new(void)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *b = calloc(1, sizeof(*b));
	const struct symtab_header header = { .magic = SYMTAB_MAGIC };

	if (b) {
		strbuf_add(&b->image, (const char *)&header, sizeof(header));
		strbuf_addc(&b->image, '\0');
	}
	if (!b || b->image.failed || !vec_push(&b->modules, (struct module){}))
		return NULL;
	return take_ptr(b);
}

struct symtab_builder *symtab_builder_free(struct symtab_builder *b)
{
	if (!b)
		return NULL;
	vec_free(&b->drafts);
	vec_free(&b->modules);
	idtable_deinit(&b->module_ids);
	strbuf_deinit(&b->image);
	free(b);
	return NULL;
}

size_t symtab_builder_count(const struct symtab_builder *b)
{
	return b->drafts.n;
}

/*
 * Since 6.2 kernels list "__pfx_NAME" right before each function NAME (9f2899fe36a6, "objtool: Add option to generate prefix symbols"):
 * the second is the end of the first, which makes a third of a kernel's names cost nothing.
 */
static bool ends_last_name(const struct symtab_builder *b, const char *name, size_t n)
{
	return n <= b->last_name_bytes &&
	       memcmp(strings_of(b) + b->last_name + b->last_name_bytes - n, name, n) == 0;
}

/* Returns the length of the name, which may be shorter: a NUL inside would make two names of one. */
static int store_name(struct symtab_builder *b, const char *name, size_t n, uint32_t *ret_offset)
{
	size_t offset = b->image.n - sizeof(struct symtab_header);

	n = strnlen(name, MIN(n, (size_t)MAX_NAME));
	*ret_offset = 0;
	if (n == 0)
		return 0;
	if (ends_last_name(b, name, n)) {
		*ret_offset = b->last_name + b->last_name_bytes - (uint32_t)n;
		return (int)n;
	}
	if (offset > UINT32_MAX - 2 * MAX_NAME)
		return -E2BIG;
	strbuf_add(&b->image, name, n);
	strbuf_addc(&b->image, '\0');
	if (b->image.failed)
		return -ENOMEM;
	*ret_offset = b->last_name = (uint32_t)offset;
	b->last_name_bytes = (uint32_t)n;
	return (int)n;
}

static bool module_is(const struct symtab_builder *b, uint32_t id, const char *name, size_t n)
{
	const struct module *m = &b->modules.items[id];

	return id && m->name_bytes == n && memcmp(strings_of(b) + m->name, name, n) == 0;
}

/* Symbols of a module stand together, so the last one is nearly always the right one; but a text can be made on purpose. */
static int find_module(struct symtab_builder *b, const char *name, size_t n, bool add, uint32_t *ret_id)
{
	uint32_t hash, i, id;
	struct module module = {};
	int r;

	if (module_is(b, b->last_module, name, n)) {
		*ret_id = b->last_module;
		return 0;
	}
	n = strnlen(name, MIN(n, (size_t)MAX_NAME)); /* as it would be stored */
	hash = (uint32_t)hash_bytes(name, n);
	for (i = idtable_first(&b->module_ids, hash); (id = idtable_at(&b->module_ids, i, hash)) != IDTABLE_END;
	     i = idtable_step(&b->module_ids, i))
		if (id != IDTABLE_OTHER && module_is(b, id, name, n)) {
			*ret_id = b->last_module = id;
			return 0;
		}
	if (!add)
		return -ENOENT;
	r = store_name(b, name, n, &module.name);
	if (r < 0)
		return r;
	module.name_bytes = (uint32_t)r;
	if (b->modules.n >= MAX_MODULES)
		return -E2BIG;
	if (!vec_reserve(&b->modules, 1) || !idtable_put(&b->module_ids, hash, (uint32_t)b->modules.n))
		return -ENOMEM;
	(void)vec_push(&b->modules, module);
	*ret_id = b->last_module = (uint32_t)b->modules.n - 1;
	return 0;
}

/* As perf's kallsyms2elf_binding(): upper-case letters are global. ELF's come as 'g', 'w' and 'l'. */
static uint8_t strength_of(char binding)
{
	if (binding == 'W' || binding == 'w')
		return 0;
	return binding == 'g' || (binding >= 'A' && binding <= 'Z') ? 2 : 1;
}

int symtab_builder_add(struct symtab_builder *b, uint64_t start, uint64_t size_bytes, char binding,
		       const char *name, size_t name_bytes, const char *module, size_t module_bytes)
{
	struct draft d = { .start = start, .strength = strength_of(binding) & 3 };
	uint32_t id = 0;
	int r;

	if (b->drafts.n >= SYMTAB_MAX_COUNT)
		return -E2BIG;
	if (__builtin_add_overflow(start, size_bytes, &d.end))
		d.end = UINT64_MAX;
	if (module && module_bytes) {
		r = find_module(b, module, module_bytes, true, &id);
		if (r < 0)
			return r;
		d.module = id & (MAX_MODULES - 1);
	}
	if (name_bytes == 5 && memcmp(name, "_text", 5) == 0)
		b->text = start;
	if (name_bytes == 6 && memcmp(name, "_stext", 6) == 0)
		b->stext = start;
	r = store_name(b, name, name_bytes, &d.name);
	if (r < 0)
		return r;
	d.name_bytes = (uint16_t)r;
	return vec_push(&b->drafts, d) ? 0 : -ENOMEM;
}

int symtab_builder_module_end(struct symtab_builder *b, const char *module, size_t module_bytes, uint64_t end)
{
	uint32_t id;

	if (find_module(b, module, module_bytes, false, &id) == 0)
		b->modules.items[id].end = end;
	return 0;
}

/* Merges the neighbours [a, mid) and [mid, end) of @from into @to. */
static void merge(const struct draft *from, size_t a, size_t mid, size_t end, struct draft *to)
{
	size_t b = mid;

	for (size_t out = a; out < end; out++)
		to[out] = b >= end || (a < mid && from[a].start <= from[b].start) ? from[a++] : from[b++];
}

static int sort_drafts(struct symtab_builder *b)
{
	VEC(size_t) runs = {}; /* where each ascending run begins; the end of the last one too */
	struct draft *from = b->drafts.items, *to, *spare;
	size_t n = b->drafts.n;
	bool ok = vec_push(&runs, 0);

	for (size_t i = 1; ok && i < n; i++)
		if (from[i].start < from[i - 1].start)
			ok = vec_push(&runs, i);
	ok = ok && vec_push(&runs, n);
	to = spare = ok && runs.n > 2 ? malloc(n * sizeof(*spare)) : NULL;
	if (!ok || (runs.n > 2 && !spare)) {
		vec_free(&runs);
		return -ENOMEM;
	}
	while (runs.n > 2) {
		size_t kept = 0;

		for (size_t i = 0; i + 1 < runs.n; i += 2) {
			size_t end = runs.items[MIN(i + 2, runs.n - 1)];

			merge(from, runs.items[i], runs.items[i + 1], end, to);
			runs.items[kept++] = runs.items[i];
		}
		runs.items[kept++] = n;
		runs.n = kept;
		spare = from;
		from = to;
		to = spare;
	}
	if (spare) {
		/* The sorted half becomes the builder's, the other one goes. */
		b->drafts.items = from;
		b->drafts.room = n;
		free(to);
	}
	vec_free(&runs);
	return 0;
}

static uint64_t a_page_further(uint64_t start)
{
	uint64_t end;

	if (__builtin_add_overflow(start, 2u * PAGE - 1, &end))
		return UINT64_MAX;
	return end & ~(uint64_t)(PAGE - 1);
}

static uint64_t end_of(const struct symtab_builder *b, const struct draft *d, const struct draft *next)
{
	uint64_t module_end = b->modules.items[d->module].end;

	if (!next)
		return module_end > d->start ? module_end : a_page_further(d->start);
	if (next->module != d->module && module_end > d->start)
		return MIN(module_end, next->start);
	if (!next->module != !d->module)
		return a_page_further(d->start);
	return next->start;
}

static void end_sizes(struct symtab_builder *b)
{
	struct draft *d = b->drafts.items;

	for (size_t i = 0; i < b->drafts.n; i++) {
		/* Others have settled in what it got when it was settled: the entries of the PLT, behind _init. */
		if (d[i].guessed && i + 1 < b->drafts.n)
			d[i].end = MIN(d[i].end, d[i + 1].start);
		if (d[i].end != d[i].start)
			continue;
		d[i].guessed = true;
		d[i].end = end_of(b, &d[i], i + 1 < b->drafts.n ? &d[i + 1] : NULL);
	}
}

static size_t underscores(const struct symtab_builder *b, const struct draft *d)
{
	return strspn(strings_of(b) + d->name, "_");
}

/* perf's choose_best_symbol(): is @a, the earlier one, better than @b? */
static bool better(const struct symtab_builder *builder, const struct draft *a, const struct draft *b)
{
	bool a_empty = a->end == a->start, b_empty = b->end == b->start;
	size_t a_score, b_score;

	if (a_empty != b_empty)
		return b_empty;
	if (!a->strength != !b->strength)
		return !b->strength;
	if (a->strength != b->strength)
		return a->strength > b->strength;
	a_score = underscores(builder, a);
	b_score = underscores(builder, b);
	if (a_score != b_score)
		return a_score < b_score;
	if (a->name_bytes != b->name_bytes)
		return a->name_bytes > b->name_bytes;
	/* The old kernels' second names of system calls (arch__choose_best_symbol()). */
	return !starts_with(strings_of(builder) + a->name, "SyS") &&
	       !starts_with(strings_of(builder) + a->name, "compat_SyS");
}

static void drop_aliases(struct symtab_builder *b)
{
	struct draft *d = b->drafts.items;
	size_t kept = 0;

	for (size_t i = 0; i < b->drafts.n; i++) {
		if (kept && d[kept - 1].start == d[i].start) {
			if (!better(b, &d[kept - 1], &d[i]))
				d[kept - 1] = d[i];
		} else {
			d[kept++] = d[i];
		}
	}
	b->drafts.n = kept;
}

static void pack(const struct symtab_builder *b, uint64_t *starts)
{
	uint32_t n = (uint32_t)b->drafts.n, outer = SYMTAB_NO_PARENT;
	struct symtab_entry *entries = (struct symtab_entry *)(starts + n);

	for (uint32_t i = 0; i < n; i++) {
		const struct draft *d = &b->drafts.items[i];
		uint32_t n_bytes = (uint32_t)MIN(d->end - d->start, (uint64_t)UINT32_MAX);
		uint64_t end = d->start + n_bytes;

		/* @outer: the previous symbol; whoever does not reach beyond this one cannot be its parent. */
		while (outer != SYMTAB_NO_PARENT && starts[outer] + entries[outer].n_bytes <= end)
			outer = entries[outer].parent;
		starts[i] = d->start;
		entries[i] = (struct symtab_entry){
			.n_bytes = n_bytes,
			.name = d->name,
			.module = b->modules.items[d->module].name,
			.parent = outer,
		};
		outer = i;
	}
}

int symtab_builder_settle(struct symtab_builder *b)
{
	int r = sort_drafts(b);

	if (r < 0)
		return r;
	end_sizes(b);
	drop_aliases(b);
	return 0;
}

void symtab_builder_drop_below(struct symtab_builder *b, uint64_t address)
{
	size_t kept = 0;

	vec_for_each(d, &b->drafts)
		if (d->start >= address)
			b->drafts.items[kept++] = *d;
	b->drafts.n = kept;
}

int symtab_builder_finish(struct symtab_builder *b, const void *image_meta, size_t meta_bytes,
			  struct symtab **ret_table)
{
	struct symtab_header *header;
	size_t strings_bytes, bytes;
	void *starts;
	int r = symtab_builder_settle(b);

	if (r < 0)
		return r;
	while (b->image.n % 8)
		strbuf_addc(&b->image, '\0');
	strings_bytes = b->image.n - sizeof(*header);
	bytes = b->drafts.n * (sizeof(uint64_t) + sizeof(struct symtab_entry));
	starts = strbuf_reserve(&b->image, bytes);
	if (!starts || b->image.failed)
		return -ENOMEM;
	pack(b, starts);
	header = (struct symtab_header *)b->image.text;
	header->count = (uint32_t)b->drafts.n;
	header->strings_bytes = (uint32_t)strings_bytes;
	header->text = b->text;
	header->stext = b->stext;
	if (image_meta)
		memcpy(header->meta, image_meta, MIN(meta_bytes, sizeof(header->meta)));
	bytes += b->image.n;
	b->image = (struct strbuf){};
	return symtab_adopt(header, bytes, ret_table);
}
