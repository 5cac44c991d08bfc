/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a process in the guest has code mapped, and from which files. */
#ifndef GUEST_CODE_AREAS_H
#define GUEST_CODE_AREAS_H

#include "format/elf_dynamic.h"
#include "guest/kernel.h"

#define CODE_AREA_PATH_BYTES 4608 /* with the NUL */

/* Belongs to the walk, and lives during the call. */
struct code_area {
	uint64_t start_gva, end_gva;
	uint64_t offset_bytes;	/* of start_gva, in the file */
	const char *path;	/* from the guest's root; "[vdso]"; "//anon": no file */
	const void *head;	/* ELF_HEAD_BYTES with the file's program headers and no sections (elf_head_detach()); NULL = not in
				   memory, or not such a file */
	uint8_t build_id[20], build_id_bytes;
	const struct code_area_walk *walk; /* NULL: as bytes it came from elsewhere */
};

/*
 * Calls @fn for each executable area of the address space @mm_gva, by ascending addresses, until it returns non-zero,
 * which is returned. Types must be loaded. @task_gva, @tgid: a task that had it; one that has it no more ends the walk with -ENOENT.
 * -EOPNOTSUPP (memory maps of this kernel are not known), -EFAULT, -ESRCH.
 */
int code_areas_each(struct vpmu_kernel *kernel, uint64_t task_gva, int32_t tgid, uint64_t mm_gva,
		    int (*fn)(const struct code_area *area, void *data), void *data);

/*
 * During such a call: the symbols of the file that are in the guest's memory. *ret_bytes: how much was read for it, on any path. Errors
 * as resident_symbols_each()'s.
 */
int code_area_symbols(const struct code_area *area, int (*fn)(const struct elf_dynamic_symbol *symbol, void *data),
		      void *data, size_t *ret_bytes);

/*
 * During such a call, of "[vdso]": the file that it is, from the kernel's own copy, as a process has only the pages that it used. At most @room
 * bytes, *ret_n of them. -EOPNOTSUPP: it is something else, or not known where; -E2BIG, -EFAULT, -ESRCH.
 */
int code_area_vdso(const struct code_area *area, void *bytes, size_t room, size_t *ret_n);

/*
 * Areas as bytes, for who parses elsewhere (parser_wire.h): u64 start, u64 end, u64 offset, u32 bytes of the path, u32 bytes of the head
 * (0 = none), u32 bytes of the build-id, then these. code_areas_decode(): as far as it makes sense, and what @fn returns. -EBADMSG.
 */
struct strbuf;
void code_areas_encode(const struct code_area *area, struct strbuf *out);
int code_areas_decode(const void *bytes, size_t n, int (*fn)(const struct code_area *area, void *data), void *data);

#endif
