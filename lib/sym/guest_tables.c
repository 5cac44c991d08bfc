/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "guest/confined.h"
#include "sym/guest_tables.h"
#include "sym/kallsyms_table.h"
#include "sym/symtab_image.h"
#include "util/error.h"
#include "util/hash.h"
#include "util/macro.h"
#include "util/vec.h"

#define UPPER_HALF (1ull << 63)

/* Kernels have 100 to 200 thousand symbols, in some 7 MB; modules a tenth of it. */
#define KERNEL_BYTES_MAX  (32u << 20)
#define MODULES_BYTES_MAX (4u << 20)
#define EXPORTED_BYTES_MAX (16u << 20) /* of one file */
/* Kernels' tables of all guests together: kernels of a few distributions and releases. */
#define SHARED_BYTES_MAX (128u << 20)

/* ---- out of memory ---- */

struct building {
	struct symtab_builder *builder;
	uint64_t base;
};

/* Per-CPU variables are offsets, not addresses; see kallsyms_table.c. */
static int add_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	const struct building *building = data;

	if (symbol->gva < UPPER_HALF || symbol->gva < building->base ||
	    !kallsyms_counts(symbol->type, symbol->name[0]))
		return 0;
	return symtab_builder_add(building->builder, symbol->gva - building->base, 0, symbol->type, symbol->name,
				  strlen(symbol->name), symbol->module, symbol->module ? strlen(symbol->module) : 0);
}

static int add_module_end(const struct vpmu_kernel_module *module, void *data)
{
	const struct building *building = data;

	return symtab_builder_module_end(building->builder, module->name, strlen(module->name),
					 module->text_gva + module->size_bytes);
}

/*
 * Code is what gets names; data is a third of a kernel's symbols. The end of a function was never that of data: _etext and _einittext are
 * between.
 */
static int add_code(const struct vpmu_kernel_symbol *symbol, void *data)
{
	return strchr("tTwW", symbol->type) ? add_symbol(symbol, data) : 0;
}

static int read_kernel(struct vpmu_kernel *k, struct symtab **ret_table)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	struct building building = {builder, k->image.text_gva};
	int r = builder ? kernel_own_symbols(k, add_code, &building) : -ENOMEM;

	return r < 0 ? r : symtab_builder_finish(builder, NULL, 0, ret_table);
}

static int read_modules(struct vpmu_kernel *k, struct symtab **ret_table, struct vpmu_error *reterr)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	struct building building = {builder, 0};
	int r = builder ? kernel_look_again(k, reterr) : -ENOMEM;

	if (r == 0)
		r = kernel_loaded_symbols(k, add_symbol, &building, reterr);
	if (r == 0)
		r = vpmu_kernel_each_module(k, add_module_end, &building, reterr);
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	return symtab_builder_finish(builder, NULL, 0, ret_table);
}

static int add_exported(const struct elf_dynamic_symbol *symbol, void *data)
{
	return symtab_builder_add(data, symbol->offset_bytes, symbol->n_bytes, symbol->binding, symbol->name,
				  strlen(symbol->name), NULL, 0);
}

static int read_exported(const struct code_area *area, struct symtab **ret_table, size_t *ret_bytes)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	int r;

	*ret_bytes = 0;
	if (!builder)
		return -ENOMEM;
	r = code_area_symbols(area, add_exported, builder, ret_bytes);
	if (r == -ENOMEM || r == -ESRCH)
		return r;
	return symtab_builder_count(builder) ? symtab_builder_finish(builder, NULL, 0, ret_table) : -ENODATA;
}

/* ---- from a parser ---- */

/* symtab_open() checks all that a lookup relies on. */
static int ask_about(struct confined *confined, uint32_t kind, const void *bytes, size_t n, size_t most_bytes,
		     struct symtab **ret_table, struct vpmu_error *reterr)
{
	struct parser_answer answer = {.most_bytes = most_bytes};
	int r = confined_ask(confined, kind, bytes, n, &answer, reterr);

	if (r == 0)
		r = answer.bytes.n ? symtab_open(answer.bytes.text, answer.bytes.n, false, ret_table) : -EBADMSG;
	strbuf_deinit(&answer.bytes);
	return r == -EBADMSG ? error_set(reterr, r, "the guest's symbols are not told right") : r;
}

static int ask(struct confined *confined, uint32_t kind, size_t most_bytes, struct symtab **ret_table,
	       struct vpmu_error *reterr)
{
	return ask_about(confined, kind, NULL, 0, most_bytes, ret_table, reterr);
}

int guest_tables_exported(struct vpmu_kernel *k, const struct parser_process *process, const struct code_area *area,
			  struct symtab **ret_table, size_t *ret_bytes)
{
	struct parser_area question = {*process, area->start_gva};
	int r;

