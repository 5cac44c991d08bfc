/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/elf_notes.h"
#include "guest/bpf_symbols.h"
#include "guest/confined.h"
#include "guest/kernel.h"
#include "guest/kernel_types.h"
#include "guest/modules.h"
#include "guest/trampolines.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

/* The image is searched in pieces, which overlap by the most that a token table takes. */
#define PIECE_BYTES (1u << 20)
/* Kernels have 30 to 90 MiB; what claims to be larger is searched so far. */
#define IMAGE_BYTES_MAX (256u << 20)
#define NOTES_BYTES_MAX (64u << 10)
/* A kernel has one table of tokens; to look around each takes milliseconds, and an image may be full of made-up ones. */
#define TOKENS_TRIES_MAX 16

/* Inside of the image no page tables are needed. */
static int image_gpa(const struct linux_image *image, uint64_t gva, uint64_t n_bytes,
		     uint64_t *ret_gpa)
{
	uint64_t within = gva - image->text_gva;

	if (within >= image->n_bytes || n_bytes > image->n_bytes - within)
		return -EFAULT;
	*ret_gpa = image->text_gpa + within;
	return 0;
}

int kernel_read_image(struct vpmu_kernel *k, uint64_t gva, void *bytes, size_t n)
{
	uint64_t gpa;
	int r = image_gpa(&k->image, gva, n, &gpa);

	return r < 0 ? r : memory_read_large(k->memory, gpa, bytes, n);
}

/* ---- symbols ---- */

/*
 * All tables around the token table that begins @tokens_at bytes into the image, if they do not
 * reach further than @before and
 * @behind; -ENOENT if they do, or it is none.
 */
static int load_tables_within(struct vpmu_kernel *k, uint64_t tokens_at, uint64_t before,
			      uint64_t behind)
{
	uint64_t from = tokens_at > before ? (tokens_at - before) & ~7ull : 0;
	uint64_t to = MIN(k->image.n_bytes, tokens_at + behind);
	_free_ uint8_t *bytes = malloc(to - from);
	size_t used;
	void *smaller;
	int r;

	if (!bytes)
		return -ENOMEM;
	r = memory_read_large(k->memory, k->image.text_gpa + from, bytes, to - from);
	if (r == 0)
		r = kallsyms_tables_parse(bytes, to - from, k->image.text_gva + from,
					  tokens_at - from, k->image.text_gva, &k->symbols);
	if (r < 0)
		return r;
	/* Only what is needed stays. */
	used = k->symbols.used_to - k->symbols.used_from;
	memmove(bytes, bytes + k->symbols.used_from, used);
	smaller = realloc(bytes, used);
	k->symbol_bytes = smaller ? smaller : take_ptr(bytes);
	bytes = NULL;
	kallsyms_tables_rebase(&k->symbols, k->symbol_bytes);
	return 0;
}

/* The tables of usual kernels take 2 to 4 MiB. */
static int load_tables(struct vpmu_kernel *k, uint64_t tokens_at)
{
	int r = load_tables_within(k, tokens_at, 4u << 20, 1u << 20);

	return r == -ENOENT ? load_tables_within(k, tokens_at, KALLSYMS_BYTES_BEFORE,
						 KALLSYMS_BYTES_BEHIND)
			    : r;
}

static int find_tables(struct vpmu_kernel *k)
{
	_free_ uint8_t *piece = malloc(PIECE_BYTES);
	uint64_t end = MIN(k->image.n_bytes, (uint64_t)IMAGE_BYTES_MAX);
	unsigned int tries = 0;

	if (!piece)
		return -ENOMEM;
	for (uint64_t at = 0; at < end; at += PIECE_BYTES - KALLSYMS_TOKENS_BYTES) {
		size_t n = (size_t)MIN(end - at, PIECE_BYTES), from = 0, hit;
		int r = memory_read_large(k->memory, k->image.text_gpa + at, piece, n);

		if (r == -EFAULT)
			continue;
		if (r < 0)
			return r;
		while ((hit = kallsyms_tokens_find(piece, n, from, k->image.text_gva + at)) !=
		       SIZE_MAX) {
			if (++tries > TOKENS_TRIES_MAX)
				return -ENOENT;
			r = load_tables(k, at + hit);
			if (r != -ENOENT && r != -EFAULT)
				return r;
			from = hit + 1;
		}
	}
	return -ENOENT;
}

