/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of a guest's tasks runs, at the moment of a sample: what a BPF program must know to read it. */
#ifndef GUEST_CURRENT_H
#define GUEST_CURRENT_H

#include "bpf/vpmu_bpf.h"
#include "guest/kernel.h"

/* -EOPNOTSUPP: a kernel that keeps it elsewhere, or has no type information; -ESRCH, -ESTALE, -ENOMEM. */
int current_describe(struct vpmu_kernel *kernel, struct vpmu_bpf_guest *ret, struct vpmu_error *reterr);

/*
 * The task that runs on CPU number @cpu of the guest right now: where that CPU's data is, is in the kernel's own table here, as no register
 * is known. Types must be loaded. Errors: as above; -EFAULT: there is no such CPU.
 */
struct guest_task;
int current_read(struct vpmu_kernel *kernel, unsigned int cpu, struct guest_task *ret);

#endif
