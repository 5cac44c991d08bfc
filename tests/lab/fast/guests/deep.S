/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recursion of 200 levels: deeper than the 127 addresses of a chain. At level 127 guest_main would be address 128: from
 * there on chains are cut, and say so.
 */
#include "guest.h"

#define LEVELS	200

	ring	3
	truth_flag "chain 63 (descend ){1,126}guest_main "
	truth_flag "chain 37 (descend ){127}<cut> "
	truth_flag "chain - guest_main "
	function guest_main
1:	mov	$LEVELS, %edi
	call	descend
	jmp	1b
	end_function guest_main

	/* descend(edi): work, then the next level. */
	function descend
	enter
	spin	60000
	dec	%edi
	jz	1f
	call	descend
1:	leave_return
	end_function descend
	truth	0, descend, 60000, 200
