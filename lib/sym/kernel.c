/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sym/kallsyms_table.h"
#include "sym/kernel.h"
#include "sym/kernel_cache.h"
#include "util/io.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/vec.h"

struct code {
	uint64_t start, end;
	const char *name; /* interned */
};

struct kernel {
	struct sym_env *env;
	struct named_table table;
	enum vpmu_frame_status missing; /* status of addresses while there is no table */
	struct build_id build_id;	/* of the kernel recorded; unknown: n 0 */
	const char *hex;
	char *ref_symbol;
	uint64_t ref_address;
	int64_t slide; /* the kernel recorded lay this much higher than the table says */
	VEC(struct code) code;
	enum kernel_table_origin origin;
	bool asked, code_sorted;
	bool other; /* the kernel recorded is not the one that runs, whichever it was */
	bool recorded; /* it is the kernel of a recording, which may be of another boot */
	enum { BOOT_UNKNOWN, BOOT_THIS, BOOT_OTHER } boot;
};

struct kernel *kernel_new(struct sym_env *env)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (k) {
		k->env = env;
		k->hex = sym_string(env->strings, "");
		k->missing = VPMU_FRAME_NO_SYMBOLS;
	}
	return k;
}

static void save(struct kernel *k);

struct kernel *kernel_free(struct kernel *k)
{
	if (!k)
		return NULL;
	save(k);
	named_table_deinit(&k->table);
	vec_free(&k->code);
	free(k->ref_symbol);
	free(k);
	return NULL;
}

static void set_build_id(struct kernel *k, const struct build_id *build_id)
{
	char hex[2 * BUILD_ID_MAX_BYTES + 1];

	k->build_id = *build_id;
	build_id_hex(build_id, hex);
	k->hex = sym_string(k->env->strings, hex);
}

void kernel_set_reference(struct kernel *k, const struct build_id *build_id, const char *symbol, uint64_t address)
{
	struct build_id running;

	kernel_cache_running(&running);
	k->env->other_kernel = build_id->n && !build_id_equal(build_id, &running);
	set_build_id(k, build_id);
	free(k->ref_symbol);
	k->ref_symbol = symbol && address ? strdup(symbol) : NULL;
	k->ref_address = address;
	k->recorded = true;
}

void kernel_set_boot(struct kernel *k, const char *boot_id)
{
	char here[KERNEL_BOOT_ID_ROOM];

	kernel_cache_boot(here);
	if (here[0] && streq(here, boot_id))
		k->boot = BOOT_THIS;
	else if (here[0] && boot_id[0] && kernel_cache_is_live(k->env)) /* a copy may well be of that boot */
		k->boot = BOOT_OTHER;
}

void kernel_set_other(struct kernel *k)
{
	k->other = k->env->other_kernel = true;
}

void kernel_set_table(struct kernel *k, struct symtab *table)
{
	named_table_set(&k->table, table);
	k->asked = true;
	k->slide = 0;
	k->origin = KERNEL_TABLE_LIVE;
}

int kernel_add_code(struct kernel *k, uint64_t address, uint32_t length_bytes, const char *name)
{
	struct code code = { .start = address, .name = sym_string(k->env->strings, name) };

	if (__builtin_add_overflow(address, (uint64_t)length_bytes, &code.end))
		return 0;
	k->code_sorted = false;
	return vec_push(&k->code, code) ? 0 : -ENOMEM;
}

