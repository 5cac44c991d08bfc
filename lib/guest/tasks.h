/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tasks of a guest's kernel: every process is on a list that begins at init_task, every thread
 * on one of its process. Idle tasks (swapper/N) are on neither.
 */
#ifndef GUEST_TASKS_H
#define GUEST_TASKS_H

#include "guest/kernel.h"
#include "guest/kernel_types.h"

#define TASK_COMM_BYTES 16

struct guest_task {
	uint64_t gva;
	uint64_t mm_gva; /* 0: a kernel thread, or one that is exiting */
	int32_t pid, tgid;
	uint32_t flags; /* PF_*, include/linux/sched.h */
	char comm[TASK_COMM_BYTES];
};

/* The task at @gva. -EFAULT, -ESRCH. */
int task_read(struct vpmu_kernel *kernel, uint64_t gva, struct guest_task *ret);

/*
 * Calls @fn for each, process by process, until it returns non-zero, which is returned. Types must
 * be loaded. Lists that do not lead back to their head end where they stop to make sense. -ESRCH.
 */
int tasks_each(struct vpmu_kernel *kernel, int (*fn)(const struct guest_task *task, void *data),
	       void *data);

#endif
