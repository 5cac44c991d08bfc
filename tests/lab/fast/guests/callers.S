/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function under different callers: of the time in shared, 50 % was asked for by left, 30 % by
 * middle through between, 20 % by right.
 */
#include "guest.h"

	ring	3
	truth_flag "chain 50 shared left guest_main "
	truth_flag "chain 30 shared between middle guest_main "
	truth_flag "chain 20 shared right guest_main "
	truth_flag "chain - ((left|(between )?middle|right) )?guest_main "
	function guest_main
1:	call	left
	call	middle
	call	right
	jmp	1b
	end_function guest_main

	.macro	calls name, callee, times
	function \name
	enter
	.rept	\times
	call	\callee
	.endr
	leave_return
	end_function \name
	.endm

	calls	left, shared, 5
	calls	middle, between, 3
	calls	right, shared, 2
	wrap	between, shared
	work	shared, 1200000, 10
