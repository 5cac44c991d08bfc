/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The same as three-functions, in ring 0: guest kernel samples where KVM has hardware
 * virtualization.
 */
#include "guest.h"

	ring	0
	truth_flag "kernel"
	function guest_main
1:	call	qux
	call	foo
	call	bar
	jmp	1b
	end_function guest_main

	wrap	qux, inner
	work	inner, 6000000
	work	foo, 3000000
	work	bar, 3000000
