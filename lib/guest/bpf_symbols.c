/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "guest/bpf_symbols.h"
#include "guest/kernel_types.h"
#include "util/macro.h"

#define SYMBOLS_MAX (64u << 10)

/* bpf_jit_kallsyms_enabled(): shown unless programs are to be hardened. */
static bool are_shown(struct vpmu_kernel *k)
{
	uint32_t shown, hardened;

	return k->gva[KERNEL_BPF_JIT_KALLSYMS] && k->gva[KERNEL_BPF_JIT_HARDEN] &&
	       kernel_read_u32(k, k->gva[KERNEL_BPF_JIT_KALLSYMS], &shown) == 0 &&
	       kernel_read_u32(k, k->gva[KERNEL_BPF_JIT_HARDEN], &hardened) == 0 && shown == 1 &&
	       hardened == 0;
}

int bpf_symbols_each(struct vpmu_kernel *k, vpmu_kernel_symbol_fn fn, void *data)
{
	const struct kernel_types *t = k->types;
	uint64_t head = k->gva[KERNEL_BPF_KALLSYMS], at, links[2], before = head;
	char name[KALLSYMS_NAME_BYTES];
	int r;

	if (!head || t->bpf_ksym.link == NO_MEMBER || t->bpf_ksym.start == NO_MEMBER ||
	    t->bpf_ksym.name == NO_MEMBER || !are_shown(k))
		return 0;
	r = kernel_read_u64(k, head, &at);
	for (unsigned int i = 0; r == 0 && at != head && i < SYMBOLS_MAX; i++) {
		uint64_t ksym = at - t->bpf_ksym.link;
		struct vpmu_kernel_symbol symbol = {.type = 't', .name = name, .module = "bpf"};

		r = kernel_read(k, at, links, sizeof(links));
		if (r < 0 || links[1] != before)
			break;
		r = kernel_read_u64(k, ksym + t->bpf_ksym.start, &symbol.gva);
		if (r == 0)
			r = (int)MIN(
				kernel_read_string(k, ksym + t->bpf_ksym.name, name, sizeof(name)),
				0);
		if (r == 0 && name[0])
			r = fn(&symbol, data);
		before = at;
		at = links[0];
	}
	return r == -EFAULT ? 0 : r;
}