static int note_symbol(const struct kallsyms_symbol *symbol, void *data)
{
	static const char *const names[KERNEL_SYMBOLS] = {
		[KERNEL_INIT_TOP_PGT] = "init_top_pgt",
		[KERNEL_SWAPPER_PG_DIR] = "swapper_pg_dir",
		[KERNEL_LINUX_BANNER] = "linux_banner",
		[KERNEL_START_NOTES] = "__start_notes",
		[KERNEL_STOP_NOTES] = "__stop_notes",
		[KERNEL_START_BTF] = "__start_BTF",
		[KERNEL_STOP_BTF] = "__stop_BTF",
		[KERNEL_MODULES] = "modules",
		[KERNEL_INIT_TASK] = "init_task",
		[KERNEL_MAX_PFN] = "max_pfn",
		[KERNEL_BPF_KALLSYMS] = "bpf_kallsyms",
		[KERNEL_BPF_JIT_KALLSYMS] = "bpf_jit_kallsyms",
		[KERNEL_BPF_JIT_HARDEN] = "bpf_jit_harden",
		[KERNEL_SPECIAL_MAPPING_VMOPS] = "special_mapping_vmops",
		[KERNEL_VMEMMAP_BASE] = "vmemmap_base",
		[KERNEL_FTRACE_TRAMPOLINES] = "ftrace_ops_trampoline_list",
		[KERNEL_KPROBE_SLOTS] = "kprobe_insn_slots",
		[KERNEL_KPROBE_OPT_SLOTS] = "kprobe_optinsn_slots",
		[KERNEL_PER_CPU_OFFSET] = "__per_cpu_offset",
		[KERNEL_CURRENT_TASK] = "current_task",
		[KERNEL_PCPU_HOT] = "pcpu_hot",
		[KERNEL_HARDIRQ_STACK_PTR] = "hardirq_stack_ptr",
		[KERNEL_EXCEPTION_STACKS] = "cea_exception_stacks",
		[KERNEL_FRED_ENTRY] = "asm_fred_entrypoint_user",
		[KERNEL_RET_FROM_FORK] = "ret_from_fork",
		[KERNEL_STEXT] = "_stext",
		[KERNEL_ETEXT] = "_etext",
		[KERNEL_ORC_HEADER] = "__start_orc_header",
		[KERNEL_START_ORC_IPS] = "__start_orc_unwind_ip",
		[KERNEL_STOP_ORC_IPS] = "__stop_orc_unwind_ip",
		[KERNEL_START_ORC] = "__start_orc_unwind",
		[KERNEL_STOP_ORC] = "__stop_orc_unwind",
		[KERNEL_VDSO_IMAGE] = "vdso_image_64",
	};
	struct vpmu_kernel *k = data;

	k->n_named++;
	if (!strchr("_abcfhiklmprsv", symbol->name[0]))
		return 0;
	for (size_t i = 0; i < KERNEL_SYMBOLS; i++)
		if (symbol->name[0] == names[i][0] && !k->gva[i] && streq(symbol->name, names[i]))
			k->gva[i] = symbol->gva;
	return 0;
}

/* ---- what the kernel says of itself ---- */

/* The root that leads to where the kernel is. Without one modules and tasks cannot be seen. */
static void find_root(struct vpmu_kernel *k)
{
	uint64_t gva = k->gva[KERNEL_INIT_TOP_PGT] ? k->gva[KERNEL_INIT_TOP_PGT]
						   : k->gva[KERNEL_SWAPPER_PG_DIR],
		 gpa;
	struct translation t;

	if (!gva || image_gpa(&k->image, gva, PAGE_BYTES, &gpa) < 0)
		return;
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct paging paging = {.root_gpa = gpa, .levels = levels};

		if (paging_walk(k->memory, &paging, k->image.text_gva, &t) == 0 &&
		    t.gpa == k->image.text_gpa)
			k->paging = paging;
	}
}

