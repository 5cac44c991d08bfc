/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/areas.h"
#include "guest/code_areas.h"
#include "guest/file_names.h"
#include "guest/kernel_types.h"

#define VM_EXEC 0x4

struct walk {
	struct vpmu_kernel *kernel;
	int (*fn)(const struct code_area *area, void *data);
	void *data;
	struct paging paging; /* of the process; levels 0 = not to be had */
	/* The file that was mapped from its beginning last: its other parts follow. */
	uint64_t file_gva, head_gva;
	char path[4608];
	char head[PAGE_BYTES];
	int stopped;
};

/* The page tables of the process, which are the kernel's own and the process's in one. */
static void find_paging(struct walk *walk, uint64_t mm_gva)
{
	struct vpmu_kernel *k = walk->kernel;
	struct translation at;
	uint64_t pgd_gva;

	if (k->types->mm.pgd != NO_MEMBER && kernel_read_u64(k, mm_gva + k->types->mm.pgd, &pgd_gva) == 0 &&
	    paging_walk(k->memory, &k->paging, pgd_gva, &at) == 0)
		walk->paging = (struct paging){.root_gpa = at.gpa, .levels = k->paging.levels};
}

static int name_area(struct walk *walk, const struct area *area)
{
	struct vpmu_kernel *k = walk->kernel;
	struct file_name file;
	uint64_t vmops = k->gva[KERNEL_SPECIAL_MAPPING_VMOPS];

	if (area->file_gva)
		return file_name_read(k, area->file_gva, walk->path, sizeof(walk->path), &file);
	strcpy(walk->path, area->ops_gva && area->ops_gva == vmops ? "[vdso]" : "//anon");
	return 0;
}

static bool read_head(struct walk *walk, const struct area *area)
{
	if (!area->file_gva || area->file_gva != walk->file_gva || !walk->paging.levels)
		return false;
	return paging_read(walk->kernel->memory, &walk->paging, walk->head_gva, walk->head, PAGE_BYTES) == 0;
}

static int see_area(const struct area *area, void *data)
{
	struct walk *walk = data;
	struct code_area told = {
		.start_gva = area->start_gva,
		.end_gva = area->end_gva,
		.offset_bytes = area->file_gva ? area->page_offset * PAGE_BYTES : 0,
		.path = walk->path,
	};
	int r;

	if (area->file_gva && area->page_offset == 0) {
		walk->file_gva = area->file_gva;
		walk->head_gva = area->start_gva;
	}
	if (!(area->flags & VM_EXEC))
		return 0;
	walk->path[0] = '\0';
	r = name_area(walk, area);
	if (r == -ESRCH || r == -ENOMEM)
		return r;
	if (read_head(walk, area))
		told.head = walk->head;
	walk->stopped = walk->fn(&told, walk->data);
	return walk->stopped ? 1 : 0;
}

/* Its memory may be another process's by now. */
static int still_has(struct vpmu_kernel *k, uint64_t task_gva, int32_t tgid, uint64_t mm_gva)
{
	uint64_t mm;
	uint32_t its_tgid;
	int r = kernel_read_u64(k, task_gva + k->types->task.mm, &mm);

	if (r == 0)
		r = kernel_read_u32(k, task_gva + k->types->task.tgid, &its_tgid);
	if (r < 0)
		return r;
	return mm == mm_gva && (int32_t)its_tgid == tgid ? 0 : -ENOENT;
}

int code_areas_each(struct vpmu_kernel *k, uint64_t task_gva, int32_t tgid, uint64_t mm_gva,
		    int (*fn)(const struct code_area *area, void *data), void *data)
{
	struct walk walk = {.kernel = k, .fn = fn, .data = data};
	int r;

	if (!k->types->mm.known)
		return -EOPNOTSUPP;
	memory_forget(k->memory);
	r = still_has(k, task_gva, tgid, mm_gva);
	if (r < 0)
		return r;
	find_paging(&walk, mm_gva);
	r = areas_each(k, mm_gva, see_area, &walk);
	return walk.stopped ? walk.stopped : r;
}
