/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/btf_types.h"
#include "guest/kernel_types.h"
#include "guest/types_file.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
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
	t->module.num_orcs = offset_of(btf, "module", "arch.num_orcs");
	t->module.orc_ips = offset_of(btf, "module", "arch.orc_unwind_ip");
	t->module.orcs = offset_of(btf, "module", "arch.orc_unwind");
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
	t->task.current_in_hot = offset_of(btf, "pcpu_hot", "current_task");
	t->task.stack = offset_of(btf, "task_struct", "stack");
	t->task.thread_sp = offset_of(btf, "task_struct", "thread.sp");
	t->task.hardirq_in_hot = offset_of(btf, "pcpu_hot", "hardirq_stack_ptr");
	if (btf_types_size(btf, "thread_union", &t->task.stack_bytes) < 0)
		t->task.stack_bytes = 0;
	if (btf_types_size(btf, "cea_exception_stacks", &t->task.exception_stacks_bytes) < 0)
		t->task.exception_stacks_bytes = 0;
	t->task.signal_thread_head = offset_of(btf, "signal_struct", "thread_head");
	return btf_types_size(btf, "task_struct", &t->task.bytes) == 0 &&
	       t->task.tasks != NO_MEMBER && t->task.pid != NO_MEMBER &&
	       t->task.tgid != NO_MEMBER && t->task.comm != NO_MEMBER &&
	       t->task.flags != NO_MEMBER && t->task.mm != NO_MEMBER &&
	       t->task.signal != NO_MEMBER && t->task.thread_node != NO_MEMBER &&
	       t->task.signal_thread_head != NO_MEMBER;
}

/* struct mm_struct and vm_area_struct. Areas are in a tree since 6.1 (d4af56c5c7c6). */
static bool load_areas(const struct btf_types *btf, struct kernel_types *t)
{
	t->mm.pgd = offset_of(btf, "mm_struct", "pgd");
	t->mm.first_area = offset_of(btf, "mm_struct", "mmap");
	t->mm.tree_root = offset_of(btf, "mm_struct", "mm_mt.ma_root");
	t->mm.start_brk = offset_of(btf, "mm_struct", "start_brk");
	t->mm.brk = offset_of(btf, "mm_struct", "brk");
	t->mm.start_stack = offset_of(btf, "mm_struct", "start_stack");
	t->area.start = offset_of(btf, "vm_area_struct", "vm_start");
	t->area.end = offset_of(btf, "vm_area_struct", "vm_end");
	t->area.next = offset_of(btf, "vm_area_struct", "vm_next");
	t->area.flags = offset_of(btf, "vm_area_struct", "vm_flags");
	t->area.page_offset = offset_of(btf, "vm_area_struct", "vm_pgoff");
	t->area.file = offset_of(btf, "vm_area_struct", "vm_file");
	t->area.ops = offset_of(btf, "vm_area_struct", "vm_ops");
	t->area.private_data = offset_of(btf, "vm_area_struct", "vm_private_data");
	t->area.anon_name = offset_of(btf, "vm_area_struct", "anon_name");
	t->area.anon_name_text = offset_of(btf, "anon_vma_name", "name");
	t->area.special_name = offset_of(btf, "vm_special_mapping", "name");
	return (t->mm.tree_root != NO_MEMBER ||
		(t->mm.first_area != NO_MEMBER && t->area.next != NO_MEMBER)) &&
	       t->mm.start_brk != NO_MEMBER && t->mm.brk != NO_MEMBER &&
	       t->mm.start_stack != NO_MEMBER && t->area.start != NO_MEMBER &&
	       t->area.end != NO_MEMBER && t->area.flags != NO_MEMBER &&
	       t->area.page_offset != NO_MEMBER && t->area.file != NO_MEMBER;
}

static bool load_file(const struct btf_types *btf, struct kernel_types *t)
{
	t->file.path = offset_of(btf, "file", "f_path");
	t->file.inode = offset_of(btf, "file", "f_inode");
	t->file.mode = offset_of(btf, "file", "f_mode");
	t->file.user_path = offset_of(btf, "backing_file", "user_path");
	t->file.mount_vfs = offset_of(btf, "mount", "mnt");
	t->file.mount_root = offset_of(btf, "mount", "mnt.mnt_root");
	t->file.mount_parent = offset_of(btf, "mount", "mnt_parent");
	t->file.mount_mountpoint = offset_of(btf, "mount", "mnt_mountpoint");
	t->file.dentry_parent = offset_of(btf, "dentry", "d_parent");
	t->file.dentry_name = offset_of(btf, "dentry", "d_name.name");
	t->file.dentry_hashed = offset_of(btf, "dentry", "d_hash.pprev");
	t->file.dentry_inode = offset_of(btf, "dentry", "d_inode");
	t->file.inode_number = offset_of(btf, "inode", "i_ino");
	t->file.inode_super = offset_of(btf, "inode", "i_sb");
	t->file.super_dev = offset_of(btf, "super_block", "s_dev");
	return t->file.path != NO_MEMBER && t->file.inode != NO_MEMBER &&
	       t->file.mode != NO_MEMBER && t->file.mount_root != NO_MEMBER &&
	       t->file.mount_parent != NO_MEMBER && t->file.mount_mountpoint != NO_MEMBER &&
	       t->file.dentry_parent != NO_MEMBER && t->file.dentry_name != NO_MEMBER &&
	       t->file.dentry_hashed != NO_MEMBER && t->file.dentry_inode != NO_MEMBER &&
	       t->file.inode_number != NO_MEMBER && t->file.inode_super != NO_MEMBER &&
	       t->file.super_dev != NO_MEMBER;
}

