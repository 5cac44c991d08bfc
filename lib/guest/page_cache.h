/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files as the guest's kernel has them in memory, whoever has them mapped or has read them. */
#ifndef GUEST_PAGE_CACHE_H
#define GUEST_PAGE_CACHE_H

#include "guest/kernel.h"

/*
 * @n bytes from @offset on of the file that is open as the struct file at @file_gva. All or nothing. Types must be loaded.
 * -EFAULT: some of it is not in memory; -EOPNOTSUPP: where this kernel keeps it is not known; -ESRCH.
 */
int page_cache_read(struct vpmu_kernel *kernel, uint64_t file_gva, uint64_t offset, void *bytes, size_t n);

#endif
