/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a Linux kernel notes down for whoever reads its memory after a crash (kernel/vmcore_info.c, kernel/crash_core.c until 6.8): an ELF
 * note at the beginning of a page.
 *
 *	u32 11, u32 bytes of the text, u32 0, "VMCOREINFO\0\0"
 *	text: lines "KEY=value", of at most 4096 bytes in all
 *
 * It gives addresses of symbols, and phys_base (since 4.10, 401721ecd1dc), what to add to an address in the kernel's window to have the
 * physical one. phys_base is written as a signed number, and is negative where KASLR moved the kernel further in its window
 * than in memory.
 */
#ifndef FORMAT_VMCOREINFO_H
#define FORMAT_VMCOREINFO_H

#include <stddef.h>
#include <stdint.h>

#define VMCOREINFO_HEAD_BYTES 24
#define VMCOREINFO_TEXT_MAX   4096

struct vmcoreinfo {
	char release[65];
	uint64_t swapper_pg_dir, stext; /* addresses */
	int64_t phys_base;
	unsigned int levels; /* of page tables */
};

/* Is this how such a note begins? Of @word, the first eight bytes. */
static inline int vmcoreinfo_begins(uint64_t word)
{
	return (uint32_t)word == 11 && word >> 32 && word >> 32 <= VMCOREINFO_TEXT_MAX;
}

/* -EBADMSG: no such note; -ENOENT: it does not tell all of that. */
int vmcoreinfo_parse(const void *note, size_t n, struct vmcoreinfo *ret);

#endif
