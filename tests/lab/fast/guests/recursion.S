/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that call themselves and each other: descend, forty levels deep, with bottom under
 * it; then even and odd, which take turns ten times. Frame pointers all the way down, so chains
 * of known depth can be checked, too.
 */
#include "guest.h"

#define LEVELS	40
#define TURNS	10

	ring	3
	truth_flag "chain - bottom (descend ){40}guest_main "
	truth_flag "chain - (descend ){1,40}guest_main "
	truth_flag "chain - even (odd even ){0,9}guest_main "
	truth_flag "chain - odd even (odd even ){0,9}guest_main "
	truth_flag "chain - guest_main "
	function guest_main
1:	mov	$LEVELS, %edi
	call	descend
	mov	$TURNS, %edi
	call	even
	jmp	1b
	end_function guest_main

	/* descend(edi): work, then the next level; bottom in the last. */
	function descend
	enter
	spin	120000
	dec	%edi
	jz	1f
	call	descend
	jmp	2f
1:	call	bottom
2:	leave_return
	end_function descend
	truth	0, descend, 120000, 40

	work	bottom, 2400000

	/* even(edi) and odd(edi): each works and calls the other until edi is used up. */
	function even
	enter
	spin	300000
	call	odd
	leave_return
	end_function even
	truth	0, even, 300000, 10

	function odd
	enter
	spin	180000
	dec	%edi
	jz	1f
	call	even
1:	leave_return
	end_function odd
	truth	0, odd, 180000, 10
