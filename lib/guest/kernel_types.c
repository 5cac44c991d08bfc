/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/btf_types.h"
#include "guest/kernel_types.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"

/* 7.3 has 5.3 MB; a debug kernel of a distribution some 10. */
#define BTF_BYTES_MAX (64u << 20)

struct kernel_types *kernel_types_free(struct kernel_types *types)
{
	free(types);
	return NULL;
}

static uint32_t offset_of(const struct btf_types *btf, const char *type, const char *member)
{
	uint32_t offset;

	return btf_types_offset(btf, type, member, &offset, NULL) == 0 ? offset : NO_MEMBER;
}

/* struct module; parts by the names of the version (ac3b43283923, 6.4). */
static bool load_module(const struct btf_types *btf, struct kernel_types *t)
{
	static const char *const layouts[] = {"core_layout", "init_layout", "data_layout"};
	uint32_t unused;

	t->module.state = offset_of(btf, "module", "state");
	t->module.list = offset_of(btf, "module", "list");
	t->module.refcnt = offset_of(btf, "module", "refcnt");
	t->module.taints = offset_of(btf, "module", "taints");
	t->module.init = offset_of(btf, "module", "init");
	t->module.exit = offset_of(btf, "module", "exit");
	t->module.source_list = offset_of(btf, "module", "source_list");
	t->module.kallsyms = offset_of(btf, "module", "kallsyms");
	t->module.syms = offset_of(btf, "module", "syms");
	t->module.num_syms = offset_of(btf, "module", "num_syms");
	t->module.has_unload = t->module.source_list != NO_MEMBER && t->module.refcnt != NO_MEMBER;
	for (size_t i = 0; i < MODULE_PARTS; i++) {
		char base[32], size[32];

		snprintf(base, sizeof(base), "mem[%zu].base", i);
		snprintf(size, sizeof(size), "mem[%zu].size", i);
		t->module.parts[i].base = offset_of(btf, "module", base);
		t->module.parts[i].size = offset_of(btf, "module", size);
		if (t->module.parts[i].base != NO_MEMBER || i >= ARRAY_SIZE(layouts))
			continue;
		snprintf(base, sizeof(base), "%s.base", layouts[i]);
		snprintf(size, sizeof(size), "%s.size", layouts[i]);
		t->module.parts[i].base = offset_of(btf, "module", base);
		t->module.parts[i].size = offset_of(btf, "module", size);
	}
	t->mod_kallsyms.symtab = offset_of(btf, "mod_kallsyms", "symtab");
	t->mod_kallsyms.num_symtab = offset_of(btf, "mod_kallsyms", "num_symtab");
	t->mod_kallsyms.strtab = offset_of(btf, "mod_kallsyms", "strtab");
	t->mod_kallsyms.typetab = offset_of(btf, "mod_kallsyms", "typetab");
	t->module_use.source_list = offset_of(btf, "module_use", "source_list");
	t->module_use.source = offset_of(btf, "module_use", "source");
	return btf_types_offset(btf, "module", "name", &t->module.name, &t->module.name_bytes) ==
		       0 &&
	       btf_types_size(btf, "module", &t->module.bytes) == 0 &&
	       btf_types_offset(btf, "module", "list", &unused, NULL) == 0 &&
	       t->module.state != NO_MEMBER && t->module.parts[0].base != NO_MEMBER;
}

static bool load_task(const struct btf_types *btf, struct kernel_types *t)
{
	t->task.tasks = offset_of(btf, "task_struct", "tasks");
	t->task.pid = offset_of(btf, "task_struct", "pid");
	t->task.tgid = offset_of(btf, "task_struct", "tgid");
	t->task.comm = offset_of(btf, "task_struct", "comm");
	t->task.flags = offset_of(btf, "task_struct", "flags");
	t->task.mm = offset_of(btf, "task_struct", "mm");
	t->task.signal = offset_of(btf, "task_struct", "signal");
	t->task.thread_node = offset_of(btf, "task_struct", "thread_node");
	t->task.signal_thread_head = offset_of(btf, "signal_struct", "thread_head");
	return btf_types_size(btf, "task_struct", &t->task.bytes) == 0 &&
	       t->task.tasks != NO_MEMBER && t->task.pid != NO_MEMBER &&
	       t->task.tgid != NO_MEMBER && t->task.comm != NO_MEMBER &&
	       t->task.flags != NO_MEMBER && t->task.signal != NO_MEMBER &&
	       t->task.thread_node != NO_MEMBER && t->task.signal_thread_head != NO_MEMBER;
}

static int without_types(const struct vpmu_kernel *k, const char *why, struct vpmu_error *reterr)
{
	return error_set(reterr, -EOPNOTSUPP,
			 "the guest's kernel %s %s: only its own symbols can be read", k->release,
			 why);
}

int kernel_types_load(struct vpmu_kernel *k, struct vpmu_error *reterr)
{
	uint64_t from = k->gva[KERNEL_START_BTF], n = k->gva[KERNEL_STOP_BTF] - from;
	_free_ struct kernel_types *types = NULL;
	struct btf_types btf = {};
	_free_ void *bytes = NULL;
	int r;

	if (k->types)
		return 0;
	if (!k->paging.levels)
		return without_types(k, "hides its page tables", reterr);
	if (!from || !k->gva[KERNEL_STOP_BTF] || n > BTF_BYTES_MAX)
		return without_types(k, "has no type information (BTF)", reterr);
	types = calloc(1, sizeof(*types));
	bytes = malloc(n + 1);
	if (!types || !bytes)
		return error_oom(reterr);
	r = kernel_read_large(k, from, bytes, n);
	if (r == -ESRCH)
		return error_set(reterr, r, "the guest is gone");
	if (r == 0)
		r = btf_types_open(bytes, n, &btf);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r < 0)
		return without_types(k, "has type information (BTF) that cannot be read", reterr);
	r = load_module(&btf, types) && load_task(&btf, types) ? 0 : -EOPNOTSUPP;
	btf_types_deinit(&btf);
	if (r < 0)
		return without_types(k, "has structures that are not known", reterr);
	k->types = take_ptr(types);
	return 0;
}
