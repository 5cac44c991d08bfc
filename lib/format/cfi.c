/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "format/cfi.h"

/*
 * What the kernel leaves on the stack for a signal handler, once that has returned: struct ucontext of
 * arch/x86/include/uapi/asm/ucontext.h, with struct sigcontext_64 in it.
 */
#define SIGNAL_BP 120
#define SIGNAL_SP 160
#define SIGNAL_IP 168

void cfi_table_deinit(struct cfi_table *table)
{
	free(table->rows);
	*table = (struct cfi_table){};
}

const struct cfi_row *cfi_table_find(const struct cfi_table *table, uint64_t offset)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].at <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low && table->rows[low - 1].how != CFI_UNKNOWN ? &table->rows[low - 1] : NULL;
}

static bool read_word(const struct cfi_stack *stack, uint64_t gva, uint64_t *ret)
{
	uint64_t at = gva - stack->gva;

	if (stack->n < sizeof(*ret) || at > stack->n - sizeof(*ret))
		return false;
	memcpy(ret, stack->bytes + at, sizeof(*ret));
	return true;
}

/* Registers as the kernel has put them there. */
static enum cfi_end leave_signal(const struct cfi_stack *stack, struct cfi_regs *regs)
{
	struct cfi_regs next = {.exact = true};

	if (!read_word(stack, regs->sp + SIGNAL_IP, &next.ip) || !read_word(stack, regs->sp + SIGNAL_SP, &next.sp) ||
	    !read_word(stack, regs->sp + SIGNAL_BP, &next.bp))
		return CFI_END_NO_STACK;
	*regs = next;
	return CFI_END_NONE;
}

static enum cfi_end find_cfa(const struct cfi_row *row, const struct cfi_stack *stack, const struct cfi_regs *regs, uint64_t *ret)
{
	bool by_bp = row->how == CFI_BP || row->how == CFI_BP_WORD;
	uint64_t at = (by_bp ? regs->bp : regs->sp) + (uint64_t)(int64_t)row->cfa;

	if (by_bp && regs->bp_lost)
		return CFI_END_NO_ROW;
	switch (row->how) {
	case CFI_SP:
	case CFI_BP:
		*ret = at;
		return CFI_END_NONE;
	case CFI_SP_WORD:
	case CFI_BP_WORD:
		return read_word(stack, at, ret) ? CFI_END_NONE : CFI_END_NO_STACK;
	case CFI_PLT:
		*ret = regs->sp + 8 + ((int64_t)(regs->ip & 15) >= row->cfa ? 8 : 0);
		return CFI_END_NONE;
	default:
		return CFI_END_NO_ROW;
	}
}

/* The caller's rbp; its stack pointer is known. */
static enum cfi_end find_bp(const struct cfi_row *row, const struct cfi_stack *stack, const struct cfi_regs *regs,
			    struct cfi_regs *next)
{
	bool here = row->bp_how == CFI_BP_HERE;

	if (row->bp_how == CFI_BP_SAME)
		return CFI_END_NONE;
	if (row->bp_how == CFI_BP_LOST || (here && regs->bp_lost)) {
		next->bp_lost = true;
		return CFI_END_NONE;
	}
	next->bp_lost = false;
	return read_word(stack, (here ? regs->bp : next->sp) + (uint64_t)(int64_t)row->bp, &next->bp) ? CFI_END_NONE :
													 CFI_END_NO_STACK;
}

enum cfi_end cfi_step(const struct cfi_row *row, const struct cfi_stack *stack, struct cfi_regs *regs)
{
	struct cfi_regs next = {.bp = regs->bp, .bp_lost = regs->bp_lost};
	enum cfi_end end;

	if (row->how == CFI_OUTERMOST)
		return CFI_END_OUTERMOST;
	if (row->how == CFI_SIGNAL)
		return leave_signal(stack, regs);
	end = find_cfa(row, stack, regs, &next.sp);
	if (end != CFI_END_NONE)
		return end;
	if (next.sp <= regs->sp || next.sp & 7)
		return CFI_END_BAD_FRAME;
	if (!read_word(stack, next.sp - 8, &next.ip))
		return CFI_END_NO_STACK;
	end = find_bp(row, stack, regs, &next);
	if (end == CFI_END_NONE)
		*regs = next;
	return end;
}

enum cfi_end cfi_unwind(const struct cfi_code *code, const struct cfi_stack *stack, struct cfi_regs *regs, uint64_t *frames,
			size_t room, size_t *ret_n)
{
	const struct cfi_row *row = NULL;
	size_t n = 0;

	*ret_n = 0;
	(void)code->find(regs->ip - !regs->exact, &row, code->data);
	for (;;) {
		struct cfi_regs next = *regs;
		enum cfi_end end = row ? cfi_step(row, stack, &next) : CFI_END_NO_ROW;

		if (end != CFI_END_NONE)
			return end;
		if (!next.ip)
			return CFI_END_OUTERMOST; /* how some start-up code has it */
		row = NULL;
		/* A call is the instruction before; it may be the last one of its function. */
		if (!code->find(next.ip - !next.exact, &row, code->data))
			return CFI_END_BAD_RETURN;
		if (n == room)
			return CFI_END_NONE;
		*regs = next;
		frames[n++] = next.ip;
		*ret_n = n;
	}
}