static int compare_code(const void *a, const void *b)
{
	const struct code *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* BPF programs come and go, but rarely at the same address within one recording: the last that begins below wins. */
static const struct code *find_code(struct kernel *k, uint64_t address)
{
	size_t low = 0, high = k->code.n;

	if (!k->code_sorted && k->code.n)
		qsort(k->code.items, k->code.n, sizeof(*k->code.items), compare_code);
	k->code_sorted = true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (k->code.items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < k->code.items[low - 1].end ? &k->code.items[low - 1] : NULL;
}

/*
 * The kernel recorded may be this one in an earlier boot, moved by KASLR: then the reference symbol tells by how much. Without
 * a build-id to prove that it is the same kernel a moved symbol means another one; and without a reference symbol (a recorder that
 * kptr_restrict let not see it) only the very boot will do.
 */
static bool fits(struct kernel *k, const struct symtab *table, bool same_build, bool same_boot)
{
	uint64_t there;

	k->slide = 0;
	if (!k->ref_symbol || !symtab_reference(table, k->ref_symbol, &there))
		return same_boot || !k->recorded;
	if (there == k->ref_address)
		return true;
	if (!same_build)
		return false;
	k->slide = (int64_t)(k->ref_address - there);
	log_debug("the host kernel was recorded in another boot: symbols are moved by %lld bytes",
		  (long long)k->slide);
	return true;
}

static int use(struct kernel *k, struct symtab *table, bool same_build, bool same_boot)
{
	if (!fits(k, table, same_build, same_boot)) {
		symtab_free(table);
		return -ESTALE;
	}
	named_table_set(&k->table, table);
	return 0;
}

/* What perf keeps of kernels it has recorded under: ~/.debug/[kernel.kallsyms]/BUILD-ID/kallsyms. */
static int load_from_perf_cache(struct kernel *k)
{
	_free_ char *path = NULL;
	struct symtab *table;
	int r;

	if (!k->env->perf_cache || !k->build_id.n)
		return -ENOENT;
	if (asprintf(&path, "%s/[kernel.kallsyms]/%s/kallsyms", k->env->perf_cache, k->hex) < 0)
		return -ENOMEM;
	r = kallsyms_table_read(&(struct kallsyms_source){ .path = path }, &table, NULL);
	return r < 0 ? r : use(k, table, true, false);
}

static void load(struct kernel *k)
{
	struct build_id running = {};
	struct symtab *table;
	struct vpmu_error error;
	int r = -ESTALE;

	k->asked = true;
	k->missing = VPMU_FRAME_NO_SYMBOLS;
	if (k->env->hurry)
		return;
	kernel_cache_running(&running);
	if (!k->other && (!k->build_id.n || !running.n || build_id_equal(&k->build_id, &running))) {
		bool same_build = k->build_id.n && running.n;

		r = kernel_cache_read(k->env, &table, &k->origin, &error);
		if (r == 0)
			r = use(k, table, same_build, k->boot == BOOT_THIS);
		else
			log_debug("no symbols for the host kernel: %s", error.text);
		if (r == 0 && !k->build_id.n)
			set_build_id(k, &running);
	}
	k->missing = r == -ESTALE	     ? VPMU_FRAME_NOT_THIS_KERNEL :
		     r == -EACCES || r == -EPERM ? VPMU_FRAME_HIDDEN :
						   VPMU_FRAME_NO_SYMBOLS;
	if (r < 0)
		load_from_perf_cache(k);
}

/* Once the work is done, since it takes a few milliseconds. */
static void save(struct kernel *k)
{
	int r;

	if (k->origin != KERNEL_TABLE_TO_CACHE || !k->table.table)
		return;
	k->origin = KERNEL_TABLE_CACHED;
	r = kernel_cache_save(k->env, k->table.table);
	if (r < 0)
		log_debug("not caching kernel symbols in '%s': %s", k->env->cache_dir, strerror(-r));
}

/* What is cached lacks BPF programs and the like: an address that it does not know is worth one look at the real thing. */
static bool look_again(struct kernel *k)
{
	struct symtab *table;

	if (k->origin == KERNEL_TABLE_LIVE || k->env->hurry)
		return false;
	save(k);
	k->origin = KERNEL_TABLE_LIVE;
	return kernel_cache_read_live(k->env, &table, NULL) == 0 && use(k, table, k->slide != 0, k->boot == BOOT_THIS) == 0;
}

void kernel_frame(struct kernel *k, struct vpmu_frame *frame)
{
	const struct code *code = find_code(k, frame->address);
	uint64_t address = frame->address - (uint64_t)k->slide;
	struct symbol symbol;
	bool found;

	if (!k->asked)
		load(k);
	address = frame->address - (uint64_t)k->slide;
	frame->dso_offset = frame->address;
	frame->build_id = k->hex;
	if (code) {
		frame->dso = sym_string(k->env->strings, "[bpf]");
		frame->symbol = code->name;
		frame->symbol_offset = frame->address - code->start;
		frame->status = VPMU_FRAME_OK;
		return;
	}
	frame->dso = sym_module_dso(k->env->strings, "");
	frame->status = k->table.table ? VPMU_FRAME_NO_SYMBOL : k->missing;
	if (!k->table.table)
		return;
	found = named_table_lookup(&k->table, k->env->strings, address, &symbol);
	if (!found && look_again(k))
		found = named_table_lookup(&k->table, k->env->strings, address, &symbol);
	if (!found)
		return;
	/* Modules are not moved along with the kernel, and lie elsewhere in each boot also where KASLR is off. */
	if ((k->slide || k->boot == BOOT_OTHER) && symbol.module[0]) {
		frame->status = VPMU_FRAME_NOT_THIS_KERNEL;
		return;
	}
	if (symbol.module[0])
		frame->dso = sym_module_dso(k->env->strings, symbol.module);
	sym_frame_found(frame, &symbol, address);
}

const struct symtab *kernel_table(const struct kernel *k, struct build_id *ret_build_id)
{
	*ret_build_id = k->build_id;
	/* A table of another boot would be wrong elsewhere. */
	return k->slide || k->boot == BOOT_OTHER ? NULL : k->table.table;
}
