/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names for the host kernel's addresses: a table that came with the recording, kernel code that the recording announced
 * (BPF programs), and if the recording was made under this boot's kernel, /proc/kallsyms.
 */
#ifndef SYM_KERNEL_H
#define SYM_KERNEL_H

#include "sym/elf_file.h"
#include "sym/named_table.h"

struct kernel;

struct kernel *kernel_new(struct sym_env *env);
struct kernel *kernel_free(struct kernel *kernel);
DEFINE_CLEANUP(struct kernel *, kernel_free)

/* As symbolizer_set_host_kernel(). */
void kernel_set_reference(struct kernel *kernel, const struct build_id *build_id, const char *symbol,
			  uint64_t address);

/* As symbolizer_set_boot(). */
void kernel_set_boot(struct kernel *kernel, const char *boot_id);

/* As symbolizer_set_other_kernel(). */
void kernel_set_other(struct kernel *kernel);

/* A table that came with the recording; taken over. */
void kernel_set_table(struct kernel *kernel, struct symtab *table);

int kernel_add_code(struct kernel *kernel, uint64_t address, uint32_t length_bytes, const char *name);

/* Fills in all of *frame but address and side. */
void kernel_frame(struct kernel *kernel, struct vpmu_frame *frame);

/* The table in use, NULL if none was loaded yet (kernel_frame() does that); and the kernel's build-id. */
const struct symtab *kernel_table(const struct kernel *kernel, struct build_id *ret_build_id);

#endif
