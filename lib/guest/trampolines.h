/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code that a guest's kernel made at run time, besides that of BPF (bpf_symbols.h): what calls tracers (kernel/trace/ftrace.c), and the
 * pages with instructions that probes have moved (kernel/kprobes.c). /proc/kallsyms lists both since 5.8.
 */
#ifndef GUEST_TRAMPOLINES_H
#define GUEST_TRAMPOLINES_H

#include "guest/kernel.h"

/* In the order of /proc/kallsyms, until @fn returns non-zero, which is returned. Types must be loaded. -ESRCH. */
int ftrace_trampolines_each(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn, void *data);
int kprobe_pages_each(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn, void *data);

#endif
