/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two vCPUs, one of them busy: vCPU 0 works in ring 3, vCPU 1 stays in ring 0, where it may halt, and does so for ever.
 */
#include "guest.h"

	ring	0
	truth_flag "idle 1"
	function guest_main
	test	%edi, %edi
	jnz	2f
	lea	busy_vcpu(%rip), %rax
	jmp	to_ring3
2:	hlt
	jmp	2b
	end_function guest_main

	function busy_vcpu
1:	call	more
	call	less
	jmp	1b
	end_function busy_vcpu

	work	more, 8000000
	work	less, 4000000
