/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two vCPUs with nothing in common: vCPU 0 runs left (80 %) and right, vCPU 1 up (60 %) and down.
 */
#include "guest.h"

	ring	3
	function guest_main
	test	%edi, %edi
	jnz	2f
1:	call	left
	call	right
	jmp	1b
2:	call	up
	call	down
	jmp	2b
	end_function guest_main

	work	left, 9600000, 1, 0
	work	right, 2400000, 1, 0
	work	up, 7200000, 1, 1
	work	down, 4800000, 1, 1
