/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A module's own symbols: what is kept of the ELF file's table, with addresses where the module was
 * loaded (struct mod_kallsyms, kernel/module/kallsyms.c). A symbol that the module exports has its
 * letter in upper case.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "guest/modules.h"
#include "util/macro.h"

#define SYMBOLS_MAX (1u << 20) /* of one module; nouveau and amdgpu have some ten thousand */
#define EXPORTS_MAX (1u << 16)
#define STRINGS_MAX (32u << 20)

/* Elf64_Sym */
struct elf_symbol {
	uint32_t name;
	uint8_t info, other;
	uint16_t section;
	uint64_t value, size;
};

struct export
{
	uint64_t value, name_gva;
};

struct table {
	struct elf_symbol *symbols;
	char *types, *strings;
	uint32_t n;
	size_t strings_bytes;
	struct export *exports; /* by value */
	size_t n_exports;
};

static void table_deinit(struct table *t)
{
	free(t->symbols);
	free(t->types);
	free(t->strings);
	free(t->exports);
}
#define _table_ _cleanup_(table_deinit)

static int by_value(const void *a, const void *b)
{
	const struct export *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/*
 * struct kernel_symbol: { int value_offset, name_offset, namespace_offset }, each from its own
 * place on (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS). One that cannot be read leaves all in lower case.
 */
static int read_exports(struct vpmu_kernel *k, const struct module_copy *module, struct table *t)
{
	uint64_t gva = module_u64(module, k->types->module.syms);
	uint32_t n = module_u32(module, k->types->module.num_syms);
	_free_ int32_t *entries = NULL;
	int r;

	if (!gva || !n || n > EXPORTS_MAX)
		return 0;
	entries = malloc((size_t)n * 12);
	t->exports = calloc(n, sizeof(*t->exports));
	if (!entries || !t->exports)
		return -ENOMEM;
	r = kernel_read_large(k, gva, entries, (size_t)n * 12);
	if (r < 0)
		return r == -EFAULT ? 0 : r;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t here = gva + (uint64_t)i * 12;

		t->exports[i] = (struct export){
			.value = here + (uint64_t)(int64_t)entries[3 * i],
			.name_gva = here + 4 + (uint64_t)(int64_t)entries[3 * i + 1],
		};
	}
	qsort(t->exports, n, sizeof(*t->exports), by_value);
	t->n_exports = n;
	return 0;
}

/* All strings are in one piece, but nothing says how long it is: up to the last one that a symbol
 * names. */
static int read_strings(struct vpmu_kernel *k, uint64_t gva, struct table *t)
{
	uint32_t last = 0;
	int r;

	for (uint32_t i = 0; i < t->n; i++)
		last = MAX(last, t->symbols[i].name);
	if (last > STRINGS_MAX)
		return -EFAULT;
	t->strings_bytes = last + (size_t)KALLSYMS_NAME_BYTES;
	t->strings = calloc(1, t->strings_bytes + 1);
	if (!t->strings)
		return -ENOMEM;
	r = kernel_read_large(k, gva, t->strings, last);
	/* The last string may lie right before what is not mapped. */
	for (uint64_t at = last; r == 0 && at < t->strings_bytes;) {
		size_t piece =
			(size_t)MIN(t->strings_bytes - at, PAGE_BYTES - (gva + at) % PAGE_BYTES);

		if (kernel_read(k, gva + at, t->strings + at, piece) < 0)
			break;
		at += piece;
	}
	return r;
}

static int read_table(struct vpmu_kernel *k, const struct module_copy *module, struct table *t)
{
	const struct kernel_types *types = k->types;
	uint64_t at = module_u64(module, types->module.kallsyms), symtab, strtab, typetab;
	int r;

	if (!at || types->mod_kallsyms.symtab == NO_MEMBER ||
	    types->mod_kallsyms.typetab == NO_MEMBER || types->mod_kallsyms.strtab == NO_MEMBER ||
	    types->mod_kallsyms.num_symtab == NO_MEMBER)
		return 0;
	r = kernel_read_u64(k, at + types->mod_kallsyms.symtab, &symtab);
	if (r == 0)
		r = kernel_read_u64(k, at + types->mod_kallsyms.strtab, &strtab);
	if (r == 0)
		r = kernel_read_u64(k, at + types->mod_kallsyms.typetab, &typetab);
	if (r == 0)
		r = kernel_read_u32(k, at + types->mod_kallsyms.num_symtab, &t->n);
	if (r < 0 || t->n == 0 || t->n > SYMBOLS_MAX)
		return r < 0 ? r : -EFAULT;
	t->symbols = malloc((size_t)t->n * sizeof(*t->symbols));
	t->types = malloc(t->n);
	if (!t->symbols || !t->types)
		return -ENOMEM;
	r = kernel_read_large(k, symtab, t->symbols, (size_t)t->n * sizeof(*t->symbols));
	if (r == 0)
		r = kernel_read_large(k, typetab, t->types, t->n);
	if (r == 0)
		r = read_strings(k, strtab, t);
	return r == 0 ? read_exports(k, module, t) : r;
}

static bool is_exported(struct vpmu_kernel *k, const struct table *t, uint64_t value,
			const char *name)
{
	size_t low = 0, high = t->n_exports;
	char exported[KALLSYMS_NAME_BYTES];

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->exports[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	/* Aliases of one function; a handful at most, in a module that is none of an attacker's. */
	for (size_t i = low; i < t->n_exports && i < low + 16 && t->exports[i].value == value; i++)
		if (kernel_read_string(k, t->exports[i].name_gva, exported, sizeof(exported)) >=
			    0 &&
		    streq(exported, name))
			return true;
	return false;
}

int module_symbols_each(struct vpmu_kernel *k, const struct module_copy *module,
			vpmu_kernel_symbol_fn fn, void *data)
{
	_table_ struct table t = {};
	int r = read_table(k, module, &t);

	if (r < 0)
		return r == -EFAULT ? 0 : r;
	for (uint32_t i = 0; i < t.n && r == 0; i++) {
		const struct elf_symbol *symbol = &t.symbols[i];
		struct vpmu_kernel_symbol told = {
			.gva = symbol->value,
			.type = t.types[i],
			.name = t.strings + symbol->name,
			.module = module->name,
		};

		if (!*told.name)
			continue;
		told.type = is_exported(k, &t, told.gva, told.name)
				    ? (char)toupper((unsigned char)told.type)
				    : (char)tolower((unsigned char)told.type);
		r = fn(&told, data);
	}
	return r;
}
