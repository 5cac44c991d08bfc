/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The type information of a kernel that has none in its memory (built without CONFIG_DEBUG_INFO_BTF), from section .BTF of its vmlinux, where
 * pahole(1) makes it out of the debug information.
 *
 * Whoever runs us names the file, but it may be any: one of another kernel would have us read words that mean something else,
 * so its build-id must be the guest's.
 */
#ifndef GUEST_TYPES_FILE_H
#define GUEST_TYPES_FILE_H

#include <stddef.h>
#include <vpmu/error.h>

/*
 * *ret_bytes: what the section holds, not looked into; the caller's to free(). @build_id: of the guest's kernel, in hex; "" = not
 * known, then any will do. Errors: what opening gave, -EINVAL (not a regular file), -ENOEXEC (not ELF), -ENODATA (no such section), -ESTALE
 * (another kernel's), -EFBIG (more than @limit_bytes), -EBADMSG (it ends early), -ENOMEM.
 */
int types_file_read(const char *path, const char *build_id, size_t limit_bytes, void **ret_bytes, size_t *ret_n,
		    struct vpmu_error *reterr);

#endif
