/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Twenty functions, each about a seventh cheaper than the one before: shares from 15 % down to below 1 %. */
#include "guest.h"

#define FUNCTIONS(ONE)							\
	ONE(step01, 30000) ONE(step02, 26000) ONE(step03, 22300)	\
	ONE(step04, 19100) ONE(step05, 16400) ONE(step06, 14000)	\
	ONE(step07, 12000) ONE(step08, 10300) ONE(step09, 8800)		\
	ONE(step10, 7600) ONE(step11, 6500) ONE(step12, 5600)		\
	ONE(step13, 4800) ONE(step14, 4100) ONE(step15, 3500)		\
	ONE(step16, 3000) ONE(step17, 2600) ONE(step18, 2200)		\
	ONE(step19, 1900) ONE(step20, 1600)
#define CALL(name, iterations)	call name;
#define WORK(name, iterations)	work name, iterations;

	ring	3
	function guest_main
1:	FUNCTIONS(CALL)
	jmp	1b
	end_function guest_main

	FUNCTIONS(WORK)
