/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables of x86-64: 4 or 5 tables of 512 entries, each for 9 bits of the address; the last 12
 * are the place in the page. An entry of the two tables above the last may be a page itself, of 2
 * MiB or 1 GiB.
 */
#include <errno.h>

#include "guest/paging.h"

/* Bits 63 to 47 (56 with 5 levels) of an address are the same. */
static bool canonical(const struct paging *paging, uint64_t gva)
{
	unsigned int shift = 64 - (12 + 9 * paging->levels);

	return (uint64_t)((int64_t)(gva << shift) >> shift) == gva;
}

int paging_walk(struct memory *memory, const struct paging *paging, uint64_t gva,
		struct translation *ret)
{
	uint64_t table = paging->root_gpa & PTE_ADDRESS;

	if (paging->levels < 4 || paging->levels > 5 || !canonical(paging, gva))
		return -EFAULT;
	for (unsigned int level = paging->levels; level > 0; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		uint64_t entry, page_bytes = 1ull << shift;
		int r = memory_read(memory, table + (gva >> shift & 511) * 8, &entry,
				    sizeof(entry));

		if (r < 0)
			return r;
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		if (level > 1 && !(entry & PTE_LARGE)) {
			table = entry & PTE_ADDRESS;
			continue;
		}
		if (level > 3)
			return -EFAULT; /* reserved: there are no pages of 512 GiB */
		ret->gpa = (entry & PTE_ADDRESS & ~(page_bytes - 1)) | (gva & (page_bytes - 1));
		ret->left_bytes = page_bytes - (gva & (page_bytes - 1));
		return 0;
	}
	return -EFAULT;
}
