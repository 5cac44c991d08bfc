/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All time is spent 32 addresses deep: what one call chain costs is measured here. */
#include "guest.h"

	ring	3
	truth_flag "chain 100 leaf (step ){30}guest_main "
	truth_flag "chain - (step ){0,30}guest_main "
	function guest_main
1:	mov	$30, %edi
	call	step
	jmp	1b
	end_function guest_main

	function step
	enter
	dec	%edi
	jz	1f
	call	step
	jmp	2f
1:	call	leaf
2:	leave_return
	end_function step

	work	leaf, 6000000
