/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's symbol table as it lies in its memory (kernel/kallsyms.c, written by
 * scripts/kallsyms.c at build time).
 *
 *	num_syms	how many symbols, u32
 *	names		for each symbol a length and so many token numbers, a byte each. Put
 *			together, the tokens' texts give a character for the type (as nm's) and then
 *			the name. The length is a byte; since 6.1 (73bbb94466fd) one with bit 7 set is
 *			followed by a second byte with the upper bits.
 *	markers		for every 256th symbol, where it begins in names, u32
 *	token_table	256 texts, each with its NUL; a character that is used in names is its own
 *			token
 *	token_index	where each of them begins, u16
 *	offsets		s32 for each symbol, from which its address is made, by one of the rules below
 *	relative_base	u64, gone in 7.0
 *	seqs_of_names	not needed here
 *
 * Where they are is not written anywhere before 6.0, so they are recognised by their looks, which
 * needs no version and no symbol: ten digits that follow each other as tokens, an index that fits
 * the texts, markers that lead to symbols. Their order changed in 6.4 (404bad70fcf7): until then
 * offsets and relative_base came first.
 *
 * The rule for addresses is found by trying: with the right one "_text" lies where the page tables
 * say that the kernel begins. Distributions move changes between versions, so a version would prove
 * nothing.
 */
#ifndef FORMAT_KALLSYMS_TABLES_H
#define FORMAT_KALLSYMS_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With a NUL: KSYM_NAME_LEN since 6.1 (b8a94bfb3395), 128 before. */
#define KALLSYMS_NAME_BYTES  512
#define KALLSYMS_SYMBOLS_MAX (1 << 20) /* far above any kernel's */

/* How far the tables reach before and behind the token table, at most. */
#define KALLSYMS_BYTES_BEFORE (16u << 20)
#define KALLSYMS_BYTES_BEHIND (6u << 20)
/* Smallest piece in which the token table can be found: its texts and the index. */
#define KALLSYMS_TOKENS_BYTES (16u << 10)

enum kallsyms_rule {
	KALLSYMS_ABSOLUTE_PERCPU, /* o >= 0 ? o : base - 1 - o; SMP until 6.14 (01157ddc58dc) */
	KALLSYMS_BASE_RELATIVE,	  /* base + o, o unsigned */
	KALLSYMS_PLACE_RELATIVE,  /* address of the offset itself + o, since 7.0 (a081b5789255) */
	KALLSYMS_ADDRESSES,	  /* a u64 instead of an offset, until 6.11 (64e166099b69) */
};

#define KALLSYMS_TOKEN_ROOM 16

struct kallsyms_tables {
	const uint8_t *bytes; /* what was parsed; all positions count from here */
	uint64_t bytes_gva;   /* where it lies in the guest */
	uint64_t base;
	enum kallsyms_rule rule;
	bool long_names; /* lengths may have two bytes */
	uint32_t n_symbols;
	size_t names_at, names_bytes, markers_at, tokens_at, offsets_at;
	size_t used_from, used_to; /* nothing outside of these is looked at any more */
	uint16_t token_at[256];	   /* from tokens_at on */
	uint8_t token_bytes[256];
	char token_text[256][KALLSYMS_TOKEN_ROOM]; /* the beginning of each: nearly all fit */
};

/*
 * The token table among @bytes, from position @from on: where it begins, or SIZE_MAX. @gva is the
 * address of the bytes inside the guest, a multiple of 8. A table that does not lie whole in @bytes
 * is not found.
 */
size_t kallsyms_tokens_find(const void *bytes, size_t n, size_t from, uint64_t gva);

/*
 * All tables around the token table at @tokens_at. @text_gva: where the kernel begins. @bytes must
 * live as long as *ret. -ENOENT if the tables do not hold together.
 */
int kallsyms_tables_parse(const void *bytes, size_t n, uint64_t gva, size_t tokens_at,
			  uint64_t text_gva, struct kallsyms_tables *ret);

/* The bytes were moved: @bytes now begins with what was at @used_from. */
void kallsyms_tables_rebase(struct kallsyms_tables *tables, const void *bytes);

struct kallsyms_symbol {
	uint64_t gva;
	char type;	     /* as nm's, as the kernel prints it */
	const char *name;    /* NUL-terminated, valid during the call; not empty */
	uint32_t name_bytes; /* without the NUL */
};

/* Every symbol that has a name, in the order of the table. Stops when @fn returns non-zero, and
 * returns that. */
int kallsyms_tables_each(const struct kallsyms_tables *tables,
			 int (*fn)(const struct kallsyms_symbol *symbol, void *data), void *data);

#endif
