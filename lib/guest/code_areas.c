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
#include "util/cursor.h"
#include "util/strbuf.h"

#define VM_EXEC	   0x4
#define PATH_BYTES 4608
/* Of one process: it may have 65530 areas, and each a path of its own. */
#define ANSWER_BYTES_MAX (32u << 20)

struct code_area_walk {
	struct vpmu_kernel *kernel;
	int (*fn)(const struct code_area *area, void *data);
	void *data;
	struct paging paging; /* of the process; levels 0 = not to be had */
	/* What was mapped from its beginning last: its other parts follow. */
	struct resident_file file;
	char path[PATH_BYTES]; /* of the area that is told */
	char head[PAGE_BYTES];
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

/* ---- as bytes ---- */

void code_areas_encode(const struct code_area *area, struct strbuf *out)
{
	uint64_t places[] = {area->start_gva, area->end_gva, area->offset_bytes};
	uint32_t sizes[] = {(uint32_t)strlen(area->path), 0, area->build_id_bytes};
	struct elf_head head;

	/* What is behind the program headers nobody needs. */
	if (area->head && elf_head_parse(area->head, ELF_HEAD_BYTES, &head) == 0)
		sizes[1] = (uint32_t)elf_head_bytes(&head);
	strbuf_add(out, (const char *)places, sizeof(places));
	strbuf_add(out, (const char *)sizes, sizeof(sizes));
	strbuf_add(out, area->path, sizes[0]);
	strbuf_add(out, area->head, sizes[1]);
	strbuf_add(out, (const char *)area->build_id, sizes[2]);
}

/* Of one area; the strings are copied to where they end in a NUL, and in zeroes. */
static int decode(struct cursor *c, struct code_area *ret, char path[PATH_BYTES], char head[ELF_HEAD_BYTES])
{
	uint32_t path_bytes, head_bytes, id_bytes;
	const void *path_at, *head_at, *id_at;
	struct elf_head parsed;

	*ret = (struct code_area){.start_gva = cursor_u64(c), .end_gva = cursor_u64(c), .offset_bytes = cursor_u64(c)};
	path_bytes = cursor_u32(c);
	head_bytes = cursor_u32(c);
	id_bytes = cursor_u32(c);
	if (path_bytes >= PATH_BYTES || head_bytes > ELF_HEAD_BYTES || id_bytes > sizeof(ret->build_id))
		return -EBADMSG;
	path_at = cursor_bytes(c, path_bytes);
	head_at = cursor_bytes(c, head_bytes);
	id_at = cursor_bytes(c, id_bytes);
	if (c->failed || ret->end_gva <= ret->start_gva || memchr(path_at, '\0', path_bytes))
		return -EBADMSG;
	memcpy(path, path_at, path_bytes);
	path[path_bytes] = '\0';
	ret->path = path;
	memcpy(ret->build_id, id_at, id_bytes);
	ret->build_id_bytes = (uint8_t)id_bytes;
	memset(head, 0, ELF_HEAD_BYTES);
	memcpy(head, head_at, head_bytes);
	if (head_bytes && elf_head_parse(head, ELF_HEAD_BYTES, &parsed) == 0) {
		elf_head_detach(head, &parsed);
		ret->head = head;
	}
	return 0;
}

int code_areas_decode(const void *bytes, size_t n, int (*fn)(const struct code_area *area, void *data), void *data)
{
	struct cursor c = cursor_of(bytes, n);
	char path[PATH_BYTES], head[ELF_HEAD_BYTES];
	int r = 0;

	for (unsigned int i = 0; r == 0 && cursor_left(&c); i++) {
		struct code_area area;

		r = i < AREAS_MAX ? decode(&c, &area, path, head) : -EBADMSG;
		if (r == 0)
			r = fn(&area, data);
	}
	return r;
}
