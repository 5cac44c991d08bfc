/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "guest/kernel_types.h"
#include "guest/trampolines.h"
#include "util/macro.h"

#define ENTRIES_MAX 4096
#define NAME_BYTES  64

struct listing {
	uint64_t head;	  /* struct list_head */
	uint32_t link;	  /* where it is in an entry */
	uint32_t address; /* where an entry has its code's */
	struct vpmu_kernel_symbol symbol;
};

static int walk_list(struct vpmu_kernel *k, const struct listing *listing, vpmu_kernel_symbol_fn fn, void *data)
{
	struct vpmu_kernel_symbol symbol = listing->symbol;
	uint64_t at, links[2], before = listing->head;
	int r;

	if (!listing->head || listing->link == NO_MEMBER || listing->address == NO_MEMBER)
		return 0;
	r = kernel_read_u64(k, listing->head, &at);
	for (unsigned int i = 0; r == 0 && at != listing->head && i < ENTRIES_MAX; i++) {
		r = kernel_read(k, at, links, sizeof(links));
		if (r < 0 || links[1] != before)
			break;
		r = kernel_read_u64(k, at - listing->link + listing->address, &symbol.gva);
		if (r == 0 && symbol.gva)
			r = fn(&symbol, data);
		before = at;
		at = links[0];
	}
	return r == -EFAULT ? 0 : r;
}

int ftrace_trampolines_each(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data)
{
	return walk_list(k,
			 &(struct listing){.head = k->gva[KERNEL_FTRACE_TRAMPOLINES],
					   .link = k->types->ftrace_ops.link,
					   .address = k->types->ftrace_ops.trampoline,
					   .symbol = {.type = 't',
						      .name = "ftrace_trampoline",
						      .module = "__builtin__ftrace"}},
			 fn, data);
}

/* struct kprobe_insn_cache: the pages of one kind, all called the same. */
static int walk_cache(struct vpmu_kernel *k, uint64_t cache, vpmu_kernel_symbol_fn fn, void *data)
{
	const struct kernel_types *t = k->types;
	char name[NAME_BYTES] = "";
	uint64_t name_gva;
	int r;

	if (!cache || t->kprobes.cache_name == NO_MEMBER || t->kprobes.cache_pages == NO_MEMBER)
		return 0;
	r = kernel_read_u64(k, cache + t->kprobes.cache_name, &name_gva);
	if (r == 0)
		r = (int)MIN(kernel_read_string(k, name_gva, name, sizeof(name)), 0);
	if (r < 0 || !name[0])
		return r == -EFAULT ? 0 : r;
	return walk_list(k,
			 &(struct listing){.head = cache + t->kprobes.cache_pages,
					   .link = t->kprobes.page_link,
					   .address = t->kprobes.page_insns,
					   .symbol = {.type = 't', .name = name, .module = "__builtin__kprobes"}},
			 fn, data);
}

int kprobe_pages_each(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data)
{
	int r = walk_cache(k, k->gva[KERNEL_KPROBE_SLOTS], fn, data);

	return r ? r : walk_cache(k, k->gva[KERNEL_KPROBE_OPT_SLOTS], fn, data);
}
