/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Linux kernel inside a guest: found in its memory, with its own symbol table. What is inside
 * (modules, tasks) has files of its own, which start from here.
 */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include <vpmu/introspect.h>

#include "format/kallsyms_tables.h"
#include "guest/linux_image.h"
#include "guest/memory.h"
#include "guest/paging.h"

/* Symbols that the rest of lib/guest starts from. An address of 0: the kernel does not list it. */
enum kernel_symbol {
	KERNEL_INIT_TOP_PGT,
	KERNEL_SWAPPER_PG_DIR,
	KERNEL_LINUX_BANNER,
	KERNEL_START_NOTES,
	KERNEL_STOP_NOTES,
	KERNEL_START_BTF,
	KERNEL_STOP_BTF,
	KERNEL_MODULES,
	KERNEL_INIT_TASK,
	KERNEL_MAX_PFN,
	KERNEL_BPF_KALLSYMS,
	KERNEL_BPF_JIT_KALLSYMS,
	KERNEL_BPF_JIT_HARDEN,
	KERNEL_SPECIAL_MAPPING_VMOPS,
	KERNEL_VMEMMAP_BASE,
	KERNEL_FTRACE_TRAMPOLINES,
	KERNEL_KPROBE_SLOTS,
	KERNEL_KPROBE_OPT_SLOTS,
	KERNEL_PER_CPU_OFFSET,
	KERNEL_CURRENT_TASK, /* these four are no addresses: see current.c */
	KERNEL_PCPU_HOT,
	KERNEL_HARDIRQ_STACK_PTR,
	KERNEL_EXCEPTION_STACKS,
	KERNEL_FRED_ENTRY,
	KERNEL_RET_FROM_FORK,
	KERNEL_STEXT,
	KERNEL_ETEXT,
	KERNEL_ORC_HEADER,
	KERNEL_START_ORC_IPS,
	KERNEL_STOP_ORC_IPS,
	KERNEL_START_ORC,
	KERNEL_STOP_ORC,
	KERNEL_VDSO_IMAGE,
	KERNEL_SYMBOLS,
};

struct confined;
struct kernel_types;

struct vpmu_kernel {
	struct confined *confined; /* NULL, or: another process parses; there is nothing here but info and what it is made of */
	struct memory *memory;
	struct linux_image image;
	struct paging paging; /* levels 0: the root was not found, only the image can be read */
	struct kallsyms_tables symbols;
	void *symbol_bytes;
	uint64_t gva[KERNEL_SYMBOLS];
	uint32_t n_named;
	uint64_t work_left; /* what may still be read in this look */
	char release[65], banner[512], build_id[41];
	struct kernel_types *types; /* NULL until asked for */
	struct vpmu_kernel_info info;
};

/* By the kernel's own page tables. 0, -ESRCH, -EFAULT: also once too much was read since kernel_work_begin(). */
int kernel_read(struct vpmu_kernel *kernel, uint64_t gva, void *bytes, size_t n);
int kernel_read_large(struct vpmu_kernel *kernel, uint64_t gva, void *bytes, size_t n);
/* By those of one of its processes. */
int kernel_read_of(struct vpmu_kernel *kernel, const struct paging *paging, uint64_t gva, void *bytes, size_t n);
int kernel_read_u64(struct vpmu_kernel *kernel, uint64_t gva, uint64_t *ret);
int kernel_read_u32(struct vpmu_kernel *kernel, uint64_t gva, uint32_t *ret);
ssize_t kernel_read_string(struct vpmu_kernel *kernel, uint64_t gva, char *text, size_t room);
void kernel_work_begin(struct vpmu_kernel *kernel);
/* Inside of the image, where no page tables are needed. */
int kernel_read_image(struct vpmu_kernel *kernel, uint64_t gva, void *bytes, size_t n);
/* For linux_image_find() in kernel->memory, with @data the kernel: what lies there is one if its symbols can be read. */
int kernel_accept(const struct linux_image *image, void *data);
void kernel_fill_info(struct vpmu_kernel *kernel, uint64_t all_bytes);
/* Begins a new look: what was read before is read again, after checking that it is still the same
 * boot. */
int kernel_look_again(struct vpmu_kernel *kernel, struct vpmu_error *reterr);
/* What a confined kernel cannot be asked for. -EOPNOTSUPP. */
int kernel_is_confined(const struct vpmu_kernel *kernel, struct vpmu_error *reterr);
/* The two halves of vpmu_kernel_each_symbol(), without looking again: what never changes, and what is loaded now. */
int kernel_own_symbols(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn, void *data);
int kernel_loaded_symbols(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn, void *data, struct vpmu_error *reterr);
/* Puts what a negative errno means in words; returns it. */
int kernel_failed(int code, struct vpmu_error *reterr);

#endif
