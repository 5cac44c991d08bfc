/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's memory in a file: 32 MiB with a kernel of 6 MiB, its page tables, its symbols and its
 * banner, and nothing else. What tests need beyond that they write into `ram` before guest_write().
 */
#ifndef TESTS_UNIT_GUEST_MAKER_H
#define TESTS_UNIT_GUEST_MAKER_H

#include <fcntl.h>
#include <sys/mman.h>
#include "kallsyms_maker.h"
#include "test.h"
#include "util/io.h"

#define RAM_BYTES	(32u << 20)
#define MADE_TEXT_GVA	0xffffffff9e000000ull
#define MADE_TEXT_GPA	0x1000000ull
#define MADE_LEVEL3_GPA 0x100000ull
#define MADE_LEVEL2_GPA 0x101000ull
#define MADE_FIXMAP_GPA 0x102000ull
#define MADE_LEVEL4_GPA 0x103000ull /* with 5 levels: the table between root and level3 */
#define MADE_SYMBOLS_AT 0x200000u   /* within the kernel */
#define MADE_BANNER_AT	0x300000u
#define MADE_ROOT_AT	0x301000u
#define MADE_NOTES_AT	0x302000u

#define TABLE_ENTRY 0x63ull /* present, writable, accessed, dirty */
#define LARGE_ENTRY 0x1e3ull

static uint8_t ram[RAM_BYTES];

static inline void ram_put(uint64_t gpa, uint64_t value)
{
	CHECK(gpa <= RAM_BYTES - 8);
	memcpy(ram + gpa, &value, 8);
}

#define MADE_MORE_MAX 10

/* @more: further symbols, up to MADE_MORE_MAX; NULL = none. */
static inline void guest_make_with(const struct kallsyms_form *form, unsigned int levels, const struct kallsyms_extra *more)
{
	struct kallsyms_extra extra[5 + MADE_MORE_MAX] = {
		{"Tlinux_banner", MADE_TEXT_GVA + MADE_BANNER_AT},
		{"Dinit_top_pgt", MADE_TEXT_GVA + MADE_ROOT_AT},
		{"r__start_notes", MADE_TEXT_GVA + MADE_NOTES_AT},
		{"r__stop_notes", MADE_TEXT_GVA + MADE_NOTES_AT + 20 + 16 + 4},
		{},
	};
	static const uint32_t notes[] = {4, 4, 1, 0x756e694c, 7, 4, 4, 3, 0x00554e47, 0xefbeadde};
	struct kallsyms_form with_extra = *form;
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21, root = MADE_TEXT_GPA + MADE_ROOT_AT;

	for (size_t i = 0; more && more[i].name; i++) {
		CHECK(i < MADE_MORE_MAX);
		extra[4 + i] = more[i];
	}
	memset(ram, 0, sizeof(ram));
	with_extra.extra = extra;
	make_kallsyms(&with_extra, MADE_TEXT_GVA + MADE_SYMBOLS_AT, MADE_TEXT_GVA,
		      ram + MADE_TEXT_GPA + MADE_SYMBOLS_AT);
	strcpy((char *)ram + MADE_TEXT_GPA + MADE_BANNER_AT,
	       "Linux version 6.1.0-made (me@here) #1\n");
	memcpy(ram + MADE_TEXT_GPA + MADE_NOTES_AT, notes, sizeof(notes));
	for (uint64_t i = 0; i < 3; i++)
		ram_put(MADE_LEVEL2_GPA + (first + i) * 8,
			(MADE_TEXT_GPA + (i << 21)) | LARGE_ENTRY);
	ram_put(MADE_LEVEL3_GPA + 510 * 8, MADE_LEVEL2_GPA | TABLE_ENTRY);
	ram_put(MADE_LEVEL3_GPA + 511 * 8, MADE_FIXMAP_GPA | TABLE_ENTRY);
	ram_put(root + 511 * 8, (levels == 5 ? MADE_LEVEL4_GPA : MADE_LEVEL3_GPA) | TABLE_ENTRY);
	if (levels == 5)
		ram_put(MADE_LEVEL4_GPA + 511 * 8, MADE_LEVEL3_GPA | TABLE_ENTRY);
}

static inline void guest_make(const struct kallsyms_form *form, unsigned int levels)
{
	guest_make_with(form, levels, NULL);
}

/* Writes `ram` to an unlinked file; its path. The descriptor is *ret_fd. */
static inline const char *guest_write(int *ret_fd)
{
	static char path[64];
	int fd = memfd_create("ram", 0);

	CHECK(fd >= 0);
	CHECK_EQ(io_pwrite_all(fd, ram, sizeof(ram), 0), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret_fd = fd;
	return path;
}

#endif
