/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/elf_head.h"
#include "guest/areas.h"
#include "guest/code_areas.h"
#include "guest/confined.h"
#include "guest/file_names.h"
#include "guest/kernel_types.h"
#include "guest/resident_symbols.h"
#include "util/strbuf.h"

#define VM_EXEC	   0x4
/* Of one process: it may have 65530 areas, and each a path of its own. */
#define ANSWER_BYTES_MAX (32u << 20)

struct code_area_walk {
	struct vpmu_kernel *kernel;
	int (*fn)(const struct code_area *area, void *data);
	void *data;
	struct paging paging; /* of the process; levels 0 = not to be had */
	/* What was mapped from its beginning last: its other parts follow. */
	struct resident_file file;
	char path[CODE_AREA_PATH_BYTES]; /* of the area that is told */
	char head[ELF_HEAD_BYTES];
	int stopped;
};

/* The page tables of the process, which are the kernel's own and the process's in one. */
static void find_paging(struct code_area_walk *walk, uint64_t mm_gva)
{
	struct vpmu_kernel *k = walk->kernel;
	struct translation at;
	uint64_t pgd_gva;

	if (k->types->mm.pgd != NO_MEMBER && kernel_read_u64(k, mm_gva + k->types->mm.pgd, &pgd_gva) == 0 &&
	    paging_walk(k->memory, &k->paging, pgd_gva, &at) == 0)
		walk->paging = (struct paging){.root_gpa = at.gpa, .levels = k->paging.levels};
}

static int name_area(struct code_area_walk *walk, const struct area *area)
{
	struct vpmu_kernel *k = walk->kernel;
	struct file_name file;
	uint64_t vmops = k->gva[KERNEL_SPECIAL_MAPPING_VMOPS];

	if (area->file_gva)
		return file_name_read(k, area->file_gva, walk->path, sizeof(walk->path), &file);
	strcpy(walk->path, area->ops_gva && area->ops_gva == vmops ? "[vdso]" : "//anon");
	return 0;
}

static void read_head(struct code_area_walk *walk, const struct area *area, struct code_area *told)
{
	bool is_vdso = !area->file_gva && walk->path[0] == '[';
	struct elf_head head;

	if (!is_vdso && (!area->file_gva || area->file_gva != walk->file.file_gva))
		return;
	if (is_vdso)
		walk->file = (struct resident_file){walk->kernel, 0, &walk->paging, area->start_gva};
	if (resident_file_read(&walk->file, 0, walk->head, ELF_HEAD_BYTES) < 0 ||
	    elf_head_parse(walk->head, ELF_HEAD_BYTES, &head) < 0)
		return;
	elf_head_detach(walk->head, &head);
	told->head = walk->head;
	told->build_id_bytes = head.build_id_bytes;
	memcpy(told->build_id, head.build_id, head.build_id_bytes);
}

static int see_area(const struct area *area, void *data)
{
	struct code_area_walk *walk = data;
	struct code_area told = {
		.start_gva = area->start_gva,
		.end_gva = area->end_gva,
		.offset_bytes = area->file_gva ? area->page_offset * PAGE_BYTES : 0,
		.path = walk->path,
		.walk = walk,
	};
	int r;

	if (area->file_gva && area->page_offset == 0)
		walk->file = (struct resident_file){walk->kernel, area->file_gva, &walk->paging, area->start_gva};
	if (!(area->flags & VM_EXEC))
		return 0;
	walk->path[0] = '\0';
	r = name_area(walk, area);
	if (r == -ESRCH || r == -ENOMEM)
		return r;
	read_head(walk, area, &told);
	walk->stopped = walk->fn(&told, walk->data);
	return walk->stopped ? 1 : 0;
}

/* struct vdso_image begins with where it is, and its size (6f121e548f83, "x86, vdso: Reimplement vdso.so preparation in build-time C"; 3.16). */
int code_area_vdso(const struct code_area *area, void *bytes, size_t room, size_t *ret_n)
{
	struct vpmu_kernel *k = area->walk ? area->walk->kernel : NULL;
	uint64_t data_gva, n;
	int r;

	if (!k || strcmp(area->path, "[vdso]") != 0 || !k->gva[KERNEL_VDSO_IMAGE])
		return -EOPNOTSUPP;
	r = kernel_read_u64(k, k->gva[KERNEL_VDSO_IMAGE], &data_gva);
	if (r == 0)
		r = kernel_read_u64(k, k->gva[KERNEL_VDSO_IMAGE] + 8, &n);
	if (r == 0 && n > room)
		r = -E2BIG;
	if (r == 0)
		r = kernel_read(k, data_gva, bytes, (size_t)n);
	if (r == 0)
		*ret_n = (size_t)n;
	return r;
}

int code_area_symbols(const struct code_area *area, int (*fn)(const struct elf_dynamic_symbol *symbol, void *data),
		      void *data, size_t *ret_bytes)
{
	const struct code_area_walk *walk = area->walk;

	*ret_bytes = 0;
	if (!walk || !area->head)
		return -ENOENT;
	return resident_symbols_each(&walk->file, area->head, fn, data, ret_bytes);
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

static int ask_confined(struct confined *confined, const struct parser_process *process,
			int (*fn)(const struct code_area *area, void *data), void *data)
{
	struct parser_answer answer = {.most_bytes = ANSWER_BYTES_MAX};
	int r = confined_ask(confined, PARSER_CODE_AREAS, process, sizeof(*process), &answer, NULL);

	if (r == 0)
		r = code_areas_decode(answer.bytes.text, answer.bytes.n, fn, data);
	strbuf_deinit(&answer.bytes);
	return r;
}

int code_areas_each(struct vpmu_kernel *k, uint64_t task_gva, int32_t tgid, uint64_t mm_gva,
		    int (*fn)(const struct code_area *area, void *data), void *data)
{
	struct code_area_walk walk = {.kernel = k, .fn = fn, .data = data};
	int r;

	if (k->confined)
		return ask_confined(k->confined, &(struct parser_process){task_gva, mm_gva, tgid}, fn, data);
	if (!k->types->mm.known)
		return -EOPNOTSUPP;
	memory_forget(k->memory);
	kernel_work_begin(k);
	r = still_has(k, task_gva, tgid, mm_gva);
	if (r < 0)
		return r;
	find_paging(&walk, mm_gva);
	r = areas_each(k, mm_gva, see_area, &walk);
	return walk.stopped ? walk.stopped : r;
}
