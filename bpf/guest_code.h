/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the return address is while rbp is still the caller's, or is the caller's again: what the code says that comes next.
 *
 * A function that keeps a frame pointer begins and ends with
 *
 *	[endbr64]			f3 0f 1e fa
 *	[call __fentry__, or a nop]	e8 .., 0f 1f 44 00 00
 *	push %rbp			55
 *	…				compilers put an instruction or two here
 *	mov %rsp,%rbp			48 89 e5
 *	…
 *	pop %rbp, or leave		5d, c9
 *	ret				c3
 *
 * and a chain by frame pointers from before its mov, or from its ret, would leave out its caller: rbp is that one's own frame. If the stack pointer is
 * known, too, the return address can be had: a ret takes it from the top of the stack, whatever else the code may do; before
 * the push it is there, and behind the word that was pushed after it. Since the next instruction is known for one, bytes that look like
 * it in the middle of another do no harm; and what was found counts only if there is a call before it. (Debian's GCC 12 puts up to two
 * instructions between push and mov in one function of six.)
 *
 * Left out: what a function does before its push beyond what is above (GCC tests its arguments there if it can return at once),
 * and functions that have no frame at all, but for the jumps by which a program calls a library (.plt: jmp *, ff 25). Nothing tells them from the
 * middle of a function.
 */
#ifndef GUEST_CODE_H
#define GUEST_CODE_H

#include <linux/types.h>

/* Bytes looked at before an address, and from it on. */
#define GUEST_CODE_BEFORE 8
#define GUEST_CODE_AFTER  24
#define GUEST_CODE_BYTES  (GUEST_CODE_BEFORE + GUEST_CODE_AFTER)
/* Between push and mov. */
#define GUEST_CODE_GAP	  12

enum guest_code_place {
	GUEST_CODE_FRAME = 0,  /* nothing is known: rbp may be this function's */
	GUEST_CODE_TOP = 1,    /* at the top of the stack */
	GUEST_CODE_RETURN = 2, /* … where a ret takes it from */
	GUEST_CODE_POPPED = 3, /* … if what is below is rbp */
	GUEST_CODE_PUSHED = 4, /* behind the top, if that is rbp */
};

/* Whether mov %rsp,%rbp is among the @n bytes (and two more) at @at. */
static inline __attribute__((always_inline)) int code_sets_frame(const __u8 *at, int n)
{
	for (int i = 0; i < n; i++)
		if (at[i] == 0x48 && at[i + 1] == 0x89 && at[i + 2] == 0xe5)
			return 1;
	return 0;
}

static inline __attribute__((always_inline)) int code_enters(const __u8 *at)
{
	return at[0] == 0x55 && code_sets_frame(at + 1, GUEST_CODE_GAP);
}

/* A call, or the nop that it has been made into. */
static inline __attribute__((always_inline)) int code_enters_traced(const __u8 *at)
{
	int is_nop = at[0] == 0x0f && at[1] == 0x1f && at[2] == 0x44 && !at[3] && !at[4];

	return (is_nop || at[0] == 0xe8) && at[5] == 0x55 && code_sets_frame(at + 6, 3);
}

static inline __attribute__((always_inline)) int is_endbr64(const __u8 *at)
{
	return at[0] == 0xf3 && at[1] == 0x0f && at[2] == 0x1e && at[3] == 0xfa;
}

/* An entry of a procedure linkage table, old (a push and a jmp follow) or for indirect branch tracking. */
static inline __attribute__((always_inline)) int code_links(const __u8 *at)
{
	if (is_endbr64(at))
		return (at[4] == 0xff && at[5] == 0x25) || (at[4] == 0xf2 && at[5] == 0xff && at[6] == 0x25);
	if (is_endbr64(at - 4))
		return (at[0] == 0xff && at[1] == 0x25) || (at[0] == 0xf2 && at[1] == 0xff && at[2] == 0x25);
	return at[0] == 0xff && at[1] == 0x25 && at[6] == 0x68 && at[11] == 0xe9;
}

/* @code: GUEST_CODE_BYTES around the next instruction, 0 where they could not be read. */
static inline __attribute__((always_inline)) enum guest_code_place guest_code_place(const __u8 *code)
{
	const __u8 *next = code + GUEST_CODE_BEFORE, *behind = next + 4;

	if (next[0] == 0xc3 || (next[0] == 0xf3 && next[1] == 0xc3))
		return GUEST_CODE_RETURN;
	if (code_enters(next) || code_enters_traced(next) || code_links(next))
		return GUEST_CODE_TOP;
	if (is_endbr64(next) && (code_enters(behind) || code_enters_traced(behind)))
		return GUEST_CODE_TOP;
	/* A tail call, or one of the kernel's return thunks: e9, eb, jmp *. */
	if ((next[-1] == 0x5d || next[-1] == 0xc9) &&
	    (next[0] == 0xe9 || next[0] == 0xeb || (next[0] == 0xff && (next[1] & 0x38) == 0x20)))
		return GUEST_CODE_POPPED;
	return code_sets_frame(next, GUEST_CODE_GAP) ? GUEST_CODE_PUSHED : GUEST_CODE_FRAME;
}

/* Whether the instruction before @code's address may be a call: e8 with four bytes, or ff /2 with the length that its second byte says. */
static inline __attribute__((always_inline)) int guest_code_after_call(const __u8 *code)
{
	const __u8 *end = code + GUEST_CODE_BEFORE;

	if (end[-5] == 0xe8)
		return 1;
	if (end[-2] == 0xff && ((end[-1] & 0xf8) == 0xd0 || ((end[-1] & 0xf8) == 0x10 && end[-1] != 0x14 && end[-1] != 0x15)))
		return 1; /* register, or what it points to */
	if (end[-3] == 0xff && (end[-2] == 0x14 || ((end[-2] & 0xf8) == 0x50 && end[-2] != 0x54)))
		return 1; /* two registers; register and a byte */
	if (end[-4] == 0xff && end[-3] == 0x54)
		return 1; /* two registers and a byte */
	if (end[-6] == 0xff && (end[-5] == 0x15 || ((end[-5] & 0xf8) == 0x90 && end[-5] != 0x94)))
		return 1; /* rip or a register, and four bytes */
	return end[-7] == 0xff && (end[-6] == 0x94 || (end[-6] == 0x14 && (end[-5] & 7) == 5));
}

#endif
