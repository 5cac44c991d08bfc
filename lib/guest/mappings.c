/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory map of a process in the guest, as its /proc/PID/maps shows it (fs/proc/task_mmu.c).
 *
 * Where areas are listed changed in 6.1 (763ecb035029): until then they were linked by vm_next,
 * since then they are in a maple tree (areas.c). What an area says of itself is in vm_area_struct;
 * its file's name has to be put together from the directories above it (file_names.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest/areas.h"
#include "guest/file_names.h"
#include "guest/tasks.h"
#include "util/error.h"
#include "util/macro.h"

#define NAME_BYTES 4608 /* a path of 4096 and what is put around it */

/* vm_flags, include/linux/mm.h */
#define VM_READ	    0x1
#define VM_WRITE    0x2
#define VM_EXEC	    0x4
#define VM_MAYSHARE 0x80

struct telling {
	struct vpmu_kernel *kernel;
	vpmu_kernel_mapping_fn fn;
	void *data;
	int stopped;
	uint64_t start_brk, brk, start_stack;
	bool strict_heap;
	char name[NAME_BYTES];
};

/* Names of areas that have no file: special_mapping_name(), then heap and stack, then what the
 * process called it. */
static int name_area(struct telling *telling, const struct area *area)
{
	struct vpmu_kernel *k = telling->kernel;
	const struct kernel_types *t = k->types;
	char *name = telling->name;
	bool touches_heap;
	uint64_t at;

	if (area->ops_gva && area->ops_gva == k->gva[KERNEL_SPECIAL_MAPPING_VMOPS] &&
	    t->area.special_name != NO_MEMBER &&
	    kernel_read_u64(k, area->private_gva + t->area.special_name, &at) == 0)
		return (int)MIN(kernel_read_string(k, at, name, 64), 0);
	/* 6.7 or so: an area that only touches the heap is none of it any more. */
	touches_heap =
		telling->strict_heap
			? area->start_gva < telling->brk && area->end_gva > telling->start_brk
			: area->start_gva <= telling->brk && area->end_gva >= telling->start_brk;
	if (touches_heap)
		strcpy(name, "[heap]");
	else if (area->start_gva <= telling->start_stack && area->end_gva >= telling->start_stack)
		strcpy(name, "[stack]");
	else if (area->name_gva && t->area.anon_name_text != NO_MEMBER) {
		char text[128];

		if (kernel_read_string(k, area->name_gva + t->area.anon_name_text, text,
				       sizeof(text)) >= 0)
			snprintf(name, NAME_BYTES, "[anon:%s]", text);
	}
	return 0;
}

static int tell_area(const struct area *area, void *data)
{
	struct telling *telling = data;
	struct vpmu_kernel_mapping told = {
		.start_gva = area->start_gva,
		.end_gva = area->end_gva,
		.readable = area->flags & VM_READ,
		.writable = area->flags & VM_WRITE,
		.executable = area->flags & VM_EXEC,
		.shared = area->flags & VM_MAYSHARE,
		.name = telling->name,
	};
	struct file_name file = {};
	int r;

	telling->name[0] = '\0';
	if (area->file_gva) {
		r = file_name_read(telling->kernel, area->file_gva, telling->name, NAME_BYTES,
				   &file);
		told.offset_bytes = area->page_offset * PAGE_BYTES;
		told.major = file.major;
		told.minor = file.minor;
		told.inode = file.inode;
	} else {
		r = name_area(telling, area);
	}
	if (r == -ESRCH || r == -ENOMEM)
		return r;
	telling->stopped = telling->fn(&told, telling->data);
	return telling->stopped ? 1 : 0;
}

struct looking {
	int32_t pid;
	struct guest_task found;
};

static int look_for(const struct guest_task *task, void *data)
{
	struct looking *looking = data;

	if (task->pid != looking->pid)
		return 0;
	looking->found = *task;
	return 1;
}

/* Distributions do not move so small a change to older kernels. */
static bool at_least(const char *release, unsigned int major, unsigned int minor)
{
	unsigned int its_major = 0, its_minor = 0;

	if (sscanf(release, "%u.%u", &its_major, &its_minor) != 2)
		return true;
	return its_major > major || (its_major == major && its_minor >= minor);
}

static int tell_mappings(struct telling *telling, const struct guest_task *task)
{
	struct vpmu_kernel *k = telling->kernel;
	const struct kernel_types *t = k->types;
	int r = kernel_read_u64(k, task->mm_gva + t->mm.start_brk, &telling->start_brk);

	if (r == 0)
		r = kernel_read_u64(k, task->mm_gva + t->mm.brk, &telling->brk);
	if (r == 0)
		r = kernel_read_u64(k, task->mm_gva + t->mm.start_stack, &telling->start_stack);
	telling->strict_heap = at_least(k->release, 6, 7);
	if (r == 0)
		r = areas_each(k, task->mm_gva, tell_area, telling);
	return r == -EFAULT ? 0 : r;
}

VPMU_API int vpmu_kernel_each_mapping(struct vpmu_kernel *k, pid_t pid, vpmu_kernel_mapping_fn fn,
				      void *data, struct vpmu_error *reterr)
{
	struct telling telling = {.kernel = k, .fn = fn, .data = data};
	struct looking looking = {.pid = pid};
	int r = kernel_look_again(k, reterr);

	if (r == 0)
		r = kernel_types_load(k, reterr);
	if (r < 0)
		return r;
	if (!k->types->mm.known)
		return error_set(
			reterr, -EOPNOTSUPP,
			"the guest's kernel %s keeps memory maps in a way that is not known",
			k->release);
	r = tasks_each(k, look_for, &looking);
	if (r == 0)
		return error_set(reterr, -ENOENT, "there is no process %d in the guest", pid);
	if (r == 1)
		r = looking.found.mm_gva ? tell_mappings(&telling, &looking.found) : 0;
	if (telling.stopped)
		return telling.stopped;
	return r < 0 ? kernel_failed(r, reterr) : 0;
}
