/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/tasks.h"
#include "util/error.h"
#include "util/macro.h"

/* In all, and so for each list: pid_max is 4 million, but a guest with so many is up to no good. */
#define TASKS_MAX (256u << 10)

#define FLAG_KTHREAD 0x00200000 /* PF_KTHREAD */

struct walk {
	struct vpmu_kernel *kernel;
	int (*fn)(const struct guest_task *task, void *data);
	void *data;
	unsigned int left;
};

int task_read(struct vpmu_kernel *k, uint64_t gva, struct guest_task *ret)
{
	const struct kernel_types *t = k->types;
	int r;

	*ret = (struct guest_task){.gva = gva};
	r = kernel_read(k, gva + t->task.pid, &ret->pid, sizeof(ret->pid));
	if (r == 0)
		r = kernel_read(k, gva + t->task.tgid, &ret->tgid, sizeof(ret->tgid));
	if (r == 0)
		r = kernel_read_u32(k, gva + t->task.flags, &ret->flags);
	if (r == 0)
		r = kernel_read_u64(k, gva + t->task.mm, &ret->mm_gva);
	if (r == 0)
		r = kernel_read(k, gva + t->task.comm, ret->comm, sizeof(ret->comm));
	ret->comm[TASK_COMM_BYTES - 1] = '\0';
	return r;
}

/*
 * One list: @head is the place of a struct list_head, @link where it is in each task. A task that
 * does not point back to the one before it ends the list: it went away while we were reading, or
 * the list is made up.
 */
static int walk_list(struct walk *walk, uint64_t head, uint32_t link,
		     int (*each)(struct walk *walk, uint64_t task_gva))
{
	struct vpmu_kernel *k = walk->kernel;
	uint64_t at, links[2], before = head;
	int r = kernel_read_u64(k, head, &at);

	while (r == 0 && at != head && walk->left) {
		walk->left--;
		r = kernel_read(k, at, links, sizeof(links));
		if (r < 0 || links[1] != before)
			break;
		r = each(walk, at - link);
		before = at;
		at = links[0];
	}
	return r == -EFAULT ? 0 : r;
}

static int see_thread(struct walk *walk, uint64_t task_gva)
{
	struct guest_task task;
	int r = task_read(walk->kernel, task_gva, &task);

	return r < 0 ? r : walk->fn(&task, walk->data);
}

static int see_process(struct walk *walk, uint64_t task_gva)
{
	const struct kernel_types *t = walk->kernel->types;
	uint64_t signal;
	int r = kernel_read_u64(walk->kernel, task_gva + t->task.signal, &signal);

	if (r == 0)
		r = walk_list(walk, signal + t->task.signal_thread_head, t->task.thread_node,
			      see_thread);
	return r == -EFAULT ? 0 : r;
}

int tasks_each(struct vpmu_kernel *k, int (*fn)(const struct guest_task *task, void *data),
	       void *data)
{
	struct walk walk = {k, fn, data, TASKS_MAX};

	if (!k->gva[KERNEL_INIT_TASK])
		return 0;
	return walk_list(&walk, k->gva[KERNEL_INIT_TASK] + k->types->task.tasks,
			 k->types->task.tasks, see_process);
}

struct telling {
	vpmu_kernel_task_fn fn;
	void *data;
	int stopped;
};

static int tell_task(const struct guest_task *task, void *data)
{
	struct telling *telling = data;
	struct vpmu_kernel_task told = {
		.pid = task->pid,
		.tgid = task->tgid,
		.comm = task->comm,
		.kernel_thread = task->flags & FLAG_KTHREAD,
	};

	telling->stopped = telling->fn(&told, telling->data);
	return telling->stopped ? 1 : 0;
}

VPMU_API int vpmu_kernel_each_task(struct vpmu_kernel *k, vpmu_kernel_task_fn fn, void *data,
				   struct vpmu_error *reterr)
{
	struct telling telling = {fn, data, 0};
	int r = kernel_look_again(k, reterr);

	if (r == 0)
		r = kernel_types_load(k, reterr);
	if (r < 0)
		return r;
	r = tasks_each(k, tell_task, &telling);
	if (telling.stopped)
		return telling.stopped;
	return r < 0 ? kernel_failed(r, reterr) : 0;
}
