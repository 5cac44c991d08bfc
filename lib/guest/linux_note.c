/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "format/vmcoreinfo.h"
#include "guest/linux_note.h"
#include "guest/paging.h"

#define WINDOW_BYTES (1ull << 30) /* kernels with KASLR have a gigabyte */
#define TRIES_MAX    64

struct search {
	struct memory *memory;
	int (*accept)(const struct linux_image *image, void *data);
	void *data;
	unsigned int tries;
};

/* Of an address in the kernel's window. false: it is none, or not in memory. */
static bool to_gpa(const struct search *search, const struct vmcoreinfo *info, uint64_t gva, uint64_t *ret_gpa)
{
	uint64_t gpa = gva - KERNEL_WINDOW + (uint64_t)info->phys_base;

	if (gva - KERNEL_WINDOW >= WINDOW_BYTES || !memory_has(search->memory, gpa, PAGE_BYTES))
		return false;
	*ret_gpa = gpa;
	return true;
}

static int entry_of(struct memory *memory, uint64_t table_gpa, unsigned int i, uint64_t *ret_gpa)
{
	uint64_t entry;
	int r = memory_read(memory, table_gpa + i * 8, &entry, sizeof(entry));

	if (r == 0 && (!(entry & PTE_PRESENT) || entry & PTE_LARGE))
		return -ENOENT;
	*ret_gpa = entry & PTE_ADDRESS;
	return r;
}

/* From the root to level3_kernel_pgt, and what hangs there. */
static int read_tables(struct search *search, const struct vmcoreinfo *info, uint64_t root_gpa, struct linux_image *ret)
{
	uint64_t above;
	int r = entry_of(search->memory, root_gpa, 511, &above);

	if (r == 0 && info->levels == 5)
		r = entry_of(search->memory, above, 511, &above);
	return r == 0 ? linux_image_read(search->memory, above, ret) : r;
}

static int try_note(struct search *search, uint64_t gpa)
{
	char note[VMCOREINFO_HEAD_BYTES + VMCOREINFO_TEXT_MAX];
	uint64_t root_gpa, stext_gpa;
	struct linux_image image;
	struct vmcoreinfo info;
	int r = memory_read(search->memory, gpa, note, sizeof(note));

	if (r < 0)
		return r;
	if (vmcoreinfo_parse(note, sizeof(note), &info) < 0 || !to_gpa(search, &info, info.swapper_pg_dir, &root_gpa) ||
	    !to_gpa(search, &info, info.stext, &stext_gpa) || ++search->tries > TRIES_MAX)
		return -ENOENT;
	r = read_tables(search, &info, root_gpa, &image);
	if (r < 0)
		return r;
	if (info.stext - image.text_gva >= image.n_bytes || info.stext - image.text_gva != stext_gpa - image.text_gpa)
		return -ENOENT;
	return search->accept(&image, search->data);
}

static int look_at(uint64_t page_gpa, uint64_t word, void *data)
{
	int r = vmcoreinfo_begins(word) ? try_note(data, page_gpa) : -ENOENT;

	/* memory_scan() goes on after 0, so success travels as 1. */
	return r == -ENOENT || r == -EFAULT ? 0 : r == 0 ? 1 : r;
}

int linux_note_find(struct memory *memory, int (*accept)(const struct linux_image *image, void *data), void *data)
{
	struct search search = {.memory = memory, .accept = accept, .data = data};
	int r = memory_scan(memory, 0, look_at, &search);

	return r == 0 ? -ENOENT : r == 1 ? 0 : r;
}
