/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that leaves itself all the time: doorbell writes to port 0x80, which no device answers,
 * five hundred times in each round, and each time the VMM is woken. The guest's own work is compute
 * 75 %, prepare 25 %; the host side must show up beside it.
 *
 * doorbell does no work of its own, yet it gets samples: a timer that is due while the host enters
 * or leaves the guest with interrupts disabled fires at the guest's next instruction, the one after
 * the exit. That is host time in the guest's clothes, and no sampling interrupt can tell; the truth
 * of this guest leaves it out.
 */
#include "guest.h"

	ring	3
	truth_flag "exits doorbell"
	function guest_main
1:	call	compute
	call	prepare
	call	doorbell
	jmp	1b
	end_function guest_main

	work	compute, 9000000
	work	prepare, 3000000

	function doorbell
	enter
	mov	$500, %ecx
1:	out	%al, $0x80
	dec	%ecx
	jnz	1b
	leave_return
	end_function doorbell
