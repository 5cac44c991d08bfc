/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For guests whose code and stacks are not where they are loaded to: entries of page tables, and a recursion that goes through
 * many pages of its stack. GUEST.lds says where their code runs.
 */
#include "guest.h"

#define PAGE	   0x1000
#define LARGE_PAGE 0x200000
/* Present, writable, user mode's; accessed and dirty already; no table. */
#define TABLE	     0x07
#define MAPPED	     0x67
#define LARGE_MAPPED 0xe7

#define LEVELS 24
#define SPREAD 568 /* 16 bytes more from frame to frame; seven times that is a page but for 8 bytes */

	/* NAME_descend, LEVELS deep, and NAME_bottom, which works; in a section of their own. */
	.macro	far_recursion name
	function \name\()_descend, .\name
	enter
	sub	$SPREAD, %rsp
	dec	%edi
	jz	1f
	call	\name\()_descend
	jmp	2f
1:	call	\name\()_bottom
2:	leave
	ret
	end_function \name\()_descend
	work	\name\()_bottom, 4000000, 1, 0, .\name
	truth_flag "chain - \name\()_bottom (\name\()_descend ){24}rounds "
	truth_flag "chain - (\name\()_descend ){0,24}rounds "
	.endm

	/* Calls it on a stack that ends at TOP. */
	.macro	far_call name, top
	mov	$\top, %esp
	mov	$LEVELS, %edi
	mov	$\name\()_descend, %eax
	call	*%rax
	.endm
