/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of BPF programs and trampolines in a guest's kernel: the list `bpf_kallsyms`
 * (kernel/bpf/core.c), since 5.7. */
#ifndef GUEST_BPF_SYMBOLS_H
#define GUEST_BPF_SYMBOLS_H

#include "guest/kernel.h"

/*
 * Each of them as one of module "bpf", until @fn returns non-zero, which is returned. Types must be
 * loaded. None where the guest's sysctls keep them out of its own /proc/kallsyms. -ESRCH.
 */
int bpf_symbols_each(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn, void *data);

#endif
