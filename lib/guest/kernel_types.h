/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where things are in the structures of a guest's kernel: taken from the kernel's own type
 * information once, or from its vmlinux, kept as plain numbers. docs/guest-abi.md says what each is, and how it changed.
 */
#ifndef GUEST_KERNEL_TYPES_H
#define GUEST_KERNEL_TYPES_H

#include <vpmu/error.h>
#include "guest/kernel.h"

#define NO_MEMBER UINT32_MAX /* this kernel has none */

/* enum mod_mem_type since 6.4; before: core_layout, init_layout, data_layout */
#define MODULE_PARTS 7

struct kernel_types {
	struct {
		uint32_t bytes, state, list, name, name_bytes, refcnt, taints, init, exit,
			source_list, kallsyms;
		uint32_t syms, num_syms;
		uint32_t num_orcs, orc_ips, orcs; /* of .arch, with CONFIG_UNWINDER_ORC */
		struct {
			uint32_t base, size;
		} parts[MODULE_PARTS];
		bool has_unload; /* CONFIG_MODULE_UNLOAD */
	} module;
	struct {
		uint32_t symtab, num_symtab, strtab, typetab;
	} mod_kallsyms;
	struct {
		uint32_t source_list, source;
	} module_use;
	struct {
		uint32_t bytes, tasks, pid, tgid, comm, flags, mm, signal, thread_node;
		uint32_t signal_thread_head;
		uint32_t current_in_hot; /* in struct pcpu_hot, 6.2 to 6.14 */
		uint32_t stack, thread_sp;
		uint32_t hardirq_in_hot; /* as current_in_hot */
		uint32_t stack_bytes;	 /* of a task's kernel stack; 0 = not known */
		uint32_t exception_stacks_bytes; /* of a CPU's stacks for exceptions; 0 = not known */
	} task;
	struct {
		uint32_t start, name, link;
	} bpf_ksym;
	struct {
		uint32_t link, trampoline;
	} ftrace_ops;
	struct {
		uint32_t cache_name, cache_pages, page_link, page_insns;
	} kprobes;
	struct {
		bool known; /* all that a memory map needs */
		uint32_t pgd, first_area, tree_root, start_brk, brk, start_stack;
	} mm;
	struct {
		uint32_t start, end, next, flags, page_offset, file, ops, private_data, anon_name;
		uint32_t anon_name_text, special_name;
	} area;
	struct {
		uint32_t path, inode, mode, mapping, user_path; /* of struct file; the last of struct backing_file */
		uint32_t mount_vfs, mount_root, mount_parent, mount_mountpoint;
		uint32_t dentry_parent, dentry_name, dentry_hashed, dentry_inode;
		uint32_t inode_number, inode_super, super_dev;
	} file;
	struct {
		bool known; /* all that a file's pages need */
		uint32_t bytes, index, mapping_head, node_shift, node_slots;
	} page;
};

struct kernel_types *kernel_types_free(struct kernel_types *types);

/*
 * Sets kernel->types, if it is not set yet. -EOPNOTSUPP (with a text): the kernel has no type
 * information, or not what is needed; -ESRCH, -ENOMEM.
 */
int kernel_types_load(struct vpmu_kernel *kernel, struct vpmu_error *reterr);

/*
 * The same from a vmlinux, for a kernel that lists no type information of its own; with others nothing is done, and @path is not opened.
 * Errors: as types_file_read(); -EBADMSG (damaged), -EOPNOTSUPP (not what is needed).
 */
int kernel_types_load_file(struct vpmu_kernel *kernel, const char *path, struct vpmu_error *reterr);

#endif