/* "Linux version 6.1.0-50-cloud-amd64 (…) …\n" */
static bool read_banner(struct vpmu_kernel *k)
{
	static const char start[] = "Linux version ";
	const size_t skip = sizeof(start) - 1;
	size_t n;

	if (!k->gva[KERNEL_LINUX_BANNER] ||
	    kernel_read_image(k, k->gva[KERNEL_LINUX_BANNER], k->banner, sizeof(k->banner) - 1) < 0 ||
	    !starts_with(k->banner, start))
		return false;
	for (char *c = k->banner; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = *c == '\n' ? '\0' : '?';
	n = strcspn(k->banner + skip, " ");
	snprintf(k->release, sizeof(k->release), "%.*s", (int)MIN(n, sizeof(k->release)),
		 k->banner + skip);
	return n > 0;
}

static void read_build_id(struct vpmu_kernel *k)
{
	uint64_t from = k->gva[KERNEL_START_NOTES], n = k->gva[KERNEL_STOP_NOTES] - from;
	uint8_t id[ELF_BUILD_ID_MAX_BYTES], n_id = 0;
	_free_ uint8_t *notes = NULL;

	if (!from || n > NOTES_BYTES_MAX || !(notes = malloc(n + 1)) || kernel_read_image(k, from, notes, n) < 0 ||
	    !elf_notes_build_id(notes, n, id, &n_id))
		return;
	for (uint8_t i = 0; i < n_id; i++)
		snprintf(k->build_id + 2 * i, 3, "%02x", id[i]);
}

void kernel_fill_info(struct vpmu_kernel *k, uint64_t all_bytes)
{
	k->info = (struct vpmu_kernel_info){
		.release = k->release,
		.banner = k->banner,
		.build_id = k->build_id,
		.text_gva = k->image.text_gva,
		.text_gpa = k->image.text_gpa,
		.paging_levels = k->paging.levels,
		.n_symbols = k->n_named,
		.memory_bytes = all_bytes,
	};
}

/* For linux_image_find(): it is a kernel if its symbols can be read. */
int kernel_accept(const struct linux_image *image, void *data)
{
	struct vpmu_kernel *k = data;
	int r;

	k->image = *image;
	r = find_tables(k);
	if (r < 0)
		return r == -EFAULT ? -ENOENT : r;
	kallsyms_tables_each(&k->symbols, note_symbol, k);
	find_root(k);
	if (!read_banner(k))
		log_debug("the guest's kernel does not say its release");
	read_build_id(k);
	kernel_fill_info(k, memory_bytes(k->memory));
	kernel_work_begin(k);
	return 0;
}

/* ---- symbols, once more ---- */

int kernel_failed(int code, struct vpmu_error *reterr)
{
	switch (code) {
	case -ENOMEM:
		return error_oom(reterr);
	case -ESRCH:
		return error_set(reterr, code, "the guest is gone");
	case -ESTALE:
		return error_set(reterr, code, "the guest has booted anew");
	default:
		return error_set(reterr, code, "cannot read the guest's memory: %s",
				 strerror(-code));
	}
}

int kernel_is_confined(const struct vpmu_kernel *k, struct vpmu_error *reterr)
{
	return error_set(reterr, -EOPNOTSUPP, "Linux %s is parsed in a process of its own, which is not asked for this", k->release);
}

int kernel_look_again(struct vpmu_kernel *k, struct vpmu_error *reterr)
{
	int r;

	if (k->confined) {
		r = confined_check(k->confined);
	} else {
		memory_forget(k->memory);
		kernel_work_begin(k);
		r = linux_image_check(k->memory, &k->image);
	}
	return r < 0 ? kernel_failed(r, reterr) : 0;
}

/* Of the kernel's own, and again of all others: the largest have 200 thousand in 5 MB, amdgpu and nouveau some ten thousand each. */
#define SYMBOLS_MAX	  (1u << 20)
#define NAMES_BYTES_MAX	  (64u << 20)

struct telling {
	struct vpmu_kernel *kernel;
	vpmu_kernel_symbol_fn fn;
	void *data;
	int stopped; /* what the caller's function returned */
	size_t left, left_bytes;
};

static int tell_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	struct telling *telling = data;
	size_t n = strlen(symbol->name) + 1;

	if (!telling->left || telling->left_bytes < n) {
		log_warn("the guest's kernel or its modules have more symbols than can be true; ignoring the rest");
		return 1;
	}
	telling->left--;
	telling->left_bytes -= n;
	telling->stopped = telling->fn(symbol, telling->data);
	return telling->stopped ? 1 : 0;
}

static int tell_own_symbol(const struct kallsyms_symbol *symbol, void *data)
{
	return tell_symbol(&(struct vpmu_kernel_symbol){.gva = symbol->gva, .type = symbol->type, .name = symbol->name}, data);
}

static int tell_module_symbols(const struct module_copy *module, void *data)
{
	struct telling *telling = data;

	return module_symbols_each(telling->kernel, module, tell_symbol, telling);
}

int kernel_own_symbols(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data)
{
	struct telling telling = {k, fn, data, 0, SYMBOLS_MAX, NAMES_BYTES_MAX};

	kallsyms_tables_each(&k->symbols, tell_own_symbol, &telling);
	return telling.stopped;
}

int kernel_loaded_symbols(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data, struct vpmu_error *reterr)
{
	struct telling telling = {k, fn, data, 0, SYMBOLS_MAX, NAMES_BYTES_MAX};
	int r;

	if (!k->gva[KERNEL_MODULES])
		return 0;
	r = kernel_types_load(k, reterr);
	if (r < 0)
		return r;
	r = modules_each(k, tell_module_symbols, &telling);
	if (r == 0)
		r = ftrace_trampolines_each(k, tell_symbol, &telling);
	if (r == 0)
		r = bpf_symbols_each(k, tell_symbol, &telling);
	if (r == 0)
		r = kprobe_pages_each(k, tell_symbol, &telling);
	if (telling.stopped)
		return telling.stopped;
	return r < 0 ? kernel_failed(r, reterr) : 0;
}

VPMU_API int vpmu_kernel_each_symbol(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data,
				     struct vpmu_error *reterr)
{
	int r = kernel_look_again(k, reterr);

	if (r == 0 && k->confined)
		r = kernel_is_confined(k, reterr);
	if (r == 0)
		r = kernel_own_symbols(k, fn, data);
	return r == 0 ? kernel_loaded_symbols(k, fn, data, reterr) : r;
}
