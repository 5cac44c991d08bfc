/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an open file in the guest is called: d_path() (fs/d_path.c), seen from the guest's own root.
 */
#ifndef GUEST_FILE_NAMES_H
#define GUEST_FILE_NAMES_H

#include "guest/kernel.h"

struct file_name {
	uint32_t major, minor; /* the device of the file system */
	uint64_t inode;
};

/*
 * The path of the struct file at @file_gva into @text, with " (deleted)" behind it where the guest
 * would say so; "" if it cannot be put together. 0; -EFAULT, -ESRCH.
 */
int file_name_read(struct vpmu_kernel *kernel, uint64_t file_gva, char *text, size_t room,
		   struct file_name *ret);

#endif
