/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unwinding programs that keep no frame pointers, by what their files tell in .eh_frame (x86-64; System V ABI, "DWARF Definition"; DWARF 5,
 * "Call Frame Information").
 *
 * For each instruction of a program .eh_frame says where the caller's stack pointer was (the CFA, canonical frame address), and where from
 * there its registers and the return address were saved. It is a small program for each function; run to its end it gives a table
 * of rows, each for a stretch of code. Rows of real programs are nearly all alike: the CFA is rsp or rbp plus a number, the return
 * address lies below it, and so may rbp. So a row takes twelve bytes here (sym/cfi_file.h makes them), and what fits into none is a row
 * that says so. Other registers that calls preserve are not followed: only rsp and rbp are what CFAs are reckoned from.
 *
 * Rows and stacks are a guest's and may be made to mislead: reads are inside what was copied, every step but one goes up the stack, and
 * that one, out of a signal handler, which may have a stack of its own, takes a frame of the many that there is room for.
 */
#ifndef FORMAT_CFI_H
#define FORMAT_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfi_how {
	CFI_UNKNOWN = 0,   /* no code, or in a way that no row has */
	CFI_OUTERMOST = 1, /* nobody called this */
	CFI_SP = 2,	   /* the CFA is rsp + cfa */
	CFI_BP = 3,	   /* … rbp + cfa */
	CFI_SP_WORD = 4,   /* … the word at rsp + cfa */
	CFI_BP_WORD = 5,   /* … the word at rbp + cfa: functions that align their stack */
	CFI_PLT = 6,	   /* … rsp + 8, and 8 more once the last four bits of rip reach cfa: pieces of 16 bytes that push a word */
	CFI_SIGNAL = 7,	   /* where a signal handler returns to: the kernel has put all registers on the stack */
	CFI_HOW_COUNT = 8,
};

enum cfi_bp {
	CFI_BP_SAME = 0,
	CFI_BP_SAVED = 1, /* at the CFA + bp */
	CFI_BP_HERE = 2,  /* at rbp + bp: the same functions */
	CFI_BP_LOST = 3,
	CFI_BP_COUNT = 4,
};

/* Holds from here to the next row's place. */
struct cfi_row {
	uint32_t at; /* offset in the file */
	int32_t cfa;
	int16_t bp;
	uint8_t how;	/* enum cfi_how */
	uint8_t bp_how; /* enum cfi_bp */
};

/* The largest that Debian has (a browser's) come to six million rows; a C library to some 30 thousand. */
#define CFI_ROWS_MAX (2u << 20)

struct cfi_table {
	struct cfi_row *rows; /* rising */
	size_t n;
};

void cfi_table_deinit(struct cfi_table *table);

/* The row that holds at @offset; NULL = none, or one that knows nothing. */
const struct cfi_row *cfi_table_find(const struct cfi_table *table, uint64_t offset);

/* ---- unwinding ---- */

struct cfi_stack {
	uint64_t gva;
	size_t n;
	const uint8_t *bytes;
};

struct cfi_regs {
	uint64_t ip, sp, bp;
	bool bp_lost;
	bool exact; /* ip was interrupted there; else it is where a call returns to */
};

enum cfi_end {
	CFI_END_NONE,	    /* there is a caller */
	CFI_END_OUTERMOST,  /* nobody called this */
	CFI_END_NO_ROW,	    /* no table tells of this address, or it tells that it cannot be known */
	CFI_END_NO_STACK,   /* the next word is not in what was copied */
	CFI_END_BAD_FRAME,  /* the stack would go down */
	CFI_END_BAD_RETURN, /* no code is at the return address */
};

/* What a process has mapped. */
struct cfi_code {
	/* false: there is no code at @ip. *ret_row: as cfi_table_find() has it; NULL, too, if the file's table is not known. */
	bool (*find)(uint64_t ip, const struct cfi_row **ret_row, void *data);
	void *data;
};

/* From @regs to the caller's by @row, which holds at regs->ip. Unless there is one, they are unchanged. */
enum cfi_end cfi_step(const struct cfi_row *row, const struct cfi_stack *stack, struct cfi_regs *regs);

/*
 * The callers of @regs, innermost first, up to @room of them; *ret_n of them were found when it ended as returned: CFI_END_NONE: there is
 * no room for more. Afterwards @regs are those it ended at.
 */
enum cfi_end cfi_unwind(const struct cfi_code *code, const struct cfi_stack *stack, struct cfi_regs *regs, uint64_t *frames,
			size_t room, size_t *ret_n);

#endif
