/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Twenty functions, each about a seventh cheaper than the one before: shares from 15 % down to
 * below 1 %.
 */
#include "guest.h"

#define FUNCTIONS(ONE)							\
	ONE(step01, 1800000) ONE(step02, 1560000) ONE(step03, 1338000)	\
	ONE(step04, 1146000) ONE(step05, 984000) ONE(step06, 840000)	\
	ONE(step07, 720000) ONE(step08, 618000) ONE(step09, 528000)		\
	ONE(step10, 456000) ONE(step11, 390000) ONE(step12, 336000)		\
	ONE(step13, 288000) ONE(step14, 246000) ONE(step15, 210000)		\
	ONE(step16, 180000) ONE(step17, 156000) ONE(step18, 132000)		\
	ONE(step19, 114000) ONE(step20, 96000)
#define CALL(name, iterations)	call name;
#define WORK(name, iterations)	work name, iterations;

	ring	3
	function guest_main
1:	FUNCTIONS(CALL)
	jmp	1b
	end_function guest_main

	FUNCTIONS(WORK)
