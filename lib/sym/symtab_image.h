/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a symbol table. Everything is little-endian (the build refuses other machines) and 8-byte aligned:
 *
 *	header	 struct symtab_header
 *	strings	 NUL-terminated names; the first byte is the empty string, the last one is a NUL. Padded with NULs to a multiple of 8.
 *		 They come first so that a builder can collect them in place.
 *	starts	 u64 × count, ascending; apart from the rest, because this is what a search reads
 *	entries	 struct symtab_entry × count
 *
 * There is no padding that could differ, so equal inputs give equal bytes.
 */
#ifndef SYM_SYMTAB_IMAGE_H
#define SYM_SYMTAB_IMAGE_H

#include <assert.h>
#include <stdint.h>
#include "sym/symtab.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "symbol table images are little-endian"
#endif

#define SYMTAB_MAGIC	 "vpmusym\3" /* the last byte is the version of the layout */
#define SYMTAB_MAX_COUNT (1u << 27)
#define SYMTAB_NO_PARENT UINT32_MAX

struct symtab_header {
	char magic[8];
	uint32_t count;
	uint32_t strings_bytes; /* with the padding */
	uint64_t text, stext; /* addresses of _text and _stext, 0 = there is none */
	uint8_t meta[SYMTAB_META_BYTES];
};

struct symtab_entry {
	uint32_t n_bytes;      /* what it covers; larger ones are cut */
	uint32_t name, module; /* offsets into the strings */
	uint32_t parent;       /* the nearest earlier symbol that reaches further than this one, or none */
};

static_assert(sizeof(struct symtab_header) == 96, "part of the format");
static_assert(sizeof(struct symtab_entry) == 16, "part of the format");

/* Takes over @image, which came from malloc() and was made by the builder, or was checked. */
int symtab_adopt(void *image, size_t n, struct symtab **ret_table);

#endif
