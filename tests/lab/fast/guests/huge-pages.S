/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code and stack in a page of 1 GiB. The stack leaves it downwards, into a page of 2 MiB whose memory is elsewhere. Says "-" and does nothing
 * where the processor has no such pages.
 */
#include "far.h"

#define HUGE	     0xc0000000
#define BELOW_MEMORY 0x800000
#define SERIAL_PORT  0x3f8

	ring	0
	function guest_main
	mov	$0x80000001, %eax
	cpuid
	bt	$26, %edx		/* Page1GB */
	jc	2f
	mov	$SERIAL_PORT, %edx
	mov	$'-', %al
	out	%al, %dx
1:	hlt
	jmp	1b
2:	mov	%cr3, %rdi
	mov	(%rdi), %rdi
	and	$-PAGE, %rdi		/* the table with 1 GiB in each entry */
	movq	$below + TABLE, 2 * 8(%rdi)
	movq	$LARGE_MAPPED, 3 * 8(%rdi)
	lea	rounds(%rip), %rax
	jmp	to_ring3
	end_function guest_main

	function rounds
1:	far_call huge, HUGE+PAGE
	jmp	1b
	end_function rounds

	far_recursion huge

	.data
	.balign PAGE
below:
	.fill	511, 8, 0
	.quad	BELOW_MEMORY + LARGE_MAPPED
