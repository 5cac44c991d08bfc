/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unwinding a Linux kernel's stack by ORC, the tables that kernels without frame pointers have for it (x86-64; since Linux 4.14,
 * Documentation/arch/x86/orc-unwinder.rst).
 *
 * objtool follows each function's instructions at build time and notes how to find the caller at every one of them. Two arrays come of
 * it, in step with each other and sorted by address:
 *
 *	.orc_unwind_ip	s32 each: an address, as the distance from the entry itself
 *	.orc_unwind	6 bytes each: s16 sp_offset, s16 bp_offset, u16 flags
 *
 * An entry holds from its address to the next one's. It says what the caller's stack pointer is: a register plus sp_offset, or the word
 * that lies there. The return address is below it, or, where an interrupt or system call came in, a struct pt_regs (or the part that
 * the processor itself stores) begins there. bp_offset tells where the caller's rbp was saved, if it was.
 *
 * The flags were rearranged three times, and nothing in an entry tells:
 *
 *		since	flags: 3:0 sp_reg, 7:4 bp_reg, then
 *	1	4.14	9:8 type (0 call, 1 regs, 2 partial), 10 end
 *	2	6.3	9:8 type, 10 signal, 11 end (ffb1b4a41016)
 *	3	6.4	10:8 type (0 undefined, 1 end, 2 call, 3 regs, 4 partial), 11 signal (fb799447ae29)
 *	4	7.1	as 3, but registers are numbered anew (1735858caa4b)
 *
 * Since 6.4 the section .orc_header has a hash that names the layout.
 *
 * Tables and stacks are the guest's and may be made to mislead: reads are inside what was copied, every step goes up the stack.
 */
#ifndef FORMAT_ORC_H
#define FORMAT_ORC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/cursor.h"
#include "util/strbuf.h"

enum orc_layout {
	ORC_LAYOUT_4_14 = 1,
	ORC_LAYOUT_6_3 = 2,
	ORC_LAYOUT_6_4 = 3,
	ORC_LAYOUT_7_1 = 4,
};

#define ORC_HEADER_BYTES 20
#define ORC_IP_BYTES	 4
#define ORC_ENTRY_BYTES	 6

/* The kernel's 480 thousand entries (6.18) are twice that of 4.14; a table that has more is made up. */
#define ORC_ENTRIES_MAX (2u << 20)

/*
 * Which layout the kernel @release has. @header: .orc_header's bytes, NULL if it has none. 0 if it is not known.
 */
enum orc_layout orc_layout_of(const uint8_t header[ORC_HEADER_BYTES], const char *release);

/* Of one piece of code: the kernel itself, or a module. */
struct orc_table {
	uint64_t base;	 /* the lowest address */
	uint64_t end;	 /* what entries do not speak for from here on */
	size_t n;
	uint32_t *at;	 /* from base, rising */
	uint8_t *entries; /* ORC_ENTRY_BYTES each */
};

/*
 * @ips are @n_ips bytes that lie at @ips_gva, @entries as many entries. @end_gva: where the code ends. -EBADMSG: not sorted, not of the
 * same number, too many, or spread over more than 4 GiB; -ENOMEM.
 */
int orc_table_load(const void *ips, size_t n_ips, uint64_t ips_gva, const void *entries, size_t n_entries, uint64_t end_gva,
		   struct orc_table *ret);
void orc_table_deinit(struct orc_table *table);

/* As plain bytes, for another process of this machine. */
void orc_table_encode(const struct orc_table *table, struct strbuf *out);
/* @from: bytes that may have been made up. Errors as above. */
int orc_table_decode(struct cursor *from, struct orc_table *ret);

/* The entry that holds at @ip, NULL if there is none. */
const uint8_t *orc_table_find(const struct orc_table *table, uint64_t ip);

/* ---- unwinding ---- */

/* A copied piece of a stack. */
struct orc_slice {
	uint64_t gva;
	size_t n;
	const uint8_t *bytes;
};

/* In the order in which the stacks are left: what lies behind a slice is on the next ones. */
#define ORC_SLICES_MAX 4

struct orc_stack {
	struct orc_slice slices[ORC_SLICES_MAX];
	size_t n_slices;
};

struct orc_regs {
	uint64_t ip, sp, bp;
	uint64_t ax, dx, di, r10, r13;
	bool has_others; /* the five above are those at ip */
	bool exact;	 /* ip was interrupted there; else it is where a call returns to */
};

enum orc_end {
	ORC_END_NONE,	    /* there is a caller */
	ORC_END_USER,	    /* the kernel was entered from user mode: registers are the user's */
	ORC_END_OUTERMOST,  /* nobody called this */
	ORC_END_NO_ENTRY,   /* no table tells of this address, or it tells that it cannot be known */
	ORC_END_NO_STACK,   /* the next word is not in what was copied */
	ORC_END_BAD_FRAME,  /* the stack would go down */
};

struct orc_kernel {
	enum orc_layout layout;
	/* Since 5.12 (87ccc826bf1c) an indirect stack pointer is the word at the stack pointer plus sp_offset; before, that at
	 * stack pointer plus sp_offset. */
	bool adds_after;
	/* The entry for an address of any of the kernel's code, NULL if there is none. */
	const uint8_t *(*find)(uint64_t ip, void *data);
	void *data;
};

/* From @regs to the caller's. Unless there is one, or it is a user's, they are unchanged. */
enum orc_end orc_step(const struct orc_kernel *kernel, const struct orc_stack *stack, struct orc_regs *regs);

/*
 * The callers of @regs, innermost first, up to @room of them; *ret_n of them were found when it ended as returned: ORC_END_NONE: there is
 * no room for more. An address that no table tells of is not taken for a caller: it may be no code. Afterwards @regs are those it ended at.
 */
enum orc_end orc_unwind(const struct orc_kernel *kernel, const struct orc_stack *stack, struct orc_regs *regs, uint64_t *frames,
			size_t room, size_t *ret_n);

#endif
