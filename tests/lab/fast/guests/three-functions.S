/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plainest profile: inner (called by qux) 50 %, foo 25 %, bar 25 %. */
#include "guest.h"

	ring	3
	truth_flag "chain 50 inner qux guest_main "
	truth_flag "chain 25 foo guest_main "
	truth_flag "chain 25 bar guest_main "
	truth_flag "chain - (qux )?guest_main "
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
