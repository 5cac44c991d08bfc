/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A loop, 32 addresses deep, that counts its turns in the last 16 bytes of RAM: how fast the guest is can be read there from
 * outside, however short the look.
 */
#include "guest.h"

#define COUNTER 0xfffff0

	ring	3
	truth_flag "chain 100 leaf (step ){30}guest_main "
	function guest_main
	mov	$30, %edi
	call	step
	end_function guest_main

	function step
	enter
	dec	%edi
	jz	1f
	call	step
1:	call	leaf
	end_function step

	function leaf
	enter
2:	spin	100
	incq	COUNTER
	jmp	2b
	end_function leaf
	truth	0, leaf, 100, 1
