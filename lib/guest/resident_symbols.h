/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The symbols of a program or library that lie in the guest's memory (format/elf_dynamic.h). */
#ifndef GUEST_RESIDENT_SYMBOLS_H
#define GUEST_RESIDENT_SYMBOLS_H

#include "format/elf_dynamic.h"
#include "guest/kernel.h"

/* A file that a process has mapped. */
struct resident_file {
	struct vpmu_kernel *kernel;
	uint64_t file_gva;	      /* struct file; 0 = [vdso], which is in no file: all of it lies at head_gva */
	const struct paging *paging; /* of the process; levels 0 = not to be had */
	uint64_t head_gva;	      /* where it has mapped the file's beginning */
};

/* @n bytes of it. -EFAULT: they are not in memory, or not known where; -ESRCH. */
int resident_file_read(const struct resident_file *file, uint64_t offset, void *bytes, size_t n);

/*
 * Calls @fn for each until it returns non-zero, which is returned. @head: the file's first page. Pages that are not in memory are left out,
 * with what is on them. *ret_bytes: how much was read, on any path. -ENOENT: it has none; -EBADMSG: it is no such file; -ESRCH, -ENOMEM.
 */
int resident_symbols_each(const struct resident_file *file, const void *head,
			  int (*fn)(const struct elf_dynamic_symbol *symbol, void *data), void *data,
			  size_t *ret_bytes);

#endif
