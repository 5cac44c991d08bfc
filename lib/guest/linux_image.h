/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a Linux kernel is in a guest's memory, found without a register, a symbol or a word from
 * the guest.
 *
 * x86-64 kernels run in the last 2 GiB of the address space, in a window that begins at
 * 0xffffffff80000000. The page tables for it cannot hide (arch/x86/kernel/head_64.S):
 *
 *	a table whose last entry leads to
 *	  level3_kernel_pgt: entry 510 leads to
 *	    level2_kernel_pgt: 2 MiB pages, one behind the other in physical memory, _text to _end
 *	  and entry 511 to level2_fixmap_pgt
 *
 * Before the kernel's first 2 MiB there is nothing (cleanup_highmap() clears it), so the first
 * entry is _text. The kernel is moved by KASLR as a whole; virtual and physical address each on
 * their own, in steps of 2 MiB. Entry i and the physical address in it give phys_base, what to add
 * to (gva - 0xffffffff80000000).
 */
#ifndef GUEST_LINUX_IMAGE_H
#define GUEST_LINUX_IMAGE_H

#include "guest/memory.h"

#define KERNEL_WINDOW	    0xffffffff80000000ull
#define LARGE_PAGE_BYTES    (2ull << 20)

struct linux_image {
	uint64_t text_gva, text_gpa;
	uint64_t n_bytes;   /* up to _end, rounded up to 2 MiB */
	uint64_t table_gpa; /* level2_kernel_pgt */
	uint64_t above_gpa; /* level3_kernel_pgt, as every root's table has it as its last entry (or
			       the table between does) */
};

/*
 * As linux_image_find(), by root tables that the guest has, or had, alone: a few reads instead of one of each page.
 */
int linux_image_try_roots(struct memory *memory, const uint64_t *cr3, unsigned int n,
			  int (*accept)(const struct linux_image *image, void *data), void *data);

/*
 * Calls @accept for each place that looks like a kernel, until it returns something else than
 * -ENOENT, which is then returned. -ENOENT: none looked right to it. Also -ESRCH, -ENOMEM.
 */
int linux_image_find(struct memory *memory,
		     int (*accept)(const struct linux_image *image, void *data), void *data);

/* What hangs below level3_kernel_pgt at @above_gpa, if that is known to be it. -ENOENT, -EFAULT, -ESRCH. */
int linux_image_read(struct memory *memory, uint64_t above_gpa, struct linux_image *ret);

/* The kernel's tables still lead there: it is the same boot. 0, -ESTALE, -ESRCH. */
int linux_image_check(struct memory *memory, const struct linux_image *image);

#endif
