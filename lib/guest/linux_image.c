/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/linux_image.h"
#include "guest/paging.h"
#include "util/macro.h"

/* Any word of memory may be read as an entry; those that lead nowhere new are not followed again.
 */
#define REMEMBERED 64
/* A guest may be full of what looks like kernels; looking into one is the costly part. */
#define TRIES_MAX 16

struct search {
	struct memory *memory;
	int (*accept)(const struct linux_image *image, void *data);
	void *data;
	unsigned int tries;
	uint64_t seen[REMEMBERED]; /* tables that were looked at, by a hash of their address; 0 =
				      none */
};

/* A table's entry that leads to another table of the kernel's. */
static bool leads_to_table(const struct memory *memory, uint64_t entry)
{
	return (entry & (PTE_PRESENT | PTE_WRITABLE | PTE_LARGE | PTE_NO_EXEC)) ==
		       (PTE_PRESENT | PTE_WRITABLE) &&
	       memory_has(memory, entry & PTE_ADDRESS, PAGE_BYTES);
}

/* Where entry @i of level2_kernel_pgt leads: a 2 MiB page, or, once its rights were changed, a
 * table of 4 KiB pages. */
static int part_gpa(struct memory *memory, uint64_t entry, uint64_t *ret_gpa)
{
	uint64_t first;
	int r;

	if (entry & PTE_LARGE) {
		*ret_gpa = entry & PTE_ADDRESS & ~(LARGE_PAGE_BYTES - 1);
		return 0;
	}
	r = memory_read(memory, entry & PTE_ADDRESS, &first, sizeof(first));
	if (r < 0)
		return r;
	/* Pages that are not used any more (init memory) were taken out; their address is kept but
	 * not the bit. */
	*ret_gpa = first & PTE_ADDRESS;
	return first & PTE_PRESENT && !(*ret_gpa & (LARGE_PAGE_BYTES - 1)) ? 0 : -ENOENT;
}

/* Reads level2_kernel_pgt: -ENOENT if it does not look like it. Before anything else speaks for it, @min_large pages of 2 MiB must. */
static int read_image(struct memory *memory, uint64_t table_gpa, size_t min_large, struct linux_image *ret)
{
	uint64_t entries[512], part;
	size_t first = 0, end, large = 0;
	int r = memory_read(memory, table_gpa, entries, sizeof(entries));

	if (r < 0)
		return r;
	while (first < 512 && !(entries[first] & PTE_PRESENT))
		first++;
	if (first == 512 || part_gpa(memory, entries[first], &ret->text_gpa) < 0)
		return -ENOENT;
	for (end = first; end < 512 && entries[end] & PTE_PRESENT; end++) {
		large += !!(entries[end] & PTE_LARGE);
		if (part_gpa(memory, entries[end], &part) == 0 &&
		    part != ret->text_gpa + (end - first) * LARGE_PAGE_BYTES)
			break;
	}
	ret->n_bytes = (end - first) * LARGE_PAGE_BYTES;
	if (large < min_large || !memory_has(memory, ret->text_gpa, ret->n_bytes))
		return -ENOENT;
	ret->table_gpa = table_gpa;
	ret->text_gva = KERNEL_WINDOW + first * LARGE_PAGE_BYTES;
	return 0;
}

static int look_at(uint64_t page_gpa, uint64_t word, void *data)
{
	struct search *search = data;
	uint64_t above = word & PTE_ADDRESS, last[2],
		 * seen = &search->seen[above / PAGE_BYTES % REMEMBERED];
	struct linux_image image;
	int r;

	(void)page_gpa;
	if (!leads_to_table(search->memory, word) || *seen == above)
		return 0;
	r = memory_read(search->memory, above + 510 * 8, last, sizeof(last));
	if (r == -ESRCH)
		return r;
	if (r < 0 || !leads_to_table(search->memory, last[0]) ||
	    !leads_to_table(search->memory, last[1]))
		return 0;
	*seen = above;
	r = read_image(search->memory, last[0] & PTE_ADDRESS, 2, &image);
	if (r < 0)
		return r == -ESRCH ? r : 0;
	if (++search->tries > TRIES_MAX)
		return -ENOENT;
	image.above_gpa = above;
	r = search->accept(&image, search->data);
	/* memory_scan() goes on after 0, so success travels as 1. */
	return r == -ENOENT ? 0 : r == 0 ? 1 : r;
}

int linux_image_find(struct memory *memory,
		     int (*accept)(const struct linux_image *image, void *data), void *data)
{
	struct search search = {.memory = memory, .accept = accept, .data = data};
	int r = memory_scan(memory, PAGE_BYTES - 8, look_at, &search);

	return r == 0 ? -ENOENT : r == 1 ? 0 : r;
}

/* The kernel's table hangs below the root itself, or, with 5 levels, below what the root's last entry leads to. */
static int try_root(struct search *search, uint64_t root_gpa)
{
	uint64_t word;
	int r = memory_read(search->memory, root_gpa + 511 * 8, &word, sizeof(word));

	if (r == 0)
		r = look_at(root_gpa, word, search);
	if (r || !leads_to_table(search->memory, word))
		return r;
	r = memory_read(search->memory, (word & PTE_ADDRESS) + 511 * 8, &word, sizeof(word));
	return r < 0 ? r : look_at(root_gpa, word, search);
}

int linux_image_try_roots(struct memory *memory, const uint64_t *cr3, unsigned int n,
			  int (*accept)(const struct linux_image *image, void *data), void *data)
{
	struct search search = {.memory = memory, .accept = accept, .data = data};
	int r = 0;

	for (unsigned int i = 0; i < n && (r == 0 || r == -EFAULT); i++) {
		uint64_t root = cr3[i] & PTE_ADDRESS;

		r = try_root(&search, root);
		/* With page table isolation what runs in user space has a root of its own, right behind the kernel's. */
		if ((r == 0 || r == -EFAULT) && root & PAGE_BYTES)
			r = try_root(&search, root & ~(uint64_t)PAGE_BYTES);
	}
	return r == 1 ? 0 : r == 0 || r == -EFAULT ? -ENOENT : r;
}

int linux_image_read(struct memory *memory, uint64_t above_gpa, struct linux_image *ret)
{
	struct linux_image image;
	uint64_t entry;
	int r = memory_read(memory, above_gpa + 510 * 8, &entry, sizeof(entry));

	if (r == 0 && !leads_to_table(memory, entry))
		r = -ENOENT;
	if (r == 0)
		r = read_image(memory, entry & PTE_ADDRESS, 0, &image);
	if (r < 0)
		return r;
	image.above_gpa = above_gpa;
	*ret = image;
	return 0;
}

int linux_image_check(struct memory *memory, const struct linux_image *image)
{
	struct linux_image now;
	uint64_t last;
	int r = memory_read(memory, image->above_gpa + 510 * 8, &last, sizeof(last));

	if (r == 0 && (last & PTE_ADDRESS) != image->table_gpa)
		return -ESTALE;
	if (r == 0)
		r = read_image(memory, image->table_gpa, 0, &now);
	if (r < 0)
		return r == -ESRCH ? r : -ESTALE;
	return now.text_gva == image->text_gva && now.text_gpa == image->text_gpa ? 0 : -ESTALE;
}
