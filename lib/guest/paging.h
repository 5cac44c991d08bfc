/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the guest's virtual addresses (gva) to its physical ones (gpa), by the guest's own page
 * tables.
 *
 * The tables are the guest's, so they may say anything: point outside of memory, to themselves,
 * change while they are read. A walk takes at most one step per level; every step is checked
 * against the memory there is.
 */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include <stddef.h>
#include <stdint.h>
#include "guest/memory.h"

struct paging {
	uint64_t root_gpa;
	unsigned int levels; /* 4 or 5 */
};

/* One entry of a table, as x86 has it (Intel SDM 3A, 4.5). */
#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITABLE (1ull << 1)
#define PTE_LARGE    (1ull << 7) /* in a table of 2 MiB or 1 GiB steps: a page, not a table */
#define PTE_NO_EXEC  (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull

/* What a walk ends at. */
struct translation {
	uint64_t gpa;	     /* of the address asked for */
	uint64_t left_bytes; /* from there to the end of the page */
};

/* 0; -EFAULT: not mapped, or a table that cannot be read; -ESRCH. */
int paging_walk(struct memory *memory, const struct paging *paging, uint64_t gva,
		struct translation *ret);

/* Reads across pages. All or nothing; errors as above. */
int paging_read(struct memory *memory, const struct paging *paging, uint64_t gva, void *bytes,
		size_t n);

/* The same past the cache, for large pieces. */
int paging_read_large(struct memory *memory, const struct paging *paging, uint64_t gva, void *bytes,
		      size_t n);

/*
 * A NUL-terminated string into @text, cut to @room - 1 bytes. The length or a negative errno; a
 * string that runs into what is not mapped is an error.
 */
ssize_t paging_read_string(struct memory *memory, const struct paging *paging, uint64_t gva,
			   char *text, size_t room);

#endif
