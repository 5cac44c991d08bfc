/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that do nothing but come and go: most samples hit instructions at which the frame is not there yet, or no longer.
 * A chain by frame pointers alone leaves out the caller in most of them.
 */
#include "guest.h"

	ring	3
	truth_flag "chain - guest_main "
	truth_flag "chain - top guest_main "
	truth_flag "chain - (inner )?plain top guest_main "
	truth_flag "chain - marked top guest_main "
	truth_flag "chain - traced top guest_main "
	truth_flag "chain - spread top guest_main "
	truth_flag "chain - left top guest_main "
	truth_flag "chain - (target|bare) top guest_main "
	truth_flag "chain - (bare )?wrapper top guest_main "
	function guest_main
1:	call	top
	jmp	1b
	end_function guest_main

	function top
	enter
	.rept	16
	call	plain
	call	marked
	call	traced
	call	spread
	call	left
	lea	target(%rip), %rax
	call	*%rax
	call	bare
	call	wrapper
	.endr
	leave_return
	end_function top

	wrap	plain, inner

	function inner
	enter
	leave_return
	end_function inner

	/* For indirect branch tracking. */
	function marked
	endbr64
	enter
	leave_return
	end_function marked

	/* As in a kernel that could be traced. */
	function traced
	endbr64
	.byte	0x0f, 0x1f, 0x44, 0, 0
	enter
	leave_return
	end_function traced

	/* Compilers do not keep push and mov together. */
	function spread
	push	%rbp
	mov	%edi, %eax
	mov	$1, %ecx
	mov	%rsp, %rbp
	push	%rbx
	mov	-8(%rbp), %rbx
	leave
	ret
	end_function spread

	/* Leaves by a jump: whom it jumps to returns to top. */
	function left
	enter
	pop	%rbp
	jmp	target
	end_function left

	function target
	enter
	leave_return
	end_function target

	function bare
	ret
	end_function bare

	wrap	wrapper, bare
