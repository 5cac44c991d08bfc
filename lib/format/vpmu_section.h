/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What perf.data has no place for: our own header feature sections.
 *
 *   PERF_FEATURE_VPMU_GUESTS   who the guests are: names, UUIDs, vCPU threads, and the sampling source
 *   PERF_FEATURE_VPMU_SYMBOLS  symbol tables (sym/symtab.h images), so that a recording is whole on another machine
 *
 * Both start with a u32 version (1) and a u32 count; all integers little-endian, strings are u32 length + bytes. Readers
 * ignore bytes behind the fields they know of an entry: each entry starts with its own u32 size.
 */
#ifndef FORMAT_VPMU_SECTION_H
#define FORMAT_VPMU_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/guest.h>
#include "util/strbuf.h"

#define VPMU_SECTION_MAX_GUESTS 65536
#define VPMU_SECTION_MAX_VCPUS	65536

/* When a guest's process lived, in the recording's clock; 0 = not known, so always. */
struct vpmu_section_life {
	uint64_t from_ns, until_ns;
	bool not_linux; /* no Linux kernel was found in its memory */
};

struct vpmu_section_guests {
	char *source;		/* coverage source line, e.g. "cpu-clock 999 Hz" */
	size_t n_guests;
	struct vpmu_guest_info *guests;
	struct vpmu_section_life *lives; /* of each guest; NULL when encoding = not known */
	char *boot_id;		/* the host's boot; "" or, when encoding, NULL = not known */
};

enum vpmu_table_kind {
	VPMU_TABLE_HOST_KERNEL = 1,  /* kernel and modules; path empty */
	VPMU_TABLE_GUEST_KERNEL = 2, /* guest: index */
	VPMU_TABLE_GUEST_IMAGE = 3,  /* guest: index; path: where it came from */
	VPMU_TABLE_FILE = 4,	     /* a user file: addresses are file offsets; path as mapped */
	VPMU_TABLE_GUEST_FILE = 5,   /* the same of a process in a guest; guest: index */
	VPMU_TABLE_GUEST_RESIDENT = 6, /* what the process had in memory of it: for want of anything better */
	VPMU_TABLE_GUEST_HEAD = 7, /* of such a file its program headers, no table: where its segments are (format/elf_head.h) */
};

struct vpmu_section_table {
	uint32_t kind, guest; /* guest: index, UINT32_MAX = none */
	const char *path;     /* not NUL-terminated in the section; decoded copies are */
	uint8_t build_id[20], build_id_bytes;
	const void *image;    /* symtab bytes, 8-byte aligned in memory is not guaranteed */
	size_t image_bytes;
};

int vpmu_section_guests_encode(const struct vpmu_section_guests *guests, struct strbuf *out);
/* -EBADMSG on damage. */
int vpmu_section_guests_decode(const void *bytes, size_t n, struct vpmu_section_guests *ret);
void vpmu_section_guests_deinit(struct vpmu_section_guests *guests);

int vpmu_section_tables_encode(const struct vpmu_section_table *tables, size_t n_tables, struct strbuf *out);
/* Calls @fn for every table, in order; stops when it returns non-zero and returns that. Strings and images are valid during
 * the call (images point into @bytes). -EBADMSG on damage. */
int vpmu_section_tables_decode(const void *bytes, size_t n,
			       int (*fn)(const struct vpmu_section_table *table, void *data), void *data);

#endif