	if (!k->confined)
		return read_exported(area, ret_table, ret_bytes);
	*ret_bytes = 0;
	r = ask_about(k->confined, PARSER_EXPORTED_TABLE, &question, sizeof(question), EXPORTED_BYTES_MAX, ret_table, NULL);
	if (r == 0)
		symtab_image(*ret_table, ret_bytes);
	return r;
}

int guest_tables_kernel(struct vpmu_kernel *k, struct symtab **ret_table, struct vpmu_error *reterr)
{
	return k->confined ? ask(k->confined, PARSER_KERNEL_TABLE, KERNEL_BYTES_MAX, ret_table, reterr) :
			     read_kernel(k, ret_table);
}

int guest_tables_modules(struct vpmu_kernel *k, struct symtab **ret_table, struct vpmu_error *reterr)
{
	int r;

	if (!k->confined)
		return read_modules(k, ret_table, reterr);
	r = kernel_look_again(k, reterr);
	return r < 0 ? r : ask(k->confined, PARSER_MODULES_TABLE, MODULES_BYTES_MAX, ret_table, reterr);
}

/* ---- shared ---- */

struct shared_table {
	struct symtab *table;
	uint64_t hash;
	size_t n_refs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static VEC(struct shared_table *) all; /* distinct kernels: a few on any node */
static size_t shared_bytes;

static size_t bytes_of(const struct symtab *table)
{
	size_t n;

	symtab_image(table, &n);
	return n;
}

static bool equal(const struct symtab *a, const struct symtab *b)
{
	size_t n_a, n_b;
	const void *bytes_a = symtab_image(a, &n_a), *bytes_b = symtab_image(b, &n_b);

	return n_a == n_b && memcmp(bytes_a, bytes_b, n_a) == 0;
}

static struct shared_table *find_equal(const struct symtab *table, uint64_t hash)
{
	vec_for_each (shared, &all)
		if ((*shared)->hash == hash && equal((*shared)->table, table))
			return *shared;
	return NULL;
}

static int add(struct symtab *table, uint64_t hash, struct shared_table **ret)
{
	struct shared_table *shared;

	if (bytes_of(table) > SHARED_BYTES_MAX - shared_bytes)
		return -ENOSPC;
	shared = calloc(1, sizeof(*shared));
	if (!shared || !vec_push(&all, shared)) {
		free(shared);
		return -ENOMEM;
	}
	*shared = (struct shared_table){table, hash, 0};
	shared_bytes += bytes_of(table);
	*ret = shared;
	return 0;
}

int shared_table_of(struct symtab *table, struct shared_table **ret, struct vpmu_error *reterr)
{
	size_t n;
	const void *image = symtab_image(table, &n);
	uint64_t hash = hash_bytes(image, n);
	struct shared_table *shared;
	int r = 0;

	pthread_mutex_lock(&lock);
	shared = find_equal(table, hash);
	if (!shared)
		r = add(table, hash, &shared);
	if (r == 0)
		shared->n_refs++;
	if (r < 0 || shared->table != table)
		symtab_free(table);
	pthread_mutex_unlock(&lock);
	if (r == 0)
		*ret = shared;
	return r == -ENOSPC ? error_set(reterr, r, "the guests' kernels have too many symbols together") : r;
}

struct shared_table *shared_table_ref(struct shared_table *shared)
{
	pthread_mutex_lock(&lock);
	shared->n_refs++;
	pthread_mutex_unlock(&lock);
	return shared;
}

struct shared_table *shared_table_unref(struct shared_table *shared)
{
	if (!shared)
		return NULL;
	pthread_mutex_lock(&lock);
	if (--shared->n_refs == 0) {
		vec_for_each (at, &all)
			if (*at == shared) {
				*at = all.items[--all.n];
				break;
			}
		if (!all.n)
			vec_free(&all);
		shared_bytes -= bytes_of(shared->table);
		symtab_free(shared->table);
		free(shared);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

const struct symtab *shared_table_get(const struct shared_table *shared)
{
	return shared->table;
}

size_t shared_tables_count(size_t *ret_bytes)
{
	size_t n;

	pthread_mutex_lock(&lock);
	*ret_bytes = shared_bytes;
	n = all.n;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- joined ---- */

static int add_all(struct symtab_builder *builder, const struct symtab *table, uint64_t base)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < symtab_count(table); i++) {
		struct symbol symbol;

		symtab_get(table, i, &symbol);
		if (symbol.end > UINT64_MAX - base)
			continue; /* no address: a guest may say anything */
		r = symtab_builder_add(builder, symbol.start + base, symbol.end - symbol.start, 'g', symbol.name,
				       strlen(symbol.name), symbol.module, strlen(symbol.module));
	}
	return r;
}

int guest_tables_join(const struct symtab *kernel, uint64_t base, const struct symtab *modules, struct symtab **ret_table)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	int r = builder ? add_all(builder, kernel, base) : -ENOMEM;

	if (r == 0)
		r = add_all(builder, modules, 0);
	return r < 0 ? r : symtab_builder_finish(builder, NULL, 0, ret_table);
}
