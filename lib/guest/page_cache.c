/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pages of a file that are in memory hang in an array of the file's (struct address_space, i_pages, an XArray since 4.20: include/
 * linux/xarray.h). It is a tree of nodes with 64 slots each; a node covers 64 << shift pages. What is in a slot or in
 * the array's head:
 *
 *	bits 1:0 are 2	above 4096 a node, 2 bytes below; else the number of the slot that has the entry of them all (<< 2)
 *	bit 0 is set	no page, but what is remembered of one that was (a shadow, swap)
 *	otherwise	a struct page, or the first of several (a folio), whose own place in the file is in it
 *
 * Pages have no address of their own: struct page number N of the array at vmemmap_base is of page N of physical memory.
 */
#include <errno.h>

#include "guest/kernel_types.h"
#include "guest/page_cache.h"
#include "util/macro.h"

#define SLOTS	     64
#define DEPTH_MAX    11		/* 64 to the 11th are more pages than there are */
#define FOLIO_PAGES_MAX (1u << 18) /* 1 GiB */

/* The entry of page @index: 0 = none. */
static int find_entry(struct vpmu_kernel *k, uint64_t head_gva, uint64_t index, uint64_t *ret_entry)
{
	const struct kernel_types *t = k->types;
	uint64_t entry;
	int r = kernel_read_u64(k, head_gva, &entry);

	for (int depth = 0; r == 0 && (entry & 3) == 2 && entry > 4096; depth++) {
		uint64_t node = entry - 2, slots = node + t->page.node_slots, slot;
		uint8_t shift;

		r = depth < DEPTH_MAX ? kernel_read(k, node + t->page.node_shift, &shift, 1) : -EFAULT;
		if (r < 0 || shift > 60 || (depth == 0 && index >> shift >= SLOTS))
			return r < 0 ? r : -EFAULT;
		slot = index >> shift & (SLOTS - 1);
		r = kernel_read_u64(k, slots + slot * 8, &entry);
		if (r == 0 && (entry & 3) == 2 && entry < SLOTS << 2)
			r = kernel_read_u64(k, slots + (entry >> 2) * 8, &entry);
	}
	if (r == 0 && entry & 3)
		return -EFAULT;
	*ret_entry = entry;
	return r;
}

static int find_page(struct vpmu_kernel *k, uint64_t head_gva, uint64_t index, uint64_t *ret_gpa)
{
	const struct kernel_types *t = k->types;
	uint64_t entry, vmemmap, first = index;
	int r = find_entry(k, head_gva, index, &entry);

	if (r == 0 && !entry)
		r = -EFAULT;
	if (r == 0)
		r = kernel_read_u64(k, k->gva[KERNEL_VMEMMAP_BASE], &vmemmap);
	if (r == 0)
		r = kernel_read_u64(k, entry + t->page.index, &first);
	if (r < 0)
		return r;
	if (entry < vmemmap || index - first >= FOLIO_PAGES_MAX)
		return -EFAULT;
	*ret_gpa = ((entry - vmemmap) / t->page.bytes + (index - first)) * PAGE_BYTES;
	return 0;
}

int page_cache_read(struct vpmu_kernel *k, uint64_t file_gva, uint64_t offset, void *opaque, size_t n)
{
	const struct kernel_types *t = k->types;
	uint8_t *bytes = opaque;
	uint64_t mapping;
	int r;

	if (!t->page.known || !k->gva[KERNEL_VMEMMAP_BASE])
		return -EOPNOTSUPP;
	r = kernel_read_u64(k, file_gva + t->file.mapping, &mapping);
	while (r == 0 && n) {
		size_t within = (size_t)(offset % PAGE_BYTES), piece = MIN(n, PAGE_BYTES - within);
		uint64_t gpa;

		r = find_page(k, mapping + t->page.mapping_head, offset / PAGE_BYTES, &gpa);
		if (r == 0)
			r = memory_read_large(k->memory, gpa + within, bytes, piece);
		offset += piece;
		bytes += piece;
		n -= piece;
	}
	return r;
}