/* Where the pages of files are. The index of a folio was its first page's until 5.16, and is kept there. */
static void load_pages(const struct btf_types *btf, struct kernel_types *t)
{
	t->file.mapping = offset_of(btf, "file", "f_mapping");
	t->page.mapping_head = offset_of(btf, "address_space", "i_pages.xa_head");
	t->page.node_shift = offset_of(btf, "xa_node", "shift");
	t->page.node_slots = offset_of(btf, "xa_node", "slots");
	t->page.index = offset_of(btf, "folio", "index");
	if (t->page.index == NO_MEMBER)
		t->page.index = offset_of(btf, "page", "index");
	t->page.known = btf_types_size(btf, "page", &t->page.bytes) == 0 && t->page.bytes &&
			t->file.mapping != NO_MEMBER && t->page.mapping_head != NO_MEMBER &&
			t->page.node_shift != NO_MEMBER && t->page.node_slots != NO_MEMBER && t->page.index != NO_MEMBER;
}

static void load_generated_code(const struct btf_types *btf, struct kernel_types *t)
{
	t->bpf_ksym.start = offset_of(btf, "bpf_ksym", "start");
	t->bpf_ksym.name = offset_of(btf, "bpf_ksym", "name");
	t->bpf_ksym.link = offset_of(btf, "bpf_ksym", "lnode");
	t->ftrace_ops.link = offset_of(btf, "ftrace_ops", "list");
	t->ftrace_ops.trampoline = offset_of(btf, "ftrace_ops", "trampoline");
	t->kprobes.cache_name = offset_of(btf, "kprobe_insn_cache", "sym");
	t->kprobes.cache_pages = offset_of(btf, "kprobe_insn_cache", "pages");
	t->kprobes.page_link = offset_of(btf, "kprobe_insn_page", "list");
	t->kprobes.page_insns = offset_of(btf, "kprobe_insn_page", "insns");
}

/* From the type information itself. -EBADMSG: it is none; -EOPNOTSUPP: without what is needed; -ENOMEM. */
static int take_types(const void *bytes, size_t n, struct kernel_types **ret_types)
{
	_free_ struct kernel_types *types = calloc(1, sizeof(*types));
	struct btf_types btf = {};
	int r = types ? btf_types_open(bytes, n, &btf) : -ENOMEM;

	if (r < 0)
		return r;
	r = load_module(&btf, types) && load_task(&btf, types) ? 0 : -EOPNOTSUPP;
	load_generated_code(&btf, types);
	load_pages(&btf, types);
	types->mm.known = load_areas(&btf, types) && load_file(&btf, types);
	btf_types_deinit(&btf);
	if (r == 0)
		*ret_types = take_ptr(types);
	return r;
}

static bool has_own_types(const struct vpmu_kernel *k)
{
	return k->gva[KERNEL_START_BTF] && k->gva[KERNEL_STOP_BTF] &&
	       k->gva[KERNEL_STOP_BTF] - k->gva[KERNEL_START_BTF] <= BTF_BYTES_MAX;
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
	_free_ void *bytes = NULL;
	int r;

	if (k->confined)
		return kernel_is_confined(k, reterr);
	if (!k->paging.levels)
		return without_types(k, "hides its page tables", reterr);
	if (k->types)
		return 0;
	if (!has_own_types(k)) {
		without_types(k, "has no type information (BTF)", reterr);
		error_hint(reterr, "a vmlinux of this very kernel with section .BTF can be given instead");
		return -EOPNOTSUPP;
	}
	bytes = malloc(n + 1);
	if (!bytes)
		return error_oom(reterr);
	kernel_work_begin(k);
	r = kernel_read_large(k, from, bytes, n);
	if (r == -ESRCH)
		return error_set(reterr, r, "the guest is gone");
	if (r == 0)
		r = take_types(bytes, n, &k->types);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r == -EOPNOTSUPP)
		return without_types(k, "has structures that are not known", reterr);
	return r < 0 ? without_types(k, "has type information (BTF) that cannot be read", reterr) : 0;
}

int kernel_types_load_file(struct vpmu_kernel *k, const char *path, struct vpmu_error *reterr)
{
	_free_ void *bytes = NULL;
	size_t n;
	int r;

	if (k->confined || k->types)
		return 0;
	if (has_own_types(k)) {
		log_debug("the guest's kernel has type information (BTF) of its own: '%s' is not needed", path);
		return 0;
	}
	r = types_file_read(path, k->build_id, BTF_BYTES_MAX, &bytes, &n, reterr);
	if (r < 0)
		return r;
	if (!k->build_id[0])
		log_warn("the guest's kernel has no build-id: nothing tells whether '%s' is its vmlinux", path);
	r = take_types(bytes, n, &k->types);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r == -EOPNOTSUPP)
		return error_set(reterr, r, "the type information in '%s' lacks structures that are needed, or has others", path);
	return r < 0 ? error_set(reterr, r, "'%s' has type information (section .BTF) that cannot be read", path) : 0;
}
