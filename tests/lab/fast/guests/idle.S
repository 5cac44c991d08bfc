/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that sleeps: halted, and halted again whenever something wakes it. It must not be
 * reported as busy.
 */
#include "guest.h"

	ring	0
	truth_flag "idle 0"
	function guest_main
1:	hlt
	jmp	1b
	end_function guest_main
