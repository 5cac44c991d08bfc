/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The areas of an address space in the guest (struct vm_area_struct of a struct mm_struct), by
 * ascending addresses. */
#ifndef GUEST_AREAS_H
#define GUEST_AREAS_H

#include "guest/kernel.h"
#include "guest/kernel_types.h"

#define AREAS_MAX 65536 /* a process has at most 65530 (vm.max_map_count) unless told otherwise */

struct area {
	uint64_t start_gva, end_gva, flags, page_offset;
	uint64_t file_gva, ops_gva, private_gva, name_gva; /* 0: none */
};

/*
 * Until @fn returns non-zero, which is returned. Areas that are not in order, or not where their
 * tree says, end the walk: they went away while we were reading, or never were. -EFAULT, -ESRCH.
 */
int areas_each(struct vpmu_kernel *kernel, uint64_t mm_gva,
	       int (*fn)(const struct area *area, void *data), void *data);

#endif
