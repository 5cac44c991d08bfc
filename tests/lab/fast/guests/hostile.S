/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that arranges its stacks and page tables to mislead whoever walks them: frames that lead to themselves, round in a
 * circle, or down; tables that are their own next level, so that a table is read as a stack; tables and pages outside of RAM. The processor
 * never follows any of it: such addresses are just left in rbp and rsp while a function works. Each chain has what such a stack says until it
 * contradicts itself, and is cut there.
 */
#include "far.h"

#define TOLD	told + 8		/* where a call in it could return to */
#define HEARD	heard + 8
#define LEVEL	(1 << 39)		/* of PML4 entry 1, which is the PML4 itself; then of each further level */
#define TABLES	(LEVEL + (1 << 30) + (1 << 21) + (1 << 12))
#define NO_RAM	0x10000000000
#define STACK	0x40000000		/* one page, the next is outside of RAM, and so is the table for the next 2 MiB */
#define SELF_PDP 0xc0000000		/* PDP entry 3 is the PDP itself: its entry 0 is a page directory, taken for a table of pages */
#define ROOM	0x800000

	ring	0
	truth_flag "chain 12.5 in_self told <cut> "
	truth_flag "chain 12.5 in_circle told heard <cut> "
	truth_flag "chain 12.5 in_down told <cut> "
	truth_flag "chain 12.5 in_tables told heard <cut> "
	truth_flag "chain 12.5 in_level told <cut> "
	truth_flag "chain 12.5 in_no_table <cut> "
	truth_flag "chain 12.5 in_no_ram <cut> "
	truth_flag "chain 12.5 in_no_address <cut> "
	truth_flag "chain - in_[a-z_]+ "
	function guest_main
	mov	%cr3, %rdi
	mov	(%rdi), %rsi
	and	$-PAGE, %rsi
	/* Frames in the PML4 itself: as entries they are not present. */
	lea	TABLE(%rdi), %rax
	mov	%rax, 1 * 8(%rdi)
	movabs	$TABLES + 4 * 8, %rax
	mov	%rax, 2 * 8(%rdi)
	movq	$TOLD, 3 * 8(%rdi)
	movabs	$TABLES + 2 * 8, %rax
	mov	%rax, 4 * 8(%rdi)
	movq	$HEARD, 5 * 8(%rdi)
	lea	directory + TABLE(%rip), %rax
	mov	%rax, 1 * 8(%rsi)
	lea	TABLE(%rsi), %rax
	mov	%rax, 3 * 8(%rsi)
	mov	$SELF_PDP + (ROOM >> 21) * PAGE, %eax
	mov	%rax, ROOM
	movq	$TOLD, ROOM + 8
	lea	in_self(%rip), %rax
	jmp	to_ring3
	end_function guest_main

	/* One goes on to the next: nobody has called any of them. */
	.macro	misled name, frame, stack, next
	function \name
	movabs	$\stack, %rsp		/* no frame is below it */
	movabs	$\frame, %rbp
	spin	1500000
	xor	%ebp, %ebp
	jmp	\next
	end_function \name
	truth	0, \name, 1500000, 1
	.endm

	misled	in_self, self, self, in_circle
	misled	in_circle, circle, self, in_down
	misled	in_down, down, self, in_tables
	misled	in_tables, TABLES+2*8, TABLES+2*8, in_level
	misled	in_level, SELF_PDP+(ROOM>>21)*PAGE, SELF_PDP+(ROOM>>21)*PAGE, in_no_table
	misled	in_no_table, STACK+LARGE_PAGE, STACK, in_no_ram
	misled	in_no_ram, STACK+PAGE, STACK, in_no_address
	misled	in_no_address, 0x800000000000, self, in_self

	function told
	.fill	16, 1, 0x90
	ret
	end_function told

	function heard
	.fill	16, 1, 0x90
	ret
	end_function heard

	.data
	.balign 16
self:
	.quad	self, TOLD
circle:
	.quad	circle_above, TOLD
circle_above:
	.quad	circle, HEARD
down:
	.quad	self, TOLD

	.balign PAGE
directory:
	.quad	table + TABLE, NO_RAM + TABLE
	.fill	510, 8, 0
table:
	.quad	ROOM + MAPPED, NO_RAM + MAPPED
	.fill	510, 8, 0
