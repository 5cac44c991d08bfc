/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code and stacks in pages of 4 KiB (small) and of 2 MiB (large). Their stacks go on in other memory than what lies below in the guest's
 * addresses: of pages of the same size, in falling order. The eighth frame from above has its saved frame pointer in one
 * page and its return address in the next.
 */
#include "far.h"

#define SMALL	     0x40000000
#define LARGE	     0x80000000
#define SMALL_MEMORY 0x800000
#define LARGE_MEMORY 0xa00000
#define STACK_PAGES  16

	ring	0
	function guest_main
	mov	%cr3, %rdi
	mov	(%rdi), %rdi
	and	$-PAGE, %rdi		/* the table with 1 GiB in each entry */
	movq	$small_tables + TABLE, 1 * 8(%rdi)
	movq	$large_table + TABLE, 2 * 8(%rdi)
	lea	rounds(%rip), %rax
	jmp	to_ring3
	end_function guest_main

	function rounds
1:	far_call small, SMALL+2*LARGE_PAGE+STACK_PAGES*PAGE
	far_call large, LARGE+3*LARGE_PAGE+PAGE
	jmp	1b
	end_function rounds

	far_recursion small
	far_recursion large

	.data
	.balign PAGE
small_tables:
	.quad	0, small_code + TABLE, small_stack + TABLE
	.fill	509, 8, 0
small_code:				/* as it is loaded */
	.set	page, LARGE_PAGE
	.rept	512
	.quad	page + MAPPED
	.set	page, page + PAGE
	.endr
small_stack:
	.set	page, SMALL_MEMORY + STACK_PAGES * PAGE
	.rept	STACK_PAGES
	.set	page, page - PAGE
	.quad	page + MAPPED
	.endr
	.fill	512 - STACK_PAGES, 8, 0
large_table:
	.quad	0, LARGE_PAGE + LARGE_MAPPED
	.quad	LARGE_MEMORY + LARGE_PAGE + LARGE_MAPPED, LARGE_MEMORY + LARGE_MAPPED
	.fill	508, 8, 0
